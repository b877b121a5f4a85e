//! Coordinates from one CRS to another: projections by proj4rs, datum operations by [`super::datum`].

use std::fmt;

use proj4rs::Proj;

use super::crs::{Crs, WAY_OUT};
use super::datum::{self, Choice, Operation};
use super::definition::Definition;
use super::epsg::Ellipsoid;
use super::formula::Plane;
use super::shift::Shift;
use crate::error::{Error, Result};

/// Degrees by which a coordinate may miss itself after a round trip through a projection and still be in that
/// projection's domain. One centimetre on the ground: over every code of the table the inverse is within 1 mm of PROJ's.
const ROUND_TRIP_DEGREES: f64 = 1e-7;

/// Radians by which a place on the edge of the map is moved to see on which side it is: 3 millimetres.
const EDGE: f64 = 5e-10;

/// Degrees from a pole within which an inverse may give the pole.
const POLAR_DEGREES: f64 = 0.02;

/// Parameters of PROJ strings that proj4rs honours. It ignores all others without a word, so that they must be
/// refused here.
const PARAMETERS: &[&str] = &[
    "proj", "lat_0", "lat_1", "lat_2", "lat_ts", "lon_0", "lonc", "x_0", "y_0", "k", "k_0", "zone", "south",
    "ellps", "R", "a", "b", "rf", "f", "units", "to_meter", "pm", "axis", "alpha", "gamma", "h", "sweep",
    "no_uoff", "no_off", "no_defs", "type", "wktext",
];

/// Projections by formulas of our own.
const OWN_FORMULAS: &[&str] = &["proj=eqc", "proj=moll", "proj=col_urban"];

/// Projections whose formulas are smooth but at poles and at the edges of their maps, where they tear by as much as the map
/// is wide. In proj4rs's words.
const EVEN: &[&str] = &[
    "latlong", "longlat", "etmerc", "utm", "tmerc", "merc", "webmerc", "lcc", "aea", "leac", "stere", "ups",
    "sterea", "somerc", "laea", "cea", "omerc", "krovak",
];

/// Takes coordinates from one CRS to another, both in GIS axis order.
#[derive(Clone)]
pub struct Projector {
    names: [String; 2],
    operation: Operation,
    /// `None` when there is nothing to do: coordinates stay bit for bit.
    route: Option<Route>,
}

#[derive(Clone)]
struct Route {
    from: Side,
    shift: Shift,
    to: Side,
    /// Longitude and latitude of Greenwich in radians.
    hub: Proj,
}

#[derive(Clone)]
struct Side {
    proj: Proj,
    /// In place of proj4rs, where we know better.
    own: Option<Plane>,
    ellipsoid: Ellipsoid,
    /// Radians in the unit of longitudes and latitudes; `None` for a plane.
    angle: Option<f64>,
}

impl fmt::Debug for Projector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Projector({self}, {:?})", self.operation)
    }
}

impl fmt::Display for Projector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [from, to] = &self.names;
        write!(f, "{from} to {to}")
    }
}

impl Projector {
    /// Prepares to take coordinates in `from` to `to`, by the datum operation that `choice` leads to.
    ///
    /// # Errors
    /// - [`crate::ErrorKind::Unsupported`] when one of them cannot be projected exactly;
    /// - [`crate::ErrorKind::Usage`] when the best datum operation is worse than `choice` allows, with the flags that
    ///   settle it.
    pub fn new(from: &Crs, to: &Crs, choice: &Choice<'_>) -> Result<Self> {
        let names = [from.name(), to.name()];
        if from.is_same(to) {
            return Ok(Self { names, operation: Operation::none(), route: None });
        }
        let [from, to] = [from, to].map(|crs| crs.definition().ok_or_else(|| crs.unlisted()));
        Self::between(from?, to?, names, choice)
    }

