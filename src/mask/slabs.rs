//! The area inside polygons within one square, exactly: a sum of trapezoids.

/// A straight piece of an outline in a square of side 1, x rightwards and y downwards, from its upper end to its lower
/// one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) top: [f64; 2],
    pub(super) bottom: [f64; 2],
    /// Its polygon's number among those of the square.
    pub(super) polygon: u32,
    /// Its upper end lies on the square's upper side, and the outline comes down to there from above.
    pub(super) above: bool,
}

/// A piece between the upper and the lower end of a slab.
#[derive(Clone, Copy)]
struct Line {
    top: f64,
    bottom: f64,
    /// Where it stands among the pieces.
    piece: usize,
    polygon: u32,
}

impl Line {
    /// Where it is when a share of the slab lies above.
    fn at(&self, share: f64) -> f64 {
        self.top + (self.bottom - self.top) * share
    }
}

/// The area of the square that is inside any polygon: a point is inside one when an odd number of its pieces lies left
/// of it, at the same height. No piece is level. `None` when that takes more than `work` steps, which are counted down.
///
/// The square is cut into slabs at every end of a piece and at every crossing of two. Within a slab the pieces keep their
/// order, so that what lies between two of them is a trapezoid.
pub(super) fn area(pieces: &mut [Piece], polygons: usize, work: &mut u64) -> Option<f64> {
    if let [piece] = pieces {
        let width = 1.0 - f64::midpoint(piece.top[0], piece.bottom[0]);
        return Some((piece.bottom[1] - piece.top[1]) * width);
    }
    pieces.sort_unstable_by(|a, b| a.top[1].total_cmp(&b.top[1]));
    let mut heights: Vec<f64> = pieces.iter().flat_map(|piece| [piece.top[1], piece.bottom[1]]).collect();
    heights.sort_unstable_by(f64::total_cmp);
    heights.dedup();
    let mut odd = vec![false; polygons];
    let mut waiting = pieces.iter().enumerate().peekable();
    let mut lines: Vec<Line> = Vec::new();
    let mut cuts = Vec::new();
    let mut sum = 0.0;
    for pair in heights.windows(2) {
        let (top, bottom) = (pair[0], pair[1]);
        lines.retain(|line| pieces[line.piece].bottom[1] > top);
        while let Some((piece, &Piece { polygon, .. })) = waiting.next_if(|(_, piece)| piece.top[1] <= top) {
            lines.push(Line { top: 0.0, bottom: 0.0, piece, polygon });
        }
        spend(work, lines.len())?;
        for line in &mut lines {
            let Piece { top: a, bottom: b, .. } = pieces[line.piece];
            (line.top, line.bottom) = (x_at(top, a, b), x_at(bottom, a, b));
        }
        // Stable: it makes use of the order of the slab above.
        lines.sort_by(|a, b| a.top.total_cmp(&b.top).then(a.bottom.total_cmp(&b.bottom)));
        if lines.is_sorted_by(|a, b| a.bottom <= b.bottom) {
            sum += (bottom - top) * covered(&lines, 0.5, &mut odd);
            continue;
        }
        crossings(&lines, &mut cuts, work)?;
        for cut in cuts.windows(2) {
            spend(work, lines.len())?;
            let middle = f64::midpoint(cut[0], cut[1]);
            lines.sort_by(|a, b| a.at(middle).total_cmp(&b.at(middle)));
            sum += (bottom - top) * (cut[1] - cut[0]) * covered(&lines, middle, &mut odd);
        }
    }
    Some(sum)
}

fn spend(work: &mut u64, steps: usize) -> Option<()> {
    *work = work.checked_sub(steps as u64)?;
    Some(())
}

/// Where lines that are sorted by their upper end cross each other, as shares of the slab, sorted, with 0 and 1.
fn crossings(lines: &[Line], cuts: &mut Vec<f64>, work: &mut u64) -> Option<()> {
    cuts.clear();
    cuts.extend([0.0, 1.0]);
    // An insertion sort by the lower end: it moves a line past those, and only those, that it crosses.
    let mut sorted: Vec<&Line> = Vec::with_capacity(lines.len());
    for line in lines {
        let crossed = sorted.iter().rev().take_while(|other| other.bottom > line.bottom).count();
        spend(work, crossed)?;
        let place = sorted.len() - crossed;
        for other in &sorted[place..] {
            let (above, below) = (line.top - other.top, other.bottom - line.bottom);
            let share = above / (above + below);
            if share > 0.0 && share < 1.0 {
                cuts.push(share);
            }
        }
        sorted.insert(place, line);
    }
    cuts.sort_unstable_by(f64::total_cmp);
    cuts.dedup();
    Some(())
}

/// The width that is covered at a share of the slab, of lines that are sorted there. `odd` is all false, and is again.
fn covered(lines: &[Line], share: f64, odd: &mut [bool]) -> f64 {
    let (mut inside, mut start, mut width) = (0_usize, 0.0, 0.0);
    for line in lines {
        let odd = &mut odd[line.polygon as usize];
        *odd = !*odd;
        if *odd {
            if inside == 0 {
                start = line.at(share);
            }
            inside += 1;
        } else {
            inside -= 1;
            if inside == 0 {
                width += line.at(share) - start;
            }
        }
    }
    if inside > 0 {
        width += 1.0 - start;
    }
    for line in lines {
        odd[line.polygon as usize] = false;
    }
    width
}

/// Where a segment from `a` down to `b` is at a height between them: at its ends exactly there.
#[expect(clippy::float_cmp, reason = "the very height of an end gives that end")]
pub(super) fn x_at(y: f64, a: [f64; 2], b: [f64; 2]) -> f64 {
    if y == a[1] || a[0] == b[0] {
        return a[0];
    }
    if y == b[1] {
        return b[0];
    }
    between(a[1], y, b[1], a[0], b[0])
}

/// What stands to `from..to` as `at` to `start..end`, never beyond `from` or `to`, whatever overflows.
pub(super) fn between(start: f64, at: f64, end: f64, from: f64, to: f64) -> f64 {
    let mut value = (at - start) * (to - from) / (end - start) + from;
    if !value.is_finite() {
        // Beyond 1e150 that product overflows; halves and a weighted mean cannot.
        let share = (at / 2.0 - start / 2.0) / (end / 2.0 - start / 2.0);
        value = from * (1.0 - share) + to * share;
    }
    // In this order NaN, which is left of what is too small to divide by, becomes an end.
    value.max(from.min(to)).min(from.max(to))
}
