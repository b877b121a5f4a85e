#!/usr/bin/env python3
"""Compares every code of the CRS table with PROJ, forward and inverse. Needs pyproj; uses no grid and no network.

    cargo build --release --example project_points
    scripts/crs-agreement.py --bin target/release/examples/project_points      writes docs/crs-agreement.tsv.gz
                                                                               and testdata/projected-points.tsv.gz
    scripts/crs-agreement.py --bin ... --only EPSG:27700 -v                    prints the points of one code
    scripts/crs-agreement.py --bin ... --pairs                                 other pairs of datums; testdata/datum-pairs.tsv
    scripts/crs-agreement.py --bin ... --projections                           every projection on its own datum, where WGS 84
                                                                               plays no part: also those that need a grid
    scripts/crs-agreement.py --bin ... --write-refused                         adds wrong codes to scripts/crs-refused.tsv

Points lie on a lattice over the area of use, its edges included. At each of them PROJ chooses an operation from WGS 84
(proj_trans with alternatives) and takes the point there and back. Left out are points where PROJ itself fails or does not
come back to the same place, and counted as `ballpark` those where it has no operation that knows both datums, or leaves
the area of use of the only one: cogclip refuses these unless it is told --allow-ballpark.

Exit code 1 if any code is wrong: more than 1 mm off PROJ, or refused without being on the list of refusals.
"""
import argparse
import collections
import gzip
import math
import sqlite3
import subprocess
import sys
import warnings
from pathlib import Path

import pyproj
from pyproj.enums import TransformDirection

warnings.simplefilter("ignore")
pyproj.network.set_network_enabled(False)

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "docs/crs-agreement.tsv.gz"
TABLE = ROOT / "src/geo/crs-table.tsv.gz"
REFUSED = ROOT / "scripts/crs-refused.tsv"
PAIRS = ROOT / "testdata/datum-pairs.tsv"
SAMPLE = ROOT / "testdata/projected-points.tsv.gz"
DB = sqlite3.connect(Path(pyproj.datadir.get_data_dir()) / "proj.db")
MILLIMETRE = 0.001
# From west to east and from south to north; some off the lattice, where symmetry hides nothing.
LATTICE = [(x, y) for y in (0, 0.25, 0.5, 0.75, 1) for x in (0, 0.25, 0.5, 0.75, 1)]
LATTICE += [(0.1, 0.15), (0.37, 0.61), (0.85, 0.9), (0.62, 0.33)]
# Of these, the points that the unit test looks at.
SAMPLE_PLACES = 26, 27
SAMPLES = (0.37, 0.61), (0.85, 0.9)


def codes():
    """Every code of the table, and every one it refuses with the reason."""
    last = {}
    lines = gzip.decompress(TABLE.read_bytes()).decode().splitlines()
    refused = {(line[0].islower(), code) for line in lines if line[0] in "Xx" for code in line.split("\t")[2].split(",")}
    for line in lines:
        kind, *fields = line.split("\t")
        authority = "ESRI" if kind.islower() else "EPSG"
        if kind in ("B", "b", "P", "p"):
            last[kind] = last.get(kind, 0) + int(fields[0])
            if (kind.islower(), str(last[kind])) not in refused:
                yield authority, last[kind], None
        elif kind in ("X", "x"):
            for code in fields[1].split(","):
                yield authority, int(code), fields[0]


def points(area, shares):
    west, south, east, north = area
    # At a pole longitudes mean nothing, and Mercator's is infinitely far.
    south, north = max(south, -89.99), min(north, 89.99)
    if east < west:
        east += 360
    for x, y in shares:
        lon = west + x * (east - west)
        yield (round(lon - 360 if lon > 180 else lon, 6), round(south + y * (north - south), 6))


def unit_of(crs):
    """Metres, or radians, in the unit of the first axis."""
    axis = crs.axis_info[0]
    return axis.unit_conversion_factor


def expected(name, shares):
    """PROJ's answers: for each point its place in the CRS and back, or why there is none."""
    crs = pyproj.CRS(name)
    area = crs.area_of_use
    if area and area.west < -180:
        # The dataset states none.
        area = crs.geodetic_crs.area_of_use
    bounds = (area.west, area.south, area.east, area.north) if area else (-180, -90, 180, 90)
    transformer = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    for lon, lat in dict.fromkeys(points(bounds, shares)):
        x, y = transformer.transform(lon, lat)
        if not (math.isfinite(x) and math.isfinite(y)):
            yield lon, lat, None, "fails"
            continue
        try:
            used = transformer.get_last_used_operation()
        except pyproj.exceptions.ProjError:
            used = transformer
        back = used.transform(x, y, direction=TransformDirection.INVERSE)
        if not all(map(math.isfinite, back)):
            yield lon, lat, (x, y), "fails back"
        else:
            yield lon, lat, (x, y, *back), used.description.replace(" (with axis order normalized for visualization)", "")


