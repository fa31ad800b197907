"""One camera in the dock: its settings, preview, snap, region, brightness."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from magicgui.widgets import ComboBox, PushButton
from napari.utils.notifications import show_error
from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_zarr_stream._sources.camera import CameraSource, describe_camera
from napari_zarr_stream._sources.source import SourceDescription
from napari_zarr_stream._sources.take import Take
from napari_zarr_stream._viewer.live import (
    LIVE,
    LivePreview,
    as_shown,
    is_colour,
    offer_range,
)
from napari_zarr_stream._viewer.napari_compat import PAINTED_MS
from napari_zarr_stream._writer.contrast import contrast_limits_of
from napari_zarr_stream.cameras import CameraError
from napari_zarr_stream.cameras.viewfinder import picture_of

from .camera_control import CameraControl
from .camera_panel import CameraPanel
from .form import PROBLEM_STYLE, Fold, Row, beside, form, wrapping
from .histogram import Light
from .region_row import RegionRow


class CameraSection(QWidget):
    """A camera and all that is done with it apart from recording.

    `changed` says that something else would be recorded now.

    Parameters
    ----------
    viewer : napari.Viewer
    names : callable
        What can be chosen in it.
    removable : bool
        Whether there is a button that takes the section away; `removed` says so.
    """

    changed = Signal()
    removed = Signal()

    def __init__(
        self,
        viewer: Any,
        names: "Callable[[CameraSection], Sequence[str]]",
        removable: bool = False,
    ) -> None:
        super().__init__()
        self._viewer = viewer
        self.control = CameraControl(self)
        self.source = ComboBox(
            name="source",
            label="Source",
            choices=lambda *_: names(self),
            tooltip="The camera to record; in the first place also an open image",
        )
        self.settings = CameraPanel(self.control)
        self.preview = PushButton(
            name="preview",
            text="Preview",
            tooltip="Show the live image; nothing is recorded",
        )
        self.snap = PushButton(
            name="snap", text="Snap", tooltip="Take one image into a new layer"
        )
        self.remove = PushButton(text="Remove", tooltip="Do without this camera")
        self.region = RegionRow(viewer, self.control, self._picture)
        self.light = Light()
        self.message = wrapping(QLabel())
        self.live: LivePreview | None = None
        self.take = Take()
        self._removable = removable

    def lay_out(self) -> None:
        """Put the widgets in their places.

        Not while they are made: a container that they become children of moves them.
        """
        # A long name must not make the dock wide.
        self.source.native.setMinimumWidth(80)
        buttons = [self.preview.native, self.snap.native]
        if self._removable:
            self.remove.clicked.connect(lambda: self.removed.emit())
            buttons.append(self.remove.native)
        self.fold = Fold("Camera settings", self.settings.panel, is_open=True)
        self._buttons = beside(*buttons)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        # Those of the first camera are at the top of the dock, always in view.
        if self._removable:
            layout.addWidget(form(self.rows))
        for part in (self._buttons, self.light, self.fold, self.region):
            layout.addWidget(part)
        self._connect()

    @property
    def rows(self) -> list[Row]:
        """Which camera it is, and what there is to say of it."""
        return [("Source", self.source.native), ("", self.message)]

    def _connect(self) -> None:
        self.control.changed.connect(self._follow)
        self.control.failed.connect(show_error)
        self.control.preview_changed.connect(self._follow_preview)
        self.preview.clicked.connect(self._toggle_preview)
        self.snap.clicked.connect(lambda: self.control.snap(self._add_snap))
        self._follow()

    # ---------------------------------------------------------------- what there is

    @property
    def is_ready(self) -> bool:
        """Whether the camera can take frames."""
        view = self.control.view
        return view is not None and not view.problem

    def problem(self) -> str:
        """Why it cannot, for people; empty if it can or no camera is chosen."""
        view = self.control.view
        if view is None or view.problem:
            return _sentence(view.problem if view else self.control.message)
        return ""

    def describe(self, name: str, frames: int) -> SourceDescription:
        """What a recording of this camera would be, without asking it."""
        view = self.control.view
        if view is None or view.problem:
            raise CameraError(self.problem() or "Choose a camera.")
        return describe_camera(view, name, frames, self.take)

    def make_source(self, name: str, frames: int) -> CameraSource:
        """The camera as a source of a recording."""
        if self.control.thread is None:
            raise CameraError(self.problem() or "Choose a camera.")
        return CameraSource(
            self.control.thread, name, frames, self.take, self.control.view
        )

    def show_recording(self, is_recording: bool) -> None:
        """Grey out what must not be done while the camera records."""
        self.control.is_recording = is_recording
        self.source.enabled = self.remove.enabled = not is_recording
        self.settings.lock()
        self._enable()

    def _enable(self) -> None:
        view = self.control.view
        free = self.is_ready and not self.control.is_recording
        for button in (self.preview, self.snap):
            button.enabled = free
        self.region.follow(free)
        self._buttons.setVisible(view is not None or self._removable)

    def _follow(self) -> None:
        view = self.control.view
        self.fold.setVisible(view is not None and bool(view.settings))
        text = self.problem() or self.control.message
        waits = view is not None or text.startswith("Connecting")
        self.message.setText(text)
        self.message.setStyleSheet("" if waits else PROBLEM_STYLE)
        self.message.setVisible(bool(text))
        if view is None:
            self.light.forget()
        self._enable()
        if self.live is not None and self.is_ready and self._live_is_outdated():
            self._show_live()
        self.changed.emit()

    # -------------------------------------------------------------- preview and snap

    def _toggle_preview(self) -> None:
        if self.control.preview is None:
            self.control.start_preview()
        else:
            self.control.stop_preview()

    def _follow_preview(self) -> None:
        is_on = self.control.preview is not None
        self.preview.text = "Stop preview" if is_on else "Preview"
        self.preview.native.setAccessibleName(self.preview.text)
        if is_on:
            self._show_live()
        else:
            self._end_live()

    def _live_is_outdated(self) -> bool:
        assert self.live is not None
        live = self.live.layer.data
        view = self.control.view
        assert view is not None
        shown = as_shown(np.empty(view.shape, view.dtype))
        same = (shown.shape, shown.dtype) == (live.shape, live.dtype)
        return not same

    def _show_live(self) -> None:
        preview = self.control.preview
        self._end_live()
        if preview is None:
            return
        described = self.describe(self.control.name, 0)
        self.live = LivePreview(
            self._viewer, preview, described, _right_of_live(self._viewer)
        )
        self.live.removed.connect(self.control.stop_preview)
        self.live.add()
        self.follow(self.live)
        self.live.start()
        QTimer.singleShot(PAINTED_MS, self.live.make_active)

    def _end_live(self) -> None:
        live, self.live = self.live, None
        if live is not None:
            live.stop()

    def follow(self, live: LivePreview) -> None:
        """Show how bright the frames are that a live layer shows."""
        live.showed.connect(partial(self._show_light, self.light.show_some))

    def _show_light(
        self,
        show: Callable[[npt.NDArray[np.generic], int], None],
        frame: npt.NDArray[np.generic],
    ) -> None:
        if (view := self.control.view) is not None:
            show(frame, view.bit_depth)

    def _add_snap(self, frame: npt.NDArray[np.generic]) -> None:
        described = self.describe(self.control.name, 0)
        rgb = is_colour(frame.shape)
        pixels = as_shown(frame) if rgb else frame
        planes = pixels.ndim - 2 - rgb  # of several cameras, each by itself
        layer = self._viewer.add_image(
            pixels,
            name=f"Snap: {described.name}",
            rgb=rgb,
            scale=[1.0] * planes + list(described.scale[-2:]),
            units=["pixel"] * planes + [u or "pixel" for u in described.units[-2:]],
            axis_labels=("c", "y", "x")[1 - planes :],
            contrast_limits=None if rgb else contrast_limits_of(picture_of(frame)),
        )
        if described.value_range is not None and not rgb:
            offer_range(layer, described.value_range)
        self._show_light(self.light.show_frame, frame)

    def _picture(self) -> Any:
        """The layer that shows the present region: the live one, or the last snap."""
        if self.live is not None:
            return self.live.layer
        names = (f"Snap: {self.control.name}", f"{LIVE}{self.control.name}")
        for layer in reversed(self._viewer.layers):
            if layer.name.startswith(names):
                return layer
        raise CameraError("Start the preview first, to see what the region is part of.")

    def close(self) -> None:
        """Let go of the camera; the preview ends."""
        self.control.close()


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _right_of_live(viewer: Any) -> float:
    """Where a live layer has room beside those that there are."""
    rights = [
        float(layer.extent.world[1][-1])
        for layer in viewer.layers
        if layer.name.startswith(LIVE)
    ]
    return 1.04 * max(rights) if rights else 0.0
