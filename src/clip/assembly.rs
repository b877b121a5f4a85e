//! Fetch, decode, compose, encode and sink at the same time: tiles are fetched and decoded in the order of use, output
//! tiles are encoded on all cores, and the sink receives them row by row. Every stage waits for the next one.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, spawn_blocking};

use super::Copied;
use super::arrival::Arrival;
use super::halving::Halving;
use super::memory::Shares;
use super::outbox::{Item, Outbox};
use super::transfer::Transfers;
use crate::compose::{Composer, Counts, MaskedTile, Piece};
use crate::encode::layout::{self, Level};
use crate::encode::{Encoded, Encoder};
use crate::error::{Error, Result};
use crate::fetch::Which;
use crate::grid::{PixelRect, TileGrid, TileIndex};
use crate::header::Header;
use crate::limits::{Limits, within};
use crate::mask::TileClass;
use crate::observe::{Event, Observer};
use crate::options::{ClipOptions, Interleave, Resampling};
use crate::plan::{Plan, SourceValidity};
use crate::sink::Sink;
use crate::source::Source;
use crate::tile::DecodedTile;

/// By how many bytes a tile may be longer than its samples: its leader and trailer, and what a compression takes that finds
/// nothing to compress.
const TILE_EXTRA: u64 = 4096;

/// By how many bytes a stored tile may be longer than twice its samples.
const COPIED_EXTRA: u64 = 64 << 10;

/// All that one run needs.
pub(super) struct Job<'a> {
    pub(super) header: &'a Header,
    pub(super) plan: &'a Plan,
    pub(super) options: &'a ClipOptions,
    pub(super) composer: Arc<Composer>,
    pub(super) encoder: Arc<Encoder>,
    pub(super) observer: &'a dyn Observer,
    /// Permits to decode, or to compose and encode a tile: one for each thread, which several runs may share.
    pub(super) workers: Arc<Semaphore>,
    pub(super) shares: Shares,
    pub(super) source: &'a Source,
    /// What the store copies itself.
    pub(super) transfers: &'a Transfers,
}

/// What a run made: the body is in the sink, this is the rest.
pub(super) struct Done {
    pub(super) head: Vec<u8>,
    pub(super) counts: Counts,
    /// Output tiles, and how many of them are empty.
    pub(super) tiles: (u64, u64),
    pub(super) copied: Copied,
}

/// An output tile that a job finished.
struct Finished {
    level: usize,
    index: TileIndex,
    /// Its bytes; `None` when it holds no valid pixel and nothing else but what masked pixels hold.
    encoded: Option<Encoded>,
    /// The tile at half the size, when there is a further overview.
    quarter: Option<MaskedTile>,
    counts: Counts,
    copied: Copied,
}

/// An output tile that waits for source tiles.
#[derive(Default)]
struct Waiting {
    missing: usize,
    pieces: Vec<Piece>,
    masks: Vec<Piece>,
    /// Its bytes, when they are the source's.
    stored: Option<Bytes>,
}

/// An overview tile that waits for the tiles it is made of.
struct Parent {
    missing: usize,
    tile: MaskedTile,
}

