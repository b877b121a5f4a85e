//! Many clips from a manifest: what was typed, and what is shown of it.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::parser::ValueSource;
use clap::{ArgAction, Args as ClapArgs, CommandFactory, Parser, ValueEnum};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::args::{ClipCommand, ImageArgs, StoreArgs, WhatArgs, WriteArgs, bytes, duration};
use super::cutline::CutlineArgs;
use super::{blocking, interrupted, note, print};
use crate::batch::manifest::{Manifest, Row};
use crate::batch::{Batch, BatchOptions, IfExists, Item, Lines, Outcome, Progress, Summary, expand};
use crate::error::{Error, Result};
use crate::fetch;
use crate::limits::Limits;
use crate::observe::Silent;
use crate::options::ClipOptions;
use crate::sink;
use crate::source::Source;

/// Names of a row that are no options.
const PLACES: [&str; 2] = ["src", "dst"];

/// Options that are the batch's own, since all rows share connections, credentials and memory.
const SHARED: [&str; 10] = [
    "store-option",
    "src-option",
    "dst-option",
    "max-retries",
    "retry-timeout",
    "idle-timeout",
    "hedge",
    "max-memory",
    "threads",
    "grid",
];

/// Rows that are looked at before anything starts.
const LOOKED_AT: u64 = 1000;

/// How long items that have begun are given to end after a signal.
const GRACE: Duration = Duration::from_secs(10);

/// Time between two lines of progress where there is no terminal.
const BETWEEN_LINES: Duration = Duration::from_secs(10);

const EXAMPLES: &str = "\
A row of the manifest has `src`, `dst`, `cutline` (or `bbox`) and any other option of `clip` by its name with \
underscores:
  {\"src\": \"s3://bucket/B04.tif\", \"cutline\": \"field.geojson\", \"dst\": \"out/1.tif\", \"all_touched\": true}
What is given on the command line holds for every row that does not say otherwise.

Examples:
  Every row, eight sources at a time, with a record to resume from:
    cogclip batch jobs.jsonl --status status.jsonl

  Go on where that was stopped:
    cogclip batch jobs.jsonl --status status.jsonl --resume

Exit codes: 0 all done; 1 some items failed, or were not begun; 2 usage; 5 the status could not be written;
6 --max-bytes; 128 and the signal's number when stopped";

#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
#[expect(clippy::struct_excessive_bools, reason = "each is one switch, independent of the others")]
pub(super) struct BatchCommand {
    /// JSON Lines, CSV or GeoParquet: a path, a URL, or `-` for standard input
    #[arg(required_unless_present_any = ["src", "src_list"], conflicts_with_all = ["src", "src_list"])]
    manifest: Option<String>,
    /// Instead of a manifest: a raster, a pattern such as s3://bucket/2024/*.tif, or a STAC document (repeatable)
    #[arg(long, value_name = "SRC", requires = "dst", help_heading = "Batch")]
    src: Vec<String>,
    /// The same, a line each in a file
    #[arg(long, value_name = "FILE", requires = "dst", help_heading = "Batch")]
    src_list: Option<PathBuf>,
    /// Where the outputs of these go: out/{stem}.tif; with --split also {id}, {fid}, {property}; of STAC {item}, {asset}
    #[arg(long, value_name = "TEMPLATE", help_heading = "Batch")]
    dst: Option<String>,
    /// With these: one output a feature of the cutline and source
    #[arg(long, requires = "dst", help_heading = "Batch")]
    split: bool,
    /// Write a line of JSON for each item that ended to this file [default: to standard output]
    #[arg(long, value_name = "FILE", help_heading = "Batch")]
    status: Option<PathBuf>,
    /// Leave items that are done, unless source, cutline, options or output have changed: by --status, and by what outputs say
    #[arg(long, help_heading = "Batch")]
    resume: bool,
    /// Sources that are worked on at a time [default: 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "Batch")]
    jobs: Option<u16>,
    /// When a destination exists [default: fail, exit code 9 of the item]
    #[arg(long, value_enum, value_name = "WHAT", conflicts_with = "overwrite", help_heading = "Batch")]
    if_exists: Option<IfExistsArg>,
    /// Begin nothing more once an item has failed
    #[arg(long, conflicts_with = "keep_going", help_heading = "Batch")]
    fail_fast: bool,
    /// Go on with the other items when one has failed: the default
    #[arg(long, help_heading = "Batch")]
    keep_going: bool,
    /// Do only part I of N of the manifest, counted from 0; rows of one source stay together
    #[arg(long, value_name = "I/N", value_parser = shard, conflicts_with = "shards", help_heading = "Batch")]
    shard: Option<(usize, usize)>,
    /// The same of an array job, whose index is in the environment: AWS Batch, Kubernetes, Slurm
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "0", help_heading = "Batch")]
    shards: Option<usize>,
    /// Read headers and cutlines only, and say what it would take
    #[arg(long, help_heading = "Batch")]
    dry_run: bool,
    /// Do nothing when more than this would be fetched, such as 50GB
    #[arg(long, value_name = "BYTES", value_parser = bytes, help_heading = "Batch")]
    max_bytes: Option<u64>,
    /// After SIGTERM or SIGINT, give items that have begun this long to end [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Batch")]
    grace: Option<Duration>,
    #[command(flatten)]
    cutline: CutlineArgs,
    #[command(flatten)]
    image: ImageArgs,
    #[command(flatten)]
    what: WhatArgs,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    write: WriteArgs,
    /// Print the sums as one JSON object on standard output; needs --status
    #[arg(long, requires = "status", help_heading = "Report")]
    json: bool,
    /// No progress and no summary
    #[arg(short, long, help_heading = "Report")]
    quiet: bool,
    /// What was given for all rows: names of options, with a value or without.
    #[arg(skip)]
    given: Vec<(String, Option<String>)>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum IfExistsArg {
    Fail,
    Skip,
    Overwrite,
}

