//! The store copies ranges itself: the exact request, what its answers mean, and what the object is compared with.

use super::answering::{Asked, Raw, Server, head, reply};
use super::copy::{CopiedPart, Origin};
use super::object::{Object, Part};
use super::publish_tests::{DONE, MARKER, MD5, create, honest, up, xml};
use crate::error::{ErrorKind, Result};

/// The key 0, 1, 2 … 31, by coreutils' base64 and Python's hashlib.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const KEY_MD5: &str = "tP/LI3N87DFaSk0aoqYgzg==";

fn origin(object: &Object) -> Origin {
    Origin { object: object.clone(), etag: "\"v1\"".to_owned(), range: 100..109 }
}

/// An answer to a copy, with the namespace and the entities that S3 has.
fn made(more: &str) -> Raw {
    let etag = MD5.replace('"', "&quot;");
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<CopyPartResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>{etag}</ETag>{more}</CopyPartResult>"
    );
    reply(200, &[], &body)
}

/// What comes of copying nine bytes when these are the answers, and how often it was asked.
async fn copied(more: &[(&str, &str)], answers: Vec<Raw>) -> (Result<CopiedPart>, usize) {
    let server = Server::script(answers);
    let object = server.object("s3", "k", more);
    let source = server.object("s3", "source", more);
    let result = object.copy_part(&up(&object), 7, &origin(&source)).await;
    (result, server.asked().len())
}

