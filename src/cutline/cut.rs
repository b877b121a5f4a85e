//! Cuts polygons along lines of constant x or y, and keeps one side.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{Ring, chain};

/// Which coordinate a cut looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Axis {
    X,
    Y,
}

/// A half-plane, its border included.
#[derive(Clone, Copy, Debug)]
pub(super) enum Half {
    AtLeast(Axis, f64),
    AtMost(Axis, f64),
}

impl Half {
    fn axis(self) -> Axis {
        match self {
            Self::AtLeast(axis, _) | Self::AtMost(axis, _) => axis,
        }
    }

    fn border(self) -> f64 {
        match self {
            Self::AtLeast(_, at) | Self::AtMost(_, at) => at,
        }
    }

    fn holds(self, point: [f64; 2]) -> bool {
        match self {
            Self::AtLeast(axis, at) => axis.of(point) >= at,
            Self::AtMost(axis, at) => axis.of(point) <= at,
        }
    }

    /// Where the edge between two points on different sides crosses the border. Both directions of an edge give the
    /// same bits, so that polygons with a common edge still have it.
    fn crossing(self, a: [f64; 2], b: [f64; 2]) -> [f64; 2] {
        let (axis, at) = (self.axis(), self.border());
        let (a, b) = if axis.of(a) <= axis.of(b) { (a, b) } else { (b, a) };
        let share = (at - axis.of(a)) / (axis.of(b) - axis.of(a));
        let other = axis.other();
        let (from, to) = (other.of(a), other.of(b));
        let along = from + (to - from) * share;
        match axis {
            Axis::X => [at, along],
            Axis::Y => [along, at],
        }
    }
}

impl Axis {
    fn of(self, point: [f64; 2]) -> f64 {
        match self {
            Self::X => point[0],
            Self::Y => point[1],
        }
    }

    fn other(self) -> Self {
        match self {
            Self::X => Self::Y,
            Self::Y => Self::X,
        }
    }
}

/// What lies of the area of `rings` (closed, filled together by the even-odd rule) in all of some half-planes.
pub(super) fn keep(mut rings: Vec<Ring>, halves: &[Half]) -> Vec<Ring> {
    for half in halves {
        rings = keep_half(rings, *half);
    }
    rings
}

/// Rings that the border does not cross stay as they are, bit for bit. Where it crosses, the cut follows the border
/// only where the border is inside: crossings in order along it pair up, by the even-odd rule.
fn keep_half(rings: Vec<Ring>, half: Half) -> Vec<Ring> {
    let mut kept = Vec::with_capacity(rings.len());
    let mut chains = Vec::new();
    for ring in rings {
        if ring.iter().all(|point| half.holds(*point)) {
            kept.push(ring);
        } else if ring.iter().any(|point| half.holds(*point)) {
            let open = match ring.split_last() {
                Some((last, open)) if open.first() == Some(last) => open,
                _ => &ring,
            };
            chain::parts(open, |point| half.holds(point), |a, b| half.crossing(a, b), &mut chains);
        }
    }
    let along = half.axis().other();
    let ends = chain::ends(&chains, |point| along.of(point));
    let joined = chain::joined(chains, &ends, |_, _, _| Ok(())).unwrap_or_default();
    #[expect(clippy::float_cmp, reason = "points on the border were put there")]
    let has_area = |ring: &Ring| ring.iter().any(|point| half.axis().of(*point) != half.border());
    kept.extend(joined.into_iter().filter(has_area));
    kept
}

/// Whether a point is inside rings by the even-odd rule.
pub(super) fn is_inside<'a>(rings: impl IntoIterator<Item = &'a Ring>, point: [f64; 2]) -> bool {
    let [x, y] = point;
    rings.into_iter().flat_map(|ring| ring.windows(2)).fold(false, |inside, pair| {
        let [a, b] = pair else { return inside };
        let crosses = (a[1] > y) != (b[1] > y) && x < a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0]);
        inside != crosses
    })
}

#[cfg(test)]
#[expect(
    clippy::float_cmp,
    clippy::arithmetic_side_effects,
    reason = "points on a border were put there; counts of pixels are small"
)]
mod tests {
    use super::*;

    fn closed(points: &[[f64; 2]]) -> Ring {
        points.iter().chain(points.first()).copied().collect()
    }

