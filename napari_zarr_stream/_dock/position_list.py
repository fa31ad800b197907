"""Positions of a run: a list; the present one and those of a file can be added."""

from collections.abc import Sequence
from concurrent.futures import Future  # noqa: TC003 - of an attribute
from pathlib import Path

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QHeaderView,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_zarr_stream._acquisition.asked import AskedPosition, positions_in
from napari_zarr_stream._acquisition.microscope import Microscope
from napari_zarr_stream._viewer.background import in_background
from napari_zarr_stream._writer.errors import InvalidProperties

from .form import beside

COLUMNS = ("Name", "x (µm)", "y (µm)", "z (µm)")

LIST_HEIGHT = 140
"""Four rows and the titles."""

LOOK_MS = 50

FILES = "Sequences of useq (*.yaml *.yml *.json)"


class PositionList(QWidget):
    """A table of names and places, all of which can be edited.

    `changed` is emitted with every change, `failed` with what was wrong with a file.
    """

    changed = Signal()
    failed = Signal(str)
    wanted = Signal()
    """The place of the stage is to be asked for; `show_microscope` brings it."""

    def __init__(self) -> None:
        super().__init__()
        self.table = QTableWidget(0, len(COLUMNS))
        self.table.setHorizontalHeaderLabels(list(COLUMNS))
        self.table.setAccessibleName("Positions")
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setMinimumHeight(LIST_HEIGHT)
        self.table.verticalHeader().setVisible(False)
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.add = _button("Add present", "Add the place where the stage is now")
        self.remove = _button("Remove", "Remove the rows that are selected, or all")
        self.load = _button("Load …", "Add positions of a useq file (.yaml, .json)")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.table)
        layout.addWidget(beside(self.add, self.remove, self.load))
        self.table.itemChanged.connect(self.changed)
        self.add.clicked.connect(self._add_present)
        self.remove.clicked.connect(self._remove)
        self.load.clicked.connect(self._choose_file)
        self._microscope: Microscope | None = None
        self._wants_present = False
        self._loading: Future[list[AskedPosition]] | None = None

    def show_microscope(self, microscope: Microscope | None) -> None:
        """Know where the stage is."""
        self._microscope = microscope
        self.add.setEnabled(microscope is not None)
        if microscope is not None and self._wants_present:
            self._wants_present = False
            number = self.table.rowCount()
            name = f"p{number}"
            self.extend(
                [AskedPosition(name, microscope.x_um, microscope.y_um, microscope.z_um)]
            )

    def _add_present(self) -> None:
        self._wants_present = True
        self.wanted.emit()

    def _remove(self) -> None:
        rows = {index.row() for index in self.table.selectedIndexes()}
        for row in sorted(rows or range(self.table.rowCount()), reverse=True):
            self.table.removeRow(row)
        self.changed.emit()

    def _choose_file(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Load positions", "", FILES)
        if name:
            self.load_file(name)

    def load_file(self, name: str) -> None:
        """Add positions of a file; what is wrong with it is told by `failed`."""
        self._loading = in_background(
            lambda: positions_in(Path(name)), may_be_dropped=True
        )
        self._take_loaded()

    def _take_loaded(self) -> None:
        loading = self._loading
        if loading is None:
            return
        if not loading.done():
            QTimer.singleShot(LOOK_MS, self._take_loaded)
            return
        self._loading = None
        try:
            self.extend(loading.result())
        except InvalidProperties as error:
            self.failed.emit(str(error))
        else:
            self.failed.emit("")

    def extend(self, positions: Sequence[AskedPosition]) -> None:
        """Add positions."""
        self.table.blockSignals(True)
        for at in positions:
            row = self.table.rowCount()
            self.table.insertRow(row)
            cells = (at.name, *map(_text, (at.x_um, at.y_um, at.z_um)))
            for column, text in enumerate(cells):
                self.table.setItem(row, column, QTableWidgetItem(text))
        self.table.blockSignals(False)
        self.changed.emit()

    @property
    def positions(self) -> list[AskedPosition]:
        """All that are in the list.

        Raises
        ------
        InvalidProperties
            A cell is no number; says which.
        """
        return [self._position(row) for row in range(self.table.rowCount())]

    def _position(self, row: int) -> AskedPosition:
        texts = []
        for column in range(len(COLUMNS)):
            item = self.table.item(row, column)
            texts.append("" if item is None else item.text().strip())
        name, *numbers = texts
        places = []
        for title, text in zip(COLUMNS[1:], numbers, strict=True):
            try:
                places.append(float(text.replace(",", ".")) if text else None)
            except ValueError:
                raise InvalidProperties(
                    f"position {row + 1}: {title} is {text!r}, which is no number"
                ) from None
        return AskedPosition(name, *places)


def _text(number: float | None) -> str:
    return "" if number is None else f"{number:.10g}"


def _button(text: str, tooltip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tooltip)
    return button
