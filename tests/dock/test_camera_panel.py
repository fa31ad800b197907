"""Settings of a camera show what is in force."""

import pytest
from docks import CELLS, choose, small, start, stop
from windows import wait_until


def test_ranges_are_read_anew_after_every_change(dock):
    widget = dock()
    small(widget, frame_rate=50)
    exposure = widget.camera_settings["exposure_ms"]
    assert exposure.max == pytest.approx(20)
    choose(widget, CELLS, frame_rate=200)
    assert exposure.max == exposure.value == pytest.approx(5)


def test_locked_settings_are_grey_while_recording_and_others_live(dock, viewer, qtbot):
    widget = dock()
    control = small(widget)
    start(widget, viewer, qtbot)
    settings = widget.camera_settings
    assert not settings["width"].enabled
    assert settings["exposure_ms"].enabled
    settings["exposure_ms"].value = 2.5
    wait_until(lambda: not control.is_waiting)
    [exposure] = [s for s in control.view.settings if s.name == "exposure_ms"]
    assert exposure.value == 2.5
    stop(widget, viewer, qtbot)
    assert settings["width"].enabled
