"""Buttons that take the region of interest from what is seen in the viewer."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from magicgui.widgets import PushButton
from napari.layers import Shapes
from napari.utils.notifications import show_error
from qtpy.QtWidgets import QHBoxLayout, QLabel, QWidget

from napari_zarr_stream.cameras import CameraError
from napari_zarr_stream.cameras.region import (
    Rectangle,
    Region,
    full_sensor,
    region_of,
    region_within,
)

from .camera_control import CameraControl
from .form import beside


class RegionRow(QWidget):
    """From a rectangle, from the view, and back to the full sensor.

    Parameters
    ----------
    viewer : napari.Viewer
    control : CameraControl
    picture : callable
        Gives the layer that shows the present region, or raises `CameraError`.
    """

    def __init__(
        self, viewer: Any, control: CameraControl, picture: Callable[[], Any]
    ) -> None:
        super().__init__()
        self._viewer = viewer
        self._control = control
        self._picture = picture
        self._whole: Region | None = None  # in force before the first region
        self.from_shape = PushButton(
            name="region_from_shape",
            text="Rectangle",
            tooltip="Read out only the selected rectangle of a Shapes layer",
        )
        self.from_view = PushButton(
            name="region_from_view",
            text="In view",
            tooltip="Read out only what is in view now",
        )
        self.full_sensor = PushButton(
            name="full_sensor",
            text="Full",
            tooltip="Back to the size before; once more: all pixels of the sensor",
        )
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        title = QLabel("ROI")
        title.setToolTip("Region of interest: the part of the sensor that is read out")
        layout.addWidget(title)
        layout.addWidget(
            beside(
                self.from_shape.native, self.from_view.native, self.full_sensor.native
            ),
            1,
        )
        self.from_shape.clicked.connect(self._take_rectangle)
        self.from_view.clicked.connect(self._take_view)
        self.full_sensor.clicked.connect(self._take_full_sensor)

    def follow(self, free: bool) -> None:
        """Show the buttons where the camera has regions; usable if it is free."""
        view = self._control.view
        if view is None:
            self._whole = None
        self.setVisible(view is not None and region_of(view.settings) is not None)
        self.setEnabled(free)

    def _take_rectangle(self) -> None:
        self._try(lambda: self._region_of_world(_selected_rectangle(self._viewer)))

    def _take_view(self) -> None:
        self._try(lambda: self._region_of_world(_in_view(self._viewer)))

    def _take_full_sensor(self) -> None:
        def full() -> Region:
            view = self._control.view
            assert view is not None
            whole, self._whole = self._whole, None
            return whole or full_sensor(view.settings)

        self._try(full)

    def _region_of_world(self, corners: npt.NDArray[np.float64]) -> Region:
        """The region below corners, (n, 2) as y, x of the world."""
        view = self._control.view
        assert view is not None
        present = region_of(view.settings)
        assert present is not None
        layer = self._picture()
        pixels = np.array([layer.world_to_data(corner) for corner in corners])[:, -2:]
        (top, left), (bottom, right) = pixels.min(axis=0), pixels.max(axis=0)
        region = region_within(Rectangle(left, top, right, bottom), present)
        if self._whole is None and not (present.offset_x or present.offset_y):
            self._whole = present
        return region

    def _try(self, choose: Callable[[], Region]) -> None:
        try:
            self._control.set_region(choose())
        except CameraError as error:
            show_error(str(error))


def _selected_rectangle(viewer: Any) -> npt.NDArray[np.float64]:
    """Corners, as y, x of the world, of the rectangle that is selected or alone."""
    shapes = [layer for layer in viewer.layers if isinstance(layer, Shapes)]
    active = viewer.layers.selection.active
    if isinstance(active, Shapes):
        shapes = [active]
    for layer in reversed(shapes):
        chosen = sorted(layer.selected_data) or range(len(layer.data))[-1:]
        for index in chosen:
            if layer.shape_type[index] == "rectangle":
                corners = [layer.data_to_world(corner) for corner in layer.data[index]]
                return np.array(corners)[:, -2:]
    raise CameraError(
        "Draw a rectangle in a Shapes layer and select it, then click again."
    )


def _in_view(viewer: Any) -> npt.NDArray[np.float64]:
    """Corners of what is in view, as y, x of the world."""
    center = np.array(viewer.scene.camera.center[-2:])
    size = np.array(viewer.canvas.size) / viewer.scene.camera.zoom
    return np.array([center - size / 2, center + size / 2])
