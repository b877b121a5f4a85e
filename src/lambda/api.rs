//! Lambda's Runtime API (version 2018-06-01): one event after the other over one connection, HTTP/1.1 within the machine.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::failure::Failure;
use crate::error::{Error, Result};

/// Bytes of an event, at most: Lambda's own bound is 6 MB.
const EVENT_BYTES: usize = 16 << 20;
/// How often a connection that broke is made anew for one call.
const TRIES: u32 = 5;
/// How long to wait before the second try; the others wait longer.
const PAUSE: Duration = Duration::from_millis(20);

/// The API, as one environment of a function speaks to it.
pub(super) struct Api {
    /// `host:port`.
    authority: String,
    /// What paths begin with.
    base: String,
    connection: Option<SendRequest<Full<Bytes>>>,
}

/// One event, and what is known of it.
pub(super) struct Invocation {
    /// The request's id.
    pub(super) id: String,
    /// When the function is stopped, if that was said.
    pub(super) deadline: Option<Instant>,
    /// X-Ray's header of the request.
    pub(super) trace: Option<String>,
    pub(super) event: Bytes,
}

impl Api {
    /// The API at `address`: `host:port`, as Lambda has it, or a URL of http://, as emulators do.
    pub(super) fn new(address: &str) -> Result<Self> {
        let rest = address.trim().strip_prefix("http://").unwrap_or(address.trim());
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.is_empty() || rest.contains("://") {
            return Err(Error::usage(
                "AWS_LAMBDA_RUNTIME_API is not a host and its port: `cogclip lambda` is run by AWS Lambda, or an emulator of it",
            ));
        }
        let path = path.trim_end_matches('/');
        let slash = if path.is_empty() { "" } else { "/" };
        Ok(Self {
            authority: authority.to_owned(),
            base: format!("{slash}{path}/2018-06-01/runtime"),
            connection: None,
        })
    }

    /// Waits for the next event.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] when the API is gone or broken: the process is to end.
    pub(super) async fn next(&mut self) -> Result<Invocation> {
        let (status, headers, event) =
            self.call(&Method::GET, "/invocation/next", None, Bytes::new()).await?;
        if status != StatusCode::OK {
            return Err(Error::io(format!(
                "Lambda's Runtime API answered {status} when it was asked for an event"
            )));
        }
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let id = text("lambda-runtime-aws-request-id")
            .filter(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/'))
            .ok_or_else(|| Error::io("Lambda's Runtime API sent an event without the id of its request"))?;
        let deadline = text("lambda-runtime-deadline-ms").and_then(|text| text.trim().parse().ok());
        Ok(Invocation { id, deadline: deadline.map(instant), trace: text("lambda-runtime-trace-id"), event })
    }

    /// Answers an event.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] as [`Self::next`], and when the answer is not taken.
    pub(super) async fn respond(&mut self, id: &str, answer: &Value) -> Result<()> {
        let body = answer.to_string();
        let called =
            self.call(&Method::POST, &format!("/invocation/{id}/response"), None, body.into()).await?;
        taken(called.0)
    }

    /// Says that an event failed.
    ///
    /// # Errors
    /// As [`Self::respond`].
    pub(super) async fn fail(&mut self, id: &str, failure: &Failure) -> Result<()> {
        self.failed(&format!("/invocation/{id}/error"), failure).await
    }

    /// Says that the function cannot take any event.
    ///
    /// # Errors
    /// As [`Self::respond`].
    pub(super) async fn fail_to_start(&mut self, failure: &Failure) -> Result<()> {
        self.failed("/init/error", failure).await
    }

    async fn failed(&mut self, path: &str, failure: &Failure) -> Result<()> {
        let body = failure.to_json().to_string();
        taken(self.call(&Method::POST, path, Some(failure.kind), body.into()).await?.0)
    }

    /// One call; what breaks before there is an answer is tried again, since the API knows its events by their ids.
    async fn call(
        &mut self,
        method: &Method,
        path: &str,
        error_type: Option<&str>,
        body: Bytes,
    ) -> Result<(StatusCode, HeaderMap, Bytes)> {
        let mut tries = 0;
        loop {
            tries += 1;
            let mut request = Request::builder()
                .method(method)
                .uri(format!("{}{path}", self.base))
                .header(HOST, &self.authority)
                .header(USER_AGENT, concat!("cogclip/", env!("CARGO_PKG_VERSION")));
            if *method == Method::POST {
                request = request.header(CONTENT_TYPE, "application/json");
            }
            if let Some(kind) = error_type {
                request = request.header("lambda-runtime-function-error-type", kind);
            }
            let request = request.body(Full::new(body.clone())).map_err(|cause| {
                Error::usage("AWS_LAMBDA_RUNTIME_API is not a host and its port").caused_by(cause)
            })?;
            match self.send(request).await {
                Ok(answer) => return Ok(answer),
                Err(error) if tries >= TRIES => return Err(error),
                Err(_again) => tokio::time::sleep(PAUSE * tries).await,
            }
        }
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<(StatusCode, HeaderMap, Bytes)> {
        let gone = |cause| Error::io("Lambda's Runtime API does not answer").caused_by(cause);
        let mut sender = match self.connection.take() {
            Some(sender) if sender.is_ready() => sender,
            _ => self.connect().await?,
        };
        let answer = sender.send_request(request).await.map_err(gone)?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, EVENT_BYTES).collect().await.map_err(|cause| {
            Error::io(format!("an answer of Lambda's Runtime API broke off, or has over {EVENT_BYTES} bytes"))
                .caused_by(cause)
        })?;
        // No event has come in vain: the connection is kept only for the next one.
        if sender.ready().await.is_ok() {
            self.connection = Some(sender);
        }
        Ok((head.status, head.headers, body.to_bytes()))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        let at = |cause| Error::io("Lambda's Runtime API cannot be reached").caused_by(cause);
        let stream = TcpStream::connect(&self.authority).await.map_err(at)?;
        drop(stream.set_nodelay(true));
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|cause| Error::io("Lambda's Runtime API cannot be spoken to").caused_by(cause))?;
        tokio::spawn(async move {
            // How it ended is what the next call finds out.
            drop(connection.await);
        });
        Ok(sender)
    }
}

