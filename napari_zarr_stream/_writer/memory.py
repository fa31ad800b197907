"""What pixels on their way take: how many slots, and what lies beside them.

A *slot* holds one or more blocks, at all levels.
"""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import psutil

from . import system
from .errors import InvalidProperties
from .grid import Grid, ceil_div
from .words import size_in_words

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

ENCODER_BYTES = 13 * 2**20
"""What malloc keeps for a thread that encodes: results are allocated large and given
back small, which leaves gaps. With tiles of 512 KiB 8 MiB were measured after 10
frames, 15 after 1,000; 2 MB with tiles of 32 KiB. Workers encode, and a caller in a
hurry."""

LEAST_ENCODER_BYTES = 3 * 2**20
"""The same with small chunks in shards: 4 MB were measured with tiles of 32 KiB."""

FILE_BYTES = 2 * 2**10
"""Of a file that is written in parts: its lock, its place, its table of blocks."""

WORKERS = max(2, min(8, os.cpu_count() or 2))
"""Encoding is the bottleneck and scales over cores; beyond 8 the memory bus is."""


MAX_OPEN_FILES = 64
"""That a program keeps open, of all it writes; others are opened for each write. It may
have 256 open where its limit cannot be raised, as on macOS."""

SPARE_FILES = 100
"""Of Qt, of napari, and of what drivers open."""

FREE_SHARE = 0.8
"""Of the memory that is free, what recordings may plan to take."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What a grid takes.

    Attributes
    ----------
    blocks_per_slot, slots : int
    slots_at_start : int
        Slots to be made before the first plane, none where they are large: few planes
        may come.
    peak_bytes : int
        Slots, what the workers need beside them, and what open files are known by.
    buffer_planes : int
        That may come while the disk pauses; 0 where nobody asked for that.
    buffer_bytes : int
        Slots that are there for these alone.
    """

    blocks_per_slot: int
    slots: int
    slots_at_start: int
    peak_bytes: int
    buffer_planes: int
    buffer_bytes: int


def memory_of(
    grid: Grid, encoded_bytes: int, *, halves_in_tiles: bool, buffer_planes: int
) -> Memory:
    """Choose how many blocks share a slot and how many slots there are.

    `encoded_bytes` is what a codec may need for one chunk's result; `buffer_planes` is
    how many may come while nothing is written.
    """
    levels = range(len(grid.level_shapes))
    of_levels = [
        grid.dtype.itemsize * math.prod(grid.block_shape(level)) for level in levels
    ]
    block_bytes = of_levels[0] if grid.cascades else sum(of_levels)
    blocks_per_slot = max(1, SLOT_BYTES // block_bytes)
    slot_bytes = blocks_per_slot * block_bytes
    is_large = slot_bytes > PART_BYTES
    # One is filled while the others are encoded: a large one by all workers together.
    least = 2 if is_large else WORKERS + 1
    slots = most = max(least, min(MAX_SLOTS, QUEUE_BYTES // slot_bytes))
    if buffer_planes:
        # Beside those that are filled and written when the pause begins.
        buffered = ceil_div(buffer_planes, blocks_per_slot * math.prod(grid.block))
        slots = max(slots, least + buffered)
    if grid.planes is not None:
        blocks = grid.locate(grid.planes - 1)[0] + 1
        slots = min(slots, ceil_div(blocks, blocks_per_slot))
    beside = 0
    if encoded_bytes:
        kept = min(ENCODER_BYTES, 32 * encoded_bytes)
        if grid.shard_shape:  # indexes are encoded as well
            kept = max(kept, LEAST_ENCODER_BYTES)
        if grid.planes is not None:  # it grows with use
            raw = grid.planes * grid.bytes_per_plane
            kept = min(kept, raw // (3 * (WORKERS + 1)))
        # A result is allocated for the worst case, of which little comes.
        beside += (WORKERS + 1) * max(kept, encoded_bytes * 3 // 4)
    if grid.cascades:
        # Slots complete blocks, as many as a level has to those of level 0; one more
        # of each level is filled, and one begun.
        runs = [ceil_div(grid.depth(level), grid.block[2]) for level in levels]
        for of_level, here in zip(of_levels[1:], runs[1:], strict=True):
            completed = ceil_div(slots * blocks_per_slot * here, runs[0])
            beside += (completed + 2) * of_level
        # A plane of each waits, its neighbour comes, and both are made one.
        beside += 3 * sum(
            math.prod(grid.plane_shape(level)) * grid.dtype.itemsize for level in levels
        )
    elif len(levels) > 1 and not halves_in_tiles:
        # One plane, and its halves.
        beside += WORKERS * grid.bytes_per_plane * 2
    files = sum(map(grid.files_at_once, levels))
    if grid.shard_shape or grid.parts_per_chunk > 1:
        beside += grid.index_bytes + files * FILE_BYTES
    return Memory(
        blocks_per_slot=blocks_per_slot,
        slots=slots,
        slots_at_start=0 if is_large else min(slots, most),
        peak_bytes=slots * slot_bytes + beside,
        buffer_planes=buffer_planes,
        buffer_bytes=max(0, slots - most) * slot_bytes,
    )


def check_memory(needed: int) -> None:
    """Refuse what needs more memory than there is, before it is begun.

    Parameters
    ----------
    needed : int
        `Plan.peak_memory_bytes` of all recordings that are to run at once.

    Raises
    ------
    InvalidProperties
    """
    free = psutil.virtual_memory().available
    if needed > FREE_SHARE * free:
        raise InvalidProperties(
            f"This needs {size_in_words(needed)} of memory, and {size_in_words(free)} "
            "are free: choose larger tiles, turn on shards, or lower the chunk cap."
        )


def check_open_files(grids: Sequence[Grid]) -> None:
    """Refuse what needs more open files than there may be, before it is begun.

    Parameters
    ----------
    grids : sequence of Grid
        Of all recordings that are to run at once.

    Raises
    ------
    InvalidProperties
    """
    # Two layers of shards are written at a time, and each recording has its lock.
    kept = min(MAX_OPEN_FILES, 2 * sum(map(_kept_open, grids)))
    needed = SPARE_FILES + kept + len(grids) + WORKERS
    most = system.most_open_files()
    if needed > most:
        raise InvalidProperties(
            f"This needs {needed:,} open files, and a program may have {most:,} here: "
            "choose larger tiles, more tiles for a shard, fewer cameras at once, or "
            "raise the limit (ulimit -n)."
        )


def _kept_open(grid: Grid) -> int:
    """Files that a recording would keep open: of the levels with few of them."""
    of_levels = map(grid.files_at_once, reversed(range(len(grid.level_shapes))))
    return max(n for n in (0, *accumulate(of_levels)) if n <= MAX_OPEN_FILES)
