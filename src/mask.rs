//! Which pixels of a window are inside a cutline: the very pixels that GDAL 3.12 burns.
//!
//! A mask is kept as runs of columns, and rows that follow each other with the same runs are kept once: a
//! rectangle costs one run whatever its size, and rows without a pixel cost nothing.
//!
//! Two differences from GDAL are deliberate. With [`Rule::AllTouched`] GDAL can burn one pixel past the window's
//! right edge, which lands in the next row; this does not. And vertices beyond 2^31 pixels, which GDAL casts to
//! a 32-bit integer with no defined result, saturate.

mod cells;
pub mod coverage;
mod fill;
#[cfg(test)]
mod mask_tests;
mod orient;
mod outline;
mod slabs;
mod spans;
mod tiles;

pub use coverage::Coverage;

use std::ops::Range;

use crate::cutline::Polygon;
use crate::error::{Error, Result};
use crate::geo::Affine;
use crate::grid::{PixelRect, Size};
use crate::limits::Limits;
use spans::{Span, Spans};

/// Which pixels belong to a polygon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Rule {
    /// Those whose centre is inside, by the even-odd rule over all rings of the polygon (GDAL's default).
    #[default]
    Centre,
    /// Those, and all that the outline passes through (GDAL's `ALL_TOUCHED`).
    AllTouched,
}

/// How much of a rectangle is inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TileClass {
    /// No pixel.
    Outside,
    /// Every pixel.
    Inside,
    /// Some pixels, not all.
    Edge,
}

/// Neighbouring pixels of one row: the columns `start..end` of the window, counted from 0 at its left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Run {
    /// First column.
    pub start: u32,
    /// One past the last column.
    pub end: u32,
}

/// Rows with the same runs, from this row up to the next band's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Band {
    row: u32,
    /// Where its runs start in [`Mask::runs`]; they end where the next band's start.
    first: usize,
}

/// The pixels of a window that are inside a cutline.
///
/// Rows and columns count from 0 at the window's top left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    size: Size,
    /// By row; the last one stands only for the end of the one before. Empty when no pixel is inside.
    bands: Vec<Band>,
    runs: Vec<Run>,
    count: u64,
    bounds: Option<PixelRect>,
}

impl Mask {
    /// The pixels of a window that belong to any of some polygons.
    ///
    /// The polygons are in world coordinates; each is filled by itself, all its rings together. A ring that is
    /// not closed is closed by a straight edge. `transform` is the geotransform of the window itself, because
    /// GDAL burns on the window: the full raster's and an offset round differently.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] when the transform has no inverse, or a vertex is not a finite number of
    /// pixels; [`crate::ErrorKind::Limit`] when there are more runs than `limits.mask_runs`, every row's counted.
    pub fn burn(
        polygons: &[Polygon],
        transform: &Affine,
        window: Size,
        rule: Rule,
        limits: &Limits,
    ) -> Result<Self> {
        let inverse = inverse(transform)?;
        let mut spans = Spans::new(window, limits.mask_runs, limits.mask_work);
        for (number, polygon) in polygons.iter().enumerate() {
            let outline =
                Outline::in_pixels(polygon, &inverse).map_err(|e| e.at(format!("polygon {number}")))?;
            if rule == Rule::AllTouched {
                for ring in outline.rings() {
                    for pair in outline.points[ring].windows(2) {
                        outline::touch(pair[0], pair[1], &mut spans)?;
                    }
                }
            }
            fill::fill(&outline, &mut spans)?;
        }
        let mut builder = Builder::new(window);
        let mut runs = Vec::new();
        for row in spans.finish()?.chunk_by(|a, b| a.row == b.row) {
            runs.clear();
            runs.extend(row.iter().map(|&Span { start, end, .. }| Run { start, end }));
            builder.rows(row[0].row..row[0].row + 1, &runs);
        }
        Ok(builder.finish())
    }

    /// Every pixel of a window.
    #[must_use]
    pub fn full(window: Size) -> Self {
        let mut builder = Builder::new(window);
        if window.width > 0 {
            builder.rows(0..window.height, &[Run { start: 0, end: window.width }]);
        }
        builder.finish()
    }

