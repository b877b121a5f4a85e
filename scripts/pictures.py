#!/usr/bin/env python3
"""Looks at pictures of plans in headless Chromium, and holds them against rasterio and tifffile.

    scripts/pictures.py --bin target/release/cogclip [--match WORD] [--screenshot docs/plan.png]

For each case a raster is made, planned and clipped. In the browser are counted the tiles of each class and their bytes, which must be
`plan --json`'s; tiles are clicked and gone to by keyboard, and the offset and length that the page then says must be tifffile's; the
polygon must cover the pixel centres that rasterio burns, and its bounds must be the geometry's. Nothing may be asked for, from
anywhere, nor may anything be said on the console. --screenshot draws the README's picture. Needs the packages of
scripts/pictures-requirements.txt, chromium and chromedriver; reaches the loopback interface only.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
import warnings
from itertools import combinations
from pathlib import Path

import numpy as np
import rasterio
import tifffile
from rasterio.enums import Resampling
from rasterio.features import geometry_mask
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from shapely.geometry import Point, Polygon, box, mapping

CLASSES = ["skipped", "copied", "whole", "masked"]
# Contrast of text and paper (WCAG 2.2, 1.4.6), and how far apart two classes' mean colours are at least, of 441.
CONTRAST, APART = 7.0, 24.0
SWITCHES = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --window-size=1200,1000"
).split()


class Wrong(Exception):
    pass


def need(holds, what):
    if not holds:
        raise Wrong(what)


def same(found, expected, what):
    need(found == expected, f"{what}: {found}, not {expected}")


# --- rasters and cutlines ------------------------------------------------------------------------------------


def raster(path, width=2048, height=1536, block=128, count=1, hole=None, overviews=True, west=500000.0, **more):
    """Noise on a trend; in `hole`, rows and columns, nothing, whose tiles are left out of the file."""
    rng = np.random.default_rng(3)
    profile = {
        "driver": "GTiff", "width": width, "height": height, "count": count, "dtype": "uint16", "crs": "EPSG:32633", "nodata": 0,
        "transform": rasterio.Affine(10, 0, west, 0, -10, 5400000), "tiled": True, "blockxsize": block, "blockysize": block,
        "compress": "deflate", "predictor": 2, "SPARSE_OK": "TRUE", **more,
    }
    with rasterio.open(path, "w", **profile) as out:
        rows, columns = np.mgrid[0:height, 0:width]
        for band in range(count):
            data = (rows // 3 + columns // 5 + rng.integers(0, 64, (height, width)) + band).astype("uint16") + 1
            if hole:
                data[hole] = 0
            out.write(data, band + 1)
        if overviews:
            out.build_overviews([2, 4], Resampling.average)
    return path


def far(path):
    """20 million columns, of which only a few tiles are in the file: beyond what a 32-bit float counts one by one."""
    profile = {
        "driver": "GTiff", "width": 20_000_000, "height": 600, "count": 1, "dtype": "uint8", "crs": "EPSG:32633", "BIGTIFF": "YES",
        "transform": rasterio.Affine(0.25, 0, 0, 0, -0.25, 1000), "tiled": True, "blockxsize": 256, "blockysize": 256,
        "compress": "deflate", "SPARSE_OK": "TRUE",
    }
    with rasterio.open(path, "w", **profile) as out:
        window = rasterio.windows.Window(19_000_000 // 256 * 256, 0, 1024, 600)
        out.write(np.random.default_rng(1).integers(1, 255, (1, 600, 1024), dtype="uint8"), window=window)
    return path


def lake(src, cx=0.47, cy=0.5, size=0.4, corners=48):
    """A ragged polygon with a hole, in the raster's CRS."""
    side = min(src.width, src.height)
    rng = np.random.default_rng(5)
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    radii = size * side * (0.75 + 0.25 * rng.random(corners))
    ring = lambda scale: [
        src.transform @ (src.width * cx + scale * r * np.cos(a) * 1.35, src.height * cy + scale * r * np.sin(a))
        for r, a in zip(radii, angles)
    ]
    return Polygon(ring(1.0), [ring(0.28)])


