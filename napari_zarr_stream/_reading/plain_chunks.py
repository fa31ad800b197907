"""Chunks of the usual layouts, decoded here: zarr takes several times as long for few.

Each of its chunks goes through an event loop and a pool of threads, whatever it is of,
and the thread of a window waits for all of them.
"""

import itertools
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import blosc
import numpy as np
import numpy.typing as npt

from napari_zarr_stream._writer import system
from napari_zarr_stream._writer.codecs import (
    EMPTY,
    BloscHeader,
    parse_shard_index,
    shard_index_codecs,
)
from napari_zarr_stream._writer.errors import InvalidStore

from .documents import mapping, sequence
from .location import Location
from .side_by_side import side_by_side

Pixels = npt.NDArray[np.generic]
Chunk = tuple[int, ...]
Part = slice | bytes | None
"""Where in its file a chunk is, or its bytes; None of one that was not written."""

MOST_BYTES = 2**25
"""Of one read: of more, zarr decodes chunks side by side."""

MOST_INDEX_BYTES = 2**20
"""Of one shard: more takes longer to look through than zarr takes for a plane."""

MOST_ENCODED = 2
"""Bytes of a chunk for each of its pixels' bytes; more is not what we know."""


class FarFiles(Protocol):
    """Files of an array that lie elsewhere, as `TreeStore`."""

    @property
    def is_far(self) -> bool:
        """Whether an answer takes longer than what is done with it."""

    def read(self, key: str, part: slice) -> bytes | None:
        """A part of a file; None where there is no such file."""

    def index_of(self, key: str, part: slice) -> bytes | None:
        """The same of the index of a shard, which is kept."""


