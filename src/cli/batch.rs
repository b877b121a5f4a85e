//! Many clips from a manifest: what was typed, and what is shown of it.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::{Args as ClapArgs, ValueEnum};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::args::{ImageArgs, WhatArgs, bytes};
use super::array_job;
use super::cutline::CutlineArgs;
use super::rows::{self, Given, Maker};
use super::stores::{StoreArgs, WriteArgs, duration};
use super::{blocking, interrupted, note, print};
use crate::batch::manifest::{Manifest, Row};
use crate::batch::{Batch, BatchOptions, IfExists, Lines, Outcome, Progress, Summary, expand};
use crate::error::{Error, Result};
use crate::fetch;
use crate::limits::Limits;
use crate::observe::Silent;
use crate::sink;
use crate::source::Source;

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
    #[arg(long, value_name = "I/N", value_parser = array_job::shard, conflicts_with = "shards", help_heading = "Batch")]
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
    /// Describe each output in a STAC Item: auto for its name with the extension .json; a row may name a file of its own
    #[arg(long, value_name = "auto", value_parser = ["auto"], help_heading = "Output")]
    stac: Option<String>,
    /// Print the sums as one JSON object on standard output; needs --status
    #[arg(long, requires = "status", help_heading = "Report")]
    json: bool,
    /// No progress and no summary
    #[arg(short, long, help_heading = "Report")]
    quiet: bool,
    /// What was given for all rows: names of options, with a value or without.
    #[arg(skip)]
    given: Given,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum IfExistsArg {
    Fail,
    Skip,
    Overwrite,
}

impl BatchCommand {
    /// Keeps what was given for all rows.
    pub(super) fn remember(&mut self, matches: &clap::ArgMatches) {
        self.given = rows::given(matches);
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
                row[expand::MANY] = true.into();
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
            (None, Some(count)) => array_job::of_environment(count, &|name| std::env::var(name).ok()),
        }
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
        writing: command.write,
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
        done = &mut running => (Some(done), ExitCode::SUCCESS),
        code = interrupted() => {
            stop.cancel();
            note("cogclip: stopping; a further signal does not wait for what has begun");
            let grace = command.grace.unwrap_or(GRACE);
            tokio::select! {
                done = &mut running => (Some(done), code),
                () = tokio::time::sleep(grace) => (None, code),
                _ = interrupted() => (None, code),
            }
        }
    };
    show.end();
    let Some(done) = done else { return Ok(given_up(code)) };
    let summary = done?;
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
