//! The service: what was typed, and who does its jobs.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use clap::Args as ClapArgs;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use super::args::bytes;
use super::rows::{self, Given, Maker};
use super::stores::{StoreArgs, WriteArgs, duration};
use super::{interrupted, job, note_json};
use crate::batch::Item;
use crate::batch::manifest::Row;
use crate::clip::Workers;
use crate::error::{Error, Result};
use crate::jobs::{Jobs, Turn};
use crate::layer;
use crate::limits::Limits;
use crate::observe::Observer;
use crate::options::ClipOptions;
use crate::serve::{AllowList, Callers, Documented, ServeOptions, Service, Tokens};
use crate::store::StoreOptions;
use crate::store::address::AddressPolicy;

/// Where to listen when nobody says.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// Bytes of memory for all jobs together, unless something else is said: what a clip takes of its own accord, eight times.
const MAX_MEMORY: u64 = 1 << 30;

/// Fewest bytes of memory of a job: with less, even a clip of small tiles would be refused.
const LEAST_MEMORY: u64 = 16 << 20;

const EXAMPLES: &str = "\
Nothing can be read or written that no prefix allows, and never a file of this machine:
  cogclip serve --token-file /run/secrets/token --allow-src https://example.com/dem/ --allow-src s3://rasters/ \
--allow-dst s3://clips/out/

A job is a JSON object with `src`, `dst`, `cutline` or `bbox`, and any other option of `clip` by its name with underscores:
  curl -H \"Authorization: Bearer $TOKEN\" --json '{\"src\": \"s3://rasters/a.tif\", \"dst\": \"s3://clips/out/a.tif\", \
\"bbox\": \"0,0,9,9\", \"cutline_crs\": \"source\"}' http://127.0.0.1:8080/clip

Paths: POST /clip, POST /plan, GET /healthz, GET /readyz, GET /metrics, GET /openapi.json; see docs/serve.md";

#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(super) struct ServeCommand {
    /// Where to listen [default: 0.0.0.0:$PORT where PORT is set, else 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT", help_heading = "Service")]
    listen: Option<SocketAddr>,
    /// What jobs may read: a prefix such as s3://bucket/in/, or https:// for any public web server (repeatable)
    #[arg(long, value_name = "PREFIX", help_heading = "Service")]
    allow_src: Vec<String>,
    /// What jobs may write: a prefix such as s3://bucket/out/ (repeatable)
    #[arg(long, value_name = "PREFIX", help_heading = "Service")]
    allow_dst: Vec<String>,
    /// Web servers that jobs may read though their address is not public: an address, a network or a host (repeatable)
    #[arg(long, value_name = "HOST", help_heading = "Service")]
    allow_address: Vec<String>,
    /// The bearer token that a request must have, one a line of this file [default: the environment's COGCLIP_TOKEN]
    #[arg(long, value_name = "FILE", help_heading = "Service", conflicts_with = "no_auth")]
    token_file: Option<PathBuf>,
    /// Take jobs from anybody who can connect, also from other machines
    #[arg(long, help_heading = "Service")]
    no_auth: bool,
    /// Jobs at a time [default: 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "Service")]
    concurrency: Option<u16>,
    /// Further jobs that wait for their turn; more are refused with 503 [default: 64]
    #[arg(long, value_name = "N", help_heading = "Service")]
    queue: Option<u16>,
    /// Bytes of a request [default: 1MiB]
    #[arg(long, value_name = "BYTES", value_parser = bytes, help_heading = "Service")]
    max_body: Option<u64>,
    /// How long a job may take, waiting included [default: 5m]
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Service")]
    request_timeout: Option<Duration>,
    /// After SIGTERM or SIGINT, give jobs that have begun this long to end [default: 8s]
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Service")]
    grace: Option<Duration>,
    /// Memory for all jobs together, such as 2GiB; each gets an equal share [default: 1GiB]
    #[arg(long, value_name = "BYTES", value_parser = bytes, help_heading = "Reading")]
    max_memory: Option<u64>,
    /// Tiles decoded and encoded at a time, all jobs together [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "Reading")]
    threads: Option<u16>,
    /// An NTv2 grid for the step between datums: a path or URL (repeatable)
    #[arg(long, value_name = "FILE.gsb", help_heading = "Cutline")]
    grid: Vec<String>,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    write: WriteArgs,
    /// What was given for all jobs: names of options, with a value or without.
    #[arg(skip)]
    given: Given,
}

impl ServeCommand {
    /// Keeps what was given for all jobs.
    pub(super) fn remember(&mut self, matches: &clap::ArgMatches) {
        self.given = rows::given(matches);
    }

    fn options(&self) -> Result<ServeOptions> {
        let default = ServeOptions::default();
        let max_body = self.max_body.map(usize::try_from);
        let sources = AllowList::new(&self.allow_src).map_err(|error| error.at("--allow-src"))?;
        let public =
            AddressPolicy::public(&self.allow_address).map_err(|error| error.at("--allow-address"))?;
        let targets = sources.clone();
        Ok(ServeOptions {
            sources,
            addresses: public.redirecting(move |url| targets.allows(url)),
            destinations: AllowList::new(&self.allow_dst).map_err(|error| error.at("--allow-dst"))?,
            callers: self.callers()?,
            concurrency: self.concurrency.map_or(default.concurrency, usize::from),
            queue: self.queue.map_or(default.queue, usize::from),
            max_body: max_body.transpose().unwrap_or(Some(usize::MAX)).unwrap_or(default.max_body),
            timeout: self.request_timeout.unwrap_or(default.timeout),
            grace: self.grace.unwrap_or(default.grace),
        })
    }

