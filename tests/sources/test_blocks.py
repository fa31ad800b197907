"""Chunks of a lazy layer are read as often as memory asks for, and no more."""

import math
from itertools import product

import numpy as np
import pytest

from napari_zarr_stream._sources.layer import LayerSource

KIB = 2**10


class Counting:
    """An array in chunks that counts how often each is read."""

    def __init__(self, pixels, chunks):
        self.pixels, self.shape, self.dtype = pixels, pixels.shape, pixels.dtype
        self.ndim, self.chunks, self.reads = pixels.ndim, chunks, {}
        ends = [
            np.cumsum(c) if isinstance(c, tuple) else np.arange(c, s + c, c)
            for c, s in zip(chunks, self.shape, strict=True)
        ]
        self._ends = ends

    def __getitem__(self, key):
        touched = []
        for k, size, ends in zip(key, self.shape, self._ends, strict=True):
            at = range(size)[k] if isinstance(k, slice) else [range(size)[k]]
            touched.append(sorted({int(np.searchsorted(ends, i, "right")) for i in at}))
        for chunk in product(*touched):
            self.reads[chunk] = self.reads.get(chunk, 0) + 1
        return self.pixels[key]


# shape, chunks, axes, limit in KiB, how often each chunk is read at the most
CASES = {
    "a chunk a plane": ((6, 16, 16), (1, 8, 8), "zyx", 64, 1),
    "deep": ((20, 16, 16), (10, 8, 8), "zyx", 64, 1),
    "deep, odd end": ((23, 16, 16), (10, 8, 8), "tyx", 64, 1),
    "dask's own sizes": ((23, 16, 16), ((3, 10, 10), 8, 8), "tyx", 64, 1),
    "time in chunks, volumes": ((6, 4, 16, 16), (3, 1, 8, 8), "tzyx", 64, 1),
    "time and depth": ((6, 8, 16, 16), (3, 4, 8, 8), "tzyx", 64, 1),
    "channels last": ((5, 16, 16, 4), (1, 8, 8, 4), "zyxc", 64, 1),
    "in another order": ((16, 16, 12), (8, 8, 6), "yxz", 64, 1),
    "all of it": ((12, 16, 16), (12, 16, 16), "zyx", 64, 1),
    "short of memory": ((20, 16, 16), (20, 8, 8), "zyx", 3, 4),
    "shorter": ((20, 16, 16), (20, 8, 8), "zyx", 1, 10),
    "volumes, short": ((6, 8, 16, 16), (3, 4, 8, 8), "tzyx", 4, 3),
}


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_how_often_chunks_are_read(name, mirrored, tmp_path):
    shape, chunks, axes, limit, times = CASES[name]
    pixels = np.arange(math.prod(shape), dtype="u2").reshape(shape)
    array = Counting(pixels, chunks)
    scale = [-1 if mirrored and axis not in "yxc" else 1 for axis in axes]
    source = LayerSource(array, {"scale": scale, "rgb": False}, axes=axes)
    taken = source.read_within(limit * KIB)
    assert taken <= max(limit * KIB, pixels[..., 0].nbytes)
    assert source.times_read == times
    source.start()
    planes, most = [], 0
    while sum(map(len, planes)) < source.planes:
        planes.append(source.read(1.0).pixels)
        most = max(most, planes[-1].nbytes)
    assert most <= taken
    assert max(array.reads.values()) <= times
    turned = pixels[tuple(slice(None, None, s) for s in scale)]
    order = sorted(range(len(axes)), key=lambda i: "tczyx".index(axes[i]))
    wanted = turned.transpose(order)
    np.testing.assert_array_equal(
        np.concatenate(planes), wanted.reshape(-1, *wanted.shape[-2:])
    )
