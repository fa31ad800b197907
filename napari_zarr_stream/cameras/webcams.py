"""Which webcams there are, without opening one that may be in use."""

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from .probes import Probes

_MOST_PROBED = 4
_PROFILE_TIMEOUT_S = 10.0
"""It takes a second."""

_FOLDER = Path("/sys/class/video4linux")

_in_use: Counter[int] = Counter()  # guarded by _opening; those that are ours
_opening = threading.Lock()
"""Held while one is looked for or becomes ours: opened by both, one gets nothing."""


def webcams(opens: Callable[[int], bool]) -> Iterator[tuple[str, int]]:
    """Yield the name to show and OpenCV's number of each.

    Parameters
    ----------
    opens : callable
        Whether there is one of this number, which it opens for a moment.
    """
    if sys.platform == "linux":
        return listed(_FOLDER)
    # Opened to look, one would ask for permission there, and turn its light on.
    return profiled() if sys.platform == "darwin" else probed(opens)


def claim(number: int) -> None:
    """Note that a webcam is ours: until `release`, a search leaves it alone."""
    with _opening:
        _in_use[number] += 1


def release(number: int) -> None:
    """Note that a webcam is not ours any more."""
    with _opening:
        _in_use[number] -= 1


def listed(folder: Path) -> Iterator[tuple[str, int]]:
    """Yield what Linux says of webcams, without opening them."""
    for device in sorted(folder.glob("video*")):
        probes, number = Probes(f"OpenCV: {device.name}"), device.name[len("video") :]
        # another node of the same webcam carries no pictures
        place = probes.ask("place", partial(_text_of, device / "index"), "0")
        if place == "0" and number.isdecimal():
            name = probes.ask("name", partial(_text_of, device / "name"), "webcam")
            yield f"OpenCV: {name} ({device.name})", int(number)


def profiled() -> Iterator[tuple[str, int]]:
    """Yield what macOS says of webcams, without opening them; OpenCV counts as it does.

    Raises
    ------
    OSError, ValueError, KeyError, subprocess.SubprocessError
        It says nothing, or something else.
    """
    said = subprocess.run(
        ["system_profiler", "-json", "SPCameraDataType"],
        capture_output=True, check=True, timeout=_PROFILE_TIMEOUT_S,
    ).stdout  # fmt: skip
    for number, camera in enumerate(json.loads(said)["SPCameraDataType"]):
        yield f"OpenCV: {camera['_name']} ({number})", number


def _text_of(path: Path) -> str:
    return path.read_text("utf-8", errors="replace").strip()


def probed(opens: Callable[[int], bool]) -> Iterator[tuple[str, int]]:
    """Yield the webcams that open or that we use, up to the first that does not."""
    for number in range(_MOST_PROBED):
        with _opening:
            if not (_in_use[number] or opens(number)):
                return
        yield f"OpenCV: webcam {number}", number
