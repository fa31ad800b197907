"""One image whose planes are larger than memory: it comes by rows, levels pass by."""

import contextlib
import threading
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from .dataset import Dataset
from .downsample import TileHalver, check_label, halve
from .errors import FrameMismatch, IllegalTransition, InvalidProperties
from .grid import Grid
from .left_open import is_closed, is_open
from .memory import ENCODER_BYTES, WORKERS, Memory, check_memory, check_open_files
from .ngff_image import Image
from .plan import Plan
from .properties import Channel, StorageProperties
from .record import FinishReason
from .slot_queue import SlotQueue, Work
from .store import Store
from .tally import TileRowTally
from .tile_row import Rows, TileRow
from .workers import pool

IN_FLIGHT = 1
"""Rows of tiles that are written, by all workers, while one of each level is filled."""


def goes_by_rows(grid: Grid) -> bool:
    """Whether a grid can be written by rows: chunks that nothing but x and y shares.

    Where frames are encoded together, or z is halved, a row waits for other planes.
    """
    return grid.block == (1, 1, 1) and not grid.z_is_halved


def rows_memory(plan: Plan) -> Memory:
    """What a `TileRowStream` takes: rows of tiles, of each level one that is filled."""
    levels = range(len(plan.level_shapes))
    _, tile_height, tile_width = plan.tile_shape
    tile_bytes = tile_height * tile_width * plan.dtype.itemsize
    of_levels = [tile_bytes * plan.tile_grid(level)[1] for level in levels]
    # What is halved of a row of tiles at the most: half of its rows, half as wide.
    halves = of_levels[0] // 4 if len(of_levels) > 1 else 0
    encoders = (WORKERS + 1) * min(ENCODER_BYTES, 32 * tile_bytes)
    peak = IN_FLIGHT * of_levels[0] + sum(of_levels) + halves + encoders
    return Memory(
        blocks_per_slot=1,
        slots=len(of_levels) + IN_FLIGHT,
        slots_at_start=0,
        peak_bytes=peak + plan.index_bytes,
        buffer_planes=0,
        buffer_bytes=0,
    )


