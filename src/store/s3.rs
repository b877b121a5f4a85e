//! Writing as Amazon S3 has it (API Reference, `PutObject`, `CreateMultipartUpload`, `UploadPart`,
//! `CompleteMultipartUpload`, `AbortMultipartUpload`); Google's XML API has the same requests under the same names.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderMap;

use super::checksum::{Digests, base64, joined_crc64nvme};
use super::dialect::{Dialect, encode_value};
use super::endpoint::Checksum;
use super::object::{Part, insert};
use super::request::Response;
use super::xml::{Document, element};

/// Letters of an upload's id; those of S3 have some 130.
const MAX_UPLOAD_ID: usize = 2_048;

/// What S3 encrypted with a key that is not its own alone: such an ETag is no MD5.
const ENCRYPTED: [&str; 2] =
    ["x-amz-server-side-encryption-customer-algorithm", "x-amz-server-side-encryption-aws-kms-key-id"];

/// Adds what the store is to compare a body with: its MD5, or on S3 what was chosen instead.
pub(crate) fn add_checksum(headers: &mut HeaderMap, dialect: Dialect, chosen: Checksum, digests: &Digests) {
    match own_checksum(dialect, chosen, digests.sha256, digests.crc64nvme) {
        Some((name, value)) => insert(headers, name.field, &value),
        None if chosen == Checksum::None => {}
        None => insert(headers, "content-md5", &base64(&digests.md5)),
    }
}

/// Adds what an upload must say first of the checksums of its parts.
pub(crate) fn add_algorithm(headers: &mut HeaderMap, dialect: Dialect, chosen: Checksum) {
    match chosen {
        Checksum::Sha256 if dialect == Dialect::S3 => {
            insert(headers, "x-amz-checksum-algorithm", "SHA256");
            insert(headers, "x-amz-checksum-type", "COMPOSITE");
        }
        Checksum::Crc64nvme if dialect == Dialect::S3 => {
            insert(headers, "x-amz-checksum-algorithm", "CRC64NVME");
            insert(headers, "x-amz-checksum-type", "FULL_OBJECT");
        }
        Checksum::Md5 | Checksum::Sha256 | Checksum::Crc64nvme | Checksum::None => {}
    }
}

/// Adds the CRC-64 of the whole to a completion, so that S3 compares it before the object is there. Of the other checksums
/// nobody has one of the whole.
pub(crate) fn add_whole(headers: &mut HeaderMap, dialect: Dialect, chosen: Checksum, parts: &[Part]) {
    if dialect != Dialect::S3 || chosen != Checksum::Crc64nvme {
        return;
    }
    let whole = parts.iter().try_fold(0, |crc, part| Some(joined_crc64nvme(crc, part.crc64nvme?, part.size)));
    if let Some(whole) = whole {
        insert(headers, "x-amz-checksum-type", "FULL_OBJECT");
        insert(headers, "x-amz-checksum-crc64nvme", &base64(&whole.to_be_bytes()));
    }
}

struct Named {
    field: &'static str,
    element: &'static str,
}

fn own_checksum(
    dialect: Dialect,
    chosen: Checksum,
    sha256: Option<[u8; 32]>,
    crc64nvme: Option<u64>,
) -> Option<(Named, String)> {
    if dialect != Dialect::S3 {
        return None;
    }
    match chosen {
        Checksum::Sha256 => {
            let name = Named { field: "x-amz-checksum-sha256", element: "ChecksumSHA256" };
            Some((name, base64(&sha256?)))
        }
        Checksum::Crc64nvme => {
            let name = Named { field: "x-amz-checksum-crc64nvme", element: "ChecksumCRC64NVME" };
            Some((name, base64(&crc64nvme?.to_be_bytes())))
        }
        Checksum::Md5 | Checksum::None => None,
    }
}

/// The query that begins an upload.
pub(crate) const BEGIN: &str = "uploads=";

/// The query that names an upload.
pub(crate) fn upload_query(upload: &str) -> String {
    format!("uploadId={}", encode_value(upload))
}

/// The query that names a part of an upload.
pub(crate) fn part_query(upload: &str, number: u32) -> String {
    format!("partNumber={number}&uploadId={}", encode_value(upload))
}

