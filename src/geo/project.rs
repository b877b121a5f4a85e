//! Coordinates from one CRS to another, by proj4rs.

use std::fmt;

use proj4rs::Proj;

use super::crs::{Crs, WAY_OUT, proj_tokens};
use super::epsg;
use crate::error::{Error, Result};

/// Degrees by which a coordinate may miss itself after a round trip through a projection and still be in that
/// projection's domain. Inside the domain the miss is below 1e-9; outside it is whole degrees.
const ROUND_TRIP_DEGREES: f64 = 1e-7;

/// Parameters of PROJ strings that proj4rs honours. It ignores all others without a word, so that they must be
/// refused here.
const PARAMETERS: &[&str] = &[
    "proj", "lat_0", "lat_1", "lat_2", "lat_ts", "lon_0", "lonc", "x_0", "y_0", "k", "k_0", "zone", "south", "ellps",
    "R", "a", "b", "rf", "f", "units", "to_meter", "pm", "axis", "alpha", "gamma", "h", "sweep", "no_uoff", "no_off",
    "datum", "towgs84", "nadgrids", "no_defs", "type", "wktext",
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
        write!(f, "Projector({} -> {})", self.from.crs, self.to.crs)
    }
}

impl Projector {
    /// Prepares to take coordinates in `from` to `to`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] when one of them cannot be projected exactly, or when their datums differ.
    pub fn new(from: &Crs, to: &Crs) -> Result<Self> {
        if let (Some(a), Some(b)) = (from.base(), to.base())
            && epsg::datums_differ(a, b)
        {
            return Err(Error::unsupported(format!(
                "{from} and {to} are on different datums, and cogclip has no datum shifts yet; {WAY_OUT}"
            )));
        }
        let hub = proj("+proj=longlat +ellps=WGS84", &Crs::wgs84())?;
        let (from, to) = (Side::new(from)?, Side::new(to)?);
        let identity = from.crs.is_same(&to.crs)
            || (from.is_plain_geographic() && to.is_plain_geographic());
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
        self.to.from_hub(&self.hub, place)
    }
}

impl Side {
    fn new(crs: &Crs) -> Result<Self> {
        let Some(text) = crs.proj_string() else {
            return Err(crs.epsg().map_or_else(
                || {
                    Error::unsupported(format!(
                        "the CRS \"{crs}\" has no EPSG code and cogclip cannot project it; {WAY_OUT}"
                    ))
                },
                super::crs::unlisted,
            ));
        };
        let proj = proj(&without_datum(text, crs)?, crs)?;
        // Other ellipsoids belong to datums that lie some hundred metres from WGS 84. A sphere is different: by
        // convention its latitudes are those of the ellipsoid.
        let (a, b) = proj.ellipse_parameters();
        let is_sphere = (a - b).abs() < 1e-3 && (6_350_000.0..6_400_000.0).contains(&a);
        let is_wgs84 = (a - 6_378_137.0).abs() < 1e-3 && (b - 6_356_752.314).abs() < 1e-2;
        if !is_sphere && !is_wgs84 {
            return Err(shifted(&format!("an ellipsoid of {a} by {b} m"), crs));
        }
        if proj.is_geocent() {
            return Err(Error::unsupported(format!("{crs} is geocentric: it has no plane to cut in")));
        }
        Ok(Self { geographic: proj.is_latlong(), crs: crs.clone(), proj })
    }

    #[expect(clippy::float_cmp, reason = "the prime meridian is Greenwich or it is not")]
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
    fn from_hub(&self, hub: &Proj, place: [f64; 2]) -> Option<[f64; 2]> {
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
