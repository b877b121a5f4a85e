//! What a CRS is made of: a projection and a datum.

/// What it takes to place a coordinate on the earth.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// The projection as a PROJ string without a datum: `+proj=`, its parameters, the ellipsoid as `+a +rf`, `+a +b` or
    /// `+R`, `+pm`, `+axis`, and the unit as `+units` or `+to_meter`. Coordinates are in GIS axis order.
    pub proj: String,
    /// The datum.
    pub datum: Datum,
}

/// Which datum coordinates refer to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Datum {
    /// That of the geographic 2D CRS with this EPSG code.
    Epsg(u32),
    /// One that a Helmert transformation takes to WGS 84: metres, seconds of arc, parts per million, in the convention of
    /// `+towgs84` (position vector).
    ToWgs84([f64; 7]),
    /// Only an ellipsoid is known.
    Unknown,
}
