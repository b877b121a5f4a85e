#!/usr/bin/env python3
"""Splits one scene into many clips and counts, at the server, what that fetched.

    scripts/split.py --bin target/release/cogclip [--features 10000] [--sample 300] [--keep DIR]

A scene of GDAL's is served on loopback by a server that writes down every range. `cogclip clip --split` cuts thousands of
fields out of it in one run; they overlap each other and the borders of tiles, and some are large. Then:
- the bytes served are at most 1.1 times those of one clip by the union of the fields, and no byte is served twice;
- progress was reported while it ran;
- there is one output a field, named by it, and a sample of them equals rasterio.mask.mask to the last sample and coordinate.

Prints the figures, then `N passed, N failed`; exit code 1 if any failed.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

os.environ.update(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", AWS_EC2_METADATA_DISABLED="true")
import numpy as np
import rasterio
import rasterio.mask
import rasterio.shutil
from affine import Affine
from rasterio.io import MemoryFile

SIZE, PIXEL, WEST, NORTH, CRS = 4096, 10.0, 300000.0, 5300000.0, "EPSG:32633"
# Bytes of a split against those of one clip by the union.
MOST = 1.1


def make_scene(path):
    rng = np.random.default_rng(7)
    # Smooth with noise, so that it compresses as real scenes do; 0 is nodata.
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    data = (1000 + 400 * np.sin(x / 90) + 300 * np.cos(y / 70) + rng.integers(0, 200, (SIZE, SIZE))).astype("uint16")
    data[1000:1100, 2000:2300] = 0
    profile = dict(driver="GTiff", width=SIZE, height=SIZE, count=1, dtype="uint16", crs=CRS, nodata=0)
    with MemoryFile() as memory:
        with memory.open(**profile, transform=Affine(PIXEL, 0, WEST, 0, -PIXEL, NORTH)) as out:
            out.write(data, 1)
        rasterio.shutil.copy(memory.name, path, driver="COG", blocksize=256, compress="deflate", predictor="yes")


def star(rng, x, y, radius, points):
    import math

    ring = []
    for k in range(points):
        angle, r = 2 * math.pi * k / points, radius * rng.uniform(0.5, 1.0)
        ring.append([x + r * math.cos(angle), y + r * math.sin(angle)])
    return ring + [ring[0]]


def make_fields(count):
    rng = random.Random(11)
    side = SIZE * PIXEL
    features = []
    for n in range(count):
        # One in 500 is large; the others have 2 to 30 pixels.
        radius = rng.uniform(2000, 6000) if n % 500 == 0 else rng.uniform(10, 150)
        x = WEST + rng.uniform(radius, side - radius)
        y = NORTH - rng.uniform(radius, side - radius)
        rings = [star(rng, x, y, radius, rng.randint(4, 20))]
        if n % 7 == 0:
            rings.append(star(rng, x, y, radius * 0.3, 5))
        features.append({"type": "Feature", "properties": {"name": f"field {n}", "block": n % 13}, "geometry": {"type": "Polygon", "coordinates": rings}})
    return {"type": "FeatureCollection", "crs": {"type": "name", "properties": {"name": f"urn:ogc:def:crs:{CRS.replace(':', '::')}"}}, "features": features}


class Server:
    """Serves one file by ranges, on loopback, and remembers which."""

    def __init__(self, path):
        data = Path(path).read_bytes()
        served = self.served = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                first, last = self.headers["Range"].removeprefix("bytes=").split("-")
                start, end = int(first), min(int(last) + 1, len(data))
                served.append((start, end))
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
                self.send_header("Content-Length", str(end - start))
                self.send_header("ETag", '"1"')
                self.end_headers()
                self.wfile.write(data[start:end])

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/scene.tif"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self):
        served, self.served[:] = list(self.served), []
        return served


def run(command):
    start = time.monotonic()
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=1200)
    if done.returncode:
        sys.exit(f"exit code {done.returncode}: {done.stderr[-2000:]}")
    return json.loads(done.stdout), done.stderr, time.monotonic() - start


def equal(scene, feature, path):
    """What differs between an output and rasterio.mask.mask, or None."""
    with rasterio.open(scene) as src, rasterio.open(path) as out:
        expected, transform = rasterio.mask.mask(src, [feature["geometry"]], crop=True)
        if out.shape != expected.shape[1:] or not np.allclose(tuple(out.transform), tuple(transform), rtol=0, atol=1e-6):
            return f"grid {out.shape} {tuple(out.transform)} instead of {expected.shape[1:]} {tuple(transform)}"
        if not np.array_equal(out.read(), expected):
            return f"{(out.read() != expected).sum()} samples differ"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--features", type=int, default=10000)
    parser.add_argument("--sample", type=int, default=300)
    parser.add_argument("--keep")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(args.keep or scratch)
        folder.mkdir(parents=True, exist_ok=True)
        scene, cutline = folder / "scene.tif", folder / "fields.geojson"
        make_scene(scene)
        fields = make_fields(args.features)
        cutline.write_text(json.dumps(fields))
        server = Server(scene)
        checks = []
        union, _, seconds = run([args.bin, "clip", server.url, folder / "union.tif", "--cutline", cutline, "--json", "--overwrite"])
        union_bytes = sum(end - start for start, end in server.take())
        print(f"union: {union_bytes} bytes, {seconds:.1f} s")
        report, progress, seconds = run(
            [args.bin, "clip", server.url, folder / "out/{name}-{fid}.tif", "--cutline", cutline, "--split", "--json", "--overwrite"]
        )
        served = server.take()
        split_bytes = sum(end - start for start, end in served)
        print(f"split: {split_bytes} bytes in {len(served)} requests, {seconds:.1f} s, {split_bytes / union_bytes:.3f} of the union's bytes")
        checks.append(("bytes", split_bytes <= MOST * union_bytes))
        ranges = sorted(served)
        checks.append(("no byte twice", all(a[1] <= b[0] for a, b in zip(ranges, ranges[1:]))))
        checks.append(("the report counts as the server does", report["bytes"] == split_bytes))
        lines = [line for line in progress.splitlines() if line.startswith("output: ")]
        print(f"progress: {len(lines)} lines, such as `{lines[len(lines) // 2] if lines else ''}`")
        checks.append(("progress", len(lines) >= 10 and f"{args.features} done" in lines[-1]))
        outputs = list((folder / "out").iterdir())
        checks.append(("one output a field", len(outputs) == args.features == len(report["outputs"])))
        chosen = random.Random(3).sample(range(args.features), min(args.sample, args.features)) + list(range(0, args.features, 500))
        wrong = 0
        for n in chosen:
            difference = equal(scene, fields["features"][n], folder / f"out/field_{n}-{n}.tif")
            if difference:
                wrong += 1
                print(f"field {n}: {difference}")
        print(f"{len(chosen)} outputs compared with rasterio.mask, {wrong} differ")
        checks.append(("equal to rasterio.mask", wrong == 0))
    for name, passed in checks:
        if not passed:
            print(f"FAILED: {name}")
    failed = sum(not passed for _, passed in checks)
    print(f"{len(checks) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
