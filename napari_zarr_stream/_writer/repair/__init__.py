"""A store whose writer died -> a store that opens, with all that is left of it.

Knows stores of this package only: their record says how they were laid out. `examine`
only reads. `repair` puts new files in the place of old ones, each as a whole, and only
then tells readers; the one exception is a shard, whose new index is put between its
chunks and the old one before the file is cut there. So it may be killed at any moment
and run again.
"""

from pathlib import Path

from napari_zarr_stream._writer import system
from napari_zarr_stream._writer.errors import InvalidStore
from napari_zarr_stream._writer.lock import holder_of

from .examination import Examination
from .existing_store import ExistingStore
from .report import Finding, Progress, Report, Watcher, unwatched

__all__ = ["Finding", "Progress", "Report", "examine", "repair"]


def examine(path: Path, watch: Watcher = unwatched) -> Report:
    """What is wrong with a store; changes nothing.

    `watch` is told how far it is; what it raises ends the work.

    Raises
    ------
    InvalidStore
        No store of this package, or one that its own record contradicts.
    """
    place = _resolved(path)
    if holder := holder_of(place):
        return Report(place, holder)
    return _examined(place, watch).report()


def repair(path: Path, watch: Watcher = unwatched) -> Report:
    """Bring back what can be brought back; returns what was found and done.

    `watch` is told how far it is; what it raises ends the work, as a kill would.

    Raises
    ------
    InvalidStore
        As `examine`. Nothing was changed.
    StoreInUse
        Somebody is writing it. Nothing was changed.
    WriteFailed
        What was done until then is whole; run it again.
    """
    place = _resolved(path)
    if not place.parent.is_dir():
        raise InvalidStore(f"{place} is not there")
    state, examination = b"", None
    if not holder_of(place):
        state, examination = _state_of(place), _examined(place, watch)
        if not examination.report().can_be_repaired:
            return examination.report()  # nor is its folder touched by a lock
    store = ExistingStore(place)
    try:
        # Somebody may have written in it before the lock was ours.
        if examination is None or _state_of(place) != state:
            examination = _examined(place, watch)
        for action in examination.actions:
            action(store, watch)
        return examination.report()
    finally:
        store.close()


def _state_of(place: Path) -> bytes:
    try:
        return system.state_of(place)
    except OSError as error:
        raise InvalidStore(f"{place} cannot be looked into: {error!r}") from error


def _examined(place: Path, watch: Watcher) -> Examination:
    try:
        return Examination(place, watch)
    except (OSError, MemoryError, RecursionError) as error:
        raise InvalidStore(f"{place} cannot be looked into: {error!r}") from error


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except RuntimeError as error:
        raise InvalidStore(f"{path} is a link in a circle: {error}") from error
