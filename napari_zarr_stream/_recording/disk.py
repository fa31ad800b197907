"""How long the disk lasts: looks at free space while something is written to it."""

import errno
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from napari_zarr_stream._writer.errors import WriteFailed
from napari_zarr_stream._writer.words import size_in_words

RESERVE_BYTES = 2**30
"""Left free for others: a system whose disk is full to the last byte fails all over.
It also holds what is in the queue, 40 MiB, when a recording ends itself."""

LOOK_S = 1.0
"""At most between two looks; sooner where the reserve may be reached sooner."""

SMOOTHING = 0.3
"""Weight of the newest rate: chunks are written in bursts."""


def free_bytes(path: Path) -> int | None:
    """Free on the disk that holds `path`, or will; None where the system cannot say."""
    here = path.absolute()
    try:
        while not here.exists() and here != here.parent:
            here = here.parent
        usage = shutil.disk_usage(here)
    except OSError:
        return None
    return usage.free if usage.total else None  # some network disks say 0 of 0


class DiskWatch:
    """Free space beyond a reserve, and for how long it lasts.

    Looks in a thread of its own: a network disk may stall, and frames must not wait for
    that. It is a daemon, since a look may never come back.

    Parameters
    ----------
    path : Path
        Of the store.
    reserve_bytes : int
        0 for none.
    interval_s : float
        From one frame to the next, where that is long: a rate over less says nothing.

    Attributes
    ----------
    reason_to_stop : str
        That the reserve is reached, in words; empty before that.
    """

    def __init__(self, path: Path, reserve_bytes: int, interval_s: float = 0.0) -> None:
        self.reason_to_stop = ""
        self._interval_s = interval_s
        self._path = path
        self._reserve = reserve_bytes
        self._free: int | None = None
        self._rate: float | None = None
        self._written: int | None = None
        self._rated_at = time.perf_counter()
        self._over = threading.Event()

    def check(self) -> None:
        """Refuse to begin where the reserve is not free.

        Raises
        ------
        WriteFailed
        """
        free = free_bytes(self._path)
        if free is not None and free < self._reserve:
            raise WriteFailed(
                errno.ENOSPC,
                f"{self._path}: {self._too_little(free)}. Free some space, record "
                "elsewhere, or keep less in reserve",
                str(self._path),
            )

    def _too_little(self, free: int) -> str:
        return (
            f"{size_in_words(free)} are free on the disk and "
            f"{size_in_words(self._reserve)} are kept in reserve"
        )

    def start(self, bytes_written: Callable[[], int]) -> None:
        """Look again and again until `stop`, in a thread."""
        threading.Thread(
            target=self._watch, args=(bytes_written,), name="disk", daemon=True
        ).start()

    def stop(self) -> None:
        """Look no more; a look that hangs is not waited for."""
        self._over.set()

    def _watch(self, bytes_written: Callable[[], int]) -> None:
        """Look when it is time to. Thread "disk"."""
        while not self._over.wait(self.look(bytes_written())):
            pass

    def look(self, bytes_written: int) -> float:
        """Look now; returns the seconds until it should be looked again."""
        free = free_bytes(self._path)
        now = time.perf_counter()
        passed = now - self._rated_at
        if self._written is None:
            self._written, self._rated_at = bytes_written, now
        elif passed > 0 and passed >= self._interval_s:
            rate = (bytes_written - self._written) / passed
            before = rate if self._rate is None else self._rate
            self._rate = before + SMOOTHING * (rate - before)
            self._written, self._rated_at = bytes_written, now
        self._free = free
        if free is not None and free < self._reserve:
            self.reason_to_stop = self._too_little(free)
        left = self.seconds_left
        return LOOK_S if left is None else min(LOOK_S, left / 4)

    @property
    def seconds_left(self) -> float | None:
        """Until the reserve is reached at the rate of late; None where unknown."""
        if self._free is None or not self._rate:
            return None
        return max(0, self._free - self._reserve) / self._rate


def time_left(alone: Sequence[float | None]) -> float | None:
    """How long a disk lasts that would last each of its writers so long alone.

    None where that is not known of any.
    """
    known = [seconds for seconds in alone if seconds is not None]
    if not known:
        return None
    return 1 / sum(1 / seconds for seconds in known) if all(known) else 0.0
