"""Stores at an address: of web servers, in buckets of S3 and Azure (extra `remote`).

What obstore says of a failure is long, and of how it was made: each kind has words of
its own here.
"""

import os
import re
from base64 import b64encode
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from napari_zarr_stream._upload.credentials import (
    profile_provider,
    profile_region,
    scrubbed,
)
from napari_zarr_stream._writer.errors import InvalidStore

from .location import Entry, Refused, Tree, Unreachable, Within

Answer = TypeVar("Answer")

SCHEMES = ("https", "http", "s3", "az")

INSTALL = "pip install 'napari-zarr-stream[remote]'"

CONNECT_S, ANSWER_S, RETRY_S = 10, 60, 15
"""To a server that is there; for one answer, a chunk of 16 MiB at 300 kB/s; for all
attempts together, since somebody waits in front of a window."""


class Objects:
    """The files at an address.

    Parameters
    ----------
    address : str
        Of a folder; may have a name and a password, for a web server.

    Raises
    ------
    InvalidStore
        obstore is not installed, or takes it for no address.
    """

    is_far = True

    def __init__(self, address: str) -> None:
        self.name = without_secrets(address)
        self._store: Any = said(lambda: _store_of(address), self.name)
        self._sends_ends = True  # of files, without being told where they begin
        self._has_query = bool(urlsplit(address).query)

    def read(self, key: str, part: slice, most_bytes: int) -> bytes | None:
        """See `Files.read`."""
        if part.start is None or part.start >= 0:
            return self._part(key, part, most_bytes)
        if self._sends_ends:
            try:
                return self._part(key, part, most_bytes)
            except Unreachable as error:
                if not re.search(_NO_SUCH_PART, _text_of(error.__cause__)):
                    raise
        size = self.size_of(key)
        self._sends_ends = False
        if size is None:
            return None
        return self._part(key, slice(max(0, size + part.start), size), most_bytes)

    def _part(self, key: str, part: slice, most_bytes: int) -> bytes | None:
        import obstore

        options: Any = {}
        if part.start is not None:
            suffix = {"suffix": -part.start}
            offset = {"offset": part.start}
            options["range"] = suffix if part.start < 0 else offset
            if part.stop is not None:
                options["range"] = (part.start, part.stop)

        def ask() -> bytes:
            answer = obstore.get(self._store, key, options=options)
            start, stop = answer.range
            if stop - start > most_bytes:
                raise InvalidStore(
                    f"{self.name}/{key} has {stop - start} bytes, and {most_bytes} at "
                    "the most are what it should hold"
                )
            return bytes(answer.bytes())

        return self._said(ask, key)

    def _said(self, ask: Callable[[], Answer], key: str) -> Answer | None:
        try:
            return said(ask, self.name, key)
        except Refused as error:
            if not self._has_query:
                raise
            raise Refused(
                f"{error}. What stands behind the ? of an address is not sent: a link "
                "that is signed so can only be downloaded"
            ) from error.__cause__

    def size_of(self, key: str) -> int | None:
        """Of a file in bytes; None where there is none.

        Its first byte is asked for: not all servers answer HEAD.
        """
        import obstore

        def ask() -> int:
            answer = obstore.get(self._store, key, options={"range": (0, 1)})
            return int(answer.meta["size"])

        return self._said(ask, key)

    def entries(self, key: str) -> list[Entry] | None:
        """See `Files.entries`: a plain server lists nothing."""
        import obstore
        from obstore.store import HTTPStore

        if isinstance(self._store, HTTPStore):
            return None
        try:
            found = obstore.list_with_delimiter(self._store, key or None)
        except PermissionError:  # reading is often allowed where listing is not
            return None
        except obstore.exceptions.BaseError as error:
            if isinstance(error, obstore.exceptions.PermissionDeniedError):
                return None
            raise failure_in_words(error, f"{self.name}/{key}") from error
        folders = [Entry(PurePosixPath(p).name, True) for p in found["common_prefixes"]]
        files = [Entry(PurePosixPath(o["path"]).name, False) for o in found["objects"]]
        return [*folders, *files]


