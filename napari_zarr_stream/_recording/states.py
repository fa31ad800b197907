"""The states of a recording: the table of legal moves, and the snapshot others see."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import MappingProxyType

from napari_zarr_stream._upload.progress import UploadStatus
from napari_zarr_stream._writer.errors import ZarrStreamError
from napari_zarr_stream._writer.plan import Plan
from napari_zarr_stream._writer.record import FinishReason

__all__ = [
    "TRANSITIONS",
    "FinishReason",
    "RecordingEvent",
    "RecordingState",
    "RecordingStatus",
]


class RecordingState(Enum):
    """Where a recording is; why it ended is `FinishReason`."""

    AWAITING_CONFIGURATION = "awaiting configuration"
    ARMED = "armed"
    RUNNING = "running"
    FLUSHING = "flushing"
    CLOSED = "closed"


class RecordingEvent(Enum):
    """What happens to a recording."""

    CONFIGURE = "configure"
    START = "start"
    END = "end"  # the source is done, someone stopped it, or something failed
    FLUSHED = "flushed"
    CLOSE = "close"


_S, _E = RecordingState, RecordingEvent

Moves = Mapping[tuple[RecordingState, RecordingEvent], RecordingState]

TRANSITIONS: Moves = MappingProxyType(
    {
        (_S.AWAITING_CONFIGURATION, _E.CONFIGURE): _S.ARMED,
        (_S.AWAITING_CONFIGURATION, _E.CLOSE): _S.CLOSED,
        (_S.ARMED, _E.CONFIGURE): _S.ARMED,
        (_S.ARMED, _E.START): _S.RUNNING,
        (_S.ARMED, _E.CLOSE): _S.CLOSED,
        (_S.RUNNING, _E.END): _S.FLUSHING,
        (_S.FLUSHING, _E.FLUSHED): _S.ARMED,
        (_S.CLOSED, _E.CLOSE): _S.CLOSED,
    }
)
"""Every legal move. Only `Recording._move` assigns the state."""


@dataclass(frozen=True, slots=True)
class RecordingStatus:
    """A snapshot of a recording.

    Attributes
    ----------
    state : RecordingState
    finish_reason : FinishReason or None
        Of the last run; None while one goes on and before the first.
    path : Path or None
    plan : Plan or None
    counted : str
        What is counted below: "frame", or "plane" where a volume, or the channels of a
        frame, are handed over one by one.
    frames_expected : int or None
        How many there will be in the end; None where it goes on until it is stopped.
    frames_acquired, frames_committed : int
        Frames taken from the source, and readable by another program now.
    frames_lost : int or None
        None where the source cannot know.
    lost_share : float
        Of late, what share of the frames was lost, 0 to 1; 0 where that is unknown, and
        when nothing is recorded.
    queue_was_full : bool
        Of late, frames waited to be written as long as there was room for them.
    frames_incomplete : int
        Of those acquired, how many the camera said have pixels missing.
    frames_out_of_order : int
        Of those acquired, how many have no higher number than the one before.
    frames_untimed : int
        Of those acquired, how many came without a time of the camera's own.
    interval_s : float
        At which frames are due, the first at the start; 0: as fast as they come.
    next_frame_s : float or None
        Until the next is due; None where there is no interval, and when nothing is
        recorded.
    frames_late, frames_missing : int
        Of those that were due, how many came after their time, or were left out after a
        long pause, as of a computer that slept.
    bytes_acquired, bytes_written : int
        Raw, and stored after compression at all levels.
    queue_fill : float
        0 to 1.
    elapsed_s : float
        From the moment at which frames were wanted to the end of the flush.
    frames_per_second, bytes_per_second : float
        Of late, acquired; over the whole run once it is over.
    error : ZarrStreamError or None
        The first failure.
    stop_reason : str
        Why the recording stopped itself; empty where it did not.
    silent_s : float
        For how long no frame has come, where one is overdue; 0 otherwise.
    frames_uploaded : int or None
        Of those committed, at the place that the store is brought to, for readers
        there; None where it is brought nowhere.
    upload : UploadStatus or None
        How that goes on: also after the recording has ended.
    disk_seconds_left : float or None
        Until the reserve of the disk is reached at the rate of late; None where that
        is not known, and when nothing is recorded.
    """

    state: RecordingState
    finish_reason: FinishReason | None = None
    path: Path | None = None
    plan: Plan | None = None
    counted: str = "frame"
    frames_expected: int | None = None
    frames_acquired: int = 0
    frames_committed: int = 0
    frames_uploaded: int | None = None
    frames_lost: int | None = 0
    lost_share: float = 0.0
    queue_was_full: bool = False
    frames_incomplete: int = 0
    frames_out_of_order: int = 0
    frames_untimed: int = 0
    interval_s: float = 0.0
    next_frame_s: float | None = None
    frames_late: int = 0
    frames_missing: int = 0
    bytes_acquired: int = 0
    bytes_written: int = 0
    queue_fill: float = 0.0
    elapsed_s: float = 0.0
    frames_per_second: float = 0.0
    bytes_per_second: float = 0.0
    error: ZarrStreamError | None = None
    stop_reason: str = ""
    silent_s: float = 0.0
    disk_seconds_left: float | None = None
    upload: UploadStatus | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a run goes on or is being written to its end."""
        return self.state in (RecordingState.RUNNING, RecordingState.FLUSHING)
