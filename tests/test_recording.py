"""A recording's states, counts and ends, with real simulated cameras."""

import itertools
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import zarr

from napari_zarr_stream import (
    IllegalTransition,
    InvalidProperties,
    SourceFailed,
    StorageProperties,
    StoreExists,
    WriteFailed,
)
from napari_zarr_stream._contrast import contrast_limits_of
from napari_zarr_stream._recording import (
    TRANSITIONS,
    FinishReason,
    Recording,
    RecordingState,
    _Event,
)
from napari_zarr_stream._source import CameraSource, Frame
from napari_zarr_stream.cameras import Fault, SimulatedCamera, read_stamp


@pytest.fixture
def camera():
    camera = SimulatedCamera(
        "cells", width=96, height=64, frame_rate=200, stamp=True, pixel_type="uint8"
    )
    camera.open()
    yield camera
    camera.close()


def properties(path, **changes):
    return StorageProperties(path, tile_width=32, tile_height=32, **changes)


def stamps(path):
    return [read_stamp(frame) for frame in zarr.open_array(path / "0", mode="r")[:]]


def attributes(path):
    return dict(zarr.open_group(path, mode="r").attrs)["napari_zarr_stream"]


@pytest.mark.parametrize(
    ("state", "event"), list(itertools.product(RecordingState, _Event))
)
def test_every_move_is_in_the_table_or_raises_and_changes_nothing(state, event):
    recording = Recording()
    recording._state = state
    if (state, event) in TRANSITIONS:
        recording._move(event)
        assert recording._state is TRANSITIONS[state, event]
    else:
        with pytest.raises(IllegalTransition, match=event.value):
            recording._move(event)
        assert recording._state is state


def test_frames_of_a_camera_arrive_in_order_with_their_ids(tmp_path, camera):
    path = tmp_path / "a.zarr"
    recording = Recording(CameraSource(camera, "cells", 40), properties(path))
    assert recording.status().state is RecordingState.ARMED
    recording.start()
    assert recording.wait(20)

    status = recording.status()
    assert status.state is RecordingState.ARMED
    assert status.finish_reason is FinishReason.COMPLETED
    assert status.frames_acquired == status.frames_committed == 40
    assert status.error is None
    ids = stamps(path)
    log = zarr.open_group(path / "frame_log", mode="r")
    assert ids == log["device_index"][:].tolist()
    assert (np.diff(log["time_ns"][:]) >= 0).all()
    record = attributes(path)
    assert record["finish_reason"] == "completed"
    assert record["frames_acquired"] == record["frames_committed"] == 40
    assert record["frames_lost"] == status.frames_lost == ids[-1] + 1 - 40
    assert record["camera"]["model"] == "Simulated camera"
    assert record["settings"]["frame_rate"] == 200


def test_stop_ends_an_unbounded_recording_and_keeps_all(tmp_path, camera):
    path = tmp_path / "a.zarr"
    recording = Recording(CameraSource(camera, "cells"), properties(path))
    recording.start()
    while recording.status().frames_acquired < 10:
        time.sleep(0.01)
    recording.stop()
    recording.stop()
    assert recording.wait(20)
    status = recording.status()
    assert status.finish_reason is FinishReason.STOPPED
    assert status.frames_committed == status.frames_acquired == len(stamps(path)) >= 10
    assert attributes(path)["finish_reason"] == "stopped"


def test_abort_leaves_a_store_that_opens(tmp_path, camera):
    path = tmp_path / "a.zarr"
    recording = Recording(CameraSource(camera, "cells"), properties(path))
    recording.start()
    while recording.status().frames_acquired < 5:
        time.sleep(0.01)
    recording.abort()
    assert recording.wait(20)
    status = recording.status()
    assert status.finish_reason is FinishReason.ABORTED
    assert len(stamps(path)) == status.frames_committed <= status.frames_acquired
    assert attributes(path)["finish_reason"] == "aborted"


def test_status_can_be_polled_and_counts_never_fall(tmp_path, camera):
    recording = Recording(
        CameraSource(camera, "cells", 60), properties(tmp_path / "a.zarr")
    )
    recording.start()
    seen = []
    while not recording.wait(0.02):
        seen.append(recording.status())
    for before, after in itertools.pairwise(seen):
        assert before.frames_acquired <= after.frames_acquired
        assert before.frames_committed <= after.frames_committed
    assert all(s.frames_committed <= s.frames_acquired for s in seen)
    assert all(0 <= s.queue_fill <= 1 for s in seen)
    with pytest.raises(AttributeError):
        seen[0].frames_acquired = 1


