"""The numbers that a camera gives its frames, unwrapped, and what they say is lost."""

import time

from .protocol import CameraStats, FrameInfo

GIGE_PERIOD = 65535
"""GigE Vision's block ids of 16 bits: 1 follows 65535, 0 is skipped."""

_LATE = 1024  # frames; a driver holds fewer, so what is further back is not late


class FrameNumbers:
    """Counts the frames of one run.

    Parameters
    ----------
    period : int or None
        After this number comes 1 again, as in `GIGE_PERIOD`. A camera that goes beyond
        it has wider numbers, which are taken as they are. None: numbers never wrap.
    """

    def __init__(self, period: int | None = None) -> None:
        self._period = period
        self._last: int | None = None  # as the camera said it
        self._index = 0  # of the last one, from the first one seen
        self._numbered = True
        self._delivered = self._incomplete = 0
        self._lost = self._pending = 0  # before the last frame delivered, and after it

    @property
    def stats(self) -> CameraStats:
        """Counts so far; what is lost is unknown where frames have no numbers."""
        lost = self._lost + self._pending if self._numbered else None
        return CameraStats(self._delivered, lost, self._incomplete)

    def lose(self, count: int = 1) -> None:
        """Count frames that came but cannot be used."""
        self._pending += count

    def is_late(self, number: int | None) -> bool:
        """Whether a later frame was delivered already: this one stays lost.

        Delivered, it would stand at a wrong time. The same number again is late, too.
        """
        if number is None or self._last is None:
            return False
        return -_LATE < self._step(number) <= 0

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
        if number is None:
            self._numbered = False
        elif self._last is not None:
            step = self._step(number)
            if step > 0:
                # Frames that could not be used are among those that are missing here.
                self._index, self._pending = self._index + step, step - 1
            else:
                self._numbered = False  # they began anew: what lies between is unknown
        lost, self._pending = self._pending, 0
        self._last = number
        self._lost += lost
        self._incomplete += not complete
        self._delivered += 1
        return FrameInfo(
            index=self._delivered - 1,
            device_index=self._index if self._numbered else None,
            device_time_ns=device_time_ns,
            host_time_ns=time.time_ns(),
            lost_before=lost,
            complete=complete,
        )

    def _step(self, number: int) -> int:
        """Return how far a number is from the last one, negative for a late one."""
        assert self._last is not None
        step = number - self._last
        if self._period is None or self._last > self._period:
            return step
        if step <= -_LATE:
            return step + self._period
        if step > self._period - _LATE and number <= self._period:
            return step - self._period  # a late one of before the wrap
        return step
