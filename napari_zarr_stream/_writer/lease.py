"""Moving the end of a file that others may read: only while nobody has it open.

A reader of a shard opens it, asks where it ends, and reads what lies before. Were the
end moved between the last two, there would be no index. Linux gives a *lease* on a file
that no other program has open, and lets who would open it wait until the lease is given
back: fcntl(2), F_SETLEASE.
"""

import contextlib
import time
from collections.abc import Iterator

from . import system

MOST_PATIENCE_S = 0.1
"""Readers of a few chunks let go of a file within 0.1 ms, unless the system has
something else to do for their core: some 10 ms."""

PATIENCE_SHARE = 0.05
"""Of the time of a recording: frames must not wait for a reader that never lets go."""

_PAUSE_S = 0.0001


class Patience:
    """Waits until nobody has a file open, as far as it goes."""

    def __init__(self) -> None:
        # Threads may change both at once; then a little more or less is waited.
        self._left_s = MOST_PATIENCE_S
        self._since = time.perf_counter()

    @contextlib.contextmanager
    def alone_with(self, descriptor: int) -> Iterator[None]:
        """Have others wait who would open the file that is open here.

        Nobody waits where the system has no leases, and where somebody keeps the file
        open for long.
        """
        leased = self._waits_for_lease(descriptor)
        try:
            yield
        finally:
            if leased:
                system.give_back_lease(descriptor)

    def _waits_for_lease(self, descriptor: int) -> bool:
        began = time.perf_counter()
        gained = (began - self._since) * PATIENCE_SHARE
        patience_s = min(MOST_PATIENCE_S, self._left_s + gained)
        while (leased := system.take_lease(descriptor)) is None:
            if time.perf_counter() - began > patience_s:
                break
            time.sleep(_PAUSE_S)
        self._since = time.perf_counter()
        self._left_s = max(0.0, patience_s - (self._since - began))
        return bool(leased)
