//! An object of a store, or a file of a web server: what source, sink and doctor ask of it.
//!
//! How it is put there is in [`super::publish`].

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::StoreOptions;
use super::connections::{Connection, Connections};
use super::dialect::{Dialect, encode_key};
use super::failure::Failure;
use super::key_table::Of;
use super::keys::Given;
use super::location::Location;
use super::range::{self, MAX_WHOLE, field};
use super::request::{Request, Response, Tried, Verdict};
use super::tally::Tally;
use super::transport::{Call, Redirects};
use crate::error::{Error, ErrorKind, Result};

/// Bytes of an answer to a request that does not read the object; pages of keys are asked for in [`super::listing`].
const MAX_ANSWER: u64 = 64 << 10;

/// An object, or a file of a web server. Clones are one.
#[derive(Clone)]
pub(crate) struct Object {
    inner: Arc<Inner>,
}

struct Inner {
    dialect: Dialect,
    url: Url,
    /// As it is, not encoded; empty on a web server.
    key: String,
    shown: String,
    connection: Arc<Connection>,
    tally: Arc<Tally>,
    hedge: bool,
    redirects: Redirects,
    contiguous: bool,
}

/// What an answer says of the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    /// Bytes of the whole.
    pub(crate) size: u64,
    /// Its ETag as the server gave it, quotes included.
    pub(crate) etag: Option<String>,
    /// When it was last changed, as an HTTP date.
    pub(crate) last_modified: Option<String>,
}

/// Bytes of a range, and what was said of the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) bytes: Bytes,
    pub(crate) meta: Meta,
}

/// How an object is to be put there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Put<'a> {
    /// Only if there is none yet.
    pub(crate) create: bool,
    pub(crate) content_type: &'a str,
    /// The user's own metadata: names and values.
    pub(crate) metadata: &'a [(String, String)],
    /// 16 hexadecimal digits that no other write has.
    pub(crate) marker: &'a str,
}

/// An upload in parts that has begun.
#[derive(Clone, Debug)]
pub(crate) struct Begun {
    /// What the store calls it.
    pub(crate) id: String,
    /// What it makes: the object that is to be, or one beside it, of which that is composed.
    pub(crate) at: Object,
    /// Whether there may be another one of the same, whose id nobody has heard, because the answer to an earlier try was lost.
    pub(crate) maybe_another: bool,
}

/// A part that has been uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// From 1.
    pub(crate) number: u32,
    /// What completing must name it by: its ETag, or the id of a block.
    pub(crate) etag: String,
    pub(crate) size: u64,
    /// `None` when the store has made it of another object, and does not say.
    pub(crate) md5: Option<[u8; 16]>,
    /// `None` when the store has made it of another object.
    pub(crate) crc32c: Option<u32>,
    pub(crate) sha256: Option<[u8; 32]>,
    pub(crate) crc64nvme: Option<u64>,
}

/// An object that has been written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Its ETag as the server gave it.
    pub(crate) etag: Option<String>,
    /// What the store should say of it.
    pub(crate) expected: Expected,
    /// Whether it may have replaced another object.
    pub(crate) replacing: bool,
    /// What may be left over beside it, and what to do about it: a sentence each, without a full stop.
    pub(crate) notes: Vec<String>,
}

/// The checksums of what was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    /// Bytes of the whole.
    pub(crate) size: u64,
    /// The ETag that S3 makes of them, without quotes; `None` when the MD5 of a part is not known.
    pub(crate) etag: Option<String>,
    /// MD5 of the whole; nobody has it of parts.
    pub(crate) md5: Option<[u8; 16]>,
    /// CRC-32C of the whole; `None` when that of a part is not known.
    pub(crate) crc32c: Option<u32>,
}

/// What a HEAD finds.
pub(crate) enum Look {
    /// The object, and the fields of the answer.
    There(Meta, HeaderMap),
    /// There is none.
    Nothing,
    /// Looking is not allowed. S3 answers so for what does not exist as well, when listing is not allowed.
    Denied(Error),
}

