"""Where a store lies: in a folder, or within something else that holds its files.

A `Path` for folders; for addresses and zip files a `Within`, which is asked the same
questions. Both are joined with "/" and say where they are in messages.
"""

import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, TypeVar
from urllib.parse import unquote

from napari_zarr_stream._writer.errors import InvalidStore
from napari_zarr_stream._writer.names import image_name
from napari_zarr_stream._writer.record import RECORD_KEY, is_left_open
from napari_zarr_stream._writer.store import MAX_DOCUMENT_BYTES, parse_json, read_json

from .side_by_side import side_by_side

Answer = TypeVar("Answer")

DOCUMENTS = ("zarr.json", ".zattrs", ".zgroup", ".zarray")
"""Of a group or an array, of Zarr v3 and v2: asked for together, in one wait."""

MAX_ENTRIES = 1000
"""Of a folder, that are looked at: a million chunks may lie in one."""

STALE_S = 2.0
"""What was read of a store that somebody still writes is read again after it."""


class Unreachable(InvalidStore):
    """What holds a store gives no answer, or none that helps: nothing is damaged."""


class Refused(Unreachable):
    """The answer says no more than that nothing can be had.

    So it is of what is not there, too: a bucket that may not be listed refuses it, and
    some servers have a page for it.
    """


class Away(Unreachable):
    """Nobody answers at all: what was asked for may be there when somebody does."""


def may_come(error: object) -> bool:
    """Whether something failed for want of an answer, and may not the next time."""
    while isinstance(error, BaseException) and not isinstance(error, Unreachable):
        error = error.__cause__
    return isinstance(error, Unreachable) and not isinstance(error, Refused)


class Files(Protocol):
    """What holds the files of a store: a server, a bucket, a zip file.

    Keys are paths with "/" between their parts, and "" is the root. May be asked from
    any thread.
    """

    name: str
    """Where it is, for messages."""
    is_far: bool
    """Whether an answer takes longer than anything that is done with it."""

    def read(self, key: str, part: slice, most_bytes: int) -> bytes | None:
        """A part of a file, as a slice of its bytes; None where there is no such file.

        Raises
        ------
        InvalidStore
            It cannot be read, or has more bytes than that; says why.
        """

    def entries(self, key: str) -> "list[Entry] | None":
        """What lies in a folder; None where that cannot be asked."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder in another one."""

    name: str
    is_folder: bool


Found = dict[str, Any] | InvalidStore | None
"""What an answer was: a document, why there is none that can be read, or that none is
there."""


class Tree:
    """The files of a store, with the documents that were read of it.

    Parameters
    ----------
    files : Files
    """

    def __init__(self, files: Files) -> None:
        self.files = files
        self.is_written = False
        self._documents: dict[str, Found] = {}
        self._lock = threading.Lock()  # of the one before

    def document(self, key: str) -> dict[str, Any] | None:
        """A document, asked for once, together with those beside it.

        Raises
        ------
        InvalidStore
            It cannot be read, or is none.
        """
        found = self._found(key)
        if isinstance(found, InvalidStore):
            with self._lock:
                others = self._documents.values()
                known = any(isinstance(other, dict) for other in others)
            if not (isinstance(found, Refused) and known):
                raise found
            return None
        return found

    def _found(self, key: str) -> Found:
        """What the answer was, of a document that is asked for if it was not."""
        with self._lock:
            if key in self._documents:
                return self._documents[key]
        folder, _, name = key.rpartition("/")
        return self.look_up([folder] if name in DOCUMENTS else [], [key])[key]

    def look_up(
        self, folders: Iterable[str], keys: Iterable[str] = ()
    ) -> dict[str, Found]:
        """What the answers were, of all documents of folders: asked for at once."""
        wanted = {_key(folder, name) for folder in folders for name in DOCUMENTS}
        wanted.update(keys)
        with self._lock:
            known = {key: self._documents[key] for key in wanted & {*self._documents}}
        unknown = sorted(wanted - known.keys())
        ask = side_by_side if self.files.is_far else map
        answers = dict(zip(unknown, ask(self._ask, unknown), strict=True))
        with self._lock:
            self._documents.update(answers)
        return known | answers

    def insist(self, read: Callable[[], Answer]) -> Answer:
        """What `read` returns; read twice, if nobody answered and somebody does now.

        So what fails by itself is told from what a network keeps back for a while.

        Raises
        ------
        Away
            Nobody does.
        """
        try:
            return read()
        except InvalidStore as error:
            if not may_come(error):
                raise
            if may_come(self._ask(DOCUMENTS[0])):
                raise Away(str(error)) from error
        with self._lock:
            known = self._documents.items()
            self._documents = {key: was for key, was in known if not may_come(was)}
        return read()

    def _ask(self, key: str) -> Found:
        try:
            data = self.files.read(key, slice(None), MAX_DOCUMENT_BYTES)
            where = f"{self.files.name}/{key}"
            if data is not None:
                _refuse_other(data, where)
            found = None if data is None else parse_json(data, where)
            if found is not None and not _is_of_zarr(found, key):
                raise Refused(f"{where} is no document of a store")
        except InvalidStore as error:
            return error
        if found is not None and _is_still_written(found):
            self.is_written = True
        return found

    def has_document(self, key: str) -> bool:
        """Whether there is a document that can be read.

        Raises
        ------
        Unreachable
            Nobody can tell.
        """
        found = self._found(key)
        if isinstance(found, Unreachable):
            return self.document(key) is not None
        return isinstance(found, dict)

    def has_documents(self, folder: str) -> bool:
        """Whether there is a group or an array."""
        return any(self.has_document(_key(folder, name)) for name in DOCUMENTS)

    def stamp(self) -> tuple[int, int]:
        """In place of when a file was changed: another one when to look at it again."""
        since = time.perf_counter() // STALE_S if self.is_written else 0
        return int(since), 0


