//! Objects are read, looked at and deleted: the exact requests, and what is made of odd answers.

use super::answering::{Asked, Raw, Server, head, reply};
use super::object::Meta;
use crate::error::{Error, ErrorKind};

const SCHEMES: [&str; 4] = ["s3", "gs", "az", "http"];
const TEXT: &str = "0123456789";
const ETAG: &str = "\"abc\"";

/// An honest 206 of `TEXT`.
fn part(asked: &Asked) -> Raw {
    let (first, last) =
        asked.header("range").unwrap().strip_prefix("bytes=").unwrap().split_once('-').unwrap();
    let first: usize = first.parse().unwrap();
    let end = (last.parse::<usize>().unwrap() + 1).min(TEXT.len());
    let range = format!("bytes {first}-{}/{}", end - 1, TEXT.len());
    reply(206, &[("Content-Range", &range), ("ETag", ETAG)], &TEXT[first..end])
}

fn pinned() -> Meta {
    Meta { size: 10, etag: Some(ETAG.into()), last_modified: None }
}

#[tokio::test]
async fn ranges_are_asked_for_and_clamped() {
    for scheme in SCHEMES {
        let server = Server::new(|asked, _| part(asked));
        let object = server.object(scheme, "dir/k.tif", &[]);
        let answer = object.get(2..5, None).await.unwrap();
        assert_eq!((&answer.bytes[..], answer.meta), (&b"234"[..], pinned()), "{scheme}");
        let answer = object.get(7..99, Some(&pinned())).await.unwrap();
        assert_eq!(&answer.bytes[..], b"789");
        let asked = server.asked();
        assert!(asked[0].path.ends_with("/dir/k.tif"), "{}", asked[0].path);
        let of = |index: usize, name| asked[index].header(name);
        assert_eq!((of(0, "range"), of(0, "if-match")), (Some("bytes=2-4"), None));
        assert_eq!((of(1, "range"), of(1, "if-match")), (Some("bytes=7-98"), Some(ETAG)));
        assert_eq!(of(0, "accept-encoding"), Some("identity"));
        assert!(asked.iter().all(|asked| asked.method == "GET" && asked.body.is_empty()));
    }
}

/// The answer `raw`, always, to a read of `range`: how often it was tried, and the error.
async fn read(scheme: &str, raw: Raw, range: std::ops::Range<u64>) -> (usize, Error) {
    let server = Server::new(move |_, _| raw.clone());
    let error = server.object(scheme, "k", &[]).get(range, Some(&pinned())).await.unwrap_err();
    (server.asked().len(), error)
}

