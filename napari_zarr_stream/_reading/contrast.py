"""Contrast limits of an image that came without: from its pixels, few of them."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_zarr_stream._writer.errors import InvalidStore
from napari_zarr_stream._writer.ngff import range_of

SEEN_PIXELS, SEEN_CHUNKS = 4096, 16
"""From the middle of a plane in each direction, where contrast is looked for."""

MAX_CHUNK_BYTES = 256 * 2**20
"""A chunk above it is not decoded only to find contrast limits."""


def limits_of(levels: Sequence[Any], path: Path | None) -> tuple[float, float]:
    """Smallest and largest pixel of the plane in the middle of the smallest level.

    napari would look for them in the whole of it.
    """
    smallest = levels[-1]
    if smallest.dtype == np.uint8:
        return 0.0, 255.0
    if math.prod(smallest.chunks) * smallest.dtype.itemsize > MAX_CHUNK_BYTES:
        return range_of(smallest.dtype)  # one would have to be decoded
    middle = tuple(size // 2 for size in smallest.shape[:-2])
    reaches = [min(SEEN_PIXELS, SEEN_CHUNKS * side) for side in smallest.chunks[-2:]]
    part = [
        slice(max(0, size // 2 - reach), size // 2 + reach + 1)
        for size, reach in zip(smallest.shape[-2:], reaches, strict=True)
    ]
    plane = read_pixels(smallest[(*middle, *part)], path)
    values = plane[np.isfinite(plane)]
    low, high = (
        (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    )
    return (low, high) if low < high else (low, low + 1.0)


def read_pixels(data: Any, path: Path | None) -> np.ndarray[Any, Any]:
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
