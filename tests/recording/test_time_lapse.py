"""Time lapses with real simulated cameras: order and counts, whatever the speed."""

import datetime

import numpy as np
import pytest
import zarr
from waiting import PATIENCE_S, wait_until

from napari_zarr_stream import StorageProperties
from napari_zarr_stream._recording import timetable as timetable_module
from napari_zarr_stream._recording.counts import counts_in_words
from napari_zarr_stream._recording.recording import Recording
from napari_zarr_stream._recording.states import FinishReason
from napari_zarr_stream._recording.summary import summary_of
from napari_zarr_stream._recording.timetable import Timetable
from napari_zarr_stream._recording.together import Recordings
from napari_zarr_stream._sources.camera import CameraSource
from napari_zarr_stream._sources.take import Take
from napari_zarr_stream.cameras import CameraThread, Fault, SimulatedCamera, read_stamp

HOUR_S = 3600.0


def made(**options):
    settings = {"width": 64, "height": 48, "frame_rate": 100, "stamp": True}
    return lambda: SimulatedCamera("cells", **settings | options)


@pytest.fixture
def camera(opened):
    return opened(made())


@pytest.fixture
def later(monkeypatch):
    """Move the clock on, as if the computer had slept."""
    passed, clock = [0.0], timetable_module.clock
    monkeypatch.setattr(timetable_module, "clock", lambda: clock() + passed[0])

    def move(seconds):
        passed[0] += seconds

    return move


def started(path, camera, frames=0, **take):
    recording = Recordings(
        [CameraSource(camera, "cells", frames, Take(**take))],
        [StorageProperties(path, sharded=True)],
    )
    recording.start()
    return recording


def record_of(path):
    return dict(zarr.open_group(path, mode="r").attrs)["napari_zarr_stream"]


def frames_come(recording, count):
    """Wait until so many can be read by another program."""
    [one] = recording.recordings
    wait_until(lambda: one.status().frames_committed == count)


