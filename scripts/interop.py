#!/usr/bin/env python3
"""Holds what cogclip writes against rasterio (GDAL 3.12), tifffile and rio-cogeo.

    scripts/interop.py --bin target/release/cogclip [--match TEXT] [--verbose]

For each raster of testdata/ and the sample, in its own CRS:
  clip      pixels, validity, grid and metadata equal rasterio.mask, by the centre rule and with --all-touched
  cog       rio_cogeo's strict validation has no error and no warning; `cogclip validate` agrees
  readers   tifffile decodes every level; there are overviews wherever the image is larger than a block
  overview  the first overview is the 2 x 2 average of the output's own pixels (even sizes only: at odd sizes GDAL weighs the
            last row and column, which is a matter of taste). Integers must be equal; floats within 1e-6 of the larger
            value, 64-bit integers within 1e-15, since GDAL averages them in floating point.
For exif-u8 and exif-be-u8:
  tags      rasterio shows the same EXIF and TIFF tags of the clip, but for those that docs/tags.md says are dropped
For each image of pages.tif:
  image     `--ifd N` gives the samples and the place that GDAL's GTIFF_DIR gives
For each raster in a real CRS, with a cutline in longitude and latitude:
  reproject every pixel equals what GDAL burns from the same outline turned point by point by PROJ after cutting its edges
            into 2,000 pieces, but for pixels that the exact edge itself leaves open: cogclip may be wrong by 0.1 pixel along
            an edge (behaviour: `densify`), so that a pixel may differ if its centre is within 0.1 pixel of the exact edge
            (with --all-touched: if that edge is within 0.1 pixel of its rim and does not reach further in). Not more than
            1 in 20 of the pixels that the edge runs through may differ even so.

One line a failure (with --verbose: a check), and `N passed, N failed` at the end.
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
import tifffile
from rasterio.enums import ColorInterp, Resampling
from rasterio.features import geometry_mask
from rasterio.io import MemoryFile
from rasterio.mask import mask as rasterio_mask
from rio_cogeo.cogeo import cog_validate
from shapely.geometry import box, mapping, shape

warnings.filterwarnings("ignore")

TESTDATA = Path(__file__).resolve().parent.parent / "testdata"
LONLAT = ("crs-epsg3857-u8", "crs-epsg3035-u8", "crs-epsg2154-u8", "crs-epsg5070-u8", "crs-epsg6933-u8", "deflate-p2-u8-3band-tiled")


class Tally:
    def __init__(self, verbose):
        self.passed, self.failed, self.verbose = 0, 0, verbose

    def check(self, name, function, *args):
        """Runs a check, which raises AssertionError or returns what it saw."""
        try:
            seen = function(*args) or ""
        except Exception as error:  # a reader that throws is a finding, too
            self.failed += 1
            print(f"FAIL {name}: {type(error).__name__}: {error}" if not isinstance(error, AssertionError) else f"FAIL {name}: {error}")
            return False
        self.passed += 1
        if self.verbose:
            print(f"ok   {name} {seen}")
        return True


def run(*command):
    return succeeded(subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=120))


def succeeded(done):
    last = (done.stderr.strip().splitlines() or [""])[-1]
    assert done.returncode == 0, f"exit {done.returncode}: {last}"
    return done


def same_number(a, b):
    return a == b or (isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b))


# --- checks of one output ------------------------------------------------------------------------------------------------


def clip_equals(src, out_path, geometry, touched):
    want, transform = rasterio_mask(src, [geometry], all_touched=touched, crop=True, filled=False)
    lost = np.ma.getmaskarray(want)
    with rasterio.open(out_path) as out:
        assert out.dtypes == src.dtypes, f"bands {out.dtypes}, not {src.dtypes}"
        assert out.count == src.count, f"{out.count} bands, not {src.count}"
        pixel = max(map(abs, transform[:6][:2] + transform[:6][3:5]))
        by_gcps = src.gcps[0] and src.transform.is_identity
        col, row = (0, 0) if by_gcps else (round(v) for v in ~transform * (out.transform.c, out.transform.f))
        if not by_gcps:
            off = max(abs(a - b) for a, b in zip(out.transform[:6], (transform * transform.translation(col, row))[:6]))
            assert off <= pixel * 1e-6, f"transform {out.transform[:6]}, not {transform[:6]}"
        # rasterio's window may be larger by a column or row that rounding alone brought; nothing there may be valid.
        slack = (col, row, want.shape[2] - col - out.width, want.shape[1] - row - out.height)
        assert all(side in (0, 1) for side in slack), f"window is off by {slack} (left, top, right, bottom)"
        part = want[:, row:row + out.height, col:col + out.width]
        assert part.count() == want.count(), "the window leaves out valid samples"
        want, lost = part, np.ma.getmaskarray(part)
        got, valid = out.read(), out.read_masks() > 0
        alpha = [c == ColorInterp.alpha for c in out.colorinterp]
        assert alpha == [c == ColorInterp.alpha for c in src.colorinterp], f"colour interpretation {out.colorinterp}"
        for band in range(out.count):
            where = f"band {band + 1}"
            if alpha[band]:
                expected = np.where(lost[band], 0, want.data[band])
                assert (got[band] == expected).all(), f"{where}, alpha: {(got[band] != expected).sum()} samples differ"
                continue
            keep = ~lost[band]
            a, b = got[band][keep], want.data[band][keep]
            unequal = (a != b) & ~(np.isnan(a) & np.isnan(b)) if a.dtype.kind in "fc" else a != b
            assert not unequal.any(), f"{where}: {unequal.sum()} of {keep.sum()} kept samples differ"
            leaked = valid[band] & lost[band]
            assert not leaked.any(), f"{where}: {leaked.sum()} masked samples read as valid"
            hidden = ~valid[band] & keep
            assert not hidden.any(), f"{where}: {hidden.sum()} valid samples read as masked"
        assert out.crs == src.crs, f"CRS {out.crs}, not {src.crs}"
        if src.nodata is not None:
            assert out.nodata is not None and same_number(float(out.nodata), float(src.nodata)), f"nodata {out.nodata}, not {src.nodata}"
        for name in ("descriptions", "scales", "offsets", "units", "colorinterp"):
            assert getattr(out, name) == getattr(src, name), f"{name} {getattr(out, name)}, not {getattr(src, name)}"
        for band in (0, *src.indexes):
            for domain in (None, "ACQUISITION"):
                before, after = src.tags(band, ns=domain), out.tags(band, ns=domain)
                wrong = {k for k, v in before.items() if after.get(k) != v and not k.startswith("STATISTICS_")}
                assert not wrong, f"tags of band {band} lost or changed: {sorted(wrong)}"
                assert not any(k.startswith("STATISTICS_") for k in after), "statistics of the source are kept"
        assert len(out.gcps[0]) == len(src.gcps[0]), f"{len(out.gcps[0])} GCPs, not {len(src.gcps[0])}"
        if src.colorinterp[0] == ColorInterp.palette:
            assert out.colormap(1) == src.colormap(1), "colour table differs"
    return f"{want.shape}"


def is_cog(binary, out_path):
    valid, errors, complaints = cog_validate(str(out_path), strict=True, quiet=True)
    assert valid and not errors and not complaints, "; ".join([*errors, *complaints])
    run(binary, "validate", out_path)


def readers_agree(out_path, block):
    with rasterio.open(out_path) as out, tifffile.TiffFile(out_path) as tiff:
        reduced = [p for p in tiff.pages if p.subfiletype & 1 and not p.subfiletype & 4]
        for page in tiff.pages:
            decoded = page.asarray()
            assert decoded.size, f"tifffile: level {page.shape} is empty"
        full = tiff.pages[0].asarray()
        full = full[None] if full.ndim == 2 else np.moveaxis(full, -1, 0) if tiff.pages[0].planarconfig == 1 else full
        got = out.read()
        assert np.array_equal(full, got, equal_nan=got.dtype.kind in "fc"), "tifffile and rasterio read different samples"
        assert len(reduced) == len(out.overviews(1)), f"{len(reduced)} reduced images, but overviews {out.overviews(1)}"
        if max(out.width, out.height) > block:
            assert out.overviews(1), f"{out.width} x {out.height} in blocks of {block}, and no overview"
            last = reduced[-1]
            assert max(last.imagewidth, last.imagelength) <= block, f"the last overview, {last.shape}, is larger than a block"
        for page in tiff.pages:
            assert page.is_tiled and page.tile[:2] == (block, block), f"tiles {page.tile}, not {block}"
        return f"overviews {out.overviews(1)}"


def overview_is_average(out_path):
    with rasterio.open(out_path) as out:
        assert out.width % 2 == 0 and out.height % 2 == 0, "this check wants even sizes"
        assert out.overviews(1), "no overviews"
        full, valid = out.read(), out.read_masks() > 0
        profile = dict(driver="GTiff", width=out.width, height=out.height, count=out.count, dtype=out.dtypes[0], nodata=out.nodata)
    with rasterio.open(out_path, overview_level=0) as level:
        got, got_valid = level.read(), level.read_masks() > 0
    with MemoryFile() as memory:
        with memory.open(**profile) as copy:
            copy.write(full)
            copy.build_overviews([2], Resampling.average)
        with memory.open(overview_level=0) as copy:
            want = copy.read()
    quarters = valid.reshape(valid.shape[0], valid.shape[1] // 2, 2, valid.shape[2] // 2, 2)
    some, every = quarters.any(axis=(2, 4)), quarters.all(axis=(2, 4))
    assert got.shape == want.shape, f"overview {got.shape}, not {want.shape}"
    assert (got_valid == some).all(), f"{(got_valid != some).sum()} samples: valid should be what has a valid sample beneath it"
    # GDAL's copy knows nodata, but has no internal mask: there, only blocks of four valid samples have an answer.
    judged = some if profile["nodata"] is not None else every
    a, b = got[judged], want[judged]
    if a.dtype.kind in "iu" and a.dtype.itemsize < 8:
        unequal = a != b
    else:
        slack = 1e-6 if a.dtype.kind in "fc" else 1e-15
        a, b = a.astype("f8"), b.astype("f8")
        unequal = ~(np.isclose(a, b, rtol=slack, atol=0, equal_nan=True))
    assert judged.any() and not unequal.any(), f"{unequal.sum()} of {judged.sum()} overview samples are not the average"
    return f"{judged.sum()} samples"


# --- cutlines in longitude and latitude -------------------------------------------------------------------------------


def lonlat_cutline(src):
    """A coarse polygon with a hole over the raster: its long edges bend when they are projected."""
    to_lonlat = pyproj.Transformer.from_crs(src.crs, "EPSG:4326", always_xy=True)
    w, h = src.width, src.height
    shell = [(0.06 * w, 0.1 * h), (0.5 * w, 0.21 * h), (0.93 * w, 0.07 * h), (0.78 * w, 0.52 * h), (0.95 * w, 0.93 * h), (0.4 * w, 0.82 * h), (0.1 * w, 0.95 * h)]
    hole = [(0.4 * w, 0.4 * h), (0.6 * w, 0.45 * h), (0.5 * w, 0.66 * h)]
    rings = [[tuple(round(v, 9) for v in to_lonlat.transform(*(src.transform @ p))) for p in ring] for ring in (shell, hole)]
    return shapely.Polygon(rings[0], [rings[1]])


def projected_exactly(src, polygon, pieces=2000):
    """The same outline in the raster's CRS: straight in longitude and latitude, hence bent here."""
    to_raster = pyproj.Transformer.from_crs("EPSG:4326", src.crs, always_xy=True)

    def ring(coords):
        points = np.asarray(coords.coords)
        steps = np.linspace(0, 1, pieces, endpoint=False)[:, None]
        dense = np.concatenate([a + (b - a) * steps for a, b in zip(points[:-1], points[1:])])
        return np.column_stack(to_raster.transform(dense[:, 0], dense[:, 1]))

    return shapely.Polygon(ring(polygon.exterior), [ring(r) for r in polygon.interiors])


