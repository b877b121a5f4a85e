//! Bringing nodata, mask and alpha of copied pixels into agreement with how the output stores validity, and counting what
//! became of them.

use super::{Composer, Counts, Rows};
use crate::plan::SourceValidity;
use crate::sample::Sample;

/// Pixels that are looked at together: where all are valid, or none is, none is looked at by itself.
const BLOCK: usize = 512;

/// What becomes of a pixel.
struct Terms<T> {
    /// Samples of a pixel.
    total: usize,
    /// The bands that hold data: neither alpha nor coverage.
    data: Vec<usize>,
    /// The value that is nodata in the source.
    nodata: Option<T>,
    /// What becomes of it, where that is another value.
    renewed: Option<T>,
    /// The value that valid samples are lost by.
    hiding: Option<T>,
    /// Whether a mask or an alpha band speaks for all bands of a pixel.
    is_shared: bool,
    /// The band that valid pixels are marked in, and with what.
    opaque: Option<(usize, T)>,
    /// The bands that are overwritten where a pixel is not valid, and with what.
    masked: Vec<(usize, T)>,
}

impl Composer {
    /// Settles a tile. On entry `valid` is what the source's mask or alpha band says; on return, what the source says
    /// altogether. It may be `None` where neither speaks and nobody asks.
    pub(super) fn settle<T: Sample>(
        &self,
        out: &mut [T],
        mut valid: Option<&mut [u8]>,
        rows: &Rows<'_>,
        counts: &mut Counts,
    ) {
        let terms = self.terms::<T>();
        let is_told = matches!(self.source, SourceValidity::Mask | SourceValidity::Alpha(_));
        let mut scratch = [1_u8; BLOCK];
        rows.visit(rows.rect, |at, _, _, len| {
            for start in (at..at + len).step_by(BLOCK) {
                let end = (at + len).min(start + BLOCK);
                let valid = match &mut valid {
                    Some(valid) => &mut valid[start..end],
                    None => &mut scratch[..end - start],
                };
                if !is_told {
                    valid.fill(1);
                }
                terms.settle(&mut out[start * terms.total..end * terms.total], valid, counts);
            }
        });
    }

    fn terms<T: Sample>(&self) -> Terms<T> {
        let fill = self.fill::<T>();
        let nodata = match &self.source {
            SourceValidity::NoData(nodata) => nodata.sample::<T>(),
            SourceValidity::Mask | SourceValidity::Alpha(_) | SourceValidity::All => None,
        };
        let by_nodata = nodata.is_some();
        let is_same =
            |fill: &T| nodata.is_some_and(|nodata| bytemuck::bytes_of(fill) == bytemuck::bytes_of(&nodata));
        let mut masked = Vec::new();
        // Where nodata speaks, an alpha band of the source is a band like the others and keeps what it holds.
        if let Some(alpha) = self.alpha.filter(|_| self.add_alpha || !self.keeps_mask && !by_nodata) {
            masked.push((alpha, T::zeroed()));
        }
        if let Some(fill) = fill.filter(|_| !self.keeps_mask && !by_nodata) {
            let bands = (0..self.output_bands).filter(|&band| self.alpha != Some(band));
            masked.extend(bands.map(|band| (band, fill)));
        }
        let data = (0..self.output_bands).filter(|&band| self.alpha != Some(band) && !self.is_coverage(band));
        Terms {
            total: self.output_bands,
            data: data.collect(),
            nodata,
            renewed: fill.filter(|_| self.fill_is_new),
            // A sample that is the source's nodata is none that was valid.
            hiding: fill.filter(|fill| !self.keeps_mask && !is_same(fill)),
            is_shared: self.keeps_mask || self.add_alpha,
            opaque: self
                .alpha
                .filter(|_| self.add_alpha)
                .map(|alpha| (alpha, T::from_f64_nearest(self.opaque))),
            masked,
        }
    }
}

