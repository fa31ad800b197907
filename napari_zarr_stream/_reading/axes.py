"""Where an image lies: its axes with their units, its scale and translation."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from napari_zarr_stream._writer.axes import AXIS_TYPES, check_units
from napari_zarr_stream._writer.errors import InvalidProperties
from napari_zarr_stream._writer.grid import AXES


def axes_of(
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


def transform_of(
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
