//! Parts that the store makes itself of ranges of another of its objects (S3 API Reference, `UploadPartCopy`): their bytes never
//! come here.
//!
//! Google's XML API copies no ranges, and Azure's `Put Block From URL` wants a signature of the source in the URL: there, and between
//! two stores, bytes are read and written.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::ops::Range;

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::dialect::{Dialect, encode_key};
use super::endpoint::{Checksum, Copying};
use super::failure::Failure;
use super::object::{Begun, Object, Part, Purpose, extend, insert};
use super::request::{Request, Response, Verdict};
use super::s3;
use crate::error::{Error, Result};

/// What the fields of a customer's key begin with, which decrypt what is read or encrypt what is written.
const CUSTOMER: &str = "x-amz-server-side-encryption-customer-";

/// What they begin with where they decrypt what is copied.
const SOURCE_CUSTOMER: &str = "x-amz-copy-source-server-side-encryption-customer-";

/// A range of one version of an object.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) object: Object,
    /// The version's ETag, which is a strong one.
    pub(crate) etag: String,
    /// Half-open, not empty, within the object.
    pub(crate) range: Range<u64>,
}

/// What came of a copy.
pub(crate) enum CopiedPart {
    /// The part is there.
    Done(Part),
    /// The store copies no such range, or not for this account. It may yet be read and sent.
    Unable(Error),
}

impl Object {
    /// Whether ranges of `source` can be asked for to be copied here: both are on S3, where the same is said of where it is and of
    /// who asks.
    pub(crate) fn can_copy(&self, source: &Self) -> bool {
        self.dialect() == Dialect::S3
            && source.dialect() == Dialect::S3
            && match (&self.endpoint().copying, &source.endpoint().copying) {
                (Some(here), Some(there)) => here.store == there.store,
                _ => false,
            }
    }

    /// Has the store make part `number`, from 1, of a range of another object, which [can be copied](Self::can_copy).
    ///
    /// # Errors
    /// [`crate::ErrorKind::Changed`] when the source is no longer that version; [`crate::ErrorKind::Io`] when copying failed after
    /// all retries.
    pub(crate) async fn copy_part(&self, begun: &Begun, number: u32, origin: &Origin) -> Result<CopiedPart> {
        let request = self.copying(begun, number, origin)?;
        let purpose = Purpose { data: true, ..Purpose::to("copying") };
        self.send(&request, &purpose, |response, _| self.judge_copy(&response, number, origin)).await
    }

    fn copying(&self, begun: &Begun, number: u32, origin: &Origin) -> Result<Request> {
        let Origin { object: source, etag, range } = origin;
        let unlike = || Error::io(format!("{}: {} is of another store", self.shown(), source.shown()));
        let Copying { bucket, payer, .. } = source.endpoint().copying.as_ref().ok_or_else(unlike)?;
        let mut request = begun.at.request(Method::PUT, Some(&s3::part_query(&begun.id, number)));
        let headers = &mut request.headers;
        extend(headers, &self.settings().read_headers);
        insert(headers, "x-amz-copy-source", &encode_key(&format!("{bucket}/{}", source.key())));
        let last = range.end.saturating_sub(1);
        insert(headers, "x-amz-copy-source-range", &format!("bytes={}-{last}", range.start));
        let tag = HeaderValue::from_str(etag).map_err(|cause| {
            Error::io(format!("{}: its ETag cannot be sent", source.shown())).caused_by(cause)
        })?;
        headers.insert(HeaderName::from_static("x-amz-copy-source-if-match"), tag);
        if *payer {
            insert(headers, "x-amz-request-payer", "requester");
        }
        add_source_key(headers, &source.settings().read_headers);
        Ok(request)
    }

    fn judge_copy(&self, response: &Response, number: u32, origin: &Origin) -> Verdict<CopiedPart> {
        let Origin { object: source, range, .. } = origin;
        let failed = |what: &str| {
            let (to, from) = (self.shown(), source.shown());
            Error::io(format!("{to}: copying from {from} failed: {what}"))
        };
        if response.status == 200 {
            match s3::copied(response) {
                s3::Copied::Done { etag, sha256, crc64nvme } => {
                    let is_md5 = |headers: &HeaderMap| s3::is_md5(&etag, headers);
                    let known = is_md5(&response.headers) && is_md5(&self.settings().put_headers);
                    let md5 = s3::md5_of(&etag).filter(|_| known);
                    let size = range.end.saturating_sub(range.start);
                    let missing = match self.settings().checksum {
                        Checksum::Sha256 => sha256.is_none(),
                        Checksum::Crc64nvme => crc64nvme.is_none(),
                        Checksum::Md5 | Checksum::None => false,
                    };
                    if missing {
                        let what = "the server does not say the checksum of what it has copied";
                        return Verdict::Done(CopiedPart::Unable(failed(what)));
                    }
                    let part = Part { number, etag, size, md5, crc32c: None, sha256, crc64nvme };
                    return Verdict::Done(CopiedPart::Done(part));
                }
                s3::Copied::Nothing => {
                    return Verdict::Done(CopiedPart::Unable(failed("the server copies no ranges")));
                }
                s3::Copied::Unclear => {
                    return Verdict::Again(failed("the server's answer says nothing"), None);
                }
                s3::Copied::Failed => {}
            }
        }
        let failure = Failure::of(response);
        let named = failure.named();
        // A store that does not look at the tag says of what has become smaller that the range lies beyond its end.
        if matches!(failure.status, 412 | 416) || failure.is(&["PreconditionFailed", "InvalidRange"]) {
            return Verdict::Never(Error::changed(format!(
                "{} changed while it was copied: it is no longer what it was ({named}); run again once it is no longer written to",
                source.shown()
            )));
        }
        if failure.is(&["NoSuchKey"]) {
            return Verdict::Never(Error::changed(format!(
                "{} changed while it was copied: it is gone ({named})",
                source.shown()
            )));
        }
        match failure.verdict(self.dialect(), self.shown(), "copying") {
            Verdict::Never(error) if is_unable(&failure) => Verdict::Done(CopiedPart::Unable(error)),
            verdict @ (Verdict::Done(_) | Verdict::Again(..) | Verdict::Renew(_) | Verdict::Never(_)) => {
                verdict
            }
        }
    }
}

/// Whether a refusal is one of copying, and not of what is copied: the same bytes may be read and sent. An account that may read and
/// write need not be allowed to have them copied, as where the key of an encryption is another's.
fn is_unable(failure: &Failure) -> bool {
    matches!(failure.status, 400 | 403 | 405 | 501)
        || failure.is(&["AccessDenied", "InvalidRequest", "MethodNotAllowed", "NotImplemented"])
}

/// Adds the customer's key that decrypts the source.
fn add_source_key(headers: &mut HeaderMap, of_source: &HeaderMap) {
    for (name, value) in of_source {
        let named = name.as_str().strip_prefix(CUSTOMER).map(|end| format!("{SOURCE_CUSTOMER}{end}"));
        if let Some(name) = named.and_then(|name| HeaderName::from_bytes(name.as_bytes()).ok()) {
            headers.insert(name, value.clone());
        }
    }
}