/// A row as a command line.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
struct RowCommand {
    #[command(flatten)]
    clip: ClipCommand,
}

impl BatchCommand {
    /// Keeps what was given for all rows as it was given, since a row may say otherwise.
    pub(super) fn remember(&mut self, matches: &clap::ArgMatches) {
        for arg in RowCommand::command().get_arguments() {
            let (id, Some(name)) = (arg.get_id().as_str(), arg.get_long()) else { continue };
            let is_given = matches.try_contains_id(id).is_ok()
                && matches.value_source(id) == Some(ValueSource::CommandLine);
            if !is_given || SHARED.contains(&name) || matches!(name, "json" | "quiet") {
                continue;
            }
            if matches!(arg.get_action(), ArgAction::SetTrue) {
                self.given.push((name.to_owned(), None));
            } else {
                let values = matches.get_raw(id).into_iter().flatten();
                let texts = values.map(|value| (name.to_owned(), Some(value.to_string_lossy().into_owned())));
                self.given.extend(texts);
            }
        }
    }

    fn batch_options(&self) -> Result<BatchOptions> {
        let default = BatchOptions::default();
        Ok(BatchOptions {
            jobs: self.jobs.map_or(default.jobs, usize::from),
            if_exists: match self.if_exists {
                Some(IfExistsArg::Skip) => IfExists::Skip,
                Some(IfExistsArg::Overwrite) => IfExists::Overwrite,
                Some(IfExistsArg::Fail) | None => default.if_exists,
            },
            fail_fast: self.fail_fast,
            resume: self.resume,
            shard: self.part()?,
            dry_run: self.dry_run,
            max_memory: self.what.max_memory().unwrap_or(default.max_memory),
            reading: self.store.options(),
        })
    }

    /// A manifest of the sources that were named.
    async fn of_sources(&self, limits: &Limits) -> Result<Manifest> {
        let mut sources = self.src.clone();
        if let Some(path) = &self.src_list {
            let path = path.clone();
            let text = blocking(move || {
                std::fs::read_to_string(&path)
                    .map_err(|cause| Error::io(format!("cannot read {}", path.display())).caused_by(cause))
            });
            let text = text.await?;
            sources.extend(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned));
        }
        let dst = self.dst.clone().unwrap_or_default();
        let several = sources.len() > 1;
        let rows = sources.into_iter().map(|src| {
            let mut row = json!({ "src": src, "dst": dst });
            if self.split {
                row["split"] = true.into();
            }
            // So that the template is filled in.
            if several || dst.contains('{') {
                row[" many"] = true.into();
            }
            row.to_string()
        });
        let text = rows.collect::<Vec<_>>().join("\n");
        let limits = limits.clone();
        blocking(move || Manifest::read(text.as_bytes(), "the sources", &limits)).await
    }

    /// Which part of the manifest, and of how many.
    fn part(&self) -> Result<(usize, usize)> {
        match (self.shard, self.shards) {
            (Some(part), _) => Ok(part),
            (None, None) => Ok((0, 1)),
            (None, Some(count)) => of_array_job(count, &|name| std::env::var(name).ok()),
        }
    }
}

