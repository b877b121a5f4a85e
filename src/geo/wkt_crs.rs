//! What a well-known text says of a CRS: WKT1 as GDAL and as ESRI write it, WKT2 of 2015 and of 2019.
//!
//! The order of axes is not looked at, because coordinates in files are in GIS order; where they point is.

use super::crs::{Crs, WAY_OUT};
use super::description::{
    Description, Ellipsoid, Geodetic, Id, Plane, Projection, Unit, Value, degrees_in, meridian, metres_in,
};
use super::helmert::{self, Shift};
use super::method;
use super::wkt::{self, Node};
use crate::error::{Error, Result};

/// The CRS of a text.
///
/// # Errors
/// [`crate::ErrorKind::Format`] for what is no well-known text or lacks a part, [`crate::ErrorKind::Unsupported`] for
/// what is not understood.
pub(super) fn crs(text: &str) -> Result<Crs> {
    description(&wkt::parse(text)?)?.crs(text)
}

const GEOGRAPHIC: &[&str] =
    &["GEOGCS", "GEOGCRS", "GEOGRAPHICCRS", "GEODCRS", "GEODETICCRS", "BASEGEOGCRS", "BASEGEODCRS"];

fn description(node: &Node) -> Result<Description> {
    match node.keyword.as_str() {
        "PROJCS" | "PROJCRS" | "PROJECTEDCRS" => projected(node),
        "COMPD_CS" | "COMPOUNDCRS" => {
            // The horizontal part comes first.
            let first = node.nodes().next().ok_or_else(|| lacking(node, "a horizontal CRS"))?;
            let mut description = description(first)?;
            description.id = id(first);
            Ok(description)
        }
        "BOUNDCRS" => bound(node),
        keyword if GEOGRAPHIC.contains(&keyword) => Ok(Description {
            name: node.name().to_owned(),
            id: id(node),
            geodetic: geodetic(node)?,
            plane: Plane::Geographic,
        }),
        keyword => Err(Error::unsupported(format!(
            "the CRS \"{}\" is of the kind {keyword}; only geographic and projected ones are understood; {WAY_OUT}",
            node.name()
        ))),
    }
}

fn lacking(node: &Node, what: &str) -> Error {
    Error::format(format!("{}[\"{}\"] in the CRS's well-known text lacks {what}", node.keyword, node.name()))
}

fn id(node: &Node) -> Option<Id> {
    let id = node.node(&["AUTHORITY", "ID"])?;
    let authority = super::crs::authority(id.text(0)?)?;
    let code = id.number(1)?.to_string().parse().ok()?;
    Some(Id { authority, code })
}

/// The number in a unit node: radians, metres or ones.
fn unit(node: &Node) -> Result<f64> {
    node.number(1).filter(|factor| *factor > 0.0).ok_or_else(|| lacking(node, "a factor above 0"))
}

