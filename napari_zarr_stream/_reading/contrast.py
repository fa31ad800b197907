"""Contrast limits of an image that came without: from few of its pixels, far apart.

napari would look at all of the smallest level, or at one plane.
"""

import math
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import psutil

from napari_zarr_stream._writer.contrast import limits_of_values, range_of
from napari_zarr_stream._writer.errors import InvalidStore

from .axes import Notes
from .channels import Span

LOOKS = ((9, 3), (64, 8))
"""Planes, and windows along y and x of each; the second only where the first show
nothing: most of a stack may be empty."""

WHOLE_CHUNKS = 64
"""Of planes of so many chunks at the most all is looked at: no windows."""

MAX_BYTES = 256 * 2**20
"""Decoded in one look: 0.1 to 0.3 s."""

MAX_CHUNK_BYTES = 2**30
"""A chunk above it is not decoded to find contrast limits: seconds."""

MAX_VALUES = 2**20
"""Percentiles of more take a tenth of a second, and are no others."""


def contrast_of(samples: Sequence[Any], notes: Notes) -> tuple[Span, Span]:
    """Contrast limits, and the range from which others can be chosen.

    Parameters
    ----------
    samples : sequence of LazyArray
        Smallest levels, y and x last, of one image: alone, or fields of a plate.
    notes : list of str
        Grows by what cannot be read.
    """
    dtype = np.result_type(*{sample.dtype for sample in samples})
    value_range = range_of(dtype)
    if dtype in (np.uint8, np.bool_):
        return value_range, value_range
    free = psutil.virtual_memory().available // 4
    fit = [s for s in samples if _chunk_bytes(s) <= min(MAX_CHUNK_BYTES, free)]
    parts: list[Any] = []
    for planes, windows in LOOKS:
        seen = [part for s in fit for part in _look(s, planes, windows, notes)]
        parts = [part for part in seen if part.size and part.min() < part.max()]
        if parts:
            break
        parts = seen
    values = np.concatenate([part.ravel() for part in parts] or [np.empty(0, dtype)])
    values = values[:: 1 + values.size // MAX_VALUES]
    if not values.size:
        return value_range, value_range
    low, high = float(values.min()), float(values.max())
    if low == high:  # of one colour, which is not to be taken for black
        limits = (min(low, 0.0), max(low, 0.0)) if low else value_range
    else:
        limits = limits_of_values(values)
    if dtype.kind == "f":
        value_range = min(low, limits[0]), max(high, limits[1])
    return limits, value_range


def _chunk_bytes(level: Any) -> int:
    chunk: tuple[int, ...] = level.chunks
    return math.prod(chunk) * int(level.dtype.itemsize)


def _look(level: Any, planes: int, windows: int, notes: Notes) -> list[Any]:
    """Pixels of single planes, each perhaps in parts."""
    *outer, height, width = level.shape
    *_, chunk_height, chunk_width = level.chunks
    in_plane = math.ceil(height / chunk_height) * math.ceil(width / chunk_width)
    most = max(1, MAX_BYTES // _chunk_bytes(level))
    if in_plane <= min(WHOLE_CHUNKS, most):
        places = [(slice(None), slice(None))]
        most //= in_plane
    else:
        ys = _spread(height, chunk_height, windows)
        xs = _spread(width, chunk_width, windows)
        places = list(product(ys, xs))[:most]
        most //= len(places)
    steps = _steps(outer, level.chunks[:-2], planes, max(1, most))
    parts: list[Any] = []
    for place in places:
        try:
            block = np.asarray(level[(*steps, *place)])
        except InvalidStore as error:
            notes.append(f"no contrast limits from some pixels: {error}")
            continue
        parts += [
            plane[np.isfinite(plane)]
            for plane in block.reshape(-1, block.shape[-2] * block.shape[-1])
        ]
    return parts


def _steps(
    outer: Sequence[int], chunks: Sequence[int], planes: int, most: int
) -> list[slice]:
    """A few places on each axis, the first and last among them, in `most` chunks."""
    stored = math.prod(math.ceil(s / c) for s, c in zip(outer, chunks, strict=True))
    count = planes if stored <= most else min(planes, most)
    long = sum(size > 1 for size in outer)
    each = max(1, int(count ** (1 / max(1, long)) + 1e-9))
    return [
        slice(0, None, max(1, math.ceil((size - 1) / (each - 1))))
        if each > 1
        else slice(size // 2, size // 2 + 1)
        for size in outer
    ]


def _spread(size: int, chunk: int, count: int) -> list[slice]:
    """A few chunks far apart along an axis."""
    middles = [size * (2 * i + 1) // (2 * count) for i in range(count)]
    return [
        slice(at * chunk, (at + 1) * chunk)
        for at in sorted({middle // chunk for middle in middles})
    ]


def read_pixels(data: Any, path: object) -> np.ndarray[Any, Any]:
    """Pixels of a lazy array.

    Raises
    ------
    InvalidStore
        They cannot be read.
    """
    try:
        return np.asarray(data)
    except Exception as error:
        raise InvalidStore(f"{path} has pixels that cannot be read: {error}") from error
