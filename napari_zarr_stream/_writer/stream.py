"""The whole dataset being written: `ZarrStream`, its bounded queue, its workers.

The only file of the writer that starts threads. `_changed` guards all that they share;
pixels are touched without it, since a slot belongs to the caller of `append` until it is
sealed and to the workers until it is free again.
"""

import atexit
import datetime
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from .array import LevelArray
from .chunk_grid import WORKERS, plan
from .codecs import Raw, codec_of
from .errors import (
    FrameMismatch,
    IllegalTransition,
    InvalidProperties,
    WriteFailed,
    ZarrStreamError,
)
from .ngff import (
    Document,
    Image,
    check_channels,
    check_scale,
    check_translation,
    check_units,
    serializer_of,
)
from .properties import Channel, DownsamplingMethod, StorageProperties
from .slot import Slot
from .store import LocalStore, Store

COMMIT_INTERVAL_S = 0.25
"""Metadata is renewed at most this often: seldom enough to cost nothing, often enough
that a program that reads along sees frames as they come."""

FRAME_LOG = "frame_log"
"""Group of 1-D arrays with a value for every plane; OME readers pass over it."""

Task = Callable[[], object]

_open_streams: "weakref.WeakSet[ZarrStream]" = weakref.WeakSet()


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """How far a stream has come.

    Attributes
    ----------
    frames_appended : int
        Planes taken from the caller.
    frames_committed : int
        Planes that another program can read now.
    bytes_appended : int
        Raw.
    bytes_written : int
        Of chunks, after compression, all levels.
    queue_fill : float
        Share of the queue that holds planes not yet written, 0 to 1.
    closed : bool
    error : ZarrStreamError or None
        The first failure; it ended the stream.
    """

    frames_appended: int
    frames_committed: int
    bytes_appended: int
    bytes_written: int
    queue_fill: float
    closed: bool
    error: ZarrStreamError | None


class _Work:
    """What is still to be done with a slot."""

    def __init__(self, slot: Slot) -> None:
        self.slot = slot
        self.opened_at = time.monotonic()
        self.pending = 0  # tasks, guarded by _changed
        self.sealed = False  # guarded by _changed
        self.writing = False  # guarded by _changed


