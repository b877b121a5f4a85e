#!/usr/bin/env python3
"""Makes testdata/vector/*.parquet and the answers to them, geoparquet.json.gz.

    make-geoparquet-fixtures.py            write the committed files
    make-geoparquet-fixtures.py --check    make them again, compare the answers with the committed ones

The answers are not cogclip's: properties are what Arrow's C++ reader gives, geometries what shapely makes of its bytes.
Needs pyarrow, geopandas >= 1.0 and shapely >= 2.1.
"""

import argparse
import datetime
import decimal
import gzip
import json
import pathlib
import sys
import tempfile

import geopandas
import pyarrow
import pyarrow.parquet
import pyproj
import shapely

OUT = pathlib.Path(__file__).resolve().parent.parent / "testdata" / "vector"
ROWS = 50


def shapes():
    made = []
    for i in range(ROWS):
        box = shapely.box(i, i / 3, i + 0.7, i / 3 + 0.1)
        made.append([box, shapely.MultiPolygon([box, shapely.box(-5.5, i, -5, i + 1)]), None, shapely.Point(i, 1 / (i + 1)),
                     shapely.from_wkt(f"POLYGON Z ((0 0 1, {i} 0 2, 1 1 3, 0 0 1))")][i % 5 if i % 10 else 0])
    return made


def some(i, value):
    return None if i % 7 == 3 else value