    /// The same for two definitions, which messages call by `names`.
    ///
    /// # Errors
    /// Those of [`Self::new`].
    pub fn between(
        from: &Definition,
        to: &Definition,
        names: [String; 2],
        choice: &Choice<'_>,
    ) -> Result<Self> {
        let [from_name, to_name] = &names;
        let from_side = Side::new(from, from_name)?;
        let to_side = Side::new(to, to_name)?;
        let (shift, operation) =
            datum::shift((from, from_side.ellipsoid, from_name), (to, to_side.ellipsoid, to_name), choice)?;
        // Longitudes and latitudes are independent of the ellipsoid, planes are not.
        let is_same_plane =
            from_side.is_plain_geographic() && to_side.is_plain_geographic() || from.has_projection_of(to);
        let route = if shift.is_null() && is_same_plane {
            None
        } else {
            Some(Route {
                from: from_side,
                shift,
                to: to_side,
                hub: proj("+proj=longlat +ellps=WGS84", from_name)?,
            })
        };
        Ok(Self { names, operation, route })
    }

    /// The way back: by the same operation, inverted.
    #[must_use]
    pub fn inverse(&self) -> Self {
        let [from, to] = self.names.clone();
        let route = self.route.as_ref().map(|route| Route {
            from: route.to.clone(),
            shift: route.shift.inverted(),
            to: route.from.clone(),
            hub: route.hub.clone(),
        });
        Self { names: [to, from], operation: self.operation.clone(), route }
    }

    /// The datum operation. That of [`Self::inverse`] is the same, with the same name.
    #[must_use]
    pub fn operation(&self) -> &Operation {
        &self.operation
    }

    /// Whether coordinates stay as they are, bit for bit.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.route.is_none()
    }

    /// A coordinate of the one CRS in the other.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] when the coordinate lies outside the domain of either CRS or of a grid: latitude beyond
    /// 90 degrees, not finite, or a place that the projection cannot bring back.
    pub fn project(&self, xy: [f64; 2]) -> Result<[f64; 2]> {
        let Some(route) = &self.route else {
            return if xy.iter().all(|v| v.is_finite()) { Ok(xy) } else { Err(self.outside(xy)) };
        };
        route.project(xy).ok_or_else(|| self.outside(xy))
    }

    /// As [`Self::project`], bit for bit, of a coordinate in an area that is known to lie within the domain: it is not
    /// brought back to see whether it does.
    ///
    /// # Errors
    /// As [`Self::project`] where there is no result at all. Outside the domain the result may be anything.
    pub fn project_within(&self, xy: [f64; 2]) -> Result<[f64; 2]> {
        let Some(route) = &self.route else { return self.project(xy) };
        route.project_within(xy).ok_or_else(|| self.outside(xy))
    }

    /// Whether it takes degrees by formulas that are smooth but at poles and tears, and those no small ones: an area that
    /// looks smooth on a mesh of places is smooth between them.
    #[must_use]
    pub fn is_even(&self) -> bool {
        let is_even = |side: &Side| side.own.is_none() && EVEN.contains(&side.proj.projname());
        self.route.as_ref().is_some_and(|route| {
            route.from.is_plain_geographic() && is_even(&route.to) && !route.shift.has_grid()
        })
    }

    fn outside(&self, [x, y]: [f64; 2]) -> Error {
        let angle = self.route.as_ref().and_then(|route| route.from.angle);
        let advice = if angle.is_some_and(|unit| {
            (y * unit).abs() > std::f64::consts::FRAC_PI_2 || (x * unit).abs() > 1.5 * std::f64::consts::TAU
        }) {
            "these are no longitude and latitude in degrees; `--cutline-crs` says what they are"
        } else if self.route.as_ref().is_some_and(|route| route.shift.has_grid()) {
            "the place is outside the grid of `--grid`, or outside the area for which one of the two is made"
        } else {
            "the place is outside the area for which one of the two is made"
        };
        let [from, to] = &self.names;
        Error::usage(format!("the coordinate ({x}, {y}) in {from} cannot be expressed in {to}: {advice}"))
    }
}

