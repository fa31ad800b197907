"""A camera that runs only to be looked at, and single images. Knows no Qt.

All of it runs in the camera's own thread, which also does what else is asked for,
between two frames.
"""

import math
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from .protocol import Camera, CameraError
from .thread import CameraThread
from .viewfinder import Viewfinder

READ_TIMEOUT_S = 0.1
"""A stop is heard at least this often."""

FIRST_FRAME_S = 10.0
"""Beyond its exposure, what a camera may need for a single image."""

T = TypeVar("T")

Image = npt.NDArray[np.generic]


class Preview:
    """Runs a camera until it is stopped; keeps nothing but what is shown of a frame.

    Parameters
    ----------
    thread : CameraThread
        Of a camera that is open and does not run.
    """

    def __init__(self, thread: CameraThread) -> None:
        self._thread = thread
        self._stop = threading.Event()
        self._viewfinder: Viewfinder | None = None  # before there is a frame
        self._lock = threading.Lock()
        self._snap: Future[Image] | None = None  # guarded by _lock
        self._is_over = False  # guarded by _lock
        self.ended = thread.submit(self._run, is_long=True)

    @property
    def contrast_limits(self) -> tuple[float, float] | None:
        """See `Viewfinder.contrast_limits`."""
        return self._viewfinder.contrast_limits if self._viewfinder else None

    @contrast_limits.setter
    def contrast_limits(self, limits: tuple[float, float] | None) -> None:
        if limits is not None and self._viewfinder is not None:
            self._viewfinder.contrast_limits = limits

    is_crowded = False
    """Nobody waits for the frames of a preview."""

    def newest(self) -> Image | None:
        """See `Viewfinder.newest`."""
        return self._viewfinder.newest() if self._viewfinder else None

    def snap(self) -> "Future[Image]":
        """The next frame."""
        with self._lock:
            future = self._snap or Future()
            if self._is_over:
                future.set_exception(CameraError("the preview has ended"))
            else:
                self._snap = future
            return future

    def _give(self, frame: Image | None) -> None:
        """Answer whoever asked for the next frame; None: there will be none."""
        with self._lock:
            future, self._snap = self._snap, None
            self._is_over = frame is None
        if future is None:
            return
        if frame is None:
            future.set_exception(CameraError("the preview has ended"))
        else:
            future.set_result(frame.copy())

    def stop(self) -> None:
        """End it; returns at once. `ended` is done when the camera has stopped."""
        self._stop.set()

    def _run(self, camera: Camera) -> None:
        """Read frames until stopped, in the camera's thread."""
        try:
            camera.start()
            out = np.empty(0, camera.dtype)
            while self._thread.serve() and not self._stop.is_set():
                # What was asked for in between may have changed the format.
                if (out.shape, out.dtype) != (camera.shape, camera.dtype):
                    out = np.empty(camera.shape, camera.dtype)
                    finder = Viewfinder(math.prod(camera.shape[:-2]))
                    self._viewfinder = finder
                if camera.read_into(out, READ_TIMEOUT_S) is not None:
                    finder.look(out)
                    self._give(out)
        finally:
            try:
                camera.stop()
            finally:
                self._give(None)  # whoever waits for a frame gets none


def take_one(camera: Camera) -> Image:
    """Start, take one frame, stop; in the camera's thread.

    Raises
    ------
    CameraError
        None came.
    """
    exposures = [float(s.value) for s in camera.settings if s.name == "exposure_ms"]
    patience_s = FIRST_FRAME_S + sum(exposures) / 1000
    out = np.empty(camera.shape, camera.dtype)
    camera.start()
    try:
        for _ in range(round(patience_s / READ_TIMEOUT_S)):
            if camera.read_into(out, READ_TIMEOUT_S) is not None:
                return out
    finally:
        camera.stop()
    raise CameraError(f"no image came within {patience_s:.0f} s")


def halted(work: Callable[[Camera], T]) -> Callable[[Camera], T]:
    """The same work, done while a camera that runs is stopped for a moment."""

    def stop_work_start(camera: Camera) -> T:
        camera.stop()
        try:
            return work(camera)
        finally:
            camera.start()

    return stop_work_start