/// The id of the upload that has begun.
pub(crate) fn upload_id(body: &[u8]) -> Option<String> {
    let document = Document::parse(body)?;
    let id = document.text("UploadId")?;
    (document.root() == "InitiateMultipartUploadResult" && id.len() <= MAX_UPLOAD_ID).then(|| id.to_owned())
}

/// The list of parts that completes an upload.
pub(crate) fn completion(dialect: Dialect, chosen: Checksum, parts: &[Part]) -> String {
    let mut body =
        String::from("<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for part in parts {
        body.push_str("<Part>");
        element(&mut body, "PartNumber", &part.number.to_string());
        element(&mut body, "ETag", &part.etag);
        if let Some((name, value)) = own_checksum(dialect, chosen, part.sha256, part.crc64nvme) {
            element(&mut body, name.element, &value);
        }
        body.push_str("</Part>");
    }
    body.push_str("</CompleteMultipartUpload>");
    body
}

/// What a 200 to a completion says: S3 may find only after it has begun to answer that it cannot.
pub(crate) enum Completion {
    Done(String),
    /// An error, of which [`super::failure::Failure`] tells more.
    Failed,
    /// Neither an ETag nor an error.
    Unclear,
}

/// Reads the answer to a completion.
pub(crate) fn completed(response: &Response) -> Completion {
    let Some(document) = Document::parse(&response.body) else { return Completion::Unclear };
    match (document.root(), document.text("ETag")) {
        ("Error", _) => Completion::Failed,
        ("CompleteMultipartUploadResult", Some(etag)) => Completion::Done(etag.to_owned()),
        _ => Completion::Unclear,
    }
}

/// What a 200 to a copy of a part says: S3 answers before it copies, and may then find that it cannot.
pub(crate) enum Copied {
    Done {
        etag: String,
        sha256: Option<[u8; 32]>,
        crc64nvme: Option<u64>,
    },
    /// An error, of which [`super::failure::Failure`] tells more.
    Failed,
    /// Nothing was said: what copies nothing has taken the request for a part without bytes.
    Nothing,
    /// Neither an ETag nor an error.
    Unclear,
}

/// Reads the answer to a copy of a part.
pub(crate) fn copied(response: &Response) -> Copied {
    if response.body.is_empty() {
        return Copied::Nothing;
    }
    let Some(document) = Document::parse(&response.body) else { return Copied::Unclear };
    let sum = |name| STANDARD.decode(document.text(name)?).ok();
    match (document.root(), document.text("ETag")) {
        ("Error", _) => Copied::Failed,
        ("CopyPartResult", Some(etag)) => Copied::Done {
            etag: etag.to_owned(),
            sha256: sum("ChecksumSHA256").and_then(|sum| sum.try_into().ok()),
            crc64nvme: sum("ChecksumCRC64NVME").and_then(|sum| sum.try_into().ok()).map(u64::from_be_bytes),
        },
        _ => Copied::Unclear,
    }
}

/// The MD5 that an ETag is, if it has the form of one.
pub(crate) fn md5_of(etag: &str) -> Option<[u8; 16]> {
    let digits = opaque(etag);
    if digits.len() != 32 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    Some(u128::from_str_radix(digits, 16).ok()?.to_be_bytes())
}

/// An ETag without quotes and weakness; some stores leave out the quotes.
pub(crate) fn opaque(etag: &str) -> &str {
    let etag = etag.trim();
    etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"')
}

