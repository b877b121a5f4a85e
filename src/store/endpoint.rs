//! Where a store is asked, as whom, and with what.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;
use reqwest::header::{HeaderMap, HeaderValue};
use url::Url;

use super::StoreOptions;
use super::auth::{Auth, WebAuth};
use super::exchange::ascii;
use super::key_table::Of;
use super::keys::{self, Given};
use super::location::{Bucket, Cloud};
use super::{aws_endpoint, azure_endpoint, google_endpoint};
use crate::error::{Error, Result};

/// A bucket, a container, or a file of a web server.
pub(crate) struct Endpoint {
    /// The bucket's URL: '/' and the percent-encoded key come after its path, whose own '/' at the end (that of a host alone) does
    /// not count. Of the web: the file's own URL, without user and password.
    pub(crate) base: Url,
    /// As whom.
    pub(crate) auth: Arc<Auth>,
    pub(crate) settings: Settings,
}

/// What requests carry beside credentials.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// For what creates an object: PUT of a whole one, and the start of a multipart upload (on Azure: its last request too).
    pub(crate) put_headers: HeaderMap,
    /// For every other request of an object's bytes: GET, HEAD, PUT of a part (and the end of a multipart upload on S3).
    pub(crate) read_headers: HeaderMap,
    /// Whether the store knows If-None-Match when it writes.
    pub(crate) conditional_put: bool,
    /// What is sent with what is written.
    pub(crate) checksum: Checksum,
}

impl Settings {
    /// Nothing beside credentials.
    pub(crate) fn plain() -> Self {
        Self {
            put_headers: HeaderMap::new(),
            read_headers: HeaderMap::new(),
            conditional_put: true,
            checksum: Checksum::Md5,
        }
    }
}

/// Checksums that the store compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checksum {
    Md5,
    Sha256,
    Crc64nvme,
    None,
}

/// The endpoint of a bucket or container. Files are read, and nothing is asked yet.
///
/// # Errors
/// [`crate::ErrorKind::Usage`] for a configuration that is wrong or lacks something, [`crate::ErrorKind::Unsupported`] for a
/// kind of credential that is not supported, [`crate::ErrorKind::Io`] for a file that cannot be read.
pub(crate) fn bucket(bucket: &Bucket, shown: &str, options: &StoreOptions) -> Result<Endpoint> {
    keys::check_keys(options)?;
    let endpoint = match bucket.cloud {
        Cloud::S3 => aws_endpoint::bucket(bucket, options),
        Cloud::Google => google_endpoint::bucket(bucket, options),
        Cloud::Azure => azure_endpoint::bucket(bucket, options),
    };
    endpoint.map_err(|error| error.at(shown))
}

/// The endpoint of a URL. As curl does, credentials are sent over plain HTTP too when the user gives them, and never to another
/// server than the URL's own; unlike curl, that is true of further headers too.
///
/// # Errors
/// [`crate::ErrorKind::Usage`] for credentials that contradict each other or that no header can carry.
pub(crate) fn web(url: &Url, shown: &str, options: &StoreOptions) -> Result<Endpoint> {
    keys::check_keys(options)?;
    let given = Given::new(Of::Web, options);
    let mut base = url.clone();
    let mut headers = HeaderMap::new();
    for (key, value) in &options.pairs {
        if key.trim().eq_ignore_ascii_case("http_header")
            && let Some((name, value)) = keys::header(value)
            && let Some(value) = ascii(value)
        {
            headers.append(name, value);
        }
    }
    let decode = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
    let of_url = !url.username().is_empty() || url.password().is_some();
    let (user, password) = if of_url {
        (Some(decode(url.username())), url.password().map(decode))
    } else {
        let pair = |key| given.pair(key).map(|value| value.as_bytes().to_vec());
        (pair("http_user"), pair("http_password"))
    };
    let token = given.pair("http_bearer_token");
    let value = match (user, token) {
        // Those of the URL are nearer to it than those of all requests.
        (Some(user), _) if of_url || token.is_none() => {
            if user.contains(&b':') {
                return Err(Error::usage(format!(
                    "{shown}: a user of basic authentication has no ':' in its name"
                )));
            }
            let mut pair = user;
            pair.push(b':');
            pair.extend(password.unwrap_or_default());
            Some(format!("Basic {}", BASE64_STANDARD.encode(pair)))
        }
        (Some(_), Some(_)) => {
            return Err(Error::usage("http_user and http_bearer_token: give one of the two"));
        }
        (_, Some(token)) => Some(format!("Bearer {token}")),
        _ => None,
    };
    if let Some(value) = value {
        let mut value = HeaderValue::from_str(&value).map_err(|_cause| {
            Error::usage(format!("{shown}: the credentials have a character that is not printable ASCII"))
        })?;
        value.set_sensitive(true);
        headers.insert(reqwest::header::AUTHORIZATION, value);
    }
    // They cannot fail on a URL with a host.
    let removed = base.set_username("").is_ok() && base.set_password(None).is_ok();
    if !removed {
        return Err(Error::usage(format!("{shown} has no host")));
    }
    base.set_fragment(None);
    for (_, value) in &mut headers {
        value.set_sensitive(true);
    }
    let auth = if headers.is_empty() { Auth::nobody() } else { Auth::web(WebAuth::new(&base, headers)) };
    Ok(Endpoint { base, auth: auth.into(), settings: Settings::plain() })
}

