//! What of a mask lies in each of many tiles, in one pass over its runs.

use std::ops::Range;

use super::{Mask, TileClass};

impl Mask {
    /// The classes of rectangles side by side, as [`Self::class`] has them one by one: of the rows `rows` and the columns
    /// `edges[0]..edges[1]`, `edges[1]..edges[2]` and so on, which ascend. Costs as many steps as there are runs in those
    /// rows, and rectangles.
    #[must_use]
    pub fn classes(&self, rows: Range<u32>, edges: &[u32]) -> Vec<TileClass> {
        let edge = |number: usize| edges[number].min(self.size.width);
        let tiles = edges.len().saturating_sub(1);
        // Pixels inside of tiles that a run covers in part, and changes of the number of rows that runs cover all across.
        let (mut pixels, mut changes) = (vec![0_u64; tiles], vec![0_i64; tiles + 1]);
        for (rows, runs) in self.bands_in(rows.start..rows.end.min(self.size.height)) {
            let height = rows.end - rows.start;
            for run in runs {
                // The tiles in which its first and its last column lie; outside of all, the nearest.
                let holding = |column: u32| edges.partition_point(|&edge| edge <= column).saturating_sub(1);
                let (first, last) = (holding(run.start), holding(run.end - 1));
                let part = |tile: usize| {
                    let overlap = run.end.min(edge(tile + 1)).saturating_sub(run.start.max(edge(tile)));
                    u64::from(overlap) * u64::from(height)
                };
                if first < tiles {
                    pixels[first] += part(first);
                }
                if last > first {
                    if last < tiles {
                        pixels[last] += part(last);
                    }
                    changes[first + 1] += i64::from(height);
                    changes[last.min(tiles)] -= i64::from(height);
                }
            }
        }
        let height = rows.end.min(self.size.height).saturating_sub(rows.start);
        let mut full = 0_i64;
        let mut class = |tile: usize| {
            full += changes[tile];
            let width = u64::from(edge(tile + 1).saturating_sub(edge(tile)));
            match pixels[tile] + full.unsigned_abs() * width {
                0 => TileClass::Outside,
                inside if inside == width * u64::from(height) => TileClass::Inside,
                _ => TileClass::Edge,
            }
        };
        (0..tiles).map(&mut class).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cutline::Polygon;
    use crate::geo::Affine;
    use crate::grid::{PixelRect, Size};
    use crate::limits::Limits;
    use crate::mask::Rule;

    /// Against one rectangle at a time, which is compared with a bitmap elsewhere.
    #[test]
    fn all_tiles_of_a_row_are_each_tile() {
        let mut state = 1_u64;
        let mut random = |bound: u32| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            u32::try_from(state >> 33).unwrap() % bound
        };
        let mut met = [0; 3];
        for number in 0..2000 {
            let window = Size::new(1 + random(40), 1 + random(30));
            let polygons: Vec<Polygon> = (0..=random(3))
                .map(|_| {
                    let ring = (0..3 + random(3))
                        .map(|_| [f64::from(random(480)) / 10.0 - 4.0, f64::from(random(380)) / 10.0 - 4.0])
                        .collect();
                    Polygon { rings: vec![ring] }
                })
                .collect();
            let limits = Limits::default();
            let mask = Mask::burn(&polygons, &Affine::IDENTITY, window, Rule::Centre, &limits).unwrap();
            let mask = if number % 3 == 0 { mask.inverted(&limits).unwrap() } else { mask };
            // Edges may lie beyond the window, be far between, and leave columns out at both sides.
            let mut edges: Vec<u32> = (0..random(7)).map(|_| random(45)).collect();
            edges.sort_unstable();
            edges.dedup();
            let (y0, height) = (random(30), 1 + random(12));
            let classes = mask.classes(y0..y0 + height, &edges);
            assert_eq!(classes.len(), edges.len().saturating_sub(1));
            for (pair, class) in edges.windows(2).zip(classes) {
                let rect = PixelRect::new(pair[0], y0, pair[1], y0 + height);
                assert_eq!(class, mask.class(rect), "{rect:?} of {window}");
                met[class as usize] += 1;
            }
        }
        assert!(met.iter().all(|count| *count > 100), "{met:?}");
    }

    #[test]
    fn the_largest_window_has_classes() {
        let window = Size::new(u32::MAX, u32::MAX);
        let mask = Mask::full(window);
        assert_eq!(mask.classes(0..u32::MAX, &[0, u32::MAX]), [TileClass::Inside]);
        assert_eq!(mask.classes(5..5, &[0, 9]), [TileClass::Outside]);
        assert_eq!(mask.classes(0..9, &[3]), []);
        assert_eq!(mask.classes(0..9, &[]), []);
    }
}
