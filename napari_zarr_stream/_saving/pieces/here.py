"""Arrays of dask, computed by the thread that asks for a part of them.

Whoever does pieces has all its threads busy with them; on a worker of a cluster, dask
would have the part computed by the cluster, whose threads wait for it.
"""

from typing import Any

import numpy as np
import numpy.typing as npt


class ComputedHere:
    """An array of dask with basic indexing that gives pixels."""

    def __init__(self, array: Any) -> None:
        self.array = array
        self.shape, self.dtype, self.chunks = array.shape, array.dtype, array.chunks

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:
        return np.asarray(self.array[key].compute(scheduler="synchronous"))


def computed_here(name: str, array: Any) -> Any:
    """The array of a layer as it is read for pieces: others than dask's as they are."""
    is_dask = hasattr(array, "__dask_graph__") and hasattr(array, "compute")
    return ComputedHere(array) if is_dask else array
