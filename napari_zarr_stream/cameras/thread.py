"""One camera, one thread: `CameraThread` makes every call on a camera in the same one.

SDKs break when two threads use a device, and some abort the interpreter when it ends
while a thread waits inside them. Knows no Qt and no recording.

Guarantees:

* `make`, what is asked for and `Camera.close` run in one thread, one after another;
* what was asked for is done in that order, but that short work is also done while a
  long job goes on, whenever the job calls `serve`;
* at the end of the program long jobs are asked to end and the camera is closed. A
  driver that hangs is given up after a time, and that is said.
"""

import atexit
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, Generic, TypeVar

from napari_zarr_stream._writer.errors import IllegalTransition

from .protocol import Camera, CameraError

T = TypeVar("T")

CLOSE_TIMEOUT_S = 5.0
"""Reads return within 0.2 s and stopping takes drivers up to 2 s: longer is hanging."""

_open_threads: set["CameraThread"] = set()


class _Asked(Generic[T]):
    """Work to be done with the camera, and where its result will be."""

    def __init__(self, work: Callable[[Camera], T], is_long: bool) -> None:
        self.future: Future[T] = Future()
        self.is_long = is_long
        self._work = work

    def do(self, camera: Callable[[], Camera]) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self._work(camera())
        except BaseException as error:  # noqa: BLE001 - raised where it was asked for
            self.future.set_exception(error)
        else:
            self.future.set_result(result)

    def refuse(self, error: CameraError) -> None:
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)


class CameraThread:
    """Makes a camera, and every call on it, in a thread of its own.

    Parameters
    ----------
    make : callable
        Makes the camera, when it is first needed. If that fails it is tried again for
        what is asked for next.
    name : str
        Of the camera, for messages.

    Attributes
    ----------
    asked_between : int
        How often short work was done while a long job went on, which may have changed
        a setting: see `SettingsWatch`.
    """

    def __init__(self, make: Callable[[], Camera], name: str = "the camera") -> None:
        self.name = name
        self._make = make
        self._camera: Camera | None = None  # touched by the thread only
        self._failure: BaseException | None = None  # of closing; set before the end
        self._changed = threading.Condition()
        self._waiting: deque[_Asked[Any]] = deque()  # guarded by _changed
        self._is_working = False  # guarded by _changed; read anywhere
        self.asked_between = 0  # written by the thread only
        self._ending = threading.Event()
        # A daemon: one that hangs in a driver must not keep the interpreter from
        # ending. `_close_forgotten` ends all others before they would be killed.
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        _open_threads.add(self)
        self._thread.start()

    # ------------------------------------------------------------ from any thread

    @property
    def is_busy(self) -> bool:
        """Whether something is being done, or waits to be done."""
        return self._is_working or bool(self._waiting)

    @property
    def is_ending(self) -> bool:
        """Whether long jobs have to end: the camera is being closed, or is."""
        return self._ending.is_set()

    def call(self, work: Callable[[Camera], T], timeout_s: float | None = None) -> T:
        """Do short work with the camera; returns or raises what it does.

        In the camera's own thread it is done directly.

        Raises
        ------
        CameraError
            Not done within `timeout_s`, or the camera is closed. Work that has not
            begun by then never will.
        """
        if threading.current_thread() is self._thread:
            return work(self._made())
        future = self.submit(work)
        done, _ = wait((future,), timeout_s)
        if not done:
            if future.cancel():
                raise CameraError(
                    f"{self.name} was busy for {timeout_s:g} s, so this was not done: "
                    "wait for what it does, or stop it"
                )
            raise CameraError(
                f"{self.name} did not answer within {timeout_s:g} s: its driver is "
                "slow or hangs"
            )
        return future.result()

    def submit(
        self, work: Callable[[Camera], T], *, is_long: bool = False
    ) -> "Future[T]":
        """Have work done with the camera; returns at once.

        Parameters
        ----------
        work : callable
        is_long : bool
            It goes on until it is stopped, as a preview or a recording does. Such a job
            calls `serve` again and again, ends where that says False, and never begins
            inside another: it waits for its end.

        Returns
        -------
        Future
            Its exception is heard by who asks for the result, and nobody else.

        Raises
        ------
        CameraError
            The camera is closed.
        """
        asked = _Asked(work, is_long)
        with self._changed:
            if self.is_ending:
                raise self._closed()
            self._waiting.append(asked)
            self._changed.notify_all()
        return asked.future

    def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        """Ask a long job to end, close the camera on its thread, and end that.

        What waits is not done any more. May be called again.

        Raises
        ------
        CameraError
            It has not ended within `timeout_s`: the thread is given up. Or what closing
            the camera raised.
        IllegalTransition
            Called in the camera's own thread, which cannot wait for itself.
        """
        if threading.current_thread() is self._thread:
            raise IllegalTransition(f"{self.name} cannot be closed in its own thread")
        self._ask_to_end()
        self._thread.join(timeout_s)
        _open_threads.discard(self)
        if self._thread.is_alive():
            raise CameraError(
                f"{self.name} could not be closed within {timeout_s:g} s: its driver "
                "hangs and is left to itself"
            )
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _ask_to_end(self) -> None:
        with self._changed:
            self._ending.set()
            self._changed.notify_all()

    def _closed(self) -> CameraError:
        return CameraError(f"{self.name} is closed: nothing can be asked of it")

    # -------------------------------------------------------- in the camera's thread

    def serve(self) -> bool:
        """Do the short work that waits; False where a long job has to end.

        To be called by a long job, between reads.
        """
        while not self.is_ending and (asked := self._next_short()) is not None:
            asked.do(self._made)
            self.asked_between += 1
        return not self.is_ending

    def _next_short(self) -> _Asked[Any] | None:
        if not self._waiting:  # without the lock: a job asks after every frame
            return None
        with self._changed:
            for asked in self._waiting:
                if not asked.is_long:
                    self._waiting.remove(asked)
                    return asked
        return None

    def _made(self) -> Camera:
        if self._camera is None:
            self._camera = self._make()
        return self._camera

    def _run(self) -> None:
        """Do what is asked for until the end, then close. Thread "camera"."""
        while (asked := self._next()) is not None:
            asked.do(self._made)
        if self._camera is not None:
            try:
                self._camera.close()
            except BaseException as error:  # noqa: BLE001 - raised from `close`
                self._failure = error

    def _next(self) -> _Asked[Any] | None:
        with self._changed:
            self._is_working = False
            self._changed.wait_for(lambda: self._waiting or self.is_ending)
            if not self.is_ending:
                self._is_working = True
                return self._waiting.popleft()
            refused = list(self._waiting)
            self._waiting.clear()
        for asked in refused:
            asked.refuse(self._closed())
        return None


def _close_forgotten() -> None:
    with contextlib.ExitStack() as each:  # the others too, if one fails
        for thread in list(_open_threads):
            thread._ask_to_end()  # noqa: SLF001 - all at once, then wait for each
            each.callback(thread.close)


atexit.register(_close_forgotten)
