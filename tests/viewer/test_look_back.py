"""Frames that are looked back at while the recording goes on."""

import threading

import numpy as np
import pytest
import zarr
from docks import choose, start, stop
from waiting import PATIENCE_S
from windows import click, wait_until

from napari_zarr_stream._viewer import napari_compat
from napari_zarr_stream._viewer.session import session_of
from napari_zarr_stream.cameras import SimulatedCamera


def committed(viewer):
    return session_of(viewer).status().frames_committed


def length(layer):
    return (layer.data[0] if layer.multiscale else layer.data).shape[0]


def drawn(layer):
    """What napari has of a layer for the canvas: the level, the corner, the pixels."""
    level = layer.data_level
    return level, layer.corner_pixels[0], np.asarray(layer._slice.image.raw)


def number_drawn(layer):
    """The number of the frame that is drawn: all pixels of `Numbered` are it."""
    pixels = drawn(layer)[2]
    assert pixels.min() == pixels.max()
    return int(pixels.flat[0])


class Numbered(SimulatedCamera):
    """All pixels of a frame are its number."""

    def read_into(self, out, timeout_s):
        frame = np.empty(self.shape, self.dtype)
        info = super().read_into(frame, timeout_s)
        if info is not None:
            frame[...] = info.index
            out[...] = frame
        return info


def begin(dock, viewer, qtbot):
    """A recording of 640 x 480 that goes on, three levels of it, and its layer."""
    widget = dock(Numbered=lambda: Numbered("empty", stamp=False))
    choose(widget, "Numbered", width=640, height=480, frame_rate=50)
    widget.sharded.value = True
    widget.tile_width.value = widget.tile_height.value = 160
    start(widget, viewer, qtbot)
    [layer] = viewer.layers
    wait_until(lambda: length(layer) > 10)
    return widget, layer


@pytest.fixture
def recording(dock, viewer, qtbot):
    """See `begin`."""
    return begin(dock, viewer, qtbot)


def test_a_napari_with_other_private_names_records(dock, viewer, qtbot, monkeypatch):
    """It is only slower, and has its bugs."""
    asked = []
    monkeypatch.setattr(napari_compat, "hidden", lambda of, *names: asked.append(names))
    widget, layer = begin(dock, viewer, qtbot)
    viewer.dims.set_current_step(0, 3)
    before = length(layer)
    wait_until(lambda: length(layer) > before)
    assert number_drawn(layer) == 3
    click(widget.live, qtbot)
    wait_until(lambda: number_drawn(layer) > before)
    status = stop(widget, viewer, qtbot)
    assert status.frames_committed == status.frames_acquired
    [layer] = viewer.layers
    assert length(layer) == status.frames_acquired
    assert number_drawn(layer) == status.frames_acquired - 1
    assert {names[-1] for names in asked} >= {"_activate_on_insert", "_clear_extent"}


