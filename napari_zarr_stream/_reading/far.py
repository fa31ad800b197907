"""Pixels that are far away: who may not wait gets what is at hand, the rest later."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from .lazy import LazyArray

Pixels = npt.NDArray[np.generic]

READS_KEPT = 2
"""Of each level, so that what was fetched is there when it is looked at."""

MOST_KEPT_BYTES = 64 * 2**20
"""Of one: more than a view takes. Who goes through all of it looks at nothing twice."""

FRESH_S = 2.0
"""It is looked at then, or not any more: what is kept for longer are its chunks."""

_here = threading.local()


@contextmanager
def without_waiting() -> Iterator[list[Callable[[], object]]]:
    """In this thread, nothing that is read meanwhile is waited for.

    What is not at hand is read as zeros, and stands in the list that is given: to call
    each entry, in another thread, has it at hand for the next time.
    """
    before = getattr(_here, "missing", None)
    missing: list[Callable[[], object]] = []
    _here.missing = missing
    try:
        yield missing
    finally:
        _here.missing = before


class FarArray:
    """An array whose pixels take time to come.

    Parameters
    ----------
    array : array-like with shape, dtype, chunks and basic indexing
        With a method `at_hand(key)`, if it keeps pixels: what it can give at once, or
        None.
    keeps : bool
        Whether what was waited for is kept as well: napari reads a new layer several
        times at once.
    """

    def __init__(self, array: Any, *, keeps: bool) -> None:
        self.shape, self.dtype, self.chunks = array.shape, array.dtype, array.chunks
        self._array, self._keeps = array, keeps
        self._read: OrderedDict[str, tuple[float, Pixels]]  # guarded by _lock
        self._read = OrderedDict()
        self._lock = threading.Lock()

    def __getitem__(self, key: tuple[int | slice, ...]) -> Pixels:
        """Read pixels: `key` has an int or a slice with a positive step for each axis.

        Raises
        ------
        InvalidStore
            That is more than can be read at once, or cannot be read.
        """
        missing = getattr(_here, "missing", None)
        if missing is None and not self._keeps:
            pixels: Pixels = self._array[key]
            return pixels
        if missing is None:
            kept = self._kept(key)
            return self._fetch(key) if kept is None else kept
        found = self._at_hand(key)
        if found is None:
            missing.append(lambda: self._fetch(key))
            spans = zip(self.shape, key, strict=True)
            sides = [len(range(n)[at]) for n, at in spans if isinstance(at, slice)]
            return np.zeros(sides, self.dtype)
        return found

    def _kept(self, key: tuple[int | slice, ...]) -> Pixels | None:
        with self._lock:
            since, pixels = self._read.get(repr(key), (0.0, None))
        if pixels is None or time.perf_counter() - since >= FRESH_S:
            return None
        return pixels.copy()

    def _at_hand(self, key: tuple[int | slice, ...]) -> Pixels | None:
        if (pixels := self._kept(key)) is not None:
            return pixels
        at_hand = getattr(self._array, "at_hand", None)
        return at_hand(key) if at_hand else None

    def _fetch(self, key: tuple[int | slice, ...]) -> Pixels:
        pixels: Pixels = self._array[key]
        if pixels.nbytes <= MOST_KEPT_BYTES:
            with self._lock:
                self._read[repr(key)] = time.perf_counter(), pixels.copy()
                self._read.move_to_end(repr(key))
                while len(self._read) > READS_KEPT:
                    self._read.popitem(last=False)
        return pixels


def lazy_over(array: Any, is_far: bool, *, keeps: bool = False) -> LazyArray:
    """A view of all of an array, which is waited for where it is far away.

    `keeps` is as of `FarArray`.
    """
    return LazyArray(FarArray(array, keeps=keeps) if is_far else array)


def is_far(array: Any) -> bool:
    """Whether reading an array, or a view of one, is waiting for a network."""
    return isinstance(getattr(array, "stored", None), FarArray)
