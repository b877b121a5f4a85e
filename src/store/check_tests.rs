//! What is there is compared with what was sent, and may be seen late.

use super::answering::{Asked, Raw, Server, head, reply};
use super::object::Put;
use super::publish_tests::{
    DONE, MARKER, MD5, MD5_BASE64, create, honest, marked, overwrite, put, two_parts, up,
};
use crate::error::{ErrorKind, Result};

/// What comes of a check of nine bytes that were put, when the HEAD after it is answered so; and what was sent after it.
async fn checked(
    scheme: &'static str,
    seen: Vec<(&'static str, &'static str)>,
    len: usize,
) -> (Result<()>, Vec<Asked>) {
    let server = Server::new(move |asked, _| match asked.method.as_str() {
        "PUT" => reply(200, &[("ETag", MD5)], ""),
        "HEAD" => head(200, &seen, len),
        _ => reply(204, &[], ""),
    });
    let object = server.object(scheme, "k", &[]);
    let stored = put(&object, &create()).await.unwrap();
    let result = object.check(&stored, 9, MARKER).await;
    (result, server.asked().split_off(2))
}

#[tokio::test]
async fn what_is_there_is_compared_with_what_was_sent() {
    let right = vec![
        ("s3", vec![("ETag", MD5)]),
        ("s3", vec![]),
        ("s3", vec![("ETag", "25f9e794323b453885f5181f1b624d0b")]),
        ("gs", vec![("ETag", MD5), ("x-goog-hash", "crc32c=4waSgw==,md5=JfnnlDI7RTiF9RgfG2JNCw==")]),
        ("az", vec![("ETag", MD5), ("Content-MD5", MD5_BASE64)]),
    ];
    for (scheme, seen) in right {
        let (result, after) = checked(scheme, seen, 9).await;
        result.unwrap();
        assert!(after.is_empty());
    }
    let other = "\"00000000000000000000000000000000\"";
    let wrong = [
        ("s3", vec![("ETag", MD5)], 8, "8 bytes instead of 9"),
        ("gs", vec![("ETag", MD5)], 10, "10 bytes instead of 9"),
        ("az", vec![("ETag", other)], 9, "its ETag is not the one"),
        ("s3", vec![("ETag", other)], 9, "its ETag is not the one"),
        ("gs", vec![("ETag", MD5), ("x-goog-hash", "crc32c=AAAAAA==")], 9, "its checksum is another"),
        ("gs", vec![("x-goog-hash", "md5=rL0Y20zC+Fzt72VPzMSk2A==")], 9, "its checksum is another"),
        (
            "az",
            vec![("ETag", MD5), ("Content-MD5", "rL0Y20zC+Fzt72VPzMSk2A==")],
            9,
            "its checksum is another",
        ),
    ];
    for (scheme, seen, len, text) in wrong {
        let (result, after) = checked(scheme, seen.clone(), len).await;
        let error = result.unwrap_err();
        let shown = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(shown.contains(text) && shown.contains("another writer has replaced it"), "{shown}");
        assert!(after.is_empty(), "it is not ours to delete");
        // With our marker, it is.
        let name = match scheme {
            "s3" => "x-amz-meta-cogclip-write",
            "gs" => "x-goog-meta-cogclip-write",
            _ => "x-ms-meta-cogclip_write",
        };
        let ours = seen.into_iter().chain([(name, MARKER), ("x-goog-generation", "17")]).collect();
        let (result, after) = checked(scheme, ours, len).await;
        let shown = result.unwrap_err().to_string();
        assert!(shown.contains(text) && shown.contains("it has been deleted"), "{shown}");
        assert_eq!(after.len(), 1);
        assert_eq!(after[0].method, "DELETE");
        let condition = if scheme == "gs" { "x-goog-if-generation-match" } else { "if-match" };
        assert!(after[0].header(condition).is_some(), "only that version is deleted");
    }
}

