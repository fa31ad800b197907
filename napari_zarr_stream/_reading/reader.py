"""A store -> napari layers: the npe2 reader, and what reopens a finished recording."""

import math
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_zarr_stream._writer.colours import WHITE, colormap_of
from napari_zarr_stream._writer.errors import InvalidStore
from napari_zarr_stream._writer.ngff import RECORD_KEY, range_of

from .stored import (
    BEING_WRITTEN,
    WHOLE,
    Node,
    ShownChannel,
    StoredImage,
    inside,
    listed_in,
    open_array,
    open_image,
    open_node,
    series_of,
    state_of,
    understanding,
)

LayerData = tuple[Any, dict[str, Any], str]
PathOrPaths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

MAX_CHANNEL_LAYERS = 16
"""More channels than this are a spectrum, not stains: one layer with a slider."""

SEEN_PIXELS, SEEN_CHUNKS = 4096, 16
"""From the middle of a plane in each direction, where contrast is looked for."""

EDITABLE_CHUNKS = 1024
"""Of labels that are read as a whole: 0.3 s."""

EDITABLE_BYTES = 256 * 2**20
"""Labels of one level up to this are read as a whole, so that they can be painted; a
chunk above it is not decoded only to find contrast limits."""

MAX_PROPERTIES = 2**22
"""Values in the table of objects, which has a column for every name that one of them
has: names of their own for all would make gigabytes."""


def get_reader(path: PathOrPaths) -> Callable[[PathOrPaths], list[LayerData]] | None:
    """npe2 reader: `read` for a folder that is OME-Zarr or a Zarr array, else None."""
    try:
        node = open_node(_single(path))
    except InvalidStore:
        return read  # which then says what is wrong
    if node is None or not (node.is_array or _kind(node)):
        return None
    return read


def read(path: PathOrPaths) -> list[LayerData]:
    """npe2 reader: see `layers_of`."""
    return layers_of(_single(path))


def _single(path: PathOrPaths) -> Path:
    if isinstance(path, str | os.PathLike):
        return Path(path)
    # Several stores are not slices of one stack.
    return Path(path[0]) if len(path) == 1 else Path(os.devnull)


def _kind(node: Node) -> str | None:
    """Which metadata says what is in a group."""
    kinds = ("plate", "well", "bioformats2raw.layout", "multiscales", "labels")
    return next((kind for kind in kinds if kind in node.ome), None)


def layers_of(path: str | os.PathLike[str]) -> list[LayerData]:
    """Layers of a store, as pyramids that read only what is shown.

    One for each channel and one for each label image. Images of a plate or a well are
    put together, as ome-zarr does it.

    Returns
    -------
    list of (data, metadata, layer type)
        Our own record is in the metadata, under "napari_zarr_stream".

    Raises
    ------
    InvalidStore
        Nothing there that can be shown; says why.
    """
    root = Path(path)
    with understanding(root):
        return _layers_of(root)


def _layers_of(root: Path) -> list[LayerData]:
    node = open_node(root)
    if node is None:
        raise InvalidStore(f"{root} is not a Zarr group or array")
    if node.is_array:
        return [_plain_layer(root)]
    kind = _kind(node)
    if kind in ("plate", "well"):
        from .plate import plate_image  # ome-zarr takes 1 s to import

        return _layers(plate_image(node))
    if kind == "bioformats2raw.layout":
        return _series_layers(node)
    if kind == "multiscales":
        return _image_layers(node)
    if kind == "labels" and (layers := _label_layers(root)):
        return layers
    raise InvalidStore(f"{root} is a Zarr group without an OME-NGFF image")


def _image_layers(node: Node) -> list[LayerData]:
    """Layers of an image and its labels."""
    path, image = node.path, open_image(node)
    state = state_of(path, image.record)
    if state != WHOLE and not state.startswith(BEING_WRITTEN):
        if 0 in image.levels[0].shape:
            raise InvalidStore(f"{path} has no committed frames: {state}")
        warnings.warn(f"{path} is {state}", UserWarning, stacklevel=4)
    return _layers(image) + _label_layers(path / "labels")


def _series_layers(node: Node) -> list[LayerData]:
    """Layers of several images; one that cannot be shown does not hide the others."""
    layers: list[LayerData] = []
    failures: list[InvalidStore] = []
    for child in series_of(node):
        try:
            if (image := open_node(child)) is None:
                raise InvalidStore(f"{child} is not there")
            with understanding(child):
                layers += _image_layers(image)
        except InvalidStore as error:
            failures.append(error)
    if failures and not layers:
        raise failures[0]
    for failure in failures:
        warnings.warn(f"left out an image: {failure}", UserWarning, stacklevel=4)
    return layers


