//! Zstandard (RFC 8878), code 50000, through structured-zstd.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::cell::RefCell;
use std::io::Read;

use structured_zstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use structured_zstd::decoding::{BlockDecodingStrategy, ContentChecksum, FrameDecoder};
use structured_zstd::encoding::{CompressionLevel, compress_slice_to_vec};

use super::too_short;
use crate::error::{Error, Result};
use crate::tiff::code::Compression;

/// The highest level, that of the reference encoder.
pub(super) const MAX_LEVEL: u8 = 22;

/// The largest window that a frame may claim in bytes: that of the reference decoder, hence of libtiff. It is never
/// taken at its word: a frame that fits `out` is decoded in place, without a window.
const MAX_WINDOW: u64 = 1 << 27;

/// The largest window in bytes for data that do not fit `out`, where one must be kept; or four times `out`, if that
/// is more.
const MIN_DRAIN_WINDOW: u64 = 8 << 20;

thread_local! {
    // Tables of some 100 KiB: kept from tile to tile.
    static DECODER: RefCell<Option<FrameDecoder>> = const { RefCell::new(None) };
}

/// Fills `out` with what the frames of `data` hold, one after the other; what is beyond is ignored. A wrong checksum
/// is an error, a missing one is not when `out` is full.
pub(super) fn decompress(data: &[u8], out: &mut [u8]) -> Result<()> {
    let wanted = out.len();
    if wanted == 0 {
        return Ok(());
    }
    DECODER.with_borrow_mut(|slot| {
        let decoder = slot.get_or_insert_with(FrameDecoder::new);
        let found = match whole(decoder, data, out) {
            Ok(found) => found,
            Err(cause @ FrameDecoderError::ChecksumMismatch { .. }) => {
                return Err(damaged("their checksum is wrong", 0, wanted).caused_by(cause));
            }
            Err(first) => {
                // More frames or bytes than `out` holds, a checksum cut off, or damage. Zeros stand for the missing
                // checksum, which is the last thing of a frame: the blocks before it were all there.
                let no_checksum = matches!(first, FrameDecoderError::FailedToReadChecksum(_));
                let missing: &[u8] = if no_checksum { &[0; 4] } else { &[] };
                // A decoder that has seen damage starts afresh.
                *decoder = FrameDecoder::new();
                drain(decoder, &mut data.chain(missing), out)
                    .map_err(|(found, cause)| damaged("they are damaged", found, wanted).caused_by(cause))?
            }
        };
        if found < wanted { Err(too_short(Compression::Zstd, found, wanted)) } else { Ok(()) }
    })
}

/// What the frames of `data` hold, if that is no more than `most` bytes.
#[cfg(feature = "lerc")]
pub(super) fn decompress_up_to(data: &[u8], most: usize) -> Result<Vec<u8>> {
    let mut out = vec![0; most];
    let found = DECODER.with_borrow_mut(|slot| {
        let found = whole(slot.get_or_insert_with(FrameDecoder::new), data, &mut out);
        if found.is_err() {
            *slot = None;
        }
        found
    });
    let found = found.map_err(|cause| {
        Error::format(format!(
            "the Zstandard data are damaged, or hold more than the {most} bytes there may be"
        ))
        .caused_by(cause)
    })?;
    out.truncate(found);
    Ok(out)
}

fn damaged(how: &str, found: usize, wanted: usize) -> Error {
    Error::format(format!("the Zstandard data: {how} ({found} of {wanted} decompressed bytes)"))
}

/// All frames into `out`, in place; an error unless they fit.
fn whole(decoder: &mut FrameDecoder, data: &[u8], out: &mut [u8]) -> Result<usize, FrameDecoderError> {
    decoder.set_max_window_size(MAX_WINDOW)?;
    decoder.set_content_checksum(ContentChecksum::Verify);
    decoder.decode_all(data, out)
}

/// Frames block by block until `out` is full or `data` end; an error comes with the bytes found before it.
fn drain(
    decoder: &mut FrameDecoder,
    data: &mut impl Read,
    out: &mut [u8],
) -> Result<usize, (usize, FrameDecoderError)> {
    let most = u64::try_from(out.len()).unwrap_or(u64::MAX).saturating_mul(4);
    let window = most.clamp(MIN_DRAIN_WINDOW, MAX_WINDOW);
    decoder.set_max_window_size(window).map_err(|cause| (0, cause))?;
    decoder.set_content_checksum(ContentChecksum::None);
    let mut found = 0;
    while found < out.len() {
        match decoder.init(&mut *data) {
            Ok(()) => {}
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length, ..
            })) => {
                let skipped = std::io::copy(&mut data.take(length.into()), &mut std::io::sink());
                if skipped.is_ok_and(|skipped| skipped == u64::from(length)) {
                    continue;
                }
                return Ok(found);
            }
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::MagicNumberReadError(_)))
                if found > 0 =>
            {
                return Ok(found);
            }
            Err(cause) => return Err((found, cause)),
        }
        loop {
            let rest = out.get_mut(found..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            let step = decoder.decode_blocks(&mut *data, BlockDecodingStrategy::UptoBytes(rest.len()));
            // Also what was decoded before the damage: it may be all that is wanted.
            let read = decoder
                .read(rest)
                .map_err(|cause| (found, FrameDecoderError::FailedToDrainDecodebuffer(cause)))?;
            found = found.saturating_add(read);
            match step {
                Ok(_) if decoder.is_finished() && decoder.can_collect() == 0 => break,
                Ok(_) => {}
                Err(_) if found == out.len() => break,
                Err(cause) => return Err((found, cause)),
            }
        }
    }
    Ok(found)
}

/// One frame with its content size and without a checksum, as libtiff writes none.
///
/// `level` is from 1 to [`MAX_LEVEL`], as in the reference encoder.
pub(super) fn compress(level: u8, data: &[u8]) -> Result<Vec<u8>> {
    if !(1..=MAX_LEVEL).contains(&level) {
        return Err(Error::usage(format!("Zstandard has levels from 1 to {MAX_LEVEL}, not {level}")));
    }
    Ok(compress_slice_to_vec(data, CompressionLevel::Level(level.into())))
}