def test_frames_are_taken_when_they_are_due_and_not_before(tmp_path, camera):
    path, interval_s = tmp_path / "a.zarr", 0.3
    recording = started(path, camera, 4, interval_s=interval_s)
    assert recording.wait(PATIENCE_S)
    [status] = recording.status()
    assert status.finish_reason is FinishReason.COMPLETED
    assert (status.frames_committed, status.frames_lost) == (4, 0)
    frames = zarr.open_array(path / "0", mode="r")[:]
    log = zarr.open_group(path / "frame_log", mode="r")
    stamps = [read_stamp(frame) for frame in frames]
    assert stamps == log["device_index"][:].tolist()
    record = record_of(path)
    begun = datetime.datetime.fromisoformat(record["start_time"]).timestamp()
    due = begun + interval_s * np.arange(4)
    assert (log["time_ns"][:] / 1e9 - due > -0.002).all()  # of the record's rounding
    assert record["interval_s"] == interval_s
    assert record["frames_late"] == status.frames_late
    assert record["frames_missing"] == 0
    assert "no frame was taken" in record["between_frames"]
    ome = dict(zarr.open_group(path, mode="r").attrs)["ome"]
    [scale] = ome["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    assert scale["scale"][0] == interval_s
    assert ome["multiscales"][0]["axes"][0]["unit"] == "second"


def test_a_long_interval_is_waited_out_in_peace(tmp_path, camera):
    """A frame is there at once, nobody calls the camera silent, Stop is heard."""
    recording = started(tmp_path / "a.zarr", camera, interval_s=HOUR_S)
    frames_come(recording, 1)
    [status] = recording.status()
    assert 0.9 * HOUR_S < status.next_frame_s <= HOUR_S
    assert status.silent_s == 0
    assert "next in 60 min" in counts_in_words([("cells", status)])
    assert camera.call(lambda camera: camera.set("exposure_ms", 3.0), 30) == 3.0
    wait_until(lambda: recording.recordings[0]._run._source.events)
    recording.stop()
    assert recording.wait(PATIENCE_S)
    [status] = recording.status()
    assert status.finish_reason is FinishReason.STOPPED
    assert status.next_frame_s is None
    assert (status.frames_committed, status.frames_lost) == (1, 0)
    [event] = record_of(tmp_path / "a.zarr")["events"]
    assert (event["frame"], event["setting"]) == (1, "exposure_ms")


def test_frames_of_a_sleep_are_missing_and_said(tmp_path, camera, later):
    recording = started(tmp_path / "a.zarr", camera, interval_s=HOUR_S)
    frames_come(recording, 1)
    later(3.5 * HOUR_S)
    frames_come(recording, 2)
    [status] = recording.status()
    assert (status.frames_late, status.frames_missing) == (1, 2)
    assert status.next_frame_s <= 0.5 * HOUR_S
    said = counts_in_words([("cells", status)])
    assert "1 late" in said
    assert "2 missing" in said
    recording.stop()
    assert recording.wait(PATIENCE_S)
    record = record_of(tmp_path / "a.zarr")
    assert (record["frames_late"], record["frames_missing"]) == (1, 2)
    assert record["frames_lost"] == 0


def test_a_pause_is_caught_up(tmp_path, camera, later):
    """Frame n stays frame n."""
    recording = started(tmp_path / "a.zarr", camera, interval_s=2.0)
    frames_come(recording, 1)
    later(7.0)
    wait_until(lambda: recording.recordings[0].status().frames_acquired >= 4)
    [status] = recording.status()
    assert status.frames_late >= 2
    assert status.frames_missing == 0
    recording.stop()
    assert recording.wait(PATIENCE_S)


def test_a_camera_that_is_unplugged_between_frames_is_heard(tmp_path, opened):
    camera = opened(made(faults=[Fault(20, "unplug")]))
    recording = started(tmp_path / "a.zarr", camera, interval_s=HOUR_S)
    with pytest.raises(Exception, match="unplugged"):
        recording.wait(PATIENCE_S)
    [status] = recording.status()
    assert status.finish_reason is FinishReason.FAILED
    assert status.frames_committed == 1


def test_gaps_between_the_frames_that_are_taken_are_not_lost(tmp_path, opened):
    faults = [Fault(at, "gap", 3) for at in range(5, 500, 5)]
    recording = started(
        tmp_path / "a.zarr", opened(made(faults=faults)), 3, interval_s=1
    )
    assert recording.wait(PATIENCE_S)
    [status] = recording.status()
    assert (status.frames_acquired, status.frames_lost) == (3, 0)


def test_a_duration_ends_it(tmp_path, camera):
    recording = started(tmp_path / "a.zarr", camera, duration_s=0.2)
    assert recording.wait(PATIENCE_S)
    [status] = recording.status()
    assert status.finish_reason is FinishReason.COMPLETED
    assert status.frames_expected is None
    assert record_of(tmp_path / "a.zarr")["duration_s"] == 0.2


def test_cameras_together_have_the_same_due_times(tmp_path, opened, later):
    cameras = [opened(made()), opened(made(frame_rate=37))]
    sources = [CameraSource(each, "cells", 2, Take(HOUR_S)) for each in cameras]
    together = Recordings.in_one_store(
        sources, StorageProperties(tmp_path / "a.zarr", sharded=True)
    )
    together.start()
    wait_until(lambda: all(each.frames_committed == 1 for each in together.status()))
    first, second = (each.next_frame_s for each in together.status())
    assert first == pytest.approx(second, abs=1)
    later(HOUR_S)
    assert together.wait(PATIENCE_S)
    begun = {record_of(tmp_path / "a.zarr" / each)["start_time"] for each in "01"}
    times = sorted(map(datetime.datetime.fromisoformat, begun))
    assert times[-1] - times[0] <= datetime.timedelta(milliseconds=2)


def test_a_camera_is_silent_only_after_a_frame_was_due(tmp_path, camera, monkeypatch):
    recording = Recording(
        CameraSource(camera, "cells", 0, Take(HOUR_S)),
        StorageProperties(tmp_path / "a.zarr"),
    )
    recording.start()
    wait_until(lambda: recording.status().frames_acquired == 1)
    run = recording._run
    run._came_at -= 1000
    assert recording.status().silent_s == 0
    monkeypatch.setattr(Timetable, "wait_s", -30.0)
    assert recording.status().silent_s == 30
    recording.stop()
    assert recording.wait(PATIENCE_S)


SUMMARIES = [
    (Take(0.5), 20, "20 frames, one every 0.5 s: 9.5 s"),
    (Take(600, 43200), 0, "72 frames, one every 10 min: 11.83 h"),
    (Take(600), 0, "A frame every 10 min, until stopped"),
    (Take(0, 90), 0, "For 90 s"),
]


@pytest.mark.parametrize(("take", "frames", "said"), SUMMARIES)
def test_the_summary_says_when_frames_are_taken(tmp_path, camera, take, frames, said):
    source = CameraSource(camera, "cells", frames, take)
    properties = StorageProperties(tmp_path / "a.zarr", frames_per_chunk=32)
    plan = Recording(source, properties).status().plan
    summary = summary_of([(plan, properties, source.describe())], None)
    lines = str(summary).splitlines()
    assert said in lines
    assert any("not lost" in line for line in lines) == bool(take.interval_s)
    # 31 x 10 min are in no file yet when the computer crashes
    assert any("A crash could cost" in line for line in lines) == (take.interval_s > 0)


def test_a_thread_of_a_camera_is_free_between_frames(tmp_path, camera):
    """What is asked of a camera is done while it waits."""
    assert isinstance(camera, CameraThread)
    recording = started(tmp_path / "a.zarr", camera, interval_s=HOUR_S)
    frames_come(recording, 1)
    assert camera.call(lambda camera: camera.frame_rate, 60) == 100
    recording.stop()
    assert recording.wait(PATIENCE_S)