def _label_layers(group: Path) -> list[LayerData]:
    """Label images of a `labels` group; a damaged one does not hide the others."""
    node = open_node(group)
    names = node.ome.get("labels") if node else None
    layers = []
    for name in listed_in(group, names):
        try:
            child = open_node(inside(group, name))
            if child is None:
                raise InvalidStore(f"{group / str(name)} is not there")
            with understanding(child.path):
                layers += _layers(open_image(child), is_label=True)
        except InvalidStore as error:
            warnings.warn(f"left out a label image: {error}", UserWarning, stacklevel=2)
    return layers


def _plain_layer(path: Path) -> LayerData:
    array = open_array(path)
    if array.ndim < 2 or not array.size:
        raise InvalidStore(f"{path} is an array of shape {array.shape}, not an image")
    name = path.name.split(".")[0]
    limits = _limits([array], None)
    meta = {"name": name, "rgb": False, "multiscale": False, "contrast_limits": limits}
    return array, meta, "image"


def _layers(image: StoredImage, is_label: bool = False) -> list[LayerData]:
    if 0 in image.levels[0].shape:
        raise InvalidStore(
            f"{image.path} has no frames yet: its shape is {image.levels[0].shape}"
        )
    is_label = is_label or image.label is not None
    axis = image.channel_axis
    count = len(image.channels)
    if axis is None or count > MAX_CHANNEL_LAYERS:
        return [_layer(image, image.levels, is_label, image.channels[0], None, False)]
    return [
        _layer(
            image,
            [level[(*[slice(None)] * axis, number)] for level in image.levels],
            is_label,
            channel,
            number,
            count > 1,
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
        meta |= _objects(image)
        if len(levels) == 1 and _is_small(levels[0]):
            data = _read(data, image.path)
        return data, meta, "labels"
    meta |= {
        "rgb": False,
        "visible": channel.active,
        "colormap": _colormap(image, channel.color, number or 0),
        "contrast_limits": channel.contrast_limits or _limits(levels, image.path),
    }
    if is_split:
        meta["blending"] = "additive"
    return data, meta, "image"


def _name(image: str, channel: ShownChannel, number: int | None) -> str:
    """The channel's own name, unless that could be one of any image."""
    name = channel.name or f"channel {number}"
    says_nothing = name.lower().removeprefix("channel").strip(" _-").isdecimal()
    return f"{image}: {name}" if says_nothing else name


def _colormap(image: StoredImage, color: str | None, number: int) -> str:
    """From black to the channel's colour, or what our own record calls by its name."""
    color = color or WHITE
    recorded = image.record.get("colormaps")
    own = recorded[number] if recorded and number < len(recorded) else None
    if own and own["color"] == color:
        from napari.utils.colormaps import AVAILABLE_COLORMAPS

        if own["name"] in AVAILABLE_COLORMAPS:
            return str(own["name"])
    return colormap_of(color)


def _limits(levels: Sequence[Any], path: Path | None) -> tuple[float, float]:
    """Smallest and largest pixel of the plane in the middle of the smallest level.

    napari would look for them in the whole of it.
    """
    smallest = levels[-1]
    if smallest.dtype == np.uint8:
        return 0.0, 255.0
    if math.prod(smallest.chunks) * smallest.dtype.itemsize > EDITABLE_BYTES:
        return range_of(smallest.dtype)  # one would have to be decoded
    middle = tuple(size // 2 for size in smallest.shape[:-2])
    reaches = [min(SEEN_PIXELS, SEEN_CHUNKS * side) for side in smallest.chunks[-2:]]
    part = [
        slice(max(0, size // 2 - reach), size // 2 + reach + 1)
        for size, reach in zip(smallest.shape[-2:], reaches, strict=True)
    ]
    plane = _read(smallest[(*middle, *part)], path)
    values = plane[np.isfinite(plane)]
    low, high = (
        (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    )
    return (low, high) if low < high else (low, low + 1.0)


def _is_small(level: Any) -> bool:
    """Whether it can be read as a whole at once."""
    chunks = math.prod(
        -(-size // side) for size, side in zip(level.shape, level.chunks, strict=True)
    )
    stored = math.prod(level.chunks) * level.dtype.itemsize
    most: int = max(level.nbytes, stored)
    return most <= EDITABLE_BYTES and chunks <= EDITABLE_CHUNKS


def _read(data: Any, path: Path | None) -> np.ndarray[Any, Any]:
    try:
        return np.asarray(data)
    except Exception as error:
        raise InvalidStore(f"{path} has pixels that cannot be read: {error}") from error


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
        from napari.utils.colormaps import DirectLabelColormap

        shown["colormap"] = DirectLabelColormap(
            color_dict=colors | {None: [0, 0, 0, 0]}
        )
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
