//! What a store can be relied on for: tried out on objects of our own beside a destination, which are deleted again.

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use super::StoreOptions;
use super::checksum::{base64, md5};
use super::cleaning::Cleaning;
use super::dialect::Dialect;
use super::failure::Failure;
use super::leftovers::{Leftovers, named};
use super::location::{Bucket, Location};
use super::object::{Begun, Look, Meta, Object, Part, Purpose, Put, Stored, insert};
use super::range::field;
use super::request::{Request, Response, Verdict};
use super::s3::{self, Completion};
use super::tally::Tally;
use crate::error::{Error, ErrorKind, Result};

/// What S3 wants of every part but the last.
const FIRST_PART: usize = 5 << 20;

const TEXT: &[u8] = b"cogclip probes this store; the object may be deleted";
const TYPE: &str = "image/tiff; application=geotiff";

/// What an output is whole without: it costs memory, time or a warning less.
pub(super) const OPTIONAL: &[&str] = &[
    "a range of another version is refused (If-Match)",
    "a wrong checksum is refused (Content-MD5)",
    "the content type is kept",
    "the content type of an upload in parts is kept",
    "parts may be numbered with gaps",
    "an upload that is aborted leaves nothing",
];

/// What was found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// What should hold.
    pub(crate) what: &'static str,
    /// Whether it does.
    pub(crate) holds: bool,
    /// Why not, or what follows from it; may be empty.
    pub(crate) note: String,
}

impl Finding {
    /// Whether an output could not be whole, or not be written at all, without it.
    pub(crate) fn is_needed(&self) -> bool {
        !OPTIONAL.contains(&self.what)
    }
}

const CHECKED: &str = "size, ETag and checksum are those of what was sent";
const CHECKED_PARTS: &str = "size, ETag and checksum are those of the parts";
const ABORTED: &str = "an upload that is aborted leaves nothing";

/// The objects of one probe. They are deleted, and its uploads aborted, when it is dropped before its end.
struct Probe {
    /// Written at once.
    whole: Object,
    /// Written in parts.
    parts: Object,
    /// Begun in parts, and aborted.
    aborted: Object,
    marker: String,
    metadata: Vec<(String, String)>,
    findings: Vec<Finding>,
    leftovers: Leftovers,
    done: bool,
}

/// Tries out the store of `location`, which is called `shown` in messages: objects beside it are written, read and deleted.
/// A finding that does not hold is no error.
///
/// # Errors
/// [`ErrorKind::Usage`] for a path or a configuration that is not understood, [`ErrorKind::Unsupported`] for a web server.
pub(crate) async fn probe(location: &Location, shown: &str, options: &StoreOptions) -> Result<Vec<Finding>> {
    let bucket = match location {
        Location::Bucket(bucket) => bucket,
        Location::Local(_) => {
            return Err(Error::usage(format!("{shown} is a path; a bucket is expected here")));
        }
        Location::Http(_) => {
            return Err(Error::unsupported(format!(
                "{shown}: web servers are read only here; nothing can be tried out"
            )));
        }
    };
    let marker = format!("{:016x}", RandomState::new().hash_one(std::process::id()));
    let object = |kind: &str| {
        let suffix = format!(".cogclip-probe-{marker}{kind}");
        let bucket = Bucket { key: format!("{}{suffix}", bucket.key), ..bucket.clone() };
        Object::open(
            &Location::Bucket(bucket),
            &format!("{shown}{suffix}"),
            options,
            Arc::new(Tally::default()),
        )
    };
    let mut probe = Probe {
        whole: object("")?,
        parts: object("-parts")?,
        aborted: object("-aborted")?,
        metadata: vec![("cogclip-probe".to_owned(), "kept as it is".to_owned())],
        marker,
        findings: Vec::new(),
        leftovers: Leftovers::default(),
        done: false,
    };
    if probe.write().await {
        // Its own check may have deleted it.
        if probe.restore(&probe.whole).await {
            probe.read().await;
            probe.create_again().await;
        } else {
            probe.note(CHECKED, "what comes after could not be tried, since the object is not there");
        }
        probe.damage().await;
        probe.in_parts().await;
        probe.abort().await;
    }
    probe.delete().await;
    Ok(std::mem::take(&mut probe.findings))
}

