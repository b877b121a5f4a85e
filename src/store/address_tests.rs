//! What is connected to, and what is not even looked up. The network of these tests is injected; what it says is reached are servers
//! of this machine.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::error::ErrorKind;
use crate::store::StoreOptions;
use crate::store::location::Location;
use crate::store::object::Object;

/// Names and their addresses; and what was asked of it.
#[derive(Default)]
struct Told {
    /// Answers to the look-ups of any name, one after the other, the last for ever.
    answers: Mutex<Vec<IpAddr>>,
    resolved: Mutex<Vec<String>>,
    connecting: Mutex<Vec<IpAddr>>,
}

impl Told {
    fn with(answers: &[&str]) -> Arc<Self> {
        let answers = answers.iter().map(|text| text.parse().unwrap()).collect();
        Arc::new(Self { answers: Mutex::new(answers), ..Self::default() })
    }
}

impl Network for Told {
    fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        self.resolved.lock().unwrap().push(name.to_owned());
        let mut answers = self.answers.lock().unwrap();
        Ok(vec![if answers.len() > 1 { answers.remove(0) } else { answers[0] }])
    }

    fn connecting(&self, addresses: &[IpAddr]) {
        self.connecting.lock().unwrap().extend(addresses);
    }
}

/// A server of this machine that answers everything alike, and closes; and how many connections it was brought.
fn server(answer: &'static str) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            seen.fetch_add(1, Ordering::SeqCst);
            drop(stream.read(&mut [0; 4096]));
            drop(stream.write_all(answer.as_bytes()));
        }
    });
    (address, count)
}

const BYTES: &str = "HTTP/1.1 206 Partial Content\r\nContent-Length: 4\r\nContent-Range: bytes 0-3/4\r\nETag: \"a\"\r\nConnection: close\r\n\r\nbody";

fn options(policy: AddressPolicy, keys: &[(&str, &str)]) -> StoreOptions {
    StoreOptions {
        pairs: keys.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        addresses: policy,
        max_retries: 2,
        backoff_base: std::time::Duration::from_millis(1),
        ..StoreOptions::default()
    }
}

async fn read(uri: &str, options: &StoreOptions) -> Result<bytes::Bytes> {
    let object = open(uri, options)?;
    let answer =
        tokio::time::timeout(std::time::Duration::from_secs(20), object.get(0..4, None)).await.unwrap();
    Ok(answer?.bytes)
}

fn open(uri: &str, options: &StoreOptions) -> Result<Object> {
    Object::open(&Location::parse(uri)?, &redact(uri), options, Arc::default())
}

#[tokio::test]
async fn addresses_that_are_not_public_are_never_connected_to() {
    for uri in [
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/latest/meta-data/",
        "http://127.0.0.1/x",
        "http://127.1/x",
        "http://0x7f000001/x",
        "http://2130706433/x",
        "http://0177.0.0.1/x",
        "http://[::1]/x",
        "http://[::ffff:169.254.169.254]/x",
        "http://[64:ff9b::a9fe:a9fe]/x",
        "http://127.0.0.1./x",
        "http://127.0.0.1:80@127.0.0.2/x",
        "http://%31%32%37.0.0.1/x",
        "http://127\u{3002}0\u{3002}0\u{ff0e}\u{ff11}/x",
        "http://0x7f.1/x",
        "http://017700000001/x",
        "http://127.0.0.1\\x",
        "http://[0:0:0:0:0:ffff:7f00:1]/x",
        "http://[::127.0.0.1]/x",
        "http://[::ffff:0:127.0.0.1]/x",
        "http://[64:ff9b:1::7f00:1]/x",
        "http://[2002:7f00:1::1]/x",
        "http://[2001:0:1::1]/x",
        "http://[ff02::1]/x",
        "http://[::]/x",
        "http://100.64.0.1/x",
        "http://168.63.129.16/x",
        "http://224.0.0.1/x",
        "http://255.255.255.255/x",
        "http://0.0.0.0/x",
        "https://10.0.0.1/x",
        "https://[fe80::1]/x",
        "https://user:secret@192.168.0.1/x",
    ] {
        let told = Told::with(&["93.184.216.34"]);
        let policy = AddressPolicy::public::<&str>(&[]).unwrap().on(Arc::clone(&told) as _);
        let error = read(uri, &options(policy, &[])).await.unwrap_err();
        assert!(error.is_forbidden() && error.kind() == ErrorKind::Usage, "{uri}: {error}");
        assert!(error.to_string().contains("is not public; who runs this"), "{uri}: {error}");
        assert!(!error.to_string().contains("secret"), "{error}");
        assert!(told.resolved.lock().unwrap().is_empty(), "{uri} was looked up");
        assert!(told.connecting.lock().unwrap().is_empty(), "{uri} was connected to");
    }
}

