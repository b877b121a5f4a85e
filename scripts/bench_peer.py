#!/usr/bin/env python3
"""The clip as one writes it with rasterio: the peer of scripts/bench.

    scripts/bench_peer.py URL CUTLINE OUT

CUTLINE is GeoJSON in longitude and latitude. OUT is a tiled GeoTIFF in deflate, without overviews. Nothing is imported
that the clip does not need, so that the start costs no more than it must. GDAL's settings come from the environment.
"""

import json
import sys

import rasterio
import rasterio.mask
from rasterio.warp import transform_geom


def main():
    url, cutline, out = sys.argv[1:]
    with open(cutline) as file:
        shapes = [feature["geometry"] for feature in json.load(file)["features"]]
    with rasterio.open(url) as source:
        shapes = transform_geom("OGC:CRS84", source.crs, shapes)
        pixels, transform = rasterio.mask.mask(source, shapes, crop=True)
        profile = dict(crs=source.crs, nodata=source.nodata, transform=transform, dtype=pixels.dtype)
    count, height, width = pixels.shape
    profile |= dict(driver="GTiff", count=count, height=height, width=width, tiled=True, blockxsize=256, blockysize=256)
    with rasterio.open(out, "w", **profile, compress="deflate", bigtiff="IF_SAFER") as clip:
        clip.write(pixels)


if __name__ == "__main__":
    main()
