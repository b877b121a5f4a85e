//! Which rings of a shapefile's polygon are holes of which.
//!
//! The format stores rings in any order: outer rings run clockwise, holes counterclockwise (ESRI, 1998, p. 8), and a hole
//! is of the outer ring around it. GDAL burns the polygons of a feature one by one, so which ring is a hole of which
//! changes pixels, and files that break the rule must be understood as OGR understands them.

use super::{Geometry, Ring};
use crate::error::{Error, Result};
use crate::geo::Bounds;

/// Polygons of these rings, in the order of their outer rings: one, or a collection of several.
///
/// It is OGR's `organizePolygons` with `METHOD=ONLY_CCW`, or with `METHOD=DEFAULT` where `is_plain` (a type without heights
/// and measures) and no ring but the first runs clockwise although one of them is outside the first. A ring of fewer than
/// four positions is a polygon of its own; OGR would then take all holes for polygons too.
///
/// `work` is what may still be done, in looks at boxes and edges.
///
/// # Errors
/// [`crate::ErrorKind::Limit`] when that does not suffice.
pub(super) fn polygons(mut rings: Vec<Ring>, is_plain: bool, work: &mut u64) -> Result<Geometry> {
    rings.retain(|ring| !ring.is_empty());
    if rings.len() < 2 {
        return Ok(if rings.is_empty() {
            Geometry::Collection(Vec::new())
        } else {
            Geometry::Polygon(rings)
        });
    }
    let mut shapes: Vec<Shape> = Vec::with_capacity(rings.len());
    for ring in &rings {
        shapes.push(Shape::new(ring));
    }
    let mut search = Search { rings: &rings, shapes: &shapes, outlines: vec![None; rings.len()], work };
    let by_containment = is_plain && search.has_ring_outside_the_first()?;
    let mut clockwise = shapes.iter().enumerate().filter(|(_, shape)| shape.is_clockwise);
    let outer = match (clockwise.next(), clockwise.next()) {
        (Some((only, _)), None) if !by_containment => {
            (0..rings.len()).map(|ring| Some(only).filter(|only| *only != ring)).collect()
        }
        _ => search.outer_rings(by_containment)?,
    };
    Ok(gathered(rings, &outer))
}

/// The polygons, when it is known of each ring in which it is a hole.
fn gathered(rings: Vec<Ring>, outer: &[Option<usize>]) -> Geometry {
    let mut place = vec![0_usize; rings.len()];
    let mut polygons: Vec<Vec<Ring>> = Vec::new();
    let mut holes = Vec::new();
    for ((ring, outer), (place, number)) in rings.into_iter().zip(outer).zip(place.iter_mut().zip(0_usize..))
    {
        match outer {
            Some(outer) if *outer != number => holes.push((*outer, ring)),
            _ => {
                *place = polygons.len();
                polygons.push(vec![ring]);
            }
        }
    }
    for (outer, ring) in holes {
        if let Some(polygon) = place.get(outer).and_then(|place| polygons.get_mut(*place)) {
            polygon.push(ring);
        }
    }
    if polygons.len() == 1 {
        return Geometry::Polygon(polygons.pop().unwrap_or_default());
    }
    Geometry::Collection(polygons.into_iter().map(Geometry::Polygon).collect())
}

/// What is known of a ring.
#[derive(Clone, Copy, Debug)]
struct Shape {
    /// Twice its area.
    area: f64,
    is_clockwise: bool,
    /// Whether it has the positions that a ring must have.
    is_ring: bool,
    bounds: Bounds,
}

impl Shape {
    fn new(ring: &Ring) -> Self {
        let origin = ring.first().copied().unwrap_or_default();
        // From its first position, so that a small ring far from the origin keeps its digits.
        let from = |[x, y]: [f64; 2]| [x - origin[0], y - origin[1]];
        let area: f64 = ring
            .array_windows()
            .map(|[a, b]| {
                let ([ax, ay], [bx, by]) = (from(*a), from(*b));
                ax * by - bx * ay
            })
            .sum();
        Self {
            area: area.abs(),
            is_clockwise: area < 0.0,
            is_ring: ring.len() >= 4,
            bounds: Bounds::around(ring.iter().copied()).unwrap_or(NOWHERE),
        }
    }
}

