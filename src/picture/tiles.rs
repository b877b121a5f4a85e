//! Which rectangles stand for the window's tiles: one for each, or, where they are too many to be told apart, one for a run of
//! alike ones.

use std::ops::Range;

use crate::grid::{PixelRect, TileGrid, TileIndex};
use crate::header::image::Place;
use crate::plan::{Fate, Plan, Tallies, Tally};

/// Rectangles at most. At 1200 pixels across, so many tiles of a square are 12 pixels wide.
pub(super) const MOST_CELLS: usize = 10_000;

/// Blocks of tiles in a row that are counted up side by side, at most.
const MOST_ACROSS: u32 = 1 << 16;

/// Planes of a tile that are told one by one.
const MOST_PLANES: usize = 3;

/// A rectangle of tiles.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cell {
    /// Columns of the tile grid.
    pub(super) cols: Range<u32>,
    /// Rows of the tile grid.
    pub(super) rows: Range<u32>,
    /// What becomes of its tiles; of several fates, the one that takes the most work.
    pub(super) fate: Fate,
    /// How many tiles of each fate there are.
    pub(super) tallies: Tallies,
    /// Of a single tile, plane and bytes of the first [`MOST_PLANES`].
    pub(super) places: Vec<(u16, Option<Range<u64>>)>,
}

impl Cell {
    /// Its pixels.
    pub(super) fn rect(&self, grid: &TileGrid) -> PixelRect {
        let first = grid.rect(TileIndex { row: self.rows.start, col: self.cols.start });
        let last = grid
            .rect(TileIndex { row: self.rows.end.saturating_sub(1), col: self.cols.end.saturating_sub(1) });
        PixelRect::new(first.x0, first.y0, last.x1, last.y1)
    }
}

/// The rectangles of a plan.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cells {
    /// At most [`MOST_CELLS`].
    pub(super) cells: Vec<Cell>,
    /// Tiles along a side of what is looked at as one, where they are not drawn one by one; then tiles that are skipped have no
    /// rectangle.
    pub(super) merged: Option<u32>,
}

impl Cells {
    /// Of a plan; `grid` and `places` as of [`Plan::each_tile`].
    pub(super) fn of(plan: &Plan, grid: &TileGrid, places: &[&Place]) -> Self {
        let window = plan.window;
        let span = |from: u32, to: u32, step: u32| to.div_ceil(step) - from / step;
        let across = span(window.x0, window.x1, grid.tile.width);
        let down = span(window.y0, window.y1, grid.tile.height);
        if u64::from(across) * u64::from(down) <= MOST_CELLS as u64 {
            return Self { cells: single(plan, grid, places), merged: None };
        }
        let mut block = across.div_ceil(MOST_ACROSS).next_power_of_two();
        loop {
            if let Some(cells) = runs(plan, grid, places, block) {
                return Self { cells, merged: Some(block) };
            }
            // One block holds everything in the end.
            block = block.saturating_mul(2);
        }
    }
}

fn single(plan: &Plan, grid: &TileGrid, places: &[&Place]) -> Vec<Cell> {
    let mut cells = Vec::new();
    plan.each_tile(grid, places, |tile, fate, found| {
        let mut tallies = Tallies::default();
        tallies.of_mut(fate).add(plan.planes, found);
        let places = found.iter().take(MOST_PLANES).map(|place| (place.plane, place.bytes.clone()));
        cells.push(Cell {
            cols: tile.col..tile.col + 1,
            rows: tile.row..tile.row + 1,
            fate,
            tallies,
            places: places.collect(),
        });
    });
    cells
}

/// Blocks of `block` x `block` tiles, those of one fate side by side as one; `None` when that makes too many.
fn runs(plan: &Plan, grid: &TileGrid, places: &[&Place], block: u32) -> Option<Vec<Cell>> {
    let first = grid.at(plan.window.x0, plan.window.y0);
    let across = plan.window.x1.div_ceil(grid.tile.width) - first.col;
    let mut row_of_blocks = vec![Tallies::default(); across.div_ceil(block) as usize];
    let mut cells = Some(Vec::new());
    let mut row = 0;
    let mut last = first.row;
    plan.each_tile(grid, places, |tile, fate, found| {
        let here = (tile.row - first.row) / block;
        if here != row {
            flush(&mut row_of_blocks, (first, block, row), tile.row - 1, &mut cells);
            row = here;
        }
        last = tile.row;
        if let Some(tallies) = row_of_blocks.get_mut(((tile.col - first.col) / block) as usize) {
            tallies.of_mut(fate).add(plan.planes, found);
        }
    });
    flush(&mut row_of_blocks, (first, block, row), last, &mut cells);
    let most = plan.window.x1.div_ceil(grid.tile.width);
    let mut cells = cells?;
    for cell in &mut cells {
        cell.cols.end = cell.cols.end.min(most);
    }
    Some(cells)
}

/// Makes cells of a row of blocks and empties it; no cells at all once there are too many. `last` is the last row of tiles in it.
fn flush(
    row_of_blocks: &mut [Tallies],
    (first, block, row): (TileIndex, u32, u32),
    last: u32,
    cells: &mut Option<Vec<Cell>>,
) {
    let top = first.row + row * block;
    let mut open: Option<Cell> = None;
    for (number, tallies) in (0_u32..).zip(row_of_blocks) {
        let tallies = std::mem::take(tallies);
        let Some(made) = cells else { continue };
        let left = first.col + number * block;
        let fate = strongest(&tallies);
        if let Some(run) = open.as_mut().filter(|run| run.fate == fate) {
            run.cols.end = left + block;
            for fate in Fate::ALL {
                *run.tallies.of_mut(fate) += tallies.of(fate);
            }
            continue;
        }
        made.extend(open.take());
        if made.len() >= MOST_CELLS {
            *cells = None;
            continue;
        }
        if fate != Fate::Skipped {
            let (cols, rows) = (left..left + block, top..last + 1);
            open = Some(Cell { cols, rows, fate, tallies, places: Vec::new() });
        }
    }
    if let (Some(made), Some(run)) = (cells.as_mut(), open) {
        made.push(run);
    }
}

/// The fate of a block's tiles that takes the most work.
fn strongest(tallies: &Tallies) -> Fate {
    let is_met = |fate: &Fate| tallies.of(*fate) != Tally::default();
    Fate::ALL.into_iter().rev().find(is_met).unwrap_or(Fate::Skipped)
}
