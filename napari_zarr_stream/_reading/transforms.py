"""Where level 0 of an image lies: one matrix out of all transformations.

What is no matrix that a viewer can show is left out, with a note that names it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .axes import Axis, Notes, display_order
from .documents import mapping, number, sequence, short
from .systems import flat, path_at, shown_system, transformations_of

MAX_LENGTH = 1e30
"""What napari's transforms still hold, in any unit."""

MAX_SLANT = 1e6
"""How much longer one side of a pixel may become than another by being slanted: beyond
that nothing but a line is seen."""

_Matrix = npt.NDArray[np.float64]

Affine = tuple[tuple[float, ...], ...]
"""Rows of a matrix in homogeneous coordinates, one more than there are axes."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where level 0 of an image lies.

    Attributes
    ----------
    scale, translation : tuple of float
        One for each axis.
    affine : Affine or None
        What comes after them, where it turns or slants the image.
    """

    scale: tuple[float, ...]
    translation: tuple[float, ...]
    affine: Affine | None = None


def place_of(
    multiscale: Mapping[str, Any],
    dataset: Mapping[str, Any],
    axes: Sequence[Axis],
    notes: Notes,
) -> Place:
    """Scale, translation and affine of level 0: its own, then those of all levels.

    Parameters
    ----------
    multiscale, dataset : mapping
        Of the image, and its entry for level 0.
    axes : sequence of Axis
    notes : list of str
        Grows by what is odd.
    """
    listed = [*transformations_of(dataset), *_of_all_levels(multiscale, notes)]
    found = [_matrix_of(transform, axes, notes) for transform in flat(listed, notes)]
    neutral = np.eye(len(axes) + 1)
    place, affine = neutral, neutral
    with np.errstate(all="ignore"):  # what becomes of it is looked at below
        for matrix in found:
            if matrix is None:
                continue
            if affine is neutral and _is_straight(matrix):
                place = matrix @ place
            else:
                affine = matrix @ affine
        if _is_straight(affine @ place):
            place, affine = affine @ place, neutral
    scale, start = np.diag(place)[:-1], place[:-1, -1]
    if not _is_usable(scale) or not _is_shown(start).all():
        notes.append(f"scale {scale.tolist()} from {start.tolist()}: passed over")
        scale, start = np.ones(len(axes)), np.zeros(len(axes))
    if affine is not neutral and (why := _why_not(affine, axes)):
        notes.append(f"affine {short(affine[:-1].tolist())} is not applied: {why}")
        affine = neutral
    if affine is not neutral and _leaves_planes(affine, axes):
        notes.append("it is turned out of its planes, which is seen in 3D only")
    rows = tuple(map(tuple, affine.tolist()))
    return Place(
        tuple(scale.tolist()),
        tuple(start.tolist()),
        None if affine is neutral else rows,
    )


def part_of(affine: Sequence[Sequence[float]], axes: Sequence[int]) -> Affine:
    """An affine of some of its axes, in this order."""
    kept = [*axes, len(affine) - 1]
    return tuple(tuple(affine[row][column] for column in kept) for row in kept)


def placed_beside(
    label: Mapping[str, Any], image: Mapping[str, Any], where: str
) -> Mapping[str, Any]:
    """A label image, placed where its image is shown unless it says where it is itself.

    Both are entries of "multiscales"; that of the label, at a path below the image,
    lies in the intrinsic coordinate system of the image (OME-NGFF 0.6, "labels"), or
    the image says what leads from it there.
    """
    own, system = shown_system(label), shown_system(image)
    if own is None or transformations_of(label):
        return label
    leading = [t for t in transformations_of(image) if path_at(t, "input") == where]
    moved = [system.transformation] if system and system.transformation else []
    if system is None or not (moved or leading):
        return label
    entries = sequence(system.axes)
    names, wanted = (
        [str(mapping(axis).get("name")) for axis in axes]
        for axes in (entries, sequence(own.axes))
    )
    if not set(wanted) <= set(names):
        return label
    axes = [Axis(name, "") for name in names]
    whole = np.eye(len(axes) + 1)
    with np.errstate(all="ignore"):  # as above
        for transform in flat(moved, []):
            if (matrix := _matrix_of(transform, axes, [])) is not None:
                whole = matrix @ whole
    kept = [names.index(name) for name in wanted]
    rows = part_of(whole.tolist(), kept)[:-1]
    there = {"name": "of the image", "axes": [entries[i] for i in kept]}
    return {
        **label,
        "coordinateSystems": [*label["coordinateSystems"], there],
        "coordinateTransformations": {
            "type": "sequence",
            "transformations": [
                *leading[:1],
                {"type": "affine", "affine": [list(row) for row in rows]},
            ],
            "output": there,
        },
    }


