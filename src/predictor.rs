//! Predictors, both ways: horizontal differencing (TIFF 6.0 §14) and floating point (TIFF Technical Note 3),
//! and byte order, which cannot be told apart from them: differences are taken on numbers, not on bytes.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::error::{Error, Result};
use crate::sample::{SampleType, Samples};
use crate::tiff::code::{ByteOrder, Predictor};

/// Turns stored numbers into the samples they stand for, in place and in the machine's byte order.
///
/// `samples` holds the decompressed bytes just as they were stored: whole rows of `width` pixels (of the tile,
/// padding included) of `samples_per_pixel` samples. It is a [`Samples`] rather than bytes because that is
/// aligned for its type. With [`Predictor::None`] this only swaps bytes, if `byte_order` is not the machine's.
///
/// Horizontal differencing works on integers as wide as the sample, also for floating point samples, as
/// libtiff has it. The floating point predictor stores each row as planes of bytes, most significant first
/// whatever the file's byte order.
///
/// # Errors
/// [`crate::ErrorKind::Format`] for the floating point predictor on integers, and for samples that are not
/// whole rows. [`crate::ErrorKind::Unsupported`] for a predictor that is not known.
#[expect(clippy::wildcard_enum_match_arm, reason = "all but floats are alike to this predictor")]
pub fn undo(
    predictor: Predictor,
    byte_order: ByteOrder,
    samples_per_pixel: usize,
    width: usize,
    samples: &mut Samples,
) -> Result<()> {
    let row = row_length(samples_per_pixel, width, samples)?;
    let swap = byte_order != ByteOrder::NATIVE;
    match predictor {
        Predictor::None => {
            if swap {
                swap_bytes(samples);
            }
        }
        Predictor::Horizontal => match samples {
            Samples::U8(v) => accumulate(v, row, samples_per_pixel, false),
            Samples::I8(v) => accumulate::<u8>(bytemuck::cast_slice_mut(v), row, samples_per_pixel, false),
            Samples::U16(v) => accumulate(v, row, samples_per_pixel, swap),
            Samples::I16(v) => accumulate::<u16>(bytemuck::cast_slice_mut(v), row, samples_per_pixel, swap),
            Samples::U32(v) => accumulate(v, row, samples_per_pixel, swap),
            Samples::I32(v) => accumulate::<u32>(bytemuck::cast_slice_mut(v), row, samples_per_pixel, swap),
            Samples::F32(v) => accumulate::<u32>(bytemuck::cast_slice_mut(v), row, samples_per_pixel, swap),
            Samples::U64(v) => accumulate(v, row, samples_per_pixel, swap),
            Samples::I64(v) => accumulate::<u64>(bytemuck::cast_slice_mut(v), row, samples_per_pixel, swap),
            Samples::F64(v) => accumulate::<u64>(bytemuck::cast_slice_mut(v), row, samples_per_pixel, swap),
            Samples::F16(v) => accumulate::<u16>(bytemuck::cast_slice_mut(v), row, samples_per_pixel, swap),
            // libtiff goes by the width of the whole complex number.
            Samples::CI16(v) => as_words(v, |v: &mut [u32]| accumulate(v, row, samples_per_pixel, swap)),
            Samples::CI32(v) => as_words(v, |v: &mut [u64]| accumulate(v, row, samples_per_pixel, swap)),
            Samples::CF32(v) => as_words(v, |v: &mut [u64]| accumulate(v, row, samples_per_pixel, swap)),
            Samples::CF64(_) => return Err(too_wide()),
        },
        Predictor::FloatingPoint => match samples {
            Samples::F16(v) => gather_planes::<u16>(bytemuck::cast_slice_mut(v), row, samples_per_pixel),
            Samples::F32(v) => gather_planes::<u32>(bytemuck::cast_slice_mut(v), row, samples_per_pixel),
            Samples::F64(v) => gather_planes::<u64>(bytemuck::cast_slice_mut(v), row, samples_per_pixel),
            other => return Err(only_floats(other.sample_type())),
        },
        Predictor::Unknown(code) => return Err(unknown(code)),
    }
    Ok(())
}

