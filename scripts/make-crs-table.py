#!/usr/bin/env python3
"""Makes src/geo/crs-table.tsv.gz from PROJ's database. Needs pyproj; uses no grid and no network.

    scripts/make-crs-table.py            writes it
    scripts/make-crs-table.py --check    fails if it is not what it would write

The table is text, gzipped; the letter that starts a line says what it is, the fields are divided by tabs:

    E a rf|=b codes       an ellipsoid: metres, inverse flattening or `=` and the other axis, EPSG codes; numbered from 0
    M code degrees        a prime meridian of EPSG, degrees east of Greenwich
    U code factor         a unit of EPSG: metres or radians
    B/b code datum ellipsoid meridian unit name    a geographic 2D CRS of EPSG/ESRI; stands for its datum
    W number code         a base of its own number, like that of the code, for CRSs in whose areas PROJ sorts operations otherwise
    N base name           a name of its datum or of itself, as `epsg::normal_name` writes it
    O from to             datum operations between two such CRSs follow, in PROJ's order:
    o accuracy west south east north flags name steps
    P/p code base name proj    a projected CRS of EPSG/ESRI; the ellipsoid and meridian of the base are left out
    V/v code horizontal   a compound CRS
    X/x reason codes      codes that are known and refused, with the reason

Codes of B, P and V are differences from the line before. How `steps` are written says `Steps` below.
"""
import collections
import gzip
import math
import re
import sqlite3
import sys
import unicodedata
import warnings
from pathlib import Path

import pyproj
from pyproj.transformer import Transformer, TransformerGroup

warnings.simplefilter("ignore")
pyproj.network.set_network_enabled(False)

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "src/geo/crs-table.tsv.gz"
REFUSED = ROOT / "scripts/crs-refused.tsv"
DB = sqlite3.connect(Path(pyproj.datadir.get_data_dir()) / "proj.db")
HUB = "EPSG:4326"
AXES_NORMALIZED = " (with axis order normalized for visualization)"


def number(value):
    """The shortest text that reads back as the same double."""
    text = repr(float(value))
    if text.endswith(".0"):
        text = text[:-2]
    return text.replace("e+", "e")


def query(sql, *args):
    return DB.execute(sql, args).fetchall()


class Ellipsoids:
    """Numbers ellipsoids by their axes."""

    def __init__(self):
        self.rows, self.codes, self.by_name = {}, collections.defaultdict(list), {}
        for code, a, factor, rf, b in query(
            "select e.code, semi_major_axis, conv_factor, inv_flattening, semi_minor_axis from ellipsoid e join "
            "unit_of_measure u on u.auth_name = uom_auth_name and u.code = uom_code where e.auth_name = 'EPSG' "
            "order by cast(e.code as integer)"
        ):
            a *= factor
            key = (a, f"={number(b * factor)}" if not rf and b else number(rf or 0))
            self.codes[self.index(key)].append(code)

    def index(self, key):
        return self.rows.setdefault(key, len(self.rows))

    def axes(self, key):
        a, shape = key
        if shape.startswith("="):
            return a, float(shape[1:])
        return a, a if float(shape) == 0 else a - a / float(shape)

    def like(self, a, b):
        """The ellipsoid of these axes; a new one if none is within a nanometre."""
        for key, index in self.rows.items():
            x, y = self.axes(key)
            if abs(x - a) < 1e-9 and abs(y - b) < 1e-9:
                return index
        return self.index((a, f"={number(b)}"))

    def of_parameters(self, parameters):
        """The ellipsoid that +ellps, +a, +b, +rf, +R of a PROJ string mean, and whether there is one."""
        if "ellps" in parameters:
            name = parameters["ellps"]
            if name not in self.by_name:
                ellipsoid = pyproj.CRS(f"+proj=longlat +ellps={name} +type=crs").ellipsoid
                self.by_name[name] = self.of_crs(ellipsoid)
            return self.by_name[name]
        if "R" in parameters:
            return self.like(float(parameters["R"]), float(parameters["R"]))
        a = float(parameters["a"])
        if "rf" in parameters:
            key = (a, number(parameters["rf"]))
            return self.rows[key] if key in self.rows else self.index(key)
        return self.like(a, float(parameters.get("b", a)))

    def of_crs(self, ellipsoid):
        a, rf = ellipsoid.semi_major_metre, ellipsoid.inverse_flattening
        if not ellipsoid.is_semi_minor_computed:
            return self.like(a, ellipsoid.semi_minor_metre)
        return self.index((a, number(rf)))


