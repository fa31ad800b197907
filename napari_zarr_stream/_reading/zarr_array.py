"""An array of anybody, read by zarr within bounds: its metadata and files may lie.

Left alone, zarr waits for pipes, reads devices without an end, and tries to allocate
whatever a shape or the head of a chunk asks for.
"""

import contextlib
import json
import math
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from zarr.abc.store import RangeByteRequest
from zarr.storage import LocalStore

from napari_zarr_stream._writer.errors import InvalidStore

from .array_document import (
    advice_on_codecs,
    axis_names_in,
    mended,
    no_pixels_in,
)
from .bounds import MAX_CHUNKS, refuse_beyond_memory
from .documents import (
    BeyondBounds,
    Node,
    mapping,
    open_node,
    understanding,
)
from .location import Location, Within, entries_of
from .plain_chunks import PlainChunks
from .read_only_store import ReadOnlyStore
from .side_by_side import side_by_side
from .tree_store import Layout, TreeStore

Stamp = tuple[int, int] | None
"""When a file was changed, in ns, and how long it is; None where there is none."""

Names = tuple[str, str]
"""How chunks are named: what stands before the numbers, and between them."""

SMALL_CHUNK_BYTES = 2**16
"""What takes longer to find than to read. A plane of larger chunks is read whole,
however many they are."""

MAX_ARRAY_BYTES = 2**20
"""Of the document of one array: zarr takes seconds for 100,000 codecs or axes."""

AT_ONCE = 10
"""Chunks that zarr decodes side by side, by default."""


