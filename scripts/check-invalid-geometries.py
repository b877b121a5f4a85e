#!/usr/bin/env python3
"""Holds testdata/invalid-geometries.json, which was made by hand, to GDAL's fill and to GEOS; exits 1 on a difference.

For each case: the area that GDAL fills of the geometry as it is (rasterio.features.rasterize on a grid of 64 pixels a unit,
every polygon by itself), which must be the stated one within what centres of pixels can tell; GEOS's areas after make_valid
(methods linework and structure) and buffer(0), of which at least one must be the stated one exactly, unless none of them
is what GDAL fills; and GEOS's isValid, which must be what `strict` says, or be explained by the case's `geos`.

Prints a table: stated area, GDAL's, the three of GEOS (* where it is not what GDAL fills), GEOS's reason.
"""

import json
import math
import pathlib
import re
import sys
import warnings

import numpy
import rasterio.features
import shapely
from affine import Affine
from shapely.geometry import Polygon

FILE = pathlib.Path(__file__).resolve().parent.parent / "testdata" / "invalid-geometries.json"
EXTENT, FINE = 10, 64


def parse(text):
    """Well-known text to (kind, ...), read by hand, because GEOS refuses rings that are not closed."""
    tokens = re.findall(r"[A-Z]+|[-+.\w]+|[(),]", text)
    at = 0

    def take(expected=None):
        nonlocal at
        token = tokens[at]
        assert expected in (None, token), (text, token)
        at += 1
        return token

    def many(item):
        if tokens[at] == "EMPTY":
            take()
            return []
        take("(")
        items = [item()]
        while tokens[at] == ",":
            take()
            items.append(item())
        take(")")
        return items

    position = lambda: (float(take()), float(take()))
    ring = lambda: many(position)

    def geometry():
        kind = take()
        if kind in ("POINT", "LINESTRING"):
            return kind, many(position)
        if kind == "POLYGON":
            return kind, many(ring)
        if kind == "MULTIPOLYGON":
            return kind, many(lambda: ("POLYGON", many(ring)))
        assert kind == "GEOMETRYCOLLECTION", kind
        return kind, many(geometry)

    return geometry()


def polygons(geometry):
    kind, of = geometry
    if kind == "POLYGON":
        return [of] if of else []
    if kind in ("POINT", "LINESTRING"):
        return []
    return [polygon for part in of for polygon in polygons(part)]


def closed(ring):
    return ring if ring[0] == ring[-1] else ring + ring[:1]


def filled(found):
    """The area by GDAL, and by how much it may be off: half a pixel along all outlines."""
    transform = Affine.scale(1 / FINE)
    size = (EXTENT * FINE, EXTENT * FINE)
    total, length = numpy.zeros(size, "uint8"), 0.0
    for rings in found:
        rings = [closed(ring) for ring in rings if ring]
        length += sum(math.dist(a, b) for ring in rings for a, b in zip(ring, ring[1:]))
        # rasterio refuses rings of fewer than 4 points, which cover nothing.
        shell = {"type": "Polygon", "coordinates": [ring for ring in rings if len(ring) > 3]}
        if shell["coordinates"]:
            total |= rasterio.features.rasterize([(shell, 1)], size, transform=transform, dtype="uint8")
    return int(total.sum()) / FINE**2, length / FINE / 2


def geos(found, mend):
    """The area of the union of the polygons, each mended; None when GEOS refuses one."""
    try:
        mended = [mend(as_polygon(rings)) for rings in found]
        areas = [part for geometry in mended for part in shapely.get_parts(geometry) if part.area > 0]
        return shapely.union_all(areas).area if areas else 0.0
    except (ValueError, shapely.errors.GEOSException):
        return None


def as_polygon(rings):
    rings = [closed(ring) for ring in rings if ring]
    return Polygon(rings[0], rings[1:])


def verdict(geometry):
    """Whether GEOS finds it valid, and why not; None when it cannot be asked."""
    kind, of = geometry
    try:
        if kind == "POLYGON":
            if any(ring and ring[0] != ring[-1] for ring in of):
                return None, "not closed"
            found = as_polygon(of) if of else Polygon()
        elif kind == "MULTIPOLYGON":
            found = shapely.MultiPolygon([as_polygon(rings) for _, rings in of])
        elif kind == "GEOMETRYCOLLECTION":
            verdicts = [verdict(part) for part in of]
            bad = [v for v in verdicts if v[0] is not True]
            return bad[0] if bad else (True, "Valid Geometry")
        else:
            return True, "no polygon"
    except ValueError as error:
        return None, str(error)[:40]
    return bool(found.is_valid), shapely.is_valid_reason(found)


def main():
    warnings.simplefilter("ignore")
    problems = []
    cases = json.loads(FILE.read_text())["cases"]
    other_fill = 0
    print(f"{'case':44} {'area':>6} {'GDAL':>9} {'linework':>9} {'structure':>9} {'buffer(0)':>9}  GEOS says")
    for case in cases:
        if "refused" in case:
            continue
        name, geometry = case["name"], parse(case["wkt"])
        found = polygons(geometry)
        gdal, bound = filled(found)
        if abs(gdal - case["area"]) > bound:
            problems.append(f"{name}: GDAL fills {gdal}, stated is {case['area']}")
        mends = [
            lambda p: shapely.make_valid(p, method="linework"),
            lambda p: shapely.make_valid(p, method="structure", keep_collapsed=False),
            lambda p: p.buffer(0),
        ]
        areas = [geos(found, mend) for mend in mends]
        agree = [area is not None and abs(area - gdal) <= bound + 1e-9 for area in areas]
        if any(agree):
            if not all(abs(area - case["area"]) < 1e-9 for area, fits in zip(areas, agree) if fits):
                problems.append(f"{name}: GEOS says {areas}, stated is {case['area']}")
        elif any(area is not None for area in areas):
            other_fill += 1
        valid, reason = verdict(geometry)
        refuses = case["strict"] is not None
        # What cannot be asked of GEOS is invalid.
        if (valid is not True) != refuses and "geos" not in case:
            problems.append(f"{name}: strict says {case['strict']}, GEOS {reason}")
        if "geos" in case and (valid is not True) == refuses:
            problems.append(f"{name}: explains a difference to GEOS that there is not: {reason}")
        cell = lambda area, fits: f"{'-' if area is None else f'{area:g}'}{'' if fits or area is None else '*'}"
        columns = " ".join(f"{cell(area, fits):>9}" for area, fits in zip(areas, agree))
        print(f"{name:44} {case['area']:>6g} {gdal:>9.4f} {columns}  {reason}")
    for problem in problems:
        print(problem)
    print(f"{len(cases)} cases, {len(problems)} problems; in {other_fill} GEOS mends in no way to what GDAL fills")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
