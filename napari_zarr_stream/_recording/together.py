"""Several recordings that start and stop together: `Recordings`.

Either all of them start or none does, and then nothing is left of them. After that each
has its own counts and its own end: when one fails, the others go on.

A window must not wait for a camera: it calls `begin`, which raises what is wrong with
the places of the stores and returns at once, and then `wait_for_start(0)` again and
again: False while cameras are starting, True when all record, and the failure of the
start is raised from it. `stop` ends that, too. `start` does both, and waits.
"""

import contextlib
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from napari_zarr_stream._sources.source import Source
from napari_zarr_stream._upload.uploader import Uploader
from napari_zarr_stream._writer.errors import (
    IllegalTransition,
    InvalidProperties,
    SourceFailed,
    ZarrStreamError,
)
from napari_zarr_stream._writer.local_store import LocalStore
from napari_zarr_stream._writer.memory import check_memory, check_open_files
from napari_zarr_stream._writer.ngff import serializer_of
from napari_zarr_stream._writer.ome_xml import OME_XML, OmeImage, ome_xml
from napari_zarr_stream._writer.properties import StorageProperties
from napari_zarr_stream._writer.store import PartOfStore, Store

from .recording import Recording
from .run import Gate
from .states import RecordingStatus
from .uploading import ANSWER_S, ImageUpload, Whole

if TYPE_CHECKING:
    from napari_zarr_stream._upload.request import UploadRequest

START_TIMEOUT_S = 60.0
"""A source that has not started by then hangs: the slowest cameras take 20 s."""

START_POLL_S = 0.05
"""How often it is asked meanwhile whether somebody stopped it."""