def reprojected_equals(src, out_path, exact, touched):
    with rasterio.open(out_path) as out:
        place = ~src.transform @ (out.transform.c, out.transform.f)
        col, row = round(place[0]), round(place[1])
        assert max(abs(place[0] - col), abs(place[1] - row)) < 1e-6, "the output is off the source's grid"
        inside = np.zeros((src.height, src.width), bool)
        inside[row : row + out.height, col : col + out.width] = out.dataset_mask() > 0
        kept = inside[row : row + out.height, col : col + out.width]
        from_source = src.read()[:, row : row + out.height, col : col + out.width]
        assert (out.read() == from_source)[:, kept].all(), "kept samples differ"
    want = geometry_mask([mapping(exact)], inside.shape, src.transform, all_touched=touched, invert=True)
    inverse = ~src.transform
    edge = shapely.transform(exact.boundary, lambda xy: np.column_stack([inverse.a * xy[:, 0] + inverse.b * xy[:, 1] + inverse.c, inverse.d * xy[:, 0] + inverse.e * xy[:, 1] + inverse.f]))
    odd = np.argwhere(inside != want)
    for r, c in odd:
        if touched:
            pixel = box(c, r, c + 1, r + 1)
            open_question = pixel.distance(edge) <= 0.1 and not edge.intersects(pixel.buffer(-0.1, join_style="mitre"))
        else:
            open_question = shapely.Point(c + 0.5, r + 0.5).distance(edge) <= 0.1
        assert open_question, f"pixel {c},{r} differs, and the exact edge leaves no doubt about it"
    assert len(odd) <= edge.length / 20, f"{len(odd)} pixels differ along an edge of {edge.length:.0f} pixels"
    return f"{want.sum()} pixels, {len(odd)} left open by the edge differ"


