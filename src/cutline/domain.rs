//! The edge of the world on maps that show a part of the globe, or have it all within a closed line: the limb.
//!
//! Seen from a place on the map, the limb lies in every direction at one distance. That holds for views from space, and
//! for the azimuthal maps, whose limb is the circle into which the place opposite their centre is torn.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::f64::consts::TAU;

use super::chain::{self, End};
use super::densify::{Budget, Densifier};
use super::plane::Plane;
use super::{Frame, Ring, cut};
use crate::error::{Error, Result};

/// Degrees between places of an edge at which it is looked whether they are on the map.
const STEP: f64 = 0.25;
/// Pixels by which the straight lines between the limb's vertices may lie off it.
const TOLERANCE_PIXELS: f64 = 1e-3;
/// Vertices of a whole limb at most, and the least.
const VERTICES: (f64, f64) = (16_384.0, 64.0);
/// Doublings of a raster's diagonal within which a limb is looked for, and halvings to find it: all digits.
const DOUBLINGS: u32 = 40;
const HALVINGS: u32 = 60;
/// What of the way from the centre to the limb is surely on the map.
const INSIDE: f64 = 1.0 - 1e-6;

/// The limb of a map, in the raster's CRS.
pub(super) struct Limb<'a> {
    /// From longitude and latitude.
    plane: &'a dyn Plane,
    /// A place on the map.
    centre: [f64; 2],
    /// The raster's diagonal, and its pixel.
    diagonal: f64,
    pixel: f64,
}

impl<'a> Limb<'a> {
    /// `centre` is a place on the map.
    pub(super) fn new(plane: &'a dyn Plane, centre: [f64; 2], frame: &Frame) -> Self {
        let g = &frame.transform.0;
        let (width, height) = (f64::from(frame.size.width), f64::from(frame.size.height));
        let diagonal = (g[1] * width + g[2] * height).hypot(g[4] * width + g[5] * height);
        Self { plane, centre, diagonal, pixel: g[1].hypot(g[4]).min(g[2].hypot(g[5])) }
    }

    fn at(&self, angle: f64, radius: f64) -> [f64; 2] {
        let (sin, cos) = angle.sin_cos();
        [self.centre[0] + radius * cos, self.centre[1] + radius * sin]
    }

