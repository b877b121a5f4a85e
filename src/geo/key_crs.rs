//! The CRS that GeoKeys define piece by piece (OGC 19-008r4 §7.2 to §7.5), as libgeotiff and GDAL take them.
//!
//! What the keys leave open or say twice differently makes a CRS that has only a name: it can be reported, and compared
//! with nothing.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::crs::{Authority, Crs, WAY_OUT};
use super::description::{
    self, Description, Ellipsoid, Geodetic, Id, Plane, Projection, Value, degrees_in, metres_in,
};
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
            Some(metres) if metres > 0.0 => Ok(Some(metres_in(metres))),
            _ => Err(Error::format(
                "GeoKey 3076 is user-defined, and 3077 does not say what the unit of lengths is",
            )),
        },
        Some(code) => match epsg::unit(u32::from(code)) {
            Some(epsg::Measure::Length(metres)) => Ok(Some(metres_in(metres))),
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
        // Rasters on WGS 84 whose plane is computed on the ellipsoid of 1976 are in use. GDAL computes on the keys' ellipsoid
        // and takes longitude and latitude for the code's.
        let own = own.unwrap_or(Ellipsoid::of_axes(a, b));
        if (own.a - a).abs() > 50.0 || (own.b() - b).abs() > 50.0 {
            return Err(Error::unsupported(format!(
                "the ellipsoid of GeoKeys 2056 to 2059 is not that of EPSG:{code}"
            )));
        }
        return Ok(Geodetic {
            name: String::new(),
            id: Some(Id { authority: Authority::Epsg, code: u32::from(code) }),
            datum: String::new(),
            datum_id: None,
            ellipsoid: own,
            certain: Some(found.datum),
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
        _ => {
            let name = part("Primem").unwrap_or_default();
            description::meridian(&name, double(keys, PRIME_MERIDIAN_LONGITUDE).unwrap_or(0.0), degrees)?
        }
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
        certain: None,
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
        // GDAL leaves out the flattening of a sphere.
        (Some(a), None, None) => Some(Ellipsoid { a, rf: 0.0 }),
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
        if *name == "azimuth" && (degrees_of_azimuth(keys, degrees)? - 1.0).abs() > 1e-12 {
            return Err(Error::unsupported(format!(
                "the unit of azimuths (GeoKey 2060) is not degrees; {WAY_OUT}"
            )));
        }
        // Some writers fill in keys that the method has no use for, with what changes nothing.
        let is_known = found.terms.iter().any(|term| term.parameter.is_called(name));
        let idle: f64 = if *name == "scale_factor" { 1.0 } else { 0.0 };
        let is_idle = (number - idle).abs() < f64::MIN_POSITIVE;
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

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "the numbers are the test's own")]
mod tests {
    use super::*;
    use crate::geo::Datum;

    /// Keys that hold shorts, doubles and text, in the manner of GDAL.
    fn keys(shorts: &[(u16, u16)], doubles: &[(u16, &[f64])], texts: &[(u16, &str)]) -> GeoKeys {
        let (mut directory, mut numbers, mut ascii) = (vec![1, 1, 0, 0], Vec::new(), Vec::new());
        for (id, value) in shorts {
            directory.extend([*id, 0, 1, *value]);
        }
        for (id, values) in doubles {
            directory.extend(
                [usize::from(*id), 34736, values.len(), numbers.len()]
                    .map(|v: usize| u16::try_from(v).unwrap()),
            );
            numbers.extend_from_slice(values);
        }
        for (id, text) in texts {
            directory.extend(
                [usize::from(*id), 34737, text.len() + 1, ascii.len()]
                    .map(|v: usize| u16::try_from(v).unwrap()),
            );
            ascii.extend_from_slice(text.as_bytes());
            ascii.push(b'|');
        }
        directory[3] = u16::try_from(directory.len() / 4 - 1).unwrap();
        GeoKeys::parse(directory, numbers, ascii).unwrap()
    }

    const TM: &[(u16, u16)] =
        &[(1024, 1), (2048, 4267), (2054, 9102), (3072, 32767), (3074, 32767), (3075, 1)];

    #[track_caller]
    fn check(keys: &GeoKeys, proj: &str, datum: Datum) {
        let crs = keys.crs().unwrap().unwrap();
        let found = crs.definition().unwrap_or_else(|| panic!("{}", crs.unlisted()));
        let expected = crate::geo::Definition { proj: proj.to_owned(), datum };
        let is_same = super::super::canonical::Canonical::of(&found.proj)
            .is_same(&super::super::canonical::Canonical::of(&expected.proj));
        assert!(is_same && found.datum == datum, "{found:?} is not {expected:?}");
    }

    /// Parameters by hand after OGC 19-008r4 §7.5: lengths in the unit of the plane, angles in that of the CRS.
    #[test]
    fn units_apply_to_parameters() {
        let doubles: &[(u16, &[f64])] =
            &[(3080, &[-93.5]), (3081, &[45.0]), (3082, &[2_000_000.0]), (3092, &[0.9999])];
        let feet = keys(&[TM, &[(3076, 9003)]].concat(), doubles, &[]);
        let proj =
            "+proj=tmerc +lat_0=45 +lon_0=-93.5 +k=0.9999 +x_0=609601.2192024384 +ellps=clrk66 +units=us-ft";
        check(&feet, proj, Datum::Epsg(4267));
        let own =
            keys(&[TM, &[(3076, 32767)]].concat(), &[doubles, &[(3077, &[1200.0 / 3937.0])]].concat(), &[]);
        check(&own, proj, Datum::Epsg(4267));
        let grads: Vec<_> = TM.iter().map(|&(id, v)| if id == 2054 { (id, 9105) } else { (id, v) }).collect();
        let doubles: &[(u16, &[f64])] = &[(3080, &[-100.0]), (3081, &[50.0]), (3083, &[1000.0])];
        let proj = "+proj=tmerc +lat_0=45 +lon_0=-90 +y_0=1000 +ellps=clrk66";
        check(&keys(&grads, doubles, &[]), proj, Datum::Epsg(4267));
        let utm = keys(&[(1024, 1), (2048, 4267), (3072, 32767), (3074, 16117), (3076, 9001)], &[], &[]);
        check(&utm, "+proj=utm +zone=17 +south +ellps=clrk66", Datum::Epsg(4267));
        // 2062 is what GDAL writes of +towgs84.
        let shift: &[f64] = &[-8.0, 160.0, 176.0];
        let shifted = keys(&[TM, &[(3076, 9001)]].concat(), &[(2062, shift)], &[]);
        let expected = Datum::EpsgToWgs84(4267, [-8.0, 160.0, 176.0, 0.0, 0.0, 0.0, 0.0]);
        check(&shifted, "+proj=tmerc +ellps=clrk66", expected);
    }

    #[test]
    fn a_datum_is_known_by_code_by_name_or_not() {
        let user = |datum: u16| [(1024, 2), (2048, 32767), (2050, datum), (2054, 9102)];
        let axes: &[(u16, &[f64])] = &[(2057, &[6_378_206.4]), (2058, &[6_356_583.8])];
        check(&keys(&user(6267), axes, &[]), "+proj=longlat +ellps=clrk66", Datum::Epsg(4267));
        check(&keys(&user(6267), &[], &[]), "+proj=longlat +ellps=clrk66", Datum::Epsg(4267));
        let named = (
            2049,
            "GCS Name = x|Datum = North_American_Datum_1927|Ellipsoid = Clarke 1866|Primem = Greenwich|",
        );
        check(&keys(&user(32767), axes, &[named]), "+proj=longlat +ellps=clrk66", Datum::Epsg(4267));
        check(&keys(&user(32767), axes, &[]), "+proj=longlat +ellps=clrk66", Datum::Unknown);
        // A sphere is not the datum of that code.
        let sphere: &[(u16, &[f64])] = &[(2057, &[6_371_229.0]), (2058, &[6_371_229.0])];
        check(&keys(&user(6267), sphere, &[]), "+proj=longlat +R=6371229", Datum::Unknown);
        check(
            &keys(&user(32767), &[(2057, &[6_371_229.0])], &[]),
            "+proj=longlat +R=6371229",
            Datum::Unknown,
        );
        // The plane of a Landsat mosaic on WGS 84, computed on the ellipsoid of 1976.
        let other: &[(u16, &[f64])] = &[(2057, &[6_378_140.0]), (2059, &[298.257])];
        let shorts = [(1024, 1), (2048, 4326), (2054, 9102), (3072, 32767), (3075, 24), (3076, 9001)];
        check(&keys(&shorts, other, &[]), "+proj=sinu +a=6378140 +rf=298.257", Datum::Epsg(4326));
    }

    #[test]
    fn what_is_not_understood_has_only_a_name() {
        #[track_caller]
        fn refused(keys: &GeoKeys, word: &str) {
            let crs = keys.crs().unwrap().unwrap();
            assert!(crs.definition().is_none() && crs.name() == "Mine", "{crs:?}");
            let error = crs.unlisted().to_string();
            assert!(error.contains(word) && error.contains("--cutline-crs source"), "{error}");
            assert!(!crs.is_same(&crs));
        }
        let mine: &[(u16, &str)] = &[(1026, "Mine")];
        let with = |more: &[(u16, u16)]| [TM, more].concat();
        let replaced = |id: u16, value: u16| -> Vec<_> {
            TM.iter().map(|&(k, v)| if k == id { (k, value) } else { (k, v) }).collect()
        };
        refused(&keys(&replaced(3075, 2), &[], mine), "projection 2");
        refused(&keys(&replaced(3075, 32767), &[], mine), "which projection");
        refused(&keys(&replaced(3074, 10101), &[], mine), "EPSG:10101");
        refused(&keys(&replaced(2048, 4990), &[], mine), "EPSG:4990");
        refused(&keys(&replaced(2054, 9108), &[], mine), "EPSG:9108");
        refused(&keys(&with(&[(3076, 9999)]), &[], mine), "EPSG:9999");
        refused(&keys(&with(&[(3076, 32767)]), &[], mine), "3077");
        refused(&keys(&with(&[]), &[(3078, &[45.0])], mine), "standard_parallel_1");
        refused(&keys(&with(&[]), &[(3092, &[f64::NAN])], mine), "NaN");
        refused(&keys(&with(&[]), &[(2057, &[6_371_000.0])], mine), "ellipsoid");
        refused(&keys(&with(&[]), &[(2062, &[1.0, 2.0])], mine), "2062");
        refused(&keys(&[(1024, 2), (2048, 32767)], &[], mine), "ellipsoid");
        refused(&keys(&[(1024, 32767), (2048, 4326)], &[], mine), "GTModelTypeGeoKey");
        // GDAL writes the longitude of Paris so, when angles are grads: it is neither grads nor degrees.
        let paris = keys(
            &[(1024, 1), (2048, 32767), (2054, 9105), (3072, 32767), (3075, 9)],
            &[(2057, &[6_378_249.2]), (2059, &[293.466]), (2061, &[0.036_713]), (3081, &[52.0])],
            &[(1026, "Mine"), (2049, "Primem = Paris|")],
        );
        refused(&paris, "Paris");
    }

    #[test]
    fn esri_text_counts_before_the_keys() {
        let wkt = "ESRI PE String = PROJCS[\"x\",GEOGCS[\"GCS_WGS_1984\",DATUM[\"D_WGS_1984\",SPHEROID[\"WGS_1984\",6378137.0,298.257223563]],PRIMEM[\"Greenwich\",0.0],UNIT[\"Degree\",0.0174532925199433]],PROJECTION[\"Mercator_Auxiliary_Sphere\"],PARAMETER[\"False_Easting\",0.0],PARAMETER[\"Auxiliary_Sphere_Type\",0.0],UNIT[\"Meter\",1.0]]";
        for (model, id) in [(32767, 3073), (1, 3073), (1, 1026)] {
            let shorts = [(1024, model), (2048, 4326), (3072, 32767), (3075, 7), (3076, 9001)];
            let crs = keys(&shorts, &[], &[(id, wkt)]).crs().unwrap().unwrap();
            assert!(crs.is_same(&Crs::parse("EPSG:3857").unwrap()), "{crs:?}");
        }
        let odd = wkt.replace("Mercator_Auxiliary_Sphere", "Fuller");
        let crs = keys(&[(1024, 1), (3072, 32767)], &[], &[(3073, &odd)]).crs().unwrap().unwrap();
        assert!(crs.definition().is_none() && crs.unlisted().to_string().contains("Fuller"));
        // A code counts before any text.
        let coded = keys(&[(1024, 1), (3072, 32633)], &[], &[(3073, wkt)]);
        assert_eq!(coded.crs().unwrap().unwrap().epsg(), Some(32633));
    }
}
