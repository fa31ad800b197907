"""Plates and wells: all fields of all wells, or all of a well, as one image.

Each acquisition is an image of its own, and so are its labels. What is written of a
field is looked at at once, since no well stands for the others; its pixels when they
are looked at.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np

from napari_zarr_stream._writer.errors import InvalidStore

from .array_document import shape_in
from .axes import Notes, display_order
from .channels import ShownChannel, with_limits_of_all
from .contents import labels_in
from .documents import Node, mapping, open_node, sequence, short, understanding
from .far import lazy_over
from .fields import Fields, rooms_of
from .image import StoredImage, first_levels, multiscales_of, open_image, shown
from .location import (
    Location,
    inside,
    look_up,
    path_below,
    those_inside,
    title_of,
)
from .mosaic import STRAIGHT, Grid, Mosaic, Place
from .well_tiles import side_by_side_in_wells

MAX_SIDE = 2**7
"""Wells in a row or a column; the largest plates in use have 72."""

MAX_LOOKED = 2**11
"""Fields whose metadata is read before a plate is shown; the largest plates in use have
1,536 wells. Larger ones are shown with room for what these have."""

MAX_SAMPLES = 4
"""Fields in which contrast is looked for."""

Group = int | str | None


def plate_images(node: Node, notes: Notes) -> Iterator[StoredImage]:
    """A plate or well as images: one for each acquisition, and one for each label.

    Parameters
    ----------
    node : Node
    notes : list of str
        Grows by what is left out.

    Raises
    ------
    InvalidStore
        No field of it can be read.
    """
    with understanding(node.path):
        wells, grid, fields = (_of_plate if node.kind == "plate" else _of_well)(
            node, notes
        )
        notes.extend(node.notes)
        if not fields:
            raise InvalidStore(f"{node.path}: none of its {wells} fields is there")
        names = _names_of(node)
        shown_any = False
        for group, paths in fields.items():
            unnamed = "no acquisition" if group is None else f"acquisition {group}"
            name = names.get(group, unnamed)
            title = name if len(fields) > 1 else ""
            for image in _images(node, title, paths, grid, notes):
                shown_any = True
                yield image
        if not shown_any:
            raise InvalidStore(
                f"{node.path}: no field can be read: {'; '.join(notes[-3:])}"
            )


def _names_of(node: Node) -> dict[Group, str]:
    """Names of acquisitions; a well has those of its plate."""
    plate = mapping(node.ome.get("plate"))
    if not plate:
        above = _node(node.path.parent.parent)
        plate = mapping(above.ome.get("plate")) if above else {}
    listed = map(mapping, sequence(plate.get("acquisitions")))
    return {
        _group(a.get("id")): str(a["name"])
        for a in listed
        if isinstance(a.get("name"), str) and a["name"]
    }


def _node(path: Location) -> Node | None:
    try:
        return open_node(path)
    except InvalidStore:
        return None


def _group(given: Any) -> Group:
    return given if isinstance(given, int | str) else None


Layout = tuple[int, Place, dict[Group, dict[Place, Location]]]
"""How many there should be; rows and columns; what is there of each acquisition."""


def _of_plate(node: Node, notes: Notes) -> Layout:
    """The fields that each well has of each acquisition, in the tile of the well."""
    plate = mapping(node.ome["plate"])
    entries = [
        {"path": entry} if isinstance(entry, str) else mapping(entry)
        for entry in sequence(plate.get("wells"))[: MAX_SIDE**2]
    ]
    rows, columns = (_side(plate, key, entries, i) for i, key in enumerate(_SIDES))
    if max(len(rows), len(columns)) > MAX_SIDE:
        raise InvalidStore(f"{node.path}: {len(rows)} x {len(columns)} wells")
    found: dict[Group, dict[Place, list[Location]]] = {}
    missing = 0
    look_up(node.path / str(entry.get("path")).strip("/") for entry in entries)
    for entry in entries:
        place = _place(entry, rows, columns)
        if place is None:
            notes.append(f"{short(entry)} is no well of {node.path}: passed over")
            continue
        there = those_inside(node.path, [entry["path"]], notes)
        well = _node(there[0]) if there else None
        if well is None:
            missing += 1
            continue
        for group, names in _fields_of(well).items():
            fields = those_inside(well.path, names, notes)
            found.setdefault(group, {})[place] = fields
    if missing:
        notes.append(f"{missing} of {len(entries)} wells of {node.path} are not there")
    shown = {group: _as_many_as_fit(wells, notes) for group, wells in found.items()}
    (down, across), places = side_by_side_in_wells(shown)
    return len(entries), (len(rows) * down, len(columns) * across), places


def _as_many_as_fit(
    wells: Mapping[Place, list[Location]], notes: Notes
) -> dict[Place, list[Location]]:
    """The fields of wells; of too many to look at, the first of each."""
    count = sum(map(len, wells.values()))
    if count <= MAX_LOOKED:
        return dict(wells)
    notes.append(
        f"{count - len(wells)} more fields of wells are not shown: open the wells "
        "themselves"
    )
    return {place: fields[:1] for place, fields in wells.items()}


_SIDES = ("rows", "columns")


def _side(
    plate: Mapping[str, Any], key: str, entries: list[Mapping[str, Any]], part: int
) -> list[str]:
    """Names of rows or columns; those in the paths of wells where none are listed."""
    listed = [mapping(entry).get("name") for entry in sequence(plate.get(key))]
    if listed:
        return [str(name) for name in listed]
    paths = [str(entry.get("path")).split("/") for entry in entries]
    return sorted({path[part] for path in paths if len(path) == len(_SIDES)})


def _place(
    entry: Mapping[str, Any], rows: list[str], columns: list[str]
) -> Place | None:
    """Row and column: as 0.4 numbers them, or else as the path names them."""
    path = re.fullmatch(r"/?([^/]+)/([^/]+)/?", str(entry.get("path")))
    if path is None:
        return None
    if path[1] in rows and path[2] in columns:
        return rows.index(path[1]), columns.index(path[2])
    given = entry.get("rowIndex"), entry.get("columnIndex")
    sides = len(rows), len(columns)
    for at, side in zip(given, sides, strict=True):
        if type(at) is not int or not 0 <= at < side:
            return None
    return given  # type: ignore[return-value] # both are int, by the loop


def _of_well(node: Node, notes: Notes) -> Layout:
    """All fields of each acquisition, in the tile of the well."""
    groups = _fields_of(node)
    most = max((len(names) for names in groups.values()), default=0)
    if most > MAX_SIDE**2:
        raise InvalidStore(f"{node.path} lists {most} fields")
    fields = {
        group: {(0, 0): those_inside(node.path, names, notes)}
        for group, names in groups.items()
    }
    return most, *side_by_side_in_wells(fields)


def _fields_of(well: Node) -> dict[Group, list[str]]:
    """Names of a well's fields, by acquisition."""
    found: dict[Group, list[str]] = {}
    for entry in map(mapping, sequence(mapping(well.ome.get("well")).get("images"))):
        if "path" in entry:
            group = _group(entry.get("acquisition"))
            found.setdefault(group, []).append(str(entry["path"]))
    return found


