//! The pixels that an outline touches (rule E of the design's `mask-rule.md`).

use super::clamped;
use super::spans::Spans;
use crate::error::Result;

/// Segments that differ by less than this along an axis, in pixels, are burnt as vertical or horizontal.
const STRAIGHT: f64 = 0.01;
/// Ends this close to a pixel's edge, in pixels, lie on it.
const ON_EDGE: f64 = 1e-4;
/// The least step across a row's edge, in pixels: it keeps the walk going.
const LEAST_STEP: f64 = 1e-9;
/// Rounding can start a walk above or below the window, heading for it. It is taken row by row, as GDAL takes
/// it, from this many rows away and not from farther.
const APPROACH: f64 = 4096.0;

/// Burns every pixel that the segment from one point to another, in pixels, passes through.
///
/// A straight segment on the edge between two pixels touches neither. The walk ends where the segment leaves
/// the window for good, so a segment costs at most the window's width and height, however far its ends lie.
pub(super) fn touch(from: [f64; 2], to: [f64; 2], spans: &mut Spans) -> Result<()> {
    let (w, h) = (f64::from(spans.size.width), f64::from(spans.size.height));
    let ([x, y], [xe, ye]) = if from[0] > to[0] { (to, from) } else { (from, to) };
    let beyond = |a: f64, b: f64, end: f64| (a < 0.0 && b < 0.0) || (a > end && b > end);
    if beyond(x, xe, w) || beyond(y, ye, h) {
        return Ok(());
    }
    if (x - xe).abs() < STRAIGHT {
        if on_edge(x) && on_edge(xe) {
            return Ok(());
        }
        let (first, end) = cells(y.min(ye), y.max(ye), spans.size.height);
        let col = xe.floor();
        if col >= 0.0 && col < w {
            let col = clamped(col, spans.size.width);
            for row in first..end {
                spans.push(row, col, col + 1)?;
            }
        }
        return Ok(());
    }
    if (y - ye).abs() < STRAIGHT {
        if on_edge(y) && on_edge(ye) {
            return Ok(());
        }
        let (start, end) = cells(x, xe, spans.size.width);
        let row = y.floor();
        if row >= 0.0 && row < h {
            spans.push(clamped(row, spans.size.height), start, end)?;
        }
        return Ok(());
    }
    walk([x, y], [xe, ye], spans)
}

/// Burns a slanted segment, given from left to right: clips it to the window, then steps from pixel to pixel.
fn walk([mut x, mut y]: [f64; 2], [mut xe, mut ye]: [f64; 2], spans: &mut Spans) -> Result<()> {
    let (w, h) = (f64::from(spans.size.width), f64::from(spans.size.height));
    let slope = (ye - y) / (xe - x);
    if xe > w {
        ye -= (xe - w) * slope;
        xe = w;
    }
    if x < 0.0 {
        y += (0.0 - x) * slope;
        x = 0.0;
    }
    if ye > y {
        if y < 0.0 {
            x += (0.0 - y) / slope;
            y = 0.0;
        }
        if ye >= h {
            xe = (xe + (ye - h) / slope).min(w);
        }
    } else {
        if y >= h {
            x += (h - y) / slope;
            y = h;
        }
        if ye < 0.0 {
            xe -= (ye - 0.0) / slope;
        }
    }
    if slope > 0.0 && y < -APPROACH {
        x += (-APPROACH - y) / slope;
        y = -APPROACH;
    } else if slope < 0.0 && y > h + APPROACH {
        x += (h + APPROACH - y) / slope;
        y = h + APPROACH;
    }
    // GDAL looks only at `xe`. A segment that starts on the window's right edge, above it, and leads right and
    // down is clipped to nothing, then `xe` is moved beyond the edge: where it reaches row 0, GDAL can burn the
    // pixel past the edge, which is the first of row 1. This stops at the edge, and where the walk leaves the
    // window upwards or downwards, for it does not come back.
    while x >= 0.0 && x < xe && x < w {
        spans.work(1)?;
        let row = y.floor();
        if row >= 0.0 && row < h {
            let col = clamped(x.floor(), spans.size.width);
            spans.push(clamped(row, spans.size.height), col, col + 1)?;
        } else if (slope > 0.0) == (row >= 0.0) {
            break;
        }
        let across = (x + 1.0).floor() - x;
        let down = across * slope;
        #[expect(clippy::float_cmp, reason = "both are whole numbers")]
        if (y + down).floor() == row {
            x += across;
            y += down;
        } else if slope < 0.0 {
            let down = (row - y).min(-LEAST_STEP);
            x += down / slope;
            // Beyond 2^23 rows the least step is less than the spacing of f64.
            y = (y + down).min(y.next_down());
        } else {
            let down = (row + 1.0 - y).max(LEAST_STEP);
            x += down / slope;
            y += down;
        }
    }
    Ok(())
}

/// Whether a coordinate lies on the edge between two pixels.
fn on_edge(v: f64) -> bool {
    (v - v.round()).abs() < ON_EDGE
}

/// The pixels along one axis, half-open, from `a` to just before `b`, within `0..end`.
fn cells(a: f64, b: f64, end: u32) -> (u32, u32) {
    (clamped(a.floor(), end), clamped((b - ON_EDGE).floor() + 1.0, end))
}
