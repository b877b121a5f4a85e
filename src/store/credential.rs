//! Credentials that are fetched: kept, renewed before they expire, and fetched once for all who wait for them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::error::{Error, ErrorKind, Result};

/// How long before they expire credentials are renewed; those that live for less than twice as long are renewed at half time.
const AHEAD: Duration = Duration::from_mins(5);
/// After a renewal that failed, the old credentials are used for so long before the next attempt, if they are still valid.
const PAUSE: Duration = Duration::from_secs(30);

/// What a service has handed out.
#[derive(Clone, Debug)]
pub(crate) struct Fetched<T> {
    pub(crate) value: T,
    /// `None`: it does not expire.
    pub(crate) expires: Option<SystemTime>,
}

impl<T> Fetched<T> {
    /// What lives for `seconds` from now on.
    pub(crate) fn living(value: T, seconds: u64) -> Self {
        Self { value, expires: SystemTime::now().checked_add(Duration::from_secs(seconds)) }
    }
}

/// A place for one credential.
pub(crate) struct Cache<T> {
    entry: Mutex<Option<Entry<T>>>,
    /// Held by the one who fetches; inside, the last failure.
    flight: tokio::sync::Mutex<Option<Failure>>,
}

#[derive(Clone)]
struct Entry<T> {
    value: T,
    expires: Option<SystemTime>,
    /// From when on it is to be renewed. By the clock of the day, as the expiry: a machine that slept has not counted.
    renew: Option<SystemTime>,
    fetched: Instant,
}

struct Failure {
    at: Instant,
    kind: ErrorKind,
    message: String,
}

impl<T: Clone> Cache<T> {
    pub(crate) fn new() -> Self {
        Self { entry: Mutex::new(None), flight: tokio::sync::Mutex::new(None) }
    }

    /// The credential that is kept, or a new one by `fetch`, which is called by one of those who wait. When a renewal fails
    /// while the old credential is still valid, the old one is returned.
    ///
    /// # Errors
    /// That of `fetch`; the same one for all who waited for it.
    pub(crate) async fn get(&self, fetch: impl Future<Output = Result<Fetched<T>>>) -> Result<T> {
        let called = Instant::now();
        let kept = self.kept();
        if let Some(entry) = kept.as_ref().filter(|entry| !past(entry.renew)) {
            return Ok(entry.value.clone());
        }
        let valid =
            |entry: Option<Entry<T>>| entry.filter(|entry| !past(entry.expires)).map(|entry| entry.value);
        let mut flight = match valid(kept) {
            // Somebody is renewing it; meanwhile it is good.
            Some(value) => match self.flight.try_lock() {
                Ok(flight) => flight,
                Err(_) => return Ok(value),
            },
            None => self.flight.lock().await,
        };
        if let Some(entry) = self.kept().filter(|entry| !past(entry.renew)) {
            return Ok(entry.value);
        }
        if let Some(failure) = flight.as_ref().filter(|failure| failure.at >= called) {
            return Err(again(failure));
        }
        match fetch.await {
            Ok(fetched) => {
                *flight = None;
                let entry = Entry {
                    value: fetched.value.clone(),
                    expires: fetched.expires,
                    renew: fetched.expires.map(ahead),
                    fetched: Instant::now(),
                };
                *self.entry.lock().unwrap_or_else(PoisonError::into_inner) = Some(entry);
                Ok(fetched.value)
            }
            Err(error) => {
                if let Some(mut entry) = self.kept().filter(|entry| !past(entry.expires)) {
                    entry.renew = SystemTime::now().checked_add(PAUSE);
                    let value = entry.value.clone();
                    *self.entry.lock().unwrap_or_else(PoisonError::into_inner) = Some(entry);
                    return Ok(value);
                }
                *flight =
                    Some(Failure { at: Instant::now(), kind: error.kind(), message: error.to_string() });
                Err(error)
            }
        }
    }

    /// Forgets what was fetched before `since`. Always true: what is fetched next may differ.
    pub(crate) fn forget(&self, since: Instant) -> bool {
        let mut entry = self.entry.lock().unwrap_or_else(PoisonError::into_inner);
        if entry.as_ref().is_some_and(|entry| entry.fetched < since) {
            *entry = None;
        }
        true
    }

