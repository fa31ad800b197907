"""A recording's states, counts and ends, with real simulated cameras."""

import dataclasses
import datetime
import itertools
import math
import threading
import time

import numpy as np
import pytest
import zarr
from programs import run_python, start_python
from waiting import PATIENCE_S, wait_until

import napari_zarr_stream._sources.camera as camera_module
from napari_zarr_stream import (
    IllegalTransition,
    InvalidProperties,
    SourceFailed,
    StorageProperties,
    StoreExists,
    WriteFailed,
)
from napari_zarr_stream._recording.frame_infos import MOST_INTERVALS, Intervals
from napari_zarr_stream._recording.recording import Recording
from napari_zarr_stream._recording.states import (
    TRANSITIONS,
    FinishReason,
    RecordingEvent,
    RecordingState,
)
from napari_zarr_stream._sources.camera import CameraSource
from napari_zarr_stream._sources.layer import LayerSource
from napari_zarr_stream._writer.contrast import WideningLimits, contrast_limits_of
from napari_zarr_stream.cameras import (
    CameraEnded,
    CameraError,
    CameraStats,
    Fault,
    FrameInfo,
    SimulatedCamera,
    read_stamp,
)


@pytest.fixture
def camera(opened):
    return opened(
        lambda: SimulatedCamera(
            "cells", width=96, height=64, frame_rate=200, stamp=True, pixel_type="uint8"
        )
    )


def properties(path, **changes):
    return StorageProperties(path, tile_width=32, tile_height=32, **changes)


def stamps(path):
    return [read_stamp(frame) for frame in zarr.open_array(path / "0", mode="r")[:]]


def attributes(path):
    return dict(zarr.open_group(path, mode="r").attrs)["napari_zarr_stream"]


