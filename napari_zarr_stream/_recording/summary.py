"""What settings come to, in words a biologist reads at a glance."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Summary:
    """What will be written, in words.

    Attributes
    ----------
    brief : str
        Three short lines: what one file will hold, how much disk and for how long,
        memory.
    details : str
        Tiles, chunks, levels, what a crash costs, where.
    """

    brief: str
    details: str

    def __str__(self) -> str:
        return f"{self.brief}\n{self.details}"


def summary_of(
    planned: Sequence[Planned],
    free_bytes: int | None,
    reserve_bytes: int = RESERVE_BYTES,
    *,
    has_holes: bool = True,
) -> Summary:
    """Say what will be written.

    Parameters
    ----------
    planned : sequence of (Plan, StorageProperties, SourceDescription)
        What is recorded together, to the same disk.
    free_bytes : int or None
        On that disk; None where that is not known.
    reserve_bytes : int
        Of these, how many are left free.
    has_holes : bool
        Whether that disk has holes in files, which keep an index of each shard.
    """
    if free_bytes is not None:
        free_bytes = max(0, free_bytes - reserve_bytes)
    together = "Together: " if len(planned) > 1 else ""
    # What it comes to in all, or how fast the disk fills where it has no end.
    disk, *rate = _disk(planned, free_bytes) or [""]
    brief = [
        f"One file: {'; '.join({_file(plan): None for plan, _, _ in planned})}",
        *filter(None, [disk and together + disk]),
        _memory(planned),
        *([] if has_holes else _without_holes(planned)),
    ]
    images = ["\n".join(_lines_of(each, bool(together))) for each in planned]
    details = "\n".join([*(together + each for each in rate), "\n\n".join(images)])
    return Summary("\n".join(brief), details)


def _file(plan: Plan) -> str:
    """What a full file of level 0 has: "32 frames of 512 × 512 px, 16 MiB"."""
    held = [
        inside if size is None else min(inside, size)
        for inside, size in zip(
            plan.shard_shape or plan.chunk_shape, plan.shape, strict=True
        )
    ]
    *outer, height, width = held
    noun = {"t": "frame", "z": "plane", "c": "channel"}.get(plan.axes[0], "frame")
    frames = count_in_words(outer[0] if outer else 1, noun)
    depth = f" × {outer[-1]} planes" if plan.tile_shape[0] > 1 and outer[1:] else ""
    size = mebibytes_in_words(plan.dtype.itemsize * math.prod(held))
    return f"{frames} of {width} × {height} px{depth}, {size}"


def _lines_of(planned: Planned, is_one_of_several: bool) -> list[str]:
    plan, properties, source = planned
    _, tile_height, tile_width = plan.tile_shape
    depth = f" × {plan.tile_shape[0]} planes" if plan.tile_shape[0] > 1 else ""
    deep = math.ceil(source.planes_per_frame / plan.tile_shape[0])
    tiles = count_in_words(plan.tiles_per_plane * deep, "tile")
    own = [_memory([planned]), *_disk([planned])]
    return [
        *_schedule(plan, source),
        f"{tiles} of {tile_width} × {tile_height}{depth} px per frame",
        _chunks(plan),
        _levels(plan),
        *(own if is_one_of_several else ()),
        *_layer_time(plan, source),
        *plan.notes,
        f"Saves to {properties.path}",
    ]


def _memory(planned: Sequence[Planned]) -> str:
    """Of all, and for how long a disk may pause with it."""
    memory = size_in_words(sum(plan.peak_memory_bytes for plan, _, _ in planned))
    pauses = [
        properties.buffer_s
        for plan, properties, _ in planned
        if plan.memory.buffer_planes
    ]
    if not pauses:
        return f"{memory} of memory"
    pause = interval_in_words(min(pauses))
    return f"{memory} of memory, enough for a pause of the disk of {pause}"


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


def _without_holes(planned: Sequence[Planned]) -> list[str]:
    """What a crash costs where shards have an index only when they are full."""
    seconds = [
        plan.steps_until_read(False) * plan.planes_per_step
        / source.planes_per_frame / source.frame_rate
        for plan, _, source in planned
        if plan.shard_shape and plan.outer and source.frame_rate
    ]  # fmt: skip
    if not any(plan.shard_shape for plan, _, _ in planned):
        return []
    cost = f"the last {duration_in_words(max(seconds))}" if seconds else "the last file"
    return [
        f"This disk has no holes in files (FAT, exFAT): a crash could cost {cost}, "
        "until it is repaired. Another disk, or a lower chunk cap, is safer"
    ]


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


def _disk(planned: Sequence[Planned], free_bytes: int | None = None) -> list[str]:
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
