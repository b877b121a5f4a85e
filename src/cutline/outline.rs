//! Where a raster lies on the globe: the outline of its grid in longitude and latitude, as GeoJSON has it (RFC 7946 §3.1.6, §3.1.9,
//! §5.2, §5.3).
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::meridian::{self, Region};
use super::plane::{Between, Plane};
use super::{Ring, cut};
use crate::geo::{Affine, Bounds, Choice, Crs};
use crate::grid::Size;

/// Pixels by which the outline between two vertices may lie off the grid's edge.
const TOLERANCE: f64 = 0.25;
/// Pieces of an edge to begin with, so that no bend falls between the places at which it is looked.
const PIECES: u8 = 4;
/// Halvings of a piece at most, and vertices: an edge that passes by a pole bends within a millionth of its length.
const HALVINGS: u32 = 24;
const VERTICES: usize = 8192;
/// Places along each side of the grid of which a box is made where the grid reaches beyond the edge of the world.
const MESH: u16 = 129;
/// Degrees from a pole that count as the pole, and degrees of longitude that are no width: 0.1 mm on the ground.
const NARROW: f64 = 1e-9;
/// Places along each side of the grid by which the outline is checked.
const PROBES: u8 = 5;

/// The outline of a raster's grid in longitude and latitude on WGS 84, in degrees.
#[derive(Clone, Debug, PartialEq)]
pub struct Outline {
    /// Closed rings, a polygon each: counter-clockwise, without holes, disjoint, with longitudes from -180 to 180. There are
    /// several when the grid lies over the antimeridian.
    pub polygons: Vec<Ring>,
    /// West, south, east and north; west is the larger one over the antimeridian (RFC 7946 §5.2).
    pub bbox: [f64; 4],
    /// Whether it is the outline to a quarter of a pixel; else a box around the places of a mesh, because parts of the grid lie
    /// beyond the edge of the world, or because the outline would take more than 8192 vertices.
    pub is_exact: bool,
}

impl Outline {
    /// Of a grid of `size` pixels in `crs`, by the best datum operation that there is. `None` when it has no place on the globe
    /// that can be computed.
    #[must_use]
    pub fn of(transform: &Affine, size: Size, crs: &Crs) -> Option<Self> {
        let choice =
            Choice { area: crs.area(corners(size).map(|[c, r]| transform.apply(c, r))), ..Choice::ANY };
        let plane = Between::new(&Crs::wgs84(), crs, &choice).ok()?;
        let grid = Grid {
            plane: &plane,
            is_degrees: crs.is_geographic(),
            to_world: *transform,
            to_pixel: transform.inverse()?,
            width: f64::from(size.width),
            height: f64::from(size.height),
        };
        grid.outline().or_else(|| grid.boxed())
    }
}

/// Column and row of the grid's corners.
fn corners(size: Size) -> [[f64; 2]; 4] {
    let (width, height) = (f64::from(size.width), f64::from(size.height));
    [[0.0, 0.0], [width, 0.0], [width, height], [0.0, height]]
}

/// A place of the grid in pixels and in degrees; longitudes run on from place to place.
#[derive(Clone, Copy)]
struct Stop {
    pixel: [f64; 2],
    place: [f64; 2],
}

struct Grid<'a> {
    /// From longitude and latitude.
    plane: &'a Between,
    is_degrees: bool,
    to_world: Affine,
    to_pixel: Affine,
    width: f64,
    height: f64,
}