@pytest.mark.parametrize(
    ("state", "event"), list(itertools.product(RecordingState, RecordingEvent))
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
    assert recording.wait(PATIENCE_S)

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
    assert recording.wait(PATIENCE_S)
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
    assert recording.wait(PATIENCE_S)
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
    assert recording.newest() is None
    recording.start()
    planes = []
    while len(planes) < 3:
        time.sleep(0.01)
        if (plane := recording.newest()) is not None:
            planes.append(plane)
    recording.stop()
    recording.wait(PATIENCE_S)
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
    recording.wait(PATIENCE_S)
    ome = dict(zarr.open_group(path, mode="r").attrs)["ome"]
    window = ome["omero"]["channels"][0]["window"]
    assert (window["start"], window["end"]) == (3.0, 77.0)


def test_lost_frames_are_counted_and_stored(tmp_path, opened):
    faults = [Fault(5, "gap", count=7)]
    camera = opened(
        lambda: SimulatedCamera(
            "empty", width=32, height=32, frame_rate=200, faults=faults
        )
    )
    path = tmp_path / "a.zarr"
    recording = Recording(CameraSource(camera, "empty", 20), properties(path))
    recording.start()
    recording.wait(PATIENCE_S)
    assert recording.status().frames_lost >= 7
    assert attributes(path)["frames_lost"] == recording.status().frames_lost


def test_an_unplugged_camera_is_heard_and_what_came_is_kept(tmp_path, opened):
    camera = opened(
        lambda: SimulatedCamera(
            "cells",
            width=64,
            height=64,
            frame_rate=200,
            pixel_type="uint8",
            stamp=True,
            faults=[Fault(12, "unplug")],
        )
    )
    path = tmp_path / "a.zarr"
    recording = Recording(CameraSource(camera, "cells", 50), properties(path))
    recording.start()
    with pytest.raises(SourceFailed):
        recording.wait(PATIENCE_S)
    status = recording.status()
    assert status.finish_reason is FinishReason.FAILED
    assert isinstance(status.error, SourceFailed)
    ids = stamps(path)
    assert ids == log_of(path)["device_index"]
    assert len(ids) == 12 - status.frames_lost
    record = attributes(path)
    assert record["finish_reason"] == "failed"
    assert record["error"] == str(status.error)
    # and it is ready for another try
    recording.configure(
        CameraSource(camera, "cells", 5), properties(tmp_path / "b.zarr")
    )
    recording.start()
    assert recording.wait(PATIENCE_S)


class Scripted(SimulatedCamera):
    """Frames of a script: what differs from a plain grey frame, or an error."""

    def __init__(self, *script, **settings):
        super().__init__("empty", width=32, height=32, **settings)
        self.script = script
        self.lost = 0

    @property
    def stats(self):
        return CameraStats(self._delivered, self.lost, 0)

    def read_into(self, out, timeout_s):
        if self._delivered == len(self.script):
            time.sleep(timeout_s)
            return None
        step = self.script[self._delivered]
        if isinstance(step, Exception):
            raise step
        number = self._delivered
        self._delivered += 1
        frame = step.pop("frame", np.full(self.shape, number, self.dtype))
        out[...] = frame
        given = {"index": number, "device_index": number, "device_time_ns": number * 10}
        info = FrameInfo(**given | {"host_time_ns": time.time_ns()} | step)
        if self.lost is not None:
            self.lost += info.lost_before
        return info


def record_script(path, opened, *script, frames=0):
    """Record what a script gives; returns the recording, at its end or failed."""
    camera = opened(lambda: Scripted(*script))
    recording = Recording(CameraSource(camera, "script", frames), properties(path))
    recording.start()
    while recording.status().frames_acquired < len(script) and not recording.wait(0.02):
        pass
    recording.stop()
    recording.wait(PATIENCE_S)
    return recording


def log_of(path):
    log = zarr.open_group(path / "frame_log", mode="r")
    return {name: log[name][:].tolist() for name in log.array_keys()}


def dim_then_bright(dark, count):
    """Frames of which the first are dark, as where a shutter opens late."""
    rng = np.random.default_rng(0)
    dim = rng.integers(100, 103, (32, 32)).astype(np.uint16)
    bright = rng.integers(100, 3000, (32, 32)).astype(np.uint16)
    return [{"frame": dim if number < dark else bright} for number in range(count)]


class Paced(Scripted):
    """One frame every 50 ms, so that limits are looked at again."""

    def read_into(self, out, timeout_s):
        time.sleep(0.05)
        return super().read_into(out, timeout_s)


@pytest.mark.parametrize("touched", [False, True])
def test_dark_frames_at_first_do_not_set_the_contrast(tmp_path, opened, touched):
    """napari-micromanager 22, HelioScan 180."""
    path = tmp_path / "a.zarr"
    camera = opened(lambda: Paced(*dim_then_bright(3, 60)))
    recording = Recording(CameraSource(camera, "script", 60), properties(path))
    recording.start()
    while recording.contrast_limits is None:
        time.sleep(0.001)
    assert recording.contrast_limits[1] < 110
    if touched:
        recording.contrast_limits = (100.0, 500.0)
    assert recording.wait(PATIENCE_S)
    low, high = recording.contrast_limits
    ome = dict(zarr.open_group(path, mode="r").attrs)["ome"]
    window = ome["omero"]["channels"][0]["window"]
    assert (window["start"], window["end"]) == (low, high)
    assert (high == 500) if touched else (2900 < high < 3000)


def test_limits_grow_and_never_shrink():
    limits = WideningLimits()
    for step in dim_then_bright(1, 2)[::-1] * 2:
        limits.see(step["frame"])
        limits._looked_at = -math.inf
    assert limits.limits[0] == 100
    assert limits.limits[1] > 2900


def test_an_unexpected_exception_of_a_source_is_heard(tmp_path, opened):
    path = tmp_path / "a.zarr"
    bug = ZeroDivisionError("a bug in a driver")
    with pytest.raises(SourceFailed, match="a bug in a driver"):
        record_script(path, opened, {}, {}, {}, bug)
    assert zarr.open_array(path / "0", mode="r")[:, 0, 0].tolist() == [0, 1, 2]
    assert attributes(path)["finish_reason"] == "failed"
    assert log_of(path)["device_index"] == [0, 1, 2]


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (np.zeros((31, 32), np.uint16), r"\(31, 32\).*\(32, 32\)"),
        (np.zeros((3, 32, 32), np.uint16), r"\(3, 32, 32\).*\(32, 32\)"),
        (np.zeros((32, 32), np.uint8), "uint8.*uint16"),
    ],
    ids=["smaller", "colours", "dtype"],
)
def test_a_frame_of_another_shape_ends_the_recording(tmp_path, opened, frame, words):
    path = tmp_path / "a.zarr"
    with pytest.raises(ValueError, match=words):
        record_script(path, opened, {}, {}, {"frame": frame}, {})
    assert zarr.open_array(path / "0", mode="r").shape[0] == 2
    assert attributes(path)["finish_reason"] == "failed"
    assert log_of(path)["device_index"] == [0, 1]


