"""Bytes -> storage: what a store is, and the one on a local disk.

Keys are paths below the root with "/" between their parts. Every failure is a
`WriteFailed` that names the path.
"""

import contextlib
import errno
import json
import os
import re
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

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
        document = json.loads(path.read_text(encoding="utf-8"))
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
    return WriteFailed(error.errno, message, os.fspath(path))


_IOV_MAX = 1024
"""Pieces that one call takes: POSIX asks for 16, Linux and macOS have this."""


def _some(written: int | None) -> int:
    """What a call wrote of several bytes; after nothing it is not called again."""
    if not written:
        raise OSError(errno.EIO, "the disk takes nothing, and does not say why")
    return written


def _write_all(descriptor: int, offset: int, pieces: Sequence[Encoded]) -> None:
    """`os.pwritev` until nothing is left: it may write less than it was given."""
    while pieces:
        now, pieces = pieces[:_IOV_MAX], pieces[_IOV_MAX:]
        written = os.pwritev(descriptor, now, offset)
        offset += written
        if written < (wanted := sum(map(len, now))):
            rest = memoryview(b"".join(now))[_some(written) - wanted :]
            pieces = (rest, *pieces)


_seek_lock = threading.Lock()

if not hasattr(os, "pwritev"):  # Windows

    def _write_all(descriptor: int, offset: int, pieces: Sequence[Encoded]) -> None:
        view = memoryview(b"".join(pieces))
        with _seek_lock:
            os.lseek(descriptor, offset, os.SEEK_SET)
            while view:
                view = view[_some(os.write(descriptor, view)) :]


_FLAGS = os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0)

_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)

_PIECE_BYTES = 16 * 2**20
"""Files are copied in pieces of this size."""

PARTIAL = re.compile(r"(?P<name>.+)\.[0-9a-f]{8}\.partial")
"""Name of a file on its way to its place."""


def _partial(path: Path) -> Path:
    return path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.partial")


