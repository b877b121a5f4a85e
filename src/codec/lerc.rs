//! LERC (code 34887), bare or in deflate or Zstandard, as libtiff stores it, through lerc-reader and lerc-writer.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use lerc_core::{MaskView, PixelData, RasterView};
use lerc_writer::{EncodeOptions, EncoderProfile};

use super::{deflate, zstd};
use crate::error::{Error, Result};
use crate::sample::{SampleType, Samples};

/// What a blob is packed in once more: the second number of tag 50674, LercParameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrapping {
    /// Nothing.
    None,
    /// A zlib stream.
    Deflate,
    /// Zstandard frames.
    Zstd,
}

/// Fills `samples`, whose length is `width` times rows times `samples_per_pixel`, pixel by pixel.
///
/// As libtiff has it (tif_lerc.c): the blob's type, width, height, depth and number of bands must be the layout's. A
/// pixel or band that the mask leaves out is NaN in floating-point samples and 0 in integers. Of 8-bit unsigned
/// samples the last may be missing, and is then alpha: 255 where the mask has a pixel, 0 where not.
pub(super) fn decompress(
    data: &[u8],
    wrapping: Wrapping,
    width: usize,
    samples_per_pixel: usize,
    samples: &mut Samples,
) -> Result<()> {
    let shape = Shape::new(width, samples_per_pixel, samples)?;
    let bytes = shape.values.saturating_mul(samples.sample_type().bytes());
    // What libtiff gives room to: a blob may be a little larger than its samples, for its header and masks.
    let most = bytes.saturating_add(bytes / 3).saturating_add(256);
    let unwrapped;
    let blobs = match wrapping {
        Wrapping::None => data,
        Wrapping::Deflate => {
            unwrapped = deflate::decompress_up_to(data, most)?;
            &unwrapped
        }
        Wrapping::Zstd => {
            unwrapped = zstd::decompress_up_to(data, most)?;
            &unwrapped
        }
    };
    let depth = shape.check(blobs, samples.sample_type())?;
    let bands = lerc_reader::decode_band_set(blobs)
        .map_err(|cause| Error::format("the LERC data are damaged").caused_by(cause))?;
    let masks = bands.band_masks();
    for (number, pixels) in bands.bands().iter().enumerate() {
        let mask = masks.get(number).and_then(Option::as_deref);
        let place = Place { shape, depth, first: number };
        if !place.fill(samples, pixels, mask) {
            return Err(Error::format("the LERC data hold other samples than their header says"));
        }
    }
    Ok(())
}

/// What the caller has room for.
#[derive(Clone, Copy)]
struct Shape {
    width: usize,
    rows: usize,
    samples_per_pixel: usize,
    values: usize,
}

impl Shape {
    fn new(width: usize, samples_per_pixel: usize, samples: &Samples) -> Result<Self> {
        let values = samples.len();
        let row = width.checked_mul(samples_per_pixel).filter(|row| *row > 0);
        let rows = row.and_then(|row| values.checked_div(row)).filter(|rows| *rows > 0);
        match (row, rows) {
            (Some(row), Some(rows)) if row.checked_mul(rows) == Some(values) => {
                Ok(Self { width, rows, samples_per_pixel, values })
            }
            _ => Err(Error::usage(format!(
                "{values} samples are no rows of {width} pixels of {samples_per_pixel} samples"
            ))),
        }
    }

    /// The depth of the blobs, once their headers say what the layout does. Nothing is decoded before.
    fn check(self, blobs: &[u8], sample: SampleType) -> Result<usize> {
        let mut rest = blobs;
        let (mut bands, mut depth) = (0_usize, 0);
        while !rest.is_empty() {
            let header = Header::read(rest)?;
            if Some(header.kind) != code(sample) {
                return Err(Error::format(format!(
                    "the LERC data are of type {}; the image's samples are {}",
                    header.kind,
                    sample.name()
                )));
            }
            if (header.width, header.rows) != (self.width, self.rows) {
                return Err(Error::format(format!(
                    "the LERC data hold {} x {} pixels; the image needs {} x {}",
                    header.width, header.rows, self.width, self.rows
                )));
            }
            if bands > 0 && header.depth != depth {
                return Err(Error::format("the bands of the LERC data are of different depths"));
            }
            depth = header.depth;
            bands = bands.saturating_add(1);
            if bands > self.samples_per_pixel {
                break;
            }
            rest = rest.get(header.len..).unwrap_or_default();
        }
        let all = self.samples_per_pixel;
        let alpha_is_mask = sample == SampleType::U8 && all > 1 && depth.checked_add(1) == Some(all);
        let planes = sample.is_float() && depth == 1 && bands == all;
        if bands == 1 && (depth == all || alpha_is_mask) || planes {
            Ok(depth)
        } else {
            Err(Error::format(format!(
                "the LERC data hold {bands} bands of {depth} samples a pixel; the image has {all} samples a pixel"
            )))
        }
    }
}

