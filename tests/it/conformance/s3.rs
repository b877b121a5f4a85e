//! S3, by the crate s3s-fs.

use super::backend::{Backend, Lack, Stranger, pairs};
use super::resource::Resource;
use crate::s3s_server::S3sServer;

const ACCESS_KEY: &str = "AKIDCONFORMANCE";
const SECRET_KEY: &str = "conformance/SECRET+key";

/// A server that checks signatures.
pub(crate) struct S3s {
    server: S3sServer,
}

impl S3s {
    pub(crate) fn start() -> Self {
        Self { server: S3sServer::start(ACCESS_KEY, SECRET_KEY) }
    }

    fn pairs_with(&self, access_key: &str, secret_key: &str) -> Vec<(String, String)> {
        pairs([
            ("aws_endpoint", self.server.url().as_str()),
            ("aws_region", "us-east-1"),
            ("aws_access_key_id", access_key),
            ("aws_secret_access_key", secret_key),
        ])
    }
}

impl Backend for S3s {
    fn uri(&self, key: &str) -> String {
        format!("s3://bucket/{key}")
    }

    fn pairs(&self) -> Vec<(String, String)> {
        self.pairs_with(ACCESS_KEY, SECRET_KEY)
    }

    fn stranger(&self) -> Option<Stranger> {
        let secret = "WRONG/SECRET+key";
        let pairs = self.pairs_with(ACCESS_KEY, secret);
        let secrets = [secret, ACCESS_KEY].map(str::to_owned).to_vec();
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
        5 << 20
    }

    fn lacks(&self) -> &'static [Lack] {
        &[Lack {
            case: "copies_in_two_sections",
            always: true,
            reason: "s3s-fs wants parts numbered without gaps",
        }]
    }
}