/// The part of an array job's manifest that this process is to do, by what its environment says: the variables of AWS Batch,
/// of a Kubernetes Indexed Job, or of Slurm. `count` 0 leaves the number of parts to these, too.
fn of_array_job(count: usize, variable: &dyn Fn(&str) -> Option<String>) -> Result<(usize, usize)> {
    let number = |name: &str| match variable(name) {
        None => Ok(None),
        Some(text) => {
            let wrong =
                |cause| Error::usage(format!("the environment's {name} is no number")).caused_by(cause);
            text.trim().parse::<usize>().map(Some).map_err(wrong)
        }
    };
    let (index, own) = if let Some(index) = number("AWS_BATCH_JOB_ARRAY_INDEX")? {
        (index, number("AWS_BATCH_JOB_ARRAY_SIZE")?)
    } else if let Some(index) = number("JOB_COMPLETION_INDEX")? {
        (index, None)
    } else if let Some(task) = number("SLURM_ARRAY_TASK_ID")? {
        // With the number of parts given, tasks are numbered as parts are, and an array may be of some of them only.
        let first = if count == 0 { number("SLURM_ARRAY_TASK_MIN")?.unwrap_or(0) } else { 0 };
        (task.saturating_sub(first), number("SLURM_ARRAY_TASK_COUNT")?)
    } else {
        return Err(Error::usage(
            "--shards: the environment has no index of an array job (AWS_BATCH_JOB_ARRAY_INDEX, JOB_COMPLETION_INDEX or \
             SLURM_ARRAY_TASK_ID); say which part with --shard I/N",
        ));
    };
    let count = match (count, own) {
        (0, Some(own)) => own,
        (0, None) => {
            return Err(Error::usage(
                "--shards: say how many parts there are, since the environment does not",
            ));
        }
        (count, _) => count,
    };
    if index >= count {
        return Err(Error::usage(format!(
            "the array job's index {index} is not among the {count} parts, from 0"
        )));
    }
    Ok((index, count))
}

/// `I/N`.
fn shard(text: &str) -> Result<(usize, usize), String> {
    let wrong = || "a part and the number of parts are expected, such as 0/8".to_owned();
    let (index, count) = text.split_once('/').ok_or_else(wrong)?;
    match (index.trim().parse(), count.trim().parse()) {
        (Ok(index), Ok(count)) if index < count => Ok((index, count)),
        (Ok(_), Ok(_)) => Err("parts are counted from 0, so that the last of 8 is 7/8".to_owned()),
        _ => Err(wrong()),
    }
}

/// The command line that a row stands for.
fn arguments(row: &Row, given: &[(String, Option<String>)]) -> Result<Vec<String>> {
    let mut out = Vec::new();
    let place = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let says = |name: &str| {
        let name = name.replace('-', "_");
        let is_said = |name: &str| row.get(name).is_some_and(|value| !value.is_null());
        row.contains_key(&name)
            // One of the two is enough.
            || name == "cutline" && is_said("bbox")
            || name == "bbox" && is_said("cutline")
    };
    for (name, value) in given.iter().filter(|(name, _)| !says(name)) {
        out.push(argument(name, value.as_deref()));
    }
    // What begins with a blank is the batch's own.
    let is_option = |name: &str| !PLACES.contains(&name) && !name.starts_with(' ');
    for (name, value) in row.iter().filter(|(name, _)| is_option(name)) {
        let long = name.replace('_', "-");
        if SHARED.contains(&long.as_str()) {
            return Err(Error::usage(format!(
                "{name}: this is for the whole batch, not for a row; give it as --{long}"
            )));
        }
        if matches!(long.as_str(), "json" | "quiet" | "verbose" | "log-format" | "split" | "stac") {
            return Err(Error::usage(format!("{name}: a row cannot have this")));
        }
        push(&mut out, &long, value);
    }
    // What follows are places, even if they begin with a hyphen.
    out.extend(["--".to_owned(), place("src"), place("dst")]);
    Ok(out)
}

