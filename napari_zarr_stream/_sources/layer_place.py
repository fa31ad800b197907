"""Where a layer lies: scale, translation, units and labels of its axes.

Duck-typed: a layer's metadata may come from napari or from any reader plugin.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from napari_zarr_stream._writer.axes import check_units
from napari_zarr_stream._writer.errors import InvalidProperties

Meta = Mapping[str, Any]


def refuse_transforms(who: str, meta: Meta) -> None:
    """Refuse what scale and translation cannot say.

    Raises
    ------
    InvalidProperties
        For a layer that is rotated, sheared or has an affine transform.
    """
    for name in ("rotate", "shear", "affine"):
        given = meta.get(name)
        if given is None:
            continue
        values = np.asarray(getattr(given, "affine_matrix", given), dtype=float)
        neutral = np.eye(len(values)) if values.ndim == 2 else np.zeros_like(values)
        if values.shape != neutral.shape or not np.allclose(values, neutral):
            raise InvalidProperties(
                f"{who} has a transform of its own ({name}), which OME-Zarr cannot "
                f"hold: apply it to the pixels, or reset layer.{name}"
            )


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
