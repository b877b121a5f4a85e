//! The pixels whose centre is inside a polygon (rule D of the design's `mask-rule.md`).

use super::Outline;
use super::spans::Spans;
use crate::error::Result;

/// An edge that crosses the centre line of the rows `first..end`.
#[derive(Clone, Copy)]
struct Edge {
    first: u32,
    end: u32,
    /// It runs from this point of the outline to the next.
    point: usize,
}

/// Burns the pixels whose centre is inside by the even-odd rule over all rings together.
///
/// An edge table: edges sorted by the first row that they cross, and a list of those that cross the row at
/// hand. The cost is edges and crossings, whatever the window's height.
pub(super) fn fill(outline: &Outline, spans: &mut Spans) -> Result<()> {
    let edges = edge_table(outline, spans)?;
    let mut waiting = edges.into_iter().peekable();
    let mut active: Vec<Edge> = Vec::new();
    let mut crossings: Vec<u32> = Vec::new();
    let mut row = 0;
    loop {
        if active.is_empty() {
            match waiting.peek() {
                Some(edge) => row = edge.first,
                None => return Ok(()),
            }
        }
        while let Some(edge) = waiting.next_if(|edge| edge.first <= row) {
            active.push(edge);
        }
        spans.work(active.len() as u64)?;
        let centre = f64::from(row) + 0.5;
        crossings.clear();
        crossings.extend(active.iter().map(|edge| {
            let x = crossing(outline.points[edge.point], outline.points[edge.point + 1], centre);
            column(x, spans.size.width)
        }));
        crossings.sort_unstable();
        for pair in crossings.chunks_exact(2) {
            spans.push(row, pair[0], pair[1])?;
        }
        row += 1;
        active.retain(|edge| edge.end > row);
    }
}

/// The edges that cross a row's centre line, by first row. Those that lie on one are burnt at once: they
/// belong when they run leftwards, which is the lower side of a clockwise ring.
#[expect(clippy::float_cmp, reason = "an edge lies on a centre line exactly or not at all")]
fn edge_table(outline: &Outline, spans: &mut Spans) -> Result<Vec<Edge>> {
    let size = spans.size;
    let mut edges = Vec::new();
    for ring in outline.rings() {
        for point in ring.start..ring.end.saturating_sub(1) {
            let ([x1, y1], [x2, y2]) = (outline.points[point], outline.points[point + 1]);
            if y1 == y2 {
                let row = first_row(y1, size.height);
                if x1 > x2 && row < size.height && f64::from(row) + 0.5 == y1 {
                    spans.push(row, column(x2, size.width), column(x1, size.width))?;
                }
                continue;
            }
            let (first, end) = (first_row(y1.min(y2), size.height), first_row(y1.max(y2), size.height));
            if first < end {
                edges.push(Edge { first, end, point });
            }
        }
    }
    edges.sort_by_key(|edge| edge.first);
    Ok(edges)
}

/// The first row whose centre line is at `y` or below it, at most `height`. The subtraction is exact.
fn first_row(y: f64, height: u32) -> u32 {
    super::clamped((y - 0.5).ceil(), height)
}

/// Where an edge that is not horizontal crosses a row's centre line.
fn crossing(a: [f64; 2], b: [f64; 2], centre: f64) -> f64 {
    let ([x1, y1], [x2, y2]) = if a[1] < b[1] { (a, b) } else { (b, a) };
    let x = (centre - y1) * (x2 - x1) / (y2 - y1) + x1;
    if x.is_finite() {
        return x;
    }
    // Vertices beyond 1e150 pixels overflow that product; halves and a weighted mean cannot.
    let share = (centre / 2.0 - y1 / 2.0) / (y2 / 2.0 - y1 / 2.0);
    x1 * (1.0 - share) + x2 * share
}

/// The first column whose centre is at `x` or right of it, as GDAL rounds, at most `width`.
fn column(x: f64, width: u32) -> u32 {
    super::clamped((x + 0.5).floor(), width)
}
