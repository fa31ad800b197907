"""A chunk -> bytes, decoded by libraries that are not ours."""

import threading

import blosc
import google_crc32c
import numcodecs
import numpy as np
import pytest
from frames import DTYPES, planes
from hypothesis import given
from hypothesis import strategies as st

from napari_zarr_stream import DeviceKind
from napari_zarr_stream._writer.codecs import (
    EMPTY,
    BlockTable,
    Blosc,
    Raw,
    blosc_block,
    codec_of,
    empty_shard_index,
    encode_shard_index,
)
from napari_zarr_stream._writer.plan import MIN_PART_BYTES


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["lz4", "zstd"])
def test_blosc_is_what_numcodecs_reads(name, dtype):
    pixels = planes(3, dtype=dtype)
    codec = Blosc(name)
    reader = numcodecs.get_codec(codec.v2())
    decoded = np.frombuffer(reader.decode(codec.encode(pixels)), dtype)
    np.testing.assert_array_equal(decoded, pixels.ravel())


@pytest.mark.parametrize("name", ["lz4", "zstd"])
def test_blosc_header_says_what_the_metadata_says(name):
    encoded = Blosc(name).encode(planes(3, dtype="uint32"))
    version, _, flags, item_size = encoded[:4]
    assert version == 2
    assert flags & 1, "byte shuffle"
    assert flags >> 5 == {"lz4": 1, "zstd": 4}[name]
    assert item_size == 4
    assert int.from_bytes(encoded[4:8], "little") == 3 * 24 * 40 * 4
    assert int.from_bytes(encoded[12:16], "little") == len(encoded)


def test_blosc_gives_the_same_bytes_each_time():
    pixels = np.random.default_rng(0).integers(0, 4096, (16, 256, 256)).astype("uint16")
    first = Blosc("zstd").encode(pixels)
    assert all(Blosc("zstd").encode(pixels) == first for _ in range(3))


@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 1), (2, 1, 3)])
def test_raw_bytes_are_those_in_memory(shape):
    pixels = np.arange(np.prod(shape), dtype="<i8").reshape(shape)
    encoded = Raw().encode(pixels)
    assert bytes(encoded) == pixels.tobytes()
    assert len(encoded) == pixels.nbytes


def test_raw_makes_no_copy():
    pixels = planes(1)
    assert np.shares_memory(np.frombuffer(Raw().encode(pixels), "u1"), pixels)


@pytest.mark.parametrize("kind", list(DeviceKind))
def test_metadata_of_each_device_kind(kind):
    codec = codec_of(kind)
    names = [part["name"] for part in codec.v3(np.dtype("uint16"))]
    if kind.compressor is None:
        assert codec.v2() is None
        assert names == ["bytes"]
        return
    v2 = {"id": "blosc", "cname": kind.compressor, "clevel": 1, "shuffle": 1}
    assert v2.items() <= codec.v2().items()
    assert names == ["bytes", "blosc"]
    v3 = {"cname": kind.compressor, "clevel": 1, "shuffle": "shuffle", "typesize": 2}
    assert v3.items() <= codec.v3(np.dtype("uint16"))[1]["configuration"].items()


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("uint8", {}), ("bool", {}), ("uint16", {"endian": "little"})],
)
def test_bytes_of_one_have_no_order(dtype, expected):
    assert Raw().v3(np.dtype(dtype))[0].get("configuration", {}) == expected


def test_shard_index():
    index = empty_shard_index(3)
    assert index.shape == (3, 2)
    assert (index == EMPTY).all()
    index[1] = 5, 1000
    encoded = encode_shard_index(index)
    words = np.frombuffer(encoded[:-4], "<u8")
    missing = 2**64 - 1
    assert words.tolist() == [missing, missing, 5, 1000, missing, missing]
    checksum = google_crc32c.value(encoded[:-4])
    assert int.from_bytes(encoded[-4:], "little") == checksum


