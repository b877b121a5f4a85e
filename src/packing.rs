//! Samples that are stored in fewer bits than their type has, both ways: 1 to 31-bit integers and 24-bit floats
//! (TIFF 6.0 §8 BitsPerSample and §3; TIFF Technical Note 3). Rows begin at whole bytes; the first sample lies in the
//! highest bits.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::error::{Error, Result};
use crate::sample::{SampleType, Samples};
use crate::tiff::code::ByteOrder;

/// Bytes of a row of `samples` samples of `bits` bits.
#[must_use]
pub fn row_bytes(samples: u64, bits: u16) -> u64 {
    samples.saturating_mul(bits.into()).div_ceil(8)
}

/// Unpacks rows of `row` samples each. Signed samples keep their sign.
///
/// 24 bits are whole bytes, and are stored as GDAL and libtiff have it: floats in the file's byte order, integers
/// highest byte first in a little-endian file and lowest byte first in a big-endian one.
///
/// # Errors
/// [`crate::ErrorKind::Usage`] for a width that is not stored so: see [`is_packed`].
#[expect(clippy::wildcard_enum_match_arm, reason = "the others are not packed")]
pub fn unpack(
    packed: &[u8],
    sample: SampleType,
    bits: u16,
    row: usize,
    order: ByteOrder,
    out: &mut Samples,
) -> Result<()> {
    if !is_packed(sample, bits) || out.sample_type() != sample {
        return Err(not_packed(sample, bits));
    }
    let row_bytes = usize::try_from(row_bytes(row as u64, bits)).unwrap_or(usize::MAX).max(1);
    if let Samples::F32(out) = out {
        for (out, triple) in out.iter_mut().zip(packed.as_chunks().0) {
            *out = float_of(*triple, order);
        }
        return Ok(());
    }
    let turned = bits == 24 && order == ByteOrder::Big;
    let read = |out: &mut dyn FnMut(usize, u32)| {
        for (line, bytes) in packed.chunks(row_bytes).enumerate() {
            read_row(bytes, bits, row, turned, |at, value| {
                out(line.saturating_mul(row).saturating_add(at), value);
            });
        }
    };
    // The low bits, kept; `shift` moves the sign to the type's own and back.
    #[expect(clippy::cast_possible_truncation, reason = "a value has no more bits than the type")]
    match out {
        Samples::U8(out) => read(&mut |at, value| set(out, at, value as u8)),
        Samples::U16(out) => read(&mut |at, value| set(out, at, value as u16)),
        Samples::U32(out) => read(&mut |at, value| set(out, at, value)),
        Samples::I8(out) => read(&mut |at, value| set(out, at, signed(value, bits) as i8)),
        Samples::I16(out) => read(&mut |at, value| set(out, at, signed(value, bits) as i16)),
        Samples::I32(out) => read(&mut |at, value| set(out, at, signed(value, bits))),
        other => return Err(not_packed(other.sample_type(), bits)),
    }
    Ok(())
}

/// Packs rows of `row` samples each for a little-endian file, the inverse of [`unpack`]: higher bits than are stored are
/// dropped.
///
/// # Errors
/// [`crate::ErrorKind::Usage`] for a width that is not stored so, and for 24-bit floats, which are read only.
#[expect(clippy::wildcard_enum_match_arm, reason = "the others are not packed")]
pub fn pack(samples: &Samples, bits: u16, row: usize) -> Result<Vec<u8>> {
    let sample = samples.sample_type();
    if !is_packed(sample, bits) {
        return Err(not_packed(sample, bits));
    }
    Ok(match samples {
        Samples::U8(v) => pack_rows(v, bits, row, u32::from),
        Samples::U16(v) => pack_rows(v, bits, row, u32::from),
        Samples::U32(v) => pack_rows(v, bits, row, |v| v),
        Samples::I8(v) => pack_rows(v, bits, row, |v| i32::from(v).cast_unsigned()),
        Samples::I16(v) => pack_rows(v, bits, row, |v| i32::from(v).cast_unsigned()),
        Samples::I32(v) => pack_rows(v, bits, row, i32::cast_unsigned),
        other => return Err(not_packed(other.sample_type(), bits)),
    })
}

/// Whether samples of a type in this many bits are packed.
#[must_use]
pub fn is_packed(sample: SampleType, bits: u16) -> bool {
    match sample.tiff() {
        (all, 1 | 2) => (1..=31).contains(&bits) && bits < all,
        (32, 3) => bits == 24,
        _ => false,
    }
}

fn not_packed(sample: SampleType, bits: u16) -> Error {
    Error::usage(format!("{} samples are not packed into {bits} bits", sample.name()))
}

fn set<T>(out: &mut [T], at: usize, value: T) {
    if let Some(out) = out.get_mut(at) {
        *out = value;
    }
}

/// The low `bits` bits as a signed number.
fn signed(value: u32, bits: u16) -> i32 {
    let unused = 32_u32.saturating_sub(bits.into());
    value.wrapping_shl(unused).cast_signed().wrapping_shr(unused)
}

/// Calls `out` with each of the first `row` values of a row.
fn read_row(bytes: &[u8], bits: u16, row: usize, turned: bool, mut out: impl FnMut(usize, u32)) {
    if turned {
        for (at, &[low, middle, high]) in bytes.as_chunks().0.iter().take(row).enumerate() {
            out(at, u32::from_be_bytes([0, high, middle, low]));
        }
        return;
    }
    let (mut held, mut count) = (0_u64, 0_u16);
    let (mut bytes, all) = (bytes.iter(), (1_u64 << bits.min(32)).wrapping_sub(1));
    for at in 0..row {
        while count < bits {
            let Some(&byte) = bytes.next() else { return };
            held = held << 8 | u64::from(byte);
            // At most 31 + 8 bits are held.
            count = count.saturating_add(8);
        }
        count = count.saturating_sub(bits);
        out(at, u32::try_from(held >> count & all).unwrap_or(u32::MAX));
    }
}