fn push(out: &mut Vec<String>, name: &str, value: &Value) {
    match value {
        Value::Null | Value::Bool(false) => {}
        Value::Bool(true) => out.push(argument(name, None)),
        Value::String(text) => out.push(argument(name, Some(text))),
        Value::Array(values) => values.iter().for_each(|value| push(out, name, value)),
        // Numbers as they are written; an object is GeoJSON, or what its option will say is none.
        Value::Number(_) | Value::Object(_) => out.push(argument(name, Some(&value.to_string()))),
    }
}

fn argument(name: &str, value: Option<&str>) -> String {
    match value {
        Some(value) => format!("--{name}={value}"),
        None => format!("--{name}"),
    }
}

/// What makes items of rows.
struct Maker {
    given: Vec<(String, Option<String>)>,
    store: StoreArgs,
    /// The batch's own options that all items share.
    shared: ClipOptions,
    dst_pairs: WriteArgs,
}

impl Maker {
    fn item(&self, row: &Row) -> Result<Item> {
        let arguments = arguments(row, &self.given)?;
        let parsed = RowCommand::try_parse_from(arguments).map_err(|error| {
            // The first line says it; what follows is about the command line.
            let text = error.render().to_string();
            let said = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            Error::usage(format!("the row is not understood: {said}"))
        })?;
        let clip = parsed.clip;
        let options = ClipOptions {
            grids: self.shared.grids.clone(),
            threads: self.shared.threads,
            check_copied: clip.verifies(),
            ..clip.cutline.of_options(clip.what.options()?)?
        };
        let selection = clip.cutline.selection_of_row(&options.limits)?;
        let own = clip.write.options(&self.store);
        let sink = sink::SinkOptions { store: self.dst_pairs.options(&self.store).store, hash: false, ..own };
        Ok(Item { src: clip.src, ifd: clip.image.ifd, dst: clip.dst, selection, options, sink })
    }
}

pub(super) async fn run(command: BatchCommand) -> Result<ExitCode> {
    let limits = Limits::default();
    let options = command.batch_options()?;
    command.store.options().check()?;
    command.write.options(&command.store).store.check()?;
    let shared = command.cutline.apply(command.what.options()?, &command.store).await?;
    let found = match &command.manifest {
        Some(at) => manifest(at, &command.store, &limits).await?,
        None => command.of_sources(&limits).await?,
    };
    if found.is_empty() {
        return Err(Error::usage("the manifest has no row"));
    }
    let show = Arc::new(Show::new(command.quiet));
    let stop = CancellationToken::new();
    let maker = Arc::new(Maker {
        given: command.given.clone(),
        store: command.store,
        shared,
        dst_pairs: command.write,
    });
    let make = |maker: &Arc<Maker>| {
        let maker = Arc::clone(maker);
        Box::new(move |row: &Row| maker.item(row)) as Box<crate::batch::Make>
    };
    let reading = maker.store.options();
    let found = expand::expand(found, &*make(&maker), &reading, &limits).await?;
    let manifest = Arc::new(found);
    // What no row can be is said at once.
    for number in 0..manifest.len().min(LOOKED_AT) {
        maker.item(&manifest.row(number)?).map_err(|error| error.at(format!("item {number}")))?;
    }
    if let (Some(most), false) = (command.max_bytes, options.dry_run) {
        let weighing = BatchOptions { dry_run: true, resume: false, ..options.clone() };
        let nowhere = Lines::To(Box::new(std::io::sink()));
        let silent = (Arc::new(Silent) as _, Arc::new(Nobody) as Arc<dyn Progress>);
        let batch = Batch::new(Arc::clone(&manifest), make(&maker), weighing, nowhere, silent, stop.clone())?;
        let summary = batch.run().await?;
        if summary.bytes > most {
            return Err(Error::limit(format!(
                "{} bytes would be fetched for {} items, more than --max-bytes {most}",
                summary.bytes, summary.items
            )));
        }
    }
    let lines = match &command.status {
        Some(path) => Lines::File(path),
        None => Lines::To(Box::new(std::io::stdout())),
    };
    let shown = Arc::clone(&show);
    let observers = (Arc::new(Silent) as _, show as Arc<dyn Progress>);
    let batch = Batch::new(manifest, make(&maker), options, lines, observers, stop.clone())?;
    let show = shown;
    show.begin(batch.items());
    let mut running = std::pin::pin!(batch.run());
    let (done, code) = tokio::select! {
        done = &mut running => (done, ExitCode::SUCCESS),
        code = interrupted() => {
            stop.cancel();
            note("cogclip: stopping; a further signal does not wait for what has begun");
            let grace = command.grace.unwrap_or(GRACE);
            tokio::select! {
                done = &mut running => (done, code),
                () = tokio::time::sleep(grace) => return Ok(given_up(code)),
                _ = interrupted() => return Ok(given_up(code)),
            }
        }
    };
    let summary = done?;
    show.end();
    if command.json {
        print(&format!("{:#}\n", json_of(&summary)))?;
    } else if !command.quiet {
        note(&text_of(&summary, command.dry_run));
    }
    let is_whole = summary.failed == 0 && summary.left == 0;
    Ok(if code != ExitCode::SUCCESS || is_whole { code } else { ExitCode::from(1) })
}

