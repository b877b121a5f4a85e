//! Which locations a job may name: those under a prefix, and nothing else.

use url::Url;

use crate::error::{Error, Result};
use crate::store::location::{Bucket, Cloud, Location, redact, split_ifd};

/// Locations that are allowed: prefixes such as `s3://bucket/in/`, `https://example.com/dem/`, or `https://` for any web server. Empty:
/// none is.
///
/// A prefix allows itself, unless it ends in '/', and what follows a '/' after it: `s3://b/in` allows `s3://b/in` and `s3://b/in/x`, not
/// `s3://b/inner`. Scheme, bucket or host and port must be equal.
#[derive(Clone, Debug, Default)]
pub struct AllowList(Vec<Prefix>);

#[derive(Clone, Debug)]
enum Prefix {
    Bucket { cloud: Cloud, name: String, host: Option<String>, key: Path },
    Web { scheme: String, place: Option<(String, Option<u16>, Path)> },
}

/// A path without '/' at its end, and whether it is allowed itself.
#[derive(Clone, Debug)]
struct Path {
    text: String,
    itself: bool,
}

impl AllowList {
    /// The list of these prefixes.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] for what is no prefix of a URL: files of this machine are never allowed.
    pub fn new<T: AsRef<str>>(prefixes: &[T]) -> Result<Self> {
        prefixes.iter().map(|prefix| Prefix::parse(prefix.as_ref())).collect::<Result<_>>().map(Self)
    }

    /// Whether nothing is allowed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a URL, as it will be asked for, is under a prefix.
    #[must_use]
    pub fn allows(&self, url: &Url) -> bool {
        trick(url).is_none() && self.has_url(url)
    }

    fn has_url(&self, url: &Url) -> bool {
        self.0.iter().any(|prefix| prefix.has_url(url))
    }

    /// Refuses a location that is not under a prefix. `name` is what the job calls it, `option` what would allow it.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`]; forbidden, where the location itself is understood.
    pub(super) fn check(&self, name: &str, uri: &str, option: &str) -> Result<()> {
        let refuse = |why: &str| Err(Error::usage(format!("{name}: {}: {why}", redact(uri))).forbidden());
        let unlisted =
            || refuse(&format!("this is under no prefix that the service was given with {option}"));
        match Location::parse(uri).map_err(|error| error.at(name))? {
            // A path may be a secret as well as any.
            Location::Local(_) => Err(Error::usage(format!(
                "{name}: this is a path; the service neither reads nor writes files of its machine"
            ))
            .forbidden()),
            Location::Bucket(bucket) => {
                if self.0.iter().any(|prefix| prefix.has_object(&bucket)) {
                    Ok(())
                } else {
                    unlisted()
                }
            }
            Location::Http(url) => {
                if let Some(trick) = hidden(uri).or_else(|| trick(&url)) {
                    return refuse(trick);
                }
                if self.has_url(&url) { Ok(()) } else { unlisted() }
            }
        }
    }

    /// The same for a raster, whose location may say which of its images is meant.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub(super) fn check_image(&self, name: &str, uri: &str, option: &str) -> Result<()> {
        let (uri, _) = split_ifd(uri).map_err(|error| error.at(name))?;
        self.check(name, uri, option)
    }
}

/// What the text of a URL has that is gone once it is taken apart (WHATWG URL §4.4): from the text comes the location of what lies
/// beside it (a shapefile's .dbf), which must not lie elsewhere.
fn hidden(uri: &str) -> Option<&'static str> {
    if uri.contains('\\') || uri.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Some("a URL with a backslash, a blank or a control character in it is not taken; encode it");
    }
    let path = uri.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase().replace("%2e", ".");
    path.split('/')
        .any(|segment| matches!(segment, "." | ".."))
        .then_some("a path with '.' or '..' in it is not taken; name the file itself")
}

/// What a URL has that a server may understand in another way than this list does.
fn trick(url: &Url) -> Option<&'static str> {
    if !url.username().is_empty() || url.password().is_some() {
        return Some("a user name or password is not taken from a job");
    }
    if url.fragment().is_some() {
        return Some("a fragment (#) means nothing to a server");
    }
    // A slash, a backslash, a dot, a percent sign, a control character: after decoding, the path may be another.
    let encoded = url.path().split('%').skip(1).any(|rest| {
        let byte = rest.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        byte.is_none_or(|byte| matches!(byte, b'/' | b'\\' | b'.' | b'%' | b';' | 0..=0x1f | 0x7f))
    });
    let dots = url.path().split('/').any(|segment| matches!(segment, "." | ".."));
    (encoded || dots)
        .then_some("a path with an encoded '/', '\\', '.', '%', ';' or control character is not taken")
}

