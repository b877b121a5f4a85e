//! Sinks: whole or not at all, the head last, nothing left behind.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cogclip::sink::{Published, Sink, SinkOptions};
use cogclip::{Error, ErrorKind};

use crate::remote::options as store_options;
use crate::server::{Class, Fault, Gate, Request, Rule, Server};

const STORES: [&str; 3] = ["s3", "gs", "az"];

/// Parts of 1,000 bytes, so that little data makes many.
fn options(server: &Server) -> SinkOptions {
    SinkOptions { store: store_options(server), part_size: 1000, ..SinkOptions::default() }
}

fn body(len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from(i * 11 % 253).unwrap()).collect()
}

async fn fill(sink: &mut Sink, body: &[u8], step: usize) -> Result<(), Error> {
    for chunk in body.chunks(step) {
        sink.append(Bytes::copy_from_slice(chunk)).await?;
    }
    Ok(())
}

#[track_caller]
fn refused<T: std::fmt::Debug>(what: &str, result: Result<T, Error>, kind: ErrorKind, says: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{what}: {error}");
    assert!(error.to_string().contains(says), "{what}: {error}");
}

fn names(folder: &std::path::Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn local(spill: u64) -> SinkOptions {
    SinkOptions { spill, ..SinkOptions::default() }
}

#[tokio::test]
async fn a_file_appears_whole() {
    // Kept in memory; spilled at once; spilled in between; at the very threshold.
    for spill in [1 << 20, 0, 2500, 5000] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/deep/a.tif");
        let mut sink = Sink::create(path.to_str().unwrap(), &local(spill)).await.unwrap();
        fill(&mut sink, &body(5000), 700).await.unwrap();
        assert!(!path.exists());
        let published = sink.publish(Bytes::from_static(b"abc")).await.unwrap();
        let whole = [b"abc".as_slice(), &body(5000)].concat();
        assert_eq!(std::fs::read(&path).unwrap(), whole);
        assert_eq!((published.size, published.etag), (5003, None));
        assert_eq!(names(path.parent().unwrap()), ["a.tif"], "spill {spill}");
    }
}

#[tokio::test]
async fn sections_stand_in_reverse_after_the_head() {
    for (spill, hash) in
        [(1 << 20, true), (0, true), (2500, true), (1 << 20, false), (0, false), (2500, false)]
    {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tif");
        let options = SinkOptions { hash, ..local(spill) };
        let mut sink = Sink::create(path.to_str().unwrap(), &options).await.unwrap();
        sink.expect(&[4000, 1000, 1000]);
        for (at, chunk) in body(4000).chunks(500).enumerate() {
            sink.append(Bytes::copy_from_slice(chunk)).await.unwrap();
            if at % 2 == 1 {
                sink.append_to(1, Bytes::from(vec![b'0' + u8::try_from(at).unwrap(); 250])).await.unwrap();
            }
        }
        sink.append_to(2, Bytes::from_static(b"two")).await.unwrap();
        let published = sink.publish(Bytes::from_static(b"head")).await.unwrap();
        assert_eq!((published.size, published.sha256.is_some()), (5007, hash));
        let one = [b"1", b"3", b"5", b"7"].map(|digit| digit.repeat(250)).concat();
        let whole = [b"headtwo".as_slice(), &one, &body(4000)].concat();
        assert_eq!(std::fs::read(&path).unwrap(), whole, "spill {spill}");
        assert_eq!(names(folder.path()), ["a.tif"], "spill {spill}");
    }
}

#[tokio::test]
async fn the_hash_is_sha_256() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tif");
    let mut sink = Sink::create(path.to_str().unwrap(), &local(0)).await.unwrap();
    sink.append(Bytes::from_static(b"bc")).await.unwrap();
    let published = sink.publish(Bytes::from_static(b"a")).await.unwrap();
    // FIPS 180-2, appendix B.1: the message "abc".
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(published.sha256.as_deref(), Some(abc));

    let server = Server::start();
    let mut sink = Sink::create("s3://b/a", &options(&server)).await.unwrap();
    sink.append(Bytes::from_static(b"bc")).await.unwrap();
    let published = sink.publish(Bytes::from_static(b"a")).await.unwrap();
    assert_eq!(published.sha256.as_deref(), Some(abc));
    assert_eq!(published.etag.as_deref(), Some("\"v1-3\""));
}

