"""The chosen camera and its settings, as widgets that show what is in force."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from magicgui.widgets import ComboBox, Container, FloatSpinBox, SpinBox, create_widget
from magicgui.widgets.bases import Widget
from napari.utils.notifications import show_error
from qtpy.QtWidgets import QVBoxLayout, QWidget

from ._form import form
from .cameras import Camera, CameraError, CameraThread, Setting


class CameraPanel(Container[Widget]):
    """A widget for each setting, by its name; empty without a camera.

    Parameters
    ----------
    cameras : mapping of name to factory
        What `find_cameras` found.
    on_change : callable
        Called after a setting was changed.
    """

    def __init__(
        self,
        cameras: Mapping[str, Callable[[], Camera]],
        on_change: Callable[[], None],
    ) -> None:
        self._cameras = cameras
        self._on_change = on_change
        self.camera: CameraThread | None = None
        self.camera_name = ""
        super().__init__(name="camera_settings", labels=False)
        # magicgui's own layout cannot line labels up with those of other containers.
        self.panel = QWidget()
        self._column = QVBoxLayout(self.panel)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._form: QWidget | None = None

    def choose(self, name: str) -> None:
        """Open the camera of this name, if there is one, instead of the last one."""
        if name == self.camera_name:
            return
        if self.camera is not None:
            self.camera.close()
        self.camera, self.camera_name = None, ""
        if name in self._cameras:
            camera = CameraThread(self._cameras[name], name)
            try:
                camera.call(lambda opened: opened.open())
            except CameraError as error:
                camera.close()
                show_error(f"{name} could not be opened: {error}")
            else:
                self.camera, self.camera_name = camera, name
        self._build()

    def _build(self) -> None:
        if self._form is not None:
            self._column.removeWidget(self._form)
            self._form.deleteLater()
        self.clear()
        settings: Sequence[Setting] = ()
        if self.camera is not None:
            settings = self.camera.call(lambda opened: opened.settings)
        rows = []
        for setting in settings:
            widget = self._widget_of(setting)
            self.append(widget)
            label = setting.label + (f" ({setting.unit})" if setting.unit else "")
            # A check box says itself what it is for.
            text = "" if isinstance(setting.value, bool) else label
            rows.append((text, widget.native))
        self._form = form(rows)
        self._column.addWidget(self._form)
        self.panel.setVisible(bool(rows))

    def _widget_of(self, setting: Setting) -> Widget:
        widget: Any = _widget_of(setting)
        camera = self.camera
        assert camera is not None

        def apply(value: Any) -> None:
            try:
                in_force = camera.call(lambda opened: opened.set(setting.name, value))
            except CameraError as error:
                show_error(str(error))
                in_force = camera.call(lambda opened: opened.get(setting.name))
            with widget.changed.blocked():
                widget.value = in_force
            self._on_change()

        widget.changed.connect(apply)
        return widget  # type: ignore[no-any-return] # of the class magicgui chose


def _widget_of(setting: Setting) -> Widget:
    if setting.choices:
        return ComboBox(name=setting.name, value=setting.value, choices=setting.choices)
    options: dict[str, Any] = {}
    if isinstance(setting.value, int | float) and not isinstance(setting.value, bool):
        options = {"min": setting.minimum, "max": setting.maximum}
    if isinstance(setting.value, bool):
        options = {"text": setting.label}
    widget = create_widget(value=setting.value, name=setting.name, options=options)
    if isinstance(widget, SpinBox | FloatSpinBox):
        # Only whole entries: not 1, 10, 102 on the way to 1024.
        widget.native.setKeyboardTracking(False)
    return widget
