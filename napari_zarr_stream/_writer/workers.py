"""The threads that encode and write, and what is still open when a program ends."""

import atexit
import contextlib
import threading
import weakref
from collections.abc import Callable
from typing import Protocol

from .memory import WORKERS


class Closable(Protocol):
    """What must be closed, or its end is lost."""

    def close(self) -> None:
        """Write all that was taken and end."""


_open: "weakref.WeakSet[Closable]" = weakref.WeakSet()


def is_open(writer: Closable) -> None:
    """Have it closed when the program ends, if nobody does it before."""
    _open.add(writer)


def is_closed(writer: Closable) -> None:
    """Nothing is left to be done for it."""
    _open.discard(writer)


class Workers:
    """As many threads as encoding is worth, which run one function until it returns.

    Parameters
    ----------
    work : callable
    """

    def __init__(self, work: Callable[[], None]) -> None:
        # Daemons, so that a writer nobody closed cannot keep the interpreter from
        # ending; `_close_forgotten` runs before they are killed.
        self._threads = [
            threading.Thread(target=work, name=f"zarr-stream-{number}", daemon=True)
            for number in range(WORKERS)
        ]

    def start(self) -> None:
        """Let them work."""
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait for all that were started."""
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()


def _close_forgotten() -> None:
    with contextlib.ExitStack() as each:  # the others too, if one fails
        for writer in list(_open):
            each.callback(writer.close)


atexit.register(_close_forgotten)
