//! Where a projection has neither tears nor poles, and how much straight lines bend there at most.
//!
//! What [`super::densify`] asks of every edge, whether its ends have a place and whether it stays straight, needs several
//! projections there and back. Most edges of an outline of many vertices are far shorter than what could bend, in an area
//! where nothing can tear: that is settled here once for all of them, from a mesh of places.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::densify::Measure;
use super::plane::{Between, Plane};
use crate::geo::Bounds;

/// Cells along a side of a mesh, and from how many vertices on that is worth it: a finer one is only made where a coarser
/// one does not do.
const CELLS: [(u16, usize); 3] = [(4, 0), (16, 1_000), (64, 50_000)];
/// Share of the difference between neighbours of a mesh by which that may change from one pair to the next. Next to a pole
/// or a tear it changes by about as much as it is.
const CHANGE: f64 = 0.2;
/// How many times more than on the mesh a line may bend between its places.
const SAFETY: f64 = 4.0;
/// Degrees from the equator beyond which longitudes run together.
const LATITUDE: f64 = 85.0;
/// Degrees by which a place of the mesh may miss itself after a round trip: a fifth of what [`Between`] allows.
const ROUND_TRIP_DEGREES: f64 = 2e-8;
/// Pixels in a degree beyond which what looks like a bend may be the digits of the projection: pixels of a centimetre.
const PIXELS_A_DEGREE: f64 = 1e7;

/// A box in longitude and latitude, all of which has its place in the target.
#[derive(Clone, Copy, Debug)]
pub(super) struct Smooth {
    bounds: Bounds,
    /// The greatest second differences in pixels: of two degrees of longitude, of one and one of latitude, of two of
    /// latitude.
    bends: [f64; 3],
}

impl Smooth {
    /// The box around some places, of which there are `count`; `None` where it is not known to be smooth. `plane` starts
    /// from degrees.
    pub(super) fn new(plane: &Between, measure: &Measure, bounds: Bounds, count: usize) -> Option<Self> {
        let is_wide =
            bounds.max_y.abs().max(bounds.min_y.abs()) > LATITUDE || bounds.max_x - bounds.min_x > 180.0;
        if is_wide || !plane.there.is_even() {
            return None;
        }
        let meshes = CELLS.iter().filter(|(_, worth)| count >= *worth);
        meshes.map(|(cells, _)| *cells).find_map(|cells| Self::by_mesh(plane, measure, bounds, cells))
    }

    fn by_mesh(plane: &Between, measure: &Measure, bounds: Bounds, cells: u16) -> Option<Self> {
        let Bounds { min_x, min_y, max_x, max_y } = bounds;
        // A box without a width has cells even so.
        let step = |from: f64, to: f64| ((to - from) / f64::from(cells)).max(1e-6);
        let [across, up] = [step(min_x, max_x), step(min_y, max_y)];
        let mut rows = Vec::new();
        for row in 0..=cells {
            let mut places = Vec::new();
            for col in 0..=cells {
                let from = [min_x + across * f64::from(col), min_y + up * f64::from(row)];
                let world = plane.project(from).ok()?;
                let [x, y] = plane.back(world)?;
                let turns = ((x - from[0]) / 360.0).round() * 360.0;
                if (x - turns - from[0]).hypot(y - from[1]) > ROUND_TRIP_DEGREES {
                    return None;
                }
                places.push(measure.pixel(world, 1.0));
            }
            rows.push(places);
        }
        let beside: Vec<Vec<[f64; 2]>> = rows.iter().map(|row| differences(row)).collect();
        let above: Vec<Vec<[f64; 2]>> =
            rows.iter().zip(rows.iter().skip(1)).map(|(row, next)| between(row, next)).collect();
        let twice_beside = beside.iter().map(|row| differences(row));
        let both = above.iter().map(|row| differences(row));
        let twice_above = above.iter().zip(above.iter().skip(1)).map(|(row, next)| between(row, next));
        let most =
            |rows: &mut dyn Iterator<Item = Vec<[f64; 2]>>| rows.flatten().map(length).fold(0.0, f64::max);
        let least =
            |rows: &[Vec<[f64; 2]>]| rows.iter().flatten().copied().map(length).fold(f64::INFINITY, f64::min);
        let [xx, xy, yy] = [most(&mut { twice_beside }), most(&mut { both }), most(&mut { twice_above })];
        let [x, y] = [least(&beside), least(&above)];
        let is_smooth = xx.max(xy) <= x * CHANGE && yy.max(xy) <= y * CHANGE;
        let is_coarse = x <= across * PIXELS_A_DEGREE && y <= up * PIXELS_A_DEGREE;
        let bends = [xx / (across * across), xy / (across * up), yy / (up * up)];
        (is_smooth && is_coarse && bends.iter().all(|bend| bend.is_finite()))
            .then_some(Self { bounds, bends })
    }