impl Grid<'_> {
    fn place(&self, [col, row]: [f64; 2]) -> Option<[f64; 2]> {
        let [x, y] = self.to_world.apply(col, row);
        // A grid of the whole globe often has its pixels' centres on the poles.
        let y = if self.is_degrees { y.clamp(-90.0, 90.0) } else { y };
        let [lon, lat] = self.plane.back([x, y])?;
        (lon.is_finite() && lat.is_finite()).then_some([lon, lat.clamp(-90.0, 90.0)])
    }

    fn pixel(&self, [lon, lat]: [f64; 2]) -> Option<[f64; 2]> {
        let [x, y] = self.plane.project([wrapped(lon), lat]).ok()?;
        Some(self.to_pixel.apply(x, y))
    }

    /// Where a pole lies, in pixels, on maps on which it is a point.
    fn pole(&self, lat: f64) -> Option<[f64; 2]> {
        let [first, second] = [self.pixel([0.0, lat])?, self.pixel([90.0, lat])?];
        ((first[0] - second[0]).hypot(first[1] - second[1]) < 1e-3).then_some(first)
    }

    /// `Some` of whether a pole that is a point lies within the grid, not on its edge.
    fn is_pole_inside(&self, lat: f64) -> Option<bool> {
        let [col, row] = self.pole(lat)?;
        let edge = 1e-3;
        Some(col > edge && row > edge && col < self.width - edge && row < self.height - edge)
    }

    fn outline(&self) -> Option<Outline> {
        let ring = self.ring()?;
        let (first, last) = (*ring.first()?, *ring.last()?);
        let turns = ((last[0] - first[0]) / 360.0).round();
        let around = turns != 0.0;
        let [north, south] = [90.0, -90.0].map(|lat| around.then(|| self.is_pole_inside(lat)).flatten());
        let Bounds { min_x, min_y, max_x, max_y } = Bounds::around(ring.iter().copied())?;
        let mut bbox = bbox([min_x, min_y, max_x, max_y]);
        let polygons = if !around && max_x - min_x >= 360.0 - NARROW * 1e3 {
            // All round the world: only as a band between two latitudes is it seamless.
            let share = area(&ring).abs() / ((max_x - min_x) * (max_y - min_y));
            if share < 1.0 - 1e-6 {
                return None;
            }
            vec![rectangle(bbox)]
        } else {
            let mut region = Region::default();
            region.add(ring, north, south).ok()?;
            let mut polygons = region.within((-180.0, 180.0));
            polygons.iter_mut().for_each(tidy);
            polygons.retain(|ring| {
                meridian::range([ring]).is_some_and(|(west, east)| east - west > NARROW) && area(ring) != 0.0
            });
            for ring in polygons.iter_mut().filter(|ring| area(ring) < 0.0) {
                ring.reverse();
            }
            if around {
                // Up to the pole, which is no vertex of the edge.
                let Bounds { min_y, max_y, .. } = Bounds::around(polygons.iter().flatten().copied())?;
                bbox = [-180.0, min_y, 180.0, max_y];
            }
            polygons
        };
        self.is_around_probes(&polygons).then_some(Outline { polygons, bbox, is_exact: true })
    }

    /// The grid's edge, its longitudes running on; it ends in the place where it starts, or whole turns from there.
    fn ring(&self) -> Option<Ring> {
        let size = [[0.0, 0.0], [self.width, 0.0], [self.width, self.height], [0.0, self.height], [0.0, 0.0]];
        if self.plane.is_identity() {
            // Longitudes run on by themselves, and the edges are straight.
            return size.into_iter().map(|corner| self.place(corner)).collect();
        }
        let has_pole = [90.0, -90.0].map(|lat| self.pole(lat).is_some());
        let is_pole = |[_, lat]: [f64; 2]| {
            lat.abs() > 90.0 - NARROW && if lat > 0.0 { has_pole[0] } else { has_pole[1] }
        };
        let mut ring = Ring::new();
        // Where it touches a pole: longitudes behind it may be a turn off.
        let mut touch = None;
        let mut from = Stop { pixel: size[0], place: self.place(size[0])? };
        let starts_on_pole = is_pole(from.place);
        if !starts_on_pole {
            ring.push(from.place);
        }
        for (start, end) in size.iter().zip(size.iter().skip(1)) {
            for piece in 1..=PIECES {
                let share = f64::from(piece) / f64::from(PIECES);
                let pixel = [start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share];
                let place = self.place(pixel)?;
                match (is_pole(from.place), is_pole(place)) {
                    (_, true) => {
                        // Up to the pole along a meridian.
                        if !is_pole(from.place) {
                            let to = Stop { pixel, place: [from.place[0], place[1]] };
                            self.refine(from, to, HALVINGS, &mut ring)?;
                        }
                        from = Stop { pixel, place: [from.place[0], place[1]] };
                    }
                    (true, false) => {
                        // Down again along another one.
                        let last = ring.last().map_or(place[0], |last| last[0]);
                        let lon = nearest(place[0], last);
                        touch = Some(ring.len());
                        let pole = [lon, from.place[1]];
                        ring.push(pole);
                        let to = Stop { pixel, place: [lon, place[1]] };
                        self.refine(Stop { pixel: from.pixel, place: pole }, to, HALVINGS, &mut ring)?;
                        from = to;
                    }
                    (false, false) => {
                        let to = Stop { pixel, place: [nearest(place[0], from.place[0]), place[1]] };
                        self.refine(from, to, HALVINGS, &mut ring)?;
                        from = to;
                    }
                }
            }
        }
        if starts_on_pole {
            // It began on a pole, and ends there: along the pole back to the first meridian.
            let first = *ring.first()?;
            ring.push(first);
            return Some(ring);
        }
        let turns = ((ring.last()?[0] - ring.first()?[0]) / 360.0).round();
        if let Some(touch) = touch {
            for point in ring.iter_mut().skip(touch) {
                point[0] -= turns * 360.0;
            }
        }
        Some(ring)
    }

    /// Appends vertices from one place of an edge, without it, to another one, so that the straight lines between them lie on
    /// the edge.
    fn refine(&self, from: Stop, to: Stop, halvings: u32, ring: &mut Ring) -> Option<()> {
        if ring.len() >= VERTICES {
            return None;
        }
        let is_straight = [0.25, 0.5, 0.75].iter().all(|share| {
            let [lon, lat] = [0, 1].map(|axis: usize| between(from.place, to.place, axis, *share));
            let Some([col, row]) = self.pixel([lon, lat]) else { return false };
            // Edges run along columns or rows.
            let is_row = (to.pixel[1] - from.pixel[1]).abs() < (to.pixel[0] - from.pixel[0]).abs();
            let off = if is_row { row - from.pixel[1] } else { col - from.pixel[0] };
            off.abs() <= TOLERANCE
        });
        if is_straight || halvings == 0 {
            ring.push(to.place);
            return Some(());
        }
        let pixel = [0, 1].map(|axis: usize| between(from.pixel, to.pixel, axis, 0.5));
        let [lon, lat] = self.place(pixel)?;
        let middle = Stop { pixel, place: [nearest(lon, from.place[0]), lat] };
        let to_here = Stop { pixel: to.pixel, place: [nearest(to.place[0], middle.place[0]), to.place[1]] };
        self.refine(from, middle, halvings.saturating_sub(1), ring)?;
        self.refine(middle, to_here, halvings.saturating_sub(1), ring)
    }

    /// Whether all places of the grid that are looked at lie in the polygons.
    fn is_around_probes(&self, polygons: &[Ring]) -> bool {
        let margin = |size: f64| (size * 0.07).max(1.0).min(size * 0.4);
        let at = |size: f64, n: u8| {
            let margin = margin(size);
            margin + (size - 2.0 * margin) * (f64::from(n) + 0.013) / f64::from(PROBES)
        };
        let probes = (0..PROBES).flat_map(|row| (0..PROBES).map(move |col| (col, row)));
        !polygons.is_empty()
            && probes
                .filter_map(|(col, row)| self.place([at(self.width, col), at(self.height, row)]))
                .all(|[lon, lat]| cut::is_inside(polygons, [wrapped(lon), lat]))
    }

    /// A box around places of a mesh; `None` when none has a longitude and latitude.
    fn boxed(&self) -> Option<Outline> {
        let steps = || (0..MESH).map(|n| f64::from(n) / f64::from(MESH.saturating_sub(1)));
        let mesh = steps().flat_map(|row| steps().map(move |col| [col * self.width, row * self.height]));
        let places: Vec<[f64; 2]> = mesh.filter_map(|pixel| self.place(pixel)).collect();
        let mut bounds = Bounds::around(places.iter().copied())?;
        let [north, south] = [90.0, -90.0].map(|lat| self.is_pole_inside(lat) == Some(true));
        (bounds.max_y, bounds.min_y) =
            (if north { 90.0 } else { bounds.max_y }, if south { -90.0 } else { bounds.min_y });
        let (west, east) = if north || south { (-180.0, 180.0) } else { arc(&places)? };
        let bbox = bbox([west, bounds.min_y, east, bounds.max_y]);
        let polygons = if bbox[0] <= bbox[2] {
            vec![rectangle(bbox)]
        } else {
            let [west, south, east, north] = bbox;
            vec![rectangle([west, south, 180.0, north]), rectangle([-180.0, south, east, north])]
        };
        (area(polygons.first()?) > 0.0).then_some(Outline { polygons, bbox, is_exact: false })
    }
}

