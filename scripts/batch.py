#!/usr/bin/env python3
"""Thousands of clips from a manifest: killed and resumed, each output right and written once; items of one scene share its tiles.

    scripts/batch.py --bin target/release/cogclip [--items 10000] [--scenes 50]

A small S3 server on loopback, of this script's own, holds the scenes, takes the outputs and counts what it is asked for: signatures
are not looked at, conditions and ranges are. The truth of pixels is rasterio.mask's.
"""

import argparse
import hashlib
import json
import os
import random
import re
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from urllib.parse import unquote, urlsplit

import geopandas
import numpy as np
import rasterio
import rasterio.mask
from rasterio.io import MemoryFile
from shapely import affinity
from shapely.geometry import Point, Polygon, mapping

# What a run over small scenes may hold, MiB: half of its default of 512 for all jobs.
MOST_MIB = 256
# Bytes beside those of one clip by all polygons together.
MOST_BYTES = 1.1


class Bucket:
    """Objects by path, how often each was written, and what was read."""

    def __init__(self):
        self.lock, self.objects, self.writes, self.read_bytes, self.reads = threading.Lock(), {}, Counter(), 0, 0

    def put(self, path, body, headers):
        with self.lock:
            if headers.get("if-none-match") == "*" and path in self.objects:
                return False
            self.objects[path] = (body, headers)
            self.writes[path] += 1
            return True

    def read(self, size):
        with self.lock:
            self.reads += 1
            self.read_bytes += size


class Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    timeout = 60

    def handle(self):
        try:
            while self.one():
                pass
        except (ConnectionError, TimeoutError):
            pass

    def one(self):
        words = self.rfile.readline().decode("latin1").split()
        if len(words) != 3:
            return False
        method, path = words[0], unquote(urlsplit(words[1]).path)
        headers = {}
        while line := self.rfile.readline().strip():
            name, _, value = line.decode("latin1").partition(":")
            headers[name.lower()] = value.strip()
        wanted = int(headers.get("content-length", 0))
        body = self.rfile.read(wanted)
        if len(body) < wanted:
            return False  # The client was killed: nothing is written.
        bucket = self.server.bucket
        if method == "PUT":
            etag = f'"{hashlib.md5(body).hexdigest()}"'
            if not bucket.put(path, body, headers):
                return self.answer("412 Precondition Failed", b"<Error><Code>PreconditionFailed</Code></Error>")
            return self.answer("200 OK", b"", [f"ETag: {etag}"])
        if path not in bucket.objects:
            return self.answer("404 Not Found", b"" if method == "HEAD" else b"<Error><Code>NoSuchKey</Code></Error>")
        body, stored = bucket.objects[path]
        fields = [f'ETag: "{hashlib.md5(body).hexdigest()}"', "Accept-Ranges: bytes"]
        fields += [f"{name}: {value}" for name, value in stored.items() if name.startswith("x-amz-meta-")]
        if method == "HEAD":
            return self.answer("200 OK", b"", fields, len(body))
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", headers.get("range", ""))
        if not found:
            bucket.read(len(body))
            return self.answer("200 OK", body, fields)
        start, end = int(found[1]), min(int(found[2]) + 1, len(body))
        bucket.read(end - start)
        fields.append(f"Content-Range: bytes {start}-{end - 1}/{len(body)}")
        return self.answer("206 Partial Content", body[start:end], fields)

    def answer(self, status, body, fields=(), length=None):
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *fields, "", ""]
        self.wfile.write("\r\n".join(lines).encode() + body)
        return True


class Server(socketserver.ThreadingTCPServer):
    daemon_threads, allow_reuse_address, request_queue_size = True, True, 128

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Connection)
        self.bucket = Bucket()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Checks:
    def __init__(self):
        self.passed, self.failed = 0, 0

    def that(self, holds, what):
        self.passed, self.failed = self.passed + bool(holds), self.failed + (not holds)
        if not holds:
            print("FAIL", what, flush=True)


def scene(seed, side=1024, block=256):
    """A COG-like raster of noise with a trend, its profile and samples."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:side, 0:side]
    data = (rows // 3 + columns // 5 + rng.integers(0, 64, (side, side))).astype(np.uint16) + 1
    profile = {
        "driver": "GTiff", "width": side, "height": side, "count": 1, "dtype": "uint16", "crs": "EPSG:32633",
        "transform": rasterio.Affine(10, 0, 500000, 0, -10, 5400000), "tiled": True, "blockxsize": block,
        "blockysize": block, "compress": "deflate", "predictor": 2, "nodata": 0,
    }  # fmt: skip
    with MemoryFile() as file:
        with file.open(**profile) as out:
            out.write(data, 1)
        return bytes(file.read())


def polygons(count, side, seed, least=20, most=120):
    """Blobs of a few dozen pixels, in the scene's coordinates."""
    rng = random.Random(seed)
    out = []
    for _ in range(count):
        angles = sorted(rng.uniform(0, 2 * np.pi) for _ in range(rng.randint(5, 12)))
        radius = rng.uniform(least, most)
        x, y = rng.uniform(most, side - most), rng.uniform(most, side - most)
        ring = [(x + radius * rng.uniform(0.5, 1) * np.cos(a), y + radius * rng.uniform(0.5, 1) * np.sin(a)) for a in angles]
        blob = Polygon(ring) if Polygon(ring).is_valid else Point(x, y).buffer(radius)
        out.append(affinity.affine_transform(blob, [10, 0, 0, -10, 500000, 5400000]))
    return out


