"""Run, Pause, Cancel, and how far the run is: always in view."""

from magicgui.widgets import CheckBox, Label, ProgressBar, PushButton
from magicgui.widgets.bases import Widget
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_zarr_stream._acquisition.states import AcquisitionState, AcquisitionStatus
from napari_zarr_stream._acquisition.words import counts_in_words, warning_in_words
from napari_zarr_stream._viewer.acquiring import Acquiring
from napari_zarr_stream._writer.record import FinishReason
from napari_zarr_stream._writer.words import clock_in_words

from .form import PROBLEM_STYLE, beside, wrapping
from .result_row import ResultRow
from .run_section import CLOCK_STYLE, RED, STATUS_MS

PAUSE_SAYS = (
    "Wait before the next plane. Micro-Manager forgets a pause that is asked for in "
    "the last half second before a plane: with shorter intervals it seldom works. "
    "What is late afterwards is taken at once"
)

_ENDS = {
    FinishReason.COMPLETED: "Saved",
    FinishReason.INCOMPLETE: "Incomplete, saved",
    FinishReason.CANCELED: "Cancelled, saved",
    FinishReason.FAILED: "Failed; what came is in",
}


class AcquireRun(QWidget):
    """The buttons, the counts, trouble, the result.

    Parameters
    ----------
    acquiring : Acquiring
    """

    def __init__(self, acquiring: Acquiring) -> None:
        super().__init__()
        self._acquiring = acquiring
        self.run = PushButton(
            name="run",
            text="Run",
            tooltip="Take all planes, and write them as they come",
        )
        self.pause = PushButton(
            name="pause", text="Pause", enabled=False, tooltip=PAUSE_SAYS
        )
        self.pause.native.setCheckable(True)
        self.cancel = PushButton(
            name="cancel",
            text="Cancel",
            enabled=False,
            tooltip="End the run after the present plane; what was taken is kept",
        )
        self.others = CheckBox(
            name="records_others",
            text="Record runs started elsewhere",
            tooltip="By napari-micromanager, a script or another window: they go where "
            "this dock says, without a click here",
        )
        self.elapsed = Label(name="elapsed", label="", value="", visible=False)
        self.progress = ProgressBar(name="progress", label="", visible=False)
        self.live = PushButton(
            name="live",
            text="Live",
            visible=False,
            tooltip="Show the newest plane. Move a slider to look at any that is taken "
            "already; those that are not are black",
        )
        self.live.native.setCheckable(True)
        self.looked_at = Label(name="looked_at", label="", value="", visible=False)
        self.counts = Label(name="counts", label="", value="", visible=False)
        self.trouble = Label(name="trouble", label="", value="", visible=False)
        self.state = Label(name="state", label="", value="")
        self.result = ResultRow()
        self._timer = QTimer(self)
        self._timer.setInterval(STATUS_MS)
        self._timer.timeout.connect(self.show_status)
        acquiring.uploads.changed.connect(self.show_status)

    @property
    def widgets(self) -> list[Widget]:
        """All of them, as children of a container."""
        return [
            self.run, self.pause, self.cancel, self.others, self.elapsed, self.progress,
            self.live, self.looked_at, self.counts, self.trouble, self.state,
            *self.result.widgets,
        ]  # fmt: skip

    def lay_out(self) -> QWidget:
        """Put the widgets in their places."""
        for text in (self.counts, self.trouble, self.looked_at, self.state):
            wrapping(text.native)
        self.trouble.native.setStyleSheet(PROBLEM_STYLE)
        self.counts.native.setTextFormat(Qt.TextFormat.RichText)
        self.elapsed.native.setTextFormat(Qt.TextFormat.RichText)
        self.elapsed.native.setStyleSheet(CLOCK_STYLE)
        self.progress.native.setAccessibleName("Planes of all that are to come")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        buttons = (self.run.native, self.pause.native, self.cancel.native)
        for part in (
            beside(*buttons),
            self.others.native,
            self.elapsed.native,
            self.progress.native,
            self.live.native,
            self.looked_at.native,
            self.trouble.native,
            self.result.lay_out(),
            self.counts.native,
            self.state.native,
        ):
            layout.addWidget(part)
        self.pause.clicked.connect(self._pause)
        self.cancel.clicked.connect(self._cancel)
        self.live.clicked.connect(self._set_live)
        return self

    def _pause(self) -> None:
        self._acquiring.pause(self.pause.native.isChecked())

    def _cancel(self) -> None:
        self.cancel.enabled = False
        self._acquiring.stop()

    def _set_live(self) -> None:
        layers = self._acquiring.layers
        if layers is not None:
            layers.set_live(self.live.native.isChecked())
        self.show_live()

    def show_live(self) -> None:
        """Say whether the newest is followed."""
        layers = self._acquiring.layers
        self.live.visible = layers is not None
        is_live = layers is None or layers.is_live
        self.live.native.setChecked(is_live)
        self.live.text = "Live" if is_live else "Back to live"
        self._show_words()

    def _show_words(self) -> None:
        layers = self._acquiring.layers
        self.looked_at.value = layers.words if layers is not None else ""
        self.looked_at.visible = bool(self.looked_at.value)

    def show_ready(self, can_run: bool, said: str) -> None:
        """Whether something can be run now, and under which name."""
        self.run.enabled = can_run
        self.state.value = said
        self.state.visible = bool(said)

    def show_start(self) -> None:
        """Follow a run to its end."""
        self.run.enabled, self.others.enabled = False, False
        self.pause.enabled = self.cancel.enabled = True
        self.pause.native.setChecked(False)
        self.state.visible = False
        self.elapsed.visible = True
        self.show_status()
        self._timer.start()

    def show_end(self) -> None:
        """Say how it ended, and follow no more."""
        self._timer.stop()
        self.others.enabled = True
        self.pause.enabled = self.cancel.enabled = False
        self.pause.native.setChecked(False)
        self.pause.text = "Pause"
        self.elapsed.visible = self.progress.visible = False
        self.show_live()
        self.show_status()

    def show_status(self) -> None:
        """Say what is known now."""
        status = self._acquiring.status()
        if status is None:
            return
        busy = self._acquiring.is_busy
        self.progress.visible = busy and status.planned > 0
        if status.planned:
            self.progress.max, self.progress.value = status.planned, status.acquired
        self.counts.value = counts_in_words(status) if status.planned else ""
        self.counts.visible = bool(self.counts.value)
        if busy:
            self._show_clock(status)
            self._show_words()
            self.pause.native.setChecked(self._acquiring.will_pause)
            self.pause.text = "Go on" if status.is_paused else "Pause"
        else:
            there = [status.path] if status.committed else []
            reason = status.finish_reason or FinishReason.FAILED
            self.result.show_end(_ENDS.get(reason, "Saved"), there)
        said = filter(None, [self._acquiring.trouble, warning_in_words(status)])
        self.trouble.value = "\n".join(said)
        self.trouble.visible = bool(self.trouble.value)

    def _show_clock(self, status: AcquisitionStatus) -> None:
        taking = status.state is AcquisitionState.RUNNING
        dot = f'<span style="color: {RED}">●</span>' if taking else "○"
        self.elapsed.value = f"{dot} {clock_in_words(status.elapsed_s)}"
        what = "Recording" if taking else "Writing the last planes of"
        if status.is_paused:
            what = "Paused, recording"
        if status.state is AcquisitionState.AWAITING_RUN:
            what = "Starting"
        elif status.state is AcquisitionState.ENDED:
            what = "Opening"
        self.result.show_name(what, [status.path])
