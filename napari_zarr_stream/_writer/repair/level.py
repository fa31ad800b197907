"""What the files of one level hold: which of their parts can be read, or could be.

A *part* is what a file is written in: a chunk of a shard, what one frame adds to a
chunk, or a whole chunk. Only reads; `repair` writes.
"""

import itertools
import struct
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import blosc
import google_crc32c
import numpy as np
import numpy.typing as npt

from napari_zarr_stream._writer import system
from napari_zarr_stream._writer.codecs import (
    EMPTY,
    MAX_BLOSC_BYTES,
    Blocks,
    BlockTable,
    Blosc,
    Codec,
    Raw,
    empty_shard_index,
)
from napari_zarr_stream._writer.grid import in_shard
from napari_zarr_stream._writer.marks import (
    MAX_ENTRIES,
    Mark,
    Placed,
    find_marks,
    mark_bytes,
)
from napari_zarr_stream._writer.part_files import PAGE
from napari_zarr_stream._writer.plan import Plan
from napari_zarr_stream._writer.tiles import gather_tiles

Index = npt.NDArray[np.uint64]
Pixels = npt.NDArray[np.generic]
Place = tuple[int, ...]

_BLOSC = struct.Struct("<BBBBIII")

PIECE_BYTES = 16 * 2**20
"""Files are searched in pieces of this size."""

CACHE_BYTES = 512 * 2**20
"""Of decoded chunks: a chunk that stacks frames is needed for each of them."""


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