impl Route {
    fn project(&self, xy: [f64; 2]) -> Option<[f64; 2]> {
        let mut place = self.from.to_hub(&self.hub, xy)?;
        if !self.shift.is_null() {
            place = self.shift.apply(place)?;
        }
        self.to.place_of(&self.hub, place)
    }

    /// Without the ways back.
    fn project_within(&self, xy: [f64; 2]) -> Option<[f64; 2]> {
        let mut place = self.from.inverse(&self.hub, xy)?;
        if !self.shift.is_null() {
            place = self.shift.apply(place)?;
        }
        self.to.forward(&self.hub, place)
    }
}

impl Side {
    fn new(definition: &Definition, name: &str) -> Result<Self> {
        if let Some(side) = Self::of_formula(definition, name)? {
            return Ok(side);
        }
        let mut angle = None;
        let mut text = Vec::new();
        let is_geographic = definition.is_geographic();
        for token in definition.tokens() {
            let (key, value) = token.split_once('=').unwrap_or((token, ""));
            if !PARAMETERS.contains(&key) {
                return Err(Error::unsupported(format!(
                    "the parameter `+{token}` of the CRS {name} is not one that cogclip can project with; {WAY_OUT}"
                )));
            }
            match key {
                "no_defs" | "type" | "wktext" => {}
                // proj4rs knows degrees only.
                "units" | "to_meter" if is_geographic => {
                    angle = Some(angular_unit(value).ok_or_else(|| {
                        Error::unsupported(format!(
                            "the unit `+{token}` of the CRS {name} is not known; {WAY_OUT}"
                        ))
                    })?);
                }
                _ => text.push(format!("+{token}")),
            }
        }
        let proj = proj(&text.join(" "), name)?;
        // Some projections take the ellipsoid for a sphere, and say so of themselves.
        text.retain(|token| {
            ["+ellps=", "+a=", "+b=", "+rf=", "+f=", "+R="].iter().any(|key| token.starts_with(key))
        });
        let (a, b) = self::proj(&format!("+proj=longlat {}", text.join(" ")), name)?.ellipse_parameters();
        let ellipsoid = Ellipsoid { a, b, inverse_flattening: None };
        // proj4rs computes it on a sphere whatever the ellipsoid, up to 20 km from where PROJ puts it.
        if proj.projname() == "eqc" {
            return Err(Error::unsupported(format!(
                "cogclip cannot project {name}: +proj=eqc with parameters that it does not know; {WAY_OUT}"
            )));
        }
        // Its table's pieces do not meet: at multiples of 5 degrees there are steps of up to 1.4e-5 degrees, in PROJ as well.
        // A line along one of them would tear.
        if proj.projname() == "robin" {
            return Err(Error::unsupported(format!(
                "cogclip does not project {name}: Robinson's projection has steps, at which polygons would tear; {WAY_OUT}"
            )));
        }
        if proj.is_geocent() {
            return Err(Error::unsupported(format!("{name} is geocentric: it has no plane to cut in")));
        }
        let angle = proj.is_latlong().then(|| angle.unwrap_or(DEGREE));
        Ok(Self { proj, own: None, ellipsoid, angle })
    }

    /// One whose formula is ours.
    fn of_formula(definition: &Definition, name: &str) -> Result<Option<Self>> {
        let tokens: Vec<&str> = definition.tokens().collect();
        if !tokens.iter().any(|token| OWN_FORMULAS.contains(token)) {
            return Ok(None);
        }
        let ellipsoid = ellipsoid(definition, name)?;
        let [to_metre, _] = definition.metres_per_unit(0.0);
        let Some(own) = Plane::new(&tokens, ellipsoid, to_metre) else { return Ok(None) };
        let proj = proj(&format!("+proj=longlat {}", ellipsoid.proj()), name)?;
        Ok(Some(Self { proj, own: Some(own), ellipsoid, angle: None }))
    }

