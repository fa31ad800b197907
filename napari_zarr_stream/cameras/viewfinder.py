"""What is shown of frames as they pass: a copy of the newest, and limits of contrast.

One thread has the frames and calls `look`; all else may be called from any thread.
"""

import threading

import numpy as np
import numpy.typing as npt

from napari_zarr_stream._writer.contrast import WideningLimits

Planes = npt.NDArray[np.generic]


def picture_of(frame: Planes) -> Planes:
    """What is shown of a frame: its colours, or all its planes, side by side.

    Parameters
    ----------
    frame : array, (height, width) or (planes, height, width)

    Returns
    -------
    (height, width) or, of three planes, red, green and blue, (3, height, width)
    """
    if frame.ndim == 2 or len(frame) == 3:
        return frame
    return np.hstack(tuple(frame))


class Viewfinder:
    """Looks at frames while they are valid.

    Parameters
    ----------
    planes_per_frame : int
        3 of a colour camera: red, green and blue are shown together.
    """

    def __init__(self, planes_per_frame: int) -> None:
        self._limits = WideningLimits()
        self._planes_per_frame = planes_per_frame
        self._wanted = threading.Event()
        self._wanted.set()
        self._newest: Planes | None = None

    @property
    def contrast_limits(self) -> tuple[float, float] | None:
        """Those of the frames so far, or what was set; None before the first frame."""
        return self._limits.limits

    @contrast_limits.setter
    def contrast_limits(self, limits: tuple[float, float]) -> None:
        self._limits.keep(limits)

    def newest(self) -> Planes | None:
        """A copy of the newest frame that nobody was given yet, None if there is none.

        (planes, height, width), or (height, width) where there is one plane. Asks for
        the next one: frames are copied only as often as they are shown.
        """
        self._wanted.set()
        plane, self._newest = self._newest, None
        return plane

    def look(self, planes: Planes) -> None:
        """Look at (height, width) or (n, height, width), oldest first."""
        frame = planes
        if planes.ndim == 3:
            count = self._planes_per_frame
            frame = planes[-count:] if count > 1 else planes[-1]
        is_one = frame.ndim == 2 or len(frame) == 3
        if is_one:
            self._limits.see(frame if frame.ndim == 2 else frame[1])
        if self._wanted.is_set():
            self._wanted.clear()
            if not is_one:  # of several cameras, each has its own light
                self._limits.see(picture_of(frame))
            self._newest = frame.copy()
