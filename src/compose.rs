//! One output tile from the source tiles under it: the pixels of the cutline are copied, run by run, onto a ground
//! of masked samples. What is not copied is masked, so masking costs nothing of its own.

mod copied;

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::grid::{PixelRect, TileGrid, TileIndex};
use crate::header::Header;
use crate::limits::{Limits, within};
use crate::mask::Mask;
use crate::plan::{CoverageBand, Plan, SourceValidity};
use crate::sample::{NoData, Sample, SampleType, Samples, with_sample_type, with_samples};
use crate::tile::DecodedTile;

/// A source tile that shares pixels with an output tile.
#[derive(Clone, Debug)]
pub struct Piece {
    /// Its plane: 0 for chunky images, else the band from 0.
    pub plane: u16,
    /// The source's pixels that it holds.
    pub rect: PixelRect,
    /// Its samples; `None` for a sparse tile.
    pub tile: Option<Arc<DecodedTile>>,
}

/// How many pixels became what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Pixels in the cutline.
    pub inside: u64,
    /// Of these, pixels that the source holds as valid.
    pub valid: u64,
    /// Samples that were valid in the source and read as nodata in the output, because they hold its nodata value.
    pub hidden: u64,
    /// Samples that were nodata in the source and read as valid in the output, because other bands of their pixel are
    /// valid, and a mask or an alpha band speaks for all of them.
    pub partial: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.inside += other.inside;
        self.valid += other.valid;
        self.hidden += other.hidden;
        self.partial += other.partial;
    }
}

/// An output tile before encoding: whole, also where it reaches beyond the image.
#[derive(Clone, Debug)]
pub struct MaskedTile {
    /// Samples, pixel by pixel, row by row.
    pub samples: Samples,
    /// 1 for valid pixels, 0 for others; `None` when the nodata value alone tells.
    pub valid: Option<Vec<u8>>,
}

/// What composing needs to know, the same for all tiles.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts of a plan, independent of each other")]
pub struct Composer {
    sample_type: SampleType,
    window: PixelRect,
    grid: TileGrid,
    mask: Arc<Mask>,
    planar: bool,
    bands: Vec<u16>,
    output_bands: usize,
    alpha: Option<usize>,
    add_alpha: bool,
    coverage: Option<CoverageBand>,
    source: SourceValidity,
    /// The source's nodata value, also where its mask speaks for it: what a sparse tile holds.
    sparse: Option<NoData>,
    fill: Option<NoData>,
    /// Whether the output has an internal mask.
    keeps_mask: bool,
    /// The alpha of what is valid: the largest value.
    opaque: f64,
    /// Whether `fill` is another value than the source's nodata.
    fill_is_new: bool,
}

impl Composer {
    /// For a plan.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Limit`] when one tile takes more than `limits` allow.
    pub fn new(header: &Header, plan: &Plan, limits: &Limits) -> Result<Self> {
        let Some(&grid) = plan.levels.first() else { return Err(Error::usage("the plan has no output")) };
        let sample_type = header.sample_type;
        let bytes = (sample_type.bytes() as u64)
            .saturating_mul(grid.tile.pixels())
            .saturating_mul(plan.output_bands() as u64);
        within(bytes, limits.tile_bytes, "a tile of the output")?;
        let validity = &plan.validity;
        let source_nodata = header.nodata.clone().filter(|value| header.holds(value));
        Ok(Self {
            sample_type,
            window: plan.window,
            grid,
            mask: Arc::clone(&plan.mask),
            planar: header.main.planes > 1,
            bands: plan.bands.clone(),
            output_bands: plan.output_bands(),
            alpha: validity.alpha,
            add_alpha: validity.add_alpha,
            coverage: plan.coverage.clone(),
            source: validity.source.clone(),
            fill_is_new: validity.fill.is_some() && validity.fill != source_nodata,
            sparse: header.nodata.clone(),
            fill: validity.fill.clone(),
            keeps_mask: validity.mask,
            // Alpha bands have 16 bits at most.
            opaque: f64::from((1_u32 << header.bits.min(16)) - 1),
        })
    }

    /// Bytes of the samples of one output tile.
    #[must_use]
    pub fn tile_bytes(&self) -> u64 {
        (self.sample_type.bytes() * self.pixels() * self.output_bands) as u64
    }

    /// A tile in which every pixel is masked.
    #[must_use]
    pub fn ground(&self) -> MaskedTile {
        with_sample_type!(self.sample_type, T => self.ground_of::<T>())
    }

