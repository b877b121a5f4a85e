#!/usr/bin/env python3
"""Burns random polygons with rasterio and writes what it burnt: testdata/mask-cases.bin.

    make-mask-cases.py            write the committed file
    make-mask-cases.py --check    burn again, compare with the committed file, exit 1 on a difference
    make-mask-cases.py --show N   print case N: polygon, geotransform, and the pixels that rasterio burns
    --seed S --count N --out F    other polygons, another file (COGCLIP_MASK_CASES=F cargo test --test it mask)

Needs rasterio >= 1.5 (GDAL >= 3.12): GDAL 3.10 touches other pixels along edges that are aligned with the grid.

tests/it/mask.rs makes the same polygons, bit for bit. So every coordinate comes from a 64-bit integer generator
and from + - * / and floor, which IEEE 754 rounds in one way only; change both files together.

The file, little-endian: b"CGMASK01", seed u64, count u64, number of strays u64, then 2 x 8 bytes for each case: the
first 8 bytes of the SHA-256 of the burnt bits (rows from the top, numpy.packbits over the whole window), centre rule
first, then all-touched; then the strays, 16 bytes each: case u64, row u32, column u32.

A stray is a pixel that GDAL's all-touched rule burns past the window's right edge, so that it lands in the next row. The
hashes are of what rasterio burns, strays included. Which pixels are strays is not taken from the difference
to cogclip: `strays` below walks each segment by the text of the rule and notes what it would burn in columns >= w.
"""

import argparse
import hashlib
import json
import math
import pathlib
import struct
import sys
import warnings

import numpy
import rasterio
from affine import Affine
from rasterio.features import geometry_mask

FILE = pathlib.Path(__file__).resolve().parent.parent / "testdata" / "mask-cases.bin"
MAGIC = b"CGMASK01"
SEED = 20260101
COUNT = 29_400
M64 = (1 << 64) - 1

# cos of k * 22.5 degrees; the sine is the cosine 4 steps back.
COS = [
    1.0, 0.9238795325112867, 0.7071067811865476, 0.3826834323650898,
    0.0, -0.3826834323650898, -0.7071067811865476, -0.9238795325112867,
    -1.0, -0.9238795325112867, -0.7071067811865476, -0.3826834323650898,
    0.0, 0.3826834323650898, 0.7071067811865476, 0.9238795325112867,
]  # fmt: skip
# What lies just inside and just outside the thresholds of the all-touched rule (0.01, 1e-4, 1e-9 pixel).
NUDGES = [0.0, 0.0, 1e-12, -1e-12, 1e-9, -1e-9, 9e-5, -9e-5, 1.1e-4, -1.1e-4, 5e-3, -5e-3, 9.9e-3, -9.9e-3, 1.01e-2, -1.01e-2]
THICKNESS = [1.0, 0.1, 0.01, 1e-3, 1e-4, 1e-5]
FAR = [1.0, 10.0, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7]
RADII = [2.0, 1.0, 0.5, 0.1, 0.01, 1e-3]
# Steps, in pixels, to a second vertex within and just beyond 1e-5 world units, where the ring's direction is judged.
CLOSE_BY = [0.0, 0.0, 5e-6, -5e-6, 9.9e-6, -9.9e-6, 1.01e-5, -1.01e-5]


class Rng:
    """splitmix64"""

    def __init__(self, state):
        self.state = state & M64

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & M64
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & M64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & M64
        return z ^ (z >> 31)

    def below(self, n):
        return self.next() % n

    def span(self, a, b):
        return a + (b - a) * ((self.next() >> 11) * (1.0 / (1 << 53)))

    def of(self, table):
        return table[self.below(len(table))]


def close(rng, points):
    """A ring from any of its points, either way round."""
    at = rng.below(len(points))
    points = points[at:] + points[:at]
    if rng.below(2) == 1:
        points.reverse()
    return [*points, points[0]]


