#!/usr/bin/env python3
"""Clips with --align-tiles: what is copied as it is stored is byte-equal to the source, and every pixel is right.

    passage.py [--bin BINARY]

Makes rasters with GDAL in many codecs, types and kinds of validity, clips each by a polygon with holes and by one that
covers all, with and without overviews, and compares

- every pixel with what rasterio reads from the source and rasterises itself;
- every copied tile with the source's bytes, found by tifffile in both files; and their number with the report's;
- overviews that are copied with the source's overview, and others with a clip in which nothing is copied.

Rasters of which no tile can be copied must say why; a damaged tile is found with --verify.  Needs what scripts/requirements.txt lists.
"""
import argparse
import itertools
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import rasterio
import rasterio.features
import rasterio.shutil
import tifffile
from rasterio.transform import from_origin

ROOT = pathlib.Path(__file__).resolve().parent.parent
SIDE, TILE = 700, 128
TRANSFORM = from_origin(500000, 5400000, 10, 10)

# name: (type, bands, nodata, creation options, validity, whether tiles can be copied)
KINDS = {
    "deflate_u16": ("uint16", 1, 0, dict(COMPRESS="DEFLATE", PREDICTOR="YES"), None, True),
    "deflate_u16_plain": ("uint16", 1, 0, dict(COMPRESS="DEFLATE"), None, True),
    "deflate_u8x3": ("uint8", 3, 7, dict(COMPRESS="DEFLATE", PREDICTOR="YES"), None, True),
    "deflate_u8x3_all": ("uint8", 3, None, dict(COMPRESS="DEFLATE"), None, True),
    "deflate_u8x3_mask": ("uint8", 3, None, dict(COMPRESS="DEFLATE"), "mask", True),
    "deflate_u8x4_alpha": ("uint8", 4, None, dict(COMPRESS="DEFLATE"), "alpha", True),
    "deflate_f32": ("float32", 1, -9999, dict(COMPRESS="DEFLATE", PREDICTOR="YES"), None, True),
    "deflate_f64x2": ("float64", 2, float("nan"), dict(COMPRESS="DEFLATE", PREDICTOR="NO"), None, True),
    # A nodata value is chosen: valid pixels might hold it.
    "deflate_i16_all": ("int16", 1, None, dict(COMPRESS="DEFLATE"), None, False),
    "zstd_i32": ("int32", 1, -1, dict(COMPRESS="ZSTD", PREDICTOR="YES"), None, True),
    "lzw_u16": ("uint16", 2, 0, dict(COMPRESS="LZW", PREDICTOR="YES"), None, True),
    "lzma_u8": ("uint8", 1, 255, dict(COMPRESS="LZMA"), None, True),
    "none_u16": ("uint16", 1, 0, dict(COMPRESS="NONE"), None, True),
    "lerc_f32": ("float32", 1, -9999, dict(COMPRESS="LERC"), None, True),
    "lerc_zstd_u16": ("uint16", 1, 0, dict(COMPRESS="LERC_ZSTD"), None, True),
    "webp_u8x3": ("uint8", 3, None, dict(COMPRESS="WEBP", QUALITY="100"), None, True),
    "planar_u16": ("uint16", 2, 0, dict(COMPRESS="DEFLATE", INTERLEAVE="BAND"), None, False),
}


def samples(kind, dtype, bands, nodata, validity):
    """Smooth with noise, with a patch of nodata, alpha 0 or an invalid mask."""
    rng = np.random.default_rng(list(kind.encode()))
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    base = 100 + 60 * np.sin(x / 90) * np.cos(y / 70)
    data = np.stack([base + 5 * band + rng.integers(0, 6, base.shape) for band in range(bands)])
    data = data.astype(dtype)
    hole = (x - 420) ** 2 + (y - 300) ** 2 < 60**2
    if validity == "alpha":
        data[-1] = np.where(hole, 0, 255)
    elif nodata is not None:
        data[:, hole] = nodata
    return data, ~hole


def make(path, kind, order):
    dtype, bands, nodata, options, validity, _ = KINDS[kind]
    data, valid = samples(kind, dtype, bands, nodata, validity)
    profile = dict(driver="GTiff", width=SIDE, height=SIDE, count=bands, dtype=dtype, crs="EPSG:32633",
                   transform=TRANSFORM, nodata=nodata)
    extra = {}
    if validity == "alpha":
        extra = dict(photometric="RGB", alpha="YES")
    if order == "big":
        options = {**options, "TILED": "YES", "BLOCKXSIZE": TILE, "BLOCKYSIZE": TILE, "ENDIANNESS": "BIG"}
        options["PREDICTOR"] = {"YES": 2 if np.dtype(dtype).kind != "f" else 3}.get(options.get("PREDICTOR"), 1)
        with rasterio.open(path, "w", **profile, **extra, **options) as out:
            out.write(data)
        return
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), tempfile.TemporaryDirectory() as folder:
        plain = os.path.join(folder, "plain.tif")
        with rasterio.open(plain, "w", **profile, **extra) as out:
            out.write(data)
            if validity == "mask":
                out.write_mask(valid)
        if options.get("INTERLEAVE") == "BAND":
            options = {**options, "TILED": "YES", "BLOCKXSIZE": TILE, "BLOCKYSIZE": TILE}
            rasterio.shutil.copy(plain, path, driver="GTiff", **options)
        else:
            rasterio.shutil.copy(plain, path, driver="COG", BLOCKSIZE=TILE, RESAMPLING="AVERAGE",
                                 OVERVIEW_COUNT=3, **options)


