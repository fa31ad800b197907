"""The Record widget in a real viewer, clicked through as a user would."""

import time

import numpy as np
import pytest
import zarr
from qtpy.QtWidgets import QApplication, QWidget
from windows import click, messages, wait_until

from napari_zarr_stream import DeviceKind
from napari_zarr_stream._recording.recording import FinishReason
from napari_zarr_stream._viewer.session import session_of
from napari_zarr_stream._widget import KINDS, RecordWidget
from napari_zarr_stream.cameras import find_cameras, read_stamp

CAMERA = "Simulated: cells"
NAMES = [
    "source",
    "device_kind",
    "tile_width",
    "tile_height",
    "tile_planes",
    "max_chunk_mib",
    "sharded",
    "multiscale",
    "uri",
    "frame_count",
    "record",
    "stop",
]


@pytest.fixture
def viewer(make_napari_viewer):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1300, 800)
    return viewer


@pytest.fixture
def widget(viewer, tmp_path):
    widget = RecordWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Record to Zarr")
    widget.uri.value = tmp_path
    widget.tile_width.value = widget.tile_height.value = 64
    settings = widget.camera_settings
    settings["width"].value, settings["height"].value = 160, 120
    settings["pixel_type"].value = "uint8"
    settings["frame_rate"].value = 100
    settings["stamp"].value = True
    return widget


def record(widget, viewer, qtbot):
    click(widget.record, qtbot)
    session = session_of(viewer)
    assert session.is_busy
    wait_until(lambda: not session.is_busy)
    return session.status()


def test_the_children_can_be_reached_by_name(widget):
    for name in NAMES:
        assert getattr(widget, name).name == name
    assert widget.source.value == CAMERA
    wait_until(lambda: not widget.cameras.is_searching)
    assert set(find_cameras().cameras) <= set(widget.source.choices)
    assert set(widget.device_kind.choices) == set(DeviceKind) == {k for _, k in KINDS}
    assert widget.record.enabled
    assert not widget.stop.enabled


@pytest.mark.parametrize("kind", list(DeviceKind))
@pytest.mark.parametrize("multiscale", [True, False])
def test_record_a_camera_with_every_device_kind(
    widget, viewer, qtbot, tmp_path, kind, multiscale
):
    widget.device_kind.value = str(kind)
    widget.multiscale.value = multiscale
    widget.frame_count.value = 12
    click(widget.record, qtbot)
    assert widget.progress.visible
    assert widget.progress.max == 12
    wait_until(lambda: not session_of(viewer).is_busy)
    status = session_of(viewer).status()
    assert widget.progress.value == 12

    path = tmp_path / "recording_0001.zarr"
    assert status.path == path
    assert status.frames_acquired == status.frames_committed == 12
    assert status.finish_reason is FinishReason.COMPLETED
    stored = zarr.open_array(path / "0", mode="r")
    assert stored.metadata.zarr_format == kind.zarr_format
    [layer] = viewer.layers
    levels = layer.data if layer.multiscale else [layer.data]
    assert len(levels) == (3 if multiscale else 1)
    assert np.array_equal(levels[0], stored[:])
    log = zarr.open_group(path / "frame_log", mode="r")
    ids = [read_stamp(plane) for plane in stored[:]]
    assert ids == log["device_index"][:].tolist()
    assert layer.name == "recording_0001"
    assert layer.axis_labels == ("t", "y", "x")
    np.testing.assert_allclose(layer.scale, [0.01, 1, 1])
    assert str(layer.units[0]) == "second"
    assert messages()[-1].startswith("12 frames acquired, 12 committed, 0 lost")
    assert str(path) in messages()[-1]


def test_the_newest_frame_is_in_a_layer_while_it_records(widget, viewer, qtbot):
    click(widget.record, qtbot)
    assert not widget.record.enabled
    assert not widget.device_kind.enabled
    assert widget.stop.enabled
    [layer] = viewer.layers
    assert layer.name.startswith("Live: ")
    assert layer.name not in widget.source.choices
    seen = set()

    def several_were_shown():
        seen.add(read_stamp(np.asarray(layer.data)))
        return len(seen) > 4

    wait_until(several_were_shown)
    shown = layer.contrast_limits
    assert shown[0] < shown[1]
    layer.contrast_limits = (5, 111)
    wait_until(lambda: "committed" in widget.counts.value)
    wait_until(lambda: "frames/s" in widget.counts.value)
    assert not widget.progress.visible  # it has no end
    assert "elapsed" in widget.counts.value
    seen.clear()
    wait_until(several_were_shown)
    assert layer.contrast_limits == [5, 111]  # the user's, not fought over
    click(widget.stop, qtbot)
    wait_until(lambda: not session_of(viewer).is_busy)
    [layer] = viewer.layers
    assert layer.multiscale
    assert layer.contrast_limits == [5, 111]
    assert widget.record.enabled
    assert not widget.stop.enabled
    assert not widget.progress.visible