    /// One output tile, from the pieces of the image and of its internal mask that share a pixel with it.
    #[must_use]
    pub fn compose(&self, index: TileIndex, pieces: &[Piece], masks: &[Piece]) -> (MaskedTile, Counts) {
        with_sample_type!(self.sample_type, T => self.compose_of::<T>(index, pieces, masks))
    }

    /// Whether validity is more than what the fill value says.
    fn tracks_valid(&self) -> bool {
        self.keeps_mask || self.alpha.is_some()
    }

    fn is_coverage(&self, band: usize) -> bool {
        self.coverage.as_ref().is_some_and(|coverage| coverage.band == band)
    }

    fn pixels(&self) -> usize {
        self.grid.tile.width as usize * self.grid.tile.height as usize
    }

    fn ground_of<T: Sample>(&self) -> MaskedTile {
        let fill = self.fill.as_ref().and_then(NoData::sample::<T>).unwrap_or(T::zeroed());
        let mut samples = vec![fill; self.pixels() * self.output_bands];
        if let Some(alpha) = self.alpha {
            samples.iter_mut().skip(alpha).step_by(self.output_bands).for_each(|v| *v = T::zeroed());
        }
        MaskedTile { samples: T::wrap(samples), valid: self.tracks_valid().then(|| vec![0; self.pixels()]) }
    }

    fn compose_of<T: Sample>(
        &self,
        index: TileIndex,
        pieces: &[Piece],
        masks: &[Piece],
    ) -> (MaskedTile, Counts) {
        let mut ground = self.ground_of::<T>();
        let rect = self.grid.rect(index);
        let out = T::unwrap_mut(&mut ground.samples);
        for piece in pieces {
            self.copy(out, rect, piece);
        }
        if let Some(coverage) = &self.coverage {
            self.cover(out, rect, coverage);
        }
        let mut counts = Counts { inside: self.mask.count_in(rect), ..Counts::default() };
        if self.source == SourceValidity::All && !self.tracks_valid() && !self.fill_is_new {
            counts.valid = counts.inside;
            return (ground, counts);
        }
        let mut valid = vec![0_u8; self.pixels()];
        match self.source {
            SourceValidity::Mask => {
                for piece in masks {
                    self.read_validity::<u8>(&mut valid, rect, piece, 0);
                }
            }
            SourceValidity::Alpha(alpha) => {
                let (plane, sample) = if self.planar { (alpha, 0) } else { (0, usize::from(alpha)) };
                let pieces = pieces.iter().filter(|piece| piece.plane == plane);
                pieces.for_each(|piece| self.read_validity::<T>(&mut valid, rect, piece, sample));
            }
            SourceValidity::NoData(_) | SourceValidity::All => {
                self.runs(rect, rect, |at, _, _, len| valid[at..at + len].fill(1));
            }
        }
        self.settle(out, &mut valid, rect, &mut counts);
        if self.tracks_valid() {
            ground.valid = Some(valid);
        }
        (ground, counts)
    }

    /// Calls `visit` with every run of the cutline in `part`: the output's pixel it starts at (in the tile), its
    /// first column and row in the window, and its length.
    fn runs(&self, rect: PixelRect, part: PixelRect, mut visit: impl FnMut(usize, u32, u32, usize)) {
        let width = self.grid.tile.width as usize;
        for y in part.y0..part.y1 {
            let row = (y - rect.y0) as usize * width;
            let runs = self.mask.runs(y);
            let first = runs.partition_point(|run| run.end <= part.x0);
            for run in runs.iter().skip(first).take_while(|run| run.start < part.x1) {
                let (start, end) = (run.start.max(part.x0), run.end.min(part.x1));
                visit(row + (start - rect.x0) as usize, start, y, (end - start) as usize);
            }
        }
    }

    /// Writes how much of each pixel of the cutline is covered. A share that falls on the nodata value makes way for it.
    fn cover<T: Sample>(&self, out: &mut [T], rect: PixelRect, coverage: &CoverageBand) {
        let total = self.output_bands;
        let fill = self.fill.as_ref().and_then(NoData::sample::<T>);
        let unit = f64::from(coverage.unit);
        let mut shares = Vec::new();
        self.runs(rect, rect, |at, x, y, len| {
            shares.clear();
            shares.resize(len, 0.0_f32);
            coverage.shares.fill_row(y, x, &mut shares);
            for (pixel, share) in out[at * total..(at + len) * total].chunks_exact_mut(total).zip(&shares) {
                let share = f64::from(if coverage.inverted { 1.0 - share } else { *share });
                let value = T::from_f64_nearest(share * unit);
                let is_taken = fill.is_some_and(|fill| value.is_nodata(fill));
                pixel[coverage.band] = if is_taken { value.neighbour() } else { value };
            }
        });
    }

