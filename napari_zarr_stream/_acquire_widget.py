"""The dock *Acquire (Micro-Manager)*, filled when it is there."""

import napari  # noqa: TC002 - napari looks for this name in the signature

from ._dock.filled_later import FilledLater

__all__ = ["AcquireWidget"]


class AcquireWidget(FilledLater):
    """Runs a microscope of Micro-Manager, and records what is taken to OME-Zarr.

    Its children go by their names: `plan`, `loops`, `uri`, `run`, ...

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: "napari.viewer.Viewer") -> None:
        super().__init__(napari_viewer, "acquire_dock:AcquireDock", characters=69)
