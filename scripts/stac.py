#!/usr/bin/env python3
"""Clips rasters with --stac, and asks pystac, rasterio, pyproj and shapely whether the Items are true.

    scripts/stac.py --bin target/release/cogclip [--match TEXT] [--keep DIR] [--verbose]

Every Item is validated by pystac, offline: the core by the schemas in pystac, projection 2.0.0, raster 2.0.0, processing 1.2.0
and PROJJSON 0.7 by those in the package eopf, file 2.1.0 by testdata/stac/file-v2.1.0.json, which is our own. That the schemas bite is seen
by spoiling an Item once for each.

Where the raster lies is asked of pyproj, by a way of its own: places half a pixel within the edge of the clip must be in the Item's
geometry, those half a pixel outside must not, and so must random places on the globe. The geometry must be as RFC 7946 wants it. Grid,
types, nodata, scales, offsets, units and descriptions are compared with what rasterio says of the clip, size and checksum with the file.

One line a failure, then `N passed, N failed`; exit code 1 if any failed.
"""

import argparse
import copy
import hashlib
import importlib.util
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import threading
import urllib.parse
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyproj
import pystac
import rasterio
import shapely
from affine import Affine
from pystac.errors import STACValidationError
from pystac.validation.stac_validator import JsonSchemaSTACValidator
from rasterio.control import GroundControlPoint
from shapely.geometry import shape

warnings.filterwarnings("ignore", category=rasterio.errors.NotGeoreferencedWarning)
os.environ["PROJ_NETWORK"] = "OFF"
# Places that a projection has none for are not finite.
np.seterr(invalid="ignore")
HERE = Path(__file__).resolve().parent
CASES = []


class Wrong(Exception):
    pass


def need(holds, what):
    if not holds:
        raise Wrong(what)


def equal(got, expected, what):
    need(got == expected, f"{what}: {got!r}, expected {expected!r}")


# --- schemas -------------------------------------------------------------------------------------------------------------


class Validator(JsonSchemaSTACValidator):
    """pystac's, with the schemas at hand and no others."""

    def __init__(self):
        super().__init__()
        found = importlib.util.find_spec("eopf")
        if not found:
            sys.exit("no package eopf, which has the schemas: pip install --no-deps --ignore-requires-python -r scripts/requirements-schemas.txt")
        folder = Path(found.submodule_search_locations[0]) / "product/stac_extensions"
        paths = [folder / f"extensions/{name}.json" for name in ("projection_v2.0.0", "raster_v2.0.0", "processing_v1.2.0")]
        for path in [*paths, folder / "projjson/v0.7-projjson.schema.json", HERE.parent / "testdata/stac/file-v2.1.0.json"]:
            schema = json.loads(path.read_text())
            self.schema_cache[schema["$id"].rstrip("#")] = schema

    def _get_schema(self, uri):
        if uri not in self.schema_cache:
            raise Wrong(f"no schema at hand for {uri}")
        return self.schema_cache[uri]

    def check(self, item):
        extensions = item["stac_extensions"]
        self.validate(item, pystac.STACObjectType.ITEM, item["stac_version"], extensions)
        equal(len(extensions), 4, "extensions")


def spoilt(item):
    """The same Item with one thing wrong, for every schema."""
    asset = item["assets"]["data"]

    def without(path):
        spoilt = copy.deepcopy(item)
        *folders, name = path
        place = spoilt
        for folder in folders:
            place = place[folder]
        del place[name]
        return spoilt

    def with_asset(**fields):
        spoilt = copy.deepcopy(item)
        spoilt["assets"]["data"] |= {name.replace("__", ":"): value for name, value in fields.items()}
        return spoilt

    yield "core", without(["properties", "datetime"])
    yield "core", without(["bbox"])
    yield "core", with_asset(bands=[{"data_type": "real"}])
    yield "projection", with_asset(proj__shape=[1])
    yield "projection", with_asset(proj__epsg=4326)
    yield "projection", with_asset(proj__projjson={"type": "ProjectedCRS"})
    yield "raster", with_asset(raster__sampling="centre")
    yield "processing", {**item, "properties": {**item["properties"], "processing:software": {"cogclip": 1}}}
    yield "file", with_asset(file__size=-1)
    yield "file", with_asset(file__checksum="1220" + asset["file:checksum"][4:].upper())
    yield "file", with_asset(file__sise=1)


# --- cases ---------------------------------------------------------------------------------------------------------------


