//! Many clips of one source in one pass: every tile is fetched and decoded once, however many outputs need it.
//!
//! The tiles come in the order of the source, row by row. An output begins with the first tile that it needs and is
//! published with the last, so that what is open at a time is what the present row of tiles touches.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::stream::{FuturesUnordered, StreamExt};
use futures::{FutureExt, Stream};
use tokio::sync::{Semaphore, mpsc};

use super::arrival::{Arrival, arrivals};
use super::memory::Shares;
use super::transfer::Transfers;
use super::{Cog, Fetches, Report};
use crate::compose::Piece;
use crate::error::{Error, Result};
use crate::fetch::{self, Needed, Requests, Which};
use crate::grid::TileIndex;
use crate::observe::{Event, Observer};
use crate::options::ClipOptions;
use crate::plan::{Passage, Plan};
use crate::sink::{Sink, SinkOptions};

/// Tiles that an output may lag behind the others before these wait for it.
const LAG_TILES: usize = 2;

/// Bytes of one output that are kept in memory: many are open at a time.
const SPILL_BYTES: u64 = 4 << 20;

/// One output of a split.
#[derive(Clone, Debug)]
pub struct Output {
    /// What it is called in messages and in the report.
    pub name: String,
    /// What it holds.
    pub plan: Plan,
    /// Where it goes.
    pub destination: String,
    /// How it is made. How the source is read is for all outputs together.
    pub options: Arc<ClipOptions>,
    /// How it is written.
    pub sink: Arc<SinkOptions>,
}

/// What a split did.
#[derive(Clone, Debug)]
pub struct SplitReport {
    /// The outputs, in the order given, each with its report. What was fetched stands in `fetched`, for all together.
    pub outputs: Vec<(Output, Report)>,
    /// What was fetched for all of them.
    pub fetched: Fetches,
    /// Time from the first request to the last output.
    pub time: Duration,
}

impl Cog {
    /// Carries out many plans in one pass over the source, which is read as `options` says. Every output is published whole, or
    /// not at all; after an error those that were published before it stay.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] when two outputs have one destination; else as [`Cog::clip`], the message led by the
    /// destination that failed.
    pub async fn split(
        &mut self,
        mut outputs: Vec<Output>,
        options: &ClipOptions,
        observer: &dyn Observer,
    ) -> Result<SplitReport> {
        let start = Instant::now();
        distinct(&outputs)?;
        let mut reports: Vec<Option<Report>> = outputs.iter().map(|_| None).collect();
        let of = reports.len();
        let mut published = 0;
        let mut ended = |number: usize, made: Result<Report>| {
            let report =
                made.map_err(|error| Error::at(error, format!("after {published} of {of} outputs")))?;
            published += 1;
            let bytes = report.published.size;
            observer.event(&Event::Output { done: published, of: of as u64, bytes });
            if let Some(place) = reports.get_mut(number) {
                *place = Some(report);
            }
            Ok(())
        };
        let fetched = self.each(&mut outputs, options, observer, &mut ended).await?;
        let outputs = outputs.into_iter().zip(reports.into_iter().flatten()).collect();
        Ok(SplitReport { outputs, fetched, time: start.elapsed() })
    }