def _refuse_other(data: bytes, where: str) -> None:
    """Raise Refused for what servers send in place of a document."""
    if data.lstrip()[:1] == b"<":
        raise Refused(
            f"{where} is a web page, and no document of a store: is this the "
            "address of the store's own folder?"
        )
    if not data.strip():
        raise Refused(f"{where} is empty")
    if data[:2] == b"\x1f\x8b":
        raise Unreachable(
            f"{where} is sent packed (gzip), which nobody asked for: ask for a server "
            "that sends files as they are, or download it"
        )


def _is_of_zarr(document: dict[str, Any], key: str) -> bool:
    """Whether it may be what its name says, and not words about an error."""
    name = key.rpartition("/")[2]
    said = {"zarr.json", ".zgroup", ".zarray"}
    return name not in said or "zarr_format" in document or "shape" in document


def _is_still_written(document: dict[str, Any]) -> bool:
    attributes = document.get("attributes", document)
    record = attributes.get(RECORD_KEY) if isinstance(attributes, dict) else None
    return isinstance(record, dict) and is_left_open(record)


def _key(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


@dataclass(frozen=True, slots=True)
class Within:
    """A file or folder in a tree, as far as it is used like a `pathlib.Path`."""

    tree: Tree
    key: str = ""

    def __str__(self) -> str:
        return _key(self.tree.files.name, self.key) if self.key else self.root_name

    @property
    def root_name(self) -> str:
        """Where the tree is."""
        return self.tree.files.name

    def __truediv__(self, name: object) -> "Within":
        joined = PurePosixPath(self.key, str(name).lstrip("/")).as_posix()
        return Within(self.tree, "" if joined == "." else joined)

    @property
    def name(self) -> str:
        """The last part of it."""
        return PurePosixPath(self.key or self.root_name).name

    @property
    def parents(self) -> list["Within"]:
        """Those that it is in, up to the root."""
        parents = PurePosixPath(self.key).parents if self.key else ()
        return [Within(self.tree, "") / parent for parent in parents]

    @property
    def parent(self) -> "Within":
        """The one that it is in; of the root itself."""
        return self.parents[0] if self.key else self

    def is_file(self) -> bool:
        """Whether there is a document."""
        return self.tree.has_document(self.key)

    def is_dir(self) -> bool:
        """Whether there is a group or an array, or a folder that can be seen."""
        return self.tree.has_documents(self.key) or bool(
            self.tree.files.entries(self.key)
        )


Location = Path | Within
"""Where a group or an array is."""


def document_at(place: Location) -> dict[str, Any] | None:
    """A document; None where there is none.

    Raises
    ------
    InvalidStore
        It cannot be read, or is no JSON object.
    """
    if isinstance(place, Within):
        return place.tree.document(place.key)
    return read_json(place)


def is_remote(place: Location) -> bool:
    """Whether what is asked of it takes longer than all that is done with it."""
    return isinstance(place, Within) and place.tree.files.is_far


def insisting(place: Location, read: Callable[[], Answer]) -> Answer:
    """As of `Tree`; in a folder there is nobody to wait for."""
    return place.tree.insist(read) if isinstance(place, Within) else read()


def title_of(place: Location) -> str:
    """What an image there is called where nothing else says it."""
    return image_name(place if isinstance(place, Path) else unquote(place.name))


def look_up(places: Iterable[Location]) -> None:
    """Have the documents of these asked for side by side, where that saves time."""
    far: dict[Tree, list[str]] = {}
    for place in places:
        if isinstance(place, Within):
            far.setdefault(place.tree, []).append(place.key)
    for tree, keys in far.items():
        tree.look_up(keys)


def inside(root: Location, name: object) -> Location:
    """The place of what a store says is in it.

    Raises
    ------
    InvalidStore
        It is not: a name with "..", or a link that leads elsewhere.
    """
    place = root / str(name).strip("/")  # some write paths from the root of the store
    try:
        if isinstance(place, Within) or isinstance(root, Within):
            is_inside = ".." not in str(name).split("/") and place != root
        else:
            real, real_root = place.resolve(), root.resolve()
            is_inside = real.is_relative_to(real_root) and real != real_root
    except (OSError, RuntimeError) as error:  # links in a circle
        raise InvalidStore(f"{place} leads nowhere: {error}") from error
    if not is_inside:
        raise InvalidStore(f"{place} is not in the store: left alone")
    return place


def those_inside(
    root: Location, names: Iterable[object], notes: list[str]
) -> list[Location]:
    """The same of several: one that lies elsewhere is noted, and hides no other."""
    found = []
    for name in names:
        try:
            found.append(inside(root, name))
        except InvalidStore as error:
            notes.append(f"passed over: {error}")
    return found


def path_below(root: Location, place: Location) -> str:
    """What leads from one place to another within it."""
    if isinstance(place, Within) and isinstance(root, Within):
        return PurePosixPath(place.key).relative_to(root.key).as_posix()
    return Path(str(place)).relative_to(str(root)).as_posix()


def entries_of(folder: Location, *, follow_links: bool = True) -> list[Entry] | None:
    """Some of what lies in a folder: all, unless it is full of chunks.

    None where that cannot be asked.

    Raises
    ------
    OSError
        The folder cannot be looked into.
    """
    if isinstance(folder, Within):
        entries = folder.tree.files.entries(folder.key)
        return None if entries is None else entries[:MAX_ENTRIES]
    with os.scandir(folder) as found:
        return [
            Entry(entry.name, entry.is_dir(follow_symlinks=follow_links))
            for entry in islice(found, MAX_ENTRIES)
        ]
