"""A finished recording comes back as layers, where its live layer was."""

from pathlib import Path
from typing import Any

from napari_zarr_stream._sources.source import SourceDescription

from .as_source import layers_as
from .live import offer_range


def reopen(
    viewer: Any, path: Path, described: SourceDescription, source: Any, left: float
) -> list[Any]:
    """Add the layers of a store, and return them.

    Parameters
    ----------
    viewer : napari.Viewer
    path : Path
    described : SourceDescription
        What was recorded.
    source : napari.layers.Layer or None
        Where it was read from: it is hidden, since it lies under its copy.
    left : float
        Where its live layer began.

    Raises
    ------
    ZarrStreamError, OSError
        It cannot be opened.
    """
    is_there = source is not None and source in viewer.layers
    all_added: list[Any] = []
    for data, meta, kind in layers_as(path, [source] if is_there else []):
        added = getattr(viewer, f"add_{kind}")(data, **meta)
        for layer in added if isinstance(added, list) else [added]:
            all_added.append(layer)
            if described.value_range and kind == "image":
                offer_range(layer, described.value_range)
            if left:
                layer.translate = (*layer.translate[:-1], left)
    if is_there:
        source.visible = False
    return all_added
