"""The live layer."""

import numpy as np
import pytest
from docks import choose, start, stop
from waiting import PATIENCE_S
from windows import click, wait_until

from napari_zarr_stream import StorageProperties
from napari_zarr_stream._recording.recording import Recording
from napari_zarr_stream._sources.camera import CameraSource
from napari_zarr_stream._sources.source import SourceDescription
from napari_zarr_stream._viewer.live import LivePreview
from napari_zarr_stream._viewer.session import session_of
from napari_zarr_stream._viewer.shown_recording import RecordingFeed
from napari_zarr_stream.cameras import Fault, SimulatedCamera, read_stamp


def newest_of(layer):
    """Full size, from memory."""
    return (layer.data[0] if layer.multiscale else layer.data)[-1]


def test_the_newest_frame_is_in_a_layer_while_it_records(widget, viewer, qtbot):
    start(widget, viewer, qtbot)
    assert not widget.record.enabled
    assert not widget.device_kind.enabled
    assert widget.stop.enabled
    [layer] = viewer.layers
    assert layer.name.startswith("Live: ")
    assert layer.name not in widget.source.choices
    seen = set()

    def several_were_shown():
        seen.add(read_stamp(np.asarray(newest_of(layer))))
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
    stop(widget, viewer, qtbot)
    [layer] = viewer.layers
    assert layer.multiscale
    assert layer.contrast_limits == [5, 111]
    assert widget.record.enabled
    assert not widget.stop.enabled
    assert not widget.progress.visible


def test_the_live_layer_may_be_deleted(widget, viewer, qtbot):
    start(widget, viewer, qtbot)
    wait_until(lambda: session_of(viewer).status().frames_acquired > 5)
    viewer.layers.clear()
    at = session_of(viewer).status().frames_acquired
    wait_until(lambda: session_of(viewer).status().frames_acquired > at + 20)
    assert len(viewer.layers) == 0
    stop(widget, viewer, qtbot)
    assert len(viewer.layers) == 1


class Crowded:
    """Frames that have to be written are worth more than being shown, all the time."""

    is_crowded = True
    contrast_limits = (0.0, 100.0)

    def newest(self):
        return np.full((32, 32), 50, np.uint8)


def test_a_crowded_recording_is_still_shown_once_in_a_while(viewer):
    described = SourceDescription(
        "busy", "tyx", (None, 32, 32), np.dtype("u1"), (1,) * 3, (0,) * 3, (None,) * 3
    )
    live = LivePreview(viewer, Crowded(), described)
    shown = []
    live.showed.connect(shown.append)
    live.add()
    live.start()
    wait_until(lambda: len(shown) > 2)
    live.stop()
    assert len(viewer.layers) == 0


def test_the_live_layer_gives_way_while_frames_are_lost(tmp_path, opened):
    gap = Fault(at=10, kind="gap", count=5)
    camera = opened(
        lambda: SimulatedCamera(width=32, height=32, frame_rate=50, faults=[gap])
    )
    feed = RecordingFeed()
    source = CameraSource(camera, "losing")
    recording = feed.recording = Recording(source, StorageProperties(tmp_path / "a"))
    recording.start()
    wait_until(lambda: feed.is_crowded)
    wait_until(lambda: not feed.is_crowded)
    assert recording.status().frames_lost == 5
    recording.stop()
    assert recording.wait(PATIENCE_S)
    assert not feed.is_crowded


class DarkFirst(SimulatedCamera):
    """The shutter opens after some frames."""

    def read_into(self, out, timeout_s):
        frame = np.empty(self.shape, self.dtype)
        info = super().read_into(frame, timeout_s)
        if info is not None:
            if info.index < 4:
                frame[...] = 100 + info.index % 3
            out[...] = frame
        return info


@pytest.mark.parametrize("how", ["preview", "record"])
def test_dark_first_frames_decide_on_no_contrast(dock, viewer, qtbot, how):
    widget = dock(Dark=lambda: DarkFirst("cells", width=160, height=120))
    choose(widget, "Dark", frame_rate=50)
    if how == "preview":
        click(widget.preview, qtbot)
        wait_until(lambda: len(viewer.layers) == 1)
    else:
        session = start(widget, viewer, qtbot)
        wait_until(lambda: session.status().frames_acquired > 10)
    [live] = viewer.layers
    wait_until(lambda: live.contrast_limits[1] > 500)
    if how == "record":
        stop(widget, viewer, qtbot)
        assert viewer.layers[-1].contrast_limits[1] > 500
