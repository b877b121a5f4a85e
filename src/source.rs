//! A location and its bytes: any range of a file, a web resource or an object, pinned to one version of it.

pub mod coalesce;
pub mod glob;
#[cfg(test)]
mod glob_tests;
mod local;
mod pattern;
pub mod sidecar;
mod walk;

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

pub use coalesce::{Merged, coalesce};
pub use sidecar::{Sidecar, SidecarKind};

use crate::error::{Error, Result};
use crate::store::StoreOptions;
use crate::store::location::{self, Location, redact};
#[cfg(feature = "cloud")]
use crate::store::object::{Meta, Object};
use crate::store::tally::Tally;

/// What the first answer said about the whole resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceMeta {
    /// Bytes of the whole resource.
    pub size: u64,
    /// Its entity tag (RFC 9110 §8.8.3) as the server gave it, quotes included. A local file has one made of its
    /// modification time and size.
    pub etag: Option<String>,
    /// When it was last changed, as an HTTP date (RFC 9110 §8.8.2). A local file has none: see `etag`.
    pub last_modified: Option<String>,
}

#[cfg(feature = "cloud")]
impl From<SourceMeta> for Meta {
    fn from(meta: SourceMeta) -> Self {
        Self { size: meta.size, etag: meta.etag, last_modified: meta.last_modified }
    }
}

#[cfg(feature = "cloud")]
impl From<Meta> for SourceMeta {
    fn from(meta: Meta) -> Self {
        Self { size: meta.size, etag: meta.etag, last_modified: meta.last_modified }
    }
}

/// What reading has cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceStats {
    /// Requests for data that were sent, retries included; reads, for a local file.
    pub requests: u64,
    /// Bytes that were returned to the caller.
    pub bytes: u64,
    /// Requests that repeated an earlier one.
    pub retries: u64,
    /// Reads that were asked for twice because they took long.
    pub hedges: u64,
}

/// A resource that can be read at any position. Clones share the connections, the pinned version and the counters.
#[derive(Clone)]
pub struct Source {
    inner: Arc<Inner>,
}

struct Inner {
    uri: String,
    backend: Backend,
    pinned: OnceLock<SourceMeta>,
    tally: Arc<Tally>,
}

enum Backend {
    Local(Arc<local::Local>),
    #[cfg(feature = "cloud")]
    Remote(Object),
}

/// What a backend returns: the bytes of the range that exist, and what was said about the whole.
pub(crate) struct Answer {
    pub(crate) bytes: Bytes,
    pub(crate) meta: SourceMeta,
}

