//! Requests to the services that hand out credentials.

use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::de::DeserializeOwned;
use url::Url;

use super::StoreOptions;
use super::client::{HttpClient, Kind};
use super::request::Request;
use crate::error::{Error, Result};

/// The most of an answer that is read: tokens have a few KiB.
const MOST: usize = 1 << 20;
/// A metadata service answers from the machine itself.
const METADATA_TIMEOUT: Duration = Duration::from_secs(5);

/// Asks the services that hand out credentials.
pub(crate) struct Exchange {
    client: HttpClient,
    tries: u32,
    first_wait: Duration,
    timeout: Duration,
}

/// Why there is no answer.
pub(crate) enum Silence {
    /// Nobody can be reached there.
    Unreachable(Error),
    /// It answered, and not with a credential; the status, unless the answer broke off.
    Refused(Option<u16>, Error),
}

impl From<Silence> for Error {
    fn from(silence: Silence) -> Self {
        match silence {
            Silence::Unreachable(error) | Silence::Refused(_, error) => error,
        }
    }
}

impl Exchange {
    /// With services of the network ([`Kind::Store`], [`Kind::Aws`]), or those of the machine ([`Kind::Metadata`]).
    ///
    /// # Errors
    /// Those of [`HttpClient::new`] and [`HttpClient::trusting`].
    pub(crate) fn new(options: &StoreOptions, kind: Kind) -> Result<Self> {
        let is_near = kind == Kind::Metadata;
        let client = HttpClient::new(options, kind)?;
        if !is_near {
            // What is wrong with root certificates is said before anything is asked.
            client.trusting()?;
        }
        Ok(Self {
            client,
            tries: options.max_retries.min(if is_near { 2 } else { 4 }).saturating_add(1),
            first_wait: options.backoff_base,
            timeout: if is_near { METADATA_TIMEOUT } else { options.idle_timeout },
        })
    }

    /// The body of the answer to `request`, which may be sent several times. `what` is asked, for messages.
    pub(crate) async fn send(&self, what: &str, request: &Request) -> Result<Bytes, Silence> {
        let client = self.client.of(&request.url).map_err(Silence::Unreachable)?;
        let mut wait = self.first_wait;
        let mut tries = 1_u32;
        loop {
            let last = tries >= self.tries;
            let silence = match self.once(client, what, request).await {
                Ok(body) => return Ok(body),
                Err(silence) => silence,
            };
            let again = match &silence {
                // One connection that fails to a metadata service means that there is none.
                Silence::Unreachable(_) => self.timeout != METADATA_TIMEOUT,
                Silence::Refused(status, _) => {
                    status.is_none_or(|status| matches!(status, 408 | 429 | 500 | 502 | 503 | 504))
                }
            };
            if last || !again {
                return Err(silence);
            }
            tokio::time::sleep(wait).await;
            wait = wait.saturating_mul(2);
            tries = tries.saturating_add(1);
        }
    }

    async fn once(&self, client: &reqwest::Client, what: &str, request: &Request) -> Result<Bytes, Silence> {
        let host = request.url.host_str().unwrap_or_default();
        let sending = client
            .request(request.method.clone(), request.url.clone())
            .headers(request.headers.clone())
            .body(request.body.concat());
        let answer = async {
            let mut response = sending.send().await.map_err(|cause| {
                // Without the URL, whose query may be a secret.
                let cause = cause.without_url();
                let error = Error::io(format!("{what} at {host} could not be reached")).caused_by(cause);
                Silence::Unreachable(error)
            })?;
            let status = response.status();
            let mut body = BytesMut::new();
            loop {
                match response.chunk().await {
                    Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                    Ok(None) => break,
                    Err(cause) => {
                        let error = Error::io(format!("the answer of {what} at {host} broke off"));
                        return Err(Silence::Refused(None, error.caused_by(cause.without_url())));
                    }
                }
                if body.len() > MOST {
                    let error =
                        Error::io(format!("the answer of {what} at {host} is longer than {MOST} bytes"));
                    return Err(Silence::Refused(Some(status.as_u16()), error));
                }
            }
            if status.is_success() {
                return Ok(body.freeze());
            }
            let code = error_code(&body).map(|code| format!(" {code}")).unwrap_or_default();
            let error = Error::io(format!("{what} at {host} answered {}{code}", status.as_u16()));
            Err(Silence::Refused(Some(status.as_u16()), error))
        };
        tokio::time::timeout(self.timeout, answer).await.unwrap_or_else(|_elapsed| {
            let seconds = self.timeout.as_secs();
            Err(Silence::Unreachable(Error::io(format!("{what} at {host} did not answer in {seconds} s"))))
        })
    }

    /// The JSON that the answer is to be.
    pub(crate) async fn json<T: DeserializeOwned>(
        &self,
        what: &str,
        request: &Request,
    ) -> Result<T, Silence> {
        let body = self.send(what, request).await?;
        json(what, &body).map_err(|error| Silence::Refused(Some(200), error))
    }
}

