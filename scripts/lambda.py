#!/usr/bin/env python3
"""The function of AWS Lambda under test: in the local runtime emulator, and with a Runtime API of this script's own.

    scripts/lambda.py --bin target/release/cogclip [--starts 20]

The binary has the feature `lambda`, and is run as `bootstrap`. The emulator is `cargo lambda watch` (PyPI cargo-lambda), told not to
build anything: the function is started here. What the emulator cannot do (deadlines, several environments, cold starts one after
the other) is done by a small server of the same API. A small S3 server on loopback holds the rasters and takes the outputs:
signatures are not looked at, conditions and ranges are. The truth of pixels is rasterio.mask's. Needs the packages of
scripts/lambda-requirements.txt, cargo and /proc; reaches the loopback interface only.

Prints `N passed, N failed`; exit code 1 if any failed.
"""

import argparse
import hashlib
import json
import os
import queue
import random
import re
import socket
import socketserver
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import parse_qsl, quote_plus, unquote, urlsplit

import numpy as np
import rasterio
import rasterio.mask
from rasterio.io import MemoryFile
from shapely.geometry import Point, mapping

# From exec to the first request that reaches the source's server, median, in milliseconds.
MOST_COLD_START = 50
SECRETS = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "the-key-of-a-test-only",
    "AWS_SESSION_TOKEN": "the-session-of-a-test-only",
}
IN_URL = "the-signature-of-a-test-only"


class Checks:
    def __init__(self):
        self.passed, self.failed = 0, 0

    def that(self, holds, what):
        self.passed, self.failed = self.passed + bool(holds), self.failed + (not holds)
        print("ok  " if holds else "FAIL", what, flush=True)


class Connection(socketserver.StreamRequestHandler):
    """HTTP/1.1 as far as it takes; `answer` makes the answer."""

    disable_nagle_algorithm = True
    timeout = 120

    def handle(self):
        self.server.connections += 1
        try:
            while self.one():
                pass
        except (ConnectionError, TimeoutError):
            pass

    def one(self):
        words = self.rfile.readline().decode("latin1").split()
        if len(words) != 3:
            return False
        came, headers = time.monotonic(), {}
        while line := self.rfile.readline().strip():
            name, _, value = line.decode("latin1").partition(":")
            headers[name.lower()] = value.strip()
        wanted = int(headers.get("content-length", 0))
        body = self.rfile.read(wanted)
        if len(body) < wanted:
            return False
        status, fields, body, length = self.server.answer(words[0], urlsplit(words[1]), headers, body, came)
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *fields, "", ""]
        self.wfile.write("\r\n".join(lines).encode() + body)
        return True


