"""What others record into stores that are open here, and whether it is followed."""

from magicgui.widgets import Label, PushButton
from magicgui.widgets.bases import Widget
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_zarr_stream._viewer.watching import Watching

from .form import wrapping


class WatchSection(QWidget):
    """A line for each store that is still written, and *Follow*; hidden without any.

    Parameters
    ----------
    watching : Watching
    """

    def __init__(self, watching: Watching) -> None:
        super().__init__()
        self._watching = watching
        self.watched = Label(name="watched", label="", value="")
        self.follow = PushButton(
            name="follow",
            text="Follow",
            tooltip="Keep at the newest frame that is committed. Without it the time "
            "slider grows, and the view stays",
        )
        self.follow.native.setCheckable(True)

    @property
    def widgets(self) -> list[Widget]:
        """All of them, as children of a container."""
        return [self.watched, self.follow]

    def lay_out(self) -> QWidget:
        """Put the widgets in their places."""
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(wrapping(self.watched.native))
        layout.addWidget(self.follow.native)
        self.follow.clicked.connect(self._follow)
        self._watching.changed.connect(self.show_watched)
        self.show_watched()
        return self

    def _follow(self) -> None:
        self._watching.follow(self.follow.native.isChecked())
        self.show_watched()

    def show_watched(self) -> None:
        """Say what is known now."""
        self.watched.value = self._watching.words
        self.follow.native.setVisible(self._watching.can_follow)
        self.follow.native.setChecked(self._watching.follows)
        self.setVisible(bool(self._watching.words))
