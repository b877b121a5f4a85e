//! One request to a store, its answer, and what that is worth.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::HeaderMap;
use url::Url;

use crate::error::Error;

/// A request as its dialect makes it: not yet signed. Content-Length is the transport's, Host the client's.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Percent-encoded as it is to be sent and signed.
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    /// The body in pieces, not copied together.
    pub(crate) body: Vec<Bytes>,
    /// SHA-256 of the body, when somebody has it already: a signature may need it.
    pub(crate) sha256: Option<[u8; 32]>,
}

/// A whole answer.
#[derive(Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Whether there was more of the body than was to be taken.
    pub(crate) cut: bool,
}

/// What is known of the earlier tries of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tried {
    /// Tries so far, this one included: 1 for the first.
    pub(crate) tries: u32,
    /// Whether one of the earlier tries may have been carried out without our knowing: its answer was lost, or the server
    /// failed (5xx) while it was at it.
    pub(crate) unknown: bool,
}

/// What an answer is worth.
pub(crate) enum Verdict<T> {
    /// It is the answer.
    Done(T),
    /// Another try may succeed, after what the server asked for (Retry-After).
    Again(Error, Option<Duration>),
    /// The credentials are no longer taken: another try with new ones may succeed.
    Renew(Error),
    /// Another try would fail too.
    Never(Error),
}
