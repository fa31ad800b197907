"""One run of a recording: a source read to its end into a stream, and its counts.

Knows no states: those around it are the recording's. What is asked of a run is asked of
no other: a read that hung in its driver and comes back later finds its own run ended.
"""

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from napari_zarr_stream._sources.open_stream import channels_of
from napari_zarr_stream._sources.source import Source, SourceDescription
from napari_zarr_stream._writer.contrast import range_of
from napari_zarr_stream._writer.errors import SourceFailed, ZarrStreamError
from napari_zarr_stream._writer.properties import Channel
from napari_zarr_stream._writer.record import RecordKey, universal_time
from napari_zarr_stream._writer.stream import ZarrStream
from napari_zarr_stream.cameras.host_clock import follow_date, host_time_ns
from napari_zarr_stream.cameras.protocol import CameraEnded, FrameInfo
from napari_zarr_stream.cameras.viewfinder import Viewfinder

from .disk import DiskWatch
from .frame_infos import FrameInfos
from .pace import Pace
from .states import FinishReason, RecordingState, RecordingStatus
from .timetable import Timetable, clock
from .watched import WatchedStream

READ_TIMEOUT_S = 0.1
"""A stop is heard at least this often; SDKs wait in longer and shorter steps alike."""

SILENT_S = 5.0
"""Frames may be late by this and what two of them take before it is worth a word."""

LOG_INTERVAL_S = 0.1
"""What is known of frames is written this often: hardly later than their pixels."""

NEAR_S = 0.2
"""So long before a frame is due, those that come are looked at one by one: one that is
in time may have waited in a ring behind others."""

NOTE_INTERVAL_S = 1.0
"""What was changed while it records is in the record this soon: a program that is
killed then has not lost it."""

GATE_POLL_S = 0.01
"""How late a source without frames may be at a gate that opens."""


class Gate(threading.Event):
    """The moment at which sources that were started begin to be recorded; then set.

    Parameters
    ----------
    drains : bool
        Whether frames that come before are thrown away, so that all sources begin
        together. If not they wait in the source, and are the first to be recorded.

    Attributes
    ----------
    opened_at : float
        On the `clock`, when it is open.
    """

    def __init__(self, *, drains: bool) -> None:
        super().__init__()
        self.drains = drains
        self.opened_at = 0.0

    def set(self) -> None:
        """Open it."""
        self.opened_at = clock()
        super().set()


