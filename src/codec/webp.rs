//! WebP (50001; libtiff's tif_webp.c), through image-webp; lossy WebP is written by its fork vaam-image-webp.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::io::Cursor;

use image_webp::{ColorType, WebPDecoder, WebPEncoder};
use image_webp_lossy as lossy;

use crate::error::{Error, Result};

/// Fills `out` with pixels of 3 or 4 samples. As in libtiff an opaque image gets an alpha of 255 where one is
/// wanted, and an image with alpha is refused where none is.
pub(super) fn decompress(data: &[u8], width: usize, samples_per_pixel: usize, out: &mut [u8]) -> Result<()> {
    if out.is_empty() {
        return Ok(());
    }
    let rows = rows(width, samples_per_pixel, out.len())?;
    check_chunks(data, width, rows)?;
    let damaged = |cause| Error::format("the WebP data are damaged").caused_by(cause);
    let mut decoder = WebPDecoder::new(Cursor::new(data)).map_err(damaged)?;
    let (w, h) = decoder.dimensions();
    check_size(w, h, width, rows)?;
    match (decoder.has_alpha(), samples_per_pixel) {
        (false, 3) | (true, 4) => decoder.read_image(out).map_err(damaged),
        (true, _) => Err(Error::format("the WebP data have 4 samples per pixel, not 3 as the image does")),
        (false, _) => {
            let mut opaque = vec![0; (out.len() / 4).saturating_mul(3)];
            decoder.read_image(&mut opaque).map_err(damaged)?;
            for (to, from) in out.chunks_exact_mut(4).zip(opaque.chunks_exact(3)) {
                if let ([colour @ .., alpha], Ok(from)) = (to, <&[u8; 3]>::try_from(from)) {
                    colour.copy_from_slice(from);
                    *alpha = 255;
                }
            }
            Ok(())
        }
    }
}

/// A complete file: lossless, or lossy at a quality, alpha being kept either way. The same data give the same bytes.
///
/// # Errors
/// [`crate::ErrorKind::Usage`] for a quality out of 1 to 100, and for a shape that WebP lacks.
pub(super) fn compress(
    quality: Option<u8>,
    width: usize,
    samples_per_pixel: usize,
    data: &[u8],
) -> Result<Vec<u8>> {
    let rows = rows(width, samples_per_pixel, data.len())?;
    let side = |value: usize| {
        u32::try_from(value)
            .ok()
            .filter(|side| (1..=16384).contains(side))
            .ok_or_else(|| Error::usage(format!("WebP has sides of 1 to 16384 pixels, not {value}")))
    };
    let (width, rows) = (side(width)?, side(rows)?);
    let mut out = Vec::with_capacity((data.len() / 2).saturating_add(64));
    match quality {
        None => {
            let colours = if samples_per_pixel == 4 { ColorType::Rgba8 } else { ColorType::Rgb8 };
            let encoded = WebPEncoder::new(&mut out).encode(data, width, rows, colours);
            encoded.map_err(|cause| Error::usage("WebP refused to compress a tile").caused_by(cause))?;
        }
        Some(quality @ 1..=100) => {
            let colours =
                if samples_per_pixel == 4 { lossy::ColorType::Rgba8 } else { lossy::ColorType::Rgb8 };
            let mut params = lossy::EncoderParams::default();
            params.use_lossy = true;
            params.lossy_quality = scaled(quality);
            let mut encoder = lossy::WebPEncoder::new(&mut out);
            encoder.set_params(params);
            let done = encoder.encode(data, width, rows, colours);
            done.map_err(|cause| Error::usage("WebP refused to compress a tile").caused_by(cause))?;
        }
        Some(quality) => {
            return Err(Error::usage(format!("WebP has qualities from 1 to 100, not {quality}")));
        }
    }
    Ok(out)
}

/// The encoder's own quality that looks like libwebp's: at 75 libwebp keeps as much as this encoder at 89.
fn scaled(quality: u8) -> u8 {
    let loss = u16::from(100_u8.saturating_sub(quality));
    100_u8.saturating_sub(u8::try_from(loss.saturating_mul(44) / 100).unwrap_or(100))
}

fn rows(width: usize, samples_per_pixel: usize, bytes: usize) -> Result<usize> {
    if !matches!(samples_per_pixel, 3 | 4) {
        return Err(Error::unsupported(format!(
            "WebP has 3 or 4 samples per pixel, not {samples_per_pixel}"
        )));
    }
    width
        .checked_mul(samples_per_pixel)
        .and_then(|stride| bytes.checked_div(stride))
        .filter(|rows| rows.saturating_mul(width).saturating_mul(samples_per_pixel) == bytes)
        .ok_or_else(|| Error::format(format!("{bytes} bytes are no whole rows of {width} WebP pixels")))
}

/// Looks into all chunks before image-webp does: it trusts the size of a frame inside an extended file, and takes
/// data that end early for zeros here and there.
fn check_chunks(data: &[u8], width: usize, rows: usize) -> Result<()> {
    let Some((b"RIFF", rest)) = data.split_first_chunk::<4>() else {
        return Err(Error::format("the WebP data do not begin with RIFF"));
    };
    let (len, body) = chunk_body(rest)?;
    let Some((b"WEBP", mut chunks)) = body.split_first_chunk::<4>() else {
        return Err(Error::format(format!("the RIFF data of {len} bytes are not WebP")));
    };
    while let Some((name, rest)) = chunks.split_first_chunk::<4>() {
        let (len, body) = chunk_body(rest)?;
        match (name, body) {
            (b"VP8 ", [_, _, _, _, _, _, w0, w1, h0, h1, ..]) => check_size(
                u32::from(u16::from_le_bytes([*w0, *w1]) & 0x3fff),
                u32::from(u16::from_le_bytes([*h0, *h1]) & 0x3fff),
                width,
                rows,
            )?,
            (b"VP8L", [_, a, b, c, d, ..]) => {
                let bits = u32::from_le_bytes([*a, *b, *c, *d]);
                check_size(
                    (bits & 0x3fff).saturating_add(1),
                    (bits >> 14 & 0x3fff).saturating_add(1),
                    width,
                    rows,
                )?;
            }
            (b"VP8 " | b"VP8L", _) => {
                return Err(Error::format(format!("a WebP frame of {len} bytes is too short")));
            }
            (b"ANIM" | b"ANMF", _) => return Err(Error::unsupported("animated WebP is not supported")),
            _ => {}
        }
        // Chunks begin at even offsets.
        chunks = rest.get(len.saturating_add(4).saturating_add(len % 2)..).unwrap_or_default();
    }
    Ok(())
}

/// The length that stands before a chunk's body, and the body.
fn chunk_body(data: &[u8]) -> Result<(usize, &[u8])> {
    let found = data.len().saturating_sub(4);
    let (len, rest) = data
        .split_first_chunk::<4>()
        .ok_or_else(|| Error::format("the WebP data end in the header of a chunk"))?;
    let len = usize::try_from(u32::from_le_bytes(*len)).unwrap_or(usize::MAX);
    match rest.get(..len) {
        Some(body) => Ok((len, body)),
        None => Err(Error::format(format!("the WebP data end after {found} of {len} bytes of a chunk"))),
    }
}

fn check_size(found_width: u32, found_rows: u32, width: usize, rows: usize) -> Result<()> {
    if (usize::try_from(found_width), usize::try_from(found_rows)) == (Ok(width), Ok(rows)) {
        return Ok(());
    }
    Err(Error::format(format!(
        "the WebP data hold {found_width} x {found_rows} pixels, not {width} x {rows}"
    )))
}
