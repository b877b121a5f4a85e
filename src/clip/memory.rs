//! How the memory of a clip is shared out, before it starts: what it must hold comes first, what it may hold ahead of need
//! gets the rest.

use crate::compose::Composer;
use crate::header::Header;
use crate::options::ClipOptions;
use crate::plan::Plan;
use crate::sink::SinkOptions;

/// Bytes of a program that does nothing yet: code, runtime, connections, tables of the compressions.
const BASE: u64 = 24 << 20;

/// Bytes that are read ahead at least: a request and the next.
const LEAST_AHEAD: u64 = 4 << 20;

/// Bytes of a local output that wait in memory, at least and at most: more of it waits in a file, which costs little.
const SPILL: std::ops::RangeInclusive<u64> = 1 << 20..=16 << 20;

/// A clip's shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shares {
    /// Bytes of requests that are in flight or wait for their turn.
    pub(super) read_ahead: u64,
    /// Source tiles that are decoded at a time.
    pub(super) decoding: usize,
    /// Output tiles that are composed and encoded at a time.
    pub(super) at_work: usize,
    /// Bytes of a local output that wait in memory.
    pub(super) spill: u64,
    /// Parts that are uploaded at a time.
    pub(super) uploads: usize,
}

/// Tiles to work on at a time.
pub(super) fn threads(options: &ClipOptions) -> usize {
    match options.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    }
}

impl Shares {
    /// For one clip. `options.max_memory` bounds the whole, unless what must be held takes more: the program itself, the
    /// source tiles of a row (which wait for the row below, as output tiles reach into both), a row of tiles of every
    /// overview, and one tile at work.
    pub(super) fn of(
        header: &Header,
        plan: &Plan,
        composer: &Composer,
        options: &ClipOptions,
        sink: &SinkOptions,
    ) -> Self {
        let threads = threads(options);
        let source_tile = header.main.layout.bytes(header.main.grid.tile.height);
        // A tile at work: its samples, and the bytes they are compressed to.
        let tile = composer.tile_bytes().saturating_mul(2);
        let aligned = plan.window.x0.is_multiple_of(header.main.grid.tile.width.max(1))
            && plan.window.y0.is_multiple_of(header.main.grid.tile.height.max(1))
            && plan.levels.first().is_some_and(|grid| grid.tile == header.main.grid.tile);
        let waiting = if aligned { 0 } else { widest_row(plan).saturating_mul(source_tile) };
        let parents = parents(plan).saturating_mul(composer.tile_bytes());
        let held = BASE.saturating_add(waiting).saturating_add(parents);
        let free = options.max_memory.saturating_sub(held);

        // Half of the rest is for work, and two tiles a thread keep it busy.
        let by_limit = |tile: u64| options.limits.tile_bytes / tile.max(1);
        let tiles = |share: u64, tile: u64, most: usize| {
            let count = (share / tile.max(1)).min(by_limit(tile));
            usize::try_from(count).unwrap_or(usize::MAX).clamp(1, most.max(1))
        };
        let at_work = tiles(free / 3, tile, threads.saturating_mul(2));
        let decoding = tiles(free / 6, source_tile, threads.saturating_add(1));
        let spent =
            tile.saturating_mul(at_work as u64).saturating_add(source_tile.saturating_mul(decoding as u64));
        let free = free.saturating_sub(spent);
        let part = sink.part_size.max(1);
        Self {
            read_ahead: (free / 2).clamp(LEAST_AHEAD, options.read_ahead.max(LEAST_AHEAD)),
            decoding,
            at_work,
            spill: (free / 2).clamp(*SPILL.start(), *SPILL.end()).min(sink.spill),
            uploads: usize::try_from(free / 2 / part).unwrap_or(usize::MAX).clamp(1, sink.uploads.max(1)),
        }
    }
}

/// The most source tiles that are needed of one row of them.
fn widest_row(plan: &Plan) -> u64 {
    let rows = plan.tiles.chunk_by(|a, b| a.1.row == b.1.row);
    rows.map(|row| row.len() as u64).max().unwrap_or(0)
}

/// Tiles in a row of each overview, all together.
fn parents(plan: &Plan) -> u64 {
    plan.levels.iter().skip(1).map(|grid| u64::from(grid.across())).sum()
}