def metres_apart(a, b):
    turn = round((a[0] - b[0]) / 360) * 360
    east = (a[0] - b[0] - turn) * math.cos(math.radians(b[1]))
    return math.hypot(east, a[1] - b[1]) * 111320


def pairs():
    """Pairs of geographic CRSs other than WGS 84 that an operation joins directly, with a place in the area of each."""
    authorities, last, pair = {}, {}, None
    for line in gzip.decompress(TABLE.read_bytes()).decode().splitlines():
        kind, *fields = line.split("\t")
        if kind in ("B", "b"):
            last[kind] = last.get(kind, 0) + int(fields[0])
            authorities[last[kind]] = "EPSG" if kind == "B" else "ESRI"
        elif kind == "O":
            pair = tuple(f"{authorities[int(code)]}:{code}" for code in fields)
        elif kind == "o" and pair[0] != "EPSG:4326":
            yield pair, next(points(map(float, fields[1:5]), SAMPLES))


def compare_pairs(args):
    """Direct operations between other datums than WGS 84."""
    transformers, lines, answers = {}, [], []
    for (source, target), (lon, lat) in dict.fromkeys(pairs()):
        pair = source, target
        if pair not in transformers:
            transformers[pair] = pyproj.Transformer.from_crs(*pair, always_xy=True)
        place = transformers[pair].transform(lon, lat)
        if all(map(math.isfinite, place)):
            lines.append(f"{source}\t{target}\t{lon!r},{lat!r}\t{lon!r}\t{lat!r}")
            answers.append(place)
    run = subprocess.run([args.bin], input="\n".join(lines) + "\n", capture_output=True, text=True, check=True)
    counts, agreeing = collections.Counter(), []
    for line, place, reply in zip(lines, answers, run.stdout.splitlines()):
        reply = reply.split("\t")
        if reply[0] == "-":
            counts["refused, of unknown accuracy" if "unknown accuracy" in reply[1] else reply[1]] += 1
        elif metres_apart((float(reply[0]), float(reply[1])), place) <= MILLIMETRE:
            counts["agree"] += 1
            agreeing.append(line + f"\t{place[0]!r}\t{place[1]!r}\n")
        else:
            counts["by another operation"] += 1
            print(line, place, reply, file=sys.stderr)
    print("pairs of datums:", dict(counts))
    PAIRS.write_text(f"# Made by scripts/crs-agreement.py --pairs with PROJ {pyproj.proj_version_str}\n"
                     + "".join(agreeing[::12]))


def compare_projections(args):
    """Every projected code from and to the geographic CRS below it: no datum operation can hide what a projection does."""
    lines, asked, wrong, left = [], [], [], collections.Counter()
    for authority, code, reason in codes():
        name = f"{authority}:{code}"
        if reason is not None or args.only and name not in args.only:
            continue
        crs = pyproj.CRS(name)
        if crs.is_geographic:
            continue
        base = crs.geodetic_crs.to_2d().to_authority(min_confidence=100)
        area = crs.area_of_use
        if base is None or area is None or area.west < -180:
            left["without a base with a code, or an area"] += 1
            continue
        transformer = pyproj.Transformer.from_crs(crs.geodetic_crs.to_2d(), crs, always_xy=True)
        degree = math.degrees(crs.geodetic_crs.axis_info[0].unit_conversion_factor)
        meridian = crs.prime_meridian.longitude * math.degrees(crs.prime_meridian.unit_conversion_factor)
        for lon, lat in points((area.west, area.south, area.east, area.north), SAMPLES + ((0.1, 0.15),)):
            here = (lon - meridian) / degree, lat / degree
            x, y = transformer.transform(*here)
            back = transformer.transform(x, y, direction=TransformDirection.INVERSE) if math.isfinite(x) else here
            if not all(map(math.isfinite, (x, y, *back))) or metres_apart([v * degree for v in back], (lon - meridian, lat)) > MILLIMETRE:
                left["points that PROJ does not take there and back"] += 1
                continue
            asked.append((authority, code, unit_of(crs), degree, here, (x, y)))
            ends = f"{base[0]}:{base[1]}\t{name}", f"{name}\t{base[0]}:{base[1]}"
            lines += [f"{ends[0]}\t{lon},{lat}\t{here[0]!r}\t{here[1]!r}", f"{ends[1]}\t{lon},{lat}\t{x!r}\t{y!r}"]
    run = subprocess.run([args.bin], input="\n".join(lines) + "\n", capture_output=True, text=True, check=True)
    replies = iter(run.stdout.splitlines())
    compared = collections.Counter()
    for authority, code, unit, degree, here, place in asked:
        there, back = next(replies).split("\t"), next(replies).split("\t")
        if there[0] == "-" or back[0] == "-":
            left[(there if there[0] == "-" else back)[1].split(";")[0][:60]] += 1
            continue
        compared[authority, code] += 1
        forward = max(abs(float(a) - b) for a, b in zip(there, place)) * unit
        inverse = metres_apart([float(v) * degree for v in back[:2]], [v * degree for v in here])
        if max(forward, inverse) > MILLIMETRE and not any(row[:2] == (authority, code) for row in wrong):
            wrong.append((authority, code, f"WRONG: other than PROJ by {forward} m and {inverse} m on its own datum"))
    for row in wrong:
        print("\t".join(map(str, row)), file=sys.stderr)
    print(f"projections on their own datum: {len(compared)} codes compared, {len(wrong)} wrong; left out: {dict(left)}")
    if args.write_refused:
        write_refused(wrong)
    return 1 if wrong else 0