def near_the_end(src):
    """A triangle, 19 million columns from the raster's corner."""
    return Polygon([src.transform @ place for place in [(19_000_100.25, 50.5), (19_000_700.75, 120.25), (19_000_300.5, 560.75)]])


def beyond(src):
    """A box that reaches far beyond the raster on two sides."""
    left, bottom, right, top = src.bounds
    return box(left + (right - left) * 0.3, bottom - 1e6, right + 1e6, top - (top - bottom) * 0.4)


# Name; how the raster is made; the cutline of it; further options; what must be among what is clicked.
CASES = [
    ("deflate", {"hole": np.s_[640:896, 1024:1280]}, lake, [], {"skipped", "kept whole", "masked", "not in the file"}),
    ("passed through", {"hole": np.s_[640:896, 1024:1280]}, lake, ["--align-tiles", "--compress", "source"], {"passed through", "masked"}),
    ("planes", {"count": 4, "interleave": "band", "width": 700, "height": 500}, lake, [], {"skipped", "masked"}),
    ("inverted", {}, lake, ["--invert", "--no-crop"], {"kept whole", "masked", "skipped"}),
    ("strips", {"tiled": False, "blockysize": 16, "width": 900, "height": 700}, lake, ["--all-touched"], {"masked"}),
    ("beyond the raster", {"width": 900, "height": 700}, beyond, [], {"kept whole"}),
    ("more tiles than are drawn", {"block": 16, "width": 2560, "height": 2048, "overviews": False}, lake, [], {"a run"}),
    ("20 million columns", None, near_the_end, [], {"masked", "skipped"}),
]


# --- the browser ---------------------------------------------------------------------------------------------


def browser(folder):
    options = webdriver.ChromeOptions()
    for switch in [*SWITCHES, "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder}"]:
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    driver.set_page_load_timeout(60)
    driver.set_script_timeout(60)
    # What the browser opens with is let finish, lest its own pages count as the first one's requests.
    driver.get("about:blank")
    time.sleep(2)
    return driver


def visit(driver, path):
    """Opens a file."""
    driver.get_log("performance"), driver.get_log("browser")
    driver.get(Path(path).as_uri())


def quiet(driver, path):
    """Fails if the page asked for anything but itself, or said anything."""
    said = [entry["message"] for entry in driver.get_log("browser")]
    same(said, [], "on the console")
    asked = []
    for entry in driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            asked.append(message["params"]["request"]["url"])
    others = [url for url in asked if not url.startswith("data:")]
    need(others and set(others) <= {Path(path).as_uri()}, f"requests: {others}")
    entries = driver.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    same([name for name in entries if not name.startswith("data:")], [], "resources")


COUNT = """
const out = {};
for (const tile of document.querySelectorAll("#cogclip-tiles rect")) {
  const one = out[tile.dataset.class] ??= { tiles: 0, bytes: 0 };
  one.tiles += Number(tile.dataset.tiles);
  one.bytes += Number(tile.dataset.bytes);
}
return [out, document.querySelectorAll("#cogclip-tiles rect").length];
"""
LEGEND = """
return Object.fromEntries([...document.querySelectorAll("#legend tbody tr")].map((row) =>
  [row.dataset.class, [...row.querySelectorAll("td.number")].map((cell) => Number(cell.textContent))]));
"""
NUMBERS = """
return Object.fromEntries([...document.querySelectorAll("#numbers tr")].map((row) =>
  [row.querySelector("th").textContent, row.querySelector("td").textContent]));
"""
# Whether places of the raster lie in the drawn polygon, and the polygon's bounds, both in the raster's columns and rows.
COVERED = """
const map = document.getElementById("cogclip-map"), group = document.getElementById("cogclip-cutline");
const [column, row] = [Number(map.dataset.column), Number(map.dataset.row)];
const paths = [...group.querySelectorAll("path")];
const covered = arguments[0].map(([x, y]) => paths.some((path) => path.isPointInFill(new DOMPoint(x - column, y - row))));
const box = group.getBBox();
return [covered, [column + box.x, row + box.y, column + box.x + box.width, row + box.y + box.height]];
"""
# The size of the output's image, and its alpha.
PREVIEW = """
const done = arguments[0], image = document.getElementById("preview");
image.decode().then(() => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  done([[canvas.width, canvas.height], Array.from(data).filter((_, place) => place % 4 === 3)]);
});
"""
COLOURS = """
const css = (element) => getComputedStyle(element);
return [css(document.body).backgroundColor, css(document.body).color, css(document.querySelector("p")).color];
"""