class _PlainFiles(ReadOnlyStore):
    """Regular files only, none larger than what it is for."""

    most_bytes = MAX_ARRAY_BYTES
    documents: dict[str, bytes]
    """What takes the place of files of these names."""
    other_names: tuple[Names, ...] = ()
    """How chunks are named that are not where the metadata say."""
    blosc_bytes = 0
    """What a whole file unpacks to at the most, where it is a blosc buffer; else 0."""

    def __init__(self, store: LocalStore | TreeStore) -> None:
        super().__init__()
        self._store = store

    def _check(self, key: str, byte_range: Any) -> None:
        if isinstance(self._store, TreeStore):  # which has bounds of its own
            return
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
        if isinstance(byte_range, RangeByteRequest) and byte_range.end > info.st_size:
            raise InvalidStore(
                f"{path} has {info.st_size} bytes, and says that a chunk ends at "
                f"{byte_range.end}"
            )

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        if key in self.documents:
            return prototype.buffer.from_bytes(self.documents[key])
        data = None
        for name in (key, *(_renamed(key, names) for names in self.other_names)):
            self._check(name, byte_range)
            data = await self._store.get(name, prototype, byte_range)
            if data is not None:
                break
        if self.blosc_bytes and data is not None and len(data) >= 16:
            head = data.as_numpy_array()[:16].tobytes()
            if (unpacked := int.from_bytes(head[4:8], "little")) > self.blosc_bytes:
                raise InvalidStore(
                    f"{self._store.root / key} unpacks to {unpacked} bytes, more than "
                    "a chunk has"
                )
        return data

    def get_ranges(self, key: str, byte_ranges: Any, **options: Any) -> Any:
        """Of zarr since 3.2, which asks for several as one, with what lies between."""
        if isinstance(self._store, TreeStore):  # where chunks were asked for ahead
            options["max_gap_bytes"] = -1
        return super().get_ranges(key, byte_ranges, **options)

    async def exists(self, key: str) -> bool:
        return bool(await self._store.exists(key))


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
        self._tree = TreeStore(path) if isinstance(path, Within) else None
        self._store = store = _PlainFiles(
            self._tree or LocalStore(path, read_only=True)
        )
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
            self._ask_for_chunks(self._tree, node.document)

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
            if (name, text) in _understood:
                array = zarr.Array(
                    zarr.AsyncArray(
                        _understood[name, text], zarr.storage.StorePath(self._store)
                    )
                )
            else:
                array = zarr.open_array(
                    self._store, mode="r", zarr_format=3 if is_v3 else 2
                )
                _keep_understood(name, text, array.metadata)
        except Exception as error:  # whatever strange metadata lead to
            raise InvalidStore(
                f"array {self.path} cannot be opened: {error}"
            ) from error
        self._look_for_chunks(given)
        self._document = given
        return array

    def _look_for_chunks(self, document: dict[str, Any]) -> None:
        """See how chunks are named: some writers do not do as they say."""
        if len(document["shape"]) < 2 or 0 in document["shape"]:
            return
        found, said = _names_in(self.path), _names_said(document)
        if found is None:
            return
        self._store.other_names = tuple(sorted(found - {said}))
        if not found:
            self.notes.append(
                f"array {self.path} has no chunks: all that it shows is its fill value"
            )
        elif said not in found:
            self._note_other_names()

    def _note_other_names(self) -> None:
        example = _example(*self._store.other_names[0])
        self.notes.append(
            f"chunks of {self.path} are not named as its metadata say: those named as "
            f"{example!r} are read"
        )

    def _ask_for_chunks(self, tree: TreeStore, document: Mapping[str, Any]) -> None:
        """See how chunks are named where nothing says it and nothing is listed."""
        is_said = "codecs" in document or document.get("dimension_separator")
        if is_said or len(self.shape) < 2 or 0 in self.shape or _names_in(self.path):
            return
        sides = zip(self.shape, self.chunks, strict=True)
        middle = [-(-size // side) // 2 for size, side in sides]

        def is_there(between: str) -> bool:
            keys = [between.join(map(str, at)) for at in (middle, [0] * len(middle))]
            with contextlib.suppress(InvalidStore):
                return any(tree.read(key, slice(None)) is not None for key in keys)
            return False

        flat, nested = side_by_side(is_there, "./")
        if nested and not flat:
            self._store.other_names = (("", "/"),)
            self._note_other_names()

    def stamp_of(self, chunk: tuple[int, ...]) -> Stamp:
        """What tells that the file of a chunk is another than before."""
        if isinstance(self.path, Within):
            return self.path.tree.stamp()
        per_file = zip(chunk, self.chunks, self.shards or self.chunks, strict=True)
        file = tuple(at * side // whole for at, side, whole in per_file)
        key = self._array.metadata.encode_chunk_key(file)
        for name in (key, *(_renamed(key, names) for names in self._store.other_names)):
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
        if self._store.other_names:
            return None
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


def _names_in(path: Location) -> set[Names] | None:
    """How chunks in the folder of an array are named; None where none can be seen."""
    found: set[Names] = set()
    entries = entries_of(path)
    for entry in entries or ():
        if match := re.fullmatch(r"(c?)(\.?)\d+(\.\d+)*", entry.name):
            if "." in entry.name:
                found.add((match[1], "."))
            elif not match[1] and entry.is_folder:
                found.add(("", "/"))
        elif entry.name == "c" and entry.is_folder:
            found.add(("c", "/"))
    return None if entries is None else found


def _names_said(document: dict[str, Any]) -> Names:
    if "codecs" not in document:
        return "", str(document.get("dimension_separator") or ".")
    encoding = mapping(document.get("chunk_key_encoding"))
    is_v2 = encoding.get("name") == "v2"
    separator = mapping(encoding.get("configuration")).get("separator")
    return "" if is_v2 else "c", str(separator or ("." if is_v2 else "/"))


def _renamed(key: str, names: Names) -> str:
    """The key of a chunk as it is where chunks are named otherwise."""
    before, between = names
    numbers = re.findall(r"\d+", key)
    return between.join([*([before] if before else []), *numbers])


def _example(before: str, between: str) -> str:
    return between.join([*([before] if before else []), "0", "0"])
