"""The pixels of a level, out of files that need not be readable for others."""

from collections import OrderedDict

import blosc
import numpy as np
import numpy.typing as npt

from napari_zarr_stream._writer import system
from napari_zarr_stream._writer.codecs import (
    BLOSC_HEADER,
    EMPTY,
    STORED,
    Blocks,
    BlockTable,
    Blosc,
    BloscHeader,
    Codec,
    parse_shard_index,
)
from napari_zarr_stream._writer.grid import in_shard
from napari_zarr_stream._writer.tiles import gather_tiles

from .files import Found, Index, Need, Place
from .level import Level

Pixels = npt.NDArray[np.generic]

CACHE_BYTES = 512 * 2**20
"""Of decoded parts: one that stacks planes is needed for each of them."""

MAX_INDEX_BYTES = 64 * 2**20
"""Of the indexes of shards: the plane's shards are asked one after another."""


class LevelPixels:
    """Reads planes of a level, each byte of a file once if planes come in order.

    Parameters
    ----------
    level : Level
        Looked at.
    codec : Codec
    """

    def __init__(self, level: Level, codec: Codec) -> None:
        self._level = level
        self._layout = level.layout
        self._plan = level.plan
        self._codec = codec
        self._decoded: OrderedDict[tuple[Place, int], Pixels] = OrderedDict()
        self._decoded_bytes = 0
        self._indexes: OrderedDict[Place, Index] = OrderedDict()
        parts = np.prod([n for n in level.plan.chunk_grid(level.level)[1:] if n])
        # Whoever writes them again has all those of a chunk layer in memory as well.
        self._cache_bytes = max(CACHE_BYTES, int(parts) * self._layout.part_bytes)

    def plane(self, number: int) -> Pixels:
        """Plane `number` of this level, where `z` is not halved.

        Raises
        ------
        OSError
            A part of it is not there, or cannot be decoded.
        """
        plan, level = self._plan, self._level
        position = plan.position(number)
        down, across = plan.tile_grid(level.level)
        tiles = np.empty((down, across, *plan.tile_shape[1:]), plan.dtype)
        within = [p % c for p, c in zip(position, plan.chunk_shape, strict=False)]
        outer = [p // c for p, c in zip(position, plan.chunk_shape, strict=False)]
        frame = within[0] if plan.outer else 0
        if plan.outer:
            within[0] %= self._layout.steps_per_unit
        for i, j in np.ndindex(down, across):
            chunk = (*outer, i, j)
            place, part = chunk, frame // self._layout.steps_per_unit
            if plan.shard_shape:
                place, part = in_shard(chunk, plan.shard_grid)
            found = level.files.get(place)
            if found is None or not found.there[part]:
                raise OSError(f"{level.folder}: chunk {chunk} cannot be read")
            tiles[i, j] = self._part(found, part)[tuple(within)]
        plane = np.empty(plan.plane_shape(level.level), plan.dtype)
        gather_tiles(tiles, plane)
        return plane

    def _part(self, found: Found, number: int) -> Pixels:
        """Pixels of a part of a file: (steps, ..., height, width)."""
        key = found.place, number
        if (pixels := self._decoded.get(key)) is None:
            pixels = self._decode(found, number)
            self._decoded[key] = pixels
            self._decoded_bytes += pixels.nbytes
            while self._decoded_bytes > self._cache_bytes and len(self._decoded) > 1:
                _, oldest = self._decoded.popitem(last=False)
                self._decoded_bytes -= oldest.nbytes
        return pixels

    def _decode(self, found: Found, number: int) -> Pixels:
        with system.closing(system.open_to_read(found.path)) as descriptor:
            if self._plan.shard_shape:
                offset, size = self._index_of(found, descriptor)[number].tolist()
                data = _read(descriptor, size, offset)
            elif self._is_joined(found, descriptor):
                data = self._joined(self._blocks_of(found, descriptor, number))
            elif isinstance(self._codec, Blosc):
                data = system.read_at(descriptor, system.size_of(descriptor), 0)
            else:
                size = self._layout.part_bytes
                data = system.read_at(descriptor, size, number * size)
                if found.need is Need.LENGTH:
                    data = data.ljust(size, b"\0")
        if isinstance(self._codec, Blosc):
            try:
                data = blosc.decompress(data)
            except (blosc.blosc_extension.error, MemoryError) as error:
                raise OSError(f"{found.path}: {error}") from error
        if not self._plan.shard_shape and len(data) > self._layout.part_bytes:
            # Encoded at once, by an earlier version.
            data = data[number * self._layout.part_bytes :][: self._layout.part_bytes]
        shape = self._plan.chunk_shape
        if self._layout.has_steps:
            shape = (self._layout.steps_per_unit, *shape[1:])
        return np.frombuffer(data, self._plan.dtype).reshape(shape)

    def _is_joined(self, found: Found, descriptor: int) -> bool:
        """Whether a chunk was joined from parts, each of so many blocks."""
        if not self._layout.blocks_per_part or found.need is Need.HEAD:
            return bool(self._layout.blocks_per_part)
        header = BloscHeader.read(_read(descriptor, BLOSC_HEADER.size, 0))
        return (
            header is not None
            and header.block_bytes == self._plan.blosc_block_bytes
            and not header.flags & STORED
        )

    def _index_of(self, found: Found, descriptor: int) -> Index:
        """The index of a shard, as it is or as it is to be."""
        if found.index is not None:
            return found.index
        if found.place in self._indexes:
            self._indexes.move_to_end(found.place)
            return self._indexes[found.place]
        size = 16 * self._layout.parts + 4
        last = _read(descriptor, size, system.size_of(descriptor) - size)
        index = parse_shard_index(last, self._layout.parts)
        if index is None or (index[found.there, 0] == EMPTY).any():
            raise OSError(f"{found.path}: it was changed meanwhile")
        self._indexes[found.place] = index
        while len(self._indexes) * size > MAX_INDEX_BYTES and len(self._indexes) > 1:
            self._indexes.popitem(last=False)
        return index

    def _blocks_of(self, found: Found, descriptor: int, number: int) -> Blocks:
        """The blocks of a part, wherever the file has them."""
        count = self._layout.blocks_per_part
        if found.need is Need.HEAD:
            part = next(part for part in found.placed if part.number == number)
            start, end = part.offset, part.offset + part.size
        else:
            size = 4 * count * self._layout.parts
            table = np.frombuffer(_read(descriptor, size, BLOSC_HEADER.size), "<i4")
            start = int(table[number * count : (number + 1) * count].min())
            ends = table[table > table[number * count : (number + 1) * count].max()]
            # The last block ends before the next one begins, with a mark between.
            end = int(ends.min(initial=system.size_of(descriptor)))
        data = _read(descriptor, end - start, start)
        assert isinstance(self._codec, Blosc)
        blocks = self._codec.find_blocks(data, count, self._plan.dtype.itemsize)
        if blocks is None:
            raise OSError(f"{found.path}: part {number} has no blocks")
        return blocks

    def _joined(self, blocks: Blocks) -> bytes:
        """One part as a blosc buffer of its own."""
        assert isinstance(self._codec, Blosc)
        table = BlockTable(self._codec, self._plan.dtype, len(blocks.starts))
        table.put(0, blocks, table.size)
        return table.encode(table.size + len(blocks.data)) + bytes(blocks.data)


def _read(descriptor: int, size: int, offset: int) -> bytes:
    data = system.read_at(descriptor, size, offset)
    if len(data) < size:
        raise OSError(f"{size} bytes at {offset} were expected, {len(data)} came")
    return data