    /// Copies a piece's pixels of the cutline.
    fn copy<T: Sample>(&self, out: &mut [T], rect: PixelRect, piece: &Piece) {
        let Some(inside) = piece.rect.intersection(self.window) else { return };
        let Some(part) = inside.relative_to(self.window.x0, self.window.y0).intersection(rect) else {
            return;
        };
        let total = self.output_bands;
        // (band in the piece, band in the output)
        let routes: Vec<(usize, usize)> = self
            .bands
            .iter()
            .enumerate()
            .filter(|&(_, &band)| !self.planar || band == piece.plane)
            .map(|(to, &band)| (if self.planar { 0 } else { usize::from(band) }, to))
            .collect();
        let Some(tile) = &piece.tile else {
            let empty = self.sparse.as_ref().and_then(NoData::of_sparse::<T>).unwrap_or(T::zeroed());
            self.runs(rect, part, |at, _, _, len| {
                for pixel in out[at * total..(at + len) * total].chunks_exact_mut(total) {
                    for &(_, to) in &routes {
                        pixel[to] = empty;
                    }
                }
            });
            return;
        };
        let Some(samples) = T::unwrap_ref(&tile.samples) else { return };
        let stride = usize::from(tile.samples_per_pixel);
        let whole = stride == total && routes.iter().enumerate().all(|(n, &route)| route == (n, n));
        let width = (tile.rect.x1 - tile.rect.x0) as usize;
        self.runs(rect, part, |at, x, y, len| {
            let from_x = (x + self.window.x0 - tile.rect.x0) as usize;
            let from_y = (y + self.window.y0 - tile.rect.y0) as usize;
            let from = (from_y * width + from_x) * stride;
            let source = &samples[from..from + len * stride];
            let target = &mut out[at * total..(at + len) * total];
            if whole && routes.len() == total {
                target.copy_from_slice(source);
            } else {
                for (pixel, source) in target.chunks_exact_mut(total).zip(source.chunks_exact(stride)) {
                    for &(band, to) in &routes {
                        pixel[to] = source[band];
                    }
                }
            }
        });
    }

    /// Marks the pixels of the cutline whose sample (number `sample` of a pixel) in a mask or alpha band is not 0. A sparse
    /// tile was never written: GDAL reads it as 0, invalid.
    fn read_validity<T: Sample>(&self, valid: &mut [u8], rect: PixelRect, piece: &Piece, sample: usize) {
        let Some(tile) = &piece.tile else { return };
        let (Some(inside), Some(samples)) =
            (piece.rect.intersection(self.window), T::unwrap_ref(&tile.samples))
        else {
            return;
        };
        let Some(part) = inside.relative_to(self.window.x0, self.window.y0).intersection(rect) else {
            return;
        };
        let stride = usize::from(tile.samples_per_pixel);
        let width = (tile.rect.x1 - tile.rect.x0) as usize;
        self.runs(rect, part, |at, x, y, len| {
            let from_x = (x + self.window.x0 - tile.rect.x0) as usize;
            let from_y = (y + self.window.y0 - tile.rect.y0) as usize;
            let source = samples[(from_y * width + from_x) * stride..].iter().skip(sample).step_by(stride);
            for (valid, value) in valid[at..at + len].iter_mut().zip(source) {
                *valid = u8::from(!value.same(T::zeroed()));
            }
        });
    }