def scatter(rng, n, w, h):
    points = []
    for _ in range(n):
        x = rng.span(-0.25 * w, 1.25 * w)
        y = rng.span(-0.25 * h, 1.25 * h)
        points.append((x, y))
    return points


def star(rng, cx, cy, least, most):
    points = []
    for k in range(16):
        if rng.below(4) == 0 and k > 2:
            continue
        r = rng.span(least, most)
        points.append((cx + COS[k] * r, cy + COS[(k + 12) % 16] * r))
    return points


def star_in(rng, w, h):
    cx = rng.span(0.0, w)
    cy = rng.span(0.0, h)
    return star(rng, cx, cy, 1.0, 0.6 * w)


def grid(rng, w, h, step):
    points = []
    for _ in range(3 + rng.below(8)):
        x = math.floor(rng.span(-3.0, w + 3.0) / step) * step
        y = math.floor(rng.span(-3.0, h + 3.0) / step) * step
        points.append((x, y))
    return points


def rectangle(rng, w, h, step):
    x0 = rng.span(-2.0, w)
    y0 = rng.span(-2.0, h)
    x1 = x0 + rng.span(0.0, w)
    y1 = y0 + rng.span(0.0, h)
    if step > 0.0:
        x0, y0, x1, y1 = (math.floor(v / step) * step for v in (x0, y0, x1, y1))
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


# Each makes the polygons of one case, in pixels: a list of polygons, each a list of rings.


def triangle(rng, w, h):
    return [[close(rng, scatter(rng, 3, w, h))]]


def stars(rng, w, h):
    return [[close(rng, star_in(rng, w, h))]]


def holes(rng, w, h):
    rings = [close(rng, star_in(rng, w, h))]
    for _ in range(1 + rng.below(3)):
        cx = rng.span(0.0, w)
        cy = rng.span(0.0, h)
        rings.append(close(rng, star(rng, cx, cy, 0.5, 0.2 * w)))
    return [rings]


def multipolygon(rng, w, h):
    polygons = []
    for _ in range(2 + rng.below(3)):
        rings = [close(rng, star_in(rng, w, h))]
        if rng.below(2) == 0:
            rings.append(close(rng, star_in(rng, w, h)))
        polygons.append(rings)
    return polygons


def sliver(rng, w, h):
    (x0, y0), (x1, y1) = scatter(rng, 2, w, h)
    dx = rng.span(-1.0, 1.0) * rng.of(THICKNESS)
    dy = rng.span(-1.0, 1.0) * rng.of(THICKNESS)
    return [[close(rng, [(x0, y0), (x1, y1), (x1 + dx, y1 + dy), (x0 + dx, y0 + dy)])]]


def self_crossing(rng, w, h):
    n = 4 + rng.below(11)
    return [[close(rng, scatter(rng, n, w, h))]]


def duplicates(rng, w, h):
    points = []
    for point in star_in(rng, w, h):
        points.extend([point] * (1 + rng.below(3)))
    return [[close(rng, points)]]


def huge(rng, w, h):
    points = []
    for _ in range(3 + rng.below(6)):
        x = rng.span(-1.0, 1.0) * w * rng.of(FAR)
        y = rng.span(-1.0, 1.0) * h * rng.of(FAR)
        points.append((x, y))
    return [[close(rng, points)]]


def tiny(rng, w, h):
    cx = rng.span(0.0, w)
    cy = rng.span(0.0, h)
    r = rng.of(RADII)
    return [[close(rng, star(rng, cx, cy, 0.1 * r, r))]]


def integers(rng, w, h):
    return [[close(rng, grid(rng, w, h, 1.0))]]


def halves(rng, w, h):
    return [[close(rng, grid(rng, w, h, 0.5))]]


def quarters(rng, w, h):
    return [[close(rng, grid(rng, w, h, 0.25))]]


def spikes(rng, w, h):
    points = []
    for point in star_in(rng, w, h):
        points.append(point)
        if rng.below(3) == 0:
            points.extend(scatter(rng, 1, w, h))
            points.append(point)
    return [[close(rng, points)]]


