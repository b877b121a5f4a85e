#!/usr/bin/env python3
"""Makes testdata/crs-spellings.jsonl.gz: CRSs of EPSG and ESRI in every spelling, and what PROJ makes of each.

    scripts/make-crs-spellings.py            writes it
    scripts/make-crs-spellings.py --check    fails if it is not what it would write

Needs pyproj, rasterio and tifffile. One line a CRS: its code, the EPSG code of its geographic CRS (its datum), and for
each spelling the text (or the GeoKeys as GDAL writes them) and the points, longitude and latitude from Greenwich in
degrees on the CRS's own datum to x and y in the plane's unit, by the CRS that PROJ (or GDAL) reads back from that very
text: a spelling may lose digits. Texts that PROJ itself cannot read back are left out. No datum shift plays a part.

The sample is systematic: some of every projection method, and every unit, prime meridian and ellipsoid.
"""
import gzip
import json
import math
import re
import sys
import warnings
from pathlib import Path

import numpy
import pyproj
import pyproj.database
import rasterio
import rasterio.crs
import tifffile
from pyproj.enums import PJType
from rasterio.io import MemoryFile

warnings.simplefilter("ignore")
pyproj.network.set_network_enabled(False)

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "testdata/crs-spellings.jsonl.gz"
WKT = "WKT1_GDAL", "WKT1_ESRI", "WKT2_2015", "WKT2_2019"
# How many of a method; the two that half of all projected CRSs have get more.
EACH, MORE = 5, {"Transverse Mercator": 60, "Lambert Conic Conformal (2SP)": 40, "Lambert Conic Conformal (1SP)": 20}
GEOGRAPHIC = 24
# Shares of the area of use where the points lie.
SHARES = (0.5, 0.5), (0.2, 0.7)

