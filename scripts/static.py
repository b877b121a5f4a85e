#!/usr/bin/env python3
"""The static binary under test: what kind of file it is, and the main job with it in an empty root.

    scripts/static.py --bin STATIC --ordinary target/release/cogclip [--features serve,lambda] [--image] [--compare BIN]

`scripts/build-static.sh` makes STATIC, and --features are those that it must have been built with. The root holds the binary
and nothing else but, where it is said, one file of roots or one resolv.conf; a chroot goes there. A small S3 server on loopback
speaks TLS by a certificate of an authority made for the occasion (signatures are not looked at, conditions and ranges are), and a
DNS server on loopback knows one name. What comes out is the same bytes as from the ordinary build outside, and rasterio.mask's pixels.
With --image, buildah makes the image of deploy/Dockerfile, with this binary in the place of the one that its first stage would
compile in the image of Rust: all else of the file is carried out as it stands.
Needs root for the chroot and for port 53, or a kernel that lets users have namespaces; openssl, readelf, ldd and the packages of
scripts/requirements.txt. --image takes root. Reaches the loopback
interface only.

With --compare, another binary (one with another allocator, say) and the two above take turns at clips of a raster
of noise, five times each; medians are printed and prove nothing right or wrong.

Prints `N passed, N failed`; exit code 1 if any failed.
"""

import argparse
import fcntl
import hashlib
import json
import os
import re
import shutil
import socket
import socketserver
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import unquote, urlsplit

import certifi
import numpy as np
import rasterio
import rasterio.mask
from rasterio.io import MemoryFile
from rasterio.warp import transform_geom

ROOT = Path(__file__).resolve().parent.parent
MOST_BYTES = 20_000_000
# As the system has it: the environment that the binary gets is bare, and so may be the one that this has.
SYSTEM = "/usr/sbin:/sbin:/usr/bin:/bin"
NAME = "s3.cogclip.test"
# Any of 127/8 is loopback; one that no resolver of the machine's own has.
NAME_SERVER = "127.83.67.71"
# Exit codes: of the usage, and of reading, writing and the network.
USAGE, IO = 2, 5
KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "the-key-of-a-test-only",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Checks:
    def __init__(self):
        self.passed, self.failed = 0, 0

    def that(self, holds, what):
        self.passed, self.failed = self.passed + bool(holds), self.failed + (not holds)
        print("ok  " if holds else "FAIL", what, flush=True)


class Connection(socketserver.StreamRequestHandler):
    """S3, path-style, over TLS."""

    disable_nagle_algorithm = True
    timeout = 60

    def setup(self):
        # Here and not where connections are accepted: who does not trust the certificate must not hold up others.
        self.request.settimeout(self.timeout)
        self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    def handle(self):
        try:
            while self.one():
                pass
        except (ConnectionError, TimeoutError, ssl.SSLError):
            pass

    def one(self):
        words = self.rfile.readline().decode("latin1").split()
        if len(words) != 3:
            return False
        method, path, headers = words[0], unquote(urlsplit(words[1]).path), {}
        while line := self.rfile.readline().strip():
            name, _, value = line.decode("latin1").partition(":")
            headers[name.lower()] = value.strip()
        self.server.asked.append((method, path, headers.get("host", "").partition(":")[0]))
        body = self.rfile.read(int(headers.get("content-length", 0)))
        objects = self.server.objects
        if method == "PUT":
            if headers.get("if-none-match") == "*" and path in objects:
                return self.answer("412 Precondition Failed", b"<Error><Code>PreconditionFailed</Code></Error>")
            objects[path] = body
            return self.answer("200 OK", b"", [f'ETag: "{hashlib.md5(body).hexdigest()}"'])
        body = objects.get(path)
        if body is None:
            return self.answer("404 Not Found", b"" if method == "HEAD" else b"<Error><Code>NoSuchKey</Code></Error>")
        fields = [f'ETag: "{hashlib.md5(body).hexdigest()}"', "Accept-Ranges: bytes"]
        if method == "HEAD":
            return self.answer("200 OK", b"", fields, len(body))
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", headers.get("range", ""))
        if not found:
            return self.answer("200 OK", body, fields)
        start, end = int(found[1]), min(int(found[2]) + 1, len(body))
        return self.answer("206 Partial Content", body[start:end], [*fields, f"Content-Range: bytes {start}-{end - 1}/{len(body)}"])

    def answer(self, status, body, fields=(), length=None):
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *fields, "", ""]
        self.wfile.write("\r\n".join(lines).encode() + body)
        return True


