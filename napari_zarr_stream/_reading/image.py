"""A store as it lies on disk: what its metadata says, and its levels as lazy arrays.

Reads OME-NGFF 0.1 to 0.5 of any writer, forgiving what does not matter. Knows no
napari.
"""

import contextlib
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_zarr_stream._writer.colours import hex_of
from napari_zarr_stream._writer.errors import (
    InvalidProperties,
    InvalidStore,
    ZarrStreamError,
)
from napari_zarr_stream._writer.grid import AXES
from napari_zarr_stream._writer.lock import holder_of
from napari_zarr_stream._writer.ngff import AXIS_TYPES, RECORD_KEY, check_units
from napari_zarr_stream._writer.repair import is_left_open
from napari_zarr_stream._writer.store import read_json

from .lazy import LazyArray

WHOLE = "whole"

BEING_WRITTEN = "being written by"

MAX_CHANNELS = 2**16
"""More than any spectrum has."""

MAX_IMAGES = 256
"""Together: each is one or more layers, and takes some 10 ms to open."""

MAX_LEVELS = 64
"""No size can be halved more often."""

VERSIONS = ("0.1", "0.2", "0.3", "0.4", "0.5")


@dataclass(frozen=True, slots=True)
class ShownChannel:
    """How a channel is to be shown; None where nobody said."""

    name: str | None = None
    color: str | None = None
    contrast_limits: tuple[float, float] | None = None
    active: bool = True


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


@dataclass(frozen=True, slots=True)
class Node:
    """A Zarr group or array: its attributes, those of OME-NGFF apart."""

    path: Path
    is_array: bool
    attributes: Mapping[str, Any]
    ome: Mapping[str, Any]


def open_node(path: Path) -> Node | None:
    """What is at `path`; None where it is no Zarr.

    Raises
    ------
    InvalidStore
        Its metadata is damaged.
    """
    with understanding(path):
        return _open_node(path)


def _open_node(path: Path) -> Node | None:
    if (v3 := read_json(path / "zarr.json")) is not None:
        attributes = _mapping(v3.get("attributes"))
        ome = _mapping(attributes.get("ome"))
        return Node(path, v3.get("node_type") == "array", attributes, ome)
    is_array = (path / ".zarray").is_file()
    if is_array or (path / ".zgroup").is_file() or (path / ".zattrs").is_file():
        attributes = read_json(path / ".zattrs") or {}
        return Node(path, is_array, attributes, attributes)
    return None


def open_image(node: Node) -> StoredImage:
    """An image or label image.

    Raises
    ------
    InvalidStore
        Damaged metadata, or no level that can be read.
    """
    with understanding(node.path):
        return _open_image(node)


@contextlib.contextmanager
def understanding(path: Path) -> Iterator[None]:
    """Turn whatever strange metadata lead to into an `InvalidStore`."""
    try:
        yield
    except (
        KeyError, IndexError, TypeError, AttributeError, ValueError, OverflowError,
        RecursionError, OSError, MemoryError,
    ) as error:  # fmt: skip
        if isinstance(error, ZarrStreamError):
            raise
        raise InvalidStore(
            f"{path}: its OME-NGFF metadata cannot be understood: {error!r}"
        ) from error


def inside(root: Path, name: object) -> Path:
    """The path of what a store says is in it.

    Raises
    ------
    InvalidStore
        It is not: a name with "..", or a link that leads elsewhere.
    """
    path = root / str(name)
    try:
        is_inside = path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError) as error:  # links in a circle
        raise InvalidStore(f"{path} leads nowhere: {error}") from error
    if not is_inside or path.resolve() == root.resolve():
        raise InvalidStore(f"{path} is not in the store: left alone")
    return path


def series_of(node: Node) -> list[Path]:
    """Images of a bioformats2raw group: those listed, or those numbered 0, 1, 2 ...

    Raises
    ------
    InvalidStore
        They lie outside, or are more than can be shown.
    """
    with understanding(node.path):
        overview = open_node(node.path / "OME")
        names = overview.ome.get("series") if overview else None
        if isinstance(names, list) and names:
            return [inside(node.path, name) for name in listed_in(node.path, names)]
        numbers = [int(p.name) for p in node.path.iterdir() if p.name.isdecimal()]
        listed = listed_in(node.path, sorted(numbers))
        return [inside(node.path, number) for number in listed]


def listed_in(group: Path, names: Any) -> list[Any]:
    """Names of images that a group lists, each once.

    Raises
    ------
    InvalidStore
        More than can be shown.
    """
    once = list(dict.fromkeys(names)) if isinstance(names, list) else []
    if len(once) > MAX_IMAGES:
        raise InvalidStore(
            f"{group} holds {len(once)} images; {MAX_IMAGES} can be shown together: "
            "open them one by one"
        )
    return once


