"""Any box of the pixels of a source, read by whoever gets it: a thread, a process."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from napari_zarr_stream._writer.errors import SourceFailed

from .plane_reader import PlaneReader


@dataclass(frozen=True, slots=True)
class Boxes:
    """Layers that lie one behind another along an axis, or one layer.

    Attributes
    ----------
    readers : tuple of PlaneReader
    axis : int or None
        None where there is one layer.
    names : tuple of str
        Of the layers.
    """

    readers: tuple[PlaneReader, ...]
    axis: int | None
    names: tuple[str, ...]

    def over(self, change: Callable[[str, Any], Any]) -> Self:
        """The same of other arrays: what `change` makes of a name and its array."""
        pairs = zip(self.names, self.readers, strict=True)
        readers = (each.over(change(name, each.array)) for name, each in pairs)
        return replace(self, readers=tuple(readers))

    def read(self, start: Sequence[int], stop: Sequence[int]) -> npt.NDArray[Any]:
        """The pixels from `start` up to `stop`; may be called from several threads.

        Raises
        ------
        SourceFailed
            Naming the layers and the place.
        """
        try:
            return self._read(list(start), list(stop))
        except Exception as error:
            names = ", ".join(map(repr, self.names))
            raise SourceFailed(
                f"pixels {tuple(start)} to {tuple(stop)} of layer {names} could not be "
                f"read: {error!r}"
            ) from error

    def _read(self, start: list[int], stop: list[int]) -> npt.NDArray[Any]:
        if self.axis is None:
            return self.readers[0].box(start, stop)
        some = self.readers[start.pop(self.axis) : stop.pop(self.axis)]
        return np.stack([each.box(start, stop) for each in some], self.axis)
