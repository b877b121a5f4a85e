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
    /// One beyond the last that may not be zero, in zigzag order; or [`CORNER`] if it lies in the corner.
    pub(super) end: usize,
    /// The sum of what they stand for, regardless of signs.
    pub(super) magnitude: u64,
}

impl Block {
    /// Looks for what is known of coefficients.
    pub(super) fn new(coefficients: [i16; 64], quantisers: &[u16; 64]) -> Self {
        // In 32 bits, so that it is quick: no sum overflows whose parts are all below 2^13.
        let (mut sum, mut bits) = (0_u32, 0);
        for (value, &quantiser) in coefficients.iter().zip(quantisers) {
            let part = u32::from(value.unsigned_abs()) * u32::from(quantiser);
            (sum, bits) = (sum.wrapping_add(part), bits | part);
        }
        let (mut others, mut outside) = (0, 0);
        for (y, row) in coefficients.as_chunks::<8>().0.iter().enumerate() {
            let [mean, a, b, c, right @ ..] = row;
            let right = right.iter().fold(0, |all, value| all | value);
            others |= a | b | c | right | if y > 0 { *mean } else { 0 };
            outside |= right | if y > 3 { mean | a | b | c } else { 0 };
        }
        let end = if others == 0 {
            1
        } else if outside == 0 {
            CORNER
        } else {
            64
        };
        Self { coefficients, end, magnitude: if bits < 1 << 13 { u64::from(sum) } else { u64::MAX } }
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
            *value = coefficient.wrapping_mul(quantiser.cast_signed());
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

#[cfg(test)]
mod tests {
    use super::super::jpeg::ZIGZAG;
    use super::*;

    /// xorshift64.
    struct Random(u64);

    impl Random {
        fn below(&mut self, end: u64) -> i64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % end).cast_signed()
        }
    }

    /// A block of coefficients by their place in reading order, with what is known of it.
    fn block(coefficients: [i16; 64], quantisers: &[u16; 64]) -> Block {
        let mut block = Block::new(coefficients, quantisers);
        let last = ZIGZAG.iter().rposition(|&at| coefficients[usize::from(at)] != 0);
        block.end = last.map_or(1, |last| last + 1);
        block
    }

    #[test]
    fn every_way_gives_what_libjpegs_flow_graph_does() {
        let mut random = Random(5);
        let mut seen = [0; 4];
        for _ in 0..30_000 {
            let quantisers: [u16; 64] = std::array::from_fn(|_| random.below(40) as u16 + 1);
            let mut coefficients = [0; 64];
            let (count, zone) = (random.below(40), random.below(64) + 1);
            // All of what is allowed in one coefficient at times.
            let most = if count < 2 { MOST } else { 1 + 2 * MOST / count as u64 };
            for _ in 0..count {
                let at = usize::from(ZIGZAG[random.below(zone as u64) as usize]);
                let value = random.below(2 * most + 1) - most.cast_signed();
                coefficients[at] = (value / i64::from(quantisers[at])) as i16;
            }
            let block = block(coefficients, &quantisers);
            let way = match block.magnitude {
                magnitude if magnitude > MOST => 3,
                _ if block.end <= 1 => 0,
                _ if block.end <= CORNER => 1,
                _ => 2,
            };
            seen[way] += 1;
            let (mut out, mut expected) = ([9; 80], [9; 80]);
            inverse_dct(&block, &quantisers, &mut out, 10);
            any(&coefficients, &quantisers, &mut expected, 10);
            assert!(out == expected, "{coefficients:?} {quantisers:?}");
            inverse_dct(&Block::new(coefficients, &quantisers), &quantisers, &mut out, 10);
            assert!(out == expected, "{coefficients:?} {quantisers:?}");
        }
        assert!(seen.iter().all(|&count| count > 1000), "{seen:?}");
    }

    #[test]
    fn numbers_of_any_size_only_wrap() {
        for (coefficient, quantiser) in [(i16::MIN, u16::MAX), (i16::MAX, u16::MAX), (-1, u16::MAX)] {
            let quantisers = [quantiser; 64];
            inverse_dct(&block([coefficient; 64], &quantisers), &quantisers, &mut [0; 64], 8);
        }
    }

    #[test]
    fn samples_are_those_of_the_formula_within_one() {
        // T.81 §A.3.3. What libjpeg rounds between the dimensions is an eighth of a sample at most, times 8.
        let mut random = Random(6);
        for _ in 0..300 {
            let coefficients: [i16; 64] = std::array::from_fn(|_| (random.below(121) - 60) as i16);
            let mut out = [0; 64];
            inverse_dct(&block(coefficients, &[1; 64]), &[1; 64], &mut out, 8);
            for (at, &sample) in out.iter().enumerate() {
                let basis = |x: usize, u: usize| {
                    let scale = if u == 0 { f64::sqrt(0.125) } else { 0.5 };
                    let sixteenths = u32::try_from((2 * x + 1) * u % 32).map_or(0.0, f64::from);
                    scale * f64::cos(sixteenths * std::f64::consts::PI / 16.0)
                };
                let sum: f64 = (0..64)
                    .map(|k| f64::from(coefficients[k]) * basis(at % 8, k % 8) * basis(at / 8, k / 8))
                    .sum();
                let exact = (sum + 128.0).clamp(0.0, 255.0);
                assert!((f64::from(sample) - exact).abs() < 1.0, "{sample} {exact}");
            }
        }
    }
}
