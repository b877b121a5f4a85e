//! One job, for as long as there is time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::Inner;
use super::failure::Failure;
use crate::batch::Item;
use crate::batch::manifest::Row;
use crate::clip::described::place_of;
use crate::clip::selection::Polygons;
use crate::error::{Error, Result};
use crate::layer;
use crate::limits::Limits;
use crate::observe::{Event, Observer};
use crate::sink;
use crate::store::location::Location;
use crate::store::redact;

/// How long before the end work stops, unless something else is said.
const MARGIN: Duration = Duration::from_secs(5);
/// Of the time that there is, at most so much is margin.
const MARGIN_SHARE: u32 = 5;

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Time {
    /// Nothing begins any more, and what is not yet being published is given up.
    stop: Option<Instant>,
    /// What is being published is given up, too.
    last: Option<Instant>,
    /// What was uploaded is no longer waited for to be removed.
    end: Option<Instant>,
    margin: Duration,
}

impl Time {
    /// The time until `deadline`, less a margin.
    pub(super) fn until(deadline: Option<Instant>, margin: Option<Duration>) -> Self {
        let Some(deadline) = deadline else {
            return Self { stop: None, last: None, end: None, margin: Duration::ZERO };
        };
        let now = Instant::now();
        let left = deadline.saturating_duration_since(now);
        let margin = margin.unwrap_or_else(|| MARGIN.min(left / MARGIN_SHARE));
        let before = |margin| deadline.checked_sub(margin).unwrap_or(now);
        Self {
            stop: Some(before(margin)),
            last: Some(before(margin / 2)),
            end: Some(before(margin / 4)),
            margin,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.stop.is_some_and(|stop| Instant::now() >= stop)
    }

    async fn over(&self) {
        match self.stop {
            Some(stop) => tokio::time::sleep_until(stop).await,
            None => std::future::pending().await,
        }
    }

    /// What work comes to by then, if it does.
    async fn by<T>(end: Option<Instant>, work: impl Future<Output = T>) -> Option<T> {
        match end {
            Some(end) => timeout_at(end, work).await.ok(),
            None => Some(work.await),
        }
    }

    /// Waits until what was uploaded has been removed: between events nothing runs.
    async fn settle(&self) {
        let _in_time = Self::by(self.end, sink::settled()).await;
    }
}

/// What the log says of a job beside how it went.
#[derive(Default)]
pub(super) struct Told {
    pub(super) src: Option<String>,
    pub(super) dst: Option<String>,
    /// Bytes of tiles that were fetched, and of outputs that were published.
    pub(super) fetched: u64,
    pub(super) written: u64,
}

/// How far a job is.
#[derive(Default)]
struct Watch {
    is_planned: AtomicBool,
    is_publishing: AtomicBool,
    tiles: AtomicU64,
    made: AtomicU64,
    bytes: AtomicU64,
    fetched: AtomicU64,
    /// Of earlier passes, too.
    fetched_in_all: AtomicU64,
    written: AtomicU64,
}

impl Observer for Watch {
    fn event(&self, event: &Event) {
        let set = |place: &AtomicU64, value| place.store(value, Ordering::Relaxed);
        match event {
            Event::Planned { bytes, output, .. } => {
                set(&self.tiles, *output);
                set(&self.bytes, *bytes);
                self.is_planned.store(true, Ordering::SeqCst);
            }
            Event::Fetched { bytes } => {
                self.fetched.fetch_add(*bytes, Ordering::Relaxed);
                self.fetched_in_all.fetch_add(*bytes, Ordering::Relaxed);
            }
            Event::Encoded { .. } => drop(self.made.fetch_add(1, Ordering::Relaxed)),
            Event::NoDataTaken { .. } => {
                set(&self.made, 0);
                set(&self.fetched, 0);
            }
            Event::Publishing => self.is_publishing.store(true, Ordering::SeqCst),
            Event::Published { bytes } => set(&self.written, *bytes),
            Event::Retried { .. } | Event::Paced { .. } | Event::Hedged { .. } | Event::Output { .. } => {}
        }
    }
}

impl Watch {
    /// What is said of a job that was stopped.
    fn late(&self, margin: Duration) -> Failure {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let far = if self.is_planned.load(Ordering::SeqCst) {
            format!(
                "{} of {} tiles of the output were made, and {} of {} bytes of the source's tiles fetched",
                of(&self.made),
                of(&self.tiles),
                of(&self.fetched),
                of(&self.bytes)
            )
        } else {
            "the header of the source and the cutline were still being read".to_owned()
        };
        Failure::deadline(format!(
            "time ran out, with {:.1} s left to the function: {far}; nothing was published. Give the function more time, or \
             more memory, which brings more processors",
            margin.as_secs_f64()
        ))
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Clip,
    Plan,
}

impl Inner {
    /// Does a job with `share` bytes of memory.
    pub(super) async fn work(
        &self,
        job: Row,
        share: u64,
        time: Time,
        told: &mut Told,
    ) -> Result<Value, Failure> {
        let (action, item) = self.item(job, share, told)?;
        let turn = async {
            let turn = std::sync::Arc::clone(&self.turns).acquire_owned().await;
            turn.map_err(|closed| Error::io("the function is stopping").caused_by(closed))
        };
        let turn: crate::jobs::Turn = tokio::select! {
            biased;
            () = time.over() => return Err(Failure::deadline("time ran out before this job had begun")),
            turn = turn => std::sync::Arc::new(turn?),
        };
        let watch = Watch::default();
        let mut work = match action {
            Action::Clip => self.jobs.clip(item, &watch, turn),
            Action::Plan => self.jobs.plan(item, turn),
        };
        let done = tokio::select! {
            done = &mut work => done.map_err(Failure::from),
            () = time.over() => if watch.is_publishing.load(Ordering::SeqCst) {
                // Half-way nobody would know what became of it.
                if let Some(done) = Time::by(time.last, work).await {
                    done.map_err(Failure::from)
                } else {
                    time.settle().await;
                    Err(Failure::unknown())
                }
            } else {
                drop(work);
                time.settle().await;
                Err(watch.late(time.margin))
            }
        };
        told.fetched = watch.fetched_in_all.load(Ordering::Relaxed);
        told.written = watch.written.load(Ordering::Relaxed);
        done
    }

