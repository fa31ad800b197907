"""The dock widget *Record to Zarr*: settings, what they come to, record, stop, counts.

The recording itself is the session's; a widget that is closed and opened again finds it
there.
"""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import napari  # noqa: TC002 - napari looks for this name in the signature
import numpy as np
import psutil
from magicgui.types import FileDialogMode
from magicgui.widgets import (
    CheckBox,
    ComboBox,
    Container,
    FileEdit,
    FloatSpinBox,
    Label,
    ProgressBar,
    PushButton,
    SpinBox,
)
from magicgui.widgets.bases import Widget
from napari.layers import Image
from napari.utils.notifications import show_error, show_warning
from qtpy import PYSIDE6, PYSIDE_VERSION
from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtWidgets import (
    QHBoxLayout,
    QSizePolicy,
    QWidget,
)

from ._camera_panel import CameraPanel
from ._form import form
from ._layer_source import LayerSource
from ._naming import free_path
from ._recording import RecordingStatus
from ._session import LivePlane, lost_in_words, session_of
from ._source import CameraSource, Source
from ._summary import duration_in_words, size_in_words, summary_of
from ._writer.chunk_grid import Plan, plan
from ._writer.downsample import TileHalver
from ._writer.errors import InvalidProperties, ZarrStreamError
from ._writer.properties import DeviceKind, StorageProperties
from .cameras import find_cameras

STATUS_MS = 250
"""Text changes this often: each change repaints the window, and nobody reads faster."""

WARM_UP_MS = 200
"""Long enough for the widget to be painted first."""

MEMORY_SHARE = 0.8
"""Of the memory that is free, what a recording may plan to take."""

PROBLEM_STYLE = "color: #c8741a"
"""Amber: readable on napari's dark and light themes, and not an alarm."""

KINDS = (
    ("Zarr v3, LZ4 (fast)", DeviceKind.ZARR_V3_LZ4),
    ("Zarr v3, Zstandard (small)", DeviceKind.ZARR_V3_ZSTD),
    ("Zarr v3, uncompressed", DeviceKind.ZARR_V3),
    ("Zarr v2, LZ4 (fast)", DeviceKind.ZARR_LZ4),
    ("Zarr v2, Zstandard (small)", DeviceKind.ZARR_ZSTD),
    ("Zarr v2, uncompressed", DeviceKind.ZARR),
)


