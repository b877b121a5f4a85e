"""What scripts/bench measured: medians, the bars they are held to, and the table of the README."""

import statistics
import textwrap
from dataclasses import dataclass

from bench_corpus import POLYGONS, SCENES
from bench_growth import AREAS, VERTICES, last_step

OURS, WITH_OVERVIEWS, TUNED = "cogclip", "cogclip with overviews", "gdalwarp tuned"
SAME_CODEC, ALIGNED = "cogclip, the source's codec", "cogclip, the source's tiles"
PEERS = ("gdalwarp", TUNED, "rasterio", "rasterio tuned")
UNITS = {"wall": "s", "cpu": "s of CPU", "peak": "MiB", "bytes": "bytes", "requests": "requests"}
# rasterio's wheels decode JPEG with another transform than libjpeg-turbo, whose bits cogclip has: by up to 22 levels.
JPEG_LEVELS = 24
# Both place the vertices with PROJ's formulas and call a centre by the same rule; cogclip also bends long edges as the
# map does.
# A field is too small for a share of its pixels to say anything, so a few may differ whatever their share.
MOST_DIFFERING, FEW_DIFFERING = 1e-4, 5


@dataclass(frozen=True)
class Bar:
    """At most `most`: of the measure itself, or times that of the best peer, of `against`, or of the minimum."""

    measure: str
    most: float
    times: str = ""
    # Of full size; on smaller scenes the ratio is another one, and is not judged.
    from_scale: float = 0


BARS = {
    "field": [Bar("wall", 0.5, TUNED), Bar("peak", 40), Bar("requests", 3)],
    "watershed": [
        Bar("wall", 0.35, "best", 0.4),
        Bar("cpu", 1.0, "best"),
        Bar("peak", 128),
        # The first request brings 64 KiB, which in small scenes is more than that share.
        Bar("bytes", 1.05, "minimum", 0.4),
    ],
    "fields100": [Bar("wall", 0.12, "best", 1), Bar("bytes", 1.1, "minimum"), Bar("peak", 150)],
    "country": [Bar("wall", 0.35, "best", 0.4), Bar("cpu", 0.8, "best"), Bar("peak", 200)],
}
# What other work on the machine changes.
TIMES = ("wall", "cpu")
ALIGNED_CPU, GROWTH, PEAK_GROWTH, VERTEX_BYTES = 0.15, 1.3, 1.2, 128


def bars_of(case, has_libdeflate):
    scene, polygon = case.split(":")
    for bar in BARS[polygon]:
        if bar.measure == "wall" and case == "s2:fields100":
            bar = Bar("wall", 0.15, "best", 1)
        if bar.measure == "wall" and case == "landsat:country" and not has_libdeflate:
            bar = Bar("wall", 0.45, "best", 0.4)
        yield bar


class Summary:
    """The medians, or another summary, of the runs that a tool made of a case, all of which succeeded."""

    def __init__(self, runs, of=statistics.median):
        groups = {}
        for run in runs:
            groups.setdefault((run["case"], run["tool"]), []).append(run)
        self.failed = [key for key, group in groups.items() if not all(run["ok"] for run in group)]
        self.of = {
            key: {measure: of(run[measure] for run in group) for measure in UNITS}
            for key, group in groups.items()
            if key not in self.failed
        }
        self.cases = list(dict.fromkeys(case for case, _ in groups))

    def get(self, case, tool):
        return self.of.get((case, tool))

    def best(self, case, measure):
        """The peer that took least of a measure, and how much: (None, None) without peers."""
        found = [(self.of[case, peer][measure], peer) for peer in PEERS if (case, peer) in self.of]
        return min(found)[::-1] if found else (None, None)


def judge(results):
    """One (verdict, sentence) a bar: "pass", "FAIL", or "----" where there is nothing to judge."""
    medians = Summary(results["runs"])
    verdicts = []

    def say(is_met, text):
        verdicts.append(("----" if is_met is None else "pass" if is_met else "FAIL", text))

    for case, tool in medians.failed:
        # A peer that cannot do it is no failure of ours; it is left out of the comparison.
        said = next(
            run["said"] for run in results["runs"] if (run["case"], run["tool"]) == (case, tool) and not run["ok"]
        )
        say(None if tool in PEERS else False, f"{case}: {tool} failed: {said}")
    for case in medians.cases:
        ours = medians.get(case, OURS)
        if ours and case in results["minimum"]:
            for bar in bars_of(case, results["libdeflate"]):
                judge_bar(results, medians, case, ours, bar, say)
    for case, (wrong, all_pixels, against) in results["differing"].items():
        if wrong is None:
            say(False, f"{case}: not the grid of {against}")
        else:
            most = max(int(MOST_DIFFERING * all_pixels), FEW_DIFFERING)
            say(wrong <= most, f"{case}: {wrong} of {all_pixels} pixels differ from {against}'s, at most {most}")
    judge_aligned(results, medians, say)
    judge_growth(results["runs"], () if results.get("steady") else TIMES, say)
    for scene, digests in results["digests"].items():
        unlike = [name for name, digest in digests.items() if digest is None or digest != next(iter(digests.values()))]
        say(
            not unlike,
            f"{scene}: same bytes with {', '.join(digests)}"
            + (f", but not with {', '.join(unlike)}" if unlike else ""),
        )
    return verdicts


