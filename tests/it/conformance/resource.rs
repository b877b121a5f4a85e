//! A resource and how a server answers GET and HEAD of it: ranges and conditions (RFC 9110 §13, §14).

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::SystemTime;

use bytes::Bytes;

use super::listener::{Answer, Asked, answer, body, refusal, with};

/// An object as a server keeps it.
#[derive(Clone)]
pub(crate) struct Resource {
    pub(crate) bytes: Bytes,
    /// Quotes included.
    pub(crate) etag: String,
    pub(crate) modified: SystemTime,
    pub(crate) content_type: Option<String>,
    /// User metadata, without the prefix of their headers.
    pub(crate) metadata: BTreeMap<String, String>,
}

impl Resource {
    /// The answer to `asked`, but for what only one kind of server says.
    pub(crate) fn answer(&self, asked: &Asked) -> Answer {
        let modified = date(self.modified);
        let is_this = |tags: &str| tags == "*" || tags.split(',').any(|tag| tag.trim() == self.etag);
        if asked.header("if-match").is_some_and(|tags| !is_this(tags))
            || (!asked.headers.contains_key("if-match")
                && asked.header("if-unmodified-since").is_some_and(|date| date != modified))
        {
            return refusal(412, "PreconditionFailed");
        }
        if asked.header("if-none-match").is_some_and(is_this) {
            return answer(304);
        }
        let size = self.bytes.len() as u64;
        let reply = match asked.header("range").and_then(|range| parse(range, size)) {
            None => body(answer(200), self.bytes.clone()),
            Some(range) if range.is_empty() => {
                return with(refusal(416, "InvalidRange"), "content-range", &format!("bytes */{size}"));
            }
            Some(Range { start, end }) => {
                let (from, to) = (usize::try_from(start).unwrap(), usize::try_from(end).unwrap());
                with(
                    body(answer(206), self.bytes.slice(from..to)),
                    "content-range",
                    &format!("bytes {start}-{}/{size}", end - 1),
                )
            }
        };
        let reply = with(with(reply, "etag", &self.etag), "last-modified", &modified);
        let kind = self.content_type.as_deref().unwrap_or("application/octet-stream");
        with(with(reply, "content-type", kind), "accept-ranges", "bytes")
    }
}

/// What a Range header asks of `size` bytes, empty when nothing of it exists; `None` when it is to be ignored.
fn parse(range: &str, size: u64) -> Option<Range<u64>> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let (start, end) = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if last < first => return None,
        (Ok(first), Ok(last)) => (first, last.saturating_add(1).min(size)),
        (Ok(first), Err(_)) if last.is_empty() => (first, size),
        (Err(_), Ok(suffix)) if first.is_empty() => (size.saturating_sub(suffix), size),
        _ => return None,
    };
    Some(start..end)
}

/// An HTTP date (RFC 9110 §5.6.7), to the second.
pub(crate) fn date(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant's days from civil, the other way round; years begin in March.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let name =
        |names: &str, index: u64| names.split(' ').nth(usize::try_from(index).unwrap()).unwrap().to_owned();
    format!(
        "{}, {day:02} {} {year} {:02}:{:02}:{:02} GMT",
        name("Thu Fri Sat Sun Mon Tue Wed", days % 7),
        name("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec", month - 1),
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

#[test]
fn dates() {
    use std::time::Duration;
    // RFC 9110 §5.6.7's own example, the epoch, and a leap day by `date -u -d`.
    for (seconds, expected) in [
        (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT"),
    ] {
        assert_eq!(date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)), expected);
    }
}
