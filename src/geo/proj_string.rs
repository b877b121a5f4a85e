//! PROJ strings of a CRS: the datum is taken out, the projection stays as it is written.

use super::canonical::Canonical;
use super::crs::{Authority, Crs, WAY_OUT};
use super::definition::{Datum, Definition};
use super::description::Ellipsoid;
use super::helmert::{self, Shift};
use crate::error::{Error, Result};

/// Datums that PROJ strings name: the EPSG code of the geographic CRS, and the ellipsoid.
const DATUMS: &[(&str, u32, &str)] = &[
    ("WGS84", 4326, "WGS84"),
    ("NAD83", 4269, "GRS80"),
    ("NAD27", 4267, "clrk66"),
    ("GGRS87", 4121, "GRS80"),
    ("potsdam", 4314, "bessel"),
    ("carthage", 4223, "clrk80ign"),
    ("hermannskogel", 4312, "bessel"),
    ("ire65", 4299, "mod_airy"),
    ("nzgd49", 4272, "intl"),
    ("OSGB36", 4277, "airy"),
];

/// Parameters that say nothing of the horizontal place.
const SILENT: &[&str] = &["no_defs", "type", "wktext", "vunits", "vto_meter", "geoidgrids", "geoid_crs"];

/// Parameters that say which ellipsoid.
const SHAPE: &[&str] = &["ellps", "R", "a", "b", "rf", "f", "es", "e"];

/// More parameters than any projection has; each is compared with all others.
const PARAMETERS: usize = 64;

/// Parameters that make a sphere of an ellipsoid.
const SPHERES: &[&str] = &["R_A", "R_V", "R_a", "R_g", "R_h", "R_lat_a", "R_lat_g", "R_C"];

/// The parameters of a PROJ string, without their `+`.
pub(super) fn tokens(text: &str) -> Vec<&str> {
    text.split_whitespace().map(|token| token.strip_prefix('+').unwrap_or(token)).collect()
}

