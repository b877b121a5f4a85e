//! The share of every pixel that is inside polygons: cuts outlines at the edges of rows and columns, and knows between
//! them what lies inside from which lines an outline has passed.
//!
//! Two facts carry from pixel to pixel, and both are counted, not measured: which polygons a pixel's upper left corner
//! is inside (an edge that comes down into a row turns that for all corners right of it), and where along a pixel's left
//! side that changes (an edge that passes from column to column turns it from there down). So rounding moves an outline
//! by a last digit, and never turns a region inside out.

use std::ops::Range;

use super::slabs::{self, Piece, between, x_at};
use super::spans::Work;
use crate::error::{Error, Result};

/// An edge in pixels, from its upper end to its lower one.
#[derive(Clone, Copy, Debug)]
struct Edge {
    top: [f64; 2],
    bottom: [f64; 2],
    polygon: u32,
    /// The rows of its ends, each from -1 (above) to the height (below).
    rows: [i64; 2],
}

/// All edges of some polygons that can matter within `width` x `height` squares.
#[derive(Debug)]
pub(super) struct Edges {
    width: u32,
    height: u32,
    polygons: usize,
    within: Vec<Edge>,
    /// Edges left of the window: from this row on, this polygon's corners turn.
    left: Vec<(i64, u32)>,
}

/// Neighbouring pixels of one row with the same share inside.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Same {
    pub(super) start: u32,
    pub(super) end: u32,
    /// Above 0, at most 1.
    pub(super) share: f64,
}

/// Takes rows and the shares of their pixels.
pub(super) type Emit<'a> = dyn FnMut(Range<u32>, &[Same]) -> Result<()> + 'a;

/// What bounds the work of [`Edges::sweep`].
#[derive(Clone, Copy)]
pub(super) struct Bound {
    pub(super) work: Work,
    /// Pieces of one row's outline that are held at a time.
    pub(super) pieces: usize,
}

/// How often a pixel may be cut into smaller squares.
const DEPTH: u32 = 3;
/// Steps for each piece in a pixel after which cutting the pixel up is likely to be cheaper.
const STEPS_A_PIECE: u64 = 64;
/// Steps that are always worth trying first.
const STEPS_AT_LEAST: u64 = 4096;
/// A pixel is cut into at most so many rows and columns.
const MOST_PARTS: u32 = 64;

impl Edges {
    pub(super) fn new(width: u32, height: u32, polygons: usize) -> Self {
        Self { width, height, polygons, within: Vec::new(), left: Vec::new() }
    }

    /// Adds an edge of a polygon, in pixels. Which way it runs does not matter, unless it comes from `above` the window,
    /// though it is given only from the window's upper side on.
    pub(super) fn push(&mut self, a: [f64; 2], b: [f64; 2], polygon: u32, above: bool) {
        let (top, bottom) = if a[1] <= b[1] { (a, b) } else { (b, a) };
        let rows = [if above { -1 } else { cell(top[1], self.height) }, cell(bottom[1], self.height)];
        let last_column = i64::from(self.width);
        let beyond = rows[1] < 0 || rows[0] >= i64::from(self.height);
        if beyond || cell(a[0].min(b[0]), self.width) == last_column {
            return;
        }
        if a[0].max(b[0]) < 0.0 {
            if rows[0] < rows[1] {
                self.left.extend(rows.map(|row| (row + 1, polygon)));
            }
            return;
        }
        self.within.push(Edge { top, bottom, polygon, rows });
    }

