"""What would go on for hours before it fails, refused before it is begun.

Each refusal says what to choose instead.
"""

import os
from pathlib import Path

from . import system
from .errors import InvalidProperties
from .grid import Grid, ceil_div
from .properties import StorageProperties

MAX_INDEX_BYTES = 256 * 2**20
"""Of all shards that fill together. All of it is written again whenever readers are
told: half a second of a disk."""

MAX_FILES_AT_ONCE = 2**16
"""That fill together. Making so many takes a file system seconds; a folder of more is
slow to list, to copy, to delete."""

MANY_STEPS = 10**7
"""More than a recording without an end has: a day at 100 frames a second."""

LONGEST_DOCUMENT = "frame_log/device_time_ns/zarr.json.12345678.partial"


def refuse_long_paths(properties: StorageProperties, grid: Grid) -> None:
    """Refuse a place that is so deep that a file of the store has no name there.

    While it is made, and while it is replaced, a store has another name beside its own.
    """
    here = Path(os.path.abspath(properties.path))
    names = here.name, f".{here.name[:40]}.12345678.replaced"
    counts = [
        ceil_div(size or MANY_STEPS, per_file)
        for size, per_file in zip(
            grid.shape, grid.shard_shape or grid.chunk_shape, strict=True
        )
    ]
    place = "/".join(str(count - 1) for count in counts)
    keys = f"{len(grid.level_shapes)}/c/{place}", LONGEST_DOCUMENT
    longest = max(
        system.path_length(here.with_name(name) / key) for name in names for key in keys
    )
    if longest > system.LONGEST_PATH:
        raise InvalidProperties(
            f"Files of this store would have paths of {longest} characters, and "
            f"{system.LONGEST_PATH} are the most here: choose a shorter name, or a "
            f"folder less deep than {here.parent}"
        )


def refuse_too_many(grid: Grid) -> None:
    """Refuse what would go on for hours before it fails, and say what to choose."""
    levels = range(len(grid.level_shapes))
    files = sum(map(grid.files_at_once, levels))
    tile = f"tiles of {grid.tile_shape[2]} x {grid.tile_shape[1]} pixels"
    shards = "more tiles for a shard (shard_chunks; 0, 0 is all of a frame)"
    if files > MAX_FILES_AT_ONCE:
        instead = shards if grid.shard_shape else "shards of many tiles (a ZarrV3 kind)"
        raise InvalidProperties(
            f"{tile} come to {files:,} files that fill together, more than the "
            f"{MAX_FILES_AT_ONCE:,} there may be: choose larger tiles, or {instead}"
        )
    if grid.index_bytes > MAX_INDEX_BYTES:
        raise InvalidProperties(
            f"{tile} come to {files:,} shards that fill together, whose indexes of "
            f"{grid.chunks_per_shard:,} chunks each take "
            f"{grid.index_bytes / 2**20:,.0f} MiB of memory and are written at each "
            f"commit, more than {MAX_INDEX_BYTES / 2**20:.0f} MiB: choose larger "
            f"tiles, or {shards}"
        )
