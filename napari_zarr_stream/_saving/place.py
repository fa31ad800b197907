"""Where a store is saved: the path that is meant, and never inside another store."""

import os
from pathlib import Path

from napari_zarr_stream._writer.errors import InvalidProperties, InvalidStore
from napari_zarr_stream._writer.names import from_home, image_name, is_store_name
from napari_zarr_stream._writer.ozx import is_ozx
from napari_zarr_stream._writer.store import read_json

ENDING = ".ome.zarr"

_HOLDS = ("multiscales", "plate", "well", "labels")
"""What a group says that lists what lies in it."""


def store_path(text: str | os.PathLike[str]) -> str:
    """What a file dialog or a program gave, with the ending of a store.

    >>> store_path("a/cells/"), store_path("a/UPPER.ZARR"), store_path("a/cells.ozx")
    ('a/cells.ome.zarr', 'a/UPPER.ZARR', 'a/cells.ozx')
    """
    given = os.fspath(text)
    if "://" in given:  # for whoever says that it is an address
        return given
    path = Path(from_home(given))
    if path.name.lower() in (ENDING, ".zarr"):  # put behind the "/" of "cells/"
        path = path.parent
    is_named = is_store_name(path) or is_ozx(path)
    return str(path) if is_named else str(path) + ENDING


def check_outside_of_stores(path: Path) -> None:
    """Refuse a place where nothing would list what is saved there by a user.

    Raises
    ------
    InvalidProperties
        Naming the store that it lies in, and another place.
    """
    for folder in path.absolute().parents:
        if _lists_its_contents(folder):
            inside = path.absolute().relative_to(folder)
            name = "_".join((image_name(folder), image_name(inside)))
            raise InvalidProperties(
                f"{path} lies inside the store {folder}, which would not list it: save "
                f"beside that, for example as {folder.with_name(name + ENDING)}"
            )


def _lists_its_contents(folder: Path) -> bool:
    """Whether a folder is an array, or a group that says what it holds."""
    try:
        if (folder / ".zarray").is_file():
            return True
        document = read_json(folder / "zarr.json") or {}
        attributes = [document.get("attributes"), read_json(folder / ".zattrs")]
    except (InvalidStore, OSError):  # none that could be opened
        return False
    attributes += [said.get("ome") for said in attributes if isinstance(said, dict)]
    return document.get("node_type") == "array" or any(
        key in said for said in attributes if isinstance(said, dict) for key in _HOLDS
    )