    /// Carries out many plans in one pass over the source, and tells `ended` of each output by its place in `outputs` as soon as it
    /// is published, or has failed. An output that fails leaves the others alone, unless `ended` returns an error, which ends all.
    /// `options` say how the source is read: requests and memory ahead, limits, threads.
    ///
    /// # Errors
    /// Those of `ended`; and when the source could not be read on: as [`Cog::clip`]. Outputs that `ended` was not told of by then are
    /// not published.
    pub async fn each(
        &mut self,
        outputs: &mut [Output],
        options: &ClipOptions,
        observer: &dyn Observer,
        ended: Ended<'_>,
    ) -> Result<Fetches> {
        for output in &mut *outputs {
            // Tiles are decoded for all outputs that need them.
            output.plan.passage = Passage::default();
        }
        let Some(first) = outputs.first() else { return Ok(Fetches::default()) };
        let shares = self.shares(&first.plan, options, &first.sink)?;
        let mut fetched = Fetches::default();
        let mut wanted: Vec<usize> = (0..outputs.len()).collect();
        while !wanted.is_empty() {
            let needed = Needed::by(wanted.iter().filter_map(|&n| outputs.get(n)).map(|output| &output.plan));
            let requests = fetch::requests(
                &self.source,
                &mut self.fetched,
                &self.header,
                &needed,
                options.requests,
                &options.limits,
            )
            .await?;
            fetched.tiles += requests.tiles();
            fetched.requests += requests.count();
            fetched.bytes += requests.bytes();
            fetched.sparse += requests.sparse;
            observer.event(&Event::Planned {
                tiles: requests.tiles(),
                requests: requests.count(),
                bytes: requests.bytes(),
                output: wanted.iter().filter_map(|&n| outputs.get(n)).map(|output| output.plan.tiles()).sum(),
            });
            let pass = Pass { cog: self, outputs, options, shares, observer };
            let again = pass.run(&wanted, &requests, &mut *ended).await?;
            // The nodata value that was chosen for these is held by valid pixels: once more, with an internal mask.
            for &(number, samples) in &again {
                observer.event(&Event::NoDataTaken { samples });
                if let Some(output) = outputs.get_mut(number) {
                    output.plan.validity = output.plan.validity.with_mask_instead();
                }
            }
            wanted = again.into_iter().map(|(number, _)| number).collect();
        }
        Ok(fetched)
    }
}

/// Is told of an output, by its place, that was published or has failed. An error from it ends all others.
pub type Ended<'a> = &'a mut (dyn FnMut(usize, Result<Report>) -> Result<()> + Send);

/// Refuses outputs that would replace one another.
fn distinct(outputs: &[Output]) -> Result<()> {
    let mut seen = HashMap::new();
    for output in outputs {
        if let Some(first) = seen.insert(output.destination.as_str(), &output.name) {
            return Err(Error::usage(format!(
                "{first} and {} have the same destination, {}; name them by what tells them apart, such as {{fid}}",
                output.name,
                crate::store::redact(&output.destination)
            )));
        }
    }
    Ok(())
}

/// One pass over the source.
struct Pass<'a> {
    cog: &'a Cog,
    outputs: &'a [Output],
    options: &'a ClipOptions,
    /// Of what is read for all.
    shares: Shares,
    observer: &'a dyn Observer,
}

/// Which outputs need a tile.
type Routes = HashMap<(bool, u16, TileIndex), Vec<usize>>;

/// What became of one output: its report, or how many valid samples hold the nodata value that was chosen.
type Outcome = (usize, Result<Result<Report, u64>>);

