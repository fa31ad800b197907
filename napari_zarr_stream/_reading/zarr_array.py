"""An array of anybody, read by zarr within bounds: its metadata and files may lie.

Left alone, zarr waits for pipes, reads devices without an end, and tries to allocate
whatever a shape or the head of a chunk asks for.
"""

import contextlib
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from napari_zarr_stream._writer.errors import InvalidStore

from .array_document import (
    advice_on_codecs,
    axis_names_in,
    mended,
    no_pixels_in,
)
from .bounded_store import MAX_ARRAY_BYTES, BoundedStore
from .bounds import MAX_CHUNKS, refuse_beyond_memory
from .chunk_names import NESTED, are_said, names_in, names_said, others_told
from .documents import BeyondBounds, Node, open_node, understanding
from .location import Location, Within
from .plain_chunks import PlainChunks
from .tree_store import Layout

Stamp = tuple[int, int] | None
"""When a file was changed, in ns, and how long it is; None where there is none."""

SMALL_CHUNK_BYTES = 2**16
"""What takes longer to find than to read. A plane of larger chunks is read whole,
however many they are."""

AT_ONCE = 10
"""Chunks that zarr decodes side by side, by default."""

MOST_UNDERSTOOD = 64
"""Documents; fields of a plate and positions have a few between them."""

_understood: dict[tuple[str, str], Any] = {}
"""What zarr made of documents: asking it takes 2 ms, and a plate has thousands."""


def _keep_understood(name: str, text: str, metadata: Any) -> None:
    if len(_understood) >= MOST_UNDERSTOOD:
        _understood.clear()
    _understood[name, text] = metadata


