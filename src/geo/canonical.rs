//! PROJ strings in one form, so that two of them can be compared.

#![expect(clippy::float_cmp, reason = "defaults are written as they are")]

use std::collections::BTreeMap;

use proj4rs::Proj;

/// Parameters of a PROJ string with defaults filled in or dropped, names made one, and units resolved.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Canonical {
    /// `+proj`.
    method: String,
    /// What is a number: degrees, metres, ratios.
    numbers: BTreeMap<String, f64>,
    /// What is not.
    words: BTreeMap<String, String>,
    /// Semi-axes in metres.
    axes: Option<(f64, f64)>,
    /// Metres in the unit of a plane, radians in that of longitudes and latitudes.
    unit: f64,
}

/// Parameters that say nothing of the projection.
const SILENT: &[&str] =
    &["no_defs", "type", "wktext", "ellps", "a", "b", "rf", "f", "es", "e", "R", "units", "to_meter"];

impl Canonical {
    /// Of a string of [`super::Definition`]'s form.
    pub(super) fn of(text: &str) -> Self {
        let tokens: BTreeMap<&str, &str> = text
            .split_whitespace()
            .map(|token| token.strip_prefix('+').unwrap_or(token))
            .map(|token| token.split_once('=').unwrap_or((token, "")))
            .collect();
        let mut this = Self {
            method: tokens.get("proj").copied().unwrap_or_default().to_owned(),
            numbers: BTreeMap::new(),
            words: BTreeMap::new(),
            axes: axes(&tokens),
            unit: 1.0,
        };
        for (name, value) in &tokens {
            if SILENT.contains(name) || *name == "proj" {
                continue;
            }
            let name = if *name == "k" { "k_0" } else { name };
            match number(name, value) {
                Some(number) => this.numbers.insert(name.to_owned(), number).map(drop),
                None => this.words.insert(name.to_owned(), (*value).to_owned()).map(drop),
            };
        }
        this.settle();
        this.unit = if this.is_geographic() { radians(&tokens) } else { metres(&tokens) };
        this
    }

    fn settle(&mut self) {
        match self.method.as_str() {
            "utm" => {
                let zone = self.numbers.remove("zone").unwrap_or(0.0);
                let is_south = self.words.remove("south").is_some();
                "tmerc".clone_into(&mut self.method);
                let utm = [
                    ("lon_0", zone * 6.0 - 183.0),
                    ("k_0", 0.9996),
                    ("x_0", 500_000.0),
                    ("y_0", if is_south { 1e7 } else { 0.0 }),
                ];
                self.numbers.extend(utm.map(|(key, value)| (key.to_owned(), value)));
            }
            "etmerc" => "tmerc".clone_into(&mut self.method),
            "latlong" | "lonlat" | "latlon" => "longlat".clone_into(&mut self.method),
            "webmerc" => {
                "merc".clone_into(&mut self.method);
                self.axes = self.axes.map(|(a, _)| (a, a));
            }
            _ => {}
        }
        match self.method.as_str() {
            // PROJ: one parallel is two equal ones; alone, it is the latitude of origin too.
            "lcc" => {
                if let Some(first) = self.get("lat_1") {
                    if self.get("lat_2").is_none() {
                        self.put_if_absent("lat_0", first);
                    }
                    self.put_if_absent("lat_2", first);
                }
                self.sort_parallels();
            }
            "aea" | "eqdc" => self.sort_parallels(),
            "omerc" => {
                // PROJ: the grid's angle is the azimuth unless given.
                if self.get("gamma") == self.get("alpha") {
                    self.numbers.remove("gamma");
                }
                if self.words.remove("no_off").is_some() {
                    self.words.insert("no_uoff".to_owned(), String::new());
                }
            }
            "krovak" | "mod_krovak" => {
                // PROJ has the cone built in.
                self.numbers.remove("alpha");
                for (key, value) in [("lat_0", 49.5), ("lon_0", 24.833_333_333_333_332), ("k_0", 0.9999)] {
                    self.put_if_absent(key, value);
                }
            }
            "stere" => {
                let parallel = self.get("lat_ts").unwrap_or(90.0).abs();
                self.numbers.insert("lat_ts".to_owned(), parallel);
            }
            "geos" if self.words.get("sweep").is_some_and(|sweep| sweep == "y") => {
                self.words.remove("sweep");
            }
            _ => {}
        }
        let is_stereographic = self.method == "stere";
        let is_krovak = self.method.ends_with("krovak");
        self.numbers.retain(|key, value| match key.as_str() {
            "lat_0" | "lon_0" | "k_0" if is_krovak => true,
            "lat_ts" if is_stereographic => true,
            "lat_0" | "lon_0" | "lat_ts" | "x_0" | "y_0" | "pm" => *value != 0.0,
            "k_0" => *value != 1.0,
            _ => true,
        });
        if self.words.get("axis").is_some_and(|axis| axis == "enu") {
            self.words.remove("axis");
        }
    }

