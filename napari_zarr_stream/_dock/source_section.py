"""What to record: cameras or a layer, and the size of a pixel."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from magicgui.widgets import ComboBox, FloatSpinBox
from magicgui.widgets.bases import Widget
from napari.layers import Image
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_zarr_stream._sources.layer import LayerSource
from napari_zarr_stream._sources.source import SourceDescription
from napari_zarr_stream._viewer.live import is_live
from napari_zarr_stream._viewer.session import Session
from napari_zarr_stream._viewer.starting import Job
from napari_zarr_stream._writer.errors import InvalidProperties
from napari_zarr_stream._writer.names import image_name
from napari_zarr_stream._writer.properties import StorageProperties

from .camera_section import CameraSection
from .cameras_section import CamerasSection
from .form import Row, form
from .remembered import Remembered
from .schedule_section import ScheduleSection

STORE_EACH = "A store for each camera"
ONE_STORE = "One store, an image for each"


class SourceSection(QWidget):
    """The source that is chosen, a camera, several or a layer, and its fields.

    `changed` says that something else would be recorded now.

    Parameters
    ----------
    viewer : napari.Viewer
    session : Session
    remembered : Remembered
    schedule : ScheduleSection
    """

    changed = Signal()

    def __init__(
        self,
        viewer: Any,
        session: Session,
        remembered: Remembered,
        schedule: ScheduleSection,
    ) -> None:
        super().__init__()
        self._schedule = schedule
        self._viewer = viewer
        self._session = session
        self._remembered = remembered
        self._layer: Image | None = None
        self._chosen_by_user = False
        self._cameras_known: Sequence[str] = ()
        self.cameras = CamerasSection(
            viewer, remembered, lambda: list(self._layers_by_name())
        )
        self.source = self.cameras.first.source
        self.pixel_size_um = FloatSpinBox(
            name="pixel_size_um",
            value=0,
            min=0,
            max=10000,
            step=0.001,
            tooltip="Of the sample, not of the chip; 0 if it is not known",
        )
        self.stores = ComboBox(
            name="stores", label="Several cameras", choices=[STORE_EACH, ONE_STORE]
        )
        self.fields = (self.pixel_size_um, self.stores)

    @property
    def widgets(self) -> list[Widget]:
        """All of them, as children of a container."""
        first = self.cameras.first
        return [self.source, first.settings, first.preview, first.snap, *self.fields]

    def lay_out(self) -> QWidget:
        """Put the widgets in their places."""
        self._connect()
        self.cameras.lay_out()
        self.cameras.first.settings.native.hide()
        self.stores.native.setMinimumWidth(80)  # long names make no wide dock
        self.stores_row = form([("Several cameras", self.stores.native)])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        rows = [
            ("", self.cameras),
            ("Pixel size (µm)", self.pixel_size_um.native),
            ("", self.stores_row),
        ]
        layout.addWidget(form(rows))
        return self

    @property
    def rows(self) -> list[Row]:
        """What is recorded first, always in view."""
        return self.cameras.first.rows

    def _connect(self) -> None:
        self.source.changed.connect(self._choose)
        self.cameras.changed.connect(self._tell)
        self.cameras.found_changed.connect(self._follow_found)
        layers = self._viewer.layers.events
        for event in (layers.inserted, layers.removed, layers.renamed):
            event.connect(self.follow_layers)

    # ------------------------------------------------------------ what can be chosen

    def _layers_by_name(self) -> dict[str, Image]:
        """Image layers by the names they have in the list of sources."""
        layers = {}
        for layer in self._viewer.layers:
            if isinstance(layer, Image) and not is_live(layer):
                taken = layer.name in self._cameras_known
                layers[f"{layer.name} (layer)" if taken else layer.name] = layer
        return layers

    def _follow_found(self) -> None:
        for section in self.cameras.others:
            with section.source.changed.blocked():
                section.source.reset_choices()
        self.follow_layers()
        if not self._session.is_busy and self._layer is None:
            self.offer_last_camera()
            self._open_camera()

    def follow_layers(self, *_: object) -> None:
        """Keep to the chosen layer where it was renamed; choose none where it went."""
        self._cameras_known = list(self.cameras.found.cameras)
        chosen, before = self._layer, self.source.value
        with self.source.changed.blocked():
            self.source.reset_choices()
            if before in self.source.choices:
                self.source.value = before
        if chosen is None:
            self.changed.emit()
            return
        layers = self._layers_by_name()
        names = [name for name, layer in layers.items() if layer is chosen]
        if names:
            with self.source.changed.blocked():
                self.source.value = names[0]
        self.follow()

    def offer_last_camera(self) -> None:
        """Choose the camera of last time, if the user has not chosen another one."""
        last = self._remembered.choices.get("camera")
        names = self.cameras.found.cameras
        if last in names and self.source.value in names and not self._chosen_by_user:
            with self.source.changed.blocked():
                self.source.value = last

    def _choose(self) -> None:
        self._chosen_by_user = True
        self.follow()

    def follow(self) -> None:
        """Open the camera, or look at the layer, whose name is chosen."""
        layer = self._layers_by_name().get(self.source.value or "")
        if layer is not self._layer:
            for event in _what_is_recorded(self._layer):
                event.disconnect(self._tell)
            for event in _what_is_recorded(layer):
                event.connect(self._tell)
            self._layer = layer
        self._open_camera()
        self.changed.emit()

    def _open_camera(self) -> None:
        if not self._session.is_busy:
            self.cameras.choose(self.cameras.first, self.source.value or "")

    def _tell(self, *_: object) -> None:
        if name := self.cameras.first.control.name:
            self._remembered.choices["camera"] = name
        self.changed.emit()

    # ----------------------------------------------------------------- what is chosen

    @property
    def sections(self) -> list[CameraSection]:
        """The cameras to record, none where a layer is."""
        return [] if self._layer is not None else self.cameras.sections

    @property
    def in_one_store(self) -> bool:
        """Whether several cameras become images of one store."""
        return len(self.sections) > 1 and self.stores.value == ONE_STORE

    @property
    def store_count(self) -> int:
        """How many stores are made."""
        return 1 if self.in_one_store else max(1, len(self.sections))

    @property
    def has_problem(self) -> bool:
        """Whether a camera cannot be recorded, which is said below its settings."""
        return any(section.problem() for section in self.sections)

    def show_choice(self) -> None:
        """Show the fields that mean something for what is chosen."""
        for section in self.cameras.sections:
            section.take = self._schedule.take(self.pixel_size_um.value or None)
        self.pixel_size_um.enabled = self._layer is None
        self._schedule.enable(True, is_camera=self._layer is None)
        self.stores_row.setVisible(len(self.sections) > 1)
        self.cameras.add_camera.enabled = self._layer is None

    def described(
        self, properties: Sequence[StorageProperties]
    ) -> list[tuple[SourceDescription, StorageProperties]]:
        """What a recording of each source would be, by what is already known.

        Raises
        ------
        ZarrStreamError
        """
        each = self._for_each(properties)
        if self._layer is not None:
            return [(LayerSource.of(self._layer).describe(), each[0])]
        frames = int(self._schedule.frame_count.value)
        return [
            (section.describe(image_name(of.path), frames), of)
            for section, of in zip(self.sections, each, strict=True)
        ]

    def jobs(self, properties: Sequence[StorageProperties]) -> list[Job]:
        """What there is to record.

        Raises
        ------
        ZarrStreamError
        """
        each, notes = self._for_each(properties), self._schedule.notes.value
        if self._layer is not None:
            layer = self._layer
            return [Job(LayerSource.of(layer), each[0], layer.name, layer, notes)]
        frames = int(self._schedule.frame_count.value)
        if not self.sections[0].is_ready:
            raise InvalidProperties("Choose a camera or open an image to record from.")
        return [
            Job(
                section.make_source(image_name(of.path), frames),
                of,
                section.control.name,
                notes=notes,
            )
            for section, of in zip(self.sections, each, strict=True)
        ]

    def _for_each(
        self, properties: Sequence[StorageProperties]
    ) -> Sequence[StorageProperties]:
        if self._layer is not None:  # which waits itself
            return properties
        buffer_s = self._schedule.buffer_s.value
        each = [replace(of, buffer_s=buffer_s) for of in properties]
        return each * len(self.sections) if self.in_one_store else each

    # -------------------------------------------------------------- while it records

    def stop_previews(self) -> None:
        """Let the cameras be free for a recording."""
        for section in self.cameras.sections:
            section.control.stop_preview()

    def show_start(self) -> None:
        """Grey out what must not be changed."""
        self.enable(False)

    def follow_live(self) -> None:
        """Show how bright live images are."""
        for section, live in zip(self.sections, self._session.lives, strict=False):
            section.follow(live)

    def show_end(self) -> None:
        """Be as before; cameras are asked what the recording has changed."""
        self.enable(True)
        for section in self.cameras.sections:
            section.control.refresh()
        self.follow_layers()
        self.follow()

    def enable(self, enabled: bool) -> None:
        """Let all of it be changed, or nothing that would disturb a recording."""
        for field in self.fields:
            field.enabled = enabled
        self._schedule.enable(enabled, is_camera=self._layer is None)
        self.cameras.show_recording(not enabled)


def _what_is_recorded(layer: Image | None) -> list[Any]:
    """Events of a layer after which something else would be recorded."""
    if layer is None:
        return []
    names = ("data", "scale", "rotate", "shear", "affine", "units", "axis_labels")
    return [getattr(layer.events, name) for name in names]
