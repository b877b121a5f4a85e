//! What is answered instead of a report: a status for whoever speaks HTTP, and the error as the command line would have had it.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Told;
use crate::error::{Error, ErrorKind};

/// What is answered instead of a report.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    body: Value,
    headers: Vec<(HeaderName, &'static str)>,
}

/// The kinds of errors of the service itself, beside those of [`ErrorKind::name`].
pub(super) const KINDS: [&str; 7] =
    ["forbidden", "unauthorized", "not_found", "method", "busy", "timeout", "stopping"];

impl Refusal {
    fn new(status: StatusCode, exit_code: u8, kind: &str, text: &str) -> Self {
        let body = json!({ "exit_code": exit_code, "kind": kind, "error": text });
        Self { status, body, headers: Vec::new() }
    }

    fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// There is no such path.
    pub(super) fn path() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            2,
            "not_found",
            "there is nothing at this path; /openapi.json says what there is",
        )
    }

    /// Not by this method. (The header Allow is the router's.)
    pub(super) fn method() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            2,
            "method",
            "this path does not take this method; /openapi.json says which",
        )
    }

    /// Nobody who may ask.
    pub(super) fn unauthorized() -> Self {
        let text = "a token is needed: the header Authorization with Bearer and the service's token";
        Self::new(StatusCode::UNAUTHORIZED, 2, "unauthorized", text).with(header::WWW_AUTHENTICATE, "Bearer")
    }

    /// A name that is not this machine's.
    pub(super) fn stranger() -> Self {
        let text = "without a token this service is for its own machine: name it by its address or as localhost (the header Host)";
        Self::new(StatusCode::FORBIDDEN, 2, "forbidden", text)
    }

    /// A job that is not JSON by what is said of it.
    pub(super) fn media_type() -> Self {
        let text = "a job is a JSON object: send it with Content-Type: application/json";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, 2, "usage", text)
    }

    /// A body that is none.
    pub(super) fn body(text: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, 2, "usage", text)
    }

    /// A body that is too long.
    pub(super) fn too_long(most: usize) -> Self {
        let text = format!("the body is longer than {most} bytes; give the cutline as a URL");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, 6, "limit", &text)
    }

    /// A body that does not come.
    pub(super) fn slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, 5, "timeout", "the body of the request took too long to come")
            .with(header::CONNECTION, "close")
    }

    /// No place left.
    pub(super) fn busy() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, 5, "busy", "all places are taken; try again later")
            .with(header::RETRY_AFTER, "1")
    }

    /// Told to stop.
    pub(super) fn stopping() -> Self {
        let text = "the service is stopping; nothing was published; try again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, 5, "stopping", text)
            .with(header::RETRY_AFTER, "1")
            .with(header::CONNECTION, "close")
    }

    /// Took too long.
    pub(super) fn timeout() -> Self {
        let text = "the job took longer than --request-timeout; nothing was published";
        Self::new(StatusCode::GATEWAY_TIMEOUT, 5, "timeout", text)
    }

    /// Took too long while it was being published.
    pub(super) fn unknown() -> Self {
        let text = "the job took longer than it may; whether the output was published is not known: look whether it is there";
        Self::new(StatusCode::GATEWAY_TIMEOUT, 5, "timeout", text)
    }

    /// A job that broke the program's own rules.
    pub(super) fn broken() -> Self {
        let text = "the service has a fault, which its log tells of; nothing was published";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, 5, "io", text)
    }

    /// With the same for the log, and what else is to be said there.
    pub(super) fn logged(self, mut told: Told) -> Response {
        for name in ["kind", "error"] {
            told.0.insert(name.to_owned(), self.body[name].clone());
        }
        let mut response = self.into_response();
        response.extensions_mut().insert(told);
        response
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let mut body = error.to_json();
        let status = match error.kind() {
            _ if error.is_forbidden() => {
                body["kind"] = "forbidden".into();
                StatusCode::FORBIDDEN
            }
            _ if error.is_absent() => StatusCode::NOT_FOUND,
            ErrorKind::Usage => StatusCode::BAD_REQUEST,
            // What was named is there, and is not what a clip can be made of.
            ErrorKind::Format | ErrorKind::Unsupported | ErrorKind::Limit | ErrorKind::NoOverlap => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            ErrorKind::Changed | ErrorKind::Exists => StatusCode::CONFLICT,
            ErrorKind::Io => StatusCode::BAD_GATEWAY,
        };
        Self { status, body, headers: Vec::new() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(self.body)).into_response();
        for (name, value) in self.headers {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_status() {
        for (error, status, kind) in [
            (Error::usage(""), 400, "usage"),
            (Error::usage("").forbidden(), 403, "forbidden"),
            (Error::io("").absent(), 404, "io"),
            (Error::exists(""), 409, "exists"),
            (Error::changed(""), 409, "changed"),
            (Error::format(""), 422, "format"),
            (Error::unsupported(""), 422, "unsupported"),
            (Error::no_overlap(""), 422, "no_overlap"),
            (Error::limit(""), 422, "limit"),
            (Error::io(""), 502, "io"),
        ] {
            let exit_code = error.kind().exit_code();
            let refusal = Refusal::from(error);
            assert_eq!((refusal.status.as_u16(), &refusal.body["kind"]), (status, &json!(kind)));
            assert_eq!(refusal.body["exit_code"], exit_code);
        }
    }
}