class Store(socketserver.ThreadingTCPServer):
    daemon_threads, allow_reuse_address, request_queue_size = True, True, 128

    def __init__(self, folder):
        self.objects, self.asked, self.refused = {}, [], []
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(folder / "server.pem", folder / "server.key")
        super().__init__(("127.0.0.1", 0), Connection)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        self.refused.append(str(sys.exception()))

    def at(self, host):
        return f"https://{host}:{self.server_address[1]}"


class Names(socketserver.ThreadingUDPServer):
    """DNS (RFC 1035) that knows one name, of which it has an IPv4 address and no other record."""

    daemon_threads, allow_reuse_address = True, True

    def __init__(self):
        self.asked = []
        super().__init__((NAME_SERVER, 53), Question)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Question(socketserver.BaseRequestHandler):
    def handle(self):
        asked, reply = self.request
        labels, at = [], 12
        while asked[at]:
            labels.append(asked[at + 1 : at + 1 + asked[at]].decode("ascii"))
            at += 1 + asked[at]
        name, kind = ".".join(labels).lower(), int.from_bytes(asked[at + 1 : at + 3], "big")
        self.server.asked.append((name, kind))
        known = name == NAME
        answers = known and kind == 1
        # A response, recursion available; NXDOMAIN (3) for what is not known.
        head = asked[:2] + struct.pack(">HHHHH", 0x8180 | (0 if known else 3), 1, int(answers), 0, 0)
        record = struct.pack(">HHHIH4B", 0xC00C, 1, 1, 60, 4, 127, 0, 0, 1) if answers else b""
        reply.sendto(head + asked[12 : at + 5] + record, self.client_address)


def make_certificates(folder):
    """An authority, `root.pem`, and a server of it that has NAME and 127.0.0.1 for names."""

    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    use = ["-addext", "basicConstraints=critical,CA:true", "-addext", "keyUsage=critical,keyCertSign"]
    openssl("req", "-x509", *key, "-keyout", "root.key", "-out", "root.pem", "-days", "2", "-subj", "/CN=an authority of one day", *use)
    (folder / "names").write_text(f"subjectAltName=DNS:{NAME},IP:127.0.0.1\nbasicConstraints=critical,CA:false\nextendedKeyUsage=serverAuth\n")
    openssl("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=a server")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", "server.pem")


def root_of(folder, name, binary, **files):
    """An empty root but for the binary and the files given, by names in which `__` stands for a slash."""
    root = folder / name
    root.mkdir()
    shutil.copy(binary, root / "cogclip")
    for path, data in files.items():
        path = root / path.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def words_in(root, *words):
    return [shutil.which("chroot", path=SYSTEM), str(root), "/cogclip", *words]


def run(words, environment=None):
    return subprocess.run(words, env=environment or {}, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300)


def be_root():
    """Starts anew as root of namespaces of its own, where the user is another."""
    if os.geteuid() != 0:
        unshare = shutil.which("unshare", path=SYSTEM)
        if not unshare or "COGCLIP_STATIC_UNSHARED" in os.environ:
            sys.exit("scripts/static.py: a chroot takes root or the command unshare")
        os.environ["COGCLIP_STATIC_UNSHARED"] = "1"
        os.execv(unshare, [unshare, "--user", "--map-root-user", "--net", sys.executable, *sys.argv])
    if "COGCLIP_STATIC_UNSHARED" in os.environ:
        # The loopback interface of a new namespace is down: SIOCSIFFLAGS with IFF_UP and IFF_LOOPBACK.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            fcntl.ioctl(control, 0x8914, struct.pack("16sh14x", b"lo", 0x1 | 0x8))


