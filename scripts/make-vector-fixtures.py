#!/usr/bin/env python3
"""Makes testdata/vector/: small files of features, and what OGR reads in each.

Needs pyogrio, pyarrow, shapely and numpy. Nothing is random.

The files come from OGR (through pyogrio), but for those that OGR would not write: they are put together here, byte by
byte, after ESRI's and dBase's descriptions. NAME.json beside a file is OGR's own reading: a list of
    {"fid": n, "properties": {name: value, ...}, "wkt": "..." or null}
in two dimensions, every number with as many digits as it takes to be read back as the same double. Dates are text. A file
that OGR needs other settings for has them in `read` below.
"""

import json
import pathlib
import shutil
import struct
import tempfile
import zipfile

import numpy as np
import pyarrow as pa
import pyogrio
import shapely
from shapely import wkt

# The driver's own way to Arrow fails on features without a geometry.
pyogrio.set_gdal_config_options({"OGR_FLATGEOBUF_STREAM_BASE_IMPL": "YES"})
OUT = pathlib.Path(__file__).resolve().parent.parent / "testdata" / "vector"


def text(g):
    """WKT in two dimensions; Python prints the shortest digits that are the same double."""
    points = lambda a: "(" + ", ".join(f"{x!r} {y!r}" for x, y in shapely.get_coordinates(a).tolist()) + ")"
    rings = lambda p: "(" + ", ".join(points(r) for r in [p.exterior, *p.interiors]) + ")"
    if g.is_empty:
        return g.geom_type.upper() + " EMPTY"
    match g.geom_type:
        case "Point" | "LineString":
            return g.geom_type.upper() + points(g)
        case "Polygon":
            return "POLYGON" + rings(g)
        case "MultiPoint" | "MultiLineString":
            return g.geom_type.upper() + "(" + ", ".join(map(points, g.geoms)) + ")"
        case "MultiPolygon":
            return "MULTIPOLYGON(" + ", ".join(map(rings, g.geoms)) + ")"
        case _:
            return "GEOMETRYCOLLECTION(" + ", ".join(map(text, g.geoms)) + ")"


def read(path, name=None, **options):
    """OGR's reading of a file, as NAME.json."""
    meta, table = pyogrio.read_arrow(path, return_fids=True, **options)
    geometry = meta["geometry_name"] or "wkb_geometry"
    table = table.drop([f.name for f in table.schema if pa.types.is_binary(f.type) and f.name != geometry])
    rows = []
    for row in table.to_pylist():
        wkb = row.pop(geometry, None)
        fid = row.pop(meta.get("fid_column") or "OGC_FID", None)
        values = {}
        for key, value in row.items():
            values[key] = value.isoformat() if hasattr(value, "isoformat") else value
        rows.append({"fid": fid, "properties": values, "wkt": None if wkb is None else text(shapely.from_wkb(wkb))})
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (OUT / f"{name or path.name}.json").write_text(f"[\n{lines}\n]\n")


def write(path, geometries, fields, crs="EPSG:32633", geometry_type="Unknown", **options):
    wkbs = shapely.to_wkb(np.array([None if g is None else wkt.loads(g) for g in geometries]), output_dimension=3)
    table = pa.table({"geometry": pa.array(wkbs.tolist(), pa.binary()), **fields})
    pyogrio.write_arrow(table, path, geometry_name="geometry", geometry_type=geometry_type, crs=crs, **options)


POLYGONS = [
    # Clockwise and not, holes, parts, an island in a lake
    "MULTIPOLYGON(((500000.1 5000000.2, 500100.3 5000000.2, 500100.3 5000100.7, 500000.1 5000100.7, 500000.1 5000000.2),"
    "(500010 5000010, 500010 5000090, 500090 5000090, 500090 5000010, 500010 5000010)),"
    "((500020 5000020, 500030 5000020, 500030 5000030, 500020 5000020)),"
    "((500200 5000000, 500300 5000000, 500300 5000100, 500200 5000000),(500280 5000020, 500290 5000030, 500290 5000020, 500280 5000020)))",
    "POLYGON((0.1 0.2, 10 0, 10 10, 0 10, 0.1 0.2))",
    None,
    # Holes that touch their outer ring in a point
    "POLYGON((0 0, 10 0, 10 10, 0 10, 0 0),(0 0, 4 2, 2 4, 0 0),(10 10, 8 6, 6 8, 10 10))",
]
FIELDS = {
    "name": pa.array(["Größe", "æøå", None, "plain"]),
    "whole": pa.array([1, -2147483648, None, 7], pa.int32()),
    "long": pa.array([9007199254740993, -1, None, 0], pa.int64()),
    "real": pa.array([0.1, -1.5e-7, None, 123456.789], pa.float64()),
    "day": pa.array([0, 19783, None, -1], pa.date32()),
    "yes": pa.array([True, False, None, True]),
}