@pytest.mark.parametrize(
    ("numbers", "lost", "out_of_order"),
    [([0, 1, 5, 6], 3, 0), ([0, 1, 1, 2], 0, 1), ([0, 4, 2, 3], 3, 1)],
    ids=["jump", "repeat", "back"],
)
def test_frames_are_kept_as_they_come_whatever_their_numbers(
    tmp_path, opened, numbers, lost, out_of_order
):
    path = tmp_path / "a.zarr"
    steps = [{"device_index": number} for number in numbers]
    for step, (before, after) in zip(
        steps[1:], itertools.pairwise(numbers), strict=True
    ):
        step["lost_before"] = max(0, after - before - 1)
    recording = record_script(path, opened, *steps)
    status, record = recording.status(), attributes(path)
    assert zarr.open_array(path / "0", mode="r")[:, 0, 0].tolist() == [0, 1, 2, 3]
    assert log_of(path)["device_index"] == numbers
    assert status.frames_lost == record["frames_lost"] == lost
    assert status.frames_out_of_order == record["frames_out_of_order"] == out_of_order


def test_what_a_camera_does_not_say_is_said_to_be_missing(tmp_path, opened):
    path = tmp_path / "a.zarr"
    silent = {"device_index": None, "device_time_ns": None}
    record_script(path, opened, {}, silent, {})
    log = log_of(path)
    assert log["device_index"] == [0, -1, 2]
    assert log["device_time_ns"] == [0, -1, 20]
    assert all(time_ns > 0 for time_ns in log["time_ns"])


def test_a_number_that_cannot_be_kept_fails_the_recording_and_its_record(
    tmp_path, opened
):
    path = tmp_path / "a.zarr"
    camera = opened(lambda: Scripted({}, {"device_index": 2**70}))
    recording = Recording(CameraSource(camera, "script", 2), properties(path))
    recording.start()
    with pytest.raises(SourceFailed, match="the recording failed: OverflowError"):
        recording.wait(PATIENCE_S)
    assert attributes(path)["finish_reason"] == "failed"
    assert "OverflowError" in attributes(path)["error"]
    assert zarr.open_array(path / "0", mode="r")[:, 0, 0].tolist() == [0, 1]


def test_lost_is_unknown_where_a_camera_cannot_know(tmp_path, opened):
    path = tmp_path / "a.zarr"
    camera = opened(lambda: Scripted({}, {}))
    camera.call(lambda opened: setattr(opened, "lost", None))
    recording = Recording(CameraSource(camera, "script", 2), properties(path))
    recording.start()
    recording.wait(PATIENCE_S)
    assert recording.status().frames_lost is None
    assert attributes(path)["frames_lost"] == "unknown"


def test_incomplete_frames_are_kept_counted_and_marked(tmp_path, opened):
    path = tmp_path / "a.zarr"
    recording = record_script(path, opened, {}, {"complete": False}, {})
    assert recording.status().frames_incomplete == 1
    assert attributes(path)["frames_incomplete"] == 1
    assert log_of(path)["complete"] == [True, False, True]
    assert zarr.open_array(path / "0", mode="r")[:, 0, 0].tolist() == [0, 1, 2]


def test_numbers_that_come_with_the_first_frame_become_columns(tmp_path, opened):
    path = tmp_path / "a.zarr"
    record_script(
        path,
        opened,
        {"meta": {"Stage Z/um": 0.5, "light": 1, "often": 1, "words": "a", "big": 1}},
        {"meta": {"Stage Z/um": 1.5, "light": 2, "words": "b", "big": 2**70}},
    )
    log = log_of(path)
    assert log["Stage_Z_um"] == [0.5, 1.5]
    assert log["light"] == [1, 2]
    assert log["big"] == [1, 2**70]
    assert str(log["often"]) == "[1.0, nan]"
    assert "words" not in log


