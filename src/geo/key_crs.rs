//! The CRS that GeoKeys define piece by piece (OGC 19-008r4 §7.2 to §7.5), as libgeotiff and GDAL take them.
//!
//! What the keys leave open or say twice differently makes a CRS that has only a name: it can be reported, and compared
//! with nothing.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::crs::{Authority, Crs, WAY_OUT};
use super::description::{Description, Ellipsoid, Geodetic, Id, Plane, Projection, Value, degrees_in};
use super::epsg;
use super::helmert::{self, Shift};
use super::keys::{GeoKeys, KeyValue, USER_DEFINED};
use super::method;
use crate::error::{Error, Result};

/// GeodeticCRSGeoKey, once GeographicTypeGeoKey: also the code of a geocentric CRS.
pub(super) const GEODETIC_CRS: u16 = 2048;
/// GeodeticCitationGeoKey.
pub(super) const GEODETIC_CITATION: u16 = 2049;
const GEODETIC_DATUM: u16 = 2050;
const PRIME_MERIDIAN: u16 = 2051;
/// GeogAngularUnitsGeoKey.
pub(super) const ANGULAR_UNITS: u16 = 2054;
/// In radians.
const ANGULAR_UNIT_SIZE: u16 = 2055;
const ELLIPSOID: u16 = 2056;
const SEMI_MAJOR: u16 = 2057;
const SEMI_MINOR: u16 = 2058;
const INVERSE_FLATTENING: u16 = 2059;
const AZIMUTH_UNITS: u16 = 2060;
const PRIME_MERIDIAN_LONGITUDE: u16 = 2061;
const TO_WGS84: u16 = 2062;
/// ProjectionGeoKey: an EPSG conversion.
const PROJECTION: u16 = 3074;
/// ProjMethodGeoKey, once ProjCoordTransGeoKey.
const METHOD: u16 = 3075;
/// ProjLinearUnitsGeoKey.
pub(super) const LINEAR_UNITS: u16 = 3076;
/// In metres.
const LINEAR_UNIT_SIZE: u16 = 3077;

/// Keys of the parameters: their names in WKT1, and that of each method that they can stand for. Of two that mean the same,
/// the first found counts, in libgeotiff's order.
const PARAMETERS: &[(&str, &[u16])] = &[
    ("standard_parallel_1", &[3078]),
    ("standard_parallel_2", &[3079]),
    // ProjStraightVertPoleLong, ProjNatOriginLong, ProjFalseOriginLong, ProjCenterLong
    ("central_meridian", &[3095, 3080, 3084, 3088]),
    ("latitude_of_origin", &[3081, 3085, 3089]),
    ("false_easting", &[3082, 3090, 3086]),
    ("false_northing", &[3083, 3091, 3087]),
    // ProjScaleAtNatOrigin, ProjScaleAtCenter
    ("scale_factor", &[3092, 3093]),
    ("azimuth", &[3094]),
    ("rectified_grid_angle", &[3096]),
];

/// The CRS of keys whose ProjectedCRSGeoKey (`is_projected`) or GeodeticCRSGeoKey is user-defined.
///
/// # Errors
/// [`crate::ErrorKind::Unsupported`] or [`crate::ErrorKind::Format`]: what is not understood, by name.
pub(super) fn crs(keys: &GeoKeys, name: &str, is_projected: bool) -> Result<Crs> {
    let geodetic = geodetic(keys)?;
    let plane =
        if is_projected { Plane::Projected(projection(keys, geodetic.degrees)?) } else { Plane::Geographic };
    let description = Description { name: name.to_owned(), id: None, geodetic, plane };
    // Two user-defined CRSs on unknown datums are one only in the very same file.
    let identity = format!("GeoKeys {:?} {:?} {:?}", keys.directory, keys.doubles, keys.ascii);
    description.crs(&identity)
}

/// The short of a key, unless it is absent, undefined (0) or user-defined.
fn code(keys: &GeoKeys, id: u16) -> Option<u16> {
    keys.short(id).filter(|code| *code != 0 && *code != USER_DEFINED)
}

fn double(keys: &GeoKeys, id: u16) -> Option<f64> {
    match keys.get(id)? {
        KeyValue::Doubles([value, ..]) => Some(*value),
        KeyValue::Short(value) => Some(f64::from(value)),
        KeyValue::Doubles([]) | KeyValue::Shorts(_) | KeyValue::Ascii(_) => None,
    }
}

