//! The HTTP clients: whom they trust, through which proxy they go, and which HTTP they speak.
//!
//! The sizes of headers are bounded by hyper: 100 of them and about 400 KiB over HTTP/1.1, 16 KiB over HTTP/2.

use std::net::IpAddr;
use std::sync::{Once, OnceLock};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Proxy};
use url::Url;

use super::key_table::Of;
use super::keys::{self, Given};
use super::{StoreOptions, roots};
use crate::error::{Error, Result};

/// The longest that connecting to a metadata service may take: it is on the same machine, or is not there.
const METADATA_CONNECT: Duration = Duration::from_secs(2);
/// How long a connection is kept for the next request: less than the 20 s after which S3, and the 60 s after which most load
/// balancers, close one without a word.
const POOL_IDLE: Duration = Duration::from_secs(15);

/// What a client is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Web servers: HTTP/2 where the server speaks it.
    Web,
    /// The three stores: HTTP/1.1, since many connections bring more than one with many streams.
    Store,
    /// S3 and the services of AWS: the same, with the certificates that AWS's own configuration names.
    Aws,
    /// The metadata service of a cloud's machine: no proxy, and little patience.
    Metadata,
}

/// Whether to speak HTTP/2.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
    Negotiated,
}

/// A client that reads root certificates when a URL needs them first: they are hundreds of files, whose reading takes longer than
/// many a request over plain HTTP.
pub(crate) struct HttpClient {
    /// One that trusts nobody, and so is for plain HTTP without a proxy only.
    plain: Option<Client>,
    trusting: OnceLock<Client>,
    options: StoreOptions,
    kind: Kind,
}

impl HttpClient {
    /// The client for `kind`. Redirects are never followed by it: the transport does.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] for a value that is not understood.
    pub(crate) fn new(options: &StoreOptions, kind: Kind) -> Result<Self> {
        install_tls();
        check(options)?;
        let plain = configured(options, kind)?.tls_certs_only([]).build().map_err(wrong)?;
        // The way to a proxy may be HTTPS even where the server's is not.
        let is_direct = kind == Kind::Metadata || proxies(options)?.is_empty();
        Ok(Self {
            plain: is_direct.then_some(plain),
            trusting: OnceLock::new(),
            options: options.clone(),
            kind,
        })
    }

    /// The client to ask `url` with.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] when roots are needed and cannot be read, and for an address that is not allowed.
    pub(crate) fn of(&self, url: &Url) -> Result<&Client> {
        if self.kind == Kind::Web {
            // An address in a URL is not looked up, so that it would never come by the resolver.
            self.options.addresses.pass(url)?;
        }
        match &self.plain {
            Some(plain) if url.scheme() == "http" => Ok(plain),
            _ => self.trusting(),
        }
    }

    /// The client with roots.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] when they cannot be read.
    pub(crate) fn trusting(&self) -> Result<&Client> {
        if let Some(ready) = self.trusting.get() {
            return Ok(ready);
        }
        let made = trusting(&self.options, self.kind)?;
        Ok(self.trusting.get_or_init(|| made))
    }
}

/// A client that trusts the roots that are named, or else those of the system.
fn trusting(options: &StoreOptions, kind: Kind) -> Result<Client> {
    let roots = roots::named(options, kind)?;
    let proxy_roots = key(options, "proxy_ca_certificate").map(|pem| roots::of_pem(pem.as_bytes()));
    let configure = |mut extra: Vec<reqwest::Certificate>| -> Result<ClientBuilder> {
        let builder = configured(options, kind)?;
        extra.extend(proxy_roots.clone().unwrap_or_default());
        Ok(match &roots {
            Some(roots) => builder.tls_certs_only(roots.iter().cloned().chain(extra)),
            None if extra.is_empty() => builder,
            None => builder.tls_certs_merge(extra),
        })
    };
    configure(Vec::new())?.build().or_else(|first| {
        // Where the system has roots, only those are trusted.
        if roots.is_some() {
            return Err(wrong(first));
        }
        configure(roots::mozilla())?.build().map_err(wrong)
    })
}

