"""The cameras that can be found here, and how to get those that cannot.

A stack is the software that a kind of camera needs. One that is not installed is not
imported, and one that fails does not hide the others.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
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
    """What `find_cameras` found.

    Attributes
    ----------
    cameras : mapping of str to callable
        The name to show, and what makes a camera, not yet opened.
    missing : mapping of str to str
        Title of a stack that is not installed, and the command that installs it.
    failed : mapping of str to str
        Title of a stack, and what went wrong while its cameras were looked for.
    """

    cameras: Cameras
    missing: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)


def find_cameras() -> FoundCameras:
    """Look for cameras: simulated ones, those of vendors, those of other packages.

    Names that occur twice get the title of their stack before them.
    """
    found: list[tuple[str, str, Callable[[], Camera]]] = []
    missing: dict[str, str] = {}
    failed: dict[str, str] = {}
    for stack in _STACKS:
        if find_spec(stack.needs) is None:
            missing[stack.title] = f'pip install "napari-zarr-stream[{stack.extra}]"'
    for title, find in _finders(missing):
        try:
            found += [(title, name, make) for name, make in find().items()]
        # it is code of others, and its failure is told
        except Exception as error:  # noqa: BLE001
            failed[title] = f"{type(error).__name__}: {error}"
    count = Counter(name for _, name, _ in found)
    cameras = {
        name if count[name] == 1 else f"{title}: {name}": make
        for title, name, make in found
    }
    return FoundCameras(cameras, missing, failed)


def _finders(missing: Mapping[str, str]) -> Iterator[tuple[str, Callable[[], Cameras]]]:
    """Yield the title of each stack, all different, and what finds its cameras."""
    yield "Simulated", simulated_cameras
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
