"""What of a Micro-Manager camera can be set: exposure, some properties, its region."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_zarr_stream.cameras.probes import Probes
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
    core: "CMMCorePlus", label: str, sensor: Size | None, probes: Probes
) -> Iterator[Setting]:
    """Yield what can be set of the core's camera; no region where `sensor` is None."""
    questions: dict[str, Callable[[], Sequence[Setting]]] = {
        "exposure": lambda: [_exposure_setting(core, label, probes)]
    }
    for name in PROPERTIES:
        questions[name] = partial(_property_setting, core, label, name, probes)
    if sensor is not None:
        questions["region"] = partial(_region_settings, core, sensor)
    for what, question in questions.items():
        yield from probes.ask(what, question, ())


def change(core: "CMMCorePlus", label: str, name: str, value: SettingValue) -> None:
    """Change a setting; the value has its type and is in its range."""
    if name == "exposure_ms":
        core.setExposure(float(value))
    elif name in _REGION:
        region = dict(zip(_REGION, core.getROI(), strict=True))
        core.setROI(*(region | {name: int(value)}).values())
    else:
        core.setProperty(label, PROPERTIES[name][0], value)


def _exposure_setting(core: "CMMCorePlus", label: str, probes: Probes) -> Setting:
    low, high = _limits(core, label, "Exposure", probes)
    value = float(core.getExposure())
    return Setting("exposure_ms", "Exposure", value, low or 0.0, high, (), "ms", False)


def _property_setting(
    core: "CMMCorePlus", label: str, name: str, probes: Probes
) -> Sequence[Setting]:
    """A property as a setting, where the camera has it and lets it be set."""
    from pymmcore_plus import PropertyType

    key, title, locked = PROPERTIES[name]
    if not core.hasProperty(label, key) or core.isPropertyReadOnly(label, key):
        return ()
    value: Any = core.getProperty(label, key)
    # they come sorted as text: 1, 16, 2
    values = map(str, core.getAllowedPropertyValues(label, key))
    choices = tuple(sorted(values, key=lambda text: (len(text), text)))
    kind = core.getPropertyType(label, key)
    if len(choices) > 1:
        value = str(value)
        return (Setting(name, title, value, None, None, choices, "", locked),)
    if choices or kind not in (PropertyType.Integer, PropertyType.Float):
        return ()
    number = int(value) if kind is PropertyType.Integer else float(value)
    low, high = _limits(core, label, key, probes)
    return (Setting(name, title, number, low, high, (), "", locked),)


def _limits(
    core: "CMMCorePlus", label: str, key: str, probes: Probes
) -> tuple[float | None, float | None]:
    def ask() -> tuple[float | None, float | None]:
        if core.hasProperty(label, key) and core.hasPropertyLimits(label, key):
            low = core.getPropertyLowerLimit(label, key)
            return low, core.getPropertyUpperLimit(label, key)
        return None, None

    return probes.ask(f"limits of {key}", ask, (None, None))


def _region_settings(core: "CMMCorePlus", sensor: Size) -> Sequence[Setting]:
    x, y, width, height = core.getROI()
    free = sensor[0] - width, sensor[1] - height
    room = sensor[0] - x, sensor[1] - y
    bounds = ((x, 0, free[0]), (y, 0, free[1]), (width, 1, room[0]))
    return [
        Setting(name, _REGION[name], *numbers, unit="px")
        for name, numbers in zip(_REGION, (*bounds, (height, 1, room[1])), strict=True)
    ]


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
