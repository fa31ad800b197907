"""What a labels layer says of its objects: colours and features, as "image-label" does.

Duck-typed: a layer's metadata may come from napari or from any reader plugin.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from napari_zarr_stream._writer.colours import NAMED, digits_of, hex_of, numbers_of
from napari_zarr_stream._writer.record import RecordKey

Meta = Mapping[str, Any]

BACKGROUND = 0


def said_of_labels(meta: Meta, count: int) -> dict[str, Any]:
    """Entries of our own record for a labels layer of `count` channels.

    How it is shown, of which OME-NGFF does not even say whether it is, and its objects.
    """
    shown: dict[str, Any] = {"visible": meta.get("visible") is not False}
    if (blending := meta.get("blending")) is not None:
        shown["blending"] = str(getattr(blending, "value", blending))
    if (opacity := meta.get("opacity")) is not None:
        shown["opacity"] = float(opacity)
    colors = _colors_of(meta)
    if colors and (others := colors.get(None)) is not None:
        shown["others"] = digits_of(others)
    objects: dict[str, Any] = {}
    if colors:
        objects["colors"] = [
            {"label-value": value, "rgba": list(bytes.fromhex(digits_of(color)))}
            for value, color in colors.items()
            if value not in (None, BACKGROUND)
        ]
    if rows := list(_rows_of(meta)):
        objects["properties"] = rows
    return {RecordKey.SHOWN: [shown] * count, RecordKey.OBJECTS: [objects] * count}


def _colors_of(meta: Meta) -> dict[int | None, Any]:
    """The colours that were given, by object, None for all others.

    Empty where the viewer gives every object one by its number.
    """
    given = meta.get("colormap")
    given = getattr(given, "color_dict", given)
    if not isinstance(given, Mapping) or not all(_is_value(key) for key in given):
        return {}
    colors = {
        None if value is None else int(value): _rgba(color)
        for value, color in given.items()
    }
    return {value: color for value, color in colors.items() if color is not None}


def _is_value(key: Any) -> bool:
    return key is None or isinstance(key, int | np.integer)


def _rgba(color: Any) -> list[float] | None:
    if isinstance(color, str):  # not from a layer: that has made numbers of it
        digits = NAMED.get(color) or hex_of(color)
        color = numbers_of(digits) if digits else ()
    values = np.asarray(color, dtype=float).ravel()
    return [*values.tolist(), 1.0][:4] if values.size in (3, 4) else None


def _rows_of(meta: Meta) -> Iterator[dict[str, Any]]:
    """The table of objects, row by row; without an index a row is its object's."""
    table = meta.get("features")
    if table is None or not len(table):
        table = meta.get("properties")
    if table is None or not len(table):
        return
    columns = {str(key): list(table[key]) for key in table}
    rows = max(len(column) for column in columns.values())
    values = columns.pop("index", range(rows))
    for row, value in enumerate(values):
        if not columns or not isinstance(value, int | np.integer):
            continue
        cells = {
            key: cell
            for key, column in columns.items()
            if row < len(column) and (cell := _as_json(column[row])) is not None
        }
        yield {"label-value": int(value), **cells}


def _as_json(cell: Any) -> Any:
    """A number, a truth or a text; None for what is none, as in an empty cell."""
    value = cell.item() if isinstance(cell, np.generic) else cell
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return None if str(value) in ("NaT", "<NA>") else str(value)
