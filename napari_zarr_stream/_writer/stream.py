"""The whole dataset being written: `ZarrStream` and its workers.

The only file of the writer that starts threads.
"""

import atexit
import contextlib
import math
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import EllipsisType, TracebackType
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

from .dataset import Dataset, check_record
from .downsample import TileHalver, check_label
from .errors import FrameMismatch, IllegalTransition, WriteFailed, ZarrStreamError
from .local_store import LocalStore
from .memory import WORKERS
from .names import image_name
from .ngff import (
    Image,
    check_channels,
    check_scale,
    check_translation,
    check_units,
)
from .plan import plan
from .properties import Channel, StorageProperties
from .slot import Slot
from .slot_queue import COMMIT_INTERVAL_S, SlotQueue, Work
from .store import Store

HURRY_S = 0.5e-3
"""A caller of `append` that is back sooner has frames in stock and can lend a hand; one
that waits for a camera is never kept longer than copying takes."""

SEAL_AFTER_S = 0.02
"""Small frames wait no longer for others while a worker is idle: a kill costs what came
in this time, not all that a slot takes."""

T = TypeVar("T")

_open_streams: "weakref.WeakSet[ZarrStream]" = weakref.WeakSet()


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """How far a stream has come.

    Attributes
    ----------
    frames_appended : int
        Frames taken from the caller: planes, unless `planes_per_frame` was given.
    frames_committed : int
        Frames that another program can read now.
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


class Place:
    """Where the next frame goes: `place[...] = frame` lays it there, once.

    Parameters
    ----------
    shape : tuple of int
    dtype : numpy.dtype
    lay : callable
        Is given the planes, (n, height, width).
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: np.dtype[np.generic],
        lay: Callable[[npt.NDArray[np.generic]], None],
    ) -> None:
        self.shape, self.dtype = shape, dtype
        self.is_laid = False
        self._lay = lay

    def __setitem__(self, where: EllipsisType, frame: npt.ArrayLike) -> None:
        pixels = np.asarray(frame)
        if where is not Ellipsis or self.is_laid:
            raise FrameMismatch("a frame is laid as a whole, once: place[...] = frame")
        if pixels.shape != self.shape or pixels.dtype.newbyteorder("<") != self.dtype:
            raise FrameMismatch(
                f"got a frame of shape {pixels.shape} and type {pixels.dtype}, but the "
                f"stream takes frames of shape {self.shape} and type {self.dtype.name}"
            )
        self.is_laid = True
        self._lay(pixels.reshape(-1, *self.shape[-2:]))


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
    store : Store, optional
        Where to write instead of a folder of its own at the path of `properties`.
    planes_per_frame : int
        Planes that `status` counts as one frame: the channels of a colour camera.

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
        store: Store | None = None,
        planes_per_frame: int = 1,
    ) -> None:
        self.properties = properties
        self.planes_per_frame = planes_per_frame
        check_label(is_label, properties)
        self.plan = plan(properties, axes=axes, shape=shape, dtype=dtype)
        image = Image(
            plan=self.plan,
            name=name or image_name(properties.path) or "image",
            method=properties.method,
            scale=check_scale(scale, axes),
            translation=check_translation(translation, axes),
            units=check_units(units, axes),
            channels=check_channels(channels, self.plan),
            is_label=is_label,
            # Where OME-NGFF has the labels of an image.
            inside_image=properties.path.parent.name == "labels",
            record=check_record(record or {}),
        )
        halver = TileHalver(self.plan.dtype) if self.plan.halves_in_tiles else None
        place = store or LocalStore(properties.path, properties.overwrite)
        self._dataset = Dataset(place, properties, image)
        self._dataset.create()

        levels = self._dataset.levels
        new_slot = partial(Slot, self.plan, levels, properties.method, halver)
        self._queue = SlotQueue(self.plan, new_slot, self._commit)
        self._queue.make_slots()
        # Taken before the queue's, never after. Not held while a camera is waited for.
        # A worker only tries it: who holds it may be waiting for the workers.
        self._append_lock = threading.Lock()
        self._filling: Work | None = None  # guarded by _append_lock
        self._laid: list[Work] = []  # by `fill`, not taken yet; guarded by _append_lock
        self._left: npt.NDArray[np.generic] | None = None  # the same
        self._laying_thread: int | None = None  # that holds it from `_lay` on
        self._closed = False  # guarded by _append_lock; read anywhere
        # A failure of the stream, though pixels can still be written.
        self._undescribed: WriteFailed | None = None
        self._planes_appended = 0  # guarded by _append_lock; read anywhere
        self._planes_taken = 0  # with those that fill a step; guarded by _append_lock
        self._returned_at = -math.inf  # guarded by _append_lock
        self._laid_in_hurry = False  # guarded by _append_lock

        # Daemons, so that a stream nobody closed cannot keep the interpreter from
        # ending; `_close_forgotten` runs before they are killed.
        self._workers = [
            threading.Thread(
                target=self._queue.work,
                args=(self._seal_old,),
                name=f"zarr-stream-{i}",
                daemon=True,
            )
            for i in range(WORKERS)
        ]
        for worker in self._workers:
            worker.start()
        _open_streams.add(self)

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
            taken (of an array that is computed: none of what it did not announce).
        IllegalTransition
            After `close`.
        WriteFailed
            The stream has failed, now or before.
        """
        array: Any = frames if hasattr(frames, "__array__") else np.asarray(frames)
        with self._append_lock:
            self._check_open("append")
            self._check_fits(array)
            self._check_room(math.prod(array.shape[:-2]))
            hurry = self._is_hurry
            for planes in _runs_of_planes(array):
                # A lazy array may say one thing and give another.
                self._check_fits(planes)
                self._take(planes, count=True, hurry=hurry)
            self._returned_at = time.monotonic()

    def fill(
        self,
        read: Callable[[Place], T | None],
        look: Callable[[npt.NDArray[np.generic]], object] | None = None,
    ) -> T | None:
        """Have the next frame read straight into its place: its pixels are copied once.

        Other calls, `close` among them, do not wait for `read`, only for its laying.

        A frame is a step along the first axis, as a camera gives it: (height, width)
        for "tyx", (channels, height, width) for "tcyx".

        Parameters
        ----------
        read : callable
            Called when there is room for a frame. It may wait for the camera, does
            `place[...] = frame` once, and returns something; or None where no frame
            came. What it has laid when it returns None or raises is not taken.
        look : callable, optional
            Is given what is laid, (n, height, width), to look at while it is valid.

        Returns
        -------
        What `read` returned.

        Raises
        ------
        FrameMismatch
            Another shape or dtype, no room for a frame, or `read` laid none. Nothing
            was taken.
        IllegalTransition, WriteFailed
            As `append`.
        """
        shape = self.plan.shape[1:] if self.plan.outer else self.plan.shape
        frame = tuple(size for size in shape if size is not None)
        with self._append_lock:
            self._check_open("fill")
            self._check_room(math.prod(frame[:-2]))
            self._open_slot()

        def lay(planes: npt.NDArray[np.generic]) -> None:
            if look is not None:
                look(planes)
            self._lay(planes)

        place = Place(frame, self.plan.dtype, lay)
        try:
            result = read(place)
            if result is not None:
                if not place.is_laid:
                    raise FrameMismatch("a frame was announced, but not laid")
                self._take_laid()
                self._returned_at = time.monotonic()
        finally:
            if self._laying_thread == threading.get_ident():
                self._forget_laid()
        return result

    def _lay(self, planes: npt.NDArray[np.generic]) -> None:
        """Lay the planes of a frame; keeps the lock until they are taken.

        A frame may begin in one slot and end in another. It has half of them at most,
        so that the workers can go on: what is left then is copied once more.
        """
        self._append_lock.acquire()
        self._laying_thread = threading.get_ident()
        # The time until here was spent waiting for the camera, and much may have
        # happened in it.
        self._laid_in_hurry = self._is_hurry
        self._check_open("fill")
        self._check_room(len(planes))
        work = self._open_slot()
        at = self._planes_taken
        while len(planes):
            if work.slot.is_full:
                if len(self._laid) >= self.plan.memory.slots // 2:
                    self._left = planes.copy()
                    return
                work = self._queue.next_slot(at)
            if work not in self._laid:
                self._laid.append(work)
            laid = work.slot.lay(planes)
            at, planes = at + laid, planes[laid:]

    def _take_laid(self) -> None:
        """Take what `_lay` has laid, whose lock is still held."""
        hurry = self._laid_in_hurry
        while self._laid:
            self._filling = work = self._laid.pop(0)
            self._count(work, may_help=hurry or bool(self._laid))
        if self._left is not None:
            self._take(self._left, count=True, hurry=hurry)

    def _forget_laid(self) -> None:
        """Forget what `_lay` has laid and nobody took, and let go of the lock."""
        for work in self._laid:
            work.slot.forget()
            if work is not self._filling:
                self._queue.give_back(work)
        self._laid.clear()
        self._left = None
        self._laying_thread = None
        self._append_lock.release()

    def _check_open(self, call: str) -> None:
        if self._closed:
            raise IllegalTransition(f"{call} after close: the stream takes no more")
        self._queue.raise_error()

    @property
    def _is_hurry(self) -> bool:
        return time.monotonic() - self._returned_at < HURRY_S

    def _check_fits(self, array: Any) -> None:
        shape, dtype = tuple(array.shape), np.dtype(array.dtype)
        size = self.plan.plane_shape(0)
        if shape[-2:] != size or dtype.newbyteorder("<") != self.plan.dtype:
            raise FrameMismatch(
                f"got a frame of shape {shape} and type {dtype}, but the stream takes "
                f"planes of shape {size} and type {self.plan.dtype.name}"
            )

    def _check_room(self, planes: int) -> None:
        room, there = self.plan.planes, self._planes_appended
        if room is not None and there + planes > room:
            raise FrameMismatch(
                f"{planes} more planes do not fit: axes {self.plan.axes!r} of shape "
                f"{self.plan.shape} hold {room} planes, {there} are there"
            )

    def _take(
        self, planes: npt.NDArray[np.generic], *, count: bool, hurry: bool
    ) -> None:
        """Lay planes and count them. Caller must hold `_append_lock`, as below."""
        while len(planes):
            work = self._open_slot()
            planes = planes[work.slot.lay(planes) :]
            self._count(work, count=count, may_help=hurry or len(planes) > 0)

    def _open_slot(self) -> Work:
        """The slot to be filled; waits until there is one."""
        if self._filling is None:
            self._filling = self._queue.next_slot(self._planes_taken)
        return self._filling

    def _count(self, work: Work, *, count: bool = True, may_help: bool) -> None:
        """Take what was laid in the slot that is being filled."""
        now = time.monotonic()
        first = self._planes_taken
        if not work.slot.planes:
            work.filled_at = now
        laid = work.slot.take()
        self._planes_taken += laid
        if count:
            self._planes_appended += laid
        if work.slot.halves_early:
            self._queue.halve_early(work, range(first, first + laid))
        if work.slot.is_full or self._is_old(work, now):
            self._seal(may_help=may_help)

    def _is_old(self, work: Work, now: float) -> bool:
        """Whether what is in a slot has waited long enough, and can be written.

        With busy workers a slot is filled up: that leaves room for a disk that stalls.
        """
        slot, age_s = work.slot, now - work.filled_at
        if not slot.planes or age_s <= SEAL_AFTER_S or not slot.at_block_end:
            return False
        return age_s > COMMIT_INTERVAL_S or self._queue.is_idle

    def _seal(self, *, may_help: bool) -> None:
        """Give the slot that is being filled to the workers."""
        work, self._filling = self._filling, None
        if work is not None and work.slot.planes:
            self._queue.seal(work, may_help=may_help)

    def _seal_old(self) -> None:
        """The same, where no further frame comes; for a worker."""
        if self._append_lock.acquire(blocking=False):
            try:
                if self._filling and self._is_old(self._filling, time.monotonic()):
                    self._seal(may_help=False)
            finally:
                self._append_lock.release()

    def _commit(self, steps: int) -> None:
        """Tell readers of `steps` steps, and of what is known of frames."""
        self._dataset.commit(steps)
        try:
            self._dataset.frame_log.write()
        except WriteFailed as failure:
            self._undescribed = self._undescribed or failure

    def status(self) -> StreamStatus:
        """A snapshot; may be called from any thread at any time."""
        progress = self._queue.progress()
        # Read after the progress, of which it is never behind.
        appended = self._planes_appended
        memory = self.plan.memory
        room = memory.slots * memory.blocks_per_slot * self.plan.planes_per_block
        committed = progress.steps_committed * self.plan.planes_per_step
        return StreamStatus(
            frames_appended=appended // self.planes_per_frame,
            frames_committed=min(committed, appended) // self.planes_per_frame,
            bytes_appended=appended * self.plan.bytes_per_plane,
            bytes_written=progress.bytes_written,
            queue_fill=min(1.0, max(0, appended - progress.planes_written) / room),
            closed=self._closed,
            error=progress.error or self._undescribed,
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
            try:
                self._dataset.annotate(channels, record or {})
            except WriteFailed as failure:
                self._undescribed = self._undescribed or failure
                raise

    def log_frames(self, columns: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Keep further values of each frame, such as ids and times, as 1-D arrays.

        They are written by a worker, soon.

        Parameters
        ----------
        columns : mapping of str to array, (n,)
            Bool, integers, floats. Each column grows by what it is given.

        Raises
        ------
        InvalidProperties
            Values that cannot be stored, or of another type than those before.
        IllegalTransition
            After `close`.
        """
        with self._append_lock:
            if self._closed:
                raise IllegalTransition("log_frames after close")
            self._dataset.frame_log.add(columns)
        if columns:
            self._queue.want_commit()

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
                    with self._queue.keeping_failure():
                        self._flush()
            finally:
                # Also when somebody grows impatient and interrupts.
                self._closed = True
                _open_streams.discard(self)
                self._queue.stop()
                for worker in self._workers:
                    worker.join()
                self._filling = None
                self._finish(abort)
            self._queue.raise_error()

    def _flush(self) -> None:
        """Fill the step that was begun with zeros and wait for the workers."""
        missing = -self._planes_taken % self.plan.planes_per_step
        zeros = np.zeros((1, *self.plan.plane_shape(0)), self.plan.dtype)
        for _ in range(missing):
            self._take(zeros, count=False, hurry=True)
        self._seal(may_help=True)
        self._queue.wait_until_written()

    def _finish(self, abort: bool) -> None:
        """Close files and bring metadata up to what can be read."""
        with self._queue.keeping_failure():
            self._dataset.finish_levels()
            written = self._queue.progress().planes_written
            self._queue.commit(written // self.plan.planes_per_step)
            if self._undescribed is not None:
                raise self._undescribed
        status = self.status()
        reason = "failed" if status.error else "aborted" if abort else "completed"
        ending = {
            "finish_reason": reason,
            "frames_committed": status.frames_committed,
        }
        with self._queue.keeping_failure():
            self._dataset.end(self._queue.progress().steps_committed, ending)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is not None and not self._closed:
                # What was appended is kept, and not called complete.
                with contextlib.suppress(IllegalTransition):  # closed by another thread
                    ending = {"finish_reason": "failed", "error": repr(error)}
                    self.annotate(record=ending)
        finally:
            self.close()


def _runs_of_planes(array: Any) -> Iterator[npt.NDArray[np.generic]]:
    """The planes of an array, (n, height, width) at a time, in C order."""
    if isinstance(array, np.ndarray) and array.ndim <= 3:
        yield np.asarray(array).reshape(-1, *array.shape[-2:])
        return
    for index in np.ndindex(*array.shape[:-2]):
        yield np.asarray(array[index])[np.newaxis]


def _close_forgotten() -> None:
    with contextlib.ExitStack() as each:  # the others too, if one fails
        for stream in list(_open_streams):
            each.callback(stream.close)


atexit.register(_close_forgotten)
