"""Marks are found wherever they lie, however many entries they have."""

import struct

import numpy as np
import pytest

from napari_zarr_stream._writer.marks import (
    HEAD_BYTES,
    MAX_ENTRIES,
    encode_mark,
    find_marks,
    mark_bytes,
)


def a_file(*counts):
    """Chunks and the mark behind them, for each of `counts`; and what marks name."""
    data, named = b"", []
    for count in counts:
        sizes = np.random.default_rng(count).integers(1, 5, count).tolist()
        numbers = list(range(len(named), len(named) + count))
        offsets = (len(data) + np.cumsum([0, *sizes[:-1]])).tolist()
        named += zip(numbers, offsets, sizes, strict=True)
        mark = encode_mark(len(data), numbers, sizes)
        data += bytes(sum(sizes)) + mark
    return data, named


MANY = [pytest.param(n, marks=pytest.mark.long) for n in (2**16, 90_000)]


@pytest.mark.parametrize("count", [1, 1000, 2**16 + 1, *MANY])
@pytest.mark.parametrize("piece_bytes", [2**12, 2**20])
def test_a_mark_that_ends_behind_its_piece(count, piece_bytes):
    data, named = a_file(7, count, 3)
    found = {}
    for at in range(0, len(data), piece_bytes - HEAD_BYTES):
        marks = find_marks(
            data[at : at + piece_bytes], at, lambda size, at: data[at : at + size]
        )
        for mark in marks:
            found |= {part.number: (part.offset, part.size) for part in mark.placed}
    assert found == {number: (offset, size) for number, offset, size in named}


def test_a_mark_that_was_cut_or_changed_is_none():
    data, _ = a_file(5)
    assert [len(mark.placed) for mark in find_marks(data, 0)] == [5]
    for cut in range(1, mark_bytes(5)):
        assert not list(find_marks(data[:-cut], 0, lambda size, at: b""))
    for at in range(len(data) - mark_bytes(5), len(data)):
        changed = bytearray(data)
        changed[at] ^= 1
        assert not list(find_marks(bytes(changed), 0))
    assert not list(find_marks(data, 1)), "it was copied"


@pytest.mark.timeout(60)
def test_what_only_looks_like_marks_takes_no_hours():
    """Each would have a checksum over 8 MiB."""
    false = struct.pack("<8sQI", b"nzs-mark", 0, MAX_ENTRIES) * 10_000
    asked = []

    def read(size, at):
        asked.append(size)
        return bytes(size)

    assert not list(find_marks(false, 2**40, read))
    assert sum(asked) < 2**30
