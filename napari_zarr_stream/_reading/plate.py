"""Plates and wells: the same field of all wells, or all of a well, as one image.

Fields are opened when they are looked at: a plate has thousands. What a well is, in
each version of OME-NGFF, ome-zarr knows.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from ome_zarr.format import format_from_version

from napari_zarr_stream._writer.errors import InvalidStore
from napari_zarr_stream._writer.names import image_name

from .documents import Node, inside, open_node, understanding
from .image import StoredImage, open_image
from .lazy import LazyArray
from .levels import open_array
from .zarr_array import MAX_CHUNKS, refuse_beyond_memory

MAX_SIDE = 2**7
"""Wells in a row or a column; the largest plates in use have 72."""

Place = tuple[int, int]


def plate_image(node: Node) -> StoredImage:
    """The whole plate or well as one image, shown as its first field is.

    Raises
    ------
    InvalidStore
        Its first field is not there or cannot be read.
    """
    with understanding(node.path):
        (down, across), fields = (_wells if "plate" in node.ome else _fields)(node)
        if not fields or max(down, across) > MAX_SIDE:
            raise InvalidStore(
                f"{node.path} lists {len(fields)} fields in {down} x {across} places"
            )
        field = open_node(inside(node.path, fields[min(fields)]))
        if field is None:
            raise InvalidStore(f"{node.path}: its first field is not there")
        first = open_image(field)
        levels = [
            LazyArray(Mosaic(node.path, fields, (down, across), path, level))
            for path, level in zip(first.level_paths, first.levels, strict=True)
        ]
    return replace(
        first,
        path=node.path,
        name=image_name(node.path),
        levels=tuple(levels),
        translation=(0.0,) * len(first.axes),
    )


def _wells(node: Node) -> tuple[Place, Mapping[Place, str]]:
    """Rows and columns of a plate, and the first well's first field of each well."""
    plate = node.ome["plate"]
    rows, columns = (
        [entry["name"] for entry in plate[key]] for key in ("rows", "columns")
    )
    if max(len(rows), len(columns)) > MAX_SIDE:
        raise InvalidStore(f"{node.path}: {len(rows)} x {len(columns)} wells")
    version = str(node.ome.get("version") or plate.get("version") or "0.1")
    wells = {}
    for entry in plate["wells"][: MAX_SIDE**2]:
        try:
            format_from_version(version).validate_well_dict(entry, rows, columns)
        except ValueError as error:
            raise InvalidStore(
                f"{node.path}: {entry} is no well as OME-NGFF {version} has them"
            ) from error
        row, column = entry["path"].split("/")
        wells[rows.index(row), columns.index(column)] = entry["path"]
    well = open_node(inside(node.path, wells[min(wells)])) if wells else None
    if well is None:
        raise InvalidStore(f"{node.path} has no first well, and so no first field")
    field = well.ome["well"]["images"][0]["path"]
    fields = {place: f"{path}/{field}" for place, path in wells.items()}
    return (len(rows), len(columns)), fields


def _fields(node: Node) -> tuple[Place, Mapping[Place, str]]:
    """A square of the fields of a well, or nearly one."""
    names = [str(image["path"]) for image in node.ome["well"]["images"]]
    across = math.ceil(math.sqrt(len(names)))
    fields = {divmod(i, across): name for i, name in enumerate(names)}
    return (math.ceil(len(names) / max(across, 1)), across), fields


class Mosaic:
    """One level of fields side by side; zeros where there is none.

    Parameters
    ----------
    root : Path
    fields : mapping of (row, column) to str
        Paths below `root`.
    grid : (int, int)
        Rows and columns.
    path : str
        Of the level, below a field.
    like : array
        That level of the first field, whose shape and dtype all have.
    """

    def __init__(
        self,
        root: Path,
        fields: Mapping[Place, str],
        grid: Place,
        path: str,
        like: LazyArray,
    ) -> None:
        *outer, height, width = like.shape
        self._root, self._fields, self._path, self._like = root, fields, path, like
        self._opened: dict[Place, LazyArray | None] = {}
        self.shape = (*outer, grid[0] * height, grid[1] * width)
        self.dtype = like.dtype
        self.chunks = like.chunks

    def __getitem__(self, key: tuple[int | slice, ...]) -> npt.NDArray[np.generic]:
        """Read pixels: `key` has an int or a slice with a positive step for each axis.

        Raises
        ------
        InvalidStore
            A field is damaged, or that is more than can be read at once.
        """
        given = [slice(at, at + 1) if isinstance(at, int) else at for at in key]
        spans = [range(size)[at] for size, at in zip(self.shape, given, strict=True)]
        shape = tuple(map(len, spans))
        refuse_beyond_memory(self._root, math.prod(shape) * self.dtype.itemsize)
        pixels = np.zeros(shape, self.dtype)
        rows, columns = (
            list(_cuts(span, side))
            for span, side in zip(spans[-2:], self._like.shape[-2:], strict=True)
        )
        if len(rows) * len(columns) > MAX_CHUNKS:
            raise InvalidStore(f"{self._root}: too many wells at once: look at a part")
        for row, y, to_y in rows:
            for column, x, to_x in columns:
                if (field := self._field((row, column))) is not None:
                    pixels[..., to_y, to_x] = field[(*given[:-2], y, x)]
        return pixels[tuple(0 if isinstance(at, int) else slice(None) for at in key)]

    def _field(self, place: Place) -> LazyArray | None:
        """A field's level, opened once; None where there is no field."""
        if place not in self._opened:
            self._opened[place] = self._open(place)
        return self._opened[place]

    def _open(self, place: Place) -> LazyArray | None:
        if place not in self._fields:
            return None
        path = inside(self._root, f"{self._fields[place]}/{self._path}")
        if not path.exists():
            return None  # as ome-zarr shows a well that was not imaged
        field = open_array(path)
        if field.shape != self._like.shape:
            raise InvalidStore(
                f"{path} is {field.shape} pixels, the first field {self._like.shape}"
            )
        return field


def _cuts(span: range, side: int) -> Sequence[tuple[int, slice, slice]]:
    """Which tiles of a side a span meets: number, what of the tile, where it goes."""
    cuts = []
    at = 0
    while at < len(span):
        number, first = divmod(span[at], side)
        end = min(len(span), at + math.ceil((side - first) / span.step))
        last = span[end - 1] - number * side
        cuts.append((number, slice(first, last + 1, span.step), slice(at, end)))
        at = end
    return cuts
