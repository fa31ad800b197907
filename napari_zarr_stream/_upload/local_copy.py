"""The local copy of a store that is elsewhere, taken away: only what is ours."""

import contextlib
from collections.abc import Iterable
from pathlib import Path

from napari_zarr_stream._writer import system
from napari_zarr_stream._writer.errors import InvalidStore, WriteFailed
from napari_zarr_stream._writer.lock import check_free

from .files import LocalFile, identity_here, is_document
from .finished import images_of_ours


def check_may_go(root: Path) -> None:
    """Refuse to take away a store that is not ours, or that somebody writes.

    Raises
    ------
    InvalidStore, StoreInUse
    """
    if root.is_symlink() or next(images_of_ours(root), None) is None:
        raise InvalidStore(
            f"{root} was not made by this program, and is not deleted: delete it "
            "yourself"
        )
    check_free(root)


def remove_local(root: Path, files: Iterable[LocalFile], mine: str) -> tuple[str, ...]:
    """Take away files that were found equal elsewhere; notes of what is left.

    One that has changed since, or that came since, stays, and the folders of those.

    Raises
    ------
    WriteFailed, InvalidStore, StoreInUse
        Something stays; all of it is at the other place.
    """
    check_may_go(root)
    if identity_here(root) != mine:
        raise InvalidStore(f"another store has come to {root}: it is not deleted")
    kept = 0
    folders = {root}
    # Documents first: what is left of a store then is not taken for one.
    ordered = sorted(files, key=lambda f: (not is_document(f.key), f.key.count("/")))
    try:
        for file in ordered:
            path = root / file.key
            folders.update(p for p in path.parents if p.is_relative_to(root))
            info = path.stat(follow_symlinks=False)
            if (info.st_size, info.st_mtime_ns) != (file.size, file.mtime_ns):
                kept += 1
                continue
            system.remove(path)
    except OSError as error:
        raise WriteFailed(
            f"{root} is uploaded, but its local copy could not be deleted: {error}"
        ) from error
    for folder in sorted(folders, key=lambda f: len(f.parts), reverse=True):
        with contextlib.suppress(OSError):  # something of somebody else is in it
            system.remove_folder(folder)
    if root.exists():
        return (
            f"{root}: something in it is not of the upload and stays"
            + (f", {kept} files changed since" if kept else ""),
        )
    return ()
