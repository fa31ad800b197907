"""Where a pixel goes: tiles, chunks, shards, levels. Integers in, integers out.

Planes arrive in C order over the axes before `y, x`. Consecutive planes that are
encoded together form a *block*: a whole chunk layer where a chunk stacks frames,
otherwise the planes of one tile (of one volume, if `z` is halved).
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

AXES = "tczyx"


@dataclass(frozen=True, slots=True)
class Grid:
    """How frames of one shape and dtype are cut, at every level.

    Shapes have one number per axis of `axes`, slowest first; None stands for an axis
    without bound.

    Attributes
    ----------
    axes : str
    shape : tuple of int or None
    dtype : numpy.dtype
        As stored: little-endian.
    tile_shape : (int, int, int)
        Planes, height, width.
    chunk_shape, shard_shape : tuple of int
        The same at every level. `shard_shape` is None unless sharded.
    level_shapes : tuple of tuple
        Full size first.
    block : (int, int, int)
        Frames, channels and planes of a block at level 0.
    blosc_block_bytes : int
        0 where blosc is left to choose, or not used.
    z_is_halved : bool
    """

    axes: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[np.generic]
    tile_shape: tuple[int, int, int]
    chunk_shape: tuple[int, ...]
    shard_shape: tuple[int, ...] | None
    level_shapes: tuple[tuple[int | None, ...], ...]
    block: tuple[int, int, int]
    blosc_block_bytes: int
    z_is_halved: bool

    @property
    def frames_per_chunk(self) -> int:
        """1 where there is no time axis."""
        return self.chunk_shape[0] if self.axes[0] == "t" else 1

    @property
    def bytes_per_plane(self) -> int:
        """Raw, at level 0."""
        return math.prod(self.plane_shape(0)) * self.dtype.itemsize

    @property
    def bytes_per_chunk(self) -> int:
        """Raw. A chunk at the edge is as large as any."""
        return math.prod(self.chunk_shape) * self.dtype.itemsize

    @property
    def files_per_level(self) -> tuple[int, ...]:
        """Chunk or shard files.

        Those of one chunk or shard layer where the first axis has no bound.
        """
        file_shape = self.shard_shape or self.chunk_shape
        return tuple(
            math.prod(
                1 if size is None else ceil_div(size, per_file)
                for size, per_file in zip(level, file_shape, strict=True)
            )
            for level in self.level_shapes
        )

    @property
    def outer(self) -> tuple[int | None, ...]:
        """Sizes of the axes before `y, x`."""
        return self.shape[:-2]

    @property
    def planes(self) -> int | None:
        """Planes the array has room for; None without bound."""
        return None if None in self.outer else _product(self.outer)

    @property
    def planes_per_step(self) -> int:
        """Planes of one step along the first axis."""
        return _product(self.outer[1:])

    @property
    def tiles_per_plane(self) -> int:
        """Tiles that cover one plane at level 0."""
        return math.prod(self.tile_grid(0))

    @property
    def shard_grid(self) -> tuple[int, ...]:
        """Chunks of a shard along each axis; 1 unless sharded."""
        shard = self.shard_shape or self.chunk_shape
        return tuple(a // b for a, b in zip(shard, self.chunk_shape, strict=True))

    @property
    def chunks_per_shard(self) -> int:
        """Chunks that a shard has room for; 1 unless sharded."""
        return math.prod(self.shard_grid)

    @property
    def index_bytes(self) -> int:
        """Of the indexes of all shards that fill together, at all levels."""
        if self.shard_shape is None:
            return 0
        files = sum(map(self.files_at_once, range(len(self.level_shapes))))
        return files * 16 * self.chunks_per_shard

    @property
    def parts_per_chunk(self) -> int:
        """Parts, of one frame or several, that a chunk is written in."""
        return self.frames_per_chunk // self.block[0]

    @property
    def part_shape(self) -> tuple[int, ...]:
        """Pixels along each axis of what is encoded and written at once."""
        return (self.chunk_shape[0] // self.parts_per_chunk, *self.chunk_shape[1:])

    @property
    def steps_per_file(self) -> int:
        """Steps along the first axis after which files can be read.

        1 with shards: an index is written whenever readers are told.
        """
        if not self.outer or self.shard_shape:
            return 1
        # Raw chunks can be read up to what was written.
        in_parts = self.parts_per_chunk > 1 and self.blosc_block_bytes
        return self.chunk_shape[0] if in_parts else 1

    def steps_until_read(self, has_holes: bool) -> int:
        """The same, of a disk with or without holes: there a shard has one index."""
        if self.shard_shape and self.outer and not has_holes:
            return self.shard_shape[0]
        return self.steps_per_file

    @property
    def planes_per_block(self) -> int:
        """Planes of a block at level 0."""
        return math.prod(self.block)

    @property
    def cascades(self) -> bool:
        """Whether each level has blocks of its own, one tile deep.

        So do volumes that are halved along z, unless their frames are stacked.
        """
        return self.z_is_halved and self.block[0] == 1

    def depth(self, level: int) -> int:
        """Planes of a volume of `level`; 1 where they are without bound, or none."""
        return (self.axes[-3:-2] == "z" and self.level_shapes[level][-3]) or 1

    def planes_in_block(self, level: int) -> int:
        """Planes along z of a block of `level`."""
        return self.block[2] if self.cascades else self.planes_at(level, self.block[2])

    def tile_grid(self, level: int) -> tuple[int, int]:
        """Tiles of a plane of `level`, down and across."""
        height, width = self.plane_shape(level)
        _, tile_height, tile_width = self.tile_shape
        return ceil_div(height, tile_height), ceil_div(width, tile_width)

    def plane_shape(self, level: int) -> tuple[int, int]:
        """Height and width of a plane of `level`."""
        height, width = self.level_shapes[level][-2:]
        assert height is not None
        assert width is not None
        return height, width

    def planes_at(self, level: int, planes: int) -> int:
        """How many planes along `z` are left at `level` of `planes` at level 0.

        Follows the halvings of `level_shapes`, so that a volume cut short shrinks as
        the whole one would.
        """
        if self.z_is_halved:
            sizes = [shape[self.axes.index("z")] for shape in self.level_shapes]
            for above, here in itertools.pairwise(sizes[: level + 1]):
                if above != here:
                    planes = ceil_div(planes, 2)
        return planes

    def halves_z_below(self, level: int) -> bool:
        """Whether level + 1 has half the planes of `level`."""
        return self.planes_at(level, 2**62) != self.planes_at(level + 1, 2**62)

    def files_at_once(self, level: int) -> int:
        """Chunks or shards of `level` that fill together, one chunk or shard layer."""
        sizes = self.level_shapes[level][1:-2]
        file_shape = self.shard_shape or self.chunk_shape
        outer = math.prod(
            ceil_div(size, per_file)
            for size, per_file in zip(sizes, file_shape[1:], strict=False)
            if size is not None
        )
        return outer * math.prod(
            ceil_div(tiles, per_file)
            for tiles, per_file in zip(
                self.tile_grid(level), self.shard_grid[-2:], strict=True
            )
        )

    def block_shape(self, level: int) -> tuple[int, ...]:
        """Shape of a block's buffer at `level`, in which every chunk lies contiguous.

        Channels, chunks along z, tiles down, tiles across; then within the chunk:
        frames, planes, height, width.
        """
        frames, channels, _ = self.block
        z_chunks = ceil_div(self.planes_in_block(level), self.tile_shape[0])
        grid = (channels, z_chunks, *self.tile_grid(level))
        return (*grid, frames, *self.tile_shape)

    def offsets_at(self, level: int, planes: int) -> int:
        """Places of a block's buffer at `level` that its first `planes` planes take.

        Only whole frames may be given where a block holds several channels.
        """
        _, channels, depth = self.block
        frames, rest = divmod(planes, channels * depth)
        whole = channels * self.planes_at(level, depth)
        return frames * whole + self.planes_at(level, rest)

    def place_in_block(self, offset: int, level: int) -> tuple[int, int, int, int]:
        """Where plane number `offset` of a block lies in the block's buffer.

        Returns
        -------
        (channel, chunk along z, frame, plane of the tile)
        """
        channels, planes = self.block[1], self.planes_in_block(level)
        frame, rest = divmod(offset, channels * planes)
        channel, z = divmod(rest, planes)
        return channel, z // self.tile_shape[0], frame, z % self.tile_shape[0]

    def locate(self, plane: int, level: int = 0) -> tuple[int, int, int]:
        """The block of plane number `plane`, its offset there, and the block's planes.

        Blocks cut short by the end of the z axis have fewer planes than others.
        """
        depth, in_block = self.depth(level), self.planes_in_block(level)
        if depth % in_block == 0 or self.level_shapes[level][:-2][-1:] == (None,):
            per_block = self.block[0] * self.block[1] * in_block
            return plane // per_block, plane % per_block, per_block
        outer, z = divmod(plane, depth)
        run, offset = divmod(z, in_block)
        size = min(in_block, depth - run * in_block)
        return outer * ceil_div(depth, in_block) + run, offset, size

    def first_plane(self, block: int, level: int = 0) -> int:
        """Number of the first plane of `block`: the inverse of `locate`."""
        depth, in_block = self.depth(level), self.planes_in_block(level)
        if depth % in_block == 0 or self.level_shapes[level][:-2][-1:] == (None,):
            return block * self.block[0] * self.block[1] * in_block
        outer, run = divmod(block, ceil_div(depth, in_block))
        return outer * depth + run * in_block

    def position(self, plane: int, level: int = 0) -> tuple[int, ...]:
        """Indices of plane number `plane` along the axes before y and x."""
        position: list[int] = []
        for size in reversed(self.level_shapes[level][1:-2]):
            assert size is not None
            plane, here = divmod(plane, size)
            position.insert(0, here)
        if self.outer:
            position.insert(0, plane)
        return tuple(position)

    def chunk_origin(self, block: int, level: int = 0) -> tuple[tuple[int, ...], int]:
        """Chunk coordinates of the first chunk of `block`, for the axes before y and x.

        Also the number of the part that the block is of that chunk, which is 0 unless
        the chunk is written in parts.
        """
        position = self.position(self.first_plane(block, level), level)
        chunk = tuple(
            here // size for here, size in zip(position, self.chunk_shape, strict=False)
        )
        frame = position[0] % self.chunk_shape[0] if self.axes[0] == "t" else 0
        return chunk, frame // self.block[0]

    def chunk_grid(self, level: int) -> tuple[int | None, ...]:
        """Chunks of `level` along each axis."""
        return tuple(
            None if size is None else ceil_div(size, chunk)
            for size, chunk in zip(
                self.level_shapes[level], self.chunk_shape, strict=True
            )
        )

    def chunks_in_shard(self, level: int, place: Sequence[int]) -> int:
        """Chunks of the shard at `place`, less those beyond the edge.

        Along the first axis it may be cut short, and counts as whole.
        """
        *outer, down, across = self.shard_grid
        chunks = math.prod(outer[:1])
        for shard, room, size in zip(
            place[1:-2], outer[1:], self.chunk_grid(level)[1:-2], strict=True
        ):
            assert size is not None
            chunks *= min(room, size - shard * room)
        for shard, room, tiles in zip(
            place[-2:], (down, across), self.tile_grid(level), strict=True
        ):
            chunks *= min(room, tiles - shard * room)
        return chunks

    def chunks_of_shard(
        self, level: int, place: Sequence[int]
    ) -> Iterator[tuple[tuple[int, ...], int]]:
        """The chunks of the shard at `place`, and their numbers there, in C order.

        None beyond the array: a shard may have room for thousands of which there are a
        few.
        """
        inside = []
        for at, room, there in zip(
            place, self.shard_grid, self.chunk_grid(level), strict=True
        ):
            end = (at + 1) * room
            inside.append(range(at * room, end if there is None else min(end, there)))
        for chunk in itertools.product(*inside):
            yield chunk, in_shard(chunk, self.shard_grid)[1]

    def level_shape_after(self, level: int, steps: int) -> tuple[int, ...]:
        """Shape of `level` once `steps` steps along the first axis are there."""
        shape = self.level_shapes[level]
        if self.outer:
            first = self.planes_at(level, steps) if self.axes[0] == "z" else steps
            shape = (first, *shape[1:])
        return tuple(size for size in shape if size is not None)


def ceil_div(a: int, b: int) -> int:
    """Divide, rounding up."""
    return -(-a // b)


def in_shard(
    chunk: Sequence[int], shard_grid: Sequence[int]
) -> tuple[tuple[int, ...], int]:
    """The shard of a chunk, and the chunk's number there, in C order.

    Of some axes or all: `shard_grid` is how many chunks a shard has along each.
    """
    number = 0
    place = []
    for at, chunks in zip(chunk, shard_grid, strict=True):
        shard, within = divmod(at, chunks)
        place.append(shard)
        number = number * chunks + within
    return tuple(place), number


def _product(sizes: Sequence[int | None]) -> int:
    return math.prod(size for size in sizes if size is not None)
