"""Planes of a set of images that are there, told from those that are merely black."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_zarr_stream._writer.errors import InvalidStore
from napari_zarr_stream._writer.frame_log import FRAME_LOG
from napari_zarr_stream._writer.logged import MAX_ROWS, PLACES, SetLog, place_in_set
from napari_zarr_stream._writer.record import RECORD_KEY, RecordKey

from .array_document import shape_in
from .axes import axes_of
from .documents import Node, mapping, open_node, sequence, understanding
from .image import StoredImage, first_levels, multiscales_of
from .location import Location, inside, look_up

MOST_IMAGES = 2**11
"""Whose documents are read for it: more take seconds."""

NAMED = 4
"""Planes that are named one by one."""


class NotAcquired(str):
    """A note of black planes: who took them has been told in other words."""


@dataclass(frozen=True, slots=True)
class Acquired:
    """How many planes there are, and how many there is room for.

    Attributes
    ----------
    planes, room : int
    named : tuple of str
        Some of those that are not there, by their places.
    """

    planes: int
    room: int
    named: tuple[str, ...] = ()

    def in_words(self) -> str:
        """What is not there; empty where everything is."""
        missing = self.room - self.planes
        if not missing:
            return ""
        which = f" ({'; '.join(self.named)}{' ...' if missing > NAMED else ''})"
        return (
            f"{missing:,} of {self.room:,} planes were not acquired, and are black"
            f"{which if self.named else ''}"
        )


def of_image(image: StoredImage) -> Acquired | None:
    """Of an image; None where it is none of a set of ours here.

    Raises
    ------
    InvalidStore
        The frame log cannot be understood.
    """
    part_of = image.record.get(RecordKey.PART_OF)
    if not isinstance(part_of, dict):
        return None
    where, number = _place_in_set(image.path, part_of)
    if where is None:
        return None
    axes = "".join(axis.name for axis in image.axes)
    outer = tuple(image.levels[0].shape[:-2])
    there = _log_at(where).planes_of(number, axes[:-2], outer)
    first = np.argwhere(~there.reshape(outer))[:NAMED].tolist() if outer else []
    named = tuple(
        ", ".join(f"{axis} {at}" for axis, at in zip(axes, place, strict=False))
        for place in first
    )
    return Acquired(int(there.sum()), len(there), named)


def of_set(root: Node) -> Acquired | None:
    """Of all images of a set; None where it is none of ours here, or too large.

    Raises
    ------
    InvalidStore
        The frame log cannot be understood.
    """
    record = mapping(root.attributes.get(RECORD_KEY))
    if RecordKey.IMAGES not in record:
        return None
    paths = list(_images_in(root))
    if len(paths) > MOST_IMAGES:
        return None
    look_up(paths)
    look_up(first_levels(paths))
    log = _log_at(root.path)
    planes = room = 0
    for path in paths:
        with understanding(path):
            if (node := open_node(path)) is None:
                continue
            image = multiscales_of(node)[0]
            shape, _ = shape_in(inside(path, sequence(image["datasets"])[0]["path"]))
            axes = "".join(axis.name for axis in axes_of(image, (), len(shape), []))
            own = mapping(node.attributes.get(RECORD_KEY))
            _, number = _place_in_set(path, mapping(own.get(RecordKey.PART_OF)))
            there = log.planes_of(number, axes[:-2], shape[:-2])
            planes, room = planes + int(there.sum()), room + len(there)
    return Acquired(planes, room)


def _place_in_set(
    path: Location, part_of: Mapping[str, Any]
) -> tuple[Location | None, int]:
    """The root of the set that an image is part of, and its number there.

    No root where the image was opened by itself, and nothing above it can be asked for.
    """
    if isinstance(path, Path):
        return place_in_set(path, part_of)
    above, number = place_in_set(Path(), part_of)
    if len(above.parts) > len(path.parents):
        return None, number
    root: Location = path
    for _ in above.parts:
        root = root.parent
    return root, number


def _log_at(root: Location) -> SetLog:
    """The log of a set, in a folder or where else it is."""
    if isinstance(root, Path):
        return SetLog.at(root)
    look_up(root / FRAME_LOG / name for name in PLACES)
    return SetLog({name: _column(root / FRAME_LOG / name) for name in PLACES})


def _column(place: Location) -> npt.NDArray[np.generic]:
    """A column of a log; empty where there is none."""
    from .zarr_array import ZarrArray  # 0.3 s

    node = open_node(place)
    if node is None or not node.is_array:
        return np.zeros(0, np.int64)
    array = ZarrArray(place)
    if len(array.shape) != 1 or array.dtype.kind not in "biuf":
        raise InvalidStore(f"{place} is no column of a frame log")
    return array[(slice(0, min(array.shape[0], MAX_ROWS)),)]


def notes_of(path: Location, ask: Callable[[], Acquired | None]) -> list[str]:
    """What who opens it is to be told: nothing where all planes are there."""
    try:
        acquired = ask()
    except InvalidStore as error:  # which does not hide the pixels
        return [f"{path}: which planes were acquired is not known: {error}"]
    words = acquired.in_words() if acquired else ""
    return [NotAcquired(f"{path}: {words}")] if words else []


def _images_in(root: Node) -> Iterator[Location]:
    if root.kind != "plate":
        count = mapping(root.attributes.get(RECORD_KEY)).get(RecordKey.IMAGES)
        numbers = range(count if isinstance(count, int) else 0)
        yield from (root.path / str(number) for number in numbers[: MOST_IMAGES + 1])
        return
    for entry in map(mapping, sequence(mapping(root.ome["plate"]).get("wells"))):
        well = inside(root.path, entry.get("path"))
        node = open_node(well)
        fields = sequence(mapping(node.ome.get("well")).get("images")) if node else []
        yield from (inside(well, mapping(each).get("path")) for each in fields)
