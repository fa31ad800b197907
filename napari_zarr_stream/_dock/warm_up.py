"""What takes long at the first click is done while the user looks at the new dock."""

import numpy as np
from napari.layers import Image

from napari_zarr_stream._writer.downsample import TileHalver

WARM_UP_MS = 200
"""Long enough for the widget to be painted first."""


def warm_up() -> None:
    """Import and compile while the user looks at the new widget, not at a click.

    The first image layer of a session, the first zarr array and numba take about half a
    second each.
    """
    import zarr  # noqa: F401

    Image(np.zeros((2, 2), np.uint16))
    TileHalver(np.dtype(np.uint16))
