"""What takes long and must keep no window waiting. Knows no Qt: futures are polled."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def in_background(
    work: Callable[[], T], *, may_be_dropped: bool = False
) -> "Future[T]":
    """Do work in a thread of its own; its exception is kept in the future.

    Parameters
    ----------
    work : callable
    may_be_dropped : bool
        Whether the interpreter may end before it: of work that may hang for ever, and
        of which nothing is left undone.
    """
    future: Future[T] = Future()

    def run() -> None:
        """Thread "background"."""
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised where it is asked for
            future.set_exception(error)

    threading.Thread(target=run, name="background", daemon=may_be_dropped).start()
    return future