def test_the_live_layer_may_be_deleted(widget, viewer, qtbot):
    click(widget.record, qtbot)
    wait_until(lambda: session_of(viewer).status().frames_acquired > 5)
    viewer.layers.clear()
    at = session_of(viewer).status().frames_acquired
    wait_until(lambda: session_of(viewer).status().frames_acquired > at + 20)
    assert len(viewer.layers) == 0
    click(widget.stop, qtbot)
    wait_until(lambda: not session_of(viewer).is_busy)
    assert len(viewer.layers) == 1


def test_recording_twice_counts_up(widget, viewer, qtbot, tmp_path):
    widget.frame_count.value = 5
    first = record(widget, viewer, qtbot).path
    second = record(widget, viewer, qtbot).path
    assert [first.name, second.name] == ["recording_0001.zarr", "recording_0002.zarr"]
    widget.uri.value = tmp_path / "cells.zarr"
    names = [record(widget, viewer, qtbot).path.name for _ in range(2)]
    assert names == ["cells.zarr", "cells_0002.zarr"]


def test_500_frames_at_100_a_second_lose_none(widget, viewer, qtbot):
    settings = widget.camera_settings
    settings["width"].value = settings["height"].value = 1024
    settings["pixel_type"].value = "uint16 (12 bit)"
    widget.tile_width.value = widget.tile_height.value = 512
    widget.frame_count.value = 500
    status = record(widget, viewer, qtbot)
    assert (status.frames_acquired, status.frames_committed) == (500, 500)
    assert status.frames_lost == 0
    stored = zarr.open_array(status.path / "0", mode="r")
    assert [read_stamp(stored[i]) for i in range(0, 500, 7)] == list(range(0, 500, 7))


def add_image(viewer, shape=(4, 3, 50, 70), **changes):
    pixels = np.random.default_rng(0).integers(0, 4000, shape).astype(np.uint16)
    given = {
        "name": "stack",
        "scale": (2, 1, 0.5, 0.5),
        "units": ("second", "um", "um", "um"),
        "axis_labels": ("t", "z", "y", "x"),
        "contrast_limits": (100, 3000),
        "colormap": "magenta",
    }
    return viewer.add_image(pixels, **(given | changes))


def test_stream_a_layer(widget, viewer, qtbot):
    layer = add_image(viewer)
    assert "stack" in widget.source.choices
    widget.source.value = "stack"
    assert not widget.frame_count.enabled
    assert not widget.camera_settings.panel.isVisible()
    status = record(widget, viewer, qtbot)
    assert status.frames_committed == 12
    reopened = viewer.layers[-1]
    assert reopened is not layer
    assert reopened.multiscale
    assert np.array_equal(reopened.data[0], layer.data)
    np.testing.assert_allclose(reopened.scale, layer.scale)
    assert reopened.units == layer.units
    assert reopened.axis_labels == layer.axis_labels
    assert reopened.contrast_limits == layer.contrast_limits
    np.testing.assert_allclose(
        reopened.colormap.colors[-1], layer.colormap.colors[-1], atol=0.01
    )
    assert reopened.name.startswith("stack")


def test_sources_follow_layers(widget, viewer):
    layer = add_image(viewer)
    layer.name = "renamed"
    assert "renamed" in widget.source.choices
    widget.source.value = "renamed"
    layer.name = "again"
    assert widget.source.value == "again"
    assert "50" in widget.plan_line.value
    layer.data = np.zeros((3, 3, 99, 70), np.uint16)
    assert "70 × 99" in widget.plan_line.value
    layer.name = CAMERA
    assert widget.source.value == f"{CAMERA} (layer)"
    viewer.layers.remove(layer)
    assert "renamed" not in widget.source.choices
    assert widget.source.value == CAMERA
    assert widget.record.enabled