fn between(from: [f64; 2], to: [f64; 2], axis: usize, share: f64) -> f64 {
    let value = |point: [f64; 2]| point.get(axis).copied().unwrap_or_default();
    value(from) + (value(to) - value(from)) * share
}

/// The turn of a longitude that is nearest to another one.
fn nearest(lon: f64, to: f64) -> f64 {
    lon - ((lon - to) / 360.0).round() * 360.0
}

/// The turn of a longitude from -180 to 180.
fn wrapped(lon: f64) -> f64 {
    if (-180.0..=180.0).contains(&lon) { lon } else { nearest(lon, 0.0) }
}

/// A box whose longitudes run on as RFC 7946 §5.2 has it.
fn bbox([west, south, east, north]: [f64; 4]) -> [f64; 4] {
    if east - west >= 360.0 - NARROW * 1e3 {
        return [-180.0, south, 180.0, north];
    }
    // An end on the antimeridian belongs to the side of the other one.
    let turn = |lon: f64| (lon / 360.0).round() * 360.0;
    let middle = turn(f64::midpoint(west, east));
    let (west, east) = (west - middle, east - middle);
    let west = if west < -180.0 - NARROW { west + 360.0 } else { west.max(-180.0) };
    let east = if east > 180.0 + NARROW { east - 360.0 } else { east.min(180.0) };
    [west, south, east, north]
}

