"""What is done because of a bug or a change in napari or Qt, each with its reason.

One entry for each: the number of its issue, or how to see it, so that it can be taken
out when its time has come. What `_reading` does because of napari #9515 (the whole time
axis of a pyramid is read at each step) stands in `_reading/lazy.py`.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari.utils.notifications import show_warning
from qtpy import PYSIDE6, PYSIDE_VERSION
from qtpy.QtCore import QEvent, QObject
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


class DockWatch(QObject):
    """A dock that is closed tells its widget nothing: napari #8071, #8598.

    napari takes the widget out of the dock and keeps it, hidden; no close event comes.
    """

    def __init__(
        self, widget: QWidget, closed: Callable[[], None], opened: Callable[[], None]
    ) -> None:
        super().__init__(widget)
        self._widget = widget
        self._closed, self._opened = closed, opened
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """See `QObject.eventFilter`."""
        if event.type() == QEvent.Type.ParentChange:
            is_closed = self._widget.parentWidget() is None
            self._closed() if is_closed else self._opened()
        return False


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


def draw_anew(viewer: Any, layer: Any) -> None:
    """Take a layer out of the list and put it back, where napari would draw a dead one.

    napari 0.9.2: a 2-D layer lies above a stack, and the stack is deleted; to draw the
    layer then is a segmentation fault. To see it, leave this out and run
    `test_a_layer_that_changes_is_recorded_as_it_was`.
    """
    if layer in viewer.layers:
        viewer.layers.remove(layer)
        viewer.layers.append(layer)


def settings_folder() -> Path | None:
    """Where napari keeps its settings; None where it keeps none.

    There is no public word on it but the path of the settings themselves.
    """
    from napari.settings import get_settings

    path = get_settings().config_path
    return path.parent if isinstance(path, Path) else None
