"""A plane -> the plane of the next level. Knows no chunks and no threads.

A block is 2 x 2 pixels, 2 x 2 x 2 where `z` is halved too, or 2 along `z` where that is
halved alone. At an odd edge the last row or column stands in for the missing one, which
leaves the mean, the least, the greatest and the most frequent of the pixels that are
there as they are.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InvalidProperties
from .properties import DownsamplingMethod, StorageProperties

Plane = npt.NDArray[Any]

ROWS_BYTES = 128 * 2**10
"""Rows are halved in groups of about this size, so that sums stay in the L2 cache."""

_WIDER = {
    "b1": "u2", "u1": "u2", "u2": "u4", "u4": "u8", "i1": "i2", "i2": "i4", "i4": "i8",
}  # fmt: skip
"""The type to sum in. 64 bits have no wider one."""


class TileHalver:
    """Halves planes from tiles into tiles, in one call without the GIL.

    For where `Plan.halves_in_tiles` says so.

    Parameters
    ----------
    dtype : numpy.dtype
    """

    def __init__(self, dtype: np.dtype[np.generic]) -> None:
        from .kernels import mean_of_tiles

        self._kernel = mean_of_tiles
        is_float = dtype.kind == "f"
        self._wide = None if is_float else np.zeros(1, _WIDER[dtype.str[1:]])
        # numba knows no bool to sum up.
        self._stored = np.dtype(np.uint8) if dtype.kind == "b" else dtype
        # Compiled now, not when the first frame comes.
        tiles = np.zeros((1, 1, 1, 1, 2, 2), dtype)
        self(tiles, tiles.copy(), 0, 0, (2, 2))

    def __call__(
        self, tiles: Plane, below: Plane, frame: int, plane: int, size: tuple[int, int]
    ) -> None:
        """See `kernels.mean_of_tiles`; `size` is height and width."""
        tiles, below = tiles.view(self._stored), below.view(self._stored)
        self._kernel(tiles, below, frame, plane, *size, self._wide)


def compile_apart(dtypes: Sequence[npt.DTypeLike]) -> None:
    """Compile what halves these types in a process of its own, and wait for it.

    For a thread beside a window: the compiler holds the GIL for a second a type. What
    it made is kept on disk, from where a `TileHalver` has it in milliseconds; where
    nothing can be kept, or no process started, that compiles it as ever.
    """
    names = [np.dtype(dtype).str for dtype in dtypes]
    script = (
        "import numpy, sys; from napari_zarr_stream._writer.downsample import "
        "TileHalver; [TileHalver(numpy.dtype(name)) for name in sys.argv[1:]]"
    )
    subprocess.run(
        [sys.executable, "-c", script, *names],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )


def check_label(is_label: bool, properties: StorageProperties) -> None:
    """Refuse to downsample labels in a way that makes up objects.

    Raises
    ------
    InvalidProperties
    """
    keeps = (DownsamplingMethod.DECIMATE, DownsamplingMethod.MODE)
    method = properties.method
    if is_label and properties.enable_multiscale and method not in keeps:
        raise InvalidProperties(
            f"downsampling labels by {method} would make up objects: use mode or "
            "decimate"
        )


def halve(planes: Sequence[Plane], out: Plane, method: DownsamplingMethod) -> None:
    """Fill `out` with the blocks of one plane, or of two neighbours along `z`.

    Parameters
    ----------
    planes : sequence of one or two arrays, (height, width)
    out : array, (ceil(height / 2), ceil(width / 2)), of the same dtype
        Or (height, width), where `z` is halved alone.
    method : DownsamplingMethod
        The mean of integers rounds half up, towards positive infinity.
    """
    z_alone = planes[0].shape == out.shape
    side = 1 if z_alone else 2
    width = planes[0].shape[1]
    rows = max(1, ROWS_BYTES // (side * width * out.dtype.itemsize))
    for top in range(0, out.shape[0], rows):
        strips = [plane[side * top : side * (top + rows)] for plane in planes]
        if z_alone:
            _combine(strips, out[top : top + rows], method)
        else:
            _reduce(strips, out[top : top + rows], method)


def _reduce(strips: Sequence[Plane], out: Plane, method: DownsamplingMethod) -> None:
    if method is DownsamplingMethod.DECIMATE:
        out[...] = strips[0][::2, ::2]
        return
    full = strips[0].shape[1] // 2
    if full:
        _reduce_columns(strips, out[:, :full], slice(0, 2 * full), method)
    if full < out.shape[1]:
        _reduce_columns(strips, out[:, full:], slice(2 * full, None), method)


def _reduce_columns(
    strips: Sequence[Plane], out: Plane, columns: slice, method: DownsamplingMethod
) -> None:
    cut = [strip[:, columns] for strip in strips]
    even = cut[0].shape[0] // 2
    if even:
        corners = list(_corners([s[: 2 * even] for s in cut]))
        _combine(corners, out[:even], method)
    if even < out.shape[0]:
        _combine(list(_corners([s[2 * even :] for s in cut])), out[even:], method)


def _corners(strips: Sequence[Plane]) -> Iterator[Plane]:
    """The pixels of every block, as four (or eight) arrays of the size of the result.

    A strip of one row or column gives it twice.
    """
    for strip in strips:
        down, across = (min(1, size - 1) for size in strip.shape)
        for row in (0, down):
            for column in (0, across):
                yield strip[row::2, column::2]


def _combine(corners: Sequence[Plane], out: Plane, method: DownsamplingMethod) -> None:
    """Fill `out` with one pixel for the pixels of each block, first to last."""
    if method is DownsamplingMethod.MEAN:
        _mean(corners, out)
    elif method is DownsamplingMethod.MODE:
        _mode(corners, out)
    elif method is DownsamplingMethod.DECIMATE:
        out[...] = corners[0]
    else:
        pick = np.minimum if method is DownsamplingMethod.MIN else np.maximum
        first, *others = corners
        out[...] = first
        for other in others:
            pick(out, other, out=out)


def _mean(corners: Sequence[Plane], out: Plane) -> None:
    pixels = len(corners)
    kind = out.dtype.str[1:]
    if out.dtype.kind == "f":
        total = np.zeros(out.shape, out.dtype)
        for corner in corners:
            # Divided first: a power of two is exact, and no sum overflows.
            total += corner / out.dtype.type(pixels)
        out[...] = total
    elif kind in _WIDER:
        total = np.full(out.shape, pixels // 2, _WIDER[kind])
        for corner in corners:
            np.add(total, corner, out=total, casting="unsafe")
        total >>= pixels.bit_length() - 1
        if kind == "b1":
            np.not_equal(total, 0, out=out)
        else:
            np.copyto(out, total, casting="unsafe")
    else:
        _mean_of_64_bits(corners, out)


def _mean_of_64_bits(corners: Sequence[Plane], out: Plane) -> None:
    """No wider type holds the sum: whole parts and remainders are added apart."""
    pixels = len(corners)
    shift = pixels.bit_length() - 1
    remainder = np.full(out.shape, pixels // 2, out.dtype)
    out[...] = 0
    for corner in corners:
        out += corner >> shift
        remainder += corner & (pixels - 1)
    remainder >>= shift
    out += remainder


def _mode(corners: Sequence[Plane], out: Plane) -> None:
    """The most frequent value; of equally frequent ones, the first in the block."""
    stack = np.stack(corners)
    counts = np.stack([(stack == corner).sum(axis=0) for corner in corners])
    first = counts.argmax(axis=0)[np.newaxis]
    out[...] = np.take_along_axis(stack, first, axis=0)[0]
