//! Coordinates from one CRS to another, by proj4rs.

use std::fmt;

use proj4rs::Proj;

use super::crs::{Crs, WAY_OUT};
use super::definition::Datum;
use super::epsg;
use super::proj_string::tokens as proj_tokens;
use crate::error::{Error, Result};

/// Degrees by which a coordinate may miss itself after a round trip through a projection and still be in that
/// projection's domain. One centimetre on the ground: over every
/// code of the table the inverse is within 1e-10 degrees of PROJ's.
const ROUND_TRIP_DEGREES: f64 = 1e-7;

/// Parameters of PROJ strings that proj4rs honours. It ignores all others without a word, so that they must be
/// refused here.
const PARAMETERS: &[&str] = &[
    "proj", "lat_0", "lat_1", "lat_2", "lat_ts", "lon_0", "lonc", "x_0", "y_0", "k", "k_0", "zone", "south",
    "ellps", "R", "a", "b", "rf", "f", "units", "to_meter", "pm", "axis", "alpha", "gamma", "h", "sweep",
    "no_uoff", "no_off", "datum", "towgs84", "nadgrids", "no_defs", "type", "wktext",
];

/// Takes coordinates from one CRS to another, both in GIS axis order.
///
/// Only datums between which PROJ applies no shift are accepted, so that the projection alone decides the place.
pub struct Projector {
    from: Side,
    to: Side,
    /// The hub: longitude and latitude of Greenwich in radians.
    hub: Proj,
    /// Nothing to do: coordinates stay bit for bit.
    identity: bool,
}

struct Side {
    crs: Crs,
    proj: Proj,
    geographic: bool,
}

impl fmt::Debug for Projector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Projector({self})")
    }
}

impl fmt::Display for Projector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.from.crs, self.to.crs)
    }
}

impl Projector {
    /// Prepares to take coordinates in `from` to `to`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] when one of them cannot be projected exactly, or when their datums differ.
    pub fn new(from: &Crs, to: &Crs) -> Result<Self> {
        if let (Some(a), Some(b)) = (from.base(), to.base())
            && !epsg::datums_agree(a, b)
        {
            return Err(Error::unsupported(format!(
                "{from} and {to} are on different datums, and cogclip has no datum shifts yet; {WAY_OUT}"
            )));
        }
        let hub = proj("+proj=longlat +ellps=WGS84", &Crs::wgs84())?;
        let (from, to) = (Side::new(from)?, Side::new(to)?);
        let identity = from.crs.is_same(&to.crs) || (from.is_plain_geographic() && to.is_plain_geographic());
        Ok(Self { from, to, hub, identity })
    }

    /// Whether coordinates stay as they are, bit for bit.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.identity
    }

    /// A coordinate of the one CRS in the other.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] when the coordinate lies outside the domain of either CRS: latitude beyond 90
    /// degrees, not finite, or a place that the projection cannot bring back.
    pub fn project(&self, xy: [f64; 2]) -> Result<[f64; 2]> {
        if self.identity && xy.iter().all(|v| v.is_finite()) {
            return Ok(xy);
        }
        self.try_project(xy).ok_or_else(|| {
            let [x, y] = xy;
            let advice = if self.from.geographic && (y.abs() > 90.0 || x.abs() > 540.0) {
                "these are no longitude and latitude in degrees; `--cutline-crs` says what they are"
            } else {
                "the place is outside the area for which one of the two is made"
            };
            Error::usage(format!(
                "the coordinate ({x}, {y}) in {} cannot be expressed in {}: {advice}",
                self.from.crs, self.to.crs
            ))
        })
    }

    fn try_project(&self, xy: [f64; 2]) -> Option<[f64; 2]> {
        let place = self.from.to_hub(&self.hub, xy)?;
        self.to.place_of(&self.hub, place)
    }
}

