"""A store on a local disk: a folder that appears as a whole, under a lock."""

import contextlib
import json
import uuid
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from . import system
from .codecs import Encoded
from .errors import StoreExists, WriteFailed
from .lease import Patience
from .local_file import AppearingFile, LocalFile
from .lock import StoreLock, check_free
from .refusals import writing


class LocalFolder:
    """A folder that somebody else has made, and sees to: files are put into it.

    Parameters
    ----------
    root : Path
    has_holes : bool
    """

    def __init__(self, root: Path, has_holes: bool) -> None:
        self._root = root
        self._has_holes = has_holes
        self._made: set[Path] = set()
        self._patience = Patience()

    @property
    def has_holes(self) -> bool:
        """See `Store.has_holes`."""
        return self._has_holes

    @property
    def root(self) -> Path:
        """Where files go now."""
        return self._root

    def publish(self) -> None:
        """Left to whoever made it, as are the next two."""

    def discard(self) -> None:
        """See `publish`."""

    def close(self) -> None:
        """See `publish`."""

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
        with writing(path):
            self._make_folder(path.parent)
            system.replace_file(path, text.encode())

    def write(self, key: str, data: Encoded) -> None:
        """See `Store.write`."""
        path = self._root / key
        with writing(path):
            self._make_folder(path.parent)
            try:
                system.write_file(path, data)
            except OSError:
                # Half a chunk is an error to a reader, none is a fill value.
                system.remove(path)
                raise

    def replace(self, key: str, data: Encoded) -> None:
        """See `Store.replace`."""
        path = self._root / key
        with writing(path):
            self._make_folder(path.parent)
            system.replace_file(path, data)

    def write_folder(
        self, key: str, files: Iterable[tuple[str, Encoded]], *, appears: bool = False
    ) -> None:
        """See `Store.write_folder`."""
        if not appears or system.IS_WINDOWS:
            # Windows moves no folder while anybody looks into a file there, as virus
            # scanners do into each that is new.
            write = self.replace if appears else self.write
            for name, data in files:
                write(f"{key}/{name}", data)
            return
        place = self._root / key
        with writing(place):
            self._make_folder(place.parent)
            partial = system.partial_beside(place)
            try:
                _fill(partial, files)
                system.rename(partial, place)
            except BaseException:
                with contextlib.suppress(OSError):  # the first failure counts
                    system.remove_tree(partial)
                raise

    def create_file(
        self, key: str, keep_open: bool, *, appears: bool = False
    ) -> LocalFile:
        """See `Store.create_file`."""
        path = self._root / key
        with writing(path):
            self._make_folder(path.parent)
        if appears:
            return AppearingFile(path, keep_open, self._patience)
        return LocalFile(path, keep_open, self._patience)


def _fill(folder: Path, files: Iterable[tuple[str, Encoded]]) -> None:
    """Make a folder, and write whole files into it."""
    system.make_folder(folder)
    made = {""}
    for name, data in files:
        inner = name.rpartition("/")[0]
        if inner not in made:
            system.make_folders(folder / inner)
            made.add(inner)
        system.write_file(folder / name, data)


class LocalStore(LocalFolder):
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
        with writing(path):
            # A link stays a link; what it points to is made or replaced.
            self._path = path.resolve() if path.exists() else path.absolute()
            check_free(self._path)
            self._check_free()
            system.make_folders(self._path.parent)
            self._lock = StoreLock(self._path)
        mark = uuid.uuid4().hex[:8]
        root = self._path.with_name(f".{self._path.name[:40]}.{mark}")
        super().__init__(root, has_holes=False)
        try:
            with writing(self._path):
                system.make_folder(root)
                self._has_holes = system.has_holes(root)
        except WriteFailed:
            with contextlib.suppress(OSError):  # the first failure counts
                system.remove_tree(self._root)
            self.close()
            raise

    def go_on_in(self, root: Path) -> None:
        """Write in a folder that an earlier writer left on its way to the same place.

        Raises
        ------
        WriteFailed
        """
        with writing(root):
            system.remove_tree(self._root)
        self._root = root
        self._made.clear()

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

        An old store that cannot be deleted is left beside it, with a warning.

        Raises
        ------
        StoreExists
            Something has come to the place meanwhile.
        """
        replaced = self._root.with_name(self._root.name + ".replaced")
        with writing(self._path):
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
            try:
                system.remove_tree(replaced)
            except OSError as error:
                # Whoever writes the new one, which is there and good, must not end.
                warnings.warn(
                    f"{self._path} was replaced, but the old store could not be "
                    f"deleted ({error}): what is left of it is {replaced}",
                    stacklevel=2,
                )

    def discard(self) -> None:
        """See `Store.discard`."""
        try:
            if self._root != self._path:
                with writing(self._root):
                    system.remove_tree(self._root)
        finally:
            self.close()

    def withdraw(self) -> None:
        """Take away a store that was made just now, published or not, and `close`."""
        try:
            with writing(self._root):
                system.remove_tree(self._root)
        finally:
            self.close()

    def close(self) -> None:
        """See `Store.close`."""
        with writing(self._path):
            self._lock.release()
