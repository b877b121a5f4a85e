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

/// The most bytes that one literal or one run stands for.
const LONGEST: usize = 128;

/// `data` packed, each row of `row` bytes on its own (TIFF 6.0 §9).
///
/// Runs and literals are chosen as in libtiff's encoder: two equal bytes between literals stay literal, because two
/// counts cost more than they save; longer runs, and two bytes elsewhere, are runs.
pub(super) fn compress(row: usize, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity((data.len() / 2).saturating_add(64));
    for row in data.chunks(row.max(1)) {
        pack_row(row, &mut out);
    }
    out
}

fn pack_row(row: &[u8], out: &mut Vec<u8>) {
    let mut pieces = row.chunk_by(|a, b| a == b).flat_map(|run| run.chunks(LONGEST)).peekable();
    // Bytes not yet written that will be a literal.
    let mut literal: Vec<u8> = Vec::new();
    while let Some(piece) = pieces.next() {
        let between = !literal.is_empty()
            && literal.len() < LONGEST.saturating_sub(2)
            && pieces.peek().is_some_and(|next| next.len() == 1);
        match piece {
            [byte] => literal.push(*byte),
            [byte, _] if between => literal.extend([*byte; 2]),
            run => {
                write_literal(&mut literal, out);
                // A count of -(n - 1), from -1 to -127.
                let count = u8::try_from(run.len()).unwrap_or(u8::MAX);
                out.push(1_u8.wrapping_sub(count));
                out.extend(run.first());
            }
        }
        if literal.len() == LONGEST {
            write_literal(&mut literal, out);
        }
    }
    write_literal(&mut literal, out);
}

fn write_literal(literal: &mut Vec<u8>, out: &mut Vec<u8>) {
    if let Some(count) = literal.len().checked_sub(1).and_then(|count| u8::try_from(count).ok()) {
        out.push(count);
        out.append(literal);
    }
}