/// Degrees in the unit of angles.
pub(super) fn degrees(keys: &GeoKeys) -> Result<Option<f64>> {
    match keys.short(ANGULAR_UNITS) {
        None | Some(0) => Ok(None),
        Some(USER_DEFINED) => match double(keys, ANGULAR_UNIT_SIZE) {
            Some(radians) if radians > 0.0 => Ok(Some(degrees_in(radians))),
            _ => Err(Error::format(
                "GeoKey 2054 is user-defined, and 2055 does not say what the unit of angles is",
            )),
        },
        Some(code) => match epsg::unit(u32::from(code)) {
            Some(epsg::Measure::Angle(radians)) => Ok(Some(degrees_in(radians))),
            _ => Err(Error::unsupported(format!(
                "the unit of angles EPSG:{code} (GeoKey 2054) is not understood; {WAY_OUT}"
            ))),
        },
    }
}

/// Metres in the unit of the plane.
pub(super) fn metres(keys: &GeoKeys) -> Result<Option<f64>> {
    match keys.short(LINEAR_UNITS) {
        None | Some(0) => Ok(None),
        Some(USER_DEFINED) => match double(keys, LINEAR_UNIT_SIZE) {
            Some(metres) if metres > 0.0 => Ok(Some(metres)),
            _ => Err(Error::format(
                "GeoKey 3076 is user-defined, and 3077 does not say what the unit of lengths is",
            )),
        },
        Some(code) => match epsg::unit(u32::from(code)) {
            Some(epsg::Measure::Length(metres)) => Ok(Some(metres)),
            _ => Err(Error::unsupported(format!(
                "the unit of lengths EPSG:{code} (GeoKey 3076) is not understood; {WAY_OUT}"
            ))),
        },
    }
}

fn geodetic(keys: &GeoKeys) -> Result<Geodetic> {
    let degrees = degrees(keys)?;
    let citation = keys.text(GEODETIC_CITATION).unwrap_or_default();
    let part = |label: &str| {
        citation.split('|').find_map(|part| {
            let (name, value) = part.split_once('=')?;
            (name.trim() == label).then(|| value.trim().to_owned())
        })
    };
    let to_wgs84 = match keys.get(TO_WGS84) {
        None => Shift::None,
        Some(KeyValue::Doubles(numbers)) if helmert::parameters(numbers).is_some() => {
            Shift::ToWgs84(helmert::parameters(numbers).unwrap_or_default())
        }
        Some(_) => return Err(Error::format("GeoKey 2062 (TOWGS84) has neither 3 nor 7 numbers")),
    };
    let own = ellipsoid(keys)?;
    if let Some(code) = code(keys, GEODETIC_CRS) {
        let found =
            epsg::definition(Authority::Epsg, u32::from(code)).filter(super::Definition::is_geographic);
        let (found, (a, b)) = found
            .and_then(|found| Some((found.ellipsoid()?, found)))
            .map(|(e, f)| (f, e))
            .ok_or_else(|| {
                Error::unsupported(format!(
                    "the geographic CRS EPSG:{code} (GeoKey 2048) is not in the table; {WAY_OUT}"
                ))
            })?;
        if let Some(own) = own
            && ((own.a - a).abs() > 0.01 || (own.b() - b).abs() > 0.01)
        {
            return Err(Error::unsupported(format!(
                "the ellipsoid of GeoKeys 2056 to 2059 is not that of EPSG:{code}"
            )));
        }
        return Ok(Geodetic {
            name: String::new(),
            id: Some(Id { authority: Authority::Epsg, code: u32::from(code) }),
            datum: String::new(),
            datum_id: None,
            ellipsoid: Ellipsoid::of_axes(a, b),
            meridian: found.meridian(),
            degrees: degrees.unwrap_or(1.0),
            shift: to_wgs84,
        });
    }
    let degrees = degrees.unwrap_or(1.0);
    let datum_id = code(keys, GEODETIC_DATUM);
    let mut ellipsoid = own;
    if ellipsoid.is_none()
        && let Some(datum) = datum_id.filter(|datum| (6001..7000).contains(datum))
    {
        // The datum implies it; EPSG numbers the datums of the geographic CRSs 4xxx as 6xxx.
        let implied = epsg::definition(Authority::Epsg, u32::from(datum).saturating_sub(2000));
        ellipsoid = implied.and_then(|found| found.ellipsoid()).map(|(a, b)| Ellipsoid::of_axes(a, b));
    }
    let meridian = match keys.short(PRIME_MERIDIAN) {
        Some(code) if code != 0 && code != USER_DEFINED => {
            epsg::prime_meridian(u32::from(code)).ok_or_else(|| {
                Error::unsupported(format!(
                    "the prime meridian EPSG:{code} (GeoKey 2051) is not known; {WAY_OUT}"
                ))
            })?
        }
        _ => double(keys, PRIME_MERIDIAN_LONGITUDE).unwrap_or(0.0) * degrees,
    };
    Ok(Geodetic {
        name: part("GCS Name").unwrap_or_else(|| citation.split('|').next().unwrap_or_default().to_owned()),
        id: None,
        datum: part("Datum").unwrap_or_default(),
        datum_id: datum_id.map(|code| Id { authority: Authority::Epsg, code: u32::from(code) }),
        ellipsoid: ellipsoid.ok_or_else(|| {
            Error::unsupported(format!(
                "the GeoKeys of a user-defined CRS do not say its ellipsoid; {WAY_OUT}"
            ))
        })?,
        meridian,
        degrees,
        shift: to_wgs84,
    })
}

