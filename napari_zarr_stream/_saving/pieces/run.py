"""An export in pieces from first to last: documents, levels, and how far it is."""

import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from importlib.metadata import version
from typing import Any, Protocol

from napari_zarr_stream._saving.contrast import ContrastFinder
from napari_zarr_stream._saving.course import Course
from napari_zarr_stream._saving.image import LevelsOfStore, PlannedImage, nothing
from napari_zarr_stream._sources.open_stream import image_of, plan_of
from napari_zarr_stream._writer.dataset import Dataset
from napari_zarr_stream._writer.errors import InvalidProperties
from napari_zarr_stream._writer.local_store import LocalStore
from napari_zarr_stream._writer.memory import WORKERS, check_memory
from napari_zarr_stream._writer.record import FinishReason, RecordKey
from napari_zarr_stream._writer.store import PartOfStore

from .cut import PIECE_BYTES, READ_BYTES, Piece, pieces_of
from .here import computed_here
from .note import STOP_KEY, Note, notes_of
from .work import Levels, Work, do_piece, first_sum

PAUSE_S = 0.02
"""Between two looks at pieces that are being done."""

MOST_LOOKED_AT = 4
"""Pieces that are there whose pixels are compared with those of the source."""

Done = Callable[[Piece, Note], None]


class Doing(Protocol):
    """A piece that is being done by somebody."""

    def done(self) -> bool:
        """Whether it is, or has failed."""

    def result(self) -> Note:
        """What came of it."""


class Doers(Protocol):
    """Who does pieces of one image."""

    def submit(self, piece: Piece) -> Doing:
        """Have one done."""

    @property
    def at_once(self) -> int:
        """How many are to be submitted, so that nobody waits for more."""


Crew = Callable[[Work], AbstractContextManager[Doers]]
"""Makes who does the pieces of an image."""


def write_in_pieces(
    images: Mapping[str, PlannedImage],
    store: LocalStore,
    course: Course,
    verify: bool,
    crew: Crew,
) -> None:
    """Write images to their paths below the root of a store.

    What an earlier export has left there and is right is kept.

    Raises
    ------
    ZarrStreamError, Stopped
        The store is not to be published.
    """
    for path, planned in images.items():
        _Image(planned, store, path, verify).write(course, crew)


