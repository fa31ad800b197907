"""One source into one image of a store: its pixels, its levels, what is known of it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil

from napari_zarr_stream._sources.layer_levels import halvings
from napari_zarr_stream._sources.open_stream import image_of, open_stream, plan_of
from napari_zarr_stream._sources.source import Frame, PlaneSource, SourceDescription
from napari_zarr_stream._writer.codecs import Encoded
from napari_zarr_stream._writer.dataset import Dataset
from napari_zarr_stream._writer.local_store import LocalStore
from napari_zarr_stream._writer.plan import Plan
from napari_zarr_stream._writer.properties import (
    Channel,
    DownsamplingMethod,
    StorageProperties,
)
from napari_zarr_stream._writer.record import FinishReason, RecordKey
from napari_zarr_stream._writer.store import PartOfStore, Store, StoredFile
from napari_zarr_stream._writer.tile_row_stream import rows_memory

from .by_rows import (
    APPEND_BYTES,
    is_written_by_rows,
    most_read_bytes,
    note_on_planes,
    write_by_rows,
)
from .contrast import ContrastFinder
from .course import Course
from .verify import ReadBack, Sent, verify_bytes

READ_TIMEOUT_S = 1.0
"""How long to wait for planes before asking again whether to stop."""

READ_SHARE = 0.25
"""Of the memory that is free, what reading may take."""

MOST_READ_BYTES = 1536 * 2**20
"""The same where much is free: chunks of 64 planes of 2048 x 2048 uint16 fit."""

COPIES = 3
"""Of what is read at once: chunks and the block that is made of them, while the block
before it is being written."""

Pixels = npt.NDArray[np.generic]

Asked = Future[Frame | None]


@dataclass(frozen=True, slots=True)
class PlannedImage:
    """What an image comes to.

    Attributes
    ----------
    levels : tuple of PlaneSource
        Those that are there already, full size first: more than one if they are kept.
    properties : StorageProperties
        With a downsampling method that makes nothing up.
    plan : Plan
    read_bytes : int
        Memory that reading takes; 0 where all is in memory.
    times_read : int
        How often a chunk of the source is read.
    by_rows : bool
        Its planes are too large to be in memory: it goes by rows of tiles.
    """

    levels: tuple[PlaneSource, ...]
    properties: StorageProperties
    plan: Plan
    read_bytes: int
    times_read: int
    by_rows: bool

    def memory_bytes(self, verify: bool) -> int:
        """All that is in memory at once, beside what was there before."""
        seen, pixels = self.plan.bytes_per_plane, self.plan.peak_memory_bytes
        if self.by_rows:
            seen, pixels = APPEND_BYTES, rows_memory(self.plan).peak_bytes
        beside = verify_bytes(self.plan, seen) if verify else 0
        return pixels + self.read_bytes + beside


def planned_image(
    source: PlaneSource, properties: StorageProperties, *, make_levels: bool = True
) -> PlannedImage:
    """Work out how a source would be stored; touches no disk.

    Without `make_levels` there are only those that the source has.

    Raises
    ------
    InvalidProperties
    """
    description = source.describe()
    fitting = _fitting(properties, description)
    levels = [source]
    if fitting.enable_multiscale:
        levels += _kept(source)
    if len(levels) > 1:
        method = _method_of_kept(source, fitting.method, description.is_label)
        fitting = replace(fitting, downsampling_method=method)
    free = psutil.virtual_memory().available
    most = min(MOST_READ_BYTES, int(READ_SHARE * free)) // COPIES
    makes = fitting.enable_multiscale and make_levels
    fitting = replace(fitting, enable_multiscale=makes)
    whole = plan_of(fitting, description)
    if len(levels) > 1:
        last = plan_of(fitting, levels[-1].describe())
        kept = [tuple(level.describe().shape) for level in levels]
        whole = replace(whole, level_shapes=(*kept, *last.level_shapes[1:]))
    whole = replace(whole, notes=(*whole.notes, *note_on_planes(whole)))
    by_rows = is_written_by_rows(whole)
    if by_rows:
        most = min(most_read_bytes(whole), most)
        read = max(level.rows_within(most) for level in levels)
    else:
        read = COPIES * max(level.read_within(most) for level in levels)
    return PlannedImage(tuple(levels), fitting, whole, read, source.times_read, by_rows)


def _fitting(
    properties: StorageProperties, description: SourceDescription
) -> StorageProperties:
    """The properties with a downsampling method that makes nothing up."""
    chooses = (DownsamplingMethod.MODE, DownsamplingMethod.DECIMATE)
    names_things = description.is_label or description.dtype.kind == "b"
    if names_things and properties.method not in chooses:
        return replace(properties, downsampling_method=DownsamplingMethod.MODE)
    return properties


def _kept(source: PlaneSource) -> Iterator[PlaneSource]:
    """The lower levels of a source for as long as each is half of the one above.

    y and x are halved together, z with them or not, nothing else.
    """
    above = source.describe()
    for level in source.smaller():
        here = level.describe()
        steps = halvings(_sizes(above), _sizes(here))
        by_axis = dict(zip(above.axes, steps or (), strict=False))
        together = {
            by_axis.get(axis)
            for axis, size in zip(above.axes, _sizes(above), strict=True)
            if axis in "yx" and size > 1
        }
        others = {by_axis.get(axis, 1) for axis in "tc"}
        if together != {2} or others != {1} or here.dtype != above.dtype:
            return
        yield level
        above = here


def _sizes(description: SourceDescription) -> list[int]:
    return [size or 1 for size in description.shape]


def _method_of_kept(
    source: PlaneSource, asked: DownsamplingMethod, is_label: bool
) -> DownsamplingMethod:
    """What is said of levels that somebody else made: where their pixels lie."""
    if source.is_decimated:
        return DownsamplingMethod.DECIMATE
    if asked is not DownsamplingMethod.DECIMATE:
        return asked
    return DownsamplingMethod.MODE if is_label else DownsamplingMethod.MEAN


class LevelsOfStore(PartOfStore):
    """What a stream writes, as the levels of an image from number `first` on.

    It describes itself as an image of its own; the image's documents are another's.
    """

    def __init__(
        self, whole: Store, prefix: str, first: int, *, is_in_view: bool = False
    ) -> None:
        super().__init__(whole, prefix, nothing, is_in_view=is_in_view)
        self._first = first

    def _key(self, key: str) -> str | None:
        level, _, rest = key.partition("/")
        return f"{int(level) + self._first}/{rest}" if level.isdecimal() else None

    def write_json(self, key: str, document: Mapping[str, Any]) -> None:
        """See `Store.write_json`."""
        if (moved := self._key(key)) is not None:
            super().write_json(moved, document)

    def write(self, key: str, data: Encoded) -> None:
        """See `Store.write`."""
        super().write(self._key(key) or key, data)

    def write_folder(
        self, key: str, files: Iterable[tuple[str, Encoded]], *, appears: bool = False
    ) -> None:
        """See `Store.write_folder`."""
        super().write_folder(self._key(key) or key, files, appears=appears)

    def create_file(
        self, key: str, keep_open: bool, *, appears: bool = False
    ) -> StoredFile:
        """See `Store.create_file`."""
        key = self._key(key) or key
        return super().create_file(key, keep_open, appears=appears)


def nothing() -> None:
    """Other images of the store are still being written."""


def write_image(
    planned: PlannedImage, store: LocalStore, path: str, course: Course, verify: bool
) -> None:
    """Write an image at `path` below the root of a store, and read it back.

    Raises
    ------
    ZarrStreamError, Stopped
        The store is not to be published.
    """
    source = planned.levels[0]
    description = source.describe()
    prefix = f"{path}/" if path else ""
    here = replace(planned.properties, uri=store.root / path, overwrite=False)
    known: dict[str, Any] = {RecordKey.FRAMES_LOST: source.lost}
    if verify:
        known[RecordKey.VERIFIED] = "every plane of level 0, by checksum"
    if len(planned.levels) == 1:
        part = PartOfStore(store, prefix, nothing)
        sent = Sent(planned.plan) if verify else None
        write = write_by_rows if planned.by_rows else _write_by_planes
        write(source, here, part, sent, course.wrote, known, describe=True)
    else:
        sent = _write_levels(planned, here, store, prefix, course, verify, known)
    if sent is not None:
        name = f"layer {description.name!r}"
        ReadBack(store.root / path, here.kind, sent, name).compare(course)


def _write_levels(
    planned: PlannedImage,
    properties: StorageProperties,
    store: LocalStore,
    prefix: str,
    course: Course,
    verify: bool,
    known: Mapping[str, Any],
) -> Sent | None:
    """Keep the levels that there are: each goes through a stream of its own."""
    description = planned.levels[0].describe()
    image = image_of(properties, description, planned.plan)
    dataset = Dataset(PartOfStore(store, prefix, nothing), properties, image)
    dataset.create()
    write = write_by_rows if planned.by_rows else _write_by_planes
    first_sent: Sent | None = None
    channels: Sequence[Channel] | None = None
    last = len(planned.levels) - 1
    for number, level in enumerate(planned.levels):
        makes = number == last and properties.enable_multiscale
        here = replace(properties, enable_multiscale=makes)
        part = LevelsOfStore(store, prefix, number)
        sent = Sent(planned.plan) if verify and not number else None
        count = course.wrote if not number else _only_asking(course)
        found = write(level, here, part, sent, count, known, describe=False)
        if not number:
            first_sent, channels = sent, found
    frames = planned.plan.planes or 0
    more: dict[str, Any] = {
        RecordKey.FRAMES_ACQUIRED: frames,
        RecordKey.LEVELS_KEPT: last + 1,
    }
    dataset.annotate(channels, {**known, **more})
    steps = frames // planned.plan.planes_per_step
    dataset.end(steps, FinishReason.COMPLETED, frames)
    return first_sent


def _only_asking(course: Course) -> Callable[[float], None]:
    """Lower levels take a third of the time in all, and are not counted."""
    return lambda _: course.wrote(0)


def _write_by_planes(
    source: PlaneSource,
    properties: StorageProperties,
    store: Store,
    sent: Sent | None,
    count: Callable[[float], None],
    known: Mapping[str, Any],
    *,
    describe: bool,
) -> Sequence[Channel] | None:
    """Write all planes of a source; returns its channels with their contrast."""
    description = source.describe()
    stream = open_stream(properties, description, store, in_turn=True)
    contrast = ContrastFinder(description)
    whole = False
    with ExitStack() as at_end:
        at_end.callback(lambda: stream.close() if whole else stream.abort())
        at_end.callback(source.stop)
        source.start()
        taken, room = 0, stream.plan.planes or 0
        at_once = max(1, APPEND_BYTES // stream.plan.bytes_per_plane)
        for planes in _read_all(source, room, lambda: count(0)):
            for start in range(0, len(planes), at_once):
                some = planes[start : start + at_once]
                stream.append(some)
                seen = some if sent is None else sent.see(some, taken)
                contrast.see(seen, taken)
                taken += len(some)
                count(len(some))
        channels = contrast.channels()
        if describe:
            record = {RecordKey.FRAMES_ACQUIRED: taken, **known}
            stream.annotate(channels=channels, record=record)
        whole = True
    return channels


def _read_all(
    source: PlaneSource, room: int, waiting: Callable[[], None]
) -> Iterator[Pixels]:
    """Read to the end, (n, height, width) at a time.

    What is not in memory is read while the planes before it are written; `waiting` is
    called every now and then where that takes long.
    """
    taken = 0
    with ThreadPoolExecutor(1, "read-ahead") as ahead:
        ask = _at_once if source.is_in_memory else ahead.submit
        asked = ask(source.read, READ_TIMEOUT_S)
        while taken < room:
            while not wait((asked,), READ_TIMEOUT_S).done:
                waiting()
            frame = asked.result()
            planes = _stacked(frame)
            taken += len(planes)
            if taken < room:
                asked = ask(source.read, READ_TIMEOUT_S)
            if len(planes):
                yield planes
            else:
                waiting()


def _stacked(frame: Frame | None) -> Pixels:
    if frame is None:
        return np.empty((0, 0, 0))
    return frame.pixels.reshape(-1, *frame.pixels.shape[-2:])


def _at_once(read: Callable[[float], Frame | None], timeout_s: float) -> Asked:
    """What a thread would do, done here."""
    done = Asked()
    done.set_result(read(timeout_s))
    return done
