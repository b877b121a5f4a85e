//! Objects are written: the exact requests of each store, lost answers, conditions, and what is checked afterwards.

use bytes::Bytes;

use super::answering::{Asked, Raw, Server, head, reply};
use super::object::{Begun, Object, Part, Put, Stored};
use crate::error::{Error, ErrorKind, Result};

pub(super) const MARKER: &str = "0123456789abcdef";
/// `md5sum` of "123456789", in hexadecimal and in base64; and of "" in base64.
pub(super) const MD5: &str = "\"25f9e794323b453885f5181f1b624d0b\"";
pub(super) const MD5_BASE64: &str = "JfnnlDI7RTiF9RgfG2JNCw==";

pub(super) fn create<'a>() -> Put<'a> {
    Put { create: true, content_type: "image/tiff; application=geotiff", metadata: &[], marker: MARKER }
}

pub(super) fn overwrite<'a>() -> Put<'a> {
    Put { create: false, ..create() }
}

fn body() -> Vec<Bytes> {
    vec![Bytes::from_static(b"1234"), Bytes::new(), Bytes::from_static(b"56789")]
}

pub(super) fn xml(code: &str) -> String {
    format!("<Error><Code>{code}</Code><Message>SECRET</Message></Error>")
}

/// The answer to a HEAD of an object with the marker `marker`.
pub(super) fn marked(marker: &str) -> Raw {
    let names = ["x-amz-meta-cogclip-write", "x-goog-meta-cogclip-write", "x-ms-meta-cogclip_write"];
    let mut headers = vec![("ETag", "\"e\"")];
    headers.extend(names.map(|name| (name, marker)));
    head(200, &headers, 9)
}

fn stored() -> Raw {
    reply(201, &[("ETag", "\"e\"")], "")
}

pub(super) async fn put(object: &Object, how: &Put<'_>) -> Result<Stored> {
    object.put(body(), how).await
}

#[tokio::test]
async fn puts_say_everything_in_one_request() {
    let metadata = [("source".to_owned(), "a b".to_owned())];
    for (scheme, condition, expected) in [
        (
            "s3",
            ("if-none-match", "*"),
            vec![("x-amz-meta-source", "a b"), ("x-amz-meta-cogclip-write", MARKER)],
        ),
        (
            "gs",
            ("x-goog-if-generation-match", "0"),
            vec![("x-goog-meta-source", "a b"), ("x-goog-meta-cogclip-write", MARKER)],
        ),
        (
            "az",
            ("if-none-match", "*"),
            vec![
                ("x-ms-meta-source", "a b"),
                ("x-ms-meta-cogclip_write", MARKER),
                ("x-ms-blob-type", "BlockBlob"),
                ("x-ms-blob-content-type", "image/tiff; application=geotiff"),
                ("x-ms-blob-content-md5", MD5_BASE64),
            ],
        ),
    ] {
        let server = Server::new(|_, _| stored());
        let object = server.object(scheme, "dir/k", &[]);
        let how = Put { metadata: &metadata, ..create() };
        assert_eq!(put(&object, &how).await.unwrap().etag.as_deref(), Some("\"e\""));
        put(&object, &Put { metadata: &metadata, ..overwrite() }).await.unwrap();
        let asked = server.asked();
        assert_eq!(asked.len(), 2, "{scheme}");
        for asked in &asked {
            assert!(
                asked.line().starts_with("PUT /") && asked.line().ends_with("/dir/k"),
                "{}",
                asked.line()
            );
            assert_eq!(asked.body, b"123456789");
            for (name, value) in expected.iter().copied().chain([
                ("content-md5", MD5_BASE64),
                ("content-type", "image/tiff; application=geotiff"),
                ("content-length", "9"),
            ]) {
                assert_eq!(asked.header(name), Some(value), "{scheme} {name}");
            }
            assert_eq!(asked.header("transfer-encoding"), None);
        }
        assert_eq!(asked[0].header(condition.0), Some(condition.1));
        assert_eq!(asked[1].header(condition.0), None);
    }
}

