"""Channels of a run: presets of a group, each with its exposure."""

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QGridLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from napari_zarr_stream._acquisition.asked import AskedChannel
from napari_zarr_stream._acquisition.microscope import Microscope

from .form import wrapping

LONGEST_MS = 10.0**6


class ChannelRows(QWidget):
    """A combo of groups, and a row for each preset of the one that is chosen.

    `changed` is emitted with every choice.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.group = QComboBox()
        self.group.setAccessibleName("Group of channels")
        self.group.setToolTip(
            "The group of Micro-Manager's configuration whose presets are channels"
        )
        self._says = wrapping(QLabel())
        self._rows: dict[str, tuple[QCheckBox, QDoubleSpinBox, QCheckBox]] = {}
        self._remembered: dict[str, AskedChannel] = {}
        self._known: tuple[str, ...] = ()
        self._microscope: Microscope | None = None
        self._grid = QWidget()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.group)
        layout.addWidget(self._says)
        layout.addWidget(self._grid)
        self.group.currentTextChanged.connect(self._show_presets)

    def show_microscope(self, microscope: Microscope | None) -> None:
        """Offer what there is; what was chosen stays chosen."""
        self._microscope = microscope
        groups = () if microscope is None else tuple(microscope.groups)
        if groups != self._known:
            self._known = groups
            before = self.group.currentText()
            self.group.blockSignals(True)
            self.group.clear()
            self.group.addItems(list(groups))
            chosen = microscope.channel_group if microscope else ""
            for name in (before, chosen, "Channel"):
                if name in groups:
                    self.group.setCurrentText(name)
                    break
            self.group.blockSignals(False)
        self._show_presets()

    def _show_presets(self, *_: object) -> None:
        microscope, group = self._microscope, self.group.currentText()
        presets = () if microscope is None else microscope.groups.get(group, ())
        self._says.setText(
            "There are no presets: channels are left as they are" * (not presets)
        )
        self._says.setVisible(not presets)
        if presets == tuple(self._rows):
            return
        self._remember()
        self._rows = {}
        old, self._grid = self._grid, QWidget()
        self.layout().replaceWidget(old, self._grid)
        old.deleteLater()
        grid = QGridLayout(self._grid)
        grid.setContentsMargins(0, 0, 0, 0)
        for column, title in enumerate(("Channel", "Exposure (ms)", "z stack")):
            if presets:
                grid.addWidget(QLabel(title), 0, column)
        for row, preset in enumerate(presets):
            self._rows[preset] = self._row(grid, row + 1, preset, microscope)
        grid.setColumnStretch(0, 1)
        self.changed.emit()

    def _row(
        self, grid: QGridLayout, row: int, preset: str, microscope: Microscope | None
    ) -> tuple[QCheckBox, QDoubleSpinBox, QCheckBox]:
        known = self._remembered.get(f"{self.group.currentText()}/{preset}")
        use = QCheckBox(preset)
        use.setChecked(known is not None)
        exposure = QDoubleSpinBox()
        exposure.setDecimals(1)
        exposure.setRange(0.1, LONGEST_MS)
        given = microscope.exposure_ms if microscope else 0.0
        exposure.setValue(known.exposure_ms if known else given or 10.0)
        exposure.setAccessibleName(f"Exposure of {preset}, ms")
        exposure.setToolTip("How long light is taken for each plane of this channel")
        stack = QCheckBox()
        stack.setChecked(known.has_stack if known else True)
        stack.setAccessibleName(f"z stack of {preset}")
        stack.setToolTip("Without it only the middle plane of the stack is taken")
        for column, widget in enumerate((use, exposure, stack)):
            grid.addWidget(widget, row, column)
        grid.setAlignment(stack, Qt.AlignmentFlag.AlignHCenter)
        for box in (use, stack):
            box.toggled.connect(self.changed)
        exposure.valueChanged.connect(self.changed)
        return use, exposure, stack

    def _remember(self) -> None:
        for channel in self.channels:
            self._remembered[f"{channel.group}/{channel.config}"] = channel

    @property
    def channels(self) -> list[AskedChannel]:
        """Those that are chosen."""
        group = self.group.currentText()
        return [
            AskedChannel(group, preset, exposure.value(), stack.isChecked())
            for preset, (use, exposure, stack) in self._rows.items()
            if use.isChecked()
        ]

    def choose(self, presets: Sequence[str]) -> None:
        """Choose presets by their names, and no others."""
        for preset, (use, _, _) in self._rows.items():
            use.setChecked(preset in presets)
