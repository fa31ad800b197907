"""What is done because of a bug or a change in napari or Qt, each with its reason.

One entry for each: the number of its issue, or how to see it, so that it can be taken
out when its time has come. What `_reading` does because of napari #9515 (the whole time
axis of a pyramid is read at each step) stands in `_reading/lazy.py`.
"""

import atexit
import contextlib
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import Any

from napari.utils.events import Event
from napari.utils.events.evented_model import ComparisonDelayer
from napari.utils.notifications import show_warning
from qtpy import PYSIDE6, PYSIDE_VERSION
from qtpy.compat import isalive
from qtpy.QtCore import QCoreApplication, QEvent, QObject, QTimer, Signal
from qtpy.QtWidgets import QWidget


def warn_of_unsafe_qt() -> None:
    """PYSIDE-3474: PySide6 6.12.0 drops a reference to None at every call.

    To see it: 6,100 live frames on Python 3.11 end in "none_dealloc". Out when no
    Python below 3.12 is supported.
    """
    if PYSIDE6 and PYSIDE_VERSION == "6.12.0" and sys.version_info < (3, 12):
        show_warning(
            "PySide6 6.12.0 ends Python after some minutes of live view: install "
            "another Qt binding, for example with: pip install 'PySide6==6.11.3'"
        )


def hidden(of: Any, *names: str) -> Any | None:
    """What has no public name in napari, by the names on the way there.

    None in a napari that has it no more: then all is as napari makes it, slower, or
    with the bug.
    """
    for name in names:
        of = getattr(of, name, None)
    return of


class DockWatch(QObject):
    """A dock that is closed tells its widget nothing: napari #8071, #8598.

    napari takes the widget out of the dock and keeps it, hidden; no close event comes.
    Nor does one when the viewer is closed, napari #4623. `closed` and `opened` say so,
    of a widget in a window of its own as well.
    """

    closed = Signal()
    opened = Signal()

    def __init__(self, viewer: Any, widget: QWidget) -> None:
        super().__init__(widget)
        self._widget = widget
        widget.installEventFilter(self)
        main_window_of(viewer).installEventFilter(self)

    @property
    def is_closed(self) -> bool:
        """Whether the widget is in no window that is there."""
        widget = self._widget
        return widget.parentWidget() is None and not widget.isVisible()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """See `QObject.eventFilter`."""
        widget = getattr(self, "_widget", None)
        # At the end of the program what is behind may be gone already.
        if widget is None or QCoreApplication.closingDown():
            return False
        kind = event.type()
        of_window = watched is not widget or widget.isWindow()
        if kind == QEvent.Type.ParentChange:
            (self.closed if widget.isWindow() else self.opened).emit()
        # Spontaneous is what the window system does: a window that is made small.
        elif of_window and not event.spontaneous():
            if kind == QEvent.Type.Hide:
                self.closed.emit()
            elif kind == QEvent.Type.Show:
                self.opened.emit()
        return False


def main_window_of(viewer: Any) -> QWidget:
    """The main window of a viewer, which has no public name."""
    window: QWidget = viewer_itself(viewer).window._qt_window  # noqa: SLF001
    return window


def is_taken_apart(window: Any) -> bool:
    """Nobody is told that a viewer closes, nor who wished it: napari #4623.

    `Viewer.close` closes what is in the main window before the window itself, and
    cannot be refused any more; a user's wish can. True for the first.
    """
    inside = window.centralWidget().children()
    return any(part.isWidgetType() and part.isHidden() for part in inside)


def close_as_asked(window: QWidget) -> None:
    """Close a main window whose first close event was refused.

    napari's own `close` sets anew whether to quit, and forgets that Ctrl+Q asked for
    it. To see it: refuse the event, call `window.close()`, and napari does not quit.
    """
    QWidget.close(window)


def viewer_itself(viewer: Any) -> Any:
    """The viewer behind the proxy that napari gives to plugins, each its own.

    napari's `PublicOnlyProxy` has no public way to ask whether two are of one viewer.
    """
    return getattr(viewer, "__wrapped__", viewer)


def free_in_own_context(viewer: Any) -> None:
    """A layer that is removed is freed in whichever OpenGL context is current.

    napari 0.9.2 has vispy delete what drew the layer at once (`VispyCanvas.
    _clean_and_update_scenegraph`), but does not make the context of the canvas current
    before: it is that in which Qt composed a window last, this one's or another's. A
    program that is deleted so leaves Mesa (22.3) without a vertex shader after its next
    flush, and if the next one drawn is the one drawn last, it ends in a segmentation
    fault. To see it, without napari as well: docs/upstream/layer-removed.md.

    From now on the canvas of this viewer is made current before; nothing to undo.
    """
    # No public name leads to the canvas, or comes between a removal and the deletion.
    names = "window", "_qt_viewer", "canvas", "_scene_canvas"
    canvas = hidden(viewer_itself(viewer), *names)
    if canvas is None or "finish" in vars(canvas.context):
        return
    finish, canvas_of = canvas.context.finish, weakref.ref(canvas)

    def finish_here() -> None:
        canvas = canvas_of()
        if canvas is not None and isalive(canvas.native):
            canvas.set_current()
        finish()

    canvas.context.finish = finish_here


