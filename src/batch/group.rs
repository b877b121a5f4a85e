//! The items of one source.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use serde_json::json;

use super::claims::{CLAIMS, contradictions};
use super::manifest::Group;
use super::status::{self, Record};
use super::{Batch, IfExists, Item, Outcome, key_of};
use crate::clip::described::{Described, place_of};
use crate::clip::split::Output;
use crate::clip::{Cog, Report, warnings};
use crate::error::{Error, ErrorKind, Result};
use crate::header::Header;
use crate::limits::Limits;
use crate::options::ClipOptions;
use crate::plan::Plan;
use crate::provenance::Provenance;
use crate::source::Source;

/// Items that are planned together: their tiles are fetched once.
const TOGETHER: usize = 2000;

/// Bytes of one output that wait for its end, at most: what is more goes on its way.
const OUTPUT_BYTES: u64 = 8 << 20;

/// One source and its items.
pub(super) struct Pass<'a> {
    pub(super) batch: &'a Batch,
    pub(super) group: &'a Group,
}

/// An item, and its row.
struct Job {
    number: u64,
    key: u128,
    item: Item,
    /// What an earlier run has recorded.
    known: Option<Record>,
    /// What a STAC document says of the source.
    claims: Option<serde_json::Value>,
}

/// An item that is to be made.
struct Planned {
    job: Job,
    plan: Plan,
    made_of: Provenance,
    /// Bytes that it holds, about.
    held: u64,
}

/// What an earlier run has made of an item.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It is done, and has been told of.
    Done,
    /// It was done, of what has changed since.
    Outdated,
    /// Nothing is known, or the destination is no longer what was written.
    Unknown,
}

/// An image of a file, which is opened once: where it is, and which directory.
type Image = (String, Option<usize>);

/// The images that rows have asked for so far.
#[derive(Default)]
struct Images {
    open: HashMap<Image, Cog>,
    /// Those that could not be opened: not tried again for every item.
    closed: HashMap<Image, Failure>,
}

