//! Projects rings with vertices added along their edges, so that a straight edge of one CRS runs where it should
//! in another.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{Polygon, Ring};
use crate::error::{Error, Result};
use crate::geo::Affine;
use crate::geo::project::Projector;
use crate::limits::Limits;

/// Pixels by which a sample may lie off the straight line: half of the 0.1 pixel that is promised, because the
/// largest error may lie between samples.
const TOLERANCE_PIXELS: f64 = 0.05;
/// Pixels from which an edge is cut into at least 2^[`FIRST_HALVINGS`] pieces, whatever its few samples say: an
/// edge over half the world may pass through all of them by chance.
const LONG_EDGE_PIXELS: f64 = 64.0;
const FIRST_HALVINGS: u32 = 3;
/// Halvings of one edge. The error of a smooth projection shrinks fourfold with each, and 2^40 pieces of the
/// equator are 0.04 mm long: what is not straight by then is torn.
const HALVINGS: u32 = 40;

/// The polygons in the projector's target CRS.
pub(super) fn project(
    polygons: &[Polygon],
    projector: &Projector,
    transform: &Affine,
    limits: &Limits,
) -> Result<Vec<Polygon>> {
    if projector.is_identity() {
        return Ok(polygons.to_vec());
    }
    let to_pixels = transform.inverse().ok_or_else(|| {
        Error::format(format!("the raster's geotransform {:?} has no inverse: its pixels have no area", transform.0))
    })?;
    let mut work = Densifier { projector, to_pixels, left: limits.vertices, limit: limits.vertices };
    polygons
        .iter()
        .map(|polygon| {
            let rings = polygon.rings.iter().map(|ring| work.ring(ring)).collect::<Result<_>>()?;
            Ok(Polygon { rings })
        })
        .collect()
}

struct Densifier<'a> {
    projector: &'a Projector,
    to_pixels: Affine,
    /// Vertices that may still be made.
    left: usize,
    limit: usize,
}

/// A place on an edge.
#[derive(Clone, Copy)]
struct Place {
    /// From 0 at its start to 1 at its end.
    along: f64,
    /// In the target CRS.
    world: [f64; 2],
    /// In pixels of the raster.
    pixel: [f64; 2],
}

/// A straight edge in the source CRS.
#[derive(Clone, Copy)]
struct Edge {
    from: [f64; 2],
    to: [f64; 2],
}

impl Edge {
    /// The point at `along`. Both ends come out bit for bit, and so does a coordinate that both ends share.
    fn at(&self, along: f64) -> [f64; 2] {
        let [x0, y0] = self.from;
        let [x1, y1] = self.to;
        if along < 1.0 { [x0 + (x1 - x0) * along, y0 + (y1 - y0) * along] } else { self.to }
    }
}

fn distance(a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

/// Whether `sample`, which lies at the share `along` of an edge's piece, is on the straight line from `start` to
/// `end`, all in pixels.
fn is_on_line(start: [f64; 2], end: [f64; 2], sample: [f64; 2], along: f64) -> bool {
    let [dx, dy] = [end[0] - start[0], end[1] - start[1]];
    let off = distance(sample, [start[0] + dx * along, start[1] + dy * along]);
    if off <= TOLERANCE_PIXELS {
        return true;
    }
    let length = dx.hypot(dy);
    let aside = ((sample[0] - start[0]) * dy - (sample[1] - start[1]) * dx).abs() / length;
    // On the line is not enough: where a map is torn, both ends of a piece may lie on one line through it, at
    // opposite sides. Then the sample is near one of them, and not near its share of the way.
    aside <= TOLERANCE_PIXELS && off <= length * 0.25
}

impl Densifier<'_> {
    fn ring(&mut self, ring: &[[f64; 2]]) -> Result<Ring> {
        let mut projected = Vec::with_capacity(ring.len());
        let Some(first) = ring.first() else { return Ok(projected) };
        self.push(&mut projected, self.projector.project(*first)?)?;
        for pair in ring.windows(2) {
            if let [from, to] = pair {
                self.edge(Edge { from: *from, to: *to }, &mut projected)?;
            }
        }
        Ok(projected)
    }

    /// Appends the edge without its first point.
    fn edge(&mut self, edge: Edge, projected: &mut Ring) -> Result<()> {
        let mut start = self.place(edge, 0.0)?;
        // Ends of pieces still to be made straight, the nearest last, and how often each was halved.
        let mut ends = vec![(self.place(edge, 1.0)?, 0_u32)];
        let is_long = ends.iter().any(|(end, _)| distance(start.pixel, end.pixel) > LONG_EDGE_PIXELS);
        let first_halvings = if is_long { FIRST_HALVINGS } else { 0 };
        while let Some(&(end, halvings)) = ends.last() {
            let middle = self.place(edge, start.along.midpoint(end.along))?;
            let quarter = self.place(edge, start.along.midpoint(middle.along))?;
            let last_quarter = self.place(edge, middle.along.midpoint(end.along))?;
            let is_straight = [(quarter, 0.25), (middle, 0.5), (last_quarter, 0.75)]
                .iter()
                .all(|(sample, share)| is_on_line(start.pixel, end.pixel, sample.pixel, *share));
            if is_straight && halvings >= first_halvings {
                self.push(projected, end.world)?;
                start = end;
                ends.pop();
            } else if halvings < HALVINGS {
                let halved = halvings.saturating_add(1);
                if let Some(piece) = ends.last_mut() {
                    piece.1 = halved;
                }
                ends.push((middle, halved));
            } else {
                let [x0, y0] = edge.from;
                let [x1, y1] = edge.to;
                return Err(Error::usage(format!(
                    "the cutline's edge from ({x0}, {y0}) to ({x1}, {y1}) crosses the edge of the raster's projection \
                     ({:?}); split it there, for longitudes at the antimeridian (RFC 7946 §3.1.9)",
                    self.projector
                )));
            }
        }
        Ok(())
    }

    fn place(&self, edge: Edge, along: f64) -> Result<Place> {
        let world = self.projector.project(edge.at(along))?;
        Ok(Place { along, world, pixel: self.to_pixels.apply(world[0], world[1]) })
    }

    fn push(&mut self, ring: &mut Ring, point: [f64; 2]) -> Result<()> {
        self.left = self.left.checked_sub(1).ok_or_else(|| {
            Error::limit(format!(
                "the cutline would take more than {} vertices in the raster's CRS; the limit is that",
                self.limit
            ))
        })?;
        ring.push(point);
        Ok(())
    }
}