/// The CRS of a PROJ string. Parameters that are not known stay in it for the projector to refuse by name.
///
/// # Errors
/// [`crate::ErrorKind::Usage`] for a string that contradicts itself or lacks `+proj`;
/// [`crate::ErrorKind::Unsupported`] for grids and unknown datums.
pub(super) fn crs(text: &str) -> Result<Crs> {
    let mut parameters: Vec<(&str, &str)> = Vec::new();
    for token in tokens(text) {
        let (name, value) = token.split_once('=').unwrap_or((token, ""));
        match parameters.iter().find(|(known, _)| *known == name) {
            Some((_, other)) if *other != value => {
                return Err(Error::usage(format!(
                    "the PROJ string `{text}` has both +{name}={other} and +{name}={value}"
                )));
            }
            Some(_) => {}
            None if parameters.len() < PARAMETERS => parameters.push((name, value)),
            None => {
                return Err(Error::usage(format!(
                    "a PROJ string of more than {PARAMETERS} parameters is none"
                )));
            }
        }
    }
    let get = |key: &str| parameters.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
    if let Some(init) = get("init") {
        let others = parameters.iter().filter(|(name, _)| *name != "init" && !SILENT.contains(name)).count();
        let code = init.split_once(':').filter(|(file, _)| file.eq_ignore_ascii_case("epsg"));
        return match code.and_then(|(_, code)| code.parse().ok()) {
            Some(code) if others == 0 => Ok(Crs::coded(Authority::Epsg, code)),
            _ => {
                Err(Error::unsupported(format!("`{text}`: of +init, only +init=epsg:n alone is understood")))
            }
        };
    }
    if get("proj").is_none_or(str::is_empty) {
        return Err(Error::usage(format!("the PROJ string `{text}` has no +proj=")));
    }
    let mut proj: Vec<String> = parameters
        .iter()
        .filter(|(name, _)| !SILENT.contains(name) && !matches!(*name, "datum" | "towgs84" | "nadgrids"))
        .map(|(name, value)| match (*name, *value) {
            // PROJ takes the name for EPSG's meridian, 2.5969213 grads; its own list has 3e-9 degrees less.
            ("pm", "paris") => "+pm=2.33722917".to_owned(),
            (name, "") => format!("+{name}"),
            (name, value) => format!("+{name}={value}"),
        })
        .collect();
    // PROJ takes these otherwise in a CRS than in a pipeline: 22 km for +proj=mill +R_A at 50 degrees north.
    if let Some((sphere, _)) = parameters.iter().find(|(name, _)| SPHERES.contains(name)) {
        return Err(Error::unsupported(format!(
            "+{sphere} of the PROJ string `{text}` is not understood; {WAY_OUT}"
        )));
    }
    let mut known = None;
    if let Some(name) = get("datum") {
        let (_, code, ellipsoid) =
            DATUMS.iter().find(|(datum, _, _)| datum.eq_ignore_ascii_case(name)).ok_or_else(|| {
                Error::unsupported(format!(
                    "the datum of `{text}`, {name}, is not one that is known; {WAY_OUT}"
                ))
            })?;
        let own = format!("+proj=longlat +ellps={ellipsoid}");
        if parameters.iter().any(|(name, _)| SHAPE.contains(name)) {
            let (given, own) = (Canonical::of(&proj.join(" ")).ellipsoid(), Canonical::of(&own).ellipsoid());
            let is_same =
                given.zip(own).is_some_and(|(a, b)| (a.0 - b.0).abs() < 1e-2 && (a.1 - b.1).abs() < 1e-2);
            if !is_same {
                return Err(Error::usage(format!(
                    "the PROJ string `{text}` has an ellipsoid that is not its datum's"
                )));
            }
        } else {
            proj.push(format!("+ellps={ellipsoid}"));
        }
        known = Some(*code);
    } else if !parameters.iter().any(|(name, _)| SHAPE.contains(name)) {
        // PROJ's own default.
        proj.push("+ellps=WGS84".to_owned());
        known = Some(4326);
    }
    let mut shift = Shift::None;
    if let Some(numbers) = get("towgs84") {
        let parsed: Option<Vec<f64>> = numbers
            .split(',')
            .map(|number| number.trim().parse().ok().filter(|v: &f64| v.is_finite()))
            .collect();
        shift = Shift::ToWgs84(parsed.as_deref().and_then(helmert::parameters).ok_or_else(|| {
            Error::usage(format!("+towgs84={numbers} of the PROJ string `{text}` is neither 3 nor 7 numbers"))
        })?);
    }
    if let Some(grid) = get("nadgrids") {
        shift = helmert::of_grid(grid)?;
    }
    let datum = match (known, shift) {
        (_, Shift::Null) => Datum::Epsg(4326),
        (Some(code), Shift::None) => Datum::Epsg(code),
        (Some(4326), Shift::ToWgs84(shift)) if shift.iter().all(|v| *v == 0.0) => Datum::Epsg(4326),
        (Some(code), Shift::ToWgs84(shift)) => Datum::EpsgToWgs84(code, shift),
        (None, Shift::ToWgs84(shift)) => Datum::ToWgs84(shift),
        (None, Shift::None) => Datum::Unknown,
    };
    let mut sorted: Vec<&str> = tokens(text);
    sorted.retain(|token| !SILENT.contains(&token.split('=').next().unwrap_or_default()));
    sorted.sort_unstable();
    Ok(Crs::described(text.to_owned(), Definition { proj: proj.join(" "), datum }, &sorted.join(" ")))
}

/// The projection of WKT1's `EXTENSION["PROJ4", ...]` on the ellipsoid of the text around it. Only web Mercator has another.
///
/// # Errors
/// [`crate::ErrorKind::Unsupported`] when it has a grid or another ellipsoid.
pub(super) fn projection_of_extension(text: &str, ellipsoid: Ellipsoid) -> Result<String> {
    let crs = crs(text).map_err(|error| error.at("its PROJ4 extension"))?;
    let proj = crs.definition().map(|definition| definition.proj.clone()).unwrap_or_default();
    let own = Canonical::of(&proj).ellipsoid();
    let (a, b) = (ellipsoid.a, ellipsoid.b());
    let is_near = |x: f64, y: f64| (x - y).abs() < 1e-2;
    let is_web =
        proj.contains("+proj=merc ") && own.is_some_and(|(x, y)| is_near(x, y) && is_near(x, 6_378_137.0));
    if is_web && is_near(a, 6_378_137.0) || own.is_some_and(|(x, y)| is_near(x, a) && is_near(y, b)) {
        return Ok(proj);
    }
    Err(Error::unsupported(format!(
        "its PROJ4 extension \"{text}\" has another ellipsoid than its datum; {WAY_OUT}"
    )))
}