class RecordWidget(Container[Widget]):
    """Records a camera or a layer of a viewer to OME-Zarr.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: "napari.viewer.Viewer") -> None:
        self._viewer = napari_viewer
        self._session = session_of(napari_viewer)
        self._cameras = find_cameras().cameras
        self._layer: Image | None = None

        self.source = ComboBox(
            name="source", label="Source", choices=self._source_names
        )
        self.camera_settings = CameraPanel(self._cameras, self._show_plan)
        self.pixel_size_um = FloatSpinBox(
            name="pixel_size_um",
            value=0,
            min=0,
            max=10000,
            step=0.001,
            tooltip="Of the sample, not of the chip; 0 if it is not known",
        )
        self.device_kind = ComboBox(
            name="device_kind", label="Format", choices=[(t, str(k)) for t, k in KINDS]
        )
        self.tile_width = _pixels("tile_width", 512, "0: as wide as the frame")
        self.tile_height = _pixels("tile_height", 512, "0: as high as the frame")
        self.tile_planes = _pixels(
            "tile_planes",
            1,
            "Planes of a volume in one chunk; 1 keeps every plane a picture of its own",
        )
        self.max_chunk_mib = SpinBox(
            name="max_chunk_mib",
            label="Chunk cap (MiB)",
            value=16,
            min=0,
            max=2**20,
            tooltip="Most a chunk may hold before compression (a shard, if sharded); "
            "at least 16 MiB",
        )
        self.sharded = CheckBox(
            name="sharded",
            text="Many chunks in one file (shards)",
            value=True,
            tooltip="Fewer files and little memory; Zarr v3 only",
        )
        self.multiscale = CheckBox(
            name="multiscale",
            text="Multiscale pyramid",
            value=True,
            tooltip="Also write halved copies, so that large images open at once",
        )
        self.uri = FileEdit(
            name="uri",
            label="Save in",
            mode=FileDialogMode.EXISTING_DIRECTORY,
            value=Path.home() / "recordings",
            tooltip="A folder, in which a free name is chosen, or a name that ends in "
            ".zarr",
        )
        self.frame_count = SpinBox(
            name="frame_count",
            label="Frames (0: until stopped)",
            value=0,
            min=0,
            max=2**31 - 1,
        )
        self.plan_line = Label(name="plan_line", label="", value="")
        self.record = PushButton(name="record", text="Record")
        self.stop = PushButton(name="stop", text="Stop", enabled=False)
        self.progress = ProgressBar(name="progress", label="", visible=False)
        self.counts = Label(name="counts", label="", value="")

        super().__init__(
            widgets=[
                self.source,
                self.camera_settings,
                self.pixel_size_um,
                self.frame_count,
                self.uri,
                self.device_kind,
                self.tile_width,
                self.tile_height,
                self.tile_planes,
                self.max_chunk_mib,
                self.sharded,
                self.multiscale,
                self.plan_line,
                self.record,
                self.stop,
                self.progress,
                self.counts,
            ],
            labels=False,
        )
        self._lay_out()
        self._connect()
        self._choose_source()
        _warn_of_unsafe_qt()
        QTimer.singleShot(WARM_UP_MS, _warm_up)

    # ------------------------------------------------------------------ how it looks

    def _lay_out(self) -> None:
        """Group the widgets: magicgui's own layout is one long column."""
        self.uri.choose_btn.text = "…"
        self.uri.choose_btn.max_width = 36
        for text in (self.plan_line, self.counts):
            text.native.setWordWrap(True)
            # A long line must not make the dock wide.
            text.native.setSizePolicy(
                QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred
            )
        source = form(
            [
                ("Source", self.source.native),
                ("", self.camera_settings.panel),
                ("Pixel size (µm)", self.pixel_size_um.native),
                ("Frames (0: no end)", self.frame_count.native),
            ],
            title="What to record",
        )
        storage = form(
            [
                ("Save in", self.uri.native),
                ("Format", self.device_kind.native),
                ("Tile width", self.tile_width.native),
                ("Tile height", self.tile_height.native),
                ("Tile planes", self.tile_planes.native),
                ("Chunk cap (MiB)", self.max_chunk_mib.native),
                ("", self.sharded.native),
                ("", self.multiscale.native),
                ("", self.plan_line.native),
            ],
            title="How to store it",
        )
        buttons = QWidget()
        row = QHBoxLayout(buttons)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.record.native)
        row.addWidget(self.stop.native)
        self.camera_settings.native.hide()
        layout = self.native.layout()
        for part in (
            source,
            storage,
            buttons,
            self.progress.native,
            self.counts.native,
        ):
            layout.addWidget(part)

    def _connect(self) -> None:
        self.source.changed.connect(self._choose_source)
        for widget in (
            self.device_kind,
            self.tile_width,
            self.tile_height,
            self.tile_planes,
            self.max_chunk_mib,
            self.sharded,
            self.multiscale,
            self.uri,
            self.frame_count,
            self.pixel_size_um,
        ):
            widget.changed.connect(self._show_plan)
        self.record.clicked.connect(self._start)
        self.stop.clicked.connect(self._stop)
        layers = self._viewer.layers.events
        for event in (layers.inserted, layers.removed, layers.renamed):
            event.connect(self._follow_layers)
        self._session.ended.connect(self._show_end)
        self._timer = QTimer(self.native)
        self._timer.setInterval(STATUS_MS)
        self._timer.timeout.connect(self._show_status)
        self._watch = _DockWatch(self.native, self._session.stop)
        if self._session.is_busy:
            self._show_start()

    # ------------------------------------------------------------------- the source

    def _layers(self) -> dict[str, Image]:
        """Image layers by the names they have in the list of sources."""
        layers = {}
        for layer in self._viewer.layers:
            if isinstance(layer, Image) and not isinstance(layer.data, LivePlane):
                taken = layer.name in self._cameras
                layers[f"{layer.name} (layer)" if taken else layer.name] = layer
        return layers

    def _source_names(self, *_: object) -> list[str]:
        return [*self._cameras, *self._layers()]

    def _follow_layers(self) -> None:
        """Keep to the chosen layer where it was renamed; choose none where it went."""
        chosen = self._layer
        with self.source.changed.blocked():
            self.source.reset_choices()
        if chosen is None:
            self._show_plan()
            return
        names = [name for name, layer in self._layers().items() if layer is chosen]
        if names:
            with self.source.changed.blocked():
                self.source.value = names[0]
        self._choose_source()

    def reset_choices(self, *_: object) -> None:
        """Called by napari, too, when layers come, go or are renamed."""
        self._follow_layers()

    def _choose_source(self) -> None:
        layer = self._layers().get(self.source.value or "")
        if layer is not self._layer:
            for event in _what_is_recorded(self._layer):
                event.disconnect(self._show_plan)
            for event in _what_is_recorded(layer):
                event.connect(self._show_plan)
            self._layer = layer
        self.camera_settings.choose(self.source.value or "")
        self._show_plan()

    def _make_source(self) -> Source:
        panel = self.camera_settings
        if panel.camera is not None:
            frames = int(self.frame_count.value)
            pixel_size_um = self.pixel_size_um.value or None
            name = self._properties().path.name.split(".")[0]
            return CameraSource(panel.camera, name, frames, pixel_size_um)
        if self._layer is not None:
            return LayerSource.of(self._layer)
        raise InvalidProperties("Choose a camera or open an image to record from.")

    # ------------------------------------------------------- what the settings come to

    def _properties(self) -> StorageProperties:
        kind = DeviceKind(self.device_kind.value)
        return StorageProperties(
            uri=free_path(Path(str(self.uri.value))),
            device_kind=kind,
            tile_width=self.tile_width.value,
            tile_height=self.tile_height.value,
            tile_planes=self.tile_planes.value,
            max_bytes_per_chunk=self.max_chunk_mib.value * 2**20,
            sharded=self.sharded.value and kind.zarr_format == 3,
            enable_multiscale=self.multiscale.value,
        )

    def _show_plan(self, *_: object) -> None:
        if self._session.is_busy:
            return
        is_v3 = DeviceKind(self.device_kind.value).zarr_format == 3
        self.sharded.enabled = is_v3
        for of_camera in (self.frame_count, self.pixel_size_um):
            of_camera.enabled = self.camera_settings.camera is not None
        try:
            text, possible = self._plan_in_words(), True
        except (ZarrStreamError, OSError) as error:
            text, possible = str(error), False
        self.plan_line.value = text
        self.plan_line.native.setStyleSheet("" if possible else PROBLEM_STYLE)
        self.record.enabled = possible

    def _plan_in_words(self) -> str:
        described = self._make_source().describe()
        properties = self._properties()
        planned = plan(
            properties,
            axes=described.axes,
            shape=described.shape,
            dtype=described.dtype,
        )
        _check_memory(planned)
        free = _free_bytes(properties.path)
        return summary_of(planned, properties, described.frame_rate, free)

    # ---------------------------------------------------------------- while recording

    def _start(self) -> None:
        try:
            self._session.start(
                self._make_source(), self._properties(), self._main_window()
            )
        except (ZarrStreamError, OSError) as error:
            show_error(f"The recording could not be started: {error}")
            self._show_plan()
            return
        self._show_start()

    def _stop(self) -> None:
        self.stop.enabled = False
        self._session.stop()

    def _main_window(self) -> QWidget:
        """The outermost window: `window()` is the dock itself where it floats."""
        widget: QWidget = self.native
        while (parent := widget.parentWidget()) is not None:
            widget = parent
        return widget

    def _enable(self, enabled: bool) -> None:
        shows = (self.plan_line, self.progress, self.counts, self.stop)
        for widget in self:
            if widget not in shows:
                widget.enabled = enabled
        self.camera_settings.panel.setEnabled(enabled)
        self.stop.enabled = not enabled

    def _show_start(self) -> None:
        self._enable(False)
        self._show_status()
        self._timer.start()

    def _show_status(self) -> None:
        status = self._session.status()
        # Without an end there is only the time: a bar that moves to and fro would
        # repaint the window all the time.
        planes = status.plan.planes if status.plan else None
        self.progress.visible = status.is_busy and planes is not None
        if planes is not None:
            self.progress.max = planes
            self.progress.value = status.frames_acquired
        self.counts.value = _counts_in_words(status)

    def _show_end(self) -> None:
        self._timer.stop()
        self._show_status()
        self._enable(True)
        self._follow_layers()


