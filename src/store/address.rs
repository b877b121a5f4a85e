//! Which addresses may be connected to on behalf of somebody else: a service that reads what it is told to must not be made to ask
//! its own machine, its network, or the metadata service of its cloud.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::location::redact;
use crate::error::{Error, Result};

/// Which addresses web servers (`http://`, `https://`) may have, and where they may redirect to. The default is any.
///
/// Object stores, proxies and the services that hand out credentials are not concerned: their endpoints are chosen by whoever sets
/// them up, not by whoever names a location.
#[derive(Clone, Default)]
pub struct AddressPolicy(Option<Arc<Guard>>);

#[derive(Clone)]
struct Guard {
    exceptions: Vec<Exception>,
    network: Arc<dyn Network>,
    /// Where redirects may lead, beside what their addresses allow.
    targets: Option<Arc<Targets>>,
}

/// Whether a redirect may lead to this URL.
type Targets = dyn Fn(&Url) -> bool + Send + Sync;

/// The way from names to addresses, and from there to connections. The default is the system's.
pub trait Network: Send + Sync {
    /// The addresses of a name. May take its time: it is called on a thread of its own.
    ///
    /// # Errors
    /// When the name cannot be resolved.
    fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;

    /// Is told of addresses that have been found allowed, right before one of them is connected to or, where there is a connection
    /// already, asked.
    fn connecting(&self, _: &[IpAddr]) {}
}

/// The system's resolver.
struct System;

impl Network for System {
    fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
    }
}

/// What is allowed though it is not public.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Exception {
    /// An address and how many bits of it count.
    Network(IpAddr, u32),
    /// A host by its name, whatever its addresses.
    Host(String),
}

/// Why a name was not connected to.
#[derive(Debug)]
pub(crate) struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl AddressPolicy {
    /// Public addresses only, and `exceptions`: addresses (`127.0.0.1`), networks (`10.1.0.0/16`, `fd00::/8`) or names of hosts.
    /// A name of which one address is not allowed is not connected to at all.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] for an exception that is none of these.
    pub fn public<T: AsRef<str>>(exceptions: &[T]) -> Result<Self> {
        let exceptions =
            exceptions.iter().map(|text| Exception::parse(text.as_ref())).collect::<Result<_>>()?;
        Ok(Self(Some(Arc::new(Guard { exceptions, network: Arc::new(System), targets: None }))))
    }

    /// The same, with redirects only to URLs for which `targets` holds: to other places of the same server, too. Where all addresses are
    /// allowed, it is not asked.
    #[must_use]
    pub fn redirecting(self, targets: impl Fn(&Url) -> bool + Send + Sync + 'static) -> Self {
        let targets: Option<Arc<Targets>> = Some(Arc::new(targets));
        Self(self.0.map(|guard| Arc::new(Guard { targets, ..(*guard).clone() })))
    }

    /// The same, with another network. Where all addresses are allowed, it is not asked.
    #[must_use]
    pub fn on(self, network: Arc<dyn Network>) -> Self {
        Self(self.0.map(|guard| Arc::new(Guard { network, ..(*guard).clone() })))
    }

    /// Whether some addresses are not allowed.
    #[must_use]
    pub fn is_guarded(&self) -> bool {
        self.0.is_some()
    }

    /// Refuses a location of a web server that is an address which is not allowed; of others, nothing is said.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`]
    pub fn check_location(&self, uri: &str) -> Result<()> {
        match Url::parse(uri) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => self.check(&url),
            _ => Ok(()),
        }
    }

    /// Refuses a URL whose host is an address that is not allowed. A name is looked at when it is resolved.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`]
    pub(crate) fn check(&self, url: &Url) -> Result<()> {
        let Some(guard) = &self.0 else { return Ok(()) };
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(_)) => return Ok(()),
            None => return Err(Error::usage(format!("{}: there is no host", redact(url.as_str())))),
        };
        if !guard.allows("", address) {
            let shown = redact(url.as_str());
            return Err(Error::usage(format!("{shown}: {address} {NOT_PUBLIC}")).forbidden());
        }
        Ok(())
    }

    /// Refuses a redirect to where none may lead. Its address is looked at when it is asked.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`]
    pub(crate) fn check_redirect(&self, shown: &str, to: &Url) -> Result<()> {
        let targets = self.0.as_ref().and_then(|guard| guard.targets.as_ref());
        if targets.is_none_or(|may| may(to)) {
            return Ok(());
        }
        let to = redact(to.as_str());
        Err(Error::usage(format!("{shown}: the server redirects to {to}, which is not allowed")).forbidden())
    }

    /// As [`Self::check`], right before the host is asked.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub(crate) fn pass(&self, url: &Url) -> Result<()> {
        self.check(url)?;
        let Some(guard) = &self.0 else { return Ok(()) };
        match url.host() {
            Some(Host::Ipv4(address)) => guard.network.connecting(&[address.into()]),
            Some(Host::Ipv6(address)) => guard.network.connecting(&[address.into()]),
            Some(Host::Domain(_)) | None => {}
        }
        Ok(())
    }

    /// What the HTTP client resolves names with: only what passes here is ever connected to, so that no answer of a later look-up
    /// can be another one. `None` where all addresses are allowed.
    pub(crate) fn resolver(&self) -> Option<Arc<dyn Resolve>> {
        self.0.as_ref().map(|guard| Arc::new(Resolver(Arc::clone(guard))) as _)
    }
}