def ring(points):
    return [[TRANSFORM.c + x * 10, TRANSFORM.f - y * 10] for x, y in [*points, points[0]]]


CUTLINES = {
    # Off the tile grid on all sides, with a hole.
    "bay": {"type": "Polygon", "coordinates": [
        ring([(140, 30), (690, 20.5), (650, 660), (300, 690), (150, 400)]),
        ring([(500, 400), (540, 400), (540, 440), (500, 440)])]},
    # From the raster's own corner, so that the grids of overviews coincide.
    "corner": {"type": "Polygon", "coordinates": [ring([(-5, -5), (600, -5), (640, 330), (520, 640), (-5, 610)])]},
    "all": {"type": "Polygon", "coordinates": [ring([(-5, -5), (705, -5), (705, 705), (-5, 705)])]},
}


def tiles(path, level):
    """Bytes of every tile of a level, by (row, column), and the tile's size; of files with one plane."""
    with tifffile.TiffFile(path) as tiff, open(path, "rb") as file:
        pages = [page for page in tiff.pages if not page.subfiletype & 4]
        page = pages[level]
        across = -(-page.imagewidth // page.tilewidth)
        out = {}
        for number, (offset, count) in enumerate(zip(page.dataoffsets, page.databytecounts)):
            file.seek(offset)
            out[divmod(number, across)] = file.read(count)
        return out


def sizes(path):
    """The width of every level."""
    with tifffile.TiffFile(path) as tiff:
        return [page.imagewidth for page in tiff.pages if not page.subfiletype & 4]


class Checks:
    def __init__(self, binary):
        self.binary, self.passed, self.failed = binary, 0, 0

    def check(self, name, holds, detail=""):
        if holds:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED {name}: {detail}")

    def clip(self, source, out, cutline, *more):
        command = [self.binary, "clip", source, out, "--cutline", json.dumps(cutline), "--cutline-crs", "source",
                   "--align-tiles", "--compress", "source", "--overwrite", "--json", *more]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"exit {done.returncode}: {done.stderr}")
        return json.loads(done.stdout), done.stderr


def pixels(checks, name, source, out, cutline):
    """Every pixel of the output against the source's; returns the window's first column and row, and the mask."""
    with rasterio.open(source) as src, rasterio.open(out) as clipped:
        x0 = round((clipped.transform.c - src.transform.c) / 10)
        y0 = round((src.transform.f - clipped.transform.f) / 10)
        size = (clipped.height, clipped.width)
        checks.check(f"{name}: the window lies on the tile grid", x0 % TILE == 0 and y0 % TILE == 0, f"{x0}, {y0}")
        window = rasterio.windows.Window(x0, y0, size[1], size[0])
        inside = rasterio.features.geometry_mask([cutline], size, clipped.transform, invert=True)
        theirs, ours = src.read(window=window), clipped.read()
        valid = (src.dataset_mask(window=window) > 0) & inside
        checks.check(f"{name}: valid pixels", ((clipped.dataset_mask() > 0) == valid).all(),
                     f"{((clipped.dataset_mask() > 0) != valid).sum()} differ")
        same = (theirs == ours) | ((theirs != theirs) & (ours != ours))
        checks.check(f"{name}: samples", same[:, valid].all(), f"{(~same[:, valid]).sum()} differ")
        return x0, y0, inside


