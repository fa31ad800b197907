"""Signals as a request instead of an exception that may come anywhere."""

import contextlib
import ctypes
import signal
import sys
import time
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any, Self

if sys.platform == "win32":
    CLOSED = signal.SIGBREAK
else:
    CLOSED = signal.SIGHUP
"""The terminal was closed. On Windows also Ctrl-Break, and logging off."""

ENDS = (signal.SIGTERM, CLOSED)
"""What ends a program that is not asked."""

_CONSOLE_ENDS = {2, 5, 6}
"""CTRL_CLOSE_EVENT, CTRL_LOGOFF_EVENT, CTRL_SHUTDOWN_EVENT."""

_END_TIMEOUT_S = 60.0
"""More than Windows gives: it ends a program 5 s after its console was closed."""


def _nothing() -> None:
    pass


class Interrupt:
    """While it lasts, signals are counted and call what they are told to.

    Several may last at once and end in any order: a signal is for all of them, and what
    was there before the first comes back after the last. To be used in the main thread.

    Parameters
    ----------
    first, again : callable
        Called at the first signal, and at those after it; must return at once.
    numbers : iterable of int
        Which signals; Ctrl-C and `ENDS` if not given.
    """

    def __init__(
        self,
        first: Callable[[], None] = _nothing,
        again: Callable[[], None] = _nothing,
        numbers: Iterable[int] = (signal.SIGINT, *ENDS),
    ) -> None:
        self.count = 0
        self._numbers = tuple(numbers)
        self._first, self._again = first, again

    def __enter__(self) -> Self:
        for number in self._numbers:
            listeners = _listeners.setdefault(number, [])
            before = signal.getsignal(number)
            # Who ignores that the terminal is closed wants to live on: nohup(1).
            if not listeners and (number, before) != (CLOSED, signal.SIG_IGN):
                _before[number] = signal.signal(number, _signalled)
            listeners.append(self)
        return self

    def __exit__(self, *error: object) -> None:
        for number in self._numbers:
            _listeners[number].remove(self)
            before = _before.pop(number, None) if not _listeners[number] else None
            # Somebody may have put another handler in place: it stays.
            if before is not None and signal.getsignal(number) is _signalled:
                signal.signal(number, before)

    def hear(self) -> None:
        """Count a signal, and pass it on."""
        self.count += 1
        if self.count == 1:
            self._first()
        else:
            self._again()


_listeners: dict[int, list[Interrupt]] = {}
"""Those that last, of each signal."""

_before: dict[int, Any] = {}
"""The handlers that were there before."""


def _signalled(number: int, frame: FrameType | None) -> None:
    listeners = list(_listeners[number])
    if not any(listener.count for listener in listeners):
        with contextlib.suppress(OSError):  # there may be no terminal any more
            print("stopping ...", file=sys.stderr)
    for listener in listeners:
        listener.hear()


def console_ends(event: int) -> bool:
    """Hear that a console is closed, somebody logs off, or the system shuts down.

    Windows calls it in a thread of its own, and ends the program as soon as it returns:
    so not before all who listen have come to their end. False where nobody listens.
    """
    if event not in _CONSOLE_ENDS or not _listeners.get(CLOSED):
        return False
    _signalled(CLOSED, None)
    deadline = time.perf_counter() + _END_TIMEOUT_S
    while _listeners[CLOSED] and time.perf_counter() < deadline:
        time.sleep(0.02)
    return True


if sys.platform == "win32":
    _console_handler = ctypes.WINFUNCTYPE(ctypes.c_int, ctypes.c_uint32)(console_ends)
    ctypes.WinDLL("kernel32").SetConsoleCtrlHandler(_console_handler, True)
