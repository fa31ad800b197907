"""Preview, snap and brightness of one camera."""

import numpy as np
from docks import CELLS, SMALL, choose, record, small
from windows import click, messages, wait_until

from napari_zarr_stream.cameras import Fault, SimulatedCamera


def test_preview_snap_and_record_on_the_same_camera(dock, viewer, qtbot, tmp_path):
    widget = dock()
    control = small(widget)
    widget.pixel_size_um.value = 0.5
    click(widget.preview, qtbot)
    wait_until(lambda: widget.cameras.first.light.isVisible())
    [live] = viewer.layers
    assert live.name == f"Live: {CELLS}"
    first = np.asarray(live.data).copy()
    wait_until(lambda: not np.array_equal(first, np.asarray(live.data)))
    assert not (tmp_path / "out").exists()  # nothing is recorded
    click(widget.snap, qtbot)
    wait_until(lambda: len(viewer.layers) == 2)
    snap = viewer.layers[-1]
    assert isinstance(snap.data, np.ndarray)
    np.testing.assert_allclose(snap.scale, 0.5)
    assert str(snap.units[0]) == "micrometer"
    assert snap.name in widget.source.choices
    assert control.preview is not None
    # A locked setting stops the camera for a moment only.
    choose(widget, CELLS, width=96)
    wait_until(lambda: viewer.layers[f"Live: {CELLS}"].data.shape == (120, 96))
    _, stored = record(widget, viewer, qtbot)
    assert stored.shape == (8, 120, 96)
    assert control.preview is None
    assert widget.preview.text == "Preview"
    assert [layer.name for layer in viewer.layers] == [snap.name, "recording_0001"]


def test_snap_without_a_preview(dock, viewer, qtbot):
    widget = dock()
    control = small(widget)
    click(widget.snap, qtbot)
    wait_until(lambda: len(viewer.layers) == 1)
    assert viewer.layers[0].data.shape == (120, 160)
    assert not control.is_waiting


def test_saturation_is_amber(dock, viewer, qtbot):
    widget = dock()
    section = widget.cameras.first
    small(widget, frame_rate=5, exposure_ms=0.5)
    click(widget.snap, qtbot)
    wait_until(lambda: section.light.words.text())
    assert section.light.words.text().startswith("saturated 0 %, maximum ")
    assert section.light.words.styleSheet() == ""
    choose(widget, CELLS, exposure_ms=200)
    click(widget.snap, qtbot)
    wait_until(lambda: "maximum 4095 of 4095" in section.light.words.text())
    assert "color" in section.light.words.styleSheet()


def test_a_preview_that_fails_says_so(dock, viewer, qtbot):
    name = "Unplugged"
    faults = [Fault(5, "unplug")]
    widget = dock(**{name: lambda: SimulatedCamera(faults=faults, **SMALL)})
    control = choose(widget, name)
    click(widget.preview, qtbot)
    wait_until(lambda: control.preview is None)
    assert "unplugged" in messages()[-1]
    assert len(viewer.layers) == 0
