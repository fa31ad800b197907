"""One level being written: planes into tiles, chunks into files.

Its functions run in the stream's threads and start none. A buffer is laid out as
`Plan.slot_shape` says, every chunk contiguous.
"""

import abc
import contextlib
import itertools
import math
import threading
from collections.abc import Iterator, Sequence
from operator import itemgetter

import numpy as np
import numpy.typing as npt

from .codecs import (
    BlockTable,
    Blosc,
    Codec,
    Encoded,
    Raw,
    empty_shard_index,
    encode_shard_index,
)
from .grid import Plan
from .marks import encode_mark, mark_bytes
from .ngff import Document, Serializer
from .store import Store, StoredFile

Buffer = npt.NDArray[np.generic]

Cell = tuple[int, int, int, int]
"""Channel, chunk along z, tile down, tile across: a chunk's place in its block."""

MAX_OPEN_FILES = 64
"""Of one level. A process on macOS may have 256 open, Qt has dozens, and two shard
layers are written at a time; the levels below have a third as many together."""

MOST_INDEXES = 16
"""One before another in a shard that fills: an end that moves down is as it was or as
it will be, whenever the program is killed; one that moves up may have half an index."""

PAGE = 4096
"""Of memory: systems write one of a file as a whole."""

MAX_OVERHEAD = 16
"""Most that encoding adds to a chunk: BLOSC_MAX_OVERHEAD, the header."""


def _regions(size: int, tile: int) -> Iterator[tuple[slice, slice, int, int]]:
    """The whole tiles along one axis, then the cut one, if there is one.

    Yields pixels, tiles, how many tiles these are, and pixels per tile.
    """
    whole, rest = divmod(size, tile)
    if whole:
        yield slice(0, whole * tile), slice(0, whole), whole, tile
    if rest:
        yield slice(whole * tile, size), slice(whole, whole + 1), 1, rest


def _paired(planes: Buffer, tiles: Buffer) -> Iterator[tuple[Buffer, Buffer]]:
    """Views of the same pixels and shape, in planes and in tiles.

    Planes are (n, height, width), tiles (n, down, across, tile height, tile width).
    """
    count, height, width = planes.shape
    tile_height, tile_width = tiles.shape[-2:]
    for rows, down, n_down, h in _regions(height, tile_height):
        for columns, across, n_across, w in _regions(width, tile_width):
            in_planes = planes[:, rows, columns].reshape(count, n_down, h, n_across, w)
            in_tiles = tiles[:, down, across, :h, :w]
            yield in_planes, in_tiles.transpose(0, 1, 3, 2, 4)


def lay_tiles(planes: Buffer, tiles: Buffer) -> None:
    """Copy planes, (n, height, width), to tiles, (n, down, across, height, width)."""
    for in_planes, in_tiles in _paired(planes, tiles):
        in_tiles[...] = in_planes


def gather_tiles(tiles: Buffer, plane: Buffer) -> None:
    """Copy the tiles, (down, across, height, width), of one plane back together."""
    for in_planes, in_tiles in _paired(plane[np.newaxis], tiles[np.newaxis]):
        in_planes[...] = in_tiles


Part = tuple[int, Buffer]
"""A chunk of a shard, or what one frame adds to a chunk: number there, and pixels."""


class _PartFile(abc.ABC):
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

    @abc.abstractmethod
    def _finish(self) -> None:
        """See `finish`. Caller must hold `_lock`."""


class _RawChunk(_PartFile):
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
        """See `_PartFile.write`."""
        for number, pixels in parts:
            self._file.write_at(number * self._part_bytes, Raw().encode(pixels))
        with self._lock:
            self._count(len(parts))
        return len(parts) * self._part_bytes

    def _finish(self) -> None:
        """Nothing: it could be read all the time."""


class _Growing(_PartFile):
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


