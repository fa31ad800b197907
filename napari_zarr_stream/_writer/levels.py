"""Which of z, y and x are halved for each next level, and the shapes that makes."""

import math

from .grid import ceil_div
from .properties import ZHalving

Shape = tuple[int | None, ...]
Voxel = tuple[float, float, float]

ABOUT_EQUAL = math.sqrt(2)
"""Of lengths: what is longer by more comes closer to equal if the other doubles."""


def level_shapes(
    axes: str,
    shape: Shape,
    tile_shape: tuple[int, int, int],
    z_halving: ZHalving,
    voxel: Voxel | None,
) -> tuple[Shape, ...]:
    """Halve, rounding up, until a plane is at most one tile, and z what its rule says.

    Parameters
    ----------
    axes : str
    shape : tuple of int or None
        A z axis without bound is not halved.
    tile_shape : (int, int, int)
        Planes, height, width.
    z_halving : ZHalving
    voxel : (float, float, float) or None
        Lengths along z, y and x in one unit, for `ZHalving.BY_VOXEL_SIZE`.
    """
    levels = [shape]
    while axes_now := _halved(axes, levels[-1], tile_shape, z_halving, voxel):
        above = levels[-1]
        levels.append(
            tuple(
                ceil_div(size, 2) if size is not None and axis in axes_now else size
                for axis, size in zip(axes, above, strict=True)
            )
        )
        if voxel:
            z, y, x = (
                # A row or column of one pixel is not halved.
                length * 2
                if axis in axes_now and above[axes.index(axis)] != 1
                else length
                for axis, length in zip("zyx", voxel, strict=True)
            )
            voxel = z, y, x
    return tuple(levels)


def _halved(
    axes: str,
    shape: Shape,
    tile_shape: tuple[int, int, int],
    z_halving: ZHalving,
    voxel: Voxel | None,
) -> str:
    """The axes that are halved next; none after the last level."""
    tile_planes, tile_height, tile_width = tile_shape
    height, width = shape[-2:]
    assert height is not None
    assert width is not None
    in_plane = "yx" if height > tile_height or width > tile_width else ""
    depth = (axes[-3:-2] == "z" and shape[-3]) or 1
    is_above_tile = depth > tile_planes
    if z_halving is ZHalving.UNTIL_IT_FITS:
        return ("z" if is_above_tile else "") + in_plane
    if z_halving is ZHalving.WITH_YX or depth == 1:
        with_z = in_plane and tile_planes > 1 and is_above_tile
        return ("z" if with_z else "") + in_plane
    assert voxel is not None
    ratio = voxel[0] / _length_in_plane(voxel, height, width)
    if ratio * ABOUT_EQUAL < 1:
        return "z" if in_plane or is_above_tile else ""
    return "z" + in_plane if in_plane and ratio <= ABOUT_EQUAL else in_plane


def _length_in_plane(voxel: Voxel, height: int, width: int) -> float:
    """The geometric mean along y and x, as far as these can be halved."""
    _, y, x = voxel
    if height == 1:
        return x
    return y if width == 1 else math.sqrt(y * x)
