//! The exact share of every pixel that a cutline covers.
//!
//! Exact means: the area of the pixel's intersection with the union of the polygons, each filled by the even-odd rule, in
//! double precision. It is computed from the outlines, not sampled. GDAL has no such rule; exactextract computes the same.

use std::ops::Range;

use super::cells::{Bound, Edges, Same};
use super::spans::Work;
use super::{Band, Builder, Mask, Outline, Run};
use crate::cutline::Polygon;
use crate::error::{Error, Result};
use crate::geo::Affine;
use crate::grid::Size;
use crate::limits::Limits;

/// Shares that differ by less than this, in pixels, are equal when a mask is made of them: what reaches a share but for
/// rounding has reached it. Coordinates of 10^6 pixels are rounded to 10^-10.
pub const ROUNDING: f64 = 1e-9;

/// Neighbouring pixels of one row that are covered to the same share: the columns `start..end` of the window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// First column.
    pub start: u32,
    /// One past the last column.
    pub end: u32,
    /// The share of each that is covered: above 0, at most 1.
    pub fraction: f64,
}

/// How much of each pixel of a window a cutline covers.
///
/// Rows and columns count from 0 at the window's top left. Only covered pixels are kept: neighbours with the same share
/// together, and rows with the same pixels once.
#[derive(Clone, Debug, PartialEq)]
pub struct Coverage {
    size: Size,
    /// As in [`Mask`]: the last one stands only for the end of the one before.
    bands: Vec<Band>,
    parts: Vec<Part>,
}

impl Coverage {
    /// The covered share of the pixels of a window: of the union of some polygons, each of them filled by the even-odd
    /// rule over all its rings. Where polygons overlap, a place counts once.
    ///
    /// The polygons are in world coordinates, and `transform` is the geotransform of the window, as for [`Mask::burn`].
    /// A turned or sheared one will do: a pixel is then a parallelogram.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] when the transform has no inverse, or a vertex is not a finite number of pixels;
    /// [`crate::ErrorKind::Limit`] when there are more parts than `limits.mask_runs`, or they take more than
    /// `limits.mask_work` steps.
    pub fn burn(polygons: &[Polygon], transform: &Affine, window: Size, limits: &Limits) -> Result<Self> {
        let inverse = super::inverse(transform)?;
        let mut edges = Edges::new(window.width, window.height, polygons.len());
        for (number, polygon) in polygons.iter().enumerate() {
            let outline =
                Outline::in_pixels(polygon, &inverse).map_err(|e| e.at(format!("polygon {number}")))?;
            let number = u32::try_from(number)
                .map_err(|cause| Error::limit("the cutline has over 2^32 polygons").caused_by(cause))?;
            for ring in outline.rings() {
                for pair in outline.points[ring].windows(2) {
                    edges.push(pair[0], pair[1], number, false);
                }
            }
        }
        let mut coverage = Self { size: window, bands: Vec::new(), parts: Vec::new() };
        if window.width == 0 {
            return Ok(coverage);
        }
        let work = Work { left: limits.mask_work, size: window };
        let mut bound = Bound { work, pieces: limits.mask_runs / 4 };
        let mut end = 0;
        edges.sweep(&mut bound, 0, &mut |rows, same| coverage.add(rows, same, &mut end, limits))?;
        if !coverage.bands.is_empty() {
            coverage.bands.push(Band { row: end, first: coverage.parts.len() });
        }
        Ok(coverage)
    }

    /// Adds rows below those that were added; `end` is one past the last of these.
    fn add(&mut self, rows: Range<u32>, same: &[Same], end: &mut u32, limits: &Limits) -> Result<()> {
        let part = |same: &Same| Part { start: same.start, end: same.end, fraction: same.share };
        if *end < rows.start && !self.bands.is_empty() {
            self.bands.push(Band { row: *end, first: self.parts.len() });
        }
        let above = self.bands.last().map_or(0, |band| band.first);
        if *end != rows.start
            || self.bands.is_empty()
            || !self.parts[above..].iter().copied().eq(same.iter().map(part))
        {
            if same.len() > limits.mask_runs.saturating_sub(self.parts.len()) {
                return Err(Error::limit(format!(
                    "the coverage of a window of {} pixels has over {} runs of pixels (limit mask_runs): simplify the \
                     cutline or clip a smaller window",
                    self.size, limits.mask_runs
                )));
            }
            self.bands.push(Band { row: rows.start, first: self.parts.len() });
            self.parts.extend(same.iter().map(part));
        }
        *end = rows.end;
        Ok(())
    }

