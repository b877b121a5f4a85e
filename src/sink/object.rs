//! An object: one conditional PUT while it is small, else a multipart upload whose first part goes last.
//!
//! S3 wants every part but the last to have 5 MiB or more and takes 10,000 parts. So the start of the body is held
//! back to go with the head as the first part, and parts double in size every 1,250 of them: of 8 MiB first, they
//! allow an object of 2.4 TiB, and a part is as long as its predecessors up to 9.8 GiB. (Cloudflare R2 wants all
//! parts but the last to be equally long, which the first cannot be: there, only objects below 16 MiB can be
//! written.)
//!
//! Memory: the held-back part, one that is filling, and `uploads` on their way.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, PutResult};
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;

use super::{Published, SinkOptions, hex};
use crate::error::{Error, Result};
use crate::source::client::{Store, build};
use crate::source::failure::{Failure, classify, exists};
use crate::store::location::{Bucket, Cloud};

/// Parts of one upload, the first included: S3's and Google's limit (Azure takes 50,000 blocks).
const MAX_PARTS: usize = 10_000;

/// Parts after which they double in size: eight sizes within `MAX_PARTS`.
const PARTS_OF_A_SIZE: usize = 1_250;

/// An object to be.
pub(crate) struct ObjectSink {
    target: Target,
    options: SinkOptions,
    /// The first bytes of the body, to be sent with the head.
    held: Chunks,
    /// The bytes after them that are not yet a part.
    filling: Chunks,
    upload: Option<Upload>,
    size: u64,
}

#[derive(Clone)]
struct Target {
    store: Arc<dyn ObjectStore>,
    multipart: Arc<dyn MultipartStore>,
    key: Path,
    shown: Arc<str>,
    cloud: Cloud,
    overwrite: bool,
}

/// A multipart upload that has begun. Aborted when dropped.
struct Upload {
    target: Target,
    id: Arc<String>,
    running: JoinSet<Result<(usize, PartId), object_store::Error>>,
    /// By index; the first comes last.
    parts: Vec<Option<PartId>>,
    done: bool,
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
    fn failed(&self, error: &object_store::Error) -> Error {
        match classify(error) {
            Failure::Precondition if !self.overwrite => exists(&self.shown),
            Failure::Precondition => {
                Error::io(format!("{}: writing failed: a condition of the store did not hold", self.shown))
            }
            failure @ (Failure::NotFound(_)
            | Failure::Denied(_)
            | Failure::Exists
            | Failure::Unsatisfiable
            | Failure::NotPartial
            | Failure::Other(_)) => failure.into_error(&self.shown, "writing"),
        }
    }

    async fn refuse_existing(&self) -> Result<()> {
        if self.overwrite {
            return Ok(());
        }
        match self.store.head(&self.key).await {
            Ok(_) => Err(exists(&self.shown)),
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            // Whoever may write need not be allowed to look; the condition at the end decides. S3 also answers 403
            // for an object that does not exist, when listing is not allowed.
            Err(error) if matches!(classify(&error), Failure::Denied(_)) && self.cloud == Cloud::S3 => Ok(()),
            Err(error) => Err(self.failed(&error)),
        }
    }
}

impl ObjectSink {
    pub(crate) async fn create(bucket: &Bucket, shown: &str, options: &SinkOptions) -> Result<Self> {
        let create_only = !options.overwrite;
        let Store { objects: store, multipart, key } =
            build(bucket, shown, &options.store, None, create_only)?;
        let target = Target {
            store,
            multipart,
            key,
            shown: shown.into(),
            cloud: bucket.cloud,
            overwrite: options.overwrite,
        };
        target.refuse_existing().await?;
        Ok(Self {
            target,
            options: options.clone(),
            held: Chunks::default(),
            filling: Chunks::default(),
            upload: None,
            size: 0,
        })
    }

    pub(crate) async fn append(&mut self, mut bytes: Bytes) -> Result<()> {
        self.size += bytes.len() as u64;
        let room = self.options.part_size.saturating_sub(self.held.len);
        let first = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
        self.held.push(bytes.split_to(first));
        self.filling.push(bytes);
        loop {
            let next = self.upload.as_ref().map_or(1, |upload| upload.parts.len());
            let part = part_size(self.options.part_size, next);
            if self.filling.len < part {
                return Ok(());
            }
            let payload = self.filling.take(part);
            self.send(payload).await?;
        }
    }

    /// Starts the upload of the next part, and before it, if need be, waits for an earlier one to end.
    async fn send(&mut self, payload: Vec<Bytes>) -> Result<()> {
        let upload = match &mut self.upload {
            Some(upload) => upload,
            None => self.upload.insert(Upload::begin(&self.target).await?),
        };
        while upload.running.len() >= self.options.uploads.max(1) {
            upload.join_one().await?;
        }
        upload.send(None, payload)
    }

    pub(crate) async fn publish(mut self, head: Bytes) -> Result<Published> {
        let size = self.size + head.len() as u64;
        let mut first = vec![head];
        first.extend(self.held.take(u64::MAX));
        let rest = self.filling.take(u64::MAX);
        let Some(mut upload) = self.upload.take() else {
            first.extend(rest);
            return put(&self.target, first, size).await;
        };
        let result = async {
            if !rest.is_empty() {
                upload.send(None, rest)?;
            }
            // Of all parts only the first may come late: nothing before it is known.
            upload.send(Some(0), first)?;
            upload.complete().await
        };
        let result = result.await;
        if result.is_err() {
            upload.abort().await;
        }
        Ok(Published { size, etag: result?.e_tag, sha256: None })
    }