def case(name, crs, transform, *options, data=None, then=None, box=None, **profile):
    """`box`: left, bottom, right, top of the cutline, in the raster's CRS; else all of the raster. `profile` may have `check`, a
    function of the Item; `inexact`, for a grid that reaches beyond the edge of the world; `names_code`, whether the file does."""
    CASES.append((name, crs, transform, options, np.ones((1, 96, 128), "uint8") if data is None else data, then, box, profile))


def grid(left, top, size, size_y=None):
    return Affine(size, 0, left, 0, -(size_y or size), top)


RAMP = np.arange(96 * 128).reshape(96, 128)
U16 = RAMP.astype("uint16")[None]
UTM = grid(400_000, 5_300_000, 10)
case("utm", "EPSG:32633", UTM, data=U16, nodata=7)
case("utm, a part", "EPSG:32633", UTM, data=U16, box=(400_131, 5_299_301, 400_777, 5_299_899))
case("utm over the antimeridian", "EPSG:32701", grid(160_000, 8_000_000, 300))
case("utm, large", "EPSG:32633", grid(300_000, 9_200_000, 10), data=np.ones((1, 8000, 9000), "uint8"), compress="deflate", tiled=True)
case("degrees", "EPSG:4326", grid(10, 50, 0.01), data=RAMP.astype("float32")[None], nodata=math.nan)
case("degrees over the antimeridian", "EPSG:4326", grid(179.5, 10, 0.01))
case("degrees from 0 to 360", "EPSG:4326", grid(0, 90, 360 / 128, 180 / 96))
case("the globe", "EPSG:4326", grid(-180, 90, 360 / 128, 180 / 96))
case("the globe, centres on the poles", "EPSG:4326", grid(-180 - 180 / 128, 90 + 90 / 95, 360 / 128, 180 / 95))
case("up to the antimeridian", "EPSG:4326", grid(180 - 1.28, 10, 0.01))
case("from the antimeridian", "EPSG:4326", grid(-180, 10, 0.01))
case("all of web Mercator", "EPSG:3857", grid(-20037508.342789244, 20037508.342789244, 2 * 20037508.342789244 / 128, 2 * 20037508.342789244 / 96))
case("Mercator over the antimeridian", "EPSG:3832", grid(3_000_000, 2_000_000, 10_000))
case("south pole", "EPSG:3031", grid(-1_280_000, 960_000, 20_000))
case("south pole, near the edge", "EPSG:3031", grid(-1_280_000, 15_000, 20_000))
case("south pole, on the edge", "EPSG:3031", grid(-1_280_000, 0, 20_000))
case("south pole, on the right edge", "EPSG:3031", grid(-2_560_000, 960_000, 20_000))
case("south pole, not in it", "EPSG:3031", grid(200_000, 960_000, 5_000))
case("south pole, over the antimeridian", "EPSG:3031", grid(-320_000, -400_000, 5_000))
for corner, place in (("north-western", (0, 0)), ("south-eastern", (-128, 96)), ("north-eastern", (-128, 0)), ("south-western", (0, 96))):
    case(f"north pole at the {corner} corner", "EPSG:3413", grid(place[0] * 5000, place[1] * 5000, 5000))
case("rotated", "EPSG:32633", Affine.translation(500_000, 5_000_000) * Affine.rotation(31) * Affine.scale(20, -30))
case("south-up", "EPSG:32633", Affine(10, 0, 400_000, 0, 10, 5_000_000))
case("British grid", "EPSG:27700", grid(400_000, 300_000, 500))
case("feet", "EPSG:2263", grid(980_000, 200_000, 10), check=lambda item: equal(round(item["assets"]["data"]["bands"][0]["raster:spatial_resolution"], 3), 3.048, "resolution"))
case("Europe", "EPSG:3035", grid(2_500_000, 5_500_000, 40_000))
case("United States", "EPSG:5070", grid(-2_300_000, 3_100_000, 40_000))
case("a CRS without a code", "+proj=laea +lat_0=12 +lon_0=34 +datum=WGS84", grid(-64_000, 48_000, 1000))
# GDAL writes its parameters, from which it finds the code again; the file names none.
case("ESRI's Mollweide", "ESRI:54009", grid(500_000, 4_000_000, 10_000), names_code=False)
case("MODIS, at the world's end", "+proj=sinu +R=6371007.181", grid(-12_231_455, 6_671_703, 8_687), inexact=True)
case("no CRS", None, None)
case("ground control points", None, None, gcps=[GroundControlPoint(r, c, 10 + c / 100, 50 - r / 100) for r in (0, 96) for c in (0, 128)])
case("unsigned, with a mask", "EPSG:32633", UTM, "--mask", "internal")
case("alpha", "EPSG:32633", UTM, "--mask", "alpha", data=np.ones((3, 96, 128), "uint8"), photometric="rgb")
case("64 bits", "EPSG:32633", UTM, data=RAMP.astype("int64")[None], nodata=-9223372036854775807)
case("complex", "EPSG:32633", UTM, data=RAMP.astype("complex64")[None])
case("half floats, infinite nodata", "EPSG:32633", UTM, data=RAMP.astype("float32")[None], nodata=-math.inf)
case("12 bits", "EPSG:32633", UTM, data=U16 & 4095, nbits=12, check=lambda item: equal(item["assets"]["data"]["bands"][0]["raster:bits_per_sample"], 12, "bits"))
case("covered shares", "EPSG:32633", UTM, "--coverage-band", data=U16)
case("points", "EPSG:32633", UTM, then=lambda out: out.update_tags(AREA_OR_POINT="Point"))


