"""A time lapse from the dock, its name and notes, and settings as a file."""

import json

import pytest
import zarr
from docks import CELLS, SINE, small, start, stop
from qtpy.QtWidgets import QFileDialog
from windows import messages, wait_until

from napari_zarr_stream._recording.settings import RecordSettings, load_settings


def test_a_time_lapse_is_said_recorded_and_counted_down(dock, viewer, qtbot):
    widget = dock()
    small(widget)
    widget.interval_s.value, widget.duration_s.value = 1800, 36000
    widget["name"].value = "{date} night {counter}"
    widget.notes.value = "wild type\n37 °C"
    widget.channel_name.value, widget.channel_color.value = "GFP", "green"
    said = widget.plan_line.value
    assert "20 frames, one every 30 min: 9.5 h" in said
    assert "frames between are not taken, and not lost" in said
    session = start(widget, viewer, qtbot)
    assert not widget.interval_s.enabled
    assert not widget.notes.enabled
    wait_until(lambda: session.status().frames_committed == 1)
    assert session.lives[0].layer.colormap.name == "green"
    wait_until(lambda: "next in" in widget.counts.value)
    assert "a frame every 30 min, <b>next in 30 min</b>" in widget.counts.value
    assert widget.progress.max == 20
    status = stop(widget, viewer, qtbot)
    assert status.frames_committed == 1
    assert widget.interval_s.enabled
    assert status.path.name.endswith(" night 0001.zarr")
    attributes = dict(zarr.open_group(status.path, mode="r").attrs)
    assert attributes["napari_zarr_stream"]["notes"] == "wild type\n37 °C"
    [channel] = attributes["ome"]["omero"]["channels"]
    assert (channel["label"], channel["color"]) == ("GFP", "00FF00")


def test_a_name_that_cannot_be_is_said_at_once(dock):
    widget = dock()
    small(widget)
    wait_until(lambda: widget.record.enabled)
    widget["name"].value = "{day}"
    wait_until(lambda: "{day} is not one of" in widget.plan_line.value)
    assert not widget.record.enabled
    widget["name"].value = "day"
    wait_until(lambda: widget.record.enabled)


def test_frames_may_be_the_planes_of_a_stack(dock, viewer, qtbot):
    widget = dock()
    small(widget)
    widget.z_step_um.value, widget.frame_count.value = 0.5, 4
    session = start(widget, viewer, qtbot)
    wait_until(lambda: not session.is_busy)
    [layer] = viewer.layers
    assert layer.axis_labels == ("z", "y", "x")
    assert (layer.data[0].shape[0], layer.scale[0]) == (4, 0.5)


@pytest.fixture
def dialog(monkeypatch, tmp_path):
    """What the user chooses in a dialog of files."""
    path = tmp_path / "settings.json"
    for ask in ("getSaveFileName", "getOpenFileName"):
        monkeypatch.setattr(QFileDialog, ask, lambda *_: (str(path), ""))
    return path


def test_settings_are_saved_and_loaded(dock, dialog):
    widget = dock()
    small(widget)
    widget.interval_s.value, widget.notes.value = 2.5, "37 °C"
    widget.device_kind.value = "ZarrBlosc1ZstdByteShuffle"
    widget.z_step_um.value = 0.5
    widget._file.save.click()
    assert str(dialog) in messages()[-1]
    saved, unknown = load_settings(dialog)
    assert unknown == ()
    assert (saved.interval_s, saved.notes, saved.z_step_um) == (2.5, "37 °C", 0.5)
    assert saved.cameras == (CELLS,)
    assert saved.camera_settings[0]["width"] == 160
    assert saved.uri == str(widget.uri.value)
    widget.interval_s.value, widget.notes.value, widget.z_step_um.value = 0, "", 0
    widget.device_kind.value = "ZarrV3"
    control = widget.cameras.first.control
    widget.camera_settings["width"].value = 96
    wait_until(lambda: not control.is_waiting)
    widget._file.load.click()
    wait_until(lambda: control.view and not control.is_waiting)
    wait_until(lambda: widget.camera_settings["width"].value == 160)
    assert widget._file.settings == saved


def test_what_a_file_has_that_is_not_here_is_told(dock, dialog):
    widget = dock()
    RecordSettings(cameras=("Camera of another microscope", SINE)).save(dialog)
    document = json.loads(dialog.read_text("utf-8"))
    document["settings"]["colour"] = "red"
    dialog.write_text(json.dumps(document), "utf-8")
    widget._file.load.click()
    said = messages()[-1]
    assert "not known here: colour" in said
    assert "another microscope, which is not found here" in said
    assert f"{SINE}: add a camera" in said
    dialog.write_text("{}")
    widget._file.load.click()
    assert "is no file of settings" in messages()[-1]
