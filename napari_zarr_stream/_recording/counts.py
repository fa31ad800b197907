"""The counts of recordings, as the dock shows them. Knows no Qt."""

from collections.abc import Sequence

from napari_zarr_stream._writer.words import duration_in_words, size_in_words

from .disk import time_left
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
    }
    return [f"{count:,} {what}" for what, count in numbers.items() if count]


DISK_WARNING_S = 120.0
"""With space for less than this, somebody has to do something."""


def warning_in_words(statuses: Sequence[RecordingStatus]) -> str:
    """What somebody should do now, while it is recorded; empty if nothing."""
    said = []
    left_s = time_left([status.disk_seconds_left for status in statuses])
    if left_s is not None and left_s < DISK_WARNING_S:
        said.append(
            f"Disk space for {duration_in_words(left_s)} at this rate: make room or "
            "stop."
        )
    if silent_s := max((status.silent_s for status in statuses), default=0.0):
        said.append(
            f"No frame for {duration_in_words(silent_s)}: is the camera connected, and "
            "triggered? Stop keeps what came."
        )
    return "\n".join(said)


def counts_in_words(statuses: Sequence[tuple[str, RecordingStatus]]) -> str:
    """Each recording by its title, where there are several; unknown is never 0."""
    parts = []
    for title, status in statuses:
        if status.path is None:
            continue
        several = f"{title}<br>" if len(statuses) > 1 else ""
        counts = [
            f"<b>{status.frames_acquired:,}</b> acquired",
            f"<b>{status.frames_committed:,}</b> committed",
            f"<b>{lost_in_words(status.frames_lost)}</b>",
        ]
        counts += [f"<b>{amiss}</b>" for amiss in amiss_in_words(status)]
        lines = [
            several + ", ".join(counts),
            f"{status.frames_per_second:.4g} frames/s, "
            f"{size_in_words(status.bytes_per_second)}/s",
        ]
        if status.is_busy:
            lines.append(
                f"{duration_in_words(status.elapsed_s)} elapsed, "
                f"queue {status.queue_fill:.0%} full"
            )
        parts.append("<br>".join(lines))
    return "<br>".join(parts)
