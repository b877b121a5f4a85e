//! Many clips: rows of a manifest, each done once, with a record of each.
//!
//! Rows of one source are done together, so that its header is read once and each tile is fetched and decoded once however many
//! rows need it. An item fails alone. What an earlier run has done is known by its record or, where that run was
//! killed between publishing and recording, by what the output itself says of how it was made ([`crate::provenance`]).

mod claims;
mod cutlines;
pub mod expand;
mod group;
pub mod manifest;
mod status;

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::StreamExt;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::clip::Workers;
use crate::clip::selection::Selection;
use crate::error::{Error, Result};
use crate::observe::Observer;
use crate::options::ClipOptions;
use crate::sink::SinkOptions;
use crate::store::StoreOptions;
use cutlines::Cutlines;
use group::Pass;
use manifest::{Group, Manifest, Row};
use status::{Record, Status};

/// One clip of a batch.
#[derive(Clone, Debug)]
pub struct Item {
    /// The raster.
    pub src: String,
    /// Which of its images.
    pub ifd: Option<usize>,
    /// The output.
    pub dst: String,
    /// What to cut along.
    pub selection: Selection,
    /// How it is clipped.
    pub options: ClipOptions,
    /// How it is written.
    pub sink: SinkOptions,
    /// Where its STAC Item goes, if there is to be one: see [`crate::clip::described::place_of`].
    pub stac: Option<String>,
}

/// What is made of an existing destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IfExists {
    /// The item fails.
    #[default]
    Fail,
    /// The item is skipped.
    Skip,
    /// It is replaced.
    Overwrite,
}

/// How a batch is run.
#[derive(Clone, Debug)]
pub struct BatchOptions {
    /// Sources that are worked on at a time.
    pub jobs: usize,
    /// What is made of an existing destination.
    pub if_exists: IfExists,
    /// Whether nothing more is begun once an item has failed.
    pub fail_fast: bool,
    /// Whether what an earlier run has done is left as it is.
    pub resume: bool,
    /// Which part of the manifest is done, from 0, and of how many.
    pub shard: (usize, usize),
    /// Only plan: read headers and cutlines, and say what it would take.
    pub dry_run: bool,
    /// Bytes of memory for all together.
    pub max_memory: u64,
    /// How sources and cutlines are read.
    pub reading: StoreOptions,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self {
            jobs: 8,
            if_exists: IfExists::Fail,
            fail_fast: false,
            resume: false,
            shard: (0, 1),
            dry_run: false,
            max_memory: 512 << 20,
            reading: StoreOptions::default(),
        }
    }
}

/// What became of a batch, or what it would take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Items of the manifest, or of its shard.
    pub items: u64,
    /// Items that are published now.
    pub done: u64,
    /// Items that an earlier run had published already.
    pub already: u64,
    /// Items that were left out: no overlap, or a destination that exists.
    pub skipped: u64,
    /// Items that failed.
    pub failed: u64,
    /// Items that a dry run has planned.
    pub planned: u64,
    /// Items that were not begun, or not ended, because the batch was stopped.
    pub left: u64,
    /// Requests to sources: made, or of a dry run to be made, headers too.
    pub requests: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Bytes published; of a dry run the outputs' samples before compression.
    pub written: u64,
}

/// What an item came to, for whoever shows progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Published.
    Done,
    /// Published by an earlier run.
    Already,
    /// Left out.
    Skipped,
    /// Failed.
    Failed,
    /// Planned, by a dry run.
    Planned,
}

/// Is told of items as they end.
pub trait Progress: Send + Sync {
    /// One more item has ended this way; `bytes` were written.
    fn ended(&self, outcome: Outcome, bytes: u64);
}

/// Makes an item of a row.
pub type Make = dyn Fn(&Row) -> Result<Item> + Send + Sync;

/// A batch that is ready to run.
pub struct Batch {
    manifest: Arc<Manifest>,
    groups: Vec<Group>,
    make: Box<Make>,
    options: BatchOptions,
    known: HashMap<u128, Record>,
    status: Status,
    observer: Arc<dyn Observer>,
    progress: Arc<dyn Progress>,
    workers: Workers,
    cutlines: Cutlines,
    stop: CancellationToken,
    tally: Tally,
}

#[derive(Default)]
struct Tally {
    done: AtomicU64,
    already: AtomicU64,
    skipped: AtomicU64,
    failed: AtomicU64,
    planned: AtomicU64,
    requests: AtomicU64,
    bytes: AtomicU64,
    written: AtomicU64,
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch")
            .field("options", &self.options)
            .field("items", &self.items())
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Lines<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::To(_) => f.write_str("To"),
        }
    }
}