def environment(port):
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "TMPDIR")}
    return kept | {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_EC2_METADATA_DISABLED": "true",
    }  # fmt: skip


class Watched:
    """A process, and the most memory that it has held, MiB. (Its resource usage would count this script's memory, from which it
    was forked.)"""

    def __init__(self, command, **more):
        self.peak, self.process = 0, subprocess.Popen(command, **more)
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def watch(self):
        while self.process.poll() is None:
            try:
                text = Path(f"/proc/{self.process.pid}/status").read_text()
            except OSError:
                return
            held = re.search(r"VmHWM:\s+(\d+) kB", text)
            self.peak = max(self.peak, int(held[1]) / 1024 if held else 0)
            time.sleep(0.02)

    def end(self):
        code = self.process.wait()
        self.thread.join()
        return code


def lines_of(path):
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines() if line], text


def killed_and_resumed(args, scratch, checks):
    server = Server()
    bucket, port = server.bucket, server.server_address[1]
    shapes = polygons(args.items // args.scenes, 1024, 7)
    body = scene(1)
    for number in range(args.scenes):
        bucket.put(f"/bucket/scenes/{number}.tif", body, {})
    bucket.writes.clear()
    manifest, status = scratch / "manifest.jsonl", scratch / "status.jsonl"
    with open(manifest, "w") as out:
        # Scenes in turn, so that grouping has something to do.
        for item in range(args.items):
            which, shape = item % args.scenes, item // args.scenes % len(shapes)
            row = {
                "src": f"s3://bucket/scenes/{which}.tif", "cutline": mapping(shapes[shape]), "cutline_crs": "EPSG:32633",
                "dst": f"s3://bucket/out/{which}/{item}.tif",
            }  # fmt: skip
            out.write(json.dumps(row) + "\n")
    command = [args.bin, "batch", manifest, "--status", status, "--resume", "-q"]
    rng = random.Random(args.seed)
    started, kills, peaks = time.monotonic(), [], []
    for part in (0.2, 0.45, 0.75):
        threshold = int(args.items * (part + rng.uniform(-0.1, 0.1)))
        run = Watched(command, env=environment(port))
        while run.process.poll() is None and sum(bucket.writes.values()) < threshold:
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.05))
        run.process.kill()
        code = run.end()
        peaks.append(run.peak)
        checks.that(code == -9, f"the run was over before it could be killed, at {sum(bucket.writes.values())} outputs")
        lines, text = lines_of(status)
        checks.that(text.endswith("\n") and all(line["status"] == "done" for line in lines), "the status is whole after a kill")
        kills.append((sum(bucket.writes.values()), len(lines)))
    last = Watched([*command, "--json"], env=environment(port), stdout=subprocess.PIPE)
    summary = json.loads(last.process.stdout.read())
    code = last.end()
    took = time.monotonic() - started
    checks.that(code == 0, f"the last run ends with {code}")
    peak = max(*peaks, last.peak)
    checks.that(min(*peaks, last.peak) > 8, f"the memory of a run was not seen: {peaks}, {last.peak}")
    checks.that(peak <= MOST_MIB, f"the largest run held {peak:.0f} MiB, at most {MOST_MIB}")
    outputs = {path for path in bucket.objects if path.startswith("/bucket/out/")}
    checks.that(len(outputs) == args.items, f"{len(outputs)} outputs of {args.items}")
    twice = [path for path, count in bucket.writes.items() if count != 1]
    checks.that(not twice, f"{len(twice)} outputs were not written once: {twice[:3]}")
    lines, _ = lines_of(status)
    counted = Counter(line["item"] for line in lines)
    checks.that(
        counted == Counter(range(args.items)) and all(line["status"] == "done" for line in lines),
        f"the status has {len(lines)} lines for {len(counted)} items",
    )
    print(
        f"{args.items} items over {args.scenes} scenes, killed at {', '.join(str(written) for written, _ in kills)} outputs "
        f"(recorded {', '.join(str(recorded) for _, recorded in kills)}): {len(outputs)} outputs, {len(twice)} not written once, "
        f"{sum(bool(line.get('found')) for line in lines)} found unrecorded; last run: {summary['done']} done, "
        f"{summary['already']} already; largest peak {peak:.0f} MiB; {took:.0f} s",
        flush=True,
    )
    # Every pixel of every output.
    with MemoryFile(body) as file, file.open() as src:
        truths = [rasterio.mask.mask(src, [shape], crop=True) for shape in shapes]
    wrong = 0
    for item in range(args.items):
        which, shape = item % args.scenes, item // args.scenes % len(shapes)
        with MemoryFile(bucket.objects[f"/bucket/out/{which}/{item}.tif"][0]) as file, file.open() as out:
            pixels, transform = truths[shape]
            wrong += not (out.transform.almost_equals(transform) and np.array_equal(out.read(), pixels))
    checks.that(wrong == 0, f"{wrong} outputs differ from rasterio.mask's")
    # Once more: nothing to do, nothing written.
    again = subprocess.run([*command, "--json"], env=environment(port), stdout=subprocess.PIPE)
    summary = json.loads(again.stdout)
    checks.that(again.returncode == 0 and summary["already"] == args.items, f"a further run: {summary}")
    # What has changed is done again: a source, an output, an item's options.
    bucket.put("/bucket/scenes/0.tif", scene(2), {})
    changed = f"/bucket/out/1/{args.scenes + 1}.tif"
    bucket.objects[changed] = (bucket.objects[changed][0][:-1] + b"x", bucket.objects[changed][1])
    rows = manifest.read_text().splitlines()
    rows[2] = json.dumps(json.loads(rows[2]) | {"pad": 1})
    manifest.write_text("\n".join(rows))
    again = subprocess.run([*command, "--json", "--if-exists", "overwrite"], env=environment(port), stdout=subprocess.PIPE)
    summary = json.loads(again.stdout)
    expected = args.items // args.scenes + 2
    checks.that(again.returncode == 0 and summary["done"] == expected, f"after changes {expected} are to be redone: {summary}")
    server.shutdown()


