#!/usr/bin/env python3
"""Runs a manifest in shards, as Kubernetes, AWS Batch and Slurm do, and on Dask and Spark, of each of which a worker is killed in
mid-run; compares every output with rasterio.mask.

    scripts/engines.py --bin target/release/cogclip [--only shards|dask|spark] [--keep DIR]

A loopback S3 (moto) holds a few scenes; a manifest has some 70 items on them, one of which overlaps nothing, one of which has no
source, and one whose destination is there before. `examples/dask_batch.py` runs it on a cluster of 2 worker processes with
nannies, `examples/spark_batch.py` on local-cluster[2,1,1024]. The binary goes through a wrapper that counts its starts. In both:
- the first start of all crashes before it reads anything;
- when a third of the outputs are there, a worker process (Dask) or an executor's JVM (Spark) that is in the middle of a
  partition, with outputs of it there and others to come, gets SIGKILL;
- one output is published by somebody else, who has made the same, just before it is published here;
- afterwards there is one report row an item and one object a clip, each equal to rasterio.mask.mask to the last sample and
  coordinate; the failures are rows with their exit codes; what was there before was not touched; the partition of the killed
  worker was run again, and what its first run had published was found, and not made again; no upload is left open and none of
  the binary's processes is left running.

The shards are run with the very arguments of deploy/kubernetes and deploy/aws-batch and the script of docs/engines.md, in the
environment that those engines give. Of each, one shard is run once more, as after a node that was lost.

Loopback only, with static keys. Kills only what it has started. Prints `N passed, N failed`; exit code 1 if any failed.
"""

import argparse
import contextlib
import io
import json
import logging
import math
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

