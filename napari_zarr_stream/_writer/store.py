"""Bytes -> storage: what a store is to those who write, and how its documents are read.

Keys are paths below the root with "/" between their parts. Every failure is a
`WriteFailed` that names the path.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from . import system
from .codecs import Encoded
from .errors import InvalidStore


class StoredFile(Protocol):
    """A file that is written piece by piece, at any offset, by several threads."""

    def write_at(self, offset: int, *pieces: Encoded) -> None:
        """Write `pieces` one after another from `offset` on."""

    def lengthen(self, size: int) -> None:
        """Make the file `size` bytes long; what was never written reads as zeros."""

    def end_with(self, offset: int, data: bytes) -> int:
        """Have the file end with `data`, for whoever opens it; returns where it ends.

        `data` lies at `offset`, or further behind if the file cannot be cut off there.
        """

    def appear(self) -> None:
        """Be at its place for readers, if it is not yet: it can be read now."""

    def close(self) -> None:
        """Let go of the file; may be called twice."""


class Store(Protocol):
    """Where a dataset is written."""

    @property
    def has_holes(self) -> bool:
        """Whether the part of a file that was never written takes no space."""

    def publish(self) -> None:
        """Make what was written so far appear at its place."""

    def discard(self) -> None:
        """Undo everything, if `publish` has not been called, and `close`."""

    def close(self) -> None:
        """Let others write here; may be called twice."""

    def write_json(self, key: str, document: Mapping[str, Any]) -> None:
        """Replace a document as a whole: a reader sees the old one or the new one."""

    def write(self, key: str, data: Encoded) -> None:
        """Write a whole file."""

    def replace(self, key: str, data: Encoded) -> None:
        """Write a whole file, of which readers never see a part."""

    def write_folder(
        self, key: str, files: Iterable[tuple[str, Encoded]], *, appears: bool = False
    ) -> None:
        """Write whole files, by their keys in a folder that is theirs alone.

        With `appears`, it is at its place only when all are there.
        """

    def create_file(
        self, key: str, keep_open: bool, *, appears: bool = False
    ) -> StoredFile:
        """Make an empty file to be written in pieces.

        With `appears`, it is at its place only after `StoredFile.appear`.
        """


MAX_DOCUMENT_BYTES = 16 * 2**20
"""No document is as large: a plate of 1536 wells with 100 fields each takes 10 MiB.
What Python makes of one may take 30 times its size."""


def read_json(path: Path) -> dict[str, Any] | None:
    """A document; None where there is none.

    Raises
    ------
    InvalidStore
        It cannot be read, or is no JSON object.
    """
    try:
        if not path.is_file():  # nor a pipe, which would be waited for
            return None
        if (size := path.stat().st_size) > MAX_DOCUMENT_BYTES:
            raise InvalidStore(f"{path} is no document of a store: it has {size} bytes")
        data = system.read_file(path, MAX_DOCUMENT_BYTES)
    except (OSError, ValueError) as error:
        if isinstance(error, InvalidStore):
            raise
        raise InvalidStore(f"{path} cannot be read: {error}") from error
    return parse_json(data, path)


def parse_json(data: bytes, where: object) -> dict[str, Any]:
    """The document that these bytes are.

    Raises
    ------
    InvalidStore
        They are no JSON object; names `where` they were.
    """
    try:
        try:
            document = json.loads(data)
        except UnicodeDecodeError:  # "µm" of a program that knows no UTF-8
            document = json.loads(data.decode("latin-1"))
    except (ValueError, RecursionError) as error:
        raise InvalidStore(f"{where} cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise InvalidStore(f"{where} holds no JSON object")
    return document


def lies_in_image(path: Path) -> bool:
    """Whether OME-NGFF has labels of an image at this path: in its group `labels`."""
    group = path.parent
    return group.name == "labels" and any(
        system.is_taken(folder / name)
        for folder in (group, group.parent)
        for name in ("zarr.json", ".zgroup")
    )


class PartOfStore:
    """One of several images that appear together, in a store or with it.

    Who has the whole store publishes it.

    Parameters
    ----------
    whole : Store
    prefix : str
        Of all keys: "" or a path that ends in "/".
    on_close : callable
        Called by `close`, once.
    is_in_view : bool
        Whether readers may look for a file before it is written: each appears when it
        can be read, and not before.
    """

    def __init__(
        self,
        whole: Store,
        prefix: str,
        on_close: Callable[[], None],
        *,
        is_in_view: bool = False,
    ) -> None:
        self._is_in_view = is_in_view
        self._whole = whole
        self._prefix = prefix
        self._on_close = on_close
        self._closed = False

    @property
    def has_holes(self) -> bool:
        """See `Store.has_holes`."""
        return self._whole.has_holes

    def publish(self) -> None:
        """Left to the whole."""

    def discard(self) -> None:
        """Left to the whole."""

    def close(self) -> None:
        """See `Store.close`."""
        if not self._closed:
            self._closed = True
            self._on_close()

    def write_json(self, key: str, document: Mapping[str, Any]) -> None:
        """See `Store.write_json`."""
        self._whole.write_json(f"{self._prefix}{key}", document)

    def write(self, key: str, data: Encoded) -> None:
        """See `Store.write`."""
        write = self._whole.replace if self._is_in_view else self._whole.write
        write(f"{self._prefix}{key}", data)

    def replace(self, key: str, data: Encoded) -> None:
        """See `Store.replace`."""
        self._whole.replace(f"{self._prefix}{key}", data)

    def write_folder(
        self, key: str, files: Iterable[tuple[str, Encoded]], *, appears: bool = False
    ) -> None:
        """See `Store.write_folder`."""
        appears |= self._is_in_view
        self._whole.write_folder(f"{self._prefix}{key}", files, appears=appears)

    def create_file(
        self, key: str, keep_open: bool, *, appears: bool = False
    ) -> StoredFile:
        """See `Store.create_file`."""
        return self._whole.create_file(
            f"{self._prefix}{key}",
            keep_open,
            appears=appears or self._is_in_view,
        )
