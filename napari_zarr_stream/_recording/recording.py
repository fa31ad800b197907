"""One source into one stream: configure, start, stop, status.

Knows no Qt and no napari: a window polls `Recording.status` and `Recording.newest`.

Guarantees of the recording thread:

* it is not a daemon: the interpreter waits until everything is written;
* whatever ends it, the source is stopped and the stream closed;
* the first failure is kept: in `status`, and raised from `wait`.
"""

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_zarr_stream._sources.open_stream import open_stream, plan_of
from napari_zarr_stream._sources.source import Source, SourceDescription
from napari_zarr_stream._writer.errors import IllegalTransition, SourceFailed
from napari_zarr_stream._writer.local_store import LocalStore
from napari_zarr_stream._writer.plan import Plan
from napari_zarr_stream._writer.properties import StorageProperties
from napari_zarr_stream._writer.record import RecordKey
from napari_zarr_stream._writer.store import Store

from .awake import kept_awake
from .disk import RESERVE_BYTES, DiskWatch
from .run import Gate, Run
from .states import TRANSITIONS, RecordingEvent, RecordingState, RecordingStatus

if TYPE_CHECKING:
    from .uploading import ImageUpload


class Recording:
    """Reads a source in a thread of its own and streams it to a store.

    Parameters
    ----------
    source : Source, optional
    properties : StorageProperties, optional
        As for `configure`.
    reserve_bytes : int
        Left free on the disk: the recording stops itself before. 0 for none.

    Attributes
    ----------
    notes : str
        Kept in the record of the next run.
    upload : ImageUpload or None
        What brings its store away.
    """

    def __init__(
        self,
        source: Source | None = None,
        properties: StorageProperties | None = None,
        *,
        reserve_bytes: int = RESERVE_BYTES,
    ) -> None:
        self.reserve_bytes = reserve_bytes
        self.notes = ""
        self.upload: ImageUpload | None = None
        # One of `configure`, `start`, `close` at a time; taken before _lock.
        self._control = threading.Lock()
        self._lock = threading.Lock()
        self._state = RecordingState.AWAITING_CONFIGURATION  # guarded by _lock
        self._ended = threading.Event()
        self._ended.set()
        self._source: Source | None = None
        self._description: SourceDescription | None = None
        self._properties: StorageProperties | None = None
        self._plan: Plan | None = None
        self._run: Run | None = None  # the last one
        if source is not None and properties is not None:
            self.configure(source, properties)

    def _move(self, event: RecordingEvent) -> None:
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
        planned = plan_of(properties, description)
        with self._control:
            self._move(RecordingEvent.CONFIGURE)
            self._source, self._properties = source, properties
            self._description, self._plan = description, planned
        return planned

    @property
    def description(self) -> SourceDescription:
        """Of the source, as it was when it was chosen.

        Raises
        ------
        IllegalTransition
            Before `configure`.
        """
        if self._description is None:
            raise IllegalTransition("a recording without a source has no description")
        return self._description

    def start(self, *, store: Store | None = None, gate: Gate | None = None) -> None:
        """Make the store, here, and begin to record, in a thread.

        Parameters
        ----------
        store : Store, optional
            Where to write, instead of at the path of the properties.
        gate : Gate, optional
            The source is started at once, but the first frame is taken when it is open.

        Raises
        ------
        StoreExists, WriteFailed, InvalidProperties, SourceFailed
            The store could not be made, less than the reserve is free, or the system
            gives no thread. The recording is armed as before, and nothing is left.
        IllegalTransition
        """
        with self._control:
            self._start(store, gate)

    def _start(self, store: Store | None, gate: Gate | None) -> None:
        """See `start`. Caller must hold `_control`."""
        with self._lock:
            if (self._state, RecordingEvent.START) not in TRANSITIONS:
                raise IllegalTransition(
                    f"cannot start a recording that is {self._state.value}"
                )
        assert self._source is not None
        assert self._description is not None
        assert self._properties is not None
        disk = DiskWatch(
            self._properties.path,
            self._reserve_with_queue(),
            self._description.interval_s,
        )
        disk.check()
        place = store or LocalStore(self._properties.path, self._properties.overwrite)
        described = self._description
        if self.notes:
            record = {**described.record, RecordKey.NOTES: self.notes}
            described = replace(described, record=record)
        stream = open_stream(self._properties, described, place)
        run = Run(self._source, described, stream, disk, gate)
        thread = threading.Thread(
            target=self._record, args=(run,), name="recording", daemon=False
        )
        try:
            thread.start()
        except RuntimeError as error:
            stream.abort()
            if isinstance(place, LocalStore):
                place.withdraw()
            raise SourceFailed(
                f"the recording could not start: {error}. Close other programs"
            ) from error
        self._run = run
        self._ended.clear()
        self._move(RecordingEvent.START)
        run.may_begin.set()

    def _reserve_with_queue(self) -> int:
        """The reserve has room for what waits when it is reached."""
        assert self._plan is not None
        return (
            self.reserve_bytes and self.reserve_bytes + self._plan.memory.buffer_bytes
        )

    def _record(self, run: Run) -> None:
        """Record from start to end. Thread "recording"."""
        run.may_begin.wait()
        with kept_awake():
            run.read()
            self._move(RecordingEvent.END)
            try:
                run.finish()
            finally:
                self._move(RecordingEvent.FLUSHED)
                self._ended.set()

    def wait_for_source(self, timeout_s: float) -> bool:
        """Wait until the source has started; False if it did not come in time.

        Raises
        ------
        ZarrStreamError
            It could not, or has failed since.
        """
        assert self._run is not None
        has_started = self._run.source_started.wait(timeout_s)
        if self._run.error is not None:
            raise self._run.error
        return has_started

    def stop(self) -> None:
        """Take no more frames and write what was taken. Returns at once."""
        if self._run is not None:
            self._run.stop_asked.set()

    def abort(self) -> None:
        """Take no more frames and drop what is queued. Returns at once."""
        if self._run is not None:
            self._run.abort_asked.set()
            self._run.stop_asked.set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the end of the run; False if it did not come in time.

        Raises
        ------
        ZarrStreamError
            The first failure of the run.
        """
        if not self._ended.wait(timeout_s):
            return False
        if self._run is not None and self._run.error is not None:
            raise self._run.error
        return True

    def close(self) -> None:
        """Let go of the source; the recording cannot be used any more.

        Raises
        ------
        IllegalTransition
            While a run goes on: `stop` and `wait` first.
        """
        with self._control:
            self._move(RecordingEvent.CLOSE)
            self._source = None

    def status(self) -> RecordingStatus:
        """A snapshot; cheap, takes no lock for long."""
        run, state = self._run, self._state
        if run is None:
            return RecordingStatus(state=state, plan=self._plan)
        status = run.status(state)
        if self.upload is None:
            return status
        return self.upload.shown_in(status, self.description.planes_per_frame)

    @property
    def contrast_limits(self) -> tuple[float, float] | None:
        """See `Viewfinder.contrast_limits`; kept in the store."""
        return self._run.viewfinder.contrast_limits if self._run else None

    @contrast_limits.setter
    def contrast_limits(self, limits: tuple[float, float]) -> None:
        if self._run is not None:
            self._run.viewfinder.contrast_limits = limits

    def newest(self) -> npt.NDArray[np.generic] | None:
        """See `Viewfinder.newest`; None before the first run."""
        return self._run.viewfinder.newest() if self._run else None
