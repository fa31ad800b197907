"""The region of interest from what is seen."""

import numpy as np
import pytest
from docks import small
from windows import click, messages, wait_until


def test_a_region_from_a_rectangle_and_back(dock, viewer, qtbot):
    widget = dock()
    section = widget.cameras.first
    control = small(widget, "Simulated: empty")
    click(section.region.from_shape, qtbot)
    assert "rectangle" in messages()[-1]
    click(widget.preview, qtbot)
    corners = np.array([[19.5, 29.5], [19.5, 89.5], [79.5, 89.5], [79.5, 29.5]])
    viewer.add_shapes([corners], shape_type="rectangle")
    click(section.region.from_shape, qtbot)
    settings = widget.camera_settings
    wait_until(lambda: settings["width"].value == 60)
    region = [settings[n].value for n in ("offset_x", "offset_y", "width", "height")]
    assert region == [30, 20, 60, 60]
    wait_until(lambda: section.live.layer.data.shape == (60, 60))
    click(section.region.full_sensor, qtbot)
    wait_until(lambda: settings["width"].value == 160)
    assert settings["offset_x"].value == settings["offset_y"].value == 0
    control.stop_preview()


def test_a_region_from_the_view(dock, viewer, qtbot):
    widget = dock()
    small(widget, "Simulated: empty")
    click(widget.preview, qtbot)
    viewer.scene.camera.center = (60, 80)
    viewer.scene.camera.zoom = min(viewer.canvas.size) / 40
    click(widget.cameras.first.region.from_view, qtbot)
    settings = widget.camera_settings
    wait_until(lambda: settings["height"].value < 120 or settings["width"].value < 160)
    middle = settings["offset_x"].value + settings["width"].value / 2
    assert middle == pytest.approx(80.5, abs=1.5)
    assert 40 in (settings["height"].value, settings["height"].value - 1) or (
        settings["width"].value in (40, 41, 42)
    )
    click(widget.preview, qtbot)
