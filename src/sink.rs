//! A destination: bytes become visible there as one whole object, or not at all.
//!
//! The head goes last: what a COG starts with is known only at its end, so that the body is taken first and the head
//! with the call that publishes both.

mod file;
#[cfg(feature = "cloud")]
mod object;

use std::fmt;
use std::path::PathBuf;

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::store::StoreOptions;
use crate::store::location::{Location, redact};

/// How a destination is written.
#[derive(Clone, Debug)]
pub struct SinkOptions {
    /// Whether an existing object may be replaced.
    pub overwrite: bool,
    /// How object stores are reached.
    pub store: StoreOptions,
    /// Bytes of the body of a local file that are kept in memory; what goes beyond waits in a temporary file beside
    /// the destination.
    pub spill: u64,
    /// Bytes of the first parts of a multipart upload, and bytes of the body that are held back to be sent with the
    /// head. S3 wants 5 MiB or more; less is for tests.
    pub part_size: u64,
    /// Parts that are uploaded at the same time; each is held in memory until it has arrived.
    pub uploads: usize,
}

impl Default for SinkOptions {
    fn default() -> Self {
        Self {
            overwrite: false,
            store: StoreOptions::default(),
            spill: 64 << 20,
            part_size: 8 << 20,
            uploads: 4,
        }
    }
}

/// What has been published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Bytes, head and body.
    pub size: u64,
    /// The object's entity tag as the store gave it; `None` for a local file.
    pub etag: Option<String>,
    /// SHA-256 of the whole, in lower-case hexadecimal; `None` for a multipart upload, whose head comes last, while a
    /// hash wants it first.
    pub sha256: Option<String>,
}

/// A destination that is being written. Nothing is visible there before [`Sink::publish`] returns.
///
/// Dropping it without that removes what was put aside: at once for a local file; for an upload, by a task of the
/// runtime, if there still is one. Prefer [`Sink::abort`], which waits for it.
pub struct Sink {
    uri: String,
    backend: Backend,
}

enum Backend {
    File(file::FileSink),
    #[cfg(feature = "cloud")]
    Object(Box<object::ObjectSink>),
}

impl Sink {
    /// A destination at `uri`: a path, or a `file://`, `s3://`, `gs://`, `az://` or `abfs[s]://` URL. The folder of a
    /// path is created if it is missing.
    ///
    /// A path that is a symbolic link stands for what it points at, as with `cp`: with `overwrite` that file is
    /// replaced, and the link stays.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Exists`] when there is an object and it may not be replaced (asked early, and again when
    /// publishing); [`crate::ErrorKind::Usage`] for `http(s)://`, a directory, or a URL or option that is not
    /// understood; [`crate::ErrorKind::Io`] when the folder or the store cannot be reached or written;
    /// [`crate::ErrorKind::Unsupported`] for a URL in a build without the feature `cloud`.
    pub async fn create(uri: &str, options: &SinkOptions) -> Result<Self> {
        let shown = redact(uri);
        let backend = match Location::parse(uri)? {
            Location::Local(path) => Backend::File(Self::file(path, options).await?),
            Location::Http(_) => {
                return Err(Error::usage(format!(
                    "{shown}: http(s):// is read only; write to a path, s3://, gs:// or az://"
                )));
            }
            #[cfg(feature = "cloud")]
            Location::Bucket(bucket) => {
                Backend::Object(Box::new(object::ObjectSink::create(&bucket, &shown, options).await?))
            }
            #[cfg(not(feature = "cloud"))]
            Location::Bucket(_) => return Err(crate::store::without_cloud(&shown)),
        };
        Ok(Self { uri: shown, backend })
    }

    async fn file(path: PathBuf, options: &SinkOptions) -> Result<file::FileSink> {
        let (overwrite, spill) = (options.overwrite, options.spill);
        file::blocking(move || file::FileSink::create(&path, overwrite, spill)).await
    }

    /// The location for messages: without query string, user name, password and token.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Takes the next bytes of the body. Returns once there is room for more, which is not to say that they have been
    /// written.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] when these or earlier bytes could not be written, after all retries;
    /// [`crate::ErrorKind::Limit`] when the object has more parts than a store takes.
    pub async fn append(&mut self, bytes: Bytes) -> Result<()> {
        match &mut self.backend {
            Backend::File(file) => file.append(bytes).await,
            #[cfg(feature = "cloud")]
            Backend::Object(object) => object.append(bytes).await,
        }
    }

    /// Makes `head`, followed by the body, visible as one whole object, or not at all.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Exists`] when an object has come to exist and may not be replaced;
    /// [`crate::ErrorKind::Io`] when it could not be written, after all retries. What was put aside is removed.
    pub async fn publish(self, head: Bytes) -> Result<Published> {
        match self.backend {
            Backend::File(file) => file.publish(head).await,
            #[cfg(feature = "cloud")]
            Backend::Object(object) => object.publish(head).await,
        }
    }

    /// Gives up: removes temporary files, aborts the multipart upload. Errors in doing so are not reported; a store
    /// that cannot be reached keeps the parts until its own rules remove them.
    #[cfg_attr(
        not(feature = "cloud"),
        expect(clippy::unused_async, reason = "an upload has to be waited for")
    )]
    pub async fn abort(self) {
        match self.backend {
            Backend::File(file) => drop(file),
            #[cfg(feature = "cloud")]
            Backend::Object(object) => object.abort().await,
        }
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").field("uri", &self.uri).finish_non_exhaustive()
    }
}

/// `bytes` in lower-case hexadecimal.
fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