class Run:
    """Reads a source into a stream, once.

    Parameters
    ----------
    source : Source
    description : SourceDescription
    stream : ZarrStream
        It is closed in the end.
    disk : DiskWatch
    gate : Gate, optional
        The source is started at once, but the first frame is taken when this is open.

    Attributes
    ----------
    may_begin : Event
        Set when the recording is said to be running.
    stop_asked, abort_asked : Event
        Take no more frames; drop what is queued as well.
    source_started : Event
        It did, or it failed.
    viewfinder : Viewfinder
    error : ZarrStreamError or None
        The first failure.
    """

    def __init__(
        self,
        source: Source,
        description: SourceDescription,
        stream: ZarrStream,
        disk: DiskWatch,
        gate: Gate | None,
    ) -> None:
        self.may_begin = threading.Event()
        self.stop_asked = threading.Event()
        self.abort_asked = threading.Event()
        self.source_started = threading.Event()
        self.viewfinder = Viewfinder(stream.planes_per_frame)
        self.error: ZarrStreamError | None = None
        self._source = source
        self._description = description
        self._stream = stream
        self._disk = disk
        self._gate = gate
        plan = stream.plan
        is_whole = plan.planes_per_step == stream.planes_per_frame
        is_frame = not plan.outer or (plan.axes[0] == "t" and is_whole)
        self._counted = "frame" if is_frame else "plane"
        self._finish_reason: FinishReason | None = None
        self._lost: int | None = None
        self._infos = FrameInfos(are_asked_for=bool(description.rests))
        self._timetable = Timetable(
            description.interval_s, description.duration_s, description.frame_time_s
        )
        self._end_of_source: CameraEnded | None = None
        self._is_time_over = False
        self._stop_reason = ""
        self._elapsed_s = 0.0
        self._note_begin()

    def read(self) -> None:
        """Read the source until it ends, is stopped or fails."""
        with self._keeping_failure():
            self._disk.start(lambda: self._stream.status().bytes_written)
            self._source.run(self._read_all, self._is_stopping)
        self._disk.stop()
        self.source_started.set()

    def finish(self) -> None:
        """Write what was taken, and what is known of it, and close the stream."""
        try:
            with self._keeping_failure():
                self._stream.log_frames(self._infos.take())
            with self._keeping_failure():
                self._annotate()
            with self._keeping_failure():
                if self.abort_asked.is_set():
                    self._stream.abort()
                else:
                    self._stream.close()
        finally:
            self._finish_reason = self._reason()
            self._elapsed_s = time.perf_counter() - self._started_at

    def status(self, state: RecordingState) -> RecordingStatus:
        """A snapshot of a recording in this state; from any thread."""
        written = self._stream.status()
        plan = self._stream.plan
        busy = state in (RecordingState.RUNNING, RecordingState.FLUSHING)
        elapsed = time.perf_counter() - self._started_at if busy else self._elapsed_s
        frames = written.frames_appended
        rate = frames / elapsed if elapsed else 0.0
        if busy:
            rate = self._pace.frames_per_second
        is_running = state is RecordingState.RUNNING
        return RecordingStatus(
            state=state,
            finish_reason=None if busy else self._finish_reason,
            path=self._stream.properties.path,
            plan=plan,
            counted=self._counted,
            frames_expected=None
            if plan.planes is None
            else plan.planes // self._stream.planes_per_frame,
            frames_acquired=frames,
            frames_committed=written.frames_committed,
            frames_lost=self._lost,
            lost_share=self._pace.lost_share if is_running else 0.0,
            queue_was_full=is_running and self._pace.queue_was_full,
            frames_incomplete=self._infos.incomplete,
            frames_out_of_order=self._infos.out_of_order,
            frames_untimed=self._infos.untimed,
            interval_s=self._timetable.interval_s,
            next_frame_s=max(0.0, self._timetable.wait_s)
            if is_running and self._timetable.interval_s
            else None,
            frames_late=self._timetable.late,
            frames_missing=self._timetable.missing,
            bytes_acquired=written.bytes_appended,
            bytes_written=written.bytes_written,
            queue_fill=written.queue_fill,
            elapsed_s=elapsed,
            frames_per_second=rate,
            bytes_per_second=rate
            * plan.bytes_per_plane
            * self._stream.planes_per_frame,
            error=self.error or written.error,
            stop_reason=self._stop_reason,
            silent_s=self._silent_s() if is_running else 0.0,
            disk_seconds_left=self._disk.seconds_left if busy else None,
        )

    def _silent_s(self) -> float:
        """See `RecordingStatus.silent_s`."""
        waited = time.perf_counter() - self._came_at
        if self._timetable.interval_s:
            waited = min(waited, -self._timetable.wait_s)
        patience = SILENT_S + 2 * self._description.frame_time_s
        return waited if waited > patience else 0.0

    def _read_all(self) -> None:
        """Start, read, stop: where the source has it done."""
        with self._keeping_failure():
            self._source.start()
            self.source_started.set()
            self._wait_at_gate()
            self._note_begin()
            self._read_to_end()
        with self._keeping_failure():
            self._source.stop()
            self._lost = self._source.lost

    def _wait_at_gate(self) -> None:
        """Return at the moment of Record: what came before is of no recording."""
        gate = self._gate
        if gate is None:
            return
        # In a time lapse the first frame is one of that moment, too.
        if not gate.drains and not self._timetable.interval_s:
            gate.wait()
        while not gate.is_set():
            if (info := self._source.drain(READ_TIMEOUT_S)) is not None:
                self._infos.pass_by(info)
            else:
                gate.wait(GATE_POLL_S)

    def _note_begin(self) -> None:
        """Count time from here: what a source needs to start does not count."""
        now = begun_at = clock()
        if self._gate is not None and self._gate.is_set():
            begun_at = self._gate.opened_at  # the same moment for all sources
        self._begun_ns = host_time_ns() - round((now - begun_at) * 1e9)
        self._timetable.begin(begun_at)
        self._started_at = self._came_at = time.perf_counter()
        self._pace = Pace(self._started_at)

    def _is_stopping(self) -> bool:
        """Whether somebody stopped it, or nobody could any more."""
        return self.stop_asked.is_set() or _is_orphan(self._stream.plan.planes)

    @contextlib.contextmanager
    def _keeping_failure(self) -> Iterator[None]:
        """Keep the first failure inside, of whatever type."""
        try:
            yield
        except ZarrStreamError as failure:
            self.error = self.error or failure
        except Exception as error:  # noqa: BLE001 - kept; raised from `Recording.wait`
            unexpected = SourceFailed(f"the recording failed: {error!r}")
            unexpected.__cause__ = error
            self.error = self.error or unexpected

    def _read_to_end(self) -> None:
        source, stream = self._source, self._stream
        room = stream.plan.planes
        sink = WatchedStream(stream, self.viewfinder.look, self._is_wanted)
        frames = 0
        logged_at = noted_at = self._started_at
        noted: Sequence[Mapping[str, Any]] = ()
        while room is None or frames * stream.planes_per_frame < room:
            if self._is_stopping():
                return
            if self._timetable.is_over:
                self._is_time_over = True
                return
            try:
                if not self._passes_time():
                    info = source.feed(sink, READ_TIMEOUT_S)
                    if info is not None:
                        self._infos.add(info)
            except CameraEnded as end:
                self._end_of_source = end
                return
            self._lost = source.lost
            now, written = time.perf_counter(), stream.status()
            if written.frames_appended > frames:
                frames, self._came_at = written.frames_appended, now
            self._pace.note(now, frames, self._lost, written.queue_fill)
            if now - logged_at > LOG_INTERVAL_S:
                stream.log_frames(self._infos.take())
                logged_at = now
            if now - noted_at > NOTE_INTERVAL_S:
                noted_at, before = now, noted
                noted = source.events
                if len(noted) > len(before):
                    stream.log_frames({}, {RecordKey.EVENTS: list(noted)})
            self._stop_reason = self._disk.reason_to_stop
            if self._stop_reason:
                return

    def _passes_time(self) -> bool:
        """Let a while pass where no frame is due soon: what comes then is not taken."""
        if not self._timetable.interval_s:
            return False
        if self._timetable.leave_out():
            follow_date()  # the counter stood still while the computer slept
        wait_s = self._timetable.wait_s - (0 if self._description.rests else NEAR_S)
        if wait_s <= 0:
            return False
        began_at = time.perf_counter()
        if (info := self._source.drain(min(wait_s, READ_TIMEOUT_S))) is not None:
            self._infos.pass_by(info)
        else:
            wait_s = min(wait_s, READ_TIMEOUT_S) - (time.perf_counter() - began_at)
            self.stop_asked.wait(max(0.0, wait_s))
        return True

    def _is_wanted(self, info: FrameInfo) -> bool:
        """Whether a frame that was read is the one that is due, and not of before."""
        if not self._timetable.interval_s:
            return True
        came_ns = self._infos.pass_by(info)
        late_s = (came_ns - host_time_ns()) / 1e9 - self._timetable.wait_s
        if late_s < 0:
            return False
        self._timetable.came(late_s)
        return True

    def _reason(self) -> FinishReason:
        if self.error is not None:
            return FinishReason.FAILED
        if self.abort_asked.is_set():
            return FinishReason.ABORTED
        frames = self._stream.status().frames_appended
        whole = frames * self._stream.planes_per_frame == self._stream.plan.planes
        if whole or self._is_time_over or self._end_of_source is not None:
            return FinishReason.COMPLETED
        return FinishReason.STOPPED

    def _annotate(self) -> None:
        record: dict[str, Any] = {
            RecordKey.START_TIME: universal_time(self._begun_ns),
            RecordKey.FRAMES_ACQUIRED: self._stream.status().frames_appended,
            RecordKey.FRAMES_LOST: "unknown" if self._lost is None else self._lost,
            RecordKey.FRAMES_INCOMPLETE: self._infos.incomplete,
            RecordKey.FRAMES_OUT_OF_ORDER: self._infos.out_of_order,
            RecordKey.FRAMES_UNTIMED: self._infos.untimed,
            RecordKey.FINISH_REASON: self._reason().value,
        }
        if self._timetable.interval_s:
            record[RecordKey.FRAMES_LATE] = self._timetable.late
            record[RecordKey.FRAMES_MISSING] = self._timetable.missing
        if self.error is not None:
            record[RecordKey.ERROR] = str(self.error)
        if self._end_of_source is not None:
            record[RecordKey.END_OF_SOURCE] = str(self._end_of_source)
        if self._stop_reason:
            record[RecordKey.STOP_REASON] = self._stop_reason
        if events := self._source.events:
            record[RecordKey.EVENTS] = list(events)
        self._stream.annotate(
            channels=self._channels(),
            record=record,
            interval_s=(self._timetable.interval_s or self._infos.interval_s)
            if self._description.axes[0] == "t"
            else None,
        )

    def _channels(self) -> Sequence[Channel] | None:
        """As they were described, with limits of the pixels where there were none."""
        channels = channels_of(self._description)
        limits = self.viewfinder.contrast_limits
        if self._description.channels is not None or not channels or not limits:
            return channels
        expected = self._description.value_range or range_of(self._stream.plan.dtype)
        return (replace(channels[0], contrast_limits=limits, value_range=expected),)


def _is_orphan(room: int | None) -> bool:
    """Whether the program ended and this run would not: nobody could stop it."""
    return room is None and not threading.main_thread().is_alive()
