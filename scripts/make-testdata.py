#!/usr/bin/env python3
"""Makes testdata/: small rasters, cutlines, a sample scene, and what rasterio.mask makes of them.

    scripts/make-testdata.py            write everything anew
    scripts/make-testdata.py --check    write it to a temporary folder and compare with what is committed

Needs the packages of scripts/requirements.txt. Nothing is random: the content is computed from integer hashes, so that
the same versions of the libraries give the same bytes. `--check` fails if the manifest and the files disagree, or if a
file that is made anew has other samples; if only its bytes differ (another zlib), it says so and goes on.

testdata/manifest.tsv
    One line a file: path (from testdata/), sha256, made (how), for (what it tests). The files of golden/ are listed by
    golden/index.tsv instead, which has a line here.

testdata/cutlines/GRID-SHAPE.geojson
    Cutlines in the CRS of the rasters of that grid: use them with `--cutline-crs source`.
      star    37 points around a hole of 11: no vertex anywhere special
      edges   vertices on the corners, edges and centres of pixels
      leaves  two parts, each of which leaves the raster on one side

testdata/golden/index.tsv and testdata/golden/*.z
    What rasterio.mask (GDAL) returns with crop=True. A line a case; columns separated by tabs, the first line names them:
      source      raster, from testdata/
      cutline     cutline, from testdata/, in the raster's own CRS
      options     `-` or `all-touched`
      col_off row_off width height    the crop window in the source's pixels; row_off counts from the first row
      bands       number of bands
      dtype       numpy's name of the sample type
      data        file, from testdata/golden/
      sha256      of that file
    A data file is one zlib stream (RFC 1950). Inflated, it holds
      1. bands * height * width samples, band after band, row after row, little-endian; a masked sample is 0;
      2. bands * height * width bytes in the same order: 1 if the sample is valid, 0 if it is masked. A sample is masked if
         the cutline leaves it out, or if it was not valid in the source: nodata, internal mask, alpha of 0.
"""

import argparse
import hashlib
import json
import math
import os
import shutil
import struct
import sys
import tempfile
import warnings
import zlib
from pathlib import Path

os.environ["GDAL_PAM_ENABLED"] = "NO"
os.environ["GDAL_NUM_THREADS"] = "1"

import numpy as np
import pyproj
import rasterio
import rasterio.shutil
import tifffile
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp, Resampling
from rasterio.io import MemoryFile
from rasterio.mask import mask as rasterio_mask
from rasterio.mask import raster_geometry_mask

warnings.filterwarnings("ignore", category=rasterio.errors.NotGeoreferencedWarning)

HERE = Path(__file__).resolve().parent.parent / "testdata"

# Grids: CRS, transform, width, height. 70 x 45 is a multiple of nothing that a tile could be.
# The pixels of the projected systems are so large that a straight edge in longitude and latitude bends by pixels here.
ROTATED = Affine(24.0, 18.0, 500000.0, 18.0, -24.0, 5300000.0)
GRIDS = {
    "utm33": ("EPSG:32633", Affine(30, 0, 500000, 0, -30, 5300000), 70, 45),
    "utm33-small": ("EPSG:32633", Affine(10, 0, 512340, 0, -10, 5312340), 20, 17),
    "utm33-tall": ("EPSG:32633", Affine(30, 0, 500000, 0, -30, 5300000), 40, 200),
    "utm33-even": ("EPSG:32633", Affine(30, 0, 500000, 0, -30, 5300000), 144, 112),
    "utm33-rotated": ("EPSG:32633", ROTATED, 70, 45),
    "utm33-south-up": ("EPSG:32633", Affine(30, 0, 500000, 0, 30, 5298650), 70, 45),
    "none": (None, Affine(2, 0, 1000, 0, -2, 2000), 70, 45),
    "pixels": (None, Affine.identity(), 70, 45),
    "epsg4326": ("EPSG:4326", Affine(0.01, 0, 15.0, 0, -0.008, 48.0), 70, 45),
    "epsg3857": ("EPSG:3857", Affine(20000, 0, 1600000, 0, -20000, 6100000), 70, 45),
    "epsg3035": ("EPSG:3035", Affine(20000, 0, 4600000, 0, -20000, 2800000), 70, 45),
    "epsg2154": ("EPSG:2154", Affine(5000, 0, 650000, 0, -5000, 6860000), 70, 45),
    "epsg5070": ("EPSG:5070", Affine(20000, 0, -96000, 0, -20000, 2100000), 70, 45),
    "epsg6933": ("EPSG:6933", Affine(50000, 0, 1400000, 0, -50000, 5500000), 70, 45),
    "user-laea": (
        "+proj=laea +lat_0=47.5 +lon_0=13.25 +x_0=1000 +y_0=2000 +datum=WGS84 +units=m +no_defs",
        Affine(250, 0, -9000, 0, -250, 8000),
        70,
        45,
    ),
}


def smooth(width, height, band):
    """A hilly field of integers 0..1000 with a grain of 0..3, as int64."""
    y, x = np.mgrid[0:height, 0:width].astype("i8")
    waves = np.sin((x + 7 * band) / 9.0) + np.cos((y - 5 * band) / 7.0) + np.sin((x + y) / 17.0 + band)
    grain = ((x * 73856093) ^ (y * 19349663) ^ ((band + 1) * 83492791)) >> 8 & 3
    return np.rint((waves + 3) / 6 * 996).astype("i8") + grain


