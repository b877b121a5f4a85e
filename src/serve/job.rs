//! A request for a clip or a plan, from its body to its report.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::metrics::Metrics;
use super::refusal::Refusal;
use super::{Inner, LONGEST_GOODBYE, Service, Told, auth};
use crate::batch::Item;
use crate::batch::manifest::Row;
use crate::clip::described::place_of;
use crate::clip::selection::Polygons;
use crate::error::Result;
use crate::layer;
use crate::observe::{Event, Observer};
use crate::store::redact;

/// How long the body of a request may take.
const BODY: Duration = Duration::from_secs(30);

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Clip,
    Plan,
}

/// Answers a request for a job.
pub(super) async fn answer(State(service): State<Service>, kind: Kind, request: Request) -> Response {
    let mut told = Told::default();
    match work(&service.0, kind, request, &mut told).await {
        Ok(report) => {
            let mut response = axum::Json(report).into_response();
            response.extensions_mut().insert(told);
            response
        }
        Err(refusal) => refusal.logged(told),
    }
}

async fn work(inner: &Arc<Inner>, kind: Kind, request: Request, told: &mut Told) -> Result<Value, Refusal> {
    let options = &inner.options;
    let deadline = Instant::now() + options.timeout;
    auth::check(&options.callers, request.headers())?;
    if !is_json(request.headers()) {
        return Err(Refusal::media_type());
    }
    if inner.draining.is_cancelled() {
        return Err(Refusal::stopping());
    }
    // A place first: the bodies of those that wait are held.
    let place = Arc::clone(&inner.places).try_acquire_owned().map_err(|_full| Refusal::busy())?;
    let job = row(request, options.max_body).await?;
    let item = inner.jobs.item(&job, kind == Kind::Plan)?;
    drop(job);
    told.0.insert("src".to_owned(), logged(&item.src).into());
    if kind == Kind::Clip {
        told.0.insert("dst".to_owned(), logged(&item.dst).into());
    }
    allowed(inner, kind, &item)?;
    let turn = {
        let _waiting = Counted::new(&inner.metrics, |metrics| &metrics.waiting);
        let turn = timeout_at(deadline, Arc::clone(&inner.turns).acquire_owned());
        tokio::select! {
            turn = turn => turn.map_err(|_late| Refusal::timeout())?.map_err(|_closed| Refusal::stopping())?,
            () = inner.giving_up.cancelled() => return Err(Refusal::stopping()),
        }
    };
    run(inner, kind, item, (place, turn), deadline).await
}

/// A location for the log: without secrets, and not as long as a body may be.
fn logged(uri: &str) -> String {
    redact(uri).chars().take(2000).collect()
}

/// Whether the body is said to be JSON (RFC 8259 §11).
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

/// The job that the body is.
async fn row(request: Request, most: usize) -> Result<Row, Refusal> {
    let said =
        request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if said.is_some_and(|said: u64| said > most as u64) {
        return Err(Refusal::too_long(most));
    }
    let body: Body = request.into_body();
    let bytes = timeout(BODY, to_bytes(body, most)).await.map_err(|_late| Refusal::slow())?;
    let bytes = bytes.map_err(|error| {
        let too_long =
            std::error::Error::source(&error).is_some_and(<dyn std::error::Error>::is::<LengthLimitError>);
        if too_long { Refusal::too_long(most) } else { Refusal::body("the body of the request broke off") }
    })?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Refusal::body(&format!("the body is not a JSON object: {error}")))
}

type LengthLimitError = http_body_util::LengthLimitError;