    fn get(&self, key: &str) -> Option<f64> {
        self.numbers.get(key).copied()
    }

    fn put_if_absent(&mut self, key: &str, value: f64) {
        self.numbers.entry(key.to_owned()).or_insert(value);
    }

    fn sort_parallels(&mut self) {
        if let (Some(first), Some(second)) = (self.get("lat_1"), self.get("lat_2"))
            && first > second
        {
            self.numbers.insert("lat_1".to_owned(), second);
            self.numbers.insert("lat_2".to_owned(), first);
        }
    }

    /// Whether the two put a place at coordinates less than 0.01 mm apart.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        // 1e-5 m of an earth's quadrant of 1e7 m: 1e-12 of any ratio, 9e-11 of a degree.
        let are_axes_same = match (self.axes, other.axes) {
            (Some((a, b)), Some((c, d))) => (a - c).abs() < 1e-5 && (b - d).abs() < 1e-5,
            (_, _) => false,
        };
        let is_unit_same = (self.unit / other.unit - 1.0).abs() < 1e-12;
        self.method == other.method
            && self.words == other.words
            && are_axes_same
            && is_unit_same
            && self.numbers.len() == other.numbers.len()
            && self.numbers.iter().zip(&other.numbers).all(|((name, a), (other_name, b))| {
                let tolerance = match name.as_str() {
                    "x_0" | "y_0" | "h" | "h_0" => 5e-6,
                    "k_0" => 5e-13,
                    // PROJ's list has Paris to a thousandth of a second of arc, EPSG's in grads: 0.4 mm apart.
                    "pm" => 1e-8,
                    _ => 4e-11,
                };
                let mut apart = (a - b).abs();
                if matches!(name.as_str(), "lon_0" | "lonc" | "lon_1" | "lon_2" | "pm") {
                    apart = (apart - (apart / 360.0).round() * 360.0).abs();
                }
                name == other_name && apart <= tolerance
            })
    }

    /// Whether coordinates are longitude and latitude.
    pub(super) fn is_geographic(&self) -> bool {
        self.method == "longlat"
    }

    /// Metres in the unit of the plane, or radians in that of longitudes and latitudes.
    pub(super) fn unit(&self) -> f64 {
        self.unit
    }

    /// Longitude of the prime meridian in degrees.
    pub(super) fn meridian(&self) -> f64 {
        self.get("pm").unwrap_or(0.0)
    }

    /// Semi-axes in metres.
    pub(super) fn ellipsoid(&self) -> Option<(f64, f64)> {
        self.axes
    }
}

/// The value of a parameter that is a number; prime meridians may be names.
fn number(name: &str, value: &str) -> Option<f64> {
    if let Ok(number) = value.parse() {
        return Some(number);
    }
    if name == "pm" {
        return proj(&format!("+proj=longlat +a=1000000 +pm={value}"))
            .map(|proj| proj.from_greenwich().to_degrees());
    }
    None
}

fn axes(tokens: &BTreeMap<&str, &str>) -> Option<(f64, f64)> {
    let shape: Vec<String> = ["R", "ellps", "a", "b", "rf", "f", "es", "e"]
        .iter()
        .filter_map(|key| Some(format!("+{key}={}", tokens.get(key)?)))
        .collect();
    Some(proj(&format!("+proj=longlat {}", shape.join(" ")))?.ellipse_parameters())
}

fn metres(tokens: &BTreeMap<&str, &str>) -> f64 {
    let unit = match (tokens.get("units"), tokens.get("to_meter")) {
        (Some(name), _) => format!("+units={name}"),
        (None, Some(metres)) => format!("+to_meter={metres}"),
        (None, None) => return 1.0,
    };
    // A unit that is not known is equal to nothing, not even to itself.
    proj(&format!("+proj=merc +a=6378137 {unit}")).map_or(f64::NAN, |proj| proj.to_meter())
}

