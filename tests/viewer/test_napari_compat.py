"""What is done because of faults of napari, seen in real windows."""

import sys
import threading
import time
from importlib import import_module

import numpy as np
import pytest
from docks import let_go, open_dock, small, start, stop
from qtpy.QtCore import QTimer
from qtpy.QtGui import QOpenGLContext
from vispy.gloo import glir
from waiting import PATIENCE_S
from windows import wait_until

from napari_zarr_stream._viewer.napari_compat import (
    PAINT_MS,
    make_axes,
    make_controls,
    not_made_active,
    painted_later,
    refresh_pixels,
)
from napari_zarr_stream._viewer.session import session_of

WORK = {
    "session": "session_of",
    "exporting": "exporting_of",
    "acquiring": "acquiring_of",
}


def canvas_of(viewer):
    return viewer.window._qt_viewer.canvas


def paint(viewer, paints=2):
    """Have all layers be drawn."""
    canvas, drawn = canvas_of(viewer), []
    canvas.events.draw.connect(drawn.append)
    wait_until(lambda: len(drawn) >= paints or canvas.native.update())
    canvas.events.draw.disconnect(drawn.append)


@pytest.fixture
def strayed(monkeypatch):
    """Programs deleted in an OpenGL context that is not that of their canvas."""
    canvases, strayed, freed = [], [], []
    delete = glir.GlirProgram.delete

    def look(program):
        for canvas in canvases:
            if canvas.context.shared.parser is program._parser:
                freed.append(program)
                if QOpenGLContext.currentContext() != canvas.native.context():
                    strayed.append(program)
        delete(program)

    def of(viewer):
        canvases.append(canvas_of(viewer)._scene_canvas)
        return freed, strayed

    monkeypatch.setattr(glir.GlirProgram, "delete", look)
    return of


def pressed(viewer):
    for dimensions in (3, 2, 3, 2):
        viewer.dims.ndisplay = dimensions
        paint(viewer)


def in_a_grid(viewer):
    viewer.canvas.grid.enabled = True
    paint(viewer)


@pytest.mark.long
def test_a_layer_is_freed_in_the_context_of_its_canvas(viewer, strayed):
    """Elsewhere it ends in a segmentation fault: docs/upstream/layer-removed.md."""
    session = session_of(viewer)
    freed, elsewhere = strayed(viewer)
    for before in (paint, pressed, in_a_grid):
        for gone in ("below", "above"):
            viewer.add_image(np.zeros((4, 16, 16), np.uint8), name="below")
            viewer.add_image(np.zeros((16, 16), np.uint16), name="above")
            before(viewer)
            others = len(freed)
            del viewer.layers[gone]
            assert len(freed) > others, (before, gone)
            assert not elsewhere, (before, gone)
            viewer.screenshot(flash=False)
            viewer.layers.clear()
    assert not session.is_busy


@pytest.mark.long
def test_2d_and_3d_pressed_in_one_of_two_viewers_that_record(
    viewer, make_napari_viewer, strayed, qtbot, tmp_path
):
    """And the layer that was there goes, and the viewer beside is closed meanwhile."""
    beside = make_napari_viewer(show=True)
    widgets = []
    for one in (viewer, beside):
        one.add_image(np.zeros((4, 16, 16), np.uint8), name="stack")
        widget = open_dock(one, tmp_path / str(id(one)))
        small(widget)
        start(widget, one, qtbot)
        widgets.append(widget)
    freed, elsewhere = strayed(viewer)
    strayed(beside)
    paint(beside)
    pressed(viewer)
    del beside.layers["stack"]
    del viewer.layers["stack"]
    paint(viewer)
    beside.close()
    stop(widgets[0], viewer, qtbot)
    paint(viewer)
    viewer.layers.clear()
    let_go(widgets[0])
    assert freed
    assert not elsewhere


