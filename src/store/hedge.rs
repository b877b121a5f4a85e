//! When a read is slow enough to be asked for a second time.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Reads whose times are remembered.
const REMEMBERED: usize = 64;
/// Reads that must have been timed before any is called slow.
const LEAST_KNOWN: usize = 8;
/// A read is slow when it takes so many times the 95th percentile: of reads of one size, hardly any does by chance.
const TIMES_PERCENTILE: u32 = 3;
/// Nothing below this is slow: one round trip around the world, twice.
pub(crate) const NEVER_BELOW: Duration = Duration::from_millis(200);
/// One read of so many may be asked for twice, so that a server that is slow as a whole is not asked for twice as much.
const ONE_OF: u64 = 20;

/// The times of the reads from one server, and how many of them were asked for twice.
#[derive(Debug, Default)]
pub(crate) struct Hedges(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    times: VecDeque<Duration>,
    reads: u64,
    hedges: u64,
}

impl Hedges {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A read begins.
    pub(crate) fn begin(&self) {
        let mut state = self.state();
        state.reads = state.reads.saturating_add(1);
    }

    /// After what time a read is slow, if that is known yet: it is while the first of many are still under way.
    pub(crate) fn slow(&self) -> Option<Duration> {
        let state = self.state();
        if state.times.len() < LEAST_KNOWN {
            return None;
        }
        let mut times: Vec<_> = state.times.iter().copied().collect();
        drop(state);
        times.sort_unstable();
        // The nearest rank.
        let rank = (times.len() * 95).div_ceil(100);
        let percentile = times.get(rank - 1)?;
        Some(percentile.saturating_mul(TIMES_PERCENTILE).max(NEVER_BELOW))
    }

    /// A read succeeded after `time`.
    pub(crate) fn took(&self, time: Duration) {
        let mut state = self.state();
        if state.times.len() == REMEMBERED {
            state.times.pop_front();
        }
        state.times.push_back(time);
    }

    /// Whether another may be asked for twice; it is counted.
    pub(crate) fn take(&self) -> bool {
        let mut state = self.state();
        let may = state.hedges <= state.reads / ONE_OF;
        state.hedges += u64::from(may);
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_is_three_times_the_percentile() {
        let hedges = Hedges::default();
        for _ in 0..7 {
            hedges.took(Duration::from_millis(10));
        }
        assert_eq!(hedges.slow(), None);
        hedges.took(Duration::from_millis(10));
        assert_eq!(hedges.slow(), Some(Duration::from_millis(200)));
        // 64 times of 1..=64 s: the 61st of them is the 95th percentile.
        for seconds in 1..=64 {
            hedges.took(Duration::from_secs(seconds));
        }
        assert_eq!(hedges.slow(), Some(Duration::from_secs(3 * 61)));
    }

    #[test]
    fn one_of_twenty_and_one_more() {
        let hedges = Hedges::default();
        let mut taken = 0;
        for reads in 1..=1000_u32 {
            hedges.begin();
            while hedges.take() {
                taken += 1;
            }
            assert_eq!(taken, reads / 20 + 1);
        }
    }
}
