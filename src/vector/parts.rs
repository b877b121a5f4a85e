//! A file of which only parts are here.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::Stop;
use crate::error::Error;

/// The parts of a file that have been fetched so far.
#[derive(Clone, Debug)]
pub struct Parts {
    size: u64,
    /// By their offsets; none overlap.
    parts: BTreeMap<u64, Bytes>,
}

impl Parts {
    /// Of a file of so many bytes, of which none are here yet.
    #[must_use]
    pub fn new(size: u64) -> Self {
        Self { size, parts: BTreeMap::new() }
    }

    /// The whole of a file.
    #[must_use]
    pub fn whole(bytes: &Bytes) -> Self {
        let mut parts = Self::new(bytes.len() as u64);
        parts.insert(0, bytes);
        parts
    }

    /// Bytes of the file.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds bytes of the file from `offset` on. What is here already stays as it is.
    pub fn insert(&mut self, offset: u64, bytes: &Bytes) {
        let end = offset.saturating_add(bytes.len() as u64).min(self.size);
        for gap in self.missing(offset..end) {
            let inside =
                |at: u64| usize::try_from(at.saturating_sub(offset)).unwrap_or(usize::MAX).min(bytes.len());
            self.parts.insert(gap.start, bytes.slice(inside(gap.start)..inside(gap.end)));
        }
    }

    /// The ranges within `range` that are not here.
    #[must_use]
    pub fn missing(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let mut missing = Vec::new();
        let mut at = range.start;
        for (start, end) in self.over(&range) {
            if at < start {
                missing.push(at..start);
            }
            at = end;
        }
        if at < range.end {
            missing.push(at..range.end);
        }
        missing
    }

    /// The bytes of `range`; copied only where they came in several parts.
    ///
    /// # Errors
    /// [`Stop::Need`] when they are not all here; [`Stop::Bad`], of [`crate::ErrorKind::Format`], when the file ends
    /// before.
    pub fn get(&self, range: Range<u64>) -> Result<Bytes, Stop> {
        if range.end > self.size || range.start > range.end {
            return Err(Stop::Bad(Error::format(format!(
                "bytes {} to {} are needed of a file of {}; it is cut short",
                range.start, range.end, self.size
            ))));
        }
        let missing = self.missing(range.clone());
        if !missing.is_empty() {
            return Err(Stop::Need(missing));
        }
        let mut pieces = self.over(&range).filter_map(|(start, end)| {
            let (part, bytes) = self.parts.range(..=start).next_back()?;
            let inside = |at: u64| usize::try_from(at.saturating_sub(*part)).ok();
            Some(bytes.slice(inside(start)?..inside(end)?.min(bytes.len())))
        });
        let first = pieces.next().unwrap_or_default();
        let mut rest = pieces.peekable();
        if rest.peek().is_none() {
            return Ok(first);
        }
        let mut all = BytesMut::from(&*first);
        rest.for_each(|piece| all.extend_from_slice(&piece));
        Ok(all.freeze())
    }

    /// What is here of `range`, in order.
    fn over(&self, range: &Range<u64>) -> impl Iterator<Item = (u64, u64)> {
        let Range { start, end } = *range;
        let before = self.parts.range(..start).next_back();
        let within = self.parts.range(start..end.max(start));
        before.into_iter().chain(within).filter_map(move |(at, bytes)| {
            let piece = ((*at).max(start), at.saturating_add(bytes.len() as u64).min(end));
            (piece.0 < piece.1).then_some(piece)
        })
    }
}

/// The ranges in order, those joined that touch or are at most `gap` bytes apart.
pub(super) fn merged(mut ranges: Vec<Range<u64>>, gap: u64) -> Vec<Range<u64>> {
    ranges.sort_unstable_by_key(|range| range.start);
    let mut all: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match all.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(gap) => last.end = last.end.max(range.end),
            _ => all.push(range),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[track_caller]
    fn needs(parts: &Parts, range: Range<u64>, missing: &str) {
        let Err(Stop::Need(ranges)) = parts.get(range) else { panic!("it is there") };
        assert_eq!(format!("{ranges:?}"), missing);
    }

    #[test]
    fn parts_grow_together() {
        let whole = Bytes::from_static(b"0123456789");
        let mut parts = Parts::new(10);
        needs(&parts, 2..5, "[2..5]");
        parts.insert(3, &whole.slice(3..5));
        parts.insert(7, &whole.slice(7..8));
        needs(&parts, 2..9, "[2..3, 5..7, 8..9]");
        assert_eq!(parts.get(3..5).unwrap(), "34");
        assert_eq!(parts.get(4..4).unwrap(), "");
        // Over what is there, and beyond the end
        parts.insert(2, &Bytes::from_static(b"2xx56x89zzz"));
        assert_eq!(parts.get(2..10).unwrap(), "23456789");
        needs(&parts, 0..10, "[0..2]");
        assert!(matches!(parts.get(5..11), Err(Stop::Bad(error)) if error.kind() == ErrorKind::Format));
        assert_eq!(Parts::whole(&whole).get(1..9).unwrap(), "12345678");
    }

    #[test]
    fn near_ranges_are_merged() {
        assert_eq!(merged(vec![20..30, 0..5, 5..8, 10..12, 11..15], 2), [0..15, 20..30]);
    }
}
