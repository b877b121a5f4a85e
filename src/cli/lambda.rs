//! The function of AWS Lambda: what its environment says, and who does its jobs.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::Args as ClapArgs;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::{Map, Value, json};

use super::args::bytes;
use super::rows::{self, Given, Maker};
use super::stores::{StoreArgs, WriteArgs, duration};
use super::{job, note};
use crate::batch::Item;
use crate::batch::manifest::Row;
use crate::clip::Workers;
use crate::error::{Error, ErrorKind, Result};
use crate::jobs::{Jobs, Turn};
use crate::lambda::{Function, LambdaOptions, Level, Template, cannot_start};
use crate::layer;
use crate::limits::Limits;
use crate::observe::{Observer, Silent};
use crate::options::ClipOptions;
use crate::store::StoreOptions;
use crate::store::address::AddressPolicy;

/// Of a function's memory, what is left to the program itself and to its connections: measured in docs/lambda.md.
const FLOOR: u64 = 64 << 20;
/// Bytes of memory of a job, where there is a choice of how many are done at a time.
const COMFORTABLE: u64 = 64 << 20;
/// Fewest bytes of memory of a job: with less, even a clip of small tiles would be refused.
const LEAST_MEMORY: u64 = 16 << 20;
/// Jobs at a time, unless something else is said.
const MOST_AT_A_TIME: u64 = 8;

const API: &str = "AWS_LAMBDA_RUNTIME_API";

const EXAMPLES: &str = "\
The binary is a function's runtime when it is called bootstrap, or has no arguments where Lambda runs it:
  cp cogclip bootstrap && zip function.zip bootstrap

