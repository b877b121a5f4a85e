//! Projects rings with vertices added along their edges, so that a straight edge of one plane runs where it should
//! in another.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::plane::Plane;
use super::smooth::Smooth;
use super::{Polygon, Ring};
use crate::error::{Error, Result};
use crate::geo::Affine;
use crate::limits::Limits;

/// Pixels by which a sample may lie off the straight line. 0.1 pixel is promised; but of 10,000 pixels that an outline
/// runs through, an outline that is off by so many pixels on average takes or leaves that share wrongly. A
/// tolerance 2,500 times as fine takes 50 times the vertices, and only where edges are so long that they bend at all.
const TOLERANCE_PIXELS: f64 = 2e-5;
/// Halvings up to which that is asked, and what is asked beyond: there it is no bend, but the digits of
/// the projection's series, or a tear.
const FINE_HALVINGS: u32 = 16;
const COARSE_TOLERANCE_PIXELS: f64 = 0.05;
/// Degrees to which inverse series are good: less is not asked of longitudes and latitudes.
const SERIES_DEGREES: f64 = 5e-10;
/// Pixels from which an edge is cut into at least 2^[`FIRST_HALVINGS`] pieces, whatever its few samples say: an
/// edge over half the world may pass through all of them by chance.
const LONG_EDGE_PIXELS: f64 = 64.0;
/// Pixels up to which only the middle of a piece is looked at.
const SHORT_PIECE_PIXELS: f64 = 16.0;
/// [`LONG_EDGE_PIXELS`] in degrees of longitude, where a raster may have few pixels all round the world.
const LONG_EDGE_DEGREES: f64 = 5.0;
const FIRST_HALVINGS: u32 = 3;
/// Halvings of one edge. The error of a smooth projection shrinks fourfold with each, and 2^40 pieces of the
/// equator are 0.04 mm long: what is not straight by then is torn.
const HALVINGS: u32 = 40;
/// Degrees from a pole within which longitude may jump: 0.1 mm on the ground.
const AT_THE_POLE: f64 = 1e-9;

/// Vertices that may still be made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    left: usize,
    limit: usize,
}

impl Budget {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { left: limits.vertices, limit: limits.vertices }
    }

    /// # Errors
    /// Of kind `Limit` when there are fewer than `vertices` left.
    pub(super) fn take(&mut self, vertices: usize) -> Result<()> {
        self.left = self.left.checked_sub(vertices).ok_or_else(|| {
            Error::limit(format!(
                "the cutline would take more than {} vertices in the raster's CRS; the limit is that",
                self.limit
            ))
        })?;
        Ok(())
    }
}

/// What a distance in the target plane is in pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measure {
    unit: Unit,
    tolerance: f64,
}

#[derive(Clone, Copy, Debug)]
enum Unit {
    /// The target is the raster's plane: this takes it to pixels.
    Pixels(Affine),
    /// The target is longitude and latitude on the way to the raster's plane; a pixel is this many degrees of latitude.
    Ground(f64),
}

impl Measure {
    /// In the raster's plane, which `to_pixels` takes to pixels.
    pub(super) fn pixels(to_pixels: Affine, is_geographic: bool) -> Self {
        let pixels_a_degree = if is_geographic { to_pixels.0[1].hypot(to_pixels.0[5]) } else { 0.0 };
        let tolerance = TOLERANCE_PIXELS.max(SERIES_DEGREES * pixels_a_degree);
        Self { unit: Unit::Pixels(to_pixels), tolerance }
    }

    /// In longitude and latitude, where a pixel is so many degrees of latitude.
    pub(super) fn ground(pixel: f64) -> Self {
        Self { unit: Unit::Ground(pixel), tolerance: TOLERANCE_PIXELS.max(SERIES_DEGREES / pixel) }
    }

