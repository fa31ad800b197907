"""The docks *Record to Zarr* and *Export to Zarr*, filled when they are there.

What is in them stands in `_dock`, and is imported later.
"""

import napari  # noqa: TC002 - napari looks for this name in the signature

from ._dock.filled_later import FilledLater

__all__ = ["ExportWidget", "RecordWidget"]


class RecordWidget(FilledLater):
    """Records cameras or a layer of a viewer to OME-Zarr.

    Its children go by their names: `source`, `uri`, `record`, ...

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: "napari.viewer.Viewer") -> None:
        super().__init__(napari_viewer, "record_dock:RecordDock", characters=56)


class ExportWidget(FilledLater):
    """Exports layers of a viewer to OME-Zarr.

    Its children go by their names: `layers`, `uri`, `export`, ...

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: "napari.viewer.Viewer") -> None:
        super().__init__(napari_viewer, "export_dock:ExportDock", characters=54)
