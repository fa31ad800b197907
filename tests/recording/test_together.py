"""Several recordings that start and stop together, with real simulated cameras."""

import json
import threading
import time
from datetime import datetime
from functools import partial

import numpy as np
import psutil
import pytest
import zarr
from napari_ome_zarr import napari_get_reader
from programs import run_python
from records import record_of
from waiting import PATIENCE_S

import napari_zarr_stream._recording.together as together_module
import napari_zarr_stream._sources.camera as camera_module
import napari_zarr_stream._writer.memory as memory_module
from napari_zarr_stream import (
    IllegalTransition,
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
from napari_zarr_stream._recording.together import Recordings
from napari_zarr_stream._sources.camera import CameraSource
from napari_zarr_stream._writer.lock import holder_of
from napari_zarr_stream._writer.ome_xml import OME_XML
from napari_zarr_stream._writer.repair import examine
from napari_zarr_stream.cameras import (
    CameraError,
    CameraLost,
    CameraThread,
    Fault,
    SimulatedCamera,
    read_stamp,
)
from napari_zarr_stream.cameras.host_clock import host_time_ns

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
    assert together.wait(PATIENCE_S)
    assert holder_of(path / "1") is None
    assert not together.is_busy
    for number, status in enumerate(together.status()):
        assert status.finish_reason is FinishReason.COMPLETED
        assert status.frames_committed == 30
        ids = stamps(path / str(number))
        assert status.frames_lost == ids[-1] - ids[0] + 1 - 30
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
    assert together.wait(PATIENCE_S)
    for path, status in zip(paths, together.status(), strict=True):
        assert status.finish_reason is FinishReason.STOPPED
        assert len(stamps(path)) == status.frames_committed >= 10
        assert holder_of(path) is None
    together.close()
    assert all(s.state is RecordingState.CLOSED for s in together.status())


def test_one_that_is_unplugged_leaves_the_other_going(tmp_path, cameras):
    path = tmp_path / "a.zarr"
    threads = cameras(camera(96, 64, faults=[Fault(200, "unplug")]), camera(40, 48))
    together = Recordings.in_one_store(sources(threads, 300), StorageProperties(path))
    together.start()
    with pytest.raises(SourceFailed, match="unplugged at frame 200"):
        together.wait(PATIENCE_S)
    lost, whole = together.status()
    assert lost.finish_reason is FinishReason.FAILED
    assert whole.finish_reason is FinishReason.COMPLETED
    ids = stamps(path / "0")
    assert ids[-1] - ids[0] + 1 - len(ids) == lost.frames_lost
    assert lost.frames_acquired == lost.frames_committed == len(ids) < 200
    assert len(stamps(path / "1")) == 300
    assert record_of(path / "0")["finish_reason"] == "failed"
    assert record_of(path / "1")["finish_reason"] == "completed"
    assert f'SizeT="{len(ids)}"' in (path / OME_XML).read_text()
    assert len(layers_of(path)) == 2


class Dies(SimulatedCamera):
    """Gives no frame, and is unplugged when the event is set."""

    def __init__(self, *given, unplug, **settings):
        super().__init__(*given, **settings)
        self.unplug = unplug

    def read_into(self, out, timeout_s):
        if self.unplug.wait(timeout_s):
            raise CameraLost("unplugged")


def test_one_that_gave_no_frame_does_not_hide_the_other(tmp_path, cameras):
    path = tmp_path / "a.zarr"
    unplug = threading.Event()
    threads = cameras(camera(96, 64, kind=Dies, unplug=unplug), camera(40, 48))
    together = Recordings.in_one_store(sources(threads, 5), StorageProperties(path))
    together.start()
    unplug.set()
    with pytest.raises(SourceFailed):
        together.wait(PATIENCE_S)
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
    assert not run_python(SCRIPT, path, end).stderr
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
    before = set(threading.enumerate())
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
    assert set(threading.enumerate()) <= before
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
        assert together.wait(PATIENCE_S)
    assert len(stamps(path / "1")) == 3
    assert [place.name for place in tmp_path.iterdir()] == ["a.zarr"]


class Slow(SimulatedCamera):
    """Needs some time to start, and says when that was done."""

    def __init__(self, *given, delay_s=0.0, **settings):
        super().__init__(*given, **settings)
        self.delay_s = delay_s
        self.started_ns = 0

    def start(self):
        time.sleep(self.delay_s)
        super().start()
        self.started_ns = host_time_ns()


@pytest.mark.parametrize("delay_s", [0.3, 1.5])
def test_cameras_begin_together_whatever_each_needs_to_start(
    tmp_path, cameras, delay_s
):
    """pymmcore-plus 376, mmCoreAndDevices 707: sequences of several cameras."""
    path = tmp_path / "a.zarr"
    threads = cameras(
        camera(40, 48, kind=Slow), camera(96, 64, kind=Slow, delay_s=delay_s)
    )
    together = Recordings.in_one_store(sources(threads, 20), StorageProperties(path))
    together.start()
    assert together.wait(PATIENCE_S)
    started = [thread.call(lambda camera: camera.started_ns) for thread in threads]
    assert started[1] - started[0] > delay_s * 0.5e9
    for number, status in enumerate(together.status()):
        log = zarr.open_group(path / f"{number}/frame_log", mode="r")
        # Exposed when both ran, by the clock of the camera; a tick is 1 / 100 s.
        first_ns = started[number] + log["device_time_ns"][0]
        assert first_ns >= max(started)
        assert log["time_ns"][0] >= max(started) - 20e6
        ids = log["device_index"][:]
        assert stamps(path / str(number)) == ids.tolist()
        # What came, or was lost, before both ran is not of the recording.
        assert status.frames_lost == ids[-1] - ids[0] + 1 - 20
        began = datetime.fromisoformat(record_of(path / str(number))["start_time"])
        assert began.timestamp() * 1e9 >= max(started) - 1e6


class Hangs(SimulatedCamera):
    """Its driver does not come back from `start` before it may."""

    def __init__(self, *given, may_start, **settings):
        super().__init__(*given, **settings)
        self.may_start = may_start

    def start(self):
        self.may_start.wait(PATIENCE_S)
        super().start()


@pytest.mark.parametrize("ending", ["stopped", "too late"])
def test_a_camera_whose_start_hangs_keeps_nobody_waiting(
    tmp_path, cameras, monkeypatch, ending
):
    monkeypatch.setattr(camera_module, "GIVE_UP_S", 0.3)
    if ending == "too late":
        monkeypatch.setattr(together_module, "START_TIMEOUT_S", 0.3)
    may_start = threading.Event()
    threads = cameras(camera(96, 64), camera(40, 48, kind=Hangs, may_start=may_start))
    together = Recordings(
        sources(threads),
        [StorageProperties(tmp_path / f"{name}.zarr") for name in "ab"],
    )
    together.begin()
    if ending == "stopped":
        assert together.wait_for_start(0) is False
        assert together.is_busy
        with pytest.raises(IllegalTransition, match="have not ended"):
            together.begin()
        together.stop()
    words = {"stopped": "stopped before camera", "too late": "not started within 0.3"}
    with pytest.raises(SourceFailed, match=words[ending]):
        together.wait_for_start(30)
    assert not together.is_busy
    assert not list(tmp_path.iterdir())
    # The first was stopped and is free; the other comes back, and is when it does.
    for thread in threads:
        thread.call(lambda opened: opened.set("width", 128))
        may_start.set()


def test_all_that_record_together_have_to_fit_into_memory(
    tmp_path, cameras, monkeypatch
):
    """Each alone would: said before anything is begun."""
    threads = cameras(camera(96, 64), camera(96, 64))
    stores = [StorageProperties(tmp_path / f"{name}.zarr") for name in "ab"]
    together = Recordings(sources(threads, 3), stores)
    [needed, _] = [status.plan.peak_memory_bytes for status in together.status()]
    memory = psutil.virtual_memory()
    few = memory._replace(available=int(1.5 * needed / memory_module.FREE_SHARE))
    with monkeypatch.context() as system:
        system.setattr(psutil, "virtual_memory", lambda: few)
        with pytest.raises(InvalidProperties, match=r"of memory, and .* are free"):
            together.start()
        assert not list(tmp_path.iterdir())
        alone = Recordings(sources(threads[:1], 3), stores[:1])
        alone.start()
        assert alone.wait(PATIENCE_S)


@pytest.mark.parametrize("name", ["starting", "recording"])
def test_a_system_without_threads_leaves_nothing(tmp_path, cameras, no_threads, name):
    threads = cameras(camera(96, 64), camera(40, 48))
    properties = StorageProperties(tmp_path / "a.zarr")
    together = Recordings.in_one_store(sources(threads, 3), properties)
    failure = pytest.raises(SourceFailed, match="can't start new thread")
    with no_threads(name), failure:
        together.start()
    assert not together.is_busy
    assert not list(tmp_path.iterdir())
    together.start()
    assert together.wait(PATIENCE_S)


class Film(Slow):
    """Has its frames in a file, where they wait to be read."""

    @property
    def info(self):
        return {**super().info, "file": "film.avi"}

    def _oldest_held(self, elapsed_s):
        return self._next, super()._oldest_held(elapsed_s)[1]


def test_no_frame_of_a_file_is_thrown_away(tmp_path, cameras):
    makes = [camera(40, 48, kind=Film), camera(96, 64, kind=Slow, delay_s=0.3)]
    together = Recordings.in_one_store(
        sources(cameras(*makes), 5), StorageProperties(tmp_path / "a.zarr")
    )
    together.start()
    assert together.wait(PATIENCE_S)
    log = zarr.open_group(tmp_path / "a.zarr/0/frame_log", mode="r")
    assert log["device_index"][0] == 0


def test_a_camera_is_asked_once_what_it_is_like(tmp_path, cameras):
    [thread] = cameras(camera(40, 48))

    class Counted(CameraSource):
        asked = 0

        def describe(self):
            self.asked += 1
            return super().describe()

    source = Counted(thread, "camera", 3)
    Recordings([source], [StorageProperties(tmp_path / "a.zarr")])
    assert source.asked == 1


class Mute(SimulatedCamera):
    """Must not be asked what it is like."""

    @property
    def pixel_size_um(self):
        raise AssertionError("asked")


def test_a_camera_that_is_known_is_asked_nothing(tmp_path, cameras):
    [thread] = cameras(camera(40, 48, kind=Mute))
    known = SimulatedCamera("cells", width=40, height=48, pixel_type="uint8")
    source = CameraSource(thread, "camera", 3, known=known)
    together = Recordings([source], [StorageProperties(tmp_path / "a.zarr")])
    together.start()
    assert together.wait(PATIENCE_S)
    assert together.status()[0].frames_committed == 3
