"""Cells over a background, painted by one compiled call that does not hold the GIL.

A camera is read by one copy. numpy would take two calls for each cell, each of which
hands the GIL over and waits for it while a window is painted: a simulated camera of
2048 x 2048 at 60 frames a second lost a quarter of its frames to that.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_zarr_stream._writer.kernels import compiled

Pixels = npt.NDArray[Any]


@compiled
def paint_cells(
    out: Pixels,
    tile_height: int,
    tile_width: int,
    backgrounds: Pixels,
    windows: Pixels,
    cells: Pixels,
    outlines: Pixels,
    corners: Pixels,
    rooms: Pixels,
) -> None:
    """Paint a picture.

    Parameters
    ----------
    out : array, (height, width)
        C-contiguous.
    tile_height, tile_width : int
        A part of it that shows one background; the last ones are cut off.
    backgrounds : array, (n, at least tile_height, at least tile_width)
        Of the type of `out`.
    windows : array, (tiles, 3)
        For each tile, row by row: which background, and where in it the tile begins.
    cells : array, (pixels,)
        One cell behind another; of the type of `out`.
    outlines : array, (n, 3)
        For each cell to paint: where in `cells` it begins, its height and its width.
    corners : array, (n, 2)
        Row and column of its upper left corner, which may lie outside.
    rooms : array, (pixels,)
        Most that may lie beneath each pixel of `cells`: what is more is cut off.
    """
    # Unsigned indices, as in `kernels`. No slices: they take seconds to compile.
    height, width = out.shape
    number = 0
    for top in range(0, height, tile_height):
        for left in range(0, width, tile_width):
            which, y, x = windows[number]
            number += 1
            for row in range(min(tile_height, height - top)):
                line, behind = out[top + row], backgrounds[which, y + row]
                for column in range(np.uint64(min(tile_width, width - left))):
                    line[np.uint64(left) + column] = behind[np.uint64(x) + column]
    for number in range(len(outlines)):
        start, rows, columns = outlines[number]
        top, left = corners[number]
        first = max(0, -left)
        seen = max(0, min(columns, width - left) - first)
        for row in range(max(0, -top), min(rows, height - top)):
            line = out[top + row]
            begin = np.uint64(start + row * columns + first)
            at = np.uint64(left + first)
            for column in range(np.uint64(seen)):
                beneath = min(line[at + column], rooms[begin + column])
                line[at + column] = beneath + cells[begin + column]


def laid_end_to_end(cells: list[Pixels]) -> tuple[Pixels, Pixels]:
    """Their pixels, and (n, 3) of where each begins, its height and its width."""
    starts = np.cumsum([0, *(cell.size for cell in cells[:-1])])
    outlines = [(start, *cell.shape) for start, cell in zip(starts, cells, strict=True)]
    return np.concatenate([cell.ravel() for cell in cells]), np.array(outlines)