#[tokio::test]
async fn a_name_is_looked_up_and_its_address_judged_before_it_is_connected_to() {
    let (address, connections) = server(BYTES);
    let uri = format!("http://name.test:{}/x", address.port());
    for (answer, exceptions) in [
        ("127.0.0.1", vec![]),
        ("127.0.0.1", vec!["other.test", "127.0.0.2"]),
        ("::ffff:127.0.0.1", vec![]),
        ("::1", vec!["127.0.0.0/8"]),
    ] {
        let told = Told::with(&[answer]);
        let policy = AddressPolicy::public(&exceptions).unwrap().on(Arc::clone(&told) as _);
        let error = read(&uri, &options(policy, &[])).await.unwrap_err();
        assert!(error.is_forbidden(), "{error:?}");
        assert!(error.to_string().contains("name.test has an address that is not public"), "{error}");
        assert!(!error.with_causes().contains("127.0") && !error.with_causes().contains("::1"), "{error:?}");
        // Once: what is refused is not tried again.
        assert_eq!(*told.resolved.lock().unwrap(), ["name.test"]);
        assert!(told.connecting.lock().unwrap().is_empty());
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0);
    // The same is reached where it is allowed: what was refused could have been.
    for exception in ["name.test", "127.0.0.1", "127.0.0.0/8"] {
        let told = Told::with(&["127.0.0.1"]);
        let policy = AddressPolicy::public(&[exception]).unwrap().on(Arc::clone(&told) as _);
        assert_eq!(read(&uri, &options(policy, &[])).await.unwrap(), "body", "{exception}");
        assert_eq!(*told.connecting.lock().unwrap(), ["127.0.0.1".parse::<IpAddr>().unwrap()]);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_name_that_moves_to_this_machine_is_not_followed_there() {
    let (address, connections) = server(BYTES);
    let uri = format!("http://name.test:{}/x", address.port());
    // The first address is allowed as an exception, the second is the same machine's.
    let told = Told::with(&["127.0.0.1", "127.0.0.2"]);
    let policy = AddressPolicy::public(&["127.0.0.1"]).unwrap().on(Arc::clone(&told) as _);
    let options = options(policy, &[]);
    assert_eq!(read(&uri, &options).await.unwrap(), "body");
    assert!(read(&uri, &options).await.unwrap_err().is_forbidden());
    assert_eq!(told.connecting.lock().unwrap().len(), 1);
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_redirect_to_this_machine_is_not_followed() {
    let (inner, reached) = server(BYTES);
    for (to, looked_up) in
        [(format!("http://{inner}/x"), 1), (format!("http://inner.test:{}/x", inner.port()), 2)]
    {
        let answer =
            format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        let (outer, _) = server(answer.leak());
        // The server that redirects stands for one outside.
        let told = Told::with(&["127.0.0.1"]);
        let policy = AddressPolicy::public(&["outer.test"]).unwrap().on(Arc::clone(&told) as _);
        let uri = format!("http://outer.test:{}/x", outer.port());
        let anywhere = options(policy, &[("allow_redirects", "true")]);
        let error = read(&uri, &anywhere).await.unwrap_err();
        assert!(error.is_forbidden(), "{to}: {error}");
        assert_eq!(told.resolved.lock().unwrap().len(), looked_up, "{to}");
        assert_eq!(told.connecting.lock().unwrap().len(), 1, "{to}: only the first server was connected to");
    }
    assert_eq!(reached.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_redirect_within_a_server_leads_to_what_is_allowed_only() {
    let ends = |path: &str| {
        let answer = format!(
            "HTTP/1.1 302 Found\r\nLocation: {path}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        server(answer.leak())
    };
    for (path, is_followed) in [("/open/x", true), ("/closed/x?sig=secret", false)] {
        let (address, connections) = ends(path);
        let policy = AddressPolicy::public(&["127.0.0.1"]).unwrap();
        let policy = policy.redirecting(|url| url.path().starts_with("/open/"));
        let error = read(&format!("http://{address}/open/a"), &options(policy, &[])).await.unwrap_err();
        assert_eq!(error.is_forbidden(), !is_followed, "{path}: {error}");
        assert!(!error.to_string().contains("secret"), "{error}");
        // It redirects for ever.
        assert_eq!(connections.load(Ordering::SeqCst) > 1, is_followed, "{path}");
    }
}

#[test]
fn a_proxy_would_look_names_up_itself() {
    let keys = [("proxy_url", "http://127.0.0.1:9")];
    let guarded = options(AddressPolicy::public::<&str>(&[]).unwrap(), &keys);
    let error = open("http://name.test/x", &guarded).err().unwrap();
    assert!(error.kind() == ErrorKind::Usage && error.to_string().contains("proxy"), "{error}");
    assert!(open("http://name.test/x", &options(AddressPolicy::default(), &keys)).is_ok());
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "https_proxy", "HTTPS_PROXY"] {
        let environment = vec![(name.to_owned(), "http://127.0.0.1:9".to_owned())];
        let own = StoreOptions { environment, ..options(guarded.addresses.clone(), &[]) };
        let error = open("https://name.test/x", &own).err().unwrap();
        assert!(error.kind() == ErrorKind::Usage && error.to_string().contains("proxy"), "{name}: {error}");
    }
    // Stores are for whoever runs it to reach as he likes.
    let store = [keys[0], ("google_skip_signature", "true")];
    assert!(open("gs://bucket/x", &options(guarded.addresses, &store)).is_ok());
}

#[test]
fn by_the_registries_of_special_addresses() {
    for (address, expected) in [
        ("8.8.8.8", true),
        ("100.63.255.255", true),
        ("100.128.0.0", true),
        ("172.15.0.1", true),
        ("172.32.0.1", true),
        ("192.0.1.1", true),
        ("198.20.0.1", true),
        ("223.255.255.255", true),
        ("2606:4700::1111", true),
        ("2002:808:808::", true),
        ("64:ff9b::808:808", true),
        ("2001:200::1", true),
        ("0.0.0.0", false),
        ("0.1.2.3", false),
        ("10.0.0.1", false),
        ("100.64.0.1", false),
        ("100.100.100.200", false),
        ("127.0.0.1", false),
        ("168.63.129.16", false),
        ("169.254.169.254", false),
        ("172.16.0.1", false),
        ("192.0.0.192", false),
        ("192.0.2.1", false),
        ("192.88.99.1", false),
        ("192.168.1.1", false),
        ("198.18.0.1", false),
        ("198.51.100.1", false),
        ("203.0.113.1", false),
        ("224.0.0.1", false),
        ("240.0.0.1", false),
        ("255.255.255.255", false),
        ("::", false),
        ("::1", false),
        ("::127.0.0.1", false),
        ("::ffff:10.0.0.1", false),
        ("64:ff9b::a9fe:a9fe", false),
        ("64:ff9b:1::1", false),
        ("100::1", false),
        ("2001::1", false),
        ("2001:db8::1", false),
        ("2002:7f00:1::", false),
        ("3fff::1", false),
        ("fc00::1", false),
        ("fd00:ec2::254", false),
        ("fe80::1", false),
        ("fec0::1", false),
        ("ff02::1", false),
    ] {
        assert_eq!(is_public(address.parse().unwrap()), expected, "{address}");
    }
}

#[test]
fn exceptions() {
    for text in ["", "10.0.0.0/33", "10.0.0/8", "fd00::/129", "a b", "http://h", "h:80", "*"] {
        assert!(AddressPolicy::public(&[text]).is_err(), "{text:?}");
    }
    for (text, name, address, expected) in [
        ("10.1.0.0/16", "", "10.1.255.1", true),
        ("10.1.0.0/16", "", "10.2.0.1", false),
        ("10.1.0.0/16", "", "::ffff:10.1.0.1", true),
        ("0.0.0.0/0", "", "10.1.0.1", true),
        ("0.0.0.0/0", "", "fd00::1", false),
        ("[fd00::1]", "", "fd00::1", true),
        ("fd00::/8", "", "fdff::1", true),
        ("Minio.Internal.", "minio.internal", "10.0.0.1", true),
        ("minio.internal", "x.minio.internal", "10.0.0.1", false),
    ] {
        let has = Exception::parse(text).unwrap().has(name, address.parse().unwrap());
        assert_eq!(has, expected, "{text} {name} {address}");
    }
}
