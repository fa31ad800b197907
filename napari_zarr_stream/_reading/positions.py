"""Images of one kind, such as positions of a stage, as one image with an axis `p`.

What is written of a position is looked at at once, since none stands for the others;
its pixels when they are looked at.
"""

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from napari_zarr_stream._writer.errors import InvalidStore
from napari_zarr_stream._writer.record import RECORD_KEY

from .axes import Axis, Notes
from .channels import with_limits_of_all
from .contents import labels_in
from .documents import Node, mapping, open_node
from .far import lazy_over
from .fields import Fields, Room, rooms_of
from .image import (
    BEING_WRITTEN,
    WHOLE,
    StoredImage,
    first_levels,
    open_image,
    shown,
    state_of,
)
from .lazy import LazyArray
from .location import Location, look_up, title_of
from .looked import Looked, corners_of, look
from .mosaic import STRAIGHT, Arrangement, BehindSlider, ByPlace, Mosaic
from .stage_places import Corner, ome_xml_places

MAX_LAYERS = 16
"""Images of one kind, of which nothing says that they are positions, up to which each
has layers of its own."""

MAX_SAMPLES = 4
"""Positions in which contrast is looked for."""

SMALLEST_SIDE = 2**11
"""Pixels of the smallest level of positions side by side: more take long to read, from
all of them."""

POSITIONS_KEY = "napari_zarr_stream_positions"
"""In the metadata of a layer: names of the positions that it shows."""


class Positions(StrEnum):
    """How positions are shown."""

    SLIDER = "slider"
    SIDE_BY_SIDE = "side by side"


@dataclass(frozen=True, slots=True)
class Together:
    """Several images of a series as one.

    Attributes
    ----------
    image : StoredImage
        With a first axis `p`, or side by side.
    names : tuple of str
        Of the positions.
    """

    image: StoredImage
    names: tuple[str, ...]


def positions_together(
    root: Node, paths: Sequence[Location], how: Positions, notes: Notes
) -> list[Together | Location]:
    """Images of a series, those of one kind as one where they are positions.

    Positions are those that we recorded as such, that are said to be at different
    places, or that are more than anybody wants as layers. Of one kind are those with
    the same axes, pixels, channels and size of their planes; of other sizes along t and
    z there may be black behind the last.

    Returns
    -------
    list of Location or Together
        In the order of the series; a path is an image of its own.
    """
    look_up(paths)
    look_up(first_levels(paths))
    looked = [look(number, path) for number, path in enumerate(paths)]
    kinds: dict[Hashable, list[Looked]] = {}
    for each in looked:
        if each is not None:
            kinds.setdefault(each.kind, []).append(each)
    is_asked = how is Positions.SIDE_BY_SIDE or not any(
        each.is_of_a_set for each in looked if each
    )
    is_asked = is_asked and len(kinds) < len(paths)
    told = ome_xml_places(root.path) if is_asked else {}
    found: list[Together | Location] = []
    begun: set[Hashable] = set()
    for path, each in zip(paths, looked, strict=True):
        alike = kinds[each.kind] if each is not None else []
        corners = corners_of(alike, told) if len(alike) > 1 else None
        if each is None or not _are_positions(alike, corners):
            found.append(path)
        elif each.kind not in begun:
            begun.add(each.kind)
            is_all = len(alike) == len(paths)
            names = tuple(each.name for each in alike)
            images = _as_one(root, alike, is_all, how, corners, notes)
            found += (Together(image, names) for image in images)
    return found


def _are_positions(alike: Sequence[Looked], corners: object) -> bool:
    if len(alike) < 2 or not any(0 not in each.shape for each in alike):
        return False
    if any(each.is_ours for each in alike):
        return all(each.is_of_a_set for each in alike)
    layers = len(alike) * len(alike[0].channels)
    return corners is not None or layers > MAX_LAYERS


