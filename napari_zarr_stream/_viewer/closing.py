"""No window closes over work under way: the user is asked, and the work ends first."""

import threading
import weakref
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QMessageBox, QWidget

from napari_zarr_stream._recording.interrupt import ENDS, Interrupt

from .napari_compat import close_as_asked, is_taken_apart, main_window_of


def _no_window() -> None:
    """A reference to nothing."""


class CloseGuard(QObject):
    """Keeps the window of a viewer open from `watch` to `release`.

    Parameters
    ----------
    title, question : str
        Asked when the user wants to close the window; "yes" ends the work.
    stop : callable
        Asks the work to end; returns at once.
    finish_now : callable
        Ends the work before it returns: a program's `Viewer.close` cannot be refused.

    Attributes
    ----------
    is_closing : bool
        Whether the window closes as soon as the work has ended.
    """

    _window: Callable[[], QWidget | None]

    def __init__(
        self,
        title: str,
        question: str,
        stop: Callable[[], None],
        finish_now: Callable[[], None],
    ) -> None:
        super().__init__()
        self._title, self._question = title, question
        self._stop, self._finish_now = stop, finish_now
        # Weak: a widget, and so its work, may outlive the window.
        self._window = _no_window
        self._is_watching = False
        self.is_closing = False
        self._at_end = ExitStack()

    def watch(self, viewer: Any) -> None:
        """Work begins."""
        window = main_window_of(viewer)
        if window is not self._window():
            window.installEventFilter(self)
            self._window = weakref.ref(window)
        if threading.current_thread() is threading.main_thread():  # else none comes
            terminated = Interrupt(self.close_when_ended, numbers=ENDS)
            self._at_end.enter_context(terminated)
        self._is_watching = True

    def release(self) -> None:
        """Work has ended: the window may close."""
        self._is_watching = False
        self._at_end.close()

    def close_if_asked(self, *, failed: bool) -> None:
        """Close the window, if somebody wanted that while work went on.

        After a failure it stays: the message is in it.
        """
        closing, self.is_closing = self.is_closing, False
        if closing and not failed:
            self._close()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """See `QObject.eventFilter`."""
        if event.type() != QEvent.Type.Close or not self._is_watching:
            return False
        if event.spontaneous() or not is_taken_apart(watched):
            # The user's wish: refused until the work has ended, then repeated.
            event.ignore()
            if not self.is_closing and self._user_agrees():
                self.close_when_ended()
            return True
        self._finish_now()
        return False

    def close_when_ended(self) -> None:
        """End the work, and then close the window."""
        if self._is_watching:
            self.is_closing = True
            self._stop()
        else:
            self._close()  # it ended while the question was open

    def _close(self) -> None:
        if (window := self._window()) is not None:
            close_as_asked(window)

    def _user_agrees(self) -> bool:
        asked = QMessageBox.question(self._window(), self._title, self._question)
        return bool(asked == QMessageBox.StandardButton.Yes)
