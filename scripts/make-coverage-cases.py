#!/usr/bin/env python3
"""Covered fractions of the pixels of small grids, by other programs: testdata/coverage.json.gz.

    make-coverage-cases.py            write the committed file
    make-coverage-cases.py --check    compute again, compare with the committed file, exit 1 on a difference
    --seed S --count N --out F        other polygons, another file (COGCLIP_COVERAGE_CASES=F cargo test --test it coverage)

Of 1,000 valid polygons by exactextract (whose fractions are 32-bit floats), and of 120 invalid or overlapping ones by GEOS:
the symmetric difference of triangles to each edge of a polygon, the union of polygons, its intersection with each pixel.
tests/it/coverage.rs reads the file.

The file is JSON: {"cases": [{"kind", "by", "size": [columns, rows], "transform": GDAL's six numbers, "polygons": of
rings of positions, "covered": {row: [[first column, fractions...], ...]}}]}. Rows and pixels that are left out are 0;
fractions are rounded to 7 digits.
"""

import argparse
import gzip
import json
import math
import pathlib
import random
import sys
import warnings

import numpy
import shapely
from exactextract import exact_extract
from exactextract.raster import NumPyRasterSource
from shapely.geometry import MultiPolygon, Polygon, box

FILE = pathlib.Path(__file__).resolve().parent.parent / "testdata" / "coverage.json.gz"
SEED = 20261123
VALID, OTHER = 1000, 120
# Geotransforms: pixel space, UTM metres, degrees, and pixels of half a unit.
TRANSFORMS = [
    [0.0, 1.0, 0.0, 0.0, 0.0, -1.0],
    [499980.0, 10.0, 0.0, 4600020.0, 0.0, -10.0],
    [-71.25, 0.0125, 0.0, 42.5, 0.0, -0.0125],
    [-8.0, 0.5, 0.0, 3.0, 0.0, -0.5],
]


def star(rng, cx, cy, inner, outer, points, grid=None):
    """A simple ring: its vertices stand around the centre in order of their angle."""
    ring = []
    for k in range(points):
        angle = 2 * math.pi * (k + 0.6 * rng.random()) / points
        radius = rng.uniform(inner, outer)
        x, y = cx + radius * math.cos(angle), cy + radius * math.sin(angle)
        if grid:
            x, y = round(x * grid) / grid, round(y * grid) / grid
        ring.append([round(x, 4), round(y, 4)])
    return ring + ring[:1]


def rectangle(x0, y0, x1, y1):
    return [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]


def candidate(rng, kind):
    """A polygon or several, in pixels: x rightwards, y downwards."""
    w, h = rng.randint(1, 12), rng.randint(1, 10)
    cx, cy = rng.uniform(0, w), rng.uniform(0, h)
    size = rng.choice([0.3, 1.0, 3.0, 6.0])
    if kind == "star":
        return w, h, [[star(rng, cx, cy, size / 3, size, rng.randint(3, 14))]]
    if kind == "star with holes":
        shell = star(rng, cx, cy, 3.2, 6.0, rng.randint(8, 16))
        holes = [star(rng, cx + dx, cy + dy, 0.1, 0.8, rng.randint(3, 6)) for dx in (-0.9, 0.9) for dy in (-0.9, 0.9)]
        return w, h, [[shell] + holes[: rng.randint(1, 4)]]
    if kind == "sliver":
        angle, length, width = rng.uniform(0, math.pi), rng.uniform(0.2, 9.0), rng.choice([0.1, 0.01, 0.001])
        dx, dy = length * math.cos(angle), length * math.sin(angle)
        ring = [[cx - dx, cy - dy], [cx + dx, cy + dy], [cx + dy * width, cy - dx * width]]
        ring = [[round(x, 5), round(y, 5)] for x, y in ring]
        return w, h, [[ring + ring[:1]]]
    if kind == "smaller than a pixel":
        return w, h, [[star(rng, cx, cy, 0.02, 0.2, rng.randint(3, 8))]]
    if kind == "along the grid":
        steps = rng.choice([1, 1, 2, 4])
        x0, y0 = rng.randint(-2, w * steps) / steps, rng.randint(-2, h * steps) / steps
        x1, y1 = x0 + rng.randint(1, 8) / steps, y0 + rng.randint(1, 8) / steps
        # A rectangle with a corner cut out of it.
        mx, my = (x0 + x1) / 2, (y0 + y1) / 2
        ring = [[x0, y0], [x1, y0], [x1, my], [mx, my], [mx, y1], [x0, y1], [x0, y0]]
        return w, h, [[ring if rng.random() < 0.6 else rectangle(x0, y0, x1, y1)]]
    if kind == "corners of pixels":
        return w, h, [[star(rng, round(cx), round(cy), 1.0, 6.0, rng.randint(3, 9), grid=rng.choice([1, 2]))]]
    if kind == "parts":
        first = star(rng, -0.2, cy, 0.5, 3.0, rng.randint(3, 9))
        return w, h, [[first], [star(rng, 6.4, cy, 0.5, 3.0, rng.randint(3, 9))]]
    if kind == "around everything":
        return w, h, [[star(rng, cx, cy, 20.0, 2000.0, rng.randint(5, 20))]]
    # Not valid, or overlapping.
    if kind == "crossing itself":
        n = rng.randint(4, 9)
        ring = [[round(rng.uniform(-1, w + 1), 3), round(rng.uniform(-1, h + 1), 3)] for _ in range(n)]
        return w, h, [[ring + ring[:1]]]
    if kind == "crossing rings":
        return w, h, [[star(rng, cx + d, cy, 1.0, 3.0, 7) for d in (0.0, 1.0, rng.uniform(-2, 2))]]
    if kind == "overlapping":
        return w, h, [[star(rng, rng.uniform(0, w), rng.uniform(0, h), 0.5, 3.0, 6)] for _ in range(rng.randint(2, 6))]
    if kind == "overlapping on a grid":
        grid = rng.choice([1, 2])
        ring = [[rng.randint(-1, w * grid + 1) / grid, rng.randint(-1, h * grid + 1) / grid] for _ in range(7)]
        return w, h, [[ring + ring[:1]], [star(rng, round(cx), round(cy), 1.0, 4.0, 7, grid=grid)]]
    raise ValueError(kind)


