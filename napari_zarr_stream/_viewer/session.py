"""The recordings under way in one viewer: live layers, and how they end.

They outlive the dock widget that started them. All of it runs on the GUI thread; the
recordings themselves have threads of their own and are only polled.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from napari.utils.notifications import show_error, show_info, show_warning
from qtpy.QtCore import QObject, QTimer, Signal

from napari_zarr_stream._recording.counts import saved_in_words, totals_in_words
from napari_zarr_stream._recording.recording import Recording
from napari_zarr_stream._recording.states import FinishReason, RecordingStatus
from napari_zarr_stream._upload.request import UploadRequest
from napari_zarr_stream._writer.errors import ZarrStreamError

from .closing import CloseGuard
from .garbage import leave_from_search, search_again
from .live import LivePreview
from .look_back import LookBack
from .napari_compat import PAINT_MS, PAINTED_MS, make_axes, mend_window, painted_later
from .one_each import OneEach
from .reopen import ReadBack, goes_on, read_back, show_layers
from .shown_recording import ShownRecording
from .starting import Job, Starting
from .turns import SOON_MS, Turns
from .uploading import uploads_of
from .warm_up import WarmUp

POLL_MS = 100

QUESTION = "A recording is under way. Stop it, save what was recorded, and close?"


class Session(QObject):
    """Starts and ends recordings in one viewer, those of several cameras together.

    `began` is emitted when there are live layers, `ended` after all stores were
    reopened and failures shown.
    """

    began = Signal()
    ended = Signal()

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self._viewer = viewer
        self._runs: list[ShownRecording] = []
        self._jobs: Sequence[Job] = ()
        self._one_store = False
        self._upload: UploadRequest | None = None
        self._was_stopped = False  # before it began
        self._turns = Turns(self)
        self._starting: Starting | None = None
        self.look_back: LookBack | None = None
        self.troubles: list[str] = []  # told of the runs, for as long as they are shown
        self._guard = CloseGuard("Recording", QUESTION, self.stop, self._finish_now)
        self._has_started = False
        # No question to the timer: at the end of the program it may be gone already.
        self._is_busy = False
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._poll)
        self.warm_up = WarmUp(self)
        self.warm_up.over.connect(self._begin)
        self.uploads = uploads_of(viewer)
        mend_window(viewer)

    @property
    def is_busy(self) -> bool:
        """Whether a recording goes on, or its end has not been dealt with."""
        return self._is_busy

    def status(self) -> RecordingStatus:
        """A snapshot of the first recording."""
        return self._runs[0].status() if self._runs else Recording().status()

    def statuses(self) -> list[tuple[str, RecordingStatus]]:
        """The title and a snapshot of each recording."""
        return [(run.title, run.status()) for run in self._runs]

    @property
    def is_starting(self) -> bool:
        """Whether sources or stores are not ready yet; `stop` gives them up."""
        return self.is_busy and not self._has_started

    @property
    def lives(self) -> list[LivePreview]:
        """The live layer of each recording."""
        return [run.live for run in self._runs]

    def start(
        self,
        jobs: Sequence[Job],
        *,
        one_store: bool = False,
        upload: UploadRequest | None = None,
    ) -> None:
        """Record; the window is asked to stay while it goes on.

        Returns at once: what cannot be started is told by `troubles` when it `ended`.
        What makes the first one slow is waited for, while the window goes on. With
        `one_store`, all become images of the store of the first job; with `upload`
        stores are brought to another place, which may take longer than the recording.
        """
        self._jobs, self._one_store, self._upload = jobs, one_store, upload
        self._runs, self.troubles, self._starting = [], [], None
        self._has_started = self._was_stopped = False
        self._guard.watch(self._viewer)
        _busy.add(self)
        self._is_busy = True
        self._timer.start()
        self.warm_up.begin()
        if self.warm_up.is_over:
            self._begin()

    def _begin(self) -> None:
        """Make the live layers, and start; or not, if it was stopped before."""
        has_begun = self._starting is not None or not self._turns.is_over
        if self.is_starting and not has_begun and not self._was_stopped:
            self._turns.begin(self._begin_in_turns())

    def _begin_in_turns(self) -> Iterator[int]:
        """What takes the window's thread long, a step each."""
        runs = self._runs
        leave_from_search(self)  # until `_end`
        try:
            described = [job.source.describe() for job in self._jobs]
            yield SOON_MS
            make_axes(self._viewer, max(len(each.axes) for each in described))
            yield SOON_MS
            for job, each in zip(self._jobs, described, strict=True):
                left = runs[-1].live.right if runs else 0.0
                first = runs[0] if runs else None
                runs.append(ShownRecording(self._viewer, job, each, left, first))
                yield SOON_MS
                runs[-1].live.add()
                yield PAINTED_MS
            yield PAINT_MS  # the list was painted first, and that took as long
            runs[-1].live.make_controls()
            yield SOON_MS
            runs[-1].live.make_active()
            yield PAINTED_MS
        except Exception as error:  # noqa: BLE001 - whatever a source says: it is told
            self._give_up(error, was_stopped=False)
            return
        if self._was_stopped:
            return  # which the next poll deals with
        if len(runs) > 1:
            self._viewer.reset_view()  # they lie side by side
        self.look_back = LookBack(self._viewer, self.lives)
        self._starting = Starting(self._jobs, self._one_store, self._upload)
        for run in runs:
            run.live.start()
        self.began.emit()

    def stop(self) -> None:
        """Ask the recordings to end; returns at once."""
        if self._starting is not None:
            self._starting.stop()
        elif self.is_busy:
            self._was_stopped = True

    def _finish_now(self) -> None:
        self._end()
        if self._starting is None:
            return
        self._starting.stop()
        self._starting.wait()
        self._follow_starting()
        for run in self._runs:
            if error := run.status().error:
                show_error(f"{run.title or 'The recording'} failed: {error}")

    def _follow_starting(self) -> None:
        """Take the recordings as soon as there are some, and give up on demand."""
        starting = self._starting
        if starting is None or self._has_started:
            return
        is_over = starting.is_over
        if starting.was_stopped:
            starting.stop()  # also what began after it was asked to stop
        if not is_over:
            return
        self._has_started = True
        if starting.has_begun:
            self.uploads.follow(starting.uploaders, waits=lambda: self.is_busy)
            for run, recording in zip(self._runs, starting.recordings, strict=False):
                run.feed.recording = recording

    def _poll(self) -> None:
        if self._was_stopped:
            self._give_up(None, was_stopped=True)
            return
        self._follow_starting()
        if self.is_starting or not self._turns.is_over:
            return
        assert self._starting is not None
        if not self._starting.has_begun:
            self._give_up(self._starting.failure, self._starting.was_stopped)
            return
        statuses = [run.status() for run in self._runs]
        assert self.look_back is not None
        self.look_back.grow(statuses)
        if any(status.is_busy for status in statuses):
            self._tell_of_failures(statuses)
            return
        self._read_back(statuses)
        if not all(run.read is not None and run.read.done() for run in self._runs):
            return
        self._turns.begin(self._end_in_turns(statuses))

    def _end_in_turns(self, statuses: Sequence[RecordingStatus]) -> Iterator[int]:
        """A step for what is shown of each, and one for all that follows."""
        has_failed = any(of.finish_reason is FinishReason.FAILED for of in statuses)
        try:
            for run, status in zip(self._runs, statuses, strict=True):
                with painted_later(self._viewer):
                    is_there = self._show_end_of(run, status)
                yield PAINTED_MS
                self._notify(run, status, is_there)
                yield SOON_MS
        except Exception:
            self._finish(has_failed)
            raise
        self._finish(has_failed)

    def _read_back(self, statuses: Sequence[RecordingStatus]) -> None:
        """Begin to read what was recorded, once."""
        for run, status in zip(self._runs, statuses, strict=True):
            if run.read is not None:
                continue
            assert self.look_back is not None
            self.look_back.stop()
            sources = [run.layer] if run.layer in self._viewer.layers else []
            is_shown = bool(status.frames_committed) and not self._guard.is_closing
            run.read = read_back(status.path, sources, is_shown)

    def _show_end_of(self, run: ShownRecording, status: RecordingStatus) -> bool:
        """Show what was read instead of the live layer; whether there is a store."""
        assert run.read is not None
        assert self.look_back is not None
        read = ReadBack(is_there=True, layers=())
        try:
            read = run.read.result()
        except (ZarrStreamError, OSError) as error:
            said = f"{status.path} was recorded but could not be opened: {error}"
            self._tell(show_error, said)
        live = None
        if run.live.is_there and goes_on(run.live.layer, read.layers):
            live = run.live.hand_over()
        elif len(self._viewer.layers) > 1:
            # An empty viewer forgets what is in view; where there are others, the list
            # is better never one of layers with different units.
            run.live.stop()
        if read.layers:
            added = show_layers(
                self._viewer, read.layers, run.described, run.left, live
            )
            self.look_back.restore(added[0])
            self.uploads.shown_by(added)
            if run.layer in self._viewer.layers:
                run.layer.visible = False  # it lies under its copy
        run.live.stop()
        return read.is_there

    def _give_up(self, error: BaseException | None, was_stopped: bool) -> None:
        """Nothing has begun, and nothing is left of it."""
        if was_stopped:
            said = str(error or "stopped before it began: nothing was recorded")
            show_info(said[:1].upper() + said[1:])
        else:
            self._tell(show_error, f"The recording could not be started: {error}")
        self._finish(error is not None and not was_stopped)

    def _finish(self, failed: bool) -> None:
        self._end()
        self.ended.emit()
        self._guard.close_if_asked(failed=failed)

    def _tell_of_failures(self, statuses: Sequence[RecordingStatus]) -> None:
        """At once, although the other recordings go on."""
        for run, status in zip(self._runs, statuses, strict=True):
            over = status.finish_reason is FinishReason.FAILED and not status.is_busy
            if over and not run.failure_told:
                run.failure_told = True
                self._tell(
                    show_error,
                    f"{run.title}: the recording failed: {status.error}\n"
                    "The others go on.",
                )

    def _end(self) -> None:
        self._timer.stop()
        self._turns.give_up()
        self._is_busy = False
        search_again(self)
        self._guard.release()
        _busy.discard(self)
        if self.look_back is not None:
            self.look_back.stop()
            self.look_back = None
        for run in self._runs:
            run.end()

    def _notify(
        self, run: ShownRecording, status: RecordingStatus, is_there: bool
    ) -> None:
        title = f"{run.title}: " if len(self._runs) > 1 else ""
        if status.finish_reason is FinishReason.FAILED:
            place = f"in {status.path}" if is_there else "where its folder is now"
            self._tell(
                show_error,
                f"The recording failed: {status.error}\n{title}"
                f"{totals_in_words(status)}. What was committed is {place}",
            )
            return
        saved = saved_in_words(status)
        if title:
            saved += f" ({run.title})"
        if status.stop_reason:
            self._tell(
                show_warning,
                f"The recording stopped itself: {status.stop_reason}. Make room before "
                f"the next one.\n{saved}",
            )
        elif (
            status.frames_lost or status.frames_incomplete or status.frames_out_of_order
        ):
            show_warning(saved)
        else:
            show_info(saved)

    def _tell(self, show: Callable[[str], None], said: str) -> None:
        """Tell of trouble, at once and until the next start."""
        self.troubles.append(said)
        show(said)


_busy: set[Session] = set()
"""Kept alive until they have ended, even if the widget is gone."""

session_of = OneEach(Session)
