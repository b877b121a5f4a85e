"""The scenes and polygons of scripts/bench: made of noise, the same on every machine that has the same numpy and GDAL.

Four COGs that are laid out and compress about as their models do (Sentinel-2, a 1" elevation model, an aerial image,
Landsat with its tilted swath), and for each four GeoJSON files in longitude and latitude:

  field      one field, 100 pixels across
  watershed  2,000 vertices, 3,000 pixels across (less where the scene has under 8,000), three holes
  country    10,000 vertices, 60 % of the scene
  fields100  100 fields all over the scene, some of which overlap
"""

import json
import math
from dataclasses import dataclass, field

import numpy as np
import pyproj
import rasterio
import rasterio.shutil
from rasterio.transform import from_origin
from rasterio.windows import Window

# Pixels after which the fine noise repeats; longer than what any codec looks back in a tile.
PERIOD = 2048
POLYGONS = ("field", "watershed", "country", "fields100")


@dataclass(frozen=True)
class Scene:
    size: int
    bands: int
    dtype: str
    crs: str
    origin: tuple
    pixel: float
    nodata: float | None
    options: dict = field(hash=False)

    def to_lon_lat(self, ring):
        """A ring in pixels, as longitudes and latitudes."""
        forth = pyproj.Transformer.from_crs(self.crs, "OGC:CRS84", always_xy=True)
        x, y = forth.transform(self.origin[0] + ring[:, 0] * self.pixel, self.origin[1] - ring[:, 1] * self.pixel)
        return np.column_stack((x, y)).round(9).tolist()


SCENES = {
    "s2": Scene(
        10980,
        1,
        "uint16",
        "EPSG:32633",
        (399960, 5400000),
        10,
        0,
        dict(compress="deflate", predictor="yes", blocksize=1024),
    ),
    "dem": Scene(
        20000,
        1,
        "float32",
        "EPSG:4326",
        (6, 50),
        1 / 3600,
        -32767,
        dict(compress="zstd", predictor="yes", blocksize=512),
    ),
    "aerial": Scene(
        16384, 3, "uint8", "EPSG:25832", (570000, 5930000), 0.25, None, dict(compress="jpeg", quality=85, blocksize=512)
    ),
    "landsat": Scene(
        8000,
        4,
        "uint16",
        "EPSG:32610",
        (480000, 4600000),
        30,
        0,
        dict(compress="deflate", predictor="yes", blocksize=512),
    ),
}


class Ground:
    """What lies in a scene, by rows: relief that does not repeat, fields of one brightness, texture, sensor noise."""

    def __init__(self, random, size):
        self.size = size
        self.hills, self.texture, self.shapes = (power_noise(random, slope) for slope in (3.2, 1.6, 3.0))
        self.static = random.standard_normal((PERIOD, PERIOD), "f4")
        self.brightness = random.standard_normal(64, "f4")
        self.broad, self.middle = (random.standard_normal((n + 1, n + 1), "f4") for n in (5, 17))

    def relief(self, knots, rows):
        """Random knots over the whole scene with a smooth step from each to the next."""
        count = len(knots) - 1

        def steps(at):
            place = at * (count / self.size)
            before = place.astype(int)
            share = place - before
            return before, (share * share * (3 - 2 * share)).astype("f4")

        at, down = steps(rows)
        lines = knots[at] + (knots[at + 1] - knots[at]) * down[:, None]
        at, across = steps(np.arange(self.size))
        return lines[:, at] + (lines[:, at + 1] - lines[:, at]) * across

    def repeated(self, noise, rows, shift=0):
        return noise[(rows % PERIOD)[:, None], ((np.arange(self.size) + shift) % PERIOD)[None]]

    def fields(self, rows):
        level = self.repeated(self.shapes, rows) + self.relief(self.middle, rows)
        return self.brightness[np.floor(level * 9).astype(int) % 64]

    def pixels(self, name, rows):
        """The samples of rows, by band."""
        broad = self.relief(self.broad, rows)
        texture = self.repeated(self.texture, rows)
        if name == "dem":
            ridges = 420 * broad + 160 * self.relief(self.middle, rows) + 90 * self.repeated(self.hills, rows)
            return (900 + ridges + 0.15 * texture)[None].astype("f4")
        fields = self.fields(rows)
        if name == "s2":
            value = 1400 + 420 * broad + 500 * fields + 150 * texture + 14 * self.repeated(self.static, rows)
            return np.clip(np.rint(value), 1, 15000)[None].astype("u2")
        if name == "aerial":
            bands = [
                105 + 12 * broad + bright * fields + 16 * texture + 2 * self.repeated(self.static, rows, 97 * bright)
                for bright in (22, 30, 18)
            ]
            return np.clip(bands, 0, 255).astype("u1")
        bands = [
            8500
            + 900 * band
            + 1300 * broad
            + bright * fields
            + 300 * texture
            + 35 * self.repeated(self.static, rows, 97 * (band + 1))
            for band, bright in enumerate((350, 500, 600, 1500))
        ]
        y, x = rows[:, None] - self.size / 2, np.arange(self.size)[None] - self.size / 2
        swath = (np.abs(x + 0.2 * y) < 0.47 * self.size) & (np.abs(y - 0.2 * x) < 0.47 * self.size)
        return np.where(swath, np.clip(np.rint(bands), 1, 65000), 0).astype("u2")


