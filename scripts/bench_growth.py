"""Polygons that grow by area and by vertices, for scripts/bench, and what of the cost must be in proportion."""

import math

import numpy as np
from bench_corpus import star, write_polygons

AREAS = (1, 4, 16, 64)
VERTICES = (100, 1_000, 10_000, 100_000, 300_000, 1_000_000)


def make(folder, scene, size):
    """Cutlines by the number that grows: {"area": {1: path, ...}, "vertices": {...}}."""
    middle = np.array([0.5, 0.5]) * size
    made = {"area": {}, "vertices": {}}
    for times in AREAS:
        made["area"][times] = folder / f"growth-area-{times}.geojson"
        ring = star(np.random.default_rng(11), middle, 0.045 * size * math.sqrt(times), 1000, 0.2, 7)
        write_polygons(made["area"][times], scene, [[ring]])
    for count in VERTICES:
        made["vertices"][count] = folder / f"growth-vertices-{count}.geojson"
        # Five octaves, so that 100 vertices draw nearly the same outline as a million.
        # Small on any scene, so that the vertices are not lost in what the pixels cost.
        ring = star(np.random.default_rng(12), middle, min(600, 0.4 * size), count, 0.2, 5)
        write_polygons(made["vertices"][count], scene, [[ring]])
    return made


def last_step(costs):
    """What one unit more costs in the last step, as a multiple of what it cost on average up to there.

    `costs` are pairs of (amount, cost), in order. The fixed cost cancels out, as only differences are taken:
    ((c_n - c_m) / (x_n - x_m)) / ((c_m - c_1) / (x_m - x_1)), m the last but one. 1 is linear, less is better.
    """
    (x1, c1), *_, (xm, cm), (xn, cn) = costs
    before = (cm - c1) / (xm - x1)
    return (cn - cm) / (xn - xm) / before if before > 0 else math.inf
