//! Longitudes: where a map is torn, which turns of a polygon overlap a window, and rings that run around a pole.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::Ring;
use super::cut::{self, Axis, Half};
use super::footprint::Footprint;
use super::plane::Plane;
use crate::error::{Error, Result};

/// Whole turns looked at on either side: more than a cutline's longitudes of at most 540 degrees and any raster's take.
const TURNS: i32 = 4;
/// Degrees between longitudes at which a tear is looked for, and where they start: on no usual tear.
const TEAR_STEP: f64 = 1.0;
const TEAR_START: f64 = -180.37;
/// Degrees to which a tear is found: 0.1 mm on the ground.
const TEAR_WIDTH: f64 = 1e-9;
/// Degrees by which two windows of a map without a tear overlap, so that nothing falls between them.
const OVERLAP: f64 = 1e-6;

/// Two meridians side by side, where the map ends in the east, and where it begins in the west.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tear {
    pub(super) east_end: f64,
    pub(super) west_end: f64,
}

/// A range of longitudes.
pub(super) type Window = (f64, f64);

/// The meridian along which `plane`, from longitude and latitude, is torn within the latitudes `lat`; `None` when it is
/// not, or not along a meridian.
pub(super) fn tear(plane: &dyn Plane, lat: (f64, f64)) -> Option<Tear> {
    let shares = [0.13, 0.29, 0.46, 0.61, 0.87];
    let mut tears = shares.into_iter().filter_map(|share| tear_at(plane, lat.0 + (lat.1 - lat.0) * share));
    let first = tears.next()?;
    tears.all(|other| (other.east_end - first.east_end).abs() < 10.0 * TEAR_WIDTH).then_some(first)
}

/// The tear at one latitude.
fn tear_at(plane: &dyn Plane, lat: f64) -> Option<Tear> {
    let world = |lon: f64| plane.project([lon, lat]).ok();
    let apart = |a: f64, b: f64| {
        let (a, b) = (world(a)?, world(b)?);
        Some((a[0] - b[0]).hypot(a[1] - b[1]))
    };
    let mut steps: Vec<(f64, f64)> = (0..360_u16)
        .filter_map(|step| {
            let lon = TEAR_START + f64::from(step) * TEAR_STEP;
            Some((apart(lon, lon + TEAR_STEP)?, lon))
        })
        .collect();
    steps.sort_by(|a, b| b.0.total_cmp(&a.0));
    // The map of a cone that is nearly flat has a narrow gap, which need not be the widest step.
    steps.iter().take(4).find_map(|&(jump, lon)| {
        let (mut east_end, mut west_end) = (lon, lon + TEAR_STEP);
        while west_end - east_end > TEAR_WIDTH {
            let middle = f64::midpoint(east_end, west_end);
            if apart(east_end, middle)? > apart(middle, west_end)? {
                west_end = middle;
            } else {
                east_end = middle;
            }
        }
        (apart(east_end, west_end)? > jump / 4.0).then_some(Tear { east_end, west_end })
    })
}

/// The ranges of longitude that together are a raster's surroundings, none of them torn, and none far beyond 360. Without
/// a tear, and all round the world, there is one of a whole turn from `start`.
pub(super) fn windows(footprint: &Footprint, tear: Option<Tear>, start: f64) -> Vec<Window> {
    let windows = match (footprint.lon, tear) {
        (None, None) => vec![(start, start + 360.0 + OVERLAP)],
        (None, Some(tear)) => vec![(tear.west_end, tear.east_end + 360.0)],
        (Some(arc), None) => vec![arc],
        (Some((west, east)), Some(tear)) => {
            // The turn of the tear that lies nearest east of the arc's western end.
            let turns = ((west - tear.west_end) / 360.0).ceil() * 360.0;
            let (map_end, map_start) = (tear.east_end + turns, tear.west_end + turns);
            vec![(west, east.min(map_end)), (map_start, east)]
        }
    };
    let in_order = windows.into_iter().filter(|(west, east)| west < east);
    in_order
        .map(|(west, east)| {
            let turns = (f64::midpoint(west, east) / 360.0).round() * 360.0;
            (west - turns, east - turns)
        })
        .collect()
}