impl Pass<'_> {
    /// Makes the outputs `wanted`. Returns those to be made again, with the number of samples that are the reason.
    async fn run(
        &self,
        wanted: &[usize],
        requests: &Requests,
        ended: Ended<'_>,
    ) -> Result<Vec<(usize, u64)>> {
        let mut routes = Routes::new();
        let mut missing: HashMap<usize, usize> = HashMap::new();
        for &number in wanted {
            let Some(output) = self.outputs.get(number) else { continue };
            let lists = [(false, &output.plan.tiles), (true, &output.plan.mask_tiles)];
            for (mask, &(plane, tile)) in
                lists.into_iter().flat_map(|(mask, list)| list.iter().map(move |t| (mask, t)))
            {
                routes.entry((mask, plane, tile)).or_default().push(number);
                *missing.entry(number).or_default() += 1;
            }
        }
        let workers = self.cog.workers(self.options);
        let publishing = Semaphore::new(self.options.requests.max(1));
        let mut running = FuturesUnordered::new();
        let mut done = Done { ended, again: Vec::new() };
        // Those that need no tile at all.
        for &number in wanted.iter().filter(|number| !missing.contains_key(number)) {
            let (sender, receiver) = mpsc::channel(LAG_TILES);
            drop(sender);
            running.push(self.output(number, receiver, &workers, &publishing));
        }
        let mut open: HashMap<usize, mpsc::Sender<(Which, TileIndex, Piece)>> = HashMap::new();
        let how = (self.options, self.shares);
        let arrivals =
            arrivals(&self.cog.source, &self.cog.header, requests, None, how, &workers, self.observer);
        futures::pin_mut!(arrivals);
        loop {
            let next = tokio::select! {
                next = arrivals.next() => next,
                Some(outcome) = running.next(), if !running.is_empty() => {
                    done.take(outcome)?;
                    continue;
                }
            };
            let Some(arrival) = next else { break };
            let Arrival { which, index, piece, .. } = arrival.map_err(|error| error.at(self.cog.uri()))?;
            let Some(piece) = piece else { continue };
            let key = (which == Which::Mask, piece.plane, index);
            for number in routes.remove(&key).unwrap_or_default() {
                let sender = open.remove(&number).unwrap_or_else(|| {
                    let (sender, receiver) = mpsc::channel(LAG_TILES);
                    running.push(self.output(number, receiver, &workers, &publishing));
                    sender
                });
                {
                    let send = sender.send((which, index, piece.clone()));
                    futures::pin_mut!(send);
                    loop {
                        tokio::select! {
                            // A closed channel means that the output failed, which its outcome will say.
                            _ = &mut send => break,
                            Some(outcome) = running.next(), if !running.is_empty() => done.take(outcome)?,
                        }
                    }
                }
                let left = missing.entry(number).or_insert(1);
                *left -= 1;
                // The sender of the last tile is dropped, which tells the output that nothing more comes.
                if *left > 0 {
                    open.insert(number, sender);
                }
            }
        }
        drop(open);
        while let Some(outcome) = running.next().await {
            done.take(outcome)?;
        }
        Ok(done.again)
    }

    async fn output(
        &self,
        number: usize,
        pieces: mpsc::Receiver<(Which, TileIndex, Piece)>,
        workers: &Arc<Semaphore>,
        publishing: &Semaphore,
    ) -> Outcome {
        let Some(output) = self.outputs.get(number) else {
            return (number, Err(Error::usage("an output that is not there")));
        };
        let made = self.make(output, stream_of(pieces), workers, publishing).await;
        (number, made.map_err(|error| error.at(&output.name)))
    }

    async fn make(
        &self,
        output: &Output,
        arrivals: impl Stream<Item = Result<Arrival>>,
        workers: &Arc<Semaphore>,
        publishing: &Semaphore,
    ) -> Result<Result<Report, u64>> {
        let start = Instant::now();
        let plan = &output.plan;
        let cancelled = |_closed| Error::io("the split was cancelled");
        let mut out = {
            let _permit = publishing.acquire().await.map_err(cancelled)?;
            let spill = output.sink.spill.min(SPILL_BYTES);
            Sink::create(&output.destination, &SinkOptions { spill, ..(*output.sink).clone() }).await?
        };
        let none = Transfers::default();
        let shares = self.cog.shares(plan, &output.options, &output.sink)?;
        let job = self.cog.job(plan, (&output.options, shares), self.observer, workers, &none)?;
        let done = match job.run(arrivals, &mut out).await {
            Ok(done) => done,
            Err(error) => {
                return Err(out.abandon(error).await);
            }
        };
        if plan.validity.is_chosen() && done.counts.hidden > 0 {
            out.abort().await;
            return Ok(Err(done.counts.hidden));
        }
        let worked = start.elapsed();
        let _permit = publishing.acquire().await.map_err(cancelled)?;
        let published = out.publish(done.head.into()).await?;
        let times = (Duration::ZERO, worked, start.elapsed().saturating_sub(worked));
        Ok(Ok(Report {
            plan: plan.clone(),
            counts: done.counts,
            fetched: Fetches::default(),
            tiles: done.tiles,
            copied: done.copied,
            published,
            times,
            nodata_taken: 0,
        }))
    }
}

/// What has been made.
struct Done<'a> {
    ended: Ended<'a>,
    again: Vec<(usize, u64)>,
}

impl Done<'_> {
    fn take(&mut self, (number, outcome): Outcome) -> Result<()> {
        match outcome {
            Ok(Err(samples)) => {
                self.again.push((number, samples));
                Ok(())
            }
            Ok(Ok(report)) => (self.ended)(number, Ok(report)),
            Err(error) => (self.ended)(number, Err(error)),
        }
    }
}

fn stream_of(receiver: mpsc::Receiver<(Which, TileIndex, Piece)>) -> impl Stream<Item = Result<Arrival>> {
    futures::stream::unfold(receiver, |mut receiver| {
        async move {
            let (which, index, piece) = receiver.recv().await?;
            Some((Ok(Arrival { which, index, piece: Some(piece), stored: None }), receiver))
        }
        .boxed()
    })
}
