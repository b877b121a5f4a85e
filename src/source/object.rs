//! `s3://`, `gs://` and `az://`: objects, through object_store.
//!
//! Retries are object_store's own, so that they are not doubled; only a body that breaks off, which it resumes
//! only when it can, is asked for anew here.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt};

use super::client::{Store, build};
use super::failure::{Failure, classify};
use super::{Answer, Counters, SourceMeta};
use crate::error::{Error, Result};
use crate::store::StoreOptions;
use crate::store::location::Bucket;
use crate::store::retry::Retries;

/// The most that is allocated before the bytes have come.
const FIRST_ALLOCATION: u64 = 1 << 20;

/// An object.
pub(crate) struct Reader {
    store: Arc<dyn ObjectStore>,
    key: Path,
    shown: String,
    options: StoreOptions,
}

impl Reader {
    pub(crate) fn new(
        bucket: &Bucket,
        shown: String,
        options: &StoreOptions,
        counters: Arc<Counters>,
    ) -> Result<Self> {
        let Store { objects: store, key, .. } = build(bucket, &shown, options, Some(counters), false)?;
        Ok(Self { store, key, shown, options: options.clone() })
    }

    /// The bytes of `range` that exist.
    pub(crate) async fn get(&self, range: Range<u64>, pinned: Option<&SourceMeta>) -> Result<Answer> {
        let mut retries = Retries::new(&self.options);
        loop {
            match self.once(&range, pinned).await? {
                Ok(answer) => return Ok(answer),
                Err(short) => match retries.next(None) {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => return Err(short),
                },
            }
        }
    }

    /// The outer error is final, the inner one a body that broke off.
    async fn once(&self, range: &Range<u64>, pinned: Option<&SourceMeta>) -> Result<Result<Answer>> {
        let etag = pinned.and_then(|meta| meta.etag.clone());
        let options = GetOptions {
            range: Some(GetRange::Bounded(range.clone())),
            // If-Match compares strongly, so that a weak tag would never match (RFC 9110 §13.1.1).
            if_match: etag.filter(|etag| !etag.starts_with("W/")),
            ..GetOptions::default()
        };
        let got = match self.store.get_opts(&self.key, options).await {
            Ok(got) => got,
            Err(error) => return self.refused(range, &error).await.map(Ok),
        };
        let meta = SourceMeta {
            size: got.meta.size,
            etag: got.meta.e_tag.clone(),
            // object_store says 1970 where the server said nothing.
            last_modified: (got.meta.last_modified.timestamp() != 0)
                .then(|| got.meta.last_modified.format("%a, %d %b %Y %H:%M:%S GMT").to_string()),
        };
        let len = got.range.end.saturating_sub(got.range.start);
        let first = usize::try_from(len.min(FIRST_ALLOCATION)).unwrap_or_default();
        let mut bytes = BytesMut::with_capacity(first);
        let mut stream = got.into_stream();
        while let Some(chunk) = stream.next().await {
            match chunk {
                Ok(chunk) => bytes.extend_from_slice(&chunk),
                Err(error) => return Ok(Err(classify(&error).into_error(&self.shown, "reading"))),
            }
            if bytes.len() as u64 > len {
                break;
            }
        }
        if bytes.len() as u64 != len {
            return Ok(Err(Error::io(format!(
                "{}: the body should have {len} bytes, and {} came",
                self.shown,
                bytes.len()
            ))));
        }
        Ok(Ok(Answer { bytes: bytes.freeze(), meta }))
    }

    /// What a refused range means: an empty object has no range that could be answered.
    async fn refused(&self, range: &Range<u64>, error: &object_store::Error) -> Result<Answer> {
        let nothing =
            |size, etag| Answer { bytes: Bytes::new(), meta: SourceMeta { size, etag, last_modified: None } };
        match classify(error) {
            Failure::Unsatisfiable if range.start == 0 => Ok(nothing(0, None)),
            Failure::Unsatisfiable => Err(Error::format(format!(
                "{}: bytes {}..{} lie beyond the end of the file (416)",
                self.shown, range.start, range.end
            ))),
            // Some servers answer 200 and nothing for an empty object.
            Failure::NotPartial if range.start == 0 => match self.store.head(&self.key).await {
                Ok(meta) if meta.size == 0 => Ok(nothing(0, meta.e_tag)),
                _ => Err(Failure::NotPartial.into_error(&self.shown, "reading")),
            },
            failure @ (Failure::NotFound(_)
            | Failure::Denied(_)
            | Failure::Precondition
            | Failure::Exists
            | Failure::NotPartial
            | Failure::Other(_)) => Err(failure.into_error(&self.shown, "reading")),
        }
    }
}
