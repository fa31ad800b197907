"""A stored image -> napari layer data: one layer a channel, labels with colours."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_zarr_stream._writer.colours import (
    BLACK,
    WHITE,
    colormap_of,
    given_color,
    numbers_of,
)
from napari_zarr_stream._writer.errors import InvalidStore
from napari_zarr_stream._writer.record import RECORD_KEY

from .axes import Notes
from .channels import ShownChannel
from .contrast import contrast_of, read_pixels
from .image import StoredImage
from .lazy import LazyArray
from .levels import open_array
from .location import Location, title_of
from .look import HasColormap, look_of, look_of_labels
from .objects import objects_of
from .transforms import part_of

LayerData = tuple[Any, dict[str, Any], str]

MAX_CHANNEL_LAYERS = 16
"""More channels than this are a spectrum, not stains: one layer with a slider."""

EDITABLE_CHUNKS = 1024
"""Of labels that are read as a whole: 0.3 s."""

EDITABLE_BYTES = 256 * 2**20
"""Labels of one level up to this are read as a whole, so that they can be painted."""

PATH_KEY = "napari_zarr_stream_path"
"""In the metadata of a layer: the group that holds its image."""

RANGE_KEY = "contrast_limits_range"
"""In the metadata of a layer: what its slider of contrast limits goes through. napari
takes that only of a layer that is there."""


def counted_scale(image: StoredImage, axes: Sequence[int]) -> list[float]:
    """The scale of some axes, by which napari counts as many steps as there are.

    napari 0.9.2 divides the length of an axis by its scale, cuts off what is behind the
    point (`Dims.nsteps`), and so has no last step on its slider for 1 scale in 20: 225
    planes of 0.08682907562524363 are 224 steps. A neighbour of such a scale has all.
    """
    sizes = image.levels[0].shape
    return [counted(image.scale[i], image.translation[i], sizes[i]) for i in axes]


def counted(scale: float, start: float, size: int) -> float:
    """A scale that makes `size` steps from `start`, hardly above it: see above."""
    # Beside a large start, the next numbers make no difference.
    for more in (0.0, *(2.0**-52 * 1.3**k for k in range(80))):
        near = scale * (1 + more)
        if int((start + near * (size - 1) - start) / (near or 1)) == size - 1:
            return near
    return scale


def counted_at_any_length(scale: float, start: float) -> tuple[float, float]:
    """Both, so little changed that each step from `start` is a number without a rest.

    For an axis that grows: see above. 30 bits of a scale leave 23 for a step's number,
    which are a day at 97 frames a second. Where the start alone needs more, or a scale
    has no 30 bits, they stay as they are.
    """
    if not (abs(start) / 2**23 < abs(scale) < math.inf and abs(scale) > 2.0**-990):
        return scale, start
    grain = 2.0 ** (math.frexp(scale)[1] - 30)
    return round(scale / grain) * grain, round(start / grain) * grain


def plain_layer(path: Location, notes: Notes) -> LayerData:
    """The layer of an array that is in no group.

    Raises
    ------
    InvalidStore
        It is not there, or no image.
    """
    array, _ = open_array(path, notes)
    if array.ndim < 2 or not array.size:
        raise InvalidStore(f"{path} is an array of shape {array.shape}, not an image")
    limits, value_range = contrast_of([array], notes)
    meta = {
        "name": title_of(path),
        "rgb": False,
        "multiscale": False,
        "contrast_limits": limits,
        "metadata": {RANGE_KEY: value_range},
    }
    return array, meta, "image"


def image_layers(
    image: StoredImage,
    has_colormap: HasColormap,
    notes: Notes,
    is_label: bool = False,
) -> list[LayerData]:
    """Layers of one image whose last axes are y and x.

    Parameters
    ----------
    image : StoredImage
    has_colormap : callable
        Whether the viewer knows a colormap of that name and those colours.
    notes : list of str
        Grows by what is odd.
    is_label : bool
        Whether to show it as labels although it does not say that it is.

    Raises
    ------
    InvalidStore
        It has no pixels, or is no image.
    """
    shape = image.levels[0].shape
    if 0 in shape:
        raise InvalidStore(f"{image.path} has no frames yet: its shape is {shape}")
    axis, count = image.channel_axis, len(image.channels)
    is_split = axis is not None and count <= MAX_CHANNEL_LAYERS
    if len(shape) - is_split < 2:
        raise InvalidStore(f"{image.path} is of shape {shape}, no image of y and x")
    odd = list(image.notes)
    is_label = is_label or image.objects is not None

    numbers = range(count) if is_split else [None]
    colors = _colors(image.channels if is_split else image.channels[:1], odd)
    layers = [
        _layer(image, number, channel, color, is_label, has_colormap, odd)
        for number, channel, color in zip(numbers, image.channels, colors, strict=False)
    ]
    notes.extend(f"{image.path}: {note}" for note in dict.fromkeys(odd))
    return layers


def _colors(channels: Sequence[ShownChannel], notes: Notes) -> list[str]:
    """A colour for each: those that came without one get others than the rest."""
    said = [channel.color for channel in channels]
    if all(color == BLACK for color in said):  # and nothing would be seen
        notes.append("the colour of all channels is black: others are given")
        said = [None] * len(said)
    if len(channels) == 1:
        return [said[0] or WHITE]
    given = map(given_color, range(2 * len(channels)))
    free = (color for color in given if color not in said)
    return [color or next(free, WHITE) for color in said]


def _layer(
    image: StoredImage,
    number: int | None,
    channel: ShownChannel,
    color: str,
    is_label: bool,
    has_colormap: HasColormap,
    notes: Notes,
) -> LayerData:
    """One layer; the channel axis is gone where it has a number."""
    levels, samples = (
        [_channel_of(image, level, number) for level in arrays]
        for arrays in (image.levels, image.samples)
    )
    kept = [
        i for i in range(len(image.axes)) if number is None or i != image.channel_axis
    ]
    is_one_of_many = number is not None and len(image.channels) > 1
    name = _name(image.name, channel, number) if is_one_of_many else image.name
    meta: dict[str, Any] = {
        "name": "".join(c if c.isprintable() else " " for c in name),
        "scale": counted_scale(image, kept),
        "translate": [image.translation[i] for i in kept],
        "units": [image.axes[i].unit or "pixel" for i in kept],
        "axis_labels": [image.axes[i].name for i in kept],
        "multiscale": len(levels) > 1,
        **_affine_of(image, kept),
        "metadata": {
            **({PATH_KEY: str(image.path)} if isinstance(image.path, Path) else {}),
            **({RECORD_KEY: dict(image.record)} if image.record else {}),
        },
    }
    data: Any = levels if len(levels) > 1 else levels[0]
    is_painted = np.issubdtype(levels[0].dtype, np.integer)
    if is_label and levels[0].dtype == bool and _is_small(levels[0]):
        # napari takes those of bytes, and has no objects of bool
        bytes_of = [read_pixels(level, image.path).view(np.uint8) for level in levels]
        data, is_painted = bytes_of if len(bytes_of) > 1 else bytes_of[0], True
    if is_label and not is_painted:
        notes.append(f"labels of {levels[0].dtype} are shown as an image")
        meta["blending"] = "additive"  # and so hide nothing
    if is_label and is_painted:
        look, others = look_of_labels(image.record, number or 0)
        said = dict(enumerate(image.objects or ())).get(number or 0, {})
        meta |= look | objects_of(said, others, notes)
        if len(levels) == 1 and _is_small(levels[0]) and data is levels[0]:
            data = read_pixels(data, image.path)
        return data, meta, "labels"
    limits, value_range = channel.contrast_limits, channel.value_range
    if limits is None or value_range is None:
        found, whole = contrast_of(samples, notes)
        limits = limits or found
        value_range = value_range or whole
    meta |= {
        "rgb": False,
        "visible": channel.active,
        "colormap": _colormap(channel, color),
        "gamma": channel.gamma,
        "contrast_limits": limits,
    }
    span = min(limits[0], value_range[0]), max(limits[1], value_range[1])
    meta["metadata"][RANGE_KEY] = span
    if is_one_of_many:
        meta["blending"] = "additive"
    meta |= look_of(image.record, number or 0, color, has_colormap)
    return data, meta, "image"


def _affine_of(image: StoredImage, kept: Sequence[int]) -> dict[str, Any]:
    if image.affine is None:
        return {}
    return {"affine": [list(row) for row in part_of(image.affine, kept)]}


def _channel_of(image: StoredImage, level: LazyArray, number: int | None) -> LazyArray:
    if number is None or image.channel_axis is None:
        return level
    view = level[(*[slice(None)] * image.channel_axis, number)]
    assert isinstance(view, LazyArray)
    return view


def _name(image: str, channel: ShownChannel, number: int | None) -> str:
    """The channel's own name, unless that could be one of any image."""
    name = channel.name or f"channel {number}"
    says_nothing = name.lower().removeprefix("channel").strip(" _-").isdecimal()
    return f"{image}: {name}" if says_nothing else name


def _colormap(channel: ShownChannel, color: str) -> str | dict[str, Any]:
    """Between black and the channel's colour."""
    if color == BLACK:  # which adds none; napari takes its name for white to black
        return {"name": "no light", "colors": [[0, 0, 0, 1], [0, 0, 0, 1]]}
    if channel.inverted:
        colors = [[*numbers_of(color), 1], [0, 0, 0, 1]]
        return {"name": f"{colormap_of(color)}_r", "colors": colors}
    return colormap_of(color)


def _is_small(level: LazyArray) -> bool:
    """Whether it can be read as a whole at once."""
    chunks = math.prod(
        -(-size // side) for size, side in zip(level.shape, level.chunks, strict=True)
    )
    stored = math.prod(level.chunks) * level.dtype.itemsize
    most: int = max(level.nbytes, stored)
    return most <= EDITABLE_BYTES and chunks <= EDITABLE_CHUNKS
