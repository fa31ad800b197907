"""Marks between the chunks of a file: which chunk lies where, before an index says so.

Workers write side by side, so that the order of chunks in a file does not tell their
places: of 2400 chunks, 19 to 44 % lay elsewhere than their order says. A mark behind
each batch does. An index names only chunks, and what lies between them is skipped by
every reader (Zarr v3 specification, codec `sharding_indexed`); so do the offsets of a
blosc buffer. A mark is the last thing written of its batch: where it can be read, the
chunks before it are whole, whatever happened to the program.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import google_crc32c
import numpy as np

_MAGIC = b"nzs-mark"
_HEAD = struct.Struct("<8sQI")
_ENTRY = struct.Struct("<II")
_CHECKSUM_BYTES = 4

HEAD_BYTES = _HEAD.size
"""What must be seen of a mark to know how long it is."""

MAX_ENTRIES = 2**20
"""As many as a shard has chunks at the most."""

MAX_FALSE_BYTES = 512 * 2**20
"""In a piece of a file, of what looks like marks and is none. No pixels look like so
many by chance, and a checksum over each would take hours."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A chunk, or part of one, that a mark names: number, offset and bytes."""

    number: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Mark:
    """What a mark names, and where it ends."""

    placed: tuple[Placed, ...]
    end: int


def mark_bytes(count: int) -> int:
    """Size of a mark behind `count` chunks."""
    return _HEAD.size + count * _ENTRY.size + _CHECKSUM_BYTES


def encode_mark(start: int, numbers: Sequence[int], sizes: Sequence[int]) -> bytes:
    """A mark for chunks that lie one behind another from `start` on.

    To be written right behind them, and after them.
    """
    body = _HEAD.pack(_MAGIC, start, len(sizes))
    for entry in zip(numbers, sizes, strict=True):
        body += _ENTRY.pack(*entry)
    checksum: int = google_crc32c.value(body)
    return body + checksum.to_bytes(_CHECKSUM_BYTES, "little")


def _nothing(size: int, offset: int) -> bytes:
    return b""


def find_marks(
    data: bytes, offset: int, read: Callable[[int, int], bytes] = _nothing
) -> Iterator[Mark]:
    """The marks that begin in `data`, a piece of a file from `offset` on.

    A mark holds its own place, so that none is taken for one that was copied. Of one
    that ends behind the piece, `read` gives the rest: so many bytes at an offset.
    """
    at, false = data.find(_MAGIC), 0
    while at >= 0 and false < MAX_FALSE_BYTES:
        end = _end_of(data, at, offset + at)
        rest = read(end - len(data), offset + len(data)) if end > len(data) else b""
        if end and (mark := _parse(data[at:end] + rest, offset + at)) is not None:
            yield mark
            at = mark.end - offset
        else:
            false += max(0, end - at)
            at += 1
        at = data.find(_MAGIC, at)


def _end_of(data: bytes, at: int, here: int) -> int:
    """Where a mark at `at` would end; 0 where none can be."""
    if at + _HEAD.size > len(data):
        return 0
    _, start, count = _HEAD.unpack_from(data, at)
    # No chunk is empty.
    return at + mark_bytes(count) if count <= min(MAX_ENTRIES, here - start) else 0


def _parse(mark: bytes, here: int) -> Mark | None:
    """What is said by the bytes of a mark at `here`; None if it is none."""
    _, start, count = _HEAD.unpack_from(mark)
    if len(mark) != mark_bytes(count):
        return None
    body = mark[:-_CHECKSUM_BYTES]
    entries = np.frombuffer(body, "<u4", offset=_HEAD.size).reshape(-1, 2)
    if start + int(entries[:, 1].sum(dtype=np.uint64)) != here:
        return None
    checksum: int = google_crc32c.value(body)
    if mark[-_CHECKSUM_BYTES:] != checksum.to_bytes(_CHECKSUM_BYTES, "little"):
        return None
    placed = []
    for number, size in entries.tolist():
        placed.append(Placed(number, start, size))
        start += size
    return Mark(tuple(placed), here + len(mark))
