"""The live layer."""

import numpy as np
from windows import click, wait_until

from napari_zarr_stream._viewer.session import session_of
from napari_zarr_stream.cameras import read_stamp


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
