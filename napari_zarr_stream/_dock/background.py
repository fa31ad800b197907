"""What takes long and must keep no window waiting. Knows no Qt: futures are polled."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def in_background(work: Callable[[], T]) -> "Future[T]":
    """Do work in a thread of its own; its exception is kept in the future.

    The thread is no daemon: the interpreter waits for its end.
    """
    future: Future[T] = Future()

    def run() -> None:
        """Thread "background"."""
        try:
            future.set_result(work())
        except Exception as error:  # noqa: BLE001 - raised where the result is asked for
            future.set_exception(error)

    threading.Thread(target=run, name="background", daemon=False).start()
    return future
