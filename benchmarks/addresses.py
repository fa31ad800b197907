"""Measures the slider of a store at an address, beside napari-ome-zarr, 50 ms away.

    python -m benchmarks.addresses [--delay-ms 50]

2048 x 2048 uint16, zstd, tiles of 512, three levels; each reader in turn, in this
process, through a server of this computer that waits before each answer. Medians of
steps to frames that were not looked at before, and of the same ones again.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from napari_zarr_stream import DeviceKind, StorageProperties, ZarrStream, open_layers

from .measure import camera_frames
from .slow_server import serving

SIDE, TILE, FRAMES = 2048, 512, 24
STEPS = (3, 9, 15, 7, 12, 20, 5, 17, 1, 22)
LAYOUTS: dict[str, dict[str, Any]] = {
    "shard per tile": {"sharded": True},
    "shard of planes": {"sharded": True, "shard_chunks": (0, 0)},
    "no shards": {"frames_per_chunk": 1},
}


def _write(path: Path, layout: dict[str, Any]) -> None:
    frames = camera_frames(4, SIDE)
    properties = StorageProperties(
        path,
        DeviceKind.ZARR_V3_ZSTD,
        tile_width=TILE,
        tile_height=TILE,
        enable_multiscale=True,
        **layout,
    )
    with ZarrStream(
        properties, axes="tyx", shape=(FRAMES, SIDE, SIDE), dtype="uint16"
    ) as stream:
        for number in range(FRAMES):
            stream.append(frames[number % len(frames)])


def _ours(address: str) -> Any:
    return open_layers(address)[0][0]


def _theirs(address: str) -> Any:
    from napari_ome_zarr import napari_get_reader

    read = napari_get_reader(address)
    assert read is not None
    return read(address)[0][0]


READERS: dict[str, Callable[[str], Any]] = {
    "napari-zarr-stream": _ours,
    "napari-ome-zarr": _theirs,
}


def _since(began: float) -> float:
    return 1e3 * (time.perf_counter() - began)


def _steps(level: Any) -> float:
    took = []
    for at in STEPS:
        began = time.perf_counter()
        np.asarray(level[at])
        took.append(_since(began))
    return median(took)


def main() -> None:
    """Write stores, look at them in turn, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delay-ms", type=float, default=50)
    given = parser.parse_args()
    print("store | reader | open | step, level 0 | again | step, level 1 | again")
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder), given.delay_ms / 1e3) as address,
    ):
        for name, layout in LAYOUTS.items():
            store = f"{name.replace(' ', '-')}.zarr"
            _write(Path(folder) / store, layout)
            for reader, open_with in READERS.items():
                began = time.perf_counter()
                levels = open_with(f"{address}/{store}")
                took = [_since(began)]
                for level in levels[:2]:
                    took += [_steps(level), _steps(level)]  # first, and again
                print(name, reader, *(f"{ms:.0f}" for ms in took), sep=" | ")


if __name__ == "__main__":
    main()
