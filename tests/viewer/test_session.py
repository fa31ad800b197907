"""Recordings in a viewer: their end, and windows that close."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
import zarr
from docks import choose, open_dock, record, small, start, stop
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QWidget
from waiting import PATIENCE_S
from windows import click, messages, wait_until

from napari_zarr_stream._recording.states import FinishReason
from napari_zarr_stream._viewer.live import is_live
from napari_zarr_stream._viewer.session import session_of
from napari_zarr_stream._widget import RecordWidget
from napari_zarr_stream.cameras import SimulatedCamera


def test_a_question_that_outlasts_the_recording_closes_nothing_later(
    widget, viewer, qtbot, monkeypatch
):
    session = session_of(viewer)
    widget.frame_count.value = 5
    start(widget, viewer, qtbot)
    wait_until(lambda: not session.is_busy)
    window = QWidget()
    qtbot.addWidget(window)
    window.show()
    with monkeypatch.context() as other:
        other.setattr(session._guard, "_window", lambda: window)
        session._guard.close_when_ended()
    assert not window.isVisible()
    record(widget, viewer, qtbot, 5)
    assert len(viewer.layers) == 2


def test_closing_the_viewer_writes_all_that_was_acquired(
    make_napari_viewer, tmp_path, qtbot
):
    viewer = make_napari_viewer(show=True)
    widget = RecordWidget(viewer)
    viewer.window.add_dock_widget(widget)
    widget.uri.value = tmp_path
    session = session_of(viewer)
    start(widget, viewer, qtbot)
    wait_until(lambda: session.status().frames_acquired > 5)
    viewer.close()
    status = session.status()
    assert not status.is_busy
    assert status.finish_reason is FinishReason.STOPPED
    shape = zarr.open_array(status.path / "0", mode="r").shape
    assert shape[0] == status.frames_committed == status.frames_acquired


def test_the_window_stays_usable(widget, viewer, qtbot):
    """A 10 ms timer of the GUI thread goes on ticking: not a bound, a deadlock test."""
    settings = widget.camera_settings
    settings["width"].value = settings["height"].value = 1024
    ticks = []
    start(widget, viewer, qtbot)
    end = time.monotonic() + 2
    while time.monotonic() < end:
        QApplication.processEvents()
        ticks.append(time.monotonic())
        time.sleep(0.01)
    assert ticks
    stop(widget, viewer, qtbot)


# a camera that hangs, or is slow


class Hanging(SimulatedCamera):
    """Waits in one of its calls while `free` is not set, and tells who called it."""

    def __init__(self, call="", free=None, callers=None):
        self._hangs_in, self._freed = call, free
        self._callers = set() if callers is None else callers
        super().__init__("cells", width=64, height=48, frame_rate=100)

    def _enter(self, call):
        self._callers.add(threading.current_thread())
        if call == self._hangs_in:
            self._freed.wait(PATIENCE_S)

    def start(self):
        self._enter("start")
        super().start()

    def stop(self):
        self._enter("stop")
        super().stop()

    def set(self, name, value):
        self._enter("set")
        return super().set(name, value)

    def read_into(self, out, timeout_s):
        self._enter("read_into")
        return super().read_into(out, timeout_s)

    @property
    def settings(self):
        self._enter("settings")
        return super().settings

    @property
    def stats(self):
        self._enter("stats")
        return super().stats


def ticking(widget):
    """What counts how often a timer of the window's thread has come."""
    ticks = []
    timer = QTimer(widget.native)
    timer.timeout.connect(lambda: ticks.append(None))
    timer.start(5)
    return ticks


OTHERS = ("read_into", "stop", "stats", "settings")
LONG = [pytest.param(c, marks=pytest.mark.long) for c in OTHERS]


