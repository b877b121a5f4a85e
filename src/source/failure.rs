//! What an error of object_store means, without what it must not show.
//!
//! Its texts hold URLs (with signatures, for Azure's SAS) and the server's own words (S3 answers a wrong signature
//! with the access key and the string that was signed), so that only the status and the error code are taken over.

use std::error::Error as StdError;

use object_store::client::{HttpError, HttpErrorKind};

use crate::error::Error;
use crate::store::location::redact;

/// Why a request to an object store failed, after its retries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// There is no such object, or bucket.
    NotFound(String),
    /// The credentials do not suffice, or are not valid.
    Denied(String),
    /// A condition did not hold.
    Precondition,
    /// The object exists, and should not.
    Exists,
    /// Nothing of the range exists (416).
    Unsatisfiable,
    /// A range was answered with the whole.
    NotPartial,
    /// Anything else.
    Other(String),
}

/// What `error` means.
pub(crate) fn classify(error: &object_store::Error) -> Failure {
    use object_store::Error as E;
    let text = deepest_text(error);
    let status = status_and_code(&error.to_string());
    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum of another crate, which may grow")]
    match error {
        E::NotFound { .. } => Failure::NotFound(status.unwrap_or_else(|| "404 Not Found".into())),
        E::PermissionDenied { .. } | E::Unauthenticated { .. } => {
            Failure::Denied(status.unwrap_or_else(|| "401 or 403".into()))
        }
        E::Precondition { .. } | E::NotModified { .. } => Failure::Precondition,
        E::AlreadyExists { .. } => Failure::Exists,
        _ => match status {
            Some(status) if status.starts_with("416") => Failure::Unsatisfiable,
            Some(status) => Failure::Other(format!("the server answers {status}")),
            None if text.contains("non-partial response") => Failure::NotPartial,
            None => Failure::Other(text),
        },
    }
}

impl Failure {
    /// The error for `shown`, met while `doing` ("reading", "writing").
    pub(crate) fn into_error(self, shown: &str, doing: &str) -> Error {
        match self {
            Self::NotFound(status) => Error::io(format!("{shown}: not found ({status})")).absent(),
            Self::Denied(status) => Error::io(format!(
                "{shown}: access is denied while {doing} ({status}); check the credentials, \
                 from the environment or --store-option"
            ))
            .absent(),
            Self::Precondition => {
                Error::changed(format!("{shown} changed while it was read: it no longer has the ETag it had"))
            }
            Self::Exists => exists(shown),
            Self::Unsatisfiable => Error::io(format!("{shown}: {doing} failed: the server answers 416")),
            Self::NotPartial => Error::io(format!(
                "{shown}: the server sends the whole object instead of the range that was asked for; \
                 it does not support ranges"
            )),
            Self::Other(what) => Error::io(format!("{shown}: {doing} failed: {what}")),
        }
    }
}

/// What is said when the destination exists.
pub(crate) fn exists(shown: &str) -> Error {
    Error::exists(format!("{shown} exists; allow overwriting, or choose another name"))
}

/// Status and error code of an answer, as in `403 Forbidden, SignatureDoesNotMatch`.
fn status_and_code(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("non-2xx status code: ")?;
    let status: String =
        rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-')).collect();
    let code =
        rest.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map(|(code, _)| code);
    let plain = |code: &&str| code.len() < 80 && code.chars().all(|c| c.is_ascii_alphanumeric());
    Some(match code.filter(plain) {
        Some(code) => format!("{}, {code}", status.trim()),
        None => status.trim().to_owned(),
    })
}

/// The words of the last cause, and what kind of failure of HTTP it is.
fn deepest_text(error: &(dyn StdError + 'static)) -> String {
    let mut kind = None;
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
        if let Some(http) = last.downcast_ref::<HttpError>() {
            kind = Some(http.kind());
        }
    }
    let text = scrub(&last.to_string());
    let led = match kind {
        Some(HttpErrorKind::Connect) => "the connection failed",
        Some(HttpErrorKind::Timeout) => "the server went silent",
        Some(HttpErrorKind::Request | HttpErrorKind::Interrupted) => "the connection broke",
        _ => return text,
    };
    format!("{led}: {text}")
}

/// `text` without the query strings of URLs and without what looks like a document.
pub(crate) fn scrub(text: &str) -> String {
    let text = text.split('<').next().unwrap_or_default();
    let words: Vec<_> = text
        .split_whitespace()
        .map(|word| if word.contains("://") { redact_inside(word) } else { word.to_owned() })
        .collect();
    words.join(" ")
}

/// `redact` for a URL that quotes or brackets may surround.
fn redact_inside(word: &str) -> String {
    let start = word.find(|c: char| c.is_ascii_alphabetic()).unwrap_or_default();
    let (before, url) = word.split_at(start);
    format!("{before}{}", redact(url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_status_and_code_are_taken_over() {
        let text = "Error performing GET https://b.s3/k?X-Amz-Signature=SECRET in 1ms - \
                    Server returned non-2xx status code: 403 Forbidden: \
                    <Error><Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>SECRET</AWSAccessKeyId>";
        assert_eq!(status_and_code(text).as_deref(), Some("403 Forbidden, SignatureDoesNotMatch"));
        assert!(!scrub(text).contains("SECRET"), "{}", scrub(text));
        assert_eq!(scrub("at (https://h/a?sig=x) now"), "at (https://h/a now");
        assert_eq!(status_and_code("no status"), None);
    }
}
