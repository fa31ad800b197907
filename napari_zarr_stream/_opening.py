"""File > Open: a store as layers, which are watched while somebody still writes it."""

import sys
from collections.abc import Callable
from functools import partial

from ._reading.layers import LayerData
from ._reading.reader import PathOrPaths, takes_time
from ._reading.reader import get_reader as reader_of

__all__ = ["get_reader"]

Read = Callable[[PathOrPaths], list[LayerData]]


def get_reader(path: PathOrPaths) -> Read | None:
    """npe2 reader: for a folder that is OME-Zarr or a Zarr array, else None."""
    reader = reader_of(path)
    return None if reader is None else partial(_read, reader)


def _read(reader: Read, path: PathOrPaths) -> list[LayerData]:
    viewer = None
    if "napari" in sys.modules:
        import napari

        viewer = napari.current_viewer()
    if viewer is None:
        return reader(path)
    from ._viewer.watching import watching_of

    watching_of(viewer)  # begins with the layers when they come
    if not takes_time(path):
        return reader(path)
    from ._viewer.opening import read_for

    return read_for(viewer, partial(reader, path))