class Server(socketserver.ThreadingTCPServer):
    daemon_threads, allow_reuse_address, request_queue_size = True, True, 128

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Connection)
        self.lock, self.connections = threading.Lock(), 0
        self.host = f"127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Store(Server):
    """S3, path-style."""

    def __init__(self):
        self.etags, self.uploads, self.objects, self.requests, self.at_work, self.most_at_work, self.pause = {}, {}, {}, [], 0, 0, 0
        super().__init__()

    def answer(self, method, url, headers, body, came):
        path = unquote(url.path)
        with self.lock:
            self.requests.append((came, method, path))
            self.at_work += 1
            self.most_at_work = max(self.most_at_work, self.at_work)
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", headers.get("range", ""))
        # Tiles come slowly when they are told to; headers do not.
        if self.pause and found and int(found[1]) > 0:
            time.sleep(self.pause)
        try:
            if "uploadId=" in url.query or url.query.startswith("uploads"):
                return self.of_upload(method, path, dict(parse_qsl(url.query, keep_blank_values=True)), headers, body)
            return self.of(method, path, headers, body, found)
        finally:
            with self.lock:
                self.at_work -= 1

    def of_upload(self, method, path, query, headers, body):
        upload = query.get("uploadId", f"u{len(self.requests)}")
        if "uploads" in query:
            self.uploads[upload] = {}
            return "200 OK", [], f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>".encode(), None
        if method == "PUT":
            self.uploads[upload][int(query["partNumber"])] = body
            return "200 OK", [f'ETag: "{hashlib.md5(body).hexdigest()}"'], b"", None
        parts = self.uploads.pop(upload)
        if method == "DELETE":
            return "204 No Content", [], b"", None
        whole = b"".join(parts[number] for number in sorted(parts))
        # As S3 has it of an upload in parts.
        etag = hashlib.md5(b"".join(hashlib.md5(parts[number]).digest() for number in sorted(parts))).hexdigest() + f"-{len(parts)}"
        status, _, said, _ = self.put(path, whole, headers, etag)
        return status, [], said or f'<CompleteMultipartUploadResult><ETag>"{etag}"</ETag></CompleteMultipartUploadResult>'.encode(), None

    def put(self, path, body, headers, etag=None):
        etag = etag or hashlib.md5(body).hexdigest()
        with self.lock:
            if headers.get("if-none-match") == "*" and path in self.objects:
                return "412 Precondition Failed", [], b"<Error><Code>PreconditionFailed</Code></Error>", None
            self.objects[path], self.etags[path] = body, etag
        return "200 OK", [f'ETag: "{etag}"'], b"", None

    def of(self, method, path, headers, body, found):
        if method == "PUT":
            return self.put(path, body, headers)
        body = self.objects.get(path)
        if body is None:
            return "404 Not Found", [], b"" if method == "HEAD" else b"<Error><Code>NoSuchKey</Code></Error>", None
        fields = [f'ETag: "{self.etags[path]}"', "Accept-Ranges: bytes"]
        if method == "HEAD":
            return "200 OK", fields, b"", len(body)
        if not found:
            return "200 OK", fields, body, None
        start, end = int(found[1]), min(int(found[2]) + 1, len(body))
        return "206 Partial Content", [*fields, f"Content-Range: bytes {start}-{end - 1}/{len(body)}"], body[start:end], None


class Runtime(Server):
    """Lambda's Runtime API: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html."""

    def __init__(self):
        self.events, self.answers, self.number = queue.Queue(), queue.Queue(), 0
        super().__init__()

    def answer(self, method, url, headers, body, came):
        path = unquote(url.path)
        if method == "GET" and path.endswith("/runtime/invocation/next"):
            return self.events.get()
        self.answers.put((path, json.loads(body)))
        return "202 Accepted", [], b"{}", None

    def send(self, event, seconds=60):
        self.number += 1
        fields = [
            f"Lambda-Runtime-Aws-Request-Id: r-{self.number}",
            f"Lambda-Runtime-Deadline-Ms: {round((time.time() + seconds) * 1000)}",
            "Lambda-Runtime-Trace-Id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=1",
        ]
        self.events.put(("200 OK", fields, json.dumps(event).encode(), None))

    def invoke(self, event, seconds=60):
        """What became of an event: `response` or `error`, and its body."""
        self.send(event, seconds)
        path, body = self.answers.get(timeout=90)
        return path.rsplit("/", 1)[1], body