    pub(crate) async fn abort(mut self) {
        if let Some(mut upload) = self.upload.take() {
            upload.abort().await;
        }
    }
}

/// One PUT, refused by the store when the object exists: two writers cannot both win.
async fn put(target: &Target, chunks: Vec<Bytes>, size: u64) -> Result<Published> {
    let hashed = chunks.clone();
    let sha256 = tokio::task::spawn_blocking(move || {
        let hash = hashed.iter().fold(Sha256::new(), Sha256::chain_update);
        hex(&hash.finalize())
    });
    let mode = if target.overwrite { PutMode::Overwrite } else { PutMode::Create };
    let payload = PutPayload::from_iter(chunks);
    let options = PutOptions::from(mode);
    let put = match target.store.put_opts(&target.key, payload.clone(), options).await {
        // Conditional puts have been switched off for a store that has none (`aws_conditional_put=disabled`).
        Err(object_store::Error::NotImplemented { .. }) => {
            target.refuse_existing().await?;
            target.store.put_opts(&target.key, payload, PutOptions::default()).await
        }
        put => put,
    };
    let put = put.map_err(|error| target.failed(&error))?;
    let sha256 = sha256.await.map_err(|cause| Error::io("hashing was interrupted").caused_by(cause))?;
    Ok(Published { size, etag: put.e_tag, sha256: Some(sha256) })
}

impl Upload {
    async fn begin(target: &Target) -> Result<Self> {
        let id =
            target.multipart.create_multipart(&target.key).await.map_err(|error| target.failed(&error))?;
        Ok(Self {
            target: target.clone(),
            id: Arc::new(id),
            running: JoinSet::new(),
            parts: vec![None],
            done: false,
        })
    }

    /// Starts to upload part `index`, or the next one.
    fn send(&mut self, index: Option<usize>, payload: Vec<Bytes>) -> Result<()> {
        let index = index.unwrap_or_else(|| {
            self.parts.push(None);
            self.parts.len() - 1
        });
        if index >= MAX_PARTS {
            return Err(Error::limit(format!(
                "{}: the object has more than {MAX_PARTS} parts, which no store takes; write to a file instead",
                self.target.shown
            )));
        }
        let (multipart, key, id) =
            (Arc::clone(&self.target.multipart), self.target.key.clone(), Arc::clone(&self.id));
        self.running.spawn(async move {
            let part = multipart.put_part(&key, &id, index, PutPayload::from_iter(payload)).await?;
            Ok((index, part))
        });
        Ok(())
    }

    async fn join_one(&mut self) -> Result<()> {
        match self.running.join_next().await {
            None => Ok(()),
            Some(Ok(Ok((index, part)))) => {
                if let Some(slot) = self.parts.get_mut(index) {
                    *slot = Some(part);
                }
                Ok(())
            }
            Some(Ok(Err(error))) => Err(self.target.failed(&error)),
            Some(Err(cause)) => Err(Error::io("an upload was interrupted").caused_by(cause)),
        }
    }

    async fn complete(&mut self) -> Result<PutResult> {
        while !self.running.is_empty() {
            self.join_one().await?;
        }
        let parts: Option<Vec<_>> = self.parts.iter().cloned().collect();
        let parts = parts.ok_or_else(|| Error::io(format!("{}: a part was lost", self.target.shown)))?;
        // S3 completes conditionally (see `source::client`). Google and Azure (through object_store, whose signature
        // of a shared key covers the condition) do not: there, a writer that comes between this look and the next
        // request is overwritten.
        self.target.refuse_existing().await?;
        let Target { multipart, key, .. } = &self.target;
        let put = multipart
            .complete_multipart(key, &self.id, parts)
            .await
            .map_err(|error| self.target.failed(&error))?;
        self.done = true;
        Ok(put)
    }

    async fn abort(&mut self) {
        self.done = true;
        // No part may arrive after the upload is gone: S3 would keep it, and charge for it.
        self.running.shutdown().await;
        let Target { multipart, key, .. } = &self.target;
        drop(multipart.abort_multipart(key, &self.id).await);
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (target, id) = (self.target.clone(), Arc::clone(&self.id));
        let mut running = std::mem::take(&mut self.running);
        runtime.spawn(async move {
            running.shutdown().await;
            drop(target.multipart.abort_multipart(&target.key, &id).await);
        });
    }
}

/// Bytes of part `index`, from 1.
fn part_size(first: u64, index: usize) -> u64 {
    let doublings = u32::try_from(index / PARTS_OF_A_SIZE).unwrap_or(u32::MAX);
    first.checked_shl(doublings).filter(|size| size >> doublings == first).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_grow_to_the_documented_size() {
        const MIB: u64 = 1 << 20;
        assert_eq!(part_size(8 * MIB, 1), 8 * MIB);
        assert_eq!(part_size(8 * MIB, 1_249), 8 * MIB);
        assert_eq!(part_size(8 * MIB, 1_250), 16 * MIB);
        assert_eq!(part_size(8 * MIB, 9_999), 1024 * MIB);
        let whole: u64 = (1..MAX_PARTS).map(|index| part_size(8 * MIB, index)).sum();
        // 1,250 * (8 + 16 + ... + 1024) MiB, less the first part, which is not counted.
        assert_eq!(whole, (1_250 * 2_040 - 8) * MIB);
    }

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
