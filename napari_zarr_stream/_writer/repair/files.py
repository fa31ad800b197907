"""One file of a level as it is: which of its parts can be read, or could be.

A *part* is what a file is written in: a chunk of a shard, what some frames add to a
chunk, or a whole chunk. Only reads.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_zarr_stream._writer import system
from napari_zarr_stream._writer.codecs import (
    BLOSC_HEADER,
    EMPTY,
    MAX_BLOSC_BYTES,
    STORED,
    Blosc,
    BloscHeader,
    Codec,
    empty_shard_index,
    parse_shard_index,
)
from napari_zarr_stream._writer.marks import (
    HEAD_BYTES,
    Mark,
    Placed,
    find_marks,
    mark_bytes,
)
from napari_zarr_stream._writer.plan import Plan

Index = npt.NDArray[np.uint64]
Place = tuple[int, ...]

PIECE_BYTES = 16 * 2**20
"""Files are searched in pieces of this size."""


class Need(Enum):
    """What a file needs, to be read as far as its parts go."""

    NOTHING = "nothing"
    INDEX = "an index right behind its chunks"
    HEAD = "a table of the blocks in the chunk"
    LENGTH = "its full length"


@dataclass(slots=True)
class Found:
    """One file of a level.

    Attributes
    ----------
    path : Path
    place : tuple of int
        Of the chunk or shard in the level's grid.
    there : array of bool
        By part: whether it can be read, or could if the file had what it needs.
    need : Need
    index : array or None
        Of a shard that needs one: offset and bytes of each chunk that is there.
    placed : tuple of Placed
        Of a chunk without a table of blocks: where its parts lie.
    chunks_end : int
        Of a shard that was left open: where the last chunk and its mark end.
    unplaced_bytes : int
        Of chunks whose place nothing tells.
    problem : str
        What is wrong with a file that cannot be read at all.
    """

    path: Path
    place: Place
    there: npt.NDArray[np.bool_]
    need: Need = Need.NOTHING
    index: Index | None = None
    placed: tuple[Placed, ...] = ()
    chunks_end: int = 0
    unplaced_bytes: int = 0
    problem: str = ""


class Layout:
    """How the files of a level are cut into parts: the same for all levels."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.has_steps = bool(plan.outer)
        """Whether there is an axis before y and x."""
        self.parts = plan.chunks_per_shard if plan.shard_shape else plan.parts_per_chunk
        """That a file has room for."""
        self.part_bytes = plan.bytes_per_chunk // plan.parts_per_chunk
        """Raw, of one part."""
        self.blocks_per_part = 0
        """Of a chunk that is encoded in parts, blosc's blocks."""
        if plan.blosc_block_bytes and plan.parts_per_chunk > 1:
            self.blocks_per_part = self.part_bytes // plan.blosc_block_bytes
        self.units_per_file = self.steps_per_unit = 1
        """Parts one after another along the first axis, and steps that each covers."""
        if self.has_steps:
            self.units_per_file = (
                plan.shard_grid[0] if plan.shard_shape else plan.parts_per_chunk
            )
            self.steps_per_unit = plan.chunk_shape[0] // plan.parts_per_chunk
        self.steps_per_file = self.units_per_file * self.steps_per_unit
        """Steps along the first axis that a file covers."""


def data_pieces(descriptor: int, overlap: int) -> Iterator[tuple[int, bytes]]:
    """Offset and bytes of a file's pieces, without what was never written.

    Each piece begins `overlap` bytes before the last one ended.
    """
    for at, end in system.data_ranges(descriptor):
        while at < end:
            piece = system.read_at(descriptor, min(PIECE_BYTES, end - at), at)
            if not piece:
                return
            yield at, piece
            at += len(piece)
            if at < end and len(piece) > overlap:
                at -= overlap


