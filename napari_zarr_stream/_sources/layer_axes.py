"""Which axis of a layer is which: by its labels, its units, the number of its axes."""

import re
from collections.abc import Sequence

from napari_zarr_stream._writer.axes import check_units
from napari_zarr_stream._writer.errors import InvalidProperties
from napari_zarr_stream._writer.grid import AXES

_WORDS = {
    "t": ("t", "time", "frame", "frames", "timepoint"),
    "c": ("c", "ch", "channel", "channels"),
    "z": ("z", "depth", "slice", "plane"),
    "y": ("y", "height", "row"),
    "x": ("x", "width", "column"),
}
_AXIS_OF_WORD = {word: axis for axis, words in _WORDS.items() for word in words}

_UNNAMED = re.compile(r"(axis )?-?\d+|")
"""What napari calls an axis that nobody named, "-3" for example."""


def axes_of(
    who: str, labels: Sequence[str], units: Sequence[str | None]
) -> tuple[str, str]:
    """Name the axes of a layer, in the layer's order, and those that are guessed.

    Labels decide. An axis without one is y or x if it is one of the last two, t if its
    unit is one of time, z if it alone has one of length; otherwise it is guessed: the
    axes are taken to be zyx, tzyx, tczyx.

    Parameters
    ----------
    who : str
        The layer, for messages.
    labels, units : sequence
        One for each axis.

    Raises
    ------
    InvalidProperties
        A label or a number of axes that there is no axis for.
    """
    named = [_named(who, label) for label in labels]
    if not named[-1] and "x" not in named:
        named[-1] = "x"
    if not named[-2] and "y" not in named:
        named[-2] = "y"
    for i, unit in enumerate(units):
        if not named[i] and _is_unit(unit, "t") and "t" not in named:
            named[i] = "t"
    long = [i for i, unit in enumerate(units) if not named[i] and _is_unit(unit, "z")]
    if len(long) == 1 and "z" not in named:
        named[long[0]] = "z"
    free = [axis for axis in "ztc" if axis not in named]
    unnamed = [i for i, axis in enumerate(named) if not axis]
    if len(unnamed) > len(free):
        raise InvalidProperties(
            f"{who} has {len(labels)} axes; OME-Zarr has at most five, {AXES!r}: "
            "save a part of it"
        )
    # The three that are most often there, in the order in which they come.
    chosen = sorted(free[: len(unnamed)], key=AXES.index)
    for i, axis in zip(unnamed, chosen, strict=True):
        named[i] = axis
    axes = "".join(str(axis) for axis in named)
    check_axes(who, axes, len(labels))
    return axes, "".join(chosen)


def check_axes(who: str, axes: str, ndim: int) -> None:
    """Refuse axes that are not `ndim` different ones with y and x among them.

    Raises
    ------
    InvalidProperties
    """
    known = set(axes) <= set(AXES) and len(set(axes)) == len(axes)
    if len(axes) != ndim or not known or not {"y", "x"} <= set(axes):
        raise InvalidProperties(
            f"axes {axes!r} do not name the {ndim} axes of {who}: each must be another "
            f"one of {AXES!r}, and y and x must be there"
        )


def _is_unit(unit: str | None, axis: str) -> bool:
    """Whether `unit` is one that OME-NGFF has for such an axis."""
    try:
        return check_units([unit], axis)[0] is not None
    except InvalidProperties:
        return False


def is_named(label: str) -> bool:
    """Whether somebody gave an axis this label."""
    return _UNNAMED.fullmatch(label.strip().lower()) is None


def _named(who: str, label: str) -> str | None:
    if not is_named(label):
        return None
    word = label.strip().lower()
    if word not in _AXIS_OF_WORD:
        raise InvalidProperties(
            f"axis {label!r} of {who} is none that OME-Zarr has: label the axes "
            "t, c, z, y, x"
        )
    return _AXIS_OF_WORD[word]
