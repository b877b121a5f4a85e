//! A file: written beside its destination under another name, then renamed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::{Published, hex};
use crate::error::{Error, Result};
use crate::store::retry::random;

/// Bytes that are written at once, lest many small tiles become as many calls.
const BATCH_BYTES: usize = 1 << 20;

/// Bytes of a file name from which on a temporary file is no longer named after it: file systems allow 255.
const LONG_NAME_BYTES: usize = 200;

/// A file to be.
pub(crate) struct FileSink {
    target: PathBuf,
    overwrite: bool,
    spill: u64,
    verify: bool,
    hash: bool,
    sections: Vec<Section>,
}

/// A section of the body.
#[derive(Default)]
struct Section {
    /// Its end, or all of it while it fits.
    memory: Vec<Bytes>,
    in_memory: u64,
    /// Its start, once the body has become too large.
    spilled: Option<Temporary>,
}

impl Section {
    /// Moves what is in memory to the temporary file.
    async fn spill(&mut self, target: &Path) -> Result<()> {
        let chunks = std::mem::take(&mut self.memory);
        self.in_memory = 0;
        let (spilled, target) = (self.spilled.take(), target.to_owned());
        let spilled = blocking(move || {
            let mut temporary = match spilled {
                Some(temporary) => temporary,
                None => Temporary::beside(&target)?,
            };
            for chunk in &chunks {
                temporary.write(chunk)?;
            }
            Ok(temporary)
        });
        self.spilled = Some(spilled.await?);
        Ok(())
    }
}

/// Runs what may wait for a disk away from the async threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|cause| Error::io("writing a file was interrupted").caused_by(cause))?
}

impl FileSink {
    pub(crate) fn create(
        path: &Path,
        overwrite: bool,
        spill: u64,
        (verify, hash): (bool, bool),
    ) -> Result<Self> {
        let target = destination(path, overwrite)?;
        let folder = folder(&target);
        fs::create_dir_all(folder)
            .map_err(|cause| Error::io(format!("cannot create the folder {}: {cause}", folder.display())))?;
        Ok(Self { target, overwrite, spill, verify, hash: verify || hash, sections: Vec::new() })
    }

    pub(crate) async fn append(&mut self, section: usize, bytes: Bytes) -> Result<()> {
        if self.sections.len() <= section {
            self.sections.resize_with(section + 1, Section::default);
        }
        let Some(appended) = self.sections.get_mut(section) else { return Ok(()) };
        appended.in_memory += bytes.len() as u64;
        appended.memory.push(bytes);
        let has_spilled = |section: &Section| section.spilled.is_some();
        let allowed = if self.sections.iter().any(has_spilled) { BATCH_BYTES as u64 } else { self.spill };
        if self.sections.iter().map(|section| section.in_memory).sum::<u64>() <= allowed {
            return Ok(());
        }
        match self.sections.iter_mut().max_by_key(|section| section.in_memory) {
            Some(largest) => largest.spill(&self.target).await,
            None => Ok(()),
        }
    }

    pub(crate) async fn publish(self, head: Bytes) -> Result<Published> {
        blocking(move || self.publish_now(&head)).await
    }

    fn publish_now(self, head: &[u8]) -> Result<Published> {
        let mut whole = Temporary::beside(&self.target)?;
        let mut hash = self.hash.then(Sha256::new);
        let mut size = 0;
        let mut put = |whole: &mut Temporary, bytes: &[u8]| {
            if let Some(hash) = &mut hash {
                hash.update(bytes);
            }
            size += bytes.len() as u64;
            whole.write(bytes)
        };
        put(&mut whole, head)?;
        let mut moved = 0;
        for section in self.sections.into_iter().rev() {
            match section.spilled {
                // Within the system, where nobody wants to look at it.
                Some(mut spilled) if !self.hash => moved += spilled.copy_to(&mut whole)?,
                Some(mut spilled) => spilled.each_chunk(&mut |bytes| put(&mut whole, bytes))?,
                None => {}
            }
            for chunk in &section.memory {
                put(&mut whole, chunk)?;
            }
        }
        size += moved;
        let sha256 = hash.map(Sha256::finalize);
        if self.verify {
            let mut again = Sha256::new();
            whole.each_chunk(&mut |bytes: &[u8]| {
                again.update(bytes);
                Ok(())
            })?;
            if Some(again.finalize()) != sha256 {
                return Err(Error::io(format!(
                    "{}: what the disk gives back is not what was written; nothing has been published",
                    self.target.display()
                )));
            }
        }
        whole.publish(&self.target, self.overwrite)?;
        Ok(Published {
            size,
            copied: 0,
            etag: None,
            sha256: sha256.map(|hash| hex(&hash)),
            requests: 0,
            retries: 0,
            verified: self.verify,
            remarks: Vec::new(),
        })
    }
}