/// What one request is for.
pub(crate) struct Purpose<'a> {
    pub(crate) doing: &'static str,
    /// Bytes of the answer that are taken.
    pub(crate) most: u64,
    /// Whether it carries data, and counts in the tally.
    pub(crate) data: bool,
    /// Is set when a try may have been carried out without our knowing.
    pub(crate) lost: Option<&'a AtomicBool>,
}

impl Purpose<'_> {
    pub(crate) fn to(doing: &'static str) -> Self {
        Self { doing, most: MAX_ANSWER, data: false, lost: None }
    }
}

impl Object {
    /// The object at `location`, which is called `shown` in messages. Nothing is asked for yet. Its requests for data are
    /// counted in `tally`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] for an option that is not understood, a configuration that lacks something, or a path.
    pub(crate) fn open(
        location: &Location,
        shown: &str,
        options: &StoreOptions,
        tally: Arc<Tally>,
    ) -> Result<Self> {
        let connections: &Connections = &options.connections;
        let (mut redirects, mut key) = (Redirects::No, "");
        let (dialect, url, connection) = match location {
            Location::Local(_) => {
                return Err(Error::usage(format!("{shown} is a path; a URL is expected here")));
            }
            Location::Http(url) => {
                let connection = connections.web(url, shown, options)?;
                let anywhere = Given::new(Of::Web, options).flag("allow_redirects")? == Some(true);
                redirects = if anywhere { Redirects::Anywhere } else { Redirects::SameHost };
                // What is secret in the URL has become a field of the request.
                (Dialect::Web, connection.endpoint.base.clone(), connection)
            }
            Location::Bucket(bucket) => {
                let connection = connections.bucket(bucket, shown, options)?;
                let url = at(&connection.endpoint.base, &bucket.key);
                key = &bucket.key;
                (bucket.cloud.into(), url, connection)
            }
        };
        let (key, shown, hedge) = (key.to_owned(), shown.to_owned(), options.hedge);
        let contiguous = Given::new(Of::S3, options).flag("contiguous_parts")? == Some(true);
        Ok(Self {
            inner: Arc::new(Inner {
                dialect,
                url,
                key,
                shown,
                connection,
                tally,
                hedge,
                redirects,
                contiguous,
            }),
        })
    }

    /// The object `key` of the same bucket.
    pub(crate) fn beside(&self, key: &str) -> Self {
        let Inner { dialect, key: own, shown, connection, tally, hedge, redirects, contiguous, .. } =
            &*self.inner;
        let bucket = shown.strip_suffix(own.as_str()).unwrap_or_default();
        Self {
            inner: Arc::new(Inner {
                dialect: *dialect,
                url: at(&connection.endpoint.base, key),
                key: key.to_owned(),
                shown: format!("{bucket}{key}"),
                connection: Arc::clone(connection),
                tally: Arc::clone(tally),
                hedge: *hedge,
                redirects: *redirects,
                contiguous: *contiguous,
            }),
        }
    }

    /// Whether `other` is this very object, and not only one like it.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// Its key in the bucket, as it is.
    pub(crate) fn key(&self) -> &str {
        &self.inner.key
    }

    /// Whether the parts of an upload must be numbered without gaps.
    pub(crate) fn wants_contiguous_parts(&self) -> bool {
        self.inner.contiguous
    }

    /// The bytes of `range` that exist, in one request: fewer only at the end of the object, and none of an empty one. `pinned`
    /// is the version that is to be read.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] when it could not be read after all retries, or the server does not know ranges;
    /// [`crate::ErrorKind::Changed`] when it is no longer the version `pinned`; [`crate::ErrorKind::Format`] when the range lies
    /// beyond the end.
    pub(crate) async fn get(&self, range: Range<u64>, pinned: Option<&Meta>) -> Result<Answer> {
        // That the answer must not be compressed is said by the transport, after signing: proxies change that field.
        let mut request = self.request(Method::GET, None);
        range::ask(&mut request.headers, &range, pinned);
        extend(&mut request.headers, &self.inner.connection.endpoint.settings.read_headers);
        let len = range.end.saturating_sub(range.start);
        let purpose = Purpose { doing: "reading", most: len.max(MAX_WHOLE), data: true, lost: None };
        let judge = |response: Response, _| range::judge(&response, self.dialect(), self.shown(), &range);
        let answer = self.send(&request, &purpose, judge).await;
        answer.map_err(|error| match pinned {
            // A store that does not look at If-Match says of what has become smaller that the range lies beyond its end.
            Some(pinned) if error.kind() == ErrorKind::Format && range.end <= pinned.size => {
                Error::changed(format!(
                    "{} changed while it was read: it had {} bytes, and now has fewer than {}",
                    self.shown(),
                    pinned.size,
                    range.end
                ))
            }
            _ => error,
        })
    }

