#!/usr/bin/env python3
"""Makes testdata/vector/*.gpkg.gz and the answers to them, geopackage.json.gz.

    make-geopackage-fixtures.py            write the committed files
    make-geopackage-fixtures.py --check    make them again, compare the answers with the committed ones

The answers are not cogclip's: features' numbers and geometries are OGR's (pyogrio), properties are what SQLite itself gives
for the columns, and what an R-tree lets pass is what SQLite's R-tree module selects. Needs pyogrio with GDAL >= 3.12 and
shapely >= 2.1.
"""

import argparse
import gzip
import json
import pathlib
import sqlite3
import struct
import sys
import tempfile
import warnings

import geopandas
import pyogrio
import pyproj
import shapely

warnings.simplefilter("ignore")
OUT = pathlib.Path(__file__).resolve().parent.parent / "testdata" / "vector"

TABLES = """
CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT NOT NULL, srs_id INTEGER PRIMARY KEY, organization TEXT NOT NULL,
  organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT);
CREATE TABLE gpkg_contents (table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT UNIQUE,
  description TEXT DEFAULT '', last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE, srs_id INTEGER);
CREATE TABLE gpkg_geometry_columns (table_name TEXT NOT NULL, column_name TEXT NOT NULL, geometry_type_name TEXT NOT NULL,
  srs_id INTEGER NOT NULL, z TINYINT NOT NULL, m TINYINT NOT NULL, CONSTRAINT pk PRIMARY KEY (table_name, column_name));
INSERT INTO gpkg_spatial_ref_sys VALUES ('Undefined Cartesian', -1, 'NONE', -1, 'undefined', NULL),
  ('Undefined geographic', 0, 'NONE', 0, 'undefined', NULL),
  ('WGS 84 geodetic', 4326, 'EPSG', 4326, 'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],'
    || 'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433],AUTHORITY["EPSG","4326"]]', NULL);
"""

# The columns are named and typed so as to be hard to find.
ODD = r'''
CREATE TABLE "odd (one), -- two" ( -- a comment, (
  [the geom] MULTIPOLYGON, /* another, ) */
  `real` DOUBLE NOT NULL DEFAULT 1.5 CHECK ("real" > -1e9 AND ("real" < (1e301))),
  'it''s' TEXT(40) COLLATE NOCASE DEFAULT 'a, (b) '' c',
  "say ""hi""" TEXT,
  flag BOOLEAN,
  day DATE, instant DATETIME,
  photo BLOB,
  "number" MEDIUMINT REFERENCES gpkg_spatial_ref_sys (srs_id) ON DELETE SET DEFAULT,
  large INTEGER,
  key INTEGER CONSTRAINT "not, null" NOT NULL,
  twice INT AS (large * 2) VIRTUAL,
  half REAL GENERATED ALWAYS AS (large / 2.0) STORED,
  plain,
  CONSTRAINT "primary" PRIMARY KEY ("key" AUTOINCREMENT), CHECK (length(`it's`) < 100000)
)
'''

LATER = [
    "later_int INTEGER DEFAULT -7", "later_real DOUBLE DEFAULT 3", "later_text TEXT DEFAULT 'it''s late'",
    "later_flag BOOLEAN DEFAULT TRUE", "later_null TEXT", "later_number TEXT DEFAULT (12)", "later_blob BLOB DEFAULT x'00ff'",
    "later_small REAL DEFAULT -.5e3", "later_whole INTEGER DEFAULT '42'",
]


def blob(geometry, big=False, envelope=0, **flavor):
    """A GeoPackageBinary of SRS 4326."""
    body = shapely.to_wkb(geometry, byte_order=0 if big else 1, flavor="iso", output_dimension=4)
    order = ">" if big else "<"
    box = list(geometry.bounds)
    box = [box[0], box[2], box[1], box[3]] if not geometry.is_empty else []
    numbers = {0: [], 1: box, 2: [*box, 0, 9], 3: [*box, -1, 1], 4: [*box, 0, 9, -1, 1]}[envelope]
    flags = (0 if big else 1) | envelope << 1 | (16 if geometry.is_empty else 0)
    return b"GP" + struct.pack("BB", 0, flags) + struct.pack(f"{order}i{len(numbers)}d", 4326, *numbers) + body


