"""A camera as a source: described, and read in its own thread."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import wait
from functools import partial
from typing import Any, Protocol

import numpy as np

from napari_zarr_stream._writer.colours import NAMED, RGB, given_color
from napari_zarr_stream._writer.intake import Place
from napari_zarr_stream._writer.properties import Channel
from napari_zarr_stream._writer.record import RecordKey, universal_time
from napari_zarr_stream.cameras.changes import SettingChange, SettingsWatch
from napari_zarr_stream.cameras.protocol import (
    Camera,
    CameraLost,
    FrameInfo,
    Setting,
    SettingValue,
    channel_names,
    value_range_of,
)
from napari_zarr_stream.cameras.thread import CameraThread

from .source import Sink, SourceDescription

ANSWER_TIMEOUT_S = 5.0
"""A camera that is asked something between two reads answers long before this."""

GIVE_UP_S = 10.0
"""A read that has not come back this long after the stop hangs in its driver."""

POLL_S = 0.2
"""How often it is asked whether a run is to stop, while its source has the thread."""


class CameraFacts(Protocol):
    """What is asked of a camera to describe it: a `Camera`, or what one has said.

    Attributes as of `Camera`.
    """

    @property
    def settings(self) -> Sequence[Setting]:
        """See `Camera`."""

    @property
    def info(self) -> Mapping[str, str]:
        """See `Camera`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """See `Camera`."""

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """See `Camera`."""

    @property
    def bit_depth(self) -> int:
        """See `Camera`."""

    @property
    def frame_rate(self) -> float | None:
        """See `Camera`."""

    @property
    def pixel_size_um(self) -> float | None:
        """See `Camera`."""


class CameraSource:
    """A camera as a source of `t, y, x`, or `t, c, y, x` if it has colours.

    Parameters
    ----------
    thread : CameraThread
        Of a camera that was opened. It stays open after `stop`.
    name : str
    frames : int
        How many to take; 0 means until the recording is stopped.
    pixel_size_um : float or None
        Of the sample, in micrometres; None leaves it to the camera.
    known : CameraFacts, optional
        What the camera said of itself, where that is known: it is not asked again.
    """

    def __init__(
        self,
        thread: CameraThread,
        name: str,
        frames: int = 0,
        pixel_size_um: float | None = None,
        known: CameraFacts | None = None,
    ) -> None:
        self.thread = thread
        self._name = name
        self._frames = frames
        self._pixel_size_um = pixel_size_um
        self._known = known
        self._lost_before = 0  # when the last frame was thrown away
        self._is_drained = False  # and none was kept since
        self._watch = SettingsWatch(thread)
        self._changes: list[SettingChange] = []
        self._first = 0  # number, since the camera was started, of the first one kept

    def describe(self) -> SourceDescription:
        """See `Source.describe`.

        Raises
        ------
        CameraError
            The camera cannot say, or does not answer.
        """
        describe = partial(
            describe_camera,
            name=self._name,
            frames=self._frames,
            pixel_size_um=self._pixel_size_um,
        )
        if self._known is not None:
            return describe(self._known)
        return self.thread.call(describe, ANSWER_TIMEOUT_S)

    @property
    def lost(self) -> int | None:
        """See `Source.lost`."""
        lost = self._lost_by_camera()
        # A frame that was missed at the last moment may come late: one less is lost.
        return None if lost is None else max(0, lost - self._lost_before)

    def _lost_by_camera(self) -> int | None:
        return self.thread.call(lambda camera: camera.stats.lost, ANSWER_TIMEOUT_S)

    @property
    def events(self) -> Sequence[Mapping[str, Any]]:
        """See `Source.events`."""
        return [
            {
                "time": universal_time(change.time_ns),
                "frame": max(0, change.frame - self._first),
                "setting": change.name,
                "value": _as_json(change.value),
            }
            for change in self._changes
        ]

    def run(self, work: Callable[[], None], is_stopping: Callable[[], bool]) -> None:
        """See `Source.run`: in the camera's thread."""
        future = self.thread.submit(lambda camera: work(), is_long=True)
        stopping_since = math.inf
        while not wait((future,), POLL_S).done:
            now = time.perf_counter()
            if is_stopping():
                stopping_since = min(stopping_since, now)
            if now - stopping_since > GIVE_UP_S:
                future.cancel()
                raise CameraLost(
                    f"{self.thread.name} has not come back from a read {GIVE_UP_S:g} s "
                    "after the stop: its driver hangs, and is left to itself"
                )
        future.result()

    def start(self) -> None:
        """See `Source.start`."""
        self._lost_before, self._is_drained = 0, False
        self._changes, self._first = [], 0

        def start(camera: Camera) -> None:
            camera.start()
            self._watch.begin(camera)

        self.thread.call(start, ANSWER_TIMEOUT_S)

    def drain(self, timeout_s: float) -> FrameInfo | None:
        """See `Source.drain`; before that, does what others ask of the camera."""
        self._serve()

        def drop(camera: Camera) -> FrameInfo | None:
            if "file" in camera.info:
                return None  # its first frame is the first one whenever it is read
            nowhere = Place(camera.shape, camera.dtype, lambda planes: None)
            return _read_into(camera, nowhere, timeout_s)

        info = self.thread.call(drop)
        self._is_drained = True
        self._lost_before = self._lost_by_camera() or 0
        return info

    def feed(self, sink: Sink, timeout_s: float) -> FrameInfo | None:
        """See `Source.feed`; before that, does what others ask of the camera."""
        self._serve()
        read = partial(_read_into, timeout_s=timeout_s)
        info = self.thread.call(lambda camera: sink.fill(partial(read, camera)))
        if info is not None and self._is_drained:
            # What its number says is missing came before it: of no recording.
            self._is_drained = False
            self._lost_before = self._lost_by_camera() or 0
            self._first = info.index
        return info

    def _serve(self) -> None:
        if not self.thread.serve():
            raise CameraLost(f"{self.thread.name} was closed while it was recorded")
        self._changes += self.thread.call(self._watch.look)

    def stop(self) -> None:
        """See `Source.stop`."""
        self.thread.call(lambda camera: camera.stop(), ANSWER_TIMEOUT_S)