def judge_bar(results, medians, case, ours, bar, say):
    value, unit = ours[bar.measure], UNITS[bar.measure]
    if bar.measure in TIMES and results.get("steady"):
        return None
    if not bar.times:
        return say(value <= bar.most, f"{case}: {value:.0f} {unit}, at most {bar.most:g}")
    if bar.times == "minimum":
        against, least = "the minimum", results["minimum"][case]
    elif bar.times != "best" and medians.get(case, bar.times):
        against, least = bar.times, medians.get(case, bar.times)[bar.measure]
    else:
        against, least = medians.best(case, bar.measure)
    text = f"{case}: {bar.measure} {value:.{0 if bar.times == 'minimum' else 3}f} {unit}"
    if least is None:
        return say(None, f"{text}, and no peer beside it")
    text += f", {value / least:.2f} times {against}, at most {bar.most:g}"
    scale = results["scale"][case.split(":")[0]]
    if scale < bar.from_scale:
        return say(None, f"{text}: not judged on a scene of {scale:g} of full size")
    return say(value <= bar.most * least, text)


def judge_aligned(results, medians, say):
    """A tile on the outline must be made anew either way; the bar is on what one costs that need not be."""
    case = "landsat:country"
    plain, aligned = medians.get(case, SAME_CODEC), medians.get(case, ALIGNED)
    if not (plain and aligned and results["kept_tiles"]):
        return
    touched, inside, equal = results["kept_tiles"]
    say(
        equal == inside > 0,
        f"{case}: --align-tiles keeps {equal} of {inside} tiles that are wholly inside byte for byte",
    )
    ratio = aligned["cpu"] / plain["cpu"]
    per_kept = (ratio - (touched - inside) / touched) * touched / max(inside, 1)
    say(
        None if results.get("steady") else per_kept <= ALIGNED_CPU,
        f"{case}: --align-tiles takes {ratio:.2f} times the CPU of the clip without it; {touched - inside} of "
        f"{touched} tiles are on the outline: a kept one costs {per_kept:.2f} times another, at most {ALIGNED_CPU}",
    )


def judge_growth(runs, times, say):
    # The least, not the median: all runs do the same work, and noise only adds to it.
    least = Summary(runs, min)
    for what, amounts in (("area", AREAS), ("vertices", VERTICES)):
        steps = [(amount, least.get(f"{what} {amount}", OURS)) for amount in amounts]
        if not all(step for _, step in steps):
            continue
        for measure in times:
            grown = last_step([(amount, step[measure]) for amount, step in steps])
            costs = ", ".join(f"{step[measure]:.3f}" for _, step in steps)
            say(
                grown <= GROWTH,
                f"{what} {', '.join(map(str, amounts))}: {measure} {costs} s; "
                f"one more costs {grown:.2f} times in the last step what it cost before, at most {GROWTH}",
            )
        peaks = [step["peak"] for _, step in steps]
        shown = f"{what}: peaks of {', '.join(f'{peak:.0f}' for peak in peaks)} MiB"
        if what == "area":
            grown = peaks[-1] / peaks[-2]
            say(grown <= PEAK_GROWTH, f"{shown}; the last is {grown:.2f} times the one before, at most {PEAK_GROWTH}")
        else:
            each = (peaks[-1] - peaks[0]) * 2**20 / amounts[-1]
            say(each <= VERTEX_BYTES, f"{shown}; {each:.0f} bytes a vertex, at most {VERTEX_BYTES}")


def table(results):
    """The README's table in Markdown: best peer, cogclip, and what the one is of the other."""
    medians = Summary(results["runs"])
    lines = [
        "| clip | fastest peer | wall, s | CPU, s | peak, MiB | fetched, MB | requests | overviews too, s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for case in [f"{scene}:{polygon}" for scene in SCENES for polygon in POLYGONS]:
        ours = medians.get(case, OURS)
        if not ours:
            continue
        cells = []
        for measure, show in (
            ("wall", "{:.2f}"),
            ("cpu", "{:.2f}"),
            ("peak", "{:.0f}"),
            ("bytes", "{:.1f}"),
            ("requests", "{:.0f}"),
        ):
            unit = 1e6 if measure == "bytes" else 1
            value, (_, least) = ours[measure], medians.best(case, measure)
            cell = show.format(value / unit)
            cells.append(cell if least is None else f"{show.format(least / unit)} → {cell} ({value / least:.2f}×)")
        both = medians.get(case, WITH_OVERVIEWS)
        fastest = medians.best(case, "wall")[0] or "none"
        lines.append(
            f"| {case.replace(':', ' ')} | {fastest} | {' | '.join(cells)} | {f'{both['wall']:.2f}' if both else ''} |"
        )
    said = [
        textwrap.fill(text, 120, break_on_hyphens=False)
        for text in (how_measured(results), machine_and_versions(results))
    ]
    return "\n".join([*lines, "", said[0], "", said[1]])


def how_measured(results):
    reps = results["reps"]
    text = (
        "Left of each arrow is the best peer in that column, right of it cogclip, in brackets what it takes of the "
        f"peer's: {f'medians of {reps} runs' if reps > 1 else 'one run each'}, every one a fresh process, the tools in "
        f"turns, from a server on loopback with {results['first_byte_ms']:g} ms to the first byte and "
        f"{results['mb_per_s']:g} MB/s a connection; all write deflate, without overviews but in the last column."
    )
    if min(results["scale"].values(), default=1) < 1:
        text += (
            " The scenes are smaller than full size, so the ratios of the larger clips are not those of full scenes."
        )
    return text


def machine_and_versions(results):
    machine, versions = results["machine"], results["versions"]
    text = f"{results['date']}; {machine['cores']} cores of {machine['cpu']}, {machine['memory_gib']:.0f} GiB; "
    text += ", ".join(f"{name} {version}" for name, version in versions.items() if version) + "."
    if not versions["gdalwarp"]:
        text += " GDAL's command line was not there, so rasterio is the only peer."
    if machine["load"] > machine["cores"] / 2:
        text += f" The machine had other work (load {machine['load']:.1f}): its wall times are worth little."
    return text + " Cases, bars and how to run it: [docs/benchmarks.md](docs/benchmarks.md)."
