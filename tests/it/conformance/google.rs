//! Google Cloud Storage, by our own server of its XML interface.

use std::time::Duration;

use cogclip::source::Source;

use super::backend::{Backend, Lack, Stranger, options, pairs, sample};
use super::metadata_services;
use super::resource::Resource;
use crate::google_server::GoogleServer;

/// Small, so that there can be many: Google's own is 5 MiB.
const MIN_PART: usize = 5000;

/// A server and the service account that is known there.
pub(crate) struct Google {
    server: GoogleServer,
}

impl Google {
    pub(crate) fn start() -> Self {
        Self::with_tokens_for(Duration::from_hours(1))
    }

    fn with_tokens_for(life: Duration) -> Self {
        Self { server: GoogleServer::start(MIN_PART, life) }
    }

    fn pairs_of(&self, account: &str) -> Vec<(String, String)> {
        pairs([("google_base_url", self.server.url().as_str()), ("google_service_account_key", account)])
    }
}

impl Backend for Google {
    fn uri(&self, key: &str) -> String {
        format!("gs://bucket/{key}")
    }

    fn pairs(&self) -> Vec<(String, String)> {
        self.pairs_of(&self.server.service_account())
    }

    fn stranger(&self) -> Option<Stranger> {
        let pairs = self.pairs_of(&self.server.stranger());
        // A line out of the key's middle, and what every JWT and token starts with.
        let key = include_str!("../google_server/test-key-not-a-secret.pem").lines().nth(9).unwrap();
        let secrets = [key, "eyJ", "ya29."].map(str::to_owned).to_vec();
        Some(Stranger { uri: self.uri("a.tif"), pairs, secrets })
    }

    fn put(&self, key: &str, bytes: &[u8]) {
        self.server.put(key, bytes);
    }

    fn get(&self, key: &str) -> Option<Resource> {
        self.server.get(key)
    }

    fn delete(&self, key: &str) {
        self.server.delete(key);
    }

    fn leftovers(&self) -> Vec<String> {
        [self.server.uploads(), self.server.beside()].concat()
    }

    fn part_size(&self) -> u64 {
        MIN_PART as u64
    }

    fn lacks(&self) -> &'static [Lack] {
        &[]
    }
}

/// A token that is refused (401) before the hour it was said to live is over is replaced, and nobody notices.
async fn renewed(google: &Google, pairs: Vec<(String, String)>) {
    let bytes = sample(5000, 1);
    google.put("a.tif", &bytes);
    let source = Source::open(&google.uri("a.tif"), &options(pairs)).unwrap();
    assert_eq!(source.head(100).await.unwrap(), bytes[..100]);
    assert_eq!((google.server.tokens(), google.server.expired()), (1, 0));
    // A JWT counts time in seconds: one of the same second would be the same.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(source.read(100..200).await.unwrap(), bytes[100..200]);
    assert_eq!((google.server.tokens(), google.server.expired()), (2, 1));
    metadata_services::assert_not_asked();
}

#[tokio::test]
async fn a_service_accounts_token_is_renewed() {
    let google = Google::with_tokens_for(Duration::from_secs(1));
    renewed(&google, google.pairs()).await;
}

#[tokio::test]
async fn a_users_token_is_renewed() {
    let google = Google::with_tokens_for(Duration::from_secs(1));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("application_default_credentials.json");
    std::fs::write(&file, google.server.user()).unwrap();
    let url = google.server.url();
    // The server is its own proxy: whatever is asked for a token, nothing leaves this machine.
    let pairs = pairs([
        ("google_base_url", url.as_str()),
        ("google_application_credentials", file.to_str().unwrap()),
        ("proxy_url", &url),
    ]);
    renewed(&google, pairs).await;
}
