"""How our own record says that a layer was shown, where "omero" has no word for it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from napari_zarr_stream._writer.colours import numbers_of
from napari_zarr_stream._writer.record import RecordKey

from .documents import mapping

HasColormap = Callable[[str, Sequence[str] | None], bool]
"""Whether a viewer knows a colormap by this name, of these colours if some are given.

Colours are eight hex digits each.
"""

BLENDINGS = (
    "opaque", "translucent", "translucent_no_depth", "additive", "minimum",
    "multiplicative",
)  # fmt: skip

INTERPOLATIONS = ("linear", "zero")


def look_of_labels(
    record: Mapping[str, Any], number: int
) -> tuple[dict[str, Any], list[float] | None]:
    """How channel `number` of labels was shown, as a layer takes it.

    And the colour of objects that were given none; None where that is not known.
    """
    entry = _entry(record, number)
    look = _light(entry) | {"visible": entry.get("visible") is not False}
    return look, _color(entry.get("others"))


def look_of(
    record: Mapping[str, Any], number: int, color: str, has_colormap: HasColormap
) -> dict[str, Any]:
    """Colormap, blending and opacity of channel `number`, as a layer takes them.

    Those that are not there or odd are left out; all, where another program has given
    the channel another colour than the one that was written.
    """
    entry = _entry(record, number)
    if entry.get("color") != color:
        return {}
    look = _light(entry)
    colormap = _colormap(mapping(entry.get("colormap")), has_colormap)
    if colormap is not None:
        look["colormap"] = colormap
    return look


def _light(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Blending and opacity, where they are said."""
    look: dict[str, Any] = {}
    if entry.get("blending") in BLENDINGS:
        look["blending"] = entry["blending"]
    opacity = entry.get("opacity")
    if isinstance(opacity, int | float) and 0 <= opacity <= 1:
        look["opacity"] = opacity
    return look


def _color(digits: Any) -> list[float] | None:
    try:
        numbers = numbers_of(digits)
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == 4 else None


def _entry(record: Mapping[str, Any], number: int) -> Mapping[str, Any]:
    entries = record.get(RecordKey.SHOWN)
    if isinstance(entries, list) and number < len(entries):
        return mapping(entries[number])
    # Up to version 0.1 only the names of colormaps were kept.
    names = record.get(RecordKey.COLORMAPS)
    if isinstance(names, list) and number < len(names):
        named = mapping(names[number])
        return {"color": named.get("color"), "colormap": named}
    return {}


def _colormap(
    said: Mapping[str, Any], has_colormap: HasColormap
) -> str | dict[str, Any] | None:
    """A colormap by its name, or by its colours; None where neither is known."""
    name, digits = said.get("name"), said.get("colors")
    if isinstance(name, str) and has_colormap(name, digits):
        return name
    if not isinstance(digits, list) or not digits:
        return None
    try:
        colors = [numbers_of(color) for color in digits]
    except (TypeError, ValueError):
        return None
    if {len(color) for color in colors} not in ({3}, {4}):
        return None
    colormap: dict[str, Any] = {"colors": colors, "name": str(name or "recorded")}
    if said.get("interpolation") in INTERPOLATIONS:
        colormap["interpolation"] = said["interpolation"]
    steps = len(colors) + (said.get("interpolation") == "zero")
    if _are_controls(said.get("controls"), steps):
        colormap["controls"] = said["controls"]
    return colormap


def _are_controls(given: Any, count: int) -> bool:
    """Whether these are `count` places from 0 to 1, as napari wants them."""
    if not isinstance(given, list) or len(given) != count:
        return False
    if not all(isinstance(at, int | float) for at in given):
        return False
    return given[0] == 0 and given[-1] == 1 and given == sorted(given)
