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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    /// Rows downwards, as in pixels.
    const SOUTH_UP: Affine = Affine::IDENTITY;
    /// The same pixels seen from a world whose y goes up.
    const NORTH_UP: Affine = Affine([0.0, 1.0, 0.0, 0.0, 0.0, -1.0]);

    /// A polygon from rings in pixels.
    fn polygon(transform: Affine, rings: &[&[[f64; 2]]]) -> Polygon {
        let world = |ring: &&[[f64; 2]]| ring.iter().map(|&[x, y]| transform.apply(x, y)).collect();
        Polygon { rings: rings.iter().map(world).collect() }
    }

    fn rectangle(x0: f64, y0: f64, x1: f64, y1: f64) -> [[f64; 2]; 5] {
        [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]
    }

    fn burn(polygons: &[Polygon], width: u32, height: u32, rule: Rule) -> Mask {
        Mask::burn(polygons, &SOUTH_UP, Size::new(width, height), rule, &Limits::default()).unwrap()
    }

    fn picture(mask: &Mask) -> Vec<String> {
        let inside = |row, col| mask.runs(row).iter().any(|run| (run.start..run.end).contains(&col));
        let row = |row| (0..mask.size.width).map(|col| if inside(row, col) { '#' } else { '.' }).collect();
        (0..mask.size.height).map(row).collect()
    }

    #[track_caller]
    fn check(transform: Affine, rule: Rule, rings: &[&[[f64; 2]]], expected: &[&str]) {
        let size =
            Size::new(u32::try_from(expected[0].len()).unwrap(), u32::try_from(expected.len()).unwrap());
        // Neither the ring's direction nor its first point matters.
        let backwards: Vec<Vec<_>> = rings.iter().map(|ring| ring.iter().rev().copied().collect()).collect();
        let backwards: Vec<_> = backwards.iter().map(Vec::as_slice).collect();
        for rings in [rings, &backwards] {
            let polygon = polygon(transform, rings);
            let mask = Mask::burn(&[polygon], &transform, size, rule, &Limits::default()).unwrap();
            assert_eq!(picture(&mask), expected);
        }
    }

    /// The slanted edge crosses the centre lines 0.5, 1.5, 2.5 at x = 4 - y * 4 / 3: 3.33, 2 and 0.67.
    #[test]
    fn a_triangle_worked_by_hand() {
        let triangle: &[[f64; 2]] = &[[0.0, 0.0], [4.0, 0.0], [0.0, 3.0], [0.0, 0.0]];
        for transform in [SOUTH_UP, NORTH_UP] {
            check(transform, Rule::Centre, &[triangle], &["###.", "##..", "#...", "...."]);
        }
        // It passes columns 2 and 3 in row 0, 1 and 2 in row 1, 0 and 1 in row 2; and it starts at (0, 3), which is
        // the corner of the pixel below. Rasterio 1.5 burns the same, as it does for every picture of closed rings below.
        for transform in [SOUTH_UP, NORTH_UP] {
            check(transform, Rule::AllTouched, &[triangle], &["####", "###.", "##..", "#..."]);
        }
    }

    #[test]
    fn rings_of_one_polygon_cancel_out_and_polygons_add_up() {
        let (outer, hole) = (rectangle(0.0, 0.0, 4.0, 3.0), rectangle(1.0, 1.0, 6.0, 2.0));
        check(SOUTH_UP, Rule::Centre, &[&outer, &hole], &["####..", "#...##", "####.."]);
        let both = burn(&[polygon(SOUTH_UP, &[&outer]), polygon(SOUTH_UP, &[&hole])], 6, 3, Rule::Centre);
        assert_eq!(picture(&both), ["####..", "######", "####.."]);
        assert_eq!(burn(&[], 6, 3, Rule::AllTouched).count(), 0);
    }

    /// An edge on a centre line belongs to one side only: the lower one of a clockwise ring, which is the lower
    /// one in pixels when rows go south, and the upper one is then burnt by the vertical edges that start there.
    #[test]
    fn an_edge_on_a_centre_line() {
        let edges_on_centres = rectangle(1.0, 0.5, 3.0, 2.5);
        check(SOUTH_UP, Rule::Centre, &[&edges_on_centres], &[".##.", ".##.", "....", "...."]);
        check(NORTH_UP, Rule::Centre, &[&edges_on_centres], &[".##.", ".##.", ".##.", "...."]);
        // Vertical: x = 0.5 and 2.5 round up to columns 1 and 3.
        check(SOUTH_UP, Rule::Centre, &[&rectangle(0.5, 0.0, 2.5, 1.0)], &[".##.", "...."]);
    }

    /// Two loops from one lowest vertex: its corner would call the ring anticlockwise, the area decides. (Rasterio's.)
    #[test]
    fn a_lowest_vertex_passed_twice() {
        let loops: &[[f64; 2]] =
            &[[4.0, 0.5], [8.0, 2.5], [3.0, 2.5], [4.0, 0.5], [0.0, 6.5], [9.0, 6.5], [4.0, 0.5]];
        let expected = [
            "..........",
            "...#.#....",
            "...#####..",
            "..#####...",
            ".######...",
            ".#######..",
            "..........",
        ];
        check(SOUTH_UP, Rule::Centre, &[loops], &expected);
    }

    #[test]
    fn what_an_outline_touches() {
        // No centre inside; the outline passes three pixels.
        let sliver: &[[f64; 2]] = &[[0.2, 0.2], [2.8, 0.3], [0.2, 0.4], [0.2, 0.2]];
        check(SOUTH_UP, Rule::Centre, &[sliver], &["....", "...."]);
        check(SOUTH_UP, Rule::AllTouched, &[sliver], &["###.", "...."]);
        // Edges between pixels touch neither.
        let aligned = rectangle(1.0, 1.0, 3.0, 2.0);
        check(SOUTH_UP, Rule::AllTouched, &[&aligned], &["....", ".##.", "...."]);
        let beside = rectangle(0.9, 1.0, 3.0, 2.1);
        check(SOUTH_UP, Rule::AllTouched, &[&beside], &["....", "###.", "###."]);
    }

    #[test]
    fn an_open_ring_is_closed() {
        let open: &[[f64; 2]] = &[[0.0, 0.0], [4.0, 0.0], [0.0, 3.0]];
        check(SOUTH_UP, Rule::AllTouched, &[open], &["####", "###.", "##..", "#..."]);
        check(SOUTH_UP, Rule::AllTouched, &[&[], &[[1.0, 1.0]]], &["....", "...."]);
    }

    #[test]
    fn vertices_far_away_fill_the_window() {
        for far in [1e6, 1e9, 1e10, 1e18, 1e150, 1e200, 1e300, f64::MAX] {
            for rule in [Rule::Centre, Rule::AllTouched] {
                let mask = burn(&[polygon(SOUTH_UP, &[&rectangle(-far, -far, far, far)])], 7, 5, rule);
                assert_eq!(mask, Mask::full(Size::new(7, 5)), "{far:e} {rule:?}");
                let right = burn(&[polygon(SOUTH_UP, &[&rectangle(3.0, -far, far, far)])], 7, 5, rule);
                assert_eq!(right.bounds(), Some(PixelRect::new(3, 0, 7, 5)), "{far:e} {rule:?}");
            }
        }
    }

    /// Nothing to compare with but the clock: GDAL casts such coordinates to 32 bits.
    #[test]
    fn no_coordinate_panics_or_walks_for_ever() {
        let values = [
            -f64::MAX,
            -1e300,
            -1e17,
            -1e9,
            -1.0,
            -1e-300,
            0.0,
            1e-12,
            2.5,
            4.0,
            5.0,
            1e9,
            1e17,
            1e300,
            f64::MAX,
        ];
        let points: Vec<_> = values.iter().flat_map(|&x| values.map(|y| [x, y])).collect();
        for (i, &a) in points.iter().enumerate() {
            for (j, &b) in points.iter().enumerate() {
                let c = points[(i * 7 + j * 31 + 5) % points.len()];
                let triangle = polygon(SOUTH_UP, &[&[a, b, c, a]]);
                let mask = burn(&[triangle], 4, 5, Rule::AllTouched);
                assert!(mask.count() <= 20);
            }
        }
    }

    #[test]
    fn tall_windows_are_walked_downwards_and_upwards() {
        let (height, h) = (1 << 30, f64::from(1 << 30));
        let low = rectangle(0.5, h - 2.5, 2.5, h - 0.5);
        let slanted: &[[f64; 2]] = &[[0.5, h - 0.5], [2.5, h - 4.0], [2.5, h - 0.5], [0.5, h - 0.5]];
        for ring in [&low[..], slanted] {
            let mask = burn(&[polygon(SOUTH_UP, &[ring])], 3, height, Rule::AllTouched);
            assert_eq!(mask.bounds().map(|b| (b.x0, b.x1, b.y1)), Some((0, 3, height)));
        }
    }

    #[test]
    fn what_is_no_place_is_refused() {
        let square = rectangle(0.0, 0.0, 4.0, 4.0);
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e308] {
            let mut ring = square;
            ring[2][1] = bad;
            let gt = Affine([0.0, 0.01, 0.0, 0.0, 0.0, -0.01]);
            let rings = vec![square.to_vec(), ring.to_vec()];
            let polygons = [polygon(SOUTH_UP, &[&square]), Polygon { rings }];
            let error =
                Mask::burn(&polygons, &gt, Size::new(4, 4), Rule::Centre, &Limits::default()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert!(error.to_string().starts_with("polygon 1: ring 1, vertex 2: (4, "), "{error}");
        }
        let flat = Affine([0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
        let error = Mask::burn(&[], &flat, Size::new(4, 4), Rule::Centre, &Limits::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
    }

    #[test]
    fn runs_are_limited_at_their_number_after_merging() {
        let window = Size::new(9, 9);
        let limits = |mask_runs| Limits { mask_runs, ..Limits::default() };
        let square = polygon(SOUTH_UP, &[&rectangle(1.0, 1.0, 8.0, 8.0)]);
        let many = vec![square; 2000];
        let burn = |limit| Mask::burn(&many, &SOUTH_UP, window, Rule::AllTouched, &limits(limit));
        let mask = burn(7).unwrap();
        assert_eq!(mask.count(), 49);
        assert_eq!(burn(6).unwrap_err().kind(), ErrorKind::Limit);
        // A full row, two margins, a full row.
        assert_eq!(mask.clone().inverted(&limits(4)).unwrap().count(), 81 - 49);
        assert_eq!(mask.inverted(&limits(3)).unwrap_err().kind(), ErrorKind::Limit);
    }

    #[test]
    fn a_huge_window_costs_only_what_is_in_it() {
        let window = Size::new(u32::MAX, u32::MAX);
        let full = Mask::full(window);
        assert_eq!((full.bands.len(), full.runs.len(), full.count()), (2, 1, window.pixels()));
        assert_eq!(full.class(PixelRect::of(window)), TileClass::Inside);
        assert_eq!(full.count_in(PixelRect::of(window)), window.pixels());
        assert_eq!(full.bounds(), Some(PixelRect::of(window)));
        let empty = full.inverted(&Limits::default()).unwrap();
        assert_eq!((empty.count(), empty.bounds(), empty.bands.len()), (0, None, 0));
        assert_eq!(empty.inverted(&Limits::default()).unwrap(), Mask::full(window));

        let (x, y) = (3e9, 4e9);
        let tiny = burn(
            &[polygon(SOUTH_UP, &[&rectangle(x, y, x + 2.0, y + 3.0)])],
            window.width,
            window.height,
            Rule::AllTouched,
        );
        assert_eq!((tiny.count(), tiny.bands.len(), tiny.runs.len()), (6, 2, 1));
        assert_eq!(tiny.runs(4_000_000_001), [Run { start: 3_000_000_000, end: 3_000_000_002 }]);
        assert_eq!(tiny.runs(4_000_000_003), []);
        let around = tiny.inverted(&Limits::default()).unwrap();
        assert_eq!((around.count(), around.bands.len()), (window.pixels() - 6, 4));
    }

    #[test]
    fn windows_without_a_pixel() {
        for window in [Size::new(0, 0), Size::new(0, 9), Size::new(9, 0)] {
            let all = polygon(SOUTH_UP, &[&[[-9.0, -9.0], [19.0, -8.0], [9.0, 17.0], [-9.0, -9.0]]]);
            let mask = burn(&[all], window.width, window.height, Rule::AllTouched);
            assert_eq!(mask, Mask::full(window));
            assert_eq!((mask.count(), mask.bounds()), (0, None));
            assert_eq!(mask.inverted(&Limits::default()).unwrap(), Mask::full(window));
        }
    }

    /// Random quadrilaterals in a small window: every answer about every rectangle, against counting pixels.
    #[test]
    fn answers_about_rectangles_are_those_of_a_bitmap() {
        let (width, height) = (7, 6);
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            f64::from(u32::try_from(state >> 33).unwrap_or(0) % 400) / 40.0 - 1.0
        };
        for number in 0..150 {
            let mut ring: Vec<_> = (0..4).map(|_| [random(), random()]).collect();
            ring.push(ring[0]);
            let mask = burn(&[polygon(SOUTH_UP, &[&ring])], width, height, Rule::Centre);
            let mask = if number % 2 == 1 { mask.inverted(&Limits::default()).unwrap() } else { mask };
            let bitmap: Vec<Vec<bool>> =
                picture(&mask).iter().map(|row| row.chars().map(|c| c == '#').collect()).collect();
            let there_and_back = mask.clone().inverted(&Limits::default()).unwrap();
            assert_eq!(there_and_back.count() + mask.count(), u64::from(width * height));
            assert_eq!(there_and_back.inverted(&Limits::default()).unwrap(), mask);
            let mut bounds: Option<PixelRect> = None;
            for row in 0..height {
                let runs = mask.runs(row);
                assert!(runs.iter().all(|run| run.start < run.end));
                assert!(runs.windows(2).all(|pair| pair[0].end < pair[1].start));
                for col in (0..width).filter(|&col| bitmap[row as usize][col as usize]) {
                    let b = bounds.unwrap_or(PixelRect::new(col, row, col + 1, row + 1));
                    bounds = Some(PixelRect::new(b.x0.min(col), b.y0, b.x1.max(col + 1), b.y1.max(row + 1)));
                }
            }
            assert_eq!(mask.bounds(), bounds);
            assert_eq!(mask.runs(height), []);
            assert_eq!(mask.runs(u32::MAX), []);
            for (x0, x1) in (0..=width).flat_map(|a| (0..=width + 1).map(move |b| (a, b))) {
                for (y0, y1) in (0..=height).flat_map(|a| (0..=height + 1).map(move |b| (a, b))) {
                    let rect = PixelRect::new(x0, y0, x1, y1);
                    let pixels =
                        || (y0..y1.min(height)).flat_map(|y| (x0..x1.min(width)).map(move |x| (x, y)));
                    let inside = pixels().filter(|&(x, y)| bitmap[y as usize][x as usize]).count();
                    assert_eq!(mask.count_in(rect), inside as u64, "{rect:?}");
                    let class = match inside {
                        0 => TileClass::Outside,
                        n if n == pixels().count() => TileClass::Inside,
                        _ => TileClass::Edge,
                    };
                    assert_eq!(mask.class(rect), class, "{rect:?}");
                }
            }
        }
    }
}
