"""How long the disk lasts at the present rate. Knows no Qt and no disk."""

from collections import deque

WINDOW_S = 5.0
"""Shards are written whole: over less, the rate would jump."""

LEAST_S = 1.0
"""Before, a rate says nothing."""

WARN_S = 120.0
"""With less than this left, somebody has to do something."""


class DiskWatch:
    """The rate of late, from byte counts that it is shown now and then."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def seconds_left(
        self, now_s: float, bytes_written: int, free_bytes: int
    ) -> float | None:
        """How long `free_bytes` last; None as long as nobody can tell."""
        self._seen.append((now_s, bytes_written))
        while len(self._seen) > 2 and now_s - self._seen[1][0] > WINDOW_S:
            self._seen.popleft()
        then_s, before = self._seen[0]
        if now_s - then_s < LEAST_S or bytes_written <= before:
            return None
        return free_bytes * (now_s - then_s) / (bytes_written - before)
