#!/usr/bin/env python3
"""How much memory a clip from bucket to bucket takes when its output has 2 GiB, on a machine without a writable disk.

    scripts/bucket-memory.py --bin target/release/cogclip [--size 32768] [--most 256] [-- ARGUMENTS OF clip]

A server on loopback speaks as much S3 as the clip needs. It holds neither object: the source, an uncompressed raster of
noise, is computed for the range that is asked for, and of what is uploaded only size, MD5 and SHA-256 of each part stay.
The clip runs without TMPDIR, in a mount namespace of its own in which every file system is read-only (that needs root); where
that is forbidden, strace looks on, and any file that is opened for writing or made fails the run.

Prints one line of figures; exit code 1 if the clip failed, the object is not whole, a file was written, or the peak of
resident memory is above --most MiB.
"""

import argparse
import hashlib
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

TILE = 512
SOURCE, DESTINATION = "/src/noise.tif", "/dst/clip.tif"
SOURCE_ETAG = '"noise"'


class Noise:
    """An uncompressed tiled TIFF of uint16 noise, of which any range can be had: the tiles are one pool of bytes, over and over."""

    def __init__(self, size):
        self.pool = random.Random(7).randbytes((16 << 20) + 4099)
        across = size // TILE
        count, tile_bytes = across * across, TILE * TILE * 2
        arrays = 4096
        data = arrays + 8 * count
        geo = 2048
        scale = struct.pack("<3d", 10, 10, 0)
        tie = struct.pack("<6d", 0, 0, 0, 300000, 5300000, 0)
        # GTModelType projected, GTRasterType area, ProjectedCRS EPSG:32633 (OGC 19-008r4, 7.1).
        keys = struct.pack("<16H", 1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32633)
        entries = [
            (256, 4, 1, size), (257, 4, 1, size), (258, 3, 1, 16), (259, 3, 1, 1), (262, 3, 1, 1), (277, 3, 1, 1),
            (322, 3, 1, TILE), (323, 3, 1, TILE), (324, 4, count, arrays), (325, 4, count, arrays + 4 * count), (339, 3, 1, 1),
            (33550, 12, 3, geo), (33922, 12, 6, geo + 24), (34735, 3, 16, geo + 72),
        ]  # fmt: skip
        self.size = data + count * tile_bytes
        if self.size >= 1 << 32:
            sys.exit("a classic TIFF has less than 4 GiB: choose a smaller --size")
        head = struct.pack("<2sHIH", b"II", 42, 8, len(entries))
        for tag, kind, n, value in entries:
            head += struct.pack("<HHI", tag, kind, n) + (struct.pack("<HH", value, 0) if kind == 3 and n == 1 else struct.pack("<I", value))
        head = (head + struct.pack("<I", 0)).ljust(geo, b"\0") + scale + tie + keys
        head = head.ljust(arrays, b"\0") + struct.pack(f"<{count}I", *(data + i * tile_bytes for i in range(count)))
        self.head = head + struct.pack(f"<{count}I", *([tile_bytes] * count))
        assert len(self.head) == data

    def pieces(self, start, end):
        """The bytes from start to before end, in pieces."""
        if start < len(self.head):
            yield self.head[start : min(end, len(self.head))]
            start = len(self.head)
        while start < end:
            at = (start - len(self.head)) % len(self.pool)
            piece = memoryview(self.pool)[at : at + end - start]
            yield piece
            start += len(piece)


class Store:
    """What the server knows: no byte of the destination, only what its parts were."""

    def __init__(self, noise):
        self.noise = noise
        self.lock = threading.Lock()
        self.parts = {}
        self.object = None
        self.metadata = {}
        self.requests = 0
        self.read = 0