    /// What there is; `None` when there is nothing.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] when that could not be found out, or may not be: S3 answers 403 for what does not exist, when
    /// listing is not allowed, and then the error [says](Error::is_absent) so.
    pub(crate) async fn head(&self) -> Result<Option<Meta>> {
        match self.look().await? {
            Look::There(meta, _) => Ok(Some(meta)),
            Look::Nothing => Ok(None),
            Look::Denied(error) => Err(error),
        }
    }

    /// What a HEAD finds. A web server is asked for the first byte instead: a signed URL is signed for GET.
    pub(crate) async fn look(&self) -> Result<Look> {
        if self.dialect() == Dialect::Web {
            return match self.get(0..1, None).await {
                Ok(answer) => Ok(Look::There(answer.meta, HeaderMap::new())),
                Err(error) if error.is_absent() => Ok(Look::Nothing),
                Err(error) => Err(error),
            };
        }
        let mut request = self.request(Method::HEAD, None);
        extend(&mut request.headers, &self.inner.connection.endpoint.settings.read_headers);
        let judge = |response: Response, _| match response.status {
            200 => match size(&response.headers) {
                Some(size) => {
                    Verdict::Done(Look::There(range::meta(&response.headers, size), response.headers))
                }
                None => Verdict::Never(Error::io(format!(
                    "{}: the server does not say how large the object is",
                    self.shown()
                ))),
            },
            status => {
                let failure = Failure::of(&response);
                match failure.verdict(self.dialect(), self.shown(), "reading") {
                    Verdict::Never(_) if status == 404 => Verdict::Done(Look::Nothing),
                    Verdict::Never(error) if matches!(status, 401 | 403) => {
                        Verdict::Done(Look::Denied(error))
                    }
                    // The answer to a HEAD has no body to say that a session is over.
                    Verdict::Never(error) if status == 400 && self.dialect() == Dialect::S3 => {
                        Verdict::Renew(error)
                    }
                    verdict @ (Verdict::Done(_)
                    | Verdict::Again(..)
                    | Verdict::Renew(_)
                    | Verdict::Never(_)) => verdict,
                }
            }
        };
        self.send(&request, &Purpose::to("reading"), judge).await
    }

    /// Deletes it. That there is none is no error.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] when that was refused, or could not be done after all retries.
    pub(crate) async fn delete(&self) -> Result<()> {
        self.delete_if(&HeaderMap::new()).await.map(|_| ())
    }

    /// Deletes it if `conditions` hold, and says whether it did.
    pub(crate) async fn delete_if(&self, conditions: &HeaderMap) -> Result<bool> {
        let mut request = self.request(Method::DELETE, None);
        extend(&mut request.headers, conditions);
        self.send(&request, &Purpose::to("deleting"), |response, _| match response.status {
            200 | 202 | 204 | 404 => Verdict::Done(true),
            409 | 412 | 501 if !conditions.is_empty() => Verdict::Done(false),
            _ => Failure::of(&response).verdict(self.dialect(), self.shown(), "deleting"),
        })
        .await
    }

    /// A request without a body for it, with a query that is percent-encoded.
    pub(crate) fn request(&self, method: Method, query: Option<&str>) -> Request {
        let mut url = self.inner.url.clone();
        if let Some(query) = query {
            let own = url.query().filter(|own| !own.is_empty()).map(|own| format!("{own}&{query}"));
            url.set_query(Some(own.as_deref().unwrap_or(query)));
        }
        Request { method, url, headers: HeaderMap::new(), body: Vec::new(), sha256: None }
    }

