"""Cameras: what a camera is to us, and those that there are."""

from .protocol import (
    Camera,
    CameraEnded,
    CameraError,
    CameraLost,
    CameraStats,
    FrameInfo,
    Setting,
    SettingValue,
    coerced,
)
from .registry import FoundCameras, find_cameras
from .simulated import (
    Fault,
    SimulatedCamera,
    read_stamp,
)
from .thread import CameraThread

__all__ = [
    "Camera",
    "CameraEnded",
    "CameraError",
    "CameraLost",
    "CameraStats",
    "CameraThread",
    "Fault",
    "FoundCameras",
    "FrameInfo",
    "Setting",
    "SettingValue",
    "SimulatedCamera",
    "coerced",
    "find_cameras",
    "read_stamp",
]