def etag(parts):
    """S3's: the MD5 of one, or the MD5 of the MD5s of many and their number."""
    if len(parts) == 1:
        return f'"{parts[0][1]}"'
    return f'"{hashlib.md5(b"".join(bytes.fromhex(part[1]) for part in parts)).hexdigest()}-{len(parts)}"'


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store = None

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def target(self):
        url = urlsplit(self.path)
        with self.store.lock:
            self.store.requests += 1
        return url.path, {key: values[0] for key, values in parse_qs(url.query, keep_blank_values=True).items()}

    def do_HEAD(self):
        path, _ = self.target()
        if path == SOURCE:
            self.send_response(200)
            self.send_header("Content-Length", str(self.store.noise.size))
            self.send_header("ETag", SOURCE_ETAG)
            self.end_headers()
        elif self.store.object and path == self.store.object[0]:
            _, parts = self.store.object
            self.send_response(200)
            self.send_header("Content-Length", str(sum(part[0] for part in parts)))
            self.send_header("ETag", etag(parts))
            self.send_header("Last-Modified", "Wed, 01 Jan 2025 00:00:02 GMT")
            for name, value in self.store.metadata.items():
                self.send_header(name, value)
            self.end_headers()
        else:
            self.answer(404)

    def do_GET(self):
        path, _ = self.target()
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if path != SOURCE or not match:
            self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            return
        size = self.store.noise.size
        start, end = int(match[1]), min(int(match[2]) + 1, size)
        self.send_response(206)
        for name, value in [
            ("Content-Length", end - start), ("Content-Range", f"bytes {start}-{end - 1}/{size}"), ("ETag", SOURCE_ETAG),
            ("Last-Modified", "Wed, 01 Jan 2025 00:00:01 GMT"),
        ]:  # fmt: skip
            self.send_header(name, str(value))
        self.end_headers()
        for piece in self.store.noise.pieces(start, end):
            self.wfile.write(piece)
        with self.store.lock:
            self.store.read += end - start

    def drained(self):
        """Size, MD5 and SHA-256 of the request's body, of which at most 1 MiB is held."""
        left = total = int(self.headers.get("Content-Length", 0))
        md5, sha = hashlib.md5(), hashlib.sha256()
        while left:
            piece = self.rfile.read(min(left, 1 << 20))
            if not piece:
                raise ConnectionError("a body was cut short")
            md5.update(piece)
            sha.update(piece)
            left -= len(piece)
        return total, md5.hexdigest(), sha.hexdigest()

    def do_PUT(self):
        path, query = self.target()
        size, md5, sha = self.drained()
        with self.store.lock:
            if "partNumber" in query:
                self.store.parts[int(query["partNumber"])] = (size, md5, sha)
            else:
                self.store.object = (path, [(size, md5, sha)])
        self.answer(200, ETag=f'"{md5}"')

    def do_POST(self):
        path, query = self.target()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        if "uploads" in query:
            self.store.metadata = {name: value for name, value in self.headers.items() if name.lower().startswith("x-amz-meta-")}
            self.answer(200, b"<InitiateMultipartUploadResult><UploadId>one</UploadId></InitiateMultipartUploadResult>")
            return
        body = body.replace("&quot;", '"')
        numbers = [int(n) for n in re.findall(r"<PartNumber>(\d+)</PartNumber>", body)]
        tags = re.findall(r'<ETag>"?([0-9a-f]+)"?</ETag>', body)
        with self.store.lock:
            parts = self.store.parts
            good = numbers == sorted(set(numbers)) and len(tags) == len(numbers)
            good = good and all(n in parts and parts[n][1] == tag for n, tag in zip(numbers, tags))
            good = good and all(parts[n][0] >= 5 << 20 for n in numbers[:-1])
            if good:
                self.store.object = (path, [parts[n] for n in numbers])
        if good:
            tag = etag(self.store.object[1])
            self.answer(200, f"<CompleteMultipartUploadResult><ETag>{tag}</ETag></CompleteMultipartUploadResult>".encode(), ETag=tag)
        else:
            self.answer(400, b"<Error><Code>InvalidPart</Code></Error>")

    def do_DELETE(self):
        self.target()
        with self.store.lock:
            self.store.parts.clear()
        self.answer(204)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_):
        """A client that goes away is told by its exit code."""


READ_ONLY = """
mount --make-rprivate / || exit 99
for pass in 1 2; do
    awk '{print $2}' /proc/self/mounts | while read -r mount; do mount -o remount,bind,ro "$mount" 2>/dev/null; done
done
for folder in / /tmp /var/tmp /dev/shm "$PWD"; do
    if [ -d "$folder" ] && touch "$folder/.written" 2>/dev/null; then rm -f "$folder/.written"; exit 99; fi
done
exec "$@"
"""


