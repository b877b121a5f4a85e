//! Encodings of values in Apache Parquet's pages (Encodings.md).

use super::parquet::{Budget, Physical};
use super::thrift::{varint, zigzag};
use crate::error::{Error, Result};

/// Different values of a column, as they come.
#[derive(Debug)]
pub(super) enum Entries {
    Integers(Vec<i64>),
    Reals(Vec<f64>),
    /// All bytes, and where each value ends.
    Bytes(Vec<u8>, Vec<usize>),
}

impl Entries {
    pub(super) fn new(physical: Physical) -> Self {
        match physical {
            Physical::Boolean | Physical::Int32 | Physical::Int64 => Self::Integers(Vec::new()),
            Physical::Float | Physical::Double => Self::Reals(Vec::new()),
            Physical::Int96 | Physical::Bytes | Physical::Fixed(_) => Self::Bytes(Vec::new(), Vec::new()),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Integers(values) => values.len(),
            Self::Reals(values) => values.len(),
            Self::Bytes(_, ends) => ends.len(),
        }
    }

    fn push_bytes(&mut self, more: &[u8]) -> Option<()> {
        let Self::Bytes(bytes, ends) = self else { return None };
        bytes.extend_from_slice(more);
        ends.push(bytes.len());
        Some(())
    }

    /// Takes a number in as PLAIN encodes it.
    fn push_number(&mut self, physical: Physical, bytes: &[u8]) -> Option<()> {
        match (self, physical) {
            (Self::Integers(values), Physical::Int32) => {
                values.push(i32::from_le_bytes(*bytes.first_chunk()?).into());
            }
            (Self::Integers(values), Physical::Int64) => {
                values.push(i64::from_le_bytes(*bytes.first_chunk()?));
            }
            (Self::Reals(values), Physical::Float) => {
                values.push(f32::from_le_bytes(*bytes.first_chunk()?).into());
            }
            (Self::Reals(values), Physical::Double) => values.push(f64::from_le_bytes(*bytes.first_chunk()?)),
            _ => return None,
        }
        Some(())
    }
}

/// Bytes of a value of fixed size.
fn width(physical: Physical) -> Option<usize> {
    match physical {
        Physical::Int32 | Physical::Float => Some(4),
        Physical::Int64 | Physical::Double => Some(8),
        Physical::Int96 => Some(12),
        Physical::Fixed(width) => Some(width),
        Physical::Boolean | Physical::Bytes => None,
    }
}

/// A number as statistics hold it, which is as PLAIN encodes it.
pub(super) fn number(physical: Physical, bytes: &[u8]) -> Option<f64> {
    let mut entries = Entries::new(physical);
    entries.push_number(physical, bytes)?;
    if let Entries::Reals(values) = entries { values.first().copied() } else { None }
}

/// The error for pages that break their format.
pub(super) fn damaged(what: &str) -> Error {
    Error::format(format!("its pages are damaged: {what}"))
}

/// Bytes behind their number in 4 bytes, and what comes then.
pub(super) fn prefixed(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (size, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*size)).ok()?)
}

/// The error for an encoding that is not read.
pub(super) fn not_read(code: i64) -> Error {
    Error::unsupported(format!(
        "it has the encoding {code}, which cogclip does not read (it reads PLAIN, dictionaries, the delta encodings and \
         BYTE_STREAM_SPLIT)"
    ))
}

