"""What of a Micro-Manager camera can be set: exposure, some properties, its region."""

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from napari_zarr_stream.cameras.protocol import Setting, SettingValue

if TYPE_CHECKING:
    from pymmcore_plus import CMMCorePlus

_REGION = {
    "offset_x": "Offset x",
    "offset_y": "Offset y",
    "width": "Width",
    "height": "Height",
}
PROPERTIES = {
    "binning": ("Binning", "Binning", True),
    "pixel_type": ("PixelType", "Pixel type", True),
    "gain": ("Gain", "Gain", False),
    "em_gain": ("EMGain", "EM gain", False),
}
"""Name here: name in Micro-Manager, label, whether it is locked while running."""

Size = tuple[int, int]
"""Width and height of a sensor in pixels after binning."""


def settings_of(
    core: "CMMCorePlus", label: str, sensor: Size | None
) -> Iterator[Setting]:
    """Yield what can be set of the core's camera; no region where `sensor` is None."""
    yield _exposure_setting(core, label)
    for name in PROPERTIES:
        yield from _property_setting(core, label, name)
    if sensor is not None:
        yield from _region_settings(core, sensor)


def change(core: "CMMCorePlus", label: str, name: str, value: SettingValue) -> None:
    """Change a setting; the value has its type and is in its range."""
    if name == "exposure_ms":
        core.setExposure(float(value))
    elif name in _REGION:
        region = dict(zip(_REGION, core.getROI(), strict=True))
        core.setROI(*(region | {name: int(value)}).values())
    else:
        core.setProperty(label, PROPERTIES[name][0], value)


def _exposure_setting(core: "CMMCorePlus", label: str) -> Setting:
    low, high = _limits(core, label, "Exposure")
    value = float(core.getExposure())
    return Setting("exposure_ms", "Exposure", value, low or 0.0, high, (), "ms", False)


def _property_setting(core: "CMMCorePlus", label: str, name: str) -> Iterator[Setting]:
    """Yield a property as a setting where the camera has it and lets it be set."""
    from pymmcore_plus import PropertyType

    key, title, locked = PROPERTIES[name]
    if not core.hasProperty(label, key) or core.isPropertyReadOnly(label, key):
        return
    value: Any = core.getProperty(label, key)
    # they come sorted as text: 1, 16, 2
    values = map(str, core.getAllowedPropertyValues(label, key))
    choices = tuple(sorted(values, key=lambda text: (len(text), text)))
    kind = core.getPropertyType(label, key)
    if len(choices) > 1:
        yield Setting(
            name, title, str(value), choices=choices, locked_while_running=locked
        )
    elif not choices and kind in (PropertyType.Integer, PropertyType.Float):
        number = int(value) if kind is PropertyType.Integer else float(value)
        limits = _limits(core, label, key)
        yield Setting(name, title, number, *limits, locked_while_running=locked)


def _limits(
    core: "CMMCorePlus", label: str, key: str
) -> tuple[float | None, float | None]:
    if core.hasProperty(label, key) and core.hasPropertyLimits(label, key):
        low = core.getPropertyLowerLimit(label, key)
        return low, core.getPropertyUpperLimit(label, key)
    return None, None


def _region_settings(core: "CMMCorePlus", sensor: Size) -> Iterator[Setting]:
    x, y, width, height = core.getROI()
    free = sensor[0] - width, sensor[1] - height
    room = sensor[0] - x, sensor[1] - y
    bounds = ((x, 0, free[0]), (y, 0, free[1]), (width, 1, room[0]))
    for name, numbers in zip(_REGION, (*bounds, (height, 1, room[1])), strict=True):
        yield Setting(name, _REGION[name], *numbers, unit="px")


def sensor_of(core: "CMMCorePlus") -> Size | None:
    """Find the size of the sensor, by a region that is taken away and put back.

    There is no other way to ask, and devices take regions that reach beyond it. None
    where the camera has no regions, or runs.
    """
    with suppress(RuntimeError):  # a Python device has no such thing
        if core.isMultiROIEnabled():
            return None
    if core.isSequenceRunning():
        return None
    region = core.getROI()
    core.clearROI()
    whole = core.getROI()
    try:
        core.setROI(*whole)
    except RuntimeError:
        return None  # this camera has no regions
    if region == whole:
        core.clearROI()  # some crop in software while there is a region
    else:
        core.setROI(*region)
    _, _, width, height = whole
    return width, height