#[tokio::test]
async fn an_existing_file_is_kept_or_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tif");
    let uri = path.to_str().unwrap();
    std::fs::write(&path, "old").unwrap();
    refused("early", Sink::create(uri, &local(0)).await, ErrorKind::Exists, "a.tif exists");
    let replace = SinkOptions { overwrite: true, ..local(0) };
    Sink::create(uri, &replace).await.unwrap().publish(Bytes::from_static(b"new")).await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"new");
    assert_eq!(names(folder.path()), ["a.tif"]);
}

#[tokio::test]
async fn of_two_writers_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start();
    let path = folder.path().join("a.tif");
    let options = options(&server);
    for uri in [path.to_str().unwrap(), "s3://b/a", "gs://b/a", "az://b/a"] {
        // In one PUT, and in parts.
        for len in [10, 4500] {
            let mut first = Sink::create(uri, &options).await.unwrap();
            let mut second = Sink::create(uri, &options).await.unwrap();
            fill(&mut first, &body(len), 100).await.unwrap();
            fill(&mut second, &body(len), 100).await.unwrap();
            first.publish(Bytes::from_static(b"first")).await.unwrap();
            let lost = second.publish(Bytes::from_static(b"second")).await;
            refused(uri, lost, ErrorKind::Exists, "exists; allow overwriting");
            let whole = [b"first".as_slice(), &body(len)].concat();
            let stored = server.get("/b/a").or_else(|| std::fs::read(&path).ok()).unwrap();
            assert_eq!(stored, whole, "{uri}");
            assert_eq!(server.open_uploads(), 0, "{uri}");
            for path in server.paths() {
                delete(&server, &path);
            }
            drop(std::fs::remove_file(&path));
            assert_eq!(names(folder.path()), [""; 0], "{uri}");
        }
    }
}

#[tokio::test]
async fn on_google_one_wins_though_both_have_looked() {
    let server = Server::start();
    let gate = Gate::of(2);
    server.rule(Rule::times(2, Class::Compose, Fault::Gate(Arc::clone(&gate))));
    let write = async |head: &'static str| {
        let mut sink = Sink::create("gs://b/a", &options(&server)).await?;
        fill(&mut sink, &body(4500), 100).await?;
        sink.publish(Bytes::from_static(head.as_bytes())).await
    };
    let (first, second) = tokio::join!(write("first"), write("second"));
    assert_eq!(gate.arrived(), 2, "each has found nothing, and composes");
    let (winner, lost) = if first.is_ok() { ("first", second) } else { ("second", first) };
    refused("the other", lost, ErrorKind::Exists, "gs://b/a exists; allow overwriting");
    assert_eq!(server.get("/b/a").unwrap(), [winner.as_bytes(), &body(4500)].concat());
    assert_eq!((server.paths(), server.open_uploads()), (vec!["/b/a".to_owned()], 0));
}

#[tokio::test]
async fn on_google_nothing_stays_beside() {
    let exists = Some((ErrorKind::Exists, "exists"));
    for (class, fault, expected, paths) in [
        (Class::Compose, Fault::Reset, None, &["/b/a"][..]),
        (Class::Complete, Fault::Reset, None, &["/b/a"]),
        (Class::Compose, Fault::Code(501, "NotImplemented"), Some((ErrorKind::Io, "cannot compose")), &[]),
        (Class::Compose, Fault::Code(403, "AccessDenied"), Some((ErrorKind::Io, "storage.objects.get")), &[]),
        (Class::Compose, Fault::Replace(b"another's".to_vec()), exists, &["/b/a"]),
        (Class::Complete, Fault::Code(403, "AccessDenied"), Some((ErrorKind::Io, "denied")), &[]),
    ] {
        let server = Server::start();
        let case = format!("{class:?} {fault:?}");
        server.rule(Rule::once(class, fault));
        let mut sink = Sink::create("gs://b/a", &options(&server)).await.unwrap();
        fill(&mut sink, &body(4500), 500).await.unwrap();
        let result = sink.publish(Bytes::from_static(b"head")).await;
        match expected {
            None => {
                result.unwrap();
                assert_eq!(server.get("/b/a").unwrap(), [b"head".as_slice(), &body(4500)].concat(), "{case}");
            }
            Some((kind, says)) => refused(&case, result, kind, says),
        }
        assert_eq!(
            (server.paths(), server.open_uploads()),
            (paths.iter().map(ToString::to_string).collect(), 0)
        );
        assert_eq!(server.idle_rules(), [""; 0]);
    }
}

