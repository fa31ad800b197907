"""What a live layer shows of each step: from the store, and the newest from memory.

Knows no Qt and no napari.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_zarr_stream._reading.growing import GrowingArray, StoredLevel
from napari_zarr_stream._reading.lazy import LazyArray
from napari_zarr_stream._sources.source import SourceDescription
from napari_zarr_stream._writer.colours import RGB
from napari_zarr_stream._writer.errors import InvalidProperties
from napari_zarr_stream._writer.grid import Grid
from napari_zarr_stream._writer.plan import plan
from napari_zarr_stream._writer.properties import StorageProperties

Pixels = npt.NDArray[np.generic]

MIN_AXES = 3
"""Of what is more than one picture."""


class LiveImage:
    """An image that is being recorded, with its levels as arrays that grow.

    Of its `length` steps along the first axis the `committed` ones are read from the
    store. The last is the newest frame, in memory, while it is not committed. Others
    may have a longer axis for a while: what is not there is dark.

    Parameters
    ----------
    grid : Grid
        With an axis before `y, x`.
    is_colour : bool
        Its channels are red, green and blue of a frame.

    Attributes
    ----------
    length, committed : int
    newest : array or None
        (height, width), or (planes, height, width) of a frame with several; None before
        the first frame.
    levels : tuple of GrowingArray
        (length, ..., height, width), or with the colours last. Full size first.
    """

    def __init__(self, grid: Grid, is_colour: bool) -> None:
        self.length = 1
        self.committed = 0
        self._most = grid.shape[0]
        self.newest: Pixels | None = None
        shapes = [(0, *map(_known, shape[1:])) for shape in grid.level_shapes]
        self._stored = [
            StoredLevel(None, shape, grid.dtype, grid.chunk_shape) for shape in shapes
        ]
        levels = [_LivePixels(self, stored) for stored in self._stored]
        self.levels = tuple(
            GrowingArray(
                level, LazyArray(level).transpose(0, 2, 3, 1) if is_colour else None
            )
            for level in levels
        )

    @classmethod
    def planned(
        cls, properties: StorageProperties, described: SourceDescription
    ) -> "LiveImage | None":
        """The image that a source will be; None where it has nothing to look back at.

        So it is also where the two do not go together: that is told by who records.
        """
        if len(described.axes) < MIN_AXES:
            return None
        try:
            planned = plan(
                properties,
                axes=described.axes,
                shape=described.shape,
                dtype=described.dtype,
                scale=described.scale,
                units=described.units,
            )
        except InvalidProperties:
            return None
        is_colour = described.planes_per_frame == len(RGB)
        return cls(planned, is_colour)

    def length_after(self, committed: int) -> int:
        """With so many steps in the store: the newest is one more, if one may come."""
        return min(committed + 1, self._most or committed + 1)

    def grow(self, length: int, committed: int, path: Path | None) -> None:
        """So many steps there are, and so many of them in the store at `path`."""
        self.length, self.committed = length, committed
        for number, stored in enumerate(self._stored):
            stored.path = path and path / str(number)
            stored.grow(committed)


def _known(size: int | None) -> int:
    assert size is not None  # only the first axis may have no bound
    return size


class _LivePixels:
    """A level; axes as they are stored."""

    def __init__(self, image: LiveImage, stored: StoredLevel) -> None:
        self._image = image
        self._stored = stored
        self.dtype, self.chunks = stored.dtype, stored.chunks

    @property
    def shape(self) -> tuple[int, ...]:
        return (self._image.length, *self._stored.shape[1:])

    def __getitem__(self, key: tuple[int | slice, ...]) -> Pixels:
        step, *inside = key
        if not isinstance(step, slice):
            return self._step(step, inside)
        steps = range(self._image.length)[step]
        committed = range(min(steps.stop, self._image.committed))[step]
        parts = [self._step(at, inside)[None] for at in steps[len(committed) :]]
        if committed or not parts:
            there = slice(committed.start, committed.stop, committed.step)
            parts.insert(0, self._stored[(there, *inside)])
        return np.concatenate(parts)

    def _step(self, step: int, inside: Sequence[Any]) -> Pixels:
        image = self._image
        if step < image.committed:
            return self._stored[(step, *inside)]
        *outer, height, width = self._stored.shape[1:]
        if image.newest is None or step < image.length - 1:
            sides = zip((*outer, height, width), inside, strict=True)
            return np.zeros(_lengths(sides), self.dtype)
        every = [
            -(-whole // side)
            for whole, side in zip(
                image.newest.shape[-2:], (height, width), strict=True
            )
        ]
        shown = image.newest[..., :: every[0], :: every[1]]
        if shown.ndim == 3:  # all its channels
            return np.asarray(shown[tuple(inside)])
        # Of a volume, and of channels, the newest plane is all there is.
        part = shown[tuple(inside[-2:])]
        lengths = _lengths(zip(outer, inside, strict=False))
        return np.broadcast_to(part, (*lengths, *part.shape))


def _lengths(sides: Iterable[tuple[int, int | slice]]) -> list[int]:
    """Of the axes that are left when each, of some size, is indexed."""
    return [len(range(size)[at]) for size, at in sides if isinstance(at, slice)]
