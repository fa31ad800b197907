"""A chunk -> bytes; a shard index -> bytes. Knows no files."""

import struct
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Self

import blosc
import blosc.blosc_extension as _extension  # its wrappers check what is known to fit
import google_crc32c
import numpy as np
import numpy.typing as npt

from .errors import InvalidProperties
from .properties import DeviceKind

# Both are switches of the whole process. With the GIL held, encoders would not run side
# by side; with blosc's own threads beside ours, they are slower and the bytes of a
# chunk differ from run to run.
blosc.set_releasegil(True)
blosc.set_nthreads(1)

Encoded = bytes | memoryview

BLOSC_HEADER = struct.Struct("<BBBBIII")
"""See `BloscHeader`."""


STORED = 0x2
"""Flag of a buffer that holds the pixels as they were."""

MAX_BLOSC_BYTES = 2**31 - 1 - 16
"""BLOSC_MAX_BUFFERSIZE: INT_MAX less the 16 bytes of the header."""

MAX_OVERHEAD = 16
"""Most that encoding adds to a chunk: BLOSC_MAX_OVERHEAD, the header."""

MAX_BLOSC_BLOCK = 2**20
"""More does not stay in a core's cache; c-blosc allows no more where it splits."""

MIN_BLOSC_BLOCK = 2**16
"""c-blosc makes smaller ones larger, where it splits; and they compress less."""

_BEST_BLOCK = {"lz4": 2**17, "zstd": MAX_BLOSC_BLOCK}
"""What takes the least time, where chunks and their parts can be cut so.

c-blosc takes memory for two blocks at each call, which Windows has to find anew each
time: there 512 KiB took lz4 480 µs of CPU in one block, 300 in blocks of 128 KiB. On
Linux both are one, within some percent."""

_AT_ONCE = _BEST_BLOCK | {"zstd": 2**18}
"""The same for chunks that are encoded at once, of which no block is looked for later.

zstd took 0.65 of the time in blocks of 256 KiB, on Windows 0.9."""

EMPTY = np.uint64(2**64 - 1)
"""Offset and length of a chunk that is not there: Zarr v3 sharding, "binary format"."""


class BloscHeader(NamedTuple):
    """How a blosc buffer begins: c-blosc, README_HEADER."""

    version: int
    codec_version: int
    flags: int
    itemsize: int
    nbytes: int
    block_bytes: int
    encoded_bytes: int

    @classmethod
    def read(cls, data: Encoded) -> Self | None:
        """The header at the start of `data`, if there is room for one."""
        if len(data) < BLOSC_HEADER.size:
            return None
        return cls._make(BLOSC_HEADER.unpack_from(data))


class Codec(Protocol):
    """Turns the pixels of a chunk into what is stored, and says how in metadata."""

    def encode(self, pixels: npt.NDArray[np.generic]) -> Encoded:
        """Encode one C-contiguous, little-endian chunk."""

    def v2(self) -> dict[str, Any] | None:
        """The `compressor` of a Zarr v2 array."""

    def v3(self, dtype: np.dtype[np.generic]) -> list[dict[str, Any]]:
        """The `codecs` of a Zarr v3 array."""


def _bytes_v3(dtype: np.dtype[np.generic]) -> dict[str, Any]:
    if dtype.itemsize == 1:
        return {"name": "bytes"}
    return {"name": "bytes", "configuration": {"endian": "little"}}


@dataclass(frozen=True, slots=True)
class Raw:
    """The pixels as they are."""

    def encode(self, pixels: npt.NDArray[np.generic]) -> memoryview:
        """View the memory of `pixels`: valid for as long as they stay as they are."""
        return pixels.view(np.uint8).data.cast("B")

    def v2(self) -> None:
        """No compressor."""

    def v3(self, dtype: np.dtype[np.generic]) -> list[dict[str, Any]]:
        """The `bytes` codec alone."""
        return [_bytes_v3(dtype)]


