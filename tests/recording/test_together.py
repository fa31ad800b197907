"""Several recordings that start and stop together, with real simulated cameras."""

import json
import subprocess
import sys
import threading
import time
from functools import partial

import numpy as np
import pytest
import zarr
from napari_ome_zarr import napari_get_reader

from napari_zarr_stream import (
    InvalidProperties,
    SourceFailed,
    StorageProperties,
    StoreExists,
    StoreInUse,
    cli,
)
from napari_zarr_stream._reading.info import facts_of, text_of
from napari_zarr_stream._reading.reader import layers_of
from napari_zarr_stream._recording.states import FinishReason, RecordingState
from napari_zarr_stream._recording.together import OME_XML, Recordings
from napari_zarr_stream._sources.camera import CameraSource
from napari_zarr_stream._writer.lock import holder_of
from napari_zarr_stream._writer.repair import examine
from napari_zarr_stream.cameras import (
    CameraError,
    CameraThread,
    Fault,
    SimulatedCamera,
    read_stamp,
)

KINDS = ["ZarrBlosc1Lz4ByteShuffle", "ZarrV3Blosc1Lz4ByteShuffle"]


@pytest.fixture
def cameras():
    """Have cameras opened, each in a thread; closed in the end."""
    threads = []

    def opened(*makes):
        for number, make in enumerate(makes):
            thread = CameraThread(make, f"camera {number}")
            threads.append(thread)
            thread.call(lambda camera: camera.open())
        return threads

    yield opened
    for thread in threads:
        thread.close()


def camera(width, height, kind=SimulatedCamera, **options):
    settings = {"frame_rate": 100, "stamp": True, "pixel_type": "uint8"}
    return partial(kind, "cells", width=width, height=height, **settings | options)


def sources(threads, frames=0):
    return [CameraSource(thread, thread.name, frames) for thread in threads]


def stamps(path):
    return [read_stamp(frame) for frame in zarr.open_array(path / "0", mode="r")[:]]


def record_of(path):
    return dict(zarr.open_group(path, mode="r").attrs)["napari_zarr_stream"]


@pytest.mark.parametrize("kind", KINDS)
def test_cameras_of_different_sizes_in_one_store(tmp_path, cameras, kind):
    path = tmp_path / "a.zarr"
    threads = cameras(camera(96, 64), camera(40, 48, frame_rate=50))
    together = Recordings.in_one_store(
        sources(threads, 30), StorageProperties(path, kind)
    )
    together.start()
    assert holder_of(path) is not None
    assert holder_of(path / "1") is not None
    assert together.is_busy
    assert together.wait(30)
    assert holder_of(path / "1") is None
    assert not together.is_busy
    for number, status in enumerate(together.status()):
        assert status.finish_reason is FinishReason.COMPLETED
        assert status.frames_committed == 30
        ids = stamps(path / str(number))
        assert status.frames_lost == ids[-1] + 1 - 30
        assert examine(path / str(number)).can_be_repaired is False
    # ours and theirs
    layers = layers_of(path)
    assert [meta["name"] for _, meta, _ in layers] == ["camera 0", "camera 1"]
    shapes = [np.shape(np.asarray(data)) for data, _, _ in layers]
    assert shapes == [(30, 64, 96), (30, 48, 40)]
    theirs = napari_get_reader(str(path))(str(path))
    assert {np.asarray(data[0]).shape for data, *_ in theirs} <= {*shapes}
    assert theirs
    xml = (path / OME_XML).read_text()
    assert xml.count("<MetadataOnly/>") == 2
    assert xml.count('SizeT="30"') == 2
    attributes = dict(zarr.open_group(path, mode="r").attrs)
    overview = dict(zarr.open_group(path / "OME", mode="r").attrs)
    assert attributes.get("ome", attributes)["bioformats2raw.layout"] == 3
    assert overview.get("ome", overview)["series"] == ["0", "1"]


def test_each_in_a_store_of_its_own(tmp_path, cameras):
    threads = cameras(camera(96, 64), camera(40, 48))
    paths = [tmp_path / "a.zarr", tmp_path / "b.zarr"]
    together = Recordings(sources(threads), list(map(StorageProperties, paths)))
    together.start()
    while min(status.frames_acquired for status in together.status()) < 10:
        time.sleep(0.01)
    assert all(holder_of(path) for path in paths)
    together.stop()
    assert together.wait(30)
    for path, status in zip(paths, together.status(), strict=True):
        assert status.finish_reason is FinishReason.STOPPED
        assert len(stamps(path)) == status.frames_committed >= 10
        assert holder_of(path) is None
    together.close()
    assert all(s.state is RecordingState.CLOSED for s in together.status())


def test_one_that_is_unplugged_leaves_the_other_going(tmp_path, cameras):
    path = tmp_path / "a.zarr"
    threads = cameras(camera(96, 64, faults=[Fault(7, "unplug")]), camera(40, 48))
    together = Recordings.in_one_store(sources(threads, 60), StorageProperties(path))
    together.start()
    with pytest.raises(SourceFailed, match="unplugged at frame 7"):
        together.wait(30)
    lost, whole = together.status()
    assert lost.finish_reason is FinishReason.FAILED
    assert whole.finish_reason is FinishReason.COMPLETED
    assert stamps(path / "0") == list(range(7))
    assert len(stamps(path / "1")) == 60
    assert record_of(path / "0")["finish_reason"] == "failed"
    assert record_of(path / "1")["finish_reason"] == "completed"
    assert 'SizeT="7"' in (path / OME_XML).read_text()
    assert len(layers_of(path)) == 2


