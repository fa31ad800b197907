"""How a layer is shown, as channels of a stream and what our own record adds to them.

Duck-typed: a layer's metadata may come from napari or from any reader plugin.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_zarr_stream._writer.colours import (
    BLACK,
    NAMED,
    RGB,
    WHITE,
    color_of_ramp,
    digits_of,
    given_color,
    hex_of,
)
from napari_zarr_stream._writer.contrast import range_of
from napari_zarr_stream._writer.properties import Channel

Meta = Mapping[str, Any]

_RGBA = (*((name.capitalize(), NAMED[name]) for name in RGB), ("Alpha", BLACK))
"""Alpha is black, since light is what viewers add up."""

MAX_COLORS = 1024
"""Of a colormap that is kept as it is; napari's own have up to 256."""


def looks_rgb(meta: Meta, shape: Sequence[int]) -> bool:
    """Whether the last axis is one of colours: what is said, or else napari's guess."""
    if meta.get("rgb") is not None:
        return bool(meta["rgb"])
    return len(shape) > 2 and shape[-1] in (3, 4) and min(shape[-3:-1]) > 30


def rgb_channels(
    meta: Meta, count: int, dtype: np.dtype[np.generic]
) -> tuple[Channel, ...]:
    """Red, green, blue and perhaps alpha, of the whole range of the type.

    Alpha is not active: it says how much of the others is seen, and is no light.
    """
    is_shown = _is_shown(meta, 0)
    return tuple(
        Channel(
            name,
            color,
            contrast_limits=range_of(dtype),
            active=is_shown and color != BLACK,
        )
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
        color, is_inverted = _color_of(_of_channel(meta.get("colormap"), i))
        if color == WHITE and count > 1 and not is_inverted:
            color = given_color(i)
        limits = _limits(_of_channel(meta.get("contrast_limits"), i))
        span = _limits(meta.get("contrast_limits_range"))
        if limits and span:
            span = (min(span[0], limits[0]), max(span[1], limits[1]))
        gamma = _of_channel(meta.get("gamma"), i)
        channels.append(
            Channel(
                label,
                color,
                limits,
                None if span == limits else span,
                active=_is_shown(meta, i),
                inverted=is_inverted,
                gamma=1.0 if gamma is None else float(gamma),
            )
        )
    return tuple(channels)


def shown_of(meta: Meta, channels: Sequence[Channel]) -> list[dict[str, Any]]:
    """What a viewer like ours shows that one colour does not say, for our own record.

    Each with the colour of its channel, to see if another program has changed that.
    """
    found = []
    for i, channel in enumerate(channels):
        shown: dict[str, Any] = {"color": channel.color}
        if (colormap := _recorded(_of_channel(meta.get("colormap"), i))) is not None:
            shown["colormap"] = colormap
        blending = _of_channel(meta.get("blending"), i)
        if blending is not None:
            shown["blending"] = str(getattr(blending, "value", blending))
        opacity = _of_channel(meta.get("opacity"), i)
        if opacity is not None and opacity != 1:
            shown["opacity"] = float(opacity)
        found.append(shown)
    return found


def told_apart(
    channels: Sequence[Channel], shown: Sequence[dict[str, Any]]
) -> tuple[tuple[Channel, ...], list[dict[str, Any]]]:
    """The channels with colours for those that are grey, if there are several.

    Viewers add up the light of channels: two grey ones become one. Our own record says
    that they were grey, so they are again where it is known.
    """
    grey = [
        i
        for i, channel in enumerate(channels)
        if channel.color == WHITE
        and not channel.inverted
        and "colormap" not in shown[i]
    ]
    if len(grey) < 2:
        return tuple(channels), list(shown)
    taken = {channel.color for channel in channels}
    every = [given_color(i) for i in range(len(channels))]
    free = [color for color in dict.fromkeys(every) if color not in taken] or every
    colored, said = list(channels), list(shown)
    for number, i in enumerate(grey):
        color = free[number % len(free)]
        colored[i] = replace(channels[i], color=color)
        said[i] = shown[i] | {"color": color, "colormap": {"name": "gray"}}
    return tuple(colored), said


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


def _is_shown(meta: Meta, i: int) -> bool:
    visible = _of_channel(meta.get("visible"), i)
    return visible is None or bool(visible)


def _ramp_of(colormap: Any) -> npt.NDArray[np.float64] | None:
    """Colours of a colormap, (n, 3 or 4); None for a name."""
    if isinstance(colormap, Mapping):
        colors = colormap.get("colors")
    else:
        colors = getattr(colormap, "colors", None)
    if colors is None or isinstance(colors, str):
        return None
    ramp = np.asarray(colors, dtype=float)
    return ramp if ramp.ndim == 2 and len(ramp) and ramp.shape[1] in (3, 4) else None


def _color_of(colormap: Any) -> tuple[str, bool]:
    """The colour that stands for a colormap, and whether it is inverted."""
    if isinstance(colormap, str):
        name = colormap.lower()
        color = NAMED.get(name.removesuffix("_r")) or hex_of(name) or WHITE
        return color, name.endswith("_r")
    ramp = _ramp_of(colormap)
    return (WHITE, False) if ramp is None else color_of_ramp(ramp.tolist())


def _recorded(colormap: Any) -> dict[str, Any] | None:
    """A colormap as JSON values; None for one that runs from black to its colour."""
    ramp = _ramp_of(colormap)
    if isinstance(colormap, str):
        says_all = colormap.lower() in NAMED or hex_of(colormap) is not None
        return None if says_all else {"name": colormap}
    if ramp is None:
        return None

    def get(key: str) -> Any:
        is_dict = isinstance(colormap, Mapping)
        return colormap.get(key) if is_dict else getattr(colormap, key, None)

    marks_ends = get("low_color") is not None or get("high_color") is not None
    starts_black = len(ramp) == 1 or (len(ramp) == 2 and not ramp[0][:3].any())
    is_seen = color_of_ramp(ramp.tolist()) == (digits_of(ramp[-1][:3]), False)
    if starts_black and is_seen and not marks_ends:
        return None
    said: dict[str, Any] = {"name": str(get("name") or "")}
    if len(ramp) <= MAX_COLORS and not marks_ends:
        said["colors"] = [digits_of(color) for color in ramp.tolist()]
        interpolation = get("interpolation")
        said["interpolation"] = str(getattr(interpolation, "value", "linear"))
        controls = get("controls")
        if controls is not None:
            said["controls"] = np.asarray(controls, float).round(6).tolist()
    return said