/// Turns samples into what a little-endian file stores, in place: the inverse of [`undo`] with
/// [`ByteOrder::Little`]. Afterwards [`Samples::as_bytes`] is ready to be compressed; as numbers the samples
/// mean nothing any more.
///
/// # Errors
/// As for [`undo`], but what is asked for is then the caller's choice: [`crate::ErrorKind::Usage`] for the
/// floating point predictor on integers.
#[expect(clippy::wildcard_enum_match_arm, reason = "all but floats are alike to this predictor")]
pub fn apply(
    predictor: Predictor,
    samples_per_pixel: usize,
    width: usize,
    samples: &mut Samples,
) -> Result<()> {
    let row = row_length(samples_per_pixel, width, samples)?;
    match predictor {
        Predictor::None => {}
        Predictor::Horizontal => match samples {
            Samples::U8(v) => difference(v, row, samples_per_pixel),
            Samples::I8(v) => difference::<u8>(bytemuck::cast_slice_mut(v), row, samples_per_pixel),
            Samples::U16(v) => difference(v, row, samples_per_pixel),
            Samples::I16(v) => difference::<u16>(bytemuck::cast_slice_mut(v), row, samples_per_pixel),
            Samples::U32(v) => difference(v, row, samples_per_pixel),
            Samples::I32(v) => difference::<u32>(bytemuck::cast_slice_mut(v), row, samples_per_pixel),
            Samples::F32(v) => difference::<u32>(bytemuck::cast_slice_mut(v), row, samples_per_pixel),
            Samples::U64(v) => difference(v, row, samples_per_pixel),
            Samples::I64(v) => difference::<u64>(bytemuck::cast_slice_mut(v), row, samples_per_pixel),
            Samples::F64(v) => difference::<u64>(bytemuck::cast_slice_mut(v), row, samples_per_pixel),
            Samples::F16(v) => difference::<u16>(bytemuck::cast_slice_mut(v), row, samples_per_pixel),
            // libtiff goes by the width of the whole complex number.
            Samples::CI16(v) => as_words(v, |v: &mut [u32]| difference(v, row, samples_per_pixel)),
            Samples::CI32(v) => as_words(v, |v: &mut [u64]| difference(v, row, samples_per_pixel)),
            Samples::CF32(v) => as_words(v, |v: &mut [u64]| difference(v, row, samples_per_pixel)),
            Samples::CF64(_) => return Err(too_wide()),
        },
        Predictor::FloatingPoint => {
            match samples {
                Samples::F16(v) => spread_planes::<u16>(bytemuck::cast_slice_mut(v), row, samples_per_pixel),
                Samples::F32(v) => spread_planes::<u32>(bytemuck::cast_slice_mut(v), row, samples_per_pixel),
                Samples::F64(v) => spread_planes::<u64>(bytemuck::cast_slice_mut(v), row, samples_per_pixel),
                other => {
                    let text = "the floating point predictor does not apply to";
                    return Err(Error::usage(format!("{text} {} samples", other.sample_type().name())));
                }
            }
            // The planes are bytes: there is no order left to change.
            return Ok(());
        }
        Predictor::Unknown(code) => return Err(unknown(code)),
    }
    if ByteOrder::NATIVE != ByteOrder::Little {
        swap_bytes(samples);
    }
    Ok(())
}

/// Samples in a row, having checked that there are only whole rows; at least 1.
fn row_length(samples_per_pixel: usize, width: usize, samples: &Samples) -> Result<usize> {
    let row = width.checked_mul(samples_per_pixel).unwrap_or(0);
    if samples.len().checked_rem(row) == Some(0) {
        return Ok(row);
    }
    Err(Error::format(format!(
        "{} samples are not whole rows of {width} pixels of {samples_per_pixel} samples",
        samples.len()
    )))
}

fn only_floats(sample: SampleType) -> Error {
    let text = "the floating point predictor (3) does not apply to";
    Error::format(format!("{text} {} samples (TIFF Technical Note 3)", sample.name()))
}

fn too_wide() -> Error {
    Error::unsupported("the horizontal predictor (2) with 128-bit complex samples is not supported")
}

/// Runs `go` on complex numbers as single words. They are not aligned for that, so they are copied.
fn as_words<T: bytemuck::Pod, W: Word>(numbers: &mut [T], go: impl FnOnce(&mut [W])) {
    let mut words: Vec<W> = bytemuck::allocation::pod_collect_to_vec(numbers);
    go(&mut words);
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(numbers);
    bytes.copy_from_slice(bytemuck::cast_slice(&words));
}

fn unknown(code: u16) -> Error {
    Error::unsupported(format!("predictor {code} is not supported"))
}

/// An unsigned integer as wide as a sample: what predictors add and subtract, always wrapping.
trait Word: bytemuck::Pod {
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
    fn swapped(self) -> Self;
    /// Moved up by a byte, `byte` taking the lowest place.
    fn pushed(self, byte: u8) -> Self;
    /// Bytes of the words: the highest of all, then the next of all.
    fn spread(words: &[Self], planes: &mut [u8]);
}