def one(checks, folder, kind, order, cut, overviews):
    dtype, bands, nodata, options, validity, passes = KINDS[kind]
    name = f"{kind} {order} {cut}{' overviews' if overviews else ''}"
    source, out, plain = (os.path.join(folder, f"{kind}_{order}.tif"), os.path.join(folder, "out.tif"),
                          os.path.join(folder, "plain.tif"))
    cutline = CUTLINES[cut]
    more = [] if overviews else ["--no-overviews"]
    report, text = checks.clip(source, out, cutline, *more)
    x0, y0, inside = pixels(checks, name, source, out, cutline)
    height, width = inside.shape
    # Numbers of several bytes in the other order cannot be copied; the floating-point predictor has no order.
    floats = np.dtype(dtype).kind == "f" and "PREDICTOR" in options
    passes = passes and (order == "little" or np.dtype(dtype).itemsize == 1 or floats)
    count = report["tiles"]["copied"]
    if not passes:
        checks.check(f"{name}: nothing is copied", count == 0, count)
        checks.check(f"{name}: and it says why", "no tile could be copied" in text, text)
        return
    whole = [(row, col) for row in range(-(-height // TILE)) for col in range(-(-width // TILE))
             if inside[row * TILE:(row + 1) * TILE, col * TILE:(col + 1) * TILE].all()]
    checks.check(f"{name}: some tiles are inside", len(whole) > 3, len(whole))
    theirs, ours = tiles(source, 0), tiles(out, 0)
    equal = [tile for tile in whole if ours[tile] == theirs[tile[0] + y0 // TILE, tile[1] + x0 // TILE]]
    checks.check(f"{name}: {len(whole)} tiles are the source's bytes", len(equal) == len(whole), len(equal))
    if not overviews:
        checks.check(f"{name}: as many as it says", count == len(whole), f"{count} of {len(whole)}")
        return
    # Overviews: those on the source's grid are its own, the others what they are when nothing is copied.
    checks.clip(source, plain, cutline, "--overview-resampling", "average")
    copied = len(whole)
    with rasterio.open(out) as clipped, rasterio.open(plain) as made, rasterio.open(source) as src:
        levels, factors = clipped.overviews(1), src.overviews(1)
        masked = rasterio.enums.MaskFlags.per_dataset in clipped.mask_flag_enums[0] and validity != "alpha"
        checks.check(f"{name}: as many overviews", levels == made.overviews(1), levels)
    for level in range(1, len(levels) + 1):
        theirs = tiles(source, level) if level <= len(factors) else {}
        # GDAL rounds sizes down where they are halved up here: no two pixels lie alike then.
        side = SIDE
        for _ in range(level):
            side = -(-side // 2)
        if theirs and sizes(source)[level] != side:
            theirs = {}
        ours, others = tiles(out, level), tiles(plain, level)
        step = TILE << level
        for tile, data in ours.items():
            rows, cols = (slice(n * step, (n + 1) * step) for n in tile)
            place = (tile[0] + y0 // step, tile[1] + x0 // step)
            on_grid = x0 % step == 0 and y0 % step == 0 and not masked and place in theirs
            full = inside[rows, cols]
            # As much of the image as the source's tile shows.
            shown = (min(step, SIDE - place[0] * step), min(step, SIDE - place[1] * step))
            if on_grid and full.shape == shown and full.all():
                copied += 1
                checks.check(f"{name}: overview {level} {tile} is the source's", data == theirs[place])
        with rasterio.open(out, overview_level=level - 1) as a, rasterio.open(plain, overview_level=level - 1) as b:
            x, y = a.read().astype("f8"), b.read().astype("f8")
            # GDAL's average and ours may round a float differently in the last place.
            near = np.isclose(x, y, rtol=1e-6, atol=0, equal_nan=True)
            checks.check(f"{name}: pixels of overview {level}", near.all(), f"{(~near).sum()} differ")
    checks.check(f"{name}: as many as it says", count == copied, f"{count} of {copied}")


def damaged(checks, folder):
    """A tile whose bytes are damaged: with --verify it is found, without it stays as it is."""
    source, out = os.path.join(folder, "damaged.tif"), os.path.join(folder, "out.tif")
    for kind in ("deflate_u16", "none_u16"):
        make(source, kind, "little")
        with tifffile.TiffFile(source) as tiff:
            page = tiff.pages[0]
            tag = page.tags["TileByteCounts"]
            width = 2 if tag.dtype == 3 else 4
            offset, count, entry = page.dataoffsets[8], page.databytecounts[8], tag.valueoffset + 8 * width
        with open(source, "r+b") as file:
            if kind == "none_u16":
                # The tile claims fewer bytes than its pixels take.
                file.seek(entry)
                file.write((count - 5000).to_bytes(width, "little"))
            else:
                # A block of the reserved type 3 (RFC 1951 §3.2.3). Damage that only changes the length of what comes out is
                # taken by GDAL, too.
                file.seek(offset + 2)
                file.write(b"\xff" * 40)
        for more in ([], ["--verify"]):
            try:
                checks.clip(source, out, CUTLINES["all"], "--no-overviews", *more)
                code = 0
            except RuntimeError as error:
                code = int(str(error).split(":")[0].split()[1])
            expected = 3 if more or kind == "none_u16" else 0
            checks.check(f"damaged {kind} {more}: exit code {expected}", code == expected, code)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=str(ROOT / "target/release/cogclip"))
    args = parser.parse_args()
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    checks = Checks(os.path.abspath(args.bin))
    with tempfile.TemporaryDirectory() as folder:
        for kind, order in itertools.product(KINDS, ("little", "big")):
            if order == "big" and kind not in ("deflate_u16", "deflate_f32", "deflate_u8x3"):
                continue
            try:
                make(os.path.join(folder, f"{kind}_{order}.tif"), kind, order)
                for cut, overviews in itertools.product(CUTLINES, (False, True)):
                    one(checks, folder, kind, order, cut, overviews)
            except (RuntimeError, rasterio.errors.RasterioError, KeyError) as error:
                checks.check(f"{kind} {order}", False, repr(error))
        damaged(checks, folder)
    print(f"{checks.passed} passed, {checks.failed} failed")
    sys.exit(checks.failed > 0 or checks.passed < 300)


if __name__ == "__main__":
    main()
