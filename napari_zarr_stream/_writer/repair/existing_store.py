"""A store that is there already, in which files are replaced as a whole."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from napari_zarr_stream._writer import system
from napari_zarr_stream._writer.codecs import Encoded
from napari_zarr_stream._writer.errors import WriteFailed
from napari_zarr_stream._writer.lease import Patience
from napari_zarr_stream._writer.local_file import LocalFile
from napari_zarr_stream._writer.local_store import LocalStore
from napari_zarr_stream._writer.lock import StoreLock
from napari_zarr_stream._writer.refusals import writing

_PIECE_BYTES = 16 * 2**20
"""Files are copied in pieces of this size."""


def _check_inside(root: Path, path: Path) -> None:
    try:
        parent = path.parent.resolve()
    except RuntimeError as error:
        raise WriteFailed(f"{path} leads round in a circle: {error}") from error
    if not parent.is_relative_to(root):
        raise WriteFailed(f"{path} leads out of the store, to {parent}")


class ReplacingFile(LocalFile):
    """A file that takes the place of an old one as a whole, when it is closed.

    Parameters
    ----------
    path : Path
    keep_open : bool
    patience : Patience
    under_way : set of ReplacingFile
        It is one of them until it is closed or abandoned.
    """

    def __init__(
        self,
        path: Path,
        keep_open: bool,
        patience: Patience,
        under_way: set["ReplacingFile"],
    ) -> None:
        self._place = path
        self._under_way = under_way
        super().__init__(system.partial_beside(path), keep_open, patience)
        under_way.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if error is None:
            self.close()
        else:
            self.abandon()

    def close(self) -> None:
        """See `StoredFile.close`."""
        super().close()
        if self in self._under_way:
            with writing(self._place):
                try:
                    system.replace_synced(self._path, self._place)
                except BaseException:
                    system.remove(self._path)
                    raise
                finally:
                    self._under_way.discard(self)

    def abandon(self) -> None:
        """Leave the old one as it is."""
        self._under_way.discard(self)
        try:
            super().close()
        finally:
            with writing(self._path):
                system.remove(self._path)


class ExistingStore(LocalStore):
    """A store that is there already, in which files are replaced as a whole.

    For one thread.

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
        self._under_way: set[ReplacingFile] = set()
        with writing(self._path):
            self._lock = StoreLock(self._path)

    def close(self) -> None:
        """Let others write here; files that are not whole go."""
        try:
            for file in list(self._under_way):
                file.abandon()
        finally:
            super().close()

    def write_json(self, key: str, document: Mapping[str, Any]) -> None:
        """See `Store.write_json`."""
        _check_inside(self._root, self._root / key)
        super().write_json(key, document)

    def write(self, key: str, data: Encoded) -> None:
        """See `Store.write`."""
        with self.create_file(key, keep_open=True) as file:
            file.write_at(0, data)

    def create_file(
        self, key: str, keep_open: bool, *, appears: bool = True
    ) -> ReplacingFile:
        """See `Store.create_file`: it appears when it is closed."""
        _check_inside(self._root, self._root / key)
        path = self._root / key
        with writing(path):
            self._make_folder(path.parent)
        return ReplacingFile(path, keep_open, self._patience, self._under_way)

    def copy(self, key: str) -> ReplacingFile:
        """As `create_file`, with the bytes that are there now."""
        file = self.create_file(key, keep_open=True)
        place = self._root / key
        with writing(place), system.closing(system.open_to_read(place)) as old:
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
            writing(path),
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
                system.cut(descriptor, offset + len(data))

    def lengthen(self, key: str, size: int) -> None:
        """Make a file `size` bytes long, with zeros, at once."""
        with self._open_in_place(key) as descriptor:
            system.set_size(descriptor, size)

    def remove(self, path: Path) -> None:
        """Take away a file, or a folder with all in it, of ours."""
        _check_inside(self._root.parent, path)
        with writing(path):
            if path.is_dir() and not path.is_symlink():
                system.remove_tree(path)
            else:
                system.remove(path)

    def give_place(self, folder: Path, place: Path) -> None:
        """Give a folder of ours its place, which is free."""
        with writing(place):
            system.rename(folder, place)
