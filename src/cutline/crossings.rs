//! Where the edges of one polygon cross, overlap and touch.
//!
//! Which side of an edge a point lies on is decided exactly (Shewchuk's adaptive predicates), so that what touches is told
//! from what crosses, whatever the size of the coordinates. Only the place that is named is rounded.
#![expect(clippy::float_cmp, reason = "the same point is the same number, and which side is decided exactly")]

use std::ops::Range;

use robust::{Coord, orient2d};

/// Comparisons of boxes after which a polygon is looked at no further: about a second.
const STEPS: u64 = 1 << 25;
/// The same for edges at the height of a hole that is looked for: 100,000 holes, 1,000 edges at the height of each.
const HOLE_STEPS: u64 = 1 << 28;
/// Places where rings touch that are remembered.
const CONTACTS: usize = 1 << 20;
/// Edges in a box of the lowest level, and boxes in one of the next.
const FAN: usize = 8;

/// The rings of a polygon, each of at least 3 vertices, none twice in a row, the first not repeated at the end.
#[derive(Debug, Default)]
pub(super) struct Rings {
    /// Scaled by a power of two to where products neither overflow nor vanish.
    points: Vec<[f64; 2]>,
    /// The ring of each point, in order of the calls of [`Self::push`].
    ring_of: Vec<u32>,
    ranges: Vec<Range<usize>>,
    /// What [`Self::points`] were multiplied by.
    scale: f64,
}

/// What was found between the edges of a polygon.
#[derive(Debug, Default)]
pub(super) struct Meetings {
    /// Pairs of edges that cross or overlap.
    pub(super) crossings: u64,
    /// Where a ring comes back to a point of its own and does not cross itself there.
    pub(super) self_touches: u64,
    /// The first crossing or touch along the rings, and its ring.
    pub(super) first: Option<Place>,
    /// By ring: whether it crosses or overlaps itself.
    pub(super) crosses_itself: Vec<bool>,
    /// By ring: whether it crosses or overlaps another.
    pub(super) crosses_others: Vec<bool>,
    /// Rings that touch without crossing, and the point's number.
    contacts: Vec<(usize, usize, usize)>,
    /// Whether all pairs of edges were looked at.
    pub(super) complete: bool,
}

/// A place on a ring.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Place {
    pub(super) ring: usize,
    pub(super) at: [f64; 2],
    /// Whether a ring only touches itself there.
    pub(super) touch: bool,
    edges: (usize, usize),
}

/// Where the holes of a polygon lie.
#[derive(Debug, Default)]
pub(super) struct Holes {
    /// Holes outside the first ring, and one of its vertices.
    pub(super) outside: Vec<(usize, [f64; 2])>,
    /// Holes within another hole.
    pub(super) nested: Vec<(usize, [f64; 2])>,
    /// Whether all of them were looked at.
    pub(super) complete: bool,
}

impl Rings {
    /// Without rings yet, for coordinates of which `largest` is the largest in size.
    pub(super) fn new(largest: f64) -> Self {
        let exponent = if largest > 0.0 { largest.log2().clamp(-1020.0, 1020.0).floor() } else { 0.0 };
        // Squares and their rounding errors need four times the exponent's room.
        let scale = if exponent.abs() < 200.0 { 1.0 } else { (-exponent).exp2() };
        Self { scale, ..Self::default() }
    }

    /// Adds a ring; one without vertices keeps its number and has no edges.
    pub(super) fn push(&mut self, ring: &[[f64; 2]]) {
        let start = self.points.len();
        let number = self.ranges.len();
        self.points.extend(ring.iter().map(|point| point.map(|v| v * self.scale)));
        // More rings do not fit into memory.
        self.ring_of.resize(self.points.len(), u32::try_from(number).unwrap_or(u32::MAX));
        self.ranges.push(start..self.points.len());
    }

    fn point(&self, index: usize) -> [f64; 2] {
        self.points.get(index).copied().unwrap_or_default()
    }

    fn ring(&self, index: usize) -> (usize, Range<usize>) {
        let ring = self.ring_of.get(index).map_or(0, |ring| *ring as usize);
        (ring, self.ranges.get(ring).cloned().unwrap_or_default())
    }