KEYS = {"AWS_ACCESS_KEY_ID": "engines", "AWS_SECRET_ACCESS_KEY": "engines-secret", "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}
for name in [name for name in os.environ if name.startswith(("AWS_", "SPARK_", "DASK_")) or name.lower().endswith("_proxy")]:
    del os.environ[name]
os.environ.update(KEYS, AWS_EC2_METADATA_DISABLED="true", GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", NO_PROXY="*")

import boto3
import numpy as np
import pandas
import rasterio
import rasterio.mask
import rasterio.shutil
import yaml
from affine import Affine
from botocore.config import Config
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from rasterio.io import MemoryFile
from werkzeug.serving import make_server

ROOT = Path(__file__).resolve().parent.parent
CRS, PIXEL, SIZE, NODATA = "EPSG:32633", 10.0, 1024, 0
SCENES, FIELDS, PARTITIONS = 6, 12, 6
NO_OVERLAP, NO_SOURCE, BEFORE, DOUBLE = 5, 40, 21, 50
# An engine must be through after so many seconds.
PATIENCE = 200


class Store:
    """An S3 on loopback that tells how many outputs it holds, as each comes in."""

    def __init__(self):
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self.bucket, self.published, self.on_publish = None, set(), None
        self.double, self.doubled = None, False
        inner = DomainDispatcherApplication(create_backend_app)

        def application(environ, start_response):
            path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
            statuses = []

            def start(status, headers, *rest):
                statuses.append(status)
                return start_response(status, headers, *rest)

            if method == "PUT" and self.doubled is False and path == self.double:
                # Somebody who is given up but lives writes the same a moment before, under a marker of his own.
                content = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
                other = {**environ, "wsgi.input": io.BytesIO(content), "HTTP_X_AMZ_META_COGCLIP_WRITE": "0123456789abcdef"}
                b"".join(inner(other, lambda *_: None))
                environ["wsgi.input"] = io.BytesIO(content)
                self.doubled = True
            body = list(inner(environ, start))
            if method == "PUT" and self.bucket and path.startswith(f"/{self.bucket}/") and statuses and statuses[0].startswith("200"):
                self.published.add(path)
                if self.on_publish:
                    # Before the answer goes out: whoever wrote this is in the middle of a partition.
                    self.on_publish()
            return body

        # One request after the other: moto's conditions hold then as Amazon's do.
        self.server = make_server("127.0.0.1", 0, application, threaded=False)
        self.url = f"http://127.0.0.1:{self.server.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.client = boto3.client("s3", endpoint_url=self.url, config=Config(s3={"addressing_style": "path"}, proxies={}))


def make_scenes(store, folder):
    store.client.create_bucket(Bucket="scenes")
    for n in range(SCENES):
        rng = np.random.default_rng(n)
        y, x = np.mgrid[0:SIZE, 0:SIZE]
        data = (2000 + 900 * np.sin(x / 60 + n) + 700 * np.cos(y / 80) + rng.integers(0, 100, (SIZE, SIZE))).astype("uint16")
        data[100:160, 300:500] = NODATA
        profile = dict(driver="GTiff", width=SIZE, height=SIZE, count=1, dtype="uint16", crs=CRS, nodata=NODATA)
        path = folder / f"scene-{n}.tif"
        with MemoryFile() as memory:
            with memory.open(**profile, transform=Affine(PIXEL, 0, 300000.0 + 20000 * n, 0, -PIXEL, 5300000.0)) as out:
                out.write(data, 1)
            rasterio.shutil.copy(memory.name, path, driver="COG", blocksize=256, compress="deflate", predictor="yes")
        store.client.upload_file(str(path), "scenes", path.name)


def star(rng, x, y, radius, points):
    ring = []
    for k in range(points):
        angle, r = 2 * math.pi * k / points, radius * rng.uniform(0.5, 1.0)
        ring.append([x + r * math.cos(angle), y + r * math.sin(angle)])
    return [*ring, ring[0]]


def make_rows(bucket):
    """The sources in turns, so that keeping them together takes doing."""
    rng = random.Random(5)
    rows = []
    for n in range(SCENES * FIELDS):
        scene = n % SCENES
        radius = rng.uniform(300, 1800)
        x = 300000.0 + 20000 * scene + rng.uniform(radius, SIZE * PIXEL - radius)
        y = 5300000.0 - rng.uniform(radius, SIZE * PIXEL - radius)
        if n == NO_OVERLAP:
            y -= 1e6
        polygon = {"type": "Polygon", "coordinates": [star(rng, x, y, radius, rng.randint(5, 25))]}
        source = "s3://scenes/missing.tif" if n == NO_SOURCE else f"s3://scenes/scene-{scene}.tif"
        # As an object and as text: both are allowed.
        row = {"src": source, "cutline": polygon if n % 2 else json.dumps(polygon), "cutline_crs": "source", "dst": f"s3://{bucket}/field-{n:03}.tif"}
        if n % 3 == 0:
            row["all_touched"] = True
        rows.append(row)
    return rows


def processes():
    """Parent and command line of every process that runs, by number."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                stat = Path(f"/proc/{entry}/stat").read_text()
                fields = stat[stat.rindex(")") + 2 :].split()
                # A zombie runs no more.
                if fields[0] != "Z":
                    found[int(entry)] = (int(fields[1]), Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found


def descends(pid, ancestor, table):
    while pid in table and pid != ancestor:
        pid = table[pid][0]
    return pid == ancestor


class Counted:
    """The binary behind a wrapper that writes down each start by process number, with its manifest, and crashes on the first."""

    def __init__(self, binary, folder):
        self.folder, self.log, self.path = folder, folder / "starts", folder / "cogclip"
        self.log.touch()
        script = [
            "#!/bin/sh",
            f'echo $$ >>"{self.log}"',
            f'mkdir "{folder}/crashed" 2>/dev/null && exit 101',
            f'cat >"{folder}/manifest.$$"',
            f'exec "{binary}" "$@" <"{folder}/manifest.$$"',
        ]
        self.path.write_text("\n".join(script) + "\n")
        self.path.chmod(0o755)

    def starts(self):
        return [int(line) for line in self.log.read_text().split()]

    def running(self, table):
        # By name too: a number may be another's by now.
        return [pid for pid in self.starts() if pid in table and "batch" in table[pid][1]]

    def outputs(self, pid):
        """Paths of what this start is to write, as requests name them."""
        with contextlib.suppress(OSError, ValueError):
            return {json.loads(line)["dst"].replace("s3:/", "", 1) for line in (self.folder / f"manifest.{pid}").read_text().splitlines()}
        return set()


class Killer:
    """Kills one of the workers that `candidates` names, when a third of the outputs are there and it is in mid-partition."""

    def __init__(self, store, counted, rows, candidates):
        self.store, self.counted, self.after, self.candidates = store, counted, len(rows) // 3, candidates
        self.killed, self.outputs, self.left_behind = None, set(), set()
        store.on_publish = self.published

    def published(self):
        if self.killed is not None or len(self.store.published) < self.after:
            return
        table = processes()
        for run in self.counted.running(table):
            outputs = self.counted.outputs(run)
            there = outputs & self.store.published
            # Some of its partition is there and some is to come, more than what it may have in flight.
            if there and len(outputs - there) >= 4:
                for worker in self.candidates(table):
                    if descends(run, worker, table):
                        os.kill(worker, signal.SIGKILL)
                        self.killed, self.outputs, self.left_behind = worker, outputs, there
                        return


class Verdicts:
    def __init__(self):
        self.passed = self.failed = 0

    def check(self, holds, what):
        self.passed += bool(holds)
        self.failed += not holds
        print(f"{'ok' if holds else 'FAILED'}: {what}", flush=True)


def differs(folder, store, row):
    """What is not as rasterio.mask has it, or None."""
    bucket, key = row["dst"].removeprefix("s3://").split("/", 1)
    try:
        content = store.client.get_object(Bucket=bucket, Key=key)["Body"].read()
    except store.client.exceptions.NoSuchKey:
        return f"{key} is missing"
    cutline = json.loads(row["cutline"]) if isinstance(row["cutline"], str) else row["cutline"]
    with rasterio.open(folder / Path(row["src"]).name) as source:
        expected, transform = rasterio.mask.mask(source, [cutline], crop=True, all_touched=row.get("all_touched", False), nodata=NODATA)
    with MemoryFile(content) as memory, memory.open() as out:
        found = out.read()
        if out.transform != transform or found.shape != expected.shape or out.nodata != NODATA:
            return f"{key}: {found.shape} at {tuple(out.transform)[:6]} is not {expected.shape} at {tuple(transform)[:6]}"
    unequal = int((found != expected).sum())
    return f"{key}: {unequal} samples" if unequal else None


def judge(name, verdicts, store, folder, rows, report, counted, killer, code, seconds):
    good = [n for n in range(len(rows)) if n not in (NO_OVERLAP, NO_SOURCE, BEFORE)]
    table = processes()
    verdicts.check(killer.killed is not None, f"{name}: process {killer.killed} was killed in mid-run")
    verdicts.check(code == 1, f"{name}: exit code 1, since items failed (it was {code}; {seconds:.0f} s)")
    verdicts.check(sorted(report["item"]) == list(range(len(rows))), f"{name}: one report row an item ({len(report)} for {len(rows)})")
    status = dict(zip(report["item"], report["status"]))
    exits = {int(item): int(found) for item, found in zip(report["item"], report["exit_code"]) if not pandas.isna(found)}
    verdicts.check(exits == {NO_OVERLAP: 8, NO_SOURCE: 5, BEFORE: 9}, f"{name}: the items that cannot be done have exit codes 8, 5 and 9 ({exits})")
    verdicts.check(all(status.get(n) == "done" for n in good), f"{name}: all other items are done")
    reports = {item: json.loads(text) for item, text in zip(report["item"], report["report"]) if isinstance(text, str)}
    verdicts.check(
        all(item == told["item"] and told["dst"] == rows[item]["dst"] for item, told in reports.items()) and len(reports) == len(rows),
        f"{name}: every report is that of its item",
    )
    of_source = {}
    for item, part in zip(report["item"], report["partition"]):
        of_source.setdefault(rows[item]["src"], set()).add(part)
    verdicts.check(all(len(parts) == 1 for parts in of_source.values()), f"{name}: the items of a source are in one partition")
    held = [entry["Key"] for entry in store.client.list_objects_v2(Bucket=store.bucket).get("Contents", [])]
    wanted = sorted(Path(rows[n]["dst"]).name for n in [*good, BEFORE])
    verdicts.check(sorted(held) == wanted, f"{name}: one object a clip, and nothing else ({len(held)} for {len(wanted)})")
    wrong = [difference for n in good if (difference := differs(folder, store, rows[n]))]
    verdicts.check(not wrong, f"{name}: {len(good) - len(wrong)} outputs of {len(good)} equal rasterio.mask {'; '.join(wrong[:3])}")
    before = store.client.get_object(Bucket=store.bucket, Key=Path(rows[BEFORE]["dst"]).name)["Body"].read()
    verdicts.check(before == b"before", f"{name}: what was there before is as it was")
    parts = report["partition"].nunique()
    starts = counted.starts()
    # The one that crashed has read nothing.
    verdicts.check(parts >= 4 and len(starts) > len(list(counted.folder.glob("manifest.*[0-9]"))), f"{name}: {parts} partitions, {len(starts)} starts, the first of which crashed")
    runs = sum(counted.outputs(pid) == killer.outputs for pid in starts)
    verdicts.check(killer.outputs and runs >= 2, f"{name}: the partition of the killed worker was run {runs} times")
    found = {rows[n]["dst"].replace("s3:/", "", 1) for n in good if reports.get(n, {}).get("found")}
    verdicts.check(
        killer.left_behind and killer.left_behind <= found,
        f"{name}: all that the killed run had published was found, and not made again ({len(killer.left_behind & found)} of {len(killer.left_behind)})",
    )
    verdicts.check(
        store.doubled and reports[DOUBLE].get("found") is True,
        f"{name}: an output that another attempt published a moment before is known as its own",
    )
    open_uploads = store.client.list_multipart_uploads(Bucket=store.bucket).get("Uploads", [])
    verdicts.check(not open_uploads, f"{name}: no upload is left open")
    left = counted.running(table)
    verdicts.check(not left, f"{name}: none of the binary's processes is left running")
    for pid in left:
        os.kill(pid, signal.SIGKILL)


def call(command, log):
    """Runs an example in a session of its own; its exit code, or None where it took too long."""
    with open(log, "wb") as output:
        child = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            return child, child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            return child, None
        finally:
            # What of its session is left: with it goes the driver's JVM, and with that its executors.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)


def prepare(name, store, binary, folder):
    """Bucket, manifest and wrapper of one engine."""
    place = folder / name
    place.mkdir()
    store.bucket = None
    store.client.create_bucket(Bucket=name)
    rows = make_rows(name)
    store.client.put_object(Bucket=name, Key=Path(rows[BEFORE]["dst"]).name, Body=b"before")
    store.bucket, store.published = name, set()
    store.double, store.doubled = None, False
    (place / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return place, rows, Counted(binary, place)


def on_dask(store, binary, folder, verdicts):
    from distributed import LocalCluster

    place, rows, counted = prepare("dask-run", store, binary, folder)
    store.double = rows[DOUBLE]["dst"].replace("s3:/", "", 1)
    report = place / "report.parquet"
    started = time.monotonic()
    # Worker processes of this one, with a nanny each that starts them anew.
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None, silence_logs=50, local_directory=str(place)) as cluster:
        killer = Killer(store, counted, rows, lambda table: [nanny.pid for nanny in cluster.workers.values() if nanny.pid])
        command = [sys.executable, ROOT / "examples/dask_batch.py", place / "manifest.jsonl", "--bin", counted.path, "--scheduler", cluster.scheduler_address]
        _, code = call([*command, "--partitions", PARTITIONS, "--report", report, "--", "--store-option", f"aws_endpoint={store.url}"], place / "log")
        seconds = time.monotonic() - started
    if not report.exists():
        sys.stdout.write((place / "log").read_text()[-6000:])
        verdicts.check(False, f"dask: a report (exit code {code}, {seconds:.0f} s)")
        return
    judge("dask", verdicts, store, folder, rows, pandas.read_parquet(report), counted, killer, code, seconds)


def on_spark(store, binary, folder, verdicts):
    import pyspark

    place, rows, counted = prepare("spark-run", store, binary, folder)
    store.double = rows[DOUBLE]["dst"].replace("s3:/", "", 1)
    report = place / "report.csv"
    os.environ.update(
        SPARK_HOME=str(Path(pyspark.__file__).parent),
        SPARK_LOCAL_IP="127.0.0.1",
        SPARK_LOCAL_HOSTNAME="localhost",
        SPARK_LOCAL_DIRS=str(place / "local"),
        SPARK_WORKER_DIR=str(place / "work"),
        PYSPARK_PYTHON=sys.executable,
        PYSPARK_SUBMIT_ARGS="--conf spark.ui.enabled=false --driver-memory 1g pyspark-shell",
        # Java's own hint files.
        JAVA_TOOL_OPTIONS=f"-Djava.io.tmpdir={place}",
    )
    own = os.getpid()

    def executors(table):
        return [pid for pid, (_, line) in table.items() if "CoarseGrainedExecutorBackend" in line and descends(pid, own, table)]

    killer = Killer(store, counted, rows, executors)
    started = time.monotonic()
    command = [sys.executable, ROOT / "examples/spark_batch.py", place / "manifest.jsonl", "--bin", counted.path, "--master", "local-cluster[2,1,1024]"]
    _, code = call([*command, "--partitions", PARTITIONS, "--report", report, "--", "--store-option", f"aws_endpoint={store.url}"], place / "log")
    seconds = time.monotonic() - started
    parts = sorted(report.glob("part-*.csv"))
    if len(parts) != 1:
        sys.stdout.write((place / "log").read_text()[-6000:])
        verdicts.check(False, f"spark: a report (exit code {code}, {seconds:.0f} s)")
        return
    judge("spark", verdicts, store, folder, rows, pandas.read_csv(parts[0]), counted, killer, code, seconds)


class Untagged(yaml.SafeLoader):
    """YAML in which CloudFormation's short forms are nothing."""


Untagged.add_multi_constructor("!", lambda loader, tag, node: None)


def kubernetes_arguments():
    documents = yaml.safe_load_all((ROOT / "deploy/kubernetes/indexed-job.yaml").read_text())
    job = next(document for document in documents if document["kind"] == "Job")
    return job["spec"]["completions"], job["spec"]["template"]["spec"]["containers"][0]["args"]


def batch_arguments():
    template = yaml.load((ROOT / "deploy/aws-batch/template.yaml").read_text(), Untagged)
    shards = template["Parameters"]["Shards"]["Default"]
    command = template["Resources"]["JobDefinition"]["Properties"]["ContainerProperties"]["Command"]
    return shards, [{"Ref::manifest": "s3://my-bucket/manifest.jsonl", "Ref::shards": str(shards)}.get(part, part) for part in command]


def slurm_script():
    """How many tasks the script of the documentation asks for, and what it runs."""
    text = (ROOT / "docs/engines.md").read_text()
    block = text[text.index("<!-- slurm -->") : text.index("<!-- /slurm -->")].split("```")[1].removeprefix("sh\n")
    return int(re.search(r"--array=0-(\d+)", block)[1]) + 1, block


def on_shards(store, binary, folder, verdicts):
    # What the task's role would be asked for, and where S3 is.
    surroundings = {"PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true", "AWS_ENDPOINT_URL": store.url, **KEYS}
    shards, arguments = kubernetes_arguments()
    engines = [("kubernetes", shards, arguments, lambda shard, shards: {"JOB_COMPLETION_INDEX": str(shard)})]
    shards, arguments = batch_arguments()
    engines.append(
        ("aws-batch", shards, arguments, lambda shard, shards: {"AWS_BATCH_JOB_ARRAY_INDEX": str(shard), "AWS_BATCH_JOB_ARRAY_SIZE": str(shards)})
    )
    shards, script = slurm_script()
    engines.append(
        (
            "slurm",
            shards,
            ["sh", "-eu", "-c", script],
            lambda shard, shards: {
                "SLURM_ARRAY_TASK_ID": str(shard),
                "SLURM_ARRAY_TASK_COUNT": str(shards),
                "SLURM_ARRAY_TASK_MIN": "0",
                "SLURM_ARRAY_TASK_MAX": str(shards - 1),
                "SLURM_CPUS_PER_TASK": "2",
            },
        )
    )
    for name, shards, arguments, told in engines:
        place, rows, _ = prepare(f"{name}-run", store, binary, folder)
        (place / "bin").mkdir()
        (place / "bin/cogclip").symlink_to(binary)
        store.client.create_bucket(Bucket=f"{name}-manifests")
        store.client.upload_file(str(place / "manifest.jsonl"), f"{name}-manifests", "manifest.jsonl")
        if arguments[0] == "batch":
            arguments = [str(binary), *(f"s3://{name}-manifests/manifest.jsonl" if part.startswith("s3://") else part for part in arguments)]
        lines, codes, counts = [], set(), []
        # The last of them is the first once more.
        for shard in [*range(shards), 0]:
            environment = {**surroundings, "PATH": f"{place / 'bin'}:{os.environ['PATH']}", **told(shard, shards)}
            ran = subprocess.run(arguments, cwd=place, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False)
            said = ran.stdout
            if name == "slurm":
                said = (place / f"status-{shard}.jsonl").read_text()
            lines.append([json.loads(line) for line in said.splitlines()])
            codes.add(ran.returncode)
            counts.append(len(lines[-1]))
            if ran.returncode not in (0, 1):
                print(ran.stderr[-2000:])
        verdicts.check(codes == {0, 1}, f"{name}: {shards} shards end with 0, or with 1 where items failed ({sorted(codes)})")
        first = [line for shard in lines[:-1] for line in shard]
        verdicts.check(
            sorted(line["item"] for line in first) == list(range(len(rows))) and all(line["dst"] == rows[line["item"]]["dst"] for line in first),
            f"{name}: every row is in one shard, with its number in the manifest ({min(counts)} to {max(counts)} a shard)",
        )
        exits = {line["item"]: line.get("exit_code") for line in first if line["status"] == "failed"}
        expected = {NO_OVERLAP: 8, NO_SOURCE: 5} if "skip" in arguments else {NO_OVERLAP: 8, NO_SOURCE: 5, BEFORE: 9}
        verdicts.check(exits == expected, f"{name}: the items that cannot be done have exit codes {expected} ({exits})")
        done = {line["item"] for line in first if line["status"] == "done"}
        verdicts.check(done == set(range(len(rows))) - {NO_OVERLAP, NO_SOURCE, BEFORE}, f"{name}: {len(done)} items are done")
        # A file of status lines holds those of the first run as well.
        repeated = {line["status"] for line in (lines[-1][len(lines[0]) :] if name == "slurm" else lines[-1])}
        verdicts.check(lines[0] and "done" not in repeated, f"{name}: a shard that is run again makes nothing again {sorted(repeated)}")
        wrong = [difference for n in sorted(done) if (difference := differs(folder, store, rows[n]))]
        verdicts.check(not wrong, f"{name}: {len(done) - len(wrong)} outputs of {len(done)} equal rasterio.mask {'; '.join(wrong[:3])}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, type=Path)
    parser.add_argument("--only", choices=("shards", "dask", "spark"))
    parser.add_argument("--keep", type=Path, help="work here and leave it")
    args = parser.parse_args()
    folder = args.keep or Path(tempfile.mkdtemp(prefix="engines-"))
    folder.mkdir(parents=True, exist_ok=True)
    verdicts = Verdicts()
    try:
        store = Store()
        make_scenes(store, folder)
        for name, engine in (("shards", on_shards), ("dask", on_dask), ("spark", on_spark)):
            if args.only in (None, name):
                engine(store, args.bin.resolve(), folder, verdicts)
    finally:
        if not args.keep:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{verdicts.passed} passed, {verdicts.failed} failed")
    return 1 if verdicts.failed else 0


if __name__ == "__main__":
    sys.exit(main())