def test_the_newest_plane_is_a_copy_and_given_once(tmp_path, camera):
    recording = Recording(
        CameraSource(camera, "cells"), properties(tmp_path / "a.zarr")
    )
    recording.start()
    assert recording.newest() is None
    planes = []
    while len(planes) < 3:
        time.sleep(0.01)
        if (plane := recording.newest()) is not None:
            planes.append(plane)
    recording.stop()
    recording.wait(20)
    numbers = [read_stamp(plane) for plane in planes]
    assert numbers == sorted(set(numbers))
    assert not np.shares_memory(planes[0], planes[1])
    low, high = recording.contrast_limits
    assert low < high


def test_limits_set_while_recording_are_kept_in_the_store(tmp_path, camera):
    path = tmp_path / "a.zarr"
    recording = Recording(CameraSource(camera, "cells", 10), properties(path))
    recording.start()
    while recording.contrast_limits is None:
        time.sleep(0.005)
    recording.contrast_limits = (3.0, 77.0)
    recording.wait(20)
    ome = dict(zarr.open_group(path, mode="r").attrs)["ome"]
    window = ome["omero"]["channels"][0]["window"]
    assert (window["start"], window["end"]) == (3.0, 77.0)


def test_lost_frames_are_counted_and_stored(tmp_path):
    camera = SimulatedCamera(
        "empty", width=32, height=32, frame_rate=200, faults=[Fault(5, "gap", count=7)]
    )
    camera.open()
    path = tmp_path / "a.zarr"
    recording = Recording(CameraSource(camera, "empty", 20), properties(path))
    recording.start()
    recording.wait(20)
    assert recording.status().frames_lost >= 7
    assert attributes(path)["frames_lost"] == recording.status().frames_lost


def test_an_unplugged_camera_is_heard_and_what_came_is_kept(tmp_path):
    camera = SimulatedCamera(
        "cells",
        width=64,
        height=64,
        frame_rate=200,
        pixel_type="uint8",
        stamp=True,
        faults=[Fault(12, "unplug")],
    )
    camera.open()
    path = tmp_path / "a.zarr"
    recording = Recording(CameraSource(camera, "cells", 50), properties(path))
    recording.start()
    with pytest.raises(SourceFailed):
        recording.wait(20)
    status = recording.status()
    assert status.finish_reason is FinishReason.FAILED
    assert isinstance(status.error, SourceFailed)
    assert stamps(path) == list(range(12))
    record = attributes(path)
    assert record["finish_reason"] == "failed"
    assert record["error"] == str(status.error)
    # and it is ready for another try
    recording.configure(
        CameraSource(camera, "cells", 5), properties(tmp_path / "b.zarr")
    )
    recording.start()
    assert recording.wait(20)


class BrokenSource(CameraSource):
    def read(self, timeout_s):
        if self.camera.stats.delivered == 3:
            raise ZeroDivisionError("a bug in a driver")
        return super().read(timeout_s)


def test_an_unexpected_exception_of_a_source_is_heard(tmp_path, camera):
    path = tmp_path / "a.zarr"
    recording = Recording(BrokenSource(camera, "cells", 50), properties(path))
    recording.start()
    with pytest.raises(SourceFailed, match="a bug in a driver"):
        recording.wait(20)
    assert len(stamps(path)) == 3


class OtherShape(CameraSource):
    def read(self, timeout_s):
        frame = super().read(timeout_s)
        return frame and Frame(frame.pixels[1:], frame.info)


def test_a_frame_of_another_shape_ends_the_recording(tmp_path, camera):
    recording = Recording(
        OtherShape(camera, "cells", 50), properties(tmp_path / "a.zarr")
    )
    recording.start()
    with pytest.raises(ValueError, match=r"\(63, 96\).*\(64, 96\)"):
        recording.wait(20)
    assert recording.status().finish_reason is FinishReason.FAILED


def test_a_write_that_fails_ends_the_recording(tmp_path, camera):
    path = tmp_path / "a.zarr"
    recording = Recording(
        CameraSource(camera, "cells"), properties(path, frames_per_chunk=2)
    )
    recording.start()
    # A file where a chunk's folder is to be made.
    (path / "1" / "c").write_text("in the way")
    with pytest.raises(WriteFailed, match="1/c"):
        recording.wait(20)
    assert recording.status().finish_reason is FinishReason.FAILED


