//! Figures for Prometheus, in the text format of OpenMetrics 1.0.

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::observe::Event;

/// What the text is.
pub(super) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Bounds of durations in seconds: of a plan from memory to a clip of minutes.
const SECONDS: [f64; 12] = [0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

/// The figures of a service.
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    seconds: Family<Route, Histogram, fn() -> Histogram>,
    /// Requests that are not answered yet.
    pub(super) in_flight: Gauge,
    /// Jobs at work.
    pub(super) running: Gauge,
    /// Jobs that wait for their turn.
    pub(super) waiting: Gauge,
    fetched: Counter,
    written: Counter,
    retries: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: &'static str,
    status: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: &'static str,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let seconds: fn() -> Histogram = || Histogram::new(SECONDS);
        let own = Self {
            registry: Registry::with_prefix("cogclip"),
            requests: Family::default(),
            seconds: Family::new_with_constructor(seconds),
            in_flight: Gauge::default(),
            running: Gauge::default(),
            waiting: Gauge::default(),
            fetched: Counter::default(),
            written: Counter::default(),
            retries: Counter::default(),
        };
        let mut registry = Registry::with_prefix("cogclip");
        registry.register(
            "requests",
            "Requests by path and status; 499: the client went away",
            own.requests.clone(),
        );
        registry.register_with_unit(
            "request_duration",
            "How long requests took",
            Unit::Seconds,
            own.seconds.clone(),
        );
        registry.register("requests_in_flight", "Requests that are not answered yet", own.in_flight.clone());
        registry.register("jobs_running", "Clips and plans at work", own.running.clone());
        registry.register("jobs_waiting", "Clips and plans that wait for their turn", own.waiting.clone());
        registry.register_with_unit("fetched", "Tiles that were fetched", Unit::Bytes, own.fetched.clone());
        registry.register_with_unit(
            "written",
            "Outputs that were published",
            Unit::Bytes,
            own.written.clone(),
        );
        registry.register("retries", "Requests to stores that were sent again", own.retries.clone());
        Self { registry, ..own }
    }

    pub(super) fn request(&self, route: &'static str, status: u16, took: Duration) {
        self.requests.get_or_create(&Answered { route, status: status.into() }).inc();
        self.seconds.get_or_create(&Route { route }).observe(took.as_secs_f64());
    }

    pub(super) fn count(&self, event: &Event) {
        match event {
            Event::Fetched { bytes } => {
                self.fetched.inc_by(*bytes);
            }
            Event::Published { bytes } => {
                self.written.inc_by(*bytes);
            }
            Event::Retried { .. } => {
                self.retries.inc();
            }
            Event::Planned { .. }
            | Event::Encoded { .. }
            | Event::NoDataTaken { .. }
            | Event::Paced { .. }
            | Event::Hedged { .. }
            | Event::Publishing
            | Event::Output { .. } => {}
        }
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