def test_the_plan_follows_every_setting(widget):
    def text_after(change, value):
        change.value = value
        return widget.plan_line.value

    settings = widget.camera_settings
    assert "6 tiles of 64 × 64 px" in widget.plan_line.value
    assert "3 levels: 160 × 120, 80 × 60, 40 × 30" in widget.plan_line.value
    assert "1 level: 160 × 120" in text_after(widget.multiscale, False)
    assert "12 tiles of 48" in text_after(widget.tile_width, 48).replace(
        "8 ", "8 "
    ) or ("8 tiles of 48 × 64" in widget.plan_line.value)
    assert "100 frames" in text_after(widget.frame_count, 100) or (
        "in all" in widget.plan_line.value
    )
    assert "320" in text_after(settings["width"], 320)
    assert "chunk cap raised" in text_after(widget.max_chunk_mib, 3)
    before = widget.plan_line.value
    assert text_after(widget.sharded, False) != before
    assert "disk space for" in widget.plan_line.value
    assert "recording_0001.zarr" in widget.plan_line.value


def test_an_impossible_setting_is_said_and_record_is_off(widget):
    settings = widget.camera_settings
    settings["width"].value = settings["height"].value = 8192
    widget.tile_width.value = widget.tile_height.value = 0
    widget.sharded.value = False
    widget.max_chunk_mib.value = 2**20
    assert "blosc" in widget.plan_line.value
    assert not widget.record.enabled
    widget.max_chunk_mib.value = 2000
    assert "of memory" in widget.plan_line.value
    widget.sharded.value = True
    widget.tile_width.value = widget.tile_height.value = 512
    assert "levels" in widget.plan_line.value
    assert widget.record.enabled


@pytest.mark.parametrize("place", ["a file", "a file/deeper/a.zarr", "a" * 300])
def test_a_place_that_cannot_be_written_is_said(widget, tmp_path, place):
    (tmp_path / "a file").write_text("mine")
    widget.uri.value = tmp_path / place
    assert not widget.record.enabled
    assert "Saves to" not in widget.plan_line.value
    widget.uri.value = tmp_path
    assert widget.record.enabled


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
    assert record(widget, viewer, qtbot).frames_committed == 5
    assert len(viewer.layers) == 2


def test_a_failure_is_shown_and_the_widget_is_ready_again(
    widget, viewer, qtbot, tmp_path
):
    widget.uri.value = tmp_path / "folder"
    # Since the plan was shown, somebody has put a file in the way.
    (tmp_path / "folder").write_text("a file")
    click(widget.record, qtbot)
    assert not session_of(viewer).is_busy
    assert "folder" in messages()[-1]
    assert len(viewer.layers) == 0
    widget.uri.value = tmp_path
    widget.frame_count.value = 5
    assert record(widget, viewer, qtbot).frames_committed == 5


def test_a_write_that_fails_while_recording_is_shown(widget, viewer, qtbot, tmp_path):
    click(widget.record, qtbot)
    wait_until(lambda: session_of(viewer).status().frames_acquired > 0)
    path = session_of(viewer).status().path
    # No file can be made in a folder that is none.
    for level in "012":
        (path / level).rename(path / f"gone {level}")
        (path / level).write_text("in the way")
    wait_until(lambda: not session_of(viewer).is_busy)
    assert session_of(viewer).status().finish_reason is FinishReason.FAILED
    assert "The recording failed" in messages()[-1]
    assert widget.record.enabled


def test_closing_the_dock_stops_and_keeps_all(widget, viewer, qtbot):
    click(widget.record, qtbot)
    session = session_of(viewer)
    wait_until(lambda: session.status().frames_acquired > 10)
    viewer.window.remove_dock_widget(widget.native)
    wait_until(lambda: not session.is_busy)
    status = session.status()
    assert status.finish_reason is FinishReason.STOPPED
    assert status.frames_committed == status.frames_acquired > 10


def test_a_new_widget_attaches_to_what_is_going_on(widget, viewer, qtbot):
    click(widget.record, qtbot)
    other = RecordWidget(viewer)
    viewer.window.add_dock_widget(other, name="Another")
    assert not other.record.enabled
    assert other.stop.enabled
    click(other.stop, qtbot)
    wait_until(lambda: not session_of(viewer).is_busy)
    assert other.record.enabled
    assert widget.record.enabled


def test_another_widget_shows_a_long_recording_too(widget, viewer, qtbot):
    other = RecordWidget(viewer)
    viewer.window.add_dock_widget(other, name="Another")
    settings = widget.camera_settings
    settings["width"].value = settings["height"].value = 16
    settings["frame_rate"].value = 2000
    widget.frame_count.value = 1500
    status = record(widget, viewer, qtbot)
    assert status.frames_committed == 1500
    assert other.progress.value == other.progress.max == 1500


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
    assert len(ticks) > 20
    assert session_of(viewer).is_busy
