"""Positions that are open, shown in the other way: behind a slider, or side by side."""

from typing import Any

import napari  # noqa: TC002 - napari looks for this name in the signature
from napari.utils.notifications import show_info, show_warning
from qtpy.QtCore import QTimer

from napari_zarr_stream._reading.layers import PATH_KEY
from napari_zarr_stream._reading.positions import POSITIONS_KEY, Positions
from napari_zarr_stream._reading.reader import layers_and_notes
from napari_zarr_stream._writer.errors import ZarrStreamError

from .background import in_background

POLL_MS = 50


def arrange_positions(viewer: "napari.viewer.Viewer") -> None:
    """Show the positions of the selected layers in the other way; returns at once.

    Parameters
    ----------
    viewer : napari.Viewer
    """
    chosen = [layer for layer in viewer.layers.selection if _is_of_positions(layer)]
    if not chosen:
        show_info("Select a layer that shows positions of a stage.")
        return
    layer = chosen[0]
    path = layer.metadata[PATH_KEY]
    how = Positions.SIDE_BY_SIDE if layer.axis_labels[0] == "p" else Positions.SLIDER
    opened = in_background(lambda: layers_and_notes(path, how), may_be_dropped=True)

    def show() -> None:
        if not opened.done():
            QTimer.singleShot(POLL_MS, show)
            return
        try:
            layers, notes = opened.result()
        except (ZarrStreamError, OSError) as error:
            show_warning(f"{path} cannot be opened: {error}")
            return
        for old in list(viewer.layers):
            if _is_of_positions(old) and old.metadata[PATH_KEY] == path:
                viewer.layers.remove(old)
        for data, meta, kind in layers:
            if POSITIONS_KEY in meta["metadata"]:
                getattr(viewer, f"add_{kind}")(data, **meta)
        viewer.reset_view()
        for note in notes:
            show_info(note)

    show()


def _is_of_positions(layer: Any) -> bool:
    return POSITIONS_KEY in layer.metadata and PATH_KEY in layer.metadata