    /// The item of a job, and what is to be done with it.
    fn item(&self, mut job: Row, share: u64, told: &mut Told) -> Result<(Action, Item)> {
        let action = match job.remove("action") {
            None => Action::Clip,
            Some(Value::String(name)) if name == "clip" => Action::Clip,
            Some(Value::String(name)) if name == "plan" => Action::Plan,
            Some(_) => return Err(Error::usage("action: it is clip or plan")),
        };
        let shown = |name: &str| job.get(name).and_then(Value::as_str).map(redact);
        told.src = shown("src");
        told.dst = shown("dst").filter(|_| action == Action::Clip);
        let mut item = self.jobs.item(&job, action == Action::Plan)?;
        item.options.max_memory = share;
        item.options.limits = Limits::of_memory(share);
        if !self.options.files {
            check_places(action, &item)?;
        }
        Ok((action, item))
    }
}

/// Refuses files of this machine.
fn check_places(action: Action, item: &Item) -> Result<()> {
    let mut places = vec![("src", item.src.clone())];
    match &item.selection.polygons {
        Polygons::Text(text) if !layer::is_inline(text) => places.push(("cutline", text.clone())),
        Polygons::Text(_) | Polygons::Bbox(_) | Polygons::Bytes(..) => {}
    }
    if action == Action::Clip {
        places.push(("dst", item.dst.clone()));
        places.extend(item.stac.iter().map(|place| ("stac", place_of(place, &item.dst))));
    }
    for (name, place) in places {
        if matches!(Location::parse(&place)?, Location::Local(_)) {
            return Err(Error::usage(format!(
                "{name}: {} is a file of the function's own machine; where such are meant, as on EFS, its owner says --allow-files",
                redact(&place)
            )));
        }
    }
    Ok(())
}