def why_refused(verdict):
    """The reason for scripts/crs-refused.tsv, from the verdict on a wrong code."""
    text = verdict.removeprefix("WRONG: ")
    if text.startswith(("cogclip cannot project", "the parameter")):
        return "cogclip has no formula for its projection"
    if text.startswith("the coordinate"):
        return "its projection fails at places of its area of use where PROJ's does not"
    if "other than PROJ" in text:
        return "its projection is more than 1 mm off PROJ's"
    return "PROJ chooses another datum operation in its area"


def write_refused(wrong):
    """Adds the wrong codes to those that were refused before."""
    lines = [line for line in REFUSED.read_text().splitlines() if not line.startswith("#")] if REFUSED.exists() else []
    known = {tuple(line.split("\t")[:2]) for line in lines}
    for authority, code, *_, verdict in wrong:
        if (authority, str(code)) not in known:
            lines.append(f"{authority}\t{code}\t{why_refused(verdict)}")
    lines.sort(key=lambda line: (line.split("\t")[0], int(line.split("\t")[1])))
    REFUSED.write_text("# Codes that are refused because they do not agree with PROJ, by scripts/crs-agreement.py\n"
                       "# --write-refused; scripts/make-crs-table.py leaves them out.\n" + "\n".join(lines) + "\n")


