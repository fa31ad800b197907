"""The command line: record | export | acquire | upload | info | repair.

What takes a second to import is imported when Ctrl-C is taken care of.
"""

import os
import signal
from collections.abc import Sequence
from types import FrameType
from typing import Any

from .exit_codes import FAILED, FRAMES_LOST, INTERRUPTED, REFUSED, REPAIRABLE

__all__ = [
    "FAILED",
    "FRAMES_LOST",
    "INTERRUPTED",
    "REFUSED",
    "REPAIRABLE",
    "main",
]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code.

    Without `arguments` it is all of a program, which Ctrl-C ends quietly from here on:
    while modules are imported, while a command runs, which cleans up, and after it.
    """
    if arguments is None:
        return _program()
    from .commands import asked, run

    return run(asked(arguments))


def _program() -> int:
    _at_interrupt(_leave)
    from .commands import asked, run

    given = asked(None)
    try:
        try:
            _at_interrupt(signal.default_int_handler)
            return run(given)
        finally:
            _at_interrupt(_leave)
    except KeyboardInterrupt:  # between those
        return INTERRUPTED


def _at_interrupt(handler: Any) -> None:
    # A script that has it run in the background ignores Ctrl-C for it.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, handler)


def _leave(number: int, frame: FrameType | None) -> None:
    """End at once: an exception would be printed by who must not raise any."""
    os._exit(INTERRUPTED)
