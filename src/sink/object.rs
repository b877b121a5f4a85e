//! An object: one conditional PUT while it is small, else a multipart upload whose first part goes last.
//!
//! S3 wants every part but the last to have 5 MiB or more. So the start of each section is held back, to go in one part with what
//! stands before it: the head, or the end of the section before. (Cloudflare R2 wants all parts but the last to be equally
//! long, which these cannot be: there, only objects below 13 MiB can be written.)
//!
//! Memory: for each section with a lane the part that is held back and the one that is filling, and `uploads` on their way.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::chunks::Chunks;
use super::lanes::{Lanes, MAX_PARTS};
use super::upload::{Target, Upload, hash};
use super::{Published, READ, SinkOptions, hex};
use crate::error::{Error, Result};
use crate::source::Source;
use crate::store::copy::Origin;
use crate::store::location::Location;
use crate::store::object::{Begun, Object, Stored};
use crate::store::retry::random;
use crate::store::tally::Tally;

/// Bytes of one copy by the store, unless the parts have grown larger: as many as a slow store copies before a connection that is
/// silent is taken for broken.
const COPY: u64 = 128 << 20;

/// An object to be.
pub(crate) struct ObjectSink {
    target: Target,
    options: SinkOptions,
    lanes: Lanes,
    sections: Vec<Section>,
    upload: Option<Upload>,
    size: u64,
    /// Bytes that the store copies itself.
    copied: u64,
    /// What it was asked to copy from.
    origins: Vec<Asked>,
}

/// A source that the store was asked to copy from.
struct Asked {
    source: Source,
    /// Why it does not.
    refusal: Option<Error>,
}

/// What is to become next of a range that may be copied.
pub(crate) enum Step {
    /// So many bytes of it, from its start, are taken care of.
    Copied(u64),
    /// So many must be read, and appended.
    Read(u64),
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

impl ObjectSink {
    pub(crate) async fn create(location: &Location, shown: &str, options: &SinkOptions) -> Result<Self> {
        let tally = Arc::new(Tally::default());
        let target = Target {
            object: Object::open(location, shown, &options.store, Arc::clone(&tally))?,
            shown: shown.into(),
            create: !options.overwrite,
            metadata: options.metadata.as_slice().into(),
            media_type: options.media_type,
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
            copied: 0,
            origins: Vec::new(),
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
            upload.room(self.options.uploads).await?;
            upload.send(part, payload);
        }
    }

    pub(crate) fn copies_from(&self, source: &Source) -> Option<u64> {
        self.origin(source, 0..0)?;
        // Of less, on the average the larger part would be read, to fill the part before it.
        Some(self.options.part_size.saturating_mul(2))
    }

    /// What the store is to copy; `None` when it cannot, or may not.
    fn origin(&self, source: &Source, range: Range<u64>) -> Option<Origin> {
        let refused = |asked: &Asked| asked.refusal.is_some() && asked.source.is(source);
        // What was not sent from here has no SHA-256 to compare with.
        if !self.options.server_side_copy || self.options.verify || self.origins.iter().any(refused) {
            return None;
        }
        let (object, etag, size) = source.version()?;
        let can = self.target.object.can_copy(object) && range.end <= size;
        can.then(|| Origin { object: object.clone(), etag: etag.to_owned(), range })
    }