class ZarrArray:
    """A Zarr array on disk, with shape, dtype, chunks and basic indexing.

    Parameters
    ----------
    path : Path or Within

    Raises
    ------
    InvalidStore
        It is not there, or zarr cannot read it.
    """

    def __init__(self, path: Location) -> None:
        self.path = path
        self.notes: list[str] = []
        try:
            node = open_node(path)
        except InvalidStore as error:
            raise InvalidStore(f"array {path} cannot be opened: {error}") from error
        if node is None or not node.is_array:
            raise InvalidStore(f"array {path} cannot be opened: there is none")
        self.notes.extend(node.notes)
        self._store = store = BoundedStore(path)
        self._tree = store.tree
        array = self._open(node)
        try:
            codecs = (*array.filters, *array.compressors)
            self.shape: tuple[int, ...] = array.shape
            # Pixels are given as this computer has them.
            self.dtype = np.dtype(array.dtype).newbyteorder("=")
            self.chunks: tuple[int, ...] = array.chunks
            self.shards: tuple[int, ...] | None = array.shards
            self._plain = PlainChunks.of(array, path, self._document)
        except Exception as error:  # whatever strange metadata lead to
            raise InvalidStore(f"array {path} cannot be opened: {error}") from error
        if 0 in self.chunks:
            raise InvalidStore(f"array {path} has chunks of {self.chunks} pixels")
        self._look_for_chunks(are_said(node.document))
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
        if self._tree is not None:
            self._tree.most_bytes = store.most_bytes
            self._layout = Layout(array, node.document)

    def __reduce__(self) -> tuple[type, tuple[Location]]:
        """Opened again in another process."""
        return type(self), (self.path,)

    def _open(self, node: Node) -> Any:
        """The array of zarr: as it is stored, or else as zarr wants it to be."""
        name = "zarr.json" if node.zarr_format == 3 else ".zarray"
        document = dict(node.document)
        if (size := len(json.dumps(document))) > MAX_ARRAY_BYTES:
            raise InvalidStore(f"{self.path / name} is of no array: {size} bytes")
        if other := no_pixels_in(document):
            raise InvalidStore(f"array {self.path} holds {other}, which are no pixels")
        self.axis_names = axis_names_in(document, node.attributes)
        document.pop("attributes", None)
        if document.get("filters") == []:
            document["filters"] = None
        try:
            return self._opened(name, document)
        except InvalidStore as failure:
            try:
                with understanding(self.path):
                    array = self._opened(name, mended(document))
            except InvalidStore:
                raise InvalidStore(
                    f"{failure}{advice_on_codecs(document)}"
                ) from failure
            self.notes.append(
                "its arrays are read, though not described as zarr wants it: "
                f"{failure.__cause__}"
            )
            return array

    def _opened(self, name: str, document: dict[str, Any]) -> Any:
        """The array of zarr that a document describes."""
        is_v3 = name == "zarr.json"
        given = document | ({"attributes": {}} if is_v3 else {})
        text = json.dumps(given)
        self._store.documents = {name: text.encode(), ".zattrs": b"{}"}
        try:
            if (known := _understood.get((name, text))) is not None:
                place = zarr.storage.StorePath(self._store)
                array = zarr.Array(zarr.AsyncArray(known, place))
            else:
                array = zarr.open_array(
                    self._store, mode="r", zarr_format=3 if is_v3 else 2
                )
                _keep_understood(name, text, array.metadata)
        except Exception as error:  # whatever strange metadata lead to
            raise InvalidStore(
                f"array {self.path} cannot be opened: {error}"
            ) from error
        self._document = given
        return array

    def _look_for_chunks(self, are_named: bool) -> None:
        """See how chunks are named, or look when the first is read."""
        if len(self.shape) < 2 or 0 in self.shape:
            return
        found, said = names_in(self.path), names_said(self._document)
        if found:
            others = sorted(found - {said})
            self._store.name_also(others)
            if said not in found:
                self.notes.append(others_told(self.path, others[0]))
        elif found is not None:
            self.notes.append(
                f"array {self.path} has no chunks: all that it shows is its fill value"
            )
        elif not are_named:
            self._store.name_also([NESTED], tells=True)

    def stamp_of(self, chunk: tuple[int, ...]) -> Stamp:
        """What tells that the file of a chunk is another than before."""
        if isinstance(self.path, Within):
            return self.path.tree.stamp()
        per_file = zip(chunk, self.chunks, self.shards or self.chunks, strict=True)
        file = tuple(at * side // whole for at, side, whole in per_file)
        key = self._array.metadata.encode_chunk_key(file)
        for name in self._store.keys_of(key):
            with contextlib.suppress(OSError):  # of this name there is none
                info = (self.path / name).stat()
                return info.st_mtime_ns, info.st_size
        return None

    def read_chunks(
        self, chunks: Sequence[tuple[int, ...]]
    ) -> dict[tuple[int, ...], npt.NDArray[np.generic]] | None:
        """Chunks, each as large as the array is there, which nobody may change.

        None where they are better read as pixels: many, or of another layout.
        """
        if self._plain is None:
            return None
        if self._tree is None:
            return self._plain.read(chunks)
        read = self._plain.read_from(self._tree, chunks)
        if read is not None and self._tree.is_far:
            ends = zip(*chunks, strict=True)
            spans = [
                range(min(along) * side, max(along) * side + 1)
                for along, side in zip(ends, self.chunks, strict=True)
            ]
            self._tree.indexes_ahead(self._layout.indexes_near(spans))
        return read

    @contextlib.contextmanager
    def _fetched(self, inside: Sequence[Sequence[int]]) -> Iterator[None]:
        """With what a read needs asked for side by side, where it is far away."""
        if self._tree is None or not self._tree.is_far or not inside:
            yield
            return
        with self._tree.fetched(self._layout.files_of(inside)):
            yield
        self._tree.indexes_ahead(self._layout.indexes_near(inside))

    def __getitem__(self, key: tuple[int | slice, ...]) -> npt.NDArray[np.generic]:
        """Read pixels: `key` has an int or a slice with a positive step for each axis.

        Raises
        ------
        BeyondBounds
            That is more than can be read at once.
        InvalidStore
            It is damaged.
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
            raise BeyondBounds(
                f"{self.path} stores what is asked for in {chunks} chunks, of which "
                f"{MAX_CHUNKS} can be read at once: look at a part"
            )
        wanted = pixels * self.dtype.itemsize + min(chunks, AT_ONCE) * stored
        refuse_beyond_memory(self.path, wanted)
        try:
            with self._fetched(inside if chunks else []):
                read: npt.NDArray[np.generic] = np.asarray(self._array[key], self.dtype)
        except Exception as error:
            raise self._failure(error, pixels) from error
        return read

    def _failure(self, error: Exception, pixels: int) -> InvalidStore:
        """Whatever a codec makes of damaged bytes, in our words."""
        while isinstance(error, ExceptionGroup):  # zarr since 3.2, of chunks in shards
            error = error.exceptions[0]
        if isinstance(error, InvalidStore):
            return error
        if isinstance(error, MemoryError):
            return InvalidStore(
                f"{self.path}: there is not enough memory for {pixels} pixels in "
                f"chunks of {self.chunks}"
            )
        return InvalidStore(
            f"array {self.path} has pixels that cannot be read: {error}"
        )
