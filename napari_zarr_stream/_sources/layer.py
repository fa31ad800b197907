"""A napari layer as a source of planes. Duck-typed: knows no napari."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from napari_zarr_stream._writer.axes import check_scale, check_translation
from napari_zarr_stream._writer.codecs import stored_dtype
from napari_zarr_stream._writer.errors import InvalidProperties, SourceFailed
from napari_zarr_stream._writer.properties import Channel
from napari_zarr_stream._writer.record import RecordKey

from .boxes import Boxes
from .layer_axes import axes_of, check_axes, is_named
from .layer_channels import channels_of, looks_rgb, rgb_channels, shown_of
from .layer_levels import is_decimated, levels_of, place_at
from .layer_objects import said_of_labels
from .layer_place import (
    checked_units,
    labels_of,
    place_of,
    same_position,
    same_size,
    units_of,
)
from .plane_reader import PlaneReader
from .source import Frame, Sink, SourceDescription
from .tiff import place_in_tiff

BUILTIN_READERS = ("napari", "builtins")
"""Readers that hand over what a TIFF file holds in its own order, and no more."""


class LayerAxis(NamedTuple):
    """One axis of a layer: what it is, and where its pixels lie in the world.

    The scale is negative along an axis that is mirrored.
    """

    name: str
    size: int
    scale: float
    start: float
    unit: str | None


class LayerSource:
    """A layer as a source.

    Parameters
    ----------
    data : array, or sequence of arrays
        Of a multiscale layer level 0 is read; the others are `smaller`.
    meta : mapping
        As in napari's LayerData tuples.
    layer_type : str
        "image" or "labels".
    axes : str, optional
        One of "tczyx" for each axis, in the layer's order, where its labels are missing
        or wrong. The colours of an RGB layer are "c", and may be left out.
    first_level : int
        Of a multiscale layer: the level that is taken for level 0.

    Attributes
    ----------
    name : str
    axes : tuple of LayerAxis
        In the layer's order, without that of an RGB layer's colours.
    guessed : str
        Those of the axes that nothing but their number tells.

    Raises
    ------
    InvalidProperties
        A layer that OME-Zarr cannot hold; says what to change.
    """

    KINDS = ("image", "labels")
    """Types of layers that can be stored."""

    def __init__(
        self,
        data: Any,
        meta: Mapping[str, Any],
        layer_type: str = "image",
        *,
        axes: str | None = None,
        first_level: int = 0,
    ) -> None:
        given_name = meta.get("name")
        has_name = isinstance(given_name, str) and given_name.strip()
        self.name = str(given_name) if has_name else layer_type
        self._who = who = f"layer {self.name!r}"
        if layer_type not in self.KINDS:
            raise InvalidProperties(
                f"{who} is a {layer_type} layer; only image and labels can be stored"
            )
        is_label = layer_type == "labels"
        levels = levels_of(data, meta)
        full_shape = tuple(map(int, levels[0].shape))
        channel_axis, is_rgb = _find_channels(meta, full_shape, is_label)
        if first_level:
            meta = {**meta, **place_at(who, levels, meta, first_level, channel_axis)}
            levels = data = levels[first_level:]
        array = levels[0]
        shape = tuple(map(int, array.shape))
        ndim = len(shape) - (channel_axis is not None)
        if ndim < 2 or 0 in shape:
            raise InvalidProperties(f"{who} of shape {shape} is not an image")
        dtype = _type_of_pixels(who, array, is_label)
        self._given = (data, meta, layer_type)
        self._levels, self._is_rgb = levels, is_rgb
        lengths = [size for i, size in enumerate(shape) if i != channel_axis]
        units = units_of(who, meta, ndim)
        scale, start = place_of(who, meta, lengths)
        self.guessed = ""
        if axes is None:
            axes, self.guessed = axes_of(who, labels_of(who, meta, ndim), units)
        if is_rgb and "c" in axes[:ndim]:
            raise InvalidProperties(
                f"{who} has colours, which are stored as its channels, and an axis c "
                f"beside them ({axes}): split that into layers, or give it another name"
            )
        if channel_axis is not None and len(axes) == ndim:
            axes = f"{axes[:channel_axis]}c{axes[channel_axis:]}"
        check_axes(who, axes, len(shape))
        own = [axis for i, axis in enumerate(axes) if i != channel_axis]
        self.axes = tuple(
            map(LayerAxis._make, zip(own, lengths, scale, start, units, strict=True))
        )

        place = {axis.name: axis for axis in self.axes}
        # A layer that is mirrored is read backwards, so that it stays where it is.
        backwards = "".join(axis.name for axis in self.axes if axis.scale < 0)
        self._planes = PlaneReader(array, axes, dtype, backwards)
        self._next = 0
        ordered = self._planes.axes
        channels = self._channels(meta, is_rgb, is_label)
        record: dict[str, Any] = {
            RecordKey.SOURCE: "layer",
            RecordKey.LAYER: self.name,
            RecordKey.LAYER_AXES: axes,
            RecordKey.SHOWN: shown_of(meta, () if is_rgb else channels),
        }
        if is_label:
            record |= said_of_labels(meta, len(channels))
        self._description = SourceDescription(
            name=self.name,
            axes=ordered,
            shape=self._planes.shape,
            dtype=dtype,
            scale=check_scale(
                {name: abs(axis.scale) for name, axis in place.items()}, ordered
            ),
            translation=check_translation(
                {
                    name: axis.start + min(0.0, axis.scale) * (axis.size - 1)
                    for name, axis in place.items()
                },
                ordered,
            ),
            units=checked_units(
                who,
                [place[axis].unit if axis in place else None for axis in ordered],
                ordered,
            ),
            channels=channels,
            is_label=is_label,
            record=record,
        )

    @classmethod
    def of(cls, layer: Any, *, axes: str | None = None, first_level: int = 0) -> Self:
        """A napari layer as a source.

        Raises
        ------
        InvalidProperties
            As for the constructor.
        """
        data, meta, layer_type = layer.as_layer_data_tuple()
        # How far the slider of the contrast limits goes; not in the tuple.
        span = getattr(layer, "contrast_limits_range", None)
        meta = {**meta, "contrast_limits_range": span}
        source = layer.source
        if source.path and source.reader_plugin in BUILTIN_READERS:
            meta = with_place_in_file(data, meta, Path(source.path))
        return cls(data, meta, layer_type, axes=axes, first_level=first_level)

    def placed_as(self, other: Self) -> Self | None:
        """The same layer with the axes of one that has as many pixels along each.

        Its channels, if it has some, need not be there. Scale, position and units are
        those of `other` as well, unless this layer has a scale or position of its own.
        None where the shapes differ.
        """
        data, meta, layer_type = self._given
        sizes = [axis.size for axis in self.axes]
        for left_out in ("", "c"):
            axes = [axis for axis in other.axes if axis.name not in left_out]
            if [axis.size for axis in axes] == sizes:
                place: dict[str, Any] = {"axis_labels": [axis.name for axis in axes]}
                if self._lies_where(axes):
                    place |= {
                        "scale": [axis.scale for axis in axes],
                        "translate": [axis.start for axis in axes],
                        "units": [axis.unit for axis in axes],
                        **dict.fromkeys(("rotate", "shear", "affine")),
                    }
                return type(self)(data, {**meta, **place}, layer_type)
        return None

    def _lies_where(self, axes: Sequence[LayerAxis]) -> bool:
        """Whether this layer has no place of its own, or the same."""
        is_unmoved = all(
            (axis.scale, axis.start, axis.unit) == (1.0, 0.0, None)
            for axis in self.axes
        )
        return is_unmoved or all(
            same_size(own.scale, axis.scale)
            and same_position(own.start, axis.start, axis.scale)
            and own.unit in (None, axis.unit)
            for own, axis in zip(self.axes, axes, strict=True)
        )

    def _channels(
        self, meta: Mapping[str, Any], is_rgb: bool, is_label: bool
    ) -> tuple[Channel, ...]:
        axes, shape = self._planes.axes, self._planes.shape
        count = shape[axes.index("c")] if "c" in axes else 1
        if is_rgb:
            return rgb_channels(meta, count, self._planes.dtype)
        if is_label:  # the colours of its objects are none of light
            meta = {"name": meta.get("name"), "visible": meta.get("visible")}
        return channels_of(self.name, meta, count)

    def describe(self) -> SourceDescription:
        """See `Source.describe`."""
        return self._description

    @property
    def planes(self) -> int:
        """How many there are in all."""
        return len(self._planes)

    def smaller(self) -> Sequence[Self]:
        """See `PlaneSource.smaller`."""
        _, meta, layer_type = self._given
        meta = {**meta, "multiscale": True, "rgb": self._is_rgb}
        axes = "".join(axis.name for axis in self.axes)
        return [
            type(self)([level], meta, layer_type, axes=axes)
            for level in self._levels[1:]
        ]

    def decimated(self, halved: Sequence[str]) -> Self:
        """The same with lower levels of every other pixel.

        Parameters
        ----------
        halved : sequence of str
            For each lower level the axes that it halves, as in "yx".
        """
        _, meta, layer_type = self._given
        axes = "".join(axis.name for axis in self.axes)
        levels = [self._levels[0]]
        for names in halved:
            step = (slice(None, None, 2 if axis in names else 1) for axis in axes)
            levels.append(levels[-1][tuple(step)])
        meta = {**meta, "multiscale": True}
        return type(self)(levels, meta, layer_type, axes=axes)

    @property
    def is_decimated(self) -> bool:
        """Whether its lower levels have every other pixel of the one above."""
        return len(self._levels) > 1 and is_decimated(self._levels)

    @property
    def is_in_memory(self) -> bool:
        """See `PlaneSource.is_in_memory`."""
        return self._planes.is_in_memory

    def read_within(self, max_bytes: int) -> int:
        """See `PlaneSource.read_within`."""
        if self.is_in_memory:
            return 0
        self._planes.read_within(max_bytes)
        return self._planes.block_bytes

    def rows_within(self, max_bytes: int) -> int:
        """See `PlaneSource.rows_within`."""
        read = self._planes.rows_within(max_bytes)
        return 0 if self.is_in_memory else read

    @property
    def boxes(self) -> Boxes:
        """See `PlaneSource.boxes`."""
        return Boxes((self._planes,), None, (self.name,))

    @property
    def times_read(self) -> int:
        """See `PlaneSource.times_read`."""
        return 1 if self.is_in_memory else self._planes.times_read

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
            raise SourceFailed(f"all {self.planes} planes of {self._who} were read")
        pixels = self.planes_from(self._next)
        self._next += len(pixels)
        return Frame(pixels)

    @property
    def events(self) -> Sequence[Mapping[str, Any]]:
        """See `Source.events`."""
        return ()

    def run(self, work: Callable[[], None], is_stopping: Callable[[], bool]) -> None:
        """See `Source.run`: here."""
        work()

    def drain(self, timeout_s: float) -> None:
        """See `Source.drain`."""

    def feed(self, sink: Sink, timeout_s: float) -> None:
        """See `Source.feed`."""
        if (frame := self.read(timeout_s)) is not None:
            sink.append(frame.pixels)

    def stop(self) -> None:
        """See `Source.stop`."""
        self._planes.release()

    def planes_from(self, first: int) -> npt.NDArray[np.generic]:
        """Read plane number `first`, and those after it that come with it.

        Returns
        -------
        (n, height, width)

        Raises
        ------
        SourceFailed
            Naming the layer and the plane.
        """
        try:
            return self._planes.planes_from(first)
        except Exception as error:
            raise SourceFailed(
                f"plane {first} of {self.planes} of {self._who} could not be read: "
                f"{error!r}"
            ) from error

    def rows_from(self, plane: int, row: int) -> npt.NDArray[np.generic]:
        """See `PlaneSource.rows_from`.

        Raises
        ------
        SourceFailed
            Naming the layer, the plane and the row.
        """
        try:
            return self._planes.rows_from(plane, row)
        except Exception as error:
            raise SourceFailed(
                f"row {row} of plane {plane} of {self.planes} of {self._who} could not "
                f"be read: {error!r}"
            ) from error


def with_place_in_file(
    data: Any, meta: Mapping[str, Any], path: Path
) -> Mapping[str, Any]:
    """What is said of a layer, and what its file says where nobody has said anything.

    Parameters
    ----------
    data, meta
        As for `LayerSource`.
    path : Path
        Of the file whose pixels these are, in its order of axes.
    """
    shape = tuple(map(int, levels_of(data, meta)[0].shape))
    is_rgb = looks_rgb(meta, shape)
    who, ndim = f"layer {meta.get('name')!r}", len(shape) - is_rgb
    if any(map(is_named, labels_of(who, meta, ndim))):
        return meta
    place = place_in_tiff(path, shape, is_rgb=is_rgb)
    scale, start = place_of(who, meta, shape[:ndim])
    if {*scale, *start, *units_of(who, meta, ndim)} != {1.0, 0.0, None}:
        place = {key: place[key] for key in place if key == "axis_labels"}
    return {**meta, **place}


def _find_channels(
    meta: Mapping[str, Any], shape: Sequence[int], is_label: bool
) -> tuple[int | None, bool]:
    """Which axis is channels, beside those that labels name; whether it is colours."""
    if is_label:
        return None, False
    given = meta.get("channel_axis")
    if given is not None:
        return int(given) % len(shape), False
    is_rgb = looks_rgb(meta, shape)
    return (len(shape) - 1 if is_rgb else None), is_rgb


def _type_of_pixels(who: str, array: Any, is_label: bool) -> np.dtype[np.generic]:
    try:
        # tensorstore has types of its own
        dtype = stored_dtype(getattr(array.dtype, "numpy_dtype", array.dtype))
    except (InvalidProperties, TypeError) as error:
        raise InvalidProperties(f"{who}: {error}") from None
    if not is_label:
        return dtype
    if dtype.kind not in "biu":
        raise InvalidProperties(f"{who}: labels are integers, not {dtype}")
    # OME-NGFF has labels of integers only.
    return np.dtype(np.uint8) if dtype.kind == "b" else dtype