class _Image:
    def __init__(
        self, planned: PlannedImage, store: LocalStore, path: str, verify: bool
    ) -> None:
        self._planned = planned
        self._store = store
        self._source = source = planned.levels[0]
        self._description = source.describe()
        self._properties = replace(
            planned.properties, uri=store.root / path, overwrite=False
        )
        last = len(planned.levels) - 1
        levels = []
        for number, level in enumerate(planned.levels):
            makes = number == last and planned.properties.enable_multiscale
            here = replace(self._properties, enable_multiscale=makes)
            described = level.describe()
            image = image_of(here, described, plan_of(here, described))
            levels.append(Levels(number, here, image, level.boxes.over(computed_here)))
        self._work = Work(
            store.root,
            path,
            tuple(levels),
            self._description,
            verify,
            store.has_holes,
            version("napari-zarr-stream"),
        )

    def write(self, course: Course, crew: Crew) -> None:
        work, plan = self._work, self._planned.plan
        datasets = self._begun()
        contrast = ContrastFinder(self._description)
        of_plane = math.prod(plan.plane_shape(0))

        def done(piece: Piece, note: Note) -> None:
            if piece.level == 0:
                contrast.take(note.limits)
                course.wrote(piece.pixels / of_plane)
                course.verified(piece.pixels / of_plane if work.verify else 0)

        with crew(work) as doers:
            for pieces in self._pieces():
                self._check_source(pieces)
                _do_all(pieces, doers, done, course.go_on, self._stop)
        self._end(datasets, contrast)

    def _begun(self) -> list[Dataset]:
        """Documents, from which pieces are read back: of the whole, then of levels."""
        work, planned = self._work, self._planned
        whole = image_of(self._properties, self._description, planned.plan)
        root = PartOfStore(self._store, work.prefix, nothing)
        datasets = [Dataset(root, self._properties, whole)]
        datasets[0].create()
        steps = (planned.plan.planes or 0) // planned.plan.planes_per_step
        for each in work.levels:
            part = LevelsOfStore(self._store, work.prefix, each.first)
            dataset = Dataset(part, each.properties, each.image)
            dataset.create()
            dataset.commit(steps)
            datasets.append(dataset)
        return datasets

    def _pieces(self) -> Iterator[list[Piece]]:
        """Of one level after the other, each of which is made of the one before."""
        for each in self._work.levels:
            plan = each.image.plan
            for here in range(len(plan.level_shapes)):
                level = each.first + here
                yield list(pieces_of(self._work.path, level, plan, here))

    def _check_source(self, pieces: Sequence[Piece]) -> None:
        """Refuse to go on with what was made of other pixels; looks at some.

        Raises
        ------
        InvalidProperties
        """
        levels = [each for each in self._work.levels if each.first == pieces[0].level]
        noted = list(notes_of(self._work.root, pieces).items()) if levels else []
        if not self._source.is_in_memory:
            step = -(-len(noted) // MOST_LOOKED_AT)
            noted = [*noted[:: max(1, step)], *noted[-1:]]
        for piece, note in noted:
            if note.sums[:1] != [first_sum(self._work, piece)]:
                raise InvalidProperties(
                    f"the pixels of {self._description.name!r} are others than those "
                    f"of the interrupted export, whose folder is {self._work.root}: "
                    "delete that, or export without resuming"
                )

    def _stop(self) -> None:
        self._store.write(STOP_KEY, b"stop")

    def _end(self, datasets: Sequence[Dataset], contrast: ContrastFinder) -> None:
        planned, whole = self._planned, datasets[0]
        planes = planned.plan.planes or 0
        known: dict[str, Any] = {RecordKey.FRAMES_LOST: self._source.lost}
        if self._work.verify:
            known[RecordKey.VERIFIED] = "every plane of level 0, by checksum"
        acquired: dict[str, Any] = {RecordKey.FRAMES_ACQUIRED: planes}
        record: dict[str, Any] = {**acquired, **known}
        if len(planned.levels) > 1:  # in the order of `write_image`
            record = {**known, **acquired, RecordKey.LEVELS_KEPT: len(planned.levels)}
        whole.annotate(contrast.channels(), record)
        steps = planes // planned.plan.planes_per_step
        whole.end(steps, FinishReason.COMPLETED, planes)


def _do_all(
    pieces: Sequence[Piece],
    doers: Doers,
    done: Done,
    go_on: Callable[[], None],
    stop: Callable[[], None],
) -> None:
    """Have all pieces done, some at once; asks meanwhile whether to go on."""
    todo = iter(pieces)
    doing: dict[Doing, Piece] = {}
    try:
        while True:
            room = max(0, doers.at_once - len(doing))
            for piece in itertools.islice(todo, room):
                doing[doers.submit(piece)] = piece
            if not doing:
                return
            ended = [each for each in doing if each.done()]
            for each in ended:
                done(doing.pop(each), each.result())
            go_on()
            if not ended:
                time.sleep(PAUSE_S)
    except BaseException:
        stop()
        raise


@contextmanager
def threads_here(work: Work) -> Iterator[Doers]:
    """Threads of this program.

    Raises
    ------
    InvalidProperties
        There is too little memory for them.
    """
    check_memory(WORKERS * (2 * PIECE_BYTES + READ_BYTES))
    with ThreadPoolExecutor(WORKERS, "pieces") as pool:
        yield _Threads(pool, work)


class _Threads:
    at_once = 2 * WORKERS

    def __init__(self, pool: ThreadPoolExecutor, work: Work) -> None:
        self._pool = pool
        self._work = work

    def submit(self, piece: Piece) -> Future[Note]:
        return self._pool.submit(do_piece, self._work, piece)
