"""Measures recordings with and without a napari window that shows them.

    xvfb-run -a -s "-screen 0 1600x1000x24" python -m benchmarks.live

Sharded lz4 with the pyramid, 2048 x 2048 uint16, to a memory-backed directory: at 100
frames a second, at 60, and flat out. Every run has a process of its own: without a
window, with one, and with one in which somebody looks back all the time. A frame that
was not taken half a second after it was due is lost, as in a camera's ring buffer.

Every frame carries its number, which is read back from what was drawn: how old it is
then, from the moment at which the camera has it, and whether it is the one that was
asked for.
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
from .seen import Glass, Heartbeat, Scrubber, write_number

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
        self.made_at: list[float] = []
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
        write_number(frame, self._next)
        self._next += 1
        began = time.perf_counter()
        self.made_at.append(self._due_s if self._rate else began)
        sink.append(frame)
        self.append_ms.append(1e3 * (time.perf_counter() - began))
        self._ballast.give()

    def stop(self) -> None:
        """See `Source.stop`."""


def _record(count: int, rate: float | None, window: str, folder: Path) -> Any:
    source = Frames(count, rate, folder)
    properties = StorageProperties(
        folder / "live.zarr",
        DeviceKind.ZARR_V3_LZ4,
        tile_width=TILE,
        tile_height=TILE,
        sharded=True,
    )
    seen: dict[str, Any] = {}
    if window == "none":
        recording = Recording(source, properties)
        recording.start()
        recording.wait()
        status = recording.status()
    else:
        status, seen = _record_shown(source, properties, window == "scrubbed")
    assert status.frames_committed == count
    return {
        "frames_per_s": count / status.elapsed_s,
        "append_ms": _percentiles(source.append_ms, 50, 99, 100),
        "lost": source.lost,
        **seen,
    }


def _percentiles(values: list[float], *shares: int) -> list[float]:
    return [float(np.percentile(values, share)) for share in shares] if values else []


def _record_shown(
    source: Frames, properties: StorageProperties, is_scrubbed: bool
) -> Any:
    import napari
    from qtpy.QtCore import QEventLoop
    from qtpy.QtWidgets import QApplication

    from napari_zarr_stream._viewer.session import session_of
    from napari_zarr_stream._viewer.starting import Job

    viewer = napari.Viewer(show=True)
    viewer.window.resize(1300, 800)
    QApplication.processEvents()
    session = session_of(viewer)
    glass = Glass(viewer, source.made_at)
    glass.is_live = lambda: session.look_back is not None and session.look_back.is_live
    heart = Heartbeat()
    session.start([Job(source, properties)])
    scrubber = Scrubber(viewer, session, glass) if is_scrubbed else None
    ends = QEventLoop()
    session.ended.connect(ends.quit)
    ends.exec()
    heart.stop()
    status = session.status()
    seen = {
        "shown_per_s": len(glass.age_ms) / status.elapsed_s,
        "age_ms": _percentiles(glass.age_ms, 50, 95),
        "late_ms": _percentiles(heart.late_ms, 50, 95, 100),
    }
    if scrubber is not None:
        scrubber.stop()
        seen |= {"looks": scrubber.looks, "wrong": scrubber.wrong}
    viewer.close()
    return status, seen


def _in_fresh_process(mode: str, window: str, directory: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.live", "--one", mode]
    command += ["--directory", directory, "--window", window]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


MODES: dict[str, tuple[int, float | None]] = {
    "60 frames/s": (1200, 60.0),
    "100 frames/s": (2000, 100.0),
    "flat out": (960, None),
}

WINDOWS = ("none", "napari", "scrubbed")


def _row(mode: str, window: str, runs: list[dict[str, Any]]) -> str:
    """Medians of the runs; of what went wrong, the most."""

    def medians(name: str, count: int) -> list[str]:
        if not runs[0].get(name):
            return ["-"] * count
        each = zip(*(run[name] for run in runs), strict=True)
        return [f"{median(values):.1f}" for values in each]

    looks = sum(run.get("looks", 0) for run in runs)
    wrong = sum(len(run.get("wrong", ())) for run in runs)
    cells = [
        f"{median(run['frames_per_s'] for run in runs):.1f}",
        *medians("append_ms", 3),
        str(max(run["lost"] for run in runs)),
        f"{median(run.get('shown_per_s', 0) for run in runs):.1f}",
        *medians("age_ms", 2),
        *medians("late_ms", 3),
        f"{wrong} of {looks}" if looks else "-",
    ]
    return f"| {mode} | {window} | {' | '.join(cells)} |"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", default="/dev/shm")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--one", choices=MODES, help=argparse.SUPPRESS)
    parser.add_argument("--window", choices=WINDOWS, default="none")
    given = parser.parse_args()
    if given.one:
        with tempfile.TemporaryDirectory(dir=given.directory) as folder:
            result = _record(*MODES[given.one], given.window, Path(folder))
        print(json.dumps(result))
        return
    print(
        "| mode | window | frames/s | append ms: median | p99 | max | lost | shown/s "
        "| age of a frame on the screen, ms: median | p95 "
        "| window late, ms: median | p95 | max | wrong looks |"
    )
    print("| --- | --- |" + " ---: |" * 12)
    for mode in MODES:
        runs: dict[str, list[dict[str, Any]]] = {window: [] for window in WINDOWS}
        for number in range(given.rounds):
            for window in WINDOWS if number % 2 else WINDOWS[::-1]:
                runs[window].append(_in_fresh_process(mode, window, given.directory))
        for window, of_window in runs.items():
            print(_row(mode, window, of_window), flush=True)
        for window in WINDOWS[1:]:
            pairs = zip(runs[window], runs["none"], strict=True)
            kept = median(a["frames_per_s"] / b["frames_per_s"] for a, b in pairs)
            print(f"\n{mode}, {window}: {kept:.0%} of the speed without one is kept\n")


if __name__ == "__main__":
    main()