fn geodetic(node: &Node) -> Result<Geodetic> {
    if let Some(derived) = node.node(&["DERIVINGCONVERSION"]) {
        return Err(Error::unsupported(format!(
            "the CRS \"{}\" is derived from another by \"{}\" (as rotated poles are), which is not understood; {WAY_OUT}",
            node.name(),
            derived.name()
        )));
    }
    if let Some(system) = node.node(&["CS"])
        && system.word(0).is_some_and(|kind| !kind.eq_ignore_ascii_case("ellipsoidal"))
    {
        return Err(Error::unsupported(format!(
            "the CRS \"{}\" has {} coordinates, not longitude and latitude; {WAY_OUT}",
            node.name(),
            system.word(0).unwrap_or("unknown")
        )));
    }
    if let Some(extension) = node.node(&["EXTENSION"]) {
        return Err(Error::unsupported(format!(
            "the CRS \"{}\" has the extension {:?}, which is not understood; {WAY_OUT}",
            node.name(),
            extension.text(1).unwrap_or_default()
        )));
    }
    let directions = directions(node);
    if directions.iter().any(|direction| matches!(direction.as_str(), "WEST" | "SOUTH")) {
        return Err(Error::unsupported(format!(
            "the axes of \"{}\" point {}",
            node.name(),
            directions.join(" and ")
        )));
    }
    let datum =
        node.node(&["DATUM", "GEODETICDATUM", "TRF", "ENSEMBLE"]).ok_or_else(|| lacking(node, "a datum"))?;
    let spheroid = datum.node(&["SPHEROID", "ELLIPSOID"]).ok_or_else(|| lacking(datum, "an ellipsoid"))?;
    let metres = spheroid.node(&["LENGTHUNIT", "UNIT"]).map_or(Ok(1.0), unit)?;
    let ellipsoid = match (spheroid.number(1), spheroid.number(2)) {
        (Some(a), Some(rf)) => Ellipsoid { a: a * metres, rf },
        _ => return Err(lacking(spheroid, "its two numbers")),
    };
    // WKT1 has one unit for all angles of the CRS. In WKT2 it stands with the axes, or with each thing by itself.
    let axis_unit = node.node(&["AXIS"]).and_then(|axis| axis.node(&["ANGLEUNIT", "UNIT"]));
    let own_unit = node.node(&["ANGLEUNIT", "UNIT"]).or(axis_unit);
    let degrees = match own_unit {
        Some(own) => degrees_in(unit(own)?),
        None if matches!(node.keyword.as_str(), "GEOGCS" | "GEOGCRS" | "GEOGRAPHICCRS") => {
            return Err(lacking(node, "the unit of its angles"));
        }
        None => 1.0,
    };
    let meridian =
        match node.node(&["PRIMEM", "PRIMEMERIDIAN"]).or_else(|| datum.node(&["PRIMEM", "PRIMEMERIDIAN"])) {
            None => 0.0,
            Some(prime) => {
                let number = prime.number(1).ok_or_else(|| lacking(prime, "its longitude"))?;
                match prime.node(&["ANGLEUNIT", "UNIT"]) {
                    Some(own) => number * degrees_in(unit(own)?),
                    None => meridian(prime.name(), number, degrees)?,
                }
            }
        };
    let mut shift = Shift::None;
    if let Some(helmert) = datum.node(&["TOWGS84"]) {
        let numbers: Vec<f64> = (0..helmert.items.len()).filter_map(|index| helmert.number(index)).collect();
        shift = Shift::ToWgs84(helmert::parameters(&numbers).ok_or_else(|| {
            Error::format(format!("TOWGS84 of the datum \"{}\" has neither 3 nor 7 numbers", datum.name()))
        })?);
    }
    if let Some(extension) = datum.node(&["EXTENSION"]) {
        shift = helmert::of_grid(extension.text(1).unwrap_or_default())?;
    }
    Ok(Geodetic {
        name: node.name().to_owned(),
        id: id(node),
        datum: datum.name().to_owned(),
        datum_id: id(datum),
        ellipsoid,
        certain: None,
        meridian,
        degrees,
        shift,
    })
}

/// Where the horizontal axes point, in upper case.
fn directions(node: &Node) -> Vec<String> {
    let axes = node.nodes().filter(|child| child.keyword == "AXIS");
    let directions = axes.filter_map(|axis| Some(axis.word(1)?.to_ascii_uppercase()));
    directions.filter(|direction| !matches!(direction.as_str(), "UP" | "DOWN")).collect()
}

fn projected(node: &Node) -> Result<Description> {
    let base = node.node(GEOGRAPHIC).ok_or_else(|| lacking(node, "a geographic CRS"))?;
    let geodetic = geodetic(base)?;
    let mut description =
        Description { name: node.name().to_owned(), id: id(node), geodetic, plane: Plane::Geographic };
    let axis_unit = node.node(&["AXIS"]).and_then(|axis| axis.node(&["LENGTHUNIT", "UNIT"]));
    let own_unit = node.node(&["LENGTHUNIT", "UNIT"]).or(axis_unit).ok_or_else(|| lacking(node, "a unit"))?;
    let metres = metres_in(unit(own_unit)?);
    if let Some(extension) = node.node(&["EXTENSION"]) {
        let text = extension.text(1).unwrap_or_default();
        if extension.text(0) != Some("PROJ4") {
            return Err(Error::unsupported(format!(
                "the CRS \"{}\" has the extension \"{text}\"",
                node.name()
            )));
        }
        description.plane = Plane::Extension(text.to_owned());
        return Ok(description);
    }
    let (method_node, values_in, value_units) = match node.node(&["CONVERSION"]) {
        // PROJ: parameters without a unit are in metres and degrees.
        Some(conversion) => (conversion.node(&["METHOD", "PROJECTION"]), conversion, (1.0, 1.0)),
        None => (node.node(&["PROJECTION"]), node, (metres, description.geodetic.degrees)),
    };
    let method_node = method_node.ok_or_else(|| lacking(node, "a projection"))?;
    let values = values(values_in)?;
    let has_esri_centre = values.iter().any(|value| value.name == "Longitude_Of_Center");
    let code = method_node.node(&["ID", "AUTHORITY"]).and_then(|id| id.number(1));
    let found = code
        .and_then(|code| method::by_code(code.to_string().parse().ok()?))
        .or_else(|| method::by_name(method_node.name(), has_esri_centre))
        .ok_or_else(|| {
            Error::unsupported(format!(
                "the method \"{}\" of the CRS \"{}\" is not understood; {WAY_OUT}",
                method_node.name(),
                node.name()
            ))
        });
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            description.plane = Plane::Unknown(error);
            return Ok(description);
        }
    };
    let directions = directions(node);
    let is_south_west =
        ["SOUTH", "WEST"].iter().all(|point| directions.iter().any(|direction| direction == point));
    let is_usual = match directions.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["EAST" | "NORTH", "EAST" | "NORTH"] | ["SOUTH", "SOUTH"] | [] | [_] => true,
        _ => is_south_west && found.proj.contains("+axis="),
    };
    if !is_usual {
        return Err(Error::unsupported(format!(
            "the axes of the CRS \"{}\" point {}; {WAY_OUT}",
            node.name(),
            directions.join(" and ")
        )));
    }
    description.plane = Plane::Projected(Projection {
        method: found,
        name: method_node.name().to_owned(),
        values,
        metres,
        value_units,
        is_south_west,
    });
    Ok(description)
}

