"""When a frame came, in the time of this computer, by the clock of its camera.

Frames are read when there is time for it: those that waited in a ring are read in a
burst. The camera's clock has them apart as they were. What is between the two clocks is
the delay of the frame that was read soonest after it came.
"""

from .host_clock import follow_date, host_time_ns
from .protocol import FrameInfo

DRIFT = 200e-6
"""Most that two clocks part, each of which has a crystal that is good to 0.01 %."""

_RESET_NS = 10**9  # a camera's clock that goes back further than this began anew
_DOUBT_NS = 10 * 10**9
_DOUBT_FRAMES = 64  # a ring holds no more, so by then a clock that is right caught up
_EARLY_NS = 10**8  # a frame from before the start: of a clock that is too fast


class CameraClock:
    """The host's time of each frame of one run of a camera.

    It is made before the camera is started. Frames are shown to it as they are read,
    those that are not kept as well: the more it has seen, the better.

    Attributes
    ----------
    is_believed : bool
        Whether the camera's clock keeps time. One that does not, since its ticks are
        not what they are said to be or since it is that of a file, leaves the time of
        reading, as a camera without a clock does.
    """

    def __init__(self) -> None:
        self.is_believed = True
        follow_date()
        self._started_ns = host_time_ns()
        self._offset_ns: float | None = None  # host - camera; None before any time
        self._first_ns = self._last_ns = 0  # of the camera
        self._began_ns = 0  # of the host
        self._behind_since_ns: int | None = None
        self._behind = 0

    def see(self, info: FrameInfo) -> None:
        """Learn from a frame that was read just now; frames come in order."""
        if info.device_time_ns is None or not self.is_believed:
            return
        delay_ns = info.host_time_ns - info.device_time_ns
        step_ns = info.device_time_ns - self._last_ns
        if self._offset_ns is None or step_ns < -_RESET_NS:
            self._offset_ns = delay_ns
            self._began_ns = info.host_time_ns
            self._first_ns = self._last_ns = info.device_time_ns
            return
        if step_ns > 0:
            self._offset_ns += step_ns * DRIFT
            self._last_ns = info.device_time_ns
        self._doubt(delay_ns - self._offset_ns, info.host_time_ns)
        self._offset_ns = min(self._offset_ns, delay_ns)
        parted_ns = (self._last_ns - self._first_ns) * DRIFT
        first_came_ns = self._first_ns + self._offset_ns + parted_ns
        if first_came_ns < self._started_ns - _EARLY_NS:
            self.is_believed = False

    def host_time_ns(self, info: FrameInfo) -> int:
        """`time.time_ns()` when a frame came, to the best that is known by now.

        It never lies behind the time of reading. Asked some frames after a burst, it is
        better than at once.
        """
        if (
            info.device_time_ns is None
            or self._offset_ns is None
            or not self.is_believed
        ):
            return info.host_time_ns
        return min(info.host_time_ns, info.device_time_ns + round(self._offset_ns))

    def _doubt(self, late_ns: float, now_ns: int) -> None:
        """Give up a clock of which half of the time is missing, for long and always."""
        if late_ns < (now_ns - self._began_ns) / 2:
            self._behind_since_ns, self._behind = None, 0
            return
        self._behind += 1
        if self._behind_since_ns is None:
            self._behind_since_ns = now_ns
        is_long = now_ns - self._behind_since_ns > _DOUBT_NS
        if is_long and self._behind > _DOUBT_FRAMES:
            self.is_believed = False
