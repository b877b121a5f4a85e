//! The objects of one bucket: reading, conditional writing, multipart uploads, listing.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use md5::{Digest, Md5};

use super::{between, xml};
use crate::conformance::listener::{Answer, Asked, answer, encode, refusal, with};
use crate::conformance::resource::Resource;

/// The objects by key, and the uploads under way by id.
pub(super) struct Objects {
    by_key: BTreeMap<String, Object>,
    uploads: BTreeMap<String, Upload>,
    /// Of the last object or upload.
    generation: u64,
    min_part: usize,
}

struct Object {
    resource: Resource,
    generation: u64,
    /// `false` for one that was put together from parts: Google has no MD5 of it.
    has_md5: bool,
}

struct Upload {
    key: String,
    headers: Described,
    parts: BTreeMap<u32, Bytes>,
}

/// What a request says of the object to be.
#[derive(Clone, Default)]
struct Described {
    content_type: Option<String>,
    metadata: BTreeMap<String, String>,
}

impl Described {
    fn by(asked: &Asked) -> Self {
        let metadata = asked.headers.iter().filter_map(|(name, value)| {
            let name = name.as_str().strip_prefix("x-goog-meta-")?;
            Some((name.to_owned(), value.to_str().unwrap().to_owned()))
        });
        Self { content_type: asked.header("content-type").map(str::to_owned), metadata: metadata.collect() }
    }
}

impl Objects {
    pub(super) fn new(min_part: usize) -> Self {
        Self {
            by_key: BTreeMap::new(),
            uploads: BTreeMap::new(),
            generation: 1_700_000_000_000_000,
            min_part,
        }
    }

    pub(super) fn put(&mut self, key: &str, bytes: Bytes) {
        self.store(key, bytes, Described::default(), true);
    }

    pub(super) fn get(&self, key: &str) -> Option<Resource> {
        Some(self.by_key.get(key)?.resource.clone())
    }

    pub(super) fn delete(&mut self, key: &str) {
        self.by_key.remove(key);
    }

    pub(super) fn uploads(&self) -> Vec<String> {
        self.uploads.values().map(|upload| upload.key.clone()).collect()
    }

    pub(super) fn ending(&self, end: &str) -> Vec<String> {
        self.by_key.keys().filter(|key| key.ends_with(end)).cloned().collect()
    }

    fn store(&mut self, key: &str, bytes: Bytes, described: Described, has_md5: bool) {
        self.generation += 1;
        // An object of parts has an ETag that only Google knows how to make.
        let etag = if has_md5 {
            hex(&Md5::digest(&bytes))
        } else {
            format!("-{}", BASE64.encode(self.generation.to_be_bytes()))
        };
        let resource = Resource {
            bytes,
            etag: format!("\"{etag}\""),
            modified: SystemTime::now(),
            content_type: described.content_type,
            metadata: described.metadata,
        };
        self.by_key.insert(key.to_owned(), Object { resource, generation: self.generation, has_md5 });
    }

    /// Adds to `reply` what Google says of each object.
    fn described(&self, key: &str, reply: Answer) -> Answer {
        let Some(object) = self.by_key.get(key) else { return reply };
        let bytes = &object.resource.bytes;
        let mut hash = format!("crc32c={}", BASE64.encode(crc32c(bytes).to_be_bytes()));
        if object.has_md5 {
            write!(hash, ",md5={}", BASE64.encode(Md5::digest(bytes))).unwrap();
        }
        let mut reply = with(with(reply, "x-goog-hash", &hash), "etag", &object.resource.etag);
        reply = with(reply, "x-goog-generation", &object.generation.to_string());
        reply = with(reply, "x-goog-metageneration", "1");
        reply = with(reply, "x-goog-stored-content-length", &bytes.len().to_string());
        for (name, value) in &object.resource.metadata {
            reply = with(reply, &format!("x-goog-meta-{name}"), value);
        }
        reply
    }

    pub(super) fn read(&self, key: &str, asked: &Asked) -> Answer {
        let Some(object) = self.by_key.get(key) else { return refusal(404, "NoSuchKey") };
        if let Some(wanted) = asked.header("x-goog-if-generation-match")
            && wanted != object.generation.to_string()
        {
            return refusal(412, "PreconditionFailed");
        }
        let reply = object.resource.answer(asked);
        if matches!(reply.status().as_u16(), 200 | 206) { self.described(key, reply) } else { reply }
    }

    /// Whether the condition on the generation holds; 0 stands for no object.
    fn condition_holds(&self, key: &str, asked: &Asked) -> bool {
        let present = self.by_key.get(key).map_or(0, |object| object.generation);
        asked.header("x-goog-if-generation-match").is_none_or(|wanted| wanted == present.to_string())
    }

