"""The numbers that a camera gives its frames, unwrapped, and what they say is lost.

Every frame that came is delivered, whatever its number. Where numbers do not say what
was lost, that is unknown, never 0.
"""

import math

from .host_clock import host_time_ns
from .protocol import CameraStats, FrameInfo

GIGE_PERIOD = 65535
"""GigE Vision's block ids of 16 bits: 1 follows 65535, 0 is skipped."""

_LATE = 1024  # frames; a driver holds fewer, so what is further back is not late
_FARTHEST = 2**31  # frames; no camera loses more at once, so it counts anew
_WIDTHS = (16, 32, 64)  # bits of the counters that there are
_STEPS = 3  # from that many on, steps that are all alike are no accident


class FrameNumbers:
    """Counts the frames of one run.

    A number that does not rise is that of a frame which was missed and comes late, or
    it was given before: then nobody can tell what is lost, until the end of the run.

    Parameters
    ----------
    period : int or None
        After this number comes 1 again, as in `GIGE_PERIOD`. A camera that goes beyond
        it has wider numbers, which are taken as they are. None: numbers wrap to 0, if
        they do, after 16, 32 or 64 bits.
    """

    def __init__(self, period: int | None = None) -> None:
        # A turn of `_turn` numbers ends with `_end`; 0 where that is not known yet.
        self._end = self._turn = period or 0
        self._newest: int | None = None  # as the camera said it
        self._index = 0  # of that one, from the first one seen
        self._missed: set[int] = set()  # indices that may still come
        self._is_clear = True  # whether the numbers say what was lost
        self._steps, self._unit = 0, 0  # how many there were, their common divisor
        self._had_zero = False
        self._delivered = self._incomplete = 0
        self._lost = self._pending = 0  # before the last frame delivered, and after it

    @property
    def stats(self) -> CameraStats:
        """Counts so far; what is lost is None where numbers do not say it.

        Numbers that rise by 2 every time may be those of a camera that counts so.
        """
        counts_in_steps = self._steps >= _STEPS and self._unit > 1
        is_known = self._is_clear and not counts_in_steps
        lost = self._lost + self._pending if is_known else None
        return CameraStats(self._delivered, lost, self._incomplete)

    def lose(self, count: int = 1) -> None:
        """Count frames that came but cannot be used."""
        self._pending += count

    def deliver(
        self,
        number: int | None,
        device_time_ns: int | None = None,
        complete: bool = True,
    ) -> FrameInfo:
        """Count a frame as delivered now.

        Parameters
        ----------
        number : int or None
            As the camera said it; None where it gives no numbers.
        device_time_ns, complete
            As in `FrameInfo`.
        """
        lost, self._pending = self._pending, 0
        index = None
        if number is None:
            self._is_clear = False
        elif self._newest is None:
            index = self._begin(number)
        elif (step := self._step(number)) is None:
            self._is_clear = False  # they began anew: what lies between is unknown
            index = self._begin(number)
        elif step > 0:
            # Frames that could not be used are among those that are missing here.
            lost = max(lost, step - 1)
            index = self._advance(number, step)
        else:
            index = self._go_back(step)
        self._had_zero = self._had_zero or number == 0
        self._lost += lost
        self._incomplete += not complete
        self._delivered += 1
        return FrameInfo(
            index=self._delivered - 1,
            device_index=index,
            device_time_ns=device_time_ns,
            host_time_ns=host_time_ns(),
            lost_before=lost,
            complete=complete,
        )

    def _begin(self, number: int) -> int:
        self._newest, self._index = number, 0
        self._missed.clear()
        return 0

    def _advance(self, number: int, step: int) -> int:
        first_missed = max(self._index + 1, self._index + step - _LATE)
        self._newest, self._index = number, self._index + step
        self._steps, self._unit = self._steps + 1, math.gcd(self._unit, step)
        if step > 1:
            still = {each for each in self._missed if each > self._index - _LATE}
            self._missed = still | set(range(first_missed, self._index))
        return self._index

    def _go_back(self, step: int) -> int | None:
        index = self._index + step
        if index in self._missed:
            self._missed.remove(index)
            self._lost -= 1  # it was late only
        else:
            self._is_clear = False
        return index if index >= 0 else None

    def _step(self, number: int) -> int | None:
        """Return how far a number is from the newest, negative for a late one.

        None where it has nothing to do with it.
        """
        assert self._newest is not None
        step = number - self._newest
        if step < 0 and self._newest > self._end:
            self._find_turn(number)
        if self._turn and max(number, self._newest) <= self._end:
            if number == 0 and self._turn == self._end:
                self._turn += 1  # 0 is not skipped
            if step < 0 and step + self._turn < self._turn / 2:
                step += self._turn
            elif step > self._turn - _LATE:
                step -= self._turn  # a late one of before the wrap
        return step if -_LATE < step < _FARTHEST else None

    def _find_turn(self, number: int) -> None:
        """Note that numbers wrap here, if they do: close to the end of a counter."""
        assert self._newest is not None
        for bits in _WIDTHS:
            if 2**bits - _LATE < self._newest < 2**bits and number < _LATE:
                self._end, self._turn = 2**bits - 1, 2**bits
                # else it may be that 0 is skipped, or that it was lost
                self._is_clear = self._is_clear and (self._had_zero or number == 0)
