"""Planes at any place: which are there, and which were recorded and are lost."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_zarr_stream._writer.errors import InvalidStore
from napari_zarr_stream._writer.frame_log import read_column
from napari_zarr_stream._writer.plan import Plan
from napari_zarr_stream._writer.record import RecordKey

from .level import Level

Flags = npt.NDArray[np.bool_]
"""One for each plane of an image, in C order, as far as readers are told of steps."""

MAX_PLANES = 2**28
"""Of an image: a set has its planes in one frame log."""

NAMED = 8
"""Planes that are named one by one; of more it is said how many there are."""


def planes_there(level: Level, steps: int) -> Flags:
    """Which planes of a level can be read whole, or could."""
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


def planes_logged(root: Path, part_of: dict[str, Any], plan: Plan, steps: int) -> Flags:
    """Which planes the frame log of the set tells of.

    Raises
    ------
    InvalidStore
        The record of the image does not say where that is.
    """
    where, image = part_of.get("root"), part_of.get("image")
    if where not in ("..", "../../..") or not isinstance(image, int):
        raise InvalidStore(f"{root}: {RecordKey.PART_OF} {part_of} is none of ours")
    outer = _outer(plan, steps)
    logged = np.zeros(int(np.prod(outer)), bool)
    of_set = root.joinpath(*where.split("/"))
    columns: list[npt.NDArray[Any]] = [
        read_column(of_set, name) for name in ("image", *plan.axes[:-2])
    ]
    length = min(map(len, columns))
    mine = np.flatnonzero(columns[0][:length] == image)
    at = [column[mine] for column in columns[1:]]
    inside = np.ones(len(mine), bool)
    for here, size in zip(at, outer, strict=True):
        inside &= (here >= 0) & (here < size)
    if outer:
        places = tuple(here[inside].astype(np.int64) for here in at)
        logged[np.ravel_multi_index(places, outer)] = True
    elif len(mine):
        logged[:] = True
    return logged


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