@pytest.mark.parametrize("call", ["start", *LONG])
def test_a_camera_that_hangs_keeps_no_window_waiting(dock, viewer, qtbot, call):
    free = threading.Event()
    free.set()
    widget = dock(Hanging=lambda: Hanging(call, free))
    choose(widget, "Hanging")
    ticks = ticking(widget)

    def the_window_goes_on():
        before = len(ticks)
        wait_until(lambda: len(ticks) > before + 20)

    free.clear()
    wait_until(lambda: widget.record.enabled)
    click(widget.record, qtbot)
    session = session_of(viewer)
    the_window_goes_on()
    assert session.is_busy
    if call == "start":
        assert session.is_starting
        assert widget.counts.value == "Starting …"
        assert not widget.trouble.visible
    assert widget.stop.enabled
    click(widget.stop, qtbot)
    the_window_goes_on()
    free.set()
    wait_until(lambda: not session.is_busy)
    wait_until(lambda: widget.record.enabled)
    record(widget, viewer, qtbot, 3)


def test_a_start_that_is_given_up_leaves_nothing(dock, viewer, qtbot, tmp_path):
    free = threading.Event()
    widget = dock(Hanging=lambda: Hanging("start", free))
    choose(widget, "Hanging")
    wait_until(lambda: widget.record.enabled)
    click(widget.record, qtbot)
    wait_until(lambda: widget.counts.value == "Starting …")
    click(widget.stop, qtbot)
    assert widget.counts.value == "Stopping …"
    free.set()
    wait_until(lambda: not session_of(viewer).is_busy)
    assert "nothing was recorded" in messages()[-1]
    assert not widget.trouble.visible
    assert list((tmp_path / "out").glob("*")) == []
    assert len(viewer.layers) == 0


def test_nothing_is_asked_of_a_camera_in_the_windows_thread(dock, viewer, qtbot):
    callers = set()
    widget = dock(Asked=lambda: Hanging(callers=callers))
    control = choose(widget, "Asked", exposure_ms=5)
    click(widget.preview, qtbot)
    wait_until(lambda: widget.cameras.first.light.isVisible())
    click(widget.snap, qtbot)
    wait_until(lambda: len(viewer.layers) == 2)
    record(widget, viewer, qtbot, 5)
    wait_until(lambda: not control.is_waiting)
    assert callers
    assert threading.main_thread() not in callers


# windows that close


class Closing(SimulatedCamera):
    def __init__(self, closed):
        super().__init__("cells", width=64, height=48, frame_rate=100)
        self._closed = closed

    def close(self):
        super().close()
        self._closed.append(self)


def test_closing_the_viewer_closes_the_camera(make_napari_viewer, tmp_path, let):
    closed = []
    let(Camera=lambda: Closing(closed))
    viewer = make_napari_viewer(show=True)
    widget = open_dock(viewer, tmp_path)
    choose(widget, "Camera")
    viewer.close()
    wait_until(lambda: closed)


def test_a_widget_in_a_window_of_its_own(viewer, qtbot, tmp_path, let):
    closed = []
    let(Camera=lambda: Closing(closed))
    widget = RecordWidget(viewer)
    widget.native.show()
    widget.uri.value = tmp_path
    wait_until(lambda: not widget.cameras.is_searching)
    choose(widget, "Camera")
    for _ in range(2):  # the camera stays open
        widget.frame_count.value = 3
        session = start(widget, viewer, qtbot)
        wait_until(lambda s=session: not s.is_busy)
        assert session.status().frames_committed == 3
        assert not closed
    widget.frame_count.value = 0
    start(widget, viewer, qtbot)
    wait_until(lambda: session.status().frames_acquired > 3)
    widget.native.close()
    wait_until(lambda: not session.is_busy)
    wait_until(lambda: closed)
    status = session.status()
    assert status.finish_reason is FinishReason.STOPPED
    assert status.frames_committed == status.frames_acquired > 3


# what comes back


class UpperBits(SimulatedCamera):
    """12 bits in the upper ones of 16."""

    def read_into(self, out, timeout_s):
        frame = np.empty(self.shape, self.dtype)
        info = super().read_into(frame, timeout_s)
        if info is not None:
            out[...] = frame << 4
        return info


