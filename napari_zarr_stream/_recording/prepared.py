"""Cameras that are opened and set, and recordings of them, by what settings say."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial

from napari_zarr_stream._sources.camera import CameraSource
from napari_zarr_stream._upload.credentials import Keys
from napari_zarr_stream._writer.names import image_name
from napari_zarr_stream._writer.properties import StorageProperties
from napari_zarr_stream.cameras import Camera, CameraThread
from napari_zarr_stream.cameras.choice import meant_by, open_with

from .settings import RecordSettings
from .together import Recordings

Makes = Sequence[tuple[Callable[[], Camera], str]]


def makes_of(cameras: Sequence[str | Camera]) -> Makes:
    """What makes each camera that is meant, and its name; of none, the only one.

    Raises
    ------
    InvalidProperties
        As `meant_by`.
    """
    if not cameras:
        return [meant_by(None)]
    return [
        meant_by(each)
        if isinstance(each, str)
        else (partial(_itself, each), each.info["name"])
        for each in cameras
    ]


def _itself(camera: Camera) -> Camera:
    return camera


@contextmanager
def prepared(
    settings: RecordSettings,
    properties: StorageProperties,
    makes: Makes,
    tell: Callable[[str], object],
    keys: Keys | None = None,
) -> Iterator[Recordings]:
    """Recordings that can be started; the cameras are closed at the end.

    Several cameras become images 0, 1, ... of one store. `keys` are those of the bucket
    that it is brought to, where they were asked for.

    Raises
    ------
    InvalidProperties, CameraError
    """
    with ExitStack() as opened:
        cameras = [
            opened.enter_context(closing(CameraThread(make, name)))
            for make, name in makes
        ]
        for number, camera in enumerate(cameras):
            mine = settings.settings_of(number)
            camera.call(partial(open_with, settings=mine, tell=tell))
        image = image_name(properties.path)
        sources = [
            CameraSource(
                camera,
                image if len(cameras) == 1 else camera.name,
                settings.frame_count,
                settings.take,
            )
            for camera in cameras
        ]
        if len(sources) == 1:
            recordings = Recordings(sources, [properties])
        else:
            recordings = Recordings.in_one_store(sources, properties)
        recordings.upload_to = settings.upload(keys)
        for recording in recordings.recordings:
            recording.reserve_bytes = settings.reserve_mib * 2**20
            recording.notes = settings.notes
        yield recordings
