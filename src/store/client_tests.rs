//! Against servers of this machine; the certificates are OpenSSL's (scripts/make-tls-fixtures.sh).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use reqwest::Method;
use reqwest::header::HeaderMap;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use url::Url;

use super::*;
use crate::error::ErrorKind;
use crate::store::auth::Auth;
use crate::store::request::{Request, Verdict};
use crate::store::scripted::Scripted;
use crate::store::tally::Tally;
use crate::store::transport::{Call, Redirects, Transport};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/tls").join(name)
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn options(keys: &[(&str, &str)], environment: &[(&str, &str)]) -> StoreOptions {
    StoreOptions {
        pairs: pairs(keys),
        environment: pairs(environment),
        max_retries: 3,
        backoff_base: Duration::from_millis(1),
        ..StoreOptions::default()
    }
}

/// What TLS servers have negotiated.
type Protocols = Arc<Mutex<Vec<Option<Vec<u8>>>>>;

/// A TLS server that would speak HTTP/2, and answers in HTTP/1.1.
fn tls_server() -> (SocketAddr, Protocols) {
    install_tls();
    let chain = vec![CertificateDer::from_pem_file(fixture("server.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(fixture("server.key")).unwrap();
    let mut config =
        rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let config = Arc::new(config);
    let protocols = Protocols::default();
    let seen = Arc::clone(&protocols);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            let (config, seen) = (Arc::clone(&config), Arc::clone(&seen));
            std::thread::spawn(move || {
                stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                let server = rustls::ServerConnection::new(config).unwrap();
                let mut stream = rustls::StreamOwned::new(server, stream);
                let mut head = [0; 4096];
                if stream.read(&mut head).is_ok_and(|read| read > 0) {
                    seen.lock().unwrap().push(stream.conn.alpn_protocol().map(<[u8]>::to_vec));
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody";
                    drop(stream.write_all(answer));
                }
            });
        }
    });
    (address, protocols)
}

/// The body of what is there, or the message of the error, and how often it was tried.
async fn get(options: &StoreOptions, kind: Kind, url: &str) -> (std::result::Result<String, String>, u64) {
    let transport = Transport::new(HttpClient::new(options, kind).unwrap(), options, "server".into());
    let request = Request {
        method: Method::GET,
        url: Url::parse(url).unwrap(),
        headers: HeaderMap::new(),
        body: Vec::new(),
        sha256: None,
    };
    let (tally, auth) = (Tally::default(), Auth::nobody());
    let call = Call {
        shown: "SHOWN",
        doing: "reading",
        request: &request,
        auth: &auth,
        most: 100,
        tally: &tally,
        counted: true,
        hedge: false,
        redirects: Redirects::No,
        lost: None,
    };
    let made = transport.call(call, |response, _| Verdict::Done(response.body));
    let answer = tokio::time::timeout(Duration::from_secs(30), made).await.unwrap();
    let requests = tally.requests.load(std::sync::atomic::Ordering::Relaxed);
    let body = answer.map(|body| String::from_utf8(body.to_vec()).unwrap());
    (body.map_err(|error| error.to_string()), requests)
}

#[tokio::test]
async fn only_who_is_trusted_is_asked() {
    let (address, protocols) = tls_server();
    let url = format!("https://{address}/");
    let root = fixture("root.pem");
    let root = root.to_str().unwrap();
    // No other root vouches for it, and to ask again does not help.
    let (answer, requests) = get(&options(&[], &[]), Kind::Store, &url).await;
    let text = answer.unwrap_err();
    assert!(
        text.starts_with("SHOWN: the server's certificate is not trusted") && text.contains("SSL_CERT_FILE"),
        "{text}"
    );
    assert_eq!(requests, 1);
    let (answer, _) = get(&options(&[], &[("SSL_CERT_FILE", root)]), Kind::Store, &url).await;
    assert_eq!(answer.unwrap(), "body");
    assert_eq!(protocols.lock().unwrap().pop(), Some(Some(b"http/1.1".to_vec())));
    // It is not HTTP/2 that it answers, so that this is all there is to see.
    get(&options(&[], &[("SSL_CERT_FILE", root)]), Kind::Web, &url).await.0.unwrap_err();
    assert_eq!(protocols.lock().unwrap().pop(), Some(Some(b"h2".to_vec())));
    let folder = fixture("");
    let (answer, _) =
        get(&options(&[], &[("SSL_CERT_DIR", folder.to_str().unwrap())]), Kind::Store, &url).await;
    assert_eq!(answer.unwrap(), "body");
    let (answer, _) = get(&options(&[("allow_invalid_certificates", "true")], &[]), Kind::Store, &url).await;
    assert_eq!(answer.unwrap(), "body");
    // Its name is its address.
    let named = url.replace("127.0.0.1", "localhost");
    let (answer, requests) = get(&options(&[], &[("SSL_CERT_FILE", root)]), Kind::Store, &named).await;
    assert!(answer.unwrap_err().contains("it is for another name"));
    assert_eq!(requests, 1);
}

