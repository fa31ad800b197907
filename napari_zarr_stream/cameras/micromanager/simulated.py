"""A microscope that is a program: camera, stage, focus, filters, shutter, and cells.

Its devices are Python objects in a core of Micro-Manager; nothing else is installed.
"""

import itertools
import math
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .core import new_core, release, use

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pymmcore_plus.experimental.unicore import UniMMCore

PIXEL_SIZE_UM = 0.65
_SHAPE = 512, 512
_SPACING_UM = 40.0
_FOCUS_UM = 2.5
"""From here on a cell is twice as wide as in focus."""

_LABELS = {
    # name: radius in um, brightness, how far from the middle of the cell, how many
    "DAPI": (5.0, 900.0, 0.0, 1),
    "FITC": (11.0, 500.0, 0.0, 1),
    "Cy5": (1.2, 1500.0, 8.0, 9),
}


@dataclass
class _Bench:
    """Where everything stands."""

    x_um: float = 0.0
    y_um: float = 0.0
    z_um: float = 0.0
    channel: str = "DAPI"
    exposure_ms: float = 20.0
    is_open: bool = False


@contextmanager
def simulated_microscope() -> "Iterator[UniMMCore]":
    """A core with a camera of 512 x 512, XY and Z stages, three channels, a shutter."""
    core = new_core(python_devices=True)
    use(core)
    try:
        load_simulated(core)
        yield core
    finally:
        release(core)


def load_simulated(core: "UniMMCore") -> None:
    """Load the microscope into a core, which may be the one that all share."""
    bench = _Bench()
    for label, device in _devices(bench).items():
        core.loadPyDevice(label, device)
        core.initializeDevice(label)
    core.setCameraDevice("Camera")
    core.setXYStageDevice("XY")
    core.setFocusDevice("Z")
    core.setShutterDevice("Shutter")
    for channel in _LABELS:
        core.defineConfig("Channel", channel, "Filter", "Label", channel)
    core.setChannelGroup("Channel")
    core.definePixelSizeConfig("20x")
    core.setPixelSizeUm("20x", PIXEL_SIZE_UM)


def _devices(bench: _Bench) -> dict[str, Any]:
    from pymmcore_plus.experimental.unicore import (
        ShutterDevice,
        SimpleCameraDevice,
        StageDevice,
        StateDevice,
        XYStageDevice,
    )

    class Camera(SimpleCameraDevice):
        def sensor_shape(self) -> tuple[int, int]:
            return _SHAPE

        def dtype(self) -> type:
            return np.uint16

        def get_exposure(self) -> float:
            return bench.exposure_ms

        def set_exposure(self, exposure: float) -> None:
            bench.exposure_ms = exposure

        def snap(self, buffer: npt.NDArray[Any]) -> "Mapping[str, Any]":
            time.sleep(bench.exposure_ms / 1000)
            buffer[...] = picture(bench)
            return {}

    class Stage(StageDevice):
        def set_position_um(self, val: float) -> None:
            bench.z_um = val

        def get_position_um(self) -> float:
            return bench.z_um

        def home(self) -> None:
            bench.z_um = 0.0

        def stop(self) -> None:
            pass

        def set_origin(self) -> None:
            pass

    class XYStage(XYStageDevice):
        def set_position_um(self, x: float, y: float) -> None:
            bench.x_um, bench.y_um = x, y

        def get_position_um(self) -> tuple[float, float]:
            return bench.x_um, bench.y_um

        def home(self) -> None:
            bench.x_um = bench.y_um = 0.0

        def stop(self) -> None:
            pass

        def set_origin_x(self) -> None:
            pass

        def set_origin_y(self) -> None:
            pass

    class Filter(StateDevice):
        def get_state(self) -> int:
            return list(_LABELS).index(bench.channel)

        def set_state(self, position: int) -> None:
            bench.channel = list(_LABELS)[position]

    class Shutter(ShutterDevice):
        def get_open(self) -> bool:
            return bench.is_open

        def set_open(self, open: bool) -> None:
            bench.is_open = open

    return {
        "Camera": Camera(),
        "XY": XYStage(),
        "Z": Stage(),
        "Filter": Filter(dict(enumerate(_LABELS))),
        "Shutter": Shutter(),
    }


def picture(bench: _Bench) -> npt.NDArray[np.uint16]:
    """What the camera sees: the same cells wherever the stage comes back to."""
    rows, columns = _SHAPE
    light = np.full(_SHAPE, 100.0, np.float32)
    half = np.array([rows, columns]) * PIXEL_SIZE_UM / 2
    centre = np.array([bench.y_um, bench.x_um])
    first = np.floor((centre - half) / _SPACING_UM).astype(int) - 1
    last = np.ceil((centre + half) / _SPACING_UM).astype(int) + 1
    radius_um, brightness, reach_um, count = _LABELS[bench.channel]
    for row, column in itertools.product(*map(range, first, last)):
        numbers = np.random.default_rng([row % 2**32, column % 2**32])
        jitter, depth = numbers.uniform(0, _SPACING_UM, 2), numbers.uniform(-3, 3)
        blur = math.hypot(1, (bench.z_um - depth) / _FOCUS_UM)
        places = numbers.normal(0, reach_um / 2, (count, 2))
        for place in np.array([row, column]) * _SPACING_UM + jitter + places:
            at = (place - centre + half) / PIXEL_SIZE_UM
            at[0] = rows - 1 - at[0]  # y of a stage goes upwards
            size = radius_um * blur / PIXEL_SIZE_UM
            _add_spot(light, at, size, brightness / blur**2)
    light[:] *= bench.exposure_ms / 20
    noise = np.random.default_rng().standard_normal(_SHAPE, np.float32)
    light += noise * np.sqrt(light + 4)
    return np.clip(light + 100, 0, 65535).astype(np.uint16)


def _add_spot(
    light: npt.NDArray[np.float32],
    at: npt.NDArray[np.float64],
    size: float,
    brightness: float,
) -> None:
    low = np.maximum(np.floor(at - 2.5 * size), 0).astype(int)
    high = np.minimum(np.ceil(at + 2.5 * size), light.shape).astype(int)
    if (high <= low).any():
        return
    y, x = (
        np.exp(-(((np.arange(a, b) - middle) / size) ** 2)).astype(np.float32)
        for a, b, middle in zip(low, high, at, strict=True)
    )
    light[low[0] : high[0], low[1] : high[1]] += np.float32(brightness) * np.outer(y, x)
