"""Many images as one array that is read where it is looked at.

They lie on a grid, behind a slider, or where a stage had them. See `fields` for what is
shown where one is smaller than others, or not there.
"""

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from napari_zarr_stream._writer.errors import InvalidStore

from .bounds import MAX_CHUNKS, refuse_beyond_memory
from .fields import Fields, Room
from .side_by_side import side_by_side

AT_ONCE = 8
"""Images that are read side by side, where each is waited for."""

STRAIGHT = "what turns or slants each by itself is not applied to all together"
"""What is said of images with an affine of their own."""

Place = tuple[int, int]

Part = tuple[Hashable, Sequence[range], Any]
"""A place; what is wanted of its room; where that goes."""


class Arrangement(Protocol):
    """How the rooms of images lie to each other."""

    def shape(self, room: Room) -> tuple[int, ...]:
        """Of all together."""

    def parts(self, room: Room, spans: Sequence[range]) -> Iterator[Part]:
        """Which rooms spans meet."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows and columns; places are (row, column)."""

    rows: int
    columns: int

    def shape(self, room: Room) -> tuple[int, ...]:
        """As of `Arrangement`."""
        *outer, height, width = room.shape
        return (*outer, self.rows * height, self.columns * width)

    def parts(self, room: Room, spans: Sequence[range]) -> Iterator[Part]:
        """As of `Arrangement`."""
        columns = list(_cuts(spans[-1], room.shape[-1]))
        for row, y, to_y in _cuts(spans[-2], room.shape[-2]):
            for column, x, to_x in columns:
                yield (row, column), (*spans[:-2], y, x), (..., to_y, to_x)


@dataclass(frozen=True, slots=True)
class BehindSlider:
    """One after the other along a first axis; places are 0, 1, ..."""

    count: int

    def shape(self, room: Room) -> tuple[int, ...]:
        """As of `Arrangement`."""
        return (self.count, *room.shape)

    def parts(self, room: Room, spans: Sequence[range]) -> Iterator[Part]:
        """As of `Arrangement`."""
        for to, place in enumerate(spans[0]):
            yield place, spans[1:], to


@dataclass(frozen=True, slots=True)
class ByPlace:
    """Each where it is said to be; the last lies above others.

    Attributes
    ----------
    corners : mapping of place to (float, float)
        The first pixel of each, y and x in pixels of level 0 from the corner of all.
    """

    corners: Mapping[Hashable, tuple[float, float]]

    def shape(self, room: Room) -> tuple[int, ...]:
        """As of `Arrangement`."""
        sides = tuple(
            side + max(_pixel(corner[i], room.shrunk[i - 2]) for corner in self._all)
            for i, side in enumerate(room.shape[-2:])
        )
        return (*room.shape[:-2], *sides)

    @property
    def _all(self) -> list[tuple[float, float]]:
        return list(self.corners.values())

    def parts(self, room: Room, spans: Sequence[range]) -> Iterator[Part]:
        """As of `Arrangement`."""
        for place, corner in self.corners.items():
            cuts = [
                _cut(span, _pixel(start, by), side)
                for span, start, by, side in zip(
                    spans[-2:], corner, room.shrunk[-2:], room.shape[-2:], strict=True
                )
            ]
            (y, to_y), (x, to_x) = cuts
            if y and x:
                yield place, (*spans[:-2], y, x), (..., to_y, to_x)


def _pixel(at: float, shrunk: float) -> int:
    return round(at / shrunk)


def _cut(span: range, start: int, side: int) -> tuple[range, slice]:
    """What a span meets of a side that begins at `start`: what of it, where it goes."""
    first = max(0, -((span.start - start) // span.step))
    end = max(first, min(len(span), -((span.start - start - side) // span.step)))
    begin = span.start + first * span.step - start
    return range(begin, begin + (end - first) * span.step, span.step), slice(first, end)


class Mosaic:
    """One level of many images as one array.

    Parameters
    ----------
    fields : Fields
    arrangement : Arrangement
    room : Room
        Of each image at this level.
    """

    def __init__(self, fields: Fields, arrangement: Arrangement, room: Room) -> None:
        self._fields, self._arrangement, self._room = fields, arrangement, room
        self.shape = arrangement.shape(room)
        self.dtype = room.dtype
        self.chunks = (*(1,) * (len(self.shape) - len(room.chunks)), *room.chunks)

    def __getitem__(self, key: tuple[int | slice, ...]) -> npt.NDArray[np.generic]:
        """Read pixels: `key` has an int or a slice with a positive step for each axis.

        Raises
        ------
        InvalidStore
            That is more than can be read at once.
        """
        spans = self._spans(key)
        shape = tuple(map(len, spans))
        root = self._fields.root
        refuse_beyond_memory(root, math.prod(shape) * self.dtype.itemsize)
        pixels = np.zeros(shape, self.dtype)
        parts = list(self._arrangement.parts(self._room, spans))
        if len(parts) > MAX_CHUNKS:
            raise InvalidStore(f"{root}: too many images at once: look at a part")

        def lay(part: Part) -> None:
            place, wanted, to = part
            self._fields.lay(place, self._room, wanted, pixels[to])

        side_by_side(lay, parts, AT_ONCE if self._fields.is_far else 1)
        return pixels[tuple(0 if isinstance(at, int) else slice(None) for at in key)]

    def at_hand(self, key: tuple[int | slice, ...]) -> npt.NDArray[np.generic] | None:
        """The same, where few images are met; None where it takes its time."""
        parts = self._arrangement.parts(self._room, self._spans(key))
        is_soon = self._fields.are_at_hand([place for place, _, _ in parts])
        return self[key] if is_soon else None

    def _spans(self, key: tuple[int | slice, ...]) -> list[range]:
        given = [slice(at, at + 1) if isinstance(at, int) else at for at in key]
        return [range(size)[at] for size, at in zip(self.shape, given, strict=True)]


def _cuts(span: range, side: int) -> Iterator[tuple[int, range, slice]]:
    """Which places along a side a span meets: number, what of it, where it goes."""
    at = 0
    while at < len(span):
        number, first = divmod(span[at], side)
        end = min(len(span), at + math.ceil((side - first) / span.step))
        last = span[end - 1] - number * side
        yield number, range(first, last + 1, span.step), slice(at, end)
        at = end
