//! What a mask says of pixels, rows and rectangles: values worked by hand.

use super::*;
use crate::ErrorKind;

/// Rows downwards, as in pixels.
const SOUTH_UP: Affine = Affine::IDENTITY;
/// The same pixels seen from a world whose y goes up.
const NORTH_UP: Affine = Affine([0.0, 1.0, 0.0, 0.0, 0.0, -1.0]);

/// A polygon from rings in pixels.
fn polygon(transform: Affine, rings: &[&[[f64; 2]]]) -> Polygon {
    let world = |ring: &&[[f64; 2]]| ring.iter().map(|&[x, y]| transform.apply(x, y)).collect();
    Polygon { rings: rings.iter().map(world).collect() }
}

fn rectangle(x0: f64, y0: f64, x1: f64, y1: f64) -> [[f64; 2]; 5] {
    [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]
}

fn burn(polygons: &[Polygon], width: u32, height: u32, rule: Rule) -> Mask {
    Mask::burn(polygons, &SOUTH_UP, Size::new(width, height), rule, &Limits::default()).unwrap()
}

fn picture(mask: &Mask) -> Vec<String> {
    let inside = |row, col| mask.runs(row).iter().any(|run| (run.start..run.end).contains(&col));
    let row = |row| (0..mask.size.width).map(|col| if inside(row, col) { '#' } else { '.' }).collect();
    (0..mask.size.height).map(row).collect()
}

#[track_caller]
fn check(transform: Affine, rule: Rule, rings: &[&[[f64; 2]]], expected: &[&str]) {
    let size = Size::new(u32::try_from(expected[0].len()).unwrap(), u32::try_from(expected.len()).unwrap());
    // Neither the ring's direction nor its first point matters.
    let backwards: Vec<Vec<_>> = rings.iter().map(|ring| ring.iter().rev().copied().collect()).collect();
    let backwards: Vec<_> = backwards.iter().map(Vec::as_slice).collect();
    for rings in [rings, &backwards] {
        let polygon = polygon(transform, rings);
        let mask = Mask::burn(&[polygon], &transform, size, rule, &Limits::default()).unwrap();
        assert_eq!(picture(&mask), expected);
    }
}

/// The slanted edge crosses the centre lines 0.5, 1.5, 2.5 at x = 4 - y * 4 / 3: 3.33, 2 and 0.67.
#[test]
fn a_triangle_worked_by_hand() {
    let triangle: &[[f64; 2]] = &[[0.0, 0.0], [4.0, 0.0], [0.0, 3.0], [0.0, 0.0]];
    for transform in [SOUTH_UP, NORTH_UP] {
        check(transform, Rule::Centre, &[triangle], &["###.", "##..", "#...", "...."]);
    }
    // It passes columns 2 and 3 in row 0, 1 and 2 in row 1, 0 and 1 in row 2; and it starts at (0, 3), which is
    // the corner of the pixel below. Rasterio 1.5 burns the same, as it does for every picture of closed rings below.
    for transform in [SOUTH_UP, NORTH_UP] {
        check(transform, Rule::AllTouched, &[triangle], &["####", "###.", "##..", "#..."]);
    }
}

#[test]
fn rings_of_one_polygon_cancel_out_and_polygons_add_up() {
    let (outer, hole) = (rectangle(0.0, 0.0, 4.0, 3.0), rectangle(1.0, 1.0, 6.0, 2.0));
    check(SOUTH_UP, Rule::Centre, &[&outer, &hole], &["####..", "#...##", "####.."]);
    let both = burn(&[polygon(SOUTH_UP, &[&outer]), polygon(SOUTH_UP, &[&hole])], 6, 3, Rule::Centre);
    assert_eq!(picture(&both), ["####..", "######", "####.."]);
    assert_eq!(burn(&[], 6, 3, Rule::AllTouched).count(), 0);
}

