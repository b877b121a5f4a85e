//! Putting an object there: whole or not at all, never over another one's, and known again when an answer is lost.
//!
//! Every write leaves a marker of its own in the object's metadata. When an answer is lost, the write may have been carried
//! out; when the next try then fails because the object exists, or because the upload is no more, a look at the marker tells
//! whose object it is. Where the store keeps no metadata, size and checksum tell it; where neither can be seen, it is not known.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, ETAG, HeaderMap, HeaderValue};

use super::checksum::{Digests, base64, hex, joined_crc32c, multipart_etag};
use super::dialect::Dialect;
use super::endpoint::Checksum;
use super::failure::{Failure, exists};
use super::object::{Begun, Expected, Look, Meta, Object, Part, Purpose, Put, Stored, extend, insert};
use super::range::field;
use super::request::{Request, Response, Tried, Verdict};
use super::s3::{self, Completion, opaque};
use super::{azure, compose, gcs};
use crate::error::{Error, ErrorKind, Result};

/// What is to be written, and how.
#[derive(Clone, Copy)]
pub(super) struct Write<'a> {
    pub(super) how: &'a Put<'a>,
    /// What was sent.
    pub(super) expected: &'a Expected,
}

/// What a request that makes the object visible came to. `unknown`: whether an earlier try may have been carried out without our
/// knowing.
pub(super) enum Outcome {
    /// It is there.
    Stored(Option<String>),
    /// There is an object. `again`: this was not the first try.
    Exists { again: bool, unknown: bool },
    /// The upload is no more.
    Gone { error: Error, unknown: bool },
    /// The store knows no such condition, or no such request.
    Unconditional { unknown: bool },
}

/// Who wrote an object that is there.
enum Whose {
    /// This very write.
    Ours,
    /// Another.
    Others,
    /// It does not say, and is not known by its checksum.
    Unknown,
}

impl Object {
    /// Writes the whole of it in one request.
    ///
    /// # Errors
    /// [`ErrorKind::Exists`] when it should be created and is there; [`ErrorKind::Usage`] for metadata that the store does not
    /// take; [`ErrorKind::Io`] when writing failed after all retries.
    pub(crate) async fn put(&self, body: Vec<Bytes>, how: &Put<'_>) -> Result<Stored> {
        let (request, digests) = self.putting(body, how).await?;
        let stored = |response: &Response| match response.status {
            200 | 201 => Some(etag(&response.headers)),
            _ => None,
        };
        let expected = Expected::whole(&digests);
        let write = Write { how, expected: &expected };
        let etag = self.publish(request, &write, "writing", &stored).await?;
        Ok(Stored { etag, expected, replacing: !how.create, notes: Vec::new() })
    }

    /// The request that [`Self::put`] sends, without a condition.
    pub(crate) async fn putting(&self, body: Vec<Bytes>, how: &Put<'_>) -> Result<(Request, Digests)> {
        let (dialect, settings) = (self.dialect(), self.settings());
        self.refuse_web()?;
        let digests = Digests::in_background(&body, dialect == Dialect::S3, settings.checksum).await?;
        let mut request = self.request(Method::PUT, None);
        request.sha256 = digests.sha256;
        self.describe(&mut request.headers, how)?;
        if dialect == Dialect::Azure {
            let checked = settings.checksum != Checksum::None;
            azure::add_blob(&mut request.headers, how.content_type, checked.then_some(&digests.md5));
        } else {
            s3::add_checksum(&mut request.headers, dialect, settings.checksum, &digests);
        }
        request.body = body;
        Ok((request, digests))
    }

    /// Begins an upload in parts.
    ///
    /// # Errors
    /// As for [`Self::put`].
    pub(crate) async fn begin(&self, how: &Put<'_>) -> Result<Begun> {
        let (dialect, settings) = (self.dialect(), self.settings());
        self.refuse_web()?;
        let at = self.assembly(how);
        let mut request = at.request(Method::POST, Some(s3::BEGIN));
        self.describe(&mut request.headers, how)?;
        if dialect == Dialect::Azure {
            // Blocks need no beginning; the marker is as much this write's own as an id would be.
            return Ok(Begun { id: how.marker.to_owned(), at, maybe_another: false });
        }
        s3::add_algorithm(&mut request.headers, dialect, settings.checksum);
        let lost = AtomicBool::new(false);
        let purpose = Purpose { lost: Some(&lost), ..Purpose::to("writing") };
        let begun = self
            .send(&request, &purpose, |response, tried| match response.status {
                200 => s3::upload_id(&response.body).map_or_else(
                    || Verdict::Again(self.failed("the server names no upload"), None),
                    // Not `lost`: it counts this answer as well.
                    |id| Verdict::Done((id, tried.unknown)),
                ),
                _ => self.refused(&response),
            })
            .await;
        match begun {
            Ok((id, maybe_another)) => Ok(Begun { id, at, maybe_another }),
            Err(error) if lost.into_inner() => Err(error.and(format_args!("and {}", unheard(&at)))),
            Err(error) => Err(error),
        }
    }

