//! Where bytes live: a path or a URL, taken apart.

use std::path::PathBuf;

use url::Url;

use crate::error::{Error, Result};

/// A parsed location.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Location {
    /// A file of this machine.
    Local(PathBuf),
    /// `http://` or `https://`, with its query string, which may be a key: never printed.
    Http(Url),
    /// An object of a bucket or container.
    Bucket(Bucket),
}

/// An object of a bucket or container.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// Whose.
    pub(crate) cloud: Cloud,
    /// The bucket, or the container.
    pub(crate) name: String,
    /// `account.dfs.core.windows.net` of `abfs://container@account…`.
    pub(crate) host: Option<String>,
    /// The key as it is, not percent-encoded.
    pub(crate) key: String,
}

/// The object stores that are spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cloud {
    /// Amazon S3 and whatever speaks like it.
    S3,
    /// Google Cloud Storage.
    Google,
    /// Azure Blob Storage.
    Azure,
}

const SCHEMES: &str = "file://, http://, https://, s3://, gs://, az://, abfs:// and abfss://";

impl Location {
    /// What `uri` names. The key of an object is taken literally, as `aws s3` does: `s3://b/a%20b` is the key
    /// `a%20b`. A `file://` URL is percent-decoded (RFC 8089). `c:\x` is a path: a scheme has `://` after it.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] for an unknown scheme, or a URL that lacks a part.
    pub(crate) fn parse(uri: &str) -> Result<Self> {
        let Some((scheme, rest)) = split_scheme(uri) else {
            if uri.is_empty() {
                return Err(Error::usage("a location is empty; give a path or a URL"));
            }
            if let Some(scheme) = scheme_without_slashes(uri) {
                return Err(Error::usage(format!(
                    "{scheme}: is not followed by two slashes; a URL begins with {scheme}://, and a path that begins so with ./"
                )));
            }
            // One letter is a drive.
            if uri.find("://").is_some_and(|at| at > 1) {
                return Err(Error::usage(format!(
                    "{} is neither a path nor a URL; give the URL alone, without anything before it",
                    redact(uri)
                )));
            }
            return Ok(Self::Local(PathBuf::from(uri)));
        };
        let bucket = |cloud| Self::bucket(cloud, uri, rest);
        match scheme.to_ascii_lowercase().as_str() {
            "file" => file_path(uri).map(Self::Local),
            "http" | "https" => {
                let url = Url::parse(uri).map_err(|cause| {
                    Error::usage(format!("{} is not a valid URL", redact(uri))).caused_by(cause)
                })?;
                Ok(Self::Http(url))
            }
            "s3" => bucket(Cloud::S3),
            "gs" => bucket(Cloud::Google),
            "az" | "abfs" | "abfss" => bucket(Cloud::Azure),
            other => Err(Error::usage(format!(
                "{}: the scheme {other}:// is not supported; use a path, {SCHEMES}",
                redact(uri)
            ))),
        }
    }

    fn bucket(cloud: Cloud, uri: &str, rest: &str) -> Result<Self> {
        let shown = redact(uri);
        let bucket = Bucket::split(cloud, uri, rest)?;
        let key = bucket.key.as_str();
        if key.is_empty() || key.ends_with('/') {
            return Err(Error::usage(format!("{shown} names no object: its key is missing or a folder")));
        }
        // The client library drops a leading slash, and with it would address another object, without a word.
        if key.split('/').any(|part| matches!(part, "" | "." | ".."))
            || key.chars().any(|c| c.is_ascii_control())
        {
            return Err(Error::usage(format!(
                "{shown}: a key with an empty, '.' or '..' segment or a control character is not supported"
            )));
        }
        Ok(Self::Bucket(bucket))
    }
}

impl Bucket {
    /// The bucket of a URL, and whatever comes after it for a key.
    fn split(cloud: Cloud, uri: &str, rest: &str) -> Result<Self> {
        let (authority, key) = rest.split_once('/').unwrap_or((rest, ""));
        let (name, host) = match authority.split_once('@') {
            Some((name, host)) if cloud == Cloud::Azure => (name, Some(host.to_owned())),
            Some(_) => {
                return Err(Error::usage(format!("{}: a bucket's name has no '@' in it", redact(uri))));
            }
            None => (authority, None),
        };
        if name.is_empty() || host.as_deref() == Some("") {
            return Err(Error::usage(format!("{}: the bucket's name is missing", redact(uri))));
        }
        Ok(Self { cloud, name: name.to_owned(), host, key: key.to_owned() })
    }
}

