#!/usr/bin/env python3
"""What each codec of `cogclip clip --compress` writes, bands side by side and by band: compared with rasterio.mask, read by
tifffile, too, and judged by rio-cogeo.

    encodings.py --bin target/release/cogclip [--match TEXT] [--jobs 2] [--json OUT] [--keep DIR]

Lossless codecs must be exact. Lossy ones are measured against what GDAL's own encoder loses at the same quality. One line a
failure, then the counts, as in matrix.py; exit code 1 if anything differs, crashes or is refused.
"""

import random
import re
import subprocess
import sys
from pathlib import Path

import matrix  # sets GDAL's environment, too
import numpy as np
import rasterio
import tifffile
from matrix import Differs, clip, file_name, line_up, message_of, metadata_equal, need, pixels_equal, star, write_gdal
from rasterio.io import MemoryFile
from rasterio.mask import mask as rasterio_mask
from shapely.geometry import mapping

# Name: type, bands, what else. All go through every codec of the help.
SOURCES = {
    "grey u8 mask": dict(type="u8", count=1, validity="mask"), "rgb u8 mask": dict(type="u8", count=3, validity="mask", colour="rgb"),
    "rgba u8": dict(type="u8", count=3, validity="alpha", colour="rgb"), "palette u8": dict(type="u8", count=1, colour="palette"),
    "i8": dict(type="i8", count=1), "u16 4 bands nodata": dict(type="u16", count=4, validity="nodata"), "i16": dict(type="i16", count=2),
    "i32": dict(type="i32", count=1), "u64": dict(type="u64", count=1), "f16": dict(type="f16", count=1),
    "f32 nodata": dict(type="f32", count=1, validity="nodata"), "f32 3 bands mask": dict(type="f32", count=3, validity="mask"),
    "f64": dict(type="f64", count=2), "cf32": dict(type="cf32", count=1), "bit4": dict(type="bit4", count=1),
    "source deflate": dict(type="u16", count=1, codec="deflate", predictor=2), "source lzw": dict(type="u8", count=1, codec="lzw"),
    "source zstd": dict(type="i16", count=2, codec="zstd", predictor=2), "source packbits": dict(type="u8", count=1, codec="packbits"),
    "source lerc": dict(type="f32", count=1, codec="lerc"), "source jpeg": dict(type="u8", count=3, codec="jpeg-ycbcr", validity="mask"),
    "source webp": dict(type="u8", count=3, codec="webp-lossless", validity="alpha"),
}  # fmt: skip


def loss_of_gdal(want, codec, by_pixel):
    """By how much GDAL's own encoder at the same quality is off in kept pixels, at most and in the mean, given the very tiles
    that cogclip encodes: masked pixels of blocks of 16 that also have kept ones hold the mean of these, all others 0."""
    count, height, width = want.shape
    kept = ~np.ma.getmaskarray(want)
    filled = np.where(kept, want.data, 0)
    for y in range(0, height, 16):
        for x in range(0, width, 16):
            for band in range(min(count, 3) if codec == "webp" else count):
                block, mask = filled[band, y : y + 16, x : x + 16], kept[band, y : y + 16, x : x + 16]
                if mask.any():
                    block[~mask] = round(block[mask].mean())
    profile = dict(driver="GTiff", width=width, height=height, count=count, dtype="uint8", tiled=True, blockxsize=64, blockysize=64)
    profile |= dict(compress="webp", webp_level=75) if codec == "webp" else dict(compress="jpeg", jpeg_quality=75, interleave="pixel" if by_pixel else "band", photometric="YCBCR" if count == 3 and by_pixel else "MINISBLACK")
    with MemoryFile() as memory:
        with memory.open(**profile) as out:
            out.write(filled)
        with memory.open() as out:
            off = np.abs(out.read().astype("i8") - filled)[kept]
            return off.max(), off.mean()


FITTING = {"jpeg": ("u8",), "webp": ("u8",), "lerc": ("u8", "i8", "u16", "i16", "i32", "u32", "f32", "f64")}


def offered(binary, option):
    text = " ".join(subprocess.run([str(binary), "clip", "--help"], capture_output=True, text=True, check=True).stdout.split())
    found = re.search(rf"--{option} <.*?\[possible values: ([^\]]*)\]", text)
    return [v.strip() for v in found[1].split(",")] if found else []


