//! References from one document to what it names (RFC 3986 §5), where documents lie in folders and buckets as well as on the web.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use url::Url;

use crate::error::{Error, Result};

/// The scheme of a URL, such as `s3` of `s3://bucket/key`, and what follows `://`; `None` for a path.
fn scheme(uri: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = uri.split_once("://")?;
    let mut letters = scheme.bytes();
    let is_scheme = letters.next().is_some_and(|byte| byte.is_ascii_alphabetic())
        && letters.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme.then_some((scheme, rest))
}

/// Whether what follows a scheme is taken as it stands, nothing percent-encoded in it: keys of buckets.
fn is_literal(scheme: &str) -> bool {
    !["http", "https", "file"].iter().any(|other| scheme.eq_ignore_ascii_case(other))
}

/// How `target` is called in a document at `document`: `./name`, percent-encoded, when they lie in one folder; else as it is. Both
/// are paths, or URLs without a query.
#[must_use]
pub fn relative(document: &str, target: &str) -> String {
    let split = |uri: &str| {
        uri.rfind('/').map_or((String::new(), uri.to_owned()), |at| {
            let (folder, name) = uri.split_at(at);
            (folder.to_owned(), name.trim_start_matches('/').to_owned())
        })
    };
    let ((folder, _), (of_target, name)) = (split(document), split(target));
    if folder != of_target || name.is_empty() {
        return target.to_owned();
    }
    if scheme(target).is_some_and(|(scheme, _)| !is_literal(scheme)) {
        return format!("./{name}");
    }
    let mut url = Url::parse("file:///").ok();
    if let Some(mut segments) = url.as_mut().and_then(|url| url.path_segments_mut().ok()) {
        segments.clear().push(&name);
    }
    url.map_or_else(|| target.to_owned(), |url| format!(".{}", url.path()))
}

/// What `href` names in a document at `document`, which is a path or a URL: the same with everything relative settled.
/// Relative references in a bucket are percent-decoded, since keys are literal; so are those in a folder.
///
/// # Errors
/// [`crate::ErrorKind::Format`] for a reference that is no URI, or leads out of the bucket; [`crate::ErrorKind::Usage`] for a
/// document from elsewhere that names a file of this machine.
pub fn resolve(document: &str, href: &str) -> Result<String> {
    let href = href.trim();
    if href.is_empty() {
        return Err(Error::format("its href is empty"));
    }
    if href.chars().any(char::is_control) {
        return Err(Error::format("its href has a control character in it"));
    }
    let base = scheme(document).map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest));
    let is_local = base.as_ref().is_none_or(|(scheme, _)| scheme == "file");
    if let Some((named, _)) = scheme(href) {
        if named.eq_ignore_ascii_case("file") && !is_local {
            return Err(foreign());
        }
        return Ok(href.to_owned());
    }
    let not_a_reference = |cause| Error::format("its href is no URI reference").caused_by(cause);
    match base {
        Some((scheme, _)) if !is_literal(&scheme) => {
            let joined = Url::parse(document).and_then(|base| base.join(href)).map_err(not_a_reference)?;
            if joined.scheme() == "file" && scheme != "file" {
                return Err(foreign());
            }
            Ok(joined.into())
        }
        Some((scheme, rest)) => {
            let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
            let href = decoded(href)?;
            let key = joined(if href.starts_with('/') { "" } else { key }, href.trim_start_matches('/'));
            let key = key.ok_or_else(|| Error::format("its href leads out of the bucket"))?;
            Ok(format!("{scheme}://{bucket}/{key}"))
        }
        None => {
            let href = decoded(href)?;
            if std::path::Path::new(&href).is_absolute() {
                return Ok(href);
            }
            let folder = document
                .rfind(std::path::is_separator)
                .map_or("", |at| document.get(..=at).unwrap_or_default());
            Ok(format!("{folder}{}", href.trim_start_matches("./")))
        }
    }
}

fn foreign() -> Error {
    Error::usage(
        "its href is a file of this machine, but the document is from elsewhere; fetch the document first, if that is meant",
    )
}

/// A key with a relative path instead of its last segment; `None` when that leads beyond the first one.
fn joined(key: &str, path: &str) -> Option<String> {
    let mut segments: Vec<&str> = key.split('/').collect();
    segments.pop();
    for segment in path.split('/') {
        match segment {
            "." => {}
            ".." => {
                segments.pop()?;
            }
            segment => segments.push(segment),
        }
    }
    Some(segments.join("/"))
}

