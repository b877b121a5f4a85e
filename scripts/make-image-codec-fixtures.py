#!/usr/bin/env python3
"""Makes testdata/codec/images.*: strips and tiles as other programs store them with JPEG, WebP and CCITT, and the
pixels that libtiff (through rasterio) reads from them. Nothing here comes from cogclip.

Needs numpy, tifffile, imagecodecs and rasterio. images.tsv has one line per strip or tile:
    name  kind  width  rows  samples per pixel  offset  length  tables' offset  tables' length  expected offset  length
kind is ycbcr or raw (JPEG), webp, or rle, g3-1d, g3-2d, g4. Offsets are in images.bin and, of the pixels,
images-expected.bin. CCITT's pixels are packed, 1 for black runs.
"""

import io
import pathlib
import tempfile

import imagecodecs
import numpy as np
import rasterio
import tifffile

OUT = pathlib.Path(__file__).resolve().parent.parent / "testdata" / "codec"
lines, stored, expected = [], bytearray(), bytearray()
rng = np.random.default_rng(7)


def picture(h, w, c):
    y, x = np.mgrid[:h, :w]
    bands = [128 + 90 * np.sin(x / (6 + k)) * np.cos(y / (8 + k)) + rng.integers(-20, 21, (h, w)) for k in range(c)]
    return np.clip(np.stack(bands, -1), 0, 255).astype("uint8")


