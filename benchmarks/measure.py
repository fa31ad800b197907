"""One measurement in this process: no high-water mark or cache is another run's.

Knows no tables and no rounds.
"""

import itertools
import os
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from . import positions
from .writers import OPENERS, ROOFLINE, Frames, Run, open_ours, roofline


def camera_frames(count: int, side: int) -> Frames:
    """Bright blobs over a background, with shot and read noise.

    Neither constant nor white noise, which codecs find easier and harder than a camera.
    """
    random = np.random.default_rng(0)
    y, x = np.ogrid[:side, :side]
    frames = np.empty((count, side, side), np.uint16)
    for frame in frames:
        light = np.full((side, side), 40, np.float32)
        for _ in range(12):
            at_y, at_x, size = random.uniform(0, 1, 3) * (side, side, side / 8) + 2
            across = np.exp(-(((x - at_x) / size) ** 2)).astype(np.float32)
            down = np.exp(-(((y - at_y) / size) ** 2)).astype(np.float32)
            light += random.uniform(100, 900) * down * across
        read_noise = random.standard_normal(light.shape, np.float32) * 2
        frame[...] = random.poisson(light) + read_noise + 100
    return frames


def _touch(directory: str, size: int, frames: Frames) -> None:
    """Write `size` bytes into a file and delete it.

    On a virtual machine memory that was never used is slow the first time, since the
    host has to find it. Without this, who comes first would pay for all others.
    """
    with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
        while size > 0:
            size -= file.write(frames.data)
    if sys.platform != "win32":
        os.sync()  # nor should the disk be busy with what the run before has left


def _peak_bytes() -> int:
    """Most physical memory this process ever had, or had since `_forget_peak`."""
    if sys.platform == "linux":
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS: bytes


def _forget_peak() -> int:
    """Set the high-water mark to what is used now, where the system can; returns it."""
    if sys.platform == "linux":
        Path("/proc/self/clear_refs").write_text("5")
    return _peak_bytes()


def measure(run: Run) -> dict[str, Any]:
    """Do what `run` says; returns figures by name."""
    frames = np.ascontiguousarray(np.load(run.source)[:, : run.side, : run.side])
    # Made beforehand, whatever the batch: they are the input, not part of the peak.
    if run.batch > len(frames):
        frames = np.concatenate([frames] * (run.batch // len(frames)))
    folder = Path(tempfile.mkdtemp(prefix="benchmark-", dir=run.directory))
    try:
        if run.writer == "reading":
            return _read(run, frames, folder)
        # A third more than the pixels: for lower levels, or for buffers.
        _touch(run.directory, run.frames * frames[0].nbytes * 4 // 3, frames)
        # Imports, compilers, thread pools; small, so that it leaves no memory to reuse.
        small = replace(run, side=128, tile=64, frames=2, batch=1)
        _write(small, frames[:2, :128, :128].copy(), folder / "warm-up")
        result = _write(run, frames, folder / "store")
        if run.verify and run.writer in OPENERS:
            _verify(run, frames, folder / "store")
        return result
    finally:
        shutil.rmtree(folder)


def _write(run: Run, frames: Frames, path: Path) -> dict[str, Any]:
    pieces = np.split(frames, len(frames) // run.batch)
    count = run.frames // run.batch
    took: list[float] = []
    before = _forget_peak()
    if run.writer == ROOFLINE:
        path.mkdir()
        work = roofline(run, pieces, path)
        cpu, start = time.process_time(), time.perf_counter()
        work()
        closing = 0.0
    else:
        writer = (OPENERS | positions.OPENERS)[run.writer](run, path)
        append, clock = writer.append, time.perf_counter
        cpu, start = time.process_time(), clock()
        for piece in itertools.islice(itertools.cycle(pieces), count):
            begin = clock()
            append(piece)
            took.append(clock() - begin)
        begin = clock()
        writer.close()
        closing = clock() - begin
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    size = run.frames * frames[0].nbytes
    latencies = np.array(took or [0.0]) * 1e3
    return {
        "mb_per_s": size / 1e6 / seconds,
        "frames_per_s": run.frames / seconds,
        "cpu_s_per_gb": cpu / (size / 1e9),
        "peak_mb": (_peak_bytes() - before) / 1e6,
        "append_ms": [
            float(np.median(latencies)),
            float(np.percentile(latencies, 99)),
            float(latencies.max()),
        ],
        "close_s": closing,
    }


def _verify(run: Run, frames: Frames, path: Path) -> None:
    """Compare planes from both ends and the middle, and the levels' shapes."""
    import zarr

    level_0 = path / "0" if (path / "0").exists() else path
    array: Any = zarr.open_array(str(level_0), mode="r")
    for k in (0, run.frames // 2 + 1, run.frames - 1):
        if not np.array_equal(array[k], frames[k % len(frames)]):
            raise AssertionError(f"{run}: plane {k} is not what was appended")
    levels = sorted(p for p in path.glob("[0-9]*") if (p / "zarr.json").exists())
    if run.multiscale and len(levels) != len(run.sides):
        raise AssertionError(f"{run}: {len(levels)} levels")
    for level, side in zip(levels, run.sides, strict=False):
        shape = zarr.open_array(str(level), mode="r").shape
        if shape != (run.frames, side, side) or array.chunks != run.chunk:
            raise AssertionError(f"{run}: {level.name} has shape {shape}")


def _read(run: Run, frames: Frames, folder: Path) -> dict[str, Any]:
    """Milliseconds of a step of the time slider, and of reading frames in bulk."""
    import zarr

    from napari_zarr_stream._reading.lazy import LazyArray

    path = folder / "store"
    stream = open_ours(run, path)
    for k in range(run.frames):
        stream.append(frames[k % len(frames)])
    stream.close()
    level = LazyArray(zarr.open_array(str(path / "0"), mode="r"))
    middle, steps = run.side // 2, min(40, run.frames - 1)
    views = {
        "whole": slice(None),
        # Four tiles, as a view nearly never lies on one.
        "zoomed": slice(middle - run.tile // 2, middle + run.tile // 2),
    }
    stored = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    result: dict[str, Any] = {"stored_mb": stored / 1e6}
    for name, view in views.items():
        took = []
        for t in range(steps + 1):
            begin = time.perf_counter()
            # napari crops a multiscale layer to the view before it picks t.
            plane = np.asarray(level[:, view, view][t])
            took.append((time.perf_counter() - begin) * 1e3)
            if run.verify and not np.array_equal(
                plane, frames[t % len(frames), view, view]
            ):
                raise AssertionError(f"{run}: plane {t} read is not what was appended")
        # Without the first, which pays for imports and threads.
        result[name] = [float(np.median(took[1:])), float(np.percentile(took[1:], 95))]
    bulk = min(run.frames, run.per_file)
    begin = time.perf_counter()
    np.asarray(level[:bulk])
    result["bulk"] = (time.perf_counter() - begin) * 1e3 / bulk
    return result