def shapefile(stem, geometries, fields, kind, crs="EPSG:32633", drop=(".cpg",), **options):
    """A shapefile by OGR; its .cpg stays only where it is asked for."""
    path = OUT / f"{stem}.shp"
    write(path, geometries, fields, crs=crs, geometry_type=kind, driver="ESRI Shapefile", **options)
    read(path)
    for ending in drop:
        path.with_suffix(ending).unlink(missing_ok=True)
    # The day of writing
    with open(path.with_suffix(".dbf"), "r+b") as dbf:
        dbf.seek(1)
        dbf.write(bytes([124, 2, 29]))


def record(kind, parts):
    """A polygon's or polyline's record, with heights of 9 and measures of 7 as its type has."""
    points = [p for part in parts for p in part]
    starts = np.cumsum([0] + [len(part) for part in parts])[:-1].tolist()
    flat = [v for p in points for v in p]
    box = [min(flat[::2]), min(flat[1::2]), max(flat[::2]), max(flat[1::2])]
    content = struct.pack("<I4d2I", kind, *box, len(parts), len(points))
    content += struct.pack(f"<{len(starts)}I", *starts) + struct.pack(f"<{len(flat)}d", *flat)
    for value, kinds in ((9.0, (13, 15)), (7.0, (13, 15, 23, 25))):
        if kind in kinds:
            content += struct.pack(f"<{2 + len(points)}d", *[value] * (2 + len(points)))
    return content


