//! `http(s)://`: ranges of a web resource (RFC 9110 §14).
//!
//! Not through object_store, whose HTTP store drops the query string: a presigned URL is nothing without it.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderName, IF_MATCH,
    IF_UNMODIFIED_SINCE, LAST_MODIFIED, RANGE, RETRY_AFTER,
};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Response};
use url::Url;

use super::client::{check_keys, install_tls, mozilla_roots};
use super::{Answer, Counters, SourceMeta};
use crate::error::{Error, Result};
use crate::store::StoreOptions;
use crate::store::retry::{Retries, is_transient, retry_after};

/// Hops of a redirected request, as browsers and curl's users are used to.
const MAX_REDIRECTS: usize = 10;

/// The most that is allocated before the bytes have come; what comes beyond grows with them.
const FIRST_ALLOCATION: u64 = 1 << 20;

/// A web resource.
pub(crate) struct Http {
    client: Client,
    url: Url,
    shown: String,
    options: StoreOptions,
    counters: Arc<Counters>,
}

/// Why a try failed.
enum Failure {
    /// Another may succeed, not before the server's Retry-After.
    Transient(Error, Option<Duration>),
    /// Another would fail too.
    Final(Error),
}

impl Http {
    pub(crate) fn new(
        url: Url,
        shown: String,
        options: &StoreOptions,
        counters: Arc<Counters>,
    ) -> Result<Self> {
        check_keys(options)?;
        let client = client(options)?;
        Ok(Self { client, url, shown, options: options.clone(), counters })
    }

    /// The bytes of `range` that exist.
    pub(crate) async fn get(&self, range: Range<u64>, pinned: Option<&SourceMeta>) -> Result<Answer> {
        let mut retries = Retries::new(&self.options);
        loop {
            self.counters.requests.fetch_add(1, Ordering::Relaxed);
            match self.once(&range, pinned).await {
                Ok(answer) => return Ok(answer),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Transient(error, after)) => match retries.next(after) {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => return Err(error),
                },
            }
        }
    }

    async fn once(&self, range: &Range<u64>, pinned: Option<&SourceMeta>) -> Result<Answer, Failure> {
        let mut request = self
            .client
            .get(self.url.clone())
            // A compressed answer would have other offsets.
            .header(ACCEPT_ENCODING, "identity")
            .header(RANGE, format!("bytes={}-{}", range.start, range.end - 1));
        if let Some(pinned) = pinned {
            // If-Match compares strongly, so that a weak tag would never match (RFC 9110 §13.1.1).
            match (&pinned.etag, &pinned.last_modified) {
                (Some(etag), _) if !etag.starts_with("W/") => request = request.header(IF_MATCH, etag),
                (_, Some(date)) => request = request.header(IF_UNMODIFIED_SINCE, date),
                _ => {}
            }
        }
        let response = request.send().await.map_err(|cause| self.broken(cause))?;
        match response.status().as_u16() {
            206 => self.partial(response, range).await,
            416 => self.unsatisfiable(&response, range),
            200 if field(response.headers(), &CONTENT_LENGTH) == Some("0") => {
                Ok(Answer { bytes: Bytes::new(), meta: meta(response.headers(), 0) })
            }
            status => Err(self.refused(status, &response)),
        }
    }

    async fn partial(&self, response: Response, range: &Range<u64>) -> Result<Answer, Failure> {
        let wrong = |what: String| Failure::Final(Error::io(format!("{}: {what}", self.shown)));
        let said = field(response.headers(), &CONTENT_RANGE).unwrap_or_default();
        let Some((first, end, size)) = content_range(said) else {
            return Err(wrong(format!(
                "the server answers a range without saying which and of how many bytes (Content-Range is {said:?})"
            )));
        };
        let expected = range.start..range.end.min(size);
        if (first, end) != (expected.start, expected.end) {
            return Err(wrong(format!(
                "bytes {}..{} of {size} were asked for, and the server sends {first}..{end}",
                range.start, range.end
            )));
        }
        let meta = meta(response.headers(), size);
        let bytes = self.body(response, end - first).await?;
        Ok(Answer { bytes, meta })
    }

    async fn body(&self, mut response: Response, len: u64) -> Result<Bytes, Failure> {
        // The length is the server's word: allocated as it comes true.
        let first = len.min(FIRST_ALLOCATION);
        let mut bytes = BytesMut::with_capacity(usize::try_from(first).unwrap_or_default());
        while let Some(chunk) = response.chunk().await.map_err(|cause| self.broken(cause))? {
            if bytes.is_empty() && chunk.len() as u64 == len {
                return Ok(chunk);
            }
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > len {
                break;
            }
        }
        if bytes.len() as u64 != len {
            let error = Error::io(format!(
                "{}: the body should have {len} bytes, and {} came",
                self.shown,
                bytes.len()
            ));
            return Err(Failure::Transient(error, None));
        }
        Ok(bytes.freeze())
    }

    /// 416: nothing of the range exists (RFC 9110 §15.5.17). From the first byte on, that means empty.
    fn unsatisfiable(&self, response: &Response, range: &Range<u64>) -> Result<Answer, Failure> {
        let said = field(response.headers(), &CONTENT_RANGE);
        let size = said.and_then(|said| said.strip_prefix("bytes */")?.trim().parse().ok());
        match size {
            Some(size) if range.start >= size => {
                Ok(Answer { bytes: Bytes::new(), meta: meta(response.headers(), size) })
            }
            None if range.start == 0 => Ok(Answer { bytes: Bytes::new(), meta: meta(response.headers(), 0) }),
            _ => Err(Failure::Final(Error::format(format!(
                "{}: bytes {}..{} lie beyond the end of the file (416)",
                self.shown, range.start, range.end
            )))),
        }
    }

    fn refused(&self, status: u16, response: &Response) -> Failure {
        let shown = &self.shown;
        let named = response.status();
        let error = match status {
            200 => Error::io(format!(
                "{shown}: the server sends the whole file instead of the range that was asked for; \
                 download it first, or use a server that supports ranges"
            )),
            401 | 403 => Error::io(format!(
                "{shown}: access is denied ({named}); check the credentials, or whether the signed URL has expired"
            ))
            .absent(),
            404 | 410 => Error::io(format!("{shown}: not found ({named})")).absent(),
            412 => {
                Error::changed(format!("{shown} changed while it was read: it no longer has the ETag it had"))
            }
            _ => Error::io(format!("{shown}: the server answers {named}")),
        };
        if is_transient(status) {
            Failure::Transient(error, field(response.headers(), &RETRY_AFTER).and_then(retry_after))
        } else {
            Failure::Final(error)
        }
    }

    /// A request without a whole answer.
    fn broken(&self, cause: reqwest::Error) -> Failure {
        let hopeless = cause.is_builder() || cause.is_redirect();
        let what = if cause.is_connect() {
            "the connection failed"
        } else if cause.is_timeout() {
            "the server went silent"
        } else if cause.is_redirect() {
            "the redirects do not end"
        } else {
            "the connection broke"
        };
        // The URL may hold a key.
        let error = Error::io(format!("{}: {what}", self.shown)).caused_by(cause.without_url());
        if hopeless { Failure::Final(error) } else { Failure::Transient(error, None) }
    }
}

