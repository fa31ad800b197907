"""A store for zarr whose every byte goes through `get`, whatever way zarr asks for it.

zarr's own wrapper (3.2 and later) hands requests for several ranges, and those that do
not wait, to what it wraps: what `get` looks at would be passed by.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

from zarr.abc.store import Store


class ReadOnlyStore(Store):  # type: ignore[misc] # zarr's are Any to mypy
    """Neither written nor listed; a subclass has `get` and `exists`."""

    supports_writes = supports_deletes = supports_listing = False

    def __init__(self) -> None:
        super().__init__(read_only=True)

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__

    async def get_partial_values(
        self, prototype: Any, key_ranges: Iterable[tuple[str, Any]]
    ) -> Any:
        each = [self.get(key, prototype, part) for key, part in key_ranges]
        return list(await asyncio.gather(*each))

    _none: tuple[str, ...] = ()

    async def set(self, key: str, value: Any) -> None:
        raise NotImplementedError

    async def delete(self, key: str) -> None:
        raise NotImplementedError

    async def list(self) -> AsyncIterator[str]:
        for key in self._none:
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        for key in self._none:
            yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        for key in self._none:
            yield key
