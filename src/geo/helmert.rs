//! The transformation to WGS 84 that a text gives with its datum.

use super::crs::WAY_OUT;
use super::method::folded;
use crate::error::{Error, Result};

/// What a text says of the way from its datum to WGS 84.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Shift {
    /// Nothing.
    None,
    /// A Helmert transformation, as [`super::definition::Datum::ToWgs84`] has it.
    ToWgs84([f64; 7]),
    /// Longitudes and latitudes are those of WGS 84, whatever the ellipsoid (`+nadgrids=@null`).
    Null,
}

/// Three or seven numbers of `TOWGS84` or `+towgs84`.
pub(super) fn parameters(numbers: &[f64]) -> Option<[f64; 7]> {
    match *numbers {
        [x, y, z] => Some([x, y, z, 0.0, 0.0, 0.0, 0.0]),
        [x, y, z, rx, ry, rz, s] => Some([x, y, z, rx, ry, rz, s]),
        _ => None,
    }
}

/// A grid, by its file's name.
///
/// # Errors
/// [`crate::ErrorKind::Unsupported`] for any but the null grid: the file is not ours to look for.
pub(super) fn of_grid(name: &str) -> Result<Shift> {
    if name == "@null" {
        return Ok(Shift::Null);
    }
    Err(Error::unsupported(format!(
        "its datum is shifted by the grid \"{name}\", which cogclip does not read; {WAY_OUT}"
    )))
}

/// A Helmert transformation by the name of its method and its parameters: name, number, and the metres, radians or
/// ones in its unit.
///
/// # Errors
/// [`crate::ErrorKind::Unsupported`] for another method or parameter.
pub(super) fn of_method(
    method: &str,
    values: &[(String, f64, Option<f64>)],
    is_abridged: bool,
) -> Result<[f64; 7]> {
    let unknown = |what: &str| {
        Error::unsupported(format!(
            "its datum is taken to WGS 84 by \"{what}\", which is not understood; {WAY_OUT}"
        ))
    };
    let name = folded(method);
    let is_frame = name.starts_with("coordinateframe");
    if !(is_frame || name.starts_with("positionvector") || name.starts_with("geocentrictranslation")) {
        return Err(unknown(method));
    }
    let mut shift = [0.0; 7];
    for (name, number, unit) in values {
        let names = [
            "xaxistranslation",
            "yaxistranslation",
            "zaxistranslation",
            "xaxisrotation",
            "yaxisrotation",
            "zaxisrotation",
            "scaledifference",
        ];
        let known = folded(name);
        let place = names.iter().position(|candidate| *candidate == known).ok_or_else(|| unknown(name))?;
        let value = match (place, unit) {
            (0..3, unit) => number * unit.unwrap_or(1.0),
            (3..6, Some(radians)) => number * radians.to_degrees() * 3600.0,
            (3..6, None) => *number,
            (_, Some(ones)) => number * ones * 1e6,
            // WKT2 abridges the scale to a factor: 1.000001 for one part in a million.
            (_, None) if is_abridged && (number - 1.0).abs() < 0.01 => (number - 1.0) * 1e6,
            (_, None) => *number,
        };
        let sign = if is_frame && (3..6).contains(&place) { -1.0 } else { 1.0 };
        if let Some(slot) = shift.get_mut(place) {
            *slot = value * sign;
        }
    }
    if shift.iter().all(|value| value.is_finite()) { Ok(shift) } else { Err(unknown("infinity")) }
}