impl Side {
    fn new(crs: &Crs) -> Result<Self> {
        let Some(text) = crs.proj_string() else {
            return Err(crs.unlisted());
        };
        if let Some(Datum::ToWgs84(shift) | Datum::EpsgToWgs84(_, shift)) = crs.definition().map(|d| d.datum)
        {
            return Err(shifted(&format!("`towgs84` {shift:?}"), crs));
        }
        let proj = proj(&without_datum(text, crs)?, crs)?;
        // Other ellipsoids belong to datums that lie some hundred metres from WGS 84. A sphere is different: by
        // convention its latitudes are those of the ellipsoid.
        let (a, b) = proj.ellipse_parameters();
        let is_sphere = (a - b).abs() < 1e-3 && (6_350_000.0..6_400_000.0).contains(&a);
        let is_wgs84 = (a - 6_378_137.0).abs() < 1e-3 && (b - 6_356_752.314).abs() < 1e-2;
        if !is_sphere && !is_wgs84 {
            return Err(shifted(&format!("an ellipsoid of {a} by {b} m"), crs));
        }
        // proj4rs computes eqc on a sphere whatever the ellipsoid, up to 20 km from where PROJ puts it.
        if proj.projname() == "eqc" && !proj_tokens(text).iter().any(|token| token.starts_with("R=")) {
            return Err(Error::unsupported(format!(
                "cogclip cannot project {crs}: +proj=eqc on an ellipsoid; {WAY_OUT}"
            )));
        }
        if proj.is_geocent() {
            return Err(Error::unsupported(format!("{crs} is geocentric: it has no plane to cut in")));
        }
        Ok(Self { geographic: proj.is_latlong(), crs: crs.clone(), proj })
    }

    fn is_plain_geographic(&self) -> bool {
        self.geographic && self.proj.from_greenwich() == 0.0 && self.proj.is_normalized_axis()
    }

    /// Longitude and latitude in radians of a coordinate; `None` outside the domain.
    fn to_hub(&self, hub: &Proj, xy: [f64; 2]) -> Option<[f64; 2]> {
        let place = self.inverse(hub, xy)?;
        if self.geographic {
            return Some(place);
        }
        // A plane's coordinate beyond the edge of the world comes back as another one.
        let [x, y] = self.forward(hub, place)?;
        let [place_x, place_y] = self.inverse(hub, [x, y])?;
        let back = (x - xy[0]).hypot(y - xy[1]);
        // One radian is an earth's radius: the same allowance in the plane's own unit.
        let allowed = ROUND_TRIP_DEGREES.to_radians() * 6_378_137.0 / self.proj.to_meter();
        (back <= allowed && is_near([place_x, place_y], place)).then_some(place)
    }

    /// The coordinate of a longitude and latitude in radians; `None` outside the domain.
    fn place_of(&self, hub: &Proj, place: [f64; 2]) -> Option<[f64; 2]> {
        let xy = self.forward(hub, place)?;
        if self.geographic {
            return Some(xy);
        }
        is_near(self.inverse(hub, xy)?, place).then_some(xy)
    }

    fn inverse(&self, hub: &Proj, [x, y]: [f64; 2]) -> Option<[f64; 2]> {
        let xy = if self.geographic {
            (y.abs() <= 90.0 && x.abs() <= 540.0).then(|| [x.to_radians(), y.to_radians()])?
        } else {
            [x, y]
        };
        run(&self.proj, hub, xy)
    }