    /// How far the map reaches in a direction; `None` when it has no end there.
    fn radius(&self, angle: f64) -> Option<f64> {
        let is_on_map = |radius: f64| self.plane.back(self.at(angle, radius)).is_some();
        let mut beyond = (0..DOUBLINGS).map(|double| self.diagonal * f64::from(double).exp2());
        let mut beyond = beyond.find(|radius| !is_on_map(*radius))?;
        let mut within = 0.0;
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(within, beyond);
            if is_on_map(middle) { within = middle } else { beyond = middle }
        }
        Some(within)
    }

    /// Whether the limb in a direction lies in the area of rings in longitude and latitude.
    fn is_inside(&self, rings: &[Ring], angle: f64) -> Option<bool> {
        let [lon, lat] = self.plane.back(self.at(angle, self.radius(angle)? * INSIDE))?;
        Some([-360.0, 0.0, 360.0].iter().any(|turn| cut::is_inside(rings, [lon + turn, lat])))
    }

    /// The area of rings in longitude and latitude that is on the map, as rings in the raster's CRS; `densifier` takes
    /// lines there that are on the map.
    ///
    /// # Errors
    /// Of kind `Usage` for a map without a limb, or where it does not lie in every direction once; of kind `Limit`
    /// beyond the budget.
    pub(super) fn cut(
        &self,
        rings: &[Ring],
        densifier: &Densifier<'_>,
        budget: &mut Budget,
    ) -> Result<Vec<Ring>> {
        let (mut kept, mut chains) = (Vec::new(), Vec::new());
        for ring in rings {
            self.chains_of(ring, &mut kept, &mut chains, budget)?;
        }
        for ring in &mut kept {
            *ring = densifier.ring(ring, budget)?;
        }
        for chain in &mut chains {
            *chain = densifier.ring(chain, budget)?;
        }
        let mut ends = chain::ends(&chains, |point| self.angle(point));
        if ends.is_empty() {
            // The limb lies all inside or all outside, in whatever direction.
            if self.is_inside(rings, 1.0).ok_or_else(|| self.endless())? {
                let mut limb = Ring::new();
                self.arc((0.0, TAU), &mut limb, budget)?;
                limb.extend(limb.first().copied());
                kept.push(limb);
            }
            return Ok(kept);
        }
        // Every other arc between neighbouring ends is inside: the widest is the surest.
        let arcs = ends.iter().zip(ends.iter().cycle().skip(1)).map(|(a, b)| Self::arc_between(*a, *b));
        let widest = arcs.enumerate().max_by(|(_, a), (_, b)| (a.1 - a.0).total_cmp(&(b.1 - b.0)));
        if let Some((number, (from, to))) = widest {
            let is_inside = self.is_inside(rings, f64::midpoint(from, to)).ok_or_else(|| self.endless())?;
            if is_inside == (number % 2 == 1) {
                ends.rotate_left(1);
                if let Some(first) = ends.last_mut() {
                    first.along += TAU;
                }
            }
        }
        let joined = chain::joined(chains, &ends, |a, b, ring| self.arc((a.along, b.along), ring, budget))?;
        kept.extend(joined.into_iter().filter(|ring| ring.len() > 3));
        Ok(kept)
    }

    fn angle(&self, point: [f64; 2]) -> f64 {
        (point[1] - self.centre[1]).atan2(point[0] - self.centre[0]).rem_euclid(TAU)
    }

    /// The directions from one end on to the next, counter-clockwise.
    fn arc_between(a: End, b: End) -> (f64, f64) {
        (a.along, if b.along < a.along { b.along + TAU } else { b.along })
    }

    /// Appends the limb between two directions, without these.
    fn arc(&self, (from, to): (f64, f64), ring: &mut Ring, budget: &mut Budget) -> Result<()> {
        let radius = self.radius(f64::midpoint(from, to)).ok_or_else(|| self.endless())?;
        // A chord's sagitta is an eighth of the angle's square times the radius.
        let step = (8.0 * TOLERANCE_PIXELS * self.pixel / radius).sqrt();
        let step = TAU / (TAU / step).clamp(VERTICES.1, VERTICES.0);
        let steps = ((to - from).abs() / step).ceil().max(1.0);
        let mut done = 1.0;
        while done < steps {
            let angle = from + (to - from) * (done / steps);
            budget.take(1)?;
            ring.push(self.at(angle, self.radius(angle).ok_or_else(|| self.endless())?));
            done += 1.0;
        }
        Ok(())
    }

    /// A ring that is all on the map goes to `kept`; of another, the parts that are to `chains`.
    fn chains_of(
        &self,
        ring: &[[f64; 2]],
        kept: &mut Vec<Ring>,
        chains: &mut Vec<Ring>,
        budget: &mut Budget,
    ) -> Result<()> {
        let is_on_map = |point: [f64; 2]| self.plane.project(point).is_ok();
        let mut points = Ring::with_capacity(ring.len());
        for pair in ring.windows(2) {
            let [[x0, y0], [x1, y1]] = pair else { continue };
            let steps = ((x1 - x0).abs().max((y1 - y0).abs()) / STEP).ceil().max(1.0);
            let mut done = 0.0;
            while done < steps {
                budget.take(1)?;
                let share = done / steps;
                points.push([x0 + (x1 - x0) * share, y0 + (y1 - y0) * share]);
                done += 1.0;
            }
        }
        if points.iter().all(|point| is_on_map(*point)) {
            kept.push(ring.to_vec());
            return Ok(());
        }
        let limb = |mut within: [f64; 2], mut beyond: [f64; 2]| {
            for _ in 0..HALVINGS {
                let middle = [f64::midpoint(within[0], beyond[0]), f64::midpoint(within[1], beyond[1])];
                if is_on_map(middle) { within = middle } else { beyond = middle }
            }
            within
        };
        chain::parts(&points, is_on_map, limb, chains);
        Ok(())
    }

    fn endless(&self) -> Error {
        Error::usage(format!(
            "it leaves the area for which one of the two CRSs is made, on the way from {}; cut it to the raster's \
             surroundings",
            self.plane
        ))
    }
}
