"""One store of many images, planes at any place of any of them: `ImageSet`."""

import contextlib
import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from .downsample import TileHalver
from .errors import FrameMismatch, IllegalTransition, InvalidProperties
from .intake import SEAL_AFTER_S, Pace
from .left_open import is_closed, is_open
from .local_store import LocalStore
from .memory import check_memory
from .plan import plan
from .plane_rows import columns_like
from .plate import Plate
from .properties import Channel, StorageProperties
from .record import FinishReason, RecordKey, check_record
from .set_images import (
    ImageDescription,
    SetImage,
    check_paths,
    one_plane_a_chunk,
)
from .set_on_disk import SetOnDisk
from .slot import Slot
from .slot_queue import SlotQueue, Work
from .store import Store
from .stream_status import StreamStatus
from .tally import PlacesTally
from .workers import pool


class ImageSet:
    """A store of many images that takes planes at any place, in any order.

    Planes may never come: what was not put reads as zeros, and the frame log of the
    store tells which planes there are. One queue and one pool of workers serve all
    images. Every chunk is one tile of one plane; a stack along z is one shard.

    Parameters
    ----------
    properties : StorageProperties
        `tile_planes`, `frames_per_chunk` and `shard_axis` are chosen here.
    images : sequence of ImageDescription
    plate : Plate, optional
        Images are fields of its wells. Otherwise they are a series: the layout of
        bioformats2raw, as OME-NGFF describes it.
    record : mapping, optional
        What else to keep about how all were made, as JSON values.
    followed : callable, optional
        Given the store, what is to be written to in its place.

    Raises
    ------
    InvalidProperties, StoreExists, WriteFailed
        Before anything was put in place.
    """

    def __init__(
        self,
        properties: StorageProperties,
        images: Sequence[ImageDescription],
        *,
        plate: Plate | None = None,
        record: Mapping[str, Any] | None = None,
        followed: Callable[[Store], Store] | None = None,
    ) -> None:
        self.properties = properties = one_plane_a_chunk(properties)
        check_paths(images, plate)
        self.plans = tuple(
            plan(properties, axes=image.axes, shape=image.shape, dtype=image.dtype)
            for image in images
        )
        memory = max((p.memory for p in self.plans), key=lambda m: m.peak_bytes)
        check_memory(memory.peak_bytes)
        self._lock = threading.Lock()
        # What follows is guarded by _lock.
        self._filling: Work[Slot] | None = None
        self._columns: dict[str, type] | None = None  # as the first plane has them
        self._planes_put = self._bytes_put = 0
        self._pace = Pace()
        self._is_closed = False
        self._tally = PlacesTally()
        store = LocalStore(properties.path, properties.overwrite)
        with contextlib.ExitStack() as undo:
            undo.callback(store.discard)
            if properties.sharded and not store.has_holes:
                raise InvalidProperties(
                    f"the disk of {properties.path} has no holes (FAT, exFAT): planes "
                    "in shards could not be read before their shard is full. Turn "
                    "sharding off, or choose another disk"
                )
            self._on_disk = SetOnDisk(
                store,
                followed(store) if followed else store,
                properties,
                images,
                self.plans,
                plate,
                record or {},
            )
            self._images = self._on_disk.images
            self._queue = SlotQueue(
                memory, self._tally, self._new_slot, self._commit, pool()
            )
            undo.callback(self._queue.stop)
            self._queue.start(self._seal_old)
            store.publish()
            undo.pop_all()
        is_open(self)

    def _new_slot(self, kind: Hashable) -> Slot:
        image = next(image for image in self._images if image.kind == kind)
        halver = TileHalver(image.plan.dtype) if image.plan.halves_in_tiles else None
        return Slot(image.plan, image.dataset.levels, self.properties.method, halver)

    # ------------------------------------------------------------ the caller's side

    def put(
        self,
        image: int,
        place: Sequence[int],
        plane: npt.NDArray[np.generic],
        known: Mapping[str, float] | None = None,
    ) -> None:
        """Take one plane; returns when its pixels are copied.

        Parameters
        ----------
        image : int
            Its number.
        place : sequence of int
            Along the axes of that image before y and x.
        plane : array, (height, width)
        known : mapping of str to number, optional
            What is known of it, for the frame log: the same names for every plane. NaN
            where it is not. `time_ns`, `runner_time_ms`, `exposure_ms`, `x_um`, `y_um`
            and `z_um` are told in OME-XML as well: `ome_xml.PLANE_COLUMNS`.

        Raises
        ------
        FrameMismatch
            No such place, a plane is there already, another shape or dtype, or other
            names. Nothing was taken.
        IllegalTransition
            After `close`.
        WriteFailed
            The set has failed, now or before.
        """
        with self._lock:
            hurry = self._pace.is_hurry
            self._check_open("put")
            to = self._image(image)
            number = to.place_of(place)
            to.check_fits(plane)
            columns = columns_like(known or {}, self._columns)
            work = self._slot_for(to, number, hurry)
            work.slot.put(plane[np.newaxis])
            where = dict(zip(to.plan.axes[:-2], place, strict=True))
            row = {"image": image} | {axis: where.get(axis, 0) for axis in "tcz"}
            work.slot.rows.append(row | dict(known or {}))
            self._columns = columns
            to.take(number)
            self._planes_put += 1
            self._bytes_put += to.plan.bytes_per_plane
            if work.slot.halves_early:
                self._queue.halve_early(work, range(number, number + 1))
            if work.slot.is_full:
                self._seal(may_help=hurry)
            self._pace.returned()

    def _image(self, number: int) -> SetImage:
        if not 0 <= number < len(self._images):
            raise FrameMismatch(f"there is no image {number} of {len(self._images)}")
        return self._images[number]

    def _slot_for(self, to: SetImage, number: int, hurry: bool) -> Work[Slot]:
        """The slot in which the plane is the next. Caller must hold `_lock`."""
        work = self._filling
        if work and (work.slot.image != to.number or work.slot.end != number):
            self._seal(may_help=hurry)
        if self._filling is None:
            self._filling = work = self._queue.next_slot(number, to.kind)
            work.slot.lend(to.number, to.plan, to.dataset.levels)
            work.filled_at = time.perf_counter()
        return self._filling

    def _seal(self, *, may_help: bool = False) -> None:
        work, self._filling = self._filling, None
        if work is not None and work.slot.planes:
            self._queue.seal(work, may_help=may_help)
        elif work is not None:
            self._queue.give_back(work)

    def _seal_old(self) -> None:
        """Write what nobody adds to any more; for a worker."""
        if self._lock.acquire(blocking=False):
            try:
                work = self._filling
                if work and time.perf_counter() - work.filled_at > SEAL_AFTER_S:
                    self._seal()
            finally:
                self._lock.release()

    def _check_open(self, call: str) -> None:
        if self._is_closed:
            raise IllegalTransition(f"{call} after close: the set takes no more")
        self._queue.raise_error()

    def status(self) -> StreamStatus:
        """A snapshot, in which frames are planes; from any thread at any time."""
        progress = self._queue.progress()
        put = self._planes_put
        memory = max((p.memory for p in self.plans), key=lambda m: m.peak_bytes)
        room = memory.slots * memory.blocks_per_slot
        return StreamStatus(
            frames_appended=put,
            frames_committed=progress.committed,
            bytes_appended=self._bytes_put,
            bytes_written=progress.bytes_written,
            queue_fill=min(1.0, max(0, put - progress.planes_written) / room),
            closed=self._is_closed,
            error=progress.error,
        )

    def annotate(
        self,
        image: int,
        channels: Sequence[Channel] | None = None,
        interval_s: float | None = None,
    ) -> None:
        """Change how channels of an image are shown, and how far its steps are apart.

        Raises
        ------
        InvalidProperties
            Another number of channels than there are, or no time axis.
        FrameMismatch, IllegalTransition, WriteFailed
            As `put`.
        """
        with self._lock:
            self._check_open("annotate")
            self._image(image).dataset.annotate(channels, {}, interval_s)

    def flush(self) -> None:
        """Return when all that was put can be read by another program.

        Raises
        ------
        IllegalTransition
            After `close`.
        WriteFailed
            The set has failed, now or before.
        """
        with self._lock:
            self._check_open("flush")
            self._seal(may_help=True)
            self._queue.wait_until_written()
            with self._queue.keeping_failure():
                self._queue.commit_written()
            self._queue.raise_error()

    def close(
        self,
        reason: FinishReason = FinishReason.COMPLETED,
        record: Mapping[str, Any] | None = None,
    ) -> None:
        """Write all that was put and end; may be called again.

        Parameters
        ----------
        reason : FinishReason
            Why it ends, for the record; a failure wins.
        record : mapping, optional
            What else to keep, as JSON values.

        Raises
        ------
        WriteFailed
            Something could not be written, now or before. What was committed is there
            and can be opened. Not raised a second time.
        """
        more = check_record(record or {})
        with self._lock:
            if self._is_closed:
                return
            try:
                with self._queue.keeping_failure():
                    self._seal(may_help=True)
                    self._queue.wait_until_written()
            finally:
                # Also when somebody grows impatient and interrupts.
                self._is_closed = True
                is_closed(self)
                self._queue.stop()
                self._finish(reason, more)
            self._queue.raise_error()

    def _commit(self, _: int) -> None:
        """Tell readers of all that is written, and of what is known of planes."""
        self._on_disk.commit(*self._queue.ask(self._tally.take), self._columns or {})

    def _finish(self, reason: FinishReason, record: Mapping[str, Any]) -> None:
        """Close files and bring documents up to what can be read."""
        with self._queue.keeping_failure():
            self._on_disk.finish_levels()
        with self._queue.keeping_failure():
            self._queue.commit_written()
        with self._queue.keeping_failure():
            self._on_disk.show_all()
        status = self.status()
        if status.error:
            reason = FinishReason.FAILED
        with self._queue.keeping_failure():
            self._on_disk.end(reason, record, status.frames_committed)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:  # what was put is kept, and not called complete
            self.close(FinishReason.FAILED, {RecordKey.ERROR: repr(error)})
