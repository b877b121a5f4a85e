//! Who speaks how: what the stores call the same things, and how a key becomes a part of a URL.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::fmt::Write as _;

use reqwest::header::{ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH};

use super::gcs;
use super::location::Cloud;
use crate::error::{Error, Result};

/// The metadata in which a write leaves its marker, so that its object is known again after a lost answer. Azure's names
/// have no hyphens.
const MARKER: &str = "cogclip-write";

/// Bytes of names and values together. S3 takes 2 KB (User Guide, "Working with object metadata"), the others 8 KiB.
const MAX_METADATA: usize = 2_048;

/// A way of speaking over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Amazon S3 and whatever speaks like it.
    S3,
    /// Google's XML API.
    Google,
    /// Azure Blob Storage.
    Azure,
    /// A web server: read only.
    Web,
}

impl From<Cloud> for Dialect {
    fn from(cloud: Cloud) -> Self {
        match cloud {
            Cloud::S3 => Self::S3,
            Cloud::Google => Self::Google,
            Cloud::Azure => Self::Azure,
        }
    }
}

impl Dialect {
    /// What leads the names of a user's own metadata.
    fn metadata_prefix(self) -> &'static str {
        match self {
            Self::S3 | Self::Web => "x-amz-meta-",
            Self::Google => "x-goog-meta-",
            Self::Azure => "x-ms-meta-",
        }
    }

    /// The field that makes a write fail when the object exists.
    pub(crate) fn create_condition(self) -> (HeaderName, HeaderValue) {
        match self {
            Self::S3 | Self::Azure | Self::Web => {
                (HeaderName::from_static("if-none-match"), HeaderValue::from_static("*"))
            }
            // If-None-Match is for reads there.
            Self::Google => {
                (HeaderName::from_static("x-goog-if-generation-match"), HeaderValue::from_static("0"))
            }
        }
    }

    /// Adds `metadata` and the marker of this write.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] for a name or value that the store would refuse or change.
    pub(crate) fn add_metadata(
        self,
        headers: &mut HeaderMap,
        shown: &str,
        metadata: &[(String, String)],
        marker: &str,
    ) -> Result<()> {
        let wrong = |what: String| Error::usage(format!("{shown}: {what}"));
        let mut size = 0_usize;
        let own = (MARKER.to_owned(), marker.to_owned());
        for (name, value) in metadata.iter().chain([&own]) {
            let field = self.metadata_name(name).ok_or_else(|| {
                wrong(format!("the metadata {name:?} has a name that stores do not take; {}", self.names()))
            })?;
            if !is_plain(value) {
                return Err(wrong(format!(
                    "the metadata {name:?} has a value that stores do not keep as it is; \
                     use printable ASCII, without blanks at its ends or two in a row"
                )));
            }
            size = size.saturating_add(name.len()).saturating_add(value.len());
            if size > MAX_METADATA {
                return Err(wrong(format!(
                    "the metadata has more than {MAX_METADATA} bytes, which stores do not take"
                )));
            }
            let value = HeaderValue::from_str(value)
                .map_err(|cause| wrong(format!("the metadata {name:?} cannot be sent")).caused_by(cause))?;
            if headers.insert(field, value).is_some() {
                return Err(wrong(format!("the metadata {name:?} is given twice, or is cogclip's own")));
            }
        }
        Ok(())
    }

    fn metadata_name(self, name: &str) -> Option<HeaderName> {
        let name = name.to_ascii_lowercase();
        let name = if self == Self::Azure { name.replace('-', "_") } else { name };
        let is_name = if self == Self::Azure {
            // C#'s identifiers, those of ASCII.
            !name.starts_with(|c: char| c.is_ascii_digit())
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        } else {
            name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        let named = is_name && !name.is_empty();
        named.then(|| HeaderName::from_bytes(format!("{}{name}", self.metadata_prefix()).as_bytes()).ok())?
    }

    fn names(self) -> &'static str {
        if self == Self::Azure {
            "use letters, digits and '_', no digit first"
        } else {
            "use letters, digits, '-', '_' and '.'"
        }
    }

    /// The value of a user's own metadata.
    pub(crate) fn metadata<'a>(self, headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
        headers.get(self.metadata_name(name)?)?.to_str().ok()
    }

    /// The condition that the object is still the version that `seen`, the fields of an answer, is about.
    pub(crate) fn same_version(self, seen: &HeaderMap) -> HeaderMap {
        let mut conditions = HeaderMap::new();
        if self == Self::Google {
            gcs::add_generation(&mut conditions, seen);
        } else if let Some(etag) = seen.get(ETAG) {
            conditions.insert(IF_MATCH, etag.clone());
        }
        conditions
    }

    /// The marker of the write that made an object.
    pub(crate) fn marker(self, headers: &HeaderMap) -> Option<&str> {
        self.metadata(headers, MARKER)
    }
}

