//! LZMA2 in an xz stream, code 34925, as libtiff stores it, through lzma-rust2.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::io::{ErrorKind, Read, Write};

use lzma_rust2::{CheckType, XzOptions, XzReader, XzWriter};

use super::too_short;
use crate::error::{Error, Result};
use crate::tiff::code::Compression;

/// The highest level: xz's preset 9.
pub(super) const MAX_LEVEL: u8 = 9;

/// The smallest dictionary in bytes that xz knows.
const MIN_DICTIONARY: usize = 4096;

/// Fills `out` with what the xz stream holds; what is beyond is ignored. A wrong check is an error, a missing one is
/// not when `out` is full.
///
/// The reader's window grows with what it has decoded, at most to the dictionary's size: what a header claims is never
/// allocated, and no more than `out` and a chunk (2 MiB) is ever decoded.
pub(super) fn decompress(data: &[u8], out: &mut [u8]) -> Result<()> {
    let wanted = out.len();
    if wanted == 0 {
        return Ok(());
    }
    let mut reader = XzReader::new(data, true);
    let mut found = 0_usize;
    loop {
        // When `out` is full, one byte more has the check read that follows the last block.
        let mut beyond = [0];
        let full = found == wanted;
        let room = if full { &mut beyond[..] } else { out.get_mut(found..).unwrap_or_default() };
        match reader.read(room) {
            Ok(_) if full => return Ok(()),
            Ok(0) => return Err(too_short(Compression::Lzma, found, wanted)),
            Ok(read) => found = found.saturating_add(read),
            Err(cause) if full && cause.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            Err(cause) => {
                return Err(Error::format(format!(
                    "the LZMA data are damaged after {found} of {wanted} decompressed bytes"
                ))
                .caused_by(cause));
            }
        }
    }
}

/// An xz stream of one block, with a CRC-32 as libtiff has it. `level` is xz's preset, from 0 to [`MAX_LEVEL`]; the
/// dictionary is no larger than the data.
pub(super) fn compress(level: u8, data: &[u8]) -> Result<Vec<u8>> {
    if level > MAX_LEVEL {
        return Err(Error::usage(format!("LZMA has levels from 0 to {MAX_LEVEL}, not {level}")));
    }
    let mut options = XzOptions::with_preset(level.into());
    options.set_check_sum_type(CheckType::Crc32);
    let whole = data.len().max(MIN_DICTIONARY).checked_next_power_of_two().unwrap_or(usize::MAX);
    let dictionary = &mut options.lzma_options.dict_size;
    *dictionary = u32::try_from(whole).unwrap_or(u32::MAX).min(*dictionary);
    let pack = || {
        let mut writer = XzWriter::new(Vec::with_capacity(data.len() / 2), options)?;
        writer.write_all(data)?;
        writer.finish()
    };
    pack().map_err(|cause| Error::format("LZMA refused to compress a tile").caused_by(cause))
}