/// A reference with its percent-encoded bytes as they are.
fn decoded(text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        match (digit(), digit()) {
            (Some(high), Some(low)) => bytes.push(high << 4 | low),
            _ => {
                return Err(Error::format("its href has a % that is not followed by two hexadecimal digits"));
            }
        }
    }
    let text =
        String::from_utf8(bytes).map_err(|cause| Error::format("its href is not UTF-8").caused_by(cause))?;
    if text.chars().any(char::is_control) {
        return Err(Error::format("its href has a control character in it"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    /// Of URLs on the web by RFC 3986 §5.4; of others the same, on keys and paths.
    #[test]
    fn references_are_settled_by_where_the_document_lies() {
        #[track_caller]
        fn check(document: &str, href: &str, expected: &str) {
            assert_eq!(resolve(document, href).unwrap(), expected);
        }
        check("http://a/b/c/d.json", "./g.tif", "http://a/b/c/g.tif");
        check("http://a/b/c/d.json?sig=x", "../g.tif", "http://a/b/g.tif");
        check("http://a/b/c/d.json", "/g%20h.tif", "http://a/g%20h.tif");
        check("https://a/b/d.json", "//g/h.tif?sv=1", "https://g/h.tif?sv=1");
        check("http://a/b/c/d.json", "https://g/h.tif?sv=1&sig=a%2Fb", "https://g/h.tif?sv=1&sig=a%2Fb");
        check("http://a/b/c/d.json", "s3://b/a%20b.tif", "s3://b/a%20b.tif");
        check("s3://b/c/d.json", "./e f.tif", "s3://b/c/e f.tif");
        check("s3://b/c/d.json", "../e%20f.tif", "s3://b/e f.tif");
        check("gs://b/c/d.json", "/e.tif", "gs://b/e.tif");
        check("abfs://c@a.dfs.core.windows.net/x/d.json", "e.tif", "abfs://c@a.dfs.core.windows.net/x/e.tif");
        check("c/d.json", "e%20f.tif", "c/e f.tif");
        check("c/d.json", "../e.tif", "c/../e.tif");
        check("d.json", "./e.tif", "e.tif");
        check("/c/d.json", "/e.tif", "/e.tif");
        check("file:///c/d.json", "e%20f.tif", "file:///c/e%20f.tif");
        check("/c/d.json", "file:///e.tif", "file:///e.tif");
    }

    #[test]
    fn what_leads_astray_is_refused() {
        for (document, href, kind) in [
            ("https://a/d.json", "file:///etc/passwd", ErrorKind::Usage),
            ("s3://b/d.json", "FILE:///etc/passwd", ErrorKind::Usage),
            ("s3://b/c/d.json", "../../x.tif", ErrorKind::Format),
            ("s3://b/c/d.json", "x%2", ErrorKind::Format),
            ("s3://b/c/d.json", "x%00", ErrorKind::Format),
            ("s3://b/c/d.json", "x%ff", ErrorKind::Format),
            ("d.json", "  ", ErrorKind::Format),
            ("d.json", "a\nb", ErrorKind::Format),
            ("http://a/d.json", "//[", ErrorKind::Format),
        ] {
            match resolve(document, href) {
                Err(error) => assert_eq!(error.kind(), kind, "{href:?}: {error}"),
                Ok(resolved) => panic!("{href:?} became {resolved}"),
            }
        }
    }

    #[test]
    fn neighbours_are_called_by_their_names() {
        assert_eq!(relative("s3://b/c/d.json", "s3://b/c/e f%.tif"), "./e%20f%25.tif");
        assert_eq!(relative("d.json", "a:b?#.tif"), "./a:b%3F%23.tif");
        assert_eq!(relative("/x/d.json", "file:///x/e.tif"), "file:///x/e.tif");
        assert_eq!(relative("file:///x/d.json", "file:///x/e%20f.tif"), "./e%20f.tif");
        assert_eq!(relative("s3://b/c/d.json", "s3://b/e.tif"), "s3://b/e.tif");
        // There and back.
        let there = relative("s3://b/c/d.json", "s3://b/c/e f%.tif");
        assert_eq!(resolve("s3://b/c/d.json", &there).unwrap(), "s3://b/c/e f%.tif");
    }
}
