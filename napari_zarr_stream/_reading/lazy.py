"""A store's level as an array that reads only what is asked for.

Slicing composes without reading; pixels are read where numpy asks for them. napari
crops `y, x` of a multiscale layer before it picks `t`, which on a zarr array would read
the whole time axis at every step of the slider.
"""

import math
from types import EllipsisType
from typing import Any

import numpy as np
import numpy.typing as npt

Key = int | slice | EllipsisType


class LazyArray:
    """A view of a chunked array that is read when it becomes a numpy array.

    Parameters
    ----------
    array : array-like with shape, dtype and basic indexing, such as zarr.Array
    ranges : tuple of range or int, optional
        For each axis of `array` what is in view; an int takes the axis away.
    """

    def __init__(
        self, array: Any, ranges: tuple[range | int, ...] | None = None
    ) -> None:
        self._array = array
        self._ranges = ranges or tuple(map(range, array.shape))
        self.dtype: np.dtype[np.generic] = np.dtype(array.dtype)
        self.shape = tuple(len(r) for r in self._ranges if isinstance(r, range))

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
            max(1, size // abs(r.step))
            for size, r in zip(stored, self._ranges, strict=True)
            if isinstance(r, range)
        )

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"LazyArray(shape={self.shape}, dtype={self.dtype})"

    def __getitem__(self, key: Any) -> "LazyArray | npt.NDArray[np.generic]":
        """View a part; indexing with arrays or masks reads all that is in view."""
        keys = key if isinstance(key, tuple) else (key,)
        if not all(_is_basic(k) for k in keys):
            result: npt.NDArray[np.generic] = np.asarray(self)[key]
            return result
        given = sum(k is not Ellipsis for k in keys)
        if given > self.ndim:
            raise IndexError(f"{given} indices for an array of {self.ndim} axes")
        if len(keys) - given > 1:
            raise IndexError("an index can have one Ellipsis ('...') only")
        rest = [slice(None)] * (self.ndim - given)
        at = keys.index(Ellipsis) if Ellipsis in keys else len(keys)
        expanded = iter([*keys[:at], *rest, *keys[at + 1 :]])
        ranges = tuple(
            r[_plain(next(expanded))] if isinstance(r, range) else r
            for r in self._ranges
        )
        return LazyArray(self._array, ranges)

    def transpose(self, *axes: int) -> npt.NDArray[np.generic]:
        """Read, and transpose."""
        return np.asarray(self).transpose(*axes)

    def astype(self, dtype: npt.DTypeLike) -> npt.NDArray[np.generic]:
        """Read, and convert."""
        return np.asarray(self).astype(dtype)

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[np.generic]:
        """Read what is in view.

        Raises
        ------
        ValueError
            For `copy=False`: what is read is always a copy.
        """
        if copy is False:
            raise ValueError("a LazyArray is read from storage, which makes a copy")
        turned: list[slice | EllipsisType] = []
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
        pixels = np.asarray(self._array[tuple(selection)])[tuple(turned)]
        return pixels if dtype is None else pixels.astype(dtype, copy=False)


def _is_basic(key: object) -> bool:
    if isinstance(key, bool | np.bool_):
        return False
    return key is Ellipsis or isinstance(key, int | np.integer | slice)


def _plain(key: Any) -> Any:
    return int(key) if isinstance(key, np.integer) else key