    fn next(&self, index: usize) -> usize {
        let next = index.saturating_add(1);
        if self.ring_of.get(next) == self.ring_of.get(index) { next } else { self.ring(index).1.start }
    }

    fn previous(&self, index: usize) -> usize {
        let previous = index.wrapping_sub(1);
        if self.ring_of.get(previous) == self.ring_of.get(index) {
            previous
        } else {
            self.ring(index).1.end.saturating_sub(1)
        }
    }

    /// In the polygon's own coordinates.
    fn place(&self, point: [f64; 2]) -> [f64; 2] {
        point.map(|v| v / self.scale)
    }

    fn edge(&self, index: usize) -> [[f64; 2]; 2] {
        [self.point(index), self.point(self.next(index))]
    }

    /// The box of an edge.
    fn corners(&self, index: usize) -> Corners {
        let [[ax, ay], [bx, by]] = self.edge(index);
        around([ax, ay, ax, ay], [bx, by, bx, by])
    }

    /// All places where edges that do not follow each other meet.
    pub(super) fn meetings(&self) -> Meetings {
        let rings = self.ranges.len();
        let mut found = Meetings {
            crosses_itself: vec![false; rings],
            crosses_others: vec![false; rings],
            ..Meetings::default()
        };
        let complete = Boxes::new(self).pairs(STEPS, |a, b| self.meet(a, b, &mut found));
        found.complete = complete && found.contacts.len() < CONTACTS;
        found
    }

    /// The vertices at which a ring turns back on itself, in the polygon's own coordinates.
    pub(super) fn spikes(&self, ring: usize) -> impl Iterator<Item = [f64; 2]> {
        let range = self.ranges.get(ring).cloned().unwrap_or_default();
        let turns = |&index: &usize| {
            let [from, to] = [self.previous(index), self.next(index)].map(|index| self.point(index));
            same_ray(self.point(index), from, to)
        };
        range.filter(turns).map(|index| self.place(self.point(index)))
    }

    /// How two edges meet, the first before the second in the order of points.
    fn meet(&self, a: usize, b: usize, found: &mut Meetings) {
        let (next_a, next_b) = (self.next(a), self.next(b));
        if next_a == b || next_b == a {
            return;
        }
        let ([a0, a1], [b0, b1]) = (self.edge(a), self.edge(b));
        let [starts, ends] = [side(a0, a1, b0), side(a0, a1, b1)];
        if same_side(starts, ends) {
            return;
        }
        let [from, to] = [side(b0, b1, a0), side(b0, b1, a1)];
        if same_side(from, to) {
            return;
        }
        if [from, to, starts, ends].iter().all(|side| *side != 0.0) {
            let share = from.abs() / (from.abs() + to.abs());
            self.cross(a, b, [a0[0] + (a1[0] - a0[0]) * share, a0[1] + (a1[1] - a0[1]) * share], found);
            return;
        }
        if starts == 0.0 && ends == 0.0 {
            // On one line: what they share, if it is longer than a point.
            let low = last(first(a0, a1), first(b0, b1));
            let high = first(last(a0, a1), last(b0, b1));
            if low < high {
                self.cross(a, b, low, found);
                return;
            }
        }
        // Each meeting at a vertex is seen from the edge that starts there.
        let chain = |vertex: usize| [self.point(self.previous(vertex)), self.point(self.next(vertex))];
        if a0 == b0 {
            self.at_vertex(a, b, a0, chain(a), chain(b), found);
        } else if from == 0.0 && within(a0, b0, b1) {
            self.at_vertex(a, b, a0, chain(a), [b0, b1], found);
        }
        if b0 != a0 && starts == 0.0 && within(b0, a0, a1) {
            self.at_vertex(a, b, b0, chain(b), [a0, a1], found);
        }
    }