class Function:
    """The binary as bootstrap, told of the store and the API on loopback and of nothing else."""

    def __init__(self, binary, folder, store, api, more=None, name="log"):
        bootstrap = Path(folder) / "bootstrap"
        if not bootstrap.exists():
            bootstrap.symlink_to(binary)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "AWS_LAMBDA_RUNTIME_API": api,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            "_HANDLER": "bootstrap",
            "AWS_ENDPOINT_URL": f"http://{store.host}",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            **SECRETS,
            **(more or {}),
        }
        self.log = open(Path(folder) / name, "a+")
        self.began = time.monotonic()
        self.process = subprocess.Popen([bootstrap], env=environment, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def text(self):
        return Path(self.log.name).read_text()

    def lines(self):
        return [json.loads(line) for line in self.text().splitlines()]

    def peak_mib(self):
        found = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{self.process.pid}/status").read_text(), re.M)
        return int(found[1]) / 1024

    def end(self):
        self.process.kill()
        self.process.wait()
        self.log.close()


class Emulator:
    """`cargo lambda watch` without anything to build: its Runtime API, and whoever invokes."""

    def __init__(self, folder):
        self.folder = Path(folder) / "package"
        (self.folder / "src").mkdir(parents=True)
        (self.folder / "Cargo.toml").write_text('[package]\nname = "bootstrap"\nversion = "0.1.0"\nedition = "2021"\n')
        (self.folder / "src/main.rs").write_text("fn main() {}\n")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.program = Path(sys.executable).with_name("cargo-lambda")
        # What it reads of a cloud's configuration is nowhere to be found.
        self.environment = {**os.environ, "AWS_EC2_METADATA_DISABLED": "true", "CARGO_NET_OFFLINE": "true", **SECRETS}
        words = ["lambda", "watch", "--only-lambda-apis", "--ignore-changes", "--invoke-address", "127.0.0.1", "--invoke-port", str(self.port)]
        self.log = open(Path(folder) / "emulator.log", "w+")
        self.process = subprocess.Popen([self.program, *words], cwd=self.folder, env=self.environment, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        self.api = f"http://127.0.0.1:{self.port}/.rt/bootstrap"
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.1)
        raise SystemExit(f"the emulator does not start: {Path(self.log.name).read_text()}")

    def invoke(self, event):
        """Whether it went well, and what was answered."""
        (self.folder / "event.json").write_text(json.dumps(event))
        words = ["lambda", "invoke", "--invoke-address", "127.0.0.1", "--invoke-port", str(self.port), "--data-file", "event.json", "bootstrap"]
        ran = subprocess.run([self.program, *words], cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=120)
        return ran.returncode == 0, ran.stdout if ran.returncode == 0 else ran.stdout + ran.stderr

    def end(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()


def scene(side=1024, block=256, flat=False):
    """A raster of noise with a trend, as a file; or of nothing, in tiles as large as may be."""
    rng = np.random.default_rng(1)
    if flat:
        data = np.ones((side, side), np.uint16)
    else:
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


def polygon(rng, side=1024):
    """A blob of some hundred pixels, in the scene's coordinates."""
    x, y = 500000 + 10 * rng.uniform(100, side - 100), 5400000 - 10 * rng.uniform(100, side - 100)
    return mapping(Point(x, y).buffer(10 * rng.uniform(20, 200), quad_segs=5))


def is_right(scene_bytes, output, cutline):
    """Whether an output is what rasterio.mask makes of the scene."""
    with MemoryFile(scene_bytes) as file, file.open() as src:
        expected, transform = rasterio.mask.mask(src, [cutline], crop=True)
    with MemoryFile(output) as file, file.open() as out:
        return out.transform == transform and np.array_equal(out.read(), expected)


CUTLINE = polygon(random.Random(3))
# What becomes of a new object.
TEMPLATE = {"dst": "s3://bucket/out/{folder}{stem}-clip.tif", "cutline": CUTLINE, "cutline_crs": "source"}


def job(dst, src="scene.tif", **more):
    return {"src": f"s3://bucket/in/{src}", "dst": f"s3://bucket/out/{dst}", "cutline": CUTLINE, "cutline_crs": "source", **more}


def plan(**more):
    return {"action": "plan", **{name: value for name, value in job("-", **more).items() if name != "dst"}}


def batch(bodies, arn="arn:aws:sqs:us-east-1:123456789012:jobs", groups=None):
    """Messages of a queue, as Lambda hands them over."""
    records = []
    for number, body in enumerate(bodies):
        attributes = {"ApproximateReceiveCount": "1", "SentTimestamp": "1545082649183"}
        if groups:
            attributes["MessageGroupId"] = groups[number]
        records.append({
            "messageId": f"m{number}", "receiptHandle": "AQEB", "body": body if isinstance(body, str) else json.dumps(body),
            "attributes": attributes, "messageAttributes": {}, "md5OfBody": "0", "eventSource": "aws:sqs", "eventSourceARN": arn,
            "awsRegion": "us-east-1",
        })  # fmt: skip
    return {"Records": records}


def failures(answer):
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def of_s3(key):
    # Keys are encoded as in a form.
    place = {"bucket": {"name": "bucket"}, "object": {"key": quote_plus(key, safe="/"), "size": 1, "eTag": "0"}}
    return {"Records": [{"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": place}]}


def of_bridge(key):
    # Keys are as they are.
    detail = {"version": "0", "bucket": {"name": "bucket"}, "object": {"key": key, "size": 1, "etag": "0"}, "reason": "PutObject"}
    return {"version": "0", "id": "1", "detail-type": "Object Created", "source": "aws.s3", "detail": detail}


def in_emulator(checks, binary, folder, store, scene_bytes):
    emulator = Emulator(folder)
    function = Function(binary, folder, store, emulator.api, {"COGCLIP_JOB": json.dumps(TEMPLATE)}, "in-emulator.log")
    try:
        went, text = emulator.invoke(job("a.tif"))
        report = json.loads(text) if went else {}
        checks.that(report.get("status") == "done", f"emulator: a job is done {'' if went else text[:300]}")
        output = store.objects.get("/bucket/out/a.tif")
        checks.that(output and is_right(scene_bytes, output, CUTLINE), "emulator: its output is rasterio.mask's")
        checks.that(output and report["output"]["sha256"] == hashlib.sha256(output).hexdigest(), "emulator: the report is of that output")
        before = len(store.objects)
        went, text = emulator.invoke(plan())
        planned = json.loads(text) if went else {}
        checks.that(planned.get("status") == "planned" and planned.get("ranges"), f"emulator: a plan {'' if went else text[:300]}")
        went, text = emulator.invoke(batch([job("b0.tif"), job("b1.tif", src="none.tif"), job("b2.tif"), job("b3.tif")]))
        checks.that(went and failures(json.loads(text)) == ["m1"], f"emulator: of a batch with one bad record that one is reported, and no other: {text[:200]}")
        made = sorted(path for path in store.objects if path.startswith("/bucket/out/b"))
        checks.that(made == [f"/bucket/out/b{n}.tif" for n in (0, 2, 3)] and len(store.objects) == before + 3, f"emulator: the others are done {made}")
        went, text = emulator.invoke(of_s3("in/sub/a b+é.tif"))
        checks.that(went and "/bucket/out/in/sub/a b+é-clip.tif" in store.objects, f"emulator: a notification of S3 {'' if went else text[:300]}")
        went, text = emulator.invoke(of_bridge("in/scene.tif"))
        checks.that(went and "/bucket/out/in/scene-clip.tif" in store.objects, f"emulator: an event of EventBridge {'' if went else text[:300]}")
        went, text = emulator.invoke(job("c.tif", src="none.tif"))
        checks.that(not went and "none.tif" in text and re.search(r"\bio\b", text), f"emulator: what fails is Lambda's error: {' '.join(text.split())[:160]}")
        checks.that(function.process.poll() is None, "emulator: the function lives")
    finally:
        function.end()
        emulator.end()


def events(checks, binary, folder, store):
    runtime = Runtime()
    function = Function(binary, folder, store, runtime.host, {"COGCLIP_JOB": json.dumps(TEMPLATE)}, "events.log")
    try:
        bad = {**job("f.tif"), "src": "s3://bucket/in/none.tif"}
        bodies = [job("f0.tif"), job("f1.tif"), bad, job("f3.tif"), job("f4.tif")]
        fifo = batch(bodies, "arn:aws:sqs:us-east-1:123456789012:jobs.fifo", ["a", "b", "b", "a", "b"])
        kind, answer = runtime.invoke(fifo)
        checks.that(kind == "response" and failures(answer) == ["m2", "m4"], f"FIFO: after a failure the rest of its group is left: {answer}")
        made = sorted(path for path in store.objects if path.startswith("/bucket/out/f"))
        checks.that(made == ["/bucket/out/f0.tif", "/bucket/out/f1.tif", "/bucket/out/f3.tif"], f"FIFO: and not touched {made}")
        kind, answer = runtime.invoke(batch([of_s3("in/scene.tif"), of_bridge("in/scene.tif"), {"Service": "Amazon S3", "Event": "s3:TestEvent"}, "no JSON"]))
        checks.that(kind == "response" and failures(answer) == ["m3"], f"events of S3 in a queue, delivered again what is done is found: {answer}")
        for name, event, wanted in (
            ("no overlap", {**job("x.tif"), "cutline": None, "bbox": "0,0,1,1"}, "no_overlap"),
            ("a file of the machine", {**job("x.tif"), "src": "/etc/passwd"}, "usage"),
            ("the Runtime API itself", {**job("x.tif"), "src": f"http://{runtime.host}/2018-06-01/runtime/invocation/next"}, "usage"),
            ("no event", 17, "usage"),
        ):
            kind, answer = runtime.invoke(event)
            checks.that(kind == "error" and answer["errorType"] == wanted, f"{name}: {answer.get('errorType')}: {answer.get('errorMessage', '')[:110]}")
        store.pause = 0.02
        kind, answer = runtime.invoke(batch([job(f"g{n}.tif") for n in range(10)]))
        store.pause = 0
        checks.that(kind == "response" and failures(answer) == [], f"a batch of 10: {answer}")
        checks.that(store.most_at_work > 2, f"done at a time: {store.most_at_work} requests in flight")
        # Each job alone needs fewer connections than those of the batch together.
        before = store.connections
        kinds = {runtime.invoke(job(f"h{n}.tif"))[0] for n in range(10)}
        new = store.connections - before
        checks.that(kinds == {"response"} and new <= 2, f"a warm function has its connections: {new} new for 10 jobs")
        checks.that(runtime.connections == 1, f"and one to the Runtime API: {runtime.connections}")
        lines = function.lines()
        facts = {"timestamp", "level", "requestId", "xrayTraceId", "src", "dst", "status", "ms", "bytes"}
        done = [line for line in lines if line.get("status") == "done"]
        checks.that(len(done) > 20 and all(facts <= set(line) for line in done), f"{len(lines)} lines of the log are JSON; those of jobs have {sorted(facts)}")
        checks.that({f"m{n}" for n in range(10)} <= {line.get("messageId") for line in done}, "and those of records their messageId")
        checks.that(sum("coldStart" in line for line in lines) == 1, "one says that it was the cold start")
    finally:
        function.end()


def secrets(checks, binary, folder, store):
    runtime = Runtime()
    function = Function(binary, folder, store, runtime.host, {"COGCLIP_OPTIONS": "--max-retries 0 --allow-address 127.0.0.1"}, "secrets.log")
    try:
        address = f"http://user:{IN_URL}@{store.host}/bucket/in/none.tif?X-Amz-Signature={IN_URL}"
        answers = [
            runtime.invoke({**job("s.tif"), "src": address}),
            runtime.invoke({**job("s.tif"), "src": f"http://{store.host}/bucket/in/scene.tif?sig={IN_URL}"}),
            runtime.invoke({**job("s.tif"), "cutline": address}),
            runtime.invoke(batch([{**job("s.tif"), "src": address, "x": IN_URL}, {**job("s2.tif"), "store_option": f"aws_secret_access_key={IN_URL}"}])),
        ]
        text = function.text() + json.dumps(answers)
        checks.that([kind for kind, _ in answers] == ["error", "response", "error", "response"], f"URLs with secrets fail and succeed {[kind for kind, _ in answers]}")
        checks.that(len(failures(answers[3][1])) == 2 and len(function.lines()) >= 6, "and are logged")
        found = [secret for secret in (*SECRETS.values(), IN_URL) if secret in text]
        checks.that(not found, f"no secret is in {len(text)} characters of log and answers {found}")
    finally:
        function.end()


def deadline(checks, binary, folder, store):
    runtime = Runtime()
    function = Function(binary, folder, store, runtime.host, {"COGCLIP_OPTIONS": "--margin 1s --concurrency 2"}, "deadline.log")
    try:
        runtime.invoke(job("d0.tif"))
        store.pause = 30
        before, began = set(store.objects), time.monotonic()
        kind, answer = runtime.invoke(job("d1.tif"), seconds=3)
        took = time.monotonic() - began
        checks.that(kind == "error" and answer["errorType"] == "deadline" and 1.5 <= took < 3, f"deadline: after {took:.2f} of 3 s: {answer.get('errorMessage')}")
        checks.that(re.search(r"\d+ of [1-9]\d* tiles .* \d+ of [1-9]\d* bytes", answer.get("errorMessage", "")), "deadline: it says how far it was")
        kind, answer = runtime.invoke(batch([job(f"d{n}.tif") for n in range(2, 6)]), seconds=3)
        checks.that(kind == "response" and failures(answer) == ["m0", "m1", "m2", "m3"], f"deadline: of a batch all that was not done is delivered again {answer}")
        left = [line["messageId"] for line in function.lines() if line.get("status") == "left"]
        checks.that(left == ["m2", "m3"], f"deadline: of these {left} had not begun")
        checks.that(set(store.objects) == before and not store.uploads, "deadline: nothing was published, and nothing is left of uploads")
        store.pause = 0
        kind, answer = runtime.invoke(job("d1.tif"))
        checks.that(kind == "response" and answer["status"] == "done", "deadline: the next event is done")
    finally:
        store.pause = 0
        function.end()


def memory(checks, binary, folder, store):
    for size, wanted in (("128", "limit"), ("1024", "done")):
        runtime = Runtime()
        function = Function(binary, folder, store, runtime.host, {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": size}, f"memory-{size}.log")
        try:
            # A tile of 72 MiB, more than the share of the smaller function.
            bbox = "500000,5399000,501000,5400000"
            _, answer = runtime.invoke({**job(f"m-{size}.tif", src="one-tile.tif"), "cutline": None, "bbox": bbox})
            got = answer.get("status") or answer.get("errorType")
            checks.that(got == wanted, f"memory: a tile of 72 MiB in a function of {size} MiB: {got} {answer.get('errorMessage', '')[:120]}")
            _, answer = runtime.invoke({**job(f"l-{size}.tif", src="large.tif"), "cutline": None, "bbox": "500000,5359040,540960,5400000"})
            checks.that(answer.get("status") == "done", f"memory: 32 MiB of pixels in {size} MiB: {answer.get('errorMessage', 'done')}")
            runtime.invoke(batch([job(f"n-{size}-{n}.tif", src="large.tif") for n in range(10)]))
            checks.that(function.peak_mib() < int(size), f"memory: at most {function.peak_mib():.0f} MiB of {size}")
        finally:
            function.end()


def cold_start(checks, binary, folder, store, starts):
    took = []
    for number in range(starts):
        runtime = Runtime()
        runtime.send(job(f"cold-{number}.tif"))
        before = len(store.requests)
        function = Function(binary, folder, store, runtime.host, name="cold.log")
        try:
            path, body = runtime.answers.get(timeout=60)
            if not path.endswith("/response"):
                raise SystemExit(f"the job of a cold start failed: {body}")
            came = next(came for came, _, path in store.requests[before:] if path == "/bucket/in/scene.tif")
            took.append((came - function.began) * 1000)
        finally:
            function.end()
            runtime.shutdown()
    median = statistics.median(took)
    told = f"{median:.1f} ms, {min(took):.1f} to {max(took):.1f}"
    checks.that(median <= MOST_COLD_START, f"cold start, from exec to the source's first request: median of {starts} {told}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=Path, required=True)
    parser.add_argument("--starts", type=int, default=20, help="cold starts")
    args = parser.parse_args()
    binary, checks, store = args.bin.resolve(), Checks(), Store()
    scene_bytes = scene()
    for name in ("scene.tif", "sub/a b+é.tif"):
        store.put(f"/bucket/in/{name}", scene_bytes, {})
    store.put("/bucket/in/large.tif", scene(side=4096, block=512), {})
    store.put("/bucket/in/one-tile.tif", scene(side=6144, block=6144, flat=True), {})
    with tempfile.TemporaryDirectory() as folder:
        cold_start(checks, binary, folder, store, args.starts)
        in_emulator(checks, binary, folder, store, scene_bytes)
        events(checks, binary, folder, store)
        secrets(checks, binary, folder, store)
        deadline(checks, binary, folder, store)
        memory(checks, binary, folder, store)
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
