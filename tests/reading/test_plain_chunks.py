"""Chunks that are decoded here, and those that are left to zarr."""

import os

import numpy as np
import pytest
import zarr
from waiting import wait_until
from zarr.codecs import BloscCodec, BytesCodec, GzipCodec, TransposeCodec

from napari_zarr_stream import DeviceKind, InvalidStore, StorageProperties, ZarrStream
from napari_zarr_stream._reading.kept import Chunks, KeptArray
from napari_zarr_stream._reading.zarr_array import ZarrArray

SHAPE = (11, 37, 53)
PIXELS = np.random.default_rng(0).integers(0, 2**12, SHAPE, "uint16")

OURS = {
    f"{kind}, {'shards' if sharded else 'chunks'}": (kind, sharded)
    for kind in DeviceKind
    for sharded in (False, True)
    if kind.zarr_format == 3 or not sharded
}

BLOSC = BloscCodec(typesize=2, cname="lz4", shuffle="shuffle")
WHOLE = {"zarr_format": 3, "chunks": (3, 20, 53)}
OTHERS = {
    "gzip": WHOLE | {"compressors": GzipCodec()},
    "transposed": WHOLE | {"filters": [TransposeCodec(order=(2, 1, 0))]},
    "big endian": WHOLE
    | {"serializer": BytesCodec(endian="big"), "compressors": BLOSC},
    "big endian, v2": {"zarr_format": 2, "chunks": (4, 16, 16), "dtype": ">u2"},
    "Fortran order, v2": {
        "zarr_format": 2,
        "chunks": (4, 16, 16),
        "order": "F",
        "compressors": None,
    },
}


def ours(path, kind=DeviceKind.ZARR_V3_LZ4, sharded=True):
    properties = StorageProperties(
        path,
        kind,
        tile_width=16,
        tile_height=16,
        sharded=sharded,
        frames_per_chunk=1 if sharded else 4,
    )
    with ZarrStream(properties, axes="tyx", shape=SHAPE, dtype="uint16") as stream:
        stream.append(PIXELS)
    return path / "0"


def grid_of(array):
    sides = zip(array.shape, array.chunks, strict=True)
    return list(np.ndindex(*(-(-size // side) for size, side in sides)))


@pytest.mark.parametrize("layout", OURS)
def test_chunks_of_our_stores_are_what_zarr_reads(tmp_path, layout):
    array = ZarrArray(ours(tmp_path / "a.zarr", *OURS[layout]))
    read = array.read_chunks(grid_of(array))
    for chunk, pixels in read.items():
        at = tuple(
            slice(i * side, (i + 1) * side)
            for i, side in zip(chunk, array.chunks, strict=True)
        )
        np.testing.assert_array_equal(pixels, PIXELS[at])
    assert sorted(read) == grid_of(array)


@pytest.mark.parametrize("layout", OTHERS)
def test_other_layouts_are_left_to_zarr(tmp_path, layout):
    given = {"dtype": "uint16"} | OTHERS[layout]
    stored = zarr.create_array(tmp_path / "a", shape=SHAPE, **given)
    stored[...] = PIXELS
    array = ZarrArray(tmp_path / "a")
    assert array.read_chunks([(0, 0, 0)]) is None
    np.testing.assert_array_equal(KeptArray(array)[3, :, :], PIXELS[3])


def cut(file):
    file.write_bytes(file.read_bytes()[:-30])


def lie(file):
    """Of how much it unpacks to."""
    data = bytearray(file.read_bytes())
    data[4:8] = (2**30).to_bytes(4, "little")
    file.write_bytes(data)


def make_pipe(file):
    file.unlink()
    os.mkfifo(file)


DAMAGE = [cut, lie, make_pipe]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_what_is_damaged_is_refused(tmp_path, damage):
    array = ZarrArray(ours(tmp_path / "a.zarr", sharded=False))
    damage(array.path / "c" / "0" / "0" / "0")
    with pytest.raises(InvalidStore):
        KeptArray(array, Chunks(2**20))[0, :, :]


@pytest.mark.parametrize("damage", [cut, lie], ids=lambda damage: damage.__name__)
def test_a_shard_that_is_damaged_is_no_better(tmp_path, damage):
    array = ZarrArray(ours(tmp_path / "a.zarr"))
    damage(array.path / "c" / "0" / "0" / "0")
    read = [array.read_chunks([chunk]) for chunk in grid_of(array)]
    assert None in read


def test_what_is_not_there_is_as_zarr_has_it(tmp_path):
    array = ZarrArray(ours(tmp_path / "a.zarr"))
    for file in array.path.rglob("*"):
        if file.parts[-3:] == ("0", "0", "0"):
            file.unlink()
    assert array.read_chunks([(0, 0, 0)]) is None
    frame = KeptArray(array)[0, :, :]
    assert not frame[:16, :16].any()
    np.testing.assert_array_equal(frame[16:], PIXELS[0, 16:])


def test_much_at_once_is_left_to_zarr(tmp_path, monkeypatch):
    array = ZarrArray(ours(tmp_path / "a.zarr"))
    monkeypatch.setattr("napari_zarr_stream._reading.plain_chunks.MOST_BYTES", 2**10)
    assert array.read_chunks([(0, 0, 0)]) is not None
    assert array.read_chunks(grid_of(array)) is None


def test_nobody_can_change_what_is_kept(tmp_path):
    array = KeptArray(ZarrArray(ours(tmp_path / "a.zarr")), Chunks(2**20))
    array[2, :, :][...] = 0
    np.testing.assert_array_equal(array[2, :, :], PIXELS[2])
    wait_until(lambda: not array._being_read)
