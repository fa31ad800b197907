"""A chunk -> bytes; a shard index -> bytes. Knows no files."""

from dataclasses import dataclass
from typing import Any, Protocol

import blosc
import google_crc32c
import numpy as np
import numpy.typing as npt

from .properties import DeviceKind

# Both are switches of the whole process. With the GIL held, encoders would not run side
# by side; with blosc's own threads beside ours, they are slower and the bytes of a
# chunk differ from run to run.
blosc.set_releasegil(True)
blosc.set_nthreads(1)

Encoded = bytes | memoryview

EMPTY = np.uint64(2**64 - 1)
"""Offset and length of a chunk that is not there: Zarr v3 sharding, "binary format"."""


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
    """Blosc 1, level 1, byte shuffle, as Acquire's compressed device kinds use it."""

    name: str

    def encode(self, pixels: npt.NDArray[np.generic]) -> bytes:
        """Compress; the GIL is released meanwhile."""
        encoded: bytes = blosc.compress(
            pixels.view(np.uint8).data.cast("B"),
            typesize=pixels.dtype.itemsize,
            clevel=1,
            shuffle=blosc.SHUFFLE,
            cname=self.name,
        )
        return encoded

    def v2(self) -> dict[str, Any]:
        """As numcodecs names it."""
        return {
            "id": "blosc",
            "cname": self.name,
            "clevel": 1,
            "shuffle": blosc.SHUFFLE,
            "blocksize": 0,
        }

    def v3(self, dtype: np.dtype[np.generic]) -> list[dict[str, Any]]:
        """`bytes`, then `blosc`."""
        configuration = {
            "cname": self.name,
            "clevel": 1,
            "shuffle": "shuffle",
            "typesize": dtype.itemsize,
            "blocksize": 0,
        }
        return [_bytes_v3(dtype), {"name": "blosc", "configuration": configuration}]


def codec_of(kind: DeviceKind) -> Codec:
    """The codec that a device kind stores chunks with."""
    return Blosc(kind.compressor) if kind.compressor else Raw()


def empty_shard_index(chunks: int) -> npt.NDArray[np.uint64]:
    """Make an index, (chunks, 2) of offset and length, in which nothing is there."""
    return np.full((chunks, 2), EMPTY, dtype="<u8")


def encode_shard_index(index: npt.NDArray[np.uint64]) -> bytes:
    """Little-endian offsets and lengths, then their CRC-32C."""
    table = index.astype("<u8", copy=False).tobytes()
    checksum: int = google_crc32c.value(table)
    return table + checksum.to_bytes(4, "little")


def shard_index_codecs() -> list[dict[str, Any]]:
    """How `encode_shard_index` is named in metadata."""
    return [
        {"name": "bytes", "configuration": {"endian": "little"}},
        {"name": "crc32c"},
    ]