    fn callers(&self) -> Result<Callers> {
        let text = match &self.token_file {
            _ if self.no_auth => return Ok(Callers::Anybody),
            Some(path) => std::fs::read_to_string(path).map_err(|cause| {
                Error::usage(format!("the token cannot be read from {}", path.display())).caused_by(cause)
            })?,
            None => match std::env::var("COGCLIP_TOKEN") {
                Ok(text) => text,
                Err(std::env::VarError::NotPresent) => return Ok(Callers::Local),
                Err(cause) => return Err(Error::usage("COGCLIP_TOKEN is not text").caused_by(cause)),
            },
        };
        Tokens::new(&text).map(Callers::Tokens)
    }

    /// Where to listen.
    fn address(&self, port: Option<&str>) -> Result<SocketAddr> {
        match (self.listen, port) {
            (Some(address), _) => Ok(address),
            (None, None) => Ok(LISTEN),
            (None, Some(port)) => {
                let port = port.parse().map_err(|cause| {
                    Error::usage("the environment's PORT is not the number of a port").caused_by(cause)
                })?;
                Ok(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port))
            }
        }
    }

    /// What all jobs share.
    async fn shared(&self, concurrency: usize) -> Result<ClipOptions> {
        let default = ClipOptions::default();
        let share = self.max_memory.unwrap_or(MAX_MEMORY) / concurrency as u64;
        if share < LEAST_MEMORY {
            return Err(Error::usage(format!(
                "{concurrency} jobs at a time leave {share} bytes of memory to each, less than {LEAST_MEMORY}; give more with \
                 --max-memory, or a smaller --concurrency"
            )));
        }
        let limits = Limits::of_memory(share);
        let mut grids = Vec::new();
        for uri in &self.grid {
            // Named by whoever runs the service.
            grids.push(layer::shift_grid(uri, &self.store.options(), &Limits::default()).await?);
        }
        let threads = self.threads.map_or(default.threads, usize::from);
        Ok(ClipOptions { grids, threads, max_memory: share, limits, ..default })
    }
}

pub(super) async fn run(mut command: ServeCommand) -> Result<ExitCode> {
    let options = command.options()?;
    let address = command.address(std::env::var("PORT").ok().as_deref())?;
    if matches!(options.callers, Callers::Local) && !address.ip().is_loopback() {
        return Err(Error::usage(format!(
            "{address} can be reached from other machines: give a token with --token-file or COGCLIP_TOKEN, or say --no-auth if \
             something else decides who may ask"
        )));
    }
    let shared = command.shared(options.concurrency).await?;
    let addresses = options.addresses.clone();
    let lists = (options.sources.is_empty(), options.destinations.is_empty());
    let service = Service::new(options, Box::new(|line| note_json(&line.to_string())), |observer| {
        command.store.guard(observer, addresses);
        command.store.options().check()?;
        command.write.options(&command.store).store.check()?;
        job::check_web_keys(&command.store.options())?;
        let workers = Workers::new(&shared);
        let (given, store, writing) = (command.given, command.store, command.write);
        Ok(Arc::new(Runner {
            reading: store.options(),
            workers,
            maker: Maker { given, store, shared, writing },
        }))
    })?;
    // A fault is a line of the log as well.
    std::panic::set_hook(Box::new(|fault| say("CRITICAL", &fault.to_string())));
    let listener = TcpListener::bind(address)
        .await
        .map_err(|cause| Error::io(format!("cannot listen at {address}")).caused_by(cause))?;
    // From its first poll on, a signal is heard: before anybody is told that there is a service.
    let mut signal = std::pin::pin!(interrupted());
    if let Poll::Ready(code) = futures::poll!(&mut signal) {
        return Ok(code);
    }
    let told = listener.local_addr().unwrap_or(address);
    say("INFO", &format!("listening at http://{told}"));
    match lists {
        (true, _) => say("WARNING", "nothing can be read: no --allow-src was given"),
        (_, true) => say("WARNING", "nothing can be written: no --allow-dst was given"),
        _ => {}
    }
    let mut code = ExitCode::SUCCESS;
    let ended = service.run(listener, async {
        code = signal.await;
        say("INFO", "stopping; a further signal does not wait for what has begun");
    });
    let drained = tokio::select! {
        drained = ended => drained,
        code = twice() => return Ok(code),
    };
    if drained.given_up == 0 {
        say("INFO", "stopped; all jobs had ended");
        return Ok(ExitCode::SUCCESS);
    }
    say(
        "WARNING",
        &format!("stopped; {} jobs were given up, and nothing of them was published", drained.given_up),
    );
    Ok(code)
}

/// Waits for a second request to stop.
async fn twice() -> ExitCode {
    interrupted().await;
    interrupted().await
}

/// A line of the log that is about no request.
fn say(severity: &str, message: &str) {
    let time = chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now()).to_rfc3339();
    note_json(&json!({ "time": time, "severity": severity, "message": message }).to_string());
}

/// Does the jobs of the service as the command line does its own.
struct Runner {
    maker: Maker,
    reading: StoreOptions,
    workers: Workers,
}

impl Jobs for Runner {
    fn item(&self, job: &Row, plan: bool) -> Result<Item> {
        if plan { job::item_of_plan(&self.maker, job) } else { job::item(&self.maker, job) }
    }

    fn clip<'a>(
        &'a self,
        item: Item,
        observer: &'a dyn Observer,
        turn: Turn,
    ) -> BoxFuture<'a, Result<Value>> {
        job::clip(item, &self.reading, (Some(&self.workers), Some(turn)), observer).boxed()
    }

    fn plan(&self, item: Item, turn: Turn) -> BoxFuture<'_, Result<Value>> {
        job::plan(item, &self.reading, (Some(&self.workers), Some(turn))).boxed()
    }
}

impl Documented for Runner {
    fn options(&self) -> Map<String, Value> {
        rows::schemas()
    }
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
