"""The documents of a Zarr group or array of anybody: found, read, never trusted."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_zarr_stream._writer.errors import InvalidStore, ZarrStreamError
from napari_zarr_stream._writer.store import read_json


@dataclass(frozen=True, slots=True)
class Node:
    """A Zarr group or array: its attributes, those of OME-NGFF apart."""

    path: Path
    is_array: bool
    attributes: Mapping[str, Any]
    ome: Mapping[str, Any]


def open_node(path: Path) -> Node | None:
    """What is at `path`; None where it is no Zarr.

    Raises
    ------
    InvalidStore
        Its metadata is damaged.
    """
    with understanding(path):
        return _open_node(path)


def _open_node(path: Path) -> Node | None:
    if (v3 := read_json(path / "zarr.json")) is not None:
        attributes = mapping(v3.get("attributes"))
        ome = mapping(attributes.get("ome"))
        return Node(path, v3.get("node_type") == "array", attributes, ome)
    is_array = (path / ".zarray").is_file()
    if is_array or (path / ".zgroup").is_file() or (path / ".zattrs").is_file():
        attributes = read_json(path / ".zattrs") or {}
        return Node(path, is_array, attributes, attributes)
    return None


@contextlib.contextmanager
def understanding(path: Path) -> Iterator[None]:
    """Turn whatever strange metadata lead to into an `InvalidStore`."""
    try:
        yield
    except (
        KeyError, IndexError, TypeError, AttributeError, ValueError, OverflowError,
        RecursionError, OSError, MemoryError,
    ) as error:  # fmt: skip
        if isinstance(error, ZarrStreamError):
            raise
        raise InvalidStore(
            f"{path}: its OME-NGFF metadata cannot be understood: {error!r}"
        ) from error


def inside(root: Path, name: object) -> Path:
    """The path of what a store says is in it.

    Raises
    ------
    InvalidStore
        It is not: a name with "..", or a link that leads elsewhere.
    """
    path = root / str(name)
    try:
        is_inside = path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError) as error:  # links in a circle
        raise InvalidStore(f"{path} leads nowhere: {error}") from error
    if not is_inside or path.resolve() == root.resolve():
        raise InvalidStore(f"{path} is not in the store: left alone")
    return path


def mapping(given: Any) -> Mapping[str, Any]:
    """What should be a JSON object; empty where it is none."""
    return given if isinstance(given, dict) else {}