    pub(super) fn write(&mut self, key: &str, asked: &Asked) -> Answer {
        if let Some(refused) = wrong_digest(asked) {
            return refused;
        }
        if let (Some(number), Some(id)) = (asked.parameter("partNumber"), asked.parameter("uploadId")) {
            let Some(upload) = self.uploads.get_mut(&id).filter(|upload| upload.key == key) else {
                return refusal(404, "NoSuchUpload");
            };
            let Some(number) = number.parse().ok().filter(|number| (1..=10_000).contains(number)) else {
                return refusal(400, "InvalidArgument");
            };
            upload.parts.insert(number, asked.body.clone());
            return with(answer(200), "etag", &part_etag(&asked.body));
        }
        if asked.parameter("compose").is_some() {
            return self.compose(key, asked);
        }
        // Google has no If-None-Match on writes: taken for one, it would not protect anything.
        if asked.headers.contains_key("if-none-match") {
            return refusal(400, "InvalidArgument");
        }
        if !self.condition_holds(key, asked) {
            return refusal(412, "PreconditionFailed");
        }
        self.store(key, asked.body.clone(), Described::by(asked), true);
        self.described(key, answer(200))
    }

    /// Puts objects together to one ("Compose an object").
    fn compose(&mut self, key: &str, asked: &Asked) -> Answer {
        if !self.condition_holds(key, asked) {
            return refusal(412, "PreconditionFailed");
        }
        let text = std::str::from_utf8(&asked.body).unwrap_or_default();
        let names = between(text, "<Name>", "</Name>");
        if !text.starts_with("<ComposeRequest>") || !(1..=32).contains(&names.len()) {
            return refusal(400, "MalformedCompositionRequest");
        }
        let mut whole = Vec::new();
        for name in &names {
            let Some(component) = self.by_key.get(name) else { return refusal(404, "NoSuchKey") };
            whole.extend_from_slice(&component.resource.bytes);
        }
        self.store(key, whole.into(), Described::by(asked), false);
        let reply = with(answer(200), "x-goog-component-count", &names.len().to_string());
        self.described(key, reply)
    }

    /// What is said of a condition on anything of an upload in parts: Google takes none.
    pub(super) fn refused_condition(asked: &Asked) -> Option<Answer> {
        let of_upload = ["uploads", "uploadId"].iter().any(|name| asked.parameter(name).is_some());
        let conditions = ["if-match", "if-none-match", "x-goog-if-generation-match"];
        let conditional = conditions.iter().any(|name| asked.headers.contains_key(*name));
        (of_upload && conditional).then(|| refusal(400, "NotImplemented"))
    }

    pub(super) fn multipart(&mut self, key: &str, asked: &Asked) -> Answer {
        if asked.parameter("uploads").is_some() {
            if !asked.body.is_empty() {
                return refusal(400, "InvalidRequest");
            }
            self.generation += 1;
            // As long as Google's, and with what has to be encoded.
            let id = format!("ABPnzm{}+/={:x}", self.generation, self.uploads.len());
            let upload =
                Upload { key: key.to_owned(), headers: Described::by(asked), parts: BTreeMap::new() };
            self.uploads.insert(id.clone(), upload);
            return xml(format!(
                "<?xml version='1.0' encoding='UTF-8'?>\n<InitiateMultipartUploadResult \
                 xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><Bucket>bucket</Bucket><Key>{}</Key>\
                 <UploadId>{id}</UploadId></InitiateMultipartUploadResult>",
                escape(key)
            ));
        }
        let Some(id) = asked.parameter("uploadId") else { return refusal(400, "InvalidArgument") };
        let Some(upload) = self.uploads.get(&id).filter(|upload| upload.key == key) else {
            return refusal(404, "NoSuchUpload");
        };
        let text = std::str::from_utf8(&asked.body).unwrap_or_default();
        let numbers = between(text, "<PartNumber>", "</PartNumber>");
        let tags = between(text, "<ETag>", "</ETag>");
        if numbers.is_empty() || numbers.len() != tags.len() {
            return refusal(400, "MalformedCompleteMultipartUploadRequest");
        }
        let (mut whole, mut last) = (Vec::new(), 0);
        for (index, (number, tag)) in numbers.iter().zip(&tags).enumerate() {
            let number: u32 = number.parse().unwrap_or_default();
            let Some(part) = upload.parts.get(&number).filter(|part| part_etag(part) == *tag) else {
                return refusal(400, "InvalidPart");
            };
            if number <= last {
                return refusal(400, "InvalidPartOrder");
            }
            if index + 1 < numbers.len() && part.len() < self.min_part {
                return refusal(400, "EntityTooSmall");
            }
            last = number;
            whole.extend_from_slice(part);
        }
        let Some(upload) = self.uploads.remove(&id) else { return refusal(404, "NoSuchUpload") };
        self.store(key, whole.into(), upload.headers, false);
        let reply = xml(format!(
            "<?xml version='1.0' encoding='UTF-8'?>\n<CompleteMultipartUploadResult \
             xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><Location>http://127.0.0.1/bucket/{}</Location>\
             <Bucket>bucket</Bucket><Key>{0}</Key><ETag>{}</ETag></CompleteMultipartUploadResult>",
            escape(key),
            escape(&self.by_key[key].resource.etag)
        ));
        self.described(key, reply)
    }

