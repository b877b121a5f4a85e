//! The random polygons of `scripts/make-mask-cases.py`, bit for bit: change both together.

use std::f64::consts::FRAC_1_SQRT_2;

use cogclip::cutline::{Polygon, Ring};
use cogclip::geo::Affine;
use cogclip::grid::Size;

type Point = [f64; 2];
/// Polygons of rings.
type Shape = Vec<Vec<Ring>>;

/// cos of k * 22.5 degrees; the sine is the cosine 4 steps back.
const COS: [f64; 16] = [
    1.0,
    0.923_879_532_511_286_7,
    FRAC_1_SQRT_2,
    0.382_683_432_365_089_8,
    0.0,
    -0.382_683_432_365_089_8,
    -FRAC_1_SQRT_2,
    -0.923_879_532_511_286_7,
    -1.0,
    -0.923_879_532_511_286_7,
    -FRAC_1_SQRT_2,
    -0.382_683_432_365_089_8,
    0.0,
    0.382_683_432_365_089_8,
    FRAC_1_SQRT_2,
    0.923_879_532_511_286_7,
];
/// What lies just inside and just outside the thresholds of the all-touched rule.
const NUDGES: [f64; 16] = [
    0.0, 0.0, 1e-12, -1e-12, 1e-9, -1e-9, 9e-5, -9e-5, 1.1e-4, -1.1e-4, 5e-3, -5e-3, 9.9e-3, -9.9e-3,
    1.01e-2, -1.01e-2,
];
const THICKNESS: [f64; 6] = [1.0, 0.1, 0.01, 1e-3, 1e-4, 1e-5];
const FAR: [f64; 8] = [1.0, 10.0, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7];
const RADII: [f64; 6] = [2.0, 1.0, 0.5, 0.1, 0.01, 1e-3];

/// Steps, in pixels, to a second vertex within and just beyond 1e-5 world units.
const CLOSE_BY: [f64; 8] = [0.0, 0.0, 5e-6, -5e-6, 9.9e-6, -9.9e-6, 1.01e-5, -1.01e-5];

/// One case: what to burn, and where.
pub(crate) struct Case {
    pub(crate) class: &'static str,
    pub(crate) window: Size,
    pub(crate) transform: Affine,
    pub(crate) polygons: Vec<Polygon>,
}

/// Makes polygons in pixels for a window of some width and height.
type Make = fn(&mut Rng, f64, f64) -> Shape;

pub(crate) const CLASSES: [(&str, Make); 21] = [
    ("triangle", |rng, w, h| one(close_scatter(rng, 3, w, h))),
    ("stars", |rng, w, h| one(closed_star(rng, w, h))),
    ("holes", holes),
    ("multipolygon", multipolygon),
    ("sliver", sliver),
    ("self_crossing", |rng, w, h| {
        let n = 4 + rng.below(11);
        one(close_scatter(rng, n, w, h))
    }),
    ("duplicates", duplicates),
    ("huge", huge),
    ("tiny", tiny),
    ("integers", |rng, w, h| one(closed_grid(rng, w, h, 1.0))),
    ("halves", |rng, w, h| one(closed_grid(rng, w, h, 0.5))),
    ("quarters", |rng, w, h| one(closed_grid(rng, w, h, 0.25))),
    ("spikes", spikes),
    ("comb", comb),
    ("rectangles", rectangles),
    ("nudged", nudged),
    ("overlapping_rings", overlapping_rings),
    ("window_edges", window_edges),
    ("stairs", stairs),
    ("degenerate", degenerate),
    ("crooked", crooked),
];

const TRANSFORMS: [fn(&mut Rng) -> [f64; 6]; 6] = [identity, utm, geographic, south_up, rotated, mirrored];

/// The case of a number.
pub(crate) fn case(seed: u64, number: u64) -> Case {
    let which = usize::try_from(number).unwrap();
    let (class, make) = CLASSES[which % CLASSES.len()];
    let mut rng = Rng(seed ^ number.wrapping_mul(0xD134_2543_DE82_EF95));
    let w = u32::try_from(8 + rng.below(57)).unwrap();
    let h = u32::try_from(8 + rng.below(57)).unwrap();
    let transform = Affine(TRANSFORMS[which / CLASSES.len() % TRANSFORMS.len()](&mut rng));
    let polygons = make(&mut rng, f64::from(w), f64::from(h))
        .into_iter()
        .map(|rings| Polygon {
            rings: rings
                .into_iter()
                .map(|ring| ring.into_iter().map(|[x, y]| transform.apply(x, y)).collect())
                .collect(),
        })
        .collect();
    Case { class, window: Size::new(w, h), transform, polygons }
}

