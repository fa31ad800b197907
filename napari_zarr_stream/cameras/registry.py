"""The cameras that can be found here, and how to get those that cannot.

A stack is the software that a kind of camera needs. One that is not installed is not
imported, and one that fails or hangs does not hide the others.
"""

import atexit
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import NamedTuple

from .patterns import PATTERNS
from .protocol import Camera
from .simulated import SimulatedCamera

Cameras = Mapping[str, Callable[[], Camera]]

ENTRY_POINTS = "napari_zarr_stream.cameras"
"""Group of those that other packages add: functions that return `Cameras`."""

SEARCH_TIMEOUT_S = 20.0
"""Importing an SDK from a slow disk and asking a network take seconds, not this."""

EXIT_TIMEOUT_S = 5.0
"""What a search that goes on may delay the end of the program."""


class _Stack(NamedTuple):
    """A stack that comes with this package."""

    title: str
    module: str  # beside this one, with a function `find`
    needs: str  # what has to be there to import
    extra: str  # what installs it


_STACKS = (
    _Stack("Micro-Manager", "micromanager", "pymmcore_plus", "micromanager"),
    _Stack("GenICam", "genicam", "viva_genicam", "genicam"),
    _Stack("Basler", "basler", "pypylon", "basler"),
    _Stack("GenTL", "gentl", "harvesters", "gentl"),
    _Stack("OpenCV", "opencv", "cv2", "opencv"),
)


@dataclass(frozen=True, slots=True)
class FoundCameras:
    """What a search for cameras found.

    Attributes
    ----------
    cameras : mapping of str to callable
        The name to show, and what makes a camera, not yet opened.
    missing : mapping of str to str
        Title of a stack that is not installed, and the command that installs it.
    failed : mapping of str to str
        Title of a stack, and what went wrong while its cameras were looked for.
    awaited : tuple of str
        Titles of the stacks that have not answered yet.
    """

    cameras: Cameras
    missing: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    awaited: tuple[str, ...] = ()


class _Asked(NamedTuple):
    """Stacks that are asked, and those that are not, as they are not installed."""

    missing: Mapping[str, str]
    answers: "Mapping[str, Future[Cameras]]"