#[tokio::test]
async fn odd_answers_are_errors() {
    let in_range = |range: &str, body: &str| reply(206, &[("Content-Range", range)], body);
    let large = "x".repeat((1 << 20) + 1);
    let xml = "<Error><Code>SignatureDoesNotMatch</Code><Message>SECRET</Message></Error>";
    let huge = format!("<Error>{}<Code>SECRET</Code></Error>", "<a>".repeat(100_000));
    // The answer, the tries it gets, the kind, and a piece of the text.
    let table: Vec<(Raw, usize, ErrorKind, &str)> = vec![
        (reply(206, &[], "234"), 3, ErrorKind::Io, "without saying which"),
        (in_range("bytes 2-4/*", "234"), 3, ErrorKind::Io, "without saying which"),
        (in_range("bytes 2-4", "234"), 3, ErrorKind::Io, "without saying which"),
        (in_range("bytes 3-5/10", "345"), 3, ErrorKind::Io, "the server sends 3..6"),
        (in_range("bytes 2-5/10", "2345"), 3, ErrorKind::Io, "the server sends 2..6"),
        (in_range("bytes 2-3/10", "23"), 3, ErrorKind::Io, "the server sends 2..4"),
        (in_range("bytes 2-4/10", "23456"), 3, ErrorKind::Io, "should have 3 bytes, and 5 came"),
        (in_range("bytes 2-4/10", "23"), 3, ErrorKind::Io, "should have 3 bytes, and 2 came"),
        (in_range("bytes 2-4/10", &large), 3, ErrorKind::Io, "should have 3 bytes, and more came"),
        (reply(200, &[], &large), 1, ErrorKind::Io, "sends the whole file"),
        (reply(200, &[], "01"), 1, ErrorKind::Changed, "now has fewer than 5"),
        (reply(416, &[], ""), 1, ErrorKind::Changed, "now has fewer than 5"),
        (reply(416, &[("Content-Range", "bytes */0")], ""), 1, ErrorKind::Changed, "it had 10 bytes"),
        (reply(412, &[], ""), 1, ErrorKind::Changed, "changed while it was read"),
        (reply(404, &[], ""), 1, ErrorKind::Io, "not found (404 Not Found)"),
        (reply(403, &[], xml), 1, ErrorKind::Io, "403 Forbidden, SignatureDoesNotMatch"),
        (reply(400, &[], &huge), 1, ErrorKind::Io, "the server answers 400 Bad Request"),
        (reply(304, &[], ""), 1, ErrorKind::Io, "the server answers 304"),
        (reply(503, &[], xml), 3, ErrorKind::Io, "503 Service Unavailable"),
        (Vec::new(), 3, ErrorKind::Io, ""),
    ];
    for scheme in SCHEMES {
        for (raw, tries, kind, text) in &table {
            let (asked, error) = read(scheme, raw.clone(), 2..5).await;
            let shown = error.to_string();
            assert_eq!((asked, error.kind()), (*tries, *kind), "{scheme} {text}: {shown}");
            assert!(shown.contains(text) && !shown.contains("SECRET"), "{scheme} {text}: {shown}");
        }
    }
}

#[tokio::test]
async fn a_large_file_is_not_taken_whole_for_a_large_range() {
    let raw = reply(200, &[], &"x".repeat((1 << 20) + 1));
    for scheme in SCHEMES {
        let (tries, error) = read(scheme, raw.clone(), 0..1 << 22).await;
        assert_eq!((tries, error.kind()), (1, ErrorKind::Io));
        assert!(error.to_string().contains("use a server that supports ranges"), "{error}");
    }
}

#[tokio::test]
async fn absence_is_known() {
    for scheme in SCHEMES {
        for status in [403, 404, 410] {
            assert!(read(scheme, reply(status, &[], ""), 0..1).await.1.is_absent(), "{scheme} {status}");
        }
        assert!(!read(scheme, reply(500, &[], ""), 0..1).await.1.is_absent());
    }
}

#[tokio::test]
async fn a_broken_cache_is_passed_by() {
    let wrong = reply(206, &[("Content-Range", "bytes 0-9/10")], TEXT);
    let right = reply(206, &[("Content-Range", "bytes 2-4/10"), ("ETag", ETAG)], "234");
    let server = Server::script(vec![wrong, reply(206, &[], "234"), right]);
    let answer = server.object("http", "k", &[]).get(2..5, None).await.unwrap();
    assert_eq!((&answer.bytes[..], server.asked().len()), (&b"234"[..], 3));
}

#[tokio::test]
async fn small_files_may_come_whole() {
    for scheme in SCHEMES {
        let server = Server::new(|_, _| reply(200, &[("ETag", ETAG)], TEXT));
        let object = server.object(scheme, "k", &[]);
        for (range, expected) in [(2..5, "234"), (0..1, "0"), (8..99, "89"), (0..10, TEXT)] {
            let answer = object.get(range, None).await.unwrap();
            assert_eq!((&answer.bytes[..], answer.meta), (expected.as_bytes(), pinned()), "{scheme}");
        }
    }
}

#[tokio::test]
async fn empty_objects_have_no_bytes() {
    for raw in [
        reply(200, &[("ETag", ETAG)], ""),
        reply(416, &[("ETag", ETAG)], ""),
        reply(
            416,
            &[("ETag", ETAG), ("Content-Range", "bytes */0")],
            "<Error><Code>InvalidRange</Code></Error>",
        ),
    ] {
        let server = Server::new(move |_, _| raw.clone());
        let answer = server.object("s3", "k", &[]).get(0..16, None).await.unwrap();
        assert!(answer.bytes.is_empty());
        assert_eq!(answer.meta, Meta { size: 0, ..pinned() });
    }
}