/// splitmix64
pub(crate) struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = self.0;
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    #[expect(clippy::cast_precision_loss, reason = "both are below 2^53 or a power of two")]
    fn span(&mut self, a: f64, b: f64) -> f64 {
        a + (b - a) * ((self.next() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64))
    }

    fn of(&mut self, table: &[f64]) -> f64 {
        let at = self.below(table.len() as u64);
        table[usize::try_from(at).unwrap()]
    }
}

fn one(ring: Ring) -> Shape {
    vec![vec![ring]]
}

/// A ring from any of its points, either way round.
fn close(rng: &mut Rng, mut points: Vec<Point>) -> Ring {
    let at = rng.below(points.len() as u64);
    points.rotate_left(usize::try_from(at).unwrap());
    if rng.below(2) == 1 {
        points.reverse();
    }
    points.push(points[0]);
    points
}

fn scatter(rng: &mut Rng, n: u64, w: f64, h: f64) -> Vec<Point> {
    (0..n).map(|_| [rng.span(-0.25 * w, 1.25 * w), rng.span(-0.25 * h, 1.25 * h)]).collect()
}

fn close_scatter(rng: &mut Rng, n: u64, w: f64, h: f64) -> Ring {
    let points = scatter(rng, n, w, h);
    close(rng, points)
}

fn star(rng: &mut Rng, cx: f64, cy: f64, least: f64, most: f64) -> Vec<Point> {
    let mut points = Vec::new();
    for k in 0..16 {
        if rng.below(4) == 0 && k > 2 {
            continue;
        }
        let r = rng.span(least, most);
        points.push([cx + COS[k] * r, cy + COS[(k + 12) % 16] * r]);
    }
    points
}

fn star_in(rng: &mut Rng, w: f64, h: f64) -> Vec<Point> {
    let cx = rng.span(0.0, w);
    let cy = rng.span(0.0, h);
    star(rng, cx, cy, 1.0, 0.6 * w)
}

fn closed_star(rng: &mut Rng, w: f64, h: f64) -> Ring {
    let points = star_in(rng, w, h);
    close(rng, points)
}

fn floor_to(v: f64, step: f64) -> f64 {
    (v / step).floor() * step
}

fn grid(rng: &mut Rng, w: f64, h: f64, step: f64) -> Vec<Point> {
    let n = 3 + rng.below(8);
    (0..n)
        .map(|_| [floor_to(rng.span(-3.0, w + 3.0), step), floor_to(rng.span(-3.0, h + 3.0), step)])
        .collect()
}

fn closed_grid(rng: &mut Rng, w: f64, h: f64, step: f64) -> Ring {
    let points = grid(rng, w, h, step);
    close(rng, points)
}

fn rectangle(rng: &mut Rng, w: f64, h: f64, step: f64) -> Vec<Point> {
    let x0 = rng.span(-2.0, w);
    let y0 = rng.span(-2.0, h);
    let x1 = x0 + rng.span(0.0, w);
    let y1 = y0 + rng.span(0.0, h);
    let [x0, y0, x1, y1] = [x0, y0, x1, y1].map(|v| if step > 0.0 { floor_to(v, step) } else { v });
    vec![[x0, y0], [x1, y0], [x1, y1], [x0, y1]]
}

fn holes(rng: &mut Rng, w: f64, h: f64) -> Shape {
    let mut rings = vec![closed_star(rng, w, h)];
    for _ in 0..=rng.below(3) {
        let cx = rng.span(0.0, w);
        let cy = rng.span(0.0, h);
        let points = star(rng, cx, cy, 0.5, 0.2 * w);
        rings.push(close(rng, points));
    }
    vec![rings]
}

fn multipolygon(rng: &mut Rng, w: f64, h: f64) -> Shape {
    let n = 2 + rng.below(3);
    (0..n)
        .map(|_| {
            let mut rings = vec![closed_star(rng, w, h)];
            if rng.below(2) == 0 {
                rings.push(closed_star(rng, w, h));
            }
            rings
        })
        .collect()
}