# User-defined CRSs as users write them: no code, GeoKeys only.
CUSTOM = {
    "custom laea": "+proj=laea +lat_0=48.5 +lon_0=9.25 +x_0=100000 +y_0=200000 +datum=WGS84 +units=m",
    "custom aea": "+proj=aea +lat_0=23 +lon_0=-96 +lat_1=29.5 +lat_2=45.5 +x_0=0 +y_0=0 +datum=NAD83 +units=m",
    "custom lcc 2sp": "+proj=lcc +lat_0=40 +lon_0=-100 +lat_1=33 +lat_2=45 +x_0=1e6 +y_0=5e5 +datum=NAD83 +units=us-ft",
    "custom lcc 1sp": "+proj=lcc +lat_1=46.5 +lat_0=46.5 +lon_0=3 +k_0=0.9998 +x_0=7e5 +y_0=2e5 +ellps=GRS80 +units=m",
    "custom tmerc": "+proj=tmerc +lat_0=10 +lon_0=20.5 +k=0.9999 +x_0=1e5 +y_0=-5e4 +ellps=bessel +units=m",
    "custom tmerc ft": "+proj=tmerc +lat_0=42.5 +lon_0=-72.5 +k=0.999964286 +x_0=500000 +y_0=0 +datum=NAD83 +units=ft",
    "custom utm": "+proj=utm +zone=17 +ellps=intl +units=m",
    "custom utm south": "+proj=utm +zone=23 +south +ellps=aust_SA +units=m",
    "custom towgs84": "+proj=tmerc +lat_0=0 +lon_0=9 +k=1 +x_0=3500000 +ellps=bessel +towgs84=598.1,73.7,418.2,0.202,0.045,-2.455,6.7",
    "custom stere n": "+proj=stere +lat_0=90 +lat_ts=70 +lon_0=-45 +datum=WGS84 +units=m",
    "custom stere k": "+proj=stere +lat_0=-90 +lon_0=10 +k=0.97 +x_0=1e6 +datum=WGS84 +units=m",
    "custom stere oblique": "+proj=stere +lat_0=47 +lon_0=19 +k=0.9999 +x_0=1e5 +ellps=GRS67 +units=m",
    "custom sterea": "+proj=sterea +lat_0=52.1 +lon_0=5.4 +k=0.9999 +x_0=155000 +y_0=463000 +ellps=bessel +units=m",
    "custom merc": "+proj=merc +lon_0=110 +k=0.997 +x_0=3900000 +y_0=900000 +ellps=bessel +units=m",
    "custom merc 2sp": "+proj=merc +lat_ts=42 +lon_0=51 +ellps=krass +units=m",
    "custom omerc a": "+proj=omerc +no_uoff +lat_0=4 +lonc=102.25 +alpha=323.0257905 +gamma=323.1301023 +k=0.99984 +x_0=804670.24 +ellps=GRS80",
    "custom omerc b": "+proj=omerc +lat_0=4 +lonc=115 +alpha=53.31580995 +gamma=53.13010236 +k=0.99984 +x_0=1e5 +y_0=2e5 +ellps=evrstSS",
    "custom sinu sphere": "+proj=sinu +lon_0=0 +R=6371007.181 +units=m",
    "custom robin": "+proj=robin +lon_0=10 +datum=WGS84 +units=m",
    "custom cass": "+proj=cass +lat_0=10.44 +lon_0=-61.33 +x_0=86501.46392 +y_0=65379.0134 +a=6378293.645 +rf=294.26 +to_meter=0.201166195164",
    "custom poly": "+proj=poly +lat_0=0 +lon_0=-54 +x_0=5000000 +y_0=10000000 +ellps=aust_SA +units=m",
    "custom eqdc": "+proj=eqdc +lat_0=39 +lon_0=-96 +lat_1=33 +lat_2=45 +datum=NAD83 +units=m",
    "custom cea": "+proj=cea +lat_ts=30 +lon_0=0 +datum=WGS84 +units=m",
    "custom aeqd": "+proj=aeqd +lat_0=52 +lon_0=10 +x_0=1000 +y_0=2000 +datum=WGS84 +units=m",
    "custom mill": "+proj=mill +lon_0=20 +R=6371000 +units=m",
    "custom gnom": "+proj=gnom +lat_0=90 +lon_0=-50 +R=6371000 +units=m",
    "custom ortho": "+proj=ortho +lat_0=45 +lon_0=10 +datum=WGS84 +units=m",
    "custom eqc": "+proj=eqc +lat_ts=40 +lon_0=5 +R=6371000 +units=m",
    "custom nzmg": "+proj=nzmg +lat_0=-41 +lon_0=173 +x_0=2510000 +y_0=6023150 +ellps=intl +units=m",
    "custom geos": "+proj=geos +h=35785831 +lon_0=0 +a=6378169 +b=6356583.8 +units=m",
    "custom moll": "+proj=moll +lon_0=0 +datum=WGS84 +units=m",
    "custom longlat": "+proj=longlat +a=6371229 +b=6371229",
    "custom longlat pm": "+proj=longlat +ellps=clrk80ign +pm=paris",
    "custom web mercator": "+proj=merc +a=6378137 +b=6378137 +lat_ts=0 +lon_0=0 +x_0=0 +y_0=0 +k=1 +units=m +nadgrids=@null +wktext",
}


