"""Loops over pixels that numpy would need many passes for, compiled by numba.

numba takes half a second to import, so this is imported where it is needed. What it
compiles is kept on disk: only the first recording of a dtype waits for the compiler.

Why numba: a 2048 x 2048 uint16 plane is halved, from tiles into tiles, in 0.24 ms. With
OpenCV it takes 0.4 ms and another 1.4 ms to leave the tiles and return to them, with
numpy 3 ms more; and each of their calls hands the GIL over, for which a writer waits
while a window is painted. numba comes with napari[all] already; OpenCV's wheels would
bring a second Qt.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
import numpy.typing as npt

Tiles = npt.NDArray[np.generic]

_ONE = np.uint64(1)

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile at the first call, without the GIL; kept on disk where there is room."""
    try:
        kept: _Function = numba.njit(nogil=True, cache=True)(function)
        return kept
    except RuntimeError:  # "no locator available": no folder of its can be written
        unkept: _Function = numba.njit(nogil=True)(function)
        return unkept


@compiled
def _mean_of_4(a: Any, b: Any, c: Any, d: Any, wide: Any) -> Any:
    if wide is None:
        # Divided first, so that no sum overflows: a power of two is exact.
        return a * 0.25 + b * 0.25 + c * 0.25 + d * 0.25
    wider = wide.dtype.type
    return (wider(a) + wider(b) + wider(c) + wider(d) + wider(2)) >> wider(2)


@compiled
def _mean_of_2(a: Any, b: Any, wide: Any) -> Any:
    if wide is None:
        return a * 0.5 + b * 0.5
    wider = wide.dtype.type
    return (wider(a) + wider(b) + wider(1)) >> wider(1)


@compiled
def mean_of_tiles(
    tiles: Tiles,
    below: Tiles,
    frame: int,
    plane: int,
    height: int,
    width: int,
    wide: Tiles | None,
) -> None:
    """Halve one plane of `height` x `width` pixels, from tiles into tiles.

    Parameters
    ----------
    tiles, below : array, (down, across, frames, planes, tile height, tile width)
        C-contiguous. A tile's sides are even, unless it is the only one in that
        direction.
    frame, plane : int
        Which plane, in both.
    height, width : int
        Pixels of the plane in `tiles`.
    wide : array or None
        Any array of the integer type to sum in, where the mean rounds half up; None
        for floats.
    """
    # Indices are unsigned: signed ones are checked for Python's negative indices, which
    # keeps the loop over x from being vectorized.
    down, across, _, _, tile_height, tile_width = tiles.shape
    half_height, half_width = tile_height // 2, tile_width // 2
    for i in range(down):
        rows = min(tile_height, height - i * tile_height)
        tile_below, top = divmod(i * half_height, tile_height)
        for j in range(across):
            columns = min(tile_width, width - j * tile_width)
            left = np.uint64((j * half_width) % tile_width)
            whole = np.uint64(columns // 2)
            source = tiles[i, j, frame, plane]
            target = below[tile_below, (j * half_width) // tile_width, frame, plane]
            for y in range((rows + 1) // 2):
                upper, lower = source[2 * y], source[min(2 * y + 1, rows - 1)]
                out = target[top + y]
                for x in range(whole):
                    k = x + x
                    out[left + x] = _mean_of_4(
                        upper[k], upper[k + _ONE], lower[k], lower[k + _ONE], wide
                    )
                if columns % 2:
                    last = columns - 1
                    out[left + whole] = _mean_of_2(upper[last], lower[last], wide)


@compiled
def sums_of_tiles(
    plane: Tiles,
    tile_height: int,
    tile_width: int,
    keys: Tiles,
    sums: Tiles,
    ends: Tiles,
) -> None:
    """Add to `sums` a checksum of each tile of a plane, and widen `ends`.

    A multilinear hash: each pixel times the odd key of its row and that of its column,
    modulo 2 ** 64. So one changed bit always changes it, and pixels beyond the edge
    that are zero do not. As fast as a CRC-32C of tiles that lie in one piece, which
    those of a plane do not: laying them apart costs more than both. The smallest and
    the largest pixel cost a quarter of that here, and as much as it for numpy.

    Parameters
    ----------
    plane : array, (height, width)
        C-contiguous; unsigned integers.
    tile_height, tile_width : int
    keys : array, (2, the longer side of a tile), uint32
        Odd; of the rows and of the columns.
    sums : array, (down, across), uint64
    ends : array, (2,)
        The smallest and the largest pixel so far; of the type of the plane.
    """
    height, width = plane.shape
    low, high = ends[0], ends[1]
    for j in range(sums.shape[1]):
        left = j * tile_width
        right = min(left + tile_width, width)
        columns = np.uint64(right - left)  # as above: unsigned
        for y in range(height):
            row = plane[y, left:right]
            total = np.uint64(0)
            for x in range(columns):
                total += np.uint64(row[x]) * np.uint64(keys[1, x])
            sums[y // tile_height, j] += total * np.uint64(keys[0, y % tile_height])
            # A loop of its own: pixels are wider in the other, and it is vectorized so.
            for x in range(columns):
                low, high = min(low, row[x]), max(high, row[x])
    ends[0], ends[1] = low, high