def comb(rng, w, h):
    teeth = 3 + rng.below(10)
    step = rng.of([0.0, 0.5, 1.0])
    left = rng.span(-2.0, 0.5 * w)
    pitch = rng.span(0.3, 2.0 * w / teeth)
    back = rng.span(-2.0, 0.5 * h)
    points = []
    for i in range(teeth):
        x = left + pitch * i
        a = back + rng.span(0.5, h)
        b = back + rng.span(0.1, 1.0)
        points.append((x, a))
        points.append((x + 0.5 * pitch, b))
    points.append((left + pitch * teeth, back))
    points.append((left, back))
    if step > 0.0:
        points = [(math.floor(x / step) * step, math.floor(y / step) * step) for x, y in points]
    if rng.below(2) == 0:
        points = [(y, x) for x, y in points]
    return [[close(rng, points)]]


def rectangles(rng, w, h):
    step = rng.of([0.0, 0.25, 0.5, 1.0])
    rings = []
    for _ in range(1 + rng.below(3)):
        rings.append(close(rng, rectangle(rng, w, h, step)))
    return [rings]


def nudged(rng, w, h):
    points = []
    for x, y in grid(rng, w, h, 0.5):
        points.append((x + rng.of(NUDGES), y + rng.of(NUDGES)))
    return [[close(rng, points)]]


def overlapping_rings(rng, w, h):
    n = 4 + rng.below(4)
    rings = [close(rng, scatter(rng, n, w, h))]
    for _ in range(1 + rng.below(2)):
        if rng.below(3) == 0:
            rings.append(close(rng, rings[0][:-1]))
        else:
            rings.append(close(rng, scatter(rng, 4, w, h)))
    return [rings]


def window_edges(rng, w, h):
    points = []
    for _ in range(3 + rng.below(6)):
        x = rng.of([-1.0, -0.5, 0.0, 0.5, w - 0.5, w, w + 0.5, w + 1.0, 0.5 * w, rng.span(-1.0, w + 1.0)])
        y = rng.of([-1.0, -0.5, 0.0, 0.5, h - 0.5, h, h + 0.5, h + 1.0, 0.5 * h, rng.span(-1.0, h + 1.0)])
        points.append((x + rng.of(NUDGES), y + rng.of(NUDGES)))
    return [[close(rng, points)]]


def stairs(rng, w, h):
    x = rng.span(-1.0, w + 1.0)
    y = rng.span(-1.0, h + 1.0)
    points = []
    for i in range(4 + rng.below(10)):
        points.append((x, y))
        if i % 2 == 0:
            x = rng.span(-1.0, w + 1.0)
            y = y + rng.of(NUDGES)
        else:
            y = rng.span(-1.0, h + 1.0)
            x = x + rng.of(NUDGES)
    return [[close(rng, points)]]


def degenerate(rng, w, h):
    (x0, y0), (x1, y1) = scatter(rng, 2, w, h)
    kind = rng.below(4)
    if kind == 0:
        y1 = y0
    elif kind == 1:
        y0 = math.floor(y0) + 0.5
        y1 = y0
    elif kind == 2:
        x0 = math.floor(x0)
        x1 = x0
    points = [(x0, y0)]
    for _ in range(2 + rng.below(4)):
        t = rng.of([0.0, 0.25, 0.5, 1.0, rng.span(0.0, 1.0)])
        points.append((x0 + (x1 - x0) * t, y0 + (y1 - y0) * t))
    return [[close(rng, points)]]