def test_the_end_of_a_file_completes_a_recording(tmp_path, opened):
    path = tmp_path / "a.zarr"
    end = CameraEnded("end of file: a.avi ended after 2 frames")
    camera = opened(lambda: Scripted({}, {}, end))
    recording = Recording(CameraSource(camera, "script"), properties(path))
    recording.start()
    assert recording.wait(PATIENCE_S)
    status, record = recording.status(), attributes(path)
    assert status.finish_reason is FinishReason.COMPLETED
    assert status.error is None
    assert status.frames_committed == 2
    assert record["finish_reason"] == "completed"
    assert record["end_of_source"] == str(end)


class Colours(Scripted):
    @property
    def shape(self):
        return (3, *super().shape)


def test_colours_are_channels_that_are_named_and_coloured(tmp_path, opened):
    path = tmp_path / "a.zarr"
    frames = np.arange(5 * 3 * 32 * 32, dtype=np.uint16).reshape(5, 3, 32, 32)
    camera = opened(lambda: Colours(*({"frame": frame} for frame in frames)))
    recording = Recording(CameraSource(camera, "rgb", 5), properties(path))
    assert recording.newest() is None
    recording.start()
    assert recording.wait(PATIENCE_S)
    status = recording.status()
    assert status.finish_reason is FinishReason.COMPLETED
    assert status.frames_acquired == status.frames_committed == 5
    assert status.frames_expected == 5
    assert status.bytes_acquired == frames.nbytes
    np.testing.assert_array_equal(zarr.open_array(path / "0", mode="r")[:], frames)
    newest = recording.newest()
    assert any(np.array_equal(newest, frame) for frame in frames)
    ome = dict(zarr.open_group(path, mode="r").attrs)["ome"]
    assert [axis["name"] for axis in ome["multiscales"][0]["axes"]] == [*"tcyx"]
    shown = [(c["label"], c["color"]) for c in ome["omero"]["channels"]]
    assert shown == [("red", "FF0000"), ("green", "00FF00"), ("blue", "0000FF")]
    assert attributes(path)["frames_committed"] == 5
    assert len(log_of(path)["device_index"]) == 5


class Unnamed(CameraSource):
    def describe(self):
        return dataclasses.replace(super().describe(), channels=None)


def test_channels_that_a_source_does_not_name(tmp_path, opened):
    path = tmp_path / "a.zarr"
    camera = opened(lambda: Colours({}, {}))
    recording = Recording(Unnamed(camera, "rgb", 2), properties(path))
    recording.start()
    assert recording.wait(PATIENCE_S)
    ome = dict(zarr.open_group(path, mode="r").attrs)["ome"]
    assert len(ome["omero"]["channels"]) == 3


def scale_of(path):
    """Names, units and sizes of a step along the axes of an image."""
    [multiscale] = dict(zarr.open_group(path, mode="r").attrs)["ome"]["multiscales"]
    [transform, *_] = multiscale["datasets"][0]["coordinateTransformations"]
    axes = [(axis["name"], axis.get("unit")) for axis in multiscale["axes"]]
    return dict(zip(axes, transform["scale"], strict=True))


@pytest.mark.parametrize("rate", [None, 1000.0], ids=["unknown", "said"])
def test_the_time_between_frames_is_that_which_was_measured(tmp_path, opened, rate):
    """Whatever the camera says, or does not say: one frame every 40 ms."""

    class Every40Ms(Scripted):
        frame_rate = rate

    path = tmp_path / "a.zarr"
    start_ns = time.time_ns()
    times = [number * 40_000_000 for number in range(12)]
    times[5:] = [time_ns + 3_000_000_000 for time_ns in times[5:]]  # a pause
    steps = [
        {"device_time_ns": time_ns, "host_time_ns": start_ns + time_ns + 5_000_000}
        for time_ns in times
    ]
    camera = opened(lambda: Every40Ms(*steps))
    recording = Recording(CameraSource(camera, "script", 12), properties(path))
    recording.start()
    assert recording.wait(PATIENCE_S)
    assert scale_of(path)["t", "second"] == pytest.approx(0.04, rel=1e-3)
    assert attributes(path)["nominal_frame_rate"] == rate


