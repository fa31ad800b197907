"""How fast frames come of late, and what share of them is lost."""

from collections import deque

RATE_WINDOW_S = 0.5
"""Rates are taken over this: shorter flickers, longer lags behind what is seen."""

LOSS_WINDOWS = 6
"""Of these, over which losses are counted: a ring that overflows does so in bursts."""

FULL = 0.9
"""With the queue fuller than this, frames come faster than they can be written."""


class Pace:
    """Counts of late. `note` from one thread; attributes may be read from any.

    Parameters
    ----------
    started_at : float
        `time.perf_counter()`

    Attributes
    ----------
    frames_per_second : float
        Acquired.
    lost_share : float
        Of the frames that there were, how many were lost, 0 to 1.
    queue_was_full : bool
        At some time in which these losses were counted.
    """

    def __init__(self, started_at: float) -> None:
        self.frames_per_second = 0.0
        self.lost_share = 0.0
        self.queue_was_full = False
        self._windows: deque[tuple[int, int, float]] = deque([(0, 0, 0.0)])
        self._began_at = started_at
        self._fullest = 0.0

    def note(
        self, now: float, frames: int, lost: int | None, queue_fill: float
    ) -> None:
        """Take the counts since the start; `lost` is None where nobody can know."""
        self._fullest = max(self._fullest, queue_fill)
        passed = now - self._began_at
        if passed < RATE_WINDOW_S:
            return
        self.frames_per_second = (frames - self._windows[-1][0]) / passed
        self._windows.append((frames, lost or 0, self._fullest))
        if len(self._windows) > LOSS_WINDOWS + 1:
            self._windows.popleft()
        came, missing = frames - self._windows[0][0], (lost or 0) - self._windows[0][1]
        self.lost_share = max(0.0, missing / max(1, came + missing))
        self.queue_was_full = any(fill > FULL for *_, fill in self._windows)
        self._began_at, self._fullest = now, 0.0
