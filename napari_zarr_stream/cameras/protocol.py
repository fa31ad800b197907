"""What a camera is to us: the `Camera` protocol and the values that pass through it.

A vendor's module implements `Camera` and imports its SDK inside. One thread makes every
call on a camera, from `open` to `close`; nothing here starts a thread.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from napari_zarr_stream._writer.errors import SourceFailed

SettingValue = bool | int | float | str


SINGLE_FRAMES = "single frames"
"""Key of `Camera.info` of a camera that can rest between frames."""


class CameraError(SourceFailed):
    """A camera that refused a call; it may still be usable."""


class CameraLost(CameraError):
    """A camera that is gone or has ended its stream: the recording must end."""


class CameraEnded(CameraLost):
    """All that there was to come has come, as at the end of a file: nothing is amiss.

    A recording of it is completed.
    """


@dataclass(frozen=True, slots=True)
class FrameInfo:
    """What the camera said about one frame.

    Attributes
    ----------
    index : int
        0, 1, 2 ... of the frames delivered since `Camera.start`.
    device_index : int or None
        The camera's own number, unwrapped and relative to the first one seen. Gaps are
        lost frames. None where the camera does not number its frames.
    device_time_ns : int or None
        Camera clock with an arbitrary zero: only differences mean something.
    host_time_ns : int
        `time.time_ns()` when this process got the frame, which may have waited in a
        ring: `CameraClock` says when it came.
    lost_before : int
        Frames known to be lost between the previous delivered frame and this one.
    complete : bool
        False where pixels are missing.
    meta : mapping
        Anything else the camera said.
    """

    index: int
    device_index: int | None
    device_time_ns: int | None
    host_time_ns: int
    lost_before: int = 0
    complete: bool = True
    meta: Mapping[str, SettingValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CameraStats:
    """Counts since `Camera.start`.

    `lost` is None where the camera cannot know: that is shown as "unknown", never as 0.
    """

    delivered: int
    lost: int | None
    incomplete: int


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing about a camera that can be set.

    `minimum`, `maximum` bound a number; `choices` lists the values of a string.
    `unit` is for people, as in "ms". `locked_while_running` says that it must not
    change between `Camera.start` and `Camera.stop`; of the others `SettingsWatch` finds
    out what changed meanwhile. `is_path`: a string that names a file, or an address
    that stands for one.

    Names with a meaning of their own, where a camera has such a thing: "exposure_ms",
    "frame_rate" (Hz), "gain", "binning", "pixel_type"; "offset_x", "offset_y", "width",
    "height" (pixels after binning), which together are the region of interest; and
    "address", which has to be set before anything else can be asked for.
    """

    name: str
    label: str
    value: SettingValue
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    unit: str = ""
    locked_while_running: bool = True
    is_path: bool = False


def setting_of(camera: "Camera", name: str) -> Setting:
    """Return a setting by its name; raises `CameraError` when there is no such one."""
    settings = {setting.name: setting for setting in camera.settings}
    if name not in settings:
        raise CameraError(f"no setting {name!r}, only {', '.join(settings)}")
    return settings[name]


def coerced(setting: Setting, value: SettingValue) -> SettingValue:
    """Return `value` with the type of a setting, and a number in its range.

    Raises `CameraError` for what is no such choice or no number.
    """
    kind: type[SettingValue] = type(setting.value)
    if setting.choices or kind is bool:
        choices = setting.choices or (False, True)
        if value in choices:
            return kind(value)
        raise CameraError(f"{setting.name} is one of {choices}, not {value!r}")
    if kind is str:
        return str(value)
    low = -math.inf if setting.minimum is None else setting.minimum
    high = math.inf if setting.maximum is None else setting.maximum
    try:
        return kind(min(max(low, float(value)), high))
    except (TypeError, ValueError, OverflowError):
        raise CameraError(f"{setting.name} is a number, not {value!r}") from None


def channel_names(info: Mapping[str, str]) -> tuple[str, ...]:
    """Names of the planes of a frame, by the `Camera.info`; empty where it has none.

    They stand under "channels", with ", " between them.
    """
    return tuple(filter(None, info.get("channels", "").split(", ")))


def value_range_of(
    dtype: np.dtype[np.generic], bit_depth: int
) -> tuple[float, float] | None:
    """Smallest and largest value of a pixel with so many bits of signal.

    None of floats, whose type says nothing about that.
    """
    if dtype.kind == "u":
        return 0.0, float(2**bit_depth - 1)
    if dtype.kind == "i":
        return -float(2 ** (bit_depth - 1)), float(2 ** (bit_depth - 1) - 1)
    return None


class Camera(Protocol):
    """A source of frames in real time.

    `shape`, `dtype` and `bit_depth` hold from `start` to `stop`. A frame is
    `(height, width)`, or `(channels, height, width)` of a colour camera, and of one
    that stands for several. Where
    "address" is among the settings and not yet set, they raise `CameraError`.
    """

    @property
    def info(self) -> Mapping[str, str]:
        """Name, vendor, model, serial number: what there is.

        "shared" is there if others in this process have set the device up, and says
        who: nothing is set by itself then. "channels" has the names of the planes of a
        frame where they are not red, green and blue: see `channel_names`. "file" is
        where the frames come from if they wait to be read, and none is ever late. "left
        out" says what the camera could not be asked, and why. "single frames" is there
        if it has the methods of `SingleFrames`, and says what becomes of the light.
        """

    @property
    def settings(self) -> Sequence[Setting]:
        """The settings with their present values."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a frame."""

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type of a pixel."""

    @property
    def bit_depth(self) -> int:
        """Bits of a pixel that carry signal, 12 of a uint16 for example.

        With its sign, of a signed one; all of a float.
        """

    @property
    def frame_rate(self) -> float | None:
        """Frames a second to expect, None where the camera cannot tell."""

    @property
    def pixel_size_um(self) -> float | None:
        """Size of a pixel in the sample, None where the camera cannot tell."""

    @property
    def stats(self) -> CameraStats:
        """Counts since `start`."""

    def open(self) -> None:
        """Connect. Raises `CameraError` where that fails."""

    def close(self) -> None:
        """Disconnect; may be called twice."""

    def get(self, name: str) -> SettingValue:
        """Read a setting from the camera."""

    def set(self, name: str, value: SettingValue) -> SettingValue:
        """Change a setting; returns the value in force (SDKs clamp silently)."""

    def start(self) -> None:
        """Begin to take frames."""

    def read_into(
        self, out: npt.NDArray[np.generic], timeout_s: float
    ) -> FrameInfo | None:
        """Copy the next frame into `out`; keeps nothing of it.

        `out` has the camera's `shape` and `dtype`, and nothing is done with it but
        `out[...] = frame`, once: it may be a place that is no plain array.

        Returns None when no frame came within `timeout_s` (at most 0.2 s, so that a
        stop is quick). Raises `CameraLost` when no frame will come any more, and of
        that `CameraEnded` where all frames there are have come.
        """

    def stop(self) -> None:
        """Take no more frames; may be called twice."""


@runtime_checkable
class SingleFrames(Protocol):
    """What a camera may have besides: frames one by one, and rest between them.

    For a time lapse: neither the camera nor a shutter works until the next is due.
    """

    def start_single(self) -> None:
        """As `Camera.start`, but a frame begins when `Camera.read_into` is called.

        That takes as long as the frame does, whatever its timeout.
        """