impl Prefix {
    fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let lower = text.to_ascii_lowercase();
        if let Some(scheme) = ["http", "https"].iter().find(|scheme| lower == format!("{scheme}://")) {
            return Ok(Self::Web { scheme: (*scheme).to_owned(), place: None });
        }
        let refuse = |why: &str| Err(Error::usage(format!("{}: {why}", redact(text))));
        // As if an object were below it: a bucket alone is no location.
        let (stem, itself) = match text.strip_suffix('/') {
            Some(stem) => (stem, false),
            None => (text, true),
        };
        match Location::parse(&format!("{stem}/x"))? {
            Location::Local(_) => refuse(
                "files of this machine cannot be allowed; a prefix begins with s3://, gs://, az://, abfss://, https:// or http://",
            ),
            Location::Bucket(Bucket { cloud, name, host, key }) => {
                let key = key.strip_suffix('x').unwrap_or_default();
                let text = key.strip_suffix('/').unwrap_or(key).to_owned();
                Ok(Self::Bucket {
                    cloud,
                    name,
                    host: host.map(|host| host.to_ascii_lowercase()),
                    key: Path { text, itself },
                })
            }
            Location::Http(_) => {
                let Ok(url) = Url::parse(text) else { return refuse("this is not a URL") };
                if url.query().is_some() {
                    return refuse("a prefix has no query");
                }
                if let Some(trick) = trick(&url) {
                    return refuse(trick);
                }
                let Some(host) = url.host_str() else { return refuse("this names no host") };
                let text = url.path().strip_suffix('/').unwrap_or(url.path()).to_owned();
                let place = (host.to_owned(), url.port_or_known_default(), Path { text, itself });
                Ok(Self::Web { scheme: url.scheme().to_owned(), place: Some(place) })
            }
        }
    }

    fn has_object(&self, bucket: &Bucket) -> bool {
        let Self::Bucket { cloud, name, host, key } = self else { return false };
        *cloud == bucket.cloud
            && *name == bucket.name
            && *host == bucket.host.as_ref().map(|host| host.to_ascii_lowercase())
            && (key.text.is_empty() || key.has(&bucket.key))
    }

    fn has_url(&self, url: &Url) -> bool {
        let Self::Web { scheme, place } = self else { return false };
        *scheme == url.scheme()
            && place.as_ref().is_none_or(|(host, port, path)| {
                url.host_str() == Some(host.as_str())
                    && url.port_or_known_default() == *port
                    && path.has(url.path())
            })
    }
}