/// Refuses an item that names what is not allowed. Options that would name more places than these, a job cannot have.
fn allowed(inner: &Inner, kind: Kind, item: &Item) -> Result<()> {
    let options = &inner.options;
    // All there is of an item, so that whoever adds a place to it comes by here.
    let Item { src, ifd: _, dst, selection, options: _, sink: _, stac } = item;
    options.sources.check_image("src", src, "--allow-src")?;
    options.addresses.check_location(src).map_err(|error| error.at("src"))?;
    match &selection.polygons {
        Polygons::Text(text) if !layer::is_inline(text) => {
            options.sources.check("cutline", text, "--allow-src")?;
            // Now, before the raster is asked for.
            options.addresses.check_location(text).map_err(|error| error.at("cutline"))?;
        }
        Polygons::Text(_) | Polygons::Bbox(_) | Polygons::Bytes(..) => {}
    }
    if kind == Kind::Clip {
        options.destinations.check("dst", dst, "--allow-dst")?;
        if let Some(place) = stac {
            options.destinations.check("stac", &place_of(place, dst), "--allow-dst")?;
        }
    }
    Ok(())
}

/// Runs an item on a task of its own, so that what is being published goes on if its client goes away.
async fn run(
    inner: &Arc<Inner>,
    kind: Kind,
    item: Item,
    held: (OwnedSemaphorePermit, OwnedSemaphorePermit),
    deadline: Instant,
) -> Result<Value, Refusal> {
    let stop = CancellationToken::new();
    // When this future is dropped, nobody waits for the report.
    let _gone = stop.clone().drop_guard();
    let mut task = tokio::spawn({
        let (inner, stop) = (Arc::clone(inner), stop.clone());
        async move {
            let held: crate::jobs::Turn = Arc::new(held);
            let _running = Counted::new(&inner.metrics, |metrics| &metrics.running);
            let watch = Watch { metrics: &inner.metrics, publishing: AtomicBool::new(false) };
            let mut work = match kind {
                Kind::Clip => inner.jobs.clip(item, &watch, held),
                Kind::Plan => inner.jobs.plan(item, held),
            };
            let is_stopped = async {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = inner.giving_up.cancelled() => {}
                }
            };
            let ended = tokio::select! {
                done = &mut work => Ended::Done(done),
                () = is_stopped => if watch.publishing.load(Ordering::SeqCst) {
                    // Half-way nobody would know what became of it.
                    timeout(LONGEST_GOODBYE, work).await.map_or(Ended::Unknown, Ended::Done)
                } else {
                    Ended::GivenUp
                }
            };
            if inner.giving_up.is_cancelled() && !matches!(ended, Ended::Done(_)) {
                inner.given_up.fetch_add(1, Ordering::SeqCst);
            }
            ended
        }
    });
    let ended = match timeout_at(deadline, &mut task).await {
        Ok(ended) => ended,
        Err(_late) => {
            stop.cancel();
            task.await
        }
    };
    match ended {
        Ok(Ended::Done(Ok(report))) => Ok(report),
        Ok(Ended::Done(Err(error))) => Err(error.into()),
        Ok(Ended::GivenUp) if inner.giving_up.is_cancelled() => Err(Refusal::stopping()),
        Ok(Ended::GivenUp) => Err(Refusal::timeout()),
        Ok(Ended::Unknown) => Err(Refusal::unknown()),
        Err(_panicked) => Err(Refusal::broken()),
    }
}

/// How the work on an item has ended.
enum Ended {
    Done(Result<Value>),
    /// Before anything was published.
    GivenUp,
    /// While it was being published.
    Unknown,
}

/// Counts what a clip tells, and sees when it is being published.
struct Watch<'a> {
    metrics: &'a Metrics,
    publishing: AtomicBool,
}

impl Observer for Watch<'_> {
    fn event(&self, event: &Event) {
        if *event == Event::Publishing {
            self.publishing.store(true, Ordering::SeqCst);
        }
        self.metrics.count(event);
    }
}

/// One more in a gauge, until it is dropped.
struct Counted<'a>(&'a prometheus_client::metrics::gauge::Gauge);

impl<'a> Counted<'a> {
    fn new(
        metrics: &'a Metrics,
        gauge: impl FnOnce(&'a Metrics) -> &'a prometheus_client::metrics::gauge::Gauge,
    ) -> Self {
        let gauge = gauge(metrics);
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}