def validity_equals(src, out_path, geometry, value):
    """However validity is stored: the same samples are valid, and hold the same. `value`: what may have been taken for
    nodata, because it was asked for."""
    want, transform = rasterio_mask(src, [geometry], crop=True, filled=False)
    with rasterio.open(out_path) as out:
        got, masks = out.read(), out.read_masks() > 0
        col, row = (round(v) for v in ~transform * (out.transform.c, out.transform.f))
        want = want[:, row:row + out.height, col:col + out.width]
        seen = 0
        for band in range(src.count):
            if src.colorinterp[band] == ColorInterp.alpha:
                continue
            keep = ~np.ma.getmaskarray(want)[band]
            gained = masks[band] & ~keep
            assert not gained.any(), f"band {band + 1}: {gained.sum()} masked samples read as valid"
            lost = ~masks[band] & keep & (want.data[band] != value if value is not None else True)
            assert not lost.any(), f"band {band + 1}: {lost.sum()} valid samples read as masked"
            same = (got[band] == want.data[band]) | (got[band] != got[band])
            assert same[keep & masks[band]].all(), f"band {band + 1}: kept samples differ"
            seen += int(keep.sum())
    return f"{seen} samples valid"


NO_LONGER_TRUE = {"ComponentsConfiguration", "SubjectArea", "MakerNote", "PixelXDimension", "PixelYDimension", "ImageUniqueID"}


