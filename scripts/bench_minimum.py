"""The fewest bytes that a clip can fetch, and which tiles it could keep as they are, by rasterio and tifffile."""

import hashlib
import json

import numpy as np
import rasterio
import tifffile
from rasterio.features import geometry_mask
from rasterio.transform import Affine
from rasterio.warp import transform_geom


def read_shapes(cutline, crs):
    """The polygons of a GeoJSON file in longitude and latitude, in another CRS."""
    features = json.loads(cutline.read_text())["features"]
    return transform_geom("OGC:CRS84", crs, [feature["geometry"] for feature in features])


def kept_pixels(source, shapes, tile, tiles_down, tiles_across):
    """How many pixels of each tile the polygons hold by GDAL's centre rule; those beyond the raster do not count."""
    kept = np.zeros((tiles_down, tiles_across), int)
    for row in range(tiles_down):
        height = min(tile, source.height - row * tile)
        transform = source.transform * Affine.translation(0, row * tile)
        inside = geometry_mask(shapes, (height, source.width), transform, invert=True)
        kept[row] = np.add.reduceat(inside.sum(axis=0, dtype=int), np.arange(0, source.width, tile))
    return kept


def minimum_bytes(raster, cutline):
    """The header, to the end of the first directory's arrays, and the full-resolution tiles that hold a pixel."""
    with rasterio.open(raster) as source, tifffile.TiffFile(raster) as tiff:
        page = tiff.pages.first
        down, across = -(-source.height // page.tilelength), -(-source.width // page.tilewidth)
        assert (
            page.tilewidth == page.tilelength and page.planarconfig == 1 and len(page.dataoffsets) == down * across
        ), raster
        first_tile = min(offset for each in tiff.pages for offset in each.dataoffsets if offset)
        ends = [tag.valueoffset + tag.valuebytecount for tag in page.tags]
        header = max(end for end in ends if end <= first_tile)
        kept = kept_pixels(source, read_shapes(cutline, source.crs), page.tilewidth, down, across)
        counts = np.array(page.databytecounts).reshape(kept.shape)
    return int(header + counts[kept > 0].sum())


def tile_hashes(raster):
    """The digest of each encoded tile of the first image, by row and column, its tile size, and its compression."""
    with tifffile.TiffFile(raster) as tiff, open(raster, "rb") as file:
        page = tiff.pages.first
        across = -(-page.imagewidth // page.tilewidth)
        digests = {}
        for index, (offset, length) in enumerate(zip(page.dataoffsets, page.databytecounts, strict=True)):
            file.seek(offset)
            digests[divmod(index, across)] = hashlib.sha256(file.read(length)).digest() if length else None
        return digests, page.tilewidth, (page.compression, page.predictor)


def kept_tiles(raster, cutline, clip):
    """How many tiles hold a pixel of the polygons, are wholly inside, and of these are the same bytes in the clip."""
    theirs, tile, how = tile_hashes(raster)
    ours, our_tile, our_how = tile_hashes(clip)
    with rasterio.open(raster) as source, rasterio.open(clip) as out:
        col, row = (round(v) for v in ~source.transform * (out.transform.c, out.transform.f))
        down, across = -(-source.height // tile), -(-source.width // tile)
        kept = kept_pixels(source, read_shapes(cutline, source.crs), tile, down, across)
    touched = int(np.count_nonzero(kept))
    inside = [tuple(place) for place in np.argwhere(kept == tile * tile).tolist()]
    if our_tile != tile or how != our_how or col % tile or row % tile:
        return touched, len(inside), 0
    shift = row // tile, col // tile
    equal = sum(theirs[place] == ours.get((place[0] - shift[0], place[1] - shift[1])) for place in inside)
    return touched, len(inside), equal


def differing_pixels(ours, theirs, tolerance):
    """Pixels of which any band differs by more than `tolerance` (NaN is NaN), and pixels in all; None: another grid."""
    with rasterio.open(ours) as a, rasterio.open(theirs) as b:
        if (
            a.shape != b.shape
            or a.count != b.count
            or not a.transform.almost_equals(b.transform, 1e-9 * max(map(abs, a.transform)))
        ):
            return None, a.width * a.height
        wrong = 0
        for start in range(0, a.height, 1024):
            window = ((start, min(start + 1024, a.height)), (0, a.width))
            left, right = a.read(window=window), b.read(window=window)
            if left.dtype.kind == "f":
                left, right = np.nan_to_num(left, nan=-1e38), np.nan_to_num(right, nan=-1e38)
            unlike = left != right
            if tolerance:
                unlike &= np.abs(left.astype(float) - right) > tolerance
            wrong += int(np.count_nonzero(unlike.any(axis=0)))
        return wrong, a.width * a.height
