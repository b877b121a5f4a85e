#!/usr/bin/env python3
"""Clips rasters with unusual metadata, georeferencing, layout or validity, and asks rasterio and tifffile what is left.

    scripts/metadata.py --bin target/release/cogclip [--match TEXT] [--keep DIR] [--verbose]

Each case is a small raster made by GDAL, by tifffile, or byte by byte, and its clip along a star. Whatever rasterio and
tifffile say of the source and stays true of a part of it must be said of the clip: samples and validity as rasterio.mask has
them, grid, CRS and GeoTIFF keys, GCPs and RPCs (moved with the window), nodata, colours, descriptions, scale, offset, units,
every item of GDAL's metadata but statistics, every TIFF tag that is not about the encoding, EXIF and GPS directories. Each
clip must pass rio-cogeo's strict validation, too. A case checks first that GDAL or tifffile see in the source what it is about.

One line a failure, then `N passed, N failed`; exit code 1 if any failed and is not in KNOWN. A case for a flag that
`cogclip clip --help` does not name is not run, and counts as failed.
"""

import argparse
import logging
import math
import os
import random
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
import zlib
from pathlib import Path

import matrix  # sets GDAL's environment, too
import imagecodecs
import numpy as np
import rasterio
import rasterio.shutil
import tifffile
from affine import Affine
from matrix import GEO, HEIGHT, WIDTH, Differs, baseline, content, hand_made, invalid, metadata_equal, need, photometric_equal, pixels_equal, star
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp, Resampling
from rasterio.mask import raster_geometry_mask
from rasterio.rpc import RPC
from rio_cogeo.cogeo import cog_validate
from shapely.geometry import mapping

# Cases that may fail, by a regular expression over the name, and why.
KNOWN = {}

logging.getLogger("tifffile").setLevel(logging.CRITICAL)

CASES = []  # name, function that writes the file, options


def case(name, **options):
    """options: shows(src, path): is the source what the case is about? check(src, out, path, output): what to ask besides.
    clip: options for cogclip. flag: what the help must have. opens: what to open instead of the path, as rasterio's name.
    skip: TIFF tags that need not be kept. geometry: instead of the star."""

    def register(function):
        CASES.append((name, function, options))
        return function

    return register


def add(name, function, **options):
    CASES.append((name, function, options))


U8, U16, F32 = (content(t, None, 1) for t in ("uint8", "uint16", "float32"))
RGB = content("uint8", None, 3)
UTM = {"crs": "EPSG:32633", "transform": matrix.TRANSFORM}


# --- writers -------------------------------------------------------------------------------------------------------------


def gdal(data=U8, then=None, **profile):
    """A raster by GDAL in tiles of 64; `then` gets the open dataset."""

    def write(path):
        options = dict(driver="GTiff", width=data.shape[2], height=data.shape[1], count=len(data), dtype=data.dtype, tiled=True, blockxsize=64, blockysize=64)
        options |= {} if "gcps" in profile or "rpcs" in profile or "transform" in profile else UTM
        options |= profile
        with rasterio.open(path, "w", **{k: v for k, v in options.items() if k != "rpcs"}) as out:
            if "rpcs" in profile:
                out.rpcs = profile["rpcs"]
            if then:
                then(out)
            out.write(data)

    return write


def tags(*extra, data=U8[0], **options):
    """A raster by tifffile with extra tags."""

    def write(path):
        with tifffile.TiffWriter(path, **{k: options.pop(k) for k in ("bigtiff", "byteorder") if k in options}) as out:
            out.write(data, metadata=None, extratags=[*GEO, *extra], photometric=options.pop("photometric", "minisblack"), **options)

    return write


def raw(make, **options):
    """A raster byte by byte: `make` returns one (tags, blocks, tiled) or a list of them."""

    def write(path):
        images = make()
        path.write_bytes(hand_made(images if isinstance(images, list) else [images], **options))

    return write


def strips(data, extra=None, rows=16, pack=bytes, **options):
    bits = data.dtype.itemsize * 8
    blocks = [pack(np.ascontiguousarray(data[r : r + rows]).tobytes()) for r in range(0, len(data), rows)]
    return baseline(data.shape[1], data.shape[0], bits, {"u": 1, "i": 2, "f": 3}[data.dtype.kind], rows=rows, **options) | (extra or {}), blocks, False


