"""A camera that runs only to be looked at, and single images. Knows no Qt.

All of it runs in the camera's own thread, which also does what else is asked for,
between two frames.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from napari_zarr_stream._writer.contrast import WideningLimits

from .protocol import Camera, CameraError
from .thread import CameraThread

READ_TIMEOUT_S = 0.1
"""A stop is heard at least this often."""

FIRST_FRAME_S = 10.0
"""Beyond its exposure, what a camera may need for a single image."""

T = TypeVar("T")

Image = npt.NDArray[np.generic]


class Preview:
    """Runs a camera until it is stopped; keeps nothing but a copy of the newest frame.

    Parameters
    ----------
    thread : CameraThread
        Of a camera that is open and does not run.
    """

    def __init__(self, thread: CameraThread) -> None:
        self._thread = thread
        self._wanted = threading.Event()
        self._stop = threading.Event()
        self._newest: Image | None = None
        self._lock = threading.Lock()
        self._snap: Future[Image] | None = None  # guarded by _lock
        self._is_over = False  # guarded by _lock
        self._limits = WideningLimits()
        self.ended = thread.submit(self._run, is_long=True)

    @property
    def contrast_limits(self) -> tuple[float, float] | None:
        """Those of the first second, or what was set since."""
        return self._limits.limits

    @contrast_limits.setter
    def contrast_limits(self, limits: tuple[float, float] | None) -> None:
        if limits is not None:
            self._limits.keep(limits)

    is_crowded = False
    """Nobody waits for the frames of a preview."""

    def newest(self) -> Image | None:
        """A copy of the newest frame that nobody was given yet, None if there is none.

        Asks for the next one: frames are copied only as often as they are shown.
        """
        self._wanted.set()
        frame, self._newest = self._newest, None
        return frame

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
            out = np.empty(camera.shape, camera.dtype)
            while self._thread.serve() and not self._stop.is_set():
                # What was asked for in between may have changed the format.
                if (out.shape, out.dtype) != (camera.shape, camera.dtype):
                    out = np.empty(camera.shape, camera.dtype)
                if camera.read_into(out, READ_TIMEOUT_S) is not None:
                    self._look_at(out)
        finally:
            try:
                camera.stop()
            finally:
                self._give(None)  # whoever waits for a frame gets none

    def _look_at(self, frame: Image) -> None:
        self._limits.see(frame.reshape(-1, frame.shape[-1]))
        self._give(frame)
        if self._wanted.is_set():
            self._wanted.clear()
            self._newest = frame.copy()


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