fn configured(options: &StoreOptions, kind: Kind) -> Result<ClientBuilder> {
    let connect = duration(options, "connect_timeout")?.unwrap_or(options.connect_timeout);
    let mut builder = Client::builder()
        .user_agent(key(options, "user_agent").unwrap_or(concat!("cogclip/", env!("CARGO_PKG_VERSION"))))
        .redirect(Policy::none())
        // The transport tries again: a body is a stream here, which cannot be sent twice.
        .retry(reqwest::retry::never())
        // It would carry the query string, and with it the key, to wherever a redirect leads.
        .referer(false)
        // The environment is the caller's to give.
        .no_proxy()
        .connect_timeout(if kind == Kind::Metadata { connect.min(METADATA_CONNECT) } else { connect })
        .pool_idle_timeout(duration(options, "pool_idle_timeout")?.unwrap_or(POOL_IDLE))
        .tcp_nodelay(true);
    if kind == Kind::Metadata {
        return Ok(builder.http1_only());
    }
    let proxies = proxies(options)?;
    if kind == Kind::Web
        && let Some(resolver) = options.addresses.resolver()
    {
        if !proxies.is_empty() {
            return Err(Error::usage(
                "a proxy looks names up itself, so that addresses which are not allowed could be reached through it; web servers \
                 cannot be read through a proxy here",
            ));
        }
        builder = builder.dns_resolver(resolver);
    }
    for proxy in proxies {
        builder = builder.proxy(proxy);
    }
    builder = match version(options, kind)? {
        Version::One => builder.http1_only(),
        Version::Two => builder.http2_prior_knowledge(),
        Version::Negotiated => builder,
    };
    if flag(options, "allow_invalid_certificates")? == Some(true) {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    if let Some(interval) = duration(options, "http2_keep_alive_interval")? {
        builder = builder.http2_keep_alive_interval(interval);
    }
    if let Some(timeout) = duration(options, "http2_keep_alive_timeout")? {
        builder = builder.http2_keep_alive_timeout(timeout);
    }
    if let Some(idle) = flag(options, "http2_keep_alive_while_idle")? {
        builder = builder.http2_keep_alive_while_idle(idle);
    }
    if let Some(size) = number::<u32>(options, "http2_max_frame_size")? {
        builder = builder.http2_max_frame_size(size);
    }
    if let Some(most) = number(options, "pool_max_idle_per_host")? {
        builder = builder.pool_max_idle_per_host(most);
    }
    Ok(builder)
}

/// Refuses values that only the transport uses, which cannot say so.
fn check(options: &StoreOptions) -> Result<()> {
    duration(options, "timeout")?;
    duration(options, "read_timeout").map(drop)
}

fn version(options: &StoreOptions, kind: Kind) -> Result<Version> {
    let (one, two) = (flag(options, "http1_only")?, flag(options, "http2_only")?);
    Ok(match (one, two) {
        (Some(true), Some(true)) => {
            return Err(Error::usage("the store options http1_only and http2_only exclude each other"));
        }
        (_, Some(true)) => Version::Two,
        (Some(false), _) => Version::Negotiated,
        (None, _) if kind == Kind::Web => Version::Negotiated,
        (Some(true) | None, _) => Version::One,
    })
}

/// The proxy of the key `proxy_url`, or those of the environment: `https_proxy`, `http_proxy` and `all_proxy`, in small or capital
/// letters, except those of `no_proxy`.
fn proxies(options: &StoreOptions) -> Result<Vec<Proxy>> {
    let variable = |name: &str| {
        let of = |name: &str| {
            let found = options.environment.iter().rev().find(|(key, _)| key == name);
            found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
        };
        of(name).or_else(|| of(&name.to_ascii_uppercase()))
    };
    if let Some(url) = key(options, "proxy_url") {
        // Its text may hold a password.
        let refuse = |_| {
            Error::usage("the store option proxy_url is not the URL of a proxy, such as http://host:3128")
        };
        let direct = Direct::of(key(options, "proxy_excludes").unwrap_or_default());
        return Ok(vec![direct.except(None, url, Proxy::all(url).map_err(refuse)?)]);
    }
    let direct = Direct::of(variable("no_proxy").unwrap_or_default());
    let mut proxies = Vec::new();
    for (name, scheme, of) in [
        ("https_proxy", Some("https"), (|url| Proxy::https(url)) as fn(&str) -> reqwest::Result<Proxy>),
        // In a CGI script, HTTP_PROXY is a header of whoever asks: curl and Go take it in small letters only there.
        ("http_proxy", Some("http"), |url| Proxy::http(url)),
        ("all_proxy", None, |url| Proxy::all(url)),
    ] {
        let is_cgi = name == "http_proxy" && variable("request_method").is_some();
        if let Some(url) = variable(name).filter(|_| !is_cgi) {
            let refuse = |_| {
                Error::usage(format!(
                    "the environment's {name} is not the URL of a proxy, such as http://host:3128"
                ))
            };
            proxies.push(direct.except(scheme, url, of(url).map_err(refuse)?));
        }
    }
    Ok(proxies)
}

/// The hosts that are asked without a proxy, as curl, Go and Python's requests read NO_PROXY together. (reqwest's own reading knows
/// no ports, and takes `*` for names only.)
#[derive(Clone)]
struct Direct(Vec<(Hosts, Option<u16>)>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    All,
    /// With all names below it.
    Domain(String),
    /// An address and how many bits of it count.
    Network(IpAddr, u32),
}

impl Direct {
    fn of(list: &str) -> Self {
        let entries = list.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty());
        let read = |entry: &str| {
            let with_port = entry.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
            // The colons of an IPv6 address are no port's.
            match with_port.filter(|(host, _)| !host.contains(':') || host.ends_with(']')) {
                Some((host, port)) => (Hosts::of(host), Some(port)),
                None => (Hosts::of(entry), None),
            }
        };
        Self(entries.map(read).collect())
    }

    /// `proxy`, which is at `url` and for `scheme` or all, without these hosts.
    fn except(&self, scheme: Option<&'static str>, url: &str, proxy: Proxy) -> Proxy {
        if self.0.is_empty() {
            return proxy;
        }
        let (direct, url) = (self.clone(), url.to_owned());
        Proxy::custom(move |to| {
            let is_its = scheme.is_none_or(|scheme| scheme == to.scheme());
            (is_its && !direct.has(to)).then(|| url.clone())
        })
    }

    fn has(&self, url: &Url) -> bool {
        let (host, own) = (url.host_str().unwrap_or_default(), url.port_or_known_default());
        self.0.iter().any(|(hosts, port)| (port.is_none() || *port == own) && hosts.have(host))
    }
}

