"""What was chosen last comes back."""

from docks import CELLS, SINE, small
from windows import wait_until

from napari_zarr_stream._dock.remembered import Remembered


def test_choices_are_kept_between_sessions(dock, viewer, qtbot):
    widget = dock()
    small(widget, SINE, exposure_ms=1.25)
    widget.multiscale.value = False
    widget.pixel_size_um.value = 0.65
    widget._kept.keep()
    other = dock()
    assert other.source.value == SINE
    control = other.cameras.first.control
    wait_until(lambda: control.view is not None)
    assert other.camera_settings["width"].value == 160
    assert other.camera_settings["exposure_ms"].value == 1.25
    assert not other.multiscale.value
    assert other.pixel_size_um.value == 0.65


def test_choices_that_make_no_sense_stop_nobody(dock):
    remembered = Remembered()
    remembered.choices |= {"device_kind": "floppy", "tile_width": -7, "camera": 3}
    remembered.cameras[CELLS] = {"width": "broad", "gone": 1, "frame_rate": 60.0}
    remembered.save()
    widget = dock()
    assert widget.record.enabled
    assert widget.device_kind.value == "ZarrV3Blosc1Lz4ByteShuffle"
    assert widget.camera_settings["frame_rate"].value == 60
    assert "broad" in widget.cameras.first.message.text()
