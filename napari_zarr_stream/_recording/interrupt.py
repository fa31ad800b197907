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
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in self._numbers:
            self._before[number] = signal.signal(number, self._signalled)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self.count == 1:
            print("stopping ...", file=sys.stderr)
            self._first()
        else:
            self._again()
