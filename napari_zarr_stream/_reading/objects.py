"""Colours and properties of labelled objects, as "image-label" metadata say them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from napari_zarr_stream._writer.record import RecordKey

from .axes import Notes
from .documents import mapping, number, sequence, short, whole_number

MAX_PROPERTIES = 2**22
"""Values in the table of objects, which has a column for every name that one of them
has: names of their own for all would make gigabytes."""

Color = list[float]

UNSAID: Color = [0.6, 0.6, 0.6, 1.0]
"""Of objects that have no colour where others do: seen, and told apart from those."""

CLEAR: Color = [0.0, 0.0, 0.0, 0.0]


def objects_in(record: Mapping[str, Any]) -> Sequence[Mapping[str, Any]] | None:
    """What our own record says of the objects in each channel of labels by themselves.

    None where it says nothing: then it is an image.
    """
    said = record.get(RecordKey.OBJECTS)
    return [mapping(entry) for entry in said] if isinstance(said, list) else None


def objects_of(
    label: Mapping[str, Any], others: Color | None, notes: Notes
) -> dict[str, Any]:
    """Metadata of a napari labels layer: colormap and features, where they are said.

    `others` is the colour of objects without one.
    """
    shown: dict[str, Any] = {}
    if colors := _colors(label, notes):
        shown["colormap"] = {0: CLEAR} | colors | {None: others or UNSAID}
    if features := _features(label, notes):
        shown["features"] = features
    return shown


def _colors(label: Mapping[str, Any], notes: Notes) -> dict[int, Color]:
    given = label.get("colors") or []
    if not isinstance(given, list):
        notes.append(f"colours of objects are {short(given)}: passed over")
    colors: dict[int, Color] = {}
    for entry in sequence(given):
        value = _label_value(entry)
        if not isinstance(entry, dict) or value is None:
            notes.append(f"{short(entry)} is no colour of an object: passed over")
        elif (rgba := entry.get("rgba")) is None:
            continue
        elif color := _color(rgba):
            colors[value] = color
        else:
            notes.append(f"colour {short(rgba)} of object {value}: another is given")
    return colors


def _color(rgba: Any) -> Color | None:
    """Values from 0 to 1, out of three or four from 0 to 255."""
    values = [number(value) for value in sequence(rgba)]
    if len(values) not in (3, 4):
        return None
    # Fractions are of 1, whatever the specification says.
    is_of_1 = any(isinstance(v, float) for v in rgba) and max(map(float, rgba)) <= 1
    white = 1.0 if is_of_1 else 255.0
    known = [min(value, white) / white for value in values if value is not None]
    if len(known) != len(values) or min(known) < 0:
        return None
    return [*known, 1.0][:4]


def _features(label: Mapping[str, Any], notes: Notes) -> dict[str, list[Any]]:
    given = label.get("properties") or []
    rows = [
        (value, entry)
        for entry in sequence(given)
        if (value := _label_value(entry)) is not None
    ]
    left_out = len(given) - len(rows) if isinstance(given, list) else 1
    if left_out:
        notes.append(f"{left_out} properties of no object: passed over")
    found = dict.fromkeys(key for _, row in rows for key in row)
    keys = [key for key in found if key not in ("label-value", "index")]
    if len(rows) * len(keys) > MAX_PROPERTIES:
        notes.append(f"{len(rows)} objects with {len(keys)} properties: not shown")
        return {}
    if not rows:
        return {}
    return {
        "index": [value for value, _ in rows],
        **{key: _column([row.get(key) for _, row in rows]) for key in keys},
    }


def _column(values: list[Any]) -> list[Any]:
    """Numbers, which are not a number where there is none; or what a table holds."""
    kinds = {type(value) for value in values}
    if kinds & {int, float} and kinds <= {int, float, type(None)}:
        return [math.nan if value is None else value for value in values]
    return list(map(_cell, values))


def _cell(value: Any) -> Any:
    """What a table holds in one place: of lists and mappings, their text."""
    return str(value) if isinstance(value, list | dict) else value


def _label_value(entry: Any) -> int | None:
    return whole_number(mapping(entry).get("label-value"))
