"""How positions are shown when a run has ended."""

from typing import Any

from magicgui.widgets import ComboBox
from qtpy.QtWidgets import QWidget

from napari_zarr_stream._reading.positions import Positions

from .form import form

_CHOICES = (
    ("behind one slider", str(Positions.SLIDER)),
    ("side by side, where the stage was", str(Positions.SIDE_BY_SIDE)),
)


class OpenedAs:
    """The field for it.

    Attributes
    ----------
    fields : tuple of Widget
        What is kept between sessions.
    """

    def __init__(self) -> None:
        self.opened_as = ComboBox(
            name="opened_as",
            choices=list(_CHOICES),
            tooltip="How positions are shown at the end; a plate is always one mosaic",
        )
        self.fields: tuple[Any, ...] = (self.opened_as,)

    def lay_out(self) -> QWidget:
        """Put the field in its place."""
        self.opened_as.native.setMinimumWidth(80)
        return form([("At the end", self.opened_as.native)])

    @property
    def positions(self) -> Positions:
        """What is chosen."""
        return Positions(self.opened_as.value)
