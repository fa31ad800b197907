"""How a stream begins and ends: what fails at the start, what is said at the end."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest
import zarr
from frames import plane, planes
from programs import run_python
from records import record_of

from napari_zarr_stream import (
    InvalidProperties,
    StorageProperties,
    WriteFailed,
    ZarrStream,
)
from napari_zarr_stream._writer import local_store, memory, slot
from napari_zarr_stream._writer import stream as stream_module

SIDE = 256


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.zarr"


def stream_of(path, kind="ZarrV3Blosc1Lz4ByteShuffle", shape=None, **options):
    options = {"tile_width": 256, "tile_height": 256, "overwrite": True} | options
    shape = shape or (None, SIDE, SIDE)
    return ZarrStream(
        StorageProperties(path, kind, **options), axes="tyx", shape=shape, dtype="u2"
    )


def pixels_of(path):
    return zarr.open_group(path, mode="r")["0"][:]


def no_memory(*_, **__):
    raise MemoryError("no slot")


def no_threads(self):
    raise RuntimeError("can't start new thread")


def no_renaming(*_):
    raise OSError(5, "Input/output error")


@pytest.mark.parametrize(
    ("where", "name", "failure", "error"),
    [
        pytest.param(slot.Slot, "__init__", no_memory, MemoryError, id="slots"),
        pytest.param(threading.Thread, "start", no_threads, RuntimeError, id="threads"),
        pytest.param(stream_module, "Dataset", no_memory, MemoryError, id="dataset"),
        pytest.param(stream_module, "Intake", no_memory, MemoryError, id="intake"),
        pytest.param(
            local_store.system, "rename", no_renaming, WriteFailed, id="publish"
        ),
    ],
)
@pytest.mark.parametrize("is_there", [False, True], ids=["new", "replaced"])
def test_what_fails_at_the_start_leaves_nothing_and_replaces_nothing(
    path, monkeypatch, where, name, failure, error, is_there
):
    if is_there:
        with stream_of(path) as stream:
            stream.append(planes(3, (SIDE, SIDE)))
    before = set(threading.enumerate())
    there = sorted(path.parent.rglob("*"))
    with monkeypatch.context() as patched:
        patched.setattr(where, name, failure)
        with pytest.raises(error):
            stream_of(path)
    assert sorted(path.parent.rglob("*")) == there, "neither a store nor its lock"
    assert set(threading.enumerate()) <= before  # those of earlier tests may end
    with stream_of(path) as stream:
        stream.append(plane(7, (SIDE, SIDE)))
    np.testing.assert_array_equal(pixels_of(path), [plane(7, (SIDE, SIDE))])


def test_more_memory_than_there_is_is_refused_before_anything_is_made(
    path, monkeypatch
):
    """acquire-zarr#184, #232: recorded until the system killed it."""
    free = SimpleNamespace(available=2**20)
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: free)
    with pytest.raises(InvalidProperties, match=r"needs .* MB of memory, and 1.05 MB"):
        stream_of(path)
    assert not list(path.parent.iterdir())


NO_CACHE = """
from numba.core import caching
impl = getattr(caching, "CacheImpl", None) or caching._CacheImpl
impl._locator_classes = []  # no folder of numba's can be written
import sys
import numpy as np
from napari_zarr_stream import StorageProperties, ZarrStream
properties = StorageProperties(sys.argv[1], tile_width=32, tile_height=32)
with ZarrStream(properties, axes="tyx", shape=(2, 64, 64), dtype="u2") as stream:
    assert stream.plan.halves_in_tiles
    stream.append(np.full((2, 64, 64), 7, "u2"))
"""


def test_a_pyramid_is_recorded_where_compiled_code_cannot_be_kept(path):
    run_python(NO_CACHE, path)
    assert (zarr.open_group(path, mode="r")["1"][:] == 7).all()


@pytest.mark.parametrize(
    ("shape", "appended", "reason"),
    [
        ((4, SIDE, SIDE), 4, "completed"),
        ((4, SIDE, SIDE), 3, "stopped"),
        ((None, SIDE, SIDE), 3, "completed"),
    ],
)
def test_a_stream_closed_before_its_end_is_not_called_complete(
    path, shape, appended, reason
):
    with stream_of(path, shape=shape) as stream:
        stream.append(planes(appended, (SIDE, SIDE)))
    assert record_of(path)["finish_reason"] == reason


def test_planes_that_a_step_was_completed_with_are_named(path):
    properties = StorageProperties(path, "ZarrV3")
    with ZarrStream(
        properties, axes="tcyx", shape=(None, 3, 24, 40), dtype="u2"
    ) as stream:
        stream.append(planes(4))
    assert record_of(path)["planes_padded"] == 2
    with stream_of(path) as stream:
        stream.append(plane(0, (SIDE, SIDE)))
    assert "planes_padded" not in record_of(path)


@pytest.mark.parametrize("kind", ["ZarrBlosc1ZstdByteShuffle", "ZarrV3Blosc1Zstd"])
def test_the_level_of_the_codec_is_an_option(path, kind):
    kind = kind.removesuffix("ByteShuffle") + "ByteShuffle"
    sizes = []
    for level in (1, 9):
        with stream_of(path, kind, codec_level=level, frames_per_chunk=1) as stream:
            stream.append(planes(2, (SIDE, SIDE)) % 701)
        files = [file for file in path.rglob("*") if file.is_file()]
        documents = "".join(
            file.read_text() for file in files if file.name in (".zarray", "zarr.json")
        )
        assert f'"clevel": {level}' in documents
        assert record_of(path)["codec_level"] == level
        np.testing.assert_array_equal(pixels_of(path), planes(2, (SIDE, SIDE)) % 701)
        sizes.append(sum(file.stat().st_size for file in files))
    assert sizes[1] < sizes[0]


@pytest.mark.parametrize("level", [0, 10, -1, 2.5, True])
def test_levels_that_a_codec_does_not_have_are_refused(path, level):
    with pytest.raises(InvalidProperties, match="codec_level"):
        StorageProperties(path, codec_level=level)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        pytest.param("Zarr", {"frames_per_chunk": 5}, id="raw"),
        pytest.param("ZarrBlosc1Lz4ByteShuffle", {"frames_per_chunk": 5}, id="lz4-v2"),
        pytest.param(
            "ZarrV3Blosc1ZstdByteShuffle", {"frames_per_chunk": 5}, id="zstd-v3"
        ),
        pytest.param("ZarrV3Blosc1Lz4ByteShuffle", {"sharded": True}, id="sharded"),
        pytest.param("ZarrV3", {"sharded": True}, id="raw-sharded"),
    ],
)
def test_what_was_appended_can_be_read_after_a_flush(path, kind, options):
    frames = planes(13, (512, SIDE))
    with stream_of(path, kind, (None, 512, SIDE), **options) as stream:
        for first, last in [(0, 1), (1, 4), (4, 7), (7, 12)]:
            stream.append(frames[first:last])
            stream.flush()
            assert stream.status().frames_committed == last
            np.testing.assert_array_equal(pixels_of(path), frames[:last])
            stream.flush()
        stream.append(frames[12])
    np.testing.assert_array_equal(pixels_of(path), frames)
    small = zarr.open_group(path, mode="r")["1"]
    assert small.shape == (13, 256, 128)
    assert small[12].any()
