"""The images of a set: as they are to be, and which of their planes have come."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .dataset import Dataset
from .errors import FrameMismatch, InvalidProperties
from .plan import Plan
from .plate import Plate
from .properties import Channel, StorageProperties, ZHalving

ALONE = ""
"""The path of an image that is the store, and none of several in it."""


@dataclass(frozen=True, slots=True)
class ImageDescription:
    """One image of a set, as it is to be.

    Attributes
    ----------
    path : str
        In the store: "0", "1", ..., or "A/1/0" (row, column, field) of a plate. "" of
        one that is alone, and is the store.
    name : str
    axes : str
        Some of "tczyx", in this order, ending in "yx".
    shape : tuple of int or None
        One size per axis; None for a first axis without bound.
    dtype : dtype-like
    scale, translation, units : sequence or mapping by axis, optional
        As for `ZarrStream`.
    channels : sequence of Channel, optional
    record : mapping
        What else to keep of it, as JSON values.
    """

    path: str
    name: str
    axes: str
    shape: tuple[int | None, ...]
    dtype: npt.DTypeLike
    scale: Mapping[str, float] | Sequence[float] | None = None
    translation: Mapping[str, float] | Sequence[float] | None = None
    units: Mapping[str, str | None] | Sequence[str | None] | None = None
    channels: Sequence[Channel] | None = None
    record: Mapping[str, Any] = field(default_factory=dict)


class SetImage:
    """One image of a set, and which of its planes have come."""

    def __init__(self, number: int, plan: Plan, dataset: Dataset) -> None:
        self.number, self.plan, self.dataset = number, plan, dataset
        # Slots of one kind are lent to all images whose planes are cut alike.
        self.kind = (plan.level_shapes[0][-2:], plan.dtype.str)
        self.steps = 0  # that readers were told of; of who commits
        self.planes = 0
        self._there = bytearray()  # a bit for each plane

    def place_of(self, place: Sequence[int]) -> int:
        """The number of a plane in C order.

        Raises
        ------
        FrameMismatch
            There is no such place, or a plane is there already.
        """
        outer = self.plan.outer
        number = 0
        inside = len(place) == len(outer)
        for at, size in zip(place, outer, strict=False):
            inside &= at >= 0 and (size is None or at < size)
            number = number * (size or 1) + at
        if not inside:
            raise FrameMismatch(
                f"image {self.number} has no place {tuple(place)}: its axes before y "
                f"and x are {self.plan.axes[:-2]!r} of {outer}"
            )
        if (
            number // 8 < len(self._there)
            and self._there[number // 8] >> number % 8 & 1
        ):
            raise FrameMismatch(
                f"image {self.number} has a plane at {tuple(place)} already"
            )
        return number

    def take(self, number: int) -> None:
        """Note that a plane is there."""
        self._there.extend(bytes(max(0, number // 8 + 1 - len(self._there))))
        self._there[number // 8] |= 1 << number % 8
        self.planes += 1

    def check_fits(self, plane: npt.NDArray[np.generic]) -> None:
        """Raise FrameMismatch, where the image takes planes of another size or type."""
        size, dtype = self.plan.plane_shape(0), self.plan.dtype
        if plane.shape != size or plane.dtype.newbyteorder("<") != dtype:
            raise FrameMismatch(
                f"got a plane of shape {plane.shape} and type {plane.dtype}, but image "
                f"{self.number} takes planes of shape {size} and type {dtype.name}"
            )


def one_plane_a_chunk(properties: StorageProperties) -> StorageProperties:
    """The properties with which planes can be written in any order.

    Raises
    ------
    InvalidProperties
        Levels that need several planes.
    """
    if properties.z_rule is not ZHalving.WITH_YX:
        raise InvalidProperties(
            f"z_halving {properties.z_rule} needs planes in order: planes at any place "
            f"are halved in y and x ({ZHalving.WITH_YX})"
        )
    axis = "z" if properties.sharded else ""
    return replace(properties, tile_planes=1, frames_per_chunk=1, shard_axis=axis)


def check_paths(images: Sequence[ImageDescription], plate: Plate | None) -> None:
    if not images:
        raise InvalidProperties("a set has one image or more, not none")
    paths = [image.path for image in images]
    if len(set(paths)) < len(paths):
        raise InvalidProperties("two images of a set have the same path")
    if plate is None and paths != [ALONE]:
        wanted = [str(number) for number in range(len(paths))]
        if paths != wanted:
            raise InvalidProperties(f"paths of a series are {wanted}, not {paths}")
    for path in paths if plate else ():
        row, _, rest = path.partition("/")
        column, _, number = rest.partition("/")
        known = plate and row in plate.rows and column in plate.columns
        if not known or not (number.isascii() and number.isalnum()):
            raise InvalidProperties(
                f"{path!r} is no field of the plate: row/column/field, as A/1/0"
            )