class Recordings:
    """Recordings that are started and stopped as one.

    Parameters
    ----------
    sources : sequence of Source
    properties : sequence of StorageProperties
        One for each source: each has a store of its own.

    Attributes
    ----------
    upload_to : UploadRequest or None
        Where stores are brought while they are recorded, from the next start on.
    uploaders : tuple of Uploader
        Those of the last start, one for each store; they may outlive the recordings.

    Raises
    ------
    InvalidProperties
        As `Recording.configure`, or the two do not go together.
    """

    def __init__(
        self, sources: Sequence[Source], properties: Sequence[StorageProperties]
    ) -> None:
        if not sources or len(sources) != len(properties):
            raise InvalidProperties(
                f"{len(sources)} sources cannot be recorded as {len(properties)} images"
            )
        self._properties = tuple(properties)
        self._shared: StorageProperties | None = None
        self.recordings = tuple(map(Recording, sources, properties))
        self._descriptions = [each.description for each in self.recordings]
        self._open: set[int] = set()  # parts of the shared store that are written
        self._begun = threading.Event()  # all record, or the start failed
        self._begun.set()
        self._stop_asked = threading.Event()
        self._failure: ZarrStreamError | None = None  # of the start
        self._undo = contextlib.ExitStack()  # takes away what was begun
        self.upload_to: UploadRequest | None = None
        self.uploaders: tuple[Uploader, ...] = ()

    @classmethod
    def in_one_store(
        cls, sources: Sequence[Source], properties: StorageProperties
    ) -> Self:
        """Recordings that become images "0", "1", ... of one store.

        The store is a group of the layout of bioformats2raw, as OME-NGFF describes it.
        """
        images = [
            replace(properties, uri=properties.path / str(number))
            for number in range(len(sources))
        ]
        together = cls(sources, images)
        together._shared = properties
        return together

    def start(self) -> None:
        """Make all stores, start all sources, and begin to record.

        Raises
        ------
        StoreExists, WriteFailed, InvalidProperties, SourceFailed
            One of them could not. The others were stopped and their stores taken away.
        IllegalTransition
        """
        self.begin()
        while not self.wait_for_start(START_POLL_S):
            pass  # a signal that another thread was given is heard now

    def begin(self) -> None:
        """Make all stores, here, and start all sources, in a thread.

        Raises
        ------
        StoreExists, WriteFailed, InvalidProperties, SourceFailed
            One of the stores could not be made, there is too little memory for all, or
            the system gives no threads. Nothing is left of the others.
        IllegalTransition
            They were started before, and have not ended.
        """
        if self.is_busy:
            raise IllegalTransition("cannot start recordings that have not ended")
        plans = [status.plan for status in self.status() if status.plan is not None]
        check_memory(sum(plan.peak_memory_bytes for plan in plans))
        check_open_files(plans)
        self._stop_asked.clear()
        self._failure = None
        gate = Gate(drains=len(self.recordings) > 1)
        stores = [self._shared] if self._shared else self._properties
        with contextlib.ExitStack() as undo:
            self.uploaders = self._follow([each.path for each in stores], undo)
            wholes = []
            for number, properties in enumerate(stores):
                local = LocalStore(properties.path, properties.overwrite)
                undo.callback(local.withdraw)
                uploader = self.uploaders[number] if self.uploaders else None
                wholes.append(Whole(local, uploader))
            undo.callback(self._end_all, gate)
            for number, part in enumerate(self._parts(wholes)):
                self.recordings[number].upload = self._upload_of(number)
                self.recordings[number].start(store=part, gate=gate)
            self._undo = undo.pop_all()
        starter = threading.Thread(
            target=self._finish_start,
            args=(wholes, gate),
            name="starting",
            daemon=False,
        )
        self._begun.clear()
        try:
            starter.start()
        except RuntimeError as error:
            self._undo.close()
            self._begun.set()
            raise SourceFailed(
                f"the recordings could not start: {error}. Close other programs"
            ) from error

    def _follow(
        self, paths: Sequence[Path], undo: contextlib.ExitStack
    ) -> tuple[Uploader, ...]:
        """What brings stores away, started; none where nothing is asked for."""
        if self.upload_to is None:
            return ()
        uploaders = tuple(map(self.upload_to.uploader, paths))
        if len({each.status().address for each in uploaders}) < len(uploaders):
            raise InvalidProperties(
                f"{len(uploaders)} stores cannot all be uploaded to "
                f"{self.upload_to.to}: give the folder that they go into"
            )
        for uploader in uploaders:
            uploader.follow()
            undo.callback(uploader.stop)
        for uploader in uploaders:
            uploader.check_free(ANSWER_S)
        return uploaders

    def _upload_of(self, number: int) -> ImageUpload | None:
        if not self.uploaders:
            return None
        if self._shared:
            return ImageUpload(self.uploaders[0], str(number))
        return ImageUpload(self.uploaders[number], "")

    def _finish_start(self, wholes: Sequence[Whole], gate: Gate) -> None:
        """Put the stores in place when all sources have started. Thread "starting"."""
        try:
            with self._undo as undo:
                self._wait_for_sources()
                if self._shared:
                    self._describe(wholes[0].local, self._shared)
                for whole in wholes:
                    whole.publish()
                undo.pop_all()
            gate.set()
        except ZarrStreamError as failure:
            self._failure = failure
        except Exception as error:  # noqa: BLE001 - kept; raised from `wait_for_start`
            self._failure = SourceFailed(f"the recordings could not start: {error!r}")
            self._failure.__cause__ = error
        finally:
            self._begun.set()

    def _wait_for_sources(self) -> None:
        deadline = time.perf_counter() + START_TIMEOUT_S
        pairs = zip(self.recordings, self._descriptions, strict=True)
        for recording, source in pairs:
            while not recording.wait_for_source(START_POLL_S):
                if self._stop_asked.is_set():
                    raise SourceFailed(
                        f"stopped before {source.name} had started: nothing was "
                        "recorded"
                    )
                if time.perf_counter() > deadline:
                    raise SourceFailed(
                        f"{source.name} has not started within {START_TIMEOUT_S:g} s: "
                        "its driver hangs. Switch the camera off and on, and open it "
                        "again"
                    )
        for recording in self.recordings:
            recording.wait_for_source(0)  # one may have failed since
        if self._stop_asked.is_set():
            raise SourceFailed("stopped before it began: nothing was recorded")

    def wait_for_start(self, timeout_s: float | None = None) -> bool:
        """Wait until all are recorded; False if it did not come in time.

        Raises
        ------
        WriteFailed, SourceFailed
            One of them could not, or `stop` was called before all had started. The
            others were stopped and their stores taken away.
        """
        if not self._begun.wait(timeout_s):
            return False
        if self._failure is not None:
            raise self._failure
        return True

    def _parts(self, wholes: Sequence[Whole]) -> list[Store]:
        numbers = range(len(self.recordings))
        if not self._shared:
            return [
                PartOfStore(whole.store, "", partial(self._close, whole, [number]))
                for number, whole in enumerate(wholes)
            ]
        [whole] = wholes
        self._open = set(numbers)
        store = whole.store
        return [
            PartOfStore(store, f"{number}/", partial(self._close_part, whole, number))
            for number in numbers
        ]

    def _close_part(self, whole: Whole, number: int) -> None:
        """Let go of the shared store with the last of its parts."""
        self._open.discard(number)
        if not self._open:
            try:
                self._write_xml(whole.local)
            finally:
                self._close(whole, range(len(self.recordings)))

    def _close(self, whole: Whole, numbers: Sequence[int]) -> None:
        """Let go of a store whose images have these numbers."""
        errors = [self.recordings[number].status().error for number in numbers]
        whole.close(has_failed=any(errors))

    def _describe(self, whole: LocalStore, properties: StorageProperties) -> None:
        paths = [str(number) for number in range(len(self.recordings))]
        serializer = serializer_of(properties.ngff)
        for key, document in serializer.series(paths).items():
            whole.write_json(key, document)
        self._write_xml(whole)

    def _write_xml(self, whole: LocalStore) -> None:
        images = [
            OmeImage(
                source.name,
                status.plan,
                status.frames_committed
                * source.planes_per_frame
                // status.plan.planes_per_step,
            )
            for source, status in zip(self._descriptions, self.status(), strict=True)
            if status.plan is not None
        ]
        whole.write(OME_XML, ome_xml(images))

    def _end_all(self, gate: Gate) -> None:
        """End what has begun, so that nothing is written any more."""
        self.abort()
        gate.set()
        for recording in self.recordings:
            # The failure that is told is the one that led here.
            with contextlib.suppress(ZarrStreamError):
                recording.wait()

    def stop(self) -> None:
        """Take no more frames and write what was taken. Returns at once."""
        self._stop_asked.set()
        for recording in self.recordings:
            recording.stop()

    def abort(self) -> None:
        """Take no more frames and drop what is queued. Returns at once."""
        self._stop_asked.set()
        for recording in self.recordings:
            recording.abort()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the end of all; False if it did not come in time.

        Raises
        ------
        ZarrStreamError
            That of the start; or, when all have ended, the failure of the first
            recording that has one. Those of the others are in `status`.
        """
        deadline = None if timeout_s is None else time.perf_counter() + timeout_s
        if not self.wait_for_start(timeout_s):
            return False
        failure: ZarrStreamError | None = None
        for recording in self.recordings:
            left = (
                None if deadline is None else max(0.0, deadline - time.perf_counter())
            )
            try:
                if not recording.wait(left):
                    return False
            except ZarrStreamError as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return True

    def status(self) -> tuple[RecordingStatus, ...]:
        """A snapshot of each."""
        return tuple(recording.status() for recording in self.recordings)

    @property
    def is_busy(self) -> bool:
        """Whether any of them starts, goes on, or is being written to its end."""
        return not self._begun.is_set() or any(
            status.is_busy for status in self.status()
        )

    def wait_for_upload(self, timeout_s: float | None = None) -> bool:
        """Wait until all is brought away, or cannot be; False if not in time.

        What came of it is in `status`.
        """
        deadline = None if timeout_s is None else time.perf_counter() + timeout_s
        return all(
            uploader.wait(
                None if deadline is None else max(0.0, deadline - time.perf_counter())
            )
            for uploader in self.uploaders
        )

    def close(self) -> None:
        """Let go of the sources.

        Raises
        ------
        IllegalTransition
            While one goes on.
        """
        for recording in self.recordings:
            recording.close()