def write_sample(lines):
    head = f"# Made by scripts/crs-agreement.py with PROJ {pyproj.proj_version_str}: longitude, latitude, x, y"
    data = gzip.compress("\n".join([head, *lines, ""]).encode(), 9, mtime=0)
    SAMPLE.write_bytes(data)
    print(f"{SAMPLE.name}: {len(lines)} points, {len(data)} bytes")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin")
    parser.add_argument("--only", action="append")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--write-refused", action="store_true")
    parser.add_argument("--pairs", action="store_true")
    parser.add_argument("--projections", action="store_true")
    parser.add_argument("-o", "--output", type=Path, default=RESULT)
    parser.add_argument("-v", action="store_true")
    args = parser.parse_args()
    if args.pairs:
        return compare_pairs(args)
    if args.projections:
        return compare_projections(args)
    asked, lines, rows, samples = [], [], [], []
    for index, (authority, code, reason) in enumerate(codes()):
        name = f"{authority}:{code}"
        if args.only and name not in args.only or index % args.every:
            continue
        if reason is not None:
            rows.append((authority, code, 0, 0, 0, 0, f"refused: {reason}"))
            continue
        crs = pyproj.CRS(name)
        unit = unit_of(crs)
        try:
            answers = list(expected(name, LATTICE))
        except pyproj.exceptions.ProjError as error:
            why = "another celestial body" if "celestial body" in str(error) else str(error)
            rows.append((authority, code, 0, 0, 0, 0, f"refused: PROJ has no operation: {why}"))
            continue
        for lon, lat, place, operation in answers:
            if place is not None and len(place) == 4:
                at = f"{lon!r},{lat!r}"
                lines.append(f"EPSG:4326\t{name}\t{at}\t{lon!r}\t{lat!r}")
                lines.append(f"{name}\tEPSG:4326\t{at}\t{place[0]!r}\t{place[1]!r}")
        asked.append((authority, code, crs, unit, answers))
    run = subprocess.run([args.bin], input="\n".join(lines) + "\n", capture_output=True, text=True, check=True)
    replies = iter(run.stdout.splitlines())
    for authority, code, crs, unit, answers in asked:
        asked_samples = {answers[i][:2] for i in SAMPLE_PLACES if i < len(answers)}
        compared = ballpark = 0
        worst = [0.0, 0.0]
        verdict, why, sampled = set(), collections.Counter(), []
        for lon, lat, place, operation in answers:
            if place is None or len(place) != 4:
                continue
            there, back = next(replies).split("\t"), next(replies).split("\t")
            x, y, *returned = place
            proj_returns = metres_apart(returned, (lon, lat)) < MILLIMETRE
            if args.v:
                print(lon, lat, place, operation, there, back, sep=" | ")
            if there[0] == "-" and ("outside its area of use" in there[1] or "Ballpark" in there[1]
                                    or "unknown accuracy" in there[1]):
                ballpark += 1
                why["PROJ's operation does not state its accuracy" if "unknown accuracy" in there[1]
                    and "Ballpark" not in there[1] and "outside its area" not in there[1] else
                    "no operation for its area" if "outside its area" in there[1] else
                    "PROJ has none but ballpark without a grid"] += 1
                continue
            if there[0] == "-" or back[0] == "-":
                if proj_returns:
                    verdict.add("WRONG: " + (there if there[0] == "-" else back)[1])
                continue
            if "Ballpark" in operation and there[3].startswith("sphere"):
                operation = there[3]
            if "Ballpark" in operation:
                verdict.add(f"WRONG: PROJ has {operation}, cogclip {there[3]}")
                continue
            compared += 1
            got = float(there[0]), float(there[1])
            if crs.is_geographic:
                degree = math.degrees(unit)
                forward = metres_apart([v * degree for v in got], [x * degree, y * degree])
            else:
                forward = max(abs(got[0] - x), abs(got[1] - y)) * unit
            home = float(back[0]), float(back[1])
            inverse = min(metres_apart(home, returned), metres_apart(home, (lon, lat)))
            worst = [max(worst[0], forward), max(worst[1], inverse)]
            if (lon, lat) in asked_samples:
                # EPSG:6996 and 6997 are a millionth of their size, as EPSG had them before it deprecated them.
                tiny = authority == "EPSG" and code in (6996, 6997)
                exact = [repr(v) if abs(v) < 1000 or tiny else f"{v:.6f}" for v in (x, y)]
                sampled.append("\t".join([f"{authority}:{code}", repr(lon), repr(lat), *exact]))
            if not (forward <= MILLIMETRE and inverse <= MILLIMETRE):
                verdict.add(f"WRONG: at {lon},{lat} PROJ by {operation}, cogclip by {there[3]}"
                            if operation != there[3] else f"WRONG: other than PROJ by {operation}")
        if verdict:
            verdict = sorted(verdict)[0]
        elif compared:
            verdict = "agree"
            samples += sampled
        elif ballpark:
            verdict = f"refused: {why.most_common(1)[0][0]} (--allow-ballpark)"
        else:
            verdict = "refused: PROJ itself cannot take any point there and back"
        rows.append((authority, code, compared, ballpark, worst[0] * 1000, worst[1] * 1000, verdict))
    rows.sort()
    wrong = [row for row in rows if row[6].startswith("WRONG")]
    for row in wrong:
        print("\t".join(map(str, row)), file=sys.stderr)
    if args.write_refused:
        write_refused(wrong)
        rows = [row if row not in wrong else (*row[:6], f"refused: {why_refused(row[6])}") for row in rows]
    text = f"# Made by scripts/crs-agreement.py with PROJ {pyproj.proj_version_str}, without grids; up to {len(LATTICE)} points\n"
    text += "authority\tcode\tpoints compared\tpoints refused as ballpark\tworst forward, mm\tworst inverse, mm\tverdict\n"
    text += "".join(f"{a}\t{c}\t{n}\t{b}\t{f:.6f}\t{i:.6f}\t{v}\n" for a, c, n, b, f, i, v in rows)
    if not args.only and args.every == 1:
        write_sample(samples)
    if not args.only or args.output != RESULT:
        args.output.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    counts = collections.Counter(row[6].split(":")[0] if row[6].startswith("WRONG") else row[6] for row in rows)
    for verdict, count in counts.most_common():
        print(count, verdict)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    sys.exit(main())