/// The shortest arc of longitudes around some places; all round the world when there is no gap.
fn arc(places: &[[f64; 2]]) -> Option<(f64, f64)> {
    let mut lons: Vec<f64> = places.iter().map(|place| place[0].rem_euclid(360.0)).collect();
    lons.sort_by(f64::total_cmp);
    let next = lons.iter().skip(1).copied().chain(lons.first().map(|first| first + 360.0));
    let gaps = lons.iter().zip(next).map(|(west, east)| (east - west, east));
    let (gap, west) = gaps.max_by(|a, b| a.0.total_cmp(&b.0))?;
    // A full circle of the mesh has places at least every few degrees.
    Some(if gap < 5.0 { (-180.0, 180.0) } else { (west, west - gap + 360.0) })
}

fn rectangle([west, south, east, north]: [f64; 4]) -> Ring {
    vec![[west, south], [east, south], [east, north], [west, north], [west, south]]
}

/// Takes out vertices that are where the one before is, to rounding: between two turns, and on the antimeridian.
fn tidy(ring: &mut Ring) {
    ring.dedup_by(|next, last| (next[0] - last[0]).abs() < NARROW && (next[1] - last[1]).abs() < NARROW);
    if let (Some(first), Some(last)) = (ring.first().copied(), ring.last_mut()) {
        *last = first;
    }
}

