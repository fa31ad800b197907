"""The dock widget *Record to Zarr*: settings, what they come to, record, stop, counts.

The recordings themselves are the session's; a widget that is closed and opened again
finds them there.
"""

from typing import Any

import napari  # noqa: TC002 - napari looks for this name in the signature
from magicgui.widgets import (
    ComboBox,
    Container,
    FloatSpinBox,
    Label,
    ProgressBar,
    PushButton,
    SpinBox,
)
from magicgui.widgets.bases import Widget
from napari.layers import Image
from napari.utils.notifications import show_error
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QVBoxLayout, QWidget

from ._dock.camera_section import CameraSection
from ._dock.cameras_section import CamerasSection
from ._dock.form import PROBLEM_STYLE, beside, form, scrolling, wrapping
from ._dock.host import WARM_UP_MS, DockWatch, warm_up, warn_of_unsafe_qt
from ._dock.remembered import Remembered
from ._dock.storage_section import (
    KINDS,
    StorageSection,
    check_memory,
    room_for,
    set_quietly,
)
from ._recording.counts import counts_in_words, warning_in_words
from ._recording.summary import summary_of
from ._sources.layer import LayerSource
from ._sources.source import SourceDescription
from ._viewer.live import LivePlane
from ._viewer.session import Job, session_of
from ._writer.errors import InvalidProperties, ZarrStreamError
from ._writer.names import image_name
from ._writer.plan import Plan, plan
from ._writer.properties import StorageProperties

__all__ = ["KINDS", "RecordWidget"]

STATUS_MS = 250
"""Text changes this often: each change repaints the window, and nobody reads faster."""

SAVE_MS = 500
"""After the last change, choices are kept."""

STORE_EACH = "A store for each camera"
ONE_STORE = "One store, an image for each"


