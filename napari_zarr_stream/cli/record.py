"""`record`: cameras into a store, until Ctrl-C or for a number of frames."""

import argparse
import sys
from contextlib import ExitStack, closing
from functools import partial

from tqdm import tqdm

from napari_zarr_stream._recording.counts import totals_in_words
from napari_zarr_stream._recording.disk import RESERVE_BYTES
from napari_zarr_stream._recording.interrupt import Interrupt
from napari_zarr_stream._recording.states import FinishReason, RecordingStatus
from napari_zarr_stream._recording.together import Recordings
from napari_zarr_stream._sources.camera import CameraSource
from napari_zarr_stream._sources.take import Take
from napari_zarr_stream._writer.errors import InvalidProperties, SourceFailed
from napari_zarr_stream._writer.names import image_name
from napari_zarr_stream._writer.properties import DeviceKind
from napari_zarr_stream._writer.words import (
    count_in_words,
    duration_in_words,
    size_in_words,
)
from napari_zarr_stream.cameras import CameraThread

from .cameras import list_cameras, meant_by, prepare, settings_of
from .command import FAILED, FRAMES_LOST, INTERRUPTED, Command, say
from .storage import add_storage, storage_properties

POLL_S = 0.1
"""How often the progress bar is renewed."""


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", nargs="?", help="the store to be made")
    parser.add_argument(
        "--camera", action="append", metavar="NAME", dest="cameras",
        help="its name, or enough of it to be clear; may be repeated: cameras start "
        "and stop together and become images 0, 1, ... of one store",
    )  # fmt: skip
    parser.add_argument(
        "--list-cameras", action="store_true", help="show cameras and their settings"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="[N:]NAME=VALUE",
        dest="settings",
        help="a setting of the camera; may be repeated. With several cameras it is for "
        "all of them, or for the Nth as in 2:exposure_ms=5",
    )  # fmt: skip
    parser.add_argument(
        "--frames",
        type=int,
        default=0,
        metavar="N",
        help="0: until Ctrl-C (default)",
    )
    parser.add_argument(
        "--interval-s",
        type=float,
        default=0.0,
        metavar="S",
        help="from one frame to the next; 0: as fast as they come (default)",
    )
    parser.add_argument(
        "--duration-s",
        type=float,
        default=0.0,
        metavar="S",
        help="how long to record; 0: no end (default)",
    )
    parser.add_argument(
        "--pixel-size-um",
        type=float,
        metavar="UM",
        help="of the sample, in micrometres",
    )
    parser.add_argument(
        "--reserve-mib",
        type=int,
        default=RESERVE_BYTES // 2**20,
        metavar="MIB",
        help="stop when no more than this is free on the disk (default 1024)",
    )
    add_storage(parser)


def _record(given: argparse.Namespace) -> int:
    if given.list_cameras:
        return list_cameras()
    if given.out is None:
        raise InvalidProperties("record needs the store to be made: record OUT")
    # What the widget has as its defaults.
    properties = storage_properties(
        given, DeviceKind.ZARR_V3_LZ4, max_bytes_per_chunk=0
    )
    if given.frames < 0:
        raise InvalidProperties(f"--frames must be 0 or more, not {given.frames}")
    with ExitStack() as opened:
        cameras = []
        for make, name in map(meant_by, given.cameras or [None]):
            cameras.append(opened.enter_context(closing(CameraThread(make, name))))
        for number, camera in enumerate(cameras, 1):
            mine = settings_of(number, len(cameras), given.settings)
            camera.call(partial(prepare, settings=mine))
        take = Take(given.interval_s, given.duration_s, given.pixel_size_um)
        image = image_name(properties.path)
        sources = [
            CameraSource(
                camera,
                image if len(cameras) == 1 else camera.name,
                given.frames,
                take,
            )
            for camera in cameras
        ]
        if len(sources) == 1:
            recordings = Recordings(sources, [properties])
        else:
            recordings = Recordings.in_one_store(sources, properties)
        for recording in recordings.recordings:
            recording.reserve_bytes = given.reserve_mib * 2**20
        with Interrupt(recordings.stop, recordings.abort) as interrupt:
            try:
                recordings.start()
            except SourceFailed as failure:
                if not interrupt.count:
                    raise
                say(str(failure))
                return INTERRUPTED
            if interrupt.count:  # before there was anything to stop
                recordings.stop()
            try:
                _follow(recordings)
            finally:
                statuses = recordings.status()
                failed = [status for status in statuses if status.error]
                if len(statuses) > 1 or not failed:
                    for status in statuses:
                        print(_summary(status))
    has_end = given.frames or given.duration_s
    if interrupt.count > 1 or (interrupt.count and has_end):
        return INTERRUPTED
    if reasons := {status.stop_reason for status in statuses if status.stop_reason}:
        say(" ".join(["stopped,", *sorted(reasons)]))
        return FAILED
    if lost := sum(status.frames_lost or 0 for status in statuses):
        were = "was" if lost == 1 else "were"
        say(
            f"{count_in_words(lost, 'frame')} {were} lost; a smaller frame, a lower "
            "frame rate, lz4 or a faster disk helps"
        )
        return FRAMES_LOST
    return 0


def _follow(recordings: Recordings) -> None:
    """Show progress until the end; raises the failure of a recording."""
    expected = [status.frames_expected for status in recordings.status()]
    total = None if None in expected else sum(frames or 0 for frames in expected)
    with tqdm(total=total, unit=" frames", file=sys.stderr, disable=None) as bar:
        ended = False
        while not ended:
            try:
                ended = recordings.wait(POLL_S)
            finally:
                statuses = recordings.status()
                losses = [status.frames_lost for status in statuses]
                known = [loss for loss in losses if loss is not None]
                lost = sum(known) if len(known) == len(losses) else "?"
                committed = sum(status.frames_committed for status in statuses)
                said = {"committed": committed, "lost": lost}
                if (next_s := statuses[0].next_frame_s) is not None:
                    said["next"] = duration_in_words(next_s)
                bar.set_postfix(said, refresh=False)
                bar.update(sum(status.frames_acquired for status in statuses) - bar.n)


def _summary(status: RecordingStatus) -> str:
    reason = (status.finish_reason or FinishReason.FAILED).value
    return (
        f"{status.path}: {reason}, {totals_in_words(status)}; "
        f"{size_in_words(status.bytes_written)} in {status.elapsed_s:.1f} s"
    )


RECORD = Command(
    "record",
    "record a camera, or several together",
    "Record a camera, or several together. Ctrl-C stops and keeps all "
    "frames; a second Ctrl-C drops those not yet written.",
    _add_options,
    _record,
)
