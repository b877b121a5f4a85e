//! Deflate: a zlib stream (TIFF Supplement 2; RFC 1950), through zlib-rs.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::cell::RefCell;

use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};

use super::too_short;
use crate::error::{Error, Result};
use crate::tiff::code::Compression;

/// The highest level, zlib's own.
pub(super) const MAX_LEVEL: u8 = 9;

thread_local! {
    // An inflater owns a window and a deflater some 300 KiB of tables: kept from tile to tile.
    static INFLATER: RefCell<Option<Decompress>> = const { RefCell::new(None) };
    static DEFLATER: RefCell<Option<(u8, Compress)>> = const { RefCell::new(None) };
}

pub(super) fn decompress(data: &[u8], out: &mut [u8]) -> Result<()> {
    if out.is_empty() {
        return Ok(());
    }
    INFLATER.with_borrow_mut(|slot| {
        let inflater = slot.get_or_insert_with(|| Decompress::new(true));
        inflater.reset(true);
        // Finish, in one call, lets the inflater write straight into `out` without keeping a window.
        match inflater.decompress(data, out, FlushDecompress::Finish) {
            // Also when `out` is full and the stream goes on, or lacks its checksum: libtiff stops here too.
            Ok(_) => {
                let found = usize::try_from(inflater.total_out()).unwrap_or(usize::MAX);
                if found < out.len() {
                    Err(too_short(Compression::Deflate, found, out.len()))
                } else {
                    Ok(())
                }
            }
            // Also when `out` is full and the checksum is wrong: GDAL refuses such a tile, and its pixels are
            // known to be damaged.
            Err(cause) => Err(Error::format(format!(
                "the deflate data are damaged after {} of {} decompressed bytes",
                inflater.total_out(),
                out.len()
            ))
            .caused_by(cause)),
        }
    })
}

/// What `data` hold, if that is no more than `most` bytes.
#[cfg(feature = "lerc")]
pub(super) fn decompress_up_to(data: &[u8], most: usize) -> Result<Vec<u8>> {
    let mut out = vec![0; most];
    INFLATER.with_borrow_mut(|slot| {
        let inflater = slot.get_or_insert_with(|| Decompress::new(true));
        inflater.reset(true);
        let status = inflater
            .decompress(data, &mut out, FlushDecompress::Finish)
            .map_err(|cause| Error::format("the deflate data are damaged").caused_by(cause))?;
        if status != Status::StreamEnd {
            return Err(Error::format(format!(
                "the deflate data are cut off, or hold more than the {most} bytes there may be"
            )));
        }
        out.truncate(usize::try_from(inflater.total_out()).unwrap_or(most));
        Ok(out)
    })
}

pub(super) fn compress(level: u8, data: &[u8]) -> Result<Vec<u8>> {
    if level > MAX_LEVEL {
        return Err(Error::usage(format!("deflate has levels from 0 to {MAX_LEVEL}, not {level}")));
    }
    DEFLATER.with_borrow_mut(|slot| {
        // Another level means another deflater: changing the level of one in use would be a second path to
        // the same bytes, and has to be proven equal.
        let (_, deflater) = match slot.take_if(|(kept, _)| *kept != level) {
            Some(_) | None => slot
                .get_or_insert_with(|| (level, Compress::new(flate2::Compression::new(level.into()), true))),
        };
        deflater.reset();
        // Most tiles shrink to half or less; the vector grows for the others.
        let mut out = Vec::with_capacity((data.len() / 2).saturating_add(64));
        loop {
            let read = usize::try_from(deflater.total_in()).unwrap_or(usize::MAX);
            let rest = data.get(read..).unwrap_or_default();
            let status = deflater
                .compress_vec(rest, &mut out, FlushCompress::Finish)
                .map_err(|cause| Error::format("deflate refused to compress a tile").caused_by(cause))?;
            if status == Status::StreamEnd {
                return Ok(out);
            }
            out.reserve(out.capacity().max(1024));
        }
    })
}
