"""Cameras: what a camera is to us, and those that there are."""

from collections.abc import Callable
from functools import partial

from napari_zarr_stream.cameras.protocol import (
    Camera,
    CameraError,
    CameraLost,
    CameraStats,
    FrameInfo,
    Setting,
    SettingValue,
)
from napari_zarr_stream.cameras.simulated import (
    PATTERNS,
    Fault,
    SimulatedCamera,
    read_stamp,
)

__all__ = [
    "Camera",
    "CameraError",
    "CameraLost",
    "CameraStats",
    "Fault",
    "FrameInfo",
    "Setting",
    "SettingValue",
    "SimulatedCamera",
    "find_cameras",
    "read_stamp",
]


def find_cameras() -> dict[str, Callable[[], Camera]]:
    """Return what makes each camera, not yet opened, by the name to show."""
    return {
        f"Simulated: {pattern}": partial(SimulatedCamera, pattern)
        for pattern in PATTERNS
    }