def test_start_raises_where_it_was_called_and_changes_nothing(tmp_path, camera):
    path = tmp_path / "a.zarr"
    path.mkdir()
    (path / "mine.txt").write_text("precious")
    recording = Recording(CameraSource(camera, "cells", 5), properties(path))
    with pytest.raises(StoreExists, match="already exists"):
        recording.start()
    assert recording.status().state is RecordingState.ARMED
    assert (path / "mine.txt").read_text() == "precious"


def test_configure_refuses_and_changes_nothing(tmp_path, camera):
    recording = Recording(CameraSource(camera, "cells", 5), properties(tmp_path / "a"))
    planned = recording.status().plan
    camera.set("width", 8192)
    camera.set("height", 8192)
    too_large = StorageProperties(
        tmp_path / "b", "ZarrV3Blosc1Lz4ByteShuffle", max_bytes_per_chunk=2**40
    )
    with pytest.raises(InvalidProperties, match="blosc"):
        recording.configure(CameraSource(camera, "cells", 5), too_large)
    assert recording.status().plan == planned
    assert not (tmp_path / "b").exists()


def test_nothing_is_done_while_it_runs_or_after_close(tmp_path, camera):
    source = CameraSource(camera, "cells")
    recording = Recording(source, properties(tmp_path / "a.zarr"))
    recording.start()
    for call in (
        recording.start,
        recording.close,
        lambda: recording.configure(source, properties(tmp_path / "b.zarr")),
    ):
        with pytest.raises(IllegalTransition, match="running"):
            call()
    recording.stop()
    recording.wait(20)
    recording.close()
    recording.close()
    with pytest.raises(IllegalTransition, match="closed"):
        recording.start()


def test_stop_before_start_is_not_remembered(tmp_path, camera):
    recording = Recording(
        CameraSource(camera, "cells", 5), properties(tmp_path / "a.zarr")
    )
    recording.stop()
    recording.start()
    assert recording.wait(20)
    assert recording.status().frames_acquired == 5


def test_it_can_be_started_again_and_again_without_leaking_threads(tmp_path, camera):
    recording = Recording()
    before = threading.active_count()
    for i in range(10):
        source = CameraSource(camera, "cells", 3)
        recording.configure(source, properties(tmp_path / f"{i}.zarr"))
        recording.start()
        assert recording.wait(20)
    assert threading.active_count() == before


SCRIPT = """
import sys
from napari_zarr_stream import StorageProperties
from napari_zarr_stream._contrast import contrast_limits_of
from napari_zarr_stream._recording import Recording
from napari_zarr_stream._source import CameraSource
from napari_zarr_stream.cameras import SimulatedCamera
camera = SimulatedCamera("empty", width=32, height=32, frame_rate=100)
camera.open()
source = CameraSource(camera, "empty", int(sys.argv[2]))
recording = Recording(source, StorageProperties(sys.argv[1]))
recording.start()
while recording.status().frames_acquired < 5:
    pass
"""


@pytest.mark.parametrize(("frames", "least"), [(0, 5), (30, 30)])
def test_a_script_that_ends_loses_nothing_and_does_not_hang(tmp_path, frames, least):
    path = tmp_path / "a.zarr"
    command = [sys.executable, "-c", SCRIPT, str(path), str(frames)]
    subprocess.run(command, check=True, timeout=30)
    array = zarr.open_array(path / "0", mode="r")
    assert array.shape[0] >= least
    assert attributes(path)["frames_committed"] == array.shape[0]


@pytest.mark.parametrize(
    ("plane", "limits"),
    [
        (np.zeros((8, 8), np.uint16), (0, 1)),
        (np.full((8, 8), np.nan), (0, 1)),
        (np.eye(8, dtype=bool), (0, 1)),
    ],
    ids=["flat", "nan", "bool"],
)
def test_contrast_limits_are_never_equal(plane, limits):
    assert contrast_limits_of(plane) == limits


def test_contrast_limits_pass_over_hot_pixels():
    plane = np.random.default_rng(0).integers(100, 200, (512, 512)).astype(np.uint16)
    plane[::200, ::200] = 65535
    low, high = contrast_limits_of(plane)
    assert 100 <= low < high <= 200
