"""Recording from a script: `record`."""

import os
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from napari_zarr_stream._upload.progress import UploadPhase, upload_in_words
from napari_zarr_stream.cameras import Camera

from .interrupt import Interrupt
from .prepared import makes_of, prepared
from .settings import RecordSettings, load_settings, unknown_in_words
from .states import RecordingStatus
from .together import Recordings

POLL_S = 0.1
"""How often it is asked whether to go on."""


def record(
    uri: str | os.PathLike[str] | None = None,
    camera: str | Camera | Sequence[str | Camera] = (),
    *,
    settings: RecordSettings | str | os.PathLike[str] | None = None,
    until: Callable[[tuple[RecordingStatus, ...]], bool] | None = None,
    **changes: Any,
) -> tuple[RecordingStatus, ...]:
    """Record a camera, or several together; returns when all is written.

    Ctrl-C stops, and keeps all frames. With `upload_to` it returns when all is there as
    well; a network that fails ends no recording, and is warned of.

    Parameters
    ----------
    uri : str or path, optional
        The store to be made, if it ends in ".zarr"; else the folder that it goes into,
        where a free name is found by `name`.
    camera : str, Camera, or sequence of them
        Names, or enough of each to be clear; or objects of your own. Several start and
        stop together and become images 0, 1, ... of one store.
    settings : RecordSettings, str or path, optional
        What is asked for but for the other arguments; or a file that holds it, as the
        dock saves it.
    until : callable, optional
        Given the status of each recording ten times a second; where it returns True the
        recording stops.
    **changes
        Anything else of `RecordSettings`: `frame_count`, `interval_s`, `duration_s`,
        `name`, `notes`, `camera_settings`, `upload_to`, `device_kind`, ...

    Returns
    -------
    tuple of RecordingStatus
        One for each camera, with `path`, `frames_committed`, `frames_lost`, ...

    Raises
    ------
    InvalidProperties
        Something cannot be as it was asked for; says what.
    StoreExists
        Something is there already, and `overwrite` was not asked for.
    SourceFailed, WriteFailed
        The camera or the disk did; what was committed is in the store.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> (recorded,) = record(
    ...     f"{folder}/cells.zarr",
    ...     "Simulated: cells",
    ...     camera_settings={"width": 256, "height": 256, "exposure_ms": 5},
    ...     frame_count=3,
    ...     interval_s=0.2,
    ...     notes="wild type",
    ... )
    >>> recorded.frames_committed, recorded.frames_lost
    (3, 0)
    """
    if uri is not None:
        changes["uri"] = os.fspath(uri)
    if isinstance(changes.get("camera_settings"), Mapping):
        changes["camera_settings"] = (changes["camera_settings"],)
    cameras: Sequence[str | Camera]
    if isinstance(camera, str) or not isinstance(camera, Sequence):
        cameras = [camera]
    else:
        cameras = camera
    names = [each if isinstance(each, str) else each.info["name"] for each in cameras]
    if names:
        changes["cameras"] = tuple(names)
    asked = _asked(settings).changed(**changes)
    makes = makes_of(cameras or asked.cameras)
    with prepared(asked, asked.properties(), makes, warnings.warn) as recordings:
        is_main = threading.current_thread() is threading.main_thread()
        with Interrupt(recordings.stop) if is_main else nullcontext():
            recordings.start()
            while not recordings.wait(POLL_S):
                if until is not None and until(recordings.status()):
                    recordings.stop()
        _finish_upload(recordings, is_main)
        return recordings.status()


def _finish_upload(recordings: Recordings, is_main: bool) -> None:
    """Wait for it; Ctrl-C leaves it to `upload`. What went wrong is warned of."""

    def stop() -> None:
        for uploader in recordings.uploaders:
            uploader.stop()

    with Interrupt(stop) if is_main else nullcontext():
        while not recordings.wait_for_upload(POLL_S):
            pass
    for uploader in recordings.uploaders:
        status = uploader.status()
        if status.phase is not UploadPhase.DONE:
            warnings.warn(upload_in_words(status), UserWarning, stacklevel=3)


def _asked(settings: RecordSettings | str | os.PathLike[str] | None) -> RecordSettings:
    if settings is None:
        return RecordSettings()
    if isinstance(settings, RecordSettings):
        return settings
    asked, unknown = load_settings(Path(settings))
    if unknown:
        warnings.warn(unknown_in_words(settings, unknown), UserWarning, stacklevel=3)
    return asked
