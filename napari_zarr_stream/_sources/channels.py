"""Several images of the same shape as the channels of one."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from napari_zarr_stream._writer.errors import InvalidProperties, SourceFailed
from napari_zarr_stream._writer.grid import AXES
from napari_zarr_stream._writer.record import RecordKey

from .boxes import Boxes
from .layer import LayerSource
from .layer_channels import told_apart
from .layer_place import same_position, same_size
from .source import Frame, SourceDescription

_T = TypeVar("_T")

_SAME = ("axes", "shape", "dtype", "scale", "translation", "units")


class ChannelSource:
    """Images without a channel axis as one image that has it.

    Parameters
    ----------
    images : sequence of LayerSource
    name : str
        Of the whole.

    Raises
    ------
    InvalidProperties
        Naming what the images do not have in common.
    """

    def __init__(self, images: Sequence[LayerSource], name: str) -> None:
        self._images = tuple(images)
        first, *others = (image.describe() for image in images)
        for other in others:
            _check_same(first, other)
        if "c" in first.axes:
            raise InvalidProperties(
                f"layer {first.name!r} has channels of its own and cannot become one: "
                "save the layers one by one"
            )
        at = len([axis for axis in AXES[: AXES.index("c")] if axis in first.axes])
        axes = f"{first.axes[:at]}c{first.axes[at:]}"
        channels, shown = told_apart(
            [one for image in images for one in image.describe().channels or ()],
            [
                one
                for image in images
                for one in image.describe().record[RecordKey.SHOWN]
            ],
        )
        objects = [
            one
            for image in images
            for one in image.describe().record.get(RecordKey.OBJECTS, ())
        ]
        self._description = replace(
            first,
            name=name,
            axes=axes,
            shape=_inserted(first.shape, at, len(images)),
            scale=_inserted(first.scale, at, 1.0),
            translation=_inserted(first.translation, at, 0.0),
            units=_inserted(first.units, at, None),
            channels=channels,
            record={
                RecordKey.SOURCE: "layers",
                RecordKey.LAYERS: [image.name for image in images],
                RecordKey.SHOWN: shown,
                **({RecordKey.OBJECTS: objects} if first.is_label else {}),
            },
        )
        # Planes of one channel that follow one another: those along z.
        self._depth = images[0].planes
        if at:
            self._depth //= first.shape[0] or 1
        self._next = 0

    def describe(self) -> SourceDescription:
        """See `Source.describe`."""
        return self._description

    @property
    def planes(self) -> int:
        """How many there are in all."""
        return sum(image.planes for image in self._images)

    @property
    def lost(self) -> int | None:
        """See `Source.lost`."""
        return 0

    def start(self) -> None:
        """See `Source.start`."""
        self._next = 0

    def read(self, timeout_s: float) -> Frame | None:
        """See `Source.read`."""
        if self._next >= self.planes:
            raise SourceFailed(f"all {self.planes} planes of the layers were read")
        run, z = divmod(self._next, self._depth)
        time, channel = divmod(run, len(self._images))
        pixels = self._images[channel].planes_from(time * self._depth + z)
        pixels = pixels[: self._depth - z]
        self._next += len(pixels)
        return Frame(pixels)

    def rows_within(self, max_bytes: int) -> int:
        """See `PlaneSource.rows_within`: one image is read after the other."""
        return max(image.rows_within(max_bytes) for image in self._images)

    def rows_from(self, plane: int, row: int) -> npt.NDArray[np.generic]:
        """See `PlaneSource.rows_from`."""
        run, z = divmod(plane, self._depth)
        time, channel = divmod(run, len(self._images))
        return self._images[channel].rows_from(time * self._depth + z, row)

    def smaller(self) -> "Sequence[ChannelSource]":
        """See `PlaneSource.smaller`: those that all images have alike."""
        levels = []
        for images in zip(*(image.smaller() for image in self._images), strict=False):
            if len({image.describe().shape for image in images}) > 1:
                break
            levels.append(ChannelSource(images, self._description.name))
        return levels

    @property
    def is_decimated(self) -> bool:
        """See `PlaneSource.is_decimated`."""
        return all(image.is_decimated for image in self._images)

    @property
    def is_in_memory(self) -> bool:
        """See `PlaneSource.is_in_memory`."""
        return all(image.is_in_memory for image in self._images)

    def read_within(self, max_bytes: int) -> int:
        """See `PlaneSource.read_within`: each image keeps what it has read."""
        share = max_bytes // len(self._images)
        return sum(image.read_within(share) for image in self._images)

    @property
    def boxes(self) -> Boxes:
        """See `PlaneSource.boxes`."""
        readers = tuple(image.boxes.readers[0] for image in self._images)
        names = tuple(image.name for image in self._images)
        return Boxes(readers, self._description.axes.index("c"), names)

    @property
    def times_read(self) -> int:
        """See `PlaneSource.times_read`."""
        return max(image.times_read for image in self._images)

    def stop(self) -> None:
        """See `Source.stop`."""
        for image in self._images:
            image.stop()


def _check_same(first: SourceDescription, other: SourceDescription) -> None:
    for field in _SAME:
        here, there = getattr(first, field), getattr(other, field)
        if not _are_same(field, here, there, first.scale):
            raise InvalidProperties(
                f"layers {first.name!r} and {other.name!r} cannot be channels of one "
                f"image: their {field} are {here} and {there}; save them one by one"
            )


def _are_same(field: str, here: Any, there: Any, scale: Sequence[float]) -> bool:
    if field == "scale":
        return all(map(same_size, here, there))
    if field == "translation":
        return all(map(same_position, here, there, scale))
    return bool(here == there)


def _inserted(values: Sequence[_T], at: int, value: _T) -> tuple[_T, ...]:
    return (*values[:at], value, *values[at:])
