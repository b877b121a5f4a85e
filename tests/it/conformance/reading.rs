//! Reading: what every store must give, and how it must say what it cannot give.

use std::time::Duration;

use cogclip::source::Source;
use cogclip::{Error, ErrorKind};
use futures::future::try_join_all;

use super::backend::{Backend, ODD_KEYS, Stranger, all_of, options, sample};
use super::clipping::cogclip;

#[track_caller]
fn open(backend: &dyn Backend, key: &str) -> Source {
    Source::open(&backend.uri(key), &options(backend.pairs())).unwrap()
}

#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(what: &str, result: Result<T, Error>, kind: ErrorKind, says: &str) {
    let error = result.expect_err(what);
    assert_eq!(error.kind(), kind, "{what}: {error}");
    assert!(error.to_string().contains(says), "{what}: {error}");
}

/// The first bytes, and size and ETag as the store has them.
pub(crate) async fn head_and_meta(backend: &dyn Backend) {
    let bytes = sample(5000, 1);
    backend.put("a.tif", &bytes);
    for len in [1, 300, 4999, 5000, 5001, 1 << 20] {
        let source = open(backend, "a.tif");
        assert_eq!(source.head(len).await.unwrap(), bytes[..bytes.len().min(len.try_into().unwrap())]);
        let meta = source.meta().unwrap();
        assert_eq!(meta.size, 5000);
        let etag = backend.get("a.tif").unwrap().etag;
        if !etag.is_empty() {
            assert_eq!(meta.etag, Some(etag));
            assert!(meta.last_modified.is_some_and(|date| date.ends_with(" GMT")));
        }
        assert_eq!(source.stats().retries, 0);
    }
}

/// Exactly the bytes of any range: the first and the last byte, all, none, and many others.
pub(crate) async fn any_range(backend: &dyn Backend) {
    let bytes = sample(70_001, 2);
    backend.put("a.tif", &bytes);
    let source = open(backend, "a.tif");
    let size = bytes.len();
    let mut ranges = vec![0..1, size - 1..size, 0..size, size / 2..size, 0..size - 1, 7..7];
    let places: Vec<_> = sample(400, 3)
        .chunks(4)
        .map(|four| u32::from_le_bytes(four.try_into().unwrap()) as usize % size)
        .collect();
    ranges.extend(places.chunks(2).map(|pair| pair[0].min(pair[1])..pair[0].max(pair[1])));
    for range in ranges {
        let got = source.read(range.start as u64..range.end as u64).await.unwrap();
        assert!(got == bytes[range.clone()], "{range:?}");
    }
}

/// Nothing lies beyond the end, whether or not the size is known already.
pub(crate) async fn past_the_end(backend: &dyn Backend) {
    let bytes = sample(10, 4);
    backend.put("a.tif", &bytes);
    let says = "beyond the end";
    refused("wholly", open(backend, "a.tif").read(20..30).await, ErrorKind::Format, says);
    refused("far", open(backend, "a.tif").read(1 << 40..1 << 41).await, ErrorKind::Format, says);
    refused("partly", open(backend, "a.tif").read(9..11).await, ErrorKind::Format, says);
    let source = open(backend, "a.tif");
    source.head(4).await.unwrap();
    refused("pinned", source.read(5..11).await, ErrorKind::Format, says);
    assert_eq!(source.read(9..10).await.unwrap(), bytes[9..]);
}

/// Nor at the very end.
pub(crate) async fn at_the_end(backend: &dyn Backend) {
    backend.put("a.tif", &sample(10, 4));
    let at_end = open(backend, "a.tif").read(10..11).await;
    refused("at the end", at_end, ErrorKind::Format, "beyond the end");
}