    /// Uploads part `number`, from 1.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when that failed after all retries.
    pub(crate) async fn part(&self, begun: &Begun, number: u32, body: Vec<Bytes>) -> Result<Part> {
        let (dialect, settings) = (self.dialect(), self.settings());
        self.refuse_web()?;
        let digests = Digests::in_background(&body, dialect == Dialect::S3, settings.checksum).await?;
        let id = azure::block_id(&begun.id, number);
        let query = if dialect == Dialect::Azure {
            azure::block_query(&id)
        } else {
            s3::part_query(&begun.id, number)
        };
        let mut request = begun.at.request(Method::PUT, Some(&query));
        request.sha256 = digests.sha256;
        s3::add_checksum(&mut request.headers, dialect, settings.checksum, &digests);
        extend(&mut request.headers, &settings.read_headers);
        request.body = body;
        let md5 = hex(&digests.md5);
        let purpose = Purpose { data: true, ..Purpose::to("writing") };
        let etag = self
            .send(&request, &purpose, |response, _| match (response.status, etag(&response.headers)) {
                (200 | 201, _) if dialect == Dialect::Azure => Verdict::Done(id.clone()),
                (200 | 201, Some(etag)) if self.is_other(&etag, &md5, &response.headers) => Verdict::Again(
                    self.failed(&format!(
                        "the server stored other bytes than were sent (the MD5 of a part differs){}",
                        self.way_out()
                    )),
                    None,
                ),
                (200 | 201, Some(etag)) => Verdict::Done(etag),
                (200 | 201, None) => Verdict::Again(self.failed("the server names no ETag of a part"), None),
                _ => self.refused(&response),
            })
            .await?;
        Ok(Part::new(number, etag, &digests))
    }

    /// Makes an object of the parts, which are given in their order.
    ///
    /// # Errors
    /// As for [`Self::put`].
    pub(crate) async fn complete(&self, begun: &Begun, parts: &[Part], how: &Put<'_>) -> Result<Stored> {
        let request = self.completing(begun, parts, how)?;
        let expected = Expected::parts(parts);
        let write = Write { how, expected: &expected };
        let mut notes: Vec<_> = begun.note().into_iter().collect();
        // Not all stores know the condition, and some ignore it without a word: this narrows the gap.
        if self.settings().conditional_put
            && let Some(etag) = self.refuse_existing(&write, false).await?
        {
            return Ok(Stored { etag, expected, replacing: !how.create, notes });
        }
        let etag = if begun.at.is(self) {
            self.publish(request, &write, "completing the upload", &self.completed()).await?
        } else {
            // Three requests of which each may be tried again: no part of every write's future.
            let (etag, left) = Box::pin(self.create_composed(begun, parts, &write)).await?;
            notes.extend(left);
            etag
        };
        Ok(Stored { etag, expected, replacing: !how.create, notes })
    }

    /// What the answer to a completion says that has made an object: its ETag.
    pub(super) fn completed(&self) -> impl Fn(&Response) -> Option<Option<String>> + Sync + use<> {
        let is_azure = self.dialect() == Dialect::Azure;
        move |response| match response.status {
            201 if is_azure => Some(etag(&response.headers)),
            200 if !is_azure => match s3::completed(response) {
                Completion::Done(etag) => Some(Some(etag)),
                Completion::Failed | Completion::Unclear => None,
            },
            _ => None,
        }
    }

    /// The request that completes an upload, without a condition.
    pub(crate) fn completing(&self, begun: &Begun, parts: &[Part], how: &Put<'_>) -> Result<Request> {
        let (dialect, settings) = (self.dialect(), self.settings());
        self.refuse_web()?;
        let (mut request, body);
        if dialect == Dialect::Azure {
            request = self.request(Method::PUT, Some(azure::LIST));
            body = azure::block_list(parts);
            self.describe(&mut request.headers, how)?;
            let checked = settings.checksum != Checksum::None;
            azure::add_list(&mut request.headers, how.content_type, &body, checked);
        } else {
            request = begun.at.request(Method::POST, Some(&s3::upload_query(&begun.id)));
            insert(&mut request.headers, "content-type", "application/xml");
            extend(&mut request.headers, &settings.read_headers);
            s3::add_whole(&mut request.headers, dialect, settings.checksum, parts);
            body = s3::completion(dialect, settings.checksum, parts);
        }
        request.body = vec![Bytes::from(body)];
        Ok(request)
    }

