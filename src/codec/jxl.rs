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

/// The most frames of one image. Besides the picture there may be what its patches are copied from and its lower
/// frequencies; thousands of layers, each as large as the image, would fit in a small file.
const MAX_FRAMES: usize = 8;

/// What all patches of a frame may cover, in frames. libjxl's do not overlap. The format has them cover all of the frame,
/// one on the other, as often as it has pixels, for hardly a bit each.
const MAX_PATCHED: u64 = 16;

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
    check_frames(&image)?;
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

/// Refuses what would take time out of all proportion to the image, before anything is rendered. No memory limit bounds
/// these: they paint the same pixels over and over.
fn check_frames(image: &JxlImage) -> Result<()> {
    let count = image.num_loaded_frames();
    if count > MAX_FRAMES {
        return Err(Error::limit(format!("the JPEG XL image has {count} frames; the limit is {MAX_FRAMES}")));
    }
    let pixels = u64::from(image.width()).saturating_mul(image.height().into());
    for frame in (0..count).filter_map(|number| image.frame(number)) {
        let header = frame.header();
        let own = u64::from(header.width).saturating_mul(header.height.into());
        if own > pixels.saturating_mul(2).saturating_add(1 << 16) {
            return Err(Error::limit(format!(
                "a frame of the JPEG XL image has {} x {} pixels; the image has {} x {}",
                header.width,
                header.height,
                image.width(),
                image.height()
            )));
        }
        // No encoder makes splines, and the format has their area grow to 2^32 pixels in any image.
        if header.flags.splines() {
            return Err(Error::unsupported("a JPEG XL image with splines is not supported"));
        }
        if !header.flags.patches() {
            continue;
        }
        let Some(global) = frame.try_parse_lf_global::<i32>() else {
            return Err(Error::format("the JPEG XL image is cut off"));
        };
        let patches = global.map_err(|cause| damaged(cause.into()))?.patches;
        let covered = patches.iter().flat_map(|patches| &patches.patches).fold(0_u64, |sum, patch| {
            let area = u64::from(patch.width).saturating_mul(patch.height.into()).min(pixels.max(own));
            sum.saturating_add(area.saturating_mul(patch.patch_targets.len() as u64))
        });
        if covered > pixels.max(own).saturating_mul(MAX_PATCHED) {
            return Err(Error::limit(format!(
                "the patches of the JPEG XL image cover {covered} pixels; the limit is {MAX_PATCHED} times the image"
            )));
        }
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    #![allow(
        clippy::allow_attributes,
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        reason = "these inputs are our own"
    )]

    use super::*;
    use crate::ErrorKind;

    /// The header of a layer as large as its grey image, coded as in ISO/IEC 18181-1 §C.2 (modular, nothing special, not
    /// the last), and a table of contents of one part of `len` bytes.
    fn layer(len: usize) -> Vec<u8> {
        let mut bits = Vec::new();
        let mut push = |value: usize, count: usize| bits.extend((0..count).map(|bit| value >> bit & 1 != 0));
        // Default, type, encoding, flags, YCbCr, upsampling, size of groups, passes, crop, blending, last.
        for (value, count) in
            [(0, 1), (0, 2), (1, 1), (0, 2), (0, 1), (0, 2), (1, 2), (0, 2), (0, 1), (0, 2), (0, 1)]
        {
            push(value, count);
        }
        // Place to keep it, when to keep it, name, filter, extensions; permutation.
        for (value, count) in [(0, 2), (0, 1), (0, 2), (1, 1), (0, 2), (0, 1)] {
            push(value, count);
        }
        bits.resize(bits.len().next_multiple_of(8), false);
        bits.extend([false; 2]);
        bits.extend((0..10).map(|bit| len >> bit & 1 != 0));
        let byte = |bits: &[bool]| bits.iter().rev().fold(0, |byte, &bit| byte << 1 | u8::from(bit));
        bits.chunks(8).map(byte).collect()
    }

    /// The first JPEG XL tile of testdata/codec/more.tsv, a grey one, led by layers with its own samples; and its shape.
    fn layered(count: usize) -> (Vec<u8>, usize, Samples) {
        let stored = include_bytes!("../../testdata/codec/more.stored.bin");
        let table = include_str!("../../testdata/codec/more.tsv");
        let line = table.lines().find(|line| line.contains("\t50002\t0\tuint8\t1\t")).unwrap();
        let number = |at: usize| line.split('\t').nth(at).unwrap().parse::<usize>().unwrap();
        let data = &stored[number(8)..][..number(9)];
        let image = open(data, BASE).unwrap();
        let len = image.frame(0).unwrap().toc().total_byte_size();
        let (start, frame) = data.split_at(image.frame_offset(0).unwrap());
        let part = &frame[frame.len() - len..];
        let layer = [&layer(len), part].concat();
        let all = [start, &layer.repeat(count), frame].concat();
        (all, number(5), Samples::U8(vec![0; number(5) * number(6)]))
    }

    #[test]
    fn a_few_layers_are_read_and_many_are_refused() {
        let decode = |count| {
            let (data, width, mut samples) = layered(count);
            decompress(&data, width, 1, &mut samples).map(|()| samples)
        };
        let alone = decode(0).unwrap();
        // The last one hides those before it.
        assert_eq!(decode(2).unwrap(), alone);
        // Layers of 256 x 256 pixels take some tens of bytes and a millisecond each: 200 KB of them, ten seconds.
        let error = decode(8).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
        assert!(error.to_string().contains("9 frames"), "{error}");
    }
}
