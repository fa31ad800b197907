"""Cameras of any maker through its GenTL producer, a .cti file, by harvesters."""

import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .features import Feature
from .frame_numbers import GIGE_PERIOD
from .pixel_format import PixelFormat
from .protocol import (
    Camera,
    CameraError,
    CameraLost,
    FrameInfo,
    Setting,
    SettingValue,
)
from .standard_camera import StandardCamera, ring_frames

_ANY = "GenTL: producer file"
_PATHS = "GENICAM_GENTL64_PATH"  # where makers' installers say what they installed


def find() -> dict[str, Callable[[], Camera]]:
    """Return what makes each camera of the producers installed, by the name to show.

    Those are the .cti files in the directories that the environment variable
    GENICAM_GENTL64_PATH lists. One more entry takes a producer's file as its address.
    """
    import harvesters.core  # noqa: F401 # so that it is missed here, if it is missing

    found: dict[str, Callable[[], Camera]] = {}
    directories = filter(None, os.environ.get(_PATHS, "").split(os.pathsep))
    for directory in directories:
        for path in sorted(Path(directory).glob("*.cti")):
            try:
                with _loaded(str(path)) as producer:
                    devices = _devices(producer)
            # Old ones stay behind where makers' software is replaced, and raise what
            # they like.
            except Exception as error:  # noqa: BLE001
                logging.getLogger(__name__).warning("no cameras of %s: %s", path, error)
                continue
            for device, about in devices.items():
                name = f"GenTL: {device}"
                info = {"name": name} | about
                found[name] = partial(GenTLCamera, info, str(path), device)
    found[_ANY] = partial(GenTLCamera, {"name": _ANY})
    return found


# A producer can be loaded once in a process, however many of its cameras are in use,
# and unloading it takes away all of them.
_producers: dict[str, tuple[Any, int]] = {}  # guarded by _lock; with the count of users
_lock = threading.Lock()


def _load(path: str) -> Any:
    """Return a producer with its devices; `_unload` must follow."""
    from genicam import gentl
    from harvesters.core import Harvester

    with _lock:
        producer, users = _producers.get(path, (None, 0))
        if producer is None:
            # Harvester only logs what is wrong with a file.
            trial = gentl.GenTLProducer.create_producer()
            try:
                trial.open(path)
                trial.close()
            except gentl.GenericException as error:
                raise CameraError(f"no GenTL producer in {path}: {error}") from error
            producer = Harvester()
            producer.add_file(path)
            producer.update()
        _producers[path] = producer, users + 1
        return producer


def _unload(path: str) -> None:
    with _lock:
        producer, users = _producers[path]
        if users > 1:
            _producers[path] = producer, users - 1
        else:
            del _producers[path]
            producer.reset()


@contextmanager
def _loaded(path: str) -> Iterator[Any]:
    producer = _load(path)
    try:
        yield producer
    finally:
        _unload(path)


def _devices(producer: Any) -> dict[str, dict[str, str]]:
    """Return what is known of each device, by a name that no other has."""
    devices: dict[str, dict[str, str]] = {}
    for number, device in enumerate(producer.device_info_list):
        known = {
            name: str(value)
            for name, value in device.property_dict.items()
            if name in ("vendor", "model", "serial_number", "id_") and value
        }
        parts = (known.get(part, "") for part in ("vendor", "model", "serial_number"))
        name = " ".join(filter(None, parts))
        if not name or name in devices:
            name = f"{name} {known.get('id_', f'device {number}')}".strip()
        devices[name] = {
            ours: known[theirs] for ours, theirs in _ABOUT.items() if theirs in known
        }
    return devices


_ABOUT = {"vendor": "vendor", "model": "model", "serial": "serial_number"}


