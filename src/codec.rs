//! Compressions, both ways: one file per compression. Pure functions over bytes in memory.
//!
//! The caller knows from the layout how many bytes a tile has and owns the room for them, so nothing in the
//! data can make us allocate: a decompression bomb ends where the tile ends.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

#[cfg(feature = "ccitt")]
mod ccitt;
mod deflate;
#[cfg(feature = "jxl")]
mod jxl;
#[cfg(feature = "lerc")]
mod lerc;
#[cfg(feature = "lzma")]
mod lzma;
mod lzw;
mod packbits;
#[cfg(feature = "zstd")]
mod zstd;
#[cfg(test)]
mod image_tests;
#[cfg(feature = "jpeg")]
mod jpeg;
#[cfg(feature = "jpeg")]
mod jpeg_planes;
#[cfg(feature = "jpeg")]
mod jpeg_scan;
#[cfg(feature = "webp")]
mod webp;

use crate::error::{Error, Result};
use crate::tiff::code::{Compression, Predictor};
use crate::tile::TileLayout;

pub use deflate::MAX_LEVEL;

/// Refuses what [`decompress`] and the stages after it cannot read, from the layout alone: before anything is fetched.
///
/// # Errors
/// [`crate::ErrorKind::Unsupported`] names the compression, or the predictor that does not go with it.
pub fn readable(layout: &TileLayout) -> Result<()> {
    let compression = layout.compression;
    if !READ.contains(&compression) {
        return Err(unsupported(compression));
    }
    if !has_predictor(compression) {
        return Ok(());
    }
    match layout.predictor {
        Predictor::Unknown(code) => Err(Error::unsupported(format!("predictor {code} is not supported"))),
        Predictor::Horizontal if layout.is_packed() || layout.bits > 64 => Err(Error::unsupported(format!(
            "the horizontal predictor (2) with {}-bit samples is not supported; libtiff does not read it either",
            layout.bits
        ))),
        Predictor::FloatingPoint if !layout.sample_type.is_float() => Err(Error::format(format!(
            "the floating point predictor (3) does not apply to {} samples (TIFF Technical Note 3)",
            layout.sample_type.name()
        ))),
        Predictor::None | Predictor::Horizontal | Predictor::FloatingPoint => Ok(()),
    }
}

/// The compressions that are read.
const READ: &[Compression] = &[
    Compression::None,
    Compression::Lzw,
    Compression::Deflate,
    Compression::OldDeflate,
    Compression::PackBits,
];

/// Fills `out` with what `data` decompresses to. Data beyond what `out` can hold is ignored, as libtiff does:
/// some writers store a short last strip in full.
///
/// When `out` is full, a missing checksum (deflate) or end code (LZW) is not an error either; a wrong checksum
/// is, because the pixels before it are then known to be damaged.
///
/// # Errors
/// [`crate::ErrorKind::Format`] when the data are damaged or end before `out` is full; `out` then holds
/// nothing of use. [`crate::ErrorKind::Unsupported`] for a compression that is not read.
#[expect(clippy::wildcard_enum_match_arm, reason = "what is not listed is not supported, whatever it is")]
pub fn decompress(layout: &TileLayout, data: &[u8], out: &mut [u8]) -> Result<()> {
    match layout.compression {
        Compression::None => {
            let Some(stored) = data.get(..out.len()) else {
                return Err(too_short(Compression::None, data.len(), out.len()));
            };
            out.copy_from_slice(stored);
            Ok(())
        }
        Compression::Lzw => lzw::decompress(data, out),
        Compression::Deflate | Compression::OldDeflate => deflate::decompress(data, out),
        Compression::PackBits => packbits::decompress(data, out),
        other => Err(unsupported(other)),
    }
}

/// `data` compressed. The same data, compression and level give the same bytes, on every machine and thread.
///
/// `level` is deflate's effort, from 0 (stored) to [`MAX_LEVEL`]; the others have no levels and ignore it.
///
/// # Errors
/// [`crate::ErrorKind::Usage`] for a level beyond [`MAX_LEVEL`]; [`crate::ErrorKind::Unsupported`] for a
/// compression that is not written.
#[expect(clippy::wildcard_enum_match_arm, reason = "what is not listed is not supported, whatever it is")]
pub fn compress(compression: Compression, level: u8, data: &[u8]) -> Result<Vec<u8>> {
    match compression {
        Compression::None => Ok(data.to_vec()),
        Compression::Lzw => lzw::compress(data),
        Compression::Deflate | Compression::OldDeflate => deflate::compress(level, data),
        other => Err(unsupported(other)),
    }
}

/// Whether a predictor goes with a compression. libtiff, and with it GDAL, ignores the tag Predictor with all
/// others: uncompressed samples are stored as they are whatever it says.
#[must_use]
pub fn has_predictor(compression: Compression) -> bool {
    matches!(
        compression,
        Compression::Lzw
            | Compression::Deflate
            | Compression::OldDeflate
            | Compression::Lzma
            | Compression::Zstd
    )
}

/// Whether FillOrder 2 turns the stored bytes of a compression. libtiff lets JPEG's bytes be.
#[must_use]
pub fn has_fill_order(compression: Compression) -> bool {
    !matches!(compression, Compression::Jpeg | Compression::OldJpeg)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what is not listed is not supported, whatever it is")]
fn unsupported(compression: Compression) -> Error {
    Error::unsupported(match compression {
        Compression::Unknown(code) => format!("compression {code} is not supported"),
        named => format!("compression {named} ({}) is not supported", named.code()),
    })
}

fn too_short(compression: Compression, found: usize, wanted: usize) -> Error {
    Error::format(format!(
        "the data (compression: {compression}) end after {found} of {wanted} decompressed bytes"
    ))
}

#[cfg(test)]
mod more_tests;
#[cfg(test)]
mod tests;
