//! What a text says of a CRS, whatever its format, and the [`Definition`] that this amounts to. Nothing is made up: what
//! is not known by name is an error that names it.

#![expect(clippy::float_cmp, reason = "what a text writes as 0 or 1 is 0 or 1")]

use super::crs::{Authority, Crs, WAY_OUT};
use super::definition::{Datum, Definition};
use super::epsg;
use super::helmert::Shift;
use super::method::{Method, Twist, folded};
use super::parameters::{Absent, Kind, Term};
use super::proj_string;
use crate::error::{Error, ErrorKind, Result};

/// US survey foot in metres.
pub(super) const US_FOOT: f64 = 1200.0 / 3937.0;

/// What an authority calls a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id {
    pub(super) authority: Authority,
    pub(super) code: u32,
}

/// An ellipsoid: semi-major axis in metres and inverse flattening, which is 0 for a sphere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ellipsoid {
    pub(super) a: f64,
    pub(super) rf: f64,
}

/// A unit, as the number of degrees, metres or ones in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Unit {
    Angle(f64),
    Length(f64),
    Scale(f64),
}

/// A geographic CRS.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Geodetic {
    /// Its name.
    pub(super) name: String,
    /// Its code.
    pub(super) id: Option<Id>,
    /// The datum's name.
    pub(super) datum: String,
    /// The datum's code.
    pub(super) datum_id: Option<Id>,
    pub(super) ellipsoid: Ellipsoid,
    /// The datum, when it does not take looking up.
    pub(super) certain: Option<Datum>,
    /// Longitude of the prime meridian from Greenwich in degrees.
    pub(super) meridian: f64,
    /// Degrees in the unit of its coordinates.
    pub(super) degrees: f64,
    /// The transformation to WGS 84 that the text gives.
    pub(super) shift: Shift,
}

/// A parameter's value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Value {
    pub(super) name: String,
    /// Its EPSG code.
    pub(super) code: Option<u32>,
    pub(super) number: f64,
    /// Its unit; `None`: that of the CRS, by its kind.
    pub(super) unit: Option<Unit>,
}

/// How the plane is made of the ellipsoid.
#[derive(Clone, Debug)]
pub(super) struct Projection {
    pub(super) method: &'static Method,
    /// The method's name, as the text has it.
    pub(super) name: String,
    pub(super) values: Vec<Value>,
    /// Metres in the unit of the plane.
    pub(super) metres: f64,
    /// Metres in the unit of lengths among the values, degrees in that of angles.
    pub(super) value_units: (f64, f64),
    /// The first axis points south and the second west.
    pub(super) is_south_west: bool,
}

/// A CRS of the plane or of longitude and latitude.
#[derive(Debug)]
pub(super) struct Description {
    pub(super) name: String,
    pub(super) id: Option<Id>,
    pub(super) geodetic: Geodetic,
    pub(super) plane: Plane,
}

/// What is done with longitude and latitude.
#[derive(Debug)]
pub(super) enum Plane {
    /// Nothing: they are the coordinates.
    Geographic,
    /// They are projected.
    Projected(Projection),
    /// They are projected as a PROJ string says, which overrides the rest (WKT1's EXTENSION).
    Extension(String),
    /// What is not understood, and why: only a code can stand for it.
    Unknown(Error),
}

impl Description {
    /// The CRS. With a code of the table and the table's content it is that code.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] or [`crate::ErrorKind::Format`] for what cannot be understood.
    pub(super) fn crs(self, text: &str) -> Result<Crs> {
        let listed = self.id.and_then(|id| Some((id, epsg::definition(id.authority, id.code)?)));
        let Self { name, id, geodetic, plane } = self;
        let definition = match definition(&name, &geodetic, plane) {
            Ok(definition) => definition,
            // A code that the table lacks is all that the other side can have, too: it can be compared, not projected.
            Err(error) => {
                return match id {
                    Some(id) if error.kind() == ErrorKind::Unsupported && listed.is_none() => {
                        Ok(Crs::coded(id.authority, id.code))
                    }
                    _ => Err(error.at(format!("the CRS \"{name}\""))),
                };
            }
        };
        Ok(match (listed, id) {
            (Some((id, same)), _) if definition.is_content_of(&same) => Crs::coded(id.authority, id.code),
            (None, Some(id)) => Crs::coded(id.authority, id.code).with_definition(definition),
            (_, _) => Crs::described(name, definition, text),
        })
    }
}