    /// Whether a place lies in the box.
    pub(super) fn holds(&self, [x, y]: [f64; 2]) -> bool {
        let Bounds { min_x, min_y, max_x, max_y } = self.bounds;
        min_x <= x && x <= max_x && min_y <= y && y <= max_y
    }

    /// Pixels by which the line between two places of the box may at most lie off the straight line between their places in
    /// the target. That of a piece of it is less by the square of its share.
    pub(super) fn bend(&self, from: [f64; 2], to: [f64; 2]) -> f64 {
        let [x, y] = [(to[0] - from[0]).abs(), (to[1] - from[1]).abs()];
        let [xx, xy, yy] = self.bends;
        // An arc's sagitta is an eighth of its second difference.
        SAFETY / 8.0 * (xx * x * x + 2.0 * xy * x * y + yy * y * y)
    }
}

fn length([x, y]: [f64; 2]) -> f64 {
    x.hypot(y)
}

/// What is between each place of a row and that of the next row.
fn between(row: &[[f64; 2]], next: &[[f64; 2]]) -> Vec<[f64; 2]> {
    row.iter().zip(next).map(|(a, b)| [b[0] - a[0], b[1] - a[1]]).collect()
}

/// What is between each place and the one after it.
fn differences(row: &[[f64; 2]]) -> Vec<[f64; 2]> {
    row.iter().zip(row.iter().skip(1)).map(|(a, b)| [b[0] - a[0], b[1] - a[1]]).collect()
}

#[cfg(test)]
mod tests {
    use super::super::densify::{Budget, Densifier};
    use super::super::{Polygon, Ring};
    use super::*;
    use crate::geo::{Affine, Choice, Crs};
    use crate::limits::Limits;

    fn plane(to: &str) -> Between {
        Between::new(&Crs::wgs84(), &Crs::parse(to).unwrap(), &Choice::ANY).unwrap()
    }

    fn measure(pixel: f64) -> Measure {
        Measure::pixels(Affine([0.0, pixel, 0.0, 0.0, 0.0, -pixel]).inverse().unwrap(), false)
    }

    fn bounds([min_x, min_y, max_x, max_y]: [f64; 4]) -> Bounds {
        Bounds { min_x, min_y, max_x, max_y }
    }