fn pack_rows<T: Copy>(samples: &[T], bits: u16, row: usize, word: impl Fn(T) -> u32) -> Vec<u8> {
    let all = (1_u64 << bits.min(32)).wrapping_sub(1);
    let mut out = Vec::with_capacity(samples.len().saturating_mul(bits.into()).div_ceil(8));
    for row in samples.chunks(row.max(1)) {
        let (mut held, mut count) = (0_u64, 0_u16);
        for &sample in row {
            held = held << bits | u64::from(word(sample)) & all;
            count = count.saturating_add(bits);
            while count >= 8 {
                count = count.saturating_sub(8);
                out.push((held >> count & 0xff).try_into().unwrap_or(0));
            }
        }
        if count > 0 {
            out.push((held << 8_u16.saturating_sub(count) & 0xff).try_into().unwrap_or(0));
        }
    }
    out
}

/// A 24-bit float (TIFF Technical Note 3: 1 sign, 7 exponent with bias 63, 16 mantissa bits), exactly.
fn float_of(bytes: [u8; 3], order: ByteOrder) -> f32 {
    let [high, middle, low] = match order {
        ByteOrder::Big => bytes,
        ByteOrder::Little => [bytes[2], bytes[1], bytes[0]],
    };
    let bits = u32::from_be_bytes([0, high, middle, low]);
    let (exponent, mantissa) = (bits >> 16 & 0x7f, bits & 0xffff);
    let magnitude = match exponent {
        // Single precision has room for what is subnormal here: mantissa * 2^(1 - 63 - 16).
        0 => f32::from(u16::try_from(mantissa).unwrap_or(0)) * f32::from_bits((127 - 78) << 23),
        0x7f => f32::from_bits(0xff << 23 | mantissa << 7),
        exponent => f32::from_bits(exponent.wrapping_add(127 - 63) << 23 | mantissa << 7),
    };
    f32::from_bits(magnitude.to_bits() | (bits & 0x0080_0000) << 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back() {
        for bits in 1..32_u16 {
            let (unsigned, sign) = match bits {
                1..=7 => (SampleType::U8, SampleType::I8),
                9..=15 => (SampleType::U16, SampleType::I16),
                17.. => (SampleType::U32, SampleType::I32),
                _ => continue,
            };
            for sample in [unsigned, sign] {
                for row in [1, 3, 8, 17] {
                    let packed: Vec<u8> = (0..u8::MAX).cycle().take(900).collect();
                    let bytes = usize::try_from(row_bytes(row as u64, bits)).unwrap();
                    let rows = packed.len() / bytes;
                    let mut samples = Samples::zeroed(sample, rows * row);
                    let packed = &packed[..rows * bytes];
                    unpack(packed, sample, bits, row, ByteOrder::Little, &mut samples).unwrap();
                    let again = pack(&samples, bits, row).unwrap();
                    // All but the bits that fill up a row.
                    let spare = bytes * 8 - row * usize::from(bits);
                    for (ours, stored) in again.chunks(bytes).zip(packed.chunks(bytes)) {
                        let last = stored[bytes - 1] >> spare << spare;
                        assert_eq!(
                            (&ours[..bytes - 1], ours[bytes - 1]),
                            (&stored[..bytes - 1], last),
                            "{bits} {row}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn bits_are_taken_from_the_top_and_signs_are_kept() {
        // By hand: 0xa5 0xc0 in rows of 3 samples of 4 bits: a, 5, c.
        let mut samples = Samples::zeroed(SampleType::U8, 3);
        unpack(&[0xa5, 0xc0], SampleType::U8, 4, 3, ByteOrder::Big, &mut samples).unwrap();
        assert_eq!(samples, Samples::U8(vec![10, 5, 12]));
        let mut samples = Samples::zeroed(SampleType::I16, 2);
        unpack(&[0xff, 0xf7, 0xff], SampleType::I16, 12, 2, ByteOrder::Little, &mut samples).unwrap();
        assert_eq!(samples, Samples::I16(vec![-1, 2047]));
        assert_eq!(pack(&samples, 12, 2).unwrap(), [0xff, 0xf7, 0xff]);
        for (order, expected) in [(ByteOrder::Little, 0x01_02_03), (ByteOrder::Big, 0x03_02_01)] {
            let mut samples = Samples::zeroed(SampleType::U32, 1);
            unpack(&[1, 2, 3], SampleType::U32, 24, 1, order, &mut samples).unwrap();
            assert_eq!(samples, Samples::U32(vec![expected]), "as GDAL wrote and read them");
        }
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "exactness is the point")]
    fn floats_of_24_bits_are_exact() {
        let read = |bits: u32| {
            let [_, bytes @ ..] = bits.to_be_bytes();
            float_of(bytes, ByteOrder::Big)
        };
        // By hand, from the technical note.
        assert_eq!((read(0x3f_0000), read(0xbf_8000), read(0)), (1.0, -1.5, 0.0));
        assert!(read(0x80_0000).is_sign_negative() && read(0x80_0000) == 0.0);
        assert_eq!(read(1), 2.0_f32.powi(-78));
        assert_eq!(read(0x00_ffff), 65535.0 * 2.0_f32.powi(-78));
        assert_eq!(read(0x01_0000), 2.0_f32.powi(-62));
        assert_eq!((read(0x7f_0000), read(0xff_0000)), (f32::INFINITY, f32::NEG_INFINITY));
        assert!(read(0x7f_0001).is_nan());
        assert_eq!(float_of([0x00, 0x80, 0xbf], ByteOrder::Little), -1.5);
    }
}
