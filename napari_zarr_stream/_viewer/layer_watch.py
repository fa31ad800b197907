"""A layer that is deleted or given other data while it is recorded."""

from typing import Any

from napari.utils.notifications import show_warning


class LayerWatch:
    """Says once that a layer is not what is recorded any more.

    The recording has the array that the layer had at the start, and goes on with it.

    Parameters
    ----------
    viewer : napari.Viewer
    layer : napari.layers.Layer
    """

    def __init__(self, viewer: Any, layer: Any) -> None:
        self._layer = layer
        self._removed = viewer.layers.events.removed
        self._removed.connect(self._see_removed)
        layer.events.data.connect(self._see_data)

    def _see_removed(self, event: Any) -> None:
        if event.value is self._layer:
            self._tell("was deleted")

    def _see_data(self) -> None:
        self._tell("has other data now")

    def _tell(self, what: str) -> None:
        self.stop()
        show_warning(
            f"Layer {self._layer.name!r} {what}: the recording goes on with the data "
            "that it had at the start."
        )

    def stop(self) -> None:
        """Look no more; may be called twice."""
        self._removed.disconnect(self._see_removed)
        self._layer.events.data.disconnect(self._see_data)
