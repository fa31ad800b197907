"""Marks between the chunks of a file: which chunk lies where, before an index says so.

Workers write side by side, so that the order of chunks in a file does not tell their
places: of 2400 chunks, 19 to 44 % lay elsewhere than their order says. A mark behind
each batch does. An index names only chunks, and what lies between them is skipped by
every reader (Zarr v3 specification, codec `sharding_indexed`); so do the offsets of a
blosc buffer. A mark is the last thing written of its batch: where it can be read, the
chunks before it are whole, whatever happened to the program.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import google_crc32c
import numpy as np

_MAGIC = b"nzs-mark"
_HEAD = struct.Struct("<8sQI")
_ENTRY = struct.Struct("<II")
_CHECKSUM_BYTES = 4

MAX_ENTRIES = 2**16
"""As many as an index has at the most."""

MAX_FALSE = 1000
"""Of a piece of a file. No pixels look like so many marks by chance, and a checksum
over half a megabyte for each would take hours."""


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


def find_marks(data: bytes, offset: int) -> Iterator[Mark]:
    """The marks in `data`, a piece of a file from `offset` on.

    A mark holds its own place, so that none is taken for one that was copied.
    """
    at, false = data.find(_MAGIC), 0
    while at >= 0 and false < MAX_FALSE:
        if (mark := _parse(data, at, offset + at)) is not None:
            yield mark
            at = mark.end - offset
        else:
            at, false = at + 1, false + 1
        at = data.find(_MAGIC, at)


def _parse(data: bytes, at: int, here: int) -> Mark | None:
    if at + _HEAD.size > len(data):
        return None
    _, start, count = _HEAD.unpack_from(data, at)
    end = at + mark_bytes(count)
    if count > MAX_ENTRIES or end > len(data):
        return None
    body = data[at : end - _CHECKSUM_BYTES]
    checksum = google_crc32c.value(body).to_bytes(_CHECKSUM_BYTES, "little")
    entries = np.frombuffer(body, "<u4", offset=_HEAD.size).reshape(-1, 2)
    whole = start + int(entries[:, 1].sum(dtype=np.uint64)) == here
    if not whole or data[end - _CHECKSUM_BYTES : end] != checksum:
        return None
    placed = []
    for number, size in entries.tolist():
        placed.append(Placed(number, start, size))
        start += size
    return Mark(tuple(placed), here + mark_bytes(count))
