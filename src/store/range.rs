//! Ranges of a resource (RFC 9110 §14): what is asked, and whether an answer is just that.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::ops::Range;

use bytes::Bytes;
use reqwest::header::{
    CONTENT_RANGE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_UNMODIFIED_SINCE, LAST_MODIFIED,
    RANGE,
};

use super::dialect::Dialect;
use super::failure::Failure;
use super::object::{Answer, Meta};
use super::request::{Response, Verdict};
use crate::error::Error;

/// The most of a whole resource that is taken where a part of it was asked for: servers without ranges may still have small
/// files.
pub(crate) const MAX_WHOLE: u64 = 1 << 20;

/// Adds what asks for `range`, which is not empty, of the version `pinned`. Never the last so many bytes, which Azure does not
/// know.
pub(crate) fn ask(headers: &mut HeaderMap, range: &Range<u64>, pinned: Option<&Meta>) {
    let mut add = |name: HeaderName, value: &str| {
        // What came in a field can be sent in one.
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    add(RANGE, &format!("bytes={}-{}", range.start, range.end.saturating_sub(1)));
    let Some(pinned) = pinned else { return };
    // If-Match compares strongly, so that a weak tag would never match (RFC 9110 §13.1.1).
    match (&pinned.etag, &pinned.last_modified) {
        (Some(etag), _) if !etag.starts_with("W/") => add(IF_MATCH, etag),
        (_, Some(date)) => add(IF_UNMODIFIED_SINCE, date),
        _ => {}
    }
}

/// What `response` is worth in answer to `range`.
pub(crate) fn judge(
    response: &Response,
    dialect: Dialect,
    shown: &str,
    range: &Range<u64>,
) -> Verdict<Answer> {
    match response.status {
        206 => partial(response, shown, range),
        200 => whole(response, shown, range),
        416 => unsatisfiable(response, shown, range),
        _ => Failure::of(response).verdict(dialect, shown, "reading"),
    }
}

fn partial(response: &Response, shown: &str, range: &Range<u64>) -> Verdict<Answer> {
    // A broken cache between here and the server may be passed by next time.
    let again = |what: String| Verdict::Again(Error::io(format!("{shown}: {what}")), None);
    let said = field(&response.headers, &CONTENT_RANGE);
    let Some((first, end, size)) = said.and_then(content_range) else {
        return again(
            "the server answers a range without saying which and of how many bytes (Content-Range); \
             download the file first, or use a server that supports ranges"
                .to_owned(),
        );
    };
    if (first, end) != (range.start, range.end.min(size)) {
        return again(format!(
            "bytes {}..{} of {size} were asked for, and the server sends {first}..{end}",
            range.start, range.end
        ));
    }
    let (len, came) = (end.saturating_sub(first), response.body.len() as u64);
    if response.cut || came != len {
        let more = if response.cut { "more" } else { &came.to_string() };
        return again(format!("the body should have {len} bytes, and {more} came"));
    }
    Verdict::Done(Answer { bytes: response.body.clone(), meta: meta(&response.headers, size) })
}

/// 200: a server may ignore ranges (RFC 9110 §14.2), and some answer so for an empty file.
fn whole(response: &Response, shown: &str, range: &Range<u64>) -> Verdict<Answer> {
    let size = response.body.len() as u64;
    if response.cut || size > MAX_WHOLE {
        return Verdict::Never(Error::io(format!(
            "{shown}: the server sends the whole file instead of the range that was asked for; \
             download it first, or use a server that supports ranges"
        )));
    }
    let said = field(&response.headers, &reqwest::header::CONTENT_LENGTH);
    if said.and_then(|said| said.trim().parse().ok()).is_some_and(|said: u64| said != size) {
        return Verdict::Again(
            Error::io(format!("{shown}: the body is not as long as the server says, {size} bytes came")),
            None,
        );
    }
    if range.start >= size && size > 0 {
        return Verdict::Never(beyond(shown, range));
    }
    let position = |at: u64| usize::try_from(at.min(size)).unwrap_or(usize::MAX).min(response.body.len());
    let bytes = response.body.slice(position(range.start)..position(range.end).max(position(range.start)));
    Verdict::Done(Answer { bytes, meta: meta(&response.headers, size) })
}

/// 416: nothing of the range exists (RFC 9110 §15.5.17). From the first byte on, that means empty.
fn unsatisfiable(response: &Response, shown: &str, range: &Range<u64>) -> Verdict<Answer> {
    let said = field(&response.headers, &CONTENT_RANGE);
    let size = said.and_then(|said| said.trim().strip_prefix("bytes */")?.trim().parse::<u64>().ok());
    match (range.start, size) {
        (0, None | Some(0)) => {
            Verdict::Done(Answer { bytes: Bytes::new(), meta: meta(&response.headers, 0) })
        }
        _ => Verdict::Never(beyond(shown, range)),
    }
}

fn beyond(shown: &str, range: &Range<u64>) -> Error {
    Error::format(format!(
        "{shown}: bytes {}..{} lie beyond the end of the file (416)",
        range.start, range.end
    ))
}

/// What the fields of an answer say about the whole, of `size` bytes.
pub(crate) fn meta(headers: &HeaderMap, size: u64) -> Meta {
    let text = |name| field(headers, name).map(str::to_owned);
    Meta { size, etag: text(&ETAG), last_modified: text(&LAST_MODIFIED) }
}

/// A field of an answer, when it is text.
pub(crate) fn field<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// First byte, end (exclusive) and total of `bytes 0-99/1000` (RFC 9110 §14.4).
fn content_range(value: &str) -> Option<(u64, u64, u64)> {
    let (range, size) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, size): (u64, u64, u64) =
        (first.trim().parse().ok()?, last.trim().parse().ok()?, size.trim().parse().ok()?);
    (first <= last && last < size).then(|| (first, last.saturating_add(1), size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges() {
        // RFC 9110 §14.4's own examples.
        assert_eq!(content_range("bytes 42-1233/1234"), Some((42, 1234, 1234)));
        assert_eq!(content_range("bytes 42-1233/*"), None);
        assert_eq!(content_range("bytes */1234"), None);
        assert_eq!(content_range("bytes 9-3/10"), None);
        assert_eq!(content_range("bytes 0-10/10"), None);
        assert_eq!(content_range("bytes 0-18446744073709551615/18446744073709551615"), None);
        assert_eq!(content_range(""), None);
    }

    fn asked(etag: Option<&str>, date: Option<&str>) -> Vec<String> {
        let text = |text: Option<&str>| text.map(str::to_owned);
        let meta = Meta { size: 9, etag: text(etag), last_modified: text(date) };
        let mut headers = HeaderMap::new();
        ask(&mut headers, &(3..7), Some(&meta));
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
    }

    #[test]
    fn conditions_pin_the_version() {
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        let since = "if-unmodified-since: Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(asked(Some("\"a\""), date), ["range: bytes=3-6", "if-match: \"a\""]);
        assert_eq!(asked(Some("W/\"a\""), date), ["range: bytes=3-6", since]);
        assert_eq!(asked(None, date), ["range: bytes=3-6", since]);
        assert_eq!(asked(Some("W/\"a\""), None), ["range: bytes=3-6"]);
        assert_eq!(asked(Some("a\nb"), None), ["range: bytes=3-6"]);
    }
}