def check_file(checks, binary):
    ldd = run([shutil.which("ldd", path=SYSTEM), binary], {"PATH": SYSTEM})
    said = " ".join((ldd.stdout + ldd.stderr).split())
    checks.that(re.search(r"statically linked|not a dynamic executable", said), f"ldd: {said}")
    readelf = shutil.which("readelf", path=SYSTEM)
    segments = run([readelf, "-lW", binary]).stdout
    checks.that("LOAD" in segments and "INTERP" not in segments, "readelf: no segment INTERP, so no loader is looked for")
    checks.that("NEEDED" not in run([readelf, "-dW", binary]).stdout, "readelf: no library is NEEDED")
    size = Path(binary).stat().st_size
    checks.that(size <= MOST_BYTES, f"{size:,} bytes, at most {MOST_BYTES:,}")
    held = Path(binary).read_bytes()
    known = [ssl.PEM_cert_to_DER_cert(pem) for pem in re.findall(r"-----BEGIN.*?END CERTIFICATE-----\n", Path(certifi.where()).read_text(), re.S)]
    # Both are Mozilla's list, of different days.
    inside = sum(der in held for der in known)
    checks.that(len(known) > 100 and inside >= 0.9 * len(known), f"{inside} of certifi's {len(known)} root certificates are in it, byte by byte")


def field():
    """The sample's cutline in the scene's CRS, and so without a question of how its edges are to be projected."""
    collection = json.loads((ROOT / "testdata/sample/field.geojson").read_text())
    with rasterio.open(ROOT / "testdata/sample/scene.tif") as scene:
        return transform_geom("OGC:CRS84", scene.crs, collection["features"][0]["geometry"])


def clip(name):
    return ["clip", "s3://in/scene.tif", f"s3://out/{name}", "--cutline", json.dumps(field()), "--cutline-crs", "source", "--quiet"]


def check_pixels(checks, output):
    """That the output is rasterio.mask's."""
    with rasterio.open(ROOT / "testdata/sample/scene.tif") as scene, MemoryFile(output) as file, file.open() as made:
        wanted, transform = rasterio.mask.mask(scene, [field()], crop=True, filled=False)
        valid = made.dataset_mask() > 0
        same = transform == made.transform and np.array_equal(valid, ~wanted.mask[0]) and np.array_equal(made.read()[:, valid], wanted.data[:, valid])
        checks.that(same and 0 < valid.sum() < valid.size, f"it keeps the {valid.sum():,} of {valid.size:,} pixels that rasterio.mask keeps, with their values")


