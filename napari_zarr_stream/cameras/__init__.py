"""Cameras: what a camera is to us, and those that there are."""

from .changes import SettingChange, SettingsWatch
from .clock import CameraClock
from .protocol import (
    Camera,
    CameraEnded,
    CameraError,
    CameraLost,
    CameraStats,
    FrameInfo,
    Setting,
    SettingValue,
    SingleFrames,
    channel_names,
    coerced,
    value_range_of,
)
from .registry import CameraSearch, FoundCameras, find_cameras
from .simulated import (
    Fault,
    SimulatedCamera,
    read_stamp,
)
from .thread import CameraThread

__all__ = [
    "Camera",
    "CameraClock",
    "CameraEnded",
    "CameraError",
    "CameraLost",
    "CameraSearch",
    "CameraStats",
    "CameraThread",
    "Fault",
    "FoundCameras",
    "FrameInfo",
    "Setting",
    "SettingChange",
    "SettingValue",
    "SettingsWatch",
    "SimulatedCamera",
    "SingleFrames",
    "channel_names",
    "coerced",
    "find_cameras",
    "read_stamp",
    "value_range_of",
]
