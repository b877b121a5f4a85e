//! The longitude and latitude below a plane.

use super::crs::{Crs, proj_tokens};

/// Parameters of a PROJ string that tell the datum and the prime meridian.
const DATUM: [&str; 9] = ["ellps", "R", "a", "b", "rf", "f", "datum", "towgs84", "nadgrids"];

impl Crs {
    /// The geographic CRS on which it is based, in degrees: its longitudes and latitudes before they are projected.
    /// `None` when it has only a name, or a code that is not in the built-in table.
    #[must_use]
    pub fn geographic(&self) -> Option<Self> {
        if self.is_geographic() {
            return Some(self.clone());
        }
        let base = self.base().map(Self::from_any_epsg);
        base.filter(|base| base.proj_string().is_some()).or_else(|| {
            let kept = proj_tokens(self.proj_string()?).into_iter().filter(|token| {
                let name = token.split_once('=').map_or(*token, |(name, _)| name);
                name == "pm" || DATUM.contains(&name)
            });
            let text = kept.fold("+proj=longlat".to_owned(), |text, token| text + " +" + token);
            Self::parse(&text).ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_keeps_the_datum_and_drops_the_projection() {
        for (plane, base) in [
            ("EPSG:3413", "EPSG:4326"),
            ("EPSG:3857", "EPSG:4326"),
            ("EPSG:3035", "EPSG:4258"),
            ("EPSG:5070", "EPSG:4269"),
            ("EPSG:4326", "EPSG:4326"),
            ("+proj=sinu +lon_0=0 +x_0=0 +R=6371007.181 +units=m +no_defs", "+proj=longlat +R=6371007.181"),
            ("+proj=lcc +lat_1=49 +datum=NAD83 +pm=paris", "+proj=longlat +datum=NAD83 +pm=paris"),
        ] {
            let got = Crs::parse(plane).unwrap().geographic().unwrap();
            assert_eq!(got.name(), base, "{plane}");
            assert!(got.is_geographic());
        }
        assert!(Crs::parse("EPSG:99999").unwrap().geographic().is_none());
    }
}