/// An edge on a centre line belongs to one side only: the lower one of a clockwise ring, which is the lower
/// one in pixels when rows go south, and the upper one is then burnt by the vertical edges that start there.
#[test]
fn an_edge_on_a_centre_line() {
    let edges_on_centres = rectangle(1.0, 0.5, 3.0, 2.5);
    check(SOUTH_UP, Rule::Centre, &[&edges_on_centres], &[".##.", ".##.", "....", "...."]);
    check(NORTH_UP, Rule::Centre, &[&edges_on_centres], &[".##.", ".##.", ".##.", "...."]);
    // Vertical: x = 0.5 and 2.5 round up to columns 1 and 3.
    check(SOUTH_UP, Rule::Centre, &[&rectangle(0.5, 0.0, 2.5, 1.0)], &[".##.", "...."]);
}

/// Two loops from one lowest vertex: its corner would call the ring anticlockwise, the area decides. (Rasterio's.)
#[test]
fn a_lowest_vertex_passed_twice() {
    let loops: &[[f64; 2]] =
        &[[4.0, 0.5], [8.0, 2.5], [3.0, 2.5], [4.0, 0.5], [0.0, 6.5], [9.0, 6.5], [4.0, 0.5]];
    let expected =
        ["..........", "...#.#....", "...#####..", "..#####...", ".######...", ".#######..", ".........."];
    check(SOUTH_UP, Rule::Centre, &[loops], &expected);
}

#[test]
fn what_an_outline_touches() {
    // No centre inside; the outline passes three pixels.
    let sliver: &[[f64; 2]] = &[[0.2, 0.2], [2.8, 0.3], [0.2, 0.4], [0.2, 0.2]];
    check(SOUTH_UP, Rule::Centre, &[sliver], &["....", "...."]);
    check(SOUTH_UP, Rule::AllTouched, &[sliver], &["###.", "...."]);
    // Edges between pixels touch neither.
    let aligned = rectangle(1.0, 1.0, 3.0, 2.0);
    check(SOUTH_UP, Rule::AllTouched, &[&aligned], &["....", ".##.", "...."]);
    let beside = rectangle(0.9, 1.0, 3.0, 2.1);
    check(SOUTH_UP, Rule::AllTouched, &[&beside], &["....", "###.", "###."]);
}

#[test]
fn an_open_ring_is_closed() {
    let open: &[[f64; 2]] = &[[0.0, 0.0], [4.0, 0.0], [0.0, 3.0]];
    check(SOUTH_UP, Rule::AllTouched, &[open], &["####", "###.", "##..", "#..."]);
    check(SOUTH_UP, Rule::AllTouched, &[&[], &[[1.0, 1.0]]], &["....", "...."]);
}

#[test]
fn vertices_far_away_fill_the_window() {
    for far in [1e6, 1e9, 1e10, 1e18, 1e150, 1e200, 1e300, f64::MAX] {
        for rule in [Rule::Centre, Rule::AllTouched] {
            let mask = burn(&[polygon(SOUTH_UP, &[&rectangle(-far, -far, far, far)])], 7, 5, rule);
            assert_eq!(mask, Mask::full(Size::new(7, 5)), "{far:e} {rule:?}");
            let right = burn(&[polygon(SOUTH_UP, &[&rectangle(3.0, -far, far, far)])], 7, 5, rule);
            assert_eq!(right.bounds(), Some(PixelRect::new(3, 0, 7, 5)), "{far:e} {rule:?}");
        }
    }
}

