//! Places polygons on a raster's plane: as they are where that works, and cut to the raster's surroundings where it
//! does not.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::cut::{self, Axis, Half};
use super::densify::{Budget, Densifier, Measure};
use super::domain::Limb;
use super::footprint::{self, Footprint, Samples};
use super::meridian::{self, Region, Window};
use super::plane::{Between, Plane};
use super::smooth::Smooth;
use super::{Frame, Polygon, Ring};
use crate::error::{Error, ErrorKind, Result};
use crate::geo::{Affine, Bounds, Choice, Crs, Operation};
use crate::grid::PixelRect;
use crate::limits::Limits;

/// Western end of the window round a whole map without a tear: a meridian on which no grid's pixels lie.
const SEAM: f64 = -180.123_456_789;
/// Pixels of a raster in degrees, beyond its ends, to which a polygon around a pole is cut.
const MARGIN_PIXELS: f64 = 8.0;
/// Share of a pixel by which a polygon on another turn must overlap the raster; less is rounding.
const OVERLAP: f64 = 1e-6;
/// Vertices from which a polygon by itself is worth a mesh, where all together have none.
const MANY: usize = 256;
/// Of at most nine probes, those that may be on the wrong side of an outline that runs close by.
const WRONG_PROBES: usize = 3;

/// The polygons in the raster's CRS: see [`super::Cutline::to_crs`].
pub(super) fn polygons(
    polygons: &[Polygon],
    own: &Crs,
    raster: &Crs,
    frame: &Frame,
    choice: &Choice<'_>,
    limits: &Limits,
) -> Result<(Vec<Polygon>, Operation)> {
    let turning = raster.is_geographic().then(|| Turning::new(frame));
    let mut budget = Budget::new(limits);
    let mut placed = Vec::with_capacity(polygons.len());
    let plane = if own.is_same(raster) { None } else { Some(Between::new(own, raster, choice)?) };
    let operation = plane.as_ref().map_or_else(Operation::none, |plane| plane.there.operation().clone());
    let Some(plane) = plane.filter(|plane| !plane.is_identity()) else {
        for polygon in polygons {
            match &turning {
                Some(turning) => {
                    budget.take(vertices(&polygon.rings))?;
                    turning.push(polygon.clone(), &mut placed, &mut budget)?;
                }
                None => placed.push(polygon.clone()),
            }
        }
        return Ok((placed, operation));
    };
    let to_pixels = frame.transform.inverse().ok_or_else(|| {
        Error::format(format!(
            "the raster's geotransform {:?} has no inverse: its pixels have no area",
            frame.transform.0
        ))
    })?;
    let measure = Measure::pixels(to_pixels, raster.is_geographic());
    let smooth_around = |polygons: &[Polygon]| {
        let points = || polygons.iter().flat_map(|polygon| &polygon.rings).flatten();
        Smooth::new(&plane, &measure, Bounds::around(points().copied())?, points().count())
    };
    let smooth = smooth_around(polygons);
    let plain = Densifier { plane: &plane, measure, unwraps: false, smooth };
    let probes = footprint::probes(&plane, frame);
    let mut work = Work {
        own,
        raster,
        frame,
        choice,
        to_pixels,
        plane: &plane,
        probes: &probes,
        surroundings: Known::NotYet,
    };
    for (number, polygon) in polygons.iter().enumerate() {
        let before = budget;
        let is_wide = own.is_geographic()
            && meridian::range(&polygon.rings).is_some_and(|(west, east)| east - west > 360.0);
        let direct = if is_wide {
            Err(Error::usage(
                "a polygon spans more than 360 degrees of longitude; cut it at the antimeridian (RFC 7946 §3.1.9)",
            ))
        } else {
            let by_itself = plain.smooth.is_none() && polygons.len() > 1 && vertices(&polygon.rings) >= MANY;
            let smooth = if by_itself { smooth_around(std::slice::from_ref(polygon)) } else { plain.smooth };
            Densifier { smooth, ..plain }.polygon(polygon, &mut budget)
        };
        match direct {
            Ok(polygon_there) if work.agrees(polygon, &polygon_there) => match &turning {
                Some(turning) => turning.push(polygon_there, &mut placed, &mut budget)?,
                None => placed.push(polygon_there),
            },
            Err(error) if error.kind() != ErrorKind::Usage => return Err(error),
            direct => {
                budget = before;
                work.push_cut(polygon, direct.err(), &mut placed, &mut budget)
                    .map_err(|error| error.at(format!("polygon {number} of the cutline")))?;
            }
        }
    }
    Ok((placed, operation))
}

