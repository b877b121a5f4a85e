//! What a polygon covers when it is not valid: the even-odd area of all its rings, which is what GDAL fills.
//!
//! That definition needs hardly a change of the geometry: rings are closed, empty ones are left out, and every other
//! coordinate stays as it is, to the bit, because a mask of the very same rings is what GDAL burns. What repair adds is to
//! find what is invalid and count it, and to refuse it where that was asked for.
//!
//! What is called invalid is what GEOS's `isValid` calls so (OGC 06-103r4 §6.1.11.1), with these differences:
//! - invalid here, valid there: a vertex twice in a row; rings that run the wrong way, in formats that say which way is
//!   right; points and lines beside polygons in a collection;
//! - valid here, invalid there: parts of a MultiPolygon that overlap or share an edge, because several polygons are united
//!   wherever they come from;
//! - GEOS cannot be asked about rings that are not closed; they are invalid.
#![expect(clippy::float_cmp, reason = "the same point is the same number, and which side is decided exactly")]

use std::ops::AddAssign;

use super::crossings::{Meetings, Rings};
use super::{Polygon, Ring};
use crate::error::{Error, Result};
use crate::vector::{Geometry, Winding};

/// What to do with an invalid geometry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Fill it by the even-odd rule, and count what was wrong.
    #[default]
    Repair,
    /// Refuse it.
    Strict,
}

/// How much of what was invalid. `Default` is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repairs {
    /// Rings whose last vertex was not their first.
    pub unclosed: u64,
    /// Vertices that stood twice in a row.
    pub duplicate_points: u64,
    /// Vertices at which a ring turned back on itself.
    pub spikes: u64,
    /// Pairs of edges of one polygon, of the same ring or of two, that crossed or overlapped.
    pub self_intersections: u64,
    /// Times a ring came back to a point of its own without crossing itself there.
    pub self_touches: u64,
    /// Holes within another hole of the same polygon.
    pub nested_rings: u64,
    /// Holes that lay outside their polygon's first ring.
    pub holes_outside: u64,
    /// Times that rings of one polygon, touching at points, parted its inside.
    pub parted_interiors: u64,
    /// Rings that ran against the format's direction.
    pub wrong_winding: u64,
    /// Rings of fewer than 3 different points. They cover nothing, but stay, because GDAL burns what they touch.
    pub too_short: u64,
    /// Polygons, rings and collections without a vertex. These are left out, and are valid.
    pub empty: u64,
    /// Points and lines beside polygons in a collection. These are left out.
    pub skipped_kinds: u64,
    /// Polygons too tangled to be looked at to the end: of these, crossings and what depends on them are at least what is
    /// counted. What is filled does not depend on it.
    pub unfinished: u64,
}

impl Repairs {
    /// Whether nothing was invalid or left out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts().all(|(_, count)| count == 0)
    }

    /// Every count with its name, as in a report, nothing left out.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("unclosed", self.unclosed),
            ("duplicate_points", self.duplicate_points),
            ("spikes", self.spikes),
            ("self_intersections", self.self_intersections),
            ("self_touches", self.self_touches),
            ("nested_rings", self.nested_rings),
            ("holes_outside", self.holes_outside),
            ("parted_interiors", self.parted_interiors),
            ("wrong_winding", self.wrong_winding),
            ("too_short", self.too_short),
            ("empty", self.empty),
            ("skipped_kinds", self.skipped_kinds),
            ("unfinished", self.unfinished),
        ]
        .into_iter()
    }
}

