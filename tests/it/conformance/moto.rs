//! S3, by moto, which knows what Amazon's conditions mean. Started by `scripts/emulators`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use super::backend::{Backend, Lack, Stranger, pairs};
use super::listener::encode;
use super::raw_http::{Reply, ask};
use super::resource::Resource;

/// A bucket of its own in the one server.
pub(crate) struct Moto {
    host: String,
    bucket: String,
}

impl Moto {
    pub(crate) fn start() -> Self {
        static BUCKETS: AtomicUsize = AtomicUsize::new(0);
        let endpoint = std::env::var("CONFORMANCE_MOTO").expect(
            "CONFORMANCE_MOTO holds no endpoint: run scripts/emulators, which starts moto and sets it",
        );
        let host =
            endpoint.strip_prefix("http://").expect("http://host:port").trim_end_matches('/').to_owned();
        // Processes may come after each other.
        let number = BUCKETS.fetch_add(1, Ordering::Relaxed);
        let bucket = format!("conformance-{}-{number}", std::process::id());
        let moto = Self { host, bucket };
        moto.ask("PUT", "", &[]).expect(&[200]);
        moto
    }

    fn ask(&self, method: &str, rest: &str, body: &[u8]) -> Reply {
        // It reads who asks, and believes it.
        let authorization = "AWS4-HMAC-SHA256 Credential=LOOKING/20260101/us-east-1/s3/aws4_request, \
                             SignedHeaders=host, Signature=0";
        let headers = [("Authorization", authorization), ("x-amz-date", "20260101T000000Z")];
        ask(&self.host, method, &format!("/{}{rest}", self.bucket), &headers, body)
    }

    fn object(&self, method: &str, key: &str, body: &[u8]) -> Reply {
        self.ask(method, &format!("/{}", encode(key)), body)
    }
}

impl Backend for Moto {
    fn uri(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }

    fn pairs(&self) -> Vec<(String, String)> {
        pairs([
            ("aws_endpoint", format!("http://{}", self.host).as_str()),
            ("aws_region", "us-east-1"),
            ("aws_access_key_id", "AKIDCONFORMANCE"),
            ("aws_secret_access_key", "not-a-secret"),
        ])
    }

    fn stranger(&self) -> Option<Stranger> {
        None
    }

    fn put(&self, key: &str, bytes: &[u8]) {
        self.object("PUT", key, bytes).expect(&[200]);
    }

    fn get(&self, key: &str) -> Option<Resource> {
        let reply = self.object("GET", key, &[]).expect(&[200, 404]);
        (reply.status == 200).then(|| Resource {
            etag: reply.header("etag").unwrap_or_default(),
            modified: SystemTime::UNIX_EPOCH,
            content_type: reply.header("content-type"),
            metadata: reply.with_prefix("x-amz-meta-"),
            bytes: reply.body.into(),
        })
    }

    fn delete(&self, key: &str) {
        self.object("DELETE", key, &[]).expect(&[200, 204, 404]);
    }

    fn leftovers(&self) -> Vec<String> {
        let reply = self.ask("GET", "?uploads", &[]).expect(&[200]);
        let text = String::from_utf8(reply.body).unwrap();
        text.split("<UploadId>")
            .skip(1)
            .map(|rest| rest.split('<').next().unwrap_or_default().to_owned())
            .collect()
    }

    fn part_size(&self) -> u64 {
        5 << 20
    }

    fn lacks(&self) -> &'static [Lack] {
        &[
            Lack { case: "denied_listing", always: true, reason: "moto takes any key" },
            Lack { case: "denied_reading", always: true, reason: "moto takes any key" },
            Lack { case: "denied_writing", always: true, reason: "moto takes any key" },
        ]
    }
}
