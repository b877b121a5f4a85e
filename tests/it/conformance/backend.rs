//! What a store must offer to be tested, and how a case is run against it.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::time::Duration;

use cogclip::StoreOptions;
use cogclip::sink::SinkOptions;

use super::metadata_services;
use super::resource::Resource;

/// A store under test: how it is named, and how the tests look into it by means that are not ours.
pub(crate) trait Backend: Send + Sync {
    /// The location of `key`, as a user would write it.
    fn uri(&self, key: &str) -> String;

    /// Store options: the endpoint, and credentials that are valid.
    fn pairs(&self) -> Vec<(String, String)>;

    /// Somebody who may not do anything here; `None` where anybody may.
    fn stranger(&self) -> Option<Stranger>;

    /// Puts an object there, or replaces it.
    fn put(&self, key: &str, bytes: &[u8]);

    /// The object there; its ETag is empty where there are none.
    fn get(&self, key: &str) -> Option<Resource>;

    /// Removes the object there, if there is one.
    fn delete(&self, key: &str);

    /// What writing has begun and neither finished nor taken back.
    fn leftovers(&self) -> Vec<String>;

    /// Bytes that a part of an upload must at least have, for the store to take it.
    fn part_size(&self) -> u64;

    /// What does not hold here, and why.
    fn lacks(&self) -> &'static [Lack];
}

/// A case that does not hold for a store.
pub(crate) struct Lack {
    pub(crate) case: &'static str,
    /// Whether it fails each time: then it is an error when it holds.
    pub(crate) always: bool,
    pub(crate) reason: &'static str,
}

/// Somebody with credentials that are not valid.
pub(crate) struct Stranger {
    pub(crate) uri: String,
    pub(crate) pairs: Vec<(String, String)>,
    /// What no message may hold.
    pub(crate) secrets: Vec<String>,
}

/// `pairs`, so that waiting takes little time and nothing but this machine is asked.
pub(crate) fn options(pairs: Vec<(String, String)>) -> StoreOptions {
    StoreOptions {
        pairs,
        environment: metadata_services::environment(),
        max_retries: 3,
        backoff_base: Duration::from_millis(1),
        backoff_cap: Duration::from_millis(20),
        ..StoreOptions::default()
    }
}

/// The same for writing, with parts as small as the store takes them.
pub(crate) fn sink_options(backend: &dyn Backend) -> SinkOptions {
    SinkOptions {
        store: options(backend.pairs()),
        part_size: backend.part_size(),
        spill: backend.part_size(),
        ..SinkOptions::default()
    }
}

/// `key=value` pairs.
pub(crate) fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec()
}

/// A case under way.
pub(crate) type Running<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Runs a case. No metadata service may have been asked for credentials: there are some.
pub(crate) fn run(case: &str, backend: &dyn Backend, body: impl for<'a> Fn(&'a dyn Backend) -> Running<'a>) {
    let lack = backend.lacks().iter().find(|lack| lack.case == case);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let within = async {
        let limit = Duration::from_mins(5);
        assert!(tokio::time::timeout(limit, body(backend)).await.is_ok(), "it does not end");
    };
    let outcome = catch_unwind(AssertUnwindSafe(|| runtime.block_on(within)));
    metadata_services::assert_not_asked();
    match (lack, outcome) {
        (None, Err(panic)) => resume_unwind(panic),
        (Some(Lack { always: true, reason, .. }), Ok(())) => {
            panic!("{case} holds here, although it should not: {reason}")
        }
        (Some(Lack { reason, .. }), Err(_)) => println!("{case} does not hold here: {reason}"),
        (_, Ok(())) => {}
    }
}

/// The error and all its causes, as they are and as `Debug` shows them.
pub(crate) fn all_of(error: &cogclip::Error) -> String {
    let first: &dyn std::error::Error = error;
    let chain = std::iter::successors(Some(first), |&error| error.source());
    chain.map(|error| format!("{error} {error:?}")).collect::<Vec<_>>().join(" ")
}

/// Bytes in which each range differs from its neighbours.
pub(crate) fn sample(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        // Marsaglia's xorshift64.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Keys that must be encoded, some of them in more than one way to do it wrong.
pub(crate) const ODD_KEYS: &[&str] = &[
    "a b.tif",
    "a%20b.tif",
    "100%.tif",
    "a+b.tif",
    "größe/日本 🌍.tif",
    "e\u{301}.tif",
    "a#b.tif",
    "what?.tif",
    "a&b=c;d.tif",
    "(a)'b'!*~.tif",
    "a:b@c,d$.tif",
    "a[b]{c}|^`.tif",
    "\"a\"<b>.tif",
    "a\\b.tif",
    "deep/er/and.deeper/a",
];
