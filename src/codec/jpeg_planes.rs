//! From blocks to pixels, to the bit as libjpeg(-turbo) does with its defaults: triangle ("fancy") upsampling and the
//! integer colour conversion. Loops run over whole rows of small numbers, so that compilers find vectors in them.
#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rows are cut to their plane's size before; sums of a few bytes"
)]

use std::slice::ChunksExactMut;

use super::jpeg::{Component, Frame, Shape};
use super::jpeg_idct::{Block, inverse_dct};
use crate::error::{Error, Result};

/// Rows of MCUs that are held at a time: the last one, and the two that it is the lower neighbour of when these are
/// upsampled.
const HELD: usize = 3;

/// One component's samples, `width` x `height` of which are real. Row `y` stands in row `y` modulo the rows there are.
struct Plane {
    stride: usize,
    width: usize,
    height: usize,
    /// By how much it is upsampled, across and down.
    factors: (usize, usize),
    samples: Vec<u8>,
    /// Where the MCUs begin that are being decoded, and how far it is to the next row of them.
    top: usize,
    step: usize,
}

/// The pixels of a frame, which come in rows of MCUs.
pub(super) struct Canvas<'a> {
    planes: Vec<Plane>,
    /// Rows of pixels still to be painted.
    rows: ChunksExactMut<'a, u8>,
    painted: usize,
    decoded: usize,
    /// Rows of pixels in a row of MCUs.
    lines: usize,
    samples_per_pixel: usize,
    ycbcr: bool,
    /// Room for one row of each component, upsampled, and for one before it is widened.
    upsampled: Vec<Vec<u8>>,
    tall: Vec<u16>,
}

impl<'a> Canvas<'a> {
    /// For the pixels of `out`. A row of MCUs is one of blocks if `single`, as in scans of one component, which must then
    /// be the frame's only one.
    pub(super) fn new(
        frame: &Frame,
        shape: Shape,
        ycbcr: bool,
        single: bool,
        out: &'a mut [u8],
    ) -> Result<Self> {
        if !ycbcr && !frame.components.iter().all(|component| component.sampling == frame.most) {
            // Colours at half the resolution are YCbCr whatever the directory says; libtiff refuses them too.
            return Err(Error::unsupported(
                "the JPEG data have subsampled components, but PhotometricInterpretation is not YCbCr",
            ));
        }
        let plane = |component: &Component| {
            let ((h, v), stride) = (component.sampling, component.stride * 8);
            let real = |size: usize, own: usize, most: usize| (size * own).div_ceil(most);
            let step = stride * if single { 8 } else { v * 8 };
            Plane {
                stride,
                width: real(shape.width, h, frame.most.0),
                height: real(frame.height, v, frame.most.1).min(component.rows * 8),
                factors: (frame.most.0 / h, frame.most.1 / v),
                samples: vec![0; step * HELD],
                top: 0,
                step,
            }
        };
        Ok(Self {
            planes: frame.components.iter().map(plane).collect(),
            rows: out.chunks_exact_mut(shape.width * shape.samples_per_pixel),
            painted: 0,
            decoded: 0,
            lines: if single { 8 } else { frame.most.1 * 8 },
            samples_per_pixel: shape.samples_per_pixel,
            ycbcr,
            upsampled: vec![Vec::new(); frame.components.len()],
            tall: Vec::new(),
        })
    }

    /// Puts a block of component `index` where it belongs: `column` counts in the whole row, `row` in the row of MCUs.
    #[inline]
    pub(super) fn put(
        &mut self,
        index: usize,
        (column, row): (usize, usize),
        block: &Block,
        quantisers: &[u16; 64],
    ) {
        if let Some(plane) = self.planes.get_mut(index) {
            let at = plane.top + row * 8 * plane.stride + column * 8;
            if let Some(samples) = plane.samples.get_mut(at..) {
                inverse_dct(block, quantisers, samples, plane.stride);
            }
        }
    }

    /// Closes a row of MCUs and paints what is known of the pixels by now; all that is left with the last one.
    pub(super) fn advance(&mut self, last: bool) {
        for plane in &mut self.planes {
            plane.top = (plane.top + plane.step) % plane.samples.len();
        }
        // A row's chroma may reach into the row of MCUs below.
        let end = if last { usize::MAX } else { self.decoded };
        self.decoded += self.lines;
        while self.painted < end
            && let Some(out) = self.rows.next()
        {
            let mut bands = [&[][..]; 4];
            for ((band, plane), room) in bands.iter_mut().zip(&self.planes).zip(&mut self.upsampled) {
                *band = plane.upsample(self.painted, &mut self.tall, room);
            }
            paint(bands, self.samples_per_pixel, self.ycbcr, out);
            self.painted += 1;
        }
    }
}

