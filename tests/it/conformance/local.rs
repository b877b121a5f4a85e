//! A directory of this machine.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::backend::{Backend, Lack, Stranger};
use super::resource::Resource;

/// A directory that is removed when it is dropped.
pub(crate) struct Local {
    folder: tempfile::TempDir,
}

impl Local {
    pub(crate) fn start() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.path().join(key)
    }
}

impl Backend for Local {
    fn uri(&self, key: &str) -> String {
        self.path(key).to_str().unwrap().to_owned()
    }

    fn pairs(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    fn stranger(&self) -> Option<Stranger> {
        None
    }

    fn put(&self, key: &str, bytes: &[u8]) {
        let path = self.path(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn get(&self, key: &str) -> Option<Resource> {
        let path = self.path(key);
        let bytes = std::fs::read(&path).ok()?.into();
        let modified = path.metadata().and_then(|found| found.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        let (etag, metadata) = (String::new(), std::collections::BTreeMap::new());
        Some(Resource { bytes, etag, modified, content_type: None, metadata })
    }

    fn delete(&self, key: &str) {
        drop(std::fs::remove_file(self.path(key)));
    }

    fn leftovers(&self) -> Vec<String> {
        let mut found = Vec::new();
        temporary(self.folder.path(), &mut found);
        found
    }

    fn part_size(&self) -> u64 {
        5000
    }

    fn lacks(&self) -> &'static [Lack] {
        &[
            Lack {
                case: "denied_listing",
                always: true,
                reason: "the tests may run as root, who may read all",
            },
            Lack {
                case: "denied_reading",
                always: true,
                reason: "the tests may run as root, who may read all",
            },
            Lack {
                case: "denied_writing",
                always: true,
                reason: "the tests may run as root, who may write all",
            },
            Lack { case: "content_type", always: true, reason: "a file has no media type" },
            Lack { case: "user_metadata", always: true, reason: "a file has no metadata" },
        ]
    }
}

fn temporary(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            temporary(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "part") {
            found.push(path.display().to_string());
        }
    }
}