def described(out):
    out.descriptions = ["red", 'near <"infrared"> & more', None]
    out.scales, out.offsets, out.units = (0.0001, 2.5, 1), (0, -0.1, 0), ["1", "K", ""]
    out.update_tags(ns="IMAGERY", ACQUISITIONDATETIME="2024-05-01 10:20:30")
    out.update_tags(TIFFTAG_DATETIME="2025:01:01 00:00:00")


def taken(expected):
    return lambda item: equal(item["properties"]["datetime"], expected, "datetime")


THREE = np.stack([U16[0]] * 3)
case("bands, described", "EPSG:32633", UTM, data=THREE, then=described, check=taken("2024-05-01T10:20:30Z"))
case("bands, chosen", "EPSG:32633", UTM, "--bands", "2,1", data=THREE, then=described)
case("bands, and shares", "EPSG:32633", UTM, "--bands", "2", "--coverage-band", data=THREE, then=described)
case("a date in a tag", "EPSG:32633", UTM, then=lambda out: out.update_tags(TIFFTAG_DATETIME="2025:01:31 23:59:58"), check=taken("2025-01-31T23:59:58Z"))
case("a date of zeros", "EPSG:32633", UTM, then=lambda out: out.update_tags(TIFFTAG_DATETIME="0000:00:00 00:00:00"), check=taken(None))


# --- what is asked -------------------------------------------------------------------------------------------------------


def in_pixels(crs, transform, width, height):
    """Longitudes and latitudes to pixels, and back: not finite where there is no place."""
    there = pyproj.Transformer.from_crs("OGC:CRS84", crs, always_xy=True)
    turn = ~transform
    is_degrees = pyproj.CRS(crs).is_geographic

    def forward(lon, lat):
        x, y = there.transform(lon, lat)
        if is_degrees:
            # The turn that is nearest to the middle of the grid.
            middle = (transform * (width / 2, height / 2))[0]
            x = x - np.round((x - middle) / 360) * 360
        return turn.a * x + turn.b * y + turn.c, turn.d * x + turn.e * y + turn.f

    def back(col, row):
        x, y = transform.a * col + transform.b * row + transform.c, transform.d * col + transform.e * row + transform.f
        if is_degrees:
            y = np.where(np.abs(y) <= 90, y, np.nan)
        lon, lat = there.transform(x, y, direction="INVERSE")
        return (np.asarray(lon) + 180) % 360 - 180, np.asarray(lat)

    return forward, back


def frame(width, height, out):
    """Places along the edge of a grid, so many pixels outside it."""
    along = np.linspace(0, 1, 400)
    cols, rows = -out + along * (width + 2 * out), -out + along * (height + 2 * out)
    ends_c, ends_r = [np.full(400, v) for v in (-out, width + out)], [np.full(400, v) for v in (-out, height + out)]
    return np.concatenate([cols, cols, *ends_c]), np.concatenate([*ends_r, rows, rows])


