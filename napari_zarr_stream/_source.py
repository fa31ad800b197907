"""What a recording reads from: the `Source` protocol, and a camera as a source."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ._writer.properties import Channel
from .cameras.protocol import FrameInfo


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """What a source gives: all that a stream has to be told about it.

    Attributes
    ----------
    name : str
        For people.
    axes : str
    shape : tuple of int or None
        None: a first axis that goes on until the recording is stopped.
    dtype : numpy.dtype
    scale, translation : tuple of float
    units : tuple of str or None
    channels : tuple of Channel or None
        None: contrast is taken from the first frame.
    is_label : bool
    value_range : (float, float) or None
        Smallest and largest value a pixel can have, where it is not that of the dtype.
    frame_rate : float or None
        Planes a second to expect, None where they come as fast as they are taken.
    record : mapping
        What the source said of itself, as JSON values.
    """

    name: str
    axes: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[np.generic]
    scale: tuple[float, ...]
    translation: tuple[float, ...]
    units: tuple[str | None, ...]
    channels: tuple[Channel, ...] | None = None
    is_label: bool = False
    value_range: tuple[float, float] | None = None
    frame_rate: float | None = None
    record: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Frame:
    """Planes as a source hands them over.

    `pixels` is (height, width) or (n, height, width), valid until the next `read`.
    `info` is what a camera said about it.
    """

    pixels: npt.NDArray[np.generic]
    info: FrameInfo | None = None


class Source(Protocol):
    """Where planes come from, in C order over the axes before `y, x`.

    `start`, `read` and `stop` are called from one thread.
    """

    def describe(self) -> SourceDescription:
        """What is to come; does not change between `start` and `stop`."""

    @property
    def lost(self) -> int | None:
        """Planes known to be lost; None where the source cannot know."""

    def start(self) -> None:
        """Begin to take planes."""

    def read(self, timeout_s: float) -> Frame | None:
        """The next planes; None when none came in time.

        Raises
        ------
        SourceFailed
            No more will come.
        """

    def stop(self) -> None:
        """Take no more; may be called twice."""


class CameraSource:
    """A camera as a source of `t, y, x`.

    Parameters
    ----------
    camera : Camera
        Opened. It stays open after `stop`.
    name : str
    frames : int
        How many to take; 0 means until the recording is stopped.
    pixel_size_um : float or None
        Of the sample, in micrometres; None leaves it to the camera.
    """

    def __init__(
        self,
        thread: Any,
        name: str,
        frames: int = 0,
        pixel_size_um: float | None = None,
    ) -> None:
        self.thread = thread
        self._name = name
        self._frames = frames
        self._pixel_size_um = pixel_size_um
        self._buffer = np.empty(0, np.uint8)

    def describe(self) -> SourceDescription:
        """See `Source.describe`."""
        return self.thread.call(
            lambda camera: describe_camera(
                camera, self._name, self._frames, self._pixel_size_um
            )
        )

    @property
    def lost(self) -> int | None:
        """See `Source.lost`."""
        return self.thread.call(lambda c: c.stats.lost)

    def start(self) -> None:
        """See `Source.start`."""
        self._buffer = self.thread.call(lambda c: np.empty(c.shape, c.dtype))
        self.thread.call(lambda c: c.start())

    def read(self, timeout_s: float) -> Frame | None:
        """See `Source.read`."""
        info = self.thread.call(lambda c: c.read_into(self._buffer, timeout_s))
        return None if info is None else Frame(self._buffer, info)

    def stop(self) -> None:
        """See `Source.stop`."""
        self.thread.call(lambda c: c.stop())


def describe_camera(camera, name, frames, pixel_size_um):
    rate = camera.frame_rate
    size = pixel_size_um or camera.pixel_size_um
    return SourceDescription(
        name=name,
        axes="tyx",
        shape=(frames or None, *camera.shape),
        dtype=camera.dtype,
        scale=(1 / rate if rate else 1.0, size or 1.0, size or 1.0),
        translation=(0.0, 0.0, 0.0),
        units=("second" if rate else None, *["micrometer" if size else None] * 2),
        value_range=(0.0, float(2**camera.bit_depth - 1)),
        frame_rate=rate,
        record={
            "source": "camera",
            "camera": dict(camera.info),
            "settings": {s.name: s.value for s in camera.settings},
        },
    )