/// What the text of a pattern is about: the places that can be listed are those whose names are taken as they are.
pub(crate) enum Place<'a> {
    /// Of paths of this machine.
    Local,
    /// Of paths of this machine, percent-encoded: what comes after the host of `file://`.
    FileUrl(&'a str),
    /// Of a web server: its path, without query and fragment.
    Web(&'a str),
    /// Of the keys of a bucket, whose `key` is what is not yet understood; what stands before it, its '/' included.
    Bucket(Bucket, &'a str),
}

impl<'a> Place<'a> {
    /// What `pattern` is about.
    ///
    /// # Errors
    /// As for [`Location::parse`], but for keys, which are not looked at.
    pub(crate) fn of(pattern: &'a str) -> Result<Self> {
        let Some((scheme, rest)) = split_scheme(pattern) else {
            return Location::parse(pattern).map(|_| Self::Local);
        };
        let path = rest.find('/').map_or("", |slash| &rest[slash..]);
        let before = pattern.strip_suffix(path.strip_prefix('/').unwrap_or_default()).unwrap_or(pattern);
        let bucket = |cloud| Ok(Self::Bucket(Bucket::split(cloud, pattern, rest)?, before));
        match scheme.to_ascii_lowercase().as_str() {
            "file" if rest.starts_with('/') || rest.to_ascii_lowercase().starts_with("localhost/") => {
                Ok(Self::FileUrl(path))
            }
            "http" | "https" => {
                let named = rest.split(['?', '#']).next().unwrap_or_default();
                Ok(Self::Web(named.find('/').map_or("", |slash| &named[slash..])))
            }
            "s3" => bucket(Cloud::S3),
            "gs" => bucket(Cloud::Google),
            "az" | "abfs" | "abfss" => bucket(Cloud::Azure),
            // Whatever is wrong with it.
            _ => Location::parse(pattern).map(|_| Self::Local),
        }
    }
}

/// The location beside `uri` whose name ends in `extension` instead of its own; a query string stays. An extension in capitals
/// is followed by one in capitals.
pub(crate) fn sibling(uri: &str, extension: &str) -> String {
    let is_web = split_scheme(uri).is_some_and(|(scheme, _)| scheme.to_ascii_lowercase().starts_with("http"));
    let end = if is_web { uri.find(['?', '#']).unwrap_or(uri.len()) } else { uri.len() };
    let (path, rest) = uri.split_at(end);
    let (stem, own) = match path.rsplit_once('.') {
        Some((stem, own)) if !own.contains('/') => (stem, own),
        _ => (path, ""),
    };
    let is_loud = !own.is_empty() && own.chars().all(|c| c.is_ascii_uppercase());
    let extension = if is_loud { extension.to_ascii_uppercase() } else { extension.to_owned() };
    format!("{stem}.{extension}{rest}")
}

/// `uri` for messages: without query string, fragment, user name, password and token.
pub(crate) fn redact(uri: &str) -> String {
    let uri = uri.trim();
    let Some((scheme, rest)) = split_scheme(uri) else {
        // Not a URL of ours; but one may hide in it, as in GDAL's `/vsicurl/https://…`.
        if let Some(scheme) = scheme_without_slashes(uri) {
            return format!("{scheme}:…");
        }
        let Some(colon) = uri.find("://") else { return uri.to_owned() };
        let is_of_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        let start = uri[..colon].trim_end_matches(is_of_scheme).len();
        return match uri.split_at(start) {
            (before, url) if !before.is_empty() && split_scheme(url).is_some() => {
                format!("{before}{}", redact(url))
            }
            (before, _) => format!("{before}…"),
        };
    };
    let abfs = scheme.eq_ignore_ascii_case("abfs") || scheme.eq_ignore_ascii_case("abfss");
    // A key may hold '?' and '#': it is literal, unless it is a signed URL in disguise.
    if is_bucket(scheme)
        && !rest.split('/').next().unwrap_or_default().contains(['@', ':'])
        && !looks_signed(rest)
    {
        return uri.to_owned();
    }
    let named = rest.split(['?', '#']).next().unwrap_or_default();
    let host = named.split('/').next().unwrap_or_default();
    let port = host.rsplit_once(':').is_none_or(|(_, port)| port.chars().all(|c| c.is_ascii_digit()));
    if rest.contains('@') && !host.contains('@') && !port {
        // A password with '/', '?' or '#' in it.
        return format!("{scheme}://…");
    }
    let rest = named;
    let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    let authority = match authority.rsplit_once('@') {
        // The container of `abfs://container@account` is a name, not a secret.
        Some(_) if abfs => authority,
        Some((_, host)) => host,
        None => authority,
    };
    format!("{scheme}://{authority}{path}")
}

fn is_bucket(scheme: &str) -> bool {
    ["s3", "gs", "az", "abfs", "abfss"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
}

/// Whether what follows a '?' may be a signature or a token.
fn looks_signed(rest: &str) -> bool {
    let query = rest.split_once('?').map(|(_, query)| query.to_ascii_lowercase()).unwrap_or_default();
    ["sig", "token", "credential", "secret", "key", "expires"].iter().any(|word| query.contains(word))
}

/// The scheme of what would be a URL if it had its two slashes.
fn scheme_without_slashes(uri: &str) -> Option<&str> {
    let (scheme, rest) = uri.split_once(':')?;
    let known =
        is_bucket(scheme) || ["http", "https", "file"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    (known && !rest.starts_with("//")).then_some(scheme)
}

/// Splits `#ifd=N`, which chooses an image of the file, off its location. A path that ends otherwise is a name.
///
/// # Errors
/// [`crate::ErrorKind::Usage`] for a number that is none.
pub(crate) fn split_ifd(uri: &str) -> Result<(&str, Option<usize>)> {
    let Some((base, number)) = uri.rsplit_once("#ifd=") else { return Ok((uri, None)) };
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    if !digits && split_scheme(uri).is_none() {
        return Ok((uri, None));
    }
    number.parse().ok().filter(|_| digits).map(|number| (base, Some(number))).ok_or_else(|| {
        Error::usage(format!(
            "{}: the number of a directory is expected after #ifd=, such as #ifd=1",
            redact(base)
        ))
    })
}

fn split_scheme(uri: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = uri.split_once("://")?;
    let mut chars = scheme.chars();
    let named = chars.next()?.is_ascii_alphabetic()
        && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    // One letter is a drive.
    (named && scheme.len() > 1).then_some((scheme, rest))
}

fn file_path(uri: &str) -> Result<PathBuf> {
    let refuse = || Error::usage(format!("{} is not a file URL with an absolute path", redact(uri)));
    let url = Url::parse(uri).map_err(|cause| refuse().caused_by(cause))?;
    // `file://name.tif` is a host without a path: a slip that would otherwise read some other file.
    if url.path().len() < 2 {
        return Err(refuse());
    }
    url.to_file_path().map_err(|()| refuse())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn show(uri: &str) -> String {
        match Location::parse(uri) {
            Ok(Location::Local(path)) => format!("path {}", path.display()),
            Ok(Location::Http(url)) => format!("url {url}"),
            Ok(Location::Bucket(b)) => {
                format!("{:?} {} {} {}", b.cloud, b.name, b.host.unwrap_or_default(), b.key)
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
                format!("error {error}")
            }
        }
    }

    #[track_caller]
    fn check(uri: &str, expected: &str) {
        let got = show(uri);
        assert!(
            got == expected || (expected.starts_with("error") && got.starts_with(expected)),
            "{uri}: got {got:?}, expected {expected:?}"
        );
    }

    #[test]
    fn siblings_differ_in_their_extension() {
        for (uri, expected) in [
            ("a/b.shp", "a/b.dbf"),
            ("A.SHP", "A.DBF"),
            ("a.b/c", "a.b/c.dbf"),
            ("https://h/x.shp?sig=a.b/c", "https://h/x.dbf?sig=a.b/c"),
            ("s3://b/what?.shp", "s3://b/what?.dbf"),
        ] {
            assert_eq!(sibling(uri, "dbf"), expected);
        }
    }

    #[test]
    fn table() {
        check("a/b.tif", "path a/b.tif");
        check("c:\\a\\b.tif", "path c:\\a\\b.tif");
        check("c://a/b.tif", "path c://a/b.tif");
        check("a b%20c.tif", "path a b%20c.tif");
        check("file:///a/b%20c.tif", "path /a/b c.tif");
        check("file://localhost/a.tif", "path /a.tif");
        check("file://a.tif", "error file://a.tif is not a file URL");
        check("https://h/a?k=v", "url https://h/a?k=v");
        check("s3://b/a b/c+d%20é.tif", "S3 b  a b/c+d%20é.tif");
        check("S3://b/a", "S3 b  a");
        check("gs://b/a", "Google b  a");
        check("az://c/a/b", "Azure c  a/b");
        check("abfs://c/a/b", "Azure c  a/b");
        check("abfss://c@acct.dfs.core.windows.net/a/b", "Azure c acct.dfs.core.windows.net a/b");
        check("http:/u:p@h/a", "error http: is not followed by two slashes");
        check("S3:b/a", "error S3: is not followed by two slashes");
        check("./s3:b/a", "path ./s3:b/a");
        check("s3://b", "error s3://b names no object");
        check("s3://b/", "error s3://b/ names no object");
        check("s3:///k", "error s3:///k: the bucket's name is missing");
        check("s3://b//k", "error s3://b//k: a key with an empty");
        check("s3://b/../k", "error s3://b/../k: a key with an empty");
        check("ftp://h/a?s=1", "error ftp://h/a: the scheme ftp:// is not supported; use a path, file://");
        check("", "error a location is empty");
    }

    #[test]
    fn an_image_is_chosen_at_the_end() {
        for (uri, base, ifd) in [
            ("a.tif", "a.tif", None),
            ("a.tif#ifd=12", "a.tif", Some(12)),
            ("a#ifd=1.tif", "a#ifd=1.tif", None),
            ("a.tif#ifd=", "a.tif#ifd=", None),
            ("a.tif#ifd=1#ifd=2", "a.tif#ifd=1", Some(2)),
            ("https://h/a?sig=s#ifd=3", "https://h/a?sig=s", Some(3)),
            ("s3://b/k#1#ifd=3", "s3://b/k#1", Some(3)),
        ] {
            assert_eq!(split_ifd(uri).unwrap(), (base, ifd), "{uri}");
        }
        for uri in ["https://h/a?sig=s#ifd=x", "https://h/a#ifd=+1", "a.tif#ifd=99999999999999999999999"] {
            let error = split_ifd(uri).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert!(!error.to_string().contains("sig"), "{error}");
        }
    }

    #[test]
    fn nothing_secret_is_shown() {
        assert_eq!(redact("https://user:pass@h:8080/a/b.tif?sig=abc#f"), "https://h:8080/a/b.tif");
        assert_eq!(redact("https://h?sig=abc"), "https://h");
        assert_eq!(redact("s3://b/k?x=y#z"), "s3://b/k?x=y#z");
        assert_eq!(redact("s3://b/k?X-Amz-Signature=y"), "s3://b/k");
        assert_eq!(redact("s3://user:pass@b/k"), "s3://b/k");
        assert_eq!(redact("http:/u:secret@h/x?sig=secret"), "http:…");
        assert_eq!(redact("https:u:secret@h/x"), "https:…");
        assert_eq!(redact("abfs://c@a.dfs.core.windows.net/k"), "abfs://c@a.dfs.core.windows.net/k");
        assert_eq!(redact("what?.tif"), "what?.tif");
        // Slips, and what other programs would take.
        assert_eq!(redact(" https://h/a?sig=abc"), "https://h/a");
        assert_eq!(redact("/vsicurl/https://h/a?sig=abc"), "/vsicurl/https://h/a");
        assert_eq!(redact("/vsicurl/https://u:secret@h/a"), "/vsicurl/https://h/a");
        assert_eq!(redact("url=https://u:secret@h/a?k"), "url=https://h/a");
        assert_eq!(redact("1://u:secret@h/a?k"), "…");
        assert_eq!(redact("https://u:pa/secret@h/x"), "https://…");
        assert_eq!(redact("https://u:pa?secret@h/x"), "https://…");
        assert_eq!(redact("https://h:80/tiles@2x.tif"), "https://h:80/tiles@2x.tif");
        for uri in [" https://h/a?sig=abc", "/vsicurl/https://h/a?sig=abc"] {
            let error = Location::parse(uri).err().unwrap().to_string();
            assert!(error.contains("neither a path nor a URL") && !error.contains("sig"), "{error}");
        }
    }
}