def describe_camera(
    camera: CameraFacts, name: str, frames: int, pixel_size_um: float | None
) -> SourceDescription:
    """Describe a camera, or what it said of itself; as for `CameraSource`."""
    rate = camera.frame_rate
    size = pixel_size_um or camera.pixel_size_um
    colours = camera.shape[:-2]
    value_range = value_range_of(camera.dtype, camera.bit_depth)
    named: list[tuple[str, str]] = []
    if colours == (len(names := channel_names(camera.info)),):
        named = [(each, given_color(number)) for number, each in enumerate(names)]
    elif colours == (len(RGB),):
        named = [(each, NAMED[each]) for each in RGB]
    channels = tuple(Channel(*each, value_range=value_range) for each in named)
    return SourceDescription(
        name=name,
        axes="tcyx" if colours else "tyx",
        shape=(frames or None, *camera.shape),
        dtype=camera.dtype,
        scale=(
            1 / rate if rate else 1.0,
            *[1.0] * len(colours),
            *[size or 1.0] * 2,
        ),
        translation=(0.0,) * (1 + len(camera.shape)),
        units=(
            "second" if rate else None,
            *[None] * len(colours),
            *["micrometer" if size else None] * 2,
        ),
        channels=channels or None,
        value_range=value_range,
        planes_per_frame=math.prod(colours),
        frame_rate=rate,
        record={
            RecordKey.SOURCE: "camera",
            RecordKey.CAMERA: dict(camera.info),
            RecordKey.SETTINGS: {s.name: _as_json(s.value) for s in camera.settings},
            RecordKey.BIT_DEPTH: camera.bit_depth,
            RecordKey.PIXEL_SIZE_UM: size,
            RecordKey.NOMINAL_FRAME_RATE: rate,
        },
    )


def _read_into(camera: Camera, place: Place, timeout_s: float) -> FrameInfo | None:
    out: Any = place  # no array, but all that a camera may use of one
    return camera.read_into(out, timeout_s)


def _as_json(value: SettingValue) -> SettingValue:
    """A setting's value; JSON has no infinity."""
    finite = not isinstance(value, float) or math.isfinite(value)
    return value if finite else str(value)
