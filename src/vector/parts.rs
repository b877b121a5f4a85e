//! Parts of a file.
use std::collections::BTreeMap;

use bytes::Bytes;

/// Parts of a file.
#[derive(Clone, Debug)]
pub struct Parts {
    parts: BTreeMap<u64, Bytes>,
}

impl Parts {
    /// None yet.
    #[must_use]
    pub fn new(_size: u64) -> Self {
        Self { parts: BTreeMap::new() }
    }

    /// Adds.
    pub fn insert(&mut self, offset: u64, bytes: Bytes) {
        self.parts.insert(offset, bytes);
    }
}