/// The file that `path` stands for: what a symbolic link points at.
fn destination(path: &Path, overwrite: bool) -> Result<PathBuf> {
    let shown = path.display();
    match fs::symlink_metadata(path) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => {
            if path.file_name().is_none() || path.as_os_str().to_string_lossy().ends_with('/') {
                return Err(Error::usage(format!("{shown} names no file")));
            }
            Ok(path.to_path_buf())
        }
        // Of a path through something that is not a directory, among others.
        Err(cause) => Err(Error::io(format!("cannot write {shown}: {cause}"))),
        Ok(found) if found.is_dir() => {
            Err(Error::usage(format!("{shown} is a directory; name a file in it")))
        }
        Ok(_) if !overwrite => Err(exists(path)),
        // A link that points nowhere is replaced itself.
        Ok(found) if found.is_symlink() => {
            let target = fs::canonicalize(path).unwrap_or_else(|_dangling| path.to_path_buf());
            match fs::metadata(&target) {
                Ok(found) if !found.is_file() => Err(not_regular(path)),
                _ => Ok(target),
            }
        }
        // Renaming would turn a device such as /dev/null into a file.
        Ok(found) if !found.is_file() => Err(not_regular(path)),
        Ok(_) => Ok(path.to_path_buf()),
    }
}

fn exists(path: &Path) -> Error {
    Error::exists(format!("{} exists; allow overwriting, or choose another name", path.display()))
}

fn not_regular(path: &Path) -> Error {
    Error::usage(format!("{} is not a regular file and cannot be replaced by one", path.display()))
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A file that is removed when it is dropped, unless it has been published.
struct Temporary {
    file: File,
    path: PathBuf,
}

impl Temporary {
    /// A new file `.NAME.<random>.part` in the folder of `target`, and so on its file system. Its permissions are
    /// those of any new file: what the process's umask leaves of 0666.
    fn beside(target: &Path) -> Result<Self> {
        let name = target.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let name = if name.len() > LONG_NAME_BYTES { "cogclip".into() } else { name };
        loop {
            let path = folder(target).join(format!(".{name}.{:016x}.part", random()));
            match OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
                Ok(file) => return Ok(Self { file, path }),
                Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {}
                Err(cause) => return Err(Error::io(format!("cannot write {}: {cause}", path.display()))),
            }
        }
    }

    fn failed(&self, cause: &io::Error) -> Error {
        Error::io(format!("cannot write {}: {cause}", self.path.display()))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|cause| self.failed(&cause))
    }

    /// Appends all that was written to another file; returns how much that is.
    fn copy_to(&mut self, other: &mut Self) -> Result<u64> {
        self.file.seek(SeekFrom::Start(0)).map_err(|cause| self.failed(&cause))?;
        io::copy(&mut self.file, &mut other.file).map_err(|cause| other.failed(&cause))
    }

    /// Hands over all that was written, in order.
    fn each_chunk(&mut self, put: &mut impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut buffer = vec![0; BATCH_BYTES];
        self.file.seek(SeekFrom::Start(0)).map_err(|cause| self.failed(&cause))?;
        loop {
            match self.file.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => put(&buffer[..read])?,
                Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
                Err(cause) => return Err(self.failed(&cause)),
            }
        }
    }

    fn publish(self, target: &Path, overwrite: bool) -> Result<()> {
        let failed = |cause: io::Error| Error::io(format!("cannot write {}: {cause}", target.display()));
        // On disk before it has its name: a crash must not leave a name with half of its bytes.
        self.file.sync_all().map_err(failed)?;
        if overwrite {
            fs::rename(&self.path, target).map_err(failed)?;
        } else {
            match fs::hard_link(&self.path, target) {
                // Dropping it removes the temporary name.
                Ok(()) => {}
                Err(cause) if cause.kind() == ErrorKind::AlreadyExists => return Err(exists(target)),
                Err(_no_hard_links) => self.claim(target)?,
            }
        }
        // So that the name itself survives a crash. Not every system can; the bytes are safe in any case.
        if let Ok(folder) = File::open(folder(target)) {
            drop(folder.sync_all());
        }
        Ok(())
    }

    /// Where there are no hard links (FAT, some network file systems): claims the name with an empty file, which
    /// only one of several writers can, and renames over it. Until then the empty file is visible.
    fn claim(&self, target: &Path) -> Result<()> {
        let failed = |cause: io::Error| {
            if cause.kind() == ErrorKind::AlreadyExists {
                exists(target)
            } else {
                Error::io(format!("cannot write {}: {cause}", target.display()))
            }
        };
        OpenOptions::new().write(true).create_new(true).open(target).map_err(failed)?;
        fs::rename(&self.path, target).map_err(|cause| {
            drop(fs::remove_file(target));
            failed(cause)
        })
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After renaming there is nothing left to remove.
        drop(fs::remove_file(&self.path));
    }
}