    /// The other pixels of the window.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Limit`] when they have more runs than `limits.mask_runs`, rows that follow each
    /// other with the same runs counted once.
    pub fn inverted(self, limits: &Limits) -> Result<Self> {
        let width = self.size.width;
        if width == 0 {
            return Ok(self);
        }
        let mut builder = Builder::new(self.size);
        let mut gaps = Vec::new();
        let mut row = 0;
        let rest = std::iter::once((self.end_row()..self.size.height, &[][..]));
        for (rows, runs) in self.bands_in(0..self.size.height).chain(rest) {
            builder.rows(row..rows.start, &[Run { start: 0, end: width }]);
            gaps.clear();
            let mut start = 0;
            for run in runs {
                gaps.push(Run { start, end: run.start });
                start = run.end;
            }
            gaps.push(Run { start, end: width });
            gaps.retain(|gap| gap.start < gap.end);
            row = rows.end;
            builder.rows(rows, &gaps);
            if builder.mask.runs.len() > limits.mask_runs {
                return Err(Error::limit(format!(
                    "the inverted mask of a window of {} pixels has over {} runs of pixels (limit mask_runs): \
                     simplify the cutline or clip a smaller window",
                    self.size, limits.mask_runs
                )));
            }
        }
        Ok(builder.finish())
    }

    /// The window's width and height in pixels.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// Bytes of memory that it takes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        (size_of_val(&*self.bands) + size_of_val(&*self.runs)) as u64
    }

    /// Number of pixels inside.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Number of pixels inside that lie in `rect`. Parts of `rect` beyond the window count for nothing.
    #[must_use]
    pub fn count_in(&self, rect: PixelRect) -> u64 {
        if rect.is_empty() {
            return 0;
        }
        self.bands_in(rect.y0..rect.y1)
            .map(|(rows, runs)| {
                let columns: u64 = runs_from(runs, rect.x0)
                    .iter()
                    .take_while(|run| run.start < rect.x1)
                    .map(|run| u64::from(run.end.min(rect.x1) - run.start.max(rect.x0)))
                    .sum();
                columns * u64::from(rows.end - rows.start)
            })
            .sum()
    }

    /// Whether no pixel, every pixel or some pixels of `rect` are inside. Parts of `rect` beyond the window are
    /// ignored; when nothing of it is left, it is [`TileClass::Outside`].
    #[must_use]
    pub fn class(&self, rect: PixelRect) -> TileClass {
        let Some(rect) = rect.intersection(PixelRect::of(self.size)) else { return TileClass::Outside };
        let (mut inside, mut rows_seen) = (None, 0);
        for (rows, runs) in self.bands_in(rect.y0..rect.y1) {
            let first = runs_from(runs, rect.x0).first().filter(|run| run.start < rect.x1);
            let here = match first {
                Some(run) if run.start <= rect.x0 && run.end >= rect.x1 => true,
                Some(_) => return TileClass::Edge,
                None => false,
            };
            if inside.is_some_and(|before| before != here) {
                return TileClass::Edge;
            }
            inside = Some(here);
            rows_seen += rows.end - rows.start;
        }
        match inside {
            Some(true) if rows_seen < rect.size().height => TileClass::Edge,
            Some(true) => TileClass::Inside,
            Some(false) | None => TileClass::Outside,
        }
    }

    /// The pixels inside in one row, from left to right: no two runs overlap or touch. Empty for a row beyond
    /// the window.
    #[must_use]
    pub fn runs(&self, row: u32) -> &[Run] {
        self.bands_in(row..row.saturating_add(1)).next().map_or(&[], |(_, runs)| runs)
    }

    /// The smallest rectangle that holds every pixel inside; `None` when there is none.
    #[must_use]
    pub fn bounds(&self) -> Option<PixelRect> {
        self.bounds
    }

    /// One past the last row that has runs.
    fn end_row(&self) -> u32 {
        self.bands.last().map_or(0, |end| end.row)
    }

    /// The bands that share a row with `rows`, cut off at its ends. Rows before the first band and after the
    /// last are not among them: they have no runs.
    fn bands_in(&self, rows: Range<u32>) -> impl Iterator<Item = (Range<u32>, &[Run])> {
        let from = self.bands.partition_point(|band| band.row <= rows.start).saturating_sub(1);
        self.bands[from..].windows(2).map_while(move |pair| {
            let both = pair[0].row.max(rows.start)..pair[1].row.min(rows.end);
            (both.start < both.end).then(|| (both, &self.runs[pair[0].first..pair[1].first]))
        })
    }
}