    /// Two pieces of outline that pass one point, each given by what it comes from and goes to.
    fn at_vertex(
        &self,
        a: usize,
        b: usize,
        at: [f64; 2],
        [from, to]: [[f64; 2]; 2],
        other: [[f64; 2]; 2],
        found: &mut Meetings,
    ) {
        // What runs along the other overlaps it, and is counted as that.
        if other.iter().any(|&end| same_ray(at, from, end) || same_ray(at, to, end)) {
            return;
        }
        let turn = side(from, at, to);
        let left = |point: [f64; 2]| {
            let (before, after) = (side(from, at, point) > 0.0, side(at, to, point) > 0.0);
            if turn > 0.0 { before && after } else { before || after }
        };
        let [other_from, other_to] = other;
        if left(other_from) != left(other_to) {
            self.cross(a, b, at, found);
            return;
        }
        let ((ring_a, _), (ring_b, _)) = (self.ring(a), self.ring(b));
        if ring_a == ring_b {
            found.self_touches = found.self_touches.saturating_add(1);
            self.note(a, b, at, true, found);
        } else {
            let vertex = if at == self.point(a) { a } else { b };
            if found.contacts.len() < CONTACTS {
                found.contacts.push((ring_a, ring_b, vertex));
            }
        }
    }

    fn cross(&self, a: usize, b: usize, at: [f64; 2], found: &mut Meetings) {
        found.crossings = found.crossings.saturating_add(1);
        let ((ring_a, _), (ring_b, _)) = (self.ring(a), self.ring(b));
        let crossed = if ring_a == ring_b { &mut found.crosses_itself } else { &mut found.crosses_others };
        for ring in [ring_a, ring_b] {
            if let Some(crossed) = crossed.get_mut(ring) {
                *crossed = true;
            }
        }
        self.note(a, b, at, false, found);
    }

    fn note(&self, a: usize, b: usize, at: [f64; 2], touch: bool, found: &mut Meetings) {
        if found.first.is_none_or(|first| (a, b) < first.edges) {
            let (ring, _) = self.ring(a);
            found.first = Some(Place { ring, at: self.place(at), touch, edges: (a, b) });
        }
    }

    /// How often rings that touch each other close a circle, so that they part the inside, and where first.
    pub(super) fn circles(&self, meetings: &Meetings) -> (u64, Option<[f64; 2]>) {
        // Rings and points are the nodes of a graph: it is a tree unless some of them part the inside.
        let mut contacts: Vec<([u64; 2], usize, usize)> = meetings
            .contacts
            .iter()
            .flat_map(|&(a, b, vertex)| {
                let key = key(self.point(vertex));
                [(key, a, vertex), (key, b, vertex)]
            })
            .collect();
        contacts.sort_unstable();
        contacts.dedup_by_key(|(key, ring, _)| (*key, *ring));
        let mut parent: Vec<usize> = (0..self.ranges.len()).collect();
        let mut count = 0_u64;
        let mut first = None;
        for at_point in contacts.chunk_by(|a, b| a.0 == b.0) {
            let Some(&(_, one, vertex)) = at_point.first() else { continue };
            for &(_, ring, _) in at_point.iter().skip(1) {
                let (a, b) = (root(&mut parent, one), root(&mut parent, ring));
                if a == b {
                    count = count.saturating_add(1);
                    first = first.min(Some(vertex)).or(Some(vertex));
                } else if let Some(parent) = parent.get_mut(a) {
                    *parent = b;
                }
            }
        }
        (count, first.map(|vertex| self.place(self.point(vertex))))
    }

