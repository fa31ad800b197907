"""The recording under way in one viewer: its live layer, its end, and closing windows.

It outlives the dock widget that started it. All of it runs on the GUI thread; the
recording itself has a thread of its own and is only polled.
"""

import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.utils.notifications import show_error, show_info, show_warning
from qtpy.QtCore import QEvent, QObject, QTimer, Signal
from qtpy.QtWidgets import QMessageBox, QWidget

from ._reader import layers_of
from ._recording import FinishReason, Recording, RecordingStatus
from ._source import Source, SourceDescription
from ._writer.errors import ZarrStreamError
from ._writer.ngff import range_of
from ._writer.properties import StorageProperties

FASTEST_PREVIEW_S = 1 / 30
"""More is not seen."""

PAINTING_SHARE = 0.25
"""Of the GUI thread's time. Painting holds the GIL, which the writer needs too: with
software rendering (25 ms a paint) this comes to 10 updates a second."""

FIRST_PREVIEW_S = 0.1
"""Until it is known what painting costs."""

PROBE_MS = 5
"""A timer of this length is due when the paint that showing a frame asks for has begun,
so it comes after it: that is what painting costs. One of 0 ms comes before it."""

BUSY_QUEUE = 0.5
"""With the queue fuller than this the preview waits: frames are worth more."""

POLL_MS = 100

LIVE = "Live: "
"""Names of live layers begin with it; they are no sources."""


class LivePlane:
    """A 2-D array-like whose pixels are swapped for newer ones."""

    def __init__(self, plane: npt.NDArray[np.generic]) -> None:
        self.plane = plane
        self.shape, self.dtype = plane.shape, plane.dtype
        self.ndim, self.size = plane.ndim, plane.size

    def __len__(self) -> int:
        return len(self.plane)

    def __getitem__(self, key: Any) -> npt.NDArray[np.generic]:
        part: npt.NDArray[np.generic] = self.plane[key]
        return part

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[np.generic]:
        return np.array(self.plane, dtype=dtype, copy=copy)


class LivePreview(QObject):
    """The newest frame of a recording in an ordinary image layer.

    The layer is made, dark, before the recording starts: that takes the GUI thread half
    a second of Python, in which the writer would hardly get the GIL. Its rate follows
    what painting costs here, and gives way to the writer.
    """

    def __init__(
        self, viewer: Any, recording: Recording, source: SourceDescription
    ) -> None:
        super().__init__()
        self._viewer = viewer
        self._recording = recording
        self._running = False
        self._paint_s = FIRST_PREVIEW_S * PAINTING_SHARE
        self._shown = False
        height, width = (size or 1 for size in source.shape[-2:])
        value_range = source.value_range or range_of(source.dtype)
        self._layer = viewer.add_image(
            LivePlane(np.zeros((height, width), source.dtype)),
            name=f"{LIVE}{source.name}",
            contrast_limits=value_range,
            scale=source.scale[-2:],
            translate=source.translation[-2:],
            units=[unit or "pixel" for unit in source.units[-2:]],
            axis_labels=("y", "x"),
        )
        self._layer.contrast_limits_range = value_range
        self._limits = source.channels[0].contrast_limits if source.channels else None

    def start(self) -> None:
        """Begin to follow the recording."""
        self._running = True
        self._tick()

    def _tick(self) -> None:
        if not self._running:
            return
        busy = self._recording.status().queue_fill > BUSY_QUEUE
        plane = None if busy else self._recording.newest()
        started = time.perf_counter()
        if plane is not None:
            self._show(plane)
        QTimer.singleShot(PROBE_MS, lambda: self._painted(started, plane is not None))

    def _painted(self, started: float, shown: bool) -> None:
        if shown:
            cost_s = time.perf_counter() - started
            # Smoothed: one slow paint is often somebody else's.
            self._paint_s += 0.2 * (cost_s - self._paint_s)
        wait_s = max(FASTEST_PREVIEW_S, self._paint_s / PAINTING_SHARE)
        QTimer.singleShot(round(1000 * wait_s), self._tick)

    def _show(self, plane: npt.NDArray[np.generic]) -> None:
        if self._layer not in self._viewer.layers:
            self._running = False  # the user removed it
            return
        self._layer.data.plane = plane
        if not self._shown:
            self._shown = True
            self._set_limits()
        self._layer.refresh(extent=False, thumbnail=False, highlight=False)

    def _set_limits(self) -> None:
        """Once, from the data; after that they are the user's."""
        limits = self._limits or self._recording.contrast_limits
        if limits is not None:
            self._layer.contrast_limits = limits
        self._layer.events.contrast_limits.connect(self._keep_limits)

    def _keep_limits(self) -> None:
        low, high = self._layer.contrast_limits
        self._recording.contrast_limits = float(low), float(high)

    def stop(self) -> None:
        """Take the layer away, if the user has not."""
        self._running = False
        if self._layer in self._viewer.layers:
            self._viewer.layers.remove(self._layer)


def _no_window() -> None:
    """A reference to nothing."""


