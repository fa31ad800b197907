"""The Record widget in a real viewer, clicked through as a user would."""

import contextlib
import itertools

import numpy as np
import pytest
import zarr
from docks import CELLS, let_go, record, start
from windows import click, messages, wait_until

from napari_zarr_stream import DeviceKind
from napari_zarr_stream._dock.storage_section import KINDS
from napari_zarr_stream._recording.states import FinishReason
from napari_zarr_stream._viewer.session import session_of
from napari_zarr_stream._widget import RecordWidget
from napari_zarr_stream.cameras import find_cameras, read_stamp


def test_the_dock_fits_a_small_window(viewer, dock):
    widget = dock()
    assert widget.native.minimumSizeHint().height() < 500
    assert widget.native.minimumSizeHint().width() <= 400


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


def test_the_children_can_be_reached_by_name(viewer):
    widget = RecordWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Record to Zarr")
    for name in NAMES:
        assert getattr(widget, name).name == name
    assert widget.source.value == CELLS
    wait_until(lambda: not widget.cameras.is_searching)
    assert set(find_cameras().cameras) <= set(widget.source.choices)
    assert set(widget.device_kind.choices) == set(DeviceKind) == {k for _, k in KINDS}
    wait_until(lambda: widget.record.enabled)  # its camera is opened
    assert not widget.stop.enabled
    let_go(widget)


@pytest.mark.parametrize(
    "multiscale", [True, pytest.param(False, marks=pytest.mark.long)]
)
def test_record_a_camera_with_every_device_kind(
    widget, viewer, qtbot, tmp_path, multiscale
):
    """One after another in one window: each kind's store is as its layer shows it."""
    widget.multiscale.value = multiscale
    widget.frame_count.value = 12
    for number, kind in enumerate(DeviceKind, 1):
        widget.device_kind.value = str(kind)
        session = start(widget, viewer, qtbot)
        wait_until(lambda s=session: not s.is_busy)
        status = session.status()
        assert widget.progress.value == widget.progress.max == 12

        path = tmp_path / "out" / f"recording_{number:04}.zarr"
        assert status.path == path
        assert status.frames_acquired == status.frames_committed == 12
        assert status.finish_reason is FinishReason.COMPLETED
        stored = zarr.open_array(path / "0", mode="r")
        assert stored.metadata.zarr_format == kind.zarr_format
        layer = viewer.layers[-1]
        assert len(viewer.layers) == number
        levels = layer.data if layer.multiscale else [layer.data]
        assert len(levels) == (3 if multiscale else 1)
        assert np.array_equal(levels[0], stored[:])
        log = zarr.open_group(path / "frame_log", mode="r")
        ids = [read_stamp(plane) for plane in stored[:]]
        assert ids == log["device_index"][:].tolist()
        assert layer.name == f"recording_{number:04}"
        assert layer.axis_labels == ("t", "y", "x")
        np.testing.assert_allclose(layer.scale[1:], 1)
        assert str(layer.units[0]) == "second"
        lost = f"{status.frames_lost} lost"
        saved = f"Saved recording_{number:04}.zarr, 12 frames, {lost}"
        assert messages()[-1].startswith(saved)
        assert str(path) in messages()[-1]


def test_recording_twice_counts_up(widget, viewer, qtbot, tmp_path):
    first, second = (record(widget, viewer, qtbot, 5)[0].path for _ in range(2))
    assert [first.name, second.name] == ["recording_0001.zarr", "recording_0002.zarr"]
    widget.uri.value = tmp_path / "cells.zarr"
    names = [record(widget, viewer, qtbot, 5)[0].path.name for _ in range(2)]
    assert names == ["cells.zarr", "cells_0002.zarr"]


def test_500_frames_at_100_a_second_are_all_accounted_for(widget, viewer, qtbot):
    settings = widget.camera_settings
    settings["width"].value = settings["height"].value = 1024
    settings["pixel_type"].value = "uint16 (12 bit)"
    widget.tile_width.value = widget.tile_height.value = 512
    status, stored = record(widget, viewer, qtbot, 500)
    assert status.frames_acquired == 500
    log = zarr.open_group(status.path / "frame_log", mode="r")
    ids = log["device_index"][:].tolist()
    assert [read_stamp(stored[i]) for i in range(0, 500, 7)] == ids[::7]
    assert status.frames_lost == ids[-1] + 1 - 500


def test_a_failure_is_shown_and_the_widget_is_ready_again(
    widget, viewer, qtbot, tmp_path
):
    widget.uri.value = tmp_path / "folder"
    # Since the plan was shown, somebody has put a file in the way.
    (tmp_path / "folder").write_text("a file")
    session = start(widget, viewer, qtbot)
    wait_until(lambda: not session.is_busy)
    assert "folder" in messages()[-1]
    assert "folder" in widget.trouble.value
    assert len(viewer.layers) == 0
    widget.uri.value = tmp_path
    assert record(widget, viewer, qtbot, 5)[0].frames_committed == 5


def put_in_the_way_of(folder):
    """A file, where a folder is that may be made again meanwhile."""
    for number in itertools.count():
        folder.rename(folder.with_name(f"gone {folder.name} {number}"))
        with contextlib.suppress(IsADirectoryError):
            folder.write_text("in the way")
            return


def test_a_write_that_fails_while_recording_is_shown(widget, viewer, qtbot, tmp_path):
    start(widget, viewer, qtbot)
    wait_until(lambda: session_of(viewer).status().frames_acquired > 0)
    path = session_of(viewer).status().path
    # No file can be made in a folder that is none.
    for level in "012":
        put_in_the_way_of(path / level)
    wait_until(lambda: not session_of(viewer).is_busy)
    assert session_of(viewer).status().finish_reason is FinishReason.FAILED
    assert "The recording failed" in messages()[-1]
    assert widget.record.enabled


def test_closing_the_dock_stops_and_keeps_all(widget, viewer, qtbot):
    session = start(widget, viewer, qtbot)
    wait_until(lambda: session.status().frames_acquired > 10)
    viewer.window.remove_dock_widget(widget.native)
    wait_until(lambda: not session.is_busy)
    status = session.status()
    assert status.finish_reason is FinishReason.STOPPED
    assert status.frames_committed == status.frames_acquired > 10


def test_a_new_widget_attaches_to_what_is_going_on(widget, viewer, qtbot):
    start(widget, viewer, qtbot)
    other = RecordWidget(viewer)
    viewer.window.add_dock_widget(other, name="Another")
    assert not other.record.enabled
    assert other.stop.enabled
    click(other.stop, qtbot)
    wait_until(lambda: not session_of(viewer).is_busy)
    wait_until(lambda: other.record.enabled)  # its camera is opened
    assert widget.record.enabled


def test_another_widget_shows_a_long_recording_too(widget, viewer, qtbot):
    other = RecordWidget(viewer)
    viewer.window.add_dock_widget(other, name="Another")
    settings = widget.camera_settings
    settings["width"].value = settings["height"].value = 16
    settings["frame_rate"].value = 2000
    widget.frame_count.value = 1500
    session = start(widget, viewer, qtbot)
    wait_until(lambda: not session.is_busy)
    assert session.status().frames_committed == 1500
    assert other.progress.value == other.progress.max == 1500