impl Job<'_> {
    /// Makes the output of `arrivals`, the source's tiles in the order of the plan.
    pub(super) async fn run(
        &self,
        arrivals: impl Stream<Item = Result<Arrival>>,
        sink: &mut Sink,
    ) -> Result<Done> {
        let mut state = State::new(self);
        // No tile is longer than its samples by more than a little, whatever the compression.
        let tile = self.composer.tile_bytes().saturating_add(TILE_EXTRA);
        // Of what is copied as it is stored that is not known; but see `Image::places`.
        let is_copied = self.plan.passage.count() > 0;
        let tile = if is_copied { tile.saturating_mul(2).saturating_add(COPIED_EXTRA) } else { tile };
        let most: Vec<u64> = self.plan.levels.iter().map(|grid| grid.count().saturating_mul(tile)).collect();
        sink.expect(&most);
        let at_work = self.shares.at_work;
        let (outbox, mut handed) = Outbox::new();
        let room = Arc::clone(&outbox.room);
        let most_queued = tile.saturating_mul(at_work as u64);
        // The sink takes what it is given while other tiles are fetched and encoded.
        let handing = async {
            while let Some((section, item)) = handed.next().await {
                match item {
                    Item::Bytes(bytes) => {
                        let len = bytes.len() as u64;
                        sink.append_to(section, bytes).await?;
                        room.made(len);
                    }
                    Item::Copy(range) => sink.append_copy(section, self.source, range).await?,
                }
            }
            Ok::<(), Error>(())
        };
        futures::pin_mut!(arrivals, handing);
        let (mut jobs, mut exhausted) = (JoinSet::<Result<Finished>>::new(), false);
        loop {
            // Start what the last piece made possible, as far as there is room; only then take the next piece.
            while jobs.len() < at_work && state.start_next(self, &mut jobs) {}
            if exhausted && state.arriving.is_none() && jobs.is_empty() {
                break;
            }
            let queued = outbox.room.queued();
            tokio::select! {
                handed = &mut handing => {
                    handed?;
                    return Err(Error::io("the sink was closed"));
                }
                () = outbox.room.waits(), if queued > most_queued => {}
                Some(done) = jobs.join_next(), if !jobs.is_empty() && queued <= most_queued => {
                    let done = joined(done)?;
                    let bytes = done.encoded.as_ref().map_or(0, Encoded::image_bytes);
                    self.observer.event(&Event::Encoded { bytes: bytes as u64 });
                    state.finish(self, done, &mut jobs)?;
                    state.flush(self, &outbox)?;
                }
                arrival = arrivals.next(), if !exhausted && state.arriving.is_none() && jobs.len() < at_work => match arrival {
                    Some(arrival) => state.arrive(self, arrival?, &mut jobs)?,
                    None => exhausted = true,
                },
            }
        }
        state.flush(self, &outbox)?;
        drop(outbox);
        handing.await?;
        state.close(self)
    }

    fn next_resampling(&self) -> Resampling {
        self.options.resampling.unwrap_or(if self.header.is_classes() {
            Resampling::Nearest
        } else {
            Resampling::Average
        })
    }
}

/// Runs CPU work when there is room for it.
fn spawn(
    jobs: &mut JoinSet<Result<Finished>>,
    workers: &Arc<Semaphore>,
    work: impl FnOnce() -> Result<Finished> + Send + 'static,
) {
    let workers = Arc::clone(workers);
    jobs.spawn(async move {
        let Ok(_permit) = workers.acquire_owned().await else {
            return Err(Error::io("the clip was cancelled"));
        };
        joined(spawn_blocking(work).await)
    });
}

/// A task's result; its panic goes on here.
pub(super) fn joined<T>(result: Result<Result<T>, tokio::task::JoinError>) -> Result<T> {
    match result {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => Err(Error::io("the clip was cancelled").caused_by(error)),
    }
}

/// The tiles of a level on their way to the sink, row by row.
#[derive(Default)]
struct Run {
    /// Finished tiles that wait for their turn; `None` for those that hold nothing.
    ready: BTreeMap<u64, Option<Encoded>>,
    /// The next tile to hand to the sink.
    next: u64,
    level: Level,
}

/// The bookkeeping of a run.
struct State {
    levels: Vec<TileGrid>,
    /// Which tiles of each level hold a pixel of the cutline, row by row.
    occupied: Vec<Vec<bool>>,
    /// The source tile that came last, and the output tiles that have not seen it yet.
    arriving: Option<(Arrival, Box<dyn Iterator<Item = TileIndex> + Send>)>,
    /// Output tiles that lack some of their source tiles.
    waiting: HashMap<TileIndex, Waiting>,
    pending: Pending,
    parents: HashMap<(usize, TileIndex), Parent>,
    /// What becomes of the finished tiles of each level.
    runs: Vec<Run>,
    /// What stands for a tile that holds nothing, once one has come.
    empty: Option<Encoded>,
    /// Whether such tiles are left out.
    sparse: bool,
    /// How many of them there were.
    blank: u64,
    window: PixelRect,
    /// Image tiles of one place: one, or one for each band.
    planes: usize,
    with_mask: bool,
    counts: Counts,
    copied: Copied,
}

impl State {
    fn new(job: &Job<'_>) -> Self {
        let plan = job.plan;
        let levels = plan.levels.clone();
        let mut occupied: Vec<Vec<bool>> = Vec::with_capacity(levels.len());
        for (number, grid) in levels.iter().enumerate() {
            let tiles = grid.tiles_in(PixelRect::of(grid.image));
            let row = match number.checked_sub(1).and_then(|n| Some((levels.get(n)?, occupied.get(n)?))) {
                None => tiles.map(|tile| plan.mask.class(grid.rect(tile)) != TileClass::Outside).collect(),
                Some((below, flags)) => tiles.map(|tile| children(*below, tile).any(|n| flags[n])).collect(),
            };
            occupied.push(row);
        }
        // A tile that is left out reads as nodata in every band: an alpha band would be opaque.
        let opaque = plan.validity.alpha.is_some() && plan.validity.fill.is_some();
        let sparse = job.options.sparse && !opaque;
        Self {
            runs: levels.iter().map(|_| Run::default()).collect(),
            levels,
            occupied,
            arriving: None,
            waiting: HashMap::new(),
            pending: Pending::default(),
            parents: HashMap::new(),
            empty: None,
            sparse,
            blank: 0,
            window: plan.window,
            planes: if plan.interleave == Interleave::Band { plan.output_bands() } else { 1 },
            with_mask: plan.validity.mask,
            counts: Counts::default(),
            copied: Copied::default(),
        }
    }

