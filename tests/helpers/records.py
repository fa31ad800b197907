"""What a store says of itself."""

import zarr

from napari_zarr_stream._writer.record import RECORD_KEY


def record_of(path):
    """Our own record, in the attributes of the group."""
    return dict(zarr.open_group(path, mode="r").attrs)[RECORD_KEY]
