"""One image being written, its planes in C order: `ZarrStream`."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

from .axes import check_scale, check_translation, check_units
from .cascade import Cascade
from .dataset import Dataset
from .downsample import TileHalver, check_label
from .errors import DocumentInUse, IllegalTransition, WriteFailed
from .intake import Intake, Place
from .left_open import is_closed, is_open
from .local_store import LocalStore
from .memory import check_memory, check_open_files
from .names import image_name
from .ngff_image import Image, check_channels
from .plan import plan
from .properties import Channel, StorageProperties
from .record import FinishReason, RecordKey, check_record
from .slot import Slot
from .slot_queue import SlotQueue
from .store import Store, lies_in_image
from .stream_status import StreamStatus
from .tally import RowTally
from .workers import pool

T = TypeVar("T")


class ZarrStream:
    """An OME-Zarr dataset that takes planes as they come.

    Parameters
    ----------
    properties : StorageProperties
    axes : str
        Some of "tczyx", in this order, ending in "yx".
    shape : sequence of int or None
        One size per axis; None for a first axis without bound.
    dtype : dtype-like
        bool, integers, float32, float64; stored little-endian.
    scale, translation : sequence or mapping by axis, optional
        Size of a pixel and position of the first, in `units`.
    units : sequence or mapping by axis, optional
        For example "micrometer" or "um", "second" or "s".
    channels : sequence of Channel, optional
    name : str, optional
        Of the image; the folder's name without its endings if not given.
    is_label : bool
        Pixels are names of objects; needs a downsampling method that makes none up.
    record : mapping, optional
        What else to keep about how the data was made, as JSON values.
    store : Store, optional
        Where to write instead of a folder of its own at the path of `properties`.
    planes_per_frame : int
        Planes that `status` counts as one frame: the channels of a colour camera.
    planes_per_second : float
        How fast they will come at most, for the `buffer_s` of `properties`.
    in_turn : bool
        The same planes make the same files, byte for byte; a chunk that is encoded
        before its turn waits, and nothing can be told of files that are half written.

    Raises
    ------
    InvalidProperties, StoreExists, WriteFailed
        Before anything was put in place.
    """

    def __init__(
        self,
        properties: StorageProperties,
        *,
        axes: str,
        shape: Sequence[int | None],
        dtype: npt.DTypeLike,
        scale: Mapping[str, float] | Sequence[float] | None = None,
        translation: Mapping[str, float] | Sequence[float] | None = None,
        units: Mapping[str, str | None] | Sequence[str | None] | None = None,
        channels: Sequence[Channel] | None = None,
        name: str | None = None,
        is_label: bool = False,
        record: Mapping[str, Any] | None = None,
        store: Store | None = None,
        planes_per_frame: int = 1,
        planes_per_second: float = 0.0,
        in_turn: bool = False,
    ) -> None:
        self.properties = properties
        self.planes_per_frame = planes_per_frame
        check_label(is_label, properties)
        self.plan = plan(
            properties,
            axes=axes,
            shape=shape,
            dtype=dtype,
            scale=scale,
            units=units,
            planes_per_second=planes_per_second,
        )
        image = Image(
            plan=self.plan,
            name=name or image_name(properties.path) or "image",
            method=properties.method,
            scale=check_scale(scale, axes),
            translation=check_translation(translation, axes),
            units=check_units(units, axes),
            channels=check_channels(channels, self.plan),
            is_label=is_label,
            inside_image=lies_in_image(properties.path),
            record=check_record(record or {}),
        )
        halver = TileHalver(self.plan.dtype) if self.plan.halves_in_tiles else None
        check_memory(self.plan.peak_memory_bytes)
        check_open_files([self.plan])
        place = store or LocalStore(properties.path, properties.overwrite)
        # A failure of the stream, though pixels can still be written.
        self._undescribed: WriteFailed | None = None
        self._cascade: Cascade | None = None
        with contextlib.ExitStack() as undo:
            undo.callback(place.discard)
            self._dataset = Dataset(place, properties, image, in_turn=in_turn)
            levels = self._dataset.levels
            if self.plan.cascades:
                self._cascade = Cascade(self.plan, levels, properties.method)
            shared = levels, properties.method, halver, self._cascade
            new_slot = partial(Slot, self.plan, *shared)
            tally, memory = RowTally(self.plan, place.has_holes), self.plan.memory
            self._queue = SlotQueue(
                memory,
                tally,
                lambda _: new_slot(),
                self._commit,
                pool(),
                in_turn=in_turn,
            )
            self._intake = Intake(self.plan, self._queue)
            undo.callback(self._queue.stop)
            self._queue.make_slots()
            self._dataset.create()
            self._queue.start(self._intake.seal_old)
            # Last: what fails before leaves nothing behind, and replaces nothing.
            self._dataset.publish()
            undo.pop_all()
        is_open(self)

    def append(self, frames: npt.ArrayLike) -> None:
        """Take planes; returns when their pixels are copied.

        Parameters
        ----------
        frames : array, (height, width) or any number of planes stacked before that
            In C order. A dask array or other lazy array is computed plane by plane.

        Raises
        ------
        FrameMismatch
            Another shape or dtype, or more planes than there is room for. Nothing was
            taken (of an array that is computed: none of what it did not announce).
        IllegalTransition
            After `close`.
        WriteFailed
            The stream has failed, now or before.
        """
        self._intake.append(frames)

    def fill(
        self,
        read: Callable[[Place], T | None],
        look: Callable[[npt.NDArray[np.generic]], object] | None = None,
    ) -> T | None:
        """Have the next frame read straight into its place: its pixels are copied once.

        Other calls, `close` among them, do not wait for `read`, only for its laying.

        A frame is a step along the first axis, as a camera gives it: (height, width)
        for "tyx", (channels, height, width) for "tcyx".

        Parameters
        ----------
        read : callable
            Called when there is room for a frame. It may wait for the camera, does
            `place[...] = frame` once, and returns something; or None where no frame
            came. What it has laid when it returns None or raises is not taken.
        look : callable, optional
            Is given what is laid, (n, height, width), to look at while it is valid.

        Returns
        -------
        What `read` returned.

        Raises
        ------
        FrameMismatch
            Another shape or dtype, no room, or `read` laid none. Nothing was taken.
        IllegalTransition, WriteFailed
            As `append`.
        """
        return self._intake.fill(read, look)

    def _commit(self, steps: int) -> None:
        """Tell readers of `steps` steps, and of what is known of frames."""
        self._dataset.commit(steps)
        try:
            self._dataset.frame_log.write()
        except DocumentInUse:
            raise
        except WriteFailed as failure:
            self._undescribed = self._undescribed or failure

    def status(self) -> StreamStatus:
        """A snapshot; may be called from any thread at any time."""
        progress = self._queue.progress()
        # Read after the progress, of which it is never behind.
        appended = self._intake.planes_appended
        memory = self.plan.memory
        room = memory.slots * memory.blocks_per_slot * self.plan.planes_per_block
        committed = progress.committed * self.plan.planes_per_step
        return StreamStatus(
            frames_appended=appended // self.planes_per_frame,
            frames_committed=min(committed, appended) // self.planes_per_frame,
            bytes_appended=appended * self.plan.bytes_per_plane,
            bytes_written=progress.bytes_written,
            queue_fill=min(1.0, max(0, appended - progress.planes_written) / room),
            closed=self._intake.is_closed,
            error=progress.error or self._undescribed,
        )

    def annotate(
        self,
        *,
        channels: Sequence[Channel] | None = None,
        record: Mapping[str, Any] | None = None,
        interval_s: float | None = None,
    ) -> None:
        """Change how channels are shown, and add to our own record.

        Parameters
        ----------
        channels : sequence of Channel, optional
        record : mapping, optional
            JSON values.
        interval_s : float, optional
            Seconds from one step along t to the next, as they were measured.

        Raises
        ------
        InvalidProperties
            Another number of channels than the array has, or no axis t.
        IllegalTransition
            After `close`.
        WriteFailed
        """
        with self._intake.lock:
            if self._intake.is_closed:
                raise IllegalTransition("annotate after close")
            try:
                self._dataset.annotate(channels, record or {}, interval_s)
            except WriteFailed as failure:
                self._undescribed = self._undescribed or failure
                raise

    def log_frames(
        self,
        columns: Mapping[str, npt.NDArray[np.generic]],
        record: Mapping[str, Any] | None = None,
    ) -> None:
        """Keep further values of each frame, ids and times, as 1-D arrays.

        A worker writes them soon: nobody waits here.

        Parameters
        ----------
        columns : mapping of str to array, (n,)
            Bool, integers, floats. Each column grows by what it is given.
        record : mapping, optional
            As for `annotate`.

        Raises
        ------
        InvalidProperties
            Values that cannot be stored, or of another type than those before.
        IllegalTransition
            After `close`.
        """
        with self._intake.lock:
            if self._intake.is_closed:
                raise IllegalTransition("log_frames after close")
            self._dataset.frame_log.add(columns)
            if record:
                self._dataset.note(record)
        if columns or record:
            self._queue.want_commit()

    def flush(self) -> None:
        """Return when what was appended can be read by another program.

        That is every whole step along the first axis. Frames that are encoded together
        with frames to come wait for those: small tiles in chunks, several frames a
        chunk in shards, volumes halved along z.

        Raises
        ------
        IllegalTransition
            After `close`.
        WriteFailed
            The stream has failed, now or before.
        """
        with self._intake.lock:
            self._intake.check_open("flush")
            self._intake.hand_over()
            self._queue.wait_until_written()
            with self._queue.keeping_failure():
                self._dataset.flush()
                self._queue.commit_written()
            self._queue.raise_error()

    def close(self) -> None:
        """Write all that was appended and end; may be called again.

        Raises
        ------
        WriteFailed
            Something could not be written, now or before, and once only. What was
            committed is there and can be opened.
        """
        self._end(abort=False)

    def abort(self) -> None:
        """Throw away what is queued and end; what is written stays and can be opened.

        Raises
        ------
        WriteFailed
            As `close`.
        """
        self._end(abort=True)

    def _end(self, *, abort: bool) -> None:
        with self._intake.lock:
            if self._intake.is_closed:
                return
            try:
                if not abort:
                    with self._queue.keeping_failure():
                        self._intake.complete()
                        self._queue.wait_until_written()
            finally:
                # Also when somebody grows impatient and interrupts.
                self._intake.close()
                is_closed(self)
                self._queue.stop()
                self._finish(abort)
            self._queue.raise_error()

    def _finish(self, abort: bool) -> None:
        """Close files and bring metadata up to what can be read."""
        with self._queue.keeping_failure():
            if self._cascade:
                self._write_rest(self._cascade)
            self._dataset.finish_levels()
            self._queue.commit_written()
            if self._undescribed is not None:
                raise self._undescribed
        status = self.status()
        reason = FinishReason.ABORTED if abort else FinishReason.COMPLETED
        room = self.plan.planes
        if not abort and room is not None and self._intake.planes_appended < room:
            reason = FinishReason.STOPPED
        if status.error:
            reason = FinishReason.FAILED
        with self._queue.keeping_failure():
            steps = self._queue.progress().committed
            self._dataset.end(
                steps, reason, status.frames_committed, self._intake.planes_padded
            )

    def _write_rest(self, cascade: Cascade) -> None:
        """What the end of a volume cut short leaves; the workers have ended."""
        for part in cascade.rest(self._intake.planes_taken):
            self._dataset.levels[part.level].write_blocks(
                part.buffer, part.first_block, part.blocks, part.cells
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is not None and not self._intake.is_closed:
                # What was appended is kept, and not called complete.
                with contextlib.suppress(IllegalTransition):  # closed by another thread
                    self.annotate(
                        record={
                            RecordKey.FINISH_REASON: FinishReason.FAILED,
                            RecordKey.ERROR: repr(error),
                        }
                    )
        finally:
            self.close()
