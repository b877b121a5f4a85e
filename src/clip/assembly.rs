//! Fetch, decode, compose, encode and sink at the same time: tiles are fetched and decoded in the order of use, output
//! tiles are encoded on all cores, and the sink receives them row by row. Every stage waits for the next one.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};

use futures::{Stream, StreamExt, stream};
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, spawn_blocking};

use crate::compose::{Composer, Counts, MaskedTile, Piece};
use crate::decode;
use crate::encode::layout::{self, Level};
use crate::encode::{Encoded, Encoder, overview};
use crate::error::{Error, Result};
use crate::fetch::{self, Requests, Which};
use crate::grid::{PixelRect, TileGrid, TileIndex};
use crate::header::{Header, Image};
use crate::limits::{Limits, within};
use crate::mask::TileClass;
use crate::observe::{Event, Observer};
use crate::options::{ClipOptions, Interleave, Resampling};
use crate::plan::{Plan, SourceValidity};
use crate::sink::Sink;
use crate::source::Source;
use crate::tile::{DecodedTile, EncodedTile};

/// By how many bytes a tile may be longer than its samples: its leader and trailer, and what a compression takes that finds
/// nothing to compress.
const TILE_EXTRA: u64 = 4096;

/// The source's tiles, decoded, in the order of the requests.
pub(super) fn pieces<'a>(
    source: &'a Source,
    header: &'a Arc<Header>,
    requests: &'a Requests,
    options: &'a ClipOptions,
    observer: &'a dyn Observer,
) -> impl Stream<Item = Result<(Which, Piece)>> + 'a {
    let groups = fetch::tiles(source, header, requests, (options.requests, options.read_ahead), observer);
    let limits = Arc::new(options.limits.clone());
    // What is being decoded at a time, in KiB: as much as one tile may take.
    let most = u32::try_from(limits.tile_bytes >> 10).unwrap_or(u32::MAX).max(1);
    let budget = Arc::new(Semaphore::new(most as usize));
    groups
        .flat_map(|group| match group {
            Ok(tiles) => stream::iter(tiles.into_iter().map(Ok).collect::<Vec<_>>()),
            Err(error) => stream::iter(vec![Err(error)]),
        })
        .map(move |tile| {
            let (header, limits, budget) = (Arc::clone(header), Arc::clone(&limits), Arc::clone(&budget));
            async move {
                let (which, tile) = tile?;
                let bytes = image_of(&header, which).map_or(0, |image| image.layout.bytes(tile.rows));
                let share = u32::try_from(bytes >> 10).unwrap_or(most).clamp(1, most);
                let Ok(held) = budget.acquire_many_owned(share).await else {
                    return Err(Error::io("the clip was cancelled"));
                };
                joined(
                    spawn_blocking(move || {
                        let _held = held;
                        decode_piece(&header, which, &tile, &limits)
                    })
                    .await,
                )
            }
        })
        .buffered(threads(options).saturating_add(1))
}

/// Tiles to work on at a time.
pub(super) fn threads(options: &ClipOptions) -> usize {
    match options.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    }
}

/// All that one run needs.
pub(super) struct Job<'a> {
    pub(super) header: &'a Header,
    pub(super) plan: &'a Plan,
    pub(super) options: &'a ClipOptions,
    pub(super) composer: Arc<Composer>,
    pub(super) encoder: Arc<Encoder>,
    pub(super) observer: &'a dyn Observer,
    /// Permits to compose and encode a tile, which several runs may share.
    pub(super) workers: Arc<Semaphore>,
}

/// What a run made: the body is in the sink, this is the rest.
pub(super) struct Done {
    pub(super) head: Vec<u8>,
    pub(super) counts: Counts,
    /// Output tiles, and how many of them are empty.
    pub(super) tiles: (u64, u64),
}

/// An output tile that a job finished.
struct Finished {
    level: usize,
    index: TileIndex,
    encoded: Encoded,
    /// The tile at half the size, when there is a further overview.
    quarter: Option<MaskedTile>,
    counts: Counts,
}

/// An output tile that waits for source tiles.
#[derive(Default)]
struct Waiting {
    missing: usize,
    pieces: Vec<Piece>,
    masks: Vec<Piece>,
}

/// An overview tile that waits for the tiles it is made of.
struct Parent {
    missing: usize,
    tile: MaskedTile,
}

