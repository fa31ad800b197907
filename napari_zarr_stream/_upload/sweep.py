"""Makes sure that all of a store is elsewhere: what is missing goes, the root last."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from napari_zarr_stream._writer import system
from napari_zarr_stream._writer.errors import StoreExists, WriteFailed

from .files import (
    CLAIM,
    MOST_DOCUMENT_BYTES,
    LocalFile,
    document_order,
    files_in,
    identity_there,
    is_document,
    links_in,
    root_document,
)
from .sending import Sending
from .target import Entry, LocalGone, Taken

ROUNDS = 3
"""What is not equal after as many is not mended by sending it again."""


@dataclass(slots=True)
class Swept:
    """What a sweep found.

    Attributes
    ----------
    files : list of LocalFile
        All of the store, each equal at the other place.
    sent : int
        How many were not there before.
    others : int
        What is there of something else; it is left.
    notes : list of str
    """

    files: list[LocalFile] = field(default_factory=list)
    sent: int = 0
    others: int = 0
    notes: list[str] = field(default_factory=list)


async def sweep(
    sending: Sending,
    root: Path,
    mine: str,
    expect: Callable[[int, int], None],
    *,
    reads_back: bool,
) -> Swept:
    """Bring all of a store there; returns when all of it was found equal.

    Parameters
    ----------
    sending : Sending
    root : Path
    mine : str
        Its `identity`.
    expect : callable
        Told how many files, and bytes, are still to come.
    reads_back : bool
        Compare pixel by pixel what the place has no checksum of.

    Raises
    ------
    StoreExists
        Another store has come to the place.
    WriteFailed
        It does not get there, or the store changes or is away.
    """
    swept = Swept()
    for _ in range(ROUNDS):
        swept.files = await _files(root)
        there = await sending.persist(sending.target.list)
        missing = await _missing(sending, root, swept.files, there, reads_back)
        keys = {file.key for file in swept.files}
        swept.others = len(there.keys() - keys - {CLAIM})
        if not missing:
            if links := links_in(root):
                swept.notes.append(
                    f"links are not followed: {len(links)} left out, such as {links[0]}"
                )
            return swept
        swept.sent += len(missing)
        await _send(sending, root, missing, mine, expect)
    raise WriteFailed(
        f"{root} does not stay as it is while it is uploaded, or not at "
        f"{sending.target.words}: {missing[0].key} is another there. Who writes to it?"
    )


async def _files(root: Path) -> list[LocalFile]:
    try:
        found = list(files_in(root))
    except OSError as error:
        raise _away(root) from error
    if root_document({file.key: file for file in found}) is None:
        raise _away(root)
    return found


def _away(root: Path) -> WriteFailed:
    return WriteFailed(
        f"the store is not at {root} any more: was it renamed, moved or deleted? "
        "`napari-zarr-stream upload` with its place now goes on"
    )


async def _missing(
    sending: Sending,
    root: Path,
    files: list[LocalFile],
    there: dict[str, Entry],
    reads_back: bool,
) -> list[LocalFile]:
    """Those that are not there as they are here."""
    missing = []
    for file in files:
        await asyncio.sleep(0)
        entry = there.get(file.key)
        if entry is None or entry.size != file.size:
            missing.append(file)
            continue
        is_known = sending.sent.get(file.key) == (file.size, file.mtime_ns)
        if is_known and not reads_back:
            continue  # its checksum was compared when it was sent
        # Documents are small, and change without growing.
        read = reads_back or is_document(file.key)
        try:
            if await sending.persist(
                lambda entry=entry, file=file, read=read: sending.target.differs(  # type: ignore[misc]
                    entry, root / file.key, file.key, read=read
                )
            ):
                missing.append(file)
        except LocalGone as error:
            raise _away(root) from error
    return missing


async def _send(
    sending: Sending,
    root: Path,
    files: list[LocalFile],
    mine: str,
    expect: Callable[[int, int], None],
) -> None:
    pixels = [file for file in files if not is_document(file.key)]
    documents = [file for file in files if is_document(file.key)]
    documents.sort(key=lambda file: document_order(file.key))
    left = {"files": len(files), "bytes": sum(file.size for file in files)}
    expect(left["files"], left["bytes"])
    try:
        await sending.put_all(pixels, root)
        for file in documents:
            if "/" not in file.key and root_document({file.key: file}):
                await put_root(sending, root, file, mine)
            else:
                await sending.put(file, root)
    except LocalGone as error:
        raise _away(root) from error


async def put_root(sending: Sending, root: Path, file: LocalFile, mine: str) -> None:
    """Send the root document: that of another store is never replaced."""
    try:
        # It may have grown since it was looked at: a part of it tells of no store.
        data = system.read_file(root / file.key, MOST_DOCUMENT_BYTES)
    except OSError as error:
        raise LocalGone(str(error)) from error
    target = sending.target
    try:
        await sending.persist(lambda: target.write(file.key, data, is_new=True))
    except Taken:
        there = await sending.persist(lambda: identity_there(target.get))
        if there != mine:
            raise taken_by_another(target.words) from None
        await sending.put(file, root)
    else:
        sending.bytes += len(data)
        sending.files += 1


def taken_by_another(words: str) -> StoreExists:
    """That the place has another store."""
    return StoreExists(
        f"{words} already holds another store: choose another name or folder there"
    )