def power_noise(random, slope):
    """Periodic noise whose power falls as frequency to the -slope; of mean 0 and deviation 1."""
    frequency = np.hypot(np.fft.fftfreq(PERIOD)[:, None], np.fft.rfftfreq(PERIOD)[None])
    frequency[0, 0] = math.inf
    waves = random.standard_normal(frequency.shape) * np.exp(2j * math.pi * random.random(frequency.shape))
    noise = np.fft.irfft2(waves * frequency ** (-slope / 2), (PERIOD, PERIOD))
    return ((noise - noise.mean()) / noise.std()).astype("f4")


def write_scene(path, name, size, random):
    scene = SCENES[name]
    ground = Ground(random, size)
    raw, whole = path.with_suffix(".raw"), path.with_suffix(".part")
    with rasterio.open(
        raw,
        "w",
        driver="GTiff",
        width=size,
        height=size,
        count=scene.bands,
        dtype=scene.dtype,
        crs=scene.crs,
        nodata=scene.nodata,
        transform=from_origin(*scene.origin, scene.pixel, scene.pixel),
        tiled=True,
        interleave="pixel",
        photometric="rgb" if scene.bands == 3 else "minisblack",
        bigtiff="if_safer",
    ) as out:
        for start in range(0, size, PERIOD // 2):
            rows = np.arange(start, min(start + PERIOD // 2, size))
            out.write(ground.pixels(name, rows), window=Window(0, start, size, len(rows)))
    rasterio.shutil.copy(
        raw,
        whole,
        driver="COG",
        overviews="auto",
        resampling="average",
        bigtiff="if_safer",
        num_threads="all_cpus",
        **scene.options,
    )
    raw.unlink()
    whole.rename(path)


def star(random, middle, radius, vertices, rough, waves=9):
    """A ring around `middle`; its radius swings by at most `rough`, in `waves` octaves of ever smaller waves."""
    angle = np.linspace(0, 2 * math.pi, vertices, endpoint=False)
    swing = sum(
        math.sin(random.uniform(0.2, 1.5)) / 2**octave * np.cos(2**octave * angle + random.uniform(0, 2 * math.pi))
        for octave in range(waves)
    )
    ring = np.column_stack((np.cos(angle), np.sin(angle))) * (1 + rough * swing / np.abs(swing).max())[:, None]
    return np.vstack((ring, ring[:1])) * radius + middle


def farm_field(random, middle, across):
    """Five corners of a slightly bent rectangle, turned at random."""
    half = across * random.uniform(0.36, 0.48, 2)
    turn = np.exp(1j * random.uniform(0, math.pi))
    corners = np.array([-1 - 1j, 0.05 - 1.08j, 1 - 1j, 1 + 1j, -0.93 + 0.97j, -1 - 1j])
    corners = (corners.real * half[0] + 1j * corners.imag * half[1]) * turn
    return np.column_stack((corners.real, corners.imag)) + middle


def area(ring):
    x, y = ring[:, 0], ring[:, 1]
    return abs(np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1])) / 2


def polygons(kind, size, random):
    """Polygons, each a list of rings in pixels."""
    middle = np.array([0.52, 0.48]) * size
    if kind == "field":
        return [[farm_field(random, np.array([0.37, 0.44]) * size, 100)]]
    if kind == "watershed":
        radius = 1500 * min(1, size / 8000)
        holes = [middle + 0.35 * radius * np.array([math.cos(at), math.sin(at)]) for at in (0.3, 2.4, 4.5)]
        return [
            [
                star(random, middle, radius, 1700, 0.35),
                *(star(random, at, 0.13 * radius, 100, 0.2)[::-1] for at in holes),
            ]
        ]
    if kind == "country":
        ring = star(random, 0, 1, 10_000, 0.1, 12)
        ring = ring * math.sqrt(0.6 / area(ring)) + 0.5
        assert 0 < ring.min() and ring.max() < 1, "the country leaves its scene"
        return [[ring * size]]
    return [[farm_field(random, random.uniform(120, size - 120, 2), random.uniform(60, 140))] for _ in range(100)]


def write_polygons(path, scene, shapes):
    """A FeatureCollection in longitude and latitude of polygons in pixels."""
    features = [
        {
            "type": "Feature",
            "properties": {"id": number},
            "geometry": {"type": "Polygon", "coordinates": [scene.to_lon_lat(ring) for ring in rings]},
        }
        for number, rings in enumerate(shapes)
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))


def make(folder, scale, names, say):
    """Makes what is missing in a folder. What is there is taken as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (name, scene) in enumerate(SCENES.items()):
        if name not in names:
            continue
        path = folder / f"{name}.tif"
        if not path.exists():
            say(f"making {path}")
            write_scene(path, name, round(scene.size * scale), np.random.default_rng((7, number)))
        with rasterio.open(path) as source:
            size = source.width
        for kind in POLYGONS:
            cutline = folder / f"{name}__{kind}.geojson"
            if not cutline.exists():
                write_polygons(
                    cutline, scene, polygons(kind, size, np.random.default_rng((7, number, POLYGONS.index(kind))))
                )
