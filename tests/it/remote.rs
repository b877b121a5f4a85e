//! Sources: what is asked for, to the request and the byte; what is tried again; what is a change.

use std::time::Duration;

use cogclip::StoreOptions;
use cogclip::source::{Source, SourceStats};
use cogclip::{Error, ErrorKind};

use crate::server::{Fault, Server};

/// Options under which waiting takes no time and nothing but `server` is asked.
pub(crate) fn options(server: &Server) -> StoreOptions {
    StoreOptions {
        pairs: server.options(),
        max_retries: 3,
        backoff_base: Duration::from_micros(10),
        backoff_cap: Duration::from_micros(50),
        ..StoreOptions::default()
    }
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from(i * 7 % 251).unwrap()).collect()
}

/// The same object by each way to it.
fn ways(server: &Server) -> Vec<(&'static str, Source)> {
    let open = |uri: &str| Source::open(uri, &options(server)).unwrap();
    vec![
        ("http", open(&format!("{}/b/a.tif", server.url()))),
        ("s3", open("s3://b/a.tif")),
        ("gs", open("gs://b/a.tif")),
        ("az", open("az://b/a.tif")),
    ]
}

#[track_caller]
fn refused<T: std::fmt::Debug>(what: &str, result: Result<T, Error>, kind: ErrorKind, says: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{what}: {error}");
    assert!(error.to_string().contains(says), "{what}: {error}");
}

