//! What requests have cost.

use std::sync::atomic::{AtomicU64, Ordering};

/// What requests have cost.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Requests that were sent, retries and hedges included.
    pub(crate) requests: AtomicU64,
    /// Requests that repeated an earlier one after it had failed.
    pub(crate) retries: AtomicU64,
    /// Reads that were asked for twice because they took long.
    pub(crate) hedges: AtomicU64,
    /// Bytes of bodies that were returned to the caller.
    pub(crate) bytes: AtomicU64,
}

impl Tally {
    /// One more of a counter.
    pub(crate) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
