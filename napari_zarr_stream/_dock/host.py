"""What a dock widget has to know of its host: closed docks, slow starts, bad Qt."""

import sys
from typing import Any

import numpy as np
from napari.layers import Image
from napari.utils.notifications import show_warning
from qtpy import PYSIDE6, PYSIDE_VERSION
from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QWidget

from napari_zarr_stream._writer.downsample import TileHalver

WARM_UP_MS = 200
"""Long enough for the widget to be painted first."""


class DockWatch(QObject):
    """Notices that the dock around a widget was closed, or opened again.

    napari takes the widget out of the dock and keeps it, hidden; no close event comes.
    """

    def __init__(self, widget: QWidget, closed: Any, opened: Any) -> None:
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


def warm_up() -> None:
    """Import and compile while the user looks at the new widget, not at a click.

    The first image layer of a session, the first zarr array and numba take about half a
    second each.
    """
    import zarr  # noqa: F401

    Image(np.zeros((2, 2), np.uint16))
    TileHalver(np.dtype(np.uint16))


def warn_of_unsafe_qt() -> None:
    """PYSIDE-3474: this release drops a reference to None at every call."""
    if PYSIDE6 and PYSIDE_VERSION == "6.12.0" and sys.version_info < (3, 12):
        show_warning(
            "PySide6 6.12.0 ends Python after some minutes of live view: install "
            "another Qt binding, for example with: pip install 'PySide6==6.11.3'"
        )
