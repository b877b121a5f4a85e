#!/usr/bin/env python3
"""Makes src/geo/epsg.tsv.gz and testdata/projected-points.tsv.gz from PROJ's database. Needs pyproj.

    scripts/make-epsg.py            writes both
    scripts/make-epsg.py --check    fails if they are not what it would write

The table holds the EPSG projected and geographic 2D CRSs for which all of this is true, by PROJ's own computation:
- the PROJ string loses nothing: projecting by it and by the EPSG definition agrees;
- PROJ takes WGS 84 to the CRS's datum without a shift (so NAD27, OSGB36, DHDN and many more are not in it);
- the datum is on the ellipsoid of WGS 84 or GRS 80, or the string is web Mercator's sphere.
Two datums that are both taken to WGS 84 without a shift may still lie apart (GDA94 and GDA2020: 1.8 m). Lines that
start with = are pairs of base CRSs between which PROJ applies no shift either; other pairs are refused.
Codes in NOT_LIKE_PROJ are left out because proj4rs does not project them as PROJ does; the unit tests of src/geo
compare every code of the table with PROJ's points.
"""
import gzip
import re
import sys
import warnings
from pathlib import Path

import pyproj
import pyproj.database
from pyproj.enums import PJType

warnings.simplefilter("ignore")
pyproj.network.set_network_enabled(False)

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "src/geo/epsg.tsv.gz"
POINTS = ROOT / "testdata/projected-points.tsv.gz"

# Metres, and degrees of about the same length: what PROJ's own two ways to the same place may differ by.
METRES, DEGREES = 1e-6, 1e-11
# Projections that proj4rs lacks or gets wrong.
PROJECTIONS_NOT_IN_PROJ4RS = {"col_urban"}
NOT_LIKE_PROJ = {
    3973, 3974, 3975,  # +R_A
    4087, 32662, 32663,  # +proj=eqc on the ellipsoid, which proj4rs takes for a sphere: 20 km
}
# ETRS89 and NAD83: the datums, besides WGS 84, that cutlines come in.
HUBS = (4258, 4269)
# Where in its area of use a CRS is looked at, from west to east and from south to north.
SHARES = (0.5, 0.5), (0.1, 0.15), (0.85, 0.9), (0.2, 0.7)


def clean(text):
    return re.sub(r" \+(no_defs|type=crs|wktext)\b", "", text)


def points(area):
    west, south, east, north = area.west, area.south, area.east, area.north
    if east < west:
        east += 360
    # Mercator's plane and the poles themselves are a domain's edge.
    south, north = max(south, -85), min(north, 85)
    for x, y in SHARES:
        lon = west + x * (east - west)
        yield (round(lon - 360 if lon > 180 else lon, 6), round(south + y * (north - south), 6))


def differ(a, b, tolerance):
    return not all(abs(p - q) <= tolerance for p, q in zip(a, b))


def metres_per_unit(text):
    return {"ft": 0.3048, "us-ft": 0.3048006}.get((re.search(r"\+units=([\w-]+)", text) or [0, "m"])[1], 1.0)


def candidates():
    infos = pyproj.database.query_crs_info(
        "EPSG", pj_types=[PJType.PROJECTED_CRS, PJType.GEOGRAPHIC_2D_CRS], allow_deprecated=True
    )
    for code in sorted({int(info.code) for info in infos}):
        if code > 65535:  # GeoKeys are 16 bits wide
            continue
        crs = pyproj.CRS.from_epsg(code)
        try:
            text = clean(crs.to_proj4())
        except pyproj.exceptions.CRSError:
            continue
        if not re.search(r"\+(datum=(WGS84|NAD83)|ellps=(GRS80|WGS84)|nadgrids=@null)\b", text):
            continue
        if "towgs84" in text or re.search(r"\+proj=(\w+)", text)[1] in PROJECTIONS_NOT_IN_PROJ4RS:
            continue
        base = crs.geodetic_crs.to_2d()
        if crs.area_of_use is not None and base.to_epsg():
            yield code, crs, base.to_epsg(), text