/// `count` numbers of `bits` bits in the hybrid of runs and packed groups (Encodings.md, RLE = 3).
pub(super) fn runs(rest: &mut &[u8], bits: u32, count: usize, mut each: impl FnMut(u32)) -> Option<()> {
    if bits > 32 {
        return None;
    }
    let mut left = count;
    while left > 0 {
        let head = varint(rest)?;
        let times = usize::try_from(head >> 1).ok()?;
        if head & 1 == 0 {
            let (value, behind) = rest.split_at_checked(bits.div_ceil(8) as usize)?;
            *rest = behind;
            let value = value.iter().rev().fold(0, |value: u32, byte| (value << 8) | u32::from(*byte));
            for _ in 0..times.min(left) {
                each(value);
            }
            left = left.saturating_sub(times);
        } else {
            // Groups of 8; the last one may be cut where no value is left.
            let values = times.checked_mul(8)?.min(left);
            let size = times.checked_mul(bits as usize)?.min(rest.len());
            let (bytes, behind) = rest.split_at(size);
            *rest = behind;
            unpack(bytes, bits, values, |value| each(u32::try_from(value).unwrap_or(u32::MAX)))?;
            left = left.saturating_sub(values);
        }
    }
    Some(())
}

/// `count` numbers of `bits` bits (at most 64), packed from the least significant bit.
fn unpack(bytes: &[u8], bits: u32, count: usize, mut each: impl FnMut(u64)) -> Option<()> {
    if bits == 0 {
        (0..count).for_each(|_| each(0));
        return Some(());
    }
    if bits > 64 || (count as u64).checked_mul(bits.into())? > (bytes.len() as u64).checked_mul(8)? {
        return None;
    }
    let mask = u64::MAX >> 64_u32.checked_sub(bits)?;
    let (mut held, mut have) = (0_u128, 0_u32);
    let mut bytes = bytes.iter();
    for _ in 0..count {
        while have < bits {
            held |= u128::from(*bytes.next()?) << have;
            have = have.checked_add(8)?;
        }
        #[expect(clippy::cast_possible_truncation, reason = "what the mask keeps fits")]
        each(held as u64 & mask);
        held >>= bits;
        have = have.checked_sub(bits)?;
    }
    Some(())
}

/// Takes `count` values in.
pub(super) fn values(
    entries: &mut Entries,
    physical: Physical,
    code: i64,
    count: usize,
    rest: &mut &[u8],
    budget: &mut Budget,
) -> Result<()> {
    let short = || damaged("values are cut short, or there are more than fit");
    match (code, physical) {
        (0, Physical::Boolean) => {
            budget.charge(count.saturating_mul(8))?;
            let Entries::Integers(values) = entries else { return Err(short()) };
            unpack(rest, 1, count, |bit| values.push(i64::from(bit == 1))).ok_or_else(short)
        }
        (3, Physical::Boolean) => {
            budget.charge(count.saturating_mul(8))?;
            let Entries::Integers(values) = entries else { return Err(short()) };
            let (mut bits, _) = prefixed(rest).ok_or_else(short)?;
            runs(&mut bits, 1, count, |bit| values.push(i64::from(bit == 1))).ok_or_else(short)
        }
        (0, Physical::Bytes) => {
            for _ in 0..count {
                let (value, behind) = prefixed(rest).ok_or_else(short)?;
                budget.charge(value.len().saturating_add(8))?;
                entries.push_bytes(value).ok_or_else(short)?;
                *rest = behind;
            }
            Ok(())
        }
        (0, physical) => {
            let width = width(physical).ok_or_else(|| not_read(code))?;
            let size = width.checked_mul(count).filter(|size| *size <= rest.len()).ok_or_else(short)?;
            budget.charge(size.max(count.saturating_mul(8)).saturating_add(size_of::<usize>()))?;
            for _ in 0..count {
                let (value, behind) = rest.split_at_checked(width).ok_or_else(short)?;
                *rest = behind;
                let pushed = match physical {
                    Physical::Int96 | Physical::Fixed(_) => entries.push_bytes(value),
                    Physical::Boolean
                    | Physical::Int32
                    | Physical::Int64
                    | Physical::Float
                    | Physical::Double
                    | Physical::Bytes => entries.push_number(physical, value),
                };
                pushed.ok_or_else(short)?;
            }
            Ok(())
        }
        (5, Physical::Int32 | Physical::Int64) => {
            budget.charge(count.saturating_mul(8))?;
            let Entries::Integers(values) = entries else { return Err(short()) };
            let is_short = physical == Physical::Int32;
            // Differences wrap around within the type.
            #[expect(clippy::cast_possible_truncation, reason = "so it is defined")]
            deltas(rest, count, |value| values.push(if is_short { (value as i32).into() } else { value }))
                .ok_or_else(short)
        }
        (6, Physical::Bytes) => {
            let lengths = lengths(rest, count, budget)?;
            for length in lengths {
                let (value, behind) = rest.split_at_checked(length).ok_or_else(short)?;
                budget.charge(length.saturating_add(8))?;
                entries.push_bytes(value).ok_or_else(short)?;
                *rest = behind;
            }
            Ok(())
        }
        (7, Physical::Bytes | Physical::Fixed(_)) => {
            let prefixes = lengths(rest, count, budget)?;
            let suffixes = lengths(rest, count, budget)?;
            let mut value = Vec::new();
            for (prefix, suffix) in prefixes.into_iter().zip(suffixes) {
                let (suffix, behind) = rest.split_at_checked(suffix).ok_or_else(short)?;
                *rest = behind;
                if prefix > value.len() {
                    return Err(short());
                }
                value.truncate(prefix);
                value.extend_from_slice(suffix);
                budget.charge(value.len().saturating_add(8))?;
                entries.push_bytes(&value).ok_or_else(short)?;
            }
            Ok(())
        }
        (9, Physical::Int32 | Physical::Int64 | Physical::Float | Physical::Double) => {
            let width = width(physical).ok_or_else(|| not_read(code))?;
            let size = width.checked_mul(count).ok_or_else(short)?;
            let bytes = rest.get(..size).ok_or_else(short)?;
            budget.charge(size.max(count.saturating_mul(8)))?;
            for index in 0..count {
                let mut value = [0; 8];
                let streams = bytes.chunks_exact(count).map(|stream| stream.get(index).copied().unwrap_or(0));
                value.iter_mut().zip(streams).for_each(|(byte, found)| *byte = found);
                entries.push_number(physical, &value).ok_or_else(short)?;
            }
            Ok(())
        }
        _ => Err(not_read(code)),
    }
}