def test_one_frame_has_no_interval(tmp_path, opened):
    path = tmp_path / "a.zarr"
    camera = opened(lambda: Scripted({}))
    recording = Recording(CameraSource(camera, "script", 1), properties(path))
    recording.start()
    assert recording.wait(PATIENCE_S)
    nominal = 1 / attributes(path)["nominal_frame_rate"]
    assert scale_of(path)["t", "second"] == pytest.approx(nominal)


def test_the_median_of_very_many_intervals_takes_little_memory():
    intervals = Intervals()
    for _ in range(50):
        intervals.add(np.full(10_000, 20, np.int64))
        intervals.add(np.full(7, 10**9, np.int64))
    assert intervals.median == 20
    assert len(intervals._kept) <= MOST_INTERVALS


@pytest.mark.parametrize(
    ("dtype", "least", "most"),
    [(np.int16, -300, 900), (np.float32, -0.25, 40.0), (np.uint16, 3, 60_000)],
    ids=["signed", "float", "upper bits"],
)
def test_the_window_of_an_image_holds_what_its_pixels_are(
    tmp_path, opened, dtype, least, most
):
    """Of a camera that says it has 12 bits, whatever its pixels are."""
    dtype = np.dtype(dtype)

    class Other(Scripted):
        bit_depth = 12

        @property
        def dtype(self):
            return dtype

    frame = np.linspace(least, most, 32 * 32).reshape(32, 32).astype(dtype)
    path = tmp_path / "a.zarr"
    camera = opened(lambda: Other({"frame": frame}, {"frame": frame}))
    recording = Recording(CameraSource(camera, "script", 2), properties(path))
    recording.start()
    assert recording.wait(PATIENCE_S)
    [channel] = dict(zarr.open_group(path, mode="r").attrs)["ome"]["omero"]["channels"]
    window = channel["window"]
    spread = (most - least) * 0.02
    assert least <= window["start"] <= least + spread
    assert most - spread <= window["end"] <= most
    assert window["min"] <= window["start"]
    assert window["end"] <= window["max"]
    if dtype.kind == "i":
        assert (window["min"], window["max"]) == (-2048, 2047)


def test_what_is_changed_while_it_records_is_in_the_record(tmp_path, camera):
    """pycro-manager 622 and 252, shrimPy 244, acquire-zarr 30."""
    path = tmp_path / "a.zarr"
    recording = Recording(CameraSource(camera, "cells"), properties(path))
    recording.start()
    for exposure_ms in (2.0, 3.5):
        so_far = recording.status().frames_acquired
        while recording.status().frames_acquired < so_far + 3:
            time.sleep(0.01)
        camera.call(
            lambda opened, ms=exposure_ms: opened.set("exposure_ms", ms), PATIENCE_S
        )
    so_far = recording.status().frames_acquired
    while recording.status().frames_acquired < so_far + 3:
        time.sleep(0.01)
    recording.stop()
    assert recording.wait(PATIENCE_S)
    end = time.time_ns()
    events = [e for e in attributes(path)["events"] if e["setting"] == "exposure_ms"]
    assert [event["value"] for event in events] == [2.0, 3.5]
    times = log_of(path)["time_ns"]
    for event in events:
        assert 0 < event["frame"] < len(times)
        moment = datetime.datetime.fromisoformat(event["time"]).timestamp() * 1e9
        assert times[0] < moment < end
    assert attributes(path)["settings"]["exposure_ms"] not in (2.0, 3.5)


def test_what_was_changed_is_known_when_a_script_is_killed(tmp_path):
    path = tmp_path / "a.zarr"
    wait = """
import time
camera.call(lambda opened: opened.set("exposure_ms", 2.5))
print("changed", flush=True)
time.sleep(600)
"""
    program = SCRIPT.replace("argv[1]", "argv[1], sharded=True") + wait
    with start_python(program, path, 0) as script:
        assert script.stdout.readline() == "changed\n"
        wait_until(lambda: "events" in attributes(path))
        script.kill()
    events = [e for e in attributes(path)["events"] if e["setting"] == "exposure_ms"]
    assert [event["value"] for event in events] == [2.5]