fn sliver(rng: &mut Rng, w: f64, h: f64) -> Shape {
    let ends = scatter(rng, 2, w, h);
    let ([x0, y0], [x1, y1]) = (ends[0], ends[1]);
    let dx = rng.span(-1.0, 1.0) * rng.of(&THICKNESS);
    let dy = rng.span(-1.0, 1.0) * rng.of(&THICKNESS);
    one(close(rng, vec![[x0, y0], [x1, y1], [x1 + dx, y1 + dy], [x0 + dx, y0 + dy]]))
}

fn duplicates(rng: &mut Rng, w: f64, h: f64) -> Shape {
    let mut points = Vec::new();
    for point in star_in(rng, w, h) {
        for _ in 0..=rng.below(3) {
            points.push(point);
        }
    }
    one(close(rng, points))
}

fn huge(rng: &mut Rng, w: f64, h: f64) -> Shape {
    let n = 3 + rng.below(6);
    let points = (0..n)
        .map(|_| [rng.span(-1.0, 1.0) * w * rng.of(&FAR), rng.span(-1.0, 1.0) * h * rng.of(&FAR)])
        .collect();
    one(close(rng, points))
}

fn tiny(rng: &mut Rng, w: f64, h: f64) -> Shape {
    let cx = rng.span(0.0, w);
    let cy = rng.span(0.0, h);
    let r = rng.of(&RADII);
    let points = star(rng, cx, cy, 0.1 * r, r);
    one(close(rng, points))
}

fn spikes(rng: &mut Rng, w: f64, h: f64) -> Shape {
    let mut points = Vec::new();
    for point in star_in(rng, w, h) {
        points.push(point);
        if rng.below(3) == 0 {
            points.extend(scatter(rng, 1, w, h));
            points.push(point);
        }
    }
    one(close(rng, points))
}

#[expect(clippy::cast_precision_loss, reason = "at most 13 teeth")]
fn comb(rng: &mut Rng, w: f64, h: f64) -> Shape {
    let teeth = 3 + rng.below(10);
    let step = rng.of(&[0.0, 0.5, 1.0]);
    let left = rng.span(-2.0, 0.5 * w);
    let pitch = rng.span(0.3, 2.0 * w / teeth as f64);
    let back = rng.span(-2.0, 0.5 * h);
    let mut points = Vec::new();
    for i in 0..teeth {
        let x = left + pitch * i as f64;
        let tip = back + rng.span(0.5, h);
        let gap = back + rng.span(0.1, 1.0);
        points.push([x, tip]);
        points.push([x + 0.5 * pitch, gap]);
    }
    points.push([left + pitch * teeth as f64, back]);
    points.push([left, back]);
    if step > 0.0 {
        points = points.into_iter().map(|p| p.map(|v| floor_to(v, step))).collect();
    }
    if rng.below(2) == 0 {
        points = points.into_iter().map(|[x, y]| [y, x]).collect();
    }
    one(close(rng, points))
}

fn rectangles(rng: &mut Rng, w: f64, h: f64) -> Shape {
    let step = rng.of(&[0.0, 0.25, 0.5, 1.0]);
    let n = 1 + rng.below(3);
    let rings = (0..n)
        .map(|_| {
            let points = rectangle(rng, w, h, step);
            close(rng, points)
        })
        .collect();
    vec![rings]
}

fn nudged(rng: &mut Rng, w: f64, h: f64) -> Shape {
    let points = grid(rng, w, h, 0.5);
    let points = points.into_iter().map(|[x, y]| [x + rng.of(&NUDGES), y + rng.of(&NUDGES)]).collect();
    one(close(rng, points))
}

fn overlapping_rings(rng: &mut Rng, w: f64, h: f64) -> Shape {
    let n = 4 + rng.below(4);
    let mut rings = vec![close_scatter(rng, n, w, h)];
    for _ in 0..=rng.below(2) {
        let next = if rng.below(3) == 0 {
            let points = rings[0][..rings[0].len() - 1].to_vec();
            close(rng, points)
        } else {
            close_scatter(rng, 4, w, h)
        };
        rings.push(next);
    }
    vec![rings]
}