def _replace(partial: Path, path: Path) -> None:
    """Put a file in its place, on the disk before it is seen there."""
    try:
        descriptor = os.open(partial, os.O_RDWR | _NO_LINK)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def _has_holes(folder: Path) -> bool:
    """Try it with a file in `folder`; False where the system does not say."""
    probe = folder / "hole.partial"
    with probe.open("wb") as file:
        file.truncate(2**20)
        file.flush()
        blocks = getattr(os.fstat(file.fileno()), "st_blocks", 2**20)
    probe.unlink()
    return bool(blocks < 2**10)


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
            descriptor = os.open(path, _FLAGS | os.O_TRUNC, 0o666)
            if keep_open:
                self._descriptor = descriptor
            else:
                os.close(descriptor)

    @contextlib.contextmanager
    def _open(self) -> Iterator[int]:
        with _writing(self._path):
            if self._descriptor is not None:
                yield self._descriptor
                return
            descriptor = os.open(self._path, _FLAGS, 0o666)
            try:
                yield descriptor
            finally:
                os.close(descriptor)

    def write_at(self, offset: int, *pieces: Encoded) -> None:
        """See `StoredFile.write_at`."""
        if self._descriptor is None:
            with self._open() as descriptor:
                _write_all(descriptor, offset, pieces)
            return
        # As above, for the one call that is made for every chunk: no context to enter.
        try:
            _write_all(self._descriptor, offset, pieces)
        except OSError as error:
            raise _failure(self._path, error) from error

    def lengthen(self, size: int) -> None:
        """See `StoredFile.lengthen`."""
        with self._open() as descriptor:
            os.ftruncate(descriptor, size)

    def end_with(self, offset: int, data: bytes) -> None:
        """See `StoredFile.end_with`."""
        end = offset + len(data)
        with self._open() as descriptor:
            grows = os.fstat(descriptor).st_size < end
            if not grows:
                _write_all(descriptor, offset, (data,))  # where nobody looks yet
            with self._patience.alone_with(descriptor):
                if grows:
                    _write_all(descriptor, offset, (data,))
                else:
                    os.ftruncate(descriptor, end)

    def close(self) -> None:
        """See `StoredFile.close`."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            with _writing(self._path):
                os.close(descriptor)


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
            self._path = path.resolve() if os.path.exists(path) else path.absolute()
            if holder := holder_of(self._path):
                raise StoreInUse(
                    f"{self._path} is being written by {holder}: wait for its end, or "
                    "choose another name"
                )
            self._check_free()
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = StoreLock(self._path)
        mark = uuid.uuid4().hex[:8]
        self._root = self._path.with_name(f".{self._path.name[:40]}.{mark}")
        self._made: set[Path] = set()
        self._patience = Patience()
        try:
            with _writing(self._path):
                self._root.mkdir()
                self._has_holes = _has_holes(self._root)
        except WriteFailed:
            shutil.rmtree(self._root, ignore_errors=True)  # the first failure counts
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
        if not os.path.lexists(path):
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
                self._path.rmdir()
            if os.path.lexists(self._path):
                self._path.rename(replaced)
            try:
                self._root.rename(self._path)
            except OSError:
                if replaced.exists():
                    replaced.rename(self._path)
                raise
        self._root = self._path
        self._made.clear()
        if replaced.exists():
            with _writing(replaced):
                shutil.rmtree(replaced)

    def discard(self) -> None:
        """See `Store.discard`."""
        try:
            if self._root != self._path:
                with _writing(self._root):
                    shutil.rmtree(self._root)
        finally:
            self.close()

    def withdraw(self) -> None:
        """Take away a store that was made just now, published or not, and `close`."""
        try:
            with _writing(self._root):
                shutil.rmtree(self._root)
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
            folder.mkdir(exist_ok=True)
            self._made.add(folder)

    def write_json(self, key: str, document: Mapping[str, Any]) -> None:
        """See `Store.write_json`."""
        path = self._root / key
        text = json.dumps(document, indent=2, allow_nan=False)
        partial = _partial(path)
        with _writing(path):
            self._make_folder(path.parent)
            try:
                partial.write_text(text, encoding="utf-8")
                partial.replace(path)
            except OSError:
                partial.unlink(missing_ok=True)
                raise

    def write(self, key: str, data: Encoded) -> None:
        """See `Store.write`."""
        path = self._root / key
        with _writing(path):
            self._make_folder(path.parent)
            try:
                with path.open("wb", buffering=0) as file:
                    view = memoryview(data)
                    while view:
                        view = view[_some(file.write(view)) :]
            except OSError:
                # Half a chunk is an error to a reader, none is a fill value.
                path.unlink(missing_ok=True)
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
        super().__init__(_partial(path), keep_open, patience)

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
                _replace(self._path, self._place)


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
        with _writing(self._root / key), (self._root / key).open("rb") as old:
            at = 0
            while piece := old.read(_PIECE_BYTES):
                file.write_at(at, piece)
                at += len(piece)
        return file

    @contextlib.contextmanager
    def _open_in_place(self, key: str) -> Iterator[int]:
        """A file that is changed itself, unless it is known by another name as well."""
        path = self._root / key
        _check_inside(self._root, path)
        with _writing(path):
            descriptor = os.open(path, os.O_WRONLY | _NO_LINK)
            try:
                if os.fstat(descriptor).st_nlink > 1:
                    raise WriteFailed(
                        f"{path} is also known by another name (a hard link), perhaps "
                        "of a backup: repair a copy of the store"
                    )
                yield descriptor
            finally:
                os.close(descriptor)

    def end_with(self, key: str, offset: int, data: bytes) -> None:
        """Have a file end with `data` at `offset`; what lay behind it is cut off.

        The old end stays until `data` is on the disk.
        """
        with self._open_in_place(key) as descriptor:
            _write_all(descriptor, offset, (data,))
            os.fsync(descriptor)
            with self._patience.alone_with(descriptor):
                os.ftruncate(descriptor, offset + len(data))

    def lengthen(self, key: str, size: int) -> None:
        """Make a file `size` bytes long, with zeros, at once."""
        with self._open_in_place(key) as descriptor:
            os.ftruncate(descriptor, size)

    def remove(self, path: Path) -> None:
        """Take away a file, or a folder with all in it, of ours."""
        _check_inside(self._root.parent, path)
        with _writing(path):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
