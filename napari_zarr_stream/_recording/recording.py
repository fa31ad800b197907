"""One source into one stream: configure, start, stop, status.

Knows no Qt and no napari: a window polls `Recording.status` and `Recording.newest`.

Guarantees of the recording thread:

* it is not a daemon: the interpreter waits until everything is written;
* whatever ends it, the source is stopped and the stream closed;
* the first failure is kept: in `status`, and raised from `wait`.
"""

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from napari_zarr_stream._sources.source import Source, SourceDescription
from napari_zarr_stream._writer.contrast import contrast_limits_of
from napari_zarr_stream._writer.errors import (
    IllegalTransition,
    SourceFailed,
    ZarrStreamError,
)
from napari_zarr_stream._writer.intake import Place
from napari_zarr_stream._writer.plan import Plan, plan
from napari_zarr_stream._writer.properties import Channel, StorageProperties
from napari_zarr_stream._writer.store import Store
from napari_zarr_stream._writer.stream import StreamStatus, ZarrStream
from napari_zarr_stream.cameras.protocol import CameraEnded

from .disk import RESERVE_BYTES, DiskWatch
from .frame_infos import FrameInfos

T = TypeVar("T")

READ_TIMEOUT_S = 0.1
"""A stop is heard at least this often; SDKs wait in longer and shorter steps alike."""

SILENT_S = 5.0
"""Frames may be late by this and two of their periods before it is worth a word."""

RATE_WINDOW_S = 0.5
"""Rates are taken over this: shorter flickers, longer lags behind what is seen."""

LOG_INTERVAL_S = 0.1
"""What is known of frames is written this often: hardly later than their pixels."""


class RecordingState(Enum):
    """Where a recording is; why it ended is `FinishReason`."""

    AWAITING_CONFIGURATION = "awaiting configuration"
    ARMED = "armed"
    RUNNING = "running"
    FLUSHING = "flushing"
    CLOSED = "closed"


class FinishReason(Enum):
    """Why the last run ended."""

    COMPLETED = "completed"
    STOPPED = "stopped"
    ABORTED = "aborted"
    FAILED = "failed"


class _Event(Enum):
    CONFIGURE = "configure"
    START = "start"
    END = "end"  # the source is done, someone stopped it, or something failed
    FLUSHED = "flushed"
    CLOSE = "close"


_S = RecordingState

TRANSITIONS: Mapping[tuple[RecordingState, _Event], RecordingState] = MappingProxyType(
    {
        (_S.AWAITING_CONFIGURATION, _Event.CONFIGURE): _S.ARMED,
        (_S.AWAITING_CONFIGURATION, _Event.CLOSE): _S.CLOSED,
        (_S.ARMED, _Event.CONFIGURE): _S.ARMED,
        (_S.ARMED, _Event.START): _S.RUNNING,
        (_S.ARMED, _Event.CLOSE): _S.CLOSED,
        (_S.RUNNING, _Event.END): _S.FLUSHING,
        (_S.FLUSHING, _Event.FLUSHED): _S.ARMED,
        (_S.CLOSED, _Event.CLOSE): _S.CLOSED,
    }
)
"""Every legal move. Only `Recording._move` assigns the state."""


