//! Azure Blob Storage, by Azurite, which checks signatures. Started by `scripts/emulators`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::hmac;

use super::backend::{Backend, Lack, Stranger, pairs};
use super::listener::{decode, encode};
use super::raw_http::{Reply, ask};
use super::resource::{Resource, date};

/// Azurite's account and its key, which are the same everywhere and published in its documentation.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A container of its own in the one server.
pub(crate) struct Azurite {
    host: String,
    container: String,
}

impl Azurite {
    pub(crate) fn start() -> Self {
        static CONTAINERS: AtomicUsize = AtomicUsize::new(0);
        let endpoint = std::env::var("CONFORMANCE_AZURITE").expect(
            "CONFORMANCE_AZURITE holds no endpoint: run scripts/emulators, which starts Azurite and sets it",
        );
        let host =
            endpoint.strip_prefix("http://").expect("http://host:port").trim_end_matches('/').to_owned();
        let number = CONTAINERS.fetch_add(1, Ordering::Relaxed);
        let container = format!("conformance-{}-{number}", std::process::id());
        let azurite = Self { host, container };
        azurite.ask("PUT", "", &[("restype", "container")], &[], &[]).expect(&[201]);
        azurite
    }

    /// A request signed with the account's key (learn.microsoft.com, "Authorize with Shared Key"). Names of headers and
    /// parameters come in alphabetical order.
    fn ask(
        &self,
        method: &str,
        rest: &str,
        query: &[(&str, &str)],
        blob: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let path = format!("/{ACCOUNT}/{}{}", self.container, encode(rest));
        let now = date(SystemTime::now());
        let mut headers = blob.to_vec();
        headers.extend([("x-ms-date", now.as_str()), ("x-ms-version", "2021-12-02")]);
        let length = if body.is_empty() { String::new() } else { body.len().to_string() };
        let fields: String = headers.iter().map(|(name, value)| [name, ":", value, "\n"].concat()).collect();
        let parameters: String =
            query.iter().map(|(name, value)| ["\n", name, ":", value].concat()).collect();
        // The account stands twice: once as the account, once as the first segment of an emulator's path.
        let resource = format!("/{ACCOUNT}{path}{parameters}");
        let signed = format!("{method}\n\n\n{length}\n\n\n\n\n\n\n\n\n{fields}{resource}");
        let key = hmac::Key::new(hmac::HMAC_SHA256, &BASE64.decode(KEY).unwrap());
        let signature = BASE64.encode(hmac::sign(&key, signed.as_bytes()));
        let authorization = format!("SharedKey {ACCOUNT}:{signature}");
        headers.push(("Authorization", &authorization));
        let query: Vec<_> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let target = if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) };
        ask(&self.host, method, &target, &headers, body)
    }

    fn pairs_with(&self, key: &str) -> Vec<(String, String)> {
        pairs([
            ("azure_endpoint", format!("http://{}/{ACCOUNT}", self.host).as_str()),
            ("azure_storage_account_name", ACCOUNT),
            ("azure_storage_account_key", key),
        ])
    }
}

impl Backend for Azurite {
    fn uri(&self, key: &str) -> String {
        format!("az://{}/{key}", self.container)
    }

    fn pairs(&self) -> Vec<(String, String)> {
        self.pairs_with(KEY)
    }

    fn stranger(&self) -> Option<Stranger> {
        let secret = BASE64.encode("a key that was never given to anybody, of 64 bytes in all ......");
        let pairs = self.pairs_with(&secret);
        Some(Stranger { uri: self.uri("a.tif"), pairs, secrets: vec![secret] })
    }

    fn put(&self, key: &str, bytes: &[u8]) {
        let headers = [("x-ms-blob-type", "BlockBlob")];
        self.ask("PUT", &format!("/{key}"), &[], &headers, bytes).expect(&[201]);
    }

    fn get(&self, key: &str) -> Option<Resource> {
        let reply = self.ask("GET", &format!("/{key}"), &[], &[], &[]).expect(&[200, 404]);
        (reply.status == 200).then(|| Resource {
            etag: reply.header("etag").unwrap_or_default(),
            modified: SystemTime::UNIX_EPOCH,
            content_type: reply.header("content-type"),
            metadata: reply.with_prefix("x-ms-meta-"),
            bytes: reply.body.into(),
        })
    }

    fn delete(&self, key: &str) {
        self.ask("DELETE", &format!("/{key}"), &[], &[], &[]).expect(&[202, 404]);
    }

    /// Nothing: Azure has no uploads. Blocks that no list has made a blob of vanish after a week, or with the next list; nobody
    /// can remove them.
    fn leftovers(&self) -> Vec<String> {
        Vec::new()
    }

    fn part_size(&self) -> u64 {
        5000
    }

    fn lacks(&self) -> &'static [Lack] {
        &[Lack {
            case: "at_the_end",
            always: false,
            reason: "to a range from the very end on, Azurite answers 206 and bytes 10-9/10, not 416",
        }]
    }
}

#[test]
fn encoding_and_decoding_are_inverse() {
    for key in super::backend::ODD_KEYS {
        assert_eq!(decode(&encode(key)), *key);
    }
}
