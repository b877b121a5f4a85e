//! The bytes of a PNG file (W3C PNG, Third Edition): 8 bits a channel, no colour profile, no metadata.

use std::io::Write as _;

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};

use super::preview::Picture;
use crate::error::{Error, Result};

/// How a PNG file starts (§5.2).
const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

/// Filters of a row (§9): the row as it is, less its left neighbour, less the row above, less their mean, less Paeth's guess.
const FILTERS: usize = 5;

/// The PNG file of a picture.
///
/// # Errors
/// [`crate::ErrorKind::Usage`] for a picture whose channels are not 1 to 4 or whose data are not of its size.
pub fn encode(picture: &Picture) -> Result<Vec<u8>> {
    // Grey, grey and alpha, red green blue, and alpha (§11.2.1).
    let colour_type = match picture.channels {
        1 => 0,
        2 => 4,
        3 => 2,
        4 => 6,
        other => return Err(Error::usage(format!("a PNG has 1 to 4 channels, not {other}"))),
    };
    let row = picture.size.width as usize * usize::from(picture.channels);
    if row == 0 || picture.data.len() as u64 != row as u64 * u64::from(picture.size.height) {
        return Err(Error::usage("a picture whose data are not of its size"));
    }
    let mut head = Vec::with_capacity(13);
    head.extend_from_slice(&picture.size.width.to_be_bytes());
    head.extend_from_slice(&picture.size.height.to_be_bytes());
    // 8 bits, the colour type, deflate, adaptive filters, not interlaced.
    head.extend_from_slice(&[8, colour_type, 0, 0, 0]);
    let data = compressed(&picture.data, row, picture.channels.into())
        .map_err(|cause| Error::io("the picture could not be compressed").caused_by(cause))?;

    let mut out = SIGNATURE.to_vec();
    chunk(&mut out, *b"IHDR", &head);
    // A chunk's length is at most 2^31 - 1 (§5.3).
    for part in data.chunks(1 << 30) {
        chunk(&mut out, *b"IDAT", part);
    }
    chunk(&mut out, *b"IEND", &[]);
    Ok(out)
}

/// Length, type, data, checksum of type and data (§5.3).
fn chunk(out: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    let mut crc = Crc::new();
    crc.update(&kind);
    crc.update(data);
    out.extend_from_slice(&u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(&kind);
    out.extend_from_slice(data);
    out.extend_from_slice(&crc.sum().to_be_bytes());
}

/// The rows, each by the filter whose bytes are nearest to zero (§12.7), in a zlib stream.
fn compressed(data: &[u8], row: usize, pixel: usize) -> std::io::Result<Vec<u8>> {
    let mut out = ZlibEncoder::new(Vec::new(), Compression::default());
    let mut above = vec![0; row];
    let (mut tried, mut best) = (vec![0; row], vec![0; row]);
    for line in data.chunks_exact(row) {
        let mut least = u64::MAX;
        let mut chosen = 0_u8;
        for (filter, number) in (0..FILTERS).zip(0_u8..) {
            filtered(filter, line, &above, pixel, &mut tried);
            let far = tried.iter().map(|&byte| u64::from(byte.cast_signed().unsigned_abs())).sum();
            if far < least {
                (least, chosen) = (far, number);
                std::mem::swap(&mut tried, &mut best);
            }
        }
        out.write_all(&[chosen])?;
        out.write_all(&best)?;
        above.copy_from_slice(line);
    }
    out.finish()
}

/// A row by one filter; `left` of its first pixel, and above the first row, is zero.
fn filtered(filter: usize, line: &[u8], above: &[u8], pixel: usize, out: &mut [u8]) {
    let before =
        |row: &[u8], at: usize| at.checked_sub(pixel).and_then(|at| row.get(at)).copied().unwrap_or(0);
    for (at, ((&byte, &up), out)) in line.iter().zip(above).zip(out).enumerate() {
        let (left, corner) = (before(line, at), before(above, at));
        let guess = match filter {
            0 => 0,
            1 => left,
            2 => up,
            3 => left.midpoint(up),
            _ => paeth(left, up, corner),
        };
        *out = byte.wrapping_sub(guess);
    }
}

/// Of the left, upper and upper left neighbours the one that is nearest to left + upper - corner, in this order (§9.4).
fn paeth(left: u8, up: u8, corner: u8) -> u8 {
    let guess = i16::from(left) + i16::from(up) - i16::from(corner);
    let far = |byte: u8| (guess - i16::from(byte)).abs();
    if far(left) <= far(up) && far(left) <= far(corner) {
        left
    } else if far(up) <= far(corner) {
        up
    } else {
        corner
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::Size;

    /// What the crate png reads is what was put in.
    #[track_caller]
    fn check(width: u32, height: u32, channels: u8, byte: impl Fn(u32) -> u8) {
        let count = width * height * u32::from(channels);
        let data: Vec<u8> = (0..count).map(byte).collect();
        let picture = Picture { size: Size::new(width, height), channels, data };
        let file = encode(&picture).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let mut read = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut read).unwrap();
        assert_eq!((info.width, info.height), (width, height));
        assert_eq!((info.color_type.samples(), info.bit_depth), (channels.into(), png::BitDepth::Eight));
        assert!(read == picture.data, "{width} x {height} x {channels}");
    }

    #[test]
    fn another_reader_reads_what_was_put_in() {
        for channels in 1..=4 {
            check(1, 1, channels, |_| 200);
            check(1, 9, channels, |n| (n * n % 251).to_le_bytes()[0]);
            check(37, 11, channels, |n| (n.wrapping_mul(2_654_435_761) >> 24).to_le_bytes()[0]);
            // Gradients along rows, columns and both, for which other filters are chosen.
            check(64, 64, channels, |n| (n % 64).to_le_bytes()[0]);
            check(64, 64, channels, |n| (n / 64).to_le_bytes()[0]);
            check(64, 64, channels, |n| (n % 64 + 2 * n / 64).to_le_bytes()[0]);
        }
    }

    #[test]
    fn filters_make_a_gradient_small() {
        let data: Vec<u8> = (0..256 * 256_u32).map(|n| (n % 256 / 2 + n / 512).to_le_bytes()[0]).collect();
        let size = encode(&Picture { size: Size::new(256, 256), channels: 1, data }).unwrap().len();
        assert!(size < 2000, "{size}");
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        for (width, channels, len) in [(2, 5, 20), (2, 3, 11), (0, 1, 0)] {
            let picture = Picture { size: Size::new(width, 2), channels, data: vec![0; len] };
            assert_eq!(encode(&picture).unwrap_err().kind(), crate::ErrorKind::Usage);
        }
    }
}