def test_ctrl_c_while_the_cursor_is_told_of_waits_for_nobody(viewer):
    """A signal may come at any line of what is called, and its handler then waits."""
    session_of(viewer)
    checker = viewer.window._qt_window.status_thread
    event = checker._need_status_update
    event.clear()
    came = []

    def handle(frame, what, _):
        if what != "call" or frame.f_code.co_name == "__enter__":
            return
        waiter = threading.Thread(target=event.wait, daemon=True)
        waiter.start()
        deadline = time.monotonic() + PATIENCE_S
        while waiter.is_alive() and time.monotonic() < deadline:
            event.set()  # napari's own thread may have cleared it
            waiter.join(0.01)
        came.append(waiter.is_alive())

    def interrupted():
        sys.setprofile(handle)
        checker.trigger_status_update()
        sys.setprofile(None)

    thread = threading.Thread(target=interrupted, daemon=True)
    thread.start()
    wait_until(lambda: not thread.is_alive())
    assert len(came) > 1
    assert not any(came)


def test_a_layer_that_comes_in_turns_is_as_any_other(viewer):
    """Its axes first, then itself, then its controls."""
    shown = []
    sliders = viewer.window._qt_viewer.dims
    viewer.dims.events.ndim.connect(
        lambda: shown.extend(sliders._displayed_sliders[:-2])
    )
    make_axes(viewer, 3)
    assert viewer.dims.nsteps[0] == 1
    canvas = canvas_of(viewer).native
    drawn, before_it = [], []
    canvas_of(viewer).events.draw.connect(drawn.append)
    QTimer.singleShot(PAINT_MS // 2, lambda: before_it.append(len(drawn)))
    with painted_later(viewer), not_made_active(viewer):
        layer, shown_at_once, gone = (
            viewer.add_image(np.zeros((1, 20, 30), np.uint16)) for _ in "abc"
        )
        assert viewer.layers.selection.active is None
    controls = viewer.window._qt_viewer.controls
    assert not list(controls.widgets)
    assert (viewer.dims.ndim, shown) == (3, [False])  # no slider is seen for a moment
    wait_until(lambda: drawn)
    assert before_it == [0], "what was due meanwhile has its turn before the paint"
    assert canvas.updatesEnabled()
    other = viewer.add_image(np.zeros((1, 20, 30), np.uint16))
    assert viewer.layers.selection.active is other
    assert list(controls.widgets) == [other]
    make_controls(viewer, layer)
    assert controls.currentWidget() is controls.widgets[other]
    for each in (layer, shown_at_once):
        viewer.layers.selection.active = each
        assert controls.currentWidget() is controls.widgets[each]
    viewer.layers.remove(gone)
    assert list(controls.widgets) == [other, layer, shown_at_once]
    make_axes(viewer, 4)
    assert viewer.dims.ndim == 3, "axes are those of the layers, where there are some"


def test_a_frame_that_is_shown_changes_the_canvas_and_no_row_of_the_list(viewer):
    layer = viewer.add_image(np.zeros((20, 30), np.uint16))
    told, drawn = [], []
    rows = viewer.window._qt_viewer.layers.model()
    rows.dataChanged.connect(lambda *at: told.append(at))
    layer.data[:] = 1
    paint(viewer)
    told.clear()
    canvas_of(viewer).events.draw.connect(drawn.append)
    refresh_pixels(viewer, layer)
    wait_until(lambda: drawn)
    assert not told
    assert canvas_of(viewer).layer_to_visual[layer].node._data.max() == 1
    layer.name = "another"
    assert told


def test_all_that_goes_on_in_a_window_mends_it(viewer, monkeypatch):
    """Else Ctrl-C, or a layer that goes, is safe beside one dock only."""
    for room, make in WORK.items():
        module, mended = import_module(f"napari_zarr_stream._viewer.{room}"), []
        monkeypatch.setattr(module, "mend_window", mended.append)
        work = getattr(module, make)(viewer)
        assert mended == [viewer], room
        del work
