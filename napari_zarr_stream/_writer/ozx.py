"""A store in one file, `.ozx`: RFC-9 of OME-NGFF, a zip archive of what a folder has.

What readers look for first stands first, files are stored as they are, so that any part
of them can be read where it lies, and long archives are ZIP64.
"""

import json
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from . import system
from .errors import InvalidStore, StoreExists
from .local_store import LocalStore
from .refusals import writing

ENDING = ".ozx"

_DOCUMENTS = ("zarr.json", ".zgroup", ".zattrs", ".zarray")


def is_ozx(path: str | os.PathLike[str]) -> bool:
    """Whether a path ends as that of a store in one file does.

    >>> is_ozx("cells.OZX"), is_ozx("cells.ome.zarr")
    (True, False)
    """
    return Path(path).suffix.lower() == ENDING


def check_may_be_made(archive: Path, overwrite: bool) -> None:
    """Raise StoreExists where something is that is not to be replaced."""
    if not system.is_taken(archive):
        return
    if not overwrite:
        raise StoreExists(
            f"{archive} already exists: choose another name, or ask to overwrite it"
        )
    if not archive.is_file() or not zipfile.is_zipfile(archive):
        raise StoreExists(
            f"{archive} already exists and is no store in one file, so it is not "
            "replaced: choose another name"
        )


def write_ozx(
    folder: Path,
    archive: Path,
    version: str,
    should_stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Put all files of a store into one, which is there when it is whole.

    Parameters
    ----------
    folder : Path
        The store; it stays as it is.
    archive : Path
        Replaced, if it is there.
    version : str
        Of OME-NGFF, for the comment of the archive.
    should_stop : callable
        Asked after each file.

    Returns
    -------
    bool
        False if it was stopped: then nothing is left.

    Raises
    ------
    InvalidStore
        Something in the folder is no file.
    WriteFailed
    """
    partial = system.partial_beside(archive)
    files = sorted(_files_in(folder), key=_in_order)
    with writing(archive):
        try:
            with zipfile.ZipFile(
                partial, "x", zipfile.ZIP_STORED, strict_timestamps=False
            ) as packed:
                for name in files:
                    if should_stop():
                        return False
                    packed.write(folder / name, name)
                packed.comment = json.dumps(_comment(version)).encode()
            system.replace_synced(partial, archive)
        finally:
            system.remove(partial)
    return True


def _comment(version: str) -> dict[str, object]:
    """What RFC-9 has an archive say of itself."""
    order = {"centralDirectory": {"jsonFirst": True}}
    return {"ome": {"version": version, "zipFile": order}}


def _files_in(folder: Path, below: str = "") -> Iterator[str]:
    for entry in system.entries(folder):
        name = f"{below}{entry.name}"
        if entry.is_symlink():
            raise InvalidStore(f"{entry.path} is a link: only files go into an archive")
        if entry.is_dir():
            yield from _files_in(Path(entry.path), f"{name}/")
        elif entry.is_file():
            yield name


def _in_order(name: str) -> tuple[bool, int, str]:
    """Documents first, those of the root before all others."""
    is_document = name.rpartition("/")[2] in _DOCUMENTS
    return not is_document, name.count("/") if is_document else 0, name


class OzxStore(LocalStore):
    """A store that is written in a folder, and appears as one file.

    As much room is needed beside its place again for as long as it is packed.

    Parameters
    ----------
    path : Path
    overwrite : bool
        Replace such a file. Anything else is never replaced.
    version : str
        Of OME-NGFF, for the comment of the archive.

    Raises
    ------
    StoreExists, WriteFailed
        As of `LocalStore`.
    """

    def __init__(self, path: Path, overwrite: bool, version: str) -> None:
        super().__init__(path, overwrite)
        self._version = version

    def _check_free(self) -> None:
        check_may_be_made(self._path, self._overwrite)

    def publish(self) -> None:
        """See `Store.publish`."""
        self._check_free()
        write_ozx(self._root, self._path, self._version)
        with writing(self._root):
            system.remove_tree(self._root)
        self._root = self._path
        self._made.clear()
