//! Ranges of another object of the same store: copied by the store where it can, read where it cannot, and the same bytes.

use bytes::Bytes;
use cogclip::ErrorKind;
use cogclip::sink::{Sink, SinkOptions};
use cogclip::source::Source;

use super::backend::{Backend, ODD_KEYS, options, sample, sink_options};
use super::reading::refused;

const HEAD: &[u8] = b"the head, which is known last";

fn copying(backend: &dyn Backend) -> SinkOptions {
    SinkOptions { server_side_copy: true, ..sink_options(backend) }
}

/// A source whose version is known.
async fn open(backend: &dyn Backend, key: &str) -> Source {
    let source = Source::open(&backend.uri(key), &options(backend.pairs())).unwrap();
    source.head(10).await.unwrap();
    source
}

/// A sink and its sections, as they must become.
struct Trial<'a> {
    sink: Sink,
    source: &'a Source,
    original: &'a [u8],
    sections: [Vec<u8>; 2],
}

impl Trial<'_> {
    async fn own(&mut self, number: usize, len: usize) {
        let own = sample(len, 1000 + self.sections[number].len() as u64);
        self.sink.append_to(number, Bytes::from(own.clone())).await.unwrap();
        self.sections[number].extend(own);
    }

    async fn copy(&mut self, number: usize, start: usize, len: usize) {
        let range = start as u64..(start + len) as u64;
        self.sink.append_copy(number, self.source, range).await.unwrap();
        self.sections[number].extend(&self.original[start..start + len]);
    }

    /// Publishes it, and compares what is there.
    async fn end(self, backend: &dyn Backend, key: &str, copied: u64) {
        let able = self.sink.copies_from(self.source).is_some();
        let published = self.sink.publish(Bytes::from_static(HEAD)).await.unwrap();
        let [first, second] = &self.sections;
        let whole = [HEAD, second, first].concat();
        let found = backend.get(key).unwrap();
        assert!(found.bytes == whole, "{key}: {} bytes are not the {}", found.bytes.len(), whole.len());
        assert_eq!(published.size, whole.len() as u64);
        assert_eq!(published.copied, if able { copied } else { 0 }, "{key}");
        assert_eq!(published.etag.unwrap_or_default(), found.etag, "{key}");
        assert_eq!(published.remarks, [""; 0]);
        assert_eq!(backend.leftovers(), [""; 0], "{key}");
    }
}

/// Copies of lengths around that of a part, between bytes of our own.
pub(crate) async fn copies_of_every_length(backend: &dyn Backend) {
    let part = usize::try_from(backend.part_size()).unwrap();
    let original = sample(3 * part + 1000, 1);
    backend.put("source.tif", &original);
    let source = open(backend, "source.tif").await;
    // After a whole part, all is copied that makes a part; else the part before is filled first.
    for (before, len, after, copied) in [
        (part, part - 1, 0, 0),
        (part, part, 0, part),
        (0, 2 * part - 1, 100, 0),
        (0, 2 * part, 100, part),
        (0, 2 * part + 1, part, part + 1),
        (7, 3 * part + 7, 9, 2 * part + 14),
    ] {
        let key = format!("copied/{len}.tif");
        let sink = Sink::create(&backend.uri(&key), &copying(backend)).await.unwrap();
        let mut trial =
            Trial { sink, source: &source, original: &original, sections: [Vec::new(), Vec::new()] };
        trial.own(0, before).await;
        trial.copy(0, original.len() - len, len).await;
        trial.own(0, after).await;
        trial.end(backend, &key, copied as u64).await;
        backend.delete(&key);
    }
}

/// Two sections, each with a copy in the middle.
pub(crate) async fn copies_in_two_sections(backend: &dyn Backend) {
    let part = usize::try_from(backend.part_size()).unwrap();
    let original = sample(2 * part + 500, 2);
    backend.put("source.tif", &original);
    let source = open(backend, "source.tif").await;
    let mut sink = Sink::create(&backend.uri("two.tif"), &copying(backend)).await.unwrap();
    // So many that overviews have a lane of their own, and so few that its parts are the smallest.
    sink.expect(&[100 << 20, 97 << 20]);
    let mut trial = Trial { sink, source: &source, original: &original, sections: [Vec::new(), Vec::new()] };
    trial.own(1, part).await;
    trial.own(0, part + 3).await;
    trial.copy(1, 100, part + 100).await;
    trial.copy(0, 17, 2 * part).await;
    trial.own(0, 5).await;
    trial.own(1, 6).await;
    trial.end(backend, "two.tif", (part + 100 + part + 3) as u64).await;
}

/// A key is taken literally, whatever is in it.
pub(crate) async fn copies_of_odd_keys(backend: &dyn Backend) {
    let part = usize::try_from(backend.part_size()).unwrap();
    let original = sample(part + 20, 3);
    for key in ODD_KEYS {
        backend.put(key, &original);
        let source = open(backend, key).await;
        let sink = Sink::create(&backend.uri("out.tif"), &copying(backend)).await.unwrap();
        let mut trial =
            Trial { sink, source: &source, original: &original, sections: [Vec::new(), Vec::new()] };
        trial.own(0, part).await;
        trial.copy(0, 10, part + 1).await;
        trial.end(backend, "out.tif", part as u64 + 1).await;
        backend.delete("out.tif");
        backend.delete(key);
    }
}

/// What is copied is one version, or there is no object.
pub(crate) async fn copies_of_a_changed_source(backend: &dyn Backend) {
    let part = usize::try_from(backend.part_size()).unwrap();
    for before in [false, true] {
        backend.put("source.tif", &sample(2 * part, 4));
        let source = open(backend, "source.tif").await;
        let mut sink = Sink::create(&backend.uri("out.tif"), &copying(backend)).await.unwrap();
        let change = || backend.put("source.tif", &sample(2 * part + 1, 5));
        let result = async {
            sink.append(Bytes::from(sample(part, 6))).await?;
            if before {
                change();
            }
            let copies = sink.copies_from(&source).is_some();
            sink.append_copy(0, &source, 0..part as u64).await?;
            if !before {
                change();
            }
            // What was read was read in time.
            if copies { Ok(()) } else { source.read(0..9).await.map(drop) }
        };
        let result = match result.await {
            Ok(()) => sink.publish(Bytes::from_static(HEAD)).await,
            Err(error) => Err(sink.abandon(error).await),
        };
        refused("changed", result, ErrorKind::Changed, "source.tif changed while it was");
        assert!(backend.get("out.tif").is_none());
        assert_eq!(backend.leftovers(), [""; 0]);
    }
}