#[tokio::test]
async fn odd_keys_and_signed_urls_arrive() {
    for scheme in ["s3", "gs", "az"] {
        let server = Server::new(|asked, _| part(asked));
        let object = server.object(scheme, "a b%20c+é/(1)?x#y&z=~'!*", &[]);
        object.get(0..1, None).await.unwrap();
        let path = server.asked()[0].path.clone();
        assert!(path.ends_with("/a%20b%2520c%2B%C3%A9/%281%29%3Fx%23y%26z%3D~%27%21%2A"), "{scheme} {path}");
        assert_eq!(server.asked()[0].query, "");
    }
    let server = Server::new(|asked, _| part(asked));
    server.object("http", "a%20b.tif?sig=a%2Fb&x=1#ignored", &[]).get(0..1, None).await.unwrap();
    assert_eq!(server.asked()[0].line(), "GET /a%20b.tif?sig=a%2Fb&x=1");
}

#[tokio::test]
async fn customer_keys_are_sent_with_reads() {
    let server = Server::new(|asked, _| if asked.method == "HEAD" { head(200, &[], 9) } else { part(asked) });
    let key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    let more = [("aws_sse_customer_key_base64", key), ("aws_server_side_encryption", "sse-c")];
    let object = server.object("s3", "k", &more);
    object.get(0..1, None).await.unwrap();
    object.head().await.unwrap();
    for asked in server.asked() {
        assert_eq!(asked.header("x-amz-server-side-encryption-customer-key"), Some(key), "{}", asked.method);
    }
}

#[tokio::test]
async fn heads() {
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    for scheme in ["s3", "gs", "az"] {
        let server = Server::script(vec![
            head(200, &[("ETag", "bare"), ("Last-Modified", date)], 1_234_567_890_123),
            head(404, &[], 0),
            head(403, &[], 0),
            head(500, &[], 0),
            head(200, &[], 1),
            b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec(),
        ]);
        let object = server.object(scheme, "k", &[]);
        let meta = object.head().await.unwrap().unwrap();
        assert_eq!((meta.size, meta.etag.as_deref()), (1_234_567_890_123, Some("bare")));
        assert_eq!(meta.last_modified.as_deref(), Some(date));
        assert_eq!(object.head().await.unwrap(), None);
        let denied = object.head().await.unwrap_err();
        assert!(denied.is_absent() && denied.to_string().contains("access is denied"), "{denied}");
        assert_eq!(object.head().await.unwrap().unwrap().size, 1);
        let error = object.head().await.unwrap_err();
        assert!(error.to_string().contains("does not say how large"), "{error}");
        assert!(server.asked().iter().all(|asked| asked.line() == "HEAD /bucket/k" || scheme == "az"));
    }
    // A signed URL is signed for GET.
    let server = Server::script(vec![
        reply(206, &[("Content-Range", "bytes 0-0/10"), ("ETag", ETAG)], "0"),
        reply(404, &[], ""),
    ]);
    let object = server.object("http", "k", &[]);
    assert_eq!(object.head().await.unwrap(), Some(pinned()));
    assert_eq!(object.head().await.unwrap(), None);
    assert!(server.asked().iter().all(|asked| asked.method == "GET"));
}

#[tokio::test]
async fn deletions() {
    for scheme in ["s3", "gs", "az"] {
        let server = Server::script(vec![
            reply(204, &[], ""),
            reply(202, &[], ""),
            reply(404, &[], ""),
            reply(503, &[], ""),
            reply(200, &[], ""),
            reply(403, &[], ""),
        ]);
        let object = server.object(scheme, "k", &[]);
        for _ in 0..4 {
            object.delete().await.unwrap();
        }
        let error = object.delete().await.unwrap_err();
        assert!(error.to_string().contains("access is denied while deleting"), "{error}");
        assert!(server.asked().iter().all(|asked| asked.method == "DELETE" && asked.query.is_empty()));
    }
}
