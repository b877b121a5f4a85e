//! Files of this machine, read at positions.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use bytes::Bytes;

use super::{Answer, SourceMeta};
use crate::error::{Error, Result};

/// A file, opened by the first read.
#[derive(Debug)]
pub(crate) struct Local {
    path: PathBuf,
    /// Kept open, so that a file that is replaced by renaming is still read whole, as it was.
    file: Mutex<Option<Arc<File>>>,
}

impl Local {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, file: Mutex::new(None) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes of `range` that the file has.
    pub(crate) async fn get(self: Arc<Self>, range: Range<u64>) -> Result<Answer> {
        // A disk may take its time: not on an async thread.
        tokio::task::spawn_blocking(move || self.get_now(range))
            .await
            .map_err(|cause| Error::io("reading a file was interrupted").caused_by(cause))?
    }

    fn get_now(&self, range: Range<u64>) -> Result<Answer> {
        let failed = |cause| Error::io(format!("cannot read {}", self.path.display())).caused_by(cause);
        let file = self.open()?;
        let before = meta(&file).map_err(failed)?;
        let start = range.start.min(before.size);
        let len = range.end.min(before.size).saturating_sub(start);
        let len = usize::try_from(len).map_err(|cause| {
            Error::limit(format!("{len} bytes are more than this machine can address")).caused_by(cause)
        })?;
        let mut buffer = vec![0; len];
        let read = read_exact_at(&file, &mut buffer, start);
        let meta = meta(&file).map_err(failed)?;
        match read {
            Ok(()) => Ok(Answer { bytes: buffer.into(), meta }),
            // It became shorter in between: the caller compares what is now with what was pinned.
            Err(cause) if cause.kind() == std::io::ErrorKind::UnexpectedEof && meta != before => {
                Ok(Answer { bytes: Bytes::new(), meta })
            }
            Err(cause) => Err(failed(cause)),
        }
    }

    fn open(&self) -> Result<Arc<File>> {
        let mut slot = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &*slot {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(open_regular(&self.path)?);
        *slot = Some(Arc::clone(&file));
        Ok(file)
    }
}

/// Whether a path, not a URL, is a file of this machine.
pub(crate) async fn is_file(path: &str) -> bool {
    let path = PathBuf::from(path);
    tokio::task::spawn_blocking(move || path.is_file()).await.unwrap_or(false)
}

fn open_regular(path: &Path) -> Result<File> {
    let failed = |cause: std::io::Error| {
        let error = Error::io(format!("cannot open {}: {cause}", path.display()));
        if cause.kind() == std::io::ErrorKind::NotFound { error.absent() } else { error }
    };
    // Asked before it is opened: opening a pipe would wait for a writer.
    let kind = std::fs::metadata(path).map_err(failed)?.file_type();
    if kind.is_dir() {
        return Err(Error::io(format!("cannot read {}: it is a directory", path.display())));
    }
    if !kind.is_file() {
        return Err(Error::io(format!(
            "cannot read {}: it is not a regular file, and only those can be read at any position",
            path.display()
        )));
    }
    File::open(path).map_err(failed)
}

fn meta(file: &File) -> std::io::Result<SourceMeta> {
    let metadata = file.metadata()?;
    let size = metadata.len();
    let nanos = metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .map_or(0, |since| since.as_nanos());
    Ok(SourceMeta { size, etag: Some(format!("{nanos:x}-{size:x}")), last_modified: None })
}

#[cfg(unix)]
fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> std::io::Result<()> {
    // Moves the file's cursor, which nobody else looks at.
    while !buffer.is_empty() {
        let read = std::os::windows::fs::FileExt::seek_read(file, buffer, offset)?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        buffer = &mut buffer[read..];
        offset += read as u64;
    }
    Ok(())
}

#[cfg(not(any(unix, windows)))]
fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    // A clone shares the cursor, so that two reads must not meet.
    static CURSOR: Mutex<()> = Mutex::new(());
    let _held = CURSOR.lock().unwrap_or_else(PoisonError::into_inner);
    let mut file = file.try_clone()?;
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(buffer)
}
