//! A destination: bytes become visible there as one whole object, or not at all.
//!
//! The head goes last: what a COG starts with is known only at its end, so that the body is taken first and the head
//! with the call that publishes both. The body comes in sections, one for each level of the image, all of them growing at the
//! same time; in the object the last section stands first, after the head, and section 0 last.

#[cfg(feature = "cloud")]
mod chunks;
mod file;
#[cfg(feature = "cloud")]
mod lanes;
#[cfg(feature = "cloud")]
mod object;
mod probe;
#[cfg(feature = "cloud")]
mod upload;

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::LazyLock;

use bytes::Bytes;
use tokio::sync::watch;

use crate::error::{Error, Result};
use crate::source::Source;
use crate::store::StoreOptions;
use crate::store::location::{Location, redact};
pub use probe::{Finding, probe};

/// The media type of a COG (OGC 21-026 §B: image/tiff with the parameters application and profile).
pub const CONTENT_TYPE: &str = "image/tiff; application=geotiff; profile=cloud-optimized";

/// Bytes that are read at a time: of what is published, to compare it, and of what cannot be copied.
const READ: u64 = 8 << 20;

/// How a destination is written.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is one switch, independent of the others")]
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
    /// User metadata of an object, name and value; a local file has none.
    pub metadata: Vec<(String, String)>,
    /// Media type of an object; a local file has none.
    pub media_type: &'static str,
    /// Whether what was published is read back and compared with what was sent.
    pub verify: bool,
    /// Whether the SHA-256 of a local file is wanted, for which all of it must be looked at once more.
    pub hash: bool,
    /// Whether whole runs of tiles that are kept as they are may be copied within the store, without passing through here.
    pub server_side_copy: bool,
}

impl Default for SinkOptions {
    fn default() -> Self {
        Self {
            overwrite: false,
            store: StoreOptions::default(),
            spill: 64 << 20,
            part_size: 8 << 20,
            uploads: 3,
            metadata: Vec::new(),
            media_type: CONTENT_TYPE,
            verify: false,
            hash: true,
            server_side_copy: false,
        }
    }
}

