"""Exports one stack beside what others have for it: `python -m benchmarks.export`.

All write the same uint16 stack in chunks of 1 x 512 x 512, ours and that of ome-zarr-py
with blosc's zstd, the others with what they take by default; and a pyramid where they
can. Each runs in a process of its own; they take turns, and ratios are of the runs
of one turn.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .measure import camera_frames

SIDE, TILE = 2048, 512
AXES = "zyx"
MEMORY_BACKED = "/dev/shm"
CODEC = {"id": "blosc", "cname": "zstd", "clevel": 1, "shuffle": 1}


def _stream(pixels: Any, path: Path) -> None:
    """The writer alone, without what an export adds to it."""
    from napari_zarr_stream import ZarrStream
    from napari_zarr_stream._saving.export import default_properties

    properties = default_properties(path)
    shape, dtype = pixels.shape, pixels.dtype
    with ZarrStream(properties, axes=AXES, shape=shape, dtype=dtype) as stream:
        for plane in pixels:
            stream.append(plane)


def _ours(pixels: Any, path: Path, *, verify: bool) -> None:
    from napari_zarr_stream._saving.export import default_properties, export
    from napari_zarr_stream._sources.layer import LayerSource

    source = LayerSource(pixels, {"name": "stack", "rgb": False}, axes=AXES)
    export(source, default_properties(path), verify=verify)


def _verified(pixels: Any, path: Path) -> None:
    _ours(pixels, path, verify=True)


def _unverified(pixels: Any, path: Path) -> None:
    _ours(pixels, path, verify=False)


def _ome_zarr(pixels: Any, path: Path) -> None:
    import zarr
    from ome_zarr.format import FormatV04
    from ome_zarr.writer import write_image

    group = zarr.open_group(path, mode="w", zarr_format=2)
    options = {"chunks": (1, TILE, TILE), "compressor": _numcodecs()}
    write_image(pixels, group, axes=AXES, fmt=FormatV04(), storage_options=options)


def _ngff_zarr(pixels: Any, path: Path) -> None:
    import ngff_zarr

    image = ngff_zarr.to_ngff_image(pixels, dims=AXES)
    chunks = dict(zip(AXES, (1, TILE, TILE), strict=True))
    levels = ngff_zarr.to_multiscales(image, scale_factors=[2, 4], chunks=chunks)
    ngff_zarr.to_ngff_zarr(str(path), levels, version="0.4")


def _dask(pixels: Any, path: Path) -> None:
    """Level 0 only: it makes no pyramid."""
    import dask.array as da

    lazy = da.asarray(pixels).rechunk((1, TILE, TILE))
    lazy.to_zarr(str(path), component="0")


def _numcodecs() -> Any:
    import numcodecs

    return numcodecs.get_codec(CODEC)


WRITERS: dict[str, Callable[[Any, Path], None]] = {
    "ZarrStream": _stream,
    "export": _unverified,
    "export, verified": _verified,
    "ome-zarr-py": _ome_zarr,
    "ngff-zarr": _ngff_zarr,
    "dask (level 0)": _dask,
}
OURS = ("ZarrStream", "export", "export, verified")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("benchmarks.export", description=__doc__)
    add = parser.add_argument
    add("--gib", type=float, default=2.0, help="of the stack, else 2")
    add("--rounds", type=int, default=3)
    add("--sources", nargs="+", default=["memory", "dask"])
    add("--writers", nargs="+", default=list(WRITERS), choices=list(WRITERS))
    add("--directory", default=MEMORY_BACKED if Path(MEMORY_BACKED).is_dir() else None)
    add("--one", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args()


def _measure(writer: str, source: str, stack: Path) -> dict[str, float]:
    """In a process of its own; the stack is read before the clock runs."""
    pixels: Any = np.load(stack)
    if source == "dask":
        import dask.array as da

        pixels = da.from_array(pixels, chunks=(16, TILE, TILE))
    path = stack.with_name("written.zarr")
    began, worked = time.perf_counter(), time.process_time()
    WRITERS[writer](pixels, path)
    wall_s = time.perf_counter() - began
    cpu_s = time.process_time() - worked
    shutil.rmtree(path)
    return {"wall_s": wall_s, "cpu_s": cpu_s}


def main() -> None:
    """Measure all in turn, and print ratios."""
    given = _arguments()
    if given.one:
        writer, source, stack = given.one
        print(json.dumps(_measure(writer, source, Path(stack))))
        return
    planes = max(16, round(given.gib * 2**30 / (SIDE * SIDE * 2)))
    with tempfile.TemporaryDirectory(dir=given.directory) as folder:
        stack = Path(folder) / "stack.npy"
        few = camera_frames(16, SIDE)
        np.save(stack, few[np.arange(planes) % len(few)])
        for source in given.sources:
            _compare(given, source, stack)


def _compare(given: argparse.Namespace, source: str, stack: Path) -> None:
    times: dict[str, list[dict[str, float]]] = {name: [] for name in given.writers}
    for number in range(given.rounds):
        for name in given.writers[:: -1 if number % 2 else 1]:
            if name not in OURS and number:
                continue  # they take minutes
            command = [sys.executable, "-m", "benchmarks.export", "--one", name]
            try:
                done = subprocess.run(
                    [*command, source, str(stack)],
                    stdout=subprocess.PIPE,
                    check=True,
                    text=True,
                )
            except subprocess.CalledProcessError as error:
                if name in OURS:
                    raise
                # A peer that fails does not take the other figures with it.
                print(f"left out: {error}", file=sys.stderr)
                continue
            times[name].append(json.loads(done.stdout.splitlines()[-1]))
            print(source, name, times[name][-1], file=sys.stderr)
    base = times["ZarrStream"] if "ZarrStream" in times else next(iter(times.values()))
    print(f"\n| from {source} | seconds | CPU seconds | to the first, wall | CPU |")
    print("|---|---|---|---|---|")
    for name, runs in times.items():
        if not runs:
            continue
        wall, cpu = (
            statistics.median(run[key] for run in runs) for key in ("wall_s", "cpu_s")
        )
        ratios = [
            statistics.median(
                run[key] / first[key] for run, first in zip(runs, base, strict=False)
            )
            for key in ("wall_s", "cpu_s")
        ]
        said = " | ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"| {name} | {wall:.1f} | {cpu:.1f} | {said} |")


if __name__ == "__main__":
    main()
