"""Simulated cameras: a real clock, a driver's ring buffer and pictures, but no device.

They lose frames as cameras do, to a slow reader, and cost next to nothing to read.
"""

import functools
import math
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

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

Image = npt.NDArray[Any]
Electrons = npt.NDArray[np.float32]
Draw = Callable[[Image, float], None]

_RING_S = 0.5  # what drivers hold, more or less
_STAMP_BYTES = 8
_TILE_PX = 2048  # larger frames repeat their picture, which keeps a bank below 64 MiB
_BANK_BYTES = 64 << 20
_SEED = 5  # the same pictures every time
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
        self._sensor = _Sensor.of(self._settings)
        self._picture: tuple[_Sensor, Draw] | None = None
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
        sensor = _Sensor.of(new)
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
        frame = out if isinstance(out, np.ndarray) else np.empty(self.shape, self.dtype)
        draw(frame, due_s)
        if self._settings["stamp"].value:
            number = index.to_bytes(_STAMP_BYTES, "little")
            stamp = np.frombuffer(number, frame.dtype.newbyteorder("<"))
            frame[0, : stamp.size] = stamp
        if frame is not out:
            out[...] = frame
        lost, self._next = index - self._next, index + 1
        self._delivered += 1
        device_ns, host_ns = round(due_s * 1e9), time.time_ns()
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
                _part_of(self._pattern, self._sensor, self._largest),
            )
        return self._picture[1]


# The patterns. Each is a function that does what is slow and returns another, to draw
# the picture at a time in seconds mostly by copying, as reading a camera is.


def _part_of(pattern: str, sensor: "_Sensor", picture: tuple[int, int]) -> Draw:
    """Return what draws a picture, or the part of it at the offset, if there is one."""
    make, (y, x), (rows, columns) = PATTERNS[pattern], sensor.offset, sensor.shape
    if not (x or y):
        return make(sensor)
    whole = np.empty(
        (max(picture[0], y + rows), max(picture[1], x + columns)), sensor.dtype
    )
    draw = make(sensor._replace(shape=whole.shape))

    def draw_part(out: Image, time_s: float) -> None:
        draw(whole, time_s)
        out[...] = whole[y : y + rows, x : x + columns]

    return draw_part


class _Sensor(NamedTuple):
    """What a picture depends on; `light` is relative to normal exposure."""

    shape: tuple[int, int]
    dtype: np.dtype[Any]
    bit_depth: int
    light: float
    offset: tuple[int, int] = (0, 0)

    @classmethod
    def of(cls, settings: Mapping[str, Setting]) -> "_Sensor":
        shape = int(settings["height"].value), int(settings["width"].value)
        bit_depth = _BIT_DEPTHS[str(settings["pixel_type"].value)]
        dtype = np.dtype(np.uint8 if bit_depth == 8 else np.uint16)
        light = float(settings["exposure_ms"].value) / _NORMAL_EXPOSURE_MS
        offset = int(settings["offset_y"].value), int(settings["offset_x"].value)
        return cls(shape, dtype, bit_depth, light, offset)

    @property
    def white(self) -> int:
        return (1 << self.bit_depth) - 1

    @property
    def tile_shape(self) -> tuple[int, int]:
        return min(self.shape[0], _TILE_PX), min(self.shape[1], _TILE_PX)

    def pixels(self, values: Image) -> Image:
        """Round and saturate, as the converter of a camera does."""
        return (values + np.float32(0.5)).clip(0, self.white).astype(self.dtype)

    def tiles(self, image: Image) -> Iterator[Image]:
        """Yield the parts of a frame that show one tile each, the last ones cut off."""
        height, width = self.tile_shape
        for y in range(0, image.shape[0], height):
            for x in range(0, image.shape[1], width):
                yield image[y : y + height, x : x + width]

    def window(self, bank: Image, tile: Image, chance: random.Random) -> Image:
        """Return a view from a random place of a bank that is larger than a tile."""
        y = chance.randint(0, bank.shape[0] - self.tile_shape[0])
        x = chance.randint(0, bank.shape[1] - self.tile_shape[1])
        return bank[y : y + tile.shape[0], x : x + tile.shape[1]]


def _empty(sensor: _Sensor) -> Draw:
    """Make frames of zeros."""
    return lambda out, time_s: out.fill(0)


