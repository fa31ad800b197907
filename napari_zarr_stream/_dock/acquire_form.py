"""The form of a run: times, channels, z, positions or a plate, or a file of useq."""

from collections.abc import Callable
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

from magicgui.types import FileDialogMode
from magicgui.widgets import ComboBox, FileEdit, FloatSpinBox, LineEdit, SpinBox
from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from napari_zarr_stream._acquisition.asked import (
    ORDERS,
    Asked,
    AskedPlate,
    sequence_of,
)
from napari_zarr_stream._acquisition.layout import load_sequence
from napari_zarr_stream._acquisition.microscope import Microscope
from napari_zarr_stream._viewer.background import in_background
from napari_zarr_stream._writer.errors import InvalidProperties

from .channel_rows import ChannelRows
from .form import Fold, beside, form, wrapping
from .position_list import PositionList

FORM, A_FILE, MDA_WIDGET = "This form", "A sequence file", "pymmcore-widgets"

HERE, LIST, PLATE = "Where the stage is", "A list", "A plate"

PLATES = ("6-well", "12-well", "24-well", "48-well", "96-well", "384-well", "1536-well")

SUFFIXES = (".yaml", ".yml", ".json")

BLINK_S = 0.05
"""A file is waited for so long: nothing flickers then."""

LOOK_MS = 100

_ORDER_SAYS = {
    "tpcz": "time, positions, channels, z (a stack after the other)",
    "tpzc": "time, positions, z, channels (all channels at each z)",
    "ptcz": "positions, time, channels, z (one position to its end)",
    "ptzc": "positions, time, z, channels",
    "pzct": "positions, z, channels, time",
    "cpzt": "channels, positions, z, time (one channel to its end)",
}