/// Whether a value arrives as it was sent: blanks at the ends are no part of a field (RFC 9110 §5.5), and a signature of S3
/// takes a run of them for one.
fn is_plain(value: &str) -> bool {
    value.bytes().all(|byte| matches!(byte, b' '..=b'~')) && value.trim() == value && !value.contains("  ")
}

/// A key as a path: unreserved characters (RFC 3986 §2.3) and '/' stay, all other bytes are percent-encoded, in capitals. That
/// is what signatures of S3 are made of, and what the others take as well.
pub(crate) fn encode_key(key: &str) -> String {
    encode(key, |byte| byte == b'/')
}

/// A value of a query, in which only unreserved characters stay.
pub(crate) fn encode_value(value: &str) -> String {
    encode(value, |_| false)
}

fn encode(text: &str, stays: impl Fn(u8) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') || stays(byte) {
            out.push(char::from(byte));
        } else {
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn keys_are_encoded_as_botocore_does() {
        // Python's urllib.parse.quote(key, safe="/~"), which botocore uses.
        for (key, expected) in [
            ("a/b.tif", "a/b.tif"),
            ("a b%20c+d&e=f?g#h", "a%20b%2520c%2Bd%26e%3Df%3Fg%23h"),
            ("é/日本", "%C3%A9/%E6%97%A5%E6%9C%AC"),
            ("~-._!*'()", "~-._%21%2A%27%28%29"),
            ("\\^`{|}\"<>[]@:;,$", "%5C%5E%60%7B%7C%7D%22%3C%3E%5B%5D%40%3A%3B%2C%24"),
            ("%2e%2E/x", "%252e%252E/x"),
        ] {
            assert_eq!(encode_key(key), expected);
            let url = url::Url::parse(&format!("http://h/b/{expected}")).unwrap();
            assert_eq!(url.path(), format!("/b/{expected}"), "the URL keeps it");
        }
        assert_eq!(encode_value("a/b+c="), "a%2Fb%2Bc%3D");
    }

    fn added(dialect: Dialect, pairs: &[(&str, &str)]) -> Result<Vec<String>> {
        let pairs: Vec<_> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let mut headers = HeaderMap::new();
        dialect.add_metadata(&mut headers, "s3://b/k", &pairs, "0123456789abcdef")?;
        assert_eq!(dialect.marker(&headers), Some("0123456789abcdef"));
        Ok(headers.iter().map(|(k, v)| format!("{k}: {}", v.to_str().unwrap())).collect())
    }

    #[test]
    fn metadata_is_named_as_each_store_wants() {
        for (dialect, expected) in [
            (Dialect::S3, ["x-amz-meta-the-source: a b", "x-amz-meta-cogclip-write: 0123456789abcdef"]),
            (Dialect::Google, ["x-goog-meta-the-source: a b", "x-goog-meta-cogclip-write: 0123456789abcdef"]),
            (Dialect::Azure, ["x-ms-meta-the_source: a b", "x-ms-meta-cogclip_write: 0123456789abcdef"]),
        ] {
            assert_eq!(added(dialect, &[("The-Source", "a b")]).unwrap(), expected);
        }
    }

    #[track_caller]
    fn check(dialect: Dialect, pairs: &[(&str, &str)], expected: &str) {
        let error = added(dialect, pairs).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.to_string().contains(expected), "{error}");
    }

    #[test]
    fn metadata_that_would_not_arrive_is_refused() {
        for name in ["", "a b", "a:b", "é", "a\r\nx-amz-acl", "a/b"] {
            check(Dialect::S3, &[(name, "v")], "a name that stores do not take; use letters");
        }
        for name in ["1a", "a.b"] {
            check(Dialect::Azure, &[(name, "v")], "no digit first");
        }
        for value in [" a", "a ", "a  b", "é", "a\r\nb", "a\tb", "\u{7f}"] {
            check(Dialect::S3, &[("a", value)], "a value that stores do not keep");
        }
        check(Dialect::Azure, &[("a-b", "1"), ("a_b", "2")], "given twice");
        check(
            Dialect::S3,
            &[("cogclip-write", "1")],
            "\"cogclip-write\" is given twice, or is cogclip's own",
        );
        check(Dialect::S3, &[("a", &"x".repeat(2_040))], "more than 2048 bytes");
    }
}
