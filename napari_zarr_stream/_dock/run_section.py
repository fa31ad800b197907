"""Record, Stop, and the state: what is always in view, from across the room as well."""

import time

from magicgui.widgets import Label, ProgressBar, PushButton
from magicgui.widgets.bases import Widget
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_zarr_stream._recording.counts import counts_in_words, warning_in_words
from napari_zarr_stream._recording.states import RecordingState, RecordingStatus
from napari_zarr_stream._upload.progress import upload_in_words
from napari_zarr_stream._viewer.session import Session
from napari_zarr_stream._writer.words import clock_in_words

from .form import PROBLEM_STYLE, beside, wrapping
from .result_row import ResultRow

STATUS_MS = 250
"""Text changes no more often than this: nobody reads faster. It does so when a frame is
shown: each paint, of whatever part, has Qt compose the whole window, canvas and all."""

NO_FRAME_MS = 500
"""Text changes without one after this."""

RED = "#f04747"
"""3.4 to 1 on the light theme and 4.2 to 1 on the dark one, which is enough for what is
as large as the dot."""

CLOCK_STYLE = "font-size: 30pt; font-weight: bold; padding: 0px"


class RunSection(QWidget):
    """The two buttons, how long and how far it is, the counts, trouble, the result.

    Parameters
    ----------
    session : Session
    shortcut : str
        That of both buttons, for people.
    """

    def __init__(self, session: Session, shortcut: str) -> None:
        super().__init__()
        self._session = session
        self.record = PushButton(
            name="record",
            text="Record",
            tooltip=f"Write frames to the disk from now on ({shortcut})",
        )
        self.stop = PushButton(
            name="stop",
            text="Stop",
            enabled=False,
            tooltip=f"Take no more frames, and write all that were taken ({shortcut})",
        )
        self.state = Label(name="state", label="", value="")
        self.elapsed = Label(name="elapsed", label="", value="", visible=False)
        self.progress = ProgressBar(name="progress", label="", visible=False)
        self.live = PushButton(
            name="live",
            text="Live",
            enabled=False,
            visible=False,
            tooltip="Show the newest frame. Move the time slider to look at those that "
            "are recorded already; its end is the newest",
        )
        self.live.native.setCheckable(True)
        self.counts = Label(name="counts", label="", value="", visible=False)
        self.trouble = Label(name="trouble", label="", value="", visible=False)
        self.upload = Label(name="upload", label="", value="", visible=False)
        self.result = ResultRow()
        self._timer = QTimer(self)
        self._timer.setInterval(NO_FRAME_MS)
        self._timer.timeout.connect(self.show_status)
        self._said_at = 0.0

    @property
    def widgets(self) -> list[Widget]:
        """All of them, as children of a container."""
        return [
            self.record,
            self.stop,
            self.state,
            self.elapsed,
            self.progress,
            self.live,
            self.counts,
            self.trouble,
            self.upload,
            *self.result.widgets,
        ]

    def lay_out(self) -> QWidget:
        """Put the widgets in their places."""
        for text in (self.state, self.counts, self.trouble, self.upload):
            wrapping(text.native)
        self.trouble.native.setStyleSheet(PROBLEM_STYLE)
        self.counts.native.setTextFormat(Qt.TextFormat.RichText)
        self.elapsed.native.setTextFormat(Qt.TextFormat.RichText)
        self.elapsed.native.setStyleSheet(CLOCK_STYLE)
        self.progress.native.setAccessibleName("Frames of all that are to come")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for part in (
            beside(self.record.native, self.stop.native),
            self.elapsed.native,
            self.progress.native,
            self.live.native,
            self.trouble.native,
            self.result.lay_out(),
            self.counts.native,
            self.upload.native,
            self.state.native,
        ):
            layout.addWidget(part)
        self.stop.clicked.connect(self._stop)
        self.live.clicked.connect(self._set_live)
        self._session.uploads.changed.connect(self._show_uploads)
        self._show_uploads()
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
        is_live = look_back is None or look_back.is_live
        self.live.visible = self._session.is_busy
        self.live.enabled = look_back is not None and look_back.can_look_back
        self.live.native.setChecked(is_live)
        self.live.text = "Live" if is_live else "Back to live"

    def show_ready(self, can_record: bool, names: str) -> None:
        """Whether something can be recorded now, and under which name."""
        self.record.enabled = can_record
        self.state.value = f"Ready for {names}"
        self.state.visible = can_record

    def follow_live(self) -> None:
        """There are live layers now."""
        if self._session.look_back is not None:
            self._session.look_back.changed.connect(self._show_live)
        for live in self._session.lives:
            live.showed.connect(self._see_shown)
        self._show_live()

    def _see_shown(self, _: object) -> None:
        """A frame is shown, and the window painted for it."""
        is_due = time.perf_counter() - self._said_at >= STATUS_MS / 1e3
        if is_due and self._timer.isActive():
            self.show_status()

    def show_start(self) -> None:
        """Follow the session to its end."""
        self._show_live()
        self.record.enabled, self.stop.enabled = False, True
        self.state.visible = False
        self.elapsed.visible = True
        self._show_uploads()
        self.show_status()
        self._timer.start()

    def show_end(self) -> None:
        """Say how it ended, and follow no more."""
        self._timer.stop()
        self.elapsed.visible = False
        self._show_live()
        self.show_status()
        self.record.enabled, self.stop.enabled = True, False
        statuses = [status for _, status in self._session.statuses()]
        self._show_uploads()
        self.result.show_saved(
            [each.path for each in statuses if each.path and each.frames_committed]
        )

    def show_status(self) -> None:
        """Say what the session knows now."""
        self._said_at = time.perf_counter()
        if self._timer.isActive():
            self._timer.start()  # anew
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
        self.counts.visible = bool(self.counts.value)
        snapshots = [status for _, status in statuses]
        if self._session.is_busy:
            self._show_clock(snapshots)
        warning = warning_in_words(snapshots)
        self.show_trouble("\n".join(filter(None, [*self._session.troubles, warning])))

    def _show_uploads(self) -> None:
        """How uploads go on when nothing is recorded: else it stands in the counts."""
        statuses = [] if self._session.is_busy else self._session.uploads.statuses()
        said = [upload_in_words(status) for status in statuses]
        self.upload.value = "\n".join(each[:1].upper() + each[1:] for each in said)
        self.upload.visible = bool(said)
        if said:
            self.counts.value = counts_in_words(self._session.statuses(), upload=False)
            self.counts.visible = bool(self.counts.value)

    def _show_clock(self, statuses: list[RecordingStatus]) -> None:
        taking = any(each.state is RecordingState.RUNNING for each in statuses)
        seconds = max((each.elapsed_s for each in statuses), default=0.0)
        dot = f'<span style="color: {RED}">●</span>' if taking else "○"
        self.elapsed.value = f"{dot} {clock_in_words(seconds)}"
        paths = [each.path for each in statuses if each.path]
        self.result.show_name(
            "Recording" if taking else "Writing the last frames of", paths
        )

    def show_trouble(self, said: str) -> None:
        """What napari shows for some seconds, and in part, stays here as a whole."""
        self.trouble.value = said
        self.trouble.visible = bool(said)
