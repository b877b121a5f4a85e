//! What PROJJSON (version 0.7 of its schema) says of a CRS.

use serde_json::Value as Json;

use super::crs::{Crs, WAY_OUT};
use super::description::{
    Description, Ellipsoid, Geodetic, Id, Plane, Projection, Unit, Value, degrees_in, metres_in,
};
use super::helmert::{self, Shift};
use super::method;
use crate::error::{Error, Result};

/// The CRS of a text. Nesting is bounded by serde_json, at 128.
///
/// # Errors
/// [`crate::ErrorKind::Format`] for what is no PROJJSON or lacks a part, [`crate::ErrorKind::Unsupported`] for
/// what is not understood.
pub(super) fn crs(text: &str) -> Result<Crs> {
    let json: Json = serde_json::from_str(text)
        .map_err(|cause| Error::format("the CRS begins like PROJJSON but is no JSON").caused_by(cause))?;
    description(&json, 0)?.crs(text)
}

fn lacking(json: &Json, what: &str) -> Error {
    Error::format(format!("the PROJJSON of the CRS \"{}\" lacks {what}", name(json)))
}

fn name(json: &Json) -> &str {
    json.get("name").and_then(Json::as_str).unwrap_or("unnamed")
}

fn description(json: &Json, depth: usize) -> Result<Description> {
    // A compound or bound CRS within another one is no sense of any schema.
    if depth > 4 {
        return Err(Error::format("the PROJJSON of the CRS has CRSs nested too deep"));
    }
    match json.get("type").and_then(Json::as_str).unwrap_or_default() {
        "GeographicCRS" | "GeodeticCRS" => Ok(Description {
            name: name(json).to_owned(),
            id: id(json),
            geodetic: geodetic(json)?,
            plane: Plane::Geographic,
        }),
        "ProjectedCRS" => projected(json),
        "CompoundCRS" => {
            let first = json.get("components").and_then(|components| components.get(0));
            description(first.ok_or_else(|| lacking(json, "components"))?, depth.saturating_add(1))
        }
        "BoundCRS" => bound(json, depth),
        "" => Err(lacking(json, "a type")),
        kind => Err(Error::unsupported(format!(
            "the CRS \"{}\" is a {kind}; only geographic and projected ones are understood; {WAY_OUT}",
            name(json)
        ))),
    }
}

fn id(json: &Json) -> Option<Id> {
    let id = json.get("id").or_else(|| json.get("ids")?.get(0))?;
    let authority = super::crs::authority(id.get("authority")?.as_str()?)?;
    let code = id.get("code")?;
    let code = code.as_u64().or_else(|| code.as_str()?.parse().ok())?;
    Some(Id { authority, code: u32::try_from(code).ok()? })
}

/// A unit, by name or in full.
fn unit(json: &Json) -> Result<Unit> {
    let unknown =
        || Error::unsupported(format!("the unit {json} in the CRS's PROJJSON is not understood; {WAY_OUT}"));
    match json.as_str() {
        Some("metre") => return Ok(Unit::Length(1.0)),
        Some("degree") => return Ok(Unit::Angle(1.0)),
        Some("unity") => return Ok(Unit::Scale(1.0)),
        Some(_) => return Err(unknown()),
        None => {}
    }
    let factor = json
        .get("conversion_factor")
        .and_then(Json::as_f64)
        .filter(|factor| *factor > 0.0)
        .ok_or_else(unknown)?;
    match json.get("type").and_then(Json::as_str) {
        Some("LinearUnit") => Ok(Unit::Length(metres_in(factor))),
        Some("AngularUnit") => Ok(Unit::Angle(degrees_in(factor))),
        Some("ScaleUnit") => Ok(Unit::Scale(factor)),
        _ => Err(unknown()),
    }
}

/// A number, or one with a unit that is not the usual one: degrees or metres.
fn measure(json: &Json) -> Option<Result<f64>> {
    if let Some(number) = json.as_f64() {
        return Some(Ok(number));
    }
    let number = json.get("value")?.as_f64()?;
    Some(unit(json.get("unit")?).map(|unit| match unit {
        Unit::Angle(factor) | Unit::Length(factor) | Unit::Scale(factor) => number * factor,
    }))
}

/// The unit of the first two axes, and where they point.
fn axes(json: &Json) -> Result<Option<(Unit, Vec<&str>)>> {
    let Some(axes) =
        json.get("coordinate_system").and_then(|system| system.get("axis")).and_then(Json::as_array)
    else {
        return Ok(None);
    };
    let mut found: Option<Unit> = None;
    let mut directions = Vec::new();
    for axis in axes.iter().take(2) {
        let own = unit(axis.get("unit").ok_or_else(|| lacking(json, "the unit of an axis"))?)?;
        if found.is_some_and(|other| other != own) {
            return Err(Error::unsupported(format!(
                "the axes of the CRS \"{}\" have two units; {WAY_OUT}",
                name(json)
            )));
        }
        found = Some(own);
        directions.push(axis.get("direction").and_then(Json::as_str).unwrap_or_default());
    }
    Ok(found.map(|unit| (unit, directions)))
}