class _EventForSignals:
    """As `threading.Event`, but nobody holds a lock while it is set."""

    def __init__(self) -> None:
        self._set: SimpleQueue[None] = SimpleQueue()

    def is_set(self) -> bool:
        return not self._set.empty()

    def set(self) -> None:
        if self._set.empty():
            self._set.put(None)

    def clear(self) -> None:
        with contextlib.suppress(Empty):
            while True:
                self._set.get_nowait()

    def wait(self) -> None:
        self._set.get()
        self._set.put(None)


def let_interrupt(viewer: Any) -> None:
    """Ctrl-C waits for ever where it comes while napari tells of the cursor.

    napari 0.9.2 has it handled wherever the window's thread is, sets an event there,
    and waits for the thread that waits for it (`_maybe_allow_interrupt`). It sets the
    same event at each step of a slider. Whoever does so holds a lock, which both want.
    To see it: have a `threading.Event` set while `notify_all` of it is called.

    From now on the event of this viewer is another; nothing to undo.
    """
    checker = hidden(main_window_of(viewer), "status_thread")
    event = hidden(checker, "_need_status_update")
    if isinstance(event, threading.Event):
        checker._need_status_update = _EventForSignals()  # type: ignore[union-attr] # noqa: SLF001
        event.set()  # who waits for it waits for the other from now on


def close_at_exit(viewer: Any) -> None:
    """PyQt6 6.11 goes through all widgets at exit while their event filters make more.

    A window is still open then where Ctrl-C took napari's event loop down, or a script
    ended early. `cleanup_on_exit` deletes what is in it, filters in Python (ours,
    magicgui's, napari's) are called, and the table it goes through moves. To see it:
    Ctrl-C during a recording in five programs at once; 1 in 5 to 20 ends in a
    segmentation fault.

    From now on this viewer, if it is open at exit, is closed before; nothing to undo.
    """
    _closed_at_exit.add(viewer_itself(viewer))


_closed_at_exit: "weakref.WeakSet[Any]" = weakref.WeakSet()


@atexit.register  # after Qt's own, and the last that came is the first to be called
def _close_what_is_open() -> None:
    for viewer in list(_closed_at_exit):
        window = getattr(viewer.window, "_qt_window", None)  # none once it was closed
        if window is not None and isalive(window) and window.isVisible():
            viewer.close()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)


def mend_window(viewer: Any) -> None:
    """What every viewer needs in which work of ours goes on; may be called again."""
    free_in_own_context(viewer)
    let_interrupt(viewer)
    close_at_exit(viewer)


def units_beside(viewer: Any, units: Sequence[str]) -> list[Any]:
    """Units for the last axes of a layer that comes, which go with those there are.

    napari 0.9: with others, "Inconsistent units across layers" pops up, once for the
    layer that comes and again for the next change of the list. A layer that stays has
    those that are true all the same.
    """
    others = viewer.layers.extent.units if len(viewer.layers) else None
    if others is None:
        return list(units)
    alone = list(units[: -len(others)])
    beside = zip(others[-len(units) :], units[-len(others) :], strict=True)
    return alone + [
        unit if other.is_compatible_with(unit) else other for other, unit in beside
    ]


def slice_by(layer: Any, taken: Callable[[Callable[[], Any]], Any | None]) -> None:
    """Have a layer's pixels read by way of `taken`; where it has None, nothing changes.

    napari 0.9 reads them in the window's thread (#4795), unless the user has switched
    its asynchronous slicing on, for all layers. No public name comes between: the
    request that reads is called within `_set_view_slice`. Out when slicing is
    asynchronous by itself.
    """
    state = hidden(layer, "_slicing_state")
    names = "_make_slice_request_internal", "_update_slice_response", "_set_view_slice"
    make, update, read = (hidden(state, name) for name in names)
    if make is None or update is None or read is None:
        return
    made: list[bool] = []  # while it is called

    def make_here(**keywords: Any) -> Any:
        request = make(**keywords)
        return (lambda: taken(request)) if made else request

    def update_here(response: Any) -> None:
        if response is not None:
            update(response)

    def read_here() -> None:
        made.append(True)
        try:
            read()
        finally:
            made.pop()

    for name, here in zip(names, (make_here, update_here, read_here), strict=True):
        setattr(state, name, here)


