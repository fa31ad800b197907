"""The images that are shown as one: opened when they are looked at, with room for each.

They may be of other sizes than each other, have other levels, or not be there: an image
lies in the corner of its room, and where there is none is black.
"""

import math
import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from napari_zarr_stream._writer.errors import InvalidStore

from .image import StoredImage
from .lazy import LazyArray
from .location import Away, Location, insisting, is_remote

OPENED_SOON = 16
"""Images that are opened while a window waits: each takes some 4 ms."""

READ_SOON = 10 * OPENED_SOON
"""Those that are open already: some 0.2 ms each."""


@dataclass(frozen=True, slots=True)
class Room:
    """What each image has room for at one level.

    Attributes
    ----------
    shape : tuple of int
        y and x last.
    shrunk : tuple of float
        How many pixels of level 0 are one of this, on each axis.
    dtype : dtype
    chunks : tuple of int
    """

    shape: tuple[int, ...]
    shrunk: tuple[float, ...]
    dtype: np.dtype[np.generic]
    chunks: tuple[int, ...]


def rooms_of(
    first: StoredImage, largest: tuple[int, ...], dtype: np.dtype[np.generic]
) -> list[Room]:
    """Room at each level of the first for images up to the largest."""
    full = first.levels[0].shape
    rooms = []
    for level in first.levels:
        shrunk = tuple(
            max(1.0, float(round(a / max(b, 1))))
            for a, b in zip(full, level.shape, strict=True)
        )
        shape = tuple(math.ceil(a / by) for a, by in zip(largest, shrunk, strict=True))
        rooms.append(Room(shape, shrunk, dtype, level.chunks))
    return rooms


class Fields:
    """Images by their place, such as the fields of a plate.

    Parameters
    ----------
    root : Location
        What holds them, for messages.
    paths : mapping of place to Location
    open_field : callable
        Opens one: raises InvalidStore, returns None where there is none.
    """

    def __init__(
        self,
        root: Location,
        paths: Mapping[Hashable, Location],
        open_field: Callable[[Location], StoredImage | None],
    ) -> None:
        self.root = root
        self.is_far = is_remote(root)
        self._paths, self._open_field = paths, open_field
        self._opened: dict[Hashable, StoredImage | None] = {}

    @property
    def takes_time(self) -> bool:
        """Whether all of them are too much to be waited for."""
        return self.is_far or len(self._paths) > OPENED_SOON

    def are_at_hand(self, places: Sequence[Hashable]) -> bool:
        """Whether these can be read at once."""
        opening = sum(p in self._paths and p not in self._opened for p in places)
        few = opening <= OPENED_SOON and len(places) <= READ_SOON
        return few and not self.is_far

    def _at(self, place: Hashable) -> StoredImage | None:
        """The field at a place; None where there is none that can be read.

        Raises
        ------
        Away
            Nobody can tell, for now.
        """
        if place not in self._opened:
            try:
                path = self._paths.get(place)
                opening = partial(self._open_field, path) if path else None
                self._opened[place] = insisting(self.root, opening) if opening else None
            except Away:
                raise
            except InvalidStore as error:
                self._leave_out(place, error)
        return self._opened[place]

    def lay(
        self,
        place: Hashable,
        room: Room,
        spans: Sequence[range],
        pixels: npt.NDArray[np.generic],
    ) -> None:
        """Lay what a field has of spans of its room where it belongs in `pixels`.

        Raises
        ------
        Away
            Nobody answers, for now.

        Warns
        -----
        UserWarning
            Once, of each that is there and cannot be read.
        """
        field = self._at(place)
        if field is None:
            return
        number, level = _level_for(room, field)
        if not np.can_cast(level.dtype, room.dtype, "safe"):
            self._leave_out(place, f"{field.path} holds {level.dtype}")
            return
        there = [
            range(size)[slice(span.start, span.stop, span.step)]
            for size, span in zip(level.shape, spans, strict=True)
        ]
        if any(size > side for size, side in zip(level.shape, room.shape, strict=True)):
            self._leave_out(place, f"{field.path} is larger than others")
            return
        if all(there):
            wanted = tuple(slice(span.start, span.stop, span.step) for span in there)
            try:
                part = insisting(self.root, lambda: np.asarray(level[wanted]))
            except Away:
                raise
            except InvalidStore as error:
                self._leave_out_level(place, number, error)
                self.lay(place, room, spans, pixels)
                return
            pixels[tuple(slice(len(span)) for span in there)] = part

    def _leave_out_level(self, place: Hashable, number: int, why: object) -> None:
        """Do without a level of a field from now on, and say so; without 0, it goes."""
        field = self._opened[place]
        if field is None or not number:
            self._leave_out(place, why)
            return
        levels = (*field.levels[:number], *field.levels[number + 1 :])
        self._opened[place] = replace(field, levels=levels)
        warnings.warn(f"left out a level of a field: {why}", UserWarning, stacklevel=2)

    def _leave_out(self, place: Hashable, why: object) -> None:
        """Show nothing at a place from now on, and say so."""
        self._opened[place] = None
        warnings.warn(f"left out a field: {why}", UserWarning, stacklevel=2)


def _level_for(room: Room, field: StoredImage) -> tuple[int, LazyArray]:
    """Number and pixels of the level of this size, or of a larger one, skipping."""
    full = field.levels[0].shape
    wanted = tuple(
        math.ceil(size / by) for size, by in zip(full, room.shrunk, strict=True)
    )
    number = 0
    for at, level in enumerate(field.levels):
        if all(a + 1 >= b for a, b in zip(level.shape, wanted, strict=True)):
            number = at
    found = field.levels[number]
    steps = [
        max(1, round(a / max(b, 1))) for a, b in zip(found.shape, wanted, strict=True)
    ]
    cut = found[
        tuple(
            slice(0, side * step, step)
            for side, step in zip(room.shape, steps, strict=True)
        )
    ]
    assert isinstance(cut, LazyArray)
    return number, cut