def test_pixels_beyond_the_range_of_a_camera_come_back_as_they_were(
    dock, viewer, qtbot
):
    widget = dock(Upper=lambda: UpperBits("cells", width=64, height=48))
    choose(widget, "Upper")
    _, stored = record(widget, viewer, qtbot)
    layer = viewer.layers[-1]
    high = layer.contrast_limits[1]
    assert high > 4095
    assert high == pytest.approx(np.percentile(stored[:], 99.8), rel=0.1)
    assert layer.contrast_limits_range[1] == 65535


def test_the_layer_that_was_recorded_does_not_hide_its_copy(dock, viewer, qtbot):
    """Five axes and a slider for channels come back as one layer that has them."""
    pixels = np.random.default_rng(0).integers(0, 4000, (3, 2, 4, 32, 32), np.uint16)
    source = viewer.add_image(pixels, name="stack", axis_labels=tuple("tczyx"))
    widget = dock()
    widget.source.value = "stack"
    session = start(widget, viewer, qtbot)
    wait_until(lambda: not session.is_busy)
    assert "24 planes acquired, 24 committed" in messages()[-1]
    assert not source.visible
    copies = [layer for layer in viewer.layers if layer is not source]
    [copy] = copies
    assert copy.axis_labels == source.axis_labels
    assert np.array_equal(np.asarray(copy.data), pixels)


@pytest.mark.parametrize(("unit", "most"), [("um", 0), ("pixel", 1)])
def test_units_of_the_live_layer_go_with_those_of_others(
    dock, viewer, qtbot, unit, most
):
    """What comes back has the units that are true: only they may be worth a word."""
    viewer.add_image(np.zeros((5, 32, 32), np.uint8), units=["s", unit, unit])
    widget = dock()
    before = len(messages())
    small(widget)
    widget.pixel_size_um.value = 0.5
    start(widget, viewer, qtbot)
    wait_until(lambda: session_of(viewer).status().frames_acquired > 5)
    ticks = ticking(widget)
    wait_until(lambda: len(ticks) > 20)  # painted
    assert not [said for said in messages()[before:] if "Inconsistent" in said]
    stop(widget, viewer, qtbot)
    wait_until(lambda: len(ticks) > 40)
    said = [said for said in messages()[before:] if "Inconsistent" in said]
    assert len(said) <= most


# what comes back takes the window no time


def test_the_live_layer_goes_on_as_the_pyramid(widget, viewer, qtbot, monkeypatch):
    widget.tile_width.value = widget.tile_height.value = 32
    asked = set()
    exists = Path.exists

    def noting(path):
        if path.suffix == ".zarr":
            asked.add(threading.current_thread())
        return exists(path)

    session = start(widget, viewer, qtbot)
    wait_until(lambda: session.status().frames_committed > 3)
    [live] = session.lives
    monkeypatch.setattr(Path, "exists", noting)
    status = stop(widget, viewer, qtbot)
    [layer] = viewer.layers
    assert layer is live.layer
    assert layer.name == status.path.stem
    assert not is_live(layer)
    assert len(layer.data) > 1
    stored = zarr.open_array(status.path / "0", mode="r")
    assert np.array_equal(layer.data[0], stored)
    assert viewer.dims.nsteps[0] == stored.shape[0]
    # The disk may not answer: nobody asks it in the thread of the window.
    assert threading.main_thread() not in asked


def test_a_live_layer_that_was_removed_comes_back_as_another(widget, viewer, qtbot):
    session = start(widget, viewer, qtbot)
    wait_until(lambda: session.status().frames_committed > 3)
    viewer.layers.clear()
    status = stop(widget, viewer, qtbot)
    [layer] = viewer.layers
    assert np.array_equal(layer.data[0], zarr.open_array(status.path / "0", mode="r"))
