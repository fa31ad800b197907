"""An array with axes in any order, read as planes in the order of OME-NGFF.

Only the index changes; no array is transposed as a whole.
"""

import copy
import itertools
import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from napari_zarr_stream._writer import system
from napari_zarr_stream._writer.grid import AXES, ceil_div

MEMORY_BATCH_BYTES = 4 * 2**20
"""Planes of an array in memory handed over at once: enough to hide what a call costs,
little enough to stay in cache."""

CHUNK_BATCH_BYTES = 128 * 2**20
"""Planes read at once where the chunks of an array hold several: read one by one, each
would decode the whole chunk again. As much as the queue of a stream."""

ROW_PIECES = 16
"""Rows of an array that is not in memory are read in about so many pieces, each some
chunks wide."""


class PlaneReader:
    """The planes of an array, in C order over the axes before `y, x`.

    Planes are read in blocks that begin and end where the array's own chunks do.

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
        self.is_in_memory = isinstance(array, np.ndarray)
        self._chunk_ends = [self._ends_of_chunks(i) for i in range(len(self.shape))]
        self.read_within(MEMORY_BATCH_BYTES if self.is_in_memory else CHUNK_BATCH_BYTES)
        self._block: tuple[int, npt.NDArray[np.generic]] | None = None
        self._rows: npt.NDArray[np.generic] | None = None
        self._row_ends = [self.shape[-2]]
        self._column_ends = [self.shape[-1]]

    def __len__(self) -> int:
        return math.prod(self._outer)

    def read_within(self, limit: int) -> None:
        """Read at most `limit` bytes at once, and a plane at the least.

        Where that is not enough for a whole run of chunks, these are read more often
        than once: `times_read`.
        """
        self._cut, ends, self.times_read = self._blocks_within(limit)
        self._starts = [0, *ends[:-1]]
        steps = max((b - a for a, b in itertools.pairwise([0, *ends])), default=1)
        self.block_bytes = steps * self._bytes_inside(self._cut)

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

    def rows_within(self, limit: int) -> int:
        """Read rows of at most `limit` bytes at once, and one at the least.

        They end where chunks do, as far as that is possible; returns their bytes, and
        those of the piece that is being read.
        """
        y, x = len(self.shape) - 2, len(self.shape) - 1
        row_bytes = self._bytes_inside(y)
        if self.is_in_memory:
            limit = min(limit, MEMORY_BATCH_BYTES)
        rows = max(1, limit // row_bytes)
        self._row_ends = self._runs(y, rows)
        most = max(b - a for a, b in itertools.pairwise([0, *self._row_ends]))
        self._column_ends = self._runs(x, max(1, self.shape[-1] // ROW_PIECES))
        self.times_read = self._rereads(y, rows)
        return most * (row_bytes + row_bytes // ROW_PIECES)

    def _runs(self, axis: int, steps: int) -> list[int]:
        """Ends of runs of whole chunks, or of parts of them, of at most `steps`."""
        ends: list[int] = []
        for end in self._cut_ends(axis, steps):
            start = ends[-2] if len(ends) > 1 else 0
            if ends and end - start <= steps:
                ends[-1] = end
            else:
                ends.append(end)
        return ends

    def rows_from(self, plane: int, row: int) -> npt.NDArray[np.generic]:
        """Read a row of plane number `plane`, and those after it that come with it.

        They are valid until the next call.

        Returns
        -------
        (n, width)
        """
        end = self._row_ends[bisect_right(self._row_ends, row)]
        place = [int(i) for i in np.unravel_index(plane, self._outer or (1,))]
        index: list[int | slice] = [*place[: len(self._outer)], slice(row, end)]
        if self.is_in_memory:
            self._forget_pages()
            return self._read([*index, slice(0, self.shape[-1])])
        # Piece by piece: dask makes all that it is asked for at once.
        if self._rows is None:
            most = max(b - a for a, b in itertools.pairwise([0, *self._row_ends]))
            self._rows = np.empty((most, self.shape[-1]), self.dtype)
        rows = self._rows[: end - row]
        for left, right in itertools.pairwise([0, *self._column_ends]):
            rows[:, left:right] = self._read([*index, slice(left, right)])
        return rows

    def box(self, start: Sequence[int], stop: Sequence[int]) -> npt.NDArray[np.generic]:
        """Read the pixels from `start` up to `stop`, in the order of OME-NGFF.

        May be called from several threads.
        """
        return self._read([slice(a, b) for a, b in zip(start, stop, strict=True)])

    @property
    def array(self) -> Any:
        """What it reads from."""
        return self._array

    def over(self, array: Any) -> Self:
        """The same of another array, with the same pixels."""
        other = copy.copy(self)
        vars(other).update(_array=array, _block=None, _rows=None)
        return other

    def release(self) -> None:
        """Let go of what was read."""
        self._block = self._rows = None
        self._forget_pages()

    @property
    def _has_rows(self) -> bool:
        """Whether a row of an array in memory lies in one place: not all along it."""
        y, x = (abs(self._array.strides[axis]) for axis in self._order[-2:])
        return bool(y >= x)

    def _forget_pages(self) -> None:
        """Let go of what was read of a file that is mapped to memory.

        Not where its pages hold changes that the file does not have.
        """
        base, mode = self._array, "c"
        if not self.is_in_memory or not self._has_rows:
            return
        while isinstance(base, np.ndarray):
            mode = getattr(base, "mode", mode)
            base = base.base
        if mode != "c":
            system.forget_pages(base)

    def _bytes_inside(self, axis: int) -> int:
        """Of one step along an outer axis: all planes within."""
        return math.prod(self.shape[axis + 1 :]) * self.dtype.itemsize

    def _blocks_within(self, limit: int) -> tuple[int, list[int], int]:
        """The axis that blocks cut, where they end along it, how often a chunk is read.

        All that lies inside a step along that axis is in one block. An outer axis along
        which chunks have one pixel costs nothing to cut; each other one that is cut
        finer than its chunks has them read again.
        """
        last = len(self._outer) - 1
        if last < 0:
            return 0, [1], 1
        deep = [axis for axis in range(last + 1) if self._most(axis) > 1]
        best = last, list(range(1, self._outer[last] + 1)), self._rereads(last, 1)
        for axis in reversed(deep):
            steps = limit // self._bytes_inside(axis)
            if not steps:
                break
            rereads = self._rereads(axis, steps)
            if rereads < best[2]:
                best = axis, self._cut_ends(axis, steps), rereads
        return best

    def _most(self, axis: int) -> int:
        """The pixels of the largest chunk along an axis."""
        ends = self._chunk_ends[axis]
        return max(b - a for a, b in itertools.pairwise([0, *ends]))

    def _rereads(self, axis: int, steps: int) -> int:
        """How often a chunk is read, if blocks are so many steps along an axis."""
        outside = math.prod(self._most(other) for other in range(axis))
        return outside * ceil_div(self._most(axis), steps)

    def _cut_ends(self, axis: int, steps: int) -> list[int]:
        """Ends of chunks, and of equal parts of chunks that are longer than `steps`."""
        ends: list[int] = []
        for start, end in itertools.pairwise([0, *self._chunk_ends[axis]]):
            parts = ceil_div(end - start, steps)
            ends += [start + (end - start) * i // parts for i in range(1, parts + 1)]
        return ends

    def _ends_of_chunks(self, axis: int) -> list[int]:
        """Where chunks end along an axis, in the order in which it is read.

        An array in memory is one chunk, as far as it is handed over at once. Where
        nobody knows, every step is one.
        """
        size = self.shape[axis]
        if self.is_in_memory:
            return [size]
        chunks = getattr(self._array, "chunks", None)
        sizes: Any = chunks[self._order[axis]] if chunks else 1
        if not isinstance(sizes, Sequence):  # dask lists those of all chunks
            step = max(1, min(int(sizes), size))
            sizes = [step] * (size // step) + ([size % step] if size % step else [])
        if self._backwards[axis]:
            sizes = sizes[::-1]
        return list(itertools.accumulate(size for size in map(int, sizes) if size))

    def _read_block(self, first: int) -> tuple[int, npt.NDArray[np.generic]]:
        """The planes that are read together with plane number `first`."""
        index: list[int | slice] = [slice(0, size) for size in self.shape]
        start = first
        if self._outer:
            axis = self._cut
            place = [int(i) for i in np.unravel_index(first, self._outer)]
            number = bisect_right(self._starts, place[axis])
            begin = self._starts[number - 1]
            end = [*self._starts, self._outer[axis]][number]
            index[:axis] = place[:axis]
            index[axis] = slice(begin, end)
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
