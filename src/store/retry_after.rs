//! Retry-After: how long a server asks to be left alone (RFC 9110 §10.2.3).

use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

/// What the answer with `headers` asks for. A date is compared with the answer's own Date, since the two clocks may differ; with
/// the local clock when there is none.
pub(crate) fn asked(headers: &HeaderMap) -> Option<Duration> {
    let field = |name: &HeaderName| headers.get(name)?.to_str().ok();
    let now = field(&DATE).and_then(date).unwrap_or_else(SystemTime::now);
    parse(field(&RETRY_AFTER)?, now)
}

/// Seconds, or a date in one of the three formats of RFC 9110 §5.6.7; one that is past means now.
fn parse(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More seconds than can be counted are more than anybody waits.
        return Some(value.parse().map_or(Duration::MAX, Duration::from_secs));
    }
    date(value).map(|date| date.duration_since(now).unwrap_or_default())
}

fn date(value: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(value.trim()).ok()
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(value: &'static str, date: Option<&'static str>, expected: Option<u64>) {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static(value));
        if let Some(date) = date {
            headers.insert(DATE, HeaderValue::from_static(date));
        }
        assert_eq!(asked(&headers), expected.map(Duration::from_secs), "{value} at {date:?}");
    }

    #[test]
    fn seconds_and_dates() {
        // The dates are RFC 9110 §5.6.7's own, of the same instant.
        let before = Some("Sun, 06 Nov 1994 08:49:07 GMT");
        check(" 7 ", None, Some(7));
        check("0", before, Some(0));
        check("120", before, Some(120));
        check("Sun, 06 Nov 1994 08:49:37 GMT", before, Some(30));
        check("Sunday, 06-Nov-94 08:49:37 GMT", before, Some(30));
        check("Sun Nov  6 08:49:37 1994", before, Some(30));
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some("Sun Nov  6 08:50:37 1994"), Some(0));
        // By the local clock it is long past.
        check("Sun, 06 Nov 1994 08:49:37 GMT", None, Some(0));
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some("yesterday"), Some(0));
        check("soon", before, None);
        check("-1", before, None);
        check("", before, None);
        assert_eq!(parse("99999999999999999999999", SystemTime::now()), Some(Duration::MAX));
        assert_eq!(asked(&HeaderMap::new()), None);
    }

    #[test]
    fn the_local_clock_is_used_without_another() {
        let soon = SystemTime::now() + Duration::from_secs(100);
        let asked = parse(&httpdate::fmt_http_date(soon), SystemTime::now()).unwrap();
        assert!((90..=100).contains(&asked.as_secs()), "{asked:?}");
    }
}