    fn kept(&self) -> Option<Entry<T>> {
        self.entry.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What is kept behind an [`Arc`], so that copies are cheap.
pub(crate) type Shared<T> = Cache<Arc<T>>;

fn past(time: Option<SystemTime>) -> bool {
    time.is_some_and(|time| time <= SystemTime::now())
}

fn ahead(expires: SystemTime) -> SystemTime {
    let left = expires.duration_since(SystemTime::now()).unwrap_or_default();
    expires.checked_sub(AHEAD.min(left / 2)).unwrap_or(expires)
}

fn again(failure: &Failure) -> Error {
    let message = failure.message.clone();
    match failure.kind {
        ErrorKind::Usage => Error::usage(message),
        ErrorKind::Format => Error::format(message),
        ErrorKind::Unsupported => Error::unsupported(message),
        ErrorKind::Limit => Error::limit(message),
        ErrorKind::Io | ErrorKind::Changed | ErrorKind::NoOverlap | ErrorKind::Exists => Error::io(message),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    struct Service {
        calls: AtomicU32,
        lives: Option<Duration>,
        fails: bool,
    }

    impl Service {
        async fn fetch(&self) -> Result<Fetched<u32>> {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let value = self.calls.fetch_add(1, Ordering::SeqCst);
            if self.fails {
                return Err(Error::usage(format!("failure {value}")));
            }
            let expires = self.lives.map(|lives| SystemTime::now() + lives);
            Ok(Fetched { value, expires })
        }
    }

    fn service(lives: Option<u64>, fails: bool) -> Service {
        Service { calls: AtomicU32::new(0), lives: lives.map(Duration::from_millis), fails }
    }

    #[tokio::test]
    async fn many_wait_for_one() {
        let (service, cache) = (service(Some(3_600_000), false), Cache::new());
        let all = (0..50).map(|_| cache.get(service.fetch()));
        assert!(futures::future::join_all(all).await.into_iter().all(|value| value.unwrap() == 0));
        assert_eq!(service.calls.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_failure_is_one_for_all_who_waited_and_not_for_the_next() {
        let (service, cache) = (service(None, true), Cache::<u32>::new());
        let all = (0..50).map(|_| cache.get(service.fetch()));
        for result in futures::future::join_all(all).await {
            let error = result.unwrap_err();
            assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Usage, "failure 0"));
        }
        assert_eq!(cache.get(service.fetch()).await.unwrap_err().to_string(), "failure 1");
    }

    #[tokio::test]
    async fn it_is_renewed_ahead_of_time_and_the_old_one_serves_meanwhile() {
        let cache = Cache::new();
        // Valid for 400 ms: to be renewed after 200 ms.
        let first = service(Some(400), false);
        assert_eq!(cache.get(first.fetch()).await.unwrap(), 0);
        assert_eq!(cache.get(first.fetch()).await.unwrap(), 0);
        tokio::time::sleep(Duration::from_millis(220)).await;
        let failing = service(None, true);
        assert_eq!(cache.get(failing.fetch()).await.unwrap(), 0, "the old one is valid");
        assert_eq!(failing.calls.load(Ordering::SeqCst), 1);
        assert_eq!(cache.get(failing.fetch()).await.unwrap(), 0, "no second attempt at once");
        assert_eq!(failing.calls.load(Ordering::SeqCst), 1);
        assert_eq!(
            ahead(SystemTime::now() + Duration::from_hours(1))
                .duration_since(SystemTime::now())
                .unwrap()
                .as_secs(),
            3299
        );
    }

    #[tokio::test]
    async fn what_was_fetched_before_is_forgotten_and_what_came_after_is_not() {
        let (service, cache) = (service(None, false), Cache::new());
        let before = Instant::now();
        assert_eq!(cache.get(service.fetch()).await.unwrap(), 0);
        assert!(cache.forget(before));
        assert_eq!(cache.get(service.fetch()).await.unwrap(), 0);
        assert!(cache.forget(Instant::now()));
        assert_eq!(cache.get(service.fetch()).await.unwrap(), 1);
    }
}
