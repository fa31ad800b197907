"""Where a pixel goes: tiles, chunks, shards, levels. Integers in, integers out, no I/O.

`plan` is the only component that knows this arithmetic; the rest asks its `Plan`.

Planes arrive in C order over the axes before `y, x`. Consecutive planes that are
encoded together form a *block*: a whole chunk layer where a chunk stacks frames,
otherwise the planes of one tile (of one volume, if `z` is halved). A *slot* holds one
or more blocks.
"""

import itertools
import math
import operator
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .errors import InvalidProperties
from .properties import DownsamplingMethod, StorageProperties

AXES = "tczyx"

MIN_BYTES_PER_CHUNK = 16 * 2**20
"""Lower caps are raised to this: Acquire's Zarr driver, "chunking"."""

MAX_BLOSC_BYTES = 2**31 - 1 - 16
"""BLOSC_MAX_BUFFERSIZE: INT_MAX less the 16 bytes of the header."""

MIN_PART_BYTES = 64 * 2**10
"""Smaller tiles are stacked and encoded at once: blosc's time for them is no longer
than Python's, and blocks as small as that compress less."""

MAX_JOINED_BYTES = 2**30
"""Offsets of blocks have 31 bits, and blocks may be a little larger than pixels."""

MAX_BLOSC_BLOCK = 2**20
"""More does not stay in a core's cache; c-blosc allows no more where it splits."""

QUEUE_BYTES = 40 * 2**20
"""Slots are made up to this: 5 frames of 2048 x 2048 uint16, 50 ms at 100 a second,
which is more than most paints hold the workers up; the camera's own buffer is for the
rest. A longer queue would only hide a storage that is too slow, and take memory that is
new to the caches."""

SLOT_BYTES = 2**20
"""Blocks below this share a slot: a task costs Python tens of microseconds, about what
blosc needs for 64 KiB."""

PART_BYTES = 16 * 2**20
"""Work on slots above this is cut into parts of about this size, for several workers;
a smaller slot stays with one worker, in whose cache it is."""

MAX_SLOTS = 64

MAX_CHUNKS_PER_SHARD = 2**16
"""An index has 16 bytes for each, there or not: 1 MiB at the most."""

ENCODER_BYTES = 14 * 2**20
"""Most that malloc keeps for a thread that encodes: results are allocated large and
given back small, which leaves gaps. 9 to 19 MB were measured with tiles of 512 KiB and
more, 2 MB with tiles of 32 KiB. Workers encode, and a caller in a hurry."""