def is_isolated():
    """Whether a namespace with nothing but read-only file systems can be had."""
    if not shutil.which("unshare"):
        return False
    return subprocess.run(["unshare", "-m", "sh", "-c", READ_ONLY, "sh", "true"], capture_output=True).returncode == 0


def run(command, binary, environment):
    """Exit code, standard error, peak of resident memory in bytes, seconds."""
    started = time.monotonic()
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=errors)
        # Of the one process: exec makes it the clip's own. The counter of wait4 could hold this interpreter's.
        peak, name = 0, os.path.basename(binary)[:15]
        while child.poll() is None:
            try:
                with open(f"/proc/{child.pid}/status") as status:
                    found = re.search(r"Name:\s*(\S+)[\s\S]*VmHWM:\s*(\d+) kB", status.read())
            except OSError:
                found = None
            if found and found[1] == name:
                peak = max(peak, int(found[2]) << 10)
            time.sleep(0.01)
        errors.seek(0)
        return child.returncode, errors.read().decode(errors="replace"), peak, time.monotonic() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="target/release/cogclip")
    parser.add_argument("--size", type=int, default=32768, help="pixels of a side; 32768 make 2 GiB")
    parser.add_argument("--most", type=int, default=256, help="MiB of resident memory")
    parser.add_argument("arguments", nargs="*", help="for clip, after --")
    args = parser.parse_args()
    binary = os.path.abspath(args.bin)

    noise = Noise(args.size // TILE * TILE)
    store = Handler.store = Store(noise)
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    west, south = 300000, 5300000 - 10 * args.size
    command = [binary, "clip", "s3:/" + SOURCE, "s3:/" + DESTINATION, f"--bbox={west},{south},{west + 10 * args.size},5300000"]
    command += ["--cutline-crs", "source", "--compress", "none", "--quiet", *args.arguments]
    environment = {
        "PATH": os.environ.get("PATH", ""), "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_address[1]}", "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "not-a-secret", "AWS_EC2_METADATA_DISABLED": "true",
    }  # fmt: skip
    written, trace = [], None
    isolated = is_isolated()
    if isolated:
        command = ["unshare", "-m", "sh", "-c", READ_ONLY, "sh", *command]
    else:
        trace = tempfile.NamedTemporaryFile("r", suffix=".strace")
        command = ["strace", "-f", "-qq", "-e", "trace=open,openat,creat,mkdir,mkdirat,memfd_create", "-o", trace.name, *command]
    code, errors, peak, seconds = run(command, binary, environment)
    if trace:
        pattern = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|creat\(|mkdir(at)?\(|memfd_create\(")
        written = [line for line in trace.read().splitlines() if pattern.search(line) and '"/dev/' not in line]

    path, parts = store.object or ("nothing", [])
    size, most = sum(part[0] for part in parts), args.most << 20
    digest = hashlib.sha256(b"".join(bytes.fromhex(part[2]) for part in parts)).hexdigest()[:16]
    wrong = []
    if code != 0:
        wrong.append(f"exit code {code}: {errors.strip()}")
    if path != DESTINATION or size < args.size // TILE * TILE * (args.size // TILE * TILE) * 2:
        wrong.append(f"{path} has {size} bytes")
    if peak > most:
        wrong.append(f"above {args.most} MiB")
    wrong += [f"written: {line}" for line in written[:5]]
    way = "read-only file systems" if isolated else f"strace: {len(written)} files opened for writing"
    print(
        f"{size / 2**20:.0f} MiB in {len(parts)} parts (SHA-256 of their SHA-256s {digest}) from {store.read / 2**20:.0f} MiB, "
        f"{store.requests} requests, {seconds:.0f} s, peak resident {peak / 2**20:.0f} MiB of at most {args.most}, {way}"
        f"{', ' + ' '.join(args.arguments) if args.arguments else ''}: {'; '.join(wrong) or 'ok'}"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