/// Whether `etag` has the form of an MD5 or of S3's MD5 of MD5s, `count` of them, and was not made by another encryption.
pub(crate) fn is_md5(etag: &str, headers: &HeaderMap) -> bool {
    let (digits, count) = opaque(etag).split_once('-').unwrap_or((opaque(etag), "1"));
    let kms = headers.get("x-amz-server-side-encryption").is_some_and(|value| value != "AES256");
    digits.len() == 32
        && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        && !count.is_empty()
        && count.bytes().all(|byte| byte.is_ascii_digit())
        && !kms
        && !ENCRYPTED.iter().any(|name| headers.contains_key(*name))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    fn part(number: u32, etag: &str, chosen: Checksum) -> Part {
        let digests = Digests::of(&[Bytes::from_static(b"123456789")], false, chosen);
        Part::new(number, etag.to_owned(), &digests)
    }

    #[test]
    fn completions_list_the_parts() {
        let parts = [part(1, "\"a&b\"", Checksum::Md5), part(10_000, "c", Checksum::Md5)];
        assert_eq!(
            completion(Dialect::S3, Checksum::Md5, &parts),
            "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <Part><PartNumber>1</PartNumber><ETag>&quot;a&amp;b&quot;</ETag></Part>\
             <Part><PartNumber>10000</PartNumber><ETag>c</ETag></Part></CompleteMultipartUpload>"
        );
        // The check value of CRC-64/NVME, 0xAE8B14860A799888, in the byte order of S3.
        let parts = [part(1, "a", Checksum::Crc64nvme)];
        let text = completion(Dialect::S3, Checksum::Crc64nvme, &parts);
        assert!(
            text.contains("<ETag>a</ETag><ChecksumCRC64NVME>rosUhgp5mIg=</ChecksumCRC64NVME></Part>"),
            "{text}"
        );
        assert!(!completion(Dialect::Google, Checksum::Crc64nvme, &parts).contains("Checksum"));
    }

    fn response(body: &str) -> Response {
        Response { status: 200, headers: HeaderMap::new(), body: body.to_owned().into(), cut: false }
    }

    #[test]
    fn answers_to_a_completion() {
        let done = "\n  \n<?xml version=\"1.0\"?><CompleteMultipartUploadResult><ETag>&#34;a-2&#34;</ETag></CompleteMultipartUploadResult>";
        assert!(matches!(completed(&response(done)), Completion::Done(etag) if etag == "\"a-2\""));
        let failed = "  <Error><Code>InternalError</Code></Error>";
        assert!(matches!(completed(&response(failed)), Completion::Failed));
        let without = "<CompleteMultipartUploadResult><ETag/></CompleteMultipartUploadResult>";
        for body in ["", "   ", "<Complete", without, "<Other><ETag>a</ETag></Other>"] {
            assert!(matches!(completed(&response(body)), Completion::Unclear), "{body}");
        }
    }

    #[test]
    fn upload_ids_are_taken_and_encoded() {
        let answer = |id: &str| {
            format!(
                "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
            )
        };
        assert_eq!(upload_id(answer("a/b+c==").as_bytes()).as_deref(), Some("a/b+c=="));
        assert_eq!(part_query("a/b+c==", 7), "partNumber=7&uploadId=a%2Fb%2Bc%3D%3D");
        assert_eq!(upload_query("a&b"), "uploadId=a%26b");
        assert_eq!(upload_id(answer("").as_bytes()), None);
        assert_eq!(upload_id(answer(&"a".repeat(3_000)).as_bytes()), None);
        assert_eq!(upload_id(b"<Other><UploadId>a</UploadId></Other>"), None);
    }

    #[test]
    fn etags_that_are_md5s() {
        let md5 = "25f9e794323b453885f5181f1b624d0b";
        let with = |name: &'static str, value: &'static str| {
            HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))])
        };
        let none = HeaderMap::new();
        for etag in [format!("\"{md5}\""), md5.to_owned(), format!("\"{md5}-12\""), format!("W/\"{md5}\"")] {
            assert!(is_md5(&etag, &none), "{etag}");
            assert!(is_md5(&etag, &with("x-amz-server-side-encryption", "AES256")));
            assert!(!is_md5(&etag, &with("x-amz-server-side-encryption", "aws:kms")));
            assert!(!is_md5(&etag, &with("x-amz-server-side-encryption", "aws:kms:dsse")));
            assert!(!is_md5(&etag, &with("x-amz-server-side-encryption-customer-algorithm", "AES256")));
        }
        for etag in ["", "\"0x8DCABCDEF\"", &format!("{md5}-"), &format!("{md5}-x"), &format!("{md5}0")] {
            assert!(!is_md5(etag, &none), "{etag}");
        }
    }
}
