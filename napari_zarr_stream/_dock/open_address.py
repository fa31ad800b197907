"""The dock widget *Open address*: a store on a server or in a bucket, as layers."""

from typing import TYPE_CHECKING, Any

import napari  # noqa: TC002 - napari looks for this name in the signature
from magicgui.widgets import Container, Label, LineEdit, PushButton
from magicgui.widgets.bases import Widget
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QLineEdit

from napari_zarr_stream._viewer.napari_compat import viewer_itself
from napari_zarr_stream._viewer.opening import layers_at, show
from napari_zarr_stream._writer.errors import ZarrStreamError

if TYPE_CHECKING:
    from concurrent.futures import Future

POLL_MS = 30

HINT = "Address: https://...  or  s3://..."

ADDRESS_WIDTH_PX = 240
"""In which the hint is seen whole, and most of what an address ends in."""


class OpenAddressWidget(Container[Widget]):
    """Opens OME-Zarr at an address, whatever its name ends in.

    Its children go by their names: `address`, `open`, `state`.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: "napari.viewer.Viewer") -> None:
        self._viewer = viewer_itself(napari_viewer)
        self._line = LineEdit(name="address")
        self._button = PushButton(name="open", text="Open")
        self._state = Label(name="state", label="", value="")
        super().__init__(widgets=[self._line, self._button, self._state], labels=False)
        line = self._line.native
        assert isinstance(line, QLineEdit)
        line.setPlaceholderText(HINT)
        line.setToolTip(
            "https://, http://, s3://bucket/ or az://container/, and the folder of an "
            "OME-Zarr there. Keys of a bucket are those of the environment or the "
            "profile; without any, it is asked as anybody may"
        )
        line.setMinimumWidth(ADDRESS_WIDTH_PX)
        line.returnPressed.connect(self._click)
        self._state.native.setWordWrap(True)
        self._reading: Future[list[Any]] | None = None
        self._timer = QTimer(self.native)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._poll)
        self._button.changed.connect(self._click)
        self._show_button()

    @property
    def is_opening(self) -> bool:
        """Whether an address has been asked and has not answered yet."""
        return self._reading is not None

    def _click(self) -> None:
        if self._reading is not None:
            self._reading = None  # what comes is let go
            self._state.value = "Not opened."
        elif address := self._line.value.strip():
            self._state.value = f"Asking {address.partition('?')[0]} ..."
            self._reading = layers_at(self._viewer, address)
            self._timer.start()
        self._show_button()

    def _show_button(self) -> None:
        self._button.text = "Cancel" if self.is_opening else "Open"

    def _poll(self) -> None:
        if self._reading is None:
            self._timer.stop()
            return
        if not self._reading.done():
            return
        reading, self._reading = self._reading, None
        self._timer.stop()
        self._show_button()
        self._state.value = ""
        try:
            layers = show(self._viewer, reading.result())
        except ZarrStreamError as error:
            self._state.value = str(error)
            return
        names = ", ".join(layer.name for layer in layers)
        self._state.value = f"Opened: {names}"