/// Area in square degrees, negative when the ring runs clockwise.
fn area(ring: &[[f64; 2]]) -> f64 {
    let Some([x0, y0]) = ring.first().copied() else { return 0.0 };
    let pairs = ring.iter().zip(ring.iter().skip(1));
    pairs.map(|(a, b)| (a[0] - x0) * (b[1] - y0) - (b[0] - x0) * (a[1] - y0)).sum::<f64>() / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(crs: &str, gt: [f64; 6], size: (u32, u32)) -> Option<Outline> {
        let size = Size { width: size.0, height: size.1 };
        Outline::of(&Affine(gt), size, &Crs::parse(crs).unwrap())
    }

    /// Boxes around 800,000 places of the edge by pyproj 3.8, to a quarter of a pixel; of rasters in degrees by hand.
    #[test]
    fn boxes_are_as_proj_has_them() {
        #[track_caller]
        fn check(crs: &str, gt: [f64; 6], polygons: usize, bbox: [f64; 4], pixel: f64) {
            let outline = outline(crs, gt, (128, 96)).unwrap();
            assert!(outline.is_exact);
            assert_eq!(outline.polygons.len(), polygons, "{outline:?}");
            let is_near = |(a, b): (&f64, f64)| (a - b).abs() <= pixel / 4.0;
            assert!(outline.bbox.iter().zip(bbox).all(is_near), "{crs}: {:?}", outline.bbox);
            for ring in &outline.polygons {
                assert!(ring.len() > 3 && ring.first() == ring.last() && area(ring) > 0.0, "{ring:?}");
                assert!(ring.iter().all(|[lon, lat]| lon.abs() <= 180.0 && lat.abs() <= 90.0), "{ring:?}");
            }
        }
        let utm =
            [13.663_409_025_147_702, 47.836_926_065_638_25, 13.680_731_660_438_978, 47.845_759_129_422_61];
        check("EPSG:32633", [400_000.0, 10.0, 0.0, 5_300_000.0, 0.0, -10.0], 1, utm, 9e-5);
        let fiji =
            [179.783_767_256_857_86, -18.327_659_471_631_87, -179.849_109_415_471_5, -18.061_986_332_444_004];
        check("EPSG:32701", [160_000.0, 300.0, 0.0, 8_000_000.0, 0.0, -300.0], 2, fiji, 2.7e-3);
        let europe =
            [-35.116_786_562_537_61, 31.044_228_783_505_154, 75.266_075_274_966_85, 72.664_410_054_586_01];
        check("EPSG:3035", [2_500_000.0, 40_000.0, 0.0, 5_500_000.0, 0.0, -40_000.0], 1, europe, 0.36);
        let pole = [-180.0, -90.0, 180.0, -75.351_240_467_045_71];
        check("EPSG:3031", [-1_280_000.0, 20_000.0, 0.0, 960_000.0, 0.0, -20_000.0], 1, pole, 0.18);
        let beside =
            [141.340_191_745_909_92, -86.319_751_193_384_14, -141.340_191_745_909_92, -81.397_458_476_243_8];
        check("EPSG:3031", [-320_000.0, 5_000.0, 0.0, -400_000.0, 0.0, -5_000.0], 2, beside, 0.045);
        let turned = [15.0, 45.131_871_632_180_2, 15.045_994_280_621_244, 45.164_995_971_123_375];
        check("EPSG:32633", [500_000.0, 17.0, 15.0, 5_000_000.0, 10.0, -25.0], 1, turned, 2e-4);
        // A quarter of the map of the north, the pole in its corner: 90 degrees of longitude.
        let quarter = [-45.0, 82.624_763_492_130_64, 45.0, 90.0];
        check("EPSG:3413", [0.0, 5_000.0, 0.0, 0.0, 0.0, -5_000.0], 1, quarter, 0.045);
        check("EPSG:4326", [179.5, 0.01, 0.0, 10.0, 0.0, -0.01], 2, [179.5, 9.04, -179.22, 10.0], 1e-9);
        check("EPSG:4326", [0.0, 2.8125, 0.0, 90.0, 0.0, -1.875], 1, [-180.0, -90.0, 180.0, 90.0], 1e-9);
        // Half a pixel beyond the poles and the antimeridian.
        let shifted = [-181.406_25, 2.8125, 0.0, 90.947_368_421, 0.0, -1.894_736_842_105];
        check("EPSG:4326", shifted, 1, [-180.0, -90.0, 180.0, 90.0], 1e-9);
    }

    #[test]
    fn beyond_the_edge_of_the_world_there_is_a_box_and_off_it_nothing() {
        let sinusoidal = "+proj=sinu +R=6371007.181";
        let tile = outline(sinusoidal, [-12_231_455.0, 8_687.0, 0.0, 6_671_703.0, 0.0, -8_687.0], (128, 128))
            .unwrap();
        assert!(!tile.is_exact);
        // By hand, with x = R * longitude * cos(latitude): the southern side lies at 50 degrees, where the eastern one lies at
        // 155.57 degrees; that one meets the edge of the world where the cosine is 11119519 / (R * pi), at 56.25 degrees.
        let off = |(got, expected): (&f64, f64)| (got - expected).abs() < 0.2;
        assert!(tile.bbox.iter().zip([-180.0, 50.0, -155.57, 56.25]).all(off), "{tile:?}");
        assert_eq!(
            outline(sinusoidal, [-20_015_109.0, 8_687.0, 0.0, 6_671_703.0, 0.0, -8_687.0], (128, 128)),
            None
        );
        assert_eq!(outline("EPSG:99999", [0.0, 1.0, 0.0, 0.0, 0.0, -1.0], (1, 1)), None);
        assert_eq!(outline("EPSG:32633", [0.0; 6], (128, 96)), None);
        assert_eq!(outline("EPSG:32633", [f64::NAN, 1.0, 0.0, 0.0, 0.0, -1.0], (128, 96)), None);
    }

    /// One pixel, the smallest there are, and the largest rasters.
    #[test]
    fn size_does_not_matter() {
        for (size, pixel) in [((1, 1), 10.0), ((1, 1), 1e-3), ((1, 400_000), 1.0), ((400_000, 400_000), 1.0)]
        {
            let utm = outline("EPSG:32633", [400_000.0, pixel, 0.0, 5_300_000.0, 0.0, -pixel], size).unwrap();
            assert!(utm.is_exact && utm.polygons.len() == 1, "{size:?}");
        }
    }
}
