"""Which pixel values show an image well: what black is, and what white.

Live views, reopened stores and the metadata of both take them from here.
"""

import math
import time

import numpy as np
import numpy.typing as npt

WIDENING_S, LOOKS = 1.0, 10
"""For how long at least, and how many looks, limits may change fast: a shutter opens
late, a lamp needs a moment, and the first frames of a camera are often dark."""

LOOK_S, LATER_LOOK_S = 0.05, 1.0
"""Between two looks, of 2 ms each: at first, and after that."""


def range_of(dtype: np.dtype[np.generic]) -> tuple[float, float]:
    """Smallest and largest value; 0 and 1 for bool and floats."""
    if dtype.kind in "iu":
        limits = np.iinfo(dtype.str[1:])
        return float(limits.min), float(limits.max)
    return 0.0, 1.0


def contrast_limits_of(plane: npt.NDArray[np.generic]) -> tuple[float, float]:
    """Limits that show a plane well: its 0.5 and 99.8 percentiles, never equal.

    Single hot pixels do not count, unless there is nothing else; neither do NaN and
    infinity.
    """
    sample = plane[:: 1 + plane.shape[0] // 256, :: 1 + plane.shape[1] // 256]
    return limits_of_values(sample.ravel())


def limits_of_values(values: npt.NDArray[np.generic]) -> tuple[float, float]:
    """The same for pixels without a place: shape (n,)."""
    finite = values.astype(np.float64)
    finite = finite[np.isfinite(finite)]
    if not finite.size:
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(finite, (0.5, 99.8)))
    if low == high:  # few pixels are bright: beads, single molecules
        low, high = float(finite.min()), float(finite.max())
    return (low, high) if low < high else (low, low + 1.0)


class WideningLimits:
    """Limits that show all frames that come one after another, not only the first.

    They grow until somebody has chosen others.

    Attributes
    ----------
    limits : (float, float) or None
        None before the first frame.
    """

    def __init__(self) -> None:
        self.limits: tuple[float, float] | None = None
        self._began_at = self._looked_at = -math.inf
        self._looks = 0
        self._are_kept = False

    def keep(self, limits: tuple[float, float]) -> None:
        """Somebody has chosen these: they are not widened any more."""
        self.limits, self._are_kept = limits, True

    def see(self, plane: npt.NDArray[np.generic]) -> None:
        """Look at (height, width), if it is time to; widens the limits if need be."""
        now = time.perf_counter()
        if self._are_kept or now - self._looked_at < self._patience(now):
            return
        low, high = contrast_limits_of(plane)
        if self.limits is None:
            self._began_at = now
        else:
            low, high = min(low, self.limits[0]), max(high, self.limits[1])
        if not self._are_kept:  # by another thread, meanwhile
            self.limits = low, high
        self._looked_at = now
        self._looks += 1

    def _patience(self, now: float) -> float:
        """How long ago the last look has to be."""
        is_settled = self._looks >= LOOKS and now - self._began_at > WIDENING_S
        return LATER_LOOK_S if is_settled else LOOK_S