ELLIPSOIDS = Ellipsoids()
MERIDIANS = {}


def meridian(text):
    """Degrees of +pm, as PROJ reads it."""
    if text not in MERIDIANS:
        try:
            MERIDIANS[text] = float(text)
        except ValueError:
            rotation = Transformer.from_pipeline(
                f"+proj=pipeline +step +inv +proj=longlat +ellps=WGS84 +pm={text} "
                "+step +proj=unitconvert +xy_in=rad +xy_out=deg"
            )
            MERIDIANS[text] = round(rotation.transform(0, 0)[0], 14)
    return MERIDIANS[text]


def parameters_of(text):
    tokens = [token.lstrip("+") for token in text.split()]
    return dict(token.split("=", 1) if "=" in token else (token, "") for token in tokens)


class NotRepresentable(Exception):
    pass


def plain(values):
    while len(values) > 3 and float(values[-1]) == 0:
        values = values[:-1]
    return ",".join(number(value) for value in values)


def steps(pipeline, source, target):
    """A datum operation between the Greenwich longitudes and latitudes of two bases as text: segments divided by |.

    A segment is `g` dlat,dlon (seconds of arc), `m` degrees (a turn of the meridian), or a way through geocentric
    coordinates: `@n` the ellipsoid it starts on and ends on, where they are not those of the two bases, around
    transformations divided by `;`. These are h (Helmert) or b (Molodensky-Badekas), as capitals when inverted, then
    x,y,z,rx,ry,rz,s[,px,py,pz]: metres, seconds of arc, parts per million, in the position vector convention; e or f before
    them say that the rotation matrix is exact, in the position vector or the coordinate frame convention; zeros at the end left out. The height is 0 at the start of a segment unless that starts
    with `^`.
    """
    if pipeline.startswith(("proj=noop", "+proj=noop")):
        return ""
    parts = [parameters_of(part) for part in re.split(r"\+?\bstep\b", pipeline)[1:]]
    segments, geocentric, turn, height_kept = [], None, 0.0, False
    for part in parts:
        proj, inverse = part["proj"], "inv" in part
        if proj in ("unitconvert", "push", "noop"):
            continue
        if proj == "pop":
            height_kept = False
        elif proj == "cart" and not inverse:
            geocentric = [ELLIPSOIDS.of_parameters(part), [], height_kept]
        elif proj == "cart":
            segments.append([*geocentric, ELLIPSOIDS.of_parameters(part)])
            geocentric, height_kept = None, True
        elif proj in ("helmert", "molobadekas"):
            sign = -1 if part.get("convention") == "coordinate_frame" else 1
            values = [float(part.get(name, 0)) for name in ("x", "y", "z", "rx", "ry", "rz", "s", "px", "py", "pz")]
            exact = ""
            if "exact" in part:
                exact = "f" if sign < 0 else "e"
                sign = 1
            values[3:6] = [sign * value + 0.0 for value in values[3:6]]
            if proj == "helmert":
                values = values[:7]
            letter = "h" if proj == "helmert" else "b"
            unknown = set(part) - set("proj x y z rx ry rz s px py pz convention inv exact t_epoch".split()) - set(
                "dx dy dz drx dry drz ds".split()
            )
            if unknown or geocentric is None:
                raise NotRepresentable(f"{proj} with {unknown}")
            letter = letter.upper() if inverse else letter
            geocentric[1].append(letter + exact + plain(values))
        elif proj == "geogoffset":
            sign = -1 if inverse else 1
            segments.append(f"g{number(sign * float(part.get('dlat', 0)))},{number(sign * float(part.get('dlon', 0)))}")
        elif proj == "longlat":
            turn += (1 if inverse else -1) * meridian(part.get("pm", "0"))
        else:
            raise NotRepresentable(proj)
    # Bases are taken at Greenwich here: their own meridians are their projections' affair.
    turn += target["pm"] - source["pm"]
    if abs(turn) > 1e-12:
        segments.append(f"m{number(turn)}")
    texts = []
    geocentric = [segment for segment in segments if isinstance(segment, list)]
    for segment in segments:
        if isinstance(segment, str):
            texts.append(segment)
            continue
        start, transformations, keeps_height, end = segment
        head = "^;" if keeps_height else ""
        head += "" if segment is geocentric[0] and start == source["ellipsoid"] else f"@{start};"
        tail = "" if segment is geocentric[-1] and end == target["ellipsoid"] else f";@{end}"
        texts.append(head + (";".join(transformations) or "h0,0,0") + tail)
    return "|".join(texts)


