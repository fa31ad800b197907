"""What takes long at the first click is done while the user looks at the new dock."""

import contextlib
from functools import cache
from importlib import import_module

import numpy as np

from napari_zarr_stream._writer.downsample import TileHalver, compile_apart

WARM_UP_MS = 200
"""Long enough for the widget to be painted first."""

DTYPES = (np.uint8, np.uint16, np.int16, np.float32)
"""Of nearly all cameras; of others it is compiled at the click."""

OF_A_LAYER = ("scipy.ndimage", "xarray")
"""napari 0.9 imports them with the first layer that is added, in the window's thread,
the second one wherever it is installed (`_check_xarray`): 0.6 s at the click."""


@cache
def warm_up() -> None:
    """Import and compile, once; in a thread, since it takes a second or two.

    No layer is made here, which takes half a second as well: napari's registry of units
    is not safe to be asked for the first time by two threads.
    """
    for name in (*OF_A_LAYER, "zarr"):
        with contextlib.suppress(ImportError):  # nothing of ours needs the others
            import_module(name)
    compile_apart(DTYPES)
    for dtype in DTYPES:
        TileHalver(np.dtype(dtype))
