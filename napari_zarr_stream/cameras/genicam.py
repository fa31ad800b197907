"""GigE Vision and USB3 Vision cameras through viva-genicam, without a vendor's SDK."""

import logging
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
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
from .standard_camera import StandardCamera

if TYPE_CHECKING:
    import viva_genicam

_DISCOVERY_MS = 400
_SILENT_S = 1.0  # of no answer, several times asked, before a camera counts as gone

# GigE Vision 2.0; a command is key, flags (answer, please), command, length, id
_GVCP_PORT = 3956
_DISCOVERY_COMMAND = bytes((0x42, 0x01, 0, 0x02, 0, 0, 0, 1))
_TICK_FREQUENCY = (0x093C, 0x0940)  # registers of its high and low 32 bits


def find(loopback: bool = False) -> dict[str, Callable[[], Camera]]:
    """Return what makes each camera on the network and on USB, by the name to show.

    Parameters
    ----------
    loopback : bool
        Whether cameras that run as programs on this computer count as well.
    """
    import viva_genicam

    found: dict[str, Callable[[], Camera]] = {}
    searches: tuple[tuple[str, Callable[[], Any], Callable[[Any], Any]], ...] = (
        (
            "GigE Vision",
            partial(viva_genicam.discover, _DISCOVERY_MS, all=loopback),
            viva_genicam.connect_gige,
        ),
        ("USB3 Vision", viva_genicam.discover_u3v, viva_genicam.connect_u3v),
    )
    for transport, discover, connect in searches:
        try:
            devices = discover()
        # Many computers lack one of the two, and have cameras on the other.
        except Exception as error:  # noqa: BLE001
            logging.getLogger(__name__).warning("no %s cameras: %s", transport, error)
            continue
        for device in devices:
            probes = Probes(f"a {transport} camera")
            asked = {
                ours: probes.ask(ours, partial(getattr, device, theirs, None), None)
                for ours, theirs in _ABOUT.items()
            }
            about = {"transport": transport} | {
                what: str(value) for what, value in asked.items() if value
            }
            # A GigE camera says its serial number only once it is open.
            number = about.get("serial") or about.get("mac") or ""
            parts = about.get("vendor", ""), about.get("model", ""), number
            name = " ".join(("GenICam:", *filter(None, parts)))
            found[name] = partial(
                GenICamCamera, partial(connect, device), {"name": name} | about
            )
    return found


_ABOUT = {
    "vendor": "manufacturer",
    "model": "model",
    "serial": "serial",
    "mac": "mac",
    "ip": "ip",
}


