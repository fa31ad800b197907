"""`buffer_s`: frames go on while the disk pauses."""

import threading

import numpy as np
import psutil
import pytest
import zarr
from stores import TestedStore
from waiting import PATIENCE_S, wait_until

from napari_zarr_stream import InvalidProperties, StorageProperties, ZarrStream, plan
from napari_zarr_stream._recording.recording import Recording
from napari_zarr_stream._recording.summary import summary_of
from napari_zarr_stream._sources.camera import CameraSource
from napari_zarr_stream._sources.take import Take
from napari_zarr_stream._writer import memory
from napari_zarr_stream._writer import stream as stream_module
from napari_zarr_stream.cameras import SimulatedCamera

SIDE = 1024
LAYOUTS = {
    "sharded": {"sharded": True, "tile_width": 512, "tile_height": 512},
    "chunks of some frames": {"frames_per_chunk": 8},
    "raw": {"device_kind": "Zarr", "frames_per_chunk": 8},
    "small tiles": {"tile_width": 64, "tile_height": 64},
}


def planned(layout, buffer_s, rate, shape=(None, SIDE, SIDE), **more):
    properties = StorageProperties(
        "a.zarr", buffer_s=buffer_s, enable_multiscale=False, **LAYOUTS[layout]
    )
    return plan(
        properties,
        axes="tyx",
        shape=shape,
        dtype="uint8",
        planes_per_second=rate,
        **more,
    )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_memory_is_planned_for_what_comes_meanwhile(layout):
    without = planned(layout, 0.0, 100).memory
    with_buffer = planned(layout, 3.0, 100).memory
    assert without.buffer_bytes == without.buffer_planes == 0
    more = with_buffer.peak_bytes - without.peak_bytes
    assert more == with_buffer.buffer_bytes
    room = with_buffer.slots * with_buffer.blocks_per_slot
    assert room * planned(layout, 3.0, 100).planes_per_block >= 300
    assert with_buffer.slots_at_start <= without.slots
    assert planned(layout, 0.01, 100).memory.buffer_bytes <= without.peak_bytes


def test_a_few_frames_need_no_more_than_they_are():
    assert planned("sharded", 60.0, 100, shape=(5, SIDE, SIDE)).memory.slots == 5


def test_without_a_rate_it_is_said():
    assert "how fast frames come is not known" in " ".join(
        planned("sharded", 3.0, 0).notes
    )
    assert not planned("sharded", 0.0, 0).notes


@pytest.mark.parametrize("value", [-1, float("inf"), float("nan"), "3", True, None])
def test_what_cannot_be_is_refused(value):
    with pytest.raises(InvalidProperties, match="buffer_s"):
        StorageProperties("a.zarr", buffer_s=value)


def test_more_than_there_is_is_refused_before_anything_is_written(tmp_path):
    seconds = psutil.virtual_memory().available / SIDE**2 / 100
    properties = StorageProperties(tmp_path / "a.zarr", buffer_s=seconds, sharded=True)
    with pytest.raises(InvalidProperties, match="of memory"):
        ZarrStream(
            properties,
            axes="tyx",
            shape=(None, SIDE, SIDE),
            dtype="uint8",
            planes_per_second=100,
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("layout", LAYOUTS)
def test_frames_go_on_while_the_disk_pauses(tmp_path, monkeypatch, layout):
    monkeypatch.setattr(memory, "QUEUE_BYTES", 4 * 2**20)
    store = TestedStore()
    monkeypatch.setattr(stream_module, "LocalStore", store)
    path, frames = tmp_path / "a.zarr", 60
    properties = StorageProperties(
        path, buffer_s=0.5, enable_multiscale=False, **LAYOUTS[layout]
    )
    stream = ZarrStream(
        properties,
        axes="tyx",
        shape=(None, SIDE, SIDE),
        dtype="uint8",
        planes_per_second=100,
    )
    store.gate.clear()
    numbers = np.arange(frames, dtype=np.uint8)[:, None, None]

    def append():
        for number in numbers:
            stream.append(np.broadcast_to(number, (SIDE, SIDE)))

    caller = threading.Thread(target=append)
    caller.start()
    # The caller is in a hurry, and yet never does what would have it wait for the disk.
    wait_until(lambda: stream.status().frames_appended >= 50)
    store.gate.set()
    caller.join()
    stream.close()
    stored = zarr.open_array(path / "0", mode="r")
    assert (stored[:, ::512, ::512] == numbers).all()
    assert stored.shape[0] == frames


def test_the_summary_says_how_long_a_pause_may_be(tmp_path, opened):
    camera = opened(lambda: SimulatedCamera("cells", frame_rate=100))
    source = CameraSource(camera, "cells", 0, Take())
    properties = StorageProperties(tmp_path / "a.zarr", buffer_s=2.5, sharded=True)
    recording = Recording(source, properties)
    said = summary_of([(recording.status().plan, properties, source.describe())], None)
    assert "of memory, enough for a pause of the disk of 2.5 s" in str(said)


@pytest.mark.long
@pytest.mark.parametrize(("buffer_s", "is_lost"), [(0.0, True), (3.0, False)])
def test_a_pause_shorter_than_the_buffer_costs_nothing(
    tmp_path, opened, monkeypatch, buffer_s, is_lost
):
    """In real time: a disk that stands still for 2 s, and a camera that does not."""
    store = TestedStore()
    monkeypatch.setattr("napari_zarr_stream._recording.recording.LocalStore", store)
    camera = opened(
        lambda: SimulatedCamera("empty", width=SIDE, height=SIDE, frame_rate=60)
    )
    properties = StorageProperties(
        tmp_path / "a.zarr", buffer_s=buffer_s, sharded=True, tile_width=512
    )
    recording = Recording(CameraSource(camera, "empty", 300), properties)
    recording.start()
    wait_until(lambda: recording.status().frames_acquired > 60)
    store.gate.clear()
    threading.Event().wait(2.0)
    store.gate.set()
    assert recording.wait(PATIENCE_S)
    status = recording.status()
    assert status.frames_committed == 300
    assert (status.frames_lost > 0) == is_lost