/// From the world to pixels.
fn inverse(transform: &Affine) -> Result<Affine> {
    transform.inverse().ok_or_else(|| {
        Error::usage(format!(
            "the geotransform {:?} has no inverse, so no pixel has a place in the world",
            transform.0
        ))
    })
}

/// The runs that end right of a column.
fn runs_from(runs: &[Run], column: u32) -> &[Run] {
    &runs[runs.partition_point(|run| run.end <= column)..]
}

/// Builds a mask from rows that come in order.
struct Builder {
    /// Its last band has no end mark yet: that is `next_row`.
    mask: Mask,
    next_row: u32,
}

impl Builder {
    fn new(size: Size) -> Self {
        let mask = Mask { size, bands: Vec::new(), runs: Vec::new(), count: 0, bounds: None };
        Self { mask, next_row: 0 }
    }

    /// Adds some rows, none of them before those that were added already. Rows left out have no runs.
    fn rows(&mut self, rows: Range<u32>, runs: &[Run]) {
        let (Some(left), Some(right)) = (runs.first(), runs.last()) else { return };
        if rows.is_empty() {
            return;
        }
        let mask = &mut self.mask;
        let columns: u64 = runs.iter().map(|run| u64::from(run.end - run.start)).sum();
        mask.count += columns * u64::from(rows.end - rows.start);
        let start = mask.bands.last().map_or(0, |band| band.first);
        if self.next_row < rows.start && !mask.bands.is_empty() {
            mask.bands.push(Band { row: self.next_row, first: mask.runs.len() });
        }
        if self.next_row != rows.start || mask.runs[start..] != *runs {
            mask.bands.push(Band { row: rows.start, first: mask.runs.len() });
            mask.runs.extend_from_slice(runs);
        }
        let old = mask.bounds.unwrap_or(PixelRect::new(left.start, rows.start, right.end, rows.end));
        mask.bounds = Some(PixelRect::new(old.x0.min(left.start), old.y0, old.x1.max(right.end), rows.end));
        self.next_row = rows.end;
    }

    fn finish(mut self) -> Mask {
        if !self.mask.bands.is_empty() {
            self.mask.bands.push(Band { row: self.next_row, first: self.mask.runs.len() });
        }
        self.mask
    }
}

/// The rings of one polygon in pixels of the window, each closed and turned clockwise in the world.
struct Outline {
    points: Vec<[f64; 2]>,
    /// One past each ring's last point.
    ends: Vec<usize>,
}

impl Outline {
    /// Rules B and C of `mask-rule.md`. `inverse` leads from the world to the window's pixels.
    fn in_pixels(polygon: &Polygon, inverse: &Affine) -> Result<Self> {
        let mut outline = Self { points: Vec::new(), ends: Vec::new() };
        let mut closed = Vec::new();
        for (number, ring) in polygon.rings.iter().enumerate() {
            let ring = if ring.first() == ring.last() {
                ring
            } else {
                closed.clone_from(ring);
                closed.extend(ring.first());
                &closed
            };
            let start = outline.points.len();
            for (vertex, &[x, y]) in ring.iter().enumerate() {
                let [px, py] = inverse.apply(x, y);
                if !px.is_finite() || !py.is_finite() {
                    return Err(Error::usage(format!(
                        "ring {number}, vertex {vertex}: ({x}, {y}) is not a finite number of pixels \
                         from the window; remove the vertex or check the cutline's CRS"
                    )));
                }
                outline.points.push([px, py]);
            }
            if !orient::is_clockwise(ring) {
                outline.points[start..].reverse();
            }
            outline.ends.push(outline.points.len());
        }
        Ok(outline)
    }

    /// Where each ring's points stand.
    fn rings(&self) -> impl Iterator<Item = Range<usize>> {
        std::iter::once(&0).chain(&self.ends).zip(&self.ends).map(|(&start, &end)| start..end)
    }
}

/// A whole number of pixels within `0..=end`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped before, and a cast takes NaN to 0"
)]
fn clamped(pixels: f64, end: u32) -> u32 {
    pixels.clamp(0.0, f64::from(end)) as u32
}