impl<T: Sample> Terms<T> {
    /// Settles some pixels; `valid` has a byte for each, 0 or 1. Where a nodata value speaks, all of them are 1.
    fn settle(&self, pixels: &mut [T], valid: &mut [u8], counts: &mut Counts) {
        if let Some(hiding) = self.hiding {
            counts.hidden += self.hidden(pixels, valid, hiding);
        }
        if let Some(nodata) = self.nodata {
            self.heed(nodata, pixels, valid, counts);
        }
        let kept = ones(valid);
        counts.valid += kept as u64;
        if let Some((band, opaque)) = self.opaque {
            each_mut(pixels, self.total, band, |sample| *sample = opaque);
        }
        if kept == valid.len() {
            return;
        }
        for &(band, value) in &self.masked {
            if self.total == 1 {
                // Without a branch, so that it is done for many at once.
                for (sample, &valid) in pixels.iter_mut().zip(&*valid) {
                    *sample = if valid == 0 { value } else { *sample };
                }
            } else {
                for (pixel, &valid) in pixels.chunks_exact_mut(self.total).zip(&*valid) {
                    pixel[band] = if valid == 0 { value } else { pixel[band] };
                }
            }
        }
    }

    /// Heeds the source's nodata value: pixels of nothing else are not valid.
    fn heed(&self, nodata: T, pixels: &mut [T], valid: &mut [u8], counts: &mut Counts) {
        let missing = self.count(pixels, |sample| sample.is_nodata(nodata));
        if missing == 0 {
            return;
        }
        if missing == self.data.len() * valid.len() {
            valid.fill(0);
        } else {
            valid.fill(0);
            for &band in &self.data {
                if self.total == 1 {
                    let mark = |(valid, sample): (&mut u8, &T)| *valid = u8::from(!sample.is_nodata(nodata));
                    valid.iter_mut().zip(&*pixels).for_each(mark);
                } else {
                    for (valid, pixel) in valid.iter_mut().zip(pixels.chunks_exact(self.total)) {
                        *valid |= u8::from(!pixel[band].is_nodata(nodata));
                    }
                }
            }
            if self.is_shared {
                // Other bands of their pixels are valid.
                counts.partial += (missing - self.data.len() * (valid.len() - ones(valid))) as u64;
            }
        }
        if let Some(renewed) = self.renewed {
            let renew = |sample: &mut T| *sample = if sample.is_nodata(nodata) { renewed } else { *sample };
            if self.data.len() == self.total {
                pixels.iter_mut().for_each(renew);
            } else {
                self.data.iter().for_each(|&band| each_mut(pixels, self.total, band, renew));
            }
        }
    }

    /// How many valid samples of data hold the value that hides them.
    fn hidden(&self, pixels: &[T], valid: &[u8], hiding: T) -> u64 {
        let is_lost = |sample: &T| {
            sample.is_nodata(hiding) & !self.nodata.is_some_and(|nodata| sample.is_nodata(nodata))
        };
        let found = self.count(pixels, |sample| is_lost(&sample));
        if found == 0 || ones(valid) == valid.len() {
            return found as u64;
        }
        let lost = |(pixel, &valid): (&[T], &u8)| {
            self.data.iter().filter(|&&band| valid != 0 && is_lost(&pixel[band])).count() as u64
        };
        pixels.chunks_exact(self.total).zip(valid).map(lost).sum()
    }

    /// How many samples of data are of a kind.
    fn count(&self, pixels: &[T], is: impl Fn(T) -> bool) -> usize {
        let all: u32 = pixels.iter().map(|&sample| u32::from(is(sample))).sum();
        if all == 0 || self.data.len() == self.total {
            return all as usize;
        }
        let of = |band: usize| pixels.chunks_exact(self.total).filter(|pixel| is(pixel[band])).count();
        self.data.iter().map(|&band| of(band)).sum()
    }
}

/// Pixels that are marked with 1; the others are marked with 0.
fn ones(valid: &[u8]) -> usize {
    valid.iter().map(|&valid| u32::from(valid)).sum::<u32>() as usize
}

/// Changes every sample of a band.
fn each_mut<T>(pixels: &mut [T], total: usize, band: usize, change: impl Fn(&mut T)) {
    pixels.chunks_exact_mut(total).for_each(|pixel| change(&mut pixel[band]));
}
