"""Docks are there at once, and filled some turns of the event loop later."""

import gc
import time

import pytest
from docks import let_find
from windows import wait_until

import napari_zarr_stream._dock.cameras_section as cameras_section
from napari_zarr_stream._dock.export_dock import ExportDock
from napari_zarr_stream._widget import ExportWidget, RecordWidget
from napari_zarr_stream.cameras import SimulatedCamera

DOCKS = {"Record to Zarr": "record", "Export to Zarr": "export"}


@pytest.fixture(params=DOCKS)
def opened(request, viewer, monkeypatch):
    """A dock as napari opens it, and the name of one of its children."""
    let_find(monkeypatch)
    _, widget = viewer.window.add_plugin_dock_widget(
        "napari-zarr-stream", request.param
    )
    yield widget, DOCKS[request.param]
    if widget.is_filled and request.param == "Record to Zarr":
        widget.cameras.close()


def test_a_dock_is_filled_when_it_is_there_and_as_wide_as_before(opened):
    widget, child = opened
    assert not widget.is_filled, "napari waits for all that is in it"
    assert gc.get_freeze_count() > 10_000, "to look through it keeps a window waiting"
    width = widget.native.parentWidget().width()
    wait_until(lambda: widget.is_filled)
    wait_until(lambda: widget[child].native.isVisible())
    assert widget.native.updatesEnabled()
    assert widget.native.parentWidget().width() == width


@pytest.mark.parametrize("opened", ["Record to Zarr"], indirect=True)
def test_cameras_are_looked_for_when_the_dock_is_seen(opened, monkeypatch):
    """Beside the drivers that are imported then, it came in twice the time."""
    widget, _ = opened
    search, was_seen = cameras_section.CameraSearch, []

    def begin():
        was_seen.append(widget.is_filled and widget.native.updatesEnabled())
        return search()

    monkeypatch.setattr(cameras_section, "CameraSearch", begin)
    wait_until(lambda: widget.is_filled and not widget.cameras.is_searching)
    assert was_seen == [True]


@pytest.mark.parametrize("opened", ["Record to Zarr"], indirect=True)
def test_who_asks_for_what_is_in_a_dock_has_all_of_it_at_once(opened):
    widget, child = opened
    assert getattr(widget, child).name == child
    assert widget.is_filled
    assert widget.get_widget(child) is widget[child]
    assert child in [each.name for each in widget]
    with pytest.raises(AttributeError):
        widget.there_is_none_of_this_name  # noqa: B018


class SlowToOpen(SimulatedCamera):
    def open(self):
        time.sleep(0.5)
        super().open()


def test_a_program_sets_a_camera_before_the_window_has_had_a_turn(viewer, monkeypatch):
    let_find(monkeypatch, Slow=SlowToOpen)
    widget = RecordWidget(viewer)
    viewer.window.add_dock_widget(widget)
    widget.camera_settings["width"].value = 96  # of the first
    widget.source.value = "Simulated: radial sine"
    widget.camera_settings["width"].value = 80
    wait_until(lambda: not widget.cameras.is_searching)
    widget.source.value = "Slow"
    widget.camera_settings["width"].value = 64
    assert widget.cameras.first.control.view.shape[1] == 64
    widget.cameras.close()


def test_a_dock_whose_filling_fails_says_so_and_is_painted(viewer, monkeypatch):
    def fails(_):
        raise RuntimeError("no settings today")

    monkeypatch.setattr(ExportDock, "_lay_out", fails)
    widget = ExportWidget(viewer)
    with pytest.raises(RuntimeError, match="no settings today"):
        widget.fill()
    assert widget.native.updatesEnabled()
