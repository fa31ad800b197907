"""Cameras and layers as sources."""

import numpy as np
from docks import CELLS, start
from windows import wait_until


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
    session = start(widget, viewer, qtbot)
    wait_until(lambda: not session.is_busy)
    assert session.status().frames_committed == 12
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
    layer.name = CELLS
    assert widget.source.value == f"{CELLS} (layer)"
    viewer.layers.remove(layer)
    assert "renamed" not in widget.source.choices
    assert widget.source.value == CELLS
    wait_until(lambda: widget.record.enabled)  # the camera is opened
