"""What is asked of an upload, and what does it: a target, an uploader."""

from dataclasses import dataclass, field
from pathlib import Path

from napari_zarr_stream._writer.errors import InvalidProperties

from .address import Address, address_of
from .credentials import Keys
from .folder import FolderTarget
from .target import Target
from .uploader import Uploader


@dataclass(frozen=True, slots=True)
class UploadRequest:
    """Where stores are brought.

    Attributes
    ----------
    to : str
        An address, or a folder: of the store, if it ends in ".zarr", or of what it goes
        into by its name.
    endpoint : str
        Of a server that is not the cloud's own; empty: as the environment says.
    deletes_local : bool
        Take away the local copy when all was found equal.
    keys : Keys or None
        That were asked for; None: from the environment or the profile.
    """

    to: str
    endpoint: str = ""
    deletes_local: bool = False
    keys: Keys | None = field(default=None, repr=False)

    def uploader(self, store: Path) -> Uploader:
        """What brings the store at a path there.

        Raises
        ------
        InvalidProperties
            It cannot be; says why.
        """
        address = address_of(self.to).of_store(store.name)
        return Uploader(self._target(address, store), deletes_local=self.deletes_local)

    def _target(self, address: Address, store: Path) -> Target:
        if address.scheme:
            from .objects import ObjectTarget

            return ObjectTarget(address, self.endpoint, self.keys)
        place, here = Path(address.path).resolve(), store.resolve()
        if here.is_relative_to(place) or place.is_relative_to(here):
            raise InvalidProperties(
                f"{place} and {here} are one, or one lies in the other: upload to "
                "another folder"
            )
        return FolderTarget(place, syncs=self.deletes_local)
