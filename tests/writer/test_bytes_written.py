"""What a recording has the disk write, besides its chunks: counted at the calls.

Windows' NTFS fills what lies between the end of what was written and a write behind it
with zeros, at once, unless the file was made sparse before. That is counted as well.
"""

import os
import threading
from collections import Counter

import numpy as np
import pytest

from napari_zarr_stream import StorageProperties, ZarrStream
from napari_zarr_stream._writer import system

FRAMES, SIDE = 64, 2048
MOST = 1.02
EMPTY = 2**64 - 1


class Disk:
    """Counts bytes that are written and, as NTFS would, those that are filled."""

    def __init__(self, monkeypatch):
        self.written = self.filled = 0
        self._ends = Counter()
        self._sparse = set()
        self._lock = threading.Lock()
        for name in ("write_at", "set_size", "allow_holes"):
            note, call = getattr(self, f"_{name}"), getattr(system, name)
            monkeypatch.setattr(system, name, self._noted(note, call))

    def _noted(self, note, call):
        def noted(descriptor, *arguments):
            info = os.fstat(descriptor)
            with self._lock:
                note((info.st_dev, info.st_ino), *arguments)
            return call(descriptor, *arguments)

        return noted

    def _write_at(self, file, offset, pieces):
        size = sum(map(len, pieces))
        self.written += size
        if file not in self._sparse:
            self.filled += max(0, offset - self._ends[file])
        self._ends[file] = max(self._ends[file], offset + size)

    def _set_size(self, file, size):
        self._ends[file] = min(self._ends[file], size)

    def _allow_holes(self, file):
        self._sparse.add(file)
        self._ends[file] = 0  # a number that another file had


def bytes_of_chunks(path, per_shard):
    """What the indexes of all shards say, and what their files take on the disk."""
    chunks = taken = 0
    for shard in path.glob("[0-9]/c/*/*/*"):
        with system.closing(system.open_to_read(shard)) as file:
            size, index = system.size_of(file), 16 * per_shard
            table = np.frombuffer(
                system.read_at(file, index, size - index - 4), "<u8"
            ).reshape(-1, 2)
            chunks += int(table[table[:, 0] != EMPTY, 1].sum())
            taken += system.size_on_disk(file)
    return chunks, taken


@pytest.mark.parametrize(
    "kind",
    [
        "ZarrV3Blosc1Lz4ByteShuffle",
        pytest.param("ZarrV3Blosc1ZstdByteShuffle", marks=pytest.mark.long),
        pytest.param("ZarrV3", marks=pytest.mark.long),
    ],
)
def test_hardly_more_than_the_chunks_is_written(tmp_path, monkeypatch, kind):
    """At the dock's defaults."""
    disk = Disk(monkeypatch)
    path = tmp_path / "a.zarr"
    properties = StorageProperties(
        path,
        kind,
        tile_width=512,
        tile_height=512,
        max_bytes_per_chunk=16 * 2**20,
        sharded=True,
    )
    noise = np.random.default_rng(0).poisson(100, (SIDE, SIDE)).astype("u2")
    shape = (None, SIDE, SIDE)
    with ZarrStream(properties, axes="tyx", shape=shape, dtype="u2") as stream:
        for number in range(FRAMES):
            stream.append(np.roll(noise, 7 * number, axis=0))
    chunks, taken = bytes_of_chunks(path, stream.plan.chunks_per_shard)
    print(
        f"{chunks} bytes in chunks, {disk.written} written, {disk.filled} filled, "
        f"{taken} on the disk"
    )
    assert chunks > FRAMES * SIDE**2 / 2
    assert disk.written + disk.filled <= MOST * chunks
    assert taken <= MOST * chunks