    /// Area by the even-odd rule, counted on the centres of a grid of 0.1.
    fn area(rings: &[Ring], holds: impl Fn([f64; 2]) -> bool) -> u32 {
        let mut count = 0;
        for row in 0..100 {
            for col in 0..100 {
                let point = [f64::from(col) * 0.1 + 0.05, f64::from(row) * 0.1 + 0.05];
                count += u32::from(is_inside(rings, point) && holds(point));
            }
        }
        count
    }

    /// The kept area is that of the whole on that side, and no edge runs along the border outside.
    #[track_caller]
    fn check(rings: &[Ring], half: Half, expected_rings: usize) {
        let cut = keep(rings.to_vec(), &[half]);
        assert_eq!(area(&cut, |_| true), area(rings, |point| half.holds(point)));
        assert_eq!(cut.len(), expected_rings, "{cut:?}");
        for ring in &cut {
            assert_eq!(ring.first(), ring.last());
            assert!(ring.iter().all(|point| half.holds(*point)));
            for pair in ring.windows(2) {
                let on = |point: [f64; 2]| half.axis().of(point) == half.border();
                if on(pair[0]) && on(pair[1]) && pair[0] != pair[1] {
                    let nudge = if matches!(half, Half::AtLeast(..)) { 1e-9 } else { -1e-9 };
                    let mut middle =
                        [f64::midpoint(pair[0][0], pair[1][0]), f64::midpoint(pair[0][1], pair[1][1])];
                    middle[usize::from(half.axis() == Axis::Y)] += nudge;
                    assert!(is_inside(rings, middle), "{pair:?} runs outside");
                }
            }
        }
    }

    #[test]
    fn a_cut_keeps_the_even_odd_area_and_runs_only_inside() {
        let comb =
            closed(&[[1.0, 1.0], [8.0, 1.0], [8.0, 2.0], [3.01, 3.02], [8.0, 4.0], [8.0, 6.0], [1.0, 6.0]]);
        let hole = closed(&[[1.5, 1.52], [7.0, 1.51], [1.5, 5.53]]);
        let bow = closed(&[[1.0, 1.02], [9.0, 9.01], [9.0, 1.03], [1.0, 9.0]]);
        check(std::slice::from_ref(&comb), Half::AtLeast(Axis::X, 5.0), 2);
        check(std::slice::from_ref(&comb), Half::AtMost(Axis::X, 5.0), 1);
        check(&[comb.clone(), hole.clone()], Half::AtLeast(Axis::X, 5.0), 2);
        check(&[comb.clone(), hole], Half::AtMost(Axis::Y, 3.5), 1);
        check(std::slice::from_ref(&bow), Half::AtMost(Axis::X, 7.0), 1);
        check(&[bow, comb.clone()], Half::AtLeast(Axis::Y, 2.5), 1);
        // A vertex and an edge on the border
        check(std::slice::from_ref(&comb), Half::AtLeast(Axis::X, 3.01), 1);
        check(std::slice::from_ref(&comb), Half::AtMost(Axis::X, 1.0), 0);
        check(std::slice::from_ref(&comb), Half::AtLeast(Axis::X, 8.0), 0);
        let whole = keep(vec![comb.clone()], &[Half::AtLeast(Axis::X, 0.0)]);
        assert_eq!(whole, std::slice::from_ref(&comb));
        assert!(keep(vec![comb], &[Half::AtLeast(Axis::X, 9.0)]).is_empty());
    }

    #[test]
    fn random_stars_keep_their_area() {
        let mut seed = 7_u64;
        let mut random = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            f64::from(u32::try_from(seed >> 40).unwrap()) / f64::from(1 << 24)
        };
        for _ in 0..200 {
            let rings: Vec<Ring> = (0..2)
                .map(|_| closed(&(0..12).map(|_| [random() * 10.0, random() * 10.0]).collect::<Vec<_>>()))
                .collect();
            let halves = [
                Half::AtLeast(Axis::X, 2.0 + random()),
                Half::AtMost(Axis::X, 7.0 + random()),
                Half::AtLeast(Axis::Y, 2.0 + random()),
                Half::AtMost(Axis::Y, 7.0 + random()),
            ];
            let expected = area(&rings, |point| halves.iter().all(|half| half.holds(point)));
            assert_eq!(area(&keep(rings, &halves), |_| true), expected);
        }
    }
}
