"""A window that is closed over something under way: refused until that has ended."""

import weakref
from collections.abc import Callable
from typing import Any, Protocol

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QMessageBox, QWidget

from .napari_compat import close_as_asked, is_taken_apart, main_window_of


class Underway(Protocol):
    """What must not be cut short."""

    @property
    def is_busy(self) -> bool:
        """Whether something goes on, or its end has not been dealt with."""

    def stop(self) -> None:
        """Ask it to end; returns at once."""

    def finish_now(self) -> None:
        """End it, and wait for that."""


def _no_window() -> None:
    """A reference to nothing."""


class CloseGuard(QObject):
    """Keeps the main window of a viewer open until something has ended.

    Parameters
    ----------
    underway : Underway
    title, question : str
        What the user is asked.

    Attributes
    ----------
    is_closing : bool
        Whether the window closes as soon as it has ended.
    """

    _window: Callable[[], QWidget | None]

    def __init__(self, underway: Underway, title: str, question: str) -> None:
        super().__init__()
        self._underway = underway
        self._title, self._question = title, question
        # Weak: who is under way may outlive the window.
        self._window = _no_window
        self.is_closing = False

    def watch(self, viewer: Any) -> None:
        """Watch the window of a viewer from now on."""
        window = main_window_of(viewer)
        if window is not self._window():
            window.installEventFilter(self)
            self._window = weakref.ref(window)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """See `QObject.eventFilter`."""
        if event.type() != QEvent.Type.Close or not self._underway.is_busy:
            return False
        if event.spontaneous() or not is_taken_apart(watched):
            # The user's wish: refused until everything is written, then repeated.
            event.ignore()
            if not self.is_closing and self._user_agrees():
                self.is_closing = True
                self._underway.stop()
                if not self._underway.is_busy:  # it ended while the question was open
                    self.ended(may_close=True)
            return True
        # A program's `Viewer.close` or `Window.close`: no way to refuse.
        self._underway.finish_now()
        return False

    def _user_agrees(self) -> bool:
        answer = QMessageBox.question(self._window(), self._title, self._question)
        return bool(answer == QMessageBox.StandardButton.Yes)

    def ended(self, *, may_close: bool) -> None:
        """It has ended: close the window if that was asked for, and may be."""
        closing, self.is_closing = self.is_closing, False
        if closing and may_close and (window := self._window()) is not None:
            close_as_asked(window)
