"""Several recordings that start and stop together: `Recordings`.

Either all of them start or none does, and then nothing is left of them. After that each
has its own counts and its own end: when one fails, the others go on.
"""

import contextlib
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Self

from napari_zarr_stream._sources.source import Source
from napari_zarr_stream._writer.errors import InvalidProperties, ZarrStreamError
from napari_zarr_stream._writer.local_store import LocalStore
from napari_zarr_stream._writer.ngff import ome_xml, serializer_of
from napari_zarr_stream._writer.properties import StorageProperties
from napari_zarr_stream._writer.store import PartOfStore, Store

from .recording import Recording
from .states import RecordingStatus

OME_XML = "OME/METADATA.ome.xml"


class Recordings:
    """Recordings that are started and stopped as one.

    Parameters
    ----------
    sources : sequence of Source
    properties : sequence of StorageProperties
        One for each source: each has a store of its own.

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
        self._descriptions = [source.describe() for source in sources]
        self._open: set[int] = set()  # parts of the shared store that are written

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
        gate = threading.Event()
        with contextlib.ExitStack() as undo:
            wholes = []
            for properties in [self._shared] if self._shared else self._properties:
                whole = LocalStore(properties.path, properties.overwrite)
                undo.callback(whole.withdraw)
                wholes.append(whole)
            undo.callback(self._end_all, gate)
            for recording, part in zip(
                self.recordings, self._parts(wholes), strict=True
            ):
                recording.start(store=part, gate=gate)
            for recording in self.recordings:
                recording.wait_for_source()
            if self._shared:
                self._describe(wholes[0], self._shared)
            for whole in wholes:
                whole.publish()
            undo.pop_all()
        gate.set()

    def _parts(self, wholes: Sequence[LocalStore]) -> list[Store]:
        if not self._shared:
            return [PartOfStore(whole, "", whole.close) for whole in wholes]
        [whole] = wholes
        numbers = range(len(self.recordings))
        self._open = set(numbers)
        return [
            PartOfStore(whole, f"{number}/", partial(self._close_part, whole, number))
            for number in numbers
        ]

    def _close_part(self, whole: LocalStore, number: int) -> None:
        """Let go of the shared store with the last of its parts."""
        self._open.discard(number)
        if not self._open:
            try:
                self._write_xml(whole)
            finally:
                whole.close()

    def _describe(self, whole: LocalStore, properties: StorageProperties) -> None:
        paths = [str(number) for number in range(len(self.recordings))]
        serializer = serializer_of(properties.kind.zarr_format)
        for key, document in serializer.series(paths).items():
            whole.write_json(key, document)
        self._write_xml(whole)

    def _write_xml(self, whole: LocalStore) -> None:
        images = [
            (
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

    def _end_all(self, gate: threading.Event) -> None:
        """End what has begun, so that nothing is written any more."""
        self.abort()
        gate.set()
        for recording in self.recordings:
            # The failure that is told is the one that led here.
            with contextlib.suppress(ZarrStreamError):
                recording.wait()

    def stop(self) -> None:
        """Take no more frames and write what was taken. Returns at once."""
        for recording in self.recordings:
            recording.stop()

    def abort(self) -> None:
        """Take no more frames and drop what is queued. Returns at once."""
        for recording in self.recordings:
            recording.abort()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the end of all; False if it did not come in time.

        Raises
        ------
        ZarrStreamError
            The failure of the first recording that has one, when all have ended. Those
            of the others are in `status`.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        failure: ZarrStreamError | None = None
        for recording in self.recordings:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
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
        """Whether any of them goes on or is being written to its end."""
        return any(status.is_busy for status in self.status())

    def close(self) -> None:
        """Let go of the sources.

        Raises
        ------
        IllegalTransition
            While one goes on.
        """
        for recording in self.recordings:
            recording.close()
