"""GenICam's standard features, and the settings of ours that they are behind.

The names are those of the Standard Features Naming Convention (SFNC) and of what came
before it. Knows no SDK and asks no camera.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .protocol import CameraError, Setting, SettingValue


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature as it is now: its value, and what of it the camera permits."""

    value: SettingValue
    writable: bool
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    choices: tuple[str, ...] = ()
    unit: str = ""


class Standard(NamedTuple):
    """A setting of ours and the features that may be behind it; the first is taken."""

    name: str
    label: str
    features: tuple[str, ...]
    unit: str = ""  # where the camera says none
    scale: float = 1.0  # from the feature's unit to ours
    locked: bool = False  # since it changes what a frame is, or where


STANDARD = (
    Standard("width", "Width", ("Width",), "px", locked=True),
    Standard("height", "Height", ("Height",), "px", locked=True),
    Standard("offset_x", "Offset x", ("OffsetX",), "px", locked=True),
    Standard("offset_y", "Offset y", ("OffsetY",), "px", locked=True),
    Standard("binning", "Binning", ("BinningHorizontal",), locked=True),
    Standard("pixel_type", "Pixel type", ("PixelFormat",), locked=True),
    Standard(
        "frame_rate",
        "Frame rate",
        ("AcquisitionFrameRate", "AcquisitionFrameRateAbs"),
        "Hz",
    ),
    Standard("exposure_auto", "Automatic exposure", ("ExposureAuto",)),
    Standard(
        "exposure_ms", "Exposure", ("ExposureTime", "ExposureTimeAbs"), "ms", 1e-3
    ),
    Standard("gain_auto", "Automatic gain", ("GainAuto",)),
    Standard("gain", "Gain", ("Gain", "GainAbs", "GainRaw")),
    Standard("trigger", "Trigger", ("TriggerMode",)),
    Standard("trigger_source", "Trigger source", ("TriggerSource",)),
)
BY_NAME = {standard.name: standard for standard in STANDARD}
FRAME_RATE_ENABLE = ("AcquisitionFrameRateEnable", "AcquisitionFrameRateEnabled")
RESULTING_FRAME_RATE = (
    "ResultingFrameRate",
    "AcquisitionResultingFrameRate",
    "BslResultingAcquisitionFrameRate",
    "ResultingFrameRateAbs",
)


def automatic(name: str) -> str:
    """Return the setting that locks this one where it is on."""
    return f"{name.removesuffix('_ms')}_auto"


def scaled(value: SettingValue, scale: float) -> SettingValue:
    """Return a value in the unit of ours; what has none stays as it is."""
    return value if scale == 1 else float(value) * scale


def fitting(
    setting: Setting, feature: Feature, scale: float, value: SettingValue
) -> SettingValue:
    """Return what to write: of the feature's type, in its range and on its steps."""
    if setting.choices:
        if value in setting.choices:
            return value
        raise CameraError(f"{setting.name} is one of {setting.choices}, not {value!r}")
    try:
        number = float(value) / scale
    except ValueError:
        raise CameraError(f"{setting.name} is a number, not {value!r}") from None
    if not np.isfinite(number):
        raise CameraError(f"{setting.name} is a finite number, not {value!r}")
    low = -np.inf if feature.minimum is None else feature.minimum
    high = np.inf if feature.maximum is None else feature.maximum
    number = min(max(low, number), high)
    if isinstance(feature.value, int):
        step = int(feature.step or 1)
        start = 0 if feature.minimum is None else int(feature.minimum)
        return start + (int(number) - start) // step * step
    return number