/// A raster in degrees, on which a polygon appears at every whole turn.
struct Turning {
    /// Its longitudes, and those of its pixels' centres where only these count.
    lon: Window,
    centres: Window,
    lat: Window,
    /// Degrees that two longitudes must overlap, on the polygon's own turn and on others.
    least: f64,
    least_of_turned: f64,
}

impl Turning {
    fn new(frame: &Frame) -> Self {
        let bounds = frame.transform.bounds(PixelRect::of(frame.size));
        let pixel = frame.transform.0[1].abs();
        let by_centre = frame.by_centre && !frame.transform.is_rotated();
        let inset = if by_centre { pixel / 2.0 } else { 0.0 };
        Self {
            lon: (bounds.min_x, bounds.max_x),
            centres: (bounds.min_x + inset, bounds.max_x - inset),
            lat: (bounds.min_y, bounds.max_y),
            least: 0.0,
            // A centre on the outline may belong.
            least_of_turned: if by_centre { -pixel * OVERLAP } else { pixel * OVERLAP },
        }
    }

    /// Adds the polygon once for each turn on which it overlaps the raster; where none does, as it is, because the
    /// window takes its bounds into account.
    fn push(&self, polygon: Polygon, placed: &mut Vec<Polygon>, budget: &mut Budget) -> Result<()> {
        let Some(bounds) = Bounds::around(polygon.rings.iter().flatten().copied()) else { return Ok(()) };
        let lon = (bounds.min_x, bounds.max_x);
        let overlaps_in_latitude = bounds.max_y.min(self.lat.1) > bounds.min_y.max(self.lat.0);
        let mut is_placed = false;
        if overlaps_in_latitude {
            let other = meridian::turns(lon, self.centres, self.least_of_turned).filter(|turn| *turn != 0.0);
            let turns: Vec<f64> =
                meridian::turns(lon, self.lon, self.least).filter(|turn| *turn == 0.0).chain(other).collect();
            for turn in turns {
                if is_placed {
                    budget.take(vertices(&polygon.rings))?;
                }
                let rings = polygon
                    .rings
                    .iter()
                    .map(|ring| if turn == 0.0 { ring.clone() } else { meridian::moved(ring, turn) });
                placed.push(Polygon { rings: rings.collect() });
                is_placed = true;
            }
        }
        if !is_placed {
            placed.push(polygon);
        }
        Ok(())
    }
}

/// What placing the polygons of one cutline takes.
struct Work<'a> {
    own: &'a Crs,
    raster: &'a Crs,
    choice: &'a Choice<'a>,
    frame: &'a Frame,
    to_pixels: Affine,
    plane: &'a Between,
    /// Places in the cutline's CRS and in the raster's.
    probes: &'a [([f64; 2], [f64; 2])],
    surroundings: Known,
}

/// The raster's surroundings, found when the first polygon needs them.
enum Known {
    NotYet,
    /// The raster has no place in longitude and latitude.
    Nowhere,
    Here(Box<Surroundings>),
}

/// The raster's surroundings, in longitude and latitude on its own datum.
struct Surroundings {
    /// From the cutline's CRS; `None` when coordinates stay as they are.
    to_degrees: Option<Between>,
    /// On to the raster's CRS; `None` when that is in degrees.
    onward: Option<Between>,
    windows: Vec<Window>,
    /// Whether the only window is the whole world and the map has no tear.
    is_seamless: bool,
    lat: Vec<Half>,
    measure: Measure,
    /// What the raster covers in the cutline's CRS.
    own: Option<Bounds>,
}