/// Adds a bucket's name to the path of a URL, percent-encoded, and leaves no '/' at the end.
///
/// # Errors
/// [`crate::ErrorKind::Usage`] for a name that is no segment of a path.
pub(crate) fn add_segment(url: &mut Url, name: &str) -> Result<()> {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._$~".contains(&byte));
    if !is_plain || matches!(name, "." | "..") {
        return Err(Error::usage(format!(
            "{name:?} can be no bucket or container: use letters, digits, '-', '.' and '_'"
        )));
    }
    let path = format!("{}/{name}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::exchange::get;
    use super::*;
    use crate::error::ErrorKind;

    fn open(url: &str, pairs: &[(&str, &str)]) -> Result<Endpoint> {
        let pairs = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        web(&Url::parse(url).unwrap(), "shown", &StoreOptions { pairs, ..StoreOptions::default() })
    }

    /// The URL, and the headers of a request to `to`.
    async fn sent(url: &str, pairs: &[(&str, &str)], to: &str) -> (String, String) {
        let endpoint = open(url, pairs).unwrap();
        let mut request = get(Url::parse(to).unwrap());
        endpoint.auth.sign(&mut request).await.unwrap();
        assert!(request.headers.values().all(HeaderValue::is_sensitive));
        let mut all: Vec<String> = request
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        all.sort();
        (endpoint.base.to_string(), all.join("; "))
    }

    // What curl 7.88 sends for the same: base64 of `aladdin:open sesame` is RFC 7617's own example.
    #[tokio::test]
    async fn credentials_of_a_url_and_of_keys() {
        let plain = "https://h:8443/a?q=1";
        let basic = "authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
        for (url, pairs, expected) in [
            ("https://h:8443/a?q=1#f", vec![], ""),
            ("https://Aladdin:open%20sesame@h:8443/a?q=1", vec![], basic),
            ("https://Aladdin:open%20sesame@h:8443/a?q=1", vec![("http_bearer_token", "t")], basic),
            (plain, vec![("http_user", "Aladdin"), ("http_password", "open sesame")], basic),
            ("https://u@h:8443/a?q=1", vec![], "authorization: Basic dTo="),
            (plain, vec![("http_bearer_token", "t")], "authorization: Bearer t"),
            (
                plain,
                vec![("http_header", "X-A: 1"), ("HTTP_HEADER", "x-b:2"), ("http_header", "X-A: 3")],
                "x-a: 1; x-a: 3; x-b: 2",
            ),
        ] {
            assert_eq!(
                sent(url, &pairs, plain).await,
                (plain.to_owned(), expected.to_owned()),
                "{url} {pairs:?}"
            );
            for elsewhere in ["https://h/a", "https://other:8443/a", "http://h:8443/a"] {
                assert_eq!(sent(url, &pairs, elsewhere).await.1, "", "{elsewhere}");
            }
        }
    }

    #[test]
    fn what_is_refused() {
        let error = open("https://a%3Ab:hidden@h/", &[]).err().unwrap();
        assert!(error.kind() == ErrorKind::Usage && !error.to_string().contains("hidden"), "{error}");
        assert!(open("https://h/", &[("http_user", "u"), ("http_bearer_token", "t")]).is_err());
        assert!(
            open("https://h/", &[("http_usr", "u")])
                .err()
                .unwrap()
                .to_string()
                .contains("did you mean http_user?")
        );
    }

    #[test]
    fn a_bucket_is_a_segment() {
        let add = |base: &str, name: &str| {
            let mut url = Url::parse(base).unwrap();
            add_segment(&mut url, name).map(|()| url.to_string())
        };
        assert_eq!(add("http://h/", "b_c.d-e").unwrap(), "http://h/b_c.d-e");
        assert_eq!(add("http://h/p/", "$root").unwrap(), "http://h/p/$root");
        for name in ["..", "a/b", "a?b", "a b", "é", "a%2Fb"] {
            assert_eq!(add("http://h/", name).unwrap_err().kind(), ErrorKind::Usage, "{name}");
        }
    }
}
