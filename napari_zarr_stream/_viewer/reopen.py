"""A finished recording comes back as layers, where its live layer was."""

from pathlib import Path
from typing import Any

from napari_zarr_stream._reading.reader import layers_of
from napari_zarr_stream._sources.source import SourceDescription

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
    layers = layers_of(path)
    is_there = source is not None and source in viewer.layers
    axes = described.axes if is_there and source.ndim == len(described.axes) else ""
    all_added: list[Any] = []
    for given in layers:
        data, meta, kind = _with_axes_of(axes, *given)
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


def _with_axes_of(
    axes: str, data: Any, meta: dict[str, Any], kind: str
) -> tuple[Any, dict[str, Any], str]:
    """Give a layer of one channel the axis that its source has, of length 1.

    napari lines axes up from the last one: without it, the slider of time of the one
    would be that of the channels of the other.
    """
    own = meta["axis_labels"]
    if len(own) + 1 != len(axes) or "c" not in axes or "c" in own:
        return data, meta, kind
    at = axes.index("c")
    levels = data if meta.get("multiscale") else [data]
    levels = [level[(*[slice(None)] * at, None)] for level in levels]
    more = {
        name: [*meta[name][:at], value, *meta[name][at:]]
        for name, value in {
            "scale": 1.0,
            "translate": 0.0,
            "units": "pixel",
            "axis_labels": "c",
        }.items()
    }
    return (levels if meta.get("multiscale") else levels[0]), meta | more, kind