impl Source {
    /// Whether it is behind a network, where every request waits.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        !matches!(self.inner.backend, Backend::Local(_))
    }

    /// The source that `uri` names: a path, or a `file://`, `http(s)://`, `s3://`, `gs://`, `az://` or
    /// `abfs[s]://` URL. Nothing is read or asked for yet.
    ///
    /// The key of an object is taken literally, not percent-decoded.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] for a scheme, a URL or an option that is not understood, or an incomplete
    /// configuration; [`crate::ErrorKind::Unsupported`] for a URL in a build without the feature `cloud`.
    pub fn open(uri: &str, options: &StoreOptions) -> Result<Self> {
        let tally = Arc::new(Tally::default());
        let shown = redact(uri);
        let backend = match Location::parse(uri)? {
            Location::Local(path) => Backend::Local(Arc::new(local::Local::new(path))),
            #[cfg(feature = "cloud")]
            location @ (Location::Http(_) | Location::Bucket(_)) => {
                Backend::Remote(Object::open(&location, &shown, options, Arc::clone(&tally))?)
            }
            #[cfg(not(feature = "cloud"))]
            Location::Http(_) | Location::Bucket(_) => {
                let _ = options;
                return Err(crate::store::without_cloud(&shown));
            }
        };
        let inner = Inner { uri: shown, backend, pinned: OnceLock::new(), tally };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The location for messages: without query string, user name, password and token.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.inner.uri
    }

    /// The first `min(len, size)` bytes, in one request: a bounded range, because Azure refuses suffix ranges, and
    /// no HEAD, because the answer tells the size and the ETag as well. All further reads are pinned to the version
    /// that is seen here.
    ///
    /// An empty resource gives no bytes.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] when it does not exist, may not be read, or could not be read after all retries;
    /// [`crate::ErrorKind::Changed`] when this is not the first answer and the version differs from the first.
    pub async fn head(&self, len: u64) -> Result<Bytes> {
        let asked = match self.inner.pinned.get() {
            Some(pinned) if pinned.size == 0 => return Ok(Bytes::new()),
            Some(pinned) => 0..len.clamp(1, pinned.size),
            None => 0..len.max(1),
        };
        let Answer { bytes, meta } = self.inner.get(asked.clone()).await?;
        self.inner.expect_len(&asked, asked.end.min(meta.size), &bytes)?;
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        self.inner.tally.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes.slice(..bytes.len().min(len)))
    }

    /// What the first answer said; `None` before it.
    #[must_use]
    pub fn meta(&self) -> Option<SourceMeta> {
        self.inner.pinned.get().cloned()
    }

    /// Exactly the bytes of `range`, of the version that the first answer pinned: the request carries its ETag as
    /// If-Match (RFC 9110 §13.1.1), and the answer is compared with it. An empty range asks for nothing.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Format`] when the range ends beyond the end, [`crate::ErrorKind::Changed`] when the
    /// resource is another than it was, [`crate::ErrorKind::Io`] as for [`Self::head`].
    pub async fn read(&self, range: Range<u64>) -> Result<Bytes> {
        if range.start >= range.end {
            return Ok(Bytes::new());
        }
        if let Some(pinned) = self.inner.pinned.get() {
            self.inner.within(&range, pinned.size)?;
        }
        let Answer { bytes, meta } = self.inner.get(range.clone()).await?;
        self.inner.within(&range, meta.size)?;
        self.inner.expect_len(&range, range.end, &bytes)?;
        self.inner.tally.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes)
    }

    /// Files beside a file of this machine that other programs would read with it. Nothing is said of remote ones:
    /// looking would take requests.
    pub async fn sidecars(&self) -> Vec<Sidecar> {
        match &self.inner.backend {
            Backend::Local(local) => {
                let path = local.path().to_owned();
                let found = tokio::task::spawn_blocking(move || sidecar::beside(&path)).await;
                found.unwrap_or_default()
            }
            #[cfg(feature = "cloud")]
            Backend::Remote(_) => Vec::new(),
        }
    }

    /// Whether `other` is this very source, or a clone of it.
    #[cfg(feature = "cloud")]
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// The object, and the ETag and the bytes of the version that is pinned; `None` for what is no object, or before the first answer,
    /// or where the tag tells no versions apart: a weak one is no condition (RFC 9110 §13.1.1).
    #[cfg(feature = "cloud")]
    pub(crate) fn version(&self) -> Option<(&Object, &str, u64)> {
        let Backend::Remote(object) = &self.inner.backend else { return None };
        let SourceMeta { size, etag, .. } = self.inner.pinned.get()?;
        let etag = etag.as_deref().filter(|etag| !etag.starts_with("W/"))?;
        Some((object, etag, *size))
    }

    /// What reading has cost so far, all clones together.
    #[must_use]
    pub fn stats(&self) -> SourceStats {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Tally { requests, retries, hedges, bytes } = &*self.inner.tally;
        SourceStats {
            requests: count(requests),
            bytes: count(bytes),
            retries: count(retries),
            hedges: count(hedges),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("uri", &self.inner.uri)
            .field("meta", &self.inner.pinned.get())
            .finish()
    }
}

impl Inner {
    /// One read by the backend, compared with what is pinned.
    async fn get(&self, range: Range<u64>) -> Result<Answer> {
        let answer = match &self.backend {
            Backend::Local(local) => {
                Tally::count(&self.tally.requests);
                Arc::clone(local).get(range).await?
            }
            #[cfg(feature = "cloud")]
            Backend::Remote(object) => {
                let pinned = self.pinned.get().cloned().map(Meta::from);
                let answer = object.get(range, pinned.as_ref()).await?;
                Answer { bytes: answer.bytes, meta: answer.meta.into() }
            }
        };
        let pinned = self.pinned.get_or_init(|| answer.meta.clone());
        match difference(pinned, &answer.meta) {
            Some(what) => Err(Error::changed(format!(
                "{} changed while it was read: {what}; run again once it is no longer written to",
                self.uri
            ))),
            None => Ok(answer),
        }
    }

