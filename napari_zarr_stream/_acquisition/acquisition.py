"""A run of many images into one store: its state, its counts, its newest plane.

Knows no useq, no Micro-Manager, no Qt: an engine feeds it, in the thread of the run,
and a window polls `status` and `newest`.
"""

import contextlib
import errno
import math
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_zarr_stream._recording.awake import kept_awake
from napari_zarr_stream._recording.disk import RESERVE_BYTES, DiskWatch
from napari_zarr_stream._recording.pace import Pace
from napari_zarr_stream._upload.request import UploadRequest
from napari_zarr_stream._writer.contrast import WideningLimits
from napari_zarr_stream._writer.errors import (
    FrameMismatch,
    IllegalTransition,
    SourceFailed,
    WriteFailed,
    ZarrStreamError,
)
from napari_zarr_stream._writer.image_set import ImageSet
from napari_zarr_stream._writer.properties import StorageProperties
from napari_zarr_stream._writer.record import FinishReason, RecordKey

from .arrivals import Arrivals
from .layout import Layout
from .next_event import NextEvent
from .run_upload import RunUpload
from .states import TRANSITIONS, AcquisitionEvent, AcquisitionState, AcquisitionStatus
from .times import Times
from .told import description_of, ending_of

Pixels = npt.NDArray[np.generic]


