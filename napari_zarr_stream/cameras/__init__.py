"""Cameras: what a camera is to us, and those that there are."""

from napari_zarr_stream.cameras.protocol import (
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
from napari_zarr_stream.cameras.registry import FoundCameras, find_cameras
from napari_zarr_stream.cameras.simulated import (
    Fault,
    SimulatedCamera,
    read_stamp,
)
from napari_zarr_stream.cameras.thread import CameraThread

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
