"""Chunks of Zarr v2 at an address, where metadata do not say how they are named."""

import struct
import warnings
from contextlib import contextmanager

import numpy as np
import pytest
from odd_stores import addressed, array_v2, group_v2
from servers import serving
from tables import long_but

from napari_zarr_stream import InvalidStore
from napari_zarr_stream._reading.locate import located
from napari_zarr_stream._reading.reader import layers_of
from napari_zarr_stream._reading.zarr_array import ZarrArray

LEVELS = [addressed((3, 160 >> level, 200 >> level)) for level in range(3)]
CHUNKS = (1, 40, 50)
TILES = 16
"""Chunks of a plane of level 0."""


@contextmanager
def served(folder):
    """The array in a folder at an address, and the server; nothing is told."""
    with serving(folder) as server, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield ZarrArray(located(server.address)), server


def pyramid(path, betweens, said):
    """Levels with these between the numbers of their chunks."""
    for number, (pixels, between) in enumerate(zip(LEVELS, betweens, strict=True)):
        array_v2(path / str(number), pixels, CHUNKS, between, dimension_separator=said)
    datasets = [{"path": str(number)} for number in range(len(LEVELS))]
    group_v2(path, {"multiscales": [{"axes": "tyx", "datasets": datasets}]})


# id: what is between numbers on each level, what is said of it, and whether those that
# are shown first are found under other names than said. Nested without a word:
# ome/napari-ome-zarr 91; flat without a word: all of Zarr v2 before 2021.
PYRAMIDS = {
    "flat": ("...", ..., False),
    "nested": ("///", ..., True),
    "level 0 nested": ("/..", ..., False),
    "level 0 flat": (".//", ..., True),
    "level 1 nested": ("./.", ..., False),
    "null": ("///", None, True),
    "odd": ("///", "-", True),
    "odd, flat": ("...", "-", False),
    "said, flat": ("...", ".", False),
    "said, nested": ("///", "/", False),
}


@pytest.mark.parametrize(
    "case", long_but(PYRAMIDS, "flat", "nested", "level 0 nested", "odd")
)
@pytest.mark.parametrize("status", long_but([404, 403], 404))
def test_levels_are_found_and_opening_asks_for_none_of_them(case, status, tmp_path):
    betweens, said, is_told = PYRAMIDS[case]
    pyramid(tmp_path / "cells", betweens, said)
    with serving(tmp_path) as server:
        server.instead = lambda handler, path, data: (
            (status, b"no", {}) if data is None else None
        )
        address = f"{server.address}/cells"
        for number in range(len(LEVELS)):
            ZarrArray(located(address) / str(number))
        assert not [path for path, _ in server.asked if is_chunk(path)]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            ((levels, _, _),) = layers_of(address)
            told = [str(each.message) for each in caught]
            assert any("chunks of" in text for text in told) == is_told
            for level, pixels in zip(levels, LEVELS, strict=True):
                np.testing.assert_array_equal(level, pixels)


def is_chunk(path):
    return not path.rpartition("/")[2].startswith((".", "zarr"))


# id: the first plane that is read, and those after it
REQUESTS = {".": (TILES, TILES), "/": (2 * TILES, TILES)}


@pytest.mark.parametrize("between", REQUESTS)
def test_a_chunk_is_asked_for_twice_only_until_one_was_found(between, tmp_path):
    array_v2(tmp_path, LEVELS[0], CHUNKS, between, dimension_separator=...)
    first, later = REQUESTS[between]
    with served(tmp_path) as (array, server):
        for plane, most in enumerate((first, later, later)):
            server.asked.clear()
            read = array[plane, slice(None), slice(None)]
            np.testing.assert_array_equal(read, LEVELS[0][plane])
            assert TILES <= len(server.asked) <= most


@pytest.mark.parametrize("between", [".", "/"])
def test_what_was_not_written_is_the_fill_value(between, tmp_path):
    """Both names of it are asked for; others are found beside it."""
    said = {"dimension_separator": ..., "fill_value": 7}
    array_v2(tmp_path, LEVELS[0], CHUNKS, between, **said)
    (tmp_path / between.join("100")).unlink()
    with served(tmp_path) as (array, _):
        plane = array[1, slice(None), slice(None)]
    expected = LEVELS[0][1].copy()
    expected[:40, :50] = 7
    np.testing.assert_array_equal(plane, expected)


def test_chunks_of_two_names_are_both_found(tmp_path):
    array_v2(tmp_path, LEVELS[0], CHUNKS, "/", dimension_separator=...)
    for row in range(3):
        (tmp_path / "0" / "0" / str(row)).rename(tmp_path / f"0.0.{row}")
    with served(tmp_path) as (array, _):
        for plane in (1, 0, 2):
            read = array[plane, slice(None), slice(None)]
            np.testing.assert_array_equal(read, LEVELS[0][plane])


def test_it_is_told_once_of_a_store(tmp_path):
    pyramid(tmp_path / "cells", "///", ...)
    with serving(tmp_path) as server, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        ((levels, _, _),) = layers_of(f"{server.address}/cells")
        for level in levels:
            np.asarray(level)
        told = [str(each.message) for each in caught]
    assert told == [
        f"chunks of {server.address}/cells are not named as its metadata say: those "
        "named as '0/0' are read"
    ]


def test_a_chunk_at_an_address_that_unpacks_to_too_much_is_said(tmp_path):
    """Its blosc head says so; an array in order F is decoded by zarr."""
    head = bytes([2, 1, 33, 2]) + struct.pack("<III", 2**31 - 1, 2**31 - 1, 64)
    array_v2(
        tmp_path,
        LEVELS[0],
        CHUNKS,
        encode=lambda data: head + bytes(48),
        compressor={"id": "blosc", "cname": "lz4", "clevel": 1, "shuffle": 1},
        order="F",
    )
    with (
        served(tmp_path) as (array, _),
        pytest.raises(InvalidStore, match=r"/0/0/0 unpacks to 2147483647 bytes"),
    ):
        array[0, slice(40), slice(50)]
