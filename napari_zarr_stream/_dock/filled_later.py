"""A dock that is there at once, and holds what is in it some turns of the loop later.

napari waits while a dock is made: for some hundred modules that are imported, and for
as many widgets.
"""

from collections.abc import Iterator
from functools import partial
from importlib import import_module
from typing import Any

from magicgui.widgets import Container
from magicgui.widgets.bases import Widget
from qtpy.QtWidgets import QSizePolicy

from napari_zarr_stream._viewer.background import in_background
from napari_zarr_stream._viewer.garbage import UnsearchedWhileOpen
from napari_zarr_stream._viewer.napari_compat import DockWatch, viewer_itself
from napari_zarr_stream._viewer.turns import SOON_MS, Turns

SHOWN_MS = 50
"""By then the window has made room and painted itself: beside imports, which hold the
GIL, that takes three times as long."""

POLL_MS = 20


class FilledLater(Container[Widget]):
    """Holds nothing at first; who asks for what is in it has it all filled at once.

    Parameters
    ----------
    viewer : napari.Viewer
    content : str
        Module in this package, and class: it is made of the container and the viewer,
        and has steps to `fill` it. What the container has not, it has from there.
    characters : int
        The width that the content wishes for. napari gives it to the dock now; what is
        beside it need not move once more when it is filled.
    """

    _content: Any = None  # it is looked for while the container is made
    _turns: Turns | None = None

    def __init__(self, viewer: Any, content: str, characters: int) -> None:
        super().__init__(labels=False)
        native = self.native
        # Else napari puts something below that takes the room.
        native.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        native.setMinimumWidth(native.fontMetrics().averageCharWidth() * characters)
        self._is_awaited = False
        viewer = viewer_itself(viewer)
        UnsearchedWhileOpen(viewer, DockWatch(viewer, native))
        self._turns = Turns(native)
        self._turns.begin(self._fill(viewer, content))

    def _fill(self, viewer: Any, content: str) -> Iterator[int]:
        native = self.native
        yield SHOWN_MS
        module, _, name = content.partition(":")
        imported = in_background(partial(import_module, f".{module}", __package__))
        while not (imported.done() or self._is_awaited):
            yield POLL_MS
        made = getattr(imported.result(), name)(self, viewer)
        yield SOON_MS
        self._hold_still(True)
        try:
            yield from made.fill()
        except Exception:
            self._hold_still(False)  # what there is, and what is told, is seen
            raise
        self._hold_still(False)
        native.setMinimumWidth(0)
        self._content = made

    def _hold_still(self, is_held: bool) -> None:
        """Nothing half done is seen, and nothing beside it makes room for that."""
        self.native.setUpdatesEnabled(not is_held)
        layout = self.native.layout()
        layout.setEnabled(not is_held)
        if not is_held:
            layout.activate()

    @property
    def is_filled(self) -> bool:
        """Whether all of it is there."""
        return self._content is not None

    def fill(self) -> None:
        """Have all of it be there now."""
        if self._turns is not None:
            self._is_awaited = True
            self._turns.finish()

    def reset_choices(self, *_: object) -> None:
        """Called by napari, too, when layers come, go or are renamed."""
        if self.is_filled:
            self._content.reset_choices()

    def __getattr__(self, name: str) -> Any:
        self.fill()
        try:
            return super().__getattr__(name)
        except AttributeError:
            if not self.is_filled:
                raise
            return getattr(self._content, name)

    def __len__(self) -> int:
        self.fill()
        return super().__len__()

    def __getitem__(self, key: Any) -> Any:
        self.fill()
        return super().__getitem__(key)

    def get_widget(self, name: str) -> Widget | None:
        """See `Container.get_widget`."""
        self.fill()
        return super().get_widget(name)
