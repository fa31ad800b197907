"""Free space: what is kept in reserve, and how long the rest lasts."""

import errno
import os
import re
import subprocess
import threading
import time
from functools import partial
from pathlib import Path

import pytest
import zarr
from waiting import PATIENCE_S

import napari_zarr_stream._recording.disk as disk_module
from napari_zarr_stream import StorageProperties, WriteFailed, cli
from napari_zarr_stream._recording.disk import (
    LOOK_S,
    DiskWatch,
    free_bytes,
    time_left,
)
from napari_zarr_stream._recording.recording import Recording
from napari_zarr_stream._recording.states import FinishReason, RecordingState
from napari_zarr_stream._sources.camera import CameraSource
from napari_zarr_stream.cameras import SimulatedCamera, read_stamp


@pytest.fixture
def camera(opened):
    """0.2 MB a second."""
    size = {"width": 64, "height": 64, "pixel_type": "uint8"}
    make = partial(SimulatedCamera, "cells", frame_rate=50, stamp=True, **size)
    return opened(make)


def properties(path):
    return StorageProperties(path, "ZarrV3", sharded=True, enable_multiscale=False)


def test_a_recording_stops_itself_before_the_disk_is_full(small_disk, camera):
    path, reserve = small_disk / "a.zarr", 400 * 2**10
    recording = Recording(
        CameraSource(camera, "cells"), properties(path), reserve_bytes=reserve
    )
    recording.start()
    known = []
    while not recording.wait(0.02):
        known.append(recording.status().disk_seconds_left)
    status = recording.status()
    assert status.finish_reason is FinishReason.STOPPED
    assert status.stop_reason.endswith("on the disk and 410 kB are kept in reserve")
    assert status.disk_seconds_left is None
    assert status.frames_committed == status.frames_acquired > 0
    # At its end a shard gives back the room of an index that it no longer needs.
    assert 0 < free_bytes(path) < reserve + 2**16
    told = [seconds for seconds in known if seconds is not None]
    assert told
    assert all(seconds >= 0 for seconds in told)
    group = zarr.open_group(path, mode="r")
    assert group["0"].shape[0] == status.frames_acquired
    assert read_stamp(group["0"][-1]) >= status.frames_acquired - 1
    record = group.attrs["napari_zarr_stream"]
    assert record["finish_reason"] == "stopped"
    assert record["stop_reason"] == status.stop_reason


def test_without_the_reserve_nothing_is_begun(small_disk, camera):
    path = small_disk / "a.zarr"
    recording = Recording(CameraSource(camera, "cells"), properties(path))
    words = r"MB are free on the disk and 1.07 GB are kept in reserve. Free some space"
    with pytest.raises(WriteFailed, match=words):
        recording.start()
    assert recording.status().state is RecordingState.ARMED
    assert list(small_disk.iterdir()) == []


def test_the_command_line_says_so(small_disk, capsys):
    path = small_disk / "a.zarr"
    command = ["record", str(path), "--camera", "simulated: cells", "--set", "width=64"]
    command += ["--set", "height=64", "--set", "frame_rate=100"]
    assert cli.main(command) == cli.FAILED
    assert "1.07 GB are kept in reserve" in capsys.readouterr().err
    assert cli.main([*command, "--reserve-mib", "2"]) == cli.FAILED


def test_the_command_line_stops_itself_and_says_why(small_disk, capsys):
    """At the reserve, in the middle, on a disk of 2 MiB."""
    subprocess.run(["mount", "-o", "remount,size=2m", str(small_disk)], check=True)
    command = ["record", str(small_disk / "a.zarr"), "--camera", "simulated: cells"]
    for setting in ("width=64", "height=64", "frame_rate=100", "stamp=true"):
        command += ["--set", setting]
    command += ["--no-sharded", "--no-multiscale", "--frames-per-chunk", "1"]
    assert cli.main([*command, "--reserve-mib", "1"]) == cli.FAILED
    said = capsys.readouterr()
    assert re.search(
        "napari-zarr-stream: stopped, .* are free on the disk and 1.05 MB are kept in "
        "reserve",
        said.err,
    )
    found = re.search(r"stopped, (\d+) frames acquired, \1 committed, ", said.out)
    group = zarr.open_group(small_disk / "a.zarr", mode="r")
    log = group["frame_log/device_index"][:].tolist()
    assert [read_stamp(frame) for frame in group["0"]] == log
    assert len(log) == int(found[1])


def test_it_looks_more_often_when_the_end_is_near(tmp_path):
    """At a gigabyte a second, a second is as much as the reserve."""
    free = free_bytes(tmp_path)
    watch = DiskWatch(tmp_path / "a.zarr", free - 10 * 2**20)
    assert watch.look(0) == LOOK_S
    assert watch.seconds_left is None
    time.sleep(0.01)
    soon_s = watch.look(2**40)
    assert soon_s < LOOK_S
    assert soon_s == pytest.approx(watch.seconds_left / 4)


def test_between_frames_of_a_time_lapse_nothing_is_said_of_the_rate(tmp_path):
    """One frame in one second is no such rate, if the next comes in an hour."""
    watch = DiskWatch(tmp_path / "a.zarr", 0, interval_s=3600)
    for written in (0, 2**40, 2**40):
        time.sleep(0.01)
        assert watch.look(written) == LOOK_S
    assert watch.seconds_left is None


def test_a_disk_that_stalls_keeps_no_frame_waiting(tmp_path, camera, monkeypatch):
    """As a network disk does: the look does not come back, frames go on."""
    go_on, has_stalled = threading.Event(), threading.Event()

    def stall(path):
        if threading.current_thread() is not threading.main_thread():
            has_stalled.set()
            go_on.wait(PATIENCE_S)
        return 2**40

    monkeypatch.setattr(disk_module, "free_bytes", stall)
    recording = Recording(CameraSource(camera, "cells", 40), properties(tmp_path / "a"))
    recording.start()
    assert has_stalled.wait(PATIENCE_S)
    assert recording.wait(PATIENCE_S)
    assert not go_on.is_set()
    assert recording.status().frames_committed == 40
    go_on.set()


def test_a_path_that_is_not_there_yet(tmp_path):
    assert free_bytes(tmp_path / "a" / "b" / "c.zarr") > 0


def test_several_writers_share_what_is_left():
    assert time_left([]) is None
    assert time_left([None, None]) is None
    assert time_left([None, 30.0]) == 30
    assert time_left([60.0, 30.0]) == pytest.approx(20)
    assert time_left([60.0, 0.0]) == 0


def test_a_disk_that_cannot_be_looked_at(tmp_path, monkeypatch):
    """Its space is not known; who writes there says what is wrong, with the path."""

    def fail(_path):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Path, "exists", fail)
    assert free_bytes(tmp_path) is None