    /// Has the store copy the start of `range`, which is not empty, if it is its turn.
    ///
    /// Every part has at least the bytes that its number is planned to have, so that copies do not use up the numbers, and no part is
    /// smaller than stores take: the start of the range is read until the part before is whole, and so is what is left at its end.
    pub(crate) async fn copy(&mut self, number: usize, source: &Source, range: Range<u64>) -> Result<Step> {
        let left = range.end.saturating_sub(range.start);
        let read = |len: u64| Ok(Step::Read(len.clamp(1, READ)));
        if self.sections.len() <= number {
            self.sections.resize_with(number + 1, Section::default);
        }
        let (Some(section), Some(_)) = (self.sections.get(number), self.origin(source, range.clone())) else {
            return read(left);
        };
        let Some((part, size)) = self.lanes.next(number, section.sent) else { return read(left) };
        let (held, filling) = (section.held.len, section.filling.len);
        let missing = match self.lanes.held().saturating_sub(held) {
            0 if filling == 0 => 0,
            0 => size.saturating_sub(filling),
            room => room,
        };
        if left < missing.saturating_add(size) {
            return read(left);
        }
        if missing > 0 {
            return read(missing);
        }
        let len = piece(left, size);
        let Some(origin) = self.origin(source, range.start..range.start.saturating_add(len)) else {
            return read(left);
        };
        let upload = match &mut self.upload {
            Some(upload) => upload,
            None => self.upload.insert(Upload::begin(&self.target, self.options.verify).await?),
        };
        if self.origins.iter().any(|asked| asked.source.is(source)) {
            upload.copy(part, origin).await?;
        } else {
            // Not all stores can: the first copy from a source shows it, while there is nothing yet that could not be read instead.
            let refusal = upload.try_copy(part, origin).await?;
            let refused = refusal.is_some();
            self.origins.push(Asked { source: source.clone(), refusal });
            if refused {
                return read(left);
            }
        }
        if let Some(section) = self.sections.get_mut(number) {
            section.sent += 1;
        }
        self.size += len;
        self.copied += len;
        Ok(Step::Copied(len))
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
        if self.copied > 0 {
            upload.copied().await?;
            // Not all stores look at the tag of what they copy. It is the version of the beginning if it still has its tag.
            for asked in self.origins.iter().filter(|asked| asked.refusal.is_none()) {
                asked.source.read(0..1).await?;
            }
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
        let refused = self.origins.iter().filter_map(|asked| {
            let uri = asked.source.uri();
            asked
                .refusal
                .as_ref()
                .map(|error| format!("{uri} was read, since the store does not copy it ({error})"))
        });
        let remarks = stored.notes.into_iter().chain(refused).collect();
        Ok(Published {
            size,
            copied: self.copied,
            etag: stored.etag,
            sha256: sha256.map(|hash| hex(&hash)),
            requests: self.target.tally.requests.load(Ordering::Relaxed),
            retries: self.target.tally.retries.load(Ordering::Relaxed),
            verified: self.options.verify,
            remarks,
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

/// How many of `left` bytes are copied at once, where a part is to have at least `size` of them, which are no more than `left`: all, or
/// pieces that are about equal.
fn piece(left: u64, size: u64) -> u64 {
    let pieces = left.div_ceil(COPY.max(size)).max(1);
    left.div_ceil(pieces).max(size).min(left)
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

/// Reads the published object, compares it piece by piece with what was sent, and returns the SHA-256 of the whole; `None`
/// when they differ.
async fn read_back(target: &Target, stored: &Stored, pieces: &[(u64, [u8; 32])]) -> Result<Option<[u8; 32]>> {
    let size = pieces.iter().map(|(len, _)| len).sum();
    let pinned = crate::store::object::Meta { size, etag: stored.etag.clone(), last_modified: None };
    let (mut whole, mut at) = (Sha256::new(), 0);
    for (len, sent) in pieces {
        let (end, mut piece) = (at + len, Sha256::new());
        while at < end {
            let answer = target.object.get(at..end.min(at + READ), Some(&pinned)).await?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_copies_are_cut_into_pieces() {
        const MIB: u64 = 1 << 20;
        // A part is never smaller than planned, and above COPY only where it is planned so.
        for (left, size, expected) in [
            (8 * MIB, 8 * MIB, 8 * MIB),
            (128 * MIB, 8 * MIB, 128 * MIB),
            (128 * MIB + 1, 8 * MIB, 64 * MIB + 1),
            (300 * MIB, 8 * MIB, 100 * MIB),
            (300 * MIB, 256 * MIB, 256 * MIB),
            (300 * MIB, 300 * MIB, 300 * MIB),
            (u64::MAX, 8 * MIB, 128 * MIB),
        ] {
            let first = piece(left, size);
            assert!(first.abs_diff(expected) <= 1, "{left} {size}: {first}");
            assert!(size <= first && first <= left && first <= size.max(COPY), "{left} {size}: {first}");
        }
    }
}
