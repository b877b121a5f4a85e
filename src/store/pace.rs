//! How many requests are in flight to one server: fewer when it says that they are too many.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::StoreOptions;
use crate::observe::{Event, Observer};

/// The cap on the requests in flight to one server. An answer that says "too many" (429, 503) halves it; as many successes as
/// it allows at once raise it by one (additive increase, multiplicative decrease, as in TCP: RFC 5681 §3.1).
pub(crate) struct Pace {
    slots: Semaphore,
    state: Mutex<State>,
    most: usize,
    /// The longest that one Retry-After holds back the others.
    longest_wait: Duration,
    server: String,
    observer: Arc<dyn Observer>,
}

struct State {
    cap: usize,
    /// Slots that are still taken and do not come back, since the cap has sunk below them.
    debt: usize,
    /// Successes since the cap last changed.
    successes: usize,
    /// How often the cap was halved: what was sent before the last time does not halve it again.
    halvings: u64,
    /// Until when the server asked to be left alone.
    not_before: Option<Instant>,
}

/// The right to have one request in flight.
pub(crate) struct Permit<'a> {
    pace: &'a Pace,
    slot: Option<SemaphorePermit<'a>>,
    halvings: u64,
}

impl Pace {
    /// For the server of that name.
    pub(crate) fn new(options: &StoreOptions, server: String) -> Self {
        let most = options.in_flight.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            slots: Semaphore::new(most),
            state: Mutex::new(State { cap: most, debt: 0, successes: 0, halvings: 0, not_before: None }),
            most,
            longest_wait: options.retry_timeout,
            server,
            observer: Arc::clone(&options.observer),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for its turn, first come, first served. To drop the future is to leave the queue.
    pub(crate) async fn permit(&self) -> Permit<'_> {
        loop {
            // Nothing is in flight while it waits, so that it takes no slot.
            let until = self.state().not_before;
            if let Some(until) = until {
                tokio::time::sleep_until(until).await;
            }
            // The semaphore is never closed; were it, there would be no cap.
            let slot = self.slots.acquire().await.ok();
            if let Some(permit) = self.admit(slot) {
                return permit;
            }
        }
    }

    /// A permit if one is free right now.
    pub(crate) fn try_permit(&self) -> Option<Permit<'_>> {
        self.admit(Some(self.slots.try_acquire().ok()?))
    }

    /// The permit for a slot, unless the server asked to be left alone in the meantime.
    fn admit<'a>(&'a self, slot: Option<SemaphorePermit<'a>>) -> Option<Permit<'a>> {
        let mut state = self.state();
        let permit = Permit { pace: self, slot, halvings: state.halvings };
        let held_back = state.not_before.is_some_and(|until| Instant::now() < until);
        if !held_back {
            state.not_before = None;
        }
        // Before a permit is dropped, which takes the lock.
        drop(state);
        (!held_back).then_some(permit)
    }

    /// The cap as it is.
    #[cfg(test)]
    pub(crate) fn cap(&self) -> usize {
        self.state().cap
    }

    fn tell(&self, in_flight: usize) {
        self.observer.event(&Event::Paced { server: self.server.clone(), in_flight });
    }
}