    /// The window's width and height in pixels.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// The covered pixels of one row, from left to right. Empty for a row beyond the window.
    #[must_use]
    pub fn parts(&self, row: u32) -> &[Part] {
        let after = self.bands.partition_point(|band| band.row <= row);
        match (self.bands.get(after.wrapping_sub(1)), self.bands.get(after)) {
            (Some(band), Some(next)) => &self.parts[band.first..next.first],
            _ => &[],
        }
    }

    /// Writes the covered shares, from 0 to 1, of the pixels of a row from column `x0` on. Those beyond the window are 0.
    #[expect(clippy::cast_possible_truncation, reason = "a share to seven digits is what a float holds")]
    pub fn fill_row(&self, row: u32, x0: u32, shares: &mut [f32]) {
        shares.fill(0.0);
        let parts = self.parts(row);
        let end = u64::from(x0) + shares.len() as u64;
        for part in &parts[parts.partition_point(|part| part.end <= x0)..] {
            if u64::from(part.start) >= end {
                break;
            }
            let from = part.start.saturating_sub(x0) as usize;
            let to = shares.len().min((part.end - x0) as usize);
            shares[from..to].fill(part.fraction as f32);
        }
    }

    /// The covered area in pixels.
    #[must_use]
    pub fn area(&self) -> f64 {
        let row = |parts: &[Part]| -> f64 {
            parts.iter().map(|part| f64::from(part.end - part.start) * part.fraction).sum()
        };
        let bands = self.bands.windows(2);
        bands
            .map(|pair| f64::from(pair[1].row - pair[0].row) * row(&self.parts[pair[0].first..pair[1].first]))
            .sum()
    }

