"""A run that is brought away while it is recorded, and how many planes are there."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_zarr_stream._recording.uploading import ANSWER_S
from napari_zarr_stream._upload.following import FollowedStore
from napari_zarr_stream._upload.progress import UploadPhase
from napari_zarr_stream._upload.request import UploadRequest
from napari_zarr_stream._writer.image_set import ImageSet
from napari_zarr_stream._writer.store import Store

from .arrivals import Arrivals
from .layout import ImageLayout
from .states import AcquisitionStatus

if TYPE_CHECKING:
    from napari_zarr_stream._upload.uploader import Uploader


class RunUpload:
    """The upload of one run.

    Parameters
    ----------
    request : UploadRequest
    path : Path
        Of the store.

    Attributes
    ----------
    uploader : Uploader or None
        Once it has been started.

    Raises
    ------
    InvalidProperties
        It cannot be brought there.
    """

    def __init__(self, request: UploadRequest, path: Path) -> None:
        self._uploader = request.uploader(path)
        self.uploader: Uploader | None = None
        self._path = path
        self._there = 0  # planes, when so many files were
        self._files = -1

    def start(self) -> None:
        """Look at the place, before anything is written here.

        Raises
        ------
        StoreExists
            Something is there.
        """
        self._uploader.follow()
        self.uploader = self._uploader
        self._uploader.check_free(ANSWER_S)

    def followed(self, store: Store) -> Store:
        """A store that tells what is written into it."""
        return FollowedStore(store, self._uploader)

    def begin(self) -> None:
        """The store is at its place here."""
        self._uploader.begin(self._path)

    def finish(self, images: ImageSet | None) -> None:
        """The run is over; `images` is what it was written by, closed."""
        if images is None:
            self._uploader.stop()
            return
        self._uploader.finish(has_failed=images.status().error is not None)

    def shown_in(
        self,
        status: AcquisitionStatus,
        images: Sequence[ImageLayout],
        arrivals: Arrivals,
    ) -> AcquisitionStatus:
        """The same, and how many of its planes are at the other place."""
        upload = self._uploader.status()
        there = status.committed
        if upload.phase is not UploadPhase.DONE:
            if upload.files_uploaded != self._files:
                self._files = upload.files_uploaded
                self._there = sum(
                    arrivals.before(
                        number, image.axes, self._uploader.steps(image.path)
                    )
                    for number, image in enumerate(images)
                )
            there = min(there, self._there)
        return replace(status, uploaded=there, upload=upload)
