//! Where a store is asked, as whom, and with what.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;
use reqwest::header::{HeaderMap, HeaderValue};
use url::{Origin, Url};

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
    /// What a copy within the store needs to know; `None` where no store copies ranges.
    pub(crate) copying: Option<Copying>,
}

/// What a store must be told to copy from a bucket into another of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Copying {
    /// The name of the bucket.
    pub(crate) bucket: String,
    /// SHA-256 of all that was said of where the store is and of who asks: it is equal for two buckets of one store that are
    /// asked as one.
    pub(crate) store: [u8; 32],
    /// Whether who asks pays.
    pub(crate) payer: bool,
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
/// server than the URL's own; unlike curl, that is true of further headers too. Those given by keys are for the servers that
/// `http_origin` names, or else for the first that is asked for with these options or clones of them: a raster and a cutline may
/// be of different sites.
///
/// # Errors
/// [`crate::ErrorKind::Usage`] for credentials that contradict each other or that no header can carry, and for a second server
/// where no `http_origin` says for which the keys are.
pub(crate) fn web(url: &Url, shown: &str, options: &StoreOptions) -> Result<Endpoint> {
    keys::check_keys(options)?;
    let given = Given::new(Of::Web, options);
    let mut base = url.clone();
    let origins = origins(options)?;
    let is_for_others = !origins.is_empty() && !origins.contains(&url.origin());
    let mut headers = HeaderMap::new();
    for (key, value) in options.pairs.iter().filter(|_| !is_for_others) {
        if key.trim().eq_ignore_ascii_case("http_header")
            && let Some((name, value)) = keys::header(value)
            && let Some(value) = ascii(value)
        {
            headers.append(name, value);
        }
    }
    let own = |key| given.pair(key).filter(|_| !is_for_others);
    let decode = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
    let of_url = !url.username().is_empty() || url.password().is_some();
    let (user, password) = if of_url {
        (Some(decode(url.username())), url.password().map(decode))
    } else {
        let pair = |key| own(key).map(|value| value.as_bytes().to_vec());
        (pair("http_user"), pair("http_password"))
    };
    let token = own("http_bearer_token");
    let by_keys = !headers.is_empty() || (!of_url && (user.is_some() || token.is_some()));
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
    if by_keys && origins.is_empty() {
        let asked = url.origin().ascii_serialization();
        let first = options.connections.first_origin(&asked, options);
        if first != asked {
            return Err(Error::usage(format!(
                "{shown}: the store options http_user, http_bearer_token and http_header have been for {first}, and are not sent to \
                 {asked} unasked; say for which of the two they are: http_origin={first}, http_origin={asked}, or both"
            )));
        }
    }
    for (_, value) in &mut headers {
        value.set_sensitive(true);
    }
    let auth = if headers.is_empty() { Auth::nobody() } else { Auth::web(WebAuth::new(&base, headers)) };
    Ok(Endpoint { base, auth: auth.into(), settings: Settings::plain(), copying: None })
}

/// The servers that the keys of the web are for, if any is named.
fn origins(options: &StoreOptions) -> Result<Vec<Origin>> {
    let is_it = |key: &str| key.trim().eq_ignore_ascii_case("http_origin");
    let all = options.pairs.iter().filter(|(key, _)| is_it(key));
    all.map(|(_, value)| Ok(keys::web_url(value, "http_origin")?.origin())).collect()
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

    // A raster of one site and a cutline of another: what is for one never goes to the other.
    #[tokio::test]
    async fn keys_are_for_one_server() {
        let (first, second) = ("https://h:8443/a", "https://other/b");
        let origin = ("http_origin", "https://h:8443");
        for (pair, header) in [
            (("http_bearer_token", "hidden"), "authorization: Bearer hidden"),
            (("http_user", "hidden"), "authorization: Basic aGlkZGVuOg=="),
            (("http_header", "X-Key: hidden"), "x-key: hidden"),
        ] {
            // Named: the order does not count.
            for urls in [[first, second], [second, first]] {
                for url in urls {
                    let expected = if url == first { header } else { "" };
                    assert_eq!(sent(url, &[pair, origin], url).await.1, expected);
                }
            }
            let both = [pair, origin, ("HTTP_Origin ", "https://OTHER:443/")];
            assert_eq!(sent(second, &both, second).await.1, header);
            // Not named: the first, for clones as well.
            let options = StoreOptions {
                pairs: vec![(pair.0.to_owned(), pair.1.to_owned())],
                ..StoreOptions::default()
            };
            let web = |url: &str, options: &StoreOptions| web(&Url::parse(url).unwrap(), url, options);
            web(first, &options).unwrap();
            web("https://h:8443/other", &options.clone()).unwrap();
            for elsewhere in [second, "http://h:8443/a", "https://h/a"] {
                let clone = StoreOptions { max_retries: 1, ..options.clone() };
                let error = web(elsewhere, &clone).err().unwrap();
                let text = error.to_string();
                assert_eq!(error.kind(), ErrorKind::Usage);
                assert!(text.contains("http_origin=https://h:8443,") && !text.contains("hidden"), "{text}");
            }
        }
        // Those of a URL are its own, and do not count as first.
        let options = StoreOptions {
            pairs: vec![("http_bearer_token".to_owned(), "t".to_owned())],
            ..StoreOptions::default()
        };
        web(&Url::parse("https://u:p@other/b").unwrap(), "shown", &options).unwrap();
        web(&Url::parse(first).unwrap(), "shown", &options).unwrap();
        web(&Url::parse("https://u:p@other/b").unwrap(), "shown", &options).unwrap();
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