    fn is_plain_geographic(&self) -> bool {
        self.angle == Some(DEGREE) && self.proj.from_greenwich() == 0.0 && self.proj.is_normalized_axis()
    }

    /// Longitude and latitude in radians of a coordinate; `None` outside the domain.
    fn to_hub(&self, hub: &Proj, xy: [f64; 2]) -> Option<[f64; 2]> {
        let place = self.inverse(hub, xy)?;
        if self.angle.is_some() {
            return Some(place);
        }
        // A plane's coordinate beyond the edge of the world comes back as another one.
        let to_metre = self.own.as_ref().map_or(self.proj.to_meter(), |own| own.to_metre);
        // One radian is an earth's radius: the same allowance in the plane's own unit.
        let allowed = ROUND_TRIP_DEGREES.to_radians() * 6_378_137.0 / to_metre;
        let is_back =
            |place| self.forward(hub, place).is_some_and(|[x, y]| (x - xy[0]).hypot(y - xy[1]) <= allowed);
        // Rounding may take a coordinate on the very edge to the other one, which is the same meridian.
        let [lon, lat] = place;
        (is_back(place) || is_back([lon - EDGE, lat]) || is_back([lon + EDGE, lat])).then_some(place)
    }

    /// The coordinate of a longitude and latitude in radians; `None` outside the domain.
    fn place_of(&self, hub: &Proj, place: [f64; 2]) -> Option<[f64; 2]> {
        let xy = self.forward(hub, place)?;
        if self.angle.is_some() {
            return Some(xy);
        }
        is_near(self.inverse(hub, xy)?, place).then_some(xy)
    }

    fn inverse(&self, hub: &Proj, [x, y]: [f64; 2]) -> Option<[f64; 2]> {
        if let Some(own) = &self.own {
            return own.inverse([x, y]);
        }
        let xy = match self.angle {
            Some(unit) => {
                let [x, y] = [x * unit, y * unit];
                let pole = std::f64::consts::FRAC_PI_2 + 1e-12;
                (y.abs() <= pole && x.abs() <= 6.0 * pole).then_some([x, y])?
            }
            None => [x, y],
        };
        run(&self.proj, hub, xy)
    }

    fn forward(&self, hub: &Proj, place: [f64; 2]) -> Option<[f64; 2]> {
        if let Some(own) = &self.own {
            return own.forward(place);
        }
        let [x, y] = run(hub, &self.proj, place)?;
        Some(match self.angle {
            Some(unit) => [x / unit, y / unit],
            None => [x, y],
        })
    }
}

/// The ellipsoid of a definition; some projections of proj4rs take it for a sphere, and say so of themselves.
fn ellipsoid(definition: &Definition, name: &str) -> Result<Ellipsoid> {
    let keys = ["ellps=", "a=", "b=", "rf=", "f=", "R="];
    let shape = definition.tokens().filter(|token| keys.iter().any(|key| token.starts_with(key)));
    let text = shape.fold("+proj=longlat".to_owned(), |text, token| format!("{text} +{token}"));
    let (a, b) = proj(&text, name)?.ellipse_parameters();
    Ok(Ellipsoid { a, b, inverse_flattening: None })
}

/// Radians in a degree.
const DEGREE: f64 = std::f64::consts::PI / 180.0;

/// Radians in the unit of a geographic CRS: PROJ's name of it, or its value in radians.
fn angular_unit(text: &str) -> Option<f64> {
    match text {
        "deg" | "degree" | "degrees" => Some(DEGREE),
        "grad" => Some(std::f64::consts::PI / 200.0),
        "rad" => Some(1.0),
        _ => text.parse().ok().filter(|unit: &f64| unit.is_finite() && *unit > 0.0),
    }
}

