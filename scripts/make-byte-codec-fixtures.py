#!/usr/bin/env python3
"""Makes testdata/codec/more.*: tiles as other programs compress them with Zstandard, LZMA, LERC, JPEG XL and PackBits.

Needs numpy, tifffile, imagecodecs and rasterio. Every stored tile comes from GDAL (through rasterio) or from
tifffile/imagecodecs, and so does what it decodes to; none from cogclip.

more.tsv has one line per tile:
    writer  compression  LERC's wrapping  sample type  samples per pixel  tile width  tile height  largest error
    offset  length  expected offset  expected length
Offsets and lengths are in bytes: of the stored tile in more.stored.bin, and of its samples, as the other program reads
them back, in more.expected.bin (little-endian, pixel by pixel, the whole tile). The largest error is 0 where the
samples must be these to the bit. Zstandard and LZMA have no predictor here (GDAL's predictor 1).
"""

import io
import pathlib
import tempfile
import warnings

import imagecodecs
import numpy as np
import rasterio
import tifffile
from rasterio.enums import ColorInterp

warnings.filterwarnings("ignore")
OUT = pathlib.Path(__file__).resolve().parent.parent / "testdata" / "codec"
SHAPE = 9, 11
rows, stored, expected = [], bytearray(), bytearray()
seen = {}


def keep(writer, code, wrapping, a, data, error=0):
    """`a` is (rows, columns, samples) as read back."""
    want = np.ascontiguousarray(a).astype(a.dtype.newbyteorder("<")).tobytes()
    if want not in seen:
        seen[want] = len(expected)
        expected.extend(want)
    rows.append(
        [writer, code, wrapping, a.dtype.name, a.shape[2], a.shape[1], a.shape[0], error]
        + [len(stored), len(data), seen[want], len(want)]
    )
    stored.extend(data)


def image(dtype, spp, shape=SHAPE, seed=7):
    rng = np.random.default_rng(seed)
    ramp = np.add.outer(np.arange(shape[0]) * 3, np.arange(shape[1]) * 2)[..., None] + np.arange(spp) * 40
    ramp = ramp + rng.integers(0, 5, ramp.shape)
    if dtype.startswith("float"):
        return (ramp * 1.37 - 55.5).astype(dtype)
    if dtype.startswith("int"):
        ramp = ramp - 60
    info = np.iinfo(dtype)
    return np.clip(ramp, info.min, info.max).astype(dtype)


def by_gdal(a, compression, code, wrapping=0, interleave="pixel", alpha=False, error=0, **options):
    """A file of one strip (of one a band, if interleaved by band) as GDAL writes and reads it."""
    rows, columns, spp = a.shape
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "a.tif"
        profile = dict(driver="GTiff", width=columns, height=rows, count=spp, dtype=a.dtype.name, tiled=False,
                       blockysize=rows, interleave=interleave, compress=compression, **options)  # fmt: skip
        if alpha:
            profile.update(photometric="RGB", alpha="UNSPECIFIED" if alpha == "none" else "NON-PREMULTIPLIED")
        with rasterio.open(path, "w", **profile) as dst:
            if alpha:
                dst.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
            dst.write(np.moveaxis(a, -1, 0))
        with rasterio.open(path) as src:
            b = np.moveaxis(src.read(), 0, -1)
        with tifffile.TiffFile(path) as tif:
            page = tif.pages[0]
            assert int(page.compression) == code, page.compression
            raw = path.read_bytes()
            for at, (offset, length) in enumerate(zip(page.dataoffsets, page.databytecounts, strict=True)):
                part = b if interleave == "pixel" else b[..., at : at + 1]
                keep("gdal", code, wrapping, part, raw[offset : offset + length], error)


for dtype in ["uint8", "uint16", "float32"]:
    for spp in (1, 3):
        by_gdal(image(dtype, spp), "ZSTD", 50000, zstd_level=9)
        by_gdal(image(dtype, spp), "LZMA", 34925, lzma_preset=6)
flat = np.zeros((*SHAPE, 1), "uint8")
by_gdal(flat, "ZSTD", 50000, zstd_level=22)
by_gdal(flat, "LZMA", 34925, lzma_preset=9)
large = image("uint16", 1, (40, 32))
for level in (1, 3, 19, 22):
    keep("imagecodecs", 50000, 0, large, imagecodecs.zstd_encode(large.tobytes(), level=level))