    /// Takes in a source tile.
    fn arrive(
        &mut self,
        job: &Job<'_>,
        arrival: Arrival,
        jobs: &mut JoinSet<Result<Finished>>,
    ) -> Result<()> {
        let Some(full) = self.levels.first().copied() else { return Ok(()) };
        let image = arrival.which.of(job.header);
        let image = image.ok_or_else(|| Error::usage("a tile of an image that the file does not have"))?;
        if let Some(piece) = &arrival.piece {
            self.pending.add(piece, &job.options.limits)?;
        }
        if let Which::Overview(number) = arrival.which {
            self.pass_overview(job, number, arrival, jobs);
            return Ok(());
        }
        let outputs = outputs_of(full, image.grid.rect(arrival.index), self.window);
        self.arriving = Some((arrival, Box::new(outputs)));
        Ok(())
    }

    /// Takes over a tile of an overview of the source.
    fn pass_overview(
        &self,
        job: &Job<'_>,
        number: usize,
        arrival: Arrival,
        jobs: &mut JoinSet<Result<Finished>>,
    ) {
        let target = job.plan.passage.target(Some(number), arrival.index);
        let (Some((level, index)), Some(stored)) = (target, arrival.stored) else { return };
        let (composer, encoder) = (Arc::clone(&job.composer), Arc::clone(&job.encoder));
        let halve = self.halving(job, level, index);
        spawn(jobs, &job.workers, move || {
            let tile = arrival.piece.and_then(|piece| piece.tile);
            let quarter = halve.and_then(|halve| Some(halve.of(&composer.padded(tile.as_deref()?))));
            let tile = Some(encoder.copied(stored, None)?);
            let copied = Copied { tiles: 1, pixels: 0 };
            Ok(Finished { level, index, encoded: tile, quarter, counts: Counts::default(), copied })
        });
    }

    /// Hands the source tile that came last to the next output tile that needs it, and starts that one if it lacks nothing
    /// more. False when all have seen it.
    fn start_next(&mut self, job: &Job<'_>, jobs: &mut JoinSet<Result<Finished>>) -> bool {
        let Some((arrival, outputs)) = &mut self.arriving else { return false };
        let Some(index) = outputs.next() else {
            self.arriving = None;
            return false;
        };
        // An output tile beside the cutline may share a source tile with it, but needs nothing.
        let (Some(full), Some(flags)) = (self.levels.first(), self.occupied.first()) else { return false };
        if !flags[position(*full, index)] {
            return true;
        }
        let rect = full.rect(index).shifted(self.window.x0, self.window.y0);
        let waiting = self.waiting.entry(index).or_insert_with(|| Waiting {
            missing: planned(&job.header.main.grid, &job.plan.tiles, rect)
                + job.header.mask.as_ref().map_or(0, |mask| planned(&mask.grid, &job.plan.mask_tiles, rect)),
            ..Waiting::default()
        });
        match arrival.which {
            Which::Main => {
                waiting.pieces.extend(arrival.piece.clone());
                waiting.stored.clone_from(&arrival.stored);
            }
            Which::Mask => waiting.masks.extend(arrival.piece.clone()),
            Which::Overview(_) => {}
        }
        waiting.missing -= 1;
        if waiting.missing > 0 {
            return true;
        }
        let Some(waiting) = self.waiting.remove(&index) else { return true };
        let (composer, encoder) = (Arc::clone(&job.composer), Arc::clone(&job.encoder));
        let halve = self.halving(job, 0, index);
        spawn(jobs, &job.workers, move || made(&composer, &encoder, index, halve, waiting));
        true
    }

    /// How to make the quarter of a tile for the next level; `None` at the last one, and where the tile above is copied.
    fn halving(&self, job: &Job<'_>, level: usize, index: TileIndex) -> Option<Halving> {
        let grid = self.levels.get(level)?;
        (level + 1 < self.levels.len() && job.plan.passage.is_halved(level, index)).then(|| Halving {
            size: grid.tile,
            bands: job.plan.output_bands(),
            // Also where it is not declared: nodata is never averaged into a valid pixel.
            nodata: job.plan.validity.fill.clone().or_else(|| match &job.plan.validity.source {
                SourceValidity::NoData(nodata) => Some(nodata.clone()),
                SourceValidity::Mask | SourceValidity::Alpha(_) | SourceValidity::All => None,
            }),
            alpha: job.plan.validity.alpha,
            method: job.next_resampling(),
        })
    }

