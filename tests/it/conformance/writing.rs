//! Writing: whole or not at all, exactly as given, and only one of several writers.

use std::time::Duration;

use bytes::Bytes;
use cogclip::sink::{Published, Sink, SinkOptions};
use cogclip::{Error, ErrorKind};
use sha2::{Digest, Sha256};

use super::backend::{Backend, ODD_KEYS, Stranger, all_of, options, sample, sink_options};
use super::reading::refused;

/// The media type of a COG (OGC 21-026, requirement class "media types").
const COG: &str = "image/tiff; application=geotiff; profile=cloud-optimized";

const HEAD: &[u8] = b"the head, which is known last";

/// Bytes of a body that is one PUT, and of one that needs at least three parts.
fn sizes(backend: &dyn Backend) -> [usize; 2] {
    let part = usize::try_from(backend.part_size()).unwrap();
    [1000, 2 * part + part / 3]
}

/// A sink at `key` that has taken `body`.
async fn filled(backend: &dyn Backend, key: &str, body: &[u8], sink: &SinkOptions) -> Result<Sink, Error> {
    fill(Sink::create(&backend.uri(key), sink).await?, body).await
}

async fn fill(mut sink: Sink, body: &[u8]) -> Result<Sink, Error> {
    // No divisor of any part.
    for chunk in body.chunks(99_991) {
        sink.append(Bytes::copy_from_slice(chunk)).await?;
    }
    Ok(sink)
}

async fn publish(sink: Sink) -> Result<Published, Error> {
    sink.publish(Bytes::from_static(HEAD)).await
}

fn overwrite(backend: &dyn Backend) -> SinkOptions {
    SinkOptions { overwrite: true, ..sink_options(backend) }
}

/// The object is there, whole, and it is what was said to have been published.
#[track_caller]
fn stored(backend: &dyn Backend, key: &str, body: &[u8], published: &Published) {
    let found = backend.get(key).unwrap_or_else(|| panic!("{key}: there is nothing"));
    let whole = [HEAD, body].concat();
    assert!(
        found.bytes == whole,
        "{key}: {} bytes are not the {} that were given",
        found.bytes.len(),
        whole.len()
    );
    assert_eq!(published.size, whole.len() as u64);
    assert_eq!(published.etag.clone().unwrap_or_default(), found.etag, "{key}");
    if let Some(sha256) = &published.sha256 {
        let hash = Sha256::digest(&whole);
        assert_eq!(*sha256, hash.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}")));
    }
    assert_eq!(backend.leftovers(), [""; 0], "{key}");
}

