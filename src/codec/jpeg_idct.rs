//! The inverse DCT of JPEG, to the bit as libjpeg(-turbo)'s slow integer one (Loeffler, Ligtenberg and Moschytz, 1989).
//! That one sums products of 13 bits of fraction by a flow graph that saves multiplications. The same sums, which are
//! exact, are here written out by coefficient, so that every factor has 16 bits and compilers find vectors in them.
#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "fixed-size blocks, in numbers that are bounded or wrap; rows are cut to their plane's size before"
)]

use std::num::Wrapping as W;

/// A block's coefficients as stored, by frequency in reading order, and what is known of them.
pub(super) struct Block {
    pub(super) coefficients: [i16; 64],
    /// One beyond the last that may not be zero, in zigzag order.
    pub(super) end: usize,
    /// The sum of what they stand for, regardless of signs.
    pub(super) magnitude: u64,
}

impl Block {
    /// Looks for what is known of coefficients.
    pub(super) fn new(coefficients: [i16; 64], quantisers: &[u16; 64]) -> Self {
        let sizes = coefficients.iter().zip(quantisers);
        let magnitude =
            sizes.map(|(value, &quantiser)| u64::from(value.unsigned_abs()) * u64::from(quantiser)).sum();
        Self { coefficients, end: 64, magnitude }
    }
}

/// With a greater [`Block::magnitude`] the numbers between the dimensions may have more than 16 bits: each is a sum of
/// coefficients times at most 11363 / 2^11, rounded. No image has such blocks, but noise between black and white.
const MOST: u64 = 5900;

/// Coefficients before this one, in zigzag order, lie in the first four rows and columns.
const CORNER: usize = 10;

/// By how much the odd frequencies (1, 3, 5, 7) enter samples 0 to 3, and, negative, 7 to 4; times 2^13 and the square
/// root of 8.
const ODD: [[i16; 4]; 4] = [
    [11363, 9633, 6437, 2260],
    [9633, -2259, -11362, -6436],
    [6437, -11362, 2261, 9633],
    [2260, -6436, 9633, -11363],
];

/// By how much the even ones (0, 2, 4, 6) do, and samples 7 to 4 as well.
const EVEN: [[i16; 4]; 4] = [
    [8192, 8192, 8192, 8192],
    [10703, 4433, -4433, -10703],
    [8192, -8192, -8192, 8192],
    [4433, -10704, 10704, -4433],
];

/// Writes a block's samples to the first 8 bytes of 8 rows of `out`, which are `stride` apart.
#[inline]
pub(super) fn inverse_dct(block: &Block, quantisers: &[u16; 64], out: &mut [u8], stride: usize) {
    if block.magnitude > MOST {
        any(&block.coefficients, quantisers, out, stride);
    } else if block.end <= 1 {
        let mean = i32::from(block.coefficients[0]) * i32::from(quantisers[0]);
        let sample = (((mean + 4) >> 3) + 128).clamp(0, 255) as u8;
        for row in out.chunks_mut(stride).take(8) {
            row[..8].fill(sample);
        }
    } else if block.end <= CORNER {
        bounded::<4>(&block.coefficients, quantisers, out, stride);
    } else {
        bounded::<8>(&block.coefficients, quantisers, out, stride);
    }
}

/// Of `N` x `N` frequencies, 4 or 8; the others are zero.
fn bounded<const N: usize>(block: &[i16; 64], quantisers: &[u16; 64], out: &mut [u8], stride: usize) {
    let mut frequencies = [[0_i16; 8]; 8];
    let (block, quantisers) = (block.as_chunks::<8>().0, quantisers.as_chunks::<8>().0);
    for (row, (block, quantisers)) in frequencies.iter_mut().zip(block.iter().zip(quantisers)).take(N) {
        for ((value, &coefficient), &quantiser) in row.iter_mut().zip(block).zip(quantisers) {
            *value = coefficient.wrapping_mul(quantiser as i16);
        }
    }
    let columns = dimension::<N, 11, 0>(&frequencies);
    let rows = dimension::<N, 18, 128>(&transposed(&columns));
    let samples = transposed(&rows.map(|row| row.map(|sample| sample.clamp(0, 255) as u8)));
    for (samples, row) in samples.iter().zip(out.chunks_mut(stride)) {
        row[..8].copy_from_slice(samples);
    }
}