    /// Ends an upload, and with it its parts; what it has made beside the object is deleted. Azure has nothing to end: blocks
    /// that are never committed vanish after a week.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when that failed after all retries.
    pub(crate) async fn abort(&self, begun: &Begun) -> Result<()> {
        if matches!(self.dialect(), Dialect::Azure | Dialect::Web) {
            return Ok(());
        }
        let request = begun.at.request(Method::DELETE, Some(&s3::upload_query(&begun.id)));
        let aborted = self
            .send(&request, &Purpose::to("aborting the upload"), |response, _| match response.status {
                200 | 204 | 404 => Verdict::Done(()),
                _ => Failure::of(&response).verdict(self.dialect(), self.shown(), "aborting the upload"),
            })
            .await;
        if begun.at.is(self) {
            return aborted;
        }
        // Only now: a completion whose answer was never heard may have been under way.
        let deleted = begun.at.delete().await;
        aborted.and(deleted)
    }

    /// Sends what makes the object visible, until it is known whether it is.
    pub(super) async fn publish(
        &self,
        mut request: Request,
        write: &Write<'_>,
        what: &'static str,
        stored: &(impl Fn(&Response) -> Option<Option<String>> + Sync),
    ) -> Result<Option<String>> {
        let create = write.how.create;
        let conditional = create && self.settings().conditional_put;
        if create
            && !conditional
            && let Some(etag) = self.refuse_existing(write, false).await?
        {
            return Ok(etag);
        }
        if conditional {
            let (name, value) = self.dialect().create_condition();
            request.headers.insert(name, value);
            match self.publish_once(&request, write, what, stored).await? {
                Outcome::Unconditional { unknown } => {
                    // Then a look right before must do.
                    if let Some(etag) = self.refuse_existing(write, unknown).await? {
                        return Ok(etag);
                    }
                    let (name, _) = self.dialect().create_condition();
                    request.headers.remove(name);
                }
                outcome @ (Outcome::Stored(_) | Outcome::Exists { .. } | Outcome::Gone { .. }) => {
                    return self.settled(outcome, write).await;
                }
            }
        }
        let outcome = self.publish_once(&request, write, what, stored).await?;
        self.settled(outcome, write).await
    }

    pub(super) async fn publish_once(
        &self,
        request: &Request,
        write: &Write<'_>,
        what: &'static str,
        stored: &(impl Fn(&Response) -> Option<Option<String>> + Sync),
    ) -> Result<Outcome> {
        // Whether a try may have been carried out without our knowing; and whether the last answer, which may be a 200, says that
        // none was.
        let (lost, refused) = (AtomicBool::new(false), AtomicBool::new(false));
        let conditional = request.headers.contains_key(self.dialect().create_condition().0);
        let judge = |response: Response, tried: Tried| {
            if let Some(etag) = stored(&response) {
                return Verdict::Done(Outcome::Stored(etag));
            }
            let (failure, unknown) = (Failure::of(&response), tried.unknown);
            if write.how.create && failure.is_existing() {
                return Verdict::Done(Outcome::Exists { again: tried.tries > 1, unknown });
            }
            if conditional && (failure.is_not_implemented() || compose::is_unknown(request, &failure)) {
                return Verdict::Done(Outcome::Unconditional { unknown });
            }
            let is_part_of_upload = request.url.query().is_some();
            if is_part_of_upload && failure.is_gone() {
                let error = failure.error(self.dialect(), self.shown(), what);
                return Verdict::Done(Outcome::Gone { error, unknown });
            }
            if response.status == 200 && failure.code.is_none() {
                return Verdict::Again(
                    self.failed("the server's answer to the last request says nothing"),
                    None,
                );
            }
            match failure.verdict(self.dialect(), self.shown(), "writing") {
                Verdict::Never(error) => {
                    refused.store(response.status < 500 && !unknown, Ordering::Relaxed);
                    Verdict::Never(compose::explained(request, &failure, error))
                }
                verdict @ (Verdict::Done(_) | Verdict::Again(..) | Verdict::Renew(_)) => verdict,
            }
        };
        // One with a query makes an object of what is there.
        let data = request.url.query().is_none();
        let purpose = Purpose { lost: Some(&lost), data, ..Purpose::to("writing") };
        match self.send(request, &purpose, judge).await {
            Err(error)
                if error.kind() == ErrorKind::Io
                    && lost.load(Ordering::Relaxed)
                    && !refused.load(Ordering::Relaxed) =>
            {
                self.settle(write, error, true).await.map(Outcome::Stored)
            }
            result => result,
        }
    }