/// The head of a Lerc2 blob, as far as sizes go.
struct Header {
    width: usize,
    rows: usize,
    depth: usize,
    kind: usize,
    len: usize,
}

impl Header {
    fn read(blob: &[u8]) -> Result<Self> {
        let cut = || Error::format("the LERC data are cut off");
        if blob.starts_with(b"CntZImage ") {
            return Err(Error::unsupported("LERC data of version 1 are not supported"));
        }
        let Some(mut rest) = blob.strip_prefix(b"Lerc2 ") else {
            return Err(Error::format("the data are no LERC blob"));
        };
        let mut next = || {
            let (bytes, later) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
            rest = later;
            usize::try_from(u32::from_le_bytes(*bytes)).ok().ok_or_else(cut)
        };
        let version = next()?;
        if !(1..=6).contains(&version) {
            return Err(Error::unsupported(format!("LERC data of version 2.{version} are not supported")));
        }
        if version >= 3 {
            let _checksum = next()?;
        }
        let (rows, width) = (next()?, next()?);
        let depth = if version >= 4 { next()? } else { 1 };
        let (_valid, _block, len, kind) = (next()?, next()?, next()?, next()?);
        if len == 0 || len > blob.len() {
            return Err(Error::format(format!(
                "a LERC blob says it has {len} bytes; there are {}",
                blob.len()
            )));
        }
        Ok(Self { width, rows, depth, kind, len })
    }
}

/// LERC's number of a sample type; none for those it does not store.
fn code(sample: SampleType) -> Option<usize> {
    let types = [
        SampleType::I8,
        SampleType::U8,
        SampleType::I16,
        SampleType::U16,
        SampleType::I32,
        SampleType::U32,
        SampleType::F32,
        SampleType::F64,
    ];
    types.iter().position(|known| *known == sample)
}

/// Where the samples of one blob go.
struct Place {
    shape: Shape,
    depth: usize,
    first: usize,
}

impl Place {
    /// Whether the pixels are of the samples' type and number; they are then in their places.
    fn fill(&self, samples: &mut Samples, pixels: &PixelData, mask: Option<&[u8]>) -> bool {
        match (samples, pixels) {
            (Samples::U8(out), PixelData::U8(from)) => {
                let all = self.shape.samples_per_pixel;
                if self.depth < all && all > 1 {
                    for (at, pixel) in out.chunks_exact_mut(all).enumerate() {
                        if let Some(alpha) = pixel.last_mut() {
                            *alpha = if is_valid(mask, at) { 255 } else { 0 };
                        }
                    }
                }
                self.copy(out, from, mask, 0)
            }
            (Samples::I8(out), PixelData::I8(from)) => self.copy(out, from, mask, 0),
            (Samples::I16(out), PixelData::I16(from)) => self.copy(out, from, mask, 0),
            (Samples::U16(out), PixelData::U16(from)) => self.copy(out, from, mask, 0),
            (Samples::I32(out), PixelData::I32(from)) => self.copy(out, from, mask, 0),
            (Samples::U32(out), PixelData::U32(from)) => self.copy(out, from, mask, 0),
            (Samples::F32(out), PixelData::F32(from)) => self.copy(out, from, mask, f32::NAN),
            (Samples::F64(out), PixelData::F64(from)) => self.copy(out, from, mask, f64::NAN),
            _ => false,
        }
    }

    fn copy<T: Copy>(&self, out: &mut [T], from: &[T], mask: Option<&[u8]>, invalid: T) -> bool {
        let pixels = out.chunks_exact_mut(self.shape.samples_per_pixel);
        if self.depth.checked_mul(pixels.len()) != Some(from.len()) {
            return false;
        }
        for (at, (pixel, from)) in pixels.zip(from.chunks_exact(self.depth)).enumerate() {
            let valid = is_valid(mask, at);
            for (to, value) in pixel.iter_mut().skip(self.first).zip(from) {
                *to = if valid { *value } else { invalid };
            }
        }
        true
    }
}

