//! What a CRS is made of: a projection and a datum.

use super::canonical::Canonical;

/// What it takes to place a coordinate on the earth.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// The projection as a PROJ string without a datum: `+proj=`, its parameters, the ellipsoid as `+a +rf`, `+a +b`, `+R`
    /// or `+ellps`, `+pm`, `+axis`, and the unit as `+units` or `+to_meter`. Coordinates are in GIS axis order.
    pub proj: String,
    /// The datum.
    pub datum: Datum,
}

/// Which datum coordinates refer to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Datum {
    /// That of the geographic 2D CRS with this EPSG code.
    Epsg(u32),
    /// That of the geographic 2D CRS with this EPSG code, in a text that has its own Helmert transformation of it to WGS 84.
    /// As in PROJ: there is no transformation to coordinates on the same datum, and this one to any other.
    EpsgToWgs84(u32, [f64; 7]),
    /// One that a Helmert transformation takes to WGS 84: metres, seconds of arc, parts per million, in the convention of
    /// `+towgs84` (position vector).
    ToWgs84([f64; 7]),
    /// Only an ellipsoid is known.
    Unknown,
}

impl Datum {
    /// Whether coordinates on one are coordinates on the other. Two that are unknown are not.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (*self, *other) {
            (Self::Epsg(a) | Self::EpsgToWgs84(a, _), Self::Epsg(b) | Self::EpsgToWgs84(b, _)) => a == b,
            (Self::ToWgs84(a), Self::ToWgs84(b)) => a.map(f64::to_bits) == b.map(f64::to_bits),
            (_, _) => false,
        }
    }
}

impl Definition {
    /// Whether coordinates of one are coordinates of the other to less than 0.01 mm: the same datum and the same
    /// projection, however it is written. `false` when a datum is unknown.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.datum.is_same(&other.datum) && Canonical::of(&self.proj).is_same(&Canonical::of(&other.proj))
    }

    /// Whether its coordinates are longitude and latitude in degrees.
    #[must_use]
    pub fn is_geographic(&self) -> bool {
        Canonical::of(&self.proj).is_geographic()
    }

    /// Metres in the unit of the plane; `None` for longitude and latitude.
    #[must_use]
    pub fn metres(&self) -> Option<f64> {
        let canonical = Canonical::of(&self.proj);
        (!canonical.is_geographic()).then_some(canonical.metres())
    }

    /// Semi-major and semi-minor axis in metres; `None` when the string has none that are known.
    #[must_use]
    pub fn ellipsoid(&self) -> Option<(f64, f64)> {
        Canonical::of(&self.proj).ellipsoid()
    }

    /// Longitude of the prime meridian from Greenwich in degrees.
    pub(super) fn meridian(&self) -> f64 {
        Canonical::of(&self.proj).meridian()
    }

    /// Whether it says the same as the table's definition of its code. Datums between which there is no shift pass: EPSG
    /// has split ETRS89, and texts from before have the old code.
    pub(super) fn is_content_of(&self, listed: &Self) -> bool {
        let datums = match (self.datum, listed.datum) {
            (Datum::Epsg(a), Datum::Epsg(b)) => a == b || super::epsg_stub::datums_agree(a, b),
            (a, b) => a.is_same(&b),
        };
        datums && Canonical::of(&self.proj).is_same(&Canonical::of(&listed.proj))
    }
}
