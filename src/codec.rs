//! Compressions, both ways: one file per compression. Pure functions over bytes in memory.
//!
//! The caller knows from the layout how many bytes a tile has and owns the room for them, so nothing in the
//! data can make us allocate: a decompression bomb ends where the tile ends.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

#[cfg(feature = "ccitt")]
mod ccitt;
mod deflate;
mod deflate_blocks;
mod deflate_matches;
#[cfg(test)]
mod deflate_tests;
mod encoding;
#[cfg(test)]
mod image_tests;
#[cfg(feature = "jpeg")]
mod jpeg;
#[cfg(feature = "jpeg")]
mod jpeg_huffman;
#[cfg(feature = "jpeg")]
mod jpeg_idct;
#[cfg(feature = "jpeg")]
mod jpeg_planes;
#[cfg(feature = "jpeg")]
mod jpeg_scan;
#[cfg(test)]
mod jpeg_tests;
#[cfg(feature = "jxl")]
mod jxl;
#[cfg(feature = "lerc")]
mod lerc;
#[cfg(feature = "lzma")]
mod lzma;
mod lzw;
#[cfg(test)]
mod more_tests;
mod packbits;
#[cfg(feature = "webp")]
mod webp;
#[cfg(feature = "zstd")]
mod zstd;

use crate::error::{Error, Result};
use crate::sample::{SampleType, Samples};
use crate::tiff::code::{Compression, Predictor};
#[cfg(any(feature = "ccitt", feature = "jpeg", feature = "lerc"))]
use crate::tile::Parameters;
use crate::tile::TileLayout;

pub use encoding::Encoding;

/// Refuses what [`decompress`], [`decode`] and the stages after them cannot read, from the layout alone: before anything
/// is fetched.
///
/// # Errors
/// [`crate::ErrorKind::Unsupported`] names the compression, the samples or the predictor that do not go with it, or the
/// feature that this build lacks.
pub fn readable(layout: &TileLayout) -> Result<()> {
    let compression = layout.compression;
    if !is_read(compression) {
        return Err(unsupported(compression));
    }
    let (sample, whole) = (layout.sample_type, !layout.is_packed());
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others take bytes, whatever they mean")]
    let fits = match compression {
        Compression::Jpeg => sample.bytes() == 1 && whole && layout.samples_per_pixel <= 4,
        Compression::WebP => sample == SampleType::U8 && whole && matches!(layout.samples_per_pixel, 3 | 4),
        Compression::JpegXl | Compression::JpegXlDng => {
            matches!(sample, SampleType::U8 | SampleType::U16 | SampleType::F32) && whole
        }
        Compression::Lerc => {
            sample.bytes() <= 8 && whole && !matches!(sample, SampleType::F16) && !sample.is_complex()
        }
        Compression::CcittRle | Compression::Group3 | Compression::Group4 => {
            layout.bits == 1 && layout.samples_per_pixel == 1
        }
        _ => true,
    };
    if !fits {
        return Err(Error::unsupported(format!(
            "compression {compression} of {} samples of {}-bit {} a pixel is not supported",
            layout.samples_per_pixel,
            layout.bits,
            sample.name()
        )));
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
        Predictor::FloatingPoint if !sample.is_float() => Err(Error::format(format!(
            "the floating point predictor (3) does not apply to {} samples (TIFF Technical Note 3)",
            sample.name()
        ))),
        Predictor::None | Predictor::Horizontal | Predictor::FloatingPoint => Ok(()),
    }
}

/// Whether this build reads a compression.
#[must_use]
pub fn is_read(compression: Compression) -> bool {
    #[expect(clippy::wildcard_enum_match_arm, reason = "what is not listed is not supported, whatever it is")]
    match compression {
        Compression::None
        | Compression::Lzw
        | Compression::Deflate
        | Compression::OldDeflate
        | Compression::PackBits => true,
        other => feature(other).is_some_and(|(_, built)| built),
    }
}

/// The cargo feature that a compression needs, and whether this build has it; `None` for one that none brings.
#[expect(clippy::wildcard_enum_match_arm, reason = "what is not listed is not supported, whatever it is")]
const fn feature(compression: Compression) -> Option<(&'static str, bool)> {
    Some(match compression {
        Compression::CcittRle | Compression::Group3 | Compression::Group4 => {
            ("ccitt", cfg!(feature = "ccitt"))
        }
        Compression::Jpeg => ("jpeg", cfg!(feature = "jpeg")),
        Compression::JpegXl | Compression::JpegXlDng => ("jxl", cfg!(feature = "jxl")),
        Compression::Lerc => ("lerc", cfg!(feature = "lerc")),
        Compression::Lzma => ("lzma", cfg!(feature = "lzma")),
        Compression::WebP => ("webp", cfg!(feature = "webp")),
        Compression::Zstd => ("zstd", cfg!(feature = "zstd")),
        _ => return None,
    })
}

