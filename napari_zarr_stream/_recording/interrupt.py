"""Signals as a request instead of an exception that may come anywhere."""

import signal
import sys
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any, Self


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
        Which signals; Ctrl-C and SIGTERM if not given.
    """

    def __init__(
        self,
        first: Callable[[], None] = _nothing,
        again: Callable[[], None] = _nothing,
        numbers: Iterable[int] = (signal.SIGINT, signal.SIGTERM),
    ) -> None:
        self.count = 0
        self._numbers = tuple(numbers)
        self._first, self._again = first, again

    def __enter__(self) -> Self:
        for number in self._numbers:
            listeners = _listeners.setdefault(number, [])
            if not listeners:
                _before[number] = signal.signal(number, _signalled)
            listeners.append(self)
        return self

    def __exit__(self, *error: object) -> None:
        for number in self._numbers:
            _listeners[number].remove(self)
            before = _before.pop(number) if not _listeners[number] else None
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
        print("stopping ...", file=sys.stderr)
    for listener in listeners:
        listener.hear()