def crooked(rng, w, h):
    """Self-crossing stairs whose edges lie on centre lines, so that the ring's direction shows; some corners double."""
    corners = []
    for _ in range(3 + rng.below(4)):
        x = math.floor(rng.span(-1.0, w + 1.0))
        y = math.floor(rng.span(-1.0, h + 1.0)) + 0.5
        corners.append((x + 0.0, y))
    points = []
    for i, (x, y) in enumerate(corners):
        for corner in [(x, y), (corners[(i + 1) % len(corners)][0], y)]:
            points.append(corner)
            if rng.below(3) == 0:
                dx = rng.of(CLOSE_BY)
                dy = rng.of(CLOSE_BY)
                points.append((corner[0] + dx, corner[1] + dy))
    return [[close(rng, points)]]


CLASSES = [
    triangle, stars, holes, multipolygon, sliver, self_crossing, duplicates, huge, tiny, integers, halves, quarters,
    spikes, comb, rectangles, nudged, overlapping_rings, window_edges, stairs, degenerate,
    crooked,
]  # fmt: skip


def identity(rng):
    return [0.0, 1.0, 0.0, 0.0, 0.0, 1.0]


def utm(rng):
    x = 300000.0 + 10.0 * rng.below(50000)
    y = 4000000.0 + 10.0 * rng.below(200000)
    return [x, 10.0, 0.0, y, 0.0, -10.0]


def geographic(rng):
    size = rng.of([0.0002777777777777778, 0.25, 1e-5])
    x = rng.span(-180.0, 180.0)
    y = rng.span(-80.0, 80.0)
    return [x, size, 0.0, y, 0.0, -size]


def south_up(rng):
    x = rng.span(-1e6, 1e6)
    y = rng.span(-1e6, 1e6)
    return [x, 30.0, 0.0, y, 0.0, 30.0]


def rotated(rng):
    x = rng.span(300000.0, 800000.0)
    y = rng.span(0.0, 9e6)
    return [x, 9.6, 2.8, y, 2.8, -9.6]


def mirrored(rng):
    x = rng.span(-1e3, 1e3)
    y = rng.span(-1e3, 1e3)
    return [x, -0.6, 0.0, y, 0.0, -1.1]


TRANSFORMS = [identity, utm, geographic, south_up, rotated, mirrored]


