//! From the longitudes and latitudes of one datum to those of another: the arithmetic.
//!
//! Source: EPSG Guidance Note 7-2, "Coordinate Operation Methods" (coordinate transformations).

use std::f64::consts::{FRAC_PI_2, TAU};
use std::sync::Arc;

use super::epsg::{self, Ellipsoid};
use super::grid_shift::ShiftGrid;

/// A datum shift: longitude and latitude of Greenwich in radians on one datum to the same on another, one part after
/// the other. Without parts it leaves coordinates as they are, bit for bit.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Shift {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    /// Through geocentric coordinates.
    Geocentric {
        from: Ellipsoid,
        to: Ellipsoid,
        /// The height that the part before came to goes on; otherwise the height is 0.
        keeps_height: bool,
        transformations: Vec<Helmert>,
    },
    /// Radians to add to longitude and latitude.
    Offset([f64; 2]),
    /// A grid, from its own source to its target or back.
    Grid(Arc<ShiftGrid>, Direction),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Forward,
    Inverse,
}

impl Direction {
    fn opposite(self) -> Self {
        match self {
            Self::Forward => Self::Inverse,
            Self::Inverse => Self::Forward,
        }
    }
}

/// A similarity transformation of geocentric coordinates, EPSG methods 9603, 9606, 9607, 9636 and 1133.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Helmert {
    translation: [f64; 3],
    rotation: [[f64; 3]; 3],
    scale: f64,
    /// The point around which it turns: Molodensky-Badekas.
    pivot: [f64; 3],
    direction: Direction,
}

impl Shift {
    /// Whether it leaves every coordinate as it is.
    pub(super) fn is_null(&self) -> bool {
        self.parts.is_empty()
    }

