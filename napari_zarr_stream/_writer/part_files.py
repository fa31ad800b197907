"""The files of a level that are encoded and written in parts, by several workers."""

import abc
import contextlib
import threading
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .codecs import (
    MAX_OVERHEAD,
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


class _GrowingFile(PartFile):
    """A file in which encoded parts lie in the order they come, marks between them."""

    def __init__(self, file: StoredFile, parts: int, first_offset: int) -> None:
        super().__init__(file, parts)
        self._size = first_offset  # guarded by _lock

    def _add(self, parts: Sequence[Part], encoded: Sequence[Encoded]) -> int:
        """Write behind all that is there or under way; returns where."""
        sizes = list(map(len, encoded))
        with self._lock:
            start = self._size
            self._size = start + sum(sizes) + mark_bytes(len(sizes))
        # The mark comes last: where it can be read, all before it was written.
        mark = encode_mark(start, [number for number, _ in parts], sizes)
        self._file.write_at(start, *encoded, mark)
        return start


class Shard(_GrowingFile):
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
    ) -> None:
        super().__init__(file, parts, 0)
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

    def write(self, parts: Sequence[Part]) -> int:
        """See `PartFile.write`."""
        encoded = [self._codec.encode(pixels) for _, pixels in parts]
        end = start = self._add(parts, encoded)
        with self._lock:
            # Only now: an index that is written names nothing that is not there.
            for (number, _), chunk in zip(parts, encoded, strict=True):
                self._index[number] = end, len(chunk)
                end += len(chunk)
            self._is_new = True
            self._count(len(parts))
        return end - start

    def publish(self) -> None:
        """See `PartFile.publish`."""
        if self._has_holes:
            self.flush()

    def flush(self) -> None:
        """See `PartFile.flush`."""
        with self._lock:
            if not self._is_new:
                return
            self._is_new = False
            index = encode_shard_index(self._index)
            end = self._end - len(index)
            if end - len(index) < self._floor:
                end = self._far_end
            self._file.end_with(end - len(index), index)
            self._file.appear()
            self._end = end

    def _finish(self) -> None:
        self._is_new = False  # who was about to publish it comes too late
        index = encode_shard_index(self._index)
        self._file.end_with(self._size, index)
        self._file.appear()


class BloscChunk(_GrowingFile):
    """A chunk that is encoded in parts: blocks behind a table of them.

    What never came is zeros, which are stored once.
    """

    def __init__(self, file: StoredFile, plan: Plan, codec: Blosc) -> None:
        self._dtype = plan.dtype
        part_bytes = plan.bytes_per_chunk // plan.parts_per_chunk
        self._blocks = part_bytes // codec.block_bytes
        blocks = plan.parts_per_chunk * self._blocks
        self._table = BlockTable(codec, plan.dtype, blocks)  # guarded by _lock
        self._codec = codec
        self._is_live = False  # readers know of it; guarded by _lock
        self._has_zeros = False  # for what never came; guarded by _lock
        super().__init__(file, plan.parts_per_chunk, self._table.size)

    def write(self, parts: Sequence[Part]) -> int:
        """See `PartFile.write`."""
        encoded = [self._codec.encode_blocks(pixels) for _, pixels in parts]
        end = start = self._add(parts, [blocks.data for blocks in encoded])
        with self._lock:
            for (number, _), blocks in zip(parts, encoded, strict=True):
                self._table.put(number * self._blocks, blocks, end)
                end += len(blocks.data)
            if self._is_live:
                self._put_table()
            self._count(len(parts))
        return end - start

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