class GenTLCamera(StandardCamera):
    """A camera of a GenTL producer.

    Without a producer's file, "address" has to be set before anything else is asked
    for; the first device of it is taken, unless the setting "device" is set.

    Harvesters hands out complete frames only: incomplete ones are lost, and like those
    for which there was no buffer, they show as gaps in the frame ids.

    Parameters
    ----------
    info : mapping
        "name" and whatever else is known.
    path : str
        The producer's file; "" to have the settings "address" and "device".
    device : str
        Which of the producer's devices; "" for the first.
    """

    def __init__(
        self, info: Mapping[str, str], path: str = "", device: str = ""
    ) -> None:
        super().__init__(info)
        self._is_fixed = bool(path)
        self._path, self._chosen = path, device
        self._choices: tuple[str, ...] = ()
        self._producer: Any = None
        self._acquirer: Any = None
        self._can_be_probed = False  # whether register 0 can be read
        self._is_waiting = False  # opened, but there is no address yet

    # A camera that has yet to be told where it is

    @property
    def settings(self) -> Sequence[Setting]:
        """The settings; "address" and "device" come first where there are such."""
        if self._is_fixed:
            return super().settings
        if not self._is_waiting:
            self._must_be_open()
        own = [Setting("address", "Producer file (.cti)", self._path, is_path=True)]
        if self._connected:
            choices = self._choices
            own.append(Setting("device", "Device", self._chosen, choices=choices))
            own.extend(super().settings)
        return tuple(own)

    def open(self) -> None:
        """Connect; without an address wait for one. Raises `CameraError`."""
        if self._path:
            super().open()
        else:
            self._is_waiting = True

    def close(self) -> None:
        """Disconnect; may be called twice."""
        self._is_waiting = False
        super().close()

    def get(self, name: str) -> SettingValue:
        """Read a setting; raises `CameraError` when there is no such name."""
        if not self._is_fixed and name == "address":
            return self._path
        if not self._is_fixed and name == "device" and self._connected:
            return self._chosen
        return super().get(name)

    def set(self, name: str, value: SettingValue) -> SettingValue:
        """Change a setting; returns the value in force. See `StandardCamera.set`.

        Another "address" or "device" is opened at once if the camera is open; where
        that fails, the one before stays.
        """
        if self._is_fixed or name not in ("address", "device"):
            return super().set(name, value)
        if self._layout is not None:
            raise CameraError(f"stop the camera first: {name} is locked while it runs")
        if name == "device" and value not in self._choices:
            raise CameraError(f"device is one of {self._choices}, not {value!r}")
        before = self._path, self._chosen
        after = (str(value), "") if name == "address" else (self._path, str(value))
        if after[0] == before[0] and (name == "address" or after == before):
            return value
        was_open = self._connected or self._is_waiting
        self.close()
        self._path, self._chosen = after
        if was_open:
            try:
                self.open()
            except CameraError:
                self._path, self._chosen = before
                self.open()
                raise
        return value

    def _must_be_open(self) -> None:
        if self._is_waiting and not self._connected:
            raise CameraError(
                f"{self._name} needs an address first: the producer's .cti file"
            )
        super()._must_be_open()

    # What `StandardCamera` asks for

    def _connect(self) -> None:
        from genicam import genapi, gentl

        self._sdk_errors = (genapi.GenericException, gentl.GenericException)
        self._producer = _load(self._path)
        try:
            devices = _devices(self._producer)
            self._choices = tuple(devices)
            if not devices:
                raise CameraError(f"{self._path} knows no camera that is connected")
            self._chosen = self._chosen or self._choices[0]
            if self._chosen not in devices:
                raise CameraError(
                    f"{self._chosen} is not connected, only {', '.join(devices)}"
                )
            self._acquirer = self._producer.create(self._choices.index(self._chosen))
        except BaseException:
            _unload(self._path)
            raise
        self._info |= devices[self._chosen]
        module = self._acquirer.device.module
        transport = self._probes.ask("transport", lambda: module.tl_type, "")
        self._period = GIGE_PERIOD if transport == "GEV" else None
        self._can_be_probed = self._probes.ask("register 0", self._can_probe, False)

    def _disconnect(self) -> None:
        try:
            self._acquirer.destroy()
        finally:
            self._acquirer = self._producer = None
            _unload(self._path)

    def _feature(self, name: str) -> Feature | None:
        from genicam import genapi

        nodes = self._acquirer.remote_device.node_map
        if not nodes.has_node(name):
            return None
        node = nodes.get_node(name)
        modes = genapi.EAccessMode
        if node.get_access_mode() not in (modes.RO, modes.RW):
            return None
        more: dict[str, Callable[[], Any]] = {}
        match node:
            case genapi.IEnumeration():
                more["choices"] = partial(self._choices_of, node, name)
            case genapi.IInteger() | genapi.IFloat():
                more["minimum"] = lambda: node.min
                more["maximum"] = lambda: node.max
                more["unit"] = lambda: node.unit
                if isinstance(node, genapi.IInteger):
                    more["step"] = lambda: node.inc
        writable = node.get_access_mode() == modes.RW
        return self._with(Feature(node.value, writable), name, more)

    def _choices_of(self, node: Any, name: str) -> tuple[str, ...]:
        """Choices that there are now; an entry that cannot be asked hides no other."""
        from genicam import genapi

        def is_there(entry: Any) -> bool:
            modes = genapi.EAccessMode
            return entry.get_access_mode() in (modes.RO, modes.RW)

        return tuple(
            entry.symbolic
            for entry in node.entries
            if self._probes.ask(
                f"choice of {name}", partial(is_there, entry), otherwise=False
            )
        )

    def _write(self, name: str, value: SettingValue) -> None:
        self._acquirer.remote_device.node_map.get_node(name).value = value

    def _can_unpack(self, pixel_format: PixelFormat) -> bool:
        from harvesters.util.pfnc import Dictionary

        proxy = Dictionary.get_proxy(symbolic=pixel_format.name)
        if proxy is None or (pixel_format.packed and pixel_format.is_colour):
            return False
        # It decodes Mono14p wrongly, for one: what it does is looked at.
        sent, components = pixel_format.sample()
        got: npt.NDArray[Any] = proxy.expand(np.frombuffer(sent, np.uint8))
        return got.dtype == components.dtype and np.array_equal(got, components)

    def _begin(self) -> None:
        payload = self._read_if_possible("PayloadSize")
        frame_bytes = 1 if payload is None else int(payload.value)
        self._acquirer.num_buffers = ring_frames(frame_bytes)
        self._acquirer.start()

    def _end(self) -> None:
        self._acquirer.stop()

    def _take(self, out: npt.NDArray[Any], timeout_s: float) -> FrameInfo | None:
        # Harvesters takes 0 for ever.
        buffer = self._acquirer.try_fetch(timeout=max(timeout_s, 1e-3))
        if buffer is None:
            if self._can_be_probed and not self._can_probe():
                raise CameraLost(f"{self._name} is gone: it answers nothing any more")
            return None
        with buffer:
            number = self._probes.ask(
                "frame number", partial(self._number_of, buffer), None
            )
            if not self._copy(buffer, out):
                return None
            time_ns = self._probes.ask(
                "frame time", partial(self._time_ns_of, buffer), None
            )
        return self._numbers.deliver(number, time_ns)

    def _copy(self, buffer: Any, out: npt.NDArray[Any]) -> bool:
        pixel_format, height, width = self._pixel_format(), *self.shape[-2:]
        components = buffer.payload.components
        pixels = components[0].data if components else None
        if pixels is None or pixels.size % height:
            self._numbers.lose()
            return False
        # Behind the pixels of a row lies padding, which harvesters leaves there.
        rows = pixels.reshape(height, -1)
        if pixel_format.is_colour:
            per_pixel = 4 if pixel_format.components.lower().endswith("a") else 3
            rows = rows[:, : width * per_pixel]
            if rows.shape[1] == width * per_pixel:
                frame = rows.reshape(height, width, per_pixel)
                return self._put(out, pixel_format.planes(frame))
        return self._put(out, rows[:, :width])

    def _number_of(self, buffer: Any) -> int | None:
        try:
            return int(buffer.module.frame_id)
        except self._sdk_errors:  # a producer need not have it
            return None

    def _time_ns_of(self, buffer: Any) -> int | None:
        with suppress(*self._sdk_errors):  # a producer need not have it
            return int(buffer.module.timestamp_ns)
        return None

    def _can_probe(self) -> bool:
        """Whether the device lets register 0 be read, which all real ones have."""
        try:
            self._acquirer.remote_device.port.read(0, 4)
        except self._sdk_errors:
            return False
        return True