/// Nothing to compare with but the clock: GDAL casts such coordinates to 32 bits.
#[test]
fn no_coordinate_panics_or_walks_for_ever() {
    let values = [
        -f64::MAX,
        -1e300,
        -1e17,
        -1e9,
        -1.0,
        -1e-300,
        0.0,
        1e-12,
        2.5,
        4.0,
        5.0,
        1e9,
        1e17,
        1e300,
        f64::MAX,
    ];
    let points: Vec<_> = values.iter().flat_map(|&x| values.map(|y| [x, y])).collect();
    for (i, &a) in points.iter().enumerate() {
        for (j, &b) in points.iter().enumerate() {
            let c = points[(i * 7 + j * 31 + 5) % points.len()];
            let triangle = polygon(SOUTH_UP, &[&[a, b, c, a]]);
            let mask = burn(&[triangle], 4, 5, Rule::AllTouched);
            assert!(mask.count() <= 20);
        }
    }
}

#[test]
fn tall_windows_are_walked_downwards_and_upwards() {
    let (height, h) = (1 << 30, f64::from(1 << 30));
    let low = rectangle(0.5, h - 2.5, 2.5, h - 0.5);
    let slanted: &[[f64; 2]] = &[[0.5, h - 0.5], [2.5, h - 4.0], [2.5, h - 0.5], [0.5, h - 0.5]];
    for ring in [&low[..], slanted] {
        let mask = burn(&[polygon(SOUTH_UP, &[ring])], 3, height, Rule::AllTouched);
        assert_eq!(mask.bounds().map(|b| (b.x0, b.x1, b.y1)), Some((0, 3, height)));
    }
}

