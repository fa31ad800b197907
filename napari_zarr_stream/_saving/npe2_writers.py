"""File > Save: napari layers into OME-Zarr. The npe2 writers.

napari calls them in its own thread and waits: the widget is the way to store a large
layer meanwhile.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from napari_zarr_stream._sources.layer import LayerSource
from napari_zarr_stream._writer.errors import (
    InvalidProperties,
    StoreExists,
    WriteFailed,
)

from .export import default_properties, export_layers

FullLayerData = tuple[Any, Mapping[str, Any], str]


def write_image(path: str, data: Any, meta: Mapping[str, Any]) -> list[str]:
    """npe2 writer of one image layer; see `write_layers`."""
    return write_layers(path, [(data, meta, "image")])


def write_labels(path: str, data: Any, meta: Mapping[str, Any]) -> list[str]:
    """npe2 writer of one labels layer; see `write_layers`."""
    return write_layers(path, [(data, meta, "labels")])


def write_layers(path: str, layer_data: Sequence[FullLayerData]) -> list[str]:
    """npe2 writer of several layers into one store.

    Raises
    ------
    StoreExists
        A file dialog asks before it replaces a file, but not for a folder, which a
        store is: so nothing is ever replaced.
    WriteFailed, SourceFailed
        Nothing is left. Also for layers that OME-Zarr cannot hold, or not together.
    """
    if not path.endswith(".zarr"):
        path += ".ome.zarr"
    try:
        sources = [LayerSource(data, meta, kind) for data, meta, kind in layer_data]
        export_layers(sources, default_properties(path))
    except InvalidProperties as error:
        # A ValueError would make napari say that there is no writer.
        raise WriteFailed(f"{path} was not saved: {error}") from error
    except StoreExists as error:
        raise StoreExists(f"{error}. Saving never replaces a store.") from None
    return [path]
