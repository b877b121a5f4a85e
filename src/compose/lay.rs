//! From pieces to the samples of a tile: the pixels of the cutline from the source, ground around them.

use super::{Composer, Piece, Rows};
use crate::grid::PixelRect;
use crate::sample::{NoData, Sample};

/// What a source tile gives to a tile of the output.
struct Part<'a, T> {
    /// The window's pixels that it gives.
    rect: PixelRect,
    samples: &'a [T],
    /// Samples of a pixel.
    stride: usize,
    /// Where the first of its pixels starts, and from one row to the next.
    first: usize,
    pitch: usize,
}

impl<T> Part<'_, T> {
    /// The samples of some of its pixels of a row.
    fn row(&self, y: u32, x: u32, len: usize) -> &[T] {
        let (down, right) = ((y - self.rect.y0) as usize, (x - self.rect.x0) as usize);
        let from = self.first + down * self.pitch + right * self.stride;
        &self.samples[from..from + len * self.stride]
    }
}

impl Composer {
    /// The samples of a tile before anything is made of nodata, mask and alpha.
    pub(super) fn lay<T: Sample>(&self, rows: &Rows<'_>, pieces: &[Piece]) -> Vec<T> {
        if let Some(samples) = self.woven(rows, pieces) {
            return samples;
        }
        let mut out = self.ground_of();
        for piece in pieces {
            self.copy(&mut out, rows, piece);
        }
        out
    }

    fn part<'a, T: Sample>(&self, piece: &'a Piece, rect: PixelRect) -> Option<Part<'a, T>> {
        let rect = self.shared(piece, rect)?;
        let tile = piece.tile.as_ref()?;
        let samples = T::unwrap_ref(&tile.samples)?;
        let stride = usize::from(tile.samples_per_pixel);
        let pitch = (tile.rect.x1 - tile.rect.x0) as usize * stride;
        let from = rect.shifted(self.window.x0, self.window.y0).relative_to(tile.rect.x0, tile.rect.y0);
        let first = from.y0 as usize * pitch + from.x0 as usize * stride;
        Some(Part { rect, samples, stride, first, pitch })
    }

    /// Whether a pixel of the output is a pixel of the source, all bands in their order.
    fn is_whole(&self) -> bool {
        !self.planar
            && self.output_bands == self.bands.len()
            && self.bands.iter().enumerate().all(|(to, &band)| usize::from(band) == to)
    }

    /// The samples written once, from left to right: pixels of the cutline, and ground between them. `None` where that is
    /// not possible: when bands must be picked, for sparse pieces, and for pieces that lie on no grid.
    fn woven<T: Sample>(&self, rows: &Rows<'_>, pieces: &[Piece]) -> Option<Vec<T>> {
        if !self.is_whole() {
            return None;
        }
        let (rect, total) = (rows.rect, self.output_bands);
        let mut parts = Vec::with_capacity(pieces.len());
        for piece in pieces.iter().filter(|piece| self.shared(piece, rect).is_some()) {
            parts.push(self.part::<T>(piece, rect).filter(|part| part.stride == total)?);
        }
        parts.sort_by_key(|part| (part.rect.y0, part.rect.x0));
        if !parts.iter().zip(parts.iter().skip(1)).all(|(a, b)| follows(a.rect, b.rect)) {
            return None;
        }
        let ground = self.ground_pixel::<T>().repeat(rows.width);
        let mut out: Vec<T> = Vec::with_capacity(self.pixels() * total);
        let mut parts = parts.as_slice();
        for ((runs, y), line) in rows.runs.iter().zip(rect.y0..).zip(1..) {
            while let [part, rest @ ..] = parts
                && part.rect.y1 <= y
            {
                parts = rest;
            }
            let mut beside = parts;
            let mut column = rect.x0;
            for run in *runs {
                while let [part, rest @ ..] = beside
                    && part.rect.y0 <= y
                    && part.rect.x0 < run.end
                {
                    let (start, end) = (run.start.max(part.rect.x0), run.end.min(part.rect.x1));
                    if start < end {
                        out.extend_from_slice(&ground[..(start - column) as usize * total]);
                        out.extend_from_slice(part.row(y, start, (end - start) as usize));
                        column = end;
                    }
                    if run.end < part.rect.x1 {
                        break;
                    }
                    beside = rest;
                }
            }
            out.extend_from_slice(&ground[..line * rows.width * total - out.len()]);
        }
        while out.len() < self.pixels() * total {
            out.extend_from_slice(&ground);
        }
        Some(out)
    }

    /// Copies a piece's pixels of the cutline, band by band.
    fn copy<T: Sample>(&self, out: &mut [T], rows: &Rows<'_>, piece: &Piece) {
        let Some(rect) = self.shared(piece, rows.rect) else { return };
        let total = self.output_bands;
        // (band in the piece, band in the output)
        let bands = self.bands.iter().zip(0..).filter(|&(&band, _)| !self.planar || band == piece.plane);
        let routes: Vec<(usize, usize)> =
            bands.map(|(&band, to)| (if self.planar { 0 } else { usize::from(band) }, to)).collect();
        let Some(tile) = &piece.tile else {
            let empty = self.sparse.as_ref().and_then(NoData::of_sparse::<T>).unwrap_or(T::zeroed());
            rows.visit(rect, |at, _, _, len| {
                for &(_, to) in &routes {
                    let pixels = out[at * total..(at + len) * total].chunks_exact_mut(total);
                    pixels.for_each(|pixel| pixel[to] = empty);
                }
            });
            return;
        };
        let Some(part) = self.part::<T>(piece, rows.rect) else { return };
        let stride = usize::from(tile.samples_per_pixel);
        let is_whole = stride == total && self.is_whole();
        rows.visit(rect, |at, x, y, len| {
            let source = part.row(y, x, len);
            let target = &mut out[at * total..(at + len) * total];
            if is_whole {
                target.copy_from_slice(source);
                return;
            }
            for &(band, to) in &routes {
                for (pixel, source) in target.chunks_exact_mut(total).zip(source.chunks_exact(stride)) {
                    pixel[to] = source[band];
                }
            }
        });
    }

    /// Marks the pixels of the cutline whose sample (number `sample` of a pixel) in a mask or alpha band is not 0. A sparse
    /// tile was never written: GDAL reads it as 0, invalid.
    pub(super) fn read_validity<T: Sample>(
        &self,
        valid: &mut [u8],
        rows: &Rows<'_>,
        piece: &Piece,
        sample: usize,
    ) {
        let Some(part) = self.part::<T>(piece, rows.rect) else { return };
        rows.visit(part.rect, |at, x, y, len| {
            let (valid, source) = (&mut valid[at..at + len], part.row(y, x, len));
            if part.stride == 1 {
                let mark = |(valid, value): (&mut u8, &T)| *valid = u8::from(!value.same(T::zeroed()));
                valid.iter_mut().zip(source).for_each(mark);
            } else {
                for (valid, pixel) in valid.iter_mut().zip(source.chunks_exact(part.stride)) {
                    *valid = u8::from(!pixel[sample].same(T::zeroed()));
                }
            }
        });
    }
}

/// Whether a part may come right after another: beside it in the same rows, or below.
fn follows(before: PixelRect, after: PixelRect) -> bool {
    if before.y0 == after.y0 { before.y1 == after.y1 && before.x1 <= after.x0 } else { before.y1 <= after.y0 }
}
