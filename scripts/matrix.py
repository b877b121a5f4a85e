#!/usr/bin/env python3
"""Clips rasters of every sample type, codec and layout that GDAL writes, and compares each clip with rasterio.mask.

    scripts/matrix.py --bin target/release/cogclip [--match TEXT] [--jobs 2] [--json OUT] [--keep DIR]

The rasters are made on the fly and thrown away (--keep DIR: kept there). They are the full product of sample type, codec and
predictor, taken several times over; what else a file may be (tiles or strips, interleaving, number of bands, byte order,
BigTIFF, sparse blocks, validity, colours) is chosen, from a fixed seed, so that every pair of choices meets early. What GDAL
refuses to write is skipped and counted. Rows that GDAL cannot write are made by tifffile or by hand, and read by GDAL.

Each raster is clipped along a star with a hole by the centre rule, every third one with --all-touched, too. Equal means: the
same bands, sample type, kept samples (NaN is NaN; JPEG within 3, lossy WebP within 1, all else to the bit), masked samples
that read as masked, valid ones as valid, CRS, grid, nodata, descriptions, scale, offset, units, colour interpretation,
colour table, tags, NBITS and photometric interpretation.

The other direction, what each output codec writes, is encodings.py.

One line a failure, then `N equal, N refused, N differ, N crash; M combinations that GDAL refused to write`. Exit code 1 if
anything differs or crashes, or is refused and not listed in REFUSED.
"""

import argparse
import collections
import itertools
import json
import math
import multiprocessing
import os
import random
import re
import struct
import subprocess
import sys
import tempfile
import warnings
import zlib
from pathlib import Path

os.environ["GDAL_PAM_ENABLED"] = "NO"
os.environ["GDAL_NUM_THREADS"] = "1"
os.environ["GDAL_TIFF_INTERNAL_MASK"] = "YES"

import numpy as np
import rasterio
import tifffile
from affine import Affine
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.mask import mask as rasterio_mask
from rasterio.windows import Window
from shapely.affinity import affine_transform
from shapely.geometry import Polygon, mapping

warnings.filterwarnings("ignore")

# What cogclip may refuse, by a regular expression over the name of the combination, and why. Anything else must be read.
REFUSED = {"^bit12 jpeg": "JPEG of 12 bits: no reader of it but libjpeg-turbo's own"}

WIDTH, HEIGHT = 150, 113
TRANSFORM = Affine(30, 0, 500000, 0, -30, 5300000)
WANTED = 800  # combinations that GDAL accepts

# Name: type for rasterio, bits if not the type's own.
TYPES = {
    "u8": ("uint8", None), "i8": ("int8", None), "u16": ("uint16", None), "i16": ("int16", None),
    "u32": ("uint32", None), "i32": ("int32", None), "u64": ("uint64", None), "i64": ("int64", None),
    "f16": ("float16", None), "f32": ("float32", None), "f64": ("float64", None),
    "ci16": ("complex_int16", None), "cf32": ("complex64", None), "cf64": ("complex128", None),
    "bit1": ("uint8", 1), "bit2": ("uint8", 2), "bit4": ("uint8", 4), "bit7": ("uint8", 7),
    "bit10": ("uint16", 10), "bit12": ("uint16", 12), "bit24": ("uint32", 24), "f32as16": ("float32", 16),
}  # fmt: skip
CODECS = {
    "none": {}, "deflate": {"compress": "deflate"}, "lzw": {"compress": "lzw"}, "zstd": {"compress": "zstd"},
    "packbits": {"compress": "packbits"}, "lzma": {"compress": "lzma"},
    "lerc": {"compress": "lerc"}, "lerc-lossy": {"compress": "lerc", "max_z_error": 0.7},
    "lerc_deflate": {"compress": "lerc_deflate"}, "lerc_zstd": {"compress": "lerc_zstd"},
    "jpeg": {"compress": "jpeg", "jpeg_quality": 85}, "jpeg-ycbcr": {"compress": "jpeg", "photometric": "ycbcr"},
    "webp": {"compress": "webp", "webp_level": 80}, "webp-lossless": {"compress": "webp", "webp_lossless": True},
    "jxl": {"compress": "jxl"},
    "ccittrle": {"compress": "ccittrle"}, "fax3": {"compress": "ccittfax3"}, "fax4": {"compress": "ccittfax4"},
}  # fmt: skip
PREDICTED = ("deflate", "lzw", "zstd")
FAX = ("ccittrle", "fax3", "fax4")
LAYOUTS = {
    "tile16": {"tiled": True, "blockxsize": 16, "blockysize": 16},
    "tile48x32": {"tiled": True, "blockxsize": 48, "blockysize": 32},
    "tile64": {"tiled": True, "blockxsize": 64, "blockysize": 64},
    "strip1": {"tiled": False, "blockysize": 1},
    "strip7": {"tiled": False, "blockysize": 7},
    "strip16": {"tiled": False, "blockysize": 16},
    "onestrip": {"tiled": False, "blockysize": HEIGHT},
}
AXES = {
    "layout": tuple(LAYOUTS), "interleave": ("pixel", "band"), "count": (1, 2, 3, 4), "endian": ("LITTLE", "BIG"),
    "big": (False, True), "sparse": (False, True), "validity": ("none", "nodata", "mask", "alpha"),
    "colour": ("plain", "palette", "miniswhite", "rgb"),
}  # fmt: skip


