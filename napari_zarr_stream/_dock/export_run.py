"""Export, Cancel, how far it is, and how it ended."""

from magicgui.widgets import Label, ProgressBar, PushButton
from magicgui.widgets.bases import Widget
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_zarr_stream._viewer.exporting import Exporting

from .form import PROBLEM_STYLE, beside, wrapping

STATUS_MS = 250
"""Text changes this often: each change repaints the window, and nobody reads faster."""


class ExportRun(QWidget):
    """The two buttons, a bar, and a line of words.

    Parameters
    ----------
    exporting : Exporting
    """

    def __init__(self, exporting: Exporting) -> None:
        super().__init__()
        self._exporting = exporting
        self.export = PushButton(name="export", text="Export", enabled=False)
        self.cancel = PushButton(name="cancel", text="Cancel", enabled=False)
        self.progress = ProgressBar(name="progress", label="", visible=False)
        self.state = Label(name="state", label="", value="")
        self._timer = QTimer(self)
        self._timer.setInterval(STATUS_MS)
        self._timer.timeout.connect(self.show_status)

    @property
    def widgets(self) -> list[Widget]:
        """All of them, as children of a container."""
        return [self.export, self.cancel, self.progress, self.state]

    def lay_out(self) -> QWidget:
        """Put the widgets in their places."""
        wrapping(self.state.native)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(beside(self.export.native, self.cancel.native))
        layout.addWidget(self.progress.native)
        layout.addWidget(self.state.native)
        self.cancel.clicked.connect(self._cancel)
        return self

    def _cancel(self) -> None:
        self.cancel.enabled = False
        self._exporting.cancel()
        self.show_status()

    def show_start(self) -> None:
        """Follow the export to its end."""
        self.export.enabled, self.cancel.enabled = False, True
        self.show_status()
        self._timer.start()

    def show_end(self) -> None:
        """Say how it ended, and follow no more."""
        self._timer.stop()
        self.show_status()
        self.cancel.enabled = False

    def show_status(self) -> None:
        """Say how far it is now."""
        exporting = self._exporting
        done, total = exporting.planes
        self.progress.visible = exporting.is_busy
        self.progress.max = max(1, total)
        self.progress.value = done
        problem = ""
        if exporting.is_stopping:
            self.state.value = "Cancelling …"
        elif exporting.is_busy:
            said = [f"{done:,} of {total:,} planes", exporting.remaining_in_words()]
            self.state.value = ", ".join(filter(None, said))
        else:
            self.state.value = exporting.said
            problem = PROBLEM_STYLE if exporting.has_failed else ""
        self.state.native.setStyleSheet(problem)