/// The error and all its causes.
fn all_of(error: &Error) -> String {
    let first: &dyn std::error::Error = error;
    let chain = std::iter::successors(Some(first), |&error| error.source());
    chain.map(|error| format!("{error} {error:?}")).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn one_request_for_the_head_then_pinned_ranges() {
    let server = Server::start();
    let data = bytes(1000);
    server.put("/b/a.tif", data.clone());
    let etag = "\"v1-1000\"";
    for (way, source) in ways(&server) {
        server.clear();
        assert_eq!(source.meta(), None, "{way}");
        assert_eq!(source.head(300).await.unwrap(), &data[..300], "{way}");
        let meta = source.meta().unwrap();
        assert_eq!((meta.size, meta.etag.as_deref()), (1000, Some(etag)), "{way}");
        assert_eq!(meta.last_modified.as_deref(), Some("Wed, 01 Jan 2025 00:00:01 GMT"), "{way}");
        assert_eq!(source.read(700..1000).await.unwrap(), &data[700..], "{way}");
        assert_eq!(source.read(5..5).await.unwrap().len(), 0, "{way}");
        let seen: Vec<_> = server
            .requests()
            .into_iter()
            .map(|r| (r.method, r.path, r.range, r.conditions, r.status))
            .collect();
        let request =
            |range, conditions| ("GET".to_owned(), "/b/a.tif".to_owned(), Some(range), conditions, 206);
        let expected = [request((0, 300), vec![]), request((700, 1000), vec![format!("if-match: {etag}")])];
        assert_eq!(seen, expected, "{way}");
        assert_eq!(source.stats(), SourceStats { requests: 2, bytes: 600, retries: 0, hedges: 0 }, "{way}");
    }
}

#[tokio::test]
async fn a_head_longer_than_the_object_is_the_object() {
    let server = Server::start();
    server.put("/b/a.tif", bytes(10));
    for (way, source) in ways(&server) {
        assert_eq!(source.head(16384).await.unwrap(), bytes(10), "{way}");
        assert_eq!(source.meta().unwrap().size, 10, "{way}");
    }
}

#[tokio::test]
async fn an_empty_object_has_no_bytes() {
    let server = Server::start();
    server.put("/b/a.tif", []);
    for (way, source) in ways(&server) {
        assert_eq!(source.head(100).await.unwrap().len(), 0, "{way}");
        assert_eq!(source.meta().unwrap().size, 0, "{way}");
        refused(way, source.read(0..1).await, ErrorKind::Format, "bytes 0..1 lie beyond the end (0)");
    }
}

#[tokio::test]
async fn beyond_the_end() {
    let server = Server::start();
    server.put("/b/a.tif", bytes(10));
    for (way, source) in ways(&server) {
        // Without a pin the server says so, with one nothing is asked.
        refused(way, source.read(20..30).await, ErrorKind::Format, "bytes 20..30 lie beyond the end");
        source.head(4).await.unwrap();
        server.clear();
        refused(way, source.read(5..11).await, ErrorKind::Format, "bytes 5..11 lie beyond the end (10)");
        assert_eq!(server.requests().len(), 0, "{way}");
    }
}

#[tokio::test]
async fn transient_faults_are_tried_again() {
    for fault in [
        Fault::Status(408),
        Fault::Status(429),
        Fault::RetryAfter(429, 0),
        Fault::Status(500),
        Fault::Status(502),
        Fault::Status(503),
        Fault::RetryAfter(503, 0),
        Fault::Status(504),
        Fault::Reset,
        Fault::Truncate(7),
        Fault::Truncate(0),
    ] {
        let server = Server::start();
        let data = bytes(1000);
        server.put("/b/a.tif", data.clone());
        for (way, source) in ways(&server) {
            server.fail_next(fault.clone());
            assert_eq!(source.head(100).await.unwrap(), &data[..100], "{way} {fault:?}");
            server.fail_next(fault.clone());
            server.fail_next(fault.clone());
            assert_eq!(source.read(100..900).await.unwrap(), &data[100..900], "{way} {fault:?}");
            let expected = SourceStats { requests: 5, bytes: 900, retries: 3, hedges: 0 };
            assert_eq!(source.stats(), expected, "{way} {fault:?}");
        }
    }
}

#[tokio::test]
async fn retries_end() {
    for fault in [Fault::Status(503), Fault::Reset] {
        let server = Server::start();
        server.put("/b/a.tif", bytes(1000));
        for (way, source) in ways(&server) {
            server.clear();
            for _ in 0..4 {
                server.fail_next(fault.clone());
            }
            refused(way, source.head(100).await, ErrorKind::Io, "a.tif: ");
            assert_eq!(server.requests().len(), 4, "{way}: the first try and three more");
        }
    }
}

#[tokio::test]
async fn silence_is_a_fault() {
    let server = Server::start();
    server.put("/b/a.tif", bytes(1000));
    let options = StoreOptions { idle_timeout: Duration::from_millis(300), ..options(&server) };
    for uri in [format!("{}/b/a.tif", server.url()), "s3://b/a.tif".to_owned()] {
        let source = Source::open(&uri, &options).unwrap();
        server.fail_next(Fault::Stall);
        assert_eq!(source.head(100).await.unwrap(), &bytes(1000)[..100], "{uri}");
        assert_eq!(source.stats().retries, 1, "{uri}");
    }
}

#[tokio::test]
async fn what_cannot_succeed_is_not_tried_again() {
    for (status, says) in [(401, "access is denied"), (403, "access is denied"), (404, "not found")] {
        let server = Server::start();
        server.put("/b/a.tif", bytes(1000));
        for (way, source) in ways(&server) {
            server.clear();
            server.fail_next(Fault::Status(status));
            refused(way, source.head(100).await, ErrorKind::Io, says);
            assert_eq!(server.requests().len(), 1, "{way}");
        }
    }
}

#[tokio::test]
async fn a_retry_after_beyond_the_time_left_ends_it() {
    let server = Server::start();
    server.put("/b/a.tif", bytes(10));
    server.fail_next(Fault::RetryAfter(503, 86_400));
    let source = Source::open(&format!("{}/b/a.tif", server.url()), &options(&server)).unwrap();
    refused("http", source.head(10).await, ErrorKind::Io, "503");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_new_version_is_a_change() {
    let server = Server::start();
    for (way, source) in ways(&server) {
        server.put("/b/a.tif", bytes(1000));
        source.head(100).await.unwrap();
        // Of the same size, so that only the ETag tells.
        server.put("/b/a.tif", vec![1; 1000]);
        refused(way, source.read(100..200).await, ErrorKind::Changed, "changed while it was read");
        refused(way, source.head(100).await, ErrorKind::Changed, "changed while it was read");
    }
}

#[tokio::test]
async fn another_etag_is_a_change_even_if_the_server_ignores_conditions() {
    let server = Server::start();
    server.put("/b/a.tif", bytes(1000));
    for (way, source) in ways(&server) {
        source.head(100).await.unwrap();
        server.fail_next(Fault::Etag("\"other\""));
        refused(way, source.read(100..200).await, ErrorKind::Changed, "now is \"other\"");
        // The same tag, made weak by a cache, is the same version.
        server.fail_next(Fault::Etag("W/\"v1-1000\""));
        source.read(100..200).await.unwrap();
    }
}

#[tokio::test]
async fn a_change_during_a_retry_is_a_change() {
    let server = Server::start();
    for (way, source) in ways(&server) {
        server.put("/b/a.tif", bytes(1000));
        source.head(100).await.unwrap();
        server.fail_next(Fault::Status(503));
        server.fail_next(Fault::Replace(vec![2; 1000]));
        refused(way, source.read(0..1000).await, ErrorKind::Changed, "changed while it was read");
    }
}

#[tokio::test]
async fn without_an_etag_the_date_is_the_pin() {
    let server = Server::start();
    server.without_etags();
    server.put("/b/a.tif", bytes(1000));
    // Google and Azure always send one, and their clients insist.
    for (way, source) in ways(&server).into_iter().take(2) {
        server.put("/b/a.tif", bytes(1000));
        source.head(100).await.unwrap();
        assert_eq!(source.meta().unwrap().etag, None, "{way}");
        source.read(100..200).await.unwrap();
        server.put("/b/a.tif", vec![1; 1000]);
        refused(way, source.read(100..200).await, ErrorKind::Changed, "changed while it was read");
    }
}

#[tokio::test]
async fn a_weak_etag_is_no_condition() {
    let server = Server::start();
    server.put("/b/a.tif", bytes(1000));
    for (way, source) in ways(&server) {
        server.clear();
        server.fail_next(Fault::Etag("W/\"v1-1000\""));
        source.head(100).await.unwrap();
        source.read(100..200).await.unwrap();
        let conditions = server.requests()[1].conditions.clone();
        assert!(!conditions.iter().any(|c| c.starts_with("if-match")), "{way}: {conditions:?}");
    }
}

#[tokio::test]
async fn a_server_without_ranges_is_refused() {
    let server = Server::start();
    server.without_ranges();
    server.put("/b/a.tif", bytes((1 << 20) + 1));
    for (way, source) in ways(&server) {
        refused(way, source.head(100).await, ErrorKind::Io, "the whole file instead of the range");
    }
    // What is small is taken out of the whole.
    server.put("/b/a.tif", bytes(1000));
    for (way, source) in ways(&server) {
        assert_eq!(source.head(100).await.unwrap(), &bytes(1000)[..100], "{way}");
        assert_eq!(source.read(990..1000).await.unwrap(), &bytes(1000)[990..], "{way}");
    }
    server.put("/b/a.tif", []);
    for (way, source) in ways(&server) {
        assert_eq!(source.head(100).await.unwrap().len(), 0, "{way}");
    }
}

#[tokio::test]
async fn another_range_than_asked_for_is_refused() {
    let server = Server::start();
    server.put("/b/a.tif", bytes(1000));
    for (way, source) in ways(&server) {
        for _ in 0..4 {
            server.fail_next(Fault::WrongRange);
        }
        refused(way, source.head(100).await, ErrorKind::Io, "a.tif");
    }
}

#[tokio::test]
async fn keys_are_taken_literally() {
    let server = Server::start();
    for key in ["a b.tif", "a+b.tif", "100%.tif", "a%20b.tif", "żółw/é=&,;'()!*~.tif", "q?x#y[1].tif"] {
        server.put(&format!("/b/{key}"), key.as_bytes());
        for scheme in ["s3", "gs", "az"] {
            let source = Source::open(&format!("{scheme}://b/{key}"), &options(&server)).unwrap();
            let got =
                source.head(1000).await.unwrap_or_else(|error| panic!("{scheme} {key}: {}", all_of(&error)));
            assert_eq!(got, key.as_bytes(), "{scheme} {key}");
        }
    }
}

#[tokio::test]
async fn a_query_is_sent_and_never_shown() {
    let server = Server::start();
    server.put("/b/a b.tif", bytes(1000));
    let uri = format!("http://user:PASS@{}/b/a%20b.tif?X-Sig=SECRET%2F1&n=2", &server.url()[7..]);
    let source = Source::open(&uri, &options(&server)).unwrap();
    assert_eq!(source.uri(), format!("{}/b/a%20b.tif", server.url()));
    source.head(10).await.unwrap();
    assert_eq!(server.requests()[0].query, "X-Sig=SECRET%2F1&n=2");
    let mut shown = format!("{source:?} {:?}", options(&server));
    for fault in [Fault::Status(403), Fault::Status(404), Fault::Status(302)] {
        server.fail_next(fault);
        shown += &all_of(&source.read(10..20).await.unwrap_err());
    }
    for fault in [Fault::Reset, Fault::Truncate(3), Fault::Status(503), Fault::WrongRange] {
        for _ in 0..4 {
            server.fail_next(fault.clone());
        }
        shown += &all_of(&source.read(10..20).await.unwrap_err());
    }
    drop(server);
    shown += &all_of(&source.read(10..20).await.unwrap_err());
    for secret in ["SECRET", "PASS", "X-Sig", "not-a-secret"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

#[tokio::test]
async fn stores_show_no_more_than_status_and_code() {
    let server = Server::start();
    let mut pairs = server.options();
    pairs.retain(|(key, _)| key != "azure_skip_signature");
    pairs.push(("azure_storage_sas_token".to_owned(), "sv=1&sig=SECRET".to_owned()));
    let options = StoreOptions { pairs, ..options(&server) };
    for uri in ["s3://b/a.tif", "gs://b/a.tif", "az://b/a.tif"] {
        let source = Source::open(uri, &options).unwrap();
        for _ in 0..4 {
            server.fail_next(Fault::Status(503));
        }
        let error = source.head(10).await.unwrap_err();
        let shown = all_of(&error) + &all_of(&source.head(10).await.unwrap_err());
        assert!(error.to_string().contains("503"), "{error}");
        assert!(shown.contains("NoSuchKey") && !shown.contains("because"), "{shown}");
        assert!(!shown.contains("SECRET") && !shown.contains("AKID"), "{shown}");
    }
    assert!(server.requests().iter().any(|r| r.query.contains("SECRET")), "the token must be in use");
}

#[tokio::test]
async fn redirects_are_followed_but_not_for_ever() {
    let server = Server::start();
    server.put("/moved", bytes(100));
    let source = Source::open(&format!("{}/b/a.tif?k=SECRET", server.url()), &options(&server)).unwrap();
    server.fail_next(Fault::Redirect("/moved".to_owned()));
    assert_eq!(source.head(50).await.unwrap(), &bytes(100)[..50]);
    let requests = server.requests();
    assert_eq!((requests[1].path.as_str(), requests[1].range), ("/moved", Some((0, 50))));
    for _ in 0..12 {
        server.fail_next(Fault::Redirect("/b/a.tif".to_owned()));
    }
    refused("loop", source.read(0..10).await, ErrorKind::Io, "more than 10 redirects");
}

#[tokio::test]
async fn a_local_file_is_read_at_any_position() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a b.tif");
    std::fs::write(&path, bytes(1000)).unwrap();
    let url = format!("file://{}/a%20b.tif", folder.path().display());
    for uri in [path.to_str().unwrap(), &url] {
        let source = Source::open(uri, &StoreOptions::default()).unwrap();
        assert_eq!(source.head(100).await.unwrap(), &bytes(1000)[..100]);
        assert_eq!(source.read(990..1000).await.unwrap(), &bytes(1000)[990..]);
        refused(uri, source.read(990..1001).await, ErrorKind::Format, "990..1001 lie beyond the end (1000)");
        assert_eq!(source.stats(), SourceStats { requests: 2, bytes: 110, retries: 0, hedges: 0 });
    }
}

#[tokio::test]
async fn a_local_file_that_is_written_to_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tif");
    std::fs::write(&path, bytes(1000)).unwrap();
    let source = Source::open(path.to_str().unwrap(), &StoreOptions::default()).unwrap();
    source.head(100).await.unwrap();
    // Another file under the name does not matter: the open one is still whole.
    std::fs::write(folder.path().join("b.tif"), bytes(5)).unwrap();
    std::fs::rename(folder.path().join("b.tif"), &path).unwrap();
    assert_eq!(source.read(900..1000).await.unwrap(), &bytes(1000)[900..]);

    let source = Source::open(path.to_str().unwrap(), &StoreOptions::default()).unwrap();
    source.head(5).await.unwrap();
    std::fs::write(&path, bytes(3)).unwrap();
    refused("shorter", source.read(2..5).await, ErrorKind::Changed, "had 5 bytes and now has 3");
}

#[tokio::test]
async fn what_is_no_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let open =
        |path: &std::path::Path| Source::open(path.to_str().unwrap(), &StoreOptions::default()).unwrap();
    refused("folder", open(folder.path()).head(1).await, ErrorKind::Io, "is a directory");
    let missing = open(&folder.path().join("none.tif")).head(1).await;
    refused("missing", missing, ErrorKind::Io, "No such file or directory");
    refused("device", open("/dev/null".as_ref()).head(1).await, ErrorKind::Io, "not a regular file");
}

#[test]
fn what_is_not_understood_is_refused_before_anything_is_asked() {
    let server = Server::start();
    let open = |uri: &str, key: &str, value: &str| {
        let mut options = options(&server);
        options.pairs.push((key.to_owned(), value.to_owned()));
        Source::open(uri, &options)
    };
    let usage = ErrorKind::Usage;
    refused("scheme", open("ftp://h/a", "region", "x"), usage, "scheme ftp:// is not supported");
    for uri in ["s3://b/a", "gs://b/a", "az://b/a", "http://h/a"] {
        refused(uri, open(uri, "aws_regoin", "SECRET"), usage, "\"aws_regoin\" is not known");
        // Another store's key is not a slip: source and destination share the options.
        open(uri, "aws_region", "eu-central-1").unwrap();
        open(uri, "azure_storage_account_name", "b").unwrap();
    }
    refused("host", open("abfs://c@nowhere/a", "region", "x"), usage, "after '@' stands the account");
    open("abfss://c@acct.dfs.core.windows.net/a", "region", "x").unwrap();
    assert_eq!(server.requests(), []);
}