def tiles(data, width, height, extra=None, pack=bytes, **options):
    """Chunky tiles of any size, padded with zeros."""
    rows, columns = -(-data.shape[0] // height), -(-data.shape[1] // width)
    padded = np.zeros((rows * height, columns * width), data.dtype)
    padded[: data.shape[0], : data.shape[1]] = data
    blocks = [pack(padded[r * height : (r + 1) * height, c * width : (c + 1) * width].tobytes()) for r in range(rows) for c in range(columns)]
    told = baseline(data.shape[1], data.shape[0], data.dtype.itemsize * 8, **options) | {322: (4, [width]), 323: (4, [height])} | (extra or {})
    return {k: v for k, v in told.items() if k != 278}, blocks, True


def text(code, value):
    return code, 2, len(value.encode()) + 1, value.encode() + b"\0", True


def nodata_text(value):
    return 42113, 2, len(value) + 1, value, True


# --- GDAL's metadata -----------------------------------------------------------------------------------------------------


@case("metadata: domains, items of bands", shows=lambda s, p: s.tags(ns="ACQ") and s.tags(2, ns="BANDS"))
def _(path):
    def then(out):
        out.update_tags(A="1", B="two <words> & more", C="ünï \n line")
        out.update_tags(ns="ACQ", SENSOR="x", ID="7")
        out.update_tags(ns="another domain", K="v")
        for band in (1, 2, 3):
            out.update_tags(band, WAVELENGTH=str(400 + band))
        out.update_tags(2, ns="BANDS", ONLY="second")

    gdal(RGB, then)(path)


def by_xml(xml, data=U8[0]):
    return tags((42112, 2, len(xml.encode()) + 1, xml.encode() + b"\0", True), data=data)


add("metadata: xml: domain", by_xml('<GDALMetadata><Item name="A">1</Item><Item domain="xml:THING" format="xml"><thing a="1"><b>text</b></thing></Item></GDALMetadata>'),
    shows=lambda s, p: s.tags(ns="xml:THING") or b"xml:THING" in p.read_bytes())  # fmt: skip
add("metadata: json: domain", by_xml('<GDALMetadata><Item name="A">1</Item><Item domain="json:ISIS3" format="json">{"a": [1, 2]}</Item></GDALMetadata>'))
add("metadata: roles, statistics of the dataset and of bands", by_xml(
    '<GDALMetadata><Item name="OFFSET" sample="0" role="offset">-0.1</Item><Item name="SCALE" sample="0" role="scale">0.0001</Item>'
    '<Item name="UNITTYPE" sample="0" role="unittype">m/s</Item><Item name="DESCRIPTION" sample="0" role="description">B &amp; 4</Item>'
    '<Item name="STATISTICS_MEAN">3</Item><Item name="STATISTICS_MAXIMUM" sample="0">3</Item><Item name="K" sample="0">kept</Item></GDALMetadata>'),
    shows=lambda s, p: s.scales == (0.0001,) and s.units == ("m/s",))  # fmt: skip
add("metadata: an item with markup, no items at all", by_xml("<GDALMetadata></GDALMetadata>"))


@case("metadata: scale of one band only, NaN offset left out", shows=lambda s, p: s.scales[1] == 0.25)
def _(path):
    gdal(RGB, lambda out: setattr(out, "scales", (1.0, 0.25, 1.0)))(path)


# --- colours -------------------------------------------------------------------------------------------------------------


def palette(entries):
    return lambda out: out.write_colormap(1, {i: ((i * 37) % 256, (i * 91 + 7) % 256, 255 - i % 256, 255) for i in range(entries)})


for label, data, entries, more in (
    ("8 bits", U8, 256, {}), ("8 bits, nodata", U8, 256, {"nodata": 3}), ("4 bits", content("uint8", 4, 1), 16, {"nbits": 4}),
    ("2 bits", content("uint8", 2, 1), 4, {"nbits": 2}), ("1 bit", content("uint8", 1, 1), 2, {"nbits": 1}), ("16 bits", U16, 65536, {}),
):  # fmt: skip
    add(f"colour table: {label}", gdal(data, palette(entries), photometric="palette", **more), shows=lambda s, p: s.colorinterp[0] == ColorInterp.palette)

for label, names, dtype in (
    ("alpha first", ("alpha", "red", "green", "blue"), "uint8"), ("BGR", ("blue", "green", "red"), "uint8"),
    ("RGB and near infrared", ("red", "green", "blue", "nir"), "uint16"), ("near infrared first", ("nir", "red", "green"), "uint8"),
    ("satellite", ("coastal", "blue", "green", "red", "rededge", "nir", "swir"), "uint16"), ("undefined beside grey", ("gray", "undefined", "undefined"), "int16"),
    ("two alphas", ("gray", "alpha", "undefined"), "uint8"), ("pan and alpha", ("pan", "alpha"), "uint16"), ("hue, saturation, lightness", ("hue", "saturation", "lightness"), "uint8"),
):  # fmt: skip

    def interpreted(out, names=names):
        out.colorinterp = [ColorInterp[n] for n in names]

    wide = content(dtype, None, len(names))
    for index, name in enumerate(names):
        if name == "alpha":
            wide[index] = 255
            wide[index, 45:60, 40:80] = 0
    add(f"colour interpretation: {label}", gdal(wide, interpreted), shows=lambda s, p, n=names: [c.name for c in s.colorinterp] == list(n) or "hue" in n)

add("white is zero", gdal(photometric="miniswhite"), shows=lambda s, p: tifffile.TiffFile(p).pages[0].photometric == 0)
add("white is zero, nodata", gdal(photometric="miniswhite", nodata=100))
add("white is zero, a stack of three pages", lambda path: tags(data=np.repeat(U8, 3, 0), photometric="miniswhite")(path), shows=lambda s, p: len(tifffile.TiffFile(p).pages) == 3)
add("white is zero, a stack with ImageDepth 1", raw(lambda: strips(U8[0], {32997: (4, [1])}, photometric=0)))

# --- TIFF tags -----------------------------------------------------------------------------------------------------------

XMP = b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"></x:xmpmeta><?xpacket end="w"?>'
IPTC = b"\x1c\x02\x05\x00\x04Test\x1c\x02\x19\x00\x05field"
EXIF = {36864: (7, b"0230"), 36867: (2, b"2024:05:06 07:08:09\0"), 33434: (5, [1, 250]), 33437: (5, [28, 10]), 34855: (3, [200]),
        37510: (7, b"ASCII\0\0\0a comment of some length"), 42036: (2, b"a lens\0")}  # fmt: skip
GPS = {0: (1, [2, 3, 0, 0]), 1: (2, b"N\0"), 2: (5, [47, 1, 30, 1, 0, 1]), 3: (2, b"E\0"), 4: (5, [14, 1, 15, 1, 3333, 100]), 5: (1, [0]), 6: (5, [1234, 10])}

add("tags: ICC profile", lambda p: tags(data=np.moveaxis(RGB, 0, -1), photometric="rgb", iccprofile=imagecodecs.cms_profile("srgb"))(p), shows=lambda s, p: s.tags(ns="COLOR_PROFILE"))
add("tags: XMP", tags((700, 1, len(XMP), XMP, True)), shows=lambda s, p: s.tags(ns="xml:XMP"))
add("tags: XMP as undefined bytes", tags((700, 7, len(XMP), XMP, True)))
add("tags: IPTC", tags((33723, 7, len(IPTC), IPTC, True)))
add("tags: IPTC as longs", raw(lambda: strips(U8[0], {33723: (4, IPTC + bytes(-len(IPTC) % 4))})))
for label, options in (("", {}), (", big-endian", {"order": ">"}), (", BigTIFF", {"big": True})):
    # GDAL 3.12 reads no EXIF from BigTIFF, or what only looks like it: there, only tifffile is asked.
    seen = (lambda s, p: tifffile.TiffFile(p).pages[0].tags[34665].value) if "big" in options else lambda s, p: s.tags(ns="EXIF")
    add(f"tags: EXIF directory{label}", raw(lambda: strips(U8[0], {34665: (4, EXIF)}), **options), shows=seen)
    add(f"tags: GPS directory{label}", raw(lambda: strips(U8[0], {34853: (4, GPS)}), **options), shows=lambda s, p: tifffile.TiffFile(p).pages[0].tags[34853].value)
add("tags: EXIF and GPS directories of type IFD", raw(lambda: strips(U8[0], {34665: (13, EXIF), 34853: (13, GPS)})), shows=lambda s, p: s.tags(ns="EXIF"))
add("tags: EXIF directory with an Interoperability directory", raw(lambda: strips(U8[0], {34665: (4, EXIF | {40965: (4, {1: (2, b"R98\0"), 2: (7, b"0100")})})})))
add("tags: resolution in centimetres", raw(lambda: strips(U8[0], {282: (5, [300, 7]), 283: (5, [301, 7]), 296: (3, [3])})), shows=lambda s, p: "TIFFTAG_XRESOLUTION" in s.tags())
for code, name, value in (
    (269, "DocumentName", "a document"), (270, "ImageDescription", "a description"), (271, "Make", "maker"), (272, "Model", "model"), (285, "PageName", "page"),
    (305, "Software", "some software 1.0"), (306, "DateTime", "2024:05:06 07:08:09"), (315, "Artist", "an artist"), (316, "HostComputer", "a host"), (33432, "Copyright", "(c) nobody"),
):  # fmt: skip
    add(f"tags: {name}", raw(lambda c=code, v=value: strips(U8[0], {c: (2, v.encode() + b"\0")})))
add("tags: ImageDescription that is not ASCII", raw(lambda: strips(U8[0], {270: (2, "größe ✓".encode() + b"\0")})))
add("tags: all of GDAL's texts", gdal(then=lambda out: out.update_tags(**{f"TIFFTAG_{n}": n.lower() for n in ("DOCUMENTNAME", "IMAGEDESCRIPTION", "SOFTWARE", "ARTIST", "HOSTCOMPUTER", "COPYRIGHT")}, TIFFTAG_DATETIME="2024:05:06 07:08:09", TIFFTAG_XRESOLUTION="72", TIFFTAG_YRESOLUTION="72", TIFFTAG_RESOLUTIONUNIT="2")))
add("tags: Orientation 1", raw(lambda: strips(U8[0], {274: (3, [1])})))
PRIVATE = {65000: (1, [1, 2, 3, 255]), 65001: (2, b"a private text\0"), 65002: (3, [1, 65535]), 65003: (4, [2**32 - 1]), 65004: (5, [1, 3, 5, 7]), 65005: (6, [-1, 5, -128]),
           65006: (7, b"\0\1\2\3\4"), 65007: (8, [-3, 4, -32768]), 65008: (9, [-(2**31)]), 65009: (10, [-1, 3]), 65010: (11, [1.5, -2.25]), 65011: (12, [math.pi, -1e300])}  # fmt: skip
for label, options, more in (("", {}, {}), (", big-endian", {"order": ">"}, {}), (", BigTIFF", {"big": True}, {65012: (16, [2**63, 1]), 65013: (17, [-5])})):
    add(f"tags: private ones of every type{label}", raw(lambda m=more: strips(U8[0], PRIVATE | m), **options), shows=lambda s, p: 65011 in tifffile.TiffFile(p).pages[0].tags)
add("tags: Landsat-like private texts", tags(text(50909, "<GEO_METADATA/>"), text(65000, "x" * 5000)))

# --- georeference --------------------------------------------------------------------------------------------------------

CITED = {34735: (3, [1, 1, 0, 5, 1024, 0, 1, 1, 1025, 0, 1, 1, 1026, 34737, 12, 0, 3072, 0, 1, 32633, 3073, 34737, 14, 12]), 34737: (2, b"my citation|another cited|\0")}
LAEA = "+proj=laea +lat_0=47.5 +lon_0=13.25 +x_0=1000 +y_0=2000 +datum=WGS84 +units=m +no_defs"
LONLAT = Affine(0.01, 0, 15, 0, -0.008, 48)
POINT = lambda out: out.update_tags(AREA_OR_POINT="Point")
add("georeference: citations", raw(lambda: strips(U8[0], CITED)))
add("georeference: compound CRS", gdal(F32, crs="EPSG:4326+5773", transform=LONLAT), shows=lambda s, p: "VERTCRS" in s.crs.to_wkt(version="WKT2_2019").upper() or "VERT_CS" in s.crs.to_wkt())
add("georeference: compound projected CRS", gdal(F32, crs="EPSG:25832+7837", transform=matrix.TRANSFORM))
add("georeference: user-defined CRS", gdal(crs=LAEA, transform=Affine(250, 0, -9000, 0, -250, 8000)))
add("georeference: geocentric-like local CRS", gdal(crs='LOCAL_CS["site grid",UNIT["metre",1]]', transform=matrix.TRANSFORM))
add("georeference: 3D geographic CRS", gdal(F32, crs="EPSG:4979", transform=LONLAT))
add("georeference: rotated", gdal(crs="EPSG:32633", transform=Affine(24, 18, 500000, 18, -24, 5300000)), shows=lambda s, p: s.transform.b == 18)
add("georeference: sheared", gdal(crs="EPSG:32633", transform=Affine(30, 7, 500000, 0, -30, 5300000)))
add("georeference: south-up", gdal(crs="EPSG:32633", transform=Affine(30, 0, 500000, 0, 30, 5200000)))
add("georeference: pixels not square", gdal(crs="EPSG:32633", transform=Affine(30, 0, 500000.123, 0, -17.25, 5200000.456)))
add("georeference: PixelIsPoint", gdal(F32, POINT), shows=lambda s, p: s.tags()["AREA_OR_POINT"] == "Point")
add("georeference: PixelIsPoint with a matrix", gdal(F32, POINT, crs="EPSG:32633", transform=Affine(24, 18, 500000, 18, -24, 5300000)), shows=lambda s, p: s.tags()["AREA_OR_POINT"] == "Point")
add("georeference: a matrix without rotation", raw(lambda: ({k: v for k, v in strips(U8[0])[0].items() if k not in (33550, 33922)} | {34264: (12, [30.0, 0, 0, 500000, 0, -30.0, 0, 5300000, 0, 0, 0, 0, 0, 0, 0, 1])}, *strips(U8[0])[1:])))
add("georeference: tiepoint in the middle", raw(lambda: strips(U8[0], {33922: (12, [20.5, 10.25, 0, 500615, 5299692.5, 0])})))
add("georeference: scale and tiepoint with z", raw(lambda: strips(U8[0], {33550: (12, [30.0, 30, 2.5]), 33922: (12, [0.0, 0, 0, 500000, 5300000, 12])})))
add("georeference: none", gdal(crs=None, transform=Affine.identity()))
add("georeference: grid without CRS", gdal(crs=None, transform=Affine(2, 0, 1000, 0, -2, 2000)))
GCPS = [GroundControlPoint(r, c, 14 + c * 0.001, 47 - r * 0.001 + c * 1e-5, 100 + r, id=str(i), info="") for i, (r, c) in enumerate(((0, 0), (0, 150), (113, 0), (113, 150), (50.5, 70.25)))]
RPCS = RPC(err_bias=1.5, err_rand=0.5, height_off=500, height_scale=300, lat_off=47.5, lat_scale=0.05, long_off=14.5, long_scale=0.07, line_off=56.0, line_scale=57.0, samp_off=75.0, samp_scale=76.0,
           line_num_coeff=[i * 1e-3 + 0.1 for i in range(20)], line_den_coeff=[1] + [i * 1e-5 for i in range(19)], samp_num_coeff=[0.2 - i * 1e-3 for i in range(20)], samp_den_coeff=[1] + [i * 2e-5 for i in range(19)])  # fmt: skip
for label, clip in (("", ()), (", whole grid", ("--no-crop",))):
    add(f"georeference: GCPs{label}", gdal(gcps=GCPS, crs="EPSG:4326"), clip=clip, shows=lambda s, p: len(s.gcps[0]) == 5)
    add(f"georeference: RPCs{label}", gdal(rpcs=RPCS, crs=None), clip=clip, shows=lambda s, p: s.rpcs)
    add(f"georeference: RPCs and a grid{label}", gdal(rpcs=RPCS, **UTM), clip=clip, shows=lambda s, p: s.rpcs)
add("georeference: GCPs and PixelIsPoint", gdal(U8, POINT, gcps=GCPS, crs="EPSG:4326"), shows=lambda s, p: len(s.gcps[0]) == 5)

# --- validity ------------------------------------------------------------------------------------------------------------

odd = F32.copy()
odd[0, 30:36, 40:70], odd[0, 36:44, 40:70], odd[0, 44:48, 40:70], odd[0, 60:66, 20:60] = np.inf, np.float32(-3.4028234663852886e38), np.float32(3.4028234663852886e38), -9999
octets = U8.copy()
octets[0, 50:60, 30:60], octets[0, 60:66, 30:60] = 0, 241  # what -9999 and 256 would wrap around to
for value in ("nan", "-9999", "inf", "-inf", "1e39", "-3.4028234663852886e+38", "-3.40282346638528859e+38", "-3.4028235e+38", "3.4028234663852886e+38", "-3.4e+38", "-1.7976931348623157e+308"):
    add(f"nodata: {value} on float32", tags(nodata_text(value), data=odd[0]))
for value in ("-9999", "256", "255", "0", "nan", "inf", "241.5", " 241 ", "241.0", "2.41e2", "", "none"):
    add(f"nodata: '{value}' on uint8", tags(nodata_text(value), data=octets[0]))
for value in ("nan", "-32768", "65535", "-99.5"):
    add(f"nodata: {value} on int16", tags(nodata_text(value), data=np.where(U8[0] < 60, -32768, U8[0].astype("i2")).astype("i2")))
add("nodata: 2^64-1 on uint64", tags(nodata_text("18446744073709551615"), data=np.where(U8[0] < 60, np.uint64(2**64 - 1), U8[0].astype("u8"))))
add("nodata: -2^63 on int64", tags(nodata_text("-9223372036854775808"), data=np.where(U8[0] < 60, np.int64(-(2**63)), U8[0].astype("i8"))))
add("nodata: 2^53+1 on int64", tags(nodata_text("9007199254740993"), data=2**53 + U8[0].astype("i8") % 4))
add("nodata: nan on float64", tags(nodata_text("nan"), data=np.where(U8[0] < 60, np.nan, U8[0]).astype("f8")))

HOLES = np.full((HEIGHT, WIDTH), 255, "u1")
HOLES[40:60, 70:101] = 0
HOLES[60:64, 20:50] = 0


def with_mask(out):
    out.write_mask(HOLES)


MASK_TAGS = {254: (4, [4])}
add("mask: 1 bit", gdal(RGB, with_mask), shows=lambda s, p: (s.read_masks(1) == 0).any())
add("mask: 1 bit, and nodata", gdal(RGB, with_mask, nodata=100), shows=lambda s, p: (s.read_masks(1) == 0).any())
for label, divisor in (("0 and 255", 1), ("0 and 1", 255)):
    add(f"mask: 8 bits, {label}", raw(lambda d=divisor: [strips(U8[0]), strips(HOLES // d, MASK_TAGS, photometric=4)]), shows=lambda s, p: (s.read_masks(1) == 0).any())
add("mask: 8 bits, values between", raw(lambda: [strips(U8[0]), strips(np.where(HOLES == 0, 0, U8[0] | 1).astype("u1"), MASK_TAGS, photometric=4)]), shows=lambda s, p: (s.read_masks(1) == 0).any())
add("mask: stored unlike the image", raw(lambda: [strips(U8[0]), tiles(HOLES, 32, 64, MASK_TAGS, zlib.compress, photometric=4, compression=8)]), shows=lambda s, p: (s.read_masks(1) == 0).any())


@case("mask: with overviews, of the mask, too", shows=lambda s, p: len(tifffile.TiffFile(p).pages) > 3 and s.overviews(1))
def _(path):
    gdal(RGB, with_mask)(path)
    with rasterio.open(path, "r+") as out:
        out.build_overviews([2, 4], Resampling.nearest)


def alpha(dtype, count, top=255):
    data = content(dtype, None, count)
    data[-1] = top
    data[-1, 45:60, 40:80] = 0
    data[-1, 60:70, 40:80] = top // 2 if top > 1 else 0.5
    return data


for label, data, options in (
    ("unassociated, RGBA", alpha("uint8", 4), {"photometric": "RGB", "alpha": "NON-PREMULTIPLIED"}), ("associated, RGBA", alpha("uint8", 4), {"photometric": "RGB", "alpha": "PREMULTIPLIED"}),
    ("grey", alpha("uint8", 2), {"alpha": "YES"}), ("RGBA with nodata", alpha("uint8", 4), {"photometric": "RGB", "alpha": "YES", "nodata": 100}), ("RGBA with nodata 0", alpha("uint8", 4), {"photometric": "RGB", "alpha": "YES", "nodata": 0}),
    ("16 bits", alpha("uint16", 4, 65535), {"photometric": "RGB", "alpha": "YES"}), ("16 bits with a top of 255", alpha("uint16", 4, 255), {"photometric": "RGB", "alpha": "YES"}), ("float32", alpha("float32", 2, 1), {"alpha": "YES"}),
    ("int16", alpha("int16", 2, 255), {"alpha": "YES"}), ("planes", alpha("uint8", 4), {"photometric": "RGB", "alpha": "YES", "interleave": "band"}),
):  # fmt: skip
    add(f"alpha: {label}", gdal(data, **options), shows=lambda s, p: ColorInterp.alpha in s.colorinterp)
add("alpha: with a mask, too", gdal(alpha("uint8", 4), with_mask, photometric="RGB", alpha="YES"))

# --- layout --------------------------------------------------------------------------------------------------------------


def many_tiles(path):
    y, x = np.mgrid[0:4112, 0:4160]
    gdal(((x // 7 * 5 + y // 5 * 3) % 251).astype("u1")[None], blockxsize=16, blockysize=16, compress="deflate", zlevel=1)(path)


@case("layout: overviews in SubIFDs", shows=lambda s, p: tifffile.TiffFile(p).pages[0].subifds)
def _(path):
    with tifffile.TiffWriter(path) as out:
        out.write(U8[0], subifds=2, metadata=None, extratags=GEO, photometric="minisblack", tile=(32, 32))
        for step in (2, 4):
            out.write(np.ascontiguousarray(U8[0, ::step, ::step]), subfiletype=1, metadata=None, photometric="minisblack", tile=(32, 32))


@case("layout: .ovr and .msk beside the file are ignored", beside=(".ovr", ".msk"))
def _(path):
    gdal()(path)
    side = path.with_name("side.tif")
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK="NO"):
        gdal(U8, with_mask)(side)
        with rasterio.Env(TIFF_USE_OVR="YES"), rasterio.open(side, "r+") as out:
            out.build_overviews([2], Resampling.nearest)
    for suffix in (".ovr", ".msk"):
        made = Path(f"{side}{suffix}")
        need(made.exists(), f"the test is void: GDAL made no {suffix}")
        made.rename(f"{path}{suffix}")
    side.unlink()


def pages(path):
    with tifffile.TiffWriter(path) as out:
        for data in (U8[0], U16[0][:100, :140], F32[0][:90, :130], U8[0][:80, :120]):
            out.write(np.ascontiguousarray(data), metadata=None, extratags=GEO, photometric="minisblack", tile=(32, 32), contiguous=False)


add("pages: the first, unasked", pages, opens="GTIFF_DIR:1:{}")
for number in range(4):
    add(f"pages: --ifd {number}", pages, flag="--ifd", clip=("--ifd", str(number)), opens=f"GTIFF_DIR:{number + 1}:{{}}", page=number)
    add(f"pages: SRC#ifd={number}", pages, flag="--ifd", fragment=f"#ifd={number}", opens=f"GTIFF_DIR:{number + 1}:{{}}", page=number)
add("pages: --ifd 4 of four is refused", pages, flag="--ifd", clip=("--ifd", "4"), fails=(2, 3, 4))
add("layout: more than 65,535 tiles", many_tiles, shows=lambda s, p: len(tifffile.TiffFile(p).pages[0].dataoffsets) > 65535)
add("layout: tiles of 50 x 30", raw(lambda: tiles(U8[0], 50, 30)), shows=lambda s, p: s.block_shapes == [(30, 50)])
add("layout: tiles of 50 x 30, deflate", raw(lambda: tiles(U16[0], 50, 30, pack=zlib.compress, compression=8)))
add("layout: tiles larger than the image", raw(lambda: tiles(U8[0], 256, 512)))
add("layout: no RowsPerStrip", raw(lambda: (lambda t: ({k: v for k, v in t[0].items() if k != 278}, *t[1:]))(strips(U8[0], rows=HEIGHT))))
add("layout: RowsPerStrip 2^32-1", raw(lambda: strips(U8[0], {278: (4, [2**32 - 1])}, rows=HEIGHT)))
add("layout: RowsPerStrip beyond the image", raw(lambda: strips(U8[0], {278: (4, [HEIGHT + 50])}, rows=HEIGHT)))
add("layout: no StripByteCounts, one strip", raw(lambda: strips(U8[0], rows=HEIGHT), count_type=0))
add("layout: StripByteCounts of 0, uncompressed", raw(lambda: strips(U8[0], {279: (4, [0] * 8)}), count_type=0))
for offsets, label in ((3, "SHORT"), (4, "LONG"), (16, "LONG8")):
    for counts, name in ((3, "SHORT"), (4, "LONG"), (16, "LONG8")):
        add(f"layout: BigTIFF with {label} offsets, {name} counts", raw(lambda: strips(U8[0]), big=True, offset_type=offsets, count_type=counts))
add("layout: SHORT offsets and counts", raw(lambda: strips(U8[0]), offset_type=3, count_type=3))
add("layout: big-endian SHORT offsets and counts", raw(lambda: tiles(U8[0], 32, 32), order=">", offset_type=3, count_type=3))
add("layout: BitsPerSample given once for three bands", raw(lambda: (lambda t: (t[0] | {258: (3, [8]), 339: (3, [1]), 277: (3, [3]), 262: (3, [2])}, [np.ascontiguousarray(np.moveaxis(RGB, 0, -1)).tobytes()], False))(strips(U8[0], rows=HEIGHT))))
add("layout: width and height as SHORT", raw(lambda: strips(U8[0], {256: (3, [WIDTH]), 257: (3, [HEIGHT])})))
add("layout: no Compression, no PlanarConfiguration", raw(lambda: (lambda t: ({k: v for k, v in t[0].items() if k not in (259, 284, 339)}, *t[1:]))(strips(U8[0]))))


@case("layout: written by GDAL as a COG", shows=lambda s, p: b"LAYOUT=IFDS_BEFORE_DATA" in p.read_bytes()[:600])
def _(path):
    gdal(RGB)(path.with_name("plain.tif"))
    rasterio.shutil.copy(path.with_name("plain.tif"), path, driver="COG", blocksize=64, compress="deflate")
    path.with_name("plain.tif").unlink()


# --- judging -------------------------------------------------------------------------------------------------------------

# Tags about the encoding or the grid, or judged by what rasterio reads from them.
ENCODING = {254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284, 288, 289, 297, 317, 320, 322, 323, 324, 325, 330, 338, 339, 340, 341, 347, 529, 530, 531, 532,
            33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113, 50844, 32997}  # fmt: skip
MODEL = {"ModelPixelScale", "ModelTiepoint", "ModelTransformation", "KeyDirectoryVersion", "KeyRevision", "KeyRevisionMinor", "RPCCoefficient"}


def same(a, b):
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b


def plain(value):
    """EXIF's own offsets (of the Interoperability directory, say) differ between files."""
    return {k: v for k, v in value.items() if k != "InteroperabilityTag"} if isinstance(value, dict) else value


def tags_equal(path, output, page=0):
    with tifffile.TiffFile(path) as before, tifffile.TiffFile(output) as after:
        old, new = before.pages[page], after.pages[0]
        for tag in old.tags:
            if tag.code in ENCODING:
                continue
            need(tag.code in new.tags, f"tag {tag.code} ({tag.name}) is lost")
            found = new.tags[tag.code]
            need(same(plain(found.value), plain(tag.value)), f"tag {tag.code} ({tag.name}) is {str(found.value)[:60]!r}, not {str(tag.value)[:60]!r}")
            exempt = tag.code in (34665, 34853) or {tag.dtype, found.dtype} <= {3, 4, 16}
            need(exempt or found.dtype == tag.dtype, f"tag {tag.code} ({tag.name}) has type {found.dtype}, not {tag.dtype}")
        if old.tags.get(34735):
            keys, kept = ({k: v for k, v in p.geotiff_tags.items() if k not in MODEL} for p in (old, new))
            wrong = {k: (v, kept.get(k)) for k, v in keys.items() if not same(v, kept.get(k))}
            need(not wrong, f"GeoTIFF keys (before, after): {str(wrong)[:150]}")
        xml, written = (ElementTree.fromstring(p.tags[42112].value) if 42112 in p.tags else [] for p in (old, new))
        for item in xml:
            if not item.get("name", "").startswith("STATISTICS_") and not item.get("role"):
                form = (dict(item.attrib), (item.text or "").strip(), len(item))
                need(any(form == (dict(i.attrib), (i.text or "").strip(), len(i)) for i in written), f"GDAL metadata lost {ElementTree.tostring(item)[:100]}")
        for level in after.pages:
            need(level.asarray().size, "tifffile: an empty level")


def georeference_equal(src, out, geometry, clip):
    _, _, window = raster_geometry_mask(src, [mapping(geometry)], crop=True)
    col, row = (0, 0) if "--no-crop" in clip else (window.col_off, window.row_off)
    points, crs = src.gcps
    kept, kept_crs = out.gcps
    need(len(points) == len(kept) and crs == kept_crs, f"{len(kept)} GCPs in {kept_crs}, not {len(points)} in {crs}")
    for a, b in zip(points, kept):
        off = max(abs(a.col - col - b.col), abs(a.row - row - b.row), abs(a.x - b.x), abs(a.y - b.y), abs(a.z - b.z))
        need(off < 1e-6, f"GCP {b} is not {a} moved by {-col}, {-row}")
    need(bool(src.rpcs) == bool(out.rpcs), "RPCs are lost")
    if src.rpcs:
        a, b = src.rpcs.to_dict(), out.rpcs.to_dict()
        need(abs(a["line_off"] - row - b["line_off"]) < 1e-9 and abs(a["samp_off"] - col - b["samp_off"]) < 1e-9, f"RPC offsets {b['line_off']}, {b['samp_off']} are not {a['line_off']}, {a['samp_off']} less {row}, {col}")
        wrong = {k: (v, b[k]) for k, v in a.items() if b[k] != v and k not in ("line_off", "samp_off")}
        need(not wrong, f"RPCs (before, after): {wrong}")


def whole_grid(src, out, geometry):
    """With --no-crop: the same grid, and the same samples inside."""
    inside = ~raster_geometry_mask(src, [mapping(geometry)])[0]
    need((out.width, out.height) == (src.width, src.height), f"{out.width} x {out.height}, not the whole grid")
    need(src.transform.almost_equals(out.transform, 1e-6), f"transform {out.transform[:6]}, not {src.transform[:6]}")
    need((src.read() == out.read())[:, inside].all(), "samples differ")
    need((invalid(out) == (invalid(src) | ~inside)).all(), "other samples are valid")


def judge(binary, folder, name, make, options):
    path, output = folder / f"{re.sub(r'[^A-Za-z0-9]+', '-', name).strip('-')}.tif", folder / "out.tif"
    for old in (output, *(Path(f"{path}{s}") for s in options.get("beside", ()))):
        old.unlink(missing_ok=True)
    make(path)
    opened, clip = options.get("opens", "{}").format(path), options.get("clip", ())
    with rasterio.open(opened) as src:
        src.read()
        need(options.get("shows", lambda s, p: True)(src, path), "the test is void: the source does not show what it is about")
        geometry = star(random.Random(name), src.width, src.height, src.transform)
    code, line = matrix.clip(binary, f"{path}{options.get('fragment', '')}", output, geometry, "--blocksize", "64", *clip)
    if "fails" in options:
        need(code in options["fails"] and line, f"exit {code}: {line}")
        return
    need(code == 0, f"exit {code}: {line.replace(str(folder) + os.sep, '')}")
    for beside in options.get("beside", ()):
        Path(f"{path}{beside}").unlink()
    with rasterio.open(opened) as src, rasterio.open(output) as out:
        if "--no-crop" in clip:
            whole_grid(src, out, geometry)
        else:
            pixels_equal(src, out, mapping(geometry))
        metadata_equal(src, out)
        exif, kept = src.tags(ns="EXIF"), out.tags(ns="EXIF")
        need(exif == kept or path.read_bytes()[2:4] in (b"+\0", b"\0+"), f"EXIF is {str(kept)[:80]}, not {str(exif)[:80]}")
        profile, kept = src.tags(ns="COLOR_PROFILE"), out.tags(ns="COLOR_PROFILE")
        need(profile == kept, "colour profile differs")
        georeference_equal(src, out, geometry, clip)
        if "check" in options:
            options["check"](src, out, path, output)
    if not options.get("page"):
        photometric_equal(path, output)
    tags_equal(path, output, options.get("page", 0))
    valid, errors, complaints = cog_validate(str(output), strict=True, quiet=True)
    need(valid and not errors and not complaints, "; ".join([*errors, *complaints]))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True, type=Path)
    parser.add_argument("--match", default="", help="only cases whose name has this in it")
    parser.add_argument("--keep", type=Path, help="keep the rasters in this folder")
    parser.add_argument("--verbose", action="store_true", help="a line for each case that passed, too")
    args = parser.parse_args()
    binary = args.bin.resolve()
    help_text = subprocess.run([str(binary), "clip", "--help"], capture_output=True, text=True, check=True).stdout
    passed, failed, known = 0, 0, 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for name, make, options in CASES:
            if args.match not in name:
                continue
            try:
                need(options.get("flag", "") in help_text, f"there is no {options.get('flag')} yet: not run")
                judge(binary, folder, name, make, options)
                passed += 1
                if args.verbose:
                    print(f"ok   {name}")
            except Exception as error:  # a reader that throws is a finding, too
                failed += 1
                expected = any(re.search(pattern, name) for pattern in KNOWN)
                known += expected
                print(f"{'known' if expected else 'FAIL'} {name}: {error if isinstance(error, Differs) else f'{type(error).__name__}: {error}'}")
    print(f"{passed} passed, {failed} failed{f', {known} of them known' if known else ''}")
    return 0 if passed and failed == known else 1


if __name__ == "__main__":
    sys.exit(main())
