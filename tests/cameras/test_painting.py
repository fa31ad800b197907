"""Cells over a background, by the compiled call and by numpy."""

import numpy as np
import pytest

from napari_zarr_stream.cameras.painting import laid_end_to_end, paint_cells

SHAPES = [(1, 1), (7, 50), (40, 30), (64, 64), (65, 33)]
TILE = 32, 24


def painted_by_numpy(shape, backgrounds, windows, cells, corners, white):
    out = np.zeros(shape, backgrounds.dtype)
    tiles = [
        out[y : y + TILE[0], x : x + TILE[1]]
        for y in range(0, shape[0], TILE[0])
        for x in range(0, shape[1], TILE[1])
    ]
    for tile, (which, y, x) in zip(tiles, windows, strict=True):
        tile[...] = backgrounds[which][y:, x:][: tile.shape[0], : tile.shape[1]]
    wide = np.zeros((shape[0] + 400, shape[1] + 400), np.int64)
    wide[200:-200, 200:-200] = out
    for cell, (y, x) in zip(cells, corners, strict=True):
        seen = wide[200 + y :, 200 + x :][: cell.shape[0], : cell.shape[1]]
        seen[...] = np.minimum(seen + cell, white)
    return wide[200:-200, 200:-200].astype(out.dtype)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("dtype", "white"), [("u1", 255), ("u2", 4095)])
def test_it_is_as_numpy_paints_it(shape, dtype, white):
    numbers = np.random.default_rng(7)
    backgrounds = numbers.integers(0, white, (3, TILE[0] + 3, TILE[1] + 2), dtype)
    tiles = -(-shape[0] // TILE[0]) * -(-shape[1] // TILE[1])
    windows = numbers.integers(0, 3, (tiles, 3))
    sizes = numbers.integers(1, 40, (30, 2))
    cells = [numbers.integers(0, white + 1, size, dtype) for size in sizes]
    # some beyond each edge, wholly or in part
    corners = numbers.integers(-45, 70, (30, 2))
    pixels, outlines = laid_end_to_end(cells)
    rooms = pixels.dtype.type(white) - pixels
    out = np.full(shape, 3, dtype)
    paint_cells(out, *TILE, backgrounds, windows, pixels, outlines, corners, rooms)
    expected = painted_by_numpy(shape, backgrounds, windows, cells, corners, white)
    np.testing.assert_array_equal(out, expected)


def test_no_cells():
    out = np.zeros((8, 8), "u2")
    some = np.arange(200, dtype="u2").reshape(1, 10, 20)
    nothing = np.empty(0, "u2")
    none, first = np.empty((0, 3), int), np.zeros((1, 3), int)
    paint_cells(out, 8, 8, some, first, nothing, none, none, nothing)
    np.testing.assert_array_equal(out, some[0, :8, :8])