fn taken(status: StatusCode) -> Result<()> {
    if status.is_success() {
        return Ok(());
    }
    Err(Error::io(format!("Lambda's Runtime API answered {status} to what became of an event")))
}

/// Milliseconds since 1970 that are no time of Lambda's, which is younger: September 2001.
const NO_TIME: u64 = 1_000_000_000_000;

/// The instant of a time in milliseconds since 1970. `cargo lambda watch` (1.9) tells how many are left instead.
fn instant(milliseconds: u64) -> Instant {
    let told = Duration::from_millis(milliseconds);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let left = if milliseconds < NO_TIME { told } else { told.saturating_sub(now) };
    // A time beyond all bounds is none that matters.
    Instant::now() + left.min(Duration::from_hours(24))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_lambda_and_of_emulators() {
        for (text, expected) in [
            ("127.0.0.1:9001", Some(("127.0.0.1:9001", "/2018-06-01/runtime"))),
            ("http://[::1]:9000/.rt/clip/", Some(("[::1]:9000", "/.rt/clip/2018-06-01/runtime"))),
            ("localhost:9000/x", Some(("localhost:9000", "/x/2018-06-01/runtime"))),
            ("", None),
            ("https://example.com", None),
        ] {
            let api = Api::new(text).ok();
            let found = api.as_ref().map(|api| (api.authority.as_str(), api.base.as_str()));
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn deadlines_are_of_the_wall_clock() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = u64::try_from(now.as_millis()).unwrap();
        let left = |at| instant(at).saturating_duration_since(Instant::now());
        assert!((9_000..=10_000).contains(&left(now + 10_000).as_millis()));
        assert_eq!((left(now - 1), left(0)), (Duration::ZERO, Duration::ZERO));
        // As the emulator has it.
        assert!((599_000..=600_000).contains(&left(600_000).as_millis()));
        assert!(left(u64::MAX) <= Duration::from_hours(24));
    }
}
