"""`record`: cameras into a store, until Ctrl-C or for a number of frames."""

import argparse
import sys
from dataclasses import fields
from pathlib import Path

from tqdm import tqdm

from napari_zarr_stream._recording.counts import totals_in_words
from napari_zarr_stream._recording.interrupt import Interrupt
from napari_zarr_stream._recording.naming import store_of
from napari_zarr_stream._recording.prepared import makes_of, prepared
from napari_zarr_stream._recording.settings import (
    RecordSettings,
    load_settings,
    unknown_in_words,
)
from napari_zarr_stream._recording.states import FinishReason, RecordingStatus
from napari_zarr_stream._recording.together import Recordings
from napari_zarr_stream._writer.errors import (
    InvalidProperties,
    SourceFailed,
)
from napari_zarr_stream._writer.words import (
    count_in_words,
    duration_in_words,
    size_in_words,
)

from .cameras import list_cameras, settings_of
from .command import Command, say
from .exit_codes import FAILED, FRAMES_LOST, INTERRUPTED
from .storage import add_storage
from .upload import (
    ADDRESS,
    KEYS,
    add_upload_options,
    asked_keys,
    finish_uploads,
)

POLL_S = 0.1
"""How often the progress bar is renewed."""


_OPTIONS = (
    (("--name",), str, "TEXT", "how a store in a folder is called: free text with "
     "{date}, {time} and {counter}"),
    (("--notes",), str, "TEXT", "kept in the record of the store"),
    (("--frame-count", "--frames"), int, "N", "0: until Ctrl-C (default)"),
    (("--interval-s",), float, "S", "from one frame to the next; 0: as fast as they "
     "come (default)"),
    (("--duration-s",), float, "S", "how long to record; 0: no end (default)"),
    (("--pixel-size-um",), float, "UM", "of the sample, in micrometres"),
    (("--z-step-um",), float, "UM", "from one frame to the next where they are the "
     "planes of a stack"),
    (("--channel-name",), str, "TEXT", "how a grey image is called"),
    (("--channel-color",), str, "COLOR", "and coloured: green, or 00FF00"),
    (("--buffer-s",), float, "S", "how long a pause of the disk is survived; takes "
     "memory for that"),
    (("--reserve-mib",), int, "MIB", "stop when no more than this is free on the disk "
     "(default 1024)"),
)  # fmt: skip
"""By the names that they have in a file of settings, too."""


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
        dest="assignments",
        help="a setting of the camera; may be repeated. With several cameras it is for "
        "all of them, or for the Nth as in 2:exposure_ms=5",
    )  # fmt: skip
    parser.add_argument(
        "--settings",
        type=Path,
        metavar="FILE",
        dest="settings_file",
        help="all that can be asked of a recording, as the dock saves it; what is said "
        "here as well goes before it",
    )
    for names, kind, metavar, said in _OPTIONS:
        parser.add_argument(*names, type=kind, metavar=metavar, help=said)
    parser.add_argument(
        "--upload-to", metavar="ADDRESS",
        help=f"bring the store there while it is recorded: {ADDRESS}",
    )  # fmt: skip
    add_upload_options(parser)
    parser.epilog = KEYS
    add_storage(parser)


def _asked(given: argparse.Namespace) -> RecordSettings:
    """What a file says, and what the options say instead."""
    settings = RecordSettings()
    if given.settings_file is not None:
        settings, unknown = load_settings(given.settings_file)
        if unknown:
            say(unknown_in_words(given.settings_file, unknown))
    known = {field.name for field in fields(RecordSettings)}
    said = {
        name: value
        for name, value in vars(given).items()
        if name in known and value is not None
    }
    said["overwrite"] = given.overwrite or settings.overwrite
    if tuple(said.get("cameras", settings.cameras)) != settings.cameras:
        said["camera_settings"] = ()  # those of the file are of others
    settings = settings.changed(**said)
    count = max(1, len(settings.cameras))
    of_cameras = [
        {
            **settings.settings_of(number),
            **settings_of(number + 1, count, given.assignments),
        }
        for number in range(count)
    ]
    return settings.changed(camera_settings=tuple(of_cameras))


def _record(given: argparse.Namespace) -> int:
    if given.list_cameras:
        return list_cameras()
    if given.out is None and given.settings_file is None:
        raise InvalidProperties("record needs the store to be made: record OUT")
    settings = _asked(given)
    properties = settings.properties(given.out)
    makes = makes_of(settings.cameras)
    keys = asked_keys(given)
    with (
        prepared(settings, properties, makes, _tell, keys) as recordings,
        Interrupt(recordings.stop, recordings.abort) as interrupt,
    ):
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
    uploaded = finish_uploads(
        recordings.uploaders,
        [status.path and store_of(status.path) for status in statuses],
    )
    has_end = settings.frame_count or settings.duration_s
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
    return uploaded


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
                if recordings.uploaders:
                    there = sum(status.frames_uploaded or 0 for status in statuses)
                    said["uploaded"] = there
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


def _tell(said: str) -> None:
    print(said, file=sys.stderr)


RECORD = Command(
    "record",
    "record a camera, or several together",
    "Record a camera, or several together. Ctrl-C stops and keeps all "
    "frames; a second Ctrl-C drops those not yet written.",
    _add_options,
    _record,
)
