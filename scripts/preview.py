#!/usr/bin/env python3
"""Holds previews against rasterio, level by level.

    scripts/preview.py --bin target/release/cogclip [--rasters FOLDER]... [--match WORD]

Of every raster of testdata/, and of the folders that are given, each level of at most 4 million pixels is asked for by its size, so
that nothing is averaged. The picture must have that level's size; its pixels must be the bytes or the colours that rasterio reads
there, or, within 1, the values that rasterio reads, stretched from the 2nd to the 98th percentile as numpy finds them; and it must
be transparent where rasterio masks the bands that are shown. What cogclip refuses by name (exit code 4, 6) is counted, and may be at
most one in twenty. Needs the packages of scripts/requirements.txt.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import rasterio
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioError

ROOT = Path(__file__).resolve().parent.parent
MOST_PIXELS = 4_000_000
# Exit codes: what is not supported, and what is too large.
REFUSED = (4, 6)
MOST_REFUSED = 0.05


def levels(path):
    """The overview level, or None, and the size of each."""
    with rasterio.open(path) as src:
        found = [(None, src.width, src.height)]
        count = len(src.overviews(1)) if src.count else 0
    for level in range(count):
        with rasterio.open(path, overview_level=level) as src:
            found.append((level, src.width, src.height))
    longest = [max(width, height) for _, width, height in found]
    return [one for one in found if one[1] * one[2] <= MOST_PIXELS and longest.count(max(one[1:])) == 1]


def near(values, scale, what):
    off = np.abs(values).max() if values.size else 0
    return None if off <= scale else f"{what}: {off} off"


def judged(path, level, picture, report):
    """None, or what is wrong."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(picture) as png:
            shown = png.read()
    with rasterio.open(path, **({} if level is None else {"overview_level": level})) as src:
        if shown.shape[1:] != (src.height, src.width):
            return f"{shown.shape[2]} x {shown.shape[1]} pixels, not {src.width} x {src.height}"
        bands = report["bands"]
        data = src.read(bands)
        valid = (src.read_masks(bands) > 0).any(axis=0)
        alphas = [band for band, meaning in enumerate(src.colorinterp, 1) if meaning == ColorInterp.alpha]
        alpha = src.read(alphas[0]) if alphas else None
        # GDAL makes tables, too, of greys in which 0 is white.
        has_table = src.colorinterp[bands[0] - 1] == ColorInterp.palette and report["stretch"] is None
        is_white_first = src.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES"
        table = None
        if has_table and not is_white_first:
            try:
                table = src.colormap(bands[0])
            except ValueError:
                # The colour is said to be a table's, and there is none.
                pass
        nbits = int(src.tags(bands[0], ns="IMAGE_STRUCTURE").get("NBITS", 8 * data.dtype.itemsize))
    valid &= ~np.isnan(data).any(axis=0) if data.dtype.kind in "fc" else True
    opacity = shown[-1] if len(shown) in (2, 4) else np.full(valid.shape, 255, "uint8")
    colours = shown[: len(shown) - 1 if len(shown) in (2, 4) else len(shown)].astype(float)
    if alpha is not None and not (alpha.dtype == np.uint8 and nbits == 8):
        most = float(2 ** (8 * alpha.dtype.itemsize if nbits == 8 * data.dtype.itemsize else nbits) - 1)
        wrong = near(opacity.astype(float) - alpha / most * 255, 1, "alpha")
        if wrong:
            return wrong
        valid = alpha > 0
    elif ((opacity > 0) != valid).any():
        return f"{((opacity > 0) != valid).sum()} of {valid.size} pixels are wrongly transparent or opaque"
    if int((opacity == 0).sum()) != report["picture"]["transparent"]:
        return "the number of transparent pixels"
    if table is not None:
        lookup = np.zeros((65536, 3))
        for number, colour in table.items():
            lookup[number] = colour[:3]
        expected = np.moveaxis(lookup[data[0].astype(int)], -1, 0)
        colours = np.broadcast_to(colours, expected.shape)
        return near((colours - expected)[:, valid], 0, "colours")
    if report["stretch"] is None:
        expected = data.astype(float)
        return near((colours - (255 - expected if is_white_first else expected))[:, valid], 0, "bytes")
    for number, (band, drawn, ends) in enumerate(zip(data, colours, report["stretch"])):
        values = band[valid].astype(float)
        values = values[np.isfinite(values)]
        if ends is None:
            if values.size:
                return f"band {number}: no range, of {values.size} values"
            continue
        if not (data.dtype == np.uint8 and nbits < 8):
            with np.errstate(all="ignore"):
                expected = np.percentile(values, [2, 98])
            scale = max(np.abs(expected).max(), 1e-300)
            if np.isfinite(expected).all() and np.abs(np.array(ends) - expected).max() > 1e-9 * scale:
                return f"band {number}: stretched over {ends}, not {expected}"
        low, high = ends
        of = band.astype(float)
        with np.errstate(all="ignore"):
            steps = np.clip((of - low) / (high - low), 0, 1) * 255 if high > low else np.where(of < low, 0, np.where(of > high, 255, 128))
        steps = 255 - steps if is_white_first else steps
        wrong = near((drawn - steps)[valid & np.isfinite(steps)], 1, f"band {number}")
        if wrong:
            return wrong
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", required=True, type=Path)
    parser.add_argument("--rasters", action="append", default=[], type=Path)
    parser.add_argument("--match", default="")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", NotGeoreferencedWarning)
    said, failed = Counter(), 0
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "p.png"
        paths = sorted((ROOT / "testdata").glob("*.tif"))
        for place in arguments.rasters:
            paths += sorted(path for path in place.rglob("*") if path.suffix.lower() in (".tif", ".tiff"))
        for path in (path for path in paths if arguments.match in path.name):
            try:
                found = levels(path)
            except (RasterioError, ValueError, IndexError):
                said["unreadable by rasterio"] += 1
                continue
            for level, width, height in found:
                words = [arguments.bin, "preview", path, "--png", picture, "--size", str(max(width, height)), "--overwrite", "--json"]
                done = subprocess.run(words, capture_output=True, text=True, check=False)
                if done.returncode in REFUSED:
                    said["refused"] += 1
                    print(f"refused: {path.name}, level {level}: {done.stderr.strip()[:200]}", flush=True)
                    continue
                try:
                    if done.returncode:
                        with rasterio.open(path, **({} if level is None else {"overview_level": level})) as src:
                            src.read()
                    wrong = done.stderr.strip()[:300] if done.returncode else judged(path, level, picture, json.loads(done.stdout))
                except RasterioError:
                    said["unreadable by rasterio"] += 1
                    continue
                if wrong and any("is not used" in remark for remark in json.loads(done.stdout or "{}").get("remarks", [])):
                    # Of another image, or without the image's mask: it says so, and takes a larger level.
                    said["overview passed over"] += 1
                    print(f"passed over: {path.name}, level {level}: {wrong}", flush=True)
                    continue
                said["different" if wrong else "equal"] += 1
                if wrong:
                    failed += 1
                    print(f"FAILED: {path.name}, level {level}: {wrong}", flush=True)
    print(dict(said))
    refused = said["refused"] > MOST_REFUSED * said["equal"]
    print(f"{said['equal']} passed, {failed + refused} failed")
    return 1 if failed or refused or not said["equal"] else 0


if __name__ == "__main__":
    sys.exit(main())