impl Path {
    fn has(&self, path: &str) -> bool {
        path.strip_prefix(self.text.as_str())
            .is_some_and(|rest| rest.starts_with('/') || (rest.is_empty() && self.itself))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(prefix: &str, uri: &str, expected: bool) {
        let list = AllowList::new(&["gs://another/", prefix]).unwrap();
        let got = list.check_image("src", uri, "--allow-src");
        assert_eq!(got.is_ok(), expected, "{uri} under {prefix}: {got:?}");
        if let Err(error) = got {
            assert!(!error.to_string().contains("SECRET"), "{error}");
        }
        // Without the prefix, never.
        assert!(AllowList::default().check_image("src", uri, "--allow-src").is_err(), "{uri}");
    }

    #[test]
    fn objects() {
        for prefix in ["s3://b", "s3://b/", "S3://b/"] {
            check(prefix, "s3://b/k", true);
            check(prefix, "s3://b/a/k.tif#ifd=3", true);
            check(prefix, "s3://B/k", false);
            check(prefix, "s3://bb/k", false);
            check(prefix, "gs://b/k", false);
            check(prefix, "s3://b", false);
            check(prefix, "s3://b/../c/k", false);
            check(prefix, "s3://b/a//k", false);
        }
        check("s3://b/in", "s3://b/in", true);
        check("s3://b/in", "s3://b/in/k", true);
        check("s3://b/in/", "s3://b/in", false);
        check("s3://b/in/", "s3://b/in/k", true);
        for uri in [
            "s3://b/inner",
            "s3://b/in.tif",
            "s3://b/i",
            "s3://b/in/../x",
            "s3://b/in/./x",
            "s3://b/in%2f..%2fx",
        ] {
            check("s3://b/in", uri, false);
        }
        // A key is literal.
        check("s3://b/in", "s3://b/in/..%2fx", true);
        check("az://c/in/", "abfss://c/in/k", true);
        check("az://c/in/", "abfss://c@acct.dfs.core.windows.net/in/k", false);
        check("abfss://c@Acct.dfs.core.windows.net/in/", "abfs://c@acct.dfs.core.windows.net/in/k", true);
        check("abfss://c@acct.dfs.core.windows.net/in/", "az://c/in/k", false);
        check("abfss://c@acct.dfs.core.windows.net/in/", "abfss://c@evil.example/in/k", false);
    }

    #[test]
    fn web_servers() {
        let dem = "https://h.example/dem";
        for uri in [
            dem,
            "https://h.example/dem/a.tif",
            "https://H.EXAMPLE:443/dem/a.tif",
            "https://h.example/dem/a%20b.tif?sig=SECRET&dots=../x",
            "https://h.example/dem/a.b..c.tif",
        ] {
            check(dem, uri, true);
        }
        for uri in [
            "http://h.example/dem/a.tif",
            "https://h.example:8443/dem/a.tif",
            "https://h.example./dem/a.tif",
            "https://x.h.example/dem/a.tif",
            "https://h.example.evil/dem/a.tif",
            "https://h.example@evil/dem/a.tif",
            "https://evil/https://h.example/dem/a.tif",
            "https://u:SECRET@h.example/dem/a.tif",
            "https://h.example/dem2/a.tif",
            "https://h.example/dem/../a.tif",
            "https://h.example/dem/..",
            "https://h.example/dem/%2e%2e/a.tif",
            "https://h.example/dem/.%2E/a.tif",
            "https://h.example/dem/..%2fa.tif",
            "https://h.example/dem/..%5Ca.tif",
            "https://h.example/dem/..\\a.tif",
            "https://h.example/dem/%252e%252e/a.tif",
            "https://h.example/dem/..;/a.tif%00",
            "https://h.example/dem/a%3b.tif",
            "https://h.example/dem/%zz",
            "https://h.example/dem/a.tif#x",
            "https:\\\\h.example\\dem\\a.tif",
            "https://h.example/x/../dem/a.tif",
            "https://h.example/x/%2E%2e/dem/a.tif",
            "https://h.example/dem/./a.tif",
            // Taken apart, it is /dem/y; the .dbf beside it would be /key.dbf.
            "https://h.example/key.\\%2e%2e\\dem\\y",
            "https://h.example/key.\t/../dem/y",
            " https://h.example/dem/a.tif",
            "https://h.example/dem/a.tif ",
            "https://h.example/dem/a b.tif",
        ] {
            check(dem, uri, false);
        }
        check("https://h.example/dem/", "https://h.example/dem", false);
        check("https://h.example", "https://h.example/", true);
        check("https://h.example/", "https://h.example/a", true);
        check("https://", "https://any.example/a", true);
        check("https://", "http://any.example/a", false);
        check("https://", "s3://any/a", false);
    }

    #[test]
    fn files_of_this_machine_are_never_allowed() {
        for uri in [
            "file:///etc/passwd",
            "FILE:///etc/passwd",
            "file://localhost/etc/passwd",
            "/etc/passwd",
            "etc/passwd",
            "../x",
            "-",
            "c:\\x",
            "/vsicurl/x",
            "",
            "ftp://h/x",
            "http:/h/x",
            "data:,x",
        ] {
            let list = AllowList::new(&["s3://b", "https://", "http://"]).unwrap();
            assert!(list.check("src", uri, "--allow-src").is_err(), "{uri}");
        }
        for prefix in [
            "file:///",
            "file:///data/",
            "/",
            "/data",
            ".",
            "",
            "ftp://h/",
            "s3://",
            "https://u@h/",
            "https://h/?a=b",
        ] {
            assert!(AllowList::new(&[prefix]).is_err(), "{prefix:?}");
        }
    }
}