def test_checksum_is_crc32c():
    """RFC 3720, B.4: 32 bytes of zeros give AA 36 91 8A."""
    assert encode_shard_index(np.zeros((2, 2), "u8"))[-4:].hex() == "aa36918a"


PARTS = [(64, 64), (360, 640), (512, 512), (331, 773), (1080, 1920), (1021, 1021)]


def contents(kind, shape, dtype):
    rng = np.random.default_rng(0)
    if kind == "noise":
        return rng.integers(0, 256, (*shape, dtype.itemsize), np.uint8).view(dtype)[
            ..., 0
        ]
    return rng.poisson(20, shape).astype(dtype)


@pytest.mark.parametrize("name", ["lz4", "zstd"])
@pytest.mark.parametrize("dtype", ["u1", "<u2", "<f4", "<f8"])
@pytest.mark.parametrize("shape", PARTS, ids=str)
@pytest.mark.parametrize("kind", ["frames", "noise"])
def test_parts_joined_in_any_order_are_one_blosc_buffer(name, dtype, shape, kind):
    dtype = np.dtype(dtype)
    part_bytes = shape[0] * shape[1] * dtype.itemsize
    block_bytes = blosc_block(part_bytes, dtype.itemsize, name)
    if not block_bytes:
        # Sides are primes: no block size divides them.
        assert shape in [(331, 773), (1021, 1021)]
        return
    assert part_bytes % block_bytes == 0
    codec = Blosc(name, block_bytes)
    parts = contents(kind, (4, *shape), dtype)
    each = part_bytes // block_bytes
    table = BlockTable(codec, dtype, 4 * each)
    body = bytearray()
    for number in (2, 0, 3):
        blocks = codec.encode_blocks(parts[number])
        table.put(number * each, blocks, table.size + len(body))
        body += blocks.data
    zeros = codec.encode_blocks(np.zeros(shape, dtype))
    table.fill(zeros, table.size + len(body))
    body += zeros.data
    joined = table.encode(table.size + len(body)) + bytes(body)
    parts[1] = 0
    assert blosc.decompress(joined) == parts.tobytes()
    assert bytes(numcodecs.Blosc().decode(joined)) == parts.tobytes()


@given(
    st.integers(1, 2**22),
    st.sampled_from([1, 2, 4, 8]),
    st.sampled_from(["lz4", "zstd"]),
)
def test_a_block_size_is_one_that_blosc_takes(pixels, itemsize, name):
    block_bytes = blosc_block(pixels * itemsize, itemsize, name)
    if block_bytes and pixels * itemsize >= MIN_PART_BYTES:
        assert pixels * itemsize % block_bytes == 0
        zeros = np.zeros(pixels, f"u{itemsize}")
        encoded = Blosc(name, block_bytes)._encode(zeros, block_bytes)
        assert int.from_bytes(encoded[8:12], "little") == block_bytes


@pytest.mark.parametrize("name", ["lz4", "zstd"])
def test_a_chunk_at_once_has_blocks_for_which_memory_is_soon_found(name):
    """In Windows each call has to find it anew, twice as much as a block."""
    frame = contents("frames", (512, 512), np.dtype("u2"))
    encoded = Blosc(name, frame.nbytes).encode(frame)
    assert (
        int.from_bytes(encoded[8:12], "little") <= {"zstd": 2**18, "lz4": 2**17}[name]
    )
    assert blosc.decompress(encoded) == frame.tobytes()


def test_another_streams_block_size_does_not_matter():
    """The switch is one for the whole process: two streams turn it to and fro."""
    frames = contents("frames", (512, 512), np.dtype("u2"))
    sizes = {2**19: frames, 2**17: frames[:128]}
    codecs = {size: Blosc("zstd", size) for size in sizes}
    failures = []

    def encode(size):
        for _ in range(50):
            blocks = codecs[size].encode_blocks(sizes[size])
            if len(blocks.starts) != 1:
                failures.append(size)

    threads = [threading.Thread(target=encode, args=(size,)) for size in sizes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