macro_rules! words {
    ($($ty:ty { $($plane:ident)* })*) => {
        $(impl Word for $ty {
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            fn minus(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            fn swapped(self) -> Self {
                self.swap_bytes()
            }
            fn pushed(self, byte: u8) -> Self {
                (self.rotate_left(8) & !0xff) | Self::from(byte)
            }
            fn spread(words: &[Self], planes: &mut [u8]) {
                let mut planes = planes.chunks_exact_mut(words.len());
                $(let $plane = planes.next().unwrap_or_default();)*
                // Lengths that the compiler knows to be equal make one pass over the words that vectorises.
                $(let $plane = &mut $plane[..words.len()];)*
                for (at, word) in words.iter().enumerate() {
                    [$($plane[at]),*] = word.to_be_bytes();
                }
            }
        })*
    };
}

words!(u8 { a } u16 { a b } u32 { a b c d } u64 { a b c d e f g h });

fn swap_bytes(samples: &mut Samples) {
    fn swap<W: Word>(words: &mut [W]) {
        for word in words {
            *word = word.swapped();
        }
    }
    match samples {
        Samples::U8(_) | Samples::I8(_) => {}
        Samples::U16(v) => swap(v),
        Samples::I16(v) => swap::<u16>(bytemuck::cast_slice_mut(v)),
        Samples::U32(v) => swap(v),
        Samples::I32(v) => swap::<u32>(bytemuck::cast_slice_mut(v)),
        Samples::F32(v) => swap::<u32>(bytemuck::cast_slice_mut(v)),
        Samples::U64(v) => swap(v),
        Samples::I64(v) => swap::<u64>(bytemuck::cast_slice_mut(v)),
        Samples::F64(v) => swap::<u64>(bytemuck::cast_slice_mut(v)),
        Samples::F16(v) => swap::<u16>(bytemuck::cast_slice_mut(v)),
        // Each part on its own.
        Samples::CI16(v) => swap::<u16>(bytemuck::cast_slice_mut(v)),
        Samples::CI32(v) => swap::<u32>(bytemuck::cast_slice_mut(v)),
        Samples::CF32(v) => swap::<u32>(bytemuck::cast_slice_mut(v)),
        Samples::CF64(v) => swap::<u64>(bytemuck::cast_slice_mut(v)),
    }
}

/// Undoes horizontal differencing: each sample becomes the sum of the row so far.
fn accumulate<W: Word>(words: &mut [W], row: usize, samples_per_pixel: usize, swap: bool) {
    if swap {
        for word in words.iter_mut() {
            *word = word.swapped();
        }
    }
    for row in words.chunks_exact_mut(row) {
        running_sums(row, samples_per_pixel);
    }
}

/// Sums along a row, each sample of a pixel by itself. The usual numbers of samples keep their sums in
/// registers; beyond them, each pixel is added to the next.
fn running_sums<W: Word>(row: &mut [W], samples_per_pixel: usize) {
    match samples_per_pixel {
        1 => running_sums_of::<W, 1>(row),
        2 => running_sums_of::<W, 2>(row),
        3 => running_sums_of::<W, 3>(row),
        4 => running_sums_of::<W, 4>(row),
        n => {
            let mut pixels = row.chunks_exact_mut(n);
            let Some(mut previous) = pixels.next() else { return };
            for pixel in pixels {
                for (sample, before) in pixel.iter_mut().zip(previous.iter()) {
                    *sample = sample.plus(*before);
                }
                previous = pixel;
            }
        }
    }
}

fn running_sums_of<W: Word, const N: usize>(row: &mut [W]) {
    let mut sums = [W::zeroed(); N];
    for pixel in row.as_chunks_mut::<N>().0 {
        for (sample, sum) in pixel.iter_mut().zip(&mut sums) {
            *sum = sum.plus(*sample);
            *sample = *sum;
        }
    }
}

/// Horizontal differencing: each sample becomes its difference from the pixel before.
fn difference<W: Word>(words: &mut [W], row: usize, samples_per_pixel: usize) {
    // From a copy of the row, so that no difference waits for another: this is what vectorises, whatever the pixel.
    let mut before = vec![W::zeroed(); row];
    for row in words.chunks_exact_mut(row) {
        before.copy_from_slice(row);
        for (sample, before) in row.iter_mut().skip(samples_per_pixel).zip(&before) {
            *sample = sample.minus(*before);
        }
    }
}

/// Undoes the floating point predictor: sums the bytes along a row, then gathers each sample's bytes from
/// their planes.
fn gather_planes<W: Word>(words: &mut [W], row: usize, samples_per_pixel: usize) {
    let mut planes = vec![0; size_of::<W>().saturating_mul(row)];
    for words in words.chunks_exact_mut(row) {
        planes.copy_from_slice(bytemuck::cast_slice(words));
        running_sums(&mut planes, samples_per_pixel);
        // A pass per plane, rather than per sample, is what vectorises. What the words held is pushed out.
        for plane in planes.chunks_exact(row) {
            for (word, byte) in words.iter_mut().zip(plane) {
                *word = word.pushed(*byte);
            }
        }
    }
}

/// Undoes a predictor on 24-bit floats, which no type holds, in place: `rows` of `width * samples_per_pixel` triples of
/// bytes. Returns the byte order of the triples that are left.
///
/// # Errors
/// [`crate::ErrorKind::Unsupported`] for all but the floating point predictor: libtiff has no other for this width.
pub fn undo_on_triples(
    predictor: Predictor,
    byte_order: ByteOrder,
    samples_per_pixel: usize,
    width: usize,
    bytes: &mut [u8],
) -> Result<ByteOrder> {
    let row = width.saturating_mul(samples_per_pixel).max(1);
    match predictor {
        Predictor::None => Ok(byte_order),
        Predictor::FloatingPoint => {
            let mut planes = vec![0; row.saturating_mul(3).min(bytes.len())];
            for triples in bytes.chunks_exact_mut(planes.len().max(1)) {
                planes.copy_from_slice(triples);
                running_sums(&mut planes, samples_per_pixel);
                for (at, plane) in planes.chunks_exact(row).enumerate() {
                    for (byte, to) in plane.iter().zip(triples.iter_mut().skip(at).step_by(3)) {
                        *to = *byte;
                    }
                }
            }
            Ok(ByteOrder::Big)
        }
        Predictor::Horizontal | Predictor::Unknown(_) => {
            Err(Error::unsupported(format!("predictor {predictor} with 24-bit floats is not supported")))
        }
    }
}

/// The floating point predictor: spreads each sample's bytes over planes, highest first, then takes the
/// differences of bytes along the row.
fn spread_planes<W: Word>(words: &mut [W], row: usize, samples_per_pixel: usize) {
    let mut planes = vec![0; size_of::<W>().saturating_mul(row)];
    for words in words.chunks_exact_mut(row) {
        W::spread(words, &mut planes);
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(words);
        bytes.copy_from_slice(&planes);
        for (byte, before) in bytes.iter_mut().skip(samples_per_pixel).zip(&planes) {
            *byte = byte.minus(*before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    /// Bytes in which every place of a number matters.
    fn numbers(sample: SampleType, len: usize) -> Samples {
        let mut samples = Samples::zeroed(sample, len);
        for (at, byte) in samples.as_bytes_mut().iter_mut().enumerate() {
            *byte = at.wrapping_mul(at).wrapping_mul(31).wrapping_add(at).to_le_bytes()[0];
        }
        samples
    }

    #[test]
    fn what_is_applied_is_undone() {
        for &sample in SampleType::ALL {
            for predictor in [Predictor::None, Predictor::Horizontal, Predictor::FloatingPoint] {
                let applies = match predictor {
                    Predictor::FloatingPoint => sample.is_float(),
                    Predictor::None | Predictor::Horizontal | Predictor::Unknown(_) => {
                        sample != SampleType::CF64
                    }
                };
                if !applies {
                    continue;
                }
                for (pixel, width, height) in
                    [(1, 1, 1), (1, 37, 3), (2, 9, 2), (3, 17, 4), (4, 8, 2), (7, 5, 3)]
                {
                    let before = numbers(sample, pixel * width * height);
                    let mut samples = before.clone();
                    apply(predictor, pixel, width, &mut samples).unwrap();
                    undo(predictor, ByteOrder::Little, pixel, width, &mut samples).unwrap();
                    assert!(samples.as_bytes() == before.as_bytes(), "{sample:?} {predictor} {pixel}");
                }
            }
        }
    }

    /// Differences and sums a byte at a time, straight from the specification (TIFF 6.0 §14): the number before in the
    /// same place of a pixel is taken from, or added to, each number of a row.
    #[expect(clippy::arithmetic_side_effects, reason = "these inputs are our own")]
    fn by_the_book(apply: bool, bytes: usize, pixel: usize, row: &mut [u8]) {
        let number = |row: &[u8], at: usize| {
            (0..bytes).fold(0_u64, |sum, byte| sum | u64::from(row[at * bytes + byte]) << (8 * byte))
        };
        let len = row.len() / bytes;
        let order: Vec<usize> = if apply { (pixel..len).rev().collect() } else { (pixel..len).collect() };
        for at in order {
            let (now, before) = (number(row, at), number(row, at - pixel));
            let result = if apply { now.wrapping_sub(before) } else { now.wrapping_add(before) };
            row[at * bytes..][..bytes].copy_from_slice(&result.to_le_bytes()[..bytes]);
        }
    }

    #[test]
    fn all_widths_pixels_and_rows_are_as_by_the_book() {
        for &sample in SampleType::ALL {
            for pixel in 1..=9 {
                for width in [1, 2, 3, 5, 7, 8, 15, 16, 17, 31, 33, 67] {
                    let (stored, row) = (numbers(sample, pixel * width * 3), pixel * width * sample.bytes());
                    let check = |predictor, expected: &dyn Fn(bool, &mut [u8])| {
                        for forwards in [true, false] {
                            let (mut ours, mut book) = (stored.clone(), stored.as_bytes().to_vec());
                            let result = if forwards {
                                apply(predictor, pixel, width, &mut ours)
                            } else {
                                undo(predictor, ByteOrder::Little, pixel, width, &mut ours)
                            };
                            result.unwrap();
                            book.chunks_exact_mut(row).for_each(|row| expected(forwards, row));
                            assert!(
                                ours.as_bytes() == book,
                                "{sample:?} {predictor} {forwards} {pixel} {width}"
                            );
                        }
                    };
                    if sample != SampleType::CF64 {
                        check(Predictor::Horizontal, &|forwards, row| {
                            by_the_book(forwards, sample.bytes(), pixel, row);
                        });
                    }
                    if sample.is_float() {
                        let (bytes, len) = (sample.bytes(), pixel * width);
                        check(Predictor::FloatingPoint, &|forwards, row| {
                            let mut before = row.to_vec();
                            if !forwards {
                                by_the_book(false, 1, pixel, &mut before);
                            }
                            for at in 0..len {
                                for byte in 0..bytes {
                                    // The highest byte's plane comes first.
                                    let (number, plane) = (at * bytes + byte, (bytes - 1 - byte) * len + at);
                                    if forwards {
                                        row[plane] = before[number];
                                    } else {
                                        row[number] = before[plane];
                                    }
                                }
                            }
                            if forwards {
                                by_the_book(true, 1, pixel, row);
                            }
                        });
                    }
                }
            }
        }
    }

    #[test]
    fn differences_start_anew_in_every_row_and_swap_before_they_add() {
        // By hand: rows of two pixels of two samples; the sum 0x01ff + 0x0002 carries.
        let mut samples = Samples::U16([0x01ff_u16, 5, 2, 0xffff, 7, 8, 1, 1].map(u16::to_be).to_vec());
        undo(Predictor::Horizontal, ByteOrder::Big, 2, 2, &mut samples).unwrap();
        assert_eq!(samples, Samples::U16(vec![0x01ff, 5, 0x0201, 4, 7, 8, 8, 9]));
    }

    #[test]
    fn the_floating_point_predictor_is_that_of_the_technical_note() {
        // By hand: 1.0 is 3f 80 00 00 and -2.0 is c0 00 00 00; planes 3f c0 | 80 00 | 00 00 | 00 00.
        let mut samples = Samples::F32(vec![1.0, -2.0]);
        apply(Predictor::FloatingPoint, 1, 2, &mut samples).unwrap();
        let expected = [0x3f, 0xc0 - 0x3f, 0x80_u8.wrapping_sub(0xc0), 0x80, 0, 0, 0, 0];
        assert_eq!(samples.as_bytes(), expected);
        undo(Predictor::FloatingPoint, ByteOrder::Big, 1, 2, &mut samples).unwrap();
        assert_eq!(samples, Samples::F32(vec![1.0, -2.0]));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let check = |predictor, width, expected, text: &str| {
            let mut samples = Samples::zeroed(SampleType::I16, 6);
            let error = undo(predictor, ByteOrder::Little, 1, width, &mut samples).unwrap_err();
            assert_eq!(error.kind(), expected);
            assert!(error.to_string().contains(text), "{error}");
        };
        check(Predictor::FloatingPoint, 6, ErrorKind::Format, "int16");
        check(Predictor::Unknown(34892), 6, ErrorKind::Unsupported, "34892");
        check(Predictor::None, 4, ErrorKind::Format, "whole rows of 4 pixels");
        check(Predictor::None, 0, ErrorKind::Format, "whole rows");
        check(Predictor::None, usize::MAX, ErrorKind::Format, "whole rows");
        let mut samples = Samples::zeroed(SampleType::U8, 6);
        let error = apply(Predictor::FloatingPoint, 1, 6, &mut samples).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
    }
}
