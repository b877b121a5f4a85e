//! From samples to the 256 steps of a picture.

use std::fmt;
use std::str::FromStr;

/// Which samples become black and which white.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Stretch {
    /// Bytes as they are; the rest from the 2nd to the 98th percentile of each band's pixels.
    #[default]
    Auto,
    /// From the least to the greatest of each band's pixels.
    MinMax,
    /// From one value to another, the same for all bands; not the other way round.
    Range(f64, f64),
}

/// Shares of the pixels that are darker than black and lighter than white at most.
const PERCENTILES: (f64, f64) = (0.02, 0.98);

impl Stretch {
    /// The samples that become black and white: of a band's `values`, of which those that are not finite do not count. `None` for a
    /// band that has none. The order of `values` is lost.
    #[must_use]
    pub fn range(self, values: &mut Vec<f64>) -> Option<(f64, f64)> {
        if let Self::Range(black, white) = self {
            return Some((black, white));
        }
        values.retain(|value| value.is_finite());
        if self == Self::Auto {
            return Some((percentile(values, PERCENTILES.0)?, percentile(values, PERCENTILES.1)?));
        }
        let least = values.iter().copied().reduce(f64::min)?;
        Some((least, values.iter().copied().reduce(f64::max)?))
    }
}

impl FromStr for Stretch {
    type Err = String;

    /// `auto`, `minmax`, or two numbers with a comma between them.
    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        match text {
            "auto" => Ok(Self::Auto),
            "minmax" => Ok(Self::MinMax),
            _ => text
                .split_once(',')
                .and_then(|(black, white)| Some((number(black)?, number(white)?)))
                .filter(|(black, white)| black <= white)
                .map(|(black, white)| Self::Range(black, white))
                .ok_or_else(|| "auto, minmax, or two numbers such as 0,3000, the smaller first".to_owned()),
        }
    }
}

impl fmt::Display for Stretch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::MinMax => f.write_str("minmax"),
            Self::Range(black, white) => write!(f, "{black},{white}"),
        }
    }
}

/// The value below which a `share` of the values lies, from 0 to 1; linear between neighbours, as numpy's `percentile` is. `None`
/// of none.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a place among the values, which fit in memory"
)]
fn percentile(values: &mut [f64], share: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let place = last as f64 * share;
    let below = (place.floor() as usize).min(last);
    let (_, &mut low, above) = values.select_nth_unstable_by(below, f64::total_cmp);
    let high = above.iter().copied().reduce(f64::min).unwrap_or(low);
    let part = place - below as f64;
    // Not their difference, which may be infinite.
    Some(if part > 0.0 { low * (1.0 - part) + high * part } else { low })
}

/// The step from 0 to 255 of a value in a range; half-way cases go up, what lies outside becomes an end, and of a range without
/// width the value itself becomes 128.
#[must_use]
pub fn step(value: f64, (black, white): (f64, f64)) -> u8 {
    if value < black {
        0
    } else if value > white {
        255
    } else if black < white {
        // Halved, lest the width is infinite.
        let share = (value / 2.0 - black / 2.0) / (white / 2.0 - black / 2.0);
        nearest(share * 255.0)
    } else {
        128
    }
}

/// The nearest step of 0 to 255; half-way cases go up.
#[must_use]
pub fn nearest(value: f64) -> u8 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    let step = (value + 0.5).floor() as u8;
    step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_numpys() {
        // numpy.percentile(values, [2, 98])
        let mut values: Vec<f64> = (0..101).rev().map(f64::from).collect();
        assert_eq!(Stretch::Auto.range(&mut values), Some((2.0, 98.0)));
        let mut values = vec![3.0, f64::NAN, 1.0, f64::INFINITY, 2.0, 10.0];
        let (black, white) = Stretch::Auto.range(&mut values).unwrap();
        assert!((black - 1.06).abs() < 1e-12 && (white - 9.58).abs() < 1e-12, "{black} {white}");
        assert_eq!(Stretch::MinMax.range(&mut values), Some((1.0, 10.0)));
        assert_eq!(Stretch::Auto.range(&mut vec![f64::NAN]), None);
        assert_eq!(Stretch::MinMax.range(&mut Vec::new()), None);
        assert_eq!(Stretch::Range(1.0, 2.0).range(&mut Vec::new()), Some((1.0, 2.0)));
        let mut wide = vec![f64::MIN, f64::MAX];
        assert!(Stretch::Auto.range(&mut wide).is_some_and(|(a, b)| a.is_finite() && b.is_finite() && a < b));
    }

    #[test]
    fn steps_are_of_equal_width_and_end_at_the_ends() {
        let check = |value, range, expected| assert_eq!(step(value, range), expected, "{value} {range:?}");
        for byte in 0..=255_u8 {
            check(byte.into(), (0.0, 255.0), byte);
        }
        check(-1.0, (0.0, 10.0), 0);
        check(11.0, (0.0, 10.0), 255);
        check(5.0, (0.0, 10.0), 128);
        check(f64::INFINITY, (0.0, 10.0), 255);
        check(f64::NEG_INFINITY, (0.0, 10.0), 0);
        check(7.0, (7.0, 7.0), 128);
        check(6.0, (7.0, 7.0), 0);
        check(0.0, (f64::MIN, f64::MAX), 128);
    }

    #[test]
    fn a_stretch_is_a_word_or_two_numbers() {
        for text in ["auto", "minmax", "0,3000", "-1.5,2"] {
            assert_eq!(text.parse::<Stretch>().unwrap().to_string(), text);
        }
        for text in ["", "0", "0,", "3,1", "0,nan", "0,inf", "1,2,3", "max"] {
            assert!(text.parse::<Stretch>().is_err(), "{text:?}");
        }
    }
}
