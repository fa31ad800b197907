"""One level being written: planes into tiles, chunks into files.

Its functions run in the stream's threads and start none. A buffer is laid out as
`Plan.slot_shape` says, every chunk contiguous.
"""

import contextlib
import itertools
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from .chunk_grid import Plan
from .codecs import Codec, Encoded, empty_shard_index, encode_shard_index
from .ngff import Document, Serializer
from .store import Store, StoredFile

Buffer = npt.NDArray[np.generic]

Cell = tuple[int, int, int, int]
"""Channel, chunk along z, tile down, tile across: a chunk's place in its block."""

MAX_OPEN_FILES = 64
"""Of one level. A process on macOS may have 256 open, Qt has dozens, and two shard
layers are written at a time; the levels below have a third as many together."""


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


class _PartFile(Protocol):
    """A file that holds several pieces: a shard, or a raw chunk written by frames."""

    def write(self, pieces: Sequence[tuple[int, Encoded]]) -> bool:
        """Write numbered pieces; True when the last one is there and it was closed."""

    def finish(self) -> None:
        """Make what is there readable, and close."""


class _Shard:
    """Encoded chunks in the order they come, then their index.

    Zarr v3 specification, codec `sharding_indexed`, index at the end.
    """

    def __init__(self, file: StoredFile, chunks: int) -> None:
        self._file = file
        self._index = empty_shard_index(chunks)  # guarded by _lock
        self._size = 0  # guarded by _lock
        self._missing = chunks  # guarded by _lock
        self._lock = threading.Lock()

    def write(self, pieces: Sequence[tuple[int, Encoded]]) -> bool:
        with self._lock:
            start = self._size
            for _, piece in pieces:
                self._size += len(piece)
        self._file.write_at(start, *(piece for _, piece in pieces))
        with self._lock:
            # Only now: an index that is written names nothing that is not there.
            for number, piece in pieces:
                self._index[number] = start, len(piece)
                start += len(piece)
            self._missing -= len(pieces)
            complete = self._missing == 0
        if complete:
            self.finish()
        return complete

    def finish(self) -> None:
        with self._lock, contextlib.closing(self._file):
            self._file.write_at(self._size, encode_shard_index(self._index))


class _RawChunk:
    """A chunk without codec, to which every frame is written at its own place."""

    def __init__(self, file: StoredFile, pieces: int, piece_bytes: int) -> None:
        self._file = file
        self._piece_bytes = piece_bytes
        self._missing = pieces  # guarded by _lock
        self._lock = threading.Lock()
        # A reader expects the whole chunk; what is never written costs no disk space.
        file.resize(pieces * piece_bytes)

    def write(self, pieces: Sequence[tuple[int, Encoded]]) -> bool:
        for number, piece in pieces:
            self._file.write_at(number * self._piece_bytes, piece)
        with self._lock:
            self._missing -= len(pieces)
            complete = self._missing == 0
        if complete:
            self.finish()
        return complete

    def finish(self) -> None:
        self._file.close()


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
        self._files: dict[tuple[int, ...], _PartFile] = {}  # guarded by _lock
        self._lock = threading.Lock()
        *_, self._down, self._across = plan.slot_shape(level)[:5]
        self._keep_open = plan.files_at_once(level) <= MAX_OPEN_FILES
        self._pieces_per_file = plan.chunks_per_shard
        if not plan.shard_shape and plan.block[0] < plan.frames_per_chunk:
            self._pieces_per_file = plan.frames_per_chunk

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
        self, buffer: Buffer, first_block: int, blocks: int, cells: Iterable[Cell]
    ) -> int:
        """Encode and store `cells` of the first `blocks` blocks; returns bytes stored.

        Raises
        ------
        WriteFailed
        """
        origins = [self.plan.chunk_origin(first_block + i) for i in range(blocks)]
        stored = 0
        for channel, z_chunk, down, across in cells:
            inside: dict[tuple[int, ...], list[tuple[int, Encoded]]] = {}
            for block, (origin, frame) in enumerate(origins):
                pixels = buffer[block, channel, z_chunk, down, across]
                encoded = self._codec.encode(pixels)
                stored += len(encoded)
                chunk = self._chunk(origin, channel, z_chunk, down, across)
                if self._pieces_per_file == 1 and not self.plan.shard_shape:
                    self._store.write(self._key(chunk), encoded)
                elif self.plan.shard_shape:
                    number = chunk[0] % self._pieces_per_file if origin else 0
                    shard = (chunk[0] // self._pieces_per_file, *chunk[1:])
                    inside.setdefault(shard if origin else chunk, []).append(
                        (number, encoded)
                    )
                else:
                    inside.setdefault(chunk, []).append((frame, encoded))
            for file, pieces in inside.items():
                self._write_pieces(file, pieces)
        return stored

    def _chunk(
        self,
        origin: tuple[int, ...],
        channel: int,
        z_chunk: int,
        down: int,
        across: int,
    ) -> tuple[int, ...]:
        outer = list(origin)
        for i, axis in enumerate(self.plan.axes[:-2]):
            if axis == "c":
                outer[i] += channel
            elif axis == "z":
                outer[i] += z_chunk
        return (*outer, down, across)

    def _key(self, chunk: tuple[int, ...]) -> str:
        place = "/".join(map(str, chunk))
        return f"{self.path}/{self._serializer.chunk_prefix}{place}"

    def _write_pieces(
        self, place: tuple[int, ...], pieces: Sequence[tuple[int, Encoded]]
    ) -> None:
        with self._lock:
            file = self._files.get(place)
            if file is None:
                file = self._files[place] = self._create_file(place)
        if file.write(pieces):
            with self._lock:
                del self._files[place]

    def _create_file(self, place: tuple[int, ...]) -> _PartFile:
        stored = self._store.create_file(self._key(place), self._keep_open)
        if self.plan.shard_shape:
            return _Shard(stored, self._pieces_per_file)
        piece_bytes = self.plan.bytes_per_chunk // self._pieces_per_file
        return _RawChunk(stored, self._pieces_per_file, piece_bytes)

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
