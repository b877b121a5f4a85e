#!/usr/bin/env python3
"""Holds where cogclip places a cutline against rasterio and PROJ, in the hard places of the globe.

    scripts/place.py --bin target/release/cogclip [--match TEXT] [--seed N] [--later] [--keep FOLDER]

For 30 pairs of a cutline's CRS and a raster's, 10 random polygons each: stars with holes, some of them beyond the raster,
over the antimeridian (unsplit, with longitudes beyond 180, and split as RFC 7946 has it) or around a pole. Each is clipped
from a raster of 400 x 300 ones, and the valid pixels are compared

  rasterio  with those that rasterio burns of the outline, its edges cut until PROJ's places of their pieces are within
            5e-6 pixel of straight; shapely cuts it where the raster's map is torn. Not for cutlines around a pole or over the
            antimeridian in a projected CRS, which would have to be unwrapped as cogclip does it;
  PROJ      with those whose centre, taken back to the cutline's CRS by PROJ, shapely finds inside: no edge is cut, no
            longitude unwrapped.

At most 1 in 10,000 of the pixels that the outline runs through may differ, over all pairs. Where the outline is on the
map all along, the window must be that of its bounds, floor and ceil.

With --later also pairs that need a datum shift, or a raster whose CRS has no EPSG code.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

os.environ["GDAL_PAM_ENABLED"] = "NO"

import numpy as np
import pyproj
import rasterio
import shapely
from affine import Affine
from rasterio.features import geometry_mask, rasterize
from shapely.affinity import translate
from shapely.geometry import LineString, MultiPolygon, Polygon, box, mapping

warnings.filterwarnings("ignore")

WIDTH, HEIGHT = 400, 300
REFERENCE_PIXELS = 5e-6
WORLD = "global"
SINUSOIDAL = "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs"
MOLLWEIDE = "+proj=moll +lon_0=0 +x_0=0 +y_0=0 +R=6371000 +units=m +no_defs"
GOES = "+proj=geos +h=35786023 +lon_0=-75 +sweep=x +a=6378137 +b=6356752.31414 +units=m +no_defs"

# Cutline CRS, raster CRS, the raster's centre in its CRS or in longitude and latitude, its pixel, and what the polygons are:
#   star   around places of the raster, in the cutline's CRS
#   over   the same in longitude and latitude over the antimeridian, longitudes running on; every other one split
#   band   from a wavy parallel to the pole, or between two, through all longitudes: -180 to 180
#   pole   stars around the pole of a polar plane
#   wide   stars many times as large as the raster
#   limb   stars all over the world, every third of the world itself but for a hole
PAIRS = [
    ("EPSG:4326", "EPSG:32633", (15.3, 50.1), 10, "star"),
    ("EPSG:4326", "EPSG:32633", (15.3, 50.1), 1000, "star"),
    ("EPSG:32633", "EPSG:4326", (15.3, 50.1), 0.01, "star"),
    ("EPSG:32633", "EPSG:32632", (12.1, 47.9), 100, "star"),
    ("EPSG:4326", "EPSG:3857", (-3.7, 56.2), 500, "star"),
    ("EPSG:3857", "EPSG:4326", (100.4, -12.2), 0.05, "star"),
    ("EPSG:4326", "EPSG:3035", (9.9, 48.2), 2000, "star"),
    ("EPSG:3035", "EPSG:4258", (9.9, 48.2), 0.02, "star"),
    ("EPSG:3035", "EPSG:25832", (9.3, 53.2), 250, "star"),
    ("EPSG:4269", "EPSG:5070", (-99.3, 38.6), 3000, "star"),
    ("EPSG:5070", "EPSG:4269", (-99.3, 38.6), 0.03, "star"),
    ("EPSG:4326", "EPSG:3978", (-93.3, 61.6), 5000, "wide"),
    ("EPSG:4283", "EPSG:3577", (134.2, -25.3), 5000, "star"),
    ("EPSG:2193", "EPSG:4167", (173.1, -41.4), 0.02, "star"),
    ("EPSG:4326", "EPSG:3413", "pole", 12_345, "band"),
    ("EPSG:3413", "EPSG:4326", (0.05, 69.0), (0.9, 0.14), "pole"),
    ("EPSG:3413", "EPSG:4326", (180.05, 69.0), (0.9, 0.14), "pole"),
    ("EPSG:3413", "EPSG:3857", (1e5, 1.3e7), (98_000, 41_000), "pole"),
    ("EPSG:4326", "EPSG:3031", "pole", 12_345, "band"),
    ("EPSG:3031", "EPSG:4326", (0.05, -72.0), (0.9, 0.119), "pole"),
    ("EPSG:3976", "EPSG:6933", (1e5, -6_550_000), (85_000, 5000), "pole"),
    ("EPSG:4326", "EPSG:6931", "pole", 45_123, "band"),
    ("EPSG:4326", "EPSG:3857", (2e7 - 1e6, -2_000_000), 10_000, "over"),
    ("EPSG:4326", "EPSG:3832", (179.3, -17.3), 5000, "over"),
    ("EPSG:4326", "EPSG:6933", WORLD, (86_900, 48_900), "over"),
    ("EPSG:4326", "EPSG:8857", WORLD, (86_300, 55_800), "over"),
    ("EPSG:4326", "EPSG:4326", (180.0, 0.0), (0.9, 0.6), "over"),
    ("EPSG:4326", "EPSG:4326", (180.3, -17.1), 0.05, "over"),
    ("EPSG:32601", "EPSG:4326", (179.6, 52.1), 0.02, "star"),
    (SINUSOIDAL, "EPSG:4326", (20.3, 7.7), 0.3, "star"),
]

LATER = [
    ("EPSG:4326", "EPSG:27700", (-2.3, 53.1), 500, "star"),
    ("EPSG:4326", "EPSG:28992", (5.4, 52.1), 100, "star"),
    ("EPSG:31467", "EPSG:4326", (9.4, 50.1), 0.01, "star"),
    ("EPSG:26915", "EPSG:26715", (-93.1, 42.1), 300, "star"),
    ("EPSG:4326", SINUSOIDAL, WORLD, (101_000, 67_000), "over"),
    ("EPSG:4326", SINUSOIDAL, (17_790_000, 2_780_000), (3000, 4000), "star"),
    ("EPSG:4326", MOLLWEIDE, WORLD, (90_500, 60_500), "over"),
    ("EPSG:4326", GOES, (1000.0, 0.0), (27_500, 36_500), "limb"),
    ("EPSG:4326", "+proj=laea +lat_0=52 +lon_0=10 +x_0=4321000 +y_0=3210000 +ellps=GRS80 +units=m +no_defs", (4.4e6, 3.3e6), (65_000, 86_000), "limb"),
    ("EPSG:4326", "+proj=ortho +lat_0=40 +lon_0=10 +R=6371000 +units=m +no_defs", (1000.0, 0.0), (32_500, 43_500), "limb"),
]


class Pair:
    def __init__(self, row):
        self.cutline, self.raster, centre, pixel, self.kind = row
        self.name = f"{short(self.cutline)} to {short(self.raster)}"
        self.from_crs, self.to_crs = pyproj.CRS(self.cutline), pyproj.CRS(self.raster)
        self.forth = pyproj.Transformer.from_crs(self.from_crs, self.to_crs, always_xy=True)
        self.back = pyproj.Transformer.from_crs(self.to_crs, self.from_crs, always_xy=True)
        px, py = pixel if isinstance(pixel, tuple) else (pixel, pixel)
        if centre in ("pole", WORLD):
            x, y = 0.37 * px, 0.41 * py
        elif self.to_crs.is_geographic or max(map(abs, centre)) > 360:
            x, y = centre
        else:
            x, y = pyproj.Transformer.from_crs(self.to_crs.geodetic_crs, self.to_crs, always_xy=True).transform(*centre)
        self.transform = Affine(px, 0, x - px * WIDTH / 2, 0, -py, y + py * HEIGHT / 2)
        self.steps = (px, py)
        parameters = self.to_crs.to_dict()
        torn = parameters.get("proj") in ("merc", "cea", "eqearth", "sinu", "moll", "lcc", "aea")
        self.lon_0 = parameters.get("lon_0", 0) if torn else None
        self.is_south = parameters.get("lat_0", 90) < 0
        cols, rows = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
        x, y = self.transform * (cols.ravel(), rows.ravel())
        self.centres = np.array(self.back.transform(x, y))
        # What PROJ brings back elsewhere lies beyond the edge of the map, where no place is.
        there = np.array(self.forth.transform(*self.centres))
        off = np.abs(there - (x, y)) / [[px], [py]]
        off[0] = np.minimum(off[0], np.abs(off[0] - 360 / px)) if self.to_crs.is_geographic else off[0]
        self.centres[:, ~(off.max(axis=0) < 1e-3)] = np.nan

    def polygon(self, random, number):
        """In the cutline's CRS, and whether its outline is to be unwrapped on the way to the raster's."""
        lon_lat = self.from_crs.is_geographic
        if self.kind == "band":
            return band(random, number, -1 if self.is_south else 1), False
        if self.kind == "pole":
            size = 4.5e6
            off = random.uniform(-0.5, 0.5, 2) * size * 0.6
            return star(random, off, (size * random.uniform(0.3, 0.8),) * 2), True
        if self.kind == "over":
            reach_x = 0.5 * WIDTH * self.steps[0] * (1 if self.to_crs.is_geographic else 1 / 111_320)
            reach_y = 0.5 * HEIGHT * self.steps[1] * (1 if self.to_crs.is_geographic else 1 / 111_320)
            lat = pyproj.Transformer.from_crs(self.to_crs, self.to_crs.geodetic_crs, always_xy=True).transform(
                *(self.transform * (WIDTH / 2, HEIGHT / 2)))[1]
            reach_x, reach_y = min(reach_x, 150), min(reach_y, 80)
            middle = (180 + random.uniform(-0.3, 0.3) * reach_x, np.clip(lat + random.uniform(-0.4, 0.4) * reach_y, -70, 70))
            radii = (reach_x * random.uniform(0.3, 0.8), min(reach_y * random.uniform(0.3, 0.8), 89 - abs(middle[1])))
            shape = star(random, middle, radii)
            return (split(shape) if number % 2 else shape), False
        if self.kind == "limb":
            middle = random.uniform((-170, -65), (170, 65))
            radii = np.minimum(random.uniform(10, 120, 2), (200, 88 - abs(middle[1])))
            shape = star(random, middle, radii)
            return split(box(-180, -90, 180, 90).difference(shape) if number % 3 == 0 else shape), True
        col, row = random.uniform(0.0, 1.0, 2) * (WIDTH, HEIGHT)
        col, row = (col * 0.7 + 60, row * 0.7 + 45) if number % 3 else (col * 1.4 - 80, row * 1.4 - 60)
        middle = np.array(self.back.transform(*(self.transform * (col, row))))
        if not np.isfinite(middle).all():
            return self.polygon(random, number)
        near = np.array([self.back.transform(*(self.transform * at)) for at in ((col + 1, row), (col, row + 1))])
        unit = np.abs(near - middle).max(axis=0) if np.isfinite(near).all() else np.abs(self.steps)
        radius = (random.uniform(400, 1500) if self.kind == "wide" else random.uniform(30, 220)) * unit
        if lon_lat:
            radius[1] = min(radius[1], 89.9 - abs(middle[1]))
            radius[0] = min(radius[0], 170)
        return star(random, middle, radius), self.to_crs.is_geographic and "32601" in self.cutline

    def place(self, shape):
        """The outline in the raster's CRS, its edges cut: polygons for rasterio."""
        parts, self.is_off_map = [], False
        for turn in (-360, 0, 360) if self.from_crs.is_geographic else (0,):
            moved = translate(shape, turn) if turn else shape
            if self.to_crs.is_geographic:
                window = box(self.transform.c - 1, -91, self.transform.c + WIDTH * self.steps[0] + 1, 91)
                if turn and not moved.intersects(window):
                    continue
            elif self.from_crs.is_geographic:
                if self.lon_0 is not None:
                    west, east = self.lon_0 - 180 + 1e-10, self.lon_0 + 180 - 1e-10
                    moved = moved.intersection(box(west, -89.999999, east, 89.999999))
                elif turn:
                    continue
            for polygon in getattr(moved, "geoms", [moved]):
                if polygon.geom_type == "Polygon" and not polygon.is_empty:
                    rings = [self.cut(np.array(ring.coords)) for ring in (polygon.exterior, *polygon.interiors)]
                    parts.append(Polygon(rings[0], rings[1:]))
        return parts

    def cut(self, ring):
        """A ring's vertices in the raster's CRS, with more of them until edges are straight."""
        start, end = ring[:-1], ring[1:]
        share = np.linspace(0, 1, 9)[:-1]
        start, end = ((start[:, None] + (end - start)[:, None] * at[None, :, None]).reshape(-1, 2) for at in (share, share + 1 / 8))
        for _ in range(24):
            middle = (start + end) / 2
            a, b, m = (np.column_stack(self.forth.transform(p[:, 0], p[:, 1])) for p in (start, end, middle))
            off = np.hypot(*(((a + b) / 2 - m) / self.steps).T)
            bent = ~(off <= REFERENCE_PIXELS) & (np.hypot(*(end - start).T) > 1e-9)
            if not bent.any():
                break
            # In order: of each bent piece its halves.
            start = np.insert(start, np.flatnonzero(bent) + 1, middle[bent], axis=0)
            end = np.insert(end, np.flatnonzero(bent), middle[bent], axis=0)
        points = np.vstack((start, end[-1:]))
        x, y = self.forth.transform(points[:, 0], points[:, 1])
        # What PROJ brings back elsewhere is off the map.
        off = np.abs(np.column_stack(self.back.transform(x, y)) - points)
        off[:, 0] = np.abs(off[:, 0] - 360 * np.round(off[:, 0] / 360)) if self.from_crs.is_geographic else off[:, 0]
        self.is_off_map |= not np.all(off <= 1e-6 * np.abs(points).max())
        return np.column_stack((x, y))

    def by_rasterio(self, shape):
        """Pixels whose centre is inside, pixels that the outline runs through, and the bounds in pixels."""
        inside = np.zeros((HEIGHT, WIDTH), bool)
        lines = []
        bounds = []
        for part in self.place(shape):
            inside |= geometry_mask([mapping(part)], (HEIGHT, WIDTH), self.transform, invert=True)
            lines += [mapping(LineString(ring.coords)) for ring in (part.exterior, *part.interiors)]
            bounds.append(part.bounds)
        edge = rasterize(lines, (HEIGHT, WIDTH), transform=self.transform, all_touched=True, dtype="uint8") if lines else inside
        return inside, int(np.count_nonzero(edge)), np.array(bounds)

    def by_proj(self, shape):
        x, y = self.centres
        inside = np.zeros(x.shape, bool)
        for turn in (-360, 0, 360) if self.from_crs.is_geographic else (0,):
            inside |= shapely.contains_xy(shape, x + turn, y)
        return inside.reshape(HEIGHT, WIDTH)


