"""The states of an acquisition: legal moves, and the snapshot others see."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import MappingProxyType

from napari_zarr_stream._upload.progress import UploadStatus
from napari_zarr_stream._writer.errors import ZarrStreamError
from napari_zarr_stream._writer.record import FinishReason


class AcquisitionState(Enum):
    """Where an acquisition is; why it ended is `FinishReason`."""

    AWAITING_RUN = "awaiting run"
    RUNNING = "running"
    FLUSHING = "flushing"
    ENDED = "ended"


class AcquisitionEvent(Enum):
    """What happens to an acquisition."""

    BEGIN = "begin"
    END = "end"
    FLUSHED = "flushed"


_S, _E = AcquisitionState, AcquisitionEvent

Moves = Mapping[tuple[AcquisitionState, AcquisitionEvent], AcquisitionState]

TRANSITIONS: Moves = MappingProxyType(
    {
        (_S.AWAITING_RUN, _E.BEGIN): _S.RUNNING,
        (_S.RUNNING, _E.END): _S.FLUSHING,
        (_S.FLUSHING, _E.FLUSHED): _S.ENDED,
    }
)
"""Every legal move. Only `Acquisition._move` assigns the state."""


@dataclass(frozen=True, slots=True)
class AcquisitionStatus:
    """A snapshot of an acquisition.

    Attributes
    ----------
    state : AcquisitionState
    finish_reason : FinishReason or None
        None until it has ended.
    path : Path
    planned : int
        Planes that are asked for; 0 until the run has begun.
    acquired, committed : int
        Planes taken from the engine / readable by another program now.
    uploaded : int or None
        Planes that are at the other place as well; None where nothing is uploaded.
    missing : int
        Planes whose events are over and that did not come; at the end, all that were
        planned and did not.
    missing_planes : str
        Which ones, in words, the first few of them; empty while it runs.
    planes_per_second : float
        Of late.
    is_paused : bool
        Whether the run waits because somebody asked it to.
    next_event_s : float or None
        Until the event that is waited for is due; None where none is, or in a pause.
    position, channel : str
        What is taken now, by name.
    index : dict
        The index of that event, by axis.
    elapsed_s : float
    bytes_acquired, bytes_written : int
        Raw, and stored after compression at all levels.
    queue_fill : float
        0 to 1.
    disk_seconds_left : float or None
        Until the reserve of the disk is reached; None where that is not known.
    error : ZarrStreamError or None
        The first failure.
    upload : UploadStatus or None
        How the upload goes on, after the end as well.
    """

    state: AcquisitionState
    path: Path
    finish_reason: FinishReason | None = None
    planned: int = 0
    acquired: int = 0
    committed: int = 0
    missing: int = 0
    missing_planes: str = ""
    planes_per_second: float = 0.0
    is_paused: bool = False
    next_event_s: float | None = None
    position: str = ""
    channel: str = ""
    index: Mapping[str, int] = field(default_factory=dict)
    elapsed_s: float = 0.0
    bytes_acquired: int = 0
    bytes_written: int = 0
    queue_fill: float = 0.0
    disk_seconds_left: float | None = None
    error: ZarrStreamError | None = None
    uploaded: int | None = None
    upload: UploadStatus | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a run goes on or is being written to its end."""
        return self.state in (AcquisitionState.RUNNING, AcquisitionState.FLUSHING)
