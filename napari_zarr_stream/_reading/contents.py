"""What lies inside a root: a series of images, labels, images some folders down."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count, islice, takewhile
from pathlib import Path
from typing import Any

from napari_zarr_stream._writer.errors import InvalidStore

from .documents import SCENE, Node, mapping, open_node, understanding
from .location import (
    Location,
    Within,
    entries_of,
    inside,
    look_up,
    path_below,
    those_inside,
)
from .systems import transformations_of

MAX_IMAGES = 256
"""Together: each is one or more layers, and takes some 10 ms to open."""

MAX_POSITIONS = 2**12
"""Images that may be shown as one, or are only listed: to look at one takes some ms."""

MAX_FOLDERS = 1000
"""Looked into, where nothing says where images are: 0.1 s."""

DEPTH = 3
"""Folders down, at which SpatialData and others have their images."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was found below a folder.

    Attributes
    ----------
    images : tuple of Node
        Images, plates, label images: all that say what they are.
    arrays : tuple of Location
        Those in no image.
    """

    images: tuple[Node, ...]
    arrays: tuple[Location, ...]

    def __bool__(self) -> bool:
        return bool(self.images or self.arrays)

    def in_words(self) -> str:
        """What it is, for who may want to open a part of it."""
        names = [str(path) for path in (*(n.path for n in self.images), *self.arrays)]
        more = f" and {len(names) - 10} more" if len(names) > 10 else ""
        what = "images" if self.images else "arrays that nothing describes as images"
        return f"{len(names)} {what}: {', '.join(names[:10])}{more}"


def no_zarr(place: Location, found: Found) -> InvalidStore:
    """What to say of a place that is no store by itself."""
    if isinstance(place, Path) and not place.exists():
        return InvalidStore(f"{place} does not exist")
    there = f". Inside are {found.in_words()}" if found else ""
    return InvalidStore(f"{place} is not a Zarr group or array{there}")


def find_inside(folder: Location) -> Found:
    """Images and arrays below a folder whose own metadata name none.

    Raises
    ------
    InvalidStore
        The folder cannot be looked into.
    """
    with understanding(folder):
        images: list[Node] = []
        arrays: list[Location] = []
        left: list[tuple[Location, int]] = [(folder, 0)]
        looked = 0
        while left and looked < MAX_FOLDERS:
            at, depth = left.pop(0)
            below = _folders(at)
            look_up(below)
            for path in below:
                looked += 1
                node = _node(path)
                if node is not None and node.is_array:
                    arrays.append(path)
                elif node is not None and node.kind:
                    images.append(node)
                elif depth + 1 < DEPTH:
                    left.append((path, depth + 1))
        return Found(tuple(images), tuple(arrays))


def _folders(path: Location) -> list[Location]:
    names = [
        entry.name
        for entry in entries_of(path, follow_links=False) or ()
        if entry.is_folder and not entry.name.startswith(".")
    ]
    return [path / name for name in sorted(names, key=_in_order)]


def _in_order(name: str) -> list[tuple[int, str]]:
    """2 comes before 10."""
    return [
        (int(part), "") if part.isdecimal() and len(part) < 20 else (0, part)
        for part in re.split(r"(\d+)", name)
    ]


def _node(path: Location) -> Node | None:
    try:
        return open_node(path)
    except InvalidStore:
        return None  # and so nothing that can be shown


def levels_there(path: Location, found: Found | None = None) -> list[dict[str, str]]:
    """Arrays called 0, 1, 2 ..., as the levels of an image; none where others lie."""
    arrays = (found or find_inside(path)).arrays
    names = [path_below(path, array) for array in arrays]
    numbers = range(len(names))
    if names not in ([str(i) for i in numbers], [f"s{i}" for i in numbers]):
        return []
    return [{"path": name} for name in names]


def without_words(node: Node, found: Found | None = None) -> Node | None:
    """What says nothing of itself, as an image of the arrays in it; None for others.

    So lies a recording whose program was killed before it wrote what it is.
    """
    datasets = levels_there(node.path, found)
    if not datasets:
        return None
    names = ", ".join(entry["path"] for entry in datasets)
    note = f"nothing says what it is: arrays {names} are taken for levels"
    return replace(
        node,
        ome={"multiscales": [{"datasets": datasets}]},
        notes=(*node.notes, note),
    )


def series_of(
    node: Node, most: int = MAX_IMAGES, notes: list[str] | None = None
) -> list[Location]:
    """Images of a bioformats2raw group: those listed, or those numbered 0, 1, 2 ...

    Parameters
    ----------
    node : Node
    most : int
        That can be shown together.
    notes : list of str
        Grows by those that lie outside.

    Raises
    ------
    InvalidStore
        They are more than can be shown.
    """
    with understanding(node.path):
        overview = _node(node.path / "OME")
        names = overview.ome.get("series") if overview else None
        if isinstance(names, list) and names:
            listed = listed_in(node.path, names, most)
            return those_inside(node.path, listed, [] if notes is None else notes)
        listed = listed_in(node.path, sorted(_numbers_in(node.path, most)), most)
        return [inside(node.path, number) for number in listed]


BY_THEMSELVES = (
    "how the images of a scene lie to each other is not applied: each is shown where "
    "it lies by itself"
)


def scene_of(node: Node) -> list[Location]:
    """Images of a scene of OME-NGFF 0.6: those that it names, then others in it.

    Raises
    ------
    InvalidStore
        They are more than can be shown.
    """
    with understanding(node.path):
        names = [
            mapping(mapping(transformation).get(end)).get("path")
            for transformation in transformations_of(mapping(node.ome[SCENE]))
            for end in ("input", "output")
        ]
        found: list[Location] = []
        for name in names:
            if name and ".." not in str(name):
                with contextlib.suppress(InvalidStore):  # of those that lie outside
                    found.append(inside(node.path, name))
        found += [image.path for image in find_inside(node.path).images]
        once = list(dict.fromkeys(found))
        refuse_more(node.path, len(once))
        return [path for path in once if _node(path)]


def _numbers_in(folder: Location, most: int) -> list[int]:
    """Numbers that things in a folder are called."""
    if isinstance(folder, Within):
        entries = entries_of(folder)
        if entries is not None:
            return [int(entry.name) for entry in entries if entry.name.isdecimal()]
        # Where nothing can be listed, they are asked for one after the other.
        there = takewhile(lambda number: (folder / number).is_dir(), count())
        return list(islice(there, most + 1))
    return [int(path.name) for path in folder.iterdir() if path.name.isdecimal()]


def listed_in(group: Location, names: Any, most: int = MAX_IMAGES) -> list[Any]:
    """Names of images that a group lists, each once, and not more than `most`.

    Raises
    ------
    InvalidStore
        More than can be shown.
    """
    once = list(dict.fromkeys(map(str, names))) if isinstance(names, list) else []
    refuse_more(group, len(once), most)
    return once


def refuse_more(group: Location, count: int, most: int = MAX_IMAGES) -> None:
    """Raise InvalidStore, where images are more than can be shown together."""
    if count > most:
        raise InvalidStore(
            f"{group} holds {count} images; {most} can be shown together: "
            "open them one by one"
        )


def labels_in(group: Location) -> Iterator[Location]:
    """Label images of a `labels` group: those listed, or those that lie there.

    Raises
    ------
    InvalidStore
        They are more than can be shown.
    """
    node = open_node(group)
    names = listed_in(group, node.ome.get("labels") if node else None)
    if names:
        yield from (group / name for name in names)
    elif group.is_dir():
        yield from (image.path for image in find_inside(group).images)