    /// Whether a grid is part of it.
    pub(super) fn has_grid(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Grid(..)))
    }

    /// One that a grid makes, from the grid's source to its target or, `inverse`, back.
    pub(super) fn by_grid(grid: &Arc<ShiftGrid>, inverse: bool) -> Self {
        let direction = if inverse { Direction::Inverse } else { Direction::Forward };
        Self { parts: vec![Part::Grid(Arc::clone(grid), direction)] }
    }

    /// The Helmert transformation of `+towgs84`: metres, seconds of arc, parts per million, position vector.
    pub(super) fn by_helmert(parameters: &[f64; 7], from: Ellipsoid, to: Ellipsoid) -> Self {
        let helmert = Helmert::new(parameters, [0.0; 3], Rotation::Linear, Direction::Forward);
        let geocentric = Part::Geocentric { from, to, keeps_height: false, transformations: vec![helmert] };
        Self { parts: vec![geocentric] }
    }

    /// What `steps` of the table say, as scripts/make-crs-table.py writes them, between two ellipsoids; `None` for text
    /// that it would not write.
    pub(super) fn parse(steps: &str, from: Ellipsoid, to: Ellipsoid) -> Option<Self> {
        let mut parts = Vec::new();
        if steps.is_empty() {
            return Some(Self { parts });
        }
        let texts: Vec<&str> = steps.split('|').collect();
        let is_geocentric = |text: &&str| !text.starts_with(['g', 'm']);
        let first = texts.iter().position(is_geocentric);
        let last = texts.iter().rposition(is_geocentric);
        for (index, text) in texts.iter().enumerate() {
            if let Some(seconds) = text.strip_prefix('g') {
                let (north, east) = seconds.split_once(',')?;
                let [east, north] =
                    [east, north].map(|text| text.parse::<f64>().ok().map(radians_of_seconds));
                parts.push(Part::Offset([east?, north?]));
            } else if let Some(degrees) = text.strip_prefix('m') {
                parts.push(Part::Offset([degrees.parse::<f64>().ok()?.to_radians(), 0.0]));
            } else {
                let mut start = (Some(index) == first).then_some(from);
                let mut end = (Some(index) == last).then_some(to);
                let (mut keeps_height, mut transformations) = (false, Vec::new());
                for item in text.split(';') {
                    if item == "^" {
                        keeps_height = true;
                    } else if let Some(number) = item.strip_prefix('@') {
                        let ellipsoid = epsg::numbered_ellipsoid(number.parse().ok()?)?;
                        let place = if transformations.is_empty() { &mut start } else { &mut end };
                        *place = Some(ellipsoid);
                    } else {
                        transformations.push(Helmert::parse(item)?);
                    }
                }
                parts.push(Part::Geocentric { from: start?, to: end?, keeps_height, transformations });
            }
        }
        Some(Self { parts })
    }

    /// The same the other way round.
    pub(super) fn inverted(&self) -> Self {
        let mut parts: Vec<Part> = self.parts.iter().rev().map(Part::inverted).collect();
        // The height goes on between the same two parts as before.
        let mut carried = false;
        for part in &mut parts {
            if let Part::Geocentric { keeps_height, .. } = part {
                carried = std::mem::replace(keeps_height, carried);
            }
        }
        Self { parts }
    }

    /// This one and then `next`.
    pub(super) fn then(mut self, next: Self) -> Self {
        self.parts.extend(next.parts);
        self
    }

    /// Longitude and latitude in radians on the other datum, the longitude by the same whole turns; `None` outside a grid, or where there is no such place.
    pub(super) fn apply(&self, mut place: [f64; 2]) -> Option<[f64; 2]> {
        let mut height = 0.0;
        let start_lon = place[0];
        for part in &self.parts {
            match part {
                Part::Geocentric { from, to, keeps_height, transformations } => {
                    let start = if *keeps_height { height } else { 0.0 };
                    let mut point = geocentric(from, place, start);
                    for helmert in transformations {
                        point = helmert.apply(point);
                    }
                    let (there, above) = geographic(to, point);
                    place = there;
                    height = above;
                }
                Part::Offset([east, north]) => place = [place[0] + east, place[1] + north],
                Part::Grid(grid, Direction::Forward) => place = grid.forward(place)?,
                Part::Grid(grid, Direction::Inverse) => place = grid.inverse(place)?,
            }
        }
        // Geocentric coordinates forget whole turns. The result stays beside where it was, so that what reaches over the
        // antimeridian is not torn.
        place[0] += ((start_lon - place[0]) / TAU).round() * TAU;
        (place[0].is_finite() && place[1].abs() <= FRAC_PI_2 + 1e-12).then_some(place)
    }
}

impl Part {
    fn inverted(&self) -> Self {
        match self {
            Self::Geocentric { from, to, keeps_height, transformations } => Self::Geocentric {
                from: *to,
                to: *from,
                keeps_height: *keeps_height,
                transformations: transformations.iter().rev().map(Helmert::inverted).collect(),
            },
            Self::Offset([east, north]) => Self::Offset([-east, -north]),
            Self::Grid(grid, direction) => Self::Grid(Arc::clone(grid), direction.opposite()),
        }
    }
}

/// How the rotation matrix is made of the angles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rotation {
    /// Angles are so small that they are their sines.
    Linear,
    /// By sines and cosines, position vector convention.
    ExactPosition,
    /// By sines and cosines, coordinate frame convention.
    ExactFrame,
}

impl Helmert {
    fn new(parameters: &[f64; 7], pivot: [f64; 3], rotation: Rotation, direction: Direction) -> Self {
        let [dx, dy, dz, rx, ry, rz, ppm] = *parameters;
        let [rx, ry, rz] = [rx, ry, rz].map(radians_of_seconds);
        let rotation = if rotation == Rotation::Linear {
            [[1.0, -rz, ry], [rz, 1.0, -rx], [-ry, rx, 1.0]]
        } else {
            let ((sx, cx), (sy, cy), (sz, cz)) = (rx.sin_cos(), ry.sin_cos(), rz.sin_cos());
            let frame = [
                [cy * cz, cx * sz + sx * sy * cz, sx * sz - cx * sy * cz],
                [-cy * sz, cx * cz - sx * sy * sz, sx * cz + cx * sy * sz],
                [sy, -sx * cy, cx * cy],
            ];
            if rotation == Rotation::ExactFrame { frame } else { transposed(&frame) }
        };
        Self { translation: [dx, dy, dz], rotation, scale: 1.0 + ppm * 1e-6, pivot, direction }
    }