    /// The pixels that are covered to at least this share, above 0 and at most 1, but for [`ROUNDING`].
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] when it is no such share.
    pub fn at_least(&self, share: f64) -> Result<Mask> {
        if !(share > 0.0 && share <= 1.0) {
            return Err(Error::usage(format!(
                "{share} is no share of a pixel: the least coverage is above 0 and at most 1"
            )));
        }
        let mut builder = Builder::new(self.size);
        let mut runs: Vec<Run> = Vec::new();
        for pair in self.bands.windows(2) {
            runs.clear();
            for part in &self.parts[pair[0].first..pair[1].first] {
                if part.fraction + ROUNDING < share {
                    continue;
                }
                match runs.last_mut() {
                    Some(last) if last.end == part.start => last.end = part.end,
                    _ => runs.push(Run { start: part.start, end: part.end }),
                }
            }
            builder.rows(pair[0].row..pair[1].row, &runs);
        }
        Ok(builder.finish())
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "what is exact is compared exactly")]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn rings(rings: &[&[[f64; 2]]]) -> Polygon {
        Polygon { rings: rings.iter().map(|ring| ring.to_vec()).collect() }
    }

    fn square(x0: f64, y0: f64, x1: f64, y1: f64) -> [[f64; 2]; 5] {
        [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]
    }

    fn burn(polygons: &[Polygon], width: u32, height: u32) -> Coverage {
        Coverage::burn(polygons, &Affine::IDENTITY, Size::new(width, height), &Limits::default()).unwrap()
    }

    fn shares(coverage: &Coverage) -> Vec<Vec<f32>> {
        let row = |row| {
            let mut shares = vec![9.0; coverage.size().width as usize];
            coverage.fill_row(row, 0, &mut shares);
            shares
        };
        (0..coverage.size().height).map(row).collect()
    }

    #[test]
    fn worked_by_hand() {
        // The edge from (3, 0) to (0, 2) passes y = 2/3 at x = 2, and y = 4/3 at x = 1; row 1 at x = 1.5.
        let triangle = rings(&[&[[0.0, 0.0], [3.0, 0.0], [0.0, 2.0], [0.0, 0.0]]]);
        let found = shares(&burn(&[triangle], 4, 3));
        let expected = [[1.0, 11.0 / 12.0, 1.0 / 3.0, 0.0], [2.0 / 3.0, 1.0 / 12.0, 0.0, 0.0], [0.0; 4]];
        for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
            assert!((found - expected).abs() < 1e-7, "{found} {expected}");
        }
        // Rings of one polygon cancel out, polygons do not, and neither adds up.
        let (a, b) = (square(0.0, 0.0, 1.5, 1.0), square(0.5, 0.0, 2.0, 0.5));
        assert_eq!(shares(&burn(&[rings(&[&a, &b])], 2, 1)), [[0.75, 0.5]]);
        assert_eq!(shares(&burn(&[rings(&[&a]), rings(&[&b]), rings(&[&a])], 2, 1)), [[1.0, 0.75]]);
    }

    /// A half-open box of pixels is all that a grid-aligned one is: nothing is left of it next door, at any size.
    #[test]
    fn boxes_on_the_grid_are_whole_pixels() {
        for (width, height) in [(7, 5), (u32::MAX, 5), (7, 1 << 16)] {
            let (right, bottom) = (f64::from(width) - 1.0, f64::from(height) - 1.0);
            let inner = if width < 9 {
                square(1.0, 1.0, right, bottom)
            } else {
                square(right - 2.0, 1.0, right, bottom)
            };
            let coverage = burn(&[rings(&[&inner])], width, height);
            assert!(coverage.parts.iter().all(|part| part.fraction == 1.0), "{:?}", coverage.parts);
            assert_eq!(coverage.area(), (inner[1][0] - inner[0][0]) * (bottom - 1.0));
            assert_eq!((coverage.parts(0), coverage.parts(height - 1)), (&[][..], &[][..]));
            assert_eq!(coverage.parts(1).len(), 1);
            let around = square(-9.5, -0.5, f64::from(width) + 3.0, f64::from(height) + 7.0);
            let coverage = burn(&[rings(&[&around])], width, height);
            assert_eq!(coverage.at_least(1.0).unwrap(), Mask::full(Size::new(width, height)));
            assert_eq!((coverage.bands.len(), coverage.parts.len()), (2, 1));
            let hole = burn(&[rings(&[&around, &inner])], width, height);
            let whole = f64::from(width) * f64::from(height);
            assert_eq!(hole.area(), whole - (inner[1][0] - inner[0][0]) * (bottom - 1.0));
        }
        let tall = burn(&[rings(&[&square(-9.5, -1e12, 9.5, 1e12)])], 7, u32::MAX);
        assert_eq!(tall.at_least(1.0).unwrap(), Mask::full(tall.size()));
        for window in [Size::new(0, 0), Size::new(0, 5), Size::new(5, 0)] {
            let coverage = Coverage::burn(
                &[rings(&[&square(-1.0, -1.0, 9.0, 9.0)])],
                &Affine::IDENTITY,
                window,
                &Limits::default(),
            );
            assert_eq!(coverage.unwrap().at_least(0.1).unwrap().count(), 0);
        }
    }

    /// Windows of one grid tell the same, however they cut the outline; what is left of them counts.
    #[test]
    fn windows_of_one_grid_agree() {
        let mut state = 7_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            f64::from(u32::try_from(state >> 33).unwrap_or(0) % 1600) / 80.0 - 4.0
        };
        for number in 0..200_u32 {
            let mut polygon = || {
                let mut ring: Vec<_> = (0..5).map(|_| [random(), random()]).collect();
                if number % 2 == 0 {
                    ring.iter_mut().flatten().for_each(|v| *v = v.round());
                }
                ring.push(ring[0]);
                Polygon { rings: vec![ring] }
            };
            let polygons = [polygon(), polygon()];
            let whole = shares(&burn(&polygons, 12, 12));
            let (x0, y0) = (number % 7, number % 5);
            let transform = Affine::IDENTITY.shifted(f64::from(x0), f64::from(y0));
            let part = Coverage::burn(&polygons, &transform, Size::new(4, 6), &Limits::default()).unwrap();
            for (row, found) in (y0..).zip(shares(&part)) {
                for (col, found) in (x0..).zip(found) {
                    let expected = whole[row as usize][col as usize];
                    assert!((found - expected).abs() < 1e-6, "{number}: {row} {col}: {found}, {expected}");
                }
            }
            // A row from its middle, and beyond its end.
            let mut three = [9.0; 3];
            part.fill_row(2, 3, &mut three);
            assert_eq!(three, [shares(&part)[2][3], 0.0, 0.0]);
        }
    }

    /// The area of a turned pixel is its determinant: 0.36 + 0.64.
    #[test]
    fn turned_pixels() {
        let turned = Affine([10.0, 0.6, 0.8, 20.0, -0.8, 0.6]);
        let [a, b, c, d] = [[1.0, 1.0], [5.0, 1.0], [5.0, 3.5], [1.0, 3.5]].map(|[x, y]| turned.apply(x, y));
        let coverage =
            Coverage::burn(&[rings(&[&[a, b, c, d, a]])], &turned, Size::new(8, 6), &Limits::default())
                .unwrap();
        assert!((coverage.area() - 10.0).abs() < 1e-12);
        assert_eq!(coverage.at_least(1.0).unwrap().count(), 8);
        assert_eq!(coverage.at_least(0.5).unwrap().count(), 12);
        assert_eq!(coverage.at_least(0.51).unwrap().count(), 8);
    }

    #[test]
    fn what_is_no_share_or_no_place_is_refused() {
        let coverage = burn(&[rings(&[&square(0.0, 0.0, 1.0, 1.0)])], 2, 2);
        for bad in [0.0, -0.5, 1.000_001, f64::NAN, f64::INFINITY] {
            assert_eq!(coverage.at_least(bad).unwrap_err().kind(), ErrorKind::Usage);
        }
        let bad = rings(&[&[[0.0, 0.0], [f64::NAN, 0.0], [1.0, 1.0], [0.0, 0.0]]]);
        let burn = |polygon, transform: [f64; 6]| {
            Coverage::burn(&[polygon], &Affine(transform), Size::new(2, 2), &Limits::default()).unwrap_err()
        };
        let error = burn(bad.clone(), Affine::IDENTITY.0);
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.to_string().starts_with("polygon 0: ring 0, vertex 1: (NaN, 0) is not"), "{error}");
        assert_eq!(burn(bad, [0.0; 6]).kind(), ErrorKind::Usage);
    }

    /// A comb of teeth within one pixel, `n` of them: half of the pixel, but for the one at its end.
    fn comb(n: u32) -> Polygon {
        let n = f64::from(n);
        let mut ring = Vec::new();
        let mut x = 0.0;
        while x < n {
            ring.extend([[x / n, 1e-3 + x / n * 1e-3], [(x + 0.5) / n, 1.0 - x / n * 1e-3]]);
            x += 1.0;
        }
        ring.extend([[1.0, 0.0], [0.0, 0.0]]);
        ring.push(ring[0]);
        Polygon { rings: vec![ring] }
    }

    #[test]
    fn a_hundred_thousand_vertices_in_one_pixel() {
        let ring = comb(50_000);
        let area = shoelace(&ring.rings[0]);
        let coverage = burn(&[ring], 1, 1);
        assert!((coverage.area() - area).abs() < 1e-9, "{} {area}", coverage.area());
    }

    /// So much in one pixel that it is cut into smaller squares: what larger pictures of the same add up to.
    #[test]
    fn crowded_pixels_are_cut_up_without_loss() {
        for (count, spread) in [(40, 0.7), (300, 0.2), (300, 0.02)] {
            let mut state = 11_u64;
            let mut random = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                f64::from(u32::try_from(state >> 33).unwrap_or(0) % 1000) / 1000.0
            };
            let mut polygon = |scale: f64| {
                let centre = [random(), random()];
                let ring = (0..6).map(|_| centre.map(|v| (v + (random() - 0.5) * spread) * scale));
                let mut ring: Vec<[f64; 2]> = ring.collect();
                ring.push(ring[0]);
                Polygon { rings: vec![ring] }
            };
            let polygons: Vec<_> = (0..count).map(|_| polygon(1.0)).collect();
            let scaled = |scale: f64| -> Vec<Polygon> {
                let ring = |ring: &Vec<[f64; 2]>| ring.iter().map(|p| p.map(|v| v * scale)).collect();
                polygons.iter().map(|p| Polygon { rings: p.rings.iter().map(ring).collect() }).collect()
            };
            let one = burn(&polygons, 1, 1).area();
            let merged: Vec<_> = polygons.iter().flat_map(|polygon| polygon.rings.clone()).collect();
            let one_merged = burn(&[Polygon { rings: merged.clone() }], 1, 1).area();
            let many = burn(&scaled(64.0), 64, 64).area() / 4096.0;
            let merged =
                merged.iter().map(|ring| ring.iter().map(|p| p.map(|v| v * 64.0)).collect()).collect();
            let many_merged = burn(&[Polygon { rings: merged }], 64, 64).area() / 4096.0;
            assert!((one - many).abs() < 1e-12, "{count}: {one} {many}");
            assert!((one_merged - many_merged).abs() < 1e-12, "{count}: {one_merged} {many_merged}");
        }
    }

    fn shoelace(ring: &[[f64; 2]]) -> f64 {
        ring.windows(2).map(|w| (w[0][0] - w[1][0]) * (w[0][1] + w[1][1]) / 2.0).sum::<f64>().abs()
    }

    /// Every line of a star crosses most of the others: the answer or the limit, within seconds.
    #[test]
    fn what_crosses_everything_is_bounded() {
        let star = |n: u32, step: u32| {
            let point = |k: u32| {
                let angle = f64::from(k) / f64::from(n) * std::f64::consts::TAU;
                [0.5 + 0.4 * angle.cos(), 0.5 + 0.4 * angle.sin()]
            };
            Polygon { rings: vec![(0..=n).map(|k| point(k * step % n)).collect()] }
        };
        // The {5/2} pentagram less its pentagon: 5 points, each of area R^2 times this.
        let share = burn(&[star(5, 2)], 1, 1).area();
        assert!((share - 0.16 * pentagram_points()).abs() < 1e-12, "{share}");
        let limits = Limits { mask_work: 1 << 22, ..Limits::default() };
        let error =
            Coverage::burn(&[star(9_001, 4_500)], &Affine::IDENTITY, Size::new(1, 1), &limits).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit);
        let many = vec![rings(&[&square(0.25, 0.25, 0.75, 0.75)]); 20_000];
        assert_eq!(shares(&burn(&many, 1, 1)), [[0.25]]);
        let back_and_forth: Vec<[f64; 2]> = (0..100_001).map(|k| [f64::from(k % 2) * 3.0, 0.5]).collect();
        assert_eq!(burn(&[Polygon { rings: vec![back_and_forth] }], 3, 1).area(), 0.0);
    }

    /// The points of the pentagram in a circle of radius 1: its outline's area less the inner pentagon's.
    fn pentagram_points() -> f64 {
        let degrees = |d: f64| d.to_radians();
        let inner = degrees(18.0).sin() / degrees(54.0).sin();
        // Ten triangles from the centre, of sides 1 and `inner` at 36 degrees, less five of `inner` at 72.
        5.0 * inner * degrees(36.0).sin() - 2.5 * inner * inner * degrees(72.0).sin()
    }

    #[test]
    fn no_coordinate_panics() {
        let values = [
            -f64::MAX,
            -1e300,
            -1e17,
            -1.0,
            -5e-324,
            0.0,
            5e-324,
            1e-300,
            2.5,
            4.0,
            5.0,
            1e17,
            1e300,
            f64::MAX,
        ];
        let points: Vec<_> = values.iter().flat_map(|&x| values.map(|y| [x, y])).collect();
        for (i, &a) in points.iter().enumerate() {
            for (j, &b) in points.iter().enumerate() {
                let c = points[(i * 7 + j * 31 + 5) % points.len()];
                let coverage = burn(&[rings(&[&[a, b, c, a]])], 4, 5);
                assert!((0.0..=20.0).contains(&coverage.area()));
            }
        }
        for far in [1e6, 1e10, 1e18, 1e150, 1e300, f64::MAX] {
            let all = burn(&[rings(&[&square(-far, -far, far, far)])], 7, 5);
            assert_eq!(all.at_least(1.0).unwrap(), Mask::full(Size::new(7, 5)));
            assert_eq!(burn(&[rings(&[&square(3.5, -far, far, far)])], 7, 5).area(), 17.5);
        }
    }

    #[test]
    fn parts_are_limited() {
        let limits = |mask_runs| Limits { mask_runs, ..Limits::default() };
        let triangle = rings(&[&[[0.0, 0.0], [9.0, 0.0], [0.0, 9.0], [0.0, 0.0]]]);
        let burn = |limit| {
            Coverage::burn(
                std::slice::from_ref(&triangle),
                &Affine::IDENTITY,
                Size::new(9, 9),
                &limits(limit),
            )
        };
        // Row by row: what is full, and the pixel on the diagonal; the last row has no full one.
        assert_eq!(burn(17 * 4).unwrap().parts.len(), 17);
        assert_eq!(burn(16).unwrap_err().kind(), ErrorKind::Limit);
        // Four pieces of one row are more than a quarter of 8.
        assert_eq!(burn(8).unwrap_err().kind(), ErrorKind::Limit);
    }
}