def operations(source, target, known=None):
    """PROJ's grid-free operations in its order; its ballpark ones, which know nothing of the datums, are left out."""
    try:
        group = TransformerGroup(source["id"], target["id"], always_xy=True, allow_ballpark=True)
    except (pyproj.exceptions.ProjError, IndexError) as error:
        print(source["id"], target["id"], error, file=sys.stderr)
        return
    for transformer in group.transformers:
        definition = transformer.definition
        if not definition.startswith(("proj=", "+proj=")):
            definition = transformer.to_proj4()
        name = transformer.description.replace(AXES_NORMALIZED, "")
        if known is not None:
            # For a projected CRS: the operation to its base, and then the conversion.
            fitting = [line for line in known if name.startswith(line.split("\t")[7] + " + ")]
            yield from sorted(fitting, key=len)[-1:]
            continue
        if "Ballpark" in name or "grids=" in definition:
            continue
        try:
            text = steps(definition, source, target)
        except NotRepresentable as error:
            print(f"left out: {name}: {error}", file=sys.stderr)
            continue
        area = transformer.area_of_use
        flags = ("o" if "- offshore" in area.name else "") + ("u" if area.name in ("", "unknown") else "")
        if re.search(r"NAD83 to NAD83\(HARN\)|NAD_1983_To_HARN|GDA94 to WGS 84 \(1\)|WGS 84 to GDA2020 \(2\)", name):
            flags += "p"
        accuracy = "" if transformer.accuracy < 0 else number(transformer.accuracy)
        bounds = [number(value) for value in (area.west, area.south, area.east, area.north)]
        yield "\t".join(["o", accuracy, *bounds, flags, name, text])


def bases():
    """Every geographic 2D CRS by "authority:code"."""
    found = {}
    for authority, code, name, datum_authority, datum, deprecated in query(
        "select auth_name, code, name, datum_auth_name, datum_code, deprecated from geodetic_crs where auth_name in "
        "('EPSG', 'ESRI') and type = 'geographic 2D' order by auth_name, cast(code as integer)"
    ):
        crs = pyproj.CRS.from_authority(authority, code)
        text = parameters_of(crs.to_proj4())
        unit = crs.axis_info[0]
        found[f"{authority}:{code}"] = {
            "id": f"{authority}:{code}", "authority": authority, "code": int(code), "name": name,
            "datum": (datum_authority, datum), "deprecated": deprecated, "crs": crs,
            "ellipsoid": ELLIPSOIDS.of_crs(crs.ellipsoid), "pm": meridian(text.get("pm", "0")),
            "unit": "" if unit.unit_name.startswith("degree") else unit.unit_name,
        }
    return found


def direct_pairs(found):
    """Pairs of bases whose datums some operation of the database joins directly, or that share a datum of two names."""
    datum_of = {}
    for authority, code, datum_authority, datum in query(
        "select auth_name, code, datum_auth_name, datum_code from geodetic_crs where datum_code is not null"
    ):
        datum_of[authority, code] = (datum_authority, datum)
    by_datum = collections.defaultdict(list)
    for base in found.values():
        if not base["deprecated"]:
            by_datum[base["datum"]].append(base)
    pairs = set()
    for source_authority, source, target_authority, target in query(
        "select source_crs_auth_name, source_crs_code, target_crs_auth_name, target_crs_code from "
        "coordinate_operation_view where deprecated = 0 and auth_name in ('EPSG', 'ESRI', 'PROJ') "
        "and table_name != 'grid_transformation'"
    ):
        a, b = datum_of.get((source_authority, source)), datum_of.get((target_authority, target))
        for one in by_datum.get(a, ()):
            for other in by_datum.get(b, ()):
                ids = sorted((one["id"], other["id"]))
                if a != b and HUB not in ids:
                    pairs.add(tuple(ids))
    return sorted(pairs)


