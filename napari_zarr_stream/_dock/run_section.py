"""Record, Stop, and what there is to say while recordings go on."""

from magicgui.widgets import Label, ProgressBar, PushButton
from magicgui.widgets.bases import Widget
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_zarr_stream._recording.counts import counts_in_words, warning_in_words
from napari_zarr_stream._viewer.session import Session

from .form import PROBLEM_STYLE, beside, wrapping

STATUS_MS = 250
"""Text changes this often: each change repaints the window, and nobody reads faster."""


class RunSection(QWidget):
    """The two buttons, how far it is, the counts, and trouble.

    Parameters
    ----------
    session : Session
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.record = PushButton(name="record", text="Record")
        self.stop = PushButton(name="stop", text="Stop", enabled=False)
        self.progress = ProgressBar(name="progress", label="", visible=False)
        self.live = PushButton(
            name="live",
            text="Live",
            enabled=False,
            tooltip="Show the newest frame. Move the time slider to look at those that "
            "are recorded already; its end is the newest",
        )
        self.live.native.setCheckable(True)
        self.counts = Label(name="counts", label="", value="")
        self.trouble = Label(name="trouble", label="", value="", visible=False)
        self._timer = QTimer(self)
        self._timer.setInterval(STATUS_MS)
        self._timer.timeout.connect(self.show_status)

    @property
    def widgets(self) -> list[Widget]:
        """All of them, as children of a container."""
        return [
            self.record,
            self.stop,
            self.progress,
            self.live,
            self.counts,
            self.trouble,
        ]

    def lay_out(self) -> QWidget:
        """Put the widgets in their places."""
        for text in (self.counts, self.trouble):
            wrapping(text.native)
        self.trouble.native.setStyleSheet(PROBLEM_STYLE)
        self.counts.native.setTextFormat(Qt.TextFormat.RichText)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for part in (
            beside(self.record.native, self.stop.native),
            self.progress.native,
            self.live.native,
            self.trouble.native,
            self.counts.native,
        ):
            layout.addWidget(part)
        self.stop.clicked.connect(self._stop)
        self.live.clicked.connect(self._set_live)
        return self

    @property
    def _waiting(self) -> str:
        """What is said while nothing is counted yet."""
        if not self._session.is_starting:
            return ""
        return "Starting …" if self.stop.enabled else "Stopping …"

    def _stop(self) -> None:
        self.stop.enabled = False
        self._session.stop()
        self.show_status()

    def _set_live(self) -> None:
        look_back = self._session.look_back
        if look_back is not None:
            look_back.set_live(self.live.native.isChecked())

    def _show_live(self) -> None:
        look_back = self._session.look_back
        self.live.enabled = look_back is not None and look_back.can_look_back
        self.live.native.setChecked(look_back is None or look_back.is_live)

    def show_start(self) -> None:
        """Follow the session to its end."""
        if self._session.look_back is not None:
            self._session.look_back.changed.connect(self._show_live)
        self._show_live()
        self.record.enabled, self.stop.enabled = False, True
        self.show_status()
        self._timer.start()

    def show_end(self) -> None:
        """Say how it ended, and follow no more."""
        self._timer.stop()
        self._show_live()
        self.show_status()
        self.record.enabled, self.stop.enabled = True, False

    def show_status(self) -> None:
        """Say what the session knows now."""
        statuses = self._session.statuses()
        # Without an end there is only the time: a bar that moves to and fro would
        # repaint the window all the time.
        frames = [status.frames_expected for _, status in statuses]
        known = bool(frames) and None not in frames
        self.progress.visible = self._session.is_busy and known
        if known:
            self.progress.max = sum(count or 0 for count in frames)
            self.progress.value = sum(status.frames_acquired for _, status in statuses)
        self.counts.value = self._waiting or counts_in_words(statuses)
        warning = warning_in_words([status for _, status in statuses])
        self.show_trouble("\n".join(filter(None, [*self._session.troubles, warning])))

    def show_trouble(self, said: str) -> None:
        """What napari shows for some seconds, and in part, stays here as a whole."""
        self.trouble.value = said
        self.trouble.visible = bool(said)