class _Shard(_Growing):
    """Encoded chunks, then their index.

    Zarr v3 specification, codec `sharding_indexed`, index at the end. The index has
    `room` for more chunks than there are, where a shard reaches beyond the plane.

    A shard that is not full yet can be read as well: far behind its chunks lies an
    index, with a hole between them that takes no disk space. A newer one is written
    just before it, and the file is cut there. So whoever opens the file finds a whole
    index in its last bytes, at any moment. When the room for that is used up, one is
    written at the far end again.
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
        """See `_PartFile.write`."""
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
        """See `_PartFile.publish`."""
        with self._lock:
            if not self._is_new:
                return
            self._is_new = False
            index = encode_shard_index(self._index)
            end = self._end - len(index)
            if end - len(index) < self._floor:
                end = self._far_end
            self._file.end_with(end - len(index), index)
            self._end = end

    def _finish(self) -> None:
        self._is_new = False  # who was about to publish it comes too late
        index = encode_shard_index(self._index)
        self._file.end_with(self._size, index)


class _BloscChunk(_Growing):
    """A chunk that is encoded frame by frame: blocks behind a table of them.

    What never came is zeros, which are stored once.
    """

    def __init__(self, file: StoredFile, plan: Plan, codec: Blosc) -> None:
        self._plan = plan
        tile_bytes = math.prod(plan.tile_shape) * plan.dtype.itemsize
        self._blocks = tile_bytes // codec.block_bytes
        blocks = plan.parts_per_chunk * self._blocks
        self._table = BlockTable(codec, plan.dtype, blocks)  # guarded by _lock
        self._codec = codec
        super().__init__(file, plan.parts_per_chunk, self._table.size)

    def write(self, parts: Sequence[Part]) -> int:
        """See `_PartFile.write`."""
        encoded = [self._codec.encode_blocks(pixels) for _, pixels in parts]
        end = start = self._add(parts, [blocks.data for blocks in encoded])
        with self._lock:
            for (number, _), blocks in zip(parts, encoded, strict=True):
                self._table.put(number * self._blocks, blocks, end)
                end += len(blocks.data)
            self._count(len(parts))
        return end - start

    def _finish(self) -> None:
        if self._missing:
            none = np.zeros(self._plan.tile_shape, self._plan.dtype)
            zeros = self._codec.encode_blocks(none)
            self._file.write_at(self._size, zeros.data)
            self._table.fill(zeros, self._size)
            self._size += len(zeros.data)
        # Last: before it, the file is no blosc buffer.
        self._file.write_at(0, self._table.encode(self._size))


def _in_shard(
    chunk: tuple[int, ...], shard_grid: tuple[int, ...]
) -> tuple[tuple[int, ...], int]:
    """The shard of a chunk, and the chunk's number there, in C order."""
    number = 0
    place = []
    for at, chunks in zip(chunk, shard_grid, strict=True):
        shard, within = divmod(at, chunks)
        place.append(shard)
        number = number * chunks + within
    return tuple(place), number


