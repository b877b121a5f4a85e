//! Runs of tiles that the store copies itself: they stand side by side in the source as they are to stand in the output,
//! leaders and trailers included, so that their bytes need not come here.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use crate::fetch::{Needed, Requests, Which};
use crate::grid::TileIndex;
use crate::header::Header;
use crate::plan::Plan;

/// Bytes before a tile that hold its size, and bytes behind it that repeat its last ones (GDAL's COG driver, "File format
/// details": BLOCK_LEADER, BLOCK_TRAILER).
const AROUND: u64 = 4;

/// A run of tiles, row by row in one level of the output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Transfer {
    /// The source's bytes, from the first tile's leader to the last one's trailer.
    pub(super) range: Range<u64>,
    /// Where each tile starts in them, and how long it is.
    pub(super) tiles: Vec<(u64, u32)>,
}

/// A run that may go on: the level and the number of its first tile, and the bytes of its tiles.
type Open = ((usize, u64), Vec<Range<u64>>);

/// All runs, by level and the number of their first tile in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Transfers {
    runs: BTreeMap<(usize, u64), Transfer>,
}

impl Transfers {
    /// The runs of at least `least` bytes among the tiles of `requests` that pass into the output as they are stored, and
    /// are not needed for an overview.
    pub(super) fn of(header: &Header, plan: &Plan, requests: &Requests, least: u64) -> Self {
        let promises = ["BLOCK_LEADER=SIZE_AS_UINT4", "BLOCK_TRAILER=LAST_4_BYTES_REPEATED"];
        let ghost = header.ghost.as_deref().unwrap_or_default();
        // Whoever changed the file later, without a thought for its promises, has left this behind.
        let is_broken = ghost.lines().any(|line| line.trim() == "KNOWN_INCOMPATIBLE_EDITION=YES");
        // A mask's tiles stand between those of its image.
        if plan.validity.mask
            || is_broken
            || !promises.iter().all(|promise| ghost.lines().any(|line| line == *promise))
        {
            return Self::default();
        }
        let mut tiles: BTreeMap<(usize, u64), Range<u64>> = BTreeMap::new();
        for (which, place) in requests.requests.iter().flat_map(|request| &request.tiles) {
            let Some(bytes) = &place.bytes else { continue };
            let overview = match *which {
                Which::Main => None,
                Which::Overview(number) => Some(number),
                Which::Mask => continue,
            };
            let Some((level, index)) = plan.passage.target(overview, place.index) else { continue };
            let is_halved = level + 1 < plan.levels.len() && plan.passage.is_halved(level, index);
            if let (false, Some(grid)) = (is_halved, plan.levels.get(level)) {
                tiles.insert((level, grid.number(index)), bytes.clone());
            }
        }
        let mut runs: BTreeMap<(usize, u64), Transfer> = BTreeMap::new();
        let mut open: Option<Open> = None;
        let mut close = |run: Option<Open>| {
            let Some((first, tiles)) = run else { return };
            if let Some(transfer) = Transfer::of(&tiles).filter(|t| t.range.end - t.range.start >= least) {
                runs.insert(first, transfer);
            }
        };
        for ((level, number), bytes) in tiles {
            let goes_on = open.as_ref().is_some_and(|((of, first), run)| {
                *of == level
                    && first + run.len() as u64 == number
                    && run.last().is_some_and(|last| last.end + 2 * AROUND == bytes.start)
            });
            if let (true, Some((_, run))) = (goes_on, &mut open) {
                run.push(bytes);
            } else {
                close(open.replace(((level, number), vec![bytes])));
            }
        }
        close(open);
        Self { runs }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The run that starts with a tile of a level.
    pub(super) fn starting(&self, level: usize, number: u64) -> Option<&Transfer> {
        self.runs.get(&(level, number))
    }

    /// What is still to be fetched of `needed`.
    pub(super) fn rest(&self, plan: &Plan, needed: Needed) -> Needed {
        let mut copied: HashSet<(usize, u64)> = HashSet::new();
        for (&(level, first), run) in &self.runs {
            copied.extend((first..first + run.tiles.len() as u64).map(|number| (level, number)));
        }
        let comes = |overview: Option<usize>, tile: TileIndex| {
            let target = plan.passage.target(overview, tile);
            let number =
                |(level, index): (usize, TileIndex)| Some((level, plan.levels.get(level)?.number(index)));
            !target.and_then(number).is_some_and(|place| copied.contains(&place))
        };
        Needed {
            tiles: needed.tiles.into_iter().filter(|&(_, tile)| comes(None, tile)).collect(),
            mask_tiles: needed.mask_tiles,
            overview_tiles: needed
                .overview_tiles
                .into_iter()
                .filter(|&(number, tile)| comes(Some(number), tile))
                .collect(),
        }
    }
}

impl Transfer {
    /// Of tiles that stand side by side.
    fn of(tiles: &[Range<u64>]) -> Option<Self> {
        let start = tiles.first()?.start.checked_sub(AROUND)?;
        let range = start..tiles.last()?.end.checked_add(AROUND)?;
        let place =
            |tile: &Range<u64>| Some((tile.start - start, u32::try_from(tile.end - tile.start).ok()?));
        Some(Self { range, tiles: tiles.iter().map(place).collect::<Option<_>>()? })
    }
}
