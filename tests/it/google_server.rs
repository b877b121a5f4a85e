//! Google Cloud Storage's XML interface on loopback, with the tokens that it wants.
//!
//! Written after Google's documentation of the XML API (reference headers, conditions, multipart uploads) and of OAuth 2.0 for
//! service accounts, since no packaged emulator serves all of it. Every request for data needs a Bearer token that is alive: one
//! that the token endpoint has issued for a JWT signed by the service account or for a user's refresh token, or a JWT that the
//! service account has signed itself (AIP-4111). The account's key, `google_server/test-key-not-a-secret.pem`, was made for these tests and opens nothing.

mod objects;
mod requests;
mod tokens;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::conformance::listener::{Answer, Asked, Listener, answer, body, refusal, with};
use crate::conformance::resource::Resource;
use objects::Objects;
use tokens::Tokens;

/// A running server with the bucket `bucket`.
pub(crate) struct GoogleServer {
    listener: Listener,
    state: Arc<Mutex<State>>,
}

struct State {
    objects: Objects,
    tokens: Tokens,
}

impl GoogleServer {
    /// A server whose parts, but the last of an upload, have at least `min_part` bytes (Google's own is 5 MiB), and whose tokens
    /// live for so long.
    pub(crate) fn start(min_part: usize, life: Duration) -> Self {
        let state =
            Arc::new(Mutex::new(State { objects: Objects::new(min_part), tokens: Tokens::new(life) }));
        let shared = Arc::clone(&state);
        let listener = Listener::start(None, move |asked| shared.lock().unwrap().answer(asked));
        state.lock().unwrap().tokens.set_url(&format!("http://{}", listener.host()));
        Self { listener, state }
    }

    /// `http://127.0.0.1:port`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.listener.host())
    }

    /// The JSON file of the service account that may do anything here.
    pub(crate) fn service_account(&self) -> String {
        self.lock().tokens.service_account("reader@tests.invalid")
    }

    /// The JSON file of a service account that the server does not know.
    pub(crate) fn stranger(&self) -> String {
        self.lock().tokens.service_account("stranger@tests.invalid")
    }

    /// The JSON file of a user who may do anything here.
    pub(crate) fn user(&self) -> String {
        self.lock().tokens.user()
    }

    /// Different tokens that have been issued or, when the account has signed them itself, seen.
    pub(crate) fn tokens(&self) -> usize {
        self.lock().tokens.seen()
    }

    /// Requests that came with a token that was no longer alive.
    pub(crate) fn expired(&self) -> usize {
        self.lock().tokens.expired()
    }

    pub(crate) fn put(&self, key: &str, bytes: &[u8]) {
        self.lock().objects.put(key, bytes.to_vec().into());
    }

    pub(crate) fn get(&self, key: &str) -> Option<Resource> {
        self.lock().objects.get(key)
    }

    pub(crate) fn delete(&self, key: &str) {
        self.lock().objects.delete(key);
    }

    /// Uploads that have begun and have neither been completed nor aborted.
    pub(crate) fn uploads(&self) -> Vec<String> {
        self.lock().objects.uploads()
    }

    /// Objects that an upload was put together in, beside the one that was to be.
    pub(crate) fn beside(&self) -> Vec<String> {
        self.lock().objects.ending(".cogclip-part")
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn answer(&mut self, asked: &Asked) -> Answer {
        if asked.path == "/token" {
            return self.tokens.issue(asked);
        }
        let bearer = asked.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        if let Err((status, code)) = self.tokens.check(bearer) {
            let reply = refusal(status, code);
            return if status == 401 {
                with(reply, "www-authenticate", "Bearer realm=\"Storage\"")
            } else {
                reply
            };
        }
        let Some(rest) = asked.path.strip_prefix("/bucket") else { return refusal(404, "NoSuchBucket") };
        if let Some(refused) = Objects::refused_condition(asked) {
            return refused;
        }
        match (asked.method.as_str(), rest.trim_start_matches('/')) {
            ("GET", "") if asked.parameter("uploads").is_some() => self.objects.list_uploads(),
            ("GET", "") => self.objects.list(asked),
            ("GET" | "HEAD", key) => self.objects.read(key, asked),
            ("PUT", key) => self.objects.write(key, asked),
            ("POST", key) => self.objects.multipart(key, asked),
            ("DELETE", key) => self.objects.remove(key, asked),
            _ => refusal(405, "MethodNotAllowed"),
        }
    }
}

/// What stands between two tags, in order; escapes undone.
fn between(text: &str, before: &str, after: &str) -> Vec<String> {
    text.split(before)
        .skip(1)
        .filter_map(|rest| rest.split_once(after))
        .map(|(value, _)| {
            let value = value.replace("&quot;", "\"").replace("&#34;", "\"").replace("&apos;", "'");
            value.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        })
        .collect()
}

fn xml(text: String) -> Answer {
    with(body(answer(200), text), "content-type", "application/xml; charset=UTF-8")
}
