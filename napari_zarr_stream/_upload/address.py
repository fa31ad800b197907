"""Where a store is brought: a bucket of S3 or Azure, or a folder, as it is typed."""

import re
from dataclasses import dataclass
from pathlib import Path

from napari_zarr_stream._writer.errors import InvalidProperties
from napari_zarr_stream._writer.names import from_home, is_store_name, split_scheme

SCHEMES = ("s3", "az")

_REFUSED = {
    "gs": "Google's buckets are not supported: nothing here could try them. Upload to "
    "s3:// or az://, or to a folder, and copy it from there with gcloud storage",
    "http": "nothing can be written to a web page: give the bucket, as s3://BUCKET/PATH"
    " with the address of its server as the endpoint",
}


@dataclass(frozen=True, slots=True)
class Address:
    """A place for one store.

    Attributes
    ----------
    scheme : str
        "s3", "az", or "" for a folder.
    bucket : str
        Or container; empty for a folder.
    path : str
        In the bucket, without "/" at its ends; or the folder.
    """

    scheme: str
    bucket: str
    path: str

    @property
    def is_store(self) -> bool:
        """Whether it is that of a store, and not of a folder that one goes into."""
        return is_store_name(self.path)

    def __str__(self) -> str:
        if not self.scheme:
            return self.path
        return f"{self.scheme}://{self.bucket}/{self.path}".rstrip("/")

    def of_store(self, name: str) -> "Address":
        """The place of a store of this name: this one, or in it."""
        if self.is_store:
            return self
        if not self.scheme:
            return Address("", "", str(Path(self.path) / name))
        return Address(self.scheme, self.bucket, f"{self.path}/{name}".lstrip("/"))


def address_of(text: str) -> Address:
    """What somebody typed.

    Raises
    ------
    InvalidProperties
        Nothing can be written there; says what can.

    >>> address_of("s3://bucket/my cells/").of_store("a.zarr")
    Address(scheme='s3', bucket='bucket', path='my cells/a.zarr')
    >>> str(address_of("az://container"))
    'az://container'
    """
    scheme, rest = split_scheme(text.strip())
    scheme = scheme.lower()
    if not scheme:
        if not rest:
            raise InvalidProperties("there is no address to upload to")
        return Address("", "", str(Path(from_home(rest)).absolute()))
    if scheme not in SCHEMES:
        why = _REFUSED.get(scheme.removesuffix("s") if scheme == "https" else scheme)
        raise InvalidProperties(
            f"{scheme}:// is no place to upload to: "
            + (why or "there are s3://BUCKET/PATH, az://CONTAINER/PATH, and folders")
        )
    bucket, _, path = rest.partition("://")[2].partition("/")
    if "@" in bucket or (":" in bucket and "@" in path):  # passwords have "/", too
        # Said without it: what stands before the "@" may be a password.
        raise InvalidProperties(
            f"an address with keys in it ({scheme}://…@…) would be kept and shown: put "
            "them into the environment or a profile, see `upload --help`"
        )
    if not re.fullmatch(r"[A-Za-z0-9$][A-Za-z0-9._$-]*", bucket):
        raise InvalidProperties(
            f"{scheme}:// needs the name of a bucket, as {scheme}://BUCKET/PATH, and "
            f"{bucket!r} is none"
        )
    parts = [part for part in path.split("/") if part]
    if any(part in {".", ".."} or part != part.strip() for part in parts):
        raise InvalidProperties(
            f"{scheme}://{bucket}/{path}: no part of a path is '.' or '..', or has a "
            "space at its ends"
        )
    if "?" in path or "#" in path:
        raise InvalidProperties(
            "an address to upload to has no '?' and no '#': tokens belong into the "
            "environment"
        )
    return Address(scheme, bucket, "/".join(parts))


_SERVER = re.compile(r"https?://[A-Za-z0-9.\[\]:_-]+(/[\w./-]*)?")


def check_endpoint(endpoint: str) -> None:
    """Refuse what is no address of a server, or has keys in it; "" is taken.

    Raises
    ------
    InvalidProperties
    """
    if endpoint and not _SERVER.fullmatch(endpoint):
        said = "an address with keys in it" if "@" in endpoint else repr(endpoint)
        raise InvalidProperties(f"endpoint {said} is not of the form https://HOST:PORT")
