//! The cutline's rings as paths of bounded length: as they are where they are few, else no finer than a screen can show.

use std::collections::HashSet;
use std::fmt::Write as _;

use super::scene::Frame;
use super::text::number;
use crate::cutline::{Cutline, Polygon};
use crate::geo::Affine;

/// Vertices that are drawn at most.
pub(super) const MOST_VERTICES: usize = 20_000;

/// The finest step of a drawing that is made simpler: so many of them are the view's longer side.
const FINEST: f64 = 4096.0;

/// The coarsest one; what is still too much then is left out ring by ring.
const COARSEST: f64 = 64.0;

type Point = [f64; 2];

/// What is drawn of a cutline.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Drawn {
    /// SVG path data, a polygon each, to be filled by the even-odd rule.
    pub(super) paths: Vec<String>,
    /// Pixels to which vertices are rounded; `None` where they are drawn as they are, to a thousandth.
    pub(super) step: Option<f64>,
    /// Polygons that are left out or cut short because there are too many vertices.
    pub(super) omitted: u64,
}

/// Draws a cutline. `to_picture` leads from its coordinates to the picture's; what lies beyond `bounds` is cut off; `view` says what
/// a screen shows.
pub(super) fn draw(cutline: &Cutline, to_picture: &Affine, bounds: &Frame, view: &Frame) -> Drawn {
    let mut step = None;
    loop {
        let is_last = step.is_some_and(|step| step >= view.side() / COARSEST);
        if let Some(drawn) = drawn(&cutline.polygons, to_picture, bounds, step, is_last) {
            return drawn;
        }
        step = Some(step.map_or(view.side() / FINEST, |step| step * 2.0));
    }
}

/// `None` when there are too many vertices, unless it `is_last`.
fn drawn(
    polygons: &[Polygon],
    to_picture: &Affine,
    bounds: &Frame,
    step: Option<f64>,
    is_last: bool,
) -> Option<Drawn> {
    let mut out = Drawn { step, ..Drawn::default() };
    let mut room = MOST_VERTICES;
    let mut specks = HashSet::new();
    for polygon in polygons {
        let mut path = String::new();
        let mut speck = None;
        let mut is_cut_short = false;
        for ring in &polygon.rings {
            let points = ring.iter().map(|&[x, y]| to_picture.apply(x, y));
            // A vertex that is not finite would have kept the plan from being made.
            let points = points.filter(|point| point.iter().all(|v| v.is_finite()));
            let mut points = clipped(points.collect(), bounds);
            let Some(&first) = points.first() else { continue };
            if let Some(step) = step {
                points = rounded(&points, step);
            }
            if points.last() == points.first() {
                points.pop();
            }
            if points.len() < 3 {
                speck = speck.or(Some(first));
                continue;
            }
            if points.len() > room {
                if !is_last {
                    return None;
                }
                is_cut_short = true;
                continue;
            }
            room -= points.len();
            push(&mut path, &points);
        }
        if let (true, Some(point), Some(step)) = (path.is_empty() && !is_cut_short, speck, step) {
            // Too small to be seen, but it must not vanish.
            let [x, y] = cell(point, step);
            if specks.insert((x.to_bits(), y.to_bits())) {
                if room < 4 {
                    if !is_last {
                        return None;
                    }
                    is_cut_short = true;
                } else {
                    room -= 4;
                    push(&mut path, &[[x, y], [x + step, y], [x + step, y + step], [x, y + step]]);
                }
            }
        }
        out.omitted += u64::from(is_cut_short);
        if !path.is_empty() {
            out.paths.push(path);
        }
    }
    Some(out)
}

fn push(path: &mut String, points: &[Point]) {
    for (at, [x, y]) in points.iter().enumerate() {
        // Writing to a String does not fail.
        let _ = write!(path, "{}{} {}", if at == 0 { "M" } else { "L" }, number(*x), number(*y));
    }
    path.push('Z');
}

fn cell([x, y]: Point, step: f64) -> Point {
    [(x / step).round() * step, (y / step).round() * step]
}

/// Vertices on a grid of `step`, without those that repeat one or lie on the line between their neighbours.
fn rounded(points: &[Point], step: f64) -> Vec<Point> {
    let mut out: Vec<Point> = Vec::new();
    for &point in points {
        let point = cell(point, step);
        if out.last() == Some(&point) {
            continue;
        }
        if let [.., a, b] = out.as_slice() {
            let turn = (b[0] - a[0]) * (point[1] - b[1]) - (b[1] - a[1]) * (point[0] - b[0]);
            if turn.abs() < step * step * 1e-6 {
                out.pop();
                if out.last() == Some(&point) {
                    continue;
                }
            }
        }
        out.push(point);
    }
    out
}