    /// Whatever is known of the box, every vertex is the one that is found by looking at each edge, to the bit.
    #[track_caller]
    fn check(to: &str, pixel: f64, area: [f64; 4], edge: f64) {
        let (plane, measure) = (plane(to), measure(pixel));
        let smooth = Smooth::new(&plane, &measure, bounds(area), 1_000_000).expect("the area is smooth");
        let [west, south, east, north] = area;
        let mut state = 7_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            f64::from(u32::try_from(state >> 33).unwrap()) / f64::from(1_u32 << 31)
        };
        let mut ring = Ring::new();
        let mut at = [west.midpoint(east), south.midpoint(north)];
        for _ in 0..4000 {
            ring.push(at);
            // Edges of all lengths, most of them short.
            let length = edge * random().powi(4);
            let turn = random() * std::f64::consts::TAU;
            at = [
                (at[0] + length * turn.cos()).clamp(west, east),
                (at[1] + length * turn.sin()).clamp(south, north),
            ];
        }
        let polygon = Polygon { rings: vec![ring] };
        let placed = |smooth| {
            let densifier = Densifier { plane: &plane, measure, unwraps: false, smooth };
            densifier.polygon(&polygon, &mut Budget::new(&Limits::default())).unwrap()
        };
        let looked_at = placed(None);
        assert!(looked_at.rings[0].len() > 4100, "some edges must bend: {}", looked_at.rings[0].len());
        assert!(placed(Some(smooth)) == looked_at);
    }

    #[test]
    fn every_vertex_is_what_looking_at_each_edge_gives() {
        check("EPSG:32633", 10.0, [13.0, 47.0, 16.0, 49.0], 0.05);
        check("EPSG:32633", 0.25, [14.0, 48.0, 14.1, 48.1], 0.01);
        check("EPSG:32733", 30.0, [9.0, -30.0, 21.0, -12.0], 0.5);
        check("EPSG:3857", 5.0, [-170.0, -60.0, -10.0, 60.0], 0.05);
        check("EPSG:3035", 25.0, [-5.0, 36.0, 30.0, 60.0], 0.1);
        check("EPSG:5070", 30.0, [-120.0, 26.0, -70.0, 49.0], 0.1);
        check("EPSG:2154", 1.0, [-4.0, 42.0, 8.0, 51.0], 0.02);
        check("EPSG:3413", 1000.0, [-60.0, 60.0, -20.0, 80.0], 2.0);
        check("EPSG:27700", 2.0, [-6.0, 50.0, 1.0, 58.0], 0.02);
        check("EPSG:2056", 2.0, [6.0, 46.0, 10.0, 47.5], 0.02);
    }

    /// By where these maps have their poles, tears and edges.
    #[test]
    fn poles_tears_and_edges_are_not_smooth() {
        for (to, area) in [
            // The pole, and the tear behind it
            ("EPSG:3413", [-60.0, 60.0, -20.0, 89.0]),
            ("EPSG:3857", [170.0, 0.0, 190.0, 10.0]),
            ("EPSG:5070", [60.0, 20.0, 100.0, 50.0]),
            // A transverse cylinder's own poles, 90 degrees from its meridian on the equator
            ("EPSG:32633", [100.0, -5.0, 110.0, 5.0]),
            ("EPSG:32633", [-80.0, -5.0, -70.0, 5.0]),
            // Opposite to the centre of an azimuthal map
            ("EPSG:3035", [-180.0, -60.0, -160.0, -40.0]),
            // Half the world; what is no place; a map with steps of its own
            ("EPSG:3857", [-179.0, -80.0, 179.0, 80.0]),
            ("EPSG:32633", [f64::NAN, 47.0, 16.0, 49.0]),
            ("EPSG:32633", [13.0, 47.0, f64::INFINITY, 49.0]),
            ("EPSG:8857", [10.0, 10.0, 11.0, 11.0]),
        ] {
            let smooth = Smooth::new(&plane(to), &measure(10.0), bounds(area), 1_000_000);
            assert!(smooth.is_none(), "{to} {area:?}: {smooth:?}");
        }
        // Pixels of a micrometre see the digits of the projection.
        let area = bounds([13.0, 47.0, 16.0, 49.0]);
        assert!(Smooth::new(&plane("EPSG:32633"), &measure(1e-6), area, 1_000_000).is_none());
        assert!(Smooth::new(&plane("EPSG:4326"), &measure(1e-6), area, 1_000_000).is_none(), "nothing to do");
    }

    /// By hand: the mesh of a box of no width is wider than nothing, and the box is not.
    #[test]
    fn a_box_holds_its_sides_and_no_more() {
        let smooth =
            Smooth::new(&plane("EPSG:32633"), &measure(10.0), bounds([14.0, 48.0, 14.0, 49.0]), 4).unwrap();
        assert!(smooth.holds([14.0, 48.0]) && smooth.holds([14.0, 49.0]));
        assert!(!smooth.holds([14.0_f64.next_up(), 48.5]) && !smooth.holds([14.0, 47.9]));
        assert!(!smooth.holds([f64::NAN, 48.5]));
    }
}
