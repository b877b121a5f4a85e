//! Who may ask: whoever has a bearer token (RFC 6750 §2.1), whoever is on this machine, or anybody.

use std::fmt;

use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use url::{Host, Url};

use super::refusal::Refusal;
use crate::error::{Error, Result};

/// The fewest characters of a token: 16 random ones of base64 are 96 bits.
const SHORTEST: usize = 16;

/// Who may ask.
#[derive(Clone, Debug, Default)]
pub enum Callers {
    /// Who is on this machine, and names it so: the Host of a request is an address or localhost. A page of the web that a browser of this
    /// machine shows, and whose name is made to lead here (DNS rebinding), has its own.
    #[default]
    Local,
    /// Who has one of these.
    Tokens(Tokens),
    /// Anybody who can connect.
    Anybody,
}

/// Tokens, any of which will do, so that one can be replaced by the next. Only their hashes are kept.
#[derive(Clone)]
pub struct Tokens(Vec<[u8; 32]>);

impl Tokens {
    /// The tokens of a text, a line each.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] when there is none, and for one that is short or that a header cannot have.
    pub fn new(text: &str) -> Result<Self> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let all = lines.map(|line| {
            if line.len() < SHORTEST || !line.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(Error::usage(format!(
                    "a token has {SHORTEST} characters or more, all of them printable ASCII without blanks"
                )));
            }
            Ok(Sha256::digest(line).into())
        });
        let hashes: Vec<_> = all.collect::<Result<_>>()?;
        if hashes.is_empty() {
            return Err(Error::usage("there is no token: a line of printable ASCII is expected"));
        }
        Ok(Self(hashes))
    }

    /// In a time that tells nothing of the tokens.
    fn have(&self, given: &[u8]) -> bool {
        let given: [u8; 32] = Sha256::digest(given).into();
        let any = self.0.iter().fold(Choice::from(0), |any, own| any | own.as_slice().ct_eq(&given));
        any.into()
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({})", self.0.len())
    }
}

/// Refuses who may not ask.
pub(super) fn check(callers: &Callers, headers: &HeaderMap) -> Result<(), Refusal> {
    let tokens = match callers {
        Callers::Anybody => return Ok(()),
        Callers::Local if names_this_machine(headers) => return Ok(()),
        Callers::Local => return Err(Refusal::stranger()),
        Callers::Tokens(tokens) => tokens,
    };
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return Err(Refusal::unauthorized()) };
    let bytes = value.as_bytes();
    let is_bearer = bytes.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer "));
    let token = bytes.get(7..).unwrap_or_default().trim_ascii();
    if is_bearer && tokens.have(token) { Ok(()) } else { Err(Refusal::unauthorized()) }
}

/// Whether the request is for an address or for localhost (RFC 9110 §7.2).
fn names_this_machine(headers: &HeaderMap) -> bool {
    let mut given = headers.get_all(header::HOST).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return false };
    let url = value.to_str().ok().and_then(|host| Url::parse(&format!("http://{host}/")).ok());
    match url.as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => true,
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_here_names_this_machine() {
        for (host, expected) in [
            (Some("127.0.0.1:8080"), true),
            (Some("[::1]:8080"), true),
            (Some("localhost:8080"), true),
            (Some("LOCALHOST"), true),
            (Some("evil.example"), false),
            (Some("evil.example:8080"), false),
            (Some("localhost.evil.example"), false),
            (Some("127.0.0.1.evil.example"), false),
            (Some(""), false),
            (None, false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(host) = host {
                headers.insert(header::HOST, host.parse().unwrap());
            }
            assert_eq!(check(&Callers::Local, &headers).is_ok(), expected, "{host:?}");
            assert!(check(&Callers::Anybody, &headers).is_ok());
        }
    }

    #[test]
    fn a_token_is_a_line() {
        for text in ["", "\n \n", "short", "sixteen characters of it", "sixteen-characters\u{e9}"] {
            assert!(Tokens::new(text).is_err(), "{text:?}");
        }
        let tokens = Tokens::new("0123456789abcdef\r\n\nfedcba9876543210\n").unwrap();
        for (header, expected) in [
            (Some("Bearer 0123456789abcdef"), true),
            (Some("bearer  fedcba9876543210"), true),
            (Some("Bearer 0123456789abcdee"), false),
            (Some("Bearer 0123456789abcdeff"), false),
            (Some("Bearer "), false),
            (Some("Bearer"), false),
            (Some("Basic 0123456789abcdef"), false),
            (Some("0123456789abcdef"), false),
            (None, false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(value) = header {
                headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            }
            assert_eq!(check(&Callers::Tokens(tokens.clone()), &headers).is_ok(), expected, "{header:?}");
        }
        assert!(!format!("{tokens:?}").contains("0123"));
        let mut twice = HeaderMap::new();
        for _ in 0..2 {
            twice.append(header::AUTHORIZATION, "Bearer 0123456789abcdef".parse().unwrap());
        }
        assert!(
            check(&Callers::Tokens(tokens), &twice).is_err(),
            "which of them counts is nobody's to guess"
        );
    }
}