/// What comes of a check of nine bytes that were put, when the HEADs after it are answered so, the last of them for ever; how
/// many there were, and the seconds it took. They pass as fast as the connection lets them.
async fn looked(scheme: &str, how: &Put<'_>, seen: Vec<Raw>) -> (Result<()>, usize, f64) {
    let server = Server::new(move |asked, index| match asked.method.as_str() {
        "PUT" => reply(200, &[("ETag", MD5)], ""),
        "HEAD" => seen[(index - 1).min(seen.len() - 1)].clone(),
        _ => reply(204, &[], ""),
    });
    let object = server.object(scheme, "k", &[]);
    let stored = put(&object, how).await.unwrap();
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    let mut checking = std::pin::pin!(object.check(&stored, 9, MARKER));
    let result = loop {
        // While it runs, the clock stands: connections would time out.
        let turn = tokio::task::spawn_blocking(|| std::thread::sleep(std::time::Duration::from_millis(2)));
        tokio::select! {
            result = &mut checking => break result,
            _ = turn => tokio::time::advance(std::time::Duration::from_millis(20)).await,
        }
    };
    let took = began.elapsed().as_secs_f64();
    tokio::time::resume();
    let asked = server.asked().split_off(1);
    assert!(asked.iter().all(|asked| asked.method == "HEAD"), "it is left");
    (result, asked.len(), took)
}

#[tokio::test]
async fn a_store_may_show_late_what_was_written() {
    let (nothing, ours) = (|| head(404, &[], 0), || head(200, &[("ETag", MD5)], 9));
    let old = || head(200, &[("ETag", "\"00000000000000000000000000000000\"")], 9);
    for scheme in ["s3", "gs", "az"] {
        for how in [create(), overwrite()] {
            let (result, looks, took) = looked(scheme, &how, vec![nothing(), nothing(), ours()]).await;
            result.unwrap();
            assert_eq!(looks, 3, "{scheme}");
            assert!((0.7..1.7).contains(&took), "0.2 s and 0.5 s, not {took}");
            let (result, looks, took) = looked(scheme, &how, vec![nothing()]).await;
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Io);
            assert!(
                error.to_string().contains("said that the object was written, and does not show it"),
                "{error}"
            );
            assert_eq!(looks, 5, "{scheme}");
            assert!((3.7..6.0).contains(&took), "0.2, 0.5, 1 and 2 s, not {took}");
        }
        // What was there before, with a marker of an earlier write or none.
        for stale in [old(), marked("fedcba9876543210")] {
            let (result, looks, _) =
                looked(scheme, &overwrite(), vec![stale.clone(), nothing(), ours()]).await;
            result.unwrap();
            assert_eq!(looks, 3, "{scheme}");
            let (result, looks, _) = looked(scheme, &overwrite(), vec![stale.clone()]).await;
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Io);
            assert!(error.to_string().contains("or the store still shows what was there before"), "{error}");
            assert_eq!(looks, 5, "{scheme}");
            // Where nothing was, it is another writer's: waiting changes nothing.
            let (result, looks, _) = looked(scheme, &create(), vec![stale]).await;
            assert!(result.unwrap_err().to_string().contains("another writer has replaced it; it"));
            assert_eq!(looks, 1, "{scheme}");
        }
    }
}

#[tokio::test]
async fn an_upload_in_parts_is_checked_as_a_whole() {
    // Two times "123456789": the MD5 of two MD5s, by hashlib; CRC-32C by a loop over bits in Python.
    for (scheme, name, right, wrong) in [
        ("s3", "ETag", "\"4f2908c19b573e50b194e208c928de17-2\"", "\"25f9e794323b453885f5181f1b624d0b-2\""),
        ("gs", "x-goog-hash", "crc32c=qGxT9A==", "crc32c=4waSgw=="),
    ] {
        for (said, is_right) in [(right, true), (wrong, false)] {
            let server = Server::new(move |asked, index| match asked.method.as_str() {
                "HEAD" if index > 2 => head(200, &[(name, said)], 18),
                "POST" => reply(
                    200,
                    &[],
                    &DONE.replace("&quot;whole-2&quot;", if scheme == "s3" { said } else { "e" }),
                ),
                _ => honest(asked, index),
            });
            let object = server.object(scheme, "k", &[]);
            let parts = two_parts(&object, &up(&object)).await;
            let stored = object.complete(&up(&object), &parts, &overwrite()).await.unwrap();
            let result = object.check(&stored, 18, MARKER).await;
            assert_eq!(result.is_ok(), is_right, "{scheme} {said} {result:?}");
        }
    }
}
