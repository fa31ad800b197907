"""Chunks within a tree, for zarr: what a read needs is asked for side by side before.

By itself zarr asks for the chunks of a shard one after the other (3.1), and for the
index of a shard at every read.
"""

import asyncio
import itertools
import math
import threading
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from zarr.abc.store import (
    OffsetByteRequest,
    RangeByteRequest,
    SuffixByteRequest,
)

from napari_zarr_stream._writer.errors import InvalidStore

from .ahead import ahead
from .chunk_names import Names, others_told, renamed
from .documents import mapping, sequence
from .kept import chunks_kept
from .location import Refused, Within
from .read_only_store import ReadOnlyStore
from .side_by_side import side_by_side

NOTHING = 2**64 - 1
"""In the index of a shard: of a chunk that was not written."""

Span = tuple[int, int]


class TreeStore(ReadOnlyStore):
    """The files of one array, read only.

    Parameters
    ----------
    location : Within

    Attributes
    ----------
    most_bytes : int
        That a file may have.
    """

    most_bytes = 2**20

    def __init__(self, location: Within) -> None:
        super().__init__()
        self.location = location
        # Parts of files that are being read; guarded by _lock.
        self._ahead: dict[str, dict[Span | None, bytes]] = defaultdict(dict)
        self._lock = threading.Lock()
        self._asked_ahead: set[str] = set()
        # How chunks may be named, None for as zarr asks; the last that was met first.
        self._names: tuple[Names | None, ...] = (None,)
        self._tells = False

    def name_also(self, others: Iterable[Names], *, tells: bool) -> None:
        """Look for chunks under other names where there are none under their own.

        With `tells`, a warning says so when the first is met.
        """
        self._names, self._tells = (None, *others), tells

    @property
    def is_far(self) -> bool:
        """Whether an answer takes longer than what is done with it."""
        return self.location.tree.files.is_far

    def read(self, key: str, part: slice) -> bytes | None:
        """A part of a file: what was asked for before, or else from where it is."""
        with self._lock:
            ahead = self._ahead.get(key, {})
            data = ahead.get(_span(part))
            if data is None and part.stop is not None:
                data = _joined(ahead, part.start, part.stop)
        return self._asked(key, part) if data is None else data

    def _asked(self, key: str, part: slice) -> bytes | None:
        refused: Refused | None = None
        for names in self._names:
            where = self.location / (key if names is None else renamed(key, names))
            try:
                data = where.tree.files.read(where.key, part, self.most_bytes)
            except Refused as error:  # so some say that there is none
                refused = refused or error
                continue
            if data is not None:
                self._met(names)
                return data
        if refused is not None:
            raise refused
        return None

    def _met(self, names: Names | None) -> None:
        """Try these names first from now on: a wait for others would be in vain."""
        if names == self._names[0]:
            return
        with self._lock:
            others = [each for each in self._names if each != names]
            self._names = (names, *others)
            tells, self._tells = self._tells, False
        if tells and names is not None:
            # The store and not the array, so that a pyramid or a plate says it once.
            told = others_told(self.location.root_name, names)
            warnings.warn(told, UserWarning, stacklevel=2)

    def index_of(self, key: str, part: slice) -> bytes | None:
        """The index of a shard, which is kept as chunks are."""
        where, stamp = self.location / key, self.location.tree.stamp()
        found = chunks_kept.get(where, (), stamp)
        if found is None:
            data = self._asked(key, part)
            if data is None:
                return None
            found = np.frombuffer(data, np.uint8)
            chunks_kept.put(where, (), stamp, found)
        return found.tobytes()

    @contextmanager
    def fetched(self, wanted: dict[str, "Shard | None"]) -> Iterator[None]:
        """Have all of these asked for, for as long as it lasts.

        Parameters
        ----------
        wanted : mapping of key to Shard or None
            What of a file is needed; None for all of it.
        """
        try:
            parts = side_by_side(self._parts_of, wanted.items())
            spans = [
                (key, span)
                for key, found in zip(wanted, parts, strict=True)
                for span in found
            ]
            read = side_by_side(lambda one: self._asked(one[0], _part(one[1])), spans)
            with self._lock:
                for (key, span), data in zip(spans, read, strict=True):
                    if data is not None:
                        self._ahead[key][span] = data
            yield
        finally:
            with self._lock:
                for key in wanted:
                    self._ahead.pop(key, None)

    def indexes_ahead(self, shards: Iterable[tuple[str, slice]]) -> None:
        """Have the indexes of these shards asked for in a while, if they stay true."""
        if not self.location.tree.is_written:
            unknown = [shard for shard in shards if shard[0] not in self._asked_ahead]
            self._asked_ahead.update(key for key, _ in unknown)
            if unknown:
                ask = partial(side_by_side, lambda one: self.index_of(*one), unknown)
                ahead.wish(self, [ask])

    def _parts_of(self, item: "tuple[str, Shard | None]") -> list[Span | None]:
        """Which parts of a file are needed; its index is asked for, if need be."""
        key, shard = item
        if shard is None or shard.is_whole:
            return [None]
        index = self.index_of(key, shard.index_part)
        if index is None:
            return []
        with self._lock:
            self._ahead[key][_span(shard.index_part)] = index
        return list(shard.spans_in(index))

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        data = await asyncio.to_thread(self.read, key, _part_of(byte_range))
        return None if data is None else prototype.buffer.from_bytes(data)

    async def exists(self, key: str) -> bool:
        return (self.location / key).is_file()


