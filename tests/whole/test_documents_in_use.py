"""Documents that another program has open, which Windows does not replace."""

import errno
import json
import mmap
import os
import threading
import time

import numpy as np
import pytest
import zarr
from disks import SHAPE, WAYS, read, stream_of
from frames import plane, planes
from waiting import wait_until

from napari_zarr_stream import StorageProperties, WriteFailed, ZarrStream
from napari_zarr_stream._writer import system
from napari_zarr_stream._writer.repair import repair


class Held:
    """Refuses to replace documents while `is_held`, as if another had them open."""

    def __init__(self, monkeypatch):
        self.is_held, self.refused = False, 0
        real = os.replace
        monkeypatch.setattr(system, "_PAUSES_S", (0.001,))

        def replace(source, target):
            if self.is_held:
                self.refused += 1
                error = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
                error.winerror = 5
                raise error
            return real(source, target)

        monkeypatch.setattr(os, "replace", replace)


@pytest.mark.parametrize("way", WAYS)
def test_a_document_that_somebody_has_open_is_renewed_later(tmp_path, monkeypatch, way):
    held = Held(monkeypatch)
    path = tmp_path / "a.zarr"
    stream = stream_of(path, way)
    stream.append(planes(8, SHAPE))
    wait_until(lambda: stream.status().frames_committed == 8)
    held.is_held = True
    for number in range(8, 80):
        stream.append(plane(number, SHAPE))
    wait_until(lambda: held.refused > 2)
    status = stream.status()
    assert status.error is None
    assert status.frames_committed == 8, "no other program can read more"
    assert read(path).shape[0] == 8
    held.is_held = False
    wait_until(lambda: stream.status().frames_committed == 80)
    stream.close()
    np.testing.assert_array_equal(read(path), planes(80, SHAPE))
    assert not list(path.rglob("*.partial"))


@pytest.mark.parametrize("way", WAYS)
def test_at_the_end_a_document_must_be_written(tmp_path, monkeypatch, way):
    held = Held(monkeypatch)
    path = tmp_path / "a.zarr"
    stream = stream_of(path, way)
    stream.append(planes(8, SHAPE))
    wait_until(lambda: stream.status().frames_committed == 8)
    held.is_held = True
    stream.append(planes(8, SHAPE))
    with pytest.raises(WriteFailed, match="another program has it open"):
        stream.close()
    held.is_held = False
    assert not [t for t in threading.enumerate() if t.name.startswith("zarr-stream")]
    np.testing.assert_array_equal(read(path)[:8], planes(8, SHAPE))
    assert repair(path).planes_after == 16


@pytest.mark.parametrize("until", [24, 40], ids=["while it fills", "until it is full"])
def test_a_shard_that_somebody_has_mapped(tmp_path, monkeypatch, until):
    """Windows does not cut it off: it grows instead, and nobody waits for an end."""
    monkeypatch.setattr(system, "_PAUSES_S", ())
    side = 512
    frames = planes(48, (side, side))
    path = tmp_path / "a.zarr"
    stream = stream_of(path, "sharded", (side, side), tile=side)
    assert stream.plan.shard_shape[0] == 32

    def add(first, end):
        stream.append(frames[first:end])
        wait_until(lambda: stream.status().frames_committed == end)
        np.testing.assert_array_equal(read(path), frames[:end])

    add(0, 8)
    with (
        open(path / "0/c/0/0/0", "rb") as shard,
        mmap.mmap(shard.fileno(), 0, access=mmap.ACCESS_READ),
    ):
        add(8, 16)
        add(16, until)
    add(until, 48)
    stream.close()
    np.testing.assert_array_equal(read(path), frames)
    report = repair(path)
    assert not report.has_losses


READ = os.O_RDONLY | getattr(os, "O_BINARY", 0)


class Reader:
    """Opens each document of a store twenty times a second.

    As `open` does, with the same rights kept from others, but without the questions
    that it asks of the file, a millisecond each under Wine. What it is refused it looks
    at the next time: while Windows replaces a document nobody can open it. Looks that
    come too late, where others have the processor, are made up for.
    """

    PAUSE_S = 1 / 20
    MOST_LATE_S = 1.0
    """What is later is left out: nothing could be replaced between as many looks."""

    MOST_BYTES = 2**16
    """Of a document, a few thousand: memory for more is what a look would cost."""

    def __init__(self, path):
        self._level = path / "0" / "zarr.json"
        levels = (path / str(number) / "zarr.json" for number in range(3))
        self._documents = [path / "zarr.json", *levels]
        self._is_over = threading.Event()
        self.looks = self.refused = 0
        self.seen = set()
        self.frames = [0]  # that were said to be there
        self._thread = threading.Thread(target=self._look)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        self._thread.join()

    def _look(self):
        due_s = time.perf_counter()
        while not self._is_over.is_set():
            for document in self._documents:
                try:
                    descriptor = os.open(document, READ)
                except PermissionError:
                    self.refused += 1
                    continue
                try:
                    said = json.loads(os.read(descriptor, self.MOST_BYTES))
                finally:
                    os.close(descriptor)
                self.seen.add(document)
                if document == self._level:
                    self.frames.append(said["shape"][0])
            self.looks += 1
            now_s = time.perf_counter()
            due_s = max(due_s + self.PAUSE_S, now_s - self.MOST_LATE_S)
            self._is_over.wait(max(0.0, due_s - now_s))


@pytest.mark.parametrize(
    "seconds",
    [
        3,
        pytest.param(600, marks=[pytest.mark.long, pytest.mark.timeout(0)]),
    ],
)
def test_a_reader_that_looks_all_the_time_ends_nothing(tmp_path, seconds):
    path = tmp_path / "a.zarr"
    properties = StorageProperties(
        path, "ZarrV3Blosc1Lz4ByteShuffle", tile_width=32, tile_height=32, sharded=True
    )
    stream = ZarrStream(properties, axes="tyx", shape=(None, *SHAPE), dtype="uint16")
    end_s = time.monotonic() + seconds
    frames = 0
    with Reader(path) as reader:
        while time.monotonic() < end_s:
            stream.append(plane(frames, SHAPE))
            frames += 1
            time.sleep(0.01)
        stream.close()
    print(
        f"{frames} frames in {seconds} s, {reader.looks} looks at each document, "
        f"{reader.refused} refused"
    )
    assert stream.status().frames_committed == frames
    assert reader.frames == sorted(reader.frames), "frames went away again"
    assert reader.frames[-1] <= frames
    assert len(set(reader.frames)) > 2, "it was told of frames while they came"
    assert len(reader.seen) == 4, "the group and three levels"
    found = zarr.open_array(path / "0", mode="r")
    assert found.shape == (frames, *SHAPE)
    for first in range(0, frames, 1000):
        count = min(1000, frames - first)
        wanted = planes(count, SHAPE, first=first)
        np.testing.assert_array_equal(found[first : first + count], wanted)
    assert not list(path.rglob("*.partial"))