    fn within(&self, range: &Range<u64>, size: u64) -> Result<()> {
        if range.end <= size {
            return Ok(());
        }
        Err(Error::format(format!(
            "{}: bytes {}..{} lie beyond the end ({size}) of the file; it is truncated, or an offset in it is wrong",
            self.uri, range.start, range.end
        )))
    }

    fn expect_len(&self, range: &Range<u64>, end: u64, bytes: &Bytes) -> Result<()> {
        let expected = end.saturating_sub(range.start);
        if bytes.len() as u64 == expected {
            return Ok(());
        }
        Err(Error::io(format!(
            "{}: bytes {}..{end} were asked for, and {} of {expected} came",
            self.uri,
            range.start,
            bytes.len()
        )))
    }
}

/// The location without `#ifd=N`, and which directory is the image: that of `ifd` or of the suffix, else the first.
/// With `ifd`, a file of this machine whose name really ends in `#ifd=N` is that file.
///
/// # Errors
/// [`crate::ErrorKind::Usage`] when both are given and differ.
pub(crate) async fn image_of(uri: &str, ifd: Option<usize>) -> Result<(&str, usize)> {
    match (location::split_ifd(uri)?, ifd) {
        ((_, None), ifd) => Ok((uri, ifd.unwrap_or(0))),
        ((_, Some(_)), Some(ifd)) if local::is_file(uri).await => Ok((uri, ifd)),
        ((base, Some(named)), Some(ifd)) if named != ifd => Err(Error::usage(format!(
            "{}: #ifd={named} chooses one image, and --ifd {ifd} another; give one of them",
            redact(base)
        ))),
        ((base, Some(named)), _) => Ok((base, named)),
    }
}

/// How two answers about what should be one version differ.
fn difference(pinned: &SourceMeta, now: &SourceMeta) -> Option<String> {
    // A cache may turn a strong tag into a weak one on the way; the version is the same.
    let opaque = |etag: &str| etag.strip_prefix("W/").unwrap_or(etag).to_owned();
    if pinned.size != now.size {
        return Some(format!("it had {} bytes and now has {}", pinned.size, now.size));
    }
    match (&pinned.etag, &now.etag) {
        (Some(then), Some(now)) if opaque(then) != opaque(now) => {
            return Some(format!("its ETag was {then} and now is {now}"));
        }
        (Some(_), Some(_)) => return None,
        _ => {}
    }
    match (&pinned.last_modified, &now.last_modified) {
        (Some(then), Some(now)) if then != now => {
            Some(format!("it was last changed on {then}, and now on {now}"))
        }
        (Some(_), Some(_)) => None,
        // It may be another one: what told them apart is gone.
        _ if pinned.etag.is_some() || pinned.last_modified.is_some() => {
            Some("the server no longer says which version it is".to_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(then: (Option<&str>, Option<&str>), now: (Option<&str>, Option<&str>), expected: Option<&str>) {
        let meta = |(etag, date): (Option<&str>, Option<&str>)| SourceMeta {
            size: 9,
            etag: etag.map(str::to_owned),
            last_modified: date.map(str::to_owned),
        };
        let got = difference(&meta(then), &meta(now));
        let same = match (&got, expected) {
            (Some(got), Some(expected)) => got.contains(expected),
            (None, None) => true,
            _ => false,
        };
        assert!(same, "{then:?} {now:?}: {got:?}");
    }

    #[test]
    fn a_version_is_known_by_its_tag_or_its_date() {
        let (a, b) = (Some("\"a\""), Some("\"b\""));
        let (monday, tuesday) = (Some("Mon"), Some("Tue"));
        check((a, monday), (a, tuesday), None);
        check((a, monday), (b, monday), Some("its ETag was \"a\""));
        check((Some("W/\"a\""), None), (a, None), None);
        check((None, monday), (None, monday), None);
        check((None, monday), (None, tuesday), Some("last changed on Mon"));
        // One of the two is enough, none of them is not.
        check((a, monday), (None, monday), None);
        check((a, monday), (None, tuesday), Some("last changed"));
        check((a, monday), (None, None), Some("no longer says which version"));
        check((a, None), (None, None), Some("no longer says which version"));
        check((a, None), (None, monday), Some("no longer says which version"));
        check((None, None), (None, None), None);
        check((None, None), (a, monday), None);
    }
}
