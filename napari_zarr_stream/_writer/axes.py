"""What an image's axes are: their types, units, scale and translation, checked.

Section names refer to the OME-NGFF specification.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from .errors import InvalidProperties

AXIS_TYPES = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}

_PREFIXES = (
    "", "atto", "centi", "deci", "exa", "femto", "giga", "hecto", "kilo", "mega",
    "micro", "milli", "nano", "peta", "pico", "tera", "yocto", "yotta", "zepto",
    "zetta",
)  # fmt: skip

UNITS = {
    "space": frozenset(f"{prefix}meter" for prefix in _PREFIXES)
    | {"angstrom", "foot", "inch", "mile", "parsec", "yard"},
    "time": frozenset(f"{prefix}second" for prefix in _PREFIXES)
    | {"day", "hour", "minute"},
}
"""The units that "axes" metadata allows."""

_SHORT_UNITS = {
    "m": "meter", "cm": "centimeter", "mm": "millimeter", "um": "micrometer",
    "micron": "micrometer", "microns": "micrometer", "nm": "nanometer",
    "pm": "picometer", "å": "angstrom", "s": "second", "sec": "second",
    "ms": "millisecond", "us": "microsecond", "ns": "nanosecond", "min": "minute",
    "h": "hour", "d": "day", "in": "inch", "ft": "foot", "yd": "yard", "mi": "mile",
    "dm": "decimeter", "km": "kilometer", "fm": "femtometer", "ps": "picosecond",
}  # fmt: skip

_NO_UNIT = ("", "pixel", "pixels", "dimensionless")


def per_axis(
    values: Mapping[str, Any] | Sequence[Any] | None, axes: str, default: Any, what: str
) -> tuple[Any, ...]:
    """One value for each of `axes`, from a sequence or a mapping by the axis' name.

    Raises
    ------
    InvalidProperties
        Where they do not go with `axes`.
    """
    if values is None:
        return (default,) * len(axes)
    if isinstance(values, Mapping):
        if unknown := set(values) - set(axes):
            raise InvalidProperties(f"{what}: no axis {sorted(unknown)} in {axes!r}")
        return tuple(values.get(axis, default) for axis in axes)
    if len(values) != len(axes):
        raise InvalidProperties(
            f"{what}: {len(values)} values for the {len(axes)} axes {axes!r}"
        )
    return tuple(values)


def check_scale(
    values: Mapping[str, float] | Sequence[float] | None, axes: str
) -> tuple[float, ...]:
    """Check size of a pixel on each axis, 1 where not given.

    Raises
    ------
    InvalidProperties
        For anything but positive, finite numbers.
    """
    scale = tuple(float(v) for v in per_axis(values, axes, 1.0, "scale"))
    for axis, size in zip(axes, scale, strict=True):
        if not (size > 0 and math.isfinite(size)):
            raise InvalidProperties(
                f"scale of axis {axis!r} must be positive, not {size}"
            )
    return scale


def voxel_of(
    scale: Mapping[str, float] | Sequence[float] | None,
    units: Mapping[str, str | None] | Sequence[str | None] | None,
    axes: str,
) -> tuple[float, float, float]:
    """Lengths of a voxel along z, y and x, all of which `axes` must have.

    Raises
    ------
    InvalidProperties
        Where they are in different units, or `scale` or `units` will not do.
    """
    lengths = dict(zip(axes, check_scale(scale, axes), strict=True))
    words = dict(zip(axes, check_units(units, axes), strict=True))
    if len({words[axis] for axis in "zyx"}) > 1:
        said = ", ".join(f"{axis} in {words[axis] or 'pixels'}" for axis in "zyx")
        raise InvalidProperties(
            f"z cannot be halved by voxel size: {said}. Give scale and units of z, y "
            "and x in the same unit"
        )
    return lengths["z"], lengths["y"], lengths["x"]


def check_translation(
    values: Mapping[str, float] | Sequence[float] | None, axes: str
) -> tuple[float, ...]:
    """Check position of the first pixel's centre on each axis, 0 where not given.

    Raises
    ------
    InvalidProperties
        For anything but finite numbers.
    """
    position = tuple(float(v) for v in per_axis(values, axes, 0.0, "translation"))
    if not all(map(math.isfinite, position)):
        raise InvalidProperties(f"translation must be finite numbers, not {position}")
    return position


def check_units(
    values: Mapping[str, str | None] | Sequence[str | None] | None, axes: str
) -> tuple[str | None, ...]:
    """The NGFF word for each unit; None where not given or "pixel".

    Raises
    ------
    InvalidProperties
        For a unit that NGFF does not know, or not for this axis.
    """
    units: list[str | None] = []
    for axis, given in zip(axes, per_axis(values, axes, None, "units"), strict=True):
        word = str(given or "").strip().lower().replace("µ", "u").replace("μ", "u")
        word = _SHORT_UNITS.get(word, word).replace("metre", "meter")
        if word in _NO_UNIT:
            units.append(None)
            continue
        allowed = UNITS.get(AXIS_TYPES[axis], frozenset())
        if word not in allowed:
            word = word.removesuffix("s")
        if word not in allowed:
            raise InvalidProperties(
                f"unit {given!r} of axis {axis!r} is not an OME-NGFF unit of "
                f"{AXIS_TYPES[axis]}; for example 'micrometer' or 'second'"
            )
        units.append(word)
    return tuple(units)
