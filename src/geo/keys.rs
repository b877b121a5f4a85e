//! GeoKeys (OGC 19-008r4 §7.1): the directory, its values, and the CRS that they name.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::crs::{Authority, Crs};
use super::key_crs::{self, GEODETIC_CITATION, GEODETIC_CRS};
use crate::error::{Error, Result};

/// Tag of the values of GeoKeys that are doubles (§7.1.3).
const GEO_DOUBLE_PARAMS: u16 = 34736;
/// Tag of the values of GeoKeys that are text (§7.1.3).
const GEO_ASCII_PARAMS: u16 = 34737;
/// Tag of the directory, where values of several shorts may stand too.
const GEO_KEY_DIRECTORY: u16 = 34735;

/// GTModelTypeGeoKey: projected, geographic or geocentric.
const MODEL_TYPE: u16 = 1024;
/// GTRasterTypeGeoKey.
const RASTER_TYPE: u16 = 1025;
/// GTCitationGeoKey.
const CITATION: u16 = 1026;
/// ProjectedCRSGeoKey, once ProjectedCSTypeGeoKey.
const PROJECTED_CRS: u16 = 3072;
/// ProjectedCitationGeoKey.
const PROJECTED_CITATION: u16 = 3073;

/// "User-defined" as the value of a key.
pub(super) const USER_DEFINED: u16 = 32767;

/// What well-known text in a citation begins with, as ESRI software writes it.
const PE_STRING: &str = "ESRI PE String = ";

/// The GeoKeys of a file: the raw values of tags 34735, 34736 and 34737, kept as found, so that they can be
/// written back unchanged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GeoKeys {
    /// GeoKeyDirectoryTag, 34735.
    pub directory: Vec<u16>,
    /// GeoDoubleParamsTag, 34736.
    pub doubles: Vec<f64>,
    /// GeoAsciiParamsTag, 34737.
    pub ascii: Vec<u8>,
}

