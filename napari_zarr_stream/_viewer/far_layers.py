"""Layers of stores that are far away: no slider waits for a network.

What is not there yet is fetched in a thread, and shown when it has come; until then
what was shown before stays.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_warning
from qtpy.compat import isalive
from qtpy.QtCore import QObject, Signal

from napari_zarr_stream._reading.far import is_far, without_waiting
from napari_zarr_stream._reading.side_by_side import side_by_side

from .background import in_background
from .napari_compat import main_window_of, slice_by, viewer_itself

if TYPE_CHECKING:
    from concurrent.futures import Future

MOST_FETCHED = 3
"""Views of one layer at a time: a slider that is dragged passes by many."""


class FarLayer(QObject):
    """A layer whose pixels take time to come.

    `came` is emitted in the thread that fetched, and heard in that of the window.

    Parameters
    ----------
    layer : napari.layers.Layer
    parent : QObject
    """

    came = Signal()

    def __init__(self, layer: Any, parent: QObject) -> None:
        super().__init__(parent)
        self._layer = layer
        self._fetching: set[Future[Any]] = set()
        self._said = ""
        self.came.connect(self._show)
        slice_by(layer, self._slice)

    @property
    def is_waiting(self) -> bool:
        """Whether something that was looked at has not come yet."""
        return bool(self._fetching)

    def _slice(self, ask: Callable[[], Any]) -> Any | None:
        """What `ask` reads, if it is at hand; None where it will be."""
        with without_waiting() as missing:
            response = ask()
        if not missing:
            return response
        if len(self._fetching) < MOST_FETCHED:
            fetch = partial(side_by_side, lambda read: read(), missing)
            fetching = in_background(fetch, may_be_dropped=True)
            self._fetching.add(fetching)
            fetching.add_done_callback(self._tell)
        return None

    def _tell(self, _: object) -> None:
        if isalive(self):  # the layer may be removed
            self.came.emit()

    def _show(self) -> None:
        """Show what has come, or say why it does not."""
        ended = {fetching for fetching in self._fetching if fetching.done()}
        self._fetching -= ended
        failures = [f.exception() for f in ended if f.exception()]
        if not failures:
            self._said = ""
            self._layer.refresh(extent=False, highlight=False)
        elif str(failures[0]) != self._said:  # once for each failure, not each step
            self._said = str(failures[0])
            show_warning(self._said)


class FarLayers(QObject):
    """All layers of one viewer that are far away.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: Any) -> None:
        super().__init__(main_window_of(viewer))
        self._layers: dict[Any, FarLayer] = {}
        viewer.layers.events.inserted.connect(self._take)
        viewer.layers.events.removed.connect(self._drop)

    @property
    def is_waiting(self) -> bool:
        """Whether something that was looked at has not come yet."""
        return any(layer.is_waiting for layer in self._layers.values())

    def _take(self, event: Any) -> None:
        layer = event.value
        data = layer.data
        levels = data if getattr(layer, "multiscale", False) else [data]
        if any(map(is_far, levels)):
            self._layers[layer] = FarLayer(layer, self)

    def _drop(self, event: Any) -> None:
        if (far := self._layers.pop(event.value, None)) is not None:
            far.deleteLater()


def far_layers_of(viewer: Any) -> FarLayers:
    """Those of a viewer, from when they are first asked for; they live as long."""
    for child in main_window_of(viewer).children():
        if isinstance(child, FarLayers):
            return child
    return FarLayers(viewer_itself(viewer))
