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
    """

    def __init__(self, array: Any) -> None:
        self.shape, self.dtype, self.chunks = array.shape, array.dtype, array.chunks
        self._array = array
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
        if missing is None:
            pixels: Pixels = self._array[key]
            return pixels
        found = self._at_hand(key)
        if found is None:
            missing.append(lambda: self._fetch(key))
            spans = zip(self.shape, key, strict=True)
            sides = [len(range(n)[at]) for n, at in spans if isinstance(at, slice)]
            return np.zeros(sides, self.dtype)
        return found

    def _at_hand(self, key: tuple[int | slice, ...]) -> Pixels | None:
        with self._lock:
            since, pixels = self._read.get(repr(key), (0.0, None))
        if pixels is not None and time.perf_counter() - since < FRESH_S:
            return pixels
        at_hand = getattr(self._array, "at_hand", None)
        return at_hand(key) if at_hand else None

    def _fetch(self, key: tuple[int | slice, ...]) -> None:
        pixels = self._array[key]
        with self._lock:
            self._read[repr(key)] = time.perf_counter(), pixels
            while len(self._read) > READS_KEPT:
                self._read.popitem(last=False)


def lazy_over(array: Any, is_far: bool) -> LazyArray:
    """A view of all of an array, which is waited for where it is far away."""
    return LazyArray(FarArray(array) if is_far else array)


def is_far(array: Any) -> bool:
    """Whether reading an array, or a view of one, is waiting for a network."""
    return isinstance(getattr(array, "stored", None), FarArray)
