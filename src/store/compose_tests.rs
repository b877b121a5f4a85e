//! Large objects are created on Google Cloud Storage: exact requests, lost answers, other writers, and what is left beside.

use super::answering::{Asked, Raw, Server, head, reply};
use super::object::Stored;
use super::publish_tests::{DONE, MARKER, create, honest, marked, overwrite, two_parts, xml};
use crate::error::{Error, ErrorKind, Result};

const OTHER: &str = "fedcba9876543210";

#[tokio::test]
async fn an_upload_is_put_together_beside_and_composed() {
    let server = Server::new(|asked, index| match asked.query.as_str() {
        "compose" => reply(200, &[("ETag", "\"composed\"")], ""),
        _ => honest(asked, index),
    });
    let object = server.object("gs", "dir/a&b <1>.tif", &[]);
    let metadata = [("source".to_owned(), "a b".to_owned())];
    let how = super::object::Put { metadata: &metadata, ..create() };
    let begun = object.begin(&how).await.unwrap();
    let parts = two_parts(&object, &begun).await;
    let stored = object.complete(&begun, &parts, &how).await.unwrap();
    assert_eq!(stored.etag.as_deref(), Some("\"composed\""));
    let asked = server.asked();
    let lines: Vec<_> = asked.iter().map(Asked::line).collect();
    let (at, id) = ("/bucket/dir/a%26b%20%3C1%3E.tif", "uploadId=up%2F1%2B%26");
    let beside = format!("{at}.{MARKER}.cogclip-part");
    assert_eq!(
        lines,
        [
            format!("POST {beside}?uploads="),
            format!("PUT {beside}?partNumber=2&{id}"),
            format!("PUT {beside}?partNumber=1&{id}"),
            format!("HEAD {at}"),
            format!("POST {beside}?{id}"),
            format!("PUT {at}?compose"),
            format!("DELETE {beside}"),
        ]
    );
    for (index, asked) in asked.iter().enumerate() {
        let condition = (index == 5).then_some("0");
        assert_eq!(asked.header("x-goog-if-generation-match"), condition, "{}", asked.line());
        assert_eq!(asked.header("if-none-match"), None, "{}", asked.line());
    }
    for index in [0, 5] {
        assert_eq!(asked[index].header("content-type"), Some("image/tiff; application=geotiff"));
        assert_eq!(asked[index].header("x-goog-meta-cogclip-write"), Some(MARKER));
        assert_eq!(asked[index].header("x-goog-meta-source"), Some("a b"));
    }
    // The reference of "Compose an object"; the name is not percent-encoded there.
    let component =
        format!("<Component><Name>dir/a&amp;b &lt;1&gt;.tif.{MARKER}.cogclip-part</Name></Component>");
    assert_eq!(
        String::from_utf8_lossy(&asked[5].body),
        format!("<ComposeRequest>{component}</ComposeRequest>")
    );
}

#[tokio::test]
async fn aborting_ends_the_upload_and_deletes_what_is_beside() {
    for (how, lines) in [
        (
            create(),
            &[
                "DELETE /bucket/k.0123456789abcdef.cogclip-part?uploadId=up%2F1%2B%26",
                "DELETE /bucket/k.0123456789abcdef.cogclip-part",
            ][..],
        ),
        (overwrite(), &["DELETE /bucket/k?uploadId=up%2F1%2B%26"]),
    ] {
        // Both are tried, even if one is refused.
        for refused in [false, true] {
            let server = Server::new(move |asked, index| match asked.query.as_str() {
                query if refused && query.starts_with("uploadId=") => reply(403, &[], &xml("AccessDenied")),
                _ => honest(asked, index),
            });
            let object = server.object("gs", "k", &[]);
            let begun = object.begin(&how).await.unwrap();
            assert_eq!(object.abort(&begun).await.is_err(), refused);
            let asked: Vec<_> = server.asked().iter().skip(1).map(Asked::line).collect();
            assert_eq!(asked, lines);
        }
    }
}

/// What comes of creating an object when these are the answers to what is asked after the parts, and what was asked: the method, with
/// `+` when it is about what is beside, and `compose`.
async fn created(answers: Vec<Raw>) -> (Result<Stored>, String) {
    let server = Server::new(move |asked, index| match index {
        0..3 => honest(asked, index),
        _ => answers.get(index - 3).cloned().unwrap_or_else(|| reply(599, &[], "")),
    });
    let object = server.object("gs", "k", &[]);
    let begun = object.begin(&create()).await.unwrap();
    let parts = two_parts(&object, &begun).await;
    let result = object.complete(&begun, &parts, &create()).await;
    let named = |asked: &Asked| {
        let beside = if asked.path.ends_with(".cogclip-part") { "+" } else { "" };
        let what = if asked.query == "compose" { "compose" } else { asked.method.as_str() };
        format!("{what}{beside}")
    };
    let asked: Vec<_> = server.asked().iter().skip(3).map(named).collect();
    (result, asked.join(" "))
}