#[tokio::test]
async fn other_checksums_of_s3() {
    // SHA-256 by coreutils; the check value of CRC-64/NVME.
    for (chosen, name, value) in [
        ("sha256", "x-amz-checksum-sha256", "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
        ("crc64nvme", "x-amz-checksum-crc64nvme", "rosUhgp5mIg="),
    ] {
        let server = Server::new(|_, _| stored());
        put(&server.object("s3", "k", &[("checksum", chosen)]), &create()).await.unwrap();
        put(&server.object("gs", "k", &[("checksum", chosen)]), &create()).await.unwrap();
        let asked = server.asked();
        assert_eq!((asked[0].header(name), asked[0].header("content-md5")), (Some(value), None));
        assert_eq!((asked[1].header(name), asked[1].header("content-md5")), (None, Some(MD5_BASE64)));
    }
    let server = Server::new(|_, _| stored());
    put(&server.object("s3", "k", &[("checksum", "none")]), &create()).await.unwrap();
    let headers = &server.asked()[0].headers;
    assert!(!headers.iter().any(|(name, _)| name.contains("md5") || name.contains("checksum")));
}

/// What comes of a put that is answered so, and the methods that were sent.
async fn tried(
    scheme: &str,
    how: &Put<'_>,
    more: &[(&str, &str)],
    answers: Vec<Raw>,
) -> (Result<Stored>, String) {
    let server = Server::script(answers);
    let result = put(&server.object(scheme, "k", more), how).await;
    let methods: Vec<_> = server.asked().iter().map(|asked| asked.method.clone()).collect();
    (result, methods.join(" "))
}

#[track_caller]
pub(super) fn check(case: &str, got: (Result<Stored>, String), kind: Option<ErrorKind>, methods: &str) {
    let (result, sent) = got;
    let error = result.as_ref().err().map(Error::to_string).unwrap_or_default();
    assert_eq!(sent, methods, "{case}: {error}");
    assert_eq!(result.as_ref().err().map(Error::kind), kind, "{case}: {error}");
    assert!(!error.contains("SECRET"), "{error}");
}

#[tokio::test]
async fn existing_objects_are_refused() {
    let exists = Some(ErrorKind::Exists);
    for scheme in ["s3", "gs", "az"] {
        let got = tried(scheme, &create(), &[], vec![reply(412, &[], &xml("PreconditionFailed"))]).await;
        check(scheme, got, exists, "PUT");
        let got = tried(scheme, &overwrite(), &[], vec![reply(412, &[], &xml("PreconditionFailed"))]).await;
        check(scheme, got, Some(ErrorKind::Io), "PUT");
    }
    let conflict = reply(409, &[("x-ms-error-code", "BlobAlreadyExists")], "");
    check("Azure", tried("az", &create(), &[], vec![conflict]).await, exists, "PUT");
    let forbidden = reply(403, &[("x-ms-error-code", "UnauthorizedBlobOverwrite")], "");
    check("Azure", tried("az", &create(), &[], vec![forbidden]).await, exists, "PUT");
    // Two writers at once: S3 wants the loser to try again, and then says who won.
    let conflict = reply(409, &[], &xml("ConditionalRequestConflict"));
    let answers = vec![conflict.clone(), reply(412, &[], ""), marked("fedcba9876543210")];
    check("conflict", tried("s3", &create(), &[], answers).await, exists, "PUT PUT HEAD");
    check("conflict", tried("s3", &create(), &[], vec![conflict, stored()]).await, None, "PUT PUT");
}

#[tokio::test]
async fn lost_answers_are_found() {
    let (lost, refused) = (Vec::new(), || reply(412, &[], &xml("PreconditionFailed")));
    for scheme in ["s3", "gs", "az"] {
        let answers = vec![lost.clone(), refused(), marked(MARKER)];
        let (result, sent) = tried(scheme, &create(), &[], answers).await;
        assert_eq!(result.as_ref().unwrap().etag.as_deref(), Some("\"e\""), "{scheme}");
        check("it was ours", (result, sent), None, "PUT PUT HEAD");
        let answers = vec![reply(500, &[], ""), refused(), marked(MARKER)];
        check("it was ours", tried(scheme, &create(), &[], answers).await, None, "PUT PUT HEAD");
        let answers = vec![lost.clone(), refused(), marked("fedcba9876543210")];
        let exists = Some(ErrorKind::Exists);
        check("it was another's", tried(scheme, &create(), &[], answers).await, exists, "PUT PUT HEAD");
        // What was refused without a doubt before was not written: it is another's, whoever may look.
        let answers = vec![reply(429, &[], ""), refused(), head(403, &[], 0)];
        check("nobody may look", tried(scheme, &create(), &[], answers).await, exists, "PUT PUT HEAD");
        // The last try was lost.
        let answers = vec![reply(503, &[], ""), lost.clone(), lost.clone(), marked(MARKER)];
        check("it was ours", tried(scheme, &create(), &[], answers).await, None, "PUT PUT PUT HEAD");
        let answers = vec![lost.clone(), lost.clone(), lost.clone(), marked(MARKER)];
        check("it was ours", tried(scheme, &overwrite(), &[], answers).await, None, "PUT PUT PUT HEAD");
        let io = Some(ErrorKind::Io);
        let answers = vec![lost.clone(), lost.clone(), lost.clone(), head(404, &[], 0)];
        check("never there", tried(scheme, &create(), &[], answers).await, io, "PUT PUT PUT HEAD");
        let answers = vec![lost.clone(), lost.clone(), lost.clone(), marked("fedcba9876543210")];
        check("an older one", tried(scheme, &overwrite(), &[], answers).await, io, "PUT PUT PUT HEAD");
        let answers = vec![lost.clone(), lost.clone(), lost.clone(), head(403, &[], 0)];
        let (result, sent) = tried(scheme, &create(), &[], answers).await;
        let text = result.as_ref().unwrap_err().to_string();
        assert!(text.contains("whether the object was written is not known"), "{text}");
        check("unknown", (result, sent), io, "PUT PUT PUT HEAD");
        // A refusal is certain: nothing is looked at.
        let answers = vec![reply(403, &[], &xml("AccessDenied"))];
        check("refused", tried(scheme, &create(), &[], answers).await, io, "PUT");
    }
}

/// The kind of the error and what it says; `Ok` with the ETag.
#[track_caller]
fn check_said(
    case: &str,
    (result, sent): (Result<Stored>, String),
    expected: Result<&str, (ErrorKind, &str)>,
    methods: &str,
) {
    assert_eq!(sent, methods, "{case}: {result:?}");
    match expected {
        Ok(etag) => assert_eq!(result.unwrap().etag.as_deref(), Some(etag), "{case}"),
        Err((kind, text)) => {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), kind, "{case}: {error}");
            assert!(error.to_string().contains(text), "{case}: {error}");
        }
    }
}

