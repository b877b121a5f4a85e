//! CCITT's bilevel codes: modified Huffman (TIFF 6.0 §10), Group 3 and Group 4 (§11; ITU-T T.4 and T.6), through
//! hayro-ccitt. Bits arrive most significant first: the caller has undone a FillOrder of 2.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use hayro_ccitt::{DecodeSettings, Decoder, DecoderContext, EncodingMode};

use crate::error::{Error, Result};

/// How rows are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// Compression 2: each row by itself, from a byte's start, without end-of-line codes.
    Rle,
    /// Compression 3, one-dimensional or, by bit 0 of T4Options, two-dimensional. End-of-line codes may be missing
    /// and fill bits may precede them, whatever T4Options says.
    Group3 { two_dimensional: bool },
    /// Compression 4: each row by the one above.
    Group4,
}

/// Fills `out`, rows of (`width` + 7) / 8 bytes, with packed pixels: 1 where a black run is. What black means is
/// PhotometricInterpretation's affair. Bits beyond `width` are 0.
///
/// libtiff patches a damaged row up and goes on with a warning; here it is an error, as are missing rows.
pub(super) fn decompress(scheme: Scheme, data: &[u8], width: usize, out: &mut [u8]) -> Result<()> {
    let stride = width.div_ceil(8);
    if out.is_empty() || stride == 0 {
        return Ok(());
    }
    let wanted = out.len().checked_div(stride).unwrap_or(0);
    let number = |value| {
        u32::try_from(value).map_err(|cause| {
            Error::limit(format!("CCITT data of {value} columns or rows are not read")).caused_by(cause)
        })
    };
    let settings = DecodeSettings {
        columns: number(width)?,
        rows: number(wanted)?,
        // Never so for RLE, where a row may begin with anything.
        end_of_block: scheme != Scheme::Rle,
        end_of_line: false,
        rows_are_byte_aligned: scheme == Scheme::Rle,
        encoding: match scheme {
            Scheme::Rle | Scheme::Group3 { two_dimensional: false } => EncodingMode::Group3_1D,
            Scheme::Group3 { two_dimensional: true } => EncodingMode::Group3_2D,
            Scheme::Group4 => EncodingMode::Group4,
        },
        strict: true,
    };
    out.fill(0);
    let mut rows = Rows { left: out.chunks_exact_mut(stride), width, found: 0 };
    let ended = hayro_ccitt::decode(data, &mut rows, &mut DecoderContext::new(settings));
    let found = rows.found;
    match ended {
        // What follows the last row is extra data, damaged or not.
        _ if found >= wanted => Ok(()),
        Ok(_) => Err(Error::format(format!("the CCITT data end after {found} of {wanted} rows"))),
        Err(cause) => {
            Err(Error::format(format!("the CCITT data are damaged after {found} of {wanted} rows"))
                .caused_by(cause))
        }
    }
}

struct Rows<'a> {
    left: std::slice::ChunksExactMut<'a, u8>,
    width: usize,
    found: usize,
}

impl Decoder for Rows<'_> {
    fn push_row(&mut self, changes: &[u32]) {
        let Some(row) = self.left.next() else {
            return;
        };
        self.found = self.found.saturating_add(1);
        for run in changes.chunks(2) {
            let column = |at: usize| {
                run.get(at)
                    .and_then(|&change| usize::try_from(change).ok())
                    .unwrap_or(self.width)
                    .min(self.width)
            };
            blacken(row, column(0), column(1));
        }
    }
}

/// Sets the bits of columns `from..to`.
fn blacken(row: &mut [u8], from: usize, to: usize) {
    if from >= to {
        return;
    }
    let last = to.saturating_sub(1);
    let (first, tail) = (0xff_u8 >> (from % 8), 0xff_u8 << (7_usize.saturating_sub(last % 8)));
    match row.get_mut(from / 8..=last / 8) {
        Some([only]) => *only |= first & tail,
        Some([head, middle @ .., end]) => {
            *head |= first;
            middle.fill(0xff);
            *end |= tail;
        }
        Some([]) | None => {}
    }
}
