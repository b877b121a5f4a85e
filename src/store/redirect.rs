//! Where a redirect may lead: a server must not make this machine ask others on its behalf, nor tell them what it knows.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};

use reqwest::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderName, RANGE};
use url::{Host, Url};

use super::location::redact;
use crate::error::{Error, Result};

/// Hops of a redirected request, as browsers and curl's users are used to.
pub(crate) const MOST: usize = 10;

/// Which redirects of reads are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Redirects {
    /// None: the answer is the dialect's to understand.
    No,
    /// To the same host and port.
    SameHost,
    /// To other hosts, without credentials.
    Anywhere,
}

/// Who can be reached at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// This machine or its link, the metadata services of clouds among them.
    Local,
    /// A network that is not everybody's.
    Private,
    /// Everybody.
    Public,
}

/// Where `location`, found in an answer from `from`, leads.
///
/// # Errors
/// [`crate::ErrorKind::Io`] when that is not a place to follow it to.
pub(crate) fn target(shown: &str, from: &Url, location: Option<&str>, allowed: Redirects) -> Result<Url> {
    let Some(mut to) = location.and_then(|location| from.join(location).ok()) else {
        return Err(Error::io(format!("{shown}: the server redirects to something that is not a URL")));
    };
    // Neither is for the next server.
    to.set_fragment(None);
    let clean = to.set_username("").and_then(|()| to.set_password(None));
    let refuse =
        |why: &str| Error::io(format!("{shown}: the server redirects to {}, {why}", redact(to.as_str())));
    match (from.scheme(), to.scheme()) {
        ("http" | "https", "https") | ("http", "http") => {}
        ("https", "http") => {
            return Err(refuse("without encryption; that is not followed; give the location itself"));
        }
        (_, other) => {
            // What follows the scheme may be anything.
            return Err(Error::io(format!(
                "{shown}: the server redirects to a URL of the scheme {other}:, which is not followed: only http and https are"
            )));
        }
    }
    if clean.is_err() || to.host().is_none() {
        return Err(refuse("which names no host"));
    }
    if allowed != Redirects::Anywhere && !same_host(from, &to) {
        return Err(refuse(
            "another host; that is followed with the store option allow_redirects=true only; or give that location itself",
        ));
    }
    Ok(to)
}

/// Whether both are the same host and port; `http` to `https` at their own ports is.
pub(crate) fn same_host(one: &Url, other: &Url) -> bool {
    let upgrade = one.port().is_none() && other.port().is_none();
    one.host() == other.host() && (upgrade || one.port_or_known_default() == other.port_or_known_default())
}

/// Refuses the way from the outside to this machine, or to its link; and to its network, unless all hosts are allowed.
///
/// # Errors
/// [`crate::ErrorKind::Io`]
pub(crate) fn check_place(shown: &str, to: &Url, from: Place, at: Place, allowed: Redirects) -> Result<()> {
    let inward = match at {
        Place::Local => from > Place::Local,
        Place::Private => from > Place::Private && allowed != Redirects::Anywhere,
        Place::Public => false,
    };
    if inward {
        return Err(Error::io(format!(
            "{shown}: the server redirects to {}, an address of this machine or its network; that is never followed",
            redact(to.as_str())
        )));
    }
    Ok(())
}