def tags_stay(src_path, out_path):
    with rasterio.open(src_path) as src, rasterio.open(out_path) as out:
        want = {k: v for k, v in src.tags(ns="EXIF").items() if k.removeprefix("EXIF_") not in NO_LONGER_TRUE}
        assert out.tags(ns="EXIF") == want, f"EXIF {out.tags(ns='EXIF')}, not {want}"
        assert out.tags() == src.tags(), f"tags {out.tags()}, not {src.tags()}"
        return f"{len(want)} EXIF tags"


def image_equals(src_path, ifd, out_path):
    with rasterio.open(f"GTIFF_DIR:{ifd + 1}:{src_path}") as src, rasterio.open(out_path) as out:
        assert np.array_equal(out.read(), src.read()), "samples differ"
        assert (out.crs, out.transform, out.dtypes) == (src.crs, src.transform, src.dtypes), (out.profile, src.profile)
        return f"{out.width} x {out.height}"


# --- all of it -----------------------------------------------------------------------------------------------------------


def own_crs(tally, binary, path, cutlines, folder):
    out = folder / "out.tif"
    jobs = [(kind, touched, 512, ()) for kind in ("star", "edges") for touched in (False, True)]
    jobs.append(("leaves", False, 32, ("--blocksize", "32")))
    with rasterio.open(path) as src:
        for kind, touched, block, options in jobs:
            if kind not in cutlines:
                continue
            name = f"{path.name} {kind}{' touched' if touched else ''}"
            geometry = json.loads(cutlines[kind].read_text())["geometry"]
            out.unlink(missing_ok=True)
            command = [binary, "clip", path, out, "--cutline", cutlines[kind], "--cutline-crs", "source", *options]
            if tally.check(f"{name}: runs", run, *command, *(["--all-touched"] if touched else [])):
                tally.check(f"{name}: clip", clip_equals, src, out, geometry, touched)
                tally.check(f"{name}: cog", is_cog, binary, out)
                tally.check(f"{name}: readers", readers_agree, out, block)
        plain = not src.gcps[0] and "star" in cutlines
        bands = src.read_masks(src.indexes[0])
        if plain and all((src.read_masks(i) == bands).all() for i in src.indexes if src.colorinterp[i - 1] != ColorInterp.alpha):
            geometry = json.loads(cutlines["star"].read_text())["geometry"]
            ways = [(None, ("--mask", "internal")), (77, ("--nodata", "77")), (77, ("--mask", "nodata", "--nodata", "77"))]
            colours = src.count - (ColorInterp.alpha in src.colorinterp)
            if colours in (1, 3) and src.dtypes[0] in ("uint8", "uint16"):
                ways.append((None, ("--mask", "alpha")))
            for value, options in ways:
                name = f"{path.name} {' '.join(options)}"
                out.unlink(missing_ok=True)
                command = [binary, "clip", path, out, "--cutline", cutlines["star"], "--cutline-crs", "source", *options]
                if tally.check(f"{name}: runs", run, *command):
                    # A nodata value beside a mask says nothing: readers go by the mask.
                    tally.check(f"{name}: validity", validity_equals, src, out, geometry, value)
                    tally.check(f"{name}: cog", is_cog, binary, out)
        averaged = src.colorinterp[0] != ColorInterp.palette and np.dtype(src.dtypes[0]).kind != "c"
        if src.width % 2 == 0 and src.height % 2 == 0 and averaged and "star" in cutlines:
            out.unlink(missing_ok=True)
            command = [binary, "clip", path, out, "--cutline", cutlines["star"], "--cutline-crs", "source"]
            if tally.check(f"{path.name} overviews: runs", run, *command, "--no-crop", "--blocksize", "32", "--overview-resampling", "average"):
                tally.check(f"{path.name}: overview", overview_is_average, out)
                tally.check(f"{path.name} overviews: cog", is_cog, binary, out)