@dataclass(frozen=True, slots=True)
class RecordingStatus:
    """A snapshot of a recording.

    Attributes
    ----------
    state : RecordingState
    finish_reason : FinishReason or None
        Of the last run; None while one goes on and before the first.
    path : Path or None
    plan : Plan or None
    frames_acquired, frames_committed : int
        Frames taken from the source, and readable by another program now.
    frames_lost : int or None
        None where the source cannot know.
    frames_incomplete : int
        Of those acquired, how many the camera said have pixels missing.
    frames_out_of_order : int
        Of those acquired, how many have no higher number than the one before.
    frames_untimed : int
        Of those acquired, how many came without a time of the camera's own.
    bytes_acquired, bytes_written : int
        Raw, and stored after compression at all levels.
    queue_fill : float
        0 to 1.
    elapsed_s : float
        From the start to the end of the flush.
    frames_per_second, bytes_per_second : float
        Of late, acquired; over the whole run once it is over.
    error : ZarrStreamError or None
        The first failure.
    stop_reason : str
        Why the recording stopped itself; empty where it did not.
    silent_s : float
        For how long no frame has come, where one is overdue; 0 otherwise.
    disk_seconds_left : float or None
        Until the reserve of the disk is reached at the rate of late; None where that
        is not known, and when nothing is recorded.
    """

    state: RecordingState
    finish_reason: FinishReason | None = None
    path: Path | None = None
    plan: Plan | None = None
    frames_acquired: int = 0
    frames_committed: int = 0
    frames_lost: int | None = 0
    frames_incomplete: int = 0
    frames_out_of_order: int = 0
    frames_untimed: int = 0
    bytes_acquired: int = 0
    bytes_written: int = 0
    queue_fill: float = 0.0
    elapsed_s: float = 0.0
    frames_per_second: float = 0.0
    bytes_per_second: float = 0.0
    error: ZarrStreamError | None = None
    stop_reason: str = ""
    silent_s: float = 0.0
    disk_seconds_left: float | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a run goes on or is being written to its end."""
        return self.state in (RecordingState.RUNNING, RecordingState.FLUSHING)


class _Watched:
    """A stream, and somebody who looks at what goes into it.

    Parameters
    ----------
    stream : ZarrStream
    look : callable
        Is given planes while they are valid.
    """

    def __init__(
        self, stream: ZarrStream, look: Callable[[npt.NDArray[np.generic]], None]
    ) -> None:
        self._stream = stream
        self._look = look

    def append(self, frames: npt.ArrayLike) -> None:
        """See `Sink.append`."""
        self._stream.append(frames)
        self._look(np.asarray(frames))

    def fill(self, read: Callable[[Place], T | None]) -> T | None:
        """See `Sink.fill`."""
        return self._stream.fill(read, self._look)


class Recording:
    """Reads a source in a thread of its own and streams it to a store.

    Parameters
    ----------
    source : Source, optional
    properties : StorageProperties, optional
        As for `configure`.
    reserve_bytes : int
        Left free on the disk: the recording stops itself before. 0 for none.
    """

    def __init__(
        self,
        source: Source | None = None,
        properties: StorageProperties | None = None,
        *,
        reserve_bytes: int = RESERVE_BYTES,
    ) -> None:
        self.reserve_bytes = reserve_bytes
        # One of `configure`, `start`, `close` at a time; taken before _lock.
        self._control = threading.Lock()
        self._lock = threading.Lock()
        self._state = RecordingState.AWAITING_CONFIGURATION  # guarded by _lock
        self._ended = threading.Event()
        self._ended.set()
        self._stop_asked = threading.Event()
        self._abort_asked = threading.Event()
        self._frame_wanted = threading.Event()
        self._source_started = threading.Event()  # or it failed
        self._gate: threading.Event | None = None
        self._source: Source | None = None
        self._description: SourceDescription | None = None
        self._properties: StorageProperties | None = None
        self._plan: Plan | None = None
        self._stream: ZarrStream | None = None
        self._disk: DiskWatch | None = None
        self._clear()
        if source is not None and properties is not None:
            self.configure(source, properties)

    def _clear(self) -> None:
        self._finish_reason: FinishReason | None = None
        self._error: ZarrStreamError | None = None
        self._newest: npt.NDArray[np.generic] | None = None
        self._contrast_limits: tuple[float, float] | None = None
        self._lost: int | None = None
        self._infos = FrameInfos()
        self._end_of_source: CameraEnded | None = None
        self._stop_reason = ""
        self._started_at = self._came_at = 0.0
        self._elapsed_s = 0.0
        self._rate = 0.0

    def _move(self, event: _Event) -> None:
        with self._lock:
            try:
                self._state = TRANSITIONS[self._state, event]
            except KeyError:
                raise IllegalTransition(
                    f"cannot {event.value} a recording that is {self._state.value}"
                ) from None

    # ------------------------------------------------------------ from any thread

    def configure(self, source: Source, properties: StorageProperties) -> Plan:
        """Choose what to record and how; touches no disk.

        Raises
        ------
        InvalidProperties
            These cannot go together. Nothing was changed.
        IllegalTransition
            While a run goes on, and after `close`.
        """
        description = source.describe()
        planned = plan(
            properties,
            axes=description.axes,
            shape=description.shape,
            dtype=description.dtype,
        )
        with self._control:
            self._move(_Event.CONFIGURE)
            self._source, self._properties = source, properties
            self._description, self._plan = description, planned
        return planned

    def start(
        self, *, store: Store | None = None, gate: threading.Event | None = None
    ) -> None:
        """Make the store, here, and begin to record, in a thread.

        Parameters
        ----------
        store : Store, optional
            Where to write, instead of at the path of the properties.
        gate : Event, optional
            The source is started at once, but the first frame read when this is set.

        Raises
        ------
        StoreExists, WriteFailed, InvalidProperties
            The store could not be made, or less than the reserve is free. The recording
            is armed as before.
        IllegalTransition
        """
        with self._control:
            self._start(store, gate)

    def _start(self, store: Store | None, gate: threading.Event | None) -> None:
        """See `start`. Caller must hold `_control`."""
        with self._lock:
            if (self._state, _Event.START) not in TRANSITIONS:
                raise IllegalTransition(
                    f"cannot start a recording that is {self._state.value}"
                )
        assert self._description is not None
        assert self._properties is not None
        disk = DiskWatch(self._properties.path, self.reserve_bytes)
        disk.check()
        self._stream = _open_stream(self._properties, self._description, store)
        self._disk = disk
        self._clear()
        self._ended.clear()
        self._stop_asked.clear()
        self._abort_asked.clear()
        self._source_started.clear()
        self._gate = gate
        self._started_at = self._came_at = time.monotonic()
        self._move(_Event.START)
        threading.Thread(target=self._run, name="recording", daemon=False).start()

    def wait_for_source(self) -> None:
        """Return when the source has started.

        Raises
        ------
        ZarrStreamError
            It could not.
        """
        self._source_started.wait()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Take no more frames and write what was taken. Returns at once."""
        self._stop_asked.set()

    def abort(self) -> None:
        """Take no more frames and drop what is queued. Returns at once."""
        self._abort_asked.set()
        self._stop_asked.set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the end of the run; False if it did not come in time.

        Raises
        ------
        ZarrStreamError
            The first failure of the run.
        """
        if not self._ended.wait(timeout_s):
            return False
        if self._error is not None:
            raise self._error
        return True

    def close(self) -> None:
        """Let go of the source; the recording cannot be used any more.

        Raises
        ------
        IllegalTransition
            While a run goes on: `stop` and `wait` first.
        """
        with self._control:
            self._move(_Event.CLOSE)
            self._source = None

    def status(self) -> RecordingStatus:
        """A snapshot; cheap, takes no lock for long."""
        stream = self._stream
        if stream is None or self._properties is None:
            return RecordingStatus(state=self._state, plan=self._plan)
        written: StreamStatus = stream.status()
        busy = self._state in (RecordingState.RUNNING, RecordingState.FLUSHING)
        elapsed = time.monotonic() - self._started_at if busy else self._elapsed_s
        frames = written.frames_appended
        rate = self._rate if busy else frames / elapsed if elapsed else 0.0
        return RecordingStatus(
            state=self._state,
            finish_reason=None if busy else self._finish_reason,
            path=stream.properties.path,
            plan=stream.plan,
            frames_acquired=frames,
            frames_committed=written.frames_committed,
            frames_lost=self._lost,
            frames_incomplete=self._infos.incomplete,
            frames_out_of_order=self._infos.out_of_order,
            frames_untimed=self._infos.untimed,
            bytes_acquired=written.bytes_appended,
            bytes_written=written.bytes_written,
            queue_fill=written.queue_fill,
            elapsed_s=elapsed,
            frames_per_second=rate,
            bytes_per_second=rate
            * stream.plan.bytes_per_plane
            * stream.planes_per_frame,
            error=self._error or written.error,
            stop_reason=self._stop_reason,
            silent_s=self._silent_s(),
            disk_seconds_left=self._disk.seconds_left if busy and self._disk else None,
        )

    def _silent_s(self) -> float:
        """See `RecordingStatus.silent_s`."""
        assert self._description is not None
        waited = time.monotonic() - self._came_at
        patience = SILENT_S + 2 / (self._description.frame_rate or math.inf)
        is_late = self._state is RecordingState.RUNNING and waited > patience
        return waited if is_late else 0.0

    @property
    def contrast_limits(self) -> tuple[float, float] | None:
        """Taken from the first frame, or what was set since; kept in the store."""
        return self._contrast_limits

    @contrast_limits.setter
    def contrast_limits(self, limits: tuple[float, float]) -> None:
        self._contrast_limits = limits

    def newest(self) -> npt.NDArray[np.generic] | None:
        """A copy of the newest plane that nobody was given yet, None if there is none.

        (3, height, width) of a colour camera.
        Asks for the next one: frames are copied only as often as they are shown.
        """
        self._frame_wanted.set()
        plane, self._newest = self._newest, None
        return plane

    # ----------------------------------------------------- in the recording's thread

    def _run(self) -> None:
        """Record from start to end. Thread "recording"."""
        assert self._source is not None
        assert self._stream is not None
        source, stream = self._source, self._stream
        with self._keeping_failure():
            source.run(lambda: self._read_all(source, stream), self._is_stopping)
        self._source_started.set()
        self._move(_Event.END)
        try:
            with self._keeping_failure():
                stream.log_frames(self._infos.take())
            with self._keeping_failure():
                self._annotate(stream)
            with self._keeping_failure():
                stream.abort() if self._abort_asked.is_set() else stream.close()
        finally:
            self._finish_reason = self._reason(stream)
            self._elapsed_s = time.monotonic() - self._started_at
            self._move(_Event.FLUSHED)
            self._ended.set()

    def _read_all(self, source: Source, stream: ZarrStream) -> None:
        """Start, read, stop: where the source has it done."""
        with self._keeping_failure():
            source.start()
            self._source_started.set()
            if self._gate is not None:
                self._gate.wait()
            self._read_to_end(source, stream)
        with self._keeping_failure():
            source.stop()
            self._lost = source.lost

    def _is_stopping(self) -> bool:
        """Whether somebody stopped it, or nobody could any more."""
        assert self._stream is not None
        return self._stop_asked.is_set() or _is_orphan(self._stream.plan.planes)

    @contextlib.contextmanager
    def _keeping_failure(self) -> Iterator[None]:
        """Keep the first failure inside, of whatever type."""
        try:
            yield
        except ZarrStreamError as failure:
            self._error = self._error or failure
        except Exception as error:  # noqa: BLE001 - kept; raised from `wait`
            unexpected = SourceFailed(f"the recording failed: {error!r}")
            unexpected.__cause__ = error
            self._error = self._error or unexpected

    def _read_to_end(self, source: Source, stream: ZarrStream) -> None:
        assert self._disk is not None
        disk, room = self._disk, stream.plan.planes
        sink = _Watched(stream, partial(self._look_at, stream.planes_per_frame))
        frames, counted = 0, 0
        counted_at = logged_at = self._started_at
        while room is None or frames * stream.planes_per_frame < room:
            if self._is_stopping():
                return
            try:
                info = source.feed(sink, READ_TIMEOUT_S)
            except CameraEnded as end:
                self._end_of_source = end
                return
            if info is not None:
                self._infos.add(info)
            self._lost = source.lost
            now = time.monotonic()
            if (appended := stream.status().frames_appended) > frames:
                frames, self._came_at = appended, now
            if now - counted_at > RATE_WINDOW_S:
                self._rate = (frames - counted) / (now - counted_at)
                counted, counted_at = frames, now
            if now - logged_at > LOG_INTERVAL_S:
                stream.log_frames(self._infos.take())
                logged_at = now
            self._stop_reason = disk.look(stream.status().bytes_written)
            if self._stop_reason:
                return

    def _look_at(self, planes_per_frame: int, planes: npt.NDArray[np.generic]) -> None:
        """Take what is shown: the newest plane, or red, green and blue."""
        plane = planes
        if planes.ndim == 3:
            plane = planes[-1 - planes_per_frame // 2]
        if self._contrast_limits is None:
            self._contrast_limits = contrast_limits_of(plane)
        if self._frame_wanted.is_set():
            self._frame_wanted.clear()
            shown = planes[-3:] if planes_per_frame == 3 else plane
            self._newest = shown.copy()

    def _reason(self, stream: ZarrStream) -> FinishReason:
        if self._error is not None:
            return FinishReason.FAILED
        if self._abort_asked.is_set():
            return FinishReason.ABORTED
        frames = stream.status().frames_appended
        whole = frames * stream.planes_per_frame == stream.plan.planes
        if whole or self._end_of_source is not None:
            return FinishReason.COMPLETED
        return FinishReason.STOPPED

    def _annotate(self, stream: ZarrStream) -> None:
        assert self._description is not None
        record: dict[str, Any] = {
            "frames_acquired": stream.status().frames_appended,
            "frames_lost": "unknown" if self._lost is None else self._lost,
            "frames_incomplete": self._infos.incomplete,
            "frames_out_of_order": self._infos.out_of_order,
            "frames_untimed": self._infos.untimed,
            "finish_reason": self._reason(stream).value,
        }
        if self._error is not None:
            record["error"] = str(self._error)
        if self._end_of_source is not None:
            record["end_of_source"] = str(self._end_of_source)
        if self._stop_reason:
            record["stop_reason"] = self._stop_reason
        channels = _channels_of(self._description)
        if self._description.channels is None and channels and self._contrast_limits:
            channels = (replace(channels[0], contrast_limits=self._contrast_limits),)
        stream.annotate(channels=channels, record=record)


def _channels_of(description: SourceDescription) -> Sequence[Channel] | None:
    """Those of a source, or one named as it is where there is no axis for them."""
    if description.channels is None and "c" not in description.axes:
        return (Channel(description.name, value_range=description.value_range),)
    return description.channels


def _open_stream(
    properties: StorageProperties, description: SourceDescription, store: Store | None
) -> ZarrStream:
    return ZarrStream(
        properties,
        axes=description.axes,
        shape=description.shape,
        dtype=description.dtype,
        scale=description.scale,
        translation=description.translation,
        units=description.units,
        channels=_channels_of(description),
        name=description.name,
        is_label=description.is_label,
        record=description.record,
        store=store,
        planes_per_frame=description.planes_per_frame,
    )


def _is_orphan(room: int | None) -> bool:
    """Whether the program ended and this run would not: nobody could stop it."""
    return room is None and not threading.main_thread().is_alive()
