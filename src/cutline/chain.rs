//! Rings cut open along a line: the parts of them on one side, and how these are joined along the line.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::Ring;
use crate::error::Result;

/// One end of a part of a ring.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    /// Where on the line it lies.
    pub(super) along: f64,
    chain: usize,
    is_start: bool,
}

/// What each end of a part is joined to.
#[derive(Clone, Copy, Default)]
struct Links {
    start: Option<(End, End)>,
    end: Option<(End, End)>,
}

/// Appends the parts of a ring (first point equal to the last or left out) that lie where `holds` says; it must not hold
/// for all points. `crossing` gives the point of the line between a point for which it holds and one for which it does
/// not; each part begins and ends with one.
pub(super) fn parts(
    points: &[[f64; 2]],
    holds: impl Fn([f64; 2]) -> bool,
    crossing: impl Fn([f64; 2], [f64; 2]) -> [f64; 2],
    chains: &mut Vec<Ring>,
) {
    let Some(outside) = points.iter().position(|point| !holds(*point)) else { return };
    let (tail, head) = points.split_at(outside);
    let mut last: Option<([f64; 2], bool)> = None;
    let mut chain = Ring::new();
    for &point in head.iter().chain(tail).chain(head.first()) {
        let here = holds(point);
        match last {
            Some((last, false)) if here => chain.push(crossing(point, last)),
            Some((last, true)) if !here => {
                chain.push(crossing(last, point));
                chains.push(std::mem::take(&mut chain));
            }
            _ => {}
        }
        if here {
            chain.push(point);
        }
        last = Some((point, here));
    }
}

/// The ends of all parts in order along the line.
pub(super) fn ends(chains: &[Ring], along: impl Fn([f64; 2]) -> f64) -> Vec<End> {
    let mut ends = Vec::with_capacity(chains.len().saturating_mul(2));
    for (chain, points) in chains.iter().enumerate() {
        if let (Some(first), Some(last)) = (points.first(), points.last()) {
            ends.push(End { along: along(*first), chain, is_start: true });
            ends.push(End { along: along(*last), chain, is_start: false });
        }
    }
    ends.sort_by(|a, b| a.along.total_cmp(&b.along));
    ends
}

/// The closed rings that come of joining ends two by two, the first with the second and so on. `join` appends what of the
/// line lies between two ends, without these; they are given in the order of the walk.
///
/// # Errors
/// Those of `join`.
pub(super) fn joined(
    mut chains: Vec<Ring>,
    ends: &[End],
    mut join: impl FnMut(End, End, &mut Ring) -> Result<()>,
) -> Result<Vec<Ring>> {
    let mut links = vec![Links::default(); chains.len()];
    for pair in ends.chunks_exact(2) {
        let [a, b] = pair else { continue };
        for (from, to) in [(*a, *b), (*b, *a)] {
            if let Some(links) = links.get_mut(from.chain) {
                *(if from.is_start { &mut links.start } else { &mut links.end }) = Some((from, to));
            }
        }
    }
    let mut rings = Vec::new();
    for first in 0..chains.len() {
        let mut ring = Ring::new();
        let (mut at, mut forwards) = (first, true);
        // A part that has been walked is left empty.
        while let Some(chain) = chains.get_mut(at).filter(|chain| !chain.is_empty()) {
            let points = std::mem::take(chain);
            if forwards {
                ring.extend(points);
            } else {
                ring.extend(points.into_iter().rev());
            }
            let next = links.get(at).and_then(|links| if forwards { links.end } else { links.start });
            let Some((from, to)) = next else { break };
            join(from, to, &mut ring)?;
            (at, forwards) = (to.chain, to.is_start);
        }
        if !ring.is_empty() {
            ring.extend(ring.first().copied());
            rings.push(ring);
        }
    }
    Ok(rings)
}