WORKERS = max(2, min(8, os.cpu_count() or 2))
"""Encoding is the bottleneck and scales over cores; beyond 8 the memory bus is."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What properties come to with frames of one shape and dtype.

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
    frames_per_chunk : int
        1 where there is no time axis.
    max_bytes_per_chunk : int
        The cap in force.
    level_shapes : tuple of tuple
        Full size first.
    files_per_level : tuple of int
        Chunk or shard files; those of one chunk or shard layer where the first axis
        has no bound.
    bytes_per_plane, bytes_per_chunk : int
        Raw. A chunk at the edge is as large as any.
    peak_memory_bytes : int
        Of the pixels in the pipeline: slots, and what the workers need beside them.
    block : (int, int, int)
        Frames, channels and planes of a block at level 0.
    blocks_per_slot, slots : int
    blosc_block_bytes : int
        0 where blosc is left to choose, or not used.
    z_is_halved : bool
    halves_in_tiles : bool
        Planes are halved by mean, and no block of pixels lies in two tiles.
    notes : tuple of str
        Where something other than asked for is in force, in words.
    """

    axes: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[np.generic]
    tile_shape: tuple[int, int, int]
    chunk_shape: tuple[int, ...]
    shard_shape: tuple[int, ...] | None
    frames_per_chunk: int
    max_bytes_per_chunk: int
    level_shapes: tuple[tuple[int | None, ...], ...]
    files_per_level: tuple[int, ...]
    bytes_per_plane: int
    bytes_per_chunk: int
    peak_memory_bytes: int
    block: tuple[int, int, int]
    blocks_per_slot: int
    slots: int
    blosc_block_bytes: int
    z_is_halved: bool
    halves_in_tiles: bool
    notes: tuple[str, ...]

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
    def parts_per_chunk(self) -> int:
        """Parts, of a frame each, that a chunk is written in."""
        return self.frames_per_chunk // self.block[0]

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

    @property
    def slots_at_start(self) -> int:
        """Slots to be made before the first plane, none where they are large.

        A large one is touched only where planes lie, since few may come.
        """
        slot_bytes = self.dtype.itemsize * sum(
            math.prod(self.slot_shape(level)) for level in range(len(self.level_shapes))
        )
        if slot_bytes > PART_BYTES:
            return 0
        if self.planes is None:
            return self.slots
        blocks = self.locate(self.planes - 1)[0] + 1
        return min(self.slots, _ceil_div(blocks, self.blocks_per_slot))

    @property
    def planes_per_block(self) -> int:
        """Planes of a block at level 0."""
        return math.prod(self.block)

    def tile_grid(self, level: int) -> tuple[int, int]:
        """Tiles of a plane of `level`, down and across."""
        height, width = self.plane_shape(level)
        _, tile_height, tile_width = self.tile_shape
        return _ceil_div(height, tile_height), _ceil_div(width, tile_width)

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
                    planes = _ceil_div(planes, 2)
        return planes

    def halves_z_below(self, level: int) -> bool:
        """Whether level + 1 has half the planes of `level`."""
        return self.planes_at(level, 2**62) != self.planes_at(level + 1, 2**62)

    def files_at_once(self, level: int) -> int:
        """Chunks or shards of `level` that fill together, one chunk or shard layer."""
        sizes = self.level_shapes[level][1:-2]
        outer = math.prod(
            _ceil_div(size, chunk)
            for size, chunk in zip(sizes, self.chunk_shape[1:], strict=False)
            if size is not None
        )
        return outer * math.prod(
            _ceil_div(tiles, per_file)
            for tiles, per_file in zip(
                self.tile_grid(level), self.shard_grid[-2:], strict=True
            )
        )

    def slot_shape(self, level: int) -> tuple[int, ...]:
        """Shape of a slot's buffer at `level`, in which every chunk lies contiguous.

        Blocks, channels, chunks along z, tiles down, tiles across; then within the
        chunk: frames, planes, height, width.
        """
        frames, channels, planes = self.block
        z_chunks = _ceil_div(self.planes_at(level, planes), self.tile_shape[0])
        grid = (self.blocks_per_slot, channels, z_chunks, *self.tile_grid(level))
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
        _, channels, planes = self.block
        planes = self.planes_at(level, planes)
        frame, rest = divmod(offset, channels * planes)
        channel, z = divmod(rest, planes)
        return channel, z // self.tile_shape[0], frame, z % self.tile_shape[0]

    def locate(self, plane: int) -> tuple[int, int, int]:
        """The block of plane number `plane`, its offset there, and the block's planes.

        Blocks cut short by the end of the z axis have fewer than `planes_per_block`.
        """
        per_block = self.planes_per_block
        depth = self.outer[-1] if self.axes[-3:-2] == "z" else 1
        if depth is None or depth % self.block[2] == 0:
            return plane // per_block, plane % per_block, per_block
        runs = _ceil_div(depth, self.block[2])
        outer, z = divmod(plane, depth)
        run, offset = divmod(z, self.block[2])
        size = min(self.block[2], depth - run * self.block[2])
        return outer * runs + run, offset, size

    def first_plane(self, block: int) -> int:
        """Number of the first plane of `block`: the inverse of `locate`."""
        depth = self.outer[-1] if self.axes[-3:-2] == "z" else 1
        if depth is None or depth % self.block[2] == 0:
            return block * self.planes_per_block
        outer, run = divmod(block, _ceil_div(depth, self.block[2]))
        return outer * depth + run * self.block[2]

    def chunk_origin(self, block: int) -> tuple[tuple[int, ...], int]:
        """Chunk coordinates of the first chunk of `block`, for the axes before y and x.

        Also the number of the block's first frame within that chunk, which is 0 unless
        the chunk is written frame by frame.
        """
        index = self.first_plane(block)
        position: list[int] = []
        for size in reversed(self.outer[1:]):
            assert size is not None
            index, here = divmod(index, size)
            position.insert(0, here)
        if self.outer:
            position.insert(0, index)
        chunk = tuple(
            here // size for here, size in zip(position, self.chunk_shape, strict=False)
        )
        frame = position[0] % self.chunk_shape[0] if self.axes[0] == "t" else 0
        return chunk, frame

    def level_shape_after(self, level: int, steps: int) -> tuple[int, ...]:
        """Shape of `level` once `steps` steps along the first axis are there."""
        shape = self.level_shapes[level]
        if self.outer:
            first = self.planes_at(level, steps) if self.axes[0] == "z" else steps
            shape = (first, *shape[1:])
        return tuple(size for size in shape if size is not None)


