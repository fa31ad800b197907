"""Which microscope it is: Micro-Manager's, or a simulated one to try it with."""

import importlib.util
import logging
from collections.abc import Callable
from typing import Any

from magicgui.widgets import Label, PushButton
from magicgui.widgets.bases import Widget
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_zarr_stream._viewer.acquiring import Acquiring

from .form import wrapping

NONE_SAYS = (
    "No Micro-Manager in this program. Open napari-micromanager and load a "
    "configuration, or try the simulated microscope."
)


class MicroscopeRow(QWidget):
    """A line about the core, and *Simulated microscope*.

    Parameters
    ----------
    acquiring : Acquiring
    """

    def __init__(self, acquiring: Acquiring) -> None:
        super().__init__()
        self._acquiring = acquiring
        self.microscope = Label(name="microscope", label="", value="")
        self.simulated = PushButton(
            name="simulated",
            text="Simulated microscope",
            tooltip="A camera, stages, three channels and a shutter that are a program",
        )
        self.simulated.native.setCheckable(True)

    @property
    def widgets(self) -> list[Widget]:
        """All of them, as children of a container."""
        return [self.microscope, self.simulated]

    def lay_out(self) -> QWidget:
        """Put the widgets in their places."""
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(wrapping(self.microscope.native))
        layout.addWidget(self.simulated.native)
        self.simulated.clicked.connect(self._simulate)
        return self

    def _simulate(self) -> None:
        if self.simulated.native.isChecked():
            self._acquiring.followed.simulate()
        else:
            self._acquiring.followed.end_simulation()
        self.show_microscope()

    def show_microscope(self) -> None:
        """Say what is known now."""
        acquiring, known = self._acquiring, self._acquiring.followed.microscope
        self.simulated.native.setChecked(acquiring.followed.is_simulated)
        self.simulated.enabled = not acquiring.is_busy
        if acquiring.why_not:
            said = acquiring.why_not
        elif known is not None:
            kind = "Simulated" if acquiring.followed.is_simulated else "Micro-Manager"
            said = f"{kind}: no camera"
            if known.frame is not None:
                frame, um = known.frame, known.frame.pixel_size_um
                size = f" of {um:.4g} µm" if um else ", pixel size unknown"
                said = (
                    f"{kind}: {known.camera}, {frame.width} × {frame.height} px{size}"
                )
        elif acquiring.followed.core is not None or acquiring.followed.is_simulated:
            said = "Looking at the microscope …"
        else:
            said = NONE_SAYS
        self.microscope.value = said


def mda_widget_maker(acquiring: Acquiring) -> Callable[[], Any] | None:
    """What makes the form of pymmcore-widgets; None where that is not installed."""
    if importlib.util.find_spec("pymmcore_widgets") is None:
        return None

    def make() -> Any:
        level = logging.root.level
        from pymmcore_widgets import MDAWidget

        # importing it turns on the debug messages of all libraries
        logging.root.setLevel(level)
        widget = MDAWidget(mmcore=acquiring.followed.core)
        widget.save_info.hide()
        widget.control_btns.hide()
        return widget

    return make
