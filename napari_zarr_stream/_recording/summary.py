"""What settings come to, in words a biologist reads at a glance."""

from napari_zarr_stream._writer.plan import Plan
from napari_zarr_stream._writer.properties import StorageProperties
from napari_zarr_stream._writer.words import (
    count_in_words,
    duration_in_words,
    mebibytes_in_words,
    size_in_words,
)


def summary_of(
    plan: Plan,
    properties: StorageProperties,
    frame_rate: float | None,
    free_bytes: int | None,
) -> str:
    """Say what will be written: tiles, chunks, levels, memory, rate, disk, where.

    Parameters
    ----------
    plan : Plan
    properties : StorageProperties
    frame_rate : float or None
        Planes a second, None where they come as fast as they are taken.
    free_bytes : int or None
        On the disk that will hold the store; None where that is not known.
    """
    _, tile_height, tile_width = plan.tile_shape
    depth = f" × {plan.tile_shape[0]} planes" if plan.tile_shape[0] > 1 else ""
    tiles = count_in_words(plan.tiles_per_plane, "tile")
    lines = [
        f"{tiles} of {tile_width} × {tile_height}{depth} px per frame",
        _chunks(plan),
        _levels(plan),
        f"{size_in_words(plan.peak_memory_bytes)} of memory",
        _bytes(plan, frame_rate, free_bytes),
        *_layer_time(plan, frame_rate),
        *plan.notes,
        f"Saves to {properties.path}",
    ]
    return "\n".join(lines)


MAX_CRASH_S = 10.0
"""More than this of a recording should not be lost in a crash without a warning."""


def _layer_time(plan: Plan, frame_rate: float | None) -> list[str]:
    """How long a chunk layer fills, and what a crash costs before it is full."""
    if plan.frames_per_chunk == 1 or not frame_rate:
        return []
    seconds = plan.frames_per_chunk * plan.planes_per_step / frame_rate
    said = [f"A chunk layer fills in {duration_in_words(seconds)}"]
    is_whole = plan.parts_per_chunk == 1
    if seconds > MAX_CRASH_S and (is_whole or plan.steps_per_file > 1):
        back = "" if is_whole else ", until it is repaired"
        safer = "" if plan.shard_shape else "shards, or "
        said.append(
            f"A crash could cost the last {duration_in_words(seconds)}{back}: {safer}"
            "fewer frames per chunk are safer"
        )
    return said


def _chunks(plan: Plan) -> str:
    frames = count_in_words(plan.frames_per_chunk, "frame")
    chunk = f"{frames} per chunk, {mebibytes_in_words(plan.bytes_per_chunk)}"
    if plan.shard_shape:
        chunk += f", {count_in_words(plan.chunks_per_shard, 'chunk')} per file"
    return chunk


def _levels(plan: Plan) -> str:
    sizes = []
    for level in range(len(plan.level_shapes)):
        height, width = plan.plane_shape(level)
        sizes.append(f"{width} × {height}")
    return f"{count_in_words(len(sizes), 'level')}: {', '.join(sizes)}"


def _bytes(plan: Plan, frame_rate: float | None, free_bytes: int | None) -> str:
    """Before compression, which nobody can foretell: disk space lasts at least this."""
    per_plane = sum(
        plan.dtype.itemsize * height * width
        for height, width in map(plan.plane_shape, range(len(plan.level_shapes)))
    )
    said = []
    if plan.planes is not None:
        total = per_plane * plan.planes
        fits = (
            ""
            if free_bytes is None or total <= free_bytes
            else f", but only {size_in_words(free_bytes)} free"
        )
        said.append(f"{size_in_words(total)} in all before compression{fits}")
    if frame_rate:
        rate = per_plane * frame_rate
        said.append(f"{size_in_words(rate)}/s")
        if free_bytes is not None:
            left = duration_in_words(free_bytes / rate)
            said[-1] += f", disk space for {left} or more"
    return "\n".join(said)
