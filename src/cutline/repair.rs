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
/// The work is bounded: a polygon of a million vertices takes about a second, and one whose edges all meet each other no
/// longer.
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
        let mut simple: Vec<[f64; 2]> = Vec::new();
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