@pytest.mark.parametrize(
    ("axes", "shape", "counted"),
    [
        ("tyx", (4, 8, 8), "frame"),
        ("yx", (8, 8), "frame"),
        ("zyx", (4, 8, 8), "plane"),
        ("tzyx", (4, 3, 8, 8), "plane"),
        ("tcyx", (4, 2, 8, 8), "plane"),
    ],
)
def test_planes_of_volumes_are_not_called_frames(tmp_path, axes, shape, counted):
    source = LayerSource(np.zeros(shape, np.uint8), {"name": "a"}, "image", axes=axes)
    recording = Recording(source, properties(tmp_path / "a.zarr"))
    recording.start()
    assert recording.wait(PATIENCE_S)
    status = recording.status()
    assert status.counted == counted
    assert status.frames_acquired == status.frames_expected == math.prod(shape[:-2])


def test_settings_change_while_a_recording_goes_on(tmp_path, camera):
    recording = Recording(
        CameraSource(camera, "cells"), properties(tmp_path / "a.zarr")
    )
    recording.start()
    while recording.status().frames_acquired < 3:
        time.sleep(0.01)
    assert camera.call(lambda opened: opened.set("exposure_ms", 2.0), PATIENCE_S) == 2.0
    with pytest.raises(CameraError, match="locked"):
        camera.call(lambda opened: opened.set("width", 8), PATIENCE_S)
    recording.stop()
    assert recording.wait(PATIENCE_S)


def test_a_camera_that_is_closed_under_a_recording_is_heard(tmp_path, camera):
    path = tmp_path / "a.zarr"
    recording = Recording(CameraSource(camera, "cells"), properties(path))
    recording.start()
    while recording.status().frames_acquired < 3:
        time.sleep(0.01)
    camera.close()
    with pytest.raises(SourceFailed, match="closed while it was recorded"):
        recording.wait(PATIENCE_S)
    assert len(stamps(path)) == recording.status().frames_committed >= 3


def test_a_driver_that_hangs_does_not_keep_a_recording(tmp_path, opened, monkeypatch):
    monkeypatch.setattr(camera_module, "GIVE_UP_S", 0.3)
    monkeypatch.setattr(camera_module, "ANSWER_TIMEOUT_S", 0.3)
    go_on = threading.Event()

    class Hangs(Scripted):
        def read_into(self, out, timeout_s):
            if self._delivered == 2:
                go_on.wait(PATIENCE_S)
                return None
            return super().read_into(out, timeout_s)

    path = tmp_path / "a.zarr"
    camera = opened(lambda: Hangs({}, {}, {}))
    recording = Recording(CameraSource(camera, "script"), properties(path))
    recording.start()
    while recording.status().frames_acquired < 2:
        time.sleep(0.01)
    recording.stop()
    with pytest.raises(SourceFailed, match="its driver hangs"):
        recording.wait(PATIENCE_S)
    assert recording.status().frames_committed == 2
    assert attributes(path)["finish_reason"] == "failed"
    go_on.set()


def test_a_read_that_comes_back_late_is_of_no_later_run(tmp_path, opened, monkeypatch):
    """It was given up; the same recording goes on with the same source, and others."""
    monkeypatch.setattr(camera_module, "GIVE_UP_S", 0.3)
    monkeypatch.setattr(camera_module, "ANSWER_TIMEOUT_S", 0.3)
    go_on, hangs = threading.Event(), threading.Event()

    class Hangs(Scripted):
        def read_into(self, out, timeout_s):
            if self._delivered == 2 and not go_on.is_set():
                hangs.set()
                go_on.wait(PATIENCE_S)
            return super().read_into(out, timeout_s)

    script = [{} for _ in range(40)]
    stuck = opened(lambda: Hangs(*script))
    recording = Recording(CameraSource(stuck, "stuck"), properties(tmp_path / "a.zarr"))
    recording.start()
    assert hangs.wait(PATIENCE_S)
    recording.stop()
    with pytest.raises(SourceFailed, match="its driver hangs"):
        recording.wait(PATIENCE_S)
    other = opened(lambda: Paced(*({} for _ in range(20))))
    path = tmp_path / "b.zarr"
    recording.configure(CameraSource(other, "other", 20), properties(path))
    recording.start()
    go_on.set()
    assert recording.wait(PATIENCE_S)
    assert recording.status().frames_acquired == 20
    assert zarr.open_array(path / "0", mode="r")[:, 0, 0].tolist() == list(range(20))
    assert zarr.open_array(tmp_path / "a.zarr" / "0", mode="r").shape[0] == 2