/// The whole turns by which longitudes from `min` to `max` must be moved to overlap `window` by more than `least`.
pub(super) fn turns((min, max): Window, window: Window, least: f64) -> impl Iterator<Item = f64> {
    (-TURNS..=TURNS)
        .map(|turn| f64::from(turn) * 360.0)
        .filter(move |turn| (max + turn).min(window.1) - (min + turn).max(window.0) > least)
}

/// A ring moved east; by nothing, bit for bit the same.
pub(super) fn moved(ring: &Ring, east: f64) -> Ring {
    ring.iter().map(|&[lon, lat]| [lon + east, lat]).collect()
}

/// Westernmost and easternmost longitude; `None` without points.
pub(super) fn range<'a>(rings: impl IntoIterator<Item = &'a Ring>) -> Option<Window> {
    rings.into_iter().flatten().fold(None, |range: Option<Window>, &[lon, _]| {
        Some(range.map_or((lon, lon), |(min, max)| (min.min(lon), max.max(lon))))
    })
}

/// Area on the globe, bounded by rings whose longitudes run on: it repeats with every turn.
#[derive(Debug, Default)]
pub(super) struct Region {
    /// Rings that end where they start.
    closed: Vec<Ring>,
    /// Lines from west to east that end a turn from where they start, and the pole that their area contains.
    around: Vec<(Ring, f64)>,
    /// Whether everything else is inside.
    inverted: bool,
}

impl Region {
    /// Adds a ring, by the even-odd rule. `is_north_inside` and `is_south_inside` tell whether it surrounds the poles,
    /// where that is known.
    ///
    /// # Errors
    /// Of kind `Usage` for a ring that runs around the poles more than once, or around nobody knows which.
    pub(super) fn add(
        &mut self,
        mut ring: Ring,
        is_north_inside: Option<bool>,
        is_south_inside: Option<bool>,
    ) -> Result<()> {
        let (Some(&[west, _]), Some(&[east, _])) = (ring.first(), ring.last()) else { return Ok(()) };
        let turns = ((east - west) / 360.0).round();
        if turns == 0.0 {
            if let Some(first) = ring.first().copied()
                && let Some(last) = ring.last_mut()
            {
                *last = first;
            }
            self.closed.push(ring);
            self.inverted ^= is_north_inside.or(is_south_inside).unwrap_or(false);
            return Ok(());
        }
        let pole = match (is_north_inside, is_south_inside) {
            (Some(true), _) | (None, Some(false)) => 90.0,
            (Some(false), _) | (None, Some(true)) => -90.0,
            (None, None) => {
                return Err(Error::usage(
                    "a ring of the cutline runs around a pole, and neither pole has a place in its CRS; give it in \
                     longitude and latitude",
                ));
            }
        };
        if turns.abs() > 1.0 {
            return Err(Error::usage(format!(
                "a ring of the cutline winds around a pole {} times; split it",
                turns.abs()
            )));
        }
        if turns < 0.0 {
            ring.reverse();
        }
        self.around.push((ring, pole));
        Ok(())
    }

    /// The area within `window`, as rings that are filled together.
    pub(super) fn within(&self, window: Window) -> Vec<Ring> {
        let mut rings: Vec<Ring> = Vec::new();
        for ring in &self.closed {
            if let Some(range) = range([ring]) {
                rings.extend(turns(range, window, 0.0).map(|turn| moved(ring, turn)));
            }
        }
        // What closes a line over the pole lies beyond the window, but for the pole itself.
        for (line, pole) in &self.around {
            let Some([start, _]) = line.first() else { continue };
            let mut ring = Ring::new();
            for turn in (-2 * TURNS..=2 * TURNS).map(|turn| f64::from(turn) * 360.0) {
                if start + turn + 720.0 > window.0 && start + turn - 360.0 < window.1 {
                    ring.extend(moved(line, turn));
                }
            }
            if let (Some([west, _]), Some([east, _])) = (ring.first().copied(), ring.last().copied()) {
                ring.extend([[east, *pole], [west, *pole]]);
                ring.extend(ring.first().copied());
                rings.push(ring);
            }
        }
        if self.inverted {
            let (west, east) = (window.0 - 1.0, window.1 + 1.0);
            rings.push(vec![[west, -90.0], [east, -90.0], [east, 90.0], [west, 90.0], [west, -90.0]]);
        }
        cut::keep(rings, &[Half::AtLeast(Axis::X, window.0), Half::AtMost(Axis::X, window.1)])
    }
}
