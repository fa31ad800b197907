"""The Record widget in a real window, set and clicked as a user does."""

from functools import partial
from types import SimpleNamespace

import pytest
import zarr
from windows import click, messages, wait_until

import napari_zarr_stream._dock.cameras_section as cameras_section
from napari_zarr_stream._recording.states import FinishReason
from napari_zarr_stream._viewer.session import session_of
from napari_zarr_stream._widget import RecordWidget
from napari_zarr_stream.cameras import FoundCameras
from napari_zarr_stream.cameras.registry import simulated_cameras

CELLS, SINE = "Simulated: cells", "Simulated: radial sine"


SMALL = {"width": 160, "height": 120, "frame_rate": 100}
"""A camera whose frames cost nothing to store."""


def let_find(monkeypatch, missing=None, failed=None, **cameras):
    """Have only these cameras found, and the simulated ones."""
    found = FoundCameras(
        {**simulated_cameras(), **cameras}, missing or {}, failed or {}
    )
    searched = SimpleNamespace(found=found)
    monkeypatch.setattr(cameras_section, "CameraSearch", lambda: searched)


def open_dock(viewer, folder):
    """The widget in a window, when its cameras are found and the first is opened."""
    widget = RecordWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Record to Zarr")
    widget.uri.value = folder
    widget.tile_width.value = widget.tile_height.value = 32
    wait_until(lambda: not widget.cameras.is_searching and widget.native.isVisible())
    wait_until(lambda: not is_waiting(widget.cameras.first))
    return widget


def let_go(widget):
    """Have the cameras closed before the test ends."""
    widget.cameras.close()
    wait_until(lambda: not any(map(is_waiting, widget.cameras.sections)))


def is_waiting(section):
    return section.control.is_waiting


def choose(widget, name, **settings):
    widget.source.value = name
    control = widget.cameras.first.control
    wait_until(lambda: control.view is not None)
    for setting, value in settings.items():
        widget.camera_settings[setting].value = value
        wait_until(lambda: not control.is_waiting)
    return control


def small(widget, name=CELLS, **settings):
    return choose(widget, name, **SMALL | settings)


def start(widget, viewer, qtbot):
    """Click Record; the session, when the recording has begun."""
    wait_until(lambda: widget.record.enabled)  # the disk has been looked at
    click(widget.record, qtbot)
    session = session_of(viewer)
    assert session.is_busy, messages()[-1:]
    wait_until(lambda: not session.is_starting)
    return session


def stop(widget, viewer, qtbot):
    click(widget.stop, qtbot)
    session = session_of(viewer)
    wait_until(lambda: not session.is_busy)
    return session.status()


def record(widget, viewer, qtbot, frames=8):
    """Record to the end; the status and level 0. Nothing acquired is missing in it."""
    widget.frame_count.value = frames
    session = start(widget, viewer, qtbot)
    wait_until(lambda: not session.is_busy)
    status = session.status()
    assert status.finish_reason is FinishReason.COMPLETED, status.error
    assert status.frames_acquired == status.frames_committed
    stored = zarr.open_array(status.path / "0", mode="r")
    assert stored.shape[0] == status.frames_acquired
    layer = viewer.layers[-1]
    assert layer.multiscale
    assert layer.data[0].shape[0] == status.frames_acquired
    return status, stored


def only(found, start):
    """Of what a stack finds, one camera by the start of its name."""
    [name] = [name for name in found if name.startswith(start)]
    return {name: found[name]}


@pytest.fixture
def viewer(make_napari_viewer):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1300, 900)
    return viewer


@pytest.fixture
def let(monkeypatch):
    """Have only some cameras found."""
    return partial(let_find, monkeypatch)


@pytest.fixture
def dock(viewer, tmp_path, monkeypatch):
    """Open the widget where only some cameras are found; the simulated ones always."""
    docks = []

    def open_widget(**cameras):
        let_find(monkeypatch, **cameras)
        docks.append(open_dock(viewer, tmp_path / "out"))
        return docks[-1]

    yield open_widget
    for widget in docks:
        let_go(widget)


@pytest.fixture
def widget(dock):
    """With a small fast camera whose frames carry their number."""
    widget = dock()
    small(widget, pixel_type="uint8", stamp=True)
    widget.tile_width.value = widget.tile_height.value = 64
    return widget
