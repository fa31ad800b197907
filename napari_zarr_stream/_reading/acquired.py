"""Planes of a set of images that are there, told from those that are merely black."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_zarr_stream._writer.errors import InvalidStore
from napari_zarr_stream._writer.logged import SetLog, place_in_set
from napari_zarr_stream._writer.record import RECORD_KEY, RecordKey

from .array_document import shape_in
from .axes import axes_of
from .documents import Node, mapping, open_node, sequence, understanding
from .image import StoredImage, multiscales_of
from .location import Location, inside

MOST_IMAGES = 2**11
"""Whose documents are read for it: more take seconds."""

NAMED = 4
"""Planes that are named one by one."""


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
    if not isinstance(part_of, dict) or not isinstance(image.path, Path):
        return None
    where, number = place_in_set(image.path, part_of)
    axes = "".join(axis.name for axis in image.axes)
    outer = tuple(image.levels[0].shape[:-2])
    there = SetLog(where).planes_of(number, axes[:-2], outer)
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
    if RecordKey.IMAGES not in record or not isinstance(root.path, Path):
        return None
    paths = [path for path in _images_in(root) if isinstance(path, Path)]
    if len(paths) > MOST_IMAGES:
        return None
    log = SetLog(root.path)
    planes = room = 0
    for path in paths:
        with understanding(path):
            if (node := open_node(path)) is None:
                continue
            image = multiscales_of(node)[0]
            shape, _ = shape_in(inside(path, sequence(image["datasets"])[0]["path"]))
            axes = "".join(axis.name for axis in axes_of(image, (), len(shape), []))
            own = mapping(node.attributes.get(RECORD_KEY))
            _, number = place_in_set(path, mapping(own.get(RecordKey.PART_OF)))
            there = log.planes_of(number, axes[:-2], shape[:-2])
            planes, room = planes + int(there.sum()), room + len(there)
    return Acquired(planes, room)


def notes_of(path: Location, ask: Callable[[], Acquired | None]) -> list[str]:
    """What who opens it is to be told: nothing where all planes are there."""
    try:
        acquired = ask()
    except InvalidStore as error:  # which does not hide the pixels
        return [f"{path}: which planes were acquired is not known: {error}"]
    words = acquired.in_words() if acquired else ""
    return [f"{path}: {words}"] if words else []


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