# --- content -------------------------------------------------------------------------------------------------------------


def content(dtype, bits, count, width=WIDTH, height=HEIGHT, seed=0):
    """Hills with grain over the whole range of the type, so that a predictor's differences wrap around; some NaN."""
    dtype = np.dtype({"complex_int16": "complex64"}.get(dtype, dtype))
    y, x = np.mgrid[0:height, 0:width].astype("i8")
    bands = []
    for band in range(count):
        waves = np.sin((x + 7 * band + seed) / 9.0) + np.cos((y - 5 * band) / 7.0) + np.sin((x + y) / 17.0 + band)
        grain = ((x * 73856093) ^ (y * 19349663) ^ ((band + 1) * 83492791)) >> 8 & 3
        field = np.rint((waves + 3) / 6 * 996).astype("i8") + grain  # 0..999
        if dtype.kind == "c":
            values = field - 500 + 1j * (field % 37)
        elif dtype.kind == "f" and (bits == 16 or dtype.itemsize == 2):
            values = (field - 500) / 4
        elif dtype.kind == "f":
            values = (field - 500) / 8 * (1 if dtype.itemsize == 4 else 2.0**300)
        elif dtype.kind == "u":
            top = 2 ** (bits or dtype.itemsize * 8) - 1
            values = field * top // 1000 if top < 2**50 else field.astype("u8") * np.uint64(top // 1003) + field.astype("u8")
        else:
            values = (field - 500) * (np.iinfo(dtype).max // 503) + field % 3
        values = values.astype(dtype)
        if dtype.kind == "f" and band != 1:
            values[40:44, 60:75] = np.nan
        bands.append(values)
    return np.stack(bands)


def star(rng, width=WIDTH, height=HEIGHT, transform=TRANSFORM):
    """A star of 37 points around a hole of 11, in the raster's coordinates."""
    cx, cy, r = width * rng.uniform(0.4, 0.6), height * rng.uniform(0.4, 0.6), min(width, height) * 0.48

    def ring(points, scale):
        turns = [2 * math.pi * i / points for i in range(points)]
        return [(cx + r * scale * rng.uniform(0.5, 1) * math.cos(t), cy + r * scale * rng.uniform(0.5, 1) * math.sin(t)) for t in turns]

    polygon = Polygon(ring(37, 1), [ring(11, 0.3)]).buffer(0)
    t = transform
    return affine_transform(polygon, [t.a, t.b, t.d, t.e, t.c, t.f])


def nodata_of(dtype, bits, rng):
    kind = np.dtype({"complex_int16": "complex64"}.get(dtype, dtype)).kind
    if bits and kind == "u":
        return 2**bits - 1
    return {"u": 200, "i": -99, "f": rng.choice((float("nan"), -9999.0)), "c": -99.0}[kind]


# --- what is combined ----------------------------------------------------------------------------------------------------


def normal(case):
    """Takes out what cannot go together for reasons that have nothing to do with a raster's encoding."""
    lossy = case["codec"] in ("jpeg", "jpeg-ycbcr", "webp")
    if case["codec"].startswith("webp") or case["codec"] == "jpeg-ycbcr":
        case.update(count=3, interleave="pixel", colour="rgb")
    if case["codec"] in FAX:
        case.update(count=1, validity="none" if case["validity"] == "alpha" else case["validity"])
    if case["codec"].startswith("jpeg"):
        case["count"] = 3 if case["count"] == 2 else case["count"]
        case["colour"] = "plain" if case["colour"] in ("palette", "miniswhite") else case["colour"]
    if lossy and case["validity"] == "nodata" or case["codec"].startswith("jpeg") and case["validity"] == "alpha":
        case["validity"] = "mask"  # a lossy nodata value or alpha is a matter of luck
    if case["type"] in ("bit7", "bit10", "bit24") and case["colour"] == "palette" or case["type"] not in ("u8", "u16", "bit1", "bit2", "bit4") and case["colour"] == "palette":
        case["colour"] = "plain"
    if case["colour"] in ("palette", "miniswhite"):
        case["count"] = 1
    if case["colour"] == "rgb":
        case["count"] = max(3, case["count"])
    if case["colour"] == "palette" and case["validity"] == "alpha":
        case["validity"] = "mask"
    return case


def name_of(case):
    flags = ("big-endian " if case["endian"] == "BIG" else "") + ("BigTIFF " if case["big"] else "") + ("sparse " if case["sparse"] else "")
    return f"{case['type']} {case['codec']} p{case['predictor']} {case['layout']} {case['interleave']}*{case['count']} {flags}{case['validity']} {case['colour']}"


def combinations(write):
    """Yields combinations, deterministically. `write` says whether GDAL took one."""
    rng = random.Random(20250101)
    triples = [(t, c, p) for t in TYPES for c in CODECS for p in ((1, 2, 3) if c in PREDICTED else (1,)) if c not in FAX or t == "bit1"]
    seen, met, tries, taken = set(), set(), collections.Counter(), 0
    for turn in range(12):
        for triple in triples:
            if tries[triple] >= 2 and not tries[triple, True]:
                continue
            options = []
            for _ in range(24):
                case = normal({"type": triple[0], "codec": triple[1], "predictor": triple[2]} | {k: rng.choice(v) for k, v in AXES.items()})
                pairs = set(itertools.combinations([i for i in sorted(case.items(), key=str) if i[0] != "predictor"], 2))
                options.append((len(pairs - met), -len(options), case, pairs))
            gain, _, case, pairs = max(options, key=lambda o: o[:2])
            name = name_of(case)
            if name in seen or turn > 3 and not gain:
                continue
            seen.add(name)
            tries[triple] += 1
            if write(name, case):
                met |= pairs
                tries[triple, True] += 1
                taken += 1
                if taken >= WANTED:
                    return


def write_gdal(path, case):
    """Writes one combination with all the metadata that a raster can have."""
    dtype, bits = TYPES[case["type"]]
    rng = random.Random(name_of(case))
    alpha = case["validity"] == "alpha"
    count = case["count"] + alpha
    options = CODECS[case["codec"]] | LAYOUTS[case["layout"]] | {"interleave": case["interleave"], "endianness": case["endian"]}
    options |= {"bigtiff": "YES" if case["big"] else "NO", "sparse_ok": case["sparse"]}
    if case["predictor"] != 1:
        options["predictor"] = case["predictor"]
    if bits:
        options["nbits"] = bits
    if case["colour"] == "miniswhite":
        options["photometric"] = "MINISWHITE"
    elif case["colour"] == "rgb":
        options.setdefault("photometric", "RGB")
    elif case["colour"] == "plain":
        options.setdefault("photometric", "MINISBLACK")
    if alpha:
        options["alpha"] = rng.choice(("YES", "PREMULTIPLIED")) if case["codec"] not in ("jpeg", "webp") else "YES"
    nodata = nodata_of(dtype, bits, rng) if case["validity"] == "nodata" else None
    data = content(dtype, bits, count)
    if nodata is not None:
        data[:, 50:70, 30:50] = nodata
        data[0, 20:25, 90:120] = nodata
    if alpha:
        top = 2 ** (bits or data.dtype.itemsize * 8) - 1 if data.dtype.kind == "u" else 100
        data[-1] = top
        data[-1, 45:60, 40:80] = 0
        if top > 3:
            data[-1, 60:66, 40:80] = top // 2
    profile = dict(driver="GTiff", width=WIDTH, height=HEIGHT, count=count, dtype=dtype, crs="EPSG:32633", transform=TRANSFORM, nodata=nodata)
    with rasterio.open(path, "w", **profile, **options) as out:
        out.update_tags(PROJECT="matrix", EMPTY_LOOKING=" x ", STATISTICS_MEAN="1", TIFFTAG_IMAGEDESCRIPTION="made for a test")
        out.update_tags(ns="ACQUISITION", SENSOR="none & <all>")
        for band in range(1, count + 1):
            out.set_band_description(band, f"band {band} ü")
            out.set_band_unit(band, f"unit{band}")
            out.update_tags(band, KIND=f"k{band}", STATISTICS_MAXIMUM="3", STATISTICS_VALID_PERCENT="99")
        out.scales = [0.5 + band for band in range(count)]
        out.offsets = [-1.25 * band for band in range(count)]
        if case["colour"] == "palette":
            out.write_colormap(1, {i: ((i * 7) % 256, (i * 31 + 9) % 256, 255 - i % 256, 255) for i in range(2 ** min(bits or 16, 8))})
        if case["sparse"]:  # what is not written stays out of the file
            for window in (Window(0, 0, 64, 64), Window(64, 32, WIDTH - 64, 32), Window(48, 96, 48, HEIGHT - 96)):
                out.write(data[:, window.row_off : window.row_off + window.height, window.col_off : window.col_off + window.width], window=window)
        else:
            out.write(data)
        if case["validity"] == "mask":
            mask = np.full((HEIGHT, WIDTH), 255, "u1")
            mask[40:60, 70:101] = 0
            out.write_mask(mask)
    with tifffile.TiffFile(path) as tiff:  # GDAL says of some combinations only on closing that it cannot write them
        stored = tiff.pages[0].databytecounts
        if not any(stored) or not (all(stored) or case["sparse"]):
            raise RuntimeError("the file has no blocks")


# --- by hand -------------------------------------------------------------------------------------------------------------

SIZES = {1: "B", 2: "c", 3: "H", 4: "I", 5: "II", 6: "b", 7: "B", 8: "h", 9: "i", 10: "ii", 11: "f", 12: "d", 13: "I", 16: "Q", 17: "q", 18: "Q"}


def hand_made(images, order="<", big=False, offset_type=None, count_type=None):
    """A TIFF of (tags, blocks, tiled): tags are {code: (type, values)}, values bytes, numbers, or tags again: an IFD."""
    out = bytearray((b"II" if order == "<" else b"MM") + struct.pack(order + ("HHHQ" if big else "HI"), *((43, 8, 0, 0) if big else (42, 0))))
    pointer, word = ("Q", 8) if big else ("I", 4)

    def put(data):
        out.extend(b"\0" * (-len(out) % 8))
        at = len(out)
        out.extend(data)
        return at

    def directory(tags):
        rows = []
        for code, (kind, values) in sorted(tags.items()):
            if isinstance(values, dict):
                values = [directory(values)[0]]
            if not isinstance(values, bytes):
                values = struct.pack(order + SIZES[kind] * (len(values) // len(SIZES[kind])), *values)
            size = struct.calcsize("=" + SIZES[kind])
            inline = values.ljust(word, b"\0") if len(values) <= word else struct.pack(order + pointer, put(values))
            rows.append(struct.pack(order + "HH" + pointer, code, kind, len(values) // size) + inline)
        table = struct.pack(order + ("Q" if big else "H"), len(rows)) + b"".join(rows)
        at = put(table + bytes(word))
        return at, at + len(table)

    link = 8 if big else 4
    for tags, blocks, tiled in images:
        where = [put(b) for b in blocks]
        tags = dict(tags)
        offsets, counts = (324, 325) if tiled else (273, 279)
        tags[offsets] = (offset_type or (16 if big else 4), where)
        if count_type != 0:
            tags[counts] = (count_type or (16 if big else 4), [len(b) for b in blocks])
        at, following = directory(tags)
        out[link : link + word] = struct.pack(order + pointer, at)
        link = following
    return bytes(out)


# UTM zone 33 as extra tags for tifffile.
GEO = [(33550, "d", 3, (30.0, 30.0, 0.0), True), (33922, "d", 6, (0.0, 0, 0, 500000, 5300000, 0), True),
       (34735, "H", 16, (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32633), True)]  # fmt: skip


def baseline(width, height, bits, sample_format=1, samples=1, photometric=1, compression=1, rows=None, **more):
    tags = {256: (4, [width]), 257: (4, [height]), 258: (3, [bits] * samples), 259: (3, [compression]), 262: (3, [photometric]),
            277: (3, [samples]), 278: (4, [rows or height]), 284: (3, [1]), 339: (3, [sample_format] * samples),
            33550: (12, [30.0, 30.0, 0.0]), 33922: (12, [0.0, 0, 0, 500000, 5300000, 0]),
            34735: (3, [1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32633])}  # fmt: skip
    return tags | {int(k[1:]): v for k, v in more.items()}


def float24(values, order):
    """Packs float32 samples whose last 16 bits are zero as floats of 1, 7 and 16 bits."""
    bits = values.astype("f4").view("u4")
    sign, exponent, fraction = bits >> 31, (bits >> 23 & 255).astype("i8") - 127, bits >> 7 & 0xFFFF
    zero, nan = (bits << 1 & 0xFFFFFFFF) == 0, np.isnan(values)
    packed = (sign.astype("i8") << 23) | ((exponent + 63) << 16) | fraction
    packed = np.where(zero, 0, np.where(nan, 0x7F8000, packed)).astype("<u4")
    three = packed.view("u1").reshape(*values.shape, 4)[..., :3]
    return three[..., ::-1] if order == ">" else three


def extra_rows():
    """Name and a function that writes the file: what GDAL does not write, or not in this way."""

    def hand(tags_blocks, **options):
        return lambda path: path.write_bytes(hand_made([tags_blocks()], **options))

    def strips(data, tags, pack=bytes, rows=32):
        return tags, [pack(np.ascontiguousarray(data[r : r + rows]).tobytes()) for r in range(0, len(data), rows)], False

    flip = bytes(int(f"{i:08b}"[::-1], 2) for i in range(256))
    halves = (content("float32", None, 1)[0] * 4).round() / 4
    for order in "<>":
        end = "little-endian" if order == "<" else "big-endian"
        yield f"float24 none {end}", hand(lambda o=order: strips(float24(halves, o), baseline(WIDTH, HEIGHT, 24, 3, rows=32)), order=order)
        yield f"float24 deflate {end}", hand(lambda o=order: strips(float24(halves, o), baseline(WIDTH, HEIGHT, 24, 3, compression=8, rows=32), zlib.compress), order=order)
        bits = np.packbits(content("uint8", 1, 1)[0], axis=1)
        # What is turned round are the bytes in the file, for any codec but the fax ones, so says libtiff.
        for name, compression, pack in (("none", 1, lambda b: b.translate(flip)), ("deflate", 8, lambda b: zlib.compress(b).translate(flip))):
            yield f"FillOrder 2 {name} bit1 {end}", hand(lambda c=compression, p=pack, d=bits: strips(d, baseline(WIDTH, HEIGHT, 1, compression=c, rows=32, t266=(3, [2])), p), order=order)
        wide = content("uint16", None, 1)[0].astype(order + "u2")
        yield f"FillOrder 2 none u16 {end}", hand(lambda d=wide: strips(d, baseline(WIDTH, HEIGHT, 16, rows=32, t266=(3, [2])), lambda b: b.translate(flip)), order=order)
        yield f"old deflate code u16 {end}", hand(lambda d=wide: strips(d, baseline(WIDTH, HEIGHT, 16, compression=32946, rows=32), zlib.compress), order=order)
        ints = np.stack([content("int32", None, 1)[0], -content("int32", None, 1, seed=5)[0]], axis=-1).astype(order + "i4")
        yield f"complex int32 {end}", hand(lambda d=ints: strips(d, baseline(WIDTH, HEIGHT, 64, 5, rows=32)), order=order)
    cmyk = np.moveaxis(content("uint8", None, 4), 0, -1)
    yield "CMYK", hand(lambda: strips(cmyk, baseline(WIDTH, HEIGHT, 8, samples=4, photometric=5, rows=32)))
    yield "sample format 4 (untyped)", hand(lambda: strips(content("uint8", None, 1)[0], baseline(WIDTH, HEIGHT, 8, 4, rows=32)))
    yield "bytes without a sample format", hand(lambda: strips(content("uint8", None, 1)[0], {k: v for k, v in baseline(WIDTH, HEIGHT, 8, rows=32).items() if k != 339}))

    def tiff(data, byteorder="<", **options):
        def write(path):
            with tifffile.TiffWriter(path, byteorder=byteorder) as out:
                out.write(data, metadata=None, extratags=GEO, **options)

        return write

    for order in "<>":
        end = "little-endian" if order == "<" else "big-endian"
        for dtype in ("f2", "f4", "f8"):
            for codec in ("lzw", "deflate", "zstd"):
                data = content({"f2": "float16", "f4": "float32", "f8": "float64"}[dtype], None, 3)
                yield f"tifffile {codec} p3 {dtype} planar {end}", tiff(data, byteorder=order, compression=codec, predictor=3, planarconfig="separate", tile=(32, 48), photometric="minisblack")
                chunky = np.ascontiguousarray(np.moveaxis(data, 0, -1))
                yield f"tifffile {codec} p3 {dtype} chunky {end}", tiff(chunky, byteorder=order, compression=codec, predictor=3, planarconfig="contig", rowsperstrip=7, photometric="minisblack")
        for dtype in ("u1", "u2", "i4", "u8"):
            data = content(np.dtype(dtype).name, None, 3)
            yield f"tifffile zstd p2 {dtype} planar {end}", tiff(data, byteorder=order, compression="zstd", predictor=2, planarconfig="separate", tile=(32, 48), photometric="minisblack")
    rgb = content("uint8", None, 3)
    chunky = np.ascontiguousarray(np.moveaxis(rgb, 0, -1))
    yield "tifffile planar JPEG", tiff(rgb, compression="jpeg", planarconfig="separate", tile=(64, 64), photometric="rgb")
    yield "tifffile JPEG RGB not subsampled", tiff(chunky, compression="jpeg", tile=(64, 64), photometric="rgb")
    for sub in ((1, 1), (2, 1), (2, 2), (4, 1)):
        yield f"tifffile JPEG YCbCr {sub[0]}x{sub[1]}", tiff(chunky, compression="jpeg", tile=(64, 64), photometric="ycbcr", subsampling=sub)
    yield "tifffile JPEG in strips", tiff(chunky, compression="jpeg", rowsperstrip=16, photometric="ycbcr", subsampling=(2, 2))
    yield "tifffile JPEG grey", tiff(rgb[0], compression="jpeg", tile=(64, 64), photometric="minisblack")
    yield "tifffile LERC u16", tiff(content("uint16", None, 1)[0], compression="lerc", tile=(64, 64), photometric="minisblack")
    yield "tifffile WebP lossless RGB", tiff(chunky, compression="webp", compressionargs={"lossless": True}, tile=(64, 64), photometric="rgb")
    yield "tifffile PackBits bilevel", tiff(content("uint8", 1, 1)[0].astype(bool), compression="packbits", rowsperstrip=7, photometric="minisblack")
    yield "tifffile bilevel, white is zero", tiff(content("uint8", 1, 1)[0].astype(bool), rowsperstrip=7, photometric="miniswhite")
    yield "tifffile LZMA f4", tiff(content("float32", None, 1)[0], compression="lzma", rowsperstrip=7, photometric="minisblack")


# --- comparing -----------------------------------------------------------------------------------------------------------


class Differs(Exception):
    """What is wrong with an output."""


def need(holds, sentence):
    if not holds:
        raise Differs(sentence)


def same_number(a, b):
    return a == b or (isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b))


def invalid(ds):
    """Which samples read as masked, band by band; an alpha band itself never counts as masked."""
    masks = ds.read_masks() == 0
    if any(MaskFlags.alpha in flags for flags in ds.mask_flag_enums):
        masks[:] = ds.dataset_mask() == 0
    for band, meaning in enumerate(ds.colorinterp):
        if meaning == ColorInterp.alpha:
            masks[band] = False
    return masks


def line_up(out, want, transform, by_pixels=False):
    """The part of the reference under our output. Ours may leave out one row or column on a side where rasterio's window is
    larger through rounding alone, if nothing there is valid. `by_pixels`: there is no transform to judge by."""
    if by_pixels:
        need((out.height, out.width) == want.shape[1:], f"{out.width} x {out.height}, not {want.shape[2]} x {want.shape[1]}")
        return want
    place = ~transform * out.transform
    col, row = round(place.c), round(place.f)
    for corner in ((0, 0), (out.width, 0), (0, out.height), (out.width, out.height)):
        x, y = place @ corner
        need(max(abs(x - col - corner[0]), abs(y - row - corner[1])) < 1e-3, f"transform {out.transform[:6]}, not {transform[:6]}")
    slack = (col, row, want.shape[2] - col - out.width, want.shape[1] - row - out.height)
    need(all(side in (0, 1) for side in slack), f"window is off by {slack} (left, top, right, bottom)")
    part = want[:, row : row + out.height, col : col + out.width]
    need((~np.ma.getmaskarray(part)).sum() == (~np.ma.getmaskarray(want)).sum(), "the window leaves out valid samples")
    return part


def unequal(a, b, tolerance=0):
    differ = a != b
    if a.dtype.kind in "fc":
        differ = ~((a == b) | (np.isnan(a) & np.isnan(b)))
        if a.dtype.kind == "c":  # either part may be NaN on its own
            same = lambda x, y: (x == y) | (np.isnan(x) & np.isnan(y))
            differ = ~(same(a.real, b.real) & same(a.imag, b.imag))
    elif tolerance:
        differ = np.abs(a.astype("i8") - b.astype("i8")) > tolerance
    return differ


def pixels_equal(src, out, geometry, touched=False, tolerance=0):
    """Grid, kept samples and validity of an output against rasterio.mask."""
    want, transform = rasterio_mask(src, [geometry], all_touched=touched, crop=True, filled=False)
    need(out.count == src.count, f"{out.count} bands, not {src.count}")
    need(out.dtypes == src.dtypes, f"bands of {out.dtypes}, not {src.dtypes}")
    want = line_up(out, want, transform, by_pixels=bool(src.gcps[0]) and src.transform.is_identity)
    lost, got, masked = np.ma.getmaskarray(want), out.read(), invalid(out)
    need((~lost).any(), "the test is void: nothing is kept")
    alpha = [meaning == ColorInterp.alpha for meaning in out.colorinterp]
    for band in range(out.count):
        keep = ~lost[band]
        odd = unequal(got[band][keep], want.data[band][keep], tolerance)
        if odd.any():
            a, b = got[band][keep][odd][0], want.data[band][keep][odd][0]
            raise Differs(f"band {band + 1}: {odd.sum()} of {keep.sum()} kept samples differ, the first is {a}, not {b}")
        if alpha[band]:
            opaque = lost[band] & (got[band] != 0) & (out.read_masks(band + 1) != 0)
            need(not opaque.any(), f"band {band + 1}: {opaque.sum()} masked pixels are opaque")
            continue
        leaked, hidden = lost[band] & ~masked[band], keep & masked[band]
        need(not leaked.any(), f"band {band + 1}: {leaked.sum()} masked samples read as valid")
        need(not hidden.any(), f"band {band + 1}: {hidden.sum()} valid samples read as masked")


def colormap(ds, band):
    try:
        return ds.colormap(band)
    except ValueError:
        return None


def photometric(path):
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        return getattr(page.photometric, "name", page.photometric)


def metadata_equal(src, out):
    """Everything rasterio says of the source beside its samples, but for statistics, is said of the output."""
    need(bool(src.crs) == bool(out.crs) and (src.crs == out.crs or src.crs.to_wkt() == out.crs.to_wkt()), f"CRS {out.crs}, not {src.crs}")
    if src.nodata is not None:
        need(out.nodata is not None and same_number(out.nodata, src.nodata), f"nodata {out.nodata}, not {src.nodata}")
    for name in ("descriptions", "scales", "offsets", "units", "colorinterp"):
        need(getattr(out, name) == getattr(src, name), f"{name} {getattr(out, name)}, not {getattr(src, name)}")
    for band in (0, *src.indexes):
        domains = (None, *(d for d in src.tag_namespaces(band) if d and d not in ("IMAGE_STRUCTURE", "DERIVED_SUBDATASETS", "RPC", "SUBDATASETS", "EXIF")))
        for domain in domains:
            before, after = src.tags(band, ns=domain), out.tags(band, ns=domain)
            wrong = {k: (v, after.get(k)) for k, v in before.items() if after.get(k) != v and not k.startswith("STATISTICS_")}
            need(not wrong, f"tags of {f'band {band}' if band else 'the dataset'}{f', domain {domain}' if domain else ''}: {str(wrong)[:150]}")
            need(not any(k.startswith("STATISTICS_") for k in after), "statistics of the source are kept")
        if band:
            need(colormap(src, band) == colormap(out, band), f"band {band}: colour table differs")
            before, after = (d.tags(band, ns="IMAGE_STRUCTURE").get("NBITS") for d in (src, out))
            # 24-bit floats become 32-bit ones, which hold them exactly.
            need(before == after or before == "24" and out.dtypes[0] == "float32", f"NBITS of band {band} is {after}, not {before}")


def photometric_equal(source, output):
    before, after = photometric(source), photometric(output)
    before = {"YCBCR": "RGB", "SEPARATED": "RGB"}.get(before, before)  # GDAL reads both as RGB
    need(before == after, f"photometric interpretation {after}, not {before}")


def clip(binary, source, output, geometry, *options):
    """The exit code and the last line of standard error; 124 if it took more than a minute."""
    command = [binary, "clip", source, output, "--cutline", json.dumps(mapping(geometry)), "--cutline-crs", "source", *options]
    try:
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, errors="replace", timeout=60)
    except subprocess.TimeoutExpired:
        return 124, "takes more than a minute"
    return done.returncode, (done.stderr.strip().splitlines() or [""])[-1]


def sound(path):
    """A valid COG, of whose pixels tifffile and rasterio think the same."""
    from rio_cogeo.cogeo import cog_validate

    valid, errors, complaints = cog_validate(str(path), strict=True, quiet=True)
    need(valid and not errors and not complaints, "; ".join([*errors, *complaints]))
    with rasterio.open(path) as out, tifffile.TiffFile(path) as tiff:
        if tiff.pages[0].sampleformat != 5:  # complex integers, which numpy has not
            full = tiff.pages[0].asarray()
            full = full[None] if full.ndim == 2 else np.moveaxis(full, -1, 0)
            need(np.array_equal(full, out.read(), equal_nan=full.dtype.kind in "fc"), "tifffile and rasterio read different samples")


def judge(job):
    """One source, by the centre rule and perhaps by the other: name, verdict, reason."""
    name, path, binary, turn, keep = job
    path = Path(path)
    output = path.with_suffix(".out.tif")
    try:
        try:
            src = rasterio.open(path)
            src.read()
        except Exception as error:
            return name, "unread", f"GDAL does not read it back: {error}"
        with src:
            kind = src.compression.name if src.compression else ""
            tolerance = 3 if kind == "jpeg" else 1 if kind == "webp" and "lossless" not in name else 0
            geometry = star(random.Random(name), src.width, src.height, src.transform)
            for touched in (False, True) if turn % 3 == 0 else (False,):
                output.unlink(missing_ok=True)
                code, line = clip(binary, path, output, geometry, *(["--all-touched"] if touched else []))
                if code == 4 and line:
                    return name, "refused", line
                if code:
                    return name, "crash", f"exit {code}: {line}"
                with rasterio.open(output) as out:
                    pixels_equal(src, out, mapping(geometry), touched, tolerance)
                    metadata_equal(src, out)
                photometric_equal(path, output)
                sound(output)
        return name, "equal", ""
    except Differs as error:
        return name, "differ", str(error)
    except Exception as error:  # rasterio or tifffile cannot read the output
        return name, "differ", f"{type(error).__name__}: {error}"
    finally:
        if not keep:
            path.unlink(missing_ok=True)
            output.unlink(missing_ok=True)


def message_of(error):
    return re.sub(r"\d+", "N", re.sub(r"^\S*\.tif: *", "", str(error.__cause__ or error).splitlines()[0]))[:110]


def file_name(folder, number, name):
    return folder / f"{number:04d}-{re.sub(r'[^A-Za-z0-9]+', '-', name)}.tif"


def make_sources(folder, match, not_written):
    """Every raster of the matrix: name and path."""
    made, numbers = [], itertools.count()

    def write(name, case):
        path = file_name(folder, next(numbers), name)
        try:
            write_gdal(path, case)
        except Exception as error:
            path.unlink(missing_ok=True)
            not_written[f"{case['codec']}: {message_of(error)}"] += 1
            return False
        if match in name:
            made.append((name, path))
        else:
            path.unlink()
        return True

    combinations(write)
    for name, function in extra_rows():
        path = file_name(folder, next(numbers), name)
        if match not in name:
            continue
        try:
            function(path)
            made.append((name, path))
        except Exception as error:
            not_written[f"tifffile: {message_of(error)}"] += 1
    return made


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True, type=Path)
    parser.add_argument("--match", default="", help="only combinations whose name has this in it")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write every verdict there")
    parser.add_argument("--keep", type=Path, help="keep the rasters in this folder")
    return parser.parse_args()


def run(args, work, make_jobs):
    """Judges every job in processes of its own, prints the verdicts and returns the exit code."""
    binary, not_written = args.bin.resolve(), collections.Counter()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        jobs = make_jobs(folder, binary, not_written)
        with multiprocessing.get_context("spawn").Pool(args.jobs) as pool:
            rows = pool.map(work, jobs, chunksize=4)
    totals = collections.Counter(verdict for _, verdict, _ in rows)
    listed = sum(verdict == "refused" and any(re.search(p, name) for p in REFUSED) for name, verdict, _ in rows)
    refusals = collections.defaultdict(list)
    for name, verdict, reason in rows:
        if verdict in ("differ", "crash", "unread"):
            print(f"{verdict.upper():7} {name}: {reason}")
        elif verdict == "refused":
            refusals[re.sub(r"\d+(\.\d+)?|[^ ]*\.tif\b", "N", reason)].append((name, reason))
    for group in sorted(refusals.values(), key=len, reverse=True):
        print(f"REFUSED {len(group)} times: {re.sub(r'[^ ]*/', '', group[0][1])} [first: {group[0][0]}]")
    for message, times in not_written.most_common():
        print(f"GDAL refused to write {times}: {message}")
    if args.json:
        args.json.write_text(json.dumps([dict(zip(("name", "verdict", "reason"), row)) for row in rows], indent=0))
    more = "".join(f", {totals[v]} {why}" for v, why in (("unread", "that GDAL does not read"), ("unfit", "that the codec does not fit")) if totals[v])
    print(f"{totals['equal']} equal, {totals['refused']} refused, {totals['differ']} differ, {totals['crash']} crash{more}; {sum(not_written.values())} combinations that GDAL refused to write")
    return 0 if totals["equal"] and not totals["differ"] and not totals["crash"] and totals["refused"] == listed else 1


def main():
    args = arguments()

    def make_jobs(folder, binary, not_written):
        return [(n, str(p), str(binary), i, args.keep) for i, (n, p) in enumerate(make_sources(folder, args.match, not_written))]

    return run(args, judge, make_jobs)


if __name__ == "__main__":
    sys.exit(main())
