//! What a raster covers in another plane, from samples.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::Frame;
use super::plane::Plane;
use crate::geo::{Affine, Bounds};

/// Steps across the raster, in both directions.
const STEPS: u16 = 32;
/// Pixels beyond the raster that count as its surroundings, and the same as a share of its size: whatever is cut off
/// there is out of reach of the outermost pixels.
const MARGIN_PIXELS: f64 = 8.0;
const MARGIN_SHARE: f64 = 0.02;
/// Steps between neighbouring samples by which the truth may reach beyond all samples: where the map has an edge inside
/// the raster, up to which no sample reaches, it may turn steeply.
const MARGIN_STEPS: f64 = 1.5;
const MARGIN_STEPS_AT_AN_EDGE: f64 = 4.0;

/// Places of a raster and its surroundings in the source of a plane; `None` where a place has none there.
pub(super) struct Samples {
    /// Row by row, `STEPS + 1` a row.
    places: Vec<Option<[f64; 2]>>,
    to_world: Affine,
    /// The sampled columns and rows: minimum and maximum.
    cols: (f64, f64),
    rows: (f64, f64),
}

/// A raster's surroundings in longitude and latitude.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Footprint {
    /// Western and eastern end, less than a turn apart; `None` all round the world.
    pub(super) lon: Option<(f64, f64)>,
    /// Southern and northern end.
    pub(super) lat: (f64, f64),
    /// Degrees of latitude that are as long on the ground as the smallest pixel.
    pub(super) pixel: f64,
}

impl Samples {
    pub(super) fn new(plane: &dyn Plane, frame: &Frame) -> Self {
        let axis = |pixels: u32| {
            let pixels = f64::from(pixels);
            let margin = MARGIN_PIXELS.max(pixels * MARGIN_SHARE);
            (-margin, pixels + margin)
        };
        let (cols, rows) = (axis(frame.size.width), axis(frame.size.height));
        let steps = || 0..=STEPS;
        let places = steps()
            .flat_map(|row| steps().map(move |col| (at(cols, col), at(rows, row))))
            .map(|(col, row)| plane.back(frame.transform.apply(col, row)))
            .collect();
        Self { places, to_world: frame.transform, cols, rows }
    }

    /// Pairs of neighbouring samples that both have a place.
    fn pairs(&self) -> impl Iterator<Item = ([f64; 2], [f64; 2])> {
        let width = usize::from(STEPS).saturating_add(1);
        let beside = self.places.chunks(width).flat_map(|row| row.iter().zip(row.iter().skip(1)));
        let below = self.places.iter().zip(self.places.iter().skip(width));
        beside.chain(below).filter_map(|(a, b)| Some(((*a)?, (*b)?)))
    }

    fn margin_steps(&self) -> f64 {
        if self.places.iter().all(Option::is_some) { MARGIN_STEPS } else { MARGIN_STEPS_AT_AN_EDGE }
    }

    /// The smallest rectangle around all places, and a margin; `None` when there are no places.
    pub(super) fn bounds(&self) -> Option<Bounds> {
        let bounds = Bounds::around(self.places.iter().flatten().copied())?;
        let [x, y] = [0, 1].map(|axis: usize| {
            let value = |point: [f64; 2]| if axis == 0 { point[0] } else { point[1] };
            self.pairs().map(|(a, b)| (value(a) - value(b)).abs()).fold(0.0, f64::max) * self.margin_steps()
        });
        let Bounds { min_x, min_y, max_x, max_y } = bounds;
        Some(Bounds { min_x: min_x - x, min_y: min_y - y, max_x: max_x + x, max_y: max_y + y })
    }

    /// What the samples cover, when their places are longitudes and latitudes; `None` when there are none. `plane` is
    /// the one of the samples.
    pub(super) fn footprint(&self, plane: &dyn Plane) -> Option<Footprint> {
        let bounds = Bounds::around(self.places.iter().flatten().copied())?;
        let steps = self.margin_steps();
        let margin = self.pairs().map(|(a, b)| (a[1] - b[1]).abs()).fold(0.0, f64::max) * steps;
        let south = self.pole(plane, -90.0);
        let north = self.pole(plane, 90.0);
        let lat = (
            if south.inside { -90.0 } else { (bounds.min_y - margin).max(south.nearest) },
            if north.inside { 90.0 } else { (bounds.max_y + margin).min(north.nearest) },
        );
        let lon = if south.inside || north.inside { None } else { self.arc(steps) };
        Some(Footprint { lon, lat, pixel: self.pixel(plane)? })
    }

