"""What the Lambda function of template.yaml runs: one batch of rows through `cogclip batch`, which lies beside this file.

Takes what an ItemBatcher sends, {"Items": [{"item": 17, "row": {"src": …, "cutline": …, "dst": …}}, …]}. Returns one row an item:
{"item": 17, "status": "done", "skipped" or "failed", "src", "dst", "exit_code", "error"}. Items that fail for good are rows. A run
that breaks off, or that time runs out for, raises, and the state machine calls again: with --resume what is published by then is
known by what it was made of, and left alone.
"""

import json
import os
import subprocess
import tempfile
from pathlib import Path

BINARY = os.environ.get("COGCLIP", str(Path(__file__).parent / "cogclip"))
# Options of `cogclip batch` for all items, divided by blanks.
OPTIONS = os.environ.get("COGCLIP_OPTIONS", "").split()
# So long before the function is stopped the run is told to come to an end, which takes it 1 s of grace and 15 s for what is just
# being published.
MARGIN_SECONDS = 25
# An answer may have 6 MB, of which a state takes 256 KiB: so much of a message must do.
LONGEST_ERROR = 1000


class Usage(Exception):
    """The manifest or an option is not understood. Another try would say the same."""


class Unfinished(Exception):
    """Not all items were settled."""


def handler(event, context):
    with tempfile.TemporaryDirectory() as folder:
        return clip(event["Items"], Path(folder, "status.jsonl"), context)


def of_csv(row):
    """A row of a manifest in CSV, whose values are all text, as `cogclip batch` reads it; any other row as it is."""
    if not all(isinstance(value, str) for value in row.values()):
        return row
    return {name: {"true": True, "false": False}.get(value.lower(), value) for name, value in row.items() if value}


def clip(items, record, context):
    manifest = "".join(json.dumps(of_csv(item["row"])) + "\n" for item in items)
    command = [BINARY, "batch", "-", "--status", str(record), "--resume", "--grace", "1s", *OPTIONS]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        _, said = child.communicate(manifest.encode(), timeout=max(1, context.get_remaining_time_in_millis() / 1000 - MARGIN_SECONDS))
    except subprocess.TimeoutExpired:
        child.terminate()
        try:
            child.communicate(timeout=MARGIN_SECONDS - 5)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
        raise Unfinished("time ran out; what was published is left alone by the next attempt") from None
    said = said[-LONGEST_ERROR:].decode(errors="replace").strip()
    if child.returncode == 2:
        raise Usage(said)
    if child.returncode not in (0, 1):
        raise Unfinished(f"cogclip ended with {child.returncode}: {said}")
    rows = {}
    for line in record.read_text().splitlines():
        told = json.loads(line)
        rows[told["item"]] = {
            "item": items[told["item"]]["item"],
            "status": told["status"],
            "src": told.get("src"),
            "dst": told.get("dst"),
            "exit_code": told.get("exit_code"),
            "error": (told.get("error") or "")[:LONGEST_ERROR] or None,
        }
    if sorted(rows) != list(range(len(items))):
        raise Unfinished(f"{len(rows)} status lines for {len(items)} items: {said}")
    return [rows[item] for item in sorted(rows)]