def check_jobs(checks, folder, binary, ordinary):
    make_certificates(folder)
    root = (folder / "root.pem").read_bytes()
    store = Store(folder)
    store.objects["/in/scene.tif"] = (ROOT / "testdata/sample/scene.tif").read_bytes()
    by_address = {**KEYS, "AWS_ENDPOINT_URL": store.at("127.0.0.1")}

    outside = {**by_address, "SSL_CERT_FILE": str(folder / "root.pem")}
    ran = run([ordinary, *clip("ordinary.tif")], outside)
    wanted = store.objects.get("/out/ordinary.tif")
    checks.that(ran.returncode == 0 and wanted, f"the ordinary build clips over TLS, outside {ran.stderr.strip()}")
    if not wanted:
        return

    empty = root_of(folder, "empty", binary)
    ran = run(words_in(empty, "--version"))
    checks.that(ran.returncode == 0 and ran.stdout == run([ordinary, "--version"]).stdout, f"in a root with nothing else: {ran.stdout.strip()}{ran.stderr.strip()}")

    store.asked.clear()
    ran = run(words_in(empty, *clip("refused.tif")), by_address)
    said = ran.stderr.strip()
    checks.that(
        ran.returncode == IO and "certificate is not trusted" in said and "issuer is not known" in said and "SSL_CERT_FILE" in said,
        f"there, roots are Mozilla's, and an authority of one's own is refused with exit code {ran.returncode}: {said}",
    )
    checks.that(not store.asked and "/out/refused.tif" not in store.objects, "and nothing was asked of its server")

    named = root_of(folder, "named", binary, **{"root.pem": root})
    ran = run(words_in(named, *clip("static.tif")), {**by_address, "SSL_CERT_FILE": "/root.pem"})
    made = store.objects.get("/out/static.tif")
    checks.that(ran.returncode == 0 and made, f"with SSL_CERT_FILE it clips from bucket to bucket {ran.stderr.strip()}")
    checks.that(made == wanted, f"its output is the ordinary build's, byte by byte ({len(made or b''):,} bytes)")
    if made:
        check_pixels(checks, made)
    left = sorted(str(path.relative_to(named)) for path in named.rglob("*"))
    checks.that(left == ["cogclip", "root.pem"], f"and the root holds what it held: {', '.join(left)}")

    ran = run(words_in(named, *clip("missing.tif")), {**by_address, "SSL_CERT_FILE": "/absent.pem"})
    checks.that(ran.returncode == USAGE and "SSL_CERT_FILE: /absent.pem cannot be read" in ran.stderr, f"a file that is not there is an error: {ran.stderr.strip()}")

    names = Names()
    resolving = root_of(folder, "resolving", binary, **{"root.pem": root, "etc__resolv.conf": f"nameserver {NAME_SERVER}\n".encode()})
    by_name = {**KEYS, "SSL_CERT_FILE": "/root.pem", "AWS_ENDPOINT_URL": store.at(NAME)}
    store.asked.clear()
    ran = run(words_in(resolving, *clip("resolved.tif")), by_name)
    made = store.objects.get("/out/resolved.tif")
    checks.that(ran.returncode == 0 and made == wanted, f"a name that /etc/resolv.conf's server knows is found, without NSS, and the output is the same {ran.stderr.strip()}")
    checks.that((NAME, 1) in names.asked and {host for *_, host in store.asked} == {NAME}, f"it was asked for: {len(names.asked)} questions, {len(store.asked)} requests by that name")
    began = time.monotonic()
    ran = run(words_in(resolving, *clip("unknown.tif"), "--max-retries", "0"), {**by_name, "AWS_ENDPOINT_URL": store.at("absent.cogclip.test")})
    checks.that(
        ran.returncode == IO and "name cannot be resolved" in ran.stderr and ("absent.cogclip.test", 1) in names.asked,
        f"one that it does not know is an error after {time.monotonic() - began:.1f} s, exit code {ran.returncode}: {ran.stderr.strip()}",
    )
    names.shutdown()
    names.server_close()
    check_service(checks, named, store)
    store.shutdown()


def has(binary, command):
    return re.search(rf"^\s+{command}\b", run([binary, "--help"]).stdout, re.M)