/// Whether a compression codes samples, by [`decode`], rather than bytes, by [`decompress`].
#[must_use]
pub fn is_of_samples(compression: Compression) -> bool {
    matches!(
        compression,
        Compression::Jpeg
            | Compression::JpegXl
            | Compression::JpegXlDng
            | Compression::Lerc
            | Compression::WebP
    )
}

/// Fills `samples`, whole rows of a tile of `layout`, with what `data` decodes to. They are still in the file's byte
/// order: libtiff swaps samples before it hands them to such a compression, and after.
///
/// # Errors
/// As [`decompress`].
#[cfg_attr(
    not(any(feature = "jpeg", feature = "jxl", feature = "lerc", feature = "webp")),
    expect(unused_variables, reason = "no compression of samples is built in")
)]
pub fn decode(layout: &TileLayout, data: &[u8], samples: &mut Samples) -> Result<()> {
    let width = usize::try_from(layout.size.width).unwrap_or(usize::MAX);
    let samples_per_pixel = usize::from(layout.samples_per_pixel);
    match layout.compression {
        #[cfg(feature = "jpeg")]
        Compression::Jpeg => {
            let (tables, ycbcr) = match &layout.parameters {
                Parameters::Jpeg { tables, ycbcr } => (tables.as_deref(), *ycbcr),
                Parameters::None | Parameters::Group3 { .. } | Parameters::Lerc { .. } => (None, false),
            };
            jpeg::decompress(data, tables, ycbcr, width, samples_per_pixel, samples.as_bytes_mut())
        }
        #[cfg(feature = "jxl")]
        Compression::JpegXl | Compression::JpegXlDng => {
            jxl::decompress(data, width, samples_per_pixel, samples)
        }
        #[cfg(feature = "lerc")]
        Compression::Lerc => {
            let wrapping = match layout.parameters {
                Parameters::Lerc { wrapping: 0 } => lerc::Wrapping::None,
                Parameters::Lerc { wrapping: 1 } => lerc::Wrapping::Deflate,
                Parameters::Lerc { wrapping: 2 } => lerc::Wrapping::Zstd,
                Parameters::Lerc { wrapping } => {
                    return Err(Error::unsupported(format!(
                        "LERC within compression {wrapping} (LercParameters) is not supported"
                    )));
                }
                Parameters::None | Parameters::Group3 { .. } | Parameters::Jpeg { .. } => {
                    lerc::Wrapping::None
                }
            };
            lerc::decompress(data, wrapping, width, samples_per_pixel, samples)
        }
        #[cfg(feature = "webp")]
        Compression::WebP => webp::decompress(data, width, samples_per_pixel, samples.as_bytes_mut()),
        other => Err(unsupported(other)),
    }
}

/// Fills `out` with what `data` decompresses to. Data beyond what `out` can hold is ignored, as libtiff does:
/// some writers store a short last strip in full.
///
/// When `out` is full, a missing checksum (deflate) or end code (LZW) is not an error either; a wrong checksum
/// is, because the pixels before it are then known to be damaged.
///
/// # Errors
/// [`crate::ErrorKind::Format`] when the data are damaged or end before `out` is full; `out` then holds
/// nothing of use. [`crate::ErrorKind::Unsupported`] for a compression that is not read.
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
        #[cfg(feature = "zstd")]
        Compression::Zstd => zstd::decompress(data, out),
        #[cfg(feature = "lzma")]
        Compression::Lzma => lzma::decompress(data, out),
        #[cfg(feature = "ccitt")]
        Compression::CcittRle | Compression::Group3 | Compression::Group4 => {
            let scheme = match (layout.compression, &layout.parameters) {
                (Compression::CcittRle, _) => ccitt::Scheme::Rle,
                (Compression::Group4, _) => ccitt::Scheme::Group4,
                (_, &Parameters::Group3 { two_dimensional }) => ccitt::Scheme::Group3 { two_dimensional },
                _ => ccitt::Scheme::Group3 { two_dimensional: false },
            };
            let width = usize::try_from(layout.size.width).unwrap_or(usize::MAX);
            ccitt::decompress(scheme, data, width, out)
        }
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
        named if let Some((feature, false)) = feature(named) => {
            format!(
                "compression {named} ({}) is not in this build; it needs the feature {feature}",
                named.code()
            )
        }
        named => format!("compression {named} ({}) is not supported", named.code()),
    })
}

fn too_short(compression: Compression, found: usize, wanted: usize) -> Error {
    Error::format(format!(
        "the data (compression: {compression}) end after {found} of {wanted} decompressed bytes"
    ))
}

#[cfg(test)]
mod tests;