/// What has been published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Bytes, head and body.
    pub size: u64,
    /// Bytes of these that the store copied itself.
    pub copied: u64,
    /// The object's entity tag as the store gave it; `None` for a local file.
    pub etag: Option<String>,
    /// SHA-256 of the whole, in lower-case hexadecimal; `None` when it was not wanted, and for a multipart upload, whose head comes last, while a
    /// hash wants it first, unless it was read back.
    pub sha256: Option<String>,
    /// Requests that carried data to the store, had it copied there or read it back, retries included; 0 for a local file.
    pub requests: u64,
    /// Requests that repeated an earlier one.
    pub retries: u64,
    /// Whether it was read back and found equal to what was sent.
    pub verified: bool,
    /// What a user should know: what could not be removed, or was read because the store does not copy it.
    pub remarks: Vec<String>,
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
                // A PUT to a web server is neither conditional nor in parts.
                return Err(Error::usage(format!(
                    "{shown}: http(s):// is read only; write to a path, s3://, gs:// or az://"
                )));
            }
            #[cfg(feature = "cloud")]
            bucket @ Location::Bucket(_) => {
                Backend::Object(Box::new(object::ObjectSink::create(&bucket, &shown, options).await?))
            }
            #[cfg(not(feature = "cloud"))]
            Location::Bucket(_) => return Err(crate::store::without_cloud(&shown)),
        };
        Ok(Self { uri: shown, backend })
    }

    async fn file(path: PathBuf, options: &SinkOptions) -> Result<file::FileSink> {
        if !options.metadata.is_empty() {
            return Err(Error::usage(format!(
                "{}: a file has no user metadata (--metadata); only objects of a store do",
                path.display()
            )));
        }
        let (overwrite, spill, look) = (options.overwrite, options.spill, (options.verify, options.hash));
        file::blocking(move || file::FileSink::create(&path, overwrite, spill, look)).await
    }

    /// The location for messages: without query string, user name, password and token.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Says how many bytes each section will have at most. Without a word, there is section 0 alone, of any size.
    pub fn expect(&mut self, most: &[u64]) {
        match &mut self.backend {
            Backend::File(_) => {
                let _ = most;
            }
            #[cfg(feature = "cloud")]
            Backend::Object(object) => object.expect(most),
        }
    }

    /// Takes the next bytes of section 0: see [`Self::append_to`].
    ///
    /// # Errors
    /// As [`Self::append_to`].
    pub async fn append(&mut self, bytes: Bytes) -> Result<()> {
        self.append_to(0, bytes).await
    }

    /// Takes the next bytes of a section of the body. Returns once there is room for more, which is not to say that they have
    /// been written.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] when these or earlier bytes could not be written, after all retries;
    /// [`crate::ErrorKind::Limit`] when the object has more parts than a store takes.
    pub async fn append_to(&mut self, section: usize, bytes: Bytes) -> Result<()> {
        match &mut self.backend {
            Backend::File(file) => file.append(section, bytes).await,
            #[cfg(feature = "cloud")]
            Backend::Object(object) => object.append(section, bytes).await,
        }
    }

    /// Least length in bytes of a range of `source` from which on [`Self::append_copy`] is worth its while; `None` when the store cannot
    /// copy from it: the option is off, or what is published is to be verified; the two are not of one store that copies ranges (S3,
    /// spoken to alike on both sides); no version of the source is pinned yet, or by no strong ETag; or the store has refused it.
    #[must_use]
    pub fn copies_from(&self, source: &Source) -> Option<u64> {
        match &self.backend {
            Backend::File(_) => {
                let _ = source;
                None
            }
            #[cfg(feature = "cloud")]
            Backend::Object(object) => object.copies_from(source),
        }
    }

    /// Takes bytes `range` of `source`, half-open and counted from its first byte, as the next of a section: by a copy inside the
    /// store where that is possible, else by reading them. Their order is that of the calls, [`Self::append_to`] included. Returns once
    /// there is room for more.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Changed`] when the source is no longer the version that its first answer pinned, which
    /// [`Self::publish`] may be the first to find; [`crate::ErrorKind::Format`] when the range ends beyond its end; else as
    /// [`Self::append_to`] and [`Source::read`].
    pub async fn append_copy(&mut self, section: usize, source: &Source, range: Range<u64>) -> Result<()> {
        let Range { mut start, end } = range;
        while start < end {
            let len = match &mut self.backend {
                Backend::File(_) => READ.min(end - start),
                #[cfg(feature = "cloud")]
                Backend::Object(object) => match object.copy(section, source, start..end).await? {
                    object::Step::Copied(len) => {
                        start += len;
                        continue;
                    }
                    object::Step::Read(len) => len,
                },
            };
            let bytes = source.read(start..start + len).await?;
            start += len;
            self.append_to(section, bytes).await?;
        }
        Ok(())
    }

    /// Makes `head`, followed by the body, visible as one whole object, or not at all.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Exists`] when an object has come to exist and may not be replaced;
    /// [`crate::ErrorKind::Changed`] when what was copied from is no longer what it was;
    /// [`crate::ErrorKind::Io`] when it could not be written, after all retries. What was put aside is removed.
    pub async fn publish(self, head: Bytes) -> Result<Published> {
        let Some(_publishing) = Publishing::begin() else {
            return Err(self.abandon(Error::io("stopped before anything was published")).await);
        };
        match self.backend {
            Backend::File(file) => file.publish(head).await,
            #[cfg(feature = "cloud")]
            Backend::Object(object) => object.publish(head).await,
        }
    }

    /// Gives up because of `error`: removes temporary files, aborts the multipart upload. Returns the error, with what could
    /// not be removed added to it; a store that cannot be reached keeps the parts until its own rules remove them.
    #[cfg_attr(
        not(feature = "cloud"),
        expect(clippy::unused_async, reason = "an upload has to be waited for")
    )]
    pub async fn abandon(self, error: Error) -> Error {
        match self.backend {
            Backend::File(file) => {
                drop(file);
                error
            }
            #[cfg(feature = "cloud")]
            Backend::Object(object) => object.abandon(error).await,
        }
    }

    /// Gives up, as [`Self::abandon`] does, without an error to tell of what could not be removed.
    pub async fn abort(self) {
        drop(self.abandon(Error::io("given up")).await);
    }
}

/// What is being published, and whether more may be.
struct State {
    publishing: usize,
    stopped: bool,
}

static STATE: LazyLock<watch::Sender<State>> =
    LazyLock::new(|| watch::Sender::new(State { publishing: 0, stopped: false }));

/// One output that is being published, until it is dropped.
struct Publishing;

impl Publishing {
    /// `None` once [`stop`] was called.
    fn begin() -> Option<Self> {
        STATE
            .send_if_modified(|state| {
                state.publishing += usize::from(!state.stopped);
                !state.stopped
            })
            .then_some(Self)
    }
}

impl Drop for Publishing {
    fn drop(&mut self) {
        STATE.send_modify(|state| state.publishing = state.publishing.saturating_sub(1));
    }
}

/// Lets nothing more be published in this process, and says whether something is being published right now: that should be let
/// finish, since half-way nobody knows what became of it.
pub fn stop() -> bool {
    STATE.send_modify(|state| state.stopped = true);
    STATE.borrow().publishing > 0
}

/// Waits until what dropped sinks had put aside has been removed: what a program does last that was told to stop.
#[cfg_attr(not(feature = "cloud"), expect(clippy::unused_async, reason = "uploads have to be waited for"))]
pub async fn settled() {
    #[cfg(feature = "cloud")]
    crate::store::cleaning::settled().await;
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
