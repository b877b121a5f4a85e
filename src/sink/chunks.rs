//! Bytes that wait to become a part.

use std::collections::VecDeque;

use bytes::Bytes;

/// Bytes that came in pieces and are cut at will, without being copied.
#[derive(Default)]
pub(super) struct Chunks {
    chunks: VecDeque<Bytes>,
    /// Bytes of all of them.
    pub(super) len: u64,
}

impl Chunks {
    pub(super) fn push(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.len += bytes.len() as u64;
            self.chunks.push_back(bytes);
        }
    }

    /// The first `len` bytes, or all.
    pub(super) fn take(&mut self, len: u64) -> Vec<Bytes> {
        let mut taken = Vec::new();
        let mut missing = len;
        while missing > 0
            && let Some(mut chunk) = self.chunks.pop_front()
        {
            let cut = usize::try_from(missing).unwrap_or(usize::MAX).min(chunk.len());
            let first = chunk.split_to(cut);
            missing -= cut as u64;
            self.len -= cut as u64;
            taken.push(first);
            if !chunk.is_empty() {
                self.chunks.push_front(chunk);
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_cut_anywhere() {
        let mut chunks = Chunks::default();
        for part in ["ab", "", "cde", "f"] {
            chunks.push(Bytes::from_static(part.as_bytes()));
        }
        assert_eq!(chunks.len, 6);
        assert_eq!(chunks.take(3).concat(), b"abc");
        assert_eq!(chunks.take(0).concat(), b"");
        assert_eq!(chunks.take(9).concat(), b"def");
        assert_eq!(chunks.len, 0);
    }
}
