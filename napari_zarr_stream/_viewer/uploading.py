"""Uploads that go on in a viewer, after their recordings too, and a window that closes.

They are polled by the window's thread; each has a thread of its own.
"""

import weakref
from collections.abc import Callable, Sequence
from typing import Any

from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QEvent, QObject, QTimer, Signal
from qtpy.QtWidgets import QMessageBox, QPushButton, QWidget

from napari_zarr_stream._upload.progress import (
    UploadPhase,
    UploadStatus,
    upload_in_words,
)
from napari_zarr_stream._upload.uploader import Uploader
from napari_zarr_stream._writer.words import duration_in_words, size_in_words

from .napari_compat import (
    close_as_asked,
    is_taken_apart,
    main_window_of,
)
from .one_each import OneEach

POLL_MS = 250


class Uploads(QObject):
    """Those of one viewer; `changed` says that one got on, or has ended."""

    changed = Signal()

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self._viewer = viewer
        self._uploaders: list[Uploader] = []
        self._waits: Callable[[], bool] = lambda: False
        self._closes = False
        self._layers: list[Any] = []  # that show what is uploaded
        self._are_shown = True
        self._window: Callable[[], QWidget | None] = lambda: None
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._poll)

    @property
    def is_busy(self) -> bool:
        """Whether one goes on."""
        return any(each.status().is_busy for each in self._uploaders)

    def statuses(self) -> list[UploadStatus]:
        """Of those that go on, and of those that have ended since the last `follow`."""
        return [uploader.status() for uploader in self._uploaders]

    def follow(self, uploaders: Sequence[Uploader], waits: Callable[[], bool]) -> None:
        """Take uploads that have begun.

        Parameters
        ----------
        uploaders : sequence of Uploader
        waits : callable
            Whether the window is asked to stay by somebody else, who comes first.
        """
        if not uploaders:
            return
        going_on = [each for each in self._uploaders if each.status().is_busy]
        self._uploaders = [*going_on, *uploaders]
        self._waits, self._are_shown = waits, True
        for uploader in uploaders:
            uploader.delete_when(lambda: not self._are_shown)
        window = main_window_of(self._viewer)
        if window is not self._window():
            window.installEventFilter(self)
            self._window = weakref.ref(window)
        _busy.add(self)
        self._timer.start()

    def shown_by(self, layers: Sequence[Any]) -> None:
        """Layers that show what is uploaded: its copy here stays while they do."""
        self._layers = [*self._layers, *map(weakref.ref, layers)]

    def _poll(self) -> None:
        there = [layer for each in self._layers if (layer := each()) is not None]
        self._are_shown = self._waits() or any(
            layer in self._viewer.layers for layer in there
        )
        if self.is_busy:
            self.changed.emit()
            return
        self._timer.stop()
        _busy.discard(self)
        for status in self.statuses():
            if status.phase is not UploadPhase.STOPPED:
                told = "\n".join([upload_in_words(status), *status.notes])
                is_done = status.phase is UploadPhase.DONE
                (show_info if is_done else show_error)(told)
        self.changed.emit()
        failed = any(each.error is not None for each in self.statuses())
        closing, self._closes = self._closes, False
        if closing and not failed and (window := self._window()) is not None:
            close_as_asked(window)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Ask before a window closes over an upload."""
        if event.type() != QEvent.Type.Close or not self.is_busy or self._waits():
            return False
        if all(each.waits_to_delete for each in self.statuses() if each.is_busy):
            self._are_shown = False  # with the window, the layers go
            return False
        if not event.spontaneous() and is_taken_apart(watched):
            # A program's `Viewer.close`: no way to ask. The local copy is whole.
            self._stop()
            return False
        if not self._closes:
            answer = self._ask()
            if answer == "now":
                self._stop()
                return False
            self._closes = answer == "finish"
        event.ignore()
        return True

    def _ask(self) -> str:
        """What somebody wants: "finish", "now", or "stay"."""
        statuses = [status for status in self.statuses() if status.is_busy]
        behind = sum(status.bytes_behind for status in statuses)
        left = [status.seconds_left for status in statuses]
        takes = ""
        if None not in left:
            takes = f", about {duration_in_words(max(each or 0 for each in left))}"
        box = QMessageBox(self._window())
        box.setWindowTitle("Upload")
        box.setText(
            f"An upload to {statuses[0].address if statuses else 'its place'} is under "
            f"way: {size_in_words(behind)} are not there yet{takes}."
        )
        box.setInformativeText(
            "All of it is saved on this computer. If napari closes now, "
            "`napari-zarr-stream upload` goes on with it at any time."
        )
        buttons: dict[str, QPushButton] = {
            "finish": box.addButton(
                "Finish, then close", QMessageBox.ButtonRole.YesRole
            ),
            "now": box.addButton("Close now", QMessageBox.ButtonRole.DestructiveRole),
            "stay": box.addButton("Cancel", QMessageBox.ButtonRole.RejectRole),
        }
        box.setEscapeButton(buttons["stay"])
        box.setDefaultButton(buttons["finish"])
        box.exec_()
        clicked = box.clickedButton()
        return next((n for n, each in buttons.items() if each is clicked), "stay")

    def _stop(self) -> None:
        for uploader in self._uploaders:
            uploader.stop()
        self._timer.stop()
        _busy.discard(self)


_busy: set[Uploads] = set()
"""Kept alive until they have ended, even if the widget is gone."""

uploads_of = OneEach(Uploads)
