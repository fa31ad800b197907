"""What settings come to, in words a biologist reads at a glance."""

import math
from collections.abc import Sequence

from napari_zarr_stream._sources.source import SourceDescription
from napari_zarr_stream._writer.plan import Plan
from napari_zarr_stream._writer.properties import StorageProperties
from napari_zarr_stream._writer.words import (
    count_in_words,
    duration_in_words,
    interval_in_words,
    mebibytes_in_words,
    size_in_words,
)

from .disk import RESERVE_BYTES

MAX_CRASH_S = 10.0
"""More than this of a recording should not be lost in a crash without a warning."""

Planned = tuple[Plan, StorageProperties, SourceDescription]


def summary_of(
    planned: Sequence[Planned],
    free_bytes: int | None,
    reserve_bytes: int = RESERVE_BYTES,
) -> str:
    """Say what will be written: tiles, chunks, levels, memory, rate, disk, where.

    Parameters
    ----------
    planned : sequence of (Plan, StorageProperties, SourceDescription)
        What is recorded together, to the same disk.
    free_bytes : int or None
        On that disk; None where that is not known.
    reserve_bytes : int
        Of these, how many are left free.
    """
    if free_bytes is not None:
        free_bytes = max(0, free_bytes - reserve_bytes)
    if len(planned) == 1:
        return "\n".join(_lines_of(planned[0], _disk(planned, free_bytes)))
    images = ["\n".join(_lines_of(one, _disk([one], None))) for one in planned]
    together = ", ".join(_disk(planned, free_bytes))
    return "\n\n".join([*images, *filter(None, [f"Together: {together}"])])


def _lines_of(planned: Planned, disk: Sequence[str]) -> list[str]:
    plan, properties, source = planned
    _, tile_height, tile_width = plan.tile_shape
    depth = f" × {plan.tile_shape[0]} planes" if plan.tile_shape[0] > 1 else ""
    deep = math.ceil(source.planes_per_frame / plan.tile_shape[0])
    tiles = count_in_words(plan.tiles_per_plane * deep, "tile")
    return [
        *_schedule(plan, source),
        f"{tiles} of {tile_width} × {tile_height}{depth} px per frame",
        _chunks(plan),
        _levels(plan),
        f"{size_in_words(plan.peak_memory_bytes)} of memory{_pause(plan, properties)}",
        *disk,
        *_layer_time(plan, source),
        *plan.notes,
        f"Saves to {properties.path}",
    ]


def _pause(plan: Plan, properties: StorageProperties) -> str:
    if not plan.memory.buffer_planes:
        return ""
    pause = interval_in_words(properties.buffer_s)
    return f", enough for a pause of the disk of {pause}"


def _schedule(plan: Plan, source: SourceDescription) -> list[str]:
    """When frames are taken, and what the light does meanwhile."""
    said, frames = [], plan.shape[0]
    if source.interval_s:
        every = interval_in_words(source.interval_s)
        line = f"A frame every {every}, until stopped"
        if frames is not None:
            takes = interval_in_words((frames - 1) * source.interval_s)
            line = f"{count_in_words(frames, 'frame')}, one every {every}: {takes}"
        said = [line]
        if source.rests:
            said.append(f"Between frames {source.rests}")
        else:
            said.append(
                "The camera runs all the time: frames between are not taken, and not "
                "lost"
            )
    elif source.duration_s:
        said.append(f"For {interval_in_words(source.duration_s)}")
    return said


def _layer_time(plan: Plan, source: SourceDescription) -> list[str]:
    """How long a chunk layer fills, and what a crash costs before it is full."""
    if plan.frames_per_chunk == 1 or not source.frame_rate:
        return []
    frames = plan.frames_per_chunk * plan.planes_per_step / source.planes_per_frame
    seconds = frames / source.frame_rate
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


def _disk(planned: Sequence[Planned], free_bytes: int | None) -> list[str]:
    """Before compression, which nobody can foretell: disk space lasts at least this."""
    said = []
    sizes = [_bytes_in_all(plan) for plan, _, _ in planned]
    if None not in sizes:
        total = sum(size or 0 for size in sizes)
        fits = (
            ""
            if free_bytes is None or total <= free_bytes
            else f", but only {size_in_words(free_bytes)} free beyond the reserve"
        )
        said.append(f"{size_in_words(total)} in all before compression{fits}")
    if rate := sum(_bytes_per_second(plan, source) for plan, _, source in planned):
        left = (
            ""
            if free_bytes is None
            else f", disk space for {duration_in_words(free_bytes / rate)} or more"
        )
        said.append(f"{size_in_words(rate)}/s{left}")
    return said


def _bytes_in_all(plan: Plan) -> int | None:
    """Of all levels; None without bound."""
    sizes = [size for shape in plan.level_shapes for size in shape]
    if None in sizes:
        return None
    pixels = sum(math.prod(size or 0 for size in shape) for shape in plan.level_shapes)
    return plan.dtype.itemsize * pixels


def _bytes_per_second(plan: Plan, source: SourceDescription) -> float:
    """Of all levels; 0 where frames come as fast as they are taken."""
    steps = [math.prod(size or 1 for size in shape[1:]) for shape in plan.level_shapes]
    frames_per_step = plan.planes_per_step / source.planes_per_frame
    bytes_per_frame = plan.dtype.itemsize * sum(steps) / frames_per_step
    return bytes_per_frame * (source.frame_rate or 0.0)