    pub(super) async fn settled(&self, outcome: Outcome, write: &Write<'_>) -> Result<Option<String>> {
        match outcome {
            Outcome::Stored(etag) => Ok(etag),
            Outcome::Exists { again: false, .. } => Err(exists(self.shown())),
            Outcome::Exists { unknown, .. } => self.settle(write, exists(self.shown()), unknown).await,
            Outcome::Gone { error, unknown } => self.settle(write, error, unknown).await,
            Outcome::Unconditional { .. } => Err(self.failed("the server does not know how to (501)")),
        }
    }

    /// Whether this write has made the object, though an answer was lost; `otherwise` when it has not. With `unknown`, a try may
    /// have been carried out without our knowing, and may still be.
    async fn settle(&self, write: &Write<'_>, otherwise: Error, unknown: bool) -> Result<Option<String>> {
        let exists_by_condition = otherwise.kind() == ErrorKind::Exists;
        match self.look().await {
            Ok(Look::There(meta, headers)) => match self.whose(write, &meta, &headers, unknown) {
                Whose::Ours => Ok(meta.etag),
                Whose::Others if write.how.create => Err(exists(self.shown())),
                Whose::Others if unknown => Err(otherwise.and(format_args!(
                    "and {} is what it was before; it may yet be replaced, since the answer to a try was lost: look at it",
                    self.shown()
                ))),
                Whose::Others => Err(otherwise),
                Whose::Unknown => Err(self.unknown_writer().caused_by(otherwise)),
            },
            Ok(Look::Nothing) if unknown && exists_by_condition => Err(Error::io(format!(
                "{0}: the store says that it exists, and does not show it; whether this run has written it is not known, and it \
                 may yet appear; look at it",
                self.shown()
            ))),
            Ok(Look::Nothing) if unknown => Err(otherwise.and(format_args!(
                "and {} is not there; it may yet appear, since the answer to a try was lost: look at it",
                self.shown()
            ))),
            Ok(Look::Nothing) => Err(otherwise),
            Ok(Look::Denied(_)) | Err(_) if !unknown => Err(otherwise),
            Ok(Look::Denied(error)) | Err(error) if exists_by_condition => {
                Err(self.unknown_writer().caused_by(error))
            }
            Ok(Look::Denied(_)) | Err(_) => {
                let unknown = "whether the object was written is not known; look at it";
                Err(Error::io(format!("{}: {unknown}", self.shown())).caused_by(otherwise))
            }
        }
    }

    /// There is an object after a try whose answer was lost.
    fn unknown_writer(&self) -> Error {
        Error::io(format!(
            "{} exists, and whether this run has written it is not known; look at it",
            self.shown()
        ))
    }

    /// Who wrote what a look has found. With `unknown`, this write may have.
    fn whose(&self, write: &Write<'_>, meta: &Meta, headers: &HeaderMap, unknown: bool) -> Whose {
        match self.dialect().marker(headers) {
            Some(marker) if marker == write.how.marker => Whose::Ours,
            None if unknown && self.is_same(write.expected, meta, headers) => Whose::Ours,
            // What has another size is nothing that we have sent, whatever the store keeps of it.
            None if unknown && meta.size == write.expected.size => Whose::Unknown,
            Some(_) | None => Whose::Others,
        }
    }

    /// Whether size and checksum are those of what was sent: a checksum that is not said, or is no checksum, is no proof.
    fn is_same(&self, expected: &Expected, meta: &Meta, headers: &HeaderMap) -> bool {
        if meta.size != expected.size || self.settings().checksum == Checksum::None {
            return false;
        }
        match self.dialect() {
            // The ETag of an upload in parts has their number at its end.
            Dialect::S3 => meta
                .etag
                .as_deref()
                .zip(expected.etag.as_deref())
                .is_some_and(|(etag, expected)| opaque(etag).eq_ignore_ascii_case(expected)),
            Dialect::Google => {
                gcs::crc32c(headers).zip(expected.crc32c).is_some_and(|(now, expected)| now == expected)
            }
            Dialect::Azure => {
                let said = headers.get("content-md5").map(HeaderValue::as_bytes);
                said.is_some_and(|said| expected.md5.is_some_and(|md5| said == base64(&md5).as_bytes()))
            }
            Dialect::Web => false,
        }
    }