def check_geometry(item, src, inexact):
    need(item["geometry"], "a CRS, but no geometry")
    geometry = shape(item["geometry"])
    need(geometry.is_valid, f"the geometry is not valid: {shapely.is_valid_reason(geometry)}")
    polygons = list(getattr(geometry, "geoms", [geometry]))
    for polygon in polygons:
        need(polygon.exterior.is_ccw, "an outer ring runs clockwise (RFC 7946 §3.1.6)")
        lons, lats = np.array(polygon.exterior.coords).T
        need(np.abs(lons).max() <= 180 and np.abs(lats).max() <= 90, "a coordinate is off the globe")
    west, south, east, north = item["bbox"]
    boxes = [b.bounds for b in polygons]
    equal((south, north), (min(b[1] for b in boxes), max(b[3] for b in boxes)), "bbox, south and north")
    if west > east:
        need(any(b[2] == 180 for b in boxes) and any(b[0] == -180 for b in boxes), "a bbox over the antimeridian, a geometry that is not")
        equal((west, east), (min(b[0] for b in boxes if b[2] == 180), max(b[2] for b in boxes if b[0] == -180)), "bbox, west and east")
    else:
        equal((west, east), (min(b[0] for b in boxes), max(b[2] for b in boxes)), "bbox, west and east")
    forward, back = in_pixels(src.crs.to_wkt(), src.transform, src.width, src.height)
    width, height = src.width, src.height

    def contains(lon, lat):
        return shapely.contains_xy(geometry, lon, lat)

    inset = min(0.5, width / 4, height / 4)
    lon, lat = back(*frame(width, height, -inset))
    known = np.isfinite(lon) & np.isfinite(lat)
    # The antimeridian is a border between two polygons.
    held = shapely.intersects_xy(geometry, lon[known], lat[known])
    if inexact:
        # A box around places of a mesh of 128 cells a side, which is hardly larger than the places. (Beyond the edge of the world,
        # PROJ gives places, too.)
        cols, rows = forward(lon, lat)
        known &= (np.abs(cols - frame(width, height, -inset)[0]) < 1) & (np.abs(rows - frame(width, height, -inset)[1]) < 1)
        held = shapely.intersects_xy(geometry, lon[known], lat[known])
        need(0.2 < known.mean() < 0.9 and held.mean() > 0.98, f"{known.mean():.3f} of the edge is on the globe, {held.mean():.3f} of it in the box")
        need(np.allclose(item["bbox"], [lon[known].min(), lat[known].min(), lon[known].max(), lat[known].max()], atol=0.3), f"a box that is too large: {item['bbox']}")
        return 0
    need(known.mean() > 0.95, f"only {known.mean():.3f} of the edge has a place")
    need(held.all(), f"{(~held).sum()} of {known.sum()} places within the edge are not in the geometry, such as {lon[known][~held][:1]}, {lat[known][~held][:1]}")
    lon, lat = back(*frame(width, height, 0.5))
    # Beyond the edge of the world, coordinates may come back as those of places inside.
    cols, rows = forward(lon, lat)
    outside = np.isfinite(cols) & np.isfinite(rows) & ((cols < -0.3) | (cols > width + 0.3) | (rows < -0.3) | (rows > height + 0.3))
    held = contains(lon[outside], lat[outside])
    need(not held.any(), f"{held.sum()} of {outside.sum()} places outside the edge are in the geometry, such as {lon[outside][held][:1]}, {lat[outside][held][:1]}")
    rng = np.random.default_rng(1)
    lon, lat = rng.uniform(-180, 180, 3000), np.degrees(np.arcsin(rng.uniform(-1, 1, 3000)))
    cols, rows = forward(lon, lat)
    back_lon, back_lat = back(cols, rows)
    # Only where the map is one to one.
    sure = np.isfinite(cols) & np.isfinite(back_lon) & (np.abs(back_lat - lat) < 1e-3) & (np.abs((back_lon - lon + 180) % 360 - 180) < 1e-3)
    inside = (cols > 0.5) & (cols < width - 0.5) & (rows > 0.5) & (rows < height - 0.5)
    outside = (cols < -0.5) | (cols > width + 0.5) | (rows < -0.5) | (rows > height + 0.5)
    held = contains(lon, lat)
    for which, expected in ((inside, True), (outside, False)):
        off = sure & which & (held != expected)
        need(not off.any(), f"{off.sum()} random places are {'not ' * expected}in the geometry, such as {lon[off][:1]}, {lat[off][:1]}")
    return len(shapely.get_coordinates(geometry))


