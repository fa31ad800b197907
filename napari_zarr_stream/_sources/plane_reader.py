"""An array with axes in any order, read as planes in the order of OME-NGFF.

Only the index changes; no array is transposed as a whole.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_zarr_stream._writer.grid import AXES

MEMORY_BATCH_BYTES = 4 * 2**20
"""Planes of an array in memory handed over at once: enough to hide what a call costs,
little enough to stay in cache."""

CHUNK_BATCH_BYTES = 128 * 2**20
"""Planes read at once where the chunks of an array hold several: read one by one, each
would decode the whole chunk again. As much as the queue of a stream."""


class PlaneReader:
    """The planes of an array, in C order over the axes before `y, x`.

    Parameters
    ----------
    array : array-like with shape and basic indexing
        numpy, dask, zarr, LazyArray ...
    axes : str
        One of "tczyx" for each axis, in the array's order.
    dtype : numpy.dtype
        Of the pixels handed over.
    backwards : str
        Axes that are read from their end.
    """

    def __init__(
        self, array: Any, axes: str, dtype: np.dtype[np.generic], backwards: str = ""
    ) -> None:
        self._array = array
        self.dtype = dtype
        self._order = sorted(range(len(axes)), key=lambda i: AXES.index(axes[i]))
        self.axes = "".join(axes[i] for i in self._order)
        self.shape = tuple(int(array.shape[i]) for i in self._order)
        self._backwards = [axis in backwards for axis in self.axes]
        self._outer = self.shape[:-2]
        self._batch_axis, self._batch_steps = self._batch()
        self._block: tuple[int, npt.NDArray[np.generic]] | None = None

    def __len__(self) -> int:
        return math.prod(self._outer)

    def planes_from(self, first: int) -> npt.NDArray[np.generic]:
        """Read plane number `first`, and those after it that come with it.

        Returns
        -------
        (n, height, width)
        """
        if self._block is None or not 0 <= first - self._block[0] < len(self._block[1]):
            self._block = None  # frees it before the next one is read
            self._block = self._read_block(first)
        start, pixels = self._block
        return pixels[first - start :]

    def release(self) -> None:
        """Let go of what was read."""
        self._block = None

    def _batch(self) -> tuple[int, int]:
        """The axis along which planes are read together, and how many of its steps."""
        in_memory = isinstance(self._array, np.ndarray)
        limit = MEMORY_BATCH_BYTES if in_memory else CHUNK_BATCH_BYTES
        chunks = self.shape if in_memory else self._chunk_sizes()
        inner = math.prod(self.shape[-2:]) * self.dtype.itemsize
        batch = (len(self._outer) - 1, 1)
        for axis in reversed(range(len(self._outer))):
            if inner > limit:
                break
            if chunks[axis] > 1:
                batch = (axis, min(chunks[axis], limit // inner))
                if batch[1] < chunks[axis]:
                    break
            inner *= self._outer[axis]
        return batch

    def _chunk_sizes(self) -> tuple[int, ...]:
        """How many pixels of each axis lie in a chunk; 1 where nobody knows."""
        chunks = getattr(self._array, "chunks", None) or (1,) * len(self.shape)
        # dask lists the sizes of all chunks of an axis
        sizes = [max(c) if isinstance(c, Sequence) else int(c) for c in chunks]
        return tuple(sizes[i] for i in self._order)

    def _read_block(self, first: int) -> tuple[int, npt.NDArray[np.generic]]:
        """The planes that are read together with plane number `first`."""
        index: list[int | slice] = [slice(0, size) for size in self.shape]
        start = first
        if self._outer:
            axis, steps = self._batch_axis, self._batch_steps
            place = [int(i) for i in np.unravel_index(first, self._outer)]
            begin = place[axis] - place[axis] % steps
            index[:axis] = place[:axis]
            index[axis] = slice(begin, min(begin + steps, self._outer[axis]))
            place[axis:] = [begin, *[0] * (len(self._outer) - axis - 1)]
            start = int(np.ravel_multi_index(place, self._outer))
        return start, self._read(index).reshape(-1, *self.shape[-2:])

    def _read(self, index: Sequence[int | slice]) -> npt.NDArray[np.generic]:
        """Pixels at an index in the order of OME-NGFF."""
        own: list[int | slice] = [0] * len(index)
        for i, at in enumerate(index):
            own[self._order[i]] = self._turned(at, i) if self._backwards[i] else at
        pixels = np.asarray(self._array[tuple(own)])
        kept = [i for i, at in enumerate(own) if isinstance(at, slice)]
        wanted = [i for i, at in enumerate(index) if isinstance(at, slice)]
        pixels = pixels.transpose([kept.index(self._order[i]) for i in wanted])
        steps = [slice(None, None, -1 if self._backwards[i] else 1) for i in wanted]
        return pixels[tuple(steps)].astype(self.dtype, copy=False)

    def _turned(self, at: int | slice, axis: int) -> int | slice:
        """The same place counted from the other end."""
        size = self.shape[axis]
        if isinstance(at, int):
            return size - 1 - at
        return slice(size - at.stop, size - at.start)
