"""What zarr is handed of an array: its files, within bounds."""

import stat
from collections.abc import Iterable
from typing import Any

from zarr.abc.store import RangeByteRequest
from zarr.storage import LocalStore

from napari_zarr_stream._writer.errors import InvalidStore

from .chunk_names import Names, renamed
from .location import Location, Within
from .read_only_store import ReadOnlyStore
from .tree_store import TreeStore

MAX_ARRAY_BYTES = 2**20
"""Of the document of one array: zarr takes seconds for 100,000 codecs or axes."""


class BoundedStore(ReadOnlyStore):
    """Regular files only, none larger than what it is for.

    Parameters
    ----------
    location : Path or Within
        Of the array.

    Attributes
    ----------
    tree : TreeStore or None
        That of its files where they are in no folder. It has bounds, and other names of
        chunks, of its own.
    """

    most_bytes = MAX_ARRAY_BYTES
    documents: dict[str, bytes]
    """What takes the place of files of these names."""
    blosc_bytes = 0
    """What a whole file unpacks to at the most, where it is a blosc buffer; else 0."""

    def __init__(self, location: Location) -> None:
        super().__init__()
        self._location = location
        self.tree = TreeStore(location) if isinstance(location, Within) else None
        self._files = self.tree or LocalStore(location, read_only=True)
        self._other_names: tuple[Names, ...] = ()

    def keys_of(self, key: str) -> list[str]:
        """Those that a chunk may have in a folder, the one that zarr asks for first."""
        return [key, *(renamed(key, names) for names in self._other_names)]

    def name_also(self, others: Iterable[Names], *, tells: bool = False) -> None:
        """As of `TreeStore`; in a folder nothing is left to tell."""
        if self.tree is not None:
            self.tree.name_also(others, tells=tells)
        else:
            self._other_names = tuple(others)

    def _check(self, key: str, byte_range: Any) -> None:
        path = self._location / key
        if isinstance(path, Within):
            return
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
        for name in self.keys_of(key):
            self._check(name, byte_range)
            data = await self._files.get(name, prototype, byte_range)
            if data is not None:
                break
        if self.blosc_bytes and data is not None and len(data) >= 16:
            head = data.as_numpy_array()[:16].tobytes()
            if (unpacked := int.from_bytes(head[4:8], "little")) > self.blosc_bytes:
                raise InvalidStore(
                    f"{self._location / key} unpacks to {unpacked} bytes, more than "
                    "a chunk has"
                )
        return data

    def get_ranges(self, key: str, byte_ranges: Any, **options: Any) -> Any:
        """Of zarr since 3.2, which asks for several as one, with what lies between."""
        if self.tree is not None:  # where chunks were asked for ahead
            options["max_gap_bytes"] = -1
        return super().get_ranges(key, byte_ranges, **options)

    async def exists(self, key: str) -> bool:
        return bool(await self._files.exists(key))
