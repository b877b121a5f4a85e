//! Which way round a ring runs (rule B of the design's `mask-rule.md`).

/// Two neighbours this close to the extreme vertex, in both world axes, make its corner too flat to judge.
const TOO_CLOSE: f64 = 1e-5;

/// Whether a closed ring (first point equal to the last) runs clockwise in world coordinates, y upwards.
///
/// The corner at the lowest vertex decides, and only where it cannot the area does: that is how GDAL decides,
/// and the sign of the area alone gives other pixels where a ring crosses itself.
pub(super) fn is_clockwise(ring: &[[f64; 2]]) -> bool {
    if ring.len() < 2 {
        return true;
    }
    match corner(ring) {
        Some(cross) if cross > 0.0 => false,
        Some(cross) if cross < 0.0 => true,
        _ => doubled_area(ring) < 0.0,
    }
}

/// The cross product of the two edges at the lowest, then rightmost, vertex; `None` where another vertex has
/// the same place or a neighbour is too close.
#[expect(clippy::float_cmp, reason = "a tie is a vertex written twice: the same bits")]
fn corner(ring: &[[f64; 2]]) -> Option<f64> {
    let last = ring.len() - 1;
    let (mut lowest, mut tied) = (0, false);
    for (i, &[x, y]) in ring.iter().enumerate().take(last).skip(1) {
        let [low_x, low_y] = ring[lowest];
        if y < low_y || (y == low_y && x > low_x) {
            (lowest, tied) = (i, false);
        } else if y == low_y && x == low_x {
            tied = true;
        }
    }
    let previous = if lowest == 0 { last - 1 } else { lowest - 1 };
    let next = if lowest + 1 >= last { 0 } else { lowest + 1 };
    let from_lowest = |i: usize| [ring[i][0] - ring[lowest][0], ring[i][1] - ring[lowest][1]];
    let ([dx0, dy0], [dx1, dy1]) = (from_lowest(previous), from_lowest(next));
    let close = |dx: f64, dy: f64| dx.abs() < TOO_CLOSE && dy.abs() < TOO_CLOSE;
    (!tied && !close(dx0, dy0) && !close(dx1, dy1)).then_some(dx1 * dy0 - dx0 * dy1)
}

/// Twice the signed area, negative when clockwise, summed in the order that GDAL sums it.
fn doubled_area(ring: &[[f64; 2]]) -> f64 {
    let last = ring.len() - 1;
    let mut sum = ring[0][0] * (ring[1][1] - ring[last][1]);
    for i in 1..last {
        sum += ring[i][0] * (ring[i + 1][1] - ring[i - 1][1]);
    }
    sum + ring[last][0] * (ring[0][1] - ring[last - 1][1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(ring: &[[f64; 2]], clockwise: bool) {
        assert_eq!(is_clockwise(ring), clockwise, "{ring:?}");
        let backwards: Vec<_> = ring.iter().rev().copied().collect();
        assert_eq!(is_clockwise(&backwards), !clockwise, "{backwards:?}");
    }

    #[test]
    fn squares_are_judged_by_their_corner() {
        check(&[[0.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 0.0], [0.0, 0.0]], true);
        check(&[[0.0, 1.0], [1.0, 1.0], [1.0, 0.0], [0.0, 0.0], [0.0, 1.0]], true);
    }

    /// A bow-tie whose upper loop is the larger one: by area it runs the other way than at its lowest vertex.
    #[test]
    fn the_lowest_corner_outvotes_the_area() {
        let bow_tie = [[0.0, 0.0], [9.0, 10.0], [-9.0, 10.0], [1.0, 0.0], [0.0, 0.0]];
        // Lowest, then rightmost: (1, 0), from (-9, 10) to (0, 0). cross = -1 * 10 - -10 * 0 < 0.
        check(&bow_tie, true);
        assert!(doubled_area(&bow_tie) > 0.0);
    }

    #[test]
    fn a_doubled_lowest_vertex_falls_back_to_the_area() {
        check(&[[0.0, 0.0], [0.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0]], true);
    }

    #[test]
    fn degenerate_rings_have_an_answer() {
        assert!(is_clockwise(&[]));
        assert!(is_clockwise(&[[3.0, 4.0]]));
        assert!(!is_clockwise(&[[3.0, 4.0], [3.0, 4.0]]));
        assert!(!is_clockwise(&[[0.0, 0.0], [5.0, 5.0], [0.0, 0.0]]));
    }
}
