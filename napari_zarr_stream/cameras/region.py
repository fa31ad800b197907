"""The region of interest of a camera: which part of its sensor it reads out.

Rectangles come in pixels of the picture shown, as napari has them: pixel i reaches from
i - 0.5 to i + 0.5. Knows no Qt.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .protocol import Camera, CameraError, Setting, SettingValue


class Rectangle(NamedTuple):
    """Corners in pixels of the picture shown; they need not lie within it."""

    left: float
    top: float
    right: float
    bottom: float


class Region(NamedTuple):
    """Pixels of the sensor, after binning; the names are those of the settings."""

    offset_x: int
    offset_y: int
    width: int
    height: int


def region_of(settings: Sequence[Setting]) -> Region | None:
    """The region in force; None of a camera that has no such settings."""
    found = {setting.name: setting for setting in settings}
    if not set(Region._fields) <= found.keys():
        return None
    return Region(*(int(found[name].value) for name in Region._fields))


def full_sensor(settings: Sequence[Setting]) -> Region:
    """All pixels there are. The settings are those of a camera with a region.

    The largest size counts from the present offset.
    """
    found = {setting.name: setting for setting in settings}

    def size(offset: str, side: str) -> int:
        setting = found[side]
        largest = setting.value if setting.maximum is None else setting.maximum
        return int(found[offset].value) + int(largest)

    return Region(0, 0, size("offset_x", "width"), size("offset_y", "height"))


def region_within(rectangle: Rectangle, shown: Region) -> Region:
    """The pixels that a rectangle touches, of a picture that shows a region.

    Raises
    ------
    CameraError
        The rectangle lies beside the picture.
    """
    left, width = _touched(rectangle.left, rectangle.right, shown.width)
    top, height = _touched(rectangle.top, rectangle.bottom, shown.height)
    if width < 1 or height < 1:
        raise CameraError(
            f"The rectangle lies outside the picture of {shown.width} × "
            f"{shown.height} pixels: draw it on the picture."
        )
    return Region(shown.offset_x + left, shown.offset_y + top, width, height)


def _touched(low: float, high: float, size: int) -> tuple[int, int]:
    """First pixel and number of pixels between two places, of a row of `size`."""
    first = max(0, math.floor(low + 0.5))
    end = min(size, math.ceil(high + 0.5))
    return first, end - first


def set_region(camera: Camera, region: Region) -> Region:
    """Change the region; returns the one in force, which cameras round to their steps.

    The offsets go to 0 first, and are set last: no step on the way leaves the sensor.

    Raises
    ------
    CameraError
        The camera refused. The region is as before, if it lets it be.
    """
    before = Region(*(int(camera.get(name)) for name in Region._fields))
    try:
        return _set_in_order(camera, region)
    except CameraError:
        _set_in_order(camera, before)
        raise


def _set_in_order(camera: Camera, region: Region) -> Region:
    for name in ("offset_x", "offset_y"):
        camera.set(name, 0)
    for name in ("width", "height", "offset_x", "offset_y"):
        camera.set(name, getattr(region, name))
    return Region(*(int(camera.get(name)) for name in Region._fields))


_FIRST = ("address", "device", "binning", "pixel_type", "exposure_auto", "gain_auto")
"""In this order, before the others: what is there depends on the first two, the size of
the sensor and of a region on the next, and what is automatic cannot be set."""

_NEAR = 0.01  # cameras round; more than this is worth a word


def restore_settings(camera: Camera, wanted: Mapping[str, SettingValue]) -> list[str]:
    """Set what was in force another time; returns what is not as it was, for people.

    Settings limit each other (an exposure ends with the frame, offset and width stay on
    the sensor): the region is set as a whole, and what is not as wanted is set once
    more when all others are. What the camera does not have is left out.
    """
    problems: dict[str, str] = {}
    for name in _FIRST:
        _restore_one(camera, name, wanted, problems)
    if set(Region._fields) <= wanted.keys() and region_of(camera.settings) is not None:
        others = wanted.keys() - {*_FIRST, *Region._fields}
        try:
            region = Region(*(int(wanted[name]) for name in Region._fields))
            if region != region_of(camera.settings):
                set_region(camera, region)
        except (CameraError, ValueError) as error:
            problems["region"] = f"Not as last time: {error}"
    else:
        others = wanted.keys() - set(_FIRST)
    ordered = [name for name in wanted if name in others]
    for name in (*ordered, *ordered):
        _restore_one(camera, name, wanted, problems)
    return list(problems.values())


def _restore_one(
    camera: Camera,
    name: str,
    wanted: Mapping[str, SettingValue],
    problems: dict[str, str],
) -> None:
    present = {setting.name: setting.value for setting in camera.settings}
    if name not in wanted or name not in present:
        return
    value = wanted[name]
    if present[name] == value:
        problems.pop(name, None)
        return
    try:
        in_force = camera.set(name, value)
    except CameraError as error:
        problems[name] = f"Not as last time: {error}"
        return
    problems.pop(name, None)
    if not _is_near(in_force, value):
        problems[name] = f"Not as last time: {name} is {in_force}, it was {value}"


def _is_near(one: SettingValue, other: SettingValue) -> bool:
    if isinstance(one, bool | str) or isinstance(other, bool | str):
        return one == other
    return math.isclose(one, other, rel_tol=_NEAR)