def by_hand(stem, kind, records, deleted=(), gap=b""):
    """A .shp, .shx and .dbf put together here; `gap` stands between the records, where only the .shx tells them apart."""
    head = lambda size: struct.pack(">I20xI", 9994, size // 2) + struct.pack("<II8d", 1000, kind, *[0.0] * 8)
    shp, shx = b"", b""
    for number, content in enumerate(records, 1):
        shx += struct.pack(">II", (100 + len(shp)) // 2, len(content) // 2)
        shp += struct.pack(">II", number, len(content) // 2) + content + gap
    path = OUT / f"{stem}.shp"
    path.write_bytes(head(100 + len(shp)) + shp)
    path.with_suffix(".shx").write_bytes(head(100 + len(shx)) + shx)
    rows = b"".join((b"*" if n in deleted else b" ") + b"%4d" % n for n in range(len(records)))
    dbf = struct.pack("<B3BIHH20x", 3, 124, 2, 29, len(records), 65, 5)
    dbf += struct.pack("<11sc4xBB14x", b"n", b"N", 4, 0) + b"\r" + rows + b"\x1a"
    path.with_suffix(".dbf").write_bytes(dbf)
    read(path)


def square(x, y, size, clockwise=True):
    ring = [(x, y), (x, y + size), (x + size, y + size), (x + size, y), (x, y)]
    return ring if clockwise else ring[::-1]


def shapefiles():
    shapefile("polygons", POLYGONS, FIELDS, "Polygon", drop=())
    shapefile("latin1", POLYGONS[1:2], {"größe": pa.array(["Straße æ"])}, "Polygon", crs=None, ENCODING="ISO-8859-1")
    shapefile("cp1252", POLYGONS[1:2], {"größe": pa.array(["Straße €"])}, "Polygon", crs=None, ENCODING="CP1252")
    shapefile("cp1251", POLYGONS[1:2], {"имя": pa.array(["Лена"])}, "Polygon", crs=None, drop=(), ENCODING="CP1251")
    ids = lambda n: {"n": pa.array(range(n), pa.int32())}
    shapefile("points-z", ["POINT Z (1.5 2.5 3)", None, "POINT Z (-1e-7 1e20 0)"], ids(3), "Point Z", crs=None)
    lines = ["LINESTRING (0 0, 1 1, 2 0)", "MULTILINESTRING ((0 0, 1 1), (5 5, 6 6, 7 5.5))", None]
    shapefile("lines", lines, ids(3), "LineString", crs=None)
    shapefile("multipoints", ["MULTIPOINT (1 2, 3 4)", "MULTIPOINT (5 6)"], ids(2), "MultiPoint", crs=None)
    # Rings in a wrong direction or order, and what the rule leaves open
    hole, island = square(2, 2, 4, False), square(3, 3, 1)
    winding = [
        [square(0, 0, 10, False)],
        [square(0, 0, 10, False), square(2, 2, 4)],
        [square(0, 0, 10, False), square(1, 1, 2), square(5, 5, 2)],
        [square(0, 0, 10), square(2, 2, 4)],
        [square(0, 0, 10, False), hole],
        [square(0, 0, 10), square(20, 0, 5, False)],
        [square(0, 0, 10), square(5, 5, 10, False)],
        [hole, square(0, 0, 10), island],
        [island, hole, square(0, 0, 10), square(20, 20, 3), square(21, 21, 1, False)],
        [square(0, 0, 10), square(20, 0, 10), square(22, 2, 1, False), square(2, 2, 1, False), square(40, 0, 1, False)],
        [square(0, 0, 10), square(0, 0, 10, False)],
        [square(0, 0, 10), square(0, 0, 5, False), square(5, 5, 5, False), square(20, 0, 5)],
        [square(0, 0, 100), square(10, 10, 50), square(20, 20, 5, False), square(90, 90, 20, False)],
        [square(0, 0, 10), square(0, 20, 8, False), square(1, 21, 4, False), square(2, 22, 1, False)],
    ]
    by_hand("winding", 5, [record(5, parts) for parts in winding])
    by_hand("winding-z", 15, [record(15, parts) for parts in winding])
    by_hand("measured", 25, [record(25, winding[7]), struct.pack("<I", 0)])
    by_hand("lines-z", 13, [record(13, [[(0, 0), (1, 1)], [(2, 2), (3, 3)]])])
    by_hand("deleted-and-gaps", 5, [record(5, [square(n, 0, 1)]) for n in range(5)], {1, 4}, gap=b"\xff" * 10)


def pack(name, entries, **options):
    with zipfile.ZipFile(OUT / name, "w", **options) as archive:
        for entry, source in entries:
            info = zipfile.ZipInfo(entry, (2024, 2, 29, 0, 0, 0))
            info.compress_type = options.get("compression", zipfile.ZIP_STORED)
            archive.writestr(info, (OUT / source).read_bytes())


def zip64(name, source):
    """The archive again, with every offset, size and count where zip64 has them (APPNOTE.TXT 4.3.14, 4.5.3)."""
    with zipfile.ZipFile(OUT / source) as archive:
        infos, start = archive.infolist(), archive.start_dir
    data, directory = (OUT / source).read_bytes()[:start], b""
    for i in infos:
        path = i.filename.encode()
        extra = struct.pack("<HH3Q", 1, 24, i.file_size, i.compress_size, i.header_offset)
        fields = (45, 45, i.flag_bits, i.compress_type, 0, 22621, i.CRC, 2**32 - 1, 2**32 - 1, len(path), len(extra))
        directory += struct.pack("<4s6H3I5H2I", b"PK\1\2", *fields, 0, 0, 0, 0, 2**32 - 1) + path + extra
    at = len(data) + len(directory)
    end = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, len(infos), len(infos), len(directory), len(data))
    end += struct.pack("<4sIQI", b"PK\6\7", 0, at, 1)
    end += struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 65535, 65535, 2**32 - 1, 2**32 - 1, 0)
    (OUT / name).write_bytes(data + directory + end)
    with zipfile.ZipFile(OUT / name) as archive:
        assert archive.testzip() is None and len(archive.infolist()) == len(infos)


def zips():
    part = [".shp", ".shx", ".dbf", ".prj", ".cpg"]
    polygons = [(f"data/Größe{e}", f"polygons{e}") for e in part]
    pack("polygons.zip", [("data/readme.txt", "polygons.cpg")] + polygons, compression=zipfile.ZIP_DEFLATED)
    zip64("zip64.zip", "polygons.zip")
    pack("two.zip", [(f"{n}{e.upper()}", f"{n}{e}") for n in ("lines", "winding") for e in part[:3]])


def flatgeobufs():
    def fgb(name, *args, **options):
        write(OUT / name, *args, driver="FlatGeobuf", **options)
        read(OUT / name)

    more = {
        "größe": pa.array(["Größe", "", None, "x" * 300]),
        "i16": pa.array([-32768, 32767, None, 0], pa.int16()),
        "i32": pa.array([1, -2147483648, None, 7], pa.int32()),
        "i64": FIELDS["long"],
        "f32": pa.array([0.1, 1e38, None, 2.5], pa.float32()),
        "f64": FIELDS["real"],
        "yes": FIELDS["yes"],
        "day": FIELDS["day"],
        "bytes": pa.array([b"1", b"", None, b"2"], pa.binary()),
    }
    multi = [g and (f"MULTI{g[:7]}({g[7:]})" if g.startswith("POLYGON") else g) for g in POLYGONS]
    fgb("polygons.fgb", multi, more, geometry_type="MultiPolygon", SPATIAL_INDEX="NO", layer="parcels")
    whole = {k: v.take(pa.array([0, 1, 3])) for k, v in FIELDS.items()}
    fgb("indexed.fgb", [g for g in multi if g], whole, geometry_type="MultiPolygon")
    fgb("one.fgb", POLYGONS[1:2], {"n": pa.array([1])}, crs="ESRI:54009", geometry_type="Polygon")
    mixed = [
        "POINT Z (1 2 3)", "LINESTRING (0 0, 1 1)", POLYGONS[3], "MULTIPOINT (1 2, 3 4)",
        "MULTILINESTRING ((0 0, 1 1), (5 5, 6 6, 7 5.5))", POLYGONS[0],
        "GEOMETRYCOLLECTION (POINT (1 2), GEOMETRYCOLLECTION (LINESTRING (0 0, 1 1)), POLYGON ((0 0, 1 0, 0 1, 0 0)))",
    ]  # fmt: skip
    fgb("mixed.fgb", mixed, {"n": pa.array(range(len(mixed)))}, crs=None, SPATIAL_INDEX="NO")
    # WKB by hand, as GEOS has none of these: OGC 06-103r4 table 4
    kind = lambda k, count: struct.pack("<BII", 1, k, count)
    arc = struct.pack("<6d", 0, 0, 1, 1, 2, 0)
    ring = struct.pack("<II8d", 1, 4, 0, 0, 1, 0, 0, 1, 0, 0)
    surfaces = [kind(k, 2) + 2 * (kind(part, 1) + ring[4:]) for k, part in ((15, 3), (16, 17), (12, 3))]
    curves = [kind(8, 3) + arc, kind(10, 1) + kind(8, 3) + arc, kind(9, 1) + kind(8, 3) + arc]
    for name, wkbs in (("surfaces.fgb", surfaces), ("curves.fgb", curves)):
        table = pa.table({"geometry": pa.array(wkbs, pa.binary()), "n": pa.array(range(3))})
        options = dict(geometry_name="geometry", geometry_type="Unknown", crs=None, SPATIAL_INDEX="NO")
        pyogrio.write_arrow(table, OUT / name, driver="FlatGeobuf", **options)
    points = [f"POINT ({x} {y})" for y in range(6) for x in range(7)]
    fgb("grid.fgb", points, {"n": pa.array(range(len(points)), pa.int32())}, geometry_type="Point")
    read(OUT / "grid.fgb", "grid-box.fgb", bbox=(0.5, 1.5, 3, 3.5))


def geojsons():
    # Doubles hold no such long numbers, and a day is text that OGR writes in more than one way.
    fields = {k: v for k, v in FIELDS.items() if k not in ("long", "day")}
    for name, crs, options in (
        ("polygons.geojson", "EPSG:32633", {"driver": "GeoJSON"}),
        ("polygons.geojsonl", "EPSG:4326", {"driver": "GeoJSONSeq"}),
        ("polygons.geojsons", "EPSG:4326", {"driver": "GeoJSONSeq", "RS": "YES"}),
    ):
        write(OUT / name, POLYGONS, fields, crs=crs, SIGNIFICANT_FIGURES=17, **options)
        read(OUT / name)
    feature = lambda g, **more: {"type": "Feature", "properties": {}, "geometry": g and shapely.geometry.mapping(wkt.loads(g)), **more}
    features = [
        feature("POINT (1 2)", id=7, properties={"nested": {"a": [1, None, "ä"]}, "list": [1, 2.5, "x"], "b": True}),
        feature("LINESTRING (0.1 0.2, 1e-9 -179.99999999999997)", id=3, properties={"b": None, "t": "\u00fc\n\"\\"}),
        feature(None, id=9),
        feature("MULTIPOINT (1 2, 3 4)", id=2, properties={"n": 5}),
        feature("MULTILINESTRING ((0 0, 1 1), (5 5, 6 6))", id=11),
        feature("GEOMETRYCOLLECTION (POINT (1 2), POLYGON ((0 0, 1 0, 0 1, 0 0)))", id=5),
    ]
    collection = {"features": features, "name": "mixed", "type": "FeatureCollection"}
    (OUT / "mixed.geojson").write_text(json.dumps(collection, indent=1, ensure_ascii=False))
    read(OUT / "mixed.geojson")


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    shapefiles()
    zips()
    flatgeobufs()
    geojsons()


if __name__ == "__main__":
    main()