fn geodetic(json: &Json) -> Result<Geodetic> {
    let datum =
        json.get("datum").or_else(|| json.get("datum_ensemble")).ok_or_else(|| lacking(json, "a datum"))?;
    let shape = datum.get("ellipsoid").ok_or_else(|| lacking(json, "an ellipsoid"))?;
    let number = |key: &str| shape.get(key).and_then(measure).transpose();
    let ellipsoid = match (
        number("semi_major_axis")?,
        number("inverse_flattening")?,
        number("semi_minor_axis")?,
        number("radius")?,
    ) {
        (Some(a), Some(rf), _, _) => Ellipsoid { a, rf },
        (Some(a), None, Some(b), _) => Ellipsoid::of_axes(a, b),
        (None, None, None, Some(a)) => Ellipsoid { a, rf: 0.0 },
        _ => return Err(lacking(json, "the axes of its ellipsoid")),
    };
    let meridian = match datum.get("prime_meridian").map(|prime| prime.get("longitude")) {
        None => 0.0,
        Some(longitude) => {
            longitude.and_then(measure).ok_or_else(|| lacking(json, "the prime meridian's longitude"))??
        }
    };
    let degrees = match axes(json)? {
        None => 1.0,
        Some((Unit::Angle(degrees), directions))
            if directions.iter().all(|direction| matches!(*direction, "east" | "north")) =>
        {
            degrees
        }
        Some((_, directions)) => {
            return Err(Error::unsupported(format!(
                "the CRS \"{}\" has axes that point {}, not longitude and latitude; {WAY_OUT}",
                name(json),
                directions.join(" and ")
            )));
        }
    };
    Ok(Geodetic {
        name: name(json).to_owned(),
        id: id(json),
        datum: name(datum).to_owned(),
        datum_id: id(datum),
        ellipsoid,
        certain: None,
        meridian,
        degrees,
        shift: Shift::None,
    })
}

fn projected(json: &Json) -> Result<Description> {
    let base = json.get("base_crs").ok_or_else(|| lacking(json, "a base CRS"))?;
    if base
        .get("type")
        .and_then(Json::as_str)
        .is_some_and(|kind| kind != "GeographicCRS" && kind != "GeodeticCRS")
    {
        return Err(Error::unsupported(format!(
            "the base of the CRS \"{}\" is not geographic; {WAY_OUT}",
            name(json)
        )));
    }
    let mut description = Description {
        name: name(json).to_owned(),
        id: id(json),
        geodetic: geodetic(base)?,
        plane: Plane::Geographic,
    };
    let conversion = json.get("conversion").ok_or_else(|| lacking(json, "a conversion"))?;
    let named = conversion.get("method").ok_or_else(|| lacking(json, "a method"))?;
    let code = id(named).filter(|id| id.authority == super::crs::Authority::Epsg).map(|id| id.code);
    let Some(found) = code.and_then(method::by_code).or_else(|| method::by_name(name(named), false)) else {
        description.plane = Plane::Unknown(Error::unsupported(format!(
            "the method \"{}\" is not understood; {WAY_OUT}",
            name(named)
        )));
        return Ok(description);
    };
    let Some((Unit::Length(metres), directions)) = axes(json)? else {
        return Err(lacking(json, "axes in a unit of length"));
    };
    let is_south_west = directions.contains(&"south") && directions.contains(&"west");
    let is_usual = match directions.as_slice() {
        ["east" | "north", "east" | "north"] | ["south", "south"] => true,
        _ => is_south_west && found.proj.contains("+axis="),
    };
    if !is_usual {
        return Err(Error::unsupported(format!(
            "the axes of the CRS \"{}\" point {}; {WAY_OUT}",
            name(json),
            directions.join(" and ")
        )));
    }
    let mut values = Vec::new();
    let parameters = conversion.get("parameters").and_then(Json::as_array);
    for parameter in parameters.map(Vec::as_slice).unwrap_or_default() {
        values.push(Value {
            name: name(parameter).to_owned(),
            code: id(parameter).map(|id| id.code),
            number: parameter
                .get("value")
                .and_then(Json::as_f64)
                .ok_or_else(|| lacking(json, "the value of a parameter"))?,
            unit: parameter.get("unit").map(unit).transpose()?,
        });
    }
    description.plane = Plane::Projected(Projection {
        method: found,
        name: name(named).to_owned(),
        values,
        metres,
        value_units: (1.0, 1.0),
        is_south_west,
    });
    Ok(description)
}

fn bound(json: &Json, depth: usize) -> Result<Description> {
    let source = json.get("source_crs").ok_or_else(|| lacking(json, "a source CRS"))?;
    let target = json.get("target_crs").ok_or_else(|| lacking(json, "a target CRS"))?;
    let by = json.get("transformation").ok_or_else(|| lacking(json, "a transformation"))?;
    let mut description = description(source, depth.saturating_add(1))?;
    let parameters = by.get("parameters").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    if let Some(file) = parameters.iter().find_map(|parameter| parameter.get("value")?.as_str()) {
        description.geodetic.shift = helmert::of_grid(file)?;
        return Ok(description);
    }
    if method::folded(name(target)) != "wgs84" {
        return Err(Error::unsupported(format!(
            "the CRS \"{}\" is bound to \"{}\", not to WGS 84; {WAY_OUT}",
            name(source),
            name(target)
        )));
    }
    let mut numbers = Vec::new();
    for parameter in parameters {
        let number = parameter.get("value").and_then(Json::as_f64).ok_or_else(|| lacking(json, "a value"))?;
        let factor = match parameter.get("unit").map(unit).transpose()? {
            None => None,
            Some(Unit::Angle(degrees)) => Some(degrees.to_radians()),
            Some(Unit::Length(factor) | Unit::Scale(factor)) => Some(factor),
        };
        numbers.push((name(parameter).to_owned(), number, factor));
    }
    let method = by.get("method").map(name).unwrap_or_default();
    description.geodetic.shift = Shift::ToWgs84(helmert::of_method(method, &numbers, false)?);
    Ok(description)
}
