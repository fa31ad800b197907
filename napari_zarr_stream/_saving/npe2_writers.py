"""File > Save: napari layers into OME-Zarr. The npe2 writers.

napari calls them in its own thread and waits: the widget is the way to store a large
layer meanwhile.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_zarr_stream._sources.layer import (
    BUILTIN_READERS,
    LayerSource,
    with_place_in_file,
)
from napari_zarr_stream._writer.errors import (
    InvalidProperties,
    StoreExists,
    WriteFailed,
)

from .export import default_properties, export_layers, left_out, warn
from .place import check_outside_of_stores, store_path

FullLayerData = tuple[Any, Mapping[str, Any], str]


def write_image(path: str, data: Any, meta: Mapping[str, Any]) -> list[str]:
    """npe2 writer of one image layer; see `write_layers`."""
    return write_layers(path, [(data, meta, "image")])


def write_labels(path: str, data: Any, meta: Mapping[str, Any]) -> list[str]:
    """npe2 writer of one labels layer; see `write_layers`."""
    return write_layers(path, [(data, meta, "labels")])


def write_layers(path: str, layer_data: Sequence[FullLayerData]) -> list[str]:
    """npe2 writer of several layers into one store; returns its path.

    Images and labels are saved; a warning names the other layers.

    Raises
    ------
    StoreExists
        A file dialog asks before it replaces a file, but not for a folder, which a
        store is: so nothing is ever replaced.
    WriteFailed, SourceFailed
        Nothing is left. Also for layers that OME-Zarr cannot hold, or not together.
    """
    path = store_path(path)
    try:
        saved = [layer for layer in layer_data if layer[2] in LayerSource.KINDS]
        if not saved:
            raise InvalidProperties("there is no image and no labels layer")
        properties = default_properties(path)
        check_outside_of_stores(properties.path)
        export_layers([_source(*layer) for layer in saved], properties)
    except InvalidProperties as error:
        # A ValueError would make napari say that there is no writer.
        raise WriteFailed(f"{path} was not saved: {error}") from error
    except StoreExists as error:
        raise StoreExists(f"{error}. Saving never replaces a store.") from None
    others = [(meta.get("name"), kind) for _, meta, kind in layer_data]
    if others := [other for other in others if other[1] not in LayerSource.KINDS]:
        warn(left_out(others))
    return [str(properties.path)]


def _source(data: Any, meta: Mapping[str, Any], kind: str) -> LayerSource:
    """A layer, with what the file says that it was opened from."""
    path = _file_of(data) if kind == "image" else None
    return LayerSource(
        data, with_place_in_file(data, meta, path) if path else meta, kind
    )


def _file_of(data: Any) -> Path | None:
    """The file whose pixels these are, in its order of axes, if a window shows them.

    napari hands a writer all of a layer but where it comes from.
    """
    try:
        from napari import current_viewer
    except ImportError:
        return None
    viewer = current_viewer()
    for layer in viewer.layers if viewer is not None else ():
        if layer.data is data and layer.source.reader_plugin in BUILTIN_READERS:
            return Path(layer.source.path) if layer.source.path else None
    return None
