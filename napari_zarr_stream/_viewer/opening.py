"""Opening a store in a viewer whose window goes on while a network answers."""

from collections.abc import Callable
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Layer
from qtpy.QtCore import QEventLoop, QTimer

from napari_zarr_stream._reading.layers import LayerData
from napari_zarr_stream._reading.reader import layers_of
from napari_zarr_stream._reading.side_by_side import side_by_side

from .background import in_background
from .far_layers import far_layers_of

if TYPE_CHECKING:
    from concurrent.futures import Future

POLL_MS = 10


def read_for(viewer: Any, read: Callable[[], list[LayerData]]) -> list[LayerData]:
    """What `read` returns, read in a thread while the window is painted.

    Clicks and keys wait until it has: napari takes the layers from where it asked.
    """
    reading = _reading(viewer, read)
    loop, timer = QEventLoop(), QTimer()
    timer.timeout.connect(lambda: loop.quit() if reading.done() else None)
    timer.start(POLL_MS)
    if not reading.done():
        loop.exec(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents)
    timer.stop()
    return reading.result()


def layers_at(viewer: Any, address: str) -> "Future[list[LayerData]]":
    """Layers of a store at an address, which are read meanwhile.

    It has InvalidStore where they cannot be; `show` shows them.
    """
    return _reading(viewer, lambda: layers_of(address))


def show(viewer: Any, layers: list[LayerData]) -> list[Any]:
    """Add layers to a viewer."""
    return [viewer.add_layer(Layer.create(*layer)) for layer in layers]


def _reading(
    viewer: Any, read: Callable[[], list[LayerData]]
) -> "Future[list[LayerData]]":
    far_layers_of(viewer)  # begins with the layers when they come
    return in_background(lambda: with_first_views(read()), may_be_dropped=True)


MOST_SLIDERS = 3
"""Of more, 81 planes and more would be read."""


def with_first_views(layers: list[LayerData]) -> list[LayerData]:
    """The same, and what napari reads of them before it shows anything is at hand.

    From any thread. Fields of a plate that were opened for it stay open.
    """
    views = []
    for data, meta, _ in layers:
        smallest = data[-1] if meta.get("multiscale") else data
        outer = smallest.shape[:-2]
        # Where a layer begins, and where a viewer puts its sliders for the first one.
        places = product(*({0, (size - 1) // 2, size // 2} for size in outer))
        views += [smallest[place] for place in places if len(outer) <= MOST_SLIDERS]
    side_by_side(np.asarray, views)
    return layers