def check_asset(item, path, src, names_code, has_size):
    asset = item["assets"]["data"]
    equal(asset["file:size"], path.stat().st_size, "file:size")
    equal(asset["file:checksum"], "1220" + hashlib.sha256(path.read_bytes()).hexdigest(), "file:checksum")
    equal(asset["file:byte_order"], {b"II": "little-endian", b"MM": "big-endian"}[path.read_bytes()[:2]], "file:byte_order")
    equal(asset["proj:shape"], list(src.shape), "proj:shape")
    code = src.crs and names_code and src.crs.to_authority(confidence_threshold=100)
    equal(asset["proj:code"], ":".join(code) if code else None, "proj:code")
    equal(item["properties"]["proj:code"], asset["proj:code"], "proj:code of the Item")
    equal(asset["raster:sampling"], src.tags().get("AREA_OR_POINT", "Area").lower(), "raster:sampling")
    if src.crs:
        equal(asset["proj:transform"], list(src.transform), "proj:transform")
        corners = [src.transform * c for c in ((0, 0), (src.width, 0), (0, src.height), (src.width, src.height))]
        xs, ys = zip(*corners)
        # Sums of three products, in any order.
        need(np.allclose(asset["proj:bbox"], [min(xs), min(ys), max(xs), max(ys)], rtol=1e-14, atol=0), f"proj:bbox: {asset['proj:bbox']}")
    else:
        need("proj:transform" not in asset and "proj:bbox" not in asset, "a transform without a CRS")
        need(item["geometry"] is None and "bbox" not in item, "a geometry without a CRS")
    equal(len(asset["bands"]), src.count, "bands")
    equal(len({band["name"] for band in asset["bands"]}), src.count, "names of bands")
    types = {"complex64": "cfloat32", "complex128": "cfloat64", "complex_int16": "cint16"}
    for n, band in enumerate(asset["bands"]):
        equal(band["data_type"], types.get(src.dtypes[n], src.dtypes[n]), f"data_type of band {n}")
        nodata = src.nodatavals[n]
        words = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
        got = words.get(band.get("nodata"), band.get("nodata"))
        need(got == nodata or (nodata is not None and got is not None and math.isnan(nodata) and math.isnan(got)), f"nodata of band {n}: {got}, rasterio says {nodata}")
        equal(band.get("raster:scale", 1), src.scales[n], f"scale of band {n}")
        equal(band.get("raster:offset", 0), src.offsets[n], f"offset of band {n}")
        equal(band.get("unit"), src.units[n] or None, f"unit of band {n}")
        equal(band.get("description"), src.descriptions[n] or None, f"description of band {n}")
        equal("raster:spatial_resolution" in band, bool(src.crs) and has_size, f"whether band {n} has a resolution")


def check_resolution(item, src):
    """Within a hundredth of pyproj's geodesics around the central pixel, or of the CRS's own."""
    _, back = in_pixels(src.crs.to_wkt(), src.transform, src.width, src.height)
    col, row = src.width / 2, src.height / 2
    lon, lat = back(np.array([col, col + 1, col]), np.array([row, row, row + 1]))
    geod = pyproj.Geod(ellps="WGS84")
    sides = [geod.inv(lon[0], lat[0], lon[n], lat[n])[2] for n in (1, 2)]
    got, expected = item["assets"]["data"]["bands"][0]["raster:spatial_resolution"], sum(sides) / 2
    need(abs(got / expected - 1) < 0.011, f"resolution {got}, by geodesics {expected}")


# --- a bucket ------------------------------------------------------------------------------------------------------------


class Bucket(BaseHTTPRequestHandler):
    """As much of S3 as two small objects take."""

    protocol_version = "HTTP/1.1"
    objects = {}

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self):
        _, body, _, marker = self.objects.get(self.path, (None, None, None, None))
        if body is None:
            return self.answer(404)
        self.answer(200, body, ETag='"x"', x_amz_meta_cogclip_write=marker)

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path in self.objects and self.headers.get("If-None-Match") == "*":
            return self.answer(412)
        self.objects[self.path] = (self.headers["Content-Type"], body, len(self.objects), self.headers["x-amz-meta-cogclip-write"])
        self.answer(200, ETag='"x"')

    def log_message(self, *_):
        pass