def reprojected(tally, binary, path, folder):
    out, cut = folder / "out.tif", folder / "cut.geojson"
    with rasterio.open(path) as src:
        polygon = lonlat_cutline(src)
        cut.write_text(json.dumps(mapping(polygon)))
        exact = projected_exactly(src, polygon)
        for touched in (False, True):
            name = f"{path.name} longitude/latitude{' touched' if touched else ''}"
            out.unlink(missing_ok=True)
            if tally.check(f"{name}: runs", run, binary, "clip", path, out, "--cutline", cut, *(["--all-touched"] if touched else [])):
                tally.check(f"{name}: reproject", reprojected_equals, src, out, exact, touched)


def sample(tally, binary, folder):
    scene, field, out = TESTDATA / "sample/scene.tif", TESTDATA / "sample/field.geojson", folder / "out.tif"
    with rasterio.open(scene) as src:
        exact = projected_exactly(src, shape(json.loads(field.read_text())["features"][0]["geometry"]))
        for touched in (False, True):
            name = f"sample/scene.tif{' touched' if touched else ''}"
            out.unlink(missing_ok=True)
            if tally.check(f"{name}: runs", run, binary, "clip", scene, out, "--cutline", field, *(["--all-touched"] if touched else [])):
                tally.check(f"{name}: reproject", reprojected_equals, src, out, exact, touched)
                tally.check(f"{name}: cog", is_cog, binary, out)
                tally.check(f"{name}: readers", readers_agree, out, 512)


