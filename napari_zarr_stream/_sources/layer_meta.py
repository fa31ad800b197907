"""What napari says of a layer, in the words of a stream: plain values.

Duck-typed: a layer's metadata may come from napari or from any reader plugin.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from napari_zarr_stream._writer.axes import check_units
from napari_zarr_stream._writer.colours import (
    BLACK,
    NAMED,
    RGB,
    WHITE,
    given_color,
    hex_of,
)
from napari_zarr_stream._writer.errors import InvalidProperties
from napari_zarr_stream._writer.ngff import range_of
from napari_zarr_stream._writer.properties import Channel

Meta = Mapping[str, Any]

_RGBA = (*((name.capitalize(), NAMED[name]) for name in RGB), ("Alpha", BLACK))
"""Alpha is black, since light is what viewers add up."""


def refuse_transforms(who: str, meta: Meta) -> None:
    """Refuse what scale and translation cannot say.

    Raises
    ------
    InvalidProperties
        For a layer that is rotated, sheared or has an affine transform.
    """
    for name in ("rotate", "shear", "affine"):
        given = meta.get(name)
        if given is None:
            continue
        values = np.asarray(getattr(given, "affine_matrix", given), dtype=float)
        neutral = np.eye(len(values)) if values.ndim == 2 else np.zeros_like(values)
        if values.shape != neutral.shape or not np.allclose(values, neutral):
            raise InvalidProperties(
                f"{who} has a transform of its own ({name}), which OME-Zarr cannot "
                f"hold: apply it to the pixels, or reset layer.{name}"
            )


def numbers_of(
    who: str, meta: Meta, key: str, ndim: int, default: float
) -> tuple[float, ...]:
    """One number for each axis; as in napari, missing ones are those of the first axes.

    Raises
    ------
    InvalidProperties
        More numbers than axes.
    """
    given = meta.get(key)
    values = [] if given is None else np.atleast_1d(np.asarray(given, float)).tolist()
    if len(values) == 1 and np.isscalar(given):
        values *= ndim
    if len(values) > ndim:
        raise InvalidProperties(
            f"{who}: {key} has {len(values)} values for {ndim} axes"
        )
    return (*[default] * (ndim - len(values)), *values)


def units_of(who: str, meta: Meta, ndim: int) -> tuple[str | None, ...]:
    """One unit for each axis, as a word; None for "pixel".

    Raises
    ------
    InvalidProperties
        Another number of units than axes.
    """
    given = meta.get("units")
    if given is None or isinstance(given, str) or not isinstance(given, Sequence):
        given = [given] * ndim
    if len(given) != ndim:
        raise InvalidProperties(f"{who}: {len(given)} units for {ndim} axes")
    words = [None if unit is None else str(unit) for unit in given]
    return tuple(None if word in ("pixel", "") else word for word in words)


def checked_units(
    who: str, units: Sequence[str | None], axes: str
) -> tuple[str | None, ...]:
    """The NGFF words; a channel axis has none.

    Raises
    ------
    InvalidProperties
        A unit that is not one for its axis; says how to change it.
    """
    given = [None if axis == "c" else u for axis, u in zip(axes, units, strict=True)]
    try:
        return check_units(given, axes)
    except InvalidProperties as error:
        raise InvalidProperties(
            f"{who}: {error}. Change layer.units, or label the axes if they are others "
            f"than {axes!r}"
        ) from None


def labels_of(who: str, meta: Meta, ndim: int) -> tuple[str, ...]:
    """One label for each axis, "" where there is none.

    Raises
    ------
    InvalidProperties
        Another number of labels than axes.
    """
    given = meta.get("axis_labels") or [""] * ndim
    if len(given) != ndim:
        raise InvalidProperties(f"{who}: {len(given)} axis labels for {ndim} axes")
    return tuple(map(str, given))


def looks_rgb(meta: Meta, shape: Sequence[int]) -> bool:
    """Whether the last axis is one of colours: what is said, or else napari's guess."""
    if meta.get("rgb") is not None:
        return bool(meta["rgb"])
    return len(shape) > 2 and shape[-1] in (3, 4) and min(shape[-3:-1]) > 30


def rgb_channels(count: int, dtype: np.dtype[np.generic]) -> tuple[Channel, ...]:
    """Red, green, blue and perhaps alpha, of the whole range of the type."""
    return tuple(
        Channel(name, color, contrast_limits=range_of(dtype))
        for name, color in _RGBA[:count]
    )


def channels_of(name: str, meta: Meta, count: int) -> tuple[Channel, ...]:
    """How the channels of a layer are shown.

    `meta` may have lists with a value for each channel, as with `channel_axis`.
    """
    channels = []
    for i in range(count):
        label = name if count == 1 else f"{name} {i}"
        if not isinstance(meta.get("name"), str):
            label = _of_channel(meta.get("name"), i) or label
        color = color_of(_of_channel(meta.get("colormap"), i))
        if color is None:
            color = WHITE if count == 1 else given_color(i)
        limits = _limits(_of_channel(meta.get("contrast_limits"), i))
        span = _limits(meta.get("contrast_limits_range"))
        if limits and span:
            span = (min(span[0], limits[0]), max(span[1], limits[1]))
        channels.append(Channel(label, color, limits, None if span == limits else span))
    return tuple(channels)


def colormaps_of(meta: Meta, channels: Sequence[Channel]) -> list[Any]:
    """Names of colormaps that one colour does not say, for our own record.

    Each with the colour of its channel, to see if another program has changed that;
    None for colormaps that run from black to a colour.
    """
    found = []
    for i, channel in enumerate(channels):
        colormap = _of_channel(meta.get("colormap"), i)
        is_dict = isinstance(colormap, Mapping)
        colors = colormap.get("colors") if is_dict else getattr(colormap, "colors", ())
        name = colormap.get("name") if is_dict else getattr(colormap, "name", None)
        says_all = colors is None or len(colors) <= 2 or not name
        found.append(None if says_all else {"name": str(name), "color": channel.color})
    return found


def _of_channel(given: Any, i: int) -> Any:
    """Value number `i` of a list of values, or the one there is for all channels."""
    is_list = isinstance(given, list | tuple) and len(given) > 0
    if is_list and not isinstance(given[0], int | float | np.number):
        return given[i] if i < len(given) else None
    return given


def _limits(given: Any) -> tuple[float, float] | None:
    if given is None or len(given) != 2:
        return None
    low, high = (float(value) for value in given)
    return (low, high) if low < high and math.isfinite(high - low) else None


def color_of(colormap: Any) -> str | None:
    """Last colour of a colormap as six hex digits; None for grey and unknown ones."""
    if isinstance(colormap, str):
        name = colormap.lower()
        return None if name == "gray" else NAMED.get(name) or hex_of(colormap)
    if isinstance(colormap, Mapping):
        colors = colormap.get("colors")
    else:
        colors = getattr(colormap, "colors", None)
    if colors is None:
        return None
    last = np.asarray(colors, dtype=float)[-1][:3]
    text = "".join(f"{round(255 * value):02X}" for value in np.clip(last, 0, 1))
    return None if text == WHITE else text
