"""A store whose writer died -> a store that opens, with all that is left of it.

Knows stores of this package only: their record says how they were laid out. `examine`
only reads. `repair` puts new files in the place of old ones, each as a whole, and only
then tells readers; the one exception is a shard, whose new index is put between its
chunks and the old one before the file is cut there. So it may be killed at any moment
and run again.
"""

from collections.abc import Iterator
from pathlib import Path

from napari_zarr_stream._writer import system
from napari_zarr_stream._writer.errors import InvalidStore
from napari_zarr_stream._writer.lock import holder_of
from napari_zarr_stream._writer.ome_xml import OME_XML
from napari_zarr_stream._writer.record import FinishReason

from .examination import Examination
from .existing_store import ExistingStore
from .report import Finding, Progress, Report, Watcher, unwatched
from .sets import log_documents, set_at

__all__ = ["Finding", "Progress", "Report", "examine", "repair", "repair_set"]


def examine(path: Path, watch: Watcher = unwatched, steps: int | None = None) -> Report:
    """What is wrong with a store; changes nothing.

    `watch` is told how far it is; what it raises ends the work. An image of a set has
    `steps` at the least: see `repair_set`.

    Raises
    ------
    InvalidStore
        No store of this package, or one that its own record contradicts.
    """
    place = _resolved(path)
    if holder := holder_of(place):
        return Report(place, holder)
    return _examined(place, watch, steps).report()


def repair_set(
    path: Path, watch: Watcher = unwatched, *, check: bool = False
) -> Iterator[Report]:
    """The same for all images of a set, one after another, and for its root.

    With `check`, as `examine`. A store that is no set is repaired as it is.

    Raises
    ------
    InvalidStore, StoreInUse, WriteFailed
        As `repair`, and for each image by itself.
    """
    act = examine if check else repair
    images = set_at(_resolved(path))
    if images is None:
        yield act(path, watch)
        return
    if holder := holder_of(images.root):
        yield Report(images.root, holder)
        return
    steps, planes = images.steps(), 0
    for image in images.images:
        report = act(image, watch, steps)
        planes += report.planes_after
        yield report
    if not images.is_open:
        return
    noted = f"noted as {FinishReason.INTERRUPTED}"
    open_ = Finding(images.key, "left open by a program that did not end", noted)
    if not check:
        store = ExistingStore(images.root)
        try:
            for key, document in log_documents(images.root).items():
                store.write_json(key, document)
            store.write(OME_XML, images.ome_xml())
            # Last: it says that all is done.
            store.write_json(images.key, images.ended(planes))
        finally:
            store.close()
    yield Report(images.root, None, (open_,), planes, planes)


def repair(path: Path, watch: Watcher = unwatched, steps: int | None = None) -> Report:
    """Bring back what can be brought back; returns what was found and done.

    `watch` is told how far it is; what it raises ends the work, as a kill would. An
    image of a set has `steps` at the least: see `repair_set`.

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
        state, examination = _state_of(place), _examined(place, watch, steps)
        if not examination.report().can_be_repaired:
            return examination.report()  # nor is its folder touched by a lock
    store = ExistingStore(place)
    try:
        # Somebody may have written in it before the lock was ours.
        if examination is None or _state_of(place) != state:
            examination = _examined(place, watch, steps)
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


def _examined(place: Path, watch: Watcher, steps: int | None) -> Examination:
    try:
        return Examination(place, watch, steps)
    except (OSError, MemoryError, RecursionError) as error:
        raise InvalidStore(f"{place} cannot be looked into: {error!r}") from error


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except RuntimeError as error:
        raise InvalidStore(f"{path} is a link in a circle: {error}") from error
