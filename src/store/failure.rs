//! What an answer that is none means, in our own words.
//!
//! Of the server's words only the status and a short error code are taken over: the rest may hold the access key and the
//! string that was signed (S3's SignatureDoesNotMatch does), or anything else.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use reqwest::StatusCode;
use serde::Deserialize;

use super::dialect::Dialect;
use super::request::{Response, Verdict};
use super::xml::Document;
use crate::error::Error;

/// Bytes of a body in which an error code is looked for.
const MAX_BODY: usize = 64 << 10;

/// Letters of an error code; the longest of the three stores has 46.
const MAX_CODE: usize = 64;

/// Letters of a region's name.
const MAX_REGION: usize = 32;

/// What a server says when it does not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) status: u16,
    /// The store's error code, such as `NoSuchKey`.
    pub(crate) code: Option<String>,
    /// The region in which the bucket is.
    region: Option<String>,
}

#[derive(Deserialize)]
struct Json {
    error: JsonError,
}

#[derive(Deserialize)]
struct JsonError {
    #[serde(default)]
    errors: Vec<JsonReason>,
}

#[derive(Deserialize)]
struct JsonReason {
    reason: Option<String>,
}

impl Failure {
    /// What `response` says.
    pub(crate) fn of(response: &Response) -> Self {
        let field = |name| response.headers.get(name).and_then(|value| value.to_str().ok());
        let body = response.body.get(..response.body.len().min(MAX_BODY)).unwrap_or_default();
        let document = Document::parse(body).filter(|document| document.root() == "Error");
        let said = |name| document.as_ref().and_then(|document| document.text(name));
        let code = [field("x-ms-error-code"), said("Code")].into_iter().flatten().find_map(code);
        let region = [field("x-amz-bucket-region"), said("Region")].into_iter().flatten().find_map(region);
        Self { status: response.status, code: code.or_else(|| json_code(body)), region }
    }

    /// Whether the error code is one of `codes`.
    pub(crate) fn is(&self, codes: &[&str]) -> bool {
        self.code.as_deref().is_some_and(|code| codes.contains(&code))
    }

    /// Whether it says that the store cannot do what was asked. Google answers 400 where others answer 501.
    pub(crate) fn is_not_implemented(&self) -> bool {
        self.status == 501 || self.is(&["NotImplemented"])
    }

    /// Whether it says that the object exists, in answer to a write on the condition that it does not.
    pub(crate) fn is_existing(&self) -> bool {
        // Azure's 409 has many reasons, and S3's means that another try is in order.
        self.status == 412
            // The last is said to a SAS that may create and not write.
            || self.is(&["BlobAlreadyExists", "PreconditionFailed", "UnauthorizedBlobOverwrite"])
    }

    /// Whether it says that a multipart upload is no more: completed before, or aborted.
    pub(crate) fn is_gone(&self) -> bool {
        self.status == 404 || self.is(&["NoSuchUpload", "InvalidBlockList"])
    }

    /// Status and code, as in `403 Forbidden, SignatureDoesNotMatch`.
    pub(crate) fn named(&self) -> String {
        let reason = StatusCode::from_u16(self.status).ok().and_then(|status| status.canonical_reason());
        let mut text = self.status.to_string();
        for (separator, word) in [(" ", reason), (", ", self.code.as_deref())] {
            if let Some(word) = word {
                text.push_str(separator);
                text.push_str(word);
            }
        }
        text
    }

    /// The error of an answer about `shown`, met while `doing` ("reading", "writing").
    pub(crate) fn error(&self, dialect: Dialect, shown: &str, doing: &str) -> Error {
        let named = self.named();
        let absent = |error: Error| if doing == "reading" { error.absent() } else { error };
        if let Some(region) = self.region.as_deref().filter(|_| self.is_elsewhere()) {
            return Error::io(format!(
                "{shown}: {doing} failed: the bucket is in another region ({named}); use --store-option region={region}"
            ));
        }
        if self.is(&["RequestTimeTooSkewed"]) {
            return Error::io(format!(
                "{shown}: {doing} failed: the clock of this machine is wrong ({named}); set it, and run again"
            ));
        }
        if self.is(&["InvalidObjectState", "BlobArchived", "BlobBeingRehydrated"]) {
            return Error::io(format!(
                "{shown}: {doing} failed: the object is archived ({named}); restore it first, and run again"
            ));
        }
        match self.status {
            301 | 302 | 307 | 308 => Error::io(format!(
                "{shown}: {doing} failed: the server leads elsewhere ({named}); give the region or the endpoint"
            )),
            401 | 403 if dialect == Dialect::Web => absent(Error::io(format!(
                "{shown}: access is denied ({named}); check the credentials, or whether the signed URL has expired"
            ))),
            401 | 403 => absent(Error::io(format!(
                "{shown}: access is denied while {doing} ({named}); check the credentials, \
                 from the environment or --store-option"
            ))),
            404 if self.is(&["NoSuchBucket", "ContainerNotFound"]) => {
                absent(Error::io(format!("{shown}: the bucket does not exist ({named})")))
            }
            404 | 410 => absent(Error::io(format!("{shown}: not found ({named})"))),
            412 if doing == "reading" => {
                Error::changed(format!("{shown} changed while it was read: it no longer has the ETag it had"))
            }
            412 => {
                Error::io(format!("{shown}: {doing} failed: a condition of the store did not hold ({named})"))
            }
            _ if self.is_damaged() => {
                Error::io(format!("{shown}: {doing} failed: the bytes were damaged on their way ({named})"))
            }
            _ => Error::io(format!("{shown}: {doing} failed: the server answers {named}")),
        }
    }

