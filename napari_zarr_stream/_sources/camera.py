"""A camera as a source: described, and read in its own thread."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import wait
from functools import partial
from typing import Any, Protocol

import numpy as np

from napari_zarr_stream._writer.colours import NAMED, RGB, WHITE, given_color
from napari_zarr_stream._writer.errors import InvalidProperties
from napari_zarr_stream._writer.intake import Place
from napari_zarr_stream._writer.properties import Channel
from napari_zarr_stream._writer.record import RecordKey, universal_time
from napari_zarr_stream.cameras.changes import SettingChange, SettingsWatch
from napari_zarr_stream.cameras.protocol import (
    SINGLE_FRAMES,
    Camera,
    CameraLost,
    FrameInfo,
    Setting,
    SettingValue,
    SingleFrames,
    channel_names,
    value_range_of,
)
from napari_zarr_stream.cameras.thread import CameraThread

from .source import Sink, SourceDescription
from .take import REST_FROM_S, Take

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
    take : Take
    known : CameraFacts, optional
        What the camera said of itself, where that is known: it is not asked again.
    """

    def __init__(
        self,
        thread: CameraThread,
        name: str,
        frames: int = 0,
        take: Take = Take(),  # noqa: B008 - frozen
        known: CameraFacts | None = None,
    ) -> None:
        self.thread = thread
        self._name = name
        self._frames = frames
        self._take = take
        self._known = known
        self._lost_kept = 0  # until the last frame was thrown away
        self._lost_before = 0  # the camera's count then
        self._is_drained = False  # and none was kept since
        self._patience_s = GIVE_UP_S
        self._watch = SettingsWatch(thread)
        self._changes: list[tuple[int, SettingChange]] = []
        self._fed = 0

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
            take=self._take,
        )
        if self._known is not None:
            return describe(self._known)
        return self.thread.call(describe, ANSWER_TIMEOUT_S)

    @property
    def lost(self) -> int | None:
        """See `Source.lost`."""
        lost = self._lost_by_camera()
        # A frame that was missed at the last moment may come late: one less is lost.
        return None if lost is None else max(0, self._lost_since(lost))

    def _lost_since(self, lost: int) -> int:
        return self._lost_kept + lost - self._lost_before

    def _lost_by_camera(self) -> int | None:
        return self.thread.call(lambda camera: camera.stats.lost, ANSWER_TIMEOUT_S)

    @property
    def events(self) -> Sequence[Mapping[str, Any]]:
        """See `Source.events`."""
        return [
            {
                "time": universal_time(change.time_ns),
                "frame": frame,
                "setting": change.name,
                "value": _as_json(change.value),
            }
            for frame, change in self._changes
        ]

    def run(self, work: Callable[[], None], is_stopping: Callable[[], bool]) -> None:
        """See `Source.run`: in the camera's thread."""
        future = self.thread.submit(lambda camera: work(), is_long=True)
        stopping_since = math.inf
        while not wait((future,), POLL_S).done:
            now = time.perf_counter()
            if is_stopping():
                stopping_since = min(stopping_since, now)
            if now - stopping_since > self._patience_s:
                future.cancel()
                raise CameraLost(
                    f"{self.thread.name} has not come back from a read "
                    f"{self._patience_s:g} s after the stop: its driver hangs, and is "
                    "left to itself"
                )
        future.result()

    def start(self) -> None:
        """See `Source.start`."""
        self._lost_kept, self._lost_before, self._is_drained = 0, 0, False
        self._changes, self._fed = [], 0

        def start(camera: Camera) -> None:
            # One that exposes for minutes is not hanging when it does.
            self._patience_s = GIVE_UP_S + _exposure_s(camera)
            if _rests(camera, self._take) and isinstance(camera, SingleFrames):
                camera.start_single()
            else:
                camera.start()
            self._watch.begin(camera)

        self.thread.call(start, ANSWER_TIMEOUT_S)

    def drain(self, timeout_s: float) -> FrameInfo | None:
        """See `Source.drain`; before that, does what others ask of the camera."""
        self._serve()

        if not self._is_drained:
            self._lost_kept = self.lost or 0
            self._is_drained = True

        def drop(camera: Camera) -> FrameInfo | None:
            if "file" in camera.info or _rests(camera, self._take):
                return None  # the next frame is the next one whenever it is read
            nowhere = Place(camera.shape, camera.dtype, lambda planes: None)
            return _read_into(camera, nowhere, timeout_s)

        info = self.thread.call(drop)
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
        self._fed += info is not None
        return info

    def _serve(self) -> None:
        if not self.thread.serve():
            raise CameraLost(f"{self.thread.name} was closed while it was recorded")
        changes = self.thread.call(self._watch.look)
        self._changes += [(self._fed, change) for change in changes]

    def stop(self) -> None:
        """See `Source.stop`."""
        self.thread.call(lambda camera: camera.stop(), ANSWER_TIMEOUT_S)