def sample():
    groups = {}
    seen = set()
    for authority in ("EPSG", "ESRI"):
        for info in pyproj.database.query_crs_info(authority, pj_types=[PJType.PROJECTED_CRS], allow_deprecated=True):
            crs = pyproj.CRS.from_authority(authority, info.code)
            method = crs.coordinate_operation.method_name
            group = groups.setdefault(method, [])
            traits = (method, crs.axis_info[0].unit_name), crs.prime_meridian.longitude, crs.ellipsoid.semi_major_metre
            group.append((info.code, crs, any(trait not in seen for trait in traits)))
            seen.update(traits)
    for method, group in sorted(groups.items()):
        count = MORE.get(method, EACH)
        step = max(1, len(group) // count)
        for index, (_, crs, is_new) in enumerate(group):
            if index % step == step // 2 or is_new and len(group) > count or len(group) <= count:
                yield crs
    infos = pyproj.database.query_crs_info("EPSG", pj_types=[PJType.GEOGRAPHIC_2D_CRS])
    for info in infos[:: len(infos) // GEOGRAPHIC]:
        yield pyproj.CRS.from_epsg(int(info.code))
    for code in (4326, 4258, 4269, 4267, 4283, 7844, 4807, 2193, 2180, 3857, 27572, 31370, 5514, 28992, 2056, 27700, 31467):
        yield pyproj.CRS.from_epsg(code)


def places(crs):
    area = crs.area_of_use
    west, south, east, north = (-20, -30, 40, 50) if area is None else (area.west, area.south, area.east, area.north)
    if east < west:
        east += 360
    south, north = max(south, -84), min(north, 84)
    for x, y in SHARES:
        lon = west + x * (east - west)
        yield round(lon - 360 if lon > 180 else lon, 4), round(south + y * (north - south), 4)


def points(crs, at):
    """What the CRS makes of places on its own datum; None if PROJ makes nothing of it."""
    crs = crs.source_crs if crs.type_name == "Bound CRS" else crs
    base = crs.geodetic_crs.to_2d()
    unit = base.axis_info[0].unit_conversion_factor
    pm = base.prime_meridian
    try:
        to = pyproj.Transformer.from_crs(base, crs, always_xy=True)
    except pyproj.exceptions.ProjError:
        return None
    found = []
    for lon, lat in at:
        own = math.radians(lon) - pm.longitude * pm.unit_conversion_factor, math.radians(lat)
        x, y = to.transform(own[0] / unit, own[1] / unit)
        if not (math.isfinite(x) and math.isfinite(y)):
            return None
        found.append([lon, lat, x, y])
    return found


def lean_json(value):
    """PROJJSON without what says nothing of coordinates."""
    drop = {"$schema", "scope", "area", "bbox", "usages", "remarks", "members", "accuracy"}
    if isinstance(value, dict):
        return {k: lean_json(v) for k, v in value.items() if k not in drop}
    return [lean_json(v) for v in value] if isinstance(value, list) else value


def lean_wkt(text):
    """WKT2 without USAGE, REMARK and the members of ensembles."""
    text = re.sub(r",USAGE\[(?:[^][\"]|\"[^\"]*\"|\[(?:[^][\"]|\"[^\"]*\")*\])*\]", "", text)
    text = re.sub(r",REMARK\[\"[^\"]*\"\]", "", text)
    text = re.sub(r",(?:SCOPE|AREA)\[\"[^\"]*\"\]", "", text)
    return re.sub(r",BBOX\[[^]]*\]", "", text)


def read_keys(wkt):
    """The GeoKeys that GDAL writes for a CRS, and the CRS that GDAL reads from them."""
    with MemoryFile() as file:
        crs = rasterio.crs.CRS.from_wkt(wkt)
        profile = dict(driver="GTiff", width=1, height=1, count=1, dtype="uint8", crs=crs)
        with file.open(transform=rasterio.transform.from_origin(0, 0, 1, 1), **profile) as out:
            out.write(numpy.zeros((1, 1, 1), "uint8"))
        with file.open() as raster:
            back = raster.crs.to_wkt(version="WKT2_2019") if raster.crs else None
        file.seek(0)
        with tifffile.TiffFile(file) as tiff:
            tags = tiff.pages[0].tags
            value = lambda tag, empty: tags[tag].value if tag in tags else empty
            ascii = value(34737, "")
            keys = [list(value(34735, ())), list(value(34736, ())), ascii if isinstance(ascii, str) else ascii.decode("latin-1")]
    return keys, pyproj.CRS.from_wkt(back) if back else None


def without_ids(text):
    text = re.sub(r",ID\[\"[^\"]*\",[^]]*\]", "", text)
    return re.sub(r",AUTHORITY\[\"[^\"]*\",\"[^\"]*\"\]", "", text)


def spellings(crs, at):
    for version in WKT:
        try:
            text = lean_wkt(crs.to_wkt(version))
            yield version, text, points(pyproj.CRS.from_wkt(text), at)
        except pyproj.exceptions.CRSError:
            continue
    bare = without_ids(lean_wkt(crs.to_wkt("WKT2_2019")))
    yield "WKT2_2019 without IDs", bare, points(pyproj.CRS.from_wkt(bare), at)
    text = json.dumps(lean_json(json.loads(crs.to_json())), separators=(",", ":"))
    try:
        yield "PROJJSON", text, points(pyproj.CRS.from_json(text), at)
    except pyproj.exceptions.CRSError:
        pass
    try:
        text = crs.to_proj4()
        yield "PROJ", text, points(pyproj.CRS.from_user_input(text), at)
    except pyproj.exceptions.CRSError:
        pass
    # The table has no geographic CRSs in other units.
    in_degrees = not crs.is_geographic or crs.axis_info[0].unit_name.startswith("degree")
    if crs.to_authority(min_confidence=100) and in_degrees:
        authority, code = crs.to_authority(min_confidence=100)
        yield "URN", f"urn:ogc:def:crs:{authority}::{code}", points(crs, at)
    if crs.is_deprecated:
        return  # GDAL reads its successor, which may be another CRS, from its GeoKeys
    for name, wkt in ("GeoKeys", crs.to_wkt("WKT2_2019")), ("GeoKeys without IDs", bare):
        try:
            keys, back = read_keys(wkt)
        except Exception as error:  # GDAL has many ways to say no
            print(name, crs.name, error, file=sys.stderr)
            continue
        # Without GTModelTypeGeoKey GDAL had no keys for it.
        if back is not None and 1024 in keys[0][4::4]:
            yield name, keys, points(back, at)


def datum(crs):
    crs = crs.source_crs if crs.type_name == "Bound CRS" else crs
    base = crs.geodetic_crs
    if len(base.axis_info) != 2:
        return None
    # A deprecated geographic CRS has the name of its successor.
    found = base.to_json_dict().get("id", {})
    return found["code"] if found.get("authority") == "EPSG" and not base.is_deprecated else None


def lines():
    yield {
        "made": f"scripts/make-crs-spellings.py, PROJ {pyproj.proj_version_str}, GDAL {rasterio.__gdal_version__}, "
        f"EPSG {pyproj.database.get_database_metadata('EPSG.VERSION')}"
    }
    done = set()
    todo = [(":".join(crs.to_authority(min_confidence=100) or ("", crs.name)), crs) for crs in sample()]
    todo += [(name, pyproj.CRS.from_user_input(text + " +type=crs")) for name, text in CUSTOM.items()]
    for code, crs in todo:
        if code in done:
            continue
        done.add(code)
        at = list(places(crs))
        own = points(crs, at)
        found, texts = {}, {}
        for name, text, there in spellings(crs, at):
            if there is None and own is not None:
                continue  # PROJ cannot read its own spelling
            if there is not None:
                there = [[round(v, 9) for v in point] for point in there]
            texts[name] = text
            found.setdefault(json.dumps(there), []).append(name)
        yield {
            "code": code,
            "name": crs.name,
            "datum": datum(crs),
            "points": [{"of": names, "at": json.loads(there)} for there, names in found.items()],
            "texts": texts,
        }


def main():
    text = "".join(json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n" for line in lines())
    if "--check" in sys.argv:
        if gzip.decompress(OUT.read_bytes()).decode() != text:
            sys.exit(f"{OUT} is not what this PROJ makes; run scripts/make-crs-spellings.py")
    else:
        OUT.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print(f"{OUT.relative_to(ROOT)}: {text.count(chr(10)) - 1} CRSs, {OUT.stat().st_size} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