    /// What is to be done about it.
    pub(crate) fn verdict<T>(&self, dialect: Dialect, shown: &str, doing: &str) -> Verdict<T> {
        let error = self.error(dialect, shown, doing);
        if self.is_expired(dialect) {
            Verdict::Renew(error)
        } else if self.is_transient() {
            // Retry-After is read by the transport.
            Verdict::Again(error, None)
        } else {
            Verdict::Never(error)
        }
    }

    fn is_elsewhere(&self) -> bool {
        matches!(self.status, 301 | 302 | 307 | 308)
            || self.is(&[
                "PermanentRedirect",
                "TemporaryRedirect",
                "AuthorizationHeaderMalformed",
                "IllegalLocationConstraintException",
            ])
            // A HEAD has no body to say why.
            || (self.status == 400 && self.code.is_none())
    }

    fn is_damaged(&self) -> bool {
        self.is(&["BadDigest", "Md5Mismatch", "XAmzContentSHA256Mismatch", "IncompleteBody"])
    }

    /// Whether the next try may succeed.
    fn is_transient(&self) -> bool {
        matches!(self.status, 408 | 429 | 500 | 502 | 503 | 504)
            || self.is_damaged()
            || self.is(&[
                "ConditionalRequestConflict",
                "InternalError",
                "OperationAborted",
                "OperationTimedOut",
                "RequestTimeout",
                "ServerBusy",
                "ServiceUnavailable",
                "SlowDown",
            ])
    }

    /// Whether new credentials may help.
    fn is_expired(&self, dialect: Dialect) -> bool {
        match dialect {
            Dialect::S3 => self.is(&["ExpiredToken", "TokenRefreshRequired", "ExpiredTokenException"]),
            Dialect::Google => self.status == 401,
            Dialect::Azure => {
                self.status == 401 || (self.status == 403 && self.is(&["AuthenticationFailed"]))
            }
            Dialect::Web => false,
        }
    }
}

/// An error code, unless it is too long or too odd to be one. One without lower-case letters may be a key's name.
fn code(text: &str) -> Option<String> {
    let is_code = text.len() <= MAX_CODE
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && text.bytes().any(|byte| byte.is_ascii_lowercase());
    is_code.then(|| text.to_owned())
}

fn region(text: &str) -> Option<String> {
    let is_region = (1..=MAX_REGION).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    is_region.then(|| text.to_owned())
}

/// The reason in an error of Google's JSON API.
fn json_code(body: &[u8]) -> Option<String> {
    let Json { error: JsonError { errors } } = serde_json::from_slice(body).ok()?;
    errors.iter().find_map(|error| code(error.reason.as_deref()?))
}

