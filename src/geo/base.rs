//! The longitude and latitude below a plane.

use super::crs::Crs;
use super::definition::Definition;
use super::{Bounds, Choice, Projector};

impl Crs {
    /// The geographic CRS on which it is based: its longitudes and latitudes, in degrees, before they are projected. `None`
    /// when it has only a name, or a code that is not in the built-in table.
    #[must_use]
    pub fn geographic(&self) -> Option<Self> {
        if self.is_geographic() {
            return Some(self.clone());
        }
        let plane = self.definition()?;
        let (a, b) = plane.ellipsoid()?;
        let proj = format!("+proj=longlat +a={a} +b={b} +pm={}", plane.meridian());
        let name = format!("the longitudes and latitudes of {self}");
        Some(Self::described(name, Definition { proj, datum: plane.datum }, ""))
    }

    /// Degrees of Greenwich, west, south, east and north, around the places of some of its coordinates; west is the larger
    /// one over the antimeridian. Places that it has no answer for count for nothing. `None` when none has one.
    #[must_use]
    pub fn area(&self, coordinates: impl IntoIterator<Item = [f64; 2]>) -> Option<[f64; 4]> {
        let degrees = self.geographic()?;
        let projector = Projector::new(self, &degrees, &Choice::ANY).ok()?;
        let meridian = degrees.definition()?.meridian();
        let mut first = None;
        let places = coordinates.into_iter().filter_map(|xy| projector.project(xy).ok()).map(|[x, y]| {
            let x = x + meridian;
            // The nearest turn of longitude to the first place.
            let first = *first.get_or_insert(x);
            [x - ((x - first) / 360.0).round() * 360.0, y]
        });
        let Bounds { min_x, min_y, max_x, max_y } = Bounds::around(places.collect::<Vec<_>>())?;
        if max_x - min_x >= 360.0 {
            return Some([-180.0, min_y, 180.0, max_y]);
        }
        let wrapped =
            |x: f64| if (-180.0..=180.0).contains(&x) { x } else { x - (x / 360.0).round() * 360.0 };
        Some([wrapped(min_x), min_y, wrapped(max_x), max_y])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_is_a_box_of_greenwich_s_degrees() {
        #[track_caller]
        fn check(crs: &str, coordinates: &[[f64; 2]], expected: [f64; 4]) {
            let area = Crs::parse(crs).unwrap().area(coordinates.iter().copied()).unwrap();
            assert!(area.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{area:?}");
        }
        check("EPSG:4326", &[[10.0, 40.0], [12.0, 50.0]], [10.0, 40.0, 12.0, 50.0]);
        check("EPSG:4326", &[[170.0, 0.0], [190.0, 5.0]], [170.0, 0.0, -170.0, 5.0]);
        check("EPSG:4326", &[[179.0, 0.0], [-179.0, 5.0]], [179.0, 0.0, -179.0, 5.0]);
        check("EPSG:4326", &[[180.0, 0.0], [0.0, -90.0], [360.0, 90.0]], [-180.0, -90.0, 180.0, 90.0]);
        // 15 degrees east is the zone's central meridian.
        check("EPSG:32633", &[[500_000.0, 0.0]], [15.0, 0.0, 15.0, 0.0]);
        // The zone's origin is the meridian of Paris, at 52 grads.
        check("EPSG:27572", &[[600_000.0, 2_200_000.0]], [2.337_229_166_7, 46.8, 2.337_229_166_7, 46.8]);
    }

    #[test]
    fn the_base_keeps_the_datum_and_drops_the_projection() {
        for (plane, base) in [
            ("EPSG:3413", "EPSG:4326"),
            ("EPSG:3857", "+proj=longlat +R=6378137"),
            ("EPSG:3035", "EPSG:4258"),
            ("EPSG:5070", "EPSG:4269"),
            ("EPSG:4326", "EPSG:4326"),
            ("EPSG:27572", "+proj=longlat +a=6378249.2 +b=6356515 +pm=2.33722916666667"),
            ("+proj=sinu +lon_0=0 +x_0=0 +R=6371007.181 +units=m +no_defs", "+proj=longlat +R=6371007.181"),
            ("+proj=lcc +lat_1=49 +datum=NAD83 +pm=paris", "+proj=longlat +datum=NAD83 +pm=paris"),
        ] {
            let [plane, base] = [plane, base].map(|text| Crs::parse(text).unwrap());
            let got = plane.geographic().unwrap();
            assert!(got.is_geographic(), "{plane}");
            let [got, base] = [&got, &base].map(|crs| crs.definition().unwrap());
            assert!(got.has_projection_of(base), "{plane}: {got:?} {base:?}");
            assert!(got.datum == plane.definition().unwrap().datum, "{plane}: {got:?}");
        }
        assert!(Crs::parse("EPSG:99999").unwrap().geographic().is_none());
    }
}
