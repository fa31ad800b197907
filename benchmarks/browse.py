"""Measures how a recording is looked at in a napari window, beside napari-ome-zarr.

    xvfb-run -a -s "-screen 0 1600x1000x24" python -m benchmarks.browse

2048 x 2048 uint16, lz4, pyramid, in shards and without. Each reader in a process of its
own, in turn; for each step of the slider the time until napari has the pixels, and
until they are drawn. *Whole* shows all of a frame, *full* a part at full size. Random
steps come first, when nothing is kept; then each frame after the other, then 30 a
second as the play button has it: late is what was not drawn when the next was due.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from napari_zarr_stream import DeviceKind, StorageProperties, ZarrStream

from .measure import camera_frames

SIDE, TILE, FRAMES = 2048, 512, 96
PLAY_S = 1 / 30
READERS = ("napari-zarr-stream", "napari-ome-zarr")


def _write(path: Path, sharded: bool) -> None:
    frames = camera_frames(8, SIDE)
    properties = StorageProperties(
        path,
        DeviceKind.ZARR_V3_LZ4,
        tile_width=TILE,
        tile_height=TILE,
        sharded=sharded,
        enable_multiscale=True,
    )
    with ZarrStream(
        properties, axes="tyx", shape=(FRAMES, SIDE, SIDE), dtype="uint16"
    ) as stream:
        for number in range(FRAMES):
            stream.append(frames[number % len(frames)])


def _look(path: Path, reader: str, zoom: str) -> dict[str, Any]:
    """In this process: steps in ms, and how many of a second's frames were late."""
    import napari
    from qtpy.QtWidgets import QApplication

    viewer = napari.Viewer()
    viewer.window._qt_window.resize(1300, 950)  # noqa: SLF001 - it has no public name
    viewer.open(str(path), plugin=reader)
    canvas = viewer.window._qt_viewer.canvas  # noqa: SLF001 - the same
    drawn: list[float] = []
    canvas.events.draw.connect(lambda _: drawn.append(time.perf_counter()))
    QApplication.processEvents()
    viewer.reset_view()
    if zoom == "full":
        viewer.camera.zoom = 1.0
    for _ in range(20):
        QApplication.processEvents()
        time.sleep(0.01)

    def step(number: int) -> tuple[float, float]:
        began = time.perf_counter()
        viewer.dims.set_current_step(0, number)
        sliced = time.perf_counter()
        count = len(drawn)
        while len(drawn) == count:
            QApplication.processEvents()
        return 1e3 * (sliced - began), 1e3 * (time.perf_counter() - began)

    def steps(numbers: list[int]) -> dict[str, float]:
        taken = [step(number) for number in numbers]
        pixels, all_of_it = zip(*taken, strict=True)
        return {
            "pixels": median(pixels),
            "drawn": median(all_of_it),
            "longest": max(all_of_it),
        }

    order = np.random.default_rng(1).permutation(np.arange(1, FRAMES))[:40].tolist()
    told: dict[str, Any] = {"random": steps(order)}
    told["forward"] = steps(list(range(FRAMES)))
    late, due = 0, time.perf_counter()
    for number in range(FRAMES):
        due += PLAY_S
        step(number)
        late += time.perf_counter() > due
        due = max(due, time.perf_counter())
        while time.perf_counter() < due:
            QApplication.processEvents()
    told["late"] = late
    viewer.close()
    return told


def main() -> None:
    """Write stores, look at them in turn, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--look", nargs=3, metavar=("PATH", "READER", "ZOOM"))
    given = parser.parse_args()
    if given.look:
        path, reader, zoom = given.look
        print(json.dumps(_look(Path(path), reader, zoom)))
        return
    print("store | zoom | reader | random: pixels, drawn, longest | forward | late")
    with tempfile.TemporaryDirectory() as folder:
        for sharded in (True, False):
            path = Path(folder) / ("shards.zarr" if sharded else "chunks.zarr")
            _write(path, sharded)
            for zoom in ("whole", "full"):
                told = _rounds(path, zoom, given.rounds)
                for reader, looks in told.items():
                    print(path.stem, zoom, reader, _in_words(looks), sep=" | ")


def _rounds(path: Path, zoom: str, rounds: int) -> dict[str, list[dict[str, Any]]]:
    told: dict[str, list[dict[str, Any]]] = {reader: [] for reader in READERS}
    for _ in range(rounds):
        for reader, looks in told.items():
            command = [sys.executable, "-m", "benchmarks.browse"]
            done = subprocess.run(
                [*command, "--look", str(path), reader, zoom],
                capture_output=True,
                text=True,
                check=True,
            )
            looks.append(json.loads(done.stdout.splitlines()[-1]))
    return told


def _in_words(looks: list[dict[str, Any]]) -> str:
    cells = []
    for kind in ("random", "forward"):
        numbers = (
            median(look[kind][of] for look in looks)
            for of in ("pixels", "drawn", "longest")
        )
        cells.append(", ".join(f"{number:.1f}" for number in numbers))
    cells.append(f"{median(look['late'] for look in looks):.0f} of {FRAMES}")
    return " | ".join(cells)


if __name__ == "__main__":
    main()
