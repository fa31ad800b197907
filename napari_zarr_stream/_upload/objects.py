"""A bucket of S3 or a container of Azure, by obstore: files as whole objects.

obstore is imported here, where something is to be sent.
"""

import asyncio
import os
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from napari_zarr_stream._writer.errors import InvalidProperties

from .address import Address, check_endpoint
from .credentials import Keys, no_keys, profile_provider, profile_region, scrubbed
from .target import (
    PIECE,
    Checksum,
    Entry,
    LocalGone,
    NotSent,
    Taken,
    piece_size,
    pieces,
)
from .trouble import trouble_of

INSTALL = "pip install 'napari-zarr-stream[remote]'"

REQUEST_S = 300
"""Of one request, sending included: a piece gets through at 30 kB/s. obstore's own 30 s
end a piece on any slower line."""

RETRIES_S = 20
"""obstore tries again for so long, whatever its count: its own 10 attempts are over in
3 s. After that the whole file is sent again, for as long as it takes."""

_PIECES_AT_ONCE = 2
"""Of one file."""


class ObjectTarget:
    """Objects under a prefix as a `Target`.

    Parameters
    ----------
    address : Address
        Of the store.
    endpoint : str
        Of a server that is not the cloud's own; empty: as the environment says.
    keys : Keys or None
        None: from the environment or the profile.

    Raises
    ------
    InvalidProperties
        obstore is not installed, or nothing says who may write there.
    """

    puts = 6
    """Small files wait for the network most of the time."""

    def __init__(self, address: Address, endpoint: str, keys: Keys | None) -> None:
        try:
            import obstore
        except ImportError as error:
            raise InvalidProperties(
                f"to upload to {address.scheme}:// needs obstore: {INSTALL}"
            ) from error
        self._obstore = obstore
        self._address = address
        self._secrets: set[str] = set()
        if keys is not None:
            self._secrets |= {keys.name, keys.secret}
        self.can_guard = True
        self._has_checksums = address.scheme == "s3"
        make = self._azure if address.scheme == "az" else self._s3
        try:
            self._store: Any = make(endpoint, keys)
        except (obstore.exceptions.BaseError, ValueError) as error:
            if isinstance(error, InvalidProperties):
                raise
            raise InvalidProperties(self._failure(error).args[0]) from None
        self._prefix = f"{address.path}/" if address.path else ""

    def _options(self, endpoint: str) -> dict[str, Any]:
        options: dict[str, Any] = {"timeout": f"{REQUEST_S}s"}
        if endpoint.startswith("http://"):
            options["allow_http"] = True
        return {
            "client_options": options,
            "retry_config": {
                "max_retries": 1000,
                "retry_timeout": timedelta(seconds=RETRIES_S),
                "backoff": {
                    "init_backoff": timedelta(seconds=0.2),
                    "max_backoff": timedelta(seconds=3),
                    "base": 2,
                },
            },
        }

    def _s3(self, endpoint: str, keys: Keys | None) -> Any:
        from obstore.store import S3Store

        said = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
        endpoint = endpoint or next(filter(None, map(os.environ.get, said)), "")
        check_endpoint(endpoint)
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        more: dict[str, Any] = {"region": region or profile_region() or "us-east-1"}
        if endpoint:
            more["endpoint"] = endpoint
        if keys is not None:
            more |= {"access_key_id": keys.name, "secret_access_key": keys.secret}
        elif "AWS_ACCESS_KEY_ID" not in os.environ or "AWS_PROFILE" in os.environ:
            more["credential_provider"] = provider = profile_provider(self._note)
            if provider is None:
                raise no_keys(self._address)
        return S3Store(self._address.bucket, **more, **self._options(endpoint))

    def _azure(self, endpoint: str, keys: Keys | None) -> Any:
        from obstore.store import AzureStore

        endpoint = endpoint or os.environ.get("AZURE_STORAGE_ENDPOINT", "")
        check_endpoint(endpoint)
        more: dict[str, Any] = {"endpoint": endpoint} if endpoint else {}
        if keys is not None:
            more |= {"account_name": keys.name, "account_key": keys.secret}
        elif not any(name.startswith("AZURE_") for name in os.environ):
            raise no_keys(self._address)
        return AzureStore(self._address.bucket, **more, **self._options(endpoint))

    def _note(self, secrets: Iterable[str]) -> None:
        self._secrets.update(secrets)

    def _failure(self, error: BaseException) -> NotSent:
        """What obstore said, in words: its own are long, and may hold tokens."""
        words, is_lasting = trouble_of(str(error), str(self._address))
        return NotSent(scrubbed(words, self._secrets), is_lasting=is_lasting)

    @property
    def words(self) -> str:
        """See `Target.words`."""
        return str(self._address)

    async def list(self) -> dict[str, Entry]:
        """See `Target.list`."""
        found = {}
        try:
            async for batch in self._obstore.list(self._store, self._prefix or None):
                for meta in batch:
                    key = meta["path"].removeprefix(self._prefix)
                    said = self._checksum(meta["e_tag"])
                    found[key] = Entry(meta["size"], said)
        except (self._obstore.exceptions.BaseError, OSError) as error:
            raise self._failure(error) from None
        return found

    def _checksum(self, e_tag: str | None) -> str | None:
        """What S3 calls ETag is one, unless the bucket is encrypted with other keys."""
        return (e_tag or "").strip('"') or None if self._has_checksums else None

    async def get(self, key: str) -> bytes | None:
        """See `Target.get`."""
        try:
            found = await self._obstore.get_async(self._store, self._prefix + key)
            return bytes(await found.bytes_async())
        except FileNotFoundError as error:
            failure = self._failure(error)
            if "NoSuchBucket" in str(error) or "ContainerNotFound" in str(error):
                raise failure from None
            return None
        except (self._obstore.exceptions.BaseError, OSError) as error:
            raise self._failure(error) from None

    async def put(self, key: str, file: Path) -> None:
        """See `Target.put`: with its checksum compared, where the service says one."""
        for _ in range(2):
            checksum = Checksum()
            said = await self._put(key, file, checksum)
            if said is None or checksum.fits(said):
                return
        # Twice the same on its way is no damage: it is how the bucket is encrypted.
        self._has_checksums = False

    async def _put(self, key: str, file: Path, checksum: Checksum) -> str | None:
        gone: list[LocalGone] = []

        def read() -> Iterator[bytes]:
            try:
                yield from map(checksum.add, pieces(file))
            except LocalGone as error:  # passed on whatever obstore makes of it
                gone.append(error)
                raise

        def size() -> int:
            try:
                return file.stat().st_size
            except OSError as error:
                raise LocalGone(f"{file} is not there: {error.strerror}") from error

        small = size() <= PIECE
        content: Any = b"".join(read()) if small else read()
        try:
            result = await self._obstore.put_async(
                self._store, self._prefix + key, content,
                chunk_size=piece_size(size()), max_concurrency=_PIECES_AT_ONCE,
                use_multipart=not small,
            )  # fmt: skip
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - what a reader raised comes wrapped
            if gone:
                raise gone[0] from None
            raise self._failure(error) from None
        return self._checksum(result["e_tag"])

    async def write(self, key: str, data: bytes, *, is_new: bool = False) -> None:
        """See `Target.write`."""
        path = self._prefix + key
        try:
            if is_new and self.can_guard:
                try:
                    await self._obstore.put_async(
                        self._store, path, data, mode="create"
                    )
                    return
                except self._obstore.exceptions.AlreadyExistsError:
                    raise Taken(key) from None
                except self._obstore.exceptions.BaseError as error:
                    if "501 Not Implemented" not in str(error):
                        raise
                    self.can_guard = False
            if is_new and await self.get(key) is not None:
                raise Taken(key)
            await self._obstore.put_async(self._store, path, data)
        except (self._obstore.exceptions.BaseError, OSError) as error:
            raise self._failure(error) from None

    async def remove(self, key: str) -> None:
        """See `Target.remove`."""
        try:
            await self._obstore.delete_async(self._store, self._prefix + key)
        except FileNotFoundError:
            return
        except (self._obstore.exceptions.BaseError, OSError) as error:
            raise self._failure(error) from None

    async def differs(self, entry: Entry, file: Path, key: str, *, read: bool) -> bool:
        """See `Target.differs`."""
        if entry.checksum is not None and self._has_checksums:
            checksum = Checksum()
            for piece in pieces(file):
                checksum.add(piece)
                await asyncio.sleep(0)
            if checksum.fits(entry.checksum):
                return False
            # Sent in pieces of another size, or no checksum: only its bytes tell.
        elif not read:
            return False
        return await self._reads_otherwise(file, key)

    async def _reads_otherwise(self, file: Path, key: str) -> bool:
        mine = b""
        here = pieces(file)
        try:
            found = await self._obstore.get_async(self._store, self._prefix + key)
            async for theirs in found.stream(min_chunk_size=PIECE):
                data = memoryview(theirs)
                while len(mine) < len(data) and (piece := next(here, b"")):
                    mine += piece
                if mine[: len(data)] != data:
                    return True
                mine = mine[len(data) :]
        except FileNotFoundError:
            return True
        except (self._obstore.exceptions.BaseError, OSError) as error:
            raise self._failure(error) from None
        return bool(mine or next(here, b""))