def counts(driver, plan, is_merged):
    """The classes on the page are the plan's."""
    drawn, rectangles = driver.execute_script(COUNT)
    need(0 < rectangles <= 10_000, f"{rectangles} rectangles")
    if is_merged:
        # Blocks of several tiles are drawn as what in them takes the most work, and skipped ones alone not at all.
        fetched = sum(plan["classes"][name]["bytes"] for name in CLASSES)
        same(sum(one["bytes"] for one in drawn.values()), fetched, "bytes drawn")
    else:
        for name in CLASSES:
            one = drawn.get(name, {"tiles": 0, "bytes": 0})
            expected = plan["classes"][name]
            same(one, {"tiles": expected["tiles"], "bytes": expected["bytes"]}, f"{name}, drawn")
    same(plan["classes"]["skipped"]["tiles"], plan["tiles"]["outside"], "skipped")
    same(plan["classes"]["copied"]["tiles"] + plan["classes"]["whole"]["tiles"], plan["tiles"]["inside"], "inside")
    same(plan["classes"]["masked"]["tiles"], plan["tiles"]["edge"], "masked")


def legend(driver, plan):
    rows = driver.execute_script(LEGEND)
    expected = {name: [plan["classes"][name][key] for key in ("tiles", "sparse", "bytes")] for name in CLASSES}
    same(rows, expected, "legend")


