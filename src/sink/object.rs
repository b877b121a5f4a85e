//! An object: one conditional PUT while it is small, else a multipart upload whose first part goes last.
//!
//! S3 wants every part but the last to have 5 MiB or more. So the start of each section is held back, to go in one part with what
//! stands before it: the head, or the end of the section before. (Cloudflare R2 wants all parts but the last to be equally
//! long, which these cannot be: there, only objects below 13 MiB can be written.)
//!
//! Memory: for each section with a lane the part that is held back and the one that is filling, and `uploads` on their way.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::lanes::{Lanes, MAX_PARTS};
use super::{CONTENT_TYPE, Published, SinkOptions, hex};
use crate::error::{Error, ErrorKind, Result};
use crate::store::cleaning::Cleaning;
use crate::store::location::Location;
use crate::store::object::{Begun, Object, Part, Put, Stored};
use crate::store::retry::random;
use crate::store::tally::Tally;

/// Bytes that are read at a time when an object is read back.
const READ_BACK: u64 = 8 << 20;

/// An object to be.
pub(crate) struct ObjectSink {
    target: Target,
    options: SinkOptions,
    lanes: Lanes,
    sections: Vec<Section>,
    upload: Option<Upload>,
    size: u64,
}

/// A section on its way.
#[derive(Default)]
struct Section {
    /// Its start, to be sent with what stands before it.
    held: Chunks,
    /// The bytes that are not yet a part.
    filling: Chunks,
    /// Parts that were sent.
    sent: u32,
}

#[derive(Clone)]
struct Target {
    object: Object,
    shown: Arc<str>,
    create: bool,
    metadata: Arc<[(String, String)]>,
    /// What tells this write from any other.
    marker: Arc<str>,
    tally: Arc<Tally>,
}

/// Bytes that came in pieces and are cut at will, without being copied.
#[derive(Default)]
struct Chunks {
    chunks: VecDeque<Bytes>,
    len: u64,
}

impl Chunks {
    fn push(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.len += bytes.len() as u64;
            self.chunks.push_back(bytes);
        }
    }

    /// The first `len` bytes, or all.
    fn take(&mut self, len: u64) -> Vec<Bytes> {
        let mut taken = Vec::new();
        let mut missing = len;
        while missing > 0
            && let Some(mut chunk) = self.chunks.pop_front()
        {
            let cut = usize::try_from(missing).unwrap_or(usize::MAX).min(chunk.len());
            let first = chunk.split_to(cut);
            missing -= cut as u64;
            self.len -= cut as u64;
            taken.push(first);
            if !chunk.is_empty() {
                self.chunks.push_front(chunk);
            }
        }
        taken
    }
}