#[tokio::test]
async fn on_google_giving_up_while_composing_leaves_nothing() {
    let server = Server::start();
    let late = Duration::from_millis(600);
    server.rule(Rule::once(Class::Compose, Fault::Latency(late)));
    let mut sink = Sink::create("gs://b/a", &options(&server)).await.unwrap();
    fill(&mut sink, &body(4500), 500).await.unwrap();
    let publishing = sink.publish(Bytes::from_static(b"head"));
    assert!(tokio::time::timeout(late / 2, publishing).await.is_err());
    assert!(server.paths()[0].ends_with(".cogclip-part"), "it was put together");
    cogclip::sink::settled().await;
    assert_eq!((server.paths(), server.open_uploads()), (vec![], 0));
    // Composing comes too late.
    tokio::time::sleep(late).await;
    assert_eq!(server.paths(), [""; 0]);
}

fn delete(server: &Server, path: &str) {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(&server.url()[7..]).unwrap();
    write!(stream, "DELETE {path} HTTP/1.1\r\n\r\n").unwrap();
    assert_ne!(stream.read(&mut [0; 64]).unwrap(), 0);
}

#[tokio::test]
async fn an_abandoned_file_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let uri = folder.path().join("a.tif").to_str().unwrap().to_owned();
    for abort in [true, false] {
        let mut sink = Sink::create(&uri, &local(0)).await.unwrap();
        fill(&mut sink, &body(3000), 1000).await.unwrap();
        assert_eq!(names(folder.path()).len(), 1, "the spilled body");
        if abort {
            sink.abort().await;
        } else {
            drop(sink);
        }
        assert_eq!(names(folder.path()), [""; 0]);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn permissions_are_those_of_any_new_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let mode = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
    std::fs::write(folder.path().join("plain"), "").unwrap();
    let uri = folder.path().join("a.tif");
    let sink = Sink::create(uri.to_str().unwrap(), &local(0)).await.unwrap();
    sink.publish(Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(mode("a.tif"), mode("plain"));
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_stands_for_what_it_points_at() {
    let folder = tempfile::tempdir().unwrap();
    let (real, link) = (folder.path().join("real.tif"), folder.path().join("link.tif"));
    std::os::unix::fs::symlink(&real, &link).unwrap();
    // It points nowhere yet, and still is something that exists.
    refused("dangling", Sink::create(link.to_str().unwrap(), &local(0)).await, ErrorKind::Exists, "exists");
    std::fs::write(&real, "old").unwrap();
    let replace = SinkOptions { overwrite: true, ..local(0) };
    let sink = Sink::create(link.to_str().unwrap(), &replace).await.unwrap();
    sink.publish(Bytes::from_static(b"new")).await.unwrap();
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(std::fs::read(&real).unwrap(), b"new");
}

#[tokio::test]
async fn what_cannot_be_a_destination_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let replace = SinkOptions { overwrite: true, ..local(0) };
    let create = async |uri: &str| Sink::create(uri, &replace).await;
    let usage = ErrorKind::Usage;
    refused("http", create("https://h/a?k=SECRET").await, usage, "https://h/a: http(s):// is read only");
    refused("folder", create(folder.path().to_str().unwrap()).await, usage, "is a directory");
    refused("device", create("/dev/null").await, usage, "not a regular file");
    let slash = format!("{}/none/", folder.path().display());
    refused("slash", create(&slash).await, usage, "names no file");
    std::fs::write(folder.path().join("file"), "").unwrap();
    let through = format!("{}/file/a.tif", folder.path().display());
    refused("through a file", create(&through).await, ErrorKind::Io, "Not a directory");
}

#[tokio::test]
async fn a_small_object_is_one_conditional_put() {
    let server = Server::start();
    for (store, condition) in
        STORES.iter().zip(["if-none-match: *", "x-goog-if-generation-match: 0", "if-none-match: *"])
    {
        let path = format!("/{store}/a b");
        server.clear();
        let mut sink = Sink::create(&format!("{store}:/{path}"), &options(&server)).await.unwrap();
        fill(&mut sink, &body(1999), 300).await.unwrap();
        let published = sink.publish(Bytes::from_static(b"head")).await.unwrap();
        assert_eq!(server.get(&path).unwrap(), [b"head".as_slice(), &body(1999)].concat());
        assert_eq!(published.size, 2003);
        let seen: Vec<_> =
            server.requests().into_iter().map(|r| (r.method, r.status, r.conditions)).collect();
        // A look before, and one after it that compares.
        let expected = [
            ("HEAD".to_owned(), 404, vec![]),
            ("PUT".to_owned(), 201, vec![condition.to_owned()]),
            ("HEAD".to_owned(), 200, vec![]),
        ];
        assert_eq!(seen, expected, "{store}");
    }
}

#[tokio::test]
async fn a_large_object_goes_in_parts_with_the_head_last() {
    for store in STORES {
        let server = Server::start();
        server.set_min_part(1000);
        let mut sink = Sink::create(&format!("{store}://b/a"), &options(&server)).await.unwrap();
        fill(&mut sink, &body(6500), 333).await.unwrap();
        assert_eq!(server.get("/b/a"), None);
        let published = sink.publish(Bytes::from_static(b"head")).await.unwrap();
        assert_eq!(server.get("/b/a").unwrap(), [b"head".as_slice(), &body(6500)].concat(), "{store}");
        let Published { size, etag, sha256, .. } = published;
        assert_eq!((size, sha256), (6504, None));
        assert!(etag.unwrap().ends_with("-6504\""), "{store}");
        assert_eq!(server.open_uploads(), 0, "{store}");
        // The held-back kilobyte and the head are one part, and it is the only one sent once the head is known.
        let mut parts: Vec<_> = server.requests().iter().filter(|r| is_part(r)).map(|r| r.body).collect();
        parts.sort_unstable();
        assert_eq!(parts, [500, 1000, 1000, 1000, 1000, 1000, 1004], "{store}");
    }
}

fn is_part(request: &Request) -> bool {
    request.method == "PUT"
        && (request.query.contains("partNumber=") || request.query.contains("comp=block&"))
}

#[tokio::test]
async fn s3_completes_only_what_does_not_exist() {
    let server = Server::start();
    for overwrite in [false, true] {
        server.clear();
        let options = SinkOptions { overwrite, ..options(&server) };
        let mut sink = Sink::create("s3://b/a", &options).await.unwrap();
        fill(&mut sink, &body(3000), 1000).await.unwrap();
        sink.publish(Bytes::new()).await.unwrap();
        let complete = server.requests().into_iter().rfind(|r| r.method == "POST").unwrap();
        let expected: &[&str] = if overwrite { &[] } else { &["if-none-match: *"] };
        assert_eq!(complete.conditions, expected);
    }
}

#[tokio::test]
async fn a_store_that_does_not_know_the_condition_is_asked_without_it() {
    let server = Server::start();
    let mut sink = Sink::create("s3://b/a", &options(&server)).await.unwrap();
    // Begun by the second kilobyte after the held-back one.
    fill(&mut sink, &body(2000), 1000).await.unwrap();
    server.fail_next_on("POST", Fault::Status(501));
    sink.publish(Bytes::new()).await.unwrap();
    assert_eq!(server.get("/b/a").unwrap(), body(2000));
    let posts: Vec<_> = server.requests().into_iter().filter(|r| r.method == "POST").collect();
    assert_eq!(posts.iter().map(|r| r.status).collect::<Vec<_>>(), [200, 501, 200]);
    assert_eq!(posts[2].conditions, [""; 0]);
}

#[tokio::test]
async fn an_existing_object_is_kept_or_replaced() {
    let server = Server::start();
    for store in STORES {
        for len in [10, 4500] {
            server.put("/b/a", "old");
            let uri = format!("{store}://b/a");
            refused(store, Sink::create(&uri, &options(&server)).await, ErrorKind::Exists, "b/a exists");
            let replace = SinkOptions { overwrite: true, ..options(&server) };
            let mut sink = Sink::create(&uri, &replace).await.unwrap();
            fill(&mut sink, &body(len), 1000).await.unwrap();
            assert_eq!(server.get("/b/a").unwrap(), b"old");
            sink.publish(Bytes::from_static(b"new")).await.unwrap();
            assert_eq!(server.get("/b/a").unwrap(), [b"new".as_slice(), &body(len)].concat(), "{store}");
        }
    }
}

#[tokio::test]
async fn a_failed_part_fails_the_whole_and_leaves_nothing() {
    for store in STORES {
        let server = Server::start();
        let mut sink = Sink::create(&format!("{store}://b/a"), &options(&server)).await.unwrap();
        fill(&mut sink, &body(1500), 500).await.unwrap();
        server.fail_next_on("PUT", Fault::Status(403));
        let result = async {
            fill(&mut sink, &body(5000), 1000).await?;
            sink.publish(Bytes::from_static(b"head")).await
        };
        refused(store, result.await, ErrorKind::Io, "access is denied while writing (403");
        assert_eq!(server.get("/b/a"), None, "{store}");
    }
}

#[tokio::test]
async fn a_failed_completion_aborts_the_upload() {
    for store in ["s3", "gs"] {
        let server = Server::start();
        server.set_min_part(5000);
        let mut sink = Sink::create(&format!("{store}://b/a"), &options(&server)).await.unwrap();
        fill(&mut sink, &body(4500), 500).await.unwrap();
        assert_eq!(server.open_uploads(), 1, "{store}");
        refused(store, sink.publish(Bytes::new()).await, ErrorKind::Io, "EntityTooSmall");
        assert_eq!((server.open_uploads(), server.get("/b/a")), (0, None), "{store}");
    }
}

#[tokio::test]
async fn an_aborted_upload_leaves_nothing() {
    for store in ["s3", "gs"] {
        let server = Server::start();
        let mut sink = Sink::create(&format!("{store}://b/a"), &options(&server)).await.unwrap();
        fill(&mut sink, &body(4500), 500).await.unwrap();
        assert_eq!(server.open_uploads(), 1, "{store}");
        sink.abort().await;
        assert_eq!((server.open_uploads(), server.get("/b/a")), (0, None), "{store}");
    }
}

#[tokio::test]
async fn transient_faults_are_tried_again() {
    for store in STORES {
        for fault in [Fault::Status(503), Fault::RetryAfter(429, 0), Fault::Reset] {
            let server = Server::start();
            let mut sink = Sink::create(&format!("{store}://b/a"), &options(&server)).await.unwrap();
            server.fail_next_on("PUT", fault.clone());
            server.fail_next_on("PUT", fault.clone());
            fill(&mut sink, &body(4500), 500).await.unwrap();
            sink.publish(Bytes::from_static(b"head")).await.unwrap();
            assert_eq!(server.get("/b/a").unwrap(), [b"head".as_slice(), &body(4500)].concat(), "{store}");
        }
    }
}

#[tokio::test]
async fn so_many_parts_at_a_time_and_no_more() {
    let server = Server::start();
    let options = SinkOptions { uploads: 2, ..options(&server) };
    let mut sink = Sink::create("s3://b/a", &options).await.unwrap();
    fill(&mut sink, &body(40_000), 4000).await.unwrap();
    sink.publish(Bytes::from_static(b"head")).await.unwrap();
    assert_eq!(server.get("/b/a").unwrap(), [b"head".as_slice(), &body(40_000)].concat());
    assert!((1..=2).contains(&server.parts_peak()), "{}", server.parts_peak());
}

#[tokio::test]
async fn a_folder_is_probed_and_left_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let uri = folder.path().join("a.tif").to_str().unwrap().to_owned();
    let findings = cogclip::sink::probe(&uri, &local(0).store).await.unwrap();
    assert!(findings.iter().all(|finding| finding.holds && finding.needed), "{findings:?}");
    assert_eq!(findings.len(), 4);
    assert_eq!(names(folder.path()), [""; 0]);
    let directory = cogclip::sink::probe(folder.path().to_str().unwrap(), &local(0).store).await;
    refused("a directory", directory, ErrorKind::Usage, "is a directory");
}