def zigzag(count):
    """A multipolygon whose ring has `count` vertices."""
    half = (count - 1) // 2
    upper = [(i / 8, 1 + i % 3) for i in range(half)]
    lower = [(i / 8, -1 - i % 5) for i in reversed(range(count - 1 - half))]
    return shapely.MultiPolygon([shapely.Polygon(upper + lower)])


def odd(path, page_size=512, encoding="UTF-8", reserved=0, wal=False, vertices=200):
    """One table with everything that is odd about SQLite's records and its CREATE TABLE."""
    if reserved:
        # An empty database of one page: what SQLite keeps of the header is the number of reserved bytes.
        connection = sqlite3.connect(path)
        connection.executescript(f"PRAGMA page_size={page_size}; CREATE TABLE t (a); DROP TABLE t; VACUUM")
        connection.close()
        page = bytearray(path.read_bytes())
        page[20] = reserved
        page[105:107] = struct.pack(">H", page_size - reserved)
        path.write_bytes(page)
    connection = sqlite3.connect(path)
    connection.executescript(f"PRAGMA page_size={page_size}; PRAGMA encoding='{encoding}'; PRAGMA application_id=1196444487;")
    connection.executescript(TABLES + ODD)
    connection.execute("INSERT INTO gpkg_contents (table_name, data_type, identifier, last_change, srs_id) VALUES "
                       "('odd (one), -- two', 'features', 'odd', '2026-01-01T00:00:00.000Z', 4326)")
    connection.execute("INSERT INTO gpkg_geometry_columns VALUES ('odd (one), -- two', 'the geom', 'MULTIPOLYGON', 4326, 2, 2)")
    square = shapely.MultiPolygon([shapely.box(0, 0, 1.1, 1.3)])
    holed = shapely.MultiPolygon([
        shapely.Polygon([(0, 0), (9, 0), (9, 9), (0, 9)], [[(1, 1), (2, 1), (2, 2), (1, 1)], [(3, 3), (4, 3), (4, 4), (3, 3)]]),
        shapely.box(10.25, 10.5, 11 + 1e-15, 12),
    ])
    measured = shapely.from_wkt("MULTIPOLYGON ZM (((0 0 5 1, 1 0 6 2, 1 1 7 3, 0 0 5 1)))")
    high = shapely.from_wkt("MULTIPOLYGON Z (((0 0 5, 1 0 6, 1 1 7, 0 0 5)))")
    rows = [
        # key, geometry, real, it's, say "hi", flag, day, instant, photo, number, large, plain
        (1, blob(square), 2, "short", None, 1, "2026-02-03", "2026-02-03T04:05:06.789Z", None, 3, 2**62, 1),
        (-(2**63), blob(square, big=True, envelope=1), 0.1, "", "ü€😀", 0, None, None, b"\0\1\2", -1, -(2**63), 1.5),
        (-5, None, -2.5, None, "no geometry", None, "2026-12-31", None, b"", 127, 128, "text"),
        (7, blob(holed, envelope=1), 1e300, "x" * 3000, "a long text", 1, None, None, b"\xff" * 700, -128, 32767, None),
        (300, blob(zigzag(vertices), envelope=1), 5e-324, "many vertices", "y" * 475, 1, None, None, None, -32768, 2**31, 0),
        (301, blob(measured, envelope=4), 3, "z and m", "w" * 476, 0, None, None, None, 8388607, 2**47, b"bytes"),
        (302, blob(high, big=True, envelope=2), -0.0, "z", "v" * 477, 0, None, None, None, -8388608, -(2**47), -1),
        (303, blob(shapely.MultiPolygon()), 4, "empty", None, None, None, None, None, 0, 0, 2**40),
        (2**62, blob(square, envelope=3), 1 / 3, "last", None, None, None, None, None, None, None, None),
    ]
    rows += [(1000 + i, blob(square), i, f"to be deleted {i}", None, 1, None, None, None, i, i, i) for i in range(60)]
    insert = 'INSERT INTO "odd (one), -- two" (key, [the geom], "real", [it\'s], "say ""hi""", flag, day, instant, photo, ' \
             "number, large, plain) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)"
    connection.executemany(insert, rows)
    connection.execute('DELETE FROM "odd (one), -- two" WHERE key >= 1000 AND key % 4 != 1 AND key < 2000')
    for column in LATER:
        connection.execute(f'ALTER TABLE "odd (one), -- two" ADD COLUMN {column}')
    connection.execute(insert, (2**62 + 1, blob(square), 6, "later", None, 0, None, None, None, 1, 1, 1))
    connection.execute('UPDATE "odd (one), -- two" SET later_int = 9, later_real = 2, later_null = \'set\' WHERE key = 1001')
    connection.commit()
    if wal:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute('UPDATE "odd (one), -- two" SET flag = 0 WHERE key = 1001')
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    header = path.read_bytes()[:21]
    assert header[20] == reserved and header[18:20] == bytes([2, 2] if wal else [1, 1]), header
    assert int.from_bytes(header[16:18], "big") == page_size % 65535, header


