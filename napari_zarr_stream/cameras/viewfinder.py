"""What is shown of frames as they pass: a copy of the newest, and limits of contrast.

One thread has the frames and calls `look`; all else may be called from any thread.
"""

import threading

import numpy as np
import numpy.typing as npt

from napari_zarr_stream._writer.contrast import contrast_limits_of


class Viewfinder:
    """Looks at frames while they are valid.

    Parameters
    ----------
    planes_per_frame : int
        3 of a colour camera: red, green and blue are shown together.

    Attributes
    ----------
    contrast_limits : (float, float) or None
        Taken from the first frame, or what was set since.
    """

    def __init__(self, planes_per_frame: int) -> None:
        self.contrast_limits: tuple[float, float] | None = None
        self._planes_per_frame = planes_per_frame
        self._wanted = threading.Event()
        self._wanted.set()
        self._newest: npt.NDArray[np.generic] | None = None

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
        if self.contrast_limits is None:
            self.contrast_limits = contrast_limits_of(plane)
        if self._wanted.is_set():
            self._wanted.clear()
            shown = planes[-3:] if self._planes_per_frame == 3 else plane
            self._newest = shown.copy()
