"""A frame log read back: its columns, and which planes of a set it tells of.

A set is written in any order, and zeros may be a black picture: only the log at its
root says which planes there are.
"""

import math
import operator
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import system
from .errors import InvalidStore
from .frame_log import FRAME_LOG, ROWS_PER_CHUNK
from .store import read_json

MAX_ROWS = 10**8
"""That are read: nobody records more planes into a set."""

MAX_PLANES = 2**28
"""Of an image: a set has its planes in one frame log."""

Values = npt.NDArray[np.generic]

Flags = npt.NDArray[np.bool_]
"""One for each plane of an image, in C order."""


def read_column(root: Path, name: str) -> Values:
    """A column of the log of a store; empty where there is none.

    Raises
    ------
    InvalidStore
        It is none that is written here.
    """
    folder = root / FRAME_LOG / name
    document = read_json(folder / "zarr.json")
    prefix, kind = "c/", "data_type"
    if document is None:
        document = read_json(folder / ".zarray")
        prefix, kind = "", "dtype"
    if document is None:
        return np.zeros(0, np.int64)
    try:
        [rows], dtype = document["shape"], np.dtype(document[kind])
        count = min(operator.index(rows), MAX_ROWS)
        if dtype.kind not in "biuf":
            raise TypeError(dtype)
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidStore(f"{folder} is no column of a frame log") from error
    values = np.zeros(max(0, count), dtype)
    for first in range(0, len(values), ROWS_PER_CHUNK):
        path = folder / f"{prefix}{first // ROWS_PER_CHUNK}"
        data = b""
        if path.is_file():
            data = system.read_file(path, ROWS_PER_CHUNK * dtype.itemsize)
        here = np.frombuffer(
            data[: len(data) // dtype.itemsize * dtype.itemsize], dtype
        )
        here = here[: len(values) - first]
        values[first : first + len(here)] = here
    return values


def rows_of(root: Path, columns: Sequence[str]) -> dict[int, list[dict[str, float]]]:
    """What the log of a set tells of its planes, by the numbers of their images.

    Of each its t, c and z, and those of `columns` that there are.

    Raises
    ------
    InvalidStore
        It is none that is written here.
    """
    found = {name: read_column(root, name) for name in ("image", *"tcz", *columns)}
    found = {name: values for name, values in found.items() if len(values)}
    rows: dict[int, list[dict[str, float]]] = {}
    for values in zip(*(column.tolist() for column in found.values()), strict=False):
        row = dict(zip(found, values, strict=True))
        rows.setdefault(row.pop("image"), []).append(row)
    return rows


def place_in_set(root: Path, part_of: Mapping[str, Any]) -> tuple[Path, int]:
    """The root of the set that an image is part of, or is, and its number there.

    Parameters
    ----------
    root : Path
        Of the image.
    part_of : mapping
        `RecordKey.PART_OF` of its record.

    Raises
    ------
    InvalidStore
        That does not say it.
    """
    where, image = part_of.get("root"), part_of.get("image")
    if where not in ("", "..", "../../..") or not isinstance(image, int):
        raise InvalidStore(f"{root}: {dict(part_of)} is no place in a set of ours")
    return root.joinpath(*where.split("/")), image


PLACES = ("image", "t", "c", "z")
"""The columns that say which plane a row of the log of a set is of."""


class SetLog:
    """The places that the frame log of a set tells of.

    Parameters
    ----------
    columns : mapping of str to array, (n,)
        Those of `PLACES`, as `read_column` reads them; empty where there is no log.
    """

    def __init__(self, columns: Mapping[str, Values]) -> None:
        length = min(len(columns[name]) for name in PLACES)
        # Image by image: a set may have thousands.
        order = np.argsort(columns["image"][:length], kind="stable")
        found = {name: columns[name][order].astype(np.int64) for name in PLACES}
        self._image = found.pop("image")
        self._places = found

    @classmethod
    def at(cls, root: Path) -> "SetLog":
        """That of a set in a folder.

        Raises
        ------
        InvalidStore
            There is a log that is none of ours.
        """
        return cls({name: read_column(root, name) for name in PLACES})

    def planes_of(self, image: int, axes: str, outer: Sequence[int]) -> Flags:
        """Which planes of an image there are, of axes and sizes before y and x.

        Raises
        ------
        InvalidStore
            No image has so many.
        """
        if math.prod(outer) > MAX_PLANES:
            raise InvalidStore(f"an image of {tuple(outer)} planes is none of ours")
        logged = np.zeros(tuple(outer), bool)
        first, end = np.searchsorted(self._image, (image, image + 1))
        at = [self._places[axis][first:end] for axis in axes]
        inside = np.ones(end - first, bool)
        for here, size in zip(at, outer, strict=True):
            inside &= (here >= 0) & (here < size)
        if inside.any():
            logged[tuple(here[inside] for here in at)] = True
        return logged.reshape(-1)