def _open_image(node: Node) -> StoredImage:
    multiscale = node.ome["multiscales"][0]
    version = str(node.ome.get("version") or multiscale.get("version") or "0.1")
    if version not in VERSIONS:
        raise InvalidStore(
            f"{node.path} is OME-NGFF {version}; only {VERSIONS[0]} to {VERSIONS[-1]} "
            "can be read"
        )
    levels, paths = _open_levels(node.path, multiscale["datasets"])
    axes, types, units = _axes(multiscale.get("axes"), levels[0].ndim)
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
    scale, translation = _transform(multiscale, len(axes))
    count = 1 if channel_axis is None else levels[0].shape[channel_axis]
    return StoredImage(
        path=node.path,
        version=version,
        name=str(multiscale.get("name") or "").strip("/") or _stem(node.path),
        axes=axes,
        channel_axis=channel_axis,
        levels=tuple(levels),
        level_paths=tuple(paths),
        scale=scale,
        translation=translation,
        units=units,
        channels=_channels(node.ome.get("omero"), count),
        label=node.ome.get("image-label"),
        record=_mapping(node.attributes.get(RECORD_KEY)),
    )


def _open_levels(
    root: Path, datasets: Sequence[Mapping[str, Any]]
) -> tuple[list[Any], list[str]]:
    """The levels that can be read: a pyramid can do without all but level 0."""
    levels: list[Any] = []
    paths: list[str] = []
    if len(datasets) > MAX_LEVELS:
        raise InvalidStore(f"{root}: its metadata lists {len(datasets)} levels")
    for dataset in datasets:
        path = str(dataset["path"])
        try:
            levels.append(open_array(inside(root, path)))
        except InvalidStore as error:
            if not levels:
                raise
            warnings.warn(f"left out a level: {error}", UserWarning, stacklevel=5)
            continue
        paths.append(path)
    if not levels:
        raise InvalidStore(f"{root}: its metadata lists no levels")
    return levels, paths


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


def open_array(path: Path) -> LazyArray:
    """A Zarr array.

    Raises
    ------
    InvalidStore
        It is not there, cannot be read, or holds no pixels.
    """
    from .zarr_array import ZarrArray  # 0.3 s, which listing readers need not cost

    array = LazyArray(ZarrArray(path))
    if array.dtype.kind not in "biuf":
        raise InvalidStore(f"array {path} holds {array.dtype}, which are no pixels")
    return array


def _axes(
    given: Sequence[Any] | None, ndim: int
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str | None, ...]]:
    """Names, types and units. 0.1 and 0.2 have none, 0.3 has names only."""
    names, types, units = [], [], []
    for axis in given or AXES[-ndim:]:
        entry = {"name": axis} if isinstance(axis, str) else axis
        name = str(entry["name"])
        names.append(name)
        types.append(str(entry.get("type") or AXIS_TYPES.get(name.lower(), "")))
        units.append(_unit(entry.get("unit"), types[-1]))
    return tuple(names), tuple(types), tuple(units)


def _unit(given: str | None, kind: str) -> str | None:
    """A unit that napari knows as well, or None."""
    try:
        return check_units([given], "t" if kind == "time" else "x")[0]
    except InvalidProperties:
        return None


def _transform(
    multiscale: Mapping[str, Any], ndim: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Scale and translation of level 0: its own, then those of all levels."""
    scale, start = np.ones(ndim), np.zeros(ndim)
    own = multiscale["datasets"][0].get("coordinateTransformations") or []
    common = multiscale.get("coordinateTransformations") or []
    for transform in (*own, *common):
        if transform["type"] == "scale":
            factors = np.asarray(transform["scale"], float)
            scale, start = scale * factors, start * factors
        elif transform["type"] == "translation":
            start = start + np.asarray(transform["translation"], float)
        elif transform["type"] != "identity":
            raise ValueError(f"transformation {transform['type']!r} is unknown")
    if not (np.isfinite(scale).all() and np.isfinite(start).all() and scale.all()):
        raise ValueError(f"scale {scale.tolist()}, translation {start.tolist()}")
    return tuple(scale.tolist()), tuple(start.tolist())


def _channels(omero: Any, count: int) -> tuple[ShownChannel, ...]:
    """What "omero" metadata says; it is optional and others write it with gaps."""
    listed = _mapping(omero).get("channels")
    entries = listed if isinstance(listed, list) else []
    channels = []
    for entry in map(_mapping, entries[:count]):
        window = _mapping(entry.get("window"))
        limits = (window.get("start"), window.get("end"))
        label = entry.get("label")
        channels.append(
            ShownChannel(
                name=None if label is None else str(label),
                color=hex_of(str(entry.get("color") or "")),
                contrast_limits=_limits(limits),
                active=bool(entry.get("active", True)),
            )
        )
    if count > MAX_CHANNELS:
        raise ValueError(f"{count} channels")
    return (*channels, *[ShownChannel()] * (count - len(channels)))


def _limits(given: tuple[Any, Any]) -> tuple[float, float] | None:
    if not all(isinstance(value, int | float) for value in given):
        return None
    low, high = map(float, given)
    return (low, high) if low < high and math.isfinite(high - low) else None


def _mapping(given: Any) -> Mapping[str, Any]:
    return given if isinstance(given, dict) else {}


def _stem(path: Path) -> str:
    return path.name.split(".")[0] or path.name
