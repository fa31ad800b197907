"""The counts of recordings, as the dock shows them. Knows no Qt."""

from collections.abc import Sequence

from ._recording import RecordingStatus
from ._summary import duration_in_words, size_in_words


def lost_in_words(lost: int | None) -> str:
    """How many frames were lost, never 0 where nobody can know."""
    return "lost unknown" if lost is None else f"{lost:,} lost"


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
        if status.frames_incomplete:
            counts.append(f"<b>{status.frames_incomplete:,}</b> incomplete")
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
