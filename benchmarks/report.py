"""Figures of many runs -> tables and a picture. Measures nothing."""

import os
import platform
from collections.abc import Callable, Iterable
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from .positions import IN_ONE, IN_POSITIONS
from .writers import ACQUIRE, OPENERS, OURS, ROOFLINE

Result = dict[str, Any]
Key = tuple[Any, ...]

PACKAGES = (*OPENERS, "zarr", "blosc", "numba", "numpy")
INTRODUCTION = """\
# Benchmarks

Written by `make bench` on {date}. Machine: {cpu}, {cores} cores, {memory} of memory,
{kernel}, Python {python}. Versions: {versions}.

Frames are like a camera's (bright blobs over a background, shot and read noise), 2048 x
2048 uint16 unless said otherwise, {distinct} different ones in turn; Zarr v3; blosc
level 1 with byte shuffle; tiles of 512 x 512. *Stacked*: chunks of 32 frames.
*Sharded*: chunks of one frame, 32 in a shard. Every figure is the median of {rounds}
runs, each in a fresh process, the writers taking turns; MB is a million bytes of pixels
at full size. Time runs from the first `append` to the return of `close`; nobody calls
fsync. Ratios are of the runs of one turn, then their median. Memory is what was added
to the process at its peak, without the input.

*Roofline*: as many threads as the writer has workers do nothing but one copy into
tiles, the halvings, one encode and one write of every frame. tensorstore and
zarr-python make no pyramids. acquire-zarr always shards: its stacked chunks are one to
a shard.

![Throughput relative to acquire-zarr and to the roofline](benchmarks.png)
"""