/// Lets nothing more be published: what has begun is aborted as it is dropped.
fn given_up(code: ExitCode) -> ExitCode {
    sink::stop();
    note("cogclip: items that had begun were given up; resume to do them");
    code
}

/// The manifest at a path or URL, or on standard input.
async fn manifest(at: &str, store: &StoreArgs, limits: &Limits) -> Result<Manifest> {
    let limits = limits.clone();
    let shown = crate::store::redact(at);
    if at == "-" {
        return blocking(move || Manifest::read(std::io::stdin().lock(), "standard input", &limits)).await;
    }
    if Source::open(at, &store.options())?.is_remote() {
        let source = Source::open(at, &store.options())?;
        let bytes = fetch::whole(&source, &limits).await?;
        return blocking(move || Manifest::read(&*bytes, &shown, &limits)).await;
    }
    let path = PathBuf::from(at.strip_prefix("file://").unwrap_or(at));
    blocking(move || Manifest::open(&path, &limits)).await
}

/// Nobody looks.
struct Nobody;

impl Progress for Nobody {
    fn ended(&self, _: Outcome, _: u64) {}
}

/// Progress on standard error: a bar on a terminal, else a line now and then.
struct Show {
    quiet: bool,
    bar: Option<ProgressBar>,
    state: Mutex<State>,
}

struct State {
    items: u64,
    ended: u64,
    failed: u64,
    bytes: u64,
    began: Instant,
    said: Instant,
}

impl Show {
    fn new(quiet: bool) -> Self {
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let style =
                ProgressStyle::with_template("{bar:30} {pos}/{len} items  {msg}  {per_sec}  {eta} left");
            ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        let now = Instant::now();
        let state = State { items: 0, ended: 0, failed: 0, bytes: 0, began: now, said: now };
        Self { quiet, bar, state: Mutex::new(state) }
    }

    fn begin(&self, items: u64) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).items = items;
        if let Some(bar) = &self.bar {
            bar.set_length(items);
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Show {
    fn ended(&self, outcome: Outcome, bytes: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.ended += 1;
        state.failed += u64::from(outcome == Outcome::Failed);
        state.bytes += bytes;
        if let Some(bar) = &self.bar {
            bar.set_position(state.ended);
            bar.set_message(format!("{} failed  {}", state.failed, HumanBytes(state.bytes)));
        } else if !self.quiet && state.said.elapsed() >= BETWEEN_LINES {
            state.said = Instant::now();
            let seconds = state.began.elapsed().as_secs_f64();
            #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
            let left = seconds / state.ended as f64 * (state.items.saturating_sub(state.ended)) as f64;
            note(&format!(
                "{} of {} items, {} failed, {} written, {seconds:.0} s, {left:.0} s left",
                state.ended,
                state.items,
                state.failed,
                HumanBytes(state.bytes)
            ));
        }
    }
}

fn json_of(summary: &Summary) -> Value {
    let Summary { items, done, already, skipped, failed, planned, left, requests, bytes, written } = *summary;
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "items": items,
        "done": done,
        "already": already,
        "skipped": skipped,
        "failed": failed,
        "planned": planned,
        "left": left,
        "requests": requests,
        "bytes": bytes,
        "written": written,
    })
}