    /// Calls `emit` with ranges of rows, in order, and the shares of their pixels, from left to right; rows without a
    /// covered pixel are left out.
    pub(super) fn sweep(mut self, bound: &mut Bound, depth: u32, emit: &mut Emit<'_>) -> Result<()> {
        self.within.sort_unstable_by_key(|edge| edge.rows[0]);
        self.left.sort_unstable();
        let mut waiting = self.within.iter().peekable();
        let mut left = self.left.iter().peekable();
        // Which polygons the corner at the left end of a row is inside.
        let mut corner = Corner::new(self.polygons);
        let mut active: Vec<&Edge> = Vec::new();
        let mut row = Row { width: self.width, ..Row::default() };
        let mut square = Square { depth, ..Square::default() };
        let height = i64::from(self.height);
        let mut at = 0_i64;
        while at < height {
            while let Some(&(_, polygon)) = left.next_if(|(row, _)| *row <= at) {
                corner.turn(polygon);
            }
            active.retain(|edge| edge.rows[1] >= at);
            while let Some(edge) = waiting.next_if(|edge| edge.rows[0] <= at) {
                active.push(edge);
            }
            if active.is_empty() {
                // Nothing happens until an edge comes, or one passes by on the left.
                let next = waiting.peek().map_or(height, |edge| edge.rows[0]);
                let next = left.peek().map_or(next, |(row, _)| next.min(*row)).min(height);
                if corner.count > 0 {
                    let full = Same { start: 0, end: self.width, share: 1.0 };
                    emit(within(at)..within(next), &[full])?;
                }
                at = next;
                continue;
            }
            bound.work.spend(active.len() as u64)?;
            row.clear();
            for edge in &active {
                row.cut(edge, at, bound)?;
            }
            row.shares(&mut corner, &mut square, bound)?;
            if !row.same.is_empty() {
                emit(within(at)..within(at + 1), &row.same)?;
            }
            at += 1;
        }
        Ok(())
    }
}

/// Which polygons a point is inside.
struct Corner {
    odd: Vec<bool>,
    count: usize,
}

impl Corner {
    fn new(polygons: usize) -> Self {
        Self { odd: vec![false; polygons], count: 0 }
    }

    fn turn(&mut self, polygon: u32) {
        let odd = &mut self.odd[polygon as usize];
        *odd = !*odd;
        if *odd {
            self.count += 1;
        } else {
            self.count -= 1;
        }
    }
}

/// What the edges leave in one row. Columns run from -1, all that is left of the window, to its width.
#[derive(Default)]
struct Row {
    width: u32,
    /// The pieces within a column, in that pixel's own coordinates; `polygon` is still that of all polygons.
    pieces: Vec<(i64, Piece)>,
    /// Where an edge passes the left side of a column: the column, how far below the row's top, the polygon.
    sides: Vec<(i64, f64, u32)>,
    /// The column in which an edge comes down into the row, and the polygon.
    tops: Vec<(i64, u32)>,
    same: Vec<Same>,
}

impl Row {
    fn clear(&mut self) {
        self.pieces.clear();
        self.sides.clear();
        self.tops.clear();
        self.same.clear();
    }

    /// Adds what of an edge lies in the row.
    fn cut(&mut self, edge: &Edge, row: i64, bound: &mut Bound) -> Result<()> {
        let (upper, lower) = (number(row), number(row + 1));
        let mut a = edge.top;
        if edge.rows[0] < row {
            a = [x_at(upper, edge.top, edge.bottom), upper];
            self.tops.push((cell(a[0], self.width), edge.polygon));
        }
        let b = if edge.rows[1] > row { [x_at(lower, edge.top, edge.bottom), lower] } else { edge.bottom };
        let (from, to) = (cell(a[0], self.width), cell(b[0], self.width));
        let polygon = edge.polygon;
        let last = i64::from(self.width) - 1;
        let steps = from.abs_diff(to);
        bound.work.spend(steps)?;
        if self.pieces.len() as u64 + steps > bound.pieces as u64 {
            return Err(Error::limit(format!(
                "the cutline passes over {} pixels in one row of a window of {} pixels (limit mask_runs / 4): simplify it \
                 or clip a smaller window",
                bound.pieces, bound.work.size
            )));
        }
        let mut above = edge.rows[0] < row;
        let mut piece = |column: i64, from: [f64; 2], to: [f64; 2]| {
            if (0..=last).contains(&column) {
                let own =
                    |[x, y]: [f64; 2]| [(x - number(column)).clamp(0.0, 1.0), (y - upper).clamp(0.0, 1.0)];
                self.pieces.push((column, Piece { top: own(from), bottom: own(to), polygon, above }));
            }
            above = false;
        };
        let mut column = from;
        let mut here = a;
        while column != to {
            // The line between this column and the next, and the column right of it.
            let right = if to > column { column + 1 } else { column };
            let line = number(right);
            let y = between(a[0], line, b[0], a[1], b[1]).max(here[1]);
            piece(column, here, [line, y]);
            if right <= last {
                self.sides.push((right, (y - upper).clamp(0.0, 1.0), polygon));
            }
            here = [line, y];
            column += (to - column).signum();
        }
        piece(column, here, b);
        Ok(())
    }