def _images(
    node: Node, title: str, paths: Mapping[Place, Location], grid: Place, notes: Notes
) -> Iterator[StoredImage]:
    """The image of one acquisition, and one for each name that labels have in it."""
    here = list(paths.values())[:MAX_LOOKED]
    look_up([*here, *(path / "labels" for path in here)])
    if missing := sum(not path.is_dir() for path in here):
        notes.append(f"{missing} of {len(here)} fields of {node.path} are not there")
    image = _mosaic(node, paths, grid, notes)
    if image is None:
        notes.append(f"left out {title or node.path}: no field of it can be read")
        return
    name = title_of(node.path)
    prefix = f"{title}: " if title else ""
    yield replace(
        image,
        name=f"{name}: {title}" if title else name,
        channels=tuple(
            replace(c, name=f"{prefix}{c.name}") if c.name else c
            for c in image.channels
        ),
    )
    seen: list[str] = []
    for path in here:
        if (path / "labels").is_dir():
            seen += [label.name for label in _labels_at(path)]
    for label in dict.fromkeys(seen):
        inner = {place: path / "labels" / label for place, path in paths.items()}
        if labels := _mosaic(node, inner, grid, notes):
            yield replace(
                labels, name=f"{prefix}{label}", objects=labels.objects or ({},)
            )


def _labels_at(field: Location) -> list[Location]:
    try:
        return list(labels_in(field / "labels"))
    except InvalidStore:
        return []


