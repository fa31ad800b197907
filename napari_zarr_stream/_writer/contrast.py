"""Which pixel values show an image well: what black is, and what white.

Live views, reopened stores and the metadata of both take them from here.
"""

import numpy as np
import numpy.typing as npt


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
