//! PackBits: runs and literals counted by a signed byte (TIFF 6.0 §9).
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::too_short;
use crate::error::Result;
use crate::tiff::code::Compression;

/// Longest run or literal: a count of 127 means 128 bytes.
const LONGEST: usize = 128;

pub(super) fn decompress(data: &[u8], out: &mut [u8]) -> Result<()> {
    let wanted = out.len();
    let mut data = data;
    let mut out = out;
    while !out.is_empty() {
        let left = out.len();
        let ended = || too_short(Compression::PackBits, wanted.saturating_sub(left), wanted);
        let Some((&count, rest)) = data.split_first() else {
            return Err(ended());
        };
        // A run or literal may pass the end of `out`: the rest of it is extra data like any other.
        match count.cast_signed() {
            literal @ 0.. => {
                let len = usize::from(literal.unsigned_abs()).saturating_add(1).min(left);
                let Some((bytes, rest)) = rest.split_at_checked(len) else {
                    return Err(ended());
                };
                let (now, later) = out.split_at_mut(len);
                now.copy_from_slice(bytes);
                (data, out) = (rest, later);
            }
            // No operation, by the specification.
            -128 => data = rest,
            run => {
                let len = usize::from(run.unsigned_abs()).saturating_add(1).min(left);
                let Some((&byte, rest)) = rest.split_first() else {
                    return Err(ended());
                };
                let (now, later) = out.split_at_mut(len);
                now.fill(byte);
                (data, out) = (rest, later);
            }
        }
    }
    Ok(())
}

/// Runs of three or more bytes become runs, everything between them literals: at most one byte in 128 more
/// than `data`.
pub(super) fn compress(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity((data.len() / 2).saturating_add(64));
    let mut data = data;
    while !data.is_empty() {
        let run = run_length(data);
        let (len, count) = if run >= 3 {
            (run, 1_usize.wrapping_sub(run))
        } else {
            let len = literal_length(data);
            (len, len.saturating_sub(1))
        };
        let (now, later) = data.split_at(len);
        // The count is a signed byte: 1 - run for a run, length - 1 for a literal.
        let [count, ..] = count.to_le_bytes();
        out.push(count);
        out.extend_from_slice(if run >= 3 { now.get(..1).unwrap_or_default() } else { now });
        data = later;
    }
    out
}

/// How often the first byte stands at the start of `data`, up to [`LONGEST`].
fn run_length(data: &[u8]) -> usize {
    data.iter().take(LONGEST).take_while(|&byte| Some(byte) == data.first()).count()
}

/// Bytes before the next run of three, up to [`LONGEST`]; at least one.
fn literal_length(data: &[u8]) -> usize {
    let next_run =
        data.windows(3).take(LONGEST).position(|three| matches!(three, [a, b, c] if a == b && b == c));
    next_run.unwrap_or(data.len()).clamp(1, LONGEST).min(data.len())
}
