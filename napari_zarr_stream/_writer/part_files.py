"""The files of a level that are encoded and written in parts, by several workers."""

import abc
import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from .codecs import (
    MAX_OVERHEAD,
    Blocks,
    BlockTable,
    Blosc,
    Codec,
    Encoded,
    Raw,
    empty_shard_index,
    encode_shard_index,
)
from .marks import encode_mark, mark_bytes
from .plan import Plan
from .store import StoredFile

MOST_INDEXES = 16
"""One before another in a shard that fills: an end that moves down is as it was or as
it will be, whenever the program is killed; one that moves up may have half an index."""

PAGE = 4096
"""Of memory: systems write one of a file as a whole."""


Part = tuple[int, npt.NDArray[np.generic]]
"""A chunk of a shard, or what some frames add to a chunk: number there, pixels."""


class PartFile(abc.ABC):
    """A file that is encoded and written in parts, by several workers.

    Parameters
    ----------
    file : StoredFile
    parts : int
        After which it is complete.
    """

    def __init__(self, file: StoredFile, parts: int) -> None:
        self._file = file
        self._missing = parts  # guarded by _lock
        self._lock = threading.Lock()
        self.is_complete = False

    @abc.abstractmethod
    def write(self, parts: Sequence[Part]) -> int:
        """Encode and write, and finish with the last one; returns bytes stored."""

    def _count(self, parts: int) -> None:
        """Note that so many parts more are there. Caller must hold `_lock`."""
        self._missing -= parts
        if not self._missing:
            self.is_complete = True
            self._close()

    def finish(self) -> None:
        """Make what is there readable, and close."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        with contextlib.closing(self._file):
            self._finish()
            self._file.appear()

    def publish(self) -> None:  # noqa: B027 - most files need nothing for it
        """Let readers find what is there, if they can be told before the end."""

    def flush(self) -> None:
        """Make what is there readable, and go on."""
        self.publish()

    @abc.abstractmethod
    def _finish(self) -> None:
        """See `finish`. Caller must hold `_lock`."""


class RawChunk(PartFile):
    """A chunk without codec, to which every frame is written at its own place."""

    def __init__(self, file: StoredFile, plan: Plan) -> None:
        super().__init__(file, plan.parts_per_chunk)
        self._part_bytes = plan.bytes_per_chunk // plan.parts_per_chunk
        # A reader expects the whole chunk; what is never written costs no disk space.
        try:
            file.lengthen(plan.bytes_per_chunk)
        except BaseException:
            file.close()
            raise

    def write(self, parts: Sequence[Part]) -> int:
        """See `PartFile.write`."""
        for number, pixels in parts:
            self._file.write_at(number * self._part_bytes, Raw().encode(pixels))
        with self._lock:
            self._count(len(parts))
        return len(parts) * self._part_bytes

    def _finish(self) -> None:
        """Nothing: it could be read all the time."""


NONE = -1
"""The number of no part."""

E = TypeVar("E")


class _GrowingFile(PartFile, Generic[E]):
    """A file in which encoded parts lie one behind another.

    In the order they come, with marks between them; or in the order of `numbers`, and
    without: then the same pixels make the same bytes, whichever worker is faster.
    """

    def __init__(
        self,
        file: StoredFile,
        parts: int,
        first_offset: int,
        numbers: Iterator[int] | None,
    ) -> None:
        super().__init__(file, parts)
        self._size = first_offset  # guarded by _lock
        self._numbers = iter(numbers or ())  # guarded by _lock
        self._next = next(self._numbers, NONE)  # the same
        self._in_turn = numbers is not None
        self._early: dict[int, tuple[Encoded, E]] = {}  # before their turn; the same

    @abc.abstractmethod
    def _encode(self, pixels: npt.NDArray[np.generic]) -> tuple[Encoded, E]:
        """A part as bytes, and what is to be noted of it."""

    @abc.abstractmethod
    def _note(self, number: int, part: E, offset: int) -> None:
        """Note where a part was written. Caller must hold `_lock`."""

    def _noted(self) -> None:
        """Parts were noted. Caller must hold `_lock`."""

    def write(self, parts: Sequence[Part]) -> int:
        """See `PartFile.write`."""
        encoded: Sequence[tuple[int, Encoded, E]] = [
            (number, *self._encode(pixels)) for number, pixels in parts
        ]
        stored = sum(len(data) for _, data, _ in encoded)
        if not self._in_turn:
            start = self._add_with_mark([(n, data) for n, data, _ in encoded])
        else:
            start, encoded = self._add_in_turn(encoded)
        if encoded:
            with self._lock:
                for number, data, part in encoded:
                    self._note(number, part, start)
                    start += len(data)
                self._noted()
                self._count(len(encoded))
        return stored

    def _add_with_mark(self, encoded: Sequence[tuple[int, Encoded]]) -> int:
        """Write behind all that is there or under way; returns where."""
        numbers, data = zip(*encoded, strict=True)
        sizes = list(map(len, data))
        with self._lock:
            start = self._size
            self._size = start + sum(sizes) + mark_bytes(len(sizes))
        # The mark comes last: where it can be read, all before it was written.
        self._file.write_at(start, *data, encode_mark(start, numbers, sizes))
        return start

    def _add_in_turn(
        self, encoded: Sequence[tuple[int, Encoded, E]]
    ) -> tuple[int, list[tuple[int, Encoded, E]]]:
        """Write those whose turn it is, of these and of earlier ones, and keep others.

        Returns where, and what was written.
        """
        turn: list[tuple[int, Encoded, E]] = []
        with self._lock:
            start = self._size
            self._early |= {number: (data, part) for number, data, part in encoded}
            while (number := self._next) in self._early:
                turn.append((number, *self._early.pop(number)))
                self._size += len(turn[-1][1])
                self._next = next(self._numbers, NONE)
            for number, data, part in encoded:
                if number in self._early:
                    # It may be a view of pixels, which are others in its turn.
                    self._early[number] = bytes(data), part
        if turn:
            self._file.write_at(start, *(data for _, data, _ in turn))
        return start, turn


class Shard(_GrowingFile[Encoded]):
    """Encoded chunks, then their index.

    Zarr v3 specification, codec `sharding_indexed`, index at the end. The index has
    `room` for more chunks than there are, where a shard reaches beyond the plane.

    A shard that is not full yet can be read as well: far behind its chunks lies an
    index, with a hole between them that takes no disk space. A newer one is written
    just before it, and the file is cut there. So whoever opens the file finds a whole
    index in its last bytes, at any moment. When the room for that is used up, one is
    written at the far end again.

    On a disk without holes that would fill the file with zeros: there no index is
    written before a shard is full, unless it is flushed.
    """

    def __init__(
        self,
        file: StoredFile,
        parts: int,
        room: int,
        codec: Codec,
        chunk_bytes: int,
        has_holes: bool,
        numbers: Iterator[int] | None = None,
    ) -> None:
        super().__init__(file, parts, 0, numbers)
        self._codec = codec
        self._has_holes = has_holes
        self._index = empty_shard_index(room)  # guarded by _lock
        self._is_new = False  # something is not in the index; guarded by _lock
        index_bytes = len(encode_shard_index(self._index))
        most = parts * (chunk_bytes + MAX_OVERHEAD + mark_bytes(1))
        # Above what chunks and the last index can take.
        self._floor = most + index_bytes
        room = MOST_INDEXES * index_bytes
        if not has_holes:
            room = max(2 * index_bytes, min(room, most))
        # So that an index of a page is written there at once, or not at all.
        self._far_end = -(-(self._floor + room) // PAGE) * PAGE
        self._end = 0  # where the last index ends, if there is one; guarded by _lock

    def _encode(self, pixels: npt.NDArray[np.generic]) -> tuple[Encoded, Encoded]:
        data = self._codec.encode(pixels)
        return data, data

    def _note(self, number: int, part: Encoded, offset: int) -> None:
        # Only now: an index that is written names nothing that is not there.
        self._index[number] = offset, len(part)
        self._is_new = True

    def publish(self) -> None:
        """See `PartFile.publish`."""
        if self._has_holes:
            self.flush()

    def flush(self) -> None:
        """See `PartFile.flush`."""
        with self._lock:
            if not self._is_new:
                return
            index = encode_shard_index(self._index)
            end = self._end - len(index)
            if end - len(index) < self._floor:
                end = self._far_end
            end = self._file.end_with(end - len(index), index)
            self._file.appear()
            # Not before: what is refused is tried again at the next commit.
            self._is_new = False
            self._end = end

    def _finish(self) -> None:
        self._is_new = False  # who was about to publish it comes too late
        index = encode_shard_index(self._index)
        self._file.end_with(self._size, index)


class BloscChunk(_GrowingFile[Blocks]):
    """A chunk that is encoded in parts: blocks behind a table of them.

    What never came is zeros, which are stored once.
    """

    def __init__(
        self,
        file: StoredFile,
        plan: Plan,
        codec: Blosc,
        numbers: Iterator[int] | None = None,
    ) -> None:
        self._dtype = plan.dtype
        part_bytes = plan.bytes_per_chunk // plan.parts_per_chunk
        self._blocks = part_bytes // codec.block_bytes
        blocks = plan.parts_per_chunk * self._blocks
        self._table = BlockTable(codec, plan.dtype, blocks)  # guarded by _lock
        self._codec = codec
        self._is_live = False  # readers know of it; guarded by _lock
        self._has_zeros = False  # for what never came; guarded by _lock
        super().__init__(file, plan.parts_per_chunk, self._table.size, numbers)

    def _encode(self, pixels: npt.NDArray[np.generic]) -> tuple[Encoded, Blocks]:
        blocks = self._codec.encode_blocks(pixels)
        return blocks.data, blocks

    def _note(self, number: int, part: Blocks, offset: int) -> None:
        self._table.put(number * self._blocks, part, offset)

    def _noted(self) -> None:
        if self._is_live:
            self._put_table()

    def flush(self) -> None:
        """See `PartFile.flush`: from now on it is a blosc buffer after each write."""
        with self._lock:
            self._is_live = True
            self._put_table()

    def _finish(self) -> None:
        self._put_table()

    def _put_table(self) -> None:
        """Make it a blosc buffer. Caller must hold `_lock`."""
        if self._missing and not self._has_zeros:
            self._has_zeros = True
            part_bytes = self._blocks * self._codec.block_bytes
            none = np.zeros(part_bytes // self._dtype.itemsize, self._dtype)
            zeros = self._codec.encode_blocks(none)
            self._file.write_at(self._size, zeros.data)
            self._table.fill(zeros, self._size)
            self._size += len(zeros.data)
        # Last: before it, the file is no blosc buffer.
        self._file.write_at(0, self._table.encode(self._size))
