#!/usr/bin/env python3
"""Makes testdata/overview/: small blocks of samples and what GDAL's overviews of factor 2 make of them.

Needs numpy and rasterio. blocks.tsv has one line per block:
    sample type  resampling  nodata (or "-")  mask (0 or 1)  samples per pixel  width  height
    offset of the block  offset of its half  offset of the mask (or "-")  offset of the mask's half (or "-")
Offsets are in bytes in blocks.bin; samples are little-endian, pixel by pixel; masks are one byte (0 or 1) per
pixel. Halves are (width + 1) / 2 by (height + 1) / 2.
"""

import pathlib
import tempfile

import numpy as np
import rasterio
from rasterio.enums import Resampling

OUT = pathlib.Path(__file__).resolve().parent.parent / "testdata" / "overview"
TYPES = ["uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float32", "float64"]

lines, blob, seen = [], bytearray(), {}


def keep(a):
    data = np.ascontiguousarray(a).astype(a.dtype.newbyteorder("<")).tobytes()
    if data not in seen:
        seen[data] = len(blob)
        blob.extend(data)
    return seen[data]


def block(dtype, spp, width, height, seed):
    """Few different values, so that ties, halves and means equal to nodata happen; then some large ones."""
    rng = np.random.default_rng(seed)
    low = 0 if dtype.startswith("u") else -4
    a = rng.integers(low, low + 8, (height, width, spp)).astype(dtype)
    if dtype.startswith("float"):
        a[: height // 2] += (rng.integers(0, 1000, a[: height // 2].shape) / 999).astype(dtype)
        a[-2:, :2], a[-2:, 2:4] = np.inf, np.finfo(dtype).max
    else:
        a[-2:] = rng.integers(np.iinfo(dtype).max // 2, np.iinfo(dtype).max, a[-2:].shape, dtype, endpoint=True)
        if dtype in ("int64", "uint64"):
            a[-2:] = a[-2:] >> 24  # GDAL goes by way of double, which is not exact for larger ones.
    return a


def add(dtype, method, nodata, masked, spp=1, width=20, height=18):
    a = block(dtype, spp, width, height, 7)
    if nodata is not None and np.isnan(nodata):
        a[np.random.default_rng(8).random(a.shape) < 0.4] = np.nan
    mask = np.random.default_rng(9).random((height, width)) < 0.6 if masked else None
    with tempfile.TemporaryDirectory() as folder, rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        path = pathlib.Path(folder) / "a.tif"
        profile = dict(driver="GTiff", width=width, height=height, count=spp, dtype=dtype, nodata=nodata)
        with rasterio.open(path, "w", **profile) as dst:
            dst.write(np.moveaxis(a, -1, 0))
            if masked:
                dst.write_mask(mask)
        with rasterio.open(path, "r+") as dst:
            dst.build_overviews([2], Resampling[method])
        with rasterio.open(path, overview_level=0) as src:
            half = np.moveaxis(src.read(), 0, -1)
            half_mask = (src.dataset_mask() > 0).astype("uint8") if masked else None
    text = "-" if nodata is None else str(nodata)
    offsets = [keep(a), keep(half)] + ([keep(mask.astype("uint8")), keep(half_mask)] if masked else ["-", "-"])
    lines.append([dtype, method, text, int(masked), spp, width, height, *offsets])


for dtype in TYPES:
    for method in ["average", "nearest", "mode"]:
        add(dtype, method, None, False)
        add(dtype, method, 2, False)
        add(dtype, method, None, True)
    if dtype.startswith("float"):
        for method in ["average", "nearest", "mode"]:
            add(dtype, method, float("nan"), False)
add("uint8", "average", 255, False, spp=3)
add("uint8", "average", None, True, spp=3)
add("uint16", "average", None, False, spp=4)
add("int16", "mode", -3, False, spp=2)

OUT.mkdir(parents=True, exist_ok=True)
(OUT / "blocks.bin").write_bytes(blob)
(OUT / "blocks.tsv").write_text("".join("\t".join(map(str, line)) + "\n" for line in lines))
print(len(lines), "blocks,", len(blob), "bytes")