fn run(from: &Proj, to: &Proj, [x, y]: [f64; 2]) -> Option<[f64; 2]> {
    let mut point = (x, y, 0.0);
    proj4rs::transform::transform(from, to, &mut point).ok()?;
    (point.0.is_finite() && point.1.is_finite()).then_some([point.0, point.1])
}

/// Whether two places in radians are one. A whole turn of longitude does not count, and longitude counts less
/// towards the poles.
fn is_near(a: [f64; 2], b: [f64; 2]) -> bool {
    let turn = std::f64::consts::TAU;
    let east = (a[0] - b[0]) / turn;
    let east = (east - east.round()) * turn * b[1].cos();
    let north = a[1] - b[1];
    // The inverse of Albers' projection, PROJ's too, takes all that is so near a pole for the pole itself.
    let is_polar = b[1].abs() > (90.0 - POLAR_DEGREES).to_radians();
    let allowed = if is_polar { POLAR_DEGREES } else { ROUND_TRIP_DEGREES };
    east.hypot(north) <= allowed.to_radians()
}

fn proj(text: &str, name: &str) -> Result<Proj> {
    // proj4rs cuts numbers at byte positions.
    if !text.is_ascii() {
        return Err(Error::usage(format!("a parameter of {name} has characters that no PROJ string has")));
    }
    Proj::from_proj_string(text).map_err(|cause| {
        Error::unsupported(format!("cogclip cannot project {name}; {WAY_OUT}")).caused_by(cause.to_string())
    })
}

