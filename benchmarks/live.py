"""Measures recordings with and without a napari window that shows them.

    xvfb-run -a -s "-screen 0 1600x1000x24" python -m benchmarks.live

Sharded lz4 with the pyramid, 2048 x 2048 uint16, to a memory-backed directory: at 100
frames a second, and flat out. Every run has a process of its own, with and without a
window in turn. A frame that was not taken half a second after it was due is lost, as in
a camera's ring buffer.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from napari_zarr_stream import DeviceKind, StorageProperties
from napari_zarr_stream._recording.recording import Recording
from napari_zarr_stream._sources.source import Sink, SourceDescription

from .measure import camera_frames

SIDE, TILE = 2048, 512
RING_S = 0.5
ROUNDS = 3


class Ballast:
    """A file that gives its memory back as a recording needs it.

    The host of a virtual machine takes back memory that is free and finds it again a
    page at a time, which takes longer than all the rest: this keeps it here.
    """

    def __init__(self, folder: Path, size: int, frames: int) -> None:
        self._file = (folder / "ballast").open("wb", buffering=0)
        self._size, self._step = size, size // frames
        block = bytes(2**24)
        while size > 0:
            size -= self._file.write(block[:size])

    def give(self) -> None:
        """Make room for one more frame."""
        self._size = max(0, self._size - self._step)
        self._file.truncate(self._size)


class Frames:
    """A source of frames that are in memory, at a rate or as fast as they are taken."""

    def __init__(self, count: int, rate: float | None, folder: Path) -> None:
        self.pixels = camera_frames(16, SIDE)
        self._count, self._rate = count, rate
        self._next = 0
        self._due_s = 0.0
        self.lost = 0
        self.append_ms: list[float] = []
        # What compression leaves of all levels, with room to spare.
        self._ballast = Ballast(folder, count * self.pixels[0].nbytes * 3 // 4, count)

    def describe(self) -> SourceDescription:
        """See `Source.describe`."""
        return SourceDescription(
            name="frames",
            axes="tyx",
            shape=(self._count, SIDE, SIDE),
            dtype=self.pixels.dtype,
            scale=(1.0, 1.0, 1.0),
            translation=(0.0, 0.0, 0.0),
            units=(None, None, None),
            value_range=(0.0, 4095.0),
            frame_rate=self._rate,
        )

    events = ()

    def run(self, work: Callable[[], None], is_stopping: Callable[[], bool]) -> None:
        """See `Source.run`."""
        work()

    def start(self) -> None:
        """See `Source.start`."""
        self._due_s = time.perf_counter()

    def drain(self, timeout_s: float) -> None:
        """See `Source.drain`."""

    def feed(self, sink: Sink, timeout_s: float) -> None:
        """See `Source.feed`."""
        if self._rate:
            now = time.perf_counter()
            self._due_s += 1 / self._rate
            while now - self._due_s > RING_S:
                self._due_s += 1 / self._rate
                self.lost += 1
            time.sleep(max(0.0, self._due_s - now))
        frame = self.pixels[self._next % len(self.pixels)]
        self._next += 1
        began = time.perf_counter()
        sink.append(frame)
        self.append_ms.append(1e3 * (time.perf_counter() - began))
        self._ballast.give()

    def stop(self) -> None:
        """See `Source.stop`."""


def _record(count: int, rate: float | None, window: bool, folder: Path) -> Any:
    source = Frames(count, rate, folder)
    properties = StorageProperties(
        folder / "live.zarr",
        DeviceKind.ZARR_V3_LZ4,
        tile_width=TILE,
        tile_height=TILE,
        sharded=True,
    )
    if not window:
        recording = Recording(source, properties)
        recording.start()
        recording.wait()
        status, shown = recording.status(), 0
    else:
        status, shown = _record_shown(source, properties)
    assert status.frames_committed == count
    latencies = np.array(source.append_ms)
    return {
        "frames_per_s": count / status.elapsed_s,
        "append_ms": [float(np.percentile(latencies, p)) for p in (50, 99, 100)],
        "lost": source.lost,
        "shown_per_s": shown / status.elapsed_s,
    }


def _record_shown(source: Frames, properties: StorageProperties) -> Any:
    import napari
    from qtpy.QtWidgets import QApplication

    from napari_zarr_stream._viewer.session import session_of
    from napari_zarr_stream._viewer.starting import Job

    viewer = napari.Viewer(show=True)
    viewer.window.resize(1300, 800)
    session = session_of(viewer)
    session.start([Job(source, properties)])
    (live,) = session.lives
    shown = []
    live.layer.events.set_data.connect(shown.append)
    while session.is_busy:
        QApplication.processEvents()
        time.sleep(0.001)
    status = session.status()
    viewer.close()
    return status, len(shown)


def _in_fresh_process(mode: str, window: bool, directory: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.live", "--one", mode]
    command += ["--directory", directory] + ["--window"] * window
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


MODES: dict[str, tuple[int, float | None]] = {
    "100 frames/s": (3000, 100.0),
    "flat out": (960, None),
}


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", default="/dev/shm")
    parser.add_argument("--one", choices=MODES, help=argparse.SUPPRESS)
    parser.add_argument("--window", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        with tempfile.TemporaryDirectory(dir=given.directory) as folder:
            result = _record(*MODES[given.one], given.window, Path(folder))
        print(json.dumps(result))
        return
    print(
        "| mode | window | frames/s | append ms: median | p99 | max | lost | shown/s |"
    )
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for mode in MODES:
        runs: dict[bool, list[dict[str, Any]]] = {False: [], True: []}
        for number in range(ROUNDS):
            for window in (False, True) if number % 2 else (True, False):
                runs[window].append(_in_fresh_process(mode, window, given.directory))
        for window, of_window in runs.items():
            cells = [median(run["frames_per_s"] for run in of_window)]
            cells += [
                median(run["append_ms"][i] for run in of_window) for i in range(3)
            ]
            shown = median(run["shown_per_s"] for run in of_window)
            lost = max(run["lost"] for run in of_window)
            numbers = " | ".join(f"{cell:.1f}" for cell in cells)
            seen = "napari" if window else "none"
            print(f"| {mode} | {seen} | {numbers} | {lost} | {shown:.1f} |", flush=True)
        pairs = zip(runs[True], runs[False], strict=True)
        kept = median(a["frames_per_s"] / b["frames_per_s"] for a, b in pairs)
        print(f"\n{mode}: {kept:.0%} of the speed is kept under a window\n")


if __name__ == "__main__":
    main()
