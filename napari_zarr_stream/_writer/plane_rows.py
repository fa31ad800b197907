"""What is known of planes: rows of the same names, as columns of a frame log."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import FrameMismatch


def columns_like(
    known: Mapping[str, float], before: Mapping[str, type] | None
) -> dict[str, type]:
    """The type of each value, which are those of the first plane.

    Raises
    ------
    FrameMismatch
        Other names, or a value that a column of whole numbers cannot take.
    """
    columns: dict[str, type] = {
        name: int if isinstance(value, int | np.integer) else float
        for name, value in known.items()
    }
    if before is None:
        return columns
    if columns.keys() != before.keys():
        raise FrameMismatch(
            f"what is known of a plane is {sorted(columns)}, of the first one it was "
            f"{sorted(before)}"
        )
    for name, kind in before.items():
        if kind is int and columns[name] is float:
            raise FrameMismatch(
                f"{name} was a whole number of the first plane, and is {known[name]}"
            )
    return dict(before)


def columns_of(
    rows: Sequence[Mapping[str, float]], columns: Mapping[str, type]
) -> dict[str, npt.NDArray[Any]]:
    """Columns of rows that have the same names: image, t, c, z, and others."""
    kinds = dict.fromkeys(rows[0], int) | dict(columns)
    return {
        name: np.array([row[name] for row in rows], np.dtype(kind))
        for name, kind in kinds.items()
    }