def table():
    wgs84 = pyproj.CRS.from_epsg(4326)
    rows, tests, bases, dropped = [], [], {}, {}
    for code, crs, base, text in candidates():
        if code in NOT_LIKE_PROJ:
            continue
        geographic = crs.is_geographic
        tolerance = DEGREES if geographic else METRES / metres_per_unit(text)
        # Only the projection, by the string, whatever datum it names.
        plain = re.sub(r"\+nadgrids=\S+", "", text)
        plain = plain.replace("+datum=WGS84", "+ellps=WGS84").replace("+datum=NAD83", "+ellps=GRS80")
        try:
            chosen = pyproj.Transformer.from_crs(wgs84, crs, always_xy=True)
            pure = None if geographic and "+pm=" not in text else pyproj.Transformer.from_pipeline(
                "+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad +step " + plain
            )
        except pyproj.exceptions.ProjError:
            dropped[code] = "no pipeline"
            continue
        mine = []
        for lon, lat in points(crs.area_of_use):
            expected = chosen.transform(lon, lat)
            got = pure.transform(lon, lat) if pure else (lon, lat)
            if differ(expected, got, tolerance):
                dropped[code] = f"{text} at {lon} {lat}: {expected} is not {got}"
                break
            mine.append((code, lon, lat, *expected))
        else:
            rows.append((code, base, text))
            tests += mine
            area = bases.setdefault(base, pyproj.CRS.from_epsg(base).area_of_use)
    return rows, tests, bases, dropped


def overlap(a, b):
    """Points in both areas; areas over the antimeridian are taken as the whole belt."""
    south, north = max(a.south, b.south, -85), min(a.north, b.north, 85)
    spans = [(-180, 180) if area.east < area.west else (area.west, area.east) for area in (a, b)]
    west, east = max(s[0] for s in spans), min(s[1] for s in spans)
    if west < east and south < north:
        for x, y in SHARES:
            yield (west + x * (east - west), south + y * (north - south))


def equal_pairs(bases):
    """Pairs with one of HUBS; pairs with WGS 84 itself are equal by the table's own rule."""
    for hub in HUBS:
        for base, area in sorted(bases.items()):
            places = list(overlap(bases[hub], area))
            if base in (hub, 4326) or not places:
                continue
            transformer = pyproj.Transformer.from_crs(hub, base, always_xy=True)
            if not any(differ(transformer.transform(*place), place, DEGREES) for place in places):
                yield min(hub, base), max(hub, base)


def write(path, lines, check):
    lines = list(dict.fromkeys(lines))
    data = gzip.compress("".join(f"{line}\n" for line in lines).encode(), 9, mtime=0)
    if check:
        if gzip.decompress(path.read_bytes()) != gzip.decompress(data):
            sys.exit(f"{path} is not what this PROJ makes; run scripts/make-epsg.py")
    else:
        path.write_bytes(data)
    print(f"{path.relative_to(ROOT)}: {len(lines)} lines, {len(data)} bytes", file=sys.stderr)


def main():
    check = "--check" in sys.argv
    rows, tests, bases, dropped = table()
    for code, why in dropped.items():
        if "-v" in sys.argv:
            print(code, why, file=sys.stderr)
    print(f"{len(rows)} codes on {len(bases)} datums; {len(dropped)} left out", file=sys.stderr)
    pairs = sorted(set(equal_pairs(bases)))
    made = (
        f"# Made by scripts/make-epsg.py with PROJ {pyproj.proj_version_str}, EPSG database "
        f"{pyproj.database.get_database_metadata('EPSG.VERSION')}"
    )
    lines = [made, *(f"{c}\t{b}\t{t}" for c, b, t in rows), *(f"={a}\t{b}" for a, b in pairs)]
    write(TABLE, lines, check)
    write(POINTS, [made, *("\t".join(map(repr, row)) for row in tests)], check)


if __name__ == "__main__":
    main()