    /// The shortest arc of longitudes around all samples and a margin; `None` for a whole turn.
    fn arc(&self, steps: f64) -> Option<(f64, f64)> {
        let mut lons: Vec<f64> =
            self.places.iter().flatten().map(|place| place[0].rem_euclid(360.0)).collect();
        lons.sort_by(f64::total_cmp);
        let next = lons.iter().skip(1).copied().chain(lons.first().map(|first| first + 360.0));
        let (gap, east_of_gap) = lons
            .iter()
            .zip(next)
            .map(|(west, east)| (east - west, east))
            .max_by(|a, b| a.0.total_cmp(&b.0))?;
        let turn = |a: f64, b: f64| {
            let apart = (a - b).rem_euclid(360.0);
            apart.min(360.0 - apart)
        };
        let margin = self.pairs().map(|(a, b)| turn(a[0], b[0])).fold(0.0, f64::max) * steps;
        let (west, east) = (east_of_gap - margin, east_of_gap - gap + 360.0 + margin);
        (east - west < 359.0).then_some((west, east))
    }

    /// Degrees of latitude of the smallest pixel; `None` when no pixel has a size.
    fn pixel(&self, plane: &dyn Plane) -> Option<f64> {
        let degrees = |col, row| plane.back(self.to_world.apply(col, row));
        let mut least = f64::INFINITY;
        for row in (0..=STEPS).step_by(4) {
            for col in (0..=STEPS).step_by(4) {
                let (col, row) = (at(self.cols, col), at(self.rows, row));
                let Some(here) = degrees(col, row) else { continue };
                for there in [degrees(col + 1.0, row), degrees(col, row + 1.0)].into_iter().flatten() {
                    let turns = ((there[0] - here[0]) / 360.0).round();
                    let east = (there[0] - here[0] - turns * 360.0) * here[1].to_radians().cos();
                    let length = east.hypot(there[1] - here[1]);
                    if length > 0.0 {
                        least = least.min(length);
                    }
                }
            }
        }
        least.is_finite().then_some(least)
    }

    fn pole(&self, plane: &dyn Plane, pole: f64) -> Pole {
        let to_pixels = self.to_world.inverse();
        let lons = || (0..36_u8).map(|step| f64::from(step) * 10.0 - 180.0);
        let inside = lons().any(|lon| {
            let (Some(to_pixels), Ok([x, y])) = (to_pixels, plane.project([lon, pole])) else { return false };
            let [col, row] = to_pixels.apply(x, y);
            (self.cols.0..=self.cols.1).contains(&col) && (self.rows.0..=self.rows.1).contains(&row)
        });
        let off = [0.0, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1];
        let nearest = off
            .into_iter()
            .map(|off| pole - pole.signum() * off)
            .find(|lat| lons().any(|lon| plane.project([lon, *lat]).is_ok()));
        Pole { inside, nearest: nearest.unwrap_or(pole) }
    }
}

struct Pole {
    /// Whether it lies in the raster's surroundings.
    inside: bool,
    /// The latitude nearest to it that the map has a place for.
    nearest: f64,
}

fn at((min, max): (f64, f64), step: u16) -> f64 {
    min + (max - min) * (f64::from(step) / f64::from(STEPS))
}

/// Places of the raster in both planes, source first, by which the outcome is checked: at most nine.
pub(super) fn probes(plane: &dyn Plane, frame: &Frame) -> Vec<([f64; 2], [f64; 2])> {
    let (width, height) = (f64::from(frame.size.width), f64::from(frame.size.height));
    // Shares that fall on no symmetry of a map or a polygon.
    let shares = [0.513, 0.171, 0.829];
    let rows = shares.iter().flat_map(|row| shares.iter().map(move |col| (col * width, row * height)));
    rows.filter_map(|(col, row)| {
        let world = frame.transform.apply(col, row);
        Some((plane.back(world)?, world))
    })
    .collect()
}
