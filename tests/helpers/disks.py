"""A stream onto a disk that fails: begun, fed until it is heard, and ended."""

import os
import threading
import time

import pytest
import zarr
from frames import plane
from waiting import PATIENCE_S

from napari_zarr_stream import StorageProperties, WriteFailed, ZarrStream

LZ4 = "ZarrV3Blosc1Lz4ByteShuffle"
SHAPE = (64, 96)
WAYS = {
    "raw": {"device_kind": "Zarr", "frames_per_chunk": 8},
    "single": {"device_kind": LZ4, "frames_per_chunk": 1},
    "blosc": {"device_kind": LZ4, "frames_per_chunk": 8},
    "sharded": {"device_kind": LZ4, "sharded": True},
}


def stream_of(path, way="single", shape=SHAPE, tile=32):
    """A stream of small frames, laid out in one of `WAYS`."""
    properties = StorageProperties(path, tile_width=tile, tile_height=tile, **WAYS[way])
    return ZarrStream(properties, axes="tyx", shape=(None, *shape), dtype="uint16")


def read(path):
    """All pixels at full size, read by zarr."""
    return zarr.open_array(path / "0", mode="r")[:]


def append_until_it_fails(stream, then=lambda: None, after=40, timeout_s=PATIENCE_S):
    """Append, do something after some frames, and go on; returns the failure."""
    deadline = time.monotonic() + timeout_s
    try:
        for number in range(10**6):
            stream.append(plane(number, stream.plan.plane_shape(0)))
            if number == after:
                then()
            time.sleep(0.002)
            assert time.monotonic() < deadline, "nothing was heard"
    except WriteFailed as failure:
        return failure


def end(stream):
    """Close what has failed: it says so once more, and no thread is left."""
    with pytest.raises(WriteFailed) as caught:
        stream.close()
    assert caught.value is stream.status().error
    stream.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("zarr-stream")]


def open_files(folder):
    """Descriptors of this process for files in a folder."""
    paths = []
    for number in os.listdir("/proc/self/fd"):
        try:
            paths.append(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:
            continue  # that of the listing itself
    return [path for path in paths if path.startswith(f"{folder}/")]
