//! The one error type: what went wrong, where, and whose fault it is.

use std::fmt;

/// Whose fault an [`Error`] is. Callers branch on this; the command line turns it into its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request contradicts itself, or something must be said first (exit code 2).
    Usage,
    /// The bytes break their own format (exit code 3).
    Format,
    /// The bytes are valid, but use a feature that cogclip does not read (exit code 4).
    Unsupported,
    /// Reading or writing failed, after all retries (exit code 5).
    Io,
    /// A bound of [`crate::Limits`] would be exceeded (exit code 6).
    Limit,
    /// The source changed while it was read (exit code 7).
    Changed,
    /// The cutline and the raster do not overlap (exit code 8).
    NoOverlap,
    /// The destination exists and may not be replaced (exit code 9).
    Exists,
}

impl ErrorKind {
    /// The exit code of a command that failed so, from 2 to 9.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::Format => 3,
            Self::Unsupported => 4,
            Self::Io => 5,
            Self::Limit => 6,
            Self::Changed => 7,
            Self::NoOverlap => 8,
            Self::Exists => 9,
        }
    }

    /// The kind as programs read it: `usage`, `no_overlap`, …
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Format => "format",
            Self::Unsupported => "unsupported",
            Self::Io => "io",
            Self::Limit => "limit",
            Self::Changed => "changed",
            Self::NoOverlap => "no_overlap",
            Self::Exists => "exists",
        }
    }
}

/// What went wrong: one sentence that says what was found, where, and what to do.
///
/// `Display` prints this level only; [`std::error::Error::source`] is the next one.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    nuance: Nuance,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What else is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nuance {
    None,
    /// It says that there is nothing at a location, or nothing that may be seen.
    Absent,
    /// It says that somebody else would have to allow it.
    Forbidden,
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:ident;)*) => {
        $($(#[$doc])* pub fn $name(message: impl Into<String>) -> Self {
            Self { kind: ErrorKind::$kind, message: message.into(), nuance: Nuance::None, source: None }
        })*
    };
}

impl Error {
    constructors! {
        /// An [`ErrorKind::Usage`] error.
        usage => Usage;
        /// An [`ErrorKind::Format`] error.
        format => Format;
        /// An [`ErrorKind::Unsupported`] error.
        unsupported => Unsupported;
        /// An [`ErrorKind::Io`] error.
        io => Io;
        /// An [`ErrorKind::Limit`] error.
        limit => Limit;
        /// An [`ErrorKind::Changed`] error.
        changed => Changed;
        /// An [`ErrorKind::NoOverlap`] error.
        no_overlap => NoOverlap;
        /// An [`ErrorKind::Exists`] error.
        exists => Exists;
    }

    /// The same error with `source` as its cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same error, its message led by the place where it was found: `at("tile 3,4")` gives
    /// `tile 3,4: ...`.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// The same error, its message followed by what else is to be said.
    #[must_use]
    #[cfg_attr(not(feature = "cloud"), expect(dead_code, reason = "only stores have more to say"))]
    pub(crate) fn and(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{}, {what}", self.message);
        self
    }

    /// The same error, known to mean that there is nothing at a location, or nothing that may be seen.
    #[must_use]
    pub(crate) fn absent(mut self) -> Self {
        self.nuance = Nuance::Absent;
        self
    }

    /// Whether there is nothing at a location, or nothing that may be seen: some stores say of what is not there that access
    /// to it is denied.
    #[must_use]
    pub(crate) fn is_absent(&self) -> bool {
        self.nuance == Nuance::Absent
    }

    /// The same error, known to mean that whoever runs the program would have to allow what was asked for.
    #[must_use]
    #[cfg_attr(not(feature = "cloud"), expect(dead_code, reason = "only hosts can be forbidden"))]
    pub(crate) fn forbidden(mut self) -> Self {
        self.nuance = Nuance::Forbidden;
        self
    }

    /// Whether whoever runs the program would have to allow what was asked for.
    #[must_use]
    #[cfg_attr(
        not(any(all(test, feature = "cloud"), feature = "serve")),
        expect(dead_code, reason = "only a service has others ask")
    )]
    pub(crate) fn is_forbidden(&self) -> bool {
        self.nuance == Nuance::Forbidden
    }

    /// What went wrong as programs read it: `exit_code`, `kind` and, with its causes, `error`, of 2,000 characters at most.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let text: String = self.with_causes().chars().take(2000).collect();
        serde_json::json!({ "exit_code": self.kind.exit_code(), "kind": self.kind.name(), "error": text })
    }

    /// The message and those of its causes, the nearest first.
    #[must_use]
    pub fn with_causes(&self) -> String {
        let mut text = self.message.clone();
        let mut cause = std::error::Error::source(self);
        while let Some(next) = cause {
            text.push_str(": ");
            text.push_str(&next.to_string());
            cause = next.source();
        }
        text
    }

    /// Whose fault it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
