"""A camera of Micro-Manager: the camera device of a core, whose ring is polled.

Only losses in the core's ring can be seen, none in the camera or its driver.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_zarr_stream.cameras.host_clock import host_time_ns
from napari_zarr_stream.cameras.probes import Probes
from napari_zarr_stream.cameras.protocol import (
    SINGLE_FRAMES,
    Camera,
    CameraError,
    CameraLost,
    CameraStats,
    FrameInfo,
    Setting,
    SettingValue,
    coerced,
    setting_of,
)

from .core import asking, light_between, own_core, release, running_core, use
from .frames import Format, FrameSet, FrameSets, format_of, labels_of
from .settings import PROPERTIES, Size, change, sensor_of, settings_of

if TYPE_CHECKING:
    from pymmcore_plus import CMMCorePlus

_POLL_S = 0.001  # the core has no call that waits
_ENDLESS = 2**31 - 1
_INTERVAL = "ActualInterval-ms"


def find() -> dict[str, Callable[[], Camera]]:
    """Return the camera of the running core, if any, and one for a file."""
    cameras: dict[str, Callable[[], Camera]] = {}
    core, probes = running_core(), Probes("Micro-Manager")
    label = "" if core is None else probes.ask("camera", core.getCameraDevice, "")
    if label:
        cameras[f"Micro-Manager: {label}"] = MicroManagerCamera
    cameras["Micro-Manager: configuration file"] = partial(MicroManagerCamera, "")
    return cameras


class MicroManagerCamera:
    """The camera device of a Micro-Manager core.

    The core is polled. Its ring is filled until it is full, and never overwritten: in
    that mode losses do not show, and frames may come with pixels of others. A ring that
    ran full therefore ends the stream, after all that was in it has been read.

    A device that stands for several cameras (Multi Camera) gives a plane of each, those
    with the same number together, as `(cameras, height, width)`.

    Parameters
    ----------
    address : str or None
        A configuration file, which is loaded into a core of its own; "" where it is
        not known yet. None: the core that is running, `CMMCorePlus.instance()`, whose
        devices and configuration are left as they are.
    """

    def __init__(self, address: str | None = None) -> None:
        self._address = address
        self._open = self._running = self._is_single = False
        self._core: CMMCorePlus | None = None
        self._label = ""
        self._sensor: Size | None = None  # None: no region can be set
        self._probes = Probes("Micro-Manager")
        self._sets: FrameSets | None = None  # while running
        self._next = 0  # ImageNumber that follows the last one delivered
        self._delivered = self._lost = self._incomplete = 0
        self._left: int | None = None  # frames to read after the ring ran full

    # what it is

    @property
    def info(self) -> Mapping[str, str]:
        """Name of the device, its adapter, and the version of the core."""
        core = self._core
        if core is None:
            return {"name": "Micro-Manager: configuration file"}
        shared = {} if self._address is not None else {"shared": "the running core"}
        questions: dict[str, Callable[[], str]] = {
            "vendor": partial(core.getDeviceLibrary, self._label),
            "model": partial(core.getDeviceName, self._label),
            "description": partial(core.getDeviceDescription, self._label),
            "core": core.getVersionInfo,
        }
        said = {
            what: self._probes.ask(what, ask, "") for what, ask in questions.items()
        }
        known = {what: value for what, value in said.items() if value}
        labels = self._labels()
        channels = {"channels": ", ".join(labels)} if len(labels) > 1 else {}
        name = f"Micro-Manager: {self._label}"
        light = self._probes.ask("shutter", partial(light_between, core), "")
        single = {SINGLE_FRAMES: light} if light else {}
        return {
            **shared,
            "name": name,
            **known,
            **channels,
            **single,
            **self._probes.info,
        }

    @property
    def settings(self) -> Sequence[Setting]:
        """The address of a file, and what the camera lets set once it is loaded."""
        settings = []
        if self._address is not None:
            settings.append(
                Setting("address", "Configuration file", self._address, is_path=True)
            )
        if self._core is not None:
            settings.extend(
                settings_of(self._core, self._label, self._sensor, self._probes)
            )
        return settings

    @property
    def shape(self) -> tuple[int, ...]:
        """(height, width), or (channels, height, width) of colours or several cameras.

        Raises `CameraError` where cameras that go together give different frames.
        """
        labels, frame = self._labels(), self._format()
        return frame.shape if len(labels) == 1 else (len(labels), *frame.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a pixel."""
        return self._format().dtype

    @property
    def bit_depth(self) -> int:
        """Bits of a pixel that carry signal; all of a float."""
        core, whole = self._loaded(), 8 * self.dtype.itemsize
        if self.dtype.kind == "f":
            return whole
        depth = self._probes.ask("bit depth", core.getImageBitDepth, whole)
        return int(depth) if 0 < depth <= whole else whole

    @property
    def frame_rate(self) -> float | None:
        """Frames a second, of the few adapters that tell the interval."""
        core = self._loaded()

        def ask() -> float | None:
            if not core.hasProperty(self._label, _INTERVAL):
                return None
            interval_ms = float(core.getProperty(self._label, _INTERVAL))
            return 1000 / interval_ms if interval_ms > 0 else None

        return self._probes.ask("frame rate", ask, None)

    @property
    def pixel_size_um(self) -> float | None:
        """Of the configuration: objective and binning are taken into account."""
        size = self._probes.ask("pixel size", self._loaded().getPixelSizeUm, 0.0)
        return float(size) or None

    @property
    def stats(self) -> CameraStats:
        """Counts since `start`; a frame that found the ring full is lost.

        Of several cameras, a frame that some of them lost is incomplete.
        """
        return CameraStats(self._delivered, self._lost, self._incomplete)

    def _loaded(self) -> "CMMCorePlus":
        if self._core is not None:
            return self._core
        if self._open:
            raise CameraError("set the address of a Micro-Manager configuration first")
        raise CameraError(f"{self.info['name']} is closed: open it first")

    def _labels(self) -> tuple[str, ...]:
        if self._sets is not None:
            return self._sets.labels
        ask = partial(labels_of, self._loaded(), self._label)
        return self._probes.ask("channels", ask, (self._label,))

    def _format(self) -> Format:
        if self._sets is not None:
            return self._sets.format
        core, labels = self._loaded(), self._labels()
        with asking(f"tell what pixels {self._label} gives"):
            return format_of(core, labels)

    # connection

    def open(self) -> None:
        """Take the running core, or load the file if its address is set.

        Raises `CameraError` when there is no such core or file, or it has no camera.
        """
        if self._open:
            return
        if self._address is None:
            core = running_core()
            if core is None:
                raise CameraError("Micro-Manager does not run in this process any more")
            self._take(core)
        elif self._address:
            self._load(self._address)
        self._open = True

    def _load(self, address: str) -> None:
        path = Path(address).expanduser()
        with asking(f"load {address}"):
            core = own_core(path)
            try:
                core.loadSystemConfiguration(path)
                self._take(core)
            except BaseException:
                release(core)
                raise

    def _take(self, core: "CMMCorePlus") -> None:
        label = core.getCameraDevice()
        if not label:
            raise CameraError("Micro-Manager has no camera: load one and choose it")
        use(core)
        self._core, self._label = core, label
        self._measure(core)

    def _measure(self, core: "CMMCorePlus") -> None:
        self._sensor = self._probes.ask("region", partial(sensor_of, core), None)

    def close(self) -> None:
        """Disconnect; devices of a shared core stay loaded. May be called twice."""
        try:
            self.stop()
        finally:
            self._open = False
            self._unload()

    def _unload(self) -> None:
        core, self._core = self._core, None
        if core is not None and self._address is not None:
            with asking("unload its devices"):
                release(core)

    # settings

    def get(self, name: str) -> SettingValue:
        """Return a setting's value; raises `CameraError` when there is no such name."""
        return setting_of(self, name).value

    def set(self, name: str, value: SettingValue) -> SettingValue:
        """Change a setting, numbers within their range; returns the value in force.

        Raises `CameraError` when there is no such setting or choice, when it is locked
        because the camera runs, or when the device refuses it.
        """
        setting = setting_of(self, name)
        if setting.locked_while_running and self._running:
            raise CameraError(f"stop the camera first: {name} is locked while it runs")
        value = coerced(setting, value)
        if name == "address":
            self._unload()
            self._address = ""
            if self._open and value:
                self._load(str(value))
            self._address = str(value)
            return self._address
        core = self._loaded()
        with asking(f"set {name} to {value}"):
            change(core, self._label, name, value)
            if name in PROPERTIES and not self._running:
                self._measure(core)  # binning changes it
        return self.get(name)

    # frames

    def start(self) -> None:
        """Begin to take frames, counted from 0.

        Raises `CameraError` unless it is open and stopped, and when something else
        uses a camera of this core: there is one ring for all.
        """
        core, sets = self._ready()
        with asking(f"start {self._label}"):
            core.startSequenceAcquisition(_ENDLESS, 0, True)
        self._sets, self._running = sets, True

    def start_single(self) -> None:
        """See `SingleFrames`: the core snaps, which opens its shutter and closes it.

        Raises `CameraError` as `start`.
        """
        _, sets = self._ready()
        self._sets, self._running, self._is_single = sets, True, True

    def _ready(self) -> "tuple[CMMCorePlus, FrameSets]":
        core = self._loaded()
        if self._running:
            raise CameraError(f"{self.info['name']} runs already: stop it first")
        self._check_free(core)
        sets = FrameSets(self._labels(), self._format())
        self._next = self._delivered = self._lost = self._incomplete = 0
        self._left = None
        return core, sets

    def _check_free(self, core: "CMMCorePlus") -> None:
        if (label := core.getCameraDevice()) != self._label:
            raise CameraError(
                f"Micro-Manager's camera is {label or 'none'} now and no longer "
                f"{self._label}: choose it again"
            )
        from pymmcore_plus import DeviceType

        for other in core.getLoadedDevicesOfType(DeviceType.Camera):
            ask = partial(core.isSequenceRunning, other)
            if self._probes.ask(f"state of {other}", ask, False):
                raise CameraError(
                    f"{other} is running already in Micro-Manager: stop its live view "
                    "or acquisition first"
                )
        if core.mda.is_running():
            raise CameraError("Micro-Manager runs an acquisition: stop it first")

    def stop(self) -> None:
        """Take no more frames; waits for the exposure under way. May be called twice.

        Raises `CameraError` when the device fails to stop.
        """
        if self._running:
            self._running, self._sets = False, None
            was_single, self._is_single = self._is_single, False
            if not was_single:
                self._stop_sequence()

    def _stop_sequence(self) -> None:
        with asking(f"stop {self._label}"):
            core = self._loaded()
            try:
                core.stopSequenceAcquisition()
            except RuntimeError:
                # some devices repeat at the end that the ring ran full
                if not core.isBufferOverflowed():
                    raise

    def read_into(
        self, out: npt.NDArray[np.generic], timeout_s: float
    ) -> FrameInfo | None:
        """Copy the next frame of the ring into `out`; None at the timeout.

        Raises `CameraLost` when the ring ran full or the camera stopped by itself, once
        all frames taken before that have been read, and when another program
        interferes.
        """
        if self._sets is None:
            raise CameraError(f"{self.info['name']} does not run: start it first")
        core, sets = self._loaded(), self._sets
        if self._is_single:
            return self._snap(core, sets, out)
        deadline = time.perf_counter() + timeout_s
        ended = False
        while True:
            if self._left is None and core.isBufferOverflowed():
                self._ring_is_full(core)
            if (one := sets.next(is_end=ended or self._left == 0)) is not None:
                return self._deliver(one, sets.pixels(one), out)
            if self._left == 0:
                raise CameraLost(
                    f"{self.info['name']}: the ring of {core.getBufferTotalCapacity()} "
                    f"frames ran full after frame {self._delivered - 1}, at least "
                    f"{self._lost} lost: a smaller frame, a longer exposure or a "
                    "larger ring helps"
                )
            try:
                frame, said = core.popNextImageAndMD(fix=False)
            except IndexError:  # there is none
                if ended:
                    raise CameraLost(
                        f"{self.info['name']} stopped by itself after "
                        f"{self._delivered} frames, or was stopped by another program"
                    ) from None
            else:
                if self._left is not None:
                    self._left -= 1
                meta = dict(said)
                number = int(meta.pop("ImageNumber"))
                label = meta.pop("Camera", self._label)
                sets.add(label, number, frame, host_time_ns(), meta)
                continue
            # one may have come just before the end
            runs = self._probes.ask("state", core.isSequenceRunning, True)
            ended = self._left is not None or not runs
            if not ended:
                now = time.perf_counter()
                if now >= deadline:
                    return None
                time.sleep(min(_POLL_S, deadline - now))

    def _ring_is_full(self, core: "CMMCorePlus") -> None:
        """Let no more frames in: those that are there follow one another."""
        self._stop_sequence()
        self._left = core.getRemainingImageCount()
        self._lost += 1  # at least the one that found no place

    def _snap(
        self, core: "CMMCorePlus", sets: FrameSets, out: npt.NDArray[Any]
    ) -> FrameInfo:
        with asking(f"take a frame with {self._label}"):
            core.snapImage()
            host_ns = host_time_ns()
            for channel, label in enumerate(sets.labels):
                which = (channel,) if len(sets.labels) > 1 else ()
                frame = core.getImage(*which, fix=False)
                sets.add(label, self._next, frame, host_ns, {})
        one = sets.next()
        assert one is not None
        return self._deliver(one, sets.pixels(one), out)

    def _deliver(
        self, one: FrameSet, pixels: npt.NDArray[Any], out: npt.NDArray[Any]
    ) -> FrameInfo:
        out[...] = pixels
        meta = dict(one.meta)
        elapsed_ms = meta.pop("ElapsedTime-ms", None)
        time_ns = None if elapsed_ms is None else round(float(elapsed_ms) * 1e6)
        lost, self._next = one.number - self._next, one.number + 1
        is_complete = len(one.frames) == len(self._labels())
        self._lost += lost
        self._incomplete += not is_complete
        self._delivered += 1
        index = self._delivered - 1
        return FrameInfo(
            index, one.number, time_ns, one.host_ns, lost, is_complete, meta
        )
