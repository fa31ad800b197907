"""A stored image -> napari layer data: one layer a channel, labels with colours."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_zarr_stream._writer.colours import WHITE, colormap_of
from napari_zarr_stream._writer.errors import InvalidStore
from napari_zarr_stream._writer.names import image_name
from napari_zarr_stream._writer.record import RECORD_KEY

from .channels import ShownChannel
from .contrast import limits_of, read_pixels
from .image import StoredImage
from .levels import open_array
from .look import HasColormap, look_of, was_visible

LayerData = tuple[Any, dict[str, Any], str]

MAX_CHANNEL_LAYERS = 16
"""More channels than this are a spectrum, not stains: one layer with a slider."""

EDITABLE_CHUNKS = 1024
"""Of labels that are read as a whole: 0.3 s."""

EDITABLE_BYTES = 256 * 2**20
"""Labels of one level up to this are read as a whole, so that they can be painted."""

MAX_PROPERTIES = 2**22
"""Values in the table of objects, which has a column for every name that one of them
has: names of their own for all would make gigabytes."""


def plain_layer(path: Path) -> LayerData:
    """The layer of an array that is in no group.

    Raises
    ------
    InvalidStore
        It is not there, or no image.
    """
    array = open_array(path)
    if array.ndim < 2 or not array.size:
        raise InvalidStore(f"{path} is an array of shape {array.shape}, not an image")
    name = image_name(path)
    limits = limits_of([array], None)
    meta = {"name": name, "rgb": False, "multiscale": False, "contrast_limits": limits}
    return array, meta, "image"


def image_layers(
    image: StoredImage, has_colormap: HasColormap, is_label: bool = False
) -> list[LayerData]:
    """Layers of one image.

    Parameters
    ----------
    image : StoredImage
    has_colormap : callable
        Whether the viewer knows a colormap of that name and those colours.
    is_label : bool
        Whether to show it as labels although it does not say that it is.

    Raises
    ------
    InvalidStore
        It has no pixels, or some that cannot be read.
    """
    if 0 in image.levels[0].shape:
        raise InvalidStore(
            f"{image.path} has no frames yet: its shape is {image.levels[0].shape}"
        )
    is_label = is_label or image.label is not None
    axis = image.channel_axis
    count = len(image.channels)
    if axis is None or count > MAX_CHANNEL_LAYERS:
        return [
            _layer(
                image,
                image.levels,
                is_label,
                image.channels[0],
                None,
                False,
                has_colormap,
            )
        ]
    return [
        _layer(
            image,
            [level[(*[slice(None)] * axis, number)] for level in image.levels],
            is_label,
            channel,
            number,
            count > 1,
            has_colormap,
        )
        for number, channel in enumerate(image.channels)
    ]


def _layer(
    image: StoredImage,
    levels: Sequence[Any],
    is_label: bool,
    channel: ShownChannel,
    number: int | None,
    is_split: bool,
    has_colormap: HasColormap,
) -> LayerData:
    """One layer; the channel axis is gone where it has a number."""
    kept = [
        i for i in range(len(image.axes)) if number is None or i != image.channel_axis
    ]
    meta: dict[str, Any] = {
        "name": _name(image.name, channel, number) if is_split else image.name,
        "scale": [image.scale[i] for i in kept],
        "translate": [image.translation[i] for i in kept],
        "units": [image.units[i] or "pixel" for i in kept],
        "axis_labels": [image.axes[i] for i in kept],
        "multiscale": len(levels) > 1,
        "metadata": {RECORD_KEY: dict(image.record)} if image.record else {},
    }
    data = list(levels) if len(levels) > 1 else levels[0]
    if is_label and np.issubdtype(levels[0].dtype, np.integer):
        meta |= {"visible": was_visible(image.record)} | _objects(image)
        if len(levels) == 1 and _is_small(levels[0]):
            data = read_pixels(data, image.path)
        return data, meta, "labels"
    color = channel.color or WHITE
    meta |= {
        "rgb": False,
        "visible": channel.active,
        "colormap": colormap_of(color),
        "gamma": channel.gamma,
        "contrast_limits": channel.contrast_limits or limits_of(levels, image.path),
    }
    if is_split:
        meta["blending"] = "additive"
    meta |= look_of(image.record, number or 0, color, has_colormap)
    return data, meta, "image"


def _name(image: str, channel: ShownChannel, number: int | None) -> str:
    """The channel's own name, unless that could be one of any image."""
    name = channel.name or f"channel {number}"
    says_nothing = name.lower().removeprefix("channel").strip(" _-").isdecimal()
    return f"{image}: {name}" if says_nothing else name


def _is_small(level: Any) -> bool:
    """Whether it can be read as a whole at once."""
    chunks = math.prod(
        -(-size // side) for size, side in zip(level.shape, level.chunks, strict=True)
    )
    stored = math.prod(level.chunks) * level.dtype.itemsize
    most: int = max(level.nbytes, stored)
    return most <= EDITABLE_BYTES and chunks <= EDITABLE_CHUNKS


def _objects(image: StoredImage) -> dict[str, Any]:
    """Colours and properties of objects, from "image-label" metadata."""
    label = image.label or {}
    shown: dict[str, Any] = {}
    colors = {
        int(entry["label-value"]): [value / 255 for value in entry["rgba"]]
        for entry in label.get("colors") or []
        if "rgba" in entry and "label-value" in entry
    }
    if colors:
        shown["colormap"] = colors | {None: [0, 0, 0, 0]}
    rows = [row for row in label.get("properties") or [] if "label-value" in row]
    if rows:
        keys = sorted({key for row in rows for key in row} - {"label-value"})
        if len(rows) * len(keys) > MAX_PROPERTIES:
            raise InvalidStore(f"{image.path}: {len(keys)} properties of its objects")
        shown["features"] = {
            "index": [row["label-value"] for row in rows],
            **{key: [row.get(key) for row in rows] for key in keys},
        }
    return shown