    /// A place in pixels; `scale` is the cosine of the latitude thereabouts.
    pub(super) fn pixel(&self, [x, y]: [f64; 2], scale: f64) -> [f64; 2] {
        match self.unit {
            Unit::Pixels(to_pixels) => to_pixels.apply(x, y),
            Unit::Ground(pixel) => [x * scale / pixel, y / pixel],
        }
    }

    fn tolerance(&self, halvings: u32) -> f64 {
        let least = if halvings <= FINE_HALVINGS { 0.0 } else { COARSE_TOLERANCE_PIXELS };
        self.tolerance.min(COARSE_TOLERANCE_PIXELS).max(least)
    }
}

/// Takes rings from one plane to another.
#[derive(Clone, Copy)]
pub(super) struct Densifier<'a> {
    pub(super) plane: &'a dyn Plane,
    pub(super) measure: Measure,
    /// Whether the target is longitude and latitude, of which each vertex takes the turn of the one before: longitudes run
    /// on beyond 180, and a ring around a pole ends a whole turn from where it starts.
    pub(super) unwraps: bool,
    /// Where what is asked of each edge is known beforehand, if anywhere. Not for one that unwraps.
    pub(super) smooth: Option<Smooth>,
}

/// A place on an edge.
#[derive(Clone, Copy)]
struct Place {
    /// From 0 at its start to 1 at its end.
    along: f64,
    /// In the target CRS.
    world: [f64; 2],
}

/// A straight edge in the source CRS.
#[derive(Clone, Copy)]
struct Edge {
    from: [f64; 2],
    to: [f64; 2],
    /// Pixels by which it bends at most, where all of it is known to have a place.
    bend: Option<f64>,
}

/// A piece of an edge, still to be made straight; it starts where the one before ends.
#[derive(Clone, Copy)]
struct Piece {
    end: Place,
    /// How often it was halved.
    halvings: u32,
    /// Its middle, if that was projected already.
    middle: Option<Place>,
}

/// What was seen of a piece.
struct Look {
    is_straight: bool,
    middle: Place,
    /// The middles of its halves, if they were projected.
    quarters: [Option<Place>; 2],
    /// Its end, on the turn that follows its start.
    end: Place,
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
fn is_on_line(start: [f64; 2], end: [f64; 2], sample: [f64; 2], along: f64, tolerance: f64) -> bool {
    let [dx, dy] = [end[0] - start[0], end[1] - start[1]];
    let off = distance(sample, [start[0] + dx * along, start[1] + dy * along]);
    if off <= tolerance {
        return true;
    }
    let length = dx.hypot(dy);
    let aside = ((sample[0] - start[0]) * dy - (sample[1] - start[1]) * dx).abs() / length;
    // On the line is not enough: where a map is torn, both ends of a piece may lie on one line through it, at
    // opposite sides. Then the sample is near one of them, and not near its share of the way.
    aside <= tolerance && off <= length * 0.25
}

impl Densifier<'_> {
    /// # Errors
    /// Of kind `Usage` where an edge leaves the domain, or crosses the edge of the map; of kind `Limit` beyond the budget.
    pub(super) fn polygon(&self, polygon: &Polygon, budget: &mut Budget) -> Result<Polygon> {
        let rings = polygon.rings.iter().map(|ring| self.ring(ring, budget)).collect::<Result<_>>()?;
        Ok(Polygon { rings })
    }

    /// # Errors
    /// As [`Self::polygon`].
    pub(super) fn ring(&self, ring: &[[f64; 2]], budget: &mut Budget) -> Result<Ring> {
        let mut projected = Vec::with_capacity(ring.len());
        let Some(first) = ring.first() else { return Ok(projected) };
        let is_smooth = |point: &[f64; 2]| self.smooth.is_some_and(|smooth| smooth.holds(*point));
        let mut was_smooth = is_smooth(first);
        let mut start = self.project(*first, was_smooth)?;
        budget.take(1)?;
        projected.push(start);
        let mut pieces = Vec::new();
        for pair in ring.windows(2) {
            if let [from, to] = pair {
                let before = std::mem::replace(&mut was_smooth, is_smooth(to));
                let smooth = self.smooth.filter(|_| before && was_smooth);
                let edge = Edge { from: *from, to: *to, bend: smooth.map(|smooth| smooth.bend(*from, *to)) };
                start = self.edge(edge, start, &mut pieces, &mut projected, budget)?;
            }
        }
        Ok(projected)
    }

