#!/usr/bin/env python3
"""Makes testdata/shift-grid.gsb, shift-grid-be.gsb and shift-grid.tsv: an NTv2 grid that is not about any place on earth,
with a sub-grid in a grid and another grid beside them, and PROJ's hgridshift at random points, there and back. Needs pyproj.
"""
import math
import random
import struct
from pathlib import Path

import pyproj

ROOT = Path(__file__).resolve().parent.parent / "testdata"


def record(key, value, order):
    if isinstance(value, str):
        data = value.encode().ljust(8)
    elif isinstance(value, int):
        data = struct.pack(order + "i4x", value)
    else:
        data = struct.pack(order + "d", value)
    return key.encode().ljust(8) + data


def grid(order, name, parent, south, north, west, east, step, bend):
    """Bounds in degrees, west and east positive east; NTv2 counts longitudes to the west."""
    rows, columns = round((north - south) / step) + 1, round((east - west) / step) + 1
    data = record("SUB_NAME", name, order) + record("PARENT", parent, order)
    data += record("CREATED", "20260101", order) + record("UPDATED", "20260101", order)
    for key, value in (("S_LAT", south), ("N_LAT", north), ("E_LONG", -east), ("W_LONG", -west),
                       ("LAT_INC", step), ("LONG_INC", step)):
        data += record(key, value * 3600.0, order)
    data += record("GS_COUNT", rows * columns, order)
    for row in range(rows):
        for column in range(columns):
            lat, lon = south + row * step, east - column * step
            shift = (4.0 + bend * math.sin(lat) + 0.3 * (lon + 100), -7.0 + bend * math.cos(lon) - 0.2 * (lat - 50))
            data += struct.pack(order + "4f", *shift, 0.25, 0.5)
    return data


def gsb(order):
    data = b"".join(record(key, value, order) for key, value in (
        ("NUM_OREC", 11), ("NUM_SREC", 11), ("NUM_FILE", 3), ("GS_TYPE", "SECONDS"), ("VERSION", "TEST"),
        ("SYSTEM_F", "NAD27"), ("SYSTEM_T", "NAD83"), ("MAJOR_F", 6378206.4), ("MINOR_F", 6356583.8),
        ("MAJOR_T", 6378137.0), ("MINOR_T", 6356752.314)))
    data += grid(order, "PARENT", "NONE", 50.0, 54.0, -104.0, -98.0, 0.5, 0.5)
    data += grid(order, "CHILD", "PARENT", 51.0, 52.0, -102.0, -101.0, 0.25, 2.0)
    data += grid(order, "BESIDE", "NONE", 56.0, 57.0, -104.0, -103.0, 0.25, 1.0)
    return data + record("END", 0.0, order)


def main():
    path = ROOT / "shift-grid.gsb"
    path.write_bytes(gsb("<"))
    (ROOT / "shift-grid-be.gsb").write_bytes(gsb(">"))
    pipeline = pyproj.Transformer.from_pipeline(
        "+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad "
        f"+step +proj=hgridshift +grids={path} +step +proj=unitconvert +xy_in=rad +xy_out=deg"
    )
    random.seed(2)
    lines = [f"# Longitude, latitude, PROJ {pyproj.proj_version_str}'s hgridshift of them, and its inverse of them\n"]
    boxes = [(50.05, 53.95, -103.95, -98.05)] * 60 + [(51.01, 51.99, -101.99, -101.01)] * 40 + [
        (56.01, 56.99, -103.99, -103.01)] * 20
    for south, north, west, east in boxes:
        place = random.uniform(west, east), random.uniform(south, north)
        there = pipeline.transform(*place)
        back = pipeline.transform(*place, direction="INVERSE")
        assert all(map(math.isfinite, (*there, *back))), place
        lines.append("\t".join(map(repr, (*place, *there, *back))) + "\n")
    (ROOT / "shift-grid.tsv").write_text("".join(lines))


if __name__ == "__main__":
    main()