#[tokio::test]
async fn metadata_is_for_objects() {
    let folder = tempfile::tempdir().unwrap();
    let metadata = vec![("name".to_owned(), "value".to_owned())];
    let options = SinkOptions { metadata, ..local(0) };
    let created = Sink::create(folder.path().join("a.tif").to_str().unwrap(), &options).await;
    refused("metadata", created, ErrorKind::Usage, "a file has no user metadata");
}

#[tokio::test]
async fn what_is_read_back_is_compared() {
    let server = Server::start();
    let verify = SinkOptions { verify: true, ..options(&server) };
    for store in STORES {
        // In one PUT, and in parts.
        for len in [100, 6500] {
            let uri = format!("{store}://b/{store}-{len}");
            let mut sink = Sink::create(&uri, &verify).await.unwrap();
            fill(&mut sink, &body(len), 333).await.unwrap();
            server.clear();
            let published = sink.publish(Bytes::from_static(b"head")).await.unwrap();
            assert!(published.verified && published.sha256.is_some(), "{uri}");
            let read: u64 = server
                .requests()
                .iter()
                .filter(|request| request.method == "GET")
                .filter_map(|request| request.range)
                .map(|(start, end)| end - start)
                .sum();
            assert_eq!(read, published.size, "{uri}: all of it is read back");
        }
    }
    // A store that gives back something else, as large and under the same tag.
    let sink = Sink::create("s3://b/other", &verify).await.unwrap();
    server.fail_next_on("GET", Fault::Replace(b"HEAD".to_vec()));
    let published = sink.publish(Bytes::from_static(b"head")).await;
    refused("replaced", published, ErrorKind::Changed, "could not be verified");
    assert_eq!(server.get("/b/other").as_deref(), Some(&b"HEAD"[..]), "another writer's stays");
}
