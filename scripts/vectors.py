#!/usr/bin/env python3
"""Cuts one raster along the same polygons in every format that OGR, geopandas and shapely write, and compares with rasterio.

    scripts/vectors.py --bin target/release/cogclip [--keep DIR]

Polygons lie in and around a raster, in its CRS and in longitude and latitude. Whatever the format, the CRS's spelling and the
way in (a path, a URL, standard input, inline), the clip must be rasterio.mask's of the same features: all of them, or, where the
format has a spatial index, those whose box touches the raster. Conditions, numbers and layers must choose what pandas chooses.
Of a FlatGeobuf behind HTTP only the features in the raster's box may be read. Prints `N passed, N failed`.
"""

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

os.environ.update(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", AWS_EC2_METADATA_DISABLED="true", OGR_GEOJSON_MAX_OBJ_SIZE="0")
import geopandas as gpd
import numpy as np
import pyproj
import rasterio
import rasterio.mask
import shapely
from affine import Affine
from shapely.geometry import MultiPolygon, Point, Polygon, box

WIDTH, HEIGHT, PIXEL, WEST, NORTH, CRS = 400, 300, 10.0, 500000.0, 5203000.0, "EPSG:32633"
FAILED = []
PASSED = 0


def passed(name, problem):
    global PASSED
    if problem:
        FAILED.append(name)
        print(f"FAILED {name}: {problem}")
    else:
        PASSED += 1


def scene(path):
    rng = np.random.default_rng(2)
    profile = dict(driver="GTiff", width=WIDTH, height=HEIGHT, count=1, dtype="uint16", crs=CRS, nodata=0, tiled=True, blockxsize=64, blockysize=64)
    with rasterio.open(path, "w", transform=Affine(PIXEL, 0, WEST, 0, -PIXEL, NORTH), **profile) as out:
        out.write(rng.integers(1, 60000, (1, HEIGHT, WIDTH)).astype("uint16"))


def polygons():
    rng, rows = random.Random(5), []
    for n in range(600):
        # A tenth of the area is the raster's.
        x, y = WEST + rng.uniform(-4000, 8000), NORTH + rng.uniform(-6000, 3000)
        if n == 0:
            x, y = WEST + 2000, NORTH - 1500
        shape = Point(x, y).buffer(rng.uniform(20, 400), quad_segs=rng.randint(1, 5))
        if n % 5 == 0:
            shape = shape.difference(Point(x + 15, y).buffer(shape.length / 20, quad_segs=2))
        if n % 7 == 0:
            shape = MultiPolygon([part for part in (shape, box(x + 900, y, x + 990, y + 80)) if part.geom_type == "Polygon"])
        rows.append(dict(name=f"Feld {n % 9} ä", crop=rng.choice(["maize", "rye", "oat"]), area=round(shape.area / 1e4, 3), block=n % 13, geometry=shape))
    return gpd.GeoDataFrame(rows, crs=CRS)


def writers(folder, frame, tag):
    """Every format: name, path, options, whether it has an index."""
    path = lambda name: folder / f"{tag}-{name}"
    out = []

    def ogr(name, driver, indexed=False, options=(), **more):
        frame.to_file(path(name), driver=driver, engine="pyogrio", **more)
        out.append((name, path(name), list(options), indexed))

    ogr("fields.geojson", "GeoJSON", COORDINATE_PRECISION=15)
    if frame.crs.to_epsg() == 4326:
        ogr("fields.geojsonl", "GeoJSONSeq", COORDINATE_PRECISION=15)
        ogr("fields.geojsons", "GeoJSONSeq", COORDINATE_PRECISION=15, RS="YES")
    ogr("fields.shp", "ESRI Shapefile")
    ogr("zipped.shz", "ESRI Shapefile")
    ogr("fields.gpkg", "GPKG", True, ["--layer", "fields"], layer="fields")
    frame.iloc[:3].to_file(path("fields.gpkg"), driver="GPKG", engine="pyogrio", layer="other")
    ogr("unindexed.gpkg", "GPKG", SPATIAL_INDEX="NO")
    ogr("fields.fgb", "FlatGeobuf", True)
    ogr("unindexed.fgb", "FlatGeobuf", SPATIAL_INDEX="NO")
    for compression in ("snappy", "zstd", "gzip", None):
        name = f"{compression}.parquet"
        frame.to_parquet(path(name), compression=compression, write_covering_bbox=compression == "zstd")
        out.append((name, path(name), [], False))
    crs = ["--cutline-crs", frame.crs.to_string()]
    texts = {
        "fields.wkt": "\n".join(shapely.to_wkt(shape, rounding_precision=-1) for shape in frame.geometry),
        "fields.wkb": "\n".join(shapely.to_wkb(shape, hex=True) for shape in frame.geometry),
        "fields.ewkb": "\n".join(shapely.to_wkb(shapely.set_srid(shape, frame.crs.to_epsg()), hex=True, include_srid=True) for shape in frame.geometry),
    }
    for name, text in texts.items():
        path(name).write_text(text)
        out.append((name, path(name), [] if "ewkb" in name else crs, False))
    return out


def run(binary, args, stdin=None):
    return subprocess.run([str(part) for part in [binary, *args]], capture_output=True, text=True, input=stdin, timeout=300)


def clip(binary, source, out, args, stdin=None):
    done = run(binary, ["clip", source, out, *args, "--json", "--overwrite"], stdin)
    return None if done.returncode else json.loads(done.stdout), done.stderr.strip().splitlines()[-1:] if done.returncode else None


def differs(source, out, shapes):
    """What is wrong with a clip, by rasterio.mask of the shapes."""
    with rasterio.open(source) as src, rasterio.open(out) as raster:
        expected, transform = rasterio.mask.mask(src, list(shapes), crop=True)
        if raster.shape != expected.shape[1:] or not np.allclose(tuple(raster.transform), tuple(transform), rtol=0, atol=1e-6):
            return f"{raster.shape} at {tuple(raster.transform)[2::3]} instead of {expected.shape[1:]} at {tuple(transform)[2::3]}"
        wrong = int((raster.read() != expected).sum())
        return f"{wrong} samples differ" if wrong else None


class Served:
    """A folder on loopback, and how much of it was asked for."""

    def __init__(self, folder):
        self.bytes = 0
        served = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                file = folder / self.path.lstrip("/")
                if not file.is_file():
                    self.send_response(404)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                data = file.read_bytes()
                first, last = self.headers["Range"].removeprefix("bytes=").split("-")
                start, end = int(first), min(int(last) + 1, len(data))
                served.bytes += end - start
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
                self.send_header("Content-Length", str(end - start))
                self.send_header("ETag", '"1"')
                self.end_headers()
                self.wfile.write(data[start:end])

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def formats(binary, folder, source, frame):
    """The raster's own CRS: equal to rasterio. Longitude and latitude: equal to what GeoJSON gives."""
    raster = box(WEST, NORTH - HEIGHT * PIXEL, WEST + WIDTH * PIXEL, NORTH)
    near = frame[frame.intersects(raster) | frame.geometry.envelope.intersects(raster)]
    degrees = frame.to_crs(4326)
    reference = {}
    for name, path, options, indexed in writers(folder, frame, "utm"):
        out = folder / f"out-{name}.tif"
        report, error = clip(binary, source, out, ["--cutline", path, *options])
        passed(f"utm {name}", error or differs(source, out, (near if indexed else frame).geometry))
        if report and (report["cutline"]["operation"] or {}).get("accuracy_metres", 0) != 0:
            passed(f"utm {name}: the same CRS", report["cutline"])
    for name, path, options, indexed in writers(folder, degrees, "lonlat"):
        out = folder / f"out-lonlat-{name}.tif"
        report, error = clip(binary, source, out, ["--cutline", path, *options])
        pixels = None
        if not error:
            with rasterio.open(out) as raster:
                pixels = raster.shape, tuple(raster.transform), raster.read().tobytes()
        # Widened boxes may take in more: those decide only the window.
        if indexed:
            passed(f"lonlat {name}", error)
            continue
        first = reference.setdefault("all", pixels)
        passed(f"lonlat {name}", error or (None if pixels == first else "not what GeoJSON gives"))
    return near


def ways_in(binary, folder, source, frame):
    shape = frame.geometry.iloc[0]
    wkt, hexadecimal = shapely.to_wkt(shape, rounding_precision=-1), shapely.to_wkb(shape, hex=True)
    geojson = json.dumps(shapely.geometry.mapping(shape))
    srid = f"SRID=32633;{wkt}"
    out = folder / "inline.tif"
    crs = ["--cutline-crs", CRS]
    for name, value, options, stdin in [
        ("WKT", wkt, crs, None), ("EWKT", srid, [], None), ("WKB", hexadecimal, crs, None), ("GeoJSON", geojson, crs, None),
        ("standard input", "-", [], srid), ("standard input", "-", crs, geojson), ("source", wkt, ["--cutline-crs", "source"], None),
    ]:
        _, error = clip(binary, source, out, ["--cutline", value, *options], stdin)
        passed(f"inline {name}", error or differs(source, out, [shape]))
    # The same CRS in every spelling moves no bit.
    crs = pyproj.CRS(CRS)
    spellings = [crs.to_wkt(version) for version in ("WKT1_GDAL", "WKT1_ESRI", "WKT2_2015", "WKT2_2019")]
    spellings += [crs.to_json(), crs.to_proj4(), "urn:ogc:def:crs:EPSG::32633", "http://www.opengis.net/def/crs/EPSG/0/32633", "epsg:32633"]
    for spelling in spellings:
        report, error = clip(binary, source, out, ["--cutline", wkt, "--cutline-crs", spelling])
        passed(f"CRS {spelling[:40]}", error or differs(source, out, [shape]))


def selections(binary, folder, source, near):
    out = folder / "selected.tif"
    path = folder / "utm-fields.fgb"
    for condition, query in [
        ("crop=rye", "crop == 'rye'"), ("crop!=rye", "crop != 'rye'"), ("area>=2.5 and block<6", "area >= 2.5 and block < 6"),
        ("crop in (rye, 'oat') and block = 3", "crop in ['rye', 'oat'] and block == 3"), ("name='Feld 3 ä'", "name == 'Feld 3 ä'"),
        ("block in (1,2,12)", "block in [1, 2, 12]"),
    ]:
        for file, options in [(path, []), (folder / "utm-fields.gpkg", ["--layer", "fields"])]:
            _, error = clip(binary, source, out, ["--cutline", file, *options, "--where", condition])
            passed(f"{file.name} --where {condition}", error or differs(source, out, near.query(query).geometry))
    # OGR's own numbers.
    import pyogrio

    for file, options, layer in [(path, [], None), (folder / "utm-fields.gpkg", ["--layer", "fields"], "fields"), (folder / "utm-fields.shp", [], None)]:
        frame = pyogrio.read_dataframe(file, layer=layer, fid_as_index=True)
        inside = frame[frame.intersects(box(WEST + 500, NORTH - 2500, WEST + 3500, NORTH - 500))]
        fids = [int(fid) for fid in inside.index[:4]]
        _, error = clip(binary, source, out, ["--cutline", file, *options, "--fid", ",".join(map(str, fids))])
        passed(f"{file.name} --fid {fids}", error or differs(source, out, inside.geometry.iloc[:4]))
    done = run(binary, ["clip", source, out, "--cutline", folder / "utm-fields.gpkg", "--overwrite"])
    passed("a layer must be named", None if done.returncode == 2 and "fields" in done.stderr and "other" in done.stderr else done.stderr)
    done = run(binary, ["clip", source, out, "--cutline", path, "--where", "nothing=1", "--overwrite"])
    passed("an unknown property is refused", None if done.returncode == 2 and "crop" in done.stderr else done.stderr)


def splits(binary, folder, source, near):
    with rasterio.open(source) as raster:
        inside = near[near.intersects(box(*raster.bounds))]
    report, error = clip(binary, source, folder / "split/{crop}/{fid}.tif", ["--cutline", folder / "utm-fields.gpkg", "--layer", "fields", "--split", "--on-empty", "skip"])
    outputs = sorted((folder / "split").glob("*/*.tif"))
    passed("split", error or (None if len(outputs) == len(report["outputs"]) >= len(inside) else f"{len(outputs)} files, {len(report['outputs'])} reported, {len(inside)} features"))
    for path in random.Random(1).sample(outputs, min(40, len(outputs))):
        # A GeoPackage counts from 1.
        row = near.loc[int(path.stem) - 1]
        wrong = differs(source, path, [row.geometry])
        passed(f"split {path.parent.name}/{path.name}", wrong or (None if row.crop == path.parent.name else "in the wrong folder"))


def over_http(binary, folder, source, near):
    served = Served(folder)
    for name, options, most in [("utm-fields.fgb", [], 0.6), ("utm-fields.shp", [], None), ("utm-fields.gpkg", ["--layer", "fields"], None), ("utm-zstd.parquet", [], None)]:
        served.bytes = 0
        out = folder / "http.tif"
        _, error = clip(binary, source, out, ["--cutline", f"{served.url}/{name}", *options])
        size = (folder / name).stat().st_size
        print(f"{name} over HTTP: {served.bytes} of {size} bytes")
        expected = near.geometry if name != "utm-fields.shp" else gpd.read_file(folder / name).geometry
        passed(f"http {name}", error or differs(source, out, expected))
    # A large FlatGeobuf, of which little is near.
    big = gpd.GeoDataFrame(geometry=[box(x * 50.0, y * 50.0 + 5000000, x * 50.0 + 40, y * 50.0 + 5000040) for x in range(0, 20000, 40) for y in range(0, 8000, 40)], crs=CRS)
    big.to_file(folder / "big.fgb", driver="FlatGeobuf", engine="pyogrio")
    served.bytes = 0
    _, error = clip(binary, source, folder / "http.tif", ["--cutline", f"{served.url}/big.fgb"])
    size = (folder / "big.fgb").stat().st_size
    print(f"big.fgb over HTTP: {served.bytes} of {size} bytes, {len(big)} features")
    passed("http big.fgb", error or (None if served.bytes < 0.1 * size else f"{served.bytes} of {size} bytes"))


def datums(binary, folder):
    """A step between datums is never silent: refused beyond a pixel by name, and told in the report."""
    source, out = folder / "osgb.tif", folder / "osgb-out.tif"
    with rasterio.open(source, "w", driver="GTiff", width=200, height=200, count=1, dtype="uint8", crs="EPSG:27700", transform=Affine(1, 0, 400000, 0, -1, 300000)) as raster:
        raster.write(np.ones((1, 200, 200), "uint8"))
    square = "POLYGON((-2.0005 52.5965,-1.9990 52.5965,-1.9990 52.5980,-2.0005 52.5980,-2.0005 52.5965))"
    done = run(binary, ["clip", source, out, "--cutline", square, "--cutline-crs", "EPSG:4326", "--overwrite"])
    said = "OSGB36 to WGS 84" in done.stderr and "--max-crs-error" in done.stderr and "--grid" in done.stderr and "--allow-ballpark" in done.stderr
    passed("a shift worse than a pixel is refused by name", None if done.returncode == 2 and said else done.stderr)
    for flag in (["--max-crs-error", "2"], ["--allow-ballpark"]):
        report, error = clip(binary, source, out, ["--cutline", square, "--cutline-crs", "EPSG:4326", *flag])
        operation = report and report["cutline"]["operation"]
        passed(f"{flag[0]} settles it", error or (None if operation["accuracy_metres"] == 2 and "OSGB36" in operation["name"] else operation))
    report, error = clip(binary, source, out, ["--cutline", square.replace("-", "-"), "--cutline-crs", "EPSG:4277", "--max-crs-error", "0"])
    passed("the same datum takes no step", error or (None if report["cutline"]["operation"]["accuracy_metres"] == 0 else report["cutline"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--keep")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(args.keep or scratch)
        folder.mkdir(parents=True, exist_ok=True)
        source = folder / "scene.tif"
        scene(source)
        frame = polygons()
        near = formats(args.bin, folder, source, frame)
        ways_in(args.bin, folder, source, frame)
        selections(args.bin, folder, source, near)
        splits(args.bin, folder, source, near)
        over_http(args.bin, folder, source, near)
        datums(args.bin, folder)
    print(f"{PASSED} passed, {len(FAILED)} failed")
    sys.exit(1 if FAILED else 0)


if __name__ == "__main__":
    main()
