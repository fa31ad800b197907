"""The files of a store on this computer, and the order in which they go."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from napari_zarr_stream._writer import system
from napari_zarr_stream._writer.errors import InvalidStore
from napari_zarr_stream._writer.record import RECORD_KEY, RecordKey

CLAIM = ".uploading.json"
"""At the other place while a store is on its way: whose it is. Readers of Zarr pass
over it."""

_DOCUMENTS = {"zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"}


class LocalFile(NamedTuple):
    """A file by its key below the root, as it is now."""

    key: str
    size: int
    mtime_ns: int


def files_in(root: Path) -> Iterator[LocalFile]:
    """All files of a store, but links and what is on its way to another name."""
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        for entry in system.entries(root / prefix if prefix else root):
            key = f"{prefix}/{entry.name}" if prefix else entry.name
            if entry.is_dir(follow_symlinks=False):
                waiting.append(key)
            elif entry.is_file(follow_symlinks=False) and is_of_store(key):
                info = entry.stat(follow_symlinks=False)
                yield LocalFile(key, info.st_size, info.st_mtime_ns)


def links_in(root: Path) -> list[str]:
    """What in a store leads elsewhere, and is not sent."""
    found, waiting = [], [root]
    while waiting:
        for entry in system.entries(waiting.pop()):
            if entry.is_symlink():
                found.append(os.fspath(entry.path))
            elif entry.is_dir(follow_symlinks=False):
                waiting.append(Path(entry.path))
    return found


def is_of_store(key: str) -> bool:
    """Whether a file is one of a store, and not on its way there."""
    *folders, name = key.split("/")
    return name != CLAIM and not any(map(system.PARTIAL.fullmatch, (*folders, name)))


def is_document(key: str) -> bool:
    """Whether readers learn from a file what else there is."""
    name = key.rpartition("/")[2]
    return name in _DOCUMENTS or name.lower().endswith(".xml")


def document_order(key: str) -> tuple[int, int, str]:
    """To sort documents by: the root last, and level 0 after the others beside it."""
    folder, _, name = key.rpartition("/")
    depth = key.count("/")
    level = folder.rpartition("/")[2]
    number = int(level) if level.isdecimal() else 0
    # What makes a folder a group of Zarr comes after what the group says.
    ending = {".zgroup": "~", "zarr.json": "~"}.get(name, name)
    return -depth, -number, ending


def root_document(keys: Mapping[str, Any]) -> str | None:
    """The key of the document that makes it a store."""
    return next((k for k in ("zarr.json", ".zgroup", ".zarray") if k in keys), None)


MOST_DOCUMENT_BYTES = 64 * 2**20

_SAY_WHICH = ("zarr.json", ".zattrs", ".zgroup", ".zarray", "0/zarr.json", "0/.zattrs")


def identity(documents: Mapping[str, bytes]) -> str | None:
    """Which store it is that has these documents; None where it is none.

    The same while it is recorded, after its end, and after a repair.
    """
    if root_document(documents) is None:
        return None
    said = sha256()
    for key in _SAY_WHICH:
        if (data := documents.get(key)) is None:
            continue
        try:
            document = json.loads(data)
        except ValueError:
            document = None
        attributes = _mapping(_mapping(document).get("attributes", document))
        record = _mapping(attributes.get(RECORD_KEY))
        # Up to version 0.1 the start was all that told, and it was said in the end.
        if mark := record.get(RecordKey.STORE_ID) or record.get(RecordKey.START_TIME):
            said.update(f"{key} {mark}".encode())
        elif "/" not in key:  # an array below it changes while it grows
            said.update(key.encode() + data)
    return said.hexdigest()


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def identity_here(root: Path) -> str:
    """Which store is at a path.

    Raises
    ------
    InvalidStore
        None is.
    """
    documents = {}
    for key in _SAY_WHICH:
        path = root / key
        if path.is_file():
            try:
                documents[key] = system.read_file(path, MOST_DOCUMENT_BYTES)
            except OSError as error:
                raise InvalidStore(f"{path} cannot be read: {error}") from error
    found = identity(documents)
    if found is None:
        what = "is not a Zarr store" if root.exists() else "does not exist"
        raise InvalidStore(f"{root} {what}")
    return found


async def identity_there(get: Callable[[str], Any]) -> str | None:
    """Which store has its documents at another place; None where none has."""
    documents = {}
    for key in _SAY_WHICH:
        if (data := await get(key)) is not None:
            documents[key] = data
    return identity(documents)