fn client(options: &StoreOptions) -> Result<Client> {
    install_tls();
    let wrong = |cause: reqwest::Error| {
        Error::usage("the HTTP client cannot be set up").caused_by(cause.without_url())
    };
    let configure = |builder: ClientBuilder| -> Result<ClientBuilder> {
        let mut builder = builder
            .user_agent(concat!("cogclip/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::limited(MAX_REDIRECTS))
            // It would carry the query string, and with it the key, to wherever a redirect leads.
            .referer(false)
            .connect_timeout(options.connect_timeout)
            .read_timeout(options.idle_timeout);
        for (key, value) in &options.pairs {
            match key.as_str() {
                "user_agent" => builder = builder.user_agent(value.clone()),
                "proxy_url" => {
                    builder = builder.proxy(reqwest::Proxy::all(value.as_str()).map_err(wrong)?);
                }
                "allow_invalid_certificates" if value == "true" => {
                    builder = builder.tls_danger_accept_invalid_certs(true);
                }
                _ => {}
            }
        }
        Ok(builder)
    };
    configure(Client::builder())?.build().or_else(|_without_system_roots| {
        configure(Client::builder())?.tls_certs_merge(mozilla_roots()).build().map_err(wrong)
    })
}

fn field<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn meta(headers: &HeaderMap, size: u64) -> SourceMeta {
    let text = |name| field(headers, name).map(str::to_owned);
    SourceMeta { size, etag: text(&ETAG), last_modified: text(&LAST_MODIFIED) }
}

/// First byte, end (exclusive) and total of `bytes 0-99/1000` (RFC 9110 §14.4).
fn content_range(value: &str) -> Option<(u64, u64, u64)> {
    let (range, size) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, size): (u64, u64, u64) =
        (first.trim().parse().ok()?, last.trim().parse().ok()?, size.trim().parse().ok()?);
    (first <= last && last < size).then(|| (first, last + 1, size))
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
}
