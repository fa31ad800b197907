"""Planes at any place: which are there, and which were recorded and are lost."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from napari_zarr_stream._writer.errors import InvalidStore
from napari_zarr_stream._writer.logged import MAX_PLANES, Flags
from napari_zarr_stream._writer.plan import Plan

from .level import Level

NAMED = 8
"""Planes that are named one by one; of more it is said how many there are."""


def planes_there(level: Level, steps: int) -> Flags:
    """Which planes of a level can be read whole, or could, as far as it has steps."""
    plan = level.plan
    outer = _outer(plan, steps)
    counts = np.zeros(int(np.prod(outer)), np.int64)
    grid = (*outer, *plan.tile_grid(level.level))
    for found in level.files.values():
        parts = np.flatnonzero(found.there)
        within = np.unravel_index(parts, plan.shard_grid)
        at = [
            here * room + inside
            for here, room, inside in zip(
                found.place, plan.shard_grid, within, strict=True
            )
        ]
        inside = np.logical_and.reduce(
            [here < size for here, size in zip(at, grid, strict=True)]
        )
        if outer:
            places = [here[inside] for here in at[:-2]]
            numbers = np.ravel_multi_index(tuple(places), outer)
        else:
            numbers = np.zeros(int(inside.sum()), np.int64)
        counts += np.bincount(numbers, minlength=len(counts))
    whole: Flags = counts == np.prod(plan.tile_grid(level.level))
    return whole


def together(plan: Plan, numbers: Sequence[int]) -> Iterator[list[int]]:
    """Planes whose chunks share files, one group of them after the other."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for number in numbers:
        place = tuple(
            at // room
            for at, room in zip(plan.position(number), plan.shard_grid, strict=False)
        )
        groups.setdefault(place, []).append(number)
    yield from groups.values()


def named(plan: Plan, planes: Flags) -> str:
    """Some planes in words: where they are along each axis."""
    numbers = np.flatnonzero(planes).tolist()
    if len(numbers) > NAMED:
        return f"{len(numbers)} planes"
    return "; ".join(
        ", ".join(
            f"{axis} {at}"
            for axis, at in zip(plan.axes, plan.position(number), strict=False)
        )
        or "the plane"
        for number in numbers
    )


def _outer(plan: Plan, steps: int) -> tuple[int, ...]:
    outer = plan.level_shape_after(0, steps)[:-2]
    if math.prod(outer) > MAX_PLANES:
        raise InvalidStore(f"an image of {outer} planes is none of ours")
    return outer