/// The ellipsoid that the keys state: by its axes, or by its code.
fn ellipsoid(keys: &GeoKeys) -> Result<Option<Ellipsoid>> {
    let by_code = match code(keys, ELLIPSOID) {
        None => None,
        Some(code) => epsg::ellipsoid(u32::from(code)).map(|e| Ellipsoid::of_axes(e.a, e.b)),
    };
    let axes = (double(keys, SEMI_MAJOR), double(keys, SEMI_MINOR), double(keys, INVERSE_FLATTENING));
    let by_axes = match axes {
        (Some(a), _, Some(rf)) => Some(Ellipsoid { a, rf }),
        (Some(a), Some(b), None) => Some(Ellipsoid::of_axes(a, b)),
        (_, _, _) => None,
    };
    match (by_code, by_axes) {
        (Some(known), Some(own)) if (known.a - own.a).abs() > 0.01 || (known.b() - own.b()).abs() > 0.01 => {
            Err(Error::unsupported("GeoKeys 2056 and 2057 to 2059 name two ellipsoids"))
        }
        (Some(known), _) => Ok(Some(known)),
        (None, own) => Ok(own),
    }
}

fn projection(keys: &GeoKeys, degrees: f64) -> Result<Projection> {
    // libgeotiff: metres, if no key says otherwise.
    let metres = metres(keys)?.unwrap_or(1.0);
    let mut values = Vec::new();
    let value = |name: &str, number: f64| Value { name: name.to_owned(), code: None, number, unit: None };
    if let Some(conversion) = code(keys, PROJECTION) {
        // UTM: 16001 to 16060 in the north, 16101 to 16160 in the south.
        let (zone, y) = match conversion {
            16001..=16060 => (conversion.saturating_sub(16000), 0.0),
            16101..=16160 => (conversion.saturating_sub(16100), 1e7),
            _ => {
                return Err(Error::unsupported(format!(
                    "the conversion EPSG:{conversion} (GeoKey 3074) is not understood; {WAY_OUT}"
                )));
            }
        };
        values.push(value("central_meridian", f64::from(zone) * 6.0 - 183.0));
        values.push(value("scale_factor", 0.9996));
        values.push(value("false_easting", 500_000.0));
        values.push(value("false_northing", y));
        return Ok(Projection {
            method: method::by_geotiff(1).ok_or_else(|| Error::unsupported("transverse Mercator"))?,
            name: "Transverse Mercator".to_owned(),
            values,
            metres,
            value_units: (1.0, 1.0),
            is_south_west: false,
        });
    }
    let Some(number) = code(keys, METHOD) else {
        return Err(Error::unsupported(format!(
            "the GeoKeys do not say which projection the CRS has; {WAY_OUT}"
        )));
    };
    let found = method::by_geotiff(number).ok_or_else(|| {
        Error::unsupported(format!("the projection {number} of GeoKey 3075 is not understood; {WAY_OUT}"))
    })?;
    for (name, candidates) in PARAMETERS {
        let Some(number) = candidates.iter().find_map(|key| double(keys, *key)) else { continue };
        if *name == "azimuth" && degrees_of_azimuth(keys, degrees)? != 1.0 {
            return Err(Error::unsupported(format!(
                "the unit of azimuths (GeoKey 2060) is not degrees; {WAY_OUT}"
            )));
        }
        // Some writers fill in keys that the method has no use for, with what changes nothing.
        let is_known = found.terms.iter().any(|term| term.parameter.is_called(name));
        let is_idle = number == if *name == "scale_factor" { 1.0 } else { 0.0 };
        if is_known || !is_idle {
            values.push(value(name, number));
        }
    }
    Ok(Projection {
        method: found,
        name: format!("ProjMethodGeoKey {number}"),
        values,
        metres,
        value_units: (metres, degrees),
        is_south_west: false,
    })
}

/// Degrees in the unit of azimuths; libgeotiff takes them for degrees whatever the unit of other angles.
fn degrees_of_azimuth(keys: &GeoKeys, degrees: f64) -> Result<f64> {
    match keys.short(AZIMUTH_UNITS) {
        None | Some(0) => Ok(degrees),
        Some(code) => match epsg::unit(u32::from(code)) {
            Some(epsg::Measure::Angle(radians)) => Ok(degrees_in(radians)),
            _ => Err(Error::unsupported(format!(
                "the unit of azimuths EPSG:{code} (GeoKey 2060) is not understood"
            ))),
        },
    }
}