    /// Works out the row's shares. `corner` is the state at the row's left end, and is again.
    fn shares(&mut self, corner: &mut Corner, square: &mut Square, bound: &mut Bound) -> Result<()> {
        self.pieces.sort_unstable_by_key(|(column, _)| *column);
        self.sides.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        self.tops.sort_unstable();
        let (mut pieces, mut sides, mut tops) = (&self.pieces[..], &self.sides[..], &self.tops[..]);
        let width = i64::from(self.width);
        let mut at = 0_i64;
        while at < width {
            let turned = tops.partition_point(|(column, _)| *column < at);
            for &(_, polygon) in &tops[..turned] {
                corner.turn(polygon);
            }
            tops = &tops[turned..];
            let next_piece = pieces.first().map_or(width, |piece| piece.0);
            let next_side = sides.first().map_or(width, |side| side.0);
            let next_top = tops.first().map_or(width, |top| top.0 + 1);
            let next = next_piece.min(next_side).min(next_top).min(width);
            if next > at {
                if corner.count > 0 {
                    join(&mut self.same, within(at), within(next), 1.0);
                }
                at = next;
                continue;
            }
            let (of_piece, of_side) = (
                pieces.partition_point(|(column, _)| *column == at),
                sides.partition_point(|(column, ..)| *column == at),
            );
            let share = square.share(&pieces[..of_piece], &sides[..of_side], corner, bound)?;
            join(&mut self.same, within(at), within(at + 1), share);
            (pieces, sides) = (&pieces[of_piece..], &sides[of_side..]);
            at += 1;
        }
        // The tops right of the last pixel change nothing in the window; those before it are turned back.
        for &(_, polygon) in &self.tops[..self.tops.len() - tops.len()] {
            corner.turn(polygon);
        }
        Ok(())
    }
}

/// Room for the pieces of one pixel.
#[derive(Default)]
struct Square {
    depth: u32,
    pieces: Vec<Piece>,
    /// Those that are level: they have no area, but without them an outline is no closed line.
    level: Vec<Piece>,
    /// The polygons with a piece or a side in the pixel.
    polygons: Vec<u32>,
}

