"""Stores on Windows, as `pretend_windows` has it: in use, in deep folders, repaired."""

import json
import shutil
import threading
import time

import numpy as np
import pretend_kernel
import pretend_windows
import pytest
import zarr
from disks import SHAPE, WAYS, read, stream_of
from frames import planes
from records import record_of
from waiting import PATIENCE_S, wait_until

from napari_zarr_stream import (
    DeviceKind,
    InvalidProperties,
    StorageProperties,
    StoreExists,
    ZarrStream,
)
from napari_zarr_stream._recording.recording import Recording
from napari_zarr_stream._recording.states import FinishReason
from napari_zarr_stream._sources.camera import CameraSource
from napari_zarr_stream._writer.errors import WriteFailed
from napari_zarr_stream._writer.repair import examine, repair
from napari_zarr_stream.cameras import CameraThread, SimulatedCamera

EVERY_S = 0.05
"""Twenty times a second."""

LAYOUTS = {
    "sharded": {"sharded": True},
    "stacked": {"frames_per_chunk": 8},
    "raw": {"device_kind": DeviceKind.ZARR, "frames_per_chunk": 8},
    "single": {"device_kind": DeviceKind.ZARR_ZSTD, "frames_per_chunk": 1},
}


class Reader:
    """Opens each document of a store twenty times a second, and keeps it a moment."""

    def __init__(self, path):
        self.opened = self.refused = 0
        self._path, self._over = path, threading.Event()
        self._thread = threading.Thread(target=self._read)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _read(self):
        while not self._over.wait(EVERY_S):
            for store in self._path.glob("*.zarr"):
                log = store / "frame_log"
                for folder in (store, *store.glob("[0-9]"), log, *log.glob("[a-z]*")):
                    for name in ("zarr.json", ".zattrs", ".zarray", ".zgroup"):
                        if (folder / name).exists():
                            self._open(folder / name)

    def _open(self, document):
        try:
            with document.open(encoding="utf-8") as file:
                time.sleep(0.002)
                json.load(file)
            self.opened += 1
        except PermissionError:
            self.refused += 1  # just while it is replaced


def prepare(camera):
    camera.open()
    for name, value in (("width", 256), ("height", 256), ("frame_rate", 50.0)):
        camera.set(name, value)


@pytest.mark.parametrize("seconds", [3, pytest.param(600, marks=pytest.mark.long)])
@pytest.mark.timeout(900)
def test_readers_of_all_documents_end_no_recording(tmp_path, seconds):
    """Cost a recording its life after 3.7 s: documents were replaced while read."""
    recordings, cameras = {}, []
    for name, options in LAYOUTS.items():
        camera = CameraThread(SimulatedCamera)
        cameras.append(camera)
        camera.call(prepare)
        properties = StorageProperties(
            tmp_path / f"{name}.zarr", tile_width=64, tile_height=64, **options
        )
        recordings[name] = Recording(CameraSource(camera, name), properties)
    before = pretend_windows.refused["replace"]
    with Reader(tmp_path) as one, Reader(tmp_path) as other:
        for recording in recordings.values():
            recording.start()
        time.sleep(seconds)
        wait_until(lambda: pretend_windows.refused["replace"] > before + 3)
        for recording in recordings.values():
            recording.stop()
        for recording in recordings.values():
            assert recording.wait(PATIENCE_S)
    for camera in cameras:
        camera.close()
    assert one.opened + other.opened > 100
    for name, recording in recordings.items():
        path, status = tmp_path / f"{name}.zarr", recording.status()
        assert status.error is None
        assert status.finish_reason is FinishReason.STOPPED
        assert status.frames_committed == status.frames_acquired > 0
        assert record_of(path)["frames_acquired"] == status.frames_acquired
        level = zarr.open_array(path / "0", mode="r")
        assert level.shape == (status.frames_acquired, 256, 256)
        assert level[-1].any()
        assert not list(path.rglob("*.partial"))


@pytest.mark.parametrize("way", WAYS)
def test_a_store_that_was_left_open_is_repaired(tmp_path, way):
    live, path = tmp_path / "live.zarr", tmp_path / "a.zarr"
    stream = stream_of(live, way)
    frames = planes(120, SHAPE)
    stream.append(frames)
    stream.flush()
    wait_until(lambda: stream.status().frames_committed > 50)
    committed = stream.status().frames_committed
    shutil.copytree(live, path)
    stream.close()
    assert examine(path).can_be_repaired
    after = repair(path).planes_after
    assert after >= committed
    np.testing.assert_array_equal(read(path), frames[:after])
    assert record_of(path)["finish_reason"] == "interrupted"
    assert not examine(path).can_be_repaired


