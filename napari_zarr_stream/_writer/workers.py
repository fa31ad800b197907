"""The threads that encode and write: one pool for all that a program writes."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Protocol

from .memory import WORKERS

STUCK_S = 0.25
"""Who has waited so long for a thread gets one of its own, if it has none: the others
are with a disk that stalls, and the queue of a camera holds about as much."""

Task = Callable[[], object]


class Line(Protocol):
    """Who has work for the pool. But for `keeping_failure`, its lock is held."""

    @property
    def tasks_running(self) -> int:
        """How many threads have a task of it."""

    @property
    def caller_helps(self) -> bool:
        """Whether who fills it does tasks as well, in the place of a thread."""

    def waits_since(self) -> float | None:
        """Since when it has tasks, and no thread; None where it has none, or one."""

    def next_task(self, now: float, *, is_free: bool) -> Task | float:
        """What a thread is to do, or in how many seconds it is to ask again.

        Without `is_free` only what keeps the pipeline going is to be done.
        """

    def ended(self) -> None:
        """Hear that a task is done, or has failed."""

    def keeping_failure(self) -> AbstractContextManager[None]:
        """What a task is to be done in: no failure leaves it."""


class Workers:
    """As many threads as encoding is worth, for any number of lines in turn.

    They are there while a line is. One whose tasks block, as on a disk that stalls,
    keeps no other waiting: each is sure of a thread.

    Attributes
    ----------
    lock : threading.Lock
        Of the pool and of all its lines: what they share is looked at together.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        # All that follows is guarded by lock.
        self._has_work = threading.Condition(self.lock)
        self._lines: deque[Line] = deque()
        self._threads: set[threading.Thread] = set()
        self._idle = 0
        self._running = 0

    def add(self, line: Line) -> None:
        """Work for it, until `remove`."""
        with self.lock:
            while len(self._threads) < WORKERS:
                self._start_thread()
            self._lines.append(line)

    def remove(self, line: Line) -> None:
        """Work for it no more; the last one's threads have ended when this returns."""
        with self.lock:
            if line in self._lines:
                self._lines.remove(line)
            ended: set[threading.Thread] = set()
            if not self._lines:
                ended, self._threads = self._threads, set()
                self._has_work.notify_all()
        for thread in ended:
            thread.join()

    def wake(self, line: Line, tasks: int = 1) -> None:
        """Have threads look at what a line has now. Caller must hold `lock`."""
        if self._idle:
            self._has_work.notify(tasks)
            return
        since = line.waits_since()
        is_stuck = since is not None and time.perf_counter() - since > STUCK_S
        if is_stuck and len(self._threads) < WORKERS + len(self._lines) - 1:
            with suppress(RuntimeError):  # the program ends: there are no more
                self._start_thread()

    @property
    def has_room(self) -> bool:
        """Whether a thread would begin with something at once. Caller holds `lock`."""
        helpers = sum(line.caller_helps for line in self._lines)
        return self._running < max(1, WORKERS - helpers)

    def _start_thread(self) -> None:
        # Daemons, so that a writer nobody closed cannot keep the interpreter from
        # ending; `close_left_open` runs before they are killed.
        thread = threading.Thread(target=self._work, name="zarr-stream", daemon=True)
        thread.start()
        self._threads.add(thread)

    def _work(self) -> None:
        """A thread of the pool, "zarr-stream"."""
        while True:
            with self.lock:
                found = self._next_task()
            if found is None:
                return
            line, task = found
            with line.keeping_failure():
                task()
            with self.lock:
                self._running -= 1
                line.ended()
            del found, line, task  # pixels, that nobody would let go of while it waits

    def _next_task(self) -> tuple[Line, Task] | None:
        """Wait for a task; None where the thread is to end. Caller must hold `lock`."""
        while threading.current_thread() in self._threads:
            now = time.perf_counter()
            wait_s = 1.0
            for _ in range(len(self._lines)):
                line = self._lines[0]
                self._lines.rotate(-1)
                is_free = not line.tasks_running or self.has_room
                found = line.next_task(now, is_free=is_free)
                if not isinstance(found, float):
                    self._running += 1
                    return line, found
                wait_s = min(wait_s, found)
            if len(self._threads) > WORKERS:
                self._threads.discard(threading.current_thread())
                return None
            self._idle += 1
            self._has_work.wait(max(wait_s, 0.01))
            self._idle -= 1
        return None


_pool = Workers()


def pool() -> Workers:
    """The threads of this program."""
    return _pool


def _begin_anew() -> None:
    global _pool
    _pool = Workers()


if hasattr(os, "register_at_fork"):  # which has none of the threads
    os.register_at_fork(after_in_child=_begin_anew)