    /// Brings nodata, mask and alpha into agreement with how the output stores validity, and counts. On entry `valid` is
    /// what the source's mask or alpha band says; on return, what the source says altogether.
    fn settle<T: Sample>(&self, out: &mut [T], valid: &mut [u8], rect: PixelRect, counts: &mut Counts) {
        let total = self.output_bands;
        let fill = self.fill.as_ref().and_then(NoData::sample::<T>);
        let nodata = match &self.source {
            SourceValidity::NoData(nodata) => nodata.sample::<T>(),
            SourceValidity::Mask | SourceValidity::Alpha(_) | SourceValidity::All => None,
        };
        let opaque = T::from_f64_nearest(self.opaque);
        self.runs(rect, rect, |at, _, _, len| {
            let pixels = out[at * total..(at + len) * total].chunks_exact_mut(total);
            for (pixel, valid) in pixels.zip(&mut valid[at..at + len]) {
                let (mut data, mut missing) = (0_u32, 0_u32);
                for (band, sample) in pixel.iter_mut().enumerate() {
                    if self.alpha == Some(band) || self.is_coverage(band) {
                        continue;
                    }
                    data += 1;
                    if nodata.is_some_and(|nodata| sample.is_nodata(nodata)) {
                        missing += 1;
                        // What was nodata stays nodata, under the output's own value.
                        if let (Some(fill), true) = (fill, self.fill_is_new) {
                            *sample = fill;
                        }
                    } else if !self.keeps_mask
                        && *valid != 0
                        && fill.is_some_and(|fill| sample.is_nodata(fill))
                    {
                        counts.hidden += 1;
                    }
                }
                if missing > 0 && missing == data {
                    *valid = 0;
                } else if missing > 0 && (self.keeps_mask || self.add_alpha) {
                    // A mask speaks for all bands of a pixel, so these samples will read as valid.
                    counts.partial += u64::from(missing);
                }
                self.store(pixel, *valid != 0, nodata.is_some(), fill, opaque);
                counts.valid += u64::from(*valid);
            }
        });
    }

    /// Stores a pixel's validity where the samples as they were copied do not say it already.
    fn store<T: Sample>(&self, pixel: &mut [T], valid: bool, by_nodata: bool, fill: Option<T>, opaque: T) {
        if let (Some(alpha), true) = (self.alpha, self.add_alpha) {
            pixel[alpha] = if valid { opaque } else { T::zeroed() };
        } else if let (Some(alpha), false) = (self.alpha, valid || self.keeps_mask || by_nodata) {
            // Where nodata speaks, the alpha band is a band like the others and keeps what it holds.
            pixel[alpha] = T::zeroed();
        }
        if let (Some(fill), false) = (fill, valid || by_nodata || self.keeps_mask) {
            for (band, sample) in pixel.iter_mut().enumerate() {
                if self.alpha != Some(band) {
                    *sample = fill;
                }
            }
        }
    }
}

impl MaskedTile {
    /// One of `bands` interleaved bands.
    #[must_use]
    pub fn band(&self, at: usize, bands: usize) -> Samples {
        with_samples!(&self.samples, v => Sample::wrap(v.iter().copied().skip(at).step_by(bands.max(1)).collect()))
    }

    /// Copies a quarter, half as wide and high, to one of the four corners.
    pub fn place(&mut self, quarter: &Self, right: bool, lower: bool, tile: crate::grid::Size, bands: usize) {
        let (width, height) = (tile.width as usize, tile.height as usize);
        let (half_w, half_h) = (width / 2, height / 2);
        let at = |row: usize| (row + if lower { half_h } else { 0 }) * width + if right { half_w } else { 0 };
        with_samples!(&mut self.samples, out => copy_quarter(out, &quarter.samples, half_w, half_h, bands, at));
        if let (Some(out), Some(valid)) = (&mut self.valid, &quarter.valid) {
            for (row, source) in valid.chunks_exact(half_w).take(half_h).enumerate() {
                out[at(row)..][..half_w].copy_from_slice(source);
            }
        }
    }
}

/// Replaces one of `bands` interleaved bands.
pub fn set_band(samples: &mut Samples, band: &Samples, at: usize, bands: usize) {
    fn go<T: Sample>(samples: &mut [T], band: &Samples, at: usize, bands: usize) {
        let Some(band) = T::unwrap_ref(band) else { return };
        samples.iter_mut().skip(at).step_by(bands.max(1)).zip(band).for_each(|(to, from)| *to = *from);
    }
    with_samples!(samples, v => go(v, band, at, bands));
}

fn copy_quarter<T: Sample>(
    out: &mut [T],
    quarter: &Samples,
    half_w: usize,
    half_h: usize,
    bands: usize,
    at: impl Fn(usize) -> usize,
) {
    let Some(quarter) = T::unwrap_ref(quarter) else { return };
    for (row, source) in quarter.chunks_exact(half_w * bands).take(half_h).enumerate() {
        out[at(row) * bands..][..half_w * bands].copy_from_slice(source);
    }
}
