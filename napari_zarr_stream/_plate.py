"""Plates and wells: ome-zarr puts the fields together, we say how to show them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ome_zarr.io import parse_url
from ome_zarr.reader import Reader

from ._stored import Node, StoredImage, open_image, open_node
from ._writer.errors import InvalidStore


def plate_layers(node: Node) -> Iterator[StoredImage]:
    """The whole plate or well as one image, shown as its first field is.

    Raises
    ------
    InvalidStore
        No field that can be read, or ome-zarr cannot put them together.
    """
    field = open_node(_first_field(node))
    if field is None:
        raise InvalidStore(f"{node.path}: its first field is not there")
    first = open_image(field)
    levels = _put_together(node.path)
    yield replace(
        first,
        path=node.path,
        name=node.path.name.split(".")[0],
        levels=tuple(levels),
        translation=(0.0,) * len(first.axes),
    )


def _first_field(node: Node) -> Path:
    try:
        path = node.path
        if "plate" in node.ome:
            path /= sorted(well["path"] for well in node.ome["plate"]["wells"])[0]
        well = open_node(path)
        assert well is not None
        return path / str(well.ome["well"]["images"][0]["path"])
    except (KeyError, IndexError, TypeError, AssertionError) as error:
        raise InvalidStore(f"{node.path} lists no field: {error!r}") from error


def _put_together(path: Path) -> list[Any]:
    try:
        location = parse_url(path, mode="r")
        levels = next(found.data for found in Reader(location)() if found.data)
    except Exception as error:
        raise InvalidStore(f"{path} cannot be put together: {error!r}") from error
    return list(levels)