/// The headers for another host: what says which bytes are wanted, and nothing that says who asks. A list of what may pass, since
/// a key may be in any other: of S3's server-side encryption, say.
pub(crate) fn strip(headers: &HeaderMap) -> HeaderMap {
    let passes = |name: &HeaderName| {
        [RANGE, ACCEPT, ACCEPT_ENCODING].contains(name) || name.as_str().starts_with("if-")
    };
    headers
        .iter()
        .filter(|(name, _)| passes(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Where a URL's host is: the innermost of its addresses. A name that cannot be resolved (behind a proxy, say) counts as public.
pub(crate) async fn place(url: &Url) -> Place {
    match url.host() {
        None => Place::Public,
        Some(Host::Ipv4(address)) => place_of(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => place_of(IpAddr::V6(address)),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            if name == "localhost" || name.ends_with(".localhost") {
                return Place::Local;
            }
            let resolved = tokio::task::spawn_blocking(move || {
                let addresses = (name.as_str(), 0).to_socket_addrs();
                addresses.ok().and_then(|all| all.map(|address| place_of(address.ip())).min())
            });
            resolved.await.ok().flatten().unwrap_or(Place::Public)
        }
    }
}

fn place_of(address: IpAddr) -> Place {
    match address.to_canonical() {
        IpAddr::V4(address) => place_of_v4(address),
        IpAddr::V6(address) => place_of_v6(address),
    }
}

/// By IANA's registry of special-purpose IPv4 addresses (RFC 6890).
fn place_of_v4(address: Ipv4Addr) -> Place {
    // Where Azure answers its virtual machines.
    const AZURE: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);
    let [a, b, ..] = address.octets();
    if address.is_loopback()
        || address.is_link_local()
        || a == 0
        || address.is_broadcast()
        || address == AZURE
    {
        Place::Local
    } else if address.is_private() || (a == 100 && (64..128).contains(&b)) || address.is_multicast() {
        Place::Private
    } else {
        Place::Public
    }
}

/// By IANA's registry of special-purpose IPv6 addresses (RFC 6890).
fn place_of_v6(address: Ipv6Addr) -> Place {
    // fd00:ec2::/32 is where AWS answers its virtual machines.
    let segments = address.segments();
    if let [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] = segments {
        // NAT64 (RFC 6052) and 6to4 (RFC 3056): an IPv4 address in disguise.
        let bits = u32::from(high) << 16 | u32::from(low);
        return place_of_v4(Ipv4Addr::from_bits(bits));
    }
    let amazon = matches!(segments, [0xfd00, 0xec2, ..]);
    if address.is_loopback() || address.is_unspecified() || address.is_unicast_link_local() || amazon {
        Place::Local
    } else if address.is_unique_local() || address.is_multicast() {
        Place::Private
    } else {
        Place::Public
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::{AUTHORIZATION, HeaderValue};

    use super::*;

    #[track_caller]
    fn check(from: &str, location: &str, allowed: Redirects, expected: Result<&str, &str>) {
        let from = Url::parse(from).unwrap();
        match (target("SHOWN", &from, Some(location), allowed), expected) {
            (Ok(to), Ok(expected)) => assert_eq!(to.as_str(), expected, "{location}"),
            (Err(error), Err(expected)) => {
                let text = error.to_string();
                assert!(text.starts_with("SHOWN: ") && text.contains(expected), "{location}: {text}");
                assert!(!text.contains("SECRET"), "{text}");
            }
            (got, expected) => panic!("{location}: {got:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn matrix() {
        use Redirects::{Anywhere, SameHost};
        for allowed in [SameHost, Anywhere] {
            check("https://h/a", "b?c=d#e", allowed, Ok("https://h/b?c=d"));
            check("https://h/a", "//h/b", allowed, Ok("https://h/b"));
            check("https://h/a", "https://H:443/b", allowed, Ok("https://h/b"));
            check("https://h/a", "https://u:SECRET@h/b", allowed, Ok("https://h/b"));
            check("http://h/a", "https://h/a", allowed, Ok("https://h/a"));
            check("http://h:81/a", "https://h:81/a", allowed, Ok("https://h:81/a"));
            check(
                "https://h/a",
                "http://h/b?SECRET",
                allowed,
                Err("redirects to http://h/b, without encryption"),
            );
            check("https://h/a", "http://x/b", allowed, Err("without encryption"));
            check("https://h/a", "ftp://h/b?SECRET", allowed, Err("scheme ftp:, which is not followed"));
            check("http://h/a", "file:///etc/passwd", allowed, Err("only http and https"));
            check("http://h/a", "data:SECRET", allowed, Err("not followed"));
            check("http://h/a", "https://", allowed, Err("not a URL"));
        }
        let elsewhere = "redirects to https://x/b, another host; that is followed with the store option allow_redirects=true";
        check("https://h/a", "https://x/b?SECRET", SameHost, Err(elsewhere));
        check("https://h/a", "https://u:SECRET@x/b", SameHost, Err(elsewhere));
        check("https://h/a", "https://h:444/b", SameHost, Err("another host"));
        check("http://h/a", "https://h:444/b", SameHost, Err("another host"));
        check("https://h/a", "https://h.x/b", SameHost, Err("another host"));
        check("https://h/a", "https://x/b?c", Anywhere, Ok("https://x/b?c"));
        let from = Url::parse("https://h/").unwrap();
        assert!(target("SHOWN", &from, None, Anywhere).is_err());
    }

    #[test]
    fn places() {
        for (address, expected) in [
            ("127.0.0.1", Place::Local),
            ("127.255.0.9", Place::Local),
            ("0.0.0.0", Place::Local),
            ("169.254.169.254", Place::Local),
            ("168.63.129.16", Place::Local),
            ("10.1.2.3", Place::Private),
            ("172.31.0.1", Place::Private),
            ("172.32.0.1", Place::Public),
            ("192.168.0.1", Place::Private),
            ("100.100.100.200", Place::Private),
            ("8.8.8.8", Place::Public),
            ("::1", Place::Local),
            ("::", Place::Local),
            ("::ffff:127.0.0.1", Place::Local),
            ("64:ff9b::a9fe:a9fe", Place::Local),
            ("2002:7f00:1::", Place::Local),
            ("fe80::1", Place::Local),
            ("fd00:ec2::254", Place::Local),
            ("fd12::1", Place::Private),
            ("2606:4700::1111", Place::Public),
        ] {
            assert_eq!(place_of(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[tokio::test]
    async fn names_have_places() {
        for (url, expected) in [
            ("http://localhost/", Place::Local),
            ("http://a.LOCALHOST./", Place::Local),
            ("http://0x7f.1/", Place::Local),
            ("http://2130706433/", Place::Local),
            ("http://[::1]/", Place::Local),
        ] {
            assert_eq!(place(&Url::parse(url).unwrap()).await, expected, "{url}");
        }
    }

    #[test]
    fn inward_is_refused() {
        use Place::{Local, Private, Public};
        use Redirects::{Anywhere, SameHost};
        let to = Url::parse("http://127.0.0.1/x?SECRET").unwrap();
        for (from, at, allowed, ok) in [
            (Public, Public, SameHost, true),
            (Public, Private, SameHost, false),
            (Public, Local, SameHost, false),
            (Private, Private, SameHost, true),
            (Private, Local, SameHost, false),
            (Local, Local, SameHost, true),
            (Local, Public, Anywhere, true),
            (Public, Private, Anywhere, true),
            (Public, Local, Anywhere, false),
            (Private, Local, Anywhere, false),
            (Local, Local, Anywhere, true),
        ] {
            let got = check_place("SHOWN", &to, from, at, allowed);
            assert_eq!(got.is_ok(), ok, "{from:?} {at:?} {allowed:?}");
            if let Err(error) = got {
                assert!(!error.to_string().contains("SECRET"));
            }
        }
    }

    #[test]
    fn only_what_is_wanted_goes_to_others() {
        let mut headers = HeaderMap::new();
        for name in [
            "range",
            "if-match",
            "if-unmodified-since",
            "accept-encoding",
            "authorization",
            "cookie",
            "x-amz-server-side-encryption-customer-key",
            "x-goog-user-project",
            "proxy-authorization",
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static("v"));
        }
        let stripped = strip(&headers);
        assert_eq!(stripped.len(), 4);
        assert!(!stripped.contains_key(AUTHORIZATION) && stripped.contains_key(RANGE));
    }
}