def test_a_store_that_somebody_reads_is_not_replaced_and_stays(tmp_path):
    path = tmp_path / "a.zarr"
    with stream_of(path) as stream:
        stream.append(planes(3, SHAPE))
    again = StorageProperties(path, overwrite=True)
    with (
        (path / "zarr.json").open() as document,
        pytest.raises(WriteFailed, match="another program has it open"),
    ):
        ZarrStream(again, axes="tyx", shape=(None, *SHAPE), dtype="uint16")
    assert document.closed
    np.testing.assert_array_equal(read(path), planes(3, SHAPE))
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]
    with ZarrStream(again, axes="tyx", shape=(None, *SHAPE), dtype="uint16") as stream:
        stream.append(planes(5, SHAPE))
    assert len(read(path)) == 5


def test_a_lock_is_seen_in_no_explorer(tmp_path):
    pretend_kernel.hidden.clear()
    with stream_of(tmp_path / "a.zarr"):
        pass
    assert pretend_kernel.hidden == {".a.zarr.lock"}


def test_a_store_in_other_letters_is_the_same_one(tmp_path):
    with stream_of(tmp_path / "Cells.zarr") as stream:
        stream.append(planes(3, SHAPE))
    with pytest.raises(StoreExists, match="already exists"):
        stream_of(tmp_path / "cells.ZARR")


REFUSED = {
    "aux.zarr": "keeps the name 'aux.zarr'",
    "COM1.ome.zarr": "keeps the name 'COM1.ome.zarr'",
    "con/a.zarr": "keeps the name 'con'",
    "cells.": "ends in a dot or a space",
    "cells.zarr ": "ends in a dot or a space",
    "10:30.zarr": "no name with ':'",
    "what?.zarr": "no name with '?'",
    "/".join(["a" * 60] * 3): "the most here: choose a shorter name, or a folder",
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_that_will_not_do_is_refused_before_anything_is_made(tmp_path, name):
    with pytest.raises(InvalidProperties) as caught:
        stream_of(tmp_path / name)
    assert REFUSED[name] in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_the_longest_path_that_is_allowed_can_be_recorded_and_read(tmp_path):
    def start(length):
        name = "a" * (length - len(str(tmp_path)) - 1)
        return stream_of(tmp_path / name, "sharded")

    with pytest.raises(InvalidProperties) as caught:
        start(250)
    here = int(str(caught.value).split(" characters")[0].split()[-1])
    longest = 250 - (here - 259)
    with pytest.raises(InvalidProperties, match="of 260 characters"):
        start(longest + 1)
    with start(longest) as stream:
        stream.append(planes(40, SHAPE))
        wait_until(lambda: stream.status().frames_committed == 40)
    [path] = tmp_path.iterdir()
    np.testing.assert_array_equal(read(path), planes(40, SHAPE))


def test_on_a_disk_without_holes_no_zeros_are_written(tmp_path, no_holes):
    """Shards are committed when they are full; a crash costs one, until repaired."""
    live, path = tmp_path / "live.zarr", tmp_path / "a.zarr"
    properties = StorageProperties(live, sharded=True, tile_width=512, tile_height=512)
    frames = planes(80, (512, 512))
    stream = ZarrStream(properties, axes="tyx", shape=(None, 512, 512), dtype="uint16")
    zeros = pretend_kernel.written["zeros"]
    per_shard = stream.plan.shard_shape[0]
    assert per_shard < 80
    stream.append(frames)
    wait_until(lambda: stream.status().frames_committed == 80 // per_shard * per_shard)
    committed = stream.status().frames_committed
    assert len(read(live)) == committed
    wait_until(lambda: stream.status().queue_fill == 0)
    shutil.copytree(live, path)
    stream.close()
    assert stream.status().frames_committed == 80
    np.testing.assert_array_equal(read(live), frames)
    # Those before a chunk that was written sooner than the one before it.
    assert pretend_kernel.written["zeros"] - zeros < 2**22
    np.testing.assert_array_equal(read(path), frames[:committed])
    assert repair(path).planes_after == 80
    np.testing.assert_array_equal(read(path), frames)