def tags_and_images(tally, binary, folder, match):
    out = folder / "out.tif"
    window = ("--bbox", "500100,5299000,501500,5299900", "--cutline-crs", "source", "--overwrite")
    for name in ("exif-u8.tif", "exif-be-u8.tif"):
        if match in name and tally.check(f"{name}: runs", run, binary, "clip", TESTDATA / name, out, *window):
            tally.check(f"{name}: tags", tags_stay, TESTDATA / name, out)
            tally.check(f"{name}: cog", is_cog, binary, out)
    pages = TESTDATA / "pages.tif"
    # The full images, an overview, and a mask: GDAL says of each what its directory says.
    for ifd in range(4) if match in pages.name else ():
        with rasterio.open(f"GTIFF_DIR:{ifd + 1}:{pages}") as src:
            west, east = sorted((src.bounds.left, src.bounds.right))
            south, north = sorted((src.bounds.bottom, src.bounds.top))
        # All of it: the mask of the second image would otherwise put its nodata value into the samples.
        box_of = ("--bbox", f"{west},{south},{east},{north}", "--cutline-crs", "source", "--mask", "internal", "--overwrite")
        if tally.check(f"{pages.name} {ifd}: runs", run, binary, "clip", f"{pages}#ifd={ifd}", out, *box_of):
            tally.check(f"{pages.name} {ifd}: image", image_equals, pages, ifd, out)


def cogs_of(tally, binary, root, folder):
    """Every raster below a folder that is read at all makes an output that is a COG and opens everywhere."""
    out = folder / "out.tif"
    for path in sorted(p for p in root.rglob("*") if p.suffix.lower() in (".tif", ".tiff")):
        try:
            with rasterio.open(path) as src:
                # rio-cogeo wants overviews of a long column, and calls every overview of one invalid.
                bounds, column = src.bounds, src.width == 1 and src.height > 512
                if src.driver != "GTiff" or src.width * src.height * src.count > 2e7:
                    continue
                src.read()  # what is damaged is not read there either
        except rasterio.errors.RasterioError:
            continue
        west, east = sorted((bounds.left, bounds.right))
        south, north = sorted((bounds.bottom, bounds.top))
        middle = {"type": "Polygon", "coordinates": [[[west, south], [east, south], [(west + east) / 2, north], [west, south]]]}
        for block in (512, 64):
            out.unlink(missing_ok=True)
            command = [binary, "clip", path, out, "--cutline", json.dumps(middle), "--cutline-crs", "source", "--blocksize", block]
            done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=120)
            if done.returncode == 4:
                continue
            name = f"{path.name} in blocks of {block}"
            if tally.check(f"{name}: runs", succeeded, done):
                if column:
                    continue
                tally.check(f"{name}: cog", is_cog, binary, out)
                tally.check(f"{name}: readers", readers_agree, out, block)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True, type=Path)
    parser.add_argument("--match", default="", help="only rasters whose name has this in it")
    parser.add_argument("--cogs-of", type=Path, help="instead: is what comes out of every raster below this folder a COG?")
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    binary = args.bin.resolve()
    tally = Tally(args.verbose)
    header, *lines = (TESTDATA / "golden/index.tsv").read_text().splitlines()
    cutlines = {}
    for line in lines:
        row = dict(zip(header.split("\t"), line.split("\t"), strict=True))
        kind = Path(row["cutline"]).stem.rsplit("-", 1)[1]
        cutlines.setdefault(row["source"], {})[kind] = TESTDATA / row["cutline"]
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        if args.cogs_of:
            cogs_of(tally, binary, args.cogs_of, folder)
        else:
            for source in sorted(cutlines):
                if args.match in source:
                    own_crs(tally, binary, TESTDATA / source, cutlines[source], folder)
            for stem in LONLAT:
                if args.match in stem:
                    reprojected(tally, binary, TESTDATA / f"{stem}.tif", folder)
            tags_and_images(tally, binary, folder, args.match)
            if args.match in "sample/scene.tif":
                sample(tally, binary, folder)
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 0 if tally.passed and not tally.failed else 1


if __name__ == "__main__":
    sys.exit(main())
