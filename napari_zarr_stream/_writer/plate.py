"""Plates: rows, columns and the fields of their wells, as OME-NGFF describes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .errors import InvalidProperties

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plate:
    """A plate as it is made, with or without images in each of its wells.

    Attributes
    ----------
    name : str
    rows, columns : tuple of str
        Names of all there are: letters and digits, each once.

    Raises
    ------
    InvalidProperties
        Other names.
    """

    name: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]

    def __post_init__(self) -> None:
        for what, names in (("row", self.rows), ("column", self.columns)):
            for name in names:
                if not (name.isascii() and name.isalnum()) or names.count(name) > 1:
                    raise InvalidProperties(
                        f"a {what} of a plate must have a name of letters and digits, "
                        f"that no other has: not {name!r}"
                    )


def wells_of(paths: Sequence[str]) -> dict[str, list[str]]:
    """Fields by the path of their well, "row/column"."""
    wells: dict[str, list[str]] = {}
    for path in paths:
        row, column, number = path.split("/")
        wells.setdefault(f"{row}/{column}", []).append(number)
    return wells


def plate_metadata(plate: Plate, paths: Sequence[str]) -> Document:
    """The "plate" metadata, of fields by their paths: OME-NGFF, "plate metadata"."""
    wells = wells_of(paths)
    most = max(map(len, wells.values()))
    return {
        "name": plate.name,
        "rows": [{"name": name} for name in plate.rows],
        "columns": [{"name": name} for name in plate.columns],
        "wells": [
            {
                "path": path,
                "rowIndex": plate.rows.index(path.split("/")[0]),
                "columnIndex": plate.columns.index(path.split("/")[1]),
            }
            for path in wells
        ],
        "field_count": most,
        "acquisitions": [{"id": 0, "maximumfieldcount": most}],
    }


def well_metadata(fields: Sequence[str]) -> Document:
    """The "well" metadata, of fields by their paths in it."""
    return {"images": [{"path": path, "acquisition": 0} for path in fields]}