/// What is said when the destination exists.
pub(crate) fn exists(shown: &str) -> Error {
    Error::exists(format!("{shown} exists; allow overwriting, or choose another name"))
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

    use super::*;
    use crate::error::ErrorKind;

    fn response(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Response {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        Response { status, headers, body: body.to_owned().into(), cut: false }
    }

    fn xml(code: &str) -> String {
        format!(
            "<Error><Code>{code}</Code><Message>SECRET</Message><AWSAccessKeyId>SECRET</AWSAccessKeyId></Error>"
        )
    }

    /// `again`, `renew` or `never`, the error's kind, and its text.
    fn judged(dialect: Dialect, response: &Response, doing: &str) -> (&'static str, Error) {
        match Failure::of(response).verdict::<()>(dialect, "x://b/k", doing) {
            Verdict::Done(()) => panic!("a failure is no answer"),
            Verdict::Again(error, _) => ("again", error),
            Verdict::Renew(error) => ("renew", error),
            Verdict::Never(error) => ("never", error),
        }
    }

    #[track_caller]
    fn check(dialect: Dialect, status: u16, said: &str, verdict: &str, text: &str) {
        let response = response(status, &[], &if said.is_empty() { String::new() } else { xml(said) });
        let (got, error) = judged(dialect, &response, "reading");
        assert_eq!(got, verdict, "{status} {said}: {error}");
        let shown = error.to_string();
        assert!(shown.contains(text) && !shown.contains("SECRET"), "{status} {said}: {shown}");
    }

    #[test]
    fn table() {
        use Dialect::{Azure, Google, S3, Web};
        for dialect in [S3, Google, Azure, Web] {
            for status in [408, 429, 500, 502, 503, 504] {
                check(dialect, status, "", "again", "reading failed: the server answers");
            }
            check(dialect, 404, "", "never", "x://b/k: not found (404 Not Found)");
            check(dialect, 410, "", "never", "x://b/k: not found (410 Gone)");
            check(dialect, 403, "", "never", "access is denied");
            check(dialect, 412, "", "never", "changed while it was read");
            check(dialect, 501, "", "never", "501 Not Implemented");
            check(dialect, 599, "", "never", "the server answers 599");
        }
        check(S3, 404, "NoSuchBucket", "never", "the bucket does not exist (404 Not Found, NoSuchBucket)");
        check(S3, 403, "SignatureDoesNotMatch", "never", "(403 Forbidden, SignatureDoesNotMatch)");
        check(S3, 400, "RequestTimeout", "again", "400 Bad Request, RequestTimeout");
        check(S3, 409, "ConditionalRequestConflict", "again", "409 Conflict");
        check(S3, 409, "OperationAborted", "again", "409 Conflict");
        check(S3, 400, "BadDigest", "again", "damaged on their way");
        check(Azure, 400, "Md5Mismatch", "again", "damaged on their way");
        check(S3, 200, "InternalError", "again", "200 OK, InternalError");
        check(S3, 200, "SlowDown", "again", "200 OK, SlowDown");
        for (status, code) in [(400, "ExpiredToken"), (403, "ExpiredToken"), (400, "TokenRefreshRequired")] {
            check(S3, status, code, "renew", code);
        }
        check(S3, 401, "", "never", "access is denied");
        check(Google, 401, "", "renew", "access is denied");
        check(Google, 403, "ExpiredToken", "never", "access is denied");
        check(Azure, 401, "", "renew", "access is denied");
        check(Azure, 403, "AuthenticationFailed", "renew", "AuthenticationFailed");
        check(Azure, 403, "AuthorizationFailure", "never", "access is denied");
        check(Web, 401, "", "never", "whether the signed URL has expired");
        check(S3, 403, "RequestTimeTooSkewed", "never", "the clock of this machine is wrong");
        check(S3, 403, "InvalidObjectState", "never", "the object is archived");
        check(Azure, 409, "BlobArchived", "never", "restore it first");
        check(S3, 301, "PermanentRedirect", "never", "give the region or the endpoint");
        // Codes that are too odd to be shown, or may be a key's name.
        for code in ["AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG", "a b", "ä", "7a", &"a".repeat(65)] {
            check(S3, 400, code, "never", "the server answers 400 Bad Request");
            let response = response(400, &[], &xml(code));
            assert!(!judged(S3, &response, "reading").1.to_string().contains(code));
        }
    }

    #[test]
    fn absence_is_known_while_reading_only() {
        for status in [401, 403, 404, 410] {
            assert!(judged(Dialect::S3, &response(status, &[], ""), "reading").1.is_absent());
            assert!(!judged(Dialect::S3, &response(status, &[], ""), "writing").1.is_absent());
        }
        assert!(!judged(Dialect::S3, &response(500, &[], ""), "reading").1.is_absent());
        assert_eq!(judged(Dialect::S3, &response(412, &[], ""), "reading").1.kind(), ErrorKind::Changed);
        assert_eq!(judged(Dialect::S3, &response(412, &[], ""), "writing").1.kind(), ErrorKind::Io);
    }

    #[test]
    fn the_region_is_named() {
        let region = &[("x-amz-bucket-region", "eu-central-1")];
        for response in [
            response(301, region, &xml("PermanentRedirect")),
            response(307, region, ""),
            response(301, region, ""),
            response(400, region, &xml("AuthorizationHeaderMalformed")),
            response(400, region, ""),
            response(
                400,
                &[],
                "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-central-1</Region></Error>",
            ),
        ] {
            let (verdict, error) = judged(Dialect::S3, &response, "reading");
            assert_eq!(verdict, "never");
            assert!(error.to_string().ends_with("use --store-option region=eu-central-1"), "{error}");
        }
        for odd in ["", "eu central", "EU", "a\u{e9}", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"] {
            assert_eq!(super::region(odd), None);
        }
        // Every answer of S3 has the field: it means something only where the region is what is wrong.
        let error = judged(Dialect::S3, &response(403, region, &xml("AccessDenied")), "reading").1;
        assert!(!error.to_string().contains("region"), "{error}");
    }

    #[test]
    fn codes_come_from_where_each_store_says_them() {
        let of = |headers: &[_], body: &str| Failure::of(&response(400, headers, body)).code;
        assert_eq!(of(&[("x-ms-error-code", "BlobNotFound")], ""), Some("BlobNotFound".into()));
        let json = "{\"error\":{\"code\":400,\"message\":\"SECRET\",\"errors\":[{\"reason\":\"notFound\"}]}}";
        assert_eq!(of(&[], json), Some("notFound".into()));
        let nested = format!("{}{}", "{\"error\":".repeat(10_000), "}".repeat(10_000));
        for body in ["{\"error\":\"invalid_grant\"}", "{}", &nested, "<html><Code>Html</Code></html>"] {
            assert_eq!(of(&[], body), None);
        }
        assert_eq!(of(&[], &format!("<Error><Code>Far</Code>{}</Error>", " ".repeat(MAX_BODY))), None);
    }
}