def content(dtype, count, width, height):
    """Samples that use the whole range of their type, so that a predictor's sums wrap around."""
    dtype = np.dtype(dtype)
    bands = []
    for band in range(count):
        field = smooth(width, height, band)
        if dtype.kind == "c":
            values = (field - 500) / 8 + 1j * (field % 37)
        elif dtype.itemsize == 2 and dtype.kind == "f":
            values = (field - 500) / 4
        elif dtype.kind == "f":
            values = (field - 500) / 8 * (1 if dtype.itemsize == 4 else 2.0**300)
        elif dtype.kind == "u":
            top = np.iinfo(dtype).max
            values = (field.astype("u8") * np.uint64(top // 1003)) ^ field.astype("u8") % np.uint64(3)
        else:
            top = np.iinfo(dtype).max
            values = (field - 500) * (top // 503) + field % 3
        bands.append(values.astype(dtype))
    return np.stack(bands)


# --- writing -----------------------------------------------------------------------------------------------------


class Maker:
    """Writes the rasters into one folder and remembers the story of each."""

    def __init__(self, root):
        self.root = root
        self.stories = {}  # path: (made, for)
        self.grids = {}  # path: grid

    def note(self, path, made, purpose, grid=None):
        assert path not in self.stories, path
        self.stories[path] = (made, purpose)
        if grid:
            self.grids[path] = grid

    def gdal(self, name, purpose, dtype="uint8", count=1, grid="utm33", nodata=None, edit=None, change=None, **options):
        """Through rasterio. `change(data)` alters the samples before, `edit(dataset)` the dataset after they are written."""
        crs, transform, width, height = GRIDS[grid]
        data = content(dtype, count, width, height)
        if change:
            data = change(data)
        path = self.root / f"{name}.tif"
        profile = dict(driver="GTiff", dtype=dtype, count=count, width=width, height=height, crs=crs, nodata=nodata)
        if grid != "pixels":
            profile["transform"] = transform
        for key in ("blockxsize", "blockysize"):
            if options.get("tiled"):
                options.setdefault(key, 32)
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "w", **profile, **options) as out:
            out.write(data)
            if edit:
                edit(out)
        self.same_samples(path, data)
        told = " ".join(f"{k.upper()}={str(v).upper()}" for k, v in options.items())
        extra = (f" nodata={nodata}" if nodata is not None else "") + (f"; {edit.__doc__}" if edit else "")
        self.note(f"{name}.tif", f"rasterio: {dtype} x {count}, grid {grid}, {told or 'defaults'}{extra}", purpose, grid)

    def tifffile(self, name, purpose, dtype="uint8", count=1, grid="utm33", tags=(), planar=False, order="<", big=False, **options):
        """Through tifffile, with the GeoTIFF tags written by hand."""
        crs, transform, width, height = GRIDS[grid]
        data = content(dtype, count, width, height)
        path = self.root / f"{name}.tif"
        image = data if planar else np.moveaxis(data, 0, -1)
        image = image[0] if planar and count == 1 else image[..., 0] if count == 1 else image
        with tifffile.TiffWriter(path, bigtiff=big, byteorder=order) as out:
            extra = [None] * (count - 1) if count > 1 else None
            out.write(
                np.ascontiguousarray(image),
                photometric="minisblack",
                planarconfig=("separate" if planar else "contig") if count > 1 else None,
                extrasamples=["unspecified"] * len(extra) if extra else None,
                extratags=[*geo_tags(crs, transform), *tags],
                metadata=None,
                software=False,
                **options,
            )
        self.same_samples(path, data)
        told = " ".join(f"{k}={v}" for k, v in {"byteorder": order, "bigtiff": big, "planar": planar, **options}.items())
        extra = "".join(f" tag {code}={value!r}" for code, _, _, value, _ in tags)
        self.note(f"{name}.tif", f"tifffile: {dtype} x {count}, grid {grid}, {told}{extra}", purpose, grid)

    @staticmethod
    def same_samples(path, data):
        """A fixture that cannot be read back as it was meant would test nothing."""
        with rasterio.open(path) as back:
            got = back.read()
        assert got.dtype == data.dtype and np.array_equal(got, data, equal_nan=data.dtype.kind in "fc"), path


def geo_tags(crs, transform):
    """ModelPixelScale, ModelTiepoint and GeoKeyDirectory (OGC 19-008r4 §7.1, §7.3) of a north-up grid in a projected EPSG CRS."""
    scale = (transform.a, -transform.e, 0.0)
    tie = (0.0, 0.0, 0.0, transform.c, transform.f, 0.0)
    keys = (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, int(crs.split(":")[1]))
    return [(33550, 12, 3, scale, True), (33922, 12, 6, tie, True), (34735, 3, len(keys), keys, True)]


def subifd_overviews(maker):
    crs, transform, width, height = GRIDS["utm33-even"]
    data = content("uint8", 1, width, height)[0]
    path = maker.root / "overviews-in-subifds.tif"
    options = dict(tile=(32, 32), compression="adobe_deflate", predictor=True, photometric="minisblack", metadata=None, software=False)
    with tifffile.TiffWriter(path) as out:
        out.write(data, subifds=2, extratags=geo_tags(crs, transform), **options)
        for step in (2, 4):
            small = data.reshape(height // step, step, width // step, step).astype("f8").mean(axis=(1, 3))
            out.write(np.floor(small + 0.5).astype("uint8"), subfiletype=1, **options)
    maker.same_samples(path, data[None])
    maker.note(path.name, "tifffile: uint8 x 1, grid utm33-even, 2 averaged levels in SubIFDs (tag 330)", "overviews that are no part of the chain of IFDs", "utm33-even")


# EXIF and GPS: tag, type, count, values (Exif 3.0 §4.6). The last rows are what a clip drops.
EXIF = [
    (33434, 5, 1, (1, 250)), (33437, 5, 1, (56, 10)), (34855, 3, 1, (200,)), (36864, 7, 4, b"0232"),
    (36867, 2, 20, b"2026:11:22 12:00:00\0"), (37510, 7, 15, b"ASCII\0\0\0a field"), (41985, 3, 1, (1,)),
    (42036, 2, 13, b"Biogon 60 mm\0"),
    (37121, 7, 4, b"\1\2\3\0"), (37396, 3, 2, (10, 20)), (37500, 7, 16, b"MAKER'S OWN DATA"), (40962, 4, 1, (70,)),
    (40963, 4, 1, (45,)), (42016, 2, 9, b"0123abcd\0"),
]
GPS = [
    (0, 1, 4, b"\2\3\0\0"), (1, 2, 2, b"N\0"), (2, 5, 3, (47, 1, 51, 1, 1234, 100)), (3, 2, 2, b"E\0"),
    (4, 5, 3, (15, 1, 0, 1, 0, 1)), (6, 5, 1, (2961, 10)), (29, 2, 11, b"2026:11:22\0"),
]


def with_exif(maker, name, order, gap):
    """tifffile's file with EXIF and GPS directories behind `gap` bytes at its end."""
    # tifffile writes no such pointers: their neighbours stand in for them.
    pointers = [(34666, 4, 1, 0, True), (34854, 4, 1, 0, True)]
    others = [(297, 3, 2, (3, 9), True), (315, 2, 0, "nobody", True), (32781, 2, 0, "/originals/whole.tif", True), (65000, 2, 0, "a custom tag", True)]
    maker.tifffile(name, "", tags=[*pointers, *others], order=order, description="a field", tile=(32, 32), compression="adobe_deflate")
    path = maker.root / f"{name}.tif"
    file = bytearray(path.read_bytes()) + bytes(gap)
    places = []
    for entries in (EXIF, GPS):
        file += bytes(len(file) % 2)
        places.append(len(file))
        values = len(file) + 2 + 12 * len(entries) + 4
        directory, outside = struct.pack(order + "H", len(entries)), b""
        for tag, kind, count, value in sorted(entries):
            if not isinstance(value, bytes):
                value = struct.pack(order + str(len(value)) + ("H" if kind == 3 else "I"), *value)
            here = value.ljust(4, b"\0")
            if len(value) > 4:
                here = struct.pack(order + "I", values + len(outside))
                outside += value + bytes(len(value) % 2)
            directory += struct.pack(order + "HHI", tag, kind, count) + here
        file += directory + bytes(4) + outside
    with tifffile.TiffFile(path) as tiff:
        entries = [tiff.pages[0].tags[tag].offset for tag, *_ in pointers]
    for entry, tag, place in zip(entries, (34665, 34853), places):
        file[entry : entry + 12] = struct.pack(order + "HHII", tag, 4, 1, place)
    path.write_bytes(file)
    with rasterio.open(path) as back:
        tags = back.tags(ns="EXIF")
    assert tags["EXIF_LensModel"] == "Biogon 60 mm" and tags["EXIF_GPSDateStamp"] == "2026:11:22", tags
    made, _ = maker.stories[path.name]
    maker.stories[path.name] = (f"{made}; EXIF and GPS directories added by hand behind {gap} bytes", "EXIF, GPS and other tags that a clip keeps or drops")
    del maker.grids[path.name]


def pages(maker):
    """Two full images, the second with a place, an overview and a mask of its own, and a third that is not read."""
    crs, transform, width, height = GRIDS["utm33"]
    other = Affine(10, 0, 600000, 0, -10, 5400000)
    path = maker.root / "pages.tif"
    options = dict(tile=(16, 16), compression="adobe_deflate", photometric="minisblack", metadata=None, software=False)
    rows, cols = np.mgrid[0:30, 0:40]
    second = (rows * 40 + cols).astype("uint16")
    mask = cols >= 8
    with tifffile.TiffWriter(path) as out:
        out.write(content("uint8", 1, width, height)[0], extratags=geo_tags(crs, transform), **options)
        out.write(second, extratags=[*geo_tags("EPSG:32633", other), (42113, 2, 0, "65535", True)], **options)
        out.write(second[::2, ::2] + 5000, subfiletype=1, **options)
        out.write(mask, subfiletype=4, **{**options, "photometric": "mask"})
        out.write(content("float16", 1, 20, 17)[0], **options)
    for number, want in enumerate((content("uint8", 1, width, height)[0], second, second[::2, ::2] + 5000), 1):
        with rasterio.open(f"GTIFF_DIR:{number}:{path}") as back:
            assert np.array_equal(back.read(1), want), number
            assert (back.crs is None) == (number == 3) and (number != 2 or back.transform == other), number
    maker.note(path.name, "tifffile: uint8 70 x 45; uint16 40 x 30, its samples counted from 0 row by row, with an overview (every other sample, + 5000) and a mask (columns 0 to 7 invalid); float16", "many images in one file")


def cog(maker, name, purpose, dtype, count, nodata=None, change=None, mask=None, **options):
    crs, transform, width, height = GRIDS["utm33-even"]
    data = content(dtype, count, width, height)
    if change:
        data = change(data)
    profile = dict(driver="GTiff", dtype=dtype, count=count, width=width, height=height, crs=crs, transform=transform, nodata=nodata)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), MemoryFile() as memory:
        with memory.open(**profile) as out:
            out.write(data)
            if mask is not None:
                out.write_mask(mask(height, width))
        with memory.open() as src:
            rasterio.shutil.copy(src, maker.root / f"{name}.tif", driver="COG", **options)
    maker.same_samples(maker.root / f"{name}.tif", data)
    with rasterio.open(maker.root / f"{name}.tif") as back:
        assert back.overviews(1) and back.block_shapes[0] == (128, 128), (name, back.overviews(1), back.block_shapes)
    told = " ".join(f"{k.upper()}={v}" for k, v in options.items())
    maker.note(f"{name}.tif", f"rasterio, driver COG: {dtype} x {count}, grid utm33-even, {told}" + (f" nodata={nodata}" if nodata is not None else "") + ("; internal mask" if mask else ""), purpose, "utm33-even")


# --- edits and changes: the docstring of an edit is what the manifest says of it ---------------------------------------


def ellipse(height, width):
    y, x = np.mgrid[0:height, 0:width]
    inside = ((x - width * 0.45) / (width * 0.42)) ** 2 + ((y - height * 0.5) / (height * 0.45)) ** 2 < 1
    return np.where(inside, 255, 0).astype("uint8")


def with_internal_mask(out):
    """write_mask with an ellipse"""
    out.write_mask(ellipse(out.height, out.width))


def alpha_is_ellipse(data):
    data[-1] = ellipse(*data.shape[1:])
    return data


def with_alpha(out):
    """colour interpretation red, green, blue, alpha"""
    out.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]


def with_palette(out):
    """colour table of 16 entries"""
    out.write_colormap(1, {i: (i * 17, 255 - i * 13, (i * 53) % 256, 255) for i in range(16)})


def with_names(out):
    """descriptions, scales, offsets, units, tags of the dataset, of a band and of a domain"""
    out.descriptions = ("blue", "green & <red>", None)
    out.scales = (0.0001, 0.0002, 1.0)
    out.offsets = (0.0, -5.5, 0.0)
    out.units = ("W m-2", "K", None)
    out.update_tags(PROJECT="cogclip fixture", NOTE='quotes " and <angles> & ampersands')
    out.update_tags(2, WAVELENGTH="560")
    out.update_tags(ns="ACQUISITION", SENSOR="none")


def with_statistics(out):
    """STATISTICS_* tags of band 1, which no longer hold after a clip, and one tag that does"""
    out.update_tags(1, STATISTICS_MINIMUM="1", STATISTICS_MAXIMUM="250", STATISTICS_MEAN="99", KEEP="yes")


def with_point(out):
    """AREA_OR_POINT=Point"""
    out.update_tags(AREA_OR_POINT="Point")


def with_gcps(out):
    """four ground control points and no transform"""
    places = [(0, 0, 500000, 5300000), (0, 70, 502100, 5300100), (45, 0, 499900, 5298650), (45, 70, 502150, 5298700)]
    out.gcps = ([GroundControlPoint(r, c, x, y, 0, id=str(i)) for i, (r, c, x, y) in enumerate(places)], rasterio.CRS.from_epsg(32633))


def with_averages(out):
    """build_overviews 2, 4, average"""
    out.build_overviews([2, 4], Resampling.average)


def holes(value):
    def change(data):
        keep = ellipse(*data.shape[1:]) > 0
        return np.where(keep, np.where(data == value, data + np.array(1, data.dtype), data), np.array(value, data.dtype))

    return change


def empty_quarter(value):
    def change(data):
        data[:, 32:, 32:] = value
        return data

    return change


def sixteen(data):
    return (data >> 4).astype("uint8")


# --- the table of rasters --------------------------------------------------------------------------------------------


def make_rasters(m):
    g, t = m.gdal, m.tifffile
    lzw, deflate, packbits = (dict(compress=c) for c in ("lzw", "deflate", "packbits"))
    tiled, planar = dict(tiled=True), dict(interleave="band")

    # Sample types, each tiled, with the predictor that suits it.
    for dtype in ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"):
        short = dtype.replace("uint", "u").replace("int", "i")
        g(f"deflate-p2-{short}-tiled", f"{dtype}, predictor 2 over the whole range of the type", dtype, **tiled, **deflate, predictor=2)
    g("deflate-p2-f16-tiled", "float16, under predictor 2: GDAL writes no other", "float16", **tiled, **deflate, predictor=2)
    for dtype, short in (("float32", "f32"), ("float64", "f64")):
        g(f"deflate-p3-{short}-tiled", f"{dtype}, predictor 3", dtype, **tiled, **deflate, predictor=3)
    g("deflate-p1-c64-tiled", "complex of two float32", "complex64", **tiled, **deflate)

    # Compressions, predictors, layouts.
    g("none-u8-strips", "no compression; GDAL's default rows per strip", "uint8", 3)
    g("none-u16-tiled", "no compression, tiled", "uint16", 2, **tiled)
    g("none-u16-tiled-planar", "no compression, tiled, planes apart", "uint16", 3, **tiled, **planar)
    g("none-f32-be-strips", "big-endian floats without compression", "float32", 2, endianness="big", blockysize=7)
    g("deflate-p1-u8-3band-tiled", "chunky, no predictor", "uint8", 3, **tiled, **deflate)
    g("deflate-p2-u8-3band-tiled", "predictor 2 with a stride of 3", "uint8", 3, **tiled, **deflate, predictor=2)
    g("deflate-p2-u16-4band-planar", "planar tiles: predictor 2 with a stride of 1", "uint16", 4, **tiled, **planar, **deflate, predictor=2)
    g("deflate-p2-u16-3band-strips", "chunky strips with a predictor", "uint16", 3, blockysize=8, **deflate, predictor=2)
    g("deflate-p2-f32-tiled", "floats under predictor 2, as libtiff allows", "float32", **tiled, **deflate, predictor=2)
    g("deflate-p3-f32-3band-tiled", "predictor 3 with a stride of 3", "float32", 3, **tiled, **deflate, predictor=3)
    g("deflate-p3-f64-2band-planar", "predictor 3, planes apart", "float64", 2, **tiled, **planar, **deflate, predictor=3)
    g("lzw-p1-u8-strips", "LZW strips", "uint8", 1, blockysize=16, **lzw)
    g("lzw-p2-i16-tiled", "LZW with predictor 2", "int16", 2, **tiled, **lzw, predictor=2)
    g("lzw-p3-f32-be-tiled", "LZW, predictor 3, big-endian (predictor 3 has its own byte order)", "float32", 2, **tiled, **lzw, predictor=3, endianness="big")
    g("packbits-u8-strips", "PackBits strips", "uint8", 1, blockysize=9, **packbits)
    g("packbits-u16-tiled-planar", "PackBits, tiled, planes apart", "uint16", 2, **tiled, **planar, **packbits)
    g("deflate-p2-u16-be-tiled", "big-endian with predictor 2", "uint16", 2, **tiled, **deflate, predictor=2, endianness="big")
    g("deflate-p2-i64-be-planar", "big-endian 64-bit integers, planes apart", "int64", 2, **tiled, **planar, **deflate, predictor=2, endianness="big")
    g("bigtiff-deflate-p2-u16-tiled", "BigTIFF", "uint16", 2, **tiled, **deflate, predictor=2, bigtiff="yes")
    g("bigtiff-be-lzw-u32-strips", "BigTIFF, big-endian, strips", "uint32", 1, blockysize=10, **lzw, bigtiff="yes", endianness="big")
    g("tiles-64x16-u8", "tiles that are not square", "uint8", 2, **tiled, blockxsize=64, blockysize=16, **deflate)
    g("many-strips-u16", "200 strips of one row", "uint16", 1, "utm33-tall", blockysize=1, **deflate)
    g("one-strip-u8", "one strip holds the whole image", "uint8", 1, blockysize=45, **deflate)
    g("smaller-than-a-tile-u16", "20 x 17 pixels in one tile of 64 x 64", "uint16", 1, "utm33-small", **tiled, blockxsize=64, blockysize=64, **deflate)
    g("miniswhite-u8-strips", "photometric MinIsWhite: the numbers are not to be inverted", "uint8", 1, photometric="miniswhite", **deflate)
    t("deflate32946-p2-u16-tiled", "deflate under its old code 32946", "uint16", tile=(32, 32), compression="deflate", predictor=True)
    t("be-lzw-p2-u16-3band-planar", "big-endian, tiled, planar, LZW, not by GDAL", "uint16", 3, order=">", planar=True, tile=(32, 48), compression="lzw", predictor=True)
    t("be-bigtiff-packbits-u8-strips", "big-endian BigTIFF, PackBits, not by GDAL", "uint8", 3, order=">", big=True, rowsperstrip=5, compression="packbits")
    t("be-deflate-p3-f64-tiled", "big-endian, predictor 3, not by GDAL", "float64", 2, order=">", tile=(16, 32), compression="adobe_deflate", predictor=True)

    # Which pixels are valid.
    g("sparse-u16-tiled", "tiles that were never written read as 0", "uint16", 1, **tiled, **deflate, sparse_ok=True, change=empty_quarter(0))
    g("sparse-nodata-i16-tiled", "tiles that were never written read as nodata", "int16", 2, nodata=-9999, **tiled, **deflate, sparse_ok=True, change=empty_quarter(-9999))
    g("nodata-zero-u8", "nodata 0, unsigned", "uint8", 3, nodata=0, **tiled, **deflate, change=holes(0))
    g("nodata-i16", "nodata -9999", "int16", 1, nodata=-9999, **tiled, **deflate, predictor=2, change=holes(-9999))
    g("nodata-nan-f32", "nodata NaN", "float32", 1, nodata=math.nan, **tiled, **deflate, predictor=3, change=holes(math.nan))
    g("nodata-lowest-f32", "nodata is float32's lowest value, whose text is not exact", "float32", 1, nodata=float(np.finfo("f4").min), **tiled, **deflate, change=holes(np.finfo("f4").min))
    g("nodata-beyond-i64-u64", "nodata 2^63: more than an i64 holds", "uint64", 1, nodata=2**63, **tiled, **deflate, change=holes(2**63))
    g("nan-without-nodata-f64", "NaN samples, and no nodata: they are values", "float64", 1, **tiled, **deflate, change=holes(math.nan))
    t("nodata-out-of-range-u8", "nodata -9999, which no uint8 can be: nothing is nodata", "uint8", tags=[(42113, 2, 0, "-9999", True)], tile=(32, 32), compression="adobe_deflate")
    t("nodata-nan-u16", "nodata nan on integers: nothing is nodata", "uint16", tags=[(42113, 2, 0, "nan", True)], tile=(32, 32), compression="adobe_deflate")
    g("mask-internal-u8-3band", "an internal mask", "uint8", 3, **tiled, **deflate, photometric="rgb", edit=with_internal_mask)
    g("mask-internal-f32-strips", "an internal mask beside strips", "float32", 1, blockysize=8, **deflate, edit=with_internal_mask)
    g("alpha-u8-rgba", "an alpha band", "uint8", 4, **tiled, **deflate, photometric="rgb", alpha="yes", change=alpha_is_ellipse, edit=with_alpha)
    g("alpha-u16-rgba-planar", "a 16-bit alpha band, planes apart", "uint16", 4, **tiled, **planar, **deflate, photometric="rgb", alpha="yes", change=alpha_is_ellipse, edit=with_alpha)

    # What must be kept.
    g("palette-u8", "a colour table", "uint8", 1, **tiled, **deflate, photometric="palette", change=sixteen, edit=with_palette)
    g("rgb-u8-strips", "photometric RGB", "uint8", 3, blockysize=8, **deflate, photometric="rgb")
    g("metadata-u16-3band", "descriptions, scales, offsets, units, metadata domains, XML to escape", "uint16", 3, **tiled, **deflate, edit=with_names)
    g("statistics-u8", "statistics that would be untrue of a clip", "uint8", 1, **tiled, **deflate, edit=with_statistics)

    # Where it lies.
    g("pixel-is-point-u16", "PixelIsPoint: the tie point is half a pixel in", "uint16", 1, **tiled, **deflate, edit=with_point)
    g("rotated-u16", "ModelTransformation with rotation", "uint16", 1, "utm33-rotated", **tiled, **deflate)
    g("south-up-u16", "rows run north", "uint16", 1, "utm33-south-up", **tiled, **deflate)
    g("gcps-u8", "ground control points and no transform: pixel coordinates", "uint8", 1, "pixels", **tiled, **deflate, edit=with_gcps)
    g("no-crs-u8", "a transform and no CRS", "uint8", 1, "none", **tiled, **deflate)
    for grid in ("epsg4326", "epsg3857", "epsg3035", "epsg2154", "epsg5070", "epsg6933"):
        g(f"crs-{grid}-u8", f"CRS {grid.upper().replace('EPSG', 'EPSG:')}", "uint8", 1, grid, **tiled, **deflate)
    g("crs-user-laea-u8", "a CRS that no EPSG code names: GeoKeys with parameters", "uint8", 1, "user-laea", **tiled, **deflate)

    # Overviews.
    cog(m, "cog-u8-rgb", "a COG by GDAL with an overview", "uint8", 3, blocksize=128, compress="DEFLATE", predictor=2, overviews="IGNORE_EXISTING", overview_resampling="AVERAGE")
    cog(m, "cog-f32-nodata", "a COG whose overviews average around nodata", "float32", 1, nodata=-9999, change=holes(-9999), blocksize=128, compress="LZW", predictor=3, overviews="IGNORE_EXISTING", overview_resampling="AVERAGE")
    cog(m, "cog-i16-mask", "a COG with an internal mask and overviews of it", "int16", 1, mask=ellipse, blocksize=128, compress="DEFLATE", predictor=2, overviews="IGNORE_EXISTING", overview_resampling="NEAREST")
    g("overviews-at-end-u16", "overviews behind the data: a GeoTIFF that is no COG", "uint16", 1, "utm33-even", **tiled, **deflate, edit=with_averages)
    subifd_overviews(m)
    pages(m)
    with_exif(m, "exif-u8", "<", 0)
    with_exif(m, "exif-be-u8", ">", 1)


# --- the sample scene ----------------------------------------------------------------------------------------------------


def lattice_noise(height, width, cell, seed):
    """Value noise: hashed integers on a lattice, smoothly joined; -1..1."""
    y, x = np.mgrid[0:height, 0:width]
    yi, xi = y // cell, x // cell
    fy, fx = (y % cell) / cell, (x % cell) / cell
    fy, fx = fy * fy * fy * (fy * (fy * 6 - 15) + 10), fx * fx * fx * (fx * (fx * 6 - 15) + 10)

    def corner(dy, dx):
        h = (yi + dy).astype("u8") * np.uint64(0x9E3779B97F4A7C15) ^ (xi + dx).astype("u8") * np.uint64(0xC2B2AE3D27D4EB4F) ^ np.uint64(seed)
        h = (h ^ h >> np.uint64(29)) * np.uint64(0xBF58476D1CE4E5B9)
        return ((h ^ h >> np.uint64(32)) >> np.uint64(11)).astype("f8") / 2**52 - 1

    top = corner(0, 0) * (1 - fx) + corner(0, 1) * fx
    bottom = corner(1, 0) * (1 - fx) + corner(1, 1) * fx
    return top * (1 - fy) + bottom * fy


SCENE = ("EPSG:32633", Affine(10, 0, 470000, 0, -10, 5275000), 1100, 820)


def make_sample(m):
    (m.root / "sample").mkdir()
    crs, transform, width, height = SCENE
    land = sum(lattice_noise(height, width, cell, 17 + i) * weight for i, (cell, weight) in enumerate([(320, 1.0), (150, 0.55), (70, 0.24), (34, 0.1), (16, 0.03)]))
    low, high = -0.9, 1.1
    level = np.clip((land - low) / (high - low), 0, 1)
    sea = 0.34
    tints = np.array([(27, 73, 110), (52, 116, 150), (104, 168, 180), (214, 205, 160), (120, 158, 92), (74, 124, 74), (110, 122, 84), (142, 124, 104), (176, 168, 158), (238, 240, 242)], "f8")
    stops = np.array([0, sea * 0.6, sea - 0.012, sea + 0.006, sea + 0.05, 0.52, 0.66, 0.76, 0.86, 0.97])
    steps = np.floor(level * 56) / 56  # bands of height, as on a map; they also compress well
    rgb = np.stack([np.interp(steps, stops, tints[:, i]) for i in range(3)])
    gy, gx = np.gradient(land * 60)
    shade = np.where(level > sea, 1 + np.clip((gx + gy) * -0.11, -0.36, 0.30), 1.0)
    shade = np.round(shade * 10) / 10
    data = np.clip(np.rint(rgb * shade), 0, 255).astype("uint8")
    profile = dict(driver="GTiff", dtype="uint8", count=3, width=width, height=height, crs=crs, transform=transform, photometric="rgb")
    with MemoryFile() as memory:
        with memory.open(**profile) as out:
            out.write(data)
            out.descriptions = ("red", "green", "blue")
            out.update_tags(TITLE="An invented coast")
        with memory.open() as src:
            rasterio.shutil.copy(src, m.root / "sample/scene.tif", driver="COG", blocksize=512, compress="DEFLATE", level=9, predictor=2, overview_resampling="AVERAGE")
    m.note("sample/scene.tif", "rasterio, driver COG: uint8 x 3, 1100 x 820 of 10 m, EPSG:32633, BLOCKSIZE=512 COMPRESS=DEFLATE LEVEL=9 PREDICTOR=2", "the README's source: an invented coast")

    shell = [(150, 180), (330, 95), (480, 150), (560, 90), (760, 130), (930, 110), (985, 300), (860, 380), (880, 470), (1000, 560), (905, 725), (700, 690), (610, 560), (520, 540), (455, 735), (270, 700), (120, 560), (235, 420)]
    hole = [(600, 270), (705, 245), (770, 330), (690, 420), (590, 380)]
    to_lonlat = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    rings = [[[round(v, 7) for v in to_lonlat.transform(*(transform @ p))] for p in [*ring, ring[0]]] for ring in (shell[::-1], hole)]
    feature = {"type": "Feature", "properties": {"name": "field"}, "geometry": {"type": "Polygon", "coordinates": rings}}
    write_json(m.root / "sample/field.geojson", {"type": "FeatureCollection", "features": [feature]})
    m.note("sample/field.geojson", "18 vertices and a hole of 5 in the scene's pixels, turned into longitude and latitude by pyproj, 7 decimals", "the README's cutline: concave, with a hole, in RFC 7946 longitude and latitude")


# --- cutlines and golden outputs -------------------------------------------------------------------------------------------


def write_json(path, value):
    path.write_text(json.dumps(value) + "\n")


def star(cx, cy, rx, ry, points, turn):
    ring = []
    for i in range(points):
        reach = 0.45 + 0.55 * ((i * 2654435761 >> 7) % 97) / 96
        angle = 2 * math.pi * i / points + turn
        ring.append((cx + rx * reach * math.cos(angle), cy + ry * reach * math.sin(angle)))
    return ring


def cutline_pixels(shape, w, h):
    """Polygons, each a list of rings, in pixels."""
    if shape == "star":
        shell = star(w * 0.47, h * 0.52, w * 0.46, h * 0.46, 37, 0.1)
        return [[shell, star(w * 0.47, h * 0.52, w * 0.13, h * 0.13, 11, 0.7)]]
    if shape == "edges":
        a, b, c, d = w // 5, w - w // 4, h // 5, h - h // 4
        return [[[(a, c), (b, c), (b, c + 3.5), (b - 2.5, c + 6), (b, c + 8), (b - 1.5, d - 2), (a + 4.5, d - 2), (a + 4.5, d), (a, d - 0.5)]]]
    if shape == "leaves":
        return [[star(0, h * 0.2, w * 0.4, h * 0.4, 9, 0.3)], [star(w * 0.85, h * 0.9, w * 0.4, h * 0.35, 13, 0.2)]]
    raise ValueError(shape)


SHAPES = ("star", "edges", "leaves")


def make_cutlines(m):
    (m.root / "cutlines").mkdir()
    for grid, (crs, transform, w, h) in GRIDS.items():
        digits = 9 if crs == "EPSG:4326" else 4
        for shape in SHAPES:
            polygons = [[[[round(v, digits) for v in transform @ p] for p in [*ring, ring[0]]] for ring in rings] for rings in cutline_pixels(shape, w, h)]
            geometry = {"type": "Polygon", "coordinates": polygons[0]} if len(polygons) == 1 else {"type": "MultiPolygon", "coordinates": polygons}
            path = f"cutlines/{grid}-{shape}.geojson"
            write_json(m.root / path, {"type": "Feature", "properties": {"grid": grid}, "geometry": geometry})
            m.note(path, f"{shape} on grid {grid}: {crs or 'no CRS'}, {w} x {h} pixels", f"cutline in the CRS of the rasters of grid {grid}")


CASES = (("star", False), ("star", True), ("edges", True), ("leaves", False))
COLUMNS = ("source", "cutline", "options", "col_off", "row_off", "width", "height", "bands", "dtype", "data", "sha256")


def make_golden(m):
    (m.root / "golden").mkdir()
    lines = ["\t".join(COLUMNS)]
    for source, grid in m.grids.items():
        with rasterio.open(m.root / source) as src:
            for shape, touched in CASES:
                cutline = f"cutlines/{grid}-{shape}.geojson"
                geometry = json.loads((m.root / cutline).read_text())["geometry"]
                *_, window = raster_geometry_mask(src, [geometry], all_touched=touched, crop=True)
                got, _ = rasterio_mask(src, [geometry], all_touched=touched, crop=True, filled=False)
                assert got.shape[1:] == (window.height, window.width), (source, window)
                assert not np.ma.getmaskarray(got).all(), (source, shape)
                masked = np.ma.getmaskarray(got)
                samples = np.where(masked, np.zeros(1, got.dtype), got.data).astype(got.dtype.newbyteorder("<"))
                stream = zlib.compress(samples.tobytes() + (~masked).astype("u1").tobytes(), 9)
                data = f"{Path(source).stem}.{shape}{'.touched' if touched else ''}.z"
                (m.root / "golden" / data).write_bytes(stream)
                lines.append("\t".join(map(str, (source, cutline, "all-touched" if touched else "-", window.col_off, window.row_off, window.width, window.height, got.shape[0], got.dtype, data, hashlib.sha256(stream).hexdigest()))))
    (m.root / "golden/index.tsv").write_text("\n".join(lines) + "\n")
    m.note("golden/index.tsv", f"rasterio {rasterio.__version__} (GDAL {rasterio.__gdal_version__}), rasterio.mask.mask(crop=True, filled=False)", "what GDAL makes of each raster and cutline; lists the files of golden/ and their SHA-256")


def make(root):
    m = Maker(root)
    make_rasters(m)
    make_sample(m)
    make_cutlines(m)
    make_golden(m)
    lines = ["path\tsha256\tmade\tfor"]
    for path, (made, purpose) in sorted(m.stories.items()):
        lines.append("\t".join((path, hashlib.sha256((root / path).read_bytes()).hexdigest(), made, purpose)))
    for path, (script, purpose) in OTHERS.items():
        lines.append(f"{path}\t{hashlib.sha256((HERE / path).read_bytes()).hexdigest()}\t{f'scripts/{script}' if script else 'by hand'}\t{purpose}")
    (root / "manifest.tsv").write_text("\n".join(lines) + "\n")
    stray = list(root.rglob("*.aux.xml"))
    assert not stray, stray


# --- checking ------------------------------------------------------------------------------------------------------------


def rows(path):
    header, *lines = path.read_text().splitlines()
    return [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines]


def listed(root):
    """Every file that the manifest and the golden index name, with its SHA-256."""
    files = {r["path"]: r["sha256"] for r in rows(root / "manifest.tsv")}
    files |= {f"golden/{r['data']}": r["sha256"] for r in rows(root / "golden/index.tsv")}
    return files


def meaning(path):
    """What a file says, whichever zlib wrote it."""
    if path.suffix == ".z":
        return zlib.decompress(path.read_bytes())
    if path.suffix == ".tif":
        with rasterio.open(path) as src:
            return (src.read().tobytes(), src.read_masks().tobytes(), repr(src.profile), src.tags(), src.overviews(1))
    if path.name == "index.tsv":
        return [{k: v for k, v in r.items() if k != "sha256"} for r in rows(path)]
    return path.read_bytes()


def check(fresh):
    problems, other_bytes = [], 0
    files = listed(HERE)
    there = {str(p.relative_to(HERE)) for p in HERE.rglob("*") if p.is_file()} - {"manifest.tsv"}
    problems += [f"{p}: no line in the manifest" for p in sorted(there - files.keys())]
    problems += [f"{p}: in the manifest, but missing" for p in sorted(files.keys() - there)]
    for path in sorted(files.keys() & there):
        if hashlib.sha256((HERE / path).read_bytes()).hexdigest() != files[path]:
            problems.append(f"{path}: not the bytes that the manifest names")
    made = listed(fresh)
    problems += [f"{p}: made, but not committed" for p in sorted(made.keys() - files.keys())]
    problems += [f"{p}: committed, but no longer made" for p in sorted(files.keys() - made.keys())]
    for path in sorted(made.keys() & files.keys() & there):
        if made[path] != files[path]:
            if path in OTHERS or meaning(fresh / path) != meaning(HERE / path):
                problems.append(f"{path}: made anew, it says something else")
            else:
                other_bytes += 1
    for problem in problems:
        print(problem)
    if other_bytes:
        print(f"{other_bytes} files have the same samples but other bytes: another version of a library")
    print(f"{len(files)} files, {len(problems)} problems")
    return 1 if problems else 0


# Files of testdata/ that other scripts make and check: script, and what they test. The manifest names them, too.
OTHERS = {
    "codec/fax3-2d-fill-u1.tif": ("make-fax-fixtures.py", "Group 3, two-dimensional, with fill bits"),
    "codec/fax3-2d-lsb-u1.tif": ("make-fax-fixtures.py", "Group 3, two-dimensional, FillOrder 2"),
    "codec/expected.bin": ("make-codec-fixtures.py", "the samples of the tiles of codec/tiles.tsv"),
    "codec/more.expected.bin": ("make-byte-codec-fixtures.py", "the samples of the tiles of codec/more.tsv, as those programs read them back"),
    "codec/more.stored.bin": ("make-byte-codec-fixtures.py", "tiles as GDAL and imagecodecs store them: Zstandard, LZMA, LERC, JPEG XL, PackBits"),
    "codec/more.tsv": ("make-byte-codec-fixtures.py", "where they lie in the other two, and how they are stored"),
    "codec/images-expected.bin": ("make-image-codec-fixtures.py", "the pixels of the strips and tiles of codec/images.tsv"),
    "codec/images.bin": ("make-image-codec-fixtures.py", "strips and tiles as GDAL and libjpeg-turbo store them in JPEG, WebP and CCITT"),
    "codec/images.tsv": ("make-image-codec-fixtures.py", "where they lie in the other two, and how they are stored"),
    "codec/jpeg-expected.bin": ("make-jpeg-fixtures.py", "the pixels of the streams of codec/jpeg.tsv"),
    "codec/jpeg.bin": ("make-jpeg-fixtures.py", "JPEG streams that try what the format leaves open"),
    "codec/jpeg.tsv": ("make-jpeg-fixtures.py", "where they lie in the other two"),
    "codec/stored.bin": ("make-codec-fixtures.py", "tiles as tifffile and GDAL store them, for the codecs and predictors"),
    "codec/tiles.tsv": ("make-codec-fixtures.py", "where they lie in the other two, and how they are stored"),
    "coverage.json.gz": ("make-coverage-cases.py", "covered fractions of pixels, by exactextract and GEOS, under 1,120 random polygons"),
    "invalid-geometries.json": ("check-invalid-geometries.py", "invalid geometries made by hand, each with its area; the script holds them to GDAL and GEOS"),
    "mask-cases.bin": ("make-mask-cases.py", "what rasterio burns of 29,400 random polygons, in both modes"),
    "overview/blocks.bin": ("make-overview-goldens.py", "blocks and what GDAL's overviews make of them"),
    "overview/blocks.tsv": ("make-overview-goldens.py", "where they lie, and how they were made"),
    "datum-pairs.tsv": ("crs-agreement.py", "places on one datum, taken to another by PROJ"),
    "projected-points.tsv.gz": ("crs-agreement.py", "points of every listed CRS, projected by PROJ"),
    "shift-grid-be.gsb": ("make-shift-grid.py", "an NTv2 grid, in the other byte order"),
    "shift-grid.gsb": ("make-shift-grid.py", "an NTv2 grid with nested sub-grids"),
    "shift-grid.tsv": ("make-shift-grid.py", "places shifted by it by PROJ, there and back"),
    "validity.json.gz": ("make-validity-cases.py", "3,600 random polygons on a coarse grid, and whether GEOS finds them valid"),
}


# Files of features: the file's name without endings, and what they test. NAME.json is OGR's own reading.
VECTOR = {
    "cp1251": "a table in Windows-1251, which its .cpg says",
    "cp1252": "a table in Windows-1252, which its header says",
    "curves": "geometries with curves",
    "deleted-and-gaps": "records that are marked as deleted, and bytes between shapes",
    "grid": "an index of three levels",
    "grid-box": "what OGR finds by the index",
    "indexed": "multipolygons with an index",
    "latin1": "a table in ISO-8859-1, which its header says",
    "lines": "lines of one part and of several",
    "lines-z": "lines with heights and measures",
    "measured": "polygons with measures",
    "mixed": "geometries of all types in one layer",
    "multipoints": "multipoints",
    "one": "an index of a single feature, and a CRS that is not EPSG's",
    "points-z": "points with heights",
    "polygons": "polygons with holes and parts, a feature without geometry, properties of all types",
    "surfaces": "surfaces that are polygons",
    "two": "an archive of two shapefiles",
    "winding": "rings in every order and direction",
    "winding-z": "rings in every order and direction, with heights",
    "zip64": "an archive in zip64",
}
OTHERS |= {
    f"vector/{path.name}": ("make-vector-fixtures.py", VECTOR[path.name.split(".")[0]])
    for path in sorted((HERE / "vector").iterdir())
    if path.name.split(".")[0] in VECTOR
}
OTHERS["crs-spellings.jsonl.gz"] = ("make-crs-spellings.py", "600 CRSs in every spelling, and where PROJ and GDAL put two points")
OTHERS["source/patterns.json"] = ("glob_truth.py", "patterns of names, and what Python's fnmatch and glob match")
OTHERS["stac/file-v2.1.0.json"] = (None, "what the text of STAC's extension `file` demands, as a JSON schema")
OTHERS["vector/geopackage.json.gz"] = ("make-geopackage-fixtures.py", "what OGR and SQLite read of the GeoPackages")
OTHERS["vector/geoparquet.json.gz"] = ("make-geoparquet-fixtures.py", "what Arrow and shapely read of the Parquet files")
OTHERS |= {
    f"vector/{path.name}": (f"make-{kind}-fixtures.py", f"{meaning}: {path.name.split('.')[0]}")
    for ending, kind, meaning in [("gpkg", "geopackage", "a GeoPackage"), ("parquet", "geoparquet", "a Parquet file")]
    for path in sorted((HERE / "vector").glob(f"*.{ending}.gz"))
}
# Stores: botocore, azure-storage-blob and OpenSSL made them; the programs are not among the requirements.
OTHERS |= {
    "store/aws_config.json": ("aws_config_truth.py", "texts of AWS configuration files, and what botocore makes of them"),
    "store/service_account.json": ("google_key.py", "a service account that does not exist, with a key made for the tests"),
    "store/service_account.pub.der": ("google_key.py", "its public key"),
    "store/signatures.json": ("signature_truth.py", "requests, and how botocore and azure-storage-blob sign them"),
    "tls/root.pem": ("make-tls-fixtures.sh", "a certificate authority of the tests alone"),
    "tls/server.key": ("make-tls-fixtures.sh", "the key of a server on loopback"),
    "tls/server.pem": ("make-tls-fixtures.sh", "its certificate"),
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true", help="compare with what is committed and change nothing")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / "testdata"
        fresh.mkdir()
        make(fresh)
        if args.check:
            return check(fresh)
        HERE.mkdir(exist_ok=True)
        for item in [*HERE.glob("*.tif"), *(HERE / d for d in ("sample", "cutlines", "golden"))]:
            shutil.rmtree(item) if item.is_dir() else item.unlink(missing_ok=True)
        shutil.copytree(fresh, HERE, dirs_exist_ok=True)
        files = listed(HERE)
        sizes = {p: (HERE / p).stat().st_size for p in files}
        golden = sum(s for p, s in sizes.items() if p.startswith("golden/"))
        print(f"{len(files)} files, {sum(sizes.values())} bytes, of which golden {golden}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
