"""A store's level as an array that reads only what is asked for.

Slicing and transposing compose without reading; pixels are read where numpy asks for
them. napari crops `y, x` of a multiscale layer before it picks `t`, which on a zarr
array would read the whole time axis at every step of the slider.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.generic]
Indices = npt.NDArray[np.intp]

MAX_POINTS = 64
"""Places that index arrays name together, up to which each is read by itself. Of more,
all that lie on their rows and columns are read: fewer reads, though of more pixels."""


class LazyArray:
    """A view of a chunked array that is read when it becomes a numpy array.

    Parameters
    ----------
    array : array-like with shape, dtype and basic indexing, such as zarr.Array
    ranges : tuple of range or int, optional
        For each axis of `array` what is in view; an int takes the axis away.
    order : tuple of int or None, optional
        For each axis of the view the axis of `array`; None for one of a single pixel
        that `array` does not have.
    """

    def __init__(
        self,
        array: Any,
        ranges: tuple[range | int, ...] | None = None,
        order: tuple[int | None, ...] | None = None,
    ) -> None:
        self._array = array
        self._ranges = ranges or tuple(map(range, array.shape))
        if order is None:
            order = tuple(i for i, r in enumerate(self._ranges) if isinstance(r, range))
        self._order = order
        self.dtype: np.dtype[np.generic] = np.dtype(array.dtype)
        self.shape = tuple(len(self._range(axis)) for axis in order)

    @property
    def stored(self) -> Any:
        """The array that it is a view of."""
        return self._array

    def _range(self, axis: int | None) -> range:
        span = range(1) if axis is None else self._ranges[axis]
        assert isinstance(span, range)
        return span

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of pixels."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Size in memory once it is read."""
        return self.size * self.dtype.itemsize

    @property
    def chunks(self) -> tuple[int, ...]:
        """How many pixels of each axis are stored together."""
        stored = getattr(self._array, "chunks", None) or (1,) * len(self._ranges)
        return tuple(
            1 if axis is None else max(1, stored[axis] // abs(self._range(axis).step))
            for axis in self._order
        )

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"LazyArray(shape={self.shape}, dtype={self.dtype})"

    def __getitem__(self, key: Any) -> "LazyArray | Pixels":
        """View a part; with index arrays or masks, read what they name.

        Raises
        ------
        IndexError
            Where numpy would raise it; nothing is read.
        """
        keys = _expanded(key if isinstance(key, tuple) else (key,), self.shape)
        if any(isinstance(k, bool) for k in keys):
            # As numpy has it: a True names the one place on an axis of its own.
            there = [k for k in keys if k is not None]
            view = self._view(
                [None if isinstance(k, bool) else slice(None) for k in there]
            )
            named = [
                np.zeros(int(k), np.intp) if isinstance(k, bool) else k for k in keys
            ]
            return view[tuple(named)]
        if any(isinstance(k, np.ndarray) for k in keys):
            return self._read_named(keys)
        return self._view(keys)

    def _view(self, keys: Sequence[int | slice | None]) -> "LazyArray":
        ranges, order, axes = list(self._ranges), list[int | None](), iter(self._order)
        shape: list[int] = []
        for k in keys:
            axis = None if k is None else next(axes)
            inside = range(1) if k is None else self._range(axis)[k]
            if axis is not None:
                ranges[axis] = inside
            if isinstance(inside, range):
                order.append(axis)
                shape.append(len(inside))
        view = LazyArray(self._array, tuple(ranges), tuple(order))
        # An axis that is not stored has one pixel, unless it is made empty.
        is_view = view.shape == tuple(shape)
        return view if is_view else LazyArray(np.empty(shape, self.dtype))

    def _read_named(self, keys: Sequence[Any]) -> Pixels:
        """What index arrays name, without what lies between.

        By numpy's rules: an int beside them is one of them; the axes that they make
        come in the place of the first, or first of all where something lies between.
        """
        named = [i for i, k in enumerate(keys) if isinstance(k, np.ndarray | int)]
        rest = [i for i in range(len(keys)) if i not in named]
        view = self._view(
            [slice(None) if i in named else k for i, k in enumerate(keys)]
        )
        view = view.transpose(*named, *rest)
        try:
            together = np.broadcast_arrays(*(np.asarray(keys[i]) for i in named))
        except ValueError as error:
            raise IndexError(str(error)) from None
        rows = np.stack([indices.ravel() for indices in together], axis=1)
        for column, size in zip(rows.T, view.shape, strict=False):
            if column.size and not -size <= column.min() <= column.max() < size:
                raise IndexError(f"an index is out of range for an axis of {size}")
            column[column < 0] += size
        points, where = np.unique(rows, axis=0, return_inverse=True)
        shape = together[0].shape
        pixels = view._gather(points)[where.ravel()]  # noqa: SLF001
        pixels = pixels.reshape(*shape, *pixels.shape[1:])
        if named[-1] - named[0] < len(named):
            at = range(len(shape))
            pixels = np.moveaxis(pixels, at, [i + named[0] for i in at])
        return pixels

    def _gather(self, points: Indices) -> Pixels:
        """Read the places on the first axes that are given, one in each row."""
        count, depth = points.shape
        if count <= MAX_POINTS:
            read = [np.asarray(self[tuple(point)]) for point in points.tolist()]
            none = np.empty((0, *self.shape[depth:]), self.dtype)
            return np.stack(read) if read else none
        rows, places = zip(
            *(np.unique(column, return_inverse=True) for column in points.T),
            strict=True,
        )
        block = np.empty((*map(len, rows), *self.shape[depth:]), self.dtype)
        for crossing in product(*map(_runs, rows)):
            here = tuple(to for to, _ in crossing)
            block[here] = np.asarray(self[tuple(at for _, at in crossing)])
        named: Pixels = block[places]
        return named

    def over(self, array: Any) -> "LazyArray":
        """The same view of another array, along all of its first axis."""
        ranges = (range(array.shape[0]), *self._ranges[1:])
        return LazyArray(array, ranges, self._order)

    def transpose(self, *axes: Any) -> "LazyArray":
        """View with the axes in another order."""
        if not axes or axes == (None,):
            axes = tuple(range(self.ndim))[::-1]
        given = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        places = [range(self.ndim)[axis] for axis in given]
        if sorted(places) != list(range(self.ndim)):
            raise ValueError(f"axes {given} are not those of {self.ndim} axes")
        order = tuple(self._order[place] for place in places)
        return LazyArray(self._array, self._ranges, order)

    def astype(self, dtype: npt.DTypeLike) -> Pixels:
        """Read, and convert."""
        return np.asarray(self).astype(dtype)

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> Pixels:
        """Read what is in view.

        Raises
        ------
        ValueError
            For `copy=False`: what is read is always a copy.
        """
        if copy is False:
            raise ValueError("a LazyArray is read from storage, which makes a copy")
        turned: list[Any] = []
        selection: list[slice | int] = []
        for r in self._ranges:
            if isinstance(r, int):
                selection.append(r)
                continue
            # Storage is read forwards and turned round in memory. What is empty may
            # begin or end below 0, which would be counted from the end.
            forwards = (r if r.step > 0 else r[::-1]) or range(0)
            selection.append(slice(forwards.start, forwards.stop, forwards.step))
            turned.append(slice(None, None, 1 if r.step > 0 else -1))
        turned.append(...)  # an array, even of no axes
        pixels: Pixels = np.asarray(self._array[tuple(selection)])[tuple(turned)]
        kept = [i for i, r in enumerate(self._ranges) if isinstance(r, range)]
        stored = [axis for axis in self._order if axis is not None]
        pixels = pixels.transpose([kept.index(axis) for axis in stored])
        pixels = pixels.reshape(self.shape)
        return pixels if dtype is None else pixels.astype(dtype, copy=False)


def _expanded(keys: tuple[Any, ...], shape: Sequence[int]) -> list[Any]:
    """Ints, slices, None, bools and arrays of ints: nothing is left out or implied."""
    known = [_known(k) for k in keys]
    taken = sum(_axes_taken(k) for k in known)
    if taken > len(shape):
        raise IndexError(f"{taken} indices for an array of {len(shape)} axes")
    ellipses = [i for i, k in enumerate(known) if k is Ellipsis]
    if len(ellipses) > 1:
        raise IndexError("an index can have one Ellipsis ('...') only")
    at = ellipses[0] if ellipses else len(known)
    known[at : at + 1] = [slice(None)] * (len(shape) - taken)
    expanded: list[Any] = []
    axis = 0
    for k in known:
        if isinstance(k, np.ndarray) and k.dtype == bool:
            if k.shape != tuple(shape[axis : axis + k.ndim]):
                raise IndexError(f"a mask of shape {k.shape} for an array of {shape}")
            expanded += k.nonzero()
        else:
            expanded.append(k)
        axis += _axes_taken(k)
    return expanded


def _known(key: Any) -> Any:
    """A key as int, slice, None, Ellipsis, bool, or an array of ints or bools."""
    if key is None or key is Ellipsis or isinstance(key, slice):
        return key
    indices = np.asarray(key)
    if not indices.size and not isinstance(key, np.ndarray):
        indices = indices.astype(np.intp)  # numpy makes floats of []
    if indices.dtype.kind not in "biu":
        raise IndexError(f"an axis cannot be indexed with {key!r}")
    if indices.dtype == bool:
        return indices if indices.ndim else bool(indices)
    return indices.astype(np.intp) if indices.ndim else int(indices)


def _axes_taken(key: Any) -> int:
    if key is None or key is Ellipsis or isinstance(key, bool):
        return 0
    return key.ndim if isinstance(key, np.ndarray) and key.dtype == bool else 1


def _runs(indices: Indices) -> Iterator[tuple[slice, slice]]:
    """Rising indices as slices without gaps: where each goes, and what it reads."""
    ends = [*(np.flatnonzero(np.diff(indices) > 1) + 1).tolist(), len(indices)]
    for first, end in zip([0, *ends], ends, strict=False):
        start = int(indices[first])
        yield slice(first, end), slice(start, start + end - first)
