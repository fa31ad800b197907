"""The settings of a camera, as widgets that show what is in force."""

from collections.abc import Sequence
from typing import Any

from magicgui.widgets import (
    ComboBox,
    Container,
    FloatSpinBox,
    LineEdit,
    PushButton,
    SpinBox,
    create_widget,
)
from magicgui.widgets.bases import Widget
from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import (
    QDoubleSpinBox,
    QFileDialog,
    QHBoxLayout,
    QVBoxLayout,
    QWidget,
)

from napari_zarr_stream.cameras import Setting

from .camera_control import CameraControl
from .form import form

LARGEST_INT = 2**31 - 1
"""Of a spin box; cameras count further."""

DECIMALS = 3
"""Microseconds of an exposure in ms."""


class CameraPanel(Container[Widget]):
    """A widget for each setting, by its name; empty without a camera.

    All of them are read anew after every change: cameras clamp without a word, and
    ranges depend on other settings.

    Parameters
    ----------
    control : CameraControl
    """

    def __init__(self, control: CameraControl) -> None:
        self._control = control
        super().__init__(name="camera_settings", labels=False)
        self._shown: list[tuple[object, ...]] = []
        # magicgui's own layout cannot line labels up with those of other containers.
        self.panel = QWidget()
        self._column = QVBoxLayout(self.panel)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._form: QWidget | None = None
        self.native.hide()
        control.changed.connect(self.show_view)

    def __getitem__(self, key: Any) -> Any:
        """By number; or by name, also while the camera is opened: programs do so."""
        if isinstance(key, str):
            self._control.await_view()
        return super().__getitem__(key)

    def _field_of(self, setting: Setting) -> Any:
        return super().__getitem__(setting.name)

    def show_view(self) -> None:
        """Show what the camera said last."""
        view = self._control.view
        settings = view.settings if view is not None else ()
        shown = [_kind_of(setting) for setting in settings]
        if shown != self._shown:
            self._build(settings)
            self._shown = shown
        for setting in settings:
            _show(self._field_of(setting), setting)
        self.lock()

    def lock(self) -> None:
        """Grey out what cannot be changed while the camera records."""
        view = self._control.view
        for setting in view.settings if view is not None else ():
            free = not (self._control.is_recording and setting.locked_while_running)
            widget = self._field_of(setting)
            widget.enabled = free
            if isinstance(widget, PathEdit):
                widget.row.setEnabled(free)

    def _build(self, settings: Sequence[Setting]) -> None:
        if self._form is not None:
            self._column.removeWidget(self._form)
            self._form.deleteLater()
        self.clear()
        rows = []
        for setting in settings:
            widget = _widget_of(setting)
            widget.changed.connect(self._applying(setting.name))
            self.append(widget)
        for setting in settings:
            widget = self._field_of(setting)
            label = setting.label + (f" ({setting.unit})" if setting.unit else "")
            # A check box says itself what it is for.
            text = "" if isinstance(setting.value, bool) else label
            native = widget.native
            if isinstance(widget, PathEdit):
                native = widget.lay_out()
            rows.append((text, native))
        self._form = form(rows)
        self._column.addWidget(self._form)

    def _applying(self, name: str) -> Any:
        def apply(value: Any) -> None:
            self._control.set(name, value)

        return apply


class PathEdit(LineEdit):
    """A line for a file or an address, with a button that looks for a file.

    What is typed counts once it is complete: at Enter, or when the line is left.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.row = QWidget()
        self._button = PushButton(text="…", tooltip="Look for a file")
        self._button.max_width = 36
        self.native.setPlaceholderText("a file or an address (URL)")
        self._button.clicked.connect(self._look_for)
        self.native.editingFinished.connect(self._complete)

    def lay_out(self) -> QWidget:
        """Put line and button in a row: a container has moved the line before."""
        layout = QHBoxLayout(self.row)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.native, 1)
        layout.addWidget(self._button.native)
        return self.row

    def _on_value_change(self, value: Any = None) -> None:
        """See magicgui: called with every letter."""
        if not self.native.isModified():
            super()._on_value_change(value)

    def _complete(self) -> None:
        if self.native.isModified():
            self.native.setModified(False)
            super()._on_value_change(self.native.text().strip())

    def _look_for(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self.row, "Choose a file", self.value)
        if path:
            self.value = path


def _kind_of(setting: Setting) -> tuple[object, ...]:
    """What decides on the widget: with another one, it has to be made anew."""
    kind = type(setting.value)
    return setting.name, setting.label, kind, setting.unit, setting.is_path


def _widget_of(setting: Setting) -> Any:
    if setting.choices:
        return ComboBox(
            name=setting.name, value=setting.value, choices=_choices(setting)
        )
    if setting.is_path:
        return PathEdit(name=setting.name, value=str(setting.value))
    if isinstance(setting.value, bool):
        return create_widget(
            value=setting.value, name=setting.name, options={"text": setting.label}
        )
    if isinstance(setting.value, int):
        return SpinBox(name=setting.name, **_range_of(setting))
    if isinstance(setting.value, float):
        widget = FloatSpinBox(name=setting.name, **_range_of(setting))
        widget.native.setDecimals(DECIMALS)
        widget.native.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)
        return widget
    return LineEdit(name=setting.name, value=str(setting.value))


def _choices(setting: Setting) -> tuple[str, ...]:
    value = str(setting.value)
    return setting.choices if value in setting.choices else (*setting.choices, value)


def _range_of(setting: Setting) -> dict[str, Any]:
    """Value, minimum and maximum for a spin box, which holds no more than 32 bits."""
    kind: Any = type(setting.value)
    bound = LARGEST_INT if kind is int else 1e12
    value = min(max(float(setting.value), -bound), bound)
    low = -bound if setting.minimum is None else max(setting.minimum, -bound)
    high = bound if setting.maximum is None else min(setting.maximum, bound)
    # A value in force is true, even where it is out of the range that was told.
    return {
        "value": kind(value),
        "min": kind(min(low, value)),
        "max": kind(max(high, value)),
    }


def _show(widget: Any, setting: Setting) -> None:
    """Show a value and its range without applying it."""
    with widget.changed.blocked():
        if isinstance(widget, ComboBox):
            if tuple(widget.choices) != _choices(setting):
                widget.choices = _choices(setting)
            widget.value = setting.value
        elif isinstance(widget, SpinBox | FloatSpinBox):
            _show_number(widget, setting)
        elif isinstance(widget, LineEdit):
            if not widget.native.isModified():  # else somebody is typing
                widget.value = str(setting.value)
        else:
            widget.value = setting.value


def _show_number(widget: Any, setting: Setting) -> None:
    # Only whole entries: not 1, 10, 102 on the way to 1024.
    widget.native.setKeyboardTracking(False)
    now = _range_of(setting)
    with QSignalBlocker(widget.native):
        widget.native.setRange(now["min"], now["max"])
        widget.native.setValue(now["value"])
    unit = f" {setting.unit}" if setting.unit else ""
    if setting.minimum is not None and setting.maximum is not None:
        widget.native.setToolTip(f"{setting.minimum:g} to {setting.maximum:g}{unit}")