def normal_name(name):
    """As `epsg::normal_name`."""
    name = unicodedata.normalize("NFKD", name)
    name = "".join(c for c in name.lower() if c.isascii() and c.isalnum() or c in "_ +")
    name = re.sub(r"^(d|gcs)_", "", name)
    name = re.sub(r"[_ ]", "", name)
    return name.removesuffix("ensemble")


def datum_names(found):
    """Names of datums and of their geographic CRSs, with the base that stands for them."""
    def rank(base):
        return (base["deprecated"], base["authority"] != "EPSG", base["pm"] != 0 and "(" in base["name"],
                base["unit"] != "", base["code"])

    best = {}
    for base in found.values():
        if base["datum"] not in best or rank(base) < rank(best[base["datum"]]):
            best[base["datum"]] = base
    names = collections.defaultdict(dict)

    def add(name, base, priority):
        order = (base["authority"] != "EPSG", base["deprecated"], priority)
        names[normal_name(name)].setdefault(order, {})[base["datum"]] = base

    for authority, code, name in query("select auth_name, code, name from geodetic_datum"):
        if (authority, code) in best:
            add(name, best[authority, code], 0)
    for base in found.values():
        add(base["name"], base, 1)
    for authority, code, name in query(
        "select auth_name, code, alt_name from alias_name where table_name = 'geodetic_datum'"
    ):
        if (authority, code) in best:
            add(name, best[authority, code], 2)
    for authority, code, name in query(
        "select auth_name, code, alt_name from alias_name where table_name = 'geodetic_crs'"
    ):
        if f"{authority}:{code}" in found:
            add(name, found[f"{authority}:{code}"], 3)
    for name, by_order in names.items():
        datums = by_order[min(by_order)]
        # A name of several datums names none.
        if name and len(datums) == 1:
            (base,) = datums.values()
            yield best[base["datum"]]["code"], name


def projection(crs, base):
    """The PROJ string without what the base says already."""
    text = re.sub(r" \+(no_defs|type=crs|wktext)\b", "", crs.to_proj4())
    parameters = parameters_of(text)
    if {"towgs84", "nadgrids"} & set(parameters) and parameters.get("nadgrids") != "@null":
        raise NotRepresentable("a datum shift in the string")
    shape = {"datum": {"WGS84": "WGS84", "NAD83": "GRS80", "NAD27": "clrk66"}.get(parameters.get("datum"), None)}
    if shape["datum"]:
        parameters["ellps"] = shape["datum"]
    own_ellipsoid = ELLIPSOIDS.of_parameters(parameters)
    dropped = {"datum", "ellps", "nadgrids"}
    if own_ellipsoid == base["ellipsoid"]:
        dropped |= {"a", "b", "rf", "R"}
    if parameters.get("f") == "0":
        # A sphere of the ellipsoid's semi-major axis.
        radius = parameters.get("a") or number(ELLIPSOIDS.axes(list(ELLIPSOIDS.rows)[base["ellipsoid"]])[0])
        dropped |= {"f", "a", "b", "rf", "R"}
    if "R_A" in parameters:
        # The sphere of the ellipsoid's area.
        a, b = ELLIPSOIDS.axes(list(ELLIPSOIDS.rows)[own_ellipsoid])
        es = 1 - b * b / (a * a)
        radius = number(a * (1 - es * (1 / 6 + es * (17 / 360 + es * 67 / 3024))))
        dropped |= {"R_A", "a", "b", "rf", "R"}
    pm = meridian(parameters.get("pm", "0"))
    if abs(pm - base["pm"]) > 1e-13:
        raise NotRepresentable(f"meridian {pm} on a base with {base['pm']}")
    dropped.add("pm")
    kept = [token for token in text.split() if token.lstrip("+").split("=")[0] not in dropped]
    if parameters.get("f") == "0" or "R_A" in parameters:
        kept.append(f"R={radius}")
    result = " ".join(token.lstrip("+") for token in kept)
    # Defaults
    result = re.sub(r" (x_0|y_0|lat_0|lon_0)=0\b(?!\.)", "", result)
    result = re.sub(r" (k|k_0)=1\b(?!\.)", "", result)
    return re.sub(r" units=m( |$)", r"\1", result.removeprefix("proj="))