def test_one_that_gave_no_frame_does_not_hide_the_other(tmp_path, cameras):
    path = tmp_path / "a.zarr"
    threads = cameras(camera(96, 64, faults=[Fault(0, "unplug")]), camera(40, 48))
    together = Recordings.in_one_store(sources(threads, 5), StorageProperties(path))
    together.start()
    with pytest.raises(SourceFailed):
        together.wait(30)
    with pytest.warns(UserWarning, match="left out an image.*no frames"):
        [(_, meta, _)] = layers_of(path)
    assert meta["name"] == "camera 1"
    empty, whole = facts_of(path)["images"]
    assert "no frames" in empty["kind"]
    assert whole["path"] == str(path / "1")
    assert "no frames" in text_of(facts_of(path))


SCRIPT = """
import os, sys, time
from napari_zarr_stream import StorageProperties
from napari_zarr_stream._sources.camera import CameraSource
from napari_zarr_stream._recording.together import Recordings
from napari_zarr_stream.cameras import CameraThread, SimulatedCamera
sources = []
for width in (96, 40):
    thread = CameraThread(
        lambda: SimulatedCamera("empty", width=width, height=32, frame_rate=100)
    )
    thread.call(lambda camera: camera.open())
    sources.append(CameraSource(thread, "camera"))
properties = StorageProperties(
    sys.argv[1], "ZarrV3Blosc1Lz4ByteShuffle", sharded=True
)
together = Recordings.in_one_store(sources, properties)
together.start()
while min(status.frames_committed for status in together.status()) < 5:
    time.sleep(0.01)
if sys.argv[2] == "killed":
    os._exit(0)
"""


@pytest.mark.parametrize("end", ["by itself", "killed"])
def test_a_program_that_ends_while_it_records(tmp_path, capsys, end):
    path = tmp_path / "a.zarr"
    command = [sys.executable, "-c", SCRIPT, str(path), end]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    whole = end == "by itself"
    assert cli.main(["repair", "--check", str(path)]) == (0 if whole else 4)
    assert cli.main(["repair", str(path)]) == 0
    assert cli.main(["repair", "--check", str(path)]) == 0
    assert capsys.readouterr().out.count("healthy") == (6 if whole else 2)
    for number in "01":
        frames = zarr.open_array(path / number / "0", mode="r").shape[0]
        assert frames == record_of(path / number)["frames_committed"] >= 5


class WillNotStart(SimulatedCamera):
    def start(self):
        raise CameraError("in use by another program")


@pytest.mark.parametrize("one_store", [True, False])
def test_a_camera_that_cannot_start_leaves_nothing(tmp_path, cameras, one_store):
    old = tmp_path / "old.zarr"
    threads = cameras(camera(96, 64), camera(40, 48, kind=WillNotStart))
    zarr.create_group(old, attributes={"mine": "precious"})
    before = threading.active_count()
    properties = StorageProperties(old, overwrite=True)
    if one_store:
        together = Recordings.in_one_store(sources(threads), properties)
    else:
        other = StorageProperties(tmp_path / "b.zarr")
        together = Recordings(sources(threads), [properties, other])
    with pytest.raises(SourceFailed, match="in use by another program"):
        together.start()
    assert [place.name for place in tmp_path.iterdir()] == ["old.zarr"]
    assert json.loads((old / "zarr.json").read_text())["attributes"] == {
        "mine": "precious"
    }
    assert not together.is_busy
    assert threading.active_count() == before
    # the first camera was stopped, and can be used
    threads[0].call(lambda opened: opened.set("width", 128))


@pytest.mark.parametrize("one_store", [True, False])
def test_a_store_that_cannot_be_made_leaves_nothing(tmp_path, cameras, one_store):
    taken = tmp_path / "b.zarr"
    taken.mkdir()
    (taken / "mine.txt").write_text("precious")
    threads = cameras(camera(96, 64), camera(40, 48))
    if one_store:
        together = Recordings.in_one_store(sources(threads), StorageProperties(taken))
    else:
        paths = [tmp_path / "a.zarr", taken]
        together = Recordings(sources(threads), list(map(StorageProperties, paths)))
    with pytest.raises(StoreExists, match="already exists"):
        together.start()
    assert [place.name for place in tmp_path.iterdir()] == ["b.zarr"]
    assert (taken / "mine.txt").read_text() == "precious"


def test_two_cannot_have_the_same_store(tmp_path, cameras):
    threads = cameras(camera(96, 64), camera(40, 48))
    same = [StorageProperties(tmp_path / "a.zarr")] * 2
    with pytest.raises(StoreInUse):
        Recordings(sources(threads), same).start()
    assert not list(tmp_path.iterdir())
    with pytest.raises(InvalidProperties, match="2 sources"):
        Recordings(sources(threads), same[:1])


def test_it_can_be_started_again(tmp_path, cameras):
    path = tmp_path / "a.zarr"
    threads = cameras(camera(96, 64), camera(40, 48))
    properties = StorageProperties(path, overwrite=True)
    together = Recordings.in_one_store(sources(threads, 3), properties)
    for _ in range(3):
        together.start()
        assert together.wait(30)
    assert len(stamps(path / "1")) == 3
    assert [place.name for place in tmp_path.iterdir()] == ["a.zarr"]
