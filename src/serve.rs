//! Clips and plans over HTTP: who may ask, for what, how many at a time, and how it ends.
//!
//! A job is the JSON object that is a row of a batch. Nothing can be read or written that no prefix allows, files of this machine
//! never; what a job's web servers resolve to is judged by [`AddressPolicy`]. A job is published whole or not
//! at all, whatever becomes of its request.

mod allow;
mod auth;
mod job;
mod metrics;
mod openapi;
mod refusal;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub use allow::AllowList;
pub use auth::{Callers, Tokens};

use crate::error::Result;
use crate::jobs::Jobs;
use crate::observe::{Event, Observer};
use crate::store::address::AddressPolicy;
use job::Kind;
use metrics::Metrics;
use refusal::Refusal;

/// How long the head of a request may take, and how long a connection may wait for the next one: longer than load balancers keep
/// theirs, so that it is they who close.
const HEAD: Duration = Duration::from_secs(75);
/// Connections at a time; more wait to be accepted.
const CONNECTIONS: usize = 1024;
/// Bytes of the head of a request.
const HEAD_BYTES: usize = 64 << 10;
/// How long an output that is being published when its job must end is given.
const LONGEST_GOODBYE: Duration = Duration::from_secs(10);

/// How a service is run.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// What may be read.
    pub sources: AllowList,
    /// What may be written.
    pub destinations: AllowList,
    /// At which addresses web servers may be. Whoever does the jobs holds them to it, too, as they connect: see [`AddressPolicy`].
    pub addresses: AddressPolicy,
    /// Who may ask.
    pub callers: Callers,
    /// Jobs at a time.
    pub concurrency: usize,
    /// Further jobs that wait for their turn; more are refused with 503.
    pub queue: usize,
    /// Bytes of the body of a request.
    pub max_body: usize,
    /// How long a job may take, waiting included.
    pub timeout: Duration,
    /// How long jobs that have begun are given to end when the service is to stop.
    pub grace: Duration,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            sources: AllowList::default(),
            destinations: AllowList::default(),
            addresses: AddressPolicy::default(),
            callers: Callers::default(),
            concurrency: 8,
            queue: 64,
            max_body: 1 << 20,
            timeout: Duration::from_mins(5),
            grace: Duration::from_secs(8),
        }
    }
}

/// Jobs whose options are in the OpenAPI document.
pub trait Documented: Jobs {
    /// The JSON Schemas of the options of a job by their names, `src` and `dst` aside.
    fn options(&self) -> Map<String, Value>;
}

/// Takes a line of the log: an object of JSON.
pub type Log = dyn Fn(&Value) + Send + Sync;

/// A service. Clones are one.
#[derive(Clone)]
pub struct Service(Arc<Inner>);

struct Inner {
    options: ServeOptions,
    jobs: Arc<dyn Documented>,
    log: Box<Log>,
    metrics: Arc<Metrics>,
    /// Places for jobs, those that wait included.
    places: Arc<Semaphore>,
    /// Turns: jobs that run.
    turns: Arc<Semaphore>,
    document: String,
    /// Nothing more is begun.
    draining: CancellationToken,
    /// What has begun is given up.
    giving_up: CancellationToken,
    /// Jobs of which that is true.
    given_up: AtomicUsize,
}

/// How a service has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Jobs that were given up, since they took longer than the grace that they were given.
    pub given_up: usize,
}

/// What the log says of a request beside how it went.
#[derive(Clone, Default)]
struct Told(Map<String, Value>);

impl Service {
    /// A service; `log` is told of each request. `jobs` makes who does its jobs, of what counts the retries of its stores
    /// ([`crate::StoreOptions::observer`]).
    ///
    /// # Errors
    /// What `jobs` says.
    pub fn new<J: Documented>(
        options: ServeOptions,
        log: Box<Log>,
        jobs: impl FnOnce(Arc<dyn Observer>) -> Result<Arc<J>>,
    ) -> Result<Self> {
        let metrics = Arc::new(Metrics::new());
        let jobs = jobs(Arc::clone(&metrics) as _)?;
        let document = openapi::document(&options, jobs.options()).to_string();
        Ok(Self(Arc::new(Inner {
            places: Arc::new(Semaphore::new(options.concurrency.saturating_add(options.queue))),
            turns: Arc::new(Semaphore::new(options.concurrency)),
            metrics,
            draining: CancellationToken::new(),
            giving_up: CancellationToken::new(),
            given_up: AtomicUsize::new(0),
            options,
            jobs,
            log,
            document,
        })))
    }