/// Eight transforms side by side, of the first `N` frequencies, divided by 2^`SHIFT` and raised by `MEAN`.
#[inline]
fn dimension<const N: usize, const SHIFT: u32, const MEAN: i32>(
    frequencies: &[[i16; 8]; 8],
) -> [[i16; 8]; 8] {
    let mut out = [[0; 8]; 8];
    for lane in 0..8 {
        let (mut even, mut odd) = ([(1 << (SHIFT - 1)) + (MEAN << SHIFT); 4], [0; 4]);
        for k in 0..N / 2 {
            for at in 0..4 {
                even[at] += i32::from(frequencies[2 * k][lane]) * i32::from(EVEN[k][at]);
                odd[at] += i32::from(frequencies[2 * k + 1][lane]) * i32::from(ODD[k][at]);
            }
        }
        for at in 0..4 {
            // Nothing is clamped, but processors have an instruction for this.
            let narrow = |sum: i32| (sum >> SHIFT).clamp(-32768, 32767) as i16;
            out[at][lane] = narrow(even[at] + odd[at]);
            out[7 - at][lane] = narrow(even[at] - odd[at]);
        }
    }
    out
}

#[inline]
fn transposed<T: Copy + Default>(block: &[[T; 8]; 8]) -> [[T; 8]; 8] {
    let mut out = [[T::default(); 8]; 8];
    for x in 0..8 {
        for y in 0..8 {
            out[x][y] = block[y][x];
        }
    }
    out
}

/// Of whatever numbers, which wrap as libjpeg's do.
#[cold]
#[inline(never)]
fn any(block: &[i16; 64], quantisers: &[u16; 64], out: &mut [u8], stride: usize) {
    let mut work = [W(0_i32); 64];
    for (work, (&coefficient, &quantiser)) in work.iter_mut().zip(block.iter().zip(quantisers)) {
        *work = W(i32::from(coefficient)) * W(i32::from(quantiser));
    }
    for x in 0..8 {
        let column: [W<i32>; 8] = std::array::from_fn(|y| work[y * 8 + x]);
        for (y, value) in transform(column).into_iter().enumerate() {
            work[y * 8 + x] = (value + W(1 << 10)) >> 11;
        }
    }
    for y in 0..8 {
        let row: [W<i32>; 8] = std::array::from_fn(|x| work[y * 8 + x]);
        for (x, value) in transform(row).into_iter().enumerate() {
            let sample = (value + W(1 << 17)) >> 18;
            out[y * stride + x] = (sample + W(128)).0.clamp(0, 255) as u8;
        }
    }
}

/// One dimension, times 2^13 and the square root of 8.
fn transform(d: [W<i32>; 8]) -> [W<i32>; 8] {
    let z1 = (d[2] + d[6]) * W(4433);
    let (t2, t3) = (z1 - d[6] * W(15137), z1 + d[2] * W(6270));
    let (t0, t1) = ((d[0] + d[4]) << 13, (d[0] - d[4]) << 13);
    let even = [t0 + t3, t1 + t2, t1 - t2, t0 - t3];

    let z5 = (d[7] + d[3] + d[5] + d[1]) * W(9633);
    let z1 = (d[7] + d[1]) * W(-7373);
    let z2 = (d[5] + d[3]) * W(-20995);
    let z3 = (d[7] + d[3]) * W(-16069) + z5;
    let z4 = (d[5] + d[1]) * W(-3196) + z5;
    let odd = [
        d[1] * W(12299) + z1 + z4,
        d[3] * W(25172) + z2 + z3,
        d[5] * W(16819) + z2 + z4,
        d[7] * W(2446) + z1 + z3,
    ];
    std::array::from_fn(|at| if at < 4 { even[at] + odd[at] } else { even[7 - at] - odd[7 - at] })
}