def short(crs):
    return crs if len(crs) < 12 else crs.split()[0]


def star(random, middle, radii):
    """A star of 5 to 40 points, and in two of three a hole of the same middle."""
    count = int(random.integers(5, 41))
    angles = np.sort(random.uniform(0, 2 * math.pi, count - 4).tolist() + [0.1, 1.7, 3.2, 4.8])

    def ring(least, most):
        radius = random.uniform(least, most, count)
        return np.column_stack((middle[0] + radii[0] * radius * np.cos(angles), middle[1] + radii[1] * radius * np.sin(angles)))

    outer, hole = ring(0.5, 1.0), ring(0.1, 0.3)
    shape = Polygon(outer, [hole] if random.uniform() < 0.67 else [])
    return shape if shape.is_valid else Polygon(outer)


def band(random, number, side):
    """All longitudes, from a wavy parallel to the pole of `side`, or to a second one; or a star that is no band."""
    if number % 3 == 2:
        return star(random, (random.uniform(-60, 60), side * random.uniform(60, 75)), (random.uniform(20, 100), random.uniform(5, 14)))
    lons = np.linspace(-180, 180, int(random.integers(8, 60)))

    def wave(least, most):
        lats = side * random.uniform(least, most, len(lons))
        lats[-1] = lats[0]
        return list(zip(lons, lats))

    outer = wave(60, 80)
    inner = [(-180, 90 * side), (180, 90 * side)] if number % 3 == 0 else wave(82, 89)
    return Polygon(outer + inner[::-1])