def test_any_committed_frame_can_be_looked_at(recording, viewer, qtbot):
    widget, layer = recording
    assert widget.live.enabled
    assert widget.live.native.isChecked()
    session = session_of(viewer)
    seen = []
    for zoom in (0.3, 2.0, 0.3):
        viewer.scene.camera.zoom = zoom
        for step in (0, committed(viewer) // 2, committed(viewer) - 1):
            wait_until(lambda step=step: length(layer) > step + 1)
            viewer.dims.set_current_step(0, step)
            assert not widget.live.native.isChecked()
            before = length(layer)
            wait_until(lambda before=before: length(layer) > before)  # it goes on
            assert viewer.dims.current_step[0] == step
            assert number_drawn(layer) == step
            seen.append(layer.data_level)
        click(widget.live, qtbot)
        assert widget.live.native.isChecked()
        at = number_drawn(layer)
        wait_until(lambda at=at: number_drawn(layer) > at + 3)
        assert viewer.dims.current_step[0] == length(layer) - 1
    assert len(set(seen)) > 1  # smaller levels were read where it was zoomed out
    status = stop(widget, viewer, qtbot)
    assert status.frames_committed == status.frames_acquired
    stored = zarr.open_array(status.path / "0", mode="r")
    assert stored[:, 0, 0].tolist() == list(range(status.frames_acquired))
    # who looks at the newest has the last frame when it ends
    assert viewer.dims.current_step[0] == status.frames_acquired - 1
    assert number_drawn(layer) == status.frames_acquired - 1
    assert not session.is_busy


def test_the_end_of_the_slider_is_live_and_the_rest_stays(recording, viewer, qtbot):
    widget, layer = recording
    viewer.dims.set_current_step(0, 2)
    canvas = viewer.window._qt_window.centralWidget()
    assert not canvas.updatesEnabled(), "it is painted in another turn"
    wait_until(canvas.updatesEnabled)
    assert not session_of(viewer).look_back.is_live

    def to_the_end():  # which may move on before it is reached
        viewer.dims.set_current_step(0, viewer.dims.nsteps[0] - 1)
        return session_of(viewer).look_back.is_live

    wait_until(to_the_end)
    assert widget.live.native.isChecked()
    click(widget.live, qtbot)  # stay at what is committed
    assert viewer.dims.current_step[0] == length(layer) - 2
    assert not widget.live.native.isChecked()
    in_3d_is_the_newest_only(viewer, layer)
    # who looks back stays there when it ends
    viewer.dims.set_current_step(0, 7)
    layer.contrast_limits = (1, 99)
    stop(widget, viewer, qtbot)
    [again] = viewer.layers
    assert again is layer  # what it shows is another thing now
    assert viewer.dims.current_step[0] == 7
    assert number_drawn(again) == 7
    assert again.contrast_limits == [1, 99]
    assert not widget.live.enabled


def in_3d_is_the_newest_only(viewer, layer):
    """Time would be the depth, and all of it read for every new frame."""
    viewer.dims.set_current_step(0, 3)
    viewer.dims.ndisplay = 3
    assert length(layer) == 1
    wait_until(lambda: committed(viewer) > 20)
    viewer.dims.ndisplay = 2
    assert viewer.dims.current_step[0] == 3
    assert number_drawn(layer) == 3
    assert length(layer) > 4


def test_looking_back_at_a_layer_that_is_deleted(recording, viewer, qtbot):
    widget, _ = recording
    viewer.dims.set_current_step(0, 3)
    viewer.layers.clear()
    at = committed(viewer)
    wait_until(lambda: committed(viewer) > at + 20)
    click(widget.live, qtbot)
    stop(widget, viewer, qtbot)
    assert len(viewer.layers) == 1


def test_two_cameras_have_one_slider(dock, viewer, qtbot):
    """Of a slow one and a fast one: what the slow one has not is dark."""
    widget = dock(
        Slow=lambda: Numbered("empty", width=64, height=48, frame_rate=20),
        Fast=lambda: Numbered("empty", width=64, height=48, frame_rate=60),
    )
    widget.sharded.value = True
    choose(widget, "Fast")
    click(widget.cameras.add_camera, qtbot)
    [second] = widget.cameras.others
    second.source.value = "Slow"
    wait_until(lambda: second.is_ready and second.control.name == "Slow")
    session = start(widget, viewer, qtbot)
    fast, slow = viewer.layers
    wait_until(lambda: length(fast) > 30 and session.look_back.can_look_back)
    wait_until(lambda: all(live.image.committed > 5 for live in session.lives))
    assert length(slow) == length(fast)
    assert fast.extent.world[1][-1] < slow.extent.world[0][-1]
    viewer.dims.set_current_step(0, 5)
    drawn = [number_drawn(layer) for layer in (fast, slow)]
    stop(widget, viewer, qtbot)
    stores = [status.path for _, status in session.statuses()]
    # Frames that came before the other camera was ready are of no recording.
    assert drawn == [zarr.open_array(path / "0")[5, 0, 0] for path in stores]
    assert viewer.dims.current_step[0] == 5
    assert number_drawn(viewer.layers[0]) == drawn[0]


class Waiting:
    """A stack whose last time point is there, for who records it, when it is set."""

    def __init__(self, pixels, there):
        self._pixels, self._there = pixels, there
        self.shape, self.dtype, self.ndim = pixels.shape, pixels.dtype, pixels.ndim
        self.size, self.chunks = pixels.size, (1, 1, 1, *pixels.shape[-2:])

    def __getitem__(self, key):
        is_last = isinstance(key[0], int) and key[0] == len(self._pixels) - 1
        if is_last and threading.current_thread() is not threading.main_thread():
            self._there.wait(PATIENCE_S)
        return self._pixels[key]

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self._pixels, dtype)


def test_a_layer_of_five_axes_is_looked_back_at(dock, viewer, qtbot):
    """All its sliders; what is recorded lies on its source."""
    t, c, z = np.ogrid[:6, :2, :4]
    number = (100 * t + 10 * c + z)[..., None, None]
    pixels = np.broadcast_to(number, (6, 2, 4, 64, 64)).astype(np.uint16)
    there = threading.Event()
    viewer.add_image(Waiting(pixels, there), name="stack", axis_labels=tuple("tczyx"))
    widget = dock()
    widget.source.value = "stack"
    widget.sharded.value = True
    session = start(widget, viewer, qtbot)
    [live] = session.lives
    try:
        wait_until(lambda: length(live.layer) == 6)
        assert session.look_back.is_live
        viewer.dims.set_current_step((0, 1, 2), (3, 1, 2))
        assert number_drawn(live.layer) == 312
        viewer.dims.set_current_step(2, 0)
        assert number_drawn(live.layer) == 310
        click(widget.live, qtbot)
        viewer.dims.set_current_step(2, 3)  # of the newest there is one plane only
        assert not session.look_back.is_live
        assert number_drawn(live.layer) == 413
    finally:
        there.set()
    wait_until(lambda: not session.is_busy)
    # As many axes as its source has, at the same place.
    assert viewer.dims.current_step[:3] == (4, 1, 3)
    assert [number_drawn(copy) for copy in viewer.layers[1:]] == [413]
