//! Which bands a picture shows, and as what colours.

use crate::error::{Error, Result};
use crate::header::Header;
use crate::tiff::Value;
use crate::tiff::code::Photometric;

/// What samples are as colours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Colours {
    /// One band: numbers of colours, red, green and blue from 0 to 255.
    Palette(Vec<[u8; 3]>),
    /// One band: from black to white, or from white to black.
    Grey {
        /// Whether 0 is white (TIFF 6.0 §8, PhotometricInterpretation 0).
        inverted: bool,
    },
    /// Three bands: red, green and blue.
    Rgb,
}

/// The bands of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The bands, counted from 0: one, or three.
    pub bands: Vec<u16>,
    /// What they are.
    pub colours: Colours,
}

impl Shown {
    /// Of a raster: `chosen` bands, counted from 1, one of them or three; where it is empty the first three that are no alpha, or
    /// the first alone of fewer. A colour table is used when its band is the one.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] for another number of bands, or one that the raster does not have.
    pub fn of(header: &Header, chosen: &[u16]) -> Result<Self> {
        let mut bands = Vec::new();
        for &band in chosen {
            let number = band.checked_sub(1).filter(|&number| number < header.bands);
            bands.push(number.ok_or_else(|| {
                Error::usage(format!("there is no band {band}; the raster has bands 1 to {}", header.bands))
            })?);
        }
        let palette = header.color_map.as_ref().filter(|_| header.photometric == Photometric::Palette);
        if bands.is_empty() {
            let alpha = header.alpha();
            bands = (0..header.bands).filter(|&band| Some(band) != alpha).take(3).collect();
            if bands.len() < 3 || palette.is_some() {
                bands.truncate(1);
            }
            if bands.is_empty() {
                bands.push(0);
            }
        }
        let colours = match (bands.as_slice(), palette) {
            ([0], Some(map)) => Colours::Palette(colours(map)),
            ([_], _) => Colours::Grey { inverted: header.photometric == Photometric::WhiteIsZero },
            ([_, _, _], _) => Colours::Rgb,
            (other, _) => {
                return Err(Error::usage(format!(
                    "a picture has one band or three, not {}; choose them, such as 4,3,2",
                    other.len()
                )));
            }
        };
        Ok(Self { bands, colours })
    }
}

/// A ColorMap (TIFF 6.0 §8): all reds, all greens, all blues. Its 16 bits are meant to be 257 times 8; as GDAL does, maps by writers
/// that took 256, or left the 8 bits as they were, are recognised.
fn colours(map: &Value) -> Vec<[u8; 3]> {
    let values = map.u64s().unwrap_or_default();
    let scale = if values.iter().all(|&value| value < 256) {
        1
    } else if values.iter().all(|&value| value % 256 == 0) {
        256
    } else {
        257
    };
    let channel = |value: &u64| u8::try_from(value / scale).unwrap_or(u8::MAX);
    let count = values.len() / 3;
    let (red, rest) = values.split_at(count);
    let (green, blue) = rest.split_at(count);
    red.iter().zip(green).zip(blue).map(|((r, g), b)| [r, g, b].map(channel)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use crate::tiff::parse::Fetched;

    fn header(name: &str) -> Header {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name);
        let bytes = std::fs::read(file).unwrap();
        let mut fetched = Fetched::new(bytes.len() as u64);
        fetched.insert(0, bytes.into());
        Header::parse(&fetched, &Limits::default()).unwrap_or_else(|_| panic!("{name} is a raster"))
    }

    #[track_caller]
    fn check(name: &str, chosen: &[u16], expected: &[u16], colours: &Colours) {
        let shown = Shown::of(&header(name), chosen).unwrap();
        assert_eq!((shown.bands.as_slice(), &shown.colours), (expected, colours), "{name}");
    }

    #[test]
    fn bands_are_those_chosen_or_the_first_that_are_no_alpha() {
        let grey = Colours::Grey { inverted: false };
        check("alpha-u8-rgba.tif", &[], &[0, 1, 2], &Colours::Rgb);
        check("alpha-u8-rgba.tif", &[4], &[3], &grey);
        check("deflate-p2-u16-4band-planar.tif", &[4, 3, 2], &[3, 2, 1], &Colours::Rgb);
        check("deflate-p3-f64-2band-planar.tif", &[], &[0], &grey);
        check("miniswhite-u8-strips.tif", &[], &[0], &Colours::Grey { inverted: true });
        let header = header("alpha-u8-rgba.tif");
        for (chosen, says) in [
            (&[0][..], "there is no band 0; the raster has bands 1 to 4"),
            (&[5], "there is no band 5; the raster has bands 1 to 4"),
            (&[1, 2], "a picture has one band or three, not 2; choose them, such as 4,3,2"),
        ] {
            assert_eq!(Shown::of(&header, chosen).unwrap_err().to_string(), says);
        }
    }

    #[test]
    fn colour_maps_of_16_bits_and_of_8_are_the_same() {
        let expected = [[0, 255, 7], [1, 128, 255]];
        for scale in [1, 256, 257] {
            let map: Vec<u16> = [0, 1, 255, 128, 7, 255].iter().map(|value| value * scale).collect();
            assert_eq!(colours(&Value::shorts(&map)), expected, "{scale}");
        }
    }
}
