"""What a place is to those who bring a store there: `Target`."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from napari_zarr_stream._writer import system

PIECE = 8 * 2**20
"""Files go in pieces of this size: what S3 takes is 5 MiB at the least, and a slow line
needs 280 kB/s to send one within the 30 s that many servers give it."""

_MOST_PIECES = 9_000
"""S3 takes 10,000 of one file."""


class NotSent(Exception):
    """Something did not get there; in words, without anything that is secret.

    Attributes
    ----------
    is_lasting : bool
        Somebody has to do something: to try again does not help.
    """

    def __init__(self, words: str, *, is_lasting: bool) -> None:
        super().__init__(words)
        self.is_lasting = is_lasting


class Taken(Exception):
    """Something is there already."""


class LocalGone(Exception):
    """A file that was to be sent is not there any more."""


class Entry(NamedTuple):
    """A file as the place lists it: bytes, and its checksum if the place has one."""

    size: int
    checksum: str | None


class Target(Protocol):
    """A place for the files of one store, by their keys below its root.

    All raise `NotSent`. `put` raises `LocalGone` as well.
    """

    @property
    def words(self) -> str:
        """Its address, for people."""

    @property
    def puts(self) -> int:
        """How many files may be on their way at once."""

    async def list(self) -> dict[str, Entry]:
        """All that is there."""

    async def get(self, key: str) -> bytes | None:
        """A small file; None where there is none."""

    async def put(self, key: str, file: Path) -> None:
        """Send a file; whoever looks for it finds the old one or the new one."""

    async def write(self, key: str, data: bytes, *, is_new: bool = False) -> None:
        """Send a document; raises `Taken` where it `is_new` and is there.

        Not all places can tell: see `can_guard`.
        """

    @property
    def can_guard(self) -> bool:
        """Whether `is_new` is known to work, or not known not to."""

    async def remove(self, key: str) -> None:
        """Take away a file, if it is there."""

    async def differs(self, entry: Entry, file: Path, key: str, *, read: bool) -> bool:
        """Whether a file of the same size is another; with `read`, whatever it takes.

        Without, places that have no checksum are believed.
        """


def piece_size(size: int) -> int:
    """Of the pieces that a file of `size` bytes goes in."""
    if size <= PIECE * _MOST_PIECES:
        return PIECE
    return -(-size // _MOST_PIECES // 2**20) * 2**20


def pieces(file: Path) -> Iterator[bytes]:
    """A file piece by piece, which is all of it that is in memory.

    Raises
    ------
    LocalGone
    """
    try:
        with system.closing(system.open_to_read(file)) as descriptor:
            step = piece_size(system.size_of(descriptor))
            at = 0
            while piece := system.read_at(descriptor, step, at):
                yield piece
                at += len(piece)
    except OSError as error:
        raise LocalGone(f"{file} cannot be read: {error.strerror or error}") from error


class Checksum:
    """What S3 says of a file: MD5, or if it came in pieces the MD5 of theirs."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def add(self, piece: bytes) -> bytes:
        """Count a piece in; returns it."""
        self._parts.append(hashlib.md5(piece, usedforsecurity=False).digest())
        return piece

    @property
    def of_one(self) -> str:
        """If it was sent as a whole."""
        return self._parts[0].hex() if self._parts else hashlib.md5(b"").hexdigest()

    @property
    def of_parts(self) -> str:
        """If it was sent in as many parts."""
        joined = hashlib.md5(b"".join(self._parts), usedforsecurity=False)
        return f"{joined.hexdigest()}-{len(self._parts)}"

    def fits(self, said: str) -> bool:
        """Whether it is what a place said."""
        mine = self.of_one if len(self._parts) <= 1 else self.of_parts
        return said in (mine, self.of_parts)