def describe_camera(
    camera: CameraFacts, name: str, frames: int, take: Take
) -> SourceDescription:
    """Describe a camera, or what it said of itself; as for `CameraSource`."""
    own_rate = camera.frame_rate
    interval_s = take.interval_s or (1 / own_rate if own_rate else None)
    size = take.pixel_size_um or camera.pixel_size_um
    colours = camera.shape[:-2]
    value_range = value_range_of(camera.dtype, camera.bit_depth)
    named: list[tuple[str, str]] = []
    if colours == (len(names := channel_names(camera.info)),):
        named = [(each, given_color(number)) for number, each in enumerate(names)]
    elif colours == (len(RGB),):
        named = [(each, NAMED[each]) for each in RGB]
    channels = tuple(Channel(*each, value_range=value_range) for each in named)
    first = "z" if take.z_step_um else "t"
    if colours and take.z_step_um:
        raise InvalidProperties(
            f"z_step_um {take.z_step_um:g}: the frames of {name} have "
            f"{colours[0]} channels each, and planes of a stack have one: set it to 0, "
            "or choose grey pixels"
        )
    return SourceDescription(
        name=name,
        axes=f"{first}cyx" if colours else f"{first}yx",
        shape=(take.frames(frames), *camera.shape),
        dtype=camera.dtype,
        scale=(
            take.z_step_um or interval_s or 1.0,
            *[1.0] * len(colours),
            *[size or 1.0] * 2,
        ),
        translation=(0.0,) * (1 + len(camera.shape)),
        units=(
            "micrometer" if take.z_step_um else "second" if interval_s else None,
            *[None] * len(colours),
            *["micrometer" if size else None] * 2,
        ),
        channels=channels or None,
        channel=Channel(
            take.channel_name or name, take.color or WHITE, value_range=value_range
        ),
        value_range=value_range,
        planes_per_frame=math.prod(colours),
        frame_rate=1 / interval_s if interval_s else None,
        interval_s=take.interval_s,
        duration_s=take.duration_s,
        frame_time_s=max(1 / own_rate if own_rate else 0.0, _exposure_s(camera)),
        rests=camera.info[SINGLE_FRAMES] if _rests(camera, take) else "",
        record={
            RecordKey.SOURCE: "camera",
            RecordKey.CAMERA: dict(camera.info),
            RecordKey.SETTINGS: {s.name: _as_json(s.value) for s in camera.settings},
            RecordKey.BIT_DEPTH: camera.bit_depth,
            RecordKey.PIXEL_SIZE_UM: size,
            RecordKey.NOMINAL_FRAME_RATE: own_rate,
            **_record_of(take, _rests(camera, take)),
        },
    )


def _record_of(take: Take, rests: bool) -> dict[str, Any]:
    between = "the camera rested" if rests else "the camera ran, no frame was taken"
    said = {
        RecordKey.INTERVAL_S: take.interval_s,
        RecordKey.DURATION_S: take.duration_s,
        RecordKey.BETWEEN_FRAMES: between if take.interval_s else "",
    }
    return {key: value for key, value in said.items() if value}


def _rests(camera: CameraFacts, take: Take) -> bool:
    """Whether the camera takes single frames, and nothing goes on between them."""
    return take.interval_s >= REST_FROM_S and SINGLE_FRAMES in camera.info


def _exposure_s(camera: CameraFacts) -> float:
    for setting in camera.settings:
        if setting.name == "exposure_ms":
            return float(setting.value) / 1000
    return 0.0


def _read_into(camera: Camera, place: Place, timeout_s: float) -> FrameInfo | None:
    out: Any = place  # no array, but all that a camera may use of one
    return camera.read_into(out, timeout_s)


def _as_json(value: SettingValue) -> SettingValue:
    """A setting's value; JSON has no infinity."""
    finite = not isinstance(value, float) or math.isfinite(value)
    return value if finite else str(value)
