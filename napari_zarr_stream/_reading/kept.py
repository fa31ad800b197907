"""Chunks that were looked at are kept, and those of the next steps read ahead.

A slider goes back and forth, and a chunk may hold many frames: what was decoded once
serves all of them.
"""

import itertools
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import psutil

from .ahead import ahead
from .location import Location

Pixels = npt.NDArray[np.generic]
Chunk = tuple[int, ...]
Stamp = tuple[int, int] | None
MOST_BYTES = min(2**30, psutil.virtual_memory().total // 8)
"""Of all chunks that are kept: three chunk layers of 2048 x 2048 uint16 with the
driver's cap of 16 MiB, or 128 such frames in shards."""

SHARE_OF_READ = 0.5
"""What one read takes beyond this share of it is not kept: nothing else would be."""

MOST_CHUNKS = 1024
"""Of one read: more are small ones, and to ask for the file of each takes longer than
it saves."""

SETTLED_NS = 2 * 10**9
"""A file that was changed since then may change again and tell no other time: FAT has
one for two seconds."""

STEPS_AHEAD = 3
"""At 30 a second they last for 100 ms of decoding."""


class Stored(Protocol):
    """An array in chunks, as `ZarrArray`."""

    path: Location
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: np.dtype[Any]

    def stamp_of(self, chunk: Chunk) -> Stamp:
        """When the file of a chunk was changed, in ns, and its size."""

    def read_chunks(self, chunks: Sequence[Chunk]) -> dict[Chunk, Pixels] | None:
        """Some, if that is fast; None if they are to be read as pixels."""

    def __getitem__(self, key: tuple[int | slice, ...]) -> Pixels:
        """Read pixels."""


class Chunks:
    """Decoded chunks, those that were used last, up to a number of bytes.

    May be used from any thread.

    Parameters
    ----------
    most_bytes : int
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.bytes = 0  # guarded by _lock, as is what follows
        self._kept: OrderedDict[tuple[Location, Chunk], tuple[Stamp, Pixels]]
        self._kept = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: Location, chunk: Chunk, stamp: Stamp) -> Pixels | None:
        """A chunk of the array at `path`, if it is still what is stored."""
        with self._lock:
            found = self._kept.get((path, chunk))
            if found is None or found[0] != stamp:
                return None
            self._kept.move_to_end((path, chunk))
            return found[1]

    def put(self, path: Location, chunk: Chunk, stamp: Stamp, pixels: Pixels) -> None:
        """Keep a chunk, in place of those that were not used for longest."""
        with self._lock:
            before = self._kept.pop((path, chunk), None)
            self.bytes += pixels.nbytes - (before[1].nbytes if before else 0)
            self._kept[path, chunk] = stamp, pixels
            while self.bytes > self.most_bytes:
                _, (_, oldest) = self._kept.popitem(last=False)
                self.bytes -= oldest.nbytes


chunks_kept = Chunks(MOST_BYTES)


class KeptArray:
    """A stored array of which the chunks that are read are kept.

    Parameters
    ----------
    array : Stored
    kept : Chunks, optional
        Those of the whole process, unless others are given.
    """

    def __init__(self, array: Stored, kept: Chunks = chunks_kept) -> None:
        self.path, self.shape, self.dtype = array.path, array.shape, array.dtype
        self.chunks = array.chunks
        self._array = array
        self._kept = kept
        self._bytes_per_chunk = math.prod(array.chunks) * array.dtype.itemsize
        self._last: tuple[range, ...] = ()
        self._changed = threading.Condition()
        self._being_read: set[Chunk] = set()  # guarded by _changed

    def __reduce__(self) -> tuple[type, tuple[Stored]]:
        """In another process other chunks are kept."""
        return type(self), (self._array,)

    def __getitem__(self, key: tuple[int | slice, ...]) -> Pixels:
        """Read pixels: `key` has an int or a slice with a positive step for each axis.

        Raises
        ------
        InvalidStore
            That is more than can be read at once, or is damaged.
        """
        spans = _spans(key, self.shape)
        if not self._is_worth_it(spans):
            return self._array[key]
        pixels = self._laid(spans, self._chunks_of(spans))
        self._read_on(spans)
        return pixels[tuple(0 if isinstance(at, int) else slice(None) for at in key)]

    def at_hand(self, key: tuple[int | slice, ...]) -> Pixels | None:
        """As above, where all that it needs is kept; None where something is not."""
        spans = _spans(key, self.shape)
        if not self._is_worth_it(spans):
            return None
        found = {}
        for chunk in itertools.product(*self._rows(spans)):
            kept = self._kept.get(self.path, chunk, self._array.stamp_of(chunk))
            if kept is None or kept.shape != tuple(map(len, self._extent(chunk))):
                return None
            found[chunk] = kept
        pixels = self._laid(spans, found)
        self._read_on(spans)
        return pixels[tuple(0 if isinstance(at, int) else slice(None) for at in key)]

    def _read_on(self, spans: tuple[range, ...]) -> None:
        """Have the next steps read ahead, if this was one in a row."""
        last, self._last = self._last, spans
        next_steps = _going_on(last, spans, self.shape)
        ahead.wish(self, [partial(self._read_ahead, step) for step in next_steps])

    def _is_worth_it(self, spans: Sequence[range]) -> bool:
        if not all(spans):
            return False
        count = math.prod(len(row) for row in self._rows(spans))
        most = SHARE_OF_READ * self._kept.most_bytes
        return count <= MOST_CHUNKS and count * self._bytes_per_chunk <= most

    def _rows(self, spans: Sequence[range]) -> list[range]:
        """Which chunks spans meet, along each axis."""
        return [
            range(span[0] // side, span[-1] // side + 1)
            for span, side in zip(spans, self.chunks, strict=True)
        ]

    def _extent(self, chunk: Chunk) -> list[range]:
        """The pixels of a chunk, those that the array has."""
        return [
            range(at * side, min((at + 1) * side, size))
            for at, side, size in zip(chunk, self.chunks, self.shape, strict=True)
        ]

    def _read_ahead(self, spans: Sequence[range]) -> None:
        """Have the chunks that spans meet kept, unless they are still written."""
        chunks = itertools.product(*self._rows(spans))
        if all(_is_settled(self._array.stamp_of(chunk)) for chunk in chunks):
            self._chunks_of(spans)

    def _chunks_of(self, spans: Sequence[range]) -> dict[Chunk, Pixels]:
        """All chunks that spans meet: those that are not kept are read.

        What another thread reads already is waited for.
        """
        chunks = list(itertools.product(*self._rows(spans)))
        with self._changed:
            self._changed.wait_for(lambda: self._being_read.isdisjoint(chunks))
            stamps = {chunk: self._array.stamp_of(chunk) for chunk in chunks}
            found = {
                chunk: pixels
                for chunk, stamp in stamps.items()
                if (pixels := self._kept.get(self.path, chunk, stamp)) is not None
                # The array may have grown since, within the same file.
                and pixels.shape == tuple(map(len, self._extent(chunk)))
            }
            missing = stamps.keys() - found.keys()
            self._being_read |= missing
        try:
            if missing:
                found |= self._read_chunks({chunk: stamps[chunk] for chunk in missing})
        finally:
            with self._changed:
                self._being_read -= missing
                self._changed.notify_all()
        return found

    def _read_chunks(self, missing: dict[Chunk, Stamp]) -> dict[Chunk, Pixels]:
        """Read chunks, and keep them."""
        read = self._array.read_chunks(list(missing))
        if read is None:
            read = self._read_together(missing)
        for chunk, stamp in missing.items():
            if _is_settled(stamp):
                self._kept.put(self.path, chunk, stamp, read[chunk])
        return read

    def _read_together(self, chunks: Iterable[Chunk]) -> dict[Chunk, Pixels]:
        """Read chunks all at once: they are decoded side by side."""
        chunks = list(chunks)
        ends = list(zip(*chunks, strict=True))
        first, last = (self._extent(tuple(map(pick, ends))) for pick in (min, max))
        box = [slice(a.start, b.stop) for a, b in zip(first, last, strict=True)]
        pixels = self._array[tuple(box)]
        read = {}
        for chunk in chunks:
            inside = tuple(
                slice(here.start - side.start, here.stop - side.start)
                for here, side in zip(self._extent(chunk), box, strict=True)
            )
            # Of its own: one that stays would keep the memory of all of them.
            read[chunk] = np.ascontiguousarray(pixels[inside])
        return read

    def _laid(self, spans: Sequence[range], chunks: dict[Chunk, Pixels]) -> Pixels:
        """What chunks have of the spans."""
        pixels = np.empty(tuple(map(len, spans)), self.dtype)
        for chunk, there in chunks.items():
            of, to = [], []
            for span, here in zip(spans, self._extent(chunk), strict=True):
                begin = max(0, -(-(here.start - span.start) // span.step))
                end = min(len(span), -(-(here.stop - span.start) // span.step))
                start = span.start + begin * span.step - here.start
                of.append(slice(start, start + (end - begin) * span.step, span.step))
                to.append(slice(begin, end))
            pixels[tuple(to)] = there[tuple(of)]
        return pixels


def _spans(key: tuple[int | slice, ...], shape: tuple[int, ...]) -> tuple[range, ...]:
    return tuple(
        range(size)[at] if isinstance(at, slice) else range(size)[at : at + 1 or None]
        for at, size in zip(key, shape, strict=True)
    )


def _is_settled(stamp: Stamp) -> bool:
    """Whether a file with this stamp is as it was when the stamp is the same again."""
    return stamp is not None and time.time_ns() - stamp[0] > SETTLED_NS


def _going_on(
    last: Sequence[range], spans: Sequence[range], shape: Sequence[int]
) -> Iterator[tuple[range, ...]]:
    """The next steps, if the last one was to a neighbour along one axis."""
    moved = [i for i, span in enumerate(spans) if last and span != last[i]]
    if len(moved) != 1 or len(spans[moved[0]]) != 1:
        return
    [axis] = moved
    here = spans[axis][0]
    by = here - last[axis][0]
    if abs(by) != 1 or len(last[axis]) != 1:
        return
    for at in (here + n * by for n in range(1, STEPS_AHEAD + 1)):
        if 0 <= at < shape[axis]:
            yield (*spans[:axis], range(at, at + 1), *spans[axis + 1 :])