impl Square {
    /// The share of a pixel that is inside any polygon.
    fn share(
        &mut self,
        pieces: &[(i64, Piece)],
        sides: &[(i64, f64, u32)],
        corner: &Corner,
        bound: &mut Bound,
    ) -> Result<f64> {
        self.polygons.clear();
        self.polygons.extend(pieces.iter().map(|(_, piece)| piece.polygon));
        self.polygons.extend(sides.iter().map(|side| side.2));
        self.polygons.sort_unstable();
        self.polygons.dedup();
        let odd = self.polygons.iter().filter(|polygon| corner.odd[**polygon as usize]).count();
        if corner.count > odd {
            return Ok(1.0);
        }
        let polygons = &self.polygons;
        let number = |polygon: u32| {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "no more than there are polygons, which are u32"
            )]
            let place = polygons.partition_point(|other| *other < polygon) as u32;
            place
        };
        self.pieces.clear();
        self.level.clear();
        for (_, piece) in pieces {
            let piece = Piece { polygon: number(piece.polygon), ..*piece };
            // One that is too short to be seen from the pixel's corner has no area, as if it were level.
            if piece.top[1] < piece.bottom[1] { &mut self.pieces } else { &mut self.level }.push(piece);
        }
        // What lies left of the pixel is as if pushed against its left side.
        let left = |y: f64, polygon, above| Piece {
            top: [0.0, y],
            bottom: [0.0, 1.0],
            polygon: number(polygon),
            above,
        };
        let inside = polygons.iter().filter(|polygon| corner.odd[**polygon as usize]);
        self.pieces.extend(inside.map(|&polygon| left(0.0, polygon, true)));
        self.pieces.extend(sides.iter().filter(|side| side.1 < 1.0).map(|side| left(side.1, side.2, false)));
        self.area(bound)
    }

    fn area(&mut self, bound: &mut Bound) -> Result<f64> {
        let count = self.pieces.len();
        bound.work.spend(count as u64)?;
        let whole = self.depth >= DEPTH || count < 32;
        let allowed = if whole {
            bound.work.left
        } else {
            bound.work.left.min((count as u64).saturating_mul(STEPS_A_PIECE).max(STEPS_AT_LEAST))
        };
        let mut left = allowed;
        let area = slabs::area(&mut self.pieces, self.polygons.len(), &mut left);
        if let Some(area) = area {
            bound.work.left -= allowed - left;
            return Ok(area.clamp(0.0, 1.0));
        }
        if whole {
            return Err(bound.work.exhausted());
        }
        bound.work.spend(allowed)?;
        self.divided(bound)
    }

    /// The same area, as the mean of smaller squares: slabs cost the square of what is in a pixel.
    fn divided(&self, bound: &mut Bound) -> Result<f64> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rough root, clamped"
        )]
        let parts = ((self.pieces.len() as f64).sqrt() as u32).clamp(4, MOST_PARTS);
        let side = f64::from(parts);
        let mut edges = Edges::new(parts, parts, self.polygons.len());
        for piece in self.pieces.iter().chain(&self.level) {
            let larger = |[x, y]: [f64; 2]| [x * side, y * side];
            edges.push(larger(piece.top), larger(piece.bottom), piece.polygon, piece.above);
        }
        let mut sum = 0.0;
        edges.sweep(bound, self.depth + 1, &mut |rows, same| {
            let row: f64 = same.iter().map(|same| f64::from(same.end - same.start) * same.share).sum();
            sum += f64::from(rows.end - rows.start) * row;
            Ok(())
        })?;
        Ok((sum / (side * side)).clamp(0.0, 1.0))
    }
}

/// Adds pixels to those left of them; none when nothing of them is inside.
#[expect(clippy::float_cmp, reason = "the same share to the bit is kept once")]
fn join(same: &mut Vec<Same>, start: u32, end: u32, share: f64) {
    if share <= 0.0 {
        return;
    }
    match same.last_mut() {
        Some(last) if last.end == start && last.share == share => last.end = end,
        _ => same.push(Same { start, end, share }),
    }
}

/// The row or column of a coordinate, from -1 for all before the window to `end` for all beyond it.
#[expect(clippy::cast_possible_truncation, reason = "clamped before, and no coordinate is NaN")]
fn cell(pixels: f64, end: u32) -> i64 {
    pixels.floor().clamp(-1.0, f64::from(end)) as i64
}

/// A row or column as a coordinate.
#[expect(clippy::cast_precision_loss, reason = "rows and columns are below 2^33")]
fn number(cell: i64) -> f64 {
    cell as f64
}

/// A row or column of the window, or one past its end.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it lies in the window")]
fn within(cell: i64) -> u32 {
    cell as u32
}