def table():
    """Columns of all types, with nulls, long repetitions and values at the ends of their ranges."""
    day, instant = datetime.date(1969, 12, 30), datetime.datetime(1969, 12, 31, 23, 59, 58, 500_000)
    step = datetime.timedelta(days=400, microseconds=123_457)
    dates = [day + datetime.timedelta(days=397 * (i - 25)) for i in range(ROWS)]
    instants = [instant + (i - 25) * step for i in range(ROWS)]
    a = pyarrow
    columns = {
        "flag": (a.bool_(), [some(i, i % 3 == 0) for i in range(ROWS)]),
        "flags": (a.bool_(), [i > 20 for i in range(ROWS)]),
        "i8": (a.int8(), [some(i, i * 5 - 128) for i in range(ROWS)]),
        "u8": (a.uint8(), [i * 5 for i in range(ROWS)]),
        "i16": (a.int16(), [i * 1000 - 32768 for i in range(ROWS)]),
        "i32": (a.int32(), [some(i, (-1) ** i * (2**31 - 1 - i**3)) for i in range(ROWS)]),
        "u32": (a.uint32(), [2**32 - 1 - i for i in range(ROWS)]),
        "i64": (a.int64(), [(-1) ** i * (2**63 - 1 - i**5) for i in range(ROWS)]),
        "u64": (a.uint64(), [2**63 - 20 + i for i in range(ROWS)]),
        "few": (a.int64(), [some(i, i // 20) for i in range(ROWS)]),
        "f32": (a.float32(), [some(i, i / 3) for i in range(ROWS)]),
        "f64": (a.float64(), [i / 3 * 10.0 ** (i * 6 - 150) for i in range(ROWS)]),
        "text": (a.string(), [some(i, f"ü€😀 {i}" * (i % 4)) for i in range(ROWS)]),
        "word": (a.string(), [["oak", "ash", "elm"][i // 3 % 3] for i in range(ROWS)]),
        "long": (a.large_string(), [some(i, f"prefix that is shared by all of them {i % 13:05}") for i in range(ROWS)]),
        "dec9": (a.decimal128(9, 2), [some(i, decimal.Decimal(i * 77 - 1000) / 100) for i in range(ROWS)]),
        "dec18": (a.decimal128(18, 0), [decimal.Decimal(10) ** 17 - i for i in range(ROWS)]),
        "dec38": (a.decimal128(38, 12), [decimal.Decimal((-3) ** (i + 20)).scaleb(-12) for i in range(ROWS)]),
        "day": (a.date32(), [some(i, dates[i]) for i in range(ROWS)]),
        "time_ms": (a.time32("ms"), [datetime.time(i % 24, i, 59, 1000 * i) for i in range(ROWS)]),
        "time_us": (a.time64("us"), [some(i, datetime.time(23, 59, 59, 999_999 - i)) for i in range(ROWS)]),
        "at_ms": (a.timestamp("ms"), [value.replace(microsecond=value.microsecond // 1000 * 1000) for value in instants]),
        "at_us": (a.timestamp("us", "UTC"), [some(i, instants[i]) for i in range(ROWS)]),
        "at_ns": (a.timestamp("ns"), instants),
        "bytes": (a.binary(), [b"\0\1" for i in range(ROWS)]),
        "fixed": (a.binary(3), [b"abc" for i in range(ROWS)]),
        "list": (a.list_(a.int32()), [[1, 2][: i % 3] for i in range(ROWS)]),
        "struct": (a.struct([("text", a.string()), ("n", a.int32())]), [some(i, {"text": "t", "n": i}) for i in range(ROWS)]),
    }
    geometries = shapes()
    boxes = [None if g is None else dict(zip(["xmin", "ymin", "xmax", "ymax"], g.bounds)) for g in geometries]
    columns["box"] = (a.struct([(side, a.float32()) for side in ["xmin", "ymin", "xmax", "ymax"]]), boxes)
    columns["geometry"] = (a.binary(), [None if g is None else shapely.to_wkb(g, flavor="iso") for g in geometries])
    columns["nothing"] = (a.null(), [None] * ROWS)
    columns["required"] = (a.int32(), list(range(ROWS)))
    fields = [a.field(name, kind, nullable=name not in ("required", "u8")) for name, (kind, _) in columns.items()]
    return a.table([a.array(values, kind) for kind, values in columns.values()], a.schema(fields))


COVERING = {"bbox": {side: ["box", side] for side in ["xmin", "ymin", "xmax", "ymax"]}}
COLUMN = {"encoding": "WKB", "geometry_types": []}


def geo(**more):
    column = {**COLUMN, **more}
    return {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}


def write(path, metadata, rows=table, **options):
    made = rows()
    if metadata is not None:
        made = made.replace_schema_metadata({"geo": json.dumps(metadata)})
    options = {"row_group_size": 20, "write_batch_size": 6, "data_page_size": 64, **options}
    pyarrow.parquet.write_table(made, path, **options)


def thin():
    return table().select(["word", "i32", "geometry", "box"])


def geopandas_file(path, **options):
    frame = geopandas.GeoDataFrame({"n": range(30)}, geometry=[shapely.box(i, -i, i + 1.5, -i + 0.1) for i in range(30)], crs=32633)
    frame.to_parquet(path, index=False, row_group_size=10, **options)


DELTA = {"i32": "DELTA_BINARY_PACKED", "i64": "DELTA_BINARY_PACKED", "u8": "DELTA_BINARY_PACKED", "few": "DELTA_BINARY_PACKED",
         "text": "DELTA_LENGTH_BYTE_ARRAY", "long": "DELTA_BYTE_ARRAY", "word": "DELTA_BYTE_ARRAY", "dec38": "DELTA_BYTE_ARRAY",
         "f32": "BYTE_STREAM_SPLIT", "f64": "BYTE_STREAM_SPLIT", "geometry": "DELTA_BYTE_ARRAY"}
UTM = pyproj.CRS(32633).to_json_dict()

FILES = {
    "snappy-v1-dictionary": lambda p: write(p, geo(crs=UTM), compression="snappy"),
    "zstd-v2-dictionary": lambda p: write(p, geo(crs=None, orientation="counterclockwise"), compression="zstd", data_page_version="2.0"),
    "none-v1-plain": lambda p: write(p, geo(), compression="none", use_dictionary=False),
    "gzip-v2-delta": lambda p: write(p, geo(edges="planar"), compression="gzip", use_dictionary=False, data_page_version="2.0",
                                     column_encoding=DELTA),
    "lz4-v1-mixed": lambda p: write(p, geo(covering=COVERING), compression="lz4", dictionary_pagesize_limit=40),
    "none-v1-int96": lambda p: write(p, geo(), compression="none", use_deprecated_int96_timestamps=True,
                                     rows=lambda: table().select(["at_ns", "geometry"])),
    "zstd-big-pages": lambda p: write(p, geo(), compression="zstd", row_group_size=1000, write_batch_size=1024, data_page_size=2**20,
                                      rows=lambda: pyarrow.concat_tables([thin()] * 6)),
    "empty": lambda p: write(p, geo(), rows=lambda: thin().slice(0, 0)),
    "geopandas-covering": lambda p: geopandas_file(p, write_covering_bbox=True, schema_version="1.1.0"),
    "geopandas-zstd": lambda p: geopandas_file(p, compression="zstd"),
    "refused-brotli": lambda p: write(p, geo(), compression="brotli", rows=thin),
    "refused-plain": lambda p: write(p, None, rows=thin),
    "refused-spherical": lambda p: write(p, geo(edges="spherical"), rows=thin),
    "refused-geoarrow": lambda p: geopandas_file(p, geometry_encoding="geoarrow"),
    "refused-split": lambda p: write(p, geo(), compression="none", rows=lambda: table().select(["dec9", "geometry"]),
                                     use_dictionary=False, column_encoding={"dec9": "BYTE_STREAM_SPLIT"}),
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


def plain(value, kind):
    """A value as JSON has it: dates and times in ISO 8601, a fraction without zeros at its end, decimals and what is beyond 64
    bits as text."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, int):
        return value if value < 2**63 else str(value)
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, (datetime.datetime, datetime.time)):
        zone = "Z" if getattr(kind, "tz", None) else ""
        text = value.replace(tzinfo=None).isoformat()
        return (text.rstrip("0") if "." in text else text) + zone
    return value


def answers(path):
    read = pyarrow.parquet.read_table(path)
    metadata = json.loads(read.schema.metadata[b"geo"])
    fields = [field for field in read.schema if not pyarrow.types.is_nested(field.type) and not pyarrow.types.is_null(field.type)
              and field.type not in (pyarrow.binary(), pyarrow.binary(3))]
    features = []
    rows = read.select([field.name for field in fields])
    values = {field.name: [plain(value, field.type) for value in
                           (rows[field.name].cast(pyarrow.timestamp("us", field.type.tz)) if pyarrow.types.is_timestamp(field.type)
                            else rows[field.name]).to_pylist()] for field in fields}
    for index, wkb in enumerate(read["geometry"].to_pylist()):
        features.append({"fid": index, "properties": [[name, column[index]] for name, column in values.items()],
                         "geometry": shape(None if wkb is None else shapely.from_wkb(wkb))})
    column = metadata["columns"]["geometry"]
    found = {"crs": column.get("crs", "missing"), "features": features}
    if "covering" in column:
        boxes = [[3, 0, 9, 2], [25, -100, 27.5, 100], [100, 100, 200, 200], [-1000, -1000, 1000, 1000], [20.75, -1000, 20.75, 1000]]
        outer = column["covering"]["bbox"]["xmin"][0]
        sides = read[outer].to_pylist()
        touches = lambda box, b: b is not None and not (b["xmin"] > box[2] or b["ymin"] > box[3] or b["xmax"] < box[0] or b["ymax"] < box[1])
        found["boxes"] = [[box, [index for index, b in enumerate(sides) if touches(box, b)]] for box in boxes]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare, do not write")
    check = parser.parse_args().check
    OUT.mkdir(parents=True, exist_ok=True)
    said = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, make in FILES.items():
            path = pathlib.Path(folder) / f"{name}.parquet"
            make(path)
            data = path.read_bytes()
            if not check:
                (OUT / f"{name}.parquet.gz").write_bytes(gzip.compress(data, 9, mtime=0))
            if not name.startswith("refused"):
                said[name] = answers(path)
            print(f"{name}: {len(data)} bytes", file=sys.stderr)
    text = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
    golden = OUT / "geoparquet.json.gz"
    if check:
        same = gzip.decompress(golden.read_bytes()) == text
        print("the same" if same else "the answers differ", file=sys.stderr)
        return 0 if same else 1
    golden.write_bytes(gzip.compress(text, 9, mtime=0))
    return 0


if __name__ == "__main__":
    sys.exit(main())
