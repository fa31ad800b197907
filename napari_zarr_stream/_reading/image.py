"""A multiscale image or label image as it is stored: all that its documents say.

Reads OME-NGFF 0.1 to 0.6 of any writer, forgiving what does not matter. Knows no
napari.
"""

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_zarr_stream._writer.errors import InvalidStore
from napari_zarr_stream._writer.lock import holder_of
from napari_zarr_stream._writer.record import RECORD_KEY, is_left_open

from .axes import Axis, Notes, axes_of, display_order
from .channels import ShownChannel, channels_of
from .contents import levels_there
from .documents import (
    BeyondBounds,
    Node,
    mapping,
    open_node,
    sequence,
    short,
    understanding,
)
from .lazy import LazyArray
from .levels import fitting, open_levels
from .location import Location, Unreachable, Within, inside, path_below, title_of
from .objects import objects_in
from .transforms import Affine, part_of, place_of, placed_beside

WHOLE = "whole"

BEING_WRITTEN = "being written by"

VERSIONS = ("0.1", "0.2", "0.3", "0.4", "0.5", "0.6")

MAX_NOTES = 20
"""Of one image: what is odd in one place is often so in many."""


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image or label image in a store.

    Attributes
    ----------
    path : Path or Within
    version : str
        Of OME-NGFF, as it is said.
    name : str
    axes : tuple of Axis
    channel_axis : int or None
    levels : tuple of LazyArray
        Full size first; all with the same planes.
    level_paths : tuple of str
    scale, translation : tuple of float
        Of level 0.
    affine : Affine or None
        What comes after them, where the image is turned or slanted.
    channels : tuple of ShownChannel
        One for each channel; one where there is no such axis.
    objects : sequence of mapping, or None
        Of labels: what "image-label" metadata say of them, or our own record for each
        channel.
    record : mapping
        Our own record; empty in stores of others.
    notes : tuple of str
        What is odd, and what was made of it.
    samples : tuple of LazyArray
        Where its contrast is looked for.
    """

    path: Location
    version: str
    name: str
    axes: tuple[Axis, ...]
    channel_axis: int | None
    levels: tuple[LazyArray, ...]
    level_paths: tuple[str, ...]
    scale: tuple[float, ...]
    translation: tuple[float, ...]
    affine: Affine | None
    channels: tuple[ShownChannel, ...]
    objects: Sequence[Mapping[str, Any]] | None
    record: Mapping[str, Any]
    notes: tuple[str, ...]
    samples: tuple[LazyArray, ...]


def open_image(node: Node, number: int = 0, beside: Node | None = None) -> StoredImage:
    """An image or label image.

    Parameters
    ----------
    node : Node
    number : int
        Which, where a group has several.
    beside : Node or None
        The image that it labels.

    Raises
    ------
    InvalidStore
        Damaged metadata, or no level that can be read.
    """
    with understanding(node.path):
        return _open_image(node, number, beside)


def _open_image(node: Node, number: int, beside: Node | None) -> StoredImage:
    notes = list(node.notes)
    multiscale = multiscales_of(node)[number]
    if beside is not None:
        where = path_below(beside.path, node.path)
        multiscale = placed_beside(multiscale, multiscales_of(beside)[0], where)
    version = _version(node, multiscale, notes)
    found = open_levels(node.path, _listed(node, multiscale, notes), notes)
    axes = axes_of(multiscale, found[0].axis_names, found[0].array.ndim, notes)
    levels = fitting(found, axes, notes)
    full = levels[0]
    place = place_of(multiscale, full.entry, axes, notes)
    kinds = [axis.kind for axis in axes]
    channel_axis = kinds.index("channel") if "channel" in kinds else None
    count = 1 if channel_axis is None else full.array.shape[channel_axis]
    record = mapping(node.attributes.get(RECORD_KEY))
    label = node.ome.get("image-label")
    return StoredImage(
        path=node.path,
        version=version,
        name=_name(node, multiscale, number),
        axes=axes,
        channel_axis=channel_axis,
        levels=tuple(level.array for level in levels),
        level_paths=tuple(level.path for level in levels),
        scale=place.scale,
        translation=place.translation,
        affine=place.affine,
        channels=channels_of(node.ome.get("omero"), count, notes),
        objects=objects_in(record) if label is None else (mapping(label),),
        record=record,
        notes=_few(notes),
        samples=(levels[-1].array,),
    )


def _listed(node: Node, multiscale: Mapping[str, Any], notes: Notes) -> list[Any]:
    """The levels that are listed; those that are there where none of these is."""
    listed = sequence(multiscale.get("datasets"))
    paths = [mapping(entry).get("path", i) for i, entry in enumerate(listed)]
    if any(_is_there(node.path / str(path).strip("/")) for path in paths):
        return listed
    if not (there := levels_there(node.path)):
        return listed
    what = f"levels {short(paths)} are not there" if paths else "no levels are listed"
    names = ", ".join(entry["path"] for entry in there)
    notes.append(f"{what}: arrays {names} are taken for them")
    return there


def _is_there(level: Location) -> bool:
    if isinstance(level, Within):
        return level.is_dir()
    # Not the folder: Windows takes "0 " for "0", unless something follows.
    return any((level / name).is_file() for name in ("zarr.json", ".zarray"))


def multiscales_of(node: Node) -> list[Mapping[str, Any]]:
    """The images that a group describes; those of the same pixels once."""
    given = node.ome["multiscales"]
    listed = [given] if isinstance(given, dict) else sequence(given)
    unlike: dict[str, Mapping[str, Any]] = {}
    for entry in map(mapping, listed):
        datasets = sequence(entry.get("datasets"))
        path = mapping(datasets[0]).get("path") if datasets else len(unlike)
        unlike.setdefault(str(path), entry)
    return list(unlike.values())


def first_levels(images: Iterable[Location]) -> Iterator[Location]:
    """Where level 0 of each image is, as far as they say."""
    for image in images:
        with contextlib.suppress(InvalidStore), understanding(image):
            if (node := open_node(image)) is not None:
                level = sequence(multiscales_of(node)[0]["datasets"])[0]
                yield inside(node.path, level["path"])


def _few(notes: Notes) -> tuple[str, ...]:
    unlike = list(dict.fromkeys(notes))
    if (more := len(unlike) - MAX_NOTES) > 0:
        unlike[MAX_NOTES:] = [f"{more} more such things"]
    return tuple(unlike)


def _version(node: Node, multiscale: Mapping[str, Any], notes: Notes) -> str:
    """What is said; any text is let pass, since pixels do not depend on it."""
    given = node.ome.get("version") or multiscale.get("version") or VERSIONS[0]
    if given not in VERSIONS:
        begins = re.match(r"\d+\.\d+", str(given))
        known = begins is not None and begins.group() in VERSIONS
        read_as = begins.group() if begins and known else VERSIONS[-2]
        notes.append(f"OME-NGFF {short(given)} is read as {read_as}")
    return str(given)


def _name(node: Node, multiscale: Mapping[str, Any], number: int) -> str:
    given = multiscale.get("name")
    stem = title_of(node.path)
    name = str(given).strip("/") if isinstance(given, str | int | float) else ""
    return name or (f"{stem} {number}" if number else stem)


def shown(image: StoredImage) -> StoredImage:
    """The same image with its axes in the order in which they are shown: y, x last."""
    order = display_order(image.axes)
    if order == tuple(range(len(order))):
        return image
    axis = image.channel_axis
    return replace(
        image,
        axes=tuple(image.axes[i] for i in order),
        channel_axis=None if axis is None else order.index(axis),
        levels=tuple(level.transpose(*order) for level in image.levels),
        samples=tuple(level.transpose(*order) for level in image.samples),
        scale=tuple(image.scale[i] for i in order),
        translation=tuple(image.translation[i] for i in order),
        affine=None if image.affine is None else part_of(image.affine, order),
    )


def readable(image: StoredImage) -> StoredImage:
    """The same image without the smallest levels, where those are damaged.

    A viewer reads the middle of the smallest level before it shows anything.
    """
    levels, notes = list(image.levels), list(image.notes)
    while len(levels) > 1 and levels[-1].size:
        try:
            np.asarray(levels[-1][tuple(size // 2 for size in levels[-1].shape[:-2])])
            break
        except BeyondBounds:  # a part of it will be looked at
            break
        except Unreachable:
            raise
        except InvalidStore as error:
            levels.pop()
            notes.append(f"left out level {image.level_paths[len(levels)]}: {error}")
    if len(levels) == len(image.levels):
        return image
    return replace(
        image,
        levels=tuple(levels),
        level_paths=image.level_paths[: len(levels)],
        samples=(levels[-1],),
        notes=_few(notes),
    )


def state_of(path: Location, record: Mapping[str, Any]) -> str:
    """Whether a store of ours has its end: "whole", or a sentence that says what not.

    A store that is being written is not called broken.
    """
    if not is_left_open(record):
        return WHOLE
    if not isinstance(path, Path):
        return (
            "not finished: it is still written or uploaded, or the program that did so "
            "ended early; what is there is shown as it is now"
        )
    if holder := holder_of(path):
        return f"{BEING_WRITTEN} {holder}"
    return (
        "left open by a program that did not end properly; what was committed is "
        f"there, `napari-zarr-stream repair {path}` may bring back more"
    )