def split(shape):
    """In parts from -180 to 180 (RFC 7946 §3.1.9)."""
    parts = []
    for turn in (-360, 0, 360):
        part = translate(shape, turn).intersection(box(-180, -90, 180, 90))
        parts += [polygon for polygon in getattr(part, "geoms", [part]) if polygon.geom_type == "Polygon" and not polygon.is_empty]
    return MultiPolygon(parts)


def clip(binary, source, shape, crs, folder):
    """The valid pixels on the whole raster and the window; or what the binary said."""
    cutline, out = folder / "cutline.geojson", folder / "out.tif"
    cutline.write_text(json.dumps(mapping(shape)))
    out.unlink(missing_ok=True)
    done = subprocess.run(
        [binary, "clip", source, out, "--cutline", cutline, "--cutline-crs", crs, "--no-overviews"],
        capture_output=True, text=True, timeout=120)
    inside = np.zeros((HEIGHT, WIDTH), bool)
    if done.returncode == 8:
        return inside, None
    if done.returncode != 0:
        raise RuntimeError((done.stderr.strip().splitlines() or ["no message"])[-1])
    with rasterio.open(source) as whole, rasterio.open(out) as part:
        col, row = (round(v) for v in ~whole.transform * (part.transform.c, part.transform.f))
        inside[row:row + part.height, col:col + part.width] = part.read(1) == 1
        return inside, (col, row, col + part.width, row + part.height)