impl Probe {
    fn how(&self) -> Put<'_> {
        Put { create: true, content_type: TYPE, metadata: &self.metadata, marker: &self.marker }
    }

    fn find(&mut self, what: &'static str, holds: bool, note: impl Into<String>) {
        self.findings.push(Finding { what, holds, note: note.into() });
    }

    /// A finding of something that should just succeed; its result, if it did.
    fn succeeded<T>(&mut self, what: &'static str, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => {
                self.find(what, true, "");
                Some(value)
            }
            Err(error) => {
                self.find(what, false, error.to_string());
                None
            }
        }
    }

    /// Adds to what is said of a finding.
    fn note(&mut self, what: &str, more: &str) {
        if let Some(finding) = self.findings.iter_mut().find(|finding| finding.what == what) {
            let separator = if finding.note.is_empty() { "" } else { "; " };
            finding.note = format!("{}{separator}{more}", finding.note);
        }
    }

    /// Whether there is an object, put there again if there was none.
    async fn restore(&self, object: &Object) -> bool {
        if is_there(object).await {
            return true;
        }
        let how = Put { create: false, ..self.how() };
        let put = object.put(vec![Bytes::from_static(TEXT)], &how).await;
        put.is_ok() && is_there(object).await
    }

    async fn write(&mut self) -> bool {
        self.leftovers.add(&self.whole);
        let put = self.whole.put(vec![Bytes::from_static(TEXT)], &self.how()).await;
        let Some(stored) = self.succeeded("an object can be created", put) else { return false };
        let checked = self.whole.check(&stored, TEXT.len() as u64, &self.marker).await;
        let is_right = self.succeeded(CHECKED, checked).is_some();
        match self.whole.look().await {
            // It has been deleted.
            Ok(Look::Nothing) if !is_right => {}
            Ok(Look::There(_, headers)) => {
                self.described(&headers, "the content type is kept", "metadata is kept");
            }
            Ok(Look::Nothing) => self.find("an object is there once it is written", false, "it is not"),
            Ok(Look::Denied(error)) | Err(error) => {
                self.find("an object can be looked at (HEAD)", false, error.to_string());
            }
        }
        true
    }

    fn described(&mut self, headers: &HeaderMap, of_type: &'static str, of_metadata: &'static str) {
        let said = field(headers, &CONTENT_TYPE).unwrap_or_default().to_owned();
        let (name, value) = self.metadata.first().cloned().unwrap_or_default();
        let kept = self.whole.dialect().metadata(headers, &name) == Some(value.as_str());
        let known = self.whole.dialect().marker(headers) == Some(self.marker.as_str());
        self.find(
            of_type,
            said == TYPE,
            if said == TYPE { "" } else { "readers may not know the object for a TIFF" },
        );
        let note =
            if kept && known { "" } else { "a write whose answer is lost cannot be told from another's" };
        self.find(of_metadata, kept && known, note);
    }

    async fn read(&mut self) {
        let differ = || Error::io("other bytes came than were sent");
        let whole = self.whole.get(0..TEXT.len() as u64, None).await;
        let whole = whole.and_then(|answer| (answer.bytes == TEXT).then_some(answer.meta).ok_or_else(differ));
        let Some(meta) = self.succeeded("an object can be read", whole) else { return };
        let range = self.whole.get(8..14, Some(&meta)).await;
        let range = range.and_then(|answer| (answer.bytes == "probes").then_some(()).ok_or_else(differ));
        self.succeeded("a range of it can be read", range);
        let etag = match self.whole.dialect() {
            Dialect::Azure => "\"0x8D4BCC2E4835CD0\"",
            Dialect::S3 | Dialect::Google | Dialect::Web => "\"00000000000000000000000000000000\"",
        };
        let other = Meta { etag: Some(etag.to_owned()), ..meta };
        let (holds, note) = match self.whole.get(8..14, Some(&other)).await {
            Err(error) if error.kind() == ErrorKind::Changed => (true, String::new()),
            Err(error) => (false, error.to_string()),
            Ok(_) => (
                false,
                "it is read all the same; that it changed is seen from the answer's ETag only".to_owned(),
            ),
        };
        self.find("a range of another version is refused (If-Match)", holds, note);
    }

    /// One request that should be refused, as it is judged by `refused`.
    async fn refused(
        &mut self,
        what: &'static str,
        object: Object,
        request: Result<Request>,
        accepted: &str,
        refused: impl Fn(&Failure) -> bool,
    ) {
        let judge = |response: Response, _| {
            let failure = Failure::of(&response);
            let said = failure.named();
            let failed = response.status >= 300 || matches!(s3::completed(&response), Completion::Failed);
            if failed && refused(&failure) {
                Verdict::Done((true, String::new()))
            } else if failed && failure.is_not_implemented() {
                Verdict::Done((false, format!("the store does not know how to ({said})")))
            } else if failed {
                failure.verdict(object.dialect(), object.shown(), "writing")
            } else {
                Verdict::Done((false, format!("{accepted} ({said})")))
            }
        };
        let result = match &request {
            Ok(request) => object.send(request, &Purpose::to("writing"), judge).await,
            Err(error) => Err(Error::io(error.to_string())),
        };
        let (holds, note) = result.unwrap_or_else(|error| (false, error.to_string()));
        self.find(what, holds, note);
    }

    async fn create_again(&mut self) {
        let request = self.whole.putting(vec![Bytes::from_static(TEXT)], &self.how()).await;
        let request = request.map(|(request, _)| conditional(&self.whole, request));
        let accepted = "it replaces the object; of two writers at once, both may believe to have created it";
        let what = "creating an object that exists is refused";
        self.refused(what, self.whole.clone(), request, accepted, Failure::is_existing).await;
    }

    async fn damage(&mut self) {
        let is_azure = self.whole.dialect() == Dialect::Azure;
        let request = self.whole.putting(vec![Bytes::from_static(TEXT)], &self.how()).await;
        let request = request.map(|(mut request, _)| {
            let wrong = base64(&md5(b"something else"));
            insert(&mut request.headers, "content-md5", &wrong);
            if is_azure {
                // It is what a block blob is compared with, where both are given (REST API, `Put Blob`).
                insert(&mut request.headers, "x-ms-blob-content-md5", &wrong);
            }
            request
        });
        let accepted = "damaged bytes are taken; only the ETag may show them";
        let refused = |failure: &Failure| failure.status == 400;
        self.refused(
            "a wrong checksum is refused (Content-MD5)",
            self.whole.clone(),
            request,
            accepted,
            refused,
        )
        .await;
    }

    /// Two parts, the first one last, as a clip sends them.
    async fn upload(&self, second: u32) -> Result<Stored> {
        let object = &self.parts;
        self.leftovers.add(object);
        let upload = self.leftovers.begin(object, &self.how()).await?;
        let stored = async {
            let second = object.part(&upload, second, vec![Bytes::from_static(TEXT)]).await?;
            let first = object.part(&upload, 1, vec![Bytes::from(vec![b'1'; FIRST_PART])]).await?;
            object.complete(&upload, &[first, second], &self.how()).await
        };
        let stored = stored.await;
        match &stored {
            Ok(_) => self.leftovers.ended(&upload),
            Err(_) => drop(self.leftovers.abort(object, &upload).await),
        }
        stored
    }

    async fn in_parts(&mut self) {
        let object = self.parts.clone();
        let size = FIRST_PART as u64;
        let mut uploaded = self.upload(9).await;
        match &uploaded {
            Ok(_) => self.find("parts may be numbered with gaps", true, ""),
            Err(error) => {
                let note = format!("{error}; say contiguous_parts=true, and large outputs take more memory");
                uploaded = self.upload(2).await;
                if uploaded.is_ok() {
                    self.find("parts may be numbered with gaps", false, note);
                }
            }
        }
        let what = "an object can be written in parts, the first one last";
        let Some(stored) = self.succeeded(what, uploaded) else { return };
        let whole = size.saturating_add(TEXT.len() as u64);
        let checked = object.check(&stored, whole, &self.marker).await;
        self.succeeded(CHECKED_PARTS, checked);
        // Its own check may have deleted it.
        if is_there(&object).await {
            self.read_parts(&object, size).await;
        }
        if !self.restore(&object).await {
            self.note(CHECKED_PARTS, "what comes after could not be tried, since the object is not there");
            return;
        }
        let again = async {
            let upload = self.leftovers.begin(&object, &self.how()).await?;
            match object.part(&upload, 1, vec![Bytes::from_static(TEXT)]).await {
                Ok(part) => Ok((upload, part)),
                Err(error) => {
                    drop(self.leftovers.abort(&object, &upload).await);
                    Err(error)
                }
            }
        };
        let what = "completing an upload to an object that exists is refused";
        match again.await {
            Err(error) => self.find(what, false, error.to_string()),
            Ok((upload, part)) => {
                let request = self.publishing(&upload, part).await;
                let request = request.map(|request| conditional(&object, request));
                let accepted = "it replaces the object; there is a look right before, and a gap of milliseconds after it";
                self.refused(what, object.clone(), request, accepted, Failure::is_existing).await;
                drop(self.leftovers.abort(&object, &upload).await);
            }
        }
    }

    async fn read_parts(&mut self, object: &Object, size: u64) {
        let seam = object.get(size.saturating_sub(1)..size.saturating_add(7), None).await;
        let differ = || Error::io("other bytes came than were sent");
        let seam = seam.and_then(|answer| (answer.bytes == "1cogclip").then_some(()).ok_or_else(differ));
        self.succeeded("the parts stand in their order", seam);
        if let Ok(Look::There(_, headers)) = object.look().await {
            let (of_type, of_metadata) =
                ("the content type of an upload in parts is kept", "metadata of an upload in parts is kept");
            self.described(&headers, of_type, of_metadata);
        }
    }

    /// The request that makes an upload visible.
    async fn publishing(&self, upload: &Begun, part: Part) -> Result<Request> {
        if upload.at.is(&self.parts) {
            return self.parts.completing(upload, &[part], &self.how());
        }
        self.parts.assemble(upload, &[part], &self.how()).await?;
        self.parts.composing(upload, &self.how())
    }

    async fn abort(&mut self) {
        let object = self.aborted.clone();
        let part = |upload: Begun| {
            let object = object.clone();
            async move { object.part(&upload, 1, vec![Bytes::from_static(TEXT)]).await }
        };
        let upload = match self.leftovers.begin(&object, &self.how()).await {
            Ok(upload) => upload,
            Err(error) => return self.find(ABORTED, false, error.to_string()),
        };
        let aborted: Result<Result<Part>> = async {
            part(upload.clone()).await?;
            object.abort(&upload).await?;
            let late = part(upload.clone()).await;
            if object.head().await?.is_some() {
                return Err(Error::io("an object is there after it"));
            }
            Ok(late)
        }
        .await;
        match aborted {
            Err(error) => self.find(ABORTED, false, error.to_string()),
            Ok(_) if object.dialect() == Dialect::Azure => {
                self.find(ABORTED, true, "blocks that are not committed vanish after a week");
                // Those of the probe at once: writing the whole blob discards them.
                self.leftovers.add(&object);
                drop(object.put(vec![Bytes::from_static(TEXT)], &self.how()).await);
                self.leftovers.ended(&upload);
            }
            Ok(Err(_)) => {
                self.find(ABORTED, true, "");
                self.leftovers.ended(&upload);
            }
            // It is aborted once more in the end, which need not help either.
            Ok(Ok(_)) => self.find(ABORTED, false, format!("parts are taken after it; {}", named(&upload))),
        }
    }

    async fn delete(&mut self) {
        let left = self.leftovers.clean().await;
        self.done = true;
        let result = if left.objects.is_empty() { Ok(()) } else { Err(Error::io(left.objects.join("; "))) };
        self.succeeded("an object can be deleted", result);
        for upload in &left.uploads {
            self.note(ABORTED, upload);
            self.findings
                .iter_mut()
                .filter(|finding| finding.what == ABORTED)
                .for_each(|it| it.holds = false);
        }
        for note in &left.notes {
            self.note(ABORTED, note);
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if self.done {
            return;
        }
        let (leftovers, cleaning) = (self.leftovers.clone(), Cleaning::begin());
        runtime.spawn(async move {
            leftovers.clean().await;
            drop(cleaning);
        });
    }
}

/// Whether there is an object, as far as may be seen.
async fn is_there(object: &Object) -> bool {
    !matches!(object.look().await, Ok(Look::Nothing))
}

fn conditional(object: &Object, mut request: Request) -> Request {
    let (name, value) = object.dialect().create_condition();
    request.headers.insert(name, value);
    request
}
