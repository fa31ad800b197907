"""One pool of workers for all that is written: shared, fair, and gone in the end."""

import itertools
import sys
import threading
import time

import numpy as np
import pytest
import zarr
from disks import open_files
from needs import needs_proc, needs_renames
from programs import run_python
from stores import TestedStore
from waiting import wait_until

from napari_zarr_stream import (
    ImageDescription,
    ImageSet,
    StorageProperties,
    WriteFailed,
    ZarrStream,
)
from napari_zarr_stream._writer import local_file
from napari_zarr_stream._writer import workers as workers_module
from napari_zarr_stream._writer.memory import MAX_OPEN_FILES, WORKERS
from napari_zarr_stream._writer.workers import Workers, pool

SIDE = 64


@pytest.fixture(autouse=True)
def _a_pool_of_its_own(monkeypatch):
    """Streams that other tests have left open are none of ours."""
    kept = threading.BoundedSemaphore(MAX_OPEN_FILES)
    monkeypatch.setattr(local_file, "_kept_open", kept)
    monkeypatch.setattr(workers_module, "_pool", Workers())


def workers():
    return list(pool()._threads)


def stream_at(path, store=None, **changes):
    given = {"tile_width": 32, "tile_height": 32, "sharded": True} | changes
    properties = StorageProperties(path, **given)
    shape = (None, SIDE, SIDE)
    return ZarrStream(properties, axes="tyx", shape=shape, dtype="u2", store=store)


def frame(number):
    return np.full((SIDE, SIDE), 1 + number, "u2")


def frames_in(path):
    return zarr.open_array(path / "0", mode="r")[:, 0, 0].tolist()


def stalled(path):
    """A stream whose disk takes nothing, with all threads at it; and its frames."""
    store = TestedStore()(path, False)
    stream = stream_at(path, store)
    store.gate.clear()
    number = 0
    while stream._queue.tasks_running < WORKERS:
        if number < WORKERS:
            stream.append(frame(number))
            with stream._intake.lock:
                stream._intake.hand_over()
            number += 1
        time.sleep(0.001)
    return stream, store, number


def test_streams_and_sets_share_the_threads_which_end_with_the_last(tmp_path):
    assert not workers()
    streams = [stream_at(tmp_path / f"{number}.zarr") for number in range(5)]
    described = [ImageDescription("0", "0", "tyx", (None, SIDE, SIDE), "u2")]
    properties = StorageProperties(tmp_path / "set.zarr", sharded=True)
    with ImageSet(properties, described) as images:
        for number in range(20):
            for stream in streams:
                stream.append(frame(number))
            images.put(0, (number,), frame(number))
            # A machine that is busy may look like a disk that stalls.
            assert WORKERS <= len(workers()) <= WORKERS + len(streams)
    for number, stream in enumerate(streams):
        assert workers()
        stream.close()
        assert frames_in(tmp_path / f"{number}.zarr") == list(range(1, 21))
    assert frames_in(tmp_path / "set.zarr" / "0") == list(range(1, 21))
    assert not workers()


@pytest.mark.long  # who appends may be the one who writes, and then it stalls as well
def test_a_disk_that_stalls_holds_up_no_other_stream(tmp_path):
    slow, store, number = stalled(tmp_path / "slow.zarr")
    with stream_at(tmp_path / "b.zarr") as fast:
        for each in range(10):
            fast.append(frame(each))
        fast.flush()
        assert fast.status().frames_committed == 10
        assert slow.status().frames_committed == 0
    assert frames_in(tmp_path / "b.zarr") == list(range(1, 11))
    store.gate.set()
    slow.flush()
    wait_until(lambda: len(workers()) == WORKERS)  # the one more is gone
    slow.close()
    assert frames_in(tmp_path / "slow.zarr") == list(range(1, number + 1))
    assert not workers()


@needs_renames
def test_what_fails_in_one_stream_touches_no_other(tmp_path):
    bad, good = stream_at(tmp_path / "bad.zarr"), stream_at(tmp_path / "good.zarr")
    bad.append(frame(0))
    bad.flush()
    (tmp_path / "bad.zarr").rename(tmp_path / "gone.zarr")

    def fail():
        for number in range(1000):
            bad.append(frame(number))
            good.append(frame(number))
            bad.flush()

    with pytest.raises(WriteFailed, match=r"bad\.zarr"):
        fail()
    with pytest.raises(WriteFailed):
        bad.close()
    there = good.status().frames_appended
    for number in range(there, there + 30):
        good.append(frame(number))
    assert good.status().error is None
    good.close()
    assert frames_in(tmp_path / "good.zarr") == list(range(1, there + 31))


def test_a_caller_that_was_in_a_hurry_and_waits_takes_nobodys_place(tmp_path):
    """It would have been taken for one that encodes, and no thread for the others."""
    streams = [stream_at(tmp_path / f"{number}.zarr") for number in range(WORKERS)]
    for stream in streams:
        stream._queue.caller_helps = True
    for stream in streams:
        stream.append(frame(0))
        wait_until(lambda stream=stream: stream.status().frames_committed == 1)
    for stream in streams:
        stream.close()


@needs_proc
def test_open_files_are_those_of_the_process(tmp_path):
    tiles = {"tile_width": 8, "tile_height": 16, "enable_multiscale": False}
    # 32 shards of each are filled at once.
    streams = [stream_at(tmp_path / f"{n}.zarr", **tiles) for n in range(6)]
    for stream, number in itertools.product(streams, range(3)):
        stream.append(frame(number))
        stream.flush()
    locks = len(streams)
    assert 32 <= len(open_files(tmp_path)) <= MAX_OPEN_FILES + locks + WORKERS
    for stream in streams:
        stream.close()
    assert open_files(tmp_path) == []
    for number in range(6):
        assert frames_in(tmp_path / f"{number}.zarr") == [1, 2, 3]
    with stream_at(tmp_path / "after.zarr", **tiles) as stream:
        stream.append(frame(0))
        stream.flush()
        assert len(open_files(tmp_path)) >= 32  # there is room again


FORKED = """
    import os, sys
    from pathlib import Path
    import numpy as np
    from napari_zarr_stream import StorageProperties, ZarrStream
    def write(path):
        properties = StorageProperties(path)
        stream = ZarrStream(properties, axes="tyx", shape=(None, 8, 8), dtype="u1")
        stream.append(np.ones((8, 8), "u1"))
        return stream
    stream = write(sys.argv[1] + "/a.zarr")
    child = os.fork()
    if not child:
        write(sys.argv[1] + "/b.zarr").close()
        sys.exit(0)
    assert os.waitpid(child, 0)[1] == 0
    stream.close()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="who forks")
def test_a_program_that_is_forked_has_a_pool_of_its_own(tmp_path):
    run_python(FORKED, tmp_path)
    for name in "a.zarr", "b.zarr":
        assert frames_in(tmp_path / name) == [1]


def test_the_pool_is_one():
    assert pool() is pool()
