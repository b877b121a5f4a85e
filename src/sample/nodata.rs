//! The nodata value: what a file or a user says, and what readers make of it.

use std::fmt;

use super::{Sample, SampleType, with_sample_type};

/// The value that marks a sample as "no data", as the text of tag 42113 (`GDAL_NODATA`) or of the command
/// line: a text, because no number type holds all of -9999, NaN and 18446744073709551615.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoData {
    text: String,
    /// How long the number is that the text begins with.
    len: usize,
}

impl NoData {
    /// From a text that names a number, `nan` or `inf`; `None` when it names none, or has more than 64 bytes.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        // No number needs more; it is read again for every tile.
        let text = text.get(..=64).map_or(text, |_| "").trim();
        text.parse::<f64>().ok().map(|_| Self { text: text.to_owned(), len: text.len() })
    }

    /// From the tag of a file, as GDAL reads it (`CPLAtof`): by the number that the text begins with, and as 0 when it
    /// begins with none. `None` when the text is empty.
    #[must_use]
    pub fn of_file(text: &str) -> Option<Self> {
        let text: String = text.trim().chars().take(64).collect();
        let len = number_len(&text);
        (!text.is_empty()).then_some(Self { text, len })
    }

    /// The sample that readers take it for; `None` when the type cannot hold it, so that no pixel can be nodata.
    #[must_use]
    pub fn sample<T: Sample>(&self) -> Option<T> {
        T::of_nodata(self.number(), self.value())
    }

    /// What a tile that the file left out reads as: the value itself, rounded where the type cannot hold it. (GDAL fills
    /// half floats so; a value out of the range of integers is none to it.)
    #[must_use]
    pub fn of_sparse<T: Sample>(&self) -> Option<T> {
        let nearest = || T::from_f64_nearest(self.value());
        self.sample()
            .or_else(|| Some(nearest()).filter(|v| T::TYPE == SampleType::F16 && v.to_f64().is_finite()))
    }

    /// Whether a sample of `bits` bits of the type, which may be fewer than the type has, can be nodata.
    #[must_use]
    pub fn fits(&self, sample: SampleType, bits: u16) -> bool {
        let value = with_sample_type!(sample, T => self.sample::<T>().map(Sample::to_f64));
        value.is_some_and(|value| in_range(value, sample, bits))
    }

    /// Whether a sample can hold just this value, with nothing rounded or cut off: what a user may ask for.
    #[must_use]
    pub fn is_exact(&self, sample: SampleType, bits: u16) -> bool {
        let exact = with_sample_type!(sample, T => T::parse(&self.text).is_some());
        exact && self.fits(sample, bits)
    }

    /// The text, as it was given.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    fn number(&self) -> &str {
        self.text.get(..self.len).unwrap_or_default()
    }

    fn value(&self) -> f64 {
        let number = self.number();
        // What Microsoft's C library printed.
        if number.contains('#') {
            let sign = if number.starts_with('-') { -1.0 } else { 1.0 };
            return if number.ends_with('F') { sign * f64::INFINITY } else { f64::NAN };
        }
        number.parse().unwrap_or(0.0)
    }
}

/// Whether `bits` bits hold a value that the type itself holds.
fn in_range(value: f64, sample: SampleType, bits: u16) -> bool {
    let (all, format) = sample.tiff();
    if bits >= all {
        return true;
    }
    // Integers of up to 31 bits, which doubles hold exactly.
    let steps = f64::from(1_u32 << bits.min(31));
    if format == 2 { (-steps / 2.0..steps / 2.0).contains(&value) } else { (0.0..steps).contains(&value) }
}

/// Bytes of the number that a text begins with.
fn number_len(text: &str) -> usize {
    for word in
        ["nan", "inf", "-inf", "+inf", "1.#qnan", "-1.#qnan", "1.#ind", "-1.#ind", "1.#inf", "-1.#inf"]
    {
        if text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word)) {
            return word.len();
        }
    }
    // The longest beginning that is a number; a text has 64 characters at most.
    let numeric =
        text.find(|c: char| !matches!(c, '0'..='9' | '.' | '+' | '-' | 'e' | 'E')).unwrap_or(text.len());
    (1..=numeric)
        .rev()
        .find(|&len| text.get(..len).is_some_and(|start| start.parse::<f64>().is_ok()))
        .unwrap_or(0)
}

