"""What properties come to with frames of one shape and dtype; touches no disk."""

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy.typing as npt

from .axes import voxel_of
from .codecs import MAX_BLOSC_BYTES, blosc_block, stored_dtype
from .errors import InvalidProperties
from .grid import AXES, Grid, ceil_div
from .levels import Shape, Voxel, level_shapes
from .limits import MAX_INDEX_BYTES, refuse_long_paths, refuse_too_many
from .memory import Memory, memory_of
from .properties import DownsamplingMethod, StorageProperties, ZHalving
from .words import size_in_words

MIN_BYTES_PER_CHUNK = 16 * 2**20
"""Lower caps are raised to this: Acquire's Zarr driver, "chunking"."""

MIN_PART_BYTES = 64 * 2**10
"""Smaller tiles are encoded several at once, of consecutive frames: blosc's time for
them is no longer than Python's, and blocks as small as that compress less."""

MIN_PART_PIXELS = 128
"""c-blosc splits no smaller blocks by bytes: BLOSC_MIN_BUFFERSIZE."""

MAX_BLOCK_BYTES = 128 * 2**20
"""Most that tiles are held back for others, raw and at level 0: two slots of these."""

MAX_JOINED_BYTES = 2**30
"""Offsets of blocks have 31 bits, and blocks may be a little larger than pixels."""

MAX_CHUNKS_PER_SHARD = 2**16
"""An index has 16 bytes for each, there or not: 1 MiB at the most."""

MANY_FILES = 10**6
"""Are said: copying them takes hours."""


@dataclass(frozen=True, slots=True)
class Plan(Grid):
    """What properties come to with frames of one shape and dtype.

    Attributes
    ----------
    max_bytes_per_chunk : int
        The cap in force.
    halves_in_tiles : bool
        Planes are halved by mean, and no block of pixels lies in two tiles.
    z_halving : ZHalving
    voxel : (float, float, float) or None
        Lengths along z, y and x by which levels were chosen; None where they were not.
    memory : Memory
    notes : tuple of str
        Where something other than asked for is in force, in words.
    """

    max_bytes_per_chunk: int
    halves_in_tiles: bool
    z_halving: ZHalving
    voxel: Voxel | None
    memory: Memory
    notes: tuple[str, ...]

    @property
    def peak_memory_bytes(self) -> int:
        """Of the pixels in the pipeline: slots, and what the workers need beside."""
        return self.memory.peak_bytes

    def slot_shape(self, level: int) -> tuple[int, ...]:
        """Shape of a slot's buffer at `level`: as many blocks as share a slot."""
        return (self.memory.blocks_per_slot, *self.block_shape(level))


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