fn is_valid(mask: Option<&[u8]>, at: usize) -> bool {
    mask.is_none_or(|mask| mask.get(at).is_some_and(|valid| *valid != 0))
}

/// A blob with no value further than `max_error` from its sample, as GDAL writes it: NaN goes to the mask, or to one
/// mask a band (and one blob a band) when some pixel is NaN in some bands only.
#[expect(clippy::wildcard_enum_match_arm, reason = "the other samples are refused")]
pub(super) fn compress(
    max_error: f64,
    wrapping: Wrapping,
    width: usize,
    samples_per_pixel: usize,
    samples: &Samples,
) -> Result<Vec<u8>> {
    let shape = Shape::new(width, samples_per_pixel, samples)?;
    if !max_error.is_finite() || max_error < 0.0 {
        return Err(Error::usage(format!("LERC's largest error must be 0 or more, not {max_error}")));
    }
    let options = EncodeOptions::new().with_max_z_error(max_error).with_profile(EncoderProfile::Gdal);
    let blobs = match samples {
        Samples::U8(v) => encode(v, None, shape, samples_per_pixel, options),
        Samples::I8(v) => encode(v, None, shape, samples_per_pixel, options),
        Samples::I16(v) => encode(v, None, shape, samples_per_pixel, options),
        Samples::U16(v) => encode(v, None, shape, samples_per_pixel, options),
        Samples::I32(v) => encode(v, None, shape, samples_per_pixel, options),
        Samples::U32(v) => encode(v, None, shape, samples_per_pixel, options),
        Samples::F32(v) => encode_float(v, shape, options, |value| value.is_nan()),
        Samples::F64(v) => encode_float(v, shape, options, |value| value.is_nan()),
        _ => {
            return Err(Error::unsupported(format!("LERC has no {}", samples.sample_type().name())));
        }
    };
    let blobs =
        blobs.map_err(|cause| Error::unsupported("LERC refused to compress a tile").caused_by(cause))?;
    match wrapping {
        Wrapping::None => Ok(blobs),
        Wrapping::Deflate => deflate::compress(6, &blobs),
        Wrapping::Zstd => zstd::compress(9, &blobs),
    }
}

type Encoded = Result<Vec<u8>, lerc_core::Error>;

fn encode<T: lerc_core::Sample>(
    values: &[T],
    mask: Option<&[u8]>,
    shape: Shape,
    depth: usize,
    options: EncodeOptions,
) -> Encoded {
    let [width, rows, depth] = [shape.width, shape.rows, depth].map(|n| u32::try_from(n).unwrap_or(u32::MAX));
    let mask = mask.map(|mask| MaskView::new(width, rows, mask)).transpose()?;
    lerc_writer::encode(RasterView::new(width, rows, depth, values)?, mask, options)
}

fn encode_float<T: lerc_core::Sample>(
    values: &[T],
    shape: Shape,
    options: EncodeOptions,
    is_nan: impl Fn(&T) -> bool + Copy,
) -> Encoded {
    let all = shape.samples_per_pixel;
    let (mut some, mut part) = (false, false);
    for pixel in values.chunks_exact(all) {
        let count = pixel.iter().filter(|value| is_nan(value)).count();
        some |= count > 0;
        part |= count > 0 && count < all;
    }
    if !some {
        return encode(values, None, shape, all, options);
    }
    let kept = |value: &T| if is_nan(value) { T::default() } else { *value };
    let masked = |values: Vec<T>, depth: usize| {
        let pixels = values.chunks_exact(depth);
        let mask: Vec<u8> = pixels.map(|pixel| u8::from(!pixel.first().is_some_and(is_nan))).collect();
        let values: Vec<T> = values.iter().map(kept).collect();
        encode(&values, Some(&mask), shape, depth, options)
    };
    if !part {
        return masked(values.to_vec(), all);
    }
    let mut blobs = Vec::new();
    for band in 0..all {
        blobs.extend(masked(values.iter().skip(band).step_by(all).copied().collect(), 1)?);
    }
    Ok(blobs)
}