/// `expected`: the ETag, or the kind of error and what it says.
#[track_caller]
fn check(case: &str, got: (Result<Stored>, String), expected: Result<&str, (ErrorKind, &str)>, sent: &str) {
    let (result, asked) = got;
    assert_eq!(asked, sent, "{case}: {result:?}");
    match expected {
        Ok(etag) => assert_eq!(result.unwrap().etag.as_deref(), Some(etag), "{case}"),
        Err((kind, text)) => {
            let error = result.unwrap_err();
            let said = said(&error);
            assert_eq!(error.kind(), kind, "{case}: {said}");
            assert!(said.contains(text) && !said.contains("SECRET"), "{case}: {said}");
        }
    }
}

/// The error and its cause.
fn said(error: &Error) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    format!("{error}; {}", cause.unwrap_or_default())
}

fn nothing() -> Raw {
    head(404, &[], 0)
}

fn completed() -> Raw {
    reply(200, &[], DONE)
}

fn composed() -> Raw {
    reply(200, &[("ETag", "\"c\"")], "")
}

fn deleted() -> Raw {
    reply(204, &[], "")
}

/// The answer is lost.
const LOST: Raw = Raw::new();

#[tokio::test]
async fn of_two_writers_one_wins() {
    let exists = Err((ErrorKind::Exists, "gs://bucket/k exists; allow overwriting"));
    // What has come before is seen before anything is completed.
    check("before", created(vec![marked(OTHER), deleted()]).await, exists, "HEAD");
    let refused = || reply(412, &[], &xml("PreconditionFailed"));
    let answers = vec![nothing(), completed(), refused(), deleted()];
    check("meanwhile", created(answers).await, exists, "HEAD POST+ compose DELETE+");
    let answers = vec![nothing(), completed(), reply(503, &[], ""), refused(), marked(OTHER), deleted()];
    check("meanwhile", created(answers).await, exists, "HEAD POST+ compose compose HEAD DELETE+");
    let answers = vec![nothing(), completed(), refused(), reply(403, &[], &xml("AccessDenied"))];
    let left = "k.0123456789abcdef.cogclip-part, where the object was put together, could not be deleted";
    let left = Err((ErrorKind::Exists, left));
    check("left", created(answers).await, left, "HEAD POST+ compose DELETE+");
}

#[tokio::test]
async fn lost_answers_are_found() {
    let refused = || reply(412, &[], &xml("PreconditionFailed"));
    let gone = || reply(404, &[], &xml("NoSuchUpload"));
    let io = |text| Err((ErrorKind::Io, text));
    // Of the completion.
    let answers = vec![nothing(), LOST, gone(), marked(MARKER), composed(), deleted()];
    check("completed", created(answers).await, Ok("\"c\""), "HEAD POST+ POST+ HEAD+ compose DELETE+");
    let answers = vec![nothing(), LOST, gone(), nothing(), deleted()];
    check("gone", created(answers).await, io("NoSuchUpload"), "HEAD POST+ POST+ HEAD+ DELETE+");
    let answers = vec![nothing(), reply(403, &[], &xml("AccessDenied")), deleted()];
    check("denied", created(answers).await, io("access is denied"), "HEAD POST+ DELETE+");
    let failing = reply(200, &[], &xml("InternalError"));
    let answers = vec![nothing(), failing, completed(), composed(), deleted()];
    check("in a 200", created(answers).await, Ok("\"c\""), "HEAD POST+ POST+ compose DELETE+");
    // Of composing.
    let answers = vec![nothing(), completed(), LOST, refused(), marked(MARKER), deleted()];
    check("ours", created(answers).await, Ok("\"e\""), "HEAD POST+ compose compose HEAD DELETE+");
    let answers = vec![nothing(), completed(), LOST, LOST, LOST, marked(MARKER), deleted()];
    check("ours", created(answers).await, Ok("\"e\""), "HEAD POST+ compose compose compose HEAD DELETE+");
    let answers = vec![nothing(), completed(), LOST, LOST, LOST, nothing(), deleted()];
    check("never", created(answers).await, io(""), "HEAD POST+ compose compose compose HEAD DELETE+");
    let answers = vec![nothing(), completed(), LOST, LOST, LOST, head(403, &[], 0), deleted()];
    let unknown = io("whether the object was written is not known");
    check("unknown", created(answers).await, unknown, "HEAD POST+ compose compose compose HEAD DELETE+");
    let answers = vec![nothing(), completed(), LOST, refused(), head(403, &[], 0), deleted()];
    let unknown = io("whether this run has written it is not known");
    check("nobody may look", created(answers).await, unknown, "HEAD POST+ compose compose HEAD DELETE+");
    // A store without metadata. Two times "123456789": CRC-32C by a loop over bits in Python.
    for (hash, expected) in [("crc32c=qGxT9A==", Ok("\"c\"")), ("crc32c=4waSgw==", unknown)] {
        let seen = head(200, &[("ETag", "\"c\""), ("x-goog-hash", hash)], 18);
        let answers = vec![nothing(), completed(), LOST, refused(), seen, deleted()];
        check("no metadata", created(answers).await, expected, "HEAD POST+ compose compose HEAD DELETE+");
    }
    let answers = vec![nothing(), completed(), LOST, LOST, LOST, nothing(), deleted()];
    let appear = io("gs://bucket/k is not there; it may yet appear");
    check("may appear", created(answers).await, appear, "HEAD POST+ compose compose compose HEAD DELETE+");
    // Of deleting: the object is whole, and what is left is said.
    for lost in [vec![LOST; 3], vec![reply(403, &[], &xml("AccessDenied"))]] {
        let sent = format!("HEAD POST+ compose{}", " DELETE+".repeat(lost.len()));
        let answers = [vec![nothing(), completed(), composed()], lost].concat();
        let got = created(answers).await;
        let notes = got.0.as_ref().unwrap().notes.clone();
        check("left", got, Ok("\"c\""), &sent);
        let left = "gs://bucket/k.0123456789abcdef.cogclip-part, where the object was put together, could not be deleted; \
                    delete it if it exists";
        assert_eq!(notes, [left]);
    }
    let got = created(vec![nothing(), completed(), composed(), deleted()]).await;
    assert_eq!(got.0.unwrap().notes, Vec::<String>::new());
}

