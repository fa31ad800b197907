"""Another disk, or a network folder: a file appears there as a whole, by renaming."""

import asyncio
import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from napari_zarr_stream._writer import system
from napari_zarr_stream._writer.errors import WriteFailed
from napari_zarr_stream._writer.refusals import writing

from .files import files_in
from .target import Entry, LocalGone, NotSent, Taken, pieces

_LASTING = {
    errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR,
    errno.EISDIR, errno.ENAMETOOLONG, errno.EFBIG, errno.ENOENT,
}  # fmt: skip
"""Of which no time takes care by itself."""

_MOST_DOCUMENT = 64 * 2**20


class FolderTarget:
    """A folder as a `Target`.

    Parameters
    ----------
    place : Path
        Absolute; that of the store. It is made with the first file, but not again when
        its disk was unplugged since.
    syncs : bool
        Each file is on the disk, not only on its way there, before it counts.
    """

    puts = 1
    """A disk is fastest with one after another."""
    can_guard = True

    def __init__(self, place: Path, *, syncs: bool) -> None:
        self._place = place
        self._syncs = syncs
        self._made: set[Path] = set()

    @property
    def words(self) -> str:
        """See `Target.words`."""
        return str(self._place)

    async def list(self) -> dict[str, Entry]:
        """See `Target.list`."""
        with _told():
            found = files_in(self._place) if self._place.is_dir() else []
            return {file.key: Entry(file.size, None) for file in found}

    async def get(self, key: str) -> bytes | None:
        """See `Target.get`."""
        try:
            return system.read_file(self._place / key, _MOST_DOCUMENT)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise NotSent(
                f"{self._place / key} cannot be read: {error.strerror or error}",
                is_lasting=error.errno in _LASTING,
            ) from error

    async def put(self, key: str, file: Path) -> None:
        """See `Target.put`."""
        place = self._folder_of(key)
        partial = system.partial_beside(place)
        try:
            with _told(), writing(place):
                at = 0
                with system.closing(system.create(partial)) as descriptor:
                    for piece in pieces(file):
                        system.write_at(descriptor, at, (piece,))
                        at += len(piece)
                        await asyncio.sleep(0)  # so that it can be stopped
                (system.replace_synced if self._syncs else system.replace)(
                    partial, place
                )
        except BaseException:
            with contextlib.suppress(OSError):  # the first failure counts
                system.remove(partial)
            raise

    async def write(self, key: str, data: bytes, *, is_new: bool = False) -> None:
        """See `Target.write`."""
        place = self._folder_of(key)
        with _told(), writing(place):
            if not is_new:
                system.replace_file(place, data)
                return
            try:
                descriptor = system.create_new(place)
            except FileExistsError:
                raise Taken(key) from None
            with system.closing(descriptor):
                system.write_at(descriptor, 0, (data,))

    async def remove(self, key: str) -> None:
        """See `Target.remove`."""
        with _told(), writing(self._place / key):
            system.remove(self._place / key)

    async def differs(self, entry: Entry, file: Path, key: str, *, read: bool) -> bool:
        """See `Target.differs`: it was renamed to its name when all of it was there."""
        place = self._place / key
        try:
            # Written again since, as by a repair; elsewhere its name is enough.
            read = read or file.stat().st_mtime_ns > place.stat().st_mtime_ns
        except OSError:
            return True
        if not read:
            return False
        try:
            there = pieces(place)
            for piece in pieces(file):
                if piece != next(there, b""):
                    return True
                await asyncio.sleep(0)
        except LocalGone:
            return True
        return False

    def _folder_of(self, key: str) -> Path:
        place = self._place / key
        with _told(), writing(place):
            if not self._made:
                system.make_folders(self._place)
                self._made.add(self._place)
            self._make(place.parent)
        return place

    def _make(self, folder: Path) -> None:
        if folder not in self._made:
            self._make(folder.parent)
            system.make_folder(folder, exist_ok=True)
            self._made.add(folder)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except WriteFailed as failure:
        raise NotSent(str(failure), is_lasting=failure.errno in _LASTING) from failure
    except OSError as error:
        raise NotSent(str(error), is_lasting=error.errno in _LASTING) from error
