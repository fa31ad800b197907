"""The documents of a Zarr group or array of anybody: found, read, never trusted."""

import contextlib
import math
import os
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from napari_zarr_stream._writer.errors import InvalidStore, ZarrStreamError
from napari_zarr_stream._writer.ngff import BF2RAW
from napari_zarr_stream._writer.store import read_json

KINDS = ("plate", "well", BF2RAW, "multiscales", "labels")
"""Metadata that say what is in a group; the first that is there counts."""

_BESIDE = (*KINDS, "series", "omero", "image-label", "version")
"""What stands in "ome", or beside it in stores written before there was that key."""


@dataclass(frozen=True, slots=True)
class Node:
    """A Zarr group or array.

    Attributes
    ----------
    path : Path
    is_array : bool
    zarr_format : int
        2 or 3: which of the documents there says most.
    attributes : mapping
    ome : mapping
        Those of OME-NGFF.
    notes : tuple of str
        What is odd about it.
    """

    path: Path
    is_array: bool
    zarr_format: int
    attributes: Mapping[str, Any]
    ome: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    @property
    def kind(self) -> str | None:
        """Which metadata say what is in a group; None where none do."""
        return next((kind for kind in KINDS if self.ome.get(kind)), None)


def open_node(path: Path) -> Node | None:
    """What is at `path`; None where it is no Zarr.

    A store can have documents of Zarr v2 and v3: programs of today leave an empty
    zarr.json in stores of v2. Those count that say something.

    Raises
    ------
    InvalidStore
        Its metadata is damaged, or as a draft of Zarr v3 had it, or it is zipped.
    """
    with understanding(path):
        if path.is_file() and zipfile.is_zipfile(path):
            raise InvalidStore(f"{path} is a zip archive: unpack it, open the folder")
        return _open_node(path)


def _open_node(path: Path) -> Node | None:
    found: list[Node] = []
    damaged: list[InvalidStore] = []
    for read in (_read_v3, _read_v2):
        try:
            if node := read(path):
                found.append(node)
        except InvalidStore as error:
            damaged.append(error)
    telling = [node for node in found if node.is_array or node.kind]
    if not telling and damaged:
        raise damaged[0]
    if not found:
        return None
    chosen = (telling or found)[0]
    notes = [*chosen.notes, *(f"passed over: {error}" for error in damaged)]
    if chosen is not found[0]:
        notes.append(f"{path / 'zarr.json'} says nothing: read as Zarr v2")
    return Node(
        path,
        chosen.is_array,
        chosen.zarr_format,
        chosen.attributes,
        chosen.ome,
        tuple(notes),
    )


def _read_v3(path: Path) -> Node | None:
    document = read_json(path / "zarr.json")
    if document is None:
        return None
    if "metadata_encoding" in document:
        raise InvalidStore(
            f"{path} is Zarr v3 as it was drafted in 2022, before it was final: what "
            "the Acquire driver calls ZarrV3. No reader of today opens that. "
            "zarr-python 2.18 does, with pytest beside it, ZARR_V3_EXPERIMENTAL_API=1 "
            "and ZARR_V3_SHARDING=1 set, and can copy it into Zarr v2, which opens "
            f"here: zarr.open_array(zarr.DirectoryStoreV3({str(path)!r}), path='0', "
            "zarr_version=3) is level 0"
        )
    attributes = mapping(document.get("attributes"))
    is_array = document.get("node_type") == "array"
    return Node(path, is_array, 3, attributes, _ome_of(attributes))


def _read_v2(path: Path) -> Node | None:
    is_array = (path / ".zarray").is_file()
    if not (is_array or (path / ".zgroup").is_file() or (path / ".zattrs").is_file()):
        return None
    notes: tuple[str, ...] = ()
    try:
        attributes = read_json(path / ".zattrs") or {}
    except InvalidStore as error:
        if not is_array:
            raise
        attributes, notes = {}, (f"passed over: {error}",)  # pixels need none
    return Node(path, is_array, 2, attributes, _ome_of(attributes), notes)


def _ome_of(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    beside = {key: attributes[key] for key in _BESIDE if key in attributes}
    return beside | dict(mapping(attributes.get("ome")))


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


MAX_ENTRIES = 1000
"""Of a folder, that are looked at: a million chunks may lie in one."""


def entries_of(folder: Path) -> list[os.DirEntry[str]]:
    """Some of what lies in a folder: all, unless it is full of chunks."""
    with os.scandir(folder) as entries:
        return list(islice(entries, MAX_ENTRIES))


def mapping(given: Any) -> Mapping[str, Any]:
    """What should be a JSON object; empty where it is none."""
    return given if isinstance(given, dict) else {}


def sequence(given: Any) -> list[Any]:
    """What should be a JSON array; empty where it is none."""
    return given if isinstance(given, list) else []


def number(given: Any) -> float | None:
    """What should be a finite number, also where it was written as a text."""
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        return None
    try:
        value = float(given)
    except (ValueError, OverflowError):
        return None
    return value if math.isfinite(value) else None


def short(given: Any) -> str:
    """An odd value as part of a sentence: not longer than one."""
    text = repr(given)
    return text if len(text) <= 60 else f"{text[:57]}..."