@dataclass(frozen=True, slots=True)
class Blosc:
    """Blosc 1, byte shuffle, as Acquire's compressed device kinds use it.

    Attributes
    ----------
    name : str
        "lz4" or "zstd".
    block_bytes : int
        Size of blosc's blocks; 0 leaves it to blosc. zstd takes 0.55 of the time for
        one block of 512 KiB that it takes for blosc's own 16 of 32 KiB.
    level : int
    """

    name: str
    block_bytes: int = 0
    level: int = 1

    def encode(self, pixels: npt.NDArray[np.generic]) -> bytes:
        """Compress; the GIL is released meanwhile."""
        return self._encode(pixels, min(self.block_bytes, _AT_ONCE[self.name]))

    def _encode(self, pixels: npt.NDArray[np.generic], block_bytes: int) -> bytes:
        # A switch of the whole process, which another stream may turn at any time: then
        # blocks have another size, and the result is as good.
        itemsize = pixels.dtype.itemsize
        # c-blosc multiplies it by the item size where it splits blocks by bytes.
        asked = block_bytes // itemsize if self._splits else block_bytes
        _extension.set_blocksize(asked)
        encoded: bytes = _extension.compress(
            pixels, itemsize, self.level, blosc.SHUFFLE, self.name
        )
        return encoded

    @property
    def _splits(self) -> bool:
        return self.name == "lz4"

    def encode_blocks(self, pixels: npt.NDArray[np.generic]) -> "Blocks":
        """Compress a part of a chunk, to be joined with the others by `BlockTable`.

        Its bytes are a multiple of `block_bytes`.
        """
        count = pixels.nbytes // self.block_bytes
        while True:
            encoded = self._encode(pixels, self.block_bytes)
            header = BLOSC_HEADER.unpack_from(encoded)
            flags, block_bytes = header[2], header[5]
            if flags & STORED:
                return self._stored_blocks(pixels, count)
            if block_bytes == self.block_bytes:
                break
        first = BLOSC_HEADER.size + 4 * count
        starts = np.frombuffer(encoded, "<i4", count, BLOSC_HEADER.size) - first
        return Blocks(starts, memoryview(encoded)[first:])

    def _stored_blocks(self, pixels: npt.NDArray[np.generic], count: int) -> "Blocks":
        """What does not compress, as blosc keeps it in blocks: shuffled, in streams."""
        itemsize = pixels.dtype.itemsize
        values = pixels.view(np.uint8).reshape(count, -1, itemsize)
        streams = itemsize if self._splits else 1
        shuffled = values.transpose(0, 2, 1).reshape(count, streams, -1)
        length = shuffled.shape[2]
        blocks = np.empty((count, streams, 4 + length), np.uint8)
        blocks[:, :, :4] = np.frombuffer(length.to_bytes(4, "little"), np.uint8)
        blocks[:, :, 4:] = shuffled
        starts = np.arange(count, dtype=np.int64) * (blocks.nbytes // count)
        return Blocks(starts, blocks.data.cast("B"))

    def find_blocks(self, data: Encoded, count: int, itemsize: int) -> "Blocks | None":
        """The first `count` blocks in `data`, by the lengths of their streams.

        None where they do not follow each other like that. What is behind them is
        left out.
        """
        view = memoryview(data)
        starts, at = [], 0
        for _ in range(count):
            starts.append(at)
            for _ in range(itemsize if self._splits else 1):
                length = int.from_bytes(view[at : at + 4], "little")
                at += 4 + length
                if not length or at > len(view):
                    return None
        return Blocks(np.array(starts, np.int64), view[:at])

    def v2(self) -> dict[str, Any]:
        """As numcodecs names it."""
        return {
            "id": "blosc",
            "cname": self.name,
            "clevel": self.level,
            "shuffle": blosc.SHUFFLE,
            "blocksize": 0,
        }

    def v3(self, dtype: np.dtype[np.generic]) -> list[dict[str, Any]]:
        """`bytes`, then `blosc`."""
        configuration = {
            "cname": self.name,
            "clevel": self.level,
            "shuffle": "shuffle",
            "typesize": dtype.itemsize,
            "blocksize": 0,
        }
        return [_bytes_v3(dtype), {"name": "blosc", "configuration": configuration}]


@dataclass(frozen=True, slots=True)
class Blocks:
    """Some of the blocks of a blosc buffer: where each starts in `data`, and `data`."""

    starts: npt.NDArray[np.integer[Any]]
    data: memoryview


class BlockTable:
    """The head of a blosc buffer whose blocks were encoded, and lie, in any order.

    A blosc buffer is a header, the offset of every block, and the blocks (c-blosc,
    README_CHUNK_FORMAT). So the parts of a chunk can be encoded as they come and put
    one behind another, if each is a whole number of blocks.

    Parameters
    ----------
    codec : Blosc
    dtype : numpy.dtype
    blocks : int
        In the whole chunk.
    """

    def __init__(self, codec: Blosc, dtype: np.dtype[np.generic], blocks: int) -> None:
        self._codec = codec
        self._dtype = dtype
        self._starts = np.zeros(blocks, "<i4")

    @property
    def size(self) -> int:
        """Bytes of the head: blocks lie behind it."""
        return BLOSC_HEADER.size + self._starts.nbytes

    def put(self, first: int, blocks: Blocks, offset: int) -> None:
        """Note that `blocks`, from number `first` on, lie at `offset`."""
        self._starts[first : first + len(blocks.starts)] = blocks.starts + offset

    def fill(self, blocks: Blocks, offset: int) -> None:
        """Note that blocks which were not put are like `blocks`, at `offset`."""
        missing = self._starts.reshape(-1, len(blocks.starts))
        missing[missing[:, 0] == 0] = blocks.starts + offset

    def encode(self, size: int) -> bytes:
        """The head of a buffer of `size` bytes in all."""
        zeros = np.zeros(self._codec.block_bytes // self._dtype.itemsize, self._dtype)
        like = BLOSC_HEADER.unpack_from(self._codec.encode(zeros))
        nbytes = len(self._starts) * self._codec.block_bytes
        sizes = (nbytes, self._codec.block_bytes, size)
        return BLOSC_HEADER.pack(*like[:4], *sizes) + self._starts.tobytes()


def blosc_block(part_bytes: int, itemsize: int, codec: str) -> int:
    """The best block size that divides a part of a chunk, 0 if there is none.

    c-blosc rounds the size it is asked for, `compute_blocksize` in blosc.c: where
    blocks are split by bytes (lz4), an item's byte gets at most 256 KiB of a block, and
    a block has at least 64 KiB and at most 1 MiB.
    """
    best = _divided(part_bytes, itemsize, _BEST_BLOCK[codec])
    return best or largest_blosc_block(part_bytes, itemsize, codec)


def largest_blosc_block(part_bytes: int, itemsize: int, codec: str) -> int:
    """The largest one: what versions before 0.2 took, without a word about it."""
    most = min(MAX_BLOSC_BLOCK, itemsize * 2**18) if codec == "lz4" else MAX_BLOSC_BLOCK
    return _divided(part_bytes, itemsize, most)


def _divided(part_bytes: int, itemsize: int, most: int) -> int:
    if part_bytes <= most:
        return part_bytes
    for parts in range(-(-part_bytes // most), part_bytes // MIN_BLOSC_BLOCK + 1):
        if part_bytes % (parts * itemsize) == 0:
            return part_bytes // parts
    return 0


def stored_dtype(dtype: npt.DTypeLike) -> np.dtype[np.generic]:
    """The little-endian type that `dtype` is stored as.

    Raises
    ------
    InvalidProperties
        For anything but bool, integers and floats of 32 and 64 bits.
    """
    try:
        given = np.dtype(dtype)
    except (TypeError, ValueError, SyntaxError, OverflowError) as error:
        raise InvalidProperties(f"{dtype!r} is no type of pixels: {error}") from error
    if not (given.kind in "biu" or (given.kind == "f" and given.itemsize in (4, 8))):
        raise InvalidProperties(
            f"pixels of type {given} cannot be stored; convert them to bool, an "
            "integer type, float32 or float64"
        )
    return given.newbyteorder("<")


def codec_of(kind: DeviceKind, block_bytes: int = 0, level: int = 1) -> Codec:
    """The codec that a device kind stores chunks with."""
    return Blosc(kind.compressor, block_bytes, level) if kind.compressor else Raw()


def empty_shard_index(chunks: int) -> npt.NDArray[np.uint64]:
    """Make an index, (chunks, 2) of offset and length, in which nothing is there."""
    return np.full((chunks, 2), EMPTY, dtype="<u8")


def encode_shard_index(index: npt.NDArray[np.uint64]) -> bytes:
    """Little-endian offsets and lengths, then their CRC-32C."""
    table = index.astype("<u8", copy=False).tobytes()
    checksum: int = google_crc32c.value(table)
    return table + checksum.to_bytes(4, "little")


def parse_shard_index(data: bytes, chunks: int) -> npt.NDArray[np.uint64] | None:
    """The index, (chunks, 2), that `data` is; None where its checksum is not right."""
    table, checksum = data[: 16 * chunks], data[16 * chunks :]
    if len(data) != 16 * chunks + 4:
        return None
    if google_crc32c.value(table).to_bytes(4, "little") != checksum:
        return None
    return np.frombuffer(table, "<u8").reshape(-1, 2)


def shard_index_codecs() -> list[dict[str, Any]]:
    """How `encode_shard_index` is named in metadata."""
    return [
        {"name": "bytes", "configuration": {"endian": "little"}},
        {"name": "crc32c"},
    ]