    /// Sends `request` until `judge` is content with the answer.
    pub(crate) async fn send<T>(
        &self,
        request: &Request,
        purpose: &Purpose<'_>,
        judge: impl Fn(Response, Tried) -> Verdict<T>,
    ) -> Result<T> {
        let Inner { shown, connection, tally, hedge, redirects, .. } = &*self.inner;
        let call = Call {
            shown,
            doing: purpose.doing,
            request,
            auth: &connection.endpoint.auth,
            most: purpose.most,
            tally,
            counted: purpose.data,
            hedge: *hedge && purpose.data,
            redirects: *redirects,
            lost: purpose.lost,
        };
        // On the heap: it would be the larger part of every future above it.
        Box::pin(connection.transport.call(call, judge)).await
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.inner.dialect
    }

    /// Its location for messages.
    pub(crate) fn shown(&self) -> &str {
        &self.inner.shown
    }

    pub(crate) fn settings(&self) -> &super::endpoint::Settings {
        &self.endpoint().settings
    }

    /// Where its bucket is, and what its requests carry.
    pub(super) fn endpoint(&self) -> &super::endpoint::Endpoint {
        &self.inner.connection.endpoint
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object").field("shown", &self.inner.shown).finish_non_exhaustive()
    }
}

/// The URL of an object of the bucket at `base`.
fn at(base: &Url, key: &str) -> Url {
    let mut url = base.clone();
    let base = url.path().trim_end_matches('/').to_owned();
    url.set_path(&format!("{base}/{}", encode_key(key)));
    url
}

/// Adds the fields of `more`, each in place of one of its name.
pub(crate) fn extend(headers: &mut HeaderMap, more: &HeaderMap) {
    for (name, value) in more {
        headers.insert(name.clone(), value.clone());
    }
}

/// Adds a field of our own making: hexadecimal, base64, a number.
pub(crate) fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// The size that the answer to a HEAD names.
fn size(headers: &HeaderMap) -> Option<u64> {
    field(headers, &CONTENT_LENGTH)?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redirects(uri: &str, allow: Option<&str>) -> Redirects {
        let allow = allow.map(|value| ("allow_redirects", value));
        opened(uri, allow).inner.redirects
    }

    fn opened(uri: &str, more: Option<(&str, &str)>) -> Object {
        let pairs = [
            ("aws_region", "us-east-1"),
            ("aws_skip_signature", "true"),
            ("aws_endpoint", "http://127.0.0.1:9"),
        ];
        let pairs = pairs.into_iter().chain(more).map(|(key, value)| (key.to_owned(), value.to_owned()));
        let options = StoreOptions { pairs: pairs.collect(), ..StoreOptions::default() };
        Object::open(&Location::parse(uri).unwrap(), uri, &options, Arc::default()).unwrap()
    }

    // What the check of all options takes for true is true where it counts.
    #[test]
    fn flags_are_understood_as_they_are_checked() {
        for value in ["true", "1", "on", "yes", "y", " Y "] {
            for name in ["allow_redirects", "Allow_Redirects ", " allow_redirects"] {
                let object = opened("http://127.0.0.1:9/a", Some((name, value)));
                assert_eq!(object.inner.redirects, Redirects::Anywhere, "{name:?} {value:?}");
            }
            for name in ["contiguous_parts", "contiguous_parts "] {
                assert!(opened("s3://b/k", Some((name, value))).inner.contiguous, "{name:?} {value:?}");
            }
        }
        assert!(!opened("s3://b/k", Some(("contiguous_parts", "n"))).inner.contiguous);
    }

    #[test]
    fn redirects_are_for_the_web_and_leave_the_host_on_request() {
        assert!(matches!(redirects("http://127.0.0.1:9/a", None), Redirects::SameHost));
        assert!(matches!(redirects("http://127.0.0.1:9/a", Some("false")), Redirects::SameHost));
        assert!(matches!(redirects("http://127.0.0.1:9/a", Some("true")), Redirects::Anywhere));
        assert!(matches!(redirects("s3://b/k", Some("true")), Redirects::No));
        let error = Object::open(&Location::Local("a".into()), "a", &StoreOptions::default(), Arc::default());
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Usage);
    }
}