def projected(found):
    rows, left = [], {}
    for authority, code, name, base_authority, base_code in query(
        "select auth_name, code, name, geodetic_crs_auth_name, geodetic_crs_code from projected_crs where auth_name "
        "in ('EPSG', 'ESRI') order by auth_name, cast(code as integer)"
    ):
        crs = pyproj.CRS.from_authority(authority, code)
        base = found.get(f"{base_authority}:{base_code}")
        if base is None:
            two = crs.geodetic_crs.to_2d().to_authority() if crs.geodetic_crs else None
            base = found.get(":".join(two)) if two else None
        try:
            if base is None:
                raise NotRepresentable("its base is no geographic 2D CRS")
            rows.append((authority, int(code), base["code"], name, projection(crs, base)))
        except (NotRepresentable, pyproj.exceptions.CRSError) as error:
            left[authority, int(code)] = str(error) or "no PROJ string"
    return rows, left


def refused():
    """Codes that scripts/crs-agreement.py found unlike PROJ: authority, code, reason."""
    if not REFUSED.exists():
        return {}
    lines = [line.split("\t") for line in REFUSED.read_text().splitlines() if not line.startswith("#")]
    return {(authority, int(code)): reason for authority, code, reason in lines}


def chosen(listed, lon, lat):
    """The name of the operation that PROJ uses at a place, as `candidate::pick`."""
    best = None
    for line in listed:
        _, accuracy, west, south, east, north, flags, name, _ = line.split("\t")
        west, south, east, north = map(float, (west, south, east, north))
        boxes = [(west, east)] if west <= east else [(west, 180), (-180, east)]
        for w, e in boxes:
            if not (w <= lon <= e and south <= lat <= north):
                continue
            accuracy = float(accuracy or -1)
            size = math.radians(e - w) * (math.sin(math.radians(north)) - math.sin(math.radians(south)))
            if best is None or "o" not in flags and (
                0 <= accuracy < best[0]
                or accuracy == best[0] and size < best[1] and not ("u" in flags and "u" not in best[2]) and "p" not in best[2]
            ):
                best = (accuracy, size, flags, name)
    return best and best[3]


def own_orders(rows, found, listed_by_base):
    """Projected CRSs for which PROJ chooses otherwise than for their base, because it sorts operations by how much of the
    CRS's own area they cover: their base and their own list, by authority and code."""
    own = {}
    by_code = {base["code"]: base for base in found.values()}
    for authority, code, base_code, _, _ in rows:
        listed = listed_by_base.get(base_code, [])
        if len(listed) < 2:
            continue
        crs = pyproj.CRS.from_authority(authority, code)
        mine = [line for line in operations(found[HUB], {**by_code[base_code], "id": f"{authority}:{code}"}, listed)]
        if mine == [line for line in listed if line in mine] or crs.area_of_use is None:
            continue
        area = crs.area_of_use
        east = area.east + (360 if area.east < area.west else 0)
        for x in range(13):
            for y in range(13):
                lon = area.west + (east - area.west) * x / 12
                lon -= 360 if lon > 180 else 0
                lat = area.south + (area.north - area.south) * y / 12
                if chosen(mine, lon, lat) != chosen(listed, lon, lat):
                    own[authority, code] = (base_code, mine)
    return own