/// Where lines of status go.
pub enum Lines<'a> {
    /// To the end of this file, which a run that resumes reads first.
    File(&'a Path),
    /// There.
    To(Box<dyn Write + Send>),
}

impl Batch {
    /// A batch of the rows of `manifest`, of which `make` makes items. Nothing is read but the status of an earlier run, if
    /// `options.resume` and `lines` is a file. `stop` tells it to begin nothing more.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] for a shard that there is not; [`crate::ErrorKind::Io`] when the status cannot be read or written.
    pub fn new(
        manifest: Arc<Manifest>,
        make: Box<Make>,
        options: BatchOptions,
        lines: Lines<'_>,
        (observer, progress): (Arc<dyn Observer>, Arc<dyn Progress>),
        stop: CancellationToken,
    ) -> Result<Self> {
        let (index, count) = options.shard;
        if index >= count {
            return Err(Error::usage(format!(
                "there is no shard {index} of {count}: they are counted from 0, to {}",
                count.saturating_sub(1)
            )));
        }
        let mut known = HashMap::new();
        let status = match lines {
            Lines::To(out) => Status::to(out),
            Lines::File(path) => {
                if options.resume {
                    known = status::read(path)?;
                }
                Status::append(path)?
            }
        };
        let groups = manifest.groups(options.shard);
        let workers = Workers::new(&ClipOptions::default());
        Ok(Self {
            manifest,
            groups,
            make,
            options,
            known,
            status,
            observer,
            progress,
            workers,
            cutlines: Cutlines::default(),
            stop,
            tally: Tally::default(),
        })
    }

    /// Number of items.
    #[must_use]
    pub fn items(&self) -> u64 {
        self.groups.iter().map(|group| group.rows.len() as u64).sum()
    }

    /// Does all items. That some of them failed is no error: see [`Summary::failed`].
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] when the status cannot be written.
    pub async fn run(self) -> Result<Summary> {
        let batch = Arc::new(self);
        let jobs = batch.options.jobs.max(1);
        let numbers = 0..batch.groups.len();
        let mut running = futures::stream::iter(numbers)
            .map(|number| {
                let batch = Arc::clone(&batch);
                async move {
                    let Some(group) = batch.groups.get(number) else { return Ok(()) };
                    if batch.stop.is_cancelled() {
                        return Ok(());
                    }
                    Pass { batch: &batch, group }.run().await
                }
            })
            .buffer_unordered(jobs);
        while let Some(ended) = running.next().await {
            ended?;
        }
        drop(running);
        Ok(batch.summary())
    }

    fn summary(&self) -> Summary {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let tally = &self.tally;
        let mut summary = Summary {
            items: self.items(),
            done: of(&tally.done),
            already: of(&tally.already),
            skipped: of(&tally.skipped),
            failed: of(&tally.failed),
            planned: of(&tally.planned),
            left: 0,
            requests: of(&tally.requests),
            bytes: of(&tally.bytes),
            written: of(&tally.written),
        };
        let ended = summary.done + summary.already + summary.skipped + summary.failed + summary.planned;
        summary.left = summary.items.saturating_sub(ended);
        summary
    }

    /// Bytes of memory for one source.
    fn share_of_memory(&self) -> u64 {
        self.options.max_memory / self.options.jobs.clamp(1, self.groups.len().max(1)) as u64
    }

    fn ended(&self, outcome: Outcome, bytes: u64) {
        let count = match outcome {
            Outcome::Done => &self.tally.done,
            Outcome::Already => &self.tally.already,
            Outcome::Skipped => &self.tally.skipped,
            Outcome::Failed => &self.tally.failed,
            Outcome::Planned => &self.tally.planned,
        };
        count.fetch_add(1, Ordering::Relaxed);
        self.tally.written.fetch_add(bytes, Ordering::Relaxed);
        self.progress.ended(outcome, bytes);
        if outcome == Outcome::Failed && self.options.fail_fast {
            self.stop.cancel();
        }
    }
}

/// What tells a row from all others, in any manifest: all that it says.
fn key_of(row: &Row) -> u128 {
    // A map is in the order of its names.
    let text = serde_json::to_vec(row).unwrap_or_default();
    Sha256::digest(text).first_chunk().map_or(0, |bytes| u128::from_le_bytes(*bytes))
}
