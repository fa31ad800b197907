"""Bytes -> storage: what a store is, and the one on a local disk.

Keys are paths below the root with "/" between their parts. Every failure is a
`WriteFailed` that names the path.
"""

import contextlib
import errno
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, Self

from . import system
from .codecs import Encoded
from .errors import InvalidStore, StoreExists, StoreInUse, WriteFailed, ZarrStreamError
from .lease import Patience
from .lock import StoreLock, holder_of

_HINTS = {
    errno.ENOSPC: "the disk is full: free some space or record elsewhere",
    errno.EDQUOT: "the disk quota is used up: free some space or record elsewhere",
    errno.EACCES: "permission denied: choose a folder that you may write to",
    errno.EROFS: "the disk is read-only: choose another folder",
    errno.ENOENT: "the folder is gone: was it moved, deleted or unplugged?",
    errno.ENOTDIR: "a file is where a folder should be: choose another place",
    errno.EEXIST: "a file is where a folder should be: choose another place",
    errno.EISDIR: "a folder is where a file should be: move it away",
    errno.EFBIG: "this disk takes no file of that size: choose a lower chunk cap",
    errno.EBUSY: "it is a drive of its own: choose a folder in it",
    errno.ENAMETOOLONG: "the name is too long: choose a shorter one",
}


