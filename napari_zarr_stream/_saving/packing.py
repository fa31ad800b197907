"""A store that is there, into one file as it is: nothing is decoded."""

from collections.abc import Callable
from pathlib import Path

from napari_zarr_stream._reading.documents import mapping, open_node
from napari_zarr_stream._reading.image import VERSIONS, WHOLE, state_of
from napari_zarr_stream._writer.errors import InvalidStore
from napari_zarr_stream._writer.lock import check_free
from napari_zarr_stream._writer.ozx import check_may_be_made, write_ozx
from napari_zarr_stream._writer.properties import NGFF_VERSIONS
from napari_zarr_stream._writer.record import RECORD_KEY


def is_store(path: Path) -> bool:
    """Whether a folder is a Zarr group or array."""
    try:
        return path.is_dir() and open_node(path) is not None
    except InvalidStore:
        return False


def pack(
    store: Path,
    archive: Path,
    overwrite: bool,
    should_stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Put a store into one file, `.ozx`, with all that is in its folder.

    Returns
    -------
    bool
        False if it was stopped: then nothing is left.

    Raises
    ------
    InvalidStore
        It is none, or has no end.
    StoreExists, StoreInUse, WriteFailed
    """
    node = open_node(store)
    if node is None:
        raise InvalidStore(f"{store} is not a Zarr group or array")
    check_free(store)
    state = state_of(store, mapping(node.attributes.get(RECORD_KEY)))
    if state != WHOLE:
        raise InvalidStore(f"{store} is {state}")
    check_may_be_made(archive, overwrite)
    said = node.ome.get("version")
    version = said if said in VERSIONS else NGFF_VERSIONS[node.zarr_format][0]
    return write_ozx(store, archive, version, should_stop)