class AcquireForm(QObject):
    """Fields that become a sequence.

    `changed` is emitted with every change, `wanted` when the place of the stage is
    to be asked for.

    Attributes
    ----------
    fields : tuple of Widget
        What is kept between sessions.
    """

    changed = Signal()
    wanted = Signal()

    def __init__(self, make_mda_widget: Callable[[], Any] | None) -> None:
        super().__init__()
        self._make_mda_widget = make_mda_widget
        self._mda_widget: Any = None
        kinds = [FORM, A_FILE, *[MDA_WIDGET] * (make_mda_widget is not None)]
        self.plan = ComboBox(
            name="plan",
            choices=kinds,
            tooltip="What says which images are taken. pymmcore-widgets asks for its "
            "icons from the network: without one, it takes half a minute to come",
        )
        self.file = FileEdit(
            name="sequence_file",
            mode=FileDialogMode.EXISTING_FILE,
            filter="*.yaml *.yml *.json",
            tooltip="A useq.MDASequence as .yaml or .json, run as it stands, with its "
            "autofocus, grids and sub-sequences",
        )
        self.loops = SpinBox(
            name="loops", value=1, min=1, max=10**6, tooltip="How often all is taken"
        )
        self.interval_s = FloatSpinBox(
            name="loop_interval_s", value=0, min=0, max=10.0**6, step=1,
            tooltip="From the beginning of one time point to that of the next; 0: as "
            "fast as it goes. Those that are late are taken at once, none is left out",
        )  # fmt: skip
        self.z_range_um = FloatSpinBox(
            name="z_range_um", value=0, min=0, max=10.0**5, step=1,
            tooltip="From the lowest plane to the highest, around the present focus; "
            "0: no stack",
        )  # fmt: skip
        self.z_step_um = FloatSpinBox(
            name="z_stack_step_um", value=1, min=0.001, max=10.0**4, step=0.1,
            tooltip="From one plane to the next",
        )  # fmt: skip
        self.order = ComboBox(
            name="axis_order",
            choices=[(_ORDER_SAYS[order], order) for order in ORDERS],
            tooltip="What changes last comes first: the last axis changes fastest",
        )
        self.where = ComboBox(
            name="where", choices=[HERE, LIST, PLATE], tooltip="Where images are taken"
        )
        self.plate = ComboBox(
            name="plate", choices=list(PLATES), tooltip="As useq knows it by its name"
        )
        self.plate.value = "96-well"
        self.wells = LineEdit(
            name="wells", value="A1", tooltip="For example A1, B3-B6, C1:D4"
        )
        self.field_rows = SpinBox(
            name="field_rows", value=1, min=1, max=100,
            tooltip="Fields in each well, from top to bottom",
        )  # fmt: skip
        self.field_columns = SpinBox(
            name="field_columns", value=1, min=1, max=100,
            tooltip="Fields in each well, from left to right",
        )  # fmt: skip
        self.a1_x_um, self.a1_y_um = (
            FloatSpinBox(
                name=f"a1_{axis}_um", value=0, min=-1e6, max=1e6, step=100,
                tooltip="Where the stage has the middle of well A1",
            )
            for axis in "xy"
        )  # fmt: skip
        self.channels = ChannelRows()
        self.list = PositionList()
        self.fields: tuple[Any, ...] = (
            self.file, self.loops, self.interval_s, self.z_range_um,
            self.z_step_um, self.order, self.where, self.plate, self.wells,
            self.field_rows, self.field_columns, self.a1_x_um, self.a1_y_um,
        )  # fmt: skip
        self._takes_a1 = False
        self._microscope: Microscope | None = None
        self._loading: Future[Any] | None = None
        self._loading_path = Path()

    def lay_out(self) -> QWidget:
        """Put the fields in their places."""
        for combo in (self.plan, self.order, self.where, self.plate):
            combo.native.setMinimumWidth(80)
        self.file.choose_btn.text = "…"
        self.file.choose_btn.max_width = 36
        self.here_is_a1 = QPushButton("Here is A1")
        self.here_is_a1.setToolTip("Take the present place of the stage for that of A1")
        self._list_trouble = wrapping(QLabel())
        self._list_trouble.hide()
        fields = beside(self.field_rows.native, self.field_columns.native)
        a1 = beside(self.a1_x_um.native, self.a1_y_um.native)
        self._plate_form = form(
            [
                ("Plate", self.plate.native),
                ("Wells", self.wells.native),
                ("Rows, columns", fields),
                ("A1 at x, y (µm)", a1),
                ("", self.here_is_a1),
            ]
        )
        positions = form(
            [
                ("", self.where.native),
                ("", self.list),
                ("", self._list_trouble),
                ("", self._plate_form),
            ]
        )
        times = form(
            [
                ("Time points", self.loops.native),
                ("Interval (s)", self.interval_s.native),
                ("z range (µm)", self.z_range_um.native),
                ("z step (µm)", self.z_step_um.native),
            ]
        )
        order = form([("", self.order.native)])
        self._own = form(
            [
                ("", Fold("Channels", self.channels, is_open=True)),
                ("", Fold("Time and z", times, is_open=True)),
                ("", Fold("Positions", positions, is_open=True)),
                ("", Fold("Order", order)),
            ]
        )
        self._of_others = QWidget()
        self._whole = form(
            [
                ("Plan", self.plan.native),
                ("", self.file.native),
                ("", self._own),
                ("", self._of_others),
            ]
        )
        for field in (self.plan, *self.fields):
            field.changed.connect(self._see_changed)
        self.channels.changed.connect(self.changed)
        self.list.changed.connect(self.changed)
        self.list.failed.connect(self._show_list_trouble)
        self.list.wanted.connect(self.wanted)
        self.here_is_a1.clicked.connect(self._ask_for_a1)
        self.show_choice()
        return self._whole

    def _see_changed(self, *_: object) -> None:
        self.show_choice()
        self.changed.emit()

    def _show_list_trouble(self, said: str) -> None:
        self._list_trouble.setText(said)
        self._list_trouble.setVisible(bool(said))

    def _ask_for_a1(self) -> None:
        self._takes_a1 = True
        self.wanted.emit()

    def show_choice(self) -> None:
        """Show the fields that count."""
        self.file.native.setVisible(self.plan.value == A_FILE)
        self._own.setVisible(self.plan.value == FORM)
        self._of_others.setVisible(self.plan.value == MDA_WIDGET)
        if self.plan.value == MDA_WIDGET and self._mda_widget is None:
            self._show_mda_widget()
        self.list.setVisible(self.where.value == LIST)
        self._plate_form.setVisible(self.where.value == PLATE)
        self.z_step_um.enabled = self.z_range_um.value > 0
        self.interval_s.enabled = self.loops.value > 1

    def _show_mda_widget(self) -> None:
        """Made when it is asked for: it may take long, see the tooltip."""
        if self._make_mda_widget is None or self._microscope is None:
            return
        self._mda_widget = widget = self._make_mda_widget()
        widget.valueChanged.connect(self.changed)
        layout = QVBoxLayout(self._of_others)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(widget)

    def show_microscope(self, microscope: Microscope | None) -> None:
        """Offer what the microscope has, and take the place of the stage if asked."""
        self._microscope = microscope
        self.show_choice()
        self.channels.show_microscope(microscope)
        self.list.show_microscope(microscope)
        if microscope is not None and self._takes_a1:
            self._takes_a1 = False
            self.a1_x_um.value = microscope.x_um or 0.0
            self.a1_y_um.value = microscope.y_um or 0.0

    def enable(self, enabled: bool) -> None:
        """Let the fields be changed, or not while a run goes on."""
        self._whole.setEnabled(enabled)

    def sequence(self) -> Any:
        """What the fields ask for, as a `useq.MDASequence` made anew.

        Raises
        ------
        InvalidProperties
            They ask for what there is not; says what.
        """
        if self.plan.value == A_FILE:
            return self._of_file(Path(str(self.file.value)))
        if self.plan.value == MDA_WIDGET and self._mda_widget is not None:
            return self._mda_widget.value()
        plate = None
        if self.where.value == PLATE:
            plate = AskedPlate(
                self.plate.value,
                self.wells.value,
                (self.a1_x_um.value, self.a1_y_um.value),
                (self.field_rows.value, self.field_columns.value),
            )
        return sequence_of(
            Asked(
                self.channels.channels,
                self.order.value,
                self.loops.value,
                self.interval_s.value,
                self.z_range_um.value,
                self.z_step_um.value,
                self.list.positions if self.where.value == LIST else (),
                plate,
            )
        )

    def read_again(self) -> None:
        """Have the file read anew: a sequence that was run is spoiled for another."""
        self._loading = None

    def _of_file(self, path: Path) -> Any:
        if self._loading is None or self._loading_path != path:
            if path.suffix not in SUFFIXES:
                raise InvalidProperties("Choose a sequence file (.yaml, .json).")
            self._loading_path = path
            self._loading = in_background(
                lambda: load_sequence(path), may_be_dropped=True
            )
            wait((self._loading,), BLINK_S)
        if not self._loading.done():
            QTimer.singleShot(LOOK_MS, self.changed.emit)
            raise InvalidProperties(f"Reading {path} …")
        return self._loading.result()
