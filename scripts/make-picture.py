#!/usr/bin/env python3
"""Draws docs/clip.png from the sample: the source with its cutline on the left, the clip on the right.

    scripts/make-picture.py [CLIP]

CLIP is what cogclip wrote of testdata/sample (the README's first command writes target/field.tif). Without it, the clip is
rasterio.mask's. Needs the packages of scripts/requirements.txt.
"""

import json
import os
import sys
from pathlib import Path

os.environ["GDAL_PAM_ENABLED"] = "NO"

import numpy as np
import rasterio
from rasterio.features import geometry_mask
from rasterio.mask import mask as rasterio_mask
from rasterio.warp import transform_geom
from shapely.geometry import mapping, shape

ROOT = Path(__file__).resolve().parent.parent
STEP = 2  # every second pixel: a README's column is about 900 pixels wide
GAP = 24


def checkers(height, width):
    """What shows through where there is no pixel."""
    y, x = np.mgrid[0:height, 0:width] // 12
    return np.where((x + y) % 2, 255, 236).astype("uint8")


def main():
    with rasterio.open(ROOT / "testdata/sample/scene.tif") as src:
        scene = src.read()
        field = json.loads((ROOT / "testdata/sample/field.geojson").read_text())["features"][0]["geometry"]
        outline = transform_geom("EPSG:4326", src.crs, field)
        if len(sys.argv) > 1:
            with rasterio.open(sys.argv[1]) as clip:
                part, valid, place = clip.read(), clip.dataset_mask() > 0, ~src.transform @ (clip.transform.c, clip.transform.f)
        else:
            got, transform = rasterio_mask(src, [outline], crop=True, filled=False)
            part, valid, place = got.data, ~got.mask[0], ~src.transform @ (transform.c, transform.f)
        line = shape(outline).boundary.buffer(2.2 * src.res[0])
        on_line = ~geometry_mask([mapping(line)], scene.shape[1:], src.transform)
    left = np.where(on_line, np.array([[[222]], [[36]], [[52]]], "uint8"), scene)
    col, row = (round(v) for v in place)
    right = np.broadcast_to(checkers(*scene.shape[1:]), scene.shape).copy()
    window = right[:, row : row + part.shape[1], col : col + part.shape[2]]
    window[:, valid] = part[:, valid]
    # One pixel of the picture is the mean of STEP x STEP, so that the outline is smooth.
    sheet = np.concatenate([left, np.full((3, left.shape[1], GAP), 255, "uint8"), right], axis=2)
    sheet = sheet[:, : sheet.shape[1] // STEP * STEP, : sheet.shape[2] // STEP * STEP].astype("f4")
    sheet = sheet.reshape(3, sheet.shape[1] // STEP, STEP, sheet.shape[2] // STEP, STEP).mean(axis=(2, 4)).round().astype("uint8")
    (ROOT / "docs").mkdir(exist_ok=True)
    with rasterio.open(ROOT / "docs/clip.png", "w", driver="PNG", count=3, dtype="uint8", height=sheet.shape[1], width=sheet.shape[2], zlevel=9) as out:
        out.write(sheet)
    print(f"docs/clip.png: {sheet.shape[2]} x {sheet.shape[1]}")


if __name__ == "__main__":
    sys.exit(main())