    /// Which rings after the first lie outside it, and which within another. Those that cross others are left out.
    pub(super) fn holes(&self, meetings: &Meetings) -> Holes {
        let mut found = Holes { complete: true, ..Holes::default() };
        if self.ranges.len() < 2 {
            return found;
        }
        let mut touching: Vec<[u64; 2]> =
            meetings.contacts.iter().map(|&(_, _, vertex)| key(self.point(vertex))).collect();
        touching.sort_unstable();
        let free = |index: &usize| touching.binary_search(&key(self.point(*index))).is_err();
        let mut asked: Vec<(usize, [f64; 2])> = Vec::new();
        for (ring, range) in self.ranges.iter().enumerate().skip(1) {
            if range.is_empty() || meetings.crosses_others.get(ring) == Some(&true) {
                continue;
            }
            // A vertex that touches no other ring; else the middle of an edge, which lies between two that do.
            let point = range.clone().find(free).map_or_else(
                || {
                    let [[x0, y0], [x1, y1]] = self.edge(range.start);
                    [f64::midpoint(x0, x1), f64::midpoint(y0, y1)]
                },
                |index| self.point(index),
            );
            asked.push((ring, point));
        }
        asked.sort_by(|(_, a), (_, b)| a[1].total_cmp(&b[1]));
        // Edges from their lower end to their upper one, with their rings.
        let mut upwards: Vec<([f64; 2], [f64; 2], usize)> = (0..self.points.len())
            .map(|index| {
                let [a, b] = self.edge(index);
                let (ring, _) = self.ring(index);
                if a[1] < b[1] { (a, b, ring) } else { (b, a, ring) }
            })
            .collect();
        upwards.sort_by(|(a, ..), (b, ..)| a[1].total_cmp(&b[1]));
        let mut waiting = upwards.iter().peekable();
        let mut active = Vec::new();
        let mut odd: Vec<usize> = Vec::new();
        let mut steps = HOLE_STEPS;
        for (own, point) in asked {
            while let Some(edge) = waiting.next_if(|(lower, ..)| lower[1] <= point[1]) {
                active.push(edge);
            }
            let Some(left) = steps.checked_sub(active.len() as u64) else {
                found.complete = false;
                break;
            };
            steps = left;
            active.retain(|(_, upper, _)| upper[1] > point[1]);
            odd.clear();
            for &&(lower, upper, ring) in &active {
                let right = lower[0] > point[0] && upper[0] > point[0];
                if ring != own && !right && side(lower, upper, point) < 0.0 {
                    odd.push(ring);
                }
            }
            odd.sort_unstable();
            let within = |ring: &[usize]| ring.len() % 2 == 1;
            let rings =
                || odd.chunk_by(|a, b| a == b).filter(|ring| within(ring)).filter_map(<[usize]>::first);
            if !rings().any(|&ring| ring == 0) {
                found.outside.push((own, self.place(point)));
            }
            if rings().any(|&ring| ring != 0) {
                found.nested.push((own, self.place(point)));
            }
        }
        found.outside.sort_by_key(|(ring, _)| *ring);
        found.nested.sort_by_key(|(ring, _)| *ring);
        found
    }
}

/// The representative of a ring's group, with the path to it halved.
fn root(parent: &mut [usize], mut ring: usize) -> usize {
    while let Some(&up) = parent.get(ring)
        && up != ring
    {
        let above = parent.get(up).copied().unwrap_or(up);
        if let Some(parent) = parent.get_mut(ring) {
            *parent = above;
        }
        ring = above;
    }
    ring
}

fn same_side(a: f64, b: f64) -> bool {
    (a > 0.0 && b > 0.0) || (a < 0.0 && b < 0.0)
}

/// Above 0 when `point` lies left of the line from `a` to `b`, y upwards; 0 on it, exactly.
pub(super) fn side(a: [f64; 2], b: [f64; 2], point: [f64; 2]) -> f64 {
    let coord = |[x, y]: [f64; 2]| Coord { x, y };
    orient2d(coord(a), coord(b), coord(point))
}

/// Whether `a` and `b` lie in the same direction from a point.
pub(super) fn same_ray(from: [f64; 2], a: [f64; 2], b: [f64; 2]) -> bool {
    let towards = |to: [f64; 2]| [0, 1].map(|axis: usize| to.get(axis).partial_cmp(&from.get(axis)));
    towards(a) == towards(b) && side(from, a, b) == 0.0
}

/// Whether a point of the line through `a` and `b` lies between them, and is neither.
fn within(point: [f64; 2], a: [f64; 2], b: [f64; 2]) -> bool {
    first(a, b) < point && point < last(a, b)
}

/// Along a line, points have the order of their x, and where that is the same, of their y.
fn first(a: [f64; 2], b: [f64; 2]) -> [f64; 2] {
    if a < b { a } else { b }
}