def _open_field(root: Location, path: Location) -> StoredImage | None:
    node = open_node(inside(root, path_below(root, path)))
    return None if node is None or not node.kind else open_image(node)


def _shown_field(root: Location, path: Location) -> StoredImage | None:
    field = _open_field(root, path)
    return None if field is None else shown(field)


def _mosaic(
    node: Node, paths: Mapping[Place, Location], grid: Place, notes: Notes
) -> StoredImage | None:
    """Fields as one image, with room for the largest; None where there is none."""
    failures: list[str] = []
    looked = _looked_at(paths, failures)
    ndim = _most_common(len(shape) for shape, _ in looked.values())
    stored_as = {p: found for p, found in looked.items() if len(found[0]) == ndim}
    opened = _opened(node, {place: paths[place] for place in stored_as}, failures)
    if failures:
        notes.append(f"{len(failures)} fields cannot be opened: {failures[0]}")
    if not opened:
        return None
    first = shown(opened[0])
    order = display_order(opened[0].axes)
    alike = {
        place: (tuple(shape[i] for i in order), dtype)
        for place, (shape, dtype) in stored_as.items()
    }
    if len(alike) < len(looked):
        notes.append(f"{len(looked) - len(alike)} fields have other axes: left out")
    shapes = {shape for shape, _ in alike.values()}
    cell = tuple(map(max, zip(*shapes, strict=True)))
    if len(shapes) > 1:
        notes.append(
            f"fields of {node.path} have other sizes, up to {cell}: smaller ones are "
            "shown with black beside them"
        )
    if first.affine:
        notes.append(f"fields of {node.path} are shown straight: {STRAIGHT}")
    is_all_looked_at = len(paths) <= MAX_LOOKED
    fields = Fields(
        node.path,
        {p: path for p, path in paths.items() if p in alike or not is_all_looked_at},
        partial(_shown_field, node.path),
    )
    dtype = np.dtype(np.result_type(*{dtype for _, dtype in alike.values()}))
    axis = first.channel_axis
    count = 1 if axis is None else cell[axis]
    unsaid = [ShownChannel()] * (count - len(first.channels))
    return replace(
        first,
        path=node.path,
        levels=tuple(
            lazy_over(Mosaic(fields, Grid(*grid), room), fields.takes_time, keeps=True)
            for room in rooms_of(first, cell, dtype)
        ),
        translation=(0.0,) * len(first.axes),
        affine=None,
        channels=with_limits_of_all(
            (*first.channels, *unsaid), [image.channels for image in opened], dtype
        ),
        samples=tuple(
            sample
            for image in map(shown, opened)
            for sample in image.samples
            if axis is None or image.levels[0].shape[axis] == count
        ),
    )


def _most_common(counts: Iterable[int]) -> int:
    """Of those that are as frequent, the first; 0 where there are none."""
    return max(Counter(counts).items(), key=itemgetter(1), default=(0, 0))[0]


def _looked_at(
    paths: Mapping[Place, Location], failures: list[str]
) -> dict[Place, tuple[tuple[int, ...], np.dtype[np.generic]]]:
    """Shape and type of each field that is there, out of the documents alone."""
    found = {}
    places = sorted(paths)[:: 1 + len(paths) // MAX_LOOKED]
    look_up(paths[place] for place in places)
    look_up(first_levels(paths[place] for place in places))
    for place in places:
        try:
            with understanding(paths[place]):
                node = open_node(paths[place])
                if node is None:
                    continue
                level = sequence(multiscales_of(node)[0]["datasets"])[0]
                found[place] = shape_in(inside(node.path, level["path"]))
        except InvalidStore as error:
            failures.append(str(error))
    return found


def _opened(
    node: Node, paths: Mapping[Place, Location], failures: list[str]
) -> list[StoredImage]:
    """The first field and a few others, in which contrast is looked for."""
    opened: list[StoredImage] = []
    left = sorted(paths)
    while left and len(opened) < MAX_SAMPLES:
        place = left.pop(0)
        try:
            if (
                field := open_node(
                    inside(node.path, path_below(node.path, paths[place]))
                )
            ) is None:
                continue
            opened.append(open_image(field))
        except InvalidStore as error:
            failures.append(str(error))
            continue
        left = left[max(0, len(left) // (MAX_SAMPLES - len(opened) + 1) - 1) :]
    return opened
