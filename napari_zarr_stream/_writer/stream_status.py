"""A snapshot of a stream: how far it has come."""

from dataclasses import dataclass

from .errors import ZarrStreamError


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """How far a stream has come.

    Attributes
    ----------
    frames_appended : int
        Frames taken from the caller: planes, unless `planes_per_frame` was given.
    frames_committed : int
        Frames that another program can read now.
    bytes_appended : int
        Raw.
    bytes_written : int
        Of chunks, after compression, all levels.
    queue_fill : float
        Share of the queue that holds planes not yet written, 0 to 1.
    closed : bool
    error : ZarrStreamError or None
        The first failure; it ended the stream.
    """

    frames_appended: int
    frames_committed: int
    bytes_appended: int
    bytes_written: int
    queue_fill: float
    closed: bool
    error: ZarrStreamError | None