impl Hosts {
    fn of(text: &str) -> Self {
        let text = text.trim_matches(['[', ']']);
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, bits.parse().ok()),
            None => (text, Some(128)),
        };
        match (address.parse(), bits) {
            (Ok(address), Some(bits)) => Self::Network(address, bits),
            _ if text == "*" => Self::All,
            _ => Self::Domain(text.trim_start_matches("*.").trim_matches('.').to_ascii_lowercase()),
        }
    }

    fn have(&self, host: &str) -> bool {
        let host = host.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
        match self {
            Self::All => true,
            Self::Network(network, bits) => {
                let own = host.parse::<IpAddr>().map(|address| address.to_canonical());
                match (own, network.to_canonical()) {
                    (Ok(IpAddr::V4(one)), IpAddr::V4(other)) => {
                        (one.to_bits() ^ other.to_bits()).leading_zeros() >= (*bits).min(32)
                    }
                    (Ok(IpAddr::V6(one)), IpAddr::V6(other)) => {
                        (one.to_bits() ^ other.to_bits()).leading_zeros() >= (*bits).min(128)
                    }
                    _ => false,
                }
            }
            Self::Domain(domain) => {
                let below = || host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.ends_with('.'));
                !domain.is_empty() && (host == *domain || below())
            }
        }
    }
}

/// The value of a key of the connections, found as all keys are; the last one counts.
pub(crate) fn key<'a>(options: &'a StoreOptions, name: &str) -> Option<&'a str> {
    Given::new(Of::Client, options).pair(name).map(str::trim)
}

/// A time such as `30s` or `2 minutes`.
pub(crate) fn duration(options: &StoreOptions, name: &str) -> Result<Option<Duration>> {
    let Some(value) = key(options, name) else { return Ok(None) };
    let time = humantime::parse_duration(value).map_err(|cause| {
        Error::usage(format!("the store option {name} is not a time such as 30s or 2m")).caused_by(cause)
    })?;
    Ok(Some(time))
}

fn number<T: std::str::FromStr>(options: &StoreOptions, name: &str) -> Result<Option<T>> {
    let Some(value) = key(options, name) else { return Ok(None) };
    let number = value.parse().ok();
    number
        .map(Some)
        .ok_or_else(|| Error::usage(format!("the store option {name} is not a number in its range")))
}

fn flag(options: &StoreOptions, name: &str) -> Result<Option<bool>> {
    let Some(value) = key(options, name) else { return Ok(None) };
    let refuse = || Error::usage(format!("the store option {name} is neither true nor false"));
    keys::flag(value).map(Some).ok_or_else(refuse)
}

fn wrong(cause: reqwest::Error) -> Error {
    Error::usage("the HTTP client cannot be set up").caused_by(cause.without_url())
}

/// Makes ring the provider of rustls, once for the process, unless the program has chosen one.
pub(crate) fn install_tls() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that there is one already.
        drop(rustls::crypto::ring::default_provider().install_default());
    });
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