    fn parse(text: &str) -> Option<Self> {
        let letter = text.chars().next()?;
        let direction = if letter.is_ascii_uppercase() { Direction::Inverse } else { Direction::Forward };
        let values = text.get(1..)?;
        let (rotation, values) = match values.chars().next()? {
            'e' => (Rotation::ExactPosition, values.get(1..)?),
            'f' => (Rotation::ExactFrame, values.get(1..)?),
            _ => (Rotation::Linear, values),
        };
        let mut parameters = [0.0; 10];
        let mut values = values.split(',');
        for (parameter, value) in parameters.iter_mut().zip(&mut values) {
            *parameter = value.parse().ok()?;
        }
        let [dx, dy, dz, rx, ry, rz, ppm, pivot @ ..] = parameters;
        let known = matches!(letter, 'h' | 'H' | 'b' | 'B') && values.next().is_none();
        known.then(|| Self::new(&[dx, dy, dz, rx, ry, rz, ppm], pivot, rotation, direction))
    }

    fn inverted(&self) -> Self {
        Self { direction: self.direction.opposite(), ..*self }
    }

    fn apply(&self, point: [f64; 3]) -> [f64; 3] {
        let [tx, ty, tz] = self.translation;
        let [px, py, pz] = self.pivot;
        let [x, y, z] = point;
        match self.direction {
            Direction::Forward => {
                let [x, y, z] = times(&self.rotation, [x - px, y - py, z - pz]);
                [x * self.scale + (px + tx), y * self.scale + (py + ty), z * self.scale + (pz + tz)]
            }
            Direction::Inverse => {
                // The transpose stands for the inverse, as EPSG and PROJ have it: signs of the angles reversed.
                let moved = [x - (px + tx), y - (py + ty), z - (pz + tz)].map(|v| v / self.scale);
                let [x, y, z] = times(&transposed(&self.rotation), moved);
                [x + px, y + py, z + pz]
            }
        }
    }
}

fn times(matrix: &[[f64; 3]; 3], [x, y, z]: [f64; 3]) -> [f64; 3] {
    matrix.map(|[a, b, c]| a * x + b * y + c * z)
}

fn transposed(matrix: &[[f64; 3]; 3]) -> [[f64; 3]; 3] {
    let [[m00, m01, m02], [m10, m11, m12], [m20, m21, m22]] = *matrix;
    [[m00, m10, m20], [m01, m11, m21], [m02, m12, m22]]
}

fn radians_of_seconds(seconds: f64) -> f64 {
    (seconds / 3600.0).to_radians()
}

/// EPSG method 9602, forward.
fn geocentric(ellipsoid: &Ellipsoid, [lon, lat]: [f64; 2], height: f64) -> [f64; 3] {
    let (a, b) = (ellipsoid.a, ellipsoid.b);
    let es = 1.0 - (b * b) / (a * a);
    let (sin, cos) = lat.sin_cos();
    let n = a / (1.0 - es * sin * sin).sqrt();
    let (sin_lon, cos_lon) = lon.sin_cos();
    [(n + height) * cos * cos_lon, (n + height) * cos * sin_lon, (n * (1.0 - es) + height) * sin]
}