def test_what_fails_after_the_store_was_made_leaves_nothing(
    tmp_path, camera, no_threads
):
    path = tmp_path / "a.zarr"
    recording = Recording(CameraSource(camera, "cells", 5), properties(path))
    failure = pytest.raises(SourceFailed, match="can't start new thread")
    with no_threads("recording"), failure:
        recording.start()
    assert recording.status().state is RecordingState.ARMED
    assert not list(tmp_path.iterdir())
    recording.start()
    assert recording.wait(PATIENCE_S)


def test_a_write_that_fails_ends_the_recording(tmp_path, camera):
    path = tmp_path / "a.zarr"
    recording = Recording(
        CameraSource(camera, "cells"), properties(path, frames_per_chunk=2)
    )
    recording.start()
    # A file where a chunk's folder is to be made.
    (path / "1" / "c").write_text("in the way")
    with pytest.raises(WriteFailed, match=r"1[/\\]c"):
        recording.wait(PATIENCE_S)
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
    for side in ("width", "height"):
        camera.call(lambda opened, side=side: opened.set(side, 8192))
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
    recording.wait(PATIENCE_S)
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
    assert recording.wait(PATIENCE_S)
    assert recording.status().frames_acquired == 5


def test_it_can_be_started_again_and_again_without_leaking_threads(tmp_path, camera):
    recording = Recording()
    before = set(threading.enumerate())
    for i in range(10):
        source = CameraSource(camera, "cells", 3)
        recording.configure(source, properties(tmp_path / f"{i}.zarr"))
        recording.start()
        assert recording.wait(PATIENCE_S)
    # What held sleep off ends by itself, and nobody waits for it.
    wait_until(lambda: set(threading.enumerate()) <= before)


SCRIPT = """
import sys
from napari_zarr_stream import StorageProperties
from napari_zarr_stream._writer.contrast import WideningLimits, contrast_limits_of
from napari_zarr_stream._recording.recording import Recording
from napari_zarr_stream._sources.camera import CameraSource
from napari_zarr_stream.cameras import CameraThread, SimulatedCamera
camera = CameraThread(
    lambda: SimulatedCamera("empty", width=32, height=32, frame_rate=100)
)
camera.call(lambda camera: camera.open())
source = CameraSource(camera, "empty", int(sys.argv[2]))
recording = Recording(source, StorageProperties(sys.argv[1]))
recording.start()
while recording.status().frames_acquired < 5:
    pass
"""


@pytest.mark.parametrize(("frames", "least"), [(0, 5), (30, 30)])
def test_a_script_that_ends_loses_nothing_and_does_not_hang(tmp_path, frames, least):
    path = tmp_path / "a.zarr"
    run_python(SCRIPT, path, frames)
    array = zarr.open_array(path / "0", mode="r")
    assert array.shape[0] >= least
    assert attributes(path)["frames_committed"] == array.shape[0]


def test_a_script_that_is_killed_keeps_what_is_known_of_its_frames(tmp_path):
    path = tmp_path / "a.zarr"
    wait = """
import time
while recording.status().frames_committed < 60:
    time.sleep(0.01)
print(recording.status().frames_committed, flush=True)
time.sleep(60)
"""
    program = SCRIPT.replace("frame_rate=100", "frame_rate=100, stamp=True")
    program = program.replace("argv[1]", "argv[1], sharded=True") + wait
    with start_python(program, path, 0) as script:
        committed = int(script.stdout.readline())
        script.kill()
    ids = stamps(path)
    assert len(ids) >= committed
    log = log_of(path)
    known = min(len(ids), len(log["device_index"]))
    assert known > committed / 2
    assert log["device_index"][:known] == ids[:known]


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
