//! When to try again, and how long to wait before.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::StoreOptions;

/// Tokens of a full bucket at least: what AWS's SDKs start with. It pays for a hundred retries beyond those that successes pay for.
pub(crate) const TOKENS: u32 = 500;
/// What a retry costs, as in AWS's SDKs: with what a success returns, a server may fail one request of six for ever.
pub(crate) const TOKENS_OF_A_RETRY: u32 = 5;
/// What a success at the first try returns, as in AWS's SDKs.
pub(crate) const TOKENS_OF_A_SUCCESS: u32 = 1;

/// The retries of one request: exponential backoff with full jitter, so that many readers that failed together
/// do not come back together.
#[derive(Debug)]
pub(crate) struct Retries {
    left: u32,
    deadline: Option<Instant>,
    ceiling: Duration,
    cap: Duration,
}

/// Why there is no further try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// All tries are used up.
    Tries,
    /// The time is used up, or would be after the wait.
    Time,
    /// The server asked for a wait that lies beyond the time that is left.
    Asked(Duration),
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

    /// How long to wait before the next try, or why there is to be none.
    ///
    /// `retry_after` is what the server asked for (RFC 9110 §10.2.3): not less, and not at all when that lies
    /// beyond the time that is left.
    pub(crate) fn wait(&mut self, retry_after: Option<Duration>) -> Result<Duration, End> {
        self.left = self.left.checked_sub(1).ok_or(End::Tries)?;
        let wait = self.ceiling.min(self.cap).mul_f64(random_fraction());
        self.ceiling = self.ceiling.saturating_mul(2);
        let (wait, end) = match retry_after {
            Some(asked) if asked > wait => (asked, End::Asked(asked)),
            _ => (wait, End::Time),
        };
        let until = Instant::now().checked_add(wait).ok_or(end)?;
        if self.deadline.is_none_or(|deadline| until <= deadline) { Ok(wait) } else { Err(end) }
    }
}

/// What keeps the retries of many requests to a server that fails from becoming its load: a bucket that every retry takes from,
/// and every success at the first try gives back to.
#[derive(Debug)]
pub(crate) struct Tokens {
    left: Mutex<u32>,
    most: u32,
}

impl Tokens {
    /// A full bucket that lets so many requests at once be tried again as often as they may: else one bad second of a server
    /// would end all that is in flight.
    pub(crate) fn of(options: &StoreOptions) -> Self {
        let at_once = u32::try_from(options.in_flight).unwrap_or(u32::MAX);
        let most = at_once.saturating_mul(options.max_retries).saturating_mul(TOKENS_OF_A_RETRY);
        Self::new(most.max(TOKENS))
    }

    /// A full bucket of so many.
    pub(crate) fn new(most: u32) -> Self {
        Self { left: Mutex::new(most), most }
    }

    /// Takes what a retry costs; whether that much was there.
    pub(crate) fn take(&self) -> bool {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = left.checked_sub(TOKENS_OF_A_RETRY);
        *left = rest.unwrap_or(*left);
        rest.is_some()
    }

    /// Gives back what a success is worth.
    pub(crate) fn give(&self) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        *left = left.saturating_add(TOKENS_OF_A_SUCCESS).min(self.most);
    }
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
            let wait = retries.wait(None).unwrap();
            assert!(wait <= Duration::from_millis(ceiling), "{wait:?} of {ceiling}");
        }
        assert_eq!(retries.wait(None), Err(End::Tries));
    }

    #[test]
    fn jitter_is_full() {
        // Of 200 waits of a uniform [0, 100) ms, all above 50 or all below 50 comes up once in 2^199.
        let options = StoreOptions { max_retries: 1, ..StoreOptions::default() };
        let waits: Vec<_> = (0..200).map(|_| Retries::new(&options).wait(None).unwrap()).collect();
        let half = Duration::from_millis(50);
        assert!(waits.iter().any(|wait| *wait < half) && waits.iter().any(|wait| *wait >= half));
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_ends() {
        let mut retries = Retries::new(&StoreOptions::default());
        tokio::time::advance(Duration::from_secs(179)).await;
        assert!(retries.wait(None).is_ok());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(retries.wait(None), Err(End::Time));
    }

    #[test]
    fn retry_after_is_the_least_wait_and_must_fit() {
        let mut retries = Retries::new(&StoreOptions::default());
        let (minute, hour) = (Duration::from_mins(1), Duration::from_hours(1));
        assert_eq!(retries.wait(Some(minute)), Ok(minute));
        assert_eq!(retries.wait(Some(hour)), Err(End::Asked(hour)));
        assert_eq!(retries.wait(Some(Duration::MAX)), Err(End::Asked(Duration::MAX)));
    }

    #[test]
    fn tokens_pay_for_a_hundred_retries() {
        let tokens = Tokens::new(TOKENS);
        assert_eq!((0..200).filter(|_| tokens.take()).count(), 100);
        (0..4).for_each(|_| tokens.give());
        assert!(!tokens.take());
        tokens.give();
        assert!(tokens.take());
        (0..1000).for_each(|_| tokens.give());
        assert_eq!((0..200).filter(|_| tokens.take()).count(), 100);
    }

    #[test]
    fn random_numbers_differ() {
        assert_ne!(random(), random());
        assert!((0..100).all(|_| (0.0..1.0).contains(&random_fraction())));
    }
}
