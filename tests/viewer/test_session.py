"""Recordings in a viewer: their end, and windows that close."""

import time

import zarr
from docks import record, stop
from qtpy.QtWidgets import QApplication, QWidget
from windows import click, wait_until

from napari_zarr_stream._recording.states import FinishReason
from napari_zarr_stream._viewer.session import session_of
from napari_zarr_stream._widget import RecordWidget


def test_a_question_that_outlasts_the_recording_closes_nothing_later(
    widget, viewer, qtbot, monkeypatch
):
    session = session_of(viewer)
    widget.frame_count.value = 5
    click(widget.record, qtbot)
    wait_until(lambda: not session.is_busy)
    window = QWidget()
    qtbot.addWidget(window)
    window.show()
    with monkeypatch.context() as other:
        other.setattr(session, "_window", lambda: window)
        session._close_when_written()
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
    click(widget.record, qtbot)
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
    click(widget.record, qtbot)
    end = time.monotonic() + 2
    while time.monotonic() < end:
        QApplication.processEvents()
        ticks.append(time.monotonic())
        time.sleep(0.01)
    assert ticks
    stop(widget, viewer, qtbot)
