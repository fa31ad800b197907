"""What to export: layers that are chosen, together or each by itself, and how."""

from typing import Any

from magicgui.widgets import CheckBox, ComboBox, LineEdit, Select, SpinBox
from magicgui.widgets.bases import Widget
from napari.layers import Image, Labels
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QAbstractItemView, QWidget

from napari_zarr_stream._saving.pieces.cluster import is_installed
from napari_zarr_stream._sources.layer import LayerSource
from napari_zarr_stream._viewer.exporting import How
from napari_zarr_stream._viewer.live import LivePlane
from napari_zarr_stream._writer.errors import InvalidProperties
from napari_zarr_stream._writer.properties import DownsamplingMethod

from .form import Row, form

LIST_ROWS = 5
"""Of layers that are seen at once; more are scrolled to."""


class ExportWhat(QWidget):
    """The layers, and what is to be done with their levels.

    `changed` says that other layers can be chosen now, or are others than they were.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    changed = Signal()

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self._viewer = viewer
        self.layers = Select(
            name="layers",
            choices=lambda _: [(layer.name, layer) for layer in self._possible()],
            tooltip="Images and labels of this viewer; several with Ctrl or Shift",
        )
        self.together = CheckBox(
            name="together",
            text="Together in one store",
            value=True,
            tooltip="Images as channels, with labels; otherwise a store for each",
        )
        self.method = ComboBox(
            name="method",
            choices=[(str(method).capitalize(), str(method)) for method in _METHODS],
            tooltip="How smaller levels are made. Labels and masks keep to mode or "
            "decimate; a pyramid that a layer has already is kept as it is",
        )
        self.first_level = SpinBox(
            name="first_level",
            value=0,
            min=0,
            max=32,
            tooltip="Of a pyramid: 0 is its full size, each further level half of it",
        )
        self.verify = CheckBox(
            name="verify",
            text="Verify: read every plane back",
            value=True,
            tooltip="Takes about half as long again; a store that differs is not kept",
        )
        self.resume = CheckBox(
            name="resume",
            text="Resume an interrupted export",
            value=False,
            tooltip="Where an export of the same layers to the same place was killed: "
            "what it has written and is right is not written again",
        )
        self.scheduler = LineEdit(
            name="scheduler",
            value="",
            visible=is_installed(),
            tooltip="Address of a cluster of dask that does it, as tcp://host:8786; "
            "its workers see the folder. Empty: this computer",
        )
        self.fields = (self.together, self.method, self.verify, self.scheduler)

    @property
    def widgets(self) -> list[Widget]:
        """All of them, as children of a container."""
        return [
            self.layers,
            self.together,
            self.method,
            self.first_level,
            self.verify,
            self.resume,
            self.scheduler,
        ]

    @property
    def how(self) -> How:
        """How an export is to go on beside how its pixels are stored."""
        address = self.scheduler.value.strip() if is_installed() else ""
        return How(self.verify.value, self.resume.value, address)

    @property
    def rows(self) -> list[Row]:
        """What is always in view."""
        layers = self.layers.native
        layers.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        layers.setMaximumHeight(LIST_ROWS * layers.fontMetrics().lineSpacing() + 16)
        layers.setAccessibleName("Layers to export")
        return [("", layers), ("", self.together.native)]

    def lay_out(self) -> QWidget:
        """Put the other widgets in their places."""
        events = self._viewer.layers.events
        for event in (events.inserted, events.removed, events.renamed):
            event.connect(self.follow_layers)
        rows = [
            ("Levels by", self.method.native),
            ("First level", self.first_level.native),
            ("", self.verify.native),
            ("", self.resume.native),
        ]
        if is_installed():
            self.scheduler.native.setPlaceholderText("this computer")
            rows.append(("Cluster", self.scheduler.native))
        return form(rows)

    def _possible(self) -> list[Any]:
        return [
            layer
            for layer in self._viewer.layers
            if isinstance(layer, Image | Labels)
            and not isinstance(layer.data, LivePlane)
        ]

    def follow_layers(self, *_: object) -> None:
        """Offer the layers that there are now; those that were chosen stay chosen."""
        chosen = [layer for layer in self.layers.value if layer in self._possible()]
        with self.layers.changed.blocked():
            self.layers.reset_choices()
            self.layers.value = chosen
        self.changed.emit()

    def choose_selected(self) -> None:
        """Choose what is selected in the viewer, or all, where nothing is chosen."""
        possible = self._possible()
        selected = [
            layer for layer in possible if layer in self._viewer.layers.selection
        ]
        self.layers.value = selected or possible

    def show_choice(self) -> None:
        """Fields that mean something for the layers that are chosen."""
        chosen = self.layers.value
        self.together.enabled = len(chosen) > 1
        deepest = max(
            (len(layer.data) for layer in chosen if layer.multiscale), default=1
        )
        self.first_level.enabled = deepest > 1

    def enable(self, enabled: bool) -> None:
        """Let the fields be changed, or not while something is exported."""
        for widget in self.widgets:
            widget.enabled = enabled

    def groups(self) -> list[tuple[list[Any], list[LayerSource]]]:
        """The layers of each store that is to be, and the same as sources.

        Raises
        ------
        InvalidProperties
            None is chosen, or one that cannot be stored.
        """
        chosen = self.layers.value
        if not chosen:
            raise InvalidProperties("Choose the layers to export.")
        first = self.first_level.value if self.first_level.enabled else 0
        groups = [chosen] if self.together.value else [[layer] for layer in chosen]
        return [
            (
                group,
                [
                    LayerSource.of(layer, first_level=first if layer.multiscale else 0)
                    for layer in group
                ],
            )
            for group in groups
        ]


_METHODS = tuple(DownsamplingMethod)