fn part(result: Result<CopiedPart>) -> Part {
    match result.unwrap() {
        CopiedPart::Done(part) => part,
        CopiedPart::Unable(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_copy_is_one_request_without_a_body() {
    let server = Server::new(|_, _| made(""));
    let object = server.object("s3", "dir/k", &[]);
    let key = "gr\u{f6}\u{df}e/a b+c%20?#&.tif";
    let source = server.object("s3", key, &[("aws_request_payer", "requester")]);
    part(object.copy_part(&up(&object), 7, &origin(&source)).await);
    let asked = server.asked();
    assert_eq!(asked.len(), 1);
    let asked = asked.first().unwrap();
    assert_eq!(asked.line(), "PUT /bucket/dir/k?partNumber=7&uploadId=up");
    for (name, value) in [
        // Python's urllib.parse.quote("bucket/" + key, safe="/~"), as botocore has it.
        ("x-amz-copy-source", "bucket/gr%C3%B6%C3%9Fe/a%20b%2Bc%2520%3F%23%26.tif"),
        ("x-amz-copy-source-range", "bytes=100-108"),
        ("x-amz-copy-source-if-match", "\"v1\""),
        ("x-amz-request-payer", "requester"),
        ("content-length", "0"),
    ] {
        assert_eq!(asked.header(name), Some(value), "{name}");
    }
    assert!(!asked.headers.iter().any(|(name, _)| name.contains("customer") || name.contains("md5")));
}

#[tokio::test]
async fn each_side_has_its_own_key() {
    let encrypted = [("aws_server_side_encryption", "sse-c"), ("aws_sse_customer_key_base64", KEY)];
    let names =
        ["x-amz-server-side-encryption-customer", "x-amz-copy-source-server-side-encryption-customer"];
    for (of_object, of_source) in [(false, false), (true, false), (false, true), (true, true)] {
        let server = Server::new(|_, _| made(""));
        let object = server.object("s3", "k", if of_object { &encrypted } else { &[] });
        let source = server.object("s3", "source", if of_source { &encrypted } else { &[] });
        assert!(object.can_copy(&source));
        part(object.copy_part(&up(&object), 1, &origin(&source)).await);
        let asked = server.asked();
        for (name, given) in names.iter().zip([of_object, of_source]) {
            for (end, value) in [("algorithm", "AES256"), ("key", KEY), ("key-md5", KEY_MD5)] {
                let found = asked.first().unwrap().header(&format!("{name}-{end}"));
                assert_eq!(found, given.then_some(value), "{name}-{end}");
            }
        }
    }
}

#[tokio::test]
async fn only_what_is_of_one_store_and_one_account_is_copied() {
    let server = Server::script(Vec::new());
    let plain = server.object("s3", "k", &[]);
    let check = |scheme: &str, more: &[(&str, &str)], expected: bool| {
        let other = server.object(scheme, "other", more);
        assert_eq!(
            (plain.can_copy(&other), other.can_copy(&plain)),
            (expected, expected),
            "{scheme} {more:?}"
        );
    };
    check("s3", &[], true);
    for more in [
        ("checksum", "none"),
        ("contiguous_parts", "true"),
        ("aws_request_payer", "true"),
        ("aws_server_side_encryption", "AES256"),
        // Of another store.
        ("google_user_project", "p"),
    ] {
        check("s3", &[more], true);
    }
    for more in [
        ("aws_endpoint", "http://127.0.0.1:9"),
        ("region", "eu-central-1"),
        ("aws_skip_signature", "false"),
        ("access_key_id", "another"),
        ("aws_secret_access_key", "another"),
        ("aws_session_token", "another"),
    ] {
        check("s3", &[more], false);
    }
    for scheme in ["gs", "az", "http"] {
        check(scheme, &[], false);
        let object = server.object(scheme, "k", &[]);
        assert!(!object.can_copy(&object), "{scheme}");
    }
    // The environment counts too.
    let options = super::StoreOptions {
        environment: vec![("AWS_ACCESS_KEY_ID".to_owned(), "another".to_owned())],
        ..server.options(&[])
    };
    let location = super::location::Location::parse("s3://bucket/k").unwrap();
    let other = Object::open(&location, "s3://bucket/k", &options, std::sync::Arc::default()).unwrap();
    assert!(!plain.can_copy(&other));
}

#[tokio::test]
async fn checksums_are_those_that_the_store_says() {
    let known = part(copied(&[], vec![made("")]).await.0);
    // `md5sum` of "123456789", as `MD5` is.
    let md5 = *b"\x25\xf9\xe7\x94\x32\x3b\x45\x38\x85\xf5\x18\x1f\x1b\x62\x4d\x0b";
    assert_eq!((known.number, known.size, known.etag.as_str()), (7, 9, MD5));
    assert_eq!((known.md5, known.crc32c, known.sha256, known.crc64nvme), (Some(md5), None, None, None));
    // With a key of KMS, an ETag is no MD5 even where it looks like one.
    let mut kms = made("");
    let at = kms.windows(2).position(|bytes| bytes == b"\r\n").unwrap();
    kms.splice(at..at, *b"\r\nx-amz-server-side-encryption: aws:kms");
    assert_eq!(part(copied(&[], vec![kms]).await.0).md5, None);
    let odd = reply(200, &[], "<CopyPartResult><ETag>\"0x8D\"</ETag></CopyPartResult>");
    assert_eq!(part(copied(&[], vec![odd]).await.0).md5, None);
    // SHA-256 of "123456789" by coreutils, and the check value of CRC-64/NVME.
    let sha256 = "<ChecksumSHA256>FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=</ChecksumSHA256>";
    let told = part(copied(&[("checksum", "sha256")], vec![made(sha256)]).await.0);
    assert_eq!(told.sha256.map(|sum| sum[..3].to_vec()), Some(vec![0x15, 0xe2, 0xb0]));
    let crc = "<ChecksumCRC64NVME>rosUhgp5mIg=</ChecksumCRC64NVME>";
    let told = part(copied(&[("checksum", "crc64nvme")], vec![made(crc)]).await.0);
    assert_eq!(told.crc64nvme, Some(0xae8b_1486_0a79_9888));
    // What was asked for must be said.
    for (chosen, said) in [("sha256", ""), ("sha256", crc), ("crc64nvme", sha256)] {
        let (result, _) = copied(&[("checksum", chosen)], vec![made(said)]).await;
        assert!(matches!(result, Ok(CopiedPart::Unable(_))), "{chosen}");
    }
}

#[tokio::test]
async fn answers_to_a_copy() {
    let in_a_200 = |code| reply(200, &[], &xml(code));
    // Tried again.
    for failing in [
        reply(503, &[], &xml("SlowDown")),
        reply(500, &[], ""),
        in_a_200("InternalError"),
        in_a_200("SlowDown"),
        reply(200, &[], "<CopyPartResult>"),
        reply(200, &[], "<CopyPartResult/>"),
        reply(200, &[], "  "),
        Raw::new(),
    ] {
        let (result, asked) = copied(&[], vec![failing.clone(), made("")]).await;
        assert_eq!((part(result).number, asked), (7, 2), "{}", String::from_utf8_lossy(&failing));
    }
    let (result, asked) = copied(&[], vec![in_a_200("InternalError"); 3]).await;
    let error = result.err().unwrap();
    assert_eq!((error.kind(), asked), (ErrorKind::Io, 3));
    assert!(error.to_string().contains("s3://bucket/k: copying failed"), "{error}");
    // The source is another.
    for changed in [
        reply(412, &[], &xml("PreconditionFailed")),
        in_a_200("PreconditionFailed"),
        reply(416, &[], &xml("InvalidRange")),
        reply(400, &[], &xml("InvalidRange")),
        reply(404, &[], &xml("NoSuchKey")),
    ] {
        let (result, asked) = copied(&[], vec![changed, made("")]).await;
        let error = result.err().unwrap();
        assert_eq!((error.kind(), asked), (ErrorKind::Changed, 1), "{error}");
        assert!(error.to_string().starts_with("s3://bucket/source changed while it was copied"), "{error}");
    }
    // It can be read instead.
    for unable in [
        reply(501, &[], ""),
        reply(400, &[], &xml("NotImplemented")),
        reply(400, &[], &xml("InvalidRequest")),
        reply(403, &[], &xml("AccessDenied")),
        in_a_200("AccessDenied"),
        reply(405, &[], &xml("MethodNotAllowed")),
        // Taken for a part without bytes.
        reply(200, &[("ETag", "\"d41d8cd98f00b204e9800998ecf8427e\"")], ""),
    ] {
        let (result, asked) = copied(&[], vec![unable, made("")]).await;
        match result {
            Ok(CopiedPart::Unable(error)) => assert!(!error.to_string().contains("SECRET"), "{error}"),
            Ok(CopiedPart::Done(_)) => panic!("it is not done"),
            Err(error) => panic!("{error}"),
        }
        assert_eq!(asked, 1);
    }
    // Neither.
    let (result, asked) = copied(&[], vec![reply(404, &[], &xml("NoSuchUpload")), made("")]).await;
    assert_eq!((result.err().unwrap().kind(), asked), (ErrorKind::Io, 1));
}

/// What comes of an object of a part that was copied and one that was sent, nine bytes each, with this ETag of the copied one and this
/// of the whole.
async fn completed(of_part: &'static str, whole: &'static str) -> Result<()> {
    let server = Server::new(move |asked: &Asked, index| match (asked.method.as_str(), index) {
        ("PUT", _) if asked.header("x-amz-copy-source").is_some() => {
            let body = format!("<CopyPartResult><ETag>{of_part}</ETag></CopyPartResult>");
            reply(200, &[], &body)
        }
        ("POST", _) if asked.query == "uploadId=up" => reply(200, &[], &DONE.replace("whole-2", whole)),
        ("HEAD", 3..) => {
            let etag = format!("\"{whole}\"");
            head(200, &[("ETag", &etag), ("x-amz-meta-cogclip-write", MARKER)], 18)
        }
        _ => honest(asked, index),
    });
    let object = server.object("s3", "k", &[]);
    let upload = up(&object);
    let copy = part(object.copy_part(&upload, 1, &origin(&object)).await);
    let sent = object.part(&upload, 2, vec![bytes::Bytes::from_static(b"123456789")]).await?;
    let stored = object.complete(&upload, &[copy, sent], &create()).await?;
    object.check(&stored, 18, MARKER).await
}

#[tokio::test]
async fn the_whole_is_compared_as_far_as_it_is_known() {
    let md5 = "25f9e794323b453885f5181f1b624d0b";
    // Python's hashlib.md5(bytes.fromhex(md5) * 2).
    completed(md5, "4f2908c19b573e50b194e208c928de17-2").await.unwrap();
    let error = completed(md5, "00000000000000000000000000000000-2").await.unwrap_err();
    assert!(error.to_string().contains("its checksum is another"), "{error}");
    completed("not an MD5", "00000000000000000000000000000000-2").await.unwrap();
}