Its environment has the rest:
  COGCLIP_OPTIONS  options of this command, divided by blanks: --margin 10s --overwrite
  COGCLIP_JOB      the job of a new object of S3, as JSON: {\"dst\": \"s3://clips/{path}.tif\", \"cutline\": \"s3://fields/{stem}.json\"}

An event is a job: an object with `src`, `dst`, `cutline` or `bbox`, and any other option of `clip` by its name with underscores; or
messages of SQS or SNS, or events of EventBridge, that hold jobs; or notices of S3. See docs/lambda.md";

#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(super) struct LambdaCommand {
    /// Jobs of an event that are done at a time [default: as many as get 64 MiB of memory each, at most 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "Function")]
    concurrency: Option<u16>,
    /// Stop jobs this long before the function's time is up [default: 5s, or a fifth of the time where that is less]
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Function")]
    margin: Option<Duration>,
    /// Let jobs name files of the function's own machine, such as those of EFS
    #[arg(long, help_heading = "Function")]
    allow_files: bool,
    /// Web servers that jobs may read though their address is not public: an address, a network or a host (repeatable)
    #[arg(long, value_name = "HOST", help_heading = "Function")]
    allow_address: Vec<String>,
    /// Memory for the jobs of an event together, such as 2GiB [default: the function's, less 64MiB]
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

/// The command line, as it was typed or as Lambda's environment says it. Another command that a function runs is not concerned,
/// since it has arguments.
pub(super) fn words(typed: Vec<OsString>, variable: &dyn Fn(&str) -> Option<String>) -> Vec<OsString> {
    let is_bootstrap =
        typed.first().is_some_and(|name| Path::new(name).file_name().is_some_and(|name| name == "bootstrap"));
    let is_run_by_lambda = typed.len() <= 1 && variable(API).is_some() && variable("_HANDLER").is_some();
    let mut typed = typed.into_iter();
    let name = typed.next().unwrap_or_else(|| "cogclip".into());
    let mut words = vec![name];
    let mut rest = typed.peekable();
    if is_bootstrap || is_run_by_lambda {
        words.push("lambda".into());
    } else if rest.peek().is_some_and(|word| word == "lambda") {
        words.extend(rest.next());
    } else {
        words.extend(rest);
        return words;
    }
    let options = variable("COGCLIP_OPTIONS").unwrap_or_default();
    words.extend(options.split_whitespace().map(OsString::from));
    words.extend(rest);
    words
}

impl LambdaCommand {
    /// Keeps what was given for all jobs.
    pub(super) fn remember(&mut self, matches: &clap::ArgMatches) {
        self.given = rows::given(matches);
    }

    fn options(&self, variable: &dyn Fn(&str) -> Option<String>) -> Result<LambdaOptions> {
        let memory = self.memory(variable("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").as_deref())?;
        let concurrency = match self.concurrency {
            Some(count) => u64::from(count),
            None => (memory / COMFORTABLE).clamp(1, MOST_AT_A_TIME),
        };
        if memory / concurrency < LEAST_MEMORY {
            return Err(Error::usage(format!(
                "{concurrency} jobs at a time leave {} bytes of memory to each, less than {LEAST_MEMORY}; give the function more \
                 memory, or say a smaller --concurrency",
                memory / concurrency
            )));
        }
        let template = variable("COGCLIP_JOB").filter(|text| !text.trim().is_empty());
        let template = template.map(|text| Template::parse(&text).map_err(|error| error.at("COGCLIP_JOB")));
        Ok(LambdaOptions {
            concurrency: usize::try_from(concurrency).unwrap_or(usize::MAX),
            memory,
            margin: self.margin,
            files: self.allow_files,
            template: template.transpose()?,
        })
    }

    /// Bytes for the jobs of an event; `size` is the function's memory in MiB.
    fn memory(&self, size: Option<&str>) -> Result<u64> {
        if let Some(bytes) = self.max_memory {
            return Ok(bytes);
        }
        let Some(size) = size else { return Ok(ClipOptions::default().max_memory) };
        let mib: u64 = size.trim().parse().map_err(|cause| {
            Error::usage("AWS_LAMBDA_FUNCTION_MEMORY_SIZE is not a number of MiB").caused_by(cause)
        })?;
        Ok(mib.saturating_mul(1 << 20).saturating_sub(FLOOR))
    }

    /// What all jobs share.
    async fn shared(&self, memory: u64) -> Result<ClipOptions> {
        let default = ClipOptions::default();
        let mut grids = Vec::new();
        for uri in &self.grid {
            grids.push(layer::shift_grid(uri, &self.store.options(), &Limits::default()).await?);
        }
        let threads = self.threads.map_or(default.threads, usize::from);
        Ok(ClipOptions { grids, threads, max_memory: memory, limits: Limits::of_memory(memory), ..default })
    }

    async fn function(mut self, variable: &dyn Fn(&str) -> Option<String>) -> Result<Function> {
        let options = self.options(variable)?;
        let addresses =
            AddressPolicy::public(&self.allow_address).map_err(|error| error.at("--allow-address"))?;
        self.store.guard(Arc::new(Silent), addresses);
        self.store.options().check()?;
        self.write.options(&self.store).store.check()?;
        job::check_web_keys(&self.store.options())?;
        let shared = self.shared(options.memory).await?;
        let log = Log::of(variable);
        let (given, store, writing) = (self.given, self.store, self.write);
        let runner = Runner {
            reading: store.options(),
            workers: Workers::new(&shared),
            maker: Maker { given, store, shared, writing },
        };
        let log = move |level, line: &Map<String, Value>| {
            if let Some(text) = log.line(level, line, SystemTime::now()) {
                note(&text);
            }
        };
        Ok(Function::new(options, Arc::new(runner), Box::new(log)))
    }
}

pub(super) async fn run(command: LambdaCommand) -> Result<ExitCode> {
    let variable = |name: &str| std::env::var(name).ok();
    let api = variable(API).ok_or_else(|| {
        Error::usage(format!(
            "the environment has no {API}: `cogclip lambda` is run by AWS Lambda, or an emulator of it"
        ))
    })?;
    let function = match command.function(&variable).await {
        Ok(function) => function,
        Err(error) => {
            note(&format!("cogclip: {}", error.with_causes()));
            let code = super::exit::code(error.kind());
            // That it could not be told is told by the end of the process.
            drop(cannot_start(&api, error).await);
            return Ok(code);
        }
    };
    function.run(&api).await.map(|()| ExitCode::SUCCESS)
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Log {
    is_text: bool,
    least: Level,
}

impl Log {
    /// By Lambda's own variables.
    fn of(variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let said = |name| variable(name).unwrap_or_default().trim().to_ascii_uppercase();
        let least = match said("AWS_LAMBDA_LOG_LEVEL").as_str() {
            "WARN" => Level::Warn,
            "ERROR" | "FATAL" => Level::Error,
            _ => Level::Info,
        };
        Self { is_text: said("AWS_LAMBDA_LOG_FORMAT") == "TEXT", least }
    }

    /// A line, in the names of Lambda's own; `None` for what does not matter enough.
    fn line(self, level: Level, line: &Map<String, Value>, time: SystemTime) -> Option<String> {
        if level < self.least {
            return None;
        }
        let level = match level {
            Level::Info => "INFO",
            Level::Warn => "WARN",
            Level::Error => "ERROR",
        };
        if self.is_text {
            let facts = line.iter().filter(|(name, _)| *name != "message");
            let facts: Vec<String> = facts.map(|(name, value)| format!("{name}={value}")).collect();
            let message = line.get("message").and_then(Value::as_str).unwrap_or_default();
            return Some(format!("{level} {message} {}", facts.join(" ")));
        }
        let time = chrono::DateTime::<chrono::Utc>::from(time);
        let time = time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        let mut out = json!({ "timestamp": time, "level": level });
        if let Value::Object(out) = &mut out {
            out.extend(line.clone());
        }
        Some(out.to_string())
    }
}

/// Does the jobs of events as the command line does its own.
struct Runner {
    maker: Maker,
    reading: StoreOptions,
    workers: Workers,
}

impl Runner {
    async fn clip(&self, mut item: Item, observer: &dyn Observer, turn: Turn) -> Result<Value> {
        let together = || (Some(&self.workers), Some(Arc::clone(&turn)));
        match job::clip(item.clone(), &self.reading, together(), observer).await {
            Err(error) if error.kind() == ErrorKind::Exists => {
                // Events are delivered more than once: it may be what an earlier delivery has made.
                match job::made_before(&item, &self.reading, together()).await {
                    Ok(Some(report)) if item.stac.is_none() => Ok(report),
                    Ok(Some(_)) => {
                        // Perhaps without its STAC Item. Both are the same again.
                        item.sink.overwrite = true;
                        job::clip(item, &self.reading, together(), observer).await
                    }
                    Ok(None) | Err(_) => Err(error),
                }
            }
            done => done,
        }
    }
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
        Self::clip(self, item, observer, turn).boxed()
    }

    fn plan(&self, item: Item, turn: Turn) -> BoxFuture<'_, Result<Value>> {
        job::plan(item, &self.reading, (Some(&self.workers), Some(turn))).boxed()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args::{Args, Command};

    fn command(words: &[&str]) -> LambdaCommand {
        let words = ["cogclip", "lambda"].iter().chain(words);
        let Command::Lambda(command) = Args::try_parse_from(words).unwrap().command else {
            panic!("it is lambda")
        };
        *command
    }

    #[test]
    fn what_lambda_runs_is_the_function() {
        let lambda = |name: &str| match name {
            "AWS_LAMBDA_RUNTIME_API" => Some("127.0.0.1:9001".to_owned()),
            "_HANDLER" => Some("bootstrap".to_owned()),
            "COGCLIP_OPTIONS" => Some(" --margin  2s\n--overwrite".to_owned()),
            _ => None,
        };
        let none = |_: &str| None;
        let check = |typed: &[&str], variable: &dyn Fn(&str) -> Option<String>, expected: &str| {
            let found = words(typed.iter().map(OsString::from).collect(), variable);
            let found: Vec<_> = found.iter().map(|word| word.to_str().unwrap()).collect();
            assert_eq!(found.join(" "), expected);
        };
        check(&["/var/task/bootstrap"], &lambda, "/var/task/bootstrap lambda --margin 2s --overwrite");
        check(&["bootstrap"], &none, "bootstrap lambda");
        check(&["/cogclip"], &lambda, "/cogclip lambda --margin 2s --overwrite");
        check(&["cogclip", "lambda", "--hedge"], &lambda, "cogclip lambda --margin 2s --overwrite --hedge");
        // What a function in Python runs.
        check(&["cogclip", "batch", "-"], &lambda, "cogclip batch -");
        check(&["cogclip"], &none, "cogclip");
    }

    #[test]
    fn memory_is_the_functions() {
        let of = |words: &[&str], size: Option<&str>| {
            let options = command(words).options(&|name| {
                size.filter(|_| name == "AWS_LAMBDA_FUNCTION_MEMORY_SIZE").map(str::to_owned)
            });
            options.map(|options| (options.memory >> 20, options.concurrency)).map_err(|error| error.kind())
        };
        assert_eq!(of(&[], Some("128")), Ok((64, 1)));
        assert_eq!(of(&[], Some("512")), Ok((448, 7)));
        assert_eq!(of(&[], Some("3008")), Ok((2944, 8)));
        assert_eq!(of(&["--concurrency", "4"], Some("128")), Ok((64, 4)));
        assert_eq!(of(&["--concurrency", "5"], Some("128")), Err(ErrorKind::Usage));
        assert_eq!(of(&["--max-memory", "100MiB"], Some("128")), Ok((100, 1)));
        assert_eq!(of(&[], None), Ok((128, 2)));
        assert_eq!(of(&[], Some("much")), Err(ErrorKind::Usage));
    }

    #[test]
    fn the_template_is_checked_when_it_starts() {
        let of = |text: &str| command(&[]).options(&|name| (name == "COGCLIP_JOB").then(|| text.to_owned()));
        assert!(of("{\"dst\": \"s3://o/{key}\"}").unwrap().template.is_some());
        assert!(of(" ").unwrap().template.is_none());
        let error = of("{\"dst\": \"s3://o/{keys}\"}").unwrap_err();
        assert!(
            error.to_string().starts_with("COGCLIP_JOB: ") && error.kind() == ErrorKind::Usage,
            "{error}"
        );
    }

    #[test]
    fn the_log_is_as_lambda_wants_it() {
        let of = |pairs: &[(&str, &str)]| {
            Log::of(&|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
        };
        let Value::Object(line) = json!({ "message": "done", "requestId": "1", "ms": 1.5 }) else { panic!() };
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
        let json: Value = serde_json::from_str(&of(&[]).line(Level::Info, &line, at).unwrap()).unwrap();
        // As in Lambda's documentation, "Log format".
        let expected = json!({ "timestamp": "1970-01-01T00:00:01.500Z", "level": "INFO", "message": "done", "requestId": "1", "ms": 1.5 });
        assert_eq!(json, expected);
        let text = of(&[("AWS_LAMBDA_LOG_FORMAT", "Text")]).line(Level::Warn, &line, at).unwrap();
        assert_eq!(text, "WARN done ms=1.5 requestId=\"1\"");
        let few = of(&[("AWS_LAMBDA_LOG_FORMAT", "JSON"), ("AWS_LAMBDA_LOG_LEVEL", "WARN")]);
        assert!(few.line(Level::Info, &line, at).is_none() && few.line(Level::Error, &line, at).is_some());
        assert_eq!(of(&[("AWS_LAMBDA_LOG_LEVEL", "DEBUG")]).least, Level::Info);
    }
}