def _as_one(
    root: Node,
    alike: Sequence[Looked],
    is_all: bool,
    how: Positions,
    corners: Sequence[Corner] | None,
    notes: Notes,
) -> Iterator[StoredImage]:
    """Positions of one kind as one image, and one for each name of labels in them."""
    shapes = {each.shape for each in alike}
    largest = tuple(map(max, zip(*shapes, strict=True)))
    if len(shapes) > 1:
        notes.append(
            f"positions of {root.path} have other sizes, up to {largest}: of smaller "
            "ones there is black behind the last step"
        )
    _tell_state(root, notes)
    name = title_of(root.path)
    title = name if is_all else f"{name}: {alike[0].name}"
    filled = [each for each in alike if 0 not in each.shape]
    some = filled[:: math.ceil(len(filled) / MAX_SAMPLES)]
    opened = [image for each in some if (image := _opened(each.node, notes))]
    if not opened:
        raise InvalidStore(f"{root.path}: no position can be read: {notes[-1]}")
    if any(image.affine for image in opened):
        notes.append(f"positions of {root.path} are shown straight: {STRAIGHT}")
    paths: dict[Hashable, Location] = {
        at: each.node.path for at, each in enumerate(alike)
    }
    arrangement = _arrangement(root, alike, how, corners, notes)
    whole = _arranged(root, opened, paths, largest, arrangement)
    all_channels = [each.channels for each in alike]
    channels = with_limits_of_all(whole.channels, all_channels, alike[0].dtype)
    yield replace(whole, name=title, channels=channels)
    look_up(path / "labels" for path in paths.values())
    labels = [label.name for path in paths.values() for label in _labels_at(path)]
    for label in dict.fromkeys(labels):
        inner = {at: path / "labels" / label for at, path in paths.items()}
        some_labels = [image for path in inner.values() if (image := _shown(path))]
        if some_labels:
            sizes = {image.levels[0].shape for image in some_labels}
            room = tuple(map(max, zip(*sizes, strict=True)))
            image = _arranged(root, some_labels, inner, room, arrangement)
            yield replace(image, name=label, objects=image.objects or ({},))


def _tell_state(root: Node, notes: Notes) -> None:
    state = state_of(root.path, mapping(root.attributes.get(RECORD_KEY)))
    if state.startswith(BEING_WRITTEN):
        notes.append(f"{root.path} is {state}: shown is what was there when it opened")
    elif state != WHOLE:
        notes.append(f"{root.path} is {state}")


def _opened(node: Node, notes: Notes) -> StoredImage | None:
    try:
        return shown(open_image(node))
    except InvalidStore as error:
        notes.append(f"left out a position: {error}")
        return None


def _shown(path: Location) -> StoredImage | None:
    node = open_node(path)
    return None if node is None or not node.kind else shown(open_image(node))


def _labels_at(path: Location) -> list[Location]:
    try:
        return list(labels_in(path / "labels"))
    except InvalidStore:
        return []


def _arrangement(
    root: Node,
    alike: Sequence[Looked],
    how: Positions,
    corners: Sequence[Corner] | None,
    notes: Notes,
) -> Arrangement:
    if how is Positions.SLIDER:
        return BehindSlider(len(alike))
    if corners is None:
        notes.append(
            f"nothing says where the positions of {root.path} are: they lie in rows"
        )
        height, width = alike[0].shape[-2:]
        across = math.ceil(math.sqrt(len(alike)))
        corners = [
            (row * height, column * width)
            for row, column in (divmod(i, across) for i in range(len(alike)))
        ]
    top, left = (min(corner[i] for corner in corners) for i in range(2))
    return ByPlace({i: (y - top, x - left) for i, (y, x) in enumerate(corners)})


def _arranged(
    root: Node,
    opened: Sequence[StoredImage],
    paths: dict[Hashable, Location],
    largest: tuple[int, ...],
    arrangement: Arrangement,
) -> StoredImage:
    """Images of one kind as one, of which some are opened."""
    first = opened[0]
    fields = Fields(root.path, paths, _shown)
    rooms = rooms_of(
        first, largest, np.result_type(*(i.levels[0].dtype for i in opened))
    )
    is_slider = isinstance(arrangement, BehindSlider)
    if not is_slider:
        rooms = _smaller_still(rooms, arrangement)
    axis = first.channel_axis
    more = 1 if is_slider else 0
    return replace(
        first,
        path=root.path,
        axes=(*[Axis("p", "")] * more, *first.axes),
        channel_axis=None if axis is None else axis + more,
        levels=tuple(
            lazy_over(Mosaic(fields, arrangement, room), fields.takes_time, keeps=True)
            for room in rooms
        ),
        scale=(*[1.0] * more, *first.scale),
        translation=(0.0,) * (more + len(first.axes)),
        affine=None,
        record=mapping(root.attributes.get(RECORD_KEY)),
        notes=(),
        samples=tuple(
            LazyArray(sample, order=(None, *range(sample.ndim))) if more else sample
            for image in opened
            for sample in image.samples
        ),
    )


def _smaller_still(rooms: list[Room], arrangement: Arrangement) -> list[Room]:
    """With further levels, as long as all together are large."""
    rooms = list(rooms)
    while max(arrangement.shape(rooms[-1])[-2:]) > SMALLEST_SIDE:
        last = rooms[-1]
        halved = [math.ceil(side / 2) for side in last.shape[-2:]]
        by = [2 * by for by in last.shrunk[-2:]]
        rooms.append(
            replace(
                last,
                shape=(*last.shape[:-2], *halved),
                shrunk=(*last.shrunk[:-2], *by),
            )
        )
    return rooms