fn values(node: &Node) -> Result<Vec<Value>> {
    let mut values = Vec::new();
    for parameter in
        node.nodes().filter(|child| matches!(child.keyword.as_str(), "PARAMETER" | "PARAMETERFILE"))
    {
        let number = parameter.number(1).ok_or_else(|| lacking(parameter, "its value"))?;
        let unit = match parameter.node(&["ANGLEUNIT", "LENGTHUNIT", "SCALEUNIT", "UNIT"]) {
            None => None,
            Some(own) => Some(match own.keyword.as_str() {
                "ANGLEUNIT" => Unit::Angle(degrees_in(unit(own)?)),
                "LENGTHUNIT" => Unit::Length(metres_in(unit(own)?)),
                "SCALEUNIT" => Unit::Scale(unit(own)?),
                _ => {
                    return Err(Error::unsupported(format!(
                        "the unit of {} does not say its kind",
                        parameter.name()
                    )));
                }
            }),
        };
        let code =
            parameter.node(&["ID"]).filter(|id| id.text(0) == Some("EPSG")).and_then(|id| id.number(1));
        values.push(Value {
            name: parameter.name().to_owned(),
            code: code.and_then(|code| code.to_string().parse().ok()),
            number,
            unit,
        });
    }
    Ok(values)
}

/// A CRS with its transformation to WGS 84 (WKT2).
fn bound(node: &Node) -> Result<Description> {
    let within = |keyword: &str| node.node(&[keyword]).and_then(|part| part.nodes().next());
    let source = within("SOURCECRS").ok_or_else(|| lacking(node, "a source CRS"))?;
    let target = within("TARGETCRS").ok_or_else(|| lacking(node, "a target CRS"))?;
    let by = node.node(&["ABRIDGEDTRANSFORMATION"]).ok_or_else(|| lacking(node, "a transformation"))?;
    let mut description = description(source)?;
    let file = by
        .nodes()
        .find(|child| child.keyword == "PARAMETERFILE")
        .map(|file| file.word(1).unwrap_or_default());
    if let Some(file) = file {
        description.geodetic.shift = helmert::of_grid(file)?;
        return Ok(description);
    }
    if target.name() != "WGS 84" && method::folded(target.name()) != "wgs84" {
        return Err(Error::unsupported(format!(
            "the CRS \"{}\" is bound to \"{}\", not to WGS 84; {WAY_OUT}",
            source.name(),
            target.name()
        )));
    }
    let method = by.node(&["METHOD"]).ok_or_else(|| lacking(by, "a method"))?;
    let mut numbers = Vec::new();
    for parameter in by.nodes().filter(|child| child.keyword == "PARAMETER") {
        let number = parameter.number(1).ok_or_else(|| lacking(parameter, "its value"))?;
        let own = parameter.node(&["ANGLEUNIT", "LENGTHUNIT", "SCALEUNIT", "UNIT"]);
        numbers.push((parameter.name().to_owned(), number, own.map(unit).transpose()?));
    }
    description.geodetic.shift = Shift::ToWgs84(helmert::of_method(method.name(), &numbers, true)?);
    Ok(description)
}