class _DockWatch(QObject):
    """Notices that the dock around a widget was closed.

    napari takes the widget out of the dock and keeps it, hidden; no close event comes.
    """

    def __init__(self, widget: QWidget, closed: Any) -> None:
        super().__init__(widget)
        self._widget = widget
        self._closed = closed
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """See `QObject.eventFilter`."""
        if (
            event.type() == QEvent.Type.ParentChange
            and self._widget.parentWidget() is None
        ):
            self._closed()
        return False


def _pixels(name: str, value: int, tooltip: str) -> SpinBox:
    return SpinBox(name=name, value=value, min=0, max=2**20, tooltip=tooltip)


def _check_memory(planned: Plan) -> None:
    free = psutil.virtual_memory().available
    if planned.peak_memory_bytes > MEMORY_SHARE * free:
        raise InvalidProperties(
            f"This needs {size_in_words(planned.peak_memory_bytes)} of memory, and "
            f"{size_in_words(free)} are free: turn on shards, or lower the chunk cap."
        )


def _free_bytes(path: Path) -> int:
    """On the disk that will hold `path`: asked of the nearest folder there is.

    Raises
    ------
    InvalidProperties
        Nothing can be written there.
    """
    there = next(parent for parent in path.parents if os.path.lexists(parent))
    if not there.is_dir():
        raise InvalidProperties(f"{there} is not a folder: choose another place.")
    if not os.access(there, os.W_OK):
        raise InvalidProperties(f"You may not write to {there}: choose another folder.")
    free = shutil.disk_usage(there).free
    if not free:
        raise InvalidProperties(f"There is no space left in {there}.")
    return free