    fn forward(&self, hub: &Proj, place: [f64; 2]) -> Option<[f64; 2]> {
        let [x, y] = run(hub, &self.proj, place)?;
        Some(if self.geographic { [x.to_degrees(), y.to_degrees()] } else { [x, y] })
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
    east.hypot(north) <= ROUND_TRIP_DEGREES.to_radians()
}

fn proj(text: &str, crs: &Crs) -> Result<Proj> {
    Proj::from_proj_string(text).map_err(|cause| {
        Error::unsupported(format!("cogclip cannot project {crs}; {WAY_OUT}")).caused_by(cause.to_string())
    })
}

/// The PROJ string without its datum, once it is clear that the datum calls for no shift: proj4rs then computes
/// the projection and nothing else, as PROJ does, where it would otherwise go through geocentric coordinates.
fn without_datum(text: &str, crs: &Crs) -> Result<String> {
    let mut plain = Vec::new();
    let mut ellipsoid = None;
    for token in proj_tokens(text) {
        let (name, value) = token.split_once('=').unwrap_or((token, ""));
        if !PARAMETERS.contains(&name) {
            return Err(Error::unsupported(format!(
                "the parameter `+{token}` of the CRS {crs} is not one that cogclip can project with; {WAY_OUT}"
            )));
        }
        match (name, value) {
            ("no_defs" | "type" | "wktext", _) | ("nadgrids", "@null") => {}
            ("datum", "WGS84") => ellipsoid = Some("+ellps=WGS84"),
            ("datum", "NAD83") => ellipsoid = Some("+ellps=GRS80"),
            ("towgs84", shifts) if shifts.split(',').all(|shift| shift.parse() == Ok(0.0)) => {}
            ("datum" | "towgs84" | "nadgrids", _) => return Err(shifted(&format!("`+{token}`"), crs)),
            _ => plain.push(format!("+{token}")),
        }
    }
    plain.extend(ellipsoid.map(str::to_owned));
    Ok(plain.join(" "))
}

fn shifted(what: &str, crs: &Crs) -> Error {
    Error::unsupported(format!(
        "the CRS {crs} has {what}: its datum is not WGS 84's, and cogclip has no datum shifts yet; {WAY_OUT}"
    ))
}

#[cfg(test)]
#[expect(clippy::print_stdout, reason = "how close the numbers came belongs to the test's output")]
mod tests {
    use std::collections::HashMap;
    use std::io::Read;

    use super::*;
    use crate::error::ErrorKind;

    /// EPSG code, longitude, latitude, x, y: computed by PROJ, see scripts/make-epsg.py.
    fn points() -> Vec<(u32, [f64; 2], [f64; 2])> {
        let mut text = String::new();
        let data = include_bytes!("../../testdata/projected-points.tsv.gz");
        flate2::read::GzDecoder::new(data.as_slice()).read_to_string(&mut text).unwrap();
        text.lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| {
                let f: Vec<&str> = line.split('\t').collect();
                let n: Vec<f64> = f[1..].iter().map(|v| v.parse().unwrap()).collect();
                (f[0].parse().unwrap(), [n[0], n[1]], [n[2], n[3]])
            })
            .collect()
    }

    /// PROJ and proj4rs sum the same series in another order: 1e-6 m is some thousand units in the last place of
    /// an easting, and a hundred thousandth of the finest pixel.
    const METRES: f64 = 1e-6;
    /// Inverse series stop iterating when a step is below 1e-10 radians: what is left is about its square in PROJ,
    /// and somewhat more in proj4rs. 1e-10 degrees are 0.01 mm.
    const DEGREES: f64 = 1e-10;

