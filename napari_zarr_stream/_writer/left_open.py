"""What is still open when a program ends, and would lose its end."""

import atexit
import contextlib
import os
import weakref
from typing import Protocol


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


def close_left_open() -> None:
    """Close what nobody has closed."""
    with contextlib.ExitStack() as each:  # the others too, if one fails
        for writer in list(_open):
            each.callback(writer.close)


atexit.register(close_left_open)
if hasattr(os, "register_at_fork"):  # who was forked leaves it to the other
    os.register_at_fork(after_in_child=_open.clear)
