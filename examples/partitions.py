"""A manifest of `cogclip batch` in partitions, and what a worker of any engine does with one.

`dask_batch.py` and `spark_batch.py` hand these functions to their workers. A partition is a list of rows; all rows of one source
are in one partition, so that its header is read once and each tile once. A worker pipes its partition to `cogclip batch -` and
returns one report row an item, or raises, and then the engine runs the partition again, here or elsewhere.

Nothing is lost by that, and nothing doubled. Every destination is published whole or not at all, so what a killed worker has left
is either a finished output or none. An output says of what it was made, and with --resume the next attempt knows by that which
ones are its own, and leaves these alone; what was there before is another's, and --if-exists says what becomes of it. The rows of
the report are those of the attempt that returned, and of no other. docs/engines.md says more.
"""

import heapq
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# How often an engine runs a partition before its items are rows that failed.
ATTEMPTS = 4
# The columns of a report, in this order; `report` is the whole status line as JSON.
COLUMNS = ("item", "status", "src", "dst", "exit_code", "error", "partition", "report")
STATUSES = ("done", "skipped", "failed")
# The exit code of an item whose destination exists.
EXISTS = 9
# Of what a run said on standard error, so much goes into the error of a partition.
TAIL = 2000


class Unfinished(RuntimeError):
    """A run that did not settle all of its items. They are to be run again."""


def read(path):
    """The rows of a manifest in JSON Lines, each with its number from 0 (blank lines do not count)."""
    rows = []
    with sys.stdin if path == "-" else open(path, encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise SystemExit(f"{path}: line {number} is not JSON: {error}") from None
            if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in ("src", "dst")):
                raise SystemExit(f"{path}: line {number} must be an object with the strings src and dst")
            rows.append((len(rows), row))
    doubles = {}
    for item, row in rows:
        if doubles.setdefault(row["dst"], item) != item:
            raise SystemExit(f"{path}: rows {doubles[row['dst']]} and {item} have the same dst: {row['dst']}")
    return rows


def divide(rows, count):
    """At most `count` partitions, about equal in rows; those of one source stay together and in their order."""
    sources = {}
    for item, row in rows:
        sources.setdefault(row["src"].split("#")[0], []).append((item, row))
    bins = [(0, n, []) for n in range(max(1, min(count, len(sources))))]
    # The largest first, each to the emptiest: at most 4/3 of the best division (Graham 1969).
    for group in sorted(sources.values(), key=lambda group: (-len(group), group[0][0])):
        size, n, held = bins[0]
        heapq.heapreplace(bins, (size + len(group), n, held + group))
    return [held for _, _, held in sorted(bins, key=lambda each: each[1]) if held]


def run(number, rows, command, if_exists):
    """Clips a partition; returns its report rows, one an item.

    `command` is the binary and the options of `batch`. Raises `Unfinished` where it ends with neither 0 nor 1 (it crashed, was
    killed, or did not like the manifest), or says less or more than one line an item.
    """
    reports = attempt(number, rows, command, if_exists)
    # Where a worker was given up that lives, its run goes on, and may have published these while this one was at work. Then they
    # are known by what they were made of, and else they fail as before.
    late = {report["item"] for report in reports if report["exit_code"] == EXISTS}
    if late:
        again = attempt(number, [(item, row) for item, row in rows if item in late], command, if_exists)
        reports = [report for report in reports if report["item"] not in late] + again
    return reports


def attempt(number, rows, command, if_exists):
    """One run of the binary over these rows."""
    with tempfile.TemporaryDirectory() as folder:
        # New every time: the disk of a worker is gone with it. What was done before is known by the outputs themselves.
        record = Path(folder, "status.jsonl")
        command = [command[0], "batch", "-", "--status", str(record), "--resume", "--if-exists", if_exists, *command[1:]]
        # Should the worker be killed, what it started is told to stop, and aborts its uploads.
        if setpriv := shutil.which("setpriv"):
            command = [setpriv, "--pdeathsig", "TERM", *command]
        manifest = "".join(json.dumps(row) + "\n" for _, row in rows)
        ran = subprocess.run(command, input=manifest.encode(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        said = ran.stderr[-TAIL:].decode(errors="replace").strip()
        if ran.returncode not in (0, 1):
            raise Unfinished(f"partition {number}: cogclip batch ended with {ran.returncode}: {said}")
        lines = record.read_text().splitlines() if record.exists() else []
    reports = {}
    try:
        for line in lines:
            status = json.loads(line)
            place = status["item"]
            if place in reports or place not in range(len(rows)) or status["status"] not in STATUSES:
                raise ValueError(f"unexpected status line {line!r}")
            # The number of the row in the manifest, not in the partition.
            status["item"] = rows[place][0]
            row = {column: status.get(column) for column in COLUMNS}
            reports[place] = {**row, "partition": number, "report": json.dumps(status)}
    except (ValueError, LookupError, TypeError) as error:
        raise Unfinished(f"partition {number}: {type(error).__name__}: {error}; {said}") from error
    if len(reports) != len(rows):
        raise Unfinished(f"partition {number}: {len(reports)} status lines for {len(rows)} items; {said}")
    return list(reports.values())


def shown(location):
    """A location without what may be secret in it: user, password and query."""
    return re.sub(r"^(https?://)(?:[^/@]*@)?([^?]*).*", r"\1\2", location, flags=re.DOTALL)


def given_up(number, rows, error):
    """The report rows of a partition that never came to its end. What it has published is there all the same."""
    return [
        {**dict.fromkeys(COLUMNS), "item": item, "status": "failed", "src": shown(row["src"]), "dst": shown(row["dst"]), "error": str(error), "partition": number}
        for item, row in rows
    ]


def conclude(reports, rows):
    """Holds the reports to one row an item; says how many are what; returns the exit code, as of `cogclip batch`."""
    numbers = sorted(report["item"] for report in reports)
    if numbers != [item for item, _ in rows]:
        raise SystemExit(f"{len(rows)} items, but {len(numbers)} report rows of {len(set(numbers))} items: this is a bug")
    counts = {status: sum(report["status"] == status for report in reports) for status in STATUSES}
    for report in reports:
        if report["status"] == "failed":
            print(f"item {report['item']}: {report['error']}", file=sys.stderr)
    print(", ".join(f"{count} {status}" for status, count in counts.items()), file=sys.stderr)
    return 1 if counts["failed"] else 0


def add_arguments(parser):
    """The arguments that all engines have in common."""
    parser.add_argument("manifest", help="JSON Lines as `cogclip batch` reads them; `-` for standard input")
    parser.add_argument("--bin", default="cogclip", help="the binary, on every worker [default: cogclip]")
    parser.add_argument("--partitions", type=int, help="at most so many; never more than sources [default: 4 a worker core]")
    parser.add_argument("--if-exists", choices=("fail", "skip", "overwrite"), default="fail", help="when there is something else at a destination than what the row makes [default: fail]")
    parser.add_argument("--report", required=True, help="where the rows go: NAME.parquet or NAME.csv")
    parser.epilog = "Behind `--`: options of `cogclip batch` for all items, such as -- --store-option region=eu-central-1"


def parse(parser):
    """What was typed; `options` is what stands behind `--`."""
    typed = sys.argv[1:]
    at = typed.index("--") if "--" in typed else len(typed)
    args = parser.parse_args(typed[:at])
    args.options = typed[at + 1 :]
    if not args.report.endswith((".parquet", ".csv")):
        parser.error(f"--report {args.report}: its name must end in .parquet or .csv")
    return args
