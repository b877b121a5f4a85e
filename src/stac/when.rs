//! Dates and times: as files write them, and as STAC wants them, in UTC (RFC 3339 §5.6).

use std::collections::BTreeMap;

use crate::header::Header;
use crate::tiff::code::tag;

/// When what a raster shows was there to be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// At a time in UTC, as RFC 3339 writes it.
    At(String),
    /// From one time to another, both included.
    Between(String, String),
}

/// A date and time in UTC as RFC 3339 writes it, from seconds since 1970; the year 1 at the earliest, 9999 at the latest.
#[must_use]
pub fn utc(seconds: i64) -> String {
    const YEAR_1: i64 = -62_135_596_800;
    const YEAR_9999_END: i64 = 253_402_300_799;
    let seconds = seconds.clamp(YEAR_1, YEAR_9999_END);
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Eras of 400 years that begin on the first of March, so that a leap day is the last of its year.
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (year, month) =
        (year + era * 400 + i64::from(month >= 10), if month < 10 { month + 3 } else { month - 9 });
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Seconds since 1970 of midnight.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468
}

/// A date and time as TIFF (`2024:05:01 10:20:30`), GDAL (`2024-05-01 10:20:30`) and RFC 3339 write it, in UTC. Without a zone it
/// is taken as it stands; a fraction of a second is kept. `None` for what is no date, such as blanks and zeros, or has no time.
pub(super) fn parse(text: &str) -> Option<String> {
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    let number = |range: std::ops::Range<usize>| {
        let digits = text.get(range)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<i64>().ok())?
    };
    let mark = |at: usize, marks: &[u8]| text.as_bytes().get(at).is_some_and(|byte| marks.contains(byte));
    let marked = mark(4, b":-/") && mark(7, b":-/") && mark(10, b" Tt_") && mark(13, b":") && mark(16, b":");
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let month_days = match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let in_range = (1..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=month_days).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !marked || !in_range {
        return None;
    }
    let rest = text.get(19..)?;
    let digits =
        rest.strip_prefix('.').map_or(0, |rest| 1 + rest.bytes().take_while(u8::is_ascii_digit).count());
    let (fraction, zone) = rest.split_at(digits);
    let fraction = fraction.trim_end_matches('0');
    let fraction = if fraction.len() > 1 { fraction } else { "" };
    let offset = match zone.trim_start() {
        "" | "Z" | "z" | "UTC" => 0,
        zone => {
            let sign = if zone.starts_with('-') { -1 } else { 1 };
            let (hours, minutes) = zone.strip_prefix(['+', '-'])?.split_once(':')?;
            let part = |text: &str, end: i64| {
                let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
                is_number.then(|| text.parse::<i64>().ok().filter(|number| *number < end))?
            };
            sign * (part(hours, 24)? * 60 + part(minutes, 60)?) * 60
        }
    };
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    let whole = utc(seconds);
    Some(format!(
        "{}{}Z",
        whole.trim_end_matches('Z'),
        fraction.get(..fraction.len().min(10)).unwrap_or_default()
    ))
}

/// When the raster was taken, as its file says, and where it says so. GDAL's item is in UTC; TIFF's and EXIF's tags name no zone.
pub(super) fn of_file(header: &Header, items: &BTreeMap<String, String>) -> Option<(When, &'static str)> {
    let tag = |fields: Option<&crate::tiff::write::Fields>, tag: u16| {
        fields?.get(&tag)?.text().and_then(|text| parse(&text))
    };
    let acquired = items.get("ACQUISITIONDATETIME").and_then(|text| parse(text));
    let acquired = acquired.map(|time| (time, "the item ACQUISITIONDATETIME of GDAL_METADATA"));
    let original = || {
        let time = tag(header.exif.as_ref(), tag::DATE_TIME_ORIGINAL)
            .or_else(|| tag(Some(&header.kept), tag::DATE_TIME_ORIGINAL));
        time.map(|time| (time, "the tag DateTimeOriginal, which names no time zone and is taken for UTC"))
    };
    let made = || {
        let time = tag(Some(&header.kept), tag::DATE_TIME);
        time.map(|time| (time, "the tag DateTime, which names no time zone and is taken for UTC"))
    };
    acquired.or_else(original).or_else(made).map(|(time, place)| (When::At(time), place))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `date -u -d @SECONDS` of GNU coreutils.
    #[test]
    fn seconds_are_dates() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (-2_203_891_200, "1900-03-01T00:00:00Z"),
            (i64::MIN, "0001-01-01T00:00:00Z"),
            (i64::MAX, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(utc(seconds), expected);
        }
    }

    #[test]
    fn times_are_read_in_the_spellings_of_files() {
        for (text, expected) in [
            ("2024:05:01 10:20:30", Some("2024-05-01T10:20:30Z")),
            ("2024-05-01 10:20:30\0", Some("2024-05-01T10:20:30Z")),
            ("2024-05-01T10:20:30Z", Some("2024-05-01T10:20:30Z")),
            ("2024-02-29T10:20:30.250Z", Some("2024-02-29T10:20:30.25Z")),
            ("2024-05-01T10:20:30.000+00:00", Some("2024-05-01T10:20:30Z")),
            ("2024-01-01T00:30:00+01:00", Some("2023-12-31T23:30:00Z")),
            ("2024-12-31T23:30:00-05:30", Some("2025-01-01T05:00:00Z")),
            ("2023:02:29 10:20:30", None),
            ("2024:13:01 10:20:30", None),
            ("0000:00:00 00:00:00", None),
            ("    :  :     :  :  ", None),
            ("2024-05-01", None),
            ("2024-05-01T10:20:30+1:00", None),
            ("2024-05-01T10:20:30 CET", None),
            ("20240501T102030", None),
            ("２０２4-05-01T10:20:30", None),
            ("", None),
        ] {
            assert_eq!(parse(text).as_deref(), expected, "{text:?}");
        }
    }
}
