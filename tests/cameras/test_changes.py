"""Settings that are changed while a camera runs."""

import threading

import pytest
from camera_contract import read
from waiting import PATIENCE_S, wait_until

from napari_zarr_stream.cameras import (
    CameraThread,
    Setting,
    SimulatedCamera,
    changes,
)
from napari_zarr_stream.cameras.changes import SettingsWatch
from napari_zarr_stream.cameras.host_clock import host_time_ns


class SharedCamera(SimulatedCamera):
    """As that of a core which other programs set as well."""

    @property
    def info(self):
        return {"name": "shared", "shared": "others"}


class Reading:
    """A long job that reads and looks, as a recording does."""

    def __init__(self, kind):
        options = {"width": 32, "height": 32, "frame_rate": 100}
        self.thread = CameraThread(lambda: kind("empty", **options))
        self.camera = self.thread.call(lambda camera: (camera.open(), camera)[1])
        self.begun, self.stop = threading.Event(), threading.Event()
        self.seen, self.frames, self.looks = [], 0, 0
        self.job = self.thread.submit(self.read, is_long=True)
        assert self.begun.wait(PATIENCE_S)

    def read(self, camera):
        watch = SettingsWatch(self.thread)
        camera.start()
        watch.begin(camera)
        while self.thread.serve() and not self.stop.is_set():
            for change in watch.look(camera):
                assert change.frame == self.frames
                self.seen.append(change)
            read(camera)
            self.frames += 1
            self.begun.set()
        camera.stop()

    def end(self):
        self.stop.set()
        self.job.result(PATIENCE_S)
        self.thread.close()
        return [(each.name, each.before, each.value) for each in self.seen]


@pytest.fixture
def reading(request):
    reading = Reading(getattr(request, "param", SimulatedCamera))
    yield reading
    reading.stop.set()
    reading.thread.close()


def test_a_change_says_when_which_and_what(reading):
    before_ns = host_time_ns()
    for value in (5.0, 5.0, 2.0):
        reading.thread.call(lambda camera, v=value: camera.set("exposure_ms", v))
        frames = reading.frames
        wait_until(lambda frames=frames: reading.frames > frames + 1)
    after_ns = host_time_ns()
    assert reading.end() == [("exposure_ms", 10.0, 5.0), ("exposure_ms", 5.0, 2.0)]
    times = [change.time_ns for change in reading.seen]
    assert before_ns <= times[0] < times[1] <= after_ns
    assert 0 < reading.seen[0].frame < reading.seen[1].frame


def test_what_was_only_asked_is_no_change(reading):
    for _ in range(5):
        reading.thread.call(lambda camera: camera.settings)
    assert reading.end() == []


class AutomaticCamera(SimulatedCamera):
    """It may set its exposure by itself."""

    @property
    def settings(self):
        automatic = Setting("exposure_auto", "Automatic", "Continuous")
        return (automatic, *super().settings)


@pytest.mark.parametrize("reading", [SharedCamera, AutomaticCamera], indirect=True)
def test_a_camera_that_is_shared_or_sets_itself_is_looked_at(reading, monkeypatch):
    monkeypatch.setattr(changes, "UNASKED_EVERY_S", 0.05)
    reading.camera.set("exposure_ms", 3.0)  # nobody asked the thread
    wait_until(lambda: reading.seen)
    assert reading.end() == [("exposure_ms", 10.0, 3.0)]


def test_where_nobody_asks_nothing_is_read(reading):
    watch = SettingsWatch(reading.thread)
    watch.begin(reading.camera)
    assert watch.look(None) == ()  # not even the camera
