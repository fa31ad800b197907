"""What somebody names -> where it lies: a folder, a zip file, or an address."""

import os
import zipfile
from pathlib import Path

from napari_zarr_stream._writer.errors import InvalidStore
from napari_zarr_stream._writer.names import is_store_name, split_scheme

from .addresses import SCHEMES, is_address, location_at
from .location import Location, Within
from .zipped import ENDINGS, Zipped, in_zip_at, in_zip_file

Named = str | os.PathLike[str] | Within


def located(named: Named) -> Location:
    """Where a store is that is called so.

    Raises
    ------
    InvalidStore
        It is an address of a kind that cannot be opened, or a zip file that no honest
        program writes.
    """
    if isinstance(named, Within):
        return named
    scheme, path = split_scheme(os.fspath(named))
    if not scheme:
        here = Path(path)
        return in_zip_file(here) if _is_zip(here) else here
    if not is_address(path):
        raise InvalidStore(
            f"{path} is an address ({scheme}), and only those that begin with "
            f"{', '.join(SCHEMES)} can be opened: download it, or mount the storage "
            "as a folder"
        )
    if path.partition("?")[0].lower().endswith(ENDINGS):
        return in_zip_at(path)
    return location_at(path)


def is_opened_whole(place: Location) -> bool:
    """Whether all images in it are meant: what is in an archive has no other name."""
    is_archive = isinstance(place, Within) and isinstance(place.tree.files, Zipped)
    return is_archive or is_store_name(place.name)


def _is_zip(path: Path) -> bool:
    """Whether to look for a store in a file: it is called so, or is one."""
    try:
        named = path.name.lower().endswith(ENDINGS)
        return path.is_file() and (named or zipfile.is_zipfile(path))
    except OSError:
        return False
