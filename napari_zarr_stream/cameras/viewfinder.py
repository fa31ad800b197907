"""What is shown of frames as they pass: a copy of the newest, and limits of contrast.

One thread has the frames and calls `look`; all else may be called from any thread.
"""

import threading

import numpy as np
import numpy.typing as npt

from napari_zarr_stream._writer.contrast import WideningLimits


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
        self._newest: npt.NDArray[np.generic] | None = None

    @property
    def contrast_limits(self) -> tuple[float, float] | None:
        """Those of the frames so far, or what was set; None before the first frame."""
        return self._limits.limits

    @contrast_limits.setter
    def contrast_limits(self, limits: tuple[float, float]) -> None:
        self._limits.keep(limits)

    def newest(self) -> npt.NDArray[np.generic] | None:
        """A copy of the newest plane that nobody was given yet, None if there is none.

        (3, height, width) of a colour camera.
        Asks for the next one: frames are copied only as often as they are shown.
        """
        self._wanted.set()
        plane, self._newest = self._newest, None
        return plane

    def look(self, planes: npt.NDArray[np.generic]) -> None:
        """Look at (height, width) or (n, height, width), oldest first."""
        plane = planes
        if planes.ndim == 3:
            plane = planes[-1 - self._planes_per_frame // 2]
        self._limits.see(plane)
        if self._wanted.is_set():
            self._wanted.clear()
            shown = planes[-3:] if self._planes_per_frame == 3 else plane
            self._newest = shown.copy()