/// What the content amounts to, without a look at the code.
fn definition(name: &str, geodetic: &Geodetic, plane: Plane) -> Result<Definition> {
    let mut datum = geodetic.datum();
    match plane {
        Plane::Unknown(error) => Err(error),
        Plane::Extension(extension) => Ok(Definition {
            proj: proj_string::projection_of_extension(&extension, geodetic.ellipsoid)?,
            datum,
        }),
        Plane::Geographic => {
            let unit = match geodetic.degrees {
                1.0 => String::new(),
                0.9 => " +units=grad".to_owned(),
                degrees if degrees.is_finite() && degrees > 0.0 => {
                    format!(" +to_meter={}", degrees.to_radians())
                }
                degrees => return Err(Error::format(format!("its unit is {degrees} degrees"))),
            };
            Ok(Definition {
                proj: format!("+proj=longlat {}{unit}", geodetic.text(geodetic.ellipsoid)?),
                datum,
            })
        }
        Plane::Projected(projection) => {
            let (terms, ellipsoid) = projection.terms(geodetic.ellipsoid)?;
            // The sphere of old web Mercator definitions stands for WGS 84, whose latitudes it takes as they are (PROJ
            // knows them by these names).
            let is_web = ["webmercator", "pseudomercator"].iter().any(|known| folded(name).contains(known));
            if datum == Datum::Unknown
                && is_web
                && terms.starts_with("+proj=merc ")
                && is_web_sphere(ellipsoid)
            {
                datum = Datum::Epsg(4326);
            }
            let unit = unit_text(projection.metres)?;
            Ok(Definition { proj: format!("{terms} {} {unit}", geodetic.text(ellipsoid)?), datum })
        }
    }
}

fn is_web_sphere(ellipsoid: Ellipsoid) -> bool {
    ellipsoid.rf == 0.0 && (ellipsoid.a - 6_378_137.0).abs() < 1e-6
}

impl Geodetic {
    /// Its part of the PROJ string.
    fn text(&self, ellipsoid: Ellipsoid) -> Result<String> {
        let mut text = ellipsoid.text()?;
        if !self.meridian.is_finite() || self.meridian.abs() > 180.0 {
            return Err(Error::format(format!("its prime meridian lies at {} degrees", self.meridian)));
        }
        if self.meridian != 0.0 {
            text.extend([" +pm=", &self.meridian.to_string()]);
        }
        Ok(text)
    }

    /// Its datum: by code, if the code's ellipsoid is the text's own; else by name, on the same condition.
    ///
    /// A transformation to WGS 84 in the text is kept beside a datum that is known: PROJ uses it between datums, and no
    /// transformation at all within one.
    fn datum(&self) -> Datum {
        let b = self.ellipsoid.b();
        let agrees = |code: u32, with_meridian: bool| {
            epsg::definition(Authority::Epsg, code).and_then(|found| {
                let (a0, b0) = found.ellipsoid()?;
                let is_same = (self.ellipsoid.a - a0).abs() < 0.01 && (b - b0).abs() < 0.01;
                let has_meridian = !with_meridian || (found.meridian() - self.meridian).abs() < 1e-6;
                (is_same && has_meridian && found.is_geographic()).then_some(found.datum)
            })
        };
        let by_code = self
            .id
            .filter(|id| id.authority == Authority::Epsg)
            .and_then(|id| agrees(id.code, false))
            .or_else(|| {
                // EPSG numbers the datums of the geographic CRSs 4xxx as 6xxx.
                let id = self.datum_id.filter(|id| id.authority == Authority::Epsg)?;
                (6001..7000).contains(&id.code).then(|| agrees(id.code - 2000, false))?
            });
        // ESRI has one name for a datum with two prime meridians, and the geographic CRS tells which.
        let known = self.certain.or(by_code).or_else(|| {
            let codes = [&self.datum, &self.name].map(|name| epsg::datum_by_name(name));
            let by_name = |with_meridian| codes.iter().find_map(|code| agrees((*code)?, with_meridian));
            by_name(true).or_else(|| by_name(false))
        });
        match (known, self.shift) {
            (_, Shift::Null) => Datum::Epsg(4326),
            (Some(datum), Shift::None) => datum,
            (Some(Datum::Epsg(4326)), Shift::ToWgs84(shift)) if shift.iter().all(|v| *v == 0.0) => {
                Datum::Epsg(4326)
            }
            (Some(Datum::Epsg(code)), Shift::ToWgs84(shift)) => Datum::EpsgToWgs84(code, shift),
            (_, Shift::ToWgs84(shift)) => Datum::ToWgs84(shift),
            (None, Shift::None) => Datum::Unknown,
        }
    }
}

