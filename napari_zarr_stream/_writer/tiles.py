"""Planes into tiles, and tiles back into planes."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.generic]


def _regions(size: int, tile: int) -> Iterator[tuple[slice, slice, int, int]]:
    """The whole tiles along one axis, then the cut one, if there is one.

    Yields pixels, tiles, how many tiles these are, and pixels per tile.
    """
    whole, rest = divmod(size, tile)
    if whole:
        yield slice(0, whole * tile), slice(0, whole), whole, tile
    if rest:
        yield slice(whole * tile, size), slice(whole, whole + 1), 1, rest


def _paired(planes: Pixels, tiles: Pixels) -> Iterator[tuple[Pixels, Pixels]]:
    """Views of the same pixels and shape, in planes and in tiles.

    Planes are (n, height, width), tiles (n, down, across, tile height, tile width).
    """
    count, height, width = planes.shape
    tile_height, tile_width = tiles.shape[-2:]
    for rows, down, n_down, h in _regions(height, tile_height):
        for columns, across, n_across, w in _regions(width, tile_width):
            in_planes = planes[:, rows, columns].reshape(count, n_down, h, n_across, w)
            in_tiles = tiles[:, down, across, :h, :w]
            yield in_planes, in_tiles.transpose(0, 1, 3, 2, 4)


def lay_tiles(planes: Pixels, tiles: Pixels) -> None:
    """Copy planes, (n, height, width), to tiles, (n, down, across, height, width)."""
    for in_planes, in_tiles in _paired(planes, tiles):
        in_tiles[...] = in_planes


def gather_tiles(tiles: Pixels, plane: Pixels) -> None:
    """Copy the tiles, (down, across, height, width), of one plane back together."""
    for in_planes, in_tiles in _paired(plane[np.newaxis], tiles[np.newaxis]):
        in_planes[...] = in_tiles