class Shard:
    """What is needed of one shard.

    Parameters
    ----------
    grid : tuple of int
        Chunks that a shard has, along each axis.
    index_bytes : int
    is_at_end : bool
        Where the index is.
    chunks : list of tuple of int
        Those that are needed, by their place in the shard.
    """

    def __init__(
        self,
        grid: tuple[int, ...],
        index_bytes: int,
        is_at_end: bool,
        chunks: list[tuple[int, ...]],
    ) -> None:
        self._grid, self._chunks = grid, chunks
        self.is_whole = len(chunks) == math.prod(grid)
        self.index_part = (
            slice(-index_bytes, None) if is_at_end else slice(0, index_bytes)
        )

    def spans_in(self, index: bytes) -> Iterator[Span]:
        """Where the chunks are, as an index says; what it says wrong, zarr tells."""
        size = 16 * math.prod(self._grid)
        if len(index) < size:
            return
        table = np.frombuffer(index[:size], "<u8").reshape(*self._grid, 2)
        for chunk in self._chunks:
            start, length = map(int, table[chunk])
            if length and NOTHING not in (start, length):
                yield start, start + length


class Layout:
    """Which files hold what of an array.

    Parameters
    ----------
    array : zarr.Array
    document : mapping
        Of the array, as it is stored.
    """

    def __init__(self, array: Any, document: Any) -> None:
        self._key_of = array.metadata.encode_chunk_key
        self._chunks: tuple[int, ...] = array.chunks
        self._per_file: tuple[int, ...] = array.shards or array.chunks
        self._files_long = -(-array.shape[0] // self._per_file[0])
        self._grid = tuple(
            whole // side
            for whole, side in zip(self._per_file, self._chunks, strict=True)
        )
        self._index_bytes, self._is_at_end = 0, True
        codecs = sequence(document.get("codecs"))
        outer = mapping(codecs[0]) if len(codecs) == 1 else {}
        settings = mapping(outer.get("configuration"))
        named = [mapping(c).get("name") for c in sequence(settings.get("index_codecs"))]
        if outer.get("name") == "sharding_indexed" and named in _INDEXES:
            size = 16 * math.prod(self._grid) + 4 * (len(named) - 1)
            self._index_bytes = size
            self._is_at_end = settings.get("index_location", "end") != "start"

    def files_of(self, spans: Sequence[Sequence[int]]) -> dict[str, Shard | None]:
        """The files that a read meets, and what it needs of each.

        Empty where only zarr can tell.
        """
        rows = [
            range(span[0] // side, span[-1] // side + 1)
            for span, side in zip(spans, self._chunks, strict=True)
        ]
        is_sharded = self._per_file != self._chunks
        if is_sharded and not self._index_bytes:
            return {}
        by_file: dict[tuple[int, ...], list[tuple[int, ...]]] = defaultdict(list)
        for chunk in itertools.product(*rows):
            file = tuple(at // per for at, per in zip(chunk, self._grid, strict=True))
            within = tuple(at % per for at, per in zip(chunk, self._grid, strict=True))
            by_file[file].append(within)
        return {
            self._key_of(file): Shard(
                self._grid, self._index_bytes, self._is_at_end, chunks
            )
            if is_sharded
            else None
            for file, chunks in by_file.items()
        }

    def indexes_near(
        self, spans: Sequence[Sequence[int]]
    ) -> Iterator[tuple[str, slice]]:
        """Shards before and after those of a read along the first axis, nearest first.

        With the part of each that its index is.
        """
        if not self._index_bytes:
            return
        rows = [
            range(span[0] // side, span[-1] // side + 1)
            for span, side in zip(spans, self._per_file, strict=True)
        ]
        beside = list(itertools.product(*rows[1:]))
        steps = sorted(range(self._files_long), key=lambda at: abs(at - rows[0][0]))
        part = Shard(self._grid, self._index_bytes, self._is_at_end, []).index_part
        for step in steps[: max(1, MOST_INDEXES // len(beside))]:
            for place in beside:
                yield self._key_of((step, *place)), part


MOST_INDEXES = 256
"""Asked for ahead: four waits, and half a megabyte where a shard has 128 chunks."""

_INDEXES = (["bytes", "crc32c"], ["bytes"])
"""Codecs of indexes that are tables of numbers, perhaps with a checksum behind."""


def _span(part: slice) -> Span | None:
    return None if part == slice(None) else (part.start, part.stop or 0)


def _part(span: Span | None) -> slice:
    return slice(None) if span is None else slice(*span)


def _part_of(byte_range: Any) -> slice:
    """What zarr calls a byte range."""
    if byte_range is None:
        return slice(None)
    if isinstance(byte_range, RangeByteRequest):
        return slice(byte_range.start, byte_range.end)
    if isinstance(byte_range, OffsetByteRequest):
        return slice(byte_range.offset, None)
    if isinstance(byte_range, SuffixByteRequest):
        return slice(-byte_range.suffix, None)
    raise InvalidStore(f"zarr asks for {byte_range}, which nobody knows")


def _joined(parts: dict[Span | None, bytes], start: int, stop: int) -> bytes | None:
    """A span out of those that lie side by side; None where something is missing."""
    found, at = [], start
    for span in sorted(span for span in parts if span is not None):
        if span[0] == at < stop:
            found.append(parts[span])
            at = span[1]
    return b"".join(found) if at == stop and found else None
