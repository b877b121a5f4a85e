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
        Error::format(format!(
            "the raster's geotransform {:?} has no inverse: its pixels have no area",
            transform.0
        ))
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
                    "the cutline's edge from ({x0}, {y0}) to ({x1}, {y1}) crosses the edge of the map on the way \
                     from {}; split it there: longitudes at the antimeridian (RFC 7946 §3.1.9)",
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

#[cfg(test)]
#[expect(clippy::print_stdout, reason = "how close the numbers came belongs to the test's output")]
mod tests {
    use super::super::Cutline;
    use super::*;
    use crate::error::ErrorKind;
    use crate::geo::{Choice, Crs};

    fn ring(points: &[[f64; 2]], crs: &str) -> Cutline {
        Cutline {
            polygons: vec![Polygon { rings: vec![points.iter().chain(points.first()).copied().collect()] }],
            crs: Some(Crs::parse(crs).unwrap()),
        }
    }

    fn north_up(pixel: f64) -> Affine {
        Affine([0.0, pixel, 0.0, 0.0, 0.0, -pixel])
    }

    fn off_segment(p: [f64; 2], a: [f64; 2], b: [f64; 2]) -> f64 {
        let [dx, dy] = [b[0] - a[0], b[1] - a[1]];
        let length = dx * dx + dy * dy;
        let t = if length > 0.0 {
            (((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / length).clamp(0.0, 1.0)
        } else {
            0.0
        };
        (p[0] - a[0] - t * dx).hypot(p[1] - a[1] - t * dy)
    }

    /// Samples at multiples of 1/64 would all be vertices, where nothing can be wrong.
    const SHARE: f64 = 0.371;

    /// No point of an edge, projected by itself, is 0.1 pixel from the projected outline.
    #[track_caller]
    fn check(points: &[[f64; 2]], from: &str, to: &str, pixel: f64) -> usize {
        let cutline = ring(points, from);
        let to = Crs::parse(to).unwrap();
        let projected = cutline.to_crs(&to, &north_up(pixel), &Limits::default()).unwrap();
        let outline = &projected.polygons[0].rings[0];
        assert_eq!(outline.first(), outline.last());
        let choice = Choice { area: None, max_error: 4.0, allow_ballpark: false, grids: &[] };
        let projector = Projector::new(cutline.crs.as_ref().unwrap(), &to, &choice).unwrap();
        let mut worst = 0.0_f64;
        for pair in cutline.polygons[0].rings[0].windows(2) {
            assert!(outline.contains(&projector.project(pair[0]).unwrap()), "the vertices themselves stay");
            for step in 0..64 {
                let exact = projector
                    .project(Edge { from: pair[0], to: pair[1] }.at((f64::from(step) + SHARE) / 64.0))
                    .unwrap();
                let off = outline.windows(2).map(|piece| off_segment(exact, piece[0], piece[1]));
                worst = worst.max(off.fold(f64::INFINITY, f64::min) / pixel);
            }
        }
        println!("{from} -> {to}: {} vertices, worst {worst:.4} pixel", outline.len());
        assert!(worst < 0.1, "{worst} pixel");
        outline.len()
    }

    #[test]
    fn edges_run_where_they_should() {
        let box_ = |w: f64, s: f64, e: f64, n: f64| [[w, s], [e, s], [e, n], [w, n]];
        check(&box_(12.0, 40.0, 18.0, 60.0), "EPSG:4326", "EPSG:32633", 10.0);
        check(&box_(-10.0, 35.0, 40.0, 70.0), "EPSG:4326", "EPSG:3035", 100.0);
        check(&[[-10.0, 35.0], [40.0, 70.0], [10.0, 36.0]], "EPSG:4326", "EPSG:3857", 30.0);
        check(&box_(-120.0, 25.0, -70.0, 48.0), "EPSG:4269", "EPSG:5070", 30.0);
        check(&box_(-180.0, 61.0, 180.0, 80.0), "EPSG:4326", "EPSG:3413", 1000.0);
        check(&box_(300_000.0, 4_500_000.0, 700_000.0, 6_000_000.0), "EPSG:32633", "EPSG:3857", 10.0);
        check(&box_(300_000.0, 4_500_000.0, 700_000.0, 6_000_000.0), "EPSG:32633", "EPSG:4326", 0.0001);
        // A meridian is straight in Mercator: only the first halvings add vertices, 7 to an edge.
        assert_eq!(check(&box_(0.0, 0.0, 60.0, 80.0), "EPSG:4326", "EPSG:3857", 100.0), 4 * 8 + 1);
        // Small polygons take no more vertices than they have.
        assert_eq!(check(&box_(15.0, 50.0, 15.001, 50.001), "EPSG:4326", "EPSG:32633", 10.0), 5);
    }

    #[test]
    fn a_torn_edge_is_refused_and_never_smeared() {
        for (points, to) in [
            // Over the antimeridian with longitudes beyond 180
            (vec![[179.0, 0.0], [181.0, 0.0], [181.0, 1.0], [179.0, 1.0]], "EPSG:3857"),
            (vec![[179.0, 0.0], [180.3, 0.5], [179.0, 1.0]], "EPSG:6933"),
            (vec![[-190.0, 0.0], [190.0, 0.0], [0.0, 1.0]], "EPSG:3857"),
            // The far side of a cone's map
            (vec![[80.0, 50.0], [90.0, 50.0], [90.0, 60.0]], "EPSG:5070"),
            // To the pole, where web Mercator has no place
            (vec![[0.0, 80.0], [10.0, 80.0], [10.0, 90.0]], "EPSG:3857"),
        ] {
            let error = ring(&points, "EPSG:4326")
                .to_crs(&Crs::parse(to).unwrap(), &north_up(100.0), &Limits::default())
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{to}: {error}");
        }
    }

    #[test]
    fn utm_zones_reach_over_the_antimeridian() {
        let over = ring(&[[178.0, 10.0], [182.0, 10.0], [182.0, 11.0], [178.0, 11.0]], "EPSG:4326");
        let to = Crs::parse("EPSG:32601").unwrap();
        let bounds = over.to_crs(&to, &north_up(10.0), &Limits::default()).unwrap().bounds().unwrap();
        // 178 and 182 degrees east in zone 1 by PROJ 9.8.1
        assert!(
            (bounds.min_x - -48_636.648_963_566_17).abs() < 1e-6
                && (bounds.max_x - 390_750.980_244_481_8).abs() < 1e-6,
            "{bounds:?}"
        );
    }

    #[test]
    fn the_number_of_vertices_is_bounded() {
        let limits = Limits { vertices: 100, ..Limits::default() };
        let cutline = ring(&[[-10.0, 35.0], [40.0, 35.0], [40.0, 70.0]], "EPSG:4326");
        let error = cutline.to_crs(&Crs::parse("EPSG:3035").unwrap(), &north_up(1.0), &limits).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit);
    }

    #[test]
    fn its_own_crs_moves_no_bit_and_none_is_an_error() {
        let cutline = ring(&[[0.1, 0.2], [1e9, 0.3], [0.7, 1e-300]], "EPSG:27700");
        let same = cutline.to_crs(
            &Crs::parse("urn:ogc:def:crs:EPSG::27700").unwrap(),
            &north_up(1.0),
            &Limits::default(),
        );
        assert_eq!(same.unwrap().polygons, cutline.polygons);
        let error =
            cutline.with_crs(None).to_crs(&Crs::wgs84(), &north_up(1.0), &Limits::default()).unwrap_err();
        assert!(error.kind() == ErrorKind::Usage && error.to_string().contains("--cutline-crs"));
    }
}
