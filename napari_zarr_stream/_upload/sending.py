"""Files on their way, a few at once, and tried again as long as that is of use.

All of it runs in one event loop.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TypeVar

from napari_zarr_stream._writer.errors import WriteFailed

from .files import LocalFile
from .progress import Rate
from .target import NotSent, Target

T = TypeVar("T")

PAUSES_S = (0.5, 1, 2, 4, 8, 15)
"""Before each attempt; the last one as often as is needed."""

PATIENCE_S = 600.0
"""Without anything that gets through, so long, an upload ends that nobody records to:
whoever asked for it hears of it, and it can be taken up again."""

MOST_SENT = 200_000
"""Names of files whose checksum was compared when they were sent are kept, of so many:
30 MB. Others are read again in the end."""


class Sending:
    """What is sent, and what is in its way.

    Attributes
    ----------
    trouble : str
        Why nothing gets through now; it is tried again.
    is_patient : bool
        Whether it tries for ever, whatever is wrong: while something is recorded.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.trouble = ""
        self.is_patient = False
        self.bytes = self.files = 0
        self.rate = Rate()
        self.sent: dict[str, tuple[int, int]] = {}  # size and time, as they were
        self._came_at = time.perf_counter()
        self._wake = asyncio.Event()

    def hurry(self) -> None:
        """Try again now what waits for its next attempt."""
        self._wake.set()

    async def persist(self, act: Callable[[], Awaitable[T]]) -> T:
        """Do something until it is done.

        Raises
        ------
        WriteFailed
            It cannot, or not for a long time: and nobody records any more.
        """
        attempt = 0
        self._came_at = time.perf_counter()
        while True:
            try:
                result = await act()
            except NotSent as failure:
                waited = time.perf_counter() - self._came_at
                if not self.is_patient and (failure.is_lasting or waited > PATIENCE_S):
                    raise WriteFailed(str(failure)) from None
                self.trouble = str(failure)
            else:
                self.trouble = ""
                self._came_at = time.perf_counter()
                return result
            self.rate.note(self.bytes)
            self._wake.clear()
            pause_s = PAUSES_S[min(attempt, len(PAUSES_S) - 1)]
            try:
                await asyncio.wait_for(self._wake.wait(), pause_s)
            except TimeoutError:
                attempt += 1

    async def put(self, file: LocalFile, root: Path) -> None:
        """Send a file; raises as `persist`, and `LocalGone`."""
        await self.persist(lambda: self.target.put(file.key, root / file.key))
        self.bytes += file.size
        self.files += 1
        self.rate.note(self.bytes)
        if len(self.sent) < MOST_SENT:
            self.sent[file.key] = file.size, file.mtime_ns

    async def put_all(self, files: Iterable[LocalFile], root: Path) -> None:
        """Send files, a few at once; the first failure ends the others."""
        under_way: set[asyncio.Task[None]] = set()
        try:
            for file in files:
                if len(under_way) >= self.target.puts:
                    under_way = await _one_of(under_way)
                under_way.add(asyncio.ensure_future(self.put(file, root)))
            while under_way:
                under_way = await _one_of(under_way)
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)


async def _one_of(tasks: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    """Wait for one to end; those that have not. Raises what it raised."""
    done, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    failures = [failure for task in done if (failure := task.exception())]
    if failures:
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        raise failures[0]
    return others