def machine() -> dict[str, str]:
    """What it ran on, and with what."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [x for x in info.read_text().splitlines() if "model name" in x]
        cpu = models[0].split(":")[1].strip() if models else cpu
    versions = {p: version(p) for p in PACKAGES if p != "zarr-python"}
    return {
        "date": date.today().isoformat(),
        "cpu": cpu,
        "cores": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": ", ".join(f"{p} {v}" for p, v in versions.items()),
    }


def _grouped(results: Iterable[Result], *names: str) -> dict[Key, list[Result]]:
    """Results that have the same values, in the order they first come."""
    groups: dict[Key, list[Result]] = {}
    for result in results:
        groups.setdefault(tuple(result[name] for name in names), []).append(result)
    return groups


def _middle(runs: list[Result], name: str, writer: str = OURS) -> float | None:
    values = [run[name] for run in runs if run["writer"] == writer]
    return median(values) if values else None


def _ratio(runs: list[Result], writer: str, to: str, name: str) -> float | None:
    """Median over rounds of `writer`'s figure as a multiple of `to`'s."""
    pairs: dict[int, dict[str, float]] = {}
    for run in runs:
        pairs.setdefault(run["round"], {})[run["writer"]] = run[name]
    ratios = [p[writer] / p[to] for p in pairs.values() if writer in p and to in p]
    return median(ratios) if ratios else None


def _cell(value: float | None, form: str = ".0f") -> str:
    return "-" if value is None else format(value, form)


def _table(header: list[str], rows: Iterable[list[str]], names: int = 3) -> str:
    """A markdown table, of which the first `names` columns hold no figures."""
    left = ["---" if i < names else "---:" for i in range(len(header))]
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, left, *rows))


def _names(codec: str, multiscale: bool, sharded: bool) -> list[str]:
    layout = "sharded" if sharded else "stacked"
    return [codec, "yes" if multiscale else "no", layout]


CONFIGURATION = ("codec", "multiscale", "sharded")


def _throughput(results: list[Result]) -> str:
    header = ["codec", "pyramid", "layout", *OPENERS, ROOFLINE]
    header += ["ours / acquire-zarr", "ours / fastest other", "ours / roofline"]
    rows = []
    for key, runs in _grouped(results, *CONFIGURATION).items():
        speeds = [_cell(_middle(runs, "mb_per_s", w)) for w in (*OPENERS, ROOFLINE)]
        ratios = [_ratio(runs, OURS, w, "mb_per_s") for w in OPENERS if w != OURS]
        best = min((r for r in ratios if r is not None), default=None)
        roof = _ratio(runs, OURS, ROOFLINE, "mb_per_s")
        ends = [_cell(ratios[0], ".2f"), _cell(best, ".2f"), _cell(roof, ".0%")]
        rows.append([*_names(*key), *speeds, *ends])
    return _table(header, rows)


def _costs(results: list[Result]) -> str:
    header = ["codec", "pyramid", "layout", "writer", "CPU s/GB", "peak MB"]
    header += ["append ms: median", "p99", "max", "close s"]
    rows = []
    for (*key, writer), runs in _grouped(results, *CONFIGURATION, "writer").items():
        if writer == ROOFLINE:
            continue
        cpu, peak, close = (
            _middle(runs, name, writer)
            for name in ("cpu_s_per_gb", "peak_mb", "close_s")
        )
        append = [median(run["append_ms"][i] for run in runs) for i in range(3)]
        names = [*_names(*key), writer]
        figures = [_cell(cpu, ".2f"), _cell(peak), *(_cell(a, ".2f") for a in append)]
        rows.append([*names, *figures, _cell(close, ".3f")])
    return _table(header, rows, 4)


def _small(results: list[Result]) -> str:
    present = [w for w in OPENERS if any(r["writer"] == w for r in results)]
    header = ["layout", "planes per append", *present, "ours / acquire-zarr"]
    rows = []
    for (sharded, batch), runs in _grouped(results, "sharded", "batch").items():
        speeds = [_cell(_middle(runs, "frames_per_s", w), ",.0f") for w in present]
        ratio = _cell(_ratio(runs, OURS, ACQUIRE, "frames_per_s"), ".2f")
        rows.append([_names("", False, sharded)[2], str(batch), *speeds, ratio])
    return _table(header, rows, 2)


def _positions(results: list[Result]) -> str:
    header = [
        "layout",
        IN_ONE,
        IN_POSITIONS,
        "ratio",
        "CPU s/GB",
        "CPU s/GB",
        "close s",
    ]
    rows = []
    for (sharded,), runs in _grouped(results, "sharded").items():
        both = IN_ONE, IN_POSITIONS
        speeds = [_cell(_middle(runs, "mb_per_s", writer)) for writer in both]
        ratio = _cell(_ratio(runs, IN_POSITIONS, IN_ONE, "mb_per_s"), ".2f")
        cpu = [_cell(_middle(runs, "cpu_s_per_gb", writer), ".2f") for writer in both]
        close = _cell(_middle(runs, "close_s", IN_POSITIONS), ".3f")
        layout = "sharded" if sharded else "one plane a chunk"
        rows.append([layout, *speeds, ratio, *cpu, close])
    return _table(header, rows, 1)


def _reading(results: list[Result]) -> str:
    header = ["codec", "layout", "whole frame: median", "p95"]
    header += ["zoomed in: median", "p95", "in bulk, per frame", "stored MB"]
    rows = []
    for (codec, sharded), (run, *_) in _grouped(results, "codec", "sharded").items():
        figures = [*run["whole"], *run["zoomed"], run["bulk"]]
        names = [codec, _names("", True, sharded)[2]]
        rows.append([*names, *(_cell(f, ".1f") for f in figures)])
        rows[-1].append(_cell(run["stored_mb"]))
    return _table(header, rows, 2)


def _advice(results: list[Result]) -> str:
    """The sentence for the README, with the figures of one codec."""
    codec = "lz4" if any(r["codec"] == "lz4" for r in results) else results[0]["codec"]
    steps = {r["sharded"]: r["whole"][0] for r in results if r["codec"] == codec}
    return (
        "For the README: *record sharded what will be looked through: a step of the "
        f"time slider takes {steps[True]:.0f} ms, against {steps[False]:.0f} ms "
        f"({codec}, whole frame) where chunks stack 32 frames; stack frames for "
        "archives that are read in bulk, or by programs that know no shards.*"
    )


def tables(report: dict[str, Any]) -> str:
    """All tables that the results suffice for, as markdown."""
    results: list[Result] = report["results"]
    modes = _grouped(results, "mode")
    parts = []
    for (place,), runs in _grouped(modes.get(("write",), []), "directory").items():
        count = runs[0]["frames"]
        parts += [
            f"## {count} frames to `{place}`, MB/s",
            _throughput(runs),
            f"## What it costs: {count} frames to `{place}`",
            _costs(runs),
        ]
    if small := modes.get(("small",)):
        size = f"{small[0]['side']} x {small[0]['side']}"
        parts += [f"## Small frames, {size} uint16, lz4, frames/s", _small(small)]
    if positions := modes.get(("positions",)):
        parts += [
            "## An acquisition of many positions beside one stream, lz4, pyramid, MB/s",
            "The same planes of 2048 x 2048 uint16 in chunks of one plane: as one "
            "image without end, and as 24 positions x 2 channels x 5 planes along z.",
            _positions(positions),
        ]
    if read := modes.get(("read",)):
        parts += [
            "## Reading back what this writer wrote, ms",
            "One step of the time slider as napari slices a multiscale layer (crop, "
            "then pick the time), from the page cache; level 0; *zoomed in* is 512 x "
            "512 across four tiles; *in bulk* reads 32 frames at once.",
            _reading(read),
            _advice(read),
        ]
    return "\n\n".join(parts) + "\n"


def write_report(report: dict[str, Any], folder: Path) -> None:
    """Write `benchmarks.md` and its picture."""
    results = report["results"]
    rounds = 1 + max(result["round"] for result in results)
    text = INTRODUCTION.format(rounds=rounds, distinct=16, **report["machine"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "benchmarks.md").write_text(f"{text}\n{tables(report)}")
    writes = [result for result in results if result["mode"] == "write"]
    if writes:
        first = writes[0]["directory"]
        shown = [result for result in writes if result["directory"] == first]
        _draw(shown, report["machine"], folder / "benchmarks.png")


def _draw(results: list[Result], about: dict[str, str], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    groups = _grouped(results, *CONFIGURATION)
    figure, axes = pyplot.subplots(2, 1, figsize=(11, 7), sharex=True)
    panels: list[tuple[str, str, Callable[[float], str]]] = [
        (ACQUIRE, "times acquire-zarr", "{:.1f}".format),
        (ROOFLINE, "share of the roofline", "{:.0%}".format),
    ]
    for panel, (to, title, label) in zip(axes, panels, strict=True):
        for i, writer in enumerate(OPENERS):
            ratios = [_ratio(runs, writer, to, "mb_per_s") for runs in groups.values()]
            places = [n + (i - 1.5) * 0.21 for n in range(len(groups))]
            heights = [ratio or 0 for ratio in ratios]
            bars = panel.bar(places, heights, 0.2, label=writer, color=f"C{i}")
            if writer == OURS:
                texts = [label(height) for height in heights]
                panel.bar_label(bars, texts, fontsize=8)
        panel.axhline(1, color="black", linewidth=0.8)
        panel.set_ylabel(title)
        panel.spines[["top", "right"]].set_visible(False)
    ticks = [
        f"{codec}\n{'pyramid' if multiscale else 'one level'}\n{layout}"
        for codec, multiscale, layout in (
            (key[0], key[1], _names(*key)[2]) for key in groups
        )
    ]
    axes[1].set_xticks(range(len(groups)), ticks)
    axes[0].legend(frameon=False, ncols=4)
    place, cores = results[0]["directory"], about["cores"]
    title = f"Writing 2048 x 2048 uint16 to {place}, {cores} cores, {about['date']}"
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(path, dpi=100)