class Level:
    """The files of one level as they are.

    Parameters
    ----------
    folder : Path
    level : int
    plan : Plan
    codec : Codec
    prefix : str
        Of chunk keys below the folder.
    is_open : bool
        Whether the writer never ended: only then does more count than readers see.
    """

    def __init__(
        self,
        folder: Path,
        level: int,
        plan: Plan,
        codec: Codec,
        prefix: str,
        is_open: bool,
    ) -> None:
        self.folder = folder
        self.level = level
        self.plan = plan
        self.codec = codec
        self._prefix = prefix
        self._is_open = is_open
        self._decoded: OrderedDict[tuple[Place, int], Pixels] = OrderedDict()
        self._last_index: tuple[Place, Index] = (), empty_shard_index(0)
        self.strays: list[Path] = []
        self.files = {found.place: found for found in self._scan()}

    # ------------------------------------------------------------------ arithmetic

    @property
    def has_steps(self) -> bool:
        """Whether there is an axis before y and x."""
        return bool(self.plan.outer)

    @property
    def parts(self) -> int:
        """Parts that a file has room for."""
        if self.plan.shard_shape:
            return self.plan.chunks_per_shard
        return self.plan.parts_per_chunk

    @property
    def units_per_file(self) -> int:
        """Parts one after another along the first axis."""
        if not self.has_steps:
            return 1
        if self.plan.shard_shape:
            return self.plan.shard_grid[0]
        return self.plan.parts_per_chunk

    @property
    def steps_per_unit(self) -> int:
        """Steps along the first axis that a part covers."""
        if not self.has_steps:
            return 1
        return self.plan.chunk_shape[0] // self.plan.parts_per_chunk

    @property
    def steps_per_layer(self) -> int:
        """Steps along the first axis that a file covers."""
        return self.units_per_file * self.steps_per_unit

    def _parts_per_unit(self) -> int:
        """Chunks of a chunk layer."""
        count = 1
        for size in self.plan.chunk_grid(self.level)[1 if self.has_steps else 0 :]:
            assert size is not None
            count *= size
        return count

    def units_of(self, found: Found) -> npt.NDArray[np.int64]:
        """How many parts can be read, for each unit of a file."""
        grid = self.plan.chunk_grid(self.level)
        numbers = np.flatnonzero(found.there)
        if not self.plan.shard_shape:
            units = numbers
        else:
            within = np.unravel_index(numbers, self.plan.shard_grid)
            inside = np.ones(len(numbers), bool)
            for axis, (at, shard, size) in enumerate(
                zip(found.place, self.plan.shard_grid, grid, strict=True)
            ):
                if size is not None:
                    inside &= within[axis] + at * shard < size
            first = within[0] if self.has_steps else np.zeros_like(numbers)
            units = first[inside]
        return np.bincount(units, minlength=self.units_per_file)

    def _layer_of(self, found: Found) -> int:
        return found.place[0] if self.has_steps else 0

    def runs(self) -> list[tuple[int, int]]:
        """Steps along the first axis that can be read whole: starts and ends."""
        whole = self._parts_per_unit()
        runs: list[tuple[int, int]] = []
        for layer, files in itertools.groupby(
            sorted(self.files.values(), key=self._layer_of), self._layer_of
        ):
            counts = sum(map(self.units_of, files), np.zeros(1, np.int64))
            good = np.concatenate([[False], counts == whole, [False]])
            edges = np.flatnonzero(good[1:] != good[:-1])
            for start, end in edges.reshape(-1, 2).tolist():
                first = layer * self.steps_per_layer + start * self.steps_per_unit
                last = layer * self.steps_per_layer + end * self.steps_per_unit
                if runs and runs[-1][1] == first:
                    runs[-1] = (runs[-1][0], last)
                else:
                    runs.append((first, last))
        return runs

    # ----------------------------------------------------------------- looking

    def _scan(self) -> Iterator[Found]:
        grid = self.plan.shard_shape or self.plan.chunk_shape
        sizes = self.plan.level_shapes[self.level]
        limits = tuple(
            None if size is None else -(-size // per_file)
            for size, per_file in zip(sizes, grid, strict=True)
        )
        top = self.folder / self._prefix
        if self.folder.is_symlink() or top.is_symlink():
            self.strays.append(top)
            return
        for path, place in self._walk(top, (), len(limits)):
            if any(
                size is not None and at >= size
                for at, size in zip(place, limits, strict=True)
            ):
                self.strays.append(path)
            else:
                yield self._look(path, place)

    def _walk(
        self, folder: Path, place: Place, depth: int
    ) -> Iterator[tuple[Path, Place]]:
        """Files by their place; links are not followed."""
        try:
            entries = system.entries(folder)
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            name, path = entry.name, folder / entry.name
            if name in ("zarr.json", ".zarray", ".zattrs") and not place:
                continue
            is_number = name == "0" or (
                name.isascii() and name.isdecimal() and name[0] != "0"
            )
            if not is_number or len(name) > 18:
                self.strays.append(path)
            elif depth > 1 and entry.is_dir(follow_symlinks=False):
                yield from self._walk(path, (*place, int(name)), depth - 1)
            elif depth == 1 and entry.is_file(follow_symlinks=False):
                yield path, (*place, int(name))
            else:
                self.strays.append(path)

    def _look(self, path: Path, place: Place) -> Found:
        found = Found(path, place, np.zeros(self.parts, bool))
        try:
            with system.closing(system.open_to_read(path)) as descriptor:
                size = system.size_of(descriptor)
                if not system.is_regular(descriptor):
                    found.problem = "no regular file"
                elif self.plan.shard_shape:
                    self._look_at_shard(descriptor, size, found)
                elif isinstance(self.codec, Blosc):
                    self._look_at_blosc(descriptor, size, found)
                else:
                    self._look_at_raw(size, found)
        except OSError as error:
            found.problem = str(error)
        return found

    def _look_at_raw(self, size: int, found: Found) -> None:
        whole = self.plan.bytes_per_chunk
        if size == whole:
            found.there[:] = True
        elif size < whole:
            here = size // (whole // self.parts)
            found.there[:here] = True
            found.problem = f"{size} of {whole} bytes"
            found.need = Need.LENGTH if here else Need.NOTHING
        else:
            found.problem = f"{size} bytes instead of {whole}"

    def _look_at_blosc(self, descriptor: int, size: int, found: Found) -> None:
        head = system.read_at(descriptor, _BLOSC.size, 0)
        is_whole = self._is_blosc(head, size, self.plan.bytes_per_chunk, size)
        if is_whole and (self.parts == 1 or self._has_table(descriptor, size)):
            found.there[:] = True
            return
        found.problem = f"no blosc buffer of {self.plan.bytes_per_chunk} bytes"
        if self.parts == 1 or not self._is_open or size > MAX_BLOSC_BYTES // 2:
            return  # nor was such a file joined from parts
        part_bytes = self.plan.bytes_per_chunk // self.parts
        placed = [
            part
            for mark in self._marks(descriptor)
            for part in mark.placed
            if part.number < self.parts and part.size <= 2 * part_bytes
        ]
        whole = {
            part.number: part
            for part in placed
            if self._blocks(self._bytes_of(descriptor, part)) is not None
        }
        found.there[list(whole)] = True
        found.placed = tuple(whole.values())
        if found.placed:
            found.need = Need.HEAD
        table = _BLOSC.size + 4 * self._blocks_per_part * self.parts
        named = sum(part.size + mark_bytes(1) for part in found.placed)
        found.unplaced_bytes = max(0, size - table - named)

    def _is_blosc(self, head: bytes, size: int, nbytes: int, most: int) -> bool:
        if len(head) < _BLOSC.size:
            return False
        version, _, _, itemsize, whole, block, encoded = _BLOSC.unpack(head)
        return bool(
            version == 2
            and itemsize == self.plan.dtype.itemsize
            and whole == nbytes
            and 0 < block <= whole
            and _BLOSC.size <= encoded <= most
            and encoded == size
        )

    @property
    def _blocks_per_part(self) -> int:
        part_bytes = self.plan.bytes_per_chunk // self.parts
        return part_bytes // self.plan.blosc_block_bytes

    def _has_table(self, descriptor: int, size: int) -> bool:
        """Whether every block has a place: the table is written last."""
        count = self._blocks_per_part * self.parts
        table = system.read_at(descriptor, 4 * count, _BLOSC.size)
        starts = np.frombuffer(table, "<i4")
        head = _BLOSC.size + 4 * count
        return len(starts) == count and bool(((starts >= head) & (starts < size)).all())

    def _blocks(self, data: bytes) -> Blocks | None:
        """Where each block of a part starts, from the lengths of their streams."""
        assert isinstance(self.codec, Blosc)
        streams = self.plan.dtype.itemsize if self.codec.name == "lz4" else 1
        starts, at = [], 0
        for _ in range(self._blocks_per_part):
            starts.append(at)
            for _ in range(streams):
                length = int.from_bytes(data[at : at + 4], "little")
                at += 4 + length
                if not length or at > len(data):
                    return None
        if at != len(data):
            return None
        return Blocks(np.array(starts, np.int64), memoryview(data))

    def _marks(self, descriptor: int) -> Iterator[Mark]:
        for offset, piece in data_pieces(descriptor, mark_bytes(MAX_ENTRIES)):
            yield from find_marks(piece, offset)

    def _look_at_shard(self, descriptor: int, size: int, found: Found) -> None:
        index_bytes = 16 * self.parts + 4
        last = system.read_at(descriptor, index_bytes, max(0, size - index_bytes))
        index = _parse_index(last, self.parts)
        ends_with_index = index is not None
        if index is None:
            found.problem = "no index at the end of the shard"
            index = empty_shard_index(self.parts)
        index = self._sound(descriptor, index, size)
        if self._is_open:
            # Each chunk has a mark, named in the index or not.
            marked = empty_shard_index(self.parts)
            for mark in self._marks(descriptor):
                found.chunks_end = max(found.chunks_end, mark.end)
                for part in mark.placed:
                    if part.number < self.parts:
                        marked[part.number] = part.offset, part.size
            missing = index[:, 0] == EMPTY
            index[missing] = self._sound(descriptor, marked, size)[missing]
        found.there[:] = index[:, 0] != EMPTY
        self._last_index = found.place, index
        ends = index[found.there].sum(axis=1)
        found.chunks_end = max(found.chunks_end, int(ends.max(initial=0)))
        is_compact = ends_with_index and size == found.chunks_end + index_bytes
        if self._is_open and found.there.any() and not is_compact:
            found.need = Need.INDEX
            found.index = index

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
        whole = self.plan.bytes_per_chunk
        if not isinstance(self.codec, Blosc):
            return length == whole
        head = system.read_at(descriptor, _BLOSC.size, offset)
        return self._is_blosc(head, length, whole, whole + _BLOSC.size)

    def doubt_beyond(self, steps: int) -> None:
        """Take raw parts from step number `steps` on for there only if they must be.

        A chunk without codec has its full length from the start, and where nothing was
        written it reads as zeros. A program that was killed has written the first
        pages of a part, or none, or all: so each page must hold something but zeros.
        """
        if self.plan.shard_shape or isinstance(self.codec, Blosc) or self.parts == 1:
            return
        for found in self.files.values():
            first = found.place[0] * self.steps_per_layer
            begin = max(0, -(-(steps - first) // self.steps_per_unit))
            for number in range(begin, self.parts):
                if not found.there[number] or not self._is_written(found, number):
                    found.there[number:] = False
                    break

    def _is_written(self, found: Found, number: int) -> bool:
        part_bytes = self.plan.bytes_per_chunk // self.parts
        start = number * part_bytes
        if part_bytes > CACHE_BYTES:
            return False
        with self._open(found) as descriptor:
            read = system.read_at(descriptor, part_bytes, start)
        data = np.frombuffer(read, np.uint8)
        if len(data) < part_bytes:
            return False
        pixels = np.zeros((self.steps_per_unit, *self.plan.chunk_shape[1:]), bool)
        pixels[self._inside(found.place)] = True  # beyond the plane's edge are zeros
        cuts = np.unique([0, *range(-start % PAGE, part_bytes, PAGE)])
        matter = np.repeat(pixels.reshape(-1), self.plan.dtype.itemsize)
        written = np.logical_or.reduceat(data != 0, cuts)
        return bool(written[np.logical_or.reduceat(matter, cuts)].all())

    def _inside(self, chunk: Place) -> tuple[slice, ...]:
        """The part of a chunk that is not beyond the edge; all along the first axis."""
        sizes = self.plan.level_shapes[self.level]
        cut = []
        for axis, (at, side, size) in enumerate(
            zip(chunk, self.plan.chunk_shape, sizes, strict=True)
        ):
            first = size is None or (axis == 0 and self.has_steps)
            cut.append(slice(None) if first else slice(0, (size or 0) - at * side))
        return tuple(cut)

    # ----------------------------------------------------------------- decoding

    def plane(self, number: int) -> Pixels:
        """Plane `number` of this level, where `z` is not halved.

        Raises
        ------
        OSError
            A part of it is not there, or cannot be decoded.
        """
        plan = self.plan
        position = plan.position(number)
        down, across = plan.tile_grid(self.level)
        tiles = np.empty((down, across, *plan.tile_shape[1:]), plan.dtype)
        within = [p % c for p, c in zip(position, plan.chunk_shape, strict=False)]
        outer = [p // c for p, c in zip(position, plan.chunk_shape, strict=False)]
        frame = within[0] if plan.outer else 0
        if plan.outer:
            within[0] %= self.steps_per_unit
        for i, j in np.ndindex(down, across):
            chunk = (*outer, i, j)
            place, part = chunk, frame // self.steps_per_unit
            if plan.shard_shape:
                place, part = in_shard(chunk, plan.shard_grid)
            chunk_pixels = self.part(place, part)
            if chunk_pixels is None:
                raise OSError(f"{self.folder}: chunk {chunk} cannot be read")
            tiles[i, j] = chunk_pixels[tuple(within)]
        plane = np.empty(plan.plane_shape(self.level), plan.dtype)
        gather_tiles(tiles, plane)
        return plane

    def part(self, place: Place, number: int) -> Pixels | None:
        """Pixels of a part of a file, (steps, ..., height, width); None without."""
        found = self.files.get(place)
        if found is None or not found.there[number]:
            return None
        key = (
            place,
            number if found.need is Need.HEAD or self.plan.shard_shape else -1,
        )
        if (pixels := self._decoded.get(key)) is None:
            pixels = self._decode(found, number)
            self._decoded[key] = pixels
            while sum(p.nbytes for p in self._decoded.values()) > CACHE_BYTES:
                if len(self._decoded) == 1:
                    break
                self._decoded.popitem(last=False)
        if key[1] >= 0 or self.parts == 1:
            return pixels
        here = self.steps_per_unit
        return pixels[number * here : (number + 1) * here]

    def _decode(self, found: Found, number: int) -> Pixels:
        shape = self.plan.chunk_shape
        if isinstance(self.codec, Raw) and not (
            self.plan.shard_shape or found.need is Need.LENGTH
        ):
            return np.memmap(found.path, self.plan.dtype, "r", shape=shape)
        whole = self.plan.bytes_per_chunk
        with self._open(found) as descriptor:
            if self.plan.shard_shape:
                if self._last_index[0] != found.place:
                    self._look(found.path, found.place)
                offset, length = (int(value) for value in self._last_index[1][number])
                data = self._read(descriptor, offset, length)
            elif found.need is Need.HEAD:
                part = next(p for p in found.placed if p.number == number)
                data = self._joined(self._bytes_of(descriptor, part))
                shape = (self.steps_per_unit, *shape[1:])
            elif isinstance(self.codec, Blosc):
                data = system.read_at(descriptor, whole + _BLOSC.size, 0)
            else:
                data = system.read_at(descriptor, system.size_of(descriptor), 0)
                data = data.ljust(whole, b"\0")
        if isinstance(self.codec, Blosc):
            try:
                data = blosc.decompress(data)
            except (blosc.blosc_extension.error, MemoryError) as error:
                raise OSError(f"{found.path}: {error}") from error
        return np.frombuffer(data, self.plan.dtype).reshape(shape)

    @staticmethod
    def _bytes_of(descriptor: int, part: Placed) -> bytes:
        return system.read_at(descriptor, part.size, part.offset)

    @staticmethod
    def _open(found: Found) -> AbstractContextManager[int]:
        return system.closing(system.open_to_read(found.path))

    def _read(self, descriptor: int, offset: int, length: int) -> bytes:
        data = system.read_at(descriptor, length, offset)
        if len(data) < length:
            raise OSError(f"{length} bytes at {offset} were expected, {len(data)} came")
        return data

    def _joined(self, data: bytes) -> bytes:
        """One part as a blosc buffer of its own."""
        assert isinstance(self.codec, Blosc)
        blocks = self._blocks(data)
        assert blocks is not None
        table = BlockTable(self.codec, self.plan.dtype, self._blocks_per_part)
        table.put(0, blocks, table.size)
        return table.encode(table.size + len(data)) + data

    def head_of(self, found: Found, size: int) -> tuple[bytes, bytes]:
        """What makes a chunk of the parts that are there, in a file of `size` bytes.

        Returns
        -------
        (what is to be written at the start, what at the end)
        """
        assert isinstance(self.codec, Blosc)
        count = self._blocks_per_part
        table = BlockTable(self.codec, self.plan.dtype, count * self.parts)
        with self._open(found) as descriptor:
            for part in found.placed:
                blocks = self._blocks(self._bytes_of(descriptor, part))
                assert blocks is not None
                table.put(part.number * count, blocks, part.offset)
        none = np.zeros((1, *self.plan.chunk_shape[1:]), self.plan.dtype)
        zeros = self.codec.encode_blocks(none)
        table.fill(zeros, size)
        return table.encode(size + len(zeros.data)), bytes(zeros.data)


def _parse_index(data: bytes, chunks: int) -> Index | None:
    """An index with a right checksum."""
    table, checksum = data[: 16 * chunks], data[16 * chunks :]
    if len(data) != 16 * chunks + 4:
        return None
    if google_crc32c.value(table).to_bytes(4, "little") != checksum:
        return None
    return np.frombuffer(table, "<u8").reshape(-1, 2)
