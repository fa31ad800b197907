"""How channels are to be shown, as "omero" metadata say it.

They are optional, and others write them with gaps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from napari_zarr_stream._writer.colours import NAMED, hex_of
from napari_zarr_stream._writer.contrast import range_of

from .axes import Notes
from .documents import mapping, number, sequence, short

MAX_CHANNELS = 2**16
"""More than any spectrum has: what is said of those beyond is passed over."""

MAX_GAMMA = 100.0
"""Beyond what any viewer lets one choose."""

Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class ShownChannel:
    """How a channel is to be shown; None where nobody said.

    Attributes
    ----------
    name, color : str or None
        Color as six hex digits.
    contrast_limits, value_range : (float, float) or None
        What is black and what is white; what can be chosen for them.
    active : bool
        Whether it is seen.
    inverted : bool
        Whether the darkest pixels are those in color.
    gamma : float
    """

    name: str | None = None
    color: str | None = None
    contrast_limits: Span | None = None
    value_range: Span | None = None
    active: bool = True
    inverted: bool = False
    gamma: float = 1.0


def channels_of(omero: Any, count: int, notes: Notes) -> tuple[ShownChannel, ...]:
    """The channels of an image.

    Parameters
    ----------
    omero : JSON value
    count : int
        Channels that the image has.
    notes : list of str
        Grows by what is odd.
    """
    count = min(count, MAX_CHANNELS)
    listed = mapping(omero).get("channels")
    if omero is not None and not isinstance(listed, list):
        notes.append(f"omero {short(omero)} lists no channels: passed over")
    channels = [_channel(mapping(entry), notes) for entry in sequence(listed)[:count]]
    return (*channels, *[ShownChannel()] * (count - len(channels)))


def with_limits_of_all(
    channels: Sequence[ShownChannel],
    others: Sequence[Sequence[ShownChannel]],
    dtype: np.dtype[np.generic],
) -> tuple[ShownChannel, ...]:
    """The channels with contrast limits between which all have theirs.

    Limits that are all the values there can be say nothing: they are left out.
    """
    whole = range_of(dtype) if dtype.kind in "iu" else None
    together = []
    for i, channel in enumerate(channels):
        spans = [other[i].contrast_limits for other in others if i < len(other)]
        said = [span for span in spans if span is not None and span != whole]
        limits = (min(s[0] for s in said), max(s[1] for s in said)) if said else None
        together.append(replace(channel, contrast_limits=limits))
    return tuple(together)


def _channel(entry: Mapping[str, Any], notes: Notes) -> ShownChannel:
    window = mapping(entry.get("window"))
    limits = _span(window, "start", "end", notes)
    value_range = _span(window, "min", "max", notes)
    if limits and value_range:
        value_range = (
            min(limits[0], value_range[0]),
            max(limits[1], value_range[1]),
        )
    label = entry.get("label")
    return ShownChannel(
        name=str(label) if isinstance(label, str | int | float) else None,
        color=_color(entry.get("color"), notes),
        contrast_limits=limits,
        value_range=value_range,
        active=_is_true(entry.get("active"), True),
        inverted=_is_true(entry.get("inverted"), False),
        gamma=_gamma(entry),
    )


def _gamma(entry: Mapping[str, Any]) -> float:
    """The exponent of what is shown, as OMERO has it."""
    given = number(entry.get("coefficient"))
    is_exponent = entry.get("family") == "polynomial" and given is not None
    return (
        given if given is not None and is_exponent and 0 < given <= MAX_GAMMA else 1.0
    )


def _color(given: Any, notes: Notes) -> str | None:
    """Six hex digits, out of the ways in which colours are written."""
    if given is None or given == "":
        return None
    if isinstance(given, str):
        text = given.strip().removeprefix("#").removeprefix("0x")
        digits = "".join(2 * digit for digit in text) if len(text) == 3 else text
        # The opacity behind them is no part of a colour.
        color = NAMED.get(text.lower()) or hex_of(digits)
        color = color or (hex_of(digits[:6]) if len(digits) == 8 else None)
        if color:
            return color
    notes.append(f"colour {short(given)} of a channel is none: another is given")
    return None


def _span(window: Mapping[str, Any], low: str, high: str, notes: Notes) -> Span | None:
    """Two rising numbers of a window; None where it has others."""
    given = (window.get(low), window.get(high))
    if given == (None, None):
        return None
    first, last = number(given[0]), number(given[1])
    if first is None or last is None or first >= last:
        notes.append(
            f"window {low} {short(given[0])}, {high} {short(given[1])}: ignored"
        )
        return None
    return first, last


def _is_true(given: Any, default: bool) -> bool:
    if isinstance(given, str):
        return given.lower() not in ("false", "0", "no", "")
    return default if given is None else bool(given)