def grouped(args, scratch, checks):
    server = Server()
    bucket, port = server.bucket, server.server_address[1]
    bucket.put("/bucket/scene.tif", scene(3, 4096, 512), {})
    shapes = polygons(100, 4096, 11, 60, 400)
    parts = scratch / "parts.geojson"
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}}
    features = [{"type": "Feature", "properties": {}, "geometry": mapping(shape)} for shape in shapes]
    parts.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": features}))
    manifest = scratch / "hundred.jsonl"
    with open(manifest, "w") as out:
        for number in range(len(shapes)):
            row = {"src": "s3://bucket/scene.tif", "cutline": str(parts), "fid": number, "dst": str(scratch / f"f{number}.tif")}
            out.write(json.dumps(row) + "\n")

    def run(*command):
        before, began = bucket.read_bytes, time.monotonic()
        done = subprocess.run([args.bin, *map(str, command)], env=environment(port), stdout=subprocess.DEVNULL)
        checks.that(done.returncode == 0, f"{command[0]} ends with {done.returncode}")
        return bucket.read_bytes - before, time.monotonic() - began

    union, _ = run("clip", "-q", "s3://bucket/scene.tif", scratch / "union.tif", "--cutline", parts)
    batch, batch_time = run("batch", "-q", manifest)
    apart = [
        run("clip", "-q", "s3://bucket/scene.tif", scratch / f"g{number}.tif", "--cutline", parts, "--fid", number)
        for number in range(len(shapes))
    ]
    checks.that(batch <= MOST_BYTES * union, f"100 items fetch {batch} bytes, one clip by their union {union}")
    for number in range(len(shapes)):
        with rasterio.open(scratch / f"f{number}.tif") as one, rasterio.open(scratch / f"g{number}.tif") as other:
            checks.that(np.array_equal(one.read(), other.read()), f"item {number} is not what a clip of its own is")
    print(
        f"100 polygons of one scene: {batch} bytes as items, {union} as one clip, ratio {batch / union:.3f}; {batch_time:.2f} s as "
        f"items, {sum(t for _, t in apart):.2f} s as clips of their own, ratio {batch_time / sum(t for _, t in apart):.3f} (time is "
        "not judged here)",
        flush=True,
    )
    server.shutdown()