#[cfg(test)]
#[expect(clippy::print_stdout, reason = "how close the numbers came belongs to the test's output")]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read;

    use super::super::epsg::{self, Authority};
    use super::*;
    use crate::error::ErrorKind;

    /// Accepts what is of known accuracy, for a place.
    fn at([lon, lat]: [f64; 2]) -> Choice<'static> {
        Choice {
            area: Some([lon, lat, lon, lat]),
            max_error: f64::INFINITY,
            allow_ballpark: false,
            grids: &[],
        }
    }

    fn definition(code: &str) -> Definition {
        let (authority, code) = code.split_once(':').unwrap();
        let authority = if authority == "EPSG" { Authority::Epsg } else { Authority::Esri };
        epsg::find(authority, code.parse().unwrap())
            .unwrap_or_else(|| panic!("{code} is not listed"))
            .definition
    }

    fn between(from: &str, to: &str, choice: &Choice<'_>) -> Result<Projector> {
        let names = [from.to_owned(), to.to_owned()];
        Projector::between(&definition(from), &definition(to), names, choice)
    }

    /// Degrees of latitude of about that many metres.
    fn metres(degrees: f64) -> f64 {
        degrees * 111_320.0
    }

    /// What is promised: PROJ and proj4rs sum the same series in another order, and stop iterating when a step is small.
    const METRES: f64 = 1e-3;

    /// Two points of each code, computed by PROJ: `scripts/crs-agreement.py --sample`, which compares many more.
    #[test]
    fn every_code_agrees_with_proj_both_ways() {
        let mut text = String::new();
        let data = include_bytes!("../../testdata/projected-points.tsv.gz");
        flate2::read::GzDecoder::new(data.as_slice()).read_to_string(&mut text).unwrap();
        let (mut wrong, mut worst, mut points) = (BTreeMap::new(), (0.0_f64, 0.0_f64), 0);
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let fields: Vec<&str> = line.split('\t').collect();
            let numbers: Vec<f64> = fields[1..].iter().map(|field| field.parse().unwrap()).collect();
            let (code, place, expected) = (fields[0], [numbers[0], numbers[1]], [numbers[2], numbers[3]]);
            points += 1;
            let projector = match between("EPSG:4326", code, &at(place)) {
                Ok(projector) => projector,
                Err(error) => {
                    wrong.insert(code, error.to_string());
                    continue;
                }
            };
            let (there, back) = match (projector.project(place), projector.inverse().project(expected)) {
                (Ok(there), Ok(back)) => (there, back),
                (Err(error), _) | (_, Err(error)) => {
                    wrong.insert(code, error.to_string());
                    continue;
                }
            };
            let off = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).abs().max((a[1] - b[1]).abs());
            let forward = off(there, expected) * definition(code).metres_per_unit(0.0)[1];
            let turn = ((back[0] - place[0]) / 360.0).round() * 360.0;
            let inverse = metres(off([back[0] - turn, back[1]], place));
            // A Helmert transformation is inverted by turning the signs of its angles, in PROJ too: half a minute of arc
            // makes 0.1 m. What comes back is compared with PROJ's own by scripts/crs-agreement.py.
            let is_shifted = projector.route.as_ref().is_some_and(|route| !route.shift.is_null());
            // Its inverse is an approximation, EPSG's own.
            let is_approximate = definition(code).proj.contains("col_urban");
            if forward > METRES || inverse > if is_shifted || is_approximate { 0.3 } else { METRES } {
                wrong.insert(code, format!("{forward:e} m, {inverse:e} m: {}", definition(code).proj));
            } else {
                worst = (worst.0.max(forward), worst.1.max(inverse));
            }
        }
        println!("{points} points; worst {:e} m, {:e} m", worst.0, worst.1);
        assert!(points > 10_000 && wrong.is_empty(), "{} codes: {wrong:#?}", wrong.len());
    }

    #[track_caller]
    fn refused(from: &str, to: &str, xy: [f64; 2], words: &[&str]) {
        let (from, to) = (Crs::parse(from).unwrap(), Crs::parse(to).unwrap());
        let choice = Choice { area: None, max_error: 1.0, allow_ballpark: false, grids: &[] };
        let error = Projector::new(&from, &to, &choice).and_then(|p| p.project(xy)).unwrap_err();
        for word in words {
            assert!(error.to_string().contains(word), "{error}");
        }
        assert!(matches!(error.kind(), ErrorKind::Usage | ErrorKind::Unsupported));
    }

    #[test]
    fn what_has_no_exact_answer_is_refused() {
        refused("EPSG:4326", "EPSG:3857", [0.0, 90.0], &["(0, 90)", "EPSG:4326", "EPSG:3857"]);
        refused("EPSG:4326", "EPSG:32633", [10.0, 91.0], &["degrees"]);
        refused("EPSG:4326", "EPSG:32633", [f64::NAN, 1.0], &["NaN"]);
        refused("EPSG:4326", "EPSG:32633", [1.0, f64::INFINITY], &["inf"]);
        refused("EPSG:4326", "EPSG:32633", [500_000.0, 5_000_000.0], &["--cutline-crs"]);
        // A quarter of the equator away from the zone: there the projection goes to infinity.
        refused("EPSG:4326", "EPSG:32633", [105.0, 0.0], &["EPSG:32633"]);
        refused("EPSG:3857", "EPSG:4326", [3e7, 0.0], &["EPSG:3857"]);
        refused(
            "EPSG:27700",
            "EPSG:4326",
            [0.0, 0.0],
            &[
                "EPSG:27700",
                "EPSG:4326",
                "OSGB36 to WGS 84 (6)",
                "2 m",
                "1 m",
                "--max-crs-error",
                "--allow-ballpark",
                "--grid",
            ],
        );
        refused("EPSG:4326", "EPSG:99999", [0.0, 0.0], &["EPSG:99999"]);
        refused(
            "+proj=utm +zone=33 +ellps=bessel",
            "EPSG:4326",
            [5e5, 5e6],
            &["unknown", "--allow-ballpark"],
        );
        refused(
            "+proj=utm +zone=33 +a=6377397.155 +rf=299.15",
            "EPSG:4326",
            [5e5, 5e6],
            &["unknown", "--allow-ballpark"],
        );
        refused("EPSG:4267", "EPSG:4326", [1.0, 1.0], &["NAD27", "20 m"]);
        refused("+proj=ob_tran +o_proj=longlat", "EPSG:4326", [1.0, 1.0], &["o_proj"]);
        // Found by fuzzing: proj4rs panics.
        refused(
            "+proj=merc +lat_0=45555555555555555555555\u{605}5'",
            "EPSG:4326",
            [1.0, 1.0],
            &["characters"],
        );
        refused("+proj=robin +datum=WGS84", "EPSG:4326", [1.0, 1.0], &["Robinson"]);
        refused("+proj=eck4 +datum=WGS84", "EPSG:4326", [1.0, 1.0], &["eck4"]);
        refused("+proj=eqc +k=2 +datum=WGS84", "EPSG:4326", [1.0, 1.0], &["eqc"]);
        refused("+proj=geocent +datum=WGS84", "EPSG:4326", [1.0, 1.0], &["geocentric"]);
    }

    #[test]
    fn the_same_datum_and_plane_moves_no_bit() {
        let place = [12.345_678_901_234_567, 45.678_901_234_567_89];
        // ETRS89 and WGS 84 are on different ellipsoids, which matter to planes only.
        for (from, to) in [
            ("EPSG:4326", "EPSG:4326"),
            ("EPSG:4258", "EPSG:4326"),
            ("EPSG:27700", "EPSG:27700"),
            ("EPSG:32633", "EPSG:32633"),
        ] {
            let projector = between(from, to, &at(place)).unwrap();
            assert!(projector.is_identity() && projector.inverse().is_identity(), "{from} {to}");
            assert_eq!(projector.project(place).unwrap().map(f64::to_bits), place.map(f64::to_bits));
        }
        assert!(!between("EPSG:25833", "EPSG:32633", &at(place)).unwrap().is_identity());
    }

    /// Expected values by PROJ 9.8.1: the sphere's latitudes are the ellipsoid's (MODIS), and web Mercator's too.
    #[test]
    fn spheres_take_latitudes_as_they_are() {
        let check = |to: &str, expected: [f64; 2]| {
            let choice = Choice { area: None, max_error: 0.0, allow_ballpark: false, grids: &[] };
            let projector = Projector::new(&Crs::wgs84(), &Crs::parse(to).unwrap(), &choice).unwrap();
            let got = projector.project([10.0, 50.0]).unwrap();
            assert!(
                (got[0] - expected[0]).abs() < 1e-6 && (got[1] - expected[1]).abs() < 1e-6,
                "{to}: {got:?}"
            );
            projector.operation().clone()
        };
        check("EPSG:3857", [1_113_194.907_932_735_7, 6_446_275.841_017_161]);
        let operation = check(
            "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs",
            [714_748.016_690_428_5, 5_559_752.598_832_616],
        );
        assert_eq!((operation.accuracy, operation.is_ballpark), (Some(0.0), false));
        assert!(operation.name.starts_with("sphere"));
    }

    /// By PROJ 9.8.1, whose inverse of Albers' projection gives the pole itself for the second.
    #[test]
    fn maps_reach_to_the_poles_without_a_gap() {
        let projector =
            Projector::new(&Crs::parse("EPSG:4269").unwrap(), &Crs::from_epsg(5070).unwrap(), &Choice::ANY)
                .unwrap();
        for (place, expected) in [
            ([150.0, 89.9], [-3_767_856.330_262_706, 8_462_252.820_024_414]),
            ([150.0, 89.99], [-3_767_832.722_710_941, 8_462_262.009_552_827]),
            ([150.0, 90.0], [-3_767_832.484_249_997, 8_462_262.102_376_666]),
        ] {
            let got = projector.project(place).unwrap();
            assert!((got[0] - expected[0]).hypot(got[1] - expected[1]) < METRES, "{place:?}: {got:?}");
        }
    }
}