class Acquisition:
    """One run, recorded into one store; made before, and used once.

    Parameters
    ----------
    properties : StorageProperties
        Where and how. `tile_planes` and `frames_per_chunk` are chosen here: a chunk is
        a tile of one plane.
    notes : str
        Kept in the record.
    reserve_bytes : int
        Left free on the disk: the run is ended before. 0 for none.
    upload_to : str or UploadRequest, optional
        Where the store is brought while it is recorded: "s3://bucket/path",
        "az://container/path", or a folder.

    Examples
    --------
    ::

        acquisition = Acquisition(StorageProperties("plate.zarr"))
        with recording_of(core, acquisition):
            core.run_mda(sequence)
        acquisition.wait()  # raises the first failure
    """

    def __init__(
        self,
        properties: StorageProperties,
        *,
        notes: str = "",
        reserve_bytes: int = RESERVE_BYTES,
        upload_to: str | UploadRequest = "",
    ) -> None:
        self.properties = properties
        request = UploadRequest(upload_to) if isinstance(upload_to, str) else upload_to
        self.upload = RunUpload(request, properties.path) if request.to else None
        self._notes, self._reserve = notes, reserve_bytes
        self._state = AcquisitionState.AWAITING_RUN
        self._has_begun, self._has_ended = threading.Event(), threading.Event()
        self._layout: Layout | None = None
        self._images: ImageSet | None = None
        self._arrivals: Arrivals | None = None
        self._disk: DiskWatch | None = None
        self._awake = contextlib.ExitStack()
        self._error: ZarrStreamError | None = None
        self._finish_reason: FinishReason | None = None
        self._missing_planes = ""
        self._next = NextEvent()
        self._began_at = self._ended_at = 0.0
        self._pace = Pace(0.0)
        self._newest: dict[int, tuple[dict[str, int], Pixels]] = {}  # by c
        self._limits: dict[str, WideningLimits] = {}  # by the name of a channel
        self._times = Times()

    # -------------------------------------------------------------- from any thread

    @property
    def layout(self) -> Layout | None:
        """The images of the run; None until it has begun."""
        return self._layout

    def status(self) -> AcquisitionStatus:
        """A snapshot; cheap."""
        state, layout, arrivals = self._state, self._layout, self._arrivals
        if layout is None or arrivals is None or self._images is None:
            return AcquisitionStatus(
                state,
                self.properties.path,
                self._finish_reason,
                error=self._error,
            )
        stored, coming = self._images.status(), self._next
        is_running = state is AcquisitionState.RUNNING
        over = state is AcquisitionState.ENDED
        until = self._ended_at or time.perf_counter()
        elapsed_s = until - self._began_at
        position, channel = _names(layout, coming.index)
        status = AcquisitionStatus(
            state,
            self.properties.path,
            self._finish_reason,
            planned=layout.planned,
            acquired=arrivals.acquired,
            committed=stored.frames_committed,
            missing=max(
                0, (layout.planned if over else arrivals.due) - arrivals.acquired
            ),
            missing_planes=self._missing_planes,
            planes_per_second=self._pace.frames_per_second
            if is_running
            else arrivals.acquired / max(elapsed_s, 1e-9),
            is_paused=is_running and coming.is_paused,
            next_event_s=coming.due_s if is_running else None,
            position=position,
            channel=channel,
            index=dict(coming.index),
            elapsed_s=elapsed_s,
            bytes_acquired=stored.bytes_appended,
            bytes_written=stored.bytes_written,
            queue_fill=stored.queue_fill,
            disk_seconds_left=self._disk.seconds_left
            if is_running and self._disk
            else None,
            error=self._error,
        )
        if self.upload is None:
            return status
        return self.upload.shown_in(status, layout.images, arrivals)

    def has(self, image: int, place: tuple[int, int, int]) -> bool:
        """Whether a plane was acquired, by the number of its image and (t, c, z)."""
        return self._arrivals is not None and self._arrivals.has(image, place)

    def newest(self) -> tuple[dict[str, int], Pixels] | None:
        """The newest plane that nobody was given yet, None if there is none.

        Asks for the next one: planes are copied only as often as they are shown.

        Returns
        -------
        place : dict
            "image", its number, and "t", "c" and "z".
        pixels : array, (height, width)
        """
        newest = self.newest_of_channels()
        return newest[-1] if newest else None

    def newest_of_channels(self) -> list[tuple[dict[str, int], Pixels]]:
        """As of `newest`, one of each channel that came since the last call."""
        newest, self._newest = self._newest, {}
        return list(newest.values())

    def note_paused(self, is_paused: bool) -> None:
        """Hear whether the run is paused, from one thread: an engine is not told."""
        self._next.note_paused(is_paused)

    def wait_for_begin(self, timeout_s: float) -> bool:
        """Wait until a run has begun; False if none did in time."""
        return self._has_begun.wait(timeout_s)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the end of the run; False if it did not come in time.

        Raises
        ------
        ZarrStreamError
            The first failure of the run.
        """
        if not self._has_ended.wait(timeout_s):
            return False
        if self._error is not None:
            raise self._error
        return True

    # ---------------------------------------------- from an engine, in the run's thread

    def _move(self, event: AcquisitionEvent) -> None:
        try:
            self._state = TRANSITIONS[self._state, event]
        except KeyError:
            raise IllegalTransition(
                f"cannot {event.value} an acquisition that is {self._state.value}: "
                "make another one for each run"
            ) from None

    def begin(self) -> None:
        """A run begins.

        Raises
        ------
        IllegalTransition
            It has recorded one.
        """
        self._move(AcquisitionEvent.BEGIN)
        self._began_at = time.perf_counter()
        self._pace = Pace(self._began_at)
        self._has_begun.set()

    def open(self, layout: Layout, record: Mapping[str, Any]) -> None:
        """Make the store.

        Parameters
        ----------
        layout : Layout
        record : mapping
            What else to keep of the run, as JSON values.

        Raises
        ------
        StoreExists, InvalidProperties, WriteFailed
            Nothing is left.
        """
        disk = DiskWatch(self.properties.path, self._reserve, layout.interval_s)
        disk.check()
        if self._notes:
            record = {**record, RecordKey.NOTES: self._notes}
        if self.upload is not None:
            self.upload.start()
        self._images = ImageSet(
            self.properties,
            [description_of(image, layout) for image in layout.images],
            plate=layout.plate,
            record={
                **record,
                RecordKey.PLANES_PLANNED: layout.planned,
                RecordKey.INTERVAL_S: layout.interval_s,
                RecordKey.FIELDS_PADDED: layout.is_padded,
            },
            followed=self.upload.followed if self.upload is not None else None,
        )
        if self.upload is not None:
            self.upload.begin()
        self._arrivals = Arrivals(layout)
        self._layout = layout
        self._awake.enter_context(kept_awake())
        if self._reserve:
            images = self._images
            self._disk = disk
            disk.start(lambda: images.status().bytes_written)

    def expect(self, index: Mapping[str, int], due_s: float | None) -> None:
        """Say which event comes next, and in how many seconds if that is known."""
        self._next.expect(index, due_s)

    def take(
        self, pixels: Pixels, index: Mapping[str, int], known: Mapping[str, float]
    ) -> None:
        """Take a frame.

        Parameters
        ----------
        pixels : array, (height, width) or (height, width, colors)
        index : mapping
            Of its event, by axis.
        known : mapping
            Of the frame, for the frame log.

        Raises
        ------
        FrameMismatch, WriteFailed
        """
        layout, images, arrivals = self._layout, self._images, self._arrivals
        assert layout is not None
        assert images is not None
        assert arrivals is not None
        if self._disk and self._disk.reason_to_stop:
            path = self.properties.path
            raise WriteFailed(
                errno.ENOSPC,
                f"{path}: {self._disk.reason_to_stop}. What was taken is stored",
                str(path),
            )
        frame = layout.frame
        shape = (frame.height, frame.width, *(frame.colors,) * (frame.colors > 1))
        if pixels.shape != shape:
            raise FrameMismatch(
                f"Micro-Manager gave a frame of shape {pixels.shape}, and the run "
                f"began with {shape}: its size cannot change within a run"
            )
        number = layout.image_of(index)
        image = layout.images[number]
        planes = np.moveaxis(pixels, -1, 0) if frame.colors > 1 else pixels[np.newaxis]
        for color, plane in enumerate(planes):
            place = layout.place_of(index, color)
            at = dict(zip("tcz", place, strict=True))
            images.put(number, [at[axis] for axis in image.axes[:-2]], plane, known)
            arrivals.add(number, place)
            channel = image.channels[place[1]].name
            self._limits.setdefault(channel, WideningLimits()).see(plane)
            if at["c"] not in self._newest:
                self._newest[at["c"]] = {"image": number, **at}, plane.copy()
        self._times.see(number, place, known.get("runner_time_ms", math.nan))
        self._next.taken(index)
        self._pace.note(time.perf_counter(), arrivals.acquired, 0, 0.0)

    def passed(self, frames: int) -> None:
        """An event of so many frames is over, whether they came or not."""
        if self._arrivals is not None and self._layout is not None:
            self._arrivals.due += frames * self._layout.frame.planes

    def end(self, reason: FinishReason, failure: BaseException | None) -> None:
        """The run is over: write all that was taken. Raises nothing.

        Parameters
        ----------
        reason : FinishReason
            As Micro-Manager has it.
        failure : exception, optional
            The first one.
        """
        self._move(AcquisitionEvent.END)
        if failure is not None:
            self._keep(failure)
        try:
            with self._awake:
                self._close(reason)
        except ZarrStreamError as error:
            self._keep(error)
            self._finish_reason = FinishReason.FAILED
        finally:
            if self.upload is not None:
                self.upload.finish(self._images)
            self._ended_at = time.perf_counter()
            self._move(AcquisitionEvent.FLUSHED)
            self._has_ended.set()

    def _keep(self, failure: BaseException) -> None:
        if self._error is not None:
            return
        if isinstance(failure, ZarrStreamError):
            self._error = failure
        else:
            says_little = isinstance(failure, LookupError) or not str(failure).strip()
            said = repr(failure) if says_little else str(failure).strip()
            self._error = SourceFailed(f"Micro-Manager: {said}")
            self._error.__cause__ = failure

    def _close(self, reason: FinishReason) -> None:
        if self._disk is not None:
            self._disk.stop()
        images, layout, arrivals = self._images, self._layout, self._arrivals
        missing = 0
        record: dict[str, Any] = {}
        if layout is not None and arrivals is not None:
            missing = layout.planned - arrivals.acquired
            self._missing_planes = arrivals.missing_in_words()
            record = ending_of(arrivals, missing)
        if self._error is not None:
            reason = FinishReason.FAILED
            record[RecordKey.ERROR] = str(self._error)
        elif missing and reason is FinishReason.COMPLETED:
            reason = FinishReason.INCOMPLETE
        self._finish_reason = reason
        if images is None or layout is None:
            return
        try:
            if self._error is None or not images.status().error:
                self._annotate(images, layout)
        finally:
            images.close(reason, record)

    def _annotate(self, images: ImageSet, layout: Layout) -> None:
        """Tell what only planes could: how bright they are, how far apart in time."""
        interval_s = self._times.interval_s
        for number, image in enumerate(layout.images):
            limits = [self._limits.get(channel.name) for channel in image.channels]
            channels = [
                replace(
                    channel,
                    contrast_limits=seen.limits,
                    value_range=layout.frame.range_around(seen.limits[1]),
                )
                if seen and seen.limits
                else channel
                for channel, seen in zip(image.channels, limits, strict=True)
            ]
            has_time = image.axes[0] == "t" and interval_s
            images.annotate(number, channels, interval_s if has_time else None)


def _names(layout: Layout, index: Mapping[str, int]) -> tuple[str, str]:
    """Of the position and channel of an event."""
    try:
        image = layout.images[layout.image_of(index)]
    except FrameMismatch:
        return "", ""
    _, c, _ = layout.place_of(index)
    return image.name, image.channels[c].name if c < len(image.channels) else ""
