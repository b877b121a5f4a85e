//! JPEG XL (codes 50002 and 52546), as GDAL stores it, through jxl-oxide.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use jxl_bitstream::{Bitstream, ContainerParser, ParseEvent};
use jxl_oxide::image::BitDepth;
use jxl_oxide::{AllocTracker, ImageHeader, InitializeResult, JxlImage, JxlThreadPool};
use jxl_oxide_common::Bundle;

use crate::error::{Error, Result};
use crate::sample::Samples;

/// What the decoder may take in bytes besides [`PER_SAMPLE`]: groups are padded, and tables have their sizes.
const BASE: usize = 32 << 20;

/// What the decoder may take in bytes a sample: some planes of 32 bits each, and as many while filters run.
const PER_SAMPLE: usize = 64;

/// Fills `samples`, whose length is `width` times rows times `samples_per_pixel`, pixel by pixel: the colours and then
/// the extra channels in their order, alpha as it is stored.
///
/// As GDAL has it (tif_jxl.c), width, height and bits a sample must be the layout's.
#[expect(clippy::wildcard_enum_match_arm, reason = "the other samples are refused")]
pub(super) fn decompress(
    data: &[u8],
    width: usize,
    samples_per_pixel: usize,
    samples: &mut Samples,
) -> Result<()> {
    let row = width.checked_mul(samples_per_pixel).filter(|row| *row > 0);
    let Some(rows) = row.and_then(|row| samples.len().checked_div(row)) else {
        return Err(Error::usage(format!("{width} pixels of {samples_per_pixel} samples are no row")));
    };
    let expected = match samples {
        Samples::U8(_) => (8, false),
        Samples::U16(_) => (16, false),
        Samples::F32(_) => (32, true),
        _ => {
            return Err(Error::unsupported(format!(
                "JPEG XL of {} is not supported",
                samples.sample_type().name()
            )));
        }
    };
    // All that is claimed is looked at before the decoder starts.
    let header = read_header(data)?;
    let size = (header.width_with_orientation(), header.height_with_orientation());
    if (usize::try_from(size.0), usize::try_from(size.1)) != (Ok(width), Ok(rows)) {
        return Err(Error::format(format!(
            "the JPEG XL image has {} x {} pixels; {width} x {rows} are expected",
            size.0, size.1
        )));
    }
    let meta = &header.metadata;
    let depths = meta.ec_info.iter().map(|extra| extra.bit_depth);
    for depth in std::iter::once(meta.bit_depth).chain(depths) {
        let found = match depth {
            BitDepth::IntegerSample { bits_per_sample } => (bits_per_sample, false),
            BitDepth::FloatSample { bits_per_sample, .. } => (bits_per_sample, true),
        };
        if found != expected {
            return Err(Error::format(format!(
                "the JPEG XL image has {} bits a sample; the image's samples are {}",
                found.0,
                samples.sample_type().name()
            )));
        }
    }
    let colours = if meta.grayscale() { 1 } else { 3_usize };
    let channels = colours.saturating_add(meta.ec_info.len());
    if channels != samples_per_pixel {
        return Err(Error::format(format!(
            "the JPEG XL image has {channels} channels; {samples_per_pixel} samples a pixel are expected"
        )));
    }
    // None of these comes from GDAL. A profile or a preview has a size of its own.
    let extras = [
        (meta.orientation != 1, "rotated"),
        (meta.animation.is_some(), "an animation"),
        (meta.preview.is_some(), "with a preview"),
        (meta.colour_encoding.want_icc(), "with an ICC profile"),
    ];
    if let Some((_, what)) = extras.iter().find(|(found, _)| *found) {
        return Err(Error::unsupported(format!("a JPEG XL image that is {what} is not supported")));
    }
    let most = samples.len().saturating_mul(PER_SAMPLE).saturating_add(BASE);
    let mut image = open(data, most)?;
    image.set_render_spot_color(false);
    if image.num_loaded_keyframes() == 0 {
        return Err(Error::format("the JPEG XL image is cut off"));
    }
    let render = image.render_frame(0).map_err(damaged)?;
    let mut planes: Vec<_> = render.image_planar();
    if planes.len() != channels
        || planes
            .iter_mut()
            .any(|plane| (plane.width(), plane.height(), plane.channels()) != (width, rows, 1))
    {
        return Err(Error::format("the JPEG XL frame has another shape than its image"));
    }
    for (band, plane) in planes.iter().enumerate() {
        let values = plane.buf();
        match samples {
            Samples::U8(out) => spread(out, band, channels, values, |value| {
                u8::try_from(to_integer(value, u8::MAX.into())).unwrap_or(u8::MAX)
            }),
            Samples::U16(out) => spread(out, band, channels, values, |value| to_integer(value, u16::MAX)),
            Samples::F32(out) => spread(out, band, channels, values, |value| value),
            _ => {}
        }
    }
    Ok(())
}

/// The longest image header in bytes that is looked for: with a few extra channels it has some dozens.
const LONGEST_HEADER: usize = 4096;

/// The image header at the start of the codestream, bare or in a container.
fn read_header(data: &[u8]) -> Result<ImageHeader> {
    let mut parser = ContainerParser::new();
    let mut start = Vec::new();
    for event in parser.feed_bytes(data) {
        if let ParseEvent::Codestream(part) = event.map_err(|cause| damaged(cause.into()))? {
            start.extend(part.iter().take(LONGEST_HEADER.saturating_sub(start.len())));
            if start.len() == LONGEST_HEADER {
                break;
            }
        }
    }
    ImageHeader::parse(&mut Bitstream::new(&start), ()).map_err(|cause| damaged(cause.into()))
}

fn open(data: &[u8], most: usize) -> Result<JxlImage> {
    let tracker = AllocTracker::with_limit(most);
    let mut image = JxlImage::builder().pool(JxlThreadPool::none()).alloc_tracker(tracker).build_uninit();
    image.feed_bytes(data).map_err(damaged)?;
    match image.try_init().map_err(damaged)? {
        InitializeResult::Initialized(image) => Ok(image),
        InitializeResult::NeedMoreData(_) => Err(Error::format("the JPEG XL image is cut off")),
    }
}

fn damaged(cause: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::format("the JPEG XL image is damaged").caused_by(cause)
}

fn spread<T>(out: &mut [T], band: usize, channels: usize, values: &[f32], convert: impl Fn(f32) -> T) {
    for (pixel, value) in out.chunks_exact_mut(channels).zip(values) {
        if let Some(sample) = pixel.get_mut(band) {
            *sample = convert(*value);
        }
    }
}

/// The nearest integer to a value that goes from 0 to 1; integers come back to the bit, for `f32` has 24.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and makes NaN 0"
)]
fn to_integer(value: f32, most: u16) -> u16 {
    (value * f32::from(most) + 0.5).clamp(0.0, most.into()) as u16
}
