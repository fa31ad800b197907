"""What the dock asks for, saved to a file and loaded from one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari.utils.notifications import show_error, show_info, show_warning
from qtpy.QtWidgets import QFileDialog, QPushButton, QWidget

from napari_zarr_stream._recording.settings import (
    RecordSettings,
    load_settings,
    unknown_in_words,
)
from napari_zarr_stream._writer.errors import ZarrStreamError

from .cameras_section import CamerasSection
from .form import beside
from .remembered import Remembered

FILES = "Settings (*.json)"


class SettingsFile:
    """Two buttons, and what is behind them.

    Parameters
    ----------
    fields : sequence of ValueWidget
        Of the dock, by the names that settings have.
    cameras : CamerasSection
    remembered : Remembered
        A camera that is opened later gets its settings from there.
    """

    def __init__(
        self, fields: Sequence[Any], cameras: CamerasSection, remembered: Remembered
    ) -> None:
        self._fields = {field.name: field for field in fields}
        self._cameras = cameras
        self._remembered = remembered
        self.save = QPushButton("Save settings …")
        self.save.setToolTip("All that is set here, for the dock, a shell or a script")
        self.load = QPushButton("Load settings …")
        self.load.setToolTip("Set all that a file says")

    def lay_out(self) -> QWidget:
        """The buttons side by side."""
        self.save.clicked.connect(self._ask_where_to_save)
        self.load.clicked.connect(self._ask_what_to_load)
        return beside(self.save, self.load)

    def enable(self, enabled: bool) -> None:
        """Let a file be loaded, or not while something is recorded."""
        self.load.setEnabled(enabled)

    @property
    def settings(self) -> RecordSettings:
        """What the dock asks for now.

        Raises
        ------
        InvalidProperties
        """
        asked = RecordSettings()
        said = {
            name: str(field.value) if isinstance(field.value, Path) else field.value
            for name, field in self._fields.items()
            if hasattr(asked, name)
        }
        if not str(said.get("device_kind", "")).startswith("ZarrV3"):
            # These fields are grey then, whatever they show.
            said |= {"sharded": False, "ngff_version": ""}
        views = [section.control for section in self._cameras.sections]
        known = [control for control in views if control.view is not None]
        of_cameras = [
            {setting.name: setting.value for setting in control.view.settings}
            for control in known
            if control.view is not None
        ]
        said["cameras"] = tuple(control.name for control in known)
        said["camera_settings"] = tuple(of_cameras)
        return asked.changed(**said)

    def _ask_where_to_save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self.save, "Save settings", "recording.json", FILES
        )
        if not path:
            return
        try:
            self.settings.save(Path(path))
        except ZarrStreamError as error:
            show_error(f"The settings could not be saved: {error}")
        else:
            show_info(f"Settings are in {path}")

    def _ask_what_to_load(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self.load, "Load settings", "", FILES)
        if not path:
            return
        try:
            settings, unknown = load_settings(Path(path))
        except ZarrStreamError as error:
            show_error(f"The settings could not be loaded: {error}")
            return
        left_out = self._show(settings)
        said = [unknown_in_words(path, unknown)] if unknown else []
        if left_out:
            said.append(f"Not set: {', '.join(left_out)}")
        if said:
            show_warning("\n".join(said))

    def _show(self, settings: RecordSettings) -> list[str]:
        """Set the fields and the first camera; names what could not be."""
        left_out = []
        for name, field in self._fields.items():
            value = getattr(settings, name, None)
            if value is None:
                continue
            if name == "channel_color" and not value:
                value = "gray"
            try:
                field.value = value
            except (TypeError, ValueError):
                left_out.append(f"{name} {value!r}")
        for number, name in enumerate(settings.cameras):
            self._remembered.cameras[name] = dict(settings.settings_of(number))
        first = self._cameras.first
        for name in settings.cameras[:1]:
            if name in self._cameras.found.cameras:
                first.control.close()  # so that it is opened with these
                with first.source.changed.blocked():
                    first.source.value = name
                first.source.changed.emit(name)
            else:
                left_out.append(f"{name}, which is not found here")
        return left_out + [f"{name}: add a camera" for name in settings.cameras[1:]]