class StoredFile(Protocol):
    """A file that is written piece by piece, at any offset, by several threads."""

    def write_at(self, offset: int, *pieces: Encoded) -> None:
        """Write `pieces` one after another from `offset` on."""

    def lengthen(self, size: int) -> None:
        """Make the file `size` bytes long; what was never written reads as zeros."""

    def end_with(self, offset: int, data: bytes) -> None:
        """Have the file end with `data` at `offset`, for whoever opens it."""

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

    def create_file(self, key: str, keep_open: bool) -> StoredFile:
        """Make an empty file to be written in pieces."""


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
        document = json.loads(system.read_file(path, MAX_DOCUMENT_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, InvalidStore):
            raise
        raise InvalidStore(f"{path} cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise InvalidStore(f"{path} holds no JSON object")
    return document


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except ZarrStreamError:
        raise
    except OSError as error:
        raise _failure(path, error) from error


def _failure(path: Path, error: OSError) -> WriteFailed:
    hint = _HINTS.get(error.errno or 0, error.strerror or str(error))
    message = f"{path} could not be written: {hint}"
    return WriteFailed(error.errno, message, str(path))


_PIECE_BYTES = 16 * 2**20
"""Files are copied in pieces of this size."""


class LocalFile:
    """A file on a local disk.

    Opened for each write unless `keep_open`: thousands are written at once where a tile
    holds one of many planes, and a process may have about a thousand open.
    """

    def __init__(self, path: Path, keep_open: bool, patience: Patience) -> None:
        self._path = path
        self._patience = patience
        self._descriptor: int | None = None
        with _writing(path):
            descriptor = system.create(path)
            if keep_open:
                self._descriptor = descriptor
            else:
                system.close(descriptor)

    @contextlib.contextmanager
    def _open(self) -> Iterator[int]:
        with _writing(self._path):
            if self._descriptor is not None:
                yield self._descriptor
                return
            with system.closing(system.open_to_write(self._path)) as descriptor:
                yield descriptor

    def write_at(self, offset: int, *pieces: Encoded) -> None:
        """See `StoredFile.write_at`."""
        if self._descriptor is None:
            with self._open() as descriptor:
                system.write_at(descriptor, offset, pieces)
            return
        # As above, for the one call that is made for every chunk: no context to enter.
        try:
            system.write_at(self._descriptor, offset, pieces)
        except OSError as error:
            raise _failure(self._path, error) from error

    def lengthen(self, size: int) -> None:
        """See `StoredFile.lengthen`."""
        with self._open() as descriptor:
            system.set_size(descriptor, size)

    def end_with(self, offset: int, data: bytes) -> None:
        """See `StoredFile.end_with`."""
        end = offset + len(data)
        with self._open() as descriptor:
            grows = system.size_of(descriptor) < end
            if not grows:
                system.write_at(descriptor, offset, (data,))  # where nobody looks yet
            with self._patience.alone_with(descriptor):
                if grows:
                    system.write_at(descriptor, offset, (data,))
                else:
                    system.set_size(descriptor, end)

    def close(self) -> None:
        """See `StoredFile.close`."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            with _writing(self._path):
                system.close(descriptor)


class LocalStore:
    """A folder on a local disk.

    The folder is made under another name beside its place and renamed by `publish`, so
    that a reader never meets half a store and a store that is to be replaced stays
    until the new one could be written. A lock beside it says who has it until `close`.

    Parameters
    ----------
    path : Path
    overwrite : bool
        Replace a Zarr store. Anything else is never replaced.

    Raises
    ------
    StoreExists
        Something other than an empty folder is at `path`, or somebody is writing it.
    WriteFailed
        The folder cannot be made.
    """

    def __init__(self, path: Path, overwrite: bool) -> None:
        self._overwrite = overwrite
        with _writing(path):
            # A link stays a link; what it points to is made or replaced.
            self._path = path.resolve() if path.exists() else path.absolute()
            if holder := holder_of(self._path):
                raise StoreInUse(
                    f"{self._path} is being written by {holder}: wait for its end, or "
                    "choose another name"
                )
            self._check_free()
            system.make_folders(self._path.parent)
            self._lock = StoreLock(self._path)
        mark = uuid.uuid4().hex[:8]
        self._root = self._path.with_name(f".{self._path.name[:40]}.{mark}")
        self._made: set[Path] = set()
        self._patience = Patience()
        try:
            with _writing(self._path):
                system.make_folder(self._root)
                self._has_holes = system.has_holes(self._root)
        except WriteFailed:
            with contextlib.suppress(OSError):  # the first failure counts
                system.remove_tree(self._root)
            self.close()
            raise

    @property
    def has_holes(self) -> bool:
        """See `Store.has_holes`."""
        return self._has_holes

    @property
    def root(self) -> Path:
        """Where files go now: beside the place of the store until `publish`."""
        return self._root

    def _check_free(self) -> None:
        path = self._path
        if not system.is_taken(path):
            return
        if path.is_dir() and next(path.iterdir(), None) is None:
            return
        if not self._overwrite:
            raise StoreExists(
                f"{path} already exists: choose another name, or ask to overwrite it"
            )
        if not any((path / name).is_file() for name in ("zarr.json", ".zgroup")):
            raise StoreExists(
                f"{path} already exists and is not a Zarr group, so it is not "
                "replaced: choose another name"
            )

    def publish(self) -> None:
        """See `Store.publish`.

        Raises
        ------
        StoreExists
            Something has come to the place meanwhile.
        """
        replaced = self._root.with_name(self._root.name + ".replaced")
        with _writing(self._path):
            self._check_free()
            if self._path.is_dir() and not any(self._path.iterdir()):
                system.remove_folder(self._path)
            if system.is_taken(self._path):
                system.rename(self._path, replaced)
            try:
                system.rename(self._root, self._path)
            except OSError:
                if replaced.exists():
                    system.rename(replaced, self._path)
                raise
        self._root = self._path
        self._made.clear()
        if replaced.exists():
            with _writing(replaced):
                system.remove_tree(replaced)

    def discard(self) -> None:
        """See `Store.discard`."""
        try:
            if self._root != self._path:
                with _writing(self._root):
                    system.remove_tree(self._root)
        finally:
            self.close()

    def withdraw(self) -> None:
        """Take away a store that was made just now, published or not, and `close`."""
        try:
            with _writing(self._root):
                system.remove_tree(self._root)
        finally:
            self.close()

    def close(self) -> None:
        """See `Store.close`."""
        with _writing(self._path):
            self._lock.release()

    def _make_folder(self, folder: Path) -> None:
        """Make it below the root, which is not made again when it was deleted."""
        if folder != self._root and folder not in self._made:
            self._make_folder(folder.parent)
            system.make_folder(folder, exist_ok=True)
            self._made.add(folder)

    def write_json(self, key: str, document: Mapping[str, Any]) -> None:
        """See `Store.write_json`."""
        path = self._root / key
        text = json.dumps(document, indent=2, allow_nan=False)
        with _writing(path):
            self._make_folder(path.parent)
            system.replace_file(path, text.encode())

    def write(self, key: str, data: Encoded) -> None:
        """See `Store.write`."""
        path = self._root / key
        with _writing(path):
            self._make_folder(path.parent)
            try:
                system.write_file(path, data)
            except OSError:
                # Half a chunk is an error to a reader, none is a fill value.
                system.remove(path)
                raise

    def create_file(self, key: str, keep_open: bool) -> LocalFile:
        """See `Store.create_file`."""
        path = self._root / key
        with _writing(path):
            self._make_folder(path.parent)
        return LocalFile(path, keep_open, self._patience)


class PartOfStore:
    """One of several images that appear together, in a store or with it.

    Who has the whole store publishes it.

    Parameters
    ----------
    whole : LocalStore
    prefix : str
        Of all keys: "" or a path that ends in "/".
    on_close : callable
        Called by `close`, once.
    """

    def __init__(
        self, whole: LocalStore, prefix: str, on_close: Callable[[], None]
    ) -> None:
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
        self._whole.write(f"{self._prefix}{key}", data)

    def create_file(self, key: str, keep_open: bool) -> StoredFile:
        """See `Store.create_file`."""
        return self._whole.create_file(f"{self._prefix}{key}", keep_open)


def _check_inside(root: Path, path: Path) -> None:
    try:
        parent = path.parent.resolve()
    except RuntimeError as error:
        raise WriteFailed(f"{path} leads round in a circle: {error}") from error
    if not parent.is_relative_to(root):
        raise WriteFailed(f"{path} leads out of the store, to {parent}")


class ReplacingFile(LocalFile):
    """A file that takes the place of an old one as a whole, when it is closed."""

    def __init__(self, path: Path, keep_open: bool, patience: Patience) -> None:
        self._place = path
        self._replaced = False
        super().__init__(system.partial_beside(path), keep_open, patience)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if error is None:
            self.close()
        else:
            super().close()

    def close(self) -> None:
        """See `StoredFile.close`."""
        super().close()
        if not self._replaced:
            self._replaced = True
            with _writing(self._place):
                try:
                    system.replace_synced(self._path, self._place)
                except OSError:
                    system.remove(self._path)
                    raise


class ExistingStore(LocalStore):
    """A store that is there already, in which files are replaced as a whole.

    Parameters
    ----------
    path : Path

    Raises
    ------
    StoreInUse
        Somebody is writing it.
    WriteFailed
        It cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = self._root = path.resolve()
        self._overwrite = False
        self._has_holes = False  # what is repaired is written once, from end to end
        self._made = set()
        self._patience = Patience()
        with _writing(self._path):
            self._lock = StoreLock(self._path)

    def write_json(self, key: str, document: Mapping[str, Any]) -> None:
        """See `Store.write_json`."""
        _check_inside(self._root, self._root / key)
        super().write_json(key, document)

    def write(self, key: str, data: Encoded) -> None:
        """See `Store.write`."""
        file = self.create_file(key, keep_open=True)
        file.write_at(0, data)
        file.close()

    def create_file(self, key: str, keep_open: bool) -> ReplacingFile:
        """See `Store.create_file`."""
        _check_inside(self._root, self._root / key)
        path = self._root / key
        with _writing(path):
            self._make_folder(path.parent)
        return ReplacingFile(path, keep_open, self._patience)

    def copy(self, key: str) -> ReplacingFile:
        """As `create_file`, with the bytes that are there now."""
        file = self.create_file(key, keep_open=True)
        place = self._root / key
        with _writing(place), system.closing(system.open_to_read(place)) as old:
            at = 0
            while piece := system.read_at(old, _PIECE_BYTES, at):
                file.write_at(at, piece)
                at += len(piece)
        return file

    @contextlib.contextmanager
    def _open_in_place(self, key: str) -> Iterator[int]:
        """A file that is changed itself, unless it is known by another name as well."""
        path = self._root / key
        _check_inside(self._root, path)
        with (
            _writing(path),
            system.closing(system.open_to_change(path)) as descriptor,
        ):
            if system.names_of(descriptor) > 1:
                raise WriteFailed(
                    f"{path} is also known by another name (a hard link), perhaps "
                    "of a backup: repair a copy of the store"
                )
            yield descriptor

    def end_with(self, key: str, offset: int, data: bytes) -> None:
        """Have a file end with `data` at `offset`; what lay behind it is cut off.

        The old end stays until `data` is on the disk.
        """
        with self._open_in_place(key) as descriptor:
            system.write_at(descriptor, offset, (data,))
            system.sync(descriptor)
            with self._patience.alone_with(descriptor):
                system.set_size(descriptor, offset + len(data))

    def lengthen(self, key: str, size: int) -> None:
        """Make a file `size` bytes long, with zeros, at once."""
        with self._open_in_place(key) as descriptor:
            system.set_size(descriptor, size)

    def remove(self, path: Path) -> None:
        """Take away a file, or a folder with all in it, of ours."""
        _check_inside(self._root.parent, path)
        with _writing(path):
            if path.is_dir() and not path.is_symlink():
                system.remove_tree(path)
            else:
                system.remove(path)
