#!/usr/bin/env python3
"""Random polygons on a coarse grid, and whether GEOS finds them valid: testdata/validity.json.gz.

    make-validity-cases.py            write the committed file
    make-validity-cases.py --check    ask GEOS again, exit 1 when it says otherwise than the committed file
    --seed S --times N --out F        other polygons, N times as many, another file
                                      (COGCLIP_VALIDITY_CASES=F cargo test --test it invalid)

On a grid of few points rings touch, overlap and share vertices all the time, which random decimals never do. No vertex
stands twice in a row and all rings are closed: there repair is stricter than GEOS, or GEOS cannot be asked.
tests/it/invalid_geometries.rs reads the file.
"""

import argparse
import gzip
import json
import pathlib
import random
import sys

import shapely
from shapely.geometry import Polygon

FILE = pathlib.Path(__file__).resolve().parent.parent / "testdata" / "validity.json.gz"
SEED = 20261123
VALID, INVALID = 1200, 2400


def ring(rng, low, high, most):
    points = []
    for _ in range(rng.randint(3, most)):
        point = [rng.randint(low, high), rng.randint(low, high)]
        if point not in points[-1:]:
            points.append(point)
    while points and points[0] == points[-1]:
        points.pop()
    return points + points[:1]


def candidate(rng):
    kind = rng.randrange(4)
    if kind == 0:
        return [ring(rng, 0, 4, 8)]
    if kind == 1:
        return [ring(rng, 0, 5, 6), ring(rng, 0, 5, 4)]
    # Holes in a square that they can touch, and in each other.
    shell = [[0, 0], [6, 0], [6, 6], [0, 6], [0, 0]]
    if kind == 2:
        shell = [[0, 0], [3, 0], [6, 0], [6, 6], [3, 3], [0, 6], [0, 0]]
    return [shell] + [ring(rng, 0, 6, 4) for _ in range(rng.randint(1, 4))]


def make(seed, times):
    rng = random.Random(seed)
    cases, left = [], {True: VALID * times, False: INVALID * times}
    seen = set()
    while any(left.values()):
        rings = candidate(rng)
        if any(len({tuple(p) for p in r}) < 3 for r in rings) or str(rings) in seen:
            continue
        seen.add(str(rings))
        polygon = Polygon(rings[0], rings[1:])
        reason = shapely.is_valid_reason(polygon).split("[")[0]
        if left[polygon.is_valid]:
            left[polygon.is_valid] -= 1
            cases.append({"rings": rings, "valid": polygon.is_valid, "reason": reason})
    return cases


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--out", type=pathlib.Path, default=FILE)
    arguments = parser.parse_args()
    cases, out = make(arguments.seed, arguments.times), arguments.out
    if arguments.check:
        same = json.loads(gzip.decompress(out.read_bytes())) == cases
        print(f"{len(cases)} polygons: GEOS {shapely.geos_version_string} says {'the same' if same else 'otherwise'}")
        return int(not same)
    out.write_bytes(gzip.compress(json.dumps(cases, separators=(",", ":")).encode(), 9, mtime=0))
    reasons = {}
    for case in cases:
        reasons[case["reason"]] = reasons.get(case["reason"], 0) + 1
    print(f"{out.name}: {out.stat().st_size} bytes, {reasons}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
