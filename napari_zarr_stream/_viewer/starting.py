"""Recordings that are made and started in the background, and polled meanwhile.

A camera may take seconds to answer, a network disk as well, and either may hang. Knows
no Qt.
"""

import contextlib
from collections.abc import Sequence
from concurrent.futures import wait
from typing import Any, NamedTuple

from napari_zarr_stream._recording.recording import Recording
from napari_zarr_stream._recording.together import Recordings
from napari_zarr_stream._sources.source import Source
from napari_zarr_stream._upload.request import UploadRequest
from napari_zarr_stream._upload.uploader import Uploader
from napari_zarr_stream._writer.errors import ZarrStreamError
from napari_zarr_stream._writer.properties import StorageProperties

from .background import in_background

POLL_S = 0.1


class Job(NamedTuple):
    """One source into one store.

    Attributes
    ----------
    source : Source
        It is described in the window's thread, by what is known of it already.
    properties : StorageProperties
    title : str
        What people call the source.
    layer : napari.layers.Layer or None
        The one that the source reads.
    notes : str
        To be kept in the record.
    """

    source: Source
    properties: StorageProperties
    title: str = ""
    layer: Any = None
    notes: str = ""


class Starting:
    """The start of recordings, which begins when it is made.

    Parameters
    ----------
    jobs : sequence of Job
    one_store : bool
        All become images of the store of the first job.
    upload : UploadRequest or None
        Where stores are brought while they are recorded.
    """

    def __init__(
        self, jobs: Sequence[Job], one_store: bool, upload: UploadRequest | None = None
    ) -> None:
        self._jobs = jobs
        self._upload = upload
        self._one_store = one_store
        self._together: Recordings | None = None
        self.was_stopped = False
        self._started = in_background(self._start)

    def _start(self) -> bool:
        """Ask the sources, make the stores, start. Thread "background"."""
        sources = [job.source for job in self._jobs]
        properties = [job.properties for job in self._jobs]
        if self._one_store:
            self._together = Recordings.in_one_store(sources, properties[0])
        else:
            self._together = Recordings(sources, properties)
        self._together.upload_to = self._upload
        for job, recording in zip(self._jobs, self._together.recordings, strict=True):
            recording.notes = job.notes
        if self.was_stopped:
            return False
        self._together.start()
        return True

    @property
    def is_over(self) -> bool:
        """Whether all have started, or none has."""
        return self._started.done()

    @property
    def has_begun(self) -> bool:
        """Whether they have started; they may have ended meanwhile."""
        begun = self.is_over and self.failure is None and self._started.result()
        return bool(begun)

    @property
    def failure(self) -> BaseException | None:
        """Why none has started; None if they have, or nobody knows yet."""
        return self._started.exception() if self.is_over else None

    @property
    def recordings(self) -> Sequence[Recording]:
        """Those that there are; none before the sources have said what they give."""
        return self._together.recordings if self._together is not None else ()

    @property
    def uploaders(self) -> Sequence[Uploader]:
        """What brings their stores away."""
        return self._together.uploaders if self._together is not None else ()

    def stop(self) -> None:
        """Give it up, or end what has started; returns at once."""
        self.was_stopped = True
        if self._together is not None:
            self._together.stop()

    def wait(self) -> None:
        """Wait until it is over, and until all that has started has ended."""
        while not self.is_over:
            if self.was_stopped:
                self.stop()  # what began after it was asked to stop
            wait((self._started,), POLL_S)
        for recording in self.recordings:
            with contextlib.suppress(ZarrStreamError):  # it is in its status
                recording.wait()