class LevelArray:
    """One level of a dataset, at the key `path`.

    Parameters
    ----------
    plan : Plan
    level : int
    store : Store
    codec : Codec
    serializer : Serializer
    """

    def __init__(
        self,
        plan: Plan,
        level: int,
        store: Store,
        codec: Codec,
        serializer: Serializer,
    ) -> None:
        self.plan = plan
        self.level = level
        self.path = str(level)
        self._store = store
        self._codec = codec
        self._serializer = serializer
        # Changed under _lock only; looked into without it.
        self._files: dict[tuple[int, ...], _PartFile] = {}
        self._lock = threading.Lock()
        *_, self._down, self._across = plan.slot_shape(level)[:5]
        self._keep_open = plan.files_at_once(level) <= MAX_OPEN_FILES
        self._is_whole = not plan.shard_shape and plan.parts_per_chunk == 1
        self._outer_grid, tile_grid = plan.shard_grid[:-2], plan.shard_grid[-2:]
        self._tiles_per_shard = math.prod(tile_grid)
        # Worked out once: it is the same for every frame.
        self._tile_in_shard = {
            tile: _in_shard(tile, tile_grid)
            for tile in itertools.product(range(self._down), range(self._across))
        }

    def documents(self, shape: Sequence[int]) -> dict[str, Document]:
        """Metadata by key, for an array that has grown to `shape`."""
        plan = self.plan
        return self._serializer.array(
            self.path,
            shape=shape,
            chunk_shape=plan.chunk_shape,
            shard_shape=plan.shard_shape,
            dtype=plan.dtype,
            codec=self._codec,
            names=plan.axes,
        )

    def new_buffer(self) -> Buffer:
        """Make a slot's buffer, of zeros that take no memory until they are written."""
        return np.zeros(self.plan.slot_shape(self.level), self.plan.dtype)

    def tiles_of(self, buffer: Buffer, block: int, offset: int) -> Buffer:
        """View the tiles of one plane, (down, across, tile height, tile width).

        `block` counts within the buffer, `offset` within the block.
        """
        channel, z_chunk, frame, plane = self.plan.place_in_block(offset, self.level)
        return buffer[block, channel, z_chunk, :, :, frame, plane]

    def cells(self, planes: int) -> list[Cell]:
        """The chunks of a block that has `planes` planes along z at level 0."""
        channels = self.plan.block[1]
        here = self.plan.planes_at(self.level, planes)
        z_chunks = -(-here // self.plan.tile_shape[0])
        down, across = range(self._down), range(self._across)
        return list(itertools.product(range(channels), range(z_chunks), down, across))

    def write_blocks(
        self, buffer: Buffer, first_block: int, blocks: int, cells: Sequence[Cell]
    ) -> int:
        """Encode and store `cells` of the first `blocks` blocks; returns bytes stored.

        Raises
        ------
        WriteFailed
        """
        files: dict[tuple[int, ...], list[Part]] = {}
        for block in range(blocks):
            origin, frame = self.plan.chunk_origin(first_block + block)
            for (channel, z_chunk), tiles in itertools.groupby(cells, itemgetter(0, 1)):
                outer = self._outer_chunk(origin, channel, z_chunk)
                place, number = _in_shard(outer, self._outer_grid)
                number = number * self._tiles_per_shard + frame
                for cell in tiles:
                    shard, tile = self._tile_in_shard[cell[2:]]
                    part = number + tile, buffer[block][cell]
                    files.setdefault((*place, *shard), []).append(part)
        return sum(self._write_parts(place, parts) for place, parts in files.items())

    def _parts_of(self, place: tuple[int, ...]) -> int:
        """Chunks of the shard at `place`, less those beyond the edge of the plane."""
        *outer, down, across = self.plan.shard_grid
        parts = math.prod(outer)
        for shard, chunks, tiles in zip(
            place[-2:], (down, across), (self._down, self._across), strict=True
        ):
            parts *= min(chunks, tiles - shard * chunks)
        return parts

    def _outer_chunk(
        self, origin: tuple[int, ...], channel: int, z_chunk: int
    ) -> tuple[int, ...]:
        if not (channel or z_chunk):
            return origin
        beyond = {"c": channel, "z": z_chunk}
        return tuple(
            at + beyond.get(axis, 0)
            for at, axis in zip(origin, self.plan.axes, strict=False)
        )

    def _key(self, chunk: tuple[int, ...]) -> str:
        place = "/".join(map(str, chunk))
        return f"{self.path}/{self._serializer.chunk_prefix}{place}"

    def _write_parts(self, place: tuple[int, ...], parts: Sequence[Part]) -> int:
        if self._is_whole:
            [(_, pixels)] = parts
            encoded = self._codec.encode(pixels)
            self._store.write(self._key(place), encoded)
            return len(encoded)
        file = self._files.get(place) or self._file_at(place)
        stored = file.write(parts)
        if file.is_complete:
            with self._lock:
                self._files.pop(place, None)
        return stored

    def _file_at(self, place: tuple[int, ...]) -> _PartFile:
        with self._lock:
            if place not in self._files:
                self._files[place] = self._create_file(place)
            return self._files[place]

    def _create_file(self, place: tuple[int, ...]) -> _PartFile:
        stored = self._store.create_file(self._key(place), self._keep_open)
        if self.plan.shard_shape:
            return _Shard(
                stored,
                self._parts_of(place),
                self.plan.chunks_per_shard,
                self._codec,
                self.plan.bytes_per_chunk,
                self._store.has_holes,
            )
        if isinstance(self._codec, Blosc):
            return _BloscChunk(stored, self.plan, self._codec)
        return _RawChunk(stored, self.plan)

    def publish(self) -> None:
        """Let readers find what lies in unfinished files, where they can at all.

        Raises
        ------
        WriteFailed
        """
        with self._lock:
            files = list(self._files.values())
        for file in files:
            file.publish()

    def finish(self) -> None:
        """Make what lies in unfinished files readable.

        Every file is tried; a failure is raised afterwards.

        Raises
        ------
        WriteFailed
        """
        with self._lock:
            files, self._files = list(self._files.values()), {}
        with contextlib.ExitStack() as each:
            for file in files:
                each.callback(file.finish)