impl Ellipsoid {
    /// From the two semi-axes in metres.
    pub(super) fn of_axes(a: f64, b: f64) -> Self {
        Self { a, rf: if a == b { 0.0 } else { a / (a - b) } }
    }

    /// Semi-minor axis in metres.
    pub(super) fn b(self) -> f64 {
        if self.rf == 0.0 { self.a } else { self.a * (1.0 - 1.0 / self.rf) }
    }

    fn text(self) -> Result<String> {
        let Self { a, rf } = self;
        if !(a.is_finite() && a > 1.0) || !(rf == 0.0 || rf.is_finite() && rf > 1.0) {
            return Err(Error::format(format!(
                "its ellipsoid has the semi-major axis {a} m and the inverse flattening {rf}"
            )));
        }
        Ok(if rf == 0.0 { format!("+R={a}") } else { format!("+a={a} +rf={rf}") })
    }

    fn eccentricity_squared(self) -> f64 {
        if self.rf == 0.0 { 0.0 } else { (2.0 - 1.0 / self.rf) / self.rf }
    }

    /// The sphere of equal area, in the series that PROJ has for `+R_A`.
    fn sphere_of_area(self) -> Self {
        let es = self.eccentricity_squared();
        Self { a: self.a * (1.0 - es * (1.0 / 6.0 + es * (17.0 / 360.0 + es * 67.0 / 3024.0))), rf: 0.0 }
    }
}

impl Projection {
    /// The head of the PROJ string, `+proj=` and its parameters, and the ellipsoid it is computed on.
    fn terms(&self, ellipsoid: Ellipsoid) -> Result<(String, Ellipsoid)> {
        let mut found = self.found()?;
        let mut proj = self.method.proj;
        let mut on = ellipsoid;
        match self.method.twist {
            Twist::LambertConic => lambert(&mut found)?,
            Twist::Mercator => mercator(&mut found)?,
            Twist::Pole => {
                let pole = get(&found, "lat_0").unwrap_or(0.0);
                if (pole.abs() - 90.0).abs() > 1e-10 {
                    return Err(Error::unsupported(format!("its latitude of origin is {pole}, not a pole")));
                }
            }
            Twist::PolarEither => polar(&mut found)?,
            Twist::PoleOfParallel => {
                let parallel =
                    get(&found, "lat_ts").ok_or_else(|| lacking("latitude of standard parallel"))?;
                if parallel == 0.0 {
                    return Err(Error::unsupported(
                        "its standard parallel is the equator: it does not say which pole",
                    ));
                }
                found.push(("lat_0", 90.0_f64.copysign(parallel)));
            }
            Twist::Oblique => proj = oblique(&mut found, proj),
            Twist::Krovak => proj = self.krovak(&mut found)?,
            Twist::SphereOfA => on = Ellipsoid { rf: 0.0, ..ellipsoid },
            Twist::SphereOfArea => on = ellipsoid.sphere_of_area(),
            // At the equator: the method's latitude of origin is taken only as 0.
            Twist::SphereOfConformality => {
                on = Ellipsoid { a: ellipsoid.a * (1.0 - ellipsoid.eccentricity_squared()).sqrt(), rf: 0.0 };
            }
            Twist::OnlySphere if ellipsoid.rf != 0.0 => {
                return Err(Error::unsupported(format!(
                    "the method \"{}\" is told of an ellipsoid",
                    self.name
                )));
            }
            Twist::None | Twist::OnlySphere => {}
        }
        if let Some(k) = get(&found, "k_0")
            && k <= 0.0
        {
            return Err(Error::unsupported(format!("its scale factor is {k}; {WAY_OUT}")));
        }
        let mut text = format!("+proj={proj}");
        for (key, value) in &found {
            if !value.is_finite() {
                return Err(Error::format(format!("its parameter {key} is {value}")));
            }
            if !key.starts_with('!') {
                text.extend([" +", key, "=", &value.to_string()]);
            }
        }
        Ok((text, on))
    }

