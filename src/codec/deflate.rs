//! Deflate: a zlib stream (TIFF Supplement 2; RFC 1950).
//!
//! Inflating is fdeflate's (with the feature `libdeflate`, libdeflate's) as long as a stream is sound and just as long as
//! the tile, its checksum included: on tiles of several kinds it takes 1.15 to 1.47 times as many bytes a second as
//! zlib-rs. All else is judged by zlib-rs, which says how far it got. Deflating at level 1 is our own, at the others
//! zlib-rs's (libdeflate's).
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::cell::RefCell;

#[cfg(feature = "lerc")]
use flate2::Status;
use flate2::{Decompress, FlushDecompress};

use super::deflate_matches::{MAX_INPUT, Matches};
use super::too_short;
use crate::error::{Error, Result};
use crate::tiff::code::Compression;

/// The highest level, zlib's own or libdeflate's.
pub(super) const MAX_LEVEL: u8 = if cfg!(feature = "libdeflate") { 12 } else { 9 };

/// The customary level: our own deflater. See the figures in [`super::Encoding::default_level`].
pub(super) const QUICK: u8 = 1;

thread_local! {
    // An inflater owns a window and a deflater some 300 KiB of tables: kept from tile to tile.
    static INFLATER: RefCell<Option<Decompress>> = const { RefCell::new(None) };
    static MATCHES: RefCell<Option<Matches>> = const { RefCell::new(None) };
}

pub(super) fn decompress(data: &[u8], out: &mut [u8]) -> Result<()> {
    if out.is_empty() || sound::inflate(data, out) { Ok(()) } else { inflate_or_say_why(data, out) }
}

#[cfg(not(feature = "libdeflate"))]
mod sound {
    /// Whether `data` are a whole stream that fills `out`, and does.
    pub(super) fn inflate(data: &[u8], out: &mut [u8]) -> bool {
        // Some 20 KiB, which is nothing beside a tile.
        let mut inflater = fdeflate::Decompressor::new();
        let read = inflater.read(data, out, 0, true);
        inflater.is_done() && read.is_ok_and(|(_, found)| found == out.len())
    }
}

#[cfg(feature = "libdeflate")]
mod sound {
    use std::cell::RefCell;

    use libdeflater::Decompressor;

    thread_local! {
        static INFLATER: RefCell<Option<Decompressor>> = const { RefCell::new(None) };
    }

    /// Whether `data` are a whole stream that fills `out`, and does.
    pub(super) fn inflate(data: &[u8], out: &mut [u8]) -> bool {
        INFLATER.with_borrow_mut(|slot| {
            let inflater = slot.get_or_insert_with(Decompressor::new);
            inflater.zlib_decompress(data, out).is_ok_and(|found| found == out.len())
        })
    }
}

/// Inflates what is not a whole stream of just the tile, as libtiff does where that can be.
pub(super) fn inflate_or_say_why(data: &[u8], out: &mut [u8]) -> Result<()> {
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

/// A zlib stream of `data`.
///
/// # Errors
/// [`crate::ErrorKind::Usage`] for a level that there is none of.
pub(super) fn compress(level: u8, data: &[u8]) -> Result<Vec<u8>> {
    if level > MAX_LEVEL {
        return Err(Error::usage(format!("deflate has levels from 0 to {MAX_LEVEL}, not {level}")));
    }
    if level == QUICK && data.len() <= MAX_INPUT {
        return Ok(MATCHES.with_borrow_mut(|slot| slot.get_or_insert_with(Matches::new).compress(data)));
    }
    thorough::deflate(level, data)
}

#[cfg(not(feature = "libdeflate"))]
mod thorough {
    use std::cell::RefCell;

    use flate2::{Compress, FlushCompress, Status};

    use crate::error::{Error, Result};

    thread_local! {
        static DEFLATER: RefCell<Option<(u8, Compress)>> = const { RefCell::new(None) };
    }

    pub(super) fn deflate(level: u8, data: &[u8]) -> Result<Vec<u8>> {
        DEFLATER.with_borrow_mut(|slot| {
            // Another level means another deflater: changing the level of one in use would be a second path to
            // the same bytes, and has to be proven equal.
            let (_, deflater) = match slot.take_if(|(kept, _)| *kept != level) {
                Some(_) | None => slot.get_or_insert_with(|| {
                    (level, Compress::new(flate2::Compression::new(level.into()), true))
                }),
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
}

#[cfg(feature = "libdeflate")]
mod thorough {
    use std::cell::RefCell;

    use libdeflater::{CompressionLvl, Compressor};

    use crate::error::{Error, Result};

    thread_local! {
        static DEFLATER: RefCell<Option<(u8, Compressor)>> = const { RefCell::new(None) };
    }

    pub(super) fn deflate(level: u8, data: &[u8]) -> Result<Vec<u8>> {
        let known = CompressionLvl::new(level.into())
            .map_err(|_invalid| Error::usage(format!("libdeflate knows no level {level}")))?;
        DEFLATER.with_borrow_mut(|slot| {
            slot.take_if(|(kept, _)| *kept != level);
            let (_, deflater) = slot.get_or_insert_with(|| (level, Compressor::new(known)));
            let mut out = vec![0; deflater.zlib_compress_bound(data.len())];
            let len = deflater
                .zlib_compress(data, &mut out)
                .map_err(|cause| Error::format("deflate refused to compress a tile").caused_by(cause))?;
            out.truncate(len);
            out.shrink_to_fit();
            Ok(out)
        })
    }
}
