"""Frames of Micro-Manager's ring: what their pixels are, and which belong together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_zarr_stream.cameras.protocol import CameraError, CameraLost

if TYPE_CHECKING:
    from pymmcore_plus import CMMCorePlus

Pixels = npt.NDArray[Any]

_APART_BYTES = 256 << 20  # half a second of a fast camera, and little of a computer's
_APART_FRAMES = 4  # at least, however large


class Format(NamedTuple):
    """What one camera gives: (height, width) or (3, height, width), and its dtype."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def planes(self, frame: Pixels) -> Pixels:
        """Turn a frame as the ring has it, which knows unsigned numbers only."""
        if frame.ndim < len(self.shape):  # B, G, R, A in one number
            frame = frame.view(self.dtype).reshape(*frame.shape, -1)[..., 2::-1]
        if frame.ndim == 3 and len(self.shape) == 2:
            frame = frame[..., 0]
        elif frame.ndim == 3:
            frame = np.moveaxis(frame[..., :3], -1, 0)
        if self.dtype.kind == "f" and frame.dtype == f"u{self.dtype.itemsize}":
            frame = frame.view(self.dtype)
        return frame.astype(frame.dtype.newbyteorder("="), copy=False)


def labels_of(core: "CMMCorePlus", label: str) -> tuple[str, ...]:
    """Labels of the cameras that a camera device stands for: most for themselves."""
    count = core.getNumberOfCameraChannels()
    if count < 2:
        return (label,)
    return tuple(core.getCameraChannelName(number) for number in range(count))


def format_of(core: "CMMCorePlus", labels: Sequence[str]) -> Format:
    """What each of these cameras gives.

    Micro-Manager's own grey of 4 bytes is float32, as its pixel type GRAY32 means in
    all of Micro-Manager; a Python camera says its dtype itself.

    Raises
    ------
    CameraError
        They give different frames, so they cannot be channels of one image.
    """
    height, width = core.getImageHeight(), core.getImageWidth()
    itemsize, components = core.getBytesPerPixel(), core.getNumberOfComponents()
    if len(labels) > 1:
        _check_alike(core, labels)
    if (python := _python_dtype(core, labels[0])) is not None:
        dtype = python
    elif components == 1:
        dtype = np.dtype(f"{'f' if itemsize == 4 else 'u'}{itemsize}")
    else:
        dtype = np.dtype(f"u{itemsize // components}")  # itemsize is that of all
    if components == 1:
        return Format((height, width), dtype)
    return Format((min(components, 3), height, width), dtype)  # without alpha


def _python_dtype(core: "CMMCorePlus", label: str) -> np.dtype[Any] | None:
    """The dtype of a camera that is a Python object; None of any other."""
    if not getattr(core, "isPyDevice", lambda label: False)(label):
        return None
    # The core tells its size only, and a frame would have to be exposed to see it.
    camera = core._py_camera(label)  # type: ignore[attr-defined]  # noqa: SLF001
    dtype: np.dtype[Any] = np.dtype(camera.dtype()).newbyteorder("=")
    return dtype


def _check_alike(core: "CMMCorePlus", labels: Sequence[str]) -> None:
    if core.getNumberOfComponents() > 1:
        raise CameraError(
            f"{', '.join(labels)} have colours each, which cannot be channels as well: "
            "choose one of them in Micro-Manager, or grey pixels"
        )
    found = {}
    for label in labels:
        _, _, width, height = core.getROI(label)
        found[label] = f"{width} × {height}"
        if core.hasProperty(label, "PixelType"):
            found[label] += f" {core.getProperty(label, 'PixelType')}"
    if len(set(found.values())) > 1:
        raise CameraError(
            "cameras that are recorded as channels of one image give frames of one "
            f"size and type, and these are {', '.join(map(': '.join, found.items()))}: "
            "set them alike, or choose one of them in Micro-Manager"
        )


@dataclass(slots=True)
class FrameSet:
    """The frames of all cameras that have the same number.

    Attributes
    ----------
    number : int
        Micro-Manager's, which counts the frames of each camera.
    host_ns : int
        `time.time_ns()` when the first of them was taken from the ring.
    frames : dict of str to array
        By the label of the camera.
    meta : mapping
        What was said of the first camera's frame, or of the first that came.
    """

    number: int
    host_ns: int
    meta: Mapping[str, str]
    frames: dict[str, Pixels] = field(default_factory=dict)


class FrameSets:
    """Puts together the frames of several cameras by their numbers; of one, each alone.

    Parameters
    ----------
    labels : sequence of str
        Of the cameras, in the order of the channels.
    format : Format
        Of each.
    """

    def __init__(self, labels: Sequence[str], format: Format) -> None:
        self.labels = tuple(labels)
        self.format = format
        self._sets: dict[int, FrameSet] = {}
        self._newest = dict.fromkeys(self.labels, -1)
        frame_bytes = int(np.prod(format.shape)) * format.dtype.itemsize
        self._most = max(_APART_FRAMES, _APART_BYTES // (frame_bytes * len(labels)))

    def add(
        self,
        label: str,
        number: int,
        pixels: Pixels,
        host_ns: int,
        meta: Mapping[str, str],
    ) -> None:
        """Keep a frame as it came, until those of the others are there.

        Raises
        ------
        CameraLost
            It is none that is expected, or the cameras have parted too far.
        """
        frame = self.format.planes(pixels)
        if label not in self._newest or (frame.shape, frame.dtype) != self.format:
            raise CameraLost(
                "another program has changed Micro-Manager: expected frames are "
                f"{self.format.shape} {self.format.dtype} of "
                f"{' and '.join(self.labels)}, this one is {frame.shape} {frame.dtype} "
                f"of {label}"
            )
        if number <= self._newest[label]:
            raise CameraLost("another program has started Micro-Manager's camera anew")
        self._newest[label] = number
        found = self._sets.setdefault(number, FrameSet(number, host_ns, meta))
        found.frames[label] = frame
        if label == self.labels[0]:
            found.meta = meta
        if len(self._sets) > self._most:
            behind = min(self._newest, key=lambda each: self._newest[each])
            raise CameraLost(
                f"{behind} is {len(self._sets)} frames behind: cameras that are "
                "recorded as channels of one image must run at the same rate"
            )

    def next(self, is_end: bool = False) -> FrameSet | None:
        """Take the oldest set of which all has come that will come.

        Parameters
        ----------
        is_end : bool
            Nothing more comes: what is not whole is not waited for.
        """
        if not self._sets:
            return None
        number = min(self._sets)
        missing = self._newest.keys() - self._sets[number].frames
        if is_end or all(self._newest[label] > number for label in missing):
            return self._sets.pop(number)
        return None

    def pixels(self, one: FrameSet) -> Pixels:
        """The frame of a set, one plane for each camera; 0 where one is missing."""
        if len(self.labels) == 1:
            return one.frames[self.labels[0]]
        black = np.zeros(self.format.shape, self.format.dtype)
        return np.stack([one.frames.get(label, black) for label in self.labels])
