//! Map projections by every name they go by, and what each of their parameters is in a PROJ string.
//!
//! Names: EPSG geodetic parameter dataset (methods and parameters, their codes too), OGC 01-009 as GDAL writes it
//! (WKT1), ESRI's projection engine, GeoTIFF's ProjCoordTrans codes (OGC 19-008r4 §7.4.5, and libgeotiff's own). Which
//! PROJ projection they are follows PROJ 9.8. Where PROJ has none, or one that is only near (Lambert Conic Conformal
//! 2SP Belgium), the method is not listed, and so refused by name.

use super::parameters::{
    AZIMUTH, COLATITUDE, EASTING, ELLIPSOID_SCALE, FALSE_LATITUDE, GRID_ANGLE, HEIGHT, LATITUDE, LATITUDE_1,
    LATITUDE_2, LONGITUDE, LONGITUDE_1, LONGITUDE_2, NATURAL_LATITUDE, NORTHING, OPTION, PARALLEL,
    PARALLEL_1, PARALLEL_2, PLANE_HEIGHT, PLANE_ROTATION, PSEUDO_PARALLEL, SCALE, SPHERE_TYPE, Term, X_SCALE,
    Y_SCALE, maybe, neutral, required, usual,
};

/// A method of projection.
#[derive(Debug)]
pub(super) struct Method {
    /// EPSG codes of the method.
    pub(super) codes: &'static [u32],
    /// Its names in any dialect, as [`folded`] leaves them.
    pub(super) names: &'static [&'static str],
    /// Its code as the value of ProjMethodGeoKey; 0: none.
    pub(super) geotiff: u16,
    /// What follows `+proj=`: PROJ's name, and flags.
    pub(super) proj: &'static str,
    /// What it takes.
    pub(super) terms: &'static [Term],
    /// What is special about it.
    pub(super) twist: Twist,
}

/// What it takes to make a PROJ string of a method, besides naming its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Twist {
    /// Nothing.
    None,
    /// One or two standard parallels; with one, the latitude of origin is that parallel unless given.
    LambertConic,
    /// `lat_ts` may be given as the latitude of origin, when the scale is 1 (PROJ: WKT1's Mercator_1SP).
    Mercator,
    /// WKT1's Polar_Stereographic: variant B when the scale is 1, else variant A.
    PolarEither,
    /// The latitude of origin must be a pole.
    Pole,
    /// The pole is that of the standard parallel's hemisphere.
    PoleOfParallel,
    /// An azimuth and a grid angle of 90 degrees make it the Swiss projection; the grid angle is the azimuth unless given.
    Oblique,
    /// Constants that PROJ has built in; which way its axes point.
    Krovak,
    /// On the sphere whose radius is the ellipsoid's semi-major axis.
    SphereOfA,
    /// On the sphere of the ellipsoid's area.
    SphereOfArea,
    /// On the sphere that osculates conformally at the latitude of origin.
    SphereOfConformality,
    /// Only if the ellipsoid is a sphere: what the method does on an ellipsoid is told differently.
    OnlySphere,
}

/// A name without what dialects write differently: lower-case letters and digits only.
pub(super) fn folded(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// The method that a text names. `esri_centre`: it has ESRI's parameter Longitude_Of_Center, which tells ESRI's spherical
/// Orthographic from the one of WKT1.
pub(super) fn by_name(name: &str, esri_centre: bool) -> Option<&'static Method> {
    let mut name = folded(name);
    if name == "orthographic" && esri_centre {
        name.push_str("spherical");
    }
    METHODS.iter().find(|method| method.names.contains(&name.as_str()))
}

/// The method with this EPSG code.
pub(super) fn by_code(code: u32) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.codes.contains(&code))
}

/// The method with this value of ProjMethodGeoKey.
pub(super) fn by_geotiff(code: u16) -> Option<&'static Method> {
    METHODS.iter().find(|method| code != 0 && method.geotiff == code)
}