#[test]
fn what_is_no_place_is_refused() {
    let square = rectangle(0.0, 0.0, 4.0, 4.0);
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e308] {
        let mut ring = square;
        ring[2][1] = bad;
        let gt = Affine([0.0, 0.01, 0.0, 0.0, 0.0, -0.01]);
        let rings = vec![square.to_vec(), ring.to_vec()];
        let polygons = [polygon(SOUTH_UP, &[&square]), Polygon { rings }];
        let error =
            Mask::burn(&polygons, &gt, Size::new(4, 4), Rule::Centre, &Limits::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.to_string().starts_with("polygon 1: ring 1, vertex 2: (4, "), "{error}");
    }
    let flat = Affine([0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    let error = Mask::burn(&[], &flat, Size::new(4, 4), Rule::Centre, &Limits::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
}

#[test]
fn runs_are_limited_at_their_number_after_merging() {
    let window = Size::new(9, 9);
    let limits = |mask_runs| Limits { mask_runs, ..Limits::default() };
    let square = polygon(SOUTH_UP, &[&rectangle(1.0, 1.0, 8.0, 8.0)]);
    let many = vec![square; 2000];
    let burn = |limit| Mask::burn(&many, &SOUTH_UP, window, Rule::AllTouched, &limits(limit));
    let mask = burn(7).unwrap();
    assert_eq!(mask.count(), 49);
    assert_eq!(burn(6).unwrap_err().kind(), ErrorKind::Limit);
    // A full row, two margins, a full row.
    assert_eq!(mask.clone().inverted(&limits(4)).unwrap().count(), 81 - 49);
    assert_eq!(mask.inverted(&limits(3)).unwrap_err().kind(), ErrorKind::Limit);
}

#[test]
fn a_huge_window_costs_only_what_is_in_it() {
    let window = Size::new(u32::MAX, u32::MAX);
    let full = Mask::full(window);
    assert_eq!((full.bands.len(), full.runs.len(), full.count()), (2, 1, window.pixels()));
    assert_eq!(full.class(PixelRect::of(window)), TileClass::Inside);
    assert_eq!(full.count_in(PixelRect::of(window)), window.pixels());
    assert_eq!(full.bounds(), Some(PixelRect::of(window)));
    let empty = full.inverted(&Limits::default()).unwrap();
    assert_eq!((empty.count(), empty.bounds(), empty.bands.len()), (0, None, 0));
    assert_eq!(empty.inverted(&Limits::default()).unwrap(), Mask::full(window));

    let (x, y) = (3e9, 4e9);
    let tiny = burn(
        &[polygon(SOUTH_UP, &[&rectangle(x, y, x + 2.0, y + 3.0)])],
        window.width,
        window.height,
        Rule::AllTouched,
    );
    assert_eq!((tiny.count(), tiny.bands.len(), tiny.runs.len()), (6, 2, 1));
    assert_eq!(tiny.runs(4_000_000_001), [Run { start: 3_000_000_000, end: 3_000_000_002 }]);
    assert_eq!(tiny.runs(4_000_000_003), []);
    let around = tiny.inverted(&Limits::default()).unwrap();
    assert_eq!((around.count(), around.bands.len()), (window.pixels() - 6, 4));
}

#[test]
fn windows_without_a_pixel() {
    for window in [Size::new(0, 0), Size::new(0, 9), Size::new(9, 0)] {
        let all = polygon(SOUTH_UP, &[&[[-9.0, -9.0], [19.0, -8.0], [9.0, 17.0], [-9.0, -9.0]]]);
        let mask = burn(&[all], window.width, window.height, Rule::AllTouched);
        assert_eq!(mask, Mask::full(window));
        assert_eq!((mask.count(), mask.bounds()), (0, None));
        assert_eq!(mask.inverted(&Limits::default()).unwrap(), Mask::full(window));
    }
}

/// Random quadrilaterals in a small window: every answer about every rectangle, against counting pixels.
#[test]
fn answers_about_rectangles_are_those_of_a_bitmap() {
    let (width, height) = (7, 6);
    let mut state = 1_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(state >> 33).unwrap_or(0) % 400) / 40.0 - 1.0
    };
    for number in 0..150 {
        let mut ring: Vec<_> = (0..4).map(|_| [random(), random()]).collect();
        ring.push(ring[0]);
        let mask = burn(&[polygon(SOUTH_UP, &[&ring])], width, height, Rule::Centre);
        let mask = if number % 2 == 1 { mask.inverted(&Limits::default()).unwrap() } else { mask };
        let bitmap: Vec<Vec<bool>> =
            picture(&mask).iter().map(|row| row.chars().map(|c| c == '#').collect()).collect();
        let there_and_back = mask.clone().inverted(&Limits::default()).unwrap();
        assert_eq!(there_and_back.count() + mask.count(), u64::from(width * height));
        assert_eq!(there_and_back.inverted(&Limits::default()).unwrap(), mask);
        let mut bounds: Option<PixelRect> = None;
        for row in 0..height {
            let runs = mask.runs(row);
            assert!(runs.iter().all(|run| run.start < run.end));
            assert!(runs.windows(2).all(|pair| pair[0].end < pair[1].start));
            for col in (0..width).filter(|&col| bitmap[row as usize][col as usize]) {
                let b = bounds.unwrap_or(PixelRect::new(col, row, col + 1, row + 1));
                bounds = Some(PixelRect::new(b.x0.min(col), b.y0, b.x1.max(col + 1), b.y1.max(row + 1)));
            }
        }
        assert_eq!(mask.bounds(), bounds);
        assert_eq!(mask.runs(height), []);
        assert_eq!(mask.runs(u32::MAX), []);
        for (x0, x1) in (0..=width).flat_map(|a| (0..=width + 1).map(move |b| (a, b))) {
            for (y0, y1) in (0..=height).flat_map(|a| (0..=height + 1).map(move |b| (a, b))) {
                let rect = PixelRect::new(x0, y0, x1, y1);
                let pixels = || (y0..y1.min(height)).flat_map(|y| (x0..x1.min(width)).map(move |x| (x, y)));
                let inside = pixels().filter(|&(x, y)| bitmap[y as usize][x as usize]).count();
                assert_eq!(mask.count_in(rect), inside as u64, "{rect:?}");
                let class = match inside {
                    0 => TileClass::Outside,
                    n if n == pixels().count() => TileClass::Inside,
                    _ => TileClass::Edge,
                };
                assert_eq!(mask.class(rect), class, "{rect:?}");
            }
        }
    }
}
