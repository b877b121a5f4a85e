#!/usr/bin/env python3
"""Makes testdata/codec/: tiles as other programs store them, and the samples that they stand for.

Needs numpy, tifffile, imagecodecs and rasterio. Every stored tile comes from tifffile/imagecodecs or from
GDAL (through rasterio); none from cogclip.

tiles.tsv has one line per tile:
    writer  compression  predictor  byte order  sample type  samples per pixel  tile width  tile height
    image width  image height  column  row  offset  length  expected offset  expected length
Codes are TIFF's numbers; offsets and lengths are in bytes: of the stored tile in stored.bin, and of its
samples (little-endian, pixel by pixel, cut to the image) in expected.bin.
"""

import io
import pathlib
import tempfile

import numpy as np
import rasterio
import tifffile

OUT = pathlib.Path(__file__).resolve().parent.parent / "testdata" / "codec"
TYPES = ["uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float32", "float64"]
WIDTH, HEIGHT, TILE = 25, 23, 16

rows, stored, expected = [], bytearray(), bytearray()
seen = {}


def image(dtype, spp):
    """A ramp with noise: predictors help, and every byte of a wide sample is in use somewhere."""
    rng = np.random.default_rng(20_240_229)
    ramp = np.add.outer(np.arange(HEIGHT) * 3, np.arange(WIDTH) * 5)[..., None] + np.arange(spp) * 40
    noise = rng.integers(0, 2, ramp.shape)
    if dtype.startswith("float"):
        a = ((ramp + noise) * 1.37 - 55.5).astype(dtype)
        a[2, 3], a[4, 5, 0], a[6, 7, 0] = np.nan, -np.inf, -0.0
        return a
    info = np.iinfo(dtype)
    a = (ramp + noise).astype("uint64").astype(dtype)
    a[1, 2], a[1, 3], a[3, 4] = info.max, info.min, info.max
    return a


def add(writer, data, dtype, spp, a):
    with tifffile.TiffFile(io.BytesIO(data)) as tif:
        page, order = tif.pages[0], {"<": "II", ">": "MM"}[tif.byteorder]
        across = -(-WIDTH // TILE)
        for number, (offset, length) in enumerate(zip(page.dataoffsets, page.databytecounts, strict=True)):
            whole = number == 0 and spp == 1 and dtype in ("uint8", "uint16", "float32")
            if not whole and number != 3:  # 3 is at the corner: cut to 9 x 7 pixels.
                continue
            row, col = divmod(number, across)
            want = a[row * TILE : (row + 1) * TILE, col * TILE : (col + 1) * TILE]
            want = np.ascontiguousarray(want).astype(np.dtype(dtype).newbyteorder("<")).tobytes()
            if want not in seen:
                seen[want] = len(expected)
                expected.extend(want)
            rows.append(
                [writer, int(page.compression), int(page.predictor), order, dtype, spp, TILE, TILE]
                + [WIDTH, HEIGHT, col, row, len(stored), length, seen[want], len(want)]
            )
            stored.extend(data[offset : offset + length])


def by_tifffile(dtype, spp, compression, predictor, order):
    a, out = image(dtype, spp), io.BytesIO()
    tifffile.imwrite(
        out, a[..., 0] if spp == 1 else a, tile=(TILE, TILE), byteorder=order, metadata=None, planarconfig="contig" if spp > 1 else None,
        photometric="minisblack", compression=compression, predictor=predictor,
    )  # fmt: skip
    add("tifffile", out.getvalue(), dtype, spp, a)


def by_gdal(dtype, spp, compression, predictor, order):
    a = image(dtype, spp)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "a.tif"
        profile = dict(driver="GTiff", width=WIDTH, height=HEIGHT, count=spp, dtype=dtype, tiled=True,
                       blockxsize=TILE, blockysize=TILE, interleave="pixel", compress=compression,
                       ENDIANNESS=order)  # fmt: skip
        if predictor != 1:
            profile["predictor"] = predictor
        with rasterio.open(path, "w", **profile) as dst:
            dst.write(np.moveaxis(a, -1, 0))
        add("gdal", path.read_bytes(), dtype, spp, a)


for dtype in TYPES:
    floating = dtype.startswith("float")
    by_tifffile(dtype, 1, None, 1, ">")
    by_tifffile(dtype, 1, "packbits", 1, "<")
    by_tifffile(dtype, 3, "lzw", 1 if floating else 2, ">")
    by_tifffile(dtype, 4, "zlib", 3 if floating else 2, ">")
    by_tifffile(dtype, 1, "adobe_deflate", 3 if floating else 2, "<")
    by_gdal(dtype, 1, "DEFLATE", 2, "LITTLE")
    by_gdal(dtype, 3, "DEFLATE", 2, "BIG")
    by_gdal(dtype, 2, "LZW", 3 if floating else 2, "BIG")
    by_gdal(dtype, 5, "LZW", 3 if floating else 2, "LITTLE")
    by_gdal(dtype, 1, "PACKBITS", 1, "BIG")
by_tifffile("uint8", 1, "deflate", 1, "<")  # Code 32946.

OUT.mkdir(parents=True, exist_ok=True)
(OUT / "stored.bin").write_bytes(stored)
(OUT / "expected.bin").write_bytes(expected)
(OUT / "tiles.tsv").write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
print(len(rows), "tiles,", len(stored), "stored bytes,", len(expected), "expected bytes")
