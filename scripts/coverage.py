#!/usr/bin/env python3
"""Clips rasters with --coverage-band and --min-coverage and compares with exactextract.

    scripts/coverage.py --bin target/release/cogclip [--polygons 1000]

Each polygon is cut out of rasters of several types; the coverage band of the float raster must be exactextract's fraction to
1e-6, that of the others to half a step of their scale, and with --min-coverage F exactly the pixels whose fraction is at least
F are kept (those within 1e-6 of it may fall either way). Prints `N passed, N failed`; exit code 1 if any failed.
"""

import argparse
import json
import math
import os
import random
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.update(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", AWS_EC2_METADATA_DISABLED="true")
import numpy as np
import rasterio
from affine import Affine
from exactextract import exact_extract

SIZE = 60
# exactextract's own fractions are 32-bit floats.
TOLERANCE = 1e-6
# Type, nodata, what a whole pixel is in its coverage band.
TYPES = [("float32", -9999.0, 1), ("uint8", 0, 250), ("int16", -9999, 10000), ("uint16", 10000, 10000), ("int8", None, 100), ("float64", None, 1)]


def make(folder):
    rng = np.random.default_rng(1)
    paths = []
    for dtype, nodata, unit in TYPES:
        path = folder / f"{dtype}.tif"
        profile = dict(driver="GTiff", width=SIZE, height=SIZE, count=2, dtype=dtype, crs="EPSG:32633", nodata=nodata)
        with rasterio.open(path, "w", transform=Affine(10, 0, 500000, 0, -10, 5000600), **profile) as out:
            out.write(rng.integers(1, 99, (2, SIZE, SIZE)).astype(dtype))
        paths.append((path, dtype, nodata, unit))
    return paths


def star(rng, x, y, radius, points):
    ring = [[x + radius * r * math.cos(a), y + radius * r * math.sin(a)] for k in range(points) for a, r in [(2 * math.pi * k / points, rng.uniform(0.3, 1))]]
    return ring + [ring[0]]


def polygon(rng, n):
    x, y = 500000 + rng.uniform(50, 550), 5000000 + rng.uniform(50, 550)
    if n % 4 == 0:  # on the pixels' edges
        x0, y0 = 500000 + 10 * rng.randint(0, 50), 5000000 + 10 * rng.randint(0, 50)
        x1, y1 = x0 + 5 * rng.randint(1, 15), y0 + 5 * rng.randint(1, 15)
        return [[[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]]
    radius = rng.choice([3, 8, 40, 200])
    rings = [star(rng, x, y, radius, rng.randint(3, 12))]
    if n % 3 == 0:
        # Within the star's least radius, so that the polygon is valid.
        rings.append(star(rng, x, y, radius * 0.12, 5))
    return rings


def fractions(source, geometry):
    """exactextract's fraction of every pixel of the raster."""
    feature = {"type": "Feature", "properties": {}, "geometry": geometry}
    found = exact_extract(str(source), [feature], ["cell_id", "coverage"])[0]["properties"]
    out = np.zeros(SIZE * SIZE)
    cells = found.get("band_1_cell_id", found.get("cell_id"))
    shares = found.get("band_1_coverage", found.get("coverage"))
    out[np.asarray(cells, dtype=int)] = shares
    return out.reshape(SIZE, SIZE)


def check(args, rasters, folder, n):
    rng = random.Random(n)
    geometry = {"type": "Polygon", "coordinates": polygon(rng, n)}
    cutline = folder / f"{n}.geojson"
    cutline.write_text(json.dumps(geometry))
    expected = fractions(rasters[0][0], geometry)
    path, dtype, nodata, unit = rasters[0] if n % 2 else rasters[n // 2 % len(rasters)]
    least = rng.choice([0.001, 0.25, 0.5, 0.9, 1.0])
    out = folder / f"{n}.tif"
    command = [args.bin, "clip", path, out, "--cutline", cutline, "--cutline-crs", "source", "--coverage-band", "--min-coverage", least, "--no-crop", "-q", "--overwrite"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        return f"{n}: exit code {done.returncode}: {done.stderr.strip()}"
    with rasterio.open(out) as raster:
        kept = raster.dataset_mask() > 0 if nodata is not None or "int8" not in dtype else raster.read_masks(1) > 0
        band = raster.read(3).astype(float)
        scale = raster.scales[2]
        if raster.descriptions[2] != "coverage" or not math.isclose(scale, 1 / unit):
            return f"{n}: band {raster.descriptions[2]}, scale {scale}"
    doubtful = abs(expected - least) < TOLERANCE
    if ((kept != (expected >= least)) & ~doubtful & (expected > 0)).any() or kept[expected == 0].any():
        return f"{n}: {dtype}, least {least}: {int((kept != (expected >= least)).sum())} pixels kept or masked wrongly"
    # Half a step; a share that would be the nodata value is a step beside it.
    allowed = TOLERANCE if unit == 1 else 0.5 / unit + TOLERANCE
    off = abs(band * scale - expected)[kept]
    if nodata is not None and unit > 1:
        off = off[abs(expected[kept] * unit - nodata) > 1]
    if off.size and off.max() > allowed:
        return f"{n}: {dtype}: a fraction is {off.max()} off"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--polygons", type=int, default=1000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        rasters = make(folder)
        with ThreadPoolExecutor(2) as pool:
            results = list(pool.map(lambda n: check(args, rasters, folder, n), range(args.polygons)))
    wrong = [result for result in results if result]
    for line in wrong[:40]:
        print(line)
    print(f"{len(results) - len(wrong)} passed, {len(wrong)} failed")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