#[tokio::test]
async fn an_output_of_our_own_is_never_said_to_be_anothers() {
    let (lost, refused) = (Vec::new, || reply(412, &[], &xml("PreconditionFailed")));
    let not_known = "exists, and whether this run has written it is not known; look at it";
    let not_known = Err((ErrorKind::Io, not_known));
    for scheme in ["s3", "gs", "az"] {
        // An account that may write and not look.
        let answers = vec![lost(), refused(), head(403, &[], 0)];
        let got = tried(scheme, &create(), &[], answers).await;
        check_said("nobody may look", got, not_known, "PUT PUT HEAD");
        let answers = vec![lost(), refused(), head(404, &[], 0)];
        let got = tried(scheme, &create(), &[], answers).await;
        let hidden = Err((ErrorKind::Io, "the store says that it exists, and does not show it"));
        check_said("hidden", got, hidden, "PUT PUT HEAD");
        // A store that keeps no metadata: nine bytes of the same checksum are ours, by whichever field it says it.
        let same = [("ETag", MD5), ("x-goog-hash", "crc32c=4waSgw=="), ("Content-MD5", MD5_BASE64)];
        for how in [create(), overwrite()] {
            let answers = if how.create {
                vec![lost(), refused(), head(200, &same, 9)]
            } else {
                vec![lost(), lost(), lost(), head(200, &same, 9)]
            };
            let methods = if how.create { "PUT PUT HEAD" } else { "PUT PUT PUT HEAD" };
            check_said("no metadata", tried(scheme, &how, &[], answers).await, Ok(MD5), methods);
        }
        let other = [
            ("ETag", "\"00000000000000000000000000000000\""),
            ("x-goog-hash", "crc32c=AAAAAA=="),
            ("Content-MD5", "rL0Y20zC+Fzt72VPzMSk2A=="),
        ];
        for seen in [&other[..], &[]] {
            let answers = vec![lost(), refused(), head(200, seen, 9)];
            let got = tried(scheme, &create(), &[], answers).await;
            check_said("no metadata, and perhaps another", got, not_known, "PUT PUT HEAD");
        }
        // What has another size was never sent by us.
        let answers = vec![lost(), refused(), head(200, &same, 8)];
        let got = tried(scheme, &create(), &[], answers).await;
        check_said(
            "no metadata, and another",
            got,
            Err((ErrorKind::Exists, "exists; allow")),
            "PUT PUT HEAD",
        );
        // Without a lost answer, what has no marker is another's.
        let answers = vec![reply(429, &[], ""), refused(), head(200, &same, 9)];
        let got = tried(scheme, &create(), &[], answers).await;
        check_said("another's", got, Err((ErrorKind::Exists, "exists; allow")), "PUT PUT HEAD");
    }
    // ETags that are no checksums prove nothing.
    let answers = vec![lost(), refused(), head(200, &[("ETag", MD5)], 9)];
    let got = tried("s3", &create(), &[("checksum", "none")], answers).await;
    check_said("no checksums", got, not_known, "PUT PUT HEAD");
    // A store that knows no conditions, of which the first try was lost.
    let answers = vec![lost(), reply(501, &[], ""), head(200, &[("ETag", MD5)], 9)];
    check_said("no conditions", tried("s3", &create(), &[], answers).await, Ok(MD5), "PUT PUT HEAD");
    let answers = vec![lost(), reply(501, &[], ""), head(200, &[], 9)];
    check_said("no conditions", tried("s3", &create(), &[], answers).await, not_known, "PUT PUT HEAD");
    // Two times "123456789": the MD5 of two MD5s, by hashlib.
    let etag = "\"4f2908c19b573e50b194e208c928de17-2\"";
    let gone = reply(404, &[], &xml("NoSuchUpload"));
    let answers = vec![head(404, &[], 0), lost(), gone, head(200, &[("ETag", etag)], 18)];
    check_said("in parts", completed("s3", &create(), answers).await, Ok(etag), "HEAD POST POST HEAD");
}