def judge_encoding(job):
    from rio_cogeo.cogeo import cog_validate

    name, path, binary, _, kind, codec, interleave = job
    output = Path(path).parent / (re.sub(r"\W+", "-", name) + ".out.tif")
    try:
        lossy = codec in ("jpeg", "webp lossy")
        codec, quality = codec.removesuffix(" lossy"), ["--quality", "75"] if codec == "webp lossy" else []
        options = ["--compress", codec, *quality, "--blocksize", "64", *(["--interleave", interleave] if interleave else [])]
        with rasterio.open(path) as src:
            geometry = star(random.Random(name), src.width, src.height, src.transform)
            code, line = clip(binary, path, output, geometry, *options)
            asked = src.compression.name.lower() if codec == "source" and src.compression else codec
            family = asked.split("_")[0]
            alpha = any(c.name == "alpha" for c in src.colorinterp)
            if code == 2 and line and family in FITTING and kind not in FITTING[family]:
                return name, "unfit", line
            if code == 2 and line and family == "jpeg" and (alpha or "palette" in name or interleave == "pixel" and src.count not in (1, 3, 4)):
                return name, "unfit", line
            if code == 2 and line and family == "webp" and ("palette" in name or interleave == "band" or src.count not in (3, 4)):
                return name, "unfit", line
            if code == 4:
                return name, "refused", line
            if code:
                return name, "crash", f"exit {code}: {line}"
            with rasterio.open(output) as out, tifffile.TiffFile(output) as tiff:
                written = out.compression.name.lower() if out.compression else "none"
                source = src.compression.name.lower() if src.compression else "none"
                effective = written if codec == "source" else codec
                need(written == (source if codec == "source" else codec), f"compression {written}, not {source if codec == 'source' else codec}")
                if interleave in ("band", "pixel") and out.count > 1:
                    need(tiff.pages[0].planarconfig == (2 if interleave == "band" else 1), f"planar configuration {tiff.pages[0].planarconfig}")
                if lossy or effective == "jpeg":
                    want, transform = rasterio_mask(src, [mapping(geometry)], crop=True, filled=False)
                    want = line_up(out, want, transform)
                    most, mean = loss_of_gdal(want, written, interleave != "band")
                    off = np.ma.abs(want.astype("i8") - out.read().astype("i8")).mean()
                    # The same tiles, quality and tables; but each encoder rounds, halves colours and chooses in its own way.
                    need(off <= mean * 1.25 + 0.05, f"kept samples are off by {off:.2f} in the mean, GDAL's by {mean:.2f}")
                    pixels_equal(src, out, mapping(geometry), False, most * 1.25 + 4)
                else:
                    pixels_equal(src, out, mapping(geometry))
                metadata_equal(src, out)
                page = tiff.pages[0]
                full = page.asarray()
                full = full[None] if full.ndim == 2 else np.moveaxis(full, -1, 0) if page.planarconfig == 1 else full
                if "complex_int16" not in out.dtypes:
                    if effective == "jpeg":
                        off = np.abs(full.astype("i8") - out.read().astype("i8")).max()
                        need(off <= 3, f"tifffile and rasterio read samples {off} apart")
                    else:
                        samples = out.read()
                        if effective.startswith("lerc") and full.dtype.kind == "f":  # what is NaN to GDAL is masked to tifffile, hence 0
                            blobs = out.count > 1 and out.interleaving.name == "pixel" and np.isnan(samples).any()
                            # Of bands with masks of their own it mixes the samples up, in GDAL's own files too.
                            full, samples = (np.where(np.isnan(samples) | blobs, 0, v) for v in (full, samples))
                        need(np.array_equal(full, samples, equal_nan=full.dtype.kind in "fc"), "tifffile and rasterio read different samples")
                for page in tiff.pages:
                    need(page.asarray().size, "tifffile: an empty level")
            valid, errors, complaints = cog_validate(str(output), strict=True, quiet=True)
            need(valid and not errors and not complaints, "; ".join([*errors, *complaints]))
        return name, "equal", ""
    except Differs as error:
        return name, "differ", str(error)
    except Exception as error:
        return name, "differ", f"{type(error).__name__}: {error}"
    finally:
        output.unlink(missing_ok=True)


# --- all of it -----------------------------------------------------------------------------------------------------------


def make_encodings(folder, binary, match, not_written):
    jobs = []
    for number, (name, case) in enumerate(SOURCES.items()):
        case = {"codec": "none", "predictor": 1, "layout": "tile48x32", "interleave": "pixel", "endian": "LITTLE", "big": False, "sparse": False, "validity": "none", "colour": "plain"} | case
        path = file_name(folder, number, name)
        try:
            write_gdal(path, case)
        except Exception as error:
            not_written[message_of(error)] += 1
            continue
        for codec in [*offered(binary, "compress"), "webp lossy"]:
            for interleave in offered(binary, "interleave") or (None,):
                full = f"{name} to {codec}{' ' + interleave if interleave else ''}"
                if match in full:
                    jobs.append((full, str(path), str(binary), 0, case["type"], codec, interleave))
    return jobs


def main():
    args = matrix.arguments()
    return matrix.run(args, judge_encoding, lambda folder, binary, not_written: make_encodings(folder, binary, args.match, not_written))


if __name__ == "__main__":
    sys.exit(main())
