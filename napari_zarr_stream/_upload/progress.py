"""How far a store is brought away, as a snapshot and in words."""

import time
from collections import deque
from dataclasses import dataclass
from enum import Enum

from napari_zarr_stream._writer.errors import ZarrStreamError
from napari_zarr_stream._writer.words import (
    count_in_words,
    duration_in_words,
    size_in_words,
)

RATE_S = 20.0
"""A rate is of so long: long enough for shards that go one by one."""


class UploadPhase(Enum):
    """Where an upload is."""

    WAITING = "waiting"
    """For the store to begin, or the other place to answer."""
    FOLLOWING = "following"
    SWEEPING = "sweeping"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class UploadStatus:
    """A snapshot of an upload.

    Attributes
    ----------
    phase : UploadPhase
    address : str
    bytes_uploaded, files_uploaded : int
        Sent by this upload.
    bytes_behind, files_behind : int
        Finished here, and not there yet, as far as is known.
    bytes_per_second : float
        Of late.
    trouble : str
        Why it does not get on now, in words; empty where it does.
    error : ZarrStreamError or None
        Why it ended, where it failed.
    notes : tuple of str
        What somebody should know of it.
    is_local_deleted : bool
        The local copy was taken away, as was asked for.
    waits_to_delete : bool
        All is there, and the local copy goes when nobody looks at it any more.
    """

    phase: UploadPhase
    address: str
    bytes_uploaded: int = 0
    files_uploaded: int = 0
    bytes_behind: int = 0
    files_behind: int = 0
    bytes_per_second: float = 0.0
    trouble: str = ""
    error: ZarrStreamError | None = None
    notes: tuple[str, ...] = ()
    is_local_deleted: bool = False
    waits_to_delete: bool = False

    @property
    def is_busy(self) -> bool:
        """Whether it goes on."""
        return self.phase in (
            UploadPhase.WAITING, UploadPhase.FOLLOWING, UploadPhase.SWEEPING,
        )  # fmt: skip

    @property
    def seconds_left(self) -> float | None:
        """Until what is behind is there, at the rate of late; None where unknown."""
        if not self.bytes_behind:
            return 0.0
        if not self.bytes_per_second:
            return None
        return self.bytes_behind / self.bytes_per_second


def upload_in_words(
    status: UploadStatus, frames_behind: int = 0, unit: str = "frame"
) -> str:
    """One or two lines: how far behind it is, how long it takes, what is in the way."""
    if status.phase is UploadPhase.DONE:
        gone = "; the local copy is deleted" if status.is_local_deleted else ""
        return f"Uploaded to {status.address}{gone}"
    if status.waits_to_delete:
        return (
            f"Uploaded to {status.address}; the local copy goes when no layer shows it"
        )
    if status.phase is UploadPhase.FAILED:
        return f"Upload failed: {status.error}"
    if status.phase is UploadPhase.STOPPED:
        return f"Upload to {status.address} stopped: `upload` goes on with it"
    lines = []
    if status.bytes_behind:
        behind = [size_in_words(status.bytes_behind)]
        if frames_behind:
            behind.insert(0, count_in_words(frames_behind, unit))
        said = f"upload {', '.join(behind)} behind"
        left = status.seconds_left
        if left is not None and not status.trouble:
            rate = size_in_words(status.bytes_per_second)
            said += f", {duration_in_words(left)} at {rate}/s"
        lines.append(said)
    elif status.phase is UploadPhase.SWEEPING:
        lines.append(f"looking whether all is at {status.address}")
    elif frames_behind:
        frames = count_in_words(frames_behind, unit)
        lines.append(f"upload keeps up: {frames} in files that are not full")
    else:
        lines.append("upload keeps up")
    if status.trouble:
        lines.append(f"Upload waits: {status.trouble}")
    return "\n".join(lines)


class Rate:
    """Bytes a second of late; for one thread, read by any."""

    def __init__(self) -> None:
        self._noted: deque[tuple[float, int]] = deque()
        self.bytes_per_second = 0.0

    def note(self, total: int) -> None:
        """So many bytes were sent until now."""
        now = time.perf_counter()
        if not self._noted or now - self._noted[-1][0] > RATE_S / 40:
            self._noted.append((now, total))
        while now - self._noted[0][0] > RATE_S and len(self._noted) > 1:
            self._noted.popleft()
        since, before = self._noted[0]
        if now - since > RATE_S / 40:
            self.bytes_per_second = (total - before) / (now - since)
