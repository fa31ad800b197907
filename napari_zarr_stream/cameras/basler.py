"""Basler cameras through Basler's own SDK, pypylon."""

import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy.typing as npt

from .features import Feature
from .frame_numbers import GIGE_PERIOD
from .pixel_format import PixelFormat
from .probes import Probes
from .protocol import (
    Camera,
    CameraLost,
    FrameInfo,
    SettingValue,
)
from .standard_camera import StandardCamera, ring_frames

_NO_BLOCK_ID = 2**64 - 1


def _sdk() -> Any:
    """Import pypylon.

    Its C code warns of itself while it is imported, and where warnings are errors, that
    crashes the interpreter.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from pypylon import pylon
    return pylon


def find() -> dict[str, Callable[[], Camera]]:
    """Return what makes each Basler camera there is, by the name to show.

    Emulated ones are among them, as many as the environment variable PYLON_CAMEMU says.
    """
    found: dict[str, Callable[[], Camera]] = {}
    for device in _sdk().TlFactory.GetInstance().EnumerateDevices():
        full_name = device.GetFullName()
        probes = Probes(f"Basler: {full_name}")
        asked = {
            "vendor": probes.ask("vendor", device.GetVendorName, ""),
            "model": probes.ask("model", device.GetModelName, ""),
            "serial": probes.ask("serial number", device.GetSerialNumber, ""),
        }
        parts = filter(None, (asked["model"], asked["serial"]))
        name = f"Basler: {' '.join(parts) or full_name}"
        known = {what: value for what, value in asked.items() if value}
        found[name] = partial(BaslerCamera, full_name, {"name": name} | known)
    return found


class BaslerCamera(StandardCamera):
    """A Basler camera.

    No frame is skipped for a reader that is late: pylon holds some, and what comes when
    all buffers are full is lost and shows as a gap in the block ids. A buffer that
    failed is lost as well, since it may hold pixels of an older frame.

    Parameters
    ----------
    full_name : str
        What pylon calls the device.
    info : mapping
        "name" and whatever else is known.
    """

    def __init__(self, full_name: str, info: Mapping[str, str]) -> None:
        super().__init__(info)
        self._full_name = full_name
        self._sdk: Any = None
        self._device: Any = None
        self._ticks_per_s = 10**9

    def _connect(self) -> None:
        pylon = self._sdk = _sdk()
        device = pylon.DeviceInfo()
        device.SetFullName(self._full_name)
        factory = pylon.TlFactory.GetInstance()
        self._device = pylon.InstantCamera(factory.CreateDevice(device))
        try:
            self._device.Open()
        except BaseException:
            self._disconnect()
            raise
        about = self._device.GetDeviceInfo()
        is_gige = self._probes.ask("class", about.GetDeviceClass, "") == "BaslerGigE"
        # 64-bit numbers go beyond the period, and then it means nothing.
        self._period = GIGE_PERIOD if is_gige else None
        # USB3 Vision counts nanoseconds, GigE Vision says what it counts.
        frequency = self._read_if_possible("GevTimestampTickFrequency")
        self._ticks_per_s = int(frequency.value) if frequency else 10**9

    def _disconnect(self) -> None:
        try:
            self._device.Close()
        finally:
            self._device.DestroyDevice()
            self._device = None

    def _feature(self, name: str) -> Feature | None:
        pylon = self._sdk
        node = self._device.GetNodeMap().GetNode(name)
        if not node.IsReadable():
            return None
        more: dict[str, Callable[[], Any]] = {"writable": node.IsWritable}
        match node:
            case pylon.EnumParameter():
                more["choices"] = node.GetSettableValues
            case pylon.IntegerParameter() | pylon.FloatParameter():
                more["minimum"] = lambda: node.Min
                more["maximum"] = lambda: node.Max
                more["unit"] = lambda: node.Unit
                if isinstance(node, pylon.IntegerParameter):
                    more["step"] = lambda: node.Inc
        return self._with(Feature(node.Value, writable=False), name, more)

    def _write(self, name: str, value: SettingValue) -> None:
        self._device.GetNodeMap().GetNode(name).Value = value

    def _can_unpack(self, pixel_format: PixelFormat) -> bool:
        # What pypylon makes an array of.
        if pixel_format.is_colour:
            return pixel_format.bit_depth == 8 and len(pixel_format.components) == 3
        return pixel_format.bit_depth in (8, 10, 12, 16)

    def _begin(self) -> None:
        payload = self._read_if_possible("PayloadSize")
        frame_bytes = 1 if payload is None else int(payload.value)
        self._device.MaxNumBuffer.Value = ring_frames(frame_bytes)
        self._device.StartGrabbing(self._sdk.GrabStrategy_OneByOne)

    def _end(self) -> None:
        # Never left to the end of the program: a thread that waits in pylon aborts it.
        self._device.StopGrabbing()

    def _take(self, out: npt.NDArray[Any], timeout_s: float) -> FrameInfo | None:
        # Asked first, since frames may still come for a while.
        if self._device.IsCameraDeviceRemoved():
            raise CameraLost(f"{self._name} is gone: it was unplugged")
        timeout_ms = round(timeout_s * 1000)
        no_error = self._sdk.TimeoutHandling_Return
        result = self._device.RetrieveResult(timeout_ms, no_error)
        if not result.IsValid():
            return None
        with result:
            self._numbers.lose(result.GetNumberOfSkippedImages())
            if not result.GrabSucceeded():
                self._numbers.lose()
                return None
            number, ticks = result.GetBlockID(), result.GetTimeStamp()
            if number == _NO_BLOCK_ID or (number == 0 and self._period):
                number = None
            if not self._copy(result, out):
                return None
        # No camera is so quick that its clock stands at 0.
        time_ns = ticks * 10**9 // self._ticks_per_s if ticks else None
        return self._numbers.deliver(number, time_ns)

    def _copy(self, result: Any, out: npt.NDArray[Any]) -> bool:
        pixel_format = self._pixel_format()
        if result.PaddingX:  # which the view of the buffer does not know
            return self._put(out, pixel_format.planes(result.GetArray()))
        with result.GetArrayZeroCopy() as frame:
            fits = self._put(out, pixel_format.planes(frame))
        del frame  # or it would outlive the buffer
        return fits