class GenICamCamera(StandardCamera):
    """A camera of GigE Vision or USB3 Vision.

    Control of a GigE camera can be taken by another program while frames go on: the
    next change of a setting is refused then. Where a camera answers nothing any more,
    `read_into` raises `CameraLost` less than 2 s after the last frame that came.

    Parameters
    ----------
    connect : callable
        Returns the SDK's camera, connected.
    info : mapping
        "name" and whatever else is known, such as the "ip" of a GigE camera.
    """

    def __init__(
        self, connect: "Callable[[], viva_genicam.Camera]", info: Mapping[str, str]
    ) -> None:
        super().__init__(info)
        self._connect_to = connect
        self._device: Any = None
        self._stream: Any = None
        self._pulse: _Pulse | None = None
        self._gone = False
        self._ticks_per_s: int | None = None

    def _connect(self) -> None:

        self._device = self._connect_to()
        try:
            self._identify()
        except BaseException:
            self._disconnect()
            raise

    def _identify(self) -> None:
        for ours, feature in _IDENTITY.items():
            found = self._read_if_possible(feature)
            if found is not None and found.value:
                self._info.setdefault(ours, str(found.value))
        if self._device.transport == "gige":
            # 64-bit numbers go beyond the period, and then it means nothing.
            self._period = GIGE_PERIOD
            self._ticks_per_s = self._probes.ask("clock", self._tick_frequency, None)
        else:
            self._ticks_per_s = 10**9  # USB3 Vision counts nanoseconds

    def _tick_frequency(self) -> int | None:
        high, low = (self._device.read_register(at) for at in _TICK_FREQUENCY)
        return int.from_bytes(high + low) or None

    def _disconnect(self) -> None:
        self._device.close()
        self._device = None

    def _feature(self, name: str) -> Feature | None:
        import viva_genicam

        try:
            state = self._device.feature_state(name)
        except viva_genicam.GenApiError:
            if self._device.node_info(name) is None:
                return None
            raise
        if not (state.is_implemented and state.is_available) or state.value is None:
            return None
        limits = state.range
        return Feature(
            value=state.value,
            writable=state.access == "RW",
            minimum=None if limits is None else limits.min,
            maximum=None if limits is None else limits.max,
            step=None if limits is None else limits.inc,
            choices=tuple(state.enum_entries or ()),
            unit=state.unit or "",
        )

    def _write(self, name: str, value: SettingValue) -> None:
        # The SDK's own `set` reads a value from text.
        if isinstance(value, bool):
            self._device.set_bool(name, value)
        elif isinstance(value, int):
            self._device.set_integer(name, value)
        elif isinstance(value, float):
            self._device.set_float(name, value)
        else:
            self._device.set_enum(name, value)

    def _can_unpack(self, pixel_format: PixelFormat) -> bool:
        import viva_genicam

        sent, components = pixel_format.sample()
        shape = 2, -1, len(pixel_format.components) if pixel_format.is_colour else 1
        wanted = pixel_format.planes(components.reshape(shape))
        height, width = wanted.shape[-2:]
        try:
            frame = viva_genicam.Frame.from_bytes(
                sent, width, height, pixel_format.name
            )
            got = frame.to_numpy()
        except viva_genicam.GenicamError:
            return False  # it does not know this one
        got = _colours_first(got.reshape(height, width, -1))
        return got.dtype == wanted.dtype and np.array_equal(got, wanted)

    def _begin(self) -> None:
        self._gone = False
        self._stream = self._device.stream(deliver_incomplete=True)
        try:
            self._stream.__enter__()
        except BaseException:
            self._stream.close()
            raise
        if self._device.transport == "gige" and "ip" in self._info:
            feel = partial(_Pulse, self._info["ip"])
            self._pulse = self._probes.ask("pulse", feel, None)

    def _end(self) -> None:
        if self._pulse is not None:
            self._pulse.close()
            self._pulse = None
        if self._gone or self._has_lost_control():
            # It would not obey, and a camera that is gone takes seconds to say so.
            self._stream.close()
        else:
            self._stream.__exit__(None, None, None)

    def _has_lost_control(self) -> bool:
        import viva_genicam

        lost = viva_genicam.ControlState.LOST
        return self._device.transport == "gige" and self._device.control_state is lost

    def _take(self, out: npt.NDArray[Any], timeout_s: float) -> FrameInfo | None:
        import viva_genicam

        try:
            frame = self._stream.next_frame(round(timeout_s * 1000))
        except viva_genicam.TransportError as error:
            self._check_alive()
            if "timeout" in str(error):
                return None
            raise
        if frame is None:
            raise CameraLost(f"{self._name} ended its stream")
        if self._pulse is not None:
            self._pulse.felt()
        try:
            pixels = frame.to_numpy()
        except viva_genicam.GenicamError:  # too few bytes of a damaged frame
            self._numbers.lose()
            return None
        if pixels.ndim == 3:
            pixels = _colours_first(pixels)
        if not self._put(out, pixels):
            return None
        time_ns = None
        if frame.ts_dev is not None and self._ticks_per_s is not None:
            time_ns = frame.ts_dev * 10**9 // self._ticks_per_s
        return self._numbers.deliver(frame.block_id, time_ns, frame.is_complete)

    def _check_alive(self) -> None:
        """Raise `CameraLost` where the camera is gone: no frame may be a long exposure.

        The SDK's own word, its control state, does not change when a camera is gone.
        """
        why = "it answers nothing any more"
        if self._pulse is not None:
            self._gone = self._gone or not self._pulse.beats()
        else:
            import viva_genicam

            try:
                self._device.read_register(0, 4)
            except viva_genicam.GenicamError as error:
                self._gone, why = True, str(error)
        if self._gone:
            raise CameraLost(f"{self._name} is gone: {why}")


def _colours_first(frame: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Turn (height, width, components), in which the SDK has put red first."""
    return frame.transpose(2, 0, 1)


class _Pulse:
    """Whether a GigE camera still answers, without ever waiting for it.

    Reading a register of a camera that is gone takes the SDK 4 s. So the camera is
    asked who it is, which anyone may, and its answer is looked for the next time.
    """

    def __init__(self, ip: str) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.connect((ip, _GVCP_PORT))
        self._silent_since: float | None = None

    def close(self) -> None:
        self._socket.close()

    def felt(self) -> None:
        """Note that the camera was heard in another way."""
        self._silent_since = None

    def beats(self) -> bool:
        """Whether the camera answered lately or may still do; asks again."""
        try:
            while self._socket.recv(1024):
                self._silent_since = None
        except BlockingIOError:
            pass  # no more answers
        except ConnectionError:
            return False  # nobody listens there
        except OSError:
            pass  # the network is down, perhaps for a moment: the time decides
        now = time.perf_counter()
        if self._silent_since is None:
            self._silent_since = now
        with suppress(OSError):  # shows as silence
            self._socket.send(_DISCOVERY_COMMAND)
        return now - self._silent_since < _SILENT_S


_IDENTITY = {
    "vendor": "DeviceVendorName",
    "model": "DeviceModelName",
    "serial": "DeviceSerialNumber",
}