/// Waits for what a dropped sink does behind one's back.
async fn nothing_left(backend: &dyn Backend, key: &str) {
    for _ in 0..100 {
        if backend.leftovers().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(backend.leftovers(), [""; 0], "{key}");
    assert!(backend.get(key).is_none(), "{key}: it is there");
}

/// The same bytes come out, from none to several parts, at and around the parts' bounds.
pub(crate) async fn every_size(backend: &dyn Backend) {
    let part = usize::try_from(backend.part_size()).unwrap();
    for len in [0, 1, part - 1, part, 2 * part - 1, 2 * part, 2 * part + 1, 4 * part + 5] {
        let key = format!("sizes/{len}.tif");
        let body = sample(len, len as u64);
        let sink = filled(backend, &key, &body, &sink_options(backend)).await.unwrap();
        assert!(backend.get(&key).is_none(), "{key} is there before it is published");
        let published = publish(sink).await.unwrap();
        stored(backend, &key, &body, &published);
    }
}

/// The object is said to be what it is.
pub(crate) async fn content_type(backend: &dyn Backend) {
    for len in sizes(backend) {
        let key = format!("kind/{len}.tif");
        let sink = filled(backend, &key, &sample(len, 1), &sink_options(backend)).await.unwrap();
        publish(sink).await.unwrap();
        assert_eq!(backend.get(&key).unwrap().content_type.as_deref(), Some(COG), "{len} bytes");
    }
}

/// An object that is there is kept, and nobody has to compute first to hear it.
pub(crate) async fn existing_is_refused_early(backend: &dyn Backend) {
    backend.put("old.tif", b"old");
    let result = Sink::create(&backend.uri("old.tif"), &sink_options(backend)).await;
    refused("early", result, ErrorKind::Exists, "old.tif exists");
    assert_eq!(backend.get("old.tif").unwrap().bytes, b"old".as_slice());
}

/// An object that has come to be in the meantime is kept, too.
pub(crate) async fn existing_is_refused_late(backend: &dyn Backend) {
    for len in sizes(backend) {
        let key = format!("late/{len}.tif");
        let sink = filled(backend, &key, &sample(len, 2), &sink_options(backend)).await.unwrap();
        backend.put(&key, b"came first");
        refused("late", publish(sink).await, ErrorKind::Exists, "exists");
        assert_eq!(backend.get(&key).unwrap().bytes, b"came first".as_slice(), "{len} bytes");
        backend.delete(&key);
        nothing_left(backend, &key).await;
    }
}

/// With leave, an object is replaced: by the whole, at once.
pub(crate) async fn overwriting(backend: &dyn Backend) {
    for len in sizes(backend) {
        let key = format!("over/{len}.tif");
        let body = sample(len, 3);
        backend.put(&key, b"old");
        let sink = filled(backend, &key, &body, &overwrite(backend)).await.unwrap();
        assert_eq!(backend.get(&key).unwrap().bytes, b"old".as_slice(), "{len} bytes");
        let published = publish(sink).await.unwrap();
        stored(backend, &key, &body, &published);
        // And by itself again, without an old one.
        backend.delete(&key);
        let sink = filled(backend, &key, &body, &overwrite(backend)).await.unwrap();
        let published = publish(sink).await.unwrap();
        stored(backend, &key, &body, &published);
    }
}

/// Giving up leaves no object and no open upload.
pub(crate) async fn aborting(backend: &dyn Backend) {
    for len in sizes(backend) {
        let key = format!("aborted/{len}.tif");
        filled(backend, &key, &sample(len, 4), &sink_options(backend)).await.unwrap().abort().await;
        assert_eq!(backend.leftovers(), [""; 0], "{key}");
        assert!(backend.get(&key).is_none(), "{key}");
    }
}

/// So does losing interest, a little later.
pub(crate) async fn dropping(backend: &dyn Backend) {
    for len in sizes(backend) {
        let key = format!("dropped/{len}.tif");
        drop(filled(backend, &key, &sample(len, 5), &sink_options(backend)).await.unwrap());
        nothing_left(backend, &key).await;
    }
}

/// Of two that write the same object at the same time in one PUT, exactly one wins.
pub(crate) async fn small_race(backend: &dyn Backend) {
    race(backend, 100, sizes(backend)[0]).await;
}

/// The same in parts. (Where these are large, fewer times.)
pub(crate) async fn large_race(backend: &dyn Backend) {
    let times = if backend.part_size() < 1 << 20 { 100 } else { 10 };
    race(backend, times, sizes(backend)[1]).await;
}

async fn race(backend: &dyn Backend, times: u64, len: usize) {
    let (mut first_won, mut second_won) = (0, 0);
    for round in 0..times {
        let key = format!("race/{len}/{round}.tif");
        let bodies = [sample(len, 2 * round + 1000), sample(len, 2 * round + 1001)];
        let mut sinks = Vec::new();
        for body in &bodies {
            sinks.push(filled(backend, &key, body, &sink_options(backend)).await.unwrap());
        }
        let start = std::sync::Arc::new(tokio::sync::Barrier::new(2));
        let tasks: Vec<_> = sinks
            .into_iter()
            .map(|sink| {
                let start = std::sync::Arc::clone(&start);
                tokio::spawn(async move {
                    start.wait().await;
                    publish(sink).await
                })
            })
            .collect();
        let mut results = Vec::new();
        for task in tasks {
            results.push(task.await.unwrap());
        }
        let wins: Vec<_> = results.iter().map(Result::is_ok).collect();
        let won = match wins[..] {
            [true, false] => 0,
            [false, true] => 1,
            _ => panic!("round {round}: not exactly one wins: {results:?}"),
        };
        *[&mut first_won, &mut second_won][won] += 1;
        let lost = results.swap_remove(1 - won);
        refused("the other", lost, ErrorKind::Exists, "exists");
        stored(backend, &key, &bodies[won], results[0].as_ref().unwrap());
        backend.delete(&key);
    }
    println!("the first won {first_won} times, the second {second_won} times");
}

/// A key is taken literally, whatever is in it.
pub(crate) async fn odd_destinations(backend: &dyn Backend) {
    for len in sizes(backend) {
        for (seed, key) in (200..).zip(ODD_KEYS) {
            let key = format!("{len}/{key}");
            let body = sample(len, seed);
            let sink = filled(backend, &key, &body, &sink_options(backend)).await;
            let sink = sink.unwrap_or_else(|error| panic!("{key}: {error}"));
            let published = publish(sink).await.unwrap_or_else(|error| panic!("{key}: {error}"));
            stored(backend, &key, &body, &published);
            backend.delete(&key);
        }
    }
}

/// Whoever may not write is told so without the secret, and leaves nothing.
pub(crate) async fn denied_writing(backend: &dyn Backend) {
    let Stranger { uri, pairs, secrets } = backend.stranger().expect("a store that knows strangers");
    backend.delete("a.tif");
    for len in sizes(backend) {
        for overwrite in [false, true] {
            let options = SinkOptions { store: options(pairs.clone()), overwrite, ..sink_options(backend) };
            let written =
                async { publish(fill(Sink::create(&uri, &options).await?, &sample(len, 6)).await?).await };
            let error = written.await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Io, "{error}");
            assert!(error.to_string().contains("access is denied"), "{error}");
            for secret in &secrets {
                assert!(!all_of(&error).contains(secret.as_str()), "{secret} in {}", all_of(&error));
            }
            assert!(backend.get("a.tif").is_none());
            assert_eq!(backend.leftovers(), [""; 0]);
        }
    }
}
