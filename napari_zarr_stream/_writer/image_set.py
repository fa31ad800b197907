"""One store of many images, planes at any place of any of them: `ImageSet`."""

import contextlib
import threading
import time
from collections.abc import Hashable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from .axes import check_scale, check_translation, check_units
from .dataset import Dataset
from .downsample import TileHalver
from .errors import FrameMismatch, IllegalTransition, InvalidProperties
from .frame_log import FrameLog
from .intake import SEAL_AFTER_S
from .left_open import is_closed, is_open
from .local_store import LocalStore
from .memory import check_memory
from .ngff import Image, check_channels, serializer_of
from .ome_xml import OME_XML, ome_xml
from .plan import plan
from .plane_rows import columns_like, columns_of
from .plate import Plate
from .properties import Channel, StorageProperties
from .record import FinishReason, RecordKey, check_record, now, of_set
from .set_images import (
    ImageDescription,
    SetImage,
    check_paths,
    one_plane_a_chunk,
)
from .slot import Slot
from .slot_queue import SlotQueue, Work
from .store import PartOfStore
from .stream_status import StreamStatus
from .tally import PlacesTally
from .workers import pool

MAX_OPEN_FILES = 64
"""Of all images: see `array.MAX_OPEN_FILES`. Of more each is opened for each write."""


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
    ) -> None:
        self.properties = properties = one_plane_a_chunk(properties)
        check_paths(images, plate)
        self.plans = tuple(
            plan(properties, axes=image.axes, shape=image.shape, dtype=image.dtype)
            for image in images
        )
        memory = max((p.memory for p in self.plans), key=lambda m: m.peak_bytes)
        check_memory(memory.peak_bytes)
        self._described, self._plate = tuple(images), plate
        self._record = of_set(check_record(record or {}), len(images))
        self._lock = threading.Lock()
        # What follows is guarded by _lock.
        self._filling: Work | None = None
        self._columns: dict[str, type] | None = None  # as the first plane has them
        self._planes_put = self._bytes_put = 0
        self._is_closed = False
        # And these are of who commits.
        self._untold: dict[int, int] = {}  # steps, by image
        self._tally = PlacesTally()
        self._store = LocalStore(properties.path, properties.overwrite)
        with contextlib.ExitStack() as undo:
            undo.callback(self._store.discard)
            if properties.sharded and not self._store.has_holes:
                raise InvalidProperties(
                    f"the disk of {properties.path} has no holes (FAT, exFAT): planes "
                    "in shards could not be read before their shard is full. Turn "
                    "sharding off, or choose another disk"
                )
            self._serializer = serializer_of(properties.kind.zarr_format)
            self._frame_log = FrameLog(self._store, self._serializer)
            self._images = self._make_images()
            self._queue = SlotQueue(
                memory, self._tally, self._new_slot, self._commit, pool()
            )
            undo.callback(self._queue.stop)
            self._write_root(all_groups=True)
            self._queue.start(self._seal_old)
            self._store.publish()
            undo.pop_all()
        is_open(self)

    def _make_images(self) -> list[SetImage]:
        files = sum(
            p.files_at_once(level)
            for p in self.plans
            for level in range(len(p.level_shapes))
        )
        made = []
        for number, (image, p) in enumerate(
            zip(self._described, self.plans, strict=True)
        ):
            part = PartOfStore(
                self._store,
                f"{image.path}/",
                _nothing,
                keeps_open=files <= MAX_OPEN_FILES,
                is_in_view=True,  # a step has planes that come, and others that will
            )
            root = "/".join([".."] * len(image.path.split("/")))
            description = Image(
                plan=p,
                name=image.name,
                method=self.properties.method,
                scale=check_scale(image.scale, image.axes),
                translation=check_translation(image.translation, image.axes),
                units=check_units(image.units, image.axes),
                channels=check_channels(image.channels, p),
                record=check_record(image.record)
                | {RecordKey.PART_OF: {"root": root, "image": number}},
            )
            dataset = Dataset(part, self.properties, description)
            dataset.create()
            made.append(SetImage(number, p, dataset))
        return made

    def _new_slot(self, kind: Hashable) -> Slot:
        image = next(image for image in self._images if image.kind == kind)
        halver = TileHalver(image.plan.dtype) if image.plan.halves_in_tiles else None
        return Slot(image.plan, image.dataset.levels, self.properties.method, halver)

    def _write_root(self, *, all_groups: bool) -> None:
        paths = [image.path for image in self._described]
        documents = (
            self._serializer.plate(self._plate, paths, self._record)
            if self._plate
            else self._serializer.series(paths, self._record)
        )
        for key, document in documents.items():
            if all_groups or "/" not in key:
                self._store.write_json(key, document)
        if not self._plate:
            named = zip(self._described, self._images, strict=True)
            images = [(told.name, image.plan, image.steps) for told, image in named]
            self._store.write(OME_XML, ome_xml(images))

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
            What is known of it, for the frame log: the same names for every plane.

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
            self._check_open("put")
            to = self._image(image)
            number = to.place_of(place)
            to.check_fits(plane)
            columns = columns_like(known or {}, self._columns)
            work = self._slot_for(to, number)
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
                self._seal()

    def _image(self, number: int) -> SetImage:
        if not 0 <= number < len(self._images):
            raise FrameMismatch(f"there is no image {number} of {len(self._images)}")
        return self._images[number]

    def _slot_for(self, to: SetImage, number: int) -> Work:
        """The slot in which the plane is the next. Caller must hold `_lock`."""
        work = self._filling
        if work and (work.slot.image != to.number or work.slot.end != number):
            self._seal()
        if self._filling is None:
            self._filling = work = self._queue.next_slot(number, to.kind)
            work.slot.lend(to.number, to.plan, to.dataset.levels)
            work.filled_at = time.perf_counter()
        return self._filling

    def _seal(self) -> None:
        work, self._filling = self._filling, None
        if work is not None and work.slot.planes:
            self._queue.seal(work, may_help=False)
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
            self._seal()
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
                    self._seal()
                    self._queue.wait_until_written()
            finally:
                # Also when somebody grows impatient and interrupts.
                self._is_closed = True
                is_closed(self)
                self._queue.stop()
                self._finish(reason, more)
            self._queue.raise_error()

    # --------------------------------------------------------------------- commits

    def _commit(self, _: int) -> None:
        """Tell readers of all that is written, and of what is known of planes."""
        steps, rows = self._queue.ask(self._tally.take)
        for number, top in steps.items():
            self._untold[number] = max(top, self._untold.get(number, 0))
        if rows:
            self._frame_log.add(columns_of(rows, self._columns or {}))
        if self._plate and self._untold:
            # Fields are shown side by side: readers want them of one shape.
            told = [image.steps for image in self._images]
            top = max(*told, *self._untold.values())
            behind = {n for n, steps in enumerate(told) if steps < top}
            self._untold = dict.fromkeys(behind | self._untold.keys(), top)
        for number, top in list(self._untold.items()):
            image = self._images[number]
            image.dataset.commit(top)
            image.steps = max(image.steps, top)
            del self._untold[number]
        self._frame_log.write()

    def _finish(self, reason: FinishReason, record: Mapping[str, Any]) -> None:
        """Close files and bring documents up to what can be read."""
        for image in self._images:
            with self._queue.keeping_failure():
                image.dataset.finish_levels()
        with self._queue.keeping_failure():
            self._queue.commit_written()
        status = self.status()
        if status.error:
            reason = FinishReason.FAILED
        for image in self._images:
            with self._queue.keeping_failure():
                image.dataset.end(image.steps, reason, image.planes)
        self._record = (
            dict(self._record)
            | dict(record)
            | {
                RecordKey.END_TIME: now(),
                RecordKey.FINISH_REASON: str(reason),
                RecordKey.FRAMES_COMMITTED: status.frames_committed,
            }
        )
        with self._queue.keeping_failure():
            try:
                self._write_root(all_groups=False)
            finally:
                self._store.close()

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


def _nothing() -> None:
    """An image of a set has nothing of its own to let go of."""
