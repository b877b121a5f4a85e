//! A web server that gives its files to whoever has a signed URL. Read only, and public below `/public/`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use hyper::Version;
use tokio_rustls::rustls::ServerConfig;

use super::backend::{Backend, Lack, Stranger, pairs};
use super::listener::{Listener, encode, refusal};
use super::resource::Resource;
use super::tls::authority;

const SIGNATURE: &str = "WEB-SIGNATURE+/=";

/// A running server.
pub(crate) struct Web {
    listener: Listener,
    scheme: &'static str,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, Resource>,
    versions: u64,
    /// Of the requests so far.
    spoken: Vec<Version>,
}

impl Web {
    pub(crate) fn start() -> Self {
        Self::start_with(None)
    }

    /// By HTTP/2, with a certificate that nobody vouches for and that is taken all the same.
    pub(crate) fn start_http2() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::start_with(Some(authority(folder.path(), &[b"h2"])))
    }

    /// With TLS, if that is given.
    pub(crate) fn start_with(tls: Option<ServerConfig>) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let scheme = if tls.is_some() { "https" } else { "http" };
        let listener = Listener::start(tls, move |asked| {
            let mut state = shared.lock().unwrap();
            state.spoken.push(asked.version);
            if asked.parameter("signature").as_deref() != Some(SIGNATURE)
                && !asked.path.starts_with("/public/")
            {
                return refusal(403, "SignatureDoesNotMatch");
            }
            match (asked.method.as_str(), state.files.get(asked.path.trim_start_matches('/'))) {
                ("GET" | "HEAD", Some(file)) => file.answer(asked),
                ("GET" | "HEAD", None) => refusal(404, "NotFound"),
                _ => refusal(405, "MethodNotAllowed"),
            }
        });
        Self { listener, scheme, state }
    }

    /// `scheme://host:port/` and the key, as it is, of a file that needs no signature.
    pub(crate) fn public(&self, key: &str) -> String {
        format!("{}://{}/public/{}", self.scheme, self.listener.host(), encode(key))
    }

    /// Connections that were made, whatever became of them.
    pub(crate) fn connections(&self) -> usize {
        self.listener.connections()
    }

    /// The versions of HTTP in which requests have come.
    pub(crate) fn spoken(&self) -> Vec<Version> {
        self.state.lock().unwrap().spoken.clone()
    }
}

impl Backend for Web {
    fn uri(&self, key: &str) -> String {
        let (host, signature) = (self.listener.host(), encode(SIGNATURE).replace('/', "%2F"));
        format!("{}://{host}/{}?signature={signature}", self.scheme, encode(key))
    }

    fn pairs(&self) -> Vec<(String, String)> {
        if self.scheme == "https" { pairs([("allow_invalid_certificates", "true")]) } else { Vec::new() }
    }

    fn stranger(&self) -> Option<Stranger> {
        let secret = "WRONG-SIGNATURE";
        let uri = format!("{}://{}/a.tif?signature={secret}", self.scheme, self.listener.host());
        Some(Stranger { uri, pairs: self.pairs(), secrets: vec![secret.to_owned()] })
    }

    fn put(&self, key: &str, bytes: &[u8]) {
        let mut state = self.state.lock().unwrap();
        state.versions += 1;
        let file = Resource {
            bytes: bytes.to_vec().into(),
            etag: format!("\"{:x}-{}\"", state.versions, bytes.len()),
            modified: SystemTime::now(),
            content_type: None,
            metadata: BTreeMap::new(),
        };
        state.files.insert(key.to_owned(), file);
    }

    fn get(&self, key: &str) -> Option<Resource> {
        self.state.lock().unwrap().files.get(key).cloned()
    }

    fn delete(&self, key: &str) {
        self.state.lock().unwrap().files.remove(key);
    }

    fn leftovers(&self) -> Vec<String> {
        Vec::new()
    }

    fn part_size(&self) -> u64 {
        5000
    }

    fn lacks(&self) -> &'static [Lack] {
        &[Lack { case: "user_metadata", always: true, reason: "http:// is read only" }]
    }
}