class CameraSearch:
    """Looks for cameras, in each stack apart: none waits for another.

    It begins when it is made. Simulated cameras are there at once. A stack that is
    asked already, since it has not answered an earlier search, is not asked twice.

    Parameters
    ----------
    timeout_s : float
        A stack that has not answered by then counts as failed. If it answers later,
        `found` has its cameras all the same.
    """

    def __init__(self, timeout_s: float = SEARCH_TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._deadline = time.perf_counter() + timeout_s
        self._asked: Future[_Asked] = Future()
        # A daemon as those that it starts.
        threading.Thread(target=self._ask, name="search", daemon=True).start()

    def _ask(self) -> None:
        """Thread "search": what is installed here stands on the disk."""
        try:
            missing = {
                stack.title: f'pip install "napari-zarr-stream[{stack.extra}]"'
                for stack in _STACKS
                if find_spec(stack.needs) is None
            }
            answers = {
                title: _answer_of(title, find) for title, find in _finders(missing)
            }
        except BaseException as error:  # noqa: BLE001 - `found` tells it
            missing, answers = {}, {"Search": Future()}
            answers["Search"].set_exception(error)
        self._asked.set_result(_Asked(missing, answers))

    @property
    def is_over(self) -> bool:
        """Whether all stacks have answered or have had their time."""
        return not self.found.awaited

    @property
    def found(self) -> FoundCameras:
        """What is known by now; may be asked from any thread, and waits for nothing.

        Names that occur twice get the title of their stack before them.
        """
        found = [
            ("Simulated", name, make) for name, make in simulated_cameras().items()
        ]
        failed: dict[str, str] = {}
        awaited: list[str] = []
        is_late = time.perf_counter() >= self._deadline
        if self._asked.done():
            asked = self._asked.result()
        else:
            asked = _Asked({}, {stack.title: Future() for stack in _STACKS})
        for title, answer in asked.answers.items():
            if not answer.done():
                if is_late:
                    failed[title] = (
                        f"no answer within {self._timeout_s:g} s: its driver hangs"
                    )
                else:
                    awaited.append(title)
            elif (error := answer.exception()) is not None:
                failed[title] = f"{type(error).__name__}: {error}"
            else:
                found += [(title, *each) for each in answer.result().items()]
        count = Counter(name for _, name, _ in found)
        cameras = {
            name if count[name] == 1 else f"{title}: {name}": make
            for title, name, make in found
        }
        return FoundCameras(cameras, asked.missing, failed, tuple(awaited))

    def wait(self) -> FoundCameras:
        """Wait for all stacks, for no longer than their time."""
        wait((self._asked,), max(0.0, self._deadline - time.perf_counter()))
        if self._asked.done():
            left_s = max(0.0, self._deadline - time.perf_counter())
            wait(self._asked.result().answers.values(), left_s)
        return self.found


def find_cameras(timeout_s: float = SEARCH_TIMEOUT_S) -> FoundCameras:
    """Look for cameras: simulated ones, those of vendors, those of other packages.

    Parameters
    ----------
    timeout_s : float
        As for `CameraSearch`, which does not wait.
    """
    return CameraSearch(timeout_s).wait()


_asked: dict[str, Future[Cameras]] = {}  # guarded by _lock; have not answered yet
_latest = 0.0  # guarded by _lock; `time.perf_counter` at which all should have
_lock = threading.Lock()


def _answer_of(title: str, find: Callable[[], Cameras]) -> "Future[Cameras]":
    """Have the cameras of a stack looked for, unless that goes on already."""
    global _latest
    with _lock:
        if title in _asked:
            return _asked[title]
        answer = _asked[title] = Future()
        _latest = time.perf_counter() + SEARCH_TIMEOUT_S

    def run() -> None:
        """Thread "search"."""
        try:
            # made here, so that what is no mapping is told as well
            answer.set_result(dict(find().items()))
        # it is code of others, and its failure is told
        except BaseException as error:  # noqa: BLE001
            answer.set_exception(error)
        finally:
            with _lock:
                del _asked[title]

    # A daemon: one that hangs in a driver must not keep the interpreter from ending.
    threading.Thread(target=run, name="search", daemon=True).start()
    return answer


@atexit.register
def _await_answers() -> None:
    """Let drivers come back that can: one that is killed in a call may abort."""
    with _lock:
        answers, left_s = list(_asked.values()), _latest - time.perf_counter()
    wait(answers, min(max(0.0, left_s), EXIT_TIMEOUT_S))


def _finders(missing: Mapping[str, str]) -> Iterator[tuple[str, Callable[[], Cameras]]]:
    """Yield the title of each stack, all different, and what finds its cameras."""
    titles = {"Simulated"} | {stack.title for stack in _STACKS}
    for stack in _STACKS:
        if stack.title not in missing:
            yield stack.title, partial(_find_in, stack.module)
    for entry_point in entry_points(group=ENTRY_POINTS):
        title = entry_point.name
        if title in titles:
            title = f"{title} ({entry_point.value})"
        titles.add(title)
        yield title, partial(_find_at, entry_point)


def simulated_cameras() -> Cameras:
    """Return the cameras that are always there, without looking for any."""
    return {
        f"Simulated: {pattern}": partial(SimulatedCamera, pattern)
        for pattern in PATTERNS
    }


def _find_in(module: str) -> Cameras:
    cameras: Cameras = import_module(f"napari_zarr_stream.cameras.{module}").find()
    return cameras


def _find_at(entry_point: EntryPoint) -> Cameras:
    cameras: Cameras = entry_point.load()()
    return cameras