    /// Fails when there is an object that should not be; `Some` when it is of this very write. With `unknown`, an earlier try may
    /// have been carried out.
    async fn refuse_existing(&self, write: &Write<'_>, unknown: bool) -> Result<Option<Option<String>>> {
        if !write.how.create {
            return Ok(None);
        }
        match self.look().await? {
            Look::There(meta, headers) => match self.whose(write, &meta, &headers, unknown) {
                Whose::Ours => Ok(Some(meta.etag)),
                Whose::Others => Err(exists(self.shown())),
                Whose::Unknown => Err(self.unknown_writer()),
            },
            // Whoever may write need not be allowed to look; the condition decides.
            Look::Nothing | Look::Denied(_) => Ok(None),
        }
    }

    /// Adds what the object is to be: its type, its metadata, its encryption.
    pub(super) fn describe(&self, headers: &mut HeaderMap, how: &Put<'_>) -> Result<()> {
        let content_type = HeaderValue::from_str(how.content_type).map_err(|cause| {
            Error::usage(format!("{}: the content type cannot be sent", self.shown())).caused_by(cause)
        })?;
        headers.insert(CONTENT_TYPE, content_type);
        self.dialect().add_metadata(headers, self.shown(), how.metadata, how.marker)?;
        extend(headers, &self.settings().put_headers);
        Ok(())
    }

    /// Whether `etag` is the MD5 of something else.
    pub(super) fn is_other(&self, etag: &str, expected: &str, headers: &HeaderMap) -> bool {
        let settings = self.settings();
        let encrypted = |headers: &HeaderMap| !s3::is_md5(etag, headers);
        settings.checksum != Checksum::None
            && !encrypted(headers)
            && !encrypted(&settings.put_headers)
            && !opaque(etag).eq_ignore_ascii_case(expected)
    }

    /// What to do where checksums only seem to differ: not all that speak like S3 have MD5s for ETags.
    pub(super) fn way_out(&self) -> &'static str {
        match self.dialect() {
            Dialect::S3 => "; if the ETags of this store are no MD5s, use --store-option checksum=none",
            Dialect::Google | Dialect::Azure | Dialect::Web => "",
        }
    }

    fn refused<T>(&self, response: &Response) -> Verdict<T> {
        Failure::of(response).verdict(self.dialect(), self.shown(), "writing")
    }

    fn failed(&self, what: &str) -> Error {
        Error::io(format!("{}: writing failed: {what}", self.shown()))
    }

    fn refuse_web(&self) -> Result<()> {
        if self.dialect() == Dialect::Web {
            return Err(Error::unsupported(format!(
                "{}: web servers are read only here; write to a file, or to s3://, gs:// or az://",
                self.shown()
            )));
        }
        Ok(())
    }
}

impl Begun {
    /// What may be left over of beginning it, whether it is completed or aborted.
    pub(crate) fn note(&self) -> Option<String> {
        self.maybe_another.then(|| unheard(&self.at))
    }
}

/// What is said of an upload that may have begun without our knowing: without its id nobody can abort it, and a list of uploads
/// does not tell whose they are.
fn unheard(at: &Object) -> String {
    format!(
        "an upload whose answer was lost may be left at {}; a rule of the bucket removes it (AbortIncompleteMultipartUpload)",
        at.shown()
    )
}

impl Part {
    pub(crate) fn new(number: u32, etag: String, digests: &Digests) -> Self {
        let Digests { size, md5, sha256, crc32c, crc64nvme } = *digests;
        Self { number, etag, size, md5: Some(md5), crc32c: Some(crc32c), sha256, crc64nvme }
    }
}

impl Expected {
    fn whole(digests: &Digests) -> Self {
        let Digests { size, md5, crc32c, .. } = *digests;
        Self { size, etag: Some(hex(&md5)), md5: Some(md5), crc32c: Some(crc32c) }
    }

    pub(super) fn parts(parts: &[Part]) -> Self {
        let crc32c = parts.iter().try_fold(0, |crc, part| Some(joined_crc32c(crc, part.crc32c?, part.size)));
        let size = parts.iter().fold(0_u64, |size, part| size.saturating_add(part.size));
        let md5s: Option<Vec<_>> = parts.iter().map(|part| part.md5).collect();
        Self { size, etag: md5s.map(|md5s| multipart_etag(md5s.into_iter())), md5: None, crc32c }
    }
}

pub(super) fn etag(headers: &HeaderMap) -> Option<String> {
    field(headers, &ETAG).map(str::to_owned)
}