#[tokio::test]
async fn what_may_yet_appear_is_said() {
    let (lost, nothing) = (Vec::new, || head(404, &[], 0));
    let appear = "bucket/k is not there; it may yet appear";
    let appear = Err((ErrorKind::Io, appear));
    for scheme in ["s3", "gs", "az"] {
        for how in [create(), overwrite()] {
            let got = tried(scheme, &how, &[], vec![lost(), lost(), lost(), nothing()]).await;
            check_said("put", got, appear, "PUT PUT PUT HEAD");
        }
        let got =
            tried(scheme, &overwrite(), &[], vec![lost(), lost(), lost(), marked("an older one")]).await;
        check_said("put", got, Err((ErrorKind::Io, "it may yet be replaced")), "PUT PUT PUT HEAD");
    }
    let gone = || reply(404, &[], &xml("NoSuchUpload"));
    let got = completed("s3", &overwrite(), vec![lost(), lost(), lost(), nothing()]).await;
    check_said("complete", got, appear, "POST POST POST HEAD");
    let got = completed("s3", &overwrite(), vec![lost(), gone(), nothing()]).await;
    check_said("complete", got, appear, "POST POST HEAD");
    // Nothing was carried out.
    for (result, sent) in [
        completed("s3", &overwrite(), vec![gone(), nothing()]).await,
        completed("s3", &overwrite(), vec![reply(200, &[], &xml("AccessDenied"))]).await,
        tried("s3", &create(), &[], vec![reply(429, &[], ""); 3]).await,
    ] {
        let error = result.unwrap_err().to_string();
        assert!(!error.contains("may yet"), "{sent}: {error}");
    }
}