def expected_window(pair, bounds):
    """Of rasterio; `None` where a bound is so near a pixel's edge that its last digits decide."""
    to_pixels = ~pair.transform
    corners = np.array([to_pixels * (b[i], b[j]) for b in bounds for i, j in ((0, 3), (2, 1))])
    low, high = corners.min(axis=0), corners.max(axis=0)
    if np.any(np.abs(np.append(low, high) - np.round(np.append(low, high))) < 0.01):
        return None
    col, row = np.clip(np.floor(low), 0, (WIDTH, HEIGHT)).astype(int)
    end_col, end_row = np.clip(np.ceil(high), 0, (WIDTH, HEIGHT)).astype(int)
    return tuple(int(v) for v in (col, row, end_col, end_row)) if col < end_col and row < end_row else False


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, type=lambda path: str(Path(path).resolve()))
    parser.add_argument("--match", default="")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--later", action="store_true")
    parser.add_argument("--keep", type=Path)
    args = parser.parse_args()
    totals, failed = np.zeros(4, int), []
    print(f"{'cutline to raster':34} {'kind':5} polygons    valid pixels   edge pixels   rasterio   PROJ")
    with tempfile.TemporaryDirectory() as folder:
        folder = args.keep or Path(folder)
        folder.mkdir(exist_ok=True)
        for index, row in enumerate(PAIRS + (LATER if args.later else [])):
            pair = Pair(row)
            if args.match not in f"{pair.name} {pair.kind}":
                continue
            random = np.random.default_rng((args.seed, index))
            source = folder / f"source-{index}.tif"
            with rasterio.open(source, "w", driver="GTiff", width=WIDTH, height=HEIGHT, count=1, dtype="uint8", nodata=0,
                               crs=pair.to_crs.to_wkt(), transform=pair.transform, compress="deflate") as out:
                out.write(np.ones((1, HEIGHT, WIDTH), "uint8"))
            sums, polygons = np.zeros(4, int), 0
            for number in range(10):
                shape, unwraps = pair.polygon(random, number)
                try:
                    got, window = clip(args.bin, source, shape, pair.cutline, folder)
                except (RuntimeError, subprocess.TimeoutExpired) as error:
                    failed.append(f"{pair.name} {pair.kind} {number}: {error}")
                    if args.keep:
                        (folder / f"failed-{index}-{number}.geojson").write_text(json.dumps(mapping(shape)))
                    continue
                polygons += 1
                proj = pair.by_proj(shape)
                if unwraps:
                    edge = int(np.count_nonzero((proj[1:, 1:] != proj[1:, :-1]) | (proj[1:, 1:] != proj[:-1, 1:])))
                    wrong = 0
                else:
                    inside, edge, bounds = pair.by_rasterio(shape)
                    wrong = int(np.count_nonzero(inside != got))
                    if pair.kind == "star" and len(bounds) and not pair.is_off_map and not window_agrees(pair, bounds, window):
                        failed.append(f"{pair.name} {pair.kind} {number}: window {window}, not {expected_window(pair, bounds)}")
                off = int(np.count_nonzero(proj != got))
                if (wrong or off) and args.keep:
                    (folder / f"failed-{index}-{number}.geojson").write_text(json.dumps(mapping(shape)))
                    print(f"  {index} {number}: {wrong} {off} at {np.argwhere((proj != got))[:3].tolist()}")
                sums += (np.count_nonzero(got), edge, wrong, off)
            totals += sums
            print(f"{pair.name:34} {pair.kind:5} {polygons:8} {sums[0]:15,} {sums[1]:13,} {sums[2]:10,} {sums[3]:6,}", flush=True)
    valid, edge, wrong, off = (int(v) for v in totals)
    print(f"{'all':49} {valid:15,} {edge:13,} {wrong:10,} {off:6,}")
    for line in failed:
        print(f"FAIL {line}")
    worst = max(wrong, off)
    print(f"{worst} of {edge} edge pixels differ, {1e4 * worst / max(edge, 1):.2f} in 10,000; {len(failed)} failed")
    sys.exit(bool(failed) or worst * 10_000 > edge or not edge)


def window_agrees(pair, bounds, window):
    expected = expected_window(pair, bounds)
    return expected is None or (expected or None) == window


if __name__ == "__main__":
    main()