impl Job<'_> {
    /// Makes the output of `pieces`, the source's tiles in the order of the plan.
    pub(super) async fn run(
        &self,
        pieces: impl Stream<Item = Result<(Which, Piece)>>,
        sink: &mut Sink,
    ) -> Result<Done> {
        let mut state = State::new(self)?;
        // No tile is longer than its samples by more than a little, whatever the compression.
        let tile = self.composer.tile_bytes().saturating_add(TILE_EXTRA);
        let most: Vec<u64> = self.plan.levels.iter().map(|grid| grid.count().saturating_mul(tile)).collect();
        sink.expect(&most);
        // Output tiles at work, each with its samples: two for each thread, and fewer when they are large.
        let at_work = at_work(&self.composer, self.options);
        futures::pin_mut!(pieces);
        let (mut jobs, mut exhausted) = (JoinSet::<Result<Finished>>::new(), false);
        loop {
            // Start what the last piece made possible, as far as there is room; only then take the next piece.
            while jobs.len() < at_work && state.start_next(self, &mut jobs) {}
            tokio::select! {
                Some(done) = jobs.join_next(), if !jobs.is_empty() => {
                    let done = joined(done)?;
                    self.observer.event(&Event::Encoded { bytes: done.encoded.image_bytes() as u64 });
                    state.finish(self, done, &mut jobs)?;
                    state.flush(sink).await?;
                }
                piece = pieces.next(), if !exhausted && state.arriving.is_none() && jobs.len() < at_work => match piece {
                    Some(piece) => {
                        let (which, piece) = piece?;
                        state.arrive(which, piece, &self.options.limits)?;
                    }
                    None => exhausted = true,
                },
                else => break,
            }
        }
        state.flush(sink).await?;
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

/// Output tiles that are composed and encoded at a time.
pub(super) fn at_work(composer: &Composer, options: &ClipOptions) -> usize {
    let most =
        usize::try_from(options.limits.tile_bytes / composer.tile_bytes().max(1)).unwrap_or(usize::MAX);
    most.clamp(1, threads(options).saturating_mul(2))
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
fn joined<T>(result: Result<Result<T>, tokio::task::JoinError>) -> Result<T> {
    match result {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => Err(Error::io("the clip was cancelled").caused_by(error)),
    }
}

fn image_of(header: &Header, which: Which) -> Option<&Image> {
    match which {
        Which::Main => Some(&header.main),
        Which::Mask => header.mask.as_ref(),
    }
}

fn decode_piece(
    header: &Header,
    which: Which,
    tile: &EncodedTile,
    limits: &Limits,
) -> Result<(Which, Piece)> {
    let Some(image) = image_of(header, which) else {
        return Err(Error::usage("a mask tile of an image without a mask"));
    };
    let rect = image.grid.rect(tile.index);
    let decoded = decode::decode(tile, &image.layout, image.size(), limits)
        .map_err(|e| e.at(format!("IFD {}", image.number)))?;
    Ok((which, Piece { plane: tile.plane, rect, tile: decoded.map(Arc::new) }))
}

/// The tiles of a level on their way to the sink, row by row.
#[derive(Default)]
struct Run {
    /// Finished tiles that wait for their turn.
    ready: BTreeMap<u64, Encoded>,
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
    arriving: Option<(Which, Piece, Box<dyn Iterator<Item = TileIndex> + Send>)>,
    /// Output tiles that lack some of their source tiles.
    waiting: HashMap<TileIndex, Waiting>,
    pending: Pending,
    parents: HashMap<(usize, TileIndex), Parent>,
    /// What becomes of the finished tiles of each level.
    runs: Vec<Run>,
    /// What stands for a tile without a pixel of the cutline; `None` when such tiles are left out.
    empty: Option<Encoded>,
    window: PixelRect,
    /// Image tiles of one place: one, or one for each band.
    planes: usize,
    with_mask: bool,
    counts: Counts,
}

impl State {
    fn new(job: &Job<'_>) -> Result<Self> {
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
        let has_gaps = occupied.iter().flatten().any(|flag| !flag);
        let empty = if sparse || !has_gaps { None } else { Some(job.encoder.encode(job.composer.ground())?) };
        Ok(Self {
            runs: levels.iter().map(|_| Run::default()).collect(),
            levels,
            occupied,
            arriving: None,
            waiting: HashMap::new(),
            pending: Pending::default(),
            parents: HashMap::new(),
            empty,
            window: plan.window,
            planes: if plan.interleave == Interleave::Band { plan.output_bands() } else { 1 },
            with_mask: plan.validity.mask,
            counts: Counts::default(),
        })
    }

    /// Takes in a source tile.
    fn arrive(&mut self, which: Which, piece: Piece, limits: &Limits) -> Result<()> {
        let Some(full) = self.levels.first().copied() else { return Ok(()) };
        self.pending.add(&piece, limits)?;
        let outputs = outputs_of(full, piece.rect, self.window);
        self.arriving = Some((which, piece, Box::new(outputs)));
        Ok(())
    }

    /// Hands the source tile that came last to the next output tile that needs it, and starts that one if it lacks nothing
    /// more. False when all have seen it.
    fn start_next(&mut self, job: &Job<'_>, jobs: &mut JoinSet<Result<Finished>>) -> bool {
        let Some((which, piece, outputs)) = &mut self.arriving else { return false };
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
        match which {
            Which::Main => waiting.pieces.push(piece.clone()),
            Which::Mask => waiting.masks.push(piece.clone()),
        }
        waiting.missing -= 1;
        if waiting.missing > 0 {
            return true;
        }
        let Some(waiting) = self.waiting.remove(&index) else { return true };
        let (composer, encoder) = (Arc::clone(&job.composer), Arc::clone(&job.encoder));
        let halve = self.halving(job, 0);
        spawn(jobs, &job.workers, move || {
            let (tile, counts) = composer.compose(index, &waiting.pieces, &waiting.masks);
            drop(waiting);
            let quarter = halve.map(|halve| halve.of(&tile));
            Ok(Finished { level: 0, index, encoded: encoder.encode(tile)?, quarter, counts })
        });
        true
    }

    /// How to make the quarter for the next level; `None` at the last one.
    fn halving(&self, job: &Job<'_>, level: usize) -> Option<Halving> {
        let grid = self.levels.get(level)?;
        (level + 1 < self.levels.len()).then(|| Halving {
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
            let (encoder, halve) = (Arc::clone(&job.encoder), self.halving(job, level));
            spawn(jobs, &job.workers, move || {
                let quarter = halve.map(|halve| halve.of(&parent.tile));
                let tile = encoder.encode(parent.tile)?;
                Ok(Finished { level, index, encoded: tile, quarter, counts: Counts::default() })
            });
        }
        Ok(())
    }

    /// Hands the sink all tiles whose turn it is, each level to a section of its own.
    async fn flush(&mut self, sink: &mut Sink) -> Result<()> {
        for (number, (run, flags)) in self.runs.iter_mut().zip(&self.occupied).enumerate() {
            while let Some(&occupied) = usize::try_from(run.next).ok().and_then(|n| flags.get(n)) {
                if occupied {
                    let Some(tile) = run.ready.remove(&run.next) else { break };
                    sink.append_to(number, run.level.add(&tile)?).await?;
                } else if let Some(empty) = &self.empty {
                    sink.append_to(number, run.level.add(empty)?).await?;
                } else {
                    run.level.skip(self.planes, self.with_mask);
                }
                run.next += 1;
            }
        }
        Ok(())
    }

    /// The head, once every tile has come.
    fn close(self, job: &Job<'_>) -> Result<Done> {
        let total: u64 = self.levels.iter().map(|grid| grid.count()).sum();
        let occupied: usize = self.occupied.iter().flatten().filter(|&&flag| flag).count();
        if self.runs.iter().zip(&self.levels).any(|(run, grid)| run.next != grid.count()) {
            return Err(Error::io("not every tile of the output was made"));
        }
        let levels: Vec<Level> = self.runs.into_iter().map(|run| run.level).collect();
        Ok(Done {
            head: layout::head(job.header, job.plan, &levels)?,
            counts: self.counts,
            tiles: (total, total - occupied as u64),
        })
    }
}

/// How a tile is halved.
struct Halving {
    size: crate::grid::Size,
    bands: usize,
    nodata: Option<crate::sample::NoData>,
    alpha: Option<usize>,
    method: Resampling,
}

impl Halving {
    fn of(&self, tile: &MaskedTile) -> MaskedTile {
        let validity = overview::Validity { nodata: self.nodata.as_ref(), mask: tile.valid.as_deref() };
        let (mut samples, valid) =
            overview::halve(&tile.samples, self.size, self.bands, validity, self.method);
        if let Some(alpha) = self.alpha {
            // No value of an alpha band is nodata, and what is masked is transparent.
            let own = tile.band(alpha, self.bands);
            let validity = overview::Validity { nodata: None, mask: tile.valid.as_deref() };
            let (own, _) = overview::halve(&own, self.size, 1, validity, self.method);
            crate::compose::set_band(&mut samples, &own, alpha, self.bands);
        }
        MaskedTile { samples, valid }
    }
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
