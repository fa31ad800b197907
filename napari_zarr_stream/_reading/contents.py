"""What lies inside a root: an image, a plate, labels, or a series of images."""

from pathlib import Path
from typing import Any

from napari_zarr_stream._writer.errors import InvalidStore

from .documents import Node, inside, open_node, understanding

MAX_IMAGES = 256
"""Together: each is one or more layers, and takes some 10 ms to open."""


def kind_of(node: Node) -> str | None:
    """Which metadata says what is in a group."""
    kinds = ("plate", "well", "bioformats2raw.layout", "multiscales", "labels")
    return next((kind for kind in kinds if kind in node.ome), None)


def series_of(node: Node) -> list[Path]:
    """Images of a bioformats2raw group: those listed, or those numbered 0, 1, 2 ...

    Raises
    ------
    InvalidStore
        They lie outside, or are more than can be shown.
    """
    with understanding(node.path):
        overview = open_node(node.path / "OME")
        names = overview.ome.get("series") if overview else None
        if isinstance(names, list) and names:
            return [inside(node.path, name) for name in listed_in(node.path, names)]
        numbers = [int(p.name) for p in node.path.iterdir() if p.name.isdecimal()]
        listed = listed_in(node.path, sorted(numbers))
        return [inside(node.path, number) for number in listed]


def listed_in(group: Path, names: Any) -> list[Any]:
    """Names of images that a group lists, each once.

    Raises
    ------
    InvalidStore
        More than can be shown.
    """
    once = list(dict.fromkeys(names)) if isinstance(names, list) else []
    if len(once) > MAX_IMAGES:
        raise InvalidStore(
            f"{group} holds {len(once)} images; {MAX_IMAGES} can be shown together: "
            "open them one by one"
        )
    return once
