"""A multiscale image or label image as it is stored: all that its documents say.

Reads OME-NGFF 0.1 to 0.5 of any writer, forgiving what does not matter. Knows no
napari.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_zarr_stream._writer.errors import InvalidStore
from napari_zarr_stream._writer.lock import holder_of
from napari_zarr_stream._writer.names import image_name
from napari_zarr_stream._writer.record import RECORD_KEY, is_left_open

from .axes import axes_of, transform_of
from .channels import ShownChannel, channels_of
from .documents import Node, mapping, understanding
from .levels import open_levels

WHOLE = "whole"

BEING_WRITTEN = "being written by"

VERSIONS = ("0.1", "0.2", "0.3", "0.4", "0.5")


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image or label image in a store.

    Attributes
    ----------
    path : Path
    version : str
        Of OME-NGFF.
    name : str
    axes : tuple of str
    channel_axis : int or None
    levels : tuple of arrays
        Full size first; each with as much of the first axis as all of them have.
    level_paths : tuple of str
    scale, translation : tuple of float
        Of level 0.
    units : tuple of str or None
    channels : tuple of ShownChannel
        One for each channel; one where there is no such axis.
    label : mapping or None
        The "image-label" metadata of a label image.
    record : mapping
        Our own record; empty in stores of others.
    """

    path: Path
    version: str
    name: str
    axes: tuple[str, ...]
    channel_axis: int | None
    levels: tuple[Any, ...]
    level_paths: tuple[str, ...]
    scale: tuple[float, ...]
    translation: tuple[float, ...]
    units: tuple[str | None, ...]
    channels: tuple[ShownChannel, ...]
    label: Mapping[str, Any] | None
    record: Mapping[str, Any]


def open_image(node: Node) -> StoredImage:
    """An image or label image.

    Raises
    ------
    InvalidStore
        Damaged metadata, or no level that can be read.
    """
    with understanding(node.path):
        return _open_image(node)


def _open_image(node: Node) -> StoredImage:
    multiscale = node.ome["multiscales"][0]
    version = str(node.ome.get("version") or multiscale.get("version") or "0.1")
    if version not in VERSIONS:
        raise InvalidStore(
            f"{node.path} is OME-NGFF {version}; only {VERSIONS[0]} to {VERSIONS[-1]} "
            "can be read"
        )
    levels, paths = open_levels(node.path, multiscale["datasets"])
    axes, types, units = axes_of(multiscale.get("axes"), levels[0].ndim)
    if any(len(axes) != level.ndim for level in levels):
        raise InvalidStore(
            f"{node.path}: levels have {sorted({a.ndim for a in levels})} axes, the "
            f"metadata names {', '.join(axes)}"
        )
    if axes[0] in "tc":
        # While a store grows, its smaller levels may be ahead of level 0.
        there = min(level.shape[0] for level in levels)
        levels = [level[:there] for level in levels]
    channel_axis = types.index("channel") if "channel" in types else None
    scale, translation = transform_of(multiscale, len(axes))
    count = 1 if channel_axis is None else levels[0].shape[channel_axis]
    return StoredImage(
        path=node.path,
        version=version,
        name=str(multiscale.get("name") or "").strip("/") or image_name(node.path),
        axes=axes,
        channel_axis=channel_axis,
        levels=tuple(levels),
        level_paths=tuple(paths),
        scale=scale,
        translation=translation,
        units=units,
        channels=channels_of(node.ome.get("omero"), count),
        label=node.ome.get("image-label"),
        record=mapping(node.attributes.get(RECORD_KEY)),
    )


def state_of(path: Path, record: Mapping[str, Any]) -> str:
    """Whether a store of ours has its end: "whole", or a sentence that says what not.

    A store that is being written is not called broken.
    """
    if not is_left_open(record):
        return WHOLE
    if holder := holder_of(path):
        return f"{BEING_WRITTEN} {holder}"
    return (
        "left open by a program that did not end properly; what was committed is "
        f"there, `napari-zarr-stream repair {path}` may bring back more"
    )
