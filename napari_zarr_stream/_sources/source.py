"""What a recording or an export reads from: the protocols of sources."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from napari_zarr_stream._writer.intake import Place
from napari_zarr_stream._writer.properties import Channel
from napari_zarr_stream.cameras.protocol import FrameInfo

from .boxes import Boxes

T = TypeVar("T")


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
    channel : Channel or None
        How the one channel is called and coloured then; None: as the image, and white.
    is_label : bool
    value_range : (float, float) or None
        Smallest and largest value a pixel can have, where it is not that of the dtype.
    planes_per_frame : int
        Consecutive planes that come together: the channels of a colour camera.
    frame_rate : float or None
        Frames a second to expect, None where they come as fast as they are taken.
    interval_s, duration_s : float
        See `Take`.
    frame_time_s : float
        What a camera takes for one frame; 0 where that is not known.
    rests : str
        What becomes of the light between frames, where nothing goes on until the next
        is due; empty where the camera runs.
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
    channel: Channel | None = None
    is_label: bool = False
    value_range: tuple[float, float] | None = None
    planes_per_frame: int = 1
    frame_rate: float | None = None
    interval_s: float = 0.0
    duration_s: float = 0.0
    frame_time_s: float = 0.0
    rests: str = ""
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def planes_per_second(self) -> float:
        """How fast planes come at most; 0 where that is not known."""
        rate = self.frame_rate or (1 / self.frame_time_s if self.frame_time_s else 0.0)
        return rate * self.planes_per_frame


@dataclass(frozen=True, slots=True)
class Frame:
    """Planes as a layer hands them over.

    `pixels` is (height, width) or (n, height, width), valid until the next `read`.
    """

    pixels: npt.NDArray[np.generic]


class Sink(Protocol):
    """Where a source puts its frames: a `ZarrStream`, or what looks at them as well."""

    def append(self, frames: npt.ArrayLike) -> None:
        """See `ZarrStream.append`."""

    def fill(self, read: Callable[[Place], T | None]) -> T | None:
        """See `ZarrStream.fill`."""


class Source(Protocol):
    """Where the planes of a recording come from, in C order over the axes before y, x.

    `start`, `drain`, `feed` and `stop` are called from what `run` was given.
    """

    def describe(self) -> SourceDescription:
        """What is to come; does not change between `start` and `stop`."""

    @property
    def lost(self) -> int | None:
        """Frames known to be lost; None where the source cannot know."""

    @property
    def events(self) -> Sequence[Mapping[str, Any]]:
        """What was changed since `start`: time, frame, setting, value, as JSON."""

    def run(self, work: Callable[[], None], is_stopping: Callable[[], bool]) -> None:
        """Do `work`, which reads to the end, in the thread where it has to be done.

        Raises
        ------
        SourceFailed
            It did not come back long after `is_stopping`, so it is no longer waited
            for.
        """

    def start(self) -> None:
        """Begin to take planes."""

    def drain(self, timeout_s: float) -> FrameInfo | None:
        """Throw away the next frame, if one comes in time.

        It is not lost, nor is what a camera lost since the last one that was fed. A
        source that makes its planes when it is asked for them has none to throw away.
        """

    def feed(self, sink: Sink, timeout_s: float) -> FrameInfo | None:
        """Put the next planes into `sink`, if some come in time.

        Returns what a camera said about its frame.

        Raises
        ------
        SourceFailed
            No more will come.
        """

    def stop(self) -> None:
        """Take no more; may be called twice."""


class PlaneSource(Protocol):
    """A source that hands its planes over itself; methods as those of `Source`."""

    def describe(self) -> SourceDescription:
        """See `Source.describe`."""

    @property
    def lost(self) -> int | None:
        """See `Source.lost`."""

    def start(self) -> None:
        """See `Source.start`."""

    def read(self, timeout_s: float) -> Frame | None:
        """The next planes; None when none came in time."""

    def stop(self) -> None:
        """See `Source.stop`."""

    def smaller(self) -> "Sequence[PlaneSource]":
        """Its lower levels that there are already, the largest first."""

    @property
    def is_decimated(self) -> bool:
        """Whether these have every other pixel of the one above."""

    @property
    def is_in_memory(self) -> bool:
        """Whether reading takes neither time nor memory."""

    @property
    def boxes(self) -> Boxes:
        """What reads any box of its pixels, in any process that its arrays get to."""

    def read_within(self, max_bytes: int) -> int:
        """Read so much at once at the most; returns what a read may take.

        That is more where a single plane is, and 0 where all is in memory already.
        """

    def rows_within(self, max_bytes: int) -> int:
        """Read so many bytes of rows at once at the most, as `read_within` says."""

    def rows_from(self, plane: int, row: int) -> npt.NDArray[np.generic]:
        """A row of a plane, and those after it that are read with it, (n, width).

        They are valid until the next call.
        """

    @property
    def times_read(self) -> int:
        """How often a chunk of what it reads from is read: 1 unless memory is short."""