def location_at(address: str) -> Within:
    """The folder at an address."""
    return Within(Tree(Objects(address)))


def is_address(text: str) -> bool:
    """Whether a store may be opened there."""
    return urlsplit(text).scheme.lower() in SCHEMES


def without_secrets(address: str) -> str:
    """An address without what may let others in: a password, a signature."""
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))


def _store_of(address: str) -> Any:
    try:
        from obstore.store import AzureStore, from_url
    except ImportError as error:
        raise InvalidStore(
            f"{without_secrets(address)} is an address: what opens those is not "
            f"installed. It comes with: {INSTALL}"
        ) from error
    parts = urlsplit(address)
    scheme = parts.scheme.lower()
    plain = urlunsplit((scheme, parts.netloc, parts.path.rstrip("/"), "", ""))
    given: dict[str, Any] = {
        "client_options": {
            "allow_http": True,
            "connect_timeout": timedelta(seconds=CONNECT_S),
            "timeout": timedelta(seconds=ANSWER_S),
        },
        "retry_config": {
            "max_retries": 3,
            "retry_timeout": timedelta(seconds=RETRY_S),
            "backoff": {
                "init_backoff": timedelta(seconds=0.2),
                "max_backoff": timedelta(seconds=2),
                "base": 2,
            },
        },
    }
    if parts.username is not None:
        given["client_options"]["default_headers"] = _login(parts)
        plain = plain.replace(parts.netloc, parts.netloc.rpartition("@")[2], 1)
    store = from_url(plain, **given)
    if scheme == "s3" or type(store).__name__ == "S3Store":
        store = from_url(plain, **given, **_s3_access())
    elif isinstance(store, AzureStore) and not _is_set("AZURE_"):
        store = from_url(plain, **given, skip_signature=True)
    return store


def _login(parts: SplitResult) -> dict[str, str]:
    """A name and a password of an address, as a browser sends them."""
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}


def _is_set(prefix: str) -> bool:
    return any(name.startswith(prefix) for name in os.environ)


def _s3_access() -> dict[str, Any]:
    """Keys of the environment or the profile, as others take them; or none."""
    if "AWS_ACCESS_KEY_ID" in os.environ:
        return {}
    # Without a profile, botocore and obstore would ask the cloud that they take this
    # computer to be in.
    has_profile = "AWS_PROFILE" in os.environ or (Path.home() / ".aws").is_dir()
    keys = profile_provider(lambda _: None) if has_profile else None
    if keys is None:
        return {"skip_signature": True}
    region = profile_region()
    return {"credential_provider": keys} | ({"region": region} if region else {})


def said(ask: Callable[[], Answer], name: str, key: str = "") -> Answer | None:
    """What `ask` returns; None where there is no such file.

    Raises
    ------
    InvalidStore
        Whatever else is wrong.
    """
    try:
        return ask()
    except FileNotFoundError:
        return None
    except InvalidStore:
        raise
    except Exception as error:  # obstore has a dozen, some of them its own
        where = f"{name}/{key}" if key else name
        raise failure_in_words(error, where) from error


def failure_in_words(error: Exception, where: str) -> Unreachable:
    """An error of obstore's as one of ours."""
    where = without_secrets(where)
    parts = urlsplit(where)
    is_bucket = parts.scheme in ("s3", "az")
    host = (
        f"the server of {parts.scheme}://{parts.netloc}" if is_bucket else parts.netloc
    )
    names = {"where": where, "host": host, "bucket": parts.netloc}
    text = _text_of(error)
    for word, words in _OF_BUCKETS.items():
        if re.search(word, text):
            return Unreachable(words.format(**names))
    if status := re.search(r"status(?: code)?: (\d{3})\b( [A-Z][A-Za-z' ]+)?", text):
        code = int(status[1])
        names["status"] = f"{code}{status[2] or ''}"
        words = _STATUSES.get(code, _BUSY if code >= 500 else _NOT_TAKEN)
        is_no = code < 500 and code != 429
        return (Refused if is_no else Unreachable)(words.format(**names))
    for pattern, words in _KINDS:
        if re.search(pattern, text, re.IGNORECASE):
            kind = Refused if words is _STATUSES[403] else Unreachable
            return kind(words.format(**names))
    first = str(error).split("\n\n")[0].strip()
    return Unreachable(f"{where} cannot be read: {scrubbed(first)}")