def _ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def _product(sizes: Sequence[int | None]) -> int:
    return math.prod(size for size in sizes if size is not None)


def blosc_block(part_bytes: int, itemsize: int, codec: str) -> int:
    """The largest block size that divides a part of a chunk, 0 if there is none.

    c-blosc rounds the size it is asked for, `compute_blocksize` in blosc.c: where
    blocks are split by bytes (lz4), an item's byte gets at most 256 KiB of a block, and
    a block has at least 64 KiB and at most 1 MiB.
    """
    most = min(MAX_BLOSC_BLOCK, itemsize * 2**18) if codec == "lz4" else MAX_BLOSC_BLOCK
    if part_bytes <= most:
        return part_bytes
    for parts in range(_ceil_div(part_bytes, most), part_bytes // 2**16 + 1):
        if part_bytes % (parts * itemsize) == 0:
            return part_bytes // parts
    return 0


def stored_dtype(dtype: npt.DTypeLike) -> np.dtype[np.generic]:
    """The little-endian type that `dtype` is stored as.

    Raises
    ------
    InvalidProperties
        For anything but bool, integers and floats of 32 and 64 bits.
    """
    try:
        given = np.dtype(dtype)
    except (TypeError, ValueError, SyntaxError, OverflowError) as error:
        raise InvalidProperties(f"{dtype!r} is no type of pixels: {error}") from error
    if not (given.kind in "biu" or (given.kind == "f" and given.itemsize in (4, 8))):
        raise InvalidProperties(
            f"pixels of type {given} cannot be stored; convert them to bool, an "
            "integer type, float32 or float64"
        )
    return given.newbyteorder("<")


def _check_shape(axes: str, shape: Sequence[int | None]) -> tuple[int | None, ...]:
    ordered = "".join(axis for axis in AXES if axis in axes)
    if axes != ordered or not axes.endswith("yx"):
        raise InvalidProperties(
            f"axes {axes!r} must be some of {AXES!r} in this order, ending in 'yx'"
        )
    if len(shape) != len(axes):
        raise InvalidProperties(
            f"shape {tuple(shape)} has {len(shape)} numbers for the {len(axes)} axes "
            f"{axes!r}"
        )
    try:
        sizes = tuple(None if size is None else operator.index(size) for size in shape)
    except TypeError as error:
        raise InvalidProperties(f"shape {tuple(shape)}: {error}") from error
    for axis, size in zip(axes, sizes, strict=True):
        if size is None and (axis != axes[0] or axis == "y"):
            raise InvalidProperties(
                f"axis {axis!r} must have a size: only the first axis before 'yx' may "
                "be without bound (None)"
            )
        if size is not None and size < 1:
            raise InvalidProperties(
                f"axis {axis!r} has size {size}; it must be 1 or more"
            )
    return sizes


def _levels(
    axes: str,
    shape: tuple[int | None, ...],
    tile_shape: tuple[int, int, int],
    multiscale: bool,
) -> tuple[tuple[int | None, ...], ...]:
    """Halve y and x together, rounding up, until both are at most one tile."""
    tile_planes, tile_height, tile_width = tile_shape
    levels = [shape]
    while multiscale:
        *outer, height, width = levels[-1]
        assert height is not None
        assert width is not None
        if height <= tile_height and width <= tile_width:
            break
        if axes[-3:-2] == "z" and tile_planes > 1:
            planes = outer[-1]
            if planes is not None and planes > tile_planes:
                outer[-1] = _ceil_div(planes, 2)
        levels.append((*outer, _ceil_div(height, 2), _ceil_div(width, 2)))
    return tuple(levels)


def _shard_shape(
    properties: StorageProperties,
    sizes: tuple[int | None, ...],
    chunk_shape: tuple[int, ...],
    chunk_bytes: int,
    cap: int,
) -> tuple[int, ...]:
    """As many chunks along the first axis as the cap allows, and at least one."""
    tiles = []
    for size, side, asked in zip(
        sizes[-2:], chunk_shape[-2:], properties.shard_chunks, strict=True
    ):
        assert size is not None
        there = _ceil_div(size, side)
        tiles.append(min(asked or there, there))
    in_layer = math.prod(tiles)
    first = min(cap // (chunk_bytes * in_layer), MAX_CHUNKS_PER_SHARD // in_layer)
    *outer, height, width = chunk_shape
    if outer:
        outer[0] *= max(1, first)
    return (*outer, height * tiles[0], width * tiles[1])


def plan(
    properties: StorageProperties,
    *,
    axes: str,
    shape: Sequence[int | None],
    dtype: npt.DTypeLike,
) -> Plan:
    """Work out tiles, chunks, shards, levels and memory; touches no disk.

    Parameters
    ----------
    properties : StorageProperties
    axes : str
        Some of "tczyx", in this order, ending in "yx".
    shape : sequence of int or None
        One size per axis; None for a first axis without bound.
    dtype : dtype-like

    Raises
    ------
    InvalidProperties
        With the numbers, and what to change.

    Examples
    --------
    >>> properties = StorageProperties(
    ...     "out.zarr", tile_width=640, tile_height=360, max_bytes_per_chunk=64 * 2**20
    ... )
    >>> p = plan(properties, axes="tyx", shape=(None, 1080, 1920), dtype="uint8")
    >>> p.tiles_per_plane, p.frames_per_chunk, round(p.bytes_per_chunk / 2**20, 2)
    (9, 291, 63.94)
    """
    sizes = _check_shape(axes, shape)
    stored = stored_dtype(dtype)
    notes: list[str] = []
    height, width = sizes[-2:]
    assert height is not None
    assert width is not None
    depth: int | None = 1
    if axes[-3:-2] == "z":
        depth = sizes[-3]
    # A z axis without bound comes plane by plane: there a frame is one plane.
    tile_planes = properties.tile_planes or depth or 1
    tile_shape = (
        tile_planes if depth is None else min(tile_planes, depth),
        min(properties.tile_height or height, height),
        min(properties.tile_width or width, width),
    )
    tile_bytes = math.prod(tile_shape) * stored.itemsize
    cap = max(properties.max_bytes_per_chunk, MIN_BYTES_PER_CHUNK)
    if 0 < properties.max_bytes_per_chunk < cap:
        notes.append(
            f"chunk cap raised from {properties.max_bytes_per_chunk / 2**20:.3g} MiB "
            "to 16 MiB, the least there is"
        )
    frames_per_chunk = 1
    if axes[0] == "t":
        most = max(1, cap // tile_bytes)
        frames_per_chunk = properties.frames_per_chunk
        if not frames_per_chunk:
            frames_per_chunk = 1 if properties.sharded else most
        if frames_per_chunk > most:
            notes.append(
                f"{frames_per_chunk} frames per chunk would be over the cap of "
                f"{cap / 2**20:.4g} MiB: {most} in force"
            )
            frames_per_chunk = most
    sizes_in_chunk = {"t": frames_per_chunk, "c": 1, "z": tile_shape[0]}
    chunk_shape = (*(sizes_in_chunk[a] for a in axes[:-2]), *tile_shape[1:])
    chunk_bytes = frames_per_chunk * tile_bytes
    if properties.kind.compressor and chunk_bytes > MAX_BLOSC_BYTES:
        raise InvalidProperties(
            f"a chunk of {frames_per_chunk} frames of {tile_shape[2]} x "
            f"{tile_shape[1]} x {tile_shape[0]} pixels is {chunk_bytes:,} bytes; blosc "
            f"takes at most {MAX_BLOSC_BYTES:,}: lower the chunk cap or the tile size"
        )
    shard_shape = None
    if properties.sharded:
        shard_shape = _shard_shape(properties, sizes, chunk_shape, chunk_bytes, cap)
        if (shard_bytes := math.prod(shard_shape) * stored.itemsize) > cap:
            notes.append(
                f"a shard of one layer of chunks is {shard_bytes / 2**20:.4g} MiB, "
                f"over the cap of {cap / 2**20:.4g} MiB"
            )

    levels = _levels(axes, sizes, tile_shape, properties.enable_multiscale)
    file_shape = shard_shape or chunk_shape
    files_per_level = tuple(
        math.prod(
            1 if size is None else _ceil_div(size, per_file)
            for size, per_file in zip(level, file_shape, strict=True)
        )
        for level in levels
    )

    z_is_halved = "z" in axes and len({level[axes.index("z")] for level in levels}) > 1
    halves_in_tiles = (
        len(levels) > 1
        and not z_is_halved
        and properties.method is DownsamplingMethod.MEAN
        # The kernel sums integers in a wider type.
        and (stored.kind == "f" or stored.itemsize < 8)
        and all(
            side % 2 == 0 or side >= size
            for side, size in zip(tile_shape[1:], (height, width), strict=True)
        )
    )
    # Raw chunks can be written frame by frame, each to its place in the file, and
    # encoded ones block by block; others need all their frames at once.
    codec = properties.kind.compressor
    block_bytes = blosc_block(tile_bytes, stored.itemsize, codec) if codec else 0
    joined = codec and block_bytes and tile_bytes >= MIN_PART_BYTES
    by_frame = not properties.sharded and (
        codec is None or (joined and chunk_bytes <= MAX_JOINED_BYTES)
    )
    stacked = frames_per_chunk > 1 and not by_frame
    channels = sizes[axes.index("c")] if "c" in axes else 1
    if stacked:
        assert channels is not None
        assert depth is not None
        block = (frames_per_chunk, channels, depth)
    elif z_is_halved:
        assert depth is not None
        block = (1, 1, depth)
    else:
        block = (1, 1, tile_shape[0])

    unsized = Plan(
        axes=axes,
        shape=sizes,
        dtype=stored,
        tile_shape=tile_shape,
        chunk_shape=chunk_shape,
        shard_shape=shard_shape,
        frames_per_chunk=frames_per_chunk,
        max_bytes_per_chunk=cap,
        level_shapes=levels,
        files_per_level=files_per_level,
        bytes_per_plane=height * width * stored.itemsize,
        bytes_per_chunk=chunk_bytes,
        peak_memory_bytes=0,
        block=block,
        blocks_per_slot=1,
        slots=1,
        blosc_block_bytes=block_bytes,
        z_is_halved=z_is_halved,
        halves_in_tiles=halves_in_tiles,
        notes=tuple(notes),
    )
    return _with_slots(unsized, block[0] * tile_bytes if codec else 0)


def _with_slots(unsized: Plan, encoded_bytes: int) -> Plan:
    """Choose how many blocks share a slot and how many slots there are.

    `encoded_bytes` is what a codec may need for one chunk's result.
    """
    levels = range(len(unsized.level_shapes))
    block_bytes = unsized.dtype.itemsize * sum(
        math.prod(unsized.slot_shape(level)) for level in levels
    )
    blocks_per_slot = max(1, SLOT_BYTES // block_bytes)
    slot_bytes = blocks_per_slot * block_bytes
    # One is filled while the others are encoded: a large one by all workers together.
    least = 2 if slot_bytes > PART_BYTES else WORKERS + 1
    slots = max(least, min(MAX_SLOTS, QUEUE_BYTES // slot_bytes))
    held = slots * slot_bytes
    if unsized.planes is not None:
        # Memory is touched only where pixels lie.
        blocks = unsized.locate(unsized.planes - 1)[0] + 1
        frames = unsized.block[0]
        if unsized.axes[0] == "t" and unsized.shape[0] is not None:
            frames = min(frames, unsized.shape[0])
        held = min(held, blocks * block_bytes * frames // unsized.block[0])
    beside = 0
    if encoded_bytes:
        kept = min(ENCODER_BYTES, 32 * encoded_bytes)
        # A result is allocated for the worst case, of which little comes.
        beside += (WORKERS + 1) * max(kept, encoded_bytes * 3 // 4)
    if len(levels) > 1 and not unsized.halves_in_tiles:
        # One plane, and its halves.
        beside += WORKERS * unsized.bytes_per_plane * 2
    values = {name: getattr(unsized, name) for name in Plan.__dataclass_fields__}
    values |= {
        "blocks_per_slot": blocks_per_slot,
        "slots": slots,
        "peak_memory_bytes": held + beside,
    }
    return Plan(**values)
