#!/usr/bin/env python3
"""Makes testdata/codec/jpeg.*: streams that try what JPEG leaves open, and their pixels as libjpeg-turbo (through
imagecodecs) decodes them. Nothing here comes from cogclip.

Needs numpy and imagecodecs. jpeg.tsv has one line per stream:
    name  kind  width  rows  samples per pixel  offset  length  expected offset  length
kind is ycbcr or raw. Offsets are in jpeg.bin and, of the pixels, jpeg-expected.bin.
"""

import pathlib
import struct

import imagecodecs
import numpy as np

OUT = pathlib.Path(__file__).resolve().parent.parent / "testdata" / "codec"
lines, stored, expected = [], bytearray(), bytearray()
rng = np.random.default_rng(11)


def picture(h, w, c):
    y, x = np.mgrid[:h, :w]
    bands = [128 + 100 * np.sin(x / (5 + k) + y / (9 - k)) + rng.normal(0, 6, (h, w)) for k in range(c)]
    return np.clip(np.stack(bands, -1), 0, 255).astype("uint8")


def add(name, kind, data):
    if kind == "ycbcr":
        pixels = imagecodecs.jpeg8_decode(data, colorspace="YCBCR", outcolorspace="RGB")
    else:
        pixels = imagecodecs.jpeg8_decode(data)
    h, w, spp = (*pixels.shape, 1)[:3]
    lines.append([name, kind, w, h, spp, len(stored), len(data), len(expected), pixels.size])
    stored.extend(data)
    expected.extend(pixels.tobytes())


def encode(a, level, subsampling=None):
    if a.ndim == 2:
        return imagecodecs.jpeg8_encode(np.ascontiguousarray(a), level=level)
    return imagecodecs.jpeg8_encode(a, level=level, colorspace="RGB", outcolorspace="YCBCR", subsampling=subsampling)


def parts(data):
    """The segments of a stream of one scan, by marker, and the scan's bits."""
    at, segments = 2, {}
    while True:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA:
            return segments, data[at + 2 + length : -2]
        segments[marker] = segments.get(marker, b"") + data[at : at + 2 + length]
        at += 2 + length


def frame(h, w, components):
    body = b"".join(bytes([1 + number, sampling, 0]) for number, sampling in enumerate(components))
    return b"\xff\xc0" + struct.pack(">HBHHB", 8 + len(body), 8, h, w, len(components)) + body


def scan(component):
    return b"\xff\xda\x00\x08\x01" + bytes([component, 0, 0, 63, 0])


# More rows of MCUs than a decoder need hold at a time, in every subsampling.
for sampling, rows in (("444", 37), ("422", 37), ("420", 75), ("440", 75), ("411", 37)):
    add(f"tall-{sampling}", "ycbcr", encode(picture(rows, 19, 3), 80, sampling))
add("tall-grey", "raw", encode(picture(61, 11, 1)[..., 0], 80))
# Blocks whose numbers need more than 16 bits between the dimensions, and codes of 16 bits.
for sampling in ("444", "420"):
    add(f"noise-{sampling}", "ycbcr", encode(rng.choice(np.uint8([0, 255]), (24, 24, 3)), 100, sampling))
add("noise-grey", "raw", encode(rng.choice(np.uint8([0, 255]), (24, 24)), 100))
# Only means; only few frequencies.
add("flat", "ycbcr", encode(np.repeat(np.repeat(picture(5, 3, 3), 16, 0), 16, 1), 10, "420"))
add("coarse", "ycbcr", encode(picture(40, 40, 3), 5, "420"))

# A scan for each component: three grey streams in one frame. Then with another quantisation table under the same number
# from the second scan on: the first component keeps its own (T.81 §B.2.4.1).
a = picture(75, 35, 3)
bands = [encode(a[..., 0], 75), encode(a[::2, ::2, 1], 75), encode(a[::2, ::2, 2], 75)]
(tables, first), rest = parts(bands[0]), [parts(band)[1] for band in bands[1:]]
head = b"\xff\xd8" + tables[0xDB] + frame(75, 35, [0x22, 0x11, 0x11]) + tables[0xC4]
add("planes", "ycbcr", head + scan(1) + first + scan(2) + rest[0] + scan(3) + rest[1] + b"\xff\xd9")
other = parts(encode(a[..., 0], 40))[0][0xDB]
add("planes-requantised", "ycbcr", head + scan(1) + first + other + scan(2) + rest[0] + scan(3) + rest[1] + b"\xff\xd9")

# Restart markers: every row of blocks is a stream of its own. Then the same with sampling factors that mean nothing.
a = picture(88, 27, 1)[..., 0]
rows = [parts(encode(a[y : y + 8], 85)) for y in range(0, 88, 8)]
bits = b"".join(row[1] + bytes([0xFF, 0xD0 | n % 8]) for n, row in enumerate(rows))[:-2]
for name, sampling in (("restarts", 0x11), ("restarts-sampled", 0x22)):
    head = b"\xff\xd8" + rows[0][0][0xDB] + frame(88, 27, [sampling]) + rows[0][0][0xC4] + b"\xff\xdd\x00\x04\x00\x04"
    add(name, "raw", head + scan(1) + bits + b"\xff\xd9")

(OUT / "jpeg.bin").write_bytes(stored)
(OUT / "jpeg-expected.bin").write_bytes(expected)
(OUT / "jpeg.tsv").write_text("".join("\t".join(map(str, line)) + "\n" for line in lines))
print(len(lines), "streams,", len(stored), "stored bytes,", len(expected), "expected bytes")
