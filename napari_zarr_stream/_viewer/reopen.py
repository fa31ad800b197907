"""A finished recording comes back as layers, where its live layer was."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_zarr_stream._reading.layers import LayerData
from napari_zarr_stream._sources.source import SourceDescription

from .as_source import layers_as
from .background import in_background
from .live import offer_range

if TYPE_CHECKING:
    from concurrent.futures import Future


class ReadBack(NamedTuple):
    """What there is of a recording.

    Attributes
    ----------
    is_there : bool
        Whether there is a store where it was written.
    layers : sequence of LayerData
        To be shown.
    """

    is_there: bool
    layers: Sequence[LayerData]


def read_back(
    path: Path | None, sources: Sequence[Any], is_shown: bool
) -> "Future[ReadBack]":
    """Read what there is of a store, in a thread: its disk may not answer.

    The future has a `ZarrStreamError` or an `OSError` where it cannot be opened.

    Parameters
    ----------
    path : Path or None
    sources : sequence of napari.layers.Layer
        What it was recorded from.
    is_shown : bool
        Whether its layers are read.
    """
    return in_background(
        partial(_read_back, path, sources, is_shown), may_be_dropped=True
    )


def _read_back(path: Path | None, sources: Sequence[Any], is_shown: bool) -> ReadBack:
    """Thread "background"."""
    is_there = path is not None and path.exists()
    if path is None or not is_there or not is_shown:
        return ReadBack(is_there, ())
    return ReadBack(is_there, layers_as(path, sources))


def show_layers(
    viewer: Any,
    layers: Sequence[LayerData],
    described: SourceDescription,
    left: float,
    live: Any,
) -> list[Any]:
    """Show layers that were read back, and return them.

    Parameters
    ----------
    viewer : napari.Viewer
    layers : sequence of LayerData
    described : SourceDescription
        What was recorded.
    left : float
        Where its live layer began.
    live : napari.layers.Image or None
        That layer, where it `goes_on` as the image among them: to take one away and add
        another keeps the window waiting for 0.3 s.
    """
    all_added: list[Any] = []
    for data, meta, kind in layers:
        if live is not None and kind == "image":
            _become(live, data, meta)
            added = live
        else:
            added = getattr(viewer, f"add_{kind}")(data, **meta)
        for layer in added if isinstance(added, list) else [added]:
            all_added.append(layer)
            if described.value_range and kind == "image":
                offer_range(layer, described.value_range)
            if left:
                layer.translate = (*layer.translate[:-1], left)
    return all_added


def goes_on(live: Any, layers: Sequence[LayerData]) -> bool:
    """Whether a live layer can be the one image among layers that were read back."""
    images = [(data, meta) for data, meta, kind in layers if kind == "image"]
    if len(images) != 1:
        return False
    [(data, meta)] = images
    is_multiscale, rgb = bool(meta.get("multiscale")), bool(meta.get("rgb"))
    largest = data[0] if is_multiscale else data
    has = live.multiscale, live.rgb, live.dtype, live.ndim + live.rgb
    return bool(has == (is_multiscale, rgb, largest.dtype, largest.ndim))


def _become(layer: Any, data: Any, meta: Mapping[str, Any]) -> None:
    """Have a layer be what `add_image` would make of these."""
    layer.data = data
    for name, value in meta.items():
        if name in ("multiscale", "rgb") or _is_same(getattr(layer, name), value):
            continue
        setattr(layer, name, value)


def _is_same(there: Any, value: Any) -> bool:
    """Whether it is there already: all that is set anew is painted anew."""
    if isinstance(value, str):
        return str(there) == value
    if isinstance(value, Mapping):
        return False
    try:
        return list(map(str, there)) == value or bool(np.array_equal(there, value))
    except TypeError:  # one of them is no sequence
        return bool(there == value)
