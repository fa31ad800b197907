"""Layers of stores that are far away: no slider waits for a network.

What is not there yet is fetched in a thread, and shown when it has come; until then
what was shown before stays.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_warning
from qtpy.compat import isalive
from qtpy.QtCore import QObject, QTimer, Signal

from napari_zarr_stream._reading.far import is_far, without_waiting
from napari_zarr_stream._reading.location import may_come
from napari_zarr_stream._reading.side_by_side import side_by_side

from .background import in_background
from .napari_compat import main_window_of, slice_by, viewer_itself

if TYPE_CHECKING:
    from concurrent.futures import Future

MOST_FETCHED = 3
"""Views of one layer at a time: a slider that is dragged passes by many."""


AGAIN_MS, MOST_AGAIN_MS = 1000, 16_000
"""What nobody answered is asked for again, as often as it fails after twice the time:
so it comes at the latest when the network is back for as long as it was away."""


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
        self._passed_by = False
        self._said = ""
        self._again = QTimer(self)
        self._again.setSingleShot(True)
        self._again.timeout.connect(self._look)
        self._wait_ms = AGAIN_MS
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
        self._passed_by = len(self._fetching) >= MOST_FETCHED
        if not self._passed_by:
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
        if not ended:  # shown already, with another that ended
            return
        self._fetching -= ended
        failures = [error for fetching in ended if (error := fetching.exception())]
        will_ask = any(map(may_come, failures))
        if failures and str(failures[0]) != self._said:
            self._said = str(failures[0])  # once for each failure, not each step
            more = ". What is looked at is asked for again until it comes"
            show_warning(f"{self._said}{more if will_ask else ''}")
        if len(failures) < len(ended) or self._passed_by:
            self._look()
        if not failures:
            self._said, self._wait_ms = "", AGAIN_MS
        elif will_ask and not self._again.isActive():
            self._again.start(self._wait_ms)
            self._wait_ms = min(2 * self._wait_ms, MOST_AGAIN_MS)

    def _look(self) -> None:
        """Look at what the sliders are at, which is fetched where it is not at hand."""
        self._passed_by = False
        self._layer.refresh(extent=False, highlight=False)


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