    /// Appends the edge, whose first point is at `start` in the target, without that; returns where it ends. `pieces` is
    /// empty, and is again.
    fn edge(
        &self,
        edge: Edge,
        start: [f64; 2],
        pieces: &mut Vec<Piece>,
        projected: &mut Ring,
        budget: &mut Budget,
    ) -> Result<[f64; 2]> {
        let mut start = Place { along: 0.0, world: start };
        let end = self.follow(start, self.place(edge, 1.0)?);
        let first_halvings = if self.is_long(start.world, end.world) { FIRST_HALVINGS } else { 0 };
        // The nearest last.
        pieces.push(Piece { end, halvings: 0, middle: None });
        while let Some(&piece) = pieces.last() {
            let halvings = piece.halvings;
            let is_short = halvings >= first_halvings;
            if is_short && self.is_known_straight(edge, start, &piece) {
                budget.take(1)?;
                projected.push(piece.end.world);
                start = piece.end;
                pieces.pop();
                continue;
            }
            let Look { is_straight, middle, quarters, end } = self.look(edge, start, piece, is_short)?;
            if (is_straight && is_short)
                || (halvings >= HALVINGS && self.is_at_a_pole(start.world, end.world))
            {
                budget.take(1)?;
                projected.push(end.world);
                start = end;
                pieces.pop();
            } else if halvings < HALVINGS {
                let halved = halvings.saturating_add(1);
                let [before, after] = quarters;
                if let Some(second) = pieces.last_mut() {
                    (second.halvings, second.middle) = (halved, after);
                }
                pieces.push(Piece { end: middle, halvings: halved, middle: before });
            } else {
                let [x0, y0] = edge.from;
                let [x1, y1] = edge.to;
                return Err(Error::usage(format!(
                    "the cutline's edge from ({x0}, {y0}) to ({x1}, {y1}) crosses the edge of the map on the way \
                     from {}; split it there: longitudes at the antimeridian (RFC 7946 §3.1.9)",
                    self.plane
                )));
            }
        }
        Ok(start.world)
    }

    /// Whether a piece bends too little to be looked at.
    fn is_known_straight(&self, edge: Edge, start: Place, piece: &Piece) -> bool {
        let share = piece.end.along - start.along;
        edge.bend.is_some_and(|bend| bend * share * share <= self.measure.tolerance(piece.halvings))
    }

    /// Looks whether a piece of an edge is straight; of one that `is_short` does not hold of, only where its middle is.
    fn look(&self, edge: Edge, start: Place, piece: Piece, is_short: bool) -> Result<Look> {
        let Piece { end, halvings, middle } = piece;
        let tolerance = self.measure.tolerance(halvings);
        let along = start.along.midpoint(end.along);
        let [before, after] = [start.along.midpoint(along), along.midpoint(end.along)];
        if !self.unwraps {
            let middle = middle.map_or_else(|| self.place(edge, along), Ok)?;
            let mut quarters = [None, None];
            if !is_short {
                return Ok(Look { is_straight: false, middle, quarters, end });
            }
            let [from, to, at] = [start, end, middle].map(|place| self.measure.pixel(place.world, 1.0));
            let mut is_straight = is_on_line(from, to, at, 0.5, tolerance);
            // So short a piece bends to one side only, and most in the middle.
            if is_straight && distance(from, to) > SHORT_PIECE_PIXELS {
                for ((along, share), quarter) in
                    [(before, 0.25), (after, 0.75)].into_iter().zip(&mut quarters)
                {
                    let place = self.place(edge, along)?;
                    *quarter = Some(place);
                    let sample = self.measure.pixel(place.world, 1.0);
                    is_straight &= is_on_line(from, to, sample, share, tolerance);
                }
            }
            return Ok(Look { is_straight, middle, quarters, end });
        }
        let quarter = self.follow(start, self.place(edge, before)?);
        let middle = self.follow(quarter, self.place(edge, along)?);
        let last_quarter = self.follow(middle, self.place(edge, after)?);
        let end = self.follow(last_quarter, end);
        let scale = middle.world[1].to_radians().cos();
        let [from, to] = [start, end].map(|place| self.measure.pixel(place.world, scale));
        let is_straight =
            [(quarter, 0.25), (middle, 0.5), (last_quarter, 0.75)].iter().all(|(sample, share)| {
                is_on_line(from, to, self.measure.pixel(sample.world, scale), *share, tolerance)
            });
        Ok(Look { is_straight, middle, quarters: [None, None], end })
    }

