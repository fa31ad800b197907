"""A napari layer as a source of planes. Duck-typed: knows no napari."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from napari_zarr_stream._writer.axes import check_scale, check_translation
from napari_zarr_stream._writer.codecs import stored_dtype
from napari_zarr_stream._writer.errors import InvalidProperties, SourceFailed
from napari_zarr_stream._writer.properties import Channel
from napari_zarr_stream._writer.record import RecordKey

from .layer_axes import axes_of, check_axes
from .layer_channels import channels_of, looks_rgb, rgb_channels, shown_of
from .layer_place import (
    checked_units,
    labels_of,
    numbers_of,
    refuse_transforms,
    units_of,
)
from .plane_reader import PlaneReader
from .source import Frame, Sink, SourceDescription


class LayerSource:
    """A layer as a source.

    Parameters
    ----------
    data : array, or sequence of arrays
        Of a multiscale layer only level 0 is used.
    meta : mapping
        As in napari's LayerData tuples.
    layer_type : str
        "image" or "labels".
    axes : str, optional
        One of "tczyx" for each axis, in the layer's order, where its labels are missing
        or wrong. The colours of an RGB layer are "c", and may be left out.

    Raises
    ------
    InvalidProperties
        A layer that OME-Zarr cannot hold; says what to change.
    """

    def __init__(
        self,
        data: Any,
        meta: Mapping[str, Any],
        layer_type: str = "image",
        *,
        axes: str | None = None,
    ) -> None:
        given_name = meta.get("name")
        self.name = given_name if isinstance(given_name, str) else layer_type
        self._who = who = f"layer {self.name!r}"
        if layer_type not in ("image", "labels"):
            raise InvalidProperties(
                f"{who} is a {layer_type} layer; only image and labels can be stored"
            )
        is_label = layer_type == "labels"
        array = _full_size(data, meta)
        shape = tuple(map(int, array.shape))
        channel_axis, is_rgb = _find_channels(meta, shape, is_label)
        ndim = len(shape) - (channel_axis is not None)
        if ndim < 2 or 0 in shape:
            raise InvalidProperties(f"{who} of shape {shape} is not an image")
        dtype = _type_of_pixels(who, array, is_label)
        refuse_transforms(who, meta)

        units: Sequence[str | None] = units_of(who, meta, ndim)
        scale: Sequence[float] = numbers_of(who, meta, "scale", ndim, 1.0)
        start: Sequence[float] = numbers_of(who, meta, "translate", ndim, 0.0)
        if axes is None:
            axes = axes_of(who, labels_of(who, meta, ndim), units)
        if channel_axis is not None:
            if len(axes) == ndim:
                axes = f"{axes[:channel_axis]}c{axes[channel_axis:]}"
            units = [*units[:channel_axis], None, *units[channel_axis:]]
            scale = [*scale[:channel_axis], 1.0, *scale[channel_axis:]]
            start = [*start[:channel_axis], 0.0, *start[channel_axis:]]
        check_axes(who, axes, len(shape))

        # A layer that is mirrored is read backwards, so that it stays where it is.
        sizes = dict(zip(axes, scale, strict=True))
        backwards = "".join(axis for axis, size in sizes.items() if size < 0)
        position = {
            axis: at + min(0.0, size) * (length - 1)
            for axis, at, size, length in zip(axes, start, scale, shape, strict=True)
        }
        self._planes = PlaneReader(array, axes, dtype, backwards)
        self._next = 0
        ordered = self._planes.axes
        unit_of = dict(zip(axes, units, strict=True))
        channels = None if is_label else self._channels(meta, is_rgb)
        record: dict[str, Any] = {
            RecordKey.SOURCE: "layer",
            RecordKey.LAYER: self.name,
            RecordKey.LAYER_AXES: axes,
            RecordKey.SHOWN: shown_of(meta, () if is_rgb else channels),
        }
        self._description = SourceDescription(
            name=self.name,
            axes=ordered,
            shape=self._planes.shape,
            dtype=dtype,
            scale=check_scale(
                {axis: abs(size) for axis, size in sizes.items()}, ordered
            ),
            translation=check_translation(position, ordered),
            units=checked_units(who, [unit_of[axis] for axis in ordered], ordered),
            channels=channels,
            is_label=is_label,
            record=record,
        )

    @classmethod
    def of(cls, layer: Any, *, axes: str | None = None) -> Self:
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
        return cls(data, meta, layer_type, axes=axes)

    def _channels(self, meta: Mapping[str, Any], is_rgb: bool) -> tuple[Channel, ...]:
        axes, shape = self._planes.axes, self._planes.shape
        count = shape[axes.index("c")] if "c" in axes else 1
        if is_rgb:
            return rgb_channels(meta, count, self._planes.dtype)
        return channels_of(self.name, meta, count)

    def describe(self) -> SourceDescription:
        """See `Source.describe`."""
        return self._description

    @property
    def planes(self) -> int:
        """How many there are in all."""
        return len(self._planes)

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


def _full_size(data: Any, meta: Mapping[str, Any]) -> Any:
    """Level 0 of a multiscale layer, or the array that there is."""
    many = meta.get("multiscale")
    if many is None:
        many = isinstance(data, list | tuple) and hasattr(data[0], "shape")
    array = data[0] if many else data
    return array if hasattr(array, "shape") else np.asarray(array)


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