const fn plain(
    codes: &'static [u32],
    names: &'static [&'static str],
    geotiff: u16,
    proj: &'static str,
    terms: &'static [Term],
) -> Method {
    Method { codes, names, geotiff, proj, terms, twist: Twist::None }
}

const fn twisted(
    codes: &'static [u32],
    names: &'static [&'static str],
    geotiff: u16,
    proj: &'static str,
    terms: &'static [Term],
    twist: Twist,
) -> Method {
    Method { codes, names, geotiff, proj, terms, twist }
}

const LAT: Term = usual(&LATITUDE, "lat_0", 0.0);
const LON: Term = usual(&LONGITUDE, "lon_0", 0.0);
const K: Term = usual(&SCALE, "k_0", 1.0);
const X: Term = usual(&EASTING, "x_0", 0.0);
const Y: Term = usual(&NORTHING, "y_0", 0.0);
const NO_SCALE: Term = neutral(&SCALE, 1.0);
const ON_EQUATOR: Term = neutral(&LATITUDE, 0.0);

const SCALED: &[Term] = &[LAT, LON, K, X, Y];
const UNSCALED: &[Term] = &[LAT, LON, X, Y, NO_SCALE];
const MERIDIAN: &[Term] = &[LON, X, Y, ON_EQUATOR, NO_SCALE];
const PARALLELS: &[Term] =
    &[LAT, LON, required(&PARALLEL_1, "lat_1"), required(&PARALLEL_2, "lat_2"), X, Y, NO_SCALE];
const CONIC: &[Term] = &[
    maybe(&LATITUDE, "lat_0"),
    LON,
    maybe(&PARALLEL_1, "lat_1"),
    maybe(&PARALLEL_2, "lat_2"),
    maybe(&SCALE, "k_0"),
    maybe(&ELLIPSOID_SCALE, "k_0"),
    X,
    Y,
];
const CYLINDER: &[Term] = &[required(&PARALLEL_1, "lat_ts"), LON, X, Y, ON_EQUATOR, NO_SCALE];
const OBLIQUE: &[Term] = &[
    required(&LATITUDE, "lat_0"),
    required(&LONGITUDE, "lonc"),
    required(&AZIMUTH, "alpha"),
    maybe(&GRID_ANGLE, "gamma"),
    maybe(&PLANE_ROTATION, "gamma"),
    K,
    X,
    Y,
];
const TWO_POINTS: &[Term] = &[
    required(&LATITUDE_1, "lat_1"),
    required(&LONGITUDE_1, "lon_1"),
    required(&LATITUDE_2, "lat_2"),
    required(&LONGITUDE_2, "lon_2"),
    X,
    Y,
];
const KROVAK: &[Term] = &[
    required(&LATITUDE, "lat_0"),
    required(&LONGITUDE, "lon_0"),
    required(&COLATITUDE, "!colatitude"),
    required(&PSEUDO_PARALLEL, "!parallel"),
    K,
    X,
    Y,
    maybe(&X_SCALE, "!x_scale"),
    maybe(&Y_SCALE, "!y_scale"),
    maybe(&PLANE_ROTATION, "!rotation"),
];
const WEB_MERCATOR: &[Term] =
    &[LON, X, Y, ON_EQUATOR, neutral(&PARALLEL_1, 0.0), neutral(&SPHERE_TYPE, 0.0), NO_SCALE];
const SATELLITE: &[Term] = &[LON, required(&HEIGHT, "h"), X, Y, neutral(&OPTION, 0.0)];
const EQUIRECTANGULAR: &[Term] = &[usual(&PARALLEL_1, "lat_ts", 0.0), LAT, LON, X, Y, NO_SCALE];