def of_rasterio(plan, src, geometry, options):
    """What the plan's numbers stand for, found by burning the polygon."""
    window = plan["window"]
    col, row, width, height = (window[name] for name in ("col_off", "row_off", "width", "height"))
    transform = src.transform @ rasterio.Affine.translation(col, row)
    kept = geometry_mask(
        [mapping(geometry)], (height, width), transform, invert="--invert" not in options, all_touched="--all-touched" in options
    )
    same(int(kept.sum()), plan["pixels"]["inside"], "pixels inside")
    block_height, block_width = src.block_shapes[0]
    found = {"outside": 0, "inside": 0, "edge": 0}
    for top in range(row // block_height * block_height, row + height, block_height):
        for left in range(col // block_width * block_width, col + width, block_width):
            part = kept[max(top - row, 0) : top + block_height - row, max(left - col, 0) : left + block_width - col]
            found["inside" if part.all() else "edge" if part.any() else "outside"] += 1
    planes = src.count if src.interleaving == rasterio.enums.Interleaving.band and src.count > 1 else 1
    same({name: plan["tiles"][name] for name in found}, {name: count * planes for name, count in found.items()}, "classes by rasterio")


def stored(path):
    """Offsets and lengths by plane, row and column, as tifffile reads them."""
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        if page.is_tiled:
            across, down = -(-page.imagewidth // page.tilewidth), -(-page.imagelength // page.tilelength)
        else:
            across, down = 1, -(-page.imagelength // page.rowsperstrip)
        shape = (-1, down, across)
        return np.reshape(page.dataoffsets, shape), np.reshape(page.databytecounts, shape)


def clicked(driver, path, is_merged):
    """Clicks some tiles: what the page then says is what the file holds."""
    offsets, lengths = stored(path)
    told = driver.find_element(By.ID, "told")
    tiles = driver.find_elements(By.CSS_SELECTOR, "#cogclip-tiles rect")
    # Seen from the middle of each: what lies at the view's rim or is covered by the tools cannot be clicked.
    reach = """
        return arguments[0].map((tile) => {
          const at = tile.getBoundingClientRect();
          return document.elementFromPoint(at.x + at.width / 2, at.y + at.height / 2) === tile;
        })"""
    driver.execute_script("document.querySelector('.board').scrollIntoView()")
    tiles = [tile for tile, seen in zip(tiles, driver.execute_script(reach, tiles)) if seen]
    need(len(tiles) >= 2, "no tile can be clicked")
    tiles = tiles[:: max(1, len(tiles) // 200)]
    checked = set()
    of_class = {}
    for tile in tiles:
        of_class.setdefault(tile.get_dom_attribute("class"), []).append(tile)
    for tile in [tile for some in of_class.values() for tile in some[:: max(1, len(some) // 4)]]:
        ActionChains(driver).move_to_element(tile).click().perform()
        said = told.text
        if is_merged:
            need(re.match(r"columns? \d+", said) and " bytes" in said, said)
            checked.add("a run")
            continue
        head = re.match(r"column (\d+), row (\d+): (skipped|passed through|kept whole|masked)", said)
        need(head, said)
        col, row = int(head[1]), int(head[2])
        places = re.findall(r"(?:plane (\d+): )?offset (\d+), length (\d+)", said)
        for plane, offset, length in places:
            plane = int(plane or 0)
            same((int(offset), int(length)), (int(offsets[plane, row, col]), int(lengths[plane, row, col])), f"tile {col} {row} {plane}")
        if "not in the file" in said:
            same(int(lengths[0, row, col]), 0, f"tile {col} {row} is absent")
            checked.add("not in the file")
        if not places and "not in the file" not in said:
            same(head[3], "skipped", f"tile {col} {row} has no place")
        checked.add(head[3])
    return checked


def gone_to(driver):
    """The keyboard, the wheel, dragging and the buttons."""
    page = driver.find_element(By.ID, "cogclip-map")
    told = lambda: driver.find_element(By.ID, "told").text
    view = lambda: [float(v) for v in page.get_dom_attribute("viewBox").split()]
    home = view()
    driver.execute_script("arguments[0].focus()", page)
    keys = lambda key: ActionChains(driver).send_keys(key).perform()
    keys(Keys.ESCAPE)
    keys(Keys.ARROW_RIGHT)
    first = told()
    for key in (Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.ARROW_LEFT, Keys.ARROW_UP):
        keys(key)
    need(re.match(r"columns? \d+", first), f"arrows choose a tile: {first!r}")
    keys("+")
    need(view()[2] < home[2], "+ goes nearer")
    keys("0")
    same(view(), home, "0 goes back")
    ActionChains(driver).scroll_from_origin(ScrollOrigin.from_element(page), 0, -200).perform()
    time.sleep(0.2)
    need(view()[2] < home[2], "the wheel goes nearer")
    before, said = view(), told()
    ActionChains(driver).move_to_element(page).click_and_hold().move_by_offset(60, 30).move_by_offset(20, 10).release().perform()
    moved = view()
    need(moved[0] < before[0] and moved[1] < before[1] and moved[2] == before[2], f"dragging moves: {before} {moved}")
    same(told(), said, "dragging chooses nothing")
    driver.find_element(By.ID, "all").click()
    raster_box = [float(v) for v in page.get_dom_attribute("data-raster").split()]
    same(view(), raster_box, "the whole raster")
    driver.find_element(By.ID, "window").click()
    same(view(), home, "the window")
    keys(Keys.ESCAPE)


def polygon(driver, src, geometry, tolerance):
    """The drawn polygon covers what rasterio burns, and ends where the geometry does."""
    inverse = ~src.transform
    minx, miny, maxx, maxy = geometry.intersection(box(*src.bounds)).bounds
    (left, top), (right, bottom) = inverse @ (minx, maxy), inverse @ (maxx, miny)
    rng = np.random.default_rng(9)
    places = np.column_stack([rng.uniform(left, right, 600), rng.uniform(top, bottom, 600)])
    # By 32-bit floats of the browser, places on the outline itself fall to either side.
    outline = geometry.boundary
    far_off = [place for place in places.tolist() if outline.distance(Point(src.transform @ place)) > 2 * tolerance * src.res[0]]
    covered, bounds = driver.execute_script(COVERED, far_off)
    expected = [geometry.contains(Point(src.transform @ place)) for place in far_off]
    same(sum(a != b for a, b in zip(covered, expected)), 0, "places on the wrong side of the outline")
    need(len(far_off) > 500 and 0 < sum(covered) <= len(far_off), f"{sum(covered)} of {len(far_off)} places")
    if geometry.within(box(*src.bounds)):
        off = max(abs(a - b) for a, b in zip(bounds, (left, top, right, bottom)))
        need(off <= tolerance, f"the polygon's bounds are {off} pixels off: {bounds}")


def light(value):
    channels = [int(v) / 255 for v in re.findall(r"\d+", value)[:3]]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def png(driver, target=None):
    """What is seen, as an array of rows, columns and 3 channels."""
    data = target.screenshot_as_png if target else driver.get_screenshot_as_png()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        image = rasterio.MemoryFile(data).open()
    with image:
        return np.moveaxis(image.read()[:3], 0, -1).astype(float)


def seen_by_everybody(driver):
    """Text stands out in light and dark, and classes from each other, for colour-blind eyes as well."""
    papers = []
    for scheme in ("light", "dark"):
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        paper, *inks = driver.execute_script(COLOURS)
        papers.append(light(paper))
        for ink in inks:
            high, low = sorted((light(paper), light(ink)), reverse=True)
            need((high + 0.05) / (low + 0.05) >= CONTRAST, f"{scheme}: {ink} on {paper}")
        swatches = driver.find_elements(By.CSS_SELECTOR, "#legend .swatch")
        driver.execute_script("arguments[0].scrollIntoView({ block: 'center' })", swatches[0])
        for sight in ("none", "protanopia", "deuteranopia", "tritanopia"):
            driver.execute_cdp_cmd("Emulation.setEmulatedVisionDeficiency", {"type": sight})
            means = [png(driver, swatch).mean(axis=(0, 1)) for swatch in swatches]
            for (a, one), (b, other) in combinations(zip(CLASSES, means), 2):
                apart = float(np.linalg.norm(one - other))
                need(apart >= APART, f"{scheme}, {sight}: {a} and {b} are {apart:.0f} apart")
        driver.execute_cdp_cmd("Emulation.setEmulatedVisionDeficiency", {"type": "none"})
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    need(papers[0] > 0.8 and papers[1] < 0.05, f"paper is {papers}")


# --- what is run ---------------------------------------------------------------------------------------------


def run(binary, *words):
    done = subprocess.run([binary, *map(str, words)], capture_output=True, text=True, check=False)
    need(done.returncode == 0, f"{' '.join(map(str, words))}: exit {done.returncode}: {done.stderr.strip()[:400]}")
    return json.loads(done.stdout) if done.stdout.strip() else None


def planned(binary, driver, folder, name, how, cutline, options, expected):
    scene = far(folder / "scene.tif") if how is None else raster(folder / "scene.tif", **how)
    with rasterio.open(scene) as src:
        geometry = cutline(src)
        (folder / "cutline.geojson").write_text(json.dumps(mapping(geometry)))
        words = ["--cutline", folder / "cutline.geojson", "--cutline-crs", "source", *options]
        page, drawing = folder / "plan.html", folder / "plan.svg"
        plan = run(binary, "plan", scene, *words, "--json", "--html", page, "--svg", drawing)
        is_merged = name.startswith("more tiles")
        visit(driver, page)
        counts(driver, plan, is_merged)
        legend(driver, plan)
        numbers = driver.execute_script(NUMBERS)
        for key in ("bytes", "requests"):
            same(int(numbers[key]), plan[key], key)
        same(int(numbers["pixels.inside"]), plan["pixels"]["inside"], "pixels inside")
        of_rasterio(plan, src, geometry, options)
        polygon(driver, src, geometry, 0.01)
        met = clicked(driver, scene, is_merged)
        need(met >= expected, f"clicked were only {sorted(met)}")
        gone_to(driver)
        if name == "deflate":
            seen_by_everybody(driver)
        quiet(driver, page)
        visit(driver, drawing)
        same(driver.execute_script("return document.documentElement.localName"), "svg", "the root of the drawing")
        counts(driver, plan, is_merged)
        polygon(driver, src, geometry, 0.01)
        quiet(driver, drawing)
    return f"{plan['tiles']['intersecting']} tiles, {plan['bytes']} bytes, {drawing.stat().st_size} bytes of SVG; clicked: {', '.join(sorted(met))}"


def output_shown(driver, out):
    """The browser shows the output: where all pixels around a place are masked, or none, it is transparent, or opaque."""
    (width, height), alpha = driver.execute_async_script(PREVIEW)
    found = np.reshape(alpha, (height, width)) > 0
    with rasterio.open(out) as dataset:
        valid = dataset.dataset_mask() > 0
    need(max(width, height) <= 800 and abs(width * valid.shape[0] / valid.shape[1] - height) <= 1, f"{width} x {height}")
    around = np.lib.stride_tricks.sliding_window_view(valid, (9, 9))
    rows, columns = [
        np.clip(((np.arange(count) + 0.5) * whole / count).astype(int) - 4, 0, whole - 9)
        for count, whole in zip(found.shape, valid.shape)
    ]
    all_valid, any_valid = around.all(axis=(2, 3)), around.any(axis=(2, 3))
    all_valid, any_valid = all_valid[np.ix_(rows, columns)], any_valid[np.ix_(rows, columns)]
    sure = all_valid | ~any_valid
    need(all_valid.any() and not any_valid.all() and sure.mean() > 0.8, "too little of the output is alike")
    need((found == all_valid)[sure].all(), "what is transparent is what is masked")
    return width, height


def reported(binary, driver, folder):
    scene = raster(folder / "scene.tif", hole=np.s_[640:896, 1024:1280])
    with rasterio.open(scene) as src:
        geometry = lake(src)
    (folder / "cutline.geojson").write_text(json.dumps(mapping(geometry)))
    page, out = folder / "report.html", folder / "out.tif"
    words = ["--cutline", folder / "cutline.geojson", "--cutline-crs", "source"]
    report = run(binary, "clip", scene, out, *words, "--json", "--report-html", page)
    plan = run(binary, "plan", scene, *words, "--json")
    visit(driver, page)
    counts(driver, plan, False)
    legend(driver, plan)
    numbers = driver.execute_script(NUMBERS)
    same(numbers["output.sha256"], report["output"]["sha256"], "SHA-256")
    for path in ("bytes", "requests", "pixels.valid", "tiles.fetched", "output.size"):
        value = report
        for part in path.split("."):
            value = value[part]
        same(int(numbers[path]), value, path)
    clicked(driver, scene, False)
    width, height = output_shown(driver, out)
    quiet(driver, page)
    return f"{len(numbers)} numbers, the output in {width} x {height}"


def hostile(binary, driver, folder):
    """A name that would be a script."""
    name = "x\"><img src=x onerror=alert(1)><script>window.hit=1<.tif"
    scene = raster(folder / name, width=256, height=256)
    words = ["--bbox", "500100,5398000,501900,5399900", "--cutline-crs", "source"]
    run(binary, "plan", scene, *words, "--json", "--html", folder / "h.html", "--svg", folder / "h.svg")
    for page in ("h.html", "h.svg"):
        visit(driver, folder / page)
        need(driver.execute_script("return window.hit === undefined && !document.querySelector('img')"), f"{page}: the name was run")
        need(name in driver.execute_script("return document.documentElement.textContent"), f"{page}: the name is shown")
        quiet(driver, folder / page)
    # The policy holds by itself, too: were the page's text not escaped, nothing would run.
    text = (folder / "h.html").read_text().replace("<main>", "<main><script>window.hit=1</script><img src=https://example.invalid/a.png>")
    (folder / "spoilt.html").write_text(text)
    visit(driver, folder / "spoilt.html")
    need(driver.execute_script("return window.hit === undefined"), "a script that is not the page's own is not run")
    said = [entry["message"] for entry in driver.get_log("browser")]
    same(sum("Content Security Policy" in message for message in said), 2, f"refusals on the console, {said}")
    return "nothing was run"


def screenshot(binary, driver, folder, target):
    """The README's picture: a palette of few colours, so that it stays small."""
    scene = raster(folder / "scene.tif", hole=np.s_[640:896, 1024:1280])
    with rasterio.open(scene) as src:
        (folder / "cutline.geojson").write_text(json.dumps(mapping(lake(src))))
    subprocess.run(
        [binary, "plan", "scene.tif", "--cutline", "cutline.geojson", "--cutline-crs", "source", "--align-tiles", "--html", "p.html"],
        cwd=folder, check=True, capture_output=True,
    )
    driver.set_window_size(1100, 1400)
    visit(driver, folder / "p.html")
    # A tile is clicked, as the page says that one may; the list of numbers below is left out.
    tile = driver.find_elements(By.CSS_SELECTOR, "#cogclip-tiles rect[data-class=copied]")[12]
    ActionChains(driver).move_to_element(tile).click().perform()
    size = driver.execute_script("const b = document.documentElement; return [b.clientWidth, document.getElementById('legend').getBoundingClientRect().bottom]")
    need(size[1] <= driver.execute_script("return innerHeight"), "the page is cut off")
    image = png(driver)[: int(size[1]) + 12, : int(size[0])]
    coarse = (np.round(image / 17) * 17).astype("uint8")
    colours, index, often = np.unique(coarse.reshape(-1, 3), axis=0, return_inverse=True, return_counts=True)
    kept = np.argsort(-often)[:64]
    nearest = np.argmin(np.linalg.norm(colours[:, None].astype(float) - colours[kept][None], axis=2), axis=1)
    band = nearest[index].reshape(coarse.shape[:2]).astype("uint8")
    profile = {"driver": "PNG", "count": 1, "dtype": "uint8", "height": band.shape[0], "width": band.shape[1], "zlevel": 9}
    with rasterio.open(target, "w", **profile) as out:
        out.write(band, 1)
        out.write_colormap(1, {n: (*map(int, colours[c]), 255) for n, c in enumerate(kept)})
    Path(f"{target}.aux.xml").unlink(missing_ok=True)
    size = Path(target).stat().st_size
    need(size < 150_000, f"{target} has {size} bytes")
    print(f"{target}: {band.shape[1]} x {band.shape[0]}, {size} bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--match", default="")
    parser.add_argument("--screenshot", metavar="FILE")
    args = parser.parse_args()
    binary = str(Path(args.bin).resolve())
    jobs = [
        (case[0], lambda driver, folder, case=case: planned(binary, driver, folder, *case))
        for case in CASES
    ]
    jobs.append(("a report", lambda driver, folder: reported(binary, driver, folder)))
    jobs.append(("a hostile name", lambda driver, folder: hostile(binary, driver, folder)))
    passed = failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        driver = browser(Path(scratch) / "profile")
        try:
            if args.screenshot:
                screenshot(binary, driver, Path(scratch), args.screenshot)
                return 0
            for name, job in jobs:
                if args.match not in name:
                    continue
                with tempfile.TemporaryDirectory(dir=scratch) as folder:
                    try:
                        said = job(driver, Path(folder))
                    except (Wrong, WebDriverException, AttributeError, LookupError, TypeError, ValueError, rasterio.errors.RasterioError) as error:
                        failed += 1
                        print(f"FAILED {name}: {type(error).__name__}: {str(error)[:600]}", flush=True)
                        continue
                    passed += 1
                    print(f"ok {name}: {said}", flush=True)
        finally:
            driver.quit()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