half = large.nbytes // 2
frames = [imagecodecs.zstd_encode(part, level=5) for part in (large.tobytes()[:half], large.tobytes()[half:])]
keep("imagecodecs", 50000, 0, large, b"".join([frames[0], b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc", frames[1]]))
keep("imagecodecs", 34925, 0, large, imagecodecs.lzma_encode(large.tobytes(), level=6))

WRAPPINGS = {"LERC": 0, "LERC_DEFLATE": 1, "LERC_ZSTD": 2}
for dtype in ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"]:
    for spp in (1, 3, 4):
        for at, (name, wrapping) in enumerate(WRAPPINGS.items()):
            if at != spp % 3 and spp != 1:
                continue
            by_gdal(image(dtype, spp), name, 34887, wrapping, max_z_error=0)
    by_gdal(image(dtype, 3), "LERC", 34887, 0, interleave="band", max_z_error=0)
    by_gdal(image(dtype, 1), "LERC", 34887, 0, max_z_error=0.01 if dtype.startswith("float") else 1)
    by_gdal(np.full((*SHAPE, 1), 7, dtype), "LERC", 34887, 0)
    by_gdal(np.tile(np.array([1, 2, 3], dtype), (*SHAPE, 1)), "LERC_ZSTD", 34887, 2)
for dtype in ("float32", "float64"):
    for spp in (1, 3):
        for how in ("all", "some", "every"):
            a = image(dtype, spp)
            if how == "all":
                a[2:5, 3:9] = np.nan
            elif how == "some":
                a[2:5, 3:9, 0] = np.nan
                a[7, 7, spp - 1] = np.nan
            else:
                a[:] = np.nan
            by_gdal(a, "LERC", 34887, 0)
            by_gdal(a, "LERC_DEFLATE", 34887, 1, max_z_error=0.01)
mask = np.where(np.add.outer(np.arange(SHAPE[0]), np.arange(SHAPE[1])) % 5 < 2, 0, 255)
for name, alpha in {"mask": mask, "opaque": mask * 0 + 255, "clear": mask * 0, "soft": mask // 2 + 9}.items():
    a = image("uint8", 4)
    a[..., 3] = alpha
    by_gdal(a, "LERC", 34887, 0, alpha=True)
    by_gdal(a, "LERC_ZSTD", 34887, 2, alpha=True)
    by_gdal(a, "LERC", 34887, 0, interleave="band", alpha=True)
wide = image("float32", 1, (24, 32))
by_gdal(wide, "LERC", 34887, 0, max_z_error=0.5)

for dtype in ("uint8", "uint16"):
    for spp in (1, 3, 4):  # imagecodecs writes no grey with alpha.
        a = image(dtype, spp, (17, 20))
        data = imagecodecs.jpegxl_encode(a if spp > 1 else a[..., 0], lossless=True, photometric="gray" if spp < 3 else "rgb")
        keep("imagecodecs", 50002, 0, imagecodecs.jpegxl_decode(data).reshape(a.shape), data)
for spp in (1, 3):
    # libjxl's encoder refuses some arrays of floats (JXL_ENC_ERR_GENERIC); it takes these.
    a = np.linspace(0, 1, 12 * 14 * spp).reshape(12, 14, spp).astype("float32")
    data = imagecodecs.jpegxl_encode(a if spp > 1 else a[..., 0], lossless=True, photometric="gray" if spp < 3 else "rgb")
    keep("imagecodecs", 50002, 0, imagecodecs.jpegxl_decode(data).reshape(a.shape), data)
for dtype, error in (("uint8", 2), ("uint16", 300)):
    for spp in (1, 3, 4):
        a = image(dtype, spp, (24, 24))
        if dtype == "uint16":
            a = a * 150
        data = imagecodecs.jpegxl_encode(a if spp > 1 else a[..., 0], distance=1.0, lossless=False)
        keep("imagecodecs", 50002, 0, imagecodecs.jpegxl_decode(data).reshape(a.shape), data, error)

for dtype in ("uint8", "uint16"):
    a = image(dtype, 1, (20, 32))
    a[3:9] = 5
    a[:, 10:30] = 9
    a[11, ::3] = 1
    by_gdal(a, "PACKBITS", 32773)

OUT.mkdir(parents=True, exist_ok=True)
(OUT / "more.stored.bin").write_bytes(stored)
(OUT / "more.expected.bin").write_bytes(expected)
(OUT / "more.tsv").write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
print(len(rows), "tiles,", len(stored), "stored bytes,", len(expected), "expected bytes")
