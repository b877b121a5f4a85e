//! What Lambda is told of what failed: a kind that Step Functions can match, and a message.

use serde_json::{Value, json};

use crate::error::{Error, ErrorKind};

/// Characters of a message, at most.
const MESSAGE: usize = 2000;

/// What failed, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// `errorType`: the name of an [`ErrorKind`], `deadline` or `unknown`.
    pub(super) kind: &'static str,
    /// With causes, without anything secret.
    pub(super) message: String,
}

impl Failure {
    /// Time ran out; nothing was published.
    pub(super) fn deadline(message: impl Into<String>) -> Self {
        Self { kind: "deadline", message: message.into() }
    }

    /// Time ran out while the output was being published.
    pub(super) fn unknown() -> Self {
        let message = "time ran out while the output was being published: whether it is there is not known; the same job \
                       again finds out";
        Self { kind: "unknown", message: message.to_owned() }
    }

    /// The body of Lambda's error.
    pub(super) fn to_json(&self) -> Value {
        json!({ "errorType": self.kind, "errorMessage": self.message, "stackTrace": [] })
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = error.with_causes().chars().take(MESSAGE).collect();
        Self { kind: ErrorKind::name(error.kind()), message }
    }
}
