//! HTTP/1.1, as much of it as the test server needs (RFC 9112).

use std::borrow::Cow;
use std::io::{BufRead, Read};
use std::time::{SystemTime, UNIX_EPOCH};

/// One request.
pub(crate) struct Call {
    pub(crate) method: String,
    /// Percent-decoded.
    pub(crate) path: String,
    pub(crate) query: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// One answer.
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(Cow<'static, str>, String)>,
    body: Vec<u8>,
}

/// The next request's head, or `None` when the connection ends.
pub(crate) fn read_call(reader: &mut impl BufRead) -> Option<Call> {
    let line = read_line(reader)?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':')?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    Some(Call { method, path: decode(path), query: query.to_owned(), headers, body: Vec::new() })
}

fn read_line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    let read = reader.read_line(&mut line).ok()?;
    (read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
}

/// `text` with its `%xx` made bytes.
pub(crate) fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex = (bytes[i] == b'%').then(|| text.get(i + 1..i + 3)).flatten();
        let (byte, used) = match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => (byte, 3),
            None => (bytes[i], 1),
        };
        out.push(byte);
        i += used;
    }
    String::from_utf8(out).unwrap()
}

impl Call {
    /// The same with its body, by length or in chunks.
    pub(crate) fn with_body(mut self, reader: &mut impl BufRead) -> Option<Self> {
        if let Some(len) = self.header("content-length").and_then(|len| len.parse().ok()) {
            self.body = vec![0; len];
            reader.read_exact(&mut self.body).ok()?;
        } else if self.header("transfer-encoding") == Some("chunked") {
            loop {
                let len = u64::from_str_radix(read_line(reader)?.trim(), 16).ok()?;
                reader.by_ref().take(len).read_to_end(&mut self.body).ok()?;
                read_line(reader)?;
                if len == 0 {
                    break;
                }
            }
        }
        Some(self)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Half-open. Suffix ranges are refused, as Azure does.
    pub(crate) fn range(&self) -> Option<(u64, u64)> {
        self.range_of("range")
    }

    /// The same of another header.
    pub(crate) fn range_of(&self, name: &str) -> Option<(u64, u64)> {
        let (start, last) = self.header(name)?.strip_prefix("bytes=")?.split_once('-')?;
        Some((start.parse().unwrap(), last.parse::<u64>().unwrap() + 1))
    }

    pub(crate) fn conditions(&self) -> Vec<String> {
        let names = ["if-match", "if-none-match", "if-unmodified-since", "x-goog-if-generation-match"];
        let pairs = self.headers.iter().filter(|(name, _)| names.contains(&name.as_str()));
        pairs.map(|(name, value)| format!("{name}: {value}")).collect()
    }

    /// What the client tells of the object for itself, as headers.
    pub(crate) fn metadata(&self) -> Vec<(String, String)> {
        let prefixes = ["x-amz-meta-", "x-goog-meta-", "x-ms-meta-"];
        let is_metadata = |name: &str| prefixes.iter().any(|prefix| name.starts_with(prefix));
        self.headers.iter().filter(|(name, _)| is_metadata(name)).cloned().collect()
    }

    /// Whether `text` stands in the query or in a header's value.
    pub(crate) fn bears(&self, text: &str) -> bool {
        self.query.contains(text) || self.headers.iter().any(|(_, value)| value.contains(text))
    }

    /// Query and header values.
    pub(crate) fn spoken(&self) -> String {
        let values = self.headers.iter().map(|(_, value)| value.as_str());
        std::iter::once(self.query.as_str()).chain(values).collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        crate::server::parameter(&self.query, name)
    }
}

impl Reply {
    pub(crate) fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// An error as S3 words it.
    pub(crate) fn error(status: u16, code: &str) -> Self {
        let text = format!("<Error><Code>{code}</Code><Message>because</Message></Error>");
        Self::new(status).body(text.into_bytes())
    }

    pub(crate) fn with(mut self, name: impl Into<Cow<'static, str>>, value: String) -> Self {
        self.headers.push((name.into(), value));
        self
    }

    pub(crate) fn set(&mut self, name: &'static str, value: String) {
        self.headers.retain(|(key, _)| key != name);
        self.headers.push((name.into(), value));
    }

    pub(crate) fn body(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    /// The bytes to send; `cut` ends the body early.
    pub(crate) fn encode(&self, call: &Call, cut: Option<usize>) -> Vec<u8> {
        use std::fmt::Write as _;
        let mut head = format!("HTTP/1.1 {} Status\r\nContent-Length: {}\r\n", self.status, self.body.len());
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        if call.method != "HEAD" {
            bytes.extend(&self.body[..cut.unwrap_or(usize::MAX).min(self.body.len())]);
        }
        bytes
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7). Days become dates as in Hinnant's `civil_from_days`.
pub(crate) fn http_date(time: SystemTime) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = time.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    let z = days + 719_468;
    let (era, doe) = (z / 146_097, z % 146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let year = yoe + era * 400 + u64::from(month <= 2);
    let name = |names: &[&'static str], at: u64| names[usize::try_from(at).unwrap()];
    format!(
        "{}, {day:02} {} {year} {:02}:{:02}:{:02} GMT",
        name(&DAYS, days % 7),
        name(&MONTHS, month - 1),
        time / 3600,
        time / 60 % 60,
        time % 60
    )
}

#[test]
fn dates_are_those_of_rfc_9110() {
    // RFC 9110 §5.6.7's own example, which GNU date gives as 784111777.
    let time = UNIX_EPOCH + std::time::Duration::from_secs(784_111_777);
    assert_eq!(http_date(time), "Sun, 06 Nov 1994 08:49:37 GMT");
}