impl AddAssign for Repairs {
    fn add_assign(&mut self, other: Self) {
        let add = |to: &mut u64, more: u64| *to = to.saturating_add(more);
        add(&mut self.unclosed, other.unclosed);
        add(&mut self.duplicate_points, other.duplicate_points);
        add(&mut self.spikes, other.spikes);
        add(&mut self.self_intersections, other.self_intersections);
        add(&mut self.self_touches, other.self_touches);
        add(&mut self.nested_rings, other.nested_rings);
        add(&mut self.holes_outside, other.holes_outside);
        add(&mut self.parted_interiors, other.parted_interiors);
        add(&mut self.wrong_winding, other.wrong_winding);
        add(&mut self.too_short, other.too_short);
        add(&mut self.empty, other.empty);
        add(&mut self.skipped_kinds, other.skipped_kinds);
        add(&mut self.unfinished, other.unfinished);
    }
}

/// Adds the polygons of a feature's geometry to `out`, their rings closed, and what was invalid to `repairs`. `winding` is
/// that of the layer.
///
/// The work is bounded: an outline of a million vertices takes a fraction of a second, and one whose edges all meet each
/// other a few.
///
/// # Errors
/// - [`crate::ErrorKind::Usage`], for the caller to lead by the feature: for a coordinate that is not finite; for points and
///   lines without a polygon; and in [`Mode::Strict`] for the first thing that is invalid, with its coordinate;
/// - [`crate::ErrorKind::Limit`] in [`Mode::Strict`] when a polygon is too tangled to be looked at to the end.
pub fn repair(
    geometry: &Geometry,
    winding: Winding,
    mode: Mode,
    out: &mut Vec<Polygon>,
    repairs: &mut Repairs,
) -> Result<()> {
    let before = out.len();
    let mut work = Repair { winding, mode, found: Repairs::default() };
    // The first geometry that covers nothing.
    let mut other: Option<(&'static str, [f64; 2])> = None;
    // Files nest collections as deep as they like.
    let mut open = vec![std::slice::from_ref(geometry).iter()];
    while let Some(parts) = open.last_mut() {
        let Some(part) = parts.next() else {
            open.pop();
            continue;
        };
        match part {
            Geometry::Point(point) => {
                work.found.skipped_kinds = work.found.skipped_kinds.saturating_add(1);
                other = other.or(Some(("Point", *point)));
            }
            Geometry::Line(line) => match line.first() {
                Some(point) => {
                    work.found.skipped_kinds = work.found.skipped_kinds.saturating_add(1);
                    other = other.or(Some(("LineString", *point)));
                }
                None => work.found.empty = work.found.empty.saturating_add(1),
            },
            Geometry::Polygon(rings) => out.extend(work.polygon(rings)?),
            Geometry::Collection(parts) => {
                if parts.is_empty() {
                    work.found.empty = work.found.empty.saturating_add(1);
                }
                open.push(parts.iter());
            }
        }
    }
    if let Some((kind, [x, y])) = other {
        if out.len() == before {
            return Err(Error::usage(format!("a {kind} covers no area; a cutline takes polygons")));
        }
        if mode == Mode::Strict {
            return Err(refused(format_args!("a {kind} stands beside polygons and covers no area"), [x, y]));
        }
    }
    repairs.add_assign(work.found);
    Ok(())
}

struct Repair {
    winding: Winding,
    mode: Mode,
    found: Repairs,
}

impl Repair {
    /// The polygon with its rings closed; `None` when it is empty.
    fn polygon(&mut self, rings: &[Ring]) -> Result<Option<Polygon>> {
        let mut closed: Vec<Ring> = Vec::with_capacity(rings.len());
        let mut largest = 0.0_f64;
        for (number, ring) in rings.iter().enumerate() {
            for (vertex, &[x, y]) in ring.iter().enumerate() {
                if !x.is_finite() || !y.is_finite() {
                    return Err(Error::usage(format!(
                        "ring {number}, vertex {vertex}: ({x}, {y}) is no place; remove the vertex"
                    )));
                }
                largest = largest.max(x.abs()).max(y.abs());
            }
        }
        let mut outline = Rings::new(largest);
        let mut spiked = Vec::with_capacity(rings.len());
        let longest = rings.iter().map(Vec::len).max().unwrap_or_default();
        let mut simple: Vec<[f64; 2]> = Vec::with_capacity(longest);
        for (number, ring) in rings.iter().enumerate() {
            if let Some(ring) =
                self.ring(ring, &mut simple).map_err(|error| error.at(format!("ring {number}")))?
            {
                closed.push(ring);
            }
            outline.push(&simple);
            let mut tips = 0_u64;
            for at in outline.spikes(number) {
                tips = tips.saturating_add(1);
                let what = format_args!("it turns back on itself in a spike");
                self.invalid(|found| &mut found.spikes, 1, what, at)
                    .map_err(|error| error.at(format!("ring {number}")))?;
            }
            spiked.push(tips > 0);
        }
        if closed.is_empty() {
            if rings.is_empty() {
                self.found.empty = self.found.empty.saturating_add(1);
            }
            return Ok(None);
        }
        let meetings = self.meetings(&outline)?;
        if self.winding != Winding::Any {
            for (number, ring) in rings.iter().enumerate() {
                let no_direction =
                    spiked.get(number) == Some(&true) || meetings.crosses_itself.get(number) == Some(&true);
                if let Some(&at) = ring.first()
                    && !no_direction
                    && self.runs_wrong(number == 0, ring)
                {
                    let way = if (self.winding == Winding::Right) == (number == 0) {
                        "clockwise"
                    } else {
                        "counterclockwise"
                    };
                    let what = format_args!("it runs {way}, which is the wrong way in this format, starting");
                    self.invalid(|found| &mut found.wrong_winding, 1, what, at)
                        .map_err(|error| error.at(format!("ring {number}")))?;
                }
            }
        }
        Ok(Some(Polygon { rings: closed }))
    }

    /// One ring by itself: closed, `None` when it is empty. `simple` becomes its vertices, none twice in a row and the first
    /// not repeated, or nothing when these are fewer than 3 different ones.
    fn ring(&mut self, ring: &[[f64; 2]], simple: &mut Vec<[f64; 2]>) -> Result<Option<Ring>> {
        simple.clear();
        let (Some(&first), Some(&last)) = (ring.first(), ring.last()) else {
            self.found.empty = self.found.empty.saturating_add(1);
            return Ok(None);
        };
        let mut closed = Vec::with_capacity(ring.len().saturating_add(1));
        closed.extend_from_slice(ring);
        if first != last {
            closed.push(first);
            self.invalid(|found| &mut found.unclosed, 1, format_args!("it is not closed, but ends"), last)?;
        }
        for &vertex in ring {
            if simple.last() == Some(&vertex) {
                let what = format_args!("a vertex stands twice in a row");
                self.invalid(|found| &mut found.duplicate_points, 1, what, vertex)?;
            } else {
                simple.push(vertex);
            }
        }
        while simple.len() > 1 && simple.last() == Some(&first) {
            simple.pop();
        }
        let second = simple.iter().find(|point| **point != first);
        if simple.iter().all(|point| *point == first || Some(point) == second) {
            simple.clear();
            self.invalid(
                |found| &mut found.too_short,
                1,
                format_args!("it has fewer than 3 different points"),
                first,
            )?;
            return Ok(Some(closed));
        }
        Ok(Some(closed))
    }

    /// What is wrong between edges, and between rings.
    fn meetings(&mut self, outline: &Rings) -> Result<Meetings> {
        let meetings = outline.meetings();
        if let Some(place) = meetings.first {
            let what = if place.touch {
                "it touches itself"
            } else {
                "it crosses or overlaps itself or another ring"
            };
            let add = |found: &mut Repairs, more: u64| {
                found.self_intersections = found.self_intersections.saturating_add(more);
            };
            add(&mut self.found, meetings.crossings);
            self.invalid(
                |found| &mut found.self_touches,
                meetings.self_touches,
                format_args!("{what}"),
                place.at,
            )
            .map_err(|error| error.at(format!("ring {}", place.ring)))?;
        }
        let holes = outline.holes(&meetings);
        let count = |of: &[_]| of.len() as u64;
        if let Some(&(ring, at)) = holes.outside.first() {
            let what = format_args!("this hole lies outside its polygon");
            self.invalid(|found| &mut found.holes_outside, count(&holes.outside), what, at)
                .map_err(|error| error.at(format!("ring {ring}")))?;
        }
        if let Some(&(ring, at)) = holes.nested.first() {
            let what = format_args!("this hole lies within another");
            self.invalid(|found| &mut found.nested_rings, count(&holes.nested), what, at)
                .map_err(|error| error.at(format!("ring {ring}")))?;
        }
        if let (circles, Some(at)) = outline.circles(&meetings) {
            let what = format_args!("rings that touch part the polygon's inside");
            self.invalid(|found| &mut found.parted_interiors, circles, what, at)?;
        }
        if !(meetings.complete && holes.complete) {
            if self.mode == Mode::Strict {
                return Err(Error::limit(
                    "the polygon's edges meet so often that they cannot all be looked at; simplify it, or leave out \
                     --strict to fill it by the even-odd rule as it is",
                ));
            }
            self.found.unfinished = self.found.unfinished.saturating_add(1);
        }
        Ok(meetings)
    }

    /// Whether a ring that does not cross itself runs against the format's direction.
    fn runs_wrong(&self, outer: bool, ring: &[[f64; 2]]) -> bool {
        let Some(&[x0, y0]) = ring.first() else { return false };
        let (mut sum, mut size) = (0.0, 0.0_f64);
        for (&[ax, ay], &[bx, by]) in ring.iter().zip(ring.iter().cycle().skip(1)) {
            let (one, other) = ((ax - x0) * (by - y0), (bx - x0) * (ay - y0));
            sum += one - other;
            size += one.abs() + other.abs();
        }
        // Closer to nothing, rounding decides.
        let sure = sum.abs() > size * 1e-12 && size.is_finite();
        sure && (sum > 0.0) != ((self.winding == Winding::Right) == outer)
    }

    /// Counts what is invalid, or refuses it.
    fn invalid(
        &mut self,
        count: impl FnOnce(&mut Repairs) -> &mut u64,
        more: u64,
        what: std::fmt::Arguments<'_>,
        at: [f64; 2],
    ) -> Result<()> {
        if self.mode == Mode::Strict {
            return Err(refused(what, at));
        }
        let count = count(&mut self.found);
        *count = count.saturating_add(more);
        Ok(())
    }
}

fn refused(what: std::fmt::Arguments<'_>, [x, y]: [f64; 2]) -> Error {
    Error::usage(format!(
        "{what} at ({x}, {y}), and --strict refuses what is invalid; correct it, or leave out --strict to fill it by the \
         even-odd rule"
    ))
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers")]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::error::ErrorKind;

    fn repaired(rings: Vec<Ring>, mode: Mode) -> Result<(Vec<Polygon>, Repairs)> {
        let (mut out, mut repairs) = (Vec::new(), Repairs::default());
        repair(&Geometry::Polygon(rings), Winding::Any, mode, &mut out, &mut repairs)?;
        Ok((out, repairs))
    }

    /// What is found in rings; they stay as they are. Hostile ones take seconds at most, unoptimised.
    #[track_caller]
    fn check(rings: &[Ring], expected: Repairs) {
        let start = Instant::now();
        let (polygons, repairs) = repaired(rings.to_vec(), Mode::Repair).unwrap();
        assert_eq!(repairs, expected);
        assert_eq!(repairs.is_empty(), expected == Repairs::default());
        let bits = |rings: &[Ring]| rings.iter().flatten().map(|p| p.map(f64::to_bits)).collect::<Vec<_>>();
        assert_eq!(bits(&polygons[0].rings), bits(rings));
        assert!(start.elapsed() < Duration::from_mins(1), "{:?}", start.elapsed());
    }

    fn circle(n: u32, step: u32) -> Ring {
        let point = |k: u32| {
            let angle = f64::from(k) / f64::from(n) * std::f64::consts::TAU;
            // Wavy, but simple.
            let radius = 2.0 + (angle * 40.0).sin() / 9.0;
            [radius * angle.cos(), radius * angle.sin()]
        };
        (0..=n)
            .map(|k| point(u32::try_from(u64::from(k) * u64::from(step) % u64::from(n)).unwrap()))
            .collect()
    }

    #[test]
    fn scale_does_not_matter() {
        let one = Repairs { self_intersections: 1, ..Repairs::default() };
        for scale in [1.0, 1e-300, 1e-160, 1e160, 4e307, 5e-324, 4.5e-320] {
            let bow_tie = [[0.0, 0.0], [4.0, 4.0], [4.0, 0.0], [0.0, 4.0], [0.0, 0.0]]
                .map(|p: [f64; 2]| p.map(|v| v * scale));
            check(&[bow_tie.to_vec()], one);
            let error = repaired(vec![bow_tie.to_vec()], Mode::Strict).unwrap_err().to_string();
            assert!(
                error.starts_with("ring 0: it crosses or overlaps itself or another ring at ("),
                "{error}"
            );
            assert!(error.contains(&format!("({}, {})", 2.0 * scale, 2.0 * scale)), "{scale}: {error}");
            let square =
                [[-0.0, 0.0], [4.0, -0.0], [4.0, 4.0], [0.0, 4.0], [-0.0, 0.0]].map(|p| p.map(|v| v * scale));
            check(&[square.to_vec()], Repairs::default());
        }
    }

    /// A vertex a last digit beyond an edge crosses it; one on it, or before it, does not.
    #[test]
    fn the_last_digit_decides() {
        let notched =
            |y: f64| vec![vec![[0.1, 0.1], [8.1, 0.1], [8.1, 6.0], [4.0, y], [0.1, 6.0], [0.1, 0.1]]];
        check(&notched(0.1_f64.next_up()), Repairs::default());
        check(&notched(0.1), Repairs { self_touches: 1, ..Repairs::default() });
        check(&notched(0.1_f64.next_down()), Repairs { self_intersections: 2, ..Repairs::default() });
    }

    #[test]
    fn many_vertices_and_rings_are_looked_at_to_the_end() {
        check(&[circle(1_000_000, 1)], Repairs::default());
        // 90,000 holes, neighbours far from each other in the file.
        let side = 300_u32;
        let square = |x: f64, y: f64, size: f64| {
            vec![[x, y], [x + size, y], [x + size, y + size], [x, y + size], [x, y]]
        };
        let count = side * side;
        let place = |k: u32| k * 7919 % count;
        let hole = |k| square(f64::from(place(k) % side), f64::from(place(k) / side), 0.5);
        let mut rings = vec![square(-1.0, -1.0, 400.0)];
        rings.extend((0..count).map(hole));
        check(&rings, Repairs::default());
        rings.push(square(10.0, 10.0, 0.25));
        // It shares a corner and two sides with a hole.
        check(&rings, Repairs { self_intersections: 2, ..Repairs::default() });
    }

    #[test]
    fn hostile_rings_are_bounded() {
        let unfinished = |found: &Repairs| assert_eq!(found.unfinished, 1, "{found:?}");
        let hostile = |rings: Vec<Ring>| {
            let start = Instant::now();
            let (_, found) = repaired(rings, Mode::Repair).unwrap();
            assert!(start.elapsed() < Duration::from_mins(1), "{:?}", start.elapsed());
            found
        };
        // Every edge crosses almost every other.
        let found = hostile(vec![circle(100_001, 50_000)]);
        unfinished(&found);
        assert!(found.self_intersections > 1_000_000);
        // Every edge overlaps every other.
        let found = hostile(vec![(0..100_001_u32).map(|k| [f64::from(k % 2), 0.0]).collect()]);
        assert_eq!((found.too_short, found.unfinished), (1, 0));
        unfinished(&hostile(vec![(0..100_002_u32).map(|k| [f64::from(k % 3), 0.0]).collect()]));
        // Triangles with one corner in common: all touch each other there.
        let fan = |k: u32| {
            let y = f64::from(k);
            vec![[0.0, 0.0], [1e6, y], [1e6, y + 0.5], [0.0, 0.0]]
        };
        unfinished(&hostile((0..30_000).map(fan).collect()));
        // Nothing crosses, but all boxes meet: whether it is valid is not known.
        let teeth = |k: u32| {
            let (x, y) = (f64::from(k) * 1e-3, f64::from(k) * 1e-3);
            if k.is_multiple_of(2) { [x, y + 1e6] } else { [x + 1e6, y] }
        };
        let mut comb: Ring = (0..50_000).map(teeth).collect();
        comb.extend([[2e6, 2e6], [-10.0, 2e6]]);
        comb.push(comb[0]);
        let found = hostile(vec![comb.clone()]);
        assert_eq!(found, Repairs { unfinished: 1, ..Repairs::default() });
        assert_eq!(repaired(vec![comb], Mode::Strict).unwrap_err().kind(), ErrorKind::Limit);
        // A hundred rings, each within the one before.
        let nested = |k: u32| {
            let d = f64::from(k);
            vec![[d, d], [1e3 - d, d], [1e3 - d, 1e3 - d], [d, 1e3 - d], [d, d]]
        };
        check(&(0..100).map(nested).collect::<Vec<_>>(), Repairs { nested_rings: 98, ..Repairs::default() });
    }

    #[test]
    fn deep_collections_are_no_recursion() {
        let square = vec![[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]];
        let mut geometry = Geometry::Polygon(vec![square]);
        for _ in 0..500 {
            geometry = Geometry::Collection(vec![geometry, Geometry::Collection(Vec::new())]);
        }
        let (mut out, mut repairs) = (Vec::new(), Repairs::default());
        repair(&geometry, Winding::Any, Mode::Strict, &mut out, &mut repairs).unwrap();
        assert_eq!((out.len(), repairs), (1, Repairs { empty: 500, ..Repairs::default() }));
        // Counts add up over features, and what is refused leaves none.
        repair(&geometry, Winding::Any, Mode::Repair, &mut out, &mut repairs).unwrap();
        let bad = Geometry::Polygon(vec![vec![[0.0, 0.0], [0.0, f64::NAN]]]);
        repair(&bad, Winding::Any, Mode::Repair, &mut out, &mut repairs).unwrap_err();
        assert_eq!((out.len(), repairs.empty), (2, 1000));
    }

    /// Random short rings of few values, some not finite: an answer to each, and the same in both modes.
    #[test]
    fn nothing_panics() {
        let values = [0.0, 1.0, 2.0, -1.0, 0.5, 1e300, -f64::MAX, 5e-324, f64::NAN, f64::INFINITY];
        let mut state = 5_u64;
        let mut random = |bound: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % bound
        };
        let mut refused = 0;
        for number in 0..20_000 {
            let known = if number % 10 == 0 { values.len() } else { 8 };
            let rings = (0..random(4))
                .map(|_| (0..random(7)).map(|_| [values[random(known)], values[random(known)]]).collect())
                .collect::<Vec<Ring>>();
            match (repaired(rings.clone(), Mode::Repair), repaired(rings.clone(), Mode::Strict)) {
                (Ok((_, found)), strict) => {
                    let empty = Repairs { empty: found.empty, ..Repairs::default() };
                    assert_eq!(strict.is_ok(), found == empty, "{rings:?} {found:?}");
                }
                (Err(_), Err(_)) => refused += 1,
                (Err(error), Ok(_)) => panic!("{error} {rings:?}"),
            }
        }
        assert!(refused > 100);
    }
}
