"""What pixels on their way take: how many slots, and what lies beside them.

A *slot* holds one or more blocks, at all levels.
"""

import math
import os
from dataclasses import dataclass

from .grid import Grid, ceil_div

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

ENCODER_BYTES = 14 * 2**20
"""Most that malloc keeps for a thread that encodes: results are allocated large and
given back small, which leaves gaps. 9 to 19 MB were measured with tiles of 512 KiB and
more, 2 MB with tiles of 32 KiB. Workers encode, and a caller in a hurry."""

WORKERS = max(2, min(8, os.cpu_count() or 2))
"""Encoding is the bottleneck and scales over cores; beyond 8 the memory bus is."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What a grid takes.

    Attributes
    ----------
    blocks_per_slot, slots : int
    slots_at_start : int
        Slots to be made before the first plane, none where they are large: a large one
        is touched only where planes lie, since few may come.
    peak_bytes : int
        Slots, and what the workers need beside them.
    """

    blocks_per_slot: int
    slots: int
    slots_at_start: int
    peak_bytes: int


def memory_of(grid: Grid, encoded_bytes: int, *, halves_in_tiles: bool) -> Memory:
    """Choose how many blocks share a slot and how many slots there are.

    `encoded_bytes` is what a codec may need for one chunk's result.
    """
    levels = range(len(grid.level_shapes))
    block_bytes = grid.dtype.itemsize * sum(
        math.prod(grid.block_shape(level)) for level in levels
    )
    blocks_per_slot = max(1, SLOT_BYTES // block_bytes)
    slot_bytes = blocks_per_slot * block_bytes
    is_large = slot_bytes > PART_BYTES
    # One is filled while the others are encoded: a large one by all workers together.
    least = 2 if is_large else WORKERS + 1
    slots = max(least, min(MAX_SLOTS, QUEUE_BYTES // slot_bytes))
    held, at_start = slots * slot_bytes, slots
    if grid.planes is not None:
        # Memory is touched only where pixels lie.
        blocks = grid.locate(grid.planes - 1)[0] + 1
        frames = grid.block[0]
        if grid.axes[0] == "t" and grid.shape[0] is not None:
            frames = min(frames, grid.shape[0])
        held = min(held, blocks * block_bytes * frames // grid.block[0])
        at_start = min(slots, ceil_div(blocks, blocks_per_slot))
    beside = 0
    if encoded_bytes:
        kept = min(ENCODER_BYTES, 32 * encoded_bytes)
        # A result is allocated for the worst case, of which little comes.
        beside += (WORKERS + 1) * max(kept, encoded_bytes * 3 // 4)
    if len(levels) > 1 and not halves_in_tiles:
        # One plane, and its halves.
        beside += WORKERS * grid.bytes_per_plane * 2
    return Memory(blocks_per_slot, slots, 0 if is_large else at_start, held + beside)
