//! Google Cloud Storage, by our own server of its XML interface.

use std::time::Duration;

use cogclip::source::Source;

use super::backend::{Backend, Lack, Stranger, options, pairs, sample};
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
        self.server.uploads()
    }

    fn part_size(&self) -> u64 {
        MIN_PART as u64
    }

    fn lacks(&self) -> &'static [Lack] {
        &[]
    }
}

/// A token that the endpoint has issued, and that is refused (401) before the hour it was said to live is over, is replaced.
#[tokio::test]
async fn a_refused_token_is_renewed() {
    let google = Google::with_tokens_for(Duration::from_millis(300));
    let bytes = sample(5000, 1);
    google.put("a.tif", &bytes);
    let source = Source::open(&google.uri("a.tif"), &options(google.pairs())).unwrap();
    assert_eq!(source.head(100).await.unwrap(), bytes[..100]);
    let issued = google.server.issued();
    if issued == 0 {
        // Signed by the account itself: no token is issued that could expire.
        return;
    }
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(source.read(100..200).await.unwrap(), bytes[100..200]);
    assert_eq!((google.server.issued(), google.server.expired()), (issued + 1, 1));
}
