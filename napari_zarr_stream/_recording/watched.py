"""A stream, and somebody who looks at what goes into it."""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from napari_zarr_stream._writer.intake import Place
from napari_zarr_stream._writer.stream import ZarrStream

T = TypeVar("T")


class WatchedStream:
    """A `Sink` that shows what it is given.

    Parameters
    ----------
    stream : ZarrStream
    look : callable
        Is given planes while they are valid.
    """

    def __init__(
        self, stream: ZarrStream, look: Callable[[npt.NDArray[np.generic]], None]
    ) -> None:
        self._stream = stream
        self._look = look

    def append(self, frames: npt.ArrayLike) -> None:
        """See `Sink.append`."""
        self._stream.append(frames)
        self._look(np.asarray(frames))

    def fill(self, read: Callable[[Place], T | None]) -> T | None:
        """See `Sink.fill`."""
        return self._stream.fill(read, self._look)