def _shard_shape(
    properties: StorageProperties,
    axes: str,
    sizes: tuple[int | None, ...],
    chunk_shape: tuple[int, ...],
    chunk_bytes: int,
    cap: int,
) -> tuple[int, ...]:
    """As many chunks along one axis as the cap allows, and at least one.

    A stack along z is as long as it is: where that leaves room, tiles beside it.
    """
    there = []
    for size, side in zip(sizes[-2:], chunk_shape[-2:], strict=True):
        assert size is not None
        there.append(ceil_div(size, side))
    tiles = [
        min(asked or n, n)
        for asked, n in zip(properties.shard_chunks, there, strict=True)
    ]
    in_layer = math.prod(tiles)
    if in_layer > MAX_CHUNKS_PER_SHARD:
        raise InvalidProperties(
            f"a shard of {tiles[0]} x {tiles[1]} tiles has {in_layer:,} chunks, more "
            f"than the {MAX_CHUNKS_PER_SHARD:,} there may be: choose larger tiles, or "
            "fewer tiles for a shard"
        )
    most = min(cap // (chunk_bytes * in_layer), MAX_CHUNKS_PER_SHARD // in_layer)
    *outer, height, width = chunk_shape
    at = axes.find(properties.shard_axis) if properties.shard_axis else 0
    if at > 0 and (size := sizes[at]) is not None:
        stack = ceil_div(size, outer[at])
        if properties.shard_chunks == (1, 1):
            tiles = _neighbours(there, most // stack)
        most = min(most, stack)
    if outer:
        outer[max(at, 0)] *= max(1, most)
    return (*outer, height * tiles[0], width * tiles[1])


def _neighbours(grid: Sequence[int], most: int) -> list[int]:
    """How many tiles, down and across, are about `most` of a grid, and at least one."""
    tiles = list(grid)
    while math.prod(tiles) > max(1, most):
        longer = tiles.index(max(tiles))
        tiles[longer] = ceil_div(tiles[longer], 2)
    return tiles


def _frames_per_block(
    codec: str, frames_per_chunk: int, tile_bytes: int, frame_bytes: int, itemsize: int
) -> int:
    """Frames of a chunk that are encoded at once: as few as are worth it.

    The parts of a chunk are equal, and each a whole number of blosc's blocks.
    """
    chunk_bytes = frames_per_chunk * tile_bytes
    if chunk_bytes > MAX_JOINED_BYTES:
        return frames_per_chunk
    parts = [
        frames
        for frames in _divisors(frames_per_chunk)
        if blosc_block(frames * tile_bytes, itemsize, codec)
        # Fewer pixels are not split by bytes, so that they could not be joined.
        and frames * tile_bytes >= min(chunk_bytes, MIN_PART_PIXELS * itemsize)
    ]
    if not parts:
        return frames_per_chunk
    large = [frames for frames in parts if frames * tile_bytes >= MIN_PART_BYTES]
    light = [frames for frames in parts if frames * frame_bytes <= MAX_BLOCK_BYTES]
    return min(large[:1] + light[-1:] or parts[:1])


def _divisors(number: int) -> list[int]:
    small = [n for n in range(1, math.isqrt(number) + 1) if number % n == 0]
    return sorted({*small, *(number // n for n in small)})


def _with_short_shards(grid: Grid) -> Grid:
    """Shards no longer than the first axis, where longer ones have too large indexes.

    An index has an entry for each chunk that a shard may hold, also for those that
    never come.
    """
    size = grid.shape[0]
    if not grid.shard_shape or size is None or grid.index_bytes <= MAX_INDEX_BYTES:
        return grid
    first, *others = grid.shard_shape
    there = ceil_div(size, grid.chunk_shape[0]) * grid.chunk_shape[0]
    return replace(grid, shard_shape=(min(first, there), *others))


def plan(
    properties: StorageProperties,
    *,
    axes: str,
    shape: Sequence[int | None],
    dtype: npt.DTypeLike,
    scale: Mapping[str, float] | Sequence[float] | None = None,
    units: Mapping[str, str | None] | Sequence[str | None] | None = None,
    planes_per_second: float = 0.0,
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
    scale, units : mapping or sequence, optional
        As for `ZarrStream`. They matter where z is halved by voxel size.
    planes_per_second : float
        How fast planes will come at most, 0 where that is not known. It matters where
        there is a `buffer_s`.

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
        shard_shape = _shard_shape(
            properties, axes, sizes, chunk_shape, chunk_bytes, cap
        )
        if (shard_bytes := math.prod(shard_shape) * stored.itemsize) > cap:
            notes.append(
                f"a shard of one layer of chunks is {shard_bytes / 2**20:.4g} MiB, "
                f"over the cap of {cap / 2**20:.4g} MiB"
            )

    z_halving, voxel = properties.z_rule, None
    if z_halving is ZHalving.BY_VOXEL_SIZE and "z" in axes:
        voxel = voxel_of(scale, units, axes)
    levels: tuple[Shape, ...] = (sizes,)
    if properties.enable_multiscale:
        levels = level_shapes(axes, sizes, tile_shape, z_halving, voxel)
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
    channels = sizes[axes.index("c")] if "c" in axes else 1
    codec = properties.kind.compressor
    # Raw chunks are written frame by frame, each to its place in the file.
    frames = frames_per_chunk if properties.sharded else 1
    if codec and not properties.sharded and frames_per_chunk > 1:
        assert channels is not None
        assert depth is not None
        frame_bytes = channels * depth * height * width * stored.itemsize
        frames = _frames_per_block(
            codec, frames_per_chunk, tile_bytes, frame_bytes, stored.itemsize
        )
    block = (1, 1, tile_shape[0])
    if frames > 1:
        assert channels is not None
        assert depth is not None
        block = (frames, channels, depth)
    part_bytes = frames * tile_bytes
    grid = Grid(
        axes=axes,
        shape=sizes,
        dtype=stored,
        tile_shape=tile_shape,
        chunk_shape=chunk_shape,
        shard_shape=shard_shape,
        level_shapes=levels,
        block=block,
        blosc_block_bytes=(
            blosc_block(part_bytes, stored.itemsize, codec) if codec else 0
        ),
        z_is_halved=z_is_halved,
    )
    grid = _with_short_shards(grid)
    refuse_too_many(grid)
    refuse_long_paths(properties, grid)
    if (files := sum(grid.files_per_level)) > MANY_FILES and not properties.sharded:
        notes.append(f"{files:,} files: sharding would make few of them")
    of_grid = {name: getattr(grid, name) for name in Grid.__dataclass_fields__}
    if properties.buffer_s and not planes_per_second:
        notes.append(
            f"how fast frames come is not known, so that no memory can be planned for "
            f"{properties.buffer_s:g} s: the queue is as short as without buffer_s"
        )
    memory = memory_of(
        grid,
        part_bytes if codec else 0,
        halves_in_tiles=halves_in_tiles,
        buffer_planes=math.ceil(properties.buffer_s * planes_per_second),
    )
    if not properties.tile_planes and tile_bytes > cap and (depth or 1) > 1:
        notes.append(
            f"a chunk holds whole stacks of {depth} planes (tile_planes 0): "
            f"{size_in_words(chunk_bytes)}, and {size_in_words(memory.peak_bytes)} of "
            "memory; to look at one plane reads all of them. tile_planes 1 stores each "
            "by itself"
        )
    return Plan(
        **of_grid,
        max_bytes_per_chunk=cap,
        halves_in_tiles=halves_in_tiles,
        z_halving=z_halving,
        voxel=voxel,
        memory=memory,
        notes=tuple(notes),
    )