#[tokio::test]
async fn composing_that_is_refused() {
    let run = |refusal: Raw| created(vec![nothing(), completed(), refusal, deleted()]);
    let io = |text| Err((ErrorKind::Io, text));
    for refusal in [
        reply(501, &[], ""),
        reply(400, &[], &xml("NotImplemented")),
        reply(405, &[], &xml("MethodNotAllowed")),
        reply(404, &[], ""),
    ] {
        let cannot = io("gs://bucket/k: the server cannot compose objects");
        check("unknown", run(refusal).await, cannot, "HEAD POST+ compose DELETE+");
    }
    let denied = io("(storage.objects.get and storage.objects.delete)");
    check("denied", run(reply(403, &[], &xml("AccessDenied"))).await, denied, "HEAD POST+ compose DELETE+");
    // A rule of the bucket was faster.
    let answers = vec![nothing(), completed(), reply(404, &[], &xml("NoSuchKey")), nothing(), deleted()];
    let gone = io("composing from gs://bucket/k.0123456789abcdef.cogclip-part: ");
    check("gone", created(answers).await, gone, "HEAD POST+ compose HEAD DELETE+");
}

#[tokio::test]
async fn what_was_composed_is_checked_as_a_whole() {
    // Two times "123456789": CRC-32C by a loop over bits in Python.
    for (size, said, what) in [
        (18, "crc32c=qGxT9A==", None),
        (18, "crc32c=4waSgw==", Some("its checksum is another")),
        // A server that takes the list of components for the object.
        (104, "crc32c=4waSgw==", Some("it has 104 bytes instead of 18")),
    ] {
        let server = Server::new(move |asked, index| match (asked.method.as_str(), asked.query.as_str()) {
            (_, "compose") => reply(200, &[("ETag", "\"c\"")], ""),
            ("HEAD", _) if index > 3 => {
                let marker = ("x-goog-meta-cogclip-write", MARKER);
                head(
                    200,
                    &[("ETag", "\"c\""), ("x-goog-hash", said), marker, ("x-goog-generation", "7")],
                    size,
                )
            }
            _ => honest(asked, index),
        });
        let object = server.object("gs", "k", &[]);
        let begun = object.begin(&create()).await.unwrap();
        let parts = two_parts(&object, &begun).await;
        let stored = object.complete(&begun, &parts, &create()).await.unwrap();
        let result = object.check(&stored, 18, MARKER).await;
        let asked = server.asked().pop().unwrap();
        match what {
            None => result.unwrap(),
            Some(what) => {
                let error = result.unwrap_err().to_string();
                assert!(error.contains(what) && error.contains("it has been deleted"), "{error}");
                assert_eq!(asked.line(), "DELETE /bucket/k");
                assert_eq!(asked.header("x-goog-if-generation-match"), Some("7"), "only that version");
            }
        }
    }
}