class FileExaminer:
    """Looks into files of the levels of one plan.

    Parameters
    ----------
    layout : Layout
    codec : Codec
    is_open : bool
        Whether the writer never ended: only then does more count than readers see.
    """

    def __init__(self, layout: Layout, codec: Codec, is_open: bool) -> None:
        self._layout = layout
        self._plan = layout.plan
        self._codec = codec
        self._is_open = is_open

    def look(self, path: Path, place: Place) -> Found:
        """What the file at `place` holds."""
        found = Found(path, place, np.zeros(self._layout.parts, bool))
        try:
            with system.closing(system.open_to_read(path)) as descriptor:
                size = system.size_of(descriptor)
                if not system.is_regular(descriptor):
                    found.problem = "no regular file"
                elif self._plan.shard_shape:
                    self._look_at_shard(descriptor, size, found)
                elif isinstance(self._codec, Blosc):
                    self._look_at_blosc(descriptor, size, found)
                else:
                    self._look_at_raw(size, found)
        except OSError as error:
            found.problem = str(error)
        return found

    def _look_at_raw(self, size: int, found: Found) -> None:
        whole = self._plan.bytes_per_chunk
        if size == whole:
            found.there[:] = True
        elif size < whole:
            here = size // self._layout.part_bytes
            found.there[:here] = True
            found.problem = f"{size} of {whole} bytes"
            found.need = Need.LENGTH if here else Need.NOTHING
        else:
            found.problem = f"{size} bytes instead of {whole}"

    # ------------------------------------------------------------- chunks with a codec

    def _look_at_blosc(self, descriptor: int, size: int, found: Found) -> None:
        whole, parts = self._plan.bytes_per_chunk, self._layout.parts
        head = system.read_at(descriptor, BLOSC_HEADER.size, 0)
        is_whole = self._is_blosc(head, size, whole, size)
        if is_whole and (parts == 1 or self._has_table(descriptor, head, size)):
            found.there[:] = True
            return
        found.problem = f"no blosc buffer of {whole} bytes"
        if parts == 1 or not self._is_open or size > MAX_BLOSC_BYTES // 2:
            return  # nor was such a file joined from parts
        placed = {
            part.number: part
            for mark in self._marks(descriptor)
            for part in mark.placed
            if part.number < parts
            and part.size <= 2 * self._layout.part_bytes
            and self._is_part(system.read_at(descriptor, part.size, part.offset))
        }
        found.there[list(placed)] = True
        found.placed = tuple(placed.values())
        if placed:
            found.need = Need.HEAD
        table = BLOSC_HEADER.size + 4 * self._layout.blocks_per_part * parts
        named = sum(part.size + mark_bytes(1) for part in found.placed)
        found.unplaced_bytes = max(0, size - table - named)

    def _is_blosc(self, head: bytes, size: int, nbytes: int, most: int) -> bool:
        header = BloscHeader.read(head)
        return header is not None and (
            header.version == 2
            and header.itemsize == self._plan.dtype.itemsize
            and header.nbytes == nbytes
            and 0 < header.block_bytes <= nbytes
            and BLOSC_HEADER.size <= header.encoded_bytes <= most
            and header.encoded_bytes == size
        )

    def _has_table(self, descriptor: int, head: bytes, size: int) -> bool:
        """Whether every block has a place: the table is written last.

        Blocks of what earlier versions encoded at once have sizes of their own.
        """
        header = BloscHeader.read(head)
        assert header is not None
        if header.flags & STORED:
            return True
        count = -(-header.nbytes // header.block_bytes)
        table = system.read_at(descriptor, 4 * count, BLOSC_HEADER.size)
        starts = np.frombuffer(table, "<i4")
        first = BLOSC_HEADER.size + 4 * count
        inside = (starts >= first) & (starts < size)
        return len(starts) == count and bool(inside.all())

    def _is_part(self, data: bytes) -> bool:
        assert isinstance(self._codec, Blosc)
        count, itemsize = self._layout.blocks_per_part, self._plan.dtype.itemsize
        blocks = self._codec.find_blocks(data, count, itemsize)
        return blocks is not None and len(blocks.data) == len(data)

    # -------------------------------------------------------------------------- shards

    def _look_at_shard(self, descriptor: int, size: int, found: Found) -> None:
        parts = self._layout.parts
        index_bytes = 16 * parts + 4
        last = system.read_at(descriptor, index_bytes, max(0, size - index_bytes))
        index = parse_shard_index(last, parts)
        ends_with_index = index is not None
        if index is None:
            found.problem = "no index at the end of the shard"
            index = empty_shard_index(parts)
        index = self._sound(descriptor, index, size)
        end = _end_of(index)
        is_compact = ends_with_index and self._is_right_behind(
            descriptor, end, size - index_bytes
        )
        if self._is_open and not is_compact:
            # Each chunk has a mark, named in the index or not.
            marked = empty_shard_index(parts)
            for mark in self._marks(descriptor):
                found.chunks_end = max(found.chunks_end, mark.end)
                for part in mark.placed:
                    if part.number < parts:
                        marked[part.number] = part.offset, part.size
            told, missing = index.copy(), index[:, 0] == EMPTY
            index[missing] = self._sound(descriptor, marked, size)[missing]
            found.chunks_end = max(found.chunks_end, _end_of(index))
            is_compact = (
                ends_with_index
                and size == found.chunks_end + index_bytes
                and np.array_equal(index, told)
            )
        found.there[:] = index[:, 0] != EMPTY
        if self._is_open and found.there.any() and not is_compact:
            found.need = Need.INDEX
            found.index = index

    def _is_right_behind(self, descriptor: int, end: int, index_start: int) -> bool:
        """Whether only the mark of the last chunks, which end at `end`, is before it.

        Then the writer had come to an end there, and all chunks are in the index: one
        of a shard that still fills lies far behind them.
        """
        gap = index_start - end
        if not 0 < gap <= mark_bytes(self._layout.parts):
            return False
        marks = find_marks(system.read_at(descriptor, gap, end), end)
        return any(
            mark.end == index_start and gap == mark_bytes(len(mark.placed))
            for mark in marks
        )

    def _sound(self, descriptor: int, index: Index, size: int) -> Index:
        """The index without chunks that are outside, overlap, or are no chunks."""
        index = index.astype("<u8")
        named = np.flatnonzero(index[:, 0] != EMPTY)
        offsets, sizes = index[named, 0], index[named, 1]
        limit = np.uint64(size)
        good = (offsets < limit) & (sizes <= limit) & (sizes > 0)
        good[good] &= offsets[good] + sizes[good] <= limit
        order = named[good][np.argsort(index[named[good], 0], kind="stable")]
        ends = np.maximum.accumulate(index[order, 0] + index[order, 1])
        clash = ends[:-1] > index[order[1:], 0]
        bad = np.zeros(len(order), bool)
        bad[:-1] |= clash
        bad[1:] |= clash
        sound = empty_shard_index(len(index))
        for number in order[~bad]:
            offset, length = (int(value) for value in index[number])
            if self._is_chunk(descriptor, offset, length):
                sound[number] = offset, length
        return sound

    def _is_chunk(self, descriptor: int, offset: int, length: int) -> bool:
        whole = self._plan.bytes_per_chunk
        if not isinstance(self._codec, Blosc):
            return length == whole
        head = system.read_at(descriptor, BLOSC_HEADER.size, offset)
        return self._is_blosc(head, length, whole, whole + BLOSC_HEADER.size)

    def _marks(self, descriptor: int) -> Iterator[Mark]:
        def read(size: int, offset: int) -> bytes:
            return system.read_at(descriptor, size, offset)

        for offset, piece in data_pieces(descriptor, HEAD_BYTES):
            yield from find_marks(piece, offset, read)


def _end_of(index: Index) -> int:
    """Where the last chunk ends that an index names."""
    return int(index[index[:, 0] != EMPTY].sum(axis=1).max(initial=0))