def lines():
    versions = dict(query("select key, value from metadata"))
    yield (
        f"# Made by scripts/make-crs-table.py with PROJ {pyproj.proj_version_str}: EPSG {versions['EPSG.VERSION']} "
        f"({versions['EPSG.DATE']}), ESRI {versions['ESRI.VERSION']} ({versions['ESRI.DATE']})"
    )
    found = bases()
    rows, left = projected(found)
    reasons = {**{key: f"no PROJ string says it: {why}" for key, why in left.items()}, **refused()}
    hub, body, listed_by_base = found[HUB], [], {}
    for base in found.values():
        if base is not hub:
            listed = list(operations(hub, base))
            listed_by_base[base["code"]] = listed
            if listed:
                body += [f"O\t{hub['code']}\t{base['code']}", *listed]
    for one, other in direct_pairs(found):
        listed = list(operations(found[one], found[other]))
        if listed:
            body += [f"O\t{found[one]['code']}\t{found[other]['code']}", *listed]
    stands_for, groups = {}, {}
    for key, (base, listed) in own_orders(rows, found, listed_by_base).items():
        group = (base, tuple(listed))
        if group not in groups:
            groups[group] = 1_000_000 + len(groups)
            body += [f"O\t{hub['code']}\t{groups[group]}", *listed]
        stands_for[key] = groups[group]
    datums = {}
    for (a, shape), index in ELLIPSOIDS.rows.items():
        yield "\t".join(["E", number(a), shape, ",".join(map(str, ELLIPSOIDS.codes[index]))])
    for code, name, degrees, unit in query(
        "select code, name, longitude, uom_code from prime_meridian where auth_name = 'EPSG' order by "
        "cast(code as integer)"
    ):
        try:
            value = meridian(name.split()[0].lower())
        except pyproj.exceptions.ProjError:
            factor = dict(query("select code, conv_factor from unit_of_measure where auth_name = 'EPSG'"))[unit]
            value = degrees * 0.9 if unit == "9105" else degrees * factor * 57.29577951308232
        if unit != "9110" or name.split()[0].lower() in MERIDIANS:
            yield f"M\t{code}\t{number(round(value, 12))}"
    for code, factor in query(
        "select code, conv_factor from unit_of_measure where auth_name = 'EPSG' and type in ('length', 'angle') and "
        "conv_factor > 0 order by cast(code as integer)"
    ):
        yield f"U\t{code}\t{number(factor)}"
    for authority, letter in (("EPSG", "B"), ("ESRI", "b")):
        last = 0
        for base in found.values():
            if base["authority"] == authority:
                datum = datums.setdefault(base["datum"], len(datums))
                pm = number(base["pm"]) if base["pm"] else ""
                fields = [base["code"] - last, datum, base["ellipsoid"], pm, base["unit"], base["name"]]
                yield "\t".join([letter, *map(str, fields)])
                last = base["code"]
    yield from (f"W\t{code}\t{base}" for (base, _), code in groups.items())
    yield from (f"N\t{code}\t{name}" for code, name in sorted(datum_names(found)))
    yield from body
    for authority, letter in (("EPSG", "P"), ("ESRI", "p")):
        last = 0
        for row_authority, code, base, name, proj in rows:
            if row_authority == authority and (authority, code) not in reasons:
                base = stands_for.get((authority, code), base)
                yield f"{letter}\t{code - last}\t{base}\t{name if NAMES else ''}\t{proj}"
                last = code
    for authority, letter in (("EPSG", "V"), ("ESRI", "v")):
        last = 0
        for code, horizontal_authority, horizontal in query(
            "select code, horiz_crs_auth_name, horiz_crs_code from compound_crs where auth_name = ? order by "
            "cast(code as integer)", authority
        ):
            if horizontal_authority == authority:
                yield f"{letter}\t{int(code) - last}\t{horizontal}"
                last = int(code)
    by_reason = collections.defaultdict(list)
    for (authority, code), reason in sorted(reasons.items()):
        by_reason[authority, reason].append(str(code))
    for (authority, reason), codes in by_reason.items():
        yield f"{'X' if authority == 'EPSG' else 'x'}\t{reason}\t{','.join(codes)}"


NAMES = "--no-names" not in sys.argv


def main():
    text = "".join(f"{line}\n" for line in lines()).encode()
    data = gzip.compress(text, 9, mtime=0)
    if "--check" in sys.argv:
        if gzip.decompress(TABLE.read_bytes()) != text:
            sys.exit(f"{TABLE} is not what this PROJ makes; run scripts/make-crs-table.py")
    else:
        TABLE.write_bytes(data)
    sizes = collections.Counter()
    for line in text.decode().splitlines():
        sizes[line[0]] += 1
    print(f"{TABLE.name}: {dict(sizes)}, {len(text)} bytes, {len(data)} gzipped", file=sys.stderr)


if __name__ == "__main__":
    main()
