"""Records for long, or often, and looks whether anything grows that should not.

python -m benchmarks.soak --minutes 30
python -m benchmarks.soak --recordings 1000
"""

import argparse
import gc
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from napari_zarr_stream import StorageProperties
from napari_zarr_stream._recording.recording import Recording
from napari_zarr_stream._sources.camera import CameraSource
from napari_zarr_stream.cameras import CameraThread, SimulatedCamera

MAX_GROWTH_BYTES = 48 * 2**20
"""Of memory: what malloc keeps varies by this."""

FULL_SPEED = 10_000
"""Frames a second, more than the writer takes on most machines: the rest is lost."""

MAX_MORE_FILES = 8
"""Open at once: a few shards of each level end and begin."""


@dataclass(frozen=True)
class Look:
    """What the process holds."""

    memory: int
    threads: int
    files: int

    def __str__(self) -> str:
        return f"{self.memory / 1e6:.0f} MB, {self.threads} threads, {self.files} files"


def _look() -> Look:
    process = psutil.Process()
    return Look(process.memory_info().rss, process.num_threads(), process.num_fds())


@contextmanager
def _recording(
    folder: Path, name: str, frames: int, frame_rate: float
) -> Iterator[Recording]:
    properties = StorageProperties(
        folder / name, "ZarrV3Blosc1Lz4ByteShuffle", sharded=True,
        tile_width=64, tile_height=64,
    )  # fmt: skip
    # Dark frames: others would fill a disk within the half hour.
    make = partial(
        SimulatedCamera, "empty", frame_rate=frame_rate, width=128, height=128
    )
    with closing(CameraThread(make)) as camera:
        camera.call(lambda opened: opened.open())
        recording = Recording(CameraSource(camera, "dark", frames), properties)
        with closing(recording):
            yield recording


def _check(first: Look, last: Look) -> None:
    print(f"first {first}\nlast  {last}", flush=True)
    assert last.memory - first.memory < MAX_GROWTH_BYTES, "memory grows"
    assert last.threads <= first.threads, "threads are left"
    assert last.files - first.files <= MAX_MORE_FILES, "files are left open"


def long_run(folder: Path, seconds: float) -> None:
    """One recording; nothing grows after a quarter of the time."""
    with _recording(folder, "long.zarr", 0, FULL_SPEED) as recording:
        recording.start()
        began = time.monotonic()
        looks = []
        while time.monotonic() - began < seconds:
            recording.wait(seconds / 40)
            looks.append(_look())
        recording.stop()
        recording.wait()
        status = recording.status()
    assert status.frames_committed == status.frames_acquired > 0
    print(f"{status.frames_acquired} frames in {status.elapsed_s:.0f} s", flush=True)
    early, late = looks[len(looks) // 4 : len(looks) // 2], looks[-len(looks) // 4 :]

    def most(some: list[Look]) -> Look:
        return Look(*(max(getattr(x, n) for x in some) for n in Look.__annotations__))

    _check(most(early), most(late))


def many_runs(folder: Path, recordings: int) -> None:
    """Recordings one after another; the tenth leaves as little as the last."""
    first = _look()
    for number in range(recordings):
        with _recording(folder, f"{number}.zarr", 10, 200) as recording:
            recording.start()
            recording.wait()
            assert recording.status().frames_committed == 10
        shutil.rmtree(folder / f"{number}.zarr")
        if number == 9:
            gc.collect()
            first = _look()
    gc.collect()
    _check(first, _look())


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser("soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--recordings", type=int, default=0)
    parser.add_argument("--directory", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.directory) as folder:
        if arguments.recordings:
            many_runs(Path(folder), arguments.recordings)
        if arguments.minutes:
            long_run(Path(folder), 60 * arguments.minutes)


if __name__ == "__main__":
    main()
