#!/usr/bin/env python3
"""The service under test: schemathesis over its own OpenAPI document, then a load of many clients, then its end.

    scripts/serve.py --bin target/release/cogclip [--seconds 60] [--clients 32] [--examples 100] [--fuzz 50]

The binary has the feature `serve`. A small S3 server on loopback, of this script's own, holds a scene and takes the outputs:
signatures are not looked at, conditions and ranges are. Every tenth output of the load is made again by `cogclip clip` and must be
the same bytes; some of these are held against rasterio.mask, too. Memory is flat when the mean of what the service holds in the last
third of the load is at most a tenth above that in the second (in the first, it fills its pools), and it never holds more than the
memory that it was given. Needs the packages of scripts/serve-requirements.txt and /proc; reaches the loopback interface only.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import random
import re
import signal
import socket
import socketserver
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import rasterio
import rasterio.mask
import requests
import yaml
from rasterio.io import MemoryFile
from shapely.geometry import Point, mapping

ROOT = Path(__file__).resolve().parent.parent
TOKEN = "the-token-of-a-test"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
# What the service may hold in all, MiB: its own --max-memory, which is for 8 jobs at a time.
MOST_MIB = 512
# How much more it may hold in the last third of the load than in the second, on average.
MOST_GROWTH = 1.1
# Of the load, which outputs are made again by the command line, and which of these by rasterio.
AGAIN, BY_RASTERIO = 10, 5
# What is looked at in every answer. Not among them: that all which fits the document is accepted, since it does not know what
# exists, and that a stranger is refused, which the second run cannot try.
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,negative_data_rejection,unsupported_method,allow_header_conformance,ignored_auth"
)


class Bucket:
    def __init__(self):
        self.lock, self.objects = threading.Lock(), {}

    def put(self, path, body, headers):
        with self.lock:
            if headers.get("if-none-match") == "*" and path in self.objects:
                return False
            self.objects[path] = body
            return True

    def take(self, path):
        with self.lock:
            return self.objects.pop(path, None)


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
            return False
        bucket = self.server.bucket
        if method == "PUT":
            if not bucket.put(path, body, headers):
                return self.answer("412 Precondition Failed", b"<Error><Code>PreconditionFailed</Code></Error>")
            return self.answer("200 OK", b"", [f'ETag: "{hashlib.md5(body).hexdigest()}"'])
        if method == "DELETE":
            bucket.take(path)
            return self.answer("204 No Content", b"")
        body = bucket.objects.get(path)
        if body is None:
            return self.answer("404 Not Found", b"" if method == "HEAD" else b"<Error><Code>NoSuchKey</Code></Error>")
        fields = [f'ETag: "{hashlib.md5(body).hexdigest()}"', "Accept-Ranges: bytes"]
        if method == "HEAD":
            return self.answer("200 OK", b"", fields, len(body))
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", headers.get("range", ""))
        if not found:
            return self.answer("200 OK", body, fields)
        start, end = int(found[1]), min(int(found[2]) + 1, len(body))
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
        print("ok  " if holds else "FAIL", what, flush=True)


def scene(side=1024, block=256):
    """A raster of noise with a trend, as a file."""
    rng = np.random.default_rng(1)
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


class Service:
    """The binary, told of the store on loopback and of nothing else."""

    def __init__(self, binary, store, folder):
        self.binary = binary
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{store.server_address[1]}",
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "not-a-secret",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "COGCLIP_TOKEN": TOKEN,
        }
        words = [
            binary, "serve", "--listen", "127.0.0.1:0", "--allow-src", "s3://bucket/in/", "--allow-dst", "s3://bucket/out/",
            "--max-memory", f"{MOST_MIB}MiB", "--concurrency", "8", "--grace", "20s",
        ]  # fmt: skip
        self.log = open(Path(folder) / "log", "w+")
        self.process = subprocess.Popen(words, env=self.environment, stdin=subprocess.DEVNULL, stderr=self.log)
        self.url = None
        for _ in range(600):
            found = re.search(r"listening at (http://127\.0\.0\.1:\d+)", Path(self.log.name).read_text())
            if found:
                self.url = found[1]
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise SystemExit(f"the service does not start: {Path(self.log.name).read_text()}")

    def command(self, name, cutline):
        """The same clip by the command line; what it says if it fails."""
        words = [self.binary, "clip", "s3://bucket/in/scene.tif", f"s3://bucket/out/{name}", "--cutline", json.dumps(cutline), "--cutline-crs", "source", "--quiet"]
        ran = subprocess.run(words, env=self.environment, capture_output=True, text=True, timeout=120)
        return ran.stderr if ran.returncode else None

    def lines(self):
        return [json.loads(line) for line in Path(self.log.name).read_text().split("\n") if line]

    def mib(self):
        found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{self.process.pid}/status").read_text(), re.M)
        return int(found[1]) / 1024

    def clip(self, session, name, cutline, **more):
        job = {"src": "s3://bucket/in/scene.tif", "dst": f"s3://bucket/out/{name}", "cutline": cutline, **more}
        job.setdefault("cutline_crs", "source")
        return session.post(f"{self.url}/clip", json=job, headers=HEADERS, timeout=120)


def narrowed(document):
    """The document with values that lead past the allow-lists: clips of what there is, and of what there is not."""
    document = json.loads(json.dumps(document))
    blob = polygon(random.Random(5))
    for name in ("Clip", "Plan"):
        schema = document["components"]["schemas"][name]
        properties = schema["properties"]
        properties["src"] = {"enum": [f"s3://bucket/in/{name}" for name in ("scene.tif", "scene.tif#ifd=0", "none.tif", "broken.tif")]}
        properties["dst"] = {"type": "string", "pattern": r"^s3://bucket/out/[a-z0-9]{1,12}\.tif$"}
        properties["cutline"] = {"enum": [blob, json.dumps(blob), "s3://bucket/in/field.geojson", "s3://bucket/in/none.geojson", "POLYGON EMPTY"]}
        properties["bbox"] = {"enum": ["500100,5399000,501000,5399900", "0,0,1,1", "1,2,3"]}
        properties["cutline_crs"] = {"enum": ["source", "EPSG:32633", "EPSG:4326", "EPSG:0"]}
        schema["required"] = [*schema["required"], "cutline_crs"]
    return document


def conform(checks, service, document, folder, arguments):
    tool = Path(sys.executable).with_name("st")
    # What is narrower than what the service takes must not be held against it.
    narrow = CHECKS.replace("negative_data_rejection,", "")
    for name, what, looks in (("as it is", document, CHECKS), ("narrowed", narrowed(document), narrow)):
        path = Path(folder) / "openapi.json"
        path.write_text(json.dumps(what))
        before = len(service.lines())
        words = [
            tool, "--no-color", "run", path, "--url", service.url, "--phases", "examples,coverage,fuzzing,stateful",
            "--checks", looks, "--max-examples", str(arguments.examples), "--seed", "1", "--generation-deterministic",
            "--max-time", str(arguments.fuzz), "--continue-on-failure", "--request-timeout", "60",
            "--suppress-health-check", "all", "--warnings", "off", "--header", f"Authorization:Bearer {TOKEN}",
        ]  # fmt: skip
        ran = subprocess.run(words, capture_output=True, text=True, cwd=folder, timeout=600)
        if ran.returncode != 0:
            print(ran.stdout[-20000:], ran.stderr[-2000:])
        lines = [line for line in service.lines()[before:] if "status" in line]
        statuses = sorted({line["status"] for line in lines})
        checks.that(ran.returncode == 0, f"schemathesis finds nothing in the document {name}: {len(lines)} requests, statuses {statuses}")
        checks.that(len(lines) > arguments.examples, f"it has asked ({name})")
        checks.that(not [line for line in lines if line["status"] >= 500], f"no 5xx ({name})")
        if name == "narrowed":
            done = [line for line in lines if line["status"] == 200 and line["route"] == "/clip"]
            checks.that(len(done) >= 5, f"among them {len(done)} clips that were done")
    checks.that(service.process.poll() is None, "the service lives")


def is_right(scene_bytes, output, cutline):
    """Whether an output is what rasterio.mask makes of the scene."""
    with MemoryFile(scene_bytes) as file, file.open() as src:
        expected, transform = rasterio.mask.mask(src, [cutline], crop=True)
    with MemoryFile(output) as file, file.open() as out:
        return out.transform == transform and np.array_equal(out.read(), expected)


def load(checks, service, store, scene_bytes, arguments):
    stop, lock = time.monotonic() + arguments.seconds, threading.Lock()
    done, errors, kept, samples = [0], [], [], []

    def client(number):
        rng, session, count = random.Random(number), requests.Session(), 0
        while time.monotonic() < stop:
            cutline, name = polygon(rng), f"load/{number}-{count}.tif"
            try:
                answer = service.clip(session, name, cutline)
                problem = None if answer.status_code == 200 else f"{answer.status_code}: {answer.text[:200]}"
            except requests.RequestException as error:
                problem = repr(error)
            output = store.bucket.take(f"/bucket/out/{name}")
            with lock:
                done[0] += 1
                if problem or output is None:
                    errors.append(problem or "there is no output")
            # Compared afterwards, lest there be less load.
            if output is not None and count % AGAIN == 0:
                with lock:
                    kept.append((name, cutline, output))
            count += 1

    threads = [threading.Thread(target=client, args=(number,)) for number in range(arguments.clients)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    while time.monotonic() < stop:
        samples.append((time.monotonic() - began, service.mib()))
        time.sleep(0.25)
    for thread in threads:
        thread.join()
    third = arguments.seconds / 3
    thirds = [statistics.mean(mib for at, mib in samples if number * third <= at < (number + 1) * third) for number in range(3)]
    most = max(mib for _, mib in samples)
    checks.that(not errors and done[0] >= arguments.clients, f"{done[0]} clips by {arguments.clients} clients in {arguments.seconds} s, {len(errors)} errors {errors[:3]}")
    shown = ", ".join(f"{mib:.1f}" for mib in thirds)
    checks.that(thirds[2] <= MOST_GROWTH * thirds[1], f"memory is flat: {shown} MiB on average in the thirds, the last at most {MOST_GROWTH} times the second")
    checks.that(most <= MOST_MIB, f"{most:.1f} MiB at most, not over {MOST_MIB}")

    def again(entry):
        number, (name, cutline, output) = entry
        other = f"again/{name}"
        problem = service.command(other, cutline)
        made = store.bucket.take(f"/bucket/out/{other}")
        if problem or made != output:
            return f"{name}: {problem or 'other bytes'}"
        if number % BY_RASTERIO == 0 and not is_right(scene_bytes, output, cutline):
            return f"{name}: other pixels than rasterio's"
        return None

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        wrong = [problem for problem in pool.map(again, enumerate(kept)) if problem]
    checks.that(not wrong and len(kept) >= arguments.clients, f"{len(kept)} of them made again by the command line, every {BY_RASTERIO}th by rasterio.mask: {len(wrong)} differ {wrong[:3]}")
    text = requests.get(f"{service.url}/metrics", headers=HEADERS, timeout=30).text
    figure = re.search(r'^cogclip_requests_total\{route="/clip",status="200"\} (\d+)$', text, re.M)
    checks.that(figure and int(figure[1]) >= done[0], "the figures count them")
    checks.that(re.search(r"^cogclip_jobs_running 0$", text, re.M) is not None, "and none is left")


def drain(checks, service, store):
    """SIGTERM while clips are at work: they end, and no further one begins."""
    answers, lock, rng = [], threading.Lock(), random.Random(9)

    def client(number, cutline):
        # Much work for few bytes: half a second and more.
        more = {"compress": "lzma", "level": 9, "no_crop": True, "blocksize": 64}
        try:
            answer = service.clip(requests.Session(), f"drain/{number}.tif", cutline, **more).status_code
        except requests.RequestException:
            answer = None
        with lock:
            answers.append(answer)

    threads = [threading.Thread(target=client, args=(number, polygon(rng))) for number in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(500):
        text = requests.get(f"{service.url}/metrics", headers=HEADERS, timeout=30).text
        if (found := re.search(r"^cogclip_jobs_running (\d+)$", text, re.M)) and int(found[1]) >= 4:
            break
        time.sleep(0.005)
    service.process.send_signal(signal.SIGTERM)
    for thread in threads:
        thread.join()
    code = service.process.wait(60)
    outputs = [path for path in store.bucket.objects if path.startswith("/bucket/out/drain/")]
    done = answers.count(200)
    checks.that(done >= 4 and set(answers) <= {200, None}, f"what had begun was done: {answers}")
    checks.that(len(outputs) == done, "each answer has its output, and each output its answer")
    checks.that(code == 0, f"exit code {code}")
    with socket.socket() as probe:
        checks.that(probe.connect_ex(("127.0.0.1", urlsplit(service.url).port)) != 0, "nobody listens any longer")


def manifests(checks, arguments, folder):
    """The arguments that the manifests of deploy/ give, as their platforms would."""
    token = Path(folder) / "token"
    token.write_text(TOKEN)
    for path in sorted(ROOT.glob("deploy/*/*.yaml")):
        for document in yaml.safe_load_all(path.read_text()) if "!" not in path.read_text() else ():
            template = (document.get("spec") or document.get("properties") or {}).get("template", {})
            containers = template.get("containers") or template.get("spec", {}).get("containers", [])
            words = containers[0]["args"] if containers else []
            if words[:1] != ["serve"]:
                continue
            replaced = {"/run/secrets/cogclip/token": str(token), "0.0.0.0:8080": "127.0.0.1:0"}
            words = [replaced.get(word, word) for word in words]
            # On loopback alone; where PORT makes it listen is for the tests of its arguments to say.
            words += [] if "--listen" in words else ["--listen", "127.0.0.1:0"]
            environment = {"PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true", "PORT": "0", "COGCLIP_TOKEN": TOKEN}
            with subprocess.Popen([arguments.bin, *words], env=environment, stderr=subprocess.PIPE, text=True) as process:
                line = process.stderr.readline()
                process.send_signal(signal.SIGTERM)
                process.stderr.read()
                code = process.wait(30)
            checks.that("listening at" in line and code == 0, f"{path.relative_to(ROOT)} starts: {line.strip()[:200]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", required=True, help="the binary, with the feature serve")
    parser.add_argument("--seconds", type=int, default=60, help="of load")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--examples", type=int, default=100, help="of schemathesis, for each operation and phase")
    parser.add_argument("--fuzz", type=int, default=50, help="seconds that schemathesis may take for each of two documents")
    arguments = parser.parse_args()
    checks, store, scene_bytes = Checks(), Server(), scene()
    store.bucket.objects["/bucket/in/scene.tif"] = scene_bytes
    store.bucket.objects["/bucket/in/broken.tif"] = scene_bytes[:3000]
    field = {"type": "Feature", "properties": {}, "geometry": polygon(random.Random(3))}
    store.bucket.objects["/bucket/in/field.geojson"] = json.dumps(field).encode()
    with tempfile.TemporaryDirectory() as folder:
        before = checks.passed + checks.failed
        manifests(checks, arguments, folder)
        checks.that(checks.passed + checks.failed == before + 3, "all three manifests were found")
        service = Service(arguments.bin, store, folder)
        try:
            document = requests.get(f"{service.url}/openapi.json", timeout=30).json()
            conform(checks, service, document, folder, arguments)
            load(checks, service, store, scene_bytes, arguments)
            drain(checks, service, store)
            secret = TOKEN in Path(service.log.name).read_text()
            checks.that(not secret, "the log does not hold the token")
        finally:
            if service.process.poll() is None:
                service.process.kill()
                service.process.wait()
            service.log.close()
    print(f"serve: {checks.passed} passed, {checks.failed} failed")
    return checks.failed > 0


if __name__ == "__main__":
    sys.exit(main())
