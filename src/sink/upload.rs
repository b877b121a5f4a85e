//! An upload in parts that is under way: several at the same time, put together at the end, aborted when it is given up.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::error::{Error, ErrorKind, Result};
use crate::store::cleaning::Cleaning;
use crate::store::copy::{CopiedPart, Origin};
use crate::store::object::{Begun, Object, Part, Put, Stored};
use crate::store::tally::Tally;

/// Copies that the store makes at the same time. They take no memory here, so that there may be more of them than of parts that are
/// sent.
const COPIES: usize = 8;

/// What is to be written, and where.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) object: Object,
    pub(super) shown: Arc<str>,
    pub(super) create: bool,
    pub(super) metadata: Arc<[(String, String)]>,
    pub(super) media_type: &'static str,
    /// What tells this write from any other.
    pub(super) marker: Arc<str>,
    pub(super) tally: Arc<Tally>,
}

impl Target {
    pub(super) fn put(&self) -> Put<'_> {
        Put {
            create: self.create,
            content_type: self.media_type,
            metadata: &self.metadata,
            marker: &self.marker,
        }
    }

    pub(super) async fn refuse_existing(&self) -> Result<()> {
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

/// What has ended.
enum Sent {
    /// A part, and for comparing it later its SHA-256.
    Part(Part, Option<[u8; 32]>),
    /// A copy that the store was to make.
    Copy(CopiedPart),
}

/// A multipart upload that has begun. Aborted when dropped.
pub(super) struct Upload {
    target: Target,
    pub(super) begun: Arc<Begun>,
    running: JoinSet<Result<Sent>>,
    /// How many of these are copies.
    copying: usize,
    /// Why the store has not made a copy.
    refusal: Option<Error>,
    parts: BTreeMap<u32, Part>,
    /// Bytes and SHA-256 of the parts, when the object is to be read back.
    pub(super) pieces: BTreeMap<u32, (u64, [u8; 32])>,
    verify: bool,
    done: bool,
}

impl Upload {
    /// Begins an upload, in a task of its own: a caller that goes away meanwhile must not leave behind an upload whose id nobody
    /// has heard.
    pub(super) async fn begin(target: &Target, verify: bool) -> Result<Self> {
        let (sender, receiver) = oneshot::channel();
        let (target, cleaning) = (target.clone(), Cleaning::begin());
        tokio::spawn(async move {
            let begun = target.object.begin(&target.put()).await.map(|begun| Self {
                target: target.clone(),
                begun: Arc::new(begun),
                running: JoinSet::new(),
                copying: 0,
                refusal: None,
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

    /// Waits until fewer than `most` parts are being sent.
    ///
    /// # Errors
    /// That of an earlier part.
    pub(super) async fn room(&mut self, most: usize) -> Result<()> {
        while self.running.len().saturating_sub(self.copying) >= most.max(1) {
            self.join_one().await?;
        }
        Ok(())
    }

    /// Has the store make a part of a range of another object, once there is room for one more copy. That it then cannot is an error.
    ///
    /// # Errors
    /// That of an earlier part.
    pub(super) async fn copy(&mut self, number: u32, origin: Origin) -> Result<()> {
        while self.copying >= COPIES {
            self.join_one().await?;
        }
        self.send_copy(number, origin);
        self.refused()
    }

    /// The same, and waits for it. Gives what is to be said of a store that does not copy.
    ///
    /// # Errors
    /// That of this copy, or of an earlier part.
    pub(super) async fn try_copy(&mut self, number: u32, origin: Origin) -> Result<Option<Error>> {
        self.copied().await?;
        self.send_copy(number, origin);
        while self.copying > 0 {
            self.join_one().await?;
        }
        Ok(self.refusal.take())
    }

    /// Waits until everything has been copied.
    ///
    /// # Errors
    /// That of an earlier part.
    pub(super) async fn copied(&mut self) -> Result<()> {
        while self.copying > 0 {
            self.join_one().await?;
        }
        self.refused()
    }

    fn refused(&mut self) -> Result<()> {
        match self.refusal.take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn send_copy(&mut self, number: u32, origin: Origin) {
        let (object, begun) = (self.target.object.clone(), Arc::clone(&self.begun));
        self.copying += 1;
        self.running.spawn(async move { Ok(Sent::Copy(object.copy_part(&begun, number, &origin).await?)) });
    }

    /// Starts to upload a part.
    pub(super) fn send(&mut self, number: u32, payload: Vec<Bytes>) {
        let (object, begun, verify) = (self.target.object.clone(), Arc::clone(&self.begun), self.verify);
        self.running.spawn(async move {
            let sha256 = if verify { Some(hash(payload.clone()).await?) } else { None };
            Ok(Sent::Part(object.part(&begun, number, payload).await?, sha256))
        });
    }

    async fn join_one(&mut self) -> Result<()> {
        match self.running.join_next().await {
            None => Ok(()),
            Some(Ok(sent)) => {
                match sent? {
                    Sent::Part(part, sha256) => {
                        if let Some(sha256) = sha256 {
                            self.pieces.insert(part.number, (part.size, sha256));
                        }
                        self.parts.insert(part.number, part);
                    }
                    Sent::Copy(copied) => {
                        self.copying -= 1;
                        match copied {
                            CopiedPart::Done(part) => drop(self.parts.insert(part.number, part)),
                            CopiedPart::Unable(error) => drop(self.refusal.replace(error)),
                        }
                    }
                }
                Ok(())
            }
            Some(Err(cause)) => Err(Error::io("an upload was interrupted").caused_by(cause)),
        }
    }

    pub(super) async fn complete(&mut self, gaps: bool, size: u64) -> Result<Stored> {
        while !self.running.is_empty() {
            self.join_one().await?;
        }
        self.refused()?;
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

    pub(super) async fn abort(&mut self) -> Result<()> {
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

/// SHA-256 of pieces, away from the async threads.
pub(super) async fn hash(chunks: Vec<Bytes>) -> Result<[u8; 32]> {
    let hashed = tokio::task::spawn_blocking(move || {
        chunks.iter().fold(Sha256::new(), Sha256::chain_update).finalize().into()
    });
    hashed.await.map_err(|cause| Error::io("hashing was interrupted").caused_by(cause))
}
