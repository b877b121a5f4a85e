//! Gathers runs of pixels in any order and of any overlap, in bounded memory.

use crate::error::{Error, Result};
use crate::grid::Size;

/// Columns `start..end` of one row. The order of the fields is the order of sorting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub(super) row: u32,
    pub(super) start: u32,
    pub(super) end: u32,
}

/// Work that may still be done.
#[derive(Clone, Copy)]
pub(super) struct Work {
    /// Crossings of edges and rows, and steps along edges.
    pub(super) left: u64,
    /// The window, for the message.
    pub(super) size: Size,
}

impl Work {
    /// Counts some steps.
    pub(super) fn spend(&mut self, steps: u64) -> Result<()> {
        self.left = self.left.checked_sub(steps).ok_or_else(|| self.exhausted())?;
        Ok(())
    }

    /// The error for more work than is left.
    pub(super) fn exhausted(&self) -> Error {
        Error::limit(format!(
            "burning the cutline on a window of {} pixels takes too long (limit mask_work): simplify the cutline or clip \
             a smaller window",
            self.size
        ))
    }
}

/// Spans gathered so far, some of them perhaps overlapping.
///
/// They are sorted and merged whenever their number has doubled, so that many polygons on one place take
/// the memory of the place, not of the polygons.
pub(super) struct Spans {
    kept: Vec<Span>,
    merge_at: usize,
    limit: usize,
    work: Work,
    /// The window: no span reaches beyond it.
    pub(super) size: Size,
}

/// Fewer spans than this are not worth merging early: 48 KiB.
const MERGE_FROM: usize = 4096;

impl Spans {
    pub(super) fn new(size: Size, limit: usize, work: u64) -> Self {
        Self { kept: Vec::new(), merge_at: MERGE_FROM, limit, work: Work { left: work, size }, size }
    }

    /// Counts crossings of edges and rows, or steps along an edge.
    pub(super) fn work(&mut self, steps: u64) -> Result<()> {
        self.work.spend(steps)
    }

    /// Adds columns `start..end` of a row, none if `start >= end`. Both must lie in the window.
    pub(super) fn push(&mut self, row: u32, start: u32, end: u32) -> Result<()> {
        if start >= end {
            return Ok(());
        }
        if let Some(last) = self.kept.last_mut()
            && last.row == row
            && (last.start..=last.end).contains(&start)
        {
            last.end = last.end.max(end);
            return Ok(());
        }
        if self.kept.len() >= self.merge_at {
            self.merge()?;
        }
        self.kept.push(Span { row, start, end });
        Ok(())
    }

    /// All spans by row and column, disjoint and not adjacent.
    pub(super) fn finish(mut self) -> Result<Vec<Span>> {
        self.merge()?;
        Ok(self.kept)
    }

    fn merge(&mut self) -> Result<()> {
        // Stable, because it makes use of what is sorted already: each polygon's rows, and all spans merged
        // before.
        self.kept.sort();
        self.kept.dedup_by(|next, last| {
            let joins = next.row == last.row && next.start <= last.end;
            if joins {
                last.end = last.end.max(next.end);
            }
            joins
        });
        if self.kept.len() > self.limit {
            return Err(Error::limit(format!(
                "the mask of a window of {} pixels has over {} runs of pixels (limit mask_runs): \
                 simplify the cutline or clip a smaller window",
                self.size, self.limit
            )));
        }
        self.merge_at =
            MERGE_FROM.max(self.kept.len().saturating_mul(2)).min(self.limit.saturating_add(MERGE_FROM));
        Ok(())
    }
}
