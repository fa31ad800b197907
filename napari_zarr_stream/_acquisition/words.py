"""The counts of a run, and how it ended, as the dock and the window say it."""

import html
import math

from napari_zarr_stream._upload.progress import upload_in_words
from napari_zarr_stream._writer.record import FinishReason
from napari_zarr_stream._writer.words import (
    count_in_words,
    duration_in_words,
    rate_in_words,
)

from .states import AcquisitionState, AcquisitionStatus

DISK_WARNING_S = 120.0
"""With space for less than this, somebody has to do something."""


def counts_in_words(status: AcquisitionStatus) -> str:
    """How far a run is, in short lines of HTML: what is not known is left out."""
    missing = f"{status.missing:,} missing"
    lines = [
        f"<b>{status.acquired:,}</b> of <b>{status.planned:,}</b> planes acquired",
        f"<b>{status.committed:,}</b> committed, <b>{missing}</b>",
    ]
    if status.uploaded is not None:
        lines[-1] += f", <b>{status.uploaded:,}</b> uploaded"
    if status.upload is not None:
        behind = status.committed - (status.uploaded or 0)
        said = upload_in_words(status.upload, behind, "plane")
        lines += map(html.escape, said.splitlines())
    if status.state is AcquisitionState.RUNNING:
        here = [status.position, status.channel]
        here += [f"{axis} {n}" for axis, n in status.index.items() if axis in "tz"]
        what = "Next is" if status.next_event_s else "Taking"
        what = "<b>Paused</b> before" if status.is_paused else what
        lines.append(f"{what} " + html.escape(", ".join(filter(None, here))))
        rate = rate_in_words(status.planes_per_second, "plane")
        if status.next_event_s:
            wait_s = math.ceil(status.next_event_s)
            rate += f", <b>next in {duration_in_words(wait_s)}</b>"
        lines.append(rate)
        lines.append(
            f"{duration_in_words(status.elapsed_s)} elapsed, "
            f"queue {100 * status.queue_fill:.0f} % full"
        )
        if status.disk_seconds_left is not None:
            left = duration_in_words(status.disk_seconds_left)
            lines.append(f"room on the disk for {left}")
    return "<br>".join(lines)


def warning_in_words(status: AcquisitionStatus) -> str:
    """What somebody should know of now; empty if nothing."""
    said = []
    if status.missing and status.is_busy:
        said.append(
            f"{count_in_words(status.missing, 'plane')} did not come: see the log of "
            "Micro-Manager. The run goes on."
        )
    left_s = status.disk_seconds_left
    if status.is_busy and left_s is not None and left_s < DISK_WARNING_S:
        left = duration_in_words(left_s)
        said.append(f"Disk space for {left} at this rate: make room or cancel.")
    return "\n".join(said)


def end_in_words(status: AcquisitionStatus) -> str:
    """How a run ended, and what is there of it."""
    name, reason = status.path.name, status.finish_reason
    done = f"{status.committed:,} of {count_in_words(status.planned, 'plane')}"
    if reason is FinishReason.FAILED:
        there = (
            f"\n{done} were written to {status.path}"
            if status.committed
            else "\nNothing was written"
        )
        return f"The run failed: {status.error}{there}"
    if reason is FinishReason.CANCELED:
        return f"Cancelled: {name}, {done}\nSaved in {status.path}"
    if status.missing:
        return (
            f"Incomplete: {name}, {status.missing:,} of "
            f"{count_in_words(status.planned, 'plane')} did not come and are black "
            f"({status.missing_planes})\nSaved in {status.path}"
        )
    planes = count_in_words(status.committed, "plane")
    return f"Saved {name}, {planes}\nSaved in {status.path}"
