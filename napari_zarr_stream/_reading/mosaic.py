"""Fields side by side as one level that is read where it is looked at.

Fields may be of other sizes than each other, have other levels, or not be there: a
field lies in the corner of its place, and where there is none is black.
"""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_zarr_stream._writer.errors import InvalidStore

from .image import StoredImage
from .lazy import LazyArray
from .zarr_array import MAX_CHUNKS, refuse_beyond_memory

Place = tuple[int, int]


class Fields:
    """The fields of a plate or a well, opened when they are first looked at.

    Parameters
    ----------
    root : Path
        The plate or the well, for messages.
    paths : mapping of (row, column) to Path
    open_field : callable
        Opens one: raises InvalidStore, returns None where there is none.
    """

    def __init__(
        self,
        root: Path,
        paths: Mapping[Place, Path],
        open_field: Callable[[Path], StoredImage | None],
    ) -> None:
        self.root = root
        self._paths, self._open_field = paths, open_field
        self._opened: dict[Place, StoredImage | None] = {}

    def at(self, place: Place) -> StoredImage | None:
        """The field at a place; None where there is none that can be read.

        Warns
        -----
        UserWarning
            Once, of each that is there and cannot be read.
        """
        if place not in self._opened:
            try:
                path = self._paths.get(place)
                self._opened[place] = self._open_field(path) if path else None
            except InvalidStore as error:
                self.leave_out(place, error)
        return self._opened[place]

    def leave_out_level(self, place: Place, number: int, why: object) -> None:
        """Do without a level of a field from now on, and say so; without 0, it goes."""
        field = self._opened[place]
        if field is None or not number:
            self.leave_out(place, why)
            return
        levels = (*field.levels[:number], *field.levels[number + 1 :])
        self._opened[place] = replace(field, levels=levels)
        warnings.warn(f"left out a level of a field: {why}", UserWarning, stacklevel=2)

    def leave_out(self, place: Place, why: object) -> None:
        """Show nothing at a place from now on, and say so."""
        self._opened[place] = None
        warnings.warn(f"left out a field: {why}", UserWarning, stacklevel=2)


class Mosaic:
    """One level of fields side by side.

    Parameters
    ----------
    fields : Fields
    grid : (int, int)
        Rows and columns.
    cell : tuple of int
        What each field has room for, y and x last.
    shrunk : tuple of float
        How many pixels of level 0 are one of this, on each axis.
    dtype : dtype
    chunks : tuple of int
        Of one field.
    """

    def __init__(
        self,
        fields: Fields,
        grid: Place,
        cell: tuple[int, ...],
        shrunk: tuple[float, ...],
        dtype: np.dtype[np.generic],
        chunks: tuple[int, ...],
    ) -> None:
        self._fields, self._cell, self._shrunk = fields, cell, shrunk
        self.shape = (*cell[:-2], grid[0] * cell[-2], grid[1] * cell[-1])
        self.dtype = dtype
        self.chunks = chunks

    def __getitem__(self, key: tuple[int | slice, ...]) -> npt.NDArray[np.generic]:
        """Read pixels: `key` has an int or a slice with a positive step for each axis.

        Raises
        ------
        InvalidStore
            That is more than can be read at once.
        """
        given = [slice(at, at + 1) if isinstance(at, int) else at for at in key]
        spans = [range(size)[at] for size, at in zip(self.shape, given, strict=True)]
        shape = tuple(map(len, spans))
        root = self._fields.root
        refuse_beyond_memory(root, math.prod(shape) * self.dtype.itemsize)
        pixels = np.zeros(shape, self.dtype)
        rows, columns = (
            list(_cuts(span, side))
            for span, side in zip(spans[-2:], self._cell[-2:], strict=True)
        )
        if len(rows) * len(columns) > MAX_CHUNKS:
            raise InvalidStore(f"{root}: too many wells at once: look at a part")
        for row, y, to_y in rows:
            for column, x, to_x in columns:
                self._fill((row, column), (*spans[:-2], y, x), pixels[..., to_y, to_x])
        return pixels[tuple(0 if isinstance(at, int) else slice(None) for at in key)]

    def _fill(
        self, place: Place, spans: Sequence[range], room: npt.NDArray[np.generic]
    ) -> None:
        """Lay what a field has of its place where it belongs."""
        field = self._fields.at(place)
        if field is None:
            return
        number, level = self._level_of(field)
        if not np.can_cast(level.dtype, self.dtype, "safe"):
            self._fields.leave_out(place, f"{field.path} holds {level.dtype}")
            return
        there = [
            range(size)[slice(span.start, span.stop, span.step)]
            for size, span in zip(level.shape, spans, strict=True)
        ]
        if any(size > side for size, side in zip(level.shape, self._cell, strict=True)):
            self._fields.leave_out(place, f"{field.path} is larger than others")
            return
        if all(there):
            wanted = tuple(slice(span.start, span.stop, span.step) for span in there)
            try:
                part = np.asarray(level[wanted])
            except InvalidStore as error:
                self._fields.leave_out_level(place, number, error)
                self._fill(place, spans, room)
                return
            room[tuple(slice(len(span)) for span in there)] = part

    def _level_of(self, field: StoredImage) -> tuple[int, LazyArray]:
        """Number and pixels of the level of this size, or of a larger one, skipping."""
        full = field.levels[0].shape
        wanted = tuple(
            math.ceil(size / by) for size, by in zip(full, self._shrunk, strict=True)
        )
        number = 0
        for at, level in enumerate(field.levels):
            if all(a + 1 >= b for a, b in zip(level.shape, wanted, strict=True)):
                number = at
        found = field.levels[number]
        steps = [max(1, round(a / b)) for a, b in zip(found.shape, wanted, strict=True)]
        cut = found[
            tuple(
                slice(0, side * step, step)
                for side, step in zip(self._cell, steps, strict=True)
            )
        ]
        assert isinstance(cut, LazyArray)
        return number, cut


def _cuts(span: range, side: int) -> Iterator[tuple[int, range, slice]]:
    """Which places along a side a span meets: number, what of it, where it goes."""
    at = 0
    while at < len(span):
        number, first = divmod(span[at], side)
        end = min(len(span), at + math.ceil((side - first) / span.step))
        last = span[end - 1] - number * side
        yield number, range(first, last + 1, span.step), slice(at, end)
        at = end
