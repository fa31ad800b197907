"""Where a layer lies: scale, translation, units and labels of its axes.

Duck-typed: a layer's metadata may come from napari or from any reader plugin.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_zarr_stream._writer.axes import check_units
from napari_zarr_stream._writer.errors import InvalidProperties

Meta = Mapping[str, Any]


SAME = 1e-5
"""Of a number: a float of 32 bits has 7 digits, and some are lost in calculations."""

NEGLIGIBLE_PX = 0.01
"""How far the far end of a layer may be turned or slanted aside: nobody sees that."""


def place_of(
    who: str, meta: Meta, shape: Sequence[int]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Scale and position of a layer, from all of its transforms together.

    napari scales a pixel's place, shears and rotates it, adds "translate", and applies
    "affine" to what comes out. The scale is negative along an axis that is mirrored.

    Parameters
    ----------
    who : str
        The layer, for messages.
    meta : mapping
    shape : sequence of int
        Without an axis of colours.

    Raises
    ------
    InvalidProperties
        Transforms that come to more than a scale and a translation.
    """
    ndim = len(shape)
    start = np.array(numbers_of(who, meta, "translate", ndim, 0.0))
    linear = np.diag(numbers_of(who, meta, "scale", ndim, 1.0))
    blamed = []
    for name, matrix_of in (("shear", _shear), ("rotate", _rotation)):
        matrix = _embedded(who, name, matrix_of(who, meta.get(name)), ndim)
        linear = matrix @ linear
        blamed += [name] if _aside(matrix, shape) else []
    affine = _embedded(who, "affine", _affine(meta.get("affine")), ndim + 1)
    blamed += ["affine"] if _aside(affine[:-1, :-1], shape) else []
    start = affine[:-1, :-1] @ start + affine[:-1, -1]
    linear = affine[:-1, :-1] @ linear
    if _aside(linear, shape):
        raise _turned(who, blamed)
    return tuple(np.diag(linear).tolist()), tuple(start.tolist())


def same_size(one: float, other: float) -> bool:
    """Whether two scales are the same but for rounding to 32 bits on the way."""
    return math.isclose(one, other, rel_tol=SAME)


def same_position(one: float, other: float, scale: float) -> bool:
    """Whether two positions are the same, to a fraction of a pixel of this size."""
    return math.isclose(one, other, rel_tol=SAME, abs_tol=NEGLIGIBLE_PX * abs(scale))


def _aside(linear: npt.NDArray[np.float64], shape: Sequence[int]) -> bool:
    """Whether axes are mixed by more than can be neglected."""
    own = np.abs(np.diag(linear))
    others = np.abs(linear - np.diag(np.diag(linear))) @ np.asarray(shape, float)
    return bool((others > NEGLIGIBLE_PX * own).any())


def _turned(who: str, names: Sequence[str]) -> InvalidProperties:
    return InvalidProperties(
        f"{who} is turned or slanted by {', '.join(names)}, and OME-Zarr holds only a "
        f"scale and a translation: reset {', '.join(f'layer.{name}' for name in names)}"
        " (as the transform tool's Reset does), or resample the pixels"
    )


def _embedded(
    who: str, name: str, matrix: npt.NDArray[np.float64], ndim: int
) -> npt.NDArray[np.float64]:
    """A matrix for the last axes as one for all; as in napari, the first ones stay."""
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise InvalidProperties(
            f"{who}: {name} of shape {matrix.shape} is no transform"
        )
    more = len(matrix) - ndim
    if more > 0 and not np.allclose(matrix, np.eye(len(matrix))):
        raise InvalidProperties(f"{who}: {name} is for {more} axes more than it has")
    whole = np.eye(ndim)
    if more <= 0:
        whole[-more:, -more:] = matrix
    return whole


def _affine(given: Any) -> npt.NDArray[np.float64]:
    if given is None:
        return np.eye(1)
    return np.asarray(getattr(given, "affine_matrix", given), dtype=float)


def _rotation(who: str, given: Any) -> npt.NDArray[np.float64]:
    """From degrees in the last two axes, degrees about three axes, or a matrix."""
    values = np.asarray(0.0 if given is None else given, dtype=float)
    if values.ndim == 2:
        return values
    if not values.any():
        return np.eye(1)
    if values.ndim == 0:
        return _turn(2, 0, 1, float(values))
    if values.shape != (3,):
        raise _turned(who, ["rotate"])
    yaw, pitch, roll = values.tolist()
    return _turn(3, 0, 1, yaw) @ _turn(3, 0, 2, pitch) @ _turn(3, 1, 2, roll)


def _turn(
    ndim: int, first: int, second: int, degrees: float
) -> npt.NDArray[np.float64]:
    matrix = np.eye(ndim)
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix[[first, second], [first, second]] = cosine
    matrix[first, second], matrix[second, first] = -sine, sine
    return matrix


def _shear(who: str, given: Any) -> npt.NDArray[np.float64]:
    """From the values above the diagonal, or a matrix."""
    values = np.asarray([] if given is None else given, dtype=float)
    if values.ndim == 2:
        return values
    if not values.any():
        return np.eye(1)
    ndim = round((1 + np.sqrt(1 + 8 * values.size)) / 2)
    if values.size != ndim * (ndim - 1) // 2:
        raise _turned(who, ["shear"])
    matrix = np.eye(ndim)
    matrix[np.triu_indices(ndim, 1)] = values.ravel()
    return matrix


def numbers_of(
    who: str, meta: Meta, key: str, ndim: int, default: float
) -> tuple[float, ...]:
    """One number for each axis; as in napari, missing ones are those of the first axes.

    Raises
    ------
    InvalidProperties
        More numbers than axes.
    """
    given = meta.get(key)
    values = [] if given is None else np.atleast_1d(np.asarray(given, float)).tolist()
    if len(values) == 1 and np.isscalar(given):
        values *= ndim
    if len(values) > ndim:
        raise InvalidProperties(
            f"{who}: {key} has {len(values)} values for {ndim} axes"
        )
    return (*[default] * (ndim - len(values)), *values)


def units_of(who: str, meta: Meta, ndim: int) -> tuple[str | None, ...]:
    """One unit for each axis, as a word; None for "pixel".

    Raises
    ------
    InvalidProperties
        Another number of units than axes.
    """
    given = meta.get("units")
    if given is None or isinstance(given, str) or not isinstance(given, Sequence):
        given = [given] * ndim
    if len(given) != ndim:
        raise InvalidProperties(f"{who}: {len(given)} units for {ndim} axes")
    words = [None if unit is None else str(unit) for unit in given]
    return tuple(None if word in ("pixel", "") else word for word in words)


def checked_units(
    who: str, units: Sequence[str | None], axes: str
) -> tuple[str | None, ...]:
    """The NGFF words; a channel axis has none.

    Raises
    ------
    InvalidProperties
        A unit that is not one for its axis; says how to change it.
    """
    given = [None if axis == "c" else u for axis, u in zip(axes, units, strict=True)]
    try:
        return check_units(given, axes)
    except InvalidProperties as error:
        raise InvalidProperties(
            f"{who}: {error}. Change layer.units, or label the axes if they are others "
            f"than {axes!r}"
        ) from None


def labels_of(who: str, meta: Meta, ndim: int) -> tuple[str, ...]:
    """One label for each axis, "" where there is none.

    Raises
    ------
    InvalidProperties
        Another number of labels than axes.
    """
    given = meta.get("axis_labels") or [""] * ndim
    if len(given) != ndim:
        raise InvalidProperties(f"{who}: {len(given)} axis labels for {ndim} axes")
    return tuple(map(str, given))