def _uniform_random(sensor: _Sensor) -> Draw:
    """Make noise of the whole range at any exposure, which no codec can shrink."""
    height, width = sensor.tile_shape
    numbers, chance = np.random.default_rng(_SEED), random.Random(_SEED)
    bank_shape = height + 64, width + 64
    bank = numbers.integers(0, sensor.white + 1, bank_shape, sensor.dtype.type)

    def draw(out: Image, time_s: float) -> None:
        for tile in sensor.tiles(out):
            # another key hides from codecs that they have seen this noise before
            key = sensor.dtype.type(chance.randint(0, sensor.white))
            np.bitwise_xor(sensor.window(bank, tile, chance), key, out=tile)

    return draw


def _radial_sine(sensor: _Sensor) -> Draw:
    """Make rings that run outwards, one each second."""
    height, width = sensor.tile_shape
    half = (height + 1) // 2  # the other half is its mirror image
    y = np.arange(half, dtype=np.float32)[:, np.newaxis] - (height - 1) / 2
    x = np.arange(width, dtype=np.float32) - (width - 1) / 2
    ring_px = max(8.0, min(height, width) / 12)
    phase = (np.hypot(y, x) * (256 / ring_px)).astype(np.uint16).astype(np.uint8)
    steps = min(32, _BANK_BYTES // (phase.size * sensor.dtype.itemsize))
    angle = np.arange(256) * (2 * math.pi / 256)
    bright = 0.4 * sensor.white * sensor.light
    bank = [
        sensor.pixels(bright * (1 + np.sin(angle - 2 * math.pi * step / steps)))[phase]
        for step in range(steps)
    ]

    def draw(out: Image, time_s: float) -> None:
        upper = bank[int(time_s * steps) % steps]
        lower = upper[::-1][height % 2 :]
        for tile in sensor.tiles(out):
            rows, columns = tile.shape
            tile[:half] = upper[:rows, :columns]
            tile[half:] = lower[: max(0, rows - half), :columns]

    return draw


_FULL_WELL = 8000.0  # electrons that make a pixel white
_READ_NOISE = 2.0  # electrons
_OFFSET = 0.025  # of white; cameras add it so that noise is not cut off at 0
_CELL_SPACING_PX = 200


def _cells(sensor: _Sensor) -> Draw:
    """Make fluorescent cells that crawl over a dim, uneven background.

    Noise is computed beforehand: a frame takes it from a random place of a bank, a cell
    from a few variants. Only the motion is computed for each frame.
    """
    numbers, chance = np.random.default_rng(_SEED), random.Random(_SEED)
    gain = np.float32(sensor.white / _FULL_WELL)

    def exposed(electrons: Electrons, read_noise: float, offset: float) -> Image:
        mean = electrons * np.float32(sensor.light)
        noise = numbers.standard_normal(mean.shape, np.float32)
        # the variance of shot noise is the mean
        noise *= np.sqrt(mean + np.float32(read_noise**2))
        return sensor.pixels((mean + noise) * gain + np.float32(offset))

    background = _background(sensor.tile_shape)
    bank = [
        exposed(background, _READ_NOISE, _OFFSET * sensor.white)
        for _ in range(max(2, min(16, (4 << 20) // background.size)))
    ]
    variants = [[exposed(mean, 0, 0) for _ in range(6)] for mean in _mean_cells()]
    # with each cell, what may lie beneath it without overflow
    cells = [[(cell, sensor.white - cell) for cell in each] for each in variants]
    margin = max(max(mean.shape) for mean in _mean_cells())
    extent = np.array(sensor.shape) + margin  # cells leave and come back out of sight
    count = max(4, int(extent.prod() / _CELL_SPACING_PX**2))
    home = numbers.random((count, 2)) * extent
    velocity = numbers.normal(0, 5, (count, 2))  # px/s
    sway_px = numbers.uniform(3, 14, (count, 2))
    sway_rate = numbers.uniform(0.15, 0.6, (count, 2))  # rad/s

    def draw(out: Image, time_s: float) -> None:
        for tile in sensor.tiles(out):
            tile[...] = sensor.window(chance.choice(bank), tile, chance)
        place = home + velocity * time_s + sway_px * np.sin(sway_rate * time_s + home)
        corners = (place % extent).astype(int) - margin
        variant = chance.randrange(6)
        for number, (y, x) in enumerate(corners.tolist()):
            cell, room = cells[number % len(cells)][variant]
            rows, columns = cell.shape
            seen = out[max(y, 0) : max(y + rows, 0), max(x, 0) : max(x + columns, 0)]
            if seen.shape != cell.shape:  # partly out of sight
                top, left = max(-y, 0), max(-x, 0)
                part = np.s_[top : top + seen.shape[0], left : left + seen.shape[1]]
                cell, room = cell[part], room[part]
            np.minimum(seen, room, out=seen)
            np.add(seen, cell, out=seen)

    return draw


def _background(shape: tuple[int, int]) -> Electrons:
    """Return a tile and a narrow rim: uneven light, and cells far out of focus."""
    numbers, rim = np.random.default_rng(_SEED), min(8, min(shape) // 32)
    y, x = (np.arange(side + rim) / side for side in shape)
    limits = ((0.1, 0.9), (0.1, 0.9), (0.02, 0.06), (20.0, 140.0))
    y0, x0, size, peak = (numbers.uniform(low, high, (14, 1)) for low, high in limits)
    columns = np.exp(-(((x - x0) / size) ** 2)).astype(np.float32)
    rows = (peak * np.exp(-(((y - y0) / size) ** 2))).astype(np.float32)
    turn = 2 * math.pi  # whole periods, so that tiles fit together
    glow: Electrons = rows.T @ columns
    glow += (200 - 30 * np.cos(turn * x + 0.3)).astype(np.float32)
    glow -= (40 * np.cos(turn * y - 0.4)).astype(np.float32)[:, np.newaxis]
    return glow


def _disc(radius: npt.NDArray[Any], edge: float) -> npt.NDArray[Any]:
    """Return 1 inside radius 1 and 0 outside, changing smoothly over `edge`."""
    depth = np.clip((1 - radius) / edge + 0.5, 0, 1)
    smooth: npt.NDArray[Any] = depth * depth * (3 - 2 * depth)
    return smooth


@functools.cache
def _mean_cells() -> list[Electrons]:
    """Return 48 cells without noise, each cut to its size."""
    numbers = np.random.default_rng(_SEED)
    return [_mean_cell(numbers) for _ in range(48)]


def _mean_cell(numbers: np.random.Generator) -> Electrons:
    uniform = numbers.uniform
    x = np.linspace(-2, 2, int(4 * uniform(16, 28)))
    y = x[:, np.newaxis]
    turn, stretch = uniform(0, math.pi), uniform(1, 1.4)
    along = (math.cos(turn) * x + math.sin(turn) * y) / stretch
    across = (math.cos(turn) * y - math.sin(turn) * x) * stretch
    angle = np.arctan2(across, along)
    outline = np.ones_like(angle)
    for waves in (2, 3, 4, 5):
        outline += uniform(0, 0.25 / waves) * np.cos(waves * angle + uniform(0, 6.3))
    radius = np.hypot(along, across) / outline
    # thick in the middle, thin at the rim
    body = 0.3 + 0.7 * np.sqrt(np.clip(1.1 - radius**2, 0, 1))
    body *= _disc(radius, uniform(0.3, 0.6))
    for _ in range(20):  # grains
        distance = np.hypot(y - uniform(-0.8, 0.8), x - uniform(-0.8, 0.8))
        grain = np.exp(-((distance / uniform(0.07, 0.25)) ** 2))
        body *= 1 + uniform(-0.3, 0.5) * grain
    nucleus = np.hypot(along - uniform(-0.2, 0.2), across - uniform(-0.2, 0.2))
    contrast = numbers.choice([-0.6, -0.45, -0.3, 0.0, 0.9])
    body *= 1 + contrast * _disc(nucleus / uniform(0.36, 0.46), 0.4)
    body += 0.06 * _disc(radius, 0.9)  # its own light, out of focus
    body *= np.clip(600 * numbers.lognormal(0, 0.6), 200, 2500)
    rows, columns = (np.flatnonzero((body >= 1).any(axis)) for axis in (1, 0))
    body = body[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return body.astype(np.float32)


PATTERNS: dict[str, Callable[[_Sensor], Draw]] = {
    "cells": _cells,
    "uniform random": _uniform_random,
    "radial sine": _radial_sine,
    "empty": _empty,
}
