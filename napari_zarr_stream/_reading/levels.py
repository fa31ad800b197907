"""The levels of an image, full size first, as lazy arrays."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_zarr_stream._writer.errors import InvalidStore

from .documents import inside
from .lazy import LazyArray

MAX_LEVELS = 64
"""No size can be halved more often."""


def open_levels(
    root: Path, datasets: Sequence[Mapping[str, Any]]
) -> tuple[list[Any], list[str]]:
    """The levels that can be read: a pyramid can do without all but level 0."""
    levels: list[Any] = []
    paths: list[str] = []
    if len(datasets) > MAX_LEVELS:
        raise InvalidStore(f"{root}: its metadata lists {len(datasets)} levels")
    for dataset in datasets:
        path = str(dataset["path"])
        try:
            levels.append(open_array(inside(root, path)))
        except InvalidStore as error:
            if not levels:
                raise
            warnings.warn(f"left out a level: {error}", UserWarning, stacklevel=5)
            continue
        paths.append(path)
    if not levels:
        raise InvalidStore(f"{root}: its metadata lists no levels")
    return levels, paths


def open_array(path: Path) -> LazyArray:
    """A Zarr array.

    Raises
    ------
    InvalidStore
        It is not there, cannot be read, or holds no pixels.
    """
    from .zarr_array import ZarrArray  # 0.3 s, which listing readers need not cost

    array = LazyArray(ZarrArray(path))
    if array.dtype.kind not in "biuf":
        raise InvalidStore(f"array {path} holds {array.dtype}, which are no pixels")
    return array