    fn is_long(&self, start: [f64; 2], end: [f64; 2]) -> bool {
        let [from, to] = [start, end].map(|world| self.measure.pixel(world, 1.0));
        // Most are shorter even along the axes, which takes no root.
        let is_longer = (from[0] - to[0]).abs() + (from[1] - to[1]).abs() > LONG_EDGE_PIXELS
            && distance(from, to) > LONG_EDGE_PIXELS;
        is_longer || (self.unwraps && (start[0] - end[0]).abs() > LONG_EDGE_DEGREES)
    }

    fn project(&self, point: [f64; 2], is_smooth: bool) -> Result<[f64; 2]> {
        if is_smooth { self.plane.project_within(point) } else { self.plane.project(point) }
    }

    fn place(&self, edge: Edge, along: f64) -> Result<Place> {
        Ok(Place { along, world: self.project(edge.at(along), edge.bend.is_some())? })
    }

    /// `place` on the turn of `before`.
    fn follow(&self, before: Place, place: Place) -> Place {
        if !self.unwraps {
            return place;
        }
        let [lon, lat] = place.world;
        let turns = ((lon - before.world[0]) / 360.0).round();
        Place { world: [lon - turns * 360.0, lat], ..place }
    }

    /// Whether what lies between two places is so near a pole that its longitude does not matter.
    fn is_at_a_pole(&self, a: [f64; 2], b: [f64; 2]) -> bool {
        self.unwraps && a[1].abs().min(b[1].abs()) >= 90.0 - AT_THE_POLE
    }
}

#[cfg(test)]
#[expect(clippy::print_stdout, reason = "how close the numbers came belongs to the test's output")]
mod tests {
    use super::super::plane::Between;
    use super::super::{Cutline, Terms};
    use super::*;
    use crate::cutline::Frame;
    use crate::error::ErrorKind;
    use crate::geo::{Choice, Crs, Projector};
    use crate::grid::Size;

    /// The rasters lie at the origins of their CRSs, outside the areas of use.
    const TERMS: Terms<'_> = Terms { max_error: None, allow_ballpark: true, grids: &[] };

    fn ring(points: &[[f64; 2]], crs: &str) -> Cutline {
        let rings = vec![points.iter().chain(points.first()).copied().collect()];
        Cutline::new(vec![Polygon { rings }], Some(Crs::parse(crs).unwrap()))
    }

