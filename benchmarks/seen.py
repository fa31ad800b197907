"""What is on the screen, read back from what was drawn, and how late the window is.

Frames carry their number as bars of black and white, which any level still shows.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import Qt, QTimer
from vispy.gloo.util import read_pixels

BITS, BAR = 20, 16
WHITE = 4095
BEAT_MS = 10
SCRUB_MS = 250
ZOOMED_IN = 1.0


def write_number(frame: npt.NDArray[np.uint16], number: int) -> None:
    """Paint the bars of a number into the upper left corner of a frame."""
    for bit in range(BITS):
        place = slice(bit * BAR, (bit + 1) * BAR)
        frame[:BAR, place] = WHITE if number >> bit & 1 else 0


def number_in(bars: Sequence[float]) -> int:
    """The number of bars from their grey values, 0 to 255."""
    return sum((int(value) > 127) << bit for bit, value in enumerate(bars))


class Glass:
    """The numbers that are seen in a viewer, and how old their frames are then.

    Parameters
    ----------
    viewer : napari.Viewer
    made_at : sequence of float
        When the camera had each frame, by `time.perf_counter`.

    Attributes
    ----------
    number : int or None
        The one that is seen.
    age_ms : list of float
        Of each frame that was shown while the newest was.
    """

    def __init__(self, viewer: Any, made_at: Sequence[float]) -> None:
        self._viewer = viewer
        self._made_at = made_at
        canvas = viewer.window._qt_viewer.canvas  # noqa: SLF001 - no public name
        self._canvas = canvas
        self.number: int | None = None
        self.age_ms: list[float] = []
        self.is_live: Callable[[], bool] = lambda: True
        self._drawn: int | None = None
        # Behind napari's own: what it has drawn by then is read.
        canvas.events.draw.connect(self._read, position="last")
        canvas.native.frameSwapped.connect(self._see)

    def _read(self, event: Any) -> None:
        """Read a line of pixels through the bars."""
        height, width = self._canvas.size
        camera = self._viewer.scene.camera
        y, x = camera.center[-2:]
        first = round(width / 2 + (BAR / 2 - 0.5 - x) * camera.zoom)
        row = round(height / 2 + (BAR / 2 - 0.5 - y) * camera.zoom)
        every = BAR * camera.zoom
        if first < 0 or not 0 <= row < height or first + BITS * every > width:
            self._drawn = None
            return
        line = read_pixels((0, height - 1 - row, width, 1), mode="color")[0, :, 0]
        self._drawn = number_in([line[round(first + i * every)] for i in range(BITS)])

    def _see(self) -> None:
        """Take the time at which it was on the screen."""
        if self._drawn is None or self._drawn == self.number:
            return
        self.number = self._drawn
        if self.is_live() and self.number < len(self._made_at):
            age = time.perf_counter() - self._made_at[self.number]
            self.age_ms.append(1e3 * age)


class Heartbeat:
    """How late a timer of the window's thread is: `late_ms`, a list."""

    def __init__(self) -> None:
        self.late_ms: list[float] = []
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)
        self._timer.start(BEAT_MS)
        self._beat_at = time.perf_counter()

    def _beat(self) -> None:
        now = time.perf_counter()
        self.late_ms.append(max(0.0, 1e3 * (now - self._beat_at) - BEAT_MS))
        self._beat_at = now

    def stop(self) -> None:
        """Beat no more."""
        self._timer.stop()


class Scrubber:
    """Looks at frame 0, the middle and the newest in turn, zoomed in and out.

    Parameters
    ----------
    viewer : napari.Viewer
    session : Session
    glass : Glass

    Attributes
    ----------
    looks : int
        How often a committed frame was looked at.
    wrong : list of (int, int or None)
        Where another frame was seen than the one that was asked for.
    """

    def __init__(self, viewer: Any, session: Any, glass: Glass) -> None:
        self._viewer, self._session, self._glass = viewer, session, glass
        self._turn = 0
        self._wanted: int | None = None
        self._zoomed_out = viewer.scene.camera.zoom, tuple(viewer.scene.camera.center)
        self.looks = 0
        self.wrong: list[tuple[int, int | None]] = []
        self._timer = QTimer()
        self._timer.timeout.connect(self._look)
        self._timer.start(SCRUB_MS)

    def _look(self) -> None:
        look_back, camera = self._session.look_back, self._viewer.scene.camera
        if look_back is None or not look_back.can_look_back:
            return
        if self._wanted is not None:
            self.looks += 1
            if self._glass.number != self._wanted:
                self.wrong.append((self._wanted, self._glass.number))
        if self._turn % 3 == 0:
            zoom, center = self._zoomed_out
            if self._turn % 2:
                zoom, center = ZOOMED_IN, (0.0, *[BITS * BAR / 2] * 2)
            camera.zoom, camera.center = zoom, center[-len(camera.center) :]
        last = self._viewer.dims.nsteps[0] - 1
        self._wanted = (0, last // 2, None)[self._turn % 3]
        if self._wanted is None:
            look_back.set_live(True)
        else:
            self._viewer.dims.set_current_step(0, self._wanted)
        self._turn += 1

    def stop(self) -> None:
        """Look no more."""
        self._timer.stop()