const NOWHERE: Bounds =
    Bounds { min_x: f64::INFINITY, min_y: f64::INFINITY, max_x: f64::NEG_INFINITY, max_y: f64::NEG_INFINITY };

fn contains(a: &Bounds, b: &Bounds) -> bool {
    a.min_x <= b.min_x && a.min_y <= b.min_y && a.max_x >= b.max_x && a.max_y >= b.max_y
}

fn touches(a: &Bounds, b: &Bounds) -> bool {
    a.min_x <= b.max_x && a.min_y <= b.max_y && a.max_x >= b.min_x && a.max_y >= b.min_y
}

struct Search<'a> {
    rings: &'a [Ring],
    shapes: &'a [Shape],
    /// Indexes of the rings that were asked for.
    outlines: Vec<Option<Outline>>,
    work: &'a mut u64,
}

impl Search<'_> {
    fn spend(&mut self, steps: usize) -> Result<()> {
        *self.work = self.work.checked_sub(steps as u64).ok_or_else(|| {
            Error::limit(
                "finding out which rings of the shapefile's polygons are holes of which takes more work than the limit allows; \
                 convert it to a GeoPackage or GeoJSON first, for example with ogr2ogr",
            )
        })?;
        Ok(())
    }

    /// Whether no ring but the first runs clockwise, and one of them is outside the first, as far as the four positions
    /// at its extremes tell: the mark of writers that stored all parts of a multipolygon as holes of the first.
    fn has_ring_outside_the_first(&mut self) -> Result<bool> {
        let Some((first, others)) = self.shapes.split_first() else { return Ok(false) };
        if others.iter().any(|shape| shape.is_clockwise) {
            return Ok(false);
        }
        for (shape, ring) in others.iter().zip(self.rings.iter().skip(1)) {
            if !touches(&first.bounds, &shape.bounds) {
                return Ok(true);
            }
            let mut is_inside = false;
            for position in extremes(ring) {
                // On its edge, one that a ray eastwards from it leaves the ring at is inside: so it is in OGR.
                is_inside = is_inside || self.place(position, 0)?.is_inside;
            }
            if !is_inside {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Of each ring the one that it is a hole in; `None` of an outer ring.
    fn outer_rings(&mut self, by_containment: bool) -> Result<Vec<Option<usize>>> {
        let shapes = self.shapes;
        let mut order: Vec<(usize, &Shape)> =
            shapes.iter().enumerate().filter(|(_, shape)| shape.is_ring).collect();
        order.sort_by(|(_, a), (_, b)| b.area.total_cmp(&a.area));
        let mut rank = vec![usize::MAX; shapes.len()];
        for (place, (ring, _)) in order.iter().enumerate() {
            if let Some(rank) = rank.get_mut(*ring) {
                *rank = place;
            }
        }
        // Without containment, only what runs clockwise can be around a hole.
        let may_be_outer = |shape: &Shape| by_containment || shape.is_clockwise;
        let around = order.iter().filter(|(_, shape)| may_be_outer(shape)).map(|(ring, _)| *ring);
        let index = Index::new(around.collect(), shapes);
        let mut outer = vec![None; shapes.len()];
        for (place, (ring, shape)) in order.iter().enumerate() {
            if place == 0 || (!by_containment && shape.is_clockwise) {
                continue;
            }
            let (mut candidates, looks) = index.around(&shape.bounds, shapes);
            self.spend(looks)?;
            let rank_of = |ring: &usize| rank.get(*ring).copied().unwrap_or(usize::MAX);
            candidates.retain(|candidate| rank_of(candidate) < place);
            candidates.sort_unstable_by_key(|candidate| std::cmp::Reverse(rank_of(candidate)));
            for candidate in candidates {
                // The last one that is left, and the largest, is taken without a look.
                if (!by_containment && rank_of(&candidate) == 0) || self.is_inside(*ring, candidate)? {
                    // What is in a hole is an outer ring again.
                    let is_outer = outer.get(candidate).copied().flatten().is_none();
                    if let Some(outer) = outer.get_mut(*ring) {
                        *outer = Some(candidate).filter(|_| is_outer);
                    }
                    break;
                }
            }
        }
        Ok(outer)
    }

    /// Whether a ring is within another, when they do not cross: the first of its positions, else of the middles of its
    /// edges, that is not on the other decides.
    fn is_inside(&mut self, inner: usize, outer: usize) -> Result<bool> {
        let Some(ring) = self.rings.get(inner) else { return Ok(false) };
        let middle = |[a, b]: &[[f64; 2]; 2]| [f64::midpoint(a[0], b[0]), f64::midpoint(a[1], b[1])];
        for position in ring.iter().copied().chain(ring.array_windows().map(middle)) {
            let place = self.place(position, outer)?;
            if !place.is_on_edge {
                return Ok(place.is_inside);
            }
        }
        Ok(false)
    }

    fn place(&mut self, position: [f64; 2], ring: usize) -> Result<Place> {
        let (Some(edges), Some(slot)) = (self.rings.get(ring), self.outlines.get_mut(ring)) else {
            return Ok(Place::default());
        };
        let outline = slot.take().unwrap_or_else(|| Outline::new(edges));
        let (place, looks) = outline.place(position, edges);
        if let Some(slot) = self.outlines.get_mut(ring) {
            *slot = Some(outline);
        }
        self.spend(looks)?;
        Ok(place)
    }
}

/// The westernmost, easternmost, southernmost and northernmost positions.
fn extremes(ring: &Ring) -> [[f64; 2]; 4] {
    let first = ring.first().copied().unwrap_or_default();
    let pick = |key: fn([f64; 2]) -> [f64; 2]| {
        let less =
            |a: [f64; 2], b: [f64; 2]| key(a).partial_cmp(&key(b)).is_some_and(std::cmp::Ordering::is_lt);
        ring.iter().copied().fold(first, |best, position| if less(position, best) { position } else { best })
    };
    [pick(|[x, y]| [x, y]), pick(|[x, y]| [-x, -y]), pick(|[x, y]| [y, -x]), pick(|[x, y]| [-y, x])]
}

/// Where a position is.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    is_on_edge: bool,
    /// Whether a ray eastwards crosses an odd number of edges.
    is_inside: bool,
}

/// Children of a node in the trees below.
const FAN: usize = 16;

/// The edges of a ring, in a tree of the heights that runs of them span, so that a look at a large ring is short.
#[derive(Clone, Debug)]
struct Outline {
    /// The lowest level first: [south, north] of `FAN` edges, of `FAN` of those, and so on.
    levels: Vec<Vec<[f64; 2]>>,
}

impl Outline {
    fn new(ring: &Ring) -> Self {
        let span = |spans: &mut dyn Iterator<Item = [f64; 2]>| {
            spans
                .fold([f64::INFINITY, f64::NEG_INFINITY], |all, one| [all[0].min(one[0]), all[1].max(one[1])])
        };
        let edges: Vec<[f64; 2]> =
            ring.array_windows().map(|[a, b]| [a[1].min(b[1]), a[1].max(b[1])]).collect();
        let mut levels: Vec<Vec<[f64; 2]>> = Vec::new();
        let mut below = edges;
        while below.len() > 1 || levels.is_empty() {
            below = below.chunks(FAN).map(|chunk| span(&mut chunk.iter().copied())).collect();
            levels.push(below.clone());
        }
        Self { levels }
    }

    /// Where a position is, and how many looks that took.
    fn place(&self, [x, y]: [f64; 2], ring: &Ring) -> (Place, usize) {
        let (mut here, mut looks) = (Place::default(), 0_usize);
        // Nodes to look at: their level, and their place on it.
        let mut open = vec![(self.levels.len(), 0_usize)];
        while let Some((level, node)) = open.pop() {
            let first = node.saturating_mul(FAN);
            looks = looks.saturating_add(FAN);
            if let Some(below) = level.checked_sub(1) {
                let spans = self.levels.get(below).and_then(|spans| spans.get(first..)).unwrap_or(&[]);
                for ([south, north], place) in spans.iter().take(FAN).zip(first..) {
                    if *south <= y && y <= *north {
                        open.push((below, place));
                    }
                }
                continue;
            }
            for [a, b] in ring.get(first..).unwrap_or(&[]).array_windows().take(FAN) {
                let ([ax, ay], [bx, by]) = ([a[0] - x, a[1] - y], [b[0] - x, b[1] - y]);
                let cross = ax * by - bx * ay;
                let spans = |a: f64, b: f64| a.min(b) <= 0.0 && a.max(b) >= 0.0;
                here.is_on_edge |= cross == 0.0 && spans(ax, bx) && spans(ay, by);
                if (ay > 0.0) != (by > 0.0) && cross / (by - ay) > 0.0 {
                    here.is_inside = !here.is_inside;
                }
            }
        }
        (here, looks)
    }
}

/// Boxes of rings in a tree, to find those around another.
#[derive(Debug)]
struct Index {
    /// Nodes in the order of a walk: the box around all, the node that follows when it is passed over, the rings of a leaf.
    nodes: Vec<(Bounds, usize, Vec<usize>)>,
}

impl Index {
    fn new(mut rings: Vec<usize>, shapes: &[Shape]) -> Self {
        let mut index = Self { nodes: Vec::new() };
        index.add(&mut rings, shapes, true);
        index
    }

    /// Adds the tree of these rings, halved by turns along x and y; as deep as their number has bits.
    fn add(&mut self, rings: &mut [usize], shapes: &[Shape], by_x: bool) {
        let boxes = rings.iter().filter_map(|ring| shapes.get(*ring)).map(|shape| shape.bounds);
        let all = Bounds::around(boxes.flat_map(|b| [[b.min_x, b.min_y], [b.max_x, b.max_y]]));
        let at = self.nodes.len();
        let is_leaf = rings.len() <= FAN;
        self.nodes.push((all.unwrap_or(NOWHERE), 0, if is_leaf { rings.to_vec() } else { Vec::new() }));
        if !is_leaf {
            let middle = |ring: &usize| {
                shapes.get(*ring).map_or(0.0, |shape| {
                    let b = shape.bounds;
                    if by_x { f64::midpoint(b.min_x, b.max_x) } else { f64::midpoint(b.min_y, b.max_y) }
                })
            };
            let half = rings.len() / 2;
            rings.select_nth_unstable_by(half, |a, b| middle(a).total_cmp(&middle(b)));
            let (low, high) = rings.split_at_mut(half);
            self.add(low, shapes, !by_x);
            self.add(high, shapes, !by_x);
        }
        let next = self.nodes.len();
        if let Some(node) = self.nodes.get_mut(at) {
            node.1 = next;
        }
    }

    /// The rings whose boxes contain this one, and how many looks that took.
    fn around(&self, bounds: &Bounds, shapes: &[Shape]) -> (Vec<usize>, usize) {
        let (mut found, mut looks, mut at) = (Vec::new(), 0_usize, 0_usize);
        while let Some((all, next, rings)) = self.nodes.get(at) {
            looks = looks.saturating_add(1).saturating_add(rings.len());
            if !contains(all, bounds) {
                at = *next;
                continue;
            }
            let is_around =
                |ring: &&usize| shapes.get(**ring).is_some_and(|shape| contains(&shape.bounds, bounds));
            found.extend(rings.iter().filter(is_around));
            at = at.saturating_add(1);
        }
        (found, looks)
    }
}
