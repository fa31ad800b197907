"""What is done because of faults of napari, seen in real windows."""

import numpy as np
import pytest
from docks import let_go, open_dock, small, start, stop
from qtpy.QtGui import QOpenGLContext
from vispy.gloo import glir
from windows import wait_until

from napari_zarr_stream._viewer.session import session_of


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