#[rustfmt::skip]
static METHODS: &[Method] = &[
    plain(&[9807, 1111], &["transversemercator", "gausskruger", "transversemercatorcomplex", "transversemercator3d"], 1, "tmerc", SCALED),
    plain(&[9808], &["transversemercatorsouthorientated"], 27, "tmerc +axis=wsu", &[LAT, LON, K, neutral(&EASTING, 0.0), neutral(&NORTHING, 0.0)]),
    plain(&[], &["gaussschreibertransversemercator"], 0, "gstmerc", SCALED),
    plain(&[], &["transversecylindricalequalarea"], 0, "tcea", SCALED),
    twisted(&[9801], &["lambertconicconformal1sp", "lambertconformalconic1sp"], 9, "lcc", CONIC, Twist::LambertConic),
    twisted(&[9802, 1051], &["lambertconicconformal2sp", "lambertconformalconic2sp", "lambertconicconformal2spmichigan"], 8, "lcc",
        &[LAT, LON, required(&PARALLEL_1, "lat_1"), required(&PARALLEL_2, "lat_2"), maybe(&ELLIPSOID_SCALE, "k_0"), X, Y, NO_SCALE], Twist::None),
    twisted(&[], &["lambertconformalconic", "lambertconicconformal"], 0, "lcc", CONIC, Twist::LambertConic),
    plain(&[1102], &["lambertconicconformal1spvariantb"], 0, "lcc",
        &[required(&NATURAL_LATITUDE, "lat_1"), required(&FALSE_LATITUDE, "lat_0"), LON, K, X, Y]),
    plain(&[9822], &["albersequalarea", "albersconicequalarea", "albersconicalequalarea", "albers"], 11, "aea", PARALLELS),
    plain(&[1119], &["equidistantconic"], 13, "eqdc", PARALLELS),
    plain(&[1125, 9832], &["azimuthalequidistant", "modifiedazimuthalequidistant"], 12, "aeqd", UNSCALED),
    plain(&[9831], &["guamprojection"], 0, "aeqd +guam", UNSCALED),
    plain(&[9827], &["bonne"], 0, "bonne", &[maybe(&LATITUDE, "lat_1"), maybe(&PARALLEL_1, "lat_1"), LON, X, Y]),
    plain(&[9835], &["lambertcylindricalequalarea", "cylindricalequalarea"], 28, "cea", CYLINDER),
    plain(&[], &["behrmann"], 0, "cea", &[usual(&PARALLEL_1, "lat_ts", 30.0), LON, X, Y]),
    twisted(&[9834], &["lambertcylindricalequalareaspherical"], 0, "cea", CYLINDER, Twist::SphereOfArea),
    plain(&[9806], &["cassinisoldner", "cassini"], 18, "cass", UNSCALED),
    plain(&[9833], &["hyperboliccassinisoldner"], 0, "cass +hyperbolic", UNSCALED),
    plain(&[1028], &["equidistantcylindrical", "equirectangular", "platecarree", "equidistantcylindricalellipsoidal"], 17, "eqc", EQUIRECTANGULAR),
    twisted(&[1029], &["equidistantcylindricalspherical"], 0, "eqc", EQUIRECTANGULAR, Twist::OnlySphere),
    twisted(&[9823, 9842], &[], 0, "eqc", &[ON_EQUATOR, LON, X, Y], Twist::OnlySphere),
    plain(&[], &["geostationarysatellitesweepx"], 0, "geos +sweep=x", SATELLITE),
    plain(&[], &["geostationarysatellite", "geostationarysatellitesweepy"], 0, "geos", SATELLITE),
    plain(&[], &["gnomonic", "gnomonicellipsoidal"], 19, "gnom", UNSCALED),
    twisted(&[9812], &["hotineobliquemercator", "hotineobliquemercatorvarianta", "hotineobliquemercatorazimuthnaturalorigin", "rectifiedskeworthomorphicnaturalorigin"], 3, "omerc +no_uoff", OBLIQUE, Twist::Oblique),
    twisted(&[9815], &["hotineobliquemercatorvariantb", "hotineobliquemercatorazimuthcenter", "rectifiedskeworthomorphiccenter", "obliquemercator"], 9815, "omerc", OBLIQUE, Twist::Oblique),
    plain(&[], &["hotineobliquemercatortwopointnaturalorigin", "hotineobliquemercatortwopointcenter"], 0, "omerc",
        &[required(&LATITUDE, "lat_0"), required(&LATITUDE_1, "lat_1"), required(&LONGITUDE_1, "lon_1"), required(&LATITUDE_2, "lat_2"), required(&LONGITUDE_2, "lon_2"), K, X, Y]),
    plain(&[], &["twopointequidistant"], 0, "tpeqd", TWO_POINTS),
    plain(&[9813], &["labordeobliquemercator"], 4, "labrd", &[LAT, LON, required(&AZIMUTH, "azi"), K, X, Y]),
    twisted(&[9819], &["krovak"], 0, "krovak +axis=swu", KROVAK, Twist::Krovak),
    twisted(&[1041], &["krovaknorthorientated"], 0, "krovak", KROVAK, Twist::Krovak),
    twisted(&[1042], &["krovakmodified"], 0, "mod_krovak +axis=swu", KROVAK, Twist::Krovak),
    twisted(&[1043], &["krovakmodifiednorthorientated"], 0, "mod_krovak", KROVAK, Twist::Krovak),
    plain(&[9820], &["lambertazimuthalequalarea"], 10, "laea", UNSCALED),
    twisted(&[1027, 9821], &["lambertazimuthalequalareaspherical"], 0, "laea", UNSCALED, Twist::SphereOfArea),
    twisted(&[], &["millercylindrical"], 20, "mill", MERIDIAN, Twist::SphereOfArea),
    twisted(&[9804], &["mercatorvarianta", "mercator1sp"], 7, "merc",
        &[maybe(&LATITUDE, "lat_0"), maybe(&PARALLEL_1, "lat_ts"), LON, maybe(&SCALE, "k_0"), X, Y], Twist::Mercator),
    plain(&[9805], &["mercatorvariantb", "mercatorvariantc", "mercator2sp", "mercator"], 0, "merc", CYLINDER),
    twisted(&[1024], &["popularvisualisationpseudomercator", "mercatorauxiliarysphere"], 0, "merc", WEB_MERCATOR, Twist::SphereOfA),
    twisted(&[1026], &["mercatorspherical"], 0, "merc", &[ON_EQUATOR, LON, X, Y], Twist::SphereOfConformality),
    twisted(&[9841], &["mercator1spspherical"], 0, "merc", MERIDIAN, Twist::OnlySphere),
    plain(&[9811], &["newzealandmapgrid"], 26, "nzmg", UNSCALED),
    plain(&[9809], &["obliquestereographic", "doublestereographic"], 16, "sterea", SCALED),
    plain(&[], &["stereographic"], 14, "stere", SCALED),
    twisted(&[9810], &["polarstereographicvarianta"], 0, "stere", SCALED, Twist::Pole),
    twisted(&[], &["polarstereographic"], 15, "stere", SCALED, Twist::PolarEither),
    twisted(&[9829], &["polarstereographicvariantb", "stereographicnorthpole", "stereographicsouthpole"], 0, "stere",
        &[maybe(&PARALLEL, "lat_ts"), maybe(&PARALLEL_1, "lat_ts"), LON, X, Y, NO_SCALE], Twist::PoleOfParallel),
    plain(&[9840], &["orthographic"], 21, "ortho", UNSCALED),
    twisted(&[], &["orthographicspherical"], 0, "ortho", UNSCALED, Twist::SphereOfA),
    plain(&[1130], &["localorthographic", "local"], 0, "ortho", &[LAT, LON, required(&AZIMUTH, "alpha"), K, X, Y]),
    plain(&[9838], &["verticalperspective", "verticalnearsideperspective"], 0, "nsper", &[LAT, LON, required(&HEIGHT, "h"), X, Y]),
    plain(&[9818], &["americanpolyconic", "polyconic"], 22, "poly", UNSCALED),
    plain(&[1052], &["colombiaurban", "igacplanocartesiano"], 0, "col_urban", &[LAT, LON, required(&PLANE_HEIGHT, "h_0"), X, Y]),
    plain(&[1078], &["equalearth"], 0, "eqearth", MERIDIAN),
    plain(&[], &["robinson"], 23, "robin", MERIDIAN),
    plain(&[], &["sinusoidal"], 24, "sinu", MERIDIAN),
    twisted(&[], &["vandergrinten", "vandergrinteni"], 25, "vandg", MERIDIAN, Twist::SphereOfArea),
    plain(&[], &["mollweide"], 0, "moll", MERIDIAN),
    plain(&[], &["eckerti"], 0, "eck1", MERIDIAN),
    plain(&[], &["eckertii"], 0, "eck2", MERIDIAN),
    plain(&[], &["eckertiii"], 0, "eck3", MERIDIAN),
    plain(&[], &["eckertiv"], 0, "eck4", MERIDIAN),
    plain(&[], &["eckertv"], 0, "eck5", MERIDIAN),
    plain(&[], &["eckertvi"], 0, "eck6", MERIDIAN),
    plain(&[], &["wagneri"], 0, "wag1", MERIDIAN),
    plain(&[], &["wagnerii"], 0, "wag2", MERIDIAN),
    plain(&[], &["wagneriv"], 0, "wag4", MERIDIAN),
    plain(&[], &["wagnerv"], 0, "wag5", MERIDIAN),
    plain(&[], &["wagnervi"], 0, "wag6", MERIDIAN),
    plain(&[], &["wagnervii"], 0, "wag7", MERIDIAN),
    plain(&[], &["naturalearth"], 0, "natearth", MERIDIAN),
    plain(&[], &["naturalearthii"], 0, "natearth2", MERIDIAN),
    plain(&[], &["patterson"], 0, "patterson", MERIDIAN),
    plain(&[], &["compactmiller"], 0, "comill", MERIDIAN),
    plain(&[], &["times"], 0, "times", MERIDIAN),
    plain(&[], &["aitoff"], 0, "aitoff", MERIDIAN),
    plain(&[], &["crasterparabolic"], 0, "crast", MERIDIAN),
    plain(&[], &["flatpolarquartic"], 0, "mbtfpq", MERIDIAN),
    plain(&[], &["quarticauthalic"], 0, "qua_aut", MERIDIAN),
    plain(&[], &["gallstereographic"], 0, "gall", MERIDIAN),
    plain(&[], &["goodehomolosine"], 0, "goode", &[LON, X, Y, neutral(&OPTION, 0.0)]),
    plain(&[], &["interruptedgoodehomolosine"], 0, "igh", MERIDIAN),
    plain(&[], &["loximuthal"], 0, "loxim", &[required(&LATITUDE, "lat_1"), LON, X, Y]),
    plain(&[], &["winkeli"], 0, "wink1", &[required(&PARALLEL_1, "lat_ts"), LON, X, Y]),
    plain(&[], &["winkelii"], 0, "wink2", &[required(&PARALLEL_1, "lat_1"), LON, X, Y]),
    plain(&[], &["winkeltripel"], 0, "wintri", &[required(&PARALLEL_1, "lat_1"), LON, X, Y]),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_name_and_no_code_is_two_methods() {
        let (mut names, mut codes, mut keys) = (HashSet::new(), HashSet::new(), HashSet::new());
        for method in METHODS {
            for name in method.names {
                assert!(names.insert(*name) && folded(name) == *name, "{name}");
                assert!(std::ptr::eq(by_name(name, false).unwrap(), method));
            }
            for code in method.codes {
                assert!(codes.insert(*code), "{code}");
            }
            assert!(method.geotiff == 0 || keys.insert(method.geotiff), "{}", method.geotiff);
        }
        assert_eq!(by_name("Orthographic", true).unwrap().twist, Twist::SphereOfA);
        assert!(
            by_code(9803).is_none() && by_geotiff(0).is_none() && by_name("Berghaus_Star", false).is_none()
        );
    }
}
