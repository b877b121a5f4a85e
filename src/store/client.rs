//! The HTTP clients: whom they trust, through which proxy they go, and which HTTP they speak.
//!
//! The sizes of headers are bounded by hyper: 100 of them and about 400 KiB over HTTP/1.1, 16 KiB over HTTP/2.

use std::sync::Once;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, NoProxy, Proxy};

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

/// The client for `kind`. Redirects are never followed by it: the transport does.
///
/// # Errors
/// [`crate::ErrorKind::Usage`] for a value that is not understood, or roots that cannot be read.
pub(crate) fn build(options: &StoreOptions, kind: Kind) -> Result<Client> {
    install_tls();
    check(options)?;
    let roots = roots::named(options)?;
    let proxy_roots = key(options, "proxy_ca_certificate").map(|pem| roots::of_pem(pem.as_bytes()));
    let configure = |extra: Vec<reqwest::Certificate>| -> Result<ClientBuilder> {
        let mut builder = configured(options, kind)?;
        let mut extra = extra;
        extra.extend(proxy_roots.clone().unwrap_or_default());
        builder = match &roots {
            Some(roots) => builder.tls_certs_only(roots.iter().cloned().chain(extra)),
            None if extra.is_empty() => builder,
            None => builder.tls_certs_merge(extra),
        };
        Ok(builder)
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
    for proxy in proxies(options)? {
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
        let except = key(options, "proxy_excludes").and_then(NoProxy::from_string);
        return Ok(vec![Proxy::all(url).map_err(refuse)?.no_proxy(except)]);
    }
    let except = variable("no_proxy").and_then(NoProxy::from_string);
    let mut proxies = Vec::new();
    for (name, of) in [
        ("https_proxy", (|url| Proxy::https(url)) as fn(&str) -> reqwest::Result<Proxy>),
        // In a CGI script, HTTP_PROXY is a header of whoever asks: curl and Go take it in small letters only there.
        ("http_proxy", |url| Proxy::http(url)),
        ("all_proxy", |url| Proxy::all(url)),
    ] {
        let is_cgi = name == "http_proxy" && variable("request_method").is_some();
        if let Some(url) = variable(name).filter(|_| !is_cgi) {
            let refuse = |_| {
                Error::usage(format!(
                    "the environment's {name} is not the URL of a proxy, such as http://host:3128"
                ))
            };
            proxies.push(of(url).map_err(refuse)?.no_proxy(except.clone()));
        }
    }
    Ok(proxies)
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