VALID_KINDS = [
    "star", "star with holes", "sliver", "smaller than a pixel", "along the grid", "corners of pixels", "parts",
    "around everything",
]  # fmt: skip
OTHER_KINDS = ["crossing itself", "crossing rings", "overlapping", "overlapping on a grid"]


def to_world(transform, polygons):
    digits = 9 if transform[1] < 1 else 6
    x = lambda p: round(transform[0] + p[0] * transform[1], digits)
    y = lambda p: round(transform[3] + p[1] * transform[5], digits)
    return [[[[x(p), y(p)] for p in ring] for ring in rings] for rings in polygons]


def by_exactextract(transform, w, h, polygons):
    geometry = MultiPolygon([Polygon(rings[0], rings[1:]) for rings in polygons])
    xmin, ymax = transform[0], transform[3]
    xmax, ymin = xmin + w * transform[1], ymax + h * transform[5]
    raster = NumPyRasterSource(numpy.ones((h, w)), xmin, ymin, xmax, ymax)
    feature = {"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(geometry)}
    found = exact_extract(raster, [feature], ["cell_id", "coverage"])[0]["properties"]
    covered = numpy.zeros(w * h)
    covered[numpy.asarray(found["cell_id"], dtype=int)] = found["coverage"]
    return covered.reshape(h, w)


def even_odd(rings):
    """A point is inside when an odd number of the triangles from one corner to each edge holds it. (GEOS's make_valid is
    not the even-odd rule where edges overlap.)"""
    area = Polygon()
    for ring in rings:
        for a, b in zip(ring, ring[1:]):
            triangle = Polygon([rings[0][0], a, b])
            if triangle.area > 0:
                area = shapely.symmetric_difference(area, triangle)
    return area


def by_geos(w, h, polygons):
    """In pixels, where intersections are rounded least."""
    union = shapely.union_all([even_odd(rings) for rings in polygons])
    pixel = lambda row, col: shapely.intersection(union, box(col, row, col + 1, row + 1)).area
    return numpy.array([[pixel(row, col) for col in range(w)] for row in range(h)])


def runs(covered):
    rows = {}
    for number, row in enumerate(covered.tolist()):
        found, last = [], None
        for col, fraction in enumerate(row):
            fraction = round(fraction, 7)
            if fraction == 0:
                continue
            if last != col - 1:
                found.append([col])
            found[-1].append(int(fraction) if fraction == 1 else fraction)
            last = col
        if found:
            rows[str(number)] = found
    return rows


def make(seed, count):
    rng = random.Random(seed)
    cases = []
    while len(cases) < count:
        kind = VALID_KINDS[len(cases) % len(VALID_KINDS)]
        w, h, pixels = candidate(rng, kind)
        transform = TRANSFORMS[rng.randrange(len(TRANSFORMS))]
        polygons = to_world(transform, pixels)
        if not MultiPolygon([Polygon(rings[0], rings[1:]) for rings in polygons]).is_valid:
            continue
        covered = by_exactextract(transform, w, h, polygons)
        if not covered.any():
            continue
        cases.append(case(kind, "exactextract", w, h, transform, polygons, covered))
    while len(cases) < count + count * OTHER // VALID:
        kind = OTHER_KINDS[len(cases) % len(OTHER_KINDS)]
        w, h, pixels = candidate(rng, kind)
        covered = by_geos(w, h, pixels)
        if covered.any():
            transform = [0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
            cases.append(case(kind, "GEOS", w, h, transform, pixels, covered))
    return {"cases": cases}


def case(kind, by, w, h, transform, polygons, covered):
    return {
        "kind": kind,
        "by": by,
        "size": [w, h],
        "transform": transform,
        "polygons": polygons,
        "covered": runs(covered),
    }


def unpacked(case):
    covered = numpy.zeros(case["size"][::-1])
    for row, found in case["covered"].items():
        for first, *fractions in found:
            covered[int(row), first : first + len(fractions)] = fractions
    return covered


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--count", type=int, default=VALID)
    parser.add_argument("--out", type=pathlib.Path, default=FILE)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    made = make(arguments.seed, arguments.count)
    if not arguments.check:
        text = json.dumps(made, separators=(",", ":")).encode()
        arguments.out.write_bytes(gzip.compress(text, 9, mtime=0))
        print(f"{arguments.out.name}: {len(made['cases'])} cases, {arguments.out.stat().st_size} bytes")
        return 0
    committed = json.loads(gzip.decompress(arguments.out.read_bytes()))["cases"]
    worst = 0.0
    if len(committed) != len(made["cases"]):
        print(f"{len(committed)} cases are committed, {len(made['cases'])} were made")
        return 1
    for number, (old, new) in enumerate(zip(committed, made["cases"])):
        if {**old, "covered": 0} != {**new, "covered": 0}:
            print(f"case {number} is another polygon than the committed one")
            return 1
        worst = max(worst, numpy.abs(unpacked(old) - unpacked(new)).max())
    print(f"{len(committed)} cases; the largest difference to what is committed is {worst:.1e}")
    return int(worst > 3e-7)


if __name__ == "__main__":
    sys.exit(main())
