//! When to try again, and how long to wait before.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use super::StoreOptions;

/// The retries of one request: exponential backoff with full jitter, so that many readers that failed together
/// do not come back together.
#[derive(Debug)]
pub(crate) struct Retries {
    left: u32,
    deadline: Option<Instant>,
    ceiling: Duration,
    cap: Duration,
}

impl Retries {
    /// Those that `options` allow from now on.
    pub(crate) fn new(options: &StoreOptions) -> Self {
        Self {
            left: options.max_retries,
            deadline: Instant::now().checked_add(options.retry_timeout),
            ceiling: options.backoff_base,
            cap: options.backoff_cap,
        }
    }

    /// How long to wait before the next try; `None` when there is to be none.
    ///
    /// `retry_after` is what the server asked for (RFC 9110 §10.2.3): not less, and not at all when that lies
    /// beyond the time that is left.
    pub(crate) fn next(&mut self, retry_after: Option<Duration>) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        let wait = self.ceiling.min(self.cap).mul_f64(random_fraction());
        self.ceiling = self.ceiling.saturating_mul(2);
        let wait = retry_after.map_or(wait, |asked| asked.max(wait));
        let end = Instant::now().checked_add(wait)?;
        self.deadline.is_none_or(|deadline| end <= deadline).then_some(wait)
    }
}

/// Whether a status is worth another try.
pub(crate) fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

/// The seconds of a Retry-After field (RFC 9110 §10.2.3); `None` for its date form, which needs two clocks to
/// agree.
pub(crate) fn retry_after(value: &str) -> Option<Duration> {
    value.trim().parse().ok().map(Duration::from_secs)
}

/// A number of [0, 1). Not a secret: `RandomState` is seeded by the system and differs for each call.
fn random_fraction() -> f64 {
    #[expect(clippy::cast_possible_truncation, reason = "32 of the 64 bits are plenty")]
    let bits = random() as u32;
    f64::from(bits) / 4_294_967_296.0
}

/// 64 bits that differ from call to call and from process to process.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_cap_and_end() {
        let options = StoreOptions {
            max_retries: 5,
            backoff_base: Duration::from_millis(100),
            backoff_cap: Duration::from_millis(250),
            ..StoreOptions::default()
        };
        let mut retries = Retries::new(&options);
        for ceiling in [100, 200, 250, 250, 250] {
            let wait = retries.next(None).unwrap();
            assert!(wait <= Duration::from_millis(ceiling), "{wait:?} of {ceiling}");
        }
        assert_eq!(retries.next(None), None);
    }

    #[test]
    fn retry_after_is_the_least_wait_and_must_fit() {
        let mut retries = Retries::new(&StoreOptions::default());
        assert_eq!(retries.next(Some(Duration::from_mins(1))), Some(Duration::from_mins(1)));
        assert_eq!(retries.next(Some(Duration::from_hours(1))), None);
        assert_eq!(retry_after(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Fri, 31 Dec 1999 23:59:59 GMT"), None);
    }

    #[test]
    fn random_numbers_differ() {
        assert_ne!(random(), random());
        assert!((0..100).all(|_| (0.0..1.0).contains(&random_fraction())));
    }
}