fn paint([a, b, c, d]: [&[u8]; 4], samples_per_pixel: usize, ycbcr: bool, out: &mut [u8]) {
    match samples_per_pixel {
        1 => out.copy_from_slice(&a[..out.len()]),
        3 if ycbcr => rgb_of_ycbcr(a, b, c, out),
        2 => {
            for (out, (&a, &b)) in out.as_chunks_mut::<2>().0.iter_mut().zip(a.iter().zip(b)) {
                *out = [a, b];
            }
        }
        3 => {
            for (out, ((&a, &b), &c)) in out.as_chunks_mut::<3>().0.iter_mut().zip(a.iter().zip(b).zip(c)) {
                *out = [a, b, c];
            }
        }
        _ => {
            let bands = a.iter().zip(b).zip(c.iter().zip(d));
            for (out, ((&a, &b), (&c, &d))) in out.as_chunks_mut::<4>().0.iter_mut().zip(bands) {
                *out = [a, b, c, d];
            }
        }
    }
}

impl Plane {
    fn row(&self, y: usize) -> &[u8] {
        let at = y.min(self.height.saturating_sub(1)) * self.stride % self.samples.len();
        &self.samples[at..][..self.width]
    }

    /// Row `y` of the image, upsampled; `tall` and `out` are room. It may be longer than the image is wide.
    fn upsample<'a>(&'a self, y: usize, tall: &mut Vec<u16>, out: &'a mut Vec<u8>) -> &'a [u8] {
        let near = self.row(y / self.factors.1);
        // The other row that a triangle reaches: above for even rows, below for odd ones.
        let far = || match y % 2 {
            0 => self.row((y / 2).saturating_sub(1)),
            _ => self.row(y / 2 + 1),
        };
        out.resize(self.width * self.factors.0, 0);
        match self.factors {
            (2, 1) if self.width > 2 => widen(near, out),
            (1, 2) => {
                let bias = if y.is_multiple_of(2) { 1 } else { 2 };
                for ((out, &near), &far) in out.iter_mut().zip(near).zip(far()) {
                    *out = ((u16::from(near) * 3 + u16::from(far) + bias) >> 2) as u8;
                }
            }
            // libjpeg's fancy upsampling needs three columns.
            (2, 2) if self.width > 2 => {
                tall.resize(near.len(), 0);
                for ((tall, &near), &far) in tall.iter_mut().zip(near).zip(far()) {
                    *tall = u16::from(near) * 3 + u16::from(far);
                }
                widen_tall(tall, out);
            }
            (1, _) => return near,
            (across, _) => {
                for (out, &sample) in out.chunks_exact_mut(across).zip(near) {
                    out.fill(sample);
                }
            }
        }
        out
    }
}

/// Twice as many samples: three parts of the near one and one of the next, rounded up and down in turn.
fn widen(near: &[u8], out: &mut [u8]) {
    if let ([first, inner @ .., last], [near_first, after @ ..]) = (out, near) {
        (*first, *last) = (*near_first, after.last().copied().unwrap_or(*near_first));
        for (out, (&left, &right)) in inner.as_chunks_mut::<2>().0.iter_mut().zip(near.iter().zip(after)) {
            let (left, right) = (u16::from(left), u16::from(right));
            *out = [((left * 3 + right + 2) >> 2) as u8, ((right * 3 + left + 1) >> 2) as u8];
        }
    }
}

/// The same of samples times 4.
fn widen_tall(near: &[u16], out: &mut [u8]) {
    if let ([first, inner @ .., last], [near_first, after @ ..]) = (out, near) {
        let near_last = after.last().unwrap_or(near_first);
        (*first, *last) = (((near_first * 4 + 8) >> 4) as u8, ((near_last * 4 + 7) >> 4) as u8);
        for (out, (&left, &right)) in inner.as_chunks_mut::<2>().0.iter_mut().zip(near.iter().zip(after)) {
            *out = [((left * 3 + right + 7) >> 4) as u8, ((right * 3 + left + 8) >> 4) as u8];
        }
    }
}

/// Pixels of a row that are converted at a time.
const LANES: usize = 16;