/// As [`super::Definition`] has the units of longitudes and latitudes.
fn radians(tokens: &BTreeMap<&str, &str>) -> f64 {
    match (tokens.get("units").copied(), tokens.get("to_meter")) {
        (None | Some("degrees"), None) => 1.0_f64.to_radians(),
        (Some("grad"), None) => 0.9_f64.to_radians(),
        (Some("rad"), None) => 1.0,
        (None, Some(radians)) => radians.parse().unwrap_or(f64::NAN),
        (_, _) => f64::NAN,
    }
}

fn proj(text: &str) -> Option<Proj> {
    // proj4rs cuts numbers at byte positions.
    if !text.is_ascii() {
        return None;
    }
    Proj::from_proj_string(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_that_say_the_same() {
        #[track_caller]
        fn check(a: &str, b: &str, is_same: bool) {
            assert_eq!(
                Canonical::of(a).is_same(&Canonical::of(b)),
                is_same,
                "{:?} {:?}",
                Canonical::of(a),
                Canonical::of(b)
            );
        }
        let utm = "+proj=tmerc +lat_0=0 +lon_0=15 +k=0.9996 +x_0=500000 +y_0=0 +a=6378137 +rf=298.257223563 +units=m";
        check("+proj=utm +zone=33 +ellps=WGS84 +units=m +no_defs", utm, true);
        check("+proj=utm +zone=33 +south +ellps=WGS84", utm, false);
        check("+proj=utm +zone=33 +ellps=intl", utm, false);
        check("+proj=etmerc +lon_0=375 +k_0=0.9996 +x_0=500000 +ellps=WGS84", utm, true);
        check("+proj=tmerc +lon_0=15.000000001 +k_0=0.9996 +x_0=500000 +ellps=WGS84", utm, false);
        check("+proj=tmerc +lon_0=15 +k_0=0.9996 +x_0=500000.00001 +ellps=WGS84", utm, false);
        check("+proj=lcc +lat_1=40 +lat_0=40 +ellps=intl", "+proj=lcc +lat_1=40 +ellps=intl", true);
        check(
            "+proj=lcc +lat_1=40 +lat_2=50 +ellps=intl",
            "+proj=lcc +lat_2=40 +lat_1=50 +lat_0=0 +ellps=intl",
            true,
        );
        check("+proj=lcc +lat_1=40 +lat_2=40 +ellps=intl", "+proj=lcc +lat_1=40 +ellps=intl", false);
        check("+proj=webmerc +ellps=WGS84", "+proj=merc +a=6378137 +b=6378137 +lat_ts=0 +k=1", true);
        check("+proj=stere +lat_0=90 +ellps=WGS84 +lat_ts=90", "+proj=stere +lat_0=90 +ellps=WGS84", true);
        check("+proj=stere +lat_0=90 +ellps=WGS84 +lat_ts=0", "+proj=stere +lat_0=90 +ellps=WGS84", false);
        check(
            "+proj=tmerc +ellps=WGS84 +units=us-ft",
            "+proj=tmerc +ellps=WGS84 +to_meter=0.304800609601219",
            true,
        );
        check("+proj=tmerc +ellps=WGS84 +units=us-ft", "+proj=tmerc +ellps=WGS84 +units=ft", false);
        check(
            "+proj=longlat +ellps=clrk80ign +pm=paris",
            "+proj=longlat +ellps=clrk80ign +pm=2.337229166667",
            true,
        );
        check(
            "+proj=longlat +ellps=clrk80ign +pm=2.33722917",
            "+proj=longlat +ellps=clrk80ign +pm=2.337229166667",
            true,
        );
        check("+proj=longlat +ellps=nothing", "+proj=longlat +ellps=nothing", false);
        check("+proj=tmerc +ellps=WGS84 +units=nothing", "+proj=tmerc +ellps=WGS84 +units=nothing", false);
        check("+proj=longlat +ellps=WGS84 +units=grad", "+proj=longlat +ellps=WGS84", false);
        check(
            "+proj=longlat +ellps=WGS84 +units=grad",
            "+proj=longlat +ellps=WGS84 +to_meter=0.015707963267948967",
            true,
        );
        check("+proj=tmerc +ellps=WGS84 +axis=wsu", "+proj=tmerc +ellps=WGS84", false);
    }
}
