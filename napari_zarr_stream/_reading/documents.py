"""The documents of a Zarr group or array of anybody: found, read, never trusted."""

import contextlib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from napari_zarr_stream._writer.errors import InvalidStore, ZarrStreamError
from napari_zarr_stream._writer.ngff import BF2RAW
from napari_zarr_stream._writer.store import read_json

from .location import Location, document_at, path_below

SCENE = "scene"
"""Images and how they lie to each other: OME-NGFF 0.6."""

KINDS = ("plate", "well", BF2RAW, "multiscales", "labels", SCENE)
"""Metadata that say what is in a group; the first that is there counts."""

_BESIDE = (*KINDS[:-1], "series", "omero", "image-label", "version")
"""What stands in "ome", or beside it in stores written before there was that key."""


@dataclass(frozen=True, slots=True)
class Node:
    """A Zarr group or array.

    Attributes
    ----------
    path : Path or Within
    is_array : bool
    zarr_format : int
        2 or 3: which of the documents there says most.
    attributes : mapping
    ome : mapping
        Those of OME-NGFF.
    document : mapping
        That of an array: .zarray, or zarr.json.
    notes : tuple of str
        What is odd about it.
    """

    path: Location
    is_array: bool
    zarr_format: int
    attributes: Mapping[str, Any]
    ome: Mapping[str, Any]
    document: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def kind(self) -> str | None:
        """Which metadata say what is in a group; None where none do."""
        return next((kind for kind in KINDS if self.ome.get(kind)), None)


def open_node(path: Location) -> Node | None:
    """What is at `path`; None where it is no Zarr.

    A store can have documents of Zarr v2 and v3: programs of today leave an empty
    zarr.json in stores of v2. Those count that say something, and of what is there;
    where none does, what consolidated metadata say.

    Raises
    ------
    InvalidStore
        Its metadata is damaged, or as a draft of Zarr v3 had it.
    """
    with understanding(path):
        return _open_node(path)


def _open_node(path: Location) -> Node | None:
    found: list[Node] = []
    damaged: list[InvalidStore] = []
    for read in (_read_v3, _read_v2):
        try:
            if node := read(path):
                found.append(node)
        except InvalidStore as error:
            damaged.append(error)
    telling = [node for node in found if node.is_array or node.kind]
    if not telling and (node := _said_above(path)) is not None:
        found = telling = [node]
    if not telling and damaged:
        raise damaged[0]
    if not found:
        return None
    chosen = next(filter(_is_there, telling), (telling or found)[0])
    notes = [*chosen.notes, *(f"passed over: {error}" for error in damaged)]
    if chosen is not found[0]:
        what = "says nothing" if found[0] not in telling else "is of no pixels there"
        notes.append(f"{path / 'zarr.json'} {what}: read as Zarr v2")
    return replace(chosen, notes=tuple(notes))


def _is_there(node: Node) -> bool:
    """Whether an image has the level that it lists first, as far as a look tells."""
    if node.kind != "multiscales":
        return True
    given = node.ome["multiscales"]
    first = mapping(given if isinstance(given, dict) else (sequence(given) or [{}])[0])
    datasets = sequence(first.get("datasets"))
    path = mapping(datasets[0]).get("path", 0) if datasets else 0
    return (node.path / str(path).strip("/")).is_dir()


MAX_ABOVE = 4
"""Folders up, where consolidated metadata are looked for: those of a plate are as far
above the levels of its fields."""


def _said_above(path: Location) -> Node | None:
    """What consolidated metadata say of a folder that says nothing by itself.

    Stores come so from programs that copy what such metadata name.
    """
    if not path.is_dir():
        return None
    for above in [path, *path.parents][: MAX_ABOVE + 1]:
        key = path_below(above, path)
        before = "" if key == "." else f"{key}/"
        v2, v3 = _consolidated(above)
        node = None
        if document := mapping(v3.get(key)):
            node = _node_v3(path, document)
        elif document := mapping(v2.get(f"{before}.zarray")):
            node = _node_v2(path, mapping(v2.get(f"{before}.zattrs")), document)
        elif attributes := mapping(v2.get(f"{before}.zattrs")):
            node = _node_v2(path, attributes)
        if node is not None and (node.is_array or node.kind):
            note = f"said by nothing but the consolidated metadata of {above}"
            return replace(node, notes=(note,))
    return None


def is_consolidated(folder: Location) -> bool:
    """Whether a group has a copy of all documents below it: some ask for that only."""
    return any(_consolidated(folder))


def _consolidated(folder: Location) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Documents by their key, of Zarr v2 and v3; empty where there are none."""
    found = []
    for name in (".zmetadata", "zarr.json"):
        try:
            found.append(_metadata_at(folder / name))
        except (OSError, InvalidStore):
            found.append({})
    return found[0], found[1]


def _metadata_at(path: Location) -> Mapping[str, Any]:
    if isinstance(path, Path):
        said = path.stat()
        return _metadata_in(path, said.st_mtime_ns, said.st_size)
    return _listed(path, document_at(path))


@lru_cache(maxsize=8)
def _metadata_in(path: Path, mtime_ns: int, size: int) -> Mapping[str, Any]:
    return _listed(path, read_json(path))


def _listed(path: Location, document: Mapping[str, Any] | None) -> Mapping[str, Any]:
    listed: Any = document or {}
    if path.name != ".zmetadata":
        listed = listed.get("consolidated_metadata")
    return mapping(mapping(listed).get("metadata"))


def _read_v3(path: Location) -> Node | None:
    document = document_at(path / "zarr.json")
    return None if document is None else _node_v3(path, document)


def _node_v3(path: Location, document: Mapping[str, Any]) -> Node:
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
    said = document if is_array else {}
    return Node(path, is_array, 3, attributes, _ome_of(attributes), said)


def _read_v2(path: Location) -> Node | None:
    document = document_at(path / ".zarray")
    is_array = document is not None
    if not (is_array or (path / ".zgroup").is_file() or (path / ".zattrs").is_file()):
        return None
    try:
        attributes = document_at(path / ".zattrs") or {}
    except InvalidStore as error:
        if not is_array:
            raise
        # pixels need none
        return replace(_node_v2(path, {}, document), notes=(f"passed over: {error}",))
    return _node_v2(path, attributes, document)


def _node_v2(
    path: Location,
    attributes: Mapping[str, Any],
    array: Mapping[str, Any] | None = None,
) -> Node:
    is_array = array is not None
    return Node(path, is_array, 2, attributes, _ome_of(attributes), array or {})


def _ome_of(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    beside = {key: attributes[key] for key in _BESIDE if key in attributes}
    return beside | dict(mapping(attributes.get("ome")))


class BeyondBounds(InvalidStore):
    """More than can be read at once; a part of it can be."""


@contextlib.contextmanager
def understanding(path: Location) -> Iterator[None]:
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


def whole_number(given: Any) -> int | None:
    """The same of a whole number, which floats hold only up to 2**53."""
    if isinstance(given, int) and not isinstance(given, bool):
        return given
    if isinstance(given, str) and re.fullmatch(r"\s*[+-]?\d{1,30}\s*", given):
        return int(given)
    value = number(given)
    return int(value) if value is not None and value.is_integer() else None


def short(given: Any) -> str:
    """An odd value as part of a sentence: not longer than one."""
    text = repr(given)
    return text if len(text) <= 60 else f"{text[:57]}..."