fn text_of(summary: &Summary, dry_run: bool) -> String {
    let Summary { items, done, already, skipped, failed, planned, left, requests, bytes, written } = summary;
    if dry_run {
        return format!(
            "{items} items, {planned} planned: {requests} requests, {bytes} bytes to fetch; outputs of {written} bytes before compression; \
             {failed} cannot be planned"
        );
    }
    let already = if *already > 0 { format!(", {already} already there") } else { String::new() };
    let left = if *left > 0 { format!(", {left} left") } else { String::new() };
    format!(
        "{items} items: {done} done{already}, {skipped} skipped, {failed} failed{left}; {requests} requests, {bytes} bytes \
         read; {written} bytes written"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, Option<&str>)]) -> Vec<(String, Option<String>)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect()
    }

    #[test]
    fn a_row_is_a_command_line_and_has_the_last_word() {
        let row = |text: &str| serde_json::from_str::<Row>(text).unwrap();
        let all = given(&[
            ("all-touched", None),
            ("cutline", Some("c")),
            ("bands", Some("1")),
            ("bands", Some("2")),
        ]);
        let line = |text: &str| arguments(&row(text), &all).map(|line| line.join(" "));
        assert_eq!(
            line("{\"src\": \"-a\", \"dst\": \"b\"}").unwrap(),
            "--all-touched --cutline=c --bands=1 --bands=2 -- -a b"
        );
        assert_eq!(
            line("{\"src\": \"a\", \"dst\": \"b\", \"all_touched\": false, \"bbox\": \"0,0,1,1\", \"bands\": [3, 1], \"pad\": 2}")
                .unwrap(),
            "--bands=3 --bands=1 --bbox=0,0,1,1 --pad=2 -- a b"
        );
        assert_eq!(
            line("{\"src\": \"a\", \"dst\": \"b\", \"cutline\": {\"type\": \"Point\"}, \"nodata\": -1.5, \"level\": null}")
                .unwrap(),
            "--all-touched --bands=1 --bands=2 --cutline={\"type\":\"Point\"} --nodata=-1.5 -- a b"
        );
        for name in ["store_option", "max_memory", "json", "split"] {
            let text = format!("{{\"src\": \"a\", \"dst\": \"b\", \"{name}\": \"x\"}}");
            assert_eq!(line(&text).unwrap_err().kind(), crate::ErrorKind::Usage, "{name}");
        }
    }

    #[test]
    fn every_option_of_a_clip_can_stand_in_a_row() {
        RowCommand::command().debug_assert();
        let line = arguments(
            &serde_json::from_str::<Row>(
                "{\"src\": \"a\", \"dst\": \"b\", \"cutline\": \"c\", \"all_touched\": true, \"nodata\": -9, \"fid\": [1, 2], \
                 \"where\": \"x=1\", \"overwrite\": true, \"metadata\": [\"k=v\"]}",
            )
            .unwrap(),
            &[],
        );
        let clip = RowCommand::try_parse_from(line.unwrap()).unwrap().clip;
        let options = clip.what.options().unwrap();
        assert_eq!(options.rule, crate::mask::Rule::AllTouched);
        assert_eq!(options.nodata.unwrap().text(), "-9");
        assert!(clip.sink_options().overwrite);
        assert_eq!(clip.sink_options().metadata, [("k".to_owned(), "v".to_owned())]);
    }

    #[test]
    fn array_jobs_say_which_part() {
        let of = |count, pairs: &[(&str, &str)]| {
            let find =
                |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            of_array_job(count, &find).ok()
        };
        assert_eq!(
            of(0, &[("AWS_BATCH_JOB_ARRAY_INDEX", "3"), ("AWS_BATCH_JOB_ARRAY_SIZE", "8")]),
            Some((3, 8))
        );
        assert_eq!(of(5, &[("JOB_COMPLETION_INDEX", "4")]), Some((4, 5)));
        assert_eq!(of(0, &[("JOB_COMPLETION_INDEX", "4")]), None);
        assert_eq!(
            of(
                0,
                &[
                    ("SLURM_ARRAY_TASK_ID", "11"),
                    ("SLURM_ARRAY_TASK_MIN", "10"),
                    ("SLURM_ARRAY_TASK_COUNT", "4")
                ]
            ),
            Some((1, 4))
        );
        assert_eq!(of(8, &[("SLURM_ARRAY_TASK_ID", "7"), ("SLURM_ARRAY_TASK_MIN", "3")]), Some((7, 8)));
        assert_eq!(of(4, &[("JOB_COMPLETION_INDEX", "4")]), None);
        assert_eq!(of(4, &[]), None);
        assert_eq!(shard("0/8"), Ok((0, 8)));
        assert!(shard("8/8").is_err() && shard("8").is_err());
    }
}