fn lengths(rest: &mut &[u8], count: usize, budget: &mut Budget) -> Result<Vec<usize>> {
    budget.charge(count.saturating_mul(8))?;
    let mut lengths = Vec::new();
    // A negative length is one that is too long.
    deltas(rest, count, |length| lengths.push(usize::try_from(length).unwrap_or(usize::MAX)))
        .ok_or_else(|| damaged("lengths are cut short"))?;
    Ok(lengths)
}

/// `count` integers of DELTA_BINARY_PACKED (Encodings.md, 5).
pub(super) fn deltas(rest: &mut &[u8], count: usize, mut each: impl FnMut(i64)) -> Option<()> {
    let block = usize::try_from(varint(rest)?).ok()?;
    let miniblocks = usize::try_from(varint(rest)?).ok()?;
    let total = usize::try_from(varint(rest)?).ok()?;
    let mut value = zigzag(varint(rest)?);
    if total != count {
        return None;
    }
    if count == 0 {
        return Some(());
    }
    let each_has = block.checked_div(miniblocks).filter(|size| *size > 0)?;
    each(value);
    let mut left = count.checked_sub(1)?;
    while left > 0 {
        let least = zigzag(varint(rest)?);
        let (widths, behind) = rest.split_at_checked(miniblocks)?;
        *rest = behind;
        for bits in widths {
            // Blocks that no value is left for are not there.
            if left == 0 {
                break;
            }
            let bits = u32::from(*bits);
            let size = (each_has.checked_mul(bits as usize)?).div_ceil(8).min(rest.len());
            let (bytes, behind) = rest.split_at(size);
            *rest = behind;
            let now = each_has.min(left);
            unpack(bytes, bits, now, |delta| {
                value = value.wrapping_add(least).wrapping_add(delta.cast_signed());
                each(value);
            })?;
            left = left.saturating_sub(now);
        }
    }
    Some(())
}