impl Pass<'_> {
    /// Does the items.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when the status cannot be written.
    pub(super) async fn run(&self) -> Result<()> {
        let mut images = Images::default();
        let done = self.rows(&mut images).await;
        // What was fetched counts, however it ended.
        for cog in images.open.values() {
            let stats = cog.stats();
            self.count(stats.requests, stats.bytes);
        }
        done
    }

    async fn rows(&self, images: &mut Images) -> Result<()> {
        let mut planned: Vec<Planned> = Vec::new();
        let mut held = 0;
        for &number in &self.group.rows {
            if self.batch.stop.is_cancelled() {
                return Ok(());
            }
            let Some(job) = self.job(number).await? else { continue };
            if let Some(one) = self.look(images, job).await? {
                held += one.held;
                planned.push(one);
            }
            if planned.len() >= TOGETHER || held > self.batch.share_of_memory() / 2 {
                self.make(&mut images.open, std::mem::take(&mut planned)).await?;
                held = 0;
            }
        }
        self.make(&mut images.open, planned).await
    }

    /// Plans an item. `None` when there is nothing to make of it, which has been said.
    async fn look(&self, images: &mut Images, job: Job) -> Result<Option<Planned>> {
        let image = (job.item.src.clone(), job.item.ifd);
        if let Some(failure) = images.closed.get(&image) {
            self.failed_so(&job, failure).await?;
            return Ok(None);
        }
        let cog = match images.open.remove(&image) {
            Some(cog) => cog,
            None => match self.open(&image, &job.item.options.limits).await {
                Ok(cog) => cog,
                Err(error) => {
                    let failure = Failure::of(&error);
                    self.failed_so(&job, &failure).await?;
                    images.closed.insert(image, failure);
                    return Ok(None);
                }
            },
        };
        let (mut cog, found) = self.plan(cog, &job.item).await;
        let looked = match found {
            Err(error) => self.failed(&job, &error).await.map(|()| None),
            Ok((None, _)) => self.skipped(&job, "no overlap").await.map(|()| None),
            Ok((Some(plan), made_of)) if self.batch.options.dry_run => {
                self.weigh(&mut cog, job, plan, made_of).await
            }
            Ok((Some(plan), made_of)) => self.unless_done(&cog, job, plan, made_of).await,
        };
        images.open.insert(image, cog);
        looked
    }

    /// An item that is planned, unless an earlier run has done it, or its STAC Item cannot be written.
    async fn unless_done(
        &self,
        cog: &Cog,
        mut job: Job,
        plan: Plan,
        made_of: Provenance,
    ) -> Result<Option<Planned>> {
        match self.standing(cog, &job, &plan, &made_of).await {
            Ok(Standing::Done) => Ok(None),
            Ok(standing) => {
                // What an earlier run has written, and nobody has touched since, is its own to replace.
                job.item.sink.overwrite |=
                    standing == Standing::Outdated || self.batch.options.if_exists == IfExists::Overwrite;
                if let Some(place) = &job.item.stac {
                    // Nothing of it is kept: thousands may be planned at a time.
                    if let Err(error) = Described::begin(place, &job.item.dst, &job.item.sink).await {
                        return self.ended_badly(&job, &error).await.map(|()| None);
                    }
                }
                let held = bytes_of(cog, &plan);
                Ok(Some(Planned { job, plan, made_of, held }))
            }
            Err(error) => self.failed(&job, &error).await.map(|()| None),
        }
    }

    /// The item of a row; `None` when the row makes none, which has been said.
    async fn job(&self, number: u64) -> Result<Option<Job>> {
        let row = self.batch.manifest.row(number)?;
        let key = key_of(&row);
        match (self.batch.make)(&row) {
            Ok(item) => {
                let known = self.batch.known.get(&key).cloned();
                Ok(Some(Job { number, key, item, known, claims: row.get(CLAIMS).cloned() }))
            }
            Err(error) => {
                let text = |name: &str| row.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
                let mut line = status::head(number, key, "failed", text("src"), text("dst"));
                Failure::of(&error).tell(&mut line);
                self.batch.status.line(&line).await?;
                self.batch.ended(Outcome::Failed, 0);
                Ok(None)
            }
        }
    }

    async fn open(&self, (src, ifd): &Image, limits: &Limits) -> Result<Cog> {
        let mut cog = Cog::open_image(src, *ifd, &self.batch.options.reading, limits).await?;
        cog.share(&self.batch.workers);
        Ok(cog)
    }

    /// The plan of an item, and what it is made of.
    async fn plan(&self, cog: Cog, item: &Item) -> (Cog, Result<(Option<Plan>, Provenance)>) {
        let selected = match self.batch.cutlines.read(&cog, item, &self.batch.options.reading).await {
            Ok(selected) => selected,
            Err(error) => return (cog, Err(error)),
        };
        let options = ClipOptions { max_memory: self.batch.share_of_memory(), ..item.options.clone() };
        // Burning a large cutline takes a while.
        let work = move || {
            let found = (|| {
                let cutline = selected.united(&options)?;
                let made_of = cog.provenance(&cutline, &options);
                Ok((cog.plan(&cutline, &options)?, made_of))
            })();
            (cog, found)
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(done) => done,
            Err(error) => std::panic::resume_unwind(match error.try_into_panic() {
                Ok(panic) => panic,
                Err(_cancelled) => Box::new("planning was cancelled"),
            }),
        }
    }

    /// What an earlier run has made of it.
    async fn standing(&self, cog: &Cog, job: &Job, plan: &Plan, made_of: &Provenance) -> Result<Standing> {
        if !self.batch.options.resume {
            return Ok(Standing::Unknown);
        }
        if let Some(known) = &job.known {
            let there = Source::open(&job.item.dst, &job.item.sink.store)?;
            match there.head(1).await {
                Ok(_) => {}
                Err(error) if error.is_absent() => return Ok(Standing::Unknown),
                Err(error) => return Err(error),
            }
            let is_ours = there.meta().is_some_and(|meta| meta.etag == known.etag && meta.size == known.size);
            let alike = known.source_etag == cog.meta().and_then(|meta| meta.etag)
                && known.cutline.as_ref() == Some(&made_of.cutline)
                && known.options.as_ref() == Some(&made_of.options);
            if is_ours && alike && self.is_described(job).await? {
                self.batch.ended(Outcome::Already, 0);
                return Ok(Standing::Done);
            }
            return Ok(if is_ours { Standing::Outdated } else { Standing::Unknown });
        }
        // It may have been published by a run that was killed before it could say so.
        if plan.provenance.is_none() {
            return Ok(Standing::Unknown);
        }
        match Cog::open(&job.item.dst, &job.item.sink.store, &job.item.options.limits).await {
            Ok(found)
                if found.header().metadata.as_deref().is_some_and(|text| made_of.is_in(text))
                    && !self.is_described(job).await? =>
            {
                // The run was killed before it had described the output.
                Ok(Standing::Outdated)
            }
            Ok(found) if found.header().metadata.as_deref().is_some_and(|text| made_of.is_in(text)) => {
                let mut line = line_of(job, "done");
                line["found"] = true.into();
                let meta = found.meta();
                line["source_etag"] = cog.meta().and_then(|meta| meta.etag).into();
                line["cutline_sha256"] = made_of.cutline.clone().into();
                line["options_sha256"] = made_of.options.clone().into();
                line["size"] = meta.as_ref().map(|meta| meta.size).into();
                line["etag"] = meta.and_then(|meta| meta.etag).into();
                self.batch.status.line(&line).await?;
                self.batch.ended(Outcome::Already, 0);
                Ok(Standing::Done)
            }
            // What cannot be read as a raster is none of ours; what cannot be reached will say so when it is written.
            Ok(_) | Err(_) => Ok(Standing::Unknown),
        }
    }

    /// Whether the STAC Item that an output is to have is there; also when it is to have none.
    async fn is_described(&self, job: &Job) -> Result<bool> {
        let Some(place) = &job.item.stac else { return Ok(true) };
        let there = Source::open(&place_of(place, &job.item.dst), &job.item.sink.store)?;
        match there.head(1).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_absent() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes items, those of one image in one pass over it.
    async fn make(&self, open: &mut HashMap<Image, Cog>, planned: Vec<Planned>) -> Result<()> {
        let mut by_image: Vec<(Image, Vec<Planned>)> = Vec::new();
        for one in planned {
            let image = (one.job.item.src.clone(), one.job.item.ifd);
            match by_image.iter_mut().find(|(other, _)| *other == image) {
                Some((_, all)) => all.push(one),
                None => by_image.push((image, vec![one])),
            }
        }
        for (image, items) in by_image {
            let Some(cog) = open.get_mut(&image) else { continue };
            if self.batch.options.dry_run {
                self.sum(cog, &items).await;
            } else {
                self.pass(cog, items).await?;
            }
        }
        Ok(())
    }

    /// One pass over the source.
    async fn pass(&self, cog: &mut Cog, items: Vec<Planned>) -> Result<()> {
        let Some(first) = items.first() else { return Ok(()) };
        let reading =
            ClipOptions { max_memory: self.batch.share_of_memory(), ..first.job.item.options.clone() };
        let started = Instant::now();
        let etag = cog.meta().and_then(|meta| meta.etag);
        let (uri, header) = (cog.uri().to_owned(), cog.header().clone());
        let mut jobs = Vec::with_capacity(items.len());
        let mut outputs = Vec::with_capacity(items.len());
        for Planned { job, plan, made_of, .. } in items {
            let Item { dst, options, sink, .. } = &job.item;
            let options = ClipOptions { max_memory: reading.max_memory, ..options.clone() };
            outputs.push(Output {
                name: dst.clone(),
                plan,
                destination: dst.clone(),
                options: Arc::new(options),
                sink: Arc::new(sink.clone()),
            });
            jobs.push(Some((job, made_of)));
        }
        let finish = async |job: &Job, made_of: &Provenance, made: Result<Report>| match made {
            Ok(report) => match describe(job, &uri, &header, &report).await {
                Ok(()) => self.done(job, made_of, (etag.as_deref(), &header), &report, started).await,
                Err(error) => self.failed(job, &error).await,
            },
            Err(error) => self.ended_badly(job, &error).await,
        };
        if let ([output], [slot]) = (&mut *outputs, &mut *jobs) {
            // Alone, tiles may be copied as they are stored.
            let Output { plan, destination, options, sink, .. } = output;
            let made = cog.clip(plan.clone(), destination, options, sink, &*self.batch.observer).await;
            if let Some((job, made_of)) = slot.take() {
                finish(&job, &made_of, made).await?;
            }
            return Ok(());
        }
        // Lines are written by a task beside the pass, since the local ones look at what is there.
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let mut ended = move |number: usize, made: Result<Report>| {
            // A receiver that is gone has failed, which is said below.
            sender.send((number, made)).map_err(|_gone| Error::io("the status could not be written"))
        };
        let observer = Arc::clone(&self.batch.observer);
        let work = async {
            let made = cog.each(&mut outputs, &reading, &*observer, &mut ended).await;
            drop(ended);
            made
        };
        let write = async {
            while let Some((number, made)) = receiver.recv().await {
                if let Some((job, made_of)) = jobs.get_mut(number).and_then(Option::take) {
                    finish(&job, &made_of, made).await?;
                }
            }
            Ok(())
        };
        let (made, written): (_, Result<()>) = futures::join!(work, write);
        written?;
        if let Err(error) = made {
            // The source could not be read on: so far as they are not done, none of them can be.
            for (job, _) in jobs.iter().flatten() {
                self.failed(job, &error).await?;
            }
        }
        Ok(())
    }

    async fn done(
        &self,
        job: &Job,
        made_of: &Provenance,
        (source_etag, header): (Option<&str>, &Header),
        report: &Report,
        started: Instant,
    ) -> Result<()> {
        let mut etag = report.published.etag.clone();
        if etag.is_none() {
            // A local file is known by its size and time.
            let there = Source::open(&job.item.dst, &job.item.sink.store)?;
            if there.head(1).await.is_ok() {
                etag = there.meta().and_then(|meta| meta.etag);
            }
        }
        let (size, counts) = (report.plan.size(), report.counts);
        let mut line = line_of(job, "done");
        line["source_etag"] = source_etag.into();
        line["cutline_sha256"] = made_of.cutline.clone().into();
        line["options_sha256"] = made_of.options.clone().into();
        line["etag"] = etag.into();
        line["size"] = report.published.size.into();
        line["sha256"] = report.published.sha256.clone().into();
        line["width"] = size.width.into();
        line["height"] = size.height.into();
        line["inside"] = counts.inside.into();
        line["valid"] = counts.valid.into();
        let claimed = job.claims.iter().flat_map(|claims| contradictions(claims, header));
        line["warnings"] = warnings::of(report).into_iter().chain(claimed).collect();
        line["milliseconds"] = json!((started.elapsed().as_secs_f64() * 1e3).round());
        self.batch.status.line(&line).await?;
        self.batch.ended(Outcome::Done, report.published.size);
        Ok(())
    }

    async fn skipped(&self, job: &Job, reason: &str) -> Result<()> {
        let mut line = line_of(job, "skipped");
        line["reason"] = reason.into();
        self.batch.status.line(&line).await?;
        self.batch.ended(Outcome::Skipped, 0);
        Ok(())
    }

    /// Left out if its destination exists and that is to be so, else failed.
    async fn ended_badly(&self, job: &Job, error: &Error) -> Result<()> {
        if error.kind() == ErrorKind::Exists && self.batch.options.if_exists == IfExists::Skip {
            return self.skipped(job, "the destination exists").await;
        }
        self.failed(job, error).await
    }

    async fn failed(&self, job: &Job, error: &Error) -> Result<()> {
        self.failed_so(job, &Failure::of(error)).await
    }

    async fn failed_so(&self, job: &Job, failure: &Failure) -> Result<()> {
        let mut line = line_of(job, "failed");
        failure.tell(&mut line);
        self.batch.status.line(&line).await?;
        self.batch.ended(Outcome::Failed, 0);
        Ok(())
    }

    fn count(&self, requests: u64, bytes: u64) {
        self.batch.tally.requests.fetch_add(requests, Ordering::Relaxed);
        self.batch.tally.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Adds up what items of one image would take together.
    async fn sum(&self, cog: &mut Cog, items: &[Planned]) {
        let Some(first) = items.first() else { return };
        let options = &first.job.item.options;
        let found = match items {
            [alone] => cog.requests(&alone.plan, options).await,
            _ => cog.requests_of_all(items.iter().map(|item| &item.plan), options).await,
        };
        // What cannot be asked for has been said of the item.
        if let Ok(requests) = found {
            self.count(requests.count(), requests.bytes());
        }
    }

    /// Says what an item would take by itself.
    async fn weigh(
        &self,
        cog: &mut Cog,
        job: Job,
        plan: Plan,
        made_of: Provenance,
    ) -> Result<Option<Planned>> {
        let found = cog.requests(&plan, &job.item.options).await;
        let requests = match found {
            Ok(requests) => requests,
            Err(error) => return self.failed(&job, &error).await.map(|()| None),
        };
        let pixels = plan.size().pixels().saturating_mul(plan.output_bands() as u64);
        let samples = pixels.saturating_mul(cog.header().sample_type.bytes() as u64);
        let mut line = line_of(&job, "planned");
        line["requests"] = requests.count().into();
        line["bytes"] = requests.bytes().into();
        line["output_samples"] = samples.into();
        self.batch.status.line(&line).await?;
        self.batch.ended(Outcome::Planned, samples);
        let held = bytes_of(cog, &plan);
        Ok(Some(Planned { job, plan, made_of, held }))
    }
}

/// Publishes the STAC Item of an output, if there is to be one.
async fn describe(job: &Job, uri: &str, header: &Header, report: &Report) -> Result<()> {
    let Some(place) = &job.item.stac else { return Ok(()) };
    let described = Described::begin(place, &job.item.dst, &job.item.sink).await;
    let described = described.map_err(|error| error.at("the output is published, but not its STAC Item"))?;
    described.publish(uri, header, report).await
}

fn line_of(job: &Job, status: &str) -> serde_json::Value {
    status::head(job.number, job.key, status, &job.item.src, &job.item.dst)
}

/// What went wrong, as lines say it.
struct Failure {
    exit_code: u8,
    text: String,
}

impl Failure {
    fn of(error: &Error) -> Self {
        Self { exit_code: error.kind().exit_code(), text: error.with_causes() }
    }

    fn tell(&self, line: &mut serde_json::Value) {
        line["exit_code"] = self.exit_code.into();
        line["error"] = self.text.clone().into();
    }
}

/// What a plan and the output that it makes hold, about.
fn bytes_of(cog: &Cog, plan: &Plan) -> u64 {
    let tiles = plan.tiles.len() + plan.mask_tiles.len();
    let samples = plan.size().pixels().saturating_mul(plan.output_bands() as u64);
    let output = samples.saturating_mul(cog.header().sample_type.bytes() as u64).min(OUTPUT_BYTES);
    plan.mask.bytes().saturating_add(tiles as u64 * 16).saturating_add(output).saturating_add(4096)
}