    /// Takes in a finished tile; its quarter goes to the overview tile above.
    fn finish(&mut self, job: &Job<'_>, done: Finished, jobs: &mut JoinSet<Result<Finished>>) -> Result<()> {
        self.counts += done.counts;
        self.copied += done.copied;
        let Some(&grid) = self.levels.get(done.level) else { return Ok(()) };
        let number = grid.number(done.index);
        if let Some(run) = self.runs.get_mut(done.level) {
            run.ready.insert(number, done.encoded);
        }
        let Some(quarter) = done.quarter else { return Ok(()) };
        let level = done.level + 1;
        let index = TileIndex { row: done.index.row / 2, col: done.index.col / 2 };
        let flags = self.occupied.get(done.level).ok_or_else(|| Error::usage("a tile of no level"))?;
        let parent = self.parents.entry((level, index)).or_insert_with(|| Parent {
            missing: children(grid, index).filter(|&n| flags[n]).count(),
            tile: job.composer.ground(),
        });
        let (right, lower) = (done.index.col % 2 == 1, done.index.row % 2 == 1);
        parent.tile.place(&quarter, right, lower, grid.tile, job.plan.output_bands());
        parent.missing -= 1;
        if parent.missing == 0
            && let Some(parent) = self.parents.remove(&(level, index))
        {
            let (composer, encoder) = (Arc::clone(&job.composer), Arc::clone(&job.encoder));
            let halve = self.halving(job, level, index);
            spawn(jobs, &job.workers, move || {
                let quarter = halve.map(|halve| halve.of(&parent.tile));
                let (tile, counts) = (unless_ground(&composer, &encoder, parent.tile)?, Counts::default());
                Ok(Finished { level, index, encoded: tile, quarter, counts, copied: Copied::default() })
            });
        }
        Ok(())
    }

    /// Hands the sink all tiles whose turn it is, each level to a section of its own.
    fn flush(&mut self, job: &Job<'_>, outbox: &Outbox) -> Result<()> {
        for (number, (run, flags)) in self.runs.iter_mut().zip(&self.occupied).enumerate() {
            while let Some(&occupied) = usize::try_from(run.next).ok().and_then(|n| flags.get(n)) {
                if let Some(transfer) = job.transfers.starting(number, run.next) {
                    let len = transfer.range.end - transfer.range.start;
                    run.level.add_run(&transfer.tiles, len);
                    outbox.copy(number, transfer.range.clone());
                    let tiles = transfer.tiles.len() as u64;
                    self.copied.tiles += tiles;
                    if let (0, Some(grid)) = (number, self.levels.first()) {
                        let across = u64::from(grid.across());
                        let at = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
                        for n in run.next..run.next + tiles {
                            let index = TileIndex { row: at(n / across), col: at(n % across) };
                            let inside = job.composer.inside(index);
                            self.counts.inside += inside;
                            self.copied.pixels += inside;
                        }
                    }
                    run.next += tiles;
                    continue;
                }
                let tile = if occupied {
                    let Some(tile) = run.ready.remove(&run.next) else { break };
                    tile
                } else {
                    None
                };
                self.blank += u64::from(tile.is_none());
                if let Some(tile) = tile {
                    outbox.put(number, run.level.add(&tile)?);
                } else if self.sparse {
                    run.level.skip(self.planes, self.with_mask);
                } else {
                    if self.empty.is_none() {
                        self.empty = Some(job.encoder.encode(job.composer.ground())?);
                    }
                    if let Some(empty) = &self.empty {
                        outbox.put(number, run.level.add(empty)?);
                    }
                }
                run.next += 1;
            }
        }
        Ok(())
    }

    /// The head, once every tile has come.
    fn close(self, job: &Job<'_>) -> Result<Done> {
        let total: u64 = self.levels.iter().map(|grid| grid.count()).sum();
        if self.runs.iter().zip(&self.levels).any(|(run, grid)| run.next != grid.count()) {
            return Err(Error::io("not every tile of the output was made"));
        }
        let levels: Vec<Level> = self.runs.into_iter().map(|run| run.level).collect();
        Ok(Done {
            head: layout::head(job.header, job.plan, &levels)?,
            counts: self.counts,
            tiles: (total, self.blank),
            copied: self.copied,
        })
    }
}