    fn north_up(pixel: f64) -> Frame {
        let transform = Affine([0.0, pixel, 0.0, 0.0, 0.0, -pixel]);
        Frame { transform, size: Size::new(100, 100), by_centre: true }
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
        let projected = cutline.to_crs(&to, &north_up(pixel), &TERMS, &Limits::default()).unwrap();
        let outline = &projected.polygons[0].rings[0];
        assert_eq!(outline.first(), outline.last());
        let projector = Projector::new(cutline.crs.as_ref().unwrap(), &to, &Choice::ANY).unwrap();
        let mut worst = 0.0_f64;
        for pair in cutline.polygons[0].rings[0].windows(2) {
            assert!(outline.contains(&projector.project(pair[0]).unwrap()), "the vertices themselves stay");
            for step in 0..64 {
                let exact = projector
                    .project(
                        Edge { from: pair[0], to: pair[1], bend: None }.at((f64::from(step) + SHARE) / 64.0),
                    )
                    .unwrap();
                let off = outline.windows(2).map(|piece| off_segment(exact, piece[0], piece[1]));
                worst = worst.max(off.fold(f64::INFINITY, f64::min) / pixel);
            }
        }
        println!("{from} -> {to}: {} vertices, worst {worst:.4} pixel", outline.len());
        assert!(worst < 2.0 * TOLERANCE_PIXELS, "{worst} pixel");
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
            let plane = Between::new(&Crs::wgs84(), &Crs::parse(to).unwrap(), &Choice::ANY).unwrap();
            let measure = Measure::pixels(north_up(100.0).transform.inverse().unwrap(), false);
            let cutline = ring(&points, "EPSG:4326");
            let error = Densifier { plane: &plane, measure, unwraps: false, smooth: None }
                .polygon(&cutline.polygons[0], &mut Budget::new(&Limits::default()))
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{to}: {error}");
        }
    }

    /// A square around the pole of a polar plane ends a turn from where it starts, by PROJ's own inverse: the corners of
    /// EPSG:3413 lie on the diagonals of its central meridian, 45 degrees west.
    #[test]
    fn longitudes_run_on_around_a_pole() {
        let plane = Between::new(&Crs::parse("EPSG:3413").unwrap(), &Crs::wgs84(), &Choice::ANY).unwrap();
        let square = ring(&[[-1e6, -1e6], [1e6, -1e6], [1e6, 1e6], [-1e6, 1e6]], "EPSG:3413");
        let there = Densifier { plane: &plane, measure: Measure::ground(0.01), unwraps: true, smooth: None }
            .ring(&square.polygons[0].rings[0], &mut Budget::new(&Limits::default()))
            .unwrap();
        assert!(
            (there[0][0] - -90.0).abs() < 1e-9 && (there[there.len() - 1][0] - 270.0).abs() < 1e-9,
            "{there:?}"
        );
        assert!(there.windows(2).all(|pair| pair[0][0] < pair[1][0] && pair[1][0] - pair[0][0] < 45.0));
    }

    #[test]
    fn utm_zones_reach_over_the_antimeridian() {
        let over = ring(&[[178.0, 10.0], [182.0, 10.0], [182.0, 11.0], [178.0, 11.0]], "EPSG:4326");
        let to = Crs::parse("EPSG:32601").unwrap();
        let bounds = over.to_crs(&to, &north_up(10.0), &TERMS, &Limits::default()).unwrap().bounds().unwrap();
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
        let error =
            cutline.to_crs(&Crs::parse("EPSG:3035").unwrap(), &north_up(1.0), &TERMS, &limits).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit);
    }

    #[test]
    fn its_own_crs_moves_no_bit_and_none_is_an_error() {
        let cutline = ring(&[[0.1, 0.2], [1e9, 0.3], [0.7, 1e-300]], "EPSG:27700");
        let same = cutline.to_crs(
            &Crs::parse("urn:ogc:def:crs:EPSG::27700").unwrap(),
            &north_up(1.0),
            &TERMS,
            &Limits::default(),
        );
        assert_eq!(same.unwrap().polygons, cutline.polygons);
        let error = cutline
            .with_crs(None)
            .to_crs(&Crs::wgs84(), &north_up(1.0), &TERMS, &Limits::default())
            .unwrap_err();
        assert!(error.kind() == ErrorKind::Usage && error.to_string().contains("--cutline-crs"));
    }
}
