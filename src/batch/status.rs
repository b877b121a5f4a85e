//! The record of a batch: one line of JSON for each item that ended, appended as it ends, and read again by a run that resumes.
//!
//! A line is written with one call, so that a process that is killed leaves whole lines; after a crash of the machine the last one
//! may be cut off, which reading allows for.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::error::{Error, Result};

/// Bytes of a line that are taken: longer ones are none of ours.
const MAX_LINE: u64 = 1 << 20;

/// What is known of an item that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The ETag of the source that it was made of.
    pub(crate) source_etag: Option<String>,
    /// SHA-256 of its cutline.
    pub(crate) cutline: Option<String>,
    /// SHA-256 of its options.
    pub(crate) options: Option<String>,
    /// The ETag of its destination.
    pub(crate) etag: Option<String>,
    /// Bytes of its destination.
    pub(crate) size: u64,
}

/// Where lines go. Clones are the same.
#[derive(Clone)]
pub(crate) struct Status {
    out: Arc<Mutex<Box<dyn Write + Send>>>,
}

impl Status {
    /// Lines to `out`.
    pub(crate) fn to(out: Box<dyn Write + Send>) -> Self {
        Self { out: Arc::new(Mutex::new(out)) }
    }

    /// Lines to the end of the file at `path`; a line that was cut off is ended first.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] when it cannot be written.
    pub(crate) fn append(path: &Path) -> Result<Self> {
        let failed = |cause| Error::io(format!("cannot write {}", path.display())).caused_by(cause);
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(failed)?;
        if ends_within_line(&mut file).map_err(failed)? {
            file.write_all(b"\n").map_err(failed)?;
        }
        Ok(Self::to(Box::new(file)))
    }

    /// Writes one line.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] when it cannot be written: without a record, going on would be of no use.
    pub(crate) async fn line(&self, line: &Value) -> Result<()> {
        let mut text = line.to_string();
        text.push('\n');
        let out = Arc::clone(&self.out);
        // Whoever reads the lines may take their time: not on an async thread.
        let written = tokio::task::spawn_blocking(move || {
            let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        });
        let failed = |cause: Box<dyn std::error::Error + Send + Sync>| {
            Error::io("the status could not be written").caused_by(cause)
        };
        written.await.map_err(|cause| failed(cause.into()))?.map_err(|cause| failed(cause.into()))
    }
}

fn ends_within_line(file: &mut File) -> std::io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// The items that a status file knows as done, by their keys: what is said last of an item counts. A file that is not there knows
/// none; a line that is not ours is passed over.
///
/// # Errors
/// [`crate::ErrorKind::Io`] when it cannot be read.
pub(crate) fn read(path: &Path) -> Result<HashMap<u128, Record>> {
    let failed = |cause| Error::io(format!("cannot read {}", path.display())).caused_by(cause);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(HashMap::new()),
        Err(cause) => return Err(failed(cause)),
    };
    let mut reader = BufReader::new(file);
    let mut known = HashMap::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line).map_err(failed)? == 0 {
            return Ok(known);
        }
        let Ok(value) = serde_json::from_slice::<Value>(&line) else { continue };
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let Some(key) = text("key").and_then(|key| u128::from_str_radix(&key, 16).ok()) else { continue };
        if value.get("status").and_then(Value::as_str) == Some("done") {
            let record = Record {
                source_etag: text("source_etag"),
                cutline: text("cutline_sha256"),
                options: text("options_sha256"),
                etag: text("etag"),
                size: value.get("size").and_then(Value::as_u64).unwrap_or(0),
            };
            known.insert(key, record);
        } else {
            known.remove(&key);
        }
    }
}

/// A key as lines hold it.
pub(crate) fn key_text(key: u128) -> String {
    format!("{key:032x}")
}

/// What every line says.
pub(crate) fn head(number: u64, key: u128, status: &str, src: &str, dst: &str) -> Value {
    json!({
        "item": number,
        "key": key_text(key),
        "status": status,
        "src": crate::store::redact(src),
        "dst": crate::store::redact(dst),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("status.jsonl");
        assert!(read(&path).unwrap().is_empty());
        let done = |key: u128, etag: &str| {
            let mut line = head(3, key, "done", "s3://b/k?X=SECRET", "out.tif");
            line["source_etag"] = "\"a\"".into();
            line["cutline_sha256"] = "ff".into();
            line["etag"] = etag.into();
            line["size"] = 7.into();
            line
        };
        let status = Status::append(&path).unwrap();
        status.line(&done(1, "one")).await.unwrap();
        status.line(&done(2, "two")).await.unwrap();
        status.line(&head(4, 2, "failed", "a", "b")).await.unwrap();
        drop(status);
        assert!(!std::fs::read_to_string(&path).unwrap().contains("SECRET"));
        // As a crash may leave it: half a line, and others that are no line of ours.
        let mut text = std::fs::read_to_string(&path).unwrap();
        text += "\n[]\n{\"key\": \"zz\", \"status\": \"done\"}\n{\"item\": 5, \"key\": \"0000";
        std::fs::write(&path, text).unwrap();
        let status = Status::append(&path).unwrap();
        status.line(&done(u128::MAX, "three")).await.unwrap();
        let known = read(&path).unwrap();
        let record = |etag: &str| Record {
            source_etag: Some("\"a\"".into()),
            cutline: Some("ff".into()),
            options: None,
            etag: Some(etag.into()),
            size: 7,
        };
        assert_eq!(known, HashMap::from([(1, record("one")), (u128::MAX, record("three"))]));
    }
}