def check_service(checks, root, store):
    """Where it has `serve`, that this starts in the empty root and answers."""
    binary = root / "cogclip"
    for command in ("serve", "lambda"):
        if has(binary, command):
            ran = run(words_in(root, command, "--help"))
            checks.that(ran.returncode == 0 and "Usage:" in ran.stdout, f"{command} --help")
    if not has(binary, "serve"):
        return
    words = words_in(root, "serve", "--listen", "127.0.0.1:0", "--allow-src", "s3://in/", "--allow-dst", "s3://out/", "--max-memory", "256MiB")
    environment = {**KEYS, "AWS_ENDPOINT_URL": store.at("127.0.0.1"), "SSL_CERT_FILE": "/root.pem", "COGCLIP_TOKEN": "the-token-of-a-test"}
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(words, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            url = None
            for _ in range(200):
                log.seek(0)
                text = log.read()
                if (found := re.search(r"listening at (http://127\.0\.0\.1:\d+)", text)) or process.poll() is not None:
                    url = found and found[1]
                    break
                time.sleep(0.05)
            status = None
            if url:
                with urllib.request.urlopen(f"{url}/healthz", timeout=30) as answer:
                    status = answer.status
            checks.that(status == 200, f"serve answers from the empty root{'' if status else ': ' + text.strip()}")
        finally:
            process.terminate()
            process.wait(60)


def check_image(checks, folder, binary, ordinary):
    """That deploy/Dockerfile makes an image of the binary, and that its first stage has the files that cargo asks for."""
    buildah = shutil.which("buildah")
    if not buildah:
        checks.that(False, "buildah makes the image: it is missing (apt-get install buildah)")
        return
    text = (ROOT / "deploy/Dockerfile").read_text()
    # The image of Rust is not here: its stage is made without it, up to the compiler's run.
    base = re.search(r"^FROM rust:([\d.]+)-\S+ AS build$", text, re.M)
    least = re.search(r'^rust-version = "(.+)"$', (ROOT / "Cargo.toml").read_text(), re.M)
    checks.that(base and base[1] == least[1], f"the first stage has Rust {least[1]}, as Cargo.toml")
    compiles = re.search(r"^RUN (scripts/build-static\.sh) .* && cp (\S+) cogclip$", text, re.M)
    wanted = "target/x86_64-unknown-linux-musl/release/cogclip"
    checks.that(compiles and compiles[2] == wanted and len(re.findall("^RUN ", text, re.M)) == 1, f"it calls scripts/build-static.sh once and takes {wanted}")
    if not base or not compiles:
        return
    storage = [buildah, "--storage-driver", "vfs", "--root", f"{folder}/storage", "--runroot", f"{folder}/runroot"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}

    def build(text, tag, *words):
        (folder / "Dockerfile").write_text(text)
        (folder / "Dockerfile.dockerignore").write_text((ROOT / "deploy/Dockerfile.dockerignore").read_text())
        return run([*storage, "bud", "--isolation", "chroot", "-t", tag, "-f", f"{folder}/Dockerfile", *words, str(ROOT)], environment)

    def tree(tag):
        container = run([*storage, "from", "--pull-never", tag], environment).stdout.strip()
        return container, Path(run([*storage, "mount", container], environment).stdout.strip() or folder / "nowhere")

    first, _, last = text.replace(base[0], "FROM scratch AS build").replace(compiles[0], "").rpartition("\nFROM ")
    ran = build(first, "first")
    _, files = tree("first")
    files = files / "cogclip"

    def targets(root):
        """What cargo finds to build there. Of a file that Cargo.toml names and that is missing, only the build itself complains."""
        words = ["cargo", "metadata", "--locked", "--offline", "--no-deps", "--format-version", "1", "--manifest-path", f"{root}/Cargo.toml"]
        found = json.loads(run(words, dict(os.environ)).stdout or '{"packages": []}')["packages"]
        return {(*target["kind"], target["name"]) for package in found for target in package["targets"] if target["kind"] != ["example"]}

    missing = targets(ROOT) - targets(files)
    executable = os.access(files / compiles[1], os.X_OK)
    checks.that(
        ran.returncode == 0 and not missing and executable and (files / "Cargo.lock").exists(),
        f"its files are all that cargo asks for {ran.stderr[-300:] if ran.returncode else sorted(missing) or ''}",
    )

    stage = folder / "stage/cogclip"
    stage.mkdir(parents=True)
    for name in ("LICENSE-APACHE", "LICENSE-MIT", "NOTICE"):
        if (files / name).exists():
            shutil.copy(files / name, stage)
    shutil.copy(binary, stage / "cogclip")
    ran = build(f"FROM {last}", "image", "--build-context", f"build={stage.parent}")
    container, files = tree("image")
    held = sorted(str(path.relative_to(files)) for path in files.rglob("*") if path.is_file()) if files.is_dir() else []
    checks.that(ran.returncode == 0 and held == ["cogclip", "licenses/LICENSE-APACHE", "licenses/LICENSE-MIT", "licenses/NOTICE"], f"the image holds {', '.join(held)} {ran.stderr[-300:] if ran.returncode else ''}")
    config = json.loads(run([*storage, "inspect", "--type", "image", "image"], environment).stdout or "{}").get("OCIv1", {}).get("config", {})
    checks.that(config.get("User") == "65532:65532" and config.get("Entrypoint") == ["/cogclip"], f"it starts {config.get('Entrypoint')} as {config.get('User')}")
    ran = run([*storage, "run", "--isolation", "chroot", container, "--", *config.get("Entrypoint", []), "--version"], environment)
    checks.that(ran.returncode == 0 and ran.stdout == run([ordinary, "--version"]).stdout, f"and runs: {ran.stdout.strip()}{ran.stderr.strip()}")
    for container in run([*storage, "containers", "-q"], environment).stdout.split():
        run([*storage, "umount", container], environment)


def compare(folder, binaries, side=8192, times=5):
    """Prints the median wall time, processor time and peak of memory of clips by each of the binaries, which take turns."""
    rng = np.random.default_rng(1)
    profile = {
        "driver": "GTiff", "width": side, "height": side, "count": 3, "dtype": "uint8", "crs": "EPSG:32633", "tiled": True, "blockxsize": 256,
        "blockysize": 256, "transform": rasterio.Affine(10, 0, 300000, 0, -10, 5300000), "compress": "deflate", "predictor": 2,
    }  # fmt: skip
    with rasterio.open(folder / "noise.tif", "w", **profile) as out:
        for _, window in out.block_windows(1):
            trend = np.arange(window.col_off, window.col_off + window.width) // 40 % 200
            out.write((trend + rng.integers(0, 16, (3, window.height, window.width))).astype(np.uint8), window=window)
    angles = np.linspace(0, 2 * np.pi, 20_000)
    radius = side * 10 * (0.44 + 0.03 * np.sin(40 * angles))
    ring = np.column_stack([300000 + side * 5 + radius * np.cos(angles), 5300000 - side * 5 + radius * np.sin(angles)]).tolist()
    (folder / "cutline.json").write_text(json.dumps({"type": "Polygon", "coordinates": [[*ring[:-1], ring[0]]]}))
    for words in (["--threads", "1"], ["--threads", "2"], ["--threads", "8"], ["--threads", "2", "--compress", "zstd"]):
        measured = {binary: [] for binary in binaries}
        for _ in range(times):
            for binary in binaries:
                command = [binary, "clip", folder / "noise.tif", folder / "out.tif", "--cutline", folder / "cutline.json", "--cutline-crs", "source", "--overwrite", "--quiet", *words]
                began = time.monotonic()
                process = subprocess.Popen(command, env={}, stdin=subprocess.DEVNULL)
                _, status, usage = os.wait4(process.pid, 0)
                if status:
                    sys.exit(f"{command} failed")
                measured[binary].append((time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024))
        for binary, values in measured.items():
            wall, processor, memory = np.median(values, axis=0)
            print(f"{' '.join(words)}: {binary.name}: {wall:.2f} s, {processor:.2f} s of processors, {memory:.0f} MiB", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--bin", required=True, type=Path)
    parser.add_argument("--ordinary", required=True, type=Path)
    parser.add_argument("--features", default="", help="features that the static binary must have, by commas")
    parser.add_argument("--image", action="store_true", help="make the image of deploy/Dockerfile, too")
    parser.add_argument("--compare", type=Path, help="a binary to measure the two against")
    options = parser.parse_args()
    be_root()
    binary, ordinary = options.bin.resolve(), options.ordinary.resolve()
    checks = Checks()
    check_file(checks, binary)
    for feature in filter(None, options.features.split(",")):
        checks.that(has(binary, feature), f"it was built with {feature}")
    with tempfile.TemporaryDirectory() as folder:
        check_jobs(checks, Path(folder), binary, ordinary)
    if options.image:
        with tempfile.TemporaryDirectory() as folder:
            check_image(checks, Path(folder), binary, ordinary)
    if options.compare:
        with tempfile.TemporaryDirectory() as folder:
            compare(Path(folder), [binary, options.compare.resolve(), ordinary])
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