/// A ring cut to a rectangle by Sutherland and Hodgman: where it leaves and comes back, it runs along the rectangle's sides, which
/// leaves its area by the even-odd rule as it is.
fn clipped(mut ring: Vec<Point>, bounds: &Frame) -> Vec<Point> {
    let sides =
        [(0, bounds.x, 1.0), (0, bounds.right(), -1.0), (1, bounds.y, 1.0), (1, bounds.bottom(), -1.0)];
    for (axis, at, sign) in sides {
        let inside = |point: &Point| (point[axis] - at) * sign >= 0.0;
        if ring.iter().all(inside) {
            continue;
        }
        let mut out = Vec::with_capacity(ring.len());
        let mut before = ring.last().copied();
        for &point in &ring {
            if let Some(before) = before
                && inside(&before) != inside(&point)
            {
                let share = (at - before[axis]) / (point[axis] - before[axis]);
                let other = 1 - axis;
                let mut cross = [at; 2];
                cross[other] = before[other] + share * (point[other] - before[other]);
                out.push(cross);
            }
            if inside(&point) {
                out.push(point);
            }
            before = Some(point);
        }
        ring = out;
    }
    ring
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cutline::Ring;

    const VIEW: Frame = Frame { x: 0.0, y: 0.0, width: 1000.0, height: 1000.0 };

    fn drawing(rings: Vec<Vec<Ring>>) -> Drawn {
        let polygons = rings.into_iter().map(|rings| Polygon { rings }).collect();
        draw(&Cutline::new(polygons, None), &Affine::IDENTITY, &VIEW.grown(100.0), &VIEW)
    }

    fn square(x: f64, y: f64, side: f64) -> Ring {
        vec![[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]]
    }

    /// Twice the area of path data, by the shoelace formula, its rings subtracted from the first.
    fn area(path: &str) -> f64 {
        let ring = |text: &str| {
            let numbers: Vec<f64> = text.split(['L', ' ']).map(|n| n.parse().unwrap()).collect();
            let points: Vec<_> = numbers.chunks(2).collect();
            let next = points.iter().cycle().skip(1);
            points.iter().zip(next).map(|(a, b)| a[0] * b[1] - b[0] * a[1]).sum::<f64>().abs() / 2.0
        };
        let mut rings = path.trim_start_matches('M').trim_end_matches('Z').split("ZM").map(ring);
        rings.next().unwrap() - rings.sum::<f64>()
    }

    #[test]
    fn few_vertices_are_drawn_as_they_are() {
        let drawn = drawing(vec![vec![square(10.25, 20.0, 100.0), square(20.0, 30.0, 5.0)]]);
        assert_eq!(drawn.paths, ["M10.25 20L110.25 20L110.25 120L10.25 120ZM20 30L25 30L25 35L20 35Z"]);
        assert_eq!((drawn.step, drawn.omitted), (None, 0));
    }

    #[test]
    fn what_lies_beyond_the_bounds_is_cut_off() {
        let drawn = drawing(vec![vec![square(-1e12, 500.0, 2e12)], vec![square(5000.0, 0.0, 9.0)]]);
        assert_eq!(drawn.paths.len(), 1);
        assert!((area(&drawn.paths[0]) - 1200.0 * 600.0).abs() < 1.0, "{drawn:?}");
    }

    #[test]
    fn a_long_ring_is_rounded_to_what_a_screen_shows() {
        let count = 300_000;
        let circle: Ring = (0..=count)
            .map(|n| {
                let angle = f64::from(n % count) / f64::from(count) * std::f64::consts::TAU;
                [500.0 + 400.0 * angle.cos(), 500.0 + 400.0 * angle.sin()]
            })
            .collect();
        let drawn = drawing(vec![vec![circle]]);
        let step = drawn.step.unwrap();
        assert!(step < 1.0 && drawn.omitted == 0, "{step}");
        let expected = std::f64::consts::PI * 400.0 * 400.0;
        assert!((area(&drawn.paths[0]) / expected - 1.0).abs() < 1e-3);
        assert!(drawn.paths[0].len() < MOST_VERTICES * 20);
    }

    #[test]
    fn specks_do_not_vanish_and_what_is_too_much_is_said() {
        let specks = (0..200_000).map(|n| vec![square(f64::from(n % 1000), f64::from(n / 1000), 0.01)]);
        let drawn = drawing(specks.collect());
        let (count, step) = (drawn.paths.len(), drawn.step.unwrap());
        assert!(count > 500 && count * 4 <= MOST_VERTICES && drawn.omitted == 0, "{count} at {step}");
        // Rings that all reach from side to side cannot be made simpler.
        let large = (0..9000).map(|n| vec![square(0.0, 0.0, 990.0 + f64::from(n % 10))]);
        let drawn = drawing(large.collect());
        assert_eq!((drawn.paths.len(), drawn.omitted), (5000, 4000));
    }
}
