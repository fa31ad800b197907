"""How channels are to be shown, as "omero" metadata say it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from napari_zarr_stream._writer.colours import hex_of

from .documents import mapping

MAX_CHANNELS = 2**16
"""More than any spectrum has."""


@dataclass(frozen=True, slots=True)
class ShownChannel:
    """How a channel is to be shown; None where nobody said."""

    name: str | None = None
    color: str | None = None
    contrast_limits: tuple[float, float] | None = None
    active: bool = True
    gamma: float = 1.0


def channels_of(omero: Any, count: int) -> tuple[ShownChannel, ...]:
    """What "omero" metadata says; it is optional and others write it with gaps."""
    listed = mapping(omero).get("channels")
    entries = listed if isinstance(listed, list) else []
    channels = []
    for entry in map(mapping, entries[:count]):
        window = mapping(entry.get("window"))
        limits = (window.get("start"), window.get("end"))
        label = entry.get("label")
        channels.append(
            ShownChannel(
                name=None if label is None else str(label),
                color=hex_of(str(entry.get("color") or "")),
                contrast_limits=_limits(limits),
                active=bool(entry.get("active", True)),
                gamma=_gamma(entry),
            )
        )
    if count > MAX_CHANNELS:
        raise ValueError(f"{count} channels")
    return (*channels, *[ShownChannel()] * (count - len(channels)))


def _gamma(entry: Mapping[str, Any]) -> float:
    """The exponent of what is shown, as OMERO has it."""
    given = entry.get("coefficient")
    if entry.get("family") != "polynomial" or not isinstance(given, int | float):
        return 1.0
    return float(given) if 0 < given < math.inf else 1.0


def _limits(given: tuple[Any, Any]) -> tuple[float, float] | None:
    if not all(isinstance(value, int | float) for value in given):
        return None
    low, high = map(float, given)
    return (low, high) if low < high and math.isfinite(high - low) else None
