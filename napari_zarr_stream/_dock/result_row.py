"""What is recorded, and once it is saved the way to it: its folder, its path."""

from collections.abc import Sequence
from pathlib import Path

from magicgui.widgets import Label, PushButton
from magicgui.widgets.bases import Widget
from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices, QGuiApplication
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_zarr_stream._recording.naming import store_of

from .form import beside, wrapping


class ResultRow(QWidget):
    """Hidden until something is recorded."""

    def __init__(self) -> None:
        super().__init__()
        self._paths: Sequence[Path] = ()
        self.saved = Label(name="saved", label="", value="")
        self.open_folder = PushButton(
            name="open_folder",
            text="Open folder",
            tooltip="Show what was saved in the file manager",
        )
        self.copy_path = PushButton(
            name="copy_path",
            text="Copy path",
            tooltip="To paste it into Fiji, a script or a terminal",
        )
        self.open_folder.clicked.connect(self._open)
        self.copy_path.clicked.connect(self._copy)

    @property
    def widgets(self) -> list[Widget]:
        """All of them, as children of a container."""
        return [self.saved, self.open_folder, self.copy_path]

    def lay_out(self) -> QWidget:
        """Put the widgets in their places."""
        wrapping(self.saved.native)
        self.saved.native.setStyleSheet("font-weight: bold")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.saved.native)
        self._buttons = beside(self.open_folder.native, self.copy_path.native)
        layout.addWidget(self._buttons)
        self.hide()
        return self

    def show_name(self, what: str, paths: Sequence[Path]) -> None:
        """Say what happens to what is at `paths`; nothing, if there are none."""
        self._paths = list(dict.fromkeys(map(store_of, paths)))
        self.saved.value = f"{what} {', '.join(path.name for path in self._paths)}"
        self._buttons.hide()
        self.setVisible(bool(paths))

    def show_saved(self, paths: Sequence[Path]) -> None:
        """Say that it is saved, and offer the way to it."""
        self.show_end("Saved", paths)

    def show_end(self, what: str, paths: Sequence[Path]) -> None:
        """Say what became of it, and offer the way to it."""
        self.show_name(what, paths)
        self._buttons.show()

    def _open(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._paths[0].parent)))

    def _copy(self) -> None:
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText("\n".join(map(str, self._paths)))
