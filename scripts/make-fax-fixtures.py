#!/usr/bin/env python3
"""Writes testdata/codec/fax3-2d-*.tif: bilevel images in two-dimensional Group 3, which GDAL does not write. Needs tiffcp
(libtiff's tools) and rasterio.

    make-fax-fixtures.py

Pixel (x, y) is 1 where (3 x + 2 y) mod 37 < 9, or where it lies within 30 pixels of (60, 50).
"""

import subprocess
import tempfile
from pathlib import Path

import numpy as np
import rasterio
from rasterio import Affine

FOLDER = Path(__file__).resolve().parent.parent / "testdata" / "codec"
WIDTH, HEIGHT = 131, 97

y, x = np.mgrid[:HEIGHT, :WIDTH]
image = (((x * 3 + y * 2) % 37 < 9) | ((x - 60) ** 2 + (y - 50) ** 2 < 900)).astype("u1")
with tempfile.TemporaryDirectory() as folder:
    plain = Path(folder) / "plain.tif"
    profile = dict(driver="GTiff", width=WIDTH, height=HEIGHT, count=1, dtype="uint8", NBITS=1, transform=Affine(1, 0, 0, 0, -1, HEIGHT))
    with rasterio.open(plain, "w", **profile) as out:
        out.write(image, 1)
    for name, options in (("fill", ["-c", "g3:2d:fill"]), ("lsb", ["-c", "g3:2d", "-f", "lsb2msb"])):
        made = FOLDER / f"fax3-2d-{name}-u1.tif"
        subprocess.run(["tiffcp", *options, plain, made], check=True)
        with rasterio.open(made) as source:
            assert np.array_equal(source.read(1), image), made
