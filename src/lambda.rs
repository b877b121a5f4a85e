//! AWS Lambda: the binary is its own runtime, and an event is a job or a batch of jobs.
//!
//! The Runtime API is HTTP/1.1 within the machine; `lambda/api.rs` speaks it. A job is the JSON object that is a row of a batch. It is
//! published whole or not at all, and stopped in time to say how far it was.

mod answer;
mod api;
mod event;
#[cfg(test)]
mod event_tests;
mod failure;
mod template;
mod work;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

pub use template::Template;

use crate::batch::manifest::Row;
use crate::error::{Error, Result};
use crate::jobs::Jobs;
use answer::fitted;
use api::{Api, Invocation};
use event::{Event, Message, Notice};
use failure::Failure;
use work::{Time, Told};

/// How a function is run.
#[derive(Clone, Debug)]
pub struct LambdaOptions {
    /// Jobs of an event that are done at a time.
    pub concurrency: usize,
    /// Bytes of memory of all jobs of an event together.
    pub memory: u64,
    /// How long before the function's time is up its jobs are stopped; `None` for 5 s, or a fifth of the time where that is less.
    pub margin: Option<Duration>,
    /// Whether jobs may name files of this machine.
    pub files: bool,
    /// The job of a new object of S3.
    pub template: Option<Template>,
}

/// How much a line of the log matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// How it went.
    Info,
    /// What has been left out.
    Warn,
    /// What failed.
    Error,
}

/// Takes a line of the log: an object of JSON.
pub type Log = dyn Fn(Level, &Map<String, Value>) + Send + Sync;

/// A function of Lambda.
pub struct Function(Inner);

struct Inner {
    options: LambdaOptions,
    jobs: Arc<dyn Jobs>,
    log: Box<Log>,
    /// Jobs that run, those that have been given up and still plan included.
    turns: Arc<Semaphore>,
    /// Whether a job has been done.
    is_warm: AtomicBool,
}

/// Tells the Runtime API at `api` that the function cannot be started.
///
/// # Errors
/// [`crate::ErrorKind::Io`] when it cannot be told.
pub async fn cannot_start(api: &str, error: Error) -> Result<()> {
    Api::new(api)?.fail_to_start(&error.into()).await
}

impl Function {
    /// A function that does `jobs` and writes its log to `log`.
    #[must_use]
    pub fn new(options: LambdaOptions, jobs: Arc<dyn Jobs>, log: Box<Log>) -> Self {
        let turns = Arc::new(Semaphore::new(options.concurrency.max(1)));
        Self(Inner { options, jobs, log, turns, is_warm: AtomicBool::new(false) })
    }

    /// Takes events from the Runtime API at `api`, one after the other, for as long as there is one.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] when the API is gone; [`crate::ErrorKind::Usage`] when `api` is no address.
    pub async fn run(&self, api: &str) -> Result<()> {
        let mut api = Api::new(api)?;
        loop {
            let invocation = api.next().await?;
            let told = match self.0.answer(&invocation).await {
                Ok(answer) => api.respond(&invocation.id, &answer).await,
                Err(failure) => api.fail(&invocation.id, &failure).await,
            };
            if let Err(error) = told {
                let mut line = about(&invocation);
                line.insert("message".to_owned(), error.with_causes().into());
                (self.0.log)(Level::Error, &line);
            }
        }
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function").field("options", &self.0.options).finish_non_exhaustive()
    }
}

/// What every line about an event has.
fn about(invocation: &Invocation) -> Map<String, Value> {
    let mut line = Map::new();
    line.insert("requestId".to_owned(), invocation.id.clone().into());
    if let Some(trace) = &invocation.trace {
        line.insert("xrayTraceId".to_owned(), trace.clone().into());
    }
    line
}

/// What a message of a queue came to.
struct Settled {
    number: usize,
    failed: bool,
}

impl Inner {
    async fn answer(&self, invocation: &Invocation) -> Result<Value, Failure> {
        let time = Time::until(invocation.deadline, self.options.margin);
        let began = Instant::now();
        let event = match Event::parse(&invocation.event, self.options.template.as_ref()) {
            Ok(event) => event,
            Err(error) => {
                let failure = Failure::from(error);
                self.tell(about(invocation), began, &Told::default(), Err(&failure));
                return Err(failure);
            }
        };
        match event {
            Event::Job(job) => {
                let done = self.job(about(invocation), job, self.options.memory, time).await;
                done.map(|report| fitted(report, answer::MOST))
            }
            Event::Notices(notices) => {
                let reports = self.notices(&about(invocation), notices, self.options.memory, time).await?;
                let most = answer::MOST / reports.len().max(1);
                let reports: Vec<Value> = reports.into_iter().map(|report| fitted(report, most)).collect();
                Ok(json!({ "reports": reports }))
            }
            Event::Queue { messages, fifo } => Ok(self.queue(invocation, messages, fifo, time).await),
        }
    }