/// A tile of the full resolution.
fn made(
    composer: &Composer,
    encoder: &Encoder,
    index: TileIndex,
    halve: Option<Halving>,
    waiting: Waiting,
) -> Result<Finished> {
    let Waiting { pieces, masks, stored, .. } = waiting;
    let finished = |tile, quarter, counts, copied| {
        Ok(Finished { level: 0, index, encoded: tile, quarter, counts, copied })
    };
    // Of a tile that is copied as it is stored the samples have come only when somebody looks at them.
    if let (Some(stored), true) = (&stored, pieces.is_empty()) {
        let (valid, inside) = (composer.validity(index, &masks), composer.inside(index));
        let known = valid.as_ref().map(|valid| valid.iter().map(|&valid| u64::from(valid)).sum());
        let counts = Counts { inside, valid: known.unwrap_or(0), ..Counts::default() };
        let copied = Copied { tiles: 1, pixels: if known.is_none() { inside } else { 0 } };
        return finished(Some(encoder.copied(stored.clone(), valid)?), None, counts, copied);
    }
    let (tile, counts) = composer.compose(index, &pieces, &masks);
    drop((pieces, masks));
    let quarter = halve.map(|halve| halve.of(&tile));
    match stored {
        Some(stored) => {
            let copied = Copied { tiles: 1, pixels: 0 };
            finished(Some(encoder.copied(stored, tile.valid)?), quarter, counts, copied)
        }
        None => finished(unless_ground(composer, encoder, tile)?, quarter, counts, Copied::default()),
    }
}

/// A tile's bytes; `None` when it is nothing but ground, of which one stands for all.
fn unless_ground(composer: &Composer, encoder: &Encoder, tile: MaskedTile) -> Result<Option<Encoded>> {
    if composer.is_ground(&tile) { Ok(None) } else { encoder.encode(tile).map(Some) }
}

/// Source tiles that wait for their neighbours, and what they take.
#[derive(Default)]
struct Pending {
    tiles: Vec<(Weak<DecodedTile>, u64)>,
    /// Number of tiles at which the next look is due.
    look_at: usize,
}

impl Pending {
    /// Adds a tile; looks now and then which are still in use.
    fn add(&mut self, piece: &Piece, limits: &Limits) -> Result<()> {
        let Some(tile) = &piece.tile else { return Ok(()) };
        self.tiles.push((Arc::downgrade(tile), tile.samples.as_bytes().len() as u64));
        if self.tiles.len() < self.look_at {
            return Ok(());
        }
        self.tiles.retain(|(tile, _)| tile.strong_count() > 0);
        self.look_at = (self.tiles.len() + self.tiles.len() / 4).max(16);
        let bytes = self.tiles.iter().map(|(_, bytes)| bytes).sum();
        within(bytes, limits.pending_bytes, "holding the tiles that wait for their neighbours").map(|_| ())
    }
}

/// How many of the planned source tiles share a pixel with some of the source's pixels. `tiles` stand row by row, the
/// planes of a tile side by side.
fn planned(grid: &TileGrid, tiles: &[(u16, TileIndex)], rect: PixelRect) -> usize {
    let first = |index: TileIndex| tiles.partition_point(|&(_, tile)| tile < index);
    grid.tiles_in(rect)
        .map(|index| {
            tiles
                .get(first(index)..)
                .unwrap_or_default()
                .iter()
                .take_while(|&&(_, tile)| tile == index)
                .count()
        })
        .sum()
}

/// The output tiles that share a pixel with some of the source's pixels.
fn outputs_of(full: TileGrid, rect: PixelRect, window: PixelRect) -> impl Iterator<Item = TileIndex> {
    let part = rect.intersection(window).map(|part| part.relative_to(window.x0, window.y0));
    full.tiles_in(part.unwrap_or(PixelRect::new(0, 0, 0, 0)))
}

/// A tile's number as an index into a level's flags, which `Limits::output_tiles` keeps addressable.
fn position(grid: TileGrid, tile: TileIndex) -> usize {
    usize::try_from(grid.number(tile)).unwrap_or(usize::MAX)
}

/// Numbers of the up to four tiles of `below` that an overview tile is made of.
fn children(below: TileGrid, tile: TileIndex) -> impl Iterator<Item = usize> {
    let (across, down) = (below.across(), below.down());
    (0..2)
        .flat_map(move |dy| {
            (0..2).map(move |dx| TileIndex { row: tile.row * 2 + dy, col: tile.col * 2 + dx })
        })
        .filter(move |child| child.row < down && child.col < across)
        .map(move |child| position(below, child))
}