/// The value of a GeoKey.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum KeyValue<'a> {
    /// A code.
    Short(u16),
    /// Several shorts, stored in the directory itself.
    Shorts(&'a [u16]),
    /// Doubles.
    Doubles(&'a [f64]),
    /// Text, without the `|` that ends it.
    Ascii(&'a [u8]),
}

/// What the raster's grid refers to: GTRasterTypeGeoKey (§7.5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RasterType {
    /// A pixel is an area; the tie point is its top-left corner (1).
    PixelIsArea,
    /// A pixel is a point; the tie point is its centre (2).
    PixelIsPoint,
}

impl GeoKeys {
    /// The GeoKeys of the raw values of tags 34735, 34736 and 34737. An empty directory has no keys, shorts
    /// beyond the declared number of keys are kept and ignored, as are keys of unknown kinds.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Format`] for an unknown directory version, for fewer keys than declared and for a
    /// value that lies outside its tag. Text that runs over the end is cut off there, as libgeotiff does.
    pub fn parse(directory: Vec<u16>, doubles: Vec<f64>, ascii: Vec<u8>) -> Result<Self> {
        let keys = Self { directory, doubles, ascii };
        match keys.directory.as_slice() {
            [] => return Ok(keys),
            [1, _, _, count, entries @ ..] => {
                let found = entries.as_chunks::<4>().0.len();
                if found < usize::from(*count) {
                    return Err(Error::format(format!(
                        "the GeoKeyDirectory (tag 34735) declares {count} keys but holds {found}"
                    )));
                }
            }
            [version, _, _, _, ..] => {
                return Err(Error::format(format!(
                    "the GeoKeyDirectory (tag 34735) is of version {version}; only version 1 is known"
                )));
            }
            short => {
                return Err(Error::format(format!(
                    "the GeoKeyDirectory (tag 34735) has {} values; its header alone takes 4",
                    short.len()
                )));
            }
        }
        for entry in keys.entries() {
            let [id, tag, count, offset] = *entry;
            let is_known = matches!(tag, GEO_DOUBLE_PARAMS | GEO_ASCII_PARAMS | GEO_KEY_DIRECTORY);
            if is_known && keys.value(*entry).is_none() {
                return Err(Error::format(format!(
                    "GeoKey {id} has {count} values from {offset} in tag {tag}, which is shorter"
                )));
            }
        }
        Ok(keys)
    }

    /// The value of the key `id`; `None` when it is absent. Of several, the last counts, as in libgeotiff.
    #[must_use]
    pub fn get(&self, id: u16) -> Option<KeyValue<'_>> {
        self.entries().iter().rev().find(|entry| entry[0] == id).and_then(|entry| self.value(*entry))
    }

    /// What the grid refers to; `None` when the keys do not say, which means an area.
    #[must_use]
    pub fn raster_type(&self) -> Option<RasterType> {
        match self.short(RASTER_TYPE)? {
            1 => Some(RasterType::PixelIsArea),
            2 => Some(RasterType::PixelIsPoint),
            _ => None,
        }
    }

    /// The CRS that the keys name or define; `None` when they name none. The vertical part of a compound CRS is left out.
    ///
    /// Of a user-defined CRS, what ESRI software wrote into a citation as well-known text counts before the keys, as in
    /// GDAL. A CRS that is not fully understood, and one whose unit differs from that of its EPSG code, is one
    /// that can be reported, but not projected.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] for a geocentric CRS, which has no plane.
    pub fn crs(&self) -> Result<Option<Crs>> {
        let projected =
            || self.coded(PROJECTED_CRS, &[PROJECTED_CITATION, CITATION, GEODETIC_CITATION], true);
        let geodetic = || self.coded(GEODETIC_CRS, &[GEODETIC_CITATION, CITATION], false);
        let is_code = |key| self.short(key).is_some_and(|code| code != 0 && code != USER_DEFINED);
        Ok(match self.short(MODEL_TYPE).filter(|model| *model != 0) {
            Some(1) => Some(projected()),
            Some(2) => Some(geodetic()),
            Some(3) => {
                return Err(Error::unsupported(
                    "the raster's CRS is geocentric (GTModelTypeGeoKey 3): it has no plane to cut in",
                ));
            }
            // GDAL: a user-defined model with ESRI's text in a citation (web Mercator is written so). The geographic code that
            // such files have is only the base.
            Some(_)
                if self.esri_text(&[PROJECTED_CITATION, CITATION]).is_some() || is_code(PROJECTED_CRS) =>
            {
                Some(projected())
            }
            Some(model) => {
                let name = self.text(CITATION).unwrap_or_else(|| "user-defined CRS".to_owned());
                Some(Crs::named(
                    name,
                    &format!("GTModelTypeGeoKey (1024) is {model}: neither projected nor geographic"),
                ))
            }
            // Without a model type only a code that stands there says anything.
            None if is_code(PROJECTED_CRS) => Some(projected()),
            None if is_code(GEODETIC_CRS) && self.get(PROJECTED_CRS).is_none() => Some(geodetic()),
            None => None,
        })
    }

    /// The CRS whose code the key `id` holds, or the one that text or the other keys define.
    fn coded(&self, id: u16, citations: &[u16], is_projected: bool) -> Crs {
        if let Some(code) = self.short(id).filter(|code| *code != 0 && *code != USER_DEFINED) {
            let epsg = Crs::coded(Authority::Epsg, u32::from(code));
            // EPSG has no codes above 32767; what stands there is ESRI's.
            let esri = (code > USER_DEFINED && epsg.definition().is_none())
                .then(|| Crs::coded(Authority::Esri, u32::from(code)))
                .filter(|crs| crs.definition().is_some());
            let crs = esri.unwrap_or(epsg);
            return match self.other_unit(&crs) {
                Some(unit) => Crs::named(
                    format!("{crs} with the unit {unit}"),
                    &format!("its GeoKeys have another unit than {crs}"),
                ),
                None => crs,
            };
        }
        let citation = citations.iter().find_map(|id| self.text(*id));
        if let Some(text) =
            citations.iter().find_map(|id| self.text(*id)?.strip_prefix(PE_STRING).map(str::to_owned))
        {
            return match Crs::parse(&text) {
                Ok(crs) => crs,
                Err(error) => Crs::named(text.chars().take(200).collect::<String>(), &error.to_string()),
            };
        }
        let kind = if is_projected { "projected" } else { "geographic" };
        let name = citation.unwrap_or_else(|| format!("user-defined {kind} CRS"));
        key_crs::crs(self, &name, is_projected).unwrap_or_else(|error| Crs::named(name, &error.to_string()))
    }

    /// The unit that the keys state, when it is not the one of the CRS.
    fn other_unit(&self, crs: &Crs) -> Option<String> {
        let definition = crs.definition()?;
        let expected = definition.unit();
        let (key, found) = if definition.is_geographic() {
            let radians = |degrees: Option<f64>| degrees.map(f64::to_radians);
            (key_crs::ANGULAR_UNITS, key_crs::degrees(self).map(radians))
        } else {
            (key_crs::LINEAR_UNITS, key_crs::metres(self))
        };
        let code = self.short(key)?;
        let found = found.transpose()?;
        (!found.is_ok_and(|unit| (unit / expected - 1.0).abs() < 1e-9)).then(|| format!("EPSG:{code}"))
    }

    /// What ESRI software, or GDAL in its manner, wrote into a citation as well-known text.
    fn esri_text(&self, citations: &[u16]) -> Option<String> {
        citations.iter().find_map(|id| self.text(*id)?.strip_prefix(PE_STRING).map(str::to_owned))
    }

    /// The text of a key, unless it is empty.
    pub(super) fn text(&self, id: u16) -> Option<String> {
        match self.get(id)? {
            KeyValue::Ascii(text) if !text.is_empty() => Some(String::from_utf8_lossy(text).into_owned()),
            KeyValue::Ascii(_) | KeyValue::Short(_) | KeyValue::Shorts(_) | KeyValue::Doubles(_) => None,
        }
    }

    pub(super) fn short(&self, id: u16) -> Option<u16> {
        match self.get(id)? {
            KeyValue::Short(value) => Some(value),
            KeyValue::Shorts(_) | KeyValue::Doubles(_) | KeyValue::Ascii(_) => None,
        }
    }

    /// The entries of the directory: key, tag (0: the value stands here), count, offset or value.
    fn entries(&self) -> &[[u16; 4]] {
        match self.directory.as_slice() {
            [_, _, _, count, entries @ ..] => {
                let entries = entries.as_chunks::<4>().0;
                entries.get(..usize::from(*count)).unwrap_or(entries)
            }
            _ => &[],
        }
    }

    fn value(&self, [_, tag, count, offset]: [u16; 4]) -> Option<KeyValue<'_>> {
        let start = usize::from(offset);
        let end = start.checked_add(usize::from(count))?;
        match tag {
            0 => Some(KeyValue::Short(offset)),
            GEO_KEY_DIRECTORY => match self.directory.get(start..end)? {
                [one] => Some(KeyValue::Short(*one)),
                several => Some(KeyValue::Shorts(several)),
            },
            GEO_DOUBLE_PARAMS => Some(KeyValue::Doubles(self.doubles.get(start..end)?)),
            GEO_ASCII_PARAMS => {
                let text = self.ascii.get(start..end.min(self.ascii.len()))?;
                let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
                Some(KeyValue::Ascii(text.strip_suffix(b"|").unwrap_or(text)))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    /// Keys for EPSG:32633, written by hand after OGC 19-008r4, in the manner of GDAL.
    fn utm() -> GeoKeys {
        let ascii = b"WGS 84 / UTM zone 33N|WGS 84|".to_vec();
        #[rustfmt::skip]
        let directory = vec![
            1, 1, 0, 8,
            1024, 0, 1, 1,
            1025, 0, 1, 2,
            1026, 34737, 22, 0,
            2049, 34737, 7, 22,
            2054, 0, 1, 9102,
            2057, 34736, 1, 1,
            3072, 0, 1, 32633,
            3076, 0, 1, 9001,
        ];
        GeoKeys::parse(directory, vec![298.257_223_563, 6_378_137.0], ascii).unwrap()
    }

    fn of(keys: &[[u16; 4]], ascii: &[u8]) -> Result<GeoKeys> {
        let count = u16::try_from(keys.len()).unwrap();
        GeoKeys::parse([&[1, 1, 0, count], keys.as_flattened()].concat(), vec![], ascii.to_vec())
    }

    #[test]
    fn a_usual_directory_is_read() {
        let keys = utm();
        assert_eq!(keys.raster_type(), Some(RasterType::PixelIsPoint));
        assert_eq!(keys.get(1026), Some(KeyValue::Ascii(b"WGS 84 / UTM zone 33N")));
        assert_eq!(keys.get(2057), Some(KeyValue::Doubles(&[6_378_137.0])));
        assert_eq!((keys.get(3072), keys.get(4096)), (Some(KeyValue::Short(32633)), None));
        assert_eq!(keys.crs().unwrap(), Some(Crs::from_epsg(32633).unwrap()));
    }

    #[test]
    fn a_crs_is_named_or_it_is_not() {
        #[track_caller]
        fn check(keys: &[[u16; 4]], name: Option<&str>, can_be_projected: bool) {
            let crs = of(keys, b"My grid|EPSG:32633|").unwrap().crs().unwrap();
            assert_eq!(crs.as_ref().map(Crs::name).as_deref(), name);
            assert_eq!(crs.is_some_and(|crs| crs.definition().is_some()), can_be_projected);
        }
        check(&[], None, false);
        check(&[[1025, 0, 1, 1]], None, false);
        check(&[[1024, 0, 1, 2], [2048, 0, 1, 4326], [2054, 0, 1, 9102]], Some("EPSG:4326"), true);
        check(&[[1024, 0, 1, 1], [3072, 0, 1, 60000]], Some("EPSG:60000"), false);
        check(&[[1024, 0, 1, 1], [3072, 0, 1, 32767], [3073, 34737, 8, 0]], Some("My grid"), false);
        // Not even a citation that looks like a code is guessed at.
        check(&[[1024, 0, 1, 1], [3072, 0, 1, 32767], [3073, 34737, 11, 8]], Some("EPSG:32633"), false);
        check(&[[1024, 0, 1, 1]], Some("user-defined projected CRS"), false);
        check(
            &[[1024, 0, 1, 1], [3072, 0, 1, 32633], [3076, 0, 1, 9003]],
            Some("EPSG:32633 with the unit EPSG:9003"),
            false,
        );
        check(&[[3072, 0, 1, 32633]], Some("EPSG:32633"), true);
        let geocentric = of(&[[1024, 0, 1, 3], [2048, 0, 1, 4978]], b"").unwrap().crs().unwrap_err();
        assert_eq!(geocentric.kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn a_contradiction_is_an_error_and_junk_is_not() {
        assert!(GeoKeys::parse(vec![], vec![], vec![]).unwrap().crs().unwrap().is_none());
        for directory in [vec![1], vec![1, 1, 0], vec![2, 0, 0, 0], vec![1, 1, 0, 2, 1024, 0, 1, 1]] {
            assert_eq!(GeoKeys::parse(directory, vec![], vec![]).unwrap_err().kind(), ErrorKind::Format);
        }
        assert_eq!(of(&[[2057, 34736, 1, 0]], b"").unwrap_err().kind(), ErrorKind::Format);
        assert_eq!(of(&[[1026, 34737, 1, 4]], b"abc").unwrap_err().kind(), ErrorKind::Format);
        assert_eq!(of(&[[1026, 34737, 9, 1]], b"abc").unwrap().get(1026), Some(KeyValue::Ascii(b"bc")));
        assert_eq!(
            of(&[[1026, 555, 9, 1], [1024, 0, 1, 1], [1024, 0, 1, 2]], b"").unwrap().get(1024),
            Some(KeyValue::Short(2))
        );
        let trailing = GeoKeys::parse(vec![1, 1, 0, 1, 1024, 0, 1, 1, 0, 0], vec![], vec![]).unwrap();
        assert_eq!(trailing.directory.len(), 10, "kept as found");
    }

    #[test]
    fn no_mutation_panics() {
        let good = utm();
        let mut tried = 0;
        let mut attempt = |directory: Vec<u16>, doubles: &[f64], ascii: &[u8]| {
            tried += 1;
            if let Ok(keys) = GeoKeys::parse(directory, doubles.to_vec(), ascii.to_vec()) {
                drop(keys.crs());
                for id in 0..5000 {
                    std::hint::black_box(keys.get(id));
                }
            }
        };
        for length in 0..=good.directory.len() {
            attempt(good.directory[..length].to_vec(), &good.doubles, &good.ascii);
        }
        for place in 0..good.directory.len() {
            for value in [0, 1, 2, 7, 9, 32767, 34735, 34736, 34737, u16::MAX] {
                let mut directory = good.directory.clone();
                directory[place] = value;
                attempt(directory.clone(), &good.doubles, &good.ascii);
                attempt(directory, &[], b"\xff\0|");
            }
        }
        assert_eq!(tried, 37 + 36 * 20);
    }
}