impl Work<'_> {
    /// Whether each ring has the same side of the raster inside, there and here: a ring around a place that the map
    /// has no room for comes out inside out.
    fn agrees(&self, polygon: &Polygon, there: &Polygon) -> bool {
        let rings = polygon.rings.iter().zip(&there.rings);
        self.probes.is_empty()
            || rings.into_iter().all(|(from, to)| {
                self.probes.iter().any(|(own, raster)| {
                    let side = |ring, point, crs: &Crs| {
                        let turns: &[f64] = if crs.is_geographic() { &[-360.0, 0.0, 360.0] } else { &[0.0] };
                        let [x, y] = point;
                        turns.iter().fold(false, |side, turn| side != cut::is_inside([ring], [x + turn, y]))
                    };
                    side(from, *own, self.own) == side(to, *raster, self.raster)
                })
            })
    }

    fn surroundings(&self) -> Result<Option<Surroundings>> {
        let Some(degrees) = self.raster.geographic() else { return Ok(None) };
        let to_degrees = if self.own.is_same(&degrees) {
            None
        } else {
            Some(Between::new(self.own, &degrees, self.choice)?)
        };
        let to_degrees = to_degrees.filter(|plane| !plane.is_identity());
        let own = Samples::new(self.plane, self.frame).bounds();
        if self.raster.is_geographic() {
            let bounds = self.frame.transform.bounds(PixelRect::of(self.frame.size));
            let pixel = self.frame.transform.0[1].abs().max(self.frame.transform.0[2].abs());
            let margin = pixel * MARGIN_PIXELS;
            return Ok(Some(Surroundings {
                to_degrees,
                onward: None,
                windows: vec![(bounds.min_x - margin, bounds.max_x + margin)],
                is_seamless: false,
                lat: Vec::new(),
                measure: Measure::pixels(self.to_pixels, true),
                own,
            }));
        }
        let onward = Between::new(&degrees, self.raster, self.choice)?;
        let Some(footprint) = Samples::new(&onward, self.frame).footprint(&onward) else { return Ok(None) };
        let Footprint { lon, lat: (south, north), pixel } = footprint;
        let tear = meridian::tear(&onward, (south, north));
        Ok(Some(Surroundings {
            to_degrees,
            windows: meridian::windows(&footprint, tear, SEAM),
            is_seamless: lon.is_none() && tear.is_none(),
            lat: vec![Half::AtLeast(Axis::Y, south), Half::AtMost(Axis::Y, north)],
            measure: Measure::ground(pixel),
            own,
            onward: Some(onward),
        }))
    }

    /// Adds what of the polygon lies in the raster's surroundings. `cause` says why it could not be projected whole.
    fn push_cut(
        &mut self,
        polygon: &Polygon,
        cause: Option<Error>,
        placed: &mut Vec<Polygon>,
        budget: &mut Budget,
    ) -> Result<()> {
        if matches!(self.surroundings, Known::NotYet) {
            self.surroundings = match self.surroundings()? {
                Some(found) => Known::Here(Box::new(found)),
                None => Known::Nowhere,
            };
        }
        let Known::Here(surroundings) = &self.surroundings else {
            return Err(cause.unwrap_or_else(|| self.smeared()));
        };
        let pieces = surroundings.pieces(polygon, budget)?;
        let Some(onward) = &surroundings.onward else {
            budget.take(pieces.iter().map(|rings| vertices(rings)).sum())?;
            return self.push_checked(polygon, pieces, cause, placed);
        };
        let measure = Measure::pixels(self.to_pixels, false);
        let densifier = Densifier { plane: onward, measure, unwraps: false, smooth: None };
        let before = *budget;
        let whole: Result<Vec<Vec<Ring>>> = pieces
            .iter()
            .map(|rings| rings.iter().map(|ring| densifier.ring(ring, budget)).collect())
            .collect();
        match whole {
            Err(error) if error.kind() != ErrorKind::Usage => return Err(error),
            Ok(there) if self.is_right(polygon, &there) => {
                placed.extend(there.into_iter().map(|rings| Polygon { rings }));
                return Ok(());
            }
            _ => {}
        }
        // The edge of the world runs through the raster or its surroundings.
        *budget = before;
        let Some((_, centre)) = self.probes.first() else {
            return Err(cause.unwrap_or_else(|| self.smeared()));
        };
        let limb = Limb::new(onward, *centre, self.frame);
        let there = pieces.iter().map(|rings| limb.cut(rings, &densifier, budget)).collect::<Result<_>>()?;
        self.push_checked(polygon, there, cause, placed)
    }

    /// Adds the pieces into which a polygon was cut, if the probes have the same side as before.
    fn push_checked(
        &self,
        polygon: &Polygon,
        pieces: Vec<Vec<Ring>>,
        cause: Option<Error>,
        placed: &mut Vec<Polygon>,
    ) -> Result<()> {
        if !self.is_right(polygon, &pieces) {
            return Err(cause.unwrap_or_else(|| self.smeared()));
        }
        let pieces = pieces.into_iter().filter(|rings| !rings.is_empty());
        placed.extend(pieces.map(|rings| Polygon { rings }));
        Ok(())
    }

    /// Whether the probes are inside the pieces where they are inside the polygon, but for a few that an outline may run
    /// close by.
    fn is_right(&self, polygon: &Polygon, pieces: &[Vec<Ring>]) -> bool {
        let turns: &[f64] =
            if self.own.is_geographic() { &[-720.0, -360.0, 0.0, 360.0, 720.0] } else { &[0.0] };
        let wrong = self.probes.iter().filter(|([x, y], there)| {
            let is_inside = turns.iter().any(|turn| cut::is_inside(&polygon.rings, [x + turn, *y]));
            is_inside != pieces.iter().any(|rings| cut::is_inside(rings, *there))
        });
        wrong.count() <= WRONG_PROBES.min(self.probes.len() / 3)
    }

    fn smeared(&self) -> Error {
        Error::usage(format!(
            "on the way from {} it would be turned inside out, for it surrounds a place that the map has no room for; cut \
             it to the raster's surroundings",
            self.plane
        ))
    }
}