def drawing(h, w):
    y, x = np.mgrid[:h, :w]
    a = ((x - w / 2) ** 2 + (y - h / 2) ** 2 < (h / 3) ** 2) ^ (x % 11 == 3) ^ (y % 7 == 5)
    a[h // 2] = rng.integers(0, 2, w)
    a[h // 2 + 1] = 1
    return a.astype("uint8")


def keep(data):
    at = len(stored)
    stored.extend(data)
    return at, len(data)


def add(name, kind, data, tables, pixels, rows, width, spp):
    lines.append([name, kind, width, rows, spp, *keep(data), *keep(tables or b""), len(expected), len(pixels)])
    expected.extend(pixels)


def split(name, kind, data, spp, keep_which=None):
    """Every strip or tile of a TIFF, with rasterio's reading of it."""
    with tifffile.TiffFile(io.BytesIO(data)) as tif, rasterio.MemoryFile(data) as memory, memory.open() as src:
        page = tif.pages[0]
        tables = page.tags[347].value if 347 in page.tags else None
        wide, high = (page.tilewidth, page.tilelength) if page.is_tiled else (page.imagewidth, page.rowsperstrip)
        a = np.moveaxis(src.read(), 0, -1)
        if page.photometric == 5:  # GDAL makes RGBA of CMYK.
            a = page.asarray()
        across = -(-page.imagewidth // wide)
        for number, (offset, length) in enumerate(zip(page.dataoffsets, page.databytecounts, strict=True)):
            if keep_which is not None and number not in keep_which:
                continue
            y, x = number // across * high, number % across * wide
            part = a[y : y + high, x : x + wide]
            if part.shape[1] != wide:
                continue
            if kind in ("rle", "g3-1d", "g3-2d", "g4"):
                pixels = np.packbits(part[..., 0], axis=1).tobytes()  # GDAL shows libtiff's bits as they are.
            else:
                pixels = part.tobytes()
            payload = data[offset : offset + length]
            if page.fillorder == 2:
                payload = bytes(int(f"{b:08b}"[::-1], 2) for b in payload)
            add(f"{name}-{number}", kind, payload, tables, pixels, part.shape[0], wide, spp)


def gdal(a, **options):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "a.tif"
        profile = dict(driver="GTiff", width=a.shape[1], height=a.shape[0], count=a.shape[2], dtype="uint8", interleave="pixel")
        with rasterio.open(path, "w", **profile, **options) as dst:
            dst.write(np.moveaxis(a, -1, 0))
        return path.read_bytes()


def tiff(a, **options):
    out = io.BytesIO()
    tifffile.imwrite(out, a, metadata=None, **options)
    return out.getvalue()


# JPEG: GDAL's own, tiled and in strips with a short last one (written in full or not, as libtiff likes).
split("gdal-ycbcr-tile", "ycbcr", gdal(picture(32, 48, 3), tiled=True, blockxsize=48, blockysize=32, compress="JPEG", photometric="YCBCR"), 3)
split("gdal-ycbcr-strips", "ycbcr", gdal(picture(37, 53, 3), blockysize=16, compress="JPEG", photometric="YCBCR", JPEG_QUALITY=90), 3)
for spp, photometric in ((1, "MINISBLACK"), (2, "MINISBLACK"), (3, "RGB"), (4, "RGB"), (4, "CMYK")):
    options = dict(compress="JPEG", photometric=photometric, blockysize=24, JPEG_QUALITY=85)
    split(f"gdal-{photometric.lower()}{spp}", "raw", gdal(picture(29, 41, spp), **options), spp)
# Every subsampling, as libjpeg decodes it.
for h, w in ((33, 35), (17, 3), (40, 2)):
    for sampling in ("444", "422", "420", "440", "411"):
        data = imagecodecs.jpeg8_encode(picture(h, w, 3), level=80, colorspace="RGB", outcolorspace="YCBCR", subsampling=sampling)
        pixels = imagecodecs.jpeg8_decode(data, colorspace="YCBCR", outcolorspace="RGB")
        add(f"libjpeg-{sampling}-{w}", "ycbcr", data, None, pixels.tobytes(), h, w, 3)
# GDAL's JPEG driver writes progressive streams.
for spp in (1, 3):
    for name, options in (("progressive", dict(PROGRESSIVE="YES")), ("baseline", {})):
        a = np.moveaxis(picture(45, 38, spp), -1, 0)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "a.jpg"
            with rasterio.open(path, "w", driver="JPEG", width=38, height=45, count=spp, dtype="uint8", QUALITY=85, **options) as dst:
                dst.write(a)
            with rasterio.open(path) as src:
                pixels = np.moveaxis(src.read(), 0, -1).tobytes()
            add(f"gdal-{name}-{spp}", "ycbcr" if spp == 3 else "raw", path.read_bytes(), None, pixels, 45, 38, spp)

# WebP.
for spp in (3, 4):
    a = picture(32, 32, spp)
    for quality in (30, 75, 95):
        split(f"gdal-webp-lossy{quality}-{spp}", "webp", gdal(a, compress="WEBP", WEBP_LEVEL=quality, tiled=True, blockxsize=32, blockysize=32), spp)
    split(f"gdal-webp-lossless-{spp}", "webp", gdal(picture(21, 37, spp), compress="WEBP", WEBP_LOSSLESS="YES", blockysize=16), spp)
a = picture(32, 32, 4)
a[..., 3] = 255
split("gdal-webp-opaque-4", "webp", gdal(a, compress="WEBP", WEBP_LOSSLESS="YES", tiled=True, blockxsize=32, blockysize=32), 4)
split("gdal-webp-opaque-lossy-4", "webp", gdal(a, compress="WEBP", tiled=True, blockxsize=32, blockysize=32), 4)

# CCITT.
for name, a in (("noise", rng.integers(0, 2, (19, 37)).astype("uint8")), ("lines", drawing(40, 83)), ("wide", drawing(9, 3001)),
                ("white", np.zeros((8, 64), "uint8")), ("black", np.ones((8, 61), "uint8"))):  # fmt: skip
    for kind, compress in (("rle", "CCITTRLE"), ("g3", "CCITTFAX3"), ("g4", "CCITTFAX4")):
        data = gdal(a[..., None], compress=compress, NBITS=1, blockysize=16)
        split(f"gdal-{kind}-{name}", "g3-1d" if kind == "g3" else kind, data, 1)
    split(f"tifffile-g4-{name}", "g4", gdal(np.pad(a, ((0, -len(a) % 16), (0, -a.shape[1] % 16)))[:16, :64, None] if name == "lines" else a[..., None],
          compress="CCITTFAX4", NBITS=1, **(dict(tiled=True, blockxsize=64, blockysize=16) if name == "lines" else {})), 1)  # fmt: skip

OUT.mkdir(parents=True, exist_ok=True)
(OUT / "images.bin").write_bytes(stored)
(OUT / "images-expected.bin").write_bytes(expected)
(OUT / "images.tsv").write_text("".join("\t".join(map(str, line)) + "\n" for line in lines))
print(len(lines), "strips and tiles,", len(stored), "stored bytes,", len(expected), "expected bytes")
