//! PackBits: runs and literals counted by a signed byte (TIFF 6.0 §9).
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::too_short;
use crate::error::Result;
use crate::tiff::code::Compression;

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