def _text_of(error: BaseException | None) -> str:
    """What an error says, and its kind; no addresses, whose names may say anything."""
    return re.sub(r"\w+://\S+", "", f"{type(error).__name__} {error}")


_OF_BUCKETS = {
    "NoSuchBucket|ContainerNotFound": (
        "there is no bucket {bucket} at this service: is its name right?"
    ),
    "SignatureDoesNotMatch": (
        "{where} may not be read: the secret does not belong to the access key"
    ),
    "InvalidAccessKeyId|InvalidClientTokenId": (
        "{where} may not be read: the access key is not known there; is it of another "
        "service?"
    ),
    "ExpiredToken|TokenRefreshRequired": (
        "{where} may not be read: the keys have expired; log in again"
    ),
    "RequestTimeTooSkewed": (
        "{where} may not be read: the clock of this computer is wrong"
    ),
}
"""What services call it themselves says more than the status beside it."""

_BUSY = (
    "{host} has trouble of its own, or too much to do ({status}): try again in a "
    "while, or tell its administrator"
)
_NOT_TAKEN = "{host} does not answer what is asked of {where} ({status})"
_NO_PARTS = (
    "{host} cannot send parts of files, which this store is read by: ask for a "
    "server that answers range requests (nginx, Apache, S3), or download it"
)
_CLOSED = (
    "{host} closed the connection before it had answered: try again. Does its address "
    "begin as it should, with http:// or https://?"
)

_STATUSES = {
    401: "{where} may only be read by who is logged in (401 Unauthorized)",
    403: (
        "{where} may not be read (403 Forbidden): it is private, or needs keys that "
        "are not in the environment or the profile"
    ),
    416: _NO_PARTS,
    429: "{host} is asked too often ({status}): wait a while, and try again",
}

_NO_SUCH_PART = r"NotSupported|status(?: code)?: (400|416|501)\b"
"""Of servers that send parts of files, but not their ends; of those that send none."""

_KINDS = (
    (r"range request not supported|NotSupported", _NO_PARTS),
    (
        r"dns error|failed to lookup|name or service not known|NotFound.*resolve",
        "the name {host} is not found: is the address right, and is there a network?",
    ),
    (
        r"InvalidContentType|corrupt message|wrong version number",
        "{host} does not speak https: does its address begin with http://?",
    ),
    (
        r"certificate|UnknownIssuer|InvalidCertificate|\btls\b|handshake",
        "the certificate of {host} is not one that this computer trusts, so that "
        "nobody knows who answers: ask its administrator, or your own if the network "
        "puts one of its own in between",
    ),
    (r"PermissionDenied|Forbidden", _STATUSES[403]),
    (r"Unauthenticated", _STATUSES[401]),
    (
        r"redirect",
        "{host} sends on from one address to another without an end, or to one that "
        "is not taken: open the address where a browser ends up",
    ),
    (
        r"TimedOut|timed out|operation timed out|deadline",
        "{host} did not answer in time: try again, or is there a firewall between?",
    ),
    (
        r"ConnectionReset|IncompleteMessage|IncompleteBody|BrokenPipe|body error",
        _CLOSED,
    ),
    (
        r"refused|kind: Connect\b|ConnectError|unreachable",
        "nobody answers at {host}: is the server on, and the address right?",
    ),
    (
        r"Content-Length Header missing",
        "{host} does not say how long {where} is (Content-Length), without which it "
        "cannot be read: ask for a server of plain files (nginx, Apache, S3), or "
        "download it",
    ),
    (
        r"UnexpectedRange|Requested \d+\.\.\d+, got",
        "{host} sends other parts of files than those that are asked for: ask for "
        "another server, or download it",
    ),
)
"""What is found in obstore's errors, first come first, and what it means."""
