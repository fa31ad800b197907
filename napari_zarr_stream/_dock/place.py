"""Free names and room where recordings go, looked at in the background.

A network disk may take long to answer, or never do.
"""

import os
import time
from collections.abc import Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from pathlib import Path

from qtpy.QtCore import QObject, QTimer, Signal

from napari_zarr_stream._recording.disk import free_bytes
from napari_zarr_stream._recording.naming import free_paths
from napari_zarr_stream._viewer.background import in_background
from napari_zarr_stream._writer import system
from napari_zarr_stream._writer.errors import InvalidProperties

BLINK_S = 0.05
"""The first answer is waited for so long: nothing flickers then."""

LOOK_AGAIN_S = 2.0
"""Others make files and fill disks, too."""

POLL_MS = 50


@dataclass(frozen=True, slots=True)
class Place:
    """Where recordings would go.

    Attributes
    ----------
    paths : sequence of Path
        Nothing is there yet.
    free_bytes : int or None
        On their disk; None where nobody can say.
    has_holes : bool
        Whether that disk has holes in files.
    """

    paths: Sequence[Path]
    free_bytes: int | None
    has_holes: bool = True


class PlaceIsAwaited(InvalidProperties):
    """The disk has not answered yet; it is asked, and `PlaceLook.changed` will come."""


class PlaceLook(QObject):
    """Looks at what the user chose; `changed` says that another answer has come."""

    changed = Signal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._chosen: tuple[Path, int, str] | None = None
        self._known: Future[Place] | None = None
        self._asked: Future[Place] | None = None
        self._asked_at = 0.0
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._poll)

    def place_of(self, folder: Path, count: int, name: str = "") -> Place:
        """Free names for as many stores, by a template, and the room there.

        Raises
        ------
        PlaceIsAwaited
        InvalidProperties
            Nothing can be written there.
        """
        self._choose(folder, count, name)
        is_old = time.perf_counter() - self._asked_at > LOOK_AGAIN_S
        if self._asked is None and (self._known is None or is_old):
            asked = self._ask(folder, count, name)
            if self._known is None:
                wait((asked,), BLINK_S)
        if self._known is None:  # else it is the same until `changed` says so
            self._take()
        if self._known is None:
            raise PlaceIsAwaited(f"Looking at {folder} …")
        return self._known.result()

    def look_ahead(self, folder: Path, count: int, name: str = "") -> None:
        """Begin to look at what `place_of` is asked for later, and wait for nothing."""
        self._choose(folder, count, name)
        if self._asked is None and self._known is None:
            self._ask(folder, count, name)

    def _choose(self, folder: Path, count: int, name: str) -> None:
        if self._chosen != (folder, count, name):
            self._chosen, self._known, self._asked = (folder, count, name), None, None

    def _ask(self, folder: Path, count: int, name: str) -> "Future[Place]":
        self._asked_at = time.perf_counter()
        self._asked = in_background(
            lambda: _look(folder, count, name), may_be_dropped=True
        )
        self._timer.start()
        return self._asked

    def look_now(self) -> None:
        """Have the next answer be of this moment, if the disk gives it at once.

        Names with the time of day are of the moment of the click.
        """
        if self._chosen is None or self._asked is not None:
            return
        folder, count, name = self._chosen
        now = in_background(lambda: _look(folder, count, name), may_be_dropped=True)
        wait((now,), BLINK_S)
        if now.done() and now.exception() is None:
            self._known, self._asked_at = now, time.perf_counter()

    def look_again(self) -> None:
        """What was there has changed."""
        self._chosen = None

    def _take(self) -> None:
        if self._asked is not None and self._asked.done():
            self._known, self._asked = self._asked, None
            self._timer.stop()

    def _poll(self) -> None:
        self._take()
        if self._asked is None:
            self.changed.emit()


def _look(chosen: Path, count: int, name: str) -> Place:
    """Thread "background"."""
    paths = free_paths(chosen, count, name)
    there = next(parent for parent in paths[0].parents if os.path.lexists(parent))
    free = _room_in(there)
    if there not in _have_holes:  # tried once: it makes a file there, for a moment
        try:
            _have_holes[there] = system.has_holes(there)
        except OSError as error:
            raise InvalidProperties(
                f"Nothing can be written to {there} ({error.strerror}): choose another "
                "folder."
            ) from error
    return Place(paths, free, _have_holes[there])


_have_holes: dict[Path, bool] = {}
"""Of folders, what was found by trying."""


def _room_in(there: Path) -> int | None:
    if not there.is_dir():
        raise InvalidProperties(f"{there} is not a folder: choose another place.")
    if not system.may_write(there):
        raise InvalidProperties(f"You may not write to {there}: choose another folder.")
    free = free_bytes(there)
    if free == 0:
        raise InvalidProperties(
            f"There is no space left in {there}: make room, or choose another folder."
        )
    return free
