"""What a TIFF file says of where its image lies: names of axes, pixel sizes, units.

napari's own reader hands over the pixels alone.
"""

import re
import struct
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from napari_zarr_stream._writer.axes import check_units
from napari_zarr_stream._writer.errors import InvalidProperties
from napari_zarr_stream._writer.names import split_ending

ENDINGS = (".tif", ".tiff", ".btf", ".lsm", ".stk")

MAX_XML = 2**24
"""Characters of OME-XML that are looked at: some files have a line for every plane."""

_AXES = {axis.upper(): axis for axis in "tczyx"}
_SAMPLES = "S"

_UNREADABLE = (
    ElementTree.ParseError, LookupError, OSError, TypeError, ValueError, struct.error,
)  # fmt: skip
"""What comes out of a damaged file whose pixels another reader could still read."""


def place_in_tiff(
    path: Path, shape: Sequence[int], *, is_rgb: bool = False
) -> dict[str, Any]:
    """Labels, scale and units of an image of `shape`, as in napari's LayerData.

    Parameters
    ----------
    path : Path
    shape : sequence of int
        Of the pixels as they were read.
    is_rgb : bool
        Whether the last axis is one of colours, which has no label.

    Returns
    -------
    dict
        "axis_labels" has "" where the file names an axis by none of "tczyx"; "scale"
        and "units" are there if it says the size of a pixel. Nothing if the file is no
        TIFF, or has no image of this shape.
    """
    if not split_ending(path)[1].lower().endswith(ENDINGS):
        return {}
    try:
        from tifffile import TiffFile
    except ImportError:  # then something else has read the pixels
        return {}
    try:
        with TiffFile(path) as file:
            for number, series in enumerate(file.series):
                for stored, axes in _forms(series):
                    if stored == tuple(shape):
                        sizes = _sizes_in_ome(file, number) or _sizes_in_imagej(file)
                        return _place(axes, sizes, is_rgb)
    except _UNREADABLE as error:
        warnings.warn(
            f"the axes that {path} names were not read: {error}", stacklevel=2
        )
    return {}


def _forms(series: Any) -> list[tuple[tuple[int, ...], str]]:
    """Shapes and axes in which it is read: as it is, without axes of length 1."""
    if hasattr(series, "get_shape"):  # tifffile before 2026.5
        return [(series.get_shape(s), series.get_axes(s)) for s in (True, False)]
    whole = list(zip(series.shape, series.axes, strict=True))
    short = [(size, axis) for size, axis in whole if size > 1 or axis in "YX"]
    return [
        (tuple(size for size, _ in form), "".join(axis for _, axis in form))
        for form in (whole, short)
    ]


def _place(
    axes: str, sizes: Mapping[str, tuple[float, str]], is_rgb: bool
) -> dict[str, Any]:
    if is_rgb:
        axes = axes[:-1]
    labels = [_AXES.get(axis, "") for axis in axes]
    if _SAMPLES in axes and "c" not in labels:
        labels[axes.index(_SAMPLES)] = "c"
    place: dict[str, Any] = {"axis_labels": labels}
    known = {axis: sizes[axis] for axis in labels if axis in sizes}
    if known:
        place["scale"] = [known[axis][0] if axis in known else 1.0 for axis in labels]
        place["units"] = [
            known[axis][1] if axis in known else "pixel" for axis in labels
        ]
    return place


def _sizes_in_ome(file: Any, number: int) -> dict[str, tuple[float, str]]:
    """Size and unit of a pixel along the axes for which OME-XML says it."""
    xml = file.ome_metadata
    if not xml or len(xml) > MAX_XML:
        return {}
    images = ElementTree.fromstring(xml).findall("./{*}Image")
    pixels = images[number].find("./{*}Pixels") if number < len(images) else None
    if pixels is None:
        return {}
    said = {
        axis: (pixels.get(f"PhysicalSize{axis.upper()}"), f"PhysicalSize{axis.upper()}")
        for axis in "zyx"
    } | {"t": (pixels.get("TimeIncrement"), "TimeIncrement")}
    return _usable(
        {
            axis: (size, pixels.get(f"{key}Unit", "s" if axis == "t" else "µm"))
            for axis, (size, key) in said.items()
        }
    )


def _sizes_in_imagej(file: Any) -> dict[str, tuple[float, str]]:
    """The same where ImageJ wrote it; it counts pixels per unit."""
    said = file.imagej_metadata or {}
    unit = re.sub(r"\\u00[bB]5", "µ", str(said.get("unit", "")))
    tags = file.pages[0].tags
    sizes: dict[str, tuple[Any, str]] = {
        "z": (said.get("spacing"), unit),
        "t": (said.get("finterval"), str(said.get("tunit", "s"))),
    }
    for axis in "yx":
        tag = tags.get(f"{axis.upper()}Resolution")
        per_unit, units = tag.value if tag is not None else (0, 0)
        sizes[axis] = (units / per_unit if per_unit else None, unit)
    return _usable(sizes) if said else {}


def _usable(sizes: Mapping[str, tuple[Any, str]]) -> dict[str, tuple[float, str]]:
    """Those that are a positive length or time in a unit that OME-NGFF has."""
    usable = {}
    for axis, (size, unit) in sizes.items():
        try:
            [word] = check_units([unit], axis)
            number = abs(float(size))
        except (InvalidProperties, TypeError, ValueError):
            continue
        if word is not None and 0 < number < float("inf"):
            usable[axis] = (number, word)
    return usable