class PlainChunks:
    """Chunks that are stored as they are, or as blosc has them, in shards or without.

    What is not as it should be is left to zarr, which says what is amiss.

    Parameters
    ----------
    array : zarr.Array
    folder : Path or Within
        Where it is stored.
    """

    def __init__(self, array: Any, folder: Location, is_blosc: bool) -> None:
        self._folder = folder
        self._key_of = array.metadata.encode_chunk_key
        self._shape, self._chunks = array.shape, array.chunks
        per_file = zip(array.shards or array.chunks, array.chunks, strict=True)
        self._per_file = tuple(whole // side for whole, side in per_file)
        self._is_sharded = array.shards is not None
        self._dtype = np.dtype(array.dtype)
        self._is_blosc = is_blosc
        self._chunk_bytes = int(np.prod(array.chunks)) * self._dtype.itemsize
        self._most_encoded = MOST_ENCODED * self._chunk_bytes + 2**12
        self._fill = 0 if array.fill_value is None else array.fill_value

    @classmethod
    def of(
        cls, array: Any, folder: Location, document: Mapping[str, Any]
    ) -> "PlainChunks | None":
        """Those of an array with this document; None if zarr is to decode them."""
        codecs = _codecs_of(document, is_sharded=array.shards is not None)
        dtype = np.dtype(array.dtype)
        if codecs is None or dtype.kind not in "biuf" or not dtype.isnative:
            return None
        return cls(array, folder, is_blosc=bool(codecs))

    def read(self, chunks: Sequence[Chunk]) -> dict[Chunk, Pixels] | None:
        """Each of them, as large as the array is there; None if zarr is to do it.

        Raises
        ------
        InvalidStore
            One was cut off.
        """
        if len(chunks) * self._chunk_bytes > MOST_BYTES:
            return None
        assert isinstance(self._folder, Path)
        read: dict[Chunk, Pixels] = {}
        for key, inside in self._by_file(chunks).items():
            with suppress(OSError, blosc.blosc_extension.error):
                read |= self._read_file(self._folder / key, inside)
        return read if len(read) == len(chunks) else None

    def read_from(
        self, files: FarFiles, chunks: Sequence[Chunk]
    ) -> dict[Chunk, Pixels] | None:
        """The same from files that lie elsewhere, in two waits: indexes, then chunks.

        Raises
        ------
        InvalidStore
            One was cut off, or cannot be had.
        """
        if len(chunks) * self._chunk_bytes > MOST_BYTES:
            return None
        at_once = side_by_side if files.is_far else map
        by_file = self._by_file(chunks)
        parts = list(at_once(partial(self._parts, files), by_file.items()))
        if None in parts:
            return None
        wanted = [
            (key, chunk, part)
            for key, found in zip(by_file, parts, strict=True)
            for chunk, part in (found or {}).items()
        ]
        read = at_once(partial(self._read_part, files), wanted)
        pixels = {chunk: one for (_, chunk, _), one in zip(wanted, read, strict=True)}
        if any(one is None for one in pixels.values()):
            return None
        return {chunk: one for chunk, one in pixels.items() if one is not None}

    def _parts(
        self, files: FarFiles, of_file: tuple[str, Sequence[Chunk]]
    ) -> dict[Chunk, Part] | None:
        """Where in a file chunks are; None in place of all where zarr is to tell."""
        key, chunks = of_file
        if not self._is_sharded:
            return dict.fromkeys(chunks, slice(None))
        count = int(np.prod(self._per_file))
        index_bytes = 16 * count + 4
        if index_bytes > MOST_INDEX_BYTES:
            return None
        whole = files.read(key, slice(None)) if len(chunks) == count else None
        data = whole or files.index_of(key, slice(-index_bytes, None))
        if data is None:
            return dict.fromkeys(chunks)
        index = parse_shard_index(data[-index_bytes:], count)
        if index is None:
            return None
        parts: dict[Chunk, Part] = dict.fromkeys(chunks)
        for chunk, (offset, length) in self._in_index(index, chunks).items():
            if not 0 < length <= self._most_encoded:
                return None
            part = slice(offset, offset + length)
            parts[chunk] = part if whole is None else whole[part]
        return parts

    def _read_part(
        self, files: FarFiles, wanted: tuple[str, Chunk, Part]
    ) -> Pixels | None:
        """One chunk, decoded; None if zarr is to do it."""
        key, chunk, part = wanted
        data = files.read(key, part) if isinstance(part, slice) else part
        if data is None:
            pixels = np.full(self._chunks, self._fill, self._dtype)
            return self._as_it_is(chunk, pixels)
        try:
            decoded = self._decoded(self._folder / key, data)
        except blosc.blosc_extension.error:
            return None
        return None if decoded is None else self._as_it_is(chunk, decoded)

    def _by_file(self, chunks: Sequence[Chunk]) -> dict[str, list[Chunk]]:
        """Chunks by the keys of the files that they are in."""
        by_file = itertools.groupby(sorted(chunks, key=self._file_of), self._file_of)
        return {self._key_of(file): list(inside) for file, inside in by_file}

    def _file_of(self, chunk: Chunk) -> Chunk:
        return tuple(at // per for at, per in zip(chunk, self._per_file, strict=True))

    def _read_file(self, path: Path, chunks: Sequence[Chunk]) -> dict[Chunk, Pixels]:
        """Those that are as they should be."""
        if not stat.S_ISREG(path.stat().st_mode):
            return {}  # to open a pipe would take for ever
        read: dict[Chunk, Pixels] = {}
        with system.closing(system.open_to_read(path)) as file:
            size = system.size_of(file)
            places = {chunks[0]: (0, size)}
            if self._is_sharded:
                places = self._places(file, size, chunks)
            for chunk, (offset, length) in places.items():
                if length > self._most_encoded:
                    continue
                data = system.read_at(file, length, offset)
                pixels = self._decoded(path, data) if len(data) == length else None
                if pixels is not None:
                    read[chunk] = self._as_it_is(chunk, pixels)
        return read

    def _places(
        self, file: int, size: int, chunks: Sequence[Chunk]
    ) -> dict[Chunk, tuple[int, int]]:
        """Offset and length of chunks in a shard, by the index at its end."""
        count = int(np.prod(self._per_file))
        index_bytes = 16 * count + 4
        if not index_bytes <= min(size, MOST_INDEX_BYTES):
            return {}
        index = parse_shard_index(
            system.read_at(file, index_bytes, size - index_bytes), count
        )
        return {} if index is None else self._in_index(index, chunks)

    def _in_index(
        self, index: npt.NDArray[np.uint64], chunks: Sequence[Chunk]
    ) -> dict[Chunk, tuple[int, int]]:
        """The same by an index; without those that were not written."""
        places: dict[Chunk, tuple[int, int]] = {}
        for chunk in chunks:
            inside = tuple(
                at % per for at, per in zip(chunk, self._per_file, strict=True)
            )
            number = int(np.ravel_multi_index(inside, self._per_file))
            if index[number, 0] != EMPTY:
                offset, length = index[number].tolist()
                places[chunk] = offset, length
        return places

    def _decoded(self, path: Location, data: bytes) -> Pixels | None:
        if self._is_blosc:
            header = BloscHeader.read(data)
            if header is None or header.nbytes != self._chunk_bytes:
                return None
            if header.encoded_bytes > len(data):
                # Nor does zarr tell blosc where its buffer ends.
                raise InvalidStore(
                    f"{path} holds {len(data)} bytes of a chunk that has "
                    f"{header.encoded_bytes}: it was cut off"
                )
            data = blosc.decompress(data)
        if len(data) != self._chunk_bytes:
            return None
        return np.frombuffer(data, self._dtype).reshape(self._chunks)

    def _as_it_is(self, chunk: Chunk, pixels: Pixels) -> Pixels:
        """Without what lies beyond the array."""
        sides = zip(chunk, self._chunks, self._shape, strict=True)
        there = tuple(min(side, size - at * side) for at, side, size in sides)
        if there == pixels.shape:
            return pixels
        return np.ascontiguousarray(pixels[tuple(map(slice, there))])


def _codecs_of(document: Mapping[str, Any], is_sharded: bool) -> list[str] | None:
    """The names of what compresses: none, or blosc; None where it is something else."""
    if "codecs" not in document:
        return _codecs_of_v2(document)
    codecs = [mapping(codec) for codec in sequence(document["codecs"])]
    if is_sharded:
        if [codec.get("name") for codec in codecs] != ["sharding_indexed"]:
            return None
        sharding = mapping(codecs[0].get("configuration"))
        is_at_end = sharding.get("index_location", "end") == "end"
        if sharding.get("index_codecs") != shard_index_codecs() or not is_at_end:
            return None
        codecs = [mapping(codec) for codec in sequence(sharding.get("codecs"))]
    names = [str(codec.get("name")) for codec in codecs]
    if names not in (["bytes"], ["bytes", "blosc"]):
        return None
    endian = mapping(codecs[0].get("configuration")).get("endian", "little")
    return names[1:] if endian == "little" else None


def _codecs_of_v2(document: Mapping[str, Any]) -> list[str] | None:
    if document.get("filters") or document.get("order") != "C":
        return None
    compressor = document.get("compressor")
    if compressor is None:
        return []
    return ["blosc"] if mapping(compressor).get("id") == "blosc" else None