def stopped(args, scratch, checks):
    """SIGTERM ends what has begun and leaves a status to resume from."""
    server = Server()
    bucket, port = server.bucket, server.server_address[1]
    for number in range(40):
        bucket.put(f"/bucket/scenes/{number}.tif", scene(1), {})
    bucket.writes.clear()
    manifest, status = scratch / "stop.jsonl", scratch / "stop-status.jsonl"
    shape = mapping(polygons(1, 1024, 3)[0])
    with open(manifest, "w") as out:
        for number in range(40):
            row = {"src": f"s3://bucket/scenes/{number}.tif", "cutline": shape, "cutline_crs": "source", "dst": f"s3://bucket/o/{number}.tif"}
            out.write(json.dumps(row) + "\n")
    command = [args.bin, "batch", manifest, "--status", status, "--resume", "-q", "--jobs", "1"]
    run = subprocess.Popen(command, env=environment(port), stderr=subprocess.PIPE)
    while run.poll() is None and sum(bucket.writes.values()) < 3:
        time.sleep(0.001)
    run.terminate()
    run.communicate()
    lines, _ = lines_of(status)
    written = sum(bucket.writes.values())
    checks.that(run.returncode == 143, f"SIGTERM gives exit code {run.returncode}")
    checks.that(3 <= written == len(lines) < 40, f"{written} written and {len(lines)} recorded when stopped")
    again = subprocess.run(command, env=environment(port))
    checks.that(again.returncode == 0 and set(bucket.writes.values()) == {1} and len(bucket.writes) == 40, "resumed after SIGTERM")
    print(f"stopped after {written} of 40, resumed to {len(bucket.writes)}, each written once", flush=True)
    server.shutdown()


def sharded(args, scratch, checks):
    """Shards of 7 and 13 do every item once."""
    manifest = scratch / "shards.jsonl"
    source = scratch / "shard-scene.tif"
    source.write_bytes(scene(1, 256, 256))
    sources = []
    for number in range(31):
        sources.append(scratch / f"shard{number}.tif")
        sources[-1].write_bytes(source.read_bytes())
    rows = [
        {"src": str(sources[n * n % 31]), "bbox": "500100,5399000,500400,5399500", "cutline_crs": "source", "dst": str(scratch / f"s{n}.tif")}
        for n in range(200)
    ]
    manifest.write_text("\n".join(map(json.dumps, rows)))
    for count in (7, 13):
        items, by_source = Counter(), {}
        for index in range(count):
            variables = environment(1) | {"AWS_BATCH_JOB_ARRAY_INDEX": str(index), "AWS_BATCH_JOB_ARRAY_SIZE": str(count)}
            which = ["--shards"] if index % 2 else ["--shard", f"{index}/{count}"]
            done = subprocess.run(
                [args.bin, "batch", manifest, "-q", "--if-exists", "overwrite", *which], env=variables, stdout=subprocess.PIPE
            )
            checks.that(done.returncode == 0, f"shard {index} of {count} ends with {done.returncode}")
            for line in map(json.loads, done.stdout.splitlines()):
                items[line["item"]] += line["status"] == "done"
                by_source.setdefault(line["src"], set()).add(index)
        checks.that(items == Counter(range(200)), f"{count} shards do {len(items)} of 200 items")
        checks.that(all(len(shards) == 1 for shards in by_source.values()), f"of {count} shards, each has whole sources")
        print(f"{count} shards: {sum(items.values())} of 200 items once, {len(by_source)} sources whole", flush=True)


def in_geoparquet(args, scratch, checks):
    """Rows of GeoParquet, and the same as JSON Lines and CSV."""
    source = scratch / "parquet-scene.tif"
    source.write_bytes(scene(5))
    shapes = polygons(6, 1024, 5)
    rows = [{"src": str(source), "dst": str(scratch / f"p{n}.tif"), "pad": n} for n in range(6)]
    geopandas.GeoDataFrame(rows, geometry=shapes, crs="EPSG:32633").to_parquet(scratch / "rows.parquet")
    done = subprocess.run([args.bin, "batch", "-q", scratch / "rows.parquet"], env=environment(1), stdout=subprocess.PIPE)
    checks.that(done.returncode == 0, f"GeoParquet ends with {done.returncode}: {done.stdout}")
    with rasterio.open(source) as src:
        for number, shape in enumerate(shapes):
            pixels, transform = rasterio.mask.mask(src, [shape], crop=True)
            with rasterio.open(rows[number]["dst"]) as out:
                window = out.window(*rasterio.transform.array_bounds(*pixels.shape[1:], transform))
                checks.that(np.array_equal(out.read(window=window), pixels), f"row {number} of GeoParquet")
    print(f"{len(rows)} rows of GeoParquet", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--scenes", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0, help="of the instants of killing")
    args = parser.parse_args()
    args.bin = str(Path(args.bin).resolve())
    checks = Checks()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        sharded(args, scratch, checks)
        stopped(args, scratch, checks)
        in_geoparquet(args, scratch, checks)
        grouped(args, scratch, checks)
        killed_and_resumed(args, scratch, checks)
    print(f"{checks.passed} passed, {checks.failed} failed")
    return checks.failed > 0


if __name__ == "__main__":
    sys.exit(main())