/// The answer of `what`, which is JSON.
///
/// # Errors
/// [`crate::ErrorKind::Io`] when it lacks something; it is not shown, since it may be a secret.
pub(crate) fn json<T: DeserializeOwned>(what: &str, body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|cause| {
        // serde_json quotes strings where another type is due, but says line and column.
        let (line, column) = (cause.line(), cause.column());
        Error::io(format!(
            "the answer of {what} is not the JSON of a credential (line {line}, column {column})"
        ))
    })
}

/// A GET.
pub(crate) fn get(url: Url) -> Request {
    Request { method: Method::GET, url, headers: HeaderMap::new(), body: Vec::new(), sha256: None }
}

/// A POST of a form.
pub(crate) fn post(url: Url, form: &[(&str, &str)]) -> Request {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let mut headers = HeaderMap::new();
    headers.insert(
        reqwest::header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8"),
    );
    headers.insert(reqwest::header::ACCEPT, HeaderValue::from_static("application/json"));
    Request { method: Method::POST, url, headers, body: vec![Bytes::from(body)], sha256: None }
}

/// Adds a header whose value may be a secret.
///
/// # Errors
/// [`crate::ErrorKind::Usage`] for a value that no header can have, such as one with a line break.
pub(crate) fn add_header(headers: &mut HeaderMap, name: &'static str, value: &str) -> Result<()> {
    let mut value = ascii(value).ok_or_else(|| {
        Error::usage(format!("the value for the header {name} has a character that is not printable ASCII"))
    })?;
    value.set_sensitive(true);
    headers.insert(HeaderName::from_static(name), value);
    Ok(())
}

/// A header's value, when all of it is printable ASCII.
pub(crate) fn ascii(value: &str) -> Option<HeaderValue> {
    let printable = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    HeaderValue::from_str(value).ok().filter(|_| printable)
}

/// An instant of RFC 3339.
pub(crate) fn instant(text: &str) -> Option<SystemTime> {
    // `2020-06-17T10:02:08UTC` is what older AWS tools wrote.
    let text = text.strip_suffix("UTC").map_or_else(|| text.to_owned(), |text| format!("{text}Z"));
    let seconds = chrono::DateTime::parse_from_rfc3339(&text).ok()?.timestamp();
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).ok()?))
}

/// The code of an error in XML (`<Code>…</Code>`) or JSON; never its free text.
fn error_code(body: &[u8]) -> Option<String> {
    let plain = |code: &str| {
        let is_code = (1..=64).contains(&code.len())
            && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
        is_code.then(|| code.to_owned())
    };
    let text = std::str::from_utf8(body).ok()?;
    if let Some((_, rest)) = text.split_once("<Code>") {
        return plain(rest.split_once("</Code>")?.0);
    }
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let names = ["error", "code", "Code", "__type", "status"];
    let found = |value: &serde_json::Value| {
        names.iter().find_map(|name| plain(value.get(name)?.as_str()?.rsplit('#').next()?))
    };
    found(&value).or_else(|| found(value.get("error")?))
}

/// Whether secrets may be sent there: over TLS, or without leaving the machine.
pub(crate) fn is_private(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url))
}

/// Whether a URL's host is this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_taken_and_text_is_not() {
        for (body, code) in [
            (
                "<E><Error><Code>ExpiredToken</Code><Message>secret</Message></Error></E>",
                Some("ExpiredToken"),
            ),
            (r#"{"error":"invalid_grant","error_description":"secret"}"#, Some("invalid_grant")),
            (
                r#"{"error":{"code":403,"status":"PERMISSION_DENIED","message":"secret"}}"#,
                Some("PERMISSION_DENIED"),
            ),
            (r#"{"__type":"com.amazonaws#UnauthorizedException"}"#, Some("UnauthorizedException")),
            (r#"{"error":"a secret sentence"}"#, None),
            ("<Code>a secret sentence</Code>", None),
            ("<Code>", None),
            ("\u{0}", None),
        ] {
            assert_eq!(error_code(body.as_bytes()).as_deref(), code, "{body}");
        }
    }

    #[test]
    fn instants() {
        let seconds =
            |text| instant(text).map(|at| at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs());
        // `date -u -d 2020-06-17T10:02:08Z +%s`
        for text in ["2020-06-17T10:02:08Z", "2020-06-17T10:02:08UTC", "2020-06-17T12:02:08.5+02:00"] {
            assert_eq!(seconds(text), Some(1_592_388_128), "{text}");
        }
        for text in ["", "Z", "1901-01-01T00:00:00Z", "2020-06-17", "tomorrow"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn secrets_leave_the_machine_encrypted_only() {
        for (url, private) in [
            ("https://sts.googleapis.com/v1/token", true),
            ("http://127.0.0.1:1/x", true),
            ("http://[::1]/x", true),
            ("http://localhost/x", true),
            ("http://localhost.example/x", false),
            ("http://sts.googleapis.com/v1/token", false),
            ("ftp://localhost/", false),
        ] {
            assert_eq!(is_private(&Url::parse(url).unwrap()), private, "{url}");
        }
    }
}
