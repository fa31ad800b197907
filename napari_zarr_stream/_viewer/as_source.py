"""What was stored comes back as the layers that it was: as many, with the same axes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_zarr_stream._reading.documents import open_node
from napari_zarr_stream._reading.image import open_image, shown
from napari_zarr_stream._reading.layers import PATH_KEY, LayerData, counted_scale
from napari_zarr_stream._reading.reader import layers_of
from napari_zarr_stream._writer.names import is_store_name

LOOK = {
    "image": (
        "colormap", "contrast_limits", "gamma", "opacity", "blending", "visible",
        "interpolation2d", "rendering",
    ),
    "rgb": ("opacity", "blending", "visible"),
    "labels": ("colormap", "features", "opacity", "blending", "visible"),
}  # fmt: skip
"""Of the source, which has one look for all of its channels."""


def store_of(layer: Any) -> Path | None:
    """The store of an image that a layer shows, if it is known; asks no disk."""
    if type(layer).__name__ != "Image":
        return None
    if path := layer.metadata.get(PATH_KEY):
        return Path(path)
    path = layer.source.path
    return Path(path) if path and is_store_name(path) else None


def layers_as(path: Path, sources: Sequence[Any]) -> list[LayerData]:
    """The layers of a store, as those that it was made of had them.

    A store has channels along an axis; one layer that had them comes back as one, with
    colours (RGB) or with a slider.

    Parameters
    ----------
    path : Path
    sources : sequence of napari.layers.Layer

    Raises
    ------
    ZarrStreamError, OSError
        It cannot be opened.
    """
    layers = layers_of(path)
    kinds = {type(source).__name__ for source in sources}
    kind = "image" if "Image" in kinds else "labels"  # what lies in the root
    alike = [each for each in sources if type(each).__name__.lower() == kind]
    if len(alike) != 1:
        return layers
    [source] = alike
    is_rgb = getattr(source, "rgb", False)
    count = sum(found == kind for *_, found in layers)
    node = open_node(path)
    if node is None or node.kind != "multiscales":
        return layers
    image = shown(open_image(node))
    ndim = source.ndim + is_rgb
    if image.channel_axis is None or len(image.axes) != ndim:
        return layers
    if count < 2 and not is_rgb and ndim == len(layers[0][1]["axis_labels"]):
        return layers
    at = image.channel_axis
    order = [i for i in range(ndim) if i != at or not is_rgb]
    levels = list(image.levels)
    if is_rgb:
        levels = [level.transpose(*order, at) for level in levels]
    _, first, _ = layers[0]
    meta: dict[str, Any] = {
        "name": image.name,
        "metadata": first["metadata"],
        "multiscale": len(levels) > 1,
        "scale": counted_scale(image, order),
        "translate": [image.translation[i] for i in order],
        "units": [image.axes[i].unit or "pixel" for i in order],
        "axis_labels": [image.axes[i].name for i in order],
    }
    if kind == "image":
        meta["rgb"] = is_rgb
    looks = LOOK["rgb" if is_rgb else kind]
    meta |= {key: getattr(source, key) for key in looks}
    data: Any = levels if len(levels) > 1 else levels[0]
    others = [layer for layer in layers if layer[2] != kind]
    return [(data, meta, kind), *others]
