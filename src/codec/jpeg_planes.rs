//! From JPEG's coefficients to samples, to the bit as libjpeg(-turbo) does with its defaults: the slow integer
//! inverse DCT (Loeffler, Ligtenberg and Moschytz, 1989), triangle ("fancy") upsampling and the integer colour
//! conversion.
#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "fixed-size blocks and wrapping numbers; rows are cut to their plane's size before"
)]

use std::num::Wrapping as W;

use super::jpeg::Component;

/// One component's samples, `width` x `height` of which are real.
pub(super) struct Plane {
    stride: usize,
    width: usize,
    height: usize,
    samples: Vec<u8>,
}

impl Plane {
    /// The samples of a component of `size` (width, height) real samples.
    pub(super) fn new(component: &Component, quantisers: &[u16; 64], size: (usize, usize)) -> Self {
        let stride = component.stride * 8;
        let mut samples = vec![0; stride * component.rows * 8];
        for (number, block) in component.coefficients.iter().enumerate() {
            let (x, y) = (number % component.stride, number / component.stride);
            inverse_dct(block, quantisers, &mut samples[y * 8 * stride + x * 8..], stride);
        }
        Self { stride, width: size.0, height: size.1.min(component.rows * 8), samples }
    }

    fn row(&self, y: usize) -> &[u8] {
        let y = y.min(self.height.saturating_sub(1));
        &self.samples[y * self.stride..][..self.width]
    }

    /// Row `y` of the image, upsampled by `factors` (across, down), into `out`. `wide` is room.
    pub(super) fn upsample(&self, factors: (usize, usize), y: usize, wide: &mut Vec<i32>, out: &mut [u8]) {
        let near = self.row(y / factors.1);
        // libjpeg's fancy upsampling needs three columns.
        let fancy = self.width > 2;
        // The other row that a triangle reaches: above for even rows, below for odd ones.
        let far = || match y % 2 {
            0 => self.row((y / 2).saturating_sub(1)),
            _ => self.row(y / 2 + 1),
        };
        match factors {
            (1, 1) => out.copy_from_slice(&near[..out.len()]),
            (2, 1) if fancy => {
                for (x, out) in out.iter_mut().enumerate() {
                    let at = x / 2;
                    let (this, left, right) = neighbours(near, at);
                    *out = match x % 2 {
                        0 if at == 0 => this as u8,
                        1 if at + 1 == near.len() => this as u8,
                        0 => ((this * 3 + left + 1) >> 2) as u8,
                        _ => ((this * 3 + right + 2) >> 2) as u8,
                    };
                }
            }
            (1, 2) => {
                let bias = if y.is_multiple_of(2) { 1 } else { 2 };
                for ((out, &near), &far) in out.iter_mut().zip(near).zip(far()) {
                    *out = ((i32::from(near) * 3 + i32::from(far) + bias) >> 2) as u8;
                }
            }
            (2, 2) if fancy => {
                wide.clear();
                wide.extend(near.iter().zip(far()).map(|(&near, &far)| i32::from(near) * 3 + i32::from(far)));
                for (x, out) in out.iter_mut().enumerate() {
                    let (at, last) = (x / 2, wide.len() - 1);
                    let this = wide[at];
                    *out = match x % 2 {
                        0 => ((this * 3 + wide[at.saturating_sub(1)] + 8) >> 4) as u8,
                        _ => ((this * 3 + wide[(at + 1).min(last)] + 7) >> 4) as u8,
                    };
                }
            }
            (across, _) => {
                for (out, &sample) in out.chunks_mut(across).zip(near) {
                    out.fill(sample);
                }
            }
        }
    }
}

fn neighbours(row: &[u8], at: usize) -> (i32, i32, i32) {
    let get = |at: usize| i32::from(row[at.min(row.len() - 1)]);
    (get(at), get(at.saturating_sub(1)), get(at + 1))
}

/// YCbCr to RGB, by ITU-R BT.601 in 16 bits of fraction.
pub(super) fn to_rgb(pixel: [u8; 3]) -> [u8; 3] {
    let [y, cb, cr] = [i32::from(pixel[0]), i32::from(pixel[1]) - 128, i32::from(pixel[2]) - 128];
    let red = y + ((91_881 * cr + 32_768) >> 16);
    let green = y + ((-22_554 * cb - 46_802 * cr + 32_768) >> 16);
    let blue = y + ((116_130 * cb + 32_768) >> 16);
    [red, green, blue].map(|sample| sample.clamp(0, 255) as u8)
}

fn inverse_dct(block: &[i16; 64], quantisers: &[u16; 64], out: &mut [u8], stride: usize) {
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