    /// The parameters by their keys in a PROJ string: degrees, metres and numbers.
    fn found(&self) -> Result<Vec<(&'static str, f64)>> {
        let mut found: Vec<(&'static str, f64)> = Vec::new();
        let mut by_value: Vec<Option<&Term>> = vec![None; self.values.len()];
        for (value, slot) in self.values.iter().zip(&mut by_value) {
            let of_code = |term: &&Term| value.code.is_some_and(|code| term.parameter.codes.contains(&code));
            let of_name = |term: &&Term| term.parameter.is_called(&value.name);
            let terms = self.method.terms;
            *slot = terms.iter().find(of_code).or_else(|| terms.iter().find(of_name));
            let Some(term) = *slot else {
                return Err(Error::unsupported(format!(
                    "the method \"{}\" has the parameter \"{}\", which is not understood; {WAY_OUT}",
                    self.name, value.name
                )));
            };
            let number = self.number(value, term.parameter.kind)?;
            match term.absent {
                Absent::Only(only) if (number - only).abs() > 1e-12 => {
                    return Err(Error::unsupported(format!(
                        "the method \"{}\" has \"{}\" = {}, which cannot be projected; {WAY_OUT}",
                        self.name, value.name, value.number
                    )));
                }
                Absent::Only(_) => {}
                Absent::Never | Absent::Is(_) | Absent::Decided => match get(&found, term.key) {
                    None => found.push((term.key, number)),
                    Some(other) if other == number => {}
                    Some(other) => {
                        return Err(Error::format(format!(
                            "its parameter \"{}\" is {number} and {other}",
                            value.name
                        )));
                    }
                },
            }
        }
        for term in self.method.terms {
            match term.absent {
                Absent::Never if get(&found, term.key).is_none() => {
                    return Err(lacking(term.parameter.names.first().unwrap_or(&term.key)));
                }
                Absent::Is(value) if get(&found, term.key).is_none() => found.push((term.key, value)),
                Absent::Never | Absent::Is(_) | Absent::Only(_) | Absent::Decided => {}
            }
        }
        Ok(found)
    }

    fn number(&self, value: &Value, kind: Kind) -> Result<f64> {
        let (metres, degrees) = self.value_units;
        match (kind, value.unit) {
            (Kind::Angle, None) => Ok(value.number * degrees),
            (Kind::Length, None) => Ok(value.number * metres),
            (Kind::Number, None) => Ok(value.number),
            (Kind::Angle, Some(Unit::Angle(factor)))
            | (Kind::Length, Some(Unit::Length(factor)))
            | (Kind::Number, Some(Unit::Scale(factor))) => Ok(value.number * factor),
            (_, Some(unit)) => {
                Err(Error::format(format!("its parameter \"{}\" has the unit {unit:?}", value.name)))
            }
        }
    }

    fn krovak(&self, found: &mut Vec<(&'static str, f64)>) -> Result<&'static str> {
        let is_near =
            |key: &str, value: f64, by: f64| get(found, key).is_none_or(|v| (v - value).abs() <= by);
        // 30°17'17.303" and 30°17'17.30311": both are in use, and PROJ has its own constant.
        if !is_near("!colatitude", 30.288_139_7, 1e-7) || !is_near("!parallel", 78.5, 1e-8) {
            return Err(Error::unsupported("its cone is not the one that PROJ has for Krovak"));
        }
        let proj = match (get(found, "!x_scale"), get(found, "!y_scale"), get(found, "!rotation")) {
            // ESRI says by these which way its axes point.
            (Some(1.0), Some(1.0), Some(0.0)) => "krovak +axis=swu",
            (Some(-1.0), Some(1.0), Some(90.0)) => "krovak",
            (None, None, None) if self.method.names.contains(&"krovak") && !self.is_south_west => "krovak",
            (None, None, None) => self.method.proj,
            _ => {
                return Err(Error::unsupported(
                    "its axes are scaled and turned as in no Krovak that is known",
                ));
            }
        };
        found.retain(|(key, _)| !key.starts_with('!'));
        Ok(proj)
    }
}

fn get(found: &[(&'static str, f64)], key: &str) -> Option<f64> {
    found.iter().find(|(known, _)| *known == key).map(|(_, value)| *value)
}

fn set(found: &mut Vec<(&'static str, f64)>, key: &'static str, value: f64) {
    found.retain(|(known, _)| *known != key);
    found.push((key, value));
}

fn remove(found: &mut Vec<(&'static str, f64)>, key: &str) {
    found.retain(|(known, _)| *known != key);
}

fn lacking(what: &str) -> Error {
    Error::format(format!("it lacks the parameter \"{what}\""))
}

fn lambert(found: &mut Vec<(&'static str, f64)>) -> Result<()> {
    match (get(found, "lat_0"), get(found, "lat_1"), get(found, "lat_2")) {
        (Some(origin), None, None) => found.push(("lat_1", origin)),
        (None, Some(parallel), None) => found.push(("lat_0", parallel)),
        (Some(_), Some(_), _) => {}
        (None, Some(_), Some(_)) => found.push(("lat_0", 0.0)),
        (_, None, _) => return Err(lacking("standard_parallel_1")),
    }
    Ok(())
}

fn mercator(found: &mut Vec<(&'static str, f64)>) -> Result<()> {
    let origin = get(found, "lat_0").unwrap_or(0.0);
    remove(found, "lat_0");
    if origin != 0.0 {
        if get(found, "lat_ts").is_some() || get(found, "k_0").is_some_and(|k| k != 1.0) {
            return Err(Error::unsupported(format!("its latitude of origin is {origin}; {WAY_OUT}")));
        }
        set(found, "lat_ts", origin);
    }
    if get(found, "lat_ts").is_some() {
        if get(found, "k_0").is_some_and(|k| k != 1.0) {
            return Err(Error::unsupported("it has both a standard parallel and a scale factor"));
        }
        remove(found, "k_0");
    } else if get(found, "k_0").is_none() {
        found.push(("k_0", 1.0));
    }
    Ok(())
}

fn polar(found: &mut Vec<(&'static str, f64)>) -> Result<()> {
    let latitude = get(found, "lat_0").unwrap_or(0.0);
    let is_pole = (latitude.abs() - 90.0).abs() < 1e-10;
    if get(found, "k_0") == Some(1.0) && latitude != 0.0 {
        remove(found, "k_0");
        set(found, "lat_ts", latitude);
        set(found, "lat_0", 90.0_f64.copysign(latitude));
    } else if !is_pole {
        return Err(Error::unsupported(format!(
            "its latitude of origin is {latitude} and its scale factor is not 1: no polar stereographic that is known"
        )));
    }
    Ok(())
}

fn oblique(found: &mut Vec<(&'static str, f64)>, proj: &'static str) -> &'static str {
    let azimuth = get(found, "alpha").unwrap_or(0.0);
    let angle = get(found, "gamma").unwrap_or(azimuth);
    // As PROJ: omerc has no answer there, and the projection is the Swiss one.
    if (azimuth - 90.0).abs() < 1e-4 && (angle - 90.0).abs() < 1e-4 {
        remove(found, "alpha");
        remove(found, "gamma");
        let longitude = get(found, "lonc").unwrap_or(0.0);
        remove(found, "lonc");
        found.push(("lon_0", longitude));
        return "somerc";
    }
    set(found, "gamma", angle);
    proj
}

/// `+units=` or `+to_meter=` of a unit of so many metres.
pub(super) fn unit_text(metres: f64) -> Result<String> {
    if !(metres.is_finite() && metres > 0.0) {
        return Err(Error::format(format!("its unit is {metres} m")));
    }
    Ok(if metres == 1.0 {
        "+units=m".to_owned()
    } else if metres == 0.3048 {
        "+units=ft".to_owned()
    } else if metres == US_FOOT {
        "+units=us-ft".to_owned()
    } else {
        format!("+to_meter={metres}")
    })
}

/// Metres in a unit of length: texts round the survey foot.
pub(super) fn metres_in(metres: f64) -> f64 {
    if (metres - US_FOOT).abs() < 1e-10 { US_FOOT } else { metres }
}

/// Degrees in an angular unit of so many radians: texts round what a degree or a grad is.
pub(super) fn degrees_in(radians: f64) -> f64 {
    let degrees = radians.to_degrees();
    let known = [1.0, 0.9, 1.0 / 60.0, 1.0 / 3600.0];
    known.into_iter().find(|unit| (degrees / unit - 1.0).abs() < 1e-9).unwrap_or(degrees)
}

/// The longitude of a prime meridian in degrees, when the text may have written it in degrees or in the unit of the CRS:
/// GDAL's WKT1 has degrees even where angles are grads.
///
/// # Errors
/// [`crate::ErrorKind::Unsupported`] when it cannot be told.
pub(super) fn meridian(name: &str, number: f64, degrees: f64) -> Result<f64> {
    let scaled = number * degrees;
    if number == 0.0 || scaled == number {
        return Ok(number);
    }
    // Longitude of Paris, EPSG:8903, 2.5969213 grads: the only one in grads that is in use.
    let paris = 2.337_229_17;
    if folded(name) == "paris" {
        for value in [number, scaled] {
            if (value - paris).abs() < 1e-7 {
                return Ok(paris);
            }
        }
    }
    Err(Error::unsupported(format!(
        "its prime meridian \"{name}\" is {number} in degrees or in units of {degrees} degrees; {WAY_OUT}"
    )))
}