fn last(a: [f64; 2], b: [f64; 2]) -> [f64; 2] {
    if a < b { b } else { a }
}

/// The same bits for the same place.
fn key(point: [f64; 2]) -> [u64; 2] {
    // Zero has two signs.
    point.map(|v| (v + 0.0).to_bits())
}

/// The box of an edge or of several: its least x and y, then its greatest.
type Corners = [f64; 4];

fn around(a: Corners, b: Corners) -> Corners {
    let ([ax, ay, a_right, a_top], [bx, by, b_right, b_top]) = (a, b);
    [ax.min(bx), ay.min(by), a_right.max(b_right), a_top.max(b_top)]
}

fn meet([ax, ay, a_right, a_top]: Corners, [bx, by, b_right, b_top]: Corners) -> bool {
    ax <= b_right && bx <= a_right && ay <= b_top && by <= a_top
}

/// Edges in boxes, boxes in larger boxes.
struct Boxes<'a> {
    rings: &'a Rings,
    /// Up to [`FAN`] edges of a ring that follow each other, which keeps neighbours together at no cost; these, near each
    /// other.
    chunks: Vec<Range<usize>>,
    /// The boxes around the chunks, then those around each [`FAN`] of the level below, up to a single one.
    levels: Vec<Vec<Corners>>,
}

impl<'a> Boxes<'a> {
    fn new(rings: &'a Rings) -> Self {
        let mut chunks: Vec<Range<usize>> = Vec::with_capacity(rings.points.len().div_ceil(FAN));
        for Range { start, end } in rings.ranges.iter().cloned() {
            chunks.extend((start..end).step_by(FAN).map(|from| from..from.saturating_add(FAN).min(end)));
        }
        let around_chunk = |chunk: &Range<usize>| {
            chunk.clone().map(|edge| rings.corners(edge)).reduce(around).unwrap_or_default()
        };
        let [x0, y0, x1, y1] = chunks.iter().map(around_chunk).reduce(around).unwrap_or_default();
        chunks.sort_by_cached_key(|chunk| {
            let [ax, ay, bx, by] = around_chunk(chunk);
            along_curve((f64::midpoint(ax, bx) - x0) / (x1 - x0), (f64::midpoint(ay, by) - y0) / (y1 - y0))
        });
        let mut levels: Vec<Vec<Corners>> = vec![chunks.iter().map(around_chunk).collect()];
        while let Some(level) = levels.last()
            && level.len() > 1
        {
            let above = level.chunks(FAN).filter_map(|boxes| boxes.iter().copied().reduce(around)).collect();
            levels.push(above);
        }
        Self { rings, chunks, levels }
    }

    /// Calls `visit` with every pair of edges whose boxes meet, the lower number first, each pair once. False when that
    /// took more than `steps` comparisons, and was left off.
    fn pairs(&self, mut steps: u64, mut visit: impl FnMut(usize, usize)) -> bool {
        // A level, and two boxes of it that meet.
        let mut open = vec![(self.levels.len().saturating_sub(1), 0, 0)];
        let (mut left, mut right) = (Vec::with_capacity(FAN), Vec::with_capacity(FAN));
        while let Some((level, i, j)) = open.pop() {
            let whole = |number: usize| self.levels.get(level).and_then(|boxes| boxes.get(number)).copied();
            let (Some(box_i), Some(box_j)) = (whole(i), whole(j)) else { continue };
            // Of two boxes, only what reaches into the other one meets anything there.
            left.clear();
            left.extend(self.parts(level, i).filter(|(_, corners)| i == j || meet(*corners, box_j)));
            right.clear();
            right.extend(self.parts(level, j).filter(|(_, corners)| i == j || meet(*corners, box_i)));
            let compared = FAN.saturating_mul(2).saturating_add(left.len().saturating_mul(right.len()));
            let Some(rest) = steps.checked_sub(compared as u64) else { return false };
            steps = rest;
            for (number, &(a, box_a)) in left.iter().enumerate() {
                // An edge does not meet itself, but a box's edges may meet each other.
                let from = match (i == j, level) {
                    (false, _) => 0,
                    (true, 0) => number.saturating_add(1),
                    (true, _) => number,
                };
                for &(b, box_b) in right.iter().skip(from) {
                    if !meet(box_a, box_b) {
                        continue;
                    }
                    match level.checked_sub(1) {
                        Some(below) => open.push((below, a, b)),
                        None => visit(a.min(b), a.max(b)),
                    }
                }
            }
        }
        true
    }

