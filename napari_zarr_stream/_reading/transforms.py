"""Where level 0 of an image lies: scale and translation out of all transformations.

What scale and translation cannot say is left out, with a note that names it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .axes import Axis, Notes
from .documents import mapping, number, sequence, short

MAX_TRANSFORMS = 64
"""Of one image; more are no description of where it lies."""

MAX_LENGTH = 1e30
"""What napari's transforms still hold, in any unit."""

Place = tuple[tuple[float, ...], tuple[float, ...]]


def place_of(
    multiscale: Mapping[str, Any],
    dataset: Mapping[str, Any],
    axes: Sequence[Axis],
    notes: Notes,
) -> Place:
    """Scale and translation of level 0: its own, then those of all levels.

    Parameters
    ----------
    multiscale, dataset : mapping
        Of the image, and its entry for level 0.
    axes : sequence of Axis
    notes : list of str
        Grows by what is odd.
    """
    scale, start = np.ones(len(axes)), np.zeros(len(axes))
    common = [] if "coordinateSystems" in multiscale else _to_one_system(multiscale)
    own = _listed(dataset)
    for transform in _flat([*own, *common], notes):
        factors, shift = _of_transform(transform, axes, notes)
        scale, start = scale * factors, start * factors + shift
    if not _is_usable(scale) or not _is_shown(start).all():
        notes.append(f"scale {scale.tolist()} from {start.tolist()}: passed over")
        scale, start = np.ones(len(axes)), np.zeros(len(axes))
    return tuple(scale.tolist()), tuple(start.tolist())


def _listed(said: Mapping[str, Any]) -> list[Any]:
    """Transformations, also where one stands alone."""
    given = said.get("coordinateTransformations")
    return [given] if isinstance(given, dict) else sequence(given)


def _to_one_system(multiscale: Mapping[str, Any]) -> list[Any]:
    """Those of all levels that lead to the first system: others are other places."""
    found = _listed(multiscale)
    systems = [str(mapping(mapping(t).get("output")).get("name")) for t in found]
    return [t for t, system in zip(found, systems, strict=True) if system == systems[0]]


def _flat(transforms: list[Any], notes: Notes) -> Iterator[Mapping[str, Any]]:
    """Those that are one by one, in their order."""
    left = list(reversed(transforms))
    for _ in range(MAX_TRANSFORMS):
        if not left:
            return
        transform = left.pop()
        if mapping(transform).get("type") == "sequence":
            left += reversed(sequence(transform.get("transformations")))
        elif isinstance(transform, dict):
            yield transform
        else:
            notes.append(f"{short(transform)} is no transformation: passed over")
    notes.append(f"only the first {MAX_TRANSFORMS} transformations are applied")


def _of_transform(
    transform: Mapping[str, Any], axes: Sequence[Axis], notes: Notes
) -> tuple[Any, Any]:
    """Its factors and shifts, one for each axis."""
    ndim, kind = len(axes), transform.get("type")
    neutral = np.ones(ndim), np.zeros(ndim)
    if kind == "identity":
        return neutral
    if kind == "scale":
        return _numbers(transform, "scale", 1.0, axes, notes), neutral[1]
    if kind == "translation":
        return neutral[0], _numbers(transform, "translation", 0.0, axes, notes)
    if kind == "affine" and (straight := _straight(transform.get("affine"), ndim)):
        return straight
    notes.append(f"transformation {short(kind)} is not applied: {short(transform)}")
    return neutral


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


def _straight(given: Any, ndim: int) -> tuple[Any, Any] | None:
    """An affine matrix that is only a scale and a move; None for all others."""
    rows = [[number(v) for v in sequence(row)] for row in sequence(given)]
    if len(rows) not in (ndim, ndim + 1) or any(len(row) != ndim + 1 for row in rows):
        return None
    if any(value is None for row in rows for value in row):
        return None
    matrix = np.array(rows[:ndim], float)
    factors = np.diag(matrix)
    is_straight = np.array_equal(matrix[:, :ndim], np.diag(factors))
    return (factors, matrix[:, ndim]) if is_straight and (factors > 0).all() else None


def _is_shown(values: Any) -> Any:
    return np.isfinite(values) & (np.abs(values) <= MAX_LENGTH)


def _is_usable(scale: Any) -> bool:
    return bool((_is_shown(scale) & (scale >= 1 / MAX_LENGTH)).all())