class RecordWidget(Container[Widget]):
    """Records cameras or a layer of a viewer to OME-Zarr.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: "napari.viewer.Viewer") -> None:
        self._viewer = napari_viewer
        self._session = session_of(napari_viewer)
        self._remembered = Remembered()
        self._layer: Image | None = None
        self._chosen_by_user = False

        self.cameras = CamerasSection(
            napari_viewer, self._remembered, lambda: list(self._layers())
        )
        first = self.cameras.first
        self.source = first.source
        self.camera_settings = first.settings
        self.preview, self.snap = first.preview, first.snap
        self.pixel_size_um = FloatSpinBox(
            name="pixel_size_um",
            value=0,
            min=0,
            max=10000,
            step=0.001,
            tooltip="Of the sample, not of the chip; 0 if it is not known",
        )
        self.frame_count = SpinBox(
            name="frame_count",
            label="Frames (0: until stopped)",
            value=0,
            min=0,
            max=2**31 - 1,
        )
        self.stores = ComboBox(
            name="stores", label="Several cameras", choices=[STORE_EACH, ONE_STORE]
        )
        self.storage = storage = StorageSection()
        self.uri, self.device_kind = storage.uri, storage.device_kind
        self.tile_width, self.tile_height = storage.tile_width, storage.tile_height
        self.tile_planes = storage.tile_planes
        self.max_chunk_mib = storage.max_chunk_mib
        self.sharded, self.multiscale = storage.sharded, storage.multiscale
        self.plan_line = storage.plan_line
        self.record = PushButton(name="record", text="Record")
        self.stop = PushButton(name="stop", text="Stop", enabled=False)
        self.progress = ProgressBar(name="progress", label="", visible=False)
        self.counts = Label(name="counts", label="", value="")
        self.trouble = Label(name="trouble", label="", value="", visible=False)

        super().__init__(
            widgets=[
                self.source,
                self.camera_settings,
                self.preview,
                self.snap,
                self.pixel_size_um,
                self.frame_count,
                self.stores,
                *storage.widgets,
                self.record,
                self.stop,
                self.progress,
                self.counts,
                self.trouble,
            ],
            labels=False,
        )
        self._restore()
        self._lay_out()
        self._connect()
        self._choose_source()
        warn_of_unsafe_qt()
        QTimer.singleShot(WARM_UP_MS, warm_up)

    # ------------------------------------------------------------------ how it looks

    def _lay_out(self) -> None:
        """Group the widgets: magicgui's own layout is one long column.

        What is set may be longer than the window, and scrolls; Record, Stop and the
        counts are always there.
        """
        for text in (self.counts, self.trouble):
            wrapping(text.native)
        self.trouble.native.setStyleSheet(PROBLEM_STYLE)
        self.trouble.native.setTextFormat(Qt.TextFormat.PlainText)
        self.cameras.lay_out()
        for combo in (self.stores, self.device_kind):
            combo.native.setMinimumWidth(80)  # long names make no wide dock
        self._stores_row = form([("Several cameras", self.stores.native)])
        source = form(
            [
                ("", self.cameras),
                ("Pixel size (µm)", self.pixel_size_um.native),
                ("Frames (0: no end)", self.frame_count.native),
                ("", self._stores_row),
            ],
            title="What to record",
        )
        column = QWidget()
        layout = QVBoxLayout(column)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(source)
        layout.addWidget(self.storage.lay_out())
        layout.addStretch(1)
        self._scroll = scrolling(column)
        self.camera_settings.native.hide()
        below = self.native.layout()
        below.addWidget(self._scroll, 1)
        for part in (
            beside(self.record.native, self.stop.native),
            self.progress.native,
            self.trouble.native,
            self.counts.native,
        ):
            below.addWidget(part)

    def _connect(self) -> None:
        self.source.changed.connect(self._choose_source)
        self.cameras.changed.connect(self._show_plan)
        self.cameras.found_changed.connect(self._follow_found)
        self.pixel_size_um.changed.connect(self._set_pixel_size)
        for widget in self._kept():
            widget.changed.connect(self._show_plan)
            widget.changed.connect(self._keep_soon)
        self.cameras.changed.connect(self._keep_soon)
        self.record.clicked.connect(self._start)
        self.stop.clicked.connect(self._stop)
        layers = self._viewer.layers.events
        for event in (layers.inserted, layers.removed, layers.renamed):
            event.connect(self._follow_layers)
        self._session.ended.connect(self._show_end)
        self._timer = QTimer(self.native)
        self._timer.setInterval(STATUS_MS)
        self._timer.timeout.connect(self._show_status)
        self._keeping = QTimer(self.native)
        self._keeping.setInterval(SAVE_MS)
        self._keeping.setSingleShot(True)
        self._keeping.timeout.connect(self._keep)
        self._watch = DockWatch(self.native, self._dock_closed, self._dock_opened)
        if self._session.is_busy:
            self._show_start()

    # --------------------------------------------------------- what is kept for later

    def _kept(self) -> list[Any]:
        return [
            *self.storage.fields,
            self.pixel_size_um,
            self.frame_count,
            self.stores,
        ]

    def _restore(self) -> None:
        choices = self._remembered.choices
        self.storage.restore(choices)
        for widget in (self.pixel_size_um, self.frame_count, self.stores):
            if widget.name in choices:
                set_quietly(widget, choices[widget.name])
        self._set_pixel_size()
        self._offer_last_camera()

    def _offer_last_camera(self) -> None:
        """Choose the camera of last time, if the user has not chosen another one."""
        last = self._remembered.choices.get("camera")
        names = self.cameras.found.cameras
        if last in names and self.source.value in names and not self._chosen_by_user:
            with self.source.changed.blocked():
                self.source.value = last

    def _keep_soon(self, *_: object) -> None:
        self._keeping.start()

    def _keep(self) -> None:
        choices = {
            widget.name: widget.value
            if isinstance(widget.value, bool | int | float | str)
            else str(widget.value)
            for widget in self._kept()
        }
        if camera := self.cameras.first.control.name:
            choices["camera"] = camera
        self._remembered.choices.update(choices)
        self._remembered.save()

    # ------------------------------------------------------------------- the source

    def _layers(self) -> dict[str, Image]:
        """Image layers by the names they have in the list of sources."""
        cameras = self.cameras.found.cameras if hasattr(self, "cameras") else {}
        layers = {}
        for layer in self._viewer.layers:
            if isinstance(layer, Image) and not isinstance(layer.data, LivePlane):
                taken = layer.name in cameras
                layers[f"{layer.name} (layer)" if taken else layer.name] = layer
        return layers

    def _follow_found(self) -> None:
        for section in self.cameras.others:
            with section.source.changed.blocked():
                section.source.reset_choices()
        self._follow_layers()
        if not self._session.is_busy and self._layer is None:
            self._offer_last_camera()
            self._open_camera()

    def _follow_layers(self) -> None:
        """Keep to the chosen layer where it was renamed; choose none where it went."""
        chosen, before = self._layer, self.source.value
        with self.source.changed.blocked():
            self.source.reset_choices()
            if before in self.source.choices:
                self.source.value = before
        if chosen is None:
            self._show_plan()
            return
        names = [name for name, layer in self._layers().items() if layer is chosen]
        if names:
            with self.source.changed.blocked():
                self.source.value = names[0]
        self._follow_source()

    def reset_choices(self, *_: object) -> None:
        """Called by napari, too, when layers come, go or are renamed."""
        self._follow_layers()

    def _choose_source(self, *given: object) -> None:
        self._chosen_by_user = bool(given)
        self._follow_source()

    def _follow_source(self) -> None:
        layer = self._layers().get(self.source.value or "")
        if layer is not self._layer:
            for event in _what_is_recorded(self._layer):
                event.disconnect(self._show_plan)
            for event in _what_is_recorded(layer):
                event.connect(self._show_plan)
            self._layer = layer
        self._open_camera()
        self._show_plan()

    def _open_camera(self) -> None:
        if not self._session.is_busy:
            self.cameras.choose(self.cameras.first, self.source.value or "")

    def _set_pixel_size(self, *_: object) -> None:
        for section in self.cameras.sections:
            section.pixel_size_um = self.pixel_size_um.value or None

    def _sections(self) -> list[CameraSection]:
        """The cameras to record, none where a layer is."""
        return [] if self._layer is not None else self.cameras.sections

    # ------------------------------------------------------- what the settings come to

    def _properties(self) -> list[StorageProperties]:
        """Where each camera goes, or the layer."""
        count = max(1, len(self._sections()))
        if self._in_one_store():
            return self.storage.properties() * count
        return self.storage.properties(count)

    def _in_one_store(self) -> bool:
        return len(self._sections()) > 1 and self.stores.value == ONE_STORE

    def _described(
        self, properties: list[StorageProperties]
    ) -> list[SourceDescription]:
        frames = int(self.frame_count.value)
        if self._layer is not None:
            return [LayerSource.of(self._layer).describe()]
        return [
            section.describe(image_name(each.path), frames)
            for section, each in zip(self._sections(), properties, strict=True)
        ]

    def _show_plan(self, *_: object) -> None:
        if self._session.is_busy:
            return
        self._set_pixel_size()
        self.sharded.enabled = self.storage.zarr_format == 3
        for of_camera in (self.frame_count, self.pixel_size_um):
            of_camera.enabled = self._layer is None
        self._stores_row.setVisible(len(self._sections()) > 1)
        self.cameras.add_camera.enabled = self._layer is None
        try:
            text, possible = self._plan_in_words(), True
        except (ZarrStreamError, OSError) as error:
            text, possible = str(error), False
        if not possible and any(section.problem() for section in self._sections()):
            text = ""  # it is said below the camera's settings
        self.plan_line.value = text
        self.plan_line.native.setStyleSheet("" if possible else PROBLEM_STYLE)
        self.record.enabled = possible

    def _plan_in_words(self) -> str:
        properties = self._properties()
        described = self._described(properties)
        plans: list[Plan] = [
            plan(each, axes=of.axes, shape=of.shape, dtype=of.dtype)
            for each, of in zip(properties, described, strict=True)
        ]
        check_memory(plans)
        free = room_for(properties[0].path)
        each = zip(plans, properties, described, strict=True)
        return "\n\n".join(
            summary_of(planned, where, of.frame_rate, free)
            for planned, where, of in each
        )

    # ---------------------------------------------------------------- while recording

    def _jobs(self) -> list[Job]:
        properties = self._properties()
        if self._layer is not None:
            layer = self._layer
            return [Job(LayerSource.of(layer), properties[0], layer.name, layer)]
        frames = int(self.frame_count.value)
        sections = self._sections()
        if not sections[0].is_ready:
            raise InvalidProperties("Choose a camera or open an image to record from.")
        return [
            Job(
                section.make_source(image_name(each.path), frames),
                each,
                section.control.name,
            )
            for section, each in zip(sections, properties, strict=True)
        ]

    def _start(self) -> None:
        try:
            jobs = self._jobs()
            for section in self.cameras.sections:
                section.control.stop_preview()
            self._session.start(
                jobs, self._main_window(), one_store=self._in_one_store()
            )
        except (ZarrStreamError, OSError) as error:
            said = f"The recording could not be started: {error}"
            show_error(said)
            self._show_plan()
            self._show_trouble(said)
            return
        for section, live in zip(self._sections(), self._session.lives, strict=False):
            section.follow(live)
        self._keep()
        self._show_start()

    def _stop(self) -> None:
        self.stop.enabled = False
        self._session.stop()

    def _dock_closed(self) -> None:
        self._session.stop()
        if not self._session.is_busy:
            self.cameras.close()

    def _dock_opened(self) -> None:
        self._follow_source()

    def _main_window(self) -> QWidget:
        """The outermost window: `window()` is the dock itself where it floats."""
        widget: QWidget = self.native
        while (parent := widget.parentWidget()) is not None:
            widget = parent
        return widget

    def _enable(self, enabled: bool) -> None:
        for widget in (*self._kept(), self.record):
            widget.enabled = enabled
        self.cameras.show_recording(not enabled)
        self.stop.enabled = not enabled

    def _show_start(self) -> None:
        self._enable(False)
        self._show_status()
        self._timer.start()

    def _show_status(self) -> None:
        statuses = self._session.statuses()
        # Without an end there is only the time: a bar that moves to and fro would
        # repaint the window all the time.
        planes = [status.plan.planes if status.plan else None for _, status in statuses]
        known = bool(planes) and None not in planes
        self.progress.visible = self._session.is_busy and known
        if known:
            self.progress.max = sum(count or 0 for count in planes)
            self.progress.value = sum(status.frames_acquired for _, status in statuses)
        self.counts.value = counts_in_words(statuses)
        warning = warning_in_words([status for _, status in statuses])
        self._show_trouble("\n".join(filter(None, [*self._session.troubles, warning])))

    def _show_trouble(self, said: str) -> None:
        """What napari shows for some seconds, and in part, stays here as a whole."""
        self.trouble.value = said
        self.trouble.visible = bool(said)

    def _show_end(self) -> None:
        self._timer.stop()
        self._show_status()
        self._enable(True)
        if self.native.parentWidget() is None:
            self.cameras.close()  # the dock was closed meanwhile
        for section in self.cameras.sections:
            section.control.refresh()
        self._follow_layers()
        self._follow_source()


def _what_is_recorded(layer: Image | None) -> list[Any]:
    """Events of a layer after which something else would be recorded."""
    if layer is None:
        return []
    names = ("data", "scale", "rotate", "shear", "affine", "units", "axis_labels")
    return [getattr(layer.events, name) for name in names]