/// YCbCr to RGB pixels, by ITU-R BT.601 in 16 bits of fraction: what libjpeg looks up in tables.
fn rgb_of_ycbcr(luma: &[u8], blue: &[u8], red: &[u8], out: &mut [u8]) {
    let (groups, rest) = out.as_chunks_mut::<{ LANES * 3 }>();
    let bands = || [luma, blue, red].map(|band| band.as_chunks::<LANES>().0.iter());
    let [ys, bs, rs] = bands();
    for (out, ((y, b), r)) in groups.iter_mut().zip(ys.zip(bs).zip(rs)) {
        rgb(y, b, r, out);
    }
    if !rest.is_empty() {
        let start = groups.len() * LANES;
        let [y, b, r] = [luma, blue, red].map(|band| {
            let mut lanes = [0; LANES];
            for (lane, &sample) in lanes.iter_mut().zip(&band[start..]) {
                *lane = sample;
            }
            lanes
        });
        let mut pixels = [0; LANES * 3];
        rgb(&y, &b, &r, &mut pixels);
        rest.copy_from_slice(&pixels[..rest.len()]);
    }
}

#[inline]
fn rgb(luma: &[u8; LANES], blue: &[u8; LANES], red: &[u8; LANES], out: &mut [u8; LANES * 3]) {
    // The whole parts of 1.402 and so on are taken out, so that factors have 16 bits.
    let mut bands = [[0_u8; LANES]; 3];
    for at in 0..LANES {
        let (y, cb, cr) = (i16::from(luma[at]), i16::from(blue[at]) - 128, i16::from(red[at]) - 128);
        // (c x + 2^15) / 2^16, rounded down, by way of the upper half of 2 c x: an instruction of its own.
        let part = |x: i16, c: i16| (((i32::from(2 * x) * i32::from(c)) >> 16) as i16 + 1) >> 1;
        let both = i32::from(cb) * -22_554 + i32::from(cr) * 18_734;
        bands[0][at] = (y + cr + part(cr, 26_345)).clamp(0, 255) as u8;
        bands[1][at] = (y - cr + ((both + (1 << 15)) >> 16) as i16).clamp(0, 255) as u8;
        bands[2][at] = (y + 2 * cb + part(cb, -14_942)).clamp(0, 255) as u8;
    }
    for (at, pixel) in out.as_chunks_mut::<3>().0.iter_mut().enumerate() {
        *pixel = [bands[0][at], bands[1][at], bands[2][at]];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_those_of_libjpegs_tables_for_every_chroma() {
        // jdcolor.c of libjpeg 6b: tables of the terms, in 16 bits of fraction, the half in the terms of red's chroma.
        let fix = |x: f64| (x * 65536.0 + 0.5) as i32;
        let half = 1 << 15;
        let red_term = |cr: i32| (fix(1.402) * cr + half) >> 16;
        let blue_term = |cb: i32| (fix(1.772) * cb + half) >> 16;
        let green_term = |cb: i32, cr: i32| (-fix(0.34414) * cb + (-fix(0.71414) * cr + half)) >> 16;
        let mut out = vec![0; 256 * 3];
        let red: Vec<u8> = (0..=255).collect();
        for luma in (0..=255_u8).step_by(15) {
            for blue in 0..=255_u8 {
                rgb_of_ycbcr(&[luma; 256], &[blue; 256], &red, &mut out);
                let (y, cb) = (i32::from(luma), i32::from(blue) - 128);
                for (cr, pixel) in (-128..).zip(out.as_chunks::<3>().0) {
                    let expected = [y + red_term(cr), y + green_term(cb, cr), y + blue_term(cb)];
                    assert_eq!(*pixel, expected.map(|sample| sample.clamp(0, 255) as u8), "{y} {cb} {cr}");
                }
            }
        }
    }

    #[test]
    fn rows_of_any_width_are_painted_to_their_ends() {
        for width in 1..50 {
            let (y, b, r) = (vec![100; width], vec![90; width], vec![200; width]);
            let mut out = vec![0; width * 3];
            rgb_of_ycbcr(&y, &b, &r, &mut out);
            assert!(out.as_chunks::<3>().0.iter().all(|&pixel| pixel == [201, 62, 33]), "{width}: {out:?}");
        }
    }

    #[test]
    fn every_second_sample_leans_to_its_other_neighbour() {
        // By hand: (3a + b + 2) / 4 and (3b + a + 1) / 4; of samples times 4, + 7 and + 8, / 16.
        let mut out = [0; 6];
        widen(&[10, 20, 31], &mut out);
        assert_eq!(out, [10, 13, 17, 23, 28, 31]);
        widen_tall(&[40, 80, 125], &mut out);
        assert_eq!(out, [10, 12, 18, 23, 28, 31]);
    }
}
