"""The caller's side of a stream: planes are checked and laid into a slot.

Starts no threads. `lock` guards all that changes here: a caller holds it while its
planes are laid, and whoever ends the stream.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator
from types import EllipsisType
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from .errors import FrameMismatch, IllegalTransition
from .plan import Plan
from .slot import Slot
from .slot_queue import COMMIT_INTERVAL_S, SlotQueue, Work

HURRY_S = 0.5e-3
"""A caller of `append` that is back sooner has frames in stock and can lend a hand; one
that waits for a camera is never kept longer than copying takes."""

SEAL_AFTER_S = 0.02
"""Small frames wait no longer for others while a worker is idle: a kill costs what came
in this time, not all that a slot takes."""

T = TypeVar("T")


class Pace:
    """How soon a caller comes back: one in a hurry does tasks itself."""

    def __init__(self) -> None:
        self._returned_at = -math.inf

    def returned(self) -> None:
        """Note that the caller is let go of now."""
        self._returned_at = time.perf_counter()

    @property
    def is_hurry(self) -> bool:
        """Whether it has come back at once; asked before anything is waited for."""
        return time.perf_counter() - self._returned_at < HURRY_S


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
        pixels = np.asarray(_array_of(frame))
        if where is not Ellipsis or self.is_laid:
            raise FrameMismatch("a frame is laid as a whole, once: place[...] = frame")
        if pixels.shape != self.shape or pixels.dtype.newbyteorder("<") != self.dtype:
            raise FrameMismatch(
                f"got a frame of shape {pixels.shape} and type {pixels.dtype}, but the "
                f"stream takes frames of shape {self.shape} and type {self.dtype.name}"
            )
        self.is_laid = True
        self._lay(pixels.reshape(-1, *self.shape[-2:]))


class Intake:
    """What takes planes, and knows which slot they go to.

    Parameters
    ----------
    plan : Plan
    queue : SlotQueue

    Attributes
    ----------
    lock : threading.Lock
        Taken before the queue's, never after. Not held while a camera is waited for. A
        worker only tries it: who holds it may be waiting for the workers.
    is_closed : bool
    planes_appended, planes_taken : int
        From the caller, and with those that fill a step.

    Those are guarded by `lock`, and read anywhere.
    """

    def __init__(self, plan: Plan, queue: SlotQueue[Slot]) -> None:
        self._plan = plan
        self._queue = queue
        self.lock = threading.Lock()
        self.is_closed = False
        self.planes_appended = 0
        self.planes_taken = 0
        # All that follows is guarded by `lock`.
        self._filling: Work[Slot] | None = None
        self._laid: list[Work[Slot]] = []  # by `fill`, not taken yet
        self._left: npt.NDArray[np.generic] | None = None  # the same
        self._laying_thread: int | None = None  # that holds the lock from `_lay` on
        self._pace = Pace()
        self._laid_in_hurry = False

    def append(self, frames: npt.ArrayLike) -> None:
        """See `ZarrStream.append`."""
        array = _array_of(frames)
        with self.lock:
            self.check_open("append")
            self._check_fits(array)
            self._check_room(math.prod(array.shape[:-2]))
            hurry = self._pace.is_hurry
            for planes in _runs_of_planes(array):
                # A lazy array may say one thing and give another.
                self._check_fits(planes)
                self._take(planes, count=True, hurry=hurry)
            self._pace.returned()

    def fill(
        self,
        read: Callable[[Place], T | None],
        look: Callable[[npt.NDArray[np.generic]], object] | None = None,
    ) -> T | None:
        """See `ZarrStream.fill`."""
        shape = self._plan.shape[1:] if self._plan.outer else self._plan.shape
        frame = tuple(size for size in shape if size is not None)
        with self.lock:
            self.check_open("fill")
            self._check_room(math.prod(frame[:-2]))
            self._open_slot()

        def lay(planes: npt.NDArray[np.generic]) -> None:
            if look is not None:
                look(planes)
            self._lay(planes)

        place = Place(frame, self._plan.dtype, lay)
        try:
            result = read(place)
            if result is not None:
                if not place.is_laid:
                    raise FrameMismatch("a frame was announced, but not laid")
                self._take_laid()
                self._pace.returned()
        finally:
            if self._laying_thread == threading.get_ident():
                self._forget_laid()
        return result

    def _lay(self, planes: npt.NDArray[np.generic]) -> None:
        """Lay the planes of a frame; keeps the lock until they are taken.

        A frame may begin in one slot and end in another. It has half of them at most,
        so that the workers can go on: what is left then is copied once more.
        """
        self.lock.acquire()
        self._laying_thread = threading.get_ident()
        # The time until here was spent waiting for the camera, and much may have
        # happened in it.
        self._laid_in_hurry = self._pace.is_hurry
        self.check_open("fill")
        self._check_room(len(planes))
        work = self._open_slot()
        at = self.planes_taken
        while len(planes):
            if work.slot.is_full:
                if len(self._laid) >= self._plan.memory.slots // 2:
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
        self.lock.release()

    def check_open(self, call: str) -> None:
        if self.is_closed:
            raise IllegalTransition(f"{call} after close: the stream takes no more")
        self._queue.raise_error()

    def _check_fits(self, array: Any) -> None:
        shape, dtype = tuple(array.shape), _dtype_of(array)
        size = self._plan.plane_shape(0)
        if shape[-2:] != size or dtype.newbyteorder("<") != self._plan.dtype:
            raise FrameMismatch(
                f"got a frame of shape {shape} and type {dtype}, but the stream takes "
                f"planes of shape {size} and type {self._plan.dtype.name}"
            )

    def _check_room(self, planes: int) -> None:
        room, there = self._plan.planes, self.planes_appended
        if room is not None and there + planes > room:
            raise FrameMismatch(
                f"{planes} more planes do not fit: axes {self._plan.axes!r} of shape "
                f"{self._plan.shape} hold {room} planes, {there} are there"
            )

    def _take(
        self, planes: npt.NDArray[np.generic], *, count: bool, hurry: bool
    ) -> None:
        """Lay planes and count them. Caller must hold `lock`, as below."""
        while len(planes):
            work = self._open_slot()
            planes = planes[work.slot.lay(planes) :]
            self._count(work, count=count, may_help=hurry or len(planes) > 0)

    def _open_slot(self) -> Work[Slot]:
        """The slot to be filled; waits until there is one."""
        if self._filling is None:
            self._filling = self._queue.next_slot(self.planes_taken)
        return self._filling

    def _count(self, work: Work[Slot], *, count: bool = True, may_help: bool) -> None:
        """Take what was laid in the slot that is being filled."""
        now = time.perf_counter()
        first = self.planes_taken
        if not work.slot.planes:
            work.filled_at = now
        laid = work.slot.take()
        self.planes_taken += laid
        if count:
            self.planes_appended += laid
        if work.slot.halves_early:
            self._queue.halve_early(work, range(first, first + laid))
        if work.slot.is_full or self._is_old(work, now):
            self._seal(may_help=may_help)

    def _is_old(self, work: Work[Slot], now: float) -> bool:
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

    def seal_old(self) -> None:
        """The same, where no further frame comes; for a worker."""
        if self.lock.acquire(blocking=False):
            try:
                if self._filling and self._is_old(self._filling, time.perf_counter()):
                    self._seal(may_help=False)
            finally:
                self.lock.release()

    def hand_over(self) -> None:
        """Give what can be written by itself to the workers.

        Caller must hold `lock`, as below.
        """
        if self._filling and self._filling.slot.at_block_end:
            self._seal(may_help=True)

    @property
    def planes_padded(self) -> int:
        """Planes of zeros that were added to complete a step."""
        return self.planes_taken - self.planes_appended

    def complete(self) -> None:
        """Fill the step that was begun with zeros, and give all to the workers."""
        missing = -self.planes_taken % self._plan.planes_per_step
        zeros = np.zeros((1, *self._plan.plane_shape(0)), self._plan.dtype)
        for _ in range(missing):
            self._take(zeros, count=False, hurry=True)
        self._seal(may_help=True)

    def close(self) -> None:
        """Take no more planes, and let go of those that were not given to workers."""
        self.is_closed = True
        self._filling = None


def _array_of(frames: Any) -> Any:
    """What has a shape, a type and planes: an array, or a lazy one as it is."""
    if isinstance(frames, np.ndarray):
        return frames
    if callable(result := getattr(frames, "result", None)):
        frames = result()  # of a future, as tensorstore's
    is_lazy = all(hasattr(frames, name) for name in ("__array__", "shape", "dtype"))
    return frames if is_lazy else np.asarray(frames)


def _dtype_of(array: Any) -> np.dtype[Any]:
    given = getattr(array.dtype, "numpy_dtype", array.dtype)  # tensorstore's own
    try:
        dtype: np.dtype[Any] = np.dtype(given)
    except TypeError:  # of another library: its pixels say what they are
        first = (0,) * (len(array.shape) - 2)
        dtype = np.asarray(array[first]).dtype
    return dtype


def _runs_of_planes(array: Any) -> Iterator[npt.NDArray[np.generic]]:
    """The planes of an array, (n, height, width) at a time, in C order."""
    if isinstance(array, np.ndarray) and array.ndim <= 3:
        yield np.asarray(array).reshape(-1, *array.shape[-2:])
        return
    for index in np.ndindex(*array.shape[:-2]):
        yield np.asarray(array[index])[np.newaxis]
