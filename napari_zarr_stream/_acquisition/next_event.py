"""What a run takes next, and in how long: a pause puts it off."""

import time
from collections.abc import Mapping


class NextEvent:
    """The event that is taken or waited for; an engine tells of it, anybody may ask.

    Attributes
    ----------
    index : mapping
        Of the event, by axis.
    """

    def __init__(self) -> None:
        self.index: Mapping[str, int] = {}
        self._due_at: float | None = None
        self._paused_at: float | None = None
        self._paused_s = 0.0  # before that

    def expect(self, index: Mapping[str, int], due_s: float | None) -> None:
        """It is due in so many seconds, but for pauses; None where it is not known."""
        self.index = index
        now = time.perf_counter()
        self._due_at = None if due_s is None else now + due_s + self._paused_s

    def taken(self, index: Mapping[str, int]) -> None:
        """It is not waited for any more."""
        self.index, self._due_at = index, None

    def note_paused(self, is_paused: bool) -> None:
        """Hear whether the run is paused; from one thread.

        Micro-Manager puts off all events behind the one that it waits for.
        """
        now = time.perf_counter()
        if is_paused and self._paused_at is None:
            self._paused_at = now
        elif not is_paused and self._paused_at is not None:
            self._paused_s += now - self._paused_at
            self._paused_at = None

    @property
    def is_paused(self) -> bool:
        """Whether the run is, as far as was heard."""
        return self._paused_at is not None

    @property
    def due_s(self) -> float | None:
        """Until it is due; None where it is not waited for, or nobody can say."""
        due_at = self._due_at
        if due_at is None or self.is_paused:
            return None
        return max(0.0, due_at - time.perf_counter())