    /// What a box of a level is made of, with its numbers: boxes of the level below, or edges.
    fn parts(&self, level: usize, number: usize) -> impl Iterator<Item = (usize, Corners)> {
        let below = level.checked_sub(1).and_then(|below| self.levels.get(below));
        let numbers = match below {
            Some(boxes) => {
                let start = number.saturating_mul(FAN);
                start..start.saturating_add(FAN).min(boxes.len())
            }
            None => self.chunks.get(number).cloned().unwrap_or_default(),
        };
        numbers.map(move |number| {
            let corners = match below {
                Some(boxes) => boxes.get(number).copied().unwrap_or_default(),
                None => self.rings.corners(number),
            };
            (number, corners)
        })
    }
}

/// A place in the unit square on a Z-order curve, which keeps together what is near.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast saturates, and takes NaN to 0"
)]
fn along_curve(x: f64, y: f64) -> u64 {
    let spread = |v: f64| {
        let v = u64::from((v * 65_535.0) as u16);
        let v = (v | v << 8) & 0x00ff_00ff;
        let v = (v | v << 4) & 0x0f0f_0f0f;
        let v = (v | v << 2) & 0x3333_3333;
        (v | v << 1) & 0x5555_5555
    };
    spread(x) | spread(y) << 1
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every pair of edges whose boxes meet, against comparing each with each.
    #[test]
    fn no_pair_is_missed_and_none_comes_twice() {
        let mut state = 3_u64;
        let mut random = |bound: u32| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            f64::from(u32::try_from(state >> 33).unwrap_or(0) % bound)
        };
        for (rings, vertices, bound) in
            [(1, 3, 9), (1, 8, 5), (1, 9, 5), (3, 64, 40), (40, 5, 300), (2, 300, 1), (1, 700, 999)]
        {
            let mut all = Rings::new(1.0);
            for _ in 0..rings {
                let ring: Vec<_> = (0..vertices).map(|_| [random(bound), random(bound)]).collect();
                all.push(&ring);
            }
            let corners = |index| {
                let [[ax, ay], [bx, by]] = all.edge(index);
                [ax.min(bx), ay.min(by), ax.max(bx), ay.max(by)]
            };
            let count = all.points.len();
            let expected: BTreeSet<(usize, usize)> = (0..count)
                .flat_map(|a| (a + 1..count).map(move |b| (a, b)))
                .filter(|&(a, b)| meet(corners(a), corners(b)))
                .collect();
            let mut found = BTreeSet::new();
            assert!(Boxes::new(&all).pairs(STEPS, |a, b| assert!(found.insert((a, b)))));
            assert_eq!(found, expected, "{rings} {vertices} {bound}");
        }
        assert!(Boxes::new(&Rings::new(0.0)).pairs(STEPS, |_, _| unreachable!()));
    }

    /// By hand: the square's edges, and a point half a last digit off the diagonal, which products of doubles cannot tell.
    #[test]
    fn sides_are_exact() {
        assert!(side([0.0, 0.0], [1.0, 0.0], [0.5, 0.1]) > 0.0);
        let (a, b) = ([12.0, 12.0], [24.0, 24.0]);
        assert_eq!(side(a, b, [0.5, 0.5]), 0.0);
        assert!(side(a, b, [0.5, 0.5_f64.next_up()]) > 0.0);
        assert!(side(a, b, [0.5, 0.5_f64.next_down()]) < 0.0);
        assert!(
            same_ray([0.0, 0.0], [1.0, 2.0], [3.0, 6.0]) && !same_ray([0.0, 0.0], [1.0, 2.0], [-3.0, -6.0])
        );
        assert!(!same_ray([0.0, 0.0], [1.0, 2.0], [3.0, 6.0_f64.next_up()]));
    }
}
