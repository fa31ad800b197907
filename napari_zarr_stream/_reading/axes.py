"""Which axis of an image is which: names, types and units, and their order on screen.

Whatever is odd has a neutral value and a note: it says how to show pixels, and does not
keep them from being shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from napari_zarr_stream._writer.axes import AXIS_TYPES, check_units
from napari_zarr_stream._writer.errors import InvalidProperties
from napari_zarr_stream._writer.grid import AXES

from .documents import mapping, short
from .systems import shown_system

Notes = list[str]
"""Sentences on what is odd in a store, for who looks at it."""


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis of an image.

    Attributes
    ----------
    name : str
    kind : str
        "space", "time", "channel", or "" where nobody knows.
    unit : str or None
        One that napari knows as well.
    """

    name: str
    kind: str
    unit: str | None = None


def axes_of(
    multiscale: Mapping[str, Any], stored: Sequence[str], ndim: int, notes: Notes
) -> tuple[Axis, ...]:
    """The axes of an image: 0.1 and 0.2 name none, 0.3 has names only, 0.6 systems.

    Parameters
    ----------
    multiscale : mapping
    stored : sequence of str
        What the array of level 0 calls them; empty where it does not.
    ndim : int
        Axes that level 0 has.
    notes : list of str
        Grows by what is odd.
    """
    given = multiscale.get("axes")
    if given is None and (system := shown_system(multiscale)) is not None:
        given = system.axes
    entries = list(given) if isinstance(given, list | str) else []
    if given is not None and len(entries) != ndim:
        notes.append(
            f"axes {short(given)} are not those of level 0, which has {ndim}: passed "
            "over"
        )
        entries = []
    if not entries:
        entries = list(stored) if len(stored) == ndim else _usual(ndim)
    return _unlike(
        [_axis(entry, i, ndim, notes) for i, entry in enumerate(entries)], notes
    )


def _usual(ndim: int) -> list[str]:
    more = [f"axis {i}" for i in range(ndim - len(AXES))]
    return [*more, *AXES[-ndim:]]


def _axis(entry: Any, place: int, ndim: int, notes: Notes) -> Axis:
    given = {"name": entry} if isinstance(entry, str) else mapping(entry)
    name = given.get("name")
    if not isinstance(name, str) or not name:
        usual = _usual(ndim)[place]
        notes.append(f"axis {place} has no name but {short(name)}: called {usual!r}")
        name = usual
    by_name = AXIS_TYPES.get(name.lower(), "")
    kind = given.get("type")
    known = str(kind).lower() if isinstance(kind, str) else ""
    if known not in ("space", "time", "channel"):
        known = by_name
    return Axis(name, known, _unit(given.get("unit"), known, name, notes))


def _unit(given: Any, kind: str, name: str, notes: Notes) -> str | None:
    if given is None or kind == "channel":
        return None
    try:
        return check_units([given], "t" if kind == "time" else "x")[0]
    except (InvalidProperties, TypeError):
        notes.append(f"unit {short(given)} of axis {name} is unknown: shown without")
        return None


def _unlike(axes: Sequence[Axis], notes: Notes) -> tuple[Axis, ...]:
    """Axes with names of their own: the last of those alike keeps it."""
    unlike = list(axes)
    for i, axis in enumerate(axes):
        if any(axis.name == other.name for other in axes[i + 1 :]):
            notes.append(f"two axes are called {axis.name!r}: one is 'axis {i}' here")
            unlike[i] = replace(axis, name=f"axis {i}")
    return tuple(unlike)


def display_order(axes: Sequence[Axis]) -> tuple[int, ...]:
    """The axes in the order in which they are shown: y and x last.

    As they are stored, where these are. Otherwise the others are put in the order of
    OME-NGFF: who stores x first stores t last.
    """
    names = [axis.name.lower() for axis in axes]
    stored = tuple(range(len(names)))
    if not {"y", "x"} <= set(names) or names[-2:] == ["y", "x"]:
        return stored
    places = {name: place for place, name in enumerate(AXES)}
    return tuple(sorted(stored, key=lambda i: places.get(names[i], -1)))