def clip_to_bucket(binary, source, scratch, validator):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    options = [f"endpoint=http://127.0.0.1:{server.server_port}", "region=us-east-1", "allow_http=true", "access_key_id=a", "secret_access_key=b"]
    options = [word for option in options for word in ("--dst-option", option)]
    bounds = rasterio.open(source).bounds
    box = ",".join(map(repr, bounds))
    done = subprocess.run([binary, "clip", source, "s3://bucket/a folder/clip.tif", "--bbox", box, "--cutline-crs", "source", "--stac", "auto", "--quiet", *options], capture_output=True, text=True)
    need(done.returncode == 0, done.stderr.strip())
    objects = Bucket.objects
    equal(sorted(objects), ["/bucket/a%20folder/clip.json", "/bucket/a%20folder/clip.tif"], "objects")
    (item_type, text, item_at, _), (cog_type, cog, cog_at, _) = (objects[name] for name in sorted(objects))
    need(cog_at < item_at, "the Item came before the output")
    equal((item_type, cog_type), ("application/geo+json", "image/tiff; application=geotiff; profile=cloud-optimized"), "media types")
    item = json.loads(text)
    validator.check(item)
    asset = item["assets"]["data"]
    equal((asset["href"], asset["type"], asset["file:size"]), ("./clip.tif", cog_type, len(cog)), "asset")
    equal(asset["file:checksum"], "1220" + hashlib.sha256(cog).hexdigest(), "checksum")
    server.shutdown()


# --- one case ------------------------------------------------------------------------------------------------------------


def run(binary, scratch, validator, case, verbose):
    name, crs, transform, options, data, then, box, profile = case
    inexact, names_code, check = profile.pop("inexact", False), profile.pop("names_code", True), profile.pop("check", None)
    src = scratch / f"{name}.tif"
    georeference = {"crs": crs, "transform": transform} if crs else {}
    if "gcps" in profile:
        georeference = {"crs": "EPSG:4326"}
    with rasterio.open(src, "w", driver="GTiff", width=data.shape[2], height=data.shape[1], count=len(data), dtype=data.dtype, **georeference, **profile) as out:
        if then:
            then(out)
        out.write(data)
    if box is None:
        with rasterio.open(src) as opened:
            corners = [opened.transform * c for c in ((0, 0), (opened.width, 0), (0, opened.height), (opened.width, opened.height))]
        xs, ys = zip(*corners)
        box = (min(xs), min(ys), max(xs), max(ys))
    dst = scratch / "out" / name / "clip.tif"
    words = [binary, "clip", src, dst, f"--bbox={','.join(map(repr, box))}", "--cutline-crs", "source", "--stac", "auto", "--quiet", "--overwrite", *options]
    done = subprocess.run(words, capture_output=True, text=True)
    need(done.returncode == 0, f"exit code {done.returncode}: {done.stderr.strip()}")
    item = json.loads(dst.with_suffix(".json").read_text())
    validator.check(item)
    equal(item["id"], "clip", "id")
    equal([(link["rel"], urllib.parse.unquote(link["href"])) for link in item["links"]], [("derived_from", f"file://{src}")], "links")
    equal((dst.parent / item["assets"]["data"]["href"]).resolve(), dst.resolve(), "href")
    pystac.Item.from_dict(item)
    vertices = 0
    with rasterio.open(dst) as out:
        check_asset(item, dst, out, names_code, not inexact)
        if out.crs:
            vertices = check_geometry(item, out, inexact)
            if not inexact:
                check_resolution(item, out)
    if check:
        check(item)
    if verbose:
        print(f"{name}: {vertices} vertices, bbox {item.get('bbox')}")
    return item


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True, type=Path)
    parser.add_argument("--match", default="")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    validator, binary = Validator(), args.bin.resolve()
    passed, failed, first = 0, 0, None
    with tempfile.TemporaryDirectory() as folder:
        scratch = args.keep or Path(folder)
        scratch.mkdir(exist_ok=True)

        def attempt(name, function):
            nonlocal passed, failed
            if args.match not in name:
                return None
            try:
                result = function()
            except (Wrong, STACValidationError, KeyError, rasterio.errors.RasterioError) as error:
                failed += 1
                print(f"FAILED {name}: {type(error).__name__}: {str(error)[:600]}")
                return None
            passed += 1
            return result

        for case in CASES:
            item = attempt(case[0], lambda: run(binary, scratch, validator, case, args.verbose))
            first = first or item

        def bites():
            need(first, "no Item to spoil")
            for schema, item in spoilt(first):
                try:
                    validator.check(item)
                except STACValidationError as error:
                    expected = "schemas.stacspec.org" if schema == "core" else f"stac-extensions.github.io/{schema}/"
                    need(expected in str(error).split("\n")[0], f"a spoilt {schema} is found by another schema: {str(error)[:200]}")
                    continue
                raise Wrong(f"a spoilt {schema} is not found")

        attempt("schemas bite", bites)
        attempt("a bucket", lambda: clip_to_bucket(binary, scratch / "utm.tif", scratch, validator))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