def _what_is_recorded(layer: Image | None) -> list[Any]:
    """Events of a layer after which something else would be recorded."""
    if layer is None:
        return []
    names = ("data", "scale", "rotate", "shear", "affine", "units", "axis_labels")
    return [getattr(layer.events, name) for name in names]


def _counts_in_words(status: RecordingStatus) -> str:
    if status.path is None:
        return ""
    lines = [
        f"<b>{status.frames_acquired:,}</b> acquired, "
        f"<b>{status.frames_committed:,}</b> committed, "
        f"<b>{lost_in_words(status.frames_lost)}</b>",
        f"{status.frames_per_second:.4g} frames/s, "
        f"{size_in_words(status.bytes_per_second)}/s",
    ]
    if status.is_busy:
        lines.append(
            f"{duration_in_words(status.elapsed_s)} elapsed, "
            f"queue {status.queue_fill:.0%} full"
        )
    return "<br>".join(lines)


def _warm_up() -> None:
    """Import and compile while the user looks at the new widget, not at a click.

    The first image layer of a session, the first zarr array and numba take about half a
    second each.
    """
    import zarr  # noqa: F401

    Image(np.zeros((2, 2), np.uint16))
    TileHalver(np.dtype(np.uint16))


def _warn_of_unsafe_qt() -> None:
    """PYSIDE-3474: this release drops a reference to None at every call."""
    if PYSIDE6 and PYSIDE_VERSION == "6.12.0" and sys.version_info < (3, 12):
        show_warning(
            "PySide6 6.12.0 ends Python after some minutes of live view: install "
            "another Qt binding, for example with: pip install 'PySide6==6.11.3'"
        )
