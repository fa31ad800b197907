"""One recording in a viewer: its live layer, and whether what became of it was told."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_zarr_stream._recording.recording import Recording
from napari_zarr_stream._recording.states import RecordingStatus
from napari_zarr_stream._sources.source import SourceDescription

from .layer_watch import LayerWatch
from .live import BUSY_QUEUE, LivePreview
from .live_image import LiveImage
from .look_back import in_step_with
from .starting import Job

if TYPE_CHECKING:
    from concurrent.futures import Future

    from .reopen import ReadBack


class RecordingFeed:
    """A recording as what a live layer shows, once there is one; see `Feed`."""

    def __init__(self) -> None:
        self.recording: Recording | None = None

    @property
    def is_crowded(self) -> bool:
        """See `Feed.is_crowded`; so it is where frames are lost.

        Painting holds the GIL, and a camera is read late by it.
        """
        if self.recording is None:
            return False
        status = self.recording.status()
        return status.queue_fill > BUSY_QUEUE or status.lost_share > 0

    @property
    def contrast_limits(self) -> tuple[float, float] | None:
        """See `Recording.contrast_limits`."""
        return self.recording.contrast_limits if self.recording else None

    @contrast_limits.setter
    def contrast_limits(self, limits: tuple[float, float] | None) -> None:
        if limits is not None and self.recording is not None:
            self.recording.contrast_limits = limits

    def newest(self) -> npt.NDArray[np.generic] | None:
        """See `Recording.newest`."""
        return self.recording.newest() if self.recording else None


class ShownRecording:
    """One job: its live layer, its recording, and whether its failure was told."""

    def __init__(
        self,
        viewer: Any,
        job: Job,
        described: SourceDescription,
        left: float,
        first: "ShownRecording | None",
    ) -> None:
        self.title = job.title
        self.left = left
        self.described = described
        self.layer = job.layer
        self.feed = RecordingFeed()
        image = LiveImage.planned(job.properties, self.described)
        shown = in_step_with(self.described, (first or self).described)
        self.live = LivePreview(viewer, self.feed, shown, left, image)
        self.watch = LayerWatch(viewer, job.layer) if job.layer else None
        self.failure_told = False
        self.read: Future[ReadBack] | None = None  # when it has ended

    def status(self) -> RecordingStatus:
        """A snapshot, also before there is a recording."""
        recording = self.feed.recording
        return recording.status() if recording else Recording().status()

    def end(self) -> None:
        """Nothing is shown or watched any more."""
        self.live.stop()
        if self.watch is not None:
            self.watch.stop()