fn window_edges(rng: &mut Rng, w: f64, h: f64) -> Shape {
    let mut points = Vec::new();
    for _ in 0..3 + rng.below(6) {
        let [x, y] = [w, h].map(|end| {
            let any = rng.span(-1.0, end + 1.0);
            rng.of(&[-1.0, -0.5, 0.0, 0.5, end - 0.5, end, end + 0.5, end + 1.0, 0.5 * end, any])
        });
        points.push([x + rng.of(&NUDGES), y + rng.of(&NUDGES)]);
    }
    one(close(rng, points))
}

fn stairs(rng: &mut Rng, w: f64, h: f64) -> Shape {
    let mut x = rng.span(-1.0, w + 1.0);
    let mut y = rng.span(-1.0, h + 1.0);
    let mut points = Vec::new();
    for i in 0..4 + rng.below(10) {
        points.push([x, y]);
        if i % 2 == 0 {
            x = rng.span(-1.0, w + 1.0);
            y += rng.of(&NUDGES);
        } else {
            y = rng.span(-1.0, h + 1.0);
            x += rng.of(&NUDGES);
        }
    }
    one(close(rng, points))
}

fn degenerate(rng: &mut Rng, w: f64, h: f64) -> Shape {
    let ends = scatter(rng, 2, w, h);
    let ([mut x0, mut y0], [mut x1, mut y1]) = (ends[0], ends[1]);
    match rng.below(4) {
        0 => y1 = y0,
        1 => {
            y0 = y0.floor() + 0.5;
            y1 = y0;
        }
        2 => {
            x0 = x0.floor();
            x1 = x0;
        }
        _ => {}
    }
    let mut points = vec![[x0, y0]];
    for _ in 0..2 + rng.below(4) {
        let any = rng.span(0.0, 1.0);
        let t = rng.of(&[0.0, 0.25, 0.5, 1.0, any]);
        points.push([x0 + (x1 - x0) * t, y0 + (y1 - y0) * t]);
    }
    one(close(rng, points))
}

/// Self-crossing stairs whose edges lie on centre lines, so that the ring's direction shows; some corners double.
fn crooked(rng: &mut Rng, w: f64, h: f64) -> Shape {
    let n = 3 + rng.below(4);
    let corners: Vec<Point> =
        (0..n).map(|_| [rng.span(-1.0, w + 1.0).floor(), rng.span(-1.0, h + 1.0).floor() + 0.5]).collect();
    let mut points = Vec::new();
    for (i, &[x, y]) in corners.iter().enumerate() {
        for corner in [[x, y], [corners[(i + 1) % corners.len()][0], y]] {
            points.push(corner);
            if rng.below(3) == 0 {
                let dx = rng.of(&CLOSE_BY);
                let dy = rng.of(&CLOSE_BY);
                points.push([corner[0] + dx, corner[1] + dy]);
            }
        }
    }
    one(close(rng, points))
}

fn identity(_: &mut Rng) -> [f64; 6] {
    Affine::IDENTITY.0
}

#[expect(clippy::cast_precision_loss, reason = "below 2^18")]
fn utm(rng: &mut Rng) -> [f64; 6] {
    let x = 300_000.0 + 10.0 * rng.below(50_000) as f64;
    let y = 4_000_000.0 + 10.0 * rng.below(200_000) as f64;
    [x, 10.0, 0.0, y, 0.0, -10.0]
}

fn geographic(rng: &mut Rng) -> [f64; 6] {
    let size = rng.of(&[0.000_277_777_777_777_777_8, 0.25, 1e-5]);
    let x = rng.span(-180.0, 180.0);
    let y = rng.span(-80.0, 80.0);
    [x, size, 0.0, y, 0.0, -size]
}

fn south_up(rng: &mut Rng) -> [f64; 6] {
    let x = rng.span(-1e6, 1e6);
    let y = rng.span(-1e6, 1e6);
    [x, 30.0, 0.0, y, 0.0, 30.0]
}

fn rotated(rng: &mut Rng) -> [f64; 6] {
    let x = rng.span(300_000.0, 800_000.0);
    let y = rng.span(0.0, 9e6);
    [x, 9.6, 2.8, y, 2.8, -9.6]
}

fn mirrored(rng: &mut Rng) -> [f64; 6] {
    let x = rng.span(-1e3, 1e3);
    let y = rng.span(-1e3, 1e3);
    [x, -0.6, 0.0, y, 0.0, -1.1]
}
