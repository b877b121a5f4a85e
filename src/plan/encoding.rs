//! How the output is compressed: the options, brought into agreement with the raster.

use crate::codec::{self, Encoding};
use crate::error::{Error, Result};
use crate::header::Header;
use crate::options::{ClipOptions, Compress, Interleave};
use crate::plan::Colour;
use crate::sample::SampleType;
use crate::tiff::code::{Compression, Photometric, Predictor};
use crate::tile::Parameters;

/// The encoding of an output with these colours and `bands` bands.
///
/// # Errors
/// [`crate::ErrorKind::Usage`] when an option does not go with the compression, or the compression with the raster;
/// [`crate::ErrorKind::Unsupported`] when this build does not write it.
pub fn choose(header: &Header, colour: &Colour, bands: usize, options: &ClipOptions) -> Result<Encoding> {
    let (compression, wrapping) = match options.compress {
        Compress::Source => of_source(header)?,
        Compress::None => (Compression::None, 0),
        Compress::Lzw => (Compression::Lzw, 0),
        Compress::Deflate => (Compression::Deflate, 0),
        Compress::PackBits => (Compression::PackBits, 0),
        Compress::Zstd => (Compression::Zstd, 0),
        Compress::Lzma => (Compression::Lzma, 0),
        Compress::Lerc => (Compression::Lerc, 0),
        Compress::LercDeflate => (Compression::Lerc, 1),
        Compress::LercZstd => (Compression::Lerc, 2),
        Compress::Jpeg => (Compression::Jpeg, 0),
        Compress::WebP => (Compression::WebP, 0),
    };
    Encoding::writable(compression)?;
    let mut encoding = Encoding { wrapping, ..Encoding::new(compression) };
    if let Some(level) = options.level {
        encoding.level = match Encoding::levels(compression) {
            Some(levels) if levels.contains(&level) => level,
            Some(levels) => {
                return Err(Error::usage(format!(
                    "{compression} has levels {} to {}; {level} is asked for",
                    levels.start(),
                    levels.end()
                )));
            }
            None => return Err(Error::usage(format!("{compression} has no levels; leave --level out"))),
        };
    }
    if let Some(quality) = options.quality {
        if !matches!(compression, Compression::Jpeg | Compression::WebP) {
            return Err(Error::usage(format!(
                "a quality is for JPEG and WebP; the output is compressed by {compression}"
            )));
        }
        if !(1..=100).contains(&quality) {
            return Err(Error::usage(format!(
                "{compression} has qualities 1 to 100; {quality} is asked for"
            )));
        }
        encoding.quality = Some(quality);
    }
    if let Some(error) = options.max_error {
        if compression != Compression::Lerc {
            return Err(Error::usage(format!(
                "a maximal error is for LERC; the output is compressed by {compression}"
            )));
        }
        if !error.is_finite() || error < 0.0 {
            return Err(Error::usage(format!("a maximal error is a number from 0 up; {error} is asked for")));
        }
        encoding.max_error = error;
    }
    fits(header, colour, bands, compression, options.interleave)?;
    encoding.ycbcr = compression == Compression::Jpeg
        && options.interleave == Interleave::Pixel
        && colour.photometric == Photometric::Rgb
        && bands == 3;
    Ok(encoding)
}

/// The source's compression, to be written.
fn of_source(header: &Header) -> Result<(Compression, u16)> {
    let layout = &header.main.layout;
    let old = layout.compression == Compression::OldDeflate;
    let compression = if old { Compression::Deflate } else { layout.compression };
    Encoding::writable(compression).map_err(|error| {
        Error::unsupported(format!("{error}, so it cannot be kept; choose another with --compress"))
    })?;
    let wrapping = match layout.parameters {
        Parameters::Lerc { wrapping } => u16::try_from(wrapping.min(2)).unwrap_or(0),
        Parameters::None | Parameters::Group3 { .. } | Parameters::Jpeg { .. } => 0,
    };
    Ok((compression, wrapping))
}

/// Refuses samples that a compression does not take.
fn fits(
    header: &Header,
    colour: &Colour,
    bands: usize,
    compression: Compression,
    interleave: Interleave,
) -> Result<()> {
    let sample = header.sample_type;
    let bytes = sample == SampleType::U8 && header.bits == 8;
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others take bytes, whatever they mean")]
    let (fits, wants) = match compression {
        Compression::Jpeg => (
            bytes
                && colour.photometric != Photometric::Palette
                && (matches!(bands, 1 | 3 | 4) || interleave == Interleave::Band),
            "one, three or four bands of uint8 without a colour table",
        ),
        Compression::WebP => (
            bytes && interleave == Interleave::Pixel && matches!(bands, 3 | 4),
            "three or four interleaved bands of uint8",
        ),
        Compression::Lerc => (
            header.bits == sample.tiff().0
                && !sample.is_complex()
                && !matches!(sample, SampleType::F16 | SampleType::I64 | SampleType::U64),
            "whole integers of up to 32 bits, or 32 or 64-bit floats",
        ),
        _ => return Ok(()),
    };
    if fits {
        return Ok(());
    }
    Err(Error::usage(format!(
        "{compression} takes {wants}; the output has {bands} bands of {}-bit {}",
        header.bits,
        sample.name()
    )))
}

/// The output's predictor.
///
/// # Errors
/// [`crate::ErrorKind::Usage`] when the one that is asked for does not go with the samples.
pub fn predictor(header: &Header, encoding: &Encoding, options: &ClipOptions) -> Result<Predictor> {
    let (float, complex) = (header.sample_type.is_float(), header.sample_type.is_complex());
    let packed = header.bits < header.sample_type.tiff().0;
    match options.predictor {
        _ if !codec::has_predictor(encoding.compression) => Ok(Predictor::None),
        Some(Predictor::FloatingPoint) if !float => Err(Error::usage(format!(
            "predictor 3 is for floating-point samples; these are {}",
            header.sample_type.name()
        ))),
        Some(Predictor::Horizontal) if packed || complex => Err(Error::usage(format!(
            "predictor 2 is for samples of 8, 16, 32 and 64 bits that are not complex; these are {} in {} bits",
            header.sample_type.name(),
            header.bits
        ))),
        Some(predictor) => Ok(predictor),
        // What is stored alike can be copied.
        None if options.align_tiles
            && header.main.layout.compression == encoding.compression
            && matches!(
                header.main.layout.predictor,
                Predictor::None | Predictor::Horizontal | Predictor::FloatingPoint
            ) =>
        {
            Ok(header.main.layout.predictor)
        }
        None if header.is_classes() || packed || complex => Ok(Predictor::None),
        None if float => Ok(Predictor::FloatingPoint),
        None => Ok(Predictor::Horizontal),
    }
}
