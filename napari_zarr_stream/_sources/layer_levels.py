"""The levels of a multiscale layer: which there are, and what a lower one comes to.

Duck-typed: knows no napari.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from napari_zarr_stream._writer.errors import InvalidProperties
from napari_zarr_stream._writer.grid import ceil_div

from .layer_channels import looks_rgb
from .layer_place import numbers_of

LOOK_PX = 32
"""Along each axis of the lower level: as much as tells means from single pixels."""

Meta = Mapping[str, Any]


def levels_of(data: Any, meta: Meta) -> list[Any]:
    """The arrays of a layer, full size first; one if it is not multiscale.

    Raises
    ------
    InvalidProperties
        One of dask does not know how large it is.
    """
    many = meta.get("multiscale")
    if many is None:
        many = isinstance(data, list | tuple) and hasattr(data[0], "shape")
    arrays = list(data) if many else [data]
    arrays = [each if hasattr(each, "shape") else np.asarray(each) for each in arrays]
    if any(size != size for each in arrays for size in each.shape):  # not a number
        raise InvalidProperties(
            f"layer {meta.get('name')!r} does not know how large it is: call "
            "compute_chunk_sizes() of its dask array first"
        )
    return arrays


def halvings(above: Sequence[int], below: Sequence[int]) -> tuple[int, ...] | None:
    """By what each axis is divided from one level to the next: 2, or 1.

    None where that is neither: such a level was made by another rule than ours. An axis
    of one pixel is not halved.
    """
    if len(above) != len(below):
        return None
    steps = tuple(1 if a == b else 2 for a, b in zip(above, below, strict=True))
    halved = tuple(ceil_div(a, s) for a, s in zip(above, steps, strict=True))
    return steps if halved == tuple(below) and max(steps) == 2 else None


def is_decimated(levels: Sequence[Any]) -> bool:
    """Whether level 1 has every other pixel of level 0; found by looking at a part."""
    full, half = levels[:2]
    steps = halvings(full.shape, half.shape)
    if steps is None:
        return False
    starts = [max(0, (size - LOOK_PX) // 2) for size in half.shape]
    looked = range(max(0, half.ndim - 3), half.ndim)  # a plane, of colours perhaps
    for axis in range(looked.start):
        starts[axis] = 0
    ends = [
        min(size, start + (LOOK_PX if axis in looked else 1))
        for axis, (start, size) in enumerate(zip(starts, half.shape, strict=True))
    ]
    spans = list(zip(starts, ends, steps, strict=True))
    there = half[tuple(slice(a, b) for a, b, _ in spans)]
    wide = np.asarray(full[tuple(slice(a * s, b * s) for a, b, s in spans)])
    every_other = wide[tuple(slice(None, None, s) for s in steps)]
    return bool(np.array_equal(every_other, np.asarray(there)))


def place_at(
    who: str, levels: Sequence[Any], meta: Meta, first: int, channel_axis: int | None
) -> dict[str, Any]:
    """What is said of a layer that begins with level `first`, so that it stays there.

    Raises
    ------
    InvalidProperties
        There is no such level.
    """
    if not 0 <= first < len(levels):
        raise InvalidProperties(
            f"{who} has {len(levels)} levels, counted from 0: there is no level {first}"
        )
    factors = [
        _factor(int(full), int(here))
        for axis, (full, here) in enumerate(
            zip(levels[0].shape, levels[first].shape, strict=True)
        )
        if axis != channel_axis
    ]
    scale = numbers_of(who, meta, "scale", len(factors), 1.0)
    start = numbers_of(who, meta, "translate", len(factors), 0.0)
    # A pixel lies where its centre is, unless it is the first one of its block.
    centred = 0.0 if is_decimated(levels) else 0.5
    return {
        "scale": [s * f for s, f in zip(scale, factors, strict=True)],
        "translate": [
            at + centred * s * (f - 1)
            for at, s, f in zip(start, scale, factors, strict=True)
        ],
        "multiscale": True,
        # A small level no longer looks like one of colours.
        "rgb": channel_axis == len(levels[0].shape) - 1
        and looks_rgb(meta, levels[0].shape),
    }


def _factor(full: int, here: int) -> float:
    """How many pixels of one axis are one, which halving rounds up."""
    halved, factor = full, 1
    while halved > here:
        halved, factor = ceil_div(halved, 2), factor * 2
    return factor if halved == here else full / here