    /// Does the messages of a queue, and names those that are to be delivered again.
    async fn queue(&self, invocation: &Invocation, messages: Vec<Message>, fifo: bool, time: Time) -> Value {
        let began = Instant::now();
        let count = messages.len();
        let at_a_time = self.options.concurrency.clamp(1, count.max(1));
        let share = self.options.memory / at_a_time as u64;
        let ids: Vec<String> = messages.iter().map(|message| message.id.clone()).collect();
        let mut settled: Vec<Settled> = futures::stream::iter(lanes(messages, fifo))
            .map(|lane| self.lane(invocation, lane, share, time))
            .buffer_unordered(at_a_time)
            .concat()
            .await;
        settled.sort_by_key(|message| message.number);
        let failed: Vec<&String> = settled
            .iter()
            .filter(|message| message.failed)
            .filter_map(|message| ids.get(message.number))
            .collect();
        let mut line = about(invocation);
        line.insert(
            "message".to_owned(),
            format!("{} of {count} messages done", count - failed.len()).into(),
        );
        line.insert("records".to_owned(), count.into());
        line.insert("failed".to_owned(), failed.len().into());
        line.insert("ms".to_owned(), milliseconds(began));
        (self.log)(if failed.is_empty() { Level::Info } else { Level::Warn }, &line);
        let failures: Vec<Value> = failed.into_iter().map(|id| json!({ "itemIdentifier": id })).collect();
        json!({ "batchItemFailures": failures })
    }

    /// Does messages one after the other. After the first that fails, the others would come before it: they are left.
    async fn lane(
        &self,
        invocation: &Invocation,
        messages: Vec<(usize, Message)>,
        share: u64,
        time: Time,
    ) -> Vec<Settled> {
        let mut settled = Vec::with_capacity(messages.len());
        let mut failed_before = false;
        for (number, message) in messages {
            let mut line = about(invocation);
            line.insert("messageId".to_owned(), message.id.into());
            let left = if failed_before {
                Some("a message of its group before it failed")
            } else {
                time.is_over().then_some("time ran out before it had begun")
            };
            if let Some(reason) = left {
                line.insert("status".to_owned(), "left".into());
                line.insert("message".to_owned(), reason.into());
                (self.log)(Level::Warn, &line);
            } else {
                let began = Instant::now();
                let failed = match message.notices {
                    Ok(notices) => self.notices(&line, notices, share, time).await.is_err(),
                    Err(error) => {
                        self.tell(line, began, &Told::default(), Err(&error.into()));
                        true
                    }
                };
                if !failed {
                    settled.push(Settled { number, failed: false });
                    continue;
                }
            }
            failed_before = true;
            settled.push(Settled { number, failed: true });
        }
        settled
    }

    /// Does what notices stand for, all of them; of those that failed, the first is given.
    async fn notices(
        &self,
        about: &Map<String, Value>,
        notices: Vec<Notice>,
        share: u64,
        time: Time,
    ) -> Result<Vec<Value>, Failure> {
        let (mut reports, mut first, mut failed, count) = (Vec::new(), None, 0, notices.len());
        for notice in notices {
            match notice {
                Notice::Job(job) => match self.job(about.clone(), job, share, time).await {
                    Ok(report) => reports.push(report),
                    Err(failure) => {
                        failed += 1;
                        first.get_or_insert(failure);
                    }
                },
                Notice::Ignored(reason) => {
                    let mut line = about.clone();
                    line.insert("status".to_owned(), "ignored".into());
                    line.insert("message".to_owned(), format!("ignored: {reason}").into());
                    (self.log)(Level::Info, &line);
                    reports.push(json!({ "status": "ignored", "reason": reason }));
                }
            }
        }
        match first {
            None => Ok(reports),
            Some(failure) if count == 1 => Err(failure),
            Some(Failure { kind, message }) => Err(Failure {
                kind,
                message: format!("{failed} of {count} jobs failed; the first: {message}"),
            }),
        }
    }

    /// Does a job, and writes its line.
    async fn job(
        &self,
        about: Map<String, Value>,
        job: Row,
        share: u64,
        time: Time,
    ) -> Result<Value, Failure> {
        let began = Instant::now();
        let mut told = Told::default();
        let done = self.work(job, share, time, &mut told).await;
        self.tell(about, began, &told, done.as_ref());
        done
    }

    /// Writes the line of a job.
    fn tell(
        &self,
        mut line: Map<String, Value>,
        began: Instant,
        told: &Told,
        done: Result<&Value, &Failure>,
    ) {
        let mut add = |name: &str, value: Value| line.insert(name.to_owned(), value);
        let level = match done {
            Ok(report) => {
                let status = report.get("status").cloned().unwrap_or_default();
                add("message", status.clone());
                add("status", status);
                Level::Info
            }
            Err(failure) => {
                add("message", failure.message.clone().into());
                add("status", "failed".into());
                add("errorType", failure.kind.into());
                Level::Error
            }
        };
        for (name, place) in [("src", &told.src), ("dst", &told.dst)] {
            if let Some(place) = place {
                add(name, place.clone().into());
            }
        }
        add("ms", milliseconds(began));
        add("bytes", told.fetched.into());
        add("written", told.written.into());
        if !self.is_warm.swap(true, Ordering::SeqCst) {
            add("coldStart", true.into());
        }
        (self.log)(level, &line);
    }
}

/// Messages that must be done one after the other: of a FIFO queue those of a group, else each by itself.
fn lanes(messages: Vec<Message>, fifo: bool) -> Vec<Vec<(usize, Message)>> {
    let mut lanes: Vec<Vec<(usize, Message)>> = Vec::new();
    let mut of_group: BTreeMap<String, usize> = BTreeMap::new();
    for (number, message) in messages.into_iter().enumerate() {
        let group = message.group.clone().filter(|_| fifo);
        let known =
            group.as_ref().and_then(|group| of_group.get(group)).and_then(|&lane| lanes.get_mut(lane));
        if let Some(lane) = known {
            lane.push((number, message));
            continue;
        }
        if let Some(group) = group {
            of_group.insert(group, lanes.len());
        }
        lanes.push(vec![(number, message)]);
    }
    lanes
}

fn milliseconds(began: Instant) -> Value {
    json!(round(began.elapsed()))
}

/// In milliseconds, to the microsecond.
fn round(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