/// An empty object has no bytes, and that is no error.
pub(crate) async fn empty_object(backend: &dyn Backend) {
    backend.put("empty.tif", &[]);
    let source = open(backend, "empty.tif");
    assert_eq!(source.head(100).await.unwrap().len(), 0);
    assert_eq!(source.meta().unwrap().size, 0);
    assert_eq!(source.read(0..0).await.unwrap().len(), 0);
    refused("a byte", source.read(0..1).await, ErrorKind::Format, "beyond the end (0)");
}

/// A key is taken literally, whatever is in it.
pub(crate) async fn odd_keys(backend: &dyn Backend) {
    for (seed, key) in (100..).zip(ODD_KEYS) {
        backend.put(key, &sample(50, seed));
    }
    for (seed, key) in (100..).zip(ODD_KEYS) {
        let source = open(backend, key);
        let got = source.head(100).await.unwrap_or_else(|error| panic!("{key}: {error}"));
        assert_eq!(got, sample(50, seed), "{key}");
        assert_eq!(source.read(49..50).await.unwrap(), sample(50, seed)[49..], "{key}");
    }
}

/// What is not there is not found: exit code 5.
pub(crate) async fn missing_object(backend: &dyn Backend) {
    backend.put("there.tif", &sample(10, 5));
    let source = open(backend, "missing/a.tif");
    let error = source.head(100).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    let said = all_of(&error).to_lowercase();
    assert!(said.contains("not found") || said.contains("no such file"), "{said}");
    assert!(error.to_string().contains("missing/a.tif"), "{error}");
    assert_eq!(source.stats().retries, 0, "what is missing is not asked for again");

    let output = cogclip(backend, &["info", &backend.uri("missing/a.tif")], &[]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(5), "{stderr}");
    assert!(stderr.contains("missing/a.tif"), "{stderr}");
}

/// An object that is replaced between two reads is a change, even by one of the same size.
pub(crate) async fn replaced_object(backend: &dyn Backend) {
    backend.put("a.tif", &sample(5000, 6));
    let source = open(backend, "a.tif");
    source.head(100).await.unwrap();
    // So that the date differs, too, where it counts in seconds.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    backend.put("a.tif", &sample(5000, 7));
    let changed = source.read(100..200).await;
    refused("same size", changed, ErrorKind::Changed, "a.tif changed while it was read");
    backend.put("a.tif", &sample(4000, 7));
    refused("smaller", source.read(4500..4600).await, ErrorKind::Changed, "a.tif changed while it was read");
    // Who comes later sees the new one.
    assert_eq!(open(backend, "a.tif").head(4000).await.unwrap(), sample(4000, 7));
}

/// Many reads at a time do not get into each other's way.
pub(crate) async fn concurrent_ranges(backend: &dyn Backend) {
    let bytes = sample(200_000, 8);
    backend.put("a.tif", &bytes);
    let source = open(backend, "a.tif");
    source.head(1000).await.unwrap();
    let reads = (0..20_u64).map(|index| {
        let source = source.clone();
        async move { source.read(index * 10_000..(index + 1) * 10_000).await }
    });
    let got = try_join_all(reads).await.unwrap();
    assert!(got.concat() == bytes);
    assert_eq!(source.stats().bytes, 201_000);
}

/// Whoever may not read is told so, once, without the secret.
pub(crate) async fn denied_reading(backend: &dyn Backend) {
    backend.put("a.tif", &sample(5000, 9));
    let Stranger { uri, pairs, secrets } = backend.stranger().expect("a store that knows strangers");
    let source = Source::open(&uri, &options(pairs.clone())).unwrap();
    let error = source.head(100).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    assert!(error.to_string().contains("access is denied"), "{error}");
    for secret in &secrets {
        assert!(!all_of(&error).contains(secret.as_str()), "{secret} in {}", all_of(&error));
    }

    let output = cogclip(backend, &["info", &uri], &pairs);
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(said.contains("access is denied"), "{said}");
    for secret in &secrets {
        assert!(!said.contains(secret.as_str()), "{secret} in {said}");
    }
}
