"""One level being written: which chunk of a buffer goes to which file.

Its functions run in the stream's threads and start none. A buffer is laid out as
`Plan.slot_shape` says, every chunk contiguous.
"""

import contextlib
import itertools
import math
import threading
from collections.abc import Iterator, Sequence
from operator import itemgetter

import numpy as np
import numpy.typing as npt

from .codecs import Blosc, Codec, Encoded
from .grid import ceil_div, in_shard
from .memory import MAX_OPEN_FILES
from .ngff import Serializer
from .ngff_image import Document
from .part_files import BloscChunk, Part, PartFile, RawChunk, Shard
from .plan import Plan
from .store import Store

Buffer = npt.NDArray[np.generic]

Cell = tuple[int, int, int, int]
"""Channel, chunk along z, tile down, tile across: a chunk's place in its block."""


class LevelArray:
    """One level of a dataset, at the key `path`.

    Parameters
    ----------
    plan : Plan
    level : int
    store : Store
    codec : Codec
    serializer : Serializer
    in_turn : bool
        Chunks lie in their files in the order of their numbers, and not in that in
        which they come: the same pixels make the same bytes.
    """

    def __init__(
        self,
        plan: Plan,
        level: int,
        store: Store,
        codec: Codec,
        serializer: Serializer,
        *,
        in_turn: bool = False,
    ) -> None:
        self.plan = plan
        self.level = level
        self.path = str(level)
        self._store = store
        self._codec = codec
        self._serializer = serializer
        self._in_turn = in_turn
        # Changed under _lock only; looked into without it.
        self._files: dict[tuple[int, ...], PartFile] = {}
        self._lock = threading.Lock()
        self._down, self._across = plan.tile_grid(level)
        self._tiles = self._down * self._across
        # Those of small levels are the cheapest to keep.
        smaller = range(level, len(plan.level_shapes))
        self._keep_open = sum(map(plan.files_at_once, smaller)) <= MAX_OPEN_FILES
        self._is_whole = not plan.shard_shape and plan.parts_per_chunk == 1
        self._outer_grid, tile_grid = plan.shard_grid[:-2], plan.shard_grid[-2:]
        self._tiles_per_shard = math.prod(tile_grid)
        # Worked out once: it is the same for every frame.
        self._tile_in_shard = {
            tile: in_shard(tile, tile_grid)
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
        """Make a slot's buffer, of zeros.

        All of its memory is found now, not when frames come: what is sparse would take
        a page of 2 MiB for every tile on systems that give large ones.
        """
        buffer = np.empty(self.plan.slot_shape(self.level), self.plan.dtype)
        buffer.fill(0)
        return buffer

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
        stored = 0
        for block in range(blocks):
            origin, written = self.plan.chunk_origin(first_block + block, self.level)
            for (channel, z_chunk), tiles in itertools.groupby(cells, itemgetter(0, 1)):
                outer = self._outer_chunk(origin, channel, z_chunk)
                here = list(tiles)
                if self._is_whole and outer and len(here) == self._tiles:
                    stored += self._write_folder(outer, buffer[block], here)
                    continue
                place, number = in_shard(outer, self._outer_grid)
                number = number * self._tiles_per_shard + written
                for cell in here:
                    shard, tile = self._tile_in_shard[cell[2:]]
                    part = number + tile, buffer[block][cell]
                    files.setdefault((*place, *shard), []).append(part)
        for place, parts in files.items():
            stored += self._write_parts(place, parts)
        return stored

    def write_box(self, start: Sequence[int], pixels: Buffer) -> int:
        """Encode and store a box of pixels; returns bytes stored.

        Parameters
        ----------
        start : sequence of int
            The first pixel of it, where a part of a chunk begins: see `part_shape`.
        pixels : array
            It ends where a part of a chunk does, or the array.

        Raises
        ------
        WriteFailed
        """
        side = self.plan.part_shape
        grid = [ceil_div(size, n) for size, n in zip(pixels.shape, side, strict=True)]
        files: dict[tuple[int, ...], list[Part]] = {}
        for at in itertools.product(*map(range, grid)):
            first = [i * n for i, n in zip(at, side, strict=True)]
            inside = tuple(slice(a, a + n) for a, n in zip(first, side, strict=True))
            some = pixels[inside]
            part = np.ascontiguousarray(some)
            if some.shape != side:
                part = np.zeros(side, self.plan.dtype)
                part[tuple(map(slice, some.shape))] = some
            origin = [a + b for a, b in zip(start, first, strict=True)]
            chunk = [a // n for a, n in zip(origin, self.plan.chunk_shape, strict=True)]
            place, number = in_shard(chunk, self.plan.shard_grid)
            if not self.plan.shard_shape:
                number = origin[0] % self.plan.chunk_shape[0] // side[0]
            files.setdefault(place, []).append((number, part))
        return sum(self._write_parts(place, parts) for place, parts in files.items())

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

    def _write_folder(
        self, outer: tuple[int, ...], block: Buffer, cells: Sequence[Cell]
    ) -> int:
        """Write all chunks that have one place before y and x: a folder of their own.

        Each is encoded when the one before it is written, in the cache of the worker.
        """
        stored = 0

        def files() -> Iterator[tuple[str, Encoded]]:
            nonlocal stored
            for cell in cells:
                encoded = self._codec.encode(block[cell])
                stored += len(encoded)
                yield f"{cell[2]}/{cell[3]}", encoded

        self._store.write_folder(self._key(outer), files())
        return stored

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

    def _file_at(self, place: tuple[int, ...]) -> PartFile:
        with self._lock:
            if place not in self._files:
                self._files[place] = self._create_file(place)
            return self._files[place]

    def _create_file(self, place: tuple[int, ...]) -> PartFile:
        stored = self._store.create_file(self._key(place), self._keep_open)
        if self.plan.shard_shape:
            chunks = self.plan.chunks_of_shard(self.level, place)
            return Shard(
                stored,
                self.plan.chunks_in_shard(self.level, place),
                self.plan.chunks_per_shard,
                self._codec,
                self.plan.bytes_per_chunk,
                self._store.has_holes,
                (number for _, number in chunks) if self._in_turn else None,
            )
        if isinstance(self._codec, Blosc):
            numbers = iter(range(self.plan.parts_per_chunk))
            return BloscChunk(
                stored, self.plan, self._codec, numbers if self._in_turn else None
            )
        return RawChunk(stored, self.plan)

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

    def flush(self) -> None:
        """Make what lies in unfinished files readable, and keep them open.

        Raises
        ------
        WriteFailed
        """
        with self._lock:
            files = list(self._files.values())
        for file in files:
            file.flush()

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
