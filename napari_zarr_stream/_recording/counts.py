"""The counts of recordings, as the dock shows them. Knows no Qt."""

import html
import math
from collections.abc import Sequence

from napari_zarr_stream._upload.progress import upload_in_words
from napari_zarr_stream._writer.words import (
    count_in_words,
    duration_in_words,
    interval_in_words,
    rate_in_words,
    size_in_words,
)

from .disk import time_left
from .naming import store_of
from .pace import FULL
from .states import RecordingStatus


def lost_in_words(lost: int | None) -> str:
    """How many frames were lost, never 0 where nobody can know."""
    return "lost unknown" if lost is None else f"{lost:,} lost"


def amiss_in_words(status: RecordingStatus) -> list[str]:
    """What is wrong with frames that were acquired; nothing where all is well."""
    numbers = {
        "incomplete": status.frames_incomplete,
        "out of order": status.frames_out_of_order,
        "without camera time": status.frames_untimed,
        "late": status.frames_late,
        "missing": status.frames_missing,
    }
    return [f"{count:,} {what}" for what, count in numbers.items() if count]


def totals_in_words(status: RecordingStatus) -> str:
    """What came of a recording: "3 frames acquired, 3 committed, 0 lost"."""
    return ", ".join(
        [
            f"{count_in_words(status.frames_acquired, status.counted)} acquired",
            f"{status.frames_committed:,} committed",
            *_uploaded(status),
            lost_in_words(status.frames_lost),
            *amiss_in_words(status),
        ]
    )


def _uploaded(status: RecordingStatus) -> list[str]:
    """How many frames are at the other place; nothing where there is none."""
    there = status.frames_uploaded
    return [] if there is None else [f"{there:,} uploaded"]


def upload_of(status: RecordingStatus) -> str:
    """How the upload goes on; empty where there is none."""
    if status.upload is None:
        return ""
    behind = status.frames_committed - (status.frames_uploaded or 0)
    return upload_in_words(status.upload, behind)


NAME_LENGTH = 24
"""Of the name of a store, what is shown before the counts."""


def saved_in_words(status: RecordingStatus) -> str:
    """What was saved, where, and what came of it.

    napari shows some forty characters of a message: the name and the counts are first.
    """
    assert status.path is not None
    saved = [
        f"Saved {_shortened(store_of(status.path).name)}",
        count_in_words(status.frames_committed, status.counted),
        lost_in_words(status.frames_lost),
        *amiss_in_words(status),
    ]
    return f"{', '.join(saved)}\n{totals_in_words(status)}. Saved in {status.path}"


def _shortened(name: str) -> str:
    """Without its middle: names differ in their ends."""
    if len(name) <= NAME_LENGTH:
        return name
    half = NAME_LENGTH // 2
    return f"{name[: half - 1]}…{name[-half:]}"


DISK_WARNING_S = 120.0
"""With space for less than this, somebody has to do something."""


def warning_in_words(statuses: Sequence[RecordingStatus]) -> str:
    """What somebody should do now, while it is recorded; empty if nothing."""
    said = []
    losing = max(statuses, key=lambda status: status.lost_share, default=None)
    if losing is not None and losing.lost_share > 0:
        said.append(_losing_in_words(losing))
    left_s = time_left([status.disk_seconds_left for status in statuses])
    if left_s is not None and left_s < DISK_WARNING_S:
        said.append(
            f"Disk space for {duration_in_words(left_s)} at this rate: make room or "
            "stop."
        )
    silent = max(statuses, key=lambda status: status.silent_s, default=None)
    if silent is not None and silent.silent_s:
        since = duration_in_words(silent.silent_s)
        said.append(
            f"Nothing could be written for {since}: is the disk still connected?"
            if silent.queue_fill > FULL
            else f"No frame for {since}: is the camera connected, and triggered? Stop "
            "keeps what came."
        )
    return "\n".join(said)


def _losing_in_words(status: RecordingStatus) -> str:
    """What share of the frames is being lost, why, and what to do."""
    share = status.lost_share
    part = "Less than 1 %" if share < 0.01 else f"{share * 100:.0f} %"
    if status.queue_was_full:
        return (
            f"The disk is too slow: {part.lower()} of frames are lost. Record smaller "
            "frames or fewer a second, or to a faster disk."
        )
    return (
        f"{part} of frames are lost before they come here: record smaller frames or "
        "fewer a second, and look after the camera's cable and other programs."
    )


def _interval_in_words(status: RecordingStatus) -> str:
    """When the next frame is due; empty where they come as fast as they do."""
    if not status.interval_s:
        return ""
    said = f"a {status.counted} every {interval_in_words(status.interval_s)}"
    if status.next_frame_s is not None:
        said += f", <b>next in {duration_in_words(math.ceil(status.next_frame_s))}</b>"
    return said


def counts_in_words(
    statuses: Sequence[tuple[str, RecordingStatus]], *, upload: bool = True
) -> str:
    """Each recording by its title, where there are several; unknown is never 0.

    With `upload`, how that goes on as well.
    """
    parts = []
    for title, status in statuses:
        if status.path is None:
            continue
        several = f"<u>{html.escape(title)}</u><br>" if len(statuses) > 1 else ""
        counts = [
            f"<b>{status.frames_acquired:,}</b> acquired",
            f"<b>{status.frames_committed:,}</b> committed",
            *(f"<b>{status.frames_uploaded:,}</b> uploaded" for _ in _uploaded(status)),
            f"<b>{lost_in_words(status.frames_lost)}</b>",
        ]
        counts += [f"<b>{amiss}</b>" for amiss in amiss_in_words(status)]
        lines = [
            several + ", ".join(counts),
            _interval_in_words(status)
            or f"{rate_in_words(status.frames_per_second, status.counted)}, "
            f"{size_in_words(status.bytes_per_second)}/s",
        ]
        if status.is_busy:
            lines.append(
                f"{duration_in_words(status.elapsed_s)} elapsed, "
                f"queue {100 * status.queue_fill:.0f} % full"
            )
            if (left_s := status.disk_seconds_left) is not None:
                lines.append(f"room on the disk for {duration_in_words(left_s)}")
        if upload and (said := upload_of(status)):
            lines.append(html.escape(said).replace("\n", "<br>"))
        parts.append("<br>".join(lines))
    return "<br><br>".join(parts)
