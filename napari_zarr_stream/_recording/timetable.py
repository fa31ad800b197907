"""When the next frame is due: frame n at the start and n intervals, without drift."""

import threading
import time

LATE_S = 0.05
"""A frame that is there within this, and the time it takes, was in time."""

CATCH_UP_S = 10.0
"""Frames that are late by less are taken one after the other, so that frame n stays
frame n. After a longer pause, as when the computer slept, that would be a film of one
moment: those frames are missing."""


def clock() -> float:
    """Seconds of a clock that nobody sets, and that goes on while the computer sleeps.

    `time.monotonic` stands still meanwhile on Linux and macOS, and ticks every 16 ms on
    Windows.
    """
    for name in ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC"):
        if (number := getattr(time, name, None)) is not None:
            return time.clock_gettime(number)
    return time.perf_counter()


class Timetable:
    """The due times of a run; of no interval, all frames are due at once.

    `begin` and what is said of frames come from one thread, the rest may be asked from
    any.

    Parameters
    ----------
    interval_s, duration_s : float
        As of `Take`.
    frame_time_s : float
        What the camera takes for a frame: nobody calls that late.

    Attributes
    ----------
    late : int
        Frames that came after their time.
    missing : int
        Frames that nobody could take in their time, and that there are none of.
    """

    def __init__(
        self, interval_s: float, duration_s: float, frame_time_s: float
    ) -> None:
        self.interval_s = interval_s
        self.late = self.missing = 0
        self._duration_s = duration_s
        self._patience_s = LATE_S + frame_time_s
        self._lock = threading.Lock()
        self._started_at = clock()  # guarded by _lock
        self._next = 0  # number of the frame that comes next, guarded by _lock

    def begin(self, at: float) -> None:
        """The first frame is due at this time of `clock`."""
        with self._lock:
            self._started_at, self._next = at, 0

    @property
    def wait_s(self) -> float:
        """Seconds until the next frame is due; less than 0 since it was."""
        with self._lock:
            return self._started_at + self._next * self.interval_s - clock()

    @property
    def is_over(self) -> bool:
        """Whether no further frame is due within the duration."""
        if not self._duration_s:
            return False
        with self._lock:
            at = self._next * self.interval_s
            if not self.interval_s:
                at = clock() - self._started_at
        return at >= self._duration_s - 1e-6 * self.interval_s

    def leave_out(self) -> int:
        """Go on with the newest frame that is due, after a long pause.

        Returns how many are left out.
        """
        late_s = -self.wait_s
        if not self.interval_s or late_s < CATCH_UP_S:
            return 0
        missing = int(late_s / self.interval_s)
        with self._lock:
            self._next += missing
        self.missing += missing
        return missing

    def came(self, late_s: float) -> None:
        """The frame that was due has come, so long after its time."""
        self.late += late_s > self._patience_s
        with self._lock:
            self._next += 1