class ZarrStream:
    """An OME-Zarr dataset that takes planes as they come.

    Parameters
    ----------
    properties : StorageProperties
    axes : str
        Some of "tczyx", in this order, ending in "yx".
    shape : sequence of int or None
        One size per axis; None for a first axis without bound.
    dtype : dtype-like
        bool, integers, float32, float64; stored little-endian.
    scale, translation : sequence or mapping by axis, optional
        Size of a pixel and position of the first, in `units`.
    units : sequence or mapping by axis, optional
        For example "micrometer" or "um", "second" or "s".
    channels : sequence of Channel, optional
    name : str, optional
        Of the image; the folder's name without its endings if not given.
    is_label : bool
        Pixels are names of objects; needs a downsampling method that makes none up.
    record : mapping, optional
        What else to keep about how the data was made, as JSON values.

    Raises
    ------
    InvalidProperties, StoreExists, WriteFailed
        Before anything was put in place.
    """

    def __init__(
        self,
        properties: StorageProperties,
        *,
        axes: str,
        shape: Sequence[int | None],
        dtype: npt.DTypeLike,
        scale: Mapping[str, float] | Sequence[float] | None = None,
        translation: Mapping[str, float] | Sequence[float] | None = None,
        units: Mapping[str, str | None] | Sequence[str | None] | None = None,
        channels: Sequence[Channel] | None = None,
        name: str | None = None,
        is_label: bool = False,
        record: Mapping[str, Any] | None = None,
    ) -> None:
        self.properties = properties
        _check_label(is_label, properties)
        self.plan = plan(properties, axes=axes, shape=shape, dtype=dtype)
        self._serializer = serializer_of(properties.kind.zarr_format)
        self._image = Image(
            plan=self.plan,
            name=name or properties.path.name.split(".")[0] or "image",
            method=properties.method,
            scale=check_scale(scale, axes),
            translation=check_translation(translation, axes),
            units=check_units(units, axes),
            channels=check_channels(channels, self.plan),
            is_label=is_label,
            record=_record_of(properties) | dict(record or {}),
        )
        self._store: Store = LocalStore(properties.path, properties.overwrite)
        codec = codec_of(properties.kind)
        self._arrays = [
            LevelArray(self.plan, level, self._store, codec, self._serializer)
            for level in range(len(self.plan.level_shapes))
        ]

        self._append_lock = threading.Lock()  # taken before _changed, never after
        self._filling: _Work | None = None  # guarded by _append_lock
        self._closed = False  # guarded by _append_lock
        self._frames_appended = 0  # guarded by _append_lock; read anywhere
        self._planes_taken = 0  # with those that fill a step; guarded by _append_lock

        self._changed = threading.Condition()
        self._tasks: deque[Task] = deque()  # guarded by _changed
        self._free: list[Slot] = []  # guarded by _changed
        self._slots_made = 0  # guarded by _changed
        self._tasks_running = 0  # guarded by _changed
        self._shutdown = False  # guarded by _changed
        self._error: ZarrStreamError | None = None  # guarded by _changed
        self._written: dict[int, int] = {}  # first plane: end, guarded by _changed
        self._written_in_row = 0  # planes, guarded by _changed
        self._bytes_written = 0  # guarded by _changed
        self._steps_committed = 0  # guarded by _changed
        self._committed_at = -COMMIT_INTERVAL_S  # guarded by _changed
        self._commit_lock = threading.Lock()

        self._create()
        self._workers = [
            threading.Thread(target=self._work, name=f"zarr-stream-{i}", daemon=True)
            for i in range(WORKERS)
        ]
        for worker in self._workers:
            worker.start()
        _open_streams.add(self)

    def _create(self) -> None:
        try:
            for array in self._arrays:
                shape = self.plan.level_shape_after(array.level, 0)
                self._write_documents(array.documents(shape))
            self._write_documents(self._serializer.image(self._image))
            self._store.publish()
        except ZarrStreamError:
            self._store.discard()
            raise

    def _write_documents(self, documents: Mapping[str, Document]) -> None:
        for key, document in documents.items():
            self._store.write_json(key, document)

    # --------------------------------------------------------- in the caller's thread

    def append(self, frames: npt.ArrayLike) -> None:
        """Take planes; returns when their pixels are copied.

        Parameters
        ----------
        frames : array, (height, width) or any number of planes stacked before that
            In C order. A dask array or other lazy array is computed plane by plane.

        Raises
        ------
        FrameMismatch
            Another shape or dtype, or more planes than there is room for. Nothing was
            taken.
        IllegalTransition
            After `close`.
        WriteFailed
            The stream has failed, now or before.
        """
        array: Any = frames if hasattr(frames, "__array__") else np.asarray(frames)
        with self._append_lock:
            if self._closed:
                raise IllegalTransition("append after close: the stream takes no more")
            self._check(array)
            for planes in _runs_of_planes(array):
                self._take(planes, count=True)

    def _check(self, array: Any) -> None:
        shape, dtype = tuple(array.shape), np.dtype(array.dtype)
        size = self.plan.plane_shape(0)
        if shape[-2:] != size or dtype.newbyteorder("<") != self.plan.dtype:
            raise FrameMismatch(
                f"got a frame of shape {shape} and type {dtype}, but the stream takes "
                f"planes of shape {size} and type {self.plan.dtype.name}"
            )
        room = self.plan.planes
        planes = int(np.prod(shape[:-2], dtype=np.int64))
        if room is not None and self._frames_appended + planes > room:
            raise FrameMismatch(
                f"{planes} more planes do not fit: axes {self.plan.axes!r} of shape "
                f"{self.plan.shape} hold {room} planes, {self._frames_appended} are there"
            )

    def _take(self, planes: npt.NDArray[np.generic], *, count: bool) -> None:
        while len(planes):
            work = self._filling or self._next_slot()
            slot = work.slot
            laid = slot.put(planes)
            first = self._planes_taken
            self._planes_taken += laid
            if count:
                self._frames_appended += laid
            if slot.is_large and len(self._arrays) > 1 and not self.plan.z_is_halved:
                # While the planes are still in cache.
                numbers = range(first, first + laid)
                self._submit(work, [partial(slot.halve, numbers)])
            planes = planes[laid:]
            old = time.monotonic() - work.opened_at > COMMIT_INTERVAL_S
            if slot.is_full or (old and slot.at_block_end):
                self._seal()

    def _next_slot(self) -> _Work:
        """A slot that is free; waits until there is one."""
        with self._changed:
            while True:
                self._raise_error()
                if self._free:
                    slot = self._free.pop()
                    break
                if self._slots_made < self.plan.slots:
                    self._slots_made += 1
                    slot = Slot(self.plan, self._arrays, self.properties.method)
                    break
                self._changed.wait()
        slot.start(self._planes_taken)
        self._filling = _Work(slot)
        return self._filling

    def _seal(self) -> None:
        """Give the slot that was being filled to the workers."""
        work, self._filling = self._filling, None
        if work is None:
            return
        slot = work.slot
        slot.clear_missing()
        if slot.is_large:
            self._submit(work, [slot.halve] if self.plan.z_is_halved else [], seal=True)
        else:
            work.writing = True
            self._submit(work, [partial(self._write_whole, slot)], seal=True)

    def _submit(
        self, work: _Work, tasks: Sequence[Task], *, seal: bool = False
    ) -> None:
        with self._changed:
            work.pending += len(tasks)
            work.sealed |= seal
            self._tasks.extend(partial(self._run, work, task) for task in tasks)
            self._advance(work)
            self._changed.notify_all()

    def status(self) -> StreamStatus:
        """A snapshot; may be called from any thread at any time."""
        with self._changed:
            per_slot = self.plan.planes_per_block * self.plan.blocks_per_slot
            waiting = self._planes_taken - self._written_in_row
            committed = self._steps_committed * self.plan.planes_per_step
            return StreamStatus(
                frames_appended=self._frames_appended,
                frames_committed=min(committed, self._frames_appended),
                bytes_appended=self._frames_appended * self.plan.bytes_per_plane,
                bytes_written=self._bytes_written,
                queue_fill=min(1.0, waiting / (self.plan.slots * per_slot)),
                closed=self._closed,
                error=self._error,
            )

    def annotate(
        self,
        *,
        channels: Sequence[Channel] | None = None,
        record: Mapping[str, Any] | None = None,
    ) -> None:
        """Change how channels are shown, and add to our own record.

        Raises
        ------
        InvalidProperties
            Another number of channels than the array has.
        IllegalTransition
            After `close`.
        WriteFailed
        """
        with self._append_lock:
            if self._closed:
                raise IllegalTransition("annotate after close")
            if channels is not None:
                checked = check_channels(channels, self.plan)
                self._image = replace(self._image, channels=checked)
            merged = dict(self._image.record) | dict(record or {})
            self._image = replace(self._image, record=merged)
            self._write_documents(self._serializer.image(self._image))

    def log_frames(self, columns: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Keep values for every plane, such as ids and times, as 1-D arrays.

        Raises
        ------
        IllegalTransition
            After `close`.
        WriteFailed
        """
        with self._append_lock:
            if self._closed:
                raise IllegalTransition("log_frames after close")
            self._write_documents(self._serializer.group(f"{FRAME_LOG}/"))
            for name, given in columns.items():
                values = np.ascontiguousarray(given, given.dtype.newbyteorder("<"))
                if not len(values):
                    continue
                path = f"{FRAME_LOG}/{name}"
                key = f"{path}/{self._serializer.chunk_prefix}0"
                self._store.write(key, Raw().encode(values))
                documents = self._serializer.array(
                    path,
                    shape=values.shape,
                    chunk_shape=values.shape,
                    shard_shape=None,
                    dtype=values.dtype,
                    codec=Raw(),
                    names=("frame",),
                )
                self._write_documents(documents)

    def close(self) -> None:
        """Write all that was appended and end; may be called again.

        Raises
        ------
        WriteFailed
            Something could not be written, now or before. What was committed is there
            and can be opened. Not raised a second time.
        """
        self._end(abort=False)

    def abort(self) -> None:
        """Throw away what is queued and end; what is written stays and can be opened.

        Raises
        ------
        WriteFailed
            As `close`.
        """
        self._end(abort=True)

    def _end(self, *, abort: bool) -> None:
        with self._append_lock:
            if self._closed:
                return
            try:
                if not abort:
                    self._flush()
            except ZarrStreamError as failure:
                self._fail(failure)
            finally:
                self._closed = True
                _open_streams.discard(self)
                self._stop_workers()
            self._finish(abort)
            self._raise_error()

    def _flush(self) -> None:
        """Fill the step that was begun with zeros and wait for the workers."""
        missing = -self._planes_taken % self.plan.planes_per_step
        zeros = np.zeros((1, *self.plan.plane_shape(0)), self.plan.dtype)
        for _ in range(missing):
            self._take(zeros, count=False)
        self._seal()
        with self._changed:
            while self._tasks or self._tasks_running:
                if self._error:
                    break
                self._changed.wait()

    def _stop_workers(self) -> None:
        with self._changed:
            self._tasks.clear()
            self._shutdown = True
            self._changed.notify_all()
        for worker in self._workers:
            worker.join()

    def _finish(self, abort: bool) -> None:
        """Close files and bring metadata up to what can be read."""
        whole = True
        for array in self._arrays:
            try:
                array.finish()
            except ZarrStreamError as failure:
                whole = False
                self._fail(failure)
        if whole:
            planes = self._written_in_row
            steps = planes // self.plan.planes_per_step
            if not abort and not self._error:
                steps = self.plan.steps(planes)
            self._guard(self._commit, steps)
        reason = "failed" if self._error else "aborted" if abort else "completed"
        ending = {
            "finish_reason": reason,
            "end_time": _now(),
            "frames_committed": self.status().frames_committed,
        }
        self._image = replace(self._image, record=ending | dict(self._image.record))
        if self.plan.axes[0] == "c":
            self._image = replace(self._image, channels=self._channels_there())
        self._guard(self._write_documents, self._serializer.image(self._image))
        with self._changed:
            self._free.clear()

    def _channels_there(self) -> tuple[Channel, ...]:
        """One for each channel that came, where they come one after another."""
        size = self.plan.level_shape_after(0, self._steps_committed)
        there = check_channels(None, replace(self.plan, shape=size))
        given = self._image.channels[: len(there)]
        return (*given, *there[len(given) :])

    def _guard(self, write: Callable[..., None], *args: object) -> None:
        try:
            write(*args)
        except ZarrStreamError as failure:
            self._fail(failure)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # -------------------------------------------------------- in the workers' threads

    def _work(self) -> None:
        """Run tasks until the end. Threads "zarr-stream-0", "zarr-stream-1" ..."""
        while (task := self._next_task()) is not None:
            try:
                task()
            except ZarrStreamError as failure:
                self._fail(failure)
            except Exception as error:  # noqa: BLE001 - kept, raised where it is heard
                failure = WriteFailed(f"encoding or writing failed: {error!r}")
                failure.__cause__ = error
                self._fail(failure)
            with self._changed:
                self._tasks_running -= 1
                self._changed.notify_all()

    def _next_task(self) -> Task | None:
        with self._changed:
            while not self._shutdown:
                wait_s = None
                if (steps := self._committable()) > self._steps_committed:
                    due = self._committed_at + COMMIT_INTERVAL_S
                    wait_s = due - time.monotonic()
                    if wait_s <= 0 and self._commit_lock.acquire(blocking=False):
                        self._committed_at = time.monotonic()
                        self._tasks_running += 1
                        return partial(self._commit_and_release, steps)
                if self._tasks:
                    self._tasks_running += 1
                    return self._tasks.popleft()
                self._changed.wait(None if wait_s is None else max(wait_s, 0.01))
            return None

    def _run(self, work: _Work, task: Task) -> None:
        task()
        with self._changed:
            work.pending -= 1
            self._advance(work)

    def _advance(self, work: _Work) -> None:
        """Go on with a slot whose tasks are done. Caller must hold `_changed`."""
        if work.pending or not work.sealed:
            return
        slot = work.slot
        if not work.writing:
            work.writing = True
            parts = slot.parts()
            work.pending = len(parts)
            # Before anything else: this is what makes a slot free.
            self._tasks.extendleft(
                partial(self._run, work, partial(self._write, slot, *part))
                for part in parts
            )
            return
        self._written[slot.first_plane] = slot.end
        while (end := self._written.pop(self._written_in_row, None)) is not None:
            self._written_in_row = end
        self._free.append(slot)
        self._changed.notify_all()

    def _write_whole(self, slot: Slot) -> None:
        slot.halve()
        for part in slot.parts():
            self._write(slot, *part)

    def _write(self, slot: Slot, level: int, cells: Sequence[Any]) -> None:
        stored = slot.write(level, cells)
        with self._changed:
            self._bytes_written += stored

    def _committable(self) -> int:
        """Steps along the first axis that are in finished files at every level.

        Caller must hold `_changed`.
        """
        if self.plan.z_is_halved and self.plan.axes[0] == "z":
            return 0
        steps = self._written_in_row // self.plan.planes_per_step
        if self.plan.shard_shape and self.plan.outer:
            steps -= steps % self.plan.shard_shape[0]
        return steps

    def _commit_and_release(self, steps: int) -> None:
        try:
            self._commit(steps)
        finally:
            self._commit_lock.release()

    def _commit(self, steps: int) -> None:
        """Tell readers how far the arrays go, level 0 last: it promises the others."""
        if self.plan.outer:
            for array in reversed(self._arrays):
                shape = self.plan.level_shape_after(array.level, steps)
                self._write_documents(array.documents(shape))
        with self._changed:
            self._steps_committed = max(steps, self._steps_committed)

    def _fail(self, failure: ZarrStreamError) -> None:
        with self._changed:
            if self._error is None:
                self._error = failure
            self._tasks.clear()
            self._changed.notify_all()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error


def _runs_of_planes(array: Any) -> Iterator[npt.NDArray[np.generic]]:
    """The planes of an array, (n, height, width) at a time, in C order."""
    if isinstance(array, np.ndarray) and array.ndim <= 3:
        yield array if array.ndim == 3 else array[np.newaxis]
        return
    for index in np.ndindex(*array.shape[:-2]):
        yield np.asarray(array[index])[np.newaxis]


def _check_label(is_label: bool, properties: StorageProperties) -> None:
    method = properties.method
    keeps = (DownsamplingMethod.DECIMATE, DownsamplingMethod.MODE)
    if is_label and properties.enable_multiscale and method not in keeps:
        raise InvalidProperties(
            f"downsampling labels by {method} would make up objects: use mode or decimate"
        )


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def _record_of(properties: StorageProperties) -> dict[str, Any]:
    return {
        "version": version("napari-zarr-stream"),
        "start_time": _now(),
        "device_kind": str(properties.kind),
        "tile_width": properties.tile_width,
        "tile_height": properties.tile_height,
        "tile_planes": properties.tile_planes,
        "max_bytes_per_chunk": properties.max_bytes_per_chunk,
        "frames_per_chunk": properties.frames_per_chunk,
        "sharded": properties.sharded,
        "multiscale": properties.enable_multiscale,
        "downsampling_method": str(properties.method),
    }


def _close_forgotten() -> None:
    for stream in list(_open_streams):
        stream.close()


# Workers are daemon threads, so that a stream nobody closed cannot keep the interpreter
# from ending; this runs before they are killed, so that it loses nothing either.
atexit.register(_close_forgotten)