    /// Answers requests to `listener` until `stop` ends, and what has begun then as far as the grace allows.
    pub async fn run(self, listener: TcpListener, stop: impl Future<Output = ()>) -> Drained {
        let graceful = GracefulShutdown::new();
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_header_size(HEAD_BYTES);
        let router = TowerToHyperService::new(self.router());
        let connections = Arc::new(Semaphore::new(CONNECTIONS));
        let mut stop = std::pin::pin!(stop);
        loop {
            let next = async {
                let place = Arc::clone(&connections).acquire_owned().await;
                (place, listener.accept().await)
            };
            let (place, accepted) = tokio::select! {
                next = next => next,
                () = &mut stop => break,
            };
            let Ok((stream, _)) = accepted else {
                // Of one connection, or of too many open files, which passes.
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            drop(stream.set_nodelay(true));
            let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), router.clone()));
            tokio::spawn(async move {
                // How it ended is the client's affair.
                drop(connection.await);
                drop(place);
            });
        }
        drop(listener);
        self.drain(graceful).await
    }

    async fn drain(self, graceful: GracefulShutdown) -> Drained {
        let inner = &*self.0;
        inner.draining.cancel();
        let mut ended = std::pin::pin!(graceful.shutdown());
        if tokio::time::timeout(inner.options.grace, &mut ended).await.is_ok() {
            return Drained { given_up: 0 };
        }
        inner.giving_up.cancel();
        // Those that are being published end; the others say that they were given up.
        drop(tokio::time::timeout(LONGEST_GOODBYE.saturating_add(Duration::from_secs(1)), ended).await);
        Drained { given_up: inner.given_up.load(Ordering::SeqCst) }
    }

    fn router(&self) -> Router {
        Router::new()
            .route(
                "/clip",
                post(|state: State<Self>, request: Request| job::answer(state, Kind::Clip, request)),
            )
            .route(
                "/plan",
                post(|state: State<Self>, request: Request| job::answer(state, Kind::Plan, request)),
            )
            .route("/healthz", get(healthy))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics_text))
            .route("/openapi.json", get(document))
            .method_not_allowed_fallback(|| async { Refusal::method() })
            .fallback(|| async { Refusal::path() })
            .layer(middleware::from_fn_with_state(self.clone(), watched))
            .with_state(self.clone())
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("options", &self.0.options).finish_non_exhaustive()
    }
}

async fn healthy() -> Response {
    axum::Json(json!({ "status": "ok" })).into_response()
}

async fn ready(State(service): State<Service>) -> Response {
    if service.0.draining.is_cancelled() {
        return Refusal::stopping().into_response();
    }
    axum::Json(json!({ "status": "ok" })).into_response()
}

async fn metrics_text(State(service): State<Service>, request: Request) -> Response {
    if let Err(refusal) = auth::check(&service.0.options.callers, request.headers()) {
        return refusal.into_response();
    }
    ([(header::CONTENT_TYPE, metrics::MEDIA_TYPE)], service.0.metrics.text()).into_response()
}

async fn document(State(service): State<Service>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], service.0.document.clone()).into_response()
}

/// Counts a request and writes its line, also when its client goes away before it is answered.
async fn watched(State(service): State<Service>, request: Request, next: Next) -> Response {
    let route = match request.extensions().get::<MatchedPath>().map(MatchedPath::as_str) {
        Some("/clip") => "/clip",
        Some("/plan") => "/plan",
        Some("/healthz") => "/healthz",
        Some("/readyz") => "/readyz",
        Some("/metrics") => "/metrics",
        Some("/openapi.json") => "/openapi.json",
        // What was asked for may be anything, a secret too.
        _ => "other",
    };
    let id = request.headers().get("x-request-id").and_then(identifier);
    let mut line = Line {
        service: service.clone(),
        method: request.method().clone(),
        route,
        id,
        began: Instant::now(),
        answered: None,
    };
    service.0.metrics.in_flight.inc();
    let mut response = next.run(request).await;
    let told = response.extensions_mut().remove::<Told>().unwrap_or_default();
    line.answered = Some((response.status(), told));
    // Nothing that comes back is for caches.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A name that a client gave its request, when it is one.
fn identifier(value: &HeaderValue) -> Option<String> {
    let text = value.to_str().ok()?;
    let is_name = (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    is_name.then(|| text.to_owned())
}

/// A line of the log, which is written when the request has ended.
struct Line {
    service: Service,
    method: Method,
    route: &'static str,
    id: Option<String>,
    began: Instant,
    answered: Option<(StatusCode, Told)>,
}

impl Drop for Line {
    fn drop(&mut self) {
        let metrics = &self.service.0.metrics;
        let (status, told) = match self.answered.take() {
            Some((status, told)) => (status.as_u16(), told),
            // As nginx counts a client that closed.
            None => (499, Told::default()),
        };
        let took = self.began.elapsed();
        metrics.in_flight.dec();
        metrics.request(self.route, status, took);
        let severity = match status {
            500.. => "ERROR",
            400.. => "WARNING",
            _ => "INFO",
        };
        let mut line = json!({
            "time": chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now()).to_rfc3339(),
            "severity": severity,
            "message": format!("{} {} {status}", self.method, self.route),
            "method": self.method.as_str(),
            "route": self.route,
            "status": status,
            "milliseconds": (took.as_secs_f64() * 1e6).round() / 1e3,
        });
        if let Some(id) = self.id.take() {
            line["request_id"] = id.into();
        }
        if let Value::Object(line) = &mut line {
            line.extend(told.0);
        }
        (self.service.0.log)(&line);
    }
}

impl Observer for Metrics {
    fn event(&self, event: &Event) {
        self.count(event);
    }
}