#[track_caller]
fn refused(keys: &[(&str, &str)], environment: &[(&str, &str)], expected: &str) {
    let client = HttpClient::new(&options(keys, environment), Kind::Web);
    let error = client.and_then(|client| client.trusting().map(drop)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    let text = format!("{error}: {:?}", std::error::Error::source(&error));
    assert!(text.contains(expected) && !text.contains("SECRET"), "{text}");
}

#[test]
fn values_are_checked() {
    refused(&[("timeout", "soon")], &[], "timeout is not a time");
    refused(&[("aws_read_timeout", "-1s")], &[], "read_timeout is not a time");
    refused(&[("connect_timeout", "")], &[], "connect_timeout is not a time");
    refused(&[("http1_only", "maybe")], &[], "http1_only is neither true nor false");
    refused(&[("http1_only", "true"), ("http2_only", "true")], &[], "exclude each other");
    refused(&[("pool_max_idle_per_host", "-1")], &[], "is not a number");
    refused(&[("proxy_url", "http://u:SECRET@ ")], &[], "proxy_url is not the URL of a proxy");
    refused(&[], &[("HTTPS_PROXY", "http://u:SECRET@:99999")], "https_proxy is not the URL of a proxy");
    refused(&[], &[("SSL_CERT_FILE", "/nowhere/at/all")], "SSL_CERT_FILE: /nowhere/at/all cannot be read");
    refused(&[], &[("SSL_CERT_DIR", "/nowhere/at/all")], "SSL_CERT_DIR: /nowhere/at/all cannot be read");
    let key = fixture("server.key");
    refused(&[], &[("SSL_CERT_FILE", key.to_str().unwrap())], "name no certificate");
}

#[tokio::test]
async fn roots_are_read_when_a_url_needs_them() {
    let server = Scripted::new(|mut asked| asked.answer("200 OK", "", "plain"));
    let plain = server.url("/a");
    let secure = Url::parse("https://127.0.0.1:9/").unwrap();
    let nowhere = [("SSL_CERT_FILE", "/nowhere/at/all")];
    let client = HttpClient::new(&options(&[], &nowhere), Kind::Web).unwrap();
    let answer = client.of(&plain).unwrap().execute(reqwest::Request::new(Method::GET, plain.clone()));
    assert_eq!(answer.await.unwrap().text().await.unwrap(), "plain");
    let error = client.of(&secure).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    // The way to a proxy may need them.
    let proxied = HttpClient::new(&options(&[("proxy_url", "https://127.0.0.1:9")], &nowhere), Kind::Store);
    assert_eq!(proxied.unwrap().of(&plain).unwrap_err().kind(), ErrorKind::Usage);
    let root = fixture("root.pem");
    let named = [("SSL_CERT_FILE", root.to_str().unwrap())];
    let client = HttpClient::new(&options(&[], &named), Kind::Web).unwrap();
    assert!(std::ptr::eq(client.of(&secure).unwrap(), client.of(&secure).unwrap()));
}

#[test]
fn keys_have_prefixes_and_the_last_counts() {
    let options = options(&[("AWS_Timeout", "1s"), ("timeout", " 2s "), ("timeouts", "3s")], &[]);
    assert_eq!(duration(&options, "timeout").unwrap(), Some(Duration::from_secs(2)));
    assert_eq!(key(&options, "read_timeout"), None);
    // As the check of all options takes it.
    let blank = self::options(&[("timeout ", "1s"), (" aws_http1_only", "on")], &[]);
    assert_eq!(duration(&blank, "timeout").unwrap(), Some(Duration::from_secs(1)));
    assert_eq!(flag(&blank, "http1_only").unwrap(), Some(true));
}

#[test]
fn versions() {
    for (keys, store, web) in [
        (vec![], Version::One, Version::Negotiated),
        (vec![("http1_only", "true")], Version::One, Version::One),
        (vec![("http1_only", "false")], Version::Negotiated, Version::Negotiated),
        (vec![("http2_only", "true")], Version::Two, Version::Two),
        (vec![("http2_only", "false")], Version::One, Version::Negotiated),
        (vec![("http2_only", "true"), ("http1_only", "false")], Version::Two, Version::Two),
    ] {
        let options = options(&keys, &[]);
        assert!(version(&options, Kind::Store).unwrap() == store, "{keys:?}");
        assert!(version(&options, Kind::Web).unwrap() == web, "{keys:?}");
    }
}

#[tokio::test]
async fn proxies_are_asked_as_the_environment_says() {
    let proxy = Scripted::new(|mut asked| {
        let target = asked.head.split_whitespace().nth(1).unwrap().to_owned();
        asked.answer("200 OK", "", &target);
    });
    let direct = Scripted::new(|mut asked| asked.answer("200 OK", "", "direct"));
    let at = proxy.url("").to_string();
    let target = direct.url("/a").to_string();
    let with_port = format!("x,{}", direct.address);
    let through = Ok(target.clone());
    let not = Ok("direct".to_owned());
    for (keys, environment, kind, expected) in [
        (vec![], vec![("http_proxy", at.as_str())], Kind::Web, &through),
        (vec![], vec![("HTTP_PROXY", at.as_str())], Kind::Store, &through),
        (vec![], vec![("all_proxy", at.as_str())], Kind::Store, &through),
        (vec![("proxy_url", at.as_str())], vec![], Kind::Store, &through),
        (vec![("aws_proxy_url", at.as_str())], vec![("no_proxy", "*")], Kind::Store, &through),
        (vec![], vec![("http_proxy", at.as_str())], Kind::Metadata, &not),
        (vec![], vec![("https_proxy", at.as_str())], Kind::Web, &not),
        (vec![], vec![("HTTP_PROXY", at.as_str()), ("REQUEST_METHOD", "GET")], Kind::Web, &not),
        (vec![], vec![("http_proxy", at.as_str()), ("NO_PROXY", "x, 127.0.0.0/8")], Kind::Web, &not),
        (vec![("proxy_url", at.as_str()), ("proxy_excludes", "127.0.0.1")], vec![], Kind::Web, &not),
        (vec![], vec![("http_proxy", at.as_str()), ("NO_PROXY", "*")], Kind::Web, &not),
        (vec![], vec![("http_proxy", at.as_str()), ("NO_PROXY", "x, *")], Kind::Web, &not),
        (vec![("proxy_url", at.as_str()), ("proxy_excludes", "*")], vec![], Kind::Web, &not),
        (vec![], vec![("http_proxy", at.as_str()), ("NO_PROXY", with_port.as_str())], Kind::Web, &not),
        (vec![], vec![("http_proxy", at.as_str()), ("NO_PROXY", "127.0.0.1:1")], Kind::Web, &through),
        (vec![], vec![("http_proxy", at.as_str()), ("NO_PROXY", "127.0.0.1:1 127.0.0.1")], Kind::Web, &not),
        (vec![], vec![("https_proxy", at.as_str()), ("NO_PROXY", "127.0.0.1:1")], Kind::Web, &not),
        (vec![("proxy_url", at.as_str()), ("proxy_excludes", with_port.as_str())], vec![], Kind::Web, &not),
        (vec![], vec![], Kind::Web, &not),
    ] {
        let (answer, _) = get(&options(&keys, &environment), kind, &target).await;
        assert_eq!(&answer, expected, "{keys:?} {environment:?} {kind:?}");
    }
    // Ports change nothing of how the proxy itself is asked.
    let before = proxy.requests();
    let secret = at.replace("http://", "http://Aladdin:open%20sesame@");
    for list in ["x", "x:1"] {
        let (answer, _) =
            get(&options(&[("proxy_url", &secret), ("proxy_excludes", list)], &[]), Kind::Web, &target).await;
        assert_eq!(answer, through, "{list}");
    }
    let heads = proxy.heads.lock().unwrap()[before..].concat().to_ascii_lowercase();
    assert_eq!(
        heads.matches("proxy-authorization: basic qwxhzgrpbjpvcgvuihnlc2ftzq==").count(),
        2,
        "{heads}"
    );
}

// By what curl, Go's httpproxy and Python's requests document of NO_PROXY.
#[test]
fn hosts_without_proxy() {
    for (list, url, expected) in [
        ("*", "http://10.0.0.1/", true),
        ("x,*", "https://a.org/", true),
        ("", "http://a.org/", false),
        (",a.org", "http://A.org./", true),
        ("a.org", "http://x.a.org/", true),
        (".a.org", "http://x.a.org/", true),
        ("*.a.org", "http://x.a.org/", true),
        ("a.org", "http://xa.org/", false),
        ("x.a.org", "http://a.org/", false),
        (".", "http://a.org/", false),
        ("a.org:8080", "http://a.org:8080/", true),
        ("a.org:8080", "http://x.a.org:8080/", true),
        ("a.org:8080", "http://a.org/", false),
        ("a.org:80", "http://a.org/", true),
        ("a.org:443", "https://a.org/", true),
        ("a.org:443", "http://a.org/", false),
        ("*:8080", "http://a.org:8080/", true),
        ("10.0.0.0/8", "http://10.255.0.1/", true),
        ("10.0.0.0/8", "http://11.0.0.1/", false),
        ("10.0.0.0/8:80", "http://10.0.0.1/", true),
        ("10.0.0.0/8:80", "http://10.0.0.1:81/", false),
        ("10.0.0.0/x", "http://10.0.0.1/", false),
        ("0.0.0.0/0", "http://10.0.0.1/", true),
        ("0.0.0.0/0", "http://[::1]/", false),
        ("10.0.0.1", "http://10.0.0.1:9/", true),
        ("10.0.0.1", "http://10.0.0.2:9/", false),
        ("::1", "http://[::1]/", true),
        ("[::1]", "http://[::1]:8/", true),
        ("[::1]:8", "http://[::1]:8/", true),
        ("[::1]:8", "http://[::1]/", false),
        ("fd00::/8", "http://[fd12::1]/", true),
        ("fd00::/8", "http://[fe80::1]/", false),
    ] {
        assert_eq!(Direct::of(list).has(&Url::parse(url).unwrap()), expected, "{list:?} {url}");
    }
}

#[tokio::test]
async fn the_certificates_of_aws_are_for_aws() {
    let (address, _) = tls_server();
    let url = format!("https://{address}/");
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config");
    let (root, key) = (fixture("root.pem"), fixture("server.key"));
    let (root, key) = (root.to_str().unwrap(), key.to_str().unwrap());
    std::fs::write(&config, format!("[default]\nca_bundle = {root}\n[profile none]\n")).unwrap();
    let file = ("AWS_CONFIG_FILE", config.to_str().unwrap());
    for (keys, environment, trusted) in [
        (vec![], vec![("AWS_CA_BUNDLE", root)], true),
        (vec![("ca_bundle", root)], vec![("AWS_CA_BUNDLE", "/nowhere")], true),
        (vec![], vec![file], true),
        (vec![("profile", "none")], vec![file], false),
        (vec![("profile", "none")], vec![file, ("SSL_CERT_FILE", root)], true),
    ] {
        let options = options(&keys, &environment);
        let (answer, _) = get(&options, Kind::Aws, &url).await;
        assert_eq!(answer.is_ok(), trusted, "{keys:?} {environment:?}: {answer:?}");
        let others = environment.iter().any(|(name, _)| *name == "SSL_CERT_FILE");
        assert_eq!(get(&options, Kind::Store, &url).await.0.is_ok(), others, "{keys:?} {environment:?}");
    }
    for (path, part) in [("/nowhere", "aws_ca_bundle: /nowhere cannot be read"), (key, "has no certificate")]
    {
        let client = HttpClient::new(&options(&[], &[("AWS_CA_BUNDLE", path)]), Kind::Aws).unwrap();
        let error = client.trusting().map(drop).unwrap_err();
        assert!(error.kind() == ErrorKind::Usage && error.to_string().contains(part), "{error}");
    }
}

#[tokio::test]
async fn requests_say_who_asks() {
    let server = Scripted::new(|mut asked| asked.answer("200 OK", "", ""));
    let url = server.url("/").to_string();
    get(&options(&[], &[]), Kind::Store, &url).await.0.unwrap();
    get(&options(&[("user_agent", "me/1")], &[]), Kind::Store, &url).await.0.unwrap();
    let heads = server.heads.lock().unwrap();
    assert!(heads[0].contains(concat!("user-agent: cogclip/", env!("CARGO_PKG_VERSION"))), "{heads:?}");
    assert!(heads[1].contains("user-agent: me/1"), "{heads:?}");
}
