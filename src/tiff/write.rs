//! Writing directories: little-endian, classic or BigTIFF, every directory followed by its own values.

use std::collections::BTreeMap;

use super::value::Value;

/// The fields of a directory to write, in the order of their tags as TIFF asks.
pub type Fields = BTreeMap<u16, Value>;

/// Widths of a flavour's numbers: of a directory's count, of an entry, of an offset.
const fn widths(big: bool) -> (u64, u64, u64) {
    if big { (8, 20, 8) } else { (2, 12, 4) }
}

/// Bytes of the file header: 16 for BigTIFF, else 8.
#[must_use]
pub const fn header_len(big: bool) -> u64 {
    if big { 16 } else { 8 }
}

/// The file header (TIFF 6.0 §2), little-endian.
#[must_use]
pub fn header(big: bool, first_directory: u64) -> Vec<u8> {
    let mut out = b"II".to_vec();
    if big {
        out.extend([43, 0, 8, 0, 0, 0]);
        out.extend(first_directory.to_le_bytes());
    } else {
        out.extend([42, 0]);
        out.extend(offset(first_directory, big));
    }
    out
}

/// Bytes of a directory with its values. A multiple of 16, so that what follows is aligned for every type.
#[must_use]
pub fn directory_len(fields: &Fields, big: bool) -> u64 {
    let (count, entry, offset) = widths(big);
    let entries = entry.saturating_mul(fields.len() as u64);
    let outside: u64 =
        fields.values().map(|v| v.bytes.len() as u64).filter(|&n| n > offset).map(padded).sum();
    padded(count.saturating_add(entries).saturating_add(offset)).saturating_add(outside)
}

/// Writes a directory with its values, to stand at `at`; `next` is the offset of the next one, or 0.
#[must_use]
pub fn directory(fields: &Fields, big: bool, at: u64, next: u64) -> Vec<u8> {
    let (count_width, entry_width, offset_width) = widths(big);
    let entries = entry_width.saturating_mul(fields.len() as u64);
    let head_len = padded(count_width.saturating_add(entries).saturating_add(offset_width));
    let mut out = Vec::new();
    let mut values = Vec::new();
    out.extend(fields.len().to_le_bytes().iter().take(if big { 8 } else { 2 }));
    for (tag, value) in fields {
        out.extend(tag.to_le_bytes());
        out.extend(value.kind.code().to_le_bytes());
        out.extend(offset(value.count, big));
        if value.bytes.len() as u64 <= offset_width {
            let mut here = value.bytes.to_vec();
            here.resize(if big { 8 } else { 4 }, 0);
            out.extend(here);
        } else {
            out.extend(offset(at.saturating_add(head_len).saturating_add(values.len() as u64), big));
            values.extend_from_slice(&value.bytes);
            pad(&mut values);
        }
    }
    out.extend(offset(next, big));
    pad(&mut out);
    out.extend(values);
    out
}

/// An offset or count as the flavour writes it. A classic file's are all below 2^32: the caller chose BigTIFF
/// otherwise.
fn offset(value: u64, big: bool) -> impl Iterator<Item = u8> {
    value.to_le_bytes().into_iter().take(if big { 8 } else { 4 })
}

fn padded(len: u64) -> u64 {
    len.next_multiple_of(16)
}

fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(16), 0);
}