/// EPSG method 9602, inverse: longitude, latitude and height. Bowring's start is already good to micrometres near the
/// ground; each turn squares that.
fn geographic(ellipsoid: &Ellipsoid, [x, y, z]: [f64; 3]) -> ([f64; 2], f64) {
    let (major, minor) = (ellipsoid.a, ellipsoid.b);
    let es = 1.0 - (minor * minor) / (major * major);
    let second = (major * major) / (minor * minor) - 1.0;
    let across = x.hypot(y);
    let mut reduced = (z * major).atan2(across * minor);
    let mut lat = 0.0;
    for _ in 0..2 {
        let (sin, cos) = reduced.sin_cos();
        lat = (z + second * minor * sin.powi(3)).atan2(across - es * major * cos.powi(3));
        reduced = (minor * lat.sin()).atan2(major * lat.cos());
    }
    let (sin, cos) = lat.sin_cos();
    let height = across * cos + z * sin - major * (1.0 - es * sin * sin).sqrt();
    ([y.atan2(x), lat], height)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLARKE: Ellipsoid = Ellipsoid { a: 6_378_206.4, b: 6_356_583.8, inverse_flattening: None };
    const INTERNATIONAL: Ellipsoid =
        Ellipsoid { a: 6_378_388.0, b: 6_378_388.0 - 6_378_388.0 / 297.0, inverse_flattening: Some(297.0) };
    const WGS84: Ellipsoid = Ellipsoid { a: 6_378_137.0, b: 6_356_752.314_245_179, inverse_flattening: None };

    /// Expected: pipelines of PROJ 9.8.1.
    #[test]
    fn steps_do_what_proj_does() {
        #[track_caller]
        fn check(steps: &str, from: Ellipsoid, to: Ellipsoid, place: [f64; 2], expected: [f64; 2]) {
            let shift = Shift::parse(steps, from, to).unwrap();
            let place = place.map(f64::to_radians);
            let got = shift.apply(place).unwrap();
            let off = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).hypot(a[1] - b[1]) * 6_378_137.0;
            assert!(off(got, expected.map(f64::to_radians)) < 1e-6, "{:?}", got.map(f64::to_degrees));
            assert!(off(shift.inverted().apply(got).unwrap(), place) < 0.1);
        }
        check(
            "h10,-158,-187",
            CLARKE,
            WGS84,
            [-66.5, 48.25],
            [-66.500_724_820_872_35, 48.245_754_514_666_594],
        );
        check(
            "H446.448,-125.157,542.06,0.15,0.247,0.842,-20.489",
            CLARKE,
            INTERNATIONAL,
            [-66.5, 48.25],
            [-66.505_126_615_663_76, 48.247_469_706_385_836],
        );
        check(
            "hf1,2,3,400,-300,200,5",
            CLARKE,
            WGS84,
            [-66.5, 48.25],
            [-66.420_852_255_053_08, 48.316_372_696_233_59],
        );
        check(
            "he1,2,3,400,-300,200,5",
            CLARKE,
            WGS84,
            [-66.5, 48.25],
            [-66.578_672_747_885_56, 48.179_259_935_763_23],
        );
        check(
            "b-270.933,115.599,-360.226,-5.266,-1.238,2.381,-5.109,2464351.59,-5783466.61,974809.81",
            CLARKE,
            WGS84,
            [-66.5, 48.25],
            [-66.502_807_215_661_6, 48.247_306_793_345_004],
        );
        check("g18,-10.5|m2.5", CLARKE, WGS84, [-66.5, 48.25], [-64.002_916_666_666_66, 48.255]);
    }

    #[test]
    fn what_the_table_does_not_write_is_not_understood() {
        for steps in
            ["x", "h", "hx,2,3", "h1,2,3,4,5,6,7,8,9,10,11", "@99999;h1,2,3", "g1", "m", "h1,2,3|", "é"]
        {
            assert!(Shift::parse(steps, CLARKE, WGS84).is_none(), "{steps}");
        }
        assert!(Shift::parse("", CLARKE, WGS84).unwrap().is_null());
    }

    #[test]
    fn longitudes_keep_their_turn() {
        let shift = Shift::parse("h10,-158,-187", CLARKE, WGS84).unwrap();
        let [near, far] = [-179.0_f64, 181.0].map(|lon| shift.apply([lon.to_radians(), 0.9]).unwrap());
        assert!(
            (far[0] - near[0] - TAU).abs() < 1e-12 && (far[1] - near[1]).abs() < 1e-12,
            "{near:?} {far:?}"
        );
    }
}
