"""Simulated cameras: a real clock and a driver's ring buffer, but no device.

They lose frames as cameras do, to a slow reader, and cost next to nothing to read.
"""

import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from .host_clock import host_time_ns
from .patterns import PATTERNS, Draw, Image, Sensor, drawing_of
from .protocol import (
    CameraError,
    CameraLost,
    CameraStats,
    FrameInfo,
    Setting,
    SettingValue,
    coerced,
    setting_of,
)

_RING_S = 0.5  # what drivers hold, more or less
_STAMP_BYTES = 8
_NORMAL_EXPOSURE_MS = 10.0  # at which the pictures look right
_BIT_DEPTHS = {
    "uint8": 8,
    "uint16 (12 bit)": 12,
    "uint16 (14 bit)": 14,
    "uint16 (16 bit)": 16,
}
_SIDE_PX = 8192  # of the sensor
_SETTINGS = (
    Setting("width", "Width", 1024, 1, _SIDE_PX, unit="px"),
    Setting("height", "Height", 1024, 1, _SIDE_PX, unit="px"),
    Setting("offset_x", "Offset x", 0, 0, _SIDE_PX - 1024, unit="px"),
    Setting("offset_y", "Offset y", 0, 0, _SIDE_PX - 1024, unit="px"),
    Setting("pixel_type", "Pixel type", "uint16 (12 bit)", choices=tuple(_BIT_DEPTHS)),
    Setting("frame_rate", "Frame rate", 30.0, 0.1, 10_000, unit="Hz"),
    Setting("exposure_ms", "Exposure", 10.0, 0.001, 1000 / 30, (), "ms", False),
    Setting("stamp", "Frame number in the first pixels", False),
)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong in every run of a simulated camera.

    Attributes
    ----------
    at : int
        `device_index` of the first frame concerned.
    kind : str
        "gap": `count` frames are lost. "stall": the camera's clock stands still for
        `seconds`. "unplug": frames before `at` can be read, then comes `CameraLost`.
    count : int
        Frames lost in a gap.
    seconds : float
        Length of a stall.
    """

    at: int
    kind: Literal["gap", "stall", "unplug"]
    count: int = 1
    seconds: float = 1.0


def read_stamp(frame: Image) -> int:
    """Return the `device_index` that the setting `stamp` wrote into a frame."""
    row = frame[(0,) * (frame.ndim - 1)][: _STAMP_BYTES // frame.itemsize]
    return int.from_bytes(row.astype(row.dtype.newbyteorder("<")).tobytes(), "little")


class SimulatedCamera:
    """A camera that needs no hardware.

    Frame i is there `(i + 1) / frame_rate` seconds after `start`, whether or not anyone
    reads. Of frames not read, the newest half second (at least two) is kept, and older
    ones are lost. No thread runs: `read_into` works out from the clock what a driver's
    ring buffer would hold now. An exposure cannot be longer than the frame period. With
    an offset, the picture is that part of the largest one there has been.

    Parameters
    ----------
    pattern : str
        "cells", "uniform random", "radial sine" or "empty".
    faults : sequence of Fault
        What shall go wrong, for tests of the reader.
    **settings : bool, int, float or str
        Settings to begin with, as for `set`.

    Raises
    ------
    CameraError
        When there is no such pattern or setting, or a value makes no sense.
    """

    def __init__(
        self,
        pattern: str = "cells",
        *,
        faults: Sequence[Fault] = (),
        **settings: SettingValue,
    ) -> None:
        if pattern not in PATTERNS:
            raise CameraError(f"no pattern {pattern!r}, only {', '.join(PATTERNS)}")
        self._pattern = pattern
        ordered = sorted(faults, key=lambda fault: fault.at)
        self._gaps = [fault for fault in ordered if fault.kind == "gap"]
        self._stalls = [fault for fault in ordered if fault.kind == "stall"]
        ends = [fault.at for fault in ordered if fault.kind == "unplug"]
        self._end = min(ends, default=sys.maxsize)
        self._settings = {setting.name: setting for setting in _SETTINGS}
        self._open = False
        self._started_at: float | None = None  # perf_counter; None: not running
        self._next = 0  # device_index that follows the last one delivered
        self._delivered = 0
        self._sensor = _sensor_of(self._settings)
        self._picture: tuple[Sensor, Draw] | None = None
        self._frame = np.empty((0, 0))  # drawn into where `out` is no array
        # what a region is a part of: the largest picture yet
        self._largest = 0, 0
        # last those whose limits follow from others
        last = ("offset_x", "offset_y", "exposure_ms")
        for name in sorted(settings, key=last.__contains__):
            self.set(name, settings[name])
        self._largest = self._sensor.shape

    @property
    def info(self) -> Mapping[str, str]:
        """Name, vendor, model and serial number."""
        return {
            "name": f"Simulated: {self._pattern}",
            "vendor": "napari-zarr-stream",
            "model": "Simulated camera",
            "serial": f"SIM-{self._pattern.replace(' ', '-').upper()}",
        }

    @property
    def settings(self) -> Sequence[Setting]:
        """The settings with their present values."""
        return tuple(self._settings.values())

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of a frame in pixels."""
        return self._sensor.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a pixel."""
        return self._sensor.dtype

    @property
    def bit_depth(self) -> int:
        """Bits of a pixel that carry signal; only a stamp goes beyond them."""
        return self._sensor.bit_depth

    @property
    def frame_rate(self) -> float:
        """Frames a second."""
        return float(self._settings["frame_rate"].value)

    @property
    def pixel_size_um(self) -> None:
        """Nothing lies before a simulated lens."""

    @property
    def stats(self) -> CameraStats:
        """Counts since `start`; a lost frame counts once a later one is delivered."""
        return CameraStats(self._delivered, self._next - self._delivered, 0)

    def open(self) -> None:
        """Connect."""
        self._open = True

    def close(self) -> None:
        """Disconnect and free the prepared pictures; may be called twice."""
        self.stop()
        self._open, self._picture = False, None
        self._frame = np.empty((0, 0))

    def get(self, name: str) -> SettingValue:
        """Return a setting's value; raises `CameraError` when there is no such name."""
        return setting_of(self, name).value

    def set(self, name: str, value: SettingValue) -> SettingValue:
        """Change a setting, numbers within their range; returns the value in force.

        A higher frame rate may shorten the exposure. Raises `CameraError` when there is
        no such setting or choice, when it is locked because the camera runs, or when
        the stamp needs wider rows.
        """
        self.get(name)
        setting = self._settings[name]
        if setting.locked_while_running and self._started_at is not None:
            raise CameraError(f"stop the camera first: {name} is locked while it runs")
        new = self._settings | {name: replace(setting, value=coerced(setting, value))}
        for offset, side in (("offset_x", "width"), ("offset_y", "height")):
            # together they stay on the sensor
            at, size = int(new[offset].value), int(new[side].value)
            new[offset] = replace(new[offset], maximum=_SIDE_PX - size)
            new[side] = replace(new[side], maximum=_SIDE_PX - at)
        exposure, longest_ms = new["exposure_ms"], 1000 / float(new["frame_rate"].value)
        new["exposure_ms"] = replace(
            exposure, value=min(float(exposure.value), longest_ms), maximum=longest_ms
        )
        sensor = _sensor_of(new)
        needed = _STAMP_BYTES // sensor.dtype.itemsize
        if new["stamp"].value and sensor.shape[1] < needed:
            raise CameraError(
                f"the stamp needs {needed} {sensor.dtype} pixels, rows have "
                f"{sensor.shape[1]}: make the frame wider or turn the stamp off"
            )
        self._settings, self._sensor = new, sensor
        height, width = self._largest
        self._largest = max(height, sensor.shape[0]), max(width, sensor.shape[1])
        return self.get(name)

    def start(self) -> None:
        """Begin to take frames from number 0; raises `CameraError` unless stopped."""
        if not self._open:
            raise CameraError(f"{self.info['name']} is closed: open it first")
        if self._started_at is not None:
            raise CameraError(f"{self.info['name']} runs already: stop it first")
        self._prepared()
        self._next = self._delivered = 0
        self._started_at = time.perf_counter()

    def stop(self) -> None:
        """Take no more frames; may be called twice."""
        self._started_at = None

    def read_into(self, out: Image, timeout_s: float) -> FrameInfo | None:
        """Draw the oldest frame held, or the next, into `out`; None at the timeout.

        Raises `CameraError` when the camera does not run or `out` does not fit, and
        `CameraLost` from the frame on at which a fault unplugs it.
        """
        if self._started_at is None:
            raise CameraError(f"{self.info['name']} does not run: start it first")
        if (out.shape, out.dtype) != (self.shape, self.dtype):
            raise CameraError(
                f"frames of this camera are {self.shape} {self.dtype}, "
                f"the array to fill is {out.shape} {out.dtype}"
            )
        draw = self._prepared()
        deadline = time.perf_counter() + timeout_s
        while True:
            now = time.perf_counter()
            index, produced = self._oldest_held(now - self._started_at)
            if index >= self._end:
                raise CameraLost(f"{self.info['name']} unplugged at frame {self._end}")
            due_s = (index + 1) / self.frame_rate
            due_s += sum(stall.seconds for stall in self._stalls if stall.at <= index)
            if index < produced:
                break
            if now >= deadline:
                return None
            # the sum may be a hair before now
            time.sleep(max(0.0, min(self._started_at + due_s, deadline) - now))
        # a plain array is drawn into where it is, which saves a copy
        frame = out if isinstance(out, np.ndarray) else self._frame
        draw(frame, due_s)
        if self._settings["stamp"].value:
            number = index.to_bytes(_STAMP_BYTES, "little")
            stamp = np.frombuffer(number, frame.dtype.newbyteorder("<"))
            frame[0, : stamp.size] = stamp
        if frame is not out:
            out[...] = frame
        lost, self._next = index - self._next, index + 1
        self._delivered += 1
        device_ns, host_ns = round(due_s * 1e9), host_time_ns()
        return FrameInfo(self._delivered - 1, index, device_ns, host_ns, lost)

    def _oldest_held(self, elapsed_s: float) -> tuple[int, int]:
        """Return which frame is to deliver next, and how many were produced."""
        rate = self.frame_rate
        produced = int(elapsed_s * rate)
        for stall in self._stalls:
            if produced > stall.at:
                elapsed_s -= stall.seconds
                produced = max(stall.at, int(elapsed_s * rate))
        produced = min(produced, self._end)
        index = max(self._next, produced - max(2, math.ceil(_RING_S * rate)))
        for gap in self._gaps:
            if gap.at <= index < gap.at + gap.count:
                index = gap.at + gap.count
        return index, produced

    def _prepared(self) -> Draw:
        """Return what draws the pictures, made anew if they have to look different."""
        if self._picture is None or self._picture[0] != self._sensor:
            self._picture = (
                self._sensor,
                drawing_of(self._pattern, self._sensor, self._largest),
            )
            self._frame = np.empty(self.shape, self.dtype)
        return self._picture[1]


def _sensor_of(settings: Mapping[str, Setting]) -> Sensor:
    bit_depth = _BIT_DEPTHS[str(settings["pixel_type"].value)]
    return Sensor(
        shape=(int(settings["height"].value), int(settings["width"].value)),
        dtype=np.dtype(np.uint8 if bit_depth == 8 else np.uint16),
        bit_depth=bit_depth,
        light=float(settings["exposure_ms"].value) / _NORMAL_EXPOSURE_MS,
        offset=(int(settings["offset_y"].value), int(settings["offset_x"].value)),
    )
