//! What a request without a whole answer has met, without what must not be shown.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use super::address::Refused;
use super::body::Broken;
use crate::error::Error;

/// Why there is no whole answer.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) error: Error,
    /// Whether another try may succeed.
    pub(crate) again: bool,
    /// Whether the request may have been carried out.
    pub(crate) unknown: bool,
}

impl Fault {
    /// No other try will do.
    pub(crate) fn never(error: Error) -> Self {
        Self { error, again: false, unknown: false }
    }
}

/// Who asks for what, for messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) shown: &'a str,
    pub(crate) doing: &'static str,
}

impl Asked<'_> {
    fn failed(&self, what: &str) -> Error {
        Error::io(format!("{}: {} failed: {what}", self.shown, self.doing))
    }

    /// The server took or brought nothing.
    pub(crate) fn stalled(&self, idle: Duration) -> Fault {
        let what = format!("the server went silent for {}", seconds(idle));
        Fault { error: self.failed(&what), again: true, unknown: true }
    }

    /// The whole took longer than the key `timeout` allows.
    pub(crate) fn late(&self, limit: Duration) -> Fault {
        let what = format!("it took longer than {} (store option timeout)", seconds(limit));
        Fault { error: self.failed(&what), again: true, unknown: true }
    }

    /// The body broke off.
    pub(crate) fn broken(&self, broken: Broken, idle: Duration) -> Fault {
        match broken {
            Broken::Silent => self.stalled(idle),
            Broken::Drip(time) => {
                let what = format!("the server sent less than 4 KiB in {}", seconds(time));
                Fault { error: self.failed(&what), again: true, unknown: true }
            }
            Broken::Connection(cause) => self.of(cause),
        }
    }

    /// What the client says.
    pub(crate) fn of(&self, cause: reqwest::Error) -> Fault {
        // The URL may hold a key.
        let cause = cause.without_url();
        if let Some(why) = untrusted(&cause) {
            let error = Error::io(format!("{}: the server's certificate is not trusted: {why}", self.shown));
            return Fault { error: error.caused_by(cause), again: false, unknown: false };
        }
        if let Some(refused) = causes(&cause).find_map(|cause| cause.downcast_ref::<Refused>()) {
            return Fault::never(Error::usage(format!("{}: {refused}", self.shown)).forbidden());
        }
        if cause.is_builder() {
            let error = Error::usage(format!("{}: that is not a URL that can be asked for", self.shown));
            return Fault { error: error.caused_by(cause), again: false, unknown: false };
        }
        let kind = io_kind(&cause).map(|kind| format!(" ({kind})")).unwrap_or_default();
        let what = if cause.is_dns() {
            "the server's name cannot be resolved".to_owned()
        } else if cause.is_connect() && cause.is_timeout() {
            "connecting took too long".to_owned()
        } else if cause.is_connect() {
            format!("the connection failed{kind}")
        } else if cause.is_timeout() {
            "the connection timed out".to_owned()
        } else if cause.is_body() || cause.is_decode() {
            format!("the connection broke before the body was whole{kind}")
        } else {
            format!("the connection broke{kind}")
        };
        let unknown = !cause.is_connect();
        Fault { error: self.failed(&what).caused_by(cause), again: true, unknown }
    }
}

/// `30 s`, or `0.2 s`.
pub(crate) fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 10.0 && time.subsec_millis() > 0 {
        format!("{seconds:.1} s")
    } else {
        format!("{seconds:.0} s")
    }
}

/// Every cause, also that which an I/O error wraps: its `source` is that one's source.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| {
        let error: &'a (dyn StdError + 'static) = *error;
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped as &(dyn StdError + 'static)),
            None => error.source(),
        }
    })
}

fn io_kind(error: &reqwest::Error) -> Option<io::ErrorKind> {
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .map(io::Error::kind)
        .find(|kind| *kind != io::ErrorKind::Other)
}

/// What is wrong with the server's certificate, and what to do.
fn untrusted(error: &reqwest::Error) -> Option<&'static str> {
    use rustls::CertificateError as C;
    let tls = causes(error).find_map(|cause| cause.downcast_ref::<rustls::Error>())?;
    #[expect(clippy::wildcard_enum_match_arm, reason = "the enums of another crate, which may grow")]
    match tls {
        rustls::Error::InvalidCertificate(wrong) => Some(match wrong {
            C::Expired | C::ExpiredContext { .. } => {
                "it has expired; have it renewed, or set this machine's clock"
            }
            C::NotValidYet | C::NotValidYetContext { .. } => "it is not valid yet; set this machine's clock",
            C::NotValidForName | C::NotValidForNameContext { .. } => {
                "it is for another name; ask for the server by the name that its certificate has"
            }
            C::UnknownIssuer => {
                "its issuer is not known; name the file with the issuer's root certificate (PEM) in SSL_CERT_FILE"
            }
            C::Revoked => "it has been revoked",
            _ => {
                "it is not valid; if the issuer is a private one, name the file with its root certificate (PEM) in SSL_CERT_FILE"
            }
        }),
        rustls::Error::NoCertificatesPresented => Some("the server shows none"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        for (millis, expected) in [(0, "0 s"), (200, "0.2 s"), (1000, "1 s"), (42_400, "42 s")] {
            assert_eq!(seconds(Duration::from_millis(millis)), expected);
        }
    }

    #[test]
    fn causes_are_found_inside_io_errors() {
        let inner = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        let outer = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, inner));
        assert!(causes(&outer).any(<dyn StdError>::is::<rustls::Error>));
        assert_eq!(causes(&outer).count(), 3);
    }
}
