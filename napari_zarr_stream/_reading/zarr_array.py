"""An array of anybody, read by zarr within bounds: its metadata and files may lie.

Left alone, zarr waits for pipes, reads devices without an end, and tries to allocate
whatever a shape or the head of a chunk asks for.
"""

import math
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
import zarr
from zarr.storage import LocalStore, WrapperStore

from napari_zarr_stream._writer.errors import InvalidStore

MAX_CHUNKS = 2**13
"""Of one read, where chunks are small: zarr takes 1 to 3 s for so many."""

SMALL_CHUNK_BYTES = 2**16
"""What takes longer to find than to read. A plane of larger chunks is read whole,
however many they are."""

MAX_ARRAY_BYTES = 2**20
"""Of the document of one array: zarr takes seconds for 100,000 codecs or axes."""

AT_ONCE = 10
"""Chunks that zarr decodes side by side, by default."""


class _PlainFiles(WrapperStore):
    """Regular files only, none larger than what it is for."""

    most_bytes = MAX_ARRAY_BYTES
    blosc_bytes = 0
    """What a whole file unpacks to at the most, where it is a blosc buffer; else 0."""

    def _check(self, key: str) -> None:
        path = self._store.root / key
        try:
            info = path.stat()
        except OSError:
            return  # zarr says what it makes of that
        if not (stat.S_ISREG(info.st_mode) or stat.S_ISDIR(info.st_mode)):
            raise InvalidStore(f"{path} is a pipe or a device, no file")
        if stat.S_ISREG(info.st_mode) and info.st_size > self.most_bytes:
            raise InvalidStore(
                f"{path} has {info.st_size} bytes, and {self.most_bytes} at the most "
                "are what it should hold"
            )

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        self._check(key)
        data = await self._store.get(key, prototype, byte_range)
        if self.blosc_bytes and data is not None and len(data) >= 16:
            head = data.as_numpy_array()[:16].tobytes()
            if (unpacked := int.from_bytes(head[4:8], "little")) > self.blosc_bytes:
                raise InvalidStore(
                    f"{self._store.root / key} unpacks to {unpacked} bytes, more than "
                    "a chunk has"
                )
        return data

    async def get_partial_values(
        self, prototype: Any, key_ranges: Iterable[tuple[str, Any]]
    ) -> Any:
        ranges = list(key_ranges)
        for key, _ in ranges:
            self._check(key)
        return await self._store.get_partial_values(prototype, ranges)


class ZarrArray:
    """A Zarr array on disk, with shape, dtype, chunks and basic indexing.

    Parameters
    ----------
    path : Path

    Raises
    ------
    InvalidStore
        It is not there, or zarr cannot read it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        store = _PlainFiles(LocalStore(path, read_only=True))
        try:
            array = zarr.open_array(store, mode="r")
            codecs = (*array.filters, *array.compressors)
            self.shape: tuple[int, ...] = array.shape
            self.dtype: np.dtype[np.generic] = np.dtype(array.dtype)
            self.chunks: tuple[int, ...] = array.chunks
            self.shards: tuple[int, ...] | None = array.shards
        except Exception as error:  # whatever strange metadata lead to
            raise InvalidStore(f"array {path} cannot be opened: {error}") from error
        if 0 in self.chunks:
            raise InvalidStore(f"array {path} has chunks of {self.chunks} pixels")
        self.zarr_format: int = array.metadata.zarr_format
        self.codecs: Sequence[Any] = array.compressors
        self._array = array
        per_file = math.prod(self.shards or self.chunks)
        # Filters may widen pixels to 8 bytes; of each chunk there may be a mark and its
        # entries in indexes of a shard that fills.
        store.most_bytes = 8 * per_file * self.dtype.itemsize + 2**20
        last = type(codecs[-1]).__name__ if codecs else ""
        if not self.shards and last in ("Blosc", "BloscCodec"):
            store.blosc_bytes = 8 * per_file * self.dtype.itemsize
        store.most_bytes += 512 * (per_file // math.prod(self.chunks))

    def __getitem__(self, key: tuple[int | slice, ...]) -> npt.NDArray[np.generic]:
        """Read pixels: `key` has an int or a slice with a positive step for each axis.

        Raises
        ------
        InvalidStore
            That is more than can be read at once.
        """
        inside = [
            range(size)[at] if isinstance(at, slice) else [at]
            for size, at in zip(self.shape, key, strict=True)
        ]
        pixels = math.prod(map(len, inside))
        chunks = pixels and math.prod(
            at[-1] // side - at[0] // side + 1
            for at, side in zip(inside, self.chunks, strict=True)
        )
        stored = math.prod(self.chunks) * self.dtype.itemsize
        if chunks > MAX_CHUNKS and stored < SMALL_CHUNK_BYTES:
            raise InvalidStore(
                f"{self._path} stores what is asked for in {chunks} chunks, of which "
                f"{MAX_CHUNKS} can be read at once: look at a part"
            )
        wanted = pixels * self.dtype.itemsize + min(chunks, AT_ONCE) * stored
        refuse_beyond_memory(self._path, wanted)
        try:
            read: npt.NDArray[np.generic] = np.asarray(self._array[key])
        except MemoryError as error:
            raise InvalidStore(
                f"{self._path}: there is not enough memory for {pixels} pixels in "
                f"chunks of {self.chunks}"
            ) from error
        return read


def refuse_beyond_memory(path: Path, wanted: int) -> None:
    """Raise `InvalidStore` if so many bytes are not free: the system might end us."""
    free = psutil.virtual_memory().available
    if wanted > free:
        raise InvalidStore(
            f"{path}: {wanted / 1e9:.1f} GB of memory are needed to show this, "
            f"{free / 1e9:.1f} GB are free: look at a part or at a smaller level"
        )
