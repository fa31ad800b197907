"""The levels of an image, full size first, as lazy arrays: level 0 is the truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from napari_zarr_stream._writer.errors import InvalidStore

from .axes import Axis, Notes
from .documents import mapping
from .far import lazy_over
from .kept import KeptArray
from .lazy import LazyArray
from .location import Location, Unreachable, inside, is_remote, look_up

MAX_LEVELS = 64
"""No size can be halved more often."""


@dataclass(frozen=True, slots=True)
class Level:
    """One level as it is stored.

    Attributes
    ----------
    path : str
        Below the image.
    array : LazyArray
    axis_names : tuple of str
        What the array itself calls its axes; empty where it does not.
    entry : mapping
        What the image says of it.
    """

    path: str
    array: LazyArray
    axis_names: tuple[str, ...]
    entry: Mapping[str, Any]


def open_levels(root: Location, datasets: Sequence[Any], notes: Notes) -> list[Level]:
    """The levels that can be read: a pyramid can do without all but the first.

    Raises
    ------
    InvalidStore
        The first cannot be read; says which others can.
    """
    if len(datasets) > MAX_LEVELS:
        raise InvalidStore(f"{root}: its metadata lists {len(datasets)} levels")
    if not datasets:
        raise InvalidStore(f"{root}: its metadata lists no levels")
    levels: list[Level] = []
    failures: list[InvalidStore] = []
    paths = [mapping(entry).get("path", i) for i, entry in enumerate(datasets)]
    look_up(root / str(path).strip("/") for path in (*paths, "labels"))
    for number, entry in enumerate(datasets):
        path = str(mapping(entry).get("path", number)).strip("/")
        if path in [level.path for level in levels]:
            continue
        try:
            levels.append(_open_level(root, path, mapping(entry), notes))
        except InvalidStore as error:
            if isinstance(error.__cause__, Unreachable):
                raise
            if number == 0:
                failures.append(error)
            else:
                notes.append(f"left out a level: {error}")
    if not failures:
        return levels
    smaller = ", ".join(f"{root / level.path}" for level in levels)
    raise InvalidStore(
        f"{failures[0]}. Smaller levels can be opened by themselves: {smaller}"
        if smaller
        else str(failures[0])
    ) from failures[0]


def _open_level(
    root: Location, path: str, entry: Mapping[str, Any], notes: Notes
) -> Level:
    from .zarr_array import ZarrArray  # 0.3 s, which listing readers need not cost

    array = ZarrArray(inside(root, path))
    notes.extend(array.notes)
    return Level(path, _pixels(array), array.axis_names, entry)


def open_array(path: Location, notes: Notes) -> tuple[LazyArray, tuple[str, ...]]:
    """A Zarr array, and what it calls its axes.

    Raises
    ------
    InvalidStore
        It is not there, cannot be read, or holds no pixels.
    """
    from .zarr_array import ZarrArray

    array = ZarrArray(path)
    notes.extend(array.notes)
    return _pixels(array), array.axis_names


def _pixels(array: Any) -> LazyArray:
    if array.dtype.kind not in "biuf":
        raise InvalidStore(
            f"array {array.path} holds {array.dtype}, which are no pixels"
        )
    return lazy_over(KeptArray(array), is_remote(array.path))


def fitting(levels: Sequence[Level], axes: Sequence[Axis], notes: Notes) -> list[Level]:
    """Level 0 as it is, and those that show the same, smaller in y, x and perhaps z.

    Others' pyramids may be smaller along time or channels, of which no plane is to be
    lost; while a store grows, smaller levels may be ahead of level 0.
    """
    first = levels[0]
    spatial = [i for i, axis in enumerate(axes) if _is_spatial(axis)]
    spatial = spatial or list(range(len(axes)))[-2:]
    alike = [level for level in levels if level.array.ndim == first.array.ndim]
    by_size = sorted(alike, key=lambda level: -_product(level.array.shape, spatial))
    if _product(by_size[0].array.shape, spatial) > _product(first.array.shape, spatial):
        notes.append(
            f"level {by_size[0].path} is larger than level {first.path}, which is "
            "listed first: it is the full size here"
        )
    else:
        by_size = [first, *(level for level in by_size if level is not first)]
    full = by_size[0].array
    fit = by_size[:1]
    for level in [other for other in levels if other not in by_size[:1]]:
        if why := _unfit(level.array, full, spatial):
            notes.append(f"left out level {level.path} of {level.array.shape}: {why}")
            continue
        there = tuple(
            slice(None) if i in spatial else slice(full.shape[i])
            for i in range(full.ndim)
        )
        cut = level.array[there]
        assert isinstance(cut, LazyArray)
        fit.append(replace(level, array=cut))
    return [fit[0], *sorted(fit[1:], key=lambda f: -_product(f.array.shape, spatial))]


def _unfit(level: LazyArray, full: LazyArray, spatial: Sequence[int]) -> str | None:
    """Why a level does not show what `full` shows."""
    if level.ndim != full.ndim:
        return f"level 0 has {full.ndim} axes"
    if level.dtype.newbyteorder("=") != full.dtype.newbyteorder("="):
        return f"it holds {level.dtype}, level 0 {full.dtype}"
    for i, (size, whole) in enumerate(zip(level.shape, full.shape, strict=True)):
        if i in spatial and (size > whole or (whole and not size)):
            return f"level 0 is {full.shape}"
        if i not in spatial and size < whole:
            return f"level 0 is {full.shape}, and would lose planes"
    return None


def _is_spatial(axis: Axis) -> bool:
    return axis.kind == "space"


def _product(shape: Sequence[int], axes: Sequence[int]) -> int:
    product = 1
    for axis in axes:
        product *= shape[axis]
    return product