    pub(super) fn remove(&mut self, key: &str, asked: &Asked) -> Answer {
        if let Some(id) = asked.parameter("uploadId") {
            return match self.uploads.remove(&id) {
                Some(_) => answer(204),
                None => refusal(404, "NoSuchUpload"),
            };
        }
        if !self.condition_holds(key, asked) {
            return refusal(412, "PreconditionFailed");
        }
        if self.by_key.remove(key).is_some() { answer(204) } else { refusal(404, "NoSuchKey") }
    }

    /// A page of the objects ("List objects"), in the second version alone: a client that knows no other is told so.
    pub(super) fn list(&self, asked: &Asked) -> Answer {
        let parameter = |name| asked.parameter(name).unwrap_or_default();
        if parameter("list-type") != "2" || !matches!(parameter("delimiter").as_str(), "" | "/") {
            return refusal(400, "InvalidArgument");
        }
        let (prefix, delimiter) = (parameter("prefix"), parameter("delimiter"));
        let most = asked.parameter("max-keys").map_or(1000, |most| most.parse().unwrap_or(0).min(1000));
        // What was listed last. A token says nothing to whoever has it.
        let after = match asked.parameter("continuation-token").map(|token| BASE64.decode(token)) {
            None => None,
            Some(Ok(after)) => Some(String::from_utf8(after).unwrap()),
            Some(Err(_)) => return refusal(400, "InvalidArgument"),
        };
        let is_encoded = parameter("encoding-type") == "url";
        let written = |name: &str| if is_encoded { encode(name) } else { escape(name) };
        let (mut text, mut count, mut last, mut is_truncated) = (String::new(), 0, String::new(), false);
        for (key, object) in self.by_key.iter().filter(|(key, _)| key.starts_with(&prefix)) {
            let end = key[prefix.len()..].find('/').filter(|_| !delimiter.is_empty());
            let name = end.map_or(key.as_str(), |end| &key[..=prefix.len() + end]);
            // A folder is listed once.
            if name == last || after.as_ref().is_some_and(|after| name <= after.as_str()) {
                continue;
            }
            if count == most {
                is_truncated = true;
                break;
            }
            (count, last) = (count + 1, name.to_owned());
            let name = written(name);
            if end.is_some() {
                write!(text, "<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>").unwrap();
                continue;
            }
            let (generation, size) = (object.generation, object.resource.bytes.len());
            let etag = escape(&object.resource.etag);
            write!(
                text,
                "<Contents><Key>{name}</Key><Generation>{generation}</Generation><LastModified>\
                 2026-01-01T00:00:00.000Z</LastModified><ETag>{etag}</ETag><Size>{size}</Size></Contents>"
            )
            .unwrap();
        }
        let mut head = format!(
            "<?xml version='1.0' encoding='UTF-8'?><ListBucketResult \
             xmlns='http://doc.s3.amazonaws.com/2006-03-01'><Name>bucket</Name><Prefix>{}</Prefix>\
             <KeyCount>{count}</KeyCount><IsTruncated>{is_truncated}</IsTruncated>",
            written(&prefix)
        );
        if is_truncated {
            let token = BASE64.encode(last);
            write!(head, "<NextContinuationToken>{token}</NextContinuationToken>").unwrap();
        }
        if is_encoded {
            head += "<EncodingType>url</EncodingType>";
        }
        xml(head + &text + "</ListBucketResult>")
    }

    pub(super) fn list_uploads(&self) -> Answer {
        let mut text = "<?xml version='1.0' encoding='UTF-8'?><ListMultipartUploadsResult>".to_owned();
        for (id, upload) in &self.uploads {
            let key = escape(&upload.key);
            write!(text, "<Upload><Key>{key}</Key><UploadId>{id}</UploadId></Upload>").unwrap();
        }
        xml(text + "</ListMultipartUploadsResult>")
    }
}

/// What is said of a body that is not the one that Content-MD5 (RFC 1864) speaks of.
fn wrong_digest(asked: &Asked) -> Option<Answer> {
    let stated = asked.header("content-md5")?;
    match BASE64.decode(stated) {
        Ok(stated) if stated.len() == 16 => {
            (*stated != *Md5::digest(&asked.body)).then(|| refusal(400, "BadDigest"))
        }
        _ => Some(refusal(400, "InvalidDigest")),
    }
}

fn part_etag(part: &[u8]) -> String {
    format!("\"{}\"", hex(&Md5::digest(part)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// CRC-32C (Castagnoli; RFC 3720 §12.1), a bit at a time.
fn crc32c(bytes: &[u8]) -> u32 {
    static TABLE: std::sync::LazyLock<Vec<u32>> = std::sync::LazyLock::new(|| {
        let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0x82F6_3B78 } else { crc >> 1 };
        (0..256).map(|byte| (0..8).fold(byte, step)).collect()
    });
    !bytes.iter().fold(!0, |crc, &byte| crc >> 8 ^ TABLE[(crc & 0xFF) as usize ^ usize::from(byte)])
}

#[test]
fn castagnoli() {
    // RFC 3720, appendix B.4: 32 bytes of zeroes, and of ones.
    assert_eq!(crc32c(&[0; 32]), 0x8A91_36AA);
    assert_eq!(crc32c(&[0xFF; 32]), 0x62A8_AB43);
}
