//! What a CRS is made of: a projection and a datum.

use super::canonical::Canonical;

/// What it takes to place a coordinate on the earth.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// The projection as a PROJ string without a datum: `+proj=`, its parameters, the ellipsoid as `+a +rf`, `+a +b`, `+R`
    /// or `+ellps`, `+pm`, `+axis`, and the unit as `+units` or `+to_meter`. Coordinates are in GIS axis order. Those of
    /// `+proj=longlat` are in degrees, unless `+units=grad` or `+units=rad` says otherwise, or `+to_meter`, which is the unit
    /// in radians there.
    pub proj: String,
    /// The datum.
    pub datum: Datum,
}

/// Which datum coordinates refer to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Datum {
    /// That of the geographic 2D CRS with this code of EPSG, or of ESRI where EPSG has none. Numbers from 1,000,000 are the
    /// table's own: the same datums, for CRSs in whose areas PROJ sorts operations otherwise.
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
            (Self::Epsg(a) | Self::EpsgToWgs84(a, _), Self::Epsg(b) | Self::EpsgToWgs84(b, _)) => {
                super::epsg::is_same_datum(a, b)
            }
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
        self.datum.is_same(&other.datum) && self.has_projection_of(other)
    }

    /// Metres in the units of x and y at a latitude in degrees: of a plane, both as its unit is; of longitudes and
    /// latitudes, by 111,320 m a degree. At the poles a longitude has no length.
    #[must_use]
    pub fn metres_per_unit(&self, latitude: f64) -> [f64; 2] {
        let unit = self.unit();
        if self.is_geographic() {
            let metres = 111_320.0 * unit.to_degrees();
            return [metres * latitude.to_radians().cos().max(0.0), metres];
        }
        [unit, unit]
    }

    /// Whether its coordinates are longitudes and latitudes.
    #[must_use]
    pub fn is_geographic(&self) -> bool {
        Canonical::of(&self.proj).is_geographic()
    }

    /// Whether its coordinates are longitude and latitude in degrees.
    #[must_use]
    pub fn is_in_degrees(&self) -> bool {
        self.is_geographic() && (self.unit().to_degrees() - 1.0).abs() < 1e-12
    }

    /// Metres in the unit of the plane, or radians in that of longitudes and latitudes. Not a number when it is not known.
    pub(super) fn unit(&self) -> f64 {
        Canonical::of(&self.proj).unit()
    }

    /// Whether both are the same projection, however it is written; their datums may differ.
    pub(super) fn has_projection_of(&self, other: &Self) -> bool {
        Canonical::of(&self.proj).is_same(&Canonical::of(&other.proj))
    }

    /// The parameters without their `+`.
    pub(super) fn tokens(&self) -> impl Iterator<Item = &str> {
        self.proj.split_whitespace().map(|token| token.strip_prefix('+').unwrap_or(token))
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
            (Datum::Epsg(a), Datum::Epsg(b)) => a == b || super::datum::agree(a, b),
            (a, b) => a.is_same(&b),
        };
        datums && self.has_projection_of(listed)
    }
}
