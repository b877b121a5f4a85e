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
            (Self::Epsg(a) | Self::EpsgToWgs84(a, _), Self::Epsg(b) | Self::EpsgToWgs84(b, _)) => {
                super::epsg_stub::datums_agree(a, b)
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
        let radius = 111_320.0_f64.to_degrees();
        let value = |name| self.tokens().find_map(|token| token.strip_prefix(name));
        if self.is_geographic() {
            let radians = match (value("units="), value("to_meter=").and_then(|text| text.parse().ok())) {
                (_, Some(radians)) => radians,
                (Some("grad"), None) => 0.9_f64.to_radians(),
                (Some("rad"), None) => 1.0,
                _ => 1.0_f64.to_radians(),
            };
            return [radius * radians * latitude.to_radians().cos().max(0.0), radius * radians];
        }
        let metres = value("to_meter=").and_then(|text| match text.split_once('/') {
            Some((above, below)) => Some(above.parse::<f64>().ok()? / below.parse::<f64>().ok()?),
            None => text.parse().ok(),
        });
        // The units of PROJ's table.
        let metres = metres.unwrap_or_else(|| match value("units=").unwrap_or("m") {
            "km" => 1000.0,
            "dm" => 0.1,
            "cm" => 0.01,
            "mm" => 0.001,
            "kmi" => 1852.0,
            "in" => 0.0254,
            "ft" => 0.3048,
            "yd" => 0.9144,
            "mi" => 1609.344,
            "fath" => 1.8288,
            "ch" => 20.1168,
            "link" => 0.201_168,
            "us-in" => 100.0 / 3937.0,
            "us-ft" => 1200.0 / 3937.0,
            "us-yd" => 3600.0 / 3937.0,
            "us-ch" => 79200.0 / 3937.0,
            "us-mi" => 6_336_000.0 / 3937.0,
            "ind-yd" => 0.914_395_23,
            "ind-ft" => 0.304_798_41,
            "ind-ch" => 20.116_695_06,
            _ => 1.0,
        });
        [metres, metres]
    }

    /// Whether its coordinates are longitudes and latitudes.
    #[must_use]
    pub fn is_geographic(&self) -> bool {
        Canonical::of(&self.proj).is_geographic()
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

    /// Whether it says the same as the table's definition of its code.
    pub(super) fn is_content_of(&self, listed: &Self) -> bool {
        self.is_same(listed)
    }
}
