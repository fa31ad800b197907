"""When something happened by the clock of this computer, in steps of a microsecond.

Windows moves the clock that says the date 64 times a second, up to Python 3.12: frames
of a burst would have one time. So the date is asked once, and a counter from then on.
"""

import time

_MOST_APART_NS = 20 * 10**6
"""Further apart the date was set, or drifted for hours: it has steps of 16 ms."""

_anchor_ns = time.time_ns() - time.perf_counter_ns()


def host_time_ns() -> int:
    """`time.time_ns()`, as the counter has it since the anchor was set."""
    return _anchor_ns + time.perf_counter_ns()


def follow_date() -> None:
    """Set the anchor anew if the date is another; for the beginning of a run."""
    global _anchor_ns
    now_ns = time.time_ns() - time.perf_counter_ns()
    if abs(now_ns - _anchor_ns) > _MOST_APART_NS:
        _anchor_ns = now_ns