#[tokio::test]
async fn stores_without_conditions_are_looked_at_first() {
    let (exists, more) = (Some(ErrorKind::Exists), [("aws_conditional_put", "disabled")]);
    let nothing = || head(404, &[], 0);
    check("off", tried("s3", &create(), &more, vec![nothing(), stored()]).await, None, "HEAD PUT");
    check("off", tried("s3", &create(), &more, vec![marked("x")]).await, exists, "HEAD");
    check("off", tried("s3", &overwrite(), &more, vec![stored()]).await, None, "PUT");
    for refusal in [reply(501, &[], ""), reply(400, &[], &xml("NotImplemented"))] {
        let answers = vec![refusal.clone(), nothing(), stored()];
        check("unknown", tried("s3", &create(), &[], answers).await, None, "PUT HEAD PUT");
        let answers = vec![refusal, marked("x")];
        check("unknown", tried("s3", &create(), &[], answers).await, exists, "PUT HEAD");
    }
    let server = Server::script(vec![nothing(), stored(), reply(501, &[], ""), nothing(), stored()]);
    put(&server.object("s3", "k", &more), &create()).await.unwrap();
    put(&server.object("s3", "k", &[]), &create()).await.unwrap();
    let conditions: Vec<_> =
        server.asked().iter().map(|asked| asked.header("if-none-match").is_some()).collect();
    assert_eq!(conditions, [false, false, true, false, false]);
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_before() {
    let server = Server::script(Vec::new());
    for scheme in ["s3", "gs", "az"] {
        let object = server.object(scheme, "k", &[]);
        let metadata = [("a".to_owned(), "line\nbreak".to_owned())];
        let wrong = [
            Put { metadata: &metadata, ..create() },
            Put { content_type: "image/tiff\r\nx-amz-acl: public-read", ..create() },
        ];
        for how in wrong {
            assert_eq!(put(&object, &how).await.unwrap_err().kind(), ErrorKind::Usage);
            assert_eq!(object.begin(&how).await.unwrap_err().kind(), ErrorKind::Usage);
        }
    }
    let error = put(&server.object("http", "k", &[]), &create()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(server.asked().is_empty());
}

const BEGUN: &str = "<?xml version=\"1.0\"?>\n<InitiateMultipartUploadResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                     <Bucket>b</Bucket><UploadId>up/1+&amp;</UploadId></InitiateMultipartUploadResult>";
pub(super) const DONE: &str =
    "<CompleteMultipartUploadResult><ETag>&quot;whole-2&quot;</ETag></CompleteMultipartUploadResult>";

/// A store that does as it should.
pub(super) fn honest(asked: &Asked, _: usize) -> Raw {
    match (asked.method.as_str(), asked.query.as_str()) {
        ("POST", "uploads=") => reply(200, &[], BEGUN),
        ("PUT", query) if query.starts_with("partNumber=") => reply(200, &[("ETag", MD5)], ""),
        ("PUT", _) => reply(201, &[("ETag", "\"whole-2\"")], ""),
        ("POST", _) => reply(200, &[], DONE),
        ("HEAD", _) => head(404, &[], 0),
        _ => reply(204, &[], ""),
    }
}

pub(super) async fn two_parts(object: &Object, upload: &Begun) -> Vec<Part> {
    let second = object.part(upload, 2, body()).await.unwrap();
    vec![object.part(upload, 1, body()).await.unwrap(), second]
}

/// The upload `up` to `object`.
pub(super) fn up(object: &Object) -> Begun {
    Begun { id: "up".to_owned(), at: object.clone(), maybe_another: false }
}

#[tokio::test]
async fn uploads_in_parts_as_s3_has_them() {
    for (scheme, prefix, how) in [("s3", "x-amz", create()), ("gs", "x-goog", overwrite())] {
        let server = Server::new(honest);
        let object = server.object(scheme, "k", &[]);
        let upload = object.begin(&how).await.unwrap();
        assert_eq!(upload.id, "up/1+&");
        let parts = two_parts(&object, &upload).await;
        let stored = object.complete(&upload, &parts, &how).await.unwrap();
        assert_eq!(stored.etag.as_deref(), Some("\"whole-2\""));
        object.abort(&upload).await.unwrap();
        let mut asked = server.asked();
        if how.create {
            assert_eq!(asked.remove(3).line(), "HEAD /bucket/k");
        }
        let lines: Vec<_> = asked.iter().map(Asked::line).collect();
        let id = "uploadId=up%2F1%2B%26";
        assert_eq!(
            lines,
            [
                "POST /bucket/k?uploads=".to_owned(),
                format!("PUT /bucket/k?partNumber=2&{id}"),
                format!("PUT /bucket/k?partNumber=1&{id}"),
                format!("POST /bucket/k?{id}"),
                format!("DELETE /bucket/k?{id}"),
            ]
        );
        assert_eq!(asked[0].header("content-type"), Some("image/tiff; application=geotiff"));
        assert_eq!(asked[0].header(&format!("{prefix}-meta-cogclip-write")), Some(MARKER));
        assert_eq!(asked[0].header("content-length"), Some("0"));
        assert_eq!(asked[1].header("content-md5"), Some(MD5_BASE64));
        assert_eq!(asked[1].body, b"123456789");
        for (index, asked) in asked.iter().enumerate() {
            let condition = (how.create && index == 3).then_some("*");
            assert_eq!(asked.header("if-none-match"), condition, "{}", asked.line());
            assert_eq!(asked.header("x-goog-if-generation-match"), None, "{}", asked.line());
        }
        let list = String::from_utf8(asked[3].body.clone()).unwrap();
        let etag = MD5.replace('"', "&quot;");
        let parts: String = [1, 2]
            .map(|number| format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"))
            .concat();
        assert!(list.ends_with(&format!("\">{parts}</CompleteMultipartUpload>")), "{list}");
    }
}

#[tokio::test]
async fn other_checksums_of_parts() {
    // CRC-64/NVME of "123456789" once and twice, and its SHA-256; by a loop over bits in Python and by coreutils.
    let of_part = ["rosUhgp5mIg=", "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="];
    for (chosen, algorithm, name, element, value, whole) in [
        (
            "crc64nvme",
            "CRC64NVME",
            "x-amz-checksum-crc64nvme",
            "ChecksumCRC64NVME",
            of_part[0],
            Some("oyJKiIDYJOQ="),
        ),
        ("sha256", "SHA256", "x-amz-checksum-sha256", "ChecksumSHA256", of_part[1], None),
    ] {
        let server = Server::new(honest);
        let object = server.object("s3", "k", &[("checksum", chosen)]);
        let upload = object.begin(&create()).await.unwrap();
        let parts = two_parts(&object, &upload).await;
        object.complete(&upload, &parts, &create()).await.unwrap();
        let asked = server.asked();
        assert_eq!(asked[0].header("x-amz-checksum-algorithm"), Some(algorithm));
        assert_eq!((asked[1].header(name), asked[1].header("content-md5")), (Some(value), None));
        let list = String::from_utf8(asked[4].body.clone()).unwrap();
        assert_eq!(list.matches(&format!("<{element}>{value}</{element}>")).count(), 2, "{list}");
        assert_eq!(asked[4].header(name), whole);
    }
}

#[tokio::test]
async fn uploads_in_parts_as_azure_has_them() {
    let server = Server::new(honest);
    let object = server.object("az", "k", &[]);
    let upload = object.begin(&create()).await.unwrap();
    let parts = two_parts(&object, &upload).await;
    object.abort(&upload).await.unwrap();
    let stored = object.complete(&upload, &parts, &create()).await.unwrap();
    assert_eq!(stored.etag.as_deref(), Some("\"whole-2\""));
    let asked = server.asked();
    let queries: Vec<_> = asked.iter().map(|asked| format!("{} {}", asked.method, asked.query)).collect();
    // Python's base64.b64encode(b"0123456789abcdef-0000000001").
    let (first, second) = ("MDEyMzQ1Njc4OWFiY2RlZi0wMDAwMDAwMDAx", "MDEyMzQ1Njc4OWFiY2RlZi0wMDAwMDAwMDAy");
    assert_eq!(
        queries,
        [
            format!("PUT comp=block&blockid={second}"),
            format!("PUT comp=block&blockid={first}"),
            "HEAD ".to_owned(),
            "PUT comp=blocklist".to_owned(),
        ]
    );
    assert_eq!(asked[0].header("content-md5"), Some(MD5_BASE64));
    assert_eq!((asked[0].header("if-none-match"), asked[3].header("if-none-match")), (None, Some("*")));
    assert_eq!(asked[3].header("x-ms-meta-cogclip_write"), Some(MARKER));
    assert_eq!(asked[3].header("x-ms-blob-content-type"), Some("image/tiff; application=geotiff"));
    assert_eq!(asked[3].header("content-type"), Some("application/xml"));
    let list = String::from_utf8(asked[3].body.clone()).unwrap();
    assert!(
        list.ends_with(&format!(
            "<BlockList><Uncommitted>{first}</Uncommitted><Uncommitted>{second}</Uncommitted></BlockList>"
        )),
        "{list}"
    );
}

/// What comes of a completion whose requests are answered so, and what was sent.
async fn completed(scheme: &str, how: &Put<'_>, answers: Vec<Raw>) -> (Result<Stored>, String) {
    let server = Server::new(move |asked, index| match index {
        0 | 1 => honest(asked, index),
        _ => answers.get(index - 2).cloned().unwrap_or_else(|| reply(599, &[], "")),
    });
    let object = server.object(scheme, "k", &[]);
    let upload = Begun {
        id: if scheme == "az" { MARKER } else { "up" }.to_owned(),
        at: object.clone(),
        maybe_another: false,
    };
    let parts = two_parts(&object, &upload).await;
    let result = object.complete(&upload, &parts, how).await;
    let methods: Vec<_> = server.asked().iter().skip(2).map(|asked| asked.method.clone()).collect();
    (result, methods.join(" "))
}

#[tokio::test]
async fn completions_may_fail_within_a_200() {
    let nothing = || head(404, &[], 0);
    let failing = |code: &str| reply(200, &[], &format!("  \n{}", xml(code)));
    for scheme in ["s3", "gs"] {
        let run = |answers: Vec<Raw>| async move { completed(scheme, &overwrite(), answers).await };
        for code in ["InternalError", "SlowDown"] {
            check(code, run(vec![failing(code), reply(200, &[], DONE)]).await, None, "POST POST");
        }
        let io = Some(ErrorKind::Io);
        check("denied", run(vec![failing("AccessDenied")]).await, io, "POST");
        // An answer that says nothing is a lost one.
        let unclear = || reply(200, &[], "<CompleteMultipartUploadResult/>");
        let gone = || reply(404, &[], &xml("NoSuchUpload"));
        let answers = vec![unclear(), gone(), marked(MARKER)];
        check("unclear", run(answers).await, None, "POST POST HEAD");
        let answers = vec![unclear(), unclear(), unclear(), nothing()];
        check("unclear", run(answers).await, io, "POST POST POST HEAD");
    }
    let answers = vec![nothing(), failing("PreconditionFailed")];
    check("exists", completed("s3", &create(), answers).await, Some(ErrorKind::Exists), "HEAD POST");
}

#[tokio::test]
async fn completions_whose_answer_was_lost() {
    let nothing = || head(404, &[], 0);
    for (scheme, method, gone) in [
        ("s3", "POST", reply(404, &[], &xml("NoSuchUpload"))),
        ("gs", "POST", reply(404, &[], &xml("NoSuchUpload"))),
        ("az", "PUT", reply(400, &[("x-ms-error-code", "InvalidBlockList")], "")),
    ] {
        // Google takes no condition with it.
        let hows = if scheme == "gs" { vec![overwrite()] } else { vec![create(), overwrite()] };
        for how in hows {
            let run = |mut answers: Vec<Raw>| {
                if how.create {
                    answers.insert(0, nothing());
                }
                async move { completed(scheme, &how, answers).await }
            };
            let methods = |rest: &str| {
                let rest = rest.replace('x', method);
                if how.create { format!("HEAD {rest}") } else { rest }
            };
            let lost = Vec::new;
            let got = run(vec![lost(), gone.clone(), marked(MARKER)]).await;
            check("ours", got, None, &methods("x x HEAD"));
            let got = run(vec![lost(), lost(), lost(), marked(MARKER)]).await;
            check("timed out", got, None, &methods("x x x HEAD"));
            let got = run(vec![lost(), gone.clone(), nothing()]).await;
            check("gone", got, Some(ErrorKind::Io), &methods("x x HEAD"));
            let got = run(vec![gone.clone(), marked("fedcba9876543210")]).await;
            let kind = if how.create { ErrorKind::Exists } else { ErrorKind::Io };
            check("another's", got, Some(kind), &methods("x HEAD"));
            if how.create {
                let got = run(vec![lost(), reply(412, &[], ""), marked(MARKER)]).await;
                check("ours", got, None, &methods("x x HEAD"));
                let got = run(vec![reply(412, &[], "")]).await;
                check("exists", got, Some(ErrorKind::Exists), &methods("x"));
            }
        }
        // Somebody was faster.
        if scheme != "gs" {
            let answers = vec![marked("fedcba9876543210")];
            check("before", completed(scheme, &create(), answers).await, Some(ErrorKind::Exists), "HEAD");
        }
    }
}

#[tokio::test]
async fn completions_without_conditions() {
    for refusal in [reply(400, &[], &xml("NotImplemented")), reply(501, &[], &xml("NotImplemented"))] {
        let nothing = || head(404, &[], 0);
        let answers = vec![nothing(), refusal.clone(), nothing(), reply(200, &[], DONE)];
        check("none", completed("s3", &create(), answers).await, None, "HEAD POST HEAD POST");
        let answers = vec![nothing(), refusal, marked("fedcba9876543210")];
        let exists = Some(ErrorKind::Exists);
        check("meanwhile", completed("s3", &create(), answers).await, exists, "HEAD POST HEAD");
    }
}

#[tokio::test]
async fn parts_are_compared_with_their_etag() {
    let other = "\"00000000000000000000000000000000\"";
    let kms = ("x-amz-server-side-encryption", "aws:kms");
    let part = |headers: Vec<(&'static str, &'static str)>, more: Vec<(&'static str, &'static str)>| async move {
        let server = Server::new(move |_, _| reply(200, &headers, ""));
        let object = server.object("s3", "k", &more);
        let result = object.part(&up(&object), 1, body()).await;
        (result, server.asked().len())
    };
    let ok = [
        (vec![("ETag", MD5)], vec![]),
        (vec![("ETag", "25F9E794323B453885F5181F1B624D0B")], vec![]),
        (vec![("ETag", "\"opaque\"")], vec![]),
        (vec![("ETag", other), kms], vec![]),
        (vec![("ETag", other)], vec![("checksum", "none")]),
    ];
    for (headers, more) in ok {
        let etag = headers[0].1;
        let part = part(headers, more).await.0.unwrap();
        assert_eq!((part.number, part.etag.as_str(), part.size), (1, etag, 9));
    }
    let (result, tries) = part(vec![("ETag", other)], vec![]).await;
    assert!(result.unwrap_err().to_string().contains("stored other bytes than were sent"));
    assert_eq!(tries, 3);
    let (result, tries) = part(vec![], vec![]).await;
    assert!(result.unwrap_err().to_string().contains("names no ETag of a part"));
    assert_eq!(tries, 3);
}

#[tokio::test]
async fn uploads_that_cannot_begin() {
    for (raw, tries, text) in [
        (reply(200, &[], "<a>"), 3, "names no upload"),
        (reply(200, &[], &"<a>".repeat(100_000)), 3, "names no upload"),
        (
            reply(403, &[], &xml("AccessDenied")),
            1,
            "access is denied while writing (403 Forbidden, AccessDenied)",
        ),
    ] {
        let server = Server::new(move |_, _| raw.clone());
        let error = server.object("s3", "k", &[]).begin(&create()).await.unwrap_err().to_string();
        assert!(error.contains(text) && !error.contains("SECRET"), "{error}");
        assert_eq!(server.asked().len(), tries);
    }
}

#[tokio::test]
async fn an_upload_that_nobody_has_heard_of_is_said() {
    let note = |at: &str| {
        format!(
            "an upload whose answer was lost may be left at {at}; a rule of the bucket removes it \
             (AbortIncompleteMultipartUpload)"
        )
    };
    for (scheme, how, at) in [
        ("s3", create(), "s3://bucket/k"),
        ("gs", overwrite(), "gs://bucket/k"),
        ("gs", create(), "gs://bucket/k.0123456789abcdef.cogclip-part"),
    ] {
        for (first, left) in [
            (Vec::new(), true),
            (reply(500, &[], ""), true),
            (reply(200, &[], "<a>"), true),
            (reply(429, &[], ""), false),
        ] {
            let server = Server::new(move |asked, index| match asked.query.as_str() {
                "uploads=" if index == 0 => first.clone(),
                "compose" => reply(200, &[("ETag", "\"c\"")], ""),
                _ => honest(asked, index),
            });
            let object = server.object(scheme, "k", &[]);
            let upload = object.begin(&how).await.unwrap();
            let expected: Vec<_> = left.then(|| note(at)).into_iter().collect();
            assert_eq!(upload.note().into_iter().collect::<Vec<_>>(), expected);
            let parts = two_parts(&object, &upload).await;
            let stored = object.complete(&upload, &parts, &how).await.unwrap();
            assert_eq!(stored.notes, expected, "{scheme}");
        }
        // None was heard of.
        for (answers, left) in [
            (vec![Vec::new(); 3], true),
            (vec![Vec::new(), reply(403, &[], &xml("AccessDenied"))], true),
            (vec![reply(403, &[], &xml("AccessDenied"))], false),
        ] {
            let server = Server::script(answers);
            let error = server.object(scheme, "k", &[]).begin(&how).await.unwrap_err().to_string();
            assert_eq!(error.contains(&note(at)), left, "{error}");
        }
    }
    let server = Server::script(vec![Vec::new()]);
    assert_eq!(server.object("az", "k", &[]).begin(&create()).await.unwrap().note(), None);
}

#[tokio::test]
async fn customer_keys_go_with_every_part() {
    let key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    let server = Server::new(honest);
    let more = [("aws_sse_customer_key_base64", key), ("aws_server_side_encryption", "sse-c")];
    let object = server.object("s3", "k", &more);
    let upload = object.begin(&create()).await.unwrap();
    let parts = two_parts(&object, &upload).await;
    object.complete(&upload, &parts, &create()).await.unwrap();
    for asked in server.asked() {
        let sent = asked.header("x-amz-server-side-encryption-customer-key");
        assert_eq!(sent, Some(key), "{}", asked.line());
    }
}