class Session(QObject):
    """Starts and ends recordings in one viewer; at most one at a time.

    `ended` is emitted after the store was reopened or the failure shown.
    """

    ended = Signal()
    _window: Callable[[], QWidget | None]

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self._viewer = viewer
        self.recording = Recording()
        self._preview: LivePreview | None = None
        self._value_range: tuple[float, float] | None = None
        # Weak: the widget, and so the session, may outlive the window.
        self._window = _no_window
        self._window_is_closing = False
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._poll)

    @property
    def is_busy(self) -> bool:
        """Whether a recording goes on, or its end has not been dealt with."""
        return bool(self._timer.isActive())

    def status(self) -> RecordingStatus:
        """A snapshot of the recording."""
        return self.recording.status()

    def start(
        self, source: Source, properties: StorageProperties, window: QWidget
    ) -> None:
        """Record; `window` is asked to stay while it goes on.

        Raises
        ------
        ZarrStreamError
            Nothing was started.
        """
        self.recording.configure(source, properties)
        preview = LivePreview(self._viewer, self.recording, source.describe())
        try:
            self.recording.start()
        except BaseException:
            preview.stop()
            raise
        self._preview = preview
        preview.start()
        self._value_range = source.describe().value_range
        self._guard(window)
        _busy.add(self)
        self._timer.start()

    def stop(self) -> None:
        """Ask the recording to end; returns at once."""
        self.recording.stop()

    def _guard(self, window: QWidget) -> None:
        if window is not self._window():
            window.installEventFilter(self)
            self._window = weakref.ref(window)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Let no window close over a recording before it is written."""
        if event.type() != QEvent.Type.Close or not self.is_busy:
            return False
        if event.spontaneous():
            # A user's click: refused until everything is written, then repeated.
            event.ignore()
            if not self._window_is_closing and self._user_agrees():
                self._close_when_written()
            return True
        # A program's call, which has removed the layers already: no way to refuse.
        self._finish_now()
        return False

    def _close_when_written(self) -> None:
        if self.is_busy:
            self._window_is_closing = True
            self.stop()
        elif (window := self._window()) is not None:
            window.close()  # it ended while the question was open

    def _user_agrees(self) -> bool:
        answer = QMessageBox.question(
            self._window(),
            "Recording",
            "A recording is under way. Stop it, save what was recorded, and close?",
        )
        return bool(answer == QMessageBox.StandardButton.Yes)

    def _finish_now(self) -> None:
        self._end()
        self.stop()
        try:
            self.recording.wait()
        except ZarrStreamError as failure:
            show_error(f"The recording failed: {failure}")

    def _poll(self) -> None:
        status = self.status()
        if status.is_busy:
            return
        try:
            # Before the live layer goes: an empty viewer forgets what is in view.
            if status.frames_committed and status.path and not self._window_is_closing:
                self._reopen(status.path)
            self._notify(status)
        finally:
            self._end()
            self.ended.emit()
            closing, self._window_is_closing = self._window_is_closing, False
            failed = status.finish_reason is FinishReason.FAILED
            # After a failure the window stays: the message is in it.
            if closing and not failed and (window := self._window()) is not None:
                window.close()

    def _end(self) -> None:
        self._timer.stop()
        _busy.discard(self)
        if self._preview is not None:
            self._preview.stop()
            self._preview = None

    def _reopen(self, path: Path) -> None:
        try:
            layers = layers_of(path)
        except (ZarrStreamError, OSError) as error:
            show_error(f"{path} was recorded but could not be opened: {error}")
            return
        for data, meta, kind in layers:
            added = getattr(self._viewer, f"add_{kind}")(data, **meta)
            if self._value_range and kind == "image" and not isinstance(added, list):
                added.contrast_limits_range = self._value_range

    def _notify(self, status: RecordingStatus) -> None:
        frames = "frame" if status.frames_acquired == 1 else "frames"
        counts = (
            f"{status.frames_acquired:,} {frames} acquired, "
            f"{status.frames_committed:,} committed, "
            f"{lost_in_words(status.frames_lost)}"
        )
        if status.finish_reason is FinishReason.FAILED:
            show_error(
                f"The recording failed: {status.error}\n{counts}. What was committed "
                f"is in {status.path}"
            )
        elif status.stop_reason:
            show_warning(
                f"The recording stopped itself: {status.stop_reason}.\n{counts}. Saved "
                f"in {status.path}"
            )
        elif status.frames_lost:
            show_warning(f"{counts}. Saved in {status.path}")
        else:
            show_info(f"{counts}. Saved in {status.path}")


def lost_in_words(lost: int | None) -> str:
    """How many frames were lost, never 0 where nobody can know."""
    return "lost unknown" if lost is None else f"{lost:,} lost"


_sessions: "weakref.WeakValueDictionary[int, Session]" = weakref.WeakValueDictionary()

_busy: set[Session] = set()
"""Kept alive until they have ended, even if the widget is gone."""


def session_of(viewer: Any) -> Session:
    """The one session of a viewer, made when it is first asked for.

    It lives as long as a widget refers to it or a recording goes on.
    """
    # Plugins are given a proxy, each its own.
    viewer = getattr(viewer, "__wrapped__", viewer)
    session = _sessions.get(id(viewer.window))
    if session is None:
        session = _sessions[id(viewer.window)] = Session(viewer)
    return session
