"""A camera with GenICam's standard features, whichever SDK reads them.

Knows no SDK: a subclass says how a feature is read and how a frame is had.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from .features import (
    BY_NAME,
    FRAME_RATE_ENABLE,
    RESULTING_FRAME_RATE,
    STANDARD,
    Feature,
    automatic,
    fitting,
    scaled,
)
from .frame_numbers import FrameNumbers
from .pixel_format import PixelFormat
from .probes import Probes
from .protocol import (
    CameraError,
    CameraStats,
    FrameInfo,
    Setting,
    SettingValue,
)

_RING_BYTES = 256 << 20  # half a second of a fast camera, and little of a computer's


def ring_frames(frame_bytes: int) -> int:
    """Return how many frames an SDK shall hold for a reader that is late."""
    return max(4, min(64, _RING_BYTES // max(1, frame_bytes)))


class StandardCamera(ABC):
    """A camera whose settings are standard features.

    What it cannot be asked is left out, and said in `info`: see `Probes`.

    A Bayer mosaic is recorded as it is, one colour a pixel; `info` names it then.
    If pixels cannot be recorded when the camera is opened, it gets the first pixel type
    that can.

    Parameters
    ----------
    info : mapping
        Name, vendor, model, serial number: what is known before it is opened.
    """

    _period: int | None = None  # of frame numbers, see `FrameNumbers`; set by `_begin`

    def __init__(self, info: Mapping[str, str]) -> None:
        self._info = dict(info)
        self._probes = Probes(self._info["name"])
        self._connected = False
        self._offered: dict[str, str] = {}  # the feature behind each setting
        self._layout: tuple[PixelFormat, tuple[int, ...]] | None = None  # while running
        self._numbers = FrameNumbers()
        self._usable: dict[str, bool] = {}  # pixel formats that were tried

    # What a subclass does with its SDK. All that it raises becomes `CameraError`.

    @abstractmethod
    def _connect(self) -> None:
        """Take the camera; what was taken must be given back where that fails."""

    @abstractmethod
    def _disconnect(self) -> None:
        """Give the camera back."""

    @abstractmethod
    def _feature(self, name: str) -> Feature | None:
        """Read a feature from the camera, None where it has no such thing now."""

    @abstractmethod
    def _write(self, name: str, value: SettingValue) -> None:
        """Write a feature."""

    @abstractmethod
    def _begin(self) -> None:
        """Begin to take frames."""

    @abstractmethod
    def _end(self) -> None:
        """Take no more frames."""

    @abstractmethod
    def _take(self, out: npt.NDArray[Any], timeout_s: float) -> FrameInfo | None:
        """Give one frame to `_put` and `_numbers`, None where there was none to give.

        That is at the timeout, or earlier after a frame that cannot be used.
        """

    def _can_unpack(self, pixel_format: PixelFormat) -> bool:
        """Whether the SDK hands this over as an array of pixels."""
        return True

    @property
    def _name(self) -> str:
        return self._info["name"]

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        try:
            yield
        except CameraError:
            raise
        except Exception as error:
            raise CameraError(f"{self._name} {what}: {error}") from error

    def _read(self, name: str) -> Feature | None:
        with self._asking(f"cannot tell its {name}"):
            return self._feature(name)

    def _read_if_possible(self, name: str) -> Feature | None:
        """Read a feature that the camera can do without."""
        return self._probes.ask(name, partial(self._feature, name), None)

    # The `Camera` protocol

    @property
    def info(self) -> Mapping[str, str]:
        """Name, vendor, model, serial number, and the mosaic where there is one."""
        info = {**self._info, **self._probes.info}
        if self._connected:
            with suppress(CameraError):  # of one that is gone the rest is still true
                pixel_format = self._pixel_format()
                if pixel_format.is_mosaic:
                    colours = pixel_format.components.removeprefix("Bayer")
                    info["mosaic"] = f"Bayer, first pixels {colours}, raw"
        return info

    @property
    def settings(self) -> Sequence[Setting]:
        """The settings with their present values, ranges and choices."""
        self._must_be_open()
        asked = (
            self._probes.ask(name, partial(self._setting, name), None)
            for name in self._offered
        )
        return tuple(found[0] for found in asked if found is not None)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a frame, `(height, width)` or `(3, height, width)`."""
        if self._layout is not None:
            return self._layout[1]
        self._must_be_open()
        height, width = (self._number(name) for name in ("Height", "Width"))
        return self._pixel_format().shape(int(height), int(width))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a pixel."""
        return self._pixel_format().dtype

    @property
    def bit_depth(self) -> int:
        """Bits of a pixel that carry signal."""
        return self._pixel_format().bit_depth

    @property
    def frame_rate(self) -> float | None:
        """Frames a second to expect; None where a trigger decides, or nobody knows."""
        self._must_be_open()
        return self._probes.ask("frame rate", self._expected_rate, None)

    def _expected_rate(self) -> float | None:
        trigger = self._read("TriggerMode")
        if trigger is not None and trigger.value == "On":
            return None
        if (resulting := self._first(RESULTING_FRAME_RATE)) is not None:
            rate = float(resulting[1].value)
        elif "frame_rate" in self._offered and self._keeps_frame_rate():
            rate = float(self.get("frame_rate"))
        else:
            return None
        if "exposure_ms" in self._offered:  # which not every camera has reckoned with
            rate = min(rate, 1000 / float(self.get("exposure_ms")))
        return rate or None

    @property
    def pixel_size_um(self) -> float | None:
        """The camera does not know what lens is before it."""
        return None

    @property
    def stats(self) -> CameraStats:
        """Counts since `start`; frames lost at the very end are not among them."""
        return self._numbers.stats

    def open(self) -> None:
        """Connect. Raises `CameraError` where that fails."""
        if self._connected:
            return
        with self._asking("cannot be opened"):
            self._connect()
            self._connected = True
            try:
                self._choose_pixel_format()
                self._offered = self._find_settings()
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Disconnect; may be called twice."""
        if not self._connected:
            return
        try:
            self.stop()
        finally:
            self._connected, self._offered = False, {}
            with self._asking("cannot be closed"):
                self._disconnect()

    def get(self, name: str) -> SettingValue:
        """Read a setting; raises `CameraError` when there is no such name."""
        return self._setting(name)[0].value

    def set(self, name: str, value: SettingValue) -> SettingValue:
        """Change a setting, numbers within their range; returns the value in force.

        Raises `CameraError` when there is no such setting or choice, when it is locked,
        or when the camera refuses.
        """
        setting, feature = self._setting(name)
        if setting.locked_while_running and self._layout is not None:
            raise CameraError(f"stop the camera first: {name} is locked while it runs")
        auto = automatic(name)
        if not feature.writable and auto in self._offered:
            raise CameraError(f"{name} is automatic now: set {auto} to Off first")
        standard = BY_NAME[name]
        wanted = fitting(setting, feature, standard.scale, value)
        with self._asking(f"refused {name} = {value}"):
            if name == "frame_rate":
                for enable in FRAME_RATE_ENABLE:
                    self._write_if_possible(enable, True)
            if name == "binning":
                self._write_if_possible("BinningVertical", wanted)
            self._write(self._offered[name], wanted)
        return self.get(name)

    def start(self) -> None:
        """Begin to take frames; raises `CameraError` unless open and stopped."""
        self._must_be_open()
        if self._layout is not None:
            raise CameraError(f"{self._name} runs already: stop it first")
        layout = self._pixel_format(), self.shape
        with self._asking("cannot be started"):
            self._write_if_possible("AcquisitionMode", "Continuous")
            self._begin()
        self._layout = layout
        self._numbers = FrameNumbers(self._period)

    def stop(self) -> None:
        """Take no more frames; may be called twice."""
        if self._layout is None:
            return
        self._layout = None
        with self._asking("could not be stopped"):
            self._end()

    def read_into(self, out: npt.NDArray[Any], timeout_s: float) -> FrameInfo | None:
        """Copy the next frame into `out`; None at the timeout.

        Raises `CameraError` when the camera does not run or `out` does not fit, and
        `CameraLost` when the camera is gone.
        """
        if self._layout is None:
            raise CameraError(f"{self._name} does not run: start it first")
        if (out.shape, out.dtype) != (self.shape, self.dtype):
            raise CameraError(
                f"frames of this camera are {self.shape} {self.dtype}, "
                f"the array to fill is {out.shape} {out.dtype}"
            )
        deadline = time.perf_counter() + timeout_s
        while True:
            left_s = max(0.0, deadline - time.perf_counter())
            with self._asking("cannot be read"):
                info = self._take(out, left_s)
            if info is not None or time.perf_counter() >= deadline:
                return info

    def _put(self, out: npt.NDArray[Any], planes: npt.NDArray[Any]) -> bool:
        """Copy a frame into `out`; False, and counted as lost, if it does not fit."""
        if (planes.shape, planes.dtype) != (self.shape, self.dtype):
            self._numbers.lose()
            return False
        out[...] = planes
        return True

    def _with(
        self, feature: Feature, name: str, more: Mapping[str, Callable[[], Any]]
    ) -> Feature:
        """Add to a feature what else can be asked of it; the rest is left out."""
        asked = {
            part: self._probes.ask(f"{part} of {name}", ask, None)
            for part, ask in more.items()
        }
        known = {part: value for part, value in asked.items() if value is not None}
        return replace(feature, **known)

    def _must_be_open(self) -> None:
        if not self._connected:
            raise CameraError(f"{self._name} is closed: open it first")

    def _first(self, names: Sequence[str]) -> tuple[str, Feature] | None:
        """Return the first of these features that there is."""
        for name in names:
            if (feature := self._read(name)) is not None:
                return name, feature
        return None

    def _number(self, name: str) -> float:
        feature = self._read(name)
        if feature is None:
            raise CameraError(f"{self._name} does not say its {name}")
        return float(feature.value)

    def _write_if_possible(self, name: str, value: SettingValue) -> None:
        feature = self._read_if_possible(name)
        if feature is not None and feature.writable and feature.value != value:
            self._write(name, value)

    def _find_settings(self) -> dict[str, str]:
        """Return the feature behind each setting that can be offered."""
        offered: dict[str, str] = {}
        for standard in STANDARD:
            find = partial(self._first, standard.features)
            if (found := self._probes.ask(standard.name, find, None)) is None:
                continue
            # Automatic exposure locks the exposure, and can be turned off.
            if found[1].writable or automatic(standard.name) in offered:
                offered[standard.name] = found[0]
        return offered

    def _setting(self, name: str) -> tuple[Setting, Feature]:
        """Return a setting as it is now, and the feature behind it."""
        self._must_be_open()
        if name not in self._offered:
            raise CameraError(
                f"{self._name} has no setting {name!r}, only {', '.join(self._offered)}"
            )
        standard = BY_NAME[name]
        feature = self._read(self._offered[name])
        if feature is None:
            raise CameraError(f"{self._name} cannot tell its {name} now")
        value, choices = feature.value, feature.choices
        if name == "pixel_type":
            choices = tuple(filter(self._is_usable, choices))
        if name == "frame_rate" and not self._keeps_frame_rate():
            # As fast as it can: the number that it does not keep to says nothing.
            value = float(self.frame_rate or value)
        return Setting(
            name,
            standard.label,
            scaled(value, standard.scale),
            None if feature.minimum is None else feature.minimum * standard.scale,
            None if feature.maximum is None else feature.maximum * standard.scale,
            choices,
            standard.unit or feature.unit,
            standard.locked or (self._layout is not None and not feature.writable),
        ), feature

    def _keeps_frame_rate(self) -> bool:
        find = partial(self._first, FRAME_RATE_ENABLE)
        enable = self._probes.ask("frame rate switch", find, None)
        return enable is None or bool(enable[1].value)

    def _is_usable(self, name: str) -> bool:
        def ask() -> bool:
            pixel_format = PixelFormat.of(name)
            return pixel_format is not None and self._can_unpack(pixel_format)

        if name not in self._usable:
            self._usable[name] = self._probes.ask(f"pixel format {name}", ask, False)
        return self._usable[name]

    def _pixel_format(self) -> PixelFormat:
        if self._layout is not None:
            return self._layout[0]
        self._must_be_open()
        feature = self._read("PixelFormat")
        name = "" if feature is None else str(feature.value)
        pixel_format = PixelFormat.of(name)
        if pixel_format is None:
            raise CameraError(f"{self._name} has pixels of an unknown type {name!r}")
        return pixel_format

    def _choose_pixel_format(self) -> None:
        """Take the first pixel format that can be used, unless the present one can."""
        feature = self._read("PixelFormat")
        if feature is None or self._is_usable(str(feature.value)):
            return
        usable = [*filter(self._is_usable, feature.choices)]
        if not usable:
            raise CameraError(
                f"{self._name} has no pixel format that can be recorded, only "
                f"{', '.join(feature.choices) or feature.value}"
            )
        self._write("PixelFormat", usable[0])
