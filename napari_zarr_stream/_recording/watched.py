"""A stream, and somebody who looks at what goes into it."""

from collections.abc import Callable
from typing import Any, TypeVar

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
    accept : callable
        Is given what a frame was read with; where it says False the frame is not taken.
    """

    def __init__(
        self,
        stream: ZarrStream,
        look: Callable[[npt.NDArray[np.generic]], None],
        accept: Callable[[Any], bool],
    ) -> None:
        self._stream = stream
        self._look = look
        self._accept = accept

    def append(self, frames: npt.ArrayLike) -> None:
        """See `Sink.append`."""
        self._stream.append(frames)
        self._look(np.asarray(frames))

    def fill(self, read: Callable[[Place], T | None]) -> T | None:
        """See `Sink.fill`."""

        def read_if_wanted(place: Place) -> T | None:
            said = read(place)
            return said if said is not None and self._accept(said) else None

        return self._stream.fill(read_if_wanted, self._look)
