"""What is known of a piece that is done: its files, and what its pixels were like."""

import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from napari_zarr_stream._writer import system
from napari_zarr_stream._writer.errors import InvalidStore
from napari_zarr_stream._writer.store import read_json

from .cut import Piece

FOLDER = ".pieces"
"""Of all notes, in the folder of a store on its way; readers never meet it."""

STOP_KEY = f"{FOLDER}/stop"
"""A file that says that nobody waits for the pieces any more."""

AT_ONCE_BYTES = 2**24
"""Of a file that is summed up."""

Limits = dict[int, tuple[float, float]]
"""Smallest and largest pixel by channel, of those whose contrast is looked for."""


@dataclass(frozen=True, slots=True)
class Note:
    """A piece that is done.

    Attributes
    ----------
    files : dict
        Bytes and checksum of each by its key.
    sums : list of int
        Checksums of the pixels that were read, one for each box.
    limits : dict
    verified : bool
        Whether its files were read back and compared.
    kept : bool
        Whether it was there, and nothing was written.
    """

    files: dict[str, tuple[int, int]]
    sums: list[int]
    limits: Limits
    verified: bool
    kept: bool = False

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """The note at a place; None where there is none, or none that can be read."""
        try:
            said = read_json(path)
            return None if said is None else cls._of(said)
        except (InvalidStore, KeyError, TypeError, ValueError, AttributeError):
            return None  # half of one, of a computer that lost its power

    @classmethod
    def _of(cls, said: dict[str, Any]) -> Self:
        return cls(
            {str(key): (int(a), int(b)) for key, (a, b) in said["files"].items()},
            [int(each) for each in said["sums"]],
            {int(i): (float(a), float(b)) for i, (a, b) in said["limits"].items()},
            bool(said["verified"]),
            kept=True,
        )

    def as_json(self) -> dict[str, Any]:
        """To be written."""
        return asdict(self)

    def is_true(self, root: Path) -> bool:
        """Whether all files are as they were written."""
        return all(
            sum_of_file(root / key) == (size, checksum)
            for key, (size, checksum) in self.files.items()
        )


def note_key(piece: Piece) -> str:
    """Where the note of a piece is, below the root."""
    image = piece.image.replace("/", ".")
    return f"{FOLDER}/{image}.{piece.level}.{piece.number}.json"


def sum_of_file(path: Path) -> tuple[int, int]:
    """Bytes and CRC-32 of a file; (-1, 0) where there is none."""
    try:
        with system.closing(system.open_to_read(path)) as file:
            size, checksum = system.size_of(file), 0
            for start in range(0, size, AT_ONCE_BYTES):
                some = system.read_at(file, AT_ONCE_BYTES, start)
                checksum = zlib.crc32(some, checksum)
    except FileNotFoundError:
        return -1, 0
    return size, checksum


def notes_of(root: Path, pieces: Sequence[Piece]) -> dict[Piece, Note]:
    """Those that there are."""
    read = ((piece, Note.read(root / note_key(piece))) for piece in pieces)
    return {piece: note for piece, note in read if note is not None}