def _of_all_levels(multiscale: Mapping[str, Any], notes: Notes) -> list[Any]:
    """What leads to the system that is shown; else to the first: others are others."""
    if (system := shown_system(multiscale)) is not None:
        notes.extend(system.notes)
        return [] if system.transformation is None else [system.transformation]
    found = transformations_of(multiscale)
    systems = [str(mapping(mapping(t).get("output")).get("name")) for t in found]
    return [t for t, system in zip(found, systems, strict=True) if system == systems[0]]


def _matrix_of(
    transform: Mapping[str, Any], axes: Sequence[Axis], notes: Notes
) -> _Matrix | None:
    """In homogeneous coordinates; None, with a note, of what has none here."""
    matrix, kind = np.eye(len(axes) + 1), transform.get("type")
    if kind == "identity":
        return matrix
    if kind == "scale":
        factors = _numbers(transform, "scale", 1.0, axes, notes)
        np.fill_diagonal(matrix[:-1, :-1], factors)
        return matrix
    if kind == "translation":
        matrix[:-1, -1] = _numbers(transform, "translation", 0.0, axes, notes)
        return matrix
    if kind in ("affine", "rotation"):
        columns = len(axes) + (kind == "affine")
        if (rows := _rows(transform.get(kind), len(axes), columns)) is not None:
            matrix[:-1, :columns] = rows
            return matrix
    notes.append(f"transformation {short(kind)} is not applied: {short(transform)}")
    return None


def _numbers(
    transform: Mapping[str, Any],
    key: str,
    neutral: float,
    axes: Sequence[Axis],
    notes: Notes,
) -> Any:
    given = transform.get(key)
    if not isinstance(given, list) or len(given) != len(axes):
        notes.append(f"{key} {short(given)} does not fit {len(axes)} axes: passed over")
        return np.full(len(axes), neutral)
    values = []
    for axis, text in zip(axes, given, strict=True):
        value = number(text)
        is_scale = key == "scale"
        if value is None or abs(value) > MAX_LENGTH or (is_scale and value <= 0):
            # A pixel that is mirrored is as large as one that is not.
            is_mirrored = is_scale and value is not None and -MAX_LENGTH < value < 0
            value = abs(value) if value is not None and is_mirrored else neutral
            notes.append(f"{key} {short(text)} of axis {axis.name}: {value:g} instead")
        values.append(value)
    return np.array(values)


def _rows(given: Any, ndim: int, columns: int) -> _Matrix | None:
    """Rows of a matrix, also where the last one of homogeneous ones was written."""
    rows = [[number(v) for v in sequence(row)] for row in sequence(given)]
    if len(rows) == columns > ndim and rows[-1] == [0.0] * ndim + [1.0]:
        del rows[-1]
    if len(rows) != ndim or any(len(row) != columns or None in row for row in rows):
        return None
    return np.array(rows, float)


def _is_straight(matrix: _Matrix) -> bool:
    """Whether it is only a scale and a move."""
    linear = matrix[:-1, :-1]
    factors = np.diag(linear)
    return np.array_equal(linear, np.diag(factors)) and bool((factors > 0).all())


def _why_not(affine: _Matrix, axes: Sequence[Axis]) -> str | None:
    """Why a viewer cannot show it; None where one can."""
    linear = affine[:-1, :-1]
    others = [i for i, axis in enumerate(axes) if axis.kind in ("time", "channel")]
    for i in others:
        along = np.concatenate([np.delete(linear[i], i), np.delete(linear[:, i], i)])
        if along.any() or not linear[i, i] > 0:
            return f"axis {axes[i].name} is no axis of space"
    if not _is_shown(affine).all():
        return "its numbers are too large"
    lengths = np.linalg.norm(linear, axis=0)
    if not lengths.all() or np.linalg.cond(linear / lengths) > MAX_SLANT:
        return "nothing of the image but a line would be left"
    return None


def _leaves_planes(affine: _Matrix, axes: Sequence[Axis]) -> bool:
    """Whether planes of y and x lie aside of where a slider has them."""
    order = list(display_order(axes))
    linear = affine[np.ix_(order, order)]
    return bool(linear[:-2, -2:].any() or linear[-2:, :-2].any())


def _is_shown(values: Any) -> Any:
    return np.isfinite(values) & (np.abs(values) <= MAX_LENGTH)


def _is_usable(scale: Any) -> bool:
    return bool((_is_shown(scale) & (scale >= 1 / MAX_LENGTH)).all())