def case(seed, number):
    """The class, window, geotransform and polygons (world coordinates) of a case."""
    make = CLASSES[number % len(CLASSES)]
    rng = Rng(seed ^ ((number * 0xD1342543DE82EF95) & M64))
    w = 8 + rng.below(57)
    h = 8 + rng.below(57)
    gt = TRANSFORMS[number // len(CLASSES) % len(TRANSFORMS)](rng)
    pixels = make(rng, float(w), float(h))
    world = [
        [[(gt[0] + x * gt[1] + y * gt[2], gt[3] + x * gt[4] + y * gt[5]) for x, y in ring] for ring in polygon]
        for polygon in pixels
    ]
    return make.__name__, w, h, gt, world


def burn(w, h, gt, polygons, all_touched):
    if len(polygons) == 1:
        geometry = {"type": "Polygon", "coordinates": polygons[0]}
    else:
        geometry = {"type": "MultiPolygon", "coordinates": polygons}
    transform = Affine.from_gdal(*gt)
    return geometry_mask([geometry], (h, w), transform, all_touched=all_touched, invert=True)


def strays(w, h, gt, polygons):
    """Where GDAL's all-touched walk burns past the right edge: the (row, column) that it lands on.

    A segment is clipped at x = w first. One that starts there exactly, above the window, and leads right and down is
    left with no length (ye <= y), so it is taken for one that leads up, and `xe -= ye / s` moves its end right of w
    again. The walk then follows the segment outside the window, down to row 0, and burns there if rounding left
    x < xe.
    """
    if gt[2] == 0.0 and gt[4] == 0.0:
        inv = [-gt[0] / gt[1], 1.0 / gt[1], 0.0, -gt[3] / gt[5], 0.0, 1.0 / gt[5]]
    else:
        i = 1.0 / (gt[1] * gt[5] - gt[2] * gt[4])
        inv = [
            (gt[2] * gt[3] - gt[0] * gt[5]) * i, gt[5] * i, -gt[2] * i,
            (-gt[1] * gt[3] + gt[0] * gt[4]) * i, -gt[4] * i, gt[1] * i,
        ]  # fmt: skip
    found = set()
    for ring in (ring for polygon in polygons for ring in polygon):
        pixels = [(inv[0] + x * inv[1] + y * inv[2], inv[3] + x * inv[4] + y * inv[5]) for x, y in ring]
        for (x, y), (xe, ye) in zip(pixels, pixels[1:]):
            if x > xe:
                x, y, xe, ye = xe, ye, x, y
            if (y < 0 and ye < 0) or (y > h and ye > h) or xe < 0 or x > w or abs(x - xe) < 0.01 or abs(y - ye) < 0.01:
                continue
            s = (ye - y) / (xe - x)
            if xe > w:
                ye -= (xe - w) * s
                xe = float(w)
            if x < 0:
                y += (0 - x) * s
                x = 0.0
            if ye > y:
                if y < 0:
                    x += (0 - y) / s
                    y = 0.0
                if ye >= h:
                    xe = min(xe + (ye - h) / s, w)
            else:
                if y >= h:
                    x += (h - y) / s
                    y = float(h)
                if ye < 0:
                    xe -= (ye - 0) / s
            if xe <= w:
                continue
            while 0 <= x < xe:
                col, row = math.floor(x), math.floor(y)
                if col >= w and 0 <= row < h and row + col // w < h:
                    found.add((row + col // w, col % w))
                right = math.floor(x + 1) - x
                if math.floor(y + right * s) == row:
                    x, y = x + right, y + right * s
                    continue
                down = min(row - y, -1e-9) if s < 0 else max(row + 1 - y, 1e-9)
                x, y = x + down / s, y + down
    return sorted(found)


def digest(mask):
    return hashlib.sha256(numpy.packbits(mask).tobytes()).digest()[:8]


def show(seed, number):
    name, w, h, gt, polygons = case(seed, number)
    print(f"case {number}: {name}, {w} x {h}, geotransform {gt}")
    print(json.dumps(polygons))
    centre, touched = (burn(w, h, gt, polygons, mode) for mode in (False, True))
    print("# centre, + touched only")
    for row in range(h):
        print("".join("#" if c else "+" if t else "." for c, t in zip(centre[row], touched[row])))


def make(seed, count):
    hashes, past_edge = [], []
    for number in range(count):
        _, w, h, gt, polygons = case(seed, number)
        hashes.extend(digest(burn(w, h, gt, polygons, mode)) for mode in (False, True))
        past_edge.extend(struct.pack("<QII", number, *stray) for stray in strays(w, h, gt, polygons))
    return b"".join([MAGIC, struct.pack("<QQQ", seed, count, len(past_edge)), *hashes, *past_edge])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--show", type=int, metavar="N")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--out", type=pathlib.Path, default=FILE)
    options = parser.parse_args()
    version = tuple(int(part) for part in rasterio.__version__.split(".")[:2])
    assert version >= (1, 5), f"rasterio {rasterio.__version__} burns other pixels; 1.5 is needed"
    warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
    if options.show is not None:
        show(options.seed, options.show)
        return 0
    made = make(options.seed, options.count)
    burnt_by = f"rasterio {rasterio.__version__}, GDAL {rasterio.__gdal_version__}"
    if options.check:
        kept = options.out.read_bytes()
        if kept != made:
            head = len(MAGIC) + 24
            at = [head + 16 * n for n in range(options.count)]
            wrong = [n for n, a in enumerate(at) if kept[a : a + 16] != made[a : a + 16]]
            print(f"{options.out} is not what {burnt_by} burns; {len(wrong)} cases differ: {wrong[:20]}")
            return 1
        print(f"{options.out}: all {2 * options.count} masks are those of {burnt_by}")
        return 0
    options.out.write_bytes(made)
    print(f"{options.out}: {2 * options.count} masks, {len(made)} bytes, by {burnt_by}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
