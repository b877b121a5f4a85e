//! What a store has made of what was written: looked at once it is there, and deleted when it is something else.

use std::time::Duration;

use reqwest::header::HeaderMap;

use super::checksum::base64;
use super::dialect::Dialect;
use super::endpoint::Checksum;
use super::gcs;
use super::object::{Expected, Look, Meta, Object, Stored};
use super::s3::opaque;
use crate::error::{Error, Result};

/// How long a store may take to show everywhere what it has said it has written.
const LOOKS: [Duration; 4] =
    [Duration::from_millis(200), Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

impl Object {
    /// Compares what the store now has with what was sent: `size` bytes, by the write whose `marker` it is.
    ///
    /// A store may for a while not show what it has said it has written, or show what was there before: it is looked at for a few
    /// seconds. An object that is not what was sent is deleted, if it is ours and still that version: it must be whole or not
    /// there.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] when they differ, when the store does not show it, or when it cannot be looked at after all retries.
    pub(crate) async fn check(&self, stored: &Stored, size: u64, marker: &str) -> Result<()> {
        let shown = self.shown();
        let mut waits = LOOKS.into_iter();
        let (what, headers) = loop {
            let wait = waits.next();
            match self.look().await? {
                Look::There(meta, headers) => {
                    let Some(what) = self.difference(stored, size, &meta, &headers) else { return Ok(()) };
                    // It may be what has been replaced.
                    let ours = self.dialect().marker(&headers) == Some(marker);
                    if ours || !stored.replacing || wait.is_none() {
                        break (what, headers);
                    }
                }
                Look::Nothing if wait.is_none() => {
                    return Err(Error::io(format!(
                        "{shown}: the store said that the object was written, and does not show it; whether it is there is \
                         not known; look at it"
                    )));
                }
                Look::Nothing => {}
                // Whoever may write need not be allowed to look.
                Look::Denied(_) => return Ok(()),
            }
            tokio::time::sleep(wait.unwrap_or_default()).await;
        };
        let led = format!("{shown}: the object is not what was sent ({what})");
        if self.dialect().marker(&headers) != Some(marker) {
            let or_stale =
                if stored.replacing { ", or the store still shows what was there before" } else { "" };
            return Err(Error::io(format!(
                "{led}: another writer has replaced it{or_stale}; it has been left as it is"
            )));
        }
        Err(match self.delete_if(&self.dialect().same_version(&headers)).await {
            Ok(true) => Error::io(format!("{led}; it has been deleted, run again")),
            Ok(false) => {
                Error::io(format!("{led}; it could not be deleted without risk to another's; look at it"))
            }
            Err(cause) => Error::io(format!("{led}, and deleting it failed; delete it")).caused_by(cause),
        })
    }

    fn difference(&self, stored: &Stored, size: u64, meta: &Meta, headers: &HeaderMap) -> Option<String> {
        if meta.size != size {
            return Some(format!("it has {} bytes instead of {size}", meta.size));
        }
        if let (Some(said), Some(now)) = (&stored.etag, &meta.etag)
            && opaque(said) != opaque(now)
        {
            return Some("its ETag is not the one that writing it was answered with".to_owned());
        }
        if self.settings().checksum == Checksum::None {
            return None;
        }
        let Expected { etag, md5, crc32c, .. } = &stored.expected;
        let differs = match self.dialect() {
            Dialect::S3 => meta
                .etag
                .as_deref()
                .zip(etag.as_deref())
                .is_some_and(|(now, expected)| self.is_other(now, expected, headers)),
            Dialect::Google => {
                gcs::crc32c(headers).zip(*crc32c).is_some_and(|(now, crc32c)| now != crc32c)
                    || gcs::md5(headers).zip(*md5).is_some_and(|(now, md5)| now != md5)
            }
            Dialect::Azure => headers
                .get("content-md5")
                .zip(*md5)
                .is_some_and(|(now, md5)| now.as_bytes() != base64(&md5).as_bytes()),
            Dialect::Web => false,
        };
        differs.then(|| format!("its checksum is another{}", self.way_out()))
    }
}