    #[test]
    fn every_code_agrees_with_proj_both_ways() {
        let (mut wrong, mut worst) = (HashMap::new(), (0.0_f64, 0.0_f64));
        let points = points();
        let mut codes = std::collections::HashSet::new();
        for (code, place, expected) in &points {
            codes.insert(*code);
            let crs = Crs::from_epsg(*code).unwrap();
            let there = Projector::new(&Crs::wgs84(), &crs).and_then(|p| p.project(*place));
            let back = Projector::new(&crs, &Crs::wgs84()).and_then(|p| p.project(*expected));
            let (there, back) = match (there, back) {
                (Ok(there), Ok(back)) => (there, back),
                (Err(error), _) | (_, Err(error)) => {
                    wrong.insert(*code, error.to_string());
                    continue;
                }
            };
            let off = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).abs().max((a[1] - b[1]).abs());
            let unit = if crs.is_geographic() {
                111_320.0
            } else {
                proj(crs.proj_string().unwrap(), &crs).unwrap().to_meter()
            };
            let forward = off(there, *expected) * unit;
            let turn = ((back[0] - place[0]) / 360.0).round() * 360.0;
            let inverse = off([back[0] - turn, back[1]], *place);
            if forward > METRES || inverse > DEGREES {
                wrong.insert(
                    *code,
                    format!("{forward:e} m, {inverse:e} degrees: {}", crs.proj_string().unwrap()),
                );
            } else {
                worst = (worst.0.max(forward), worst.1.max(inverse));
            }
        }
        let mut wrong: Vec<_> = wrong.into_iter().collect();
        wrong.sort();
        println!(
            "{} points of {} codes; worst {:e} m, {:e} degrees",
            points.len(),
            codes.len(),
            worst.0,
            worst.1
        );
        assert!(wrong.is_empty(), "{} codes: {wrong:#?}", wrong.len());
    }

    #[track_caller]
    fn refused(from: &str, to: &str, xy: [f64; 2], words: &[&str]) {
        let (from, to) = (Crs::parse(from).unwrap(), Crs::parse(to).unwrap());
        let error = Projector::new(&from, &to).and_then(|p| p.project(xy)).unwrap_err();
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
        refused("EPSG:27700", "EPSG:4326", [0.0, 0.0], &["EPSG:27700", "--cutline-crs source"]);
        refused("EPSG:4326", "EPSG:99999", [0.0, 0.0], &["EPSG:99999"]);
        refused("EPSG:4283", "EPSG:7844", [150.0, -30.0], &["datum"]);
        refused("+proj=utm +zone=33 +ellps=bessel", "EPSG:4326", [5e5, 5e6], &["datum"]);
        refused("+proj=utm +zone=33 +a=6377397.155 +rf=299.15", "EPSG:4326", [5e5, 5e6], &["datum"]);
        refused("+proj=longlat +datum=NAD27", "EPSG:4326", [1.0, 1.0], &["datum"]);
        refused("+proj=tmerc +ellps=GRS80 +towgs84=1,2,3", "EPSG:4326", [1.0, 1.0], &["towgs84"]);
        refused("+proj=ob_tran +o_proj=longlat", "EPSG:4326", [1.0, 1.0], &["o_proj"]);
        refused("+proj=eck4 +datum=WGS84", "EPSG:4326", [1.0, 1.0], &["eck4"]);
        refused("+proj=eqc +datum=WGS84", "EPSG:4326", [1.0, 1.0], &["eqc"]);
        refused("+proj=geocent +datum=WGS84", "EPSG:4326", [1.0, 1.0], &["geocentric"]);
    }

    #[test]
    fn the_same_datum_and_plane_moves_no_bit() {
        let place = [12.345_678_901_234_567, 45.678_901_234_567_89];
        for (from, to) in
            [("EPSG:4326", "OGC:CRS84"), ("EPSG:4258", "EPSG:4326"), ("EPSG:27700", "epsg:27700")]
        {
            let (from, to) = (Crs::parse(from).unwrap(), Crs::parse(to).unwrap());
            if from.proj_string().is_some() {
                let got = Projector::new(&from, &to).unwrap().project(place).unwrap();
                assert_eq!(got.map(f64::to_bits), place.map(f64::to_bits));
            }
        }
    }

    /// Expected values by PROJ 9.8.1: the sphere's latitudes are the ellipsoid's (MODIS), and web Mercator's too.
    #[test]
    fn spheres_take_latitudes_as_they_are() {
        let check = |to: &str, expected: [f64; 2]| {
            let got = Projector::new(&Crs::wgs84(), &Crs::parse(to).unwrap())
                .unwrap()
                .project([10.0, 50.0])
                .unwrap();
            assert!(
                (got[0] - expected[0]).abs() < METRES && (got[1] - expected[1]).abs() < METRES,
                "{to}: {got:?}"
            );
        };
        check("EPSG:3857", [1_113_194.907_932_735_7, 6_446_275.841_017_161]);
        check(
            "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs",
            [714_748.016_690_428_5, 5_559_752.598_832_616],
        );
    }
}
