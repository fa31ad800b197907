"""Planes into tiles and back."""

import numpy as np
from frames import planes
from hypothesis import given
from hypothesis import strategies as st

from napari_zarr_stream._writer.tiles import gather_tiles, lay_tiles

sizes = st.integers(1, 30)


@given(st.integers(1, 3), st.tuples(sizes, sizes), st.tuples(sizes, sizes))
def test_tiles_are_laid_and_gathered(count, size, tile):
    grid = tuple(-(-s // t) for s, t in zip(size, tile, strict=True))
    frames = planes(count, size)
    tiles = np.zeros((count, *grid, *tile), "uint16")
    lay_tiles(frames, tiles)
    # padded to whole tiles, then cut: the slow way
    height, width = (g * t for g, t in zip(grid, tile, strict=True))
    padded = np.zeros((count, height, width), "uint16")
    padded[:, : size[0], : size[1]] = frames
    for down, across in np.ndindex(grid):
        rows = slice(down * tile[0], (down + 1) * tile[0])
        columns = slice(across * tile[1], (across + 1) * tile[1])
        np.testing.assert_array_equal(tiles[:, down, across], padded[:, rows, columns])
    for frame, of_one in zip(frames, tiles, strict=True):
        gathered = np.empty(size, "uint16")
        gather_tiles(of_one, gathered)
        np.testing.assert_array_equal(gathered, frame)


def test_big_endian_planes_are_laid_little_endian():
    frames = planes(2).astype(">u2")
    tiles = np.zeros((2, 1, 1, 24, 40), "<u2")
    lay_tiles(frames, tiles)
    np.testing.assert_array_equal(tiles[:, 0, 0], frames)
