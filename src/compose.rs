//! One output tile from the source tiles under it: the pixels of the cutline are copied, run by run, onto a ground
//! of masked samples. What is not copied is masked, so masking costs nothing of its own.

mod copied;
mod lay;
#[cfg(test)]
mod reference;
mod settle;

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::grid::{PixelRect, TileGrid, TileIndex};
use crate::header::Header;
use crate::limits::{Limits, within};
use crate::mask::{Mask, Run};
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
        with_sample_type!(self.sample_type, T => MaskedTile {
            samples: T::wrap(self.ground_of::<T>()),
            valid: self.tracks_valid().then(|| vec![0; self.pixels()]),
        })
    }

    /// Whether a tile is [`Self::ground`], bit for bit, so that what that was encoded to stands for the tile as well. Of
    /// full resolution or an overview: any tile of the output's size. Stops at the first pixel that differs, and so takes
    /// time only where it saves an encoding.
    #[must_use]
    pub fn is_ground(&self, tile: &MaskedTile) -> bool {
        with_sample_type!(self.sample_type, T => self.is_ground_of::<T>(tile))
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

    /// The value of masked samples.
    fn fill<T: Sample>(&self) -> Option<T> {
        self.fill.as_ref().and_then(NoData::sample)
    }

    /// A masked pixel.
    fn ground_pixel<T: Sample>(&self) -> Vec<T> {
        let mut pixel = vec![self.fill().unwrap_or(T::zeroed()); self.output_bands];
        if let Some(alpha) = self.alpha.and_then(|alpha| pixel.get_mut(alpha)) {
            *alpha = T::zeroed();
        }
        pixel
    }

    fn ground_of<T: Sample>(&self) -> Vec<T> {
        self.ground_pixel().repeat(self.pixels())
    }

    fn is_ground_of<T: Sample>(&self, tile: &MaskedTile) -> bool {
        let pixel: Vec<u8> = bytemuck::cast_slice(&self.ground_pixel::<T>()).to_vec();
        let bytes = tile.samples.as_bytes();
        // All pixels are the first if each is the one before it.
        tile.samples.sample_type() == T::TYPE
            && tile.samples.len() == self.pixels() * self.output_bands
            && bytes.starts_with(&pixel)
            && bytes.get(pixel.len()..) == bytes.get(..bytes.len() - pixel.len())
            && tile.valid.is_some() == self.tracks_valid()
            && tile.valid.iter().flatten().all(|&valid| valid == 0)
    }

    fn compose_of<T: Sample>(
        &self,
        index: TileIndex,
        pieces: &[Piece],
        masks: &[Piece],
    ) -> (MaskedTile, Counts) {
        let rows = Rows::new(&self.mask, self.grid.rect(index), self.grid.tile.width);
        let mut samples = self.lay::<T>(&rows, pieces);
        if let Some(coverage) = &self.coverage {
            self.cover(&mut samples, &rows, coverage);
        }
        let inside = self.mask.count_in(rows.rect);
        let mut counts = Counts { inside, ..Counts::default() };
        if self.source == SourceValidity::All && !self.tracks_valid() && !self.fill_is_new {
            counts.valid = counts.inside;
            return (MaskedTile { samples: T::wrap(samples), valid: None }, counts);
        }
        let mut valid = match &self.source {
            SourceValidity::Mask => {
                let mut valid = vec![0; self.pixels()];
                for piece in masks {
                    self.read_validity::<u8>(&mut valid, &rows, piece, 0);
                }
                Some(valid)
            }
            SourceValidity::Alpha(alpha) => {
                let mut valid = vec![0; self.pixels()];
                let (plane, sample) = if self.planar { (*alpha, 0) } else { (0, usize::from(*alpha)) };
                let pieces = pieces.iter().filter(|piece| piece.plane == plane);
                pieces.for_each(|piece| self.read_validity::<T>(&mut valid, &rows, piece, sample));
                Some(valid)
            }
            SourceValidity::NoData(_) | SourceValidity::All => {
                self.tracks_valid().then(|| vec![0; self.pixels()])
            }
        };
        self.settle(&mut samples, valid.as_deref_mut(), &rows, &mut counts);
        let valid = valid.filter(|_| self.tracks_valid());
        (MaskedTile { samples: T::wrap(samples), valid }, counts)
    }

    /// The window's pixels of a piece that lie in a tile of the output.
    fn shared(&self, piece: &Piece, rect: PixelRect) -> Option<PixelRect> {
        let inside = piece.rect.intersection(self.window)?;
        inside.relative_to(self.window.x0, self.window.y0).intersection(rect)
    }

    /// Writes how much of each pixel of the cutline is covered. A share that falls on the nodata value makes way for it.
    fn cover<T: Sample>(&self, out: &mut [T], rows: &Rows<'_>, coverage: &CoverageBand) {
        let total = self.output_bands;
        let fill = self.fill::<T>();
        let unit = f64::from(coverage.unit);
        let mut shares = Vec::new();
        rows.visit(rows.rect, |at, x, y, len| {
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
}

/// The cutline's pixels in a tile of the output: the runs of each row, looked up once.
struct Rows<'a> {
    /// The tile's pixels of the window.
    rect: PixelRect,
    /// Pixels from one row of the tile to the next.
    width: usize,
    /// The runs of each row of `rect` that share a pixel with it.
    runs: Vec<&'a [Run]>,
}

impl<'a> Rows<'a> {
    fn new(mask: &'a Mask, rect: PixelRect, width: u32) -> Self {
        let runs = |y| crossing(mask.runs(y), rect);
        Self { rect, width: width as usize, runs: (rect.y0..rect.y1).map(runs).collect() }
    }

    /// Calls `visit` with every run in `part`, which lies in the tile: the tile's pixel it starts at, its first column and
    /// row in the window, and its length.
    fn visit(&self, part: PixelRect, mut visit: impl FnMut(usize, u32, u32, usize)) {
        let first = (part.y0 - self.rect.y0) as usize;
        for ((y, runs), line) in (part.y0..part.y1).zip(self.runs.iter().skip(first)).zip(first..) {
            for run in crossing(runs, part) {
                let (start, end) = (run.start.max(part.x0), run.end.min(part.x1));
                visit(line * self.width + (start - self.rect.x0) as usize, start, y, (end - start) as usize);
            }
        }
    }
}

/// Those of a row's runs that share a column with a rectangle.
fn crossing(runs: &[Run], rect: PixelRect) -> &[Run] {
    let first = runs.partition_point(|run| run.end <= rect.x0);
    let runs = runs.get(first..).unwrap_or_default();
    runs.get(..runs.partition_point(|run| run.start < rect.x1)).unwrap_or_default()
}

impl MaskedTile {
    /// Band `at` of `bands` interleaved bands; zeros when there is no such band.
    #[must_use]
    pub fn band(&self, at: usize, bands: usize) -> Samples {
        fn go<T: Sample>(samples: &[T], at: usize, bands: usize) -> Samples {
            let pixels = samples.chunks_exact(bands.max(1));
            T::wrap(pixels.map(|pixel| pixel.get(at).copied().unwrap_or(T::zeroed())).collect())
        }
        with_samples!(&self.samples, v => go(v, at, bands))
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

/// Replaces band `at` of `bands` interleaved bands; nothing when there is no such band.
pub fn set_band(samples: &mut Samples, band: &Samples, at: usize, bands: usize) {
    fn go<T: Sample>(samples: &mut [T], band: &Samples, at: usize, bands: usize) {
        let Some(band) = T::unwrap_ref(band) else { return };
        for (pixel, &value) in samples.chunks_exact_mut(bands.max(1)).zip(band) {
            if let Some(sample) = pixel.get_mut(at) {
                *sample = value;
            }
        }
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