def index(path):
    """1,500 points whose R-tree has three levels of nodes, written by OGR."""
    points = [shapely.Point((i * 37 % 1500) / 7, (i * 101 % 1500) / 11) for i in range(1500)]
    frame = geopandas.GeoDataFrame({"n": range(1500)}, geometry=points, crs="EPSG:32633")
    frame.to_file(path, layer="points", driver="GPKG", layer_options={"SPATIAL_INDEX": "YES"})
    shrink(path, 512)
    connection = sqlite3.connect(path)
    # SQLite sizes its nodes for the pages that it finds: made anew, they hold 18 entries.
    rows = connection.execute("SELECT * FROM rtree_points_geom").fetchall()
    triggers = [sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master WHERE type='trigger' AND name LIKE 'rtree%'")]
    connection.execute("DROP TABLE rtree_points_geom")
    connection.execute('CREATE VIRTUAL TABLE "rtree_points_geom" USING rtree(id, minx, maxx, miny, maxy)')
    connection.executemany("INSERT INTO rtree_points_geom VALUES (?,?,?,?,?)", rows)
    depth = connection.execute("SELECT data FROM rtree_points_geom_node WHERE nodeno=1").fetchone()[0][:2]
    assert depth == b"\0\2" and triggers, depth
    connection.commit()
    connection.close()
    shrink(path, 512)


def layers(path):
    """Layers in several CRSs, written by OGR."""
    frame = geopandas.GeoDataFrame({"name": ["a", "b"], "area": [1.0, None]}, geometry=[shapely.box(0, 0, 1, 1), shapely.box(2, 2, 3, 3)])
    laea = "+proj=laea +lat_0=10 +lon_0=3 +x_0=1 +ellps=bessel"
    for layer, crs in [("utm", "EPSG:32633"), ("none", None), ("mollweide", "ESRI:54009"), ("custom", laea)]:
        (frame.set_crs(crs) if crs else frame).to_file(path, layer=layer, driver="GPKG", layer_options={"SPATIAL_INDEX": "NO"})
    attributes = geopandas.pd.DataFrame({"a": [1]})
    pyogrio.write_dataframe(attributes, path, layer="attributes", driver="GPKG", append=True)
    connection = sqlite3.connect(path)
    connection.executescript("CREATE VIEW seen AS SELECT * FROM utm; INSERT INTO gpkg_contents (table_name, data_type, identifier, "
                             "srs_id) VALUES ('seen', 'features', 'seen', 32633); INSERT INTO gpkg_geometry_columns VALUES "
                             "('seen', 'geom', 'POLYGON', 32633, 0, 0)")
    connection.close()
    shrink(path, 512)


def wkt2(path):
    """A system of no authority in WKT of 2015, beside that of 2001."""
    frame = geopandas.GeoDataFrame({"n": [1]}, geometry=[shapely.box(0, 0, 1, 1)], crs="+proj=laea +lat_0=10 +lon_0=3 +ellps=bessel")
    frame.to_file(path, layer="later", driver="GPKG", dataset_options={"CRS_WKT_EXTENSION": "YES"}, layer_options={"SPATIAL_INDEX": "NO"})
    shrink(path, 512)


def system(connection, path, layer):
    """OGR's name of the layer's CRS if it is a code, else the definition that the file has: of two the later."""
    crs = pyogrio.read_info(path, layer=layer)["crs"]
    if crs is None or crs.startswith("EPSG:"):
        return crs
    columns = [row[1] for row in connection.execute("PRAGMA table_info(gpkg_spatial_ref_sys)")]
    column = "definition_12_063" if "definition_12_063" in columns else "definition"
    ((definition,),) = connection.execute(
        f"SELECT {column} FROM gpkg_spatial_ref_sys JOIN gpkg_geometry_columns USING (srs_id) WHERE table_name=?", [layer])
    assert pyproj.CRS(definition) == pyproj.CRS(crs), (definition, crs)
    return definition


def lengths(path):
    """Records of all lengths around those at which SQLite moves a part to overflow pages: row n holds n letters."""
    connection = sqlite3.connect(path)
    connection.executescript("PRAGMA page_size=512; CREATE TABLE t (n INTEGER PRIMARY KEY, a TEXT)")
    spans = [range(465, 485), range(500, 520), range(880, 1020, 7), range(970, 1000), range(1480, 1520)]
    connection.executemany("INSERT INTO t VALUES (?, ?)", [(n, "x" * n) for n in sorted(set().union(*spans))])
    connection.commit()
    connection.close()


def refused(path, what):
    """Small files that are refused."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA page_size=512")
    if what == "spatialite":
        connection.executescript("CREATE TABLE spatial_ref_sys (srid INTEGER); CREATE TABLE geometry_columns (f_table_name TEXT)")
    elif what == "plain":
        connection.executescript("CREATE TABLE t (a)")
    else:
        connection.executescript(TABLES)
        if what == "tiles":
            connection.execute("INSERT INTO gpkg_contents (table_name, data_type, last_change, srs_id) VALUES ('t', 'tiles', '', 4326)")
        else:
            connection.execute("INSERT INTO gpkg_contents (table_name, data_type, last_change, srs_id) VALUES ('t', 'features', '', 4326)")
            connection.execute("INSERT INTO gpkg_geometry_columns VALUES ('t', 'g', 'GEOMETRY', 4326, 2, 2)")
            keys = "i TEXT PRIMARY KEY, g BLOB) WITHOUT ROWID" if what == "without-rowid" else "i INTEGER PRIMARY KEY, g BLOB)"
            connection.execute(f"CREATE TABLE t ({keys}")
            point = blob(shapely.Point(1, 2))
            bad = {
                "extended": point[:3] + b"\x21" + point[4:8] + b"CURV" + point[8:],
                "version": point[:2] + b"\x07" + point[3:],
                "envelope": point[:3] + b"\x0b" + point[4:],
                "wkb": point[8:],
                "curve": point[:8] + bytes.fromhex("010800000000000000"),
            }
            if what in bad:
                connection.execute("INSERT INTO t VALUES (5, ?)", [bad[what]])
    connection.commit()
    connection.close()


def shrink(path, page_size):
    connection = sqlite3.connect(path)
    connection.executescript(f"PRAGMA journal_mode=DELETE; PRAGMA page_size={page_size}; "
                             "UPDATE gpkg_contents SET last_change='2026-01-01T00:00:00.000Z'; VACUUM")
    connection.close()
    # How often OGR committed depends on its clock; the two counts need only be the same.
    data = bytearray(path.read_bytes())
    data[24:28] = data[92:96] = b"\0\0\0\1"
    path.write_bytes(data)


FILES = {
    "odd-512": lambda path: odd(path, vertices=5000),
    "odd-1024-reserved-32": lambda path: odd(path, page_size=1024, reserved=32),
    "odd-4096-wal": lambda path: odd(path, page_size=4096, wal=True),
    "odd-65536": lambda path: odd(path, page_size=65536),
    "odd-1024-utf16le": lambda path: odd(path, page_size=1024, encoding="UTF-16le"),
    "odd-512-utf16be": lambda path: odd(path, page_size=512, encoding="UTF-16be"),
    "index-512": index,
    "layers": layers,
    "layers-wkt2": wkt2,
    "lengths-512": lengths,
    **{f"refused-{what}": lambda path, what=what: refused(path, what)
       for what in ["plain", "spatialite", "tiles", "without-rowid", "extended", "version", "envelope", "wkb", "curve"]},
}


def shape(geometry):
    """A geometry in cogclip's few words, in two dimensions."""
    if geometry is None or geometry.is_empty:
        return {"collection": []}
    line = lambda g: [[x, y] for x, y in shapely.get_coordinates(g).tolist()]
    kind = geometry.geom_type
    if kind == "Point":
        return {"point": line(geometry)[0]}
    if kind == "LineString":
        return {"line": line(geometry)}
    if kind == "Polygon":
        return {"polygon": [line(ring) for ring in [geometry.exterior, *geometry.interiors]]}
    return {"collection": [shape(part) for part in geometry.geoms]}


def answers(path):
    found = {}
    connection = sqlite3.connect(path)
    for (layer,) in connection.execute("SELECT table_name FROM gpkg_contents WHERE data_type = 'features' ORDER BY rowid").fetchall():
        if connection.execute("SELECT type FROM sqlite_master WHERE name=?", [layer]).fetchone() != ("table",):
            continue
        ((geometry,),) = connection.execute("SELECT column_name FROM gpkg_geometry_columns WHERE table_name=?", [layer])
        quoted = '"' + layer.replace('"', '""') + '"'
        columns = [(row[1], row[2], row[5]) for row in connection.execute(f"PRAGMA table_xinfo({quoted})") if row[6] != 2]
        columns = [(name, kind) for name, kind, key in columns if name != geometry and not key and kind != "BLOB"]
        names = ", ".join('"' + name.replace('"', '""') + '"' for name, _ in columns)
        fids, wkb = pyogrio.raw.read(path, layer=layer, return_fids=True, columns=[])[1:3]
        rows = connection.execute(f"SELECT rowid, {names} FROM {quoted} ORDER BY rowid").fetchall()
        assert [row[0] for row in rows] == list(fids), (layer, fids)
        features = []
        for row, body in zip(rows, wkb, strict=True):
            properties = [[name, bool(value) if kind == "BOOLEAN" and value is not None else value]
                          for (name, kind), value in zip(columns, row[1:], strict=True) if not isinstance(value, bytes)]
            features.append({"fid": row[0], "properties": properties,
                             "geometry": shape(shapely.from_wkb(body) if body is not None else None)})
        found[layer] = {"crs": system(connection, path, layer), "features": features}
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name=?", [f"rtree_{layer}_{geometry}"]).fetchone():
            boxes = [[20, 30, 40, 35.5], [-5, -5, 0, 0], [1000, 1000, 2000, 2000], [0, 0, 1000, 1000], [100 / 7, 0, 100 / 7, 200]]
            found[layer]["boxes"] = [[box, [i for (i,) in connection.execute(
                f'SELECT id FROM "rtree_{layer}_{geometry}" WHERE maxx >= ? AND minx <= ? AND maxy >= ? AND miny <= ? ORDER BY id',
                [box[0], box[2], box[1], box[3]])]] for box in boxes]
    connection.close()
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare, do not write")
    check = parser.parse_args().check
    OUT.mkdir(parents=True, exist_ok=True)
    said = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, make in FILES.items():
            path = pathlib.Path(folder) / f"{name}.gpkg"
            make(path)
            data = path.read_bytes()
            if not check:
                (OUT / f"{name}.gpkg.gz").write_bytes(gzip.compress(data, 9, mtime=0))
            if not name.startswith(("refused", "lengths")):
                said[name] = answers(path)
            print(f"{name}: {len(data)} bytes", file=sys.stderr)
    text = json.dumps(said, ensure_ascii=False, indent=None, separators=(",", ":")).encode()
    golden = OUT / "geopackage.json.gz"
    if check:
        same = gzip.decompress(golden.read_bytes()) == text
        print("the same" if same else "the answers differ", file=sys.stderr)
        return 0 if same else 1
    golden.write_bytes(gzip.compress(text, 9, mtime=0))
    return 0


if __name__ == "__main__":
    sys.exit(main())