impl Permit<'_> {
    /// The server took the request.
    pub(crate) fn succeeded(&self) {
        let mut state = self.pace.state();
        let State { cap, debt, successes, halvings, .. } = &mut *state;
        if self.halvings != *halvings || *cap >= self.pace.most {
            return;
        }
        *successes += 1;
        if *successes < *cap {
            return;
        }
        *successes = 0;
        *cap += 1;
        if *debt > 0 {
            *debt -= 1;
        } else {
            self.pace.slots.add_permits(1);
        }
        let recovered = *cap == self.pace.most;
        drop(state);
        if recovered {
            self.pace.tell(self.pace.most);
        }
    }

    /// The server said that requests are too many, and how long it wants to be left alone.
    pub(crate) fn refused(&self, asked: Option<Duration>) {
        let mut state = self.pace.state();
        if let Some(asked) = asked {
            let until = Instant::now().checked_add(asked.min(self.pace.longest_wait));
            state.not_before = state.not_before.max(until);
        }
        if self.halvings != state.halvings {
            return;
        }
        state.halvings += 1;
        state.successes = 0;
        let lower = (state.cap / 2).max(1);
        let surplus = state.cap - lower;
        if surplus == 0 {
            return;
        }
        state.cap = lower;
        state.debt += surplus - self.pace.slots.forget_permits(surplus);
        drop(state);
        self.pace.tell(lower);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut state = self.pace.state();
        if state.debt > 0
            && let Some(slot) = self.slot.take()
        {
            state.debt -= 1;
            slot.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Paces(Mutex<Vec<usize>>);

    impl Observer for Paces {
        fn event(&self, event: &Event) {
            if let Event::Paced { server, in_flight } = event {
                assert_eq!(server, "h:1");
                self.0.lock().unwrap().push(*in_flight);
            }
        }
    }

    fn paced(in_flight: usize) -> (Arc<Pace>, Arc<Paces>) {
        let seen = Arc::new(Paces::default());
        let options = StoreOptions { in_flight, observer: Arc::clone(&seen) as _, ..StoreOptions::default() };
        (Arc::new(Pace::new(&options, "h:1".into())), seen)
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_halves_once_and_successes_bring_it_back() {
        let (pace, seen) = paced(8);
        let mut burst = Vec::new();
        for _ in 0..8 {
            burst.push(pace.permit().await);
        }
        assert!(pace.try_permit().is_none());
        for permit in &burst {
            permit.refused(None);
        }
        assert_eq!(pace.cap(), 4);
        // An old success does not count.
        burst[0].succeeded();
        // Four of the eight are still above the cap.
        burst.truncate(4);
        assert!(pace.try_permit().is_none());
        burst.truncate(3);
        let next = pace.try_permit().unwrap();
        assert!(pace.try_permit().is_none());
        next.refused(None);
        drop((burst, next));
        assert_eq!(pace.cap(), 2);
        for successes in [2, 3, 4, 5, 6, 7] {
            for _ in 0..successes {
                assert_eq!(pace.cap(), successes);
                pace.permit().await.succeeded();
            }
        }
        assert_eq!(pace.cap(), 8);
        pace.permit().await.succeeded();
        assert_eq!(*seen.0.lock().unwrap(), [4, 2, 8]);
        let all: Vec<_> = std::iter::from_fn(|| pace.try_permit()).collect();
        assert_eq!(all.len(), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn one_is_the_least() {
        let (pace, seen) = paced(0);
        for _ in 0..3 {
            pace.permit().await.refused(None);
        }
        assert_eq!(pace.cap(), 1);
        assert!(seen.0.lock().unwrap().is_empty());
        assert!(pace.try_permit().is_some());
    }

    /// Counts the requests in flight, also those that are given up.
    struct Active<'a>(&'a AtomicUsize);

    impl Drop for Active<'_> {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_cap_holds_while_it_changes_and_some_give_up() {
        let (pace, _) = paced(16);
        let active = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..300_u64)
            .map(|n| {
                let (pace, active) = (Arc::clone(&pace), Arc::clone(&active));
                tokio::spawn(async move {
                    let work = async {
                        let permit = pace.permit().await;
                        assert!(active.fetch_add(1, Ordering::SeqCst) < 16);
                        let _active = Active(&active);
                        tokio::time::sleep(Duration::from_millis(n % 7)).await;
                        if n % 11 == 0 { permit.refused(None) } else { permit.succeeded() }
                    };
                    // Some leave the queue before their turn, some while they are at it.
                    let patience = Duration::from_millis(if n % 5 == 0 { n % 13 } else { 60_000 });
                    tokio::time::timeout(patience, work).await.is_ok()
                })
            })
            .collect();
        let mut done = 0;
        for task in tasks {
            done += u32::from(task.await.unwrap());
        }
        assert!((240..300).contains(&done), "{done}");
        assert_eq!(active.load(Ordering::SeqCst), 0);
        let cap = pace.cap();
        let free: Vec<_> = std::iter::from_fn(|| pace.try_permit()).collect();
        assert_eq!(free.len(), cap);
    }

    #[tokio::test(start_paused = true)]
    async fn retry_after_holds_back_the_others() {
        let (pace, _) = paced(4);
        let began = Instant::now();
        pace.permit().await.refused(Some(Duration::from_secs(7)));
        assert!(pace.try_permit().is_none());
        drop(pace.permit().await);
        let waited = began.elapsed();
        assert!((Duration::from_secs(7)..Duration::from_secs(8)).contains(&waited), "{waited:?}");
        // Not longer than retries last.
        pace.permit().await.refused(Some(Duration::MAX));
        let began = Instant::now();
        drop(pace.permit().await);
        assert!(began.elapsed() < Duration::from_secs(182));
    }
}