impl Target {
    fn put(&self) -> Put<'_> {
        Put {
            create: self.create,
            content_type: CONTENT_TYPE,
            metadata: &self.metadata,
            marker: &self.marker,
        }
    }

    async fn refuse_existing(&self) -> Result<()> {
        if !self.create {
            return Ok(());
        }
        match self.object.head().await {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err(exists(&self.shown)),
            // Whoever may write need not be allowed to look, and S3 answers 403 for an object that does not exist when listing
            // is not allowed; the condition at the end decides.
            Err(error) if error.is_absent() => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// What is said when the destination exists.
fn exists(shown: &str) -> Error {
    Error::exists(format!("{shown} exists; allow overwriting, or choose another name"))
}

impl ObjectSink {
    pub(crate) async fn create(location: &Location, shown: &str, options: &SinkOptions) -> Result<Self> {
        let tally = Arc::new(Tally::default());
        let target = Target {
            object: Object::open(location, shown, &options.store, Arc::clone(&tally))?,
            shown: shown.into(),
            create: !options.overwrite,
            metadata: options.metadata.as_slice().into(),
            marker: format!("{:016x}", random()).into(),
            tally,
        };
        target.refuse_existing().await?;
        Ok(Self {
            lanes: Lanes::new(&[], options.part_size, true),
            target,
            options: options.clone(),
            sections: Vec::new(),
            upload: None,
            size: 0,
        })
    }

    pub(crate) fn expect(&mut self, most: &[u64]) {
        // Once a part has gone, its number stands.
        if self.upload.is_none() {
            self.lanes =
                Lanes::new(most, self.options.part_size, self.target.object.wants_contiguous_parts());
        }
    }

    pub(crate) async fn append(&mut self, number: usize, mut bytes: Bytes) -> Result<()> {
        self.size += bytes.len() as u64;
        if self.sections.len() <= number {
            self.sections.resize_with(number + 1, Section::default);
        }
        let Some(section) = self.sections.get_mut(number) else { return Ok(()) };
        if !self.lanes.has(number) {
            section.held.push(bytes);
            return Ok(());
        }
        let room = self.lanes.held().saturating_sub(section.held.len);
        let first = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
        section.held.push(bytes.split_to(first));
        section.filling.push(bytes);
        loop {
            let Some((part, size)) = self.lanes.next(number, section.sent) else {
                return Err(Error::limit(format!(
                    "{}: the object has more than {MAX_PARTS} parts, which no store takes; write to a file instead",
                    self.target.shown
                )));
            };
            if section.filling.len < size {
                return Ok(());
            }
            let payload = section.filling.take(size);
            section.sent += 1;
            let upload = match &mut self.upload {
                Some(upload) => upload,
                None => self.upload.insert(Upload::begin(&self.target, self.options.verify).await?),
            };
            // Before the next part goes, an earlier one may have to end.
            while upload.running.len() >= self.options.uploads.max(1) {
                upload.join_one().await?;
            }
            upload.send(part, payload);
        }
    }

    pub(crate) async fn publish(mut self, head: Bytes) -> Result<Published> {
        let size = self.size + head.len() as u64;
        let mut pending = vec![head];
        let Some(mut upload) = self.upload.take() else {
            for section in self.sections.iter_mut().rev() {
                pending.extend(section.held.take(u64::MAX));
                pending.extend(section.filling.take(u64::MAX));
            }
            return self.put(pending, size).await;
        };
        let stored = match self.finish(&mut upload, pending, size).await {
            Ok(stored) => stored,
            Err(error) => {
                let aborted = upload.abort().await;
                return Err(abandoned(error, aborted, &upload.begun));
            }
        };
        let pieces = std::mem::take(&mut upload.pieces);
        self.published(stored, size, None, pieces.into_values().collect()).await
    }

    /// One PUT, refused by the store when the object exists: two writers cannot both win.
    async fn put(&self, chunks: Vec<Bytes>, size: u64) -> Result<Published> {
        let sha256 = hash(chunks.clone()).await?;
        let stored = self.target.object.put(chunks, &self.target.put()).await?;
        self.target.object.check(&stored, size, &self.target.marker).await?;
        self.published(stored, size, Some(sha256), vec![(size, sha256)]).await
    }

    /// Sends what is left, and has the store put it all together.
    async fn finish(&mut self, upload: &mut Upload, mut pending: Vec<Bytes>, size: u64) -> Result<Stored> {
        let mut last = 0;
        for (number, section) in self.sections.iter_mut().enumerate().rev() {
            pending.extend(section.held.take(u64::MAX));
            if section.sent > 0
                && let Some(joint) = self.lanes.joint(number)
            {
                upload.send(joint, std::mem::take(&mut pending));
                last = joint + section.sent;
            }
            pending.extend(section.filling.take(u64::MAX));
        }
        if pending.iter().any(|chunk| !chunk.is_empty()) {
            upload.send(last + 1, pending);
        }
        upload.complete(self.lanes.has_gaps(), size).await
    }

    async fn published(
        &self,
        stored: Stored,
        size: u64,
        sha256: Option<[u8; 32]>,
        pieces: Vec<(u64, [u8; 32])>,
    ) -> Result<Published> {
        let mut sha256 = sha256;
        if self.options.verify {
            let shown = &self.target.shown;
            let read = read_back(&self.target, &stored, &pieces).await;
            sha256 =
                read.map_err(|error| error.at(format!("{shown} is published, but could not be verified")))?;
            if sha256.is_none() {
                // What is not what was sent must not stay.
                let led = format!("{shown}: what the store gives back is not what was sent");
                return Err(match self.target.object.discard(&self.target.marker).await {
                    Ok(true) => Error::io(format!("{led}; the object has been deleted, run again")),
                    Ok(false) => {
                        Error::io(format!("{led}: another writer has replaced it; it has been left as it is"))
                    }
                    Err(cause) => {
                        Error::io(format!("{led}, and deleting it failed; delete it")).caused_by(cause)
                    }
                });
            }
        }
        Ok(Published {
            size,
            etag: stored.etag,
            sha256: sha256.map(|hash| hex(&hash)),
            requests: self.target.tally.requests.load(Ordering::Relaxed),
            retries: self.target.tally.retries.load(Ordering::Relaxed),
            verified: self.options.verify,
            remarks: stored.notes,
        })
    }

    /// Gives up because of `error`, and adds to it what could not be taken back.
    pub(crate) async fn abandon(mut self, error: Error) -> Error {
        match self.upload.take() {
            Some(mut upload) => {
                let aborted = upload.abort().await;
                abandoned(error, aborted, &upload.begun)
            }
            None => error,
        }
    }
}

/// An error, with what stays of the upload.
fn abandoned(error: Error, aborted: Result<()>, begun: &Begun) -> Error {
    let error = match begun.note() {
        Some(note) => error.and(note),
        None => error,
    };
    match aborted {
        Ok(()) => error,
        Err(cause) => {
            error.and(format_args!("and the upload could not be aborted, so that its parts stay ({cause})"))
        }
    }
}

/// SHA-256 of pieces, away from the async threads.
async fn hash(chunks: Vec<Bytes>) -> Result<[u8; 32]> {
    let hashed = tokio::task::spawn_blocking(move || {
        chunks.iter().fold(Sha256::new(), Sha256::chain_update).finalize().into()
    });
    hashed.await.map_err(|cause| Error::io("hashing was interrupted").caused_by(cause))
}

/// Reads the published object, compares it piece by piece with what was sent, and returns the SHA-256 of the whole; `None`
/// when they differ.
async fn read_back(target: &Target, stored: &Stored, pieces: &[(u64, [u8; 32])]) -> Result<Option<[u8; 32]>> {
    let size = pieces.iter().map(|(len, _)| len).sum();
    let pinned = crate::store::object::Meta { size, etag: stored.etag.clone(), last_modified: None };
    let (mut whole, mut at) = (Sha256::new(), 0);
    for (len, sent) in pieces {
        let (end, mut piece) = (at + len, Sha256::new());
        while at < end {
            let answer = target.object.get(at..end.min(at + READ_BACK), Some(&pinned)).await?;
            let replaced =
                stored.etag.is_some() && answer.meta.etag.is_some() && answer.meta.etag != stored.etag;
            if replaced || answer.meta.size != size {
                return Err(Error::changed(format!(
                    "{}: another writer has replaced it meanwhile; it has been left as it is",
                    target.shown
                )));
            }
            if answer.bytes.is_empty() {
                return Ok(None);
            }
            at += answer.bytes.len() as u64;
            let bytes = answer.bytes;
            (whole, piece) =
                tokio::task::spawn_blocking(move || (whole.chain_update(&bytes), piece.chain_update(&bytes)))
                    .await
                    .map_err(|cause| Error::io("hashing was interrupted").caused_by(cause))?;
        }
        if piece.finalize()[..] != sent[..] {
            return Ok(None);
        }
    }
    Ok(Some(whole.finalize().into()))
}

/// What a part was, and for comparing it later its SHA-256.
type Sent = (Part, Option<[u8; 32]>);

/// A multipart upload that has begun. Aborted when dropped.
struct Upload {
    target: Target,
    begun: Arc<Begun>,
    running: JoinSet<Result<Sent>>,
    parts: BTreeMap<u32, Part>,
    /// Bytes and SHA-256 of the parts, when the object is to be read back.
    pieces: BTreeMap<u32, (u64, [u8; 32])>,
    verify: bool,
    done: bool,
}

impl Upload {
    /// Begins an upload, in a task of its own: a caller that goes away meanwhile must not leave behind an upload whose id nobody
    /// has heard.
    async fn begin(target: &Target, verify: bool) -> Result<Self> {
        let (sender, receiver) = oneshot::channel();
        let (target, cleaning) = (target.clone(), Cleaning::begin());
        tokio::spawn(async move {
            let begun = target.object.begin(&target.put()).await.map(|begun| Self {
                target: target.clone(),
                begun: Arc::new(begun),
                running: JoinSet::new(),
                parts: BTreeMap::new(),
                pieces: BTreeMap::new(),
                verify,
                done: false,
            });
            // What nobody receives is dropped, and with it aborted.
            drop(sender.send(begun));
            drop(cleaning);
        });
        receiver.await.map_err(|cause| Error::io("an upload was interrupted").caused_by(cause))?
    }

    /// Starts to upload a part.
    fn send(&mut self, number: u32, payload: Vec<Bytes>) {
        let (object, begun, verify) = (self.target.object.clone(), Arc::clone(&self.begun), self.verify);
        self.running.spawn(async move {
            let sha256 = if verify { Some(hash(payload.clone()).await?) } else { None };
            Ok((object.part(&begun, number, payload).await?, sha256))
        });
    }

    async fn join_one(&mut self) -> Result<()> {
        match self.running.join_next().await {
            None => Ok(()),
            Some(Ok(sent)) => {
                let (part, sha256) = sent?;
                if let Some(sha256) = sha256 {
                    self.pieces.insert(part.number, (part.size, sha256));
                }
                self.parts.insert(part.number, part);
                Ok(())
            }
            Some(Err(cause)) => Err(Error::io("an upload was interrupted").caused_by(cause)),
        }
    }

    async fn complete(&mut self, gaps: bool, size: u64) -> Result<Stored> {
        while !self.running.is_empty() {
            self.join_one().await?;
        }
        let parts: Vec<Part> = std::mem::take(&mut self.parts).into_values().collect();
        if parts.iter().map(|part| part.size).sum::<u64>() != size {
            return Err(Error::io(format!("{}: a part was lost", self.target.shown)));
        }
        let how = self.target.put();
        let stored = self.target.object.complete(&self.begun, &parts, &how).await.map_err(|error| {
            if gaps && error.kind() == ErrorKind::Io {
                error.and(
                    "if this store wants parts numbered without gaps, say --dst-option contiguous_parts=true, which takes \
                     more memory",
                )
            } else {
                error
            }
        })?;
        self.done = true;
        self.target.object.check(&stored, size, &self.target.marker).await?;
        Ok(stored)
    }

    async fn abort(&mut self) -> Result<()> {
        if self.done {
            return Ok(());
        }
        self.done = true;
        abort(&self.target, &self.begun, &mut self.running).await
    }
}

/// No part may arrive after the upload is gone: S3 would keep it, and charge for it.
async fn abort(target: &Target, begun: &Begun, running: &mut JoinSet<Result<Sent>>) -> Result<()> {
    running.shutdown().await;
    target.object.abort(begun).await
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (target, begun) = (self.target.clone(), Arc::clone(&self.begun));
        let mut running = std::mem::take(&mut self.running);
        let cleaning = Cleaning::begin();
        runtime.spawn(async move {
            drop(abort(&target, &begun, &mut running).await);
            drop(cleaning);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_cut_anywhere() {
        let mut chunks = Chunks::default();
        for part in ["ab", "", "cde", "f"] {
            chunks.push(Bytes::from_static(part.as_bytes()));
        }
        assert_eq!(chunks.len, 6);
        assert_eq!(chunks.take(3).concat(), b"abc");
        assert_eq!(chunks.take(0).concat(), b"");
        assert_eq!(chunks.take(9).concat(), b"def");
        assert_eq!(chunks.len, 0);
    }
}