impl fmt::Debug for AddressPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("AddressPolicy(any)"),
            Some(guard) => {
                // Policies that are alike but for their network, or where redirects may lead, are told apart.
                let targets = guard.targets.as_ref().map(Arc::as_ptr);
                write!(
                    f,
                    "AddressPolicy(public, {:?}, {:p}, {targets:?})",
                    guard.exceptions,
                    Arc::as_ptr(&guard.network)
                )
            }
        }
    }
}

struct Resolver(Arc<Guard>);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = Arc::clone(&self.0);
        Box::pin(async move {
            let name = name.as_str().to_owned();
            let found = tokio::task::spawn_blocking(move || guard.resolve(&name)).await??;
            Ok(Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

impl Guard {
    fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, Box<dyn std::error::Error + Send + Sync>> {
        let found = self.network.resolve(name)?;
        if found.iter().any(|address| !self.allows(name, *address)) {
            // Not which: whoever asks is not to read from it how the network inside is laid out.
            return Err(Refused(format!("{name} has an address that {NOT_PUBLIC}")).into());
        }
        self.network.connecting(&found);
        Ok(found)
    }

    fn allows(&self, name: &str, address: IpAddr) -> bool {
        is_public(address) || self.exceptions.iter().any(|exception| exception.has(name, address))
    }
}

const NOT_PUBLIC: &str = "is not public; who runs this can allow it (--allow-address)";

impl Exception {
    fn parse(text: &str) -> Result<Self> {
        let refuse = || {
            Error::usage(format!(
                "{text:?} is neither an address (127.0.0.1), nor a network (10.1.0.0/16, fd00::/8), nor the name of a host"
            ))
        };
        let bare = text.trim().trim_matches(['[', ']']);
        if let Ok(address) = bare.parse() {
            return Ok(Self::Network(address, u32::MAX));
        }
        if let Some((address, bits)) = text.trim().split_once('/') {
            let address: IpAddr = address.trim_matches(['[', ']']).parse().map_err(|_not| refuse())?;
            let most = if address.is_ipv4() { 32 } else { 128 };
            let bits = bits.parse().ok().filter(|bits| *bits <= most).ok_or_else(refuse)?;
            return Ok(Self::Network(address, bits));
        }
        let name = text.trim().trim_end_matches('.').to_ascii_lowercase();
        let is_name = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
        if is_name { Ok(Self::Host(name)) } else { Err(refuse()) }
    }

    fn has(&self, name: &str, address: IpAddr) -> bool {
        match self {
            Self::Host(own) => name.trim_end_matches('.').eq_ignore_ascii_case(own),
            Self::Network(network, bits) => match (address.to_canonical(), network.to_canonical()) {
                (IpAddr::V4(one), IpAddr::V4(other)) => {
                    (one.to_bits() ^ other.to_bits()).leading_zeros() >= (*bits).min(32)
                }
                (IpAddr::V6(one), IpAddr::V6(other)) => {
                    (one.to_bits() ^ other.to_bits()).leading_zeros() >= (*bits).min(128)
                }
                _ => false,
            },
        }
    }
}

/// Whether an address is everybody's, by IANA's registries of special-purpose addresses (RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    // Where Azure answers its virtual machines.
    const AZURE: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);
    !(address == AZURE
        || matches!(
            address.octets(),
            // This network, private, loopback; multicast, reserved, broadcast.
            [0 | 10 | 127 | 224..=255, ..]
                // Shared (carriers), link-local, private.
                | [100, 64..=127, ..]
                | [169, 254, ..]
                | [172, 16..=31, ..]
                | [192, 168, ..]
                // Protocol assignments and documentation, 6to4 relays, benchmarks, documentation.
                | [192, 0, 0 | 2, _]
                | [192, 88, 99, _]
                | [198, 18 | 19, ..]
                | [198, 51, 100, _]
                | [203, 0, 113, _]
        ))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // NAT64 (RFC 6052) and 6to4 (RFC 3056): an IPv4 address in disguise.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            is_public_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
        }
        // Protocol assignments with Teredo, and documentation.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // Global unicast (RFC 4291 §2.4); nothing else is assigned.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