impl fmt::Display for NoData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use half::f16;

    use super::*;

    #[test]
    fn what_a_user_asks_for_is_exact_or_does_not_fit() {
        let exact = |text: &str, sample: SampleType| {
            NoData::new(text).is_some_and(|v| v.is_exact(sample, sample.tiff().0))
        };
        let packed = |text: &str, sample, bits| NoData::new(text).is_some_and(|v| v.is_exact(sample, bits));
        assert!(packed("15", SampleType::U8, 4) && !packed("16", SampleType::U8, 4));
        assert!(packed("-8", SampleType::I8, 4) && !packed("8", SampleType::I8, 4));
        assert!(exact("-9999", SampleType::CI16) && !exact("-32769", SampleType::CI16));
        assert!(
            exact("65504", SampleType::F16)
                && !exact("65520", SampleType::F16)
                && exact("nan", SampleType::F16)
        );
        assert!(!exact("-9999", SampleType::F16));
        for text in ["255", "255.0", "2.55e2"] {
            assert!(exact(text, SampleType::U8));
        }
        for text in ["256", "-1", "0.5"] {
            assert!(!exact(text, SampleType::U8));
        }
        assert!(exact("18446744073709551615", SampleType::U64) && !exact("1.8e19", SampleType::U64));
        assert!(
            exact("nan", SampleType::F32)
                && !exact("nan", SampleType::I16)
                && !exact("1e39", SampleType::F32)
        );
        assert!(exact("-3.4028234663852886e+38", SampleType::F32) && NoData::new("none").is_none());
    }

    #[test]
    fn what_a_file_declares_is_read_as_gdal_does() {
        fn masked<T: Sample>(text: &str) -> Option<f64> {
            NoData::of_file(text)?.sample::<T>().map(Sample::to_f64)
        }
        // Each as GDAL 3.12 masked it, by rasterio 1.5.
        for (text, expected) in [
            ("241.5", Some(241.0)),
            ("255.5", None),
            ("-0.5", None),
            ("0.4", Some(0.0)),
            ("none", Some(0.0)),
            ("", None),
            ("12abc", Some(12.0)),
            ("  7 ", Some(7.0)),
            ("1e2x", Some(100.0)),
            ("0x10", Some(0.0)),
            ("-nan", Some(0.0)),
            ("1.#QNAN", None),
            ("+5", Some(5.0)),
            ("256", None),
            ("-1", None),
            ("nan", None),
            ("inf", None),
            ("1e400", None),
        ] {
            assert_eq!(masked::<u8>(text), expected, "{text}");
        }
        assert_eq!(
            ["-0.5", "-1.5", "127.9", "-128.9"].map(masked::<i8>),
            [0.0, -1.0, 127.0, -128.0].map(Some)
        );
        assert_eq!(["-1.5", "32767.5", "-9999.0"].map(masked::<i16>), [Some(-1.0), None, Some(-9999.0)]);
        assert_eq!(["1.5", "4294967295.5", "-0.2"].map(masked::<u32>), [Some(1.0), None, None]);
        let infinite = Some(f64::INFINITY);
        assert_eq!(
            ["1e39", "1e400", "inf", "1.5x"].map(masked::<f32>),
            [infinite, infinite, infinite, Some(1.5)]
        );
        assert_eq!(["-1e39", "-inf"].map(masked::<f32>), [Some(f64::NEG_INFINITY); 2]);
        assert!(["1.#QNAN", "nan"].map(masked::<f32>).iter().all(|v| v.is_some_and(f64::is_nan)));
        assert_eq!(["1.5", "9.2e18", "none", "7abc"].map(masked::<i64>), [1.0, 9.0, 0.0, 7.0].map(Some));
        let sample = |text: &str| NoData::of_file(text).and_then(|v| v.sample::<u64>());
        assert_eq!(["18446744073709551615", "-1", "1.5"].map(sample), [u64::MAX, u64::MAX, 1].map(Some));
        assert_eq!(["-9999", "1e39", "65520", "0.1"].map(masked::<f16>), [None; 4]);
        assert!(masked::<f16>("nan").is_some_and(f64::is_nan));
    }
}