class TileRowStream:
    """An OME-Zarr image that takes rows of pixels as they come.

    What it writes is what a `ZarrStream` would, byte for byte if `in_turn`; memory
    holds some rows of tiles, whatever the height of a plane.

    Parameters
    ----------
    properties : StorageProperties
    image : Image
        With an end, and a plan that `goes_by_rows`.
    store : Store

    Raises
    ------
    InvalidProperties, StoreExists, WriteFailed
        Before anything was put in place.
    """

    def __init__(
        self, properties: StorageProperties, image: Image, store: Store
    ) -> None:
        self.properties = properties
        self.plan = plan = image.plan
        self._room = plan.planes or 0
        self._heights = [plan.plane_shape(i)[0] for i in range(len(plan.level_shapes))]
        self._lock = threading.Lock()
        # All that follows is guarded by _lock.
        self._is_closed = False
        self._plane = 0
        self._rows = [0] * len(self._heights)  # taken of the plane, by level
        self._filling: list[Work[TileRow]] = []  # by level
        self._waiting: dict[int, Rows] = {}  # by level: the first row of a pair
        with contextlib.ExitStack() as undo:
            undo.callback(store.discard)
            memory = self._check(image)
            self._halver = TileHalver(plan.dtype) if plan.halves_in_tiles else None
            # One row is on its way: none that comes early waits for another.
            self._dataset = Dataset(store, properties, image, in_turn=True)
            tally = TileRowTally(plan, store.has_holes)
            self._queue = SlotQueue(
                memory, tally, self._new_row, self._dataset.commit, pool()
            )
            undo.callback(self._queue.stop)
            self._dataset.create()
            self._queue.start(_nothing)
            self._dataset.publish()
            undo.pop_all()
        is_open(self)

    def _check(self, image: Image) -> Memory:
        check_label(image.is_label, self.properties)
        if not goes_by_rows(self.plan) or self.plan.planes is None:
            raise InvalidProperties(
                "an image comes by rows of tiles only where it has an end, each chunk "
                "holds one plane, and z is not halved: set tile_planes and "
                "frames_per_chunk to 1"
            )
        memory = rows_memory(self.plan)
        check_memory(memory.peak_bytes)
        check_open_files([self.plan])
        return memory

    def _new_row(self, level: Hashable) -> TileRow:
        assert isinstance(level, int)
        return TileRow(self.plan, self._dataset.levels[level])

    def append(self, rows: Rows) -> None:
        """Take rows of the plane that is being written; returns when they are copied.

        Parameters
        ----------
        rows : array, (n, width)
            From the top of each plane to its end, planes in C order. None may belong
            to the next plane.

        Raises
        ------
        FrameMismatch
            Another shape or dtype, or more rows than there is room for. Nothing was
            taken.
        IllegalTransition
            After `close`.
        WriteFailed
            The stream has failed, now or before.
        """
        with self._lock:
            self._check_open("append")
            shape, dtype = self.plan.plane_shape(0), self.plan.dtype
            if rows.ndim != 2 or rows.shape[1] != shape[1] or rows.dtype != dtype:
                raise FrameMismatch(
                    f"got rows of shape {rows.shape} and type {rows.dtype}, but the "
                    f"stream takes rows of {shape[1]} pixels of type {dtype.name}"
                )
            there = shape[0] - self._rows[0] if self._plane < self._room else 0
            if len(rows) > there:
                raise FrameMismatch(
                    f"{len(rows)} more rows do not fit: {there} are left of plane "
                    f"{self._plane} of {self._room}"
                )
            if not len(rows):
                return
            if not self._filling:
                # All, so that those of the first level never take the others' place.
                self._filling = [self._next(i, 0) for i in range(len(self._heights))]
            self._take(0, rows)
            if self._rows[0] == self._heights[0]:
                self._filling = []
                self._rows = [0] * len(self._heights)
                self._plane += 1

    def _next(self, level: int, row: int) -> Work[TileRow]:
        work = self._queue.next_slot(self._plane, level)
        work.slot.be(row)
        return work

    def _take(self, level: int, rows: Rows) -> None:
        """Lay rows of a level, and make those of the next one of them."""
        tile_height = self.plan.tile_shape[1]
        while len(rows):
            work = self._filling[level]
            some, rows = rows[: work.slot.room], rows[work.slot.room :]
            work.slot.lay(some)
            self._rows[level] += len(some)
            if level + 1 < len(self._heights):
                self._halve(level, some)
            if not work.slot.room:
                self._queue.seal(work, may_help=False)
                if not work.slot.is_last:
                    row = self._rows[level] // tile_height
                    self._filling[level] = self._next(level, row)

    def _halve(self, level: int, rows: Rows) -> None:
        """Make rows of the next level; one without neighbour waits for it."""
        if (first := self._waiting.pop(level, None)) is not None:
            self._halve_strip(level, np.concatenate((first, rows[:1])))
            rows = rows[1:]
        ends = self._rows[level] == self._heights[level]
        if len(rows) % 2 and not ends:
            self._waiting[level] = rows[-1:].copy()
            rows = rows[:-1]
        if len(rows):
            self._halve_strip(level, rows)

    def _halve_strip(self, level: int, rows: Rows) -> None:
        """Rows that make whole blocks, or end the plane."""
        width = self.plan.plane_shape(level + 1)[1]
        half = np.empty((-(-len(rows) // 2), width), rows.dtype)
        if self._halver is None:
            halve([rows], half, self.properties.method)
        else:
            # As one tile. What is shown of a file cannot be written to, and compiled
            # code is made for what can.
            rows = np.require(rows, requirements=("C", "W"))
            one = (np.newaxis,) * 4
            self._halver(rows[one], half[one], 0, 0, rows.shape)
        self._take(level + 1, half)

    def _check_open(self, call: str) -> None:
        if self._is_closed:
            raise IllegalTransition(f"{call} after close: the stream takes no more")
        self._queue.raise_error()

    def annotate(
        self,
        *,
        channels: Sequence[Channel] | None = None,
        record: Mapping[str, Any] | None = None,
    ) -> None:
        """See `ZarrStream.annotate`."""
        with self._lock:
            self._check_open("annotate")
            self._dataset.annotate(channels, record or {})

    def close(self) -> None:
        """Write all that was taken and end; may be called again.

        A plane that was begun and not ended is not committed.

        Raises
        ------
        WriteFailed
            Something could not be written, now or before, and once only.
        """
        self._end(abort=False)

    def abort(self) -> None:
        """Throw away what is queued and end.

        Raises
        ------
        WriteFailed
            As `close`.
        """
        self._end(abort=True)

    def _end(self, *, abort: bool) -> None:
        with self._lock:
            if self._is_closed:
                return
            try:
                if not abort:
                    self._queue.wait_until_written()
            finally:
                self._is_closed = True
                self._filling = []
                is_closed(self)
                self._queue.stop()
                with self._queue.keeping_failure():
                    self._dataset.finish_levels()
                    self._queue.commit_written()
                with self._queue.keeping_failure():
                    self._finish(abort)
            self._queue.raise_error()

    def _finish(self, abort: bool) -> None:
        progress = self._queue.progress()
        reason = FinishReason.ABORTED if abort else FinishReason.COMPLETED
        if not abort and self._plane < self._room:
            reason = FinishReason.STOPPED
        if progress.error:
            reason = FinishReason.FAILED
        planes = progress.committed * self.plan.planes_per_step
        self._dataset.end(progress.committed, reason, planes)


def _nothing() -> None:
    """No row of tiles waits for time to pass."""
