"""What a recording writes: its chunks, and next to nothing more.

Under `pretend_windows` the zeros that NTFS would add are counted, too.
"""

import sys
from collections import Counter

import numpy as np
import pytest
import zarr

from napari_zarr_stream import DeviceKind, StorageProperties, ZarrStream
from napari_zarr_stream._writer import system

FRAMES, SIDE = 64, 2048
DOCK = {"tile_width": 512, "tile_height": 512, "max_bytes_per_chunk": 16 * 2**20}
"""With shards and the pyramid: what the widget begins with."""


def chunk_bytes(path):
    """Of all chunks at all levels, as the indexes of the shards have them."""
    total = 0
    for file in path.glob("[0-9]/c/*/*/*"):
        data = file.read_bytes()
        chunks = (16 * 2**20) // (512 * 512 * 2)
        index = np.frombuffer(data[-16 * chunks - 4 : -4], "<u8").reshape(-1, 2)
        total += int(index[index[:, 1] != 2**64 - 1][:, 1].sum())
    return total


def size_on_disk(file):
    with system.closing(system.open_to_read(file)) as descriptor:
        return system.size_on_disk(descriptor)


@pytest.mark.parametrize("kind", [DeviceKind.ZARR_V3_LZ4, DeviceKind.ZARR_V3])
def test_no_more_is_written_than_the_chunks(tmp_path, monkeypatch, kind):
    """NTFS wrote two to three times as much: zeros before an index far behind."""
    written = Counter()
    write_at = system.write_at

    def counted(descriptor, offset, pieces):
        written["asked"] += sum(map(len, pieces))
        write_at(descriptor, offset, pieces)

    monkeypatch.setattr(system, "write_at", counted)
    kernel = sys.modules.get("pretend_kernel")
    zeros = kernel.written["zeros"] if kernel else 0
    path = tmp_path / "a.zarr"
    frame = np.random.default_rng(0).poisson(100, (SIDE, SIDE)).astype("u2")
    properties = StorageProperties(path, kind, sharded=True, **DOCK)
    with ZarrStream(
        properties, axes="tyx", shape=(None, SIDE, SIDE), dtype="uint16"
    ) as stream:
        for _ in range(FRAMES):
            stream.append(frame)
    assert zarr.open_array(path / "0", mode="r").shape == (FRAMES, SIDE, SIDE)
    chunks = chunk_bytes(path)
    if kind is DeviceKind.ZARR_V3:
        assert chunks > FRAMES * SIDE * SIDE * 2
    if kernel:
        written["asked"] += kernel.written["zeros"] - zeros
    on_disk = sum(size_on_disk(file) for file in path.rglob("*") if file.is_file())
    assert written["asked"] <= 1.02 * chunks
    assert chunks <= on_disk <= 1.02 * chunks