def show_growth(viewer: Any, layers: Sequence[Any]) -> None:
    """Have the sliders reach what layers have grown by.

    napari 0.9 looks at the shape of data that is assigned, and at no other time.
    Assigned anew, data of several levels show the smallest one until the next paint.
    """
    for layer in layers:
        if clear_extent := hidden(layer, "_clear_extent"):
            clear_extent()
        else:
            layer.data = layer.data
    if len(viewer.layers):
        extent = viewer.layers.extent
        viewer.dims.range = tuple(zip(*extent.world, extent.step, strict=True))


def refresh_pixels(viewer: Any, layer: Any) -> None:
    """Have the canvas show what the pixels of a layer are now, and nothing else change.

    napari 0.9 paints the row of a layer in the list with everything that the layer
    tells (`QtLayerListModel._process_event`): that is 6 ms of Python for each frame,
    beside 9 for the canvas, where nothing in the row has changed.
    """
    viewer = viewer_itself(viewer)
    rows = viewer.window._qt_viewer.layers.model().sourceModel()  # noqa: SLF001
    with viewer.layers.events.blocker(rows._process_event):  # noqa: SLF001
        layer.refresh(extent=False, thumbnail=False, highlight=False)


def make_axes(viewer: Any, count: int) -> None:
    """Have an empty viewer make the sliders of so many axes before a layer has them.

    napari 0.9 makes all of them anew with the layer, which is a third of what that
    keeps the window waiting for. They are hidden while an axis has one step only; the
    axis and its one step are told of together, else they would be seen for a moment.
    """
    dims = viewer.dims
    more = count - dims.ndim
    if more > 0 and not viewer.layers:
        ranges = ((0.0, 0.0, 1.0),) * more + tuple(dims.range)
        with ComparisonDelayer(dims):
            dims.ndim = count
            dims.range = ranges


@contextlib.contextmanager
def not_made_active(viewer: Any) -> Iterator[None]:
    """Layers that are added are not made the active one, which no public name says.

    napari makes the controls of a layer when it comes, and shows them when it becomes
    active. Each takes as long as to draw it: from here, both are for when it becomes
    active, which can be another turn of the event loop.
    """
    layers = viewer.layers
    before = hidden(layers, "_activate_on_insert")
    made = _MadeWhenShown.of(viewer)
    if before is None or made is None:
        yield
        return
    layers._activate_on_insert = False  # noqa: SLF001
    try:
        with layers.events.inserted.blocker(made.make):
            yield
    finally:
        layers._activate_on_insert = before  # noqa: SLF001


def make_controls(viewer: Any, layer: Any) -> None:
    """Make those of a layer that was added so."""
    if (made := _MadeWhenShown.of(viewer)) is not None:
        made.get_or_make(layer)


class _MadeWhenShown(dict[Any, Any]):
    """Layers, and their controls, which are made when somebody looks for them."""

    def __init__(self, made: dict[Any, Any], make: Callable[[Event], None]) -> None:
        super().__init__(made)
        self.make = make

    @classmethod
    def of(cls, viewer: Any) -> "_MadeWhenShown | None":
        """What a viewer has its controls in, from now on."""
        container = hidden(viewer_itself(viewer), "window", "_qt_viewer", "controls")
        made, make = hidden(container, "widgets"), hidden(container, "_add")
        if container is None or made is None or make is None:
            return None
        if not isinstance(made, cls):
            made = container.widgets = cls(made, make)
        return made

    def get_or_make(self, layer: Any) -> Any | None:
        """None where napari makes some for what is selected, and for no layer alone."""
        if layer not in self:
            self.make(Event("inserted", value=layer))
        return self.get(layer)

    def __missing__(self, layer: Any) -> Any:
        if self.get_or_make(layer) is None:
            raise KeyError(layer)
        return self[layer]


PAINT_MS = 20
"""Later than what else is due by then. After 0 ms Qt paints before it looks at timers,
and with it the turn in which something changed takes as long as both."""

PAINTED_MS = 2 * PAINT_MS
"""What follows then finds it painted."""

NEXT_TURN_MS = 1
"""No later than it must be: what took longer than this finds other timers due."""


@contextlib.contextmanager
def painted_later(viewer: Any, wait_ms: int = PAINT_MS) -> Iterator[None]:
    """Have what changes in the canvas painted in a later turn of the event loop.

    Qt paints in the turn in which something changed. The first paint of a layer, which
    compiles its shaders, takes a third of what it took napari to add it; with software
    rendering each takes as long as to read what is painted.
    """
    canvas = main_window_of(viewer).centralWidget()
    canvas.setUpdatesEnabled(False)

    def paint() -> None:
        if isalive(canvas):
            canvas.setUpdatesEnabled(True)

    try:
        yield
    finally:
        QTimer.singleShot(wait_ms, paint)