impl Surroundings {
    /// What of a polygon lies in the surroundings: for each window and turn its rings in degrees.
    fn pieces(&self, polygon: &Polygon, budget: &mut Budget) -> Result<Vec<Vec<Ring>>> {
        let mut pieces = Vec::new();
        match &self.to_degrees {
            None => {
                let Some(range) = meridian::range(&polygon.rings) else { return Ok(pieces) };
                if self.is_seamless && range.1 - range.0 <= 360.0 {
                    pieces.push(polygon.rings.clone());
                } else {
                    for window in &self.windows {
                        for turn in meridian::turns(range, *window, 0.0) {
                            let moved = polygon.rings.iter().map(|ring| meridian::moved(ring, turn));
                            pieces.push(cut::keep(moved.collect(), &between(*window)));
                        }
                    }
                }
            }
            Some(plane) => {
                let region = self.region(plane, polygon, budget)?;
                pieces.extend(self.windows.iter().map(|window| region.within(*window)));
            }
        }
        let pieces = pieces.into_iter().map(|rings| cut::keep(rings, &self.lat));
        Ok(pieces.filter(|rings| !rings.is_empty()).collect())
    }

    /// The polygon's area on the globe.
    fn region(&self, plane: &Between, polygon: &Polygon, budget: &mut Budget) -> Result<Region> {
        let before = *budget;
        match self.region_of(plane, &polygon.rings, budget) {
            Err(error) if error.kind() == ErrorKind::Usage => {
                // Part of it has no place on the globe: perhaps a part that is far from the raster.
                let Some(Bounds { min_x, min_y, max_x, max_y }) = self.own else { return Err(error) };
                let halves = [
                    Half::AtLeast(Axis::X, min_x),
                    Half::AtMost(Axis::X, max_x),
                    Half::AtLeast(Axis::Y, min_y),
                    Half::AtMost(Axis::Y, max_y),
                ];
                *budget = before;
                self.region_of(plane, &cut::keep(polygon.rings.clone(), &halves), budget)
            }
            done => done,
        }
    }

    fn region_of(&self, plane: &Between, rings: &[Ring], budget: &mut Budget) -> Result<Region> {
        let unwrapping = Densifier { plane, measure: self.measure, unwraps: true, smooth: None };
        // A pole that is a line in the cutline's CRS is at the end of the map, where no ring surrounds it.
        let pole = |lat: f64| {
            let [a, b] = [0.0, 100.0].map(|lon| plane.back([lon, lat]));
            let (a, b) = (a?, b?);
            ((a[0] - b[0]).hypot(a[1] - b[1]) < 1e-3).then_some(a)
        };
        let (north, south) = (pole(90.0), pole(-90.0));
        let mut region = Region::default();
        for ring in rings {
            let is_inside = |pole: [f64; 2]| cut::is_inside([ring], pole);
            region.add(unwrapping.ring(ring, budget)?, north.map(is_inside), south.map(is_inside))?;
        }
        Ok(region)
    }
}

fn vertices(rings: &[Ring]) -> usize {
    rings.iter().map(Vec::len).sum()
}

fn between((west, east): Window) -> [Half; 2] {
    [Half::AtLeast(Axis::X, west), Half::AtMost(Axis::X, east)]
}
