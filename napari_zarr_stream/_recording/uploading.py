"""A store that is brought away while it is recorded, and what is said of it."""

from dataclasses import replace
from typing import NamedTuple

from napari_zarr_stream._upload.following import FollowedStore
from napari_zarr_stream._upload.progress import UploadPhase
from napari_zarr_stream._upload.uploader import Uploader
from napari_zarr_stream._writer.local_store import LocalStore
from napari_zarr_stream._writer.store import Store

from .states import RecordingStatus

ANSWER_S = 3.0
"""For so long a start waits to hear whether something is at the other place already: a
network that is slower keeps no recording waiting."""


class Whole(NamedTuple):
    """A store on the disk, and what brings it away, if something does."""

    local: LocalStore
    uploader: Uploader | None

    @property
    def store(self) -> Store:
        """What is to be written to."""
        if self.uploader is None:
            return self.local
        return FollowedStore(self.local, self.uploader)

    def publish(self) -> None:
        """Put it in its place, from where it is brought away."""
        self.local.publish()
        if self.uploader is not None:
            self.uploader.begin(self.local.root)

    def close(self, *, has_failed: bool) -> None:
        """It is written to its end."""
        try:
            self.local.close()
        finally:
            if self.uploader is not None:
                self.uploader.finish(has_failed=has_failed)


class ImageUpload(NamedTuple):
    """The upload of one image of a store, by its path there: "" for the only one."""

    uploader: Uploader
    image: str

    def shown_in(
        self, status: RecordingStatus, planes_per_frame: int
    ) -> RecordingStatus:
        """The same, and how many of its frames are at the other place."""
        upload = self.uploader.status()
        frames = status.frames_committed
        if upload.phase is not UploadPhase.DONE and status.plan is not None:
            steps = self.uploader.steps(self.image)
            there = steps * status.plan.planes_per_step // planes_per_frame
            frames = min(frames, there)
        return replace(status, frames_uploaded=frames, upload=upload)
